/* SPDX-License-Identifier: MIT */
/*
 * blob-test.c - ramet_blob_*() case by case; and random programs of writes, holes, sizes,
 * savepoints, branches and reopening, whose blobs are compared byte for byte with arrays.
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
#define FULL (1536 * KIB) /* no blob of a program is larger */

/* ---- extents as a string: h hole, o owned, s shared, each with its KiB -------------------------
 */

struct told {
    char text[400];
    uint64_t end; /* where the next one must begin; UINT64_MAX: anywhere */
};

static int tell(void *ctx, const struct ramet_extent *extent)
{
    struct told *told = ctx;
    size_t at = strlen(told->text);
    assert_true(extent->bytes > 0);
    if (told->end != UINT64_MAX)
        assert_int_equal(extent->offset, told->end);
    told->end = told->end == UINT64_MAX ? told->end : extent->offset + extent->bytes;
    (void)snprintf(told->text + at, sizeof(told->text) - at, "%s%c%" PRIu64, at ? " " : "",
                   "hos"[extent->kind], extent -> bytes / KIB);
    return 0;
}

static void extents_are(struct ramet_blob *blob, const char *wanted)
{
    struct told told = {.end = 0};
    MUST(ramet_blob_extents(blob, 0, UINT64_MAX, tell, &told));
    assert_string_equal(told.text, wanted);
}

/* Where each difference is, too. */
static int tell_at(void *ctx, const struct ramet_extent *extent)
{
    struct told *told = ctx;
    size_t at = strlen(told->text);
    (void)snprintf(told->text + at, sizeof(told->text) - at, "%s%" PRIu64 "%c%" PRIu64,
                   at ? " " : "", extent->offset / KIB, "hos"[extent->kind], extent -> bytes / KIB);
    return 0;
}

