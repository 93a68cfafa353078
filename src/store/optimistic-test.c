/* SPDX-License-Identifier: MIT */
/* optimistic-test.c - optimistic transactions on a disk that fails, is full, or is slow to flush.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sched.h>

#include "io/sim.h"
#include "store/store.h"

#define CAPACITY ((uint64_t)4 << 20)
#define KEYS 600u

static struct rmt_sim *sim;
static struct ramet_store *store;

/* A flush waits here while it is shut. */
static struct {
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t cond;
    struct rmt_io_ops ops;
    int (*sync)(struct rmt_io *io);
    bool shut;
    unsigned waiting;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static int gate_sync(struct rmt_io *io)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.waiting++;
    (void)pthread_cond_broadcast(&gate.cond);
    while (gate.shut)
        (void)pthread_cond_wait(&gate.cond, &gate.mutex);
    gate.waiting--;
    (void)pthread_mutex_unlock(&gate.mutex);
    return gate.sync(io);
}

static void gate_set(bool shut)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.shut = shut;
    (void)pthread_cond_broadcast(&gate.cond);
    (void)pthread_mutex_unlock(&gate.mutex);
}

static void wait_for_flush(void)
{
    (void)pthread_mutex_lock(&gate.mutex);
    while (!gate.waiting)
        (void)pthread_cond_wait(&gate.cond, &gate.mutex);
    (void)pthread_mutex_unlock(&gate.mutex);
}

static int open_store(void)
{
    struct rmt_io *io = NULL;
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    gate.ops = *io->ops;
    gate.sync = gate.ops.sync;
    gate.ops.sync = gate_sync;
    io->ops = &gate.ops;
    return rmt_store_open_io(io, NULL, &store);
}

static int setup(void **state)
{
    (void)state;
    sim = rmt_sim_new(1, CAPACITY);
    return open_store();
}

static int teardown(void **state)
{
    (void)state;
    ramet_close(store);
    rmt_sim_free(sim);
    return 0;
}

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    print_error("%s\n", problem);
}

static void check(void)
{
    assert_int_equal(ramet_check(store, 0, report, NULL, NULL), 0);
}

#define assert_ok(call)                                         \
    do {                                                        \
        int rc_ = (call);                                       \
        if (rc_ != 0)                                           \
            fail_msg("%s: %d: %s", #call, rc_, ramet_errmsg()); \
    } while (0)

static struct ramet_slice key_of(unsigned n, char buf[16])
{
    return rmt_slice(buf, (size_t)snprintf(buf, 16, "%08u", n));
}

static struct ramet_txn *begin(unsigned flags, struct ramet_map **map)
{
    struct ramet_txn *txn;
    assert_ok(ramet_begin(store, "main", RAMET_WRITE | flags, &txn));
    assert_ok(ramet_map_open(txn, "m", RAMET_CREATE, map));
    return txn;
}

static int put_range(struct ramet_map *map, unsigned first, unsigned count, uint8_t with,
                     size_t size)
{
    static uint8_t value[100000];
    char buf[16];
    int rc = 0;
    memset(value, with, size);
    for (unsigned i = 0; i < count && rc == 0; i++)
        rc = ramet_put(map, key_of(first + i, buf), rmt_slice(value, size), 0);
    return rc;
}

/* An ordinary commit. */
static int put_some(unsigned first, unsigned count, uint8_t with, size_t size)
{
    struct ramet_map *map;
    struct ramet_txn *txn = begin(0, &map);
    int rc = put_range(map, first, count, with, size);
    if (rc == 0)
        return ramet_commit(txn, NULL, NULL);
    ramet_abort(txn);
    return rc;
}

/* The first byte of a value; 0: it is not there. */
static uint8_t first_of(unsigned n)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_slice value;
    char buf[16];
    assert_ok(ramet_begin(store, "main", RAMET_READ, &txn));
    assert_ok(ramet_map_open(txn, "m", 0, &map));
    int rc = ramet_get(map, key_of(n, buf), &value);
    uint8_t first = rc == 0 ? *(const uint8_t *)value.data : 0;
    assert_true(rc == 0 || rc == RAMET_ENOTFOUND);
    ramet_abort(txn);
    return first;
}

/* ---- a disk that is full --------------------------------------------------------------------- */

