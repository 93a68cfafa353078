/* SPDX-License-Identifier: MIT */
/* conflicts.c - ramet_conflict_list(), ramet_conflict_resolve(): what merges left undecided. */
#include "version/merge.h"

/* The name of the user's map that a map of conflicts is of. 0: the map is none. */
static int name_of(const struct ramet_txn *txn, struct ramet_slice key,
                   char out[RAMET_NAME_MAX + 1])
{
    const uint8_t *bytes = key.data;
    if (bytes[0] != RMT_MAP_CONFLICTS)
        return 0;
    if (key.size - 1 > RAMET_NAME_MAX)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a map of conflicts has too long a name",
                        txn->store->io->path);
    memcpy(out, bytes + 1, key.size - 1);
    out[key.size - 1] = 0;
    return 1;
}

/* A copy of a record, to be freed, judged and decoded: both points into it. */
static int load(struct rmt_pages *pages, const struct rmt_value *value, void **out,
                struct ramet_conflict *both)
{
    uint64_t size = rmt_value_size(pages, value), at = 0;
    if (size > sizeof(struct rmt_disk_conflict) + 3 * RAMET_SLICE_MAX)
        return rmt_conflict_load(pages, rmt_slice(NULL, 0), both);
    rmt_auto(free) uint8_t *copy = malloc(size + 1);
    if (!copy)
        return rmt_fail(-ENOMEM, "a conflict");
    while (at < size) {
        int64_t n = rmt_value_read(pages, value, at, copy + at, size - at);
        if (n < 0)
            return (int)n;
        at += (uint64_t)n;
    }
    int rc = rmt_conflict_load(pages, rmt_slice(copy, size), both);
    if (rc == 0)
        *out = rmt_take(copy);
    return rc;
}

static int list_of(struct ramet_txn *txn, const char *name, ramet_conflict_fn fn, void *ctx)
{
    struct ramet_map *map;
    int rc = rmt_map_open(txn, RMT_MAP_CONFLICTS, name, 0, &map);
    if (rc < 0)
        return rc;
    struct rmt_cursor cursor;
    rmt_cursor_init(&cursor, &txn->store->pages, &map->tree);
    rc = rmt_cursor_first(&cursor);
    while (rc == 0) {
        rmt_auto(free) void *copy = NULL;
        struct ramet_conflict both = {.size = sizeof(both), .map = name};
        struct rmt_value value;
        rc = rmt_cursor_get(&cursor, &both.key, &value);
        if (rc == 0)
            rc = load(&txn->store->pages, &value, &copy, &both);
        if (rc == 0)
            rc = fn(ctx, &both);
        if (rc == 0)
            rc = rmt_cursor_next(&cursor);
    }
    rmt_cursor_fini(&cursor);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

int ramet_conflict_list(struct ramet_txn *txn, ramet_conflict_fn fn, void *ctx)
{
    if (!txn || !fn)
        return rmt_fail(-EINVAL, "ramet_conflict_list: txn or fn");
    const uint8_t first = RMT_MAP_CONFLICTS;
    struct rmt_cursor cursor;
    rmt_cursor_init(&cursor, &txn->store->pages, &txn->maps_tree);
    int rc = rmt_cursor_seek(&cursor, rmt_slice(&first, 1));
    while (rc == 0) {
        struct ramet_slice key;
        char name[RAMET_NAME_MAX + 1];
        rc = rmt_cursor_get(&cursor, &key, NULL);
        if (rc == 0)
            rc = name_of(txn, key, name);
        if (rc <= 0)
            break;
        rc = list_of(txn, name, fn, ctx);
        if (rc == 0)
            rc = rmt_cursor_next(&cursor);
    }
    rmt_cursor_fini(&cursor);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

/* Gives the entry the chosen one of the three values. */
static int choose(struct ramet_txn *txn, const char *name, const struct ramet_conflict *both,
                  int choice)
{
    struct ramet_slice value = choice == RAMET_RESOLVE_BASE   ? both->base
                               : choice == RAMET_RESOLVE_OURS ? both->ours
                                                              : both->theirs;
    struct ramet_map *map;
    int rc = rmt_map_open(txn, 0, name, value.data ? RAMET_CREATE : 0, &map);
    if (rc == 0)
        rc = value.data ? ramet_put(map, both->key, value, 0) : ramet_del(map, both->key);
    return rc == RAMET_ENOTFOUND && !value.data ? 0 : rc;
}

static int resolve(struct ramet_txn *txn, struct ramet_map *conflicts, const char *name,
                   struct ramet_slice key, int choice)
{
    struct rmt_pages *pages = &txn->store->pages;
    struct ramet_conflict both = {.size = sizeof(both), .map = name, .key = key};
    struct rmt_value value;
    int rc = rmt_tree_get(pages, &conflicts->tree, key, &value);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "%s '%s': there is no conflict of that key", rmt_map_kind(name),
                        rmt_map_plain(name));
    if (rc < 0)
        return rc;
    rmt_auto(free) void *copy = NULL; /* the page it is in may be written anew */
    if (choice != RAMET_RESOLVE_AS_IS) {
        rc = load(pages, &value, &copy, &both);
        if (rc == 0)
            rc = choose(txn, name, &both, choice);
    }
    if (rc == 0)
        rc = ramet_del(conflicts, key);
    if (rc == 0 && conflicts->tree.count == 0)
        rc = rmt_map_drop(txn, conflicts);
    return rc;
}

int ramet_conflict_resolve(struct ramet_txn *txn, const char *map, struct ramet_slice key,
                           int choice)
{
    if (!txn || !map || choice < RAMET_RESOLVE_AS_IS || choice > RAMET_RESOLVE_THEIRS)
        return rmt_fail(-EINVAL, "ramet_conflict_resolve: txn, map or choice");
    if (!txn->writing || txn->failed)
        return rmt_fail(RAMET_ETXN, "ramet_conflict_resolve");
    if (txn->optimistic)
        return rmt_fail(RAMET_ETXN, "ramet_conflict_resolve in an optimistic transaction");
    int rc = rmt_map_name_check(map);
    if (rc < 0)
        return rc;
    if (key.size - 1 >= RAMET_KEY_MAX)
        return rmt_fail(-EINVAL, "a key has 1 to %u bytes", RAMET_KEY_MAX);
    struct ramet_map *conflicts;
    rc = rmt_map_open(txn, RMT_MAP_CONFLICTS, map, 0, &conflicts);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "%s '%s' has no conflicts", rmt_map_kind(map), rmt_map_plain(map));
    return rc < 0 ? rc : resolve(txn, conflicts, map, key, choice);
}
