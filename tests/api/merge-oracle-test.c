/* SPDX-License-Identifier: MIT */
/*
 * merge-oracle-test.c - the oracle of merges against cases that are plain, and against the engine's
 * policies on all small maps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/merge-oracle.h"
#include "version/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int policies[] = {
    RAMET_MERGE_FAIL,  RAMET_MERGE_OURS,  RAMET_MERGE_THEIRS, RAMET_MERGE_COUNTER,
    RAMET_MERGE_MAX,   RAMET_MERGE_MIN,   RAMET_MERGE_SET,    RAMET_MERGE_COUNTER64,
    RAMET_MERGE_MAX64, RAMET_MERGE_MIN64,
};

static const struct ramet_slice decimals[] = {{"1", 1}, {"2", 1}};
static const struct ramet_slice le64s[] = {{"\1\0\0\0\0\0\0\0", 8}, {"\2\0\0\0\0\0\0\0", 8}};

static bool same(struct ramet_slice a, struct ramet_slice b)
{
    return !a.data == !b.data && rmt_slice_cmp(a, b) == 0;
}

static bool same_maps(const struct oracle_map *a, const struct oracle_map *b)
{
    for (size_t i = 0; a->count == b->count && i < a->count; i++) {
        if (!same(oracle_get(b, a->entries[i].key), a->entries[i].value))
            return false;
    }
    return a->count == b->count;
}

/* ---- cases that are plain -------------------------------------------------------------------- */

/* One map of decimal numbers: "a1 b2" is 1 at a and 2 at b. */
static struct oracle_map map_of(const char *text, struct oracle_entry entries[4])
{
    struct oracle_map map = {entries, 0};
    for (const char *p = text; *p; p += *p == ' ') {
        size_t size = strcspn(p, " ");
        entries[map.count++] = (struct oracle_entry){rmt_slice(p, 1), rmt_slice(p + 1, size - 1)};
        p += size;
    }
    return map;
}

static const struct {
    const char *base, *ours, *theirs;
    int policy;
    const char *merged, *conflicts; /* keys */
    unsigned changes;
} plain_cases[] = {
    {"a1 b1", "a1 b1", "a1 b1", RAMET_MERGE_FAIL, "a1 b1", "", 0},
    {"a1 b1", "a2 b1", "a1 b2", RAMET_MERGE_FAIL, "a2 b2", "", 1},
    {"a1", "", "a1 b1", RAMET_MERGE_FAIL, "b1", "", 1},
    {"a1 b1", "a1", "b1", RAMET_MERGE_FAIL, "", "", 1},
    {"a1", "a2", "a3", RAMET_MERGE_FAIL, "a2", "a", 0},
    {"a1", "", "a3 b1", RAMET_MERGE_FAIL, "b1", "a", 1},
    {"", "a1 b1 c1", "a2 b1 c3", RAMET_MERGE_FAIL, "a1 b1 c1", "ac", 0},
    {"a1", "a2", "a3", RAMET_MERGE_OURS, "a2", "", 0},
    {"a1", "a2", "a3", RAMET_MERGE_THEIRS, "a3", "", 1},
    {"a1", "a2", "", RAMET_MERGE_THEIRS, "", "", 1},
    {"a1 b5", "a2 b8", "a2 b1", RAMET_MERGE_COUNTER, "a3 b4", "", 2},
    {"", "a2", "a2", RAMET_MERGE_COUNTER, "a4", "", 1},
    {"a1", "a2", "", RAMET_MERGE_COUNTER, "a2", "a", 0},
    {"a9", "a2", "a3", RAMET_MERGE_MAX, "a3", "", 1},
    {"a9", "a2", "a3", RAMET_MERGE_MIN, "a2", "", 0},
    {"a1\n2\n", "a2\n", "a1\n2\n3\n", RAMET_MERGE_SET, "a2\n3\n", "", 1},
    {"a1", "a", "a2", RAMET_MERGE_SET, "a2", "", 1},
};

