/* SPDX-License-Identifier: MIT */
/* watch-cursor-test.c - watchers that go on after a restart, on the simulated machine: what is
 * acknowledged is not told again, what is not is not lost, and nothing is pinned in secret. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/sim.h"
#include "store/store.h"
#include "watch.h"

static const struct ramet_slice no_prefix;
static struct rmt_sim *sim;
static struct ramet_store *store;
static struct ramet_watch *watch;
static struct follower f;

static struct ramet_slice text(const char *s)
{
    struct ramet_slice slice = {s, strlen(s)};
    return slice;
}

static struct ramet_store *open_as(struct rmt_sim *machine, int durability)
{
    struct rmt_io *io;
    struct ramet_store *opened;
    struct ramet_options options = {.size = sizeof(options), .durability = durability};
    assert_int_equal(rmt_sim_open(machine, 0, &io), 0);
    assert_int_equal(rmt_store_open_io(io, &options, &opened), 0);
    return opened;
}

static struct ramet_store *open_on(struct rmt_sim *machine)
{
    return open_as(machine, RAMET_FULL);
}

static int setup(void **state)
{
    (void)state;
    sim = rmt_sim_new(7, (uint64_t)64 << 20);
    store = open_on(sim);
    return 0;
}

static void must_be_sound(void)
{
    if (ramet_check(store, 0, NULL, NULL, NULL) < 0)
        fail_msg("%s", ramet_errmsg());
}

static int teardown(void **state)
{
    (void)state;
    must_be_sound();
    ramet_close(store);
    assert_int_equal(rmt_sim_violations(sim), 0);
    rmt_sim_free(sim);
    return 0;
}

/* May fail: the power may be cut. */
static int try_put(const char *branch, const char *key, const char *value)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    int rc = ramet_begin(store, branch, RAMET_WRITE, &txn);
    if (rc < 0)
        return rc;
    rc = ramet_map_open(txn, "m", RAMET_CREATE, &map);
    if (rc == 0)
        rc = ramet_put(map, text(key), text(value), 0);
    if (rc == 0)
        return ramet_commit(txn, NULL, NULL);
    ramet_abort(txn);
    return rc;
}

static void put(const char *branch, const char *key, const char *value)
{
    assert_int_equal(try_put(branch, key, value), 0);
}

static void put_many(const char *branch, int n, const char *value)
{
    for (int i = 0; i < n; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "many %05d", i * 37 % n);
        put(branch, key, value);
    }
}

static int open_rc(const char *branch, const char *since, unsigned flags, const char *cursor)
{
    struct ramet_watch_options o = {.size = sizeof(o), .flags = flags, .cursor = cursor};
    return ramet_watch_open(store, branch, NULL, no_prefix, since, &o, &watch);
}

static void open_cursor(const char *branch, const char *since, unsigned flags, const char *cursor)
{
    if (open_rc(branch, since, flags, cursor) < 0)
        fail_msg("%s", ramet_errmsg());
}

/* Begins to follow what the watcher is at. */
static void start(const char *branch, const char *since, unsigned flags, const char *cursor)
{
    open_cursor(branch, since, flags, cursor);
    follow(&f, watch, NULL, no_prefix);
}

static void restart(bool power_cut)
{
    ramet_close(store); /* and with it the watcher */
    if (power_cut)
        rmt_sim_boot(sim);
    store = open_on(sim);
    must_be_sound();
}

static void go_on(const char *branch, unsigned flags, const char *cursor)
{
    open_cursor(branch, NULL, flags, cursor);
    f.watch = watch;
}

static struct ramet_stat stat_of(void)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    assert_int_equal(ramet_stat(store, &stat), 0);
    return stat;
}

static int copy_info(void *ctx, const struct ramet_watch_cursor_info *info)
{
    struct ramet_watch_cursor_info *out = ctx;
    *out = *info;
    return 1;
}

