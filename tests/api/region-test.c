/* SPDX-License-Identifier: MIT */
/*
 * region-test.c - ramet_region_*() case by case; and random programs of stores, commits, changes by
 * others, refreshes and resets, whose memory is compared byte for byte with arrays.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/args.h"
#include "api/fixture.h"

#define PAGE 4096u
#define PAGES 256u
#define SIZE ((size_t)PAGES * PAGE)
#define RESERVE ((size_t)400 * PAGE)

static struct ramet_txn *begin(const char *ref, unsigned flags, struct ramet_blob **blob)
{
    struct ramet_txn *txn;
    MUST(ramet_begin(store, ref, flags, &txn));
    MUST(ramet_blob_open(txn, "ram", flags & RAMET_WRITE ? RAMET_CREATE : 0, blob));
    return txn;
}

/* A blob of SIZE bytes: page i is full of i + 1, but every tenth page is a hole. */
static void make_blob(void)
{
    uint8_t page[PAGE];
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_WRITE, &blob);
    MUST(ramet_blob_truncate(blob, SIZE));
    for (uint32_t i = 0; i < PAGES; i++) {
        memset(page, (int)(i + 1), PAGE);
        if (i % 10)
            MUST(ramet_blob_write(blob, (uint64_t)i * PAGE, page, PAGE));
    }
    MUST(ramet_commit(txn, NULL, NULL));
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "region-test-%d.ramet", (int)getpid());
    remove_store();
    open_store(0);
    make_blob();
    return 0;
}

static int setup_memory(void **state)
{
    (void)state;
    path[0] = 0;
    open_store(0);
    make_blob();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    check();
    ramet_close(store);
    remove_store();
    return 0;
}

static struct ramet_region *open_region(const char *ref)
{
    struct ramet_region *region;
    MUST(ramet_region_open(store, ref, "ram", NULL, &region));
    return region;
}

static uint8_t *at(struct ramet_region *region, uint32_t page)
{
    return (uint8_t *)ramet_region_data(region) + (size_t)page * PAGE;
}

static struct ramet_region_info stat_of(struct ramet_region *region)
{
    struct ramet_region_info info = {.size = sizeof(info)};
    MUST(ramet_region_stat(region, &info));
    return info;
}

/* The byte that a page of a version begins with. */
static uint8_t stored(const char *ref, uint32_t page)
{
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin(ref, RAMET_READ, &blob);
    uint8_t byte = 0;
    MUST(ramet_blob_read(blob, (uint64_t)page * PAGE, &byte, 1));
    ramet_abort(txn);
    return byte;
}

