/* SPDX-License-Identifier: MIT */
/* versions.c - differences, the bases of merges in long histories, many branches: of ramet alone.
 */
#include <ramet.h>
#include <stdio.h>
#include <string.h>

#include "alone.h"
#include "bench.h"

#define BATCH 10000

static struct ramet_txn *begin(struct ramet_store *store, const char *ref, unsigned flags)
{
    struct ramet_txn *txn;
    must(ramet_begin(store, ref, flags, &txn));
    return txn;
}

/* ---- differences ----------------------------------------------------------------------------- */

/* From opening to closing. */
static double time_diff(struct ramet_txn *from, struct ramet_txn *to, size_t changes,
                        uint64_t *out_pages)
{
    struct ramet_diff_stat stat = {.size = sizeof(stat)};
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_diff *diff;
    uint64_t sum = 0;
    int rc;
    struct stopwatch begin = stopwatch_now();
    must(ramet_diff_open(from, to, NULL, &diff));
    while ((rc = ramet_diff_next(diff, &change)) == 0)
        sum += touch(change.old_value.data, change.old_value.size) +
               touch(change.new_value.data, change.new_value.size);
    must(rc == RAMET_ENOTFOUND ? 0 : rc);
    must(ramet_diff_stat(diff, &stat));
    ramet_diff_close(diff);
    double took = stopwatch_since(begin).wall_ns;
    if (stat.changed != changes || stat.added || stat.removed || !sum)
        die("a diff found %llu changes", (unsigned long long)stat.changed);
    *out_pages = stat.pages;
    return took;
}

void versions_diff(const void *sharing, struct result *out)
{
    enum { TIMES = 9 };
    const struct sharing *s = sharing;
    const struct entries *e = s->entries;
    struct ramet_store *store = open_unflushed(s->path);
    for (size_t at = 0; at < e->count; at += BATCH)
        write_some(store, "main", e, at, 1, BATCH, 0);
    for (size_t d = 0; d < DIFFS; d++) {
        size_t k = diff_changes[d];
        double wall[TIMES];
        if (k > e->count)
            break;
        must(ramet_branch_create(store, "other", NULL));
        write_some(store, "other", e, 0, 1, k, s->round + 1);
        struct ramet_txn *from = begin(store, "main", RAMET_READ);
        struct ramet_txn *to = begin(store, "other", RAMET_READ);
        (void)time_diff(from, to, k, &out[d].pages); /* once to warm the caches */
        for (size_t i = 0; i < TIMES; i++)
            wall[i] = time_diff(from, to, k, &out[d].pages) / (double)k;
        out[d].wall_ns = out[d].median_ns = median(wall, TIMES);
        ramet_abort(from);
        ramet_abort(to);
        must(ramet_branch_delete(store, "other"));
    }
    ramet_close(store);
    files_remove(s->path);
}

/* ---- bases ----------------------------------------------------------------------------------- */

/* A version that is kept; its id. */
static uint64_t keep_one(struct ramet_store *store, const char *branch, uint64_t n)
{
    struct ramet_keep keep = {.size = sizeof(keep)};
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_slice k = {branch, strlen(branch)}, v = {&n, sizeof(n)};
    uint64_t id;
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "bench", RAMET_CREATE, &map));
    must(ramet_put(map, k, v, 0));
    must(ramet_commit(txn, &keep, &id));
    return id;
}

static void merge(struct ramet_store *store, const char *into, const char *from)
{
    struct ramet_merge_options options = {
        .size = sizeof(options), .flags = RAMET_MERGE_NO_FF, .policy = RAMET_MERGE_OURS};
    must(ramet_merge(store, into, from, &options, NULL));
}

static void time_base(struct ramet_store *store, const char *a, const char *b, struct result *out)
{
    enum { TIMES = 21 };
    double wall[TIMES];
    for (size_t i = 0; i < TIMES; i++) {
        uint64_t ids[4];
        size_t count = 4;
        struct stopwatch begin = stopwatch_now();
        must(ramet_merge_base(store, a, b, ids, &count));
        wall[i] = stopwatch_since(begin).wall_ns;
        if (!count)
            die("'%s' and '%s' have nothing in common", a, b);
    }
    out->wall_ns = out->median_ns = median(wall, TIMES);
}

/* Two branches that went their ways, version by version in turn. */
static void base_of_arms(const char *path, uint64_t versions, struct result *out)
{
    struct ramet_store *store = open_unflushed(path);
    keep_one(store, "main", 0);
    must(ramet_branch_create(store, "other", NULL));
    for (uint64_t i = 0; i < versions; i += 2) {
        keep_one(store, "main", i);
        keep_one(store, "other", i);
    }
    time_base(store, "main", "other", out);
    ramet_close(store);
    files_remove(path);
}

