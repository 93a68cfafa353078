/* SPDX-License-Identifier: MIT */
/*
 * value.c - values too large for a leaf: runs of pages, and lists of runs where there are many.
 *
 * The record of a value that is just one page is a reference to that page: so a map of numbers to
 * pages, which is what a blob is, takes 16 bytes for each. Or it is shared, and has the number of a
 * page, which another tree has; whoever hands out values replaces it by that page's record, so that
 * only those who put, give up or walk know of numbers. Of other values the record has room for
 * 4 runs. If the value takes more, its runs are written to pages of their own, as many whole runs
 * to a page as fit and zeros behind them, and the record has the runs of these pages; and so on,
 * level by level. All pages of a list but the last are full: that bounds, for forged files, what
 * reading a value can cost by what its size says.
 */
#include "tree/parts.h"

#define RUN_SIZE ((uint32_t)sizeof(struct rmt_disk_run))

static uint32_t runs_per_page(uint32_t page_size)
{
    return page_size / RUN_SIZE;
}

uint64_t rmt_value_lists(uint32_t page_size, uint64_t runs)
{
    uint64_t total = 0;
    while (runs > RMT_EXTENT_RUNS) { /* as if every run of a list had one page */
        runs = rmt_div_up(runs, runs_per_page(page_size));
        total += runs;
    }
    return total;
}

uint64_t rmt_value_pages(uint32_t page_size, uint64_t size)
{
    uint64_t pages = rmt_div_up(size, page_size);
    return pages + rmt_value_lists(page_size, pages);
}

uint64_t rmt_value_size(const struct rmt_pages *pages, const struct rmt_value *value)
{
    const struct rmt_disk_extents *extents = value->data;
    if (!value->extents)
        return value->size;
    return value->size == RMT_PAGE_RECORD_SIZE ? pages->page_size : rmt_get64(extents->size);
}

/* ---- private values -------------------------------------------------------------------------- */

struct rmt_value rmt_extents_private(struct rmt_disk_extents *out, const struct rmt_private *value)
{
    uint64_t at = (uintptr_t)value;
    if (!value->value_size) {
        struct rmt_value page = {out, RMT_PAGE_RECORD_SIZE, true};
        struct rmt_ref ref = {at, 0, 0};
        rmt_ref_store(out, ref);
        return page;
    }
    *out = (struct rmt_disk_extents){
        .size = rmt_put64(value->whole ? value->whole : value->value_size),
        .level = RMT_EXTENTS_PRIVATE,
    };
    memcpy(out->runs, &at, sizeof(at));
    struct rmt_value record = {out, sizeof(*out), true};
    return record;
}

struct rmt_private *rmt_extents_value(const struct rmt_value *value)
{
    const struct rmt_disk_extents *extents = value->data;
    uint64_t at;
    if (!value->extents)
        return NULL;
    if (value->size == RMT_PAGE_RECORD_SIZE) {
        struct rmt_ref ref = rmt_ref_load(value->data);
        return ref.birth ? NULL : (struct rmt_private *)(uintptr_t)ref.addr;
    }
    if (extents->level != RMT_EXTENTS_PRIVATE)
        return NULL;
    memcpy(&at, extents->runs, sizeof(at));
    return (struct rmt_private *)(uintptr_t)at;
}

/* ---- going over the runs --------------------------------------------------------------------- */

/* What is called for every run, in the order of the value; level 0: data. A list comes behind what
 * it lists. */
struct walk {
    struct rmt_pages *pages;
    rmt_value_run_fn fn;
    void *ctx;
    uint64_t pages_max; /* of data still to come */
    uint64_t *seen;     /* pages of data so far, of other values too */
    uint32_t ended;     /* bit n: the runs of level n have ended */
};

static int walk_fail(const struct rmt_disk_run *run, const char *what)
{
    return rmt_fail(RAMET_ECORRUPT, "page %llu: %s",
                    (unsigned long long)rmt_ref_load(&run->ref).addr, what);
}

static int walk_run(struct walk *walk, const struct rmt_disk_run *run, uint32_t level);

