/* SPDX-License-Identifier: MIT */
/*
 * pieces.h - lists of runs of a blob's pages.
 *
 * A piece is pages that lie side by side in the blob; one with an address is a run of the file,
 * too, and its pages lie side by side there as well. A list is in any order until it is settled.
 * Those that take a settled list say so.
 */
#ifndef RMT_PIECES_H
#define RMT_PIECES_H

#include "base/base.h"

struct rmt_piece {
    uint64_t page, count;
    uint64_t addr; /* of the first page in the file; 0: of no interest */
};

struct rmt_pieces {
    struct rmt_piece *items;
    size_t count, capacity;
};

void rmt_pieces_fini(struct rmt_pieces *pieces);
RMT_AUTO_VALUE(rmt_pieces_fini, struct rmt_pieces)

/* Adds a piece behind all others; to the last one, if it follows that. False: no memory. */
bool rmt_pieces_push(struct rmt_pieces *pieces, struct rmt_piece piece);
/* Of pieces without addresses: in order, and no two that touch. */
void rmt_pieces_settle(struct rmt_pieces *pieces);
/* Whether a settled list has a page. */
bool rmt_pieces_have(const struct rmt_pieces *pieces, uint64_t page);
/* Pages from one on go. */
void rmt_pieces_trim(struct rmt_pieces *pieces, uint64_t from);
/* Pages of one list that another has not, both settled, are added to out. False: no memory. */
bool rmt_pieces_subtract(const struct rmt_pieces *from, const struct rmt_pieces *others,
                         struct rmt_pieces *out);
void rmt_pieces_swap(struct rmt_pieces *a, struct rmt_pieces *b);

#endif
