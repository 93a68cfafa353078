/* SPDX-License-Identifier: MIT */
/*
 * forged-test.c - what opening and ramet_check() must see in stores whose checksums are all right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/sim.h"
#include "store/catalog.h"
#include "store/store.h"
#include "store/unsummed.h"

#define NR_KEYS 2000

static char first_problem[512];

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    if (!*first_problem)
        (void)snprintf(first_problem, sizeof(first_problem), "%s", problem);
}

static int try_open(struct rmt_sim *sim, struct ramet_store **out)
{
    struct rmt_io *io;
    assert_int_equal(rmt_sim_open(sim, 0, &io), 0);
    return rmt_store_open_io(io, NULL, out);
}

static struct ramet_store *open_sim(struct rmt_sim *sim)
{
    struct ramet_store *store = NULL;
    assert_int_equal(try_open(sim, &store), 0);
    return store;
}

static void put_keys(struct ramet_store *store, const char *branch, uint32_t from, uint32_t to)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    assert_int_equal(ramet_begin(store, branch, RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", RAMET_CREATE, &map), 0);
    for (uint32_t i = from; i < to; i++) {
        char key[16];
        int size = snprintf(key, sizeof(key), "key%06u", i);
        assert_int_equal(ramet_put(map, rmt_slice(key, (size_t)size), rmt_slice("a value", 7), 0),
                         0);
    }
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
}

/* A store with one map of two levels in main, closed. */
static struct rmt_sim *make_store(void)
{
    struct rmt_sim *sim = rmt_sim_new(1, (uint64_t)64 << 20);
    assert_non_null(sim);
    struct ramet_store *store = open_sim(sim);
    put_keys(store, "main", 0, NR_KEYS);
    ramet_close(store);
    return sim;
}

/* The largest inner node in the file: the root of the map. */
static struct rmt_disk_node *find_inner(struct rmt_sim *sim)
{
    uint64_t size;
    uint8_t *bytes = rmt_sim_bytes(sim, &size);
    struct rmt_disk_node *found = NULL;
    for (uint64_t off = RMT_META_SIZE; off < size; off += RMT_PAGE_SIZE_MIN) {
        struct rmt_disk_node *node = (void *)(bytes + off);
        if (rmt_get64(node->addr) == off / RMT_PAGE_SIZE_MIN && node->kind == RMT_NODE_INNER &&
            (!found || rmt_node_size(node) > rmt_node_size(found)))
            found = node;
    }
    assert_non_null(found);
    assert_true(rmt_node_size(found) > 4);
    return found;
}

/* Where a reference stands in a page. */
static uint8_t *find_ref(struct rmt_disk_node *node, struct rmt_ref ref)
{
    uint8_t bytes[16];
    rmt_ref_store(bytes, ref);
    uint8_t *at = memmem(node, RMT_PAGE_SIZE_MIN, bytes, sizeof(bytes));
    assert_non_null(at);
    return at;
}

static int check_after_boot(struct rmt_sim *sim)
{
    rmt_sim_boot(sim);
    struct ramet_store *store = open_sim(sim);
    *first_problem = '\0';
    int rc = ramet_check(store, 0, report, NULL, NULL);
    ramet_close(store);
    rmt_sim_free(sim);
    return rc;
}

static void swap_children(struct rmt_disk_node *node, uint32_t i, uint32_t j)
{
    struct rmt_ref a = rmt_node_child(node, i), b = rmt_node_child(node, j);
    uint8_t *at = find_ref(node, a), *bt = find_ref(node, b);
    rmt_ref_store(at, b);
    rmt_ref_store(bt, a);
}

static void sees_nothing_in_a_good_store(void **state)
{
    (void)state;
    assert_int_equal(check_after_boot(make_store()), 0);
}

static void sees_leaves_that_changed_places(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    swap_children(find_inner(sim), 1, 3);
    assert_int_equal(check_after_boot(sim), RAMET_ECORRUPT);
    assert_non_null(strstr(first_problem, "out of order"));
}

/* Each of the two leaves is where the version below has it, and the page above them is new. */
static void sees_inherited_leaves_that_changed_places(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = open_sim(sim);
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    put_keys(store, "b", NR_KEYS, NR_KEYS + 500);
    ramet_close(store);
    swap_children(find_inner(sim), 1, 3);
    assert_int_equal(check_after_boot(sim), RAMET_ECORRUPT);
    assert_non_null(strstr(first_problem, "out of order"));
}

