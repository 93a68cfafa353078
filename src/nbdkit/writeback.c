/* SPDX-License-Identifier: MIT */
/* writeback.c - what was written to a disk on its way to the store, and onto the disk below. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "state.h"

/* How long a write may stay in memory alone though nobody flushes, and a version be kept from being
 * reclaimed though nobody reads. */
#define TICK_S 1

void rmt_writeback_account_locked(struct rmt_disk *disk)
{
    uint64_t now = rmt_layer_bytes(&disk->active, disk->service->page_size) +
                   rmt_layer_bytes(&disk->frozen, disk->service->page_size);
    atomic_fetch_add_explicit(&disk->service->dirty, now - disk->counted, memory_order_relaxed);
    disk->counted = now;
}

bool rmt_writeback_dirty_locked(const struct rmt_disk *disk)
{
    return !rmt_layer_empty(&disk->active) || !rmt_layer_empty(&disk->frozen);
}

/* What lies behind the end of a blob that somebody has made smaller is gone. */
static uint64_t clip(uint64_t off, uint64_t len, uint64_t size)
{
    return off >= size ? 0 : len < size - off ? len : size - off;
}

static int write_holes(struct ramet_blob *blob, const struct rmt_layer *layer, uint32_t page_size)
{
    int rc = 0;
    for (size_t i = 0; i < layer->nr_holes && rc == 0; i++) {
        const struct rmt_range *hole = &layer->holes[i];
        rc = ramet_blob_zero(blob, hole->from * page_size, (hole->to - hole->from) * page_size);
    }
    return rc;
}

static int write_chunk(struct ramet_blob *blob, const struct rmt_chunk *chunk, uint32_t page_size,
                       uint64_t size)
{
    int rc = 0;
    for (uint64_t mask = chunk->mask; mask && rc == 0; mask &= mask - 1) {
        size_t at = (size_t)__builtin_ctzll(mask);
        uint64_t off = (chunk->number * RMT_CHUNK_PAGES + at) * page_size;
        uint64_t len = clip(off, page_size, size);
        if (len)
            rc = ramet_blob_lend(blob, off, chunk->pages[at], (size_t)len);
    }
    return rc;
}

