/* SPDX-License-Identifier: MIT */
#include "api/linear.h"

#include <stdlib.h>
#include <string.h>

#include "api/args.h"

#define SEEN_SIZE ((size_t)1 << 20)

struct state {
    uint64_t done; /* a bit for each operation */
    uint32_t values[LINEAR_KEYS];
    uint32_t check; /* number of the check that came here */
};

struct search {
    struct linear_op ops[LINEAR_OPS_MAX]; /* by return: the likely order */
    /* Who put what a look saw; none: it was there, or is 0. */
    int8_t from[LINEAR_OPS_MAX][LINEAR_KEYS];
    size_t count, nr_seen;
};

static struct state *seen; /* [SEEN_SIZE], open addressing */
static uint32_t check;

/* False: it was there. */
static bool note(struct search *s, uint64_t done, const uint32_t values[LINEAR_KEYS])
{
    uint64_t hash = done;
    for (int key = 0; key < LINEAR_KEYS; key++)
        hash = random_next(&hash) ^ values[key];
    size_t at = random_next(&hash) % SEEN_SIZE;
    for (; seen[at].check == check; at = (at + 1) % SEEN_SIZE) {
        if (seen[at].done == done && memcmp(seen[at].values, values, sizeof(seen[at].values)) == 0)
            return false;
    }
    if (++s->nr_seen > SEEN_SIZE / 2)
        fatal("a history has too many orders to be judged");
    seen[at].done = done;
    seen[at].check = check;
    memcpy(seen[at].values, values, sizeof(seen[at].values));
    return true;
}

static bool only_looks(const struct linear_op *op)
{
    return op->kind == LINEAR_GET || op->failed;
}

/* False: it cannot have answered so. */
static bool apply(const struct linear_op *op, uint32_t values[LINEAR_KEYS])
{
    for (unsigned key = 0; key < LINEAR_KEYS; key++) {
        if (!(op->keys >> key & 1))
            continue;
        bool there = values[key] != 0;
        if ((op->kind == LINEAR_GET && op->values[key] != values[key]) ||
            (op->kind == LINEAR_MAKE && there != op->failed) ||
            (op->kind == LINEAR_DEL && there == op->failed))
            return false;
        if (!only_looks(op))
            values[key] = op->kind == LINEAR_DEL ? 0 : op->values[key];
    }
    return true;
}

/* The first return of those that are left. */
static uint64_t first_return(const struct search *s, uint64_t done)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < s->count; i++) {
        if (!(done >> i & 1) && s->ops[i].returned < first)
            first = s->ops[i].returned;
    }
    return first;
}

/* The operations that are done when all are that may only look now. */
static uint64_t look_around(const struct search *s, uint64_t done, uint32_t values[LINEAR_KEYS])
{
    for (size_t i = 0; i < s->count; i++) {
        if (done >> i & 1 || !only_looks(&s->ops[i]) || s->ops[i].called > first_return(s, done) ||
            !apply(&s->ops[i], values))
            continue;
        done |= (uint64_t)1 << i;
        i = SIZE_MAX; /* another one may be next now */
    }
    return done;
}

/* True: what is still to be seen was written over. */
static bool is_lost(const struct search *s, uint64_t done, const uint32_t values[LINEAR_KEYS])
{
    for (size_t i = 0; i < s->count; i++) {
        const struct linear_op *op = &s->ops[i];
        if (done >> i & 1 || op->kind != LINEAR_GET)
            continue;
        for (unsigned key = 0; key < LINEAR_KEYS; key++) {
            if (op->keys >> key & 1 && op->values[key] && op->values[key] != values[key] &&
                (s->from[i][key] < 0 || done >> s->from[i][key] & 1))
                return true;
        }
    }
    return false;
}

static bool search(struct search *s, uint64_t done, const uint32_t before[LINEAR_KEYS])
{
    uint32_t values[LINEAR_KEYS], then[LINEAR_KEYS];
    memcpy(values, before, sizeof(values));
    done = look_around(s, done, values);
    uint64_t first = first_return(s, done);
    if (first == UINT64_MAX)
        return true;
    if (is_lost(s, done, values) || !note(s, done, values))
        return false;
    for (size_t i = 0; i < s->count; i++) {
        memcpy(then, values, sizeof(then));
        if (done >> i & 1 || only_looks(&s->ops[i]) || s->ops[i].called > first ||
            !apply(&s->ops[i], then))
            continue;
        if (search(s, done | (uint64_t)1 << i, then))
            return true;
    }
    return false;
}

static int by_return(const void *a, const void *b)
{
    const struct linear_op *x = a, *y = b;
    return (x->returned > y->returned) - (x->returned < y->returned);
}

/* Each number is put once. */
static int8_t who_put(const struct search *s, unsigned key, uint32_t value)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct linear_op *op = &s->ops[i];
        if (value && !only_looks(op) && op->keys >> key & 1 && op->values[key] == value &&
            op->kind != LINEAR_DEL)
            return (int8_t)i;
    }
    return -1;
}

bool linear_check(const struct linear_op *ops, size_t count, const uint32_t initial[LINEAR_KEYS])
{
    struct search s = {.count = count};
    if (count > LINEAR_OPS_MAX)
        fatal("a history of %zu operations", count);
    if (!seen)
        seen = calloc(SEEN_SIZE, sizeof(*seen));
    if (!seen)
        fatal("no memory");
    check++;
    memcpy(s.ops, ops, count * sizeof(*ops));
    qsort(s.ops, count, sizeof(*ops), by_return);
    for (size_t i = 0; i < count; i++) {
        for (unsigned key = 0; key < LINEAR_KEYS; key++)
            s.from[i][key] = who_put(&s, key, s.ops[i].values[key]);
    }
    return search(&s, 0, initial);
}
