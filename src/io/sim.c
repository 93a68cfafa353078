/* SPDX-License-Identifier: MIT */
/*
 * sim.c - the simulated machine of sim.h.
 *
 * What a program sees (the cache) is one piece of memory, `arena.data`; map() hands it out as it
 * is. Of every sector that the disk has not, or may not have, as the cache has it, `stale` keeps
 * what the disk has. `journal` lists the writes since the last sync, in order, with their bytes: a
 * power cut puts the disk's sectors back into the cache, then replays what the fate chooses of the
 * journal.
 *
 *                       write()                     sync() succeeds
 *   cache == disk  ------------------>  dirty  ----------------------->  cache == disk
 *                                         |  sync() fails: as it is, or written, or
 *                                         v
 *                                       lost: the cache has the new bytes and thinks that the
 *                                       disk has them; the disk's come back with drop_cache()
 *                                       and boot()
 *
 * The length of the file is durable like a sector is: growing is undone by a cut in the order it
 * was done, and what was written beyond the end that is left is gone.
 *
 * Page faults cost more than copying here, so arenas are kept and used again.
 */
#include "io/sim.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/lock.h"
#include "base/vec.h"
#include "io/reserve.h"
#include "io/system.h"

#define SECTOR 512u
#define BLOCK 4096u /* of the filesystem: punched and filled as a whole */
#define HOLE 1u
#define DURABLE_HOLE 2u
#define DISK_MAX ((uint64_t)4 << 30) /* address space of an arena */
#define SHARED_MAX ((size_t)64 << 20)
#define POOL_MAX 8
#define NONE UINT64_MAX
#define TIME_START INT64_C(1767225600000000) /* 2026-01-01 */

struct arena {
    uint8_t *data;   /* DISK_MAX bytes; zero from touched on */
    uint8_t *shared; /* SHARED_MAX bytes; zero from shared_touched on */
    uint32_t *index; /* by sector: 1 + its place in stale; 0: the disk has what the cache has */
    uint64_t touched;
    size_t shared_touched;
};

struct stale {
    uint64_t sector;
    bool dirty; /* the next sync writes it; else it is lost */
    uint8_t disk[SECTOR];
};

struct record {   /* one write, or one growth (data_at NONE) */
    uint64_t off; /* of a growth: the new length */
    uint64_t len;
    size_t data_at; /* in journal_data */
};

struct held {
    uint64_t byte;
    const struct rmt_io *owner;
    enum rmt_io_lock how;
};

struct fault {
    uint64_t at; /* counts down; NONE: none */
    int code;
};

struct rmt_sim {
    struct rmt_lock lock; /* guards everything below */
    pthread_cond_t unlocked;
    struct arena arena;
    uint64_t capacity;
    uint64_t size;          /* of the file, as it is seen */
    uint64_t durable_size;  /* of the file, on the disk */
    RMT_VEC(uint8_t) holes; /* by block: bit 0: punched; bit 1: as of the last sync */
    uint64_t nr_holes;      /* blocks that are punched */
    RMT_VEC(struct stale) stale;
    RMT_VEC(struct record) journal;
    RMT_VEC(uint8_t) journal_data;
    RMT_VEC(struct held) locks;
    uint64_t ops;
    uint64_t cut_at;
    enum rmt_sim_fate fate;
    bool cut;
    struct fault faults[RMT_SIM_KINDS];
    unsigned nr_open;
    uint64_t random; /* what programs get */
    uint64_t chance; /* what decides fates */
    uint64_t clock_ms;
    uint8_t boot_id[16];
    uint64_t fired; /* faults */
    uint64_t violations;
};

struct handle {
    struct rmt_io io;
    struct rmt_sim *sim;
};

static struct rmt_sim *sim_of(struct rmt_io *io)
{
    return ((struct handle *)io)->sim;
}

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t choose(struct rmt_sim *sim, uint64_t n)
{
    rmt_assert(n > 0);
    return next_random(&sim->chance) % n;
}

static void fill_random(uint64_t *state, void *buf, size_t len)
{
    uint8_t *p = buf;
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(next_random(state) >> 32);
}

/* ---- arenas ---------------------------------------------------------------------------------- */

