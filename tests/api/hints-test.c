/* SPDX-License-Identifier: MIT */
/*
 * hints-test.c - handles of a store in memory remember where they found keys: what they find is
 * what is there, whatever was done to their branch meanwhile. A random program beside a model, with
 * keys of each layout that a leaf can have.
 *
 *   --seed=N --seconds=N --long (until then; else a number of programs)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ramet.h>

#include "api/args.h"

enum {
    KEYS = 1500,
    PAGES_KEYS = 100,
    BRANCHES = 2,
    STEPS = 150,
    GETS = 400,
    KEY_MAX = 64,
    PAGE = 4096,
    LARGE = 6000
};

/* Of the keys of a map. PAGES: gaps, and each value is a page; SET: no value has a byte. */
enum kind { ROW, GAPS, PAGES, ANY, TEXTS, SHARED, SET, KINDS };

static const char *const map_names[KINDS] = {"row",   "gaps",   "pages", "any",
                                             "texts", "shared", "set"};
static const char *const branch_names[BRANCHES] = {"main", "other"};

static struct args args = {.seconds = 60};

/* The number that the value of each key is made of; 0: it is not there. */
struct model {
    bool exists[KINDS]; /* the map */
    uint32_t numbers[KINDS][KEYS];
};

struct program {
    struct ramet_store *store;
    uint64_t random;
    uint32_t last;
    bool exists[BRANCHES], kept;
    bool moved; /* main, since the other began at it */
    struct model heads[BRANCHES], snapshot;
    struct ramet_handle *handles[BRANCHES][KINDS]; /* for good */
    struct ramet_handle *holders[KINDS];           /* of main */
    struct ramet_map *held[KINDS];                 /* NULL: not held */
    struct model seen[KINDS];                      /* what it holds: of its own kind */
};

static uint64_t below(struct program *p, uint64_t n)
{
    return random_below(&p->random, n);
}

/* ---- keys and values ------------------------------------------------------------------------- */

static uint64_t hash_of(uint64_t i)
{
    return random_next(&i);
}

static uint64_t number_of(enum kind kind, uint64_t i)
{
    return kind == ROW ? i + 1000 : kind == ANY ? hash_of(i) : 3 * i;
}

/* Of several sizes, eight among them; some begin as others end. */
static struct ramet_slice shared_key(uint64_t i, uint8_t *buf)
{
    size_t size = (size_t)snprintf((char *)buf, KEY_MAX, "%.*s%" PRIu64, (int)(hash_of(i) % 20),
                                   "shared/prefix/of/all", i);
    return (struct ramet_slice){buf, size};
}

static struct ramet_slice key_of(enum kind kind, uint64_t i, uint8_t buf[KEY_MAX])
{
    uint64_t words[2] = {hash_of(i), hash_of(i + KEYS)};
    if (kind < TEXTS)
        return ramet_u64_key(number_of(kind, i), buf);
    if (kind == SHARED)
        return shared_key(i, buf);
    memcpy(buf, words, sizeof(words));
    return (struct ramet_slice){buf, kind == SET ? 4 : sizeof(words)};
}

/* Most have one size, so that leaves of numbers are arrays; some maps have values of each. */
static struct ramet_slice value_of(enum kind kind, uint32_t number)
{
    static uint32_t bytes[LARGE / 4];
    size_t size = kind == PAGES ? PAGE : kind == SET ? 0 : 8;
    if (kind == ANY || kind == SHARED)
        size = number % 61 == 0 ? LARGE : number % 8 * 4;
    for (size_t i = 0; i < size / 4; i++)
        bytes[i] = number;
    return (struct ramet_slice){bytes, size};
}

static void want_value(enum kind kind, uint64_t i, uint32_t number, int64_t rc, const void *data)
{
    struct ramet_slice value = value_of(kind, number);
    if (rc == RAMET_ENOTFOUND && !number)
        return;
    if (rc < 0 || !number || (size_t)rc != value.size || memcmp(data, value.data, value.size) != 0)
        fatal("map %s, key %" PRIu64 ": %" PRId64 ", and not value %" PRIu32, map_names[kind], i,
              rc, number);
}

/* ---- reading --------------------------------------------------------------------------------- */

static uint64_t keys_of(enum kind kind)
{
    return kind == PAGES ? PAGES_KEYS : KEYS;
}