static void plain_cases_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(plain_cases); i++) {
        struct oracle_entry entries[4][4];
        struct oracle_map base = map_of(plain_cases[i].base, entries[0]);
        struct oracle_map ours = map_of(plain_cases[i].ours, entries[1]);
        struct oracle_map theirs = map_of(plain_cases[i].theirs, entries[2]);
        struct oracle_map wanted = map_of(plain_cases[i].merged, entries[3]);
        struct oracle_rule rule = {"", plain_cases[i].policy, NULL, NULL};
        struct oracle_result result;
        oracle_merge(&base, &ours, &theirs, &rule, 1, &result);
        struct oracle_map merged = oracle_merged(&result);
        if (!same_maps(&merged, &wanted))
            fail_msg("case %zu", i);
        assert_int_equal(result.changes, plain_cases[i].changes);
        assert_int_equal(result.conflicts.count, strlen(plain_cases[i].conflicts));
        for (size_t c = 0; c < result.conflicts.count; c++) {
            const struct ramet_conflict *both = &result.conflicts.items[c];
            assert_memory_equal(both->key.data, plain_cases[i].conflicts + c, 1);
            assert_true(same(both->base, oracle_get(&base, both->key)));
            assert_true(same(both->ours, oracle_get(&ours, both->key)));
            assert_true(same(both->theirs, oracle_get(&theirs, both->key)));
        }
        oracle_result_fini(&result);
    }
}

static int take_base(void *ctx, const struct ramet_conflict *both, struct ramet_slice *out)
{
    ++*(unsigned *)ctx;
    if (!both->base.data)
        return RAMET_MERGED_DELETE;
    *out = both->base;
    return RAMET_MERGED_VALUE;
}

static void the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    struct oracle_entry entries[4][4];
    struct oracle_map base = map_of("a1 c1", entries[0]), ours = map_of("a2 b2 c2 d2", entries[1]),
                      theirs = map_of("a3 b3 c3 d3", entries[2]);
    unsigned asked = 0;
    struct oracle_rule rules[] = {{"a", RAMET_MERGE_THEIRS, NULL, NULL},
                                  {"a", RAMET_MERGE_OURS, NULL, NULL},
                                  {"bb", RAMET_MERGE_OURS, NULL, NULL},
                                  {"c", RAMET_MERGE_FUNCTION, take_base, &asked},
                                  {"d", RAMET_MERGE_FUNCTION, take_base, &asked}};
    struct oracle_result result;
    oracle_merge(&base, &ours, &theirs, rules, COUNT(rules), &result);
    struct oracle_map merged = oracle_merged(&result), wanted = map_of("a3 b2 c1", entries[3]);
    assert_true(same_maps(&merged, &wanted));
    assert_int_equal(result.conflicts.count, 1); /* no rule fits b */
    assert_memory_equal(result.conflicts.items[0].key.data, "b", 1);
    assert_int_equal(asked, 2);
    assert_int_equal(result.changes, 3);
    oracle_result_fini(&result);
}

/* ---- all small maps -------------------------------------------------------------------------- */

static void every_small_map_comes_once(void **state)
{
    (void)state;
    static uint8_t seen[ORACLE_CASES];
    for (uint32_t n = 0; n < ORACLE_CASES; n++) {
        struct oracle_case c;
        oracle_case_init(&c, n, decimals);
        const struct oracle_map *maps[] = {&c.base, &c.ours, &c.theirs};
        uint32_t number = 0;
        for (int m = 0; m < 3; m++) {
            assert_true(maps[m]->count <= ORACLE_KEYS);
            for (int k = 0; k < 3; k++) {
                struct ramet_slice value = oracle_get(maps[m], rmt_slice(&"abc"[k], 1));
                number = number * 3 + (value.data ? *(const char *)value.data - '0' : 0);
            }
        }
        assert_int_equal(seen[number]++, 0);
    }
}

