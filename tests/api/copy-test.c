/* SPDX-License-Identifier: MIT */
/*
 * copy-test.c - ramet_blob_copy() case by case; and random programs of copies, writes, holes,
 * sizes, savepoints, branches, merges, regions and reopening, whose blobs are compared byte for
 * byte with arrays, and whose store is checked after every commit.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/args.h"
#include "api/blobs.h"

#define KIB 1024u
#define MIB (1024 * KIB)
#define FULL (512 * KIB) /* no blob of a program is larger */

static uint64_t data_bytes(void)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    MUST(ramet_reclaim(store, UINT64_MAX, NULL));
    MUST(ramet_stat(store, &stat));
    return stat.data_bytes;
}

static void copy(struct ramet_blob *from, uint64_t from_off, struct ramet_blob *to, uint64_t to_off,
                 uint64_t len)
{
    int64_t n = ramet_blob_copy(from, from_off, to, to_off, len);
    if (n < 0)
        fail_msg("%s", ramet_errmsg());
    assert_int_equal(n, len);
}

static void reads(const char *ref, const char *name, uint64_t off, const uint8_t *wanted,
                  size_t len)
{
    struct ramet_txn *txn = begin(ref, RAMET_READ);
    uint8_t *got = malloc(len);
    assert_non_null(got);
    assert_int_equal(ramet_blob_read(blob_of(txn, name), off, got, len), len);
    assert_memory_equal(got, wanted, len);
    free(got);
    ramet_abort(txn);
}

/* ---- cases ----------------------------------------------------------------------------------- */

/* A blob of so many bytes, none of them zero. */
static uint8_t *make(const char *branch, const char *name, size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    fill(bytes, len);
    struct ramet_txn *txn = begin(branch, RAMET_WRITE);
    MUST(ramet_blob_write(blob_new(txn, name), 0, bytes, len));
    MUST(ramet_commit(txn, NULL, NULL));
    return bytes;
}

static void drop(const char *branch, const char *name)
{
    struct ramet_txn *txn = begin(branch, RAMET_WRITE);
    MUST(ramet_blob_drop(txn, name));
    MUST(ramet_commit(txn, NULL, NULL));
    check();
}

static void refuses_bad_arguments(void **state)
{
    (void)state;
    free(make("main", "disk", 3 * 4096));
    struct ramet_txn *txn = begin("main", RAMET_WRITE), *other = begin("main", RAMET_READ);
    struct ramet_blob *blob = blob_of(txn, "disk");
    assert_int_equal(ramet_blob_copy(NULL, 0, blob, 0, 1), -EINVAL);
    assert_int_equal(ramet_blob_copy(blob, 0, NULL, 0, 1), -EINVAL);
    assert_int_equal(ramet_blob_copy(blob_of(other, "disk"), 0, blob, 0, 1), RAMET_ETXN);
    assert_int_equal(ramet_blob_copy(blob, 0, blob_of(other, "disk"), 0, 1), RAMET_ETXN);
    assert_int_equal(ramet_blob_copy(blob, 0, blob, RAMET_BLOB_MAX, 1), -EFBIG);
    assert_int_equal(ramet_blob_copy(blob, 0, blob, UINT64_MAX - 4095, UINT64_MAX), -EFBIG);
    assert_int_equal(ramet_blob_copy(blob, 3 * 4096, blob, 0, 1), 0);
    assert_int_equal(ramet_blob_copy(blob, UINT64_MAX, blob, 0, UINT64_MAX), 0);
    assert_int_equal(ramet_blob_copy(blob, 0, blob, 8 * 4096, 0), 0);
    uint64_t size;
    MUST(ramet_blob_size(blob, &size));
    assert_int_equal(size, 3 * 4096);
    struct ramet_txn *second;
    MUST(ramet_branch_create(store, "two", "main"));
    MUST(ramet_begin(store, "two", RAMET_WRITE, &second));
    assert_int_equal(ramet_blob_copy(blob, 0, blob_of(second, "disk"), 0, 1), -EINVAL);
    ramet_abort(second);
    MUST(ramet_blob_drop(txn, "disk"));
    assert_int_equal(ramet_blob_copy(blob, 0, blob, 0, 1), RAMET_ENOTFOUND);
    ramet_abort(other);
    ramet_abort(txn);
}

