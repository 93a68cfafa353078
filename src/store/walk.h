/* SPDX-License-Identifier: MIT */
/*
 * walk.h - all pages of a version, or of the catalog, that were born after a horizon; children
 * first.
 *
 * Births prune: below a page born at or before the horizon there is none born after it. The walk
 * goes from a tree of maps into the maps, and in these to the extents of large values. It can be
 * left after any page and taken up again by its path: pages that were handed out before are not
 * read again, for they may be in use for something else.
 */
#ifndef RMT_WALK_H
#define RMT_WALK_H

#include "store/catalog.h"

struct rmt_walk_step {
    struct rmt_ref ref;
    const struct rmt_disk_node *node;
    uint32_t next; /* child to go to next */
    bool maps;     /* a page of the tree of maps */
    uint8_t kind;  /* of a map: the byte that its name begins with */
};

/* A run of pages; node: the page itself, NULL for data of a large value. Nonzero stops and is
 * returned. */
typedef int (*rmt_walk_fn)(void *ctx, struct rmt_run run, const struct rmt_disk_node *node);

struct rmt_walk {
    struct rmt_pages *pages;
    uint64_t horizon;
    rmt_walk_fn fn;
    void *ctx;
    bool verify; /* set after init: data of large values is read and verified */
    int (*shared)(
        void *ctx,
        struct rmt_ref ref); /* set after init; may be NULL: a page at or before the horizon */
    struct rmt_walk_step steps[RMT_SWEEP_DEPTH_MAX];
    uint32_t depth;
    /* of what fn is being handed */
    struct rmt_ref ref;
    uint32_t level; /* of a run: 0: data; else of lists of runs */
    bool maps;      /* as of the page's step */
    uint8_t kind;
    uint64_t data_pages; /* of large values below the page, whenever they were born */
};

/* root: not none. maps: it is the tree of a version, whose values are maps. */
int rmt_walk_init(struct rmt_walk *walk, struct rmt_pages *pages, struct rmt_ref root, bool maps,
                  uint64_t horizon, rmt_walk_fn fn, void *ctx);
/* As it was when it was left. RAMET_ECORRUPT if the path cannot be. */
int rmt_walk_resume(struct rmt_walk *walk, const rmt_le16 *path, uint32_t depth);
/* Hands over one page and the data that hangs on it. 1: there may be more; 0: done; or a code. */
int rmt_walk_step(struct rmt_walk *walk);
void rmt_walk_path(const struct rmt_walk *walk, rmt_le16 *path, uint32_t *out_depth);

/* Judges and decodes a map's record. */
int rmt_map_load(const struct rmt_pages *pages, const struct rmt_value *value, uint64_t birth,
                 struct rmt_tree *out);

#endif
