/* SPDX-License-Identifier: MIT */
/* open.c - opening and closing a store, and what it says of itself. */
#include <inttypes.h>
#include <pthread.h>

#include "store/cursors.h"
#include "store/single.h"
#include "store/txn.h"
#include "store/versions.h"

#define RECLAIM_PAGES 8192 /* a commit sweeps so many */

/* Forks of this process: a child must not use the stores of its parent. */
_Atomic unsigned rmt_forks;
static pthread_once_t forks_once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    atomic_fetch_add(&rmt_forks, 1);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork); /* ENOMEM: forks go unnoticed */
}

int rmt_store_forked(const struct ramet_store *store)
{
    return rmt_fail(RAMET_EFORKED, "store '%s'", store->io->path);
}

void rmt_store_note_dead(struct ramet_store *store, uint32_t readers)
{
    if (readers)
        rmt_log_note(&store->log, RAMET_LOG_INFO,
                     "store '%s': ended %u read transactions of processes that died",
                     store->io->path, readers);
}

/* ---- creating -------------------------------------------------------------------------------- */

/* Writes the first slot: a store without a branch. */
static int create(struct rmt_io *io, uint32_t page_size, uint8_t store_id[16])
{
    io->ops->random(io, store_id, 16);
    int rc = io->ops->grow(io, RMT_META_SIZE + RMT_FIRST_PAGES * (uint64_t)page_size);
    if (rc < 0)
        return rc;
    struct rmt_disk_slot slot = {
        .format = rmt_put32(RMT_FORMAT),
        .page_size = rmt_put32(page_size),
        .id = rmt_put64(1),
        .durable = rmt_put64(1),
        .ceiling = rmt_put64(1 + RMT_CEILING_STEP),
        .pages = rmt_put64(RMT_META_SIZE / page_size + RMT_FIRST_PAGES),
        .free_pages = rmt_put64(RMT_FIRST_PAGES),
        .time_us = rmt_put64((uint64_t)io->ops->time_us(io)),
    };
    memcpy(slot.magic, RMT_SLOT_MAGIC, sizeof(slot.magic));
    memcpy(slot.store_id, store_id, 16);
    rmt_sector_seal(&slot);
    struct iovec iov = {&slot, sizeof(slot)};
    rc = io->ops->write(io, &iov, 1, rmt_slot_off(0));
    if (rc == 0)
        rc = io->ops->sync(io);
    if (rc < 0) { /* caches must not say that there is a store if the disk may not */
        memset(&slot, 0, sizeof(slot));
        iov = (struct iovec){&slot, sizeof(slot)};
        (void)io->ops->write(io, &iov, 1, rmt_slot_off(0));
    }
    return rc;
}

