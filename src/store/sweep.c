/* SPDX-License-Identifier: MIT */
/* sweep.c - the pages of dropped branches and snapshots, freed a few at a time. */
#include <inttypes.h>

#include "store/versions.h"
#include "store/walk.h"

struct sweeping {
    struct rmt_commit *c;
    uint64_t pages; /* freed so far */
};

static int free_page(void *ctx, struct rmt_run run, const struct rmt_disk_node *node)
{
    struct sweeping *s = ctx;
    (void)node;
    s->pages += run.len;
    return rmt_commit_limbo(s->c, run.addr, run.len, run.birth);
}

/* The walk over what is left of a sweep. */
static int walk_init(struct rmt_walk *walk, struct rmt_pages *pages,
                     const struct rmt_disk_sweep *sweep, rmt_walk_fn fn, void *ctx)
{
    struct rmt_ref root = rmt_ref_load(&sweep->root);
    uint32_t depth = rmt_get32(sweep->depth);
    if (!rmt_ref_plausible(pages, root, RMT_ID_MAX))
        return rmt_fail(RAMET_ECORRUPT, "store '%s': what was dropped leads to page %" PRIu64,
                        pages->io->path, root.addr);
    int rc = rmt_walk_init(walk, pages, root, true, rmt_get64(sweep->horizon), fn, ctx);
    return rc == 0 && depth ? rmt_walk_resume(walk, sweep->path, depth) : rc;
}

/* Goes on with one sweep. budget: pages left of it. */
static int sweep_one(struct rmt_commit *c, const struct rmt_key *key, struct rmt_disk_sweep *sweep,
                     uint64_t *budget)
{
    struct sweeping s = {.c = c};
    struct rmt_walk walk;
    uint32_t depth;
    int rc = walk_init(&walk, &c->store->pages, sweep, free_page, &s);
    while (rc == 0 && s.pages < *budget) {
        rc = rmt_walk_step(&walk);
        if (rc <= 0)
            break;
        rc = 0;
    }
    if (rc < 0)
        return rc;
    *budget -= rmt_min(*budget, s.pages);
    uint64_t left = rmt_get64(sweep->left);
    if (s.pages > left || s.pages > c->state.unswept_pages)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': what was dropped has more pages than it had",
                        c->store->io->path);
    c->state.unswept_pages -= s.pages;
    if (walk.depth == 0)
        return rmt_catalog_del(c, key);
    sweep->left = rmt_put64(left - s.pages);
    rmt_walk_path(&walk, sweep->path, &depth);
    sweep->depth = rmt_put32(depth);
    return rmt_catalog_put(c, key, sweep, sizeof(*sweep));
}

int rmt_sweep_some(struct rmt_commit *c, uint64_t budget)
{
    while (budget && c->state.unswept_pages) {
        struct rmt_key prefix = {.bytes = {'s'}, .size = 1}, key;
        struct rmt_disk_sweep sweep;
        {
            rmt_auto(rmt_scan_fini) struct rmt_scan scan;
            rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
            int rc = rmt_scan_next(&scan);
            if (rc == 0) /* who waits for it to become less would wait for good */
                return rmt_fail(RAMET_ECORRUPT,
                                "store '%s': %" PRIu64 " pages are said to have been dropped, and "
                                "no record has them",
                                c->store->io->path, c->state.unswept_pages);
            if (rc < 0)
                return rc;
            if (scan.key.size != 8 || scan.value.size != sizeof(sweep))
                return rmt_fail(RAMET_ECORRUPT,
                                "store '%s': a record 's' of the catalog is malformed",
                                c->store->io->path);
            key = rmt_key1('s', rmt_get_be64(scan.key.data));
            memcpy(&sweep, scan.value.data, sizeof(sweep));
        }
        int rc = sweep_one(c, &key, &sweep, &budget);
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct leftover {
    rmt_run_fn fn;
    void *ctx;
};

static int hand_over(void *ctx, struct rmt_run run, const struct rmt_disk_node *node)
{
    struct leftover *l = ctx;
    (void)node;
    return l->fn(l->ctx, run);
}

int rmt_sweep_left(struct rmt_pages *pages, const struct rmt_disk_sweep *sweep, rmt_run_fn fn,
                   void *ctx)
{
    struct leftover l = {fn, ctx};
    struct rmt_walk walk;
    int rc = walk_init(&walk, pages, sweep, hand_over, &l);
    if (rc < 0)
        return rc;
    while ((rc = rmt_walk_step(&walk)) > 0)
        ;
    return rc;
}
