/* SPDX-License-Identifier: MIT */
/*
 * blob.c - ramet_blob_*(): sparse arrays of bytes.
 *
 * A blob is a map from the numbers of pages to pages, whose name begins with RAMET_BLOB_MARK: so
 * transactions, savepoints, differences and merges need to know nothing of it. The key of a page is
 * its number, eight bytes, big-endian; the leaf has 16 bytes of it (tree/value.c). Before all pages
 * comes the entry whose key is the byte 0: the blob's size, eight bytes, little-endian.
 *
 *   B1  a page is no hole unless it has a byte that is not zero
 *   B2  what lies behind the blob's end is not there, or zero, before the blob grows over it:
 * merges can leave some
 */
#include "blob/blob.h"

#include <inttypes.h>
#include <stdio.h>

#include "tree/diff.h"
#include "tree/edit.h"

static const uint8_t size_key[1] = {0};

static struct ramet_map *map_of(struct ramet_blob *blob)
{
    return (struct ramet_map *)blob;
}

static struct rmt_pages *pages_of(const struct ramet_map *map)
{
    return &map->txn->store->pages;
}

static int usable(const struct ramet_map *map, const char *what)
{
    if (!map)
        return rmt_fail(-EINVAL, "%s: no blob", what);
    if (!map->exists)
        return rmt_fail(RAMET_ENOTFOUND, "'%s': there is no such blob", map->name + 1);
    return 0;
}

int rmt_blob_writable(const struct ramet_map *blob, const char *what)
{
    int rc = usable(blob, what);
    if (rc == 0 && !blob->txn->writing)
        return rmt_fail(RAMET_ETXN, "%s in a read transaction", what);
    if (rc == 0 && blob->txn->failed)
        return rmt_fail(RAMET_ETXN, "an earlier write of this transaction failed");
    return rc;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int check_name(const char *name)
{
    int rc = rmt_name_check("blob", name, true);
    if (rc == 0 && strlen(name) > RAMET_BLOB_NAME_MAX)
        return rmt_fail(-EINVAL, "a blob name has at most %u bytes", RAMET_BLOB_NAME_MAX);
    return rc;
}

int ramet_blob_open(struct ramet_txn *txn, const char *name, unsigned flags,
                    struct ramet_blob **out)
{
    if (!txn || !name || !out || flags & ~(unsigned)RAMET_CREATE)
        return rmt_fail(-EINVAL, "ramet_blob_open: txn, name, out or flags");
    if (flags & RAMET_CREATE && !txn->writing)
        return rmt_fail(RAMET_ETXN, "'%s': a read transaction creates no blob", name);
    struct ramet_map *map;
    int rc = check_name(name);
    if (rc == 0)
        rc = rmt_map_open(txn, RMT_MAP_BLOB, name, flags, &map);
    if (rc == 0)
        *out = (struct ramet_blob *)map;
    return rc;
}

int ramet_blob_drop(struct ramet_txn *txn, const char *name)
{
    if (!txn || !name)
        return rmt_fail(-EINVAL, "ramet_blob_drop: txn or name");
    if (!txn->writing)
        return rmt_fail(RAMET_ETXN, "ramet_blob_drop in a read transaction");
    struct ramet_map *map;
    int rc = check_name(name);
    if (rc == 0)
        rc = rmt_map_open(txn, RMT_MAP_BLOB, name, 0, &map);
    return rc < 0 ? rc : rmt_map_drop_noted(txn, map);
}

/* ---- size ------------------------------------------------------------------------------------ */

static int load_size(struct rmt_pages *pages, const struct rmt_tree *tree, const char *name,
                     uint64_t *out)
{
    struct rmt_value value;
    int rc = rmt_tree_get(pages, tree, rmt_slice(size_key, 1), &value);
    *out = 0;
    if (rc == RAMET_ENOTFOUND)
        return 0;
    if (rc < 0)
        return rc;
    uint64_t size = UINT64_MAX;
    if (!value.extents && value.size == sizeof(rmt_le64))
        size = rmt_get64(*(const rmt_le64 *)value.data);
    if (size > RAMET_BLOB_MAX)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': the size of blob '%s' is malformed",
                        pages->io->path, name);
    *out = size;
    return 0;
}

