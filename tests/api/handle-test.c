/* SPDX-License-Identifier: MIT */
/*
 * handle-test.c - maps in one call each, by many threads: every get sees what it must, versions
 * that are held stay as they are, and threads that end in the middle leave nothing behind. What
 * many threads are answered at once is judged in handle-linear-test.c.
 *
 *   --seed=N --only=NAME --count=N (threads that add up versions) --dir=FOLDER
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ramet.h>

#include "api/args.h"
#include "base/base.h"

static struct args args = {.count = 3};
static char path[256]; /* for stores in a file */

static struct ramet_store *new_store(void)
{
    struct ramet_store *store;
    must(ramet_open(NULL, NULL, &store));
    return store;
}

static struct ramet_handle *new_handle(struct ramet_store *store)
{
    struct ramet_handle *h;
    must(ramet_handle_open(store, NULL, "map", RAMET_CREATE, &h));
    return h;
}

static void put(struct ramet_handle *h, uint64_t key, uint64_t number)
{
    must(ramet_handle_put_u64(h, key, (struct ramet_slice){&number, sizeof(number)}, 0));
}

/* UINT64_MAX: it is not there. */
static uint64_t get(struct ramet_handle *h, uint64_t key)
{
    uint64_t number = 0;
    int64_t n = ramet_handle_get_u64(h, key, &number, sizeof(number));
    if (n == RAMET_ENOTFOUND)
        return UINT64_MAX;
    if (n < 0)
        must((int)n);
    want(n == sizeof(number));
    return number;
}

static struct ramet_stat stat_of(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat;
}

static struct ramet_slice text(const char *s)
{
    return (struct ramet_slice){s, strlen(s)};
}

static void start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    if (pthread_create(thread, NULL, fn, arg) != 0)
        fatal("no thread");
}

/* ---- one thread ------------------------------------------------------------------------------ */

static void does_what_it_says(void)
{
    struct ramet_store *store = new_store();
    struct ramet_handle *a, *b;
    char buf[8];
    want(ramet_handle_open(store, NULL, "map", 0, &a) == RAMET_ENOTFOUND);
    want(ramet_handle_open(store, "nowhere", "map", RAMET_CREATE, &a) == RAMET_ENOTFOUND);
    want(ramet_handle_open(store, NULL, "", RAMET_CREATE, &a) == -EINVAL);
    want(ramet_handle_open(store, NULL, "map", RAMET_WRITE | RAMET_NOWAIT, &a) == -EINVAL);
    a = new_handle(store);
    must(ramet_handle_open(store, "main", "map", 0, &b));
    want(ramet_handle_get(a, text("k"), buf, sizeof(buf)) == RAMET_ENOTFOUND);
    must(ramet_handle_put(a, text("k"), text("value"), 0));
    want(ramet_handle_get(b, text("k"), buf, sizeof(buf)) == 5 && memcmp(buf, "value", 5) == 0);
    want(ramet_handle_get(b, text("k"), buf, 2) == 5 &&
         ramet_handle_get(b, text("k"), NULL, 0) == 5);
    want(ramet_handle_put(b, text("k"), text("x"), RAMET_NOOVERWRITE) == -EEXIST);
    must(ramet_handle_put(b, text("empty"), (struct ramet_slice){NULL, 0}, 0));
    want(ramet_handle_get(a, text("empty"), buf, sizeof(buf)) == 0);
    want(ramet_handle_put(b, text(""), text("x"), 0) == -EINVAL);
    want(ramet_handle_get(b, text(""), buf, sizeof(buf)) == -EINVAL);
    want(ramet_handle_put(b, text("k"), (struct ramet_slice){NULL, 3}, 0) == -EINVAL);
    must(ramet_handle_del(a, text("k")));
    want(ramet_handle_del(b, text("k")) == RAMET_ENOTFOUND);
    want(ramet_handle_get(b, text("k"), buf, sizeof(buf)) == RAMET_ENOTFOUND);
    want(ramet_handle_get(b, text("empty"), NULL, 0) == 0);
    ramet_handle_close(a);
    ramet_close(store); /* and with it b */
}

