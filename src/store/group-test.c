/* SPDX-License-Identifier: MIT */
/* group-test.c - commits of several threads that are written, flushed and published together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/sim.h"
#include "store/store.h"

/* A simulated disk whose flushes wait at a gate while it is shut. */
static struct {
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t cond;
    struct rmt_io_ops ops; /* of the disk, with the two below in their place */
    int (*sync)(struct rmt_io *io);
    int (*write)(struct rmt_io *io, struct iovec *iov, int count, uint64_t off);
    bool shut;
    unsigned waiting; /* at the gate */
    unsigned syncs, writes;
    uint64_t end;      /* of what was ever written */
    unsigned extended; /* writes that went beyond it */
    unsigned begun;    /* flushes that were begun and not waited for */
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static int gate_sync(struct rmt_io *io)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.syncs++;
    gate.waiting++;
    (void)pthread_cond_broadcast(&gate.cond);
    while (gate.shut)
        (void)pthread_cond_wait(&gate.cond, &gate.mutex);
    gate.waiting--;
    (void)pthread_mutex_unlock(&gate.mutex);
    return gate.sync(io);
}

static int gate_write(struct rmt_io *io, struct iovec *iov, int count, uint64_t off)
{
    uint64_t end = off;
    for (int i = 0; i < count; i++)
        end += iov[i].iov_len;
    int rc = gate.write(io, iov, count, off);
    (void)pthread_mutex_lock(&gate.mutex);
    gate.writes++;
    gate.extended += end > gate.end;
    gate.end = end > gate.end ? end : gate.end;
    (void)pthread_cond_broadcast(&gate.cond);
    (void)pthread_mutex_unlock(&gate.mutex);
    return rc;
}

static void gate_sync_begin(struct rmt_io *io, uint64_t off)
{
    (void)io;
    assert_true(off > rmt_seal_off(0)); /* the slots are written over by each commit */
    assert_true(off > rmt_seal_off(1));
    (void)pthread_mutex_lock(&gate.mutex);
    gate.begun++;
    (void)pthread_cond_broadcast(&gate.cond);
    (void)pthread_mutex_unlock(&gate.mutex);
}

static void gate_set(bool shut)
{
    (void)pthread_mutex_lock(&gate.mutex);
    gate.shut = shut;
    gate.syncs = gate.writes = gate.begun = 0;
    (void)pthread_cond_broadcast(&gate.cond);
    (void)pthread_mutex_unlock(&gate.mutex);
}

static void wait_for(const unsigned *count, unsigned at_least)
{
    (void)pthread_mutex_lock(&gate.mutex);
    while (*count < at_least)
        (void)pthread_cond_wait(&gate.cond, &gate.mutex);
    (void)pthread_mutex_unlock(&gate.mutex);
}

static struct ramet_store *store_open_as(struct rmt_sim *sim, const struct ramet_options *options)
{
    struct rmt_io *io;
    struct ramet_store *store;
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    gate.ops = *io->ops;
    gate.sync = gate.ops.sync;
    gate.write = gate.ops.write;
    gate.ops.sync = gate_sync;
    gate.ops.write = gate_write;
    gate.ops.sync_begin = gate_sync_begin;
    io->ops = &gate.ops;
    assert_int_equal(rmt_store_open_io(io, options, &store), 0);
    return store;
}

static struct ramet_store *store_open(struct rmt_sim *sim)
{
    return store_open_as(sim, NULL);
}

/* ---- writers --------------------------------------------------------------------------------- */

struct writer {
    struct ramet_store *store;
    const char *branch, *value, *keep;
    pthread_t thread;
    int rc;
};