static void copies_no_data(void **state)
{
    (void)state;
    const size_t len = 8 * MIB;
    uint8_t *bytes = make("main", "disk", len);
    uint64_t before = data_bytes();
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 0, blob_new(txn, "copy"), 0, len);
    MUST(ramet_commit(txn, NULL, NULL));
    check();
    uint64_t after = data_bytes();
    assert_true(after - before < len / 4096 * 64);
    reads("main", "disk", 0, bytes, len);
    reads("main", "copy", 0, bytes, len);

    /* Once more costs the leaves of one blob; the same once more, nothing. */
    txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "copy"), 0, blob_new(txn, "third"), 0, len);
    MUST(ramet_commit(txn, NULL, NULL));
    assert_true(data_bytes() - after < len / 4096 * 26);
    after = data_bytes();
    txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 0, blob_of(txn, "third"), 0, len);
    MUST(ramet_commit(txn, NULL, NULL));
    assert_int_equal(data_bytes(), after);
    free(bytes);
}

static void gigabyte_after_gigabyte(void **state)
{
    (void)state;
    const uint64_t len = 1024ull * MIB, part = 16 * MIB;
    uint8_t *bytes = make("main", "disk", part);
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_blob *disk = blob_of(txn, "disk");
    for (uint64_t at = part; at < len; at *= 2)
        copy(disk, 0, disk, at, at);
    MUST(ramet_commit(txn, NULL, NULL));
    uint64_t before = data_bytes();
    assert_true(before < part + len / 4096 * 24);
    txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 0, blob_new(txn, "copy"), 0, len);
    MUST(ramet_commit(txn, NULL, NULL));
    assert_true(data_bytes() - before < len / 4096 * 24);
    reads("main", "copy", len - part, bytes, part);
    check();
    drop("main", "disk");
    reads("main", "copy", 512 * MIB, bytes, part);
    drop("main", "copy");
    assert_int_equal(data_bytes(), 0);
    free(bytes);
}

static void the_last_one_to_go_gives_it_back(void **state)
{
    (void)state;
    const size_t len = 2 * MIB;
    uint8_t *bytes = make("main", "disk", len);
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 0, blob_new(txn, "copy"), 0, len);
    copy(blob_of(txn, "disk"), 0, blob_new(txn, "third"), 0, len);
    MUST(ramet_commit(txn, NULL, NULL));
    drop("main", "disk");
    assert_true(data_bytes() > len);
    txn = begin("main", RAMET_WRITE);
    MUST(ramet_blob_zero(blob_of(txn, "third"), 0, len / 2));
    MUST(ramet_blob_truncate(blob_of(txn, "third"), len / 2));
    MUST(ramet_commit(txn, NULL, NULL));
    assert_true(data_bytes() > len);
    reads("main", "copy", 0, bytes, len);
    txn = begin("main", RAMET_WRITE);
    MUST(ramet_blob_zero(blob_of(txn, "copy"), 0, len / 2));
    MUST(ramet_commit(txn, NULL, NULL));
    check();
    assert_true(data_bytes() < len * 3 / 4);
    reads("main", "copy", len / 2, bytes + len / 2, len / 2);
    drop("main", "copy");
    drop("main", "third");
    assert_int_equal(data_bytes(), 0);
    free(bytes);
}

