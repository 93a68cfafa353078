/* SPDX-License-Identifier: MIT */
/*
 * region.c - ramet_region_*(): a blob as memory that the kernel copies when it is written.
 *
 * A region's memory is a window (io/window.h) of the pages of one version, which it holds as a read
 * transaction does. Pages are mapped run by run, as they lie in the file. Short runs that would
 * need more mappings than there may be are read into private pages instead.
 *
 *   R1  a page that is not private shows that page of the version
 *   R2  a page that is *kept* is private; if it was not written since it was kept, it is that page
 *       of the version. What is committed is kept where it is: its page in the file is not mapped,
 *       for a mapping of one page costs more than all else that is done with it
 *   R3  written are private pages that are not kept, or that the window finds written since they
 *       were armed; kept pages are armed. Where the window cannot tell, kept pages are compared
 *   R4  what was found written, and is not committed yet, is pending: the window has forgotten it
 *   R5  what a refresh or a reset that failed may have left neither old nor new is mixed; while
 *       there is some, nothing is committed
 *
 *               open           stores of the program        commit
 *   (nothing) -------> mapped ----------------------> written ------> kept
 *                         ^                              |              |
 *                         +-------- reset ---------------+              | stores: written again
 *                         +-------- refresh, if others changed it ------+
 */
#include <inttypes.h>

#include "blob/blob.h"
#include "blob/layout.h"
#include "io/reserve.h"
#include "io/window.h"
#include "store/shares.h"
#include "tree/diff.h"

#define MAPPINGS_MAX 8192u
#define AHEAD 8 /* pieces whose memory is asked for before it is looked at */
/* Fewer pages than this are read where they would need a mapping more while a region is refreshed.
 */
#define MAP_BYTES_MIN ((size_t)128 << 10)

struct ramet_region {
    struct ramet_store *store;
    struct ramet_txn *txn; /* of the version that it shows */
    const struct ramet_map *blob;
    bool follows; /* ref names a branch */
    struct rmt_window window;
    uint64_t bytes;     /* its size */
    uint64_t least;     /* that it had since the last commit */
    uint64_t committed; /* size of the version's blob */
    uint64_t *kept;     /* a bit a page */
    struct rmt_pieces pending, mixed;
    bool forgot; /* what the window told could not be noted: kept pages are compared once */
    uint32_t mappings, mappings_max;
    char name[RAMET_BLOB_NAME_MAX + 1];
    char ref[];
};

RMT_AUTO(ramet_abort, struct ramet_txn)

static uint32_t shift_of(const struct ramet_region *r)
{
    return r->store->pages.page_shift;
}

static uint64_t pages_for(const struct ramet_region *r, uint64_t bytes)
{
    return rmt_div_up(bytes, r->store->pages.page_size);
}

/* ---- which pages are kept -------------------------------------------------------------------- */

static bool is_kept(const struct ramet_region *r, uint64_t page)
{
    return r->kept[page / 64] >> page % 64 & 1;
}

static void keep_pages(struct ramet_region *r, uint64_t page, uint64_t count, bool kept)
{
    for (uint64_t end = page + count, n; page < end; page += n) {
        uint64_t *word = &r->kept[page / 64];
        n = rmt_min(end - page, 64 - page % 64);
        uint64_t bits = UINT64_MAX >> (64 - n) << page % 64;
        uint64_t now = kept ? *word | bits : *word & ~bits;
        if (*word != now) /* memory that nobody wrote stays so */
            *word = now;
    }
}

/* How many pages from one on, up to end, are kept, or are not, as that one. */
static uint64_t alike(const struct ramet_region *r, uint64_t page, uint64_t end)
{
    uint64_t n = 1;
    while (page + n < end && is_kept(r, page + n) == is_kept(r, page))
        n++;
    return n;
}

static size_t kept_bytes(const struct rmt_window *window)
{
    return window->size / 4096 / 8 + 8;
}

static int no_memory(const struct ramet_region *r)
{
    return rmt_fail(-ENOMEM, "a region of blob '%s'", r->name);
}

/* ---- showing a version ----------------------------------------------------------------------- */

/* Reads pages into private ones. They are to be armed. */
static int copy_in(struct ramet_region *r, const struct ramet_map *blob, struct rmt_piece piece)
{
    uint8_t *to = r->window.base + (piece.page << shift_of(r));
    int rc = rmt_blob_pages(blob, piece.page, piece.count, to);
    if (rc == 0)
        keep_pages(r, piece.page, piece.count, true);
    return rc;
}

/* Shows a run of pages of the file, none of which is kept. Returns 1 if they were read instead, and
 * are to be armed. */
