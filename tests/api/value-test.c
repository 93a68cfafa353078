/* SPDX-License-Identifier: MIT */
/*
 * value-test.c - values that are read and written in parts: case by case; and random programs of
 * puts, writes, deletes, savepoints, branches and reopening, compared byte for byte with arrays.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/args.h"
#include "api/fixture.h"

#define KIB 1024u
#define MIB (1024u * KIB)
#define RUN (256u * KIB) /* bytes of a run where pages have 4096 */

static const struct ramet_slice k = {"k", 1};

static void choose_path(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/ramet-value-%ld", (long)getpid());
    remove_store();
}

static int setup(void **state)
{
    (void)state;
    path[0] = 0;
    open_store(0);
    return 0;
}

static int setup_file(void **state)
{
    (void)state;
    choose_path();
    open_store(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ramet_close(store);
    remove_store();
    return 0;
}

static struct ramet_map *begin(const char *ref, unsigned flags, struct ramet_txn **out)
{
    struct ramet_map *map;
    MUST(ramet_begin(store, ref, flags, out));
    MUST(ramet_map_open(*out, "m", flags & RAMET_WRITE ? RAMET_CREATE : 0, &map));
    return map;
}

static uint8_t *bytes_new(size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t r = random_next(&chance_state);
        memcpy(bytes + i, &r, size - i < 8 ? size - i : 8);
    }
    return bytes;
}

static struct ramet_slice slice(const void *data, size_t size)
{
    struct ramet_slice s = {data, size};
    return s;
}

/* ---- comparing ------------------------------------------------------------------------------- */

struct seeing {
    const uint8_t *bytes;
    uint64_t at;
    uint64_t largest;
};

static int see(void *ctx, uint64_t off, struct ramet_slice piece)
{
    struct seeing *seeing = ctx;
    assert_int_equal(off, seeing->at);
    assert_true(piece.size > 0);
    assert_memory_equal(piece.data, seeing->bytes + off, piece.size);
    seeing->at += piece.size;
    seeing->largest = piece.size > seeing->largest ? piece.size : seeing->largest;
    return 0;
}

/* A part of the value, in both ways. */
static void has_part(struct ramet_map *map, struct ramet_slice key, const uint8_t *bytes,
                     uint64_t size, uint64_t off, uint64_t len)
{
    uint64_t whole, n = off >= size ? 0 : len < size - off ? len : size - off;
    uint8_t *got = malloc(len + 1);
    assert_non_null(got);
    int64_t rc = ramet_read(map, key, off, got, len, &whole);
    MUST(rc);
    assert_int_equal(rc, n);
    assert_int_equal(whole, size);
    assert_memory_equal(got, bytes + (n ? off : 0), n);
    free(got);
    struct seeing seeing = {bytes, off, 0};
    MUST(ramet_get_pieces(map, key, off, len, see, &seeing));
    assert_int_equal(seeing.at, off + n);
}

static void has(struct ramet_map *map, struct ramet_slice key, const uint8_t *bytes, uint64_t size)
{
    struct ramet_slice value;
    MUST(ramet_get(map, key, &value));
    assert_int_equal(value.size, size);
    assert_memory_equal(value.data, bytes, size);
    has_part(map, key, bytes, size, 0, size);
}

/* ---- case by case ---------------------------------------------------------------------------- */