static void large_values_are_copied_in_part(void)
{
    enum { SIZE = 300000 };
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store);
    char *value = malloc(SIZE), *buf = malloc(SIZE);
    want(value && buf);
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (char)(i * 7 + i / 4096);
    must(ramet_handle_put(h, text("large"), (struct ramet_slice){value, SIZE}, 0));
    want(ramet_handle_get(h, text("large"), buf, 5000) == SIZE && memcmp(buf, value, 5000) == 0);
    want(ramet_handle_get(h, text("large"), buf, SIZE) == SIZE && memcmp(buf, value, SIZE) == 0);
    free(value);
    free(buf);
    ramet_close(store);
}

static void numbers_are_in_order(void)
{
    static const uint64_t numbers[] = {0, 1, 255, 256, 65536, (uint64_t)1 << 40, UINT64_MAX};
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store);
    struct ramet_map *map;
    struct ramet_cursor *c;
    struct ramet_slice key;
    unsigned char bytes[8];
    for (size_t i = sizeof(numbers) / sizeof(numbers[0]); i-- > 0;)
        put(h, numbers[i], i);
    must(ramet_handle_hold(h, &map));
    must(ramet_cursor_open(map, &c));
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        must(ramet_cursor_next(c));
        must(ramet_cursor_get(c, &key, NULL));
        want(key.size == 8 && memcmp(key.data, ramet_u64_key(numbers[i], bytes).data, 8) == 0);
    }
    want(ramet_cursor_next(c) == RAMET_ENOTFOUND);
    ramet_handle_release(h);
    must(ramet_handle_del_u64(h, 255));
    want(get(h, 255) == UINT64_MAX && get(h, 256) == 3);
    ramet_close(store);
}

static void a_batch_is_one_commit(void)
{
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store);
    struct ramet_slice keys[] = {text("a"), text("b"), text("c"), text("a")};
    struct ramet_slice values[] = {text("1"), text("2"), {NULL, 0}, {NULL, 0}};
    uint64_t before = stat_of(store).last_id;
    must(ramet_handle_batch(h, 0, NULL, NULL));
    want(stat_of(store).last_id == before);
    must(ramet_handle_batch(h, 3, keys, values)); /* c is not there, and that is no failure */
    want(stat_of(store).last_id == before + 1);
    want(ramet_handle_get(h, keys[1], NULL, 0) == 1);
    values[1] = text("22");
    must(ramet_handle_batch(h, 4, keys, values)); /* the last one of a key counts */
    want(ramet_handle_get(h, keys[0], NULL, 0) == RAMET_ENOTFOUND);
    want(ramet_handle_get(h, keys[1], NULL, 0) == 2);
    must(ramet_handle_batch(h, 1, &keys[2], &values[2])); /* nor is it alone */
    keys[2] = text("");
    values[1] = text("333");
    want(ramet_handle_batch(h, 3, keys, values) == -EINVAL); /* none of it */
    want(ramet_handle_get(h, keys[1], NULL, 0) == 2);
    ramet_close(store);
}

static void a_held_version_stays(void)
{
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store), *other = new_handle(store);
    struct ramet_map *map, *again;
    struct ramet_cursor *c;
    uint64_t count;
    for (uint64_t i = 0; i < 2000; i++)
        put(h, i, i);
    must(ramet_handle_hold(h, &map));
    must(ramet_cursor_open(map, &c));
    for (uint64_t i = 0; i < 2000; i++) { /* each sees the first version, and changes the newest */
        struct ramet_slice value;
        must(ramet_cursor_next(c));
        must(ramet_cursor_get(c, NULL, &value));
        want(memcmp(value.data, &i, sizeof(i)) == 0 && get(h, i) == i);
        put(i % 2 ? h : other, i, i + 1);
        if (i % 3 == 0)
            must(ramet_handle_del_u64(other, i));
    }
    must(ramet_handle_hold(h, &again));
    want(again == map && get(h, 0) == 0);
    must(ramet_map_count(map, &count));
    want(count == 2000);
    ramet_handle_release(h);
    ramet_handle_release(h);
    want(get(h, 0) == UINT64_MAX && get(h, 1) == 2);
    must(ramet_handle_hold(h, &map));
    must(ramet_map_count(map, &count));
    want(count == 2000 - 667);
    must(ramet_cursor_next(c)); /* which is the first one again */
    ramet_handle_release(h);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
}

