/* SPDX-License-Identifier: MIT */
/*
 * ancestry.h - the base of a merge: what two versions have in common at best.
 *
 * A version has the changes of what it stands on and of what it has merged (store/merged.h, E1). Of
 * the snapshots that both versions have, the best are those that none of the others has.
 */
#ifndef RMT_ANCESTRY_H
#define RMT_ANCESTRY_H

#include "store/merged.h"

/* One of the two. */
struct rmt_side {
    struct rmt_version version;
    uint64_t branch; /* number, if it is of one: what it merged last is known then; or 0 */
    bool past;       /* that has merged something since: what it merged last may be newer */
};

/*
 * rmt_ancestry_best() - the best common ancestors of two versions.
 *
 * @out  their numbers, newest first, added; none: they have nothing in common.
 *
 * Returns 0 or a code.
 * Cost: O(log n) lookups if neither has merged anything since the snapshot that both stand on, or
 * if nobody else stands on, or has merged, what one of them has become since then, or since the
 * last merge of the two; else the search.
 */
int rmt_ancestry_best(struct rmt_pages *pages, const struct rmt_tree *catalog,
                      const struct rmt_side *a, const struct rmt_side *b, struct rmt_numbers *out);

/*
 * The same of one that is put together of several snapshots, and so has what any of them has, and
 * another snapshot. By the search, always.
 *
 * Cost: O(snapshots of both that are newer than the best) or O(pairs of lines of which one has
 * something of the other), lookups and log n each, whichever is less: both are tried, by turns.
 */
int rmt_ancestry_best_of_all(struct rmt_pages *pages, const struct rmt_tree *catalog,
                             const uint64_t *a, size_t nr_a, uint64_t b, struct rmt_numbers *out);

/*
 * One search: that of git's merge-base, by descending age, painting. By lines, what is painted is a
 * line up to a version, and it leads to the newest that this has of each other line.
 *
 * @steps  versions to be looked at, or what they have of other lines, at most.
 *
 * Returns 1; 0 if that does not suffice; or a code.
 */
int rmt_ancestry_search(struct rmt_pages *pages, const struct rmt_tree *catalog, const uint64_t *a,
                        size_t nr_a, uint64_t b, bool by_lines, size_t steps,
                        struct rmt_numbers *out);

#endif
