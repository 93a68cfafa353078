/* SPDX-License-Identifier: MIT */
/* branches.c - what only ramet has: branches made, written to, dropped. */
#include <ramet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alone.h"
#include "bench.h"

#define BATCH 10000
#define NUMBER_SIZE 16
#define BRANCHES 100

static struct ramet_stat stat_of(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat;
}

/* ---- a store of a size ----------------------------------------------------------------------- */

/* Keys that ascend with n: from, from + step, ... below to. */
static void put_numbers(struct ramet_store *store, const char *branch, uint64_t from, uint64_t to,
                        uint64_t step, unsigned flags)
{
    uint8_t key[NUMBER_SIZE] = {0}, value[VALUE_SIZE] = {0};
    struct ramet_txn *txn;
    struct ramet_map *map;
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "bench", RAMET_CREATE, &map));
    for (uint64_t n = from; n < to; n += step) {
        struct ramet_slice k = {key, NUMBER_SIZE}, v = {value, VALUE_SIZE};
        for (int i = 0; i < 8; i++)
            key[i] = (uint8_t)(n >> (56 - 8 * i));
        value[0]++;
        must(ramet_put(map, k, v, flags));
    }
    must(ramet_commit(txn, NULL, NULL));
}

static uint64_t fill(struct ramet_store *store, uint64_t bytes)
{
    uint64_t count = bytes / (NUMBER_SIZE + VALUE_SIZE) + 1;
    for (uint64_t n = 0; n < count; n += BATCH)
        put_numbers(store, "main", n, n + BATCH < count ? n + BATCH : count, 1, RAMET_APPEND);
    must(ramet_sync(store));
    return count;
}

static void create(struct ramet_store *store, struct result *r)
{
    double cpu[BRANCHES], wall[BRANCHES];
    char name[32];
    for (uint64_t i = 0; i < BRANCHES; i++) {
        put_numbers(store, "main", i, i + 1, 1, 0); /* so that there is a new head */
        (void)snprintf(name, sizeof(name), "b%u", (unsigned)i);
        uint64_t before = stat_of(store).data_bytes, flushes = flushes_count();
        struct stopwatch begin = stopwatch_now();
        must(ramet_branch_create(store, name, NULL));
        struct stopwatch took = stopwatch_since(begin);
        struct ramet_stat stat = stat_of(store);
        r->flushes += (double)(flushes_count() - flushes) / BRANCHES;
        r->pages += (stat.data_bytes - before) / stat.page_size;
        cpu[i] = took.cpu_ns;
        wall[i] = took.wall_ns;
    }
    r->bytes = stat_of(store).data_bytes;
    r->cpu_ns = median(cpu, BRANCHES);
    r->wall_ns = r->median_ns = median(wall, BRANCHES);
    for (unsigned i = 0; i < BRANCHES; i++) {
        (void)snprintf(name, sizeof(name), "b%u", i);
        must(ramet_branch_delete(store, name));
    }
    must(ramet_reclaim(store, 0, NULL));
}

static int find_owned(void *ctx, const struct ramet_branch_info *info)
{
    if (strcmp(info->name, "dropped") == 0)
        *(uint64_t *)ctx = info->owned_bytes;
    return 0;
}

/* CPU time of a page given back. One entry of every 20 is written: every leaf has some. */
static void drop(struct ramet_store *store, uint64_t entries, size_t pages, struct result *r)
{
    uint64_t owned = 0, per_page = 20, nr = pages * per_page < entries ? pages * per_page : entries;
    must(ramet_branch_create(store, "dropped", NULL));
    put_numbers(store, "dropped", 0, nr, per_page, 0);
    must(ramet_branch_list(store, find_owned, &owned));
    r->pages = owned / stat_of(store).page_size;
    struct stopwatch begin = stopwatch_now();
    must(ramet_branch_delete(store, "dropped"));
    must(ramet_reclaim(store, 0, NULL));
    per_operation(r, stopwatch_since(begin), r->pages);
}

void branches_measure(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    struct ramet_store *store = open_unflushed(b->path);
    uint64_t entries = fill(store, b->bytes);
    create(store, &out[0]);
    for (size_t i = 0; i < DROPS; i++)
        drop(store, entries, drop_pages[i], &out[1 + i]);
    ramet_close(store);
    files_remove(b->path);
}

/* ---- overwrites ------------------------------------------------------------------------------ */

static void overwrite(struct ramet_store *store, const char *branch, const struct load *load,
                      struct result *r)
{
    const struct entries *e = load->entries;
    struct stopwatch begin = stopwatch_now();
    for (size_t at = 0; at < load->count;) {
        struct ramet_txn *txn;
        struct ramet_map *map;
        must(ramet_begin(store, branch, RAMET_WRITE, &txn));
        must(ramet_map_open(txn, "bench", RAMET_CREATE, &map));
        for (size_t n = 0; n < load->batch && at < load->count; n++, at++) {
            uint32_t i = load->order[at];
            struct ramet_slice k = {entry_key(e, i), entry_key_size(e, i)};
            struct ramet_slice v = {entry_value(e, i, load->salt), VALUE_SIZE};
            must(ramet_put(map, k, v, 0));
        }
        must(ramet_commit(txn, NULL, NULL));
    }
    if (r)
        per_operation(r, stopwatch_since(begin), load->count);
}

void branches_overwrite(const void *sharing, struct result *out)
{
    const struct sharing *s = sharing;
    const struct entries *e = s->entries;
    struct ramet_store *store = open_unflushed(s->path);
    struct load load = {e, e->shuffled, e->count, 1000, 0, false};
    overwrite(store, "main", &load, NULL);
    load = (struct load){e, e->probes, e->count / 2, 1000, s->round + 1, false};
    overwrite(store, "main", &load, &out[0]);
    must(ramet_branch_create(store, "fresh", NULL));
    load.salt++;
    overwrite(store, "fresh", &load, &out[1]);
    ramet_close(store);
    files_remove(s->path);
}