static void store_byte(const char *ref, uint32_t page, uint8_t byte)
{
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin(ref, RAMET_WRITE, &blob);
    MUST(ramet_blob_write(blob, (uint64_t)page * PAGE, &byte, 1));
    MUST(ramet_commit(txn, NULL, NULL));
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void shows_the_blob(void **state)
{
    (void)state;
    struct ramet_region *region = open_region("main"), *none;
    for (uint32_t i = 0; i < PAGES; i++) {
        assert_int_equal(at(region, i)[0], i % 10 ? (i + 1) % 256 : 0);
        assert_int_equal(at(region, i)[PAGE - 1], i % 10 ? (i + 1) % 256 : 0);
    }
    assert_int_equal((uintptr_t)ramet_region_data(region) % PAGE, 0);
    assert_int_equal(stat_of(region).bytes, SIZE);
    assert_true(stat_of(region).private_bytes == 0 || !stat_of(region).exact);
    assert_int_equal(ramet_region_open(store, "main", "none", NULL, &none), RAMET_ENOTFOUND);
    assert_int_equal(ramet_region_open(store, "none", "ram", NULL, &none), RAMET_ENOTFOUND);
    assert_int_equal(ramet_region_will_write(region, 0, SIZE + 1), -EINVAL);
    ramet_region_close(region);
}

static void commits_what_was_written(void **state)
{
    (void)state;
    struct ramet_region *region = open_region("main");
    uint64_t id = 0, before;
    MUST(ramet_region_commit(region, NULL, &before));
    at(region, 5)[0] = 50;
    at(region, 10)[0] = 60; /* a hole */
    MUST(ramet_region_will_write(region, (uint64_t)20 * PAGE, 2 * PAGE));
    at(region, 21)[0] = 70;
    assert_int_equal(stored("main", 5), 6);
    assert_int_equal(stat_of(region).written_bytes, 4 * PAGE);
    MUST(ramet_region_commit(region, NULL, &id));
    assert_true(id > before);
    assert_int_equal(stored("main", 5), 50);
    assert_int_equal(stored("main", 10), 60);
    assert_int_equal(stored("main", 21), 70);
    assert_int_equal(stat_of(region).written_bytes, 0);
    assert_int_equal(stat_of(region).version, id);
    MUST(ramet_region_commit(region, NULL, &before)); /* nothing to do */
    assert_int_equal(before, id);
    at(region, 5)[0] = 51; /* once more */
    at(region, 10)[1] = 9;
    MUST(ramet_region_commit(region, NULL, NULL));
    assert_int_equal(stored("main", 5), 51);
    memset(at(region, 5), 0, PAGE); /* a page of zeros becomes a hole */
    MUST(ramet_region_commit(region, NULL, NULL));
    assert_int_equal(stored("main", 5), 0);
    assert_int_equal(at(region, 5)[0], 0);
    ramet_region_close(region);
}

static void is_apart_from_others_until_it_is_refreshed(void **state)
{
    (void)state;
    struct ramet_region *a = open_region("main"), *b = open_region("main");
    at(a, 5)[0] = 50;
    at(b, 6)[0] = 60;
    MUST(ramet_region_commit(a, NULL, NULL));
    assert_int_equal(at(b, 5)[0], 6);
    assert_int_equal(ramet_region_commit(b, NULL, NULL), RAMET_ECONFLICT);
    MUST(ramet_region_refresh(b, 0));
    assert_int_equal(at(b, 5)[0], 50);
    assert_int_equal(at(b, 6)[0], 60);
    MUST(ramet_region_commit(b, NULL, NULL));
    assert_int_equal(stored("main", 5), 50);
    assert_int_equal(stored("main", 6), 60);

    MUST(ramet_region_refresh(a, 0));
    assert_int_equal(at(a, 6)[0], 60);
    at(a, 7)[0] = 1;
    at(a, 8)[0] = 1;
    at(b, 7)[0] = 2;
    at(b, 9)[0] = 2;
    MUST(ramet_region_commit(a, NULL, NULL));
    assert_int_equal(ramet_region_refresh(b, 0), RAMET_ECONFLICT);
    assert_non_null(strstr(ramet_errmsg(), "byte 28672"));
    assert_int_equal(at(b, 8)[0], 9);
    MUST(ramet_region_refresh(b, RAMET_REGION_OURS));
    assert_int_equal(at(b, 7)[0], 2);
    assert_int_equal(at(b, 8)[0], 1);
    MUST(ramet_region_reset(b));
    assert_int_equal(at(b, 7)[0], 1);
    assert_int_equal(at(b, 9)[0], 10);
    at(b, 7)[0] = 3;
    store_byte("main", 7, 4);
    MUST(ramet_region_refresh(b, RAMET_REGION_THEIRS));
    assert_int_equal(at(b, 7)[0], 4);
    MUST(ramet_region_commit(b, NULL, NULL));
    ramet_region_close(a);
    ramet_region_close(b);
}

static void a_snapshot_can_be_written_and_reset_but_not_committed(void **state)
{
    (void)state;
    struct ramet_keep keep = {.size = sizeof(keep), .name = "s"};
    MUST(ramet_snapshot_create(store, "main", &keep, NULL));
    store_byte("main", 5, 99);
    struct ramet_region *region = open_region("main@s");
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < PAGES; i += 7)
            at(region, i)[round] = 77;
        assert_int_equal(at(region, 7)[round], 77);
        MUST(ramet_region_reset(region));
        assert_int_equal(at(region, 5)[0], 6);
        for (uint32_t i = 0; i < PAGES; i += 7)
            assert_int_equal(at(region, i)[round], i % 10 ? (i + 1) % 256 : 0);
    }
    assert_int_equal(ramet_region_commit(region, NULL, NULL), RAMET_ETXN);
    MUST(ramet_region_refresh(region, 0));
    assert_int_equal(at(region, 5)[0], 6);
    ramet_region_close(region);
}

static void grows_and_shrinks(void **state)
{
    (void)state;
    struct ramet_region_options options = {.size = sizeof(options), .reserve = RESERVE};
    struct ramet_region *region;
    MUST(ramet_region_open(store, "main", "ram", &options, &region));
    assert_int_equal(ramet_region_resize(region, RESERVE + 1), -EFBIG);
    MUST(ramet_region_resize(region, RESERVE));
    at(region, 399)[7] = 7;
    MUST(ramet_region_commit(region, NULL, NULL));
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_READ, &blob);
    uint64_t size;
    uint8_t byte;
    MUST(ramet_blob_size(blob, &size));
    assert_int_equal(size, RESERVE);
    assert_int_equal(ramet_blob_read(blob, RESERVE - PAGE + 7, &byte, 1), 1);
    assert_int_equal(byte, 7);
    ramet_abort(txn);

    MUST(ramet_region_resize(region, 10 * PAGE + 100)); /* and back, before it is committed */
    MUST(ramet_region_resize(region, 20 * PAGE));
    assert_int_equal(at(region, 11)[0], 0);
    MUST(ramet_region_reset(region));
    assert_int_equal(at(region, 11)[0], 12);
    assert_int_equal(at(region, 399)[7], 7);
    MUST(ramet_region_resize(region, 10 * PAGE + 100));
    MUST(ramet_region_resize(region, 20 * PAGE));
    at(region, 15)[0] = 15;
    MUST(ramet_region_commit(region, NULL, NULL));
    assert_int_equal(stored("main", 11), 0);
    assert_int_equal(stored("main", 15), 15);
    assert_int_equal(stored("main", 9), 10);
    assert_int_equal(stat_of(region).bytes, 20 * PAGE);
    ramet_region_close(region);
}