static int size_of(const struct ramet_map *map, uint64_t *out)
{
    return load_size(pages_of(map), &map->tree, map->name + 1, out);
}

/* An empty one has no entry, whatever it was before: else it would differ from one that was always
 * empty, and a merge take that for a change. */
static int put_size(struct ramet_map *map, uint64_t size)
{
    rmt_le64 disk = rmt_put64(size);
    if (size == 0) {
        int rc = ramet_del(map, rmt_slice(size_key, 1));
        return rc == RAMET_ENOTFOUND ? 0 : rc;
    }
    return ramet_put(map, rmt_slice(size_key, 1), rmt_slice(&disk, sizeof(disk)), 0);
}

int ramet_blob_size(struct ramet_blob *blob, uint64_t *out)
{
    const struct ramet_map *map = map_of(blob);
    int rc = usable(map, "ramet_blob_size");
    if (rc == 0 && !out)
        return rmt_fail(-EINVAL, "ramet_blob_size: out");
    return rc < 0 ? rc : size_of(map, out);
}

/* ---- reading --------------------------------------------------------------------------------- */

#define BATCH 64u /* pages looked up at once */

int rmt_blob_page_check(const struct ramet_map *map, const struct rmt_value *value, uint64_t page)
{
    if (value->extents && value->size == RMT_PAGE_RECORD_SIZE)
        return 0;
    return rmt_fail(RAMET_ECORRUPT, "store '%s': blob '%s' has no page at byte %" PRIu64,
                    pages_of(map)->io->path, map->name + 1, page << pages_of(map)->page_shift);
}

/* The rest of a leaf, from an entry on, up to a page. *out_on: there may be more. */
static int walk_leaf(const struct ramet_map *map, const struct rmt_disk_node *leaf, uint32_t index,
                     uint64_t end, rmt_blob_walk_fn fn, void *ctx, bool *out_on)
{
    struct rmt_pages *pages = pages_of(map);
    uint8_t key[RMT_NODE_KEY_BUF];
    uint64_t page = 0;
    for (uint32_t i = index; i < rmt_node_count(leaf); i++) {
        if (i > index && rmt_node_dense(leaf))
            page++;
        else if (rmt_node_key_at(leaf, pages->page_size, i, key) != RMT_BLOB_KEY_SIZE)
            continue;
        else
            page = rmt_get_be64(key);
        if (page >= end)
            return 0;
        struct rmt_value value = rmt_node_value_at(leaf, pages->page_size, i);
        int rc = rmt_value_find(pages, map->tree.shares, &value);
        if (rc == 0)
            rc = rmt_blob_page_check(map, &value, page);
        if (rc == 0)
            rc = fn(ctx, page, &value);
        if (rc != 0)
            return rc;
    }
    *out_on = true;
    return 0;
}

int rmt_blob_walk(const struct ramet_map *map, uint64_t from, uint64_t end, rmt_blob_walk_fn fn,
                  void *ctx)
{
    uint8_t number[RMT_BLOB_KEY_SIZE];
    struct rmt_cursor cursor;
    rmt_cursor_init(&cursor, pages_of(map), (struct rmt_tree *)(uintptr_t)&map->tree);
    int moved = rmt_cursor_seek(&cursor, rmt_blob_key(from, number)), rc = 0;
    while (moved == 0 && rc == 0) {
        const struct rmt_disk_node *leaf;
        uint32_t index;
        bool on = false;
        rc = rmt_cursor_leaf(&cursor, &leaf, &index);
        if (rc == 0)
            rc = walk_leaf(map, leaf, index, end, fn, ctx, &on);
        if (!on)
            break;
        moved = rmt_cursor_next(&cursor);
    }
    rmt_cursor_fini(&cursor);
    return rc != 0 || moved == RAMET_ENOTFOUND ? rc : moved;
}

