/* SPDX-License-Identifier: MIT */
/* pool.c - buffers of one page each. */
#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rmt_pool_init(struct rmt_pool *pool, size_t page_size, size_t keep_max)
{
    *pool = (struct rmt_pool){.page_size = page_size, .keep_max = keep_max};
    (void)pthread_mutex_init(&pool->lock, NULL); /* without attributes it cannot fail on Linux */
}

void rmt_pool_fini(struct rmt_pool *pool)
{
    rmt_pool_trim(pool);
    (void)pthread_mutex_destroy(&pool->lock);
}

static void *next_of(const void *page)
{
    void *next;
    memcpy(&next, page, sizeof(next));
    return next;
}

int rmt_pool_get(struct rmt_pool *pool, size_t count, uint8_t **pages)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&pool->lock);
    for (; n < count && pool->unused; n++) {
        pages[n] = pool->unused;
        pool->unused = next_of(pages[n]);
        pool->nr_unused--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    for (; n < count; n++) {
        pages[n] = malloc(pool->page_size);
        if (!pages[n]) {
            rmt_pool_put(pool, n, pages);
            return -ENOMEM;
        }
    }
    return 0;
}

void rmt_pool_put(struct rmt_pool *pool, size_t count, uint8_t *const *pages)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&pool->lock);
    for (; n < count && pool->nr_unused < pool->keep_max; n++) {
        if (!pages[n])
            continue;
        memcpy(pages[n], &pool->unused, sizeof(pool->unused));
        pool->unused = pages[n];
        pool->nr_unused++;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    for (; n < count; n++)
        free(pages[n]);
}

void rmt_pool_trim(struct rmt_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    void *page = pool->unused;
    pool->unused = NULL;
    pool->nr_unused = 0;
    (void)pthread_mutex_unlock(&pool->lock);
    while (page) {
        void *next = next_of(page);
        free(page);
        page = next;
    }
}
