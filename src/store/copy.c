/* SPDX-License-Identifier: MIT */
/*
 * copy.c - ramet_copy(): a compacted copy of a store, page by page, while readers and writers go
 * on.
 *
 * Holds back the newest version as a reader does, and goes down the tree of versions: each has the
 * pages of the one below it, but for those that were born after that one; these are copied, in key
 * order, children first. So every page that some version reaches is copied once, and shared as it
 * was. Births and ids stay what they are; addresses are new, and with them all references and
 * checksums. Records of the catalog are taken over, with their addresses exchanged. What waits to
 * be reclaimed is left behind.
 *
 * Everything is read from the device and verified anew: else a damaged page would get a checksum
 * that says it is whole.
 */
#include <inttypes.h>

#include "store/list.h"
#include "store/walk.h"
#include "tree/node.h"

#define BUFFER_BYTES ((uint64_t)1 << 20)
#define BOOK_PAGES 32 /* of a new store, beside those that the old one's records took */

/* What became of a page. */
struct place {
    uint32_t addr; /* 0: not copied; the address space that is reserved has fewer than 2^32 pages */
    uint32_t birth; /* low half */
    uint32_t sum;   /* of a node, or of the run that begins here */
};

struct copy {
    struct ramet_store *from;
    struct ramet_store *to;
    struct rmt_state state; /* of from, as all below but c */
    struct rmt_tree catalog;
    struct place *places; /* [nr], by old address */
    uint64_t nr;
    RMT_VEC(struct rmt_version) versions;
    struct rmt_walk walk;
    struct rmt_commit *c; /* the one that makes the copy */
    struct rmt_span room; /* of to: where pages go next */
    uint8_t *buffer;      /* the pages before room, not yet written */
    uint64_t nr_buffer, nr_buffered;
    uint64_t done;
    ramet_progress_fn progress;
    void *ctx;
};

static void copy_fini(struct copy *k)
{
    free(k->places);
    free(k->buffer);
    rmt_vec_fini(&k->versions);
}
RMT_AUTO_VALUE(copy_fini, struct copy)

/* ---- where pages go -------------------------------------------------------------------------- */

static int flush_buffer(struct copy *k)
{
    struct rmt_pages *to = &k->to->pages;
    struct iovec iov = {k->buffer, k->nr_buffered << to->page_shift};
    uint64_t addr = k->room.addr - k->nr_buffered;
    int rc = k->nr_buffered ? to->io->ops->write(to->io, &iov, 1, addr << to->page_shift) : 0;
    k->nr_buffered = 0;
    return rc;
}

/* Memory for the pages [room.addr, room.addr + nr) of the copy. */
static int make_room(struct copy *k, uint64_t nr, uint8_t **out)
{
    if (nr > k->room.len)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s' has more pages of data than its slot says: %" PRIu64,
                        k->from->io->path, k->state.data_pages);
    int rc = k->nr_buffered + nr > k->nr_buffer ? flush_buffer(k) : 0;
    *out = k->buffer + (k->nr_buffered << k->to->pages.page_shift);
    return rc;
}

/* The pages that there was room for are filled. sum: what their reference says. */
static int place(struct copy *k, struct rmt_run old, uint32_t sum)
{
    for (uint64_t i = 0; i < old.len; i++) {
        struct place *p = old.addr + i < k->nr ? &k->places[old.addr + i] : NULL;
        if (!p || p->addr)
            return rmt_fail(RAMET_ECORRUPT, "store '%s': page %" PRIu64 " is two things",
                            k->from->io->path, old.addr + i);
        *p = (struct place){(uint32_t)(k->room.addr + i), (uint32_t)old.birth, i ? 0 : sum};
    }
    k->room.addr += old.len;
    k->room.len -= old.len;
    k->nr_buffered += old.len;
    uint64_t before = k->done;
    k->done += old.len;
    if (k->progress && before / 256 != k->done / 256 &&
        k->progress(k->ctx, k->done, k->state.data_pages) != 0)
        return rmt_fail(-ECANCELED, "the copy of store '%s'", k->from->io->path);
    return 0;
}

/* Exchanges a reference, not none, for the one that leads to the copy of the same page. */
static int move_ref(const struct copy *k, struct rmt_ref *ref)
{
    const struct place *p = ref->addr < k->nr ? &k->places[ref->addr] : NULL;
    if (!p || !p->addr || p->birth != (uint32_t)ref->birth)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': a reference to page %" PRIu64 " (birth %" PRIu64
                        "), which its version has not",
                        k->from->io->path, ref->addr, ref->birth);
    ref->addr = p->addr;
    ref->sum = p->sum;
    return 0;
}

