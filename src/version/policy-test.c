/* SPDX-License-Identifier: MIT */
/* policy-test.c - what each policy makes of three values. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/le.h"
#include "version/policy.h"
#include "version/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int all_policies[] = {
    RAMET_MERGE_FAIL,      RAMET_MERGE_OURS,  RAMET_MERGE_THEIRS, RAMET_MERGE_COUNTER,
    RAMET_MERGE_MAX,       RAMET_MERGE_MIN,   RAMET_MERGE_SET,    RAMET_MERGE_TEXT,
    RAMET_MERGE_COUNTER64, RAMET_MERGE_MAX64, RAMET_MERGE_MIN64,
};

/* ---- calling it ------------------------------------------------------------------------------ */

static struct rmt_policy_scratch scratch;

/* In memory that ends where it does, so that a sanitizer sees whoever reads on. */
static struct ramet_slice copy_of(struct ramet_slice value)
{
    char *bytes = value.data ? malloc(value.size ? value.size : 1) : NULL;
    if (value.size && bytes)
        memcpy(bytes, value.data, value.size);
    return rmt_slice(bytes, value.size);
}

static void free_copy(struct ramet_slice copy)
{
    free((void *)(uintptr_t)copy.data);
}

/* What it answers; of RAMET_MERGED_VALUE with the value, until the next call. */
static int merge(int policy, struct ramet_slice base, struct ramet_slice ours,
                 struct ramet_slice theirs, struct ramet_slice *out)
{
    static struct ramet_slice kept;
    struct ramet_conflict both = {sizeof(both),  "m",           rmt_slice("key", 3),
                                  copy_of(base), copy_of(ours), copy_of(theirs)};
    static const char untouched;
    struct ramet_slice value = {&untouched, 1};
    int rc = rmt_policy_merge(policy, &both, &scratch, &value);
    if (rc == RAMET_MERGED_VALUE) {
        assert_non_null(value.data);
        assert_ptr_not_equal(value.data, &untouched);
    } else {
        assert_ptr_equal(value.data, &untouched);
        value.data = NULL;
    }
    free_copy(kept);
    *out = kept = copy_of(value);
    free_copy(both.base);
    free_copy(both.ours);
    free_copy(both.theirs);
    return rc;
}

static void expect(int policy, struct ramet_slice base, struct ramet_slice ours,
                   struct ramet_slice theirs, int wanted, struct ramet_slice value)
{
    struct ramet_slice got;
    int rc = merge(policy, base, ours, theirs, &got);
    if (rc == wanted &&
        (rc != RAMET_MERGED_VALUE || (got.size == value.size && !rmt_slice_cmp(got, value))))
        return;
    fail_msg("policy %d of '%.*s', '%.*s', '%.*s': %d '%.*s', not %d '%.*s'", policy,
             (int)base.size, (const char *)base.data, (int)ours.size, (const char *)ours.data,
             (int)theirs.size, (const char *)theirs.data, rc, (int)got.size, (const char *)got.data,
             wanted, (int)value.size, (const char *)value.data);
}

/* And the same with the sides in each other's place (P4). */
static void expect_both_ways(int policy, struct ramet_slice base, struct ramet_slice ours,
                             struct ramet_slice theirs, int wanted, struct ramet_slice value)
{
    expect(policy, base, ours, theirs, wanted, value);
    int other = policy == RAMET_MERGE_OURS     ? RAMET_MERGE_THEIRS
                : policy == RAMET_MERGE_THEIRS ? RAMET_MERGE_OURS
                                               : policy;
    expect(other, base, theirs, ours, wanted, value);
}

/* A case of a table. Strings; NULL: absent. */
static const char conflict[] = "conflict", deleted[] = "deleted";
struct merge_case {
    const char *base, *ours, *theirs;
    const char *result; /* conflict and deleted: these themselves, not what they read */
};

static struct ramet_slice slice_of(const char *string)
{
    return rmt_slice(string, string ? strlen(string) : 0);
}

static void expect_case(int policy, const struct merge_case *c)
{
    int wanted = c->result == conflict  ? RAMET_MERGED_CONFLICT
                 : c->result == deleted ? RAMET_MERGED_DELETE
                                        : RAMET_MERGED_VALUE;
    expect_both_ways(policy, slice_of(c->base), slice_of(c->ours), slice_of(c->theirs), wanted,
                     slice_of(c->result));
}

static void expect_cases(int policy, const struct merge_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_case(policy, &cases[i]);
}

/* ---- what all have in common ----------------------------------------------------------------- */

