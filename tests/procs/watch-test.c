/* SPDX-License-Identifier: MIT */
/* watch-test.c - watchers and writers in processes of their own, and what is left of them when they
 * are killed. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/args.h"
#include "api/watch.h"
#include "procs/proc.h"
#include "store/store.h"

#define PATIENCE_MS 20000

static const struct ramet_slice all;
static char folder[] = "/tmp/ramet-procs-XXXXXX";
static char path[64], lock_path[72];
static struct turn *turn;

static struct ramet_store *open_store(unsigned flags)
{
    struct ramet_store *store;
    struct ramet_options options = {
        .size = sizeof(options), .flags = flags, .durability = RAMET_NONE};
    must(ramet_open(path, &options, &store));
    return store;
}

static void put(struct ramet_store *store, uint64_t number)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_slice key = {"key", 3}, value = {&number, sizeof(number)};
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    must(ramet_put(map, key, value, 0));
    must(ramet_commit(txn, NULL, NULL));
}

static uint64_t get(struct ramet_txn *txn)
{
    struct ramet_map *map;
    struct ramet_slice key = {"key", 3}, value;
    uint64_t number;
    must(ramet_map_open(txn, "m", 0, &map));
    must(ramet_get(map, key, &value));
    memcpy(&number, value.data, sizeof(number));
    return number;
}

static struct ramet_stat stat_of(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat;
}

static int setup(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(lock_path);
    atomic_store(&turn->at, 0);
    struct ramet_store *store = open_store(0);
    put(store, 0);
    ramet_close(store);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Waits for its descriptor, until it has seen a number. */
static void see(struct ramet_watch *watch, uint64_t number)
{
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_txn *txn;
    for (uint64_t seen = 0; seen != number;) {
        if (must_or(ramet_watch_wait(watch, PATIENCE_MS), 1) != 1)
            fatal("nobody told it of number %llu", (unsigned long long)number);
        if (must_or(ramet_watch_next(watch, &batch), RAMET_ENOTFOUND) < 0)
            continue;
        must(ramet_watch_begin(watch, &txn));
        seen = get(txn);
        ramet_abort(txn);
    }
}

/* ---- waking ---------------------------------------------------------------------------------- */

enum { ROUNDS = 30 };

static void write_in_turn(void)
{
    struct ramet_store *store = open_store(0);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        turn_wait(turn, i);
        put(store, i);
    }
    ramet_close(store);
}

/* Forked before there is a watch: a thread that just begins may hold locks of the allocator, and
 * the child would wait for them for good. */
static pid_t start_writer(void (*fn)(void))
{
    pid_t pid = proc_fork();
    if (pid == 0) {
        fn();
        exit(0);
    }
    return pid;
}

/* Far sooner than a watcher that looked for itself now and then would. */
static void is_woken(unsigned flags)
{
    struct ramet_watch *watch;
    pid_t pid = start_writer(write_in_turn);
    struct ramet_store *store = open_store(flags);
    must(ramet_watch_open(store, NULL, NULL, all, NULL, NULL, &watch));
    uint64_t began = now_ms();
    for (unsigned i = 1; i <= ROUNDS; i++) {
        turn_next(turn);
        see(watch, i);
    }
    assert_true(now_ms() - began < ROUNDS * (RMT_SLEEP_MS / 3));
    assert_false(proc_wait(pid));
    ramet_close(store);
}

static void a_writer_in_another_process_wakes_it(void **state)
{
    (void)state;
    is_woken(0);
}

static void one_that_may_only_read_is_woken_too(void **state)
{
    (void)state;
    is_woken(RAMET_READONLY);
}

/* What is left if a writer is killed when it has said that it woke the sleepers, and has not. */
static void write_without_waking(void)
{
    turn_wait(turn, 1);
    struct ramet_store *store = open_store(0);
    _Atomic uint32_t *wake = &store->shared.bytes->wake;
    while (!(atomic_load(wake) & 1)) /* until the watcher's thread sleeps */
        (void)usleep(100);
    atomic_fetch_add(wake, 1);
    put(store, 5);
    (void)raise(SIGKILL);
}

static void a_wake_that_got_lost_is_made_up_for(void **state)
{
    (void)state;
    struct ramet_watch *watch;
    pid_t pid = start_writer(write_without_waking);
    struct ramet_store *store = open_store(0);
    must(ramet_watch_open(store, NULL, NULL, all, NULL, NULL, &watch));
    turn_next(turn);
    assert_true(proc_wait(pid));
    see(watch, 5);
    ramet_close(store);
}

