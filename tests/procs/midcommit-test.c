/* SPDX-License-Identifier: MIT */
/*
 * midcommit-test.c - a process dies in the middle of a commit while another has the store open, at
 * every write, flush and growing of the file in turn; the other commits then, and may die likewise.
 *
 *   --only=DURABILITY (full, lazy, none) --dir=FOLDER --verbose
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/args.h"
#include "procs/proc.h"

#define LARGE ((size_t)9 << 20) /* its pages are flushed before the slot */
#define LIVES 3                 /* commits of a process that does not die */

static char path[256], lock_path[300];
static const char *const durability_names[] = {"full", "lazy", "none"};

/* What is known of one run, in memory that the processes share. */
struct story {
    _Atomic uint64_t acked; /* commits that were acknowledged */
    struct turn turn;
    int durability;
    bool large;
    uint64_t die_at[2]; /* of the one, then of the other */
    enum death how;
    uint64_t random;
};

static struct ramet_store *open_store(struct story *s)
{
    struct ramet_store *store;
    must(proc_open(path, s->durability, &store));
    return store;
}

static void change(struct story *s, struct ramet_store *store)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct bank_meta m;
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    bank_change(txn, &s->random, 0, &m);
    if (s->large) {
        void *data = malloc(LARGE);
        rmt_assert(data != NULL);
        memset(data, (int)m.number, LARGE);
        must(ramet_map_open(txn, "large", RAMET_CREATE, &map));
        must(ramet_put(map, rmt_slice("x", 1), rmt_slice(data, LARGE), 0));
        must(ramet_commit(txn, NULL, NULL)); /* borrows data */
        free(data);
    } else {
        must(ramet_commit(txn, NULL, NULL));
    }
    atomic_fetch_add(&s->acked, 1);
}

static void make(void *ctx)
{
    struct story *s = ctx;
    struct ramet_store *store = open_store(s);
    struct ramet_txn *txn;
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    bank_make(txn);
    must(ramet_commit(txn, NULL, NULL));
    for (int i = 0; i < 3; i++)
        change(s, store);
    ramet_close(store);
}

/* Commits some, and dies while it does. */
static void first(void *ctx)
{
    struct story *s = ctx;
    struct ramet_store *store = open_store(s);
    turn_wait(&s->turn, 1); /* the other has the store open */
    proc_die_at(s->die_at[0], s->how);
    for (int i = 0; i < LIVES; i++)
        change(s, store);
    proc_die_at(UINT64_MAX, DIES_BEFORE);
    ramet_close(store);
}

static void second(struct story *s)
{
    struct ramet_store *store = open_store(s);
    turn_next(&s->turn);
    turn_wait(&s->turn, 2); /* the one is dead */
    proc_die_at(s->die_at[1], s->how);
    for (int i = 0; i < LIVES; i++)
        change(s, store);
    ramet_close(store);
}

static void verify(void *ctx)
{
    struct story *s = ctx;
    struct ramet_store *store = open_store(s);
    struct ramet_txn *txn;
    struct bank_meta m;
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    if (stat.lost_id && s->durability == RAMET_FULL)
        fatal("commit %" PRIu64 " was lost", stat.lost_id);
    bank_check(store, 0);
    must(ramet_begin(store, NULL, RAMET_READ, &txn));
    bank_verify_txn(txn, &s->random, &m);
    uint64_t acked = atomic_load(&s->acked);
    if (m.number < acked || m.number > acked + 2) /* two may have died with a commit published */
        fatal("%" PRIu64 " commits were acknowledged, %" PRIu64 " are there", acked, m.number);
    ramet_abort(txn);
    atomic_store(&s->acked, m.number);
    for (int i = 0; i < 3; i++)
        change(s, store);
    bank_check(store, 0);
    ramet_close(store);
}

/* reboot: the machine restarted, and all that was written had reached its disk. */
static void run(struct story *s, uint64_t one, uint64_t other, enum death how, bool reboot)
{
    (void)unlink(path);
    (void)unlink(lock_path);
    atomic_store(&s->acked, 0);
    atomic_store(&s->turn.at, 0);
    s->die_at[0] = one;
    s->die_at[1] = other;
    s->how = how;
    fatal_prefix("durability %s, %s commits, dying at %" PRIu64 " and %" PRIu64 ", how %d%s",
                 durability_names[s->durability], s->large ? "large" : "small", one, other, how,
                 reboot ? ", reboot" : "");
    (void)proc_do(make, s);
    pid_t pid = proc_fork();
    if (pid == 0) {
        second(s);
        exit(0);
    }
    (void)proc_do(first, s);
    turn_next(&s->turn);
    (void)proc_wait(pid);
    if (reboot)
        (void)unlink(lock_path);
    (void)proc_do(verify, s);
}

static uint64_t run_all(struct story *s, bool reboot)
{
    uint64_t runs = 0, ones = s->large ? 8 : 14, others = s->large ? 2 : 6;
    bool all_deaths = !s->large && s->durability == RAMET_FULL;
    for (uint64_t one = 0; one < ones; one++) {
        for (uint64_t other = 0; other < others; other++) {
            for (enum death how = all_deaths ? 0 : DIES_AFTER; how < DEATHS; how++, runs++)
                run(s, one, other, how, reboot);
        }
    }
    return runs;
}

int main(int argc, char **argv)
{
    struct args args = {.seed = 1};
    char folder[] = "/dev/shm/ramet-procs-XXXXXX"; /* to be killed needs no disk */
    if (!args_parse(argc, argv, &args))
        return 2;
    if (!args.dir && !mkdtemp(folder))
        fatal("no folder for the test");
    (void)snprintf(path, sizeof(path), "%s/store", args.dir ? args.dir : folder);
    (void)snprintf(lock_path, sizeof(lock_path), "%s-lock", path);
    (void)alarm(300); /* a hang is a failure */
    struct story *s = proc_share(sizeof(*s));
    s->random = args.seed;
    for (int d = RAMET_FULL; d <= RAMET_NONE; d++) {
        if (args.only && strcmp(args.only, durability_names[d]) != 0)
            continue;
        s->durability = d;
        for (int i = 0; i < 4; i++) {
            s->large = i & 1;
            if (s->large && d != RAMET_FULL)
                continue; /* nothing is flushed before the slot */
            uint64_t runs = run_all(s, i & 2);
            printf("%s, %s commits: %" PRIu64 " runs\n", durability_names[d],
                   s->large ? "large" : "small", runs);
            (void)fflush(stdout);
        }
    }
    (void)unlink(path);
    (void)unlink(lock_path);
    (void)rmdir(folder);
    return 0;
}
