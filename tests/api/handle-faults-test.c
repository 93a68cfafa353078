/* SPDX-License-Identifier: MIT */
/*
 * handle-faults-test.c - ramet_handle_*() when allocations fail, one after the other, and when
 * there is no more memory for the store: each call fails by itself, the map is whole, and the next
 * one works.
 *
 * It is linked so that what the library calls of libc comes by here.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/faults.h"
#include "api/fixture.h"
#include "base/base.h"

#define KEYS 300u
#define LARGE 20000u /* bytes of a value that has pages of its own */

/* ---- faults ---------------------------------------------------------------------------------- */

static _Atomic bool full;

int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
    if (atomic_load(&full)) {
        errno = ENOSPC;
        return -1;
    }
    return __real_fallocate64(fd, mode, off, len);
}

/* ---- a map, and what is in it ---------------------------------------------------------------- */

static struct ramet_handle *h;
static uint32_t model[KEYS]; /* size of a key's value, which is made of the key; 0: it is absent */
static uint8_t bytes[LARGE + KEYS], buf[LARGE + KEYS];

static struct ramet_slice value_of(uint64_t key, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(key * 31 + size + i / 7);
    return (struct ramet_slice){bytes, size};
}

static void same_as_model(void)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        int64_t n = ramet_handle_get_u64(h, key, buf, sizeof(buf));
        if (!model[key]) {
            assert_int_equal(n, RAMET_ENOTFOUND);
            continue;
        }
        assert_int_equal(n, model[key]);
        assert_memory_equal(buf, value_of(key, model[key]).data, model[key]);
    }
}

static void set(uint64_t key, uint32_t size)
{
    MUST(ramet_handle_put_u64(h, key, value_of(key, size), 0));
    model[key] = size;
}

static int setup(void **state)
{
    (void)state;
    path[0] = '\0';
    memset(model, 0, sizeof(model));
    open_store(0);
    MUST(ramet_handle_open(store, NULL, "map", RAMET_CREATE, &h));
    for (uint64_t key = 0; key < KEYS; key++)
        set(key, key % 50 == 0 ? LARGE : 100 + (uint32_t)key);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)fail_no_more();
    atomic_store(&full, false);
    same_as_model();
    check();
    ramet_close(store);
    remove_store();
    return 0;
}

/* ---- one call, each of its allocations once -------------------------------------------------- */

/* What a call does to the store, and to the model if it succeeds. n: how often it was tried. */
typedef int (*call_fn)(uint64_t n);
typedef void (*done_fn)(uint64_t n);

/* One allocation fails; or two do: a call that has another way when the first one failed meets the
 * second one there. Returns how many allocations it makes, at most. */
static uint64_t fail_each(call_fn call, done_fn done, unsigned faults)
{
    bool all = true; /* that were to fail did */
    uint64_t n = 0;
    for (; all; n++) {
        if (faults == 1)
            fail_after(n);
        else
            fail_twice(0, n);
        int rc = call(n);
        unsigned failed = fail_no_more();
        all = failed == faults;
        if (rc != 0 && (rc != -ENOMEM || !failed))
            fail_msg("after %d allocations: %d: %s", (int)n, rc, ramet_errmsg());
        if (rc < 0) {
            assert_non_null(strstr(ramet_errmsg(), ramet_strerror(-ENOMEM)));
            same_as_model();
            MUST(call(n));
        }
        done(n);
        same_as_model();
        if (n % 8 == 0)
            check();
    }
    return n - 1;
}

static void with_faults(call_fn call, done_fn done, uint64_t least)
{
    uint64_t one = fail_each(call, done, 1), two = fail_each(call, done, 2);
    if (rmt_max(one, two) < least)
        fail_msg("it made %d allocations, or %d", (int)one, (int)two);
}

static uint32_t size_at(uint64_t n)
{
    return 1 + (uint32_t)(n * 37 % 900);
}

static uint32_t large_at(uint64_t n)
{
    return LARGE + (uint32_t)(n % KEYS);
}

static int put_one(uint64_t n)
{
    return ramet_handle_put_u64(h, n * 7 % KEYS, value_of(n * 7 % KEYS, size_at(n)), 0);
}

static void put_one_done(uint64_t n)
{
    model[n * 7 % KEYS] = size_at(n);
}

