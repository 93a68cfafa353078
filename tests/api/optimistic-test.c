/* SPDX-License-Identifier: MIT */
/* optimistic-test.c - optimistic transactions, case by case. */
#include <errno.h>
#include <pthread.h>
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

static int teardown(void **state)
{
    (void)state;
    int rc = ramet_check(store, 0, NULL, NULL, NULL);
    if (rc < 0)
        print_error("%s\n", ramet_errmsg());
    ramet_close(store);
    return rc;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static struct ramet_txn *begin(void)
{
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE | RAMET_OPTIMISTIC, &txn), 0);
    return txn;
}

static struct ramet_map *map_of(struct ramet_txn *txn, const char *name)
{
    struct ramet_map *map;
    assert_int_equal(ramet_map_open(txn, name, RAMET_CREATE, &map), 0);
    return map;
}

/* value NULL: the key goes. */
static void write_in(struct ramet_txn *txn, const char *name, const char *key, const char *value)
{
    struct ramet_map *map = map_of(txn, name);
    if (value)
        assert_int_equal(ramet_put(map, text(key), text(value), 0), 0);
    else
        assert_int_equal(ramet_del(map, text(key)), 0);
}

/* An ordinary transaction on a branch. */
static void put_on(const char *branch, const char *name, const char *key, const char *value)
{
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, branch, RAMET_WRITE, &txn), 0);
    write_in(txn, name, key, value);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
}

static void put(const char *name, const char *key, const char *value)
{
    put_on("main", name, key, value);
}

static void drop(const char *name)
{
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_drop(txn, name), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
}

static const char *get_in(struct ramet_txn *txn, const char *name, const char *key)
{
    static char value[256];
    struct ramet_map *map;
    struct ramet_slice found;
    (void)snprintf(value, sizeof(value), "?"); /* there is no such map */
    if (ramet_map_open(txn, name, 0, &map) < 0)
        return value;
    (void)snprintf(value, sizeof(value), "-");
    if (ramet_get(map, text(key), &found) == 0)
        (void)snprintf(value, sizeof(value), "%.*s", (int)found.size, (const char *)found.data);
    return value;
}

static const char *get(const char *ref, const char *name, const char *key)
{
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, ref, RAMET_READ, &txn), 0);
    const char *value = get_in(txn, name, key);
    ramet_abort(txn);
    return value;
}

static uint64_t head(void)
{
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, "main", RAMET_READ, &txn), 0);
    uint64_t id = ramet_txn_id(txn);
    ramet_abort(txn);
    return id;
}

static void lands(struct ramet_txn *txn)
{
    int rc = ramet_commit(txn, NULL, NULL);
    if (rc < 0)
        print_error("%s\n", ramet_errmsg());
    assert_int_equal(rc, 0);
}

/* It conflicts, says where, and changes nothing. */
static void conflicts(struct ramet_txn *txn, const char *where)
{
    uint64_t before = head();
    assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_ECONFLICT);
    if (!strstr(ramet_errmsg(), where))
        print_error("%s\n", ramet_errmsg());
    assert_non_null(strstr(ramet_errmsg(), where));
    assert_int_equal(head(), before);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void sees_the_head_it_began_at_and_its_own_writes(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *txn = begin();
    write_in(txn, "m", "b", "2");
    put("m", "a", "9");
    assert_string_equal(get_in(txn, "m", "a"), "1");
    assert_string_equal(get_in(txn, "m", "b"), "2");
    assert_string_equal(get("main", "m", "b"), "-");
    lands(txn);
    assert_string_equal(get("main", "m", "a"), "9");
    assert_string_equal(get("main", "m", "b"), "2");
}

static void lands_beside_others_and_not_on_them(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin(), *y = begin(), *z = begin();
    write_in(x, "m", "a", "x");
    write_in(y, "m", "b", "y");
    write_in(z, "m", "a", "z");
    lands(y);
    lands(x);
    conflicts(z, "map 'm', key 'a': it changed on branch 'main'");
    assert_string_equal(get("main", "m", "a"), "x");
    assert_string_equal(get("main", "m", "b"), "y");
}

static void conflicts_with_a_delete_and_its_delete_with_a_put(void **state)
{
    (void)state;
    put("m", "a", "1");
    put("m", "b", "1");
    struct ramet_txn *x = begin(), *y = begin();
    write_in(x, "m", "a", "x");
    write_in(y, "m", "b", NULL);
    put("m", "a", NULL);
    put("m", "b", "2");
    conflicts(x, "map 'm', key 'a'");
    conflicts(y, "map 'm', key 'b'");
}