static int add_held(void *ctx, const struct ramet_reader_info *info)
{
    *(uint64_t *)ctx += info->held_bytes;
    return 0;
}

static void what_a_held_version_costs_is_told(void)
{
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store), *other = new_handle(store);
    struct ramet_map *map;
    uint64_t held = 0;
    for (uint64_t i = 0; i < 2000; i++)
        put(other, i, i);
    must(ramet_handle_hold(h, &map));
    for (uint64_t i = 0; i < 100; i++) {
        put(other, i * 20, i);
        held = 0;
        must(ramet_reader_list(store, add_held, &held));
        want(held >= 4096 && held <= stat_of(store).limbo_bytes);
    }
    ramet_handle_release(h);
    held = 0;
    must(ramet_reader_list(store, add_held, &held));
    want(held == 0);
    ramet_close(store);
}

static void drop_map(struct ramet_store *store)
{
    struct ramet_txn *txn;
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    must(ramet_map_drop(txn, "map"));
    must(ramet_commit(txn, NULL, NULL));
}

static void maps_and_branches_come_and_go(void)
{
    struct ramet_store *store = new_store();
    struct ramet_handle *creates = new_handle(store), *h, *side, *kept;
    must(ramet_handle_open(store, NULL, "map", 0, &h));
    put(creates, 1, 1);
    struct ramet_keep keep = {.size = sizeof(keep), .name = "kept"};
    must(ramet_snapshot_create(store, "main", &keep, NULL));
    must(ramet_branch_create(store, "side", "main"));
    must(ramet_handle_open(store, "side", "map", 0, &side));
    must(ramet_handle_open(store, "main@kept", "map", 0, &kept));
    put(side, 1, 2);
    want(get(h, 1) == 1 && get(side, 1) == 2 && get(kept, 1) == 1);
    want(ramet_handle_del_u64(kept, 1) == -EINVAL); /* a snapshot */
    drop_map(store);
    want(get(h, 1) == UINT64_MAX && get(side, 1) == 2);
    want(ramet_handle_put_u64(h, 1, text("x"), 0) == RAMET_ENOTFOUND);
    put(creates, 1, 3);
    want(get(h, 1) == 3);
    must(ramet_branch_delete(store, "side"));
    want(get(side, 1) == UINT64_MAX && ramet_handle_del_u64(side, 1) == RAMET_ENOTFOUND);
    must(ramet_branch_create(store, "side", "main"));
    want(get(side, 1) == 3); /* by its name */
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
}

static void remove_file(void)
{
    char lock_file[sizeof(path) + 8];
    (void)snprintf(lock_file, sizeof(lock_file), "%s-lock", path);
    (void)unlink(path);
    (void)unlink(lock_file);
}