static void refuses_bad_arguments(void **state)
{
    (void)state;
    struct ramet_txn *txn;
    struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
    struct ramet_slice empty = {NULL, 0}, value;
    struct seeing seeing = {NULL, 0, 0};
    assert_int_equal(ramet_write(map, k, 0, "x", 1), RAMET_ENOTFOUND);
    assert_int_equal(ramet_get_pieces(map, k, 0, 1, see, &seeing), RAMET_ENOTFOUND);
    MUST(ramet_put(map, k, slice("abc", 3), 0));
    assert_int_equal(ramet_write(map, empty, 0, "x", 1), -EINVAL);
    assert_int_equal(ramet_write(map, k, 0, NULL, 1), -EINVAL);
    assert_int_equal(ramet_write(NULL, k, 0, "x", 1), -EINVAL);
    assert_int_equal(ramet_get_pieces(map, empty, 0, 1, see, &seeing), -EINVAL);
    assert_int_equal(ramet_get_pieces(map, k, 0, 1, NULL, NULL), -EINVAL);
    assert_int_equal(ramet_write(map, k, RAMET_VALUE_MAX, "x", 1), -EFBIG);
    assert_int_equal(ramet_write(map, k, UINT64_MAX, "x", 1), -EFBIG);
    MUST(ramet_write(map, k, UINT64_MAX, "x", 0));
    MUST(ramet_write(map, k, 1, "B", 1));
    MUST(ramet_get(map, k, &value));
    assert_int_equal(value.size, 3);
    assert_memory_equal(value.data, "aBc", 3);
    MUST(ramet_commit(txn, NULL, NULL));
    map = begin(NULL, RAMET_READ, &txn);
    assert_int_equal(ramet_write(map, k, 0, "x", 1), RAMET_ETXN);
    ramet_abort(txn);
}

static int stop(void *ctx, uint64_t off, struct ramet_slice piece)
{
    (void)piece;
    *(uint64_t *)ctx = off;
    return off >= RUN ? -77 : 0;
}

static const void *first_data;

static int note_first(void *ctx, uint64_t off, struct ramet_slice piece)
{
    (void)ctx;
    first_data = off == 0 ? piece.data : first_data;
    return 0;
}

