/* SPDX-License-Identifier: MIT */
/*
 * layer.h - what was written to a disk and is not in the store yet: pages, and ranges of zeros.
 *
 * Pages stand in chunks of 64, found by hash: writes in a row share a chunk, and a chunk's number
 * and bits give the order in which a commit writes. A page is newer than a hole that covers it.
 *
 *   L1  holes ascend, and neither meet nor overlap
 *   L2  nr_pages is the count of bits in the chunks' masks
 *
 * Locks: none; the disk that has the layer has one.
 */
#ifndef RMT_NBDKIT_LAYER_H
#define RMT_NBDKIT_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"

#define RMT_CHUNK_PAGES 64u

struct rmt_chunk {
    uint64_t number;                 /* its first page / RMT_CHUNK_PAGES */
    uint64_t mask;                   /* which pages are there */
    uint8_t *pages[RMT_CHUNK_PAGES]; /* owned */
};

/* Pages [from, to). */
struct rmt_range {
    uint64_t from, to;
};

/* Ranges that ascend and do not overlap; owned: free(items). All zero: none. */
struct rmt_ranges {
    struct rmt_range *items;
    size_t count, room;
};

struct rmt_layer {
    struct rmt_chunk **slots; /* a power of two of them, each NULL or a chunk, owned */
    size_t nr_slots, nr_chunks;
    struct rmt_range *holes; /* owned */
    size_t nr_holes, room_holes;
    uint64_t nr_pages;
};

enum rmt_layer_kind { RMT_LAYER_NOTHING, RMT_LAYER_HOLE, RMT_LAYER_PAGE };

/* A layer that is all zero is empty. */
void rmt_layer_fini(struct rmt_layer *layer, struct rmt_pool *pool);
bool rmt_layer_empty(const struct rmt_layer *layer);
/* Memory that it takes. */
uint64_t rmt_layer_bytes(const struct rmt_layer *layer, size_t page_size);

/* What is known of a page; out_bytes, if it is one, is borrowed until it is written again. */
enum rmt_layer_kind rmt_layer_find(const struct rmt_layer *layer, uint64_t page,
                                   uint8_t **out_bytes);

/* Pages [page, page + count) of one chunk get new bytes. bytes: taken; then it has what they
 * replace, or NULLs. -ENOMEM: nothing was done. */
int rmt_layer_put(struct rmt_layer *layer, uint64_t page, size_t count, uint8_t **bytes);

/* Pages [from, to) become a hole. -ENOMEM: nothing was done. */
int rmt_layer_zero(struct rmt_layer *layer, struct rmt_pool *pool, uint64_t from, uint64_t to);

/* What the layer below has and this one does not say otherwise becomes this one's; the one below
 * is empty then. -ENOMEM: nothing was done. */
int rmt_layer_absorb(struct rmt_layer *layer, struct rmt_layer *below, struct rmt_pool *pool);

/* Appends what the layer has of pages [from, to): its pages, or its holes, of which pages may cover
 * parts. -ENOMEM: some may have been. */
int rmt_layer_list_pages(const struct rmt_layer *layer, uint64_t from, uint64_t to,
                         struct rmt_ranges *out);
int rmt_layer_list_holes(const struct rmt_layer *layer, uint64_t from, uint64_t to,
                         struct rmt_ranges *out);

/* Adds ranges that ascend to others. -ENOMEM: nothing was done. */
int rmt_ranges_add(struct rmt_ranges *ranges, const struct rmt_ranges *more);
/* Whether they have any of the pages [from, to). */
bool rmt_ranges_meet(const struct rmt_ranges *ranges, uint64_t from, uint64_t to);

/* Chunks that have pages, by their numbers: an array of layer->nr_chunks at most, owned: free().
 * -ENOMEM */
int rmt_layer_sort(const struct rmt_layer *layer, struct rmt_chunk ***out, size_t *out_count);

#endif
