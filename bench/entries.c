/* SPDX-License-Identifier: MIT */
/* entries.c - keys and values, the same in every run. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint32_t *order_new(size_t count)
{
    uint32_t *order = allocate(count * sizeof(*order));
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    return order;
}

static void shuffle(uint32_t *order, size_t count, uint64_t seed)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = random_next(&seed) % i;
        uint32_t t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

static const struct entries *comparing;

static int compare(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    size_t m = entry_key_size(comparing, i), n = entry_key_size(comparing, j);
    int c = memcmp(entry_key(comparing, i), entry_key(comparing, j), m < n ? m : n);
    return c ? c : (m > n) - (m < n);
}

/* Key i, at most 16 bytes. A bijection of i, so that no two are the same. */
static size_t key_make(enum keys kind, uint64_t i, uint8_t *out)
{
    uint64_t state = i * 2 + kind, a = random_next(&state), b = random_next(&state);
    memcpy(out, &a, 8);
    memcpy(out + 8, &b, 8);
    return 16;
}

void entries_init(struct entries *e, size_t count, enum keys kind)
{
    uint64_t state = 1;
    e->count = count;
    e->bytes = allocate(count * 16);
    e->at = allocate((count + 1) * sizeof(*e->at));
    for (size_t i = 0; i < count; i++)
        e->at[i + 1] = e->at[i] + key_make(kind, i, e->bytes + e->at[i]);
    e->sorted = order_new(count);
    comparing = e;
    qsort(e->sorted, count, sizeof(*e->sorted), compare);
    e->shuffled = order_new(count);
    shuffle(e->shuffled, count, 2);
    e->probes = order_new(count);
    shuffle(e->probes, count, 3);
    e->pool = allocate(POOL_SIZE);
    for (size_t i = 0; i < POOL_SIZE; i += 8) {
        uint64_t r = random_next(&state);
        memcpy(e->pool + i, &r, 8);
    }
}

void entries_fini(struct entries *e)
{
    free(e->bytes);
    free(e->at);
    free(e->sorted);
    free(e->shuffled);
    free(e->probes);
    free(e->pool);
}