static struct rmt_lock pool_lock = {PTHREAD_MUTEX_INITIALIZER, RMT_RANK_IO};
static struct arena pool[POOL_MAX]; /* guarded by pool_lock */
static unsigned pool_count;         /* guarded by pool_lock */

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

#define INDEX_SIZE (DISK_MAX / SECTOR * sizeof(uint32_t))

static void arena_unmap(struct arena *a)
{
    if (a->data)
        (void)munmap(a->data, DISK_MAX);
    if (a->shared)
        (void)munmap(a->shared, SHARED_MAX);
    if (a->index)
        (void)munmap(a->index, INDEX_SIZE);
}

/* index is all zero; data and shared are zero from touched on. */
static bool arena_get(struct arena *a)
{
    rmt_lock_take(&pool_lock);
    bool found = pool_count > 0;
    if (found)
        *a = pool[--pool_count];
    rmt_lock_give(&pool_lock);
    if (found)
        return true;
    *a = (struct arena){reserve(DISK_MAX), reserve(SHARED_MAX), reserve(INDEX_SIZE), 0, 0};
    if (a->data && a->shared && a->index) {
        (void)madvise(a->data, DISK_MAX, MADV_HUGEPAGE); /* speed only */
        return true;
    }
    arena_unmap(a);
    return false;
}

static void arena_put(struct arena *a)
{
    rmt_lock_take(&pool_lock);
    bool kept = pool_count < POOL_MAX;
    if (kept)
        pool[pool_count++] = *a;
    rmt_lock_give(&pool_lock);
    if (!kept)
        arena_unmap(a);
}

/* Zeroes data from size on. */
static void arena_trim(struct arena *a, uint64_t size)
{
    if (a->touched > size)
        memset(a->data + size, 0, a->touched - size);
    a->touched = size;
}

static void arena_clear_shared(struct arena *a)
{
    memset(a->shared, 0, a->shared_touched);
    a->shared_touched = 0;
}

/* Slow builds: touching what lies beyond the end of the file is fatal, as in a file's mapping. */
static void arena_protect(struct arena *a, uint64_t size, bool all)
{
#ifdef RMT_SLOW_CHECKS
    uint64_t end = all ? DISK_MAX : rmt_div_up(size, 4096) * 4096;
    if (end)
        rmt_assert(mprotect(a->data, end, PROT_READ | PROT_WRITE) == 0);
    if (end < DISK_MAX)
        rmt_assert(mprotect(a->data + end, DISK_MAX - end, PROT_NONE) == 0);
#else
    (void)a, (void)size, (void)all;
#endif
}

/* ---- the disk -------------------------------------------------------------------------------- */

static void must(bool got_memory)
{
    rmt_assert(got_memory); /* a simulation that ran out of memory has nothing to say */
}

static struct stale *stale_of(struct rmt_sim *sim, uint64_t sector)
{
    uint32_t at = sim->arena.index[sector];
    return at ? &sim->stale.items[at - 1] : NULL;
}

static void make_dirty(struct rmt_sim *sim, uint64_t sector)
{
    struct stale *s = stale_of(sim, sector);
    if (s) {
        s->dirty = true;
        return;
    }
    must(rmt_vec_reserve(&sim->stale, sim->stale.count + 1));
    rmt_assert(sim->stale.items != NULL);
    s = &sim->stale.items[sim->stale.count++];
    s->sector = sector;
    s->dirty = true;
    memcpy(s->disk, sim->arena.data + sector * SECTOR, SECTOR);
    sim->arena.index[sector] = (uint32_t)sim->stale.count;
}

/* The disk has what the cache has. Moves the last element of stale into its place. */
static void make_clean(struct rmt_sim *sim, struct stale *s)
{
    struct stale *last = &sim->stale.items[--sim->stale.count];
    sim->arena.index[s->sector] = 0;
    if (s != last) {
        *s = *last;
        sim->arena.index[s->sector] = (uint32_t)(s - sim->stale.items) + 1;
    }
}

static void put_back(struct rmt_sim *sim, struct stale *s)
{
    memcpy(sim->arena.data + s->sector * SECTOR, s->disk, SECTOR);
    make_clean(sim, s);
}