/* From a key on; returns the first that there is no room for. */
static unsigned fill(unsigned n)
{
    while (put_some(n, 100, 'a', 500) == 0)
        n += 100;
    while (put_some(n, 1, 'a', 500) == 0)
        n++;
    return n;
}

/* By an ordinary transaction, which a full disk does not keep from deleting. */
static void del_one(unsigned n)
{
    struct ramet_map *map;
    struct ramet_txn *txn = begin(0, &map);
    char buf[16];
    assert_ok(ramet_del(map, key_of(n, buf)));
    assert_ok(ramet_commit(txn, NULL, NULL));
}

static void a_full_disk_is_met_in_the_commit_and_deleting_goes_on(void **state)
{
    (void)state;
    unsigned count = 0;
    for (unsigned moved = 0; moved < 2; moved++) {
        struct ramet_map *map;
        char buf[16];
        unsigned first = 1000 + 2000 * moved;
        count = fill(count);
        assert_true(count > 5000);
        struct ramet_txn *txn = begin(RAMET_OPTIMISTIC, &map);
        assert_ok(put_range(map, count, 400, 'x', 3000));
        if (moved)
            del_one(0);
        assert_int_equal(ramet_commit(txn, NULL, NULL), -ENOSPC);
        assert_int_equal(first_of(count), 0);
        check();
        txn = begin(RAMET_OPTIMISTIC, &map);
        for (unsigned n = first; n < first + 1500; n++)
            assert_ok(ramet_del(map, key_of(n, buf)));
        if (moved)
            del_one(1);
        assert_ok(ramet_commit(txn, NULL, NULL));
        assert_int_equal(first_of(first + 100), 0);
        check();
        txn = begin(RAMET_OPTIMISTIC, &map);
        assert_ok(put_range(map, first, 100, 'y', 500));
        assert_ok(ramet_commit(txn, NULL, NULL));
        assert_int_equal(first_of(first + 50), 'y');
    }
}

/* ---- a disk that fails ----------------------------------------------------------------------- */

/* Writes half of the keys, deletes others, and guards one. */
static int change(struct ramet_txn *txn)
{
    struct ramet_map *map;
    char from[16], to[16];
    int rc = ramet_map_open(txn, "m", 0, &map);
    if (rc == 0)
        rc = put_range(map, 0, KEYS / 2, 'x', 100);
    if (rc == 0)
        rc = ramet_del_range(map, key_of(KEYS / 2, from), key_of(KEYS - 1, to), NULL);
    if (rc == 0)
        rc = ramet_guard(map, key_of(KEYS, from));
    if (rc == 0)
        return ramet_commit(txn, NULL, NULL);
    ramet_abort(txn);
    return rc;
}

static void expect(uint8_t written, uint8_t deleted)
{
    for (unsigned n = 0; n < KEYS; n += KEYS / 20) {
        if (first_of(n) != (n < KEYS / 2 ? written : deleted))
            fail_msg("key %u has %d", n, first_of(n));
    }
    assert_int_equal(first_of(KEYS - 1), 'a');
}

/* Each operation of a kind fails in turn. */
static void try_faults(enum rmt_sim_kind kind, bool head_moves)
{
    bool fired = true;
    for (uint64_t at = 0; fired; at++) {
        struct ramet_map *map;
        int code = at % 2 && kind != RMT_SIM_READ ? -ENOSPC : -EIO;
        assert_true(at < 1000);
        assert_ok(put_some(0, KEYS, 'a', 100));
        ramet_close(store); /* to have something to read */
        assert_ok(open_store());
        struct ramet_txn *txn = begin(RAMET_OPTIMISTIC, &map);
        if (head_moves)
            assert_ok(put_some(KEYS + 1, 1, 'm', 100));
        uint64_t before = rmt_sim_faults_fired(sim);
        rmt_sim_fail_at(sim, kind, at, code);
        int rc = change(txn);
        fired = rmt_sim_faults_fired(sim) > before;
        rmt_sim_fail_at(sim, kind, UINT64_MAX, code);
        if (rc < 0) {
            assert_int_equal(rc, code);
            assert_true(fired);
            expect('a', 'a');
            check();
            assert_ok(change(begin(RAMET_OPTIMISTIC, &map)));
        }
        expect('x', 0);
        check();
    }
}