/* What others commit is not in what this process notes of its own commits. */
static void sees_what_others_commit(void)
{
    struct ramet_options none = {.size = sizeof(none), .durability = RAMET_NONE};
    struct ramet_store *stores[2];
    struct ramet_handle *handles[2], *side;
    remove_file();
    for (int i = 0; i < 2; i++) {
        must(ramet_open(path, &none, &stores[i]));
        handles[i] = new_handle(stores[i]);
    }
    for (uint64_t i = 0; i < 200; i++) {
        int writer = i % 3 == 0;
        put(handles[writer], i % 7, i);
        want(get(handles[!writer], i % 7) == i && get(handles[writer], i % 7) == i);
    }
    must(ramet_branch_create(stores[0], "side", "main"));
    must(ramet_handle_open(stores[1], "side", "map", 0, &side));
    put(side, 1, 1000);
    want(get(handles[0], 1) != 1000 && get(handles[1], 1) != 1000 && get(side, 1) == 1000);
    drop_map(stores[0]);
    want(get(handles[1], 1) == UINT64_MAX && get(side, 1) == 1000);
    ramet_close(stores[0]);
    put(handles[1], 1, 1);
    want(get(handles[1], 1) == 1);
    ramet_close(stores[1]);
    must(ramet_open(path, NULL, &stores[0]));
    must(ramet_handle_open(stores[0], "side", "map", 0, &side));
    want(get(side, 1) == 1000);
    must(ramet_check(stores[0], 0, NULL, NULL, NULL));
    ramet_close(stores[0]);
    remove_file();
}

/* A failed write changes nothing of what is read. */
static void a_write_that_fails_is_not_seen(void)
{
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store);
    struct ramet_slice keys[] = {text("a"), text("a")}, values[] = {text("1"), text("2")};
    struct ramet_txn *txn;
    char buf[4];
    must(ramet_handle_put(h, keys[0], values[0], 0));
    uint64_t before = stat_of(store).last_id;
    want(ramet_handle_put(h, keys[0], values[1], RAMET_NOOVERWRITE) == -EEXIST);
    want(ramet_handle_put(h, keys[0], values[1], RAMET_APPEND) == -EINVAL);
    want(ramet_handle_put(h, keys[0], values[1], ~0u) == -EINVAL);
    want(ramet_handle_del(h, text("b")) == RAMET_ENOTFOUND);
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    want(ramet_handle_put(h, keys[0], values[1], 0) == -EDEADLK);
    ramet_abort(txn);
    want(stat_of(store).last_id == before);
    want(ramet_handle_get(h, keys[0], buf, sizeof(buf)) == 1 && buf[0] == '1');
    must(ramet_handle_put(h, keys[0], values[1], 0));
    want(ramet_handle_get(h, keys[0], buf, sizeof(buf)) == 1 && buf[0] == '2');
    ramet_close(store);
}

/* ---- versions of a whole map under writers --------------------------------------------------- */

/* What 64 commits of one entry replace: of a map of two levels and of the list of maps. */
#define LIMBO_MAX ((uint64_t)64 * 4 * 4096)
#define CELLS 64 /* whose sum is always the same */

struct crowd {
    struct ramet_store *store;
    _Atomic bool stop;
    _Atomic uint64_t looked;
};

static void *move_about(void *arg)
{
    struct crowd *crowd = arg;
    struct ramet_handle *h = new_handle(crowd->store);
    uint64_t random = args.seed + 77, cells[CELLS] = {[0] = 1000};
    while (!atomic_load(&crowd->stop)) {
        unsigned char bytes[2][8];
        uint64_t from = random_below(&random, CELLS), to = random_below(&random, CELLS);
        uint64_t some = cells[from] ? random_below(&random, cells[from] + 1) : 0;
        cells[from] -= some;
        cells[to] += some;
        struct ramet_slice keys[2] = {ramet_u64_key(from, bytes[0]), ramet_u64_key(to, bytes[1])};
        struct ramet_slice values[2] = {{&cells[from], 8}, {&cells[to], 8}};
        must(ramet_handle_batch(h, 2, keys, values));
    }
    ramet_handle_close(h);
    return NULL;
}

