/* SPDX-License-Identifier: MIT */
/* merge-test.c - merges, picks and reverts: what is told of them, and where the base is not plain.
 */
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/store.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MUST(call)                                              \
    do {                                                        \
        int rc_ = (call);                                       \
        if (rc_ < 0)                                            \
            fail_msg("%s: %d: %s", #call, rc_, ramet_errmsg()); \
    } while (0)

/* ---- stores ---------------------------------------------------------------------------------- */

static struct ramet_store *open_store(void)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    struct ramet_store *store;
    MUST(ramet_open(NULL, &options, &store));
    return store;
}

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    fail_msg("check: %s", problem);
}

static void close_store(struct ramet_store *store)
{
    MUST(ramet_check(store, 0, report, NULL, NULL));
    ramet_close(store);
}

/* Puts a string under a key of map m (NULL: deletes it), and commits. */
static void write_one(struct ramet_store *store, const char *branch, const char *key,
                      const char *value)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    MUST(ramet_begin(store, branch, RAMET_WRITE, &txn));
    MUST(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    int rc = value ? ramet_put(map, rmt_slice(key, strlen(key)), rmt_slice(value, strlen(value)), 0)
                   : ramet_del(map, rmt_slice(key, strlen(key)));
    assert_true(rc == 0 || (rc == RAMET_ENOTFOUND && !value));
    MUST(ramet_commit(txn, NULL, NULL));
}

static void expect_one(struct ramet_store *store, const char *branch, const char *key,
                       const char *value)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_slice is = {NULL, 0};
    MUST(ramet_begin(store, branch, RAMET_READ, &txn));
    MUST(ramet_map_open(txn, "m", 0, &map));
    int rc = ramet_get(map, rmt_slice(key, strlen(key)), &is);
    if (rc != (value ? 0 : RAMET_ENOTFOUND) ||
        (value && (is.size != strlen(value) || memcmp(is.data, value, is.size) != 0)))
        fail_msg("%s has %s = '%.*s', not '%s'", branch, key, (int)is.size, (const char *)is.data,
                 value ? value : "");
    ramet_abort(txn);
}

static bool has_map(struct ramet_store *store, const char *ref, const char *name)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    MUST(ramet_begin(store, ref, RAMET_READ, &txn));
    int rc = ramet_map_open(txn, name, 0, &map);
    ramet_abort(txn);
    return rc == 0;
}

static struct ramet_merge_result merge_by(struct ramet_store *store, const char *into,
                                          const char *from, int policy)
{
    struct ramet_merge_options options = {.size = sizeof(options), .policy = policy};
    struct ramet_merge_result result = {.size = sizeof(result)};
    int rc = ramet_merge(store, into, from, &options, &result);
    if (rc < 0 && rc != RAMET_ECONFLICT)
        fail_msg("merging %s into %s: %d: %s", from, into, rc, ramet_errmsg());
    assert_int_equal(rc == RAMET_ECONFLICT, result.conflicts > 0);
    return result;
}

static void what_is_up_to_date_is_not_forwarded(void **state)
{
    (void)state;
    struct ramet_store *store = open_store();
    write_one(store, "main", "a", "1");
    MUST(ramet_branch_create(store, "b", "main"));
    struct ramet_merge_result result = merge_by(store, "b", "main", 0);
    assert_true(result.up_to_date);
    assert_false(result.fast_forward);
    expect_one(store, "b", "a", "1");
    close_store(store);
}

static void a_branch_may_be_named_with_a_tilde(void **state)
{
    static const char *const refs[] = {"b~1", "b~1~0", "b~1@s", "b~1@s~0"};
    (void)state;
    for (size_t i = 0; i < COUNT(refs); i++) {
        struct ramet_store *store = open_store();
        struct ramet_keep keep = {.size = sizeof(keep), .name = "s"};
        write_one(store, "main", "a", "1");
        MUST(ramet_branch_create(store, "b~1", "main"));
        write_one(store, "b~1", "b", "2");
        MUST(ramet_snapshot_create(store, "b~1", &keep, NULL));
        assert_true(merge_by(store, "main", refs[i], 0).fast_forward);
        expect_one(store, "main", "b", "2");
        write_one(store, "main", "a", "3");
        write_one(store, "b~1", "b", "4");
        assert_int_equal(merge_by(store, "main", i < 2 ? refs[i] : "b~1", 0).changes, 1);
        expect_one(store, "main", "b", "4");
        close_store(store);
    }
}

