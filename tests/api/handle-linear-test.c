/* SPDX-License-Identifier: MIT */
/*
 * handle-linear-test.c - what threads do to a map through handles is linearizable: gets, puts and
 * dels of single keys, batches, and versions that are held, which have all keys of one moment.
 *
 * Threads play rounds of a few operations each, and note what they did, when, and what they were
 * answered. After each round it is tried whether some order of all of it is right (linear.h).
 *
 *   --seed=N --seconds=N (of each number of threads) --only=NAME --dir=FOLDER --long
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ramet.h>

#include "api/args.h"
#include "api/linear.h"
#include "base/base.h"

#define THREADS_MAX 16
#define OPS_MAX 16 /* of a thread in a round */
#define ALL_KEYS ((1u << LINEAR_KEYS) - 1)

static struct args args = {.seconds = 1};
static char path[256]; /* for a store in a file */

/* ---- players --------------------------------------------------------------------------------- */

struct round {
    unsigned nr_threads, nr_ops; /* of each */
    pthread_barrier_t barrier;
    _Atomic uint64_t clock;
    _Atomic bool stop;
};

struct player {
    struct round *round;
    struct ramet_handle *handle;
    uint64_t random;
    uint32_t number; /* of the thread, and of what it sets */
    unsigned nr_ops;
    struct linear_op ops[OPS_MAX];
    pthread_t thread;
};

static uint32_t next_number(struct player *p)
{
    return p->number += THREADS_MAX;
}

static uint64_t tick(struct player *p)
{
    return atomic_fetch_add(&p->round->clock, 1);
}

static uint32_t look(struct ramet_handle *h, unsigned key)
{
    uint32_t value = 0;
    int64_t rc = ramet_handle_get_u64(h, key, &value, sizeof(value));
    if (rc < 0)
        must_or((int)rc, RAMET_ENOTFOUND);
    return rc < 0 ? 0 : value;
}

static void play_one(struct player *p, struct linear_op *op, enum linear_kind kind)
{
    unsigned key = (unsigned)random_below(&p->random, LINEAR_KEYS);
    uint32_t value = next_number(p);
    struct ramet_slice slice = {&value, sizeof(value)};
    int rc = 0;
    *op = (struct linear_op){.kind = kind, .keys = 1u << key, .called = tick(p)};
    switch (kind) {
    case LINEAR_GET: value = look(p->handle, key); break;
    case LINEAR_DEL: rc = ramet_handle_del_u64(p->handle, key); break;
    case LINEAR_MAKE: rc = ramet_handle_put_u64(p->handle, key, slice, RAMET_NOOVERWRITE); break;
    default: rc = ramet_handle_put_u64(p->handle, key, slice, 0);
    }
    op->returned = tick(p);
    op->values[key] = value;
    op->failed = must_or(rc, -EEXIST, RAMET_ENOTFOUND) < 0;
}

static void play_batch(struct player *p, struct linear_op *op)
{
    unsigned char bytes[LINEAR_KEYS][8];
    struct ramet_slice keys[LINEAR_KEYS], values[LINEAR_KEYS];
    size_t count = 0;
    unsigned which = 1 + (unsigned)random_below(&p->random, ALL_KEYS);
    *op = (struct linear_op){.kind = LINEAR_PUT, .keys = which};
    for (unsigned key = 0; key < LINEAR_KEYS; key++) {
        if (!(which >> key & 1))
            continue;
        op->values[key] = random_below(&p->random, 4) ? next_number(p) : 0;
        keys[count] = ramet_u64_key(key, bytes[count]);
        values[count] = (struct ramet_slice){NULL, 0};
        if (op->values[key])
            values[count] = (struct ramet_slice){&op->values[key], sizeof(op->values[key])};
        count++;
    }
    op->called = tick(p);
    must(ramet_handle_batch(p->handle, count, keys, values));
    op->returned = tick(p);
}

/* A version has all keys as they were when it was held, whenever they are looked at. */
static void play_hold(struct player *p)
{
    struct ramet_map *map;
    struct linear_op *op = &p->ops[p->nr_ops++];
    *op = (struct linear_op){.kind = LINEAR_GET, .keys = ALL_KEYS, .called = tick(p)};
    must(ramet_handle_hold(p->handle, &map));
    op->returned = tick(p);
    if (p->nr_ops < p->round->nr_ops && random_below(&p->random, 2))
        play_batch(p, &p->ops[p->nr_ops++]);
    for (unsigned key = 0; key < LINEAR_KEYS; key++)
        op->values[key] = look(p->handle, key);
    ramet_handle_release(p->handle);
}