/* Makes the branch main in a store that has never had a branch. */
static int make_main(struct rmt_commit *c, void *ctx)
{
    (void)ctx;
    struct rmt_branch branch = {.number = rmt_commit_number(c), .time_us = c->state.time_us};
    struct rmt_version head = {
        .number = rmt_commit_number(c),
        .id = c->id,
        .time_us = c->state.time_us,
        .dead = rmt_commit_number(c),
        .flags = RMT_VERSION_HEAD,
    };
    branch.head = head.line = head.number;
    c->state.branches = 1;
    int rc = rmt_catalog_put_version(c, &head);
    return rc < 0 ? rc : rmt_catalog_put_branch(c, "main", &branch);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* What is in the first version of struct ramet_options. */
#define OPTIONS_SIZE_MIN offsetof(struct ramet_options, log)

/* The options of a caller whose struct may be older, and shorter. from: NULL: all zero. */
static int load_options(const struct ramet_options *from, struct ramet_options *o)
{
    memset(o, 0, sizeof(*o));
    if (from && from->size < OPTIONS_SIZE_MIN)
        return rmt_fail(-EINVAL, "ramet_open: options->size is not set");
    if (from)
        memcpy(o, from, rmt_min(from->size, sizeof(*o)));
    o->size = sizeof(*o);
    if (o->durability < RAMET_FULL || o->durability > RAMET_NONE)
        return rmt_fail(-EINVAL, "ramet_open: durability %d", o->durability);
    if (o->flags & ~(unsigned)(RAMET_MUST_EXIST | RAMET_READONLY | RAMET_MUST_CREATE))
        return rmt_fail(-EINVAL, "ramet_open: flags %#x", o->flags);
    if (o->page_size && (o->page_size < RMT_PAGE_SIZE_MIN || o->page_size > RMT_PAGE_SIZE_MAX ||
                         o->page_size & (o->page_size - 1)))
        return rmt_fail(-EINVAL, "ramet_open: page_size %u is not a power of two from %u to %u",
                        o->page_size, RMT_PAGE_SIZE_MIN, RMT_PAGE_SIZE_MAX);
    return 0;
}

/* With RMT_BYTE_OPEN: nobody else opens or creates the store meanwhile. */
static int open_locked(struct ramet_store *store, const struct ramet_options *o)
{
    struct rmt_io *io = store->io;
    uint32_t page_size = o->page_size ? o->page_size : RMT_PAGE_SIZE_MIN;
    bool blank = false;
    int rc = rmt_recover_meta(io, &blank, &page_size, store->store_id);
    if (rc == 0 && blank && (io->readonly || (o->flags & RAMET_MUST_EXIST)))
        return rmt_fail(RAMET_ENOTSTORE, "'%s' is empty", io->path);
    if (rc == 0 && !blank && o->page_size && o->page_size != page_size)
        return rmt_fail(-EINVAL,
                        "store '%s' has pages of %u bytes, not %u: that is chosen at its creation",
                        io->path, page_size, o->page_size);
    if (rc == 0 && blank)
        rc = create(io, page_size, store->store_id);
    store->created = blank;
    if (rc < 0)
        return rc;
    uint64_t seed = rmt_get_be64(store->store_id);
    rc = rmt_pages_init(&store->pages, io, page_size, seed, rmt_node_check, rmt_node_known);
    if (rc == 0)
        rc = rmt_space_init(&store->space, &store->pages, &store->shared);
    store->space.ahead = io->durable && rmt_store_flushes(store);
    if (rc == 0)
        rc = rmt_shared_open(&store->shared, io, store->store_id);
    if (rc == 0 && store->shared.alone)
        rc = rmt_recover(store);
    if (rc < 0)
        return rc;
    if (store->shared.bytes->lost_id && store->shared.bytes->new_epoch && !io->readonly)
        rc = rmt_store_renew(store);
    struct rmt_state state;
    rmt_state_published(store, &state);
    if (rc == 0 && state.branches == 0 && state.number == 0 && !io->readonly)
        rc = rmt_commit(store, make_main, NULL, NULL, true);
    return rc;
}

static void free_store(struct ramet_store *store)
{
    if (!store)
        return;
    rmt_flusher_free(store->flusher);
    rmt_page_pool_fini(&store->pool);
    rmt_single_free(store->single);
    rmt_page_pool_fini(&store->spare);
    rmt_space_fini(&store->space);
    if (store->pages.verified)
        rmt_pages_fini(&store->pages);
    rmt_shared_close(&store->shared);
    rmt_io_close(store->io);
    (void)pthread_cond_destroy(&store->commit_cond);
    (void)pthread_cond_destroy(&store->claims_cond);
    rmt_lock_fini(&store->commit_lock);
    rmt_lock_fini(&store->writers_lock);
    rmt_lock_fini(&store->txns_lock);
    rmt_lock_fini(&store->watches_lock);
    rmt_lock_fini(&store->claims_lock);
    rmt_vec_fini(&store->claims);
    for (size_t i = 0; i < RMT_LAYOUTS; i++)
        free(store->layouts[i]);
    free(store->readers);
    free(store->limbo.held);
    free(store);
}
RMT_AUTO(free_store, struct ramet_store)

int rmt_store_open_io(struct rmt_io *io, const struct ramet_options *options,
                      struct ramet_store **out)
{
    struct ramet_options o;
    rmt_auto(rmt_io_close) struct rmt_io *owned = io;
    int rc = load_options(options, &o);
    if (rc < 0)
        return rc;
    rmt_auto(free_store) struct ramet_store *store = calloc(1, sizeof(*store));
    if (!store)
        return rmt_fail(-ENOMEM, "store '%s'", io->path);
    (void)pthread_once(&forks_once, watch_forks);
    store->io = rmt_take(owned);
    store->forks = atomic_load(&rmt_forks);
    store->durability = o.durability;
    store->readonly = io->readonly;
    rmt_lock_init(&store->commit_lock, RMT_RANK_COMMIT);
    rmt_lock_init(&store->writers_lock, RMT_RANK_BRANCHES);
    rmt_lock_init(&store->txns_lock, RMT_RANK_TXNS);
    rmt_lock_init(&store->watches_lock, RMT_RANK_WATCHES);
    rmt_lock_init(&store->claims_lock, RMT_RANK_CLAIMS);
    rmt_assert(pthread_cond_init(&store->commit_cond, NULL) == 0);
    rmt_assert(pthread_cond_init(&store->claims_cond, NULL) == 0);
    store->readers = malloc(sizeof(*store->readers));
    store->limbo.held = calloc(1, sizeof(*store->limbo.held));
    if (!store->readers || !store->limbo.held)
        return rmt_fail(-ENOMEM, "store '%s'", io->path);
    rc = io->ops->lock(io, RMT_BYTE_OPEN, RMT_IO_LOCK_EXCLUSIVE, true);
    if (rc == 0)
        rc = open_locked(store, &o);
    if (rc == 0)
        rc = rmt_shared_ready(&store->shared);
    if (rc == 0 && o.durability == RAMET_LAZY && io->durable && !io->readonly)
        rc = rmt_flusher_new(store, &store->flusher);
    if (rc < 0)
        return rc;
    rmt_store_note_dead(store, store->shared.dead);
    /* Only now: what was noted on the way is said when no byte lock is held any more. */
    store->log.fn = o.log;
    store->log.ctx = o.log_ctx;
    struct rmt_log notes;
    rmt_log_take(&store->log, &notes);
    rmt_log_say(&notes);
    *out = rmt_take(store);
    return 0;
}

int ramet_open(const char *path, const struct ramet_options *options, struct ramet_store **out)
{
    if (!out)
        return rmt_fail(-EINVAL, "ramet_open: out");
    struct ramet_options o;
    int rc = load_options(options, &o);
    if (rc < 0)
        return rc;
    unsigned io_flags = (o.flags & RAMET_READONLY ? RMT_IO_READONLY | RMT_IO_MUST_EXIST : 0) |
                        (o.flags & RAMET_MUST_EXIST ? RMT_IO_MUST_EXIST : 0) |
                        (o.flags & RAMET_MUST_CREATE ? RMT_IO_MUST_CREATE : 0);
    struct rmt_io *io;
    rc = path ? rmt_io_file_open(path, io_flags, o.mode ? o.mode : 0644, &io)
              : rmt_io_memory_open(&io);
    return rc < 0 ? rc : rmt_store_open_io(io, &o, out);
}

void ramet_close(struct ramet_store *store)
{
    if (!store || rmt_store_usable(store) < 0)
        return;
    if (store->watches_end)
        store->watches_end(store);
    rmt_handle_close_all(store);
    rmt_txn_abort_all(store);
    if (!store->readonly)
        (void)rmt_store_sync(store); /* ramet_sync() first tells whether it works */
    free_store(store);
}

int ramet_sync(struct ramet_store *store)
{
    if (!store)
        return rmt_fail(-EINVAL, "ramet_sync: no store");
    int rc = rmt_store_usable(store);
    return rc < 0 || store->readonly ? rc : rmt_store_sync(store);
}

/* ---- what it says of itself ------------------------------------------------------------------ */

int ramet_stat(struct ramet_store *store, struct ramet_stat *out)
{
    if (!store || !out || out->size < sizeof(*out))
        return rmt_fail(-EINVAL, "ramet_stat: store, or out->size is not set");
    int rc = rmt_store_usable(store);
    if (rc < 0)
        return rc;
    struct rmt_state s;
    rmt_state_published(store, &s);
    uint64_t cursor_pages = 0;
    if (s.cursors)
        rc = rmt_cursors_sum(store, &cursor_pages);
    if (rc < 0)
        return rc;
    uint32_t shift = store->pages.page_shift;
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    *out = (struct ramet_stat){
        .size = sizeof(*out),
        .page_size = store->pages.page_size,
        .format = RMT_FORMAT,
        .file_bytes = s.pages << shift,
        .meta_bytes = RMT_META_SIZE,
        .data_bytes = s.data_pages << shift,
        .unswept_bytes = s.unswept_pages << shift,
        .book_bytes = s.book_pages << shift,
        .limbo_bytes = s.limbo_pages << shift,
        .free_bytes = s.free_pages << shift,
        .hole_bytes = s.hole_pages << shift,
        .last_id = s.id,
        .durable_id = store->io->durable ? rmt_shared_durable_id(bytes) : 0,
        .branches = s.branches,
        .snapshots = s.snapshots,
        .readers = rmt_readers_count(&store->shared),
        .lost_id = bytes->lost_id,
        .poisoned = atomic_load(&bytes->poisoned) != 0,
        .cursors = s.cursors,
        .cursor_bytes = cursor_pages << shift,
    };
    memcpy(out->store_id, store->store_id, sizeof(out->store_id));
    return 0;
}

static int sweep(struct rmt_commit *c, void *ctx)
{
    c->sweep_budget = *(const uint64_t *)ctx;
    return 0;
}

int ramet_reclaim(struct ramet_store *store, uint64_t pages_max, uint64_t *out_left)
{
    if (!store)
        return rmt_fail(-EINVAL, "ramet_reclaim: no store");
    int rc = rmt_store_usable(store);
    uint64_t done = 0, left = 0;
    while (rc == 0) {
        struct ramet_stat stat = {.size = sizeof(stat)};
        rc = ramet_stat(store, &stat);
        left = stat.unswept_bytes >> store->pages.page_shift;
        if (rc < 0 || left == 0 || (pages_max && done >= pages_max))
            break;
        uint64_t budget = rmt_min(RECLAIM_PAGES, pages_max ? pages_max - done : RECLAIM_PAGES);
        rc = rmt_commit(store, sweep, NULL, &budget, rmt_store_flushes(store));
        done += budget;
    }
    if (rc == 0 && out_left)
        *out_left = left;
    return rc;
}
