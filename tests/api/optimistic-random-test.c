/* SPDX-License-Identifier: MIT */
/*
 * optimistic-random-test.c - optimistic transactions, several open at once, beside ordinary ones
 * and resets, against a model that says who must conflict, on which key, and what the branch then
 * holds.
 *
 *   --seed=N --count=N (programs) --only=KIND --dir=FOLDER --verbose
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ramet.h>

#include "api/args.h"

#define MAPS 3
#define KEYS 300
#define HOT 25 /* keys whose number it divides are used more */
#define OPEN 4
#define SAVEPOINTS 3
#define SNAPSHOTS 6
#define STEPS 120
#define VALUES 6 /* 0: absent; the last is a large one */
#define LARGE 9000

struct state {
    bool exists[MAPS];
    uint8_t values[MAPS][KEYS];
};

/* What a transaction sees, and what it must find unchanged. */
struct model {
    struct state now;
    bool written[MAPS][KEYS], guarded[MAPS][KEYS];
    bool wrote[MAPS], dropped[MAPS];
};

struct open {
    struct ramet_txn *txn; /* NULL: none */
    struct state base;
    struct model model;
    struct model saved[SAVEPOINTS];
    uint32_t savepoints;
};

struct test {
    struct ramet_store *store;
    uint64_t random;
    struct state head;
    struct open open[OPEN];
    struct state snapshots[SNAPSHOTS];
    uint32_t nr_snapshots;
    uint64_t landed, conflicts, unmoved, rolled_back, resets;
};

static const char *const names[MAPS] = {"users", "orders", "log"};

static unsigned below(struct test *t, unsigned n)
{
    return (unsigned)random_below(&t->random, n);
}

/* ---- keys and values ------------------------------------------------------------------------- */

struct key {
    char text[48];
    struct ramet_slice slice;
};

static const struct key *key_of(unsigned k)
{
    static struct key keys[KEYS];
    struct key *key = &keys[k];
    if (!key->slice.size) {
        int n = snprintf(key->text, sizeof(key->text), "key-%03u-with-something-behind-it", k);
        key->slice = (struct ramet_slice){key->text, (size_t)n};
    }
    return key;
}

static struct ramet_slice value_of(unsigned v)
{
    static uint8_t bytes[LARGE];
    memset(bytes, 'a' + (int)v, sizeof(bytes));
    return (struct ramet_slice){bytes, v == VALUES - 1 ? LARGE : v * 7};
}

static unsigned value_found(struct ramet_slice value)
{
    for (unsigned v = 1; v < VALUES; v++) {
        struct ramet_slice wanted = value_of(v);
        if (value.size == wanted.size && memcmp(value.data, wanted.data, value.size) == 0)
            return v;
    }
    fatal("a value of %zu bytes that nobody wrote", value.size);
}

static unsigned some_key(struct test *t)
{
    return below(t, 8) ? below(t, KEYS / HOT) * HOT : below(t, KEYS);
}

/* ---- looking --------------------------------------------------------------------------------- */

struct listing {
    bool found[MAPS];
};

static int list_map(void *ctx, const struct ramet_map_info *info)
{
    struct listing *l = ctx;
    for (unsigned m = 0; m < MAPS; m++) {
        if (strcmp(info->name, names[m]) == 0) {
            l->found[m] = true;
            return 0;
        }
    }
    fatal("there is a map '%s'", info->name);
}

static void verify(struct ramet_txn *txn, const struct state *state, const char *what)
{
    struct listing l = {0};
    must(ramet_map_list(txn, list_map, &l));
    for (unsigned m = 0; m < MAPS; m++) {
        struct ramet_map *map;
        struct ramet_cursor *c;
        struct ramet_slice key, value;
        if (l.found[m] != state->exists[m])
            fatal("%s: map '%s' is %sthere", what, names[m], l.found[m] ? "" : "not ");
        if (!l.found[m])
            continue;
        must(ramet_map_open(txn, names[m], 0, &map));
        must(ramet_cursor_open(map, &c));
        for (unsigned k = 0; k < KEYS; k++) {
            if (!state->values[m][k])
                continue;
            must(ramet_cursor_next(c));
            must(ramet_cursor_get(c, &key, &value));
            const struct key *wanted = key_of(k);
            if (key.size != wanted->slice.size || memcmp(key.data, wanted->text, key.size) != 0)
                fatal("%s: %s: %.*s where %s is", what, names[m], (int)key.size,
                      (const char *)key.data, wanted->text);
            unsigned v = value_found(value);
            if (v != state->values[m][k])
                fatal("%s: %s: %s is %u, not %u", what, names[m], wanted->text, v,
                      state->values[m][k]);
        }
        if (ramet_cursor_next(c) != RAMET_ENOTFOUND)
            fatal("%s: %s has more keys", what, names[m]);
        ramet_cursor_close(c);
    }
}