/* Values of every form: absent, of no bytes, and one that is right for each policy. */
static const struct ramet_slice any_values[] = {
    {NULL, 0},   {"", 0},          {"7", 1},
    {"007", 3},  {"-5", 2},        {"a\nb\n", 4},
    {"b\na", 3}, {"12345678", 8},  {"\0\0\0\0\0\0\0", 8},
    {"\n", 1},   {"a\nb\nc\n", 6}, {"\xff\xfe", 2},
};

static void a_side_that_did_not_change_gives_way_P1(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT(all_policies); p++) {
        for (size_t b = 0; b < COUNT(any_values); b++) {
            for (size_t o = 0; o < COUNT(any_values); o++) {
                struct ramet_slice base = any_values[b], ours = any_values[o];
                expect_both_ways(all_policies[p], base, ours, base,
                                 ours.data ? RAMET_MERGED_VALUE : RAMET_MERGED_DELETE, ours);
            }
        }
    }
}

static void equal_sides_are_no_conflict_P2(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT(all_policies); p++) {
        int policy = all_policies[p];
        if (policy == RAMET_MERGE_COUNTER || policy == RAMET_MERGE_COUNTER64)
            continue;
        for (size_t b = 0; b < COUNT(any_values); b++) {
            for (size_t o = 0; o < COUNT(any_values); o++) {
                struct ramet_slice base = any_values[b], ours = any_values[o];
                expect(policy, base, ours, ours,
                       ours.data ? RAMET_MERGED_VALUE : RAMET_MERGED_DELETE, ours);
            }
        }
    }
}

static void a_deleted_key_against_a_change_is_a_conflict(void **state)
{
    (void)state;
    static const struct merge_case cases[] = {
        {"1\n", NULL, "2\n", conflict},    {"1", NULL, "2", conflict},
        {"1", NULL, "", conflict},         {"12345678", NULL, "12345679", conflict},
        {"a\nb\n", NULL, "a\n", conflict},
    };
    for (size_t p = 0; p < COUNT(all_policies); p++) {
        int policy = all_policies[p];
        if (policy != RAMET_MERGE_OURS && policy != RAMET_MERGE_THEIRS)
            expect_cases(policy, cases, COUNT(cases));
    }
}

static void what_is_of_another_form_is_a_conflict_P3(void **state)
{
    (void)state;
    static const int policies[] = {RAMET_MERGE_COUNTER,   RAMET_MERGE_MAX,   RAMET_MERGE_MIN,
                                   RAMET_MERGE_COUNTER64, RAMET_MERGE_MAX64, RAMET_MERGE_MIN64,
                                   RAMET_MERGE_SET,       RAMET_MERGE_FAIL};
    static const struct merge_case wrong = {"x", "z\ny\n", "12x", conflict};
    for (size_t p = 0; p < COUNT(policies); p++)
        expect_case(policies[p], &wrong);
}

/* ---- fail, ours, theirs ---------------------------------------------------------------------- */

static void fail_decides_what_is_clear_and_nothing_else(void **state)
{
    (void)state;
    static const struct merge_case cases[] = {
        {"a", "b", "c", conflict},   {"a", "b", "b", "b"},      {"a", "a", "c", "c"},
        {"a", "a", NULL, deleted},   {"a", NULL, "", conflict}, {"a", NULL, NULL, deleted},
        {NULL, "b", "c", conflict},  {NULL, "b", NULL, "b"},    {NULL, "", NULL, ""},
        {NULL, NULL, NULL, deleted}, {"", "", NULL, deleted},   {NULL, "", "b", conflict},
    };
    expect_cases(RAMET_MERGE_FAIL, cases, COUNT(cases));
}

static void ours_takes_ours_and_theirs_takes_theirs(void **state)
{
    (void)state;
    static const struct merge_case cases[] = {
        {"a", "b", "c", "b"},   {NULL, "b", "c", "b"}, {"a", NULL, "c", deleted},
        {"a", "b", NULL, "b"},  {"a", "", "c", ""},    {"a", "a", "c", "c"},
        {"a", "b\0", "b", "b"},
    };
    expect_cases(RAMET_MERGE_OURS, cases, COUNT(cases));
}

static void a_side_is_not_copied(void **state)
{
    (void)state;
    static const char ours[] = "ours";
    struct ramet_conflict both = {sizeof(both), "m",       {"k", 1},
                                  {"base", 4},  {ours, 4}, {"theirs", 6}};
    struct rmt_policy_scratch none = {0};
    struct ramet_slice out;
    assert_int_equal(rmt_policy_merge(RAMET_MERGE_OURS, &both, &none, &out), RAMET_MERGED_VALUE);
    assert_ptr_equal(out.data, ours);
    assert_null(none.bytes.items);
}

