/* SPDX-License-Identifier: MIT */
/*
 * threads-test.c - several threads commit at once, to one branch and to branches of their own, and
 * the power is cut under them: groups of commits, heads that wait for their flush.
 *
 * Each thread adds 1 to a counter of its own and to one that all share, in one transaction. After a
 * cut the sum of theirs is what they share: commits are there whole, and in the order in which they
 * were made. What was acknowledged is there; beside it at most what was under way.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "api/args.h"
#include "io/sim.h"
#include "store/store.h"

#define THREADS 6
#define ROUNDS 8 /* of one program: cut, boot, verify, go on */

struct worker {
    struct ramet_store *store;
    pthread_t thread;
    unsigned index;
    uint64_t random;
    uint64_t acknowledged[2], tried[2]; /* on main; on its own branch */
};

static const char *branch_of(const struct worker *w, bool own, char buf[16])
{
    (void)snprintf(buf, 16, own ? "own%u" : "main", w->index);
    return buf;
}

static uint64_t counter(struct ramet_map *map, unsigned index)
{
    struct ramet_slice got;
    uint64_t n = 0;
    int rc = ramet_get(map, rmt_slice(&index, sizeof(index)), &got);
    if (rc == 0 && got.size == sizeof(n))
        memcpy(&n, got.data, sizeof(n));
    else if (rc != RAMET_ENOTFOUND)
        return UINT64_MAX;
    return n;
}

static int add_one(struct ramet_map *map, unsigned index, uint64_t *out)
{
    uint64_t n = counter(map, index);
    if (n == UINT64_MAX)
        return -EIO;
    *out = ++n;
    return ramet_put(map, rmt_slice(&index, sizeof(index)), rmt_slice(&n, sizeof(n)), 0);
}

/* One transaction. Its number is tried before it can be there, and acknowledged after. */
static int once(struct worker *w, bool own)
{
    char branch[16];
    struct ramet_txn *txn;
    struct ramet_map *map;
    uint64_t n = 0, all;
    int rc = ramet_begin(w->store, branch_of(w, own, branch), RAMET_WRITE, &txn);
    if (rc < 0)
        return rc;
    rc = ramet_map_open(txn, "m", RAMET_CREATE, &map);
    if (rc == 0)
        rc = add_one(map, w->index, &n);
    if (rc == 0)
        rc = add_one(map, THREADS, &all);
    if (rc < 0 || random_below(&w->random, 10) == 0) {
        ramet_abort(txn);
        return rc;
    }
    w->tried[own] = n;
    struct ramet_keep keep = {.size = sizeof(keep)};
    rc = ramet_commit(txn, random_below(&w->random, 8) ? NULL : &keep, NULL);
    if (rc == 0)
        w->acknowledged[own] = n;
    return rc;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < 40; i++) {
        int rc = once(w, random_below(&w->random, 3) == 0);
        if (rc == RAMET_ETXN || rc == RAMET_ECORRUPT)
            fatal("thread %u: %s", w->index, ramet_errmsg());
        if (rc < 0)
            break; /* the power is gone, or a write failed */
    }
    return NULL;
}

/* The simulated disk, but flushes take their time: commits gather behind them. */
static struct rmt_io_ops slow;
static int (*quick_sync)(struct rmt_io *io);

static int slow_sync(struct rmt_io *io)
{
    struct timespec t = {.tv_nsec = 100000};
    (void)nanosleep(&t, NULL);
    return quick_sync(io);
}

static struct ramet_store *reopened(struct rmt_sim *sim)
{
    struct rmt_io *io = NULL;
    struct ramet_store *store = NULL;
    must(rmt_sim_open(sim, 0, &io));
    slow = *io->ops;
    quick_sync = slow.sync;
    slow.sync = slow_sync;
    io->ops = &slow;
    must(rmt_store_open_io(io, NULL, &store));
    return store;
}

