/* SPDX-License-Identifier: MIT */
#include "version/policy.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/le.h"
#include "version/text.h"

static bool slice_equal(struct ramet_slice a, struct ramet_slice b)
{
    if (!a.data || !b.data)
        return !a.data && !b.data;
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* A side's value is the result; so is its absence. */
static int take_side(struct ramet_slice side, struct ramet_slice *out)
{
    if (!side.data)
        return RAMET_MERGED_DELETE;
    *out = side;
    return RAMET_MERGED_VALUE;
}

int rmt_policy_room(const struct ramet_conflict *both, struct rmt_policy_scratch *scratch,
                    size_t size)
{
    return rmt_vec_reserve(&scratch->bytes, size)
               ? 0
               : rmt_fail(-ENOMEM, "merging a value of map '%s'", both->map);
}

/* ---- integers -------------------------------------------------------------------------------- */

/* -?[0-9]+, within int64_t. */
static bool parse_decimal(struct ramet_slice value, int64_t *out)
{
    const char *p = value.data, *end = p + value.size;
    int64_t n = 0; /* below zero there is one number more */
    bool negative = p < end && *p == '-';
    if (negative)
        p++;
    if (p == end)
        return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9' || !rmt_mul(n, 10, &n) || !rmt_add(n, '0' - *p, &n))
            return false;
    }
    if (!negative && !rmt_mul(n, -1, &n))
        return false;
    *out = n;
    return true;
}

static bool parse_le64(struct ramet_slice value, int64_t *out)
{
    rmt_le64 bytes;
    if (value.size != sizeof(bytes))
        return false;
    memcpy(&bytes, value.data, sizeof(bytes));
    *out = (int64_t)rmt_get64(bytes);
    return true;
}

static size_t print_decimal(int64_t n, char *out, size_t size)
{
    return (size_t)snprintf(out, size, "%" PRId64, n);
}

static size_t print_le64(int64_t n, char *out, size_t size)
{
    rmt_le64 bytes = rmt_put64((uint64_t)n);
    rmt_assert(size >= sizeof(bytes));
    memcpy(out, &bytes, sizeof(bytes));
    return sizeof(bytes);
}

/* How integers are written. */
struct notation {
    bool (*parse)(struct ramet_slice value, int64_t *out);
    size_t (*print)(int64_t n, char *out, size_t size);
};
static const struct notation decimal = {parse_decimal, print_decimal};
static const struct notation le64 = {parse_le64, print_le64};

static bool parse(const struct notation *notation, struct ramet_slice value, int64_t *out)
{
    return value.data && notation->parse(value, out);
}

static int put_integer(const struct notation *notation, int64_t n,
                       const struct ramet_conflict *both, struct rmt_policy_scratch *scratch,
                       struct ramet_slice *out)
{
    size_t room = sizeof("-9223372036854775808");
    int rc = rmt_policy_room(both, scratch, room);
    if (rc < 0)
        return rc;
    *out = rmt_slice(scratch->bytes.items, notation->print(n, scratch->bytes.items, room));
    return RAMET_MERGED_VALUE;
}

static int merge_counter(const struct notation *notation, const struct ramet_conflict *both,
                         struct rmt_policy_scratch *scratch, struct ramet_slice *out)
{
    int64_t base = 0, ours, theirs;
    if ((both->base.data && !parse(notation, both->base, &base)) ||
        !parse(notation, both->ours, &ours) || !parse(notation, both->theirs, &theirs)) {
        return slice_equal(both->ours, both->theirs) ? take_side(both->ours, out)
                                                     : RAMET_MERGED_CONFLICT;
    }
    /* The sum alone must fit: which part of it is added up first makes no difference. */
    __int128 sum = (__int128)ours + theirs - base;
    if (sum < INT64_MIN || sum > INT64_MAX)
        return RAMET_MERGED_CONFLICT;
    return put_integer(notation, (int64_t)sum, both, scratch, out);
}

