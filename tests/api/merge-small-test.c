/* SPDX-License-Identifier: MIT */
/*
 * merge-small-test.c - ramet_merge() of all small maps, with every policy, against the oracle; and
 * of maps that are there, or not.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/merge-oracle.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MUST(call)                                              \
    do {                                                        \
        int rc_ = (call);                                       \
        if (rc_ < 0)                                            \
            fail_msg("%s: %d: %s", #call, rc_, ramet_errmsg()); \
    } while (0)

static const struct ramet_slice decimals[] = {{"1", 1}, {"2", 1}};
static const struct ramet_slice le64s[] = {{"\1\0\0\0\0\0\0\0", 8}, {"\2\0\0\0\0\0\0\0", 8}};

static const struct {
    int policy;
    const struct ramet_slice *values;
} policies[] = {
    {RAMET_MERGE_FAIL, decimals},     {RAMET_MERGE_OURS, decimals},
    {RAMET_MERGE_THEIRS, decimals},   {RAMET_MERGE_COUNTER, decimals},
    {RAMET_MERGE_MAX, decimals},      {RAMET_MERGE_MIN, decimals},
    {RAMET_MERGE_SET, decimals},      {RAMET_MERGE_COUNTER64, le64s},
    {RAMET_MERGE_MAX64, le64s},       {RAMET_MERGE_MIN64, le64s},
    {RAMET_MERGE_FUNCTION, decimals},
};

static const char *const keys[ORACLE_KEYS] = {"a", "b", "c"};

static bool same(struct ramet_slice a, struct ramet_slice b)
{
    return !a.data == !b.data && rmt_slice_cmp(a, b) == 0;
}

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

/* Commits on a branch that map m has these entries; map NULL: that it is not there. mark: something
 * else that this version alone has; NULL: none. */
static void commit(struct ramet_store *store, const char *branch, const struct oracle_map *is,
                   const char *mark)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    MUST(ramet_begin(store, branch, RAMET_WRITE, &txn));
    if (is) {
        MUST(ramet_map_open(txn, "m", RAMET_CREATE, &map));
        for (size_t k = 0; k < ORACLE_KEYS; k++) {
            struct ramet_slice key = rmt_slice(keys[k], 1), value = oracle_get(is, key);
            int rc = value.data ? ramet_put(map, key, value, 0) : ramet_del(map, key);
            assert_true(rc == 0 || (rc == RAMET_ENOTFOUND && !value.data));
        }
    } else if (ramet_map_open(txn, "m", 0, &map) == 0) {
        MUST(ramet_map_drop(txn, "m"));
    }
    if (mark) {
        MUST(ramet_map_open(txn, "marks", RAMET_CREATE, &map));
        MUST(ramet_put(map, rmt_slice(mark, strlen(mark)), rmt_slice("x", 1), 0));
    }
    MUST(ramet_commit(txn, NULL, NULL));
}

static void expect_contents(struct ramet_store *store, const char *branch,
                            const struct oracle_map *want, const char *what)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    uint64_t count = 0;
    MUST(ramet_begin(store, branch, RAMET_READ, &txn));
    int rc = ramet_map_open(txn, "m", 0, &map);
    if (rc != (want ? 0 : RAMET_ENOTFOUND))
        fail_msg("%s: %s has %s map", what, branch, rc == 0 ? "a" : "no");
    if (rc == 0)
        MUST(ramet_map_count(map, &count));
    assert_int_equal(count, want ? want->count : 0);
    for (size_t i = 0; i < count; i++) {
        struct ramet_slice value = {NULL, 0};
        MUST(ramet_get(map, want->entries[i].key, &value));
        if (!same(value, want->entries[i].value))
            fail_msg("%s: %s has %s = '%.*s'", what, branch,
                     (const char *)want->entries[i].key.data, (int)value.size,
                     (const char *)value.data);
    }
    ramet_abort(txn);
}

/* ---- one merge ------------------------------------------------------------------------------- */