/* A reference of birth 0 is an address in memory, in trees that are being written. */
static void refuses_slots_whose_roots_cannot_be(void **state)
{
    (void)state;
    const struct rmt_ref forged[] = {{5000, 0, 0}, {40, RMT_ID_MAX, 0}, {1, 2, 0}};
    for (size_t i = 0; i < 6; i++) {
        struct rmt_sim *sim = make_store();
        struct ramet_store *store;
        uint64_t size;
        rmt_sim_boot(sim);
        for (uint32_t index = 0; index < 2; index++) {
            struct rmt_disk_slot *slot = (void *)(rmt_sim_bytes(sim, &size) + rmt_slot_off(index));
            rmt_ref_store(i % 2 ? &slot->log : &slot->catalog, forged[i / 2]);
        }
        assert_int_equal(try_open(sim, &store), RAMET_ECORRUPT);
        rmt_sim_free(sim);
    }
}

static void reclaiming_what_no_sweep_has_ends(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    struct ramet_store *store;
    uint64_t size;
    rmt_sim_boot(sim);
    for (uint32_t index = 0; index < 2; index++) {
        struct rmt_disk_slot *slot = (void *)(rmt_sim_bytes(sim, &size) + rmt_slot_off(index));
        slot->unswept_pages = rmt_put64(rmt_get64(slot->unswept_pages) + 3);
        slot->data_pages = rmt_put64(rmt_get64(slot->data_pages) - 3);
    }
    store = open_sim(sim);
    assert_int_equal(ramet_reclaim(store, 0, NULL), RAMET_ECORRUPT);
    ramet_close(store);
    rmt_sim_free(sim);
}

/* The last record of a kind in the catalog: it lies in the simulated disk, which may be written. */
static void *find_record(struct ramet_store *store, uint8_t kind, size_t size)
{
    struct rmt_disk_slot slot;
    struct rmt_key prefix = {.bytes = {kind}, .size = 1};
    const void *found = NULL;
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    (void)rmt_shared_newest(&store->shared, &slot, NULL);
    struct rmt_tree catalog = {.root = rmt_ref_load(&slot.catalog)};
    rmt_scan_init(&scan, &store->pages, &catalog, &prefix);
    while (rmt_scan_next(&scan) == 1)
        found = scan.value.size == size ? scan.value.data : found;
    assert_non_null(found);
    return (void *)(uintptr_t)found;
}

/* The low half of a birth that was never verified is 0 as well. */
static void refuses_a_sweep_whose_root_cannot_be(void **state)
{
    (void)state;
    static const uint8_t value[5000];
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = open_sim(sim);
    struct ramet_txn *txn;
    struct ramet_map *map;
    assert_int_equal(ramet_branch_create(store, "large", "main"), 0);
    assert_int_equal(ramet_begin(store, "large", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", RAMET_CREATE, &map), 0);
    for (uint32_t i = 0; i < 600; i++)
        assert_int_equal(
            ramet_put(map, rmt_slice(&i, sizeof(i)), rmt_slice(value, sizeof(value)), 0), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    assert_int_equal(ramet_branch_delete(store, "large"), 0);
    struct rmt_disk_sweep *sweep = find_record(store, 's', sizeof(*sweep));
    rmt_ref_store(&sweep->root, (struct rmt_ref){store->pages.reserved - 1, (uint64_t)1 << 40, 0});
    assert_int_equal(ramet_reclaim(store, 0, NULL), RAMET_ECORRUPT);
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), RAMET_ECORRUPT);
    ramet_close(store);
    rmt_sim_free(sim);
}

static void refuses_a_head_of_fewer_pages_than_it_loses(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = open_sim(sim);
    struct rmt_disk_version *head = find_record(store, 'v', sizeof(*head));
    struct ramet_txn *txn;
    head->owned_pages = rmt_put64(0);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_drop(txn, "m"), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), RAMET_ECORRUPT);
    ramet_close(store);
    rmt_sim_free(sim);
}

static void refuses_to_drop_a_head_that_others_stand_on(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = open_sim(sim);
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    struct rmt_disk_version *head = find_record(store, 'v', sizeof(*head));
    head->children = rmt_put32(1);
    assert_int_equal(ramet_branch_delete(store, "b"), RAMET_ECORRUPT);
    ramet_close(store);
    rmt_sim_free(sim);
}