/* The engine's policy, key by key, gives what the oracle gives. */
static void expect_as_oracle(const struct oracle_case *c, const struct oracle_rule *rules,
                             struct rmt_policy_scratch *scratch)
{
    struct oracle_result result;
    oracle_merge(&c->base, &c->ours, &c->theirs, rules, ORACLE_KEYS, &result);
    struct oracle_map merged = oracle_merged(&result);
    size_t conflicts = 0, changes = 0;
    for (unsigned k = 0; k < ORACLE_KEYS; k++) {
        struct ramet_slice key = rmt_slice(rules[k].prefix, 1);
        struct ramet_conflict both = {sizeof(both),
                                      "m",
                                      key,
                                      oracle_get(&c->base, key),
                                      oracle_get(&c->ours, key),
                                      oracle_get(&c->theirs, key)};
        struct ramet_slice value = both.ours;
        int rc = rmt_policy_merge(rules[k].policy, &both, scratch, &value);
        if (rc == RAMET_MERGED_DELETE)
            value = rmt_slice(NULL, 0);
        if (rc == RAMET_MERGED_CONFLICT) {
            assert_true(conflicts < result.conflicts.count);
            assert_true(same(result.conflicts.items[conflicts++].key, key));
        }
        assert_true(same(oracle_get(&merged, key), value));
        changes += !same(value, both.ours);
    }
    assert_int_equal(conflicts, result.conflicts.count);
    assert_int_equal(changes, result.changes);
    oracle_result_fini(&result);
}

static void policies_are_as_the_oracle_says_on_all_small_maps(void **state)
{
    (void)state;
    rmt_auto(rmt_policy_scratch_fini) struct rmt_policy_scratch scratch = {0};
    static const char *const keys[ORACLE_KEYS] = {"a", "b", "c"};
    for (size_t p = 0; p < COUNT(policies); p++) {
        struct oracle_rule rules[ORACLE_KEYS];
        for (unsigned k = 0; k < ORACLE_KEYS; k++) /* another for each key */
            rules[k] =
                (struct oracle_rule){keys[k], policies[(p + k) % COUNT(policies)], NULL, NULL};
        for (uint32_t n = 0; n < ORACLE_CASES; n++) {
            struct oracle_case c;
            oracle_case_init(&c, n, p % 2 ? le64s : decimals);
            expect_as_oracle(&c, rules, &scratch);
        }
    }
}

/* ---- values of every form -------------------------------------------------------------------- */

static const struct ramet_slice values[] = {
    {NULL, 0},
    {"", 0},
    {"0", 1},
    {"1", 1},
    {"-3", 2},
    {"007", 3},
    {"-0", 2},
    {"-", 1},
    {"1 ", 2},
    {"1\0", 2},
    {"x", 1},
    {"\n", 1},
    {"1\n", 2},
    {"1\n2", 3},
    {"1\n2\n", 4},
    {"2\n1\n", 4},
    {"\n1\n2", 4},
    {"1\n1", 3},
    {"1\n2\n3", 5},
    {"2\n3\n", 4},
    {"\n\n", 2},
    {"\n3", 2},
    {"1\n10\n2", 6},
    {"9223372036854775807", 19},
    {"9223372036854775808", 19},
    {"-9223372036854775808", 20},
    {"-9223372036854775809", 20},
    {"\1\0\0\0\0\0\0\0", 8},
    {"\377\377\377\377\377\377\377\377", 8},
    {"\377\377\377\377\377\377\377\177", 8},
    {"\0\0\0\0\0\0\0\200", 8},
    {"\0\0\0\0\0\0\0", 7},
};

static void policies_are_as_the_oracle_says_on_values_of_every_form(void **state)
{
    (void)state;
    rmt_auto(rmt_policy_scratch_fini) struct rmt_policy_scratch scratch = {0};
    size_t n = COUNT(values);
    for (size_t i = 0; i < COUNT(policies) * n * n * n; i++) {
        struct oracle_rule rules[ORACLE_KEYS] = {
            {"a", policies[i / (n * n * n)], NULL, NULL},
            {"b", RAMET_MERGE_FAIL, NULL, NULL},
            {"c", RAMET_MERGE_FAIL, NULL, NULL},
        };
        struct oracle_case c;
        struct oracle_map *maps[] = {&c.base, &c.ours, &c.theirs};
        size_t which[] = {i % n, i / n % n, i / n / n % n};
        for (int m = 0; m < 3; m++) {
            c.entries[m][0] = (struct oracle_entry){{"a", 1}, values[which[m]]};
            *maps[m] = (struct oracle_map){c.entries[m], values[which[m]].data != NULL};
        }
        expect_as_oracle(&c, rules, &scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_cases_are_right),
        cmocka_unit_test(the_first_rule_that_fits_decides),
        cmocka_unit_test(every_small_map_comes_once),
        cmocka_unit_test(policies_are_as_the_oracle_says_on_all_small_maps),
        cmocka_unit_test(policies_are_as_the_oracle_says_on_values_of_every_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