static void merges_into_branches_alone(void **state)
{
    (void)state;
    struct ramet_store *store = open_store();
    struct ramet_keep keep = {.size = sizeof(keep), .name = "s"};
    struct ramet_merge_options options = {.size = sizeof(options)};
    write_one(store, "main", "a", "1");
    MUST(ramet_snapshot_create(store, "main", &keep, NULL));
    write_one(store, "main", "a", "2");
    for (unsigned dry = 0; dry < 2; dry++) {
        options.flags = dry ? RAMET_MERGE_DRY_RUN : 0;
        assert_int_equal(ramet_merge(store, "main@s", "main", &options, NULL), -EINVAL);
        assert_int_equal(ramet_cherry_pick(store, "main@s", "main", &options, NULL), -EINVAL);
        assert_int_equal(ramet_revert(store, "main@s", "main", &options, NULL), -EINVAL);
        assert_int_equal(ramet_merge(store, "none", "main", &options, NULL), RAMET_ENOTFOUND);
        assert_int_equal(ramet_merge(store, "main", "none", &options, NULL), RAMET_ENOTFOUND);
    }
    close_store(store);
}

/* That no entry changes does not mean that nothing does. */
static void a_change_of_maps_alone_is_picked_and_reverted(void **state)
{
    (void)state;
    struct ramet_store *store = open_store();
    struct ramet_merge_result result = {.size = sizeof(result)};
    struct ramet_txn *txn;
    struct ramet_map *map;
    write_one(store, "main", "a", "1");
    MUST(ramet_branch_create(store, "b", "main"));
    MUST(ramet_begin(store, "b", RAMET_WRITE, &txn));
    MUST(ramet_map_open(txn, "empty", RAMET_CREATE, &map));
    MUST(ramet_commit(txn, NULL, NULL));
    MUST(ramet_cherry_pick(store, "main", "b", NULL, &result));
    assert_true(has_map(store, "main", "empty"));
    assert_false(result.up_to_date);
    MUST(ramet_cherry_pick(store, "main", "b", NULL, &result));
    assert_true(result.up_to_date);
    MUST(ramet_revert(store, "main", "main", NULL, &result));
    assert_false(has_map(store, "main", "empty"));
    assert_false(result.up_to_date);
    close_store(store);
}

/* ---- bases that are put together ------------------------------------------------------------- */

/*
 * Of key k the best common versions of x and y say "1" and "2": each was merged into the other
 * one's branch, and the key was decided anew.
 *
 *   root -- x: 1 -- merge of y's -- ours        policy THEIRS, and OURS: so both sides have "2"
 *      \-- y: 2 -- merge of x's -- theirs
 */
static struct ramet_store *cross(const char *first, const char *second, const char *ours,
                                 const char *theirs)
{
    struct ramet_store *store = open_store();
    struct ramet_keep keep = {.size = sizeof(keep), .name = "s"};
    write_one(store, "main", "k", "0");
    MUST(ramet_branch_create(store, "x", "main"));
    MUST(ramet_branch_create(store, "y", "main"));
    write_one(store, "x", "k", first);
    write_one(store, "y", "k", second);
    MUST(ramet_snapshot_create(store, "x", &keep, NULL));
    MUST(ramet_snapshot_create(store, "y", &keep, NULL));
    (void)merge_by(store, "x", "y@s", RAMET_MERGE_THEIRS);
    (void)merge_by(store, "y", "x@s", RAMET_MERGE_OURS);
    size_t count = 0;
    MUST(ramet_merge_base(store, "x", "y", NULL, &count));
    assert_int_equal(count, 2);
    write_one(store, "x", "k", ours);
    write_one(store, "y", "k", theirs);
    return store;
}