/* One key is set, and one that is not there deleted: never the short way of a single entry. */
static int put_pair(uint64_t n)
{
    unsigned char key_bytes[2][8];
    struct ramet_slice keys[] = {ramet_u64_key(n * 7 % KEYS, key_bytes[0]),
                                 ramet_u64_key(KEYS, key_bytes[1])};
    struct ramet_slice values[] = {value_of(n * 7 % KEYS, size_at(n)), {NULL, 0}};
    return ramet_handle_batch(h, 2, keys, values);
}

static int put_large(uint64_t n)
{
    return ramet_handle_put_u64(h, n % 10, value_of(n % 10, large_at(n)), 0);
}

static void put_large_done(uint64_t n)
{
    model[n % 10] = large_at(n);
}

static uint64_t first_there(void)
{
    uint64_t key = 0;
    while (key < KEYS && !model[key])
        key++;
    assert_true(key < KEYS);
    return key;
}

static int del_one(uint64_t n)
{
    (void)n;
    return ramet_handle_del_u64(h, first_there());
}

static void del_one_done(uint64_t n)
{
    (void)n;
    model[first_there()] = 0;
}

/* Half of the keys, in no order: set, or deleted. */
static int batch(uint64_t n)
{
    static uint8_t key_bytes[KEYS][8], value_bytes[KEYS][1000];
    struct ramet_slice keys[KEYS], values[KEYS];
    size_t count = 0;
    for (uint64_t i = n % 2; i < KEYS; i += 2, count++) {
        uint64_t key = i * 7 % KEYS;
        keys[count] = ramet_u64_key(key, key_bytes[count]);
        values[count] = (struct ramet_slice){NULL, 0};
        if (i % 5) {
            values[count] = value_of(key, size_at(n + i));
            memcpy(value_bytes[count], values[count].data, values[count].size);
            values[count].data = value_bytes[count];
        }
    }
    return ramet_handle_batch(h, count, keys, values);
}

static void batch_done(uint64_t n)
{
    for (uint64_t i = n % 2; i < KEYS; i += 2)
        model[i * 7 % KEYS] = i % 5 ? size_at(n + i) : 0;
}

static void a_put_without_memory_changes_nothing(void **state)
{
    (void)state;
    with_faults(put_one, put_one_done, 1);
    with_faults(put_pair, put_one_done, 3);
    with_faults(put_large, put_large_done, 3);
}

static void a_del_without_memory_changes_nothing(void **state)
{
    (void)state;
    with_faults(del_one, del_one_done, 1);
}

static void a_batch_without_memory_changes_nothing(void **state)
{
    (void)state;
    with_faults(batch, batch_done, 3);
}

/* Below a snapshot what is replaced goes to a deadlist, and to limbo, where a reader holds it. */
static void so_it_is_above_a_snapshot_and_a_reader(void **state)
{
    (void)state;
    struct ramet_keep keep = {.size = sizeof(keep), .name = "kept"};
    struct ramet_handle *holds;
    struct ramet_map *map;
    uint64_t count;
    MUST(ramet_handle_open(store, NULL, "map", 0, &holds));
    MUST(ramet_snapshot_create(store, "main", &keep, NULL));
    with_faults(put_one, put_one_done, 1);
    MUST(ramet_handle_hold(holds, &map));
    with_faults(batch, batch_done, 3);
    MUST(ramet_snapshot_delete(store, "main@kept"));
    with_faults(put_large, put_large_done, 3);
    MUST(ramet_map_count(map, &count));
    for (uint64_t key = 0; key < KEYS; key++)
        count -= ramet_handle_get_u64(holds, key, buf, sizeof(buf)) > 0;
    assert_int_equal(count, 0);
    ramet_handle_release(holds);
    with_faults(del_one, del_one_done, 1);
    ramet_handle_close(holds);
}

/* ---- opening, reading ------------------------------------------------------------------------ */

static int open_other(uint64_t n)
{
    char name[32];
    struct ramet_handle *other = NULL;
    (void)snprintf(name, sizeof(name), "map-%d", (int)n);
    int rc = ramet_handle_open(store, NULL, name, RAMET_CREATE, &other);
    if (rc == 0)
        rc = ramet_handle_put_u64(other, 1, value_of(1, 10), 0);
    else
        assert_null(other);
    ramet_handle_close(other);
    return rc;
}