static int put(struct ramet_store *store, const char *branch, const char *value, const char *name)
{
    struct ramet_keep keep = {.size = sizeof(keep), .name = name};
    struct ramet_txn *txn;
    struct ramet_map *map;
    assert_int_equal(ramet_begin(store, branch, RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", RAMET_CREATE, &map), 0);
    assert_int_equal(ramet_put(map, rmt_slice("key", 3), rmt_slice(value, strlen(value)), 0), 0);
    return ramet_commit(txn, name ? &keep : NULL, NULL);
}

static void *run(void *arg)
{
    struct writer *w = arg;
    w->rc = put(w->store, w->branch, w->value, w->keep);
    return NULL;
}

static void start(struct writer *w)
{
    assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
}

/* The rest of what joins is told from what is written before. */
static void start_and_join_group(struct writer *w)
{
    (void)pthread_mutex_lock(&gate.mutex);
    unsigned writes = gate.writes;
    (void)pthread_mutex_unlock(&gate.mutex);
    start(w);
    wait_for(&gate.writes, writes + 1);
}

/* What key is in a transaction. */
static bool reads(struct ramet_txn *txn, const char *value)
{
    struct ramet_map *map;
    struct ramet_slice got = {0};
    int rc = ramet_map_open(txn, "m", 0, &map);
    if (rc == 0)
        rc = ramet_get(map, rmt_slice("key", 3), &got);
    return rc == 0 && got.size == strlen(value) && memcmp(got.data, value, got.size) == 0;
}

static bool has(struct ramet_store *store, const char *ref, const char *value)
{
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, ref, RAMET_READ, &txn), 0);
    bool same = reads(txn, value);
    ramet_abort(txn);
    return same;
}

static void problem(void *ctx, const char *sentence)
{
    (void)ctx;
    print_error("%s\n", sentence);
}

/* Four branches with a value, and b has a snapshot named "taken". */
static struct ramet_store *prepared(struct rmt_sim *sim)
{
    struct ramet_store *store = store_open(sim);
    assert_int_equal(put(store, "main", "old", NULL), 0);
    assert_int_equal(ramet_branch_create(store, "a", NULL), 0);
    assert_int_equal(ramet_branch_create(store, "b", NULL), 0);
    assert_int_equal(ramet_branch_create(store, "c", NULL), 0);
    assert_int_equal(put(store, "b", "old b", "taken"), 0);
    return store;
}

/* ---- claims ---------------------------------------------------------------------------------- */

static void commits_that_come_during_a_flush_share_the_next(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(7, UINT64_C(1) << 26);
    struct ramet_store *store = prepared(sim);
    struct writer first = {store, "main", "new", NULL, 0, 0};
    struct writer a = {store, "a", "new a", "kept", 0, 0}, c = {store, "c", "new c", NULL, 0, 0};

    gate_set(true);
    start(&first);
    wait_for(&gate.waiting, 1);
    start_and_join_group(&a);
    /* These fail, and take nothing of the others with them; the first after its pages were written.
     */
    assert_int_equal(put(store, "b", "not there", "taken"), -EEXIST);
    assert_int_equal(ramet_branch_create(store, "a", NULL), -EEXIST);
    assert_int_equal(ramet_snapshot_delete(store, "main@nothing"), RAMET_ENOTFOUND);
    start_and_join_group(&c);
    assert_true(has(store, "main", "old")); /* nothing is published before it is flushed */
    assert_true(has(store, "a", "old"));

    (void)pthread_mutex_lock(&gate.mutex);
    gate.syncs = 0;
    gate.shut = false;
    (void)pthread_cond_broadcast(&gate.cond);
    (void)pthread_mutex_unlock(&gate.mutex);
    (void)pthread_join(first.thread, NULL);
    (void)pthread_join(a.thread, NULL);
    (void)pthread_join(c.thread, NULL);
    assert_int_equal(first.rc, 0);
    assert_int_equal(a.rc, 0);
    assert_int_equal(c.rc, 0);
    assert_int_equal(gate.syncs, 1); /* of both */
    assert_true(has(store, "a@kept", "new a"));
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);

    rmt_sim_cut_at(sim, rmt_sim_ops(sim), RMT_SIM_DROP);
    ramet_close(store);
    rmt_sim_boot(sim);
    store = store_open(sim);
    assert_true(has(store, "main", "new"));
    assert_true(has(store, "a", "new a"));
    assert_true(has(store, "b", "old b"));
    assert_true(has(store, "c", "new c"));
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

