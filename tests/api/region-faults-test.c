/* SPDX-License-Identifier: MIT */
/*
 * region-faults-test.c - ramet_region_*() when allocations fail, one after the other, and when the
 * kernel does not go on telling which pages were written.
 *
 * It is linked so that what the library calls of libc comes by here.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/faults.h"
#include "api/fixture.h"

#define PAGE 4096u
#define PAGES 64u
#define RESERVE ((uint64_t)80 * PAGE)

/* ---- faults ---------------------------------------------------------------------------------- */

static bool no_register;

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
    if (no_register && request == UFFDIO_REGISTER) {
        errno = ENOMEM;
        return -1;
    }
    return __real_ioctl(fd, request, arg);
}

/* ---- a store --------------------------------------------------------------------------------- */

static struct ramet_region *region;

static void store_pages(uint32_t first, uint32_t count, uint8_t byte)
{
    uint8_t page[PAGE];
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    memset(page, byte, sizeof(page));
    MUST(ramet_begin(store, "main", RAMET_WRITE, &txn));
    MUST(ramet_blob_open(txn, "ram", RAMET_CREATE, &blob));
    for (uint32_t i = first; i < first + count; i++)
        MUST(ramet_blob_write(blob, (uint64_t)i * PAGE, page, PAGE));
    MUST(ramet_commit(txn, NULL, NULL));
}

static uint8_t stored(uint32_t page)
{
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    uint8_t byte = 0;
    MUST(ramet_begin(store, "main", RAMET_READ, &txn));
    MUST(ramet_blob_open(txn, "ram", 0, &blob));
    MUST(ramet_blob_read(blob, (uint64_t)page * PAGE, &byte, 1));
    ramet_abort(txn);
    return byte;
}

static uint8_t *at(uint32_t page)
{
    return (uint8_t *)ramet_region_data(region) + (size_t)page * PAGE;
}

static struct ramet_region_info stat_of(void)
{
    struct ramet_region_info info = {.size = sizeof(info)};
    MUST(ramet_region_stat(region, &info));
    return info;
}

static void same_as_stored(void)
{
    for (uint32_t i = 0; i < stat_of().bytes / PAGE; i++)
        assert_int_equal(at(i)[0], stored(i));
}

static int open_region(void)
{
    struct ramet_region_options options = {.size = sizeof(options), .reserve = RESERVE};
    return ramet_region_open(store, "main", "ram", &options, &region);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "region-faults-test-%d.ramet", (int)getpid());
    remove_store();
    open_store(0);
    store_pages(0, PAGES, 1);
    MUST(open_region());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)fail_no_more();
    no_register = false;
    ramet_region_close(region);
    check();
    ramet_close(store);
    remove_store();
    return 0;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Each allocation of a commit fails once. Either nothing was published and all is still to be
 * committed, or the commit has succeeded: it is never both published and failed. */
static void commit_with_faults(bool keeps, bool resizes)
{
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        uint8_t byte = (uint8_t)(n % 250 + 2), before = stored(3);
        uint64_t was = stat_of().version, id = 0;
        struct ramet_keep keep = {.size = sizeof(keep)};
        for (uint32_t i = 3; i < PAGES; i += 9)
            at(i)[0] = byte;
        if (resizes)
            MUST(ramet_region_resize(region, (PAGES + n % 10) * PAGE));
        fail_after(n);
        int rc = ramet_region_commit(region, keeps ? &keep : NULL, &id);
        failed = fail_no_more();
        assert_true(rc == 0 || (rc == -ENOMEM && failed));
        if (rc < 0) {
            assert_int_equal(stored(3), before);
            assert_int_equal(stat_of().version, was);
            assert_int_equal(at(3)[0], byte);
            at(4)[0] = byte;
            MUST(ramet_region_commit(region, keeps ? &keep : NULL, &id));
            assert_int_equal(stored(4), byte);
        }
        assert_true(id > was);
        assert_int_equal(stat_of().version, id);
        assert_int_equal(stat_of().written_bytes, 0);
        same_as_stored();
    }
}

static void a_commit_is_published_or_has_failed(void **state)
{
    (void)state;
    commit_with_faults(false, false);
    commit_with_faults(true, false);
    commit_with_faults(false, true);
}