static void diff_is(struct ramet_blob *from, struct ramet_blob *to, const char *wanted)
{
    struct told told = {.end = UINT64_MAX};
    MUST(ramet_blob_diff(from, to, tell_at, &told));
    assert_string_equal(told.text, wanted);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void is_empty_when_new(void **state)
{
    (void)state;
    uint8_t byte;
    uint64_t size = 7;
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_blob *blob;
    assert_int_equal(ramet_blob_open(txn, "disk", 0, &blob), RAMET_ENOTFOUND);
    assert_non_null(strstr(ramet_errmsg(), "'disk': there is no such blob"));
    blob = blob_new(txn, "disk");
    MUST(ramet_blob_size(blob, &size));
    assert_int_equal(size, 0);
    assert_int_equal(ramet_blob_read(blob, 0, &byte, 1), 0);
    extents_are(blob, "");
    MUST(ramet_commit(txn, NULL, NULL));
    txn = begin("main", RAMET_READ);
    blob = blob_of(txn, "disk");
    assert_int_equal(ramet_blob_write(blob, 0, &byte, 1), RAMET_ETXN);
    assert_int_equal(ramet_blob_zero(blob, 0, 1), RAMET_ETXN);
    assert_int_equal(ramet_blob_truncate(blob, 1), RAMET_ETXN);
    assert_int_equal(ramet_blob_open(txn, "other", RAMET_CREATE, &blob), RAMET_ETXN);
    ramet_abort(txn);
}

static void refuses_bad_arguments(void **state)
{
    (void)state;
    char name[RAMET_BLOB_NAME_MAX + 2];
    uint8_t byte = 1;
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_blob *blob;
    memset(name, 'n', sizeof(name));
    name[RAMET_BLOB_NAME_MAX + 1] = 0;
    assert_int_equal(ramet_blob_open(txn, name, RAMET_CREATE, &blob), -EINVAL);
    name[RAMET_BLOB_NAME_MAX] = 0;
    blob = blob_new(txn, name);
    assert_int_equal(ramet_blob_open(txn, "", RAMET_CREATE, &blob), -EINVAL);
    assert_int_equal(ramet_blob_open(txn, "a\x7f", RAMET_CREATE, &blob), -EINVAL);
    assert_int_equal(ramet_blob_open(txn, "a", 2, &blob), -EINVAL);
    assert_int_equal(ramet_blob_open(NULL, "a", 0, &blob), -EINVAL);
    assert_int_equal(ramet_blob_write(NULL, 0, &byte, 1), -EINVAL);
    assert_int_equal(ramet_blob_write(blob, 0, NULL, 1), -EINVAL);
    assert_int_equal(ramet_blob_read(blob, 0, NULL, 1), -EINVAL);
    assert_int_equal(ramet_blob_size(blob, NULL), -EINVAL);
    assert_int_equal(ramet_blob_extents(blob, 0, 1, NULL, NULL), -EINVAL);
    assert_int_equal(ramet_blob_write(blob, RAMET_BLOB_MAX, &byte, 1), -EFBIG);
    assert_int_equal(ramet_blob_write(blob, UINT64_MAX, &byte, 1), -EFBIG);
    assert_int_equal(ramet_blob_truncate(blob, RAMET_BLOB_MAX + 1), -EFBIG);
    MUST(ramet_blob_drop(txn, name));
    assert_int_equal(ramet_blob_write(blob, 0, &byte, 1), RAMET_ENOTFOUND);
    assert_int_equal(ramet_blob_drop(txn, name), RAMET_ENOTFOUND);
    ramet_abort(txn);
}

static void may_be_as_large_as_it_gets(void **state)
{
    (void)state;
    uint8_t byte = 9, got[3];
    uint64_t size;
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_blob *blob = blob_new(txn, "disk");
    MUST(ramet_blob_write(blob, RAMET_BLOB_MAX - 1, &byte, 1));
    MUST(ramet_blob_size(blob, &size));
    assert_true(size == RAMET_BLOB_MAX);
    assert_int_equal(ramet_blob_read(blob, RAMET_BLOB_MAX - 2, got, 3), 2);
    assert_int_equal(got[0], 0);
    assert_int_equal(got[1], 9);
    MUST(ramet_blob_zero(blob, 0, UINT64_MAX));
    struct told told = {.end = 0};
    MUST(ramet_blob_extents(blob, 0, UINT64_MAX, tell, &told));
    assert_string_equal(told.text, "h1125899906842624");
    MUST(ramet_commit(txn, NULL, NULL));
}

static void extents_and_differences(void **state)
{
    (void)state;
    uint8_t bytes[16 * KIB];
    fill(bytes, sizeof(bytes));
    struct ramet_txn *txn = begin("main", RAMET_WRITE), *clone;
    struct ramet_blob *blob = blob_new(txn, "disk");
    MUST(ramet_blob_truncate(blob, 64 * KIB));
    extents_are(blob, "h64");
    MUST(ramet_blob_write(blob, 8 * KIB, bytes, 16 * KIB));
    extents_are(blob, "h8 o16 h40");
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_branch_create(store, "clone", "main"));

    txn = begin("main", RAMET_READ);
    extents_are(blob_of(txn, "disk"), "h8 s16 h40");
    clone = begin("clone", RAMET_WRITE);
    blob = blob_of(clone, "disk");
    extents_are(blob, "h8 s16 h40");
    MUST(ramet_blob_write(blob, 12 * KIB + 1, "x", 1));
    MUST(ramet_blob_zero(blob, 16 * KIB, 4 * KIB));
    MUST(ramet_blob_write(blob, 62 * KIB, bytes, 4 * KIB));
    extents_are(blob, "h8 s4 o4 h4 s4 h36 o6");
    diff_is(blob_of(txn, "disk"), blob, "12o4 16h4 60o8");
    diff_is(NULL, blob_of(txn, "disk"), "8o16");
    diff_is(blob, blob, "");
    struct told told = {.end = 10 * KIB};
    MUST(ramet_blob_extents(blob, 10 * KIB, 7 * KIB, tell, &told));
    assert_string_equal(told.text, "s2 o4 h1");
    MUST(ramet_commit(clone, NULL, NULL));
    ramet_abort(txn);
}

/* What a blob is cut by does not come back. */
static int count_difference(void *ctx, const struct ramet_extent *extent)
{
    (void)extent;
    ++*(unsigned *)ctx;
    return 0;
}

