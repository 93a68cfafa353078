/* SPDX-License-Identifier: MIT */
#include "page/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "io/sim.h"

static const uint8_t store_id[16] = {1};

static int setup(void **state)
{
    *state = rmt_sim_new(1, 1 << 20);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    rmt_sim_free(*state);
    return 0;
}

static int open_try(struct rmt_sim *sim, struct rmt_shared *out)
{
    struct rmt_io *io;
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    int rc = rmt_shared_open(out, io, store_id);
    if (rc == 0)
        assert_int_equal(rmt_shared_ready(out), 0);
    else
        rmt_io_close(io);
    return rc;
}

static void open_ok(struct rmt_sim *sim, struct rmt_shared *out)
{
    assert_int_equal(open_try(sim, out), 0);
}

static void close_ok(struct rmt_shared *shared)
{
    rmt_shared_close(shared);
    rmt_io_close(shared->io);
}

/* Its locks fall, and it says nothing. */
static void die(struct rmt_shared *shared)
{
    rmt_io_close(shared->io);
}

static struct rmt_reader_slot *read_ok(struct rmt_shared *shared, uint64_t version)
{
    struct rmt_reader_slot *slot;
    assert_int_equal(rmt_reader_claim(shared, &slot), 0);
    rmt_reader_settle(slot, version);
    return slot;
}

static void a_reader_that_finds_all_slots_taken_frees_those_of_the_dead(void **state)
{
    struct rmt_shared a, b;
    struct rmt_reader_slot *slot;
    open_ok(*state, &a);
    open_ok(*state, &b);
    for (uint32_t i = 0; i < RMT_READERS; i++)
        (void)read_ok(&a, 7);
    assert_int_equal(rmt_reader_claim(&b, &slot), -EBUSY);
    die(&a);
    for (uint32_t i = 0; i < RMT_READERS; i++)
        (void)read_ok(&b, 8);
    assert_int_equal(rmt_reader_claim(&b, &slot), -EBUSY);
    close_ok(&b);
}

static void what_the_dead_read_is_not_needed(void **state)
{
    struct rmt_shared a, b;
    struct rmt_readers readers;
    open_ok(*state, &a);
    open_ok(*state, &b);
    (void)read_ok(&a, 7);
    rmt_readers_look(&b, &readers);
    assert_true(rmt_readers_need(&readers, 7, 8));
    die(&a);
    rmt_readers_look(&b, &readers);
    assert_false(rmt_readers_need(&readers, 7, 8));
    close_ok(&b);
}

/* ---- somebody takes the place of the dead while their slots are looked at ----------------------
 */

static struct rmt_io_ops hooked_ops;
static const struct rmt_io_ops *sim_ops;
static struct rmt_sim *machine;
static struct rmt_shared newcomer;
static struct rmt_reader_slot *newcomer_slot;

/* Right after the kernel has said that a process is dead, another comes to its place and reads. */
static int locked_then_open(struct rmt_io *io, uint64_t byte)
{
    int rc = sim_ops->locked(io, byte);
    if (!newcomer_slot) {
        open_ok(machine, &newcomer);
        newcomer_slot = read_ok(&newcomer, 9);
    }
    return rc;
}

static void a_reader_in_the_place_of_the_dead_keeps_its_slot(void **state)
{
    struct rmt_shared a, b;
    struct rmt_readers readers;
    machine = *state;
    newcomer_slot = NULL;
    open_ok(machine, &a);
    open_ok(machine, &b);
    while (read_ok(&a, 7) == &a.bytes->readers[RMT_READERS - 1])
        ;
    rmt_reader_release(read_ok(&a, 7)); /* the newcomer's will be this one: a later one */
    die(&a);
    sim_ops = b.io->ops;
    hooked_ops = *sim_ops;
    hooked_ops.locked = locked_then_open;
    b.io->ops = &hooked_ops;
    rmt_readers_look(&b, &readers);
    assert_non_null(newcomer_slot);
    rmt_readers_look(&b, &readers);
    assert_true(rmt_readers_need(&readers, 9, 10));
    assert_false(rmt_readers_need(&readers, 7, 8));
    b.io->ops = sim_ops;
    close_ok(&newcomer);
    close_ok(&b);
}