static int open_again(uint64_t n)
{
    struct ramet_handle *other = NULL;
    int rc = ramet_handle_open(store, n % 2 ? "main" : NULL, "map", 0, &other);
    if (rc == 0)
        assert_int_equal(ramet_handle_get_u64(other, 3, buf, sizeof(buf)), model[3]);
    else
        assert_null(other);
    ramet_handle_close(other);
    return rc;
}

static void nothing_done(uint64_t n)
{
    (void)n;
}

static void opening_without_memory_leaves_nothing(void **state)
{
    (void)state;
    struct ramet_stat stat = {.size = sizeof(stat)};
    with_faults(open_again, nothing_done, 3);
    with_faults(open_other, nothing_done, 6);
    MUST(ramet_stat(store, &stat));
    assert_int_equal(stat.readers, 0);
}

/* What they allocate is to be faster, and they do without. */
static void gets_and_holds_need_no_memory(void **state)
{
    (void)state;
    struct ramet_handle *other;
    struct ramet_map *map;
    MUST(ramet_handle_open(store, NULL, "map", 0, &other));
    for (uint64_t i = 0; i < 40; i++) {
        set(50, LARGE + (uint32_t)i);
        set(3, size_at(i));
        if (i % 4 == 0) /* what the handle knows of commits to its map does not lead there */
            MUST(ramet_branch_create(store, i % 8 ? "a" : "b", "main"));
        if (i % 4 == 2)
            MUST(ramet_branch_delete(store, i % 8 == 6 ? "a" : "b"));
        fail_after(0);
        assert_int_equal(ramet_handle_get_u64(other, 3, buf, sizeof(buf)), size_at(i));
        assert_int_equal(ramet_handle_get_u64(other, 50, buf, sizeof(buf)), model[50]);
        MUST(ramet_handle_hold(other, &map));
        assert_int_equal(ramet_handle_get_u64(other, 50, buf, 100), model[50]);
        ramet_handle_release(other);
        (void)fail_no_more();
    }
    ramet_handle_close(other);
}

/* What ramet_get() puts together belongs to the version, and is freed with it. */
static void a_large_value_of_a_held_version(void **state)
{
    (void)state;
    struct ramet_map *map;
    struct ramet_slice value;
    struct ramet_cursor *c;
    unsigned char key[8];
    for (uint64_t n = 0; n < 6; n++) {
        MUST(ramet_handle_hold(h, &map));
        fail_after(n);
        int rc = ramet_get(map, ramet_u64_key(100, key), &value);
        if (rc == 0) {
            rc = ramet_cursor_open(map, &c);
            if (rc == 0)
                ramet_cursor_close(c);
        }
        unsigned failed = fail_no_more();
        assert_true(rc == 0 || (rc == -ENOMEM && failed));
        MUST(ramet_get(map, ramet_u64_key(100, key), &value));
        assert_int_equal(value.size, LARGE);
        assert_memory_equal(value.data, value_of(100, LARGE).data, LARGE);
        ramet_handle_release(h);
    }
}

/* ---- in company ------------------------------------------------------------------------------ */

static _Atomic bool stop;
static _Atomic uint64_t others;
static _Atomic int other_failed;

/* Its own keys are those from KEYS on. A commit that is written together with one that fails may
 * fail with it. */
static void *write_as_well(void *arg)
{
    struct ramet_handle *other = arg;
    while (!atomic_load(&stop)) {
        uint64_t key = KEYS + atomic_load(&others) % 5;
        int rc = ramet_handle_put_u64(other, key, (struct ramet_slice){"x", 1}, 0);
        if (rc != 0 && rc != -ENOMEM) {
            atomic_store(&other_failed, rc);
            break;
        }
        atomic_fetch_add(&others, rc == 0);
    }
    return NULL;
}

/* In a file, where commits wait for one flush together. Returns RAMET_EPOISONED if that came of it,
 * or 0. */
