/* SPDX-License-Identifier: MIT */
/*
 * kill-test.c - several processes on one store, killed at random, in the middle of commits too;
 * the others go on, and others take their place.
 *
 * What branches hold shows whether it is one whole version (bank.h). `main` has several writers, w0
 * and w1 have one each, t0.. come and go; readers hold versions and move on. After a kill a process
 * checks the whole store. In the end the numbers of the versions add up to the commits that were
 * acknowledged, and to those of the dead that may have been published without an answer.
 *
 *   --seed=N --seconds=N (of each durability) --only=full|lazy|none --dir=FOLDER --long --verbose
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/args.h"
#include "procs/proc.h"

#define LIVES 6
#define LONE 2
#define VOLATILE 2
#define BRANCHES (1 + LONE)
#define NAME_SIZE 32
#define CHECK_EACH 4 /* kills */

static char path[256], lock_path[300];
static const char *const durability_names[] = {"full", "lazy", "none"};
static const char *const branch_names[BRANCHES] = {"main", "w0", "w1"};

/* Of all processes. */
struct tally {
    _Atomic uint64_t acked[BRANCHES]; /* commits that were acknowledged */
    _Atomic uint64_t begun[BRANCHES]; /* or may have been published */
    _Atomic uint64_t verified;
    _Atomic bool stop;
    int durability;
};

/* One process. */
struct life {
    struct tally *tally;
    struct ramet_store *store;
    uint64_t random;
    unsigned role;
};

/* ---- roles ----------------------------------------------------------------------------------- */

static void write_to(struct life *l, unsigned branch)
{
    struct tally *t = l->tally;
    struct ramet_txn *txn;
    struct bank_meta before, now;
    bool optimistic = random_below(&l->random, 3) == 0;
    uint64_t acked = atomic_load(&t->acked[branch]);
    must(ramet_begin(l->store, branch_names[branch],
                     RAMET_WRITE | (optimistic ? (unsigned)RAMET_OPTIMISTIC : 0), &txn));
    bank_peek(txn, &before);
    if (!optimistic) /* nobody else commits now */
        acked = atomic_load(&t->acked[branch]);
    if (before.number < acked)
        fatal("branch %s: %" PRIu64 " commits were acknowledged, %" PRIu64 " are there",
              branch_names[branch], acked, before.number);
    bank_change(txn, &l->random, 0, &now);
    if (random_below(&l->random, 10) == 0) {
        ramet_abort(txn);
        return;
    }
    atomic_fetch_add(&t->begun[branch], 1);
    if (must_or(ramet_commit(txn, NULL, NULL), optimistic ? RAMET_ECONFLICT : 0) == 0)
        atomic_fetch_add(&t->acked[branch], 1);
    else
        atomic_fetch_sub(&t->begun[branch], 1);
}

static void random_ref(struct life *l, char buf[NAME_SIZE])
{
    uint64_t n = random_below(&l->random, BRANCHES + VOLATILE);
    if (n < BRANCHES)
        (void)snprintf(buf, NAME_SIZE, "%s", branch_names[n]);
    else
        (void)snprintf(buf, NAME_SIZE, "t%" PRIu64, n - BRANCHES);
}

static void change_branches(struct life *l)
{
    char name[NAME_SIZE], ref[NAME_SIZE];
    struct ramet_txn *txn;
    struct bank_meta m;
    (void)snprintf(name, sizeof(name), "t%" PRIu64, random_below(&l->random, VOLATILE));
    random_ref(l, ref);
    switch (random_below(&l->random, 4)) {
    case 0:
        (void)must_or(ramet_branch_create(l->store, name, ref), -EEXIST, RAMET_ENOTFOUND);
        break;
    case 1: (void)must_or(ramet_branch_delete(l->store, name), -EBUSY, RAMET_ENOTFOUND); break;
    default:
        if (must_or(ramet_begin(l->store, name, RAMET_WRITE, &txn), RAMET_ENOTFOUND) == 0) {
            bank_change(txn, &l->random, 0, &m);
            must(ramet_commit(txn, NULL, NULL));
        }
    }
}

static void read_some(struct life *l)
{
    struct ramet_txn *txn;
    struct bank_meta first, m;
    char ref[NAME_SIZE];
    random_ref(l, ref);
    if (must_or(ramet_begin(l->store, ref, RAMET_READ, &txn), RAMET_ENOTFOUND) < 0)
        return;
    bank_verify_txn(txn, &l->random, &first);
    for (uint64_t n = random_below(&l->random, 6); n; n--) {
        bool moves = random_below(&l->random, 2);
        if (moves)
            (void)must_or(ramet_refresh(txn), RAMET_ENOTFOUND);
        bank_verify_txn(txn, &l->random, &m);
        if (moves ? *ref != 't' && m.number < first.number : memcmp(&m, &first, sizeof(m)) != 0)
            fatal("branch %s: version %" PRIu64 " became %" PRIu64, ref, first.number, m.number);
        first = m;
        atomic_fetch_add(&l->tally->verified, 1);
    }
    ramet_abort(txn);
}