/* Whoever has a version below keeps what it has. */
static void branches_go_their_own_ways(void **state)
{
    (void)state;
    const size_t len = MIB;
    uint8_t *bytes = make("main", "disk", len);
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 0, blob_new(txn, "copy"), 0, len);
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_branch_create(store, "two", "main"));
    drop("main", "disk");
    drop("main", "copy");
    assert_true(data_bytes() > len);
    reads("two", "disk", 0, bytes, len);
    drop("two", "disk");
    reads("two", "copy", 0, bytes, len);
    MUST(ramet_branch_delete(store, "two"));
    check();
    assert_int_equal(data_bytes(), 0);
    free(bytes);
}

/* On two branches the next page gets the same number. */
static void numbers_of_branches_are_told_apart(void **state)
{
    (void)state;
    uint8_t *bytes = make("main", "disk", 8 * 4096);
    MUST(ramet_branch_create(store, "two", "main"));
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 0, blob_of(txn, "disk"), 4 * 4096, 4096);
    MUST(ramet_commit(txn, NULL, NULL));
    txn = begin("two", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 4096, blob_of(txn, "disk"), 4 * 4096, 4096);
    MUST(ramet_commit(txn, NULL, NULL));
    reads("main", "disk", 4 * 4096, bytes, 4096);
    reads("two", "disk", 4 * 4096, bytes + 4096, 4096);
    struct ramet_merge_result result = {.size = sizeof(result)};
    assert_int_equal(ramet_merge(store, "main", "two", NULL, &result), RAMET_ECONFLICT);
    struct ramet_merge_options options = {.size = sizeof(options), .policy = RAMET_MERGE_THEIRS};
    MUST(ramet_merge(store, "main", "two", &options, NULL));
    reads("main", "disk", 4 * 4096, bytes + 4096, 4096);
    reads("main", "disk", 0, bytes, 4 * 4096);
    free(bytes);
}

static void dirty_pages_are_shared_too(void **state)
{
    (void)state;
    const size_t len = MIB;
    static uint8_t bytes[MIB];
    uint32_t savepoint;
    fill(bytes, len);
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_blob *disk = blob_new(txn, "disk"), *other = blob_new(txn, "copy");
    MUST(ramet_blob_write(disk, 0, bytes, len));
    MUST(ramet_savepoint(txn, &savepoint));
    copy(disk, 0, other, 0, len);
    MUST(ramet_blob_drop(txn, "disk"));
    MUST(ramet_rollback(txn, savepoint));
    copy(disk, 0, other, 0, len);
    copy(disk, 0, other, len, len);
    MUST(ramet_blob_zero(disk, 0, len));
    MUST(ramet_commit(txn, NULL, NULL));
    reads("main", "copy", 0, bytes, len);
    reads("main", "copy", len, bytes, len);
    check();
    assert_true(data_bytes() < len + len / 8);
}

/* ---- what else knows of pages ---------------------------------------------------------------- */

static int see_change(void *ctx, const struct ramet_snapshot_info *version,
                      const struct ramet_change *change)
{
    (void)version, (void)change;
    ++*(uint32_t *)ctx;
    return 0;
}

static uint32_t changes_of_page(uint8_t page)
{
    uint8_t bytes[8] = {0, 0, 0, 0, 0, 0, 0, page};
    const struct ramet_slice key = {bytes, sizeof(bytes)};
    uint32_t count = 0;
    MUST(ramet_key_history(store, "main",
                           "\x7f"
                           "disk",
                           key, see_change, &count));
    return count;
}

