/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "io/sim.h"

#define CAPACITY ((uint64_t)1 << 20)
#define SECTOR 512

static struct rmt_sim *sim;
static struct rmt_io *io;

static int setup(void **state)
{
    (void)state;
    sim = rmt_sim_new(1, CAPACITY);
    return sim ? rmt_sim_open(sim, 0, &io) : -1;
}

static int teardown(void **state)
{
    (void)state;
    rmt_io_close(io);
    rmt_sim_free(sim);
    return 0;
}

/* Writes sectors first to end, each filled with value. */
static int fill_on(struct rmt_io *on, uint64_t first, uint64_t end, int value)
{
    size_t len = (end - first) * SECTOR;
    rmt_auto(free) void *data = malloc(len);
    memset(data, value, len);
    struct iovec iov = {data, len};
    return on->ops->write(on, &iov, 1, first * SECTOR);
}

static int fill(uint64_t first, uint64_t end, int value)
{
    return fill_on(io, first, end, value);
}

static int grow(uint64_t sectors)
{
    return io->ops->grow(io, sectors * SECTOR);
}

static int sync_now(void)
{
    return io->ops->sync(io);
}

/* What a sector is filled with; -1: with several things. */
static int value_on(struct rmt_io *on, uint64_t sector)
{
    uint8_t data[SECTOR];
    if (on->ops->read(on, data, SECTOR, sector * SECTOR) < 0)
        return -2;
    for (size_t i = 1; i < SECTOR; i++) {
        if (data[i] != data[0])
            return -1;
    }
    return data[0];
}

static int value(uint64_t sector)
{
    return value_on(io, sector);
}

static void power_cycle(enum rmt_sim_fate fate)
{
    rmt_io_close(io);
    rmt_sim_cut_at(sim, UINT64_MAX, fate);
    rmt_sim_boot(sim);
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
}

static void obeys_the_flags(void **state)
{
    (void)state;
    struct rmt_io *other = NULL;
    assert_true(io->created);
    assert_true(io->durable);
    assert_int_equal(rmt_sim_open(sim, RMT_IO_MUST_EXIST, &other), -ENOENT);
    assert_int_equal(grow(8), 0);
    assert_int_equal(rmt_sim_open(sim, RMT_IO_MUST_CREATE, &other), -EEXIST);
    assert_int_equal(rmt_sim_open(sim, RMT_IO_READONLY, &other), 0);
    assert_true(other->readonly);
    assert_false(other->created);
    rmt_io_close(other);
}

static void reads_what_was_written(void **state)
{
    (void)state;
    const uint8_t *view = NULL;
    assert_int_equal(grow(16), 0);
    assert_int_equal(io->ops->map(io, UINT64_C(1) << 60, &view), -ENOMEM);
    assert_int_equal(io->ops->map(io, UINT64_C(1) << 30, &view), 0);
    assert_int_equal(fill(2, 5, 7), 0);
    assert_int_equal(value(1), 0);
    assert_int_equal(value(2), 7);
    assert_int_equal(value(4), 7);
    assert_int_equal(value(5), 0);
    assert_int_equal(view[2 * SECTOR], 7);
    assert_int_equal(value(16), -2);
    assert_int_equal(rmt_sim_violations(sim), 0);
}

static void counts_broken_promises(void **state)
{
    (void)state;
    char text[SECTOR] = "x";
    struct iovec iov = {text, 1};
    assert_int_equal(grow(4), 0);
    assert_int_equal(io->ops->write(io, &iov, 1, 0), -EINVAL);
    iov = (struct iovec){text, SECTOR};
    assert_int_equal(io->ops->write(io, &iov, 1, 1), -EINVAL);
    assert_int_equal(fill(3, 5, 1), -EINVAL); /* beyond the end */
    assert_int_equal(rmt_sim_violations(sim), 3);
    assert_int_equal(value(3), 0);
}

static void keeps_what_was_synced_through_every_fate(void **state)
{
    (void)state;
    assert_int_equal(grow(16), 0);
    assert_int_equal(fill(0, 8, 1), 0);
    assert_int_equal(sync_now(), 0);
    for (int fate = 0; fate < RMT_SIM_FATES; fate++) {
        power_cycle(fate);
        for (uint64_t i = 0; i < 16; i++)
            assert_int_equal(value(i), i < 8);
    }
    assert_false(io->created);
}

