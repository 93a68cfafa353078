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

#endif