static void verify_head(struct test *t)
{
    struct ramet_txn *txn;
    must(ramet_begin(t->store, "main", RAMET_READ, &txn));
    verify(txn, &t->head, "the head");
    ramet_abort(txn);
}

/* ---- writing --------------------------------------------------------------------------------- */

static struct ramet_map *open_map(struct ramet_txn *txn, struct model *model, unsigned m)
{
    struct ramet_map *map;
    must(ramet_map_open(txn, names[m], RAMET_CREATE, &map));
    model->now.exists[m] = true;
    return map;
}

static void do_put(struct test *t, struct ramet_txn *txn, struct model *model)
{
    unsigned m = below(t, MAPS), k = some_key(t), v = 1 + below(t, VALUES - 1);
    bool keeps = below(t, 4) == 0;
    struct ramet_map *map = open_map(txn, model, m);
    int rc = must_or(ramet_put(map, key_of(k)->slice, value_of(v), keeps ? RAMET_NOOVERWRITE : 0),
                     -EEXIST);
    if (rc != (keeps && model->now.values[m][k] ? -EEXIST : 0))
        fatal("a put answers %d", rc);
    if (rc < 0)
        return;
    model->now.values[m][k] = (uint8_t)v;
    model->written[m][k] = model->wrote[m] = true;
}

static void do_del(struct test *t, struct ramet_txn *txn, struct model *model)
{
    unsigned m = below(t, MAPS), k = some_key(t);
    int rc = must_or(ramet_del(open_map(txn, model, m), key_of(k)->slice), RAMET_ENOTFOUND);
    if (rc != (model->now.values[m][k] ? 0 : RAMET_ENOTFOUND))
        fatal("a delete answers %d", rc);
    model->now.values[m][k] = 0;
    model->written[m][k] = model->wrote[m] = true;
}

/* Bounds: sometimes none, sometimes the wrong way round. */
static void some_range(struct test *t, unsigned *from, unsigned *to, struct ramet_slice bounds[2])
{
    *from = some_key(t);
    *to = below(t, 10) ? *from + below(t, 40) : some_key(t);
    bool low = below(t, 20), high = *to < KEYS && below(t, 20);
    const struct ramet_slice none = {NULL, 0};
    bounds[0] = low ? key_of(*from)->slice : none;
    bounds[1] = high ? key_of(*to)->slice : none;
    if (!low)
        *from = 0;
    if (!high)
        *to = KEYS;
}

static void do_del_range(struct test *t, struct ramet_txn *txn, struct model *model)
{
    unsigned m = below(t, MAPS), from, to;
    struct ramet_slice bounds[2];
    uint64_t count, wanted = 0;
    some_range(t, &from, &to, bounds);
    must(ramet_del_range(open_map(txn, model, m), bounds[0], bounds[1], &count));
    for (unsigned k = from; k < to; k++) {
        wanted += model->now.values[m][k] != 0;
        model->now.values[m][k] = 0;
        model->written[m][k] = model->wrote[m] = true;
    }
    if (count != wanted)
        fatal("%" PRIu64 " deleted, and not %" PRIu64, count, wanted);
}

static void do_guard(struct test *t, struct ramet_txn *txn, struct model *model)
{
    unsigned m = below(t, MAPS), from, to;
    struct ramet_slice bounds[2];
    struct ramet_map *map = open_map(txn, model, m);
    if (below(t, 3)) {
        from = some_key(t);
        to = from + 1;
        must(ramet_guard(map, key_of(from)->slice));
    } else {
        some_range(t, &from, &to, bounds);
        must(ramet_guard_range(map, bounds[0], bounds[1]));
    }
    for (unsigned k = from; k < to; k++)
        model->guarded[m][k] = true;
}

static void do_drop(struct test *t, struct ramet_txn *txn, struct model *model)
{
    unsigned m = below(t, MAPS);
    int rc = must_or(ramet_map_drop(txn, names[m]), RAMET_ENOTFOUND);
    if (rc != (model->now.exists[m] ? 0 : RAMET_ENOTFOUND))
        fatal("a drop answers %d", rc);
    if (rc < 0)
        return;
    model->now.exists[m] = false;
    model->dropped[m] = model->wrote[m] = true;
    for (unsigned k = 0; k < KEYS; k++) {
        model->now.values[m][k] = 0;
        model->written[m][k] = true;
    }
}

