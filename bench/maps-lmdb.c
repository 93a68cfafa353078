/* SPDX-License-Identifier: MIT */
/*
 * maps-lmdb.c - LMDB as a map in memory: a file in /dev/shm, written in place (MDB_WRITEMAP) and
 * never flushed; numbers are MDB_INTEGERKEY. A thread keeps its read transaction, which is reset
 * and renewed to see the newest version.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "maps.h"

/* It grows by pages with each set while a version is held; of the file, what is used takes room. */
#define MAP_BYTES ((size_t)1 << 36)
#define ROOM ((uint64_t)4 << 30)

struct map {
    MDB_env *env;
    MDB_dbi dbi;
};

struct map_thread {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn; /* to read; reset, unless a version is held */
};

static void must(int rc)
{
    if (rc != 0)
        die("LMDB: %s", mdb_strerror(rc));
}

/* What it has on disk is gone with the process, however that ends. */
static void unlink_both(const char *path)
{
    char lock[4400];
    (void)snprintf(lock, sizeof(lock), "%s-lock", path);
    (void)unlink(path);
    (void)unlink(lock);
}

static bool in_memory(void)
{
    struct statvfs st;
    return access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &st) == 0 &&
           (uint64_t)st.f_bavail * st.f_frsize >= ROOM;
}

static struct map *map_open(const char *folder, const struct map_data *data)
{
    struct map *map = allocate(sizeof(*map));
    char path[4300];
    MDB_txn *txn;
    (void)snprintf(path, sizeof(path), "%s/ramet-bench-maps.%ld", in_memory() ? "/dev/shm" : folder,
                   (long)getpid());
    must(mdb_env_create(&map->env));
    must(mdb_env_set_mapsize(map->env, MAP_BYTES));
    must(mdb_env_open(map->env, path, MDB_NOSUBDIR | MDB_WRITEMAP | MDB_NOSYNC | MDB_NOTLS, 0600));
    unlink_both(path);
    must(mdb_txn_begin(map->env, NULL, 0, &txn));
    must(mdb_dbi_open(txn, NULL, data->kind == MAP_TEXTS ? 0 : MDB_INTEGERKEY, &map->dbi));
    must(mdb_txn_commit(txn));
    return map;
}

static void map_close(struct map *map)
{
    mdb_env_close(map->env);
    free(map);
}

static struct map_thread *thread_begin(struct map *map)
{
    struct map_thread *t = allocate(sizeof(*t));
    t->env = map->env;
    t->dbi = map->dbi;
    must(mdb_txn_begin(map->env, NULL, MDB_RDONLY, &t->txn));
    mdb_txn_reset(t->txn);
    return t;
}

static void thread_end(struct map_thread *t)
{
    mdb_txn_abort(t->txn);
    free(t);
}

static void hold(struct map_thread *t)
{
    must(mdb_txn_renew(t->txn));
}

static void release(struct map_thread *t)
{
    mdb_txn_reset(t->txn);
}

static MDB_val bytes_of(const void *data, size_t size)
{
    MDB_val val = {size, (void *)(uintptr_t)data};
    return val;
}

static uint64_t get_one(struct map_thread *t, MDB_val key)
{
    uint64_t number;
    MDB_val value;
    must(mdb_get(t->txn, t->dbi, &key, &value));
    memcpy(&number, value.mv_data, sizeof(number));
    return map_sum(number);
}

static uint64_t get(struct map_thread *t, const uint64_t *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        hold(t);
        sum += get_one(t, bytes_of(&keys[i], sizeof(keys[i])));
        release(t);
    }
    return sum;
}

static uint64_t get_held(struct map_thread *t, const uint64_t *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += get_one(t, bytes_of(&keys[i], sizeof(keys[i])));
    return sum;
}

static uint64_t get_texts(struct map_thread *t, const struct text *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        hold(t);
        sum += get_one(t, bytes_of(&keys[i], sizeof(keys[i])));
        release(t);
    }
    return sum;
}

/* One by one: there is no other call. */
static uint64_t get_texts_many(struct map_thread *t, const struct text *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += get_one(t, bytes_of(&keys[i], sizeof(keys[i])));
    return sum;
}

static void put(struct map_thread *t, MDB_txn *txn, MDB_val key, MDB_val value)
{
    must(mdb_put(txn, t->dbi, &key, &value, 0));
}

static void set_many(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt)
{
    MDB_txn *txn;
    must(mdb_txn_begin(t->env, NULL, 0, &txn));
    for (size_t i = 0; i < count; i++) {
        uint64_t value = map_value(keys[i], salt);
        put(t, txn, bytes_of(&keys[i], sizeof(keys[i])), bytes_of(&value, sizeof(value)));
    }
    must(mdb_txn_commit(txn));
}

static void set(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt)
{
    for (size_t i = 0; i < count; i++)
        set_many(t, &keys[i], 1, salt);
}

static void set_texts(struct map_thread *t, const struct text *keys, size_t count)
{
    MDB_txn *txn;
    must(mdb_txn_begin(t->env, NULL, 0, &txn));
    for (size_t i = 0; i < count; i++) {
        uint64_t value = map_value(keys[i].words[0], 0);
        put(t, txn, bytes_of(&keys[i], sizeof(keys[i])), bytes_of(&value, sizeof(value)));
    }
    must(mdb_txn_commit(txn));
}

static void set_strings(struct map_thread *t, const uint64_t *keys, size_t count)
{
    char string[STRING_MAX];
    MDB_txn *txn;
    must(mdb_txn_begin(t->env, NULL, 0, &txn));
    for (size_t i = 0; i < count; i++) {
        size_t size = map_string(keys[i], string);
        put(t, txn, bytes_of(&keys[i], sizeof(keys[i])), bytes_of(string, size));
    }
    must(mdb_txn_commit(txn));
}

const struct map_ops maps_lmdb = {
    .open = map_open,
    .close = map_close,
    .thread_begin = thread_begin,
    .thread_end = thread_end,
    .get = get,
    .hold = hold,
    .get_held = get_held,
    .release = release,
    .get_texts = get_texts,
    .get_texts_many = get_texts_many,
    .set = set,
    .set_many = set_many,
    .set_texts = set_texts,
    .set_strings = set_strings,
};