static int in_company(const char *branch)
{
    struct ramet_handle *other;
    pthread_t thread;
    int rc = 0;
    ramet_close(store);
    (void)snprintf(path, sizeof(path), "handle-faults-test-%d.ramet", (int)getpid());
    remove_store();
    MUST(ramet_open(path, NULL, &store));
    MUST(ramet_handle_open(store, NULL, "map", RAMET_CREATE, &h));
    memset(model, 0, sizeof(model));
    if (strcmp(branch, "main") != 0)
        MUST(ramet_branch_create(store, branch, "main"));
    MUST(ramet_handle_open(store, branch, "map", 0, &other));
    atomic_store(&stop, false);
    atomic_store(&others, 0);
    atomic_store(&other_failed, 0);
    assert_int_equal(pthread_create(&thread, NULL, write_as_well, other), 0);
    for (uint64_t n = 0; n < 60 && rc != RAMET_EPOISONED; n++) {
        fail_after(n % 30);
        rc = put_one(n);
        bool failed = fail_no_more();
        if (rc == 0)
            put_one_done(n);
        else if (rc != RAMET_EPOISONED && (rc != -ENOMEM || !failed))
            fail_msg("after %d allocations: %d: %s", (int)n % 30, rc, ramet_errmsg());
        same_as_model();
    }
    for (uint64_t before = atomic_load(&others);
         atomic_load(&others) < before + 3 && !atomic_load(&other_failed);)
        (void)usleep(1000);
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    if (rc != RAMET_EPOISONED)
        rc = atomic_load(&other_failed);
    assert_true(rc == 0 || rc == RAMET_EPOISONED);
    if (atomic_load(&others))
        assert_int_equal(ramet_handle_get_u64(other, KEYS, buf, sizeof(buf)), 1);
    return rc;
}

static void commits_of_other_branches_go_on(void **state)
{
    (void)state;
    assert_int_equal(in_company("side"), 0);
}

/* Who began at a commit that then could not be written reads pages that are free: the store is
 * poisoned, and has all that was acknowledged when it is opened anew. */
static void so_do_those_of_the_same_branch_or_all_is_kept(void **state)
{
    (void)state;
    if (in_company("main") == 0)
        return;
    ramet_close(store);
    MUST(ramet_open(path, NULL, &store));
    MUST(ramet_handle_open(store, NULL, "map", 0, &h));
    same_as_model();
    set(3, 3);
}

/* ---- a full memory --------------------------------------------------------------------------- */

#define FILLED 60u

static int fill(uint64_t n)
{
    return ramet_handle_put_u64(h, n % FILLED, value_of(n % FILLED, large_at(n)), 0);
}

static void fill_done(uint64_t n)
{
    model[n % FILLED] = large_at(n);
}

static void a_full_memory_is_said_and_reading_goes_on(void **state)
{
    (void)state;
    struct ramet_handle *holds;
    struct ramet_map *map;
    uint64_t n = 0;
    int rc;
    for (; n < FILLED; n++) {
        MUST(fill(n));
        fill_done(n);
    }
    MUST(ramet_handle_open(store, NULL, "map", 0, &holds));
    MUST(ramet_handle_hold(holds, &map));
    atomic_store(&full, true);
    while ((rc = fill(n)) == 0) {
        fill_done(n++);
        assert_true(n < 2 * FILLED); /* it holds all that was replaced so far */
    }
    assert_int_equal(rc, -ENOSPC);
    assert_non_null(strstr(ramet_errmsg(), ramet_strerror(-ENOSPC)));
    same_as_model();
    for (uint64_t key = 0; key < FILLED; key++)
        assert_int_equal(ramet_handle_get_u64(holds, key, buf, sizeof(buf)), large_at(key));
    check();
    for (int i = 0; i < 20; i++) /* and again, as often as it is tried */
        assert_int_equal(fill(n), -ENOSPC);
    assert_int_equal(batch(0), -ENOSPC);
    same_as_model();
    ramet_handle_release(holds); /* what it held is room again */
    for (uint64_t end = n + 2000; n < end; n++) {
        MUST(fill(n));
        fill_done(n);
    }
    atomic_store(&full, false);
    ramet_handle_close(holds);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_put_without_memory_changes_nothing),
        CASE(a_del_without_memory_changes_nothing),
        CASE(a_batch_without_memory_changes_nothing),
        CASE(so_it_is_above_a_snapshot_and_a_reader),
        CASE(opening_without_memory_leaves_nothing),
        CASE(gets_and_holds_need_no_memory),
        CASE(a_large_value_of_a_held_version),
        CASE(commits_of_other_branches_go_on),
        CASE(so_do_those_of_the_same_branch_or_all_is_kept),
        CASE(a_full_memory_is_said_and_reading_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