/* The same, of one that lies in memory, and may be none. */
static int move_ref_at(const struct copy *k, void *disk)
{
    struct rmt_ref ref = rmt_ref_load(disk);
    int rc = rmt_ref_none(ref) ? 0 : move_ref(k, &ref);
    if (rc == 0)
        rmt_ref_store(disk, ref);
    return rc;
}

/* ---- pages ----------------------------------------------------------------------------------- */

static int move_value(const struct copy *k, const struct rmt_value *value)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)value->data; /* in the page that is being made */
    if (k->walk.maps) {
        struct rmt_tree map;
        int rc = rmt_map_load(&k->from->pages, value, RMT_ID_MAX, &map);
        return rc < 0 ? rc : move_ref_at(k, bytes + offsetof(struct rmt_disk_map, root));
    }
    int rc = 0;
    if (rmt_value_shared(value)) /* numbers of shared pages stay */
        return 0;
    if (value->extents && value->size == RMT_PAGE_RECORD_SIZE)
        return move_ref_at(k, bytes);
    for (size_t i = 0; value->extents && i < RMT_EXTENT_RUNS && rc == 0; i++)
        rc = move_ref_at(k, bytes + offsetof(struct rmt_disk_extents, runs) +
                                i * sizeof(struct rmt_disk_run));
    return rc;
}

static int copy_node(struct copy *k, struct rmt_run run, uint8_t *page)
{
    struct rmt_disk_node *node = (struct rmt_disk_node *)(void *)page;
    int rc = rmt_page_load(&k->from->pages, k->walk.ref, 0, page);
    for (uint32_t i = 0; rc == 0 && i < rmt_node_size(node); i++) {
        if (node->level > 0) {
            struct rmt_ref child = rmt_node_ref_at(node, i);
            rc = move_ref(k, &child);
            if (rc == 0)
                rmt_node_ref_put(node, i, child);
        } else {
            struct rmt_value value = rmt_node_value_at(node, k->from->pages.page_size, i);
            rc = move_value(k, &value);
        }
    }
    if (rc < 0)
        return rc;
    node->addr = rmt_put64(k->room.addr);
    uint64_t sum = rmt_page_sum(&k->to->pages, page);
    node->checksum = rmt_put64(sum);
    return place(k, run, (uint32_t)sum);
}

static int copy_data(struct copy *k, struct rmt_run run, uint8_t *data)
{
    struct rmt_pages *to = &k->to->pages;
    struct rmt_disk_run disk = {.pages = rmt_put32((uint32_t)run.len)};
    rmt_ref_store(&disk.ref, k->walk.ref);
    int rc = rmt_data_load(&k->from->pages, &disk, data);
    size_t size = run.len << to->page_shift, per_page = to->page_size / sizeof(disk);
    for (uint64_t i = 0; k->walk.level && i < run.len; i++) {
        for (size_t j = 0; rc == 0 && j < per_page; j++)
            rc = move_ref_at(k, data + (i << to->page_shift) + j * sizeof(disk));
    }
    if (rc < 0)
        return rc;
    return place(k, run, rmt_data_sum(data, size, to->seed, k->room.addr, run.birth));
}

static int copy_run(void *ctx, struct rmt_run run, const struct rmt_disk_node *node)
{
    struct copy *k = ctx;
    uint8_t *to = NULL;
    int rc = make_room(k, run.len, &to);
    if (rc < 0)
        return rc;
    return node ? copy_node(k, run, to) : copy_data(k, run, to);
}

/* ---- versions -------------------------------------------------------------------------------- */

static bool is_head(const struct rmt_version *v)
{
    return v->flags & RMT_VERSION_HEAD;
}

/* What a version stands on comes before it. */
static int by_age(const void *a, const void *b)
{
    const struct rmt_version *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return is_head(x) - is_head(y);
}