/* The runs of one page of a list. */
static int walk_page(struct walk *walk, const struct rmt_disk_run *list, const uint8_t *page,
                     uint32_t level)
{
    static const struct rmt_disk_run none;
    uint32_t page_size = walk->pages->page_size, count = runs_per_page(page_size);
    if (!rmt_all_zero(page + (size_t)RUN_SIZE * count, page_size - RUN_SIZE * count))
        return walk_fail(list, "a list of runs is not valid");
    for (uint32_t i = 0; i < count; i++) {
        const struct rmt_disk_run *run =
            (const struct rmt_disk_run *)(const void *)(page + (size_t)RUN_SIZE * i);
        if (memcmp(run, &none, sizeof(none)) == 0) {
            if (i == 0)
                return walk_fail(list, "a list of runs goes on behind its end");
            if (!rmt_all_zero((const uint8_t *)run, page_size - RUN_SIZE * i))
                return walk_fail(list, "a list of runs is not valid");
            walk->ended |= 1u << level;
            return 0;
        }
        if (walk->ended & 1u << level ||
            !rmt_run_plausible(walk->pages, run, rmt_ref_load(&list->ref).birth))
            return walk_fail(list, "a list of runs is not valid");
        int rc = walk_run(walk, run, level);
        if (rc)
            return rc;
    }
    return 0;
}

/* Values of a forged file can have pages in common, and seem to be larger than the file. Reading a
 * run that is thought to lie behind its end makes the page store look how long it is now. */
static int room_check(struct walk *walk, const struct rmt_disk_run *run)
{
    struct rmt_pages *pages = walk->pages;
    const uint8_t *data;
    uint64_t end = rmt_ref_load(&run->ref).addr + rmt_get32(run->pages);
    int rc = 0;
    if (end > atomic_load_explicit(&pages->nr_pages, memory_order_relaxed))
        rc = rmt_page_data(pages, run, &data);
    if (rc == 0 && *walk->seen > atomic_load_explicit(&pages->nr_pages, memory_order_relaxed))
        rc = walk_fail(run, "its value is larger than the file");
    return rc;
}

/* A plausible run. Level 0: of data; n: of pages that list runs of level n - 1. */
static int walk_run(struct walk *walk, const struct rmt_disk_run *run, uint32_t level)
{
    uint32_t nr = rmt_get32(run->pages);
    if (level == 0) {
        if (nr > walk->pages_max)
            return walk_fail(run, "a value has more pages than its size says");
        walk->pages_max -= nr;
        *walk->seen += nr;
        int rc = room_check(walk, run);
        return rc ? rc : walk->fn(walk->ctx, run, 0);
    }
    const uint8_t *data;
    int rc = rmt_page_data(walk->pages, run, &data);
    for (uint32_t i = 0; rc == 0 && i < nr; i++) {
        if (walk->ended & 1u << (level - 1))
            return walk_fail(run, "a list of runs goes on behind its end");
        rc = walk_page(walk, run, data + ((size_t)i << walk->pages->page_shift), level - 1);
    }
    return rc ? rc : walk->fn(walk->ctx, run, level);
}

/* A page record of the file, as a run. */
static struct rmt_disk_run page_run(const struct rmt_value *value)
{
    struct rmt_disk_run run = {.pages = rmt_put32(1)};
    memcpy(&run.ref, value->data, sizeof(run.ref));
    return run;
}

/* Over all runs of a record of the file. */
static int walk_record(struct rmt_pages *pages, const struct rmt_value *value, uint64_t *seen,
                       rmt_value_run_fn fn, void *ctx)
{
    const struct rmt_disk_extents *extents = value->data;
    struct walk walk = {
        .seen = seen,
        .pages = pages,
        .fn = fn,
        .ctx = ctx,
        .pages_max = rmt_div_up(rmt_value_size(pages, value), pages->page_size),
    };
    if (value->size == RMT_PAGE_RECORD_SIZE) {
        struct rmt_disk_run run = page_run(value);
        return walk_run(&walk, &run, 0);
    }
    for (uint32_t i = 0; i < RMT_EXTENT_RUNS && rmt_get32(extents->runs[i].pages); i++) {
        int rc = walk_run(&walk, &extents->runs[i], extents->level);
        if (rc)
            return rc;
    }
    if (walk.pages_max)
        return walk_fail(&extents->runs[0], "a value has fewer pages than its size says");
    return 0;
}

static int gone_fn(void *ctx, const struct rmt_disk_run *run, uint32_t level)
{
    (void)level;
    return rmt_edit_gone_grow(ctx, rmt_run_of(run));
}

