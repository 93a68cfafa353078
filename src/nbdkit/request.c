/* SPDX-License-Identifier: MIT */
/* request.c - what clients ask of a disk: reading, writing, zeroing, flushing, extents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

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

static int read_view(const struct rmt_disk *disk, const struct rmt_view *view, uint64_t off,
                     uint8_t *buf, size_t len)
{
    int64_t n = ramet_blob_read(view->blob, off, buf, len);
    if (n < 0)
        return rmt_disk_failed(disk, "reading", (int)n);
    memset(buf + n, 0, len - (size_t)n); /* its last page is not whole, or it was made smaller */
    return 0;
}

/* Reads the pages that are missing, those in a row at once. */
static int read_missing(const struct rmt_disk *disk, const struct rmt_view *view,
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

/* D4, of the pages that are missing; of a piece that is longer than a chunk those are all. */
static bool is_lost_locked(const struct rmt_disk *disk, const struct piece *piece, uint64_t missing)
{
    uint64_t page_size = disk->service->page_size;
    uint64_t end = (piece->off + piece->len + page_size - 1) / page_size;
    if (missing == UINT64_MAX)
        return rmt_writeback_lost_locked(disk, piece->first, end);
    bool lost = false;
    for (uint64_t page = piece->first; page < end && disk->broken && !lost; page++)
        lost = missing >> page % RMT_CHUNK_PAGES & 1 &&
               rmt_writeback_lost_locked(disk, page, page + 1);
    return lost;
}

int rmt_disk_read(struct rmt_disk *disk, uint8_t *buf, size_t len, uint64_t off)
{
    int rc = 0;
    for (size_t done = 0; done < len && rc == 0;) {
        struct piece piece = piece_of(disk, off + done, len - done);
        struct rmt_view *view = NULL;
        uint64_t missing = 0;
        rmt_mutex_lock(&disk->lock);
        rc = rmt_view_get_locked(disk, &view);
        bool dirty = rmt_writeback_dirty_locked(disk);
        if (rc == 0 && dirty)
            missing = read_layers_locked(disk, &piece, buf + done);
        if (!dirty)
            piece.len = len - done;
        if (rc == 0 && is_lost_locked(disk, &piece, dirty ? missing : UINT64_MAX))
            rc = rmt_disk_broken(disk);
        rmt_mutex_unlock(&disk->lock);
        if (rc < 0) {
            rmt_view_put(view);
            return rc;
        }
        rc = dirty ? read_missing(disk, view, &piece, missing, buf + done)
                   : read_view(disk, view, off + done, buf + done, len - done);
        rmt_view_put(view);
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
           rmt_writeback_dirty_locked(disk)) {
        if (disk->writing)
            rmt_writeback_wait_locked(disk);
        else
            rc = rmt_writeback_run_locked(disk, false);
    }
    return rc == 0 && disk->broken ? rmt_disk_broken(disk) : rc;
}

static void end_write_locked(struct rmt_disk *disk)
{
    struct rmt_service *service = disk->service;
    rmt_writeback_account_locked(disk);
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
    struct rmt_view *view;
    switch (find_locked(disk, page, &found)) {
    case RMT_LAYER_PAGE: memcpy(bytes, found, page_size); return 0;
    case RMT_LAYER_HOLE: memset(bytes, 0, page_size); return 0;
    case RMT_LAYER_NOTHING: break;
    }
    int rc = disk->broken ? rmt_disk_broken(disk) : rmt_view_get_locked(disk, &view);
    if (rc < 0)
        return rc;
    uint64_t epoch = disk->epoch;
    rmt_mutex_unlock(&disk->lock);
    rc = read_view(disk, view, page * page_size, bytes, page_size);
    rmt_view_put(view);
    rmt_mutex_lock(&disk->lock);
    return rc < 0 ? rc : epoch != disk->epoch || find_locked(disk, page, &found);
}

/* Changes a part of a page; buf NULL: to zeros. */
static int put_part(struct rmt_disk *disk, uint64_t page, size_t from, size_t len,
                    const uint8_t *buf)
{
    struct rmt_pool *pool = &disk->service->pool;
    uint8_t *bytes, *found;
    if (rmt_pool_get(pool, 1, &bytes) < 0)
        return rmt_disk_no_memory(disk);
    rmt_mutex_lock(&disk->lock);
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
        rc = rmt_disk_no_memory(disk);
    end_write_locked(disk);
    rmt_mutex_unlock(&disk->lock);
    rmt_pool_put(pool, 1, &bytes);
    return rc;
}

/* Whole pages of one chunk. They are copied outside the lock. */
static int put_pages(struct rmt_disk *disk, uint64_t page, size_t count, const uint8_t *buf)
{
    struct rmt_pool *pool = &disk->service->pool;
    uint8_t *pages[RMT_CHUNK_PAGES];
    if (rmt_pool_get(pool, count, pages) < 0)
        return rmt_disk_no_memory(disk);
    for (size_t i = 0; i < count; i++)
        memcpy(pages[i], buf + i * pool->page_size, pool->page_size);
    rmt_mutex_lock(&disk->lock);
    int rc = begin_write_locked(disk);
    if (rc == 0 && rmt_layer_put(&disk->active, page, count, pages) < 0)
        rc = rmt_disk_no_memory(disk);
    end_write_locked(disk);
    rmt_mutex_unlock(&disk->lock);
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

/* What gives memory back, and room, need not wait for any where the store is full; but ranges of
 * zeros take some, too. */
static int zero_pages(struct rmt_disk *disk, uint64_t from, uint64_t to)
{
    rmt_mutex_lock(&disk->lock);
    int rc = begin_write_locked(disk);
    if (rc == -ENOSPC && dirty_bytes(disk->service) < 2 * disk->service->dirty_max)
        rc = 0;
    if (rc == 0 && rmt_layer_zero(&disk->active, &disk->service->pool, from, to) < 0)
        rc = rmt_disk_no_memory(disk);
    disk->epoch++;
    end_write_locked(disk);
    rmt_mutex_unlock(&disk->lock);
    return rc;
}

/* The whole pages in a range. What of the disk's last page is there is all of it. */
static struct rmt_range whole_pages(struct rmt_disk *disk, uint64_t off, uint64_t len)
{
    uint64_t page_size = disk->service->page_size, end = off + len;
    rmt_mutex_lock(&disk->lock);
    if (end >= disk->size)
        end = (disk->size + page_size - 1) / page_size * page_size;
    rmt_mutex_unlock(&disk->lock);
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

/* ---- flushing, extents ----------------------------------------------------------------------- */

int rmt_disk_flush(struct rmt_disk *disk)
{
    if (disk->readonly)
        return 0;
    rmt_mutex_lock(&disk->lock);
    int rc = rmt_writeback_flush_locked(disk);
    rmt_mutex_unlock(&disk->lock);
    return rc;
}

/* What the layers have of a part of a disk, newest first. */
enum { ACTIVE_PAGES, ACTIVE_HOLES, FROZEN_PAGES, FROZEN_HOLES, LISTS };

struct listing {
    struct rmt_ranges lists[LISTS];
    size_t at[LISTS]; /* how far the sweep has come */
};

static int list_layers_locked(const struct rmt_disk *disk, uint64_t from, uint64_t to,
                              struct listing *out)
{
    int rc = rmt_layer_list_pages(&disk->active, from, to, &out->lists[ACTIVE_PAGES]);
    if (rc == 0)
        rc = rmt_layer_list_holes(&disk->active, from, to, &out->lists[ACTIVE_HOLES]);
    if (rc == 0)
        rc = rmt_layer_list_pages(&disk->frozen, from, to, &out->lists[FROZEN_PAGES]);
    if (rc == 0)
        rc = rmt_layer_list_holes(&disk->frozen, from, to, &out->lists[FROZEN_HOLES]);
    return rc;
}

/* What a page is, and those behind it up to out_until. Asked for pages that ascend. */
static enum rmt_layer_kind next_kind(struct listing *listing, uint64_t page, uint64_t end,
                                     uint64_t *out_until)
{
    *out_until = end;
    for (size_t k = 0; k < LISTS; k++) {
        const struct rmt_ranges *ranges = &listing->lists[k];
        size_t *at = &listing->at[k];
        while (*at < ranges->count && ranges->items[*at].to <= page)
            ++*at;
        if (*at == ranges->count)
            continue;
        const struct rmt_range *range = &ranges->items[*at];
        uint64_t until = range->from <= page ? range->to : range->from;
        *out_until = until < *out_until ? until : *out_until;
        if (range->from <= page)
            return k == ACTIVE_PAGES || k == FROZEN_PAGES ? RMT_LAYER_PAGE : RMT_LAYER_HOLE;
    }
    return RMT_LAYER_NOTHING;
}

struct telling {
    ramet_extent_fn fn;
    void *ctx;
    uint64_t told; /* up to this byte */
};

static int tell_extent(void *ctx, const struct ramet_extent *extent)
{
    struct telling *t = ctx;
    t->told = extent->offset + extent->bytes;
    return t->fn(t->ctx, extent);
}

static int tell(struct telling *t, uint64_t end, int kind)
{
    struct ramet_extent extent = {sizeof(extent), t->told, end - t->told, kind};
    return end > t->told ? tell_extent(t, &extent) : 0;
}

/* Up to a byte, as it is in the store; behind the end of a blob that was made smaller are zeros. */
static int tell_view(const struct rmt_disk *disk, const struct rmt_view *view, struct telling *t,
                     uint64_t end)
{
    int rc = ramet_blob_extents(view->blob, t->told, end - t->told, tell_extent, t);
    if (rc < 0)
        return rmt_disk_failed(disk, "listing its extents", rc);
    return rc == 0 ? tell(t, end, RAMET_EXTENT_HOLE) : rc;
}

static int tell_all(const struct rmt_disk *disk, const struct rmt_view *view,
                    struct listing *listing, struct telling *t, uint64_t end)
{
    uint64_t page_size = disk->service->page_size, last = (end + page_size - 1) / page_size;
    int rc = 0;
    while (t->told < end && rc == 0) {
        uint64_t until;
        enum rmt_layer_kind kind = next_kind(listing, t->told / page_size, last, &until);
        uint64_t to = until * page_size < end ? until * page_size : end;
        if (kind == RMT_LAYER_NOTHING)
            rc = tell_view(disk, view, t, to);
        else
            rc = tell(t, to, kind == RMT_LAYER_HOLE ? RAMET_EXTENT_HOLE : RAMET_EXTENT_OWNED);
    }
    return rc;
}

int rmt_disk_extents(struct rmt_disk *disk, uint64_t len, uint64_t off, ramet_extent_fn fn,
                     void *ctx)
{
    uint64_t page_size = disk->service->page_size, end = off + len;
    struct telling telling = {fn, ctx, off};
    struct listing listing = {0};
    struct rmt_view *view = NULL;
    rmt_mutex_lock(&disk->lock);
    int rc = rmt_view_get_locked(disk, &view);
    uint64_t from = off / page_size, to = (end + page_size - 1) / page_size;
    bool lost = rc == 0 && rmt_writeback_lost_locked(disk, from, to);
    if (rc == 0 && !lost)
        rc = list_layers_locked(disk, from, to, &listing);
    rmt_mutex_unlock(&disk->lock);
    if (lost)
        rc = rmt_disk_broken(disk);
    else if (rc == 0)
        rc = tell_all(disk, view, &listing, &telling, end);
    else if (view)
        rc = rmt_disk_no_memory(disk);
    rmt_view_put(view);
    for (size_t k = 0; k < LISTS; k++)
        free(listing.lists[k].items);
    return rc;
}
