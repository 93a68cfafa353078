/* SPDX-License-Identifier: MIT */
/* spill-test.c - transactions that are larger than what they may have in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/sim.h"
#include "store/store.h"

#define ENTRIES 150000u
#define SMALL 400 /* bytes of a value that lies in its leaf */
#define LARGE 20001
#define LARGE_ENTRIES 4500u

/* The simulated disk, with room for spilling counted, and refused on demand. */
static struct rmt_io_ops ops;
static int (*spill)(struct rmt_io *io, size_t size, void **out);
static unsigned spills, allowed;

static int counted_spill(struct rmt_io *io, size_t size, void **out)
{
    if (spills == allowed)
        return rmt_fail(-ENOSPC, "no room to spill");
    spills++;
    return spill(io, size, out);
}

static struct ramet_store *store_open(struct rmt_sim *sim)
{
    struct rmt_io *io;
    struct ramet_store *store;
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    ops = *io->ops;
    spill = ops.spill;
    ops.spill = counted_spill;
    io->ops = &ops;
    spills = 0;
    allowed = UINT32_MAX;
    assert_int_equal(rmt_store_open_io(io, NULL, &store), 0);
    return store;
}

static void problem(void *ctx, const char *sentence)
{
    (void)ctx;
    print_error("%s\n", sentence);
}

static struct ramet_slice key_of(uint32_t n, uint32_t buf[2])
{
    buf[0] = n * 2654435761u; /* scattered, each once */
    buf[1] = n;
    return rmt_slice(buf, 8);
}

static struct ramet_slice value_of(uint32_t n, uint32_t turn, size_t size, uint8_t *buf)
{
    for (size_t i = 0; i < size; i += 97)
        buf[i] = (uint8_t)(n + turn + i);
    memcpy(buf, &n, sizeof(n));
    return rmt_slice(buf, size);
}

static int put_range(struct ramet_map *map, uint32_t from, uint32_t to, uint32_t turn, size_t size)
{
    static uint8_t value[LARGE];
    uint32_t key[2];
    int rc = 0;
    for (uint32_t n = from; n < to && rc == 0; n++)
        rc = ramet_put(map, key_of(n, key), value_of(n, turn, size, value), 0);
    return rc;
}

static void has_range(struct ramet_map *map, uint32_t from, uint32_t to, uint32_t turn, size_t size)
{
    static uint8_t value[LARGE];
    uint32_t key[2];
    for (uint32_t n = from; n < to; n++) {
        struct ramet_slice got, want = value_of(n, turn, size, value);
        assert_int_equal(ramet_get(map, key_of(n, key), &got), 0);
        assert_int_equal(got.size, want.size);
        assert_memory_equal(got.data, want.data, want.size);
    }
}

static struct ramet_txn *begin(struct ramet_store *store, unsigned flags, const char *name,
                               struct ramet_map **out)
{
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, NULL, flags, &txn), 0);
    assert_int_equal(ramet_map_open(txn, name, flags & RAMET_WRITE ? RAMET_CREATE : 0, out), 0);
    return txn;
}