static void places_of_dead_processes_are_taken_again(void **state)
{
    static struct rmt_shared all[RMT_PROCESSES];
    struct rmt_shared one;
    for (uint32_t i = 0; i < RMT_PROCESSES; i++)
        open_ok(*state, &all[i]);
    assert_int_equal(open_try(*state, &one), -EBUSY);
    (void)read_ok(&all[100], 7);
    die(&all[100]);
    open_ok(*state, &all[100]);
    assert_int_equal(open_try(*state, &one), -EBUSY);
    close_ok(&all[7]);
    open_ok(*state, &all[7]);
    for (uint32_t i = 0; i < RMT_PROCESSES; i++)
        close_ok(&all[i]);
}

/* ---- sleeping ---------------------------------------------------------------------------------
 */

static unsigned waits, wakes;
static struct rmt_shared *writer; /* publishes just before the other falls asleep, if not NULL */

static void count_wait(struct rmt_io *io, _Atomic uint32_t *word, uint32_t expected, uint32_t ms)
{
    struct rmt_disk_slot slot = {.id = rmt_put64(9)};
    (void)io, (void)ms;
    waits++;
    if (writer)
        rmt_shared_publish(writer, &slot, NULL);
    assert_int_equal(atomic_load(word) == expected, writer == NULL);
}

static void count_wake(struct rmt_io *io, _Atomic uint32_t *word)
{
    (void)io;
    wakes++;
    assert_int_equal(atomic_load(word) % 2, 0);
}

static void hook(struct rmt_shared *shared)
{
    sim_ops = shared->io->ops;
    hooked_ops = *sim_ops;
    hooked_ops.wait = count_wait;
    hooked_ops.wake = count_wake;
    shared->io->ops = &hooked_ops;
    waits = wakes = 0;
    writer = NULL;
}

static void publishing_costs_a_call_only_if_somebody_sleeps(void **state)
{
    struct rmt_shared a, b;
    struct rmt_disk_slot slot = {.id = rmt_put64(8)};
    _Atomic uint32_t stop = 0;
    open_ok(*state, &a);
    hook(&a);
    open_ok(*state, &b);
    b.io->ops = &hooked_ops;
    rmt_shared_publish(&a, &slot, NULL);
    rmt_shared_publish(&a, &slot, NULL);
    assert_int_equal(wakes, 0);
    rmt_shared_sleep(&b, rmt_shared_published(&b), &stop);
    assert_int_equal(waits, 1);
    rmt_shared_publish(&a, &slot, NULL);
    rmt_shared_publish(&a, &slot, NULL);
    assert_int_equal(wakes, 1); /* of the two that it slept through, one */
    a.io->ops = b.io->ops = sim_ops;
    close_ok(&a);
    close_ok(&b);
}

static void nobody_sleeps_through_a_publication(void **state)
{
    struct rmt_shared a, b;
    struct rmt_disk_slot slot = {.id = rmt_put64(8)};
    _Atomic uint32_t stop = 0;
    open_ok(*state, &a);
    hook(&a);
    open_ok(*state, &b);
    b.io->ops = &hooked_ops;
    uint64_t seen = rmt_shared_published(&b);
    rmt_shared_publish(&a, &slot, NULL); /* before it says that it will sleep */
    rmt_shared_sleep(&b, seen, &stop);
    assert_int_equal(waits, 0);
    atomic_store(&stop, 1);
    rmt_shared_sleep(&b, rmt_shared_published(&b), &stop);
    assert_int_equal(waits, 0);
    atomic_store(&stop, 0);
    writer = &a; /* after it said so */
    rmt_shared_sleep(&b, rmt_shared_published(&b), &stop);
    assert_int_equal(waits, 1);
    assert_int_equal(wakes, 1);
    a.io->ops = b.io->ops = sim_ops;
    close_ok(&a);
    close_ok(&b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_reader_that_finds_all_slots_taken_frees_those_of_the_dead),
        TEST(what_the_dead_read_is_not_needed),
        TEST(a_reader_in_the_place_of_the_dead_keeps_its_slot),
        TEST(places_of_dead_processes_are_taken_again),
        TEST(publishing_costs_a_call_only_if_somebody_sleeps),
        TEST(nobody_sleeps_through_a_publication),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