/* A merge must not take it for a change that a blob was written, and made empty again. */
static void empty_is_empty_whatever_was_before(void **state)
{
    (void)state;
    unsigned differences = 0;
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    (void)blob_new(txn, "e");
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_branch_create(store, "there-and-back", "main"));
    for (unsigned i = 0; i < 2; i++) {
        txn = begin("there-and-back", RAMET_WRITE);
        MUST(ramet_blob_truncate(blob_of(txn, "e"), i ? 0 : 10));
        MUST(ramet_commit(txn, NULL, NULL));
    }
    struct ramet_txn *main = begin("main", RAMET_READ);
    txn = begin("there-and-back", RAMET_READ);
    struct ramet_diff *diff;
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_diff_options options = {.size = sizeof(options), .flags = RAMET_DIFF_BLOBS};
    MUST(ramet_diff_open(main, txn, &options, &diff));
    assert_int_equal(ramet_diff_next(diff, &change), RAMET_ENOTFOUND);
    ramet_diff_close(diff);
    MUST(ramet_blob_diff(blob_of(main, "e"), blob_of(txn, "e"), count_difference, &differences));
    assert_int_equal(differences, 0);
    ramet_abort(main);
    ramet_abort(txn);

    txn = begin("main", RAMET_WRITE);
    MUST(ramet_blob_write(blob_of(txn, "e"), 0, "x", 1));
    MUST(ramet_commit(txn, NULL, NULL));
    struct ramet_merge_options theirs = {.size = sizeof(theirs), .policy = RAMET_MERGE_THEIRS};
    MUST(ramet_merge(store, "main", "there-and-back", &theirs, NULL));
    txn = begin("main", RAMET_READ);
    uint64_t size;
    MUST(ramet_blob_size(blob_of(txn, "e"), &size));
    assert_int_equal(size, 1);
    ramet_abort(txn);
}

static void grows_with_zeros(void **state)
{
    (void)state;
    uint8_t bytes[10000], got[20000];
    fill(bytes, sizeof(bytes));
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_blob *blob = blob_new(txn, "disk");
    MUST(ramet_blob_write(blob, 0, bytes, sizeof(bytes)));
    MUST(ramet_blob_truncate(blob, 5000));
    MUST(ramet_blob_truncate(blob, 20000));
    assert_int_equal(ramet_blob_read(blob, 0, got, sizeof(got)), sizeof(got));
    assert_memory_equal(got, bytes, 5000);
    for (size_t i = 5000; i < sizeof(got); i++)
        assert_int_equal(got[i], 0);
    MUST(ramet_blob_truncate(blob, 5000));
    MUST(ramet_blob_write(blob, 9000, bytes, 10));
    assert_int_equal(ramet_blob_read(blob, 0, got, sizeof(got)), 9010);
    for (size_t i = 5000; i < 9000; i++)
        assert_int_equal(got[i], 0);
    MUST(ramet_commit(txn, NULL, NULL));
}

static int add_name(void *ctx, const struct ramet_blob_info *info)
{
    char *text = ctx;
    (void)sprintf(text + strlen(text), "%s %" PRIu64 " %" PRIu64 ";", info->name, info->bytes / KIB,
                  info->data_bytes / KIB);
    return 0;
}

static int add_map(void *ctx, const struct ramet_map_info *info)
{
    char *text = ctx;
    (void)sprintf(text + strlen(text), "%s;", info->name);
    return 0;
}