static void spilled_pages_and_values_are_written_and_read_like_others(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(1, UINT64_C(1) << 30);
    struct ramet_store *store = store_open(sim);
    struct ramet_map *map, *large;
    uint32_t savepoint;
    struct ramet_txn *txn = begin(store, RAMET_WRITE, "m", &map);
    assert_int_equal(put_range(map, 0, ENTRIES, 0, SMALL), 0);
    assert_true(spills > 0);
    unsigned of_pages = spills;
    assert_int_equal(ramet_map_open(txn, "large", RAMET_CREATE, &large), 0);
    assert_int_equal(put_range(large, 0, LARGE_ENTRIES, 0, LARGE), 0);
    assert_true(spills > of_pages);
    has_range(map, 0, ENTRIES, 0, SMALL);
    has_range(large, 0, LARGE_ENTRIES, 0, LARGE);

    assert_int_equal(ramet_savepoint(txn, &savepoint), 0);
    assert_int_equal(put_range(map, 0, ENTRIES / 4, 1, SMALL), 0);
    assert_int_equal(put_range(large, 0, LARGE_ENTRIES / 4, 1, LARGE), 0);
    assert_int_equal(ramet_rollback(txn, savepoint), 0);
    has_range(map, 0, ENTRIES, 0, SMALL);
    has_range(large, 0, LARGE_ENTRIES, 0, LARGE);
    assert_int_equal(put_range(large, 7, 9, 2, LARGE), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);

    txn = begin(store, RAMET_READ, "m", &map);
    assert_int_equal(ramet_map_open(txn, "large", 0, &large), 0);
    has_range(map, 0, ENTRIES, 0, SMALL);
    has_range(large, 0, 7, 0, LARGE);
    has_range(large, 7, 9, 2, LARGE);
    has_range(large, 9, LARGE_ENTRIES, 0, LARGE);
    ramet_abort(txn);
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

static void a_small_transaction_does_not_spill_and_one_after_a_large_one_neither(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(2, UINT64_C(1) << 30);
    struct ramet_store *store = store_open(sim);
    struct ramet_map *map;
    for (int large = 0; large < 3; large++) {
        unsigned before = spills;
        struct ramet_txn *txn = begin(store, RAMET_WRITE, "m", &map);
        assert_int_equal(put_range(map, 0, large == 1 ? ENTRIES : 1000, 0, SMALL), 0);
        assert_int_equal(spills > before, large == 1);
        if (large == 1)
            ramet_abort(txn);
        else
            assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    }
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

static void no_room_to_spill_fails_the_call_and_leaves_the_transaction(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(3, UINT64_C(1) << 30);
    struct ramet_store *store = store_open(sim);
    struct ramet_map *map, *large;
    allowed = 1;
    struct ramet_txn *txn = begin(store, RAMET_WRITE, "m", &map);
    assert_int_equal(ramet_map_open(txn, "large", RAMET_CREATE, &large), 0);
    assert_int_equal(put_range(large, 0, 3300, 0, LARGE), 0); /* not yet: 63 MiB */
    assert_int_equal(spills, 0);
    assert_int_equal(put_range(map, 0, 4 * ENTRIES, 0, SMALL), -ENOSPC);
    assert_int_equal(spills, 1);
    assert_int_equal(put_range(large, 3300, LARGE_ENTRIES, 0, LARGE), -ENOSPC);
    has_range(large, 0, 3300, 0, LARGE);
    has_range(map, 0, ENTRIES, 0, SMALL);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    txn = begin(store, RAMET_READ, "m", &map);
    has_range(map, 0, ENTRIES, 0, SMALL);
    ramet_abort(txn);
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

static void the_lists_of_a_large_value_need_no_room_to_spill(void **state)
{
    (void)state;
    const size_t size = (size_t)70 << 20;
    struct rmt_sim *sim = rmt_sim_new(5, UINT64_C(1) << 30);
    struct ramet_store *store = store_open(sim);
    struct ramet_map *map;
    rmt_auto(free) uint8_t *value = calloc(1, size);
    assert_non_null(value);
    allowed = 0;
    struct ramet_txn *txn = begin(store, RAMET_WRITE, "m", &map);
    assert_int_equal(ramet_put(map, rmt_slice("k", 1), rmt_slice(value, size), 0), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

#define PART ((size_t)1 << 20)

static struct ramet_slice part_of(uint32_t n, uint8_t *buf)
{
    memset(buf, (int)n + 1, PART);
    return rmt_slice(buf, PART);
}

struct parts {
    uint8_t *want;
    uint32_t count;
};

static int see_parts(void *ctx, uint64_t off, struct ramet_slice piece)
{
    struct parts *parts = ctx;
    while (piece.size && off < parts->count * PART) {
        size_t n = rmt_min(piece.size, PART - off % PART);
        (void)part_of((uint32_t)(off / PART), parts->want);
        assert_memory_equal(piece.data, parts->want, n);
        piece = rmt_slice((const uint8_t *)piece.data + n, piece.size - n);
        off += n;
    }
    return 0;
}

static void a_value_in_parts_is_spilled_by_pieces(void **state)
{
    (void)state;
    struct rmt_sim *sim = rmt_sim_new(4, UINT64_C(1) << 30);
    struct ramet_store *store = store_open(sim);
    struct ramet_map *map;
    const struct ramet_slice key = {"k", 1};
    rmt_auto(free) uint8_t *buf = malloc(PART);
    struct parts parts = {buf, 0};
    int rc = 0;
    assert_non_null(buf);
    allowed = 2;
    struct ramet_txn *txn = begin(store, RAMET_WRITE, "m", &map);
    assert_int_equal(ramet_put(map, key, rmt_slice("", 0), 0), 0);
    for (uint32_t n = 0; rc == 0; n++) {
        struct ramet_slice part = part_of(n, buf);
        rc = ramet_write(map, key, n * PART, part.data, part.size);
        parts.count += rc == 0;
    }
    assert_int_equal(rc, -ENOSPC);
    assert_int_equal(spills, 2);
    assert_in_range(parts.count, 150, 200); /* 64 MiB in memory, and two files of as many */
    assert_int_equal(ramet_get_pieces(map, key, 0, UINT64_MAX, see_parts, &parts), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    txn = begin(store, RAMET_READ, "m", &map);
    assert_int_equal(ramet_get_pieces(map, key, 0, UINT64_MAX, see_parts, &parts), 0);
    ramet_abort(txn);
    assert_int_equal(ramet_check(store, 0, problem, NULL, NULL), 0);
    ramet_close(store);
    rmt_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spilled_pages_and_values_are_written_and_read_like_others),
        cmocka_unit_test(a_small_transaction_does_not_spill_and_one_after_a_large_one_neither),
        cmocka_unit_test(no_room_to_spill_fails_the_call_and_leaves_the_transaction),
        cmocka_unit_test(the_lists_of_a_large_value_need_no_room_to_spill),
        cmocka_unit_test(a_value_in_parts_is_spilled_by_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
