/* SPDX-License-Identifier: MIT */
/*
 * flusher.c - the thread that makes commits of RAMET_LAZY durable in time; of RAMET_NONE it sends
 * ahead what a flush for want of room would wait for.
 */
#include <time.h>

#include "store/store.h"

/* A flush that begins so long after a commit is over in time on any disk that is not failing. */
#define DELAY_MS (RAMET_LAZY_MS / 2)

struct rmt_flusher {
    struct ramet_store *store;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the rest; taken with no other lock */
    pthread_cond_t cond;
    bool wanted, behind, stop;
};

static void wait_ms(struct rmt_flusher *f, uint64_t ms)
{
    uint64_t until_ms = f->store->io->ops->clock_ms(f->store->io) + ms;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    while (!f->stop && pthread_cond_timedwait(&f->cond, &f->mutex, &until) == 0)
        ;
}

static void send_ahead(const struct ramet_store *store)
{
    store->io->ops->sync_begin(store->io, store->pages.first << store->pages.page_shift);
}

static void *run(void *arg)
{
    struct rmt_flusher *f = arg;
    (void)pthread_mutex_lock(&f->mutex);
    while (!f->stop) {
        while (!f->wanted && !f->behind && !f->stop)
            (void)pthread_cond_wait(&f->cond, &f->mutex);
        if (f->stop)
            break;
        if (f->behind) {
            f->behind = false;
            (void)pthread_mutex_unlock(&f->mutex);
            send_ahead(f->store);
            (void)pthread_mutex_lock(&f->mutex);
            continue;
        }
        wait_ms(f, DELAY_MS);
        f->wanted = false;
        (void)pthread_mutex_unlock(&f->mutex);
        /* A flush that fails poisons the store: the log is told, and the next commit. */
        (void)rmt_store_sync(f->store);
        (void)pthread_mutex_lock(&f->mutex);
    }
    (void)pthread_mutex_unlock(&f->mutex);
    return NULL;
}

int rmt_flusher_new(struct ramet_store *store, struct rmt_flusher **out)
{
    struct rmt_flusher *f = calloc(1, sizeof(*f));
    pthread_condattr_t attr;
    if (!f)
        return rmt_fail(-ENOMEM, "the flusher");
    f->store = store;
    rmt_assert(pthread_mutex_init(&f->mutex, NULL) == 0);
    rmt_assert(pthread_condattr_init(&attr) == 0);
    rmt_assert(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    rmt_assert(pthread_cond_init(&f->cond, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);
    int rc = pthread_create(&f->thread, NULL, run, f);
    if (rc != 0) {
        (void)pthread_cond_destroy(&f->cond);
        (void)pthread_mutex_destroy(&f->mutex);
        free(f);
        return rmt_fail(-rc, "the flusher's thread");
    }
    *out = f;
    return 0;
}

static void wake(struct rmt_flusher *f, bool *why)
{
    (void)pthread_mutex_lock(&f->mutex);
    *why = true;
    (void)pthread_cond_signal(&f->cond);
    (void)pthread_mutex_unlock(&f->mutex);
}

void rmt_flusher_wake(struct rmt_flusher *f)
{
    wake(f, &f->wanted);
}

void rmt_flusher_behind(struct rmt_flusher *f)
{
    wake(f, &f->behind);
}

void rmt_flusher_free(struct rmt_flusher *f)
{
    if (!f)
        return;
    (void)pthread_mutex_lock(&f->mutex);
    f->stop = true;
    (void)pthread_cond_signal(&f->cond);
    (void)pthread_mutex_unlock(&f->mutex);
    (void)pthread_join(f->thread, NULL);
    (void)pthread_cond_destroy(&f->cond);
    (void)pthread_mutex_destroy(&f->mutex);
    free(f);
}