static void journal_clear(struct rmt_sim *sim)
{
    sim->journal.count = 0;
    sim->journal_data.count = 0;
}

/* Whole sectors, for the fates to play with. data is what they hold after the write. */
static void journal_add(struct rmt_sim *sim, uint64_t off, const uint8_t *data, uint64_t len)
{
    struct record r = {off, len, sim->journal_data.count};
    must(rmt_vec_reserve(&sim->journal_data, r.data_at + len));
    memcpy(sim->journal_data.items + r.data_at, data, len);
    sim->journal_data.count += len;
    must(rmt_vec_push(&sim->journal, r));
}

/* Writes len bytes at off into the cache. */
static void cache_write(struct rmt_sim *sim, uint64_t off, const uint8_t *data, uint64_t len)
{
    uint64_t first = off / SECTOR, end = rmt_div_up(off + len, SECTOR);
    if (!len)
        return;
    for (uint64_t s = first; s < end; s++)
        make_dirty(sim, s);
    memcpy(sim->arena.data + off, data, len);
    sim->arena.touched = rmt_max(sim->arena.touched, end * SECTOR);
    journal_add(sim, first * SECTOR, sim->arena.data + first * SECTOR, (end - first) * SECTOR);
}

/* Sectors first to end of a write that lasted. */
static void replay(struct rmt_sim *sim, const struct record *r, uint64_t first, uint64_t end)
{
    uint64_t off = r->off + first * SECTOR, len = (end - first) * SECTOR;
    if (off >= sim->size)
        return;
    len = rmt_min(len, rmt_div_up(sim->size - off, SECTOR) * SECTOR);
    memcpy(sim->arena.data + off, sim->journal_data.items + r->data_at + first * SECTOR, len);
    sim->arena.touched = rmt_max(sim->arena.touched, off + len);
}

static void tear(struct rmt_sim *sim, const struct record *r)
{
    uint64_t sectors = r->len / SECTOR, at = choose(sim, sectors + 1);
    switch (choose(sim, 4)) {
    case 0: /* dropped */ break;
    case 1: replay(sim, r, 0, sectors); break;
    case 2: replay(sim, r, 0, at); break;
    default: replay(sim, r, at, sectors);
    }
}

static void scatter(struct rmt_sim *sim, const struct record *r, uint64_t odds)
{
    for (uint64_t i = 0; i < r->len / SECTOR; i++) {
        if (choose(sim, 8) < odds)
            replay(sim, r, i, i + 1);
    }
}

/* How long the file is after a cut: lengths become durable in their order. */
static uint64_t size_after_cut(struct rmt_sim *sim)
{
    uint64_t size = sim->durable_size;
    if (sim->fate == RMT_SIM_DROP)
        return size;
    for (size_t i = 0; i < sim->journal.count; i++) {
        const struct record *r = &sim->journal.items[i];
        if (r->data_at != NONE)
            continue;
        if (sim->fate != RMT_SIM_KEEP && choose(sim, 3) == 0)
            break;
        size = r->off;
    }
    return size;
}

/* Blocks that are punched and lie in [off, off + len). */
static uint64_t holes_in(const struct rmt_sim *sim, uint64_t off, uint64_t len)
{
    uint64_t n = 0;
    for (uint64_t i = off / BLOCK; i < rmt_min(rmt_div_up(off + len, BLOCK), sim->holes.count); i++)
        n += (sim->holes.items[i] & HOLE) != 0;
    return n;
}

static void holes_sync(struct rmt_sim *sim)
{
    for (size_t i = 0; i < sim->holes.count; i++)
        sim->holes.items[i] = sim->holes.items[i] & HOLE ? HOLE | DURABLE_HOLE : 0;
}

/* What was punched is, what was filled is not: whoever counts on it must have flushed. */
static void holes_cut(struct rmt_sim *sim)
{
    for (size_t i = 0; i < sim->holes.count; i++)
        sim->holes.items[i] = sim->holes.items[i] ? HOLE | DURABLE_HOLE : 0;
    sim->nr_holes = holes_in(sim, 0, sim->holes.count * BLOCK);
}