/* That a page was copied from somewhere is no change of it. */
static void histories_and_differences_are_of_contents(void **state)
{
    (void)state;
    struct ramet_keep keep = {.size = sizeof(keep)};
    uint8_t *bytes = make("main", "disk", 4 * 4096);
    MUST(ramet_snapshot_create(store, "main", &keep, NULL));
    MUST(ramet_branch_create(store, "two", "main"));
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 4096, blob_of(txn, "disk"), 2 * 4096, 4096);
    MUST(ramet_commit(txn, &keep, NULL));
    assert_int_equal(changes_of_page(1), 1);
    assert_int_equal(changes_of_page(2), 2);

    struct ramet_txn *old = begin("two", RAMET_READ), *new = begin("main", RAMET_READ);
    struct ramet_diff_options options = {.size = sizeof(options), .flags = RAMET_DIFF_BLOBS};
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_diff *diff;
    MUST(ramet_diff_open(old, new, &options, &diff));
    assert_int_equal(ramet_diff_next(diff, &change), 0);
    assert_string_equal(change.map, "\x7f"
                                    "disk");
    assert_int_equal(((const uint8_t *)change.key.data)[7], 2);
    assert_memory_equal(change.new_value.data, bytes + 4096, 4096);
    assert_int_equal(ramet_diff_next(diff, &change), RAMET_ENOTFOUND);
    ramet_diff_close(diff);
    ramet_abort(old);
    ramet_abort(new);
    free(bytes);
}

static int see_name(void *ctx, const struct ramet_map_info *info)
{
    (void)ctx;
    fail_msg("there is a map '%s'", info->name);
    return 0;
}

static int see_blob(void *ctx, const struct ramet_blob_info *info)
{
    (void)info;
    ++*(uint32_t *)ctx;
    return 0;
}

static void what_is_behind_it_is_not_listed(void **state)
{
    (void)state;
    uint32_t blobs = 0;
    free(make("main", "disk", 4 * 4096));
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 0, blob_of(txn, "disk"), 4 * 4096, 4 * 4096);
    for (int i = 0; i < 2; i++) {
        MUST(ramet_map_list(txn, see_name, NULL));
        MUST(ramet_blob_list(txn, see_blob, &blobs));
        MUST(ramet_commit(txn, NULL, NULL));
        txn = begin("main", RAMET_WRITE);
    }
    ramet_abort(txn);
    assert_int_equal(blobs, 2);
}

static void optimistic_ones_copy_too(void **state)
{
    (void)state;
    uint8_t *bytes = make("main", "disk", 16 * 4096);
    free(make("main", "other", 4096));
    for (int moved = 0; moved < 2; moved++) {
        struct ramet_txn *txn = begin("main", RAMET_WRITE | RAMET_OPTIMISTIC);
        copy(blob_of(txn, "disk"), 0, blob_new(txn, moved ? "second" : "first"), 4096, 16 * 4096);
        if (moved)
            drop("main", "other");
        MUST(ramet_commit(txn, NULL, NULL));
        check();
    }
    reads("main", "disk", 0, bytes, 16 * 4096ul);
    reads("main", "first", 4096, bytes, 16 * 4096ul);
    reads("main", "second", 4096, bytes, 16 * 4096ul);

    struct ramet_txn *txn = begin("main", RAMET_WRITE | RAMET_OPTIMISTIC);
    copy(blob_of(txn, "disk"), 0, blob_of(txn, "first"), 0, 4096);
    struct ramet_txn *other = begin("main", RAMET_WRITE);
    MUST(ramet_blob_write(blob_of(other, "first"), 0, "x", 1));
    MUST(ramet_commit(other, NULL, NULL));
    assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_ECONFLICT);

    /* Also of a page that is what it was. */
    txn = begin("main", RAMET_WRITE | RAMET_OPTIMISTIC);
    copy(blob_of(txn, "disk"), 4096, blob_of(txn, "first"), 2 * 4096, 4096);
    drop("main", "second");
    MUST(ramet_commit(txn, NULL, NULL));
    txn = begin("main", RAMET_WRITE | RAMET_OPTIMISTIC);
    copy(blob_of(txn, "disk"), 4096, blob_of(txn, "first"), 2 * 4096, 4096);
    other = begin("main", RAMET_WRITE);
    MUST(ramet_blob_write(blob_of(other, "first"), 2 * 4096, "x", 1));
    MUST(ramet_commit(other, NULL, NULL));
    assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_ECONFLICT);
    free(bytes);
}

