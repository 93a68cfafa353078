/* SPDX-License-Identifier: MIT */
/* watch-test.c - what watchers promise: exact, in order, whole commits, nothing lost, no going back
 * in silence. */
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

#include <ramet.h>

#include "model/forked.h"
#include "watch.h"

static const struct ramet_slice no_prefix;
static struct ramet_store *store;

static struct ramet_slice text(const char *s)
{
    struct ramet_slice slice = {s, strlen(s)};
    return slice;
}

static int setup(void **state)
{
    (void)state;
    return ramet_open(NULL, NULL, &store);
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
    return 0;
}

/* value NULL: the key goes. */
static void put(const char *branch, const char *name, const char *key, const char *value)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    assert_int_equal(ramet_begin(store, branch, RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, name, RAMET_CREATE, &map), 0);
    if (value)
        assert_int_equal(ramet_put(map, text(key), text(value), 0), 0);
    else
        assert_int_equal(ramet_del(map, text(key)), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
}

static uint64_t keep(const char *branch, const char *name)
{
    struct ramet_keep k = {.size = sizeof(k), .name = name};
    uint64_t id = 0;
    assert_int_equal(ramet_snapshot_create(store, branch, &k, &id), 0);
    return id;
}

static struct ramet_watch *open_with(const char *branch, const char *since, unsigned flags,
                                     const char *cursor)
{
    struct ramet_watch_options o = {.size = sizeof(o), .flags = flags, .cursor = cursor};
    struct ramet_watch *watch = NULL;
    int rc = ramet_watch_open(store, branch, NULL, no_prefix, since, &o, &watch);
    if (rc < 0)
        fail_msg("%s", ramet_errmsg());
    return watch;
}

static void start(struct follower *f, const char *branch, const char *since, unsigned flags)
{
    follow(f, open_with(branch, since, flags, NULL), NULL, no_prefix);
}

static struct ramet_stat stat_of(void)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    assert_int_equal(ramet_stat(store, &stat), 0);
    return stat;
}

/* Nothing is to come: it may be told once too often, while others commit. */
static void is_quiet(struct follower *f)
{
    for (int i = 0; i < 100 && ramet_watch_wait(f->watch, 0) != 0; i++)
        assert_int_equal(follow_one(f), 0);
    assert_int_equal(ramet_watch_wait(f->watch, 0), 0);
}

/* ---- where it begins ------------------------------------------------------------------------- */

static void begins_at_the_head(void **state)
{
    (void)state;
    struct follower f;
    put("main", "m", "a", "1");
    start(&f, NULL, NULL, 0);
    is_quiet(&f);
    assert_int_equal(follow_one(&f), 0);
    put("main", "m", "a", "2");
    assert_int_equal(ramet_watch_wait(f.watch, -1), 1);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&f), 0);
    is_quiet(&f);
    follow_end(&f);
}

static void begins_at_nothing(void **state)
{
    (void)state;
    struct follower f;
    start(&f, NULL, "", 0);
    assert_int_equal(follow_one(&f), 0); /* there is nothing yet */
    put("main", "m", "a", "1");
    put("main", "n", "b", "2");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
    start(&f, NULL, "", 0);
    assert_int_equal(f.at, 0);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    follow_end(&f);
}

static void resumes_from_an_id(void **state)
{
    (void)state;
    struct follower f;
    char since[32], lost[32];
    put("main", "m", "a", "1");
    uint64_t id = keep("main", NULL);
    put("main", "m", "a", "2");
    (void)snprintf(lost, sizeof(lost), "@%llu", (unsigned long long)stat_of().last_id);
    start(&f, NULL, lost, 0); /* the head, that nobody keeps */
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
    put("main", "m", "b", "3");
    (void)snprintf(since, sizeof(since), "@%llu", (unsigned long long)id);
    start(&f, NULL, since, 0);
    assert_int_equal(f.at, id);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    follow_end(&f);
    struct ramet_watch *w = NULL;
    assert_int_equal(ramet_watch_open(store, NULL, NULL, no_prefix, lost, NULL, &w),
                     RAMET_ENOTFOUND);
    assert_int_equal(ramet_watch_open(store, NULL, NULL, no_prefix, "@x", NULL, &w), -EINVAL);
    assert_int_equal(ramet_watch_open(store, "none", NULL, no_prefix, NULL, NULL, &w),
                     RAMET_ENOTFOUND);
    assert_null(w);
}

