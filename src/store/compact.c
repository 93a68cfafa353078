/* SPDX-License-Identifier: MIT */
/*
 * compact.c - ramet_compact(): free pages whose blocks the filesystem gets back, and has to give
 * again.
 *
 *            rmt_space_spare(), in a durable commit              punch()
 *   free  ------------------------------------------->  hole  ----------->  hole, without blocks
 *     ^                                                   |
 *     +---------------------------------------------------+
 *       rmt_holes_fill(): blocks first, then the commit that says free
 *
 * A page that is free has its blocks, or a commit could meet a full disk. So what is given back is
 * taken in the space map, and listed as a hole in the catalog (FORMAT.md 6.7); a hole may yet have
 * its blocks, if the machine stopped before they were given. The file keeps its length: whoever has
 * mapped it may look at all of it. Both ways are gone with the commit lock held, so that nobody
 * uses again what is being punched.
 */
#include <inttypes.h>

#include "store/list.h"

#define HOLES_A_LIST 500 /* runs; a list is read as a whole */
#define KEEP_PAGES \
    256 /* stay free beside what is promised, or a 16th of the file if that is less */
#define FILL_PAGES 512 /* come back at once */
#define TURNS_IDLE 2   /* commits that free nothing: what is left waits for readers */

/* ---- from free to hole ----------------------------------------------------------------------- */

static int add_holes(struct rmt_commit *c, const struct rmt_runs *runs)
{
    int rc = 0;
    for (size_t i = 0; i < runs->count && rc == 0;) {
        struct rmt_key key = rmt_key1('H', rmt_commit_number(c));
        struct rmt_list list;
        rmt_list_init(&list, &key, c->state.number);
        for (size_t n = 0; n < HOLES_A_LIST && i < runs->count && rc == 0; n++, i++)
            rc = rmt_list_add(c, &list, runs->items[i]);
        if (rc == 0)
            rc = rmt_list_save(c, &list);
        c->state.hole_pages += list.pages;
    }
    return rc;
}

/* Free pages are holes from now on; short runs too: a random load leaves hardly any others. */
static int make_holes(struct rmt_commit *c, void *ctx)
{
    (void)ctx;
    struct rmt_runs runs = {0};
    uint64_t keep = rmt_min(KEEP_PAGES, c->state.pages / 16);
    int rc = rmt_space_spare(&c->store->space, keep, c->id, &runs);
    if (rc == 0)
        rc = runs.count ? add_holes(c, &runs) : RAMET_ENOTFOUND;
    rmt_vec_fini(&runs);
    return rc;
}

struct punching {
    struct ramet_store *store;
    uint64_t done, total;
    ramet_progress_fn progress;
    void *ctx;
};

static int punch_run(void *ctx, struct rmt_run run)
{
    struct punching *p = ctx;
    uint32_t shift = p->store->pages.page_shift;
    struct rmt_io *io = p->store->io;
    int rc = io->ops->punch(io, run.addr << shift, run.len << shift);
    p->done += run.len;
    if (rc == 0 && p->progress && p->progress(p->ctx, rmt_min(p->done, p->total), p->total) != 0)
        rc = rmt_fail(-ECANCELED, "compacting store '%s'", io->path);
    return rc;
}

/* 1: the list of the next hole record; 0: no more. */
static int next_holes(struct ramet_store *store, struct rmt_scan *scan, struct rmt_list *out)
{
    int rc = rmt_scan_next(scan);
    if (rc <= 0)
        return rc;
    if (scan->key.size != 8)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a record 'H' of the catalog is malformed",
                        store->io->path);
    struct rmt_key key = rmt_key1('H', rmt_get_be64(scan->key.data));
    rc = rmt_list_load(out, &store->pages, &key, scan->value);
    return rc < 0 ? rc : 1;
}