struct one {
    const struct oracle_map *base, *ours, *theirs; /* NULL: there is no map */
    struct ramet_merge_rule rules[ORACLE_KEYS];    /* of key a, b, c */
    struct oracle_result want;
    struct oracle_map merged;
    bool map;                        /* it is there then */
    bool marked;                     /* both sides have changed something else, too */
    size_t nr_conflicts, nr_changes; /* that were told */
};

/* Sometimes a value, of a side or none; or deletes; or does not know. */
static int draw(void *ctx, const struct ramet_conflict *both, struct ramet_slice *out)
{
    size_t n = (size_t)(both->base.data != NULL) + 3 * both->ours.size;
    (void)ctx;
    assert_false(same(both->base, both->ours) || same(both->base, both->theirs));
    if (both->theirs.data)
        n += ((const uint8_t *)both->theirs.data)[0];
    switch (n % 4) {
    case 0: return RAMET_MERGED_DELETE;
    case 1: return RAMET_MERGED_CONFLICT;
    case 2: *out = both->base.data ? both->base : rmt_slice("", 0); return RAMET_MERGED_VALUE;
    default: *out = rmt_slice("drawn", 5); return RAMET_MERGED_VALUE;
    }
}

static void define(struct one *one)
{
    static const struct oracle_map none = {NULL, 0};
    struct oracle_rule rules[ORACLE_KEYS];
    for (size_t k = 0; k < ORACLE_KEYS; k++)
        rules[k] = (struct oracle_rule){keys[k], one->rules[k].policy, draw, NULL};
    const struct oracle_map *ours = one->ours ? one->ours : &none;
    oracle_merge(one->base ? one->base : &none, ours, one->theirs ? one->theirs : &none, rules,
                 ORACLE_KEYS, &one->want);
    one->merged = oracle_merged(&one->want);
    one->map = one->ours || one->merged.count || (one->theirs && !one->base);
    if (one->base && !one->theirs && !one->merged.count)
        one->map = false; /* dropped, and nothing is in it any more */
}

static int told_conflict(void *ctx, const struct ramet_conflict *both)
{
    struct one *one = ctx;
    const struct ramet_conflict *want = &one->want.conflicts.items[one->nr_conflicts];
    assert_true(one->nr_conflicts < one->want.conflicts.count);
    assert_string_equal(both->map, "m");
    assert_true(same(both->key, want->key));
    assert_true(same(both->base, want->base));
    assert_true(same(both->ours, want->ours));
    assert_true(same(both->theirs, want->theirs));
    one->nr_conflicts++;
    return 0;
}

static int told_change(void *ctx, const struct ramet_change *change)
{
    struct one *one = ctx;
    one->nr_changes++;
    if (strcmp(change->map, "m") != 0)
        return 0;
    struct ramet_slice before = one->ours ? oracle_get(one->ours, change->key) : rmt_slice(NULL, 0);
    assert_true(same(change->old_value, before));
    assert_true(same(change->new_value, oracle_get(&one->merged, change->key)));
    assert_false(same(change->old_value, change->new_value));
    assert_int_equal(change->kind, !before.data              ? RAMET_ADDED
                                   : !change->new_value.data ? RAMET_REMOVED
                                                             : RAMET_CHANGED);
    return 0;
}

/* The conflicts that were noted are all there, keep the branch from being kept, and go one by one.
 */