/* ---- what it is told ------------------------------------------------------------------------- */

static void folds_what_it_missed(void **state)
{
    (void)state;
    struct follower f;
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_change change = {.size = sizeof(change)};
    put("main", "m", "a", "1");
    struct ramet_watch *w = open_with("main", NULL, 0, NULL);
    start(&f, NULL, NULL, 0);
    for (int i = 0; i < 300; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "%d", i);
        put("main", "m", "a", value);
        put("main", "m", "gone", value);
        put("main", "m", "gone", NULL);
    }
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
    assert_int_equal(ramet_watch_next(w, &batch), 0);
    assert_int_equal(ramet_watch_change(w, &change), 0);
    assert_int_equal(change.kind, RAMET_CHANGED);
    assert_memory_equal(change.old_value.data, "1", 1);
    assert_memory_equal(change.new_value.data, "299", 3);
    assert_int_equal(ramet_watch_change(w, &change), RAMET_ENOTFOUND);
    assert_int_equal(ramet_watch_change(w, &change), RAMET_ENOTFOUND);
    ramet_watch_close(w);
}

static void is_told_what_it_watches(void **state)
{
    (void)state;
    struct follower f;
    struct ramet_watch *w;
    put("main", "m", "pre/a", "1");
    put("main", "m", "pse", "1");
    put("main", "n", "pre/a", "1");
    assert_int_equal(ramet_watch_open(store, "main", "m", text("pre/"), "", NULL, &w), 0);
    follow(&f, w, "m", text("pre/"));
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    put("main", "m", "pse", "2");
    put("main", "n", "pre/a", "2");
    assert_int_equal(follow_one(&f), 0); /* and the next one's from is this one's to */
    put("main", "m", "pre/b", "2");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
}

static void a_batch_may_be_left(void **state)
{
    (void)state;
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_watch *w = open_with("main", NULL, RAMET_WATCH_KEYS, NULL);
    put("main", "m", "a", "1");
    put("main", "m", "b", "1");
    assert_int_equal(ramet_watch_next(w, &batch), 0);
    uint64_t to = batch.to;
    assert_int_equal(ramet_watch_change(w, &change), 0);
    assert_int_equal(change.kind, RAMET_MAP_CREATED);
    put("main", "m", "c", "1");
    assert_int_equal(ramet_watch_next(w, &batch), 0);
    assert_int_equal(batch.from, to);
    assert_int_equal(ramet_watch_change(w, &change), 0);
    assert_int_equal(change.kind, RAMET_ADDED);
    assert_memory_equal(change.key.data, "c", 1);
    assert_null(change.new_value.data);
    assert_int_equal(ramet_watch_change(w, &change), RAMET_ENOTFOUND);
    ramet_watch_close(w);
}

static void blobs_if_asked_for(void **state)
{
    (void)state;
    const char marked[] = {RAMET_BLOB_MARK, 'b', 0};
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_watch_options o = {.size = sizeof(o)};
    struct ramet_watch *maps = open_with("main", NULL, 0, NULL), *one;
    struct ramet_watch *all = open_with("main", NULL, RAMET_WATCH_BLOBS, NULL);
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    assert_int_equal(ramet_watch_open(store, "main", marked, no_prefix, NULL, &o, &one), 0);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_blob_open(txn, "b", RAMET_CREATE, &blob), 0);
    assert_int_equal(ramet_blob_write(blob, 4096, "x", 1), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    assert_int_equal(ramet_watch_next(maps, &batch), RAMET_ENOTFOUND);
    for (int i = 0; i < 2; i++) {
        struct ramet_watch *w = i ? one : all;
        assert_int_equal(ramet_watch_next(w, &batch), 0);
        assert_int_equal(ramet_watch_change(w, &change), 0);
        assert_int_equal(change.kind, RAMET_MAP_CREATED);
        assert_string_equal(change.map, marked);
        assert_int_equal(ramet_watch_change(w, &change), 0);
        assert_int_equal(change.key.size, 1); /* its size */
        assert_int_equal(ramet_watch_change(w, &change), 0);
        assert_int_equal(change.new_value.size, 4096);
        assert_memory_equal(change.new_value.data, "x", 2);
        assert_int_equal(ramet_watch_change(w, &change), RAMET_ENOTFOUND);
    }
    ramet_watch_close(maps);
    ramet_watch_close(all);
    ramet_watch_close(one);
}

