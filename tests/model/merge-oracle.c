/* SPDX-License-Identifier: MIT */
#include "model/merge-oracle.h"

#include <inttypes.h>
#include <stdio.h>

struct ramet_slice oracle_get(const struct oracle_map *map, struct ramet_slice key)
{
    for (size_t i = 0; i < map->count; i++) {
        if (rmt_slice_cmp(map->entries[i].key, key) == 0)
            return map->entries[i].value;
    }
    return rmt_slice(NULL, 0);
}

static bool same(struct ramet_slice a, struct ramet_slice b)
{
    return !a.data == !b.data && rmt_slice_cmp(a, b) == 0;
}

static char *alloc_or_abort(struct rmt_arena *arena, size_t size)
{
    char *p = rmt_arena_alloc(arena, size + 1);
    rmt_assert(p != NULL);
    p[size] = '\0';
    return p;
}

/* As a string: a byte 0 ends it early. */
static char *string_of(struct ramet_slice value, struct rmt_arena *arena)
{
    char *string = alloc_or_abort(arena, value.size);
    if (value.size)
        memcpy(string, value.data, value.size);
    return string;
}

/* ---- integers -------------------------------------------------------------------------------- */

/* Absent: no integer. */
static bool get_integer(struct ramet_slice value, bool binary, struct rmt_arena *arena,
                        int64_t *out)
{
    if (binary) {
        if (value.data && value.size == sizeof(*out))
            memcpy(out, value.data, sizeof(*out));
        return value.data && value.size == sizeof(*out);
    }
    const char *string = string_of(value, arena), *digits = string + (string[0] == '-');
    if (!digits[0] || string + value.size != digits + strspn(digits, "0123456789"))
        return false;
    errno = 0;
    *out = strtoll(string, NULL, 10);
    return errno == 0;
}

static struct ramet_slice put_integer(int64_t n, bool binary, struct rmt_arena *arena)
{
    char *bytes = alloc_or_abort(arena, 24);
    if (binary)
        memcpy(bytes, &n, sizeof(n));
    return rmt_slice(bytes, binary ? sizeof(n) : (size_t)snprintf(bytes, 24, "%" PRId64, n));
}

/* False: not all of them are integers. */
static bool get_three(const struct ramet_conflict *both, bool binary, struct rmt_arena *arena,
                      int64_t out[3])
{
    out[0] = 0;
    return (!both->base.data || get_integer(both->base, binary, arena, &out[0])) &&
           get_integer(both->ours, binary, arena, &out[1]) &&
           get_integer(both->theirs, binary, arena, &out[2]);
}

static int merge_counters(const int64_t n[3], bool binary, struct rmt_arena *arena,
                          struct ramet_slice *out)
{
    __int128 sum = (__int128)n[0] + ((__int128)n[1] - n[0]) + ((__int128)n[2] - n[0]);
    if (sum != (int64_t)sum)
        return RAMET_MERGED_CONFLICT;
    *out = put_integer((int64_t)sum, binary, arena);
    return RAMET_MERGED_VALUE;
}