static int show_run(struct ramet_region *r, const struct ramet_map *blob, struct rmt_piece piece,
                    bool map)
{
    uint32_t shift = shift_of(r);
    int rc = map && r->mappings + 2 <= r->mappings_max
                 ? rmt_window_map(&r->window, piece.page << shift, r->store->io,
                                  piece.addr << shift, piece.count << shift)
                 : -EOPNOTSUPP;
    if (rc == 0)
        r->mappings += 2;
    if (rc != -EOPNOTSUPP)
        return rc;
    rc = copy_in(r, blob, piece);
    return rc < 0 ? rc : 1;
}

static int ignore(void *ctx, size_t off, size_t len)
{
    (void)ctx, (void)off, (void)len;
    return 0;
}

/* What was read is as the version has it. */
static int arm(struct ramet_region *r, struct rmt_piece piece)
{
    uint32_t shift = shift_of(r);
    return rmt_window_written(&r->window, piece.page << shift, piece.count << shift, true, ignore,
                              NULL);
}

/* ---- showing all of it ------------------------------------------------------------------------
 */

static int by_count(const void *a, const void *b)
{
    const struct rmt_piece *x = a, *y = b;
    return (x->count < y->count) - (x->count > y->count);
}

/* Runs with fewer pages are read instead of mapped, so that there are not too many mappings. */
static int least_mapped(const struct ramet_region *r, const struct rmt_pieces *runs, uint64_t *out)
{
    size_t max = r->mappings_max / 2;
    *out = 1;
    if (runs->count <= max)
        return 0;
    rmt_auto(free) struct rmt_piece *copy = malloc(runs->count * sizeof(*copy));
    if (!copy)
        return no_memory(r);
    memcpy(copy, runs->items, runs->count * sizeof(*copy));
    qsort(copy, runs->count, sizeof(*copy), by_count);
    *out = copy[max].count + 1;
    return 0;
}

/* Bytes behind the blob's end: a merge can have left some (blob.c, B2). */
static int clear_tail(struct ramet_region *r)
{
    uint32_t page_size = r->store->pages.page_size;
    uint64_t page = r->bytes >> shift_of(r);
    size_t used = r->bytes & (page_size - 1), i = used;
    uint8_t *bytes = r->window.base + (page << shift_of(r));
    while (used && i < page_size && bytes[i] == 0)
        i++;
    if (used == 0 || i == page_size)
        return 0;
    memset(bytes + used, 0, page_size - used);
    keep_pages(r, page, 1, true);
    struct rmt_piece piece = {.page = page, .count = 1};
    return arm(r, piece);
}