/* ---- integers -------------------------------------------------------------------------------- */

static const int64_t edges[] = {INT64_MIN, INT64_MIN + 1, INT64_MIN / 2, -1000,         -1,       0,
                                1,         999,           INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};

static struct ramet_slice decimal_of(int64_t n, char buf[24])
{
    return rmt_slice(buf, (size_t)snprintf(buf, 24, "%" PRId64, n));
}

static struct ramet_slice le64_of(int64_t n, char buf[24])
{
    rmt_le64 bytes = rmt_put64((uint64_t)n);
    memcpy(buf, &bytes, sizeof(bytes));
    return rmt_slice(buf, sizeof(bytes));
}

/* What policy makes of integers, in both notations. wanted is not looked at if fits is false. */
static void expect_integers(int policy, int policy64, int64_t base, int64_t ours, int64_t theirs,
                            bool fits, int64_t wanted)
{
    char buf[4][24];
    int answer = fits ? RAMET_MERGED_VALUE : RAMET_MERGED_CONFLICT;
    expect(policy, decimal_of(base, buf[0]), decimal_of(ours, buf[1]), decimal_of(theirs, buf[2]),
           answer, decimal_of(wanted, buf[3]));
    expect(policy64, le64_of(base, buf[0]), le64_of(ours, buf[1]), le64_of(theirs, buf[2]), answer,
           le64_of(wanted, buf[3]));
}

static void integers_are_right_to_their_edges(void **state)
{
    (void)state;
    for (size_t b = 0; b < COUNT(edges); b++) {
        for (size_t o = 0; o < COUNT(edges); o++) {
            for (size_t t = 0; t < COUNT(edges); t++) {
                int64_t base = edges[b], ours = edges[o], theirs = edges[t];
                __int128 sum = (__int128)base + ((__int128)ours - base) + ((__int128)theirs - base);
                bool fits = sum == (int64_t)sum;
                int64_t max = ours > theirs ? ours : theirs, min = ours < theirs ? ours : theirs;
                if (ours == base || theirs == base) /* P1 */
                    max = min = ours == base ? theirs : ours;
                expect_integers(RAMET_MERGE_COUNTER, RAMET_MERGE_COUNTER64, base, ours, theirs,
                                fits, (int64_t)sum);
                expect_integers(RAMET_MERGE_MAX, RAMET_MERGE_MAX64, base, ours, theirs, true, max);
                expect_integers(RAMET_MERGE_MIN, RAMET_MERGE_MIN64, base, ours, theirs, true, min);
            }
        }
    }
}

static void a_counter_adds_up_what_both_did(void **state)
{
    (void)state;
    static const struct merge_case cases[] = {
        {"10", "11", "15", "16"},
        {"10", "11", "11", "12"}, /* both added 1 */
        {"0", "-0", "5", "5"},
        {"10", "0", "-3", "-13"},
        {NULL, "3", "4", "7"},
        {NULL, "3", "3", "6"},
        {NULL, "-3", "3", "0"},
        {"007", "0008", "-0", "1"},
        {"10", "10", "007", "007"}, /* one side alone changed it: byte for byte */
        {NULL, "9223372036854775807", "1", conflict},
        {NULL, "9223372036854775807", "9223372036854775807", conflict},
        {NULL, "-9223372036854775808", "-1", conflict},
        {"1", "9223372036854775807", "1000", conflict},
        {"1000", "9223372036854775807", "1", "9223372036854774808"},
        {"9223372036854775807", "-9223372036854775808", "9223372036854775806", conflict},
        {"x", "3", "4", conflict},
        {"x", "3", "3", "3"}, /* no counter, and no disagreement */
        {"3", "x", "x", "x"},
        {"3", "x", "4", conflict},
        {"", "3", "4", conflict},
        {"1", NULL, "2", conflict},
        {"1", NULL, NULL, deleted},
    };
    expect_cases(RAMET_MERGE_COUNTER, cases, COUNT(cases));
}

