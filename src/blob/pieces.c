/* SPDX-License-Identifier: MIT */
#include "blob/pieces.h"

#include "base/vec.h"

void rmt_pieces_fini(struct rmt_pieces *pieces)
{
    rmt_vec_fini(pieces);
}

bool rmt_pieces_push(struct rmt_pieces *pieces, struct rmt_piece piece)
{
    struct rmt_piece *last = pieces->count ? &pieces->items[pieces->count - 1] : NULL;
    if (last && last->page + last->count == piece.page &&
        (!piece.addr || last->addr + last->count == piece.addr)) {
        last->count += piece.count;
        return true;
    }
    return rmt_vec_push(pieces, piece);
}

static int by_page(const void *a, const void *b)
{
    const struct rmt_piece *x = a, *y = b;
    return (x->page > y->page) - (x->page < y->page);
}

void rmt_pieces_settle(struct rmt_pieces *pieces)
{
    size_t n = 0;
    if (pieces->count)
        qsort(pieces->items, pieces->count, sizeof(pieces->items[0]), by_page);
    for (size_t i = 0; i < pieces->count; i++) {
        struct rmt_piece piece = pieces->items[i], *last = n ? &pieces->items[n - 1] : NULL;
        if (last && piece.page <= last->page + last->count)
            last->count = rmt_max(last->page + last->count, piece.page + piece.count) - last->page;
        else
            pieces->items[n++] = piece;
    }
    pieces->count = n;
}

/* The first piece that ends behind a page. */
static size_t find_piece(const struct rmt_pieces *pieces, uint64_t page)
{
    size_t lo = 0, hi = pieces->count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (pieces->items[mid].page + pieces->items[mid].count <= page)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool rmt_pieces_have(const struct rmt_pieces *pieces, uint64_t page)
{
    size_t i = find_piece(pieces, page);
    return i < pieces->count && pieces->items[i].page <= page;
}

void rmt_pieces_trim(struct rmt_pieces *pieces, uint64_t from)
{
    size_t left = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        struct rmt_piece piece = pieces->items[i];
        piece.count = piece.page < from ? rmt_min(piece.count, from - piece.page) : 0;
        if (piece.count)
            pieces->items[left++] = piece;
    }
    pieces->count = left;
}

bool rmt_pieces_subtract(const struct rmt_pieces *from, const struct rmt_pieces *others,
                         struct rmt_pieces *out)
{
    for (size_t i = 0; i < from->count; i++) {
        uint64_t page = from->items[i].page, end = page + from->items[i].count;
        for (size_t j = find_piece(others, page); page < end; j++) {
            bool last = j == others->count || others->items[j].page >= end;
            uint64_t to = last ? end : others->items[j].page;
            struct rmt_piece left = {.page = page, .count = to - rmt_min(page, to)};
            if (left.count && !rmt_pieces_push(out, left))
                return false;
            page = last ? end : others->items[j].page + others->items[j].count;
        }
    }
    return true;
}

void rmt_pieces_swap(struct rmt_pieces *a, struct rmt_pieces *b)
{
    struct rmt_pieces was = *a;
    *a = *b;
    *b = was;
}