static int show_all(struct ramet_region *r)
{
    rmt_auto(rmt_pieces_fini) struct rmt_pieces runs = {0};
    uint64_t least = 1;
    bool copied = false;
    int rc = rmt_layout_get(r->blob, pages_for(r, r->bytes), &runs);
    if (rc == 0)
        rc = least_mapped(r, &runs, &least);
    for (size_t i = 0; i < runs.count && rc >= 0; i++) {
        rc = show_run(r, r->blob, runs.items[i], runs.items[i].count >= least);
        copied |= rc == 1;
    }
    if (rc >= 0)
        rc = rmt_window_settle(&r->window);
    if (rc >= 0 && copied)
        rc = rmt_window_written(&r->window, 0, r->window.size, true, ignore, NULL);
    return rc < 0 ? rc : clear_tail(r);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static int verify(struct ramet_region *r)
{
    enum { PIECE = 1 << 20 };
    rmt_auto(rmt_pieces_fini) struct rmt_pieces runs = {0};
    rmt_auto(free) uint8_t *buf = malloc(PIECE);
    if (!buf)
        return no_memory(r);
    int rc = rmt_layout_get(r->blob, pages_for(r, r->bytes), &runs);
    for (size_t i = 0; i < runs.count && rc == 0; i++) {
        const struct rmt_piece *run = &runs.items[i];
        uint64_t step = (uint64_t)PIECE >> shift_of(r);
        for (uint64_t at = 0; at < run->count && rc == 0; at += step)
            rc = rmt_blob_pages(r->blob, run->page + at, rmt_min(step, run->count - at), buf);
    }
    return rc;
}

/* Begins to show the newest version of ref. */
static int begin(const struct ramet_region *r, struct ramet_txn **txn, struct ramet_map **blob,
                 uint64_t *bytes)
{
    struct ramet_blob *handle;
    rmt_auto(ramet_abort) struct ramet_txn *t = NULL;
    int rc = ramet_begin(r->store, r->ref, RAMET_READ, &t);
    if (rc == 0)
        rc = ramet_blob_open(t, r->name, 0, &handle);
    if (rc == 0)
        rc = ramet_blob_size(handle, bytes);
    if (rc < 0)
        return rc;
    *blob = (struct ramet_map *)handle;
    *txn = rmt_take(t);
    return 0;
}

static int too_large(const struct ramet_region *r, uint64_t bytes)
{
    return rmt_fail(-EFBIG,
                    "blob '%s': %" PRIu64 " bytes are more than the region has addresses reserved: "
                    "open it with a larger options->reserve",
                    r->name, bytes);
}

static void region_free(struct ramet_region *r)
{
    if (!r)
        return;
    if (r->kept)
        rmt_reserve_free(r->kept, kept_bytes(&r->window));
    rmt_window_fini(&r->window);
    rmt_pieces_fini(&r->pending);
    rmt_pieces_fini(&r->mixed);
    ramet_abort(r->txn);
    free(r);
}
RMT_AUTO(region_free, struct ramet_region)

static int open_region(struct ramet_region *r, const struct ramet_region_options *o)
{
    struct ramet_map *blob;
    int rc = begin(r, &r->txn, &blob, &r->bytes);
    if (rc < 0)
        return rc;
    r->blob = blob;
    r->follows = r->txn->follows;
    r->committed = r->least = r->bytes;
    r->mappings_max = o->mappings ? o->mappings : MAPPINGS_MAX;
    uint64_t size = rmt_max(rmt_max(r->bytes, o->reserve), 1);
    if (size > (uint64_t)1 << 46)
        return rmt_fail(-ENOMEM, "blob '%s': no addresses for %" PRIu64 " bytes", r->name, size);
    rc = rmt_window_new(pages_for(r, size) << shift_of(r), &r->window);
    if (rc < 0)
        return rc;
    r->kept = rmt_reserve_new(kept_bytes(&r->window));
    if (!r->kept)
        return no_memory(r);
    if (o->flags & RAMET_REGION_VERIFY)
        rc = verify(r);
    return rc < 0 ? rc : show_all(r);
}

int ramet_region_open(struct ramet_store *store, const char *ref, const char *name,
                      const struct ramet_region_options *options, struct ramet_region **out)
{
    static const struct ramet_region_options none = {.size = sizeof(none)};
    const struct ramet_region_options *o = options ? options : &none;
    if (!store || !name || !out)
        return rmt_fail(-EINVAL, "ramet_region_open: store, name or out");
    if (o->size < sizeof(*o) || o->flags & ~(unsigned)RAMET_REGION_VERIFY)
        return rmt_fail(-EINVAL, "ramet_region_open: options->size is not set, or unknown flags");
    if (!ref)
        ref = "main";
    if (strlen(name) > RAMET_BLOB_NAME_MAX)
        return rmt_fail(-EINVAL, "a blob name has at most %u bytes", RAMET_BLOB_NAME_MAX);
    size_t ref_size = strlen(ref) + 1;
    rmt_auto(region_free) struct ramet_region *r = calloc(1, sizeof(*r) + ref_size);
    if (!r)
        return rmt_fail(-ENOMEM, "a region of blob '%s'", name);
    r->store = store;
    r->window.pagemap = r->window.faults = -1;
    memcpy(r->ref, ref, ref_size);
    memcpy(r->name, name, strlen(name) + 1);
    int rc = open_region(r, o);
    if (rc == 0)
        *out = rmt_take(r);
    return rc;
}

void ramet_region_close(struct ramet_region *region)
{
    if (region && rmt_store_usable(region->store) == 0)
        region_free(region);
}

void *ramet_region_data(struct ramet_region *region)
{
    return region ? region->window.base : NULL;
}

/* ---- what was written ------------------------------------------------------------------------ */

struct finding {
    struct ramet_region *r;
    struct rmt_pieces *to;
};

static int found(void *ctx, size_t off, size_t len)
{
    struct finding *f = ctx;
    uint32_t shift = shift_of(f->r);
    uint64_t page = off >> shift, end = rmt_div_up(off + len, (uint64_t)1 << shift);
    struct rmt_piece piece = {.page = page, .count = end - page};
    return rmt_pieces_push(f->to, piece) ? 0 : no_memory(f->r);
}

/* Kept pages that were found because the window cannot tell: those that are as they were go. */
static int compare(struct ramet_region *r, struct rmt_pieces *pieces)
{
    uint32_t page_size = r->store->pages.page_size;
    /* What is stored behind the end is no change. */
    bool resized = r->bytes != r->committed || r->least != r->committed;
    struct rmt_pieces all = *pieces;
    rmt_auto(rmt_pieces_fini) struct rmt_pieces old = all;
    *pieces = (struct rmt_pieces){0};
    rmt_auto(free) uint8_t *bytes = malloc(page_size);
    if (!bytes)
        return no_memory(r);
    for (size_t i = 0; i < old.count; i++) {
        for (uint64_t n = 0; n < old.items[i].count; n++) {
            struct rmt_piece piece = {.page = old.items[i].page + n, .count = 1};
            int rc = is_kept(r, piece.page) ? rmt_blob_pages(r->blob, piece.page, 1, bytes) : 1;
            if (rc < 0)
                return rc;
            uint64_t off = piece.page << shift_of(r);
            size_t len = resized ? page_size : rmt_min(page_size, r->bytes - off);
            if (rc == 0 && memcmp(bytes, r->window.base + off, len) == 0)
                continue;
            if (!rmt_pieces_push(pieces, piece))
                return no_memory(r);
        }
    }
    return 0;
}

/* Adds what was written to what is pending, if arming; else all of it to out. What is armed, and
 * cannot be noted, is found by comparing next time. */
static int find_written(struct ramet_region *r, bool arming, struct rmt_pieces *out)
{
    rmt_auto(rmt_pieces_fini) struct rmt_pieces pieces = {0};
    struct finding f = {r, &pieces};
    struct rmt_pieces *to = arming ? &r->pending : out;
    uint64_t bytes = pages_for(r, r->bytes) << shift_of(r);
    bool forgot = r->forgot;
    r->forgot |= arming;
    int rc = 0;
    if (bytes && (arming || !forgot))
        rc = rmt_window_written(&r->window, 0, bytes, arming, forgot ? ignore : found,
                                forgot ? NULL : (void *)&f);
    if (bytes && rc == 0 && forgot)
        rc = rmt_window_private(&r->window, 0, bytes, found, &f);
    if (rc == 0 && (forgot || !rmt_window_exact(&r->window)))
        rc = compare(r, &pieces);
    if (rc == 0 && !rmt_vec_reserve(to, to->count + pieces.count + (arming ? 0 : r->pending.count)))
        rc = no_memory(r);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < r->pending.count && !arming; i++)
        out->items[out->count++] = r->pending.items[i];
    for (size_t i = 0; i < pieces.count; i++)
        to->items[to->count++] = pieces.items[i];
    rmt_pieces_settle(to);
    r->forgot = forgot && !arming;
    return 0;
}