static uint64_t pieces_of(const char *ref)
{
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin(ref, RAMET_READ, &blob);
    uint64_t pieces = 0;
    MUST(ramet_blob_defragment(blob, 1, 0, &pieces));
    assert_int_equal(ramet_blob_defragment(blob, 1, 1, NULL), RAMET_ETXN);
    ramet_abort(txn);
    return pieces;
}

/* Fewer pieces need fewer mappings, and nothing is read into memory. */
static void defragmented_it_is_mapped_whole(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PAGES; i += 2) /* every second page moves elsewhere */
        store_byte("main", i, (uint8_t)(i + 100));
    struct ramet_keep keep = {.size = sizeof(keep), .name = "before"};
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_WRITE, &blob);
    MUST(ramet_commit(txn, &keep, NULL));
    uint64_t before = pieces_of("main"), after, again;
    assert_true(before > PAGES / 2);
    struct ramet_region_options options = {.size = sizeof(options), .mappings = 8};
    struct ramet_region *region;
    MUST(ramet_region_open(store, "main", "ram", &options, &region));
    assert_true(stat_of(region).private_bytes > 0);

    txn = begin("main", RAMET_WRITE, &blob);
    MUST(ramet_blob_defragment(blob, 2 * before, UINT64_MAX, &after));
    assert_int_equal(after, before);
    MUST(ramet_blob_defragment(blob, 8, UINT64_MAX, &after));
    assert_true(after <= 8);
    MUST(ramet_blob_defragment(blob, 8, UINT64_MAX, &again)); /* what is to be written is not */
    assert_true(again <= after);
    MUST(ramet_commit(txn, NULL, NULL));
    assert_true(pieces_of("main") <= after);
    assert_int_equal(pieces_of("main@before"), before);

    MUST(ramet_region_refresh(region, 0));
    ramet_region_close(region);
    MUST(ramet_region_open(store, "main", "ram", &options, &region));
    assert_true(stat_of(region).mappings <= 9);
    assert_int_equal(stat_of(region).private_bytes, 0);
    for (uint32_t i = 0; i < PAGES; i++) {
        uint32_t byte = i % 2 == 0 ? (i + 100) % 256 : i % 10 ? (i + 1) % 256 : 0;
        assert_int_equal(at(region, i)[0], byte);
        assert_int_equal(stored("main@before", i), byte);
    }
    ramet_region_close(region);
}

/* So much is written anew in one transaction, and no more. */
static void it_is_defragmented_step_by_step(void **state)
{
    enum { LARGE = 2048 };
    static uint8_t bytes[LARGE * PAGE], back[LARGE * PAGE];
    (void)state;
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_WRITE, &blob);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i / PAGE * 7 + i + 1);
    MUST(ramet_blob_write(blob, 0, bytes, sizeof(bytes)));
    MUST(ramet_commit(txn, NULL, NULL));
    for (uint32_t turn = 0; turn < 2; turn++) {
        txn = begin("main", RAMET_WRITE, &blob);
        for (uint32_t i = turn; i < LARGE; i += 3 + turn)
            MUST(ramet_blob_write(blob, (uint64_t)i * PAGE, bytes + (size_t)i * PAGE, PAGE));
        MUST(ramet_commit(txn, NULL, NULL));
    }
    uint64_t pieces = pieces_of("main"), steps = 0;
    assert_true(pieces > LARGE / 2);
    for (uint64_t last = pieces + 1; pieces > 20 && pieces < last; steps++) {
        last = pieces;
        txn = begin("main", RAMET_WRITE, &blob);
        MUST(ramet_blob_defragment(blob, 20, 1 << 20, &pieces));
        MUST(ramet_commit(txn, NULL, NULL));
        assert_true(pieces_of("main") <= pieces);
        pieces = pieces_of("main");
    }
    assert_true(steps >= LARGE * PAGE >> 20);
    assert_true(pieces <= 20);
    txn = begin("main", RAMET_READ, &blob);
    assert_int_equal(ramet_blob_read(blob, 0, back, sizeof(back)), sizeof(back));
    assert_memory_equal(back, bytes, sizeof(bytes));
    ramet_abort(txn);
}

static void few_mappings_are_enough(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PAGES; i += 2) /* every second page moves elsewhere */
        store_byte("main", i, (uint8_t)(i + 100));
    struct ramet_region_options options = {.size = sizeof(options), .mappings = 8};
    struct ramet_region *region;
    MUST(ramet_region_open(store, "main", "ram", &options, &region));
    assert_true(stat_of(region).mappings <= 9);
    for (uint32_t i = 0; i < PAGES; i++)
        assert_int_equal(at(region, i)[0], i % 2 == 0 ? (i + 100) % 256
                                           : i % 10   ? (i + 1) % 256
                                                      : 0);
    assert_true(stat_of(region).written_bytes == 0 || !stat_of(region).exact);
    at(region, 8)[0] = 1;
    uint64_t id;
    MUST(ramet_region_commit(region, NULL, &id));
    assert_int_equal(stored("main", 8), 1);
    at(region, 8)[0] = 2;
    MUST(ramet_region_reset(region));
    assert_int_equal(at(region, 8)[0], 1);
    ramet_region_close(region);
}