static int merge_extremes(const struct ramet_conflict *both, bool least, bool binary,
                          struct rmt_arena *arena, struct ramet_slice *out)
{
    int64_t a, b;
    if (!get_integer(both->ours, binary, arena, &a) ||
        !get_integer(both->theirs, binary, arena, &b))
        return RAMET_MERGED_CONFLICT;
    *out = put_integer(least ? (a < b ? a : b) : (a > b ? a : b), binary, arena);
    return RAMET_MERGED_VALUE;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static size_t count_lines(struct ramet_slice text)
{
    const char *p = text.data;
    size_t newlines = 0;
    for (size_t i = 0; i < text.size; i++)
        newlines += p[i] == '\n';
    return newlines + (text.size && p[text.size - 1] != '\n');
}

/* The nth line, from 0. */
static struct ramet_slice nth_line(struct ramet_slice text, size_t n)
{
    const char *p = text.data, *end = p + text.size, *from = p;
    while (n) {
        n -= *from == '\n';
        from++;
    }
    const char *to = from;
    while (to < end && *to != '\n')
        to++;
    return rmt_slice(from, (size_t)(to - from));
}

static bool has_line(struct ramet_slice text, struct ramet_slice line)
{
    for (size_t i = 0; i < count_lines(text); i++) {
        if (rmt_slice_cmp(nth_line(text, i), line) == 0)
            return true;
    }
    return false;
}

static bool ascends(struct ramet_slice text)
{
    for (size_t i = 1; i < count_lines(text); i++) {
        if (rmt_slice_cmp(nth_line(text, i - 1), nth_line(text, i)) >= 0)
            return false;
    }
    return true;
}

static int compare_lines(const void *a, const void *b)
{
    return rmt_slice_cmp(*(const struct ramet_slice *)a, *(const struct ramet_slice *)b);
}

static int merge_sets(const struct ramet_conflict *both, struct rmt_arena *arena,
                      struct ramet_slice *out)
{
    struct ramet_slice base = both->base, ours = both->ours, theirs = both->theirs;
    if (!ours.data || !theirs.data || !ascends(base) || !ascends(ours) || !ascends(theirs))
        return RAMET_MERGED_CONFLICT;
    size_t count = 0, nr_ours = count_lines(ours), nr_all = nr_ours + count_lines(theirs);
    struct ramet_slice *lines = (void *)alloc_or_abort(arena, nr_all * sizeof(*lines));
    for (size_t i = 0; i < nr_all; i++) {
        struct ramet_slice line = i < nr_ours ? nth_line(ours, i) : nth_line(theirs, i - nr_ours);
        bool in_both = has_line(ours, line) && has_line(theirs, line);
        if (has_line(base, line) ? in_both && i < nr_ours : !in_both || i < nr_ours)
            lines[count++] = line;
    }
    qsort(lines, count, sizeof(*lines), compare_lines);
    char *bytes = alloc_or_abort(arena, ours.size + theirs.size + 2), *p = bytes;
    for (size_t i = 0; i < count; i++) {
        memcpy(p, lines[i].data, lines[i].size);
        p += lines[i].size;
        *p++ = '\n';
    }
    bool newline = (ours.size && ((const char *)ours.data)[ours.size - 1] == '\n') ||
                   (theirs.size && ((const char *)theirs.data)[theirs.size - 1] == '\n');
    if (!newline && p > bytes + 1) /* the empty line alone is nothing but its newline */
        p--;
    *out = rmt_slice(bytes, (size_t)(p - bytes));
    return RAMET_MERGED_VALUE;
}

/* ---- the definition -------------------------------------------------------------------------- */

static int take(struct ramet_slice value, struct ramet_slice *out)
{
    *out = value;
    return value.data ? RAMET_MERGED_VALUE : RAMET_MERGED_DELETE;
}

static int decide(const struct oracle_rule *rule, const struct ramet_conflict *both,
                  struct rmt_arena *arena, struct ramet_slice *out)
{
    int policy = rule->policy;
    bool binary = policy == RAMET_MERGE_COUNTER64 || policy == RAMET_MERGE_MAX64 ||
                  policy == RAMET_MERGE_MIN64;
    bool counter = policy == RAMET_MERGE_COUNTER || policy == RAMET_MERGE_COUNTER64;
    int64_t numbers[3];

    if (same(both->theirs, both->base)) /* they did not change it */
        return take(both->ours, out);
    if (same(both->ours, both->base)) /* we did not */
        return take(both->theirs, out);
    if (policy == RAMET_MERGE_FUNCTION)
        return rule->fn(rule->ctx, both, out);
    if (counter && get_three(both, binary, arena, numbers)) /* even if both did the same */
        return merge_counters(numbers, binary, arena, out);
    if (same(both->ours, both->theirs)) /* both did the same */
        return take(both->ours, out);

