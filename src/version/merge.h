/* SPDX-License-Identifier: MIT */
/*
 * merge.h - the three-way merge of two versions into a transaction.
 *
 * What theirs has otherwise than base is done to ours, entry by entry, in key order; an entry that
 * ours has otherwise than base, too, is for a policy to decide, or is a conflict. Nothing but the
 * entries that differ is read, and nothing is collected: memory is O(depth) beside the
 * transaction's own pages. No page of theirs becomes one of ours.
 */
#ifndef RMT_MERGE_H
#define RMT_MERGE_H

#include "store/txn.h"
#include "version/policy.h"

struct rmt_merge {
    const struct ramet_merge_options *options;
    struct ramet_txn *ours;   /* written */
    struct ramet_txn *base;   /* NULL: nothing */
    struct ramet_txn *theirs; /* NULL: nothing */
    bool drafting;            /* ours is a base that is put together of two */
    bool keep;                /* conflicts are noted in ours */
    bool quiet;               /* no callbacks */
    struct rmt_arena arena;   /* values of one entry, put together */
    struct rmt_policy_scratch scratch;
    uint64_t changes, conflicts;
    uint64_t seen; /* entries that differ between base and theirs */
};

/* 0 also with conflicts. */
int rmt_merge_run(struct rmt_merge *merge);
void rmt_merge_fini(struct rmt_merge *merge);

/* An entry of the map of conflicts (FORMAT.md 6.9), judged and decoded: both->base, ours and theirs
 * point into record. */
int rmt_conflict_load(const struct rmt_pages *pages, struct ramet_slice record,
                      struct ramet_conflict *both);

#endif