/* Pages that a region shows are not used again, whatever others do. */
static void holds_its_version(void **state)
{
    (void)state;
    struct ramet_region *region = open_region("main");
    uint8_t byte = at(region, 3)[0];
    for (uint32_t round = 0; round < 30; round++) {
        for (uint32_t i = 0; i < PAGES; i += 3)
            store_byte("main", i, (uint8_t)(round * 3 + i + 1));
        MUST(ramet_sync(store));
    }
    for (uint32_t i = 0; i < PAGES; i++)
        assert_int_equal(at(region, i)[0], i % 10 ? (i + 1) % 256 : 0);
    assert_int_equal(byte, 4);
    ramet_region_close(region);
}

/* A corrupt page is found when it is asked for. */
static void can_be_verified(void **state)
{
    (void)state;
    struct ramet_region_options options = {.size = sizeof(options), .flags = RAMET_REGION_VERIFY};
    struct ramet_region *region;
    MUST(ramet_region_open(store, "main", "ram", &options, &region));
    ramet_region_close(region);
    MUST(ramet_sync(store));
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    uint8_t page[PAGE], wanted[PAGE];
    memset(wanted, 8, PAGE);
    long where = 0;
    while (fread(page, PAGE, 1, file) == 1 && memcmp(page, wanted, PAGE) != 0)
        where += PAGE;
    assert_int_equal(fseek(file, where + 9, SEEK_SET), 0);
    assert_int_equal(fputc(77, file), 77);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(ramet_region_open(store, "main", "ram", &options, &region), RAMET_ECORRUPT);
    assert_non_null(strstr(ramet_errmsg(), "blob 'ram', byte 28672: "));
    assert_true(ramet_check(store, 0, NULL, NULL, NULL) != 0);
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, where + 9, SEEK_SET), 0);
    assert_int_equal(fputc(8, file), 8);
    assert_int_equal(fclose(file), 0);
}

static void huge_regions(void **state)
{
    (void)state;
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_WRITE, &blob);
    MUST(ramet_blob_truncate(blob, (uint64_t)1 << 40));
    MUST(ramet_blob_write(blob, (uint64_t)1 << 39, "middle", 6));
    MUST(ramet_commit(txn, NULL, NULL));
    struct ramet_region *region = open_region("main");
    uint8_t *bytes = ramet_region_data(region);
    assert_memory_equal(bytes + ((uint64_t)1 << 39), "middle", 6);
    bytes[((uint64_t)1 << 40) - 1] = 5;
    MUST(ramet_region_commit(region, NULL, NULL));
    bytes[((uint64_t)1 << 40) - 1] = 6;
    MUST(ramet_region_reset(region));
    assert_int_equal(bytes[((uint64_t)1 << 40) - 1], 5);
    ramet_region_close(region);
}

