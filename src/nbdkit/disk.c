/* SPDX-License-Identifier: MIT */
/* disk.c - a blob as a disk. */
#include "disk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long a write may stay in memory alone though nobody flushes, and a version be kept from being
 * reclaimed though nobody reads. */
#define TICK_S 1

/* A version of the store that some threads read. */
struct view {
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    _Atomic unsigned refs; /* the disk's, and one for each reader */
};

struct rmt_disk {
    struct rmt_service *service; /* set once in open, as ref, name and readonly */
    struct rmt_disk *next;       /* guarded by service->lock, as refs is */
    unsigned refs;               /* connections, and those that wait for open_lock */
    char *ref, *name;
    bool readonly;

    pthread_mutex_t open_lock;
    unsigned users;            /* connections; guarded by open_lock, as lease and keeper are */
    struct ramet_lease *lease; /* NULL: read-only */
    pthread_t keeper;          /* writes back what nobody flushes; not of a read-only disk */

    /* guarded by lock, all below */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a write-back or a flush has ended */
    pthread_cond_t wake;    /* for the keeper */
    struct view *view;      /* NULL: to be begun when somebody reads */
    bool view_used;         /* since the keeper looked */
    struct rmt_layer active, frozen;
    uint64_t counted;    /* bytes of both in service->dirty */
    uint64_t epoch;      /* counts swaps and zeroing: what was read below before one is void */
    uint64_t active_gen; /* generation of the active layer */
    uint64_t committed;  /* newest generation in the store */
    uint64_t durable;    /* newest generation on disk */
    uint64_t commit_id;  /* of the newest commit */
    uint64_t size;       /* as the last connection found it */
    bool writing;        /* the frozen layer belongs to a thread that commits it */
    bool flushing;
    bool idle;   /* the keeper waits without end */
    bool hurry;  /* the keeper is to write back now */
    bool stop;   /* the keeper is to end */
    bool broken; /* D4 */
    bool
        failing; /* the last write-back failed, and the log knows; of the thread that writes back */
};

static void lock(pthread_mutex_t *mutex)
{
    (void)pthread_mutex_lock(mutex); /* of these mutexes it cannot fail */
}

static void unlock(pthread_mutex_t *mutex)
{
    (void)pthread_mutex_unlock(mutex);
}