    switch (policy) {
    case RAMET_MERGE_OURS: return take(both->ours, out);
    case RAMET_MERGE_THEIRS: return take(both->theirs, out);
    case RAMET_MERGE_MAX:
    case RAMET_MERGE_MAX64: return merge_extremes(both, false, binary, arena, out);
    case RAMET_MERGE_MIN:
    case RAMET_MERGE_MIN64: return merge_extremes(both, true, binary, arena, out);
    case RAMET_MERGE_SET: return merge_sets(both, arena, out);
    default: rmt_assert(counter || policy == RAMET_MERGE_FAIL); return RAMET_MERGED_CONFLICT;
    }
}

/* ---- maps ------------------------------------------------------------------------------------ */

static struct oracle_rule rule_of(struct ramet_slice key, const struct oracle_rule *rules,
                                  size_t nr_rules)
{
    for (size_t i = 0; i < nr_rules; i++) {
        size_t size = strlen(rules[i].prefix);
        if (key.size >= size && memcmp(key.data, rules[i].prefix, size) == 0)
            return rules[i];
    }
    return (struct oracle_rule){"", RAMET_MERGE_FAIL, NULL, NULL};
}

/* The least key above *key (NULL: of all) that any of the maps has. False: there is none. */
static bool next_key(const struct oracle_map *const maps[3], struct ramet_slice *key)
{
    struct ramet_slice least = {NULL, 0};
    for (int m = 0; m < 3; m++) {
        for (size_t i = 0; i < maps[m]->count; i++) {
            struct ramet_slice k = maps[m]->entries[i].key;
            if ((!key->data || rmt_slice_cmp(k, *key) > 0) &&
                (!least.data || rmt_slice_cmp(k, least) < 0))
                least = k;
        }
    }
    *key = least;
    return least.data != NULL;
}

void oracle_merge(const struct oracle_map *base, const struct oracle_map *ours,
                  const struct oracle_map *theirs, const struct oracle_rule *rules, size_t nr_rules,
                  struct oracle_result *out)
{
    const struct oracle_map *const maps[] = {base, ours, theirs};
    struct ramet_slice key = {NULL, 0};
    *out = (struct oracle_result){0};
    while (next_key(maps, &key)) {
        struct ramet_conflict both = {
            sizeof(both),           NULL, key, oracle_get(base, key), oracle_get(ours, key),
            oracle_get(theirs, key)};
        struct oracle_rule rule = rule_of(key, rules, nr_rules);
        struct ramet_slice value = both.ours;
        int rc = decide(&rule, &both, &out->arena, &value);
        if (rc == RAMET_MERGED_DELETE)
            value = rmt_slice(NULL, 0);
        else if (rc == RAMET_MERGED_CONFLICT)
            rmt_assert(rmt_vec_push(&out->conflicts, both));
        else
            rmt_assert(rc == RAMET_MERGED_VALUE && value.data);
        if (value.data)
            rmt_assert(rmt_vec_push(&out->merged, ((struct oracle_entry){key, value})));
        out->changes += !same(value, both.ours);
    }
}

void oracle_result_fini(struct oracle_result *result)
{
    rmt_vec_fini(&result->merged);
    rmt_vec_fini(&result->conflicts);
    rmt_arena_fini(&result->arena);
}

/* ---- all small maps -------------------------------------------------------------------------- */

void oracle_case_init(struct oracle_case *c, uint32_t n, const struct ramet_slice *values)
{
    static const char keys[ORACLE_KEYS] = {'a', 'b', 'c'};
    struct oracle_map *maps[] = {&c->base, &c->ours, &c->theirs};
    rmt_assert(n < ORACLE_CASES);
    for (int m = 0; m < 3; m++) {
        *maps[m] = (struct oracle_map){c->entries[m], 0};
        for (unsigned k = 0; k < ORACLE_KEYS; k++, n /= 3) {
            if (n % 3)
                c->entries[m][maps[m]->count++] =
                    (struct oracle_entry){rmt_slice(&keys[k], 1), values[n % 3 - 1]};
        }
    }
}
