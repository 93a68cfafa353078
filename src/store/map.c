/* SPDX-License-Identifier: MIT */
/* map.c - maps and cursors: the public calls on the trees of a transaction. */
#include <stdio.h>

#include "store/shares.h"
#include "store/walk.h"

/* ---- the records of maps --------------------------------------------------------------------- */

int rmt_map_find_tree(struct rmt_pages *pages, const struct rmt_tree *maps, const char *name,
                      struct rmt_tree *out)
{
    struct rmt_value value;
    int rc = rmt_tree_get(pages, maps, rmt_slice(name, strlen(name)), &value);
    return rc < 0 ? rc : rmt_map_load(pages, &value, RMT_ID_MAX, out);
}

static int find(struct ramet_txn *txn, const char *name, struct rmt_tree *out)
{
    return rmt_map_find_tree(&txn->store->pages, &txn->maps_tree, name, out);
}

struct ramet_slice rmt_map_record(const struct rmt_tree *tree, struct rmt_disk_map *buf)
{
    *buf = (struct rmt_disk_map){.count = rmt_put64(tree->count), .kind = rmt_put32(RMT_MAP_KIND)};
    rmt_ref_store(&buf->root, tree->root);
    return rmt_slice(buf, sizeof(*buf));
}

int rmt_map_put_record(struct rmt_edit *edit, struct rmt_tree *maps, const char *name,
                       const struct rmt_tree *tree)
{
    struct rmt_disk_map disk;
    return rmt_tree_put(edit, maps, rmt_slice(name, strlen(name)), rmt_map_record(tree, &disk), 0);
}

static int put_record(struct ramet_txn *txn, const char *name, const struct rmt_tree *tree)
{
    return rmt_map_put_record(&txn->edit, &txn->maps_tree, name, tree);
}

static int reload(struct ramet_map *map)
{
    struct rmt_tree tree = {.count = 0};
    int rc = find(map->txn, map->name, &tree);
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rc;
    map->exists = rc == 0;
    map->changed = false;
    rmt_tree_set(&map->tree, tree.root, tree.count);
    for (struct ramet_cursor *c = map->cursors; c; c = c->next)
        rmt_cursor_reset(&c->cursor);
    return 0;
}

int rmt_maps_reload(struct ramet_txn *txn, const struct ramet_map *known)
{
    int rc = txn->shares && !txn->writing ? reload(txn->shares) : 0;
    for (struct ramet_map *map = txn->maps; map != known && rc == 0; map = map->next)
        rc = reload(map);
    return rc;
}

bool rmt_maps_changed(const struct ramet_txn *txn)
{
    for (const struct ramet_map *map = txn->maps; map; map = map->next) {
        if (map->exists && map->changed)
            return true;
    }
    return !rmt_ref_equal(txn->maps_tree.root, txn->version.root);
}

void rmt_maps_tell(struct ramet_txn *txn, uint64_t id, const struct rmt_version *version)
{
    for (struct ramet_map *map = txn->maps; map; map = map->next) {
        if (map->exists && map->changed)
            rmt_handle_note(txn->store, txn->ref, map->name, id, version, &map->tree);
    }
}

int rmt_maps_note(struct ramet_txn *txn)
{
    int rc = 0;
    for (struct ramet_map *map = txn->maps; map && rc == 0; map = map->next) {
        if (map->exists && map->changed)
            rc = put_record(txn, map->name, &map->tree);
    }
    return rc;
}

int rmt_maps_seal(struct ramet_txn *txn, struct rmt_writer *w)
{
    for (struct ramet_map *map = txn->maps; map; map = map->next) {
        if (!map->exists || !map->changed)
            continue;
        int rc = rmt_tree_seal(&txn->edit, &map->tree, w);
        if (rc == 0)
            rc = put_record(txn, map->name, &map->tree);
        if (rc < 0)
            return rc;
    }
    return rmt_tree_seal(&txn->edit, &txn->maps_tree, w);
}

void rmt_maps_fini(struct ramet_txn *txn)
{
    while (txn->maps) {
        struct ramet_map *map = txn->maps;
        txn->maps = map->next;
        while (map->cursors) {
            struct ramet_cursor *c = map->cursors;
            map->cursors = c->next;
            rmt_cursor_fini(&c->cursor);
            free(c);
        }
        free(map);
    }
    if (!txn->writing)
        free(txn->shares);
    txn->shares = NULL;
}