static void do_something(struct test *t, struct ramet_txn *txn, struct model *model)
{
    switch (below(t, 40)) {
    case 0: do_drop(t, txn, model); break;
    case 1:
    case 2: do_del_range(t, txn, model); break;
    case 3: (void)open_map(txn, model, below(t, MAPS)); break;
    default:
        if (below(t, 4) == 0)
            do_guard(t, txn, model);
        else if (below(t, 3) == 0)
            do_del(t, txn, model);
        else
            do_put(t, txn, model);
    }
}

/* ---- optimistic transactions ----------------------------------------------------------------- */

static void begin(struct test *t, struct open *o)
{
    must(ramet_begin(t->store, "main", RAMET_WRITE | RAMET_OPTIMISTIC, &o->txn));
    o->base = t->head;
    o->savepoints = 0;
    memset(&o->model, 0, sizeof(o->model));
    o->model.now = t->head;
}

static void save_or_roll_back(struct test *t, struct open *o)
{
    uint32_t number;
    if (o->savepoints < SAVEPOINTS && below(t, 3)) {
        must(ramet_savepoint(o->txn, &number));
        o->saved[o->savepoints++] = o->model;
        if (number != o->savepoints)
            fatal("savepoint %u is the %u-th", number, o->savepoints);
    } else if (o->savepoints) {
        number = 1 + below(t, o->savepoints);
        must(ramet_rollback(o->txn, number));
        o->model = o->saved[number - 1];
        o->savepoints = number;
        t->rolled_back++;
    }
}

static bool key_conflicts(const struct test *t, const struct open *o, unsigned m, unsigned k)
{
    return (o->model.written[m][k] || o->model.guarded[m][k]) &&
           o->base.values[m][k] != t->head.values[m][k];
}

static bool map_conflicts(const struct test *t, const struct open *o, unsigned m)
{
    if (o->model.dropped[m] && o->base.exists[m] != t->head.exists[m])
        return true;
    return o->model.wrote[m] && o->base.exists[m] && !t->head.exists[m];
}

static bool must_conflict(const struct test *t, const struct open *o)
{
    for (unsigned m = 0; m < MAPS; m++) {
        if (map_conflicts(t, o, m))
            return true;
        for (unsigned k = 0; k < KEYS; k++) {
            if (key_conflicts(t, o, m, k))
                return true;
        }
    }
    return false;
}

/* What the message names is in conflict. */
static void check_message(const struct test *t, const struct open *o)
{
    char begins[128];
    for (unsigned m = 0; m < MAPS; m++) {
        (void)snprintf(begins, sizeof(begins), "map '%s': it was", names[m]);
        if (strncmp(ramet_errmsg(), begins, strlen(begins)) == 0 && map_conflicts(t, o, m))
            return;
        for (unsigned k = 0; k < KEYS; k++) {
            (void)snprintf(begins, sizeof(begins), "map '%s', key '%.*s':", names[m],
                           (int)key_of(k)->slice.size, key_of(k)->text);
            if (strncmp(ramet_errmsg(), begins, strlen(begins)) == 0 && key_conflicts(t, o, m, k))
                return;
        }
    }
    fatal("that is no conflict: %s", ramet_errmsg());
}

/* The head becomes what the transaction made of it. */
static void apply(struct state *head, const struct open *o)
{
    for (unsigned m = 0; m < MAPS; m++) {
        if (o->model.now.exists[m] != o->base.exists[m])
            head->exists[m] = o->model.now.exists[m];
        for (unsigned k = 0; k < KEYS; k++) {
            if (o->model.written[m][k])
                head->values[m][k] = o->model.now.values[m][k];
        }
    }
}

static void commit(struct test *t, struct open *o)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "s%u", t->nr_snapshots);
    const struct ramet_keep keep = {.size = sizeof(keep), .name = name};
    bool keeps = t->nr_snapshots < SNAPSHOTS && below(t, 10) == 0, conflict = must_conflict(t, o);
    if (below(t, 5) == 0)
        verify(o->txn, &o->model.now, "an optimistic transaction");
    t->unmoved += memcmp(&o->base, &t->head, sizeof(o->base)) == 0;
    int rc = must_or(ramet_commit(o->txn, keeps ? &keep : NULL, NULL), RAMET_ECONFLICT);
    o->txn = NULL;
    if (rc == 0 && conflict)
        fatal("it landed, and should not have");
    if (rc < 0) {
        check_message(t, o);
        t->conflicts++;
    } else {
        apply(&t->head, o);
        t->landed++;
        if (keeps)
            t->snapshots[t->nr_snapshots++] = t->head;
    }
    verify_head(t);
}

