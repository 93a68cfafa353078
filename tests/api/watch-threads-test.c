/* SPDX-License-Identifier: MIT */
/*
 * watch-threads-test.c - writers and watchers of one handle, each in a thread of its own.
 *
 * Each commit writes one number under several keys of two maps, and counts it up: a batch that
 * holds a part of a commit, or goes back, is seen at once. In the end every watcher has come to the
 * last number, woken by its descriptor alone.
 *
 *   --seed=N --count=N (commits of a writer)
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/args.h"
#include "ramet.h"

#define WRITERS 2
#define WATCHERS 4 /* of each branch */
#define KEYS 5

static const char *const branches[WRITERS] = {"main", "b"};
static const char *const maps[] = {"m", "n"};
static struct args args = {.seed = 1, .count = 1500};
static struct ramet_store *store;
static _Atomic bool done;
static _Atomic uint64_t batches;

struct worker {
    pthread_t thread;
    unsigned branch, index;
};

static void commit(const char *branch, uint64_t number, bool keep_it)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_keep keep = {.size = sizeof(keep)};
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    for (uint64_t i = 0; i < KEYS; i++) {
        struct ramet_slice key = {&i, sizeof(i)}, value = {&number, sizeof(number)};
        must(ramet_map_open(txn, maps[i % 2], RAMET_CREATE, &map));
        must(ramet_put(map, key, value, 0));
    }
    must(ramet_commit(txn, keep_it ? &keep : NULL, NULL));
}

static void *write_all(void *ctx)
{
    struct worker *w = ctx;
    uint64_t random = args.seed + w->branch;
    struct ramet_prune_options prune = {.size = sizeof(prune), .keep_last = 3};
    for (uint64_t n = 1; n <= args.count; n++) {
        commit(branches[w->branch], n, random_below(&random, 20) == 0);
        if (random_below(&random, 100) == 0)
            must(ramet_prune(store, branches[w->branch], &prune, NULL));
        if (random_below(&random, 50) == 0) /* the watchers fall asleep */
            (void)usleep(3000);
    }
    return NULL;
}

/* What a batch says: the same number KEYS times, above the last one. */
static void take_batch(struct ramet_watch *watch, uint64_t *number)
{
    struct ramet_change change = {.size = sizeof(change)};
    unsigned entries = 0;
    uint64_t new = 0, old = 0;
    int rc;
    while ((rc = ramet_watch_change(watch, &change)) == 0) {
        uint64_t a = 0, b = 0;
        if (change.kind == RAMET_MAP_CREATED)
            continue;
        memcpy(&a, change.new_value.data, sizeof(a));
        if (change.old_value.data)
            memcpy(&b, change.old_value.data, sizeof(b));
        if (entries && (a != new || b != old))
            fatal("a batch is of more than one commit, or of less");
        new = a;
        old = b;
        entries++;
    }
    must_or(rc, RAMET_ENOTFOUND);
    if (entries != KEYS || old != *number || new <= old)
        fatal("a batch of %u entries leads from %" PRIu64 " to %" PRIu64 ", and %" PRIu64
              " was seen",
              entries, old, new, *number);
    *number = new;
    atomic_fetch_add(&batches, 1);
}

static void *watch_all(void *ctx)
{
    struct worker *w = ctx;
    char cursor[16];
    unsigned flags = w->index == 1 ? RAMET_WATCH_EVERY | RAMET_WATCH_HEAD : 0;
    struct ramet_watch_options o = {.size = sizeof(o), .flags = flags};
    struct ramet_slice all = {NULL, 0};
    struct ramet_watch *watch;
    uint64_t number = 0, random = args.seed + 100 * w->branch + w->index;
    (void)snprintf(cursor, sizeof(cursor), "c%u", w->branch);
    if (w->index == 2)
        o.cursor = cursor;
    must(ramet_watch_open(store, branches[w->branch], NULL, all, "", &o, &watch));
    while (number < args.count) {
        struct ramet_batch batch = {.size = sizeof(batch)};
        int rc = ramet_watch_wait(watch, 20000);
        if (rc != 1)
            fatal("woken by nothing at %" PRIu64 ": %d", number, rc);
        while (must_or(ramet_watch_next(watch, &batch), RAMET_ENOTFOUND) == 0) {
            if (batch.kind != RAMET_BATCH_CHANGES)
                fatal("a batch of kind %d", batch.kind);
            take_batch(watch, &number);
            if (random_below(&random, 2))
                must(ramet_watch_ack(watch));
            if (w->index == 3) /* a slow one */
                (void)usleep(2000);
        }
    }
    ramet_watch_close(watch);
    return NULL;
}

/* Watchers come and go: the thread that wakes them too. */
static void *come_and_go(void *ctx)
{
    (void)ctx;
    struct ramet_slice all = {NULL, 0};
    for (unsigned i = 0; !atomic_load(&done); i++) {
        struct ramet_watch *watch;
        struct ramet_batch batch = {.size = sizeof(batch)};
        must(ramet_watch_open(store, branches[i % WRITERS], maps[i % 2], all, NULL, NULL, &watch));
        must_or(ramet_watch_wait(watch, (int)(i % 4)), 1);
        must_or(ramet_watch_next(watch, &batch), RAMET_ENOTFOUND);
        ramet_watch_close(watch);
    }
    return NULL;
}

static void start(pthread_t *thread, void *(*fn)(void *), void *ctx)
{
    if (pthread_create(thread, NULL, fn, ctx) != 0)
        fatal("no thread");
}

static void run(const char *path)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    struct worker writers[WRITERS], watchers[WRITERS * WATCHERS];
    pthread_t passing;
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_open(path, &options, &store));
    must(ramet_branch_create(store, "b", "main"));
    atomic_store(&done, false);
    start(&passing, come_and_go, NULL);
    for (unsigned i = 0; i < WRITERS * WATCHERS; i++) {
        watchers[i] = (struct worker){.branch = i % WRITERS, .index = i / WRITERS};
        start(&watchers[i].thread, watch_all, &watchers[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct worker){.branch = i};
        start(&writers[i].thread, write_all, &writers[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        (void)pthread_join(writers[i].thread, NULL);
    for (unsigned i = 0; i < WRITERS * WATCHERS; i++)
        (void)pthread_join(watchers[i].thread, NULL);
    atomic_store(&done, true);
    (void)pthread_join(passing, NULL);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    must(ramet_stat(store, &stat));
    if (stat.readers != 0 || stat.cursors != WRITERS)
        fatal("%" PRIu64 " readers and %" PRIu64 " cursors are left", stat.readers, stat.cursors);
    ramet_close(store);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/ramet-watch-XXXXXX", path[64], lock[72];
    if (!args_parse(argc, argv, &args))
        return 2;
    if (!mkdtemp(folder))
        fatal("no folder");
    (void)snprintf(path, sizeof(path), "%s/store", folder);
    (void)snprintf(lock, sizeof(lock), "%s-lock", path);
    run(path);
    (void)unlink(path);
    (void)unlink(lock);
    (void)rmdir(folder);
    run(NULL);
    printf("%" PRIu64 " batches\n", atomic_load(&batches));
    return 0;
}
