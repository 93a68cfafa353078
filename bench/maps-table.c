/* SPDX-License-Identifier: MIT */
/*
 * maps-table.c - a hash table with open addressing: under a pthread_rwlock, and alone, as what a
 * get costs at the least.
 *
 * Linear probing in a power of two of slots, of which at most half are taken; a key is multiplied
 * to 128 bits, whose halves are mixed.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "maps.h"

#define K1 UINT64_C(0xa0761d6478bd642f)
#define K2 UINT64_C(0xe7037ed1a0b428db)
#define FREE UINT64_MAX /* as a key; there is one slot more for who has it */

struct slot {
    uint64_t key, value;
};

struct text_slot { /* never across two cache lines */
    struct text key;
    uint64_t value, taken;
};

struct map {
    pthread_rwlock_t lock;
    struct slot *slots;
    struct text_slot *text_slots;
    size_t mask, count;
    struct slot free_key;
};

struct map_thread {
    struct map *map;
};

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline size_t place(const struct map *map, uint64_t key)
{
    return fold(key ^ K1, K2) & map->mask;
}

static inline size_t text_place(const struct map *map, const struct text *key)
{
    return fold(key->words[0] ^ K1, key->words[1] ^ K2) & map->mask;
}

static inline struct slot *find(struct map *map, uint64_t key)
{
    if (__builtin_expect(key == FREE, 0))
        return &map->free_key;
    size_t i = place(map, key);
    while (map->slots[i].key != key && map->slots[i].key != FREE)
        i = (i + 1) & map->mask;
    return &map->slots[i];
}

static inline bool same(const struct text *a, const struct text *b)
{
    return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

static inline struct text_slot *find_text(const struct map *map, const struct text *key, size_t i)
{
    while (map->text_slots[i].taken && !same(&map->text_slots[i].key, key))
        i = (i + 1) & map->mask;
    return &map->text_slots[i];
}

/* ---- changes --------------------------------------------------------------------------------- */

static void *slots_new(size_t count, size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, count * size) != 0)
        die("no memory");
    return p;
}

static void make_slots(struct map *map, size_t count)
{
    map->mask = count - 1;
    map->slots = slots_new(count, sizeof(*map->slots));
    for (size_t i = 0; i < count; i++)
        map->slots[i].key = FREE;
}

static void grow(struct map *map)
{
    struct slot *old = map->slots;
    size_t count = map->mask + 1;
    make_slots(map, 2 * count);
    for (size_t i = 0; i < count; i++) {
        if (old[i].key != FREE)
            *find(map, old[i].key) = old[i];
    }
    free(old);
}

static void put(struct map *map, uint64_t key, uint64_t value)
{
    struct slot *slot = find(map, key);
    if (slot->key != key && 2 * ++map->count > map->mask) {
        grow(map);
        slot = find(map, key);
    }
    slot->key = key;
    slot->value = value;
}

static void make_text_slots(struct map *map, size_t count)
{
    map->mask = count - 1;
    map->text_slots = slots_new(count, sizeof(*map->text_slots));
    memset(map->text_slots, 0, count * sizeof(*map->text_slots));
}

static void grow_texts(struct map *map)
{
    struct text_slot *old = map->text_slots;
    size_t count = map->mask + 1;
    make_text_slots(map, 2 * count);
    for (size_t i = 0; i < count; i++) {
        if (old[i].taken)
            *find_text(map, &old[i].key, text_place(map, &old[i].key)) = old[i];
    }
    free(old);
}

static void put_text(struct map *map, const struct text *key, uint64_t value)
{
    struct text_slot *slot = find_text(map, key, text_place(map, key));
    if (!slot->taken && 2 * ++map->count > map->mask) {
        grow_texts(map);
        slot = find_text(map, key, text_place(map, key));
    }
    *slot = (struct text_slot){*key, value, 1};
}

static struct map *map_open(const char *folder, const struct map_data *data)
{
    struct map *map = allocate(sizeof(*map));
    (void)folder;
    (void)pthread_rwlock_init(&map->lock, NULL);
    if (data->kind == MAP_TEXTS)
        make_text_slots(map, 16);
    else
        make_slots(map, 16);
    return map;
}

static void map_close(struct map *map)
{
    free(map->slots);
    free(map->text_slots);
    (void)pthread_rwlock_destroy(&map->lock);
    free(map);
}

static struct map_thread *thread_begin(struct map *map)
{
    struct map_thread *t = allocate(sizeof(*t));
    t->map = map;
    return t;
}

static void thread_end(struct map_thread *t)
{
    free(t);
}

/* ---- under the lock -------------------------------------------------------------------------- */

