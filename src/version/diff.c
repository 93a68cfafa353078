/* SPDX-License-Identifier: MIT */
/*
 * diff.c - ramet_diff_*(): how two versions differ.
 *
 * Two walks, one in the other: over the trees of maps, and over the trees of a map that is not the
 * same in both (tree/diff.h).
 *
 *           begin_map                    entries are done            end_map
 *   names ------------> in a map ----------------------> behind it ----------> names
 */
#include "tree/diff.h"

#include <inttypes.h>

#include "store/shares.h"
#include "store/walk.h"

struct ramet_diff {
    struct ramet_txn *txns[2]; /* old; NULL: nothing. new */
    struct ramet_diff_options options;
    struct rmt_pages *pages;
    struct ramet_slice from, to;
    uint8_t above[RAMET_KEY_MAX]; /* what to is, of a prefix */
    struct rmt_diff names;
    struct rmt_diff entries;
    bool in_map, created, dropped;
    char map[RAMET_NAME_MAX + 1];
    struct rmt_arena arena; /* large values of one difference */
    struct ramet_diff_stat stat;
    uint64_t pages_before; /* of maps that are behind */
};

/* ---- opening --------------------------------------------------------------------------------- */

static int check_options(const struct ramet_diff_options *options)
{
    if (!rmt_known_size(options, struct ramet_diff_options) || options->size < sizeof(*options))
        return rmt_fail(-EINVAL, "ramet_diff_open: options->size is not set");
    if (options->flags & ~(unsigned)(RAMET_DIFF_KEYS | RAMET_DIFF_BLOBS))
        return rmt_fail(-EINVAL, "ramet_diff_open: unknown flags");
    if (options->prefix.size && (options->from.size || options->to.size))
        return rmt_fail(-EINVAL, "ramet_diff_open: a prefix as well as bounds");
    if (rmt_max(options->prefix.size, rmt_max(options->from.size, options->to.size)) >
        RAMET_KEY_MAX)
        return rmt_fail(-EINVAL, "ramet_diff_open: a key has at most %u bytes", RAMET_KEY_MAX);
    return options->map ? rmt_map_name_check(options->map) : 0;
}

/* Keys that begin with a prefix are those from it on, and below the next string that has as many
 * bytes, or fewer. */
static void set_bounds(struct ramet_diff *diff)
{
    struct ramet_slice prefix = diff->options.prefix;
    diff->from = diff->options.from;
    diff->to = diff->options.to;
    if (!prefix.size)
        return;
    diff->from = prefix;
    memcpy(diff->above, prefix.data, prefix.size);
    while (prefix.size && diff->above[prefix.size - 1] == 0xff)
        prefix.size--;
    if (prefix.size)
        diff->above[prefix.size - 1]++;
    diff->to = rmt_slice(diff->above, prefix.size);
}

/* Maps that are open in a write transaction, and not yet in its tree of maps, are to be seen. */
static int note_maps(struct ramet_txn *txn)
{
    return txn && txn->writing ? rmt_maps_note(txn) : 0;
}

int ramet_diff_open(struct ramet_txn *from, struct ramet_txn *to,
                    const struct ramet_diff_options *options, struct ramet_diff **out)
{
    static const struct ramet_diff_options nothing = {.size = sizeof(nothing)};
    static const struct rmt_tree empty = {.fixed = true};
    static const uint8_t first = 0x20; /* names of users begin here */
    if (!to || !out || (from && from->store != to->store))
        return rmt_fail(-EINVAL, "ramet_diff_open: from, to or out");
    int rc = rmt_store_usable(to->store);
    if (rc == 0 && options)
        rc = check_options(options);
    if (rc == 0)
        rc = note_maps(from);
    if (rc == 0)
        rc = note_maps(to);
    if (rc < 0)
        return rc;
    struct ramet_diff *diff = calloc(1, sizeof(*diff));
    if (!diff)
        return rmt_fail(-ENOMEM, "a diff");
    diff->txns[0] = from;
    diff->txns[1] = to;
    diff->options = options ? *options : nothing;
    diff->pages = &to->store->pages;
    diff->stat.size = sizeof(diff->stat);
    set_bounds(diff);
    struct ramet_slice low = rmt_slice(&first, 1), high = {NULL, 0};
    if (diff->options.map) { /* and no other name: all that lie between have it as a prefix */
        low = rmt_slice(diff->options.map, strlen(diff->options.map));
        high = rmt_slice(diff->map, low.size + 1);
        memcpy(diff->map, low.data, low.size);
        diff->map[low.size] = 0;
    }
    rmt_diff_init(&diff->names, diff->pages, from ? &from->maps_tree : &empty, &to->maps_tree, low,
                  high);
    *out = diff;
    return 0;
}

/* ---- maps ------------------------------------------------------------------------------------ */

/* The tree of a map on one side. */
static int tree_of(struct ramet_diff *diff, size_t side, const struct rmt_value *record,
                   struct rmt_tree *out)
{
    struct ramet_txn *txn = diff->txns[side];
    struct ramet_map *map;
    *out = (struct rmt_tree){.count = 0};
    if (!record->data)
        return 0;
    if (!txn->writing) {
        int loaded = rmt_map_load(diff->pages, record, RMT_ID_MAX, out);
        bool blob = loaded == 0 && diff->map[0] == RMT_MAP_BLOB;
        return blob ? rmt_shares_of(txn, &out->shares) : loaded;
    }
    int rc = rmt_map_open(txn, 0, diff->map, 0, &map);
    if (rc == 0)
        *out = map->tree;
    return rc;
}

