/* SPDX-License-Identifier: MIT */
#include "api/linear.h"

#include <stdlib.h>

#include "api/args.h"

#define SEEN_SIZE ((size_t)1 << 20)

struct state {
    uint64_t done; /* a bit for each operation */
    uint32_t value;
    bool used;
};

struct search {
    const struct linear_op *ops;
    size_t count;
    struct state *seen; /* [SEEN_SIZE], open addressing */
    size_t nr_seen;
};

/* False: it was there. */
static bool note(struct search *s, uint64_t done, uint32_t value)
{
    uint64_t hash = done ^ ((uint64_t)value << 40);
    size_t at = random_next(&hash) % SEEN_SIZE;
    for (; s->seen[at].used; at = (at + 1) % SEEN_SIZE) {
        if (s->seen[at].done == done && s->seen[at].value == value)
            return false;
    }
    if (++s->nr_seen > SEEN_SIZE / 2)
        fatal("a history has too many orders to be judged");
    s->seen[at] = (struct state){done, value, true};
    return true;
}

/* False: it cannot have answered so. */
static bool apply(const struct linear_op *op, uint32_t *value)
{
    switch (op->kind) {
    case LINEAR_GET: return op->value == *value;
    case LINEAR_PUT: *value = op->value; return true;
    case LINEAR_MAKE:
        if (op->failed)
            return *value != 0;
        if (*value != 0)
            return false;
        *value = op->value;
        return true;
    default:
        if (op->failed)
            return *value == 0;
        if (*value == 0)
            return false;
        *value = 0;
        return true;
    }
}

static bool search(struct search *s, uint64_t done, uint32_t value)
{
    uint64_t first = UINT64_MAX; /* return of those that are left */
    for (size_t i = 0; i < s->count; i++) {
        if (!(done >> i & 1) && s->ops[i].returned < first)
            first = s->ops[i].returned;
    }
    if (first == UINT64_MAX)
        return true;
    if (!note(s, done, value))
        return false;
    for (size_t i = 0; i < s->count; i++) {
        uint32_t then = value;
        if (done >> i & 1 || s->ops[i].called > first || !apply(&s->ops[i], &then))
            continue;
        if (search(s, done | (uint64_t)1 << i, then))
            return true;
    }
    return false;
}

bool linear_check(const struct linear_op *ops, size_t count, uint32_t initial)
{
    if (count > LINEAR_OPS_MAX)
        fatal("a history of %zu operations", count);
    struct search s = {.ops = ops, .count = count, .seen = calloc(SEEN_SIZE, sizeof(*s.seen))};
    if (!s.seen)
        fatal("no memory");
    bool ok = search(&s, 0, initial);
    free(s.seen);
    return ok;
}
