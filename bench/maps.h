/* SPDX-License-Identifier: MIT */
/*
 * maps.h - a map that threads of one process share: ramet's handles, and what programs use instead.
 *
 * Keys are 0, 1, 2, ...; or any 64 bits; or 16 bytes. Values are eight bytes: the upper half says
 * when it was set, the lower half follows from the key, so that what is read can be compared
 * whoever wrote meanwhile. Which keys are asked for is drawn before the clock runs, and lies in
 * memory in that order. bench/peers/maps.go does the same.
 */
#ifndef BENCH_MAPS_H
#define BENCH_MAPS_H

#include "bench.h"

#define TEXTS_AT_ONCE 8
#define SETS_AT_ONCE 1000
#define STRING_MAX 32

struct text {
    uint64_t words[2]; /* in memory, sixteen bytes */
};

struct map_data {
    enum map_keys kind;
    size_t count;        /* of keys in the map */
    size_t accesses;     /* what is asked for */
    uint64_t *numbers;   /* [accesses], unless they are texts */
    struct text *texts;  /* [accesses], if they are */
    uint64_t *to_fill;   /* [count] */
    struct text *others; /* [count]: texts to fill with */
};

static inline uint64_t map_value(uint64_t key, uint32_t salt)
{
    return (uint64_t)salt << 32 | (key * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
}

/* What a reader makes of a value. */
static inline uint64_t map_sum(uint64_t value)
{
    return (uint32_t)value;
}

/* The short text that stands for a number, in a buffer of STRING_MAX: its length. */
size_t map_string(uint64_t key, char *out);

struct map;
struct map_thread; /* what one thread has of it */

/* Whatever fails ends the program. A function that is NULL: the peer cannot do that. What has a
 * count works on so many, one after the other. */
struct map_ops {
    /* Empty; folder is for who needs one. */
    struct map *(*open)(const char *folder, const struct map_data *data);
    void (*close)(struct map *map);
    struct map_thread *(*thread_begin)(struct map *map);
    void (*thread_end)(struct map_thread *t);
    /* Each sees the newest value. */
    uint64_t (*get)(struct map_thread *t, const uint64_t *keys, size_t count);
    /* A version that is held, until it is given back: all are of that. */
    void (*hold)(struct map_thread *t);
    uint64_t (*get_held)(struct map_thread *t, const uint64_t *keys, size_t count);
    void (*release)(struct map_thread *t);
    uint64_t (*get_texts)(struct map_thread *t, const struct text *keys, size_t count);
    /* Of a held version, where there are such: TEXTS_AT_ONCE at a time. */
    uint64_t (*get_texts_many)(struct map_thread *t, const struct text *keys, size_t count);
    void (*set)(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt);
    /* All of them, or none, for who reads: at most SETS_AT_ONCE. */
    void (*set_many)(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt);
    /* At most SETS_AT_ONCE, into a map that is filled. */
    void (*set_texts)(struct map_thread *t, const struct text *keys, size_t count);
    /* The same; values are map_string(). */
    void (*set_strings)(struct map_thread *t, const uint64_t *keys, size_t count);
    /* The whole map is held and given back, so many times. NULL, and hold is not: by these. */
    void (*snapshots)(struct map_thread *t, size_t count);
    /* In place of all of them: a program of its own does what is ordered. */
    bool (*perform)(struct state *s, const struct order *order, struct result *r);
};

/* As worker.c has it: false, if the peer cannot. */
bool maps_perform(struct state *s, const struct order *order, struct result *r);

#endif
