/* SPDX-License-Identifier: MIT */
/*
 * shares-test.c - shared pages in stores that lie, though their checksums are all right: what they
 * say of references is seen by ramet_check(), and leads to an error at worst.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/sim.h"
#include "store/shares.h"
#include "store/unsummed.h"
#include "store/walk.h"

#define PAGE RMT_PAGE_SIZE_MIN
#define NR 8u

static struct rmt_sim *sim;
static struct ramet_store *store;
static char first_problem[512];

#define MUST(call)                                              \
    do {                                                        \
        int rc_ = (int)(call);                                  \
        if (rc_ < 0)                                            \
            fail_msg("%s: %d: %s", #call, rc_, ramet_errmsg()); \
    } while (0)

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    if (!*first_problem)
        (void)snprintf(first_problem, sizeof(first_problem), "%s", problem);
}

static int check(void)
{
    *first_problem = '\0';
    return ramet_check(store, 0, report, NULL, NULL);
}

static struct ramet_txn *begin(unsigned flags)
{
    struct ramet_txn *txn = NULL;
    MUST(ramet_begin(store, "main", flags, &txn));
    return txn;
}

static struct ramet_blob *blob_of(struct ramet_txn *txn, const char *name)
{
    struct ramet_blob *blob = NULL;
    MUST(ramet_blob_open(txn, name, txn->writing ? RAMET_CREATE : 0, &blob));
    return blob;
}

/* Blob a has NR pages, all of which b has too; and a map has one value of a page. */
static int setup(void **state)
{
    static uint8_t bytes[NR * PAGE];
    struct rmt_io *io = NULL;
    (void)state;
    sim = rmt_sim_new(1, (uint64_t)64 << 20);
    assert_non_null(sim);
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    MUST(rmt_store_open_io(io, NULL, &store));
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(1 + i / PAGE);
    struct ramet_txn *txn = begin(RAMET_WRITE);
    struct ramet_map *map;
    MUST(ramet_blob_write(blob_of(txn, "a"), 0, bytes, sizeof(bytes)));
    MUST(ramet_blob_copy(blob_of(txn, "a"), 0, blob_of(txn, "b"), 0, sizeof(bytes)));
    MUST(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    MUST(ramet_put(map, rmt_slice("key", 3), rmt_slice(bytes, PAGE), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    assert_int_equal(check(), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ramet_close(store);
    rmt_sim_free(sim);
    return 0;
}

/* The bytes of a value, as it lies in its leaf. */
static void *find(const char *map, struct ramet_slice key)
{
    struct ramet_txn *txn = begin(RAMET_READ);
    struct rmt_pages *pages = &store->pages;
    struct rmt_value value = {0};
    struct rmt_tree tree;
    MUST(rmt_tree_get(pages, &txn->maps_tree, rmt_slice(map, strlen(map)), &value));
    MUST(rmt_map_load(pages, &value, RMT_ID_MAX, &tree));
    struct rmt_cursor cursor;
    const struct rmt_disk_node *leaf = NULL;
    uint32_t index = 0;
    rmt_cursor_init(&cursor, pages, &tree);
    MUST(rmt_cursor_seek(&cursor, key));
    MUST(rmt_cursor_leaf(&cursor, &leaf, &index));
    rmt_node_value(leaf, PAGE, index, &value);
    rmt_cursor_fini(&cursor);
    ramet_abort(txn);
    return (void *)(uintptr_t)value.data;
}

static rmt_le64 *count_of(uint64_t number)
{
    uint8_t key[RMT_SHARE_KEY_SIZE];
    return find("\5", rmt_share_key(key, RMT_SHARE_COUNT, number));
}

static uint8_t *page_of(uint64_t number)
{
    uint8_t key[RMT_SHARE_KEY_SIZE];
    return find("\5", rmt_share_key(key, RMT_SHARE_PAGE, number));
}

static uint8_t *entry_of(const char *blob, uint64_t page)
{
    char name[8];
    uint8_t key[8];
    rmt_put_be64(key, page);
    (void)snprintf(name, sizeof(name), "%c%s", RAMET_BLOB_MARK, blob);
    return find(name, rmt_slice(key, 8));
}

static int read_page(const char *blob, uint64_t page, uint8_t *first)
{
    uint8_t bytes[PAGE];
    struct ramet_txn *txn = begin(RAMET_READ);
    int64_t n = ramet_blob_read(blob_of(txn, blob), page * PAGE, bytes, PAGE);
    *first = bytes[0];
    ramet_abort(txn);
    return n < 0 ? (int)n : 0;
}

static int drop(const char *blob)
{
    struct ramet_txn *txn = begin(RAMET_WRITE);
    MUST(ramet_blob_drop(txn, blob));
    return ramet_commit(txn, NULL, NULL);
}

static void refused(const char *problem)
{
    assert_int_equal(check(), RAMET_ECORRUPT);
    if (!strstr(first_problem, problem))
        fail_msg("the check says: %s", first_problem);
}

static void counts_are_those_of_entries(void **state)
{
    (void)state;
    uint8_t first;
    assert_int_equal(rmt_get64(*count_of(1)), 2);
    assert_int_equal(rmt_get64(*count_of(NR)), 2);
    assert_int_equal(drop("a"), 0);
    assert_int_equal(rmt_get64(*count_of(3)), 1);
    assert_int_equal(check(), 0);
    MUST(read_page("b", 2, &first));
    assert_int_equal(first, 3);
    assert_int_equal(drop("b"), 0);
    assert_int_equal(check(), 0);
    struct rmt_tree shares;
    struct ramet_txn *txn = begin(RAMET_READ);
    MUST(rmt_shares_load(&store->pages, txn->maps_tree.root, &shares));
    assert_true(rmt_ref_none(shares.root));
    ramet_abort(txn);
}

/* A page is given up too soon: it is not there for others, and not given up once more. */
static void a_count_that_is_too_small(void **state)
{
    (void)state;
    uint8_t first;
    *count_of(3) = rmt_put64(1);
    refused("has other references to shared pages than it counts");
    assert_int_equal(drop("a"), 0);
    MUST(read_page("b", 1, &first));
    assert_int_equal(read_page("b", 2, &first), RAMET_ECORRUPT);
    assert_non_null(strstr(ramet_errmsg(), "shared page 3"));
    assert_int_equal(drop("b"), RAMET_ECORRUPT);
    assert_non_null(strstr(ramet_errmsg(), "shared page 3 of branch 'main'"));
    MUST(read_page("b", 1, &first));
    refused("has other references to shared pages than it counts");
}

/* It is never given up. */
static void a_count_that_is_too_large(void **state)
{
    (void)state;
    *count_of(3) = rmt_put64(3);
    refused("has other references to shared pages than it counts");
    assert_int_equal(drop("a"), 0);
    assert_int_equal(drop("b"), 0);
    assert_int_equal(rmt_get64(*count_of(3)), 1);
    refused("has other references to shared pages than it counts");
}

/* Too many here are too few there. */
static void counts_that_changed_places(void **state)
{
    (void)state;
    *count_of(3) = rmt_put64(3);
    *count_of(4) = rmt_put64(1);
    refused("has other references to shared pages than it counts");
}

static void counts_that_cannot_be(void **state)
{
    static const uint64_t counts[] = {0, UINT64_MAX, (uint64_t)1 << 63};
    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        *count_of(3) = rmt_put64(counts[i]);
        refused("has an entry of a shared page that cannot be");
        assert_int_equal(drop("a"), RAMET_ECORRUPT);
    }
}

static void a_number_that_no_page_has(void **state)
{
    (void)state;
    uint8_t first;
    rmt_ref_store(entry_of("b", 2), rmt_shared_ref(999));
    refused("has other references to shared pages than it counts");
    assert_int_equal(read_page("b", 2, &first), RAMET_ECORRUPT);
    struct ramet_txn *txn = begin(RAMET_WRITE);
    assert_int_equal(ramet_blob_copy(blob_of(txn, "b"), 0, blob_of(txn, "c"), 0, NR * PAGE),
                     RAMET_ECORRUPT);
    assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_ETXN);
    assert_int_equal(drop("b"), RAMET_ECORRUPT);
}

static void a_number_in_the_place_of_another(void **state)
{
    (void)state;
    uint8_t first;
    rmt_ref_store(entry_of("b", 2), rmt_shared_ref(4));
    refused("has other references to shared pages than it counts");
    MUST(read_page("b", 2, &first));
    assert_int_equal(first, 4);
    assert_int_equal(drop("b"), 0);
    assert_int_equal(drop("a"), RAMET_ECORRUPT);
}

static void a_number_where_none_may_be(void **state)
{
    (void)state;
    struct ramet_slice value;
    struct ramet_map *map;
    rmt_ref_store(find("m", rmt_slice("key", 3)), rmt_shared_ref(1));
    *count_of(1) = rmt_put64(3);
    refused("has an entry of a shared page that cannot be");
    struct ramet_txn *txn = begin(RAMET_READ);
    MUST(ramet_map_open(txn, "m", 0, &map));
    assert_int_equal(ramet_get(map, rmt_slice("key", 3), &value), RAMET_ECORRUPT);
    ramet_abort(txn);
}

static void a_number_of_a_number(void **state)
{
    (void)state;
    uint8_t first;
    rmt_ref_store(page_of(3), rmt_shared_ref(4));
    refused("has an entry of a shared page that cannot be");
    assert_int_equal(read_page("a", 2, &first), RAMET_ECORRUPT);
    (void)drop("a");
    (void)drop("b");
}

static void a_page_with_two_numbers(void **state)
{
    (void)state;
    memcpy(page_of(3), page_of(4), RMT_PAGE_RECORD_SIZE);
    refused("is two things");
    assert_int_equal(drop("a"), 0);
    assert_true(drop("b") < 0 || check() < 0); /* it cannot be given up twice unseen */
}

/* ---- reads that fail ------------------------------------------------------------------------- */

static void open_again(void)
{
    struct rmt_io *io = NULL;
    ramet_close(store);
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    MUST(rmt_store_open_io(io, NULL, &store));
}

static int copy_all(struct ramet_txn *txn)
{
    struct ramet_blob *a = NULL, *c = NULL;
    int rc = ramet_blob_open(txn, "a", 0, &a);
    if (rc == 0)
        rc = ramet_blob_open(txn, "c", RAMET_CREATE, &c);
    if (rc == 0)
        rc = (int)ramet_blob_copy(a, 0, c, 3 * PAGE, (uint64_t)NR * PAGE);
    return rc;
}

static int drop_all(struct ramet_txn *txn)
{
    int rc = ramet_blob_drop(txn, "a");
    return rc < 0 ? rc : ramet_blob_drop(txn, "c");
}

/* Fails the first read, then the second, until none is left. What failed is taken back, or the
 * commit fails with it. Returns how many failed. */
static uint64_t with_faults(int (*fn)(struct ramet_txn *txn))
{
    for (uint64_t at = 0;; at++) {
        uint32_t savepoint;
        open_again();
        struct ramet_txn *txn = begin(RAMET_WRITE);
        MUST(ramet_blob_zero(blob_of(txn, "b"), PAGE, PAGE));
        MUST(ramet_savepoint(txn, &savepoint));
        uint64_t fired = rmt_sim_faults_fired(sim);
        rmt_sim_fail_at(sim, RMT_SIM_READ, at, -EIO);
        int rc = fn(txn);
        if (rc < 0)
            MUST(ramet_rollback(txn, savepoint));
        rc = ramet_commit(txn, NULL, NULL);
        fired = rmt_sim_faults_fired(sim) - fired;
        rmt_sim_fail_at(sim, RMT_SIM_READ, UINT64_MAX, -EIO);
        if (rc < 0 && (rc != -EIO || !fired))
            fail_msg("%d: %s", rc, ramet_errmsg());
        if (check() != 0)
            fail_msg("after read %u failed: %s", (unsigned)at, first_problem);
        if (!fired)
            return at;
    }
}

static void what_cannot_be_read_fails_one_transaction(void **state)
{
    (void)state;
    uint8_t first;
    assert_true(with_faults(copy_all) >= 3);
    MUST(read_page("c", 5, &first));
    assert_int_equal(first, 3);
    MUST(read_page("a", 5, &first));
    assert_int_equal(first, 6);
    assert_true(with_faults(drop_all) >= 3);
    assert_int_equal(read_page("b", 5, &first), 0);
    assert_int_equal(first, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_are_those_of_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(a_count_that_is_too_small, setup, teardown),
        cmocka_unit_test_setup_teardown(a_count_that_is_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_that_changed_places, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_that_cannot_be, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_that_no_page_has, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_in_the_place_of_another, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_where_none_may_be, setup, teardown),
        cmocka_unit_test_setup_teardown(a_number_of_a_number, setup, teardown),
        cmocka_unit_test_setup_teardown(a_page_with_two_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_fails_one_transaction, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
