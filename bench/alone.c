/* SPDX-License-Identifier: MIT */
#include "alone.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define PIECE ((size_t)1 << 20)

void must(int64_t rc)
{
    if (rc < 0)
        die("ramet: %s", ramet_errmsg());
}

struct ramet_store *open_unflushed(const char *path)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    struct ramet_store *store;
    must(ramet_open(path, &options, &store));
    return store;
}

void write_some(struct ramet_store *store, const char *branch, const struct entries *e, size_t at,
                size_t step, size_t count, uint32_t salt)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "bench", RAMET_CREATE, &map));
    for (size_t n = 0; n < count && at < e->count; n++, at += step) {
        uint32_t i = e->shuffled[at];
        struct ramet_slice k = {entry_key(e, i), entry_key_size(e, i)};
        struct ramet_slice v = {entry_value(e, i, salt), VALUE_SIZE};
        must(ramet_put(map, k, v, 0));
    }
    must(ramet_commit(txn, NULL, NULL));
}

static uint64_t random_state = 1;

uint64_t some(uint64_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (random_state >> 33) % below;
}

void open_blob(struct ramet_store *store, const char *ref, unsigned flags, struct ramet_txn **txn,
               struct ramet_blob **blob)
{
    must(ramet_begin(store, ref, flags, txn));
    must(ramet_blob_open(*txn, "image", flags & RAMET_WRITE ? RAMET_CREATE : 0, blob));
}

void make_image(struct ramet_store *store, uint64_t data, uint64_t size)
{
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    uint64_t *piece = allocate(PIECE);
    for (size_t i = 0; i < PIECE / 8; i++)
        piece[i] = some(UINT32_MAX) + 1;
    open_blob(store, "main", RAMET_WRITE, &txn, &blob);
    must(ramet_blob_truncate(blob, size));
    for (uint64_t off = 0; off < data; off += PIECE) {
        for (size_t i = 0; i < PIECE / 8; i += PAGE / 8)
            piece[i] = off + i + 1;
        must(ramet_blob_write(blob, off, piece, PIECE));
    }
    must(ramet_commit(txn, NULL, NULL));
    must(ramet_sync(store));
    free(piece);
}

void wall(struct result *out, double ns)
{
    *out = (struct result){.wall_ns = ns, .median_ns = ns};
}

void write_pages(struct ramet_store *store, const char *branch, const char *from, uint64_t bytes,
                 size_t count)
{
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    uint64_t page[PAGE / 8];
    memset(page, 7, sizeof(page));
    must(ramet_branch_create(store, branch, from));
    open_blob(store, branch, RAMET_WRITE, &txn, &blob);
    for (size_t i = 0; i < count; i++) {
        page[0] = some(UINT32_MAX);
        must(ramet_blob_write(blob, some(bytes / PAGE) * PAGE, page, PAGE));
    }
    must(ramet_commit(txn, NULL, NULL));
}
