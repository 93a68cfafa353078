/* SPDX-License-Identifier: MIT */
/* space-test.c - ramet_copy() and ramet_compact() while others write. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <ramet.h>

static char folder[64];

static struct ramet_slice text(const char *s)
{
    struct ramet_slice slice = {s, strlen(s)};
    return slice;
}

static struct ramet_store *open_store(const char *path)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    struct ramet_store *store = NULL;
    assert_int_equal(ramet_open(path, &options, &store), 0);
    return store;
}

/* Sets both keys to one value, beside others that make pages move. */
static void write_both(struct ramet_store *store, unsigned n)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    char value[32], key[32];
    (void)snprintf(value, sizeof(value), "%u", n);
    assert_int_equal(ramet_begin(store, NULL, RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", RAMET_CREATE, &map), 0);
    assert_int_equal(ramet_put(map, text("a"), text(value), 0), 0);
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof(key), "k%08x", (n * 50 + i) * 2654435761u % 20000);
        assert_int_equal(ramet_put(map, text(key), text(value), 0), 0);
    }
    assert_int_equal(ramet_put(map, text("z"), text(value), 0), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
}

static void has_both(struct ramet_store *store)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_slice a, z;
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), 0);
    assert_int_equal(ramet_begin(store, NULL, RAMET_READ, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", 0, &map), 0);
    assert_int_equal(ramet_get(map, text("a"), &a), 0);
    assert_int_equal(ramet_get(map, text("z"), &z), 0);
    assert_int_equal(a.size, z.size);
    assert_memory_equal(a.data, z.data, a.size);
    ramet_abort(txn);
}

struct writing {
    struct ramet_store *store;
    atomic_bool stop;
};

static void *write_on(void *ctx)
{
    struct writing *w = ctx;
    for (unsigned n = 1000; !atomic_load(&w->stop); n++)
        write_both(w->store, n);
    return NULL;
}

static void copies_while_others_write(const char *path)
{
    struct writing w = {.store = open_store(path)};
    char copy[128];
    pthread_t writer;
    for (unsigned n = 0; n < 100; n++)
        write_both(w.store, n);
    assert_int_equal(pthread_create(&writer, NULL, write_on, &w), 0);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(copy, sizeof(copy), "%s/copy%d", folder, i);
        assert_int_equal(ramet_copy(w.store, copy, NULL, NULL), 0);
        assert_int_equal(ramet_compact(w.store, NULL, NULL), 0);
        struct ramet_store *other = open_store(copy);
        has_both(other);
        ramet_close(other);
        assert_int_equal(unlink(copy), 0);
        (void)strcat(copy, "-lock");
        assert_int_equal(unlink(copy), 0);
    }
    atomic_store(&w.stop, true);
    assert_int_equal(pthread_join(writer, NULL), 0);
    has_both(w.store);
    ramet_close(w.store);
}

static void copies_a_file_while_others_write(void **state)
{
    char path[128];
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/store", folder);
    copies_while_others_write(path);
    assert_int_equal(unlink(path), 0);
    (void)strcat(path, "-lock");
    assert_int_equal(unlink(path), 0);
}

static void copies_memory_while_others_write(void **state)
{
    (void)state;
    copies_while_others_write(NULL);
}

static int cancel(void *ctx, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    ++*(unsigned *)ctx;
    return 1;
}

/* rmdir() at the end sees that nothing is left. */
static void what_is_cancelled_leaves_nothing(void **state)
{
    char copy[128];
    unsigned calls = 0;
    (void)state;
    struct ramet_store *store = open_store(NULL);
    for (unsigned n = 0; n < 100; n++)
        write_both(store, n);
    (void)snprintf(copy, sizeof(copy), "%s/copy", folder);
    assert_int_equal(ramet_copy(store, copy, cancel, &calls), -ECANCELED);
    assert_int_equal(calls, 1);
    assert_int_equal(access(copy, F_OK), -1);
    assert_int_equal(ramet_compact(store, cancel, &calls), -ECANCELED);
    assert_int_equal(calls, 2);
    has_both(store);
    ramet_close(store);
}

static void refuses_wrong_arguments(void **state)
{
    (void)state;
    struct ramet_store *store = open_store(NULL);
    assert_int_equal(ramet_copy(NULL, "x", NULL, NULL), -EINVAL);
    assert_int_equal(ramet_copy(store, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(ramet_copy(store, "", NULL, NULL), -EINVAL);
    assert_int_equal(ramet_copy(store, folder, NULL, NULL), -EEXIST);
    assert_int_equal(ramet_compact(NULL, NULL, NULL), -EINVAL);
    ramet_close(store);
}

static int setup(void **state)
{
    const char *where = getenv("TMPDIR");
    (void)state;
    (void)snprintf(folder, sizeof(folder), "%s/ramet-space.XXXXXX", where ? where : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_a_file_while_others_write),
        cmocka_unit_test(copies_memory_while_others_write),
        cmocka_unit_test(what_is_cancelled_leaves_nothing),
        cmocka_unit_test(refuses_wrong_arguments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