static void max_and_min_look_at_the_sides_alone(void **state)
{
    (void)state;
    static const struct merge_case max[] = {
        {"10", "5", "7", "7"},      {NULL, "-5", "-7", "-5"}, {"x", "5", "7", "7"},
        {"", "5", "7", "7"},        {"1", "007", "7", "7"},   {"1", "-0", "0", "0"},
        {"1", "0002", "1", "0002"}, {"1", "5", "", conflict},
    };
    static const struct merge_case min[] = {
        {"1", "5", "7", "5"},   {NULL, "-5", "-7", "-7"},  {"x", "5", "7", "5"},
        {"1", "007", "7", "7"}, {"1", "5", "x", conflict},
    };
    expect_cases(RAMET_MERGE_MAX, max, COUNT(max));
    expect_cases(RAMET_MERGE_MIN, min, COUNT(min));
}

static void decimal_is_digits_with_or_without_a_minus(void **state)
{
    (void)state;
    static const struct ramet_slice wrong[] = {
        {"", 0},
        {"-", 1},
        {"+1", 2},
        {" 1", 2},
        {"1 ", 2},
        {"1\n", 2},
        {"0x1", 3},
        {"1.0", 3},
        {"1e3", 3},
        {"--1", 3},
        {"1-", 2},
        {"1\0", 2},
        {"\0", 1},
        {"/", 1},
        {":", 1},
        {"\xb2", 1},
        {"1,000", 5},
        {"-\xff", 2},
        {"9223372036854775808", 19},
        {"-9223372036854775809", 20},
        {"10000000000000000000", 20},
        {"99999999999999999999999999", 26},
        {"18446744073709551617", 20},
        {"-18446744073709551617", 21},
    };
    static const int policies[] = {RAMET_MERGE_COUNTER, RAMET_MERGE_MAX, RAMET_MERGE_MIN};
    struct ramet_slice one = {"1", 1}, two = {"2", 1};
    for (size_t p = 0; p < COUNT(policies); p++) {
        for (size_t i = 0; i < COUNT(wrong); i++)
            expect_both_ways(policies[p], one, wrong[i], two, RAMET_MERGED_CONFLICT, one);
    }

    /* Zeros in front do not count. */
    size_t size = (size_t)4 << 20;
    char *zeros = malloc(size);
    assert_non_null(zeros);
    memset(zeros, '0', size);
    zeros[size - 1] = '5';
    expect_both_ways(RAMET_MERGE_COUNTER, one, rmt_slice(zeros, size), two, RAMET_MERGED_VALUE,
                     rmt_slice("6", 1));
    memset(zeros, '9', size);
    expect_both_ways(RAMET_MERGE_COUNTER, one, rmt_slice(zeros, size), two, RAMET_MERGED_CONFLICT,
                     one);
    free(zeros);
}

static void le64_is_8_bytes(void **state)
{
    (void)state;
    static const int policies[] = {RAMET_MERGE_COUNTER64, RAMET_MERGE_MAX64, RAMET_MERGE_MIN64};
    static const char zeros[16];
    struct ramet_slice one = {"\1\0\0\0\0\0\0\0", 8}, two = {"\2\0\0\0\0\0\0\0", 8};
    for (size_t p = 0; p < COUNT(policies); p++) {
        for (size_t size = 0; size <= sizeof(zeros); size++) {
            if (size != 8)
                expect_both_ways(policies[p], one, rmt_slice(zeros, size), two,
                                 RAMET_MERGED_CONFLICT, one);
        }
    }
    expect(RAMET_MERGE_COUNTER64, one, two, two, RAMET_MERGED_VALUE,
           rmt_slice("\3\0\0\0\0\0\0\0", 8));
    expect(RAMET_MERGE_COUNTER64, rmt_slice(NULL, 0), two, two, RAMET_MERGED_VALUE,
           rmt_slice("\4\0\0\0\0\0\0\0", 8));
    expect(RAMET_MERGE_COUNTER64, rmt_slice("", 0), two, one, RAMET_MERGED_CONFLICT, one);
    expect(RAMET_MERGE_MAX64, rmt_slice("", 0), two, one, RAMET_MERGED_VALUE, two);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static const char *const set_lines[] = {"", "a", "ab"};
#define SUBSETS (1u << COUNT(set_lines))
#define SET_ABSENT UINT32_MAX

struct set {
    uint32_t mask; /* of set_lines; or SET_ABSENT */
    bool newline;  /* at the end */
};

/* False: there is no such text. */
static bool set_text(struct set set, char buf[16], struct ramet_slice *out)
{
    char *p = buf;
    *out = rmt_slice(set.mask == SET_ABSENT ? NULL : buf, 0);
    if (set.mask == SET_ABSENT || set.mask == 0)
        return !set.newline;
    for (uint32_t i = 0; i < COUNT(set_lines); i++) {
        if (set.mask >> i & 1)
            p += sprintf(p, "%s\n", set_lines[i]);
    }
    out->size = (size_t)(p - buf) - !set.newline;
    return out->size > 0;
}

static void expect_set(struct set base, struct set ours, struct set theirs)
{
    char buf[4][16];
    struct ramet_slice b, o, t, wanted;
    if (!set_text(base, buf[0], &b) || !set_text(ours, buf[1], &o) || !set_text(theirs, buf[2], &t))
        return;
    uint32_t from = base.mask == SET_ABSENT ? 0 : base.mask;
    struct set result = {from & ours.mask & theirs.mask, ours.newline || theirs.newline};
    result.mask |= (ours.mask & ~from) | (theirs.mask & ~from);
    if (!set_text(result, buf[3], &wanted)) { /* the newline has nothing to end, or must be */
        result.newline = !result.newline;
        assert_true(set_text(result, buf[3], &wanted));
    }
    if (b.data && b.size == t.size && !rmt_slice_cmp(b, t)) /* P1 */
        wanted = o;
    else if (b.data && b.size == o.size && !rmt_slice_cmp(b, o))
        wanted = t;
    expect(RAMET_MERGE_SET, b, o, t, RAMET_MERGED_VALUE, wanted);
}

static void sets_are_merged_as_they_are_defined(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < (SUBSETS + 1) * SUBSETS * SUBSETS * 8; n++) {
        uint32_t rest = n / 8, base = rest / (SUBSETS * SUBSETS);
        expect_set((struct set){base == SUBSETS ? SET_ABSENT : base, n & 1},
                   (struct set){rest % SUBSETS, n >> 1 & 1},
                   (struct set){rest / SUBSETS % SUBSETS, n >> 2 & 1});
    }
}

