/* SPDX-License-Identifier: MIT */
/* blobs.h - transactions on blobs, and bytes for them. */
#ifndef API_BLOBS_H
#define API_BLOBS_H

#include "api/fixture.h"

/* A store in memory, which is checked in the end. */
int setup(void **state);
int teardown(void **state);

struct ramet_txn *begin(const char *ref, unsigned flags);
struct ramet_blob *blob_of(struct ramet_txn *txn, const char *name);
struct ramet_blob *blob_new(struct ramet_txn *txn, const char *name);

/* Bytes that are not 0. */
void fill(uint8_t *bytes, size_t len);
/* Writes, or lends a copy that lives until take_back(): when the transaction has ended. */
void write_or_lend(struct ramet_blob *blob, uint64_t off, const uint8_t *bytes, size_t len);
void take_back(void);

#endif
