/* SPDX-License-Identifier: MIT */
/*
 * list.h - lists of page runs in the catalog: deadlists and limbo.
 *
 * A list is a record (key d or L, its last number is the list's own) that holds the newest runs,
 * and chunks of older ones (key l). It moves from a deadlist to another, or to limbo, by its record
 * alone.
 */
#ifndef RMT_LIST_H
#define RMT_LIST_H

#include "store/catalog.h"

struct rmt_list {
    struct rmt_key key;
    uint64_t number;
    uint64_t birth_min, birth_max, pages;
    uint32_t chunks, nr_runs;
    struct rmt_disk_list_run runs[RMT_LIST_RUNS_MAX];
};

/* A list that is not in the catalog yet. */
void rmt_list_init(struct rmt_list *list, const struct rmt_key *key, uint64_t number);
/* Judges and decodes a record. */
int rmt_list_load(struct rmt_list *list, const struct rmt_pages *pages, const struct rmt_key *key,
                  struct ramet_slice record);
/* Adds a run; the record is written by rmt_list_save(). */
int rmt_list_add(struct rmt_commit *c, struct rmt_list *list, struct rmt_run run);
int rmt_list_save(struct rmt_commit *c, const struct rmt_list *list);
/* Gives the record another key. */
int rmt_list_move(struct rmt_commit *c, struct rmt_list *list, const struct rmt_key *key);
/* Removes the record and its chunks. */
int rmt_list_del(struct rmt_commit *c, const struct rmt_list *list);
/* Calls fn for every run. The catalog must not be changed meanwhile. */
int rmt_list_each(struct rmt_pages *pages, const struct rmt_tree *catalog,
                  const struct rmt_list *list, rmt_run_fn fn, void *ctx);

/* ---- deadlists ------------------------------------------------------------------------------- */

/* The head replaced pages of the versions below it. */
int rmt_dead_add(struct rmt_commit *c, const struct rmt_version *head, const struct rmt_runs *runs);
/* The child's deadlist takes over what stays of it and that of the snapshot that folds into it;
 * entries born after floor go to limbo. out_freed: their pages. (R5) */
int rmt_dead_fold(struct rmt_commit *c, const struct rmt_version *snapshot,
                  const struct rmt_version *child, uint64_t floor, uint64_t *out_freed);
/* Pages of a deadlist that were born after floor. */
int rmt_dead_count(struct rmt_pages *pages, const struct rmt_tree *catalog, uint64_t owner,
                   uint64_t floor, uint64_t *out);
/* Throws a deadlist away. */
int rmt_dead_drop(struct rmt_commit *c, uint64_t owner);

/* ---- limbo ----------------------------------------------------------------------------------- */

/* Adds runs to the list of pages that this commit frees. */
int rmt_limbo_add(struct rmt_commit *c, const struct rmt_runs *runs, size_t from);
/* A list of pages that a commit before this one freed. */
int rmt_limbo_add_of(struct rmt_commit *c, uint64_t freed, const struct rmt_runs *runs);
/* Pages that nobody needs any more leave limbo. First thing in a commit. (R8) */
int rmt_limbo_release(struct rmt_commit *c);
/* True: whole commits are to go on with what readers let go of. */
static inline bool rmt_limbo_pending(const struct ramet_store *store)
{
    return store->limbo.at != UINT64_MAX;
}
/* A commit that released some came to nothing. */
void rmt_limbo_doubt(struct ramet_store *store);

#endif