static void lose_power(struct rmt_sim *sim)
{
    uint64_t odds = 1 + choose(sim, 7);
    while (sim->stale.count)
        put_back(sim, &sim->stale.items[sim->stale.count - 1]);
    sim->size = size_after_cut(sim);
    arena_protect(&sim->arena, 0, true);
    arena_trim(&sim->arena, rmt_min(rmt_div_up(sim->size, SECTOR) * SECTOR, sim->arena.touched));
    for (size_t i = 0; i < sim->journal.count && sim->fate != RMT_SIM_DROP; i++) {
        const struct record *r = &sim->journal.items[i];
        if (r->data_at == NONE)
            continue;
        if (sim->fate == RMT_SIM_TEAR)
            tear(sim, r);
        else if (sim->fate == RMT_SIM_SCATTER)
            scatter(sim, r, odds);
        else
            replay(sim, r, 0, r->len / SECTOR);
    }
    journal_clear(sim);
    holes_cut(sim);
    sim->durable_size = sim->size;
    arena_protect(&sim->arena, sim->size, false);
}

/* Counts an operation; < 0: it fails so. */
static int begin_op(struct rmt_sim *sim, enum rmt_sim_kind kind, bool *out_cut_now)
{
    static const char *const names[] = {"read", "write", "flush", "grow"};
    *out_cut_now = false;
    if (!sim->cut && kind != RMT_SIM_READ) {
        *out_cut_now = sim->ops >= sim->cut_at;
        sim->cut = *out_cut_now;
        sim->ops++;
        if (sim->cut)
            (void)pthread_cond_broadcast(&sim->unlocked);
    }
    if (sim->cut)
        return rmt_fail(-EIO, "simulated disk: cannot %s: no power", names[kind]);
    struct fault *fault = &sim->faults[kind];
    if (fault->at != NONE && fault->at-- == 0) {
        sim->fired++;
        return rmt_fail(fault->code, "simulated disk: cannot %s", names[kind]);
    }
    return 0;
}

static int sim_read(struct rmt_io *io, void *buf, size_t len, uint64_t off)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    bool cut_now = false;
    int rc = begin_op(sim, RMT_SIM_READ, &cut_now);
    if (rc < 0)
        return rc;
    if (off > sim->size || len > sim->size - off)
        return rmt_fail(-ENODATA, "simulated disk: ends before byte %" PRIu64, off + len);
    memcpy(buf, sim->arena.data + off, len);
    return 0;
}

/* All bytes of the array in one piece; owned. */
static uint8_t *iov_join(const struct iovec *iov, int count, uint64_t *out_len)
{
    uint64_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    uint8_t *data = malloc(len + 1);
    must(data != NULL);
    uint64_t at = 0;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len)
            memcpy(data + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    *out_len = len;
    return data;
}

static int sim_write(struct rmt_io *io, struct iovec *iov, int count, uint64_t off)
{
    struct rmt_sim *sim = sim_of(io);
    uint64_t len = 0;
    rmt_auto(free) void *mem = iov_join(iov, count, &len);
    uint8_t *data = mem;

    rmt_lock_scope(&sim->lock);
    if (off % SECTOR || len % SECTOR || count > RMT_IOV_MAX || off > sim->size ||
        len > sim->size - off || io->readonly) {
        sim->violations++;
        return rmt_fail(
            -EINVAL, "simulated disk: a write of %" PRIu64 " bytes at %" PRIu64 " of %" PRIu64 "%s",
            len, off, sim->size, io->readonly ? ", read-only" : "");
    }
    if (holes_in(sim, off, len)) {
        sim->violations++;
        return rmt_fail(-ENOSPC, "simulated disk: a write at %" PRIu64 " into a hole", off);
    }
    bool cut_now = false;
    int rc = begin_op(sim, RMT_SIM_WRITE, &cut_now);
    if (cut_now && len) /* was on its way: the cache does not matter any more */
        journal_add(sim, off, data, (1 + choose(sim, len / SECTOR)) * SECTOR);
    else if (rc < 0 && !sim->cut)
        cache_write(sim, off, data, choose(sim, len / SECTOR + 1) * SECTOR);
    else if (rc == 0)
        cache_write(sim, off, data, len);
    return rc;
}