__attribute__((format(printf, 2, 3))) static void tell(const struct rmt_service *service,
                                                       const char *format, ...)
{
    char message[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    service->log(message);
}

static int no_memory(const struct rmt_disk *disk)
{
    tell(disk->service, "disk '%s' of '%s': out of memory", disk->name, disk->ref);
    return -ENOMEM;
}

/* Says why a call of the library failed. */
static int failed(const struct rmt_disk *disk, const char *what, int rc)
{
    if (rc == -ENOMEM)
        return no_memory(disk);
    const char *hint = "";
    if (rc == RAMET_EPOISONED)
        hint = "; look at the device, then start the server anew";
    else if (rc == -ENOSPC)
        hint = "; what was written stays in memory until there is room: make some, or trim";
    else if (rc == RAMET_ECORRUPT)
        hint = "; 'ramet check' lists all damage";
    tell(disk->service, "disk '%s' of '%s': %s: %s%s", disk->name, disk->ref, what, ramet_errmsg(),
         hint);
    return rc;
}

/* ---- the version that is read ---------------------------------------------------------------- */

static void view_put(struct view *view)
{
    if (!view || atomic_fetch_sub(&view->refs, 1) > 1)
        return;
    ramet_abort(view->txn);
    free(view);
}

static int broken(const struct rmt_disk *disk)
{
    tell(disk->service,
         "disk '%s' of '%s': the store has lost what was written, or cannot keep it; look at the "
         "device, then start the server anew",
         disk->name, disk->ref);
    return RAMET_EPOISONED;
}

static int view_begin(struct rmt_disk *disk, struct view **out)
{
    struct view *view = calloc(1, sizeof(*view));
    if (!view)
        return no_memory(disk);
    atomic_init(&view->refs, 1);
    int rc = ramet_begin(disk->service->store, disk->ref, RAMET_READ, &view->txn);
    if (rc == 0)
        rc = ramet_blob_open(view->txn, disk->name, 0, &view->blob);
    if (rc < 0) {
        ramet_abort(view->txn);
        free(view);
        return failed(disk, "opening it", rc);
    }
    *out = view;
    return 0;
}

/* out: view_put(). The disk is locked. */
static int view_get_locked(struct rmt_disk *disk, struct view **out)
{
    if (!disk->view) {
        int rc = view_begin(disk, &disk->view);
        if (rc < 0)
            return rc;
        /* A flush of another process failed, and with it our commit is gone. */
        if (ramet_txn_id(disk->view->txn) < disk->commit_id)
            disk->broken = true;
        if (disk->idle)
            (void)pthread_cond_signal(&disk->wake);
    }
    if (disk->broken)
        return broken(disk);
    disk->view_used = true;
    atomic_fetch_add(&disk->view->refs, 1);
    *out = disk->view;
    return 0;
}

/* Who reads next reads what is then the newest. Returns what is to be handed to view_put(). */
static struct view *view_give_up_locked(struct rmt_disk *disk)
{
    struct view *view = disk->view;
    disk->view = NULL;
    return view;
}

/* ---- write-back ------------------------------------------------------------------------------ */

static void account_locked(struct rmt_disk *disk)
{
    uint64_t now = rmt_layer_bytes(&disk->active, disk->service->page_size) +
                   rmt_layer_bytes(&disk->frozen, disk->service->page_size);
    atomic_fetch_add_explicit(&disk->service->dirty, now - disk->counted, memory_order_relaxed);
    disk->counted = now;
}

static bool dirty_locked(const struct rmt_disk *disk)
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
        lock(&disk->lock);
        struct view *view = view_give_up_locked(disk);
        unlock(&disk->lock);
        view_put(view);
        if (ramet_sync(disk->service->store) < 0)
            return RAMET_EPOISONED;
        rc = commit_layer(disk, &disk->frozen, false, out_id);
    }
    return rc;
}

/* Commits all that was written so far. Nobody else is writing back. Unlocks meanwhile. quiet: what
 * the log knows already is not told again. */
static int write_back_locked(struct rmt_disk *disk, bool quiet)
{
    struct rmt_service *service = disk->service;
    if (disk->broken)
        return broken(disk);
    /* What was left there could not be put back for want of memory. */
    if (!rmt_layer_empty(&disk->frozen) &&
        rmt_layer_absorb(&disk->active, &disk->frozen, &service->pool) < 0)
        return no_memory(disk);
    disk->frozen = disk->active;
    disk->active = (struct rmt_layer){0};
    uint64_t gen = disk->active_gen++;
    disk->epoch++;
    disk->writing = true;
    unlock(&disk->lock);
    uint64_t id = 0;
    int rc = commit_frozen(disk, &id);
    if (rc < 0 && !(quiet && disk->failing))
        (void)failed(disk, "writing back", rc);
    lock(&disk->lock);
    disk->failing = rc < 0;
    disk->broken = disk->broken || rc == RAMET_EPOISONED;
    struct rmt_layer done = {0};
    struct view *view = NULL;
    if (rc == 0) {
        done = disk->frozen;
        disk->frozen = (struct rmt_layer){0};
        view = view_give_up_locked(disk);
        disk->committed = gen;
        disk->commit_id = id;
    } else {
        (void)rmt_layer_absorb(&disk->active, &disk->frozen, &service->pool); /* else next time */
    }
    account_locked(disk);
    disk->writing = false;
    disk->epoch++;
    (void)pthread_cond_broadcast(&disk->changed);
    unlock(&disk->lock);
    view_put(view);
    rmt_layer_fini(&done, &service->pool);
    lock(&disk->lock);
    return rc;
}

