/* SPDX-License-Identifier: MIT */
/*
 * ancestors.h - ancestors in the tree of versions: what a version stands on, and so on.
 *
 * Ids descend on the way, and versions jump to ancestors further up (skip; skew-binary jump
 * pointers, Myers, 1983): O(log n) lookups, as long as what they jump to was not pruned. Then the
 * way is longer, and no less right.
 */
#ifndef RMT_ANCESTORS_H
#define RMT_ANCESTORS_H

#include "store/catalog.h"

/* A head that did not move since it was snapshotted becomes that snapshot. */
int rmt_ancestor_settle(struct rmt_pages *pages, const struct rmt_tree *catalog,
                        struct rmt_version *v);
/* *v becomes its first ancestor, or itself, whose id is at most id. 1; 0: there is none, and v is
 * left as it was. */
int rmt_ancestor_climb(struct rmt_pages *pages, const struct rmt_tree *catalog,
                       struct rmt_version *v, uint64_t id);
/* 1 if v is, or stands on, the snapshot with a number and an id; 0; or a code. */
int rmt_ancestor_is(struct rmt_pages *pages, const struct rmt_tree *catalog,
                    const struct rmt_version *v, uint64_t number, uint64_t id);
/* The newest snapshot that both are or stand on. 1; 0: there is none. */
int rmt_ancestor_common(struct rmt_pages *pages, const struct rmt_tree *catalog,
                        const struct rmt_version *a, const struct rmt_version *b,
                        struct rmt_version *out);

#endif