/* Of the first one. */
static struct ramet_watch_cursor_info info_of(void)
{
    struct ramet_watch_cursor_info info = {.size = 0};
    assert_int_equal(ramet_watch_cursor_list(store, copy_info, &info), 1);
    return info;
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void goes_on_where_it_was_acknowledged(void **state)
{
    (void)state;
    put("main", "a", "1");
    start("main", NULL, 0, "c");
    put("main", "a", "2");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(ramet_watch_ack(watch), 0);
    assert_int_equal(ramet_watch_ack(watch), 0); /* there is nothing more */
    uint64_t at = f.at;
    put("main", "a", "3");
    put("main", "b", "3");
    for (int cut = 0; cut < 2; cut++) {
        restart(cut);
        assert_int_equal(info_of().id, at);
        go_on("main", 0, "c");
        assert_int_equal(f.at, at);
        follow_check(&f);
    }
    assert_int_equal(ramet_watch_wait(watch, 0), 1);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
}

static void tells_again_what_was_not_acknowledged(void **state)
{
    (void)state;
    struct ramet_batch batch = {.size = sizeof(batch)};
    start("main", "", 0, "c");
    put("main", "a", "1");
    assert_int_equal(ramet_watch_next(watch, &batch), 0); /* and then it died */
    put("main", "b", "2");
    restart(true);
    go_on("main", 0, "c");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&f), 0);
    /* Several batches are acknowledged at once. */
    put("main", "c", "3");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    put("main", "d", "3");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(ramet_watch_ack(watch), 0);
    restart(false);
    go_on("main", 0, "c");
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
}

static void tells_every_kept_version_across_restarts(void **state)
{
    (void)state;
    struct ramet_keep keep = {.size = sizeof(keep)};
    uint64_t ids[5];
    start("main", NULL, RAMET_WATCH_EVERY, "c");
    for (int i = 0; i < 5; i++) {
        char value[8];
        (void)snprintf(value, sizeof(value), "%d", i);
        put("main", "a", value);
        put("main", value, value);
        assert_int_equal(ramet_snapshot_create(store, "main", &keep, &ids[i]), 0);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
        assert_int_equal(f.at, ids[i]);
        assert_int_equal(ramet_watch_ack(watch), 0);
        restart(i % 2);
        go_on("main", RAMET_WATCH_EVERY, "c");
    }
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
}

static void goes_back_across_a_restart(void **state)
{
    (void)state;
    struct ramet_keep keep = {.size = sizeof(keep), .name = "old"};
    put("main", "a", "1");
    assert_int_equal(ramet_snapshot_create(store, "main", &keep, NULL), 0);
    put_many("main", 200, "2");
    start("main", NULL, 0, "c");
    restart(false);
    assert_int_equal(ramet_branch_reset(store, "main", "main@old"), 0);
    put("main", "b", "3");
    assert_int_equal(ramet_reclaim(store, 0, NULL), 0);
    restart(true);
    go_on("main", 0, "c");
    assert_int_equal(follow_one(&f), RAMET_BATCH_REWIND);
    assert_int_equal(follow_one(&f), 0);
    assert_int_equal(ramet_watch_ack(watch), 0);
    follow_end(&f);
}

static void outlives_its_branch(void **state)
{
    (void)state;
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    put_many("b", 200, "1");
    start("b", NULL, 0, "c");
    assert_int_equal(ramet_branch_delete(store, "b"), 0);
    assert_int_equal(follow_one(&f), RAMET_BATCH_GONE);
    assert_int_equal(ramet_watch_ack(watch), 0);
    restart(true);
    struct ramet_watch_cursor_info info = info_of();
    assert_int_equal(info.gone, 1);
    assert_true(info.pinned_bytes > 0);
    go_on("b", 0, "c"); /* though there is no such branch */
    assert_int_equal(follow_one(&f), RAMET_BATCH_GONE);
    assert_int_equal(follow_one(&f), 0);
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    restart(false);
    go_on("b", 0, "c");
    assert_int_equal(follow_one(&f), RAMET_BATCH_REWIND);
    assert_int_equal(ramet_watch_ack(watch), 0);
    assert_int_equal(info_of().pinned_bytes, 0);
    follow_end(&f);
}

/* ---- what it pins ---------------------------------------------------------------------------- */