/* Some are asked for again and again, in all branches. */
static uint64_t some_key(struct program *p, enum kind kind)
{
    return below(p, 4) ? below(p, 100) * 7 % keys_of(kind) : below(p, keys_of(kind));
}

static void get(struct program *p, int b, enum kind kind, uint64_t i)
{
    static uint8_t data[LARGE];
    uint8_t buf[KEY_MAX];
    struct ramet_handle *h = p->handles[b][kind];
    bool there = p->exists[b] && p->heads[b].exists[kind];
    int64_t rc;
    if (kind < TEXTS && below(p, 2))
        rc = ramet_handle_get_u64(h, number_of(kind, i), data, sizeof(data));
    else
        rc = ramet_handle_get(h, key_of(kind, i, buf), data, sizeof(data));
    want_value(kind, i, there ? p->heads[b].numbers[kind][i] : 0, rc, data);
}

static void get_held(struct program *p, enum kind kind)
{
    enum { MANY = 20 };
    static uint8_t bufs[MANY][KEY_MAX], data[LARGE];
    struct ramet_slice keys[MANY], values[MANY];
    uint64_t at[MANY], count = 1 + below(p, MANY);
    for (uint64_t i = 0; i < count; i++) {
        at[i] = some_key(p, kind);
        keys[i] = key_of(kind, at[i], bufs[i]);
    }
    int rc = must_or(ramet_get_many(p->held[kind], count, keys, values), RAMET_ENOTFOUND);
    if ((rc == 0) != p->seen[kind].exists[kind])
        fatal("map %s is%s there", map_names[kind], rc == 0 ? "" : " not");
    for (uint64_t i = 0; i < count && rc == 0; i++)
        want_value(kind, at[i], p->seen[kind].numbers[kind][at[i]],
                   values[i].data ? (int64_t)values[i].size : RAMET_ENOTFOUND, values[i].data);
    int64_t size = ramet_handle_get(p->holders[kind], keys[0], data, sizeof(data));
    want_value(kind, at[0], rc == 0 ? p->seen[kind].numbers[kind][at[0]] : 0, size, data);
}

static void read_some(struct program *p)
{
    for (int n = 0; n < GETS; n++) {
        int b = below(p, 3) == 0;
        enum kind kind = (enum kind)below(p, KINDS);
        get(p, b, kind, some_key(p, kind));
    }
    for (int kind = 0; kind < KINDS; kind++) {
        if (p->held[kind])
            get_held(p, kind);
    }
}

static void hold(struct program *p)
{
    enum kind kind = (enum kind)below(p, KINDS);
    if (p->held[kind]) {
        ramet_handle_release(p->holders[kind]);
        p->held[kind] = NULL;
        return;
    }
    must(ramet_handle_hold(p->holders[kind], &p->held[kind]));
    p->seen[kind] = p->heads[0];
}

/* ---- writing --------------------------------------------------------------------------------- */

static int some_branch(struct program *p)
{
    return p->exists[1] && below(p, 2);
}

static uint32_t some_number(struct program *p)
{
    return below(p, 4) ? ++p->last : 0;
}

static void put_one(struct program *p)
{
    int b = some_branch(p);
    enum kind kind = (enum kind)below(p, KINDS);
    uint64_t i = some_key(p, kind);
    uint8_t buf[KEY_MAX];
    uint32_t number = some_number(p);
    struct ramet_handle *h = p->handles[b][kind];
    if (!p->heads[b].exists[kind])
        return;
    p->moved |= b == 0;
    if (number)
        must(ramet_handle_put(h, key_of(kind, i, buf), value_of(kind, number), 0));
    else
        must_or(ramet_handle_del(h, key_of(kind, i, buf)), RAMET_ENOTFOUND);
    p->heads[b].numbers[kind][i] = number;
}