static void a_write_of_the_value_that_was_there_counts(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin();
    write_in(x, "m", "a", "1");
    put("m", "a", "2");
    conflicts(x, "map 'm', key 'a'");
    x = begin(); /* written, and put back */
    write_in(x, "m", "a", "3");
    write_in(x, "m", "a", "2");
    put("m", "a", "4");
    conflicts(x, "map 'm', key 'a'");
}

static void deleting_what_is_not_there_counts(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin();
    assert_int_equal(ramet_del(map_of(x, "m"), text("b")), RAMET_ENOTFOUND);
    put("m", "b", "2");
    conflicts(x, "map 'm', key 'b'");
}

static void a_put_that_found_the_key_does_not_count(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin();
    assert_int_equal(ramet_put(map_of(x, "m"), text("a"), text("x"), RAMET_NOOVERWRITE), -EEXIST);
    assert_int_equal(ramet_put(map_of(x, "m"), text("b"), text("x"), RAMET_NOOVERWRITE), 0);
    put("m", "a", "2");
    lands(x);
    x = begin();
    assert_int_equal(ramet_put(map_of(x, "m"), text("c"), text("x"), RAMET_NOOVERWRITE), 0);
    put("m", "c", "2");
    conflicts(x, "map 'm', key 'c'");
    assert_string_equal(get("main", "m", "a"), "2");
    assert_string_equal(get("main", "m", "b"), "x");
}

static void changed_and_changed_back_is_unchanged(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin();
    write_in(x, "m", "a", "x");
    assert_int_equal(ramet_guard_range(map_of(x, "m"), text(""), text("")), 0);
    put("m", "a", "2");
    put("m", "b", "2");
    put("m", "a", "1");
    put("m", "b", NULL);
    lands(x);
    assert_string_equal(get("main", "m", "a"), "x");
}

static void the_message_shows_keys_that_are_not_text(void **state)
{
    (void)state;
    uint8_t long_key[60] = {0, 0xff, '\\', 'a'};
    memset(long_key + 4, 'z', sizeof(long_key) - 4);
    const struct ramet_slice keys[] = {{long_key, 4}, {long_key, sizeof(long_key)}};
    const char *shown[] = {"key '\\x00\\xff\\x5ca':", "zzz...':"};
    for (size_t i = 0; i < 2; i++) {
        struct ramet_txn *x = begin(), *y = begin();
        assert_int_equal(ramet_put(map_of(x, "m"), keys[i], text("x"), 0), 0);
        assert_int_equal(ramet_put(map_of(y, "m"), keys[i], text("y"), 0), 0);
        lands(x);
        conflicts(y, shown[i]);
    }
}

/* ---- guards ---------------------------------------------------------------------------------- */

static void guards_a_key_and_the_absence_of_one(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin(), *y = begin(), *z = begin();
    assert_int_equal(ramet_guard(map_of(x, "m"), text("a")), 0);
    assert_int_equal(ramet_guard(map_of(y, "m"), text("b")), 0);
    write_in(x, "m", "x", "x");
    write_in(y, "m", "y", "y");
    write_in(z, "m", "z", "z");
    put("m", "a", "2");
    put("m", "b", "2");
    conflicts(x, "map 'm', key 'a'");
    conflicts(y, "map 'm', key 'b'");
    lands(z);
}

static void a_guard_alone_is_checked_and_makes_no_version(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin(), *y = begin(), *z = begin();
    uint64_t before = head(), id = 0;
    assert_int_equal(ramet_guard(map_of(x, "m"), text("a")), 0);
    assert_int_equal(ramet_guard(map_of(y, "m"), text("a")), 0);
    assert_int_equal(ramet_commit(x, NULL, &id), 0);
    assert_int_equal(id, before);
    assert_int_equal(head(), before);
    put("m", "a", "2");
    conflicts(y, "map 'm', key 'a'");
    assert_int_equal(ramet_guard(map_of(z, "m"), text("b")), 0);
    assert_int_equal(ramet_commit(z, NULL, &id), 0);
    assert_int_equal(id, head());
}

