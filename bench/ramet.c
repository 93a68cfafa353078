/* SPDX-License-Identifier: MIT */
/* ramet.c - ramet as a peer: one map in one branch. */
#include <ramet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct peer {
    struct ramet_store *store;
    struct ramet_txn *txn; /* the read transaction */
    struct ramet_map *map; /* in it */
    struct ramet_cursor *cursor;
};

static void must(int64_t rc)
{
    if (rc < 0)
        die("ramet: %s", ramet_errmsg());
}

static struct ramet_slice slice(const void *data, size_t size)
{
    struct ramet_slice s = {data, size};
    return s;
}

static struct ramet_slice key_of(const struct entries *e, uint32_t i)
{
    return slice(entry_key(e, i), entry_key_size(e, i));
}

static struct peer *ramet_peer_open(const char *path, uint64_t bytes_max, bool durable)
{
    struct ramet_options options = {.size = sizeof(options),
                                    .durability = durable ? RAMET_FULL : RAMET_NONE};
    struct peer *peer = allocate(sizeof(*peer));
    (void)bytes_max;
    must(ramet_open(path, &options, &peer->store));
    return peer;
}

static void ramet_peer_close(struct peer *peer)
{
    ramet_close(peer->store);
    free(peer);
}

static void ramet_load(struct peer *peer, const struct load *load)
{
    const struct entries *e = load->entries;
    unsigned flags = load->append ? RAMET_APPEND : 0;
    for (size_t at = 0; at < load->count;) {
        struct ramet_txn *txn;
        struct ramet_map *map;
        must(ramet_begin(peer->store, NULL, RAMET_WRITE, &txn));
        must(ramet_map_open(txn, "bench", RAMET_CREATE, &map));
        for (size_t n = 0; n < load->batch && at < load->count; n++, at++) {
            uint32_t i = load->order[at];
            struct ramet_slice value = slice(entry_value(e, i, load->salt), VALUE_SIZE);
            must(ramet_put(map, key_of(e, i), value, flags));
        }
        must(ramet_commit(txn, NULL, NULL));
    }
}

static void ramet_read_begin(struct peer *peer)
{
    must(ramet_begin(peer->store, NULL, RAMET_READ, &peer->txn));
    must(ramet_map_open(peer->txn, "bench", 0, &peer->map));
    must(ramet_cursor_open(peer->map, &peer->cursor));
}

static void ramet_read_end(struct peer *peer)
{
    ramet_abort(peer->txn);
}

static uint64_t ramet_gets(struct peer *peer, const struct entries *e, const uint32_t *order,
                           size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct ramet_slice value;
        must(ramet_get(peer->map, key_of(e, order[i]), &value));
        sum += touch(value.data, value.size);
    }
    return sum;
}

static uint64_t ramet_gets_many(struct peer *peer, const struct entries *e, const uint32_t *order,
                                size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i += MANY) {
        struct ramet_slice keys[MANY], values[MANY];
        size_t n = count - i < MANY ? count - i : MANY;
        for (size_t k = 0; k < n; k++)
            keys[k] = key_of(e, order[i + k]);
        must(ramet_get_many(peer->map, n, keys, values));
        for (size_t k = 0; k < n; k++)
            sum += touch(values[k].data, values[k].size);
    }
    return sum;
}

static uint64_t ramet_scan(struct peer *peer, size_t *out_count)
{
    struct ramet_slice key, value;
    uint64_t sum = 0;
    size_t count = 0;
    int rc = ramet_cursor_first(peer->cursor);
    for (; rc == 0; rc = ramet_cursor_next(peer->cursor), count++) {
        must(ramet_cursor_get(peer->cursor, &key, &value));
        sum += touch(key.data, key.size) + touch(value.data, value.size);
    }
    if (rc != RAMET_ENOTFOUND)
        must(rc);
    *out_count = count;
    return sum;
}