static void says_what_it_pins_to_the_byte(void **state)
{
    (void)state;
    put_many("main", 500, "what it was when the watcher saw it last");
    start("main", NULL, 0, "c");
    struct ramet_watch_cursor_info info = info_of();
    assert_int_equal(info.in_use, 1);
    assert_int_equal(info.gone, 0);
    assert_int_equal(info.id, f.at);
    put_many("main", 500, "what it is now");
    struct ramet_stat before = stat_of();
    info = info_of();
    assert_int_equal(before.cursors, 1);
    assert_true(info.pinned_bytes > 8 * before.page_size);
    assert_int_equal(before.cursor_bytes, info.pinned_bytes);
    assert_int_equal(ramet_watch_cursor_delete(store, "c"), -EBUSY);
    ramet_watch_close(watch);
    f.watch = NULL;
    assert_int_equal(info_of().in_use, 0);
    assert_int_equal(ramet_watch_cursor_delete(store, "c"), 0);
    assert_int_equal(before.data_bytes - stat_of().data_bytes, info.pinned_bytes);
    assert_int_equal(stat_of().cursors, 0);
    assert_int_equal(ramet_watch_cursor_delete(store, "c"), RAMET_ENOTFOUND);
    follow_end(&f);
}

static void gives_back_what_it_is_past(void **state)
{
    (void)state;
    put_many("main", 300, "old");
    start("main", NULL, 0, "c");
    put_many("main", 300, "new");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    struct ramet_stat before = stat_of();
    assert_true(before.cursor_bytes > 0); /* both are pinned */
    assert_int_equal(ramet_watch_ack(watch), 0);
    assert_int_equal(stat_of().cursor_bytes, 0);
    assert_int_equal(before.data_bytes - stat_of().data_bytes, before.cursor_bytes);
    follow_end(&f);
}

static void moves_on_by_itself_past_what_is_not_watched(void **state)
{
    (void)state;
    struct ramet_watch_options o = {.size = sizeof(o), .cursor = "c"};
    struct ramet_batch batch = {.size = sizeof(batch)};
    put("main", "w", "1");
    assert_int_equal(ramet_watch_open(store, "main", "m", text("w"), NULL, &o, &watch), 0);
    uint64_t id = info_of().id;
    put_many("main", 300, "1");
    assert_int_equal(ramet_watch_next(watch, &batch), RAMET_ENOTFOUND);
    assert_int_equal(info_of().id, id); /* not for each commit of others */
    for (int i = 0; i < 1000; i++)
        (void)store->io->ops->clock_ms(store->io);
    put_many("main", 300, "2");
    assert_int_equal(ramet_watch_next(watch, &batch), RAMET_ENOTFOUND);
    assert_true(info_of().id > id);
    assert_int_equal(info_of().pinned_bytes, 0);
    put("main", "w", "2");
    assert_int_equal(ramet_watch_next(watch, &batch), 0);
    assert_int_equal(batch.from, id);
    ramet_watch_close(watch);
}

static void what_is_not_acknowledged_stays_so(void **state)
{
    (void)state;
    struct ramet_watch_options o = {.size = sizeof(o), .cursor = "c"};
    struct ramet_batch batch = {.size = sizeof(batch)};
    assert_int_equal(ramet_watch_open(store, "main", "m", text("w"), NULL, &o, &watch), 0);
    uint64_t id = info_of().id;
    put("main", "w", "1");
    assert_int_equal(ramet_watch_next(watch, &batch), 0);
    for (int i = 0; i < 2000; i++)
        (void)store->io->ops->clock_ms(store->io);
    put("main", "a", "1");
    assert_int_equal(ramet_watch_next(watch, &batch), RAMET_ENOTFOUND);
    assert_int_equal(info_of().id, id);
    ramet_watch_close(watch);
}

/* ---- who uses it ----------------------------------------------------------------------------- */

static void has_one_user_at_a_time(void **state)
{
    (void)state;
    start("main", NULL, 0, "c");
    assert_int_equal(open_rc("main", NULL, 0, "c"), -EBUSY);
    struct ramet_store *here = store;
    store = open_on(sim); /* as another process */
    assert_int_equal(open_rc("main", NULL, 0, "c"), -EBUSY);
    assert_int_equal(ramet_watch_cursor_delete(store, "c"), -EBUSY);
    assert_int_equal(info_of().in_use, 1);
    ramet_close(here); /* with it ends the one who has it */
    open_cursor("main", NULL, 0, "c");
    f.watch = watch;
    follow_end(&f);
}

