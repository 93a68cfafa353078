/* SPDX-License-Identifier: MIT */
/*
 * cursors.h - how far the watchers that go on after a restart have come: keys w.
 *
 *              rmt_cursors_offer         rmt_cursors_advance
 *   at = A  ----------------------> at = A, next = B ----------------------> at = B
 *
 *   W1  at and next are snapshots, and pinned by this (V4): so what is to come can be told
 *       exactly, however long it takes, and whatever becomes of the branch
 *   W2  a cursor that is in use is claimed, by its number (claims.h)
 *   W3  it does not go with its branch: it says so, and what it pins, until it is deleted
 */
#ifndef RMT_CURSORS_H
#define RMT_CURSORS_H

#include "store/catalog.h"

struct rmt_durable {
    uint64_t number, at, next, branch, line;
    int64_t time_us;
    char branch_name[RAMET_NAME_MAX + 1];
};

/* Judges and decodes a record. */
int rmt_cursors_load(const struct rmt_pages *pages, struct ramet_slice record,
                     struct rmt_durable *out);
/* RAMET_ENOTFOUND, without a message: there is none of that name. */
int rmt_cursors_find(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *name,
                     struct rmt_durable *out);
/* Pages that a cursor alone keeps from being reclaimed. */
int rmt_cursors_pinned(struct rmt_pages *pages, const struct rmt_tree *catalog,
                       const struct rmt_durable *durable, uint64_t *out);
/* The same, of all there are, in the newest version. */
int rmt_cursors_sum(struct ramet_store *store, uint64_t *out);

/* -EBUSY: somebody watches with it, or deletes it. */
int rmt_cursors_claim(struct ramet_store *store, const char *name, uint64_t number);
/* True: somebody has claimed it, here or in another process. */
bool rmt_cursors_in_use(struct ramet_store *store, uint64_t number);
void rmt_cursors_release(struct ramet_store *store, uint64_t number);

/* ---- within a commit ------------------------------------------------------------------------- */

/* Writes a new one, and pins what it is at. Its number is drawn. */
int rmt_cursors_create(struct rmt_commit *c, const char *name, struct rmt_durable *durable);
/* A snapshot is given out; the one that was before is so no more. */
int rmt_cursors_offer(struct rmt_commit *c, const char *name, struct rmt_durable *durable,
                      uint64_t number);
/* What was given out is acknowledged. durable: branch and line as they are to be. */
int rmt_cursors_advance(struct rmt_commit *c, const char *name, struct rmt_durable *durable);
int rmt_cursors_delete(struct rmt_commit *c, const char *name);

#endif