/* Says of which blob a page is that could not be read. */
static int page_fail(const struct ramet_map *map, uint64_t page, int rc)
{
    char why[512];
    (void)snprintf(why, sizeof(why), "%s", ramet_errmsg());
    char *end = strstr(why, ramet_strerror(rc));
    if (end && end - why > 2)
        end[-2] = 0; /* that is said once more */
    return rmt_fail(rc, "blob '%s', byte %" PRIu64 ": %s", map->name + 1,
                    page << pages_of(map)->page_shift, why);
}

/* The pages of the file from values[0] on that lie side by side. Returns how many; 0: the first one
 * is not in the file. */
static size_t side_by_side(const struct rmt_value *values, size_t count, struct rmt_ref *refs)
{
    size_t n = 0;
    for (; n < count && values[n].data; n++) {
        refs[n] = rmt_ref_load(values[n].data);
        if (!refs[n].birth || (n && refs[n].addr != refs[0].addr + n))
            break;
    }
    return n;
}

/* Pages that follow each other, of which some are found. */
struct found {
    uint64_t first;
    struct rmt_value *values; /* data NULL: a hole */
};

static int note_page(void *ctx, uint64_t page, const struct rmt_value *value)
{
    const struct found *found = ctx;
    found->values[page - found->first] = *value;
    return 0;
}

static int find_one(const struct ramet_map *map, uint64_t page, struct rmt_value *out)
{
    uint8_t number[RMT_BLOB_KEY_SIZE];
    int rc = rmt_tree_get(pages_of(map), &map->tree, rmt_blob_key(page, number), out);
    if (rc == RAMET_ENOTFOUND)
        return 0;
    return rc < 0 ? rc : rmt_blob_page_check(map, out, page);
}

static int read_batch(const struct ramet_map *map, uint64_t page, size_t count, uint8_t *buf)
{
    struct rmt_pages *pages = pages_of(map);
    struct rmt_value values[BATCH];
    struct rmt_ref refs[BATCH];
    struct found found = {page, values};
    memset(values, 0, count * sizeof(values[0]));
    int rc = count == 1 ? find_one(map, page, values)
                        : rmt_blob_walk(map, page, page + count, note_page, &found);
    for (size_t i = 0, bad; i < count && rc == 0;) {
        uint8_t *to = buf + (i << pages->page_shift);
        size_t n = side_by_side(values + i, count - i, refs);
        if (n) {
            rc = rmt_data_read(pages, refs, n, to, &bad);
            if (rc < 0)
                return page_fail(map, page + i + bad, rc);
            i += n;
            continue;
        }
        if (values[i].data)
            memcpy(to, rmt_private_bytes(rmt_extents_value(&values[i])), pages->page_size);
        else
            memset(to, 0, pages->page_size);
        i++;
    }
    return rc;
}

int rmt_blob_pages(const struct ramet_map *map, uint64_t page, uint64_t count, void *buf)
{
    int rc = 0;
    for (uint64_t at = 0; at < count && rc == 0; at += BATCH)
        rc = read_batch(map, page + at, (size_t)rmt_min(count - at, BATCH),
                        (uint8_t *)buf + (at << pages_of(map)->page_shift));
    return rc;
}

/* The part of [off, off + len) that lies in one page, or is all of many. */
struct part {
    uint64_t page, count; /* count 0: a part of a page, */
    size_t from, len;     /* which is this */
};

static struct part part_of(const struct rmt_pages *pages, uint64_t off, uint64_t len)
{
    struct part part = {.page = off >> pages->page_shift};
    part.from = (size_t)(off & (pages->page_size - 1));
    if (part.from == 0)
        part.count = len >> pages->page_shift;
    part.len = part.count ? 0 : (size_t)rmt_min(pages->page_size - part.from, len);
    return part;
}

