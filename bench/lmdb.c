/* SPDX-License-Identifier: MIT */
/*
 * lmdb.c - LMDB as a peer, set up as its documentation advises.
 *
 * One file (MDB_NOSUBDIR) with its one unnamed database; a map larger than it will need; MDB_APPEND
 * by cursor for sorted input; one read transaction and one cursor for many reads; where commits are
 * not flushed, MDB_NOSYNC. (That promises less than ramet's RAMET_NONE: a crash of the machine may
 * corrupt the file. There is no mode of LMDB between the two.)
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

struct peer {
    MDB_env *env;
    MDB_dbi dbi;
};

struct session {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn; /* the read transaction */
    MDB_cursor *cursor;
};

static void must(int rc)
{
    if (rc != 0)
        die("LMDB: %s", mdb_strerror(rc));
}

static MDB_val key_of(const struct entries *e, uint32_t i)
{
    MDB_val key = {entry_key_size(e, i), (void *)(uintptr_t)entry_key(e, i)};
    return key;
}

static const char *version(void)
{
    static char text[32];
    int major, minor, patch;
    (void)mdb_version(&major, &minor, &patch);
    (void)snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
    return text;
}

static struct peer *lmdb_open(const char *path, const struct setup *setup)
{
    struct peer *peer = allocate(sizeof(*peer));
    unsigned flags = MDB_NOSUBDIR | (setup->durable ? 0 : MDB_NOSYNC);
    MDB_txn *txn;
    must(mdb_env_create(&peer->env));
    must(mdb_env_set_mapsize(peer->env, (setup->bytes_max + 0xffff) & ~(uint64_t)0xffff));
    must(mdb_env_open(peer->env, path, flags, 0644));
    must(mdb_txn_begin(peer->env, NULL, 0, &txn));
    must(mdb_dbi_open(txn, NULL, 0, &peer->dbi));
    must(mdb_txn_commit(txn));
    return peer;
}

static void lmdb_close(struct peer *peer)
{
    mdb_env_close(peer->env);
    free(peer);
}

static struct session *lmdb_session_open(struct peer *peer, unsigned line)
{
    struct session *s = allocate(sizeof(*s));
    (void)line;
    s->env = peer->env;
    s->dbi = peer->dbi;
    return s;
}

static void lmdb_session_close(struct session *s)
{
    free(s);
}

static void lmdb_load(struct session *s, const struct load *load)
{
    const struct entries *e = load->entries;
    for (size_t at = 0; at < load->count;) {
        MDB_txn *txn;
        MDB_cursor *cursor = NULL;
        must(mdb_txn_begin(s->env, NULL, 0, &txn));
        if (load->append)
            must(mdb_cursor_open(txn, s->dbi, &cursor));
        for (size_t n = 0; n < load->batch && at < load->count; n++, at++) {
            uint32_t i = load->order[at];
            MDB_val key = key_of(e, i);
            MDB_val value = {VALUE_SIZE, (void *)(uintptr_t)entry_value(e, i, load->salt)};
            if (load->append)
                must(mdb_cursor_put(cursor, &key, &value, MDB_APPEND));
            else
                must(mdb_put(txn, s->dbi, &key, &value, 0));
        }
        if (load->append)
            mdb_cursor_close(cursor);
        must(mdb_txn_commit(txn));
    }
}

static void lmdb_read_begin(struct session *s)
{
    must(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->txn));
    must(mdb_cursor_open(s->txn, s->dbi, &s->cursor));
}

static void lmdb_read_end(struct session *s)
{
    mdb_cursor_close(s->cursor);
    mdb_txn_abort(s->txn);
}

static uint64_t lmdb_gets(struct session *s, const struct entries *e, const uint32_t *order,
                          size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        MDB_val key = key_of(e, order[i]), value;
        must(mdb_get(s->txn, s->dbi, &key, &value));
        sum += touch(value.mv_data, value.mv_size);
    }
    return sum;
}

static uint64_t lmdb_gets_fresh(struct session *s, const struct entries *e, const uint32_t *order,
                                size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        MDB_val key = key_of(e, order[i]), value;
        mdb_txn_reset(s->txn);
        must(mdb_txn_renew(s->txn));
        must(mdb_get(s->txn, s->dbi, &key, &value));
        sum += touch(value.mv_data, value.mv_size);
    }
    return sum;
}

static uint64_t lmdb_scan(struct session *s, size_t *out_count)
{
    MDB_val key, value;
    uint64_t sum = 0;
    size_t count = 0;
    int rc = mdb_cursor_get(s->cursor, &key, &value, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(s->cursor, &key, &value, MDB_NEXT), count++)
        sum += touch(key.mv_data, key.mv_size) + touch(value.mv_data, value.mv_size);
    if (rc != MDB_NOTFOUND)
        must(rc);
    *out_count = count;
    return sum;
}

static uint64_t lmdb_range(struct session *s, const struct entries *e, const uint32_t *order,
                           size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        MDB_val key = key_of(e, order[i]), value;
        int rc = mdb_cursor_get(s->cursor, &key, &value, MDB_SET_RANGE);
        for (size_t n = 0; rc == 0 && n < RANGE_LEN; n++) {
            sum += touch(key.mv_data, key.mv_size) + touch(value.mv_data, value.mv_size);
            if (n + 1 < RANGE_LEN)
                rc = mdb_cursor_get(s->cursor, &key, &value, MDB_NEXT);
        }
        if (rc != MDB_NOTFOUND)
            must(rc);
    }
    return sum;
}

const struct peer_ops peer_lmdb = {
    .name = "LMDB",
    .version = version,
    .open = lmdb_open,
    .close = lmdb_close,
    .session_open = lmdb_session_open,
    .session_close = lmdb_session_close,
    .load = lmdb_load,
    .read_begin = lmdb_read_begin,
    .read_end = lmdb_read_end,
    .get = lmdb_gets,
    .get_many = lmdb_gets, /* one by one: there is no other call */
    .get_fresh = lmdb_gets_fresh,
    .range = lmdb_range,
    .scan = lmdb_scan,
    .maps = &maps_lmdb,
};
