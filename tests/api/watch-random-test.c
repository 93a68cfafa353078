/* SPDX-License-Identifier: MIT */
/*
 * watch-random-test.c - random programs under watchers of all kinds and speeds: a copy that is kept
 * by batches alone is the version that each leads to, and no batch goes back but a rewind.
 *
 *   --seed=N --count=N (of programs) --seconds=N (at least) --long
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "api/args.h"
#include "base/base.h"
#include "watch.h"

#define BRANCHES 3
#define WATCHERS 10
#define STEPS 250

static const char *const branches[BRANCHES] = {"main", "b", "c"};
static const char *const maps[] = {"m", "n", "o"};
static const char *const prefixes[] = {"", "1", "12"};

/* What must be said of a branch that a watcher looks at next. */
struct watched {
    struct follower f;
    unsigned branch, flags;
    bool open;
    char cursor[8]; /* "": none */
    bool made_anew; /* since it looked last */
    bool was_reset; /* the same; to what may or may not stand on what was seen */
};

struct program {
    uint64_t random;
    struct ramet_store *store;
    bool there[BRANCHES];
    struct watched watchers[WATCHERS];
    unsigned names;
    uint64_t batches, rewinds;
};

static uint64_t below(struct program *p, uint64_t n)
{
    return random_below(&p->random, n);
}

/* ---- changing -------------------------------------------------------------------------------- */

static void write_some(struct program *p, unsigned branch)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    must(ramet_begin(p->store, branches[branch], RAMET_WRITE, &txn));
    for (uint64_t i = 1 + below(p, 8); i-- > 0;) {
        char key[16], value[600];
        const char *name = maps[below(p, 3)];
        int n = snprintf(key, sizeof(key), "%" PRIu64, below(p, 300));
        size_t size = below(p, 20) ? below(p, 40) : below(p, sizeof(value));
        memset(value, 'a' + (char)below(p, 20), size);
        struct ramet_slice k = {key, (size_t)n}, v = {value, size};
        if (below(p, 40) == 0) {
            must_or(ramet_map_drop(txn, name), RAMET_ENOTFOUND);
            continue;
        }
        must(ramet_map_open(txn, name, RAMET_CREATE, &map));
        if (below(p, 3))
            must(ramet_put(map, k, v, 0));
        else
            must_or(ramet_del(map, k), RAMET_ENOTFOUND);
    }
    struct ramet_keep keep = {.size = sizeof(keep)};
    if (below(p, 8) == 0)
        ramet_abort(txn);
    else
        must(ramet_commit(txn, below(p, 4) ? NULL : &keep, NULL));
}

static int pick_one(void *ctx, const struct ramet_snapshot_info *info)
{
    uint64_t *left = ctx;
    if (left[0]-- > 0)
        return 0;
    left[1] = info->id;
    return 1;
}

/* A kept version of any branch, as a ref. False: there is none. */
static bool pick(struct program *p, char ref[32])
{
    uint64_t found[2] = {below(p, 12), 0};
    must_or(ramet_snapshot_list(p->store, NULL, pick_one, found), 1);
    (void)snprintf(ref, 32, "@%" PRIu64, found[1]);
    return found[1] != 0;
}

static void note_reset(struct program *p, unsigned branch, bool anew)
{
    for (size_t i = 0; i < WATCHERS; i++) {
        if (p->watchers[i].branch == branch) {
            p->watchers[i].was_reset = true;
            p->watchers[i].made_anew |= anew;
        }
    }
}

static void change_something(struct program *p)
{
    unsigned b = (unsigned)below(p, BRANCHES), other = (unsigned)below(p, BRANCHES);
    char ref[32];
    struct ramet_prune_options prune = {.size = sizeof(prune), .keep_last = 1 + below(p, 3)};
    struct ramet_merge_options merge = {.size = sizeof(merge), .policy = RAMET_MERGE_THEIRS};
    struct ramet_merge_result result = {.size = sizeof(result)};
    struct ramet_keep keep = {.size = sizeof(keep)};
    if (!p->there[b]) {
        if (p->there[other])
            must(ramet_branch_create(p->store, branches[b], branches[other]));
        p->there[b] = p->there[other];
        return;
    }
    switch (below(p, 16)) {
    case 0: must(ramet_snapshot_create(p->store, branches[b], &keep, NULL)); break;
    case 1: must(ramet_prune(p->store, branches[b], &prune, NULL)); break;
    case 2:
        if (!pick(p, ref))
            break;
        must(ramet_branch_reset(p->store, branches[b], ref));
        note_reset(p, b, false);
        break;
    case 3:
        if (b == 0 || below(p, 2))
            break;
        must(ramet_branch_delete(p->store, branches[b]));
        note_reset(p, b, true);
        p->there[b] = false;
        break;
    case 4:
    case 5:
        if (other != b && p->there[other])
            must(ramet_merge(p->store, branches[b], branches[other], &merge, &result));
        break;
    case 6:
        if (pick(p, ref))
            must(ramet_snapshot_delete(p->store, ref));
        break;
    default: write_some(p, b);
    }
}

/* ---- watching -------------------------------------------------------------------------------- */