static uint64_t part_bytes(const struct rmt_pages *pages, const struct part *part)
{
    return part->count ? part->count << pages->page_shift : part->len;
}

int64_t ramet_blob_read(struct ramet_blob *blob, uint64_t off, void *buf, size_t len)
{
    const struct ramet_map *map = map_of(blob);
    uint64_t size;
    int rc = usable(map, "ramet_blob_read");
    if (rc == 0 && ((!buf && len) || len > INT64_MAX))
        return rmt_fail(-EINVAL, "ramet_blob_read: buf or len");
    if (rc == 0)
        rc = size_of(map, &size);
    if (rc < 0)
        return rc;
    if (off >= size)
        return 0;
    _Alignas(64) uint8_t one[RMT_PAGE_SIZE_MAX];
    struct rmt_pages *pages = pages_of(map);
    uint8_t *to = buf;
    len = (size_t)rmt_min(len, size - off);
    for (uint64_t at = 0; at < len && rc == 0;) {
        struct part part = part_of(pages, off + at, len - at);
        if (part.count) {
            rc = rmt_blob_pages(map, part.page, part.count, to + at);
        } else {
            rc = rmt_blob_pages(map, part.page, 1, one);
            if (rc == 0)
                memcpy(to + at, one + part.from, part.len);
        }
        at += part_bytes(pages, &part);
    }
    return rc < 0 ? rc : (int64_t)len;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int drop_page(struct ramet_map *map, uint64_t page)
{
    uint8_t number[RMT_BLOB_KEY_SIZE];
    int rc = ramet_del(map, rmt_blob_key(page, number));
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

static int put_page(struct ramet_map *map, uint64_t page, const uint8_t *bytes, bool lend)
{
    uint8_t number[RMT_BLOB_KEY_SIZE];
    size_t size = pages_of(map)->page_size;
    if (rmt_all_zero(bytes, size))
        return drop_page(map, page);
    return rmt_map_put(map, rmt_blob_key(page, number), rmt_slice(bytes, size), 0, lend);
}

/* Changes a part of a page; bytes NULL: to zeros. */
static int put_part(struct ramet_map *map, const struct part *part, const uint8_t *bytes)
{
    _Alignas(64) uint8_t one[RMT_PAGE_SIZE_MAX];
    int rc = rmt_blob_pages(map, part->page, 1, one);
    if (rc < 0)
        return rc;
    if (bytes)
        memcpy(one + part->from, bytes, part->len);
    else
        memset(one + part->from, 0, part->len);
    return put_page(map, part->page, one, false);
}

/* Pages [from, to) become holes. */
static int drop_pages(struct ramet_map *map, uint64_t from, uint64_t to)
{
    uint8_t first[RMT_BLOB_KEY_SIZE], last[RMT_BLOB_KEY_SIZE];
    return from < to ? ramet_del_range(map, rmt_blob_key(from, first), rmt_blob_key(to, last), NULL)
                     : 0;
}

/* Makes [off, off + len) zeros, wherever the blob ends. */
static int zero(struct ramet_map *map, uint64_t off, uint64_t len)
{
    const struct rmt_pages *pages = pages_of(map);
    int rc = 0;
    for (uint64_t at = 0; at < len && rc == 0;) {
        struct part part = part_of(pages, off + at, len - at);
        if (part.count) {
            rc = drop_pages(map, part.page, part.page + part.count);
        } else {
            uint8_t number[RMT_BLOB_KEY_SIZE];
            struct rmt_value value;
            rc = rmt_tree_get(pages_of(map), &map->tree, rmt_blob_key(part.page, number), &value);
            rc = rc == RAMET_ENOTFOUND ? 0 : rc < 0 ? rc : put_part(map, &part, NULL);
        }
        at += part_bytes(pages, &part);
    }
    return rc;
}

/* Everything from a byte on, to the last page that a blob can have. */
static int zero_from(struct ramet_map *map, uint64_t off)
{
    return zero(map, off, RAMET_BLOB_MAX - off);
}

/* B2 */
static int grow(struct ramet_map *map, uint64_t from, uint64_t to)
{
    int rc = zero_from(map, from);
    return rc < 0 ? rc : put_size(map, to);
}

static int too_large(const struct ramet_map *map, uint64_t size)
{
    return rmt_fail(-EFBIG, "blob '%s': %" PRIu64 " bytes are more than a blob can have",
                    map->name + 1, size);
}

static int write_bytes(struct ramet_map *map, uint64_t off, const uint8_t *from, size_t len,
                       bool lend, const char *call)
{
    uint64_t size;
    int rc = rmt_blob_writable(map, call);
    if (rc == 0 && !from && len)
        return rmt_fail(-EINVAL, "%s: buf", call);
    if (rc == 0 && (off > RAMET_BLOB_MAX || len > RAMET_BLOB_MAX - off))
        return too_large(map, off + len);
    if (rc == 0)
        rc = size_of(map, &size);
    if (rc == 0 && len && off + len > size)
        rc = grow(map, size, off + len);
    if (rc < 0)
        return rc;
    const struct rmt_pages *pages = pages_of(map);
    for (uint64_t at = 0; at < len && rc == 0;) {
        struct part part = part_of(pages, off + at, len - at);
        if (!part.count)
            rc = put_part(map, &part, from + at);
        for (uint64_t i = 0; i < part.count && rc == 0; i++)
            rc = put_page(map, part.page + i, from + at + (i << pages->page_shift), lend);
        at += part_bytes(pages, &part);
    }
    return rc;
}

int ramet_blob_write(struct ramet_blob *blob, uint64_t off, const void *buf, size_t len)
{
    return write_bytes(map_of(blob), off, buf, len, false, "ramet_blob_write");
}

int ramet_blob_lend(struct ramet_blob *blob, uint64_t off, const void *buf, size_t len)
{
    return write_bytes(map_of(blob), off, buf, len, true, "ramet_blob_lend");
}

int ramet_blob_zero(struct ramet_blob *blob, uint64_t off, uint64_t len)
{
    struct ramet_map *map = map_of(blob);
    uint64_t size;
    int rc = rmt_blob_writable(map, "ramet_blob_zero");
    if (rc == 0)
        rc = size_of(map, &size);
    if (rc < 0 || off >= size)
        return rc;
    if (len >= size - off) /* so that the last page becomes a hole, too */
        return zero_from(map, off);
    return zero(map, off, len);
}

int ramet_blob_truncate(struct ramet_blob *blob, uint64_t size)
{
    struct ramet_map *map = map_of(blob);
    uint64_t old;
    int rc = rmt_blob_writable(map, "ramet_blob_truncate");
    if (rc == 0 && size > RAMET_BLOB_MAX)
        return too_large(map, size);
    if (rc == 0)
        rc = size_of(map, &old);
    if (rc < 0 || size == old)
        return rc;
    return grow(map, rmt_min(old, size), size);
}

/* ---- extents --------------------------------------------------------------------------------- */

/* Puts together what follows each other and is of one kind, and clips it. */
struct extents {
    ramet_extent_fn fn;
    void *ctx;
    uint64_t off, end;        /* what is told next; nothing lies behind */
    uint64_t horizon;         /* pages born at or before it are shared */
    uint32_t shift;           /* of a page */
    struct ramet_extent last; /* not yet told; bytes 0: none */
};

static int tell_last(struct extents *e)
{
    struct ramet_extent last = e->last;
    e->last.bytes = 0;
    last.bytes = rmt_min(last.bytes, e->end - rmt_min(e->end, last.offset));
    return last.bytes ? e->fn(e->ctx, &last) : 0;
}

static int add(struct extents *e, uint64_t from, uint64_t to, int kind)
{
    struct ramet_extent *last = &e->last;
    if (from >= to)
        return 0;
    if (last->bytes && last->kind == kind && last->offset + last->bytes == from) {
        last->bytes += to - from;
        return 0;
    }
    int rc = tell_last(e);
    *last = (struct ramet_extent){sizeof(*last), from, to - from, kind};
    return rc;
}

/* The id of the newest version below a transaction's: pages born at or before it are shared. Of a
 * version that is gone meanwhile nobody knows: then none are. */
static int horizon_of(struct ramet_txn *txn, uint64_t *out)
{
    struct rmt_moment moment;
    struct rmt_version version, prev;
    int rc = rmt_moment_open(txn->store, &moment);
    *out = 0;
    if (rc < 0)
        return rc;
    struct rmt_pages *pages = &txn->store->pages;
    rc = rmt_catalog_version(pages, &moment.catalog, txn->version.number, &version);
    if (rc == 0 && version.prev)
        rc = rmt_catalog_version(pages, &moment.catalog, version.prev, &prev);
    if (rc == 0 && version.prev)
        *out = prev.id;
    rmt_moment_close(&moment);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

static int see_page(void *ctx, uint64_t page, const struct rmt_value *value)
{
    struct extents *e = ctx;
    uint64_t at = page << e->shift, birth = rmt_ref_load(value->data).birth;
    int kind = birth && birth <= e->horizon ? RAMET_EXTENT_SHARED : RAMET_EXTENT_OWNED;
    int rc = add(e, e->off, rmt_min(at, e->end), RAMET_EXTENT_HOLE);
    if (rc == 0)
        rc = add(e, rmt_max(at, e->off), at + (UINT64_C(1) << e->shift), kind);
    e->off = at + (UINT64_C(1) << e->shift);
    return rc;
}

int ramet_blob_extents(struct ramet_blob *blob, uint64_t off, uint64_t len, ramet_extent_fn fn,
                       void *ctx)
{
    struct ramet_map *map = map_of(blob);
    uint64_t size;
    int rc = usable(map, "ramet_blob_extents");
    if (rc == 0 && !fn)
        return rmt_fail(-EINVAL, "ramet_blob_extents: fn");
    if (rc == 0)
        rc = size_of(map, &size);
    if (rc < 0 || off >= size || len == 0)
        return rc;
    struct extents e = {.fn = fn, .ctx = ctx, .off = off, .end = off + rmt_min(len, size - off)};
    e.shift = pages_of(map)->page_shift;
    rc = horizon_of(map->txn, &e.horizon);
    if (rc == 0)
        rc = rmt_blob_walk(map, off >> e.shift, ((e.end - 1) >> e.shift) + 1, see_page, &e);
    if (rc == 0)
        rc = add(&e, e.off, e.end, RAMET_EXTENT_HOLE);
    return rc != 0 ? rc : tell_last(&e);
}

/* ---- differences ----------------------------------------------------------------------------- */

int ramet_blob_diff(struct ramet_blob *from, struct ramet_blob *to, ramet_extent_fn fn, void *ctx)
{
    static const struct rmt_tree empty = {.fixed = true};
    struct ramet_map *old = map_of(from), *new = map_of(to);
    int rc = usable(new, "ramet_blob_diff");
    if (rc == 0 && old)
        rc = usable(old, "ramet_blob_diff");
    if (rc == 0 && (!fn || (old && old->txn->store != new->txn->store)))
        return rmt_fail(-EINVAL, "ramet_blob_diff: fn, or blobs of different stores");
    if (rc < 0)
        return rc;
    struct extents e = {.fn = fn, .ctx = ctx, .end = RAMET_BLOB_MAX};
    struct rmt_pages *pages = pages_of(new);
    struct ramet_slice none = {NULL, 0}, key;
    struct rmt_value before, after;
    struct rmt_diff diff;
    rmt_diff_init(&diff, pages, old ? &old->tree : &empty, &new->tree, none, none);
    while ((rc = rmt_diff_next(&diff, &key, &before, &after)) > 0) {
        if (key.size != RMT_BLOB_KEY_SIZE)
            continue;
        uint64_t at = rmt_get_be64(key.data) << pages->page_shift;
        rc =
            add(&e, at, at + pages->page_size, after.data ? RAMET_EXTENT_OWNED : RAMET_EXTENT_HOLE);
        if (rc != 0)
            return rc;
    }
    return rc < 0 ? rc : tell_last(&e);
}

/* ---- listing --------------------------------------------------------------------------------- */

/* name: as that of a map. */
static int tell_blob(struct ramet_txn *txn, const char *name, const struct rmt_value *record,
                     ramet_blob_fn fn, void *ctx)
{
    struct rmt_pages *pages = &txn->store->pages;
    struct ramet_blob_info info = {.size = sizeof(info), .name = name + 1};
    struct rmt_tree tree;
    int rc = rmt_map_tree(txn, name, record, &tree);
    if (rc == 0)
        rc = load_size(pages, &tree, info.name, &info.bytes);
    if (rc < 0)
        return rc;
    if (tree.count) /* one entry is its size */
        info.data_bytes = (tree.count - 1) << pages->page_shift;
    return fn(ctx, &info);
}

int ramet_blob_list(struct ramet_txn *txn, ramet_blob_fn fn, void *ctx)
{
    if (!txn || !fn)
        return rmt_fail(-EINVAL, "ramet_blob_list: txn or fn");
    static const uint8_t mark = RAMET_BLOB_MARK;
    struct rmt_cursor cursor;
    rmt_cursor_init(&cursor, &txn->store->pages, &txn->maps_tree);
    int rc = rmt_cursor_seek(&cursor, rmt_slice(&mark, 1));
    while (rc == 0) {
        struct ramet_slice key;
        struct rmt_value record;
        char name[RAMET_NAME_MAX + 1];
        rc = rmt_cursor_get(&cursor, &key, &record);
        if (rc < 0 || *(const uint8_t *)key.data != mark)
            break;
        if (key.size > RAMET_NAME_MAX) {
            rc = rmt_fail(RAMET_ECORRUPT, "store '%s': a blob has too long a name",
                          txn->store->io->path);
            break;
        }
        memcpy(name, key.data, key.size);
        name[key.size] = 0;
        rc = tell_blob(txn, name, &record, fn, ctx);
        if (rc == 0)
            rc = rmt_cursor_next(&cursor);
    }
    rmt_cursor_fini(&cursor);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

/* ---- adding up ------------------------------------------------------------------------------- */

static int add_map(void *ctx, const struct ramet_map_info *info)
{
    struct ramet_txn_stat *stat = ctx;
    stat->maps++;
    stat->entries += info->entries;
    return 0;
}

static int add_blob(void *ctx, const struct ramet_blob_info *info)
{
    struct ramet_txn_stat *stat = ctx;
    stat->blobs++;
    stat->blob_bytes += info->bytes;
    stat->blob_data_bytes += info->data_bytes;
    return 0;
}

int ramet_txn_stat(struct ramet_txn *txn, struct ramet_txn_stat *out)
{
    if (!txn || !out || !rmt_known_size(out, struct ramet_txn_stat) || out->size < sizeof(*out))
        return rmt_fail(-EINVAL, "ramet_txn_stat: txn, out or out->size");
    struct ramet_txn_stat stat = {.size = sizeof(stat)};
    int rc = ramet_map_list(txn, add_map, &stat);
    if (rc == 0)
        rc = ramet_blob_list(txn, add_blob, &stat);
    if (rc == 0)
        *out = stat;
    return rc;
}
