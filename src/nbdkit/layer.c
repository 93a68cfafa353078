/* SPDX-License-Identifier: MIT */
/* layer.c - pages and holes that are not in the store yet. */
#include "layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64u

void rmt_layer_fini(struct rmt_layer *layer, struct rmt_pool *pool)
{
    for (size_t i = 0; i < layer->nr_slots; i++) {
        struct rmt_chunk *chunk = layer->slots[i];
        if (chunk && chunk->mask)
            rmt_pool_put(pool, RMT_CHUNK_PAGES, chunk->pages);
        free(chunk);
    }
    free(layer->slots);
    free(layer->holes);
    *layer = (struct rmt_layer){0};
}

bool rmt_layer_empty(const struct rmt_layer *layer)
{
    return layer->nr_pages == 0 && layer->nr_holes == 0;
}

uint64_t rmt_layer_bytes(const struct rmt_layer *layer, size_t page_size)
{
    return layer->nr_pages * page_size + layer->nr_chunks * sizeof(struct rmt_chunk) +
           layer->nr_holes * sizeof(struct rmt_range);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

/* The slot that has a chunk, or the one where it would be put. There are slots, and a free one. */
static size_t slot_of(struct rmt_chunk *const *slots, size_t nr_slots, uint64_t number)
{
    size_t at = (size_t)((number * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (nr_slots - 1);
    while (slots[at] && slots[at]->number != number)
        at = (at + 1) & (nr_slots - 1);
    return at;
}

static struct rmt_chunk *find_chunk(const struct rmt_layer *layer, uint64_t number)
{
    return layer->nr_slots ? layer->slots[slot_of(layer->slots, layer->nr_slots, number)] : NULL;
}

/* Makes room for so many chunks: half of the slots stay free. */
static int reserve_chunks(struct rmt_layer *layer, size_t count)
{
    size_t wanted = layer->nr_slots ? layer->nr_slots : SLOTS_MIN;
    while (wanted < 2 * count)
        wanted *= 2;
    if (wanted == layer->nr_slots)
        return 0;
    struct rmt_chunk **slots = calloc(wanted, sizeof(struct rmt_chunk *));
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < layer->nr_slots; i++) {
        if (layer->slots[i])
            slots[slot_of(slots, wanted, layer->slots[i]->number)] = layer->slots[i];
    }
    free(layer->slots);
    layer->slots = slots;
    layer->nr_slots = wanted;
    return 0;
}

/* There is room. */
static void add_chunk(struct rmt_layer *layer, struct rmt_chunk *chunk)
{
    layer->slots[slot_of(layer->slots, layer->nr_slots, chunk->number)] = chunk;
    layer->nr_chunks++;
}

static struct rmt_chunk *get_chunk(struct rmt_layer *layer, uint64_t number)
{
    struct rmt_chunk *chunk = find_chunk(layer, number);
    if (chunk || reserve_chunks(layer, layer->nr_chunks + 1) < 0)
        return chunk;
    chunk = calloc(1, sizeof(*chunk));
    if (!chunk)
        return NULL;
    chunk->number = number;
    add_chunk(layer, chunk);
    return chunk;
}

/* ---- holes ----------------------------------------------------------------------------------- */

/* The first hole that ends behind a page; nr_holes: none does. */
static size_t hole_from(const struct rmt_layer *layer, uint64_t page)
{
    size_t lo = 0, hi = layer->nr_holes;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (layer->holes[mid].to <= page)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool in_hole(const struct rmt_layer *layer, uint64_t page)
{
    if (layer->nr_holes == 0)
        return false;
    size_t at = hole_from(layer, page);
    return at < layer->nr_holes && layer->holes[at].from <= page;
}

static int reserve_holes(struct rmt_layer *layer, size_t count)
{
    size_t room = layer->room_holes ? layer->room_holes : 16;
    while (room < count)
        room *= 2;
    if (room == layer->room_holes)
        return 0;
    struct rmt_range *holes = realloc(layer->holes, room * sizeof(*holes));
    if (!holes)
        return -ENOMEM;
    layer->holes = holes;
    layer->room_holes = room;
    return 0;
}

/* There is room for one more. Holes that it meets become one with it. */
static void add_hole(struct rmt_layer *layer, struct rmt_range hole)
{
    size_t first = hole.from ? hole_from(layer, hole.from - 1) : 0, last = first;
    for (; last < layer->nr_holes && layer->holes[last].from <= hole.to; last++) {
        if (layer->holes[last].from < hole.from)
            hole.from = layer->holes[last].from;
        if (layer->holes[last].to > hole.to)
            hole.to = layer->holes[last].to;
    }
    memmove(layer->holes + first + 1, layer->holes + last,
            (layer->nr_holes - last) * sizeof(*layer->holes));
    layer->holes[first] = hole;
    layer->nr_holes = layer->nr_holes + 1 - (last - first);
}

/* ---- pages ----------------------------------------------------------------------------------- */

enum rmt_layer_kind rmt_layer_find(const struct rmt_layer *layer, uint64_t page,
                                   uint8_t **out_bytes)
{
    if (layer->nr_pages) {
        const struct rmt_chunk *chunk = find_chunk(layer, page / RMT_CHUNK_PAGES);
        if (chunk && chunk->mask >> page % RMT_CHUNK_PAGES & 1) {
            *out_bytes = chunk->pages[page % RMT_CHUNK_PAGES];
            return RMT_LAYER_PAGE;
        }
    }
    return in_hole(layer, page) ? RMT_LAYER_HOLE : RMT_LAYER_NOTHING;
}

int rmt_layer_put(struct rmt_layer *layer, uint64_t page, size_t count, uint8_t **bytes)
{
    struct rmt_chunk *chunk = get_chunk(layer, page / RMT_CHUNK_PAGES);
    if (!chunk)
        return -ENOMEM;
    for (size_t i = 0, at = page % RMT_CHUNK_PAGES; i < count; i++, at++) {
        uint8_t *old = chunk->pages[at];
        chunk->pages[at] = bytes[i];
        bytes[i] = old;
        if (!old)
            layer->nr_pages++;
        chunk->mask |= UINT64_C(1) << at;
    }
    return 0;
}

/* Drops the chunk's pages that lie in [from, to). */
static void drop_pages(struct rmt_layer *layer, struct rmt_pool *pool, struct rmt_chunk *chunk,
                       uint64_t from, uint64_t to)
{
    uint64_t first = chunk->number * RMT_CHUNK_PAGES, mask = ~UINT64_C(0);
    if (from > first)
        mask &= ~UINT64_C(0) << (from - first);
    if (to - first < RMT_CHUNK_PAGES)
        mask &= ~(~UINT64_C(0) << (to - first));
    for (mask &= chunk->mask; mask; mask &= mask - 1) {
        size_t at = (size_t)__builtin_ctzll(mask);
        rmt_pool_put(pool, 1, &chunk->pages[at]);
        chunk->pages[at] = NULL;
        chunk->mask &= ~(UINT64_C(1) << at);
        layer->nr_pages--;
    }
}

static void drop_range(struct rmt_layer *layer, struct rmt_pool *pool, uint64_t from, uint64_t to)
{
    if (layer->nr_pages == 0)
        return;
    uint64_t first = from / RMT_CHUNK_PAGES, last = (to - 1) / RMT_CHUNK_PAGES;
    if (last - first >= layer->nr_slots) {
        for (size_t i = 0; i < layer->nr_slots; i++) {
            struct rmt_chunk *chunk = layer->slots[i];
            if (chunk && chunk->number >= first && chunk->number <= last)
                drop_pages(layer, pool, chunk, from, to);
        }
        return;
    }
    for (uint64_t number = first; number <= last; number++) {
        struct rmt_chunk *chunk = find_chunk(layer, number);
        if (chunk)
            drop_pages(layer, pool, chunk, from, to);
    }
}

int rmt_layer_zero(struct rmt_layer *layer, struct rmt_pool *pool, uint64_t from, uint64_t to)
{
    if (from >= to)
        return 0;
    int rc = reserve_holes(layer, layer->nr_holes + 1);
    if (rc < 0)
        return rc;
    drop_range(layer, pool, from, to);
    add_hole(layer, (struct rmt_range){from, to});
    return 0;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* A chunk of the layer below, which has no chunk of that number above it or gives its pages. */
static void absorb_chunk(struct rmt_layer *layer, struct rmt_pool *pool, struct rmt_chunk *below)
{
    uint64_t first = below->number * RMT_CHUNK_PAGES;
    struct rmt_chunk *chunk = find_chunk(layer, below->number);
    if (!chunk) {
        chunk = below;
        uint64_t mask = below->mask;
        layer->nr_pages += (uint64_t)__builtin_popcountll(mask);
        add_chunk(layer, chunk);
        for (; mask; mask &= mask - 1) {
            uint64_t page = first + (uint64_t)__builtin_ctzll(mask);
            if (in_hole(layer, page))
                drop_pages(layer, pool, chunk, page, page + 1);
        }
        return;
    }
    for (uint64_t mask = below->mask & ~chunk->mask; mask; mask &= mask - 1) {
        size_t at = (size_t)__builtin_ctzll(mask);
        if (in_hole(layer, first + at))
            continue;
        chunk->pages[at] = below->pages[at];
        chunk->mask |= UINT64_C(1) << at;
        below->pages[at] = NULL;
        layer->nr_pages++;
    }
    rmt_pool_put(pool, RMT_CHUNK_PAGES, below->pages);
    free(below);
}

int rmt_layer_absorb(struct rmt_layer *layer, struct rmt_layer *below, struct rmt_pool *pool)
{
    int rc = reserve_chunks(layer, layer->nr_chunks + below->nr_chunks);
    if (rc == 0)
        rc = reserve_holes(layer, layer->nr_holes + below->nr_holes);
    if (rc < 0)
        return rc;
    /* Its pages first: they know of this layer's holes, and are newer than its own. */
    for (size_t i = 0; i < below->nr_slots; i++) {
        if (below->slots[i])
            absorb_chunk(layer, pool, below->slots[i]);
    }
    for (size_t i = 0; i < below->nr_holes; i++)
        add_hole(layer, below->holes[i]);
    free(below->slots);
    free(below->holes);
    *below = (struct rmt_layer){0};
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct rmt_chunk *const *x = a, *const *y = b;
    return (*x)->number < (*y)->number ? -1 : (*x)->number > (*y)->number;
}

int rmt_layer_sort(const struct rmt_layer *layer, struct rmt_chunk ***out, size_t *out_count)
{
    struct rmt_chunk **chunks = malloc((layer->nr_chunks + 1) * sizeof(struct rmt_chunk *));
    if (!chunks)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < layer->nr_slots; i++) {
        if (layer->slots[i] && layer->slots[i]->mask)
            chunks[n++] = layer->slots[i];
    }
    qsort(chunks, n, sizeof(struct rmt_chunk *), by_number);
    *out = chunks;
    *out_count = n;
    return 0;
}

/* ---- listing --------------------------------------------------------------------------------- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A range that does not begin before those that are there; it may be empty. */
static int add_range(struct rmt_ranges *ranges, uint64_t from, uint64_t to)
{
    if (from >= to)
        return 0;
    struct rmt_range *last = ranges->count ? &ranges->items[ranges->count - 1] : NULL;
    if (last && last->to >= from) {
        last->to = later(last->to, to);
        return 0;
    }
    if (ranges->count == ranges->room) {
        size_t room = ranges->room ? 2 * ranges->room : 16;
        struct rmt_range *items = realloc(ranges->items, room * sizeof(*items));
        if (!items)
            return -ENOMEM;
        ranges->items = items;
        ranges->room = room;
    }
    ranges->items[ranges->count++] = (struct rmt_range){from, to};
    return 0;
}

static int list_chunk(const struct rmt_chunk *chunk, uint64_t from, uint64_t to,
                      struct rmt_ranges *out)
{
    uint64_t first = chunk->number * RMT_CHUNK_PAGES;
    int rc = 0;
    for (uint64_t mask = chunk->mask; mask && rc == 0;) {
        unsigned at = (unsigned)__builtin_ctzll(mask), end = at;
        while (end < RMT_CHUNK_PAGES && mask >> end & 1)
            mask &= ~(UINT64_C(1) << end++);
        rc = add_range(out, later(first + at, from), earlier(first + end, to));
    }
    return rc;
}

int rmt_layer_list_pages(const struct rmt_layer *layer, uint64_t from, uint64_t to,
                         struct rmt_ranges *out)
{
    int rc = 0;
    if (from >= to || layer->nr_pages == 0)
        return 0;
    uint64_t first = from / RMT_CHUNK_PAGES, last = (to - 1) / RMT_CHUNK_PAGES;
    if (last - first < layer->nr_slots) {
        for (uint64_t number = first; number <= last && rc == 0; number++) {
            const struct rmt_chunk *chunk = find_chunk(layer, number);
            rc = chunk ? list_chunk(chunk, from, to, out) : 0;
        }
        return rc;
    }
    struct rmt_chunk **chunks = NULL;
    size_t count = 0;
    rc = rmt_layer_sort(layer, &chunks, &count);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = list_chunk(chunks[i], from, to, out);
    free(chunks);
    return rc;
}

int rmt_layer_list_holes(const struct rmt_layer *layer, uint64_t from, uint64_t to,
                         struct rmt_ranges *out)
{
    int rc = 0;
    for (size_t i = hole_from(layer, from); i < layer->nr_holes && rc == 0; i++) {
        if (layer->holes[i].from >= to)
            break;
        rc = add_range(out, later(layer->holes[i].from, from), earlier(layer->holes[i].to, to));
    }
    return rc;
}

/* ---- sets of pages --------------------------------------------------------------------------- */

int rmt_ranges_add(struct rmt_ranges *ranges, const struct rmt_ranges *more)
{
    struct rmt_ranges all = {0};
    int rc = 0;
    for (size_t i = 0, j = 0; rc == 0 && (i < ranges->count || j < more->count);) {
        bool old =
            j == more->count || (i < ranges->count && ranges->items[i].from <= more->items[j].from);
        const struct rmt_range *next = old ? &ranges->items[i++] : &more->items[j++];
        rc = add_range(&all, next->from, next->to);
    }
    free(rc < 0 ? all.items : ranges->items);
    if (rc == 0)
        *ranges = all;
    return rc;
}

bool rmt_ranges_meet(const struct rmt_ranges *ranges, uint64_t from, uint64_t to)
{
    size_t lo = 0, hi = ranges->count;
    while (lo < hi) { /* the first one that ends behind from */
        size_t mid = (lo + hi) / 2;
        if (ranges->items[mid].to <= from)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < ranges->count && ranges->items[lo].from < to && from < to;
}
