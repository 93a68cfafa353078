/* SPDX-License-Identifier: MIT */
/* ramet.c - ramet as a peer: one map in one branch. */
#include <errno.h>
#include <ramet.h>
#include <stdio.h>
#include <stdlib.h>

#include "alone.h"
#include "bench.h"

struct peer {
    struct ramet_store *store;
};

struct session {
    struct ramet_store *store;
    char branch[16];
    struct ramet_txn *txn; /* the read transaction */
    struct ramet_map *map; /* in it */
    struct ramet_cursor *cursor;
};

static struct ramet_slice slice(const void *data, size_t size)
{
    struct ramet_slice s = {data, size};
    return s;
}

static struct ramet_slice key_of(const struct entries *e, uint32_t i)
{
    return slice(entry_key(e, i), entry_key_size(e, i));
}

static struct peer *ramet_peer_open(const char *path, const struct setup *setup)
{
    struct ramet_options options = {.size = sizeof(options),
                                    .durability = setup->durable ? RAMET_FULL : RAMET_NONE};
    struct peer *peer = allocate(sizeof(*peer));
    must(ramet_open(path, &options, &peer->store));
    return peer;
}

static void ramet_peer_close(struct peer *peer)
{
    ramet_close(peer->store);
    free(peer);
}

static struct session *ramet_session_open(struct peer *peer, unsigned line)
{
    struct session *s = allocate(sizeof(*s));
    s->store = peer->store;
    (void)snprintf(s->branch, sizeof(s->branch), "main");
    if (line > 0) {
        (void)snprintf(s->branch, sizeof(s->branch), "line%u", line);
        int rc = ramet_branch_create(s->store, s->branch, NULL);
        if (rc != -EEXIST)
            must(rc);
    }
    return s;
}

static void ramet_session_close(struct session *s)
{
    free(s);
}

static void ramet_load(struct session *s, const struct load *load)
{
    const struct entries *e = load->entries;
    unsigned flags = load->append ? RAMET_APPEND : 0;
    for (size_t at = 0; at < load->count;) {
        struct ramet_txn *txn;
        struct ramet_map *map;
        must(ramet_begin(s->store, s->branch, RAMET_WRITE, &txn));
        must(ramet_map_open(txn, "bench", RAMET_CREATE, &map));
        for (size_t n = 0; n < load->batch && at < load->count; n++, at++) {
            uint32_t i = load->order[at];
            struct ramet_slice value = slice(entry_value(e, i, load->salt), VALUE_SIZE);
            must(ramet_put(map, key_of(e, i), value, flags));
        }
        must(ramet_commit(txn, NULL, NULL));
    }
}

static void ramet_read_begin(struct session *s)
{
    must(ramet_begin(s->store, s->branch, RAMET_READ, &s->txn));
    must(ramet_map_open(s->txn, "bench", 0, &s->map));
    must(ramet_cursor_open(s->map, &s->cursor));
}

static void ramet_read_end(struct session *s)
{
    ramet_abort(s->txn);
}

static uint64_t ramet_gets(struct session *s, const struct entries *e, const uint32_t *order,
                           size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct ramet_slice value;
        must(ramet_get(s->map, key_of(e, order[i]), &value));
        sum += touch(value.data, value.size);
    }
    return sum;
}

static uint64_t ramet_gets_many(struct session *s, const struct entries *e, const uint32_t *order,
                                size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i += MANY) {
        struct ramet_slice keys[MANY], values[MANY];
        size_t n = count - i < MANY ? count - i : MANY;
        for (size_t k = 0; k < n; k++)
            keys[k] = key_of(e, order[i + k]);
        must(ramet_get_many(s->map, n, keys, values));
        for (size_t k = 0; k < n; k++)
            sum += touch(values[k].data, values[k].size);
    }
    return sum;
}

static uint64_t ramet_gets_fresh(struct session *s, const struct entries *e, const uint32_t *order,
                                 size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        struct ramet_slice value;
        must(ramet_refresh(s->txn));
        must(ramet_get(s->map, key_of(e, order[i]), &value));
        sum += touch(value.data, value.size);
    }
    return sum;
}

static uint64_t ramet_scan(struct session *s, size_t *out_count)
{
    struct ramet_slice key, value;
    uint64_t sum = 0;
    size_t count = 0;
    int rc = ramet_cursor_first(s->cursor);
    for (; rc == 0; rc = ramet_cursor_next(s->cursor), count++) {
        must(ramet_cursor_get(s->cursor, &key, &value));
        sum += touch(key.data, key.size) + touch(value.data, value.size);
    }
    if (rc != RAMET_ENOTFOUND)
        must(rc);
    *out_count = count;
    return sum;
}

static uint64_t ramet_range(struct session *s, const struct entries *e, const uint32_t *order,
                            size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        int rc = ramet_cursor_seek(s->cursor, key_of(e, order[i]));
        for (size_t n = 0; rc == 0 && n < RANGE_LEN; n++) {
            struct ramet_slice key, value;
            must(ramet_cursor_get(s->cursor, &key, &value));
            sum += touch(key.data, key.size) + touch(value.data, value.size);
            if (n + 1 < RANGE_LEN)
                rc = ramet_cursor_next(s->cursor);
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
    .session_open = ramet_session_open,
    .session_close = ramet_session_close,
    .load = ramet_load,
    .read_begin = ramet_read_begin,
    .read_end = ramet_read_end,
    .get = ramet_gets,
    .get_many = ramet_gets_many,
    .get_fresh = ramet_gets_fresh,
    .range = ramet_range,
    .scan = ramet_scan,
    .maps = &maps_ramet,
};