static void wait_changed_locked(struct rmt_disk *disk)
{
    (void)pthread_cond_wait(&disk->changed, &disk->lock);
}

/* Returns when a generation is in the store. */
static int commit_locked(struct rmt_disk *disk, uint64_t gen)
{
    int rc = 0;
    while (rc == 0 && disk->committed < gen) {
        if (disk->writing)
            wait_changed_locked(disk);
        else
            rc = write_back_locked(disk, false);
    }
    return rc;
}

/* The newest generation that has something. */
static uint64_t newest_locked(const struct rmt_disk *disk)
{
    return rmt_layer_empty(&disk->active) ? disk->active_gen - 1 : disk->active_gen;
}

static int flush_locked(struct rmt_disk *disk)
{
    uint64_t gen = newest_locked(disk);
    while (disk->flushing && disk->durable < gen)
        wait_changed_locked(disk);
    if (disk->broken)
        return broken(disk);
    if (disk->durable >= gen)
        return 0;
    disk->flushing = true;
    int rc = commit_locked(disk, gen);
    if (rc == 0) {
        uint64_t committed = disk->committed;
        unlock(&disk->lock);
        rc = ramet_sync(disk->service->store);
        if (rc < 0)
            (void)failed(disk, "flushing", rc);
        lock(&disk->lock);
        if (rc == 0)
            disk->durable = committed;
        else
            disk->broken = true;
    }
    disk->flushing = false;
    (void)pthread_cond_broadcast(&disk->changed);
    return rc;
}

int rmt_disk_flush(struct rmt_disk *disk)
{
    if (disk->readonly)
        return 0;
    lock(&disk->lock);
    int rc = flush_locked(disk);
    unlock(&disk->lock);
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
    while (!disk->stop && !disk->view && !dirty_locked(disk))
        (void)pthread_cond_wait(&disk->wake, &disk->lock);
    disk->idle = false;
}

