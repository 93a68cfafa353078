/* SPDX-License-Identifier: MIT */
/*
 * optimistic.c - transactions that take their branch's lock when they commit.
 *
 * Until then it is a draft on the head that it began at, which its reader slot holds. What it
 * writes and guards is noted in maps of the draft itself, two for each map of the user's, so that
 * savepoints and large transactions are no matter:
 *
 *   RMT_MAP_KEYS    key -> enum rmt_note_kind
 *   RMT_MAP_RANGES  number, ascending -> kind, size of from, from, to
 *
 * Committing begins an ordinary transaction. If its head is still the one of the draft, the draft
 * takes its place. Else what was noted is compared, old head and new; if none of it differs what
 * was written is written again, on the new head, one entry after the other.
 */
#include <inttypes.h>
#include <stdio.h>

#include "store/shares.h"
#include "store/walk.h"
#include "store/writers.h"
#include "tree/diff.h"
#include "tree/parts.h"

/* ---- notes ----------------------------------------------------------------------------------- */

/* The map that has the notes of a map. */
static int notes_of(struct ramet_map *map, int kind, struct ramet_map **notes)
{
    if (*notes && (*notes)->exists)
        return 0;
    return rmt_map_open(map->txn, kind, map->name, RAMET_CREATE, notes);
}

static int put_note(struct ramet_map *notes, struct ramet_slice key, struct ramet_slice note)
{
    int rc = rmt_tree_put(&notes->txn->edit, &notes->tree, key, note, 0);
    notes->changed |= rc == 0;
    return rc;
}

int rmt_optimistic_note(struct ramet_map *map, struct ramet_slice key, enum rmt_note_kind kind)
{
    const uint8_t note = (uint8_t)kind;
    int rc = notes_of(map, RMT_MAP_KEYS, &map->keys);
    if (rc < 0)
        return rc;
    if (kind == RMT_NOTE_GUARDED) { /* it may be written, which is more */
        struct rmt_value there;
        rc = rmt_tree_get(&map->txn->store->pages, &map->keys->tree, key, &there);
        if (rc != RAMET_ENOTFOUND)
            return rc;
    }
    return put_note(map->keys, key, rmt_slice(&note, 1));
}

/* A note of a range, before its bounds. */
struct range_note {
    size_t from_size;
    uint8_t kind;
};

int rmt_optimistic_note_range(struct ramet_map *map, struct ramet_slice from, struct ramet_slice to,
                              enum rmt_note_kind kind)
{
    const struct range_note head = {.from_size = from.size, .kind = (uint8_t)kind};
    size_t size;
    int rc = notes_of(map, RMT_MAP_RANGES, &map->ranges);
    if (rc < 0)
        return rc;
    rmt_auto(free) uint8_t *note = NULL;
    if (!rmt_add(from.size, to.size, &size) || !rmt_add(size, sizeof(head), &size) ||
        !(note = malloc(size)))
        return rmt_fail(-ENOMEM, "a range");
    memcpy(note, &head, sizeof(head));
    if (from.size)
        memcpy(note + sizeof(head), from.data, from.size);
    if (to.size)
        memcpy(note + sizeof(head) + from.size, to.data, to.size);
    uint8_t number[8];
    rmt_put_be64(number, map->ranges->tree.count);
    return put_note(map->ranges, rmt_slice(number, sizeof(number)), rmt_slice(note, size));
}

void rmt_optimistic_unnote_range(struct ramet_map *map)
{
    uint8_t number[8];
    rmt_put_be64(number, map->ranges->tree.count - 1);
    /* Else it would be deleted when the transaction commits. */
    if (rmt_tree_del(&map->txn->edit, &map->ranges->tree, rmt_slice(number, sizeof(number))) < 0)
        map->txn->failed = true;
}

/* One note after the other. */
struct notes {
    struct rmt_pages *pages;
    struct rmt_cursor cursor;
    struct rmt_arena arena;
    bool open;
    uint8_t kind;
    struct ramet_slice key;      /* of RMT_MAP_KEYS */
    struct ramet_slice from, to; /* of RMT_MAP_RANGES */
};

/* notes: may be NULL. */
static void notes_init(struct notes *it, struct ramet_map *notes)
{
    memset(it, 0, sizeof(*it));
    it->open = notes && notes->exists;
    if (!it->open)
        return;
    it->pages = &notes->txn->store->pages;
    rmt_cursor_init(&it->cursor, it->pages, &notes->tree);
}

static void notes_fini(struct notes *it)
{
    rmt_arena_fini(&it->arena);
    if (it->open)
        rmt_cursor_fini(&it->cursor);
}
RMT_AUTO_VALUE(notes_fini, struct notes)