static void sets_by_example(void **state)
{
    (void)state;
    static const struct merge_case cases[] = {
        {"a\nb\nc\n", "b\nc\n", "a\nb\nc\nd\n", "b\nc\nd\n"},
        {"a\nb\n", "a\nb\nc\n", "a\nb\nc\n", "a\nb\nc\n"},
        {"a\nb", "a\nb\nc", "b", "b\nc"},
        {"a\nb", "a\nb\nc\n", "b", "b\nc\n"},
        {"a\n", "", "b\n", "b\n"},
        {"a\nb\n", "a\n", "b\n", ""}, /* there, and empty */
        {"a\nb\n", "", "b\n", ""},
        {NULL, "a\n", "b\n", "a\nb\n"},
        {NULL, "", "b\n", "b\n"},
        {"\na\nb", "\na", "\nb", "\n"}, /* the empty line alone */
        {"a", "a\r", "a\rb", "a\r\na\rb"},
        {"x", "a\xff", "a\x80\na\xff", "a\x80\na\xff"},
        {"a\n", NULL, "a\nb\n", conflict},
        {"a\n", NULL, "", conflict},
    };
    expect_cases(RAMET_MERGE_SET, cases, COUNT(cases));
}

static void sets_out_of_order_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"b\na\n",  "a\na\n", "a\na",    "a\n\n", "\n\n",
                                        "a\nc\nb", "ab\na",  "\n\na\n", "b\n\nc"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        expect_cases(RAMET_MERGE_SET,
                     (struct merge_case[]){{"x\n", wrong[i], "y\n", conflict},
                                           {NULL, wrong[i], "y\n", conflict},
                                           {wrong[i], "x\n", "y\n", conflict},
                                           {wrong[i], "", "y\n", conflict}},
                     4);
    }
}

/* The numbers below count that has() chooses. */
static struct ramet_slice set_of_numbers(uint32_t count, bool (*has)(uint32_t n, int which),
                                         int which)
{
    char *bytes = malloc((size_t)count * 9 + 1), *p = bytes;
    assert_non_null(bytes);
    for (uint32_t n = 0; n < count; n++) {
        if (has(n, which))
            p += sprintf(p, "%08" PRIx32 "\n", n);
    }
    return rmt_slice(bytes, (size_t)(p - bytes));
}

/* which: 0 base, 1 ours, 2 theirs, 3 the result. */
static bool has_number(uint32_t n, int which)
{
    uint32_t hash = n * UINT32_C(2654435761) >> 16;
    bool base = hash & 1;
    bool ours = base != ((hash >> 1 & 7) == 0), theirs = base != ((hash >> 4 & 7) == 0);
    bool has[] = {base, ours, theirs, base ? ours && theirs : ours || theirs};
    return has[which];
}