static uint64_t get(struct map_thread *t, const uint64_t *keys, size_t count)
{
    struct map *map = t->map;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        (void)pthread_rwlock_rdlock(&map->lock);
        sum += map_sum(find(map, keys[i])->value);
        (void)pthread_rwlock_unlock(&map->lock);
    }
    return sum;
}

static uint64_t get_texts(struct map_thread *t, const struct text *keys, size_t count)
{
    struct map *map = t->map;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        (void)pthread_rwlock_rdlock(&map->lock);
        sum += map_sum(find_text(map, &keys[i], text_place(map, &keys[i]))->value);
        (void)pthread_rwlock_unlock(&map->lock);
    }
    return sum;
}

/* All places are on their way from memory before the first is looked at. */
static uint64_t look_up_texts(const struct map *map, const struct text *keys, size_t count)
{
    size_t places[TEXTS_AT_ONCE];
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        places[i] = text_place(map, &keys[i]);
        __builtin_prefetch(&map->text_slots[places[i]]);
    }
    for (size_t i = 0; i < count; i++)
        sum += map_sum(find_text(map, &keys[i], places[i])->value);
    return sum;
}

static size_t at_once(size_t left)
{
    return left < TEXTS_AT_ONCE ? left : TEXTS_AT_ONCE;
}

static uint64_t get_texts_many(struct map_thread *t, const struct text *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < count; at += TEXTS_AT_ONCE) {
        (void)pthread_rwlock_rdlock(&t->map->lock);
        sum += look_up_texts(t->map, keys + at, at_once(count - at));
        (void)pthread_rwlock_unlock(&t->map->lock);
    }
    return sum;
}

static void set(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt)
{
    for (size_t i = 0; i < count; i++) {
        (void)pthread_rwlock_wrlock(&t->map->lock);
        put(t->map, keys[i], map_value(keys[i], salt));
        (void)pthread_rwlock_unlock(&t->map->lock);
    }
}

static void set_many(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt)
{
    (void)pthread_rwlock_wrlock(&t->map->lock);
    for (size_t i = 0; i < count; i++)
        put(t->map, keys[i], map_value(keys[i], salt));
    (void)pthread_rwlock_unlock(&t->map->lock);
}

static void set_texts(struct map_thread *t, const struct text *keys, size_t count)
{
    (void)pthread_rwlock_wrlock(&t->map->lock);
    for (size_t i = 0; i < count; i++)
        put_text(t->map, &keys[i], map_value(keys[i].words[0], 0));
    (void)pthread_rwlock_unlock(&t->map->lock);
}

/* Each string is on the heap. They live as long as the process, which ends after that. */
static void set_strings(struct map_thread *t, const uint64_t *keys, size_t count)
{
    char string[STRING_MAX];
    for (size_t i = 0; i < count; i++) {
        (void)map_string(keys[i], string);
        char *copy = strdup(string);
        if (!copy)
            die("no memory");
        (void)pthread_rwlock_wrlock(&t->map->lock);
        put(t->map, keys[i], (uint64_t)(uintptr_t)copy);
        (void)pthread_rwlock_unlock(&t->map->lock);
    }
}

/* ---- without one ----------------------------------------------------------------------------- */

static uint64_t get_alone(struct map_thread *t, const uint64_t *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += map_sum(find(t->map, keys[i])->value);
    return sum;
}

static uint64_t get_texts_alone(struct map_thread *t, const struct text *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += map_sum(find_text(t->map, &keys[i], text_place(t->map, &keys[i]))->value);
    return sum;
}

static uint64_t get_texts_many_alone(struct map_thread *t, const struct text *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < count; at += TEXTS_AT_ONCE)
        sum += look_up_texts(t->map, keys + at, at_once(count - at));
    return sum;
}

static const struct map_ops table = {
    .open = map_open,
    .close = map_close,
    .thread_begin = thread_begin,
    .thread_end = thread_end,
    .get = get_alone,
    .get_texts = get_texts_alone,
    .get_texts_many = get_texts_many_alone,
    .set_many = set_many, /* to fill it */
    .set_texts = set_texts,
};

static const struct map_ops rwlock = {
    .open = map_open,
    .close = map_close,
    .thread_begin = thread_begin,
    .thread_end = thread_end,
    .get = get,
    .get_texts = get_texts,
    .get_texts_many = get_texts_many,
    .set = set,
    .set_many = set_many,
    .set_texts = set_texts,
    .set_strings = set_strings,
};

const struct peer_ops peer_table = {.name = "table", .maps = &table};
const struct peer_ops peer_rwlock = {.name = "rwlock", .maps = &rwlock};