static void open_one(struct program *p, struct watched *w)
{
    struct ramet_watch_options o = {.size = sizeof(o), .flags = w->flags};
    struct ramet_watch *watch;
    const char *prefix = prefixes[below(p, 3)];
    struct ramet_slice slice = {prefix, strlen(prefix)};
    const char *map = below(p, 2) ? NULL : maps[below(p, 3)];
    bool again = w->cursor[0] != 0;
    char ref[32];
    if (again) { /* as it was: the copy is of what it watched */
        slice = w->f.prefix;
        map = w->f.map;
    } else {
        w->branch = (unsigned)below(p, BRANCHES);
        const unsigned flags[] = {0, 0, RAMET_WATCH_EVERY, RAMET_WATCH_EVERY | RAMET_WATCH_HEAD};
        o.flags = w->flags = flags[below(p, 4)];
        if (!p->there[w->branch])
            return;
        if (below(p, 3) == 0)
            (void)snprintf(w->cursor, sizeof(w->cursor), "c%u", p->names++);
        w->was_reset = w->made_anew = false;
    }
    o.cursor = w->cursor[0] ? w->cursor : NULL;
    const char *since = again || below(p, 2) ? NULL : "";
    if (!again && below(p, 4) == 0 && pick(p, ref)) {
        since = ref;
        w->was_reset = true; /* it may be a version of another branch */
    }
    must(ramet_watch_open(p->store, branches[w->branch], map, slice, since, &o, &watch));
    if (again)
        w->f.watch = watch;
    else
        follow(&w->f, watch, map, slice);
    follow_check(&w->f);
    w->open = true;
}

static void look(struct program *p, struct watched *w)
{
    int kind;
    for (uint64_t n = 1 + below(p, 4); n-- > 0 && (kind = follow_one(&w->f)) != 0;) {
        p->batches++;
        p->rewinds += kind == RAMET_BATCH_REWIND;
        if (kind == RAMET_BATCH_REWIND && !w->was_reset)
            fatal("a rewind, and nothing was reset");
        if (kind == RAMET_BATCH_GONE && p->there[w->branch])
            fatal("a branch that is there is said to be gone");
        if (kind == RAMET_BATCH_CHANGES && w->made_anew && w->f.at)
            fatal("a branch was made anew, and that was not said");
        if (kind != RAMET_BATCH_GONE)
            w->was_reset = w->made_anew = false;
        if (!p->there[w->branch])
            w->was_reset = w->made_anew = true;
        must(ramet_watch_ack(w->f.watch));
    }
}

static void end_one(struct program *p, struct watched *w)
{
    if (!w->open)
        return;
    w->open = false;
    if (w->cursor[0] && below(p, 3)) { /* to be opened again */
        ramet_watch_close(w->f.watch);
        w->f.watch = NULL;
        return;
    }
    follow_end(&w->f);
    if (w->cursor[0])
        must(ramet_watch_cursor_delete(p->store, w->cursor));
    w->cursor[0] = 0;
}

static void drop_rest(struct program *p)
{
    for (size_t i = 0; i < WATCHERS; i++) {
        struct watched *w = &p->watchers[i];
        if (w->open) {
            while (follow_one(&w->f) != 0)
                ;
            follow_end(&w->f);
        } else if (w->cursor[0]) {
            ramet_close(w->f.copy);
        }
        if (w->cursor[0])
            must(ramet_watch_cursor_delete(p->store, w->cursor));
    }
}

static void run(uint64_t seed, uint64_t *batches, uint64_t *rewinds)
{
    struct program p = {.random = seed, .there = {true}};
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_open(NULL, NULL, &p.store));
    for (int i = 0; i < STEPS; i++) {
        struct watched *w = &p.watchers[below(&p, WATCHERS)];
        if (below(&p, 3))
            change_something(&p);
        else if (!w->open)
            open_one(&p, w);
        else if (below(&p, 12) == 0)
            end_one(&p, w);
        else
            look(&p, w);
        if (i % 50 == 49)
            must(ramet_check(p.store, 0, NULL, NULL, NULL));
    }
    drop_rest(&p);
    must(ramet_check(p.store, 0, NULL, NULL, NULL));
    must(ramet_stat(p.store, &stat));
    if (stat.readers || stat.cursors)
        fatal("%" PRIu64 " readers and %" PRIu64 " cursors are left", stat.readers, stat.cursors);
    ramet_close(p.store);
    *batches += p.batches;
    *rewinds += p.rewinds;
}

static struct args args = {.seed = 1, .count = 150};

static void random_programs(void **state)
{
    (void)state;
    uint64_t batches = 0, rewinds = 0, programs = 0;
    time_t end = time(NULL) + (time_t)args.seconds;
    for (; programs < args.count || args.endless || time(NULL) < end; programs++) {
        fatal_prefix("--seed=%" PRIu64 " --count=1", args.seed + programs);
        run(args.seed + programs, &batches, &rewinds);
    }
    print_message("%" PRIu64 " programs, %" PRIu64 " batches, %" PRIu64 " rewinds\n", programs,
                  batches, rewinds);
    if (args.count >= 100)
        assert_true(batches > 1000 && rewinds > 20);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest cases[] = {cmocka_unit_test(random_programs)};
    if (!args_parse(argc, argv, &args))
        return 2;
    return cmocka_run_group_tests(cases, NULL, NULL);
}