static void sets_may_be_large(void **state)
{
    (void)state;
    struct ramet_slice sets[4];
    for (int i = 0; i < 4; i++)
        sets[i] = set_of_numbers(1000000, has_number, i);
    expect_both_ways(RAMET_MERGE_SET, sets[0], sets[1], sets[2], RAMET_MERGED_VALUE, sets[3]);
    for (int i = 0; i < 4; i++)
        free_copy(sets[i]);

    /* One line of 32 MiB. */
    size_t size = (size_t)32 << 20;
    char *line = malloc(size + 2);
    assert_non_null(line);
    memset(line, 'a', size);
    memcpy(line + size, "\nb", 2);
    expect_both_ways(RAMET_MERGE_SET, rmt_slice("c", 1), rmt_slice(line, size), rmt_slice("b", 1),
                     RAMET_MERGED_VALUE, rmt_slice(line, size + 2));
    free(line);
}

static void sets_without_memory_are_an_error(void **state)
{
    (void)state;
    struct ramet_conflict both = {sizeof(both),      "m", {"k", 1}, {NULL, 0}, {"", SIZE_MAX},
                                  {"", SIZE_MAX - 1}};
    struct ramet_slice out;
    assert_int_equal(rmt_policy_merge(RAMET_MERGE_SET, &both, &scratch, &out), -ENOMEM);
    assert_non_null(strstr(ramet_errmsg(), "map 'm'"));
}

/* ---- text ------------------------------------------------------------------------------------ */

static void text_of_one_side_or_none_needs_no_library(void **state)
{
    (void)state;
    static const struct merge_case cases[] = {
        {"a\nb\n", NULL, "a\nc\n", conflict},
        {"a\nb\n", "a\nb\n", "c\n", "c\n"},
        {"a\nb\n", "c\n", "c\n", "c\n"},
        {"a\nb\n", NULL, NULL, deleted},
    };
    expect_cases(RAMET_MERGE_TEXT, cases, COUNT(cases));
}

static struct ramet_conflict lines_apart = {
    sizeof(lines_apart),  "notes", {"k", 1}, {"1\n2\n3\n", 6}, {"one\n2\n3\n", 8},
    {"1\n2\nthree\n", 10}};

static void *merge_once(void *arg)
{
    rmt_auto(rmt_policy_scratch_fini) struct rmt_policy_scratch mine = {0};
    struct ramet_slice out;
    int rc = rmt_policy_merge(RAMET_MERGE_TEXT, &lines_apart, &mine, &out);
    *(int *)arg = rc != RAMET_MERGED_VALUE ? rc
                  : out.size == 12 && !memcmp(out.data, "one\n2\nthree\n", 12)
                      ? RAMET_MERGED_VALUE
                      : RAMET_MERGED_CONFLICT;
    return NULL;
}

/* No test before it loads the library. */
static void text_may_be_merged_by_several_threads_from_the_start(void **state)
{
    (void)state;
    pthread_t threads[4];
    int rcs[COUNT(threads)];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, merge_once, &rcs[i]), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(rcs[i], rmt_text_library[0] ? RAMET_MERGED_VALUE : -EOPNOTSUPP);
    }
}

static void need_library(void)
{
    if (!rmt_text_library[0])
        skip();
}

static void text_says_how_to_build_with_it(void **state)
{
    (void)state;
    int rc;
    if (rmt_text_library[0])
        skip();
    (void)merge_once(&rc);
    assert_int_equal(rc, -EOPNOTSUPP);
    assert_non_null(strstr(ramet_errmsg(), "-Dtext_merge=enabled"));
    assert_non_null(strstr(ramet_errmsg(), "map 'notes'"));
}

/* Of a process of its own: exits 0 if the library is missing and that is said. */
static int expect_no_library(void)
{
    for (int i = 0; i < 2; i++) { /* the second call has not tried to load it */
        int rc;
        (void)merge_once(&rc);
        (void)fprintf(stderr, "%d: %s\n", rc, ramet_errmsg());
        if (rc != -EOPNOTSUPP || !strstr(ramet_errmsg(), "libgit2: install it (") ||
            !strstr(ramet_errmsg(), rmt_text_library))
            return 1;
    }
    return 0;
}

