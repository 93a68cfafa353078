/* SPDX-License-Identifier: MIT */
/* full-test.c - a disk that is full: what can still be done, and that all comes back afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "io/sim.h"
#include "store/store.h"

#define CAPACITY ((uint64_t)4 << 20)

static struct rmt_sim *sim;
static struct ramet_store *store;

static void open_store(void)
{
    struct ramet_options options = {.size = sizeof(options)};
    struct rmt_io *io = NULL;
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    if (rmt_store_open_io(io, &options, &store) != 0)
        fail_msg("%s", ramet_errmsg());
}

static int setup(void **state)
{
    (void)state;
    sim = rmt_sim_new(1, CAPACITY);
    open_store();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ramet_close(store);
    rmt_sim_free(sim);
    return 0;
}

#define assert_ok(call)                                         \
    do {                                                        \
        int rc_ = (call);                                       \
        if (rc_ != 0)                                           \
            fail_msg("%s: %d: %s", #call, rc_, ramet_errmsg()); \
    } while (0)

static struct ramet_slice key_of(unsigned n, char buf[16])
{
    int len = snprintf(buf, 16, "%08u", n);
    return rmt_slice(buf, (size_t)len);
}

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", problem);
}

static void check(void)
{
    assert_ok(ramet_check(store, 0, report, NULL, NULL));
}

/* One commit of count keys. Returns -ENOSPC, or 0; a commit whose writes succeeded succeeds. */
static int put_some(const char *branch, unsigned first, unsigned count, size_t value_size)
{
    static const uint8_t value[100000];
    struct ramet_txn *txn = NULL;
    struct ramet_map *map = NULL;
    char buf[16];
    int rc = ramet_begin(store, branch, RAMET_WRITE, &txn);
    if (rc == -ENOSPC)
        return rc;
    assert_ok(rc);
    rc = ramet_map_open(txn, "m", RAMET_CREATE, &map);
    for (unsigned i = 0; i < count && rc == 0; i++)
        rc = ramet_put(map, key_of(first + i, buf), rmt_slice(value, value_size), 0);
    if (rc < 0) {
        assert_int_equal(rc, -ENOSPC);
        ramet_abort(txn);
        return rc;
    }
    assert_ok(ramet_commit(txn, NULL, NULL));
    return 0;
}

/* Fills the disk; returns how many keys there are. */
static unsigned fill(unsigned first, unsigned each, size_t value_size)
{
    while (put_some("main", first, each, value_size) == 0)
        first += each;
    while (put_some("main", first, 1, value_size) == 0)
        first++;
    return first;
}

static uint64_t count_keys(const char *ref)
{
    struct ramet_txn *txn = NULL;
    struct ramet_map *map = NULL;
    uint64_t count = 0;
    assert_ok(ramet_begin(store, ref, RAMET_READ, &txn));
    assert_ok(ramet_map_open(txn, "m", 0, &map));
    assert_ok(ramet_map_count(map, &count));
    ramet_abort(txn);
    return count;
}

static void del_some(const char *branch, unsigned first, unsigned count)
{
    struct ramet_txn *txn = NULL;
    struct ramet_map *map = NULL;
    char buf[16];
    assert_ok(ramet_begin(store, branch, RAMET_WRITE, &txn));
    assert_ok(ramet_map_open(txn, "m", 0, &map));
    for (unsigned i = 0; i < count; i++)
        assert_ok(ramet_del(map, key_of(first + i, buf)));
    assert_ok(ramet_commit(txn, NULL, NULL));
}

static void loses_nothing_and_reports_by_the_write(void **state)
{
    (void)state;
    unsigned count = fill(0, 100, 500);
    assert_true(count > 1000);
    assert_int_equal(count_keys("main"), count);
    check();
    for (int i = 0; i < 50; i++) /* again and again: nothing leaks */
        assert_int_equal(put_some("main", count, 500, 500), -ENOSPC);
    check();
    ramet_close(store);
    open_store();
    assert_int_equal(count_keys("main"), count);
    check();
}

static void deletes_one_by_one(void **state)
{
    (void)state;
    unsigned count = fill(0, 100, 500);
    for (unsigned i = 0; i < 200; i++)
        del_some("main", i, 1);
    check();
    del_some("main", 200, count - 200);
    assert_int_equal(count_keys("main"), 0);
    check();
    unsigned again = fill(0, 100, 500);
    assert_true(again > count / 10 * 8); /* and there is room again */
    check();
}

static void deletes_a_range(void **state)
{
    (void)state;
    struct ramet_txn *txn = NULL;
    struct ramet_map *map = NULL;
    uint64_t deleted = 0;
    unsigned count = fill(0, 20, 20000);
    assert_ok(ramet_begin(store, "main", RAMET_WRITE, &txn));
    assert_ok(ramet_map_open(txn, "m", 0, &map));
    assert_ok(ramet_del_range(map, rmt_slice(NULL, 0), rmt_slice(NULL, 0), &deleted));
    assert_ok(ramet_commit(txn, NULL, NULL));
    assert_int_equal(deleted, count);
    check();
    assert_true(fill(0, 20, 20000) > count / 10 * 8);
    check();
}

