/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include "base/base.h"

#define BLOCK_SIZE ((size_t)16 << 10)

struct rmt_arena_block {
    struct rmt_arena_block *next;
    size_t size;
    _Alignas(16) uint8_t data[];
};

void *rmt_arena_alloc(struct rmt_arena *arena, size_t size)
{
    size_t want;
    if (!rmt_add(size, (size_t)15, &want))
        return NULL;
    want &= ~(size_t)15;
    if (!arena->blocks || arena->blocks->size - arena->used < want) {
        size_t bytes = want > BLOCK_SIZE ? want : BLOCK_SIZE;
        struct rmt_arena_block *block;
        if (!rmt_add(bytes, sizeof(*block), &want) || !(block = malloc(want)))
            return NULL;
        block->size = bytes;
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
        want = (size + 15) & ~(size_t)15;
    }
    void *p = arena->blocks->data + arena->used;
    arena->used += want;
    return p;
}

void rmt_arena_fini(struct rmt_arena *arena)
{
    while (arena->blocks) {
        struct rmt_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}
