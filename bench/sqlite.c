/* SPDX-License-Identifier: MIT */
/*
 * sqlite.c - SQLite as a peer, set up as its documentation advises.
 *
 * WAL mode; a WITHOUT ROWID table, which is what its documentation has for small rows with keys
 * that are no integers; prepared statements; a connection for each thread; a page cache that holds
 * all, and memory-mapped reads. Durable: synchronous=FULL, which in WAL mode flushes the log at
 * each commit (NORMAL does not). Not flushed: synchronous=OFF.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define WAIT_MS 600000 /* for another writer */

struct peer {
    char path[4096];
    struct setup setup;
};

enum { BEGIN_READ, BEGIN_WRITE, COMMIT, PUT, GET_ONE, ALL, FROM, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [BEGIN_READ] = "BEGIN",
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [PUT] = "REPLACE INTO bench VALUES (?1, ?2)",
    [GET_ONE] = "SELECT v FROM bench WHERE k = ?1",
    [ALL] = "SELECT k, v FROM bench ORDER BY k",
    [FROM] = "SELECT k, v FROM bench WHERE k >= ?1 ORDER BY k LIMIT ?2",
};

struct session {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

static void must(struct session *s, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        die("SQLite: %s", sqlite3_errmsg(s->db));
}

static struct peer *peer_open(const char *path, const struct setup *setup)
{
    struct peer *peer = allocate(sizeof(*peer));
    (void)snprintf(peer->path, sizeof(peer->path), "%s", path);
    peer->setup = *setup;
    return peer;
}

static void peer_close(struct peer *peer)
{
    free(peer);
}

/* A statement to its end; once. */
static void run(struct session *s, int statement)
{
    sqlite3_stmt *stmt = s->statements[statement];
    must(s, sqlite3_step(stmt));
    must(s, sqlite3_reset(stmt));
}

static struct session *session_open(struct peer *peer, unsigned line)
{
    struct session *s = allocate(sizeof(*s));
    char setup[512];
    (void)line;
    (void)snprintf(setup, sizeof(setup),
                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = %s; PRAGMA cache_size = -%llu;"
                   "PRAGMA mmap_size = %llu;"
                   "CREATE TABLE IF NOT EXISTS bench (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID",
                   peer->setup.durable ? "FULL" : "OFF",
                   (unsigned long long)peer->setup.cache_bytes >> 10,
                   (unsigned long long)peer->setup.cache_bytes);
    must(s,
         sqlite3_open_v2(peer->path, &s->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    must(s, sqlite3_busy_timeout(s->db, WAIT_MS));
    must(s, sqlite3_exec(s->db, setup, NULL, NULL, NULL));
    for (int i = 0; i < STATEMENTS; i++)
        must(s, sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                   &s->statements[i], NULL));
    return s;
}

static void session_close(struct session *s)
{
    for (int i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(s->statements[i]);
    must(s, sqlite3_close(s->db));
    free(s);
}

static void bind_key(struct session *s, sqlite3_stmt *stmt, const struct entries *e, uint32_t i)
{
    must(s, sqlite3_bind_blob(stmt, 1, entry_key(e, i), (int)entry_key_size(e, i), SQLITE_STATIC));
}

static void load_batches(struct session *s, const struct load *load)
{
    const struct entries *e = load->entries;
    sqlite3_stmt *put = s->statements[PUT];
    for (size_t at = 0; at < load->count;) {
        run(s, BEGIN_WRITE);
        for (size_t n = 0; n < load->batch && at < load->count; n++, at++) {
            uint32_t i = load->order[at];
            bind_key(s, put, e, i);
            must(s, sqlite3_bind_blob(put, 2, entry_value(e, i, load->salt), VALUE_SIZE,
                                      SQLITE_STATIC));
            run(s, PUT);
        }
        run(s, COMMIT);
    }
}

static uint64_t column(sqlite3_stmt *stmt, int i)
{
    const void *data = sqlite3_column_blob(stmt, i);
    return touch(data, (size_t)sqlite3_column_bytes(stmt, i));
}

static uint64_t gets(struct session *s, const struct entries *e, const uint32_t *order,
                     size_t count)
{
    sqlite3_stmt *stmt = s->statements[GET_ONE];
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        bind_key(s, stmt, e, order[i]);
        if (sqlite3_step(stmt) != SQLITE_ROW)
            die("SQLite: a key is not there: %s", sqlite3_errmsg(s->db));
        sum += column(stmt, 0);
        must(s, sqlite3_reset(stmt));
    }
    return sum;
}

/* The version is that of the first read, not of BEGIN. */
static void read_begin(struct session *s)
{
    run(s, BEGIN_READ);
    must(s, sqlite3_step(s->statements[ALL]));
    must(s, sqlite3_reset(s->statements[ALL]));
}

static void read_end(struct session *s)
{
    run(s, COMMIT);
}

static uint64_t rows_of(struct session *s, sqlite3_stmt *stmt, size_t *count)
{
    uint64_t sum = 0;
    int rc;
    for (; (rc = sqlite3_step(stmt)) == SQLITE_ROW; ++*count)
        sum += column(stmt, 0) + column(stmt, 1);
    must(s, rc);
    must(s, sqlite3_reset(stmt));
    return sum;
}

static uint64_t scan(struct session *s, size_t *out_count)
{
    *out_count = 0;
    return rows_of(s, s->statements[ALL], out_count);
}

static uint64_t range(struct session *s, const struct entries *e, const uint32_t *order,
                      size_t count)
{
    sqlite3_stmt *stmt = s->statements[FROM];
    uint64_t sum = 0;
    size_t nr = 0;
    must(s, sqlite3_bind_int(stmt, 2, RANGE_LEN));
    for (size_t i = 0; i < count; i++) {
        bind_key(s, stmt, e, order[i]);
        sum += rows_of(s, stmt, &nr);
    }
    return sum;
}

const struct peer_ops peer_sqlite = {
    .name = "SQLite",
    .version = sqlite3_libversion,
    .open = peer_open,
    .close = peer_close,
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
