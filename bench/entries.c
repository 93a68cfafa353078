/* SPDX-License-Identifier: MIT */
/* entries.c - keys and values, the same in every run. */
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

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

/* ---- keys ------------------------------------------------------------------------------------ */

#define KEY_MAX 600
#define PATH_KEY_MAX 480 /* LMDB takes keys of 511 bytes */

/* Of files, in the order in which they are found: by name. */
static char **paths;
static size_t paths_nr;

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void paths_find(size_t count)
{
    char root[] = "/usr", *roots[] = {root, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, by_name);
    if (!fts)
        die("/usr: %s", strerror(errno));
    paths = allocate(count * sizeof(*paths));
    for (FTSENT *f; paths_nr < count && (f = fts_read(fts));) {
        if (f->fts_info == FTS_F && f->fts_pathlen <= PATH_KEY_MAX) {
            paths[paths_nr] = strdup(f->fts_path);
            if (!paths[paths_nr++])
                die("no memory");
        }
    }
    (void)fts_close(fts);
    if (paths_nr == 0)
        die("/usr has no files");
}

static void paths_free(void)
{
    for (size_t i = 0; i < paths_nr; i++)
        free(paths[i]);
    free(paths);
    paths = NULL;
    paths_nr = 0;
}

/* Where there are too few files they come again, with a number behind two slashes: no file that was
 * found has those in its name. */
static size_t path_make(uint64_t i, uint8_t *out)
{
    char *text = (char *)out;
    uint64_t copy = i / paths_nr;
    if (copy == 0)
        return (size_t)snprintf(text, KEY_MAX, "%s", paths[i]);
    return (size_t)snprintf(text, KEY_MAX, "%s//%llu", paths[i % paths_nr],
                            (unsigned long long)copy);
}

static void put_random(uint8_t *out, size_t size, uint64_t *state)
{
    for (size_t at = 0; at < size; at += 8) {
        uint64_t r = random_next(state);
        memcpy(out + at, &r, size - at < 8 ? size - at : 8);
    }
}

/* Key i. What is random in it begins with 8 bytes that are a bijection of i, so that no two keys
 * are the same. */
static size_t key_make(enum keys kind, uint64_t i, uint8_t *out)
{
    uint64_t state = i * 2 + kind;
    size_t size = 16;
    switch (kind) {
    case KEYS_RANDOM: put_random(out, 16, &state); return 16;
    case KEYS_PREFIX8:
        memcpy(out, "account:", 8);
        put_random(out + 8, 8, &state);
        return 16;
    case KEYS_PREFIX40:
        memcpy(out, "tenant/0000000000000042/orders/by-token/", 40);
        put_random(out + 40, 16, &state);
        return 56;
    case KEYS_PATHS: return path_make(i, out);
    case KEYS_INTEGERS:
        for (int b = 0; b < 8; b++)
            out[b] = (uint8_t)(i >> (56 - 8 * b));
        return 8;
    case KEYS_LENGTHS:
        size = 8 + i % 57;
        put_random(out, size, &state);
        return size;
    case KEYS_KINDS: break;
    }
    die("no such keys");
}

/* ---- entries --------------------------------------------------------------------------------- */

void entries_init(struct entries *e, size_t count, enum keys kind)
{
    uint8_t key[KEY_MAX];
    uint64_t state = 1, room = 0;
    if (kind == KEYS_PATHS)
        paths_find(count);
    for (size_t i = 0; i < count; i++)
        room += key_make(kind, i, key);
    e->count = count;
    e->bytes = allocate(room);
    e->at = allocate((count + 1) * sizeof(*e->at));
    for (size_t i = 0; i < count; i++) {
        size_t size = key_make(kind, i, key);
        memcpy(e->bytes + e->at[i], key, size);
        e->at[i + 1] = e->at[i] + size;
    }
    paths_free();
    e->sorted = order_new(count);
    comparing = e;
    qsort(e->sorted, count, sizeof(*e->sorted), compare);
    e->shuffled = order_new(count);
    shuffle(e->shuffled, count, 2);
    e->probes = order_new(count);
    shuffle(e->probes, count, 3);
    e->pool = allocate(POOL_SIZE);
    put_random(e->pool, POOL_SIZE, &state);
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