static void what_was_lent_is_written_as_it_is_at_the_commit(void **state)
{
    enum { PAGES = 200 }; /* more than are copied at once */
    static uint8_t bytes[PAGES * 4 * KIB + 100], back[sizeof(bytes)];
    (void)state;
    fill(bytes, sizeof(bytes));
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_blob *blob = blob_new(txn, "lent");
    MUST(ramet_blob_lend(blob, 50, bytes, sizeof(bytes)));
    bytes[0] ^= 1; /* was in the first page, of which a part was written: that is copied */
    uint8_t first = bytes[0] ^ 1;
    for (size_t i = 1; i < PAGES; i++)
        bytes[i * 4 * KIB - 50] ^= 2;
    assert_int_equal(ramet_blob_read(blob, 50, back, sizeof(back)), sizeof(back));
    assert_memory_equal(back + 1, bytes + 1, sizeof(bytes) - 1);
    assert_int_equal(back[0], first);
    MUST(ramet_commit(txn, NULL, NULL));
    memset(back, 0, sizeof(back));
    txn = begin("main", RAMET_READ);
    assert_int_equal(ramet_blob_read(blob_of(txn, "lent"), 50, back, sizeof(back)), sizeof(back));
    assert_memory_equal(back + 1, bytes + 1, sizeof(bytes) - 1);
    ramet_abort(txn);
    check();

    /* Through an optimistic transaction, whose writes are made again at its commit. */
    struct ramet_txn *other;
    txn = begin("main", RAMET_WRITE | RAMET_OPTIMISTIC);
    other = begin("main", RAMET_WRITE);
    MUST(ramet_blob_lend(blob_of(txn, "lent"), 0, bytes, 64 * KIB));
    MUST(ramet_blob_write(blob_of(other, "lent"), 400 * KIB, bytes, 4 * KIB));
    MUST(ramet_commit(other, NULL, NULL));
    MUST(ramet_commit(txn, NULL, NULL));
    txn = begin("main", RAMET_READ);
    assert_int_equal(ramet_blob_read(blob_of(txn, "lent"), 0, back, 404 * KIB), 404 * KIB);
    assert_memory_equal(back, bytes, 64 * KIB);
    assert_memory_equal(back + 400 * KIB, bytes, 4 * KIB);
    ramet_abort(txn);
    check();
}

static void is_listed_apart_from_maps(void **state)
{
    (void)state;
    uint8_t bytes[4 * KIB];
    char text[200] = "";
    fill(bytes, sizeof(bytes));
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_map *map;
    MUST(ramet_map_open(txn, "b", RAMET_CREATE, &map));
    MUST(ramet_map_open(txn, "\xc3\xa4", RAMET_CREATE, &map));
    MUST(ramet_blob_truncate(blob_new(txn, "b"), 12 * KIB));
    MUST(ramet_blob_write(blob_new(txn, "a"), 4 * KIB, bytes, 4 * KIB));
    MUST(ramet_blob_list(txn, add_name, text));
    assert_string_equal(text, "a 8 4;b 12 0;");
    MUST(ramet_commit(txn, NULL, NULL));
    txn = begin("main", RAMET_READ);
    text[0] = 0;
    MUST(ramet_blob_list(txn, add_name, text));
    assert_string_equal(text, "a 8 4;b 12 0;");
    text[0] = 0;
    MUST(ramet_map_list(txn, add_map, text));
    assert_string_equal(text, "b;\xc3\xa4;");
    ramet_abort(txn);
}

