/* SPDX-License-Identifier: MIT */
/*
 * wiredtiger.c - WiredTiger as a peer, set up as its documentation advises for a durable store.
 *
 * A table (a B-tree) in a folder, with a log for the durability of commits and a checkpoint now and
 * then; a cache that holds all; snapshot isolation; a session and a cursor for each thread.
 * Durable: transaction_sync with method fsync; not flushed: method none, which writes the log at
 * each commit and does not flush it. No compression, which is the default.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <wiredtiger.h>

#include "bench.h"

#define TABLE "table:bench"

struct peer {
    WT_CONNECTION *connection;
};

struct session {
    WT_SESSION *wt;
    WT_CURSOR *cursor;
};

static void must(int rc)
{
    if (rc != 0)
        die("WiredTiger: %s", wiredtiger_strerror(rc));
}

static const char *version(void)
{
    static char text[32];
    int major, minor, patch;
    (void)wiredtiger_version(&major, &minor, &patch);
    (void)snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
    return text;
}

static struct peer *peer_open(const char *path, const struct setup *setup)
{
    struct peer *peer = allocate(sizeof(*peer));
    char config[512];
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        die("WiredTiger: %s: %s", path, strerror(errno));
    (void)snprintf(config, sizeof(config),
                   "create,cache_size=%llu,checkpoint=(wait=60,log_size=1GB),log=(enabled=true),"
                   "transaction_sync=(enabled=true,method=%s)",
                   (unsigned long long)setup->cache_bytes, setup->durable ? "fsync" : "none");
    must(wiredtiger_open(path, NULL, config, &peer->connection));
    return peer;
}

static void peer_close(struct peer *peer)
{
    must(peer->connection->close(peer->connection, NULL));
    free(peer);
}

/* Pages are written by checkpoints alone: on the account of who changed them. */
static void settle(struct peer *peer)
{
    WT_SESSION *wt;
    must(peer->connection->open_session(peer->connection, NULL, NULL, &wt));
    must(wt->checkpoint(wt, NULL));
    must(wt->close(wt, NULL));
}

static struct session *session_open(struct peer *peer, unsigned line)
{
    struct session *s = allocate(sizeof(*s));
    (void)line;
    must(peer->connection->open_session(peer->connection, NULL, "isolation=snapshot", &s->wt));
    must(s->wt->create(s->wt, TABLE, "key_format=u,value_format=u"));
    must(s->wt->open_cursor(s->wt, TABLE, NULL, NULL, &s->cursor));
    return s;
}

static void session_close(struct session *s)
{
    must(s->wt->close(s->wt, NULL));
    free(s);
}

static void set_key(struct session *s, const struct entries *e, uint32_t i)
{
    WT_ITEM key = {.data = entry_key(e, i), .size = entry_key_size(e, i)};
    s->cursor->set_key(s->cursor, &key);
}

/* A transaction; WT_ROLLBACK: it met another one on the same key, and is to be done again. */
static int try_batch(struct session *s, const struct load *load, size_t at, size_t count)
{
    const struct entries *e = load->entries;
    must(s->wt->begin_transaction(s->wt, NULL));
    for (size_t n = 0; n < count; n++) {
        uint32_t i = load->order[at + n];
        WT_ITEM value = {.data = entry_value(e, i, load->salt), .size = VALUE_SIZE};
        set_key(s, e, i);
        s->cursor->set_value(s->cursor, &value);
        int rc = s->cursor->insert(s->cursor);
        if (rc == WT_ROLLBACK) {
            must(s->wt->rollback_transaction(s->wt, NULL));
            return rc;
        }
        must(rc);
    }
    must(s->wt->commit_transaction(s->wt, NULL));
    return 0;
}

static void load_batches(struct session *s, const struct load *load)
{
    for (size_t at = 0; at < load->count;) {
        size_t left = load->count - at, n = left < load->batch ? left : load->batch;
        if (try_batch(s, load, at, n) == 0)
            at += n;
    }
}

static void read_begin(struct session *s)
{
    must(s->wt->begin_transaction(s->wt, NULL));
}

static void read_end(struct session *s)
{
    must(s->cursor->reset(s->cursor));
    must(s->wt->rollback_transaction(s->wt, NULL));
}

static uint64_t gets(struct session *s, const struct entries *e, const uint32_t *order,
                     size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        WT_ITEM value;
        set_key(s, e, order[i]);
        must(s->cursor->search(s->cursor));
        must(s->cursor->get_value(s->cursor, &value));
        sum += touch(value.data, value.size);
    }
    return sum;
}

/* The entry at the cursor. */
static uint64_t take(WT_CURSOR *cursor)
{
    WT_ITEM key, value;
    must(cursor->get_key(cursor, &key));
    must(cursor->get_value(cursor, &value));
    return touch(key.data, key.size) + touch(value.data, value.size);
}

static uint64_t scan(struct session *s, size_t *out_count)
{
    WT_CURSOR *cursor = s->cursor;
    uint64_t sum = 0;
    size_t count = 0;
    int rc;
    must(cursor->reset(cursor));
    for (; (rc = cursor->next(cursor)) == 0; count++)
        sum += take(cursor);
    if (rc != WT_NOTFOUND)
        must(rc);
    *out_count = count;
    return sum;
}

static uint64_t range(struct session *s, const struct entries *e, const uint32_t *order,
                      size_t count)
{
    WT_CURSOR *cursor = s->cursor;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        int where, rc;
        set_key(s, e, order[i]);
        rc = cursor->search_near(cursor, &where);
        if (rc == 0 && where < 0)
            rc = cursor->next(cursor);
        for (size_t n = 0; rc == 0 && n < RANGE_LEN; n++) {
            sum += take(cursor);
            if (n + 1 < RANGE_LEN)
                rc = cursor->next(cursor);
        }
        if (rc != WT_NOTFOUND)
            must(rc);
    }
    return sum;
}

const struct peer_ops peer_wiredtiger = {
    .name = "WiredTiger",
    .version = version,
    .open = peer_open,
    .close = peer_close,
    .settle = settle,
    .session_open = session_open,
    .session_close = session_close,
    .load = load_batches,
    .read_begin = read_begin,
    .read_end = read_end,
    .get = gets,
    .get_many = gets, /* one by one: there is no other call */
    .range = range,
    .scan = scan,
};
