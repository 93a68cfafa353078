/* SPDX-License-Identifier: MIT */
/*
 * single-test.c - entries that are put one by one into a store in memory, between all else that a
 * store is asked for: a random program, and a model of every version.
 *
 *   --seed=N --seconds=N --long (until then; else a number of programs) --dir=FOLDER
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ramet.h>

#include "api/args.h"

enum { KEYS = 400, MAPS = 2, BRANCHES = 3, SNAPSHOTS = 4, READERS = 4, STEPS = 600, LARGE = 20000 };

static struct args args = {.seconds = 60};
static char copy_path[256];

/* Of each map the number of each key: its value; 0: it is not there. Large ones have large values.
 */
struct model {
    uint32_t numbers[MAPS][KEYS];
};

struct reader {
    struct ramet_txn *txn;
    struct model seen;
};

struct program {
    struct ramet_store *store;
    uint64_t random;
    uint32_t last; /* number that was put */
    bool exists[BRANCHES], kept[BRANCHES][SNAPSHOTS];
    struct model heads[BRANCHES], snapshots[BRANCHES][SNAPSHOTS];
    struct ramet_handle *handles[BRANCHES][MAPS];
    struct reader readers[READERS];
    struct ramet_watch *watch; /* of the first branch */
    uint64_t watched;          /* id that it was told of last */
};

static const char *const branch_names[BRANCHES] = {"main", "one", "two"};
static const char *const map_names[MAPS] = {"a", "b"};

static uint64_t below(struct program *p, uint64_t n)
{
    return random_below(&p->random, n);
}

static bool is_large(uint32_t number)
{
    return number % 50 == 0;
}

static struct ramet_slice value_of(uint32_t number)
{
    static uint32_t bytes[LARGE / 4];
    size_t size = is_large(number) ? LARGE : number % 3 ? 8 : 40;
    for (size_t i = 0; i < size / 4; i++)
        bytes[i] = number;
    return (struct ramet_slice){bytes, size};
}

