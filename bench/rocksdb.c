/* SPDX-License-Identifier: MIT */
/*
 * rocksdb.c - RocksDB as a peer, set up as its "Setup Options and Basic Tuning" advises.
 *
 * A block cache that holds all, Bloom filters, blocks of 16 KiB, index and filter in the cache,
 * dynamic level sizes, background threads for both cores. No compression: values are random bytes,
 * and nobody else compresses. A batch is a WriteBatch. The log is written at each commit, and
 * flushed (sync) if commits are durable. Readers take a snapshot and get by pinned slices.
 */
#include <rocksdb/c.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

struct peer {
    rocksdb_t *db;
    rocksdb_column_family_handle_t *family; /* the only one, which batched reads must name */
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write;
    rocksdb_cache_t *cache;
};

struct session {
    struct peer *peer;
    rocksdb_readoptions_t *read;
    const rocksdb_snapshot_t *snapshot;
    rocksdb_iterator_t *cursor;
};

static void must(char *error)
{
    if (error)
        die("RocksDB: %s", error);
}

static const char *key_of(const struct entries *e, uint32_t i)
{
    return (const char *)entry_key(e, i);
}

static const char *version(void)
{
    return ROCKSDB_VERSION; /* meson.build has it */
}

static rocksdb_options_t *options_new(struct peer *peer, uint64_t cache_bytes)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_options_t *options = rocksdb_options_create();
    peer->cache = rocksdb_cache_create_lru(cache_bytes);
    rocksdb_block_based_options_set_block_cache(table, peer->cache);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom(10));
    rocksdb_block_based_options_set_block_size(table, 16 << 10);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_max_background_jobs(options, 4);
    rocksdb_options_set_bytes_per_sync(options, 1 << 20);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    return options;
}

static struct peer *peer_open(const char *path, const struct setup *setup)
{
    struct peer *peer = allocate(sizeof(*peer));
    const char *name = "default";
    char *error = NULL;
    peer->options = options_new(peer, setup->cache_bytes);
    const rocksdb_options_t *of_family = peer->options;
    peer->db = rocksdb_open_column_families(peer->options, path, 1, &name, &of_family,
                                            &peer->family, &error);
    must(error);
    peer->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(peer->write, setup->durable);
    return peer;
}

static void peer_close(struct peer *peer)
{
    rocksdb_column_family_handle_destroy(peer->family);
    rocksdb_close(peer->db);
    rocksdb_options_destroy(peer->options);
    rocksdb_writeoptions_destroy(peer->write);
    rocksdb_cache_destroy(peer->cache);
    free(peer);
}

static bool is_busy(struct peer *peer)
{
    static const char *const properties[] = {
        "rocksdb.mem-table-flush-pending",
        "rocksdb.compaction-pending",
        "rocksdb.num-running-flushes",
        "rocksdb.num-running-compactions",
    };
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
        uint64_t value = 0;
        if (rocksdb_property_int(peer->db, properties[i], &value) == 0 && value)
            return true;
    }
    return false;
}

/* What it left in memory and to compaction is on the account of who wrote it. Quiet for 50 ms is
 * idle: between two of its jobs nothing is pending for a moment. */
static void settle(struct peer *peer)
{
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    char *error = NULL;
    rocksdb_flush(peer->db, options, &error);
    must(error);
    rocksdb_flushoptions_destroy(options);
    for (int quiet = 0; quiet < 10; quiet = is_busy(peer) ? 0 : quiet + 1) {
        struct timespec pause = {0, 5000000};
        (void)nanosleep(&pause, NULL);
    }
}

static struct session *session_open(struct peer *peer, unsigned line)
{
    struct session *s = allocate(sizeof(*s));
    (void)line;
    s->peer = peer;
    return s;
}

static void session_close(struct session *s)
{
    free(s);
}