static void every_kept_version_in_turn(void **state)
{
    (void)state;
    struct follower f, g;
    start(&f, NULL, NULL, RAMET_WATCH_EVERY);
    start(&g, NULL, NULL, RAMET_WATCH_EVERY | RAMET_WATCH_HEAD);
    uint64_t ids[4];
    for (int i = 0; i < 4; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "%d", i);
        put("main", "m", "not kept", value);
        put("main", "m", "a", value);
        ids[i] = keep("main", NULL);
    }
    put("main", "m", "b", "head");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
        assert_int_equal(f.at, ids[i]);
        assert_int_equal(follow_one(&g), RAMET_BATCH_CHANGES);
        assert_int_equal(g.at, ids[i]);
    }
    assert_int_equal(follow_one(&f), 0);
    assert_int_equal(follow_one(&g), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&g), 0);
    is_quiet(&f);
    keep("main", "now"); /* the head did not move */
    assert_int_equal(ramet_watch_wait(f.watch, -1), 1);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&g), 0);
    follow_end(&f);
    follow_end(&g);
}

static void what_was_pruned_goes_into_the_next(void **state)
{
    (void)state;
    struct follower f;
    uint64_t ids[6];
    start(&f, NULL, NULL, RAMET_WATCH_EVERY);
    for (int i = 0; i < 6; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "%d", i);
        put("main", "m", value, value);
        ids[i] = keep("main", NULL);
    }
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(f.at, ids[0]);
    struct ramet_prune_options o = {.size = sizeof(o), .keep_last = 2};
    uint64_t count = 0;
    assert_int_equal(ramet_prune(store, NULL, &o, &count), 0);
    assert_int_equal(count, 4);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(f.at, ids[4]);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(f.at, ids[5]);
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
}

/* ---- going back ------------------------------------------------------------------------------ */

static void a_reset_is_a_rewind(void **state)
{
    (void)state;
    struct follower f, late;
    put("main", "m", "a", "1");
    keep("main", "one");
    start(&late, NULL, NULL, 0);
    put("main", "m", "a", "2");
    put("main", "n", "b", "2");
    start(&f, NULL, NULL, 0);
    assert_int_equal(ramet_branch_reset(store, "main", "main@one"), 0);
    assert_int_equal(ramet_watch_wait(f.watch, -1), 1);
    assert_int_equal(follow_one(&f), RAMET_BATCH_REWIND);
    assert_int_equal(follow_one(&f), 0);
    assert_int_equal(follow_one(&late), 0); /* it is where it was */
    put("main", "m", "a", "3");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&late), RAMET_BATCH_CHANGES);
    /* Forward again, to what stands on what was seen. */
    keep("main", "three");
    put("main", "m", "a", "4");
    keep("main", "four");
    assert_int_equal(ramet_branch_reset(store, "main", "main@three"), 0);
    assert_int_equal(follow_one(&f), 0);
    assert_int_equal(ramet_branch_reset(store, "main", "main@four"), 0);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&late), RAMET_BATCH_CHANGES);
    follow_end(&f);
    follow_end(&late);
}

static void every_goes_back_and_on_in_turn(void **state)
{
    (void)state;
    struct follower f;
    put("main", "m", "a", "1");
    uint64_t one = keep("main", "one");
    put("main", "m", "a", "2");
    keep("main", "two");
    start(&f, NULL, NULL, RAMET_WATCH_EVERY);
    assert_int_equal(ramet_branch_reset(store, "main", "main@one"), 0);
    put("main", "m", "a", "3");
    uint64_t three = keep("main", "three");
    put("main", "m", "a", "4");
    uint64_t four = keep("main", "four");
    assert_int_equal(follow_one(&f), RAMET_BATCH_REWIND);
    assert_int_equal(f.at, one);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(f.at, three);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(f.at, four);
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
}

