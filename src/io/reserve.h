/* SPDX-License-Identifier: MIT */
/* reserve.h - large, sparse, zeroed memory: what is not touched costs nothing. */
#ifndef RMT_RESERVE_H
#define RMT_RESERVE_H

#include <stddef.h>

/* size bytes of zeros. NULL: the address space does not hold it. */
void *rmt_reserve_new(size_t size);
void rmt_reserve_free(void *p, size_t size);
/* All zeros again, its memory given back. */
void rmt_reserve_clear(void *p, size_t size);

#endif