/* A branch for each task, of ten versions, merged into main and dropped; against a branch that is
 * as old as all. */
static void base_of_tasks(const char *path, uint64_t versions, struct result *out)
{
    struct ramet_store *store = open_unflushed(path);
    keep_one(store, "main", 0);
    must(ramet_branch_create(store, "old", NULL));
    keep_one(store, "old", 0);
    for (uint64_t i = 0; i < versions; i += 11) {
        must(ramet_branch_create(store, "task", NULL));
        for (uint64_t n = 0; n < 10; n++)
            keep_one(store, "task", i + n);
        merge(store, "main", "task");
        must(ramet_branch_delete(store, "task"));
    }
    time_base(store, "main", "old", out);
    ramet_close(store);
    files_remove(path);
}

/* Two that merge each other time and again: with each other; and against an old branch of which
 * there is another, so that all must be looked at: the worst that we know of. */
static void base_of_ladder(const char *path, uint64_t versions, struct result out[2])
{
    struct ramet_store *store = open_unflushed(path);
    keep_one(store, "main", 0);
    must(ramet_branch_create(store, "other", NULL));
    must(ramet_branch_create(store, "old", NULL));
    keep_one(store, "old", 0);
    must(ramet_branch_create(store, "older", "old"));
    keep_one(store, "old", 1);
    keep_one(store, "older", 1);
    for (uint64_t i = 0; i < versions; i += 4) {
        keep_one(store, "main", i);
        keep_one(store, "other", i);
        merge(store, "main", "other");
        merge(store, "other", "main");
    }
    keep_one(store, "main", 1);
    keep_one(store, "other", 1);
    time_base(store, "main", "other", &out[0]);
    time_base(store, "main", "old", &out[1]);
    ramet_close(store);
    files_remove(path);
}

/* Two that merge each other at the same time, again and again: what both had before are two bases,
 * and neither is better. */
static void base_of_crosses(const char *path, uint64_t versions, struct result *out)
{
    struct ramet_store *store = open_unflushed(path);
    char ref[32];
    keep_one(store, "main", 0);
    must(ramet_branch_create(store, "other", NULL));
    for (uint64_t i = 0; i < versions; i += 4) {
        uint64_t id = keep_one(store, "main", i);
        keep_one(store, "other", i);
        merge(store, "main", "other");
        (void)snprintf(ref, sizeof(ref), "@%llu", (unsigned long long)id);
        merge(store, "other", ref);
    }
    keep_one(store, "main", 1);
    keep_one(store, "other", 1);
    time_base(store, "main", "other", out);
    ramet_close(store);
    files_remove(path);
}

void versions_bases(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    base_of_arms(b->path, b->bytes, &out[0]);
    base_of_tasks(b->path, b->bytes, &out[1]);
    base_of_ladder(b->path, b->bytes, &out[2]);
    base_of_crosses(b->path, b->bytes / 100, &out[4]); /* each merge takes as many as went before */
}

/* ---- many branches --------------------------------------------------------------------------- */

static int count_one(void *ctx, const struct ramet_branch_info *info)
{
    (void)info;
    ++*(uint64_t *)ctx;
    return 0;
}

void versions_many(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    struct ramet_store *store = open_unflushed(b->path);
    uint64_t listed = 0;
    char name[32];
    keep_one(store, "main", 0);
    struct stopwatch begin = stopwatch_now();
    for (uint64_t i = 0; i < b->bytes; i++) {
        (void)snprintf(name, sizeof(name), "b%06llu", (unsigned long long)i);
        must(ramet_branch_create(store, name, NULL));
    }
    per_operation(&out[0], stopwatch_since(begin), b->bytes);
    begin = stopwatch_now();
    must(ramet_branch_list(store, count_one, &listed));
    per_operation(&out[1], stopwatch_since(begin), b->bytes);
    if (listed != b->bytes + 1)
        die("there are %llu branches", (unsigned long long)listed);
    begin = stopwatch_now();
    for (uint64_t i = 0; i < b->bytes; i++) {
        (void)snprintf(name, sizeof(name), "b%06llu", (unsigned long long)i);
        must(ramet_branch_delete(store, name));
    }
    per_operation(&out[2], stopwatch_since(begin), b->bytes);
    ramet_close(store);
    files_remove(b->path);
}