static int tell(void *ctx, const struct ramet_snapshot_info *info)
{
    (void)ctx;
    (void)info;
    return 0;
}

static int tell_branch(void *ctx, const struct ramet_branch_info *info)
{
    (void)ctx;
    (void)info;
    return 0;
}

static void sees_a_snapshot_whose_record_cannot_be_read(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = open_sim(sim);
    struct ramet_keep keep = {.size = sizeof(keep), .message = "m"};
    assert_int_equal(ramet_snapshot_create(store, "main", &keep, NULL), 0);
    assert_int_equal(ramet_check(store, 0, report, NULL, NULL), 0);
    struct rmt_disk_keep *record = find_record(store, 'k', sizeof(*record) + 1);
    record->author_size = rmt_put32(2);
    assert_int_equal(ramet_snapshot_list(store, "main", tell, NULL), RAMET_ECORRUPT);
    *first_problem = '\0';
    assert_int_equal(ramet_check(store, 0, report, NULL, NULL), RAMET_ECORRUPT);
    assert_non_null(strstr(first_problem, "branch 'main' keeps a snapshot"));
    ramet_close(store);
    rmt_sim_free(sim);
}

static void sees_a_cursor_that_cannot_be(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = open_sim(sim);
    struct ramet_watch_options options = {.size = sizeof(options), .cursor = "c"};
    struct ramet_slice all = {NULL, 0};
    struct ramet_watch *watch = NULL;
    assert_int_equal(ramet_watch_open(store, NULL, NULL, all, NULL, &options, &watch), 0);
    ramet_watch_close(watch);
    assert_int_equal(ramet_check(store, 0, report, NULL, NULL), 0);
    struct rmt_disk_cursor *record = find_record(store, 'w', sizeof(*record) + strlen("main"));
    record->at = rmt_put64(12345);
    *first_problem = '\0';
    assert_int_equal(ramet_check(store, 0, report, NULL, NULL), RAMET_ECORRUPT);
    assert_non_null(strstr(first_problem, "cursor 'c' is at a snapshot that is not there"));
    watch = NULL;
    assert_int_equal(ramet_watch_open(store, NULL, NULL, all, NULL, &options, &watch),
                     RAMET_ECORRUPT);
    assert_null(watch);
    assert_int_equal(ramet_watch_cursor_delete(store, "c"), RAMET_ECORRUPT);
    memcpy(record + 1, "ma@n", 4);
    assert_int_equal(ramet_watch_open(store, NULL, NULL, all, NULL, &options, &watch),
                     RAMET_ECORRUPT);
    ramet_close(store);
    rmt_sim_free(sim);
}

static int tell_change(void *ctx, const struct ramet_snapshot_info *info,
                       const struct ramet_change *change)
{
    (void)ctx;
    (void)info;
    (void)change;
    return 0;
}

static void keep_head(struct ramet_store *store, const char *branch)
{
    struct ramet_keep keep = {.size = sizeof(keep)};
    assert_int_equal(ramet_snapshot_create(store, branch, &keep, NULL), 0);
}

/* Two branches of several snapshots that have merged each other. */
static struct ramet_store *make_merged(struct rmt_sim *sim)
{
    struct ramet_store *store = open_sim(sim);
    keep_head(store, "main");
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    for (uint32_t i = 0; i < 6; i++) {
        put_keys(store, "main", 3000 + 10 * i, 3001 + 10 * i);
        keep_head(store, "main");
        put_keys(store, "b", 3005 + 10 * i, 3006 + 10 * i);
        if (i == 2)
            assert_int_equal(ramet_merge(store, "main", "b", NULL, NULL), 0);
        if (i == 4)
            assert_int_equal(ramet_merge(store, "b", "main~2", NULL, NULL), 0);
        keep_head(store, "b");
    }
    return store;
}