static int write_layer(struct rmt_disk *disk, struct ramet_blob *blob,
                       const struct rmt_layer *layer, bool holes_only)
{
    uint32_t page_size = disk->service->page_size;
    uint64_t size;
    int rc = ramet_blob_size(blob, &size);
    if (rc == 0)
        rc = write_holes(blob, layer, page_size);
    if (rc < 0 || holes_only)
        return rc;
    struct rmt_chunk **chunks = NULL;
    size_t count = 0;
    rc = rmt_layer_sort(layer, &chunks, &count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = write_chunk(blob, chunks[i], page_size, size);
    free(chunks);
    return rc;
}

static int commit_layer(struct rmt_disk *disk, const struct rmt_layer *layer, bool holes_only,
                        uint64_t *out_id)
{
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    int rc = ramet_begin(disk->service->store, disk->ref, RAMET_WRITE, &txn);
    if (rc < 0)
        return rc;
    rc = ramet_blob_open(txn, disk->name, 0, &blob);
    if (rc == 0)
        rc = write_layer(disk, blob, layer, holes_only);
    if (rc < 0) {
        ramet_abort(txn);
        return rc;
    }
    return ramet_commit(txn, NULL, out_id);
}

/* Commits the frozen layer, which is this thread's. On a full disk its holes go first: what they
 * free can be used when it is on disk that nobody needs it. */
static int commit_frozen(struct rmt_disk *disk, uint64_t *out_id)
{
    int rc = commit_layer(disk, &disk->frozen, false, out_id);
    if (rc != -ENOSPC || disk->frozen.nr_holes == 0 || disk->frozen.nr_pages == 0)
        return rc;
    for (int tries = 0; tries < 3 && rc == -ENOSPC; tries++) {
        if (commit_layer(disk, &disk->frozen, true, out_id) < 0)
            return rc;
        rmt_mutex_lock(&disk->lock);
        struct rmt_view *view = rmt_view_give_up_locked(disk);
        rmt_mutex_unlock(&disk->lock);
        rmt_view_put(view);
        if (ramet_sync(disk->service->store) < 0)
            return RAMET_EPOISONED;
        rc = commit_layer(disk, &disk->frozen, false, out_id);
    }
    return rc;
}

/* ---- what a failed flush may lose ------------------------------------------------------------ */

#define UNSURE_MAX 65536u /* ranges of pages */

void rmt_unsure_fini(struct rmt_unsure *unsure)
{
    free(unsure->pages.items);
    *unsure = (struct rmt_unsure){0};
}

/* A layer was committed. */
static void note_unsure(struct rmt_unsure *unsure, const struct rmt_layer *layer)
{
    struct rmt_ranges pages = {0}, holes = {0};
    int rc = unsure->all ? -ENOMEM : rmt_layer_list_pages(layer, 0, UINT64_MAX, &pages);
    if (rc == 0)
        rc = rmt_layer_list_holes(layer, 0, UINT64_MAX, &holes);
    if (rc == 0)
        rc = rmt_ranges_add(&unsure->pages, &pages);
    if (rc == 0)
        rc = rmt_ranges_add(&unsure->pages, &holes);
    free(pages.items);
    free(holes.items);
    if (rc == 0 && unsure->pages.count <= UNSURE_MAX)
        return;
    rmt_unsure_fini(unsure);
    unsure->all = true;
}

static bool is_unsure(const struct rmt_unsure *unsure, uint64_t from, uint64_t to)
{
    return unsure->all || rmt_ranges_meet(&unsure->pages, from, to);
}

bool rmt_writeback_lost_locked(const struct rmt_disk *disk, uint64_t from, uint64_t to)
{
    return disk->broken &&
           (is_unsure(&disk->unsure, from, to) || is_unsure(&disk->at_stake, from, to));
}

/* ---- writing back ---------------------------------------------------------------------------- */

int rmt_writeback_run_locked(struct rmt_disk *disk, bool quiet)
{
    struct rmt_service *service = disk->service;
    if (disk->broken)
        return rmt_disk_broken(disk);
    /* What was left there could not be put back for want of memory. */
    if (!rmt_layer_empty(&disk->frozen) &&
        rmt_layer_absorb(&disk->active, &disk->frozen, &service->pool) < 0)
        return rmt_disk_no_memory(disk);
    disk->frozen = disk->active;
    disk->active = (struct rmt_layer){0};
    uint64_t gen = disk->active_gen++;
    disk->epoch++;
    disk->writing = true;
    rmt_mutex_unlock(&disk->lock);
    uint64_t id = 0;
    int rc = commit_frozen(disk, &id);
    if (rc < 0 && !(quiet && disk->failing))
        (void)rmt_disk_failed(disk, "writing back", rc);
    rmt_mutex_lock(&disk->lock);
    disk->failing = rc < 0;
    disk->broken = disk->broken || rc == RAMET_EPOISONED;
    struct rmt_layer done = {0};
    struct rmt_view *view = disk->broken ? rmt_view_give_up_locked(disk) : NULL;
    if (rc == 0) {
        note_unsure(&disk->unsure, &disk->frozen);
        done = disk->frozen;
        disk->frozen = (struct rmt_layer){0};
        if (!view)
            view = rmt_view_give_up_locked(disk);
        disk->committed = gen;
        disk->commit_id = id;
    } else {
        (void)rmt_layer_absorb(&disk->active, &disk->frozen, &service->pool); /* else next time */
    }
    rmt_writeback_account_locked(disk);
    disk->writing = false;
    disk->epoch++;
    (void)pthread_cond_broadcast(&disk->changed);
    rmt_mutex_unlock(&disk->lock);
    rmt_view_put(view);
    rmt_layer_fini(&done, &service->pool);
    rmt_mutex_lock(&disk->lock);
    return rc;
}

void rmt_writeback_wait_locked(struct rmt_disk *disk)
{
    (void)pthread_cond_wait(&disk->changed, &disk->lock);
}

int rmt_writeback_commit_locked(struct rmt_disk *disk, uint64_t gen)
{
    int rc = 0;
    while (rc == 0 && disk->committed < gen) {
        if (disk->writing)
            rmt_writeback_wait_locked(disk);
        else
            rc = rmt_writeback_run_locked(disk, false);
    }
    return rc;
}

uint64_t rmt_writeback_newest_locked(const struct rmt_disk *disk)
{
    return rmt_layer_empty(&disk->active) ? disk->active_gen - 1 : disk->active_gen;
}

/* What is committed is brought onto the disk below. Unlocks meanwhile. */
static int sync_locked(struct rmt_disk *disk)
{
    uint64_t committed = disk->committed;
    struct rmt_view *view = NULL;
    disk->at_stake = disk->unsure;
    disk->unsure = (struct rmt_unsure){0};
    rmt_mutex_unlock(&disk->lock);
    int rc = ramet_sync(disk->service->store);
    if (rc < 0)
        (void)rmt_disk_failed(disk, "flushing", rc);
    rmt_mutex_lock(&disk->lock);
    if (rc == 0) {
        disk->durable = committed;
        rmt_unsure_fini(&disk->at_stake);
        return 0;
    }
    disk->broken = true;
    view = rmt_view_give_up_locked(disk);
    rmt_mutex_unlock(&disk->lock);
    rmt_view_put(view);
    rmt_mutex_lock(&disk->lock);
    return rc;
}

int rmt_writeback_flush_locked(struct rmt_disk *disk)
{
    uint64_t gen = rmt_writeback_newest_locked(disk);
    while (disk->flushing && disk->durable < gen)
        rmt_writeback_wait_locked(disk);
    if (disk->broken)
        return rmt_disk_broken(disk);
    if (disk->durable >= gen)
        return 0;
    disk->flushing = true;
    int rc = rmt_writeback_commit_locked(disk, gen);
    if (rc == 0)
        rc = sync_locked(disk);
    disk->flushing = false;
    (void)pthread_cond_broadcast(&disk->changed);
    return rc;
}

/* Waits for a point in time TICK_S from now, or to be woken. Returns whether it was not. */
static bool tick_locked(struct rmt_disk *disk)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_S;
    int rc = 0;
    while (rc == 0 && !disk->stop && !disk->hurry)
        rc = pthread_cond_clockwait(&disk->wake, &disk->lock, CLOCK_MONOTONIC, &until);
    return rc == ETIMEDOUT;
}

