/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#ifdef RMT_SLOW_CHECKS
static _Thread_local unsigned held; /* one bit a rank */
#endif

void rmt_lock_init(struct rmt_lock *lock, enum rmt_lock_rank rank)
{
    rmt_assert(pthread_mutex_init(&lock->mutex, NULL) == 0);
    lock->rank = rank;
}

void rmt_lock_fini(struct rmt_lock *lock)
{
    rmt_assert(pthread_mutex_destroy(&lock->mutex) == 0);
}

void rmt_lock_take(struct rmt_lock *lock)
{
#ifdef RMT_SLOW_CHECKS
    rmt_assert(held >> lock->rank == 0);
#endif
    rmt_assert(pthread_mutex_lock(&lock->mutex) == 0);
#ifdef RMT_SLOW_CHECKS
    held |= 1u << lock->rank;
#endif
}

void rmt_lock_give(struct rmt_lock *lock)
{
#ifdef RMT_SLOW_CHECKS
    held &= ~(1u << lock->rank);
#endif
    rmt_assert(pthread_mutex_unlock(&lock->mutex) == 0);
}

void rmt_lock_wait(struct rmt_lock *lock, pthread_cond_t *cond)
{
    rmt_assert(pthread_cond_wait(cond, &lock->mutex) == 0);
}