static void sync_succeeds(struct rmt_sim *sim)
{
    for (size_t i = sim->stale.count; i-- > 0;) {
        if (sim->stale.items[i].dirty)
            make_clean(sim, &sim->stale.items[i]);
    }
    journal_clear(sim);
    holes_sync(sim);
    sim->durable_size = sim->size;
}

/* All stays dirty, or the kernel forgets what was: part reached the disk, the rest is lost. */
static void sync_fails(struct rmt_sim *sim)
{
    uint64_t odds = choose(sim, 3);
    if (choose(sim, 3) == 0)
        return;
    for (size_t i = sim->stale.count; i-- > 0;) {
        struct stale *s = &sim->stale.items[i];
        if (s->dirty && choose(sim, 2) < odds)
            make_clean(sim, s);
        else
            s->dirty = false;
    }
    journal_clear(sim);
    sim->durable_size = sim->size;
}

static int sim_sync(struct rmt_io *io)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    bool cut_now = false;
    int rc = begin_op(sim, RMT_SIM_SYNC, &cut_now);
    if (rc == 0)
        sync_succeeds(sim);
    else if (!sim->cut)
        sync_fails(sim);
    return rc;
}

/* What is not yet flushed is on its way to the disk at any time, and may get there or not. */
static void sim_sync_begin(struct rmt_io *io, uint64_t off)
{
    (void)io;
    (void)off;
}

static int sim_size(struct rmt_io *io, uint64_t *out)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    *out = sim->size;
    return 0;
}

static int sim_grow(struct rmt_io *io, uint64_t size)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    bool cut_now = false;
    int rc = begin_op(sim, RMT_SIM_GROW, &cut_now);
    if (rc < 0 && !cut_now)
        return rc;
    if (size > sim->capacity + sim->nr_holes * BLOCK && size > sim->size)
        return rmt_fail(-ENOSPC, "simulated disk: of %" PRIu64 " bytes", sim->capacity);
    if (io->readonly)
        sim->violations++;
    if (size > sim->size) {
        struct record r = {size, 0, NONE};
        must(rmt_vec_push(&sim->journal, r));
        if (!cut_now) {
            sim->size = size;
            arena_protect(&sim->arena, size, false);
        }
    }
    return rc;
}

/* Punching and filling a part of the file are operations of the kind GROW. */
static int begin_blocks(struct rmt_io *io, uint64_t off, uint64_t len)
{
    struct rmt_sim *sim = sim_of(io);
    bool cut_now = false;
    if (off % BLOCK || len % BLOCK || off > sim->size || len > sim->size - off || io->readonly) {
        sim->violations++;
        return rmt_fail(-EINVAL, "simulated disk: %" PRIu64 " bytes of blocks at %" PRIu64, len,
                        off);
    }
    return begin_op(sim, RMT_SIM_GROW, &cut_now);
}

static int sim_punch(struct rmt_io *io, uint64_t off, uint64_t len)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    int rc = begin_blocks(io, off, len);
    if (rc < 0)
        return rc;
    rmt_auto(free) uint8_t *zeros = calloc(1, len + 1);
    must(zeros != NULL);
    cache_write(sim, off, zeros, len);
    while (sim->holes.count < (off + len) / BLOCK)
        must(rmt_vec_push(&sim->holes, 0));
    for (uint64_t i = off / BLOCK; i < (off + len) / BLOCK; i++) {
        sim->nr_holes += !(sim->holes.items[i] & HOLE);
        sim->holes.items[i] |= HOLE;
    }
    return 0;
}

static int sim_fill(struct rmt_io *io, uint64_t off, uint64_t len)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    int rc = begin_blocks(io, off, len);
    if (rc < 0)
        return rc;
    uint64_t nr = holes_in(sim, off, len);
    if (sim->size > sim->capacity + (sim->nr_holes - nr) * BLOCK)
        return rmt_fail(-ENOSPC, "simulated disk: of %" PRIu64 " bytes", sim->capacity);
    for (uint64_t i = off / BLOCK; i < rmt_min((off + len) / BLOCK, sim->holes.count); i++)
        sim->holes.items[i] &= (uint8_t)~HOLE;
    sim->nr_holes -= nr;
    return 0;
}