static void drops_a_map(void **state)
{
    (void)state;
    struct ramet_txn *txn = NULL;
    unsigned count = fill(0, 100, 500);
    assert_ok(ramet_begin(store, "main", RAMET_WRITE, &txn));
    assert_ok(ramet_map_drop(txn, "m"));
    assert_ok(ramet_commit(txn, NULL, NULL));
    check();
    assert_true(fill(0, 100, 500) > count / 10 * 8);
}

static void drops_branches_and_snapshots(void **state)
{
    (void)state;
    struct ramet_keep keep = {.size = sizeof(keep), .name = "kept"};
    assert_int_equal(put_some("main", 0, 1000, 500), 0);
    assert_ok(ramet_snapshot_create(store, "main", &keep, NULL));
    assert_ok(ramet_branch_create(store, "other", NULL));
    assert_int_equal(put_some("other", 1000, 1000, 500), 0);
    unsigned count = fill(0, 100, 500); /* writes the shared keys anew, first of all */
    check();
    assert_ok(ramet_branch_delete(store, "other"));
    check();
    assert_ok(ramet_snapshot_delete(store, "main@kept"));
    check();
    assert_ok(ramet_reclaim(store, 0, NULL));
    assert_true(fill(count, 100, 500) >= count + 1000);
    check();
}

static void goes_back_to_a_snapshot(void **state)
{
    (void)state;
    struct ramet_keep keep = {.size = sizeof(keep), .name = "kept"};
    assert_int_equal(put_some("main", 0, 500, 500), 0);
    assert_ok(ramet_snapshot_create(store, "main", &keep, NULL));
    unsigned count = fill(500, 100, 500);
    assert_ok(ramet_branch_reset(store, "main", "main@kept"));
    assert_int_equal(count_keys("main"), 500);
    check();
    assert_ok(ramet_reclaim(store, 0, NULL));
    assert_true(fill(500, 100, 500) > count / 10 * 8);
}

/* Copies a blob until there is no room for a copy more. Returns how many there are. */
static unsigned copy_blobs(uint64_t bytes)
{
    for (unsigned i = 0;; i++) {
        char name[16];
        struct ramet_txn *txn = NULL;
        struct ramet_blob *from = NULL, *to = NULL;
        (void)snprintf(name, sizeof(name), "copy%u", i);
        int64_t rc = ramet_begin(store, "main", RAMET_WRITE, &txn);
        if (rc == 0) {
            assert_ok(ramet_blob_open(txn, "blob", 0, &from));
            rc = ramet_blob_open(txn, name, RAMET_CREATE, &to);
        }
        if (rc == 0)
            rc = ramet_blob_copy(from, 0, to, 0, bytes);
        if (rc == (int64_t)bytes) {
            assert_ok(ramet_commit(txn, NULL, NULL)); /* a full disk was met before */
            continue;
        }
        assert_int_equal(rc, -ENOSPC);
        ramet_abort(txn);
        return i;
    }
}

static void copies_blobs_and_drops_them(void **state)
{
    (void)state;
    static uint8_t bytes[(size_t)1 << 20];
    unsigned copies[2];
    for (int turn = 0; turn < 2; turn++) {
        struct ramet_txn *txn = NULL;
        struct ramet_blob *blob = NULL;
        assert_ok(ramet_begin(store, "main", RAMET_WRITE, &txn));
        assert_ok(ramet_blob_open(txn, "blob", RAMET_CREATE, &blob));
        memset(bytes, 1 + turn, sizeof(bytes));
        assert_ok(ramet_blob_write(blob, 0, bytes, sizeof(bytes)));
        assert_ok(ramet_commit(txn, NULL, NULL));
        copies[turn] = copy_blobs(sizeof(bytes));
        check();
        for (unsigned i = 0; i <= copies[turn]; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), i ? "copy%u" : "blob", i - 1);
            assert_ok(ramet_begin(store, "main", RAMET_WRITE, &txn));
            assert_ok(ramet_blob_drop(txn, name));
            assert_ok(ramet_commit(txn, NULL, NULL));
        }
        check();
    }
    assert_true(copies[0] > 100);
    assert_true(copies[1] > copies[0] / 10 * 8);
}