static bool same(struct ramet_slice a, struct ramet_slice b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* ---- what there is, is what there must be ---------------------------------------------------- */

static void compare(struct ramet_txn *txn, const struct model *model)
{
    for (int m = 0; m < MAPS; m++) {
        struct ramet_map *map;
        uint64_t count, want = 0;
        must(ramet_map_open(txn, map_names[m], 0, &map));
        for (uint64_t k = 0; k < KEYS; k++) {
            unsigned char key[8];
            struct ramet_slice value;
            uint32_t number = model->numbers[m][k];
            int rc = must_or(ramet_get(map, ramet_u64_key(k, key), &value), RAMET_ENOTFOUND);
            if ((rc == 0) != (number != 0) || (rc == 0 && !same(value, value_of(number))))
                fatal("map %s has another value of key %" PRIu64 " than %" PRIu32, map_names[m], k,
                      number);
            want += number != 0;
        }
        must(ramet_map_count(map, &count));
        if (count != want)
            fatal("map %s says that it has %" PRIu64 " entries, not %" PRIu64, map_names[m], count,
                  want);
    }
}

static void compare_ref(struct ramet_store *store, const char *ref, const struct model *model)
{
    struct ramet_txn *txn;
    must(ramet_begin(store, ref, RAMET_READ, &txn));
    compare(txn, model);
    ramet_abort(txn);
}

static const char *snapshot_ref(int b, int s)
{
    static char ref[32];
    (void)snprintf(ref, sizeof(ref), "%s@s%d", branch_names[b], s);
    return ref;
}

static void compare_all(struct program *p, struct ramet_store *store)
{
    for (int b = 0; b < BRANCHES; b++) {
        if (p->exists[b])
            compare_ref(store, branch_names[b], &p->heads[b]);
        for (int s = 0; s < SNAPSHOTS; s++) {
            if (p->exists[b] && p->kept[b][s])
                compare_ref(store, snapshot_ref(b, s), &p->snapshots[b][s]);
        }
    }
}

static int find_head(void *ctx, const struct ramet_branch_info *info)
{
    struct ramet_txn *txn;
    must(ramet_begin(ctx, info->name, RAMET_READ, &txn));
    if (info->head != ramet_txn_id(txn))
        fatal("branch %s is listed with head %" PRIu64 ", and has %" PRIu64, info->name, info->head,
              ramet_txn_id(txn));
    ramet_abort(txn);
    return 0;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int some_branch(struct program *p)
{
    int b = (int)below(p, BRANCHES);
    return p->exists[b] ? b : 0;
}

static uint32_t some_number(struct program *p)
{
    return below(p, 4) ? ++p->last : 0;
}

static void put_one(struct program *p, int b, int m)
{
    uint64_t k = below(p, KEYS);
    uint32_t *at = &p->heads[b].numbers[m][k], number = some_number(p);
    struct ramet_handle *h = p->handles[b][m];
    unsigned flags = below(p, 8) ? 0 : RAMET_NOOVERWRITE;
    if (!number) {
        if (must_or(ramet_handle_del_u64(h, k), RAMET_ENOTFOUND) != (*at ? 0 : RAMET_ENOTFOUND))
            fatal("a key that is%s there was deleted", *at ? "" : " not");
    } else if (must_or(ramet_handle_put_u64(h, k, value_of(number), flags), -EEXIST) != 0) {
        if (!flags || !*at)
            fatal("a key is taken for one that is there already");
        return;
    }
    *at = number;
}

/* Mostly in a row into one map: so the way is taken that this is a test of. */
static void put_some(struct program *p)
{
    int b = some_branch(p), m = (int)below(p, MAPS);
    for (uint64_t n = below(p, 100); n > 0; n--)
        put_one(p, b, m);
}

/* Values of the size that they have, as a rule: then it is done in that way, too. */
static void put_batch(struct program *p)
{
    enum { MOST = 60 };
    static unsigned char bytes[MOST][8];
    static uint32_t words[MOST][10];
    struct ramet_slice keys[MOST], values[MOST];
    int b = some_branch(p), m = (int)below(p, MAPS);
    uint64_t count = 1 + below(p, MOST), n = 0;
    bool any = below(p, 4) == 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t k = below(p, KEYS);
        uint32_t *at = &p->heads[b].numbers[m][k], number = ++p->last;
        if (!any && (!*at || is_large(*at)))
            continue;
        while (is_large(number) || (!any && (number % 3 == 0) != (*at % 3 == 0)))
            number = ++p->last;
        struct ramet_slice value = value_of(number);
        memcpy(words[n], value.data, value.size);
        keys[n] = ramet_u64_key(k, bytes[n]);
        values[n] = (struct ramet_slice){words[n], value.size};
        n++;
        *at = number;
    }
    must(ramet_handle_batch(p->handles[b][m], n, keys, values));
}

static void put_in_transaction(struct program *p)
{
    int b = some_branch(p);
    struct model changed = p->heads[b];
    struct ramet_txn *txn;
    unsigned flags = RAMET_WRITE | (below(p, 2) ? RAMET_OPTIMISTIC : 0);
    must(ramet_begin(p->store, branch_names[b], flags, &txn));
    for (int i = 0; i < 5; i++) {
        struct ramet_map *map;
        unsigned char key[8];
        uint64_t k = below(p, KEYS);
        int m = (int)below(p, MAPS);
        must(ramet_map_open(txn, map_names[m], 0, &map));
        changed.numbers[m][k] = ++p->last;
        must(ramet_put(map, ramet_u64_key(k, key), value_of(p->last), 0));
    }
    if (flags & RAMET_OPTIMISTIC) { /* beside it, of a key of its own */
        uint64_t k = below(p, KEYS);
        if (changed.numbers[0][k] == p->heads[b].numbers[0][k]) {
            must(ramet_handle_put_u64(p->handles[b][0], k, value_of(++p->last), 0));
            changed.numbers[0][k] = p->heads[b].numbers[0][k] = p->last;
        }
    }
    if (below(p, 4) == 0) {
        ramet_abort(txn);
        return;
    }
    must(ramet_commit(txn, NULL, NULL));
    p->heads[b] = changed;
}

static void snapshot(struct program *p)
{
    int b = some_branch(p), s = (int)below(p, SNAPSHOTS);
    char name[8];
    if (p->kept[b][s]) {
        must(ramet_snapshot_delete(p->store, snapshot_ref(b, s)));
        p->kept[b][s] = false;
        return;
    }
    (void)snprintf(name, sizeof(name), "s%d", s);
    struct ramet_keep keep = {.size = sizeof(keep), .name = name};
    must(ramet_snapshot_create(p->store, branch_names[b], &keep, NULL));
    p->kept[b][s] = true;
    p->snapshots[b][s] = p->heads[b];
}

static void branch(struct program *p)
{
    int b = 1 + (int)below(p, BRANCHES - 1), from = some_branch(p);
    if (p->exists[b]) {
        must(ramet_branch_delete(p->store, branch_names[b]));
        p->exists[b] = false;
        memset(p->kept[b], 0, sizeof(p->kept[b]));
        for (int m = 0; m < MAPS; m++)
            ramet_handle_close(p->handles[b][m]);
        return;
    }
    must(ramet_branch_create(p->store, branch_names[b], branch_names[from]));
    p->exists[b] = true;
    p->heads[b] = p->heads[from];
    for (int m = 0; m < MAPS; m++)
        must(ramet_handle_open(p->store, branch_names[b], map_names[m], 0, &p->handles[b][m]));
}

/* Some stay open for long. */
static void read_old(struct program *p)
{
    struct reader *r = &p->readers[below(p, READERS)];
    int b = some_branch(p);
    if (r->txn) {
        compare(r->txn, &r->seen);
        ramet_abort(r->txn);
    }
    must(ramet_begin(p->store, branch_names[b], RAMET_READ, &r->txn));
    r->seen = p->heads[b];
}

static void diff(struct program *p)
{
    int b = some_branch(p), s = (int)below(p, SNAPSHOTS);
    struct ramet_txn *from, *to;
    struct ramet_diff *diff;
    struct ramet_change change = {.size = sizeof(change)};
    uint64_t found = 0, want = 0;
    if (!p->kept[b][s])
        return;
    for (int i = 0; i < MAPS * KEYS; i++)
        want += p->heads[b].numbers[i / KEYS][i % KEYS] !=
                p->snapshots[b][s].numbers[i / KEYS][i % KEYS];
    must(ramet_begin(p->store, snapshot_ref(b, s), RAMET_READ, &from));
    must(ramet_begin(p->store, branch_names[b], RAMET_READ, &to));
    must(ramet_diff_open(from, to, NULL, &diff));
    while (must_or(ramet_diff_next(diff, &change), RAMET_ENOTFOUND) == 0)
        found++;
    if (found != want)
        fatal("%" PRIu64 " differences were found, of %" PRIu64, found, want);
    ramet_diff_close(diff);
    ramet_abort(from);
    ramet_abort(to);
}

static uint64_t head_id(struct ramet_store *store)
{
    struct ramet_txn *txn;
    must(ramet_begin(store, NULL, RAMET_READ, &txn));
    uint64_t id = ramet_txn_id(txn);
    ramet_abort(txn);
    return id;
}

/* What was watched is told of, and shows what is there. */
static void watch(struct program *p)
{
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_txn *txn;
    uint64_t head = head_id(p->store);
    while (p->watched < head) {
        if (must_or(ramet_watch_wait(p->watch, 20000), 1) != 1)
            fatal("nobody told the watcher of version %" PRIu64, head);
        if (must_or(ramet_watch_next(p->watch, &batch), RAMET_ENOTFOUND) == 0)
            p->watched = batch.to;
    }
    must(ramet_watch_begin(p->watch, &txn));
    compare(txn, &p->heads[0]);
    ramet_abort(txn);
}

static void copy(struct program *p)
{
    struct ramet_store *store;
    char lock_path[sizeof(copy_path) + 8];
    (void)snprintf(lock_path, sizeof(lock_path), "%s-lock", copy_path);
    must(ramet_copy(p->store, copy_path, NULL, NULL));
    must(ramet_open(copy_path, NULL, &store));
    compare_all(p, store);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
    (void)unlink(copy_path);
    (void)unlink(lock_path);
}

static void look(struct program *p)
{
    compare_all(p, p->store);
    must(ramet_branch_list(p->store, find_head, p->store));
    must(ramet_check(p->store, 0, NULL, NULL, NULL));
}

static void step(struct program *p)
{
    uint64_t dice = below(p, 100);
    if (dice < 40)
        put_some(p);
    else if (dice < 50)
        put_batch(p);
    else if (dice < 60)
        put_in_transaction(p);
    else if (dice < 68)
        snapshot(p);
    else if (dice < 74)
        branch(p);
    else if (dice < 84)
        read_old(p);
    else if (dice < 90)
        diff(p);
    else if (dice < 94)
        watch(p);
    else if (dice < 95)
        copy(p);
    else if (dice < 96)
        must(ramet_compact(p->store, NULL, NULL));
    else
        look(p);
}

static void run(uint64_t seed)
{
    static struct program program;
    struct program *p = &program;
    static const struct ramet_slice all;
    fatal_prefix("seed %" PRIu64, seed);
    memset(p, 0, sizeof(*p));
    p->random = seed;
    must(ramet_open(NULL, NULL, &p->store));
    p->exists[0] = true;
    for (int m = 0; m < MAPS; m++)
        must(ramet_handle_open(p->store, NULL, map_names[m], RAMET_CREATE, &p->handles[0][m]));
    must(ramet_watch_open(p->store, NULL, NULL, all, NULL, NULL, &p->watch));
    p->watched = head_id(p->store);
    for (int i = 0; i < STEPS; i++)
        step(p);
    for (int i = 0; i < READERS; i++) {
        if (p->readers[i].txn)
            compare(p->readers[i].txn, &p->readers[i].seen);
    }
    look(p);
    ramet_close(p->store);
}

int main(int argc, char **argv)
{
    enum { PROGRAMS = 8 };
    if (!args_parse(argc, argv, &args))
        return 2;
    (void)snprintf(copy_path, sizeof(copy_path), "%s/ramet-single-%d", args.dir ? args.dir : "/tmp",
                   (int)getpid());
    time_t end = time(NULL) + (time_t)args.seconds;
    for (uint64_t i = 0; args.endless ? time(NULL) < end : i < PROGRAMS; i++)
        run(args.seed + i);
    return 0;
}