/* 1: a note is at hand; 0: there are no more; or a code. */
static int next_note(struct notes *it, struct ramet_slice *note)
{
    struct rmt_value value;
    int rc = it->open ? rmt_cursor_next(&it->cursor) : RAMET_ENOTFOUND;
    if (rc == 0)
        rc = rmt_cursor_get(&it->cursor, &it->key, &value);
    if (rc == 0)
        rc = rmt_value_slice(it->pages, &value, &it->arena, note);
    return rc == RAMET_ENOTFOUND ? 0 : rc < 0 ? rc : 1;
}

static int next_key(struct notes *it)
{
    struct ramet_slice note;
    int rc = next_note(it, &note);
    if (rc == 1)
        it->kind = *(const uint8_t *)note.data;
    return rc;
}

static int next_range(struct notes *it)
{
    struct ramet_slice note;
    struct range_note head;
    int rc = next_note(it, &note);
    if (rc != 1)
        return rc;
    const uint8_t *bounds = (const uint8_t *)note.data + sizeof(head);
    memcpy(&head, note.data, sizeof(head));
    it->kind = head.kind;
    it->from = rmt_slice(bounds, head.from_size);
    it->to = rmt_slice(bounds + head.from_size, note.size - sizeof(head) - head.from_size);
    return 1;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* A map, as the version has it that a transaction began at. */
struct was {
    struct rmt_tree tree; /* empty if it was not there */
    struct rmt_tree shares;
    bool exists;
};

static int find_was(const struct ramet_txn *txn, const char *name, struct was *out)
{
    const struct rmt_tree maps = {.root = txn->version.root, .fixed = true};
    struct rmt_pages *pages = &txn->store->pages;
    struct rmt_value record;
    *out = (struct was){.tree = {.fixed = true}};
    int rc = rmt_tree_get(pages, &maps, rmt_slice(name, strlen(name)), &record);
    if (rc == 0)
        rc = rmt_map_load(pages, &record, RMT_ID_MAX, &out->tree);
    out->exists = rc == 0;
    if (rc == 0 && name[0] == RMT_MAP_BLOB)
        rc = rmt_shares_load(pages, txn->version.root, &out->shares);
    out->tree.shares = &out->shares;
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

static bool of_user(const struct ramet_map *map)
{
    return (uint8_t)map->name[0] >= 0x20;
}
static int conflict(const struct ramet_map *map, struct ramet_slice key)
{
    const char *changed = "it changed on branch";
    char buf[RMT_SHOWN_SIZE];
    if (map->name[0] != RMT_MAP_BLOB)
        return rmt_fail(RAMET_ECONFLICT, "map '%s', key '%s': %s '%s' since the transaction began",
                        map->name, rmt_map_shown(key, buf), changed, map->txn->ref);
    if (key.size != sizeof(uint64_t))
        return rmt_fail(RAMET_ECONFLICT, "blob '%s', its size: %s '%s' since the transaction began",
                        map->name + 1, changed, map->txn->ref);
    return rmt_fail(RAMET_ECONFLICT,
                    "blob '%s', byte %" PRIu64 ": %s '%s' since the transaction "
                    "began",
                    map->name + 1, rmt_get_be64(key.data) << map->txn->store->pages.page_shift,
                    changed, map->txn->ref);
}

static int map_conflict(const struct ramet_map *map, bool dropped)
{
    return rmt_fail(RAMET_ECONFLICT,
                    "%s '%s': it was %s on branch '%s' since the transaction began",
                    rmt_map_kind(map->name), rmt_map_plain(map->name),
                    dropped ? "dropped" : "created", map->txn->ref);
}

static int check_key(const struct ramet_map *map, struct ramet_slice key, const struct was *base,
                     const struct was *head)
{
    struct rmt_pages *pages = &map->txn->store->pages;
    struct rmt_value a, b;
    int was = rmt_tree_get(pages, &base->tree, key, &a);
    int is = rmt_tree_get(pages, &head->tree, key, &b);
    if (was < 0 && was != RAMET_ENOTFOUND)
        return was;
    if (is < 0 && is != RAMET_ENOTFOUND)
        return is;
    int rc = was == is;
    if (was == 0 && is == 0)
        rc = rmt_value_equal(pages, &a, &b);
    return rc < 0 ? rc : rc ? 0 : conflict(map, key);
}

static int check_range(const struct ramet_map *map, const struct notes *range,
                       const struct was *base, const struct was *head)
{
    struct rmt_diff diff;
    struct ramet_slice key;
    struct rmt_value a, b;
    rmt_diff_init(&diff, &map->txn->store->pages, &base->tree, &head->tree, range->from, range->to);
    int rc = rmt_diff_next(&diff, &key, &a, &b);
    return rc == 1 ? conflict(map, key) : rc;
}

/* Nothing that was noted of a map differs between the two heads. */
static int check_map(const struct ramet_map *map, const struct ramet_txn *txn)
{
    struct was base, head;
    int rc = find_was(map->txn, map->name, &base);
    if (rc == 0)
        rc = find_was(txn, map->name, &head);
    bool same = base.exists == head.exists;
    if (rc < 0 || (same && rmt_ref_equal(base.tree.root, head.tree.root)))
        return rc;
    bool gone = base.exists && !head.exists;
    rmt_auto(notes_fini) struct notes ranges, keys;
    notes_init(&ranges, map->ranges);
    notes_init(&keys, map->keys);
    while ((rc = next_range(&ranges)) > 0) {
        if (ranges.kind == RMT_NOTE_DROPPED && !same)
            return map_conflict(map, gone);
        if (ranges.kind != RMT_NOTE_GUARDED && gone)
            return map_conflict(map, true);
        rc = check_range(map, &ranges, &base, &head);
        if (rc < 0)
            return rc;
    }
    while (rc == 0 && (rc = next_key(&keys)) > 0) {
        if (keys.kind != RMT_NOTE_GUARDED && gone)
            return map_conflict(map, true);
        rc = check_key(map, keys.key, &base, &head);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* 1 if a draft differs from the version that it began at. */
static int wrote(const struct ramet_txn *draft)
{
    for (const struct ramet_map *map = draft->maps; map; map = map->next) {
        struct was base;
        if (!of_user(map))
            continue;
        int rc = find_was(draft, map->name, &base);
        if (rc < 0)
            return rc;
        if (map->exists != base.exists ||
            (map->exists && !rmt_ref_equal(map->tree.root, base.tree.root)))
            return 1;
    }
    return 0;
}

/* Of a value that is written in parts. */
struct part_target {
    struct ramet_map *map;
    struct ramet_slice key;
};

static int write_part(void *ctx, uint64_t off, struct ramet_slice bytes)
{
    const struct part_target *to = ctx;
    return ramet_write(to->map, to->key, off, bytes.data, bytes.size);
}

/* Of a value in parts what was written. The rest is there: it is the value that it had when the
 * draft began, and nobody has changed it; or it never was, and then all was written. */
static int write_parts(struct ramet_map *to, struct ramet_slice key, const struct rmt_private *own)
{
    struct part_target target = {to, key};
    const struct rmt_parts *parts = rmt_parts_of(own);
    struct rmt_pages *pages = &to->txn->store->pages;
    struct rmt_disk_extents record;
    struct rmt_value value = rmt_extents_private(&record, own);
    int rc = parts->nr_file ? 0 : ramet_put(to, key, rmt_slice("", 0), 0);
    for (uint32_t i = 0; i < parts->count && rc == 0; i++) {
        const struct rmt_part *part = &parts->items[i];
        if (!rmt_part_in_file(part))
            rc = rmt_value_each(pages, &value, part->first << pages->page_shift,
                                (uint64_t)part->pages << pages->page_shift, write_part, &target);
    }
    return rc;
}

/* An entry becomes what it is in the draft. */
static int write_key(struct ramet_map *from, struct ramet_map *to, struct ramet_slice key)
{
    struct rmt_value value;
    int rc = rmt_tree_get(&from->txn->store->pages, &from->tree, key, &value);
    if (rc == RAMET_ENOTFOUND) {
        rc = ramet_del(to, key);
        return rc == RAMET_ENOTFOUND ? 0 : rc;
    }
    if (rc < 0)
        return rc;
    struct ramet_slice bytes = rmt_slice(value.data, value.size);
    if (value.extents) {
        const struct rmt_private *own = rmt_extents_value(&value);
        if (!own && value.size != RMT_PAGE_RECORD_SIZE)
            return 0; /* its put failed: it is what it was, here and there */
        if (own && own->whole)
            return write_parts(to, key, own);
        if (own)
            bytes = rmt_slice(rmt_private_bytes(own), rmt_private_size(&from->txn->edit, own));
        else /* one that was copied may be anybody's */
            rc = rmt_value_slice(&from->txn->store->pages, &value, &from->txn->arena, &bytes);
        if (rc < 0)
            return rc;
    }
    return ramet_put(to, key, bytes, 0);
}

static int open_once(struct ramet_map *from, struct ramet_txn *txn, unsigned flags,
                     struct ramet_map **to)
{
    return *to ? 0 : rmt_map_open(txn, 0, from->name, flags, to);
}

static int write_map(struct ramet_map *map, struct ramet_txn *txn)
{
    struct ramet_map *to = NULL;
    struct was base;
    int rc = find_was(map->txn, map->name, &base);
    if (rc == 0 && map->exists != base.exists)
        rc = open_once(map, txn, map->exists ? RAMET_CREATE : 0, &to);
    if (rc < 0 || !map->exists)
        return rc == 0 && to ? rmt_map_drop(txn, to) : rc;
    rmt_auto(notes_fini) struct notes ranges, keys;
    notes_init(&ranges, map->ranges);
    notes_init(&keys, map->keys);
    /* What was written into a range, before or after, is noted too. */
    while (rc == 0 && (rc = next_range(&ranges)) > 0) {
        rc = 0;
        if (ranges.kind == RMT_NOTE_GUARDED)
            continue;
        rc = open_once(map, txn, 0, &to);
        if (rc == 0)
            rc = ramet_del_range(to, ranges.from, ranges.to, NULL);
    }
    while (rc == 0 && (rc = next_key(&keys)) > 0) {
        rc = 0;
        if (keys.kind == RMT_NOTE_GUARDED)
            continue;
        rc = open_once(map, txn, 0, &to);
        if (rc == 0)
            rc = write_key(map, to, keys.key);
    }
    return rc;
}

/* ---- committing ------------------------------------------------------------------------------ */

/* Nothing that was noted differs on the head that txn began at. */
static int check(const struct ramet_txn *draft, const struct ramet_txn *txn)
{
    int rc = 0;
    for (const struct ramet_map *map = draft->maps; map && rc == 0; map = map->next)
        rc = of_user(map) ? check_map(map, txn) : 0;
    return rc;
}

/* What was written, on the new head. */
static int write_all(struct ramet_txn *draft, struct ramet_txn *txn)
{
    int rc = 0;
    for (struct ramet_map *map = draft->maps; map && rc == 0; map = map->next)
        rc = of_user(map) ? write_map(map, txn) : 0;
    return rc;
}

/* Of a draft that is one no more. */
static int drop_notes(struct ramet_txn *draft)
{
    int rc = 0;
    for (struct ramet_map *map = draft->maps; map && rc == 0; map = map->next) {
        bool notes = map->name[0] == RMT_MAP_KEYS || map->name[0] == RMT_MAP_RANGES;
        rc = notes && map->exists ? rmt_map_drop(draft, map) : 0;
    }
    return rc;
}

/* txn has just begun on the branch. */
static int land(struct ramet_txn *draft, struct ramet_txn *txn, const struct ramet_keep *keep,
                uint64_t *out_id)
{
    if (txn->branch != draft->branch)
        return rmt_fail(RAMET_ENOTFOUND,
                        "branch '%s' was deleted, and made anew, since the transaction began",
                        draft->ref);
    bool moved = txn->version.id != draft->version.id ||
                 !rmt_ref_equal(txn->version.root, draft->version.root);
    int rc = moved ? check(draft, txn) : 0;
    bool writing = rc == 0 && (rc = wrote(draft)) > 0;
    if (rc < 0)
        return rc;
    if (writing && !moved) {
        rc = rmt_txn_replace(draft, txn);
        if (rc == 0) {
            rc = drop_notes(draft);
            return rc < 0 ? rc : rmt_txn_commit(draft, keep, NULL, out_id);
        }
        if (rc != -ENOSPC && rc != -EDQUOT) /* deletes may use what is kept for them */
            return rc;
    }
    rc = writing ? write_all(draft, txn) : 0;
    return rc < 0 ? rc : rmt_txn_commit(txn, keep, NULL, out_id);
}

int rmt_optimistic_commit(struct ramet_txn *draft, const struct ramet_keep *keep, uint64_t *out_id)
{
    struct ramet_txn *txn;
    int rc = rmt_store_usable(draft->store);
    if (rc < 0)
        return rc;
    if (draft->failed)
        return rmt_fail(RAMET_ETXN,
                        "an earlier write of this transaction failed: nothing is committed");
    *out_id = draft->version.id;
    if (!keep && !rmt_maps_changed(draft))
        return 0;
    rc = ramet_begin(draft->store, draft->ref,
                     RAMET_WRITE | (draft->nowait ? (unsigned)RAMET_NOWAIT : 0), &txn);
    if (rc < 0)
        return rc;
    rc = land(draft, txn, keep, out_id);
    uint64_t group = rc == RAMET_ECONFLICT ? rmt_branch_group(draft->store, draft->branch) : 0;
    ramet_abort(txn);
    if (group) /* who tries again is to see what it conflicts with, which waits for its flush */
        rmt_commit_wait(draft->store, group);
    return rc;
}