/* A region goes on after a commit of its own, in which pages that it has in common are others'. */
static void regions_have_pages_in_common(void **state)
{
    (void)state;
    const size_t len = 64 * 4096;
    uint8_t *bytes = make("main", "disk", len);
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "disk"), 0, blob_new(txn, "copy"), 0, len);
    MUST(ramet_commit(txn, NULL, NULL));
    struct ramet_region_options options = {.size = sizeof(options), .mappings = 1};
    struct ramet_region *region; /* which reads its pages, for want of mappings */
    MUST(ramet_region_open(store, "main", "copy", &options, &region));
    uint8_t *memory = ramet_region_data(region);
    assert_memory_equal(memory, bytes, len);
    memory[5 * 4096] = bytes[5 * 4096] = 200;
    MUST(ramet_region_commit(region, NULL, NULL));
    MUST(ramet_branch_create(store, "two", "main"));
    for (int i = 0; i < 20; i++) /* what the commit replaced is used for something else */
        free(make("two", "other", len));
    for (size_t at = 0; at < len; at += 4096)
        memory[at]++;
    MUST(ramet_region_reset(region));
    assert_memory_equal(memory, bytes, len);
    txn = begin("main", RAMET_WRITE);
    copy(blob_of(txn, "copy"), 4 * 4096, blob_of(txn, "copy"), 0, 3 * 4096);
    MUST(ramet_commit(txn, NULL, NULL));
    memmove(bytes, bytes + (size_t)4 * 4096, (size_t)3 * 4096);
    MUST(ramet_region_refresh(region, 0));
    assert_memory_equal(memory, bytes, len);
    ramet_region_close(region);
    reads("main", "copy", 0, bytes, len);
    free(bytes);
}

/* ---- random programs ------------------------------------------------------------------------- */

#define BRANCHES 4u
#define BLOBS 2u

struct model {
    bool there;
    uint64_t size;
    uint8_t bytes[FULL]; /* pages as they are, also behind the end */
};

static const char *const branch_names[BRANCHES] = {"main", "one", "two", "three"};
static const char *const blob_names[BLOBS] = {"disk", "swap"};

struct world {
    uint32_t page_size;
    bool merges; /* then no blob is dropped */
    bool branches[BRANCHES];
    bool of_main[BRANCHES]; /* base is what it and main have in common */
    struct model models[BRANCHES][BLOBS];
    struct model base[BRANCHES][BLOBS];
    struct model saved[BLOBS]; /* at the savepoint, or when the transaction began */
    struct model begun[BLOBS];
    struct ramet_region *region; /* of blob 0 of main; NULL: not open */
};

static void same(struct ramet_txn *txn, const struct model *m, const char *name)
{
    static uint8_t got[FULL];
    struct ramet_blob *blob;
    uint64_t size;
    int rc = ramet_blob_open(txn, name, 0, &blob);
    assert_int_equal(rc, m->there ? 0 : RAMET_ENOTFOUND);
    if (rc < 0)
        return;
    MUST(ramet_blob_size(blob, &size));
    assert_int_equal(size, m->size);
    memset(got, 0xee, sizeof(got));
    int64_t n = ramet_blob_read(blob, 0, got, sizeof(got));
    if (n < 0)
        fail_msg("%s", ramet_errmsg());
    assert_int_equal(n, m->size);
    assert_memory_equal(got, m->bytes, m->size);
}

/* Pages that a diff has told of. */
struct differing {
    uint32_t page_size;
    bool pages[FULL / 4096];
};

static int see_differing(void *ctx, const struct ramet_extent *extent)
{
    struct differing *d = ctx;
    for (uint64_t i = 0; i < extent->bytes / d->page_size; i++)
        d->pages[extent->offset / d->page_size + i] = true;
    return 0;
}