static int sim_map(struct rmt_io *io, uint64_t reserve_size, const uint8_t **out)
{
    struct rmt_sim *sim = sim_of(io);
    if (reserve_size > DISK_MAX)
        return rmt_fail(-ENOMEM, "simulated disk: cannot map %" PRIu64 " bytes", reserve_size);
    *out = sim->arena.data;
    return 0;
}

static void sim_drop_cache(struct rmt_io *io)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    for (size_t i = sim->stale.count; i-- > 0;) {
        if (!sim->stale.items[i].dirty)
            put_back(sim, &sim->stale.items[i]);
    }
}

/* ---- between processes ----------------------------------------------------------------------- */

static int sim_shared(struct rmt_io *io, size_t size, void **out)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    if (size > SHARED_MAX)
        return rmt_fail(-ENOMEM, "simulated machine: %zu bytes of shared memory", size);
    sim->arena.shared_touched = rmt_max(sim->arena.shared_touched, size);
    *out = sim->arena.shared;
    return 0;
}

/* Somebody else holds it so that it excludes how. */
static bool excluded_locked(const struct rmt_sim *sim, const struct rmt_io *io, uint64_t byte,
                            enum rmt_io_lock how)
{
    for (size_t i = 0; i < sim->locks.count; i++) {
        const struct held *h = &sim->locks.items[i];
        if (h->byte == byte && h->owner != io &&
            (how == RMT_IO_LOCK_EXCLUSIVE || h->how == RMT_IO_LOCK_EXCLUSIVE))
            return true;
    }
    return false;
}

static void drop_locks_locked(struct rmt_sim *sim, const struct rmt_io *io, bool all, uint64_t byte)
{
    for (size_t i = sim->locks.count; i-- > 0;) {
        const struct held *h = &sim->locks.items[i];
        if (h->owner == io && (all || h->byte == byte))
            sim->locks.items[i] = sim->locks.items[--sim->locks.count];
    }
    (void)pthread_cond_broadcast(&sim->unlocked);
}

static int sim_lock(struct rmt_io *io, uint64_t byte, enum rmt_io_lock how, bool wait)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    while (how != RMT_IO_UNLOCK && excluded_locked(sim, io, byte, how)) {
        if (!wait || sim->cut)
            return rmt_fail(sim->cut ? -EIO : -EAGAIN,
                            "simulated machine: byte %" PRIu64 " is taken", byte);
        rmt_lock_wait(&sim->lock, &sim->unlocked);
    }
    drop_locks_locked(sim, io, false, byte);
    struct held h = {byte, io, how};
    if (how != RMT_IO_UNLOCK)
        must(rmt_vec_push(&sim->locks, h));
    return 0;
}

static int sim_locked(struct rmt_io *io, uint64_t byte)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    return excluded_locked(sim, io, byte, RMT_IO_LOCK_EXCLUSIVE);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void sim_boot_id(struct rmt_io *io, uint8_t out[16])
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    memcpy(out, sim->boot_id, 16);
}

static uint64_t sim_clock_ms(struct rmt_io *io)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    return sim->clock_ms++;
}

static int64_t sim_time_us(struct rmt_io *io)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    return TIME_START + (int64_t)sim->clock_ms++ * 1000;
}

static void sim_random(struct rmt_io *io, void *buf, size_t len)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_scope(&sim->lock);
    fill_random(&sim->random, buf, len);
}

static void sim_close(struct rmt_io *io)
{
    struct rmt_sim *sim = sim_of(io);
    rmt_lock_take(&sim->lock);
    drop_locks_locked(sim, io, true, 0);
    sim->nr_open--;
    rmt_lock_give(&sim->lock);
    free(io);
}

static int sim_spill(struct rmt_io *io, size_t size, void **out)
{
    (void)io;
    *out = rmt_reserve_new(size);
    return *out ? 0 : rmt_fail(-ENOMEM, "%zu bytes of memory", size);
}

static const struct rmt_io_ops sim_ops = {
    .close = sim_close,
    .read = sim_read,
    .write = sim_write,
    .sync = sim_sync,
    .sync_begin = sim_sync_begin,
    .size = sim_size,
    .grow = sim_grow,
    .punch = sim_punch,
    .fill = sim_fill,
    .map = sim_map,
    .spill = sim_spill,
    .drop_cache = sim_drop_cache,
    .shared = sim_shared,
    .lock = sim_lock,
    .locked = sim_locked,
    .wait = rmt_system_wait,
    .wake = rmt_system_wake,
    .boot_id = sim_boot_id,
    .clock_ms = sim_clock_ms,
    .time_us = sim_time_us,
    .random = sim_random,
};