static void a_branch_goes_and_comes_back(void **state)
{
    (void)state;
    struct follower f;
    put("main", "m", "a", "1");
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    put("b", "m", "a", "2");
    start(&f, "b", NULL, 0);
    put("b", "m", "a", "3");
    assert_int_equal(ramet_branch_delete(store, "b"), 0);
    assert_int_equal(ramet_watch_wait(f.watch, -1), 1);
    assert_int_equal(follow_one(&f), RAMET_BATCH_GONE);
    assert_int_equal(follow_one(&f), 0);
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    assert_int_equal(ramet_watch_wait(f.watch, -1), 1);
    assert_int_equal(follow_one(&f), RAMET_BATCH_REWIND);
    put("b", "m", "b", "4");
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    /* Both at once, to the same contents: it is not the same branch. */
    keep("main", "x");
    assert_int_equal(ramet_branch_delete(store, "b"), 0);
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    assert_int_equal(follow_one(&f), RAMET_BATCH_REWIND);
    assert_int_equal(ramet_branch_delete(store, "b"), 0);
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    assert_int_equal(follow_one(&f), RAMET_BATCH_REWIND);
    assert_int_equal(follow_one(&f), 0);
    follow_end(&f);
}

static void a_fast_forward_is_no_rewind(void **state)
{
    (void)state;
    struct follower f, every;
    put("main", "m", "a", "1");
    start(&f, NULL, NULL, 0); /* at what nobody keeps */
    start(&every, NULL, NULL, RAMET_WATCH_EVERY | RAMET_WATCH_HEAD);
    put("main", "m", "a", "2");
    assert_int_equal(ramet_branch_create(store, "dev", "main"), 0);
    put("dev", "m", "b", "3");
    struct ramet_merge_result result = {.size = sizeof(result)};
    assert_int_equal(ramet_merge(store, "main", "dev", NULL, &result), 0);
    assert_int_equal(result.fast_forward, 1);
    assert_int_equal(follow_one(&f), RAMET_BATCH_CHANGES);
    assert_int_equal(follow_one(&f), 0);
    int kind = follow_one(&every);
    assert_int_equal(kind, RAMET_BATCH_CHANGES);
    while ((kind = follow_one(&every)) != 0)
        assert_int_equal(kind, RAMET_BATCH_CHANGES);
    assert_int_equal(every.at, f.at);
    follow_end(&f);
    follow_end(&every);
}

/* ---- what it costs others -------------------------------------------------------------------- */

static void many_share_one_slot(void **state)
{
    (void)state;
    struct ramet_watch *watches[200];
    put("main", "m", "a", "1");
    for (int i = 0; i < 200; i++)
        watches[i] = open_with("main", NULL, 0, NULL);
    assert_int_equal(stat_of().readers, 1);
    put("main", "m", "a", "2");
    for (int i = 0; i < 200; i++) {
        struct ramet_batch batch = {.size = sizeof(batch)};
        struct ramet_change change = {.size = sizeof(change)};
        assert_int_equal(ramet_watch_wait(watches[i], -1), 1);
        assert_int_equal(ramet_watch_next(watches[i], &batch), 0);
        assert_int_equal(ramet_watch_change(watches[i], &change), 0);
        assert_int_equal(ramet_watch_change(watches[i], &change), RAMET_ENOTFOUND);
    }
    assert_int_equal(stat_of().readers, 1);
    for (int i = 0; i < 200; i += 2)
        ramet_watch_close(watches[i]);
    assert_int_equal(stat_of().readers, 1);
    for (int i = 1; i < 199; i += 2)
        ramet_watch_close(watches[i]);
    ramet_watch_close(watches[199]);
    assert_int_equal(stat_of().readers, 0);
}

static void stalls_through_everything(void **state)
{
    (void)state;
    struct follower f;
    put("main", "m", "a", "1");
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    for (int i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%d", i);
        put("b", "m", key, key);
    }
    start(&f, "b", NULL, 0);
    for (int i = 0; i < 200; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%d", i * 7);
        put("b", "m", key, i % 3 ? "new" : "other");
        if (i % 10 == 0)
            keep("b", NULL);
    }
    struct ramet_prune_options o = {.size = sizeof(o), .keep_last = 1};
    assert_int_equal(ramet_prune(store, "b", &o, NULL), 0);
    assert_int_equal(ramet_branch_delete(store, "b"), 0);
    assert_int_equal(ramet_reclaim(store, 0, NULL), 0);
    for (int i = 0; i < 50; i++)
        put("main", "m", "a", i % 2 ? "x" : "y"); /* reuses what it may */
    follow_check(&f);
    assert_int_equal(follow_one(&f), RAMET_BATCH_GONE);
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    assert_int_equal(follow_one(&f), RAMET_BATCH_REWIND);
    follow_end(&f);
}