static int punch_locked(struct punching *p)
{
    struct rmt_pages *pages = &p->store->pages;
    struct rmt_state state;
    rmt_state_published(p->store, &state);
    struct rmt_tree catalog = rmt_state_catalog(&state);
    struct rmt_key prefix = {.bytes = {'H'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, pages, &catalog, &prefix);
    struct rmt_list list;
    int rc;
    p->total = state.hole_pages;
    while ((rc = next_holes(p->store, &scan, &list)) > 0) {
        rc = rmt_list_each(pages, &catalog, &list, punch_run, p);
        if (rc < 0)
            break;
    }
    return rc;
}

/* The blocks of all holes go. They are holes in a durable commit: no opening falls back past it. */
static int punch(struct punching *p)
{
    int rc = rmt_store_lock(p->store);
    if (rc < 0)
        return rc;
    rc = punch_locked(p);
    rmt_store_unlock(p->store);
    return rc;
}

/* Commits that change nothing, until no more pages leave limbo. */
static int drain_limbo(struct punching *p)
{
    struct rmt_state before, after;
    int rc = 0;
    rmt_state_published(p->store, &before);
    for (int idle = 0; rc == 0 && idle < TURNS_IDLE; before = after) {
        if (p->progress && p->progress(p->ctx, 0, 0) != 0)
            return rmt_fail(-ECANCELED, "compacting store '%s'", p->store->io->path);
        rc = rmt_store_turn(p->store);
        rmt_state_published(p->store, &after);
        idle = after.limbo_pages < before.limbo_pages ? 0 : idle + 1;
    }
    return rc;
}

/* Of the front, what is never written: tells whether the filesystem can do it. */
static int try_punch(struct rmt_io *io)
{
    return io->ops->punch(io, RMT_PAGE_SIZE_MIN, RMT_BLOCK_SIZE - RMT_PAGE_SIZE_MIN);
}

int ramet_compact(struct ramet_store *store, ramet_progress_fn progress, void *ctx)
{
    if (!store)
        return rmt_fail(-EINVAL, "ramet_compact: no store");
    struct punching p = {.store = store, .progress = progress, .ctx = ctx};
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_store_writable(store);
    if (rc == 0)
        rc = try_punch(store->io);
    if (rc == 0)
        rc = ramet_reclaim(store, 0, NULL);
    if (rc == 0)
        rc = drain_limbo(&p);
    if (rc == 0)
        rc = rmt_commit(store, make_holes, NULL, NULL, true);
    if (rc == RAMET_ENOTFOUND) /* there was nothing to give, but there may be holes from before */
        rc = 0;
    if (rc == 0)
        rc = punch(&p);
    if (rc == 0 && progress && progress(ctx, p.total, p.total) != 0)
        rc = rmt_fail(-ECANCELED, "compacting store '%s'", store->io->path);
    return rc;
}

/* ---- from hole to free ----------------------------------------------------------------------- */

/* What is to become of the runs of a list. */
struct filling {
    struct rmt_commit *c;
    uint64_t want;        /* pages still to be filled */
    struct rmt_runs full; /* have their blocks */
    struct rmt_runs rest; /* of the list at hand */
    int failed;           /* the filesystem has no more */
};

static int fill_run(void *ctx, struct rmt_run run)
{
    struct filling *f = ctx;
    struct ramet_store *store = f->c->store;
    uint32_t shift = store->pages.page_shift;
    uint64_t len = f->failed ? 0 : rmt_min(run.len, f->want);
    if (len)
        f->failed = store->io->ops->fill(store->io, run.addr << shift, len << shift);
    if (f->failed)
        len = 0;
    f->want -= len;
    if ((len && !rmt_runs_push(&f->full, run.addr, len, run.birth)) ||
        (len < run.len && !rmt_runs_push(&f->rest, run.addr + len, run.len - len, run.birth)))
        return rmt_fail(-ENOMEM, "a list of holes");
    return 0;
}

static int fill_list(struct filling *f, const struct rmt_list *list)
{
    struct rmt_commit *c = f->c;
    f->rest.count = 0;
    int rc = rmt_list_each(&c->store->pages, &c->catalog, list, fill_run, f);
    if (rc == 0)
        rc = rmt_list_del(c, list);
    struct rmt_list rest;
    rmt_list_init(&rest, &list->key, list->number);
    for (size_t i = 0; i < f->rest.count && rc == 0; i++)
        rc = rmt_list_add(c, &rest, f->rest.items[i]);
    return rc < 0 || rest.pages == 0 ? rc : rmt_list_save(c, &rest);
}

static int fill(struct filling *f)
{
    struct rmt_commit *c = f->c;
    struct rmt_key prefix = {.bytes = {'H'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
    struct rmt_list list;
    int rc = 1;
    while (rc > 0 && f->want && !f->failed) {
        rc = next_holes(c->store, &scan, &list);
        if (rc > 0 && (rc = fill_list(f, &list)) == 0)
            rc = 1;
    }
    /* Before a slot says that they are free: else that could be all that is left of it. */
    if (rc >= 0 && f->full.count)
        rc = rmt_commit_flush(c);
    for (size_t i = 0; i < f->full.count && rc >= 0; i++) {
        struct rmt_run run = f->full.items[i];
        rc = rmt_space_free(&c->store->space, run.addr, run.len);
        c->state.hole_pages -= run.len;
    }
    return rc < 0 ? rc : 0;
}

static int fill_holes(struct rmt_commit *c, void *ctx)
{
    uint64_t pages = *(const uint64_t *)ctx;
    struct filling f = {.c = c, .want = rmt_max(2 * pages, FILL_PAGES)};
    int rc = fill(&f);
    if (rc == 0 && f.full.count == 0)
        rc = f.failed ? f.failed : RAMET_ENOTFOUND;
    rmt_vec_fini(&f.full);
    rmt_vec_fini(&f.rest);
    return rc;
}

int rmt_holes_fill(struct ramet_store *store, uint64_t pages)
{
    struct rmt_state state;
    rmt_state_published(store, &state);
    if (state.hole_pages == 0)
        return 0;
    int rc = rmt_commit(store, fill_holes, NULL, &pages, true);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}