int rmt_value_gone(struct rmt_edit *edit, const struct rmt_value *value, uint64_t *seen)
{
    const struct rmt_private *own = rmt_extents_value(value);
    if (own)
        return own->whole ? rmt_parts_gone(edit, own) : 0;
    if (rmt_value_shared(value)) {
        int rc = rmt_edit_refs_ensure(edit, 1);
        if (rc == 0)
            rmt_edit_refs_note(edit, rmt_ref_load(value->data).addr, RMT_REFS_GIVEN);
        return rc;
    }
    return walk_record(edit->pages, value, seen, gone_fn, edit);
}

struct runs_call {
    struct rmt_pages *pages;
    rmt_value_run_fn fn;
    void *ctx;
    bool verify;
};

static int runs_fn(void *ctx, const struct rmt_disk_run *run, uint32_t level)
{
    struct runs_call *call = ctx;
    const uint8_t *data;
    if (level == 0 && call->verify) {
        int rc = rmt_page_data(call->pages, run, &data);
        if (rc < 0)
            return rc;
    }
    return call->fn(call->ctx, run, level);
}

int rmt_value_runs(struct rmt_pages *pages, const struct rmt_value *value, bool verify,
                   rmt_value_run_fn fn, void *ctx)
{
    struct runs_call call = {pages, fn, ctx, verify};
    if (!value->extents || rmt_extents_value(value) || rmt_value_shared(value))
        return 0;
    uint64_t seen = 0;
    return walk_record(pages, value, &seen, runs_fn, &call);
}

/* ---- shared pages ---------------------------------------------------------------------------- */

int rmt_value_find_shared(struct rmt_pages *pages, const struct rmt_tree *shares,
                          struct rmt_value *value)
{
    uint8_t key[RMT_SHARE_KEY_SIZE];
    struct rmt_value found = {0};
    uint64_t number = rmt_ref_load(value->data).addr;
    int rc = RAMET_ENOTFOUND;
    if (shares)
        rc = rmt_tree_get(pages, shares, rmt_share_key(key, RMT_SHARE_PAGE, number), &found);
    if (rc == RAMET_ENOTFOUND || (rc == 0 && !(found.extents && found.size == value->size)))
        return rmt_fail(RAMET_ECORRUPT, "store '%s': there is no shared page %llu", pages->io->path,
                        (unsigned long long)number);
    if (rc == 0)
        *value = found;
    return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Copies [off, off + len) of a value to buf; without buf, finds out whether it lies side by side.
 */
struct copy {
    struct rmt_pages *pages;
    uint8_t *buf;
    uint64_t off, len; /* what is wanted of the value */
    uint64_t at;       /* where the next run begins in the value */
    uint64_t first;    /* address of the first run */
    bool apart;        /* the runs do not lie side by side */
};

#define COPY_DONE 1

static int copy_fn(void *ctx, const struct rmt_disk_run *run, uint32_t level)
{
    struct copy *copy = ctx;
    struct rmt_run pages = rmt_run_of(run);
    uint64_t from = copy->at, to = from + (pages.len << copy->pages->page_shift);
    if (level > 0)
        return 0;
    copy->at = to;
    if (!copy->buf) {
        if (from == 0)
            copy->first = pages.addr;
        copy->apart |= pages.addr != copy->first + (from >> copy->pages->page_shift);
        if (copy->apart)
            return COPY_DONE;
    }
    uint64_t begin = rmt_max(from, copy->off), end = rmt_min(to, copy->off + copy->len);
    if (begin < end) {
        const uint8_t *data;
        int rc = rmt_page_data(copy->pages, run, &data);
        if (rc < 0)
            return rmt_fail_within(rc, "byte %llu", (unsigned long long)from);
        if (copy->buf)
            memcpy(copy->buf + (begin - copy->off), data + (begin - from), end - begin);
    }
    return copy->buf && to >= copy->off + copy->len ? COPY_DONE : 0;
}

static int copy_run(struct copy *copy, const struct rmt_value *value)
{
    uint64_t seen = 0;
    return walk_record(copy->pages, value, &seen, copy_fn, copy);
}

int64_t rmt_value_read(struct rmt_pages *pages, const struct rmt_value *value, uint64_t off,
                       void *buf, size_t len)
{
    uint64_t size = rmt_value_size(pages, value);
    if (off >= size || len == 0)
        return 0;
    len = rmt_min(len, size - off);
    const struct rmt_private *own = rmt_extents_value(value);
    if (own && own->whole) {
        int rc = rmt_parts_read(pages, own, off, buf, len);
        return rc < 0 ? rc : (int64_t)len;
    }
    if (!value->extents || own) {
        const uint8_t *bytes = own ? rmt_private_bytes(own) : value->data;
        memcpy(buf, bytes + off, len);
        return (int64_t)len;
    }
    struct copy copy = {.pages = pages, .buf = buf, .off = off, .len = len};
    int rc = copy_run(&copy, value);
    return rc < 0 ? rc : (int64_t)len;
}

int rmt_value_slice(struct rmt_pages *pages, const struct rmt_value *value, struct rmt_arena *arena,
                    struct ramet_slice *out)
{
    if (rmt_likely(!value->extents)) {
        *out = rmt_slice(value->data, value->size);
        return 0;
    }
    uint64_t size = rmt_value_size(pages, value);
    if (size > RAMET_SLICE_MAX)
        return rmt_fail(-EFBIG, "a value of %llu bytes is too large to be had in one piece",
                        (unsigned long long)size);
    const struct rmt_private *own = rmt_extents_value(value);
    if (own && !own->whole) {
        *out = rmt_slice(rmt_private_bytes(own), size);
        return 0;
    }