static void *play_rounds(void *arg)
{
    struct player *p = arg;
    for (;;) {
        (void)pthread_barrier_wait(&p->round->barrier);
        if (atomic_load(&p->round->stop))
            return NULL;
        for (p->nr_ops = 0; p->nr_ops < p->round->nr_ops;) {
            uint64_t what = random_below(&p->random, 8);
            if (what < 4)
                play_one(p, &p->ops[p->nr_ops++], (enum linear_kind)what);
            else if (what < 6)
                play_hold(p);
            else
                play_batch(p, &p->ops[p->nr_ops++]);
            if (random_below(&p->random, 4) == 0)
                (void)sched_yield();
        }
        (void)pthread_barrier_wait(&p->round->barrier);
    }
}

/* ---- the judge ------------------------------------------------------------------------------- */

static void show(const struct linear_op *op)
{
    static const char *const names[] = {"get", "put", "make", "del"};
    (void)fprintf(stderr, "%" PRIu64 "-%" PRIu64 " %s%s", op->called, op->returned, names[op->kind],
                  op->failed ? " failed" : "");
    for (unsigned key = 0; key < LINEAR_KEYS; key++) {
        if (op->keys >> key & 1)
            (void)fprintf(stderr, " %u=%" PRIu32, key, op->values[key]);
    }
    (void)fprintf(stderr, "\n");
}

/* initial: what was there before the round; then what is there after it. */
static void judge(const struct player *players, struct ramet_handle *h,
                  uint32_t initial[LINEAR_KEYS])
{
    struct linear_op ops[LINEAR_OPS_MAX];
    struct linear_op last = {
        .kind = LINEAR_GET, .keys = ALL_KEYS, .called = UINT64_MAX - 2, .returned = UINT64_MAX - 1};
    const struct round *round = players[0].round;
    size_t count = 0;
    for (unsigned t = 0; t < round->nr_threads; t++) {
        for (unsigned i = 0; i < players[t].nr_ops; i++)
            ops[count++] = players[t].ops[i];
    }
    for (unsigned key = 0; key < LINEAR_KEYS; key++)
        last.values[key] = look(h, key);
    ops[count++] = last;
    if (!linear_check(ops, count, initial)) {
        for (size_t i = 0; i < count; i++)
            show(&ops[i]);
        fatal("no order of these is right, after 0=%" PRIu32 " 1=%" PRIu32 " 2=%" PRIu32
              " 3=%" PRIu32,
              initial[0], initial[1], initial[2], initial[3]);
    }
    memcpy(initial, last.values, sizeof(last.values));
}