static int load_versions(struct copy *k)
{
    struct rmt_key prefix = {.bytes = {'v'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &k->from->pages, &k->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_version v;
        uint64_t number = scan.key.size == 8 ? rmt_get_be64(scan.key.data) : 0;
        rc = rmt_version_load(&k->from->pages, number, scan.value, &v);
        if (rc < 0)
            return rc;
        if (!rmt_vec_push(&k->versions, v))
            return rmt_fail(-ENOMEM, "copying a store");
    }
    if (k->versions.count)
        qsort(k->versions.items, k->versions.count, sizeof(k->versions.items[0]), by_age);
    return rc;
}

static int copy_version(struct copy *k, const struct rmt_version *v)
{
    struct rmt_version prev = {.id = 0};
    int rc = v->prev ? rmt_catalog_version(&k->from->pages, &k->catalog, v->prev, &prev) : 0;
    if (rc < 0)
        return rc;
    if (v->prev && by_age(&prev, v) >= 0)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': version %" PRIu64 " stands on one that is not older",
                        k->from->io->path, v->id);
    if (rmt_ref_none(v->root))
        return 0;
    rc = rmt_walk_init(&k->walk, &k->from->pages, v->root, true, prev.id, copy_run, k);
    while (rc >= 0 && (rc = rmt_walk_step(&k->walk)) > 0)
        ;
    return rc;
}

static int copy_data_pages(struct copy *k)
{
    struct rmt_space *space = &k->to->space;
    uint64_t want = k->state.data_pages;
    int rc = want ? rmt_space_take(space, want, want, &k->room) : 0;
    if (rc < 0)
        return rc;
    rmt_assert(k->room.len == want); /* of a new store all the rest is free */
    for (size_t i = 0; i < k->versions.count && rc == 0; i++)
        rc = copy_version(k, &k->versions.items[i]);
    if (rc == 0)
        rc = flush_buffer(k);
    if (rc == 0 && k->room.len)
        rc = rmt_fail(RAMET_ECORRUPT,
                      "store '%s' has %" PRIu64 " pages of data, and its slot says %" PRIu64,
                      k->from->io->path, k->done, want);
    return rc;
}

/* ---- the catalog ----------------------------------------------------------------------------- */

static int whole_key(const struct copy *k, const struct rmt_scan *scan, struct rmt_key *out)
{
    *out = scan->prefix;
    if (out->size + scan->key.size > sizeof(out->bytes))
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a key of the catalog is too long",
                        k->from->io->path);
    memcpy(out->bytes + out->size, scan->key.data, scan->key.size);
    out->size += scan->key.size;
    return 0;
}

/* A deadlist under way: pages that lay side by side may not do so any more. */
struct moving {
    struct copy *k;
    struct rmt_list list;
    struct rmt_run run; /* not yet in the list; len 0: none */
};

static int settle_run(struct moving *m)
{
    int rc = m->run.len ? rmt_list_add(m->k->c, &m->list, m->run) : 0;
    m->run.len = 0;
    return rc;
}

static int move_dead_run(void *ctx, struct rmt_run old)
{
    struct moving *m = ctx;
    for (uint64_t i = 0; i < old.len; i++) {
        struct rmt_ref ref = {.addr = old.addr + i, .birth = old.birth};
        int rc = move_ref(m->k, &ref);
        if (rc < 0)
            return rc;
        bool follows =
            m->run.len && m->run.birth == ref.birth && m->run.addr + m->run.len == ref.addr;
        if (!follows) {
            rc = settle_run(m);
            if (rc < 0)
                return rc;
            m->run = (struct rmt_run){ref.addr, 0, ref.birth};
        }
        m->run.len++;
    }
    return 0;
}

static int copy_deadlist(struct copy *k, const struct rmt_key *key, struct ramet_slice record)
{
    struct rmt_list old;
    struct moving m = {.k = k};
    int rc = rmt_list_load(&old, &k->from->pages, key, record);
    if (rc < 0)
        return rc;
    rmt_list_init(&m.list, key, old.number);
    rc = rmt_list_each(&k->from->pages, &k->catalog, &old, move_dead_run, &m);
    if (rc == 0)
        rc = settle_run(&m);
    return rc < 0 ? rc : rmt_list_save(k->c, &m.list);
}

static int copy_record(struct copy *k, const struct rmt_key *key, struct ramet_slice record)
{
    struct rmt_disk_version disk;
    if (key->bytes[0] == 'd')
        return copy_deadlist(k, key, record);
    if (key->bytes[0] != 'v')
        return rmt_catalog_put(k->c, key, record.data, record.size);
    memcpy(&disk, record.data, sizeof(disk)); /* load_versions() knows its size */
    int rc = move_ref_at(k, &disk.root);
    return rc < 0 ? rc : rmt_catalog_put(k->c, key, &disk, sizeof(disk));
}

