/* SPDX-License-Identifier: MIT */
/*
 * single.h - commits of one entry in a store in memory, and of batches that only change values.
 *
 * Where one entry is changed, most of the work of a commit is what it does to the catalog: the
 * head's record, and the list of what was replaced. Here the catalog stays as it is. The head's
 * record is published beside it (page/overlay.h), and the pages that were replaced are noted in the
 * store. The next whole commit puts both into the catalog; there is one after RMT_SINGLES at the
 * latest, and only it gives pages free.
 *
 * A value that gives way to one of the same size does so in pages that are written at once, with
 * these bytes changed (tree/replace.c); all else goes by way of private pages.
 *
 *            rmt_single_write()                     any whole commit
 *   (whole) -------------------> overlaid --+ ------------------------> (whole)
 *                                  ^       | another, of the same branch
 *                                  +-------+
 *
 * In a file the same would lose what was acknowledged: a slot on disk has no room for a overlay.
 */
#ifndef RMT_SINGLE_H
#define RMT_SINGLE_H

#include "store/store.h"

#define RMT_SINGLES 48u

/*
 * rmt_single_write() - puts entries, or deletes one, in a commit of its own.
 *
 * @ref     a branch.
 * @count   of keys and values; of more than one, each is there and has a value of that size.
 * @values  data NULL: the entry is deleted.
 * @flags   of ramet_put(); 0 for more than one.
 * Returns 0, or 1: nothing has changed, and a transaction is to do it, or to say why it cannot be
 * done. So it is in a file; where the branch has a writer, or was not the last that was written to
 * in this way; while readers have let go of more than one commit gives free; the first time that a
 * page of a snapshot is replaced; of large batches; and with any failure.
 */
int rmt_single_write(struct ramet_store *store, const char *ref, const char *map, size_t count,
                     const struct ramet_slice *keys, const struct ramet_slice *values,
                     unsigned flags);

/* First thing in a whole commit, when it has looked at the readers: what is beside the catalog goes
 * into it. */
int rmt_single_settle(struct rmt_commit *c);
/* That commit was published. Commit lock held. */
void rmt_single_settled(struct ramet_store *store);
/* Calls fn for all pages that were replaced and are in no list of the catalog yet. Commit lock
 * held. */
int rmt_single_gone(const struct ramet_store *store, rmt_run_fn fn, void *ctx);
/* How many of these a reader of a version needs. Takes the commit lock, of a store in memory. */
uint64_t rmt_single_held(struct ramet_store *store, uint64_t version);
void rmt_single_free(struct rmt_single *single);

#endif
