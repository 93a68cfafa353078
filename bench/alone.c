/* SPDX-License-Identifier: MIT */
#include "alone.h"

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
