/* SPDX-License-Identifier: MIT */
/*
 * pool.h - buffers of one page each, kept for the next write.
 *
 * Dirty pages come and go by the thousand in each write-back; given back to libc they would be
 * given back to the kernel, and every one be faulted in again.
 */
#ifndef RMT_NBDKIT_POOL_H
#define RMT_NBDKIT_POOL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct rmt_pool {
    pthread_mutex_t lock;
    size_t page_size; /* set once in init */
    size_t keep_max;  /* how many unused ones are kept; set once in init */
    void *unused;     /* guarded by lock, as nr_unused is; each begins with a pointer to the next */
    size_t nr_unused;
};

void rmt_pool_init(struct rmt_pool *pool, size_t page_size, size_t keep_max);
void rmt_pool_fini(struct rmt_pool *pool);

/* Fills pages[0..count) with buffers, owned: rmt_pool_put(). -ENOMEM: with none. */
int rmt_pool_get(struct rmt_pool *pool, size_t count, uint8_t **pages);
/* Takes buffers; a NULL among them is passed over. */
void rmt_pool_put(struct rmt_pool *pool, size_t count, uint8_t *const *pages);
/* Gives what is unused back to libc. */
void rmt_pool_trim(struct rmt_pool *pool);

#endif