/* ---- opening --------------------------------------------------------------------------------- */

static struct ramet_map *opened(struct ramet_txn *txn, const char *name)
{
    for (struct ramet_map *map = txn->maps; map; map = map->next) {
        if (strcmp(map->name, name) == 0)
            return map;
    }
    return NULL;
}

static int no_map(const char *name)
{
    if (name[0] == RMT_MAP_BLOB)
        return rmt_fail(RAMET_ENOTFOUND, "'%s': there is no such blob", name + 1);
    return rmt_fail(RAMET_ENOTFOUND, "'%s': there is no such map", name);
}

/* A record for a map that is not there. */
static int create(struct ramet_txn *txn, const char *name)
{
    struct rmt_tree empty = {.count = 0};
    if (txn->failed)
        return rmt_fail(RAMET_ETXN, "an earlier write of this transaction failed");
    return put_record(txn, name, &empty);
}

static struct ramet_map *add_map(struct ramet_txn *txn, const char *name,
                                 const struct rmt_tree *tree)
{
    size_t size = strlen(name) + 1;
    struct ramet_map *map = calloc(1, sizeof(*map) + size);
    if (!map)
        return NULL;
    memcpy(map->name, name, size);
    map->txn = txn;
    map->tree = *tree;
    map->tree.fixed = !txn->writing;
    map->exists = true;
    map->next = txn->maps;
    txn->maps = map;
    return map;
}

static int open_map(struct ramet_txn *txn, const char *name, unsigned flags, struct ramet_map **out)
{
    const struct rmt_tree *shares = NULL;
    int rc = name[0] == RMT_MAP_BLOB ? rmt_shares_of(txn, &shares) : 0;
    if (rc < 0)
        return rc;
    struct ramet_map *map = opened(txn, name);
    struct rmt_tree tree = {.count = 0};
    if (!map || !map->exists) {
        rc = find(txn, name, &tree);
        bool absent = rc == RAMET_ENOTFOUND;
        if (absent)
            rc = flags & RAMET_CREATE ? create(txn, name) : no_map(name);
        if (rc < 0)
            return rc;
    }
    if (!map) {
        tree.shares = shares;
        map = add_map(txn, name, &tree);
        if (!map)
            return rmt_fail(-ENOMEM, "%s '%s'", rmt_map_kind(name), rmt_map_plain(name));
    } else if (!map->exists) {
        rmt_tree_set(&map->tree, tree.root, tree.count);
        map->changed = false;
    }
    map->exists = true;
    *out = map;
    return 0;
}

int ramet_map_open(struct ramet_txn *txn, const char *name, unsigned flags, struct ramet_map **out)
{
    if (!txn || !name || !out || flags & ~(unsigned)RAMET_CREATE)
        return rmt_fail(-EINVAL, "ramet_map_open: txn, name, out or flags");
    if (flags & RAMET_CREATE && !txn->writing)
        return rmt_fail(RAMET_ETXN, "'%s': a read transaction creates no map", name);
    int rc = rmt_name_check("map", name, true);
    return rc < 0 ? rc : open_map(txn, name, flags, out);
}

int rmt_map_name_check(const char *name)
{
    if (name && name[0] == RMT_MAP_BLOB)
        return rmt_name_check("blob", name + 1, true);
    return rmt_name_check("map", name, true);
}

int rmt_map_again(struct ramet_txn *txn, const struct ramet_map *map, struct ramet_map **out)
{
    rmt_assert(!txn->writing);
    struct rmt_tree tree = {.root = map->tree.root, .count = map->tree.count};
    int rc = map->name[0] == RMT_MAP_BLOB ? rmt_shares_of(txn, &tree.shares) : 0;
    if (rc < 0)
        return rc;
    struct ramet_map *again = add_map(txn, map->name, &tree);
    if (!again)
        return rmt_fail(-ENOMEM, "%s '%s'", rmt_map_kind(map->name), rmt_map_plain(map->name));
    *out = again;
    return 0;
}