static void pieces_lie_in_the_store(void **state)
{
    (void)state;
    struct ramet_txn *txn;
    struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
    struct ramet_slice value;
    uint8_t *bytes = bytes_new(8 * MIB);
    uint64_t off = 0;
    MUST(ramet_put(map, k, slice(bytes, 8 * MIB - 5), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    map = begin(NULL, RAMET_READ, &txn);
    struct seeing seeing = {bytes, 0, 0};
    MUST(ramet_get_pieces(map, k, 0, UINT64_MAX, see, &seeing));
    assert_int_equal(seeing.at, 8 * MIB - 5);
    assert_true(seeing.largest <= RUN);
    assert_int_equal(ramet_get_pieces(map, k, 0, UINT64_MAX, stop, &off), -77);
    assert_true(off >= RUN && off < 2 * RUN + 4096);
    /* A new store has its pages side by side: there ramet_get() copies nothing either. */
    MUST(ramet_get_pieces(map, k, 0, 1, note_first, NULL));
    MUST(ramet_get(map, k, &value));
    assert_ptr_equal(first_data, value.data);
    ramet_abort(txn);
    free(bytes);
}

static uint64_t owned;

static int note_owned(void *ctx, const struct ramet_branch_info *info)
{
    if (strcmp(info->name, ctx) == 0)
        owned = info->owned_bytes;
    return 0;
}

static void a_write_keeps_the_runs_that_it_does_not_touch(void **state)
{
    (void)state;
    const size_t size = 40 * MIB;
    struct ramet_txn *txn;
    char branch[] = "b";
    struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
    uint8_t *bytes = bytes_new(size);
    MUST(ramet_put(map, k, slice(bytes, size), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_branch_create(store, branch, NULL));
    for (unsigned i = 0; i < 3; i++) {
        map = begin(branch, RAMET_WRITE, &txn);
        size_t off = 7 * MIB + i * 10 * MIB;
        bytes[off] ^= 1;
        MUST(ramet_write(map, k, off, bytes + off, 1));
        has(map, k, bytes, size);
        MUST(ramet_commit(txn, NULL, NULL));
        map = begin(branch, RAMET_READ, &txn);
        has(map, k, bytes, size);
        ramet_abort(txn);
        MUST(ramet_branch_list(store, note_owned, branch));
        /* The runs, a list of some 160 runs, leaf, list of maps. */
        assert_true(owned >= (i + 1) * 4096 && owned <= (i + 1) * RUN + 8 * 4096);
        check();
    }
    /* What it replaced is free, and all of it goes with the branch. */
    MUST(ramet_branch_delete(store, branch));
    MUST(ramet_reclaim(store, 0, NULL));
    check();
    for (unsigned i = 0; i < 3; i++)
        bytes[7 * MIB + i * 10 * MIB] ^= 1;
    map = begin(NULL, RAMET_READ, &txn);
    has(map, k, bytes, size);
    ramet_abort(txn);
    map = begin(NULL, RAMET_WRITE, &txn);
    MUST(ramet_write(map, k, 0, "z", 1));
    MUST(ramet_del(map, k));
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_reclaim(store, 0, NULL));
    check();
    struct ramet_stat stat = {.size = sizeof(stat)};
    MUST(ramet_stat(store, &stat));
    assert_true(stat.data_bytes < 10 * 4096);
    free(bytes);
}

/* Memory that malloc() has given out; 0 where that is not known. */
static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

struct stream {
    uint64_t state, at;
};

static void stream_part(struct stream *stream, uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t r = random_next(&stream->state);
        memcpy(buf + i, &r, 8);
    }
    stream->at += len;
}

static int same_stream(void *ctx, uint64_t off, struct ramet_slice piece)
{
    struct stream *stream = ctx;
    uint64_t r;
    assert_int_equal(off, stream->at);
    for (size_t i = 0; i < piece.size; i += 8) {
        r = random_next(&stream->state);
        if (memcmp((const uint8_t *)piece.data + i, &r, 8) != 0)
            fail_msg("another byte at %" PRIu64, off + i);
    }
    stream->at += piece.size;
    return 0;
}

static void a_large_value_is_written_and_read_with_little_memory(void **state)
{
    (void)state;
    enum { PART = 1 << 20, PARTS = 200 };
    struct ramet_txn *txn;
    struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
    struct stream in = {5, 0}, out = {5, 0};
    uint8_t *part = malloc(PART);
    assert_non_null(part);
    size_t before = heap(), most = 0;
    MUST(ramet_put(map, k, slice("", 0), 0));
    for (unsigned i = 0; i < PARTS; i++) {
        stream_part(&in, part, PART);
        MUST(ramet_write(map, k, (uint64_t)i * PART, part, PART));
        most = heap() > most ? heap() : most;
    }
    MUST(ramet_commit(txn, NULL, NULL));
    map = begin(NULL, RAMET_READ, &txn);
    MUST(ramet_get_pieces(map, k, 0, UINT64_MAX, same_stream, &out));
    assert_int_equal(out.at, (uint64_t)PART * PARTS);
    most = heap() > most ? heap() : most;
    ramet_abort(txn);
    if (before)
        assert_true(most - before < 72 * MIB);
    check();
    free(part);
}

static void one_that_grows_is_zeros_in_between(void **state)
{
    (void)state;
    const size_t size = 3 * MIB;
    uint8_t *bytes = calloc(1, size + 10);
    struct ramet_txn *txn;
    struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
    assert_non_null(bytes);
    memcpy(bytes, "begin", 5);
    MUST(ramet_put(map, k, slice("begin", 5), 0));
    for (int i = 0; i < 2; i++) {
        memcpy(bytes + size + 5 * i, "the end", 5);
        MUST(ramet_write(map, k, size + 5 * (size_t)i, "the end", 5));
        has(map, k, bytes, size + 5 + 5 * (size_t)i);
    }
    MUST(ramet_commit(txn, NULL, NULL));
    map = begin(NULL, RAMET_READ, &txn);
    has(map, k, bytes, size + 10);
    ramet_abort(txn);
    check();
    free(bytes);
}

static void a_write_is_a_difference_if_it_changes_something(void **state)
{
    (void)state;
    const size_t size = 2 * MIB;
    uint8_t *bytes = bytes_new(size), *was = malloc(size);
    struct ramet_txn *before, *txn;
    struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
    assert_non_null(was);
    memcpy(was, bytes, size);
    MUST(ramet_put(map, k, slice(bytes, size), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    (void)begin(NULL, RAMET_READ, &before);
    map = begin(NULL, RAMET_WRITE, &txn);
    for (int changed = 0; changed < 2; changed++) {
        struct ramet_change change = {.size = sizeof(change)};
        struct ramet_diff *diff;
        bytes[RUN + 5] ^= (uint8_t)changed;
        MUST(ramet_write(map, k, RUN + 5, bytes + RUN + 5, 1));
        MUST(ramet_diff_open(before, txn, NULL, &diff));
        if (changed) {
            MUST(ramet_diff_next(diff, &change));
            assert_int_equal(change.kind, RAMET_CHANGED);
            assert_int_equal(change.old_value.size, size);
            assert_memory_equal(change.old_value.data, was, size);
            assert_int_equal(change.new_value.size, size);
            assert_memory_equal(change.new_value.data, bytes, size);
        }
        assert_int_equal(ramet_diff_next(diff, &change), RAMET_ENOTFOUND);
        ramet_diff_close(diff);
    }
    ramet_abort(txn);
    ramet_abort(before);
    free(bytes);
    free(was);
}

/* Of a value that was committed, put in this transaction, or grew in it. */
static void a_rollback_undoes_writes(void **state)
{
    (void)state;
    const size_t size = 2 * MIB;
    for (int kind = 0; kind < 3; kind++) {
        uint8_t *bytes = bytes_new(size + RUN), *was = malloc(size);
        struct ramet_txn *txn;
        struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
        uint32_t first, second;
        MUST(ramet_put(map, k, slice(bytes, kind == 2 ? 10 : size), 0));
        if (kind == 0) {
            MUST(ramet_commit(txn, NULL, NULL));
            map = begin(NULL, RAMET_WRITE, &txn);
        }
        assert_non_null(was);
        memset(bytes + 3 * RUN + 7, 'a', 100); /* its table is from before the savepoint */
        MUST(ramet_write(map, k, 3 * RUN + 7, bytes + 3 * RUN + 7, size - (3 * RUN + 7)));
        if (kind == 2)
            MUST(ramet_write(map, k, 0, bytes, 3 * RUN + 7));
        memcpy(was, bytes, size);
        MUST(ramet_savepoint(txn, &first));
        for (int again = 0; again < 2; again++) {
            memset(bytes + 3 * RUN + 7, 'b', 100);
            memset(bytes + 5 * RUN, 'c', 100);
            MUST(ramet_write(map, k, 3 * RUN + 7, bytes + 3 * RUN + 7, 100));
            MUST(ramet_write(map, k, 5 * RUN, bytes + 5 * RUN, 100));
            MUST(ramet_savepoint(txn, &second));
            MUST(ramet_write(map, k, size - 5, bytes + size - 5, RUN));
            memset(bytes + 5 * RUN, 'd', 100);
            MUST(ramet_write(map, k, 5 * RUN, bytes + 5 * RUN, 100));
            MUST(ramet_del(map, k));
            MUST(ramet_rollback(txn, second));
            memset(bytes + 5 * RUN, 'c', 100);
            has(map, k, bytes, size);
            MUST(ramet_rollback(txn, first));
            has(map, k, was, size);
            memcpy(bytes, was, size);
        }
        memset(bytes + size - 100, 'e', 100);
        MUST(ramet_write(map, k, size - 100, bytes + size - 100, 100));
        MUST(ramet_commit(txn, NULL, NULL));
        map = begin(NULL, RAMET_READ, &txn);
        has(map, k, bytes, size);
        ramet_abort(txn);
        check();
        free(bytes);
        free(was);
    }
}

/* Both transactions are optimistic, and the branch moves under the first. */
static void an_optimistic_transaction_writes_its_parts_on_the_new_head(void **state)
{
    (void)state;
    const size_t size = 2 * MIB;
    uint8_t *bytes = bytes_new(size + 100);
    struct ramet_txn *txn, *other;
    struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
    const struct ramet_slice key2 = {"fresh", 5}, key3 = {"other", 5};
    MUST(ramet_put(map, k, slice(bytes, size), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    map = begin(NULL, RAMET_WRITE | RAMET_OPTIMISTIC, &txn);
    memcpy(bytes + size - 50, "a hundred bytes over the end", 28);
    bytes[RUN] ^= 1;
    MUST(ramet_write(map, k, RUN, bytes + RUN, 1));
    MUST(ramet_write(map, k, size - 50, bytes + size - 50, 150));
    MUST(ramet_put(map, key2, slice("", 0), 0));
    MUST(ramet_write(map, key2, 0, bytes, 700 * KIB));
    struct ramet_map *to = begin(NULL, RAMET_WRITE, &other);
    MUST(ramet_put(to, key3, slice("x", 1), 0));
    MUST(ramet_commit(other, NULL, NULL));
    MUST(ramet_commit(txn, NULL, NULL));
    map = begin(NULL, RAMET_READ, &txn);
    has(map, k, bytes, size + 100);
    has(map, key2, bytes, 700 * KIB);
    ramet_abort(txn);
    /* A write of one part is a write of the key. */
    map = begin(NULL, RAMET_WRITE | RAMET_OPTIMISTIC, &txn);
    MUST(ramet_write(map, k, 0, "1", 1));
    to = begin(NULL, RAMET_WRITE, &other);
    MUST(ramet_write(to, k, size, "2", 1));
    MUST(ramet_commit(other, NULL, NULL));
    assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_ECONFLICT);
    check();
    free(bytes);
}

/* Changes the byte of the file where the value has off. */
static void flip(const uint8_t *bytes, uint64_t off)
{
    struct stat st;
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    uint8_t *all = malloc((size_t)st.st_size);
    assert_non_null(all);
    assert_int_equal(fread(all, 1, (size_t)st.st_size, file), st.st_size);
    uint8_t *at = memmem(all, (size_t)st.st_size, bytes + off, 32);
    assert_non_null(at);
    assert_int_equal(fseek(file, at - all, SEEK_SET), 0);
    assert_int_equal(fputc(*at ^ 0x10, file), *at ^ 0x10);
    assert_int_equal(fclose(file), 0);
    free(all);
}

static void names(const char *where)
{
    if (!strstr(ramet_errmsg(), where))
        fail_msg("no '%s' in: %s", where, ramet_errmsg());
}

static void a_damaged_run_is_named_and_the_others_are_read(void **state)
{
    (void)state;
    const size_t size = 4 * MIB;
    const char *where = "map 'm', key 'k': byte 1048576: store '";
    uint8_t *bytes = bytes_new(size), byte = 1;
    struct ramet_slice value;
    struct ramet_txn *txn;
    struct ramet_map *map = begin(NULL, RAMET_WRITE, &txn);
    MUST(ramet_put(map, k, slice(bytes, size), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    ramet_close(store);
    flip(bytes, MIB + 5000);
    open_store(0);

    map = begin(NULL, RAMET_READ, &txn);
    has_part(map, k, bytes, size, 0, MIB);
    has_part(map, k, bytes, size, MIB + RUN, size);
    assert_int_equal(ramet_read(map, k, MIB + 10, &byte, 1, NULL), RAMET_ECORRUPT);
    names(where);
    assert_int_equal(ramet_get(map, k, &value), RAMET_ECORRUPT);
    names(where);
    struct seeing seeing = {bytes, 0, 0};
    assert_int_equal(ramet_get_pieces(map, k, 0, size, see, &seeing), RAMET_ECORRUPT);
    assert_int_equal(seeing.at, MIB);
    names(where);
    struct ramet_cursor *cursor;
    MUST(ramet_cursor_open(map, &cursor));
    MUST(ramet_cursor_first(cursor));
    assert_int_equal(ramet_cursor_get(cursor, NULL, &value), RAMET_ECORRUPT);
    names(where);
    ramet_abort(txn);

    map = begin(NULL, RAMET_WRITE, &txn);
    assert_int_equal(ramet_write(map, k, MIB + 100, &byte, 1), RAMET_ECORRUPT);
    names(where);
    bytes[0] ^= 1;
    MUST(ramet_write(map, k, 0, bytes, 1)); /* the transaction goes on */
    has_part(map, k, bytes, size, 0, MIB);
    MUST(ramet_write(map, k, MIB, bytes + MIB, RUN)); /* all of it is replaced: it heals */
    has(map, k, bytes, size);
    MUST(ramet_commit(txn, NULL, NULL));
    map = begin(NULL, RAMET_READ, &txn);
    has(map, k, bytes, size);
    ramet_abort(txn);
    check();
    free(bytes);
}

/* ---- random programs -------------------------------------------------------------------------
 */

enum { BRANCHES = 3, KEYS = 4 };
#define FULL (2 * MIB)

struct value {
    bool there;
    uint64_t size;
    uint8_t *bytes; /* FULL */
};

struct world {
    bool branches[BRANCHES];
    struct value values[BRANCHES][KEYS];
    uint32_t page_size;
};

static struct ramet_slice key_of(unsigned i)
{
    static const char *const keys[KEYS] = {"a", "bb", "ccc", "d"};
    return slice(keys[i], strlen(keys[i]));
}

static void copy_values(struct value *to, const struct value *from)
{
    for (unsigned i = 0; i < KEYS; i++) {
        memcpy(to[i].bytes, from[i].bytes, from[i].size);
        to[i].there = from[i].there;
        to[i].size = from[i].size;
    }
}

static void values_new(struct value *values)
{
    for (unsigned i = 0; i < KEYS; i++)
        values[i] = (struct value){.bytes = bytes_new(FULL)};
}

static void values_free(struct value *values)
{
    for (unsigned i = 0; i < KEYS; i++)
        free(values[i].bytes);
}

static uint64_t some_size(uint64_t most)
{
    switch (chance(4)) {
    case 0: return chance(most < 3000 ? most + 1 : 3000);
    case 1: return chance(most < 70000 ? most + 1 : 70000);
    default: return chance(most + 1);
    }
}

static void put(struct ramet_map *map, unsigned i, struct value *v)
{
    uint64_t size = chance(8) ? some_size(FULL - 1) : (1 + chance(4)) * 4096;
    uint64_t from = chance(200);
    for (uint64_t at = 0; at < size; at += 4096)
        v->bytes[at] = (uint8_t)(v->bytes[at] + 1 + from);
    MUST(ramet_put(map, key_of(i), slice(v->bytes, size), 0));
    v->there = true;
    v->size = size;
}

static void write_part(struct ramet_map *map, const struct world *w, unsigned i, struct value *v)
{
    uint64_t off = chance(3) ? chance(v->size + 1) : chance(FULL - 400 * KIB);
    uint64_t len = some_size(400 * KIB);
    if (chance(4) == 0)
        off = off / (64 * (uint64_t)w->page_size) * 64 * w->page_size; /* of runs */
    if (off + len > FULL)
        len = FULL - off;
    if (!v->there) {
        assert_int_equal(ramet_write(map, key_of(i), off, "", 0), RAMET_ENOTFOUND);
        return;
    }
    uint8_t *bytes = bytes_new(len);
    MUST(ramet_write(map, key_of(i), off, bytes, len));
    if (len && off > v->size)
        memset(v->bytes + v->size, 0, off - v->size);
    memcpy(v->bytes + off, bytes, len);
    if (len && off + len > v->size)
        v->size = off + len;
    free(bytes);
}

static void same(struct ramet_map *map, const struct value *values)
{
    uint64_t count, there = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        const struct value *v = &values[i];
        there += v->there;
        if (v->there && chance(3))
            has_part(map, key_of(i), v->bytes, v->size, chance(v->size + 10), chance(v->size + 10));
        else if (v->there)
            has(map, key_of(i), v->bytes, v->size);
    }
    MUST(ramet_map_count(map, &count));
    assert_int_equal(count, there);
}

static void step(struct world *w, struct ramet_map *map, struct value *values)
{
    unsigned i = (unsigned)chance(KEYS);
    struct value *v = &values[i];
    switch (chance(12)) {
    case 0:
        assert_int_equal(ramet_del(map, key_of(i)), v->there ? 0 : RAMET_ENOTFOUND);
        v->there = false;
        break;
    case 1:
        if (chance(3) == 0) {
            MUST(ramet_del_range(map, key_of(1), slice("d", 1), NULL));
            values[1].there = values[2].there = false;
        }
        break;
    case 2:
    case 3: put(map, i, v); break;
    default: write_part(map, w, i, v); break;
    }
}

static const char *name_of(unsigned branch)
{
    static const char *const names_of[BRANCHES] = {"main", "b1", "b2"};
    return names_of[branch];
}

static void write_txn(struct world *w, unsigned branch)
{
    struct value now[KEYS], marked[KEYS];
    struct ramet_txn *txn;
    uint32_t savepoint = 0;
    unsigned steps = (unsigned)chance(12);
    values_new(now);
    values_new(marked);
    copy_values(now, w->values[branch]);
    struct ramet_map *map =
        begin(name_of(branch), RAMET_WRITE | (chance(4) ? 0 : RAMET_OPTIMISTIC), &txn);
    for (unsigned i = 0; i < steps; i++) {
        switch (chance(8)) {
        case 0:
            MUST(ramet_savepoint(txn, &savepoint));
            copy_values(marked, now);
            break;
        case 1:
            if (savepoint) {
                MUST(ramet_rollback(txn, savepoint));
                copy_values(now, marked);
            }
            break;
        default: step(w, map, now); break;
        }
        if (chance(4) == 0)
            same(map, now);
    }
    same(map, now);
    if (chance(5) == 0) {
        ramet_abort(txn);
    } else {
        MUST(ramet_commit(txn, NULL, NULL));
        copy_values(w->values[branch], now);
    }
    values_free(now);
    values_free(marked);
}

static void branch_step(struct world *w)
{
    unsigned to = 1 + (unsigned)chance(BRANCHES - 1), from = (unsigned)chance(BRANCHES);
    if (w->branches[to]) {
        MUST(ramet_branch_delete(store, name_of(to)));
        w->branches[to] = false;
    } else if (w->branches[from]) {
        MUST(ramet_branch_create(store, name_of(to), name_of(from)));
        copy_values(w->values[to], w->values[from]);
        w->branches[to] = true;
    }
}

static void all_same(struct world *w)
{
    for (unsigned b = 0; b < BRANCHES; b++) {
        struct ramet_txn *txn;
        if (!w->branches[b])
            continue;
        struct ramet_map *map = begin(name_of(b), RAMET_READ, &txn);
        same(map, w->values[b]);
        ramet_abort(txn);
    }
}

static void run(uint32_t page_size, bool on_file)
{
    static struct world w;
    struct ramet_txn *txn;
    path[0] = 0;
    if (on_file)
        choose_path();
    open_store(page_size);
    w = (struct world){.branches = {true}, .page_size = page_size};
    for (unsigned b = 0; b < BRANCHES; b++)
        values_new(w.values[b]);
    (void)begin(NULL, RAMET_WRITE, &txn);
    MUST(ramet_commit(txn, NULL, NULL));
    for (unsigned i = 0; i < 40; i++) {
        unsigned b = (unsigned)chance(BRANCHES);
        if (chance(6) == 0)
            branch_step(&w);
        else if (w.branches[b])
            write_txn(&w, b);
        if (chance(8) == 0)
            MUST(ramet_reclaim(store, 0, NULL));
        if (i % 10 == 9) {
            if (on_file && chance(2)) {
                ramet_close(store);
                open_store(0);
            }
            all_same(&w);
            check();
        }
    }
    for (unsigned b = 0; b < BRANCHES; b++)
        values_free(w.values[b]);
    ramet_close(store);
    remove_store();
}

static void agrees_in_memory(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        run(i == 2 ? 16384 : 4096, false);
}

static void agrees_on_a_file(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        run(i == 2 ? 65536 : 4096, true);
}

int main(int argc, char **argv)
{
#define CASE(f, with) cmocka_unit_test_setup_teardown(f, with, teardown)
    const struct CMUnitTest tests[] = {
        CASE(refuses_bad_arguments, setup),
        CASE(pieces_lie_in_the_store, setup),
        CASE(a_write_keeps_the_runs_that_it_does_not_touch, setup_file),
        CASE(a_large_value_is_written_and_read_with_little_memory, setup_file),
        CASE(one_that_grows_is_zeros_in_between, setup),
        CASE(a_write_is_a_difference_if_it_changes_something, setup),
        CASE(a_rollback_undoes_writes, setup),
        CASE(an_optimistic_transaction_writes_its_parts_on_the_new_head, setup),
        CASE(a_damaged_run_is_named_and_the_others_are_read, setup_file),
        cmocka_unit_test(agrees_in_memory),
        cmocka_unit_test(agrees_on_a_file),
    };
    struct args args = {.seed = 1};
    if (!args_parse(argc, argv, &args))
        return 2;
    chance_state = args.seed;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
