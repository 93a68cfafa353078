/* SPDX-License-Identifier: MIT */
/* space-test.c - free space belongs to all processes that have a store open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/sim.h"
#include "store/store.h"

#define CAPACITY ((uint64_t)4 << 20)
#define VALUE 1000

struct machine {
    struct rmt_sim *sim;
    struct ramet_store *stores[2]; /* of two processes */
};

static struct ramet_store *open_on(struct rmt_sim *sim)
{
    struct ramet_store *store;
    struct rmt_io *io;
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    assert_int_equal(rmt_store_open_io(io, NULL, &store), 0);
    return store;
}

static int setup(void **state)
{
    struct machine *m = calloc(1, sizeof(*m));
    m->sim = rmt_sim_new(1, CAPACITY);
    m->stores[0] = open_on(m->sim);
    m->stores[1] = open_on(m->sim);
    assert_int_equal(ramet_branch_create(m->stores[0], "other", "main"), 0);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    struct machine *m = *state;
    ramet_close(m->stores[0]);
    ramet_close(m->stores[1]);
    rmt_sim_free(m->sim);
    free(m);
    return 0;
}

static struct ramet_map *begin(struct ramet_store *store, const char *branch,
                               struct ramet_txn **txn)
{
    struct ramet_map *map;
    assert_int_equal(ramet_begin(store, branch, RAMET_WRITE, txn), 0);
    assert_int_equal(ramet_map_open(*txn, "m", RAMET_CREATE, &map), 0);
    return map;
}

static int put(struct ramet_map *map, uint32_t i)
{
    uint8_t key[8], value[VALUE] = {0};
    rmt_put_be64(key, i * 0x9e3779b97f4a7c15);
    return ramet_put(map, rmt_slice(key, sizeof(key)), rmt_slice(value, sizeof(value)), 0);
}

static void what_is_granted_to_two_processes_can_be_committed_by_both(void **state)
{
    struct machine *m = *state;
    struct ramet_txn *txns[2];
    struct ramet_map *maps[2] = {begin(m->stores[0], "main", &txns[0]),
                                 begin(m->stores[1], "other", &txns[1])};
    bool full[2] = {false, false};
    for (uint32_t i = 0; !full[0] || !full[1]; i++) {
        for (int p = 0; p < 2; p++) {
            if (full[p])
                continue;
            int rc = put(maps[p], i);
            full[p] = rc == -ENOSPC;
            assert_true(rc == 0 || full[p]);
        }
    }
    /* A write that failed for want of space left no trace, and what came before can be committed:
     * else a full disk would be met there. */
    assert_int_equal(ramet_commit(txns[0], NULL, NULL), 0);
    assert_int_equal(ramet_commit(txns[1], NULL, NULL), 0);
    assert_int_equal(ramet_check(m->stores[0], 0, NULL, NULL, NULL), 0);
}

static void what_the_dead_were_granted_is_for_others(void **state)
{
    struct machine *m = *state;
    struct ramet_store *third = open_on(m->sim);
    struct ramet_txn *txn;
    struct ramet_map *map = begin(third, "other", &txn);
    uint32_t i = 0, n = 0;
    while (put(map, i) == 0)
        i++;
    /* It dies: its locks fall, and what it says in shared memory stays. */
    struct rmt_process_slot said = *rmt_shared_own(&third->shared);
    struct rmt_process_slot *slot = rmt_shared_own(&third->shared);
    assert_true(said.reserved > 100);
    ramet_close(third);
    slot->id = said.id;
    slot->reserved = said.reserved;
    map = begin(m->stores[0], "main", &txn);
    while (put(map, n) == 0)
        n++;
    assert_true(n + n / 8 > i);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
}

/* ---- following what others log --------------------------------------------------------------- */

static const struct rmt_io_ops *sim_ops;
static struct rmt_io_ops counting_ops;
static uint64_t reads;

static int count_read(struct rmt_io *io, void *buf, size_t len, uint64_t off)
{
    reads++;
    return sim_ops->read(io, buf, len, off);
}

static void commit_one(struct ramet_store *store, const char *branch, uint32_t i)
{
    struct ramet_txn *txn;
    struct ramet_map *map = begin(store, branch, &txn);
    assert_int_equal(put(map, i), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
}

static void a_map_that_follows_others_is_the_one_that_is_loaded(void **state)
{
    struct machine *m = *state;
    rmt_sim_set_capacity(m->sim, (uint64_t)1 << 30);
    for (uint32_t i = 0; i < 400; i++) {
        /* Now and then one falls behind, so far that the log has been cut. */
        bool second = i % 100 < 60 ? i & 1 : i % 100 == 99;
        commit_one(m->stores[second], i & 2 ? "main" : "other", i % 90);
        struct rmt_space *space = &m->stores[second]->space, loaded;
        struct rmt_shared *shared = &m->stores[second]->shared;
        struct rmt_disk_slot slot;
        (void)rmt_shared_newest(shared, &slot, NULL);
        assert_int_equal(rmt_space_init(&loaded, &m->stores[second]->pages, shared), 0);
        assert_int_equal(rmt_space_load(&loaded, rmt_ref_load(&slot.log)), 0);
        assert_int_equal(loaded.nr_pages, space->nr_pages);
        assert_int_equal(loaded.nr_free, space->nr_free);
        assert_int_equal(loaded.log.count, space->log.count);
        for (uint64_t page = 0; page < loaded.nr_pages; page++)
            assert_int_equal(rmt_space_is_free(&loaded, page), rmt_space_is_free(space, page));
        for (size_t p = 0; p < loaded.log.count; p++)
            assert_true(rmt_ref_equal(loaded.log.items[p].ref, space->log.items[p].ref));
        for (size_t r = 0; r < loaded.regions.count; r++)
            assert_true(rmt_ref_equal(loaded.regions.items[r].ref, space->regions.items[r].ref));
        rmt_space_fini(&loaded);
    }
    assert_int_equal(ramet_check(m->stores[0], 0, NULL, NULL, NULL), 0);
}

static void the_log_stays_short_though_two_take_turns(void **state)
{
    struct machine *m = *state;
    rmt_sim_set_capacity(m->sim, (uint64_t)1 << 30);
    for (uint32_t i = 0; i < 600; i++)
        commit_one(m->stores[i & 1], "main", i % 50);
    assert_true(m->stores[1]->space.log.count <= 3);
}

/* Of the log its last page, and of the catalog what the other wrote anew. */
static void following_reads_few_pages(void **state)
{
    struct machine *m = *state;
    struct rmt_io *io = m->stores[1]->io;
    rmt_sim_set_capacity(m->sim, (uint64_t)1 << 30);
    for (uint32_t i = 0; i < 60; i++)
        commit_one(m->stores[0], "main", i);
    commit_one(m->stores[1], "other", 1);
    sim_ops = io->ops;
    counting_ops = *sim_ops;
    counting_ops.read = count_read;
    io->ops = &counting_ops;
    reads = 0;
    for (uint32_t i = 0; i < 40; i++) {
        commit_one(m->stores[0], "main", i);
        commit_one(m->stores[1], "other", i);
    }
    io->ops = sim_ops;
    assert_true(reads <= 120);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_granted_to_two_processes_can_be_committed_by_both),
        TEST(what_the_dead_were_granted_is_for_others),
        TEST(a_map_that_follows_others_is_the_one_that_is_loaded),
        TEST(the_log_stays_short_though_two_take_turns),
        TEST(following_reads_few_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
