/* SPDX-License-Identifier: MIT */
/*
 * writers.h - who writes to a branch: one transaction at a time, of all processes.
 *
 * A commit that waits for its flush has its head already: the next transaction of this process
 * begins at it, commits into the next group, and fails with it. Other processes see nothing of this
 * until it is published: for as long the process keeps the branch's byte lock.
 *
 *          rmt_branch_lock         rmt_branch_pass           rmt_branch_settle
 *   (none) --------------> held --------------------> queued -----------------> (none)
 *     ^                    | ^  \                        |
 *     +--------------------+ +---\-----------------------+
 *      rmt_branch_unlock          rmt_branch_lock
 */
#ifndef RMT_WRITERS_H
#define RMT_WRITERS_H

#include "store/catalog.h"

struct rmt_branch_writer {
    struct rmt_branch_writer *next;
    uint64_t branch;         /* number */
    bool held;               /* by a transaction, */
    pthread_t thread;        /* of this thread */
    uint64_t group;          /* that the newest head is queued in; 0: it is published */
    struct rmt_version head; /* if it is queued */
    unsigned in_a_row;       /* transactions since the byte lock was taken */
    unsigned waiting;
    pthread_cond_t cond; /* the branch can be had, or is to be looked at again */
};

/*
 * rmt_branch_lock() - the writer lock of a branch.
 *
 * @nowait  -EBUSY instead of waiting.
 * @head    NULL: only with a published head, else -EBUSY if nowait. Else 1 is returned, and *head
 *          set, if the head to begin at is queued.
 * Returns 0 or 1; -EBUSY; -EDEADLK: this thread has it already; -ENOMEM.
 */
int rmt_branch_lock(struct ramet_store *store, uint64_t branch, bool nowait,
                    struct rmt_version *head);
void rmt_branch_unlock(struct ramet_store *store, uint64_t branch);
/* Instead of rmt_branch_unlock(): the head that the transaction made waits, in a group of commits,
 * for its flush. */
void rmt_branch_pass(struct ramet_store *store, uint64_t branch, const struct rmt_version *head,
                     uint64_t group);
/* True if nobody writes to the branch, and no head of it is queued; then nobody begins to write to
 * any branch until rmt_branch_leave(). */
bool rmt_branch_hold(struct ramet_store *store, uint64_t branch);
void rmt_branch_leave(struct ramet_store *store);
/* The group that the newest head of a branch is queued in; 0: that is published. */
uint64_t rmt_branch_group(struct ramet_store *store, uint64_t branch);
/* The group is published, or has failed. True if a transaction began at a head that was still
 * queued in it. */
bool rmt_branch_settle(struct ramet_store *store, uint64_t group);

#endif
