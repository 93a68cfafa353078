/* SPDX-License-Identifier: MIT */
#include "tree/parts.h"

/* ---- tables ---------------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct rmt_edit *edit, uint64_t pages)
{
    return pages << edit->pages->page_shift;
}

/* An empty table. */
static int table_new(struct rmt_edit *edit, uint64_t capacity, uint64_t size,
                     struct rmt_private **out)
{
    if (capacity > UINT32_MAX)
        return rmt_fail(-ENOMEM, "a value of %llu parts", (unsigned long long)capacity);
    int rc = rmt_edit_value_blank(
        edit, sizeof(struct rmt_parts) + capacity * sizeof(struct rmt_part), out);
    if (rc < 0)
        return rc;
    (*out)->whole = size;
    *rmt_parts_of(*out) = (struct rmt_parts){.capacity = (uint32_t)capacity};
    return 0;
}

/* A copy, with room for more. */
static int table_copy(struct rmt_edit *edit, const struct rmt_private *from, uint64_t capacity,
                      struct rmt_private **out)
{
    const struct rmt_parts *parts = rmt_parts_of(from);
    int rc = table_new(edit, capacity, from->whole, out);
    if (rc < 0)
        return rc;
    struct rmt_parts *copy = rmt_parts_of(*out);
    memcpy(copy, parts, sizeof(*parts) + parts->count * sizeof(parts->items[0]));
    copy->capacity = (uint32_t)capacity;
    return 0;
}

/* Adds a part, for which there is room. */
static struct rmt_part *add(struct rmt_parts *parts, uint32_t pages)
{
    const struct rmt_part *last = parts->count ? &parts->items[parts->count - 1] : NULL;
    struct rmt_part *part = &parts->items[parts->count++];
    rmt_assert(parts->count <= parts->capacity);
    *part = (struct rmt_part){.first = last ? last->first + last->pages : 0, .pages = pages};
    return part;
}