static void a_guard_does_not_undo_a_write_nor_a_write_a_guard(void **state)
{
    (void)state;
    put("m", "a", "1");
    for (int i = 0; i < 2; i++) {
        struct ramet_txn *x = begin();
        if (i)
            assert_int_equal(ramet_guard(map_of(x, "m"), text("b")), 0);
        write_in(x, "m", "b", "x");
        if (!i)
            assert_int_equal(ramet_guard(map_of(x, "m"), text("b")), 0);
        put("m", "a", i ? "3" : "2");
        lands(x);
        assert_string_equal(get("main", "m", "b"), "x");
        x = begin();
        assert_int_equal(ramet_guard(map_of(x, "m"), text("b")), 0);
        write_in(x, "m", "b", NULL);
        put("m", "b", i ? "5" : "4");
        conflicts(x, "key 'b'");
        put("m", "b", NULL);
    }
}

static void guards_a_range_and_no_more(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *key;
        bool hit;
    } cases[] = {
        {"c", "f", "b", false}, {"c", "f", "c", true},  {"c", "f", "e", true},
        {"c", "f", "f", false}, {"", "f", "a", true},   {"c", "", "z", true},
        {"c", "", "b", false},  {"f", "c", "d", false}, {"c", "c", "c", false},
        {"", "", "q", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put("m", "d", "1");
        put("m", cases[i].key, "1");
        struct ramet_txn *x = begin(), *y = begin(), *z = begin();
        assert_int_equal(ramet_guard_range(map_of(x, "m"), text(cases[i].from), text(cases[i].to)),
                         0);
        write_in(x, "m", "x", "x");
        assert_int_equal(
            ramet_del_range(map_of(y, "m"), text(cases[i].from), text(cases[i].to), NULL), 0);
        assert_int_equal(ramet_guard_range(map_of(z, "m"), text(cases[i].from), text(cases[i].to)),
                         0);
        put("m", cases[i].key, i % 2 ? "2" : NULL);
        if (cases[i].hit) {
            conflicts(y, cases[i].key);
            conflicts(x, cases[i].key);
            conflicts(z, cases[i].key);
        } else {
            lands(z);
            lands(x);
            ramet_abort(y);
        }
        drop("m");
    }
}