/* The next map that differs, and is to be listed. 1, 0 or a code. */
static int next_map(struct ramet_diff *diff, struct ramet_slice *name, struct rmt_value records[2])
{
    bool blobs = diff->options.flags & RAMET_DIFF_BLOBS || diff->options.map;
    int rc;
    do {
        rc = rmt_diff_next(&diff->names, name, &records[0], &records[1]);
    } while (rc > 0 && !blobs && *(const uint8_t *)name->data == RMT_MAP_BLOB);
    return rc;
}

/* 1: a map that differs is at hand; 0: there are no more. */
static int begin_map(struct ramet_diff *diff)
{
    struct ramet_slice name;
    struct rmt_value records[2];
    struct rmt_tree trees[2];
    int rc = next_map(diff, &name, records);
    if (rc <= 0)
        return rc;
    if (name.size > RAMET_NAME_MAX)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a map has too long a name",
                        diff->pages->io->path);
    memcpy(diff->map, name.data, name.size);
    diff->map[name.size] = 0;
    for (size_t i = 0; i < 2; i++) {
        rc = tree_of(diff, i, &records[i], &trees[i]);
        if (rc < 0)
            return rc;
    }
    diff->in_map = true;
    diff->created = !records[0].data;
    diff->dropped = !records[1].data;
    rmt_diff_init(&diff->entries, diff->pages, &trees[0], &trees[1], diff->from, diff->to);
    return 1;
}

static void end_map(struct ramet_diff *diff)
{
    diff->in_map = false;
    diff->pages_before += diff->entries.opened;
    diff->entries.opened = 0;
}

/* ---- differences ----------------------------------------------------------------------------- */

static int slice_of(struct ramet_diff *diff, const struct rmt_value *value, struct ramet_slice *out)
{
    *out = rmt_slice(NULL, 0);
    if (!value->data || diff->options.flags & RAMET_DIFF_KEYS)
        return 0;
    *out = rmt_slice(value->data, value->size);
    return value->extents ? rmt_value_slice(diff->pages, value, &diff->arena, out) : 0;
}

static int next_entry(struct ramet_diff *diff, struct ramet_change *change)
{
    struct rmt_value old, new;
    int rc = rmt_diff_next(&diff->entries, &change->key, &old, &new);
    if (rc <= 0)
        return rc;
    change->kind = !old.data ? RAMET_ADDED : new.data ? RAMET_CHANGED : RAMET_REMOVED;
    diff->stat.added += change->kind == RAMET_ADDED;
    diff->stat.changed += change->kind == RAMET_CHANGED;
    diff->stat.removed += change->kind == RAMET_REMOVED;
    struct ramet_slice values[2];
    rc = slice_of(diff, &old, &values[0]);
    if (rc == 0)
        rc = slice_of(diff, &new, &values[1]);
    if (rc < 0)
        return rc;
    change->old_value = values[0];
    change->new_value = values[1];
    return 1;
}

/* One step. 1: change is set; 0: there may be more; RAMET_ENOTFOUND: there is no more. */
static int step(struct ramet_diff *diff, struct ramet_change *change)
{
    if (!diff->in_map) {
        int rc = begin_map(diff);
        if (rc == 0)
            return RAMET_ENOTFOUND;
        if (rc < 0 || !diff->created)
            return rc < 0 ? rc : 0;
        diff->stat.maps_created++;
        change->kind = RAMET_MAP_CREATED;
        return 1;
    }
    int rc = next_entry(diff, change);
    if (rc != 0)
        return rc;
    end_map(diff);
    if (!diff->dropped)
        return 0;
    diff->stat.maps_dropped++;
    change->kind = RAMET_MAP_DROPPED;
    return 1;
}

int ramet_diff_next(struct ramet_diff *diff, struct ramet_change *out)
{
    if (!diff || !out || !rmt_known_size(out, struct ramet_change) || out->size < sizeof(*out))
        return rmt_fail(-EINVAL, "ramet_diff_next: diff, out or out->size");
    struct ramet_change change = {.size = sizeof(change), .map = diff->map};
    int rc = rmt_store_usable(diff->txns[1]->store);
    if (rc < 0)
        return rc;
    rmt_arena_fini(&diff->arena);
    while ((rc = step(diff, &change)) == 0)
        ;
    if (rc < 0 && rc != -EFBIG)
        return rc;
    *out = change; /* of -EFBIG too: who would know else which entry it is? */
    return rc < 0 ? rc : 0;
}

int ramet_diff_stat(const struct ramet_diff *diff, struct ramet_diff_stat *out)
{
    if (!diff || !out || !rmt_known_size(out, struct ramet_diff_stat) || out->size < sizeof(*out))
        return rmt_fail(-EINVAL, "ramet_diff_stat: diff, out or out->size");
    *out = diff->stat;
    out->pages = diff->names.opened + diff->entries.opened + diff->pages_before;
    return 0;
}

void ramet_diff_close(struct ramet_diff *diff)
{
    if (!diff)
        return;
    rmt_arena_fini(&diff->arena);
    free(diff);
}