static void a_base_that_is_not_known_decides_nothing(void **state)
{
    static const struct {
        int policy;
        const char *ours, *theirs, *result; /* result "!": a conflict */
    } cases[] = {
        {RAMET_MERGE_FAIL, "5", "5", "5"},   {RAMET_MERGE_FAIL, "5", "6", "!"},
        {RAMET_MERGE_FAIL, "1", "2", "!"},   {RAMET_MERGE_FAIL, "5", NULL, "!"},
        {RAMET_MERGE_FAIL, NULL, "5", "!"},  {RAMET_MERGE_FAIL, NULL, NULL, NULL},
        {RAMET_MERGE_OURS, "5", "6", "5"},   {RAMET_MERGE_OURS, NULL, "6", NULL},
        {RAMET_MERGE_THEIRS, "5", "6", "6"}, {RAMET_MERGE_THEIRS, "5", NULL, NULL},
        {RAMET_MERGE_SET, "5", NULL, "!"},   {RAMET_MERGE_SET, NULL, "5", "!"},
        {RAMET_MERGE_SET, "5", "5", "5"},    {RAMET_MERGE_SET, NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ramet_store *store = cross("1", "2", cases[i].ours, cases[i].theirs);
        struct ramet_merge_result result = merge_by(store, "x", "y", cases[i].policy);
        bool conflict = cases[i].result && *cases[i].result == '!';
        if (result.conflicts != conflict)
            fail_msg("case %zu: %" PRIu64 " conflicts", i, result.conflicts);
        expect_one(store, "x", "k", conflict ? cases[i].ours : cases[i].result);
        close_store(store);
    }
}

/* One side of the base has the counter, and the other deleted it. */
static void what_to_count_from_must_be_known(void **state)
{
    static const struct {
        int policy;
        const char *ours, *theirs, *result;
    } cases[] = {
        {RAMET_MERGE_COUNTER, "5", "6", "!"},  {RAMET_MERGE_COUNTER, "5", "5", "!"},
        {RAMET_MERGE_COUNTER, "5", NULL, "!"}, {RAMET_MERGE_COUNTER, NULL, "5", "!"},
        {RAMET_MERGE_MAX, "5", "6", "6"},      {RAMET_MERGE_MAX, NULL, "6", "!"},
        {RAMET_MERGE_MIN, "5", "6", "5"},      {RAMET_MERGE_MIN, "5", NULL, "!"},
        {RAMET_MERGE_SET, "5", "6", "!"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ramet_store *store = cross("1", NULL, cases[i].ours, cases[i].theirs);
        struct ramet_merge_result result = merge_by(store, "x", "y", cases[i].policy);
        bool conflict = cases[i].result && *cases[i].result == '!';
        if (result.conflicts != conflict)
            fail_msg("case %zu: %" PRIu64 " conflicts", i, result.conflicts);
        expect_one(store, "x", "k", conflict ? cases[i].ours : cases[i].result);
        close_store(store);
    }
}

/* Both counted: what was counted on both sides of the base is in it once. */
static void counters_are_put_together_in_the_base(void **state)
{
    (void)state;
    struct ramet_store *store = open_store();
    struct ramet_keep keep = {.size = sizeof(keep), .name = "s"};
    write_one(store, "main", "k", "10");
    MUST(ramet_branch_create(store, "x", "main"));
    MUST(ramet_branch_create(store, "y", "main"));
    write_one(store, "x", "k", "11");
    write_one(store, "y", "k", "12");
    MUST(ramet_snapshot_create(store, "x", &keep, NULL));
    MUST(ramet_snapshot_create(store, "y", &keep, NULL));
    (void)merge_by(store, "x", "y@s", RAMET_MERGE_COUNTER);
    (void)merge_by(store, "y", "x@s", RAMET_MERGE_COUNTER);
    expect_one(store, "x", "k", "13");
    expect_one(store, "y", "k", "13");
    write_one(store, "x", "k", "23");
    write_one(store, "y", "k", "113");
    (void)merge_by(store, "x", "y", RAMET_MERGE_COUNTER);
    expect_one(store, "x", "k", "123");
    close_store(store);
}

/* ---- histories ------------------------------------------------------------------------------- */

/* A branch by way of which changes came goes, with what it keeps: they are not counted twice. */
static void changes_that_came_by_a_branch_that_went_are_known(void **state)
{
    (void)state;
    struct ramet_store *store = open_store();
    write_one(store, "main", "k", "10");
    MUST(ramet_branch_create(store, "feature", "main"));
    MUST(ramet_branch_create(store, "collect", "main"));
    write_one(store, "feature", "k", "11");
    write_one(store, "collect", "k", "20");
    (void)merge_by(store, "collect", "feature", RAMET_MERGE_COUNTER);
    write_one(store, "main", "k", "100");
    (void)merge_by(store, "main", "collect", RAMET_MERGE_COUNTER);
    expect_one(store, "main", "k", "111");
    MUST(ramet_branch_delete(store, "collect"));
    assert_true(merge_by(store, "main", "feature", RAMET_MERGE_COUNTER).up_to_date);
    expect_one(store, "main", "k", "111");
    close_store(store);
}

static int tell_parents(void *ctx, const struct ramet_snapshot_info *info)
{
    uint64_t *parents = ctx;
    if (!parents[2]) {
        parents[0] = info->parents[0];
        parents[1] = info->parents[1];
        parents[2] = info->id;
    }
    return 0;
}

/* A head that starts at a merge has not merged anything itself. */
static void a_merge_is_the_parent_of_its_child_alone(void **state)
{
    (void)state;
    struct ramet_store *store = open_store();
    uint64_t parents[3] = {0};
    write_one(store, "main", "a", "1");
    MUST(ramet_branch_create(store, "dev", "main"));
    write_one(store, "dev", "b", "1");
    write_one(store, "main", "c", "1");
    struct ramet_merge_result result = merge_by(store, "main", "dev", 0);
    MUST(ramet_branch_create(store, "b", "main"));
    write_one(store, "b", "d", "1");
    MUST(ramet_tag(store, "b", "t", "b"));
    MUST(ramet_history(store, "b", 0, tell_parents, parents));
    assert_int_equal(parents[0], result.id);
    assert_int_equal(parents[1], 0);
    MUST(ramet_branch_reset(store, "dev", "b~1"));
    write_one(store, "dev", "e", "1");
    MUST(ramet_tag(store, "dev", "t", NULL));
    parents[2] = 0;
    MUST(ramet_history(store, "dev", 0, tell_parents, parents));
    assert_int_equal(parents[0], result.id);
    assert_int_equal(parents[1], 0);
    close_store(store);
}

/* Of a head that has moved, and of one that has not. */
static void nothing_below_a_branch_is_the_branch(void **state)
{
    (void)state;
    for (unsigned moved = 0; moved < 2; moved++) {
        struct ramet_store *store = open_store();
        write_one(store, "main", "a", "1");
        if (!moved)
            MUST(ramet_tag(store, "main", "s", NULL));
        MUST(ramet_tag(store, "main", "t", "main~0"));
        MUST(ramet_check(store, 0, report, NULL, NULL));
        MUST(ramet_branch_create(store, "b", "main~0"));
        MUST(ramet_check(store, 0, report, NULL, NULL));
        write_one(store, "b~0", "a", "2");
        expect_one(store, "b", "a", "2");
        expect_one(store, "b~0", "a", "2");
        assert_true(merge_by(store, "main~0", "b~0", 0).fast_forward);
        expect_one(store, "main", "a", "2");
        write_one(store, "main", "b", "1");
        write_one(store, "b", "c", "1");
        assert_int_equal(merge_by(store, "main~0", "b~0", 0).changes, 1);
        expect_one(store, "main", "c", "1");
        assert_int_equal(ramet_branch_reset(store, "main", "b~0"), -EINVAL);
        close_store(store);
    }
}

static void snapshots_are_deleted_by_name_or_id(void **state)
{
    (void)state;
    struct ramet_store *store = open_store();
    char ref[40];
    write_one(store, "main", "a", "1");
    MUST(ramet_tag(store, "main", "s", NULL));
    write_one(store, "main", "a", "2");
    uint64_t id;
    MUST(ramet_snapshot_create(store, "main", NULL, &id));
    (void)snprintf(ref, sizeof(ref), "@%" PRIu64 "~1", id);
    assert_int_equal(ramet_snapshot_delete(store, "main~1"), -EINVAL);
    assert_int_equal(ramet_snapshot_delete(store, ref), -EINVAL);
    assert_int_equal(ramet_snapshot_delete(store, "main~0"), -EINVAL);
    expect_one(store, "main@s", "a", "1");
    MUST(ramet_snapshot_delete(store, "main@s"));
    close_store(store);
}

/* ---- meanwhile ------------------------------------------------------------------------------- */

struct churning {
    struct ramet_store *store;
    _Atomic bool done;
};

/* Moves a branch, keeps its head, and prunes all but the newest that is kept. */
static void *churn(void *ctx)
{
    struct churning *churning = ctx;
    struct ramet_prune_options options = {.size = sizeof(options), .keep_last = 1};
    char key[16];
    for (unsigned i = 0; i < 15000; i++) {
        (void)snprintf(key, sizeof(key), "k%u", i % 50);
        write_one(churning->store, "dev", key, i % 3 ? "1" : "2");
        MUST(ramet_snapshot_create(churning->store, "dev", NULL, NULL));
        MUST(ramet_prune(churning->store, "dev", &options, NULL));
    }
    churning->done = true;
    return NULL;
}

/* A version that goes while it is looked at is no damage; what was found at one moment is read. */
static void a_source_may_move_and_be_pruned_meanwhile(void **state)
{
    (void)state;
    struct ramet_store *store = open_store();
    struct churning churning = {.store = store};
    struct ramet_merge_options options = {.size = sizeof(options), .policy = RAMET_MERGE_THEIRS};
    pthread_t thread;
    write_one(store, "main", "a", "1");
    MUST(ramet_branch_create(store, "dev", "main"));
    assert_int_equal(pthread_create(&thread, NULL, churn, &churning), 0);
    for (unsigned i = 0; !churning.done; i++) {
        options.flags = i % 64 ? RAMET_MERGE_DRY_RUN : 0;
        int rc = i % 4 == 1   ? ramet_cherry_pick(store, "main", "dev", &options, NULL)
                 : i % 4 == 2 ? ramet_revert(store, "main", "dev", &options, NULL)
                              : ramet_merge(store, "main", "dev", &options, NULL);
        /* The snapshot that a head stood on may be pruned when there is a newer one. */
        if (rc == RAMET_ENOTFOUND && i % 64 == 0)
            assert_non_null(strstr(ramet_errmsg(), "deleted meanwhile"));
        else if (rc < 0)
            fail_msg("%u: %d: %s", i % 4, rc, ramet_errmsg());
    }
    (void)pthread_join(thread, NULL);
    close_store(store);
}

static void *drop_source(void *ctx)
{
    struct ramet_store *store = ctx;
    MUST(ramet_branch_create(store, "other", "dev"));
    MUST(ramet_tag(store, "other", "t", "dev"));
    MUST(ramet_branch_delete(store, "dev"));
    return NULL;
}

/* As another user would: the first time that it is told of a change. */
static int drop_source_meanwhile(void *ctx, const struct ramet_change *change)
{
    struct ramet_store **store = ctx;
    pthread_t thread;
    (void)change;
    if (!*store)
        return 0;
    assert_int_equal(pthread_create(&thread, NULL, drop_source, *store), 0);
    (void)pthread_join(thread, NULL);
    *store = NULL;
    return 0;
}

/* The version that is merged is still there, for another branch keeps it. */
static void a_source_may_be_dropped_meanwhile(void **state)
{
    (void)state;
    for (unsigned forward = 0; forward < 2; forward++) {
        struct ramet_store *store = open_store(), *meanwhile = store;
        struct ramet_merge_options options = {
            .size = sizeof(options), .change = drop_source_meanwhile, .change_ctx = &meanwhile};
        struct ramet_merge_result result = {.size = sizeof(result)};
        write_one(store, "main", "a", "1");
        MUST(ramet_branch_create(store, "dev", "main"));
        write_one(store, "dev", "b", "1");
        MUST(ramet_tag(store, "dev", "t", NULL));
        write_one(store, "dev", "b", "2");
        if (!forward)
            write_one(store, "main", "c", "1");
        MUST(ramet_merge(store, "main", "dev", &options, &result));
        assert_int_equal(result.fast_forward, forward);
        expect_one(store, "main", "b", "2");
        assert_true(merge_by(store, "main", "other", 0).up_to_date);
        close_store(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_may_be_dropped_meanwhile),
        cmocka_unit_test(a_merge_is_the_parent_of_its_child_alone),
        cmocka_unit_test(nothing_below_a_branch_is_the_branch),
        cmocka_unit_test(snapshots_are_deleted_by_name_or_id),
        cmocka_unit_test(a_source_may_move_and_be_pruned_meanwhile),
        cmocka_unit_test(what_is_up_to_date_is_not_forwarded),
        cmocka_unit_test(a_branch_may_be_named_with_a_tilde),
        cmocka_unit_test(merges_into_branches_alone),
        cmocka_unit_test(a_change_of_maps_alone_is_picked_and_reverted),
        cmocka_unit_test(a_base_that_is_not_known_decides_nothing),
        cmocka_unit_test(what_to_count_from_must_be_known),
        cmocka_unit_test(counters_are_put_together_in_the_base),
        cmocka_unit_test(changes_that_came_by_a_branch_that_went_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