static void guards_are_for_write_transactions_and_nothing_in_an_ordinary_one(void **state)
{
    (void)state;
    struct ramet_txn *txn;
    struct ramet_map *map;
    put("m", "a", "1");
    assert_int_equal(ramet_begin(store, "main", RAMET_READ, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", 0, &map), 0);
    assert_int_equal(ramet_guard(map, text("a")), RAMET_ETXN);
    assert_int_equal(ramet_guard_range(map, text("a"), text("b")), RAMET_ETXN);
    ramet_abort(txn);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    map = map_of(txn, "m");
    assert_int_equal(ramet_guard(map, text("a")), 0);
    assert_int_equal(ramet_guard_range(map, text("a"), text("b")), 0);
    assert_int_equal(ramet_guard(map, text("")), -EINVAL);
    uint64_t before = head();
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    assert_int_equal(head(), before);
    txn = begin();
    map = map_of(txn, "m");
    assert_int_equal(ramet_guard(map, text("")), -EINVAL);
    assert_int_equal(ramet_guard(NULL, text("a")), -EINVAL);
    assert_int_equal(ramet_map_drop(txn, "m"), 0);
    assert_int_equal(ramet_guard(map, text("a")), RAMET_ENOTFOUND);
    assert_int_equal(ramet_guard_range(map, text("a"), text("b")), RAMET_ENOTFOUND);
    ramet_abort(txn);
}

/* ---- ranges and maps ------------------------------------------------------------------------- */

static void deletes_a_range_and_writes_into_it(void **state)
{
    (void)state;
    for (char key[2] = "a"; key[0] <= 'h'; key[0]++)
        put("m", key, "1");
    struct ramet_txn *x = begin();
    uint64_t n = 0;
    write_in(x, "m", "c", "before");
    assert_int_equal(ramet_del_range(map_of(x, "m"), text("b"), text("f"), &n), 0);
    assert_int_equal(n, 4);
    write_in(x, "m", "d", "after");
    put("m", "z", "9");
    lands(x);
    const char *keys[] = {"a", "b", "c", "d", "e", "f", "z"};
    const char *values[] = {"1", "-", "-", "after", "-", "1", "9"};
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(get("main", "m", keys[i]), values[i]);
}

static void two_may_create_one_map(void **state)
{
    (void)state;
    struct ramet_txn *x = begin(), *y = begin(), *z = begin();
    (void)map_of(x, "m");
    (void)map_of(y, "m");
    write_in(z, "m", "a", "z");
    lands(x);
    lands(y);
    lands(z);
    assert_string_equal(get("main", "m", "a"), "z");
    x = begin();
    y = begin();
    write_in(x, "n", "a", "x");
    write_in(y, "n", "a", "y");
    lands(x);
    conflicts(y, "map 'n', key 'a'");
}

static void a_map_that_is_created_stays_empty(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin();
    (void)map_of(x, "n");
    put("m", "a", "2");
    lands(x);
    assert_string_equal(get("main", "n", "a"), "-");
}

static void dropping_conflicts_with_any_change_inside(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin(), *y = begin(), *z = begin();
    assert_int_equal(ramet_map_drop(x, "m"), 0);
    assert_int_equal(ramet_map_drop(y, "m"), 0);
    write_in(z, "m", "b", "z");
    put("n", "a", "1");
    lands(x);
    assert_string_equal(get("main", "m", "a"), "?");
    conflicts(y, "map 'm': it was dropped");
    conflicts(z, "map 'm': it was dropped");
    put("m", "a", "1");
    x = begin();
    y = begin();
    assert_int_equal(ramet_map_drop(x, "m"), 0);
    assert_int_equal(ramet_map_drop(y, "m"), 0);
    (void)map_of(y, "m");
    put("m", "c", "1");
    conflicts(x, "map 'm', key 'c'");
    conflicts(y, "map 'm', key 'c'");
    assert_string_equal(get("main", "m", "a"), "1");
}

static void drops_and_makes_anew(void **state)
{
    (void)state;
    put("m", "a", "1");
    put("m", "b", "1");
    for (int moved = 0; moved < 2; moved++) {
        struct ramet_txn *x = begin();
        assert_int_equal(ramet_map_drop(x, "m"), 0);
        write_in(x, "m", "b", "x");
        if (moved)
            put("n", "a", "1");
        lands(x);
        assert_string_equal(get("main", "m", "a"), "-");
        assert_string_equal(get("main", "m", "b"), "x");
        put("m", "a", "1");
    }
}

static void made_and_dropped_again_is_nothing_but_noted(void **state)
{
    (void)state;
    put("n", "a", "1");
    struct ramet_txn *x = begin(), *y = begin();
    write_in(x, "m", "a", "x");
    write_in(y, "m", "a", "x");
    assert_int_equal(ramet_map_drop(x, "m"), 0);
    assert_int_equal(ramet_map_drop(y, "m"), 0);
    put("n", "a", "2");
    lands(x);
    assert_string_equal(get("main", "m", "a"), "?");
    put("m", "b", "1");
    conflicts(y, "map 'm': it was created");
}

static void a_guard_in_a_map_that_was_dropped_compares_keys(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin(), *y = begin(), *z = begin();
    assert_int_equal(ramet_guard(map_of(x, "m"), text("b")), 0);
    assert_int_equal(ramet_guard(map_of(y, "m"), text("a")), 0);
    assert_int_equal(ramet_guard_range(map_of(z, "m"), text(""), text("")), 0);
    write_in(x, "n", "a", "x");
    drop("m");
    lands(x); /* b was not there, and is not */
    conflicts(y, "map 'm', key 'a'");
    conflicts(z, "map 'm', key 'a'");
    assert_string_equal(get("main", "m", "a"), "?");
}

static int count_map(void *ctx, const struct ramet_map_info *info)
{
    (void)info;
    ++*(int *)ctx;
    return 0;
}

static void its_notes_are_not_seen_and_do_not_land(void **state)
{
    (void)state;
    int maps = 0;
    put("m", "a", "1");
    for (int moved = 0; moved < 2; moved++) {
        struct ramet_txn *x = begin();
        write_in(x, "m", "b", "x");
        assert_int_equal(ramet_guard_range(map_of(x, "m"), text("c"), text("d")), 0);
        maps = 0;
        assert_int_equal(ramet_map_list(x, count_map, &maps), 0);
        assert_int_equal(maps, 1);
        if (moved)
            put("m", "e", "1");
        lands(x);
        struct ramet_stat stat = {.size = sizeof(stat)};
        assert_int_equal(ramet_stat(store, &stat), 0);
        assert_int_equal(stat.data_bytes, 2 * stat.page_size); /* the root, and m */
    }
}

/* ---- as in any write transaction ------------------------------------------------------------- */

static void what_was_rolled_back_is_not_written(void **state)
{
    (void)state;
    put("m", "a", "1");
    for (int moved = 0; moved < 2; moved++) {
        uint32_t one, two, three;
        struct ramet_txn *x = begin();
        assert_int_equal(ramet_savepoint(x, &one), 0);
        write_in(x, "m", "b", "x");
        assert_int_equal(ramet_savepoint(x, &two), 0);
        write_in(x, "m", "c", "x");
        assert_int_equal(ramet_guard(map_of(x, "m"), text("d")), 0);
        assert_int_equal(ramet_savepoint(x, &three), 0);
        write_in(x, "m", "e", "x");
        assert_int_equal(ramet_del_range(map_of(x, "m"), text("f"), text("g"), NULL), 0);
        (void)map_of(x, "other");
        write_in(x, "other", "a", "x");
        assert_int_equal(ramet_rollback(x, three), 0);
        write_in(x, "m", "h", "x");
        assert_int_equal(ramet_rollback(x, two), 0);
        write_in(x, "m", "i", moved ? "y" : "x");
        if (moved) {
            for (const char *key = "cdefh"; *key; key++)
                put("m", (char[]){*key, '\0'}, "9");
            put("other", "a", "9");
        }
        lands(x);
        assert_string_equal(get("main", "m", "b"), "x");
        assert_string_equal(get("main", "m", "c"), moved ? "9" : "-");
        assert_string_equal(get("main", "m", "f"), moved ? "9" : "-");
        assert_string_equal(get("main", "m", "i"), moved ? "y" : "x");
        assert_string_equal(get("main", "other", "a"), moved ? "9" : "?");
        x = begin();
        assert_int_equal(ramet_savepoint(x, &one), 0);
        assert_int_equal(ramet_map_drop(x, "m"), 0);
        write_in(x, "m", "z", "x");
        assert_int_equal(ramet_rollback(x, one), 0);
        uint64_t before = head();
        lands(x); /* nothing is left of it */
        assert_int_equal(head(), before);
    }
}

static void what_was_rolled_back_to_is_still_written(void **state)
{
    (void)state;
    put("m", "a", "1");
    uint32_t one;
    struct ramet_txn *x = begin();
    write_in(x, "m", "b", "x");
    assert_int_equal(ramet_savepoint(x, &one), 0);
    write_in(x, "m", "b", "later");
    write_in(x, "m", "a", NULL);
    assert_int_equal(ramet_map_drop(x, "m"), 0);
    assert_int_equal(ramet_rollback(x, one), 0);
    put("m", "a", "2");
    assert_string_equal(get_in(x, "m", "b"), "x");
    lands(x);
    assert_string_equal(get("main", "m", "a"), "2");
    assert_string_equal(get("main", "m", "b"), "x");
    x = begin();
    write_in(x, "m", "b", "y");
    assert_int_equal(ramet_savepoint(x, &one), 0);
    assert_int_equal(ramet_rollback(x, one), 0);
    put("m", "b", "3");
    conflicts(x, "key 'b'");
}

static void reads_with_cursors_counts_and_many_at_once(void **state)
{
    (void)state;
    put("m", "b", "1");
    struct ramet_txn *x = begin();
    struct ramet_map *map = map_of(x, "m");
    struct ramet_cursor *c;
    struct ramet_slice key, value, outs[3], keys[] = {text("a"), text("b"), text("c")};
    uint64_t n;
    assert_int_equal(ramet_cursor_open(map, &c), 0);
    assert_int_equal(ramet_cursor_first(c), 0);
    write_in(x, "m", "a", "x");
    write_in(x, "m", "c", "x");
    assert_int_equal(ramet_cursor_next(c), 0);
    assert_int_equal(ramet_cursor_get(c, &key, &value), 0);
    assert_memory_equal(key.data, "c", 1);
    assert_int_equal(ramet_cursor_next(c), RAMET_ENOTFOUND);
    assert_int_equal(ramet_map_count(map, &n), 0);
    assert_int_equal(n, 3);
    assert_int_equal(ramet_count_range(map, text("b"), text(""), &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(ramet_get_many(map, 3, keys, outs), 0);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(outs[i].data, i == 1 ? "1" : "x", 1);
    assert_int_equal(ramet_refresh(x), RAMET_ETXN);
    ramet_cursor_close(c);
    put("m", "d", "1");
    lands(x);
}

static void large_values_land_and_are_compared(void **state)
{
    (void)state;
    enum { SIZE = 1000000 };
    char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    memset(bytes, 'x', SIZE);
    const struct ramet_slice value = {bytes, SIZE};
    for (int moved = 0; moved < 2; moved++) {
        struct ramet_txn *x = begin(), *y = begin(), *z = begin();
        struct ramet_slice found;
        assert_int_equal(ramet_put(map_of(x, "m"), text("a"), value, 0), 0);
        if (moved)
            put("m", "b", "1");
        lands(x);
        ramet_abort(y);
        ramet_abort(z);
        y = begin();
        z = begin();
        write_in(y, "m", "a", "y");
        write_in(z, "m", "a", "z");
        assert_int_equal(ramet_get(map_of(y, "m"), text("b"), &found), moved ? 0 : RAMET_ENOTFOUND);
        struct ramet_txn *same; /* in other pages */
        assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &same), 0);
        assert_int_equal(ramet_get(map_of(same, "m"), text("a"), &found), 0);
        assert_int_equal(found.size, SIZE);
        assert_memory_equal(found.data, bytes, SIZE);
        assert_int_equal(ramet_put(map_of(same, "m"), text("a"), value, 0), 0);
        assert_int_equal(ramet_commit(same, NULL, NULL), 0);
        lands(y);
        conflicts(z, "key 'a'");
    }
    free(bytes);
}

static void a_transaction_of_many_pages_lands(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    char key[16], value[64];
    put("m", "other", "1");
    for (int moved = 0; moved < 2; moved++) {
        uint64_t n = 0;
        uint32_t savepoint;
        struct ramet_txn *x = begin();
        struct ramet_map *map = map_of(x, "m");
        for (int i = 0; i < COUNT; i++) {
            (void)snprintf(key, sizeof(key), "k%06d", (int)((i * 7919LL) % COUNT));
            (void)snprintf(value, sizeof(value), "%s of %d", key, moved);
            assert_int_equal(ramet_put(map, text(key), text(value), 0), 0);
            if (i == COUNT / 2)
                assert_int_equal(ramet_savepoint(x, &savepoint), 0);
        }
        if (moved)
            put("m", "other", "2");
        lands(x);
        assert_string_equal(get("main", "m", "k001234"), moved ? "k001234 of 1" : "k001234 of 0");
        assert_int_equal(ramet_begin(store, "main", RAMET_READ, &x), 0);
        assert_int_equal(ramet_map_open(x, "m", 0, &map), 0);
        assert_int_equal(ramet_map_count(map, &n), 0);
        assert_int_equal(n, COUNT + 1);
        ramet_abort(x);
    }
}

static void keeps_what_it_commits(void **state)
{
    (void)state;
    const struct ramet_keep kept = {.size = sizeof(kept), .name = "v", .message = "why"};
    const struct ramet_keep again = {.size = sizeof(again), .name = "w"};
    put("m", "a", "1");
    struct ramet_txn *x = begin(), *y = begin(), *z = begin();
    uint64_t id = 0;
    write_in(x, "m", "x", "x");
    put("m", "b", "2");
    assert_int_equal(ramet_commit(x, &kept, &id), 0);
    assert_int_equal(id, head());
    assert_string_equal(get("main@v", "m", "b"), "2");
    assert_string_equal(get("main@v", "m", "x"), "x");
    write_in(y, "m", "y", "y");
    assert_int_equal(ramet_commit(y, &kept, NULL), -EEXIST);
    assert_string_equal(get("main", "m", "y"), "-");
    assert_int_equal(ramet_commit(z, &again, &id), 0); /* of what is there now */
    assert_string_equal(get("main@w", "m", "x"), "x");
    assert_int_equal(id, head());
    x = begin();
    write_in(x, "m", "x", "last");
    const struct ramet_keep unsized = {.name = "u"};
    assert_int_equal(ramet_commit(x, &unsized, NULL), -EINVAL);
    x = begin();
    write_in(x, "m", "x", "last");
    const struct ramet_keep third = {.size = sizeof(third), .name = "u"};
    assert_int_equal(ramet_commit(x, &third, NULL), 0); /* its head did not move */
    assert_string_equal(get("main@u", "m", "x"), "last");
}

static void nothing_written_is_nothing_committed(void **state)
{
    (void)state;
    put("m", "a", "1");
    uint64_t id = 0, before = head();
    struct ramet_txn *x = begin();
    assert_string_equal(get_in(x, "m", "a"), "1");
    put("m", "a", "2");
    assert_int_equal(ramet_commit(x, NULL, &id), 0);
    assert_int_equal(id, before); /* that it read */
    ramet_abort(begin());
}

static void differs_from_its_version_as_it_does(void **state)
{
    (void)state;
    put("m", "a", "1");
    struct ramet_txn *x = begin(), *now;
    struct ramet_diff *diff;
    struct ramet_change change = {.size = sizeof(change)};
    write_in(x, "m", "b", "x");
    assert_int_equal(ramet_begin(store, "main", RAMET_READ, &now), 0);
    assert_int_equal(ramet_diff_open(now, x, NULL, &diff), 0);
    assert_int_equal(ramet_diff_next(diff, &change), 0);
    assert_string_equal(change.map, "m");
    assert_int_equal(change.kind, RAMET_ADDED);
    assert_int_equal(ramet_diff_next(diff, &change), RAMET_ENOTFOUND);
    ramet_diff_close(diff);
    ramet_abort(now);
    put("m", "c", "1");
    lands(x);
    assert_string_equal(get("main", "m", "b"), "x");
}

/* ---- branches, locks ------------------------------------------------------------------------- */

static void a_branch_that_is_gone_is_not_found(void **state)
{
    (void)state;
    put("m", "a", "1");
    for (int anew = 0; anew < 2; anew++) {
        struct ramet_txn *x;
        assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
        assert_int_equal(ramet_begin(store, "b", RAMET_WRITE | RAMET_OPTIMISTIC, &x), 0);
        write_in(x, "m", "a", "x");
        assert_int_equal(ramet_branch_delete(store, "b"), 0);
        if (anew)
            assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
        assert_string_equal(get_in(x, "m", "a"), "x");
        assert_int_equal(ramet_commit(x, NULL, NULL), RAMET_ENOTFOUND);
        assert_non_null(strstr(ramet_errmsg(), "'b'"));
        if (anew)
            assert_string_equal(get("b", "m", "a"), "1");
    }
}

static void a_branch_that_was_reset_is_compared(void **state)
{
    (void)state;
    const struct ramet_keep kept = {.size = sizeof(kept), .name = "v"};
    put("m", "a", "1");
    put("m", "b", "1");
    assert_int_equal(ramet_snapshot_create(store, "main", &kept, NULL), 0);
    put("m", "a", "2");
    struct ramet_txn *x = begin(), *y = begin();
    write_in(x, "m", "a", "x");
    write_in(y, "m", "b", "y");
    assert_int_equal(ramet_branch_reset(store, "main", "main@v"), 0);
    conflicts(x, "key 'a'");
    lands(y);
    assert_string_equal(get("main", "m", "a"), "1");
    assert_string_equal(get("main", "m", "b"), "y");
    x = begin(); /* reset to what it began at */
    write_in(x, "m", "b", "x");
    put("m", "b", "3");
    put("m", "b", "y");
    lands(x);
    assert_string_equal(get("main", "m", "b"), "x");
}

static void a_merge_that_came_meanwhile_is_compared(void **state)
{
    (void)state;
    put("m", "a", "1");
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    put_on("b", "m", "a", "2");
    struct ramet_txn *x = begin(), *y = begin();
    write_in(x, "m", "a", "x");
    write_in(y, "m", "b", "y");
    assert_int_equal(ramet_merge(store, "main", "b", NULL, NULL), 0);
    conflicts(x, "key 'a'");
    lands(y);
    assert_string_equal(get("main", "m", "a"), "2");
}

static void it_holds_no_lock_until_it_commits(void **state)
{
    (void)state;
    struct ramet_txn *x = begin(), *w, *y;
    write_in(x, "m", "a", "x");
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE | RAMET_NOWAIT, &w), 0);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE | RAMET_OPTIMISTIC | RAMET_NOWAIT, &y),
                     0);
    write_in(y, "m", "b", "y");
    assert_int_equal(ramet_commit(x, NULL, NULL), -EDEADLK);
    assert_int_equal(ramet_commit(y, NULL, NULL), -EBUSY);
    write_in(w, "m", "c", "w");
    lands(w);
    assert_string_equal(get("main", "m", "a"), "-");
    assert_string_equal(get("main", "m", "b"), "-");
    assert_string_equal(get("main", "m", "c"), "w");
}