/* ---- the others ------------------------------------------------------------------------------ */

static void ordinary(struct test *t)
{
    struct ramet_txn *txn;
    struct model model = {.now = t->head};
    must(ramet_begin(t->store, "main", RAMET_WRITE, &txn));
    for (unsigned n = 1 + below(t, 4); n; n--)
        do_something(t, txn, &model);
    must(ramet_commit(txn, NULL, NULL));
    t->head = model.now;
}

static void reset(struct test *t)
{
    char ref[32];
    if (!t->nr_snapshots)
        return;
    uint32_t i = below(t, t->nr_snapshots);
    (void)snprintf(ref, sizeof(ref), "main@s%u", i);
    must(ramet_branch_reset(t->store, "main", ref));
    t->head = t->snapshots[i];
    t->resets++;
    verify_head(t);
}

static void fill(struct test *t)
{
    struct ramet_txn *txn;
    struct model model = {.now = t->head};
    must(ramet_begin(t->store, "main", RAMET_WRITE, &txn));
    struct ramet_map *map = open_map(txn, &model, 0);
    for (unsigned k = 0; k < KEYS; k++) {
        unsigned v = 1 + below(t, VALUES - 2);
        must(ramet_put(map, key_of(k)->slice, value_of(v), 0));
        model.now.values[0][k] = (uint8_t)v;
    }
    must(ramet_commit(txn, NULL, NULL));
    t->head = model.now;
}

static void run(struct test *t)
{
    memset(&t->head, 0, sizeof(t->head));
    memset(t->open, 0, sizeof(t->open));
    t->nr_snapshots = 0;
    fill(t);
    for (unsigned step = 0; step < STEPS; step++) {
        struct open *o = &t->open[below(t, OPEN)];
        unsigned what = below(t, 40);
        if (what == 0)
            reset(t);
        else if (what < 5)
            ordinary(t);
        else if (!o->txn)
            begin(t, o);
        else if (what < 10)
            save_or_roll_back(t, o);
        else if (what < 15)
            commit(t, o);
        else if (what == 15) {
            ramet_abort(o->txn);
            o->txn = NULL;
        } else
            do_something(t, o->txn, &o->model);
    }
    for (unsigned i = 0; i < OPEN; i++) {
        if (t->open[i].txn)
            commit(t, &t->open[i]);
    }
}

static void tell_problem(void *ctx, const char *problem)
{
    (void)ctx;
    fatal("check: %s", problem);
}

int main(int argc, char **argv)
{
    struct args args = {.count = 200};
    char folder[] = "/tmp/ramet-optimistic-XXXXXX", path[4200];
    if (!args_parse(argc, argv, &args))
        return 2;
    static struct test t;
    if (!args.dir && !mkdtemp(folder))
        fatal("mkdtemp");
    (void)snprintf(path, sizeof(path), "%s/store", args.dir ? args.dir : folder);
    for (uint64_t i = 0; i < args.count; i++) {
        bool file = i % 4 == 0;
        struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
        fatal_prefix("--seed=%" PRIu64 ", program %" PRIu64, args.seed, i);
        t.random = args.seed * 1000003 + i;
        must(ramet_open(file ? path : NULL, &options, &t.store));
        run(&t);
        must(ramet_check(t.store, 0, tell_problem, NULL, NULL));
        ramet_close(t.store);
        if (file)
            (void)unlink(path);
    }
    printf("%" PRIu64 " landed, %" PRIu64 " conflicts; %" PRIu64
           " where nothing else had changed; %" PRIu64 " rollbacks, %" PRIu64 " resets\n",
           t.landed, t.conflicts, t.unmoved, t.rolled_back, t.resets);
    if (args.count >= 50 && (!t.landed || !t.conflicts || !t.unmoved || !t.resets))
        fatal("something never happened");
    char lock[4300];
    (void)snprintf(lock, sizeof(lock), "%s-lock", path);
    (void)unlink(lock);
    if (!args.dir)
        (void)rmdir(folder);
    return 0;
}