static void keep_keeps_and_drop_drops(void **state)
{
    (void)state;
    uint64_t size = 0;
    assert_int_equal(grow(16), 0);
    assert_int_equal(fill(0, 8, 1), 0);
    power_cycle(RMT_SIM_KEEP);
    assert_int_equal(value(7), 1);

    assert_int_equal(fill(4, 12, 2), 0);
    assert_int_equal(fill(4, 6, 3), 0);
    assert_int_equal(grow(32), 0);
    power_cycle(RMT_SIM_DROP);
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(value(i), i < 8);
    assert_int_equal(io->ops->size(io, &size), 0);
    assert_int_equal(size, 16 * SECTOR);
}

/* How often each sector of one write of 8 had been written, over many seeds. */
static unsigned try_fate(enum rmt_sim_fate fate, unsigned times[8], unsigned *out_whole)
{
    unsigned edges_max = 0;
    *out_whole = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        rmt_auto(rmt_sim_free) struct rmt_sim *one = rmt_sim_clone(sim, seed);
        struct rmt_io *on = NULL;
        unsigned edges = 0, written = 0;
        rmt_sim_cut_at(one, UINT64_MAX, fate);
        rmt_sim_boot(one);
        assert_int_equal(rmt_sim_open(one, 0, &on), 0);
        for (uint64_t i = 0; i < 8; i++) {
            int v = value_on(on, i);
            assert_true(v == 1 || v == 2);
            times[i] += v == 2;
            written += v == 2;
            edges += i > 0 && v != value_on(on, i - 1);
        }
        edges_max = edges > edges_max ? edges : edges_max;
        *out_whole += written == 0 || written == 8;
        rmt_io_close(on);
    }
    return edges_max;
}

static void tears_between_two_sectors_and_scatters_between_all(void **state)
{
    (void)state;
    unsigned torn[8] = {0}, scattered[8] = {0}, whole = 0;
    assert_int_equal(grow(8), 0);
    assert_int_equal(fill(0, 8, 1), 0);
    assert_int_equal(sync_now(), 0);
    assert_int_equal(fill(0, 8, 2), 0);
    assert_int_equal(try_fate(RMT_SIM_TEAR, torn, &whole), 1);
    assert_in_range(whole, 20, 180);
    assert_true(try_fate(RMT_SIM_SCATTER, scattered, &whole) > 3);
    for (int i = 0; i < 8; i++) {
        assert_in_range(torn[i], 20, 180);
        assert_in_range(scattered[i], 20, 180);
    }
}

static void scattering_may_keep_the_older_of_two_writes(void **state)
{
    (void)state;
    unsigned seen[4] = {0};
    assert_int_equal(grow(8), 0);
    assert_int_equal(sync_now(), 0);
    for (int v = 1; v <= 3; v++)
        assert_int_equal(fill(0, 1, v), 0);
    for (uint64_t seed = 0; seed < 200; seed++) {
        rmt_auto(rmt_sim_free) struct rmt_sim *one = rmt_sim_clone(sim, seed);
        struct rmt_io *on = NULL;
        rmt_sim_cut_at(one, UINT64_MAX, RMT_SIM_SCATTER);
        rmt_sim_boot(one);
        assert_int_equal(rmt_sim_open(one, 0, &on), 0);
        seen[value_on(on, 0)]++;
        rmt_io_close(on);
    }
    for (int v = 0; v < 4; v++)
        assert_true(seen[v] > 0);
}

