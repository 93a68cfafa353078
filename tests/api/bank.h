/* SPDX-License-Identifier: MIT */
/*
 * bank.h - contents of a branch that show whether they are one whole version.
 *
 * Three maps. `bank`: accounts, whose balances add up to the same in every version; some values are
 * large. `pad`: keys that come and go. `meta`: one record with the version's number, the number of
 * entries and a checksum of each of the other maps. Every change adds one to the number, so a
 * branch's number is the number of commits it has seen. Failures are fatal().
 */
#ifndef BANK_H
#define BANK_H

#include <stdbool.h>
#include <stdint.h>

#include "ramet.h"

#define BANK_ACCOUNTS 48
#define BANK_TOTAL 1000000

struct bank_meta {
    uint64_t number;   /* of the version: 0 when it was made */
    uint64_t bank_sum; /* sum of the checksums of its entries, as of pad */
    uint64_t pad_sum, pad_count;
    uint64_t note; /* what the last writer put here */
};

/* Fills an empty write transaction. */
void bank_make(struct ramet_txn *txn);
/* One change, within a write transaction; sometimes parts of it are rolled back. out: as it is now.
 */
void bank_change(struct ramet_txn *txn, uint64_t *random, uint64_t note, struct bank_meta *out);
/* The record alone. */
void bank_peek(struct ramet_txn *txn, struct bank_meta *out);

/* The three maps of a transaction, to be looked at by several threads. */
struct bank {
    struct ramet_map *bank, *pad, *meta;
};
void bank_open(struct ramet_txn *txn, struct bank *out);
/* Reads all of a version, in one of several ways, and demands that it is whole. */
void bank_verify(const struct bank *bank, uint64_t *random, struct bank_meta *out);
/* bank_open() and bank_verify(). */
void bank_verify_txn(struct ramet_txn *txn, uint64_t *random, struct bank_meta *out);

/* Of ramet_check(): fatal() for every problem. */
void bank_check(struct ramet_store *store, unsigned flags);

#endif