static void wrong_flags_and_refs_are_refused(void **state)
{
    (void)state;
    struct ramet_txn *x;
    const struct ramet_keep kept = {.size = sizeof(kept), .name = "v"};
    assert_int_equal(ramet_begin(store, "main", RAMET_OPTIMISTIC, &x), -EINVAL);
    assert_int_equal(ramet_begin(store, "main", 1 << 3, &x), -EINVAL);
    assert_int_equal(ramet_begin(store, "none", RAMET_WRITE | RAMET_OPTIMISTIC, &x),
                     RAMET_ENOTFOUND);
    put("m", "a", "1");
    assert_int_equal(ramet_snapshot_create(store, "main", &kept, NULL), 0);
    assert_int_equal(ramet_begin(store, "main@v", RAMET_WRITE | RAMET_OPTIMISTIC, &x), -EINVAL);
    struct ramet_stat stat = {.size = sizeof(stat)};
    assert_int_equal(ramet_stat(store, &stat), 0);
    assert_int_equal(stat.readers, 0); /* no slot was left behind */
    x = begin();
    assert_int_equal(ramet_stat(store, &stat), 0);
    assert_int_equal(stat.readers, 1);
    assert_int_equal(ramet_conflict_resolve(x, "m", text("a"), RAMET_RESOLVE_AS_IS), RAMET_ETXN);
    ramet_abort(x);
    (void)begin(); /* closing the store ends it */
}