/* ---- killed ---------------------------------------------------------------------------------- */

static void watch_and_die(void *ctx)
{
    (void)ctx;
    struct ramet_store *store = open_store(0);
    struct ramet_watch_options options = {.size = sizeof(options), .cursor = "c"};
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_watch *watches[3];
    must(ramet_watch_open(store, NULL, NULL, all, NULL, NULL, &watches[0]));
    must(ramet_watch_open(store, NULL, NULL, all, "", NULL, &watches[1]));
    must(ramet_watch_open(store, NULL, NULL, all, NULL, &options, &watches[2]));
    put(store, 1);
    must(ramet_watch_next(watches[1], &batch));
    must(ramet_watch_next(watches[2], &batch));
    must(ramet_watch_ack(watches[2]));
    put(store, 2);
    must(ramet_watch_next(watches[2], &batch)); /* and does not acknowledge it */
    (void)raise(SIGKILL);
}

static int copy_info(void *ctx, const struct ramet_watch_cursor_info *info)
{
    *(struct ramet_watch_cursor_info *)ctx = *info;
    return 0;
}

static void one_that_was_killed_leaves_its_cursor_and_nothing_else(void **state)
{
    (void)state;
    struct ramet_store *store = open_store(0);
    assert_true(proc_do(watch_and_die, NULL));
    put(store, 3); /* frees the slots of the dead */
    assert_int_equal(stat_of(store).readers, 0);
    assert_int_equal(stat_of(store).cursors, 1);
    struct ramet_watch_cursor_info info = {.size = 0};
    must(ramet_watch_cursor_list(store, copy_info, &info));
    assert_int_equal(info.in_use, 0);
    struct ramet_watch_options options = {.size = sizeof(options), .cursor = "c"};
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_watch *watch;
    struct ramet_txn *txn;
    must(ramet_watch_open(store, NULL, NULL, all, NULL, &options, &watch));
    must(ramet_watch_begin(watch, &txn));
    assert_int_equal(get(txn), 1);
    ramet_abort(txn);
    must(ramet_watch_next(watch, &batch));
    assert_int_equal(batch.from, info.id);
    must(ramet_watch_begin(watch, &txn));
    assert_int_equal(get(txn), 3);
    ramet_abort(txn);
    must(ramet_watch_ack(watch));
    assert_int_equal(stat_of(store).cursor_bytes, 0);
    ramet_watch_close(watch);
    must(ramet_watch_cursor_delete(store, "c"));
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
}

struct dying {
    uint64_t op;
    enum death how;
};

static void write_and_die(void *ctx)
{
    const struct dying *d = ctx;
    struct ramet_store *store;
    must(proc_open(path, RAMET_FULL, &store));
    proc_die_at(d->op, d->how);
    put(store, 100 + d->op);
    put(store, 200 + d->op);
    ramet_close(store);
}

/* Whatever became of its commits, the watcher sees exactly what is there. */
static void a_writer_that_is_killed_anywhere_disturbs_no_watcher(void **state)
{
    (void)state;
    struct ramet_store *store = open_store(0);
    struct ramet_watch *watch;
    struct follower f;
    must(ramet_watch_open(store, NULL, NULL, all, NULL, NULL, &watch));
    follow(&f, watch, NULL, all);
    struct dying d = {0};
    for (bool killed = true; killed; d.op++) {
        for (d.how = DIES_BEFORE; d.how < DEATHS; d.how++)
            killed = proc_do(write_and_die, &d);
        while (follow_one(&f) != 0)
            ;
    }
    put(store, 7);
    see(watch, 7);
    follow_end(&f);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
}

int main(void)
{
    if (!mkdtemp(folder))
        fatal("no folder for the test");
    (void)snprintf(path, sizeof(path), "%s/store", folder);
    (void)snprintf(lock_path, sizeof(lock_path), "%s-lock", path);
    turn = proc_share(sizeof(*turn));
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_writer_in_another_process_wakes_it),
        TEST(one_that_may_only_read_is_woken_too),
        TEST(a_wake_that_got_lost_is_made_up_for),
        TEST(one_that_was_killed_leaves_its_cursor_and_nothing_else),
        TEST(a_writer_that_is_killed_anywhere_disturbs_no_watcher),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)unlink(lock_path);
    (void)rmdir(folder);
    return failed;
}