static void is_added_up_with_the_maps(void **state)
{
    (void)state;
    uint8_t bytes[5 * KIB];
    struct ramet_txn_stat stat = {.size = sizeof(stat)};
    const struct ramet_slice k = {"k", 1};
    fill(bytes, sizeof(bytes));
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_map *map;
    MUST(ramet_txn_stat(txn, &stat));
    assert_int_equal(stat.maps + stat.entries + stat.blobs + stat.blob_bytes, 0);
    MUST(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    MUST(ramet_put(map, k, k, 0));
    MUST(ramet_blob_write(blob_new(txn, "a"), 8 * KIB, bytes, 5 * KIB));
    MUST(ramet_blob_truncate(blob_new(txn, "b"), 100 * KIB));
    for (int i = 0; i < 2; i++) { /* as it is written, and as it was committed */
        MUST(ramet_txn_stat(txn, &stat));
        assert_int_equal(stat.maps, 1);
        assert_int_equal(stat.entries, 1);
        assert_int_equal(stat.blobs, 2);
        assert_int_equal(stat.blob_bytes, 113 * KIB);
        assert_int_equal(stat.blob_data_bytes, 8 * KIB);
        MUST(i == 0 ? ramet_commit(txn, NULL, NULL) : 0);
        txn = i == 0 ? begin("main", RAMET_READ) : txn;
    }
    stat.size = sizeof(stat) - 1;
    assert_int_equal(ramet_txn_stat(txn, &stat), -EINVAL);
    assert_int_equal(ramet_txn_stat(NULL, &stat), -EINVAL);
    ramet_abort(txn);
}

/* What an optimistic transaction says of a blob that another has changed. */
static void is_in_conflict(const char *wanted, uint64_t off, uint64_t size)
{
    uint8_t byte = 7;
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    MUST(ramet_blob_truncate(blob_new(txn, "a"), 64 * KIB));
    MUST(ramet_commit(txn, NULL, NULL));
    struct ramet_txn *late = begin("main", RAMET_WRITE | RAMET_OPTIMISTIC);
    txn = begin("main", RAMET_WRITE);
    if (size)
        MUST(ramet_blob_truncate(blob_of(txn, "a"), size));
    else
        MUST(ramet_blob_write(blob_of(txn, "a"), off, &byte, 1));
    MUST(ramet_commit(txn, NULL, NULL));
    byte = 8;
    if (size)
        MUST(ramet_blob_truncate(blob_of(late, "a"), size + 1));
    else
        MUST(ramet_blob_write(blob_of(late, "a"), off, &byte, 1));
    assert_int_equal(ramet_commit(late, NULL, NULL), RAMET_ECONFLICT);
    if (!strstr(ramet_errmsg(), wanted))
        fail_msg("no '%s' in: %s", wanted, ramet_errmsg());
    assert_null(strchr(ramet_errmsg(), RAMET_BLOB_MARK));
}

static void conflicts_name_it_without_its_mark(void **state)
{
    (void)state;
    const char marked[] = {RAMET_BLOB_MARK, 'a', 0};
    const struct ramet_slice k = {"k", 1};
    is_in_conflict("blob 'a', byte 8192: it changed", 8 * KIB + 5, 0);
    is_in_conflict("blob 'a', its size: it changed", 0, 32 * KIB);
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    assert_int_equal(ramet_conflict_resolve(txn, marked, k, RAMET_RESOLVE_OURS), RAMET_ENOTFOUND);
    assert_non_null(strstr(ramet_errmsg(), "blob 'a' has no conflicts"));
    ramet_abort(txn);
}

/* ---- differences and merges as those of maps ----------------------------------------------------
 */

#define PAGE 4096u

/* A blob of 64 KiB on main, of random bytes, and a clone. */
static void two_branches(void)
{
    static uint8_t bytes[64 * KIB];
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    struct ramet_map *map;
    fill(bytes, sizeof(bytes));
    MUST(ramet_blob_write(blob_new(txn, "disk"), 0, bytes, sizeof(bytes)));
    MUST(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_branch_create(store, "clone", "main"));
}

static void write_at(const char *branch, uint64_t off, const char *text)
{
    struct ramet_txn *txn = begin(branch, RAMET_WRITE);
    MUST(ramet_blob_write(blob_of(txn, "disk"), off, text, strlen(text)));
    MUST(ramet_commit(txn, NULL, NULL));
}

static void reads(const char *ref, uint64_t off, const char *text)
{
    char got[64] = "";
    struct ramet_txn *txn = begin(ref, RAMET_READ);
    assert_int_equal(ramet_blob_read(blob_of(txn, "disk"), off, got, strlen(text)), strlen(text));
    assert_string_equal(got, text);
    ramet_abort(txn);
}

static void differences_are_those_of_maps_if_asked_for(void **state)
{
    (void)state;
    two_branches();
    write_at("clone", 5 * PAGE, "five");
    write_at("clone", 9 * PAGE, "nine");
    struct ramet_txn *from = begin("main", RAMET_READ), *to = begin("clone", RAMET_READ);
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_diff *diff;
    MUST(ramet_diff_open(from, to, NULL, &diff));
    assert_int_equal(ramet_diff_next(diff, &change), RAMET_ENOTFOUND);
    ramet_diff_close(diff);
    struct ramet_diff_options options = {.size = sizeof(options), .flags = RAMET_DIFF_BLOBS};
    MUST(ramet_diff_open(from, to, &options, &diff));
    for (uint8_t page = 5; page <= 9; page += 4) {
        const uint8_t key[8] = {0, 0, 0, 0, 0, 0, 0, page};
        MUST(ramet_diff_next(diff, &change));
        assert_string_equal(change.map, "\x7f"
                                        "disk");
        assert_int_equal(change.key.size, 8);
        assert_memory_equal(change.key.data, key, 8);
        assert_int_equal(change.kind, RAMET_CHANGED);
        assert_int_equal(change.new_value.size, PAGE);
        assert_memory_equal(change.new_value.data, page == 5 ? "five" : "nine", 4);
    }
    assert_int_equal(ramet_diff_next(diff, &change), RAMET_ENOTFOUND);
    ramet_diff_close(diff);
    ramet_abort(from);
    ramet_abort(to);
}

static int on_conflict(void *ctx, const struct ramet_conflict *both)
{
    char *text = ctx;
    assert_int_equal(both->key.size, 8);
    assert_int_equal(both->base.size, PAGE);
    (void)sprintf(text + strlen(text), "%s %u %.4s %.4s;", both->map + 1,
                  ((const uint8_t *)both->key.data)[7], (const char *)both->ours.data,
                  (const char *)both->theirs.data);
    return 0;
}

static void merges_page_by_page(void **state)
{
    (void)state;
    char text[200] = "";
    struct ramet_merge_rule rules[] = {{.policy = RAMET_MERGE_COUNTER},
                                       {.map = "\x7f"
                                               "disk",
                                        .policy = RAMET_MERGE_THEIRS}};
    struct ramet_merge_options options = {
        .size = sizeof(options), .conflict = on_conflict, .conflict_ctx = text};
    struct ramet_merge_result result = {.size = sizeof(result)};
    two_branches();
    write_at("main", 3 * PAGE, "three");
    write_at("clone", 5 * PAGE, "five");
    write_at("clone", 20 * PAGE, "twenty");
    MUST(ramet_merge(store, "main", "clone", &options, &result));
    reads("main", 3 * PAGE, "three");
    reads("main", 5 * PAGE, "five");
    reads("main", 20 * PAGE, "twenty");
    check();

    write_at("main", 7 * PAGE, "ours");
    write_at("clone", 7 * PAGE, "them");
    write_at("clone", 8 * PAGE, "more");
    options.rules = rules;
    options.nr_rules = 1; /* it is of maps alone */
    assert_int_equal(ramet_merge(store, "main", "clone", &options, &result), RAMET_ECONFLICT);
    assert_string_equal(text, "disk 7 ours them;");
    reads("main", 7 * PAGE, "ours");
    options.nr_rules = 2;
    MUST(ramet_merge(store, "main", "clone", &options, &result));
    reads("main", 7 * PAGE, "them");
    reads("main", 8 * PAGE, "more");
}

/* Two cut and write: what a merge leaves behind the end does not come back. */
static void merges_of_sizes_leave_no_bytes_behind_the_end(void **state)
{
    (void)state;
    struct ramet_merge_options options = {.size = sizeof(options), .policy = RAMET_MERGE_OURS};
    struct ramet_merge_result result = {.size = sizeof(result)};
    uint8_t got[100];
    two_branches();
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    MUST(ramet_blob_truncate(blob_of(txn, "disk"), PAGE + 10));
    MUST(ramet_commit(txn, NULL, NULL));
    write_at("clone", 30 * PAGE, "thirty");
    MUST(ramet_merge(store, "main", "clone", &options, &result));
    txn = begin("main", RAMET_WRITE);
    struct ramet_blob *blob = blob_of(txn, "disk");
    uint64_t size;
    MUST(ramet_blob_size(blob, &size));
    assert_int_equal(size, PAGE + 10);
    assert_int_equal(ramet_blob_read(blob, 30 * PAGE, got, 100), 0);
    extents_are(blob, "s4");
    MUST(ramet_blob_truncate(blob, 40 * PAGE));
    assert_int_equal(ramet_blob_read(blob, 30 * PAGE, got, 100), 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(got[i], 0);
    MUST(ramet_commit(txn, NULL, NULL));
}

static void has_one_lease(void **state)
{
    (void)state;
    struct ramet_lease *lease, *other;
    struct ramet_store *second;
    (void)snprintf(path, sizeof(path), "blob-test-%d.ramet", (int)getpid());
    remove_store();
    ramet_close(store);
    open_store(0);
    MUST(ramet_branch_create(store, "clone", "main"));
    assert_int_equal(ramet_blob_lease(store, "none", "disk", 0, &lease), RAMET_ENOTFOUND);
    assert_int_equal(ramet_blob_lease(store, "main", "", 0, &lease), -EINVAL);
    MUST(ramet_blob_lease(store, "main", "disk", 0, &lease));
    assert_int_equal(ramet_blob_lease(store, "main", "disk", RAMET_NOWAIT, &other), -EBUSY);
    MUST(ramet_blob_lease(store, "main", "swap", RAMET_NOWAIT, &other));
    ramet_lease_end(other);
    MUST(ramet_blob_lease(store, "clone", "disk", RAMET_NOWAIT, &other));
    ramet_lease_end(other);
    MUST(ramet_open(path, NULL, &second));
    assert_int_equal(ramet_blob_lease(second, "main", "disk", RAMET_NOWAIT, &other), -EBUSY);
    ramet_lease_end(lease);
    MUST(ramet_blob_lease(second, "main", "disk", 0, &other));
    assert_int_equal(ramet_blob_lease(store, "main", "disk", RAMET_NOWAIT, &lease), -EBUSY);
    ramet_lease_end(other);
    ramet_close(second);
    remove_store();
}

/* ---- random programs ------------------------------------------------------------------------- */

#define BRANCHES 4u
#define BLOBS 2u

struct model {
    bool there;
    uint64_t size;
    uint8_t bytes[FULL];
};

static const char *const branch_names[BRANCHES] = {"main", "one", "two", "three"};
static const char *const blob_names[BLOBS] = {"disk", "swap"};

struct world {
    uint32_t page_size;
    bool branches[BRANCHES];
    struct model models[BRANCHES][BLOBS];
    struct model saved[BLOBS]; /* at the savepoint, or when the transaction began */
    struct model begun[BLOBS];
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
    for (uint32_t i = 0; i < 4 && size; i++) {
        uint64_t off = chance(size), len = 1 + chance(chance(2) ? 20000 : 100);
        uint64_t wanted = len < size - off ? len : size - off;
        assert_int_equal(ramet_blob_read(blob, off, got, len), wanted);
        assert_memory_equal(got, m->bytes + off, wanted);
    }
}

struct listed {
    const struct model *m;
    uint32_t page_size;
    uint64_t at;
    int last;
};

/* Holes are zeros, and pages of zeros are holes. */
static int see(void *ctx, const struct ramet_extent *extent)
{
    struct listed *listed = ctx;
    assert_int_equal(extent->offset, listed->at);
    assert_int_not_equal(extent->kind, listed->last);
    listed->at += extent->bytes;
    listed->last = extent->kind;
    for (uint64_t at = extent->offset; at < listed->at; at += listed->page_size) {
        bool zero = true;
        for (uint64_t i = at; i < at + listed->page_size && i < listed->at; i++)
            zero &= listed->m->bytes[i] == 0;
        assert_int_equal(zero, extent->kind == RAMET_EXTENT_HOLE);
    }
    return 0;
}

static void same_extents(struct world *w, struct ramet_txn *txn, const struct model *m,
                         const char *name)
{
    if (!m->there)
        return;
    struct listed listed = {m, w->page_size, 0, -1};
    MUST(ramet_blob_extents(blob_of(txn, name), 0, UINT64_MAX, see, &listed));
    assert_int_equal(listed.at, m->size);
}

static uint64_t offset(const struct world *w)
{
    uint64_t off = chance(FULL - 300 * KIB);
    return chance(2) ? off : off / w->page_size * w->page_size;
}

static void step(struct world *w, struct ramet_txn *txn, struct model *m, const char *name)
{
    static uint8_t bytes[300 * KIB];
    struct ramet_blob *blob;
    uint64_t off = offset(w), len = chance(3) ? chance(3 * w->page_size) : chance(sizeof(bytes));
    if (chance(4) == 0)
        len = len / w->page_size * w->page_size;
    if (!m->there || chance(60) == 0) {
        if (m->there) {
            MUST(ramet_blob_drop(txn, name));
            memset(m, 0, sizeof(*m));
        } else {
            (void)blob_new(txn, name);
            m->there = true;
        }
        return;
    }
    blob = blob_of(txn, name);
    switch (chance(8)) {
    case 0:
        MUST(ramet_blob_zero(blob, off, len));
        if (off < m->size)
            memset(m->bytes + off, 0, len < m->size - off ? len : m->size - off);
        break;
    case 1:
        MUST(ramet_blob_truncate(blob, off));
        if (off < m->size)
            memset(m->bytes + off, 0, m->size - off);
        m->size = off;
        break;
    case 2:
        memset(bytes, 0, len); /* pages of zeros become holes */
        goto write;
    default:
        fill(bytes, len < 9000 ? len : 9000);
        for (size_t i = 9000; i < len; i++)
            bytes[i] = bytes[i - 9000];
write:
        write_or_lend(blob, off, bytes, len);
        memcpy(m->bytes + off, bytes, len);
        if (len && off + len > m->size)
            m->size = off + len;
        break;
    }
}

static void write_txn(struct world *w, uint32_t branch)
{
    struct ramet_txn *txn = begin(branch_names[branch], RAMET_WRITE);
    struct model *models = w->models[branch];
    uint32_t savepoint = 0;
    bool has_savepoint = false;
    memcpy(w->begun, models, sizeof(w->begun));
    for (uint64_t n = 1 + chance(6); n > 0; n--) {
        uint32_t i = (uint32_t)chance(BLOBS);
        step(w, txn, &models[i], blob_names[i]);
        if (chance(3) == 0)
            same(txn, &models[i], blob_names[i]);
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
    for (uint32_t i = 0; i < BLOBS; i++)
        same_extents(w, txn, &models[i], blob_names[i]);
    if (chance(5)) {
        MUST(ramet_commit(txn, NULL, NULL));
        take_back();
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
        for (uint32_t i = 0; i < BLOBS; i++) {
            same(txn, &w->models[b][i], blob_names[i]);
            same_extents(w, txn, &w->models[b][i], blob_names[i]);
        }
        ramet_abort(txn);
    }
}

static void branch_step(struct world *w)
{
    uint32_t to = 1 + (uint32_t)chance(BRANCHES - 1), from = (uint32_t)chance(BRANCHES);
    if (w->branches[to]) {
        MUST(ramet_branch_delete(store, branch_names[to]));
        w->branches[to] = false;
    } else if (w->branches[from]) {
        MUST(ramet_branch_create(store, branch_names[to], branch_names[from]));
        w->branches[to] = true;
        memcpy(w->models[to], w->models[from], sizeof(w->models[to]));
    }
}

static void run(uint32_t page_size, bool on_file)
{
    static struct world world;
    struct world *w = &world;
    memset(w, 0, sizeof(*w));
    w->page_size = page_size;
    w->branches[0] = true;
    path[0] = 0;
    if (on_file)
        (void)snprintf(path, sizeof(path), "blob-test-%d.ramet", (int)getpid());
    remove_store();
    open_store(page_size);
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t b = (uint32_t)chance(BRANCHES);
        if (chance(6) == 0)
            branch_step(w);
        else if (w->branches[b])
            write_txn(w, b);
        if (chance(8) == 0)
            MUST(ramet_reclaim(store, UINT64_MAX, NULL));
        if (i % 10 == 9 && on_file && chance(2)) {
            ramet_close(store);
            open_store(0);
        }
        if (i % 10 == 9) {
            all_same(w);
            check();
        }
    }
    ramet_close(store);
    remove_store();
}

static void agrees_in_memory(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        run(i == 2 ? 16384 : 4096, false);
}

static void agrees_on_a_file(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        run(i == 2 ? 65536 : 4096, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_empty_when_new, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(may_be_as_large_as_it_gets, setup, teardown),
        cmocka_unit_test_setup_teardown(extents_and_differences, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_is_empty_whatever_was_before, setup, teardown),
        cmocka_unit_test_setup_teardown(grows_with_zeros, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_lent_is_written_as_it_is_at_the_commit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(is_listed_apart_from_maps, setup, teardown),
        cmocka_unit_test_setup_teardown(is_added_up_with_the_maps, setup, teardown),
        cmocka_unit_test_setup_teardown(conflicts_name_it_without_its_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(differences_are_those_of_maps_if_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(merges_page_by_page, setup, teardown),
        cmocka_unit_test_setup_teardown(merges_of_sizes_leave_no_bytes_behind_the_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(has_one_lease, setup, teardown),
        cmocka_unit_test(agrees_in_memory),
        cmocka_unit_test(agrees_on_a_file),
    };
    struct args args = {.seed = 1};
    if (!args_parse(argc, argv, &args))
        return 2;
    chance_state = args.seed;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