static void *add_up(void *arg)
{
    struct crowd *crowd = arg;
    struct ramet_handle *h = new_handle(crowd->store);
    while (!atomic_load(&crowd->stop)) {
        struct ramet_map *map;
        struct ramet_cursor *c;
        struct ramet_slice value;
        uint64_t sum = 0, number;
        must(ramet_handle_hold(h, &map));
        must(ramet_cursor_open(map, &c));
        while (must_or(ramet_cursor_next(c), RAMET_ENOTFOUND) == 0) {
            must(ramet_cursor_get(c, NULL, &value));
            memcpy(&number, value.data, sizeof(number));
            sum += number;
        }
        ramet_cursor_close(c);
        ramet_handle_release(h);
        if (sum != 1000)
            fatal("a version adds up to %" PRIu64, sum);
        atomic_fetch_add(&crowd->looked, 1);
    }
    ramet_handle_close(h);
    return NULL;
}

/* Is cancelled while it holds a version. */
static void *end_in_the_middle(void *arg)
{
    struct ramet_map *map;
    must(ramet_handle_hold(arg, &map));
    while (get(arg, 0) != UINT64_MAX) /* which is there */
        pthread_testcancel();
    return NULL;
}

static void *end_with_a_handle(void *arg)
{
    struct ramet_map *map;
    must(ramet_handle_hold(arg, &map));
    pthread_exit(NULL);
}

static void fork_in_the_middle(struct ramet_handle *h)
{
    pid_t child = fork();
    want(child >= 0);
    if (child == 0) {
        char buf[8];
        struct ramet_map *map;
        bool ok = ramet_handle_get_u64(h, 0, buf, 8) == RAMET_EFORKED &&
                  ramet_handle_hold(h, &map) == RAMET_EFORKED &&
                  ramet_handle_put_u64(h, 0, text("x"), 0) == RAMET_EFORKED;
        ramet_handle_close(h);
        _exit(ok ? 0 : 1);
    }
    int status;
    want(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void threads_come_go_and_die(void)
{
    enum { ADDERS_MAX = 64, DYING = 4, TIMES = 6 };
    struct crowd crowd = {.store = new_store()};
    struct ramet_handle *h = new_handle(crowd.store), *left[DYING];
    pthread_t mover, adders[ADDERS_MAX], dying[DYING];
    uint64_t nr_adders = args.count < ADDERS_MAX ? args.count : ADDERS_MAX;
    put(h, 0, 1000);
    start(&mover, move_about, &crowd);
    for (uint64_t i = 0; i < nr_adders; i++)
        start(&adders[i], add_up, &crowd);
    for (int time = 0; time < TIMES; time++) {
        for (int i = 0; i < DYING; i++) {
            left[i] = new_handle(crowd.store);
            start(&dying[i], i % 2 ? end_in_the_middle : end_with_a_handle, left[i]);
        }
        for (int i = 0; i < DYING; i++) {
            if (i % 2)
                want(pthread_cancel(dying[i]) == 0);
            (void)pthread_join(dying[i], NULL);
            (void)get(h, 1);
        }
        fork_in_the_middle(h);
        for (int i = 0; i < DYING; i++) /* by another thread */
            ramet_handle_close(left[i]);
    }
    while (atomic_load(&crowd.looked) < 100)
        (void)get(h, 0);
    atomic_store(&crowd.stop, true);
    (void)pthread_join(mover, NULL);
    for (uint64_t i = 0; i < nr_adders; i++)
        (void)pthread_join(adders[i], NULL);
    for (uint64_t i = 0; i < 64; i++) /* what all of them held is free again */
        put(h, 0, i);
    want(stat_of(crowd.store).limbo_bytes <= LIMBO_MAX);
    want(stat_of(crowd.store).readers == 0);
    must(ramet_check(crowd.store, 0, NULL, NULL, NULL));
    ramet_close(crowd.store);
}

/* ---- room ------------------------------------------------------------------------------------ */

static void fill(struct ramet_handle *h, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        put(h, i, i);
}

static void what_nobody_sees_is_used_again(void)
{
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store), *idle[16];
    fill(h, 1000);
    for (int i = 0; i < 16; i++) {
        idle[i] = new_handle(store);
        want(get(idle[i], 3) == 3);
    }
    for (uint64_t i = 0; i < 64; i++)
        put(h, 3, i);
    uint64_t file = stat_of(store).file_bytes;
    for (uint64_t i = 0; i < 5000; i++) {
        put(h, 3, i);
        want(stat_of(store).limbo_bytes <= LIMBO_MAX);
    }
    want(stat_of(store).file_bytes == file);
    want(get(idle[0], 3) == 4999);
    ramet_close(store);
}

/* One that holds a version, and sleeps: the store keeps that, and no more. */
static void a_sleeper_costs_what_it_holds(void)
{
    enum { ENTRIES = 10000 };
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store), *sleeper = new_handle(store);
    struct ramet_map *map;
    uint64_t random = args.seed, sets = 0, most = 0;
    fill(h, ENTRIES);
    must(ramet_handle_hold(sleeper, &map));
    uint64_t held = stat_of(store).data_bytes;
    uint64_t limit = 2 * stat_of(store).file_bytes + held;
    while (sets < 40000) {
        for (int i = 0; i < 1000; i++, sets++)
            put(h, random_below(&random, ENTRIES), sets);
        struct ramet_stat stat = stat_of(store);
        most = stat.file_bytes > most ? stat.file_bytes : most;
        if (stat.file_bytes > limit || stat.limbo_bytes > held + ((uint64_t)1 << 20))
            fatal("after %" PRIu64 " sets the store has %" PRIu64 " KiB, and %" PRIu64
                  " in limbo; the sleeper holds %" PRIu64,
                  sets, stat.file_bytes >> 10, stat.limbo_bytes >> 10, held >> 10);
    }
    for (uint64_t i = 0; i < ENTRIES; i++)
        want(get(sleeper, i) == i);
    ramet_handle_release(sleeper);
    for (uint64_t i = 0; i < 64; i++)
        put(h, i, i);
    printf("%" PRIu64 " sets, at most %" PRIu64 " KiB\n", sets, most >> 10);
    want(stat_of(store).limbo_bytes <= LIMBO_MAX);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
}