static void same_differences(const struct world *w, uint32_t a, uint32_t b)
{
    struct ramet_txn *from = begin(branch_names[a], RAMET_READ);
    struct ramet_txn *to = begin(branch_names[b], RAMET_READ);
    for (uint32_t i = 0; i < BLOBS; i++) {
        const struct model *x = &w->models[a][i], *y = &w->models[b][i];
        struct differing d = {.page_size = w->page_size};
        if (!x->there || !y->there)
            continue;
        MUST(ramet_blob_diff(blob_of(from, blob_names[i]), blob_of(to, blob_names[i]),
                             see_differing, &d));
        for (uint32_t p = 0; p < FULL / w->page_size; p++) {
            size_t at = (size_t)p * w->page_size;
            assert_int_equal(d.pages[p], memcmp(x->bytes + at, y->bytes + at, w->page_size) != 0);
        }
    }
    ramet_abort(from);
    ramet_abort(to);
}

static uint64_t offset(const struct world *w, uint64_t room)
{
    uint64_t off = chance(FULL - room);
    return chance(2) ? off : off / w->page_size * w->page_size;
}

static void grow(struct model *m, uint64_t size)
{
    if (size <= m->size)
        return;
    memset(m->bytes + m->size, 0, FULL - m->size);
    m->size = size;
}

static void copy_step(const struct world *w, struct ramet_txn *txn, struct model *models)
{
    uint32_t i = (uint32_t)chance(BLOBS), j = (uint32_t)chance(BLOBS);
    struct model *x = &models[i], *y = &models[j];
    if (!x->there || !y->there)
        return;
    uint64_t len = chance(4) ? chance(FULL / 2) : chance(3 * w->page_size);
    uint64_t from = offset(w, FULL / 2), to = offset(w, FULL / 2);
    if (chance(4)) { /* alike in their pages */
        to = to / w->page_size * w->page_size + from % w->page_size;
        if (to + len > FULL)
            to -= w->page_size;
    }
    uint64_t wanted = from >= x->size ? 0 : len < x->size - from ? len : x->size - from;
    int64_t n =
        ramet_blob_copy(blob_of(txn, blob_names[i]), from, blob_of(txn, blob_names[j]), to, len);
    if (n < 0)
        fail_msg("%s", ramet_errmsg());
    assert_int_equal(n, wanted);
    if (!wanted || (x == y && from == to))
        return;
    grow(y, to + wanted);
    memmove(y->bytes + to, x->bytes + from, wanted);
}

static void other_step(const struct world *w, struct ramet_txn *txn, struct model *m,
                       const char *name)
{
    static uint8_t bytes[FULL / 2];
    uint64_t off = offset(w, FULL / 2);
    uint64_t len = chance(3) ? chance(3 * w->page_size) : chance(sizeof(bytes));
    if (chance(4) == 0)
        len = len / w->page_size * w->page_size;
    if (!m->there) {
        (void)blob_new(txn, name);
        m->there = true;
        return;
    }
    if (!w->merges && chance(30) == 0) {
        MUST(ramet_blob_drop(txn, name));
        memset(m, 0, sizeof(*m));
        return;
    }
    struct ramet_blob *blob = blob_of(txn, name);
    switch (chance(8)) {
    case 0:
        MUST(ramet_blob_zero(blob, off, len));
        if (off < m->size)
            memset(m->bytes + off, 0, len < m->size - off ? len : FULL - off);
        break;
    case 1:
        MUST(ramet_blob_truncate(blob, off));
        if (off < m->size)
            memset(m->bytes + off, 0, FULL - off);
        grow(m, off);
        m->size = off;
        break;
    default:
        fill(bytes, len);
        write_or_lend(blob, off, bytes, len);
        if (len)
            grow(m, off + len);
        memcpy(m->bytes + off, bytes, len);
        break;
    }
}

/* Something else is committed, so that an optimistic transaction writes anew. */
static void move_head(const char *branch)
{
    struct ramet_txn *txn = begin(branch, RAMET_WRITE);
    struct ramet_map *map;
    uint64_t value = chance(UINT64_MAX);
    MUST(ramet_map_open(txn, "map", RAMET_CREATE, &map));
    MUST(ramet_put(map, (struct ramet_slice){"key", 3}, (struct ramet_slice){&value, sizeof(value)},
                   0));
    MUST(ramet_commit(txn, NULL, NULL));
}