static void a_child_cannot_use_it(void **state)
{
    (void)state;
    struct ramet_region *region = open_region("main");
    at(region, 5)[0] = 50;
    pid_t pid = fork();
    if (pid == 0) {
        int rc = ramet_region_commit(region, NULL, NULL);
        ramet_region_close(region);
        _exit(rc == RAMET_EFORKED ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    MUST(ramet_region_commit(region, NULL, NULL));
    assert_int_equal(stored("main", 5), 50);
    ramet_region_close(region);
}

static void truncate_blob(const char *ref, uint64_t bytes)
{
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin(ref, RAMET_WRITE, &blob);
    MUST(ramet_blob_truncate(blob, bytes));
    MUST(ramet_commit(txn, NULL, NULL));
}

/* What a region shows is what is stored. */
static void same_as_stored(struct ramet_region *region)
{
    static uint8_t bytes[SIZE];
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_READ, &blob);
    int64_t n = ramet_blob_read(blob, 0, bytes, SIZE);
    assert_int_equal(n, stat_of(region).bytes);
    for (int64_t i = 0; i < n; i++) {
        if (bytes[i] != ((uint8_t *)ramet_region_data(region))[i])
            fail_msg("byte %" PRId64 ": %u is stored, not %u", i, bytes[i],
                     ((uint8_t *)ramet_region_data(region))[i]);
    }
    ramet_abort(txn);
}

/* What was stored behind the end is not there when the region grows over it. */
static void grows_over_zeros(void **state)
{
    (void)state;
    struct ramet_region_options options = {.size = sizeof(options), .reserve = SIZE};
    struct ramet_region *region;
    truncate_blob("main", 5 * PAGE + 100);
    MUST(ramet_region_open(store, "main", "ram", &options, &region));
    at(region, 5)[50] = 1;
    at(region, 5)[200] = 77;
    MUST(ramet_region_commit(region, NULL, NULL));
    MUST(ramet_region_resize(region, 6 * PAGE));
    assert_int_equal(at(region, 5)[200], 0);
    MUST(ramet_region_commit(region, NULL, NULL));
    same_as_stored(region);

    truncate_blob("main", 5 * PAGE + 100);
    MUST(ramet_region_refresh(region, 0));
    at(region, 5)[50] = 2;
    at(region, 5)[200] = 77;
    MUST(ramet_region_commit(region, NULL, NULL));
    truncate_blob("main", 7 * PAGE); /* the page is as it was */
    MUST(ramet_region_refresh(region, 0));
    assert_int_equal(at(region, 5)[200], 0);
    same_as_stored(region);
    ramet_region_close(region);
}

/* What others cut off is gone, be it a page that they did not have. */
static void what_others_cut_off_is_gone(void **state)
{
    (void)state;
    struct ramet_region *region = open_region("main");
    at(region, 90)[0] = 77; /* a hole */
    truncate_blob("main", 50 * PAGE);
    MUST(ramet_region_refresh(region, 0));
    assert_int_equal(at(region, 90)[0], 0);
    at(region, 1)[0] = 9;
    MUST(ramet_region_commit(region, NULL, NULL));
    MUST(ramet_region_resize(region, SIZE));
    MUST(ramet_region_commit(region, NULL, NULL));
    same_as_stored(region);
    assert_int_equal(at(region, 90)[0], 0);
    ramet_region_close(region);
}

static void merge_two(void)
{
    struct ramet_merge_options options = {.size = sizeof(options), .policy = RAMET_MERGE_THEIRS};
    MUST(ramet_merge(store, "main", "two", &options, NULL));
}

/* A merge can leave a page behind the end, and the next one move the end behind the page. */
static void grows_over_what_a_merge_left(void **state)
{
    (void)state;
    struct ramet_region_options options = {.size = sizeof(options), .reserve = SIZE};
    struct ramet_region *region;
    truncate_blob("main", SIZE - PAGE);
    MUST(ramet_branch_create(store, "two", "main"));
    truncate_blob("main", 50 * PAGE + 100);
    store_byte("two", 50, 78);
    store_byte("two", 70, 77);
    merge_two();
    MUST(ramet_region_open(store, "main", "ram", &options, &region));
    assert_int_equal(stat_of(region).bytes, 50 * PAGE + 100);
    truncate_blob("two", SIZE);
    merge_two();
    assert_int_equal(stored("main", 70), 77);
    MUST(ramet_region_refresh(region, 0));
    assert_int_equal(at(region, 70)[0], 77);
    same_as_stored(region);
    ramet_region_close(region);
}

/* A page of the file is damaged, or is as it was. Returns where it is. */
static long damage(uint8_t byte, long where, int to)
{
    FILE *file = fopen(path, "r+b");
    uint8_t page[PAGE], wanted[PAGE];
    assert_non_null(file);
    memset(wanted, byte, PAGE);
    if (where < 0) {
        where = 0;
        while (fread(page, PAGE, 1, file) == 1 && memcmp(page, wanted, PAGE) != 0)
            where += PAGE;
    }
    assert_int_equal(fseek(file, where + 9, SEEK_SET), 0);
    assert_int_equal(fputc(to, file), to);
    assert_int_equal(fclose(file), 0);
    return where;
}

/* A refresh that fails half way can be taken back, and can be done again. */
static void a_refresh_that_failed_is_reset_or_done_again(void **state)
{
    (void)state;
    uint8_t page[PAGE];
    struct ramet_region *region = open_region("main");
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_WRITE, &blob);
    for (uint32_t i = 5; i < 9; i += 3) {
        memset(page, (int)i + 203, PAGE);
        MUST(ramet_blob_write(blob, (uint64_t)i * PAGE, page, PAGE));
    }
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_sync(store));
    at(region, 20)[0] = 50;
    long where = damage(211, -1, 1);
    assert_int_equal(ramet_region_refresh(region, 0), RAMET_ECORRUPT);
    assert_int_equal(ramet_region_commit(region, NULL, NULL), RAMET_ECONFLICT);
    MUST(ramet_region_reset(region));
    assert_int_equal(at(region, 5)[0], 6);
    assert_int_equal(at(region, 8)[0], 9);
    assert_int_equal(at(region, 20)[0], 0);
    assert_int_equal(ramet_region_refresh(region, RAMET_REGION_THEIRS), RAMET_ECORRUPT);
    at(region, 21)[0] = 51;
    (void)damage(211, where, 211);
    MUST(ramet_region_refresh(region, 0));
    assert_int_equal(at(region, 5)[0], 208);
    assert_int_equal(at(region, 8)[0], 211);
    assert_int_equal(at(region, 21)[0], 51);
    MUST(ramet_region_commit(region, NULL, NULL));
    same_as_stored(region);
    ramet_region_close(region);
}