static void *keep(void *arg)
{
    struct rmt_disk *disk = arg;
    lock(&disk->lock);
    while (!disk->stop) {
        if (!disk->view && !dirty_locked(disk)) {
            idle_locked(disk);
            continue;
        }
        uint64_t gen = newest_locked(disk);
        disk->view_used = false;
        bool passed = tick_locked(disk);
        bool hurry = disk->hurry;
        disk->hurry = false;
        /* What was there a tick ago; what fails is tried again in the next one. */
        if ((hurry || (passed && disk->committed < gen)) && !disk->writing && !disk->stop)
            (void)write_back_locked(disk, true);
        if (!passed || disk->view_used)
            continue;
        struct view *view = view_give_up_locked(disk);
        unlock(&disk->lock);
        view_put(view);
        lock(&disk->lock);
    }
    unlock(&disk->lock);
    return NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Of a request, what lies in one chunk. */
struct piece {
    uint64_t off;
    size_t len;
    uint64_t first, end; /* pages, the first and the last perhaps in part */
};

static struct piece piece_of(const struct rmt_disk *disk, uint64_t off, size_t len)
{
    uint64_t page_size = disk->service->page_size, bytes = page_size * RMT_CHUNK_PAGES;
    uint64_t room = bytes - off % bytes;
    struct piece piece = {.off = off, .len = len < room ? len : (size_t)room};
    piece.first = off / page_size;
    piece.end = (off + piece.len + page_size - 1) / page_size;
    return piece;
}

/* The part of a page that belongs to a piece. */
static size_t part_of(const struct rmt_disk *disk, const struct piece *piece, uint64_t page,
                      size_t *out_from)
{
    uint64_t page_size = disk->service->page_size, at = page * page_size;
    uint64_t from = piece->off > at ? piece->off - at : 0;
    uint64_t end = piece->off + piece->len - at;
    *out_from = (size_t)from;
    return (size_t)((end < page_size ? end : page_size) - from);
}

/* Newest first: what the layers say of a page. */
static enum rmt_layer_kind find_locked(const struct rmt_disk *disk, uint64_t page, uint8_t **out)
{
    enum rmt_layer_kind kind = rmt_layer_find(&disk->active, page, out);
    return kind == RMT_LAYER_NOTHING ? rmt_layer_find(&disk->frozen, page, out) : kind;
}

/* Fills what the layers know. Returns a bit for each page, from the chunk's first on, that is to be
 * read from the view. */
static uint64_t read_layers_locked(const struct rmt_disk *disk, const struct piece *piece,
                                   uint8_t *buf)
{
    uint64_t missing = 0;
    for (uint64_t page = piece->first; page < piece->end; page++) {
        size_t from, len = part_of(disk, piece, page, &from);
        uint8_t *to = buf + (page * disk->service->page_size + from - piece->off), *bytes;
        switch (find_locked(disk, page, &bytes)) {
        case RMT_LAYER_PAGE: memcpy(to, bytes + from, len); break;
        case RMT_LAYER_HOLE: memset(to, 0, len); break;
        case RMT_LAYER_NOTHING: missing |= UINT64_C(1) << page % RMT_CHUNK_PAGES; break;
        }
    }
    return missing;
}

static int read_view(const struct rmt_disk *disk, const struct view *view, uint64_t off,
                     uint8_t *buf, size_t len)
{
    int64_t n = ramet_blob_read(view->blob, off, buf, len);
    if (n < 0)
        return failed(disk, "reading", (int)n);
    memset(buf + n, 0, len - (size_t)n); /* its last page is not whole, or it was made smaller */
    return 0;
}

/* Reads the pages that are missing, those in a row at once. */
static int read_missing(const struct rmt_disk *disk, const struct view *view,
                        const struct piece *piece, uint64_t missing, uint8_t *buf)
{
    int rc = 0;
    uint64_t page = piece->first;
    while (page < piece->end && rc == 0) {
        if (!(missing >> page % RMT_CHUNK_PAGES & 1)) {
            page++;
            continue;
        }
        size_t from, len = 0;
        (void)part_of(disk, piece, page, &from);
        uint64_t off = page * disk->service->page_size + from;
        for (; page < piece->end && missing >> page % RMT_CHUNK_PAGES & 1; page++) {
            size_t skipped;
            len += part_of(disk, piece, page, &skipped);
        }
        rc = read_view(disk, view, off, buf + (off - piece->off), len);
    }
    return rc;
}

int rmt_disk_read(struct rmt_disk *disk, uint8_t *buf, size_t len, uint64_t off)
{
    int rc = 0;
    for (size_t done = 0; done < len && rc == 0;) {
        struct piece piece = piece_of(disk, off + done, len - done);
        struct view *view;
        uint64_t missing = 0;
        lock(&disk->lock);
        rc = view_get_locked(disk, &view);
        bool dirty = dirty_locked(disk);
        if (rc == 0 && dirty)
            missing = read_layers_locked(disk, &piece, buf + done);
        unlock(&disk->lock);
        if (rc < 0)
            return rc;
        if (!dirty)
            piece.len = len - done;
        rc = dirty ? read_missing(disk, view, &piece, missing, buf + done)
                   : read_view(disk, view, off + done, buf + done, len - done);
        view_put(view);
        done += piece.len;
    }
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

static uint64_t dirty_bytes(const struct rmt_service *service)
{
    return atomic_load_explicit(&service->dirty, memory_order_relaxed);
}

/* Waits until there is memory for a write. Called before each piece of one. */
static int begin_write_locked(struct rmt_disk *disk)
{
    struct rmt_service *service = disk->service;
    int rc = 0;
    while (rc == 0 && !disk->broken && dirty_bytes(service) >= service->dirty_max &&
           dirty_locked(disk)) {
        if (disk->writing)
            wait_changed_locked(disk);
        else
            rc = write_back_locked(disk, false);
    }
    return rc == 0 && disk->broken ? broken(disk) : rc;
}

static void end_write_locked(struct rmt_disk *disk)
{
    struct rmt_service *service = disk->service;
    account_locked(disk);
    if (dirty_bytes(service) >= service->dirty_max / 2 && !disk->failing && !disk->writing)
        disk->hurry = true;
    if (disk->idle || disk->hurry)
        (void)pthread_cond_signal(&disk->wake);
}

/* Makes what the lower ones have of a page, outside the lock if need be. Returns 1 if meanwhile
 * something happened to it. */
static int fill_locked(struct rmt_disk *disk, uint64_t page, uint8_t *bytes)
{
    size_t page_size = disk->service->page_size;
    uint8_t *found;
    struct view *view;
    switch (find_locked(disk, page, &found)) {
    case RMT_LAYER_PAGE: memcpy(bytes, found, page_size); return 0;
    case RMT_LAYER_HOLE: memset(bytes, 0, page_size); return 0;
    case RMT_LAYER_NOTHING: break;
    }
    int rc = view_get_locked(disk, &view);
    if (rc < 0)
        return rc;
    uint64_t epoch = disk->epoch;
    unlock(&disk->lock);
    rc = read_view(disk, view, page * page_size, bytes, page_size);
    view_put(view);
    lock(&disk->lock);
    return rc < 0 ? rc : epoch != disk->epoch || find_locked(disk, page, &found);
}

/* Changes a part of a page; buf NULL: to zeros. */
static int put_part(struct rmt_disk *disk, uint64_t page, size_t from, size_t len,
                    const uint8_t *buf)
{
    struct rmt_pool *pool = &disk->service->pool;
    uint8_t *bytes, *found;
    if (rmt_pool_get(pool, 1, &bytes) < 0)
        return no_memory(disk);
    lock(&disk->lock);
    int rc = begin_write_locked(disk);
    bool there = false;
    while (rc == 0) {
        there = rmt_layer_find(&disk->active, page, &found) == RMT_LAYER_PAGE;
        rc = there ? 0 : fill_locked(disk, page, bytes);
        if (rc <= 0)
            break;
        rc = 0;
    }
    uint8_t *to = (there ? found : bytes) + from;
    if (rc == 0 && buf)
        memcpy(to, buf, len);
    else if (rc == 0)
        memset(to, 0, len);
    if (rc == 0 && !there && rmt_layer_put(&disk->active, page, 1, &bytes) < 0)
        rc = no_memory(disk);
    end_write_locked(disk);
    unlock(&disk->lock);
    rmt_pool_put(pool, 1, &bytes);
    return rc;
}

/* Whole pages of one chunk. They are copied outside the lock. */
static int put_pages(struct rmt_disk *disk, uint64_t page, size_t count, const uint8_t *buf)
{
    struct rmt_pool *pool = &disk->service->pool;
    uint8_t *pages[RMT_CHUNK_PAGES];
    if (rmt_pool_get(pool, count, pages) < 0)
        return no_memory(disk);
    for (size_t i = 0; i < count; i++)
        memcpy(pages[i], buf + i * pool->page_size, pool->page_size);
    lock(&disk->lock);
    int rc = begin_write_locked(disk);
    if (rc == 0 && rmt_layer_put(&disk->active, page, count, pages) < 0)
        rc = no_memory(disk);
    end_write_locked(disk);
    unlock(&disk->lock);
    rmt_pool_put(pool, count, pages);
    return rc;
}

static int write_piece(struct rmt_disk *disk, const struct piece *piece, const uint8_t *buf)
{
    size_t page_size = disk->service->page_size;
    int rc = 0;
    for (uint64_t page = piece->first; page < piece->end && rc == 0;) {
        size_t from, len = part_of(disk, piece, page, &from);
        const uint8_t *bytes = buf + (page * page_size + from - piece->off);
        if (len < page_size) {
            rc = put_part(disk, page++, from, len, bytes);
            continue;
        }
        size_t count = (size_t)(piece->off + piece->len - page * page_size) / page_size;
        rc = put_pages(disk, page, count, bytes);
        page += count;
    }
    return rc;
}

int rmt_disk_write(struct rmt_disk *disk, const uint8_t *buf, size_t len, uint64_t off)
{
    int rc = 0;
    for (size_t done = 0; done < len && rc == 0;) {
        struct piece piece = piece_of(disk, off + done, len - done);
        rc = write_piece(disk, &piece, buf + done);
        done += piece.len;
    }
    return rc;
}

static int zero_pages(struct rmt_disk *disk, uint64_t from, uint64_t to)
{
    lock(&disk->lock);
    int rc = begin_write_locked(disk);
    if (rc == 0 && rmt_layer_zero(&disk->active, &disk->service->pool, from, to) < 0)
        rc = no_memory(disk);
    disk->epoch++;
    end_write_locked(disk);
    unlock(&disk->lock);
    return rc;
}

/* The whole pages in a range. What of the disk's last page is there is all of it. */
static struct rmt_range whole_pages(struct rmt_disk *disk, uint64_t off, uint64_t len)
{
    uint64_t page_size = disk->service->page_size, end = off + len;
    lock(&disk->lock);
    if (end >= disk->size)
        end = (disk->size + page_size - 1) / page_size * page_size;
    unlock(&disk->lock);
    struct rmt_range range = {(off + page_size - 1) / page_size, end / page_size};
    if (range.to < range.from)
        range.to = range.from;
    return range;
}

int rmt_disk_trim(struct rmt_disk *disk, uint64_t len, uint64_t off)
{
    struct rmt_range range = whole_pages(disk, off, len);
    return range.from < range.to ? zero_pages(disk, range.from, range.to) : 0;
}

int rmt_disk_zero(struct rmt_disk *disk, uint64_t len, uint64_t off)
{
    uint64_t page_size = disk->service->page_size, end = off + len;
    struct rmt_range range = whole_pages(disk, off, len);
    int rc = range.from < range.to ? zero_pages(disk, range.from, range.to) : 0;
    for (uint64_t at = off; at < end && rc == 0;) {
        uint64_t page = at / page_size, from = at % page_size;
        uint64_t n = page_size - from < end - at ? page_size - from : end - at;
        if (page >= range.from && page < range.to) {
            at = range.to * page_size;
            continue;
        }
        rc = put_part(disk, page, (size_t)from, (size_t)n, NULL);
        at += n;
    }
    return rc;
}

/* ---- extents --------------------------------------------------------------------------------- */

int rmt_disk_extents(struct rmt_disk *disk, uint64_t len, uint64_t off, ramet_extent_fn fn,
                     void *ctx)
{
    struct view *view;
    lock(&disk->lock);
    int rc = disk->readonly ? 0 : commit_locked(disk, newest_locked(disk));
    if (rc == 0)
        rc = view_get_locked(disk, &view);
    unlock(&disk->lock);
    if (rc < 0)
        return rc;
    rc = ramet_blob_extents(view->blob, off, len, fn, ctx);
    if (rc < 0)
        rc = failed(disk, "listing its extents", rc);
    view_put(view);
    return rc;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void disk_free(struct rmt_disk *disk)
{
    (void)pthread_cond_destroy(&disk->wake);
    (void)pthread_cond_destroy(&disk->changed);
    (void)pthread_mutex_destroy(&disk->lock);
    (void)pthread_mutex_destroy(&disk->open_lock);
    free(disk->name);
    free(disk->ref);
    free(disk);
}

static struct rmt_disk *disk_new(struct rmt_service *service,
                                 const struct rmt_disk_options *options)
{
    struct rmt_disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return NULL;
    disk->service = service;
    disk->readonly = options->readonly;
    (void)pthread_mutex_init(&disk->open_lock, NULL); /* none of these can fail on Linux */
    (void)pthread_mutex_init(&disk->lock, NULL);
    (void)pthread_cond_init(&disk->changed, NULL);
    (void)pthread_cond_init(&disk->wake, NULL);
    disk->ref = strdup(options->ref);
    disk->name = strdup(options->name);
    if (disk->ref && disk->name)
        return disk;
    disk_free(disk);
    return NULL;
}

/* Finds the disk among those that are open, or adds one that is not ready. */
static struct rmt_disk *disk_ref(struct rmt_service *service,
                                 const struct rmt_disk_options *options)
{
    lock(&service->lock);
    struct rmt_disk *disk = service->disks;
    while (disk && (disk->readonly != options->readonly || strcmp(disk->ref, options->ref) != 0 ||
                    strcmp(disk->name, options->name) != 0))
        disk = disk->next;
    if (!disk) {
        disk = disk_new(service, options);
        if (disk) {
            disk->next = service->disks;
            service->disks = disk;
        }
    }
    if (disk)
        disk->refs++;
    unlock(&service->lock);
    return disk;
}

static void disk_unref(struct rmt_disk *disk)
{
    struct rmt_service *service = disk->service;
    lock(&service->lock);
    bool last = --disk->refs == 0;
    if (last) {
        struct rmt_disk **at = &service->disks;
        while (*at != disk)
            at = &(*at)->next;
        *at = disk->next;
    }
    unlock(&service->lock);
    if (last)
        disk_free(disk);
}

/* A wait must end when the server goes down, and when a client goes away: so it asks again. */
static int take_lease(struct rmt_disk *disk, bool wait)
{
    for (bool told = false;; told = true) {
        int rc = ramet_blob_lease(disk->service->store, disk->ref, disk->name, RAMET_NOWAIT,
                                  &disk->lease);
        if (rc == -EBUSY && !wait)
            tell(disk->service,
                 "disk '%s' of '%s': somebody else writes to it; end that, serve a branch of your "
                 "own ('ramet branch'), or wait for it (lease=wait)",
                 disk->name, disk->ref);
        else if (rc == -EBUSY && !told)
            tell(disk->service, "disk '%s' of '%s': waiting for whoever writes to it", disk->name,
                 disk->ref);
        else if (rc < 0 && rc != -EBUSY)
            return failed(disk, "taking its lease", rc);
        if (rc == 0 || !wait)
            return rc;
        if (disk->service->pause(100))
            return -ESHUTDOWN;
    }
}

/* With open_lock. */
static int start(struct rmt_disk *disk, bool wait)
{
    disk->active_gen = 2;
    disk->committed = 1;
    disk->durable = 0; /* what a server before this one wrote may not be on disk */
    disk->commit_id = 0;
    disk->stop = disk->hurry = disk->broken = disk->failing = false;
    disk->size = 0;
    if (disk->readonly)
        return 0;
    int rc = take_lease(disk, wait);
    if (rc < 0)
        return rc;
    rc = -pthread_create(&disk->keeper, NULL, keep, disk);
    if (rc < 0) {
        tell(disk->service, "disk '%s' of '%s': no thread: %s", disk->name, disk->ref,
             ramet_strerror(rc));
        ramet_lease_end(disk->lease);
    }
    return rc;
}

/* With open_lock. What cannot be written back now is lost, as the log is told. */
static void end(struct rmt_disk *disk)
{
    if (!disk->readonly) {
        lock(&disk->lock);
        disk->stop = true;
        (void)pthread_cond_signal(&disk->wake);
        unlock(&disk->lock);
        (void)pthread_join(disk->keeper, NULL); /* it ends when told to */
    }
    lock(&disk->lock);
    bool dirty = dirty_locked(disk);
    if (!disk->readonly && flush_locked(disk) < 0 && dirty)
        tell(disk->service, "disk '%s' of '%s': what was not flushed is lost", disk->name,
             disk->ref);
    struct rmt_layer layers[2] = {disk->active, disk->frozen};
    disk->active = disk->frozen = (struct rmt_layer){0};
    account_locked(disk);
    struct view *view = view_give_up_locked(disk);
    unlock(&disk->lock);
    view_put(view);
    for (size_t i = 0; i < 2; i++)
        rmt_layer_fini(&layers[i], &disk->service->pool);
    ramet_lease_end(disk->lease);
    disk->lease = NULL;
}

static int look_up_size(struct rmt_disk *disk, uint64_t *out_size)
{
    struct view *view = NULL, *old = NULL;
    lock(&disk->lock);
    if (!disk->readonly)
        old = view_give_up_locked(disk);
    int rc = view_get_locked(disk, &view);
    unlock(&disk->lock);
    view_put(old);
    if (rc < 0)
        return rc;
    rc = ramet_blob_size(view->blob, out_size);
    view_put(view);
    if (rc < 0)
        return failed(disk, "its size", rc);
    lock(&disk->lock);
    disk->size = *out_size;
    unlock(&disk->lock);
    return 0;
}

int rmt_disk_open(struct rmt_service *service, const struct rmt_disk_options *options,
                  struct rmt_disk **out, uint64_t *out_size)
{
    struct rmt_disk *disk = disk_ref(service, options);
    if (!disk) {
        tell(service, "disk '%s' of '%s': out of memory", options->name, options->ref);
        return -ENOMEM;
    }
    lock(&disk->open_lock);
    int rc = disk->users ? 0 : start(disk, options->wait);
    if (rc == 0) {
        rc = look_up_size(disk, out_size);
        if (rc == 0)
            disk->users++;
        else if (disk->users == 0)
            end(disk);
    }
    unlock(&disk->open_lock);
    if (rc < 0)
        disk_unref(disk);
    else
        *out = disk;
    return rc;
}

void rmt_disk_close(struct rmt_disk *disk)
{
    lock(&disk->open_lock);
    if (--disk->users == 0)
        end(disk);
    unlock(&disk->open_lock);
    disk_unref(disk);
}

/* ---- the service ----------------------------------------------------------------------------- */

static void log_store(void *ctx, int level, const char *message)
{
    const struct rmt_service *service = ctx;
    if (level <= RAMET_LOG_WARNING)
        service->log(message);
}

int rmt_service_init(struct rmt_service *service, const char *path,
                     const struct rmt_service_options *options)
{
    *service = (struct rmt_service){.readonly = options->readonly,
                                    .dirty_max = options->dirty_max,
                                    .log = options->log,
                                    .pause = options->pause};
    struct ramet_options opening = {.size = sizeof(opening),
                                    .durability = RAMET_NONE,
                                    .flags =
                                        RAMET_MUST_EXIST | (options->readonly ? RAMET_READONLY : 0),
                                    .log = log_store,
                                    .log_ctx = service};
    struct ramet_stat stat = {.size = sizeof(stat)};
    int rc = ramet_open(path, &opening, &service->store);
    if (rc == 0)
        rc = ramet_stat(service->store, &stat);
    if (rc < 0) {
        tell(service, "%s", ramet_errmsg());
        ramet_close(service->store);
        service->store = NULL;
        return rc;
    }
    service->page_size = stat.page_size;
    (void)pthread_mutex_init(&service->lock, NULL); /* it cannot fail on Linux */
    rmt_pool_init(&service->pool, stat.page_size, (size_t)(options->dirty_max / stat.page_size));
    return 0;
}

void rmt_service_fini(struct rmt_service *service)
{
    if (!service->store)
        return;
    /* A server that is told to end closes no connection that is still there. */
    while (service->disks) {
        struct rmt_disk *disk = service->disks;
        service->disks = disk->next;
        if (disk->users)
            end(disk);
        disk_free(disk);
    }
    rmt_pool_fini(&service->pool);
    (void)pthread_mutex_destroy(&service->lock);
    ramet_close(service->store);
    service->store = NULL;
}