/* All but what waits to be reclaimed (s, L, and the lists l of that). */
static int copy_catalog(struct copy *k)
{
    static const char kinds[] = "GPbdegikmnpvw";
    int rc = rmt_tree_drop(&k->c->edit, &k->c->catalog);
    for (size_t i = 0; kinds[i] && rc == 0; i++) {
        struct rmt_key prefix = {.bytes = {(uint8_t)kinds[i]}, .size = 1}, key;
        rmt_auto(rmt_scan_fini) struct rmt_scan scan;
        rmt_scan_init(&scan, &k->from->pages, &k->catalog, &prefix);
        while ((rc = rmt_scan_next(&scan)) > 0) {
            rc = whole_key(k, &scan, &key);
            if (rc == 0)
                rc = copy_record(k, &key, scan.value);
            if (rc < 0)
                return rc;
        }
    }
    k->c->state.number = rmt_max(k->c->state.number, k->state.number);
    k->c->state.branches = k->state.branches;
    k->c->state.snapshots = k->state.snapshots;
    k->c->state.cursors = k->state.cursors;
    k->c->state.data_pages = k->done;
    return rc;
}

/* ---- the copy -------------------------------------------------------------------------------- */

static int copy_memory(struct copy *k)
{
    uint32_t shift = k->from->pages.page_shift;
    k->nr = k->state.pages;
    k->nr_buffer = rmt_max(BUFFER_BYTES >> shift, RMT_RUN_PAGES_MAX);
    k->places = calloc(k->nr, sizeof(*k->places));
    k->buffer = malloc(k->nr_buffer << shift);
    return k->places && k->buffer ? 0 : rmt_fail(-ENOMEM, "copying %" PRIu64 " pages", k->nr);
}

static int copy_all(struct rmt_commit *c, void *ctx)
{
    struct copy *k = ctx;
    k->c = c;
    int rc = copy_data_pages(k);
    return rc < 0 ? rc : copy_catalog(k);
}

/* Within a reader of k->state. */
static int copy(struct copy *k)
{
    struct rmt_shared_bytes *bytes = k->to->shared.bytes;
    uint64_t pages = k->state.data_pages + k->state.book_pages + BOOK_PAGES;
    int rc = copy_memory(k);
    if (rc == 0)
        rc = load_versions(k);
    if (rc == 0) /* a full disk is met now, and the file gets no longer than it must */
        rc = rmt_space_reserve(&k->to->space, pages, true);
    if (rc < 0)
        return rc;
    rmt_space_release(&k->to->space, pages);
    /* Its id is above all births. */
    atomic_store(&bytes->last_id, rmt_max(atomic_load(&bytes->last_id), k->state.id));
    return rmt_commit(k->to, copy_all, NULL, k, true);
}

int rmt_store_copy(struct ramet_store *from, struct rmt_io *io, ramet_progress_fn progress,
                   void *ctx, struct ramet_store **out)
{
    struct ramet_options options = {.size = sizeof(options), .page_size = from->pages.page_size};
    rmt_auto(copy_fini) struct copy k = {.from = from, .progress = progress, .ctx = ctx};
    int rc = rmt_store_open_io(io, &options, &k.to);
    if (rc < 0)
        return rc;
    struct rmt_reader_slot *slot;
    rc = rmt_reader_claim(&from->shared, &slot);
    if (rc == 0) {
        rmt_state_hold(from, slot, &k.state);
        k.catalog = rmt_state_catalog(&k.state);
        rc = copy(&k);
        rmt_reader_release(slot);
    }
    if (rc < 0) {
        ramet_close(k.to);
        return rc;
    }
    *out = k.to;
    return 0;
}

int ramet_copy(struct ramet_store *store, const char *path, ramet_progress_fn progress, void *ctx)
{
    if (!store || !path || !*path)
        return rmt_fail(-EINVAL, "ramet_copy: store or path");
    struct rmt_io *io;
    struct ramet_store *to;
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_io_file_new(path, store->io, &io);
    if (rc == 0)
        rc = rmt_store_copy(store, io, progress, ctx, &to);
    if (rc < 0)
        return rc;
    struct ramet_stat stat = {.size = sizeof(stat)};
    (void)ramet_stat(to, &stat);
    uint64_t total = stat.data_bytes >> to->pages.page_shift;
    if (progress && progress(ctx, total, total) != 0)
        rc = rmt_fail(-ECANCELED, "the copy of store '%s'", store->io->path);
    if (rc == 0)
        rc = rmt_io_file_keep(io);
    ramet_close(to); /* without its name the file goes, too */
    return rc;
}