static void write_txn(struct world *w, uint32_t branch)
{
    bool optimistic = chance(4) == 0;
    struct ramet_txn *txn =
        begin(branch_names[branch], RAMET_WRITE | (optimistic ? RAMET_OPTIMISTIC : 0));
    struct model *models = w->models[branch];
    uint32_t savepoint = 0;
    bool has_savepoint = false;
    memcpy(w->begun, models, sizeof(w->begun));
    for (uint64_t n = 1 + chance(8); n > 0; n--) {
        uint32_t i = (uint32_t)chance(BLOBS);
        if (chance(2))
            copy_step(w, txn, models);
        else
            other_step(w, txn, &models[i], blob_names[i]);
        if (chance(3) == 0) {
            for (uint32_t j = 0; j < BLOBS; j++)
                same(txn, &models[j], blob_names[j]);
        }
        if (chance(5) == 0 && !has_savepoint) {
            MUST(ramet_savepoint(txn, &savepoint));
            memcpy(w->saved, models, sizeof(w->saved));
            has_savepoint = true;
        } else if (chance(4) == 0 && has_savepoint) {
            MUST(ramet_rollback(txn, savepoint));
            memcpy(models, w->saved, sizeof(w->saved));
            for (uint32_t j = 0; j < BLOBS; j++)
                same(txn, &models[j], blob_names[j]);
        }
    }
    if (chance(5)) {
        if (optimistic && chance(2))
            move_head(branch_names[branch]);
        MUST(ramet_commit(txn, NULL, NULL));
        take_back();
        check();
        return;
    }
    ramet_abort(txn);
    take_back();
    memcpy(models, w->begun, sizeof(w->begun));
}

static void all_same(struct world *w)
{
    for (uint32_t b = 0; b < BRANCHES; b++) {
        if (!w->branches[b])
            continue;
        struct ramet_txn *txn = begin(branch_names[b], RAMET_READ);
        for (uint32_t i = 0; i < BLOBS; i++)
            same(txn, &w->models[b][i], blob_names[i]);
        ramet_abort(txn);
        same_differences(w, 0, b);
    }
}

/* The region shows main as it is now. */
static void same_region(struct world *w)
{
    const struct model *m = &w->models[0][0];
    struct ramet_region_options options = {.size = sizeof(options), .reserve = FULL};
    if (!m->there)
        return;
    if (w->region && chance(4) == 0) {
        ramet_region_close(w->region);
        w->region = NULL;
    }
    if (!w->region)
        MUST(ramet_region_open(store, "main", blob_names[0], &options, &w->region));
    else
        MUST(ramet_region_refresh(w->region, 0));
    assert_memory_equal(ramet_region_data(w->region), m->bytes, m->size);
}

static void end_region(struct world *w)
{
    if (w->region)
        ramet_region_close(w->region);
    w->region = NULL;
}

/* Three ways, page by page; theirs where both changed. */
static void merge_models(const struct world *w, struct model *base, struct model *ours,
                         const struct model *theirs)
{
    for (size_t at = 0; at < FULL; at += w->page_size) {
        if (memcmp(base->bytes + at, theirs->bytes + at, w->page_size) != 0)
            memcpy(ours->bytes + at, theirs->bytes + at, w->page_size);
    }
    if (base->size != theirs->size)
        ours->size = theirs->size;
    *base = *theirs;
}

