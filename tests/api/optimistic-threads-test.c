/* SPDX-License-Identifier: MIT */
/*
 * optimistic-threads-test.c - threads that write to one branch in optimistic transactions, and try
 * again where they conflict: no update is lost, and what they guard holds.
 *
 * `counters`: each transaction adds to two of them, so their sum is known. `pairs`: two accounts
 * that together are never below 0: who takes from one of them guards the other. An ordinary
 * writer is among them.
 *
 *   --seed=N --count=N (transactions of each thread) --only=KIND --dir=FOLDER
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ramet.h>

#include "api/args.h"

#define THREADS 5 /* the last one is an ordinary writer */
#define COUNTERS 6
#define PAIRS 2

static const struct kind {
    const char *name;
    bool memory;
    int durability;
    bool two_handles;
} kinds[] = {
    {"memory", true, RAMET_FULL, false},
    {"full", false, RAMET_FULL, false},
    {"lazy", false, RAMET_LAZY, false},
    {"two", false, RAMET_NONE, true},
};

struct test {
    struct ramet_store *stores[2]; /* the same handle twice, or two */
    uint64_t count;
    _Atomic uint64_t conflicts, refused; /* refused: there was not enough to take from */
};

struct worker {
    struct test *test;
    uint64_t random;
    unsigned index;
    pthread_t thread;
};

/* ---- numbers in a map ------------------------------------------------------------------------ */

static int64_t number(struct ramet_map *map, const char *key)
{
    struct ramet_slice value;
    int64_t n = 0;
    if (must_or(ramet_get(map, (struct ramet_slice){key, strlen(key)}, &value), RAMET_ENOTFOUND) ==
        0)
        memcpy(&n, value.data, sizeof(n));
    return n;
}

static void set_number(struct ramet_map *map, const char *key, int64_t n)
{
    must(ramet_put(map, (struct ramet_slice){key, strlen(key)}, (struct ramet_slice){&n, sizeof(n)},
                   0));
}

static void add(struct ramet_map *map, uint64_t i)
{
    char key[16];
    (void)snprintf(key, sizeof(key), "c%" PRIu64, i);
    set_number(map, key, number(map, key) + 1);
}

/* ---- transactions ---------------------------------------------------------------------------- */

/* Adds one to two counters, which may be the same. */
static void count_up(struct worker *w, struct ramet_txn *txn)
{
    struct ramet_map *map;
    must(ramet_map_open(txn, "counters", RAMET_CREATE, &map));
    add(map, random_below(&w->random, COUNTERS));
    add(map, random_below(&w->random, COUNTERS));
}

/* Takes one from an account, if the two have one; now and then gives one. */
static void take(struct worker *w, struct ramet_txn *txn)
{
    char mine[16], other[16];
    struct ramet_map *map;
    uint64_t pair = random_below(&w->random, PAIRS);
    bool first = random_below(&w->random, 2);
    (void)snprintf(mine, sizeof(mine), "p%" PRIu64 "%c", pair, first ? 'a' : 'b');
    (void)snprintf(other, sizeof(other), "p%" PRIu64 "%c", pair, first ? 'b' : 'a');
    must(ramet_map_open(txn, "pairs", RAMET_CREATE, &map));
    int64_t sum = number(map, mine) + number(map, other);
    if (sum < 0)
        fatal("pair %" PRIu64 " has %" PRId64, pair, sum);
    if (random_below(&w->random, 3) == 0) {
        set_number(map, mine, number(map, mine) + 1);
    } else if (sum > 0) {
        must(ramet_guard(map, (struct ramet_slice){other, strlen(other)}));
        set_number(map, mine, number(map, mine) - 1);
    } else {
        atomic_fetch_add(&w->test->refused, 1);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    unsigned flags = RAMET_WRITE;
    if (w->index < THREADS - 1)
        flags |= RAMET_OPTIMISTIC;
    for (uint64_t i = 0; i < w->test->count; i++) {
        int rc;
        do {
            struct ramet_txn *txn;
            must(ramet_begin(w->test->stores[w->index % 2], "main", flags, &txn));
            count_up(w, txn);
            take(w, txn);
            rc = must_or(ramet_commit(txn, NULL, NULL), RAMET_ECONFLICT);
            atomic_fetch_add(&w->test->conflicts, rc < 0);
        } while (rc < 0);
    }
    return NULL;
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static void verify(const struct test *t)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    int64_t sum = 0;
    char key[16];
    must(ramet_begin(t->stores[0], "main", RAMET_READ, &txn));
    must(ramet_map_open(txn, "counters", 0, &map));
    for (int i = 0; i < COUNTERS; i++) {
        (void)snprintf(key, sizeof(key), "c%d", i);
        sum += number(map, key);
    }
    if ((uint64_t)sum != 2 * THREADS * t->count)
        fatal("the counters have %" PRId64 " and not %" PRIu64, sum, 2 * THREADS * t->count);
    must(ramet_map_open(txn, "pairs", 0, &map));
    for (int i = 0; i < PAIRS; i++) {
        (void)snprintf(key, sizeof(key), "p%da", i);
        sum = number(map, key);
        (void)snprintf(key, sizeof(key), "p%db", i);
        sum += number(map, key);
        if (sum < 0)
            fatal("pair %d has %" PRId64, i, sum);
    }
    ramet_abort(txn);
}

static void tell_problem(void *ctx, const char *problem)
{
    (void)ctx;
    fatal("check: %s", problem);
}

static void run(const struct kind *kind, const char *path, uint64_t seed, uint64_t count)
{
    struct test t = {.count = count};
    struct ramet_options options = {.size = sizeof(options), .durability = kind->durability};
    static struct worker workers[THREADS];
    must(ramet_open(kind->memory ? NULL : path, &options, &t.stores[0]));
    t.stores[1] = t.stores[0];
    if (kind->two_handles)
        must(ramet_open(path, &options, &t.stores[1]));
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.test = &t, .random = seed + i, .index = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fatal("pthread_create");
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(workers[i].thread, NULL);
    verify(&t);
    must(ramet_check(t.stores[0], 0, tell_problem, NULL, NULL));
    if (t.stores[1] != t.stores[0])
        ramet_close(t.stores[1]);
    ramet_close(t.stores[0]);
    printf("%s: %" PRIu64 " transactions, %" PRIu64 " conflicts, %" PRIu64 " refused\n", kind->name,
           THREADS * count, atomic_load(&t.conflicts), atomic_load(&t.refused));
}

int main(int argc, char **argv)
{
    struct args args = {.count = 400};
    char folder[] = "/tmp/ramet-optimistic-XXXXXX", path[4200], lock[4300];
    if (!args_parse(argc, argv, &args))
        return 2;
    if (!args.dir && !mkdtemp(folder))
        fatal("mkdtemp");
    (void)snprintf(path, sizeof(path), "%s/store", args.dir ? args.dir : folder);
    (void)snprintf(lock, sizeof(lock), "%s-lock", path);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (args.only && strcmp(args.only, kinds[i].name) != 0)
            continue;
        fatal_prefix("--seed=%" PRIu64 " --only=%s", args.seed, kinds[i].name);
        run(&kinds[i], path, args.seed, args.count);
        (void)unlink(path);
        (void)unlink(lock);
    }
    if (!args.dir)
        (void)rmdir(folder);
    return 0;
}