/* Nothing can be freed while a reader needs it; still nothing breaks, and it all comes back. */
static void waits_for_a_reader(void **state)
{
    (void)state;
    struct ramet_txn *reader = NULL;
    unsigned count = fill(0, 100, 500);
    assert_ok(ramet_begin(store, "main", RAMET_READ, &reader));
    del_some("main", 0, count / 2);
    int rc = put_some("main", 0, count / 3, 500);
    assert_true(rc == 0 || rc == -ENOSPC);
    check();
    struct ramet_map *map = NULL;
    uint64_t seen = 0;
    assert_ok(ramet_map_open(reader, "m", 0, &map));
    assert_ok(ramet_map_count(map, &seen));
    assert_int_equal(seen, count);
    ramet_abort(reader);
    for (int i = 0; i < 3; i++)
        assert_int_equal(put_some("main", 0, 1, 500), 0);
    assert_int_equal(put_some("main", 0, count / 3, 500), 0);
    check();
}

static void grows_when_there_is_more(void **state)
{
    (void)state;
    unsigned count = fill(0, 100, 500);
    rmt_sim_set_capacity(sim, CAPACITY * 2);
    assert_int_equal(put_some("main", count, 500, 500), 0);
    assert_true(fill(count + 500, 100, 500) > count / 10 * 15);
    check();
}

/* A value that is made longer by parts of 20000 bytes; those that succeed are there. Returns how
 * many did. */
static unsigned lengthen(const char *branch, unsigned first, bool savepoints)
{
    static uint8_t part[20000];
    struct ramet_txn *txn = NULL;
    struct ramet_map *map = NULL;
    const struct ramet_slice key = {"large", 5};
    unsigned count = first;
    int rc;
    assert_ok(ramet_begin(store, branch, RAMET_WRITE, &txn));
    assert_ok(ramet_map_open(txn, "values", RAMET_CREATE, &map));
    if (!first)
        assert_ok(ramet_put(map, key, rmt_slice("", 0), 0));
    for (;; count++) {
        uint32_t savepoint = 0;
        memset(part, (int)count + 1, sizeof(part));
        if (savepoints)
            assert_ok(ramet_savepoint(txn, &savepoint));
        rc = ramet_write(map, key, (uint64_t)count * sizeof(part), part, sizeof(part));
        if (rc < 0) {
            assert_int_equal(rc, -ENOSPC);
            if (savepoints)
                assert_ok(ramet_rollback(txn, savepoint));
            break;
        }
    }
    assert_ok(ramet_commit(txn, NULL, NULL)); /* what was written has its room */
    return count;
}

static void has_parts(const char *branch, unsigned count, bool exactly)
{
    static uint8_t part[20000], want[20000];
    struct ramet_txn *txn = NULL;
    struct ramet_map *map = NULL;
    const struct ramet_slice key = {"large", 5};
    uint64_t size = 0;
    assert_ok(ramet_begin(store, branch, RAMET_READ, &txn));
    assert_ok(ramet_map_open(txn, "values", 0, &map));
    for (unsigned i = 0; i < count; i++) {
        memset(want, (int)i + 1, sizeof(want));
        assert_int_equal(
            ramet_read(map, key, (uint64_t)i * sizeof(part), part, sizeof(part), &size),
            sizeof(part));
        assert_memory_equal(part, want, sizeof(part));
    }
    assert_true(size >= (uint64_t)count * sizeof(part));
    assert_true(!exactly || size == (uint64_t)count * sizeof(part));
    ramet_abort(txn);
}

static void drop_map(const char *name)
{
    struct ramet_txn *txn = NULL;
    assert_ok(ramet_begin(store, "main", RAMET_WRITE, &txn));
    assert_ok(ramet_map_drop(txn, name));
    assert_ok(ramet_commit(txn, NULL, NULL));
}

static void a_value_that_is_written_in_parts_meets_it_in_a_write(void **state)
{
    (void)state;
    for (uint32_t pages = 3; pages <= 64; pages += 61) {
        store->pages.part_pages = pages;
        unsigned keys = fill(0, 100, 500), first, second;
        for (unsigned i = 0; i + 15 < keys; i += 30)
            del_some("main", i, 15); /* what is free is scattered */
        first = lengthen("main", 0, true);
        assert_true(first > 20);
        has_parts("main", first, true);
        check();
        drop_map("m");
        for (int i = 0; i < 3; i++)
            assert_int_equal(put_some("main", 0, 1, 500), 0);
        assert_ok(ramet_branch_create(store, "b", "main"));
        second = lengthen("b", first, false);
        assert_true(second > first);
        has_parts("b", second, false);
        has_parts("main", first, true);
        check();
        assert_ok(ramet_branch_delete(store, "b"));
        drop_map("values");
        drop_map("m");
        assert_ok(ramet_reclaim(store, 0, NULL));
        check();
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(loses_nothing_and_reports_by_the_write),
        TEST(deletes_one_by_one),
        TEST(deletes_a_range),
        TEST(drops_a_map),
        TEST(drops_branches_and_snapshots),
        TEST(goes_back_to_a_snapshot),
        TEST(copies_blobs_and_drops_them),
        TEST(waits_for_a_reader),
        TEST(grows_when_there_is_more),
        TEST(a_value_that_is_written_in_parts_meets_it_in_a_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
