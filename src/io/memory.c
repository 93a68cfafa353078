/* SPDX-License-Identifier: MIT */
/*
 * memory.c - a store in memory: a memfd that one struct rmt_io has to itself.
 *
 * Nothing is durable, nobody else can open it: flushes do nothing and locks are always granted.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/lock.h"
#include "io/system.h"

struct memory {
    struct rmt_io io;
    int fd; /* set once in open */
    struct rmt_lock grow_lock;
    const uint8_t *view; /* set once in map() */
    uint64_t view_size;
    /* The same once more, for write(). atomic: release, written with grow_lock. */
    uint8_t *_Atomic writable; /* NULL: not yet mapped, or there is no room for it */
    _Atomic uint64_t size;     /* bytes that have their memory, from the first on; only grows */
    bool tried;                /* guarded by grow_lock */
    void *shared;              /* set once in shared() */
    size_t shared_size;
    uint8_t boot_id[16]; /* set once in open */
};

static struct memory *memory_of(struct rmt_io *io)
{
    return (struct memory *)io;
}

static void memory_close(struct rmt_io *io)
{
    struct memory *m = memory_of(io);
    if (m->view)
        (void)munmap((void *)(uintptr_t)m->view, m->view_size);
    if (m->writable)
        (void)munmap(m->writable, m->view_size);
    if (m->shared)
        (void)munmap(m->shared, m->shared_size);
    (void)close(m->fd);
    rmt_lock_fini(&m->grow_lock);
    free(m);
}

static int memory_read(struct rmt_io *io, void *buf, size_t len, uint64_t off)
{
    return rmt_system_read(memory_of(io)->fd, io->path, buf, len, off);
}

/* NULL: there is no room for it. */
static uint8_t *map_writable(struct memory *m)
{
    rmt_lock_scope(&m->grow_lock);
    if (!m->tried && m->view) { /* not before the store has what address space it needs */
        m->tried = true;
        atomic_store_explicit(&m->writable, rmt_system_map_writable(m->fd, m->view_size),
                              memory_order_release);
    }
    return m->writable;
}

/* Where bytes can be written without the kernel; NULL: they cannot. */
static uint8_t *writable_at(struct memory *m, uint64_t off, uint64_t len)
{
    uint8_t *writable = atomic_load_explicit(&m->writable, memory_order_acquire);
    if (rmt_unlikely(!writable))
        writable = map_writable(m);
    uint64_t size = rmt_min(atomic_load_explicit(&m->size, memory_order_acquire), m->view_size);
    return writable && len <= size && off <= size - len ? writable + off : NULL;
}

/* A call of the kernel costs more than to copy the pages of a small commit. What is written has its
 * memory already, from grow() or fill(). */
static int memory_write(struct rmt_io *io, struct iovec *iov, int count, uint64_t off)
{
    struct memory *m = memory_of(io);
    uint64_t len = 0;
    for (int i = 0; i < count; i++)
        len += iov[i].iov_len;
    uint8_t *to = writable_at(m, off, len);
    if (!to)
        return rmt_system_write(m->fd, io->path, iov, count, off);
    for (int i = 0; i < count; i++) {
        memcpy(to, iov[i].iov_base, iov[i].iov_len);
        to += iov[i].iov_len;
    }
    return 0;
}

static int memory_sync(struct rmt_io *io)
{
    (void)io;
    return 0;
}

static void memory_sync_begin(struct rmt_io *io, uint64_t off)
{
    (void)io;
    (void)off;
}

static int memory_size(struct rmt_io *io, uint64_t *out)
{
    return rmt_system_size(memory_of(io)->fd, io->path, out);
}

static int memory_grow(struct rmt_io *io, uint64_t size)
{
    struct memory *m = memory_of(io);
    rmt_lock_scope(&m->grow_lock);
    int rc = rmt_system_grow(m->fd, io->path, size);
    if (rc == 0)
        atomic_store_explicit(&m->size, rmt_max(m->size, size), memory_order_release);
    return rc;
}

static int memory_punch(struct rmt_io *io, uint64_t off, uint64_t len)
{
    return rmt_system_punch(memory_of(io)->fd, io->path, off, len);
}

static int memory_fill(struct rmt_io *io, uint64_t off, uint64_t len)
{
    return rmt_system_fill(memory_of(io)->fd, io->path, off, len);
}

static int memory_map(struct rmt_io *io, uint64_t reserve, const uint8_t **out)
{
    struct memory *m = memory_of(io);
    rmt_assert(!m->view);
    int rc = rmt_system_map(m->fd, io->path, reserve, &m->view);
    if (rc < 0)
        return rc;
    m->view_size = reserve;
    *out = m->view;
    return 0;
}

static int memory_view(struct rmt_io *io, void *at, size_t len, uint64_t off)
{
    return rmt_system_view(memory_of(io)->fd, io->path, at, len, off);
}

static int memory_spill(struct rmt_io *io, size_t size, void **out)
{
    (void)io;
    return rmt_system_anonymous(size, out);
}

static void memory_drop_cache(struct rmt_io *io)
{
    (void)io;
}

static int memory_shared(struct rmt_io *io, size_t size, void **out)
{
    struct memory *m = memory_of(io);
    rmt_assert(!m->shared);
    int rc = rmt_system_anonymous(size, &m->shared);
    if (rc < 0)
        return rc;
    m->shared_size = size;
    *out = m->shared;
    return 0;
}

static int memory_lock(struct rmt_io *io, uint64_t byte, enum rmt_io_lock how, bool wait)
{
    (void)io, (void)byte, (void)how, (void)wait;
    return 0;
}

static int memory_locked(struct rmt_io *io, uint64_t byte)
{
    (void)io, (void)byte;
    return 0;
}

static void memory_boot_id(struct rmt_io *io, uint8_t out[16])
{
    memcpy(out, memory_of(io)->boot_id, 16);
}

static const struct rmt_io_ops memory_ops = {
    .close = memory_close,
    .read = memory_read,
    .write = memory_write,
    .sync = memory_sync,
    .sync_begin = memory_sync_begin,
    .size = memory_size,
    .grow = memory_grow,
    .punch = memory_punch,
    .fill = memory_fill,
    .map = memory_map,
    .view = memory_view,
    .spill = memory_spill,
    .drop_cache = memory_drop_cache,
    .shared = memory_shared,
    .lock = memory_lock,
    .locked = memory_locked,
    .wait = rmt_system_wait,
    .wake = rmt_system_wake,
    .boot_id = memory_boot_id,
    .clock_ms = rmt_system_clock_ms,
    .time_us = rmt_system_time_us,
    .random = rmt_system_random,
};

int rmt_io_memory_open(struct rmt_io **out)
{
    rmt_assert(out != NULL);

    rmt_auto(free) void *mem = calloc(1, sizeof(struct memory));
    struct memory *m = mem;
    if (!m)
        return rmt_fail(-ENOMEM, "store in memory");
    m->fd = memfd_create("ramet", MFD_CLOEXEC);
    if (m->fd < 0)
        return rmt_fail(-errno, "store in memory: cannot make a memfd");
    m->io.ops = &memory_ops;
    m->io.path = "memory";
    m->io.created = true;
    rmt_lock_init(&m->grow_lock, RMT_RANK_IO);
    rmt_system_random(&m->io, m->boot_id, sizeof(m->boot_id));
    (void)rmt_take(mem);
    *out = &m->io;
    return 0;
}