static void text_says_what_to_install(void **state)
{
    (void)state;
    need_library();
    char dir[] = "/tmp/ramet-policy-XXXXXX", file[64], variable[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/%s", dir, rmt_text_library);
    (void)snprintf(variable, sizeof(variable), "LD_LIBRARY_PATH=%s", dir);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600); /* no library, and in the way */
    assert_true(fd >= 0);
    (void)close(fd);
    char program[] = "/proc/self/exe", arg[] = "--without-library";
    char *argv[] = {program, arg, NULL}, *env[] = {variable, NULL};
    pid_t pid;
    int status;
    assert_int_equal(posix_spawn(&pid, program, NULL, NULL, argv, env), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)unlink(file);
    (void)rmdir(dir);
    assert_int_equal(status, 0);
}

static void text_by_example(void **state)
{
    (void)state;
    need_library();
    static const struct merge_case cases[] = {
        {"1\n2\n3\n", "one\n2\n3\n", "1\n2\nthree\n", "one\n2\nthree\n"},
        {"1\n2\n3\n", "2\n3\n", "1\n2\n", "2\n"},
        {"1\n2\n3\n", "0\n1\n2\n3\n", "1\n2\n3\n4\n", "0\n1\n2\n3\n4\n"},
        {"1\n2\n3\n", "1\n", "", conflict},
        {"1\n2\n3\n", "2\n3\n", "", conflict},
        {"1\n2\n3\n", "1\nx\n3\n", "1\ny\n3\n", conflict},
        {"1\n2\n3\n", "x\n2\n3\n", "1\ny\n3\n", conflict}, /* they touch */
        {"1\n2\n", "1\n2\n3\n", "1\n2\n4\n", conflict},
        {"1\n2\n3\n4\n5\n", "x\n2\n3\n4\n5\n", "x\n2\n3\n4\ny\n", "x\n2\n3\n4\ny\n"},
        {"1\n2\n3", "one\n2\n3", "1\n2\nthree", "one\n2\nthree"}, /* no final newline */
        {"1\n2\n3", "one\n2\n3", "1\n2\n3\n", "one\n2\n3\n"},
        {"1\n2\n3\n", "one\n2\n3\n", "1\n2\n3", "one\n2\n3"},
        {"1\r\n2\r\n3\r\n", "one\r\n2\r\n3\r\n", "1\r\n2\r\n3\r\n4\r\n", "one\r\n2\r\n3\r\n4\r\n"},
        {"a\n", "", "b\n", conflict},
        {"", "a\n", "b\n", conflict},
        {NULL, "a\n", "b\n", conflict},
        {NULL, "a\nb\n", "a\nb\nc\n", conflict},
        {NULL, "", "b\n", "b\n"}, /* as one that did not change an empty text */
        {"\xff\xfe\n2\n3\n", "\xff\n2\n3\n", "\xff\xfe\n2\n\x80", "\xff\n2\n\x80"},
        {"<<<<<<< a\n2\n3\n", "<<<<<<< a\n2\n=======\n", "x\n2\n3\n", "x\n2\n=======\n"},
    };
    expect_cases(RAMET_MERGE_TEXT, cases, COUNT(cases));
}

/* What is done to a line. */
enum edit { KEEP, CHANGE, REMOVE, PUT_BEFORE, EDITS };

static char *write_line(char *p, int line, enum edit edit, char mark)
{
    if (edit == PUT_BEFORE)
        p += sprintf(p, "%c before %d\n", mark, line);
    if (edit == CHANGE)
        p += sprintf(p, "%c of %d\n", mark, line);
    else if (edit != REMOVE)
        p += sprintf(p, "line %d\n", line);
    return p;
}

/* Five lines: ours edits the first two, theirs the last two, and nobody the one between. */
static void edits_of_text_that_do_not_touch_are_put_together(void **state)
{
    (void)state;
    need_library();
    for (int n = 0; n < EDITS * EDITS * EDITS * EDITS; n++) {
        enum edit edits[] = {n % EDITS, n / EDITS % EDITS, KEEP, n / EDITS / EDITS % EDITS,
                             n / EDITS / EDITS / EDITS};
        char texts[4][128], *ends[4] = {texts[0], texts[1], texts[2], texts[3]};
        for (int i = 0; i < 5; i++) {
            char mark = i < 2 ? 'o' : 't';
            ends[0] = write_line(ends[0], i, KEEP, mark);
            ends[1] = write_line(ends[1], i, i < 2 ? edits[i] : KEEP, mark);
            ends[2] = write_line(ends[2], i, i < 2 ? KEEP : edits[i], mark);
            ends[3] = write_line(ends[3], i, edits[i], mark);
        }
        struct ramet_slice slices[4];
        for (int i = 0; i < 4; i++)
            slices[i] = rmt_slice(texts[i], (size_t)(ends[i] - texts[i]));
        expect_both_ways(RAMET_MERGE_TEXT, slices[0], slices[1], slices[2], RAMET_MERGED_VALUE,
                         slices[3]);
    }
}