static void a_refresh_without_memory_is_done_again(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        uint8_t byte = (uint8_t)(n % 250 + 2);
        at(7)[0] = byte;
        store_pages(10, 40, byte);
        store_pages(55, 1, byte);
        fail_after(n);
        int rc = ramet_region_refresh(region, 0);
        failed = fail_no_more();
        assert_true(rc == 0 || (rc == -ENOMEM && failed));
        if (rc < 0 && n % 2) { /* back to what it was, or on */
            MUST(ramet_region_reset(region));
            assert_int_equal(at(7)[0], stored(7));
            at(7)[0] = byte;
        }
        MUST(ramet_region_refresh(region, 0));
        assert_int_equal(at(7)[0], byte);
        MUST(ramet_region_commit(region, NULL, NULL));
        same_as_stored();
    }
}

static void a_reset_without_memory_is_done_again(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        at(5)[0] = 77;
        MUST(ramet_region_commit(region, NULL, NULL));
        at(5)[0] = 78;
        at(6)[0] = 79;
        fail_after(n);
        int rc = ramet_region_reset(region);
        failed = fail_no_more();
        assert_true(rc == 0 || (rc == -ENOMEM && failed));
        MUST(ramet_region_reset(region));
        assert_int_equal(at(5)[0], 77);
        assert_int_equal(at(6)[0], 1);
        assert_int_equal(stat_of().written_bytes, 0);
    }
}

static void opening_without_memory_leaves_nothing(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        ramet_region_close(region);
        region = NULL;
        fail_after(n);
        int rc = open_region();
        failed = fail_no_more();
        assert_true(rc == 0 || (rc == -ENOMEM && failed && !region));
        if (rc < 0)
            MUST(open_region());
        same_as_stored();
    }
}

/* ---- the kernel ------------------------------------------------------------------------------ */

/* What was written is found, again and again. */
static void goes_on(void)
{
    for (uint8_t byte = 100; byte < 104; byte++) {
        at(2)[0] = byte;
        at(40)[9] = byte;
        MUST(ramet_region_commit(region, NULL, NULL));
        assert_int_equal(stored(2), byte);
        same_as_stored();
        at(2)[0] = 1;
        MUST(ramet_region_reset(region));
        assert_int_equal(at(2)[0], byte);
    }
    at(3)[0] = 105;
    assert_int_equal(stat_of().written_bytes, PAGE);
    MUST(ramet_region_commit(region, NULL, NULL));
    assert_int_equal(stored(3), 105);
}

static void what_cannot_be_watched_is_compared(void **state)
{
    (void)state;
    at(2)[0] = 50;
    MUST(ramet_region_commit(region, NULL, NULL));
    at(2)[0] = 51; /* kept, and written: the kernel alone knows */
    at(3)[0] = 52;
    store_pages(10, 40, 9);
    no_register = true;
    MUST(ramet_region_refresh(region, 0)); /* it maps what others wrote */
    assert_false(stat_of().exact);
    assert_int_equal(at(2)[0], 51);
    MUST(ramet_region_commit(region, NULL, NULL));
    assert_int_equal(stored(2), 51);
    assert_int_equal(stored(3), 52);
    assert_int_equal(stored(10), 9);
    goes_on();
}

static void what_was_cut_off_cannot_be_watched(void **state)
{
    (void)state;
    at(2)[0] = 50;
    MUST(ramet_region_commit(region, NULL, NULL));
    no_register = true;
    at(3)[0] = 51;
    MUST(ramet_region_resize(region, 50 * PAGE));
    MUST(ramet_region_resize(region, PAGES * PAGE));
    assert_int_equal(at(55)[0], 0);
    at(56)[0] = 52;
    MUST(ramet_region_commit(region, NULL, NULL));
    assert_int_equal(stored(3), 51);
    assert_int_equal(stored(55), 0);
    assert_int_equal(stored(56), 52);
    goes_on();
}

/* A program that puts memory of its own into the region's gets it committed like all other. */
static void memory_of_others_is_compared(void **state)
{
    (void)state;
    at(2)[0] = 50;
    MUST(ramet_region_commit(region, NULL, NULL));
    at(2)[0] = 51;
    void *p =
        mmap(at(20), PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    assert_ptr_equal(p, at(20));
    at(20)[0] = 60;
    MUST(ramet_region_commit(region, NULL, NULL));
    assert_int_equal(stored(2), 51);
    assert_int_equal(stored(20), 60);
    goes_on();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_commit_is_published_or_has_failed),  CASE(a_refresh_without_memory_is_done_again),
        CASE(a_reset_without_memory_is_done_again), CASE(opening_without_memory_leaves_nothing),
        CASE(what_cannot_be_watched_is_compared),   CASE(what_was_cut_off_cannot_be_watched),
        CASE(memory_of_others_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
