/* SPDX-License-Identifier: MIT */
/*
 * copy.c - ramet_blob_copy(): a part of a blob to another place, without its bytes.
 *
 * A page gets a number and goes to the map of shared pages (store/shares.h); the entry that had it,
 * and the new one, then have its number. So the leaves of both are written, and no data is read or
 * written. Only where source and target do not lie alike in their pages, and at the edges, bytes
 * are copied.
 *
 * Whatever is copied is read before it is written over, piece by piece: if source and target
 * overlap and the target is the higher one, from the end downwards.
 */
#include "blob/blob.h"

#include <inttypes.h>

#include "store/shares.h"
#include "tree/edit.h"

#define BATCH 64u      /* pages that are looked at before any is written */
#define RUNS_MAX 4096u /* of references that are noted before they are counted */
#define PIECE ((size_t)256 << 10)

struct copying {
    struct ramet_map *from, *to;
    struct rmt_pages *pages;
    struct ramet_map *shares; /* opened with the first page */
    uint64_t next;            /* number for the next page; 0: not known, or there is none */
    bool down;                /* the last page comes first */
};

struct found {
    uint64_t page;
    struct rmt_ref ref;
};

/* A page of a blob, as its leaf has it. RAMET_ENOTFOUND without a message: a hole. */
static int find_page(const struct ramet_map *blob, uint64_t page, struct rmt_ref *out)
{
    uint8_t key[RMT_BLOB_KEY_SIZE];
    struct rmt_value value;
    int rc =
        rmt_tree_get_as_is(&blob->txn->store->pages, &blob->tree, rmt_blob_key(page, key), &value);
    if (rc == 0)
        rc = rmt_blob_page_check(blob, &value, page);
    if (rc == 0)
        *out = rmt_ref_load(value.data);
    return rc;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int copy_bytes(struct copying *c, uint64_t from, uint64_t to, uint64_t len)
{
    rmt_auto(free) uint8_t *buf = malloc(rmt_min(len, PIECE) + 1);
    if (!buf)
        return rmt_fail(-ENOMEM, "copying a blob");
    int rc = 0;
    for (uint64_t done = 0; done < len && rc == 0;) {
        size_t n = (size_t)rmt_min(len - done, PIECE);
        uint64_t at = c->down ? len - done - n : done;
        int64_t got = ramet_blob_read((struct ramet_blob *)c->from, from + at, buf, n);
        if (got >= 0 && (uint64_t)got < n)
            memset(buf + got, 0, n - (size_t)got);
        rc = got < 0 ? (int)got : ramet_blob_write((struct ramet_blob *)c->to, to + at, buf, n);
        done += n;
    }
    return rc;
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* Gives a page that one entry has a number, and that to the entry. */
static int share(struct copying *c, struct found *found)
{
    struct rmt_edit *edit = &c->from->txn->edit;
    uint8_t key[RMT_BLOB_KEY_SIZE], name[RMT_SHARE_KEY_SIZE];
    uint64_t number = c->next;
    int rc = rmt_tree_put_page(edit, &c->from->tree, rmt_blob_key(found->page, key),
                               rmt_shared_ref(number), RMT_PUT_MOVE);
    if (rc < 0)
        return rc;
    c->from->changed = true;
    rc = rmt_tree_put_page(edit, &c->shares->tree, rmt_share_key(name, RMT_SHARE_PAGE, number),
                           found->ref, RMT_PUT_NOOVERWRITE);
    if (rc < 0)
        c->from->txn->failed = true; /* nothing has the page any more */
    if (rc == -EEXIST)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a map of shared pages is malformed",
                        c->pages->io->path);
    if (rc < 0)
        return rc;
    c->shares->changed = true;
    c->next = number < RMT_SHARED_MAX ? number + 1 : 0;
    found->ref = rmt_shared_ref(number);
    return 0;
}

static int open_shares(struct copying *c)
{
    if (c->shares && c->shares->exists)
        return 0;
    int rc = rmt_shares_open(c->from->txn, &c->shares);
    return rc < 0 ? rc : rmt_shares_next(c->from->txn, &c->next);
}

/* All of these have numbers afterwards, or there are none left. */
static int share_all(struct copying *c, struct found *found, size_t nr)
{
    int rc = open_shares(c);
    for (size_t i = 0; i < nr && rc == 0; i++) {
        if (!rmt_ref_shared(found[i].ref) && c->next)
            rc = share(c, &found[i]);
    }
    return rc;
}

/* One page of the source, as it was found, to a page of the target. */
static int copy_page(struct copying *c, const struct found *found, uint64_t page)
{
    struct ramet_txn *txn = c->from->txn;
    uint8_t key[RMT_BLOB_KEY_SIZE];
    struct rmt_ref there;
    if (!rmt_ref_shared(found->ref))
        return copy_bytes(c, found->page << c->pages->page_shift, page << c->pages->page_shift,
                          c->pages->page_size);
    int rc =
        txn->optimistic ? rmt_optimistic_note(c->to, rmt_blob_key(page, key), RMT_NOTE_WRITTEN) : 0;
    if (rc == 0)
        rc = find_page(c->to, page, &there);
    if (rc == 0 && rmt_ref_equal(there, found->ref)) /* it was copied before */
        return 0;
    if (rc == 0 || rc == RAMET_ENOTFOUND)
        rc = rmt_tree_put_page(&txn->edit, &c->to->tree, rmt_blob_key(page, key), found->ref, 0);
    c->to->changed |= rc == 0;
    return rc;
}

/* Pages [from, to) of the target are holes. */
static int copy_hole(struct copying *c, uint64_t from, uint64_t to)
{
    uint8_t first[RMT_BLOB_KEY_SIZE], last[RMT_BLOB_KEY_SIZE];
    return from < to
               ? ramet_del_range(c->to, rmt_blob_key(from, first), rmt_blob_key(to, last), NULL)
               : 0;
}

/* The next pages of the source in [first, end), in the order of copying. Returns how many. */
static int64_t find_pages(struct copying *c, uint64_t first, uint64_t end, struct found *out)
{
    uint8_t key[RMT_BLOB_KEY_SIZE];
    struct rmt_cursor cursor;
    int64_t n = 0;
    rmt_cursor_init(&cursor, c->pages, &c->from->tree);
    int rc = rmt_cursor_seek(&cursor, rmt_blob_key(c->down ? end : first, key));
    if (c->down && rc == RAMET_ENOTFOUND)
        rc = rmt_cursor_last(&cursor);
    else if (c->down && rc == 0)
        rc = rmt_cursor_prev(&cursor);
    while (rc == 0 && n < BATCH) {
        struct ramet_slice at;
        rc = rmt_cursor_get(&cursor, &at, NULL);
        if (rc == 0 && at.size == sizeof(key)) { /* else it is the blob's size */
            out[n].page = rmt_get_be64(at.data);
            if (out[n].page < first || out[n].page >= end)
                break;
            rc = find_page(c->from, out[n].page, &out[n].ref);
            n++;
        }
        if (rc == 0 && n < BATCH)
            rc = c->down ? rmt_cursor_prev(&cursor) : rmt_cursor_next(&cursor);
    }
    rmt_cursor_fini(&cursor);
    return rc < 0 && rc != RAMET_ENOTFOUND ? rc : n;
}

/* Pages [first, end) of the source, to those from a page of the target on. */
static int copy_pages(struct copying *c, uint64_t first, uint64_t end, uint64_t to)
{
    struct found found[BATCH];
    uint64_t shift = to - first; /* modulo 2^64 */
    while (first < end) {
        int64_t n = find_pages(c, first, end, found);
        int rc = n > 0 ? share_all(c, found, (size_t)n) : (int)n;
        for (int64_t i = 0; i < n && rc == 0; i++) {
            uint64_t page = found[i].page;
            rc = c->down ? copy_hole(c, page + 1 + shift, end + shift)
                         : copy_hole(c, first + shift, page + shift);
            if (rc == 0)
                rc = copy_page(c, &found[i], page + shift);
            if (c->down)
                end = page;
            else
                first = page + 1;
        }
        if (rc == 0 && n < BATCH) {
            rc = copy_hole(c, first + shift, end + shift);
            first = end;
        }
        if (rc == 0)
            rc = rmt_shares_count(c->from->txn, RUNS_MAX);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- the call -------------------------------------------------------------------------------- */

static int copy_range(struct copying *c, uint64_t from, uint64_t to, uint64_t len)
{
    uint64_t size = c->pages->page_size, mask = size - 1;
    uint64_t head = rmt_min((size - (from & mask)) & mask, len);
    uint64_t tail = (len - head) & mask, middle = len - head - tail;
    if ((from ^ to) & mask || !middle)
        return copy_bytes(c, from, to, len);
    uint64_t parts[3][2] = {{0, head}, {head, middle}, {head + middle, tail}};
    int rc = 0;
    for (size_t i = 0; i < 3 && rc == 0; i++) {
        const uint64_t *part = parts[c->down ? 2 - i : i];
        uint64_t at = from + part[0], where = to + part[0];
        if (part == parts[1])
            rc = copy_pages(c, at >> c->pages->page_shift, (at + part[1]) >> c->pages->page_shift,
                            where >> c->pages->page_shift);
        else if (part[1])
            rc = copy_bytes(c, at, where, part[1]);
    }
    return rc;
}

static int check(const struct ramet_map *from, const struct ramet_map *to)
{
    int rc = rmt_blob_writable(to, "ramet_blob_copy");
    if (rc == 0)
        rc = rmt_blob_writable(from, "ramet_blob_copy");
    if (rc == 0 && from->txn != to->txn)
        return rmt_fail(-EINVAL, "ramet_blob_copy: blobs of different transactions");
    return rc;
}

int64_t ramet_blob_copy(struct ramet_blob *from, uint64_t from_off, struct ramet_blob *to,
                        uint64_t to_off, uint64_t len)
{
    struct copying c = {.from = (struct ramet_map *)from, .to = (struct ramet_map *)to};
    uint64_t size, to_size;
    int rc = check(c.from, c.to);
    if (rc == 0)
        rc = ramet_blob_size(from, &size);
    if (rc == 0)
        rc = ramet_blob_size(to, &to_size);
    if (rc < 0 || from_off >= size)
        return rc;
    len = rmt_min(len, size - from_off);
    if (len == 0 || (from == to && from_off == to_off))
        return (int64_t)len;
    if (to_off > RAMET_BLOB_MAX || len > RAMET_BLOB_MAX - to_off)
        return rmt_fail(-EFBIG,
                        "blob '%s': %" PRIu64 " bytes from byte %" PRIu64
                        " on are more than a blob can have",
                        c.to->name + 1, len, to_off);
    if (to_off + len > to_size)
        rc = ramet_blob_truncate(to, to_off + len);
    c.pages = &c.from->txn->store->pages;
    c.down = from == to && to_off > from_off && to_off - from_off < len;
    if (rc == 0)
        rc = copy_range(&c, from_off, to_off, len);
    int counted = rmt_shares_count(c.from->txn, 0);
    if (rc == 0)
        rc = counted;
    return rc < 0 ? rc : (int64_t)len;
}
