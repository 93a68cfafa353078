/* SPDX-License-Identifier: MIT */
/* alone.h - what the measurements of ramet alone have in common. */
#ifndef BENCH_ALONE_H
#define BENCH_ALONE_H

#include <ramet.h>

#include "bench.h"

/* Ends the program, with what ramet says, if this is a code. */
void must(int64_t rc);
struct ramet_store *open_unflushed(const char *path);
/* One commit of entries shuffled[at], shuffled[at + step], ..., with the values of that salt. */
void write_some(struct ramet_store *store, const char *branch, const struct entries *e, size_t at,
                size_t step, size_t count, uint32_t salt);

/* Of a generator that begins anew in each process. */
uint64_t some(uint64_t below);
void wall(struct result *out, double ns);

/* The blob that images are; in a write transaction it is made if it is not there. */
void open_blob(struct ramet_store *store, const char *ref, unsigned flags, struct ramet_txn **txn,
               struct ramet_blob **blob);
/* One commit of so many bytes of data, in a blob of size bytes. */
void make_image(struct ramet_store *store, uint64_t data, uint64_t size);
/* Scattered pages of a fresh clone, in one commit. */
void write_pages(struct ramet_store *store, const char *branch, const char *from, uint64_t bytes,
                 size_t count);

#endif