/* Numbered lines, some of them changed. */
static struct ramet_slice long_text(uint32_t lines, uint32_t every, uint32_t first)
{
    char *bytes = malloc((size_t)lines * 20 + 1), *p = bytes;
    assert_non_null(bytes);
    for (uint32_t n = 0; n < lines; n++)
        p += sprintf(p, every && n % every == first ? "changed %" PRIu32 "\n" : "%" PRIu32 "\n", n);
    return rmt_slice(bytes, (size_t)(p - bytes));
}

/* Wherever it is, and in whichever text: without it these are merged. */
static void bytes_0_are_no_text(void **state)
{
    (void)state;
    need_library();
    struct ramet_slice texts[] = {long_text(5000, 0, 0), long_text(5000, 5000, 0),
                                  long_text(5000, 5000, 4999)};
    static const size_t places[] = {100, 15000};
    struct ramet_slice merged;
    assert_int_equal(merge(RAMET_MERGE_TEXT, texts[0], texts[1], texts[2], &merged),
                     RAMET_MERGED_VALUE);
    for (size_t t = 0; t < COUNT(texts); t++) {
        for (size_t p = 0; p < COUNT(places); p++) {
            char *at = (char *)(uintptr_t)texts[t].data + places[p], was = *at;
            *at = '\0';
            expect_both_ways(RAMET_MERGE_TEXT, texts[0], texts[1], texts[2], RAMET_MERGED_CONFLICT,
                             texts[0]);
            *at = was;
        }
    }
    for (size_t i = 0; i < COUNT(texts); i++)
        free_copy(texts[i]);
}

static void texts_may_be_large(void **state)
{
    (void)state;
    need_library();
    uint32_t max = RMT_TEXT_LINES_MAX;
    struct ramet_slice texts[] = {long_text(max, 0, 0), long_text(max, 1000, 10),
                                  long_text(max, 1000, 500), long_text(max + 1, 1000, 500)};
    struct ramet_slice merged;
    assert_int_equal(merge(RAMET_MERGE_TEXT, texts[0], texts[1], texts[2], &merged),
                     RAMET_MERGED_VALUE);
    assert_int_equal(merged.size, texts[1].size + texts[2].size - texts[0].size);
    expect_both_ways(RAMET_MERGE_TEXT, texts[0], texts[1], texts[3], RAMET_MERGED_CONFLICT,
                     texts[0]);
    for (size_t i = 0; i < COUNT(texts); i++)
        free_copy(texts[i]);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--without-library") == 0)
        return expect_no_library();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_one_side_or_none_needs_no_library),
        cmocka_unit_test(text_may_be_merged_by_several_threads_from_the_start),
        cmocka_unit_test(text_says_how_to_build_with_it),
        cmocka_unit_test(text_says_what_to_install),
        cmocka_unit_test(text_by_example),
        cmocka_unit_test(bytes_0_are_no_text),
        cmocka_unit_test(edits_of_text_that_do_not_touch_are_put_together),
        cmocka_unit_test(texts_may_be_large),
        cmocka_unit_test(a_side_that_did_not_change_gives_way_P1),
        cmocka_unit_test(equal_sides_are_no_conflict_P2),
        cmocka_unit_test(a_deleted_key_against_a_change_is_a_conflict),
        cmocka_unit_test(what_is_of_another_form_is_a_conflict_P3),
        cmocka_unit_test(fail_decides_what_is_clear_and_nothing_else),
        cmocka_unit_test(ours_takes_ours_and_theirs_takes_theirs),
        cmocka_unit_test(a_side_is_not_copied),
        cmocka_unit_test(integers_are_right_to_their_edges),
        cmocka_unit_test(a_counter_adds_up_what_both_did),
        cmocka_unit_test(max_and_min_look_at_the_sides_alone),
        cmocka_unit_test(decimal_is_digits_with_or_without_a_minus),
        cmocka_unit_test(le64_is_8_bytes),
        cmocka_unit_test(sets_are_merged_as_they_are_defined),
        cmocka_unit_test(sets_by_example),
        cmocka_unit_test(sets_out_of_order_are_refused),
        cmocka_unit_test(sets_may_be_large),
        cmocka_unit_test(sets_without_memory_are_an_error),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmt_policy_scratch_fini(&scratch);
    return failed;
}