    struct copy copy = {.pages = pages, .off = 0, .len = size, .apart = own != NULL};
    int rc = own ? 0 : copy_run(&copy, value);
    if (rc < 0)
        return rc;
    if (!copy.apart) {
        *out = rmt_slice(rmt_page_at(pages, copy.first), size);
        return 0;
    }
    void *buf = rmt_arena_alloc(arena, size);
    if (!buf)
        return rmt_fail(-ENOMEM, "no memory for a value of %llu bytes", (unsigned long long)size);
    int64_t n = rmt_value_read(pages, value, 0, buf, size);
    if (n < 0)
        return (int)n;
    *out = rmt_slice(buf, size);
    return 0;
}

/* ---- sealing --------------------------------------------------------------------------------- */

struct run_list {
    RMT_VEC(struct rmt_disk_run) runs;
};

static void run_list_fini(struct run_list *list)
{
    rmt_vec_fini(&list->runs);
}
RMT_AUTO(run_list_fini, struct run_list)

/* Writes private bytes as runs, which go on the list. */
static int write_pages(struct rmt_writer *w, const struct rmt_edit *edit, const uint8_t *data,
                       uint64_t pages, struct run_list *out)
{
    while (pages) {
        struct rmt_disk_run run;
        int rc = rmt_writer_data(w, data, pages, &run);
        if (rc < 0)
            return rc;
        if (!rmt_vec_push(&out->runs, run))
            return rmt_fail(-ENOMEM, "no memory for a list of runs");
        uint64_t taken = rmt_get32(run.pages);
        rmt_assert(taken > 0 && taken <= pages);
        data += taken << edit->pages->page_shift;
        pages -= taken;
    }
    return 0;
}

static int write_runs(struct rmt_writer *w, const struct rmt_edit *edit,
                      const struct rmt_private *value, struct run_list *out)
{
    uint64_t pages = rmt_div_up(value->value_size, edit->pages->page_size);
    return write_pages(w, edit, value->bytes, pages, out);
}

/* Of a value in parts: what is in the file stays there. */
static int write_parts(struct rmt_writer *w, struct rmt_edit *edit, const struct rmt_private *value,
                       struct run_list *out)
{
    const struct rmt_parts *parts = rmt_parts_of(value);
    struct rmt_private *zeros = NULL;
    int rc = 0;
    for (uint32_t i = 0; i < parts->count && rc == 0; i++) {
        const struct rmt_part *part = &parts->items[i];
        const struct rmt_private *own = part->own;
        if (rmt_part_in_file(part)) {
            if (!rmt_vec_push(&out->runs, part->run))
                rc = rmt_fail(-ENOMEM, "no memory for a list of runs");
            continue;
        }
        if (!own && !zeros) {
            size_t size = (size_t)RMT_RUN_PAGES_MAX << edit->pages->page_shift;
            rc = rmt_edit_seal_blank(edit, size, &zeros);
            if (rc < 0)
                break;
            memset(zeros->bytes, 0, size);
        }
        rc = write_pages(w, edit, own ? own->bytes : zeros->bytes, part->pages, out);
    }
    return rc;
}

/* A private value that holds a list of runs as it stands in the file: the writer borrows it. */
static int list_new(struct rmt_edit *edit, const struct run_list *list, struct rmt_private **out)
{
    uint32_t page_size = edit->pages->page_size, per_page = runs_per_page(page_size);
    size_t nr_pages = rmt_div_up(list->runs.count, per_page);
    struct rmt_private *value;
    int rc = rmt_edit_seal_blank(edit, nr_pages * page_size, &value);
    if (rc < 0)
        return rc;
    memset(value->bytes, 0, nr_pages * page_size);
    for (size_t i = 0; i < nr_pages; i++) {
        size_t n = rmt_min(per_page, list->runs.count - i * per_page);
        memcpy(value->bytes + i * page_size, list->runs.items + i * per_page, n * RUN_SIZE);
    }
    *out = value;
    return 0;
}

static int page_seal(const struct rmt_private *own, void *record, struct rmt_writer *w)
{
    struct rmt_disk_run run;
    int rc = own->lent ? rmt_writer_lent(w, rmt_private_bytes(own), &run)
                       : rmt_writer_data(w, own->bytes, 1, &run);
    if (rc == 0)
        memcpy(record, &run.ref, sizeof(run.ref));
    return rc;
}

int rmt_value_seal(struct rmt_edit *edit, const struct rmt_value *value, struct rmt_writer *w)
{
    struct rmt_private *own = rmt_extents_value(value);
    struct rmt_disk_extents *record = (struct rmt_disk_extents *)(uintptr_t)value->data;
    rmt_assert(own != NULL);
    if (!own->value_size)
        return page_seal(own, record, w);

    struct rmt_disk_extents sealed = {.size = record->size};
    rmt_auto(run_list_fini) struct run_list *runs = &(struct run_list){0};
    int rc = own->whole ? write_parts(w, edit, own, runs) : write_runs(w, edit, own, runs);
    while (rc == 0 && runs->runs.count > RMT_EXTENT_RUNS) {
        rmt_assert(sealed.level < RMT_EXTENTS_LEVEL_MAX);
        sealed.level++;
        struct rmt_private *list;
        rc = list_new(edit, runs, &list);
        if (rc < 0)
            return rc;
        runs->runs.count = 0;
        rc = write_runs(w, edit, list, runs);
    }
    if (rc < 0)
        return rc;
    memcpy(sealed.runs, runs->runs.items, runs->runs.count * sizeof(sealed.runs[0]));
    *record = sealed;
    return 0;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* Compares two values of one size piece by piece. */
static int equal_contents(struct rmt_pages *pages, const struct rmt_value *a,
                          const struct rmt_value *b, uint64_t size)
{
    enum { PIECE = 1 << 16 };
    rmt_auto(free) uint8_t *bytes = malloc((size_t)2 * PIECE);
    if (!bytes)
        return rmt_fail(-ENOMEM, "comparing values");
    for (uint64_t at = 0; at < size; at += PIECE) {
        size_t n = (size_t)rmt_min(size - at, PIECE);
        int64_t rc = rmt_value_read(pages, a, at, bytes, n);
        if (rc >= 0)
            rc = rmt_value_read(pages, b, at, bytes + PIECE, n);
        if (rc < 0)
            return (int)rc;
        if (memcmp(bytes, bytes + PIECE, n) != 0)
            return 0;
    }
    return 1;
}

/* The page of a page record. */
static int page_of(struct rmt_pages *pages, const struct rmt_value *value, const uint8_t **out)
{
    const struct rmt_private *own = rmt_extents_value(value);
    if (own) {
        *out = rmt_private_bytes(own);
        return 0;
    }
    struct rmt_disk_run run = page_run(value);
    return rmt_page_data(pages, &run, out);
}

static int equal_pages(struct rmt_pages *pages, const struct rmt_value *a,
                       const struct rmt_value *b)
{
    const uint8_t *x, *y;
    int rc = page_of(pages, a, &x);
    if (rc == 0)
        rc = page_of(pages, b, &y);
    return rc < 0 ? rc : memcmp(x, y, pages->page_size) == 0;
}

int rmt_value_equal(struct rmt_pages *pages, const struct rmt_value *a, const struct rmt_value *b)
{
    uint64_t size = rmt_value_size(pages, a);
    if (size != rmt_value_size(pages, b))
        return 0;
    /* Also of two that are in the same extents, or both are the same private one. */
    if (rmt_value_same(a, b))
        return 1;
    if (a->extents && b->extents && a->size == RMT_PAGE_RECORD_SIZE && b->size == a->size)
        return equal_pages(pages, a, b);
    return a->extents || b->extents ? equal_contents(pages, a, b, size) : 0;
}