static void what_fails_changes_nothing_and_can_be_tried_again(void **state)
{
    (void)state;
    const enum rmt_sim_kind kinds[] = {RMT_SIM_READ, RMT_SIM_WRITE, RMT_SIM_GROW};
    for (size_t i = 0; i < 3; i++) {
        try_faults(kinds[i], false);
        try_faults(kinds[i], true);
    }
}

static void a_store_that_is_poisoned_is_not_written(void **state)
{
    (void)state;
    struct ramet_map *map;
    assert_ok(put_some(0, 10, 'a', 100));
    struct ramet_txn *txn = begin(RAMET_OPTIMISTIC, &map), *none;
    assert_ok(put_range(map, 0, 5, 'x', 100));
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, 0, -EIO);
    assert_int_equal(put_some(7, 1, 'b', 100), -EIO);
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, UINT64_MAX, -EIO);
    assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_EPOISONED);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE | RAMET_OPTIMISTIC, &none),
                     RAMET_EPOISONED);
    ramet_close(store);
    assert_ok(open_store());
    assert_int_equal(first_of(0), 'a');
    check();
}

static void its_own_flush_that_fails_poisons_as_any(void **state)
{
    (void)state;
    struct ramet_map *map;
    assert_ok(put_some(0, 10, 'a', 100));
    struct ramet_txn *txn = begin(RAMET_OPTIMISTIC, &map);
    assert_ok(put_range(map, 0, 5, 'x', 100));
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, 0, -EIO);
    assert_int_equal(ramet_commit(txn, NULL, NULL), -EIO);
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, UINT64_MAX, -EIO);
    assert_int_equal(first_of(0), 'a');
}

/* ---- flushes that take long ------------------------------------------------------------------ */

struct committing {
    struct ramet_txn *txn;
    pthread_t thread;
    _Atomic bool returned;
    int rc;
    char message[256];
    uint8_t then; /* what key 1 had when it returned */
};

static void *commit(void *arg)
{
    struct committing *c = arg;
    c->rc = ramet_commit(c->txn, NULL, NULL);
    (void)snprintf(c->message, sizeof(c->message), "%s", ramet_errmsg());
    c->then = first_of(1);
    atomic_store(&c->returned, true);
    return NULL;
}

static void start(struct committing *c)
{
    assert_int_equal(pthread_create(&c->thread, NULL, commit, c), 0);
}

/* It lands on a head that waits for its flush, and conflicts with one; told when that is published,
 * so that who tries again begins at it. */
static void a_head_that_waits_for_its_flush_is_compared(void **state)
{
    (void)state;
    struct ramet_map *map;
    assert_ok(put_some(0, 10, 'a', 100));
    struct committing first = {.txn = begin(0, &map)}, second, third;
    assert_ok(put_range(map, 1, 1, 'b', 100));
    memset(&second, 0, sizeof(second));
    memset(&third, 0, sizeof(third));
    second.txn = begin(RAMET_OPTIMISTIC, &map);
    assert_ok(put_range(map, 2, 1, 'c', 100));
    third.txn = begin(RAMET_OPTIMISTIC, &map);
    assert_ok(put_range(map, 1, 1, 'd', 100));
    gate_set(true);
    /* The first is an ordinary transaction of this thread: it may be committed by another. */
    start(&first);
    wait_for_flush();
    start(&second);
    start(&third);
    bool early = false;
    for (int i = 0; i < 1000 && !early; i++) { /* for as long as the flush takes */
        early = first_of(1) != 'a' || atomic_load(&third.returned);
        (void)sched_yield();
    }
    gate_set(false);
    (void)pthread_join(third.thread, NULL);
    assert_false(early);
    assert_int_equal(third.rc, RAMET_ECONFLICT);
    assert_non_null(strstr(third.message, "key '00000001'"));
    assert_int_equal(third.then, 'b');
    (void)pthread_join(first.thread, NULL);
    (void)pthread_join(second.thread, NULL);
    assert_int_equal(first.rc, 0);
    assert_int_equal(second.rc, 0);
    assert_int_equal(first_of(2), 'c');
    check();
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_full_disk_is_met_in_the_commit_and_deleting_goes_on),
        CASE(what_fails_changes_nothing_and_can_be_tried_again),
        CASE(a_store_that_is_poisoned_is_not_written),
        CASE(its_own_flush_that_fails_poisons_as_any),
        CASE(a_head_that_waits_for_its_flush_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