static void resolve_all(struct ramet_store *store, struct one *one)
{
    static unsigned turn;
    struct ramet_txn *txn;
    struct ramet_keep keep = {.size = sizeof(keep), .name = "resolved"};
    one->nr_conflicts = 0;
    MUST(ramet_begin(store, "ours", RAMET_WRITE, &txn));
    MUST(ramet_conflict_list(txn, told_conflict, one));
    assert_int_equal(one->nr_conflicts, one->want.conflicts.count);
    assert_int_equal(ramet_snapshot_create(store, "ours", &keep, NULL), RAMET_ECONFLICT);
    assert_int_equal(ramet_tag(store, "ours", "tag", "ours"), RAMET_ECONFLICT);
    assert_int_equal(ramet_merge(store, "theirs", "ours", NULL, NULL), RAMET_ECONFLICT);
    assert_int_equal(ramet_merge(store, "theirs", "ours~1", NULL, NULL), 0);
    for (size_t i = 0; i < one->want.conflicts.count; i++) {
        const struct ramet_conflict *both = &one->want.conflicts.items[i];
        int choice = (int)(turn++ % 4);
        struct ramet_slice value = choice == RAMET_RESOLVE_BASE     ? both->base
                                   : choice == RAMET_RESOLVE_THEIRS ? both->theirs
                                                                    : both->ours;
        struct ramet_slice is = {NULL, 0};
        struct ramet_map *map;
        MUST(ramet_conflict_resolve(txn, "m", both->key, choice));
        assert_int_equal(ramet_conflict_resolve(txn, "m", both->key, choice), RAMET_ENOTFOUND);
        int rc = ramet_map_open(txn, "m", 0, &map);
        if (rc == 0)
            rc = ramet_get(map, both->key, &is);
        assert_true(rc == 0 || rc == RAMET_ENOTFOUND);
        assert_true(same(is, value));
    }
    MUST(ramet_conflict_list(txn, told_conflict, one));
    assert_int_equal(one->nr_conflicts, one->want.conflicts.count);
    MUST(ramet_commit(txn, &keep, NULL));
}

static int merge_as(struct ramet_store *store, struct one *one, unsigned flags, bool callbacks,
                    struct ramet_merge_result *out)
{
    struct ramet_merge_options options = {
        .size = sizeof(options),
        .flags = flags,
        .rules = one->rules,
        .nr_rules = ORACLE_KEYS,
    };
    if (callbacks) {
        options.conflict = told_conflict;
        options.change = told_change;
        options.conflict_ctx = options.change_ctx = one;
    }
    one->nr_conflicts = one->nr_changes = 0;
    int rc = ramet_merge(store, "ours", "theirs", &options, out);
    if (callbacks) {
        assert_int_equal(one->nr_conflicts, out->conflicts);
        assert_int_equal(one->nr_changes, out->changes);
    }
    return rc;
}

/* Merges it dry, then really, and once more. */
static void merge_one(struct ramet_store *store, struct one *one, unsigned flags, bool callbacks)
{
    MUST(ramet_branch_create(store, "ours", "main"));
    commit(store, "ours", one->base, NULL);
    MUST(ramet_snapshot_create(store, "ours", NULL, NULL));
    MUST(ramet_branch_create(store, "theirs", "ours"));
    commit(store, "theirs", one->theirs, one->marked ? "theirs" : NULL);
    commit(store, "ours", one->ours, one->marked ? "ours" : NULL);
    define(one);

    bool keeps = flags & RAMET_MERGE_KEEP_CONFLICTS;
    int want = one->want.conflicts.count && !keeps ? RAMET_ECONFLICT : 0;
    const struct oracle_map *merged = want == 0 ? &one->merged : one->ours;
    if (want == 0 && !one->map)
        merged = NULL;
    struct ramet_merge_result dry = {.size = sizeof(dry)}, real = {.size = sizeof(real)};
    assert_int_equal(merge_as(store, one, flags | RAMET_MERGE_DRY_RUN, callbacks, &dry), want);
    expect_contents(store, "ours", one->ours, "after a dry run");
    if (!dry.up_to_date) { /* if it is, nothing was looked at */
        assert_int_equal(dry.conflicts, one->want.conflicts.count);
        assert_int_equal(dry.changes, one->want.changes + one->marked);
    }
    assert_int_equal(merge_as(store, one, flags, callbacks, &real), want);
    expect_contents(store, "ours", merged, "merged");
    assert_int_equal(real.conflicts, dry.conflicts);
    assert_int_equal(real.base, dry.base);
    assert_int_equal(real.up_to_date, dry.up_to_date);
    assert_int_equal(real.fast_forward, dry.fast_forward);
    if (!real.fast_forward || callbacks)
        assert_int_equal(real.changes, dry.changes);
    if (want == 0) {
        if (real.conflicts)
            resolve_all(store, one);
        assert_int_equal(merge_as(store, one, flags, callbacks, &real), 0);
        assert_true(real.up_to_date);
    }
    MUST(ramet_branch_delete(store, "ours"));
    MUST(ramet_branch_delete(store, "theirs"));
    oracle_result_fini(&one->want);
}