static void cuts_before_the_operation_that_was_named(void **state)
{
    (void)state;
    assert_int_equal(grow(8), 0);
    assert_int_equal(fill(0, 1, 1), 0);
    assert_int_equal(sync_now(), 0);
    assert_int_equal(rmt_sim_ops(sim), 3);
    rmt_sim_cut_at(sim, 4, RMT_SIM_DROP);
    assert_int_equal(fill(1, 2, 1), 0);
    assert_false(rmt_sim_is_cut(sim));
    assert_int_equal(sync_now(), -EIO);
    assert_true(rmt_sim_is_cut(sim));
    assert_int_equal(fill(2, 3, 1), -EIO);
    assert_int_equal(grow(16), -EIO);
    assert_int_equal(value(0), -2); /* there is no power to read with */
    struct rmt_io *other = NULL;
    assert_int_equal(rmt_sim_open(sim, 0, &other), -EIO);
    rmt_io_close(io);
    rmt_sim_boot(sim);
    assert_false(rmt_sim_is_cut(sim));
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    assert_int_equal(value(0), 1);
    assert_int_equal(value(1), 0);
    assert_int_equal(fill(1, 2, 5), 0);
    assert_int_equal(sync_now(), 0);
    power_cycle(RMT_SIM_DROP);
    assert_int_equal(value(1), 5);
}

