/* SPDX-License-Identifier: MIT */
/*
 * merge-threads-test.c - merges and pruning of the same few branches by several threads.
 *
 * Each thread counts its own commits, which are all to a branch of its own, in a key of its own and
 * in one that all share, and merges whatever there is: each commit counts once, whoever brought it.
 * So at any time its branch has all that it counted, and main has all of everybody when it has
 * merged them all; and the store has no page, pin or snapshot that nobody accounts for.
 *
 *   --seed=N --seconds=N --count=N (programs) --long --verbose
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/args.h"
#include "ramet.h"

#define THREADS 4
#define LONG_S 3600
static const char *const branches[THREADS + 1] = {"main", "b1", "b2", "b3", "b4"};

static struct ramet_store *store;

struct thread {
    pthread_t id;
    uint64_t random;
    unsigned number, steps;
    int64_t added; /* by its commits */
};

static const struct ramet_slice all = {"all", 3}; /* the key that everybody counts in */

static int64_t value_of(struct ramet_map *map, struct ramet_slice key)
{
    struct ramet_slice value;
    char text[32];
    if (must_or(ramet_get(map, key, &value), RAMET_ENOTFOUND) < 0)
        return 0;
    (void)snprintf(text, sizeof(text), "%.*s", (int)value.size, (const char *)value.data);
    return strtoll(text, NULL, 10);
}

/* One more, on the thread's own branch: it alone commits there. */
static void add(struct thread *t)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    char text[32];
    struct ramet_keep keep = {.size = sizeof(keep)};
    const char *branch = branches[t->number];
    struct ramet_slice key = {branch, 2};
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    int64_t value = value_of(map, key);
    if (value != t->added)
        fatal("%s has counted to %" PRId64 ", not to %" PRId64, branch, value, t->added);
    (void)snprintf(text, sizeof(text), "%" PRId64, ++t->added);
    must(ramet_put(map, key, (struct ramet_slice){text, strlen(text)}, 0));
    (void)snprintf(text, sizeof(text), "%" PRId64, value_of(map, all) + 1);
    must(ramet_put(map, all, (struct ramet_slice){text, strlen(text)}, 0));
    must(ramet_commit(txn, random_below(&t->random, 2) ? &keep : NULL, NULL));
}

/* Another thread may prune what the source's head was, after that moved on: then it is not there to
 * be merged. */
static void merge(const char *into, const char *from, unsigned flags, bool alone)
{
    struct ramet_merge_options options = {
        .size = sizeof(options), .policy = RAMET_MERGE_COUNTER, .flags = flags};
    struct ramet_merge_result result = {.size = sizeof(result)};
    int rc = ramet_merge(store, into, from, &options, &result);
    if (rc < 0 && (rc != RAMET_ENOTFOUND || alone))
        fatal("%s into %s: %d: %s", from, into, rc, ramet_errmsg());
    if (result.conflicts)
        fatal("%s into %s: %" PRIu64 " conflicts", from, into, result.conflicts);
}

static void prune(struct thread *t)
{
    struct ramet_prune_options options = {.size = sizeof(options)};
    options.keep_last = 1 + random_below(&t->random, 5);
    must(ramet_prune(store, branches[random_below(&t->random, THREADS + 1)], &options, NULL));
}

static int no_info(void *ctx, const struct ramet_snapshot_info *info)
{
    (void)info;
    ++*(uint64_t *)ctx;
    return 0;
}

/* A branch that comes and goes: what it merged stays with nobody. */
static void pass(struct thread *t)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "t%u", t->number);
    must(ramet_branch_create(store, name, branches[random_below(&t->random, THREADS + 1)]));
    merge(name, branches[random_below(&t->random, THREADS + 1)], 0, false);
    if (random_below(&t->random, 2))
        merge(branches[random_below(&t->random, THREADS + 1)], name, 0, false);
    must(ramet_branch_delete(store, name));
}

static void look(struct thread *t)
{
    const char *a = branches[random_below(&t->random, THREADS + 1)];
    const char *b = branches[random_below(&t->random, THREADS + 1)];
    uint64_t ids[4], count = 0;
    size_t nr_ids = 4;
    must(ramet_merge_base(store, a, b, ids, &nr_ids));
    must(ramet_history(store, a, (unsigned)random_below(&t->random, 4), no_info, &count));
}