/* A refresh that fails, and then a reset as well: what both left is all shown anew. */
static void a_reset_that_failed_is_known_with_what_was_before(void **state)
{
    (void)state;
    static uint8_t bytes[(size_t)40 * PAGE];
    struct ramet_region *region = open_region("main");
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_WRITE, &blob);
    memset(bytes, 221, sizeof(bytes)); /* enough to be mapped */
    MUST(ramet_blob_write(blob, (uint64_t)100 * PAGE, bytes, sizeof(bytes)));
    memset(bytes, 211, PAGE);
    MUST(ramet_blob_write(blob, (uint64_t)201 * PAGE, bytes, PAGE));
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_sync(store));
    at(region, 5)[0] = 50;
    long theirs = damage(211, -1, 1), ours = damage(202, -1, 1);
    assert_int_equal(ramet_region_refresh(region, 0), RAMET_ECORRUPT);
    assert_int_equal(ramet_region_reset(region), RAMET_ECORRUPT);
    assert_int_equal(ramet_region_commit(region, NULL, NULL), RAMET_ECONFLICT);
    at(region, 120)[0] = 51;
    (void)damage(211, theirs, 211);
    (void)damage(202, ours, 202);
    MUST(ramet_region_refresh(region, 0));
    same_as_stored(region);
    at(region, 120)[0] = 52;
    MUST(ramet_region_commit(region, NULL, NULL));
    same_as_stored(region);
    ramet_region_close(region);
}

/* So it is with what is to come back behind an end that was drawn nearer. */
static void a_reset_that_failed_behind_the_end_is_known(void **state)
{
    (void)state;
    struct ramet_region *region = open_region("main");
    MUST(ramet_sync(store));
    MUST(ramet_region_resize(region, 12 * PAGE));
    long where = damage(26, -1, 1);
    assert_int_equal(ramet_region_reset(region), RAMET_ECORRUPT);
    assert_int_equal(ramet_region_commit(region, NULL, NULL), RAMET_ECONFLICT);
    (void)damage(26, where, 26);
    MUST(ramet_region_reset(region));
    same_as_stored(region);
    at(region, 25)[0] = 50;
    MUST(ramet_region_commit(region, NULL, NULL));
    same_as_stored(region);
    ramet_region_close(region);
}

/* Following a branch for long does not use up the mappings. */
static void mappings_are_given_back(void **state)
{
    (void)state;
    static uint8_t bytes[SIZE / 2];
    struct ramet_region_options options = {.size = sizeof(options), .mappings = 100};
    struct ramet_region *region;
    MUST(ramet_region_open(store, "main", "ram", &options, &region));
    for (uint32_t round = 0; round < 50; round++) {
        struct ramet_blob *blob;
        struct ramet_txn *txn = begin("main", RAMET_WRITE, &blob);
        memset(bytes, (int)round + 1, sizeof(bytes));
        MUST(ramet_blob_write(blob, SIZE / 4, bytes, sizeof(bytes)));
        MUST(ramet_commit(txn, NULL, NULL));
        MUST(ramet_region_refresh(region, 0));
        assert_int_equal(at(region, PAGES / 2)[0], round + 1);
    }
    assert_true(stat_of(region).private_bytes < SIZE / 4);
    assert_true(stat_of(region).mappings <= 101);
    ramet_region_close(region);
}

/* What others give back to the filesystem is not what a region has. */
static void compacting_leaves_it_alone(void **state)
{
    (void)state;
    struct ramet_region *region = open_region("main");
    for (uint32_t round = 1; round < 4; round++) {
        for (uint32_t i = 0; i < PAGES; i++)
            at(region, i)[0] = (uint8_t)(round + i);
        MUST(ramet_region_commit(region, NULL, NULL));
        at(region, 3)[1] = (uint8_t)round; /* not committed yet */
        MUST(ramet_compact(store, NULL, NULL));
        assert_int_equal(at(region, 3)[1], round);
        for (uint32_t i = 0; i < PAGES; i++)
            assert_int_equal(at(region, i)[0], (round + i) % 256);
    }
    MUST(ramet_region_commit(region, NULL, NULL));
    same_as_stored(region);
    ramet_region_close(region);
}