/* The part that has a page. */
static uint32_t find(const struct rmt_parts *parts, uint64_t page)
{
    uint32_t low = 0, high = parts->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (parts->items[middle].first <= page)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* What the value will take when so many of its pages are new, and so many of its runs are not: room
 * for it, if it has become more. */
static int account(struct rmt_edit *edit, struct rmt_parts *parts, uint64_t new_pages,
                   uint64_t nr_file)
{
    uint64_t take = new_pages + rmt_value_lists(edit->pages->page_size, new_pages + nr_file);
    int rc = take > parts->taken ? rmt_edit_ensure(edit, 0, take - parts->taken, 0) : 0;
    if (rc < 0)
        return rc;
    edit->nr_private += take - parts->taken;
    parts->taken = take;
    parts->new_pages = new_pages;
    parts->nr_file = nr_file;
    return 0;
}

int rmt_parts_gone(struct rmt_edit *edit, const struct rmt_private *own)
{
    const struct rmt_parts *parts = rmt_parts_of(own);
    int rc = 0;
    for (uint32_t i = 0; i < parts->count && rc == 0; i++) {
        if (rmt_part_in_file(&parts->items[i]))
            rc = rmt_edit_gone_grow(edit, rmt_run_of(&parts->items[i].run));
    }
    return rc;
}

void rmt_parts_drop(struct rmt_edit *edit, const struct rmt_private *own)
{
    const struct rmt_parts *parts = rmt_parts_of(own);
    for (uint32_t i = 0; i < parts->count; i++) {
        if (parts->items[i].own)
            rmt_edit_blank_drop(edit, parts->items[i].own);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The bytes of a part; NULL: zeros. */
static int part_bytes(struct rmt_pages *pages, const struct rmt_part *part, const uint8_t **out)
{
    *out = part->own ? part->own->bytes : NULL;
    if (!rmt_part_in_file(part))
        return 0;
    int rc = rmt_page_data(pages, &part->run, out);
    return rc < 0 ? rmt_fail_within(rc, "byte %llu",
                                    (unsigned long long)part->first << pages->page_shift)
                  : 0;
}

/* A range of a value that is handed out part by part. */
struct each {
    struct rmt_pages *pages;
    uint64_t off, end; /* what is wanted of it */
    rmt_value_piece_fn fn;
    void *ctx;
    uint64_t at; /* where the next run begins in the value */
    bool done;
};

/* What is wanted of [from, from + size); data NULL: zeros. */
static int give(const struct each *each, uint64_t from, const uint8_t *data, uint64_t size)
{
    static const uint8_t zeros[RMT_PAGE_SIZE_MAX];
    uint64_t begin = rmt_max(from, each->off), end = rmt_min(from + size, each->end);
    int rc = 0;
    if (begin < end && data)
        return each->fn(each->ctx, begin, rmt_slice(data + (begin - from), end - begin));
    for (uint64_t n; begin < end && rc == 0; begin += n) {
        n = rmt_min(end - begin, sizeof(zeros));
        rc = each->fn(each->ctx, begin, rmt_slice(zeros, n));
    }
    return rc;
}

static int each_part(const struct each *each, const struct rmt_private *own)
{
    const struct rmt_parts *parts = rmt_parts_of(own);
    uint32_t shift = each->pages->page_shift;
    int rc = 0;
    for (uint32_t i = find(parts, each->off >> shift); i < parts->count && rc == 0; i++) {
        const struct rmt_part *part = &parts->items[i];
        const uint8_t *data;
        if (part->first << shift >= each->end)
            break;
        rc = part_bytes(each->pages, part, &data);
        if (rc == 0)
            rc = give(each, part->first << shift, data, (uint64_t)part->pages << shift);
    }
    return rc;
}

static int each_run(void *ctx, const struct rmt_disk_run *run, uint32_t level)
{
    struct each *each = ctx;
    if (level > 0)
        return 0;
    uint64_t from = each->at, size = (uint64_t)rmt_get32(run->pages) << each->pages->page_shift;
    const uint8_t *data;
    each->at += size;
    if (each->at <= each->off)
        return 0;
    int rc = rmt_page_data(each->pages, run, &data);
    if (rc < 0)
        return rmt_fail_within(rc, "byte %llu", (unsigned long long)from);
    rc = give(each, from, data, size);
    each->done = rc == 0 && each->at >= each->end;
    return each->done ? 1 : rc;
}

int rmt_value_each(struct rmt_pages *pages, const struct rmt_value *value, uint64_t off,
                   uint64_t len, rmt_value_piece_fn fn, void *ctx)
{
    uint64_t size = rmt_value_size(pages, value);
    if (off >= size || len == 0)
        return 0;
    struct each each = {pages, off, off + rmt_min(len, size - off), fn, ctx, 0, false};
    const struct rmt_private *own = rmt_extents_value(value);
    if (own && own->whole)
        return each_part(&each, own);
    if (!value->extents || own)
        return give(&each, 0, own ? rmt_private_bytes(own) : value->data, size);
    int rc = rmt_value_runs(pages, value, false, each_run, &each);
    return each.done ? 0 : rc;
}

static int copy_out(void *ctx, uint64_t off, struct ramet_slice bytes)
{
    uint8_t **to = ctx;
    (void)off;
    memcpy(*to, bytes.data, bytes.size);
    *to += bytes.size;
    return 0;
}

int rmt_parts_read(struct rmt_pages *pages, const struct rmt_private *own, uint64_t off, void *buf,
                   size_t len)
{
    uint8_t *to = buf;
    struct each each = {pages, off, off + len, copy_out, &to, 0, false};
    return each_part(&each, own);
}

/* ---- a table for a value --------------------------------------------------------------------- */

/* A table, as it is made for an entry. */
struct making {
    struct rmt_edit *edit;
    RMT_VEC(struct rmt_disk_run) runs; /* of the file */
    struct rmt_private *table;
    struct rmt_gone_mark gone;
};

static int put_record(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                      const struct rmt_private *table)
{
    struct rmt_disk_extents disk;
    struct rmt_value record = rmt_extents_private(&disk, table);
    return rmt_tree_put_record(edit, tree, key, &record);
}

static int note_run(void *ctx, const struct rmt_disk_run *run, uint32_t level)
{
    struct making *making = ctx;
    if (level > 0)
        return rmt_edit_gone_grow(making->edit, rmt_run_of(run));
    return rmt_vec_push(&making->runs, *run) ? 0 : rmt_fail(-ENOMEM, "writing to a value");
}

/* Of a value in the file. */
static int table_of_runs(struct making *making, const struct rmt_value *value, uint64_t size)
{
    struct rmt_edit *edit = making->edit;
    int rc = rmt_value_runs(edit->pages, value, false, note_run, making);
    if (rc == 0)
        rc = table_new(edit, making->runs.count, size, &making->table);
    if (rc < 0)
        return rc;
    struct rmt_parts *parts = rmt_parts_of(making->table);
    for (size_t i = 0; i < making->runs.count; i++)
        add(parts, rmt_get32(making->runs.items[i].pages))->run = making->runs.items[i];
    return account(edit, parts, 0, parts->count);
}

/* Of any other: its bytes are copied. */
static int table_of_bytes(struct making *making, const struct rmt_value *value, uint64_t size)
{
    struct rmt_edit *edit = making->edit;
    uint64_t pages = rmt_div_up(size, edit->pages->page_size), seen = 0;
    const uint32_t most = edit->pages->part_pages;
    int rc = table_new(edit, rmt_div_up(pages, most), size, &making->table);
    struct rmt_parts *parts = rc == 0 ? rmt_parts_of(making->table) : NULL;
    for (uint64_t at = 0; rc == 0 && at < pages; at += most) {
        struct rmt_private *own;
        uint64_t off = bytes_of(edit, at), len = bytes_of(edit, most);
        rc = rmt_edit_value_blank(edit, len, &own);
        if (rc < 0)
            break;
        add(parts, (uint32_t)rmt_min(pages - at, most))->own = own;
        int64_t n = rmt_value_read(edit->pages, value, off, own->bytes, len);
        rc = n < 0 ? (int)n : 0;
        if (rc == 0) /* P2 */
            memset(own->bytes + n, 0, len - (size_t)n);
    }
    if (rc == 0 && value->extents)
        rc = rmt_value_gone(edit, value, &seen);
    return rc < 0 ? rc : account(edit, parts, pages, 0);
}

/* What was made is in no tree. */
static void unmake(struct making *making)
{
    struct rmt_edit *edit = making->edit;
    rmt_gone_undo(edit, making->gone);
    if (!making->table)
        return;
    edit->nr_private -= rmt_parts_of(making->table)->taken;
    rmt_parts_drop(edit, making->table);
    rmt_edit_blank_drop(edit, making->table);
}

/* One of before the savepoint. */
static int copy_table(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                      const struct rmt_private *from, struct rmt_private **out)
{
    struct rmt_private *table;
    int rc = table_copy(edit, from, rmt_parts_of(from)->count, &table);
    if (rc < 0)
        return rc;
    rc = put_record(edit, tree, key, table);
    if (rc < 0)
        rmt_edit_blank_drop(edit, table);
    else
        *out = table;
    return rc;
}

/* A table of the entry that is writable. */
static int open_table(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                      const struct rmt_value *value, struct rmt_private **out)
{
    struct rmt_private *own = rmt_extents_value(value);
    uint64_t size = rmt_value_size(edit->pages, value);
    bool writable = own && own->savepoint == edit->savepoint;
    *out = own;
    if (own && own->whole)
        return writable ? 0 : copy_table(edit, tree, key, own, out);
    struct making making = {.edit = edit, .gone = rmt_gone_mark(edit)};
    bool in_file = value->extents && !own && size > bytes_of(edit, edit->pages->part_pages);
    int rc = in_file ? table_of_runs(&making, value, size) : table_of_bytes(&making, value, size);
    if (rc == 0)
        rc = put_record(edit, tree, key, making.table);
    rmt_vec_fini(&making.runs);
    if (rc < 0) {
        unmake(&making);
        return rc;
    }
    if (own)
        rmt_edit_value_drop(edit, own);
    *out = making.table;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Makes a part writable, with room for so many pages. covered: its bytes do not matter. */
static int open_part(struct rmt_edit *edit, struct rmt_parts *parts, uint32_t i, uint32_t room,
                     bool covered)
{
    struct rmt_part *part = &parts->items[i];
    struct rmt_private *old = part->own, *own;
    const uint8_t *data = NULL;
    if (old && old->savepoint == edit->savepoint && old->value_size >= bytes_of(edit, room))
        return 0;
    int rc = covered ? 0 : part_bytes(edit->pages, part, &data);
    if (rc == 0)
        rc = rmt_edit_value_blank(edit, bytes_of(edit, room), &own);
    if (rc < 0)
        return rc;
    if (rmt_part_in_file(part)) {
        rc = rmt_vec_reserve(&edit->gone, edit->gone.count + 1)
                 ? account(edit, parts, parts->new_pages + part->pages, parts->nr_file - 1)
                 : rmt_fail(-ENOMEM, "no memory for replaced pages");
        if (rc < 0) {
            rmt_edit_blank_drop(edit, own);
            return rc;
        }
        rmt_edit_gone(edit, rmt_run_of(&part->run));
        part->run = (struct rmt_disk_run){.pages = rmt_put32(0)};
    }
    if (data)
        memcpy(own->bytes, data, bytes_of(edit, part->pages));
    else if (!covered)
        memset(own->bytes, 0, bytes_of(edit, part->pages));
    part->own = own;
    if (old)
        rmt_edit_blank_drop(edit, old);
    return 0;
}

/* Makes the value longer, by zeros. */
static int grow(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key, uint64_t size,
                struct rmt_private **table)
{
    struct rmt_parts *parts = rmt_parts_of(*table), before = *parts;
    struct rmt_private *old = *table, *own = old;
    const uint32_t most = edit->pages->part_pages;
    uint32_t last = parts->count - 1, has = parts->items[last].pages;
    uint64_t more = rmt_div_up(size, edit->pages->page_size) - (parts->items[last].first + has);
    uint64_t fill = has < most ? rmt_min(more, most - has) : 0, whole = old->whole;
    uint64_t count = parts->count + rmt_div_up(more - fill, most);
    int rc = fill ? open_part(edit, parts, last, most, false) : 0;
    before = *parts;
    if (rc == 0 && count > parts->capacity)
        rc = table_copy(edit, old, rmt_max(count, 2 * (uint64_t)parts->count), &own);
    if (rc < 0)
        return rc;
    parts = rmt_parts_of(own);
    rc = account(edit, parts, parts->new_pages + more, parts->nr_file);
    own->whole = size;
    if (rc == 0)
        rc = put_record(edit, tree, key, own);
    if (rc < 0) {
        own->whole = whole;
        edit->nr_private -= parts->taken - before.taken;
        parts->taken = before.taken;
        parts->new_pages = before.new_pages;
        if (own != old)
            rmt_edit_blank_drop(edit, own);
        return rc;
    }
    struct rmt_part *part = &parts->items[last];
    if (fill) {
        memset(part->own->bytes + bytes_of(edit, has), 0, bytes_of(edit, fill));
        part->pages += (uint32_t)fill;
    }
    for (uint64_t rest = more - fill; rest;) {
        uint32_t n = (uint32_t)rmt_min(rest, most);
        add(parts, n);
        rest -= n;
    }
    if (own != old)
        rmt_edit_blank_drop(edit, old);
    *table = own;
    return 0;
}

static int write_parts(struct rmt_edit *edit, const struct rmt_private *table, uint64_t off,
                       struct ramet_slice bytes)
{
    struct rmt_parts *parts = rmt_parts_of(table);
    const uint8_t *from = bytes.data;
    uint64_t end = off + bytes.size;
    for (uint32_t i = find(parts, off >> edit->pages->page_shift); off < end; i++) {
        const struct rmt_part *part = &parts->items[i];
        uint64_t first = bytes_of(edit, part->first), size = bytes_of(edit, part->pages);
        uint64_t n = rmt_min(end, first + size) - off;
        int rc = open_part(edit, parts, i, part->pages, n == size);
        if (rc < 0)
            return rc;
        memcpy(part->own->bytes + (off - first), from, n);
        from += n;
        off += n;
    }
    return 0;
}

/* A value that is, and will be, no more than a run takes is put anew. */
static int write_whole(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                       const struct rmt_value *value, uint64_t off, struct ramet_slice bytes)
{
    uint64_t size = rmt_value_size(edit->pages, value);
    size_t after = (size_t)rmt_max(size, off + bytes.size);
    rmt_auto(free) uint8_t *whole = calloc(1, after);
    if (!whole)
        return rmt_fail(-ENOMEM, "no memory for a value of %zu bytes", after);
    int64_t n = rmt_value_read(edit->pages, value, 0, whole, size);
    if (n < 0)
        return (int)n;
    memcpy(whole + off, bytes.data, bytes.size);
    return rmt_tree_put(edit, tree, key, rmt_slice(whole, after), 0);
}

int rmt_tree_write(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                   uint64_t off, struct ramet_slice bytes)
{
    struct rmt_value value;
    uint64_t end;
    int rc = rmt_tree_get(edit->pages, tree, key, &value);
    if (rc < 0 || bytes.size == 0)
        return rc;
    if (!rmt_add(off, bytes.size, &end) || end > RAMET_VALUE_MAX)
        return rmt_fail(-EFBIG, "a value has at most %llu bytes",
                        (unsigned long long)RAMET_VALUE_MAX);
    uint64_t size = rmt_value_size(edit->pages, &value);
    struct rmt_private *own = rmt_extents_value(&value);
    if (own && !own->whole && !own->lent && own->savepoint == edit->savepoint && end <= size) {
        memcpy(own->bytes + off, bytes.data, bytes.size);
        return 0;
    }
    if (rmt_max(size, end) <= bytes_of(edit, edit->pages->part_pages))
        return write_whole(edit, tree, key, &value, off, bytes);
    if (size == 0) { /* a table has at least one part */
        rc = write_whole(edit, tree, key, &value, 0, rmt_slice("", 1));
        return rc < 0 ? rc : rmt_tree_write(edit, tree, key, off, bytes);
    }
    rc = open_table(edit, tree, key, &value, &own);
    if (rc == 0 && end > size)
        rc = grow(edit, tree, key, end, &own);
    return rc < 0 ? rc : write_parts(edit, own, off, bytes);
}