static void ends_with_its_store(void **state)
{
    (void)state;
    struct ramet_store *other;
    struct ramet_watch *w;
    struct ramet_batch batch = {.size = sizeof(batch)};
    assert_int_equal(ramet_open(NULL, NULL, &other), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ramet_watch_open(other, NULL, NULL, no_prefix, "", NULL, &w), 0);
    assert_int_equal(ramet_watch_next(w, &batch), RAMET_ENOTFOUND);
    ramet_close(other);
}

static bool in_child(void *ctx, char *message, size_t size)
{
    struct ramet_watch *w = ctx;
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_txn *txn;
    bool right = ramet_watch_next(w, &batch) == RAMET_EFORKED &&
                 ramet_watch_change(w, &change) == RAMET_EFORKED &&
                 ramet_watch_begin(w, &txn) == RAMET_EFORKED &&
                 ramet_watch_wait(w, 0) == RAMET_EFORKED && ramet_watch_ack(w) == RAMET_EFORKED;
    ramet_watch_close(w);
    ramet_close(store);
    (void)snprintf(message, size, "a call did not say RAMET_EFORKED");
    return right;
}

static void a_forked_child_has_none(void **state)
{
    (void)state;
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_watch *w = open_with("main", NULL, 0, NULL);
    put("main", "m", "a", "1");
    char message[128] = "";
    if (!forked_run(in_child, w, 20, false, message, sizeof(message)))
        fail_msg("%s", message);
    assert_int_equal(ramet_watch_wait(w, -1), 1);
    assert_int_equal(ramet_watch_next(w, &batch), 0);
    ramet_watch_close(w);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    struct ramet_watch *w = NULL;
    struct ramet_watch_options o = {.size = sizeof(o), .flags = 1u << 20};
    struct ramet_batch batch = {.size = 0};
    char key[RAMET_KEY_MAX + 1] = {0};
    struct ramet_slice prefix = {key, sizeof(key)};
    assert_int_equal(ramet_watch_open(NULL, NULL, NULL, no_prefix, NULL, NULL, &w), -EINVAL);
    assert_int_equal(ramet_watch_open(store, NULL, NULL, no_prefix, NULL, &o, &w), -EINVAL);
    o.flags = RAMET_WATCH_HEAD; /* of what is without RAMET_WATCH_EVERY always so */
    assert_int_equal(ramet_watch_open(store, NULL, NULL, no_prefix, NULL, &o, &w), -EINVAL);
    o.flags = 0;
    o.cursor = "";
    assert_int_equal(ramet_watch_open(store, NULL, NULL, no_prefix, NULL, &o, &w), -EINVAL);
    o.size = 0;
    assert_int_equal(ramet_watch_open(store, NULL, NULL, no_prefix, NULL, &o, &w), -EINVAL);
    assert_int_equal(ramet_watch_open(store, NULL, NULL, prefix, NULL, NULL, &w), -EINVAL);
    assert_int_equal(ramet_watch_open(store, "a@b", NULL, no_prefix, NULL, NULL, &w), -EINVAL);
    assert_int_equal(ramet_watch_open(store, NULL, "a\nb", no_prefix, NULL, NULL, &w), -EINVAL);
    assert_null(w);
    w = open_with("main", "", 0, NULL);
    struct ramet_txn *txn;
    assert_int_equal(ramet_watch_next(w, &batch), -EINVAL);
    assert_int_equal(ramet_watch_begin(w, &txn), RAMET_ENOTFOUND);
    assert_int_equal(ramet_watch_ack(w), 0);
    ramet_watch_close(w);
    ramet_watch_close(NULL);
    assert_int_equal(ramet_watch_fd(NULL), -EINVAL);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest cases[] = {
        CASE(begins_at_the_head),
        CASE(begins_at_nothing),
        CASE(resumes_from_an_id),
        CASE(folds_what_it_missed),
        CASE(is_told_what_it_watches),
        CASE(a_batch_may_be_left),
        CASE(blobs_if_asked_for),
        CASE(every_kept_version_in_turn),
        CASE(what_was_pruned_goes_into_the_next),
        CASE(a_reset_is_a_rewind),
        CASE(every_goes_back_and_on_in_turn),
        CASE(a_branch_goes_and_comes_back),
        CASE(a_fast_forward_is_no_rewind),
        CASE(many_share_one_slot),
        CASE(stalls_through_everything),
        CASE(ends_with_its_store),
        CASE(a_forked_child_has_none),
        CASE(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