int rmt_sim_open(struct rmt_sim *sim, unsigned flags, struct rmt_io **out)
{
    rmt_assert(sim != NULL);
    rmt_assert(out != NULL);

    rmt_lock_scope(&sim->lock);
    if (sim->cut)
        return rmt_fail(-EIO, "simulated machine: no power");
    if (sim->size == 0 && (flags & (RMT_IO_MUST_EXIST | RMT_IO_READONLY)))
        return rmt_fail(-ENOENT, "simulated disk: empty");
    if (sim->size > 0 && (flags & RMT_IO_MUST_CREATE))
        return rmt_fail(-EEXIST, "simulated disk: not empty");
    struct handle *h = calloc(1, sizeof(*h));
    must(h != NULL);
    h->sim = sim;
    h->io = (struct rmt_io){
        .ops = &sim_ops,
        .path = "simulated disk",
        .readonly = flags & RMT_IO_READONLY,
        .created = sim->size == 0,
        .durable = true,
    };
    sim->nr_open++;
    *out = &h->io;
    return 0;
}

/* ---- the machine's owner --------------------------------------------------------------------- */

/* A lock is no part of what a const machine promises not to change. */
static struct rmt_lock *lock_of(const struct rmt_sim *sim)
{
    return (struct rmt_lock *)(uintptr_t)&sim->lock;
}

static void start_machine(struct rmt_sim *sim, uint64_t seed)
{
    rmt_lock_init(&sim->lock, RMT_RANK_IO);
    rmt_assert(pthread_cond_init(&sim->unlocked, NULL) == 0);
    sim->cut_at = NONE;
    for (int i = 0; i < RMT_SIM_KINDS; i++)
        sim->faults[i].at = NONE;
    sim->random = seed;
    sim->chance = ~seed;
}

struct rmt_sim *rmt_sim_new(uint64_t seed, uint64_t capacity_bytes)
{
    struct rmt_sim *sim = calloc(1, sizeof(*sim));
    if (!sim)
        return NULL;
    if (!arena_get(&sim->arena)) {
        free(sim);
        return NULL;
    }
    start_machine(sim, seed);
    rmt_sim_set_capacity(sim, capacity_bytes);
    sim->clock_ms = 1000;
    fill_random(&sim->random, sim->boot_id, sizeof(sim->boot_id));
    arena_trim(&sim->arena, 0);
    arena_clear_shared(&sim->arena);
    arena_protect(&sim->arena, 0, false);
    return sim;
}

void rmt_sim_free(struct rmt_sim *sim)
{
    if (!sim)
        return;
    rmt_assert(sim->nr_open == 0);
    for (size_t i = 0; i < sim->stale.count; i++)
        sim->arena.index[sim->stale.items[i].sector] = 0;
    arena_protect(&sim->arena, 0, true);
    arena_put(&sim->arena);
    rmt_vec_fini(&sim->stale);
    rmt_vec_fini(&sim->journal);
    rmt_vec_fini(&sim->journal_data);
    rmt_vec_fini(&sim->locks);
    rmt_vec_fini(&sim->holes);
    (void)pthread_cond_destroy(&sim->unlocked);
    rmt_lock_fini(&sim->lock);
    free(sim);
}

#define COPY_VEC(to, from)                                                              \
    do {                                                                                \
        must(rmt_vec_reserve((to), (from)->count));                                     \
        if ((from)->count)                                                              \
            memcpy((to)->items, (from)->items, (from)->count * sizeof(*(from)->items)); \
        (to)->count = (from)->count;                                                    \
    } while (0)

/* Word by word: those who have the store open go on writing there meanwhile. */
static void copy_shared(uint8_t *to, const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)(const void *)(from + i),
                                             memory_order_relaxed);
        memcpy(to + i, &word, sizeof(word));
    }
}

