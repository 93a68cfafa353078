/* SPDX-License-Identifier: MIT */
/* maps-ramet.c - a store in memory, and a handle for each thread. */
#include <stdlib.h>
#include <string.h>

#include "alone.h"
#include "maps.h"

struct map {
    struct ramet_store *store;
};

struct map_thread {
    struct ramet_handle *handle;
    struct ramet_map *held;
};

static struct map *map_open(const char *folder, const struct map_data *data)
{
    struct map *map = allocate(sizeof(*map));
    (void)folder;
    (void)data;
    must(ramet_open(NULL, NULL, &map->store));
    return map;
}

static void map_close(struct map *map)
{
    ramet_close(map->store);
    free(map);
}

static struct map_thread *thread_begin(struct map *map)
{
    struct map_thread *t = allocate(sizeof(*t));
    must(ramet_handle_open(map->store, NULL, "bench", RAMET_CREATE, &t->handle));
    return t;
}

static void thread_end(struct map_thread *t)
{
    ramet_handle_close(t->handle);
    free(t);
}

static uint64_t get(struct map_thread *t, const uint64_t *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        must(ramet_handle_get_u64(t->handle, keys[i], &value, sizeof(value)));
        sum += map_sum(value);
    }
    return sum;
}

static void hold(struct map_thread *t)
{
    must(ramet_handle_hold(t->handle, &t->held));
}

static void release(struct map_thread *t)
{
    ramet_handle_release(t->handle);
}

static struct ramet_slice slice_of(const struct text *text)
{
    struct ramet_slice slice = {text, sizeof(*text)};
    return slice;
}

static uint64_t get_texts(struct map_thread *t, const struct text *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        must(ramet_handle_get(t->handle, slice_of(&keys[i]), &value, sizeof(value)));
        sum += map_sum(value);
    }
    return sum;
}

static uint64_t get_texts_many(struct map_thread *t, const struct text *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t at = 0; at < count; at += TEXTS_AT_ONCE) {
        struct ramet_slice slices[TEXTS_AT_ONCE], values[TEXTS_AT_ONCE];
        size_t n = count - at < TEXTS_AT_ONCE ? count - at : TEXTS_AT_ONCE;
        for (size_t i = 0; i < n; i++)
            slices[i] = slice_of(&keys[at + i]);
        must(ramet_get_many(t->held, n, slices, values));
        for (size_t i = 0; i < n; i++) {
            uint64_t value = 0;
            if (values[i].size != sizeof(value))
                die("ramet: a key is gone");
            memcpy(&value, values[i].data, sizeof(value));
            sum += map_sum(value);
        }
    }
    return sum;
}

static void set(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = map_value(keys[i], salt);
        struct ramet_slice slice = {&value, sizeof(value)};
        must(ramet_handle_put_u64(t->handle, keys[i], slice, 0));
    }
}

static void set_many(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt)
{
    struct ramet_slice slices[SETS_AT_ONCE], values[SETS_AT_ONCE];
    unsigned char bytes[SETS_AT_ONCE][8];
    uint64_t numbers[SETS_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        numbers[i] = map_value(keys[i], salt);
        slices[i] = ramet_u64_key(keys[i], bytes[i]);
        values[i] = (struct ramet_slice){&numbers[i], sizeof(numbers[i])};
    }
    must(ramet_handle_batch(t->handle, count, slices, values));
}

static void set_texts(struct map_thread *t, const struct text *keys, size_t count)
{
    struct ramet_slice slices[SETS_AT_ONCE], values[SETS_AT_ONCE];
    uint64_t numbers[SETS_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        numbers[i] = map_value(keys[i].words[0], 0);
        slices[i] = slice_of(&keys[i]);
        values[i] = (struct ramet_slice){&numbers[i], sizeof(numbers[i])};
    }
    must(ramet_handle_batch(t->handle, count, slices, values));
}

static void set_strings(struct map_thread *t, const uint64_t *keys, size_t count)
{
    struct ramet_slice slices[SETS_AT_ONCE], values[SETS_AT_ONCE];
    unsigned char bytes[SETS_AT_ONCE][8];
    char strings[SETS_AT_ONCE][STRING_MAX];
    for (size_t i = 0; i < count; i++) {
        slices[i] = ramet_u64_key(keys[i], bytes[i]);
        values[i] = (struct ramet_slice){strings[i], map_string(keys[i], strings[i])};
    }
    must(ramet_handle_batch(t->handle, count, slices, values));
}

const struct map_ops maps_ramet = {
    .open = map_open,
    .close = map_close,
    .thread_begin = thread_begin,
    .thread_end = thread_end,
    .get = get,
    .hold = hold,
    .get_held = get, /* a handle that holds a version reads that */
    .release = release,
    .get_texts = get_texts,
    .get_texts_many = get_texts_many,
    .set = set,
    .set_many = set_many,
    .set_texts = set_texts,
    .set_strings = set_strings,
};
