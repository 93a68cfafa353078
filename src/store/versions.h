/* SPDX-License-Identifier: MIT */
/*
 * versions.h - the tree of versions: who owns a page, and when it is free.
 *
 * Inner vertices are snapshots, leaves are heads (or snapshots that nothing follows); each has one
 * prev. What a branch keeps, and under which name, are labels: reclamation looks at the tree alone.
 *
 *   For a version X on P, horizon = P.id (0 if there is no P):
 *   V1  the pages of X born after the horizon are those that P has not: X.owned_pages counts them
 *   V2  X's deadlist is exactly what P reaches and X does not
 *   V3  X.total = P.total - pages(X's deadlist) + X.owned
 *   V4  a snapshot that nobody keeps or pins has two children at least, or one, and something has
 *       merged it (merged.h): it is their merge base
 *   V5  a snapshot's id is that of the commit that last moved the head, not of the one that keeps
 *       it
 *   V6  a head keeps its number as long as what it goes on to stands on what it was: another number
 *       means that the branch was reset, or made anew
 *
 * All functions but the first change the catalog of a commit.
 */
#ifndef RMT_VERSIONS_H
#define RMT_VERSIONS_H

#include "store/catalog.h"

/* 0, or the id of the version below. */
int rmt_version_horizon(struct rmt_pages *pages, const struct rmt_tree *catalog,
                        const struct rmt_version *v, uint64_t *out);

/* The head of a branch moves to a new root: written pages were queued for it, gone is what it
 * replaced. (R3) */
int rmt_version_move(struct rmt_commit *c, struct rmt_version *head, struct rmt_ref root,
                     uint64_t written, const struct rmt_runs *gone);

/* Makes the head a snapshot, upon which it goes on; an unmoved head's is found again. (R1)
 * head is as it is afterwards. */
int rmt_version_snapshot(struct rmt_commit *c, struct rmt_version *head, struct rmt_version *out);
/* A branch keeps a snapshot, by a name (keep may be NULL, its name too). -EEXIST: the name is
 * taken. */
int rmt_version_keep(struct rmt_commit *c, const char *branch_name, struct rmt_branch *branch,
                     struct rmt_version *snapshot, const struct ramet_keep *keep);
/* A snapshot (0: none) may not be needed any more. It stays where it is until all is settled: so
 * versions that a caller has at hand stay as they are. */
int rmt_version_tidy(struct rmt_commit *c, uint64_t number);
/* What is not needed goes, and what that lets go. At the end of what a commit is to change. */
int rmt_version_settle(struct rmt_commit *c);
/* A snapshot stays until it is unpinned, without a branch that keeps it: no ref finds it. Whoever
 * pins writes a record of it, by which ramet_check() counts. */
int rmt_version_pin(struct rmt_commit *c, uint64_t number);
int rmt_version_unpin(struct rmt_commit *c, uint64_t number);
/* A new branch with a fresh head on the snapshot. */
int rmt_version_branch(struct rmt_commit *c, const char *name, struct rmt_version *snapshot);

/* The branch keeps a snapshot by a name no more. Number 0: whichever BRANCH@NAME names; name empty:
 * it was kept without one. branch is as it is afterwards. */
int rmt_version_forget(struct rmt_commit *c, const char *branch_name, struct rmt_branch *branch,
                       uint64_t number, const char *name);
/* No branch keeps the snapshot any more. */
int rmt_version_forget_all(struct rmt_commit *c, uint64_t number);
/* Drops a branch, its head, and all it keeps. */
int rmt_version_drop_branch(struct rmt_commit *c, const char *name);
/* Gives a branch a fresh head on a snapshot; its old head is swept. (R7) */
int rmt_version_reset(struct rmt_commit *c, const char *name, uint64_t snapshot);
/* The same, of a branch whose head did not move, to a snapshot that stands on what the head stands
 * on. What another branch (NULL: none) keeps of those between, this one keeps from now on. (R6) */
int rmt_version_forward(struct rmt_commit *c, const char *name, const char *from, uint64_t number);

/* Sweeps at most budget pages of what was dropped: sweep.c. (R4) */
int rmt_sweep_some(struct rmt_commit *c, uint64_t budget);
/* Calls fn for every page of data that a sweep has still to free. */
int rmt_sweep_left(struct rmt_pages *pages, const struct rmt_disk_sweep *sweep, rmt_run_fn fn,
                   void *ctx);

#endif
