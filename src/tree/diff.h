/* SPDX-License-Identifier: MIT */
/*
 * diff.h - what differs between two trees, in key order, at the cost of the difference.
 *
 * References that are equal are the same page: where the two walks meet one, its subtree is
 * skipped, also where the trees were split differently around it. (Private pages too: the same
 * memory.)
 */
#ifndef RMT_DIFF_H
#define RMT_DIFF_H

#include "tree/tree.h"

/*
 * A position in one of the trees. Its path ends in a leaf, at an entry, or in an inner node, at a
 * child that was not opened yet: that is pending. So is, before all, the root.
 *
 *            rmt_diff_next
 *   pending -------------> opened or skipped -----> ... -----> done
 */
struct rmt_diff_side {
    struct rmt_ref root;
    const struct rmt_tree *shares; /* of its tree */
    struct rmt_cursor_step path[RMT_LEVEL_MAX + 1];
    uint32_t depth; /* of path; 0: the root is pending */
    bool done;
    bool low_known;
    size_t low_size;                 /* 0: there is no lower bound */
    uint8_t low[RAMET_KEY_MAX + 32]; /* no key from the position on is below it */
};

struct rmt_diff {
    struct rmt_pages *pages;
    struct ramet_slice from, to;
    struct rmt_diff_side sides[2]; /* old, new */
    uint8_t key[RAMET_KEY_MAX];
    bool places;     /* set after init: equal values in other pages are a difference, too */
    bool one_shares; /* on both sides a number of a shared page is that of the same page */
    uint64_t opened; /* pages that were looked at */
};

/* Entries with from <= key < to; a size of 0: no bound. from and to: borrowed, as long as diff is
 * used. Neither tree may be written meanwhile. */
void rmt_diff_init(struct rmt_diff *diff, struct rmt_pages *pages, const struct rmt_tree *old,
                   const struct rmt_tree *new, struct ramet_slice from, struct ramet_slice to);
/* 1: *key, *old and *new (data NULL: absent) are a difference, until the next call; 0: there are no
 * more; or a code. Values that are equal byte for byte are no difference, wherever they lie, but
 * for diff->places. */
int rmt_diff_next(struct rmt_diff *diff, struct ramet_slice *key, struct rmt_value *old,
                  struct rmt_value *new);

#endif