static void a_write_under_the_knife_may_be_there_in_part(void **state)
{
    (void)state;
    bool seen[3] = {false};
    assert_int_equal(grow(8), 0);
    assert_int_equal(sync_now(), 0);
    for (uint64_t seed = 0; seed < 100; seed++) {
        rmt_auto(rmt_sim_free) struct rmt_sim *one = rmt_sim_clone(sim, seed);
        struct rmt_io *on = NULL;
        assert_int_equal(rmt_sim_open(one, 0, &on), 0);
        rmt_sim_cut_at(one, rmt_sim_ops(one), RMT_SIM_TEAR);
        assert_int_equal(fill_on(on, 0, 8, 1), -EIO);
        rmt_io_close(on);
        rmt_sim_boot(one);
        assert_int_equal(rmt_sim_open(one, 0, &on), 0);
        int sum = 0;
        for (uint64_t i = 0; i < 8; i++)
            sum += value_on(on, i);
        seen[sum == 0 ? 0 : sum == 8 ? 1 : 2] = true;
        rmt_io_close(on);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

static void the_file_is_as_long_as_its_durable_length(void **state)
{
    (void)state;
    bool seen[3] = {false};
    assert_int_equal(grow(8), 0);
    assert_int_equal(sync_now(), 0);
    assert_int_equal(grow(16), 0);
    assert_int_equal(fill(8, 16, 1), 0);
    assert_int_equal(grow(24), 0);
    assert_int_equal(fill(16, 24, 2), 0);
    for (uint64_t seed = 0; seed < 100; seed++) {
        rmt_auto(rmt_sim_free) struct rmt_sim *one = rmt_sim_clone(sim, seed);
        struct rmt_io *on = NULL;
        uint64_t size = 0;
        rmt_sim_cut_at(one, UINT64_MAX, RMT_SIM_TEAR);
        rmt_sim_boot(one);
        assert_int_equal(rmt_sim_open(one, 0, &on), 0);
        assert_int_equal(on->ops->size(on, &size), 0);
        assert_true(size == 8 * SECTOR || size == 16 * SECTOR || size == 24 * SECTOR);
        seen[size / SECTOR / 8 - 1] = true;
        assert_int_equal(on->ops->grow(on, 32 * SECTOR), 0);
        for (uint64_t i = size / SECTOR; i < 32; i++)
            assert_int_equal(value_on(on, i), 0); /* nothing of before shows */
        rmt_io_close(on);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

static void fills_up(void **state)
{
    (void)state;
    uint64_t size = 0;
    assert_int_equal(io->ops->grow(io, CAPACITY), 0);
    assert_int_equal(io->ops->grow(io, CAPACITY + 1), -ENOSPC);
    assert_int_equal(io->ops->grow(io, 1), 0);
    rmt_sim_set_capacity(sim, SECTOR);
    assert_int_equal(io->ops->grow(io, CAPACITY), 0);
    rmt_sim_set_capacity(sim, CAPACITY * 2);
    assert_int_equal(io->ops->grow(io, CAPACITY * 2), 0);
    assert_int_equal(io->ops->size(io, &size), 0);
    assert_int_equal(size, CAPACITY * 2);
}

static void holes_give_room_and_are_filled_before_they_are_written(void **state)
{
    (void)state;
    const uint64_t at = 8192, len = 16384;
    assert_int_equal(io->ops->grow(io, CAPACITY), 0);
    assert_int_equal(io->ops->punch(io, at, len), 0);
    assert_int_equal(io->ops->grow(io, CAPACITY + len), 0); /* in the room that was given back */
    assert_int_equal(io->ops->fill(io, at, len), -ENOSPC);
    assert_int_equal(fill(at / SECTOR, at / SECTOR + 1, 7), -ENOSPC);
    assert_int_equal(rmt_sim_violations(sim), 1);
    rmt_sim_set_capacity(sim, CAPACITY * 2);
    assert_int_equal(io->ops->fill(io, at, len), 0);
    assert_int_equal(fill(at / SECTOR, at / SECTOR + 1, 7), 0);
    assert_int_equal(rmt_sim_violations(sim), 1);
}

static void a_cut_undoes_what_was_filled_and_not_synced(void **state)
{
    (void)state;
    assert_int_equal(io->ops->grow(io, CAPACITY), 0);
    assert_int_equal(io->ops->punch(io, 8192, 8192), 0);
    assert_int_equal(io->ops->sync(io), 0);
    assert_int_equal(io->ops->fill(io, 8192, 4096), 0);
    assert_int_equal(io->ops->sync(io), 0);
    assert_int_equal(io->ops->fill(io, 12288, 4096), 0);
    rmt_io_close(io);
    rmt_sim_boot(sim);
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    assert_int_equal(fill(16, 24, 1), 0);
    assert_int_equal(fill(24, 25, 1), -ENOSPC);
}

static void fails_once_and_where_it_was_told_to(void **state)
{
    (void)state;
    assert_int_equal(grow(16), 0);
    rmt_sim_fail_at(sim, RMT_SIM_WRITE, 1, -ENOSPC);
    rmt_sim_fail_at(sim, RMT_SIM_GROW, 0, -ENOSPC);
    rmt_sim_fail_at(sim, RMT_SIM_READ, 0, -EIO);
    assert_int_equal(fill(0, 1, 1), 0);
    assert_int_equal(fill(8, 16, 2), -ENOSPC);
    assert_int_equal(fill(0, 1, 3), 0);
    assert_int_equal(grow(32), -ENOSPC);
    assert_int_equal(rmt_sim_faults_fired(sim), 2);
    assert_int_equal(grow(32), 0);
    assert_int_equal(value(0), -2);
    assert_int_equal(value(0), 3);
    for (uint64_t i = 9; i < 16; i++) /* of a failed write a part may be there */
        assert_true(value(i) == 0 || value(i - 1) == 2);
}

static void a_failed_sync_may_forget_what_it_should_have_written(void **state)
{
    (void)state;
    bool lost = false, kept = false, dirty = false;
    assert_int_equal(grow(16), 0);
    assert_int_equal(fill(0, 16, 1), 0);
    assert_int_equal(sync_now(), 0);
    for (uint64_t seed = 0; seed < 100; seed++) {
        rmt_auto(rmt_sim_free) struct rmt_sim *one = rmt_sim_clone(sim, seed);
        struct rmt_io *on = NULL;
        int before = 0, after = 0;
        assert_int_equal(rmt_sim_open(one, 0, &on), 0);
        assert_int_equal(fill_on(on, 0, 8, 2), 0);
        rmt_sim_fail_at(one, RMT_SIM_SYNC, 0, -EIO);
        assert_int_equal(on->ops->sync(on), -EIO);
        for (uint64_t i = 0; i < 8; i++)
            assert_int_equal(value_on(on, i), 2); /* the cache does not tell */
        assert_int_equal(on->ops->sync(on), 0);   /* nor does the next sync */
        on->ops->drop_cache(on);
        for (uint64_t i = 0; i < 8; i++)
            before += value_on(on, i) == 2;
        rmt_io_close(on);
        rmt_sim_cut_at(one, UINT64_MAX, RMT_SIM_KEEP);
        rmt_sim_boot(one);
        assert_int_equal(rmt_sim_open(one, 0, &on), 0);
        for (uint64_t i = 0; i < 8; i++)
            after += value_on(on, i) == 2;
        assert_int_equal(before, after); /* the cache had been dropped: it showed the disk */
        lost |= before == 0;
        kept |= before == 8;
        dirty |= before > 0 && before < 8;
        rmt_io_close(on);
    }
    assert_true(lost && kept && dirty);
}

static void several_handles_share_memory_and_exclude_each_other(void **state)
{
    (void)state;
    struct rmt_io *b = NULL;
    void *mem_a = NULL, *mem_b = NULL;
    assert_int_equal(rmt_sim_open(sim, 0, &b), 0);
    assert_int_equal(io->ops->shared(io, 10000, &mem_a), 0);
    assert_int_equal(b->ops->shared(b, 10000, &mem_b), 0);
    memset(mem_a, 9, 10000);
    assert_int_equal(((uint8_t *)mem_b)[9999], 9);

    assert_int_equal(io->ops->lock(io, 3, RMT_IO_LOCK_SHARED, false), 0);
    assert_int_equal(b->ops->lock(b, 3, RMT_IO_LOCK_SHARED, false), 0);
    assert_int_equal(io->ops->lock(io, 3, RMT_IO_LOCK_EXCLUSIVE, false), -EAGAIN);
    assert_int_equal(io->ops->locked(io, 3), 1);
    assert_int_equal(io->ops->locked(io, 4), 0);
    assert_int_equal(b->ops->lock(b, 3, RMT_IO_UNLOCK, false), 0);
    assert_int_equal(io->ops->lock(io, 3, RMT_IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(b->ops->lock(b, 3, RMT_IO_LOCK_SHARED, false), -EAGAIN);
    rmt_io_close(io);
    assert_int_equal(b->ops->lock(b, 3, RMT_IO_LOCK_EXCLUSIVE, false), 0);
    rmt_io_close(b);

    /* Processes die, the machine does not: the memory stays. */
    rmt_auto(rmt_sim_free) struct rmt_sim *copy = rmt_sim_clone(sim, 5);
    assert_int_equal(rmt_sim_open(copy, 0, &b), 0);
    assert_int_equal(b->ops->shared(b, 10000, &mem_b), 0);
    assert_int_equal(((uint8_t *)mem_b)[9999], 9);
    rmt_io_close(b);

    uint8_t before[16], after[16];
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    io->ops->boot_id(io, before);
    power_cycle(RMT_SIM_KEEP);
    io->ops->boot_id(io, after);
    assert_memory_not_equal(before, after, 16);
    assert_int_equal(io->ops->shared(io, 10000, &mem_a), 0);
    assert_int_equal(((uint8_t *)mem_a)[9999], 0);
}

static void *waiter(void *ctx)
{
    struct rmt_io *mine = ctx;
    return mine->ops->lock(mine, 3, RMT_IO_LOCK_EXCLUSIVE, true) == 0 ? NULL : ctx;
}

static void waits_for_a_lock(void **state)
{
    (void)state;
    struct rmt_io *b = NULL;
    pthread_t thread;
    void *failed = NULL;
    assert_int_equal(rmt_sim_open(sim, 0, &b), 0);
    assert_int_equal(io->ops->lock(io, 3, RMT_IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(pthread_create(&thread, NULL, waiter, b), 0);
    rmt_io_close(io);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    io = b;
}

static void a_clone_goes_its_own_way(void **state)
{
    (void)state;
    struct rmt_io *b = NULL;
    assert_int_equal(grow(16), 0);
    assert_int_equal(fill(0, 8, 1), 0);
    assert_int_equal(sync_now(), 0);
    assert_int_equal(fill(4, 8, 2), 0);
    rmt_auto(rmt_sim_free) struct rmt_sim *copy = rmt_sim_clone(sim, 7);
    assert_int_equal(rmt_sim_ops(copy), rmt_sim_ops(sim));
    assert_int_equal(rmt_sim_open(copy, 0, &b), 0);
    assert_int_equal(fill_on(b, 0, 1, 5), 0);
    assert_int_equal(value(0), 1);
    assert_int_equal(value_on(b, 4), 2);
    rmt_io_close(b);

    rmt_sim_cut_at(copy, UINT64_MAX, RMT_SIM_DROP);
    rmt_sim_boot(copy);
    assert_int_equal(rmt_sim_open(copy, 0, &b), 0);
    assert_int_equal(value_on(b, 0), 1);
    assert_int_equal(value_on(b, 4), 1);
    assert_int_equal(value(4), 2);
    rmt_io_close(b);
    power_cycle(RMT_SIM_KEEP);
    assert_int_equal(value(4), 2);
}

static void a_seed_decides_everything(void **state)
{
    (void)state;
    uint8_t a[64], b[64];
    rmt_auto(rmt_sim_free) struct rmt_sim *twin = rmt_sim_new(1, CAPACITY);
    struct rmt_io *other = NULL;
    assert_int_equal(rmt_sim_open(twin, 0, &other), 0);
    io->ops->random(io, a, sizeof(a));
    other->ops->random(other, b, sizeof(b));
    assert_memory_equal(a, b, sizeof(a));
    io->ops->boot_id(io, a);
    other->ops->boot_id(other, b);
    assert_memory_equal(a, b, 16);
    assert_true(io->ops->clock_ms(io) == other->ops->clock_ms(other));
    assert_true(io->ops->time_us(io) == other->ops->time_us(other));
    assert_true(io->ops->clock_ms(io) < io->ops->clock_ms(io) + 1);
    rmt_io_close(other);
}

static void bytes_can_be_flipped(void **state)
{
    (void)state;
    uint64_t size = 0;
    assert_int_equal(grow(8), 0);
    assert_int_equal(sync_now(), 0);
    uint8_t *bytes = rmt_sim_bytes(sim, &size);
    assert_int_equal(size, 8 * SECTOR);
    memset(bytes + SECTOR, 3, SECTOR);
    assert_int_equal(value(1), 3);
    power_cycle(RMT_SIM_DROP);
    assert_int_equal(value(1), 3);
    rmt_auto(rmt_sim_free) struct rmt_sim *copy = rmt_sim_clone(sim, 1);
    assert_memory_equal(rmt_sim_bytes(copy, &size), rmt_sim_bytes(sim, &size), 8 * SECTOR);
}

/* Memory is used again by later machines: nothing of it may show. */
static void a_new_machine_is_empty(void **state)
{
    (void)state;
    struct rmt_io *b = NULL;
    void *mem = NULL;
    for (int i = 0; i < 3; i++) {
        rmt_auto(rmt_sim_free) struct rmt_sim *other = rmt_sim_new(1, CAPACITY);
        assert_int_equal(rmt_sim_open(other, 0, &b), 0);
        assert_int_equal(b->ops->grow(b, 64 * SECTOR), 0);
        assert_int_equal(b->ops->shared(b, 10000, &mem), 0);
        for (uint64_t s = 0; s < 64; s++)
            assert_int_equal(value_on(b, s), 0);
        assert_int_equal(((uint8_t *)mem)[5000], 0);
        memset(mem, 1, 10000);
        assert_int_equal(fill_on(b, 0, 64, 1), 0);
        rmt_io_close(b);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(obeys_the_flags),
        TEST(reads_what_was_written),
        TEST(counts_broken_promises),
        TEST(keeps_what_was_synced_through_every_fate),
        TEST(keep_keeps_and_drop_drops),
        TEST(tears_between_two_sectors_and_scatters_between_all),
        TEST(scattering_may_keep_the_older_of_two_writes),
        TEST(cuts_before_the_operation_that_was_named),
        TEST(a_write_under_the_knife_may_be_there_in_part),
        TEST(the_file_is_as_long_as_its_durable_length),
        TEST(fills_up),
        TEST(holes_give_room_and_are_filled_before_they_are_written),
        TEST(a_cut_undoes_what_was_filled_and_not_synced),
        TEST(fails_once_and_where_it_was_told_to),
        TEST(a_failed_sync_may_forget_what_it_should_have_written),
        TEST(several_handles_share_memory_and_exclude_each_other),
        TEST(waits_for_a_lock),
        TEST(a_clone_goes_its_own_way),
        TEST(a_seed_decides_everything),
        TEST(bytes_can_be_flipped),
        TEST(a_new_machine_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
