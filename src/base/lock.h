/* SPDX-License-Identifier: MIT */
/*
 * lock.h - mutexes of one process, with their order.
 *
 * Locks are taken in ascending rank; a slow-check build aborts when a thread reverses the order.
 */
#ifndef RMT_LOCK_H
#define RMT_LOCK_H

#include <pthread.h>

#include "base/base.h"

enum rmt_lock_rank {
    RMT_RANK_NONE = 0,
    RMT_RANK_COMMIT,   /* catalog, space, limbo: all that a commit changes */
    RMT_RANK_BRANCHES, /* the table of branches that have a writer */
    RMT_RANK_SPACE,    /* what running transactions have reserved; growing the file */
    RMT_RANK_WATCHES,  /* watchers, and which of them are told of a commit */
    RMT_RANK_CLAIMS,   /* what has one user at a time: cursors, leases of blobs */
    RMT_RANK_TXNS,     /* the list of open transactions */
    RMT_RANK_ARENA,    /* a transaction's scratch memory */
    RMT_RANK_IO,       /* innermost: what io/ keeps for itself */
};

struct rmt_lock {
    pthread_mutex_t mutex;
    enum rmt_lock_rank rank;
};

void rmt_lock_init(struct rmt_lock *lock, enum rmt_lock_rank rank);
void rmt_lock_fini(struct rmt_lock *lock);
void rmt_lock_take(struct rmt_lock *lock);
void rmt_lock_give(struct rmt_lock *lock);
/* Waits on cond with lock held, as pthread_cond_wait(). */
void rmt_lock_wait(struct rmt_lock *lock, pthread_cond_t *cond);

static inline struct rmt_lock *rmt_lock_taken(struct rmt_lock *lock)
{
    rmt_lock_take(lock);
    return lock;
}
RMT_AUTO(rmt_lock_give, struct rmt_lock)

/* Holds a lock until the end of the scope. */
#define RMT_CAT_(a, b) a##b
#define RMT_CAT(a, b) RMT_CAT_(a, b)
#define rmt_lock_scope(l)                                                                        \
    rmt_auto(rmt_lock_give) struct rmt_lock *RMT_CAT(scope_, __LINE__) __attribute__((unused)) = \
        rmt_lock_taken(l)

#endif
