/* SPDX-License-Identifier: MIT */
/*
 * merges.c - merges, and optimistic transactions: of ramet; and the same merge by git.
 *
 * git has as many files as ramet entries, called by their keys and in 256 folders, as it does with
 * objects of its own; the same changes on both sides; and merges them without a working tree (git
 * merge-tree --write-tree): a process that is started, as people start it.
 */
#include <ramet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alone.h"
#include "bench.h"

#define CHANGES 100
#define BATCH 10000

/* ---- merges ---------------------------------------------------------------------------------- */

void merges_measure(const void *sharing, struct result *out)
{
    enum { TIMES = 20 };
    const struct sharing *s = sharing;
    const struct entries *e = s->entries;
    struct ramet_store *store = open_unflushed(s->path);
    double wall[TIMES];
    size_t step = e->count / CHANGES;
    for (size_t at = 0; at < e->count; at += BATCH)
        write_some(store, "main", e, at, 1, BATCH, 0);
    must(ramet_branch_create(store, "other", NULL));
    for (uint32_t i = 0; i < TIMES; i++) {
        struct ramet_merge_result result = {.size = sizeof(result)};
        size_t at = i % (step / 2); /* the two never change the same entry */
        write_some(store, "main", e, at, step, CHANGES, 2 * i + 1);
        write_some(store, "other", e, at + step / 2, step, CHANGES, 2 * i + 2);
        struct stopwatch begin = stopwatch_now();
        must(ramet_merge(store, "main", "other", NULL, &result));
        wall[i] = stopwatch_since(begin).wall_ns;
        if (result.changes != CHANGES || result.conflicts)
            die("a merge changed %llu entries", (unsigned long long)result.changes);
    }
    out->wall_ns = out->median_ns = median(wall, TIMES);
    ramet_close(store);
    files_remove(s->path);
}

static void run(const char *command)
{
    if (system(command) != 0)
        die("%s: it failed", command);
}

static FILE *begin_import(const char *folder)
{
    char command[4400];
    (void)snprintf(command, sizeof(command), "git -C %s fast-import --quiet", folder);
    FILE *f = popen(command, "w");
    if (!f)
        die("git fast-import");
    return f;
}

static void put_file(FILE *f, const struct entries *e, size_t i, unsigned salt)
{
    const uint8_t *key = entry_key(e, e->shuffled[i]);
    char name[64];
    for (size_t j = 0; j < 16; j++)
        (void)snprintf(name + 2 * j, sizeof(name) - 2 * j, "%02x", key[j]);
    fprintf(f, "M 100644 inline %.2s/%s\ndata <<END\n%0*zu\n%u\nEND\n", name, name + 2,
            VALUE_SIZE - 12, i, salt);
}

/* A commit of git that changes some files, or makes all. */
static void put_commit(FILE *f, const struct entries *e, const char *branch, const char *from,
                       size_t at, size_t step, unsigned salt)
{
    fprintf(f, "commit refs/heads/%s\ncommitter bench <bench@localhost> 1700000000 +0000\n",
            branch);
    fprintf(f, "data <<END\n%u\nEND\n", salt);
    if (from)
        fprintf(f, "from refs/heads/%s\n", from);
    for (size_t i = at; i < e->count; i += step)
        put_file(f, e, i, salt);
    fprintf(f, "\n");
}

bool merges_git_there(void)
{
    return system("git merge-tree -h 2>&1 | grep -q write-tree") == 0;
}

void merges_git(const void *sharing, struct result *out)
{
    enum { TIMES = 5 };
    const struct sharing *s = sharing;
    char command[8800];
    double wall[TIMES];
    const struct entries *e = s->entries;
    size_t step = e->count / CHANGES;
    (void)snprintf(command, sizeof(command), "git init -q --bare %s", s->path);
    run(command);
    FILE *f = begin_import(s->path);
    put_commit(f, e, "main", NULL, 0, 1, 0);
    put_commit(f, e, "other", "main", step / 2, step, 1);
    put_commit(f, e, "main", NULL, 0, step, 2); /* on what it is */
    if (pclose(f) != 0)
        die("git fast-import failed");
    (void)snprintf(command, sizeof(command),
                   "git -C %s merge-tree --write-tree main other >/dev/null", s->path);
    run(command); /* once to warm the caches */
    for (size_t i = 0; i < TIMES; i++) {
        struct stopwatch begin = stopwatch_now();
        run(command);
        wall[i] = stopwatch_since(begin).wall_ns;
    }
    out->wall_ns = out->median_ns = median(wall, TIMES);
    folder_remove(s->path);
}

/* ---- optimistic transactions ----------------------------------------------------------------- */

/* head_moves: another commits while it is open, which is not timed. */
static double one_transaction(struct ramet_store *store, const struct entries *e, unsigned flags,
                              size_t at, size_t puts, bool head_moves)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct stopwatch begin = stopwatch_now();
    must(ramet_begin(store, "main", RAMET_WRITE | flags, &txn));
    must(ramet_map_open(txn, "bench", 0, &map));
    for (size_t n = 0; n < puts; n++) {
        uint32_t i = e->shuffled[(at + n) % e->count];
        struct ramet_slice k = {entry_key(e, i), entry_key_size(e, i)};
        struct ramet_slice v = {entry_value(e, i, (uint32_t)at), VALUE_SIZE};
        must(ramet_put(map, k, v, 0));
    }
    double wall = stopwatch_since(begin).wall_ns;
    if (head_moves)
        write_some(store, "main", e, (at + puts) % e->count, 1, 1, (uint32_t)at);
    begin = stopwatch_now();
    must(ramet_commit(txn, NULL, NULL));
    return wall + stopwatch_since(begin).wall_ns;
}

void merges_optimistic(const void *sharing, struct result *out)
{
    enum { TIMES = 101 };
    const struct sharing *s = sharing;
    const struct entries *e = s->entries;
    const size_t puts[] = {1, 1000};
    struct ramet_store *store = open_unflushed(s->path);
    double wall[TIMES];
    size_t at = 0;
    for (; at < e->count; at += BATCH)
        write_some(store, "main", e, at, 1, BATCH, 0);
    for (size_t i = 0; i < OPTIMISTIC_RESULTS; i++) {
        unsigned flags = i % 3 ? RAMET_OPTIMISTIC : 0;
        for (size_t j = 0; j < TIMES; j++, at += 2 * puts[i / 3])
            wall[j] = one_transaction(store, e, flags, at % e->count, puts[i / 3], i % 3 == 2);
        out[i].wall_ns = out[i].median_ns = median(wall, TIMES);
    }
    ramet_close(store);
    files_remove(s->path);
}