static void live(struct life *l)
{
    if (random_below(&l->random, 2))
        proc_die_at(random_below(&l->random, 300), (enum death)random_below(&l->random, DEATHS));
    must(proc_open(path, l->tally->durability, &l->store));
    while (!atomic_load(&l->tally->stop)) {
        if (l->role < LONE)
            write_to(l, 1 + l->role);
        else if (l->role < LONE + 2)
            write_to(l, 0);
        else if (l->role < LONE + 3)
            change_branches(l);
        else
            read_some(l);
    }
    proc_die_at(UINT64_MAX, DIES_BEFORE);
    ramet_close(l->store);
    exit(0);
}

/* ---- making, checking ------------------------------------------------------------------------ */

static void make(void *ctx)
{
    struct tally *t = ctx;
    struct ramet_store *store;
    struct ramet_txn *txn;
    must(proc_open(path, t->durability, &store));
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    bank_make(txn);
    must(ramet_commit(txn, NULL, NULL));
    for (unsigned i = 1; i < BRANCHES; i++)
        must(ramet_branch_create(store, branch_names[i], "main"));
    ramet_close(store);
}

static void check(void *ctx)
{
    struct tally *t = ctx;
    uint64_t random = 1;
    struct ramet_store *store;
    must(proc_open(path, t->durability, &store));
    bank_check(store, 0);
    for (unsigned i = 0; i < BRANCHES; i++) {
        struct ramet_txn *txn;
        struct bank_meta m;
        uint64_t acked = atomic_load(&t->acked[i]);
        must(ramet_begin(store, branch_names[i], RAMET_READ, &txn));
        bank_verify_txn(txn, &random, &m);
        ramet_abort(txn);
        if (m.number < acked || m.number > atomic_load(&t->begun[i]))
            fatal("branch %s: %" PRIu64 " commits were acknowledged, %" PRIu64
                  " are there, %" PRIu64 " were begun",
                  branch_names[i], acked, m.number, atomic_load(&t->begun[i]));
    }
    ramet_close(store);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static pid_t start(struct tally *t, unsigned role, uint64_t random)
{
    pid_t pid = proc_fork();
    if (pid == 0) {
        struct life l = {.tally = t, .random = random, .role = role};
        live(&l);
    }
    return pid;
}

/* A child that has ended by itself, if there is one; else, after a while, one is killed. */
static unsigned bury(pid_t pids[LIVES], uint64_t *random)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)random_below(random, 40000000)}, NULL);
    for (unsigned i = 0; i < LIVES; i++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
            return i;
    }
    unsigned i = (unsigned)random_below(random, LIVES);
    (void)kill(pids[i], SIGKILL);
    return i;
}

static void run(int durability, uint64_t seed, uint64_t seconds)
{
    struct tally *t = proc_share(sizeof(*t));
    pid_t pids[LIVES];
    uint64_t random = seed, kills = 0, until = now_ms() + seconds * 1000;
    fatal_prefix("--only=%s --seed=%" PRIu64, durability_names[durability], seed);
    (void)unlink(path);
    (void)unlink(lock_path);
    t->durability = durability;
    (void)proc_do(make, t);
    (void)alarm((unsigned)(seconds * 10 + 100)); /* a hang is a failure */
    while (now_ms() < until) {
        for (unsigned i = 0; i < LIVES; i++)
            pids[i] = start(t, i, random_next(&random));
        for (uint64_t n = random_below(&random, 40); n && now_ms() < until; n--) {
            unsigned i = bury(pids, &random);
            if (!proc_wait(pids[i]))
                fatal("a process ended by itself");
            if (++kills % CHECK_EACH == 0)
                (void)proc_do(check, t);
            pids[i] = start(t, i, random_next(&random));
        }
        bool all = random_below(&random, 2); /* are killed, or end */
        atomic_store(&t->stop, !all);
        for (unsigned i = 0; i < LIVES; i++) {
            if (all)
                (void)kill(pids[i], SIGKILL);
            (void)proc_wait(pids[i]);
        }
        atomic_store(&t->stop, false);
        if (random_below(&random, 2) && durability == RAMET_FULL)
            (void)unlink(lock_path); /* as if the machine had restarted */
        (void)proc_do(check, t);
    }
    printf("%s: %" PRIu64 " kills, %" PRIu64 " + %" PRIu64 " commits, %" PRIu64 " verified\n",
           durability_names[durability], kills, atomic_load(&t->acked[0]),
           atomic_load(&t->acked[1]) + atomic_load(&t->acked[2]), atomic_load(&t->verified));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct args args = {.seed = 1, .seconds = 4};
    char folder[] = "/dev/shm/ramet-procs-XXXXXX"; /* to be killed needs no disk */
    if (!args_parse(argc, argv, &args))
        return 2;
    if (!args.dir && !mkdtemp(folder))
        fatal("no folder for the test");
    (void)snprintf(path, sizeof(path), "%s/store", args.dir ? args.dir : folder);
    (void)snprintf(lock_path, sizeof(lock_path), "%s-lock", path);
    do {
        for (int d = RAMET_FULL; d <= RAMET_NONE; d++) {
            if (!args.only || strcmp(args.only, durability_names[d]) == 0)
                run(d, args.seed, args.seconds);
        }
        args.seed++;
    } while (args.endless);
    (void)unlink(path);
    (void)unlink(lock_path);
    (void)rmdir(folder);
    return 0;
}