static void is_of_one_branch(void **state)
{
    (void)state;
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    start("main", NULL, 0, "c");
    ramet_watch_close(watch);
    f.watch = watch = NULL;
    assert_int_equal(open_rc("b", NULL, 0, "c"), -EINVAL);
    assert_int_equal(open_rc("main", "", 0, "c"), -EINVAL);
    assert_int_equal(open_rc("none", NULL, 0, "d"), RAMET_ENOTFOUND);
    assert_int_equal(open_rc("main", "@999", 0, "d"), RAMET_ENOTFOUND);
    assert_null(watch);
    assert_int_equal(stat_of().cursors, 1);
    follow_end(&f);
}

static void is_in_a_copy(void **state)
{
    (void)state;
    struct rmt_io *io;
    struct ramet_store *copy;
    put_many("main", 100, "1");
    start("main", NULL, 0, "c");
    put_many("main", 100, "2");
    ramet_watch_close(watch);
    assert_int_equal(rmt_io_memory_open(&io), 0);
    assert_int_equal(rmt_store_copy(store, io, NULL, NULL, &copy), 0);
    struct ramet_store *original = store;
    store = copy;
    must_be_sound();
    assert_int_equal(stat_of().cursors, 1);
    go_on("main", 0, "c");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(ramet_watch_ack(watch), 0);
    must_be_sound();
    follow_end(&f);
    ramet_close(copy);
    store = original;
}

/* ---- power cuts ------------------------------------------------------------------------------ */

enum { STEPS = 6 };

/* What was acknowledged, and what was about to be: id and contents. */
struct acked {
    uint64_t id[2], content[2];
};

static void note(struct acked *acked, int which)
{
    struct ramet_txn *txn;
    acked->id[which] = acked->content[which] = 0;
    if (ramet_watch_begin(watch, &txn) < 0)
        return;
    acked->id[which] = ramet_txn_id(txn);
    acked->content[which] = content_of(txn, NULL, no_prefix);
    ramet_abort(txn);
}

/* Until the power is cut. True: it was not. */
static bool work(struct acked *acked)
{
    struct ramet_batch batch = {.size = sizeof(batch)};
    if (try_put("main", "a", "0") < 0 || open_rc("main", "", 0, "c") < 0)
        return false;
    note(acked, 0);
    for (int i = 0; i < STEPS; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "%d", i);
        if (try_put("main", key, "x") < 0 || try_put("main", "a", key) < 0 ||
            ramet_watch_next(watch, &batch) < 0)
            return false;
        note(acked, 1);
        if (ramet_watch_ack(watch) < 0)
            return false;
        acked->id[0] = acked->id[1];
        acked->content[0] = acked->content[1];
    }
    return true;
}

/* The cursor is where it was acknowledged, or about to be; and goes on exactly. */
static void verify(const struct acked *acked)
{
    struct acked found;
    if (!stat_of().cursors) { /* cut before there was one */
        assert_int_equal(acked->id[1], 0);
        return;
    }
    open_cursor("main", NULL, 0, "c");
    note(&found, 0);
    int which = found.id[0] == acked->id[0] ? 0 : 1;
    assert_int_equal(found.id[0], acked->id[which]);
    assert_int_equal(found.content[0], acked->content[which]);
    follow(&f, watch, NULL, no_prefix);
    put("main", "after", "1");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(ramet_watch_ack(watch), 0);
    follow_end(&f);
    assert_int_equal(stat_of().cursor_bytes, 0);
}

static void survives_a_power_cut_anywhere(void **state)
{
    (void)state;
    bool whole = false;
    for (uint64_t at = 0; !whole; at++) {
        for (int fate = 0; fate < RMT_SIM_FATES; fate++) {
            struct acked acked = {.id = {0}};
            struct rmt_sim *machine = sim = rmt_sim_new(at * 8 + (uint64_t)fate, (uint64_t)8 << 20);
            store = open_on(sim);
            rmt_sim_cut_at(sim, rmt_sim_ops(sim) + at, (enum rmt_sim_fate)fate);
            whole = work(&acked);
            ramet_close(store);
            rmt_sim_boot(sim);
            store = open_on(sim);
            must_be_sound();
            verify(&acked);
            must_be_sound();
            ramet_close(store);
            rmt_sim_free(machine);
        }
    }
}