static void step(struct thread *t)
{
    const char *a = branches[random_below(&t->random, THREADS + 1)];
    const char *b = branches[random_below(&t->random, THREADS + 1)];
    switch (random_below(&t->random, 10)) {
    case 0:
    case 1:
    case 2: add(t); break;
    case 3:
    case 4:
    case 5: merge(a, b, random_below(&t->random, 4) ? 0 : RAMET_MERGE_NO_FF, false); break;
    case 6: merge(a, b, RAMET_MERGE_DRY_RUN, false); break;
    case 7: prune(t); break;
    case 8: pass(t); break;
    default: look(t);
    }
}

static void *run(void *ctx)
{
    struct thread *t = ctx;
    for (unsigned i = 0; i < t->steps; i++)
        step(t);
    return NULL;
}

/* Two branches merge each other, each by its own thread: what one of them pinned as its source may
 * be behind what its branch merges meanwhile. */
static void *run_to_and_fro(void *ctx)
{
    struct thread *t = ctx;
    for (unsigned i = 0; i < t->steps; i++) {
        add(t);
        merge(branches[t->number], branches[3 - t->number], 0, false);
    }
    return NULL;
}

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    (void)fprintf(stderr, "check: %s\n", problem);
}

static void judge(const struct thread *threads)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    must(ramet_check(store, 0, report, NULL, NULL));
    for (unsigned i = 1; i <= THREADS; i++)
        merge("main", branches[i], 0, true);
    must(ramet_begin(store, "main", RAMET_READ, &txn));
    must(ramet_map_open(txn, "m", 0, &map));
    int64_t sum = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        sum += threads[i].added;
        int64_t value = value_of(map, (struct ramet_slice){branches[threads[i].number], 2});
        if (value != threads[i].added)
            fatal("main has %" PRId64 " of %s, not %" PRId64, value, branches[threads[i].number],
                  threads[i].added);
    }
    if (value_of(map, all) != sum)
        fatal("main has %" PRId64 " of all, not %" PRId64, value_of(map, all), sum);
    ramet_abort(txn);
    for (unsigned i = 1; i <= THREADS; i++)
        must(ramet_branch_delete(store, branches[i]));
    must(ramet_check(store, 0, report, NULL, NULL));
}

static void open_store(void)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    must(ramet_open(NULL, &options, &store));
    for (unsigned i = 1; i <= THREADS; i++)
        must(ramet_branch_create(store, branches[i], "main"));
}

static void to_and_fro(uint64_t seed, unsigned steps)
{
    struct thread threads[THREADS] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    open_store();
    for (unsigned i = 0; i < 2; i++) {
        threads[i].random = seed * 2 + i;
        threads[i].steps = steps;
        if (pthread_create(&threads[i].id, NULL, run_to_and_fro, &threads[i]) != 0)
            fatal("no thread");
    }
    for (unsigned i = 0; i < 2; i++)
        (void)pthread_join(threads[i].id, NULL);
    judge(threads);
    ramet_close(store);
}

static void run_program(uint64_t seed, unsigned steps)
{
    struct thread threads[THREADS];
    bool alone = seed % 2; /* in turn, by one thread: the same each time */
    open_store();
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.random = seed * THREADS + i, .number = i + 1, .steps = steps};
        if (!alone && pthread_create(&threads[i].id, NULL, run, &threads[i]) != 0)
            fatal("no thread");
    }
    for (unsigned i = 0; i < THREADS * steps && alone; i++)
        step(&threads[random_below(&seed, THREADS)]);
    for (unsigned i = 0; i < THREADS && !alone; i++)
        (void)pthread_join(threads[i].id, NULL);
    judge(threads);
    ramet_close(store);
}

int main(int argc, char **argv)
{
    struct args args = {.seed = 1, .seconds = 8, .count = 40};
    if (!args_parse(argc, argv, &args))
        return 2;
    if (args.endless) {
        args.seconds = args.seconds == 8 ? LONG_S : args.seconds;
        args.count = UINT64_MAX;
    }
    time_t end = time(NULL) + (time_t)args.seconds;
    uint64_t done = 0;
    fatal_prefix("to and fro, seed %" PRIu64, args.seed);
    to_and_fro(args.seed, 2000);
    for (; done < args.count && time(NULL) < end; done++) {
        fatal_prefix("seed %" PRIu64, args.seed + done);
        run_program(args.seed + done, 40);
    }
    printf("%" PRIu64 " programs\n", done);
    return 0;
}
