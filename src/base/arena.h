/* SPDX-License-Identifier: MIT */
/* arena.h - memory that is freed all at once: a transaction's scratch. */
#ifndef RMT_ARENA_H
#define RMT_ARENA_H

#include <stddef.h>

struct rmt_arena {
    struct rmt_arena_block *blocks;
    size_t used; /* of the first block */
};

/* size bytes, aligned to 16, until rmt_arena_fini(). NULL: no memory. */
void *rmt_arena_alloc(struct rmt_arena *arena, size_t size);
/* A zeroed arena is empty; fini leaves it so. */
void rmt_arena_fini(struct rmt_arena *arena);

#endif