static void a_flush_that_fails_fails_those_who_wait_for_the_next(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(8, UINT64_C(1) << 26);
    struct ramet_store *store = prepared(sim);
    struct writer first = {store, "main", "new", NULL, 0, 0};
    struct writer a = {store, "a", "new a", NULL, 0, 0};

    gate_set(true);
    start(&first);
    wait_for(&gate.waiting, 1);
    start_and_join_group(&a);
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, 0, -EIO);
    gate_set(false);
    (void)pthread_join(first.thread, NULL);
    (void)pthread_join(a.thread, NULL);
    assert_int_equal(first.rc, -EIO);
    assert_int_equal(a.rc, RAMET_EPOISONED);
    assert_true(has(store, "main", "old"));
    assert_true(has(store, "a", "old"));
    ramet_close(store);

    store = store_open(sim);
    assert_int_equal(put(store, "a", "again", NULL), 0);
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

/* Commits on main, in two groups: "first" is being flushed, "second" and "third" wait behind it. */
static void queue(struct ramet_store *store, struct writer w[3])
{
    static const char *const values[] = {"first", "second", "third"};
    gate_set(true);
    for (int i = 0; i < 3; i++) {
        w[i] = (struct writer){.store = store, .branch = "main", .value = values[i]};
        if (i == 0) {
            start(&w[i]);
            wait_for(&gate.waiting, 1);
        } else {
            start_and_join_group(&w[i]);
        }
    }
}

/* A transaction at the newest queued head: its value is there as soon as the one before has joined
 * its group. */
static struct ramet_txn *begin_behind(struct ramet_store *store, const char *value)
{
    struct ramet_txn *txn;
    for (;;) {
        assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
        if (reads(txn, value))
            return txn;
        ramet_abort(txn);
    }
}

static int put_in(struct ramet_txn *txn, const char *value)
{
    struct ramet_map *map;
    int rc = ramet_map_open(txn, "m", RAMET_CREATE, &map);
    return rc < 0 ? rc : ramet_put(map, rmt_slice("key", 3), rmt_slice(value, strlen(value)), 0);
}

static void join_all(struct writer w[3], int first, int others)
{
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(w[i].thread, NULL);
        assert_int_equal(w[i].rc, i ? others : first);
    }
}

static void the_next_writer_of_a_branch_begins_at_a_head_that_is_not_flushed_yet(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(10, UINT64_C(1) << 26);
    struct ramet_store *store = prepared(sim);
    struct writer w[3];
    queue(store, w);
    struct ramet_txn *txn = begin_behind(store, "third"), *second;
    assert_true(has(store, "main", "old"));
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &second), -EDEADLK);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE | RAMET_NOWAIT, &second), -EBUSY);
    ramet_abort(txn); /* leaves it as it was */
    assert_int_equal(ramet_branch_delete(store, "main"), -EBUSY);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE | RAMET_NOWAIT, &txn), 0);
    assert_true(reads(txn, "third"));
    assert_int_equal(put_in(txn, "fourth"), 0);

    gate_set(false);
    join_all(w, 0, 0);
    assert_int_equal(gate.syncs, 1); /* of the second group; the first was counted before */
    assert_true(has(store, "main", "third"));
    uint64_t from = ramet_txn_id(txn), id;
    assert_int_equal(ramet_commit(txn, NULL, &id), 0);
    assert_true(id > from);
    assert_true(has(store, "main", "fourth"));
    assert_int_equal(ramet_branch_delete(store, "main"), 0);
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

static void a_flush_that_fails_fails_those_who_began_at_what_it_should_have_flushed(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(11, UINT64_C(1) << 26);
    struct ramet_store *store = prepared(sim);
    struct writer w[3];
    queue(store, w);
    struct ramet_txn *txn = begin_behind(store, "third");
    assert_int_equal(put_in(txn, "fourth"), 0);
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, 0, -EIO);
    gate_set(false);
    join_all(w, -EIO, RAMET_EPOISONED);
    assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_EPOISONED);
    assert_true(has(store, "main", "old"));
    ramet_close(store);

    store = store_open(sim);
    assert_int_equal(put(store, "main", "again", NULL), 0);
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