static int merge_extreme(const struct notation *notation, bool greatest,
                         const struct ramet_conflict *both, struct rmt_policy_scratch *scratch,
                         struct ramet_slice *out)
{
    int64_t ours, theirs;
    if (!parse(notation, both->ours, &ours) || !parse(notation, both->theirs, &theirs))
        return RAMET_MERGED_CONFLICT;
    /* Written anew: of 7 and 007 neither side's spelling is preferred. */
    return put_integer(notation, (ours > theirs) == greatest ? ours : theirs, both, scratch, out);
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* A position in a set's lines. */
struct lines {
    const char *p, *end;
    bool there;              /* false: at the end */
    struct ramet_slice line; /* without its newline */
};

/* False: the next line is not above this one. */
static bool next_line(struct lines *lines)
{
    struct ramet_slice before = lines->line;
    bool first = !lines->there;
    lines->there = lines->p < lines->end;
    if (!lines->there)
        return true;
    const char *newline = memchr(lines->p, '\n', (size_t)(lines->end - lines->p));
    lines->line = rmt_slice(lines->p, (size_t)((newline ? newline : lines->end) - lines->p));
    lines->p = newline ? newline + 1 : lines->end;
    return first || rmt_slice_cmp(before, lines->line) < 0;
}

static struct lines first_line(struct ramet_slice set)
{
    struct lines lines = {
        set.data, set.data ? (const char *)set.data + set.size : NULL, false, {NULL, 0}};
    (void)next_line(&lines); /* nothing is before it */
    return lines;
}

static bool ends_in_newline(struct ramet_slice set)
{
    return set.size && ((const char *)set.data)[set.size - 1] == '\n';
}

/*
 * A line of the base stays if both sides have it still; a line that is new comes if either side has
 * it. A final newline is there if either side has one; and where the result is the empty line
 * alone, which would be the empty set without.
 */
static int merge_set(const struct ramet_conflict *both, struct rmt_policy_scratch *scratch,
                     struct ramet_slice *out)
{
    enum { BASE, OURS, THEIRS, SETS };
    if (!both->ours.data || !both->theirs.data)
        return RAMET_MERGED_CONFLICT;
    size_t room; /* each line comes from ours or theirs; their last ones may get a newline */
    if (!rmt_add(both->ours.size, both->theirs.size, &room) || !rmt_add(room, (size_t)2, &room))
        return rmt_fail(-ENOMEM, "merging a value of map '%s'", both->map);
    int rc = rmt_policy_room(both, scratch, room);
    if (rc < 0)
        return rc;

    struct lines sets[SETS] = {first_line(both->base), first_line(both->ours),
                               first_line(both->theirs)};
    char *to = scratch->bytes.items;
    for (;;) {
        const struct lines *least = NULL;
        for (int i = 0; i < SETS; i++) {
            if (sets[i].there && (!least || rmt_slice_cmp(sets[i].line, least->line) < 0))
                least = &sets[i];
        }
        if (!least)
            break;
        struct ramet_slice line = least->line;
        bool has[SETS];
        for (int i = 0; i < SETS; i++) {
            has[i] = sets[i].there && rmt_slice_cmp(sets[i].line, line) == 0;
            if (has[i] && !next_line(&sets[i]))
                return RAMET_MERGED_CONFLICT;
        }
        if (has[BASE] && !(has[OURS] && has[THEIRS]))
            continue;
        if (line.size)
            memcpy(to, line.data, line.size);
        to += line.size;
        *to++ = '\n';
    }
    size_t size = (size_t)(to - scratch->bytes.items);
    rmt_assert(size <= room);
    if (size > 1 && !ends_in_newline(both->ours) && !ends_in_newline(both->theirs))
        size--;
    *out = rmt_slice(scratch->bytes.items, size);
    return RAMET_MERGED_VALUE;
}

/* ---- all ------------------------------------------------------------------------------------- */

int rmt_policy_merge(int policy, const struct ramet_conflict *both,
                     struct rmt_policy_scratch *scratch, struct ramet_slice *out)
{
    if (slice_equal(both->base, both->theirs))
        return take_side(both->ours, out);
    if (slice_equal(both->base, both->ours))
        return take_side(both->theirs, out);
    if (policy == RAMET_MERGE_COUNTER)
        return merge_counter(&decimal, both, scratch, out);
    if (policy == RAMET_MERGE_COUNTER64)
        return merge_counter(&le64, both, scratch, out);
    if (slice_equal(both->ours, both->theirs))
        return take_side(both->ours, out);

    switch (policy) {
    case RAMET_MERGE_OURS: return take_side(both->ours, out);
    case RAMET_MERGE_THEIRS: return take_side(both->theirs, out);
    case RAMET_MERGE_MAX: return merge_extreme(&decimal, true, both, scratch, out);
    case RAMET_MERGE_MIN: return merge_extreme(&decimal, false, both, scratch, out);
    case RAMET_MERGE_MAX64: return merge_extreme(&le64, true, both, scratch, out);
    case RAMET_MERGE_MIN64: return merge_extreme(&le64, false, both, scratch, out);
    case RAMET_MERGE_SET: return merge_set(both, scratch, out);
    case RAMET_MERGE_TEXT: return rmt_text_merge(both, scratch, out);
    default: rmt_assert(policy == RAMET_MERGE_FAIL); return RAMET_MERGED_CONFLICT;
    }
}