/* Nobody has anything to wait for: waits to be woken. */
static void idle_locked(struct rmt_disk *disk)
{
    disk->idle = true;
    disk->hurry = false; /* somebody was faster */
    if (atomic_load_explicit(&disk->service->dirty, memory_order_relaxed) == 0)
        rmt_pool_trim(&disk->service->pool);
    while (!disk->stop && !disk->view && !rmt_writeback_dirty_locked(disk))
        (void)pthread_cond_wait(&disk->wake, &disk->lock);
    disk->idle = false;
}

void *rmt_writeback_keep(void *arg)
{
    struct rmt_disk *disk = arg;
    rmt_mutex_lock(&disk->lock);
    while (!disk->stop) {
        if (!disk->view && !rmt_writeback_dirty_locked(disk)) {
            idle_locked(disk);
            continue;
        }
        uint64_t gen = rmt_writeback_newest_locked(disk);
        disk->view_used = false;
        bool passed = tick_locked(disk);
        bool hurry = disk->hurry;
        disk->hurry = false;
        /* What was there a tick ago; what fails is tried again in the next one. */
        if ((hurry || (passed && disk->committed < gen)) && !disk->writing && !disk->stop &&
            !disk->broken)
            (void)rmt_writeback_run_locked(disk, true);
        if (!passed || disk->view_used)
            continue;
        struct rmt_view *view = rmt_view_give_up_locked(disk);
        rmt_mutex_unlock(&disk->lock);
        rmt_view_put(view);
        rmt_mutex_lock(&disk->lock);
    }
    rmt_mutex_unlock(&disk->lock);
    return NULL;
}