/* Without memory a commit fails, and loses nothing of what it found. */
static void nothing_is_lost_without_memory(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* they need addresses of their own */
#endif
    enum { MANY = 40000 };
    struct rlimit before, now;
    unsigned long pages;
    struct ramet_region *region;
    truncate_blob("main", (uint64_t)2 * MANY * PAGE);
    region = open_region("main");
    at(region, 1)[0] = 99;
    MUST(ramet_region_commit(region, NULL, NULL)); /* from now on it is told what is written */
    for (uint32_t i = 0; i < MANY; i++)
        at(region, 2 * i)[0] = (uint8_t)(i % 255 + 1);
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    now = before;
    now.rlim_cur = pages * PAGE;
    assert_int_equal(setrlimit(RLIMIT_AS, &now), 0);
    int rc = ramet_region_commit(region, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(rc, -ENOMEM);
    MUST(ramet_region_commit(region, NULL, NULL));
    for (uint32_t i = 0; i < MANY; i += 37)
        assert_int_equal(stored("main", 2 * i), i % 255 + 1);
    ramet_region_close(region);
}

/* ---- random programs ------------------------------------------------------------------------- */

#define REGIONS 3u

struct world {
    uint32_t page_size;
    uint8_t head[RESERVE]; /* of the branch */
    size_t head_bytes;
    struct ramet_region *regions[REGIONS];
    uint8_t memory[REGIONS][RESERVE], shown[REGIONS][RESERVE];
    size_t bytes[REGIONS], shown_bytes[REGIONS];
    bool resized[REGIONS];
    uint64_t writes, seen[REGIONS]; /* how often the head was written */
};

static bool page_differs(const uint8_t *a, const uint8_t *b, size_t page, uint32_t page_size)
{
    return memcmp(a + page * page_size, b + page * page_size, page_size) != 0;
}

static void same_memory(struct world *w, uint32_t i)
{
    const uint8_t *bytes = ramet_region_data(w->regions[i]);
    size_t n = 0;
    if (memcmp(bytes, w->memory[i], RESERVE) == 0)
        return;
    while (bytes[n] == w->memory[i][n])
        n++;
    fail_msg("region %u, byte %zu: %u, not %u", i, n, bytes[n], w->memory[i][n]);
}

static void show(struct world *w, uint32_t i)
{
    memcpy(w->memory[i], w->head, RESERVE);
    memcpy(w->shown[i], w->head, RESERVE);
    w->bytes[i] = w->shown_bytes[i] = w->head_bytes;
    w->resized[i] = false;
    w->seen[i] = w->writes;
}

static void store_some(struct world *w, uint32_t i)
{
    uint8_t *bytes = ramet_region_data(w->regions[i]);
    for (uint64_t n = chance(40); n > 0 && w->bytes[i]; n--) {
        size_t off = chance(w->bytes[i]), len = 1 + chance(chance(3) ? 9 : 30000);
        if (len > w->bytes[i] - off)
            len = w->bytes[i] - off;
        uint8_t byte = (uint8_t)chance(4);
        memset(bytes + off, byte, len);
        memset(w->memory[i] + off, byte, len);
    }
}

/* True if nothing of the blob was changed since a region showed it. */
static bool is_newest(const struct world *w, uint32_t i)
{
    return w->shown_bytes[i] == w->head_bytes && memcmp(w->shown[i], w->head, RESERVE) == 0;
}

static void commit_one(struct world *w, uint32_t i)
{
    uint64_t before = stat_of(w->regions[i]).version, id = 0;
    int rc = ramet_region_commit(w->regions[i], NULL, &id);
    if (!is_newest(w, i))
        assert_int_equal(rc, RAMET_ECONFLICT);
    if (rc == RAMET_ECONFLICT) { /* others wrote, be it what was there */
        assert_true(w->seen[i] != w->writes);
        return;
    }
    MUST(rc);
    w->writes += id != before;
    memcpy(w->head, w->memory[i], RESERVE);
    w->head_bytes = w->bytes[i];
    show(w, i);
}

static void reset_one(struct world *w, uint32_t i)
{
    MUST(ramet_region_reset(w->regions[i]));
    memcpy(w->memory[i], w->shown[i], RESERVE);
    w->bytes[i] = w->shown_bytes[i];
    w->resized[i] = false;
}

static void resize_one(struct world *w, uint32_t i)
{
    size_t bytes = chance(RESERVE + 1);
    MUST(ramet_region_resize(w->regions[i], bytes));
    if (bytes < w->bytes[i])
        memset(w->memory[i] + bytes, 0, RESERVE - bytes);
    w->resized[i] |= bytes != w->bytes[i];
    w->bytes[i] = bytes;
}

/* Stores that change nothing make a page a written one: then there may be a conflict or not. */
static void refresh_one(struct world *w, uint32_t i)
{
    unsigned flags = (unsigned)chance(3);
    int rc = ramet_region_refresh(w->regions[i], flags);
    bool both = false;
    for (size_t page = 0; page < RESERVE / w->page_size; page++)
        both |= page_differs(w->shown[i], w->head, page, w->page_size) &&
                page_differs(w->shown[i], w->memory[i], page, w->page_size);
    if (!flags && w->seen[i] != w->writes) {
        if (rc == RAMET_ECONFLICT)
            return;
        assert_false(both || w->resized[i]);
    }
    MUST(rc);
    if (w->seen[i] == w->writes)
        return;
    w->seen[i] = w->writes;
    if (w->resized[i] && flags == RAMET_REGION_OURS) { /* what is cut off is so, whoever wrote */
        reset_one(w, i);
        show(w, i);
        return;
    }
    for (size_t page = 0; page < RESERVE / w->page_size; page++) {
        size_t off = page * w->page_size;
        bool theirs = page_differs(w->shown[i], w->head, page, w->page_size);
        bool mine = page_differs(w->shown[i], w->memory[i], page, w->page_size);
        if (theirs && (!mine || flags == RAMET_REGION_THEIRS))
            memcpy(w->memory[i] + off, w->head + off, w->page_size);
    }
    if (w->resized[i]) {
        show(w, i);
        reset_one(w, i);
        return;
    }
    memcpy(w->shown[i], w->head, RESERVE);
    w->shown_bytes[i] = w->bytes[i] = w->head_bytes;
    /* Pages written with the bytes they had are ours, too, if others changed them: start anew. */
    if (flags == RAMET_REGION_OURS || flags == RAMET_REGION_THEIRS)
        reset_one(w, i);
    else
        memset(w->memory[i] + w->bytes[i], 0, RESERVE - w->bytes[i]);
}

static void write_head(struct world *w)
{
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin("main", RAMET_WRITE, &blob);
    for (uint64_t n = 1 + chance(20); n > 0; n--) {
        static uint8_t bytes[60000];
        size_t off = chance(RESERVE - sizeof(bytes)), len = 1 + chance(sizeof(bytes) - 1);
        memset(bytes, 1 + (int)chance(3), len);
        MUST(ramet_blob_write(blob, off, bytes, len));
        memcpy(w->head + off, bytes, len);
        if (off + len > w->head_bytes)
            w->head_bytes = off + len;
    }
    if (chance(4) == 0) {
        w->head_bytes = chance(RESERVE);
        MUST(ramet_blob_truncate(blob, w->head_bytes));
        memset(w->head + w->head_bytes, 0, RESERVE - w->head_bytes);
    }
    MUST(ramet_commit(txn, NULL, NULL));
    w->writes++;
}

static void run(uint32_t page_size, bool on_file, uint32_t mappings)
{
    static struct world world;
    struct world *w = &world;
    struct ramet_region_options options = {
        .size = sizeof(options), .reserve = RESERVE, .mappings = mappings};
    memset(w, 0, sizeof(*w));
    w->page_size = page_size;
    path[0] = 0;
    if (on_file)
        (void)snprintf(path, sizeof(path), "region-test-%d.ramet", (int)getpid());
    remove_store();
    open_store(page_size);
    write_head(w);
    for (uint32_t i = 0; i < REGIONS; i++) {
        MUST(ramet_region_open(store, "main", "ram", &options, &w->regions[i]));
        show(w, i);
    }
    for (uint32_t n = 0; n < 250; n++) {
        uint32_t i = (uint32_t)chance(REGIONS);
        switch (chance(9)) {
        case 0: reset_one(w, i); break;
        case 1: refresh_one(w, i); break;
        case 2:
        case 3: commit_one(w, i); break;
        case 4:
            if (chance(3) == 0)
                resize_one(w, i);
            break;
        case 5:
            if (chance(3) == 0)
                write_head(w);
            break;
        default: store_some(w, i); break;
        }
        same_memory(w, i);
        if (n % 50 == 49) {
            for (uint32_t j = 0; j < REGIONS; j++)
                same_memory(w, j);
            check();
        }
    }
    for (uint32_t i = 0; i < REGIONS; i++)
        ramet_region_close(w->regions[i]);
    ramet_close(store);
    remove_store();
}

static void agrees_in_memory(void **state)
{
    (void)state;
    run(4096, false, 0);
    run(4096, false, 10);
}

static void agrees_on_a_file(void **state)
{
    (void)state;
    run(4096, true, 0);
    run(4096, true, 10);
    run(16384, true, 0);
    run(16384, true, 10);
    run(65536, true, 0);
}

/* The kernel of this process has no userfaultfd; and, if asked for, no PAGEMAP_SCAN. */
static bool be_older(bool no_scan)
{
    enum { PAGEMAP_SCAN_NR = 0xc0606610 };
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, no_scan ? SYS_ioctl : UINT32_MAX, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PAGEMAP_SCAN_NR, 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(shows_the_blob),
        CASE(commits_what_was_written),
        cmocka_unit_test_setup_teardown(commits_what_was_written, setup_memory, teardown),
        CASE(is_apart_from_others_until_it_is_refreshed),
        CASE(a_snapshot_can_be_written_and_reset_but_not_committed),
        CASE(grows_and_shrinks),
        CASE(few_mappings_are_enough),
        CASE(defragmented_it_is_mapped_whole),
        CASE(it_is_defragmented_step_by_step),
        CASE(holds_its_version),
        CASE(can_be_verified),
        CASE(huge_regions),
        CASE(a_child_cannot_use_it),
        CASE(grows_over_zeros),
        CASE(what_others_cut_off_is_gone),
        CASE(grows_over_what_a_merge_left),
        CASE(a_refresh_that_failed_is_reset_or_done_again),
        CASE(a_reset_that_failed_is_known_with_what_was_before),
        CASE(a_reset_that_failed_behind_the_end_is_known),
        CASE(mappings_are_given_back),
        CASE(compacting_leaves_it_alone),
        CASE(nothing_is_lost_without_memory),
        cmocka_unit_test(agrees_in_memory),
        cmocka_unit_test(agrees_on_a_file),
    };
    struct args args = {.seed = 1};
    if (!args_parse(argc, argv, &args))
        return 2;
    chance_state = args.seed;
    bool no_faults = args.only && strcmp(args.only, "no-faults") == 0;
    bool no_scan = args.only && strcmp(args.only, "no-scan") == 0;
    if ((no_faults || no_scan) && !be_older(no_scan)) {
        print_message("no seccomp here, so that an older kernel cannot be feigned\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