/* All that goes up from version to version. Nothing of it may hang. */
static void go_up(struct ramet_store *store)
{
    const struct ramet_slice key = rmt_slice("key000001", 9);
    const char *const branches[] = {"main", "b"};
    struct ramet_prune_options options = {.size = sizeof(options), .keep_last = 1};
    uint64_t ids[4];
    size_t count = 4;
    for (size_t i = 0; i < 2; i++) {
        struct ramet_txn *txn;
        (void)ramet_history(store, branches[i], 0, tell, NULL);
        (void)ramet_history(store, branches[i], RAMET_HISTORY_ALL | RAMET_HISTORY_HIDDEN, tell,
                            NULL);
        (void)ramet_key_history(store, branches[i], "m", key, tell_change, NULL);
        assert_true(ramet_begin(store, i ? "b~18446744073709551615" : "main~18446744073709551615",
                                RAMET_READ, &txn) < 0);
    }
    (void)ramet_branch_list(store, tell_branch, NULL);
    (void)ramet_merge_base(store, "main", "b", ids, &count);
    (void)ramet_merge(store, "main", "b", NULL, NULL);
    (void)ramet_merge(store, "b", "main", NULL, NULL);
    (void)ramet_prune(store, "main", &options, NULL);
    (void)ramet_branch_delete(store, "b");
}

/* The records of a kind, ascending by key; numbers: how their keys begin. */
static size_t find_records(struct ramet_store *store, char kind, size_t size, void **records,
                           uint64_t *numbers, size_t most)
{
    struct rmt_disk_slot slot;
    struct rmt_key prefix = {.bytes = {(uint8_t)kind}, .size = 1};
    size_t n = 0;
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    (void)rmt_shared_newest(&store->shared, &slot, NULL);
    struct rmt_tree catalog = {.root = rmt_ref_load(&slot.catalog)};
    rmt_scan_init(&scan, &store->pages, &catalog, &prefix);
    for (; n < most && rmt_scan_next(&scan) == 1; n++) {
        assert_int_equal(scan.value.size, size);
        records[n] = (void *)(uintptr_t)scan.value.data;
        numbers[n] = rmt_get_be64(scan.key.data);
    }
    return n;
}

static size_t find_versions(struct ramet_store *store, struct rmt_disk_version **records,
                            uint64_t *numbers, size_t most)
{
    return find_records(store, 'v', sizeof(**records), (void **)records, numbers, most);
}

/* What stands on itself, or on what stands on it; what jumps so; what is older than what it has
 * merged; and what is on the line of another. */
static void goes_up_to_an_end_whatever_versions_say(void **state)
{
    enum { PREV, SKIP, ID, LINE, WAYS, MOST = 32 };
    (void)state;
    size_t n = MOST;
    (void)alarm(120);
    for (size_t i = 0; i < n * n * WAYS; i++) {
        size_t from = i / WAYS / n, to = i / WAYS % n;
        if (to < from && i % WAYS < ID)
            continue;
        struct rmt_sim *sim = make_store();
        struct ramet_store *store = make_merged(sim);
        struct rmt_disk_version *records[MOST];
        uint64_t numbers[MOST];
        n = find_versions(store, records, numbers, MOST);
        if (i % WAYS == PREV)
            records[from]->prev = rmt_put64(numbers[to]);
        else if (i % WAYS == SKIP)
            records[from]->skip = rmt_put64(numbers[to]);
        else if (i % WAYS == LINE)
            records[from]->line = rmt_put64(numbers[to]);
        else
            records[from]->id = records[to]->id;
        go_up(store);
        ramet_close(store);
        rmt_sim_free(sim);
    }
    (void)alarm(0);
}

/* Two branches that have merged each other so often that their base with another is looked for by
 * lines. */
static struct ramet_store *make_ladder(struct rmt_sim *sim)
{
    struct ramet_merge_options options = {.size = sizeof(options), .flags = RAMET_MERGE_NO_FF};
    struct ramet_store *store = open_sim(sim);
    keep_head(store, "main");
    assert_int_equal(ramet_branch_create(store, "b", "main"), 0);
    assert_int_equal(ramet_branch_create(store, "old", "main"), 0);
    put_keys(store, "old", 3000, 3001);
    keep_head(store, "old");
    assert_int_equal(ramet_branch_create(store, "older", "old"), 0);
    put_keys(store, "older", 3001, 3002);
    put_keys(store, "old", 3002, 3003);
    for (uint32_t i = 0; i < 20; i++) {
        put_keys(store, "main", 4000 + i, 4001 + i);
        assert_int_equal(ramet_merge(store, "b", "main", &options, NULL), 0);
        put_keys(store, "b", 5000 + i, 5001 + i);
        assert_int_equal(ramet_merge(store, "main", "b", &options, NULL), 0);
    }
    put_keys(store, "main", 4900, 4901);
    put_keys(store, "b", 5900, 5901);
    return store;
}