/* Each replaces most pages of the map: what the ones before took is used again soon. */
static void batches_take_no_more_than_they_replace(void)
{
    enum { ALL = 40000, MANY = 1000, BATCHES = 300 };
    struct ramet_store *store = new_store();
    struct ramet_handle *h = new_handle(store);
    static unsigned char bytes[MANY][8];
    static uint64_t numbers[MANY];
    struct ramet_slice keys[MANY], values[MANY];
    uint64_t before = 0, random = 1;
    for (uint64_t n = 0; n < ALL / MANY + BATCHES; n++) {
        bool fills = n < ALL / MANY;
        for (uint64_t i = 0; i < MANY; i++) {
            numbers[i] = n;
            uint64_t key = fills ? n * MANY + i : random_below(&random, ALL);
            keys[i] = ramet_u64_key(key * UINT64_C(0x9e3779b97f4a7c15), bytes[i]);
            values[i] = (struct ramet_slice){&numbers[i], 8};
        }
        must(ramet_handle_batch(h, MANY, keys, values));
        if (n == ALL / MANY)
            before = stat_of(store).file_bytes;
    }
    uint64_t after = stat_of(store).file_bytes;
    if (after > before * 2)
        fatal("%d batches made %" PRIu64 " KiB of %" PRIu64, BATCHES, after >> 10, before >> 10);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
}

/* ---- many readers of what one handle holds --------------------------------------------------- */

enum { NAMES = 3000, NAME_SIZE = 24, ROUNDS = 30, AT_ONCE = 8 };

struct shown {
    struct ramet_map *map;
    _Atomic uint32_t done;
};

static struct ramet_slice name_of(uint64_t i, char *buf)
{
    int size = snprintf(buf, NAME_SIZE, "the name of %" PRIu64, i * 977 % NAMES);
    return (struct ramet_slice){buf, (size_t)size};
}

