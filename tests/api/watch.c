/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

/* ---- what a version has ---------------------------------------------------------------------- */

struct adding {
    struct ramet_txn *txn;
    const char *only;
    struct ramet_slice prefix;
    uint64_t sum;
};

static void add(struct adding *a, struct ramet_slice s)
{
    a->sum = rmt_hash(s.data ? s.data : "", s.size, a->sum) + s.size;
}

static int add_map(void *ctx, const struct ramet_map_info *info)
{
    struct adding *a = ctx;
    struct ramet_map *map;
    struct ramet_cursor *cursor;
    struct ramet_slice key, value, name = {info->name, strlen(info->name)};
    if (a->only && strcmp(a->only, info->name) != 0)
        return 0;
    add(a, name);
    assert_int_equal(ramet_map_open(a->txn, info->name, 0, &map), 0);
    assert_int_equal(ramet_cursor_open(map, &cursor), 0);
    int rc = ramet_cursor_first(cursor);
    for (; rc == 0; rc = ramet_cursor_next(cursor)) {
        assert_int_equal(ramet_cursor_get(cursor, &key, &value), 0);
        if (key.size < a->prefix.size || memcmp(key.data, a->prefix.data, a->prefix.size) != 0)
            continue;
        add(a, key);
        add(a, value);
    }
    assert_int_equal(rc, RAMET_ENOTFOUND);
    ramet_cursor_close(cursor);
    return 0;
}

uint64_t content_of(struct ramet_txn *txn, const char *map, struct ramet_slice prefix)
{
    if (!prefix.size)
        prefix.data = "";
    struct adding a = {.txn = txn, .only = map, .prefix = prefix, .sum = 1};
    assert_int_equal(ramet_map_list(txn, add_map, &a), 0);
    return a.sum;
}

/* ---- following ------------------------------------------------------------------------------- */

static void apply(struct ramet_txn *txn, const struct ramet_change *change)
{
    struct ramet_map *map;
    struct ramet_slice value;
    if (change->kind == RAMET_MAP_DROPPED) {
        assert_int_equal(ramet_map_drop(txn, change->map), 0);
        return;
    }
    if (change->kind == RAMET_MAP_CREATED)
        assert_int_equal(ramet_map_open(txn, change->map, 0, &map), RAMET_ENOTFOUND);
    assert_int_equal(ramet_map_open(txn, change->map, RAMET_CREATE, &map), 0);
    if (change->kind == RAMET_MAP_CREATED)
        return;
    /* What is said of before is what the copy has. */
    int rc = ramet_get(map, change->key, &value);
    assert_int_equal(rc, change->kind == RAMET_ADDED ? RAMET_ENOTFOUND : 0);
    if (rc == 0) {
        assert_int_equal(value.size, change->old_value.size);
        assert_memory_equal(value.data, change->old_value.data, value.size);
    }
    if (change->kind == RAMET_REMOVED)
        assert_int_equal(ramet_del(map, change->key), 0);
    else
        assert_int_equal(ramet_put(map, change->key, change->new_value, 0), 0);
}

void follow_check(struct follower *f)
{
    struct ramet_txn *txn;
    uint64_t seen = 1;
    int rc = ramet_watch_begin(f->watch, &txn);
    if (rc == 0) {
        seen = content_of(txn, f->map, f->prefix);
        ramet_abort(txn);
    } else {
        assert_int_equal(rc, RAMET_ENOTFOUND);
    }
    assert_int_equal(ramet_begin(f->copy, NULL, RAMET_READ, &txn), 0);
    assert_int_equal(content_of(txn, f->map, f->prefix), seen);
    ramet_abort(txn);
}

/* The first one is the difference from nothing. */
static void copy_all(struct follower *f, struct ramet_txn *from)
{
    struct ramet_txn *to;
    struct ramet_diff *diff;
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_diff_options options = {.size = sizeof(options), .map = f->map};
    options.prefix = f->prefix;
    assert_int_equal(ramet_begin(f->copy, NULL, RAMET_WRITE, &to), 0);
    assert_int_equal(ramet_diff_open(NULL, from, &options, &diff), 0);
    while (ramet_diff_next(diff, &change) == 0)
        apply(to, &change);
    ramet_diff_close(diff);
    assert_int_equal(ramet_commit(to, NULL, NULL), 0);
}

void follow(struct follower *f, struct ramet_watch *watch, const char *map,
            struct ramet_slice prefix)
{
    struct ramet_txn *txn;
    *f = (struct follower){.watch = watch, .map = map, .prefix = prefix};
    assert_int_equal(ramet_open(NULL, NULL, &f->copy), 0);
    if (ramet_watch_begin(watch, &txn) == 0) {
        f->at = ramet_txn_id(txn);
        copy_all(f, txn);
        ramet_abort(txn);
    }
    follow_check(f);
}

int follow_one(struct follower *f)
{
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_txn *txn;
    int rc = ramet_watch_next(f->watch, &batch), nr = 0;
    if (rc == RAMET_ENOTFOUND)
        return 0;
    if (rc < 0)
        print_error("%s\n", ramet_errmsg());
    assert_int_equal(rc, 0);
    assert_int_equal(batch.from, f->at);
    assert_int_equal(ramet_begin(f->copy, NULL, RAMET_WRITE, &txn), 0);
    while ((rc = ramet_watch_change(f->watch, &change)) == 0) {
        apply(txn, &change);
        nr++;
    }
    assert_int_equal(rc, RAMET_ENOTFOUND);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    switch (batch.kind) {
    case RAMET_BATCH_CHANGES:
        assert_true(nr > 0);
        assert_true(batch.to > batch.from);
        break;
    case RAMET_BATCH_GONE:
        assert_int_equal(nr, 0);
        assert_int_equal(batch.to, batch.from);
        break;
    default: assert_int_equal(batch.kind, RAMET_BATCH_REWIND);
    }
    f->at = batch.to;
    if (batch.kind != RAMET_BATCH_GONE) {
        assert_int_equal(ramet_watch_begin(f->watch, &txn), 0);
        assert_int_equal(ramet_txn_id(txn), batch.to);
        ramet_abort(txn);
    }
    follow_check(f);
    return batch.kind;
}

void follow_end(struct follower *f)
{
    ramet_watch_close(f->watch);
    ramet_close(f->copy);
}