static void load_batches(struct session *s, const struct load *load)
{
    const struct entries *e = load->entries;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t at = 0; at < load->count;) {
        char *error = NULL;
        for (size_t n = 0; n < load->batch && at < load->count; n++, at++) {
            uint32_t i = load->order[at];
            rocksdb_writebatch_put(batch, key_of(e, i), entry_key_size(e, i),
                                   (const char *)entry_value(e, i, load->salt), VALUE_SIZE);
        }
        rocksdb_write(s->peer->db, s->peer->write, batch, &error);
        must(error);
        rocksdb_writebatch_clear(batch);
    }
    rocksdb_writebatch_destroy(batch);
}

static void read_begin(struct session *s)
{
    s->snapshot = rocksdb_create_snapshot(s->peer->db);
    s->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(s->read, s->snapshot);
    s->cursor = rocksdb_create_iterator(s->peer->db, s->read);
}

static void read_end(struct session *s)
{
    rocksdb_iter_destroy(s->cursor);
    rocksdb_readoptions_destroy(s->read);
    rocksdb_release_snapshot(s->peer->db, s->snapshot);
}

static uint64_t taken(rocksdb_pinnableslice_t *slice, char *error)
{
    must(error);
    if (!slice)
        die("RocksDB: a key is not there");
    size_t size;
    const char *value = rocksdb_pinnableslice_value(slice, &size);
    uint64_t sum = touch(value, size);
    rocksdb_pinnableslice_destroy(slice);
    return sum;
}

static uint64_t gets(struct session *s, const struct entries *e, const uint32_t *order,
                     size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        char *error = NULL;
        sum += taken(rocksdb_get_pinned(s->peer->db, s->read, key_of(e, order[i]),
                                        entry_key_size(e, order[i]), &error),
                     error);
    }
    return sum;
}

static uint64_t gets_many(struct session *s, const struct entries *e, const uint32_t *order,
                          size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i += MANY) {
        const char *keys[MANY];
        size_t sizes[MANY], n = count - i < MANY ? count - i : MANY;
        rocksdb_pinnableslice_t *values[MANY] = {0};
        char *errors[MANY] = {0};
        for (size_t k = 0; k < n; k++) {
            keys[k] = key_of(e, order[i + k]);
            sizes[k] = entry_key_size(e, order[i + k]);
        }
        rocksdb_batched_multi_get_cf(s->peer->db, s->read, s->peer->family, n, keys, sizes, values,
                                     errors, false);
        for (size_t k = 0; k < n; k++)
            sum += taken(values[k], errors[k]);
    }
    return sum;
}

/* The entry at the cursor. */
static uint64_t take(rocksdb_iterator_t *cursor)
{
    size_t key_size, value_size;
    const char *key = rocksdb_iter_key(cursor, &key_size);
    const char *value = rocksdb_iter_value(cursor, &value_size);
    return touch(key, key_size) + touch(value, value_size);
}

static void check_end(rocksdb_iterator_t *cursor)
{
    char *error = NULL;
    rocksdb_iter_get_error(cursor, &error);
    must(error);
}

static uint64_t scan(struct session *s, size_t *out_count)
{
    uint64_t sum = 0;
    size_t count = 0;
    rocksdb_iter_seek_to_first(s->cursor);
    for (; rocksdb_iter_valid(s->cursor); rocksdb_iter_next(s->cursor), count++)
        sum += take(s->cursor);
    check_end(s->cursor);
    *out_count = count;
    return sum;
}

static uint64_t range(struct session *s, const struct entries *e, const uint32_t *order,
                      size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        rocksdb_iter_seek(s->cursor, key_of(e, order[i]), entry_key_size(e, order[i]));
        for (size_t n = 0; n < RANGE_LEN && rocksdb_iter_valid(s->cursor); n++) {
            sum += take(s->cursor);
            if (n + 1 < RANGE_LEN)
                rocksdb_iter_next(s->cursor);
        }
        check_end(s->cursor);
    }
    return sum;
}

const struct peer_ops peer_rocksdb = {
    .name = "RocksDB",
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
    .get_many = gets_many,
    .range = range,
    .scan = scan,
};
