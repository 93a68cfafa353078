/* SPDX-License-Identifier: MIT */
/*
 * merged.h - what merges leave beside the tree of versions: which versions have merged which, and
 * the snapshots that are pinned to be the base of the next merge.
 *
 *   E1  a version has the changes of what it stands on, and of what it has merged (keys g; and G
 *       the other way round), with all that those have
 *   E2  what goes without a child is merged no more: what had merged it has merged what that stood
 *       on, and what that had merged. With a child it does not go while something has merged it
 *       (V4). What a snapshot had merged its child has merged. So what a version has does not
 *       change, but for what is gone. What says nothing new is not said: nothing has merged what it
 *       stands on, nor two of which one stands on the other
 *   E3  a pin (keys p; and P the other way round) names branches that are there: source, target,
 *       the source's snapshot that the target merged last, and one that is being merged. Both are
 *       counted as pinned
 *
 * Both are labels: nobody's pages are shared by them. All functions but the first change the
 * catalog of a commit.
 */
#ifndef RMT_MERGED_H
#define RMT_MERGED_H

#include "store/catalog.h"

struct rmt_numbers {
    uint64_t *items;
    size_t count, capacity;
};
void rmt_numbers_fini(struct rmt_numbers *numbers);
RMT_AUTO_VALUE(rmt_numbers_fini, struct rmt_numbers)

/* Numbers of what a version has merged, added to out. */
int rmt_merged_sources(struct rmt_pages *pages, const struct rmt_tree *catalog, uint64_t number,
                       struct rmt_numbers *out);

/* A snapshot has merged another. It is written. */
int rmt_merged_add(struct rmt_commit *c, struct rmt_version *version, uint64_t source);
/* 1 if something has merged a snapshot; 0; or a code. */
int rmt_merged_by_any(struct rmt_commit *c, const struct rmt_version *version);
/* What from had merged to has merged: the snapshot that a head became. The caller writes it. */
int rmt_merged_move(struct rmt_commit *c, struct rmt_version *from, struct rmt_version *to);
/* A version goes, and its child, which the caller writes, stays (NULL: it has none). */
int rmt_merged_drop(struct rmt_commit *c, struct rmt_version *version, struct rmt_version *child);

/* ---- pins ------------------------------------------------------------------------------------ */

struct rmt_pin {
    uint64_t source, target; /* numbers of branches; source 0: of no branch */
    uint64_t base;           /* number of a snapshot; 0: none */
    uint64_t next;           /* the one that is being merged; 0: none */
};

/* RAMET_ENOTFOUND, without a message: there is none. */
int rmt_pin_find(struct rmt_pages *pages, const struct rmt_tree *catalog, uint64_t source,
                 uint64_t target, struct rmt_pin *out);
/* A snapshot is being merged; one that was left by a merge that died goes. */
int rmt_pin_begin(struct rmt_commit *c, uint64_t source, uint64_t target, uint64_t number);
/* It was merged: the base of the next merge; or, if not, nothing. If another one has taken its
 * place meanwhile, that stays. */
int rmt_pin_end(struct rmt_commit *c, uint64_t source, uint64_t target, uint64_t number,
                bool merged);
/* A branch is dropped, or reset: its pins go. */
int rmt_pin_drop(struct rmt_commit *c, uint64_t branch);

#endif
