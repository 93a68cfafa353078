/* SPDX-License-Identifier: MIT */
#include "crash/watched.h"

struct watched {
    struct rmt_io io;
    struct rmt_io *inner;
    void (*before)(void *ctx);
    void *ctx;
};

static struct watched *watched_of(struct rmt_io *io)
{
    return (struct watched *)io;
}

static void before(struct rmt_io *io)
{
    watched_of(io)->before(watched_of(io)->ctx);
}

static void watched_close(struct rmt_io *io)
{
    rmt_io_close(watched_of(io)->inner);
    free(io);
}

static int watched_read(struct rmt_io *io, void *buf, size_t len, uint64_t off)
{
    struct rmt_io *inner = watched_of(io)->inner;
    return inner->ops->read(inner, buf, len, off);
}

static int watched_write(struct rmt_io *io, struct iovec *iov, int count, uint64_t off)
{
    struct rmt_io *inner = watched_of(io)->inner;
    before(io);
    return inner->ops->write(inner, iov, count, off);
}

static int watched_sync(struct rmt_io *io)
{
    struct rmt_io *inner = watched_of(io)->inner;
    before(io);
    return inner->ops->sync(inner);
}

static int watched_size(struct rmt_io *io, uint64_t *out)
{
    struct rmt_io *inner = watched_of(io)->inner;
    return inner->ops->size(inner, out);
}

static int watched_grow(struct rmt_io *io, uint64_t size)
{
    struct rmt_io *inner = watched_of(io)->inner;
    before(io);
    return inner->ops->grow(inner, size);
}

static int watched_punch(struct rmt_io *io, uint64_t off, uint64_t len)
{
    struct rmt_io *inner = watched_of(io)->inner;
    before(io);
    return inner->ops->punch(inner, off, len);
}

static int watched_fill(struct rmt_io *io, uint64_t off, uint64_t len)
{
    struct rmt_io *inner = watched_of(io)->inner;
    before(io);
    return inner->ops->fill(inner, off, len);
}

static int watched_map(struct rmt_io *io, uint64_t reserve, const uint8_t **out)
{
    struct rmt_io *inner = watched_of(io)->inner;
    return inner->ops->map(inner, reserve, out);
}

static void watched_drop_cache(struct rmt_io *io)
{
    struct rmt_io *inner = watched_of(io)->inner;
    inner->ops->drop_cache(inner);
}

static int watched_shared(struct rmt_io *io, size_t size, void **out)
{
    struct rmt_io *inner = watched_of(io)->inner;
    return inner->ops->shared(inner, size, out);
}

static int watched_lock(struct rmt_io *io, uint64_t byte, enum rmt_io_lock how, bool wait)
{
    struct rmt_io *inner = watched_of(io)->inner;
    return inner->ops->lock(inner, byte, how, wait);
}

static int watched_locked(struct rmt_io *io, uint64_t byte)
{
    struct rmt_io *inner = watched_of(io)->inner;
    return inner->ops->locked(inner, byte);
}

static void watched_boot_id(struct rmt_io *io, uint8_t out[16])
{
    struct rmt_io *inner = watched_of(io)->inner;
    inner->ops->boot_id(inner, out);
}

static uint64_t watched_clock_ms(struct rmt_io *io)
{
    struct rmt_io *inner = watched_of(io)->inner;
    return inner->ops->clock_ms(inner);
}

static int64_t watched_time_us(struct rmt_io *io)
{
    struct rmt_io *inner = watched_of(io)->inner;
    return inner->ops->time_us(inner);
}

static void watched_random(struct rmt_io *io, void *buf, size_t len)
{
    struct rmt_io *inner = watched_of(io)->inner;
    inner->ops->random(inner, buf, len);
}

static void watched_sync_begin(struct rmt_io *io, uint64_t off)
{
    struct rmt_io *inner = watched_of(io)->inner;
    inner->ops->sync_begin(inner, off);
}

static const struct rmt_io_ops watched_ops = {
    .close = watched_close,
    .read = watched_read,
    .write = watched_write,
    .sync = watched_sync,
    .sync_begin = watched_sync_begin,
    .size = watched_size,
    .grow = watched_grow,
    .punch = watched_punch,
    .fill = watched_fill,
    .map = watched_map,
    .drop_cache = watched_drop_cache,
    .shared = watched_shared,
    .lock = watched_lock,
    .locked = watched_locked,
    .boot_id = watched_boot_id,
    .clock_ms = watched_clock_ms,
    .time_us = watched_time_us,
    .random = watched_random,
};

struct rmt_io *watched_new(struct rmt_io *inner, void (*before_operation)(void *ctx), void *ctx)
{
    struct watched *w = calloc(1, sizeof(*w));
    rmt_assert(w != NULL);
    *w = (struct watched){*inner, inner, before_operation, ctx};
    w->io.ops = &watched_ops;
    return &w->io;
}