static void branch_step(struct world *w)
{
    uint32_t to = 1 + (uint32_t)chance(BRANCHES - 1), from = (uint32_t)chance(BRANCHES);
    if (w->branches[to] && w->of_main[to] && w->merges && chance(3)) {
        struct ramet_merge_options options = {.size = sizeof(options),
                                              .policy = RAMET_MERGE_THEIRS};
        MUST(ramet_merge(store, "main", branch_names[to], &options, NULL));
        for (uint32_t i = 0; i < BLOBS; i++)
            merge_models(w, &w->base[to][i], &w->models[0][i], &w->models[to][i]);
    } else if (w->branches[to]) {
        MUST(ramet_branch_delete(store, branch_names[to]));
        w->branches[to] = false;
    } else if (w->branches[from]) {
        MUST(ramet_branch_create(store, branch_names[to], branch_names[from]));
        w->branches[to] = true;
        w->of_main[to] = from == 0;
        memcpy(w->models[to], w->models[from], sizeof(w->models[to]));
        memcpy(w->base[to], w->models[from], sizeof(w->base[to]));
    }
    check();
}

/* A copy of the store has the same, and goes on as this one would. */
static void go_on_in_copy(struct world *w)
{
    static uint32_t copies;
    char name[sizeof(path)];
    (void)snprintf(name, sizeof(name), "copy-test-%d-%u.ramet", (int)getpid(), copies++);
    remove_file(name);
    MUST(ramet_copy(store, name, NULL, NULL));
    end_region(w);
    ramet_close(store);
    remove_store();
    memcpy(path, name, strlen(name) + 1);
    open_store(0);
    all_same(w);
    check();
}

static void run(uint32_t page_size, bool on_file, bool merges)
{
    static struct world world;
    struct world *w = &world;
    memset(w, 0, sizeof(*w));
    w->page_size = page_size;
    w->merges = merges;
    w->branches[0] = true;
    path[0] = 0;
    if (on_file)
        (void)snprintf(path, sizeof(path), "copy-test-%d.ramet", (int)getpid());
    remove_store();
    open_store(page_size);
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    for (uint32_t i = 0; i < BLOBS; i++) {
        (void)blob_new(txn, blob_names[i]);
        w->models[0][i].there = true;
    }
    MUST(ramet_commit(txn, NULL, NULL));
    for (uint32_t i = 0; i < 120; i++) {
        uint32_t b = (uint32_t)chance(BRANCHES);
        if (chance(5) == 0)
            branch_step(w);
        else if (w->branches[b])
            write_txn(w, b);
        if (chance(8) == 0)
            MUST(ramet_reclaim(store, UINT64_MAX, NULL));
        if (chance(5) == 0)
            same_region(w);
        if (i % 10 == 9 && path[0] && chance(2)) {
            end_region(w);
            ramet_close(store);
            open_store(0);
        }
        if (i % 40 == 39 && chance(2))
            go_on_in_copy(w);
        if (i % 10 == 9)
            all_same(w);
    }
    end_region(w);
    for (uint32_t i = 0; i < BLOBS; i++) {
        txn = begin("main", RAMET_WRITE);
        if (w->models[0][i].there)
            MUST(ramet_blob_drop(txn, blob_names[i]));
        MUST(ramet_commit(txn, NULL, NULL));
        check();
    }
    ramet_close(store);
    remove_store();
}

static void agrees_in_memory(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        run(i == 2 ? 16384 : 4096, false, i % 2);
}

static void agrees_on_a_file(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 6; i++)
        run(i == 2 ? 65536 : 4096, true, i % 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_bad_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(copies_no_data, setup, teardown),
        cmocka_unit_test_setup_teardown(gigabyte_after_gigabyte, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_one_to_go_gives_it_back, setup, teardown),
        cmocka_unit_test_setup_teardown(branches_go_their_own_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_of_branches_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(dirty_pages_are_shared_too, setup, teardown),
        cmocka_unit_test_setup_teardown(histories_and_differences_are_of_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_behind_it_is_not_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(optimistic_ones_copy_too, setup, teardown),
        cmocka_unit_test_setup_teardown(regions_have_pages_in_common, setup, teardown),
        cmocka_unit_test(agrees_in_memory),
        cmocka_unit_test(agrees_on_a_file),
    };
    struct args args = {.seed = 1};
    if (!args_parse(argc, argv, &args))
        return 2;
    chance_state = args.seed;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