struct rmt_sim *rmt_sim_clone(const struct rmt_sim *sim, uint64_t seed)
{
    struct rmt_sim *copy = calloc(1, sizeof(*copy));
    if (!copy)
        return NULL;
    if (!arena_get(&copy->arena)) {
        free(copy);
        return NULL;
    }
    start_machine(copy, seed);

    rmt_lock_scope(lock_of(sim));
    memcpy(copy->arena.data, sim->arena.data, sim->arena.touched);
    copy->arena.touched = rmt_max(copy->arena.touched, sim->arena.touched);
    arena_trim(&copy->arena, sim->arena.touched);
    copy_shared(copy->arena.shared, sim->arena.shared, sim->arena.shared_touched);
    if (copy->arena.shared_touched > sim->arena.shared_touched)
        memset(copy->arena.shared + sim->arena.shared_touched, 0,
               copy->arena.shared_touched - sim->arena.shared_touched);
    copy->arena.shared_touched = sim->arena.shared_touched;
    COPY_VEC(&copy->stale, &sim->stale);
    for (size_t i = 0; i < copy->stale.count; i++)
        copy->arena.index[copy->stale.items[i].sector] = (uint32_t)i + 1;
    COPY_VEC(&copy->journal, &sim->journal);
    COPY_VEC(&copy->journal_data, &sim->journal_data);
    COPY_VEC(&copy->holes, &sim->holes);
    copy->nr_holes = sim->nr_holes;
    copy->capacity = sim->capacity;
    copy->size = sim->size;
    copy->durable_size = sim->durable_size;
    copy->ops = sim->ops;
    copy->fate = sim->fate;
    copy->cut = sim->cut;
    copy->clock_ms = sim->clock_ms;
    memcpy(copy->boot_id, sim->boot_id, sizeof(copy->boot_id));
    copy->violations = sim->violations;
    arena_protect(&copy->arena, copy->size, false);
    return copy;
}

uint64_t rmt_sim_ops(const struct rmt_sim *sim)
{
    rmt_lock_scope(lock_of(sim));
    return sim->ops;
}

void rmt_sim_cut_at(struct rmt_sim *sim, uint64_t at, enum rmt_sim_fate fate)
{
    rmt_lock_scope(&sim->lock);
    rmt_assert(fate < RMT_SIM_FATES);
    sim->cut_at = at;
    sim->fate = fate;
}

bool rmt_sim_is_cut(const struct rmt_sim *sim)
{
    rmt_lock_scope(lock_of(sim));
    return sim->cut;
}

void rmt_sim_boot(struct rmt_sim *sim)
{
    rmt_lock_scope(&sim->lock);
    rmt_assert(sim->nr_open == 0);
    lose_power(sim);
    arena_clear_shared(&sim->arena);
    fill_random(&sim->random, sim->boot_id, sizeof(sim->boot_id));
    sim->cut = false;
    sim->cut_at = NONE;
    for (int i = 0; i < RMT_SIM_KINDS; i++)
        sim->faults[i].at = NONE;
}

void rmt_sim_fail_at(struct rmt_sim *sim, enum rmt_sim_kind kind, uint64_t at, int code)
{
    rmt_lock_scope(&sim->lock);
    rmt_assert(kind < RMT_SIM_KINDS);
    rmt_assert(code < 0);
    sim->faults[kind] = (struct fault){at, code};
}

void rmt_sim_set_capacity(struct rmt_sim *sim, uint64_t capacity_bytes)
{
    rmt_lock_scope(&sim->lock);
    sim->capacity = rmt_min(capacity_bytes, DISK_MAX);
}

uint8_t *rmt_sim_bytes(struct rmt_sim *sim, uint64_t *out_size)
{
    rmt_lock_scope(&sim->lock);
    *out_size = sim->size;
    sim->arena.touched = rmt_max(sim->arena.touched, sim->size); /* the caller may write to it */
    return sim->arena.data;
}

uint64_t rmt_sim_faults_fired(const struct rmt_sim *sim)
{
    rmt_lock_scope(lock_of(sim));
    return sim->fired;
}

uint64_t rmt_sim_violations(const struct rmt_sim *sim)
{
    rmt_lock_scope(lock_of(sim));
    return sim->violations;
}