static int find_base(struct ramet_store *store)
{
    uint64_t ids[4];
    size_t count = 4;
    return ramet_merge_base(store, "main", "old", ids, &count);
}

/* What leads to something newer, to nothing, and to where it came from. */
static void goes_up_to_an_end_whatever_edges_say(void **state)
{
    enum { MOST = 128, WAYS = 4 };
    (void)state;
    size_t n = MOST, refused = 0;
    (void)alarm(120);
    for (size_t i = 0; i < n * WAYS; i++) {
        struct rmt_sim *sim = make_store();
        struct ramet_store *store = make_ladder(sim);
        struct rmt_disk_edge *edges[MOST];
        struct rmt_disk_version *versions[MOST];
        uint64_t lines[MOST], numbers[MOST];
        n = find_records(store, 'e', sizeof(**edges), (void **)edges, lines, MOST);
        size_t newest = find_versions(store, versions, numbers, MOST) - 1;
        struct rmt_disk_edge *edge = edges[i / WAYS];
        if (i % WAYS == 0) {
            edge->best = rmt_put64(UINT64_MAX);
            edge->best_id = rmt_put64(RMT_ID_MAX);
        } else if (i % WAYS == 1) {
            edge->best_id = rmt_put64(0);
        } else if (i % WAYS == 2) {
            edge->best = rmt_put64(numbers[newest]);
            edge->best_id = versions[newest]->id;
        } else {
            edge->best = rmt_put64(lines[i / WAYS]);
        }
        refused += find_base(store) == RAMET_ECORRUPT;
        (void)ramet_merge(store, "main", "old", NULL, NULL);
        (void)ramet_merge(store, "b", "main", NULL, NULL);
        (void)ramet_branch_delete(store, "old");
        (void)ramet_branch_delete(store, "b");
        ramet_close(store);
        rmt_sim_free(sim);
    }
    (void)alarm(0);
    assert_true(n > 40 && n < MOST);
    assert_true(refused > 0);
}

/* What ramet_check() says first of a ladder after a change of an edge, or of a version. */
static void sees(void (*forge)(struct rmt_disk_edge **edges, size_t nr_edges,
                               struct rmt_disk_version **versions, size_t nr_versions),
                 const char *what)
{
    enum { MOST = 128 };
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = make_ladder(sim);
    struct rmt_disk_edge *edges[MOST];
    struct rmt_disk_version *versions[MOST];
    uint64_t numbers[MOST];
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), 0);
    size_t nr_edges = find_records(store, 'e', sizeof(**edges), (void **)edges, numbers, MOST);
    forge(edges, nr_edges, versions, find_versions(store, versions, numbers, MOST));
    *first_problem = '\0';
    assert_int_equal(ramet_check(store, 0, report, NULL, NULL), RAMET_ECORRUPT);
    if (!strstr(first_problem, what))
        fail_msg("%s", first_problem);
    ramet_close(store);
    rmt_sim_free(sim);
}

static void forge_number(struct rmt_disk_edge **edges, size_t nr_edges,
                         struct rmt_disk_version **versions, size_t nr_versions)
{
    (void)versions, (void)nr_versions;
    edges[nr_edges / 2]->number = edges[nr_edges / 2 - 1]->number;
}

static void forge_best(struct rmt_disk_edge **edges, size_t nr_edges,
                       struct rmt_disk_version **versions, size_t nr_versions)
{
    (void)versions, (void)nr_versions;
    edges[nr_edges / 2]->best_id = edges[nr_edges / 2 - 1]->best_id;
    edges[nr_edges / 2]->best = edges[nr_edges / 2 - 1]->best;
}

/* The edges of a version that merged are looked for on another line. */
static void forge_line(struct rmt_disk_edge **edges, size_t nr_edges,
                       struct rmt_disk_version **versions, size_t nr_versions)
{
    (void)edges, (void)nr_edges;
    for (size_t i = nr_versions; i-- > 0;) {
        if (rmt_get32(versions[i]->flags) & RMT_VERSION_MERGED) {
            versions[i]->line = rmt_put64(1);
            return;
        }
    }
    fail();
}

/* A head is on the line of another, and two stand on it side by side. */
static void forge_head(struct rmt_disk_edge **edges, size_t nr_edges,
                       struct rmt_disk_version **versions, size_t nr_versions)
{
    struct rmt_disk_version *first = NULL;
    (void)edges, (void)nr_edges;
    for (size_t i = 0; i < nr_versions; i++) {
        if (rmt_get32(versions[i]->flags) & RMT_VERSION_HEAD) {
            if (first)
                versions[i]->line = first->line;
            first = versions[i];
        }
    }
}