static void set_rules(struct one *one, size_t first, size_t step)
{
    for (size_t k = 0; k < ORACLE_KEYS; k++)
        one->rules[k] = (struct ramet_merge_rule){
            .prefix = rmt_slice(keys[k], 1),
            .policy = policies[(first + k * step) % COUNT(policies)].policy,
            .fn = draw,
        };
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void all_small_maps(void **state)
{
    struct ramet_store *store = open_store();
    (void)state;
    for (uint32_t n = 0; n < ORACLE_CASES; n++) {
        struct oracle_case c;
        struct one one = {.base = &c.base, .ours = &c.ours, .theirs = &c.theirs};
        size_t p = n % COUNT(policies);
        unsigned flags = n / 3 % 2 ? RAMET_MERGE_KEEP_CONFLICTS : 0;
        one.marked = n % 5;
        if (!one.marked && n % 2)
            flags |= RAMET_MERGE_NO_FF;
        oracle_case_init(&c, n, policies[p].values);
        set_rules(&one, p, n / 7 % 2);
        merge_one(store, &one, flags, n % 2);
        if (n % 100 == 99) {
            close_store(store);
            store = open_store();
        }
    }
    close_store(store);
}

/* One key at a time, so that each policy meets all that there is. */
static void every_policy_and_value(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT(policies); p++) {
        struct ramet_store *store = open_store();
        for (uint32_t n = 0; n < 27; n++) {
            struct oracle_case c;
            struct one one = {.base = &c.base, .ours = &c.ours, .theirs = &c.theirs};
            oracle_case_init(&c, n % 3 + n / 3 % 3 * 27 + n / 9 * 27 * 27, policies[p].values);
            set_rules(&one, p, 0);
            for (unsigned how = 0; how < 8; how++) {
                one.marked = how & 4;
                merge_one(store, &one, how & 1 ? RAMET_MERGE_KEEP_CONFLICTS : RAMET_MERGE_NO_FF,
                          how & 2);
            }
        }
        close_store(store);
    }
}

/* None, empty, or with one key of either value: on all three sides. */
static void all_ways_to_have_a_map(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT(policies); p++) {
        struct ramet_store *store = open_store();
        for (unsigned n = 0; n < 64; n++) {
            struct oracle_entry entries[3];
            struct oracle_map maps[3];
            struct one one = {.marked = true};
            const struct oracle_map **of[] = {&one.base, &one.ours, &one.theirs};
            for (unsigned side = 0; side < 3; side++) {
                unsigned how = n >> 2 * side & 3;
                if (how > 1)
                    entries[side] =
                        (struct oracle_entry){rmt_slice("a", 1), policies[p].values[how - 2]};
                maps[side] = (struct oracle_map){&entries[side], how > 1};
                *of[side] = how ? &maps[side] : NULL;
            }
            set_rules(&one, p, 0);
            merge_one(store, &one, RAMET_MERGE_KEEP_CONFLICTS, true);
            one.marked = false;
            merge_one(store, &one, RAMET_MERGE_KEEP_CONFLICTS, true);
            merge_one(store, &one, RAMET_MERGE_NO_FF, false);
        }
        close_store(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_small_maps),
        cmocka_unit_test(every_policy_and_value),
        cmocka_unit_test(all_ways_to_have_a_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
