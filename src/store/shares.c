/* SPDX-License-Identifier: MIT */
#include "store/shares.h"

#include <inttypes.h>

#include "base/hash.h"
#include "store/walk.h"
#include "tree/edit.h"

static const uint8_t map_name[] = {RMT_MAP_SHARES, 0};

/* ---- the map --------------------------------------------------------------------------------- */

static int load(struct rmt_pages *pages, const struct rmt_tree *maps, struct rmt_tree *out)
{
    struct rmt_value record;
    *out = (struct rmt_tree){.fixed = true};
    int rc = rmt_tree_get(pages, maps, rmt_slice(map_name, 1), &record);
    if (rc == 0)
        rc = rmt_map_load(pages, &record, RMT_ID_MAX, out);
    out->fixed = true;
    return rc;
}

int rmt_shares_load(struct rmt_pages *pages, struct rmt_ref root, struct rmt_tree *out)
{
    const struct rmt_tree maps = {.root = root, .fixed = true};
    int rc = load(pages, &maps, out);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

/* Of a read transaction it is not listed with the other maps: threads that compare versions come by
 * at any time. */
static int find(struct ramet_txn *txn)
{
    rmt_lock_scope(&txn->arena_lock);
    if (txn->shares)
        return 0;
    struct rmt_tree tree;
    int rc = load(&txn->store->pages, &txn->maps_tree, &tree);
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rc;
    struct ramet_map *map = calloc(1, sizeof(*map) + sizeof(map_name));
    if (!map)
        return rmt_fail(-ENOMEM, "a map of shared pages");
    memcpy(map->name, map_name, sizeof(map_name));
    map->txn = txn;
    map->tree = tree;
    map->tree.fixed = !txn->writing;
    map->exists = rc == 0;
    if (txn->writing) {
        map->next = txn->maps;
        txn->maps = map;
    }
    txn->shares = map;
    return 0;
}

int rmt_shares_of(struct ramet_txn *txn, const struct rmt_tree **out)
{
    int rc = find(txn);
    if (rc == 0)
        *out = &txn->shares->tree;
    return rc;
}

void rmt_shares_again(struct ramet_txn *txn, const struct ramet_txn *committed)
{
    const struct rmt_tree *tree = &committed->shares->tree;
    rmt_tree_set(&txn->shares->tree, tree->root, tree->count);
    txn->shares->exists = committed->shares->exists;
}

int rmt_shares_open(struct ramet_txn *txn, struct ramet_map **out)
{
    return rmt_map_open(txn, RMT_MAP_SHARES, "", RAMET_CREATE, out);
}

int rmt_shares_next(struct ramet_txn *txn, uint64_t *out)
{
    struct rmt_cursor cursor;
    struct ramet_slice key;
    rmt_cursor_init(&cursor, &txn->store->pages, &txn->shares->tree);
    int rc = rmt_cursor_last(&cursor);
    if (rc == 0)
        rc = rmt_cursor_get(&cursor, &key, NULL);
    uint64_t last = 0;
    if (rc == 0 && key.size == RMT_SHARE_KEY_SIZE) /* pages come behind counts */
        last = rmt_get_be64((const uint8_t *)key.data + 1);
    rmt_cursor_fini(&cursor);
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rc;
    *out = last < RMT_SHARED_MAX ? last + 1 : 0;
    return 0;
}

/* ---- counting -------------------------------------------------------------------------------- */

/* Where, in the order of numbers, a run of references begins or ends. */
struct turn {
    uint64_t number;
    int64_t change; /* of what each number from here on has more */
    int runs;       /* and how many runs more it is in */
};

static int by_number(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static int bad_count(const struct ramet_map *shares, uint64_t number)
{
    return rmt_fail(RAMET_ECORRUPT,
                    "store '%s': shared page %" PRIu64 " of branch '%s' has another count than "
                    "references: ramet check tells more",
                    shares->txn->store->io->path, number, shares->txn->ref);
}

static int get_count(const struct ramet_map *shares, uint64_t number, int64_t *out)
{
    uint8_t key[RMT_SHARE_KEY_SIZE];
    struct rmt_value value;
    int rc = rmt_tree_get(&shares->txn->store->pages, &shares->tree,
                          rmt_share_key(key, RMT_SHARE_COUNT, number), &value);
    *out = 0;
    if (rc == RAMET_ENOTFOUND)
        return 0;
    if (rc < 0)
        return rc;
    uint64_t count = 0;
    if (!value.extents && value.size == sizeof(rmt_le64))
        count = rmt_get64(*(const rmt_le64 *)value.data);
    if (count < 1 || count > INT64_MAX)
        return bad_count(shares, number);
    *out = (int64_t)count;
    return 0;
}

/* One page has so many references more or fewer; or as many as before, if any. */
static int count(struct ramet_map *shares, uint64_t number, int64_t change)
{
    struct rmt_edit *edit = &shares->txn->edit;
    uint8_t key[RMT_SHARE_KEY_SIZE];
    int64_t before, after;
    int rc = get_count(shares, number, &before);
    if (rc < 0)
        return rc;
    if (!rmt_add(before, change, &after) || after < 0)
        return bad_count(shares, number);
    if (after == before && after != 0)
        return 0;
    struct rmt_value page;
    if (before == 0)
        rc = rmt_tree_get(edit->pages, &shares->tree, rmt_share_key(key, RMT_SHARE_PAGE, number),
                          &page);
    if (rc < 0)
        return rc == RAMET_ENOTFOUND ? bad_count(shares, number) : rc;
    shares->changed = true;
    if (after > 0) {
        rmt_le64 disk = rmt_put64((uint64_t)after);
        return rmt_tree_put(edit, &shares->tree, rmt_share_key(key, RMT_SHARE_COUNT, number),
                            rmt_slice(&disk, sizeof(disk)), 0);
    }
    rc = rmt_tree_del(edit, &shares->tree, rmt_share_key(key, RMT_SHARE_PAGE, number));
    if (rc == 0 && before)
        rc = rmt_tree_del(edit, &shares->tree, rmt_share_key(key, RMT_SHARE_COUNT, number));
    return rc == RAMET_ENOTFOUND ? bad_count(shares, number) : rc;
}

/* Counts the numbers of all runs. */
static int count_all(struct ramet_map *shares, const struct turn *turns, size_t nr)
{
    int64_t change = 0, runs = 0;
    int rc = 0;
    for (size_t i = 0; i + 1 < nr; i++) {
        change += turns[i].change;
        runs += turns[i].runs;
        for (uint64_t n = turns[i].number; runs && n < turns[i + 1].number; n++) {
            rc = count(shares, n, change);
            if (rc < 0)
                return rc;
        }
    }
    return rc;
}

static int count_runs(struct ramet_txn *txn, const struct rmt_run *runs, size_t nr)
{
    struct ramet_map *shares;
    int rc = rmt_shares_open(txn, &shares);
    if (rc < 0)
        return rc;
    rmt_auto(free) struct turn *turns = calloc(nr, 2 * sizeof(*turns));
    if (!turns)
        return rmt_fail(-ENOMEM, "counting references to shared pages");
    for (size_t i = 0; i < nr; i++) {
        int64_t change = runs[i].birth == RMT_REFS_MADE ? 1 : -1;
        turns[2 * i] = (struct turn){runs[i].addr, change, 1};
        turns[2 * i + 1] = (struct turn){runs[i].addr + runs[i].len, -change, -1};
    }
    qsort(turns, 2 * nr, sizeof(*turns), by_number);
    rc = count_all(shares, turns, 2 * nr);
    return rc == 0 && shares->tree.count == 0 ? rmt_map_drop(txn, shares) : rc;
}

static int settle_from(struct ramet_txn *txn, size_t from)
{
    struct rmt_edit *edit = &txn->edit;
    if (edit->refs.count <= from)
        return 0;
    int rc = count_runs(txn, edit->refs.items + from, edit->refs.count - from);
    if (rc < 0)
        txn->failed = true; /* some are counted */
    else
        edit->refs.count = from;
    return rc;
}

int rmt_shares_count(struct ramet_txn *txn, size_t runs_max)
{
    size_t runs = txn->edit.refs.count - txn->edit.refs_floor;
    return runs > runs_max ? settle_from(txn, txn->edit.refs_floor) : 0;
}

int rmt_shares_settle(struct ramet_txn *txn)
{
    txn->urgent = true;
    int rc = settle_from(txn, 0);
    txn->urgent = false;
    return rc;
}

/* ---- checking -------------------------------------------------------------------------------- */

static uint64_t hash(uint64_t number, uint64_t seed)
{
    return rmt_hash(&number, sizeof(number), seed);
}

bool rmt_shares_sum(const struct rmt_pages *pages, const struct rmt_disk_node *leaf, int kind,
                    const uint64_t seeds[2], uint64_t *out)
{
    bool good = true;
    *out = 0;
    for (uint32_t i = 0; i < rmt_node_size(leaf); i++) {
        uint8_t key[RAMET_KEY_MAX];
        struct rmt_value value;
        rmt_node_value(leaf, pages->page_size, i, &value);
        if (kind != RMT_MAP_SHARES) {
            bool shared = rmt_value_shared(&value);
            if (shared)
                *out += hash(rmt_ref_load(value.data).addr, seeds[1]);
            good &= !shared || kind == RMT_MAP_BLOB;
            continue;
        }
        size_t size = rmt_node_key(leaf, pages->page_size, i, key);
        uint64_t number = size == RMT_SHARE_KEY_SIZE ? rmt_get_be64(key + 1) : 0, count = 0;
        bool page = value.extents && value.size == RMT_PAGE_RECORD_SIZE;
        if (number && key[0] == RMT_SHARE_PAGE && page && !rmt_value_shared(&value)) {
            *out += hash(number, seeds[0]);
            continue;
        }
        if (key[0] == RMT_SHARE_COUNT && !value.extents && value.size == sizeof(rmt_le64))
            count = rmt_get64(*(const rmt_le64 *)value.data);
        good &= number && count && count <= INT64_MAX;
        *out -= hash(number, seeds[0]) + count * hash(number, seeds[1]);
    }
    return good;
}