/* The group of "second" and "third" cannot be written. What they wrote is free then, and would be
 * written over under a transaction that began there. */
static void a_write_that_fails_fails_those_who_began_there(void **state)
{
    (void)state;
    for (int dependent = 0; dependent < 2; dependent++) {
        struct rmt_sim *sim = rmt_sim_new(12, UINT64_C(1) << 26);
        struct ramet_store *store = prepared(sim);
        struct writer w[3];
        queue(store, w);
        struct ramet_txn *txn = begin_behind(store, "third");
        if (!dependent)
            ramet_abort(txn);
        rmt_sim_fail_at(sim, RMT_SIM_WRITE, 1, -EIO); /* behind the seal of the first */
        gate_set(false);
        join_all(w, 0, -EIO);
        assert_true(has(store, "main", "first"));
        if (dependent) {
            assert_int_equal(put_in(txn, "fourth"), 0);
            assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_EPOISONED);
            assert_int_equal(ramet_begin(store, "a", RAMET_WRITE, &txn), RAMET_EPOISONED);
            ramet_close(store);
            store = store_open(sim);
        }
        assert_true(has(store, "main", "first"));
        assert_int_equal(put(store, "main", "again", NULL), 0);
        assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
        ramet_close(store);
        rmt_sim_free(sim);
    }
}

/* A flush after a write to blocks that were only reserved waits for the filesystem's journal. */
static void small_commits_go_where_something_was_written_before(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(9, UINT64_C(1) << 26);
    struct ramet_store *store = prepared(sim);
    char name[16];
    (void)pthread_mutex_lock(&gate.mutex);
    gate.extended = 0;
    (void)pthread_mutex_unlock(&gate.mutex);
    for (int i = 0; i < 200; i++) { /* kept: nothing is used again */
        (void)snprintf(name, sizeof(name), "at-%d", i);
        assert_int_equal(put(store, "main", name, name), 0);
    }
    assert_true(gate.extended > 0);
    assert_true(gate.extended < 20);
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

static uint64_t limbo_of(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    assert_int_equal(ramet_stat(store, &stat), 0);
    return stat.limbo_bytes;
}

/* Commits that are not flushed fill limbo until one of them must be: before that what they wrote
 * was sent to the disk by another thread. Durable ones have nothing to send ahead. */
static void what_a_flush_will_wait_for_is_sent_ahead(void **state)
{
    (void)state;
    for (int durable = 0; durable < 2; durable++) {
        struct ramet_options options = {.size = sizeof(options), .page_size = 65536};
        options.durability = durable ? RAMET_FULL : RAMET_NONE;
        struct rmt_sim *sim = rmt_sim_new(17, UINT64_C(1) << 28);
        struct ramet_store *store = store_open_as(sim, &options);
        gate_set(false);
        for (int i = 0; i < 200 && (durable || limbo_of(store) < 32 << 20); i++)
            assert_int_equal(put(store, "main", i % 2 ? "odd" : "even", NULL), 0);
        assert_true(durable ? gate.syncs > 0 : limbo_of(store) >= 32 << 20 && gate.syncs == 0);
        if (durable)
            assert_int_equal(gate.begun, 0);
        else
            wait_for(&gate.begun, 1);
        for (int i = 0; !durable && i < 1000 && !gate.syncs; i++)
            assert_int_equal(put(store, "main", i % 2 ? "odd" : "even", NULL), 0);
        assert_true(gate.syncs > 0);
        assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
        ramet_close(store);
        rmt_sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_that_come_during_a_flush_share_the_next),
        cmocka_unit_test(a_flush_that_fails_fails_those_who_wait_for_the_next),
        cmocka_unit_test(the_next_writer_of_a_branch_begins_at_a_head_that_is_not_flushed_yet),
        cmocka_unit_test(a_flush_that_fails_fails_those_who_began_at_what_it_should_have_flushed),
        cmocka_unit_test(a_write_that_fails_fails_those_who_began_there),
        cmocka_unit_test(small_commits_go_where_something_was_written_before),
        cmocka_unit_test(what_a_flush_will_wait_for_is_sent_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