static void *commit_there(void *txn)
{
    static int rc;
    rc = ramet_commit(txn, NULL, NULL);
    return &rc;
}

static void it_waits_for_the_writer_of_another_thread(void **state)
{
    (void)state;
    struct ramet_txn *x = begin(), *w;
    pthread_t thread;
    void *rc;
    write_in(x, "m", "a", "x");
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &w), 0);
    write_in(w, "m", "b", "w");
    assert_int_equal(pthread_create(&thread, NULL, commit_there, x), 0);
    assert_string_equal(get("main", "m", "a"), "?");
    lands(w);
    assert_int_equal(pthread_join(thread, &rc), 0);
    assert_int_equal(*(int *)rc, 0);
    assert_string_equal(get("main", "m", "a"), "x");
    assert_string_equal(get("main", "m", "b"), "w");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(sees_the_head_it_began_at_and_its_own_writes),
        CASE(lands_beside_others_and_not_on_them),
        CASE(conflicts_with_a_delete_and_its_delete_with_a_put),
        CASE(a_write_of_the_value_that_was_there_counts),
        CASE(deleting_what_is_not_there_counts),
        CASE(a_put_that_found_the_key_does_not_count),
        CASE(changed_and_changed_back_is_unchanged),
        CASE(the_message_shows_keys_that_are_not_text),
        CASE(guards_a_key_and_the_absence_of_one),
        CASE(a_guard_alone_is_checked_and_makes_no_version),
        CASE(a_guard_does_not_undo_a_write_nor_a_write_a_guard),
        CASE(guards_a_range_and_no_more),
        CASE(guards_are_for_write_transactions_and_nothing_in_an_ordinary_one),
        CASE(deletes_a_range_and_writes_into_it),
        CASE(two_may_create_one_map),
        CASE(a_map_that_is_created_stays_empty),
        CASE(dropping_conflicts_with_any_change_inside),
        CASE(drops_and_makes_anew),
        CASE(made_and_dropped_again_is_nothing_but_noted),
        CASE(a_guard_in_a_map_that_was_dropped_compares_keys),
        CASE(its_notes_are_not_seen_and_do_not_land),
        CASE(what_was_rolled_back_is_not_written),
        CASE(what_was_rolled_back_to_is_still_written),
        CASE(reads_with_cursors_counts_and_many_at_once),
        CASE(large_values_land_and_are_compared),
        CASE(a_transaction_of_many_pages_lands),
        CASE(keeps_what_it_commits),
        CASE(nothing_written_is_nothing_committed),
        CASE(differs_from_its_version_as_it_does),
        CASE(a_branch_that_is_gone_is_not_found),
        CASE(a_branch_that_was_reset_is_compared),
        CASE(a_merge_that_came_meanwhile_is_compared),
        CASE(it_holds_no_lock_until_it_commits),
        CASE(wrong_flags_and_refs_are_refused),
        CASE(it_waits_for_the_writer_of_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