/* ---- faults ---------------------------------------------------------------------------------- */

/* One read, write or growth after the other fails: the call says so, and can be made again. */
static void fails_and_is_where_it_was(void **state)
{
    (void)state;
    static const enum rmt_sim_kind kinds[] = {RMT_SIM_WRITE, RMT_SIM_GROW, RMT_SIM_READ};
    unsigned failures = 0;
    put_many("main", 100, "1");
    start("main", NULL, 0, "c");
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        bool fired = true;
        for (uint64_t at = 0; fired && at < 40; at++) {
            struct ramet_batch batch = {.size = sizeof(batch)};
            char value[16];
            (void)snprintf(value, sizeof(value), "%zu %u", k, (unsigned)at);
            put_many("main", 50, value);
            uint64_t before = rmt_sim_faults_fired(sim);
            rmt_pages_forget(&store->pages); /* so that there is something to be read */
            rmt_sim_fail_at(sim, kinds[k], at, kinds[k] == RMT_SIM_GROW ? -ENOSPC : -EIO);
            int rc = ramet_watch_next(watch, &batch);
            if (rc == 0) {
                assert_int_equal(batch.from, f.at);
                rc = ramet_watch_ack(watch);
                f.at = batch.to; /* of which the copy has nothing: it begins anew */
            }
            rmt_sim_fail_at(sim, kinds[k], UINT64_MAX, -EIO);
            fired = rmt_sim_faults_fired(sim) > before;
            failures += rc < 0;
            if (rc < 0)
                assert_true(fired);
            if (rc < 0 && f.at == batch.to && batch.to)
                assert_int_equal(ramet_watch_ack(watch), 0);
            if (rc < 0 && f.at != batch.to) {
                assert_int_equal(ramet_watch_next(watch, &batch), 0);
                assert_int_equal(batch.from, f.at);
                f.at = batch.to;
                assert_int_equal(ramet_watch_ack(watch), 0);
            }
            assert_int_equal(info_of().id, f.at);
            must_be_sound();
        }
    }
    assert_true(failures > 3);
    follow_end(&f);
}

/* Commits that were not flushed are lost to all when a flush fails. */
static void commits_that_are_lost_are_a_rewind(void **state)
{
    (void)state;
    ramet_close(store);
    store = open_as(sim, RAMET_NONE);
    put("main", "a", "1");
    assert_int_equal(ramet_sync(store), 0);
    assert_int_equal(ramet_watch_open(store, NULL, NULL, no_prefix, NULL, NULL, &watch), 0);
    follow(&f, watch, NULL, no_prefix);
    put("main", "a", "2");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, 0, -EIO);
    assert_int_equal(ramet_sync(store), -EIO);
    assert_int_equal(ramet_watch_wait(watch, -1), 1);
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_change change = {.size = sizeof(change)};
    assert_int_equal(ramet_watch_next(watch, &batch), 0);
    assert_int_equal(batch.kind, RAMET_BATCH_REWIND);
    assert_true(batch.to < batch.from);
    assert_int_equal(ramet_watch_change(watch, &change), 0);
    assert_memory_equal(change.new_value.data, "1", 1);
    follow_end(&f);
    ramet_close(store);
    store = open_on(sim);
}

int main(void)
{
#define CASE(c) cmocka_unit_test_setup_teardown(c, setup, teardown)
    const struct CMUnitTest cases[] = {
        CASE(goes_on_where_it_was_acknowledged),
        CASE(tells_again_what_was_not_acknowledged),
        CASE(tells_every_kept_version_across_restarts),
        CASE(goes_back_across_a_restart),
        CASE(outlives_its_branch),
        CASE(says_what_it_pins_to_the_byte),
        CASE(gives_back_what_it_is_past),
        CASE(moves_on_by_itself_past_what_is_not_watched),
        CASE(what_is_not_acknowledged_stays_so),
        CASE(has_one_user_at_a_time),
        CASE(is_of_one_branch),
        CASE(is_in_a_copy),
        cmocka_unit_test(survives_a_power_cut_anywhere),
        CASE(fails_and_is_where_it_was),
        CASE(commits_that_are_lost_are_a_rewind),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