static void want_number(struct ramet_slice value, uint64_t number)
{
    want(value.size == sizeof(number) && memcmp(value.data, &number, sizeof(number)) == 0);
}

/* One by one, and several at once. */
static void *read_shown(void *arg)
{
    struct shown *shown = arg;
    for (uint64_t n = 0; n < (uint64_t)ROUNDS * NAMES; n += AT_ONCE) {
        char names[AT_ONCE][NAME_SIZE];
        struct ramet_slice keys[AT_ONCE], values[AT_ONCE], value;
        for (uint64_t i = 0; i < AT_ONCE; i++)
            keys[i] = name_of((n + i) % NAMES, names[i]);
        must(ramet_get(shown->map, keys[0], &value));
        want_number(value, n % NAMES);
        must(ramet_get_many(shown->map, AT_ONCE, keys, values));
        for (uint64_t i = 0; i < AT_ONCE; i++)
            want_number(values[i], (n + i) % NAMES);
    }
    atomic_fetch_add(&shown->done, 1);
    return NULL;
}

static void put_name(struct ramet_handle *h, uint64_t i, uint64_t number)
{
    char name[NAME_SIZE];
    must(ramet_handle_put(h, name_of(i, name), (struct ramet_slice){&number, sizeof(number)}, 0));
}

static void a_held_version_has_many_readers(void)
{
    enum { OTHERS = 3 };
    struct ramet_store *store = new_store();
    struct ramet_handle *writer = new_handle(store), *holder = new_handle(store);
    struct shown shown = {.map = NULL};
    pthread_t others[OTHERS];
    for (uint64_t i = 0; i < NAMES; i++)
        put_name(writer, i, i);
    must(ramet_handle_hold(holder, &shown.map));
    for (int i = 0; i < OTHERS; i++)
        start(&others[i], read_shown, &shown);
    (void)read_shown(&shown);
    for (uint64_t i = 0; atomic_load(&shown.done) <= OTHERS; i = (i + 1) % NAMES) {
        char name[NAME_SIZE];
        uint64_t number;
        put_name(writer, i, ~i);
        want(ramet_handle_get(holder, name_of(i, name), &number, sizeof(number)) == 8);
        want(number == i);
        want(ramet_handle_get(writer, name_of(i, name), &number, sizeof(number)) == 8);
        want(number == ~i);
    }
    for (int i = 0; i < OTHERS; i++)
        (void)pthread_join(others[i], NULL);
    ramet_handle_release(holder);
    ramet_close(store);
}

static const struct args_test tests[] = {
    ARGS_TEST(does_what_it_says),
    ARGS_TEST(large_values_are_copied_in_part),
    ARGS_TEST(numbers_are_in_order),
    ARGS_TEST(a_batch_is_one_commit),
    ARGS_TEST(a_held_version_stays),
    ARGS_TEST(what_a_held_version_costs_is_told),
    ARGS_TEST(maps_and_branches_come_and_go),
    ARGS_TEST(sees_what_others_commit),
    ARGS_TEST(a_write_that_fails_is_not_seen),
    ARGS_TEST(threads_come_go_and_die),
    ARGS_TEST(what_nobody_sees_is_used_again),
    ARGS_TEST(a_sleeper_costs_what_it_holds),
    ARGS_TEST(batches_take_no_more_than_they_replace),
    ARGS_TEST(a_held_version_has_many_readers),
};

int main(int argc, char **argv)
{
    char folder[] = "/tmp/ramet-handle-XXXXXX";
    if (!args_parse(argc, argv, &args))
        return 2;
    if (!args.dir && !mkdtemp(folder))
        fatal("no folder for the test");
    (void)snprintf(path, sizeof(path), "%s/store", args.dir ? args.dir : folder);
    args_run(&args, tests, sizeof(tests) / sizeof(tests[0]));
    (void)rmdir(folder);
    return 0;
}