int rmt_map_open(struct ramet_txn *txn, int kind, const char *name, unsigned flags,
                 struct ramet_map **out)
{
    char full[RMT_MAP_NAME_MAX + 1];
    size_t at = 0;
    if (kind)
        full[at++] = (char)kind;
    memcpy(full + at, name, strnlen(name, RAMET_NAME_MAX) + 1);
    full[RMT_MAP_NAME_MAX] = 0;
    return open_map(txn, full, flags, out);
}

int rmt_maps_conflicts(struct rmt_pages *pages, struct rmt_ref root)
{
    struct rmt_tree tree = {.root = root, .fixed = true};
    struct rmt_cursor cursor;
    struct ramet_slice key;
    const uint8_t first = RMT_MAP_CONFLICTS;
    rmt_cursor_init(&cursor, pages, &tree);
    int rc = rmt_cursor_seek(&cursor, rmt_slice(&first, 1));
    if (rc == 0)
        rc = rmt_cursor_get(&cursor, &key, NULL);
    if (rc == 0)
        rc = *(const uint8_t *)key.data == first;
    rmt_cursor_fini(&cursor);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

const char *rmt_map_shown(struct ramet_slice key, char buf[RMT_SHOWN_SIZE])
{
    const uint8_t *bytes = key.data;
    size_t at = 0;
    for (size_t i = 0; i < key.size && i < 48; i++) {
        bool plain = bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '\\';
        at += (size_t)snprintf(buf + at, 5, plain ? "%c" : "\\x%02x", bytes[i]);
    }
    (void)snprintf(buf + at, 4, "%s", key.size > 48 ? "..." : "");
    return buf;
}

static int usable(const struct ramet_map *map, const char *what)
{
    if (!map)
        return rmt_fail(-EINVAL, "%s: no map", what);
    return map->exists ? 0 : no_map(map->name);
}

static int writable(struct ramet_map *map, const char *what)
{
    int rc = usable(map, what);
    if (rc < 0)
        return rc;
    if (!map->txn->writing)
        return rmt_fail(RAMET_ETXN, "%s in a read transaction", what);
    if (map->txn->failed)
        return rmt_fail(RAMET_ETXN, "an earlier write of this transaction failed");
    return 0;
}

int ramet_map_drop(struct ramet_txn *txn, const char *name)
{
    struct ramet_map *map;
    if (txn && !txn->writing)
        return rmt_fail(RAMET_ETXN, "ramet_map_drop in a read transaction");
    int rc = ramet_map_open(txn, name, 0, &map);
    return rc < 0 ? rc : rmt_map_drop_noted(txn, map);
}

int rmt_map_drop_noted(struct ramet_txn *txn, struct ramet_map *map)
{
    const struct ramet_slice all = {NULL, 0};
    int rc = writable(map, "ramet_map_drop");
    if (rc == 0 && txn->optimistic)
        rc = rmt_optimistic_note_range(map, all, all, RMT_NOTE_DROPPED);
    if (rc < 0)
        return rc;
    rc = rmt_map_drop(txn, map);
    if (rc < 0 && txn->optimistic)
        rmt_optimistic_unnote_range(map);
    return rc;
}

int rmt_map_drop(struct ramet_txn *txn, struct ramet_map *map)
{
    txn->urgent = true;
    int rc = rmt_tree_drop(&txn->edit, &map->tree);
    if (rc == 0) {
        rc = rmt_tree_del(&txn->edit, &txn->maps_tree, rmt_slice(map->name, strlen(map->name)));
        if (rc < 0)
            txn->failed = true; /* the record leads to what was dropped */
    }
    txn->urgent = false;
    if (rc == 0)
        map->exists = map->changed = false;
    return rc;
}

int rmt_map_tree(struct ramet_txn *txn, const char *name, const struct rmt_value *record,
                 struct rmt_tree *out)
{
    const struct ramet_map *map = opened(txn, name);
    if (!map || !map->exists)
        return rmt_map_load(&txn->store->pages, record, RMT_ID_MAX, out);
    *out = (struct rmt_tree){.root = map->tree.root, .count = map->tree.count, .fixed = true};
    return 0;
}

int ramet_map_list(struct ramet_txn *txn, ramet_map_fn fn, void *ctx)
{
    if (!txn || !fn)
        return rmt_fail(-EINVAL, "ramet_map_list: txn or fn");
    struct rmt_cursor cursor;
    rmt_cursor_init(&cursor, &txn->store->pages, &txn->maps_tree);
    int rc = rmt_cursor_first(&cursor);
    while (rc == 0) {
        struct ramet_slice key;
        struct rmt_value value;
        char name[RAMET_NAME_MAX + 1];
        struct rmt_tree tree;
        rc = rmt_cursor_get(&cursor, &key, &value);
        uint8_t first = rc == 0 ? *(const uint8_t *)key.data : 0;
        if (rc == 0 && (first < 0x20 || first == RMT_MAP_BLOB)) {
            rc = rmt_cursor_next(&cursor);
            continue;
        }
        if (rc == 0 && key.size > RAMET_NAME_MAX)
            rc = rmt_fail(RAMET_ECORRUPT, "store '%s': a map has too long a name",
                          txn->store->io->path);
        if (rc < 0)
            break;
        memcpy(name, key.data, key.size);
        name[key.size] = 0;
        rc = rmt_map_tree(txn, name, &value, &tree);
        if (rc < 0)
            break;
        struct ramet_map_info info = {sizeof(info), name, tree.count};
        rc = fn(ctx, &info);
        if (rc == 0)
            rc = rmt_cursor_next(&cursor);
    }
    rmt_cursor_fini(&cursor);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

int ramet_map_count(struct ramet_map *map, uint64_t *out)
{
    int rc = usable(map, "ramet_map_count");
    if (rc == 0 && !out)
        return rmt_fail(-EINVAL, "ramet_map_count: out");
    if (rc == 0)
        *out = map->tree.count;
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int bad_key(struct ramet_slice key)
{
    if (key.size == 0)
        return rmt_fail(-EINVAL, "a key has 1 to %u bytes: this one is empty", RAMET_KEY_MAX);
    return rmt_fail(-EINVAL, "a key has 1 to %u bytes: this one has %zu", RAMET_KEY_MAX, key.size);
}

static inline bool key_fits(struct ramet_slice key)
{
    return key.size - 1 < RAMET_KEY_MAX;
}

/* A value that cannot be read: of which key. */
static int value_fail(const struct ramet_map *map, struct ramet_slice key, int rc)
{
    char buf[RMT_SHOWN_SIZE];
    if (rc != RAMET_ECORRUPT && rc != -EIO)
        return rc;
    return rmt_fail_within(rc, "%s '%s', key '%s'", rmt_map_kind(map->name),
                           rmt_map_plain(map->name), rmt_map_shown(key, buf));
}

static int large_slice(struct ramet_map *map, struct ramet_slice key, const struct rmt_value *value,
                       struct ramet_slice *out)
{
    rmt_lock_scope(&map->txn->arena_lock);
    int rc = rmt_value_slice(&map->txn->store->pages, value, &map->txn->arena, out);
    return rc < 0 ? value_fail(map, key, rc) : 0;
}

static inline int value_slice(struct ramet_map *map, struct ramet_slice key,
                              const struct rmt_value *value, struct ramet_slice *out)
{
    if (rmt_unlikely(value->extents))
        return large_slice(map, key, value, out);
    *out = rmt_slice(value->data, value->size);
    return 0;
}

/* NULL: it has none, or they are not for this thread. */
static inline struct rmt_hints *hints_of(const struct ramet_map *map)
{
    return map->hints && rmt_hints_mine(map->hints) ? map->hints : NULL;
}

int rmt_map_look(struct ramet_map *map, struct ramet_slice key, struct rmt_value *out)
{
    int rc = usable(map, "ramet_get");
    if (rmt_unlikely(rc < 0))
        return rc;
    if (rmt_unlikely(!key_fits(key)))
        return bad_key(key);
    rc = rmt_tree_get(&map->txn->store->pages, &map->tree, key, out);
    if (rc == 0 && hints_of(map))
        rmt_hints_note(map->hints, key, out);
    return rc;
}

int rmt_map_look_number(struct ramet_map *map, uint64_t number, struct rmt_value *out)
{
    int rc = usable(map, "ramet_get");
    if (rmt_unlikely(rc < 0))
        return rc;
    rc = rmt_tree_get_number(&map->txn->store->pages, &map->tree, number, out);
    if (rc == 0 && hints_of(map))
        rmt_hints_note_number(map->hints, number, out);
    return rc;
}

int ramet_get(struct ramet_map *map, struct ramet_slice key, struct ramet_slice *out)
{
    struct rmt_value value;
    if (map && key_fits(key) && hints_of(map) && rmt_hints_get(map->hints, key, &value)) {
        *out = rmt_slice(value.data, value.size);
        return 0;
    }
    int rc = rmt_map_look(map, key, &value);
    return rc < 0 ? rc : value_slice(map, key, &value, out);
}

#define BATCH RMT_HINTS_AT_ONCE /* keys that are looked up at once */

/* Looks up at most BATCH keys in the tree, but for those that have a bit in found. */
static int look_many(struct ramet_map *map, size_t count, const struct ramet_slice *keys,
                     uint64_t found, struct ramet_slice *outs)
{
    struct ramet_slice others[BATCH];
    struct rmt_value values[BATCH];
    uint8_t at[BATCH];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (found >> i & 1)
            continue;
        others[n] = keys[i];
        at[n++] = (uint8_t)i;
    }
    int rc = rmt_tree_get_many(&map->txn->store->pages, &map->tree, n, others, values);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct ramet_slice *out = &outs[at[i]];
        *out = rmt_slice(NULL, 0);
        if (!values[i].data)
            continue;
        if (hints_of(map))
            rmt_hints_note(map->hints, others[i], &values[i]);
        rc = value_slice(map, others[i], &values[i], out);
    }
    return rc;
}

int ramet_get_many(struct ramet_map *map, size_t count, const struct ramet_slice *keys,
                   struct ramet_slice *outs)
{
    int rc = usable(map, "ramet_get_many");
    for (size_t at = 0; at < count && rc == 0; at += BATCH) {
        size_t n = rmt_min(count - at, BATCH);
        uint64_t found = 0;
        for (size_t i = 0; i < n; i++) {
            if (!key_fits(keys[at + i]))
                return bad_key(keys[at + i]);
        }
        if (hints_of(map))
            found = rmt_hints_get_many(map->hints, n, keys + at, outs + at);
        if (rmt_unlikely(found != UINT64_MAX >> (BATCH - n)))
            rc = look_many(map, n, keys + at, found, outs + at);
    }
    return rc;
}

int64_t ramet_read(struct ramet_map *map, struct ramet_slice key, uint64_t off, void *buf,
                   size_t len, uint64_t *out_size)
{
    int rc = usable(map, "ramet_read");
    if (rc < 0)
        return rc;
    if (!key_fits(key))
        return bad_key(key);
    struct rmt_value value;
    rc = rmt_tree_get(&map->txn->store->pages, &map->tree, key, &value);
    if (rc < 0)
        return rc;
    int64_t n = rmt_value_read(&map->txn->store->pages, &value, off, buf, len);
    if (n < 0)
        return value_fail(map, key, (int)n);
    if (out_size)
        *out_size = rmt_value_size(&map->txn->store->pages, &value);
    return n;
}

struct pieces_call {
    ramet_piece_fn fn;
    void *ctx;
    bool answered; /* the code is that of fn */
};

static int give_piece(void *ctx, uint64_t off, struct ramet_slice bytes)
{
    struct pieces_call *call = ctx;
    int rc = call->fn(call->ctx, off, bytes);
    call->answered = rc != 0;
    return rc;
}

int ramet_get_pieces(struct ramet_map *map, struct ramet_slice key, uint64_t off, uint64_t len,
                     ramet_piece_fn fn, void *ctx)
{
    int rc = usable(map, "ramet_get_pieces");
    if (rc == 0 && !fn)
        return rmt_fail(-EINVAL, "ramet_get_pieces: fn");
    if (rc < 0)
        return rc;
    if (!key_fits(key))
        return bad_key(key);
    struct rmt_value value;
    struct pieces_call call = {fn, ctx, false};
    rc = rmt_tree_get(&map->txn->store->pages, &map->tree, key, &value);
    if (rc < 0)
        return rc;
    rc = rmt_value_each(&map->txn->store->pages, &value, off, len, give_piece, &call);
    return rc < 0 && !call.answered ? value_fail(map, key, rc) : rc;
}

int ramet_count_range(struct ramet_map *map, struct ramet_slice from, struct ramet_slice to,
                      uint64_t *out)
{
    int rc = usable(map, "ramet_count_range");
    return rc < 0 ? rc : rmt_tree_count_range(&map->txn->store->pages, &map->tree, from, to, out);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* What is there already is not going to be written. */
static int note_put(struct ramet_map *map, struct ramet_slice key, bool nooverwrite)
{
    struct rmt_value there;
    int rc = RAMET_ENOTFOUND;
    if (nooverwrite)
        rc = rmt_tree_get(&map->txn->store->pages, &map->tree, key, &there);
    return rc == RAMET_ENOTFOUND ? rmt_optimistic_note(map, key, RMT_NOTE_WRITTEN) : rc;
}

int ramet_put(struct ramet_map *map, struct ramet_slice key, struct ramet_slice value,
              unsigned flags)
{
    int rc = writable(map, "ramet_put");
    return rc < 0 ? rc : rmt_map_put(map, key, value, flags, false);
}

int rmt_map_put(struct ramet_map *map, struct ramet_slice key, struct ramet_slice value,
                unsigned flags, bool lend)
{
    int rc = 0;
    if (!key_fits(key))
        return bad_key(key);
    if (value.size > RAMET_VALUE_MAX)
        return rmt_fail(-EFBIG, "a value has at most %llu bytes",
                        (unsigned long long)RAMET_VALUE_MAX);
    if (flags & ~RMT_MAP_PUT_FLAGS)
        return rmt_fail(-EINVAL, "ramet_put: flags");
    unsigned put = rmt_put_flags(flags) | (lend ? RMT_PUT_LEND : 0);
    if (rmt_unlikely(map->txn->optimistic))
        rc = note_put(map, key, flags & RAMET_NOOVERWRITE);
    if (rc < 0)
        return rc;
    rc = rmt_tree_put(&map->txn->edit, &map->tree, key, value, put);
    map->changed |= rc == 0;
    return rc;
}

/* Whatever is there is going to be written. */
static int note_write(struct ramet_map *map, struct ramet_slice key)
{
    if (!key_fits(key))
        return bad_key(key);
    return rmt_unlikely(map->txn->optimistic) ? rmt_optimistic_note(map, key, RMT_NOTE_WRITTEN) : 0;
}

int ramet_write(struct ramet_map *map, struct ramet_slice key, uint64_t off, const void *buf,
                size_t len)
{
    int rc = writable(map, "ramet_write");
    if (rc == 0 && !buf && len)
        return rmt_fail(-EINVAL, "ramet_write: buf");
    if (rc == 0)
        rc = note_write(map, key);
    if (rc < 0)
        return rc;
    rc = rmt_tree_write(&map->txn->edit, &map->tree, key, off, rmt_slice(buf, len));
    if (rc == RAMET_ENOTFOUND)
        return rc;
    map->changed |= len > 0; /* what failed may have been written in part */
    return rc < 0 ? value_fail(map, key, rc) : 0;
}

int ramet_del(struct ramet_map *map, struct ramet_slice key)
{
    int rc = writable(map, "ramet_del");
    if (rc == 0)
        rc = note_write(map, key);
    if (rc < 0)
        return rc;
    map->txn->urgent = true;
    rc = rmt_tree_del(&map->txn->edit, &map->tree, key);
    map->txn->urgent = false;
    map->changed |= rc == 0;
    return rc;
}

int ramet_del_range(struct ramet_map *map, struct ramet_slice from, struct ramet_slice to,
                    uint64_t *out_count)
{
    int rc = writable(map, "ramet_del_range");
    if (rc < 0)
        return rc;
    uint64_t count = 0;
    bool noted = map->txn->optimistic && (!to.size || rmt_slice_cmp(from, to) < 0);
    if (noted)
        rc = rmt_optimistic_note_range(map, from, to, RMT_NOTE_WRITTEN);
    if (rc < 0)
        return rc;
    map->txn->urgent = true;
    rc = rmt_tree_del_range(&map->txn->edit, &map->tree, from, to, &count);
    map->txn->urgent = false;
    if (rc < 0 && noted)
        rmt_optimistic_unnote_range(map);
    map->changed |= rc == 0 && count;
    if (rc == 0 && out_count)
        *out_count = count;
    return rc;
}

/* The lock of any other write transaction guards all there is. */
int ramet_guard(struct ramet_map *map, struct ramet_slice key)
{
    int rc = writable(map, "ramet_guard");
    if (rc < 0)
        return rc;
    if (!key_fits(key))
        return bad_key(key);
    return map->txn->optimistic ? rmt_optimistic_note(map, key, RMT_NOTE_GUARDED) : 0;
}

int ramet_guard_range(struct ramet_map *map, struct ramet_slice from, struct ramet_slice to)
{
    int rc = writable(map, "ramet_guard_range");
    if (rc < 0 || !map->txn->optimistic || (to.size && rmt_slice_cmp(from, to) >= 0))
        return rc;
    return rmt_optimistic_note_range(map, from, to, RMT_NOTE_GUARDED);
}

/* ---- cursors --------------------------------------------------------------------------------- */

int ramet_cursor_open(struct ramet_map *map, struct ramet_cursor **out)
{
    int rc = usable(map, "ramet_cursor_open");
    if (rc < 0)
        return rc;
    struct ramet_cursor *c = malloc(sizeof(*c));
    if (!c)
        return rmt_fail(-ENOMEM, "a cursor");
    c->map = map;
    rmt_cursor_init(&c->cursor, &map->txn->store->pages, &map->tree);
    {
        /* A read transaction may have several threads. */
        rmt_lock_scope(&map->txn->store->txns_lock);
        c->next = map->cursors;
        map->cursors = c;
    }
    *out = c;
    return 0;
}

void ramet_cursor_close(struct ramet_cursor *c)
{
    if (!c)
        return;
    {
        rmt_lock_scope(&c->map->txn->store->txns_lock);
        struct ramet_cursor **at = &c->map->cursors;
        while (*at != c)
            at = &(*at)->next;
        *at = c->next;
    }
    rmt_cursor_fini(&c->cursor);
    free(c);
}

static int cursor_usable(const struct ramet_cursor *c)
{
    return c ? usable(c->map, "a cursor") : rmt_fail(-EINVAL, "no cursor");
}

int ramet_cursor_first(struct ramet_cursor *c)
{
    int rc = cursor_usable(c);
    return rc < 0 ? rc : rmt_cursor_first(&c->cursor);
}

int ramet_cursor_last(struct ramet_cursor *c)
{
    int rc = cursor_usable(c);
    return rc < 0 ? rc : rmt_cursor_last(&c->cursor);
}

int ramet_cursor_seek(struct ramet_cursor *c, struct ramet_slice key)
{
    int rc = cursor_usable(c);
    if (rc < 0)
        return rc;
    if (key.size > RAMET_KEY_MAX)
        return bad_key(key);
    return key.size ? rmt_cursor_seek(&c->cursor, key) : rmt_cursor_first(&c->cursor);
}

int ramet_cursor_next(struct ramet_cursor *c)
{
    int rc = cursor_usable(c);
    return rc < 0 ? rc : rmt_cursor_next(&c->cursor);
}

int ramet_cursor_prev(struct ramet_cursor *c)
{
    int rc = cursor_usable(c);
    return rc < 0 ? rc : rmt_cursor_prev(&c->cursor);
}

int ramet_cursor_get(struct ramet_cursor *c, struct ramet_slice *key, struct ramet_slice *value)
{
    int rc = cursor_usable(c);
    struct rmt_value v;
    struct ramet_slice k, s;
    if (rc == 0)
        rc = rmt_cursor_get(&c->cursor, &k, &v);
    if (rc == 0 && value)
        rc = value_slice(c->map, k, &v, &s);
    if (rc < 0)
        return rc;
    if (key)
        *key = k;
    if (value)
        *value = s;
    return 0;
}
