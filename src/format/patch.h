/* SPDX-License-Identifier: MIT */
/*
 * patch.h - for fuzzers: bytes that say what is changed in pages which the engine wrote.
 *
 *   kind (1 byte)  block (2)  offset (2)  what the kind takes
 *
 * Numbers are taken modulo what there is, an offset with its top bit set counts from the block's
 * end, and what is missing is zero. So any bytes are patches, and a small change of them is one of
 * the pages.
 */
#ifndef RMT_PATCH_H
#define RMT_PATCH_H

#include "format/disk.h"

struct rmt_input {
    const uint8_t *p, *end;
};

/* A page, or a sector of the front. */
struct rmt_block {
    uint64_t off;
    uint32_t size; /* RMT_SECTOR_SIZE at least */
};

struct rmt_blocks {
    uint8_t *bytes;
    const struct rmt_block *items;
    uint32_t count; /* not 0 */
};

static inline uint64_t rmt_input_take(struct rmt_input *in, unsigned bytes)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < bytes && in->p < in->end; i++)
        n |= (uint64_t)*in->p++ << (8 * i);
    return n;
}

static inline const struct rmt_block *rmt_patch_block(struct rmt_input *in,
                                                      const struct rmt_blocks *blocks)
{
    return &blocks->items[rmt_input_take(in, 2) % blocks->count];
}

/* A place in a block with room for len bytes. */
static inline uint8_t *rmt_patch_place(struct rmt_input *in, const struct rmt_blocks *blocks,
                                       const struct rmt_block *block, uint32_t len)
{
    uint32_t off = (uint32_t)rmt_input_take(in, 2), room = block->size - len + 1;
    off = off & 0x8000 ? room - 1 - (off & 0x7fff) % room : off % room;
    return blocks->bytes + block->off + off;
}

/* A number in the place of another. */
static inline void rmt_patch_number(struct rmt_input *in, uint8_t *at, unsigned width)
{
    uint64_t n = rmt_input_take(in, width);
    memcpy(at, &n, width);
}

/* One patch. */
static inline void rmt_patch(struct rmt_input *in, const struct rmt_blocks *blocks)
{
    static const uint8_t widths[] = {1, 2, 4, 6, 8};
    unsigned kind = (unsigned)rmt_input_take(in, 1) % 11;
    const struct rmt_block *block = rmt_patch_block(in, blocks), *other;
    uint8_t *at, header[24];
    uint64_t len, by;
    switch (kind) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        at = rmt_patch_place(in, blocks, block, widths[kind]);
        rmt_patch_number(in, at, widths[kind]);
        break;
    case 5: /* a number is made a little larger or less */
        at = rmt_patch_place(in, blocks, block, 2);
        memcpy(header, at, 2);
        header[0] = (uint8_t)(header[0] + rmt_input_take(in, 1));
        memcpy(at, header, 2);
        break;
    case 6: /* a reference to another page */
        at = rmt_patch_place(in, blocks, block, 16);
        other = rmt_patch_block(in, blocks);
        memcpy(header, blocks->bytes + other->off, sizeof(header));
        memcpy(at, header + 8, 6);
        memcpy(at + 6, header + 16, 6);
        memset(at + 12, 0, 4);
        break;
    case 7: /* 16 bytes of another place */
        at = rmt_patch_place(in, blocks, block, 16);
        other = rmt_patch_block(in, blocks);
        memmove(at, rmt_patch_place(in, blocks, other, 16), 16);
        break;
    case 8: /* what another page holds; addr and birth stay */
        other = rmt_patch_block(in, blocks);
        if (block->size == other->size && block->size > RMT_SECTOR_SIZE)
            memmove(blocks->bytes + block->off + 24, blocks->bytes + other->off + 24,
                    block->size - 24);
        break;
    case 9: /* some bytes, as they are */
        at = rmt_patch_place(in, blocks, block, 64);
        len = rmt_min(rmt_input_take(in, 1) % 64, (uint64_t)(in->end - in->p));
        memcpy(at, in->p, len);
        in->p += len;
        break;
    default: /* bytes moved a little within the block, and zeros where they were */
        at = rmt_patch_place(in, blocks, block, 128);
        len = rmt_input_take(in, 1) % 64;
        by = rmt_input_take(in, 1) % 64;
        memmove(at + by, at, len);
        memset(at, 0, by);
    }
}

#endif
