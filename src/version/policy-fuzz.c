/* SPDX-License-Identifier: MIT */
/*
 * policy-fuzz.c - any bytes as three values that a policy makes one of.
 *
 * The first byte chooses the policy; its top bit takes the base away. The values follow, with bytes
 * 0xff between them; those that are missing are absent. What comes out is held against P1 to P4,
 * sets against their definition.
 */
#include "version/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BASE, OURS, THEIRS, VALUES };

static const int policies[] = {
    RAMET_MERGE_SET,       RAMET_MERGE_TEXT,  RAMET_MERGE_COUNTER,
    RAMET_MERGE_MAX,       RAMET_MERGE_MIN,   RAMET_MERGE_FAIL,
    RAMET_MERGE_COUNTER64, RAMET_MERGE_MAX64, RAMET_MERGE_MIN64,
};

static bool same(struct ramet_slice a, struct ramet_slice b)
{
    return !a.data == !b.data && rmt_slice_cmp(a, b) == 0;
}

/* In memory that ends where it does. Absent: NULL. */
static struct ramet_slice take_value(const uint8_t **p, const uint8_t *end)
{
    if (*p >= end)
        return rmt_slice(NULL, 0);
    const uint8_t *stop = memchr(*p, 0xff, (size_t)(end - *p));
    size_t size = (size_t)((stop ? stop : end) - *p);
    char *bytes = malloc(size ? size : 1);
    rmt_assert(bytes != NULL);
    memcpy(bytes, *p, size);
    *p = stop ? stop + 1 : end;
    return rmt_slice(bytes, size);
}

static bool take_line(struct ramet_slice *text, struct ramet_slice *out)
{
    const char *p = text->data;
    if (text->size == 0)
        return false;
    const char *newline = memchr(p, '\n', text->size);
    size_t size = newline ? (size_t)(newline - p) : text->size;
    *out = rmt_slice(p, size);
    *text = rmt_slice(p + size + (newline != NULL), text->size - size - (newline != NULL));
    return true;
}

static bool has_line(struct ramet_slice text, struct ramet_slice wanted)
{
    struct ramet_slice line;
    while (take_line(&text, &line)) {
        if (rmt_slice_cmp(line, wanted) == 0)
            return true;
    }
    return false;
}

static bool wanted_in_set(const struct ramet_slice *values, struct ramet_slice line)
{
    bool ours = has_line(values[OURS], line), theirs = has_line(values[THEIRS], line);
    return has_line(values[BASE], line) ? ours && theirs : ours || theirs;
}

static void check_set(const struct ramet_slice *values, struct ramet_slice merged)
{
    struct ramet_slice line, rest = merged, before = {NULL, 0};
    while (take_line(&rest, &line)) {
        rmt_assert(wanted_in_set(values, line));
        rmt_assert(!before.data || rmt_slice_cmp(before, line) < 0);
        before = line;
    }
    for (int i = 0; i < VALUES; i++) {
        rest = values[i];
        while (take_line(&rest, &line))
            rmt_assert(has_line(merged, line) == wanted_in_set(values, line));
    }
}

/* A merge makes no lines. */
static void check_text(const struct ramet_slice *values, struct ramet_slice merged)
{
    struct ramet_slice line;
    while (take_line(&merged, &line))
        rmt_assert(has_line(values[OURS], line) || has_line(values[THEIRS], line));
}

static int merge(int policy, const struct ramet_slice *values, bool swapped,
                 struct rmt_policy_scratch *scratch, struct ramet_slice *out)
{
    struct ramet_conflict both = {sizeof(both),
                                  "m",
                                  {"k", 1},
                                  values[BASE],
                                  values[OURS + swapped],
                                  values[THEIRS - swapped]};
    *out = rmt_slice(NULL, 0);
    return rmt_policy_merge(policy, &both, scratch, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_auto(rmt_policy_scratch_fini) struct rmt_policy_scratch scratch = {0}, swapped = {0};
    struct ramet_slice values[VALUES], out, other;
    const uint8_t *p = data + 1, *end = data + size;
    if (size == 0)
        return 0;
    int policy = policies[(data[0] & 0x7f) % (sizeof(policies) / sizeof(policies[0]))];
    values[BASE] = rmt_slice(NULL, 0);
    for (int i = data[0] & 0x80 ? OURS : BASE; i < VALUES; i++)
        values[i] = take_value(&p, end);

    int rc = merge(policy, values, false, &scratch, &out);
    rmt_assert(merge(policy, values, true, &swapped, &other) == rc); /* P4 */
    rmt_assert(same(out, other));
    rmt_assert(rc >= 0 || (rc == -EOPNOTSUPP && policy == RAMET_MERGE_TEXT));
    rmt_assert((rc == RAMET_MERGED_VALUE) == (out.data != NULL));
    bool ours_alone = same(values[BASE], values[THEIRS]);
    bool theirs_alone = same(values[BASE], values[OURS]);
    if (ours_alone || theirs_alone) /* P1 */
        rmt_assert(same(out, values[ours_alone ? OURS : THEIRS]));
    else if (rc == RAMET_MERGED_VALUE && policy == RAMET_MERGE_SET &&
             !same(values[OURS], values[THEIRS]))
        check_set(values, out);
    else if (rc == RAMET_MERGED_VALUE && policy == RAMET_MERGE_TEXT)
        check_text(values, out);
    for (int i = 0; i < VALUES; i++)
        free((void *)(uintptr_t)values[i].data);
    return 0;
}