static int count_private(void *ctx, size_t off, size_t len)
{
    (void)off;
    *(uint64_t *)ctx += len;
    return 0;
}

int ramet_region_stat(struct ramet_region *region, struct ramet_region_info *out)
{
    if (!region || !out || out->size < sizeof(*out))
        return rmt_fail(-EINVAL, "ramet_region_stat: region, out or out->size");
    struct ramet_region *r = region;
    int rc = rmt_store_usable(r->store);
    if (rc < 0)
        return rc;
    struct ramet_region_info info = {
        .size = sizeof(info),
        .version = ramet_txn_id(r->txn),
        .bytes = r->bytes,
        .mappings = r->mappings + 1,
    };
    rmt_auto(rmt_pieces_fini) struct rmt_pieces written = {0};
    rc = rmt_window_private(&r->window, 0, r->window.size, count_private, &info.private_bytes);
    if (rc == 0)
        rc = find_written(r, false, &written);
    for (size_t i = 0; i < written.count; i++)
        info.written_bytes += written.items[i].count << shift_of(r);
    info.exact = rmt_window_exact(&r->window);
    if (rc == 0)
        *out = info;
    return rc;
}

int ramet_region_will_write(struct ramet_region *region, uint64_t off, uint64_t len)
{
    if (!region || off > region->bytes || len > region->bytes - off)
        return rmt_fail(-EINVAL, "ramet_region_will_write: the part goes beyond the region");
    int rc = rmt_store_usable(region->store);
    uint64_t from = off / 4096 * 4096, to = rmt_div_up(off + len, 4096) * 4096;
    return rc < 0 || len == 0 ? rc : rmt_window_populate(&region->window, from, to - from);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Pages behind a new end become zeros. */
static int cut(struct ramet_region *r, uint64_t bytes)
{
    uint64_t from = pages_for(r, bytes), to = pages_for(r, r->bytes);
    if (from >= to)
        return 0;
    int rc = rmt_window_clear(&r->window, from << shift_of(r), (to - from) << shift_of(r));
    if (rc < 0)
        return rc;
    keep_pages(r, from, to - from, false);
    rmt_pieces_trim(&r->pending, from);
    return 0;
}

/* Of the page in which a byte is, what comes from there on becomes zeros. */
static void wipe(struct ramet_region *r, uint64_t from)
{
    uint64_t end = pages_for(r, from) << shift_of(r);
    while (from < end && r->window.base[from] == 0)
        from++;
    memset(r->window.base + from, 0, end - from);
}

int ramet_region_resize(struct ramet_region *region, uint64_t bytes)
{
    struct ramet_region *r = region;
    if (!r)
        return rmt_fail(-EINVAL, "ramet_region_resize: no region");
    int rc = rmt_store_usable(r->store);
    if (rc < 0)
        return rc;
    if (bytes > r->window.size)
        return too_large(r, bytes);
    rc = cut(r, bytes);
    if (rc < 0)
        return rc;
    if (bytes > r->bytes)
        wipe(r, r->bytes);
    else if (bytes < r->bytes) /* its last page counts as written: others may change it, too */
        memset(r->window.base + bytes, 0, (pages_for(r, bytes) << shift_of(r)) - bytes);
    r->bytes = bytes;
    r->least = rmt_min(r->least, bytes);
    return 0;
}

/* ---- committing ------------------------------------------------------------------------------ */

static bool same_blob(const struct ramet_map *a, const struct ramet_map *b)
{
    return rmt_ref_equal(a->tree.root, b->tree.root);
}

/* Everything that is pending, and the size. 1: something was written. */
static int write_pending(struct ramet_region *r, struct ramet_blob *blob)
{
    bool resized = r->least != r->committed || r->bytes != r->committed;
    int rc = resized ? ramet_blob_truncate(blob, r->least) : 0;
    if (rc == 0 && resized)
        rc = ramet_blob_truncate(blob, r->bytes);
    for (size_t i = 0; i < r->pending.count && rc == 0; i++) {
        uint64_t off = r->pending.items[i].page << shift_of(r);
        uint64_t len = r->pending.items[i].count << shift_of(r);
        if (i + AHEAD < r->pending.count) /* scattered: each is a miss of all caches */
            __builtin_prefetch(r->window.base + (r->pending.items[i + AHEAD].page << shift_of(r)));
        if (off < r->bytes)
            rc = ramet_blob_lend(blob, off, r->window.base + off, rmt_min(len, r->bytes - off));
    }
    return rc < 0 ? rc : resized || r->pending.count;
}

/* Of pages that are larger than the system's every part is made private: what is mapped below may
 * be used for something else once the page was committed. Nothing is changed. */
static void own_whole_pages(const struct ramet_region *r)
{
    uint32_t page_size = r->store->pages.page_size;
    for (size_t i = 0; i < r->pending.count && page_size > 4096; i++) {
        uint8_t *at = r->window.base + (r->pending.items[i].page << shift_of(r));
        uint8_t *end = at + (r->pending.items[i].count << shift_of(r));
        for (; at < end; at += 4096)
            (void)__atomic_fetch_or(at, 0, __ATOMIC_RELAXED);
    }
}

/* Commits, and shows the version that comes of it, which is that of no other writer. Whatever that
 * takes is there before: once it is published, nothing fails. */
static int commit(struct ramet_region *r, struct ramet_txn *txn, const struct ramet_map *blob,
                  const struct ramet_keep *keep)
{
    struct ramet_store *store = r->store;
    rmt_auto(ramet_abort) struct ramet_txn *after = NULL;
    struct rmt_reader_slot *slot;
    struct ramet_map *again;
    struct rmt_state state;
    uint64_t id;
    int rc = rmt_reader_claim(&store->shared, &slot);
    if (rc == 0)
        rc = rmt_txn_hold(store, slot, &r->txn->version, &after);
    if (rc == 0)
        rc = rmt_map_again(after, r->blob, &again);
    if (rc < 0)
        return rc;
    rmt_state_published(store, &state);
    rmt_reader_enter(slot, state.id); /* what is published from now on stays */
    rc = rmt_txn_commit(txn, keep, NULL, &id);
    if (rc < 0)
        return rc;
    struct rmt_version version = txn->version;
    version.id = id;
    version.root = txn->maps_tree.root;
    rmt_reader_settle(slot, id);
    rmt_txn_show(after, &version);
    rmt_tree_set(&again->tree, blob->tree.root, blob->tree.count);
    rmt_shares_again(after, txn);
    ramet_abort(r->txn);
    r->txn = rmt_take(after);
    r->blob = again;
    return 0;
}

/* The region now shows another version, in which its blob is the same. */
static int move_to(struct ramet_region *r, struct ramet_txn *txn)
{
    struct ramet_blob *blob;
    int rc = ramet_blob_open(txn, r->name, 0, &blob);
    if (rc < 0) {
        ramet_abort(txn);
        return rc;
    }
    ramet_abort(r->txn);
    r->txn = txn;
    r->blob = (const struct ramet_map *)blob;
    return 0;
}

static int begin_commit(struct ramet_region *r, struct ramet_txn **txn, struct ramet_blob **blob)
{
    int rc = ramet_begin(r->store, r->ref, RAMET_WRITE, txn);
    if (rc == 0)
        rc = ramet_blob_open(*txn, r->name, 0, blob);
    if (rc == 0 && !same_blob((const struct ramet_map *)*blob, r->blob))
        rc =
            rmt_fail(RAMET_ECONFLICT,
                     "blob '%s' of branch '%s' was changed by others: ramet_region_refresh() first",
                     r->name, r->ref);
    return rc;
}

int ramet_region_commit(struct ramet_region *region, const struct ramet_keep *keep,
                        uint64_t *out_id)
{
    struct ramet_region *r = region;
    rmt_auto(ramet_abort) struct ramet_txn *txn = NULL;
    struct ramet_blob *blob;
    if (!r)
        return rmt_fail(-EINVAL, "ramet_region_commit: no region");
    int rc = rmt_store_usable(r->store);
    if (rc == 0 && !r->follows)
        rc = rmt_fail(RAMET_ETXN, "a region of '%s', which is no branch, cannot be committed",
                      r->ref);
    if (rc == 0 && r->mixed.count)
        rc = rmt_fail(RAMET_ECONFLICT,
                      "blob '%s': an earlier refresh or reset of this region failed half way: "
                      "ramet_region_refresh() or ramet_region_reset() first",
                      r->name);
    if (rc == 0)
        rc = begin_commit(r, &txn, &blob);
    if (rc == 0)
        rc = find_written(r, true, NULL);
    if (rc == 0)
        rc = write_pending(r, blob);
    if (rc < 0)
        return rc;
    if (rc > 0 || keep) {
        own_whole_pages(r);
        rc = commit(r, txn, (const struct ramet_map *)blob, keep);
        if (rc < 0)
            return rc;
        for (size_t i = 0; i < r->pending.count; i++)
            keep_pages(r, r->pending.items[i].page, r->pending.items[i].count, true);
        r->pending.count = 0;
        r->committed = r->least = r->bytes;
    }
    if (out_id)
        *out_id = ramet_txn_id(r->txn);
    return 0;
}

/* ---- resetting ------------------------------------------------------------------------------- */

/* Pages that were written become what they were. */
static int restore(struct ramet_region *r, struct rmt_piece piece)
{
    int rc = 0;
    for (uint64_t end = piece.page + piece.count; piece.page < end && rc == 0;) {
        uint32_t shift = shift_of(r);
        piece.count = alike(r, piece.page, end);
        if (is_kept(r, piece.page)) {
            rc = copy_in(r, r->blob, piece);
            if (rc == 0)
                rc = arm(r, piece);
        } else {
            rc = rmt_window_drop(&r->window, piece.page << shift, piece.count << shift);
        }
        piece.page += piece.count;
    }
    return rc;
}

/* Shows pages [from, to) of a version, whatever was there. */
static int show_range(struct ramet_region *r, const struct ramet_map *blob, uint64_t from,
                      uint64_t to)
{
    uint32_t shift = shift_of(r);
    rmt_auto(rmt_pieces_fini) struct rmt_pieces runs = {0};
    bool mapped = false;
    int rc = rmt_layout_read(blob, from, to, &runs);
    for (size_t i = 0; i <= runs.count && rc == 0 && from < to; i++) {
        uint64_t next = i < runs.count ? runs.items[i].page : to;
        struct rmt_piece hole = {.page = from, .count = next - from};
        if (hole.count << shift >= MAP_BYTES_MIN) {
            rc = rmt_window_clear(&r->window, hole.page << shift, hole.count << shift);
            keep_pages(r, hole.page, hole.count, false);
            r->mappings += 2;
        } else if (hole.count) {
            rc = copy_in(r, blob, hole);
            if (rc == 0)
                rc = arm(r, hole);
        }
        if (rc < 0 || i == runs.count)
            break;
        bool map = runs.items[i].count << shift >= MAP_BYTES_MIN;
        keep_pages(r, next, runs.items[i].count, false);
        rc = show_run(r, blob, runs.items[i], map);
        mapped |= rc == 0;
        if (rc > 0)
            rc = arm(r, runs.items[i]);
        from = next + runs.items[i].count;
    }
    int settled = mapped ? rmt_window_settle(&r->window) : 0;
    return rc < 0 ? rc : settled;
}

/* What a reset is to show again is mixed until it has, and so is what was before: torn. */
static int mix(struct ramet_region *r, const struct rmt_pieces *written, struct rmt_pieces *torn)
{
    rmt_auto(rmt_pieces_fini) struct rmt_pieces all = {0};
    struct rmt_piece cut_off = {.page = r->least >> shift_of(r)};
    bool room = rmt_vec_reserve(&all, r->mixed.count + written->count + 1);
    for (size_t i = 0; i < r->mixed.count && room; i++)
        all.items[all.count++] = r->mixed.items[i];
    for (size_t i = 0; i < written->count && room; i++)
        all.items[all.count++] = written->items[i];
    cut_off.count = pages_for(r, r->committed) - cut_off.page;
    if (r->least < r->committed && room)
        all.items[all.count++] = cut_off;
    if (!room)
        return no_memory(r);
    rmt_pieces_settle(&all);
    rmt_pieces_swap(torn, &r->mixed);
    rmt_pieces_swap(&r->mixed, &all);
    return 0;
}

int ramet_region_reset(struct ramet_region *region)
{
    struct ramet_region *r = region;
    rmt_auto(rmt_pieces_fini) struct rmt_pieces written = {0}, torn = {0};
    if (!r)
        return rmt_fail(-EINVAL, "ramet_region_reset: no region");
    int rc = rmt_store_usable(r->store);
    if (rc == 0 && r->bytes > r->committed)
        rc = ramet_region_resize(r, r->committed);
    if (rc == 0)
        rc = find_written(r, false, &written);
    if (rc == 0)
        rc = mix(r, &written, &torn);
    if (rc < 0)
        return rc;
    r->pending.count = 0;
    r->forgot = false;
    for (size_t i = 0; i < written.count && rc == 0; i++)
        rc = restore(r, written.items[i]);
    for (size_t i = 0; i < torn.count && rc == 0; i++)
        rc = show_range(r, r->blob, torn.items[i].page, torn.items[i].page + torn.items[i].count);
    if (rc == 0 && r->least < r->committed)
        rc = show_range(r, r->blob, r->least >> shift_of(r), pages_for(r, r->committed));
    if (rc < 0)
        return rc;
    r->bytes = r->least = r->committed;
    r->mixed.count = 0;
    return clear_tail(r);
}

/* ---- refreshing ------------------------------------------------------------------------------ */

/* Pages that differ between the version that is shown and another. */
static int changed_pages(struct ramet_region *r, const struct ramet_map *blob,
                         struct rmt_pieces *out)
{
    struct ramet_slice none = {NULL, 0}, key;
    struct rmt_value before, after;
    struct rmt_diff diff;
    int rc;
    rmt_diff_init(&diff, &r->store->pages, &r->blob->tree, &blob->tree, none, none);
    /* What others wrote as it was lies elsewhere now, and where it lay is free. */
    diff.places = true;
    while ((rc = rmt_diff_next(&diff, &key, &before, &after)) > 0) {
        struct rmt_piece piece = {.count = 1};
        if (key.size != 8)
            continue;
        piece.page = rmt_get_be64(key.data);
        if (!rmt_pieces_push(out, piece))
            return no_memory(r);
    }
    return rc;
}

/* Pages that lay behind the end, where nothing was shown of them: a merge can have left them there
 * (blob.c, B2), and another one have moved the end. */
static int uncovered_pages(const struct ramet_region *r, const struct ramet_map *blob,
                           uint64_t bytes, struct rmt_pieces *out)
{
    rmt_auto(rmt_pieces_fini) struct rmt_pieces pieces = {0};
    if (bytes <= r->committed)
        return 0;
    int rc = rmt_layout_read(blob, r->committed >> shift_of(r), pages_for(r, bytes), &pieces);
    for (size_t i = 0; i < pieces.count && rc == 0; i++) {
        struct rmt_piece piece = {.page = pieces.items[i].page, .count = pieces.items[i].count};
        rc = rmt_pieces_push(out, piece) ? 0 : no_memory(r);
    }
    return rc;
}

static int check_conflicts(const struct ramet_region *r, const struct rmt_pieces *changed)
{
    for (size_t i = 0; i < changed->count; i++) {
        for (uint64_t n = 0; n < changed->items[i].count; n++) {
            uint64_t page = changed->items[i].page + n;
            if (rmt_pieces_have(&r->pending, page) && !rmt_pieces_have(&r->mixed, page))
                return rmt_fail(RAMET_ECONFLICT,
                                "blob '%s' of branch '%s': byte %" PRIu64
                                " and those on its page were changed here and by others",
                                r->name, r->ref, page << shift_of(r));
        }
    }
    return 0;
}

static int subtract(const struct ramet_region *r, const struct rmt_pieces *from,
                    const struct rmt_pieces *others, struct rmt_pieces *out)
{
    return rmt_pieces_subtract(from, others, out) ? 0 : no_memory(r);
}

/* Pages from end on are cut off here. */
static int show_changes(struct ramet_region *r, const struct ramet_map *blob,
                        const struct rmt_pieces *changed, uint64_t end)
{
    int rc = 0;
    for (size_t i = 0; i < changed->count && rc == 0; i++) {
        const struct rmt_piece *piece = &changed->items[i];
        if (piece->page < end)
            rc = show_range(r, blob, piece->page, rmt_min(piece->page + piece->count, end));
    }
    return rc;
}

/* What was changed here and by others becomes, or stays, what one of the two made of it. What is to
 * be shown anew is mixed from now on. */
static int decide(struct ramet_region *r, struct rmt_pieces *changed, unsigned flags,
                  bool from_least)
{
    rmt_auto(rmt_pieces_fini) struct rmt_pieces show = {0}, left = {0};
    struct rmt_piece rest = {.page = r->least >> shift_of(r)};
    rest.count = (r->window.size >> shift_of(r)) - rest.page;
    int rc = 0;
    for (size_t i = 0; i < r->mixed.count && rc == 0; i++)
        rc = rmt_vec_push(changed, r->mixed.items[i]) ? 0 : no_memory(r);
    rmt_pieces_settle(changed);
    if (rc == 0)
        rc = subtract(r, &r->pending, flags & RAMET_REGION_THEIRS ? changed : &r->mixed, &left);
    if (rc == 0)
        rc = subtract(r, changed, &left, &show);
    if (rc == 0 && from_least && !rmt_vec_push(&show, rest))
        rc = no_memory(r);
    if (rc < 0)
        return rc;
    rmt_pieces_settle(&show);
    if (from_least)
        rmt_pieces_trim(&left, rest.page);
    rmt_pieces_swap(&r->pending, &left);
    rmt_pieces_swap(&r->mixed, &show);
    /* They do not lie over the same page any more: as if they had been kept, and written. */
    for (size_t i = 0; i < r->pending.count && flags & RAMET_REGION_OURS; i++) {
        for (uint64_t n = 0; n < r->pending.items[i].count; n++) {
            uint64_t page = r->pending.items[i].page + n;
            if (rmt_pieces_have(changed, page))
                keep_pages(r, page, 1, true);
        }
    }
    return 0;
}

static int refresh(struct ramet_region *r, const struct ramet_map *blob, uint64_t bytes,
                   unsigned flags)
{
    bool resized = r->bytes != r->committed || r->least != r->committed;
    bool ours = resized && flags & RAMET_REGION_OURS;
    rmt_auto(rmt_pieces_fini) struct rmt_pieces changed = {0};
    if (bytes > r->window.size)
        return too_large(r, bytes);
    if (resized && !flags)
        return rmt_fail(RAMET_ECONFLICT,
                        "blob '%s' of branch '%s' was resized here and changed by others", r->name,
                        r->ref);
    if (ours && r->mixed.count)
        return rmt_fail(RAMET_ECONFLICT,
                        "blob '%s': an earlier refresh of this region failed half way, and it was "
                        "resized: ramet_region_reset() first",
                        r->name);
    int rc = find_written(r, true, NULL);
    /* What is mapped anew may have been mapped before: they are fewer than was counted. */
    if (rc == 0 && r->mappings > r->mappings_max / 2)
        rc = rmt_window_mappings(&r->window, &r->mappings);
    if (rc == 0 && bytes > r->bytes)
        rc = clear_tail(r);
    if (rc == 0)
        rc = changed_pages(r, blob, &changed);
    if (rc == 0)
        rc = uncovered_pages(r, blob, bytes, &changed);
    if (rc == 0 && !flags)
        rc = check_conflicts(r, &changed);
    if (rc == 0)
        rc = decide(r, &changed, flags, resized && !ours);
    uint64_t end = ours ? r->least >> shift_of(r) : r->window.size >> shift_of(r);
    if (rc == 0)
        rc = show_changes(r, blob, &r->mixed, end);
    if (rc == 0 && !ours && bytes < r->bytes)
        rc = cut(r, bytes);
    if (rc < 0)
        return rc;
    r->mixed.count = 0;
    r->committed = bytes;
    if (ours)
        return 0;
    r->bytes = r->least = bytes;
    return clear_tail(r);
}

int ramet_region_refresh(struct ramet_region *region, unsigned flags)
{
    struct ramet_region *r = region;
    struct ramet_txn *txn;
    struct ramet_map *blob;
    uint64_t bytes;
    if (!r || flags > (unsigned)RAMET_REGION_THEIRS)
        return rmt_fail(-EINVAL, "ramet_region_refresh: region or flags");
    int rc = rmt_store_usable(r->store);
    if (rc < 0 || !r->follows)
        return rc;
    rc = begin(r, &txn, &blob, &bytes);
    if (rc < 0)
        return rc;
    if (same_blob(blob, r->blob) && r->mixed.count == 0)
        return move_to(r, txn);
    rc = refresh(r, blob, bytes, flags);
    if (rc == 0)
        return move_to(r, txn);
    ramet_abort(txn);
    return rc;
}