static uint64_t ramet_range(struct peer *peer, const struct entries *e, const uint32_t *order,
                            size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = ramet_cursor_seek(peer->cursor, key_of(e, order[i]));
        for (size_t n = 0; rc == 0 && n < RANGE_LEN; n++) {
            struct ramet_slice key, value;
            must(ramet_cursor_get(peer->cursor, &key, &value));
            sum += touch(key.data, key.size) + touch(value.data, value.size);
            if (n + 1 < RANGE_LEN)
                rc = ramet_cursor_next(peer->cursor);
        }
        if (rc != RAMET_ENOTFOUND)
            must(rc);
    }
    return sum;
}

const struct peer_ops peer_ramet = {
    .name = "ramet",
    .version = ramet_version,
    .open = ramet_peer_open,
    .close = ramet_peer_close,
    .load = ramet_load,
    .read_begin = ramet_read_begin,
    .read_end = ramet_read_end,
    .get = ramet_gets,
    .get_many = ramet_gets_many,
    .scan = ramet_scan,
    .range = ramet_range,
};

/* ---- branches -------------------------------------------------------------------------------- */

#define BATCH 10000
#define NUMBER_SIZE 16

static struct ramet_store *open_unflushed(const char *path)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    struct ramet_store *store;
    must(ramet_open(path, &options, &store));
    return store;
}

/* Keys that ascend with n. */
static void number_key(uint8_t key[NUMBER_SIZE], uint64_t n)
{
    memset(key, 0, NUMBER_SIZE);
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(n >> (56 - 8 * i));
}

static void put_numbers(struct ramet_store *store, uint64_t from, uint64_t to, unsigned flags)
{
    uint8_t key[NUMBER_SIZE], value[VALUE_SIZE] = {0};
    struct ramet_txn *txn;
    struct ramet_map *map;
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "bench", RAMET_CREATE, &map));
    for (uint64_t n = from; n < to; n++) {
        number_key(key, n);
        value[0]++;
        must(ramet_put(map, slice(key, NUMBER_SIZE), slice(value, VALUE_SIZE), flags));
    }
    must(ramet_commit(txn, NULL, NULL));
}

void branching_load(const char *path, uint64_t size_bytes)
{
    struct ramet_store *store = open_unflushed(path);
    uint64_t count = size_bytes / (NUMBER_SIZE + VALUE_SIZE) + 1;
    for (uint64_t n = 0; n < count; n += BATCH)
        put_numbers(store, n, n + BATCH < count ? n + BATCH : count, RAMET_APPEND);
    must(ramet_sync(store));
    ramet_close(store);
}

static struct ramet_stat stat_of(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat;
}

void branching_run(const char *path, size_t count, struct branching *out)
{
    struct ramet_store *store = open_unflushed(path);
    double *cpu = allocate(count * sizeof(*cpu)), *wall = allocate(count * sizeof(*wall));
    char name[32];
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < count; i++) {
        put_numbers(store, i, i + 1, 0); /* so that there is a new head to branch from */
        (void)snprintf(name, sizeof(name), "b%zu", i);
        struct ramet_stat before = stat_of(store);
        uint64_t flushes = flushes_count();
        struct stopwatch begin = stopwatch_now();
        must(ramet_branch_create(store, name, NULL));
        struct stopwatch took = stopwatch_since(begin);
        out->flushes += flushes_count() - flushes;
        out->store_bytes = before.data_bytes;
        out->copied_pages += (stat_of(store).data_bytes - before.data_bytes) / before.page_size;
        cpu[i] = took.cpu_ns;
        wall[i] = took.wall_ns;
    }
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(name, sizeof(name), "b%zu", i);
        must(ramet_branch_delete(store, name));
    }
    out->cpu_ns = median(cpu, count);
    out->wall_ns = median(wall, count);
    free(cpu);
    free(wall);
    must(ramet_reclaim(store, 0, NULL));
    ramet_close(store);
}