/* A snapshot is on the line of another branch, whose versions do not stand on it. */
static void forge_side(struct rmt_disk_edge **edges, size_t nr_edges,
                       struct rmt_disk_version **versions, size_t nr_versions)
{
    (void)edges, (void)nr_edges;
    for (size_t i = 0; i < nr_versions; i++) {
        if (rmt_get64(versions[i]->line) != rmt_get64(versions[0]->line) &&
            !rmt_get32(versions[i]->flags))
            versions[i]->line = versions[0]->line;
    }
}

static void sees_what_is_wrong_with_lines(void **state)
{
    (void)state;
    sees(forge_number, "and the index of lines not");
    sees(forge_best, "as the newest of its line");
    sees(forge_line, "and the index of lines not");
    sees(forge_head, "is not on its own line");
    sees(forge_side, "which is before it on its line");
}

static void sees_a_jump_to_what_is_no_ancestor(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = make_merged(sim);
    struct rmt_disk_version *records[32];
    uint64_t numbers[32];
    size_t n = find_versions(store, records, numbers, 32);
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), 0);
    records[2]->skip = rmt_put64(numbers[n - 1]);
    *first_problem = '\0';
    assert_int_equal(ramet_check(store, 0, report, NULL, NULL), RAMET_ECORRUPT);
    assert_non_null(strstr(first_problem, "jumps to"));
    ramet_close(store);
    rmt_sim_free(sim);
}

/* The catalog says that the snapshot stands on itself. */
static void sees_a_version_that_stands_on_itself(void **state)
{
    (void)state;
    struct rmt_sim *sim = make_store();
    struct ramet_store *store = open_sim(sim);
    struct ramet_keep keep = {.size = sizeof(keep)};
    struct ramet_watch_options options = {.size = sizeof(options), .flags = RAMET_WATCH_EVERY};
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_slice all = {NULL, 0};
    struct ramet_watch *watch;
    assert_int_equal(ramet_snapshot_create(store, "main", &keep, NULL), 0);
    put_keys(store, "main", 0, 10);
    uint64_t id, number;
    assert_int_equal(ramet_snapshot_create(store, "main", &keep, &id), 0);
    struct rmt_state now;
    rmt_state_published(store, &now);
    struct rmt_tree catalog = {.root = now.catalog};
    struct rmt_key key = rmt_key1('i', id);
    assert_int_equal(rmt_catalog_number(&store->pages, &catalog, &key, &number), 0);
    struct rmt_disk_version *newest = find_record(store, 'v', sizeof(*newest));
    assert_int_equal(rmt_get64(newest->id), id);
    newest->skip = newest->prev = rmt_put64(number);
    assert_int_equal(ramet_watch_open(store, NULL, NULL, all, "", &options, &watch), 0);
    assert_int_equal(ramet_watch_next(watch, &batch), RAMET_ECORRUPT);
    assert_non_null(strstr(ramet_errmsg(), "cannot come after"));
    ramet_watch_close(watch);
    ramet_close(store);
    rmt_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_up_to_an_end_whatever_versions_say),
        cmocka_unit_test(goes_up_to_an_end_whatever_edges_say),
        cmocka_unit_test(sees_what_is_wrong_with_lines),
        cmocka_unit_test(sees_a_jump_to_what_is_no_ancestor),
        cmocka_unit_test(refuses_a_head_of_fewer_pages_than_it_loses),
        cmocka_unit_test(refuses_to_drop_a_head_that_others_stand_on),
        cmocka_unit_test(sees_a_snapshot_whose_record_cannot_be_read),
        cmocka_unit_test(sees_a_cursor_that_cannot_be),
        cmocka_unit_test(sees_a_version_that_stands_on_itself),
        cmocka_unit_test(reclaiming_what_no_sweep_has_ends),
        cmocka_unit_test(refuses_a_sweep_whose_root_cannot_be),
        cmocka_unit_test(refuses_slots_whose_roots_cannot_be),
        cmocka_unit_test(sees_nothing_in_a_good_store),
        cmocka_unit_test(sees_leaves_that_changed_places),
        cmocka_unit_test(sees_inherited_leaves_that_changed_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