static struct ramet_handle *new_handle(struct ramet_store *store)
{
    struct ramet_handle *h;
    must(ramet_handle_open(store, NULL, "map", RAMET_CREATE, &h));
    return h;
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void play(struct ramet_store *store, unsigned nr_threads)
{
    struct round round = {
        .nr_threads = nr_threads,
        .nr_ops = rmt_min((LINEAR_OPS_MAX - 1) / nr_threads, (unsigned)OPS_MAX),
    };
    struct player players[THREADS_MAX];
    struct ramet_handle *h = new_handle(store);
    uint32_t initial[LINEAR_KEYS] = {0};
    uint64_t rounds = 0;
    want(pthread_barrier_init(&round.barrier, NULL, nr_threads + 1) == 0);
    for (unsigned key = 0; key < LINEAR_KEYS; key++)
        initial[key] = look(h, key);
    for (unsigned t = 0; t < nr_threads; t++) {
        players[t] = (struct player){.round = &round, .random = args.seed + t, .number = t + 1};
        players[t].handle = new_handle(store);
        want(pthread_create(&players[t].thread, NULL, play_rounds, &players[t]) == 0);
    }
    for (double end = now_s() + (double)args.seconds; now_s() < end; rounds++) {
        (void)pthread_barrier_wait(&round.barrier);
        (void)pthread_barrier_wait(&round.barrier);
        judge(players, h, initial);
    }
    atomic_store(&round.stop, true);
    (void)pthread_barrier_wait(&round.barrier);
    for (unsigned t = 0; t < nr_threads; t++) {
        (void)pthread_join(players[t].thread, NULL);
        ramet_handle_close(players[t].handle);
    }
    (void)pthread_barrier_destroy(&round.barrier);
    ramet_handle_close(h);
    want(rounds > 0);
    printf("%u threads: %" PRIu64 " histories of %u operations\n", nr_threads, rounds,
           nr_threads * round.nr_ops);
    must(ramet_check(store, 0, NULL, NULL, NULL));
}

static void play_on(struct ramet_store *store)
{
    for (unsigned nr_threads = 2; nr_threads <= THREADS_MAX; nr_threads *= 2)
        play(store, nr_threads);
    ramet_close(store);
}

static void in_memory(void)
{
    struct ramet_store *store;
    must(ramet_open(NULL, NULL, &store));
    play_on(store);
}

static void remove_file(void)
{
    char lock_file[sizeof(path) + 8];
    (void)snprintf(lock_file, sizeof(lock_file), "%s-lock", path);
    (void)unlink(path);
    (void)unlink(lock_file);
}

/* Where commits wait for a flush together, and begin at heads that are not yet to be seen. */
static void in_a_file(void)
{
    struct ramet_store *store;
    remove_file();
    must(ramet_open(path, NULL, &store));
    play_on(store);
    remove_file();
}

/* ---- what the judge is worth ----------------------------------------------------------------- */

static struct linear_op op_of(enum linear_kind kind, uint32_t value, uint64_t called,
                              uint64_t returned)
{
    return (struct linear_op){
        .kind = kind, .keys = 1, .values = {value}, .called = called, .returned = returned};
}

static void the_judge_refuses_what_is_wrong(void)
{
    const uint32_t none[LINEAR_KEYS] = {0}, some[LINEAR_KEYS] = {7};
    struct linear_op stale[] = {op_of(LINEAR_PUT, 1, 0, 1), op_of(LINEAR_GET, 0, 2, 3)};
    struct linear_op back[] = {op_of(LINEAR_PUT, 1, 0, 9), op_of(LINEAR_GET, 1, 1, 2),
                               op_of(LINEAR_GET, 0, 3, 4)};
    struct linear_op twice[] = {op_of(LINEAR_MAKE, 1, 0, 3), op_of(LINEAR_MAKE, 2, 1, 2)};
    struct linear_op lost[] = {op_of(LINEAR_DEL, 0, 0, 3), op_of(LINEAR_DEL, 0, 1, 2)};
    want(!linear_check(stale, 2, none) && !linear_check(back, 3, none));
    want(!linear_check(twice, 2, none) && !linear_check(lost, 2, some));
    stale[1].called = 0; /* at once with the put: either will do */
    want(linear_check(stale, 2, none));
    back[2].values[0] = 1;
    want(linear_check(back, 3, none));
    twice[1].failed = true;
    want(linear_check(twice, 2, none));
    lost[1].failed = true;
    want(linear_check(lost, 2, some) && !linear_check(lost, 2, none));
}

/* Both keys of a batch are seen, or none; and versions are those of one order. */
static void the_judge_refuses_torn_batches(void)
{
    const uint32_t none[LINEAR_KEYS] = {0};
    struct linear_op both = {.kind = LINEAR_PUT, .keys = 3, .values = {1, 1}, .returned = 9};
    struct linear_op torn = {
        .kind = LINEAR_GET, .keys = 3, .values = {1, 0}, .called = 1, .returned = 2};
    struct linear_op half[] = {both, torn};
    want(!linear_check(half, 2, none));
    half[1].values[1] = 1;
    want(linear_check(half, 2, none));
    struct linear_op single[] = {both, op_of(LINEAR_GET, 1, 1, 2), op_of(LINEAR_GET, 0, 3, 4)};
    single[2].keys = 2; /* one by one it is no better */
    want(!linear_check(single, 3, none));
    struct linear_op crossed[] = {op_of(LINEAR_PUT, 1, 0, 9), op_of(LINEAR_PUT, 0, 0, 9), torn,
                                  torn};
    crossed[1].keys = 2;
    crossed[1].values[1] = 2;
    crossed[3].values[0] = 0;
    crossed[3].values[1] = 2; /* one saw the first put alone, the other the second alone */
    want(!linear_check(crossed, 4, none));
    crossed[3].values[0] = 1;
    want(linear_check(crossed, 4, none));
}

static const struct args_test tests[] = {
    ARGS_TEST(the_judge_refuses_what_is_wrong),
    ARGS_TEST(the_judge_refuses_torn_batches),
    ARGS_TEST(in_memory),
    ARGS_TEST(in_a_file),
};

int main(int argc, char **argv)
{
    char folder[] = "/tmp/ramet-linear-XXXXXX";
    if (!args_parse(argc, argv, &args))
        return 2;
    if (!args.dir && !mkdtemp(folder))
        fatal("no folder for the test");
    (void)snprintf(path, sizeof(path), "%s/store", args.dir ? args.dir : folder);
    do {
        args_run(&args, tests, sizeof(tests) / sizeof(tests[0]));
        args.seed += THREADS_MAX;
    } while (args.endless);
    if (!args.dir)
        (void)rmdir(folder);
    return 0;
}