/* All of a map, most of a map, or a few keys; or it is dropped, and may be there again. */
static void put_many(struct program *p)
{
    int b = some_branch(p);
    enum kind kind = (enum kind)below(p, KINDS);
    struct model *head = &p->heads[b];
    struct ramet_txn *txn;
    struct ramet_map *map;
    uint64_t every = 1 + below(p, 50);
    bool drops = below(p, 5) == 0;
    p->moved |= b == 0;
    must(ramet_begin(p->store, branch_names[b], RAMET_WRITE, &txn));
    if (drops && head->exists[kind]) {
        must(ramet_map_drop(txn, map_names[kind]));
        head->exists[kind] = false;
        memset(head->numbers[kind], 0, sizeof(head->numbers[kind]));
    }
    if (!drops || below(p, 2)) {
        must(ramet_map_open(txn, map_names[kind], RAMET_CREATE, &map));
        head->exists[kind] = true;
        for (uint64_t i = below(p, every); i < keys_of(kind); i += every) {
            uint8_t buf[KEY_MAX];
            uint32_t number = below(p, 10) ? ++p->last : 0;
            struct ramet_slice key = key_of(kind, i, buf);
            if (number)
                must(ramet_put(map, key, value_of(kind, number), 0));
            else
                must_or(ramet_del(map, key), RAMET_ENOTFOUND);
            head->numbers[kind][i] = number;
        }
    }
    must(ramet_commit(txn, NULL, NULL));
}

/* Of main; either branch may be set back to it. */
static void snapshot(struct program *p)
{
    struct ramet_keep keep = {.size = sizeof(keep), .name = "s"};
    if (!p->kept) {
        must(ramet_snapshot_create(p->store, "main", &keep, NULL));
        p->snapshot = p->heads[0];
        p->kept = true;
    } else if (below(p, 2)) {
        int b = some_branch(p);
        must(ramet_branch_reset(p->store, branch_names[b], "main@s"));
        p->heads[b] = p->snapshot;
        p->moved = true;
    } else {
        must(ramet_snapshot_delete(p->store, "main@s"));
        p->kept = false;
    }
}

static void branch(struct program *p)
{
    if (!p->exists[1]) {
        must(ramet_branch_create(p->store, "other", "main"));
        p->heads[1] = p->heads[0];
        p->exists[1] = true;
        p->moved = false;
    } else if (!p->moved) {
        must(ramet_merge(p->store, "main", "other", NULL, NULL));
        p->heads[0] = p->heads[1];
        p->moved = true;
    } else {
        must(ramet_branch_delete(p->store, "other"));
        p->exists[1] = false;
    }
}

static void step(struct program *p)
{
    uint64_t dice = below(p, 100);
    if (dice < 60)
        put_one(p);
    else if (dice < 75)
        put_many(p);
    else if (dice < 82)
        snapshot(p);
    else if (dice < 90)
        branch(p);
    else if (dice < 98)
        hold(p);
    else
        must(ramet_compact(p->store, NULL, NULL));
    read_some(p);
}

static void fill(struct program *p)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct ramet_txn *txn;
        struct ramet_map *map;
        must(ramet_begin(p->store, NULL, RAMET_WRITE, &txn));
        must(ramet_map_open(txn, map_names[kind], RAMET_CREATE, &map));
        p->heads[0].exists[kind] = true;
        for (uint64_t i = 0; i < keys_of((enum kind)kind); i++) {
            uint8_t buf[KEY_MAX];
            p->heads[0].numbers[kind][i] = ++p->last;
            must(ramet_put(map, key_of(kind, i, buf), value_of(kind, p->last), 0));
        }
        must(ramet_commit(txn, NULL, NULL));
    }
}

static void run(uint64_t seed)
{
    static struct program program;
    struct program *p = &program;
    fatal_prefix("seed %" PRIu64, seed);
    memset(p, 0, sizeof(*p));
    p->random = seed;
    must(ramet_open(NULL, NULL, &p->store));
    p->exists[0] = true;
    fill(p);
    branch(p);
    for (int kind = 0; kind < KINDS; kind++) {
        for (int b = 0; b < BRANCHES; b++)
            must(ramet_handle_open(p->store, branch_names[b], map_names[kind], 0,
                                   &p->handles[b][kind]));
        must(ramet_handle_open(p->store, NULL, map_names[kind], 0, &p->holders[kind]));
    }
    for (int i = 0; i < STEPS; i++)
        step(p);
    must(ramet_check(p->store, 0, NULL, NULL, NULL));
    ramet_close(p->store);
}

int main(int argc, char **argv)
{
    enum { PROGRAMS = 20 };
    if (!args_parse(argc, argv, &args))
        return 2;
    time_t end = time(NULL) + (time_t)args.seconds;
    for (uint64_t i = 0; args.endless ? time(NULL) < end : i < PROGRAMS; i++)
        run(args.seed + i);
    return 0;
}