/* Reads the counters of a branch; those of the threads in [first, last) make the shared one. */
static void verify(struct ramet_store *store, const char *branch, struct worker *workers,
                   unsigned first, unsigned last, bool own)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    uint64_t sum = 0, all = 0;
    must(ramet_begin(store, branch, RAMET_READ, &txn));
    int rc = must_or(ramet_map_open(txn, "m", 0, &map), RAMET_ENOTFOUND);
    for (unsigned i = first; i < last; i++) {
        uint64_t n = rc == 0 ? counter(map, i) : 0;
        struct worker *w = &workers[i];
        if (n < w->acknowledged[own])
            fatal("%s: commit %" PRIu64 " of thread %u was acknowledged, and %" PRIu64
                  " is the newest that is there",
                  branch, w->acknowledged[own], i, n);
        if (n > rmt_max(w->tried[own], w->acknowledged[own]))
            fatal("%s: commit %" PRIu64 " of thread %u is there, and was never made", branch, n, i);
        w->acknowledged[own] = w->tried[own] = n;
        sum += n;
    }
    all = rc == 0 ? counter(map, THREADS) : 0;
    if (all != sum)
        fatal("%s: %" PRIu64 " commits, of which the threads made %" PRIu64, branch, all, sum);
    ramet_abort(txn);
}

static void say(void *ctx, const char *sentence)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", sentence);
}

static void verify_all(struct ramet_store *store, struct worker *workers)
{
    char branch[16];
    verify(store, "main", workers, 0, THREADS, false);
    for (unsigned i = 0; i < THREADS; i++)
        verify(store, branch_of(&workers[i], true, branch), workers, i, i + 1, true);
    must(ramet_check(store, 0, say, NULL, NULL));
}

static void round_of(struct rmt_sim *sim, struct worker *workers, uint64_t *random)
{
    struct ramet_store *store = reopened(sim);
    uint64_t kind = random_below(random, 8);
    verify_all(store, workers);
    if (kind == 0) /* a write fails: its commits do, and nothing is lost */
        rmt_sim_fail_at(sim, RMT_SIM_WRITE, random_below(random, 60), -EIO);
    else if (kind == 1)
        rmt_sim_fail_at(sim, RMT_SIM_SYNC, random_below(random, 10), -EIO);
    else
        rmt_sim_cut_at(sim, rmt_sim_ops(sim) + random_below(random, 200),
                       (enum rmt_sim_fate)random_below(random, RMT_SIM_FATES));
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].store = store;
        must(-pthread_create(&workers[i].thread, NULL, work, &workers[i]));
    }
    for (unsigned i = 0; i < THREADS; i++)
        must(-pthread_join(workers[i].thread, NULL));
    ramet_close(store);
    rmt_sim_cut_at(sim, UINT64_MAX, (enum rmt_sim_fate)random_below(random, RMT_SIM_FATES));
    rmt_sim_boot(sim);
}

static void program(uint64_t seed)
{
    struct worker workers[THREADS] = {0};
    uint64_t random = seed;
    struct rmt_sim *sim = rmt_sim_new(random_next(&random), UINT64_C(1) << 28);
    struct ramet_store *store = reopened(sim);
    for (unsigned i = 0; i < THREADS; i++) {
        char branch[16];
        workers[i] = (struct worker){.index = i, .random = random_next(&random)};
        must(ramet_branch_create(store, branch_of(&workers[i], true, branch), NULL));
    }
    ramet_close(store);
    for (int i = 0; i < ROUNDS; i++)
        round_of(sim, workers, &random);
    store = reopened(sim);
    verify_all(store, workers);
    ramet_close(store);
    if (rmt_sim_violations(sim))
        fatal("the store broke the contract of its disk");
    rmt_sim_free(sim);
}

int main(int argc, char **argv)
{
    struct args args = {.seed = 1, .count = 60};
    if (!args_parse(argc, argv, &args))
        return 2;
    uint64_t end = args.seconds ? (uint64_t)time(NULL) + args.seconds : UINT64_MAX;
    for (uint64_t i = 0; (args.endless || i < args.count) && (uint64_t)time(NULL) < end; i++) {
        fatal_prefix("seed %" PRIu64, args.seed + i);
        program(args.seed + i);
    }
    return 0;
}
