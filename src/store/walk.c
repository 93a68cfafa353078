/* SPDX-License-Identifier: MIT */
#include "store/walk.h"

#include <inttypes.h>

static int malformed(const struct rmt_pages *pages, uint64_t addr)
{
    return rmt_fail(RAMET_ECORRUPT, "store '%s': what page %" PRIu64 " leads to cannot be",
                    pages->io->path, addr);
}

int rmt_map_load(const struct rmt_pages *pages, const struct rmt_value *value, uint64_t birth,
                 struct rmt_tree *out)
{
    struct rmt_disk_map disk;
    if (value->extents || value->size != sizeof(disk))
        return rmt_fail(RAMET_ECORRUPT, "store '%s': the record of a map is malformed",
                        pages->io->path);
    memcpy(&disk, value->data, sizeof(disk));
    struct rmt_ref root = rmt_ref_load(&disk.root);
    if (rmt_get32(disk.kind) != RMT_MAP_KIND ||
        (!rmt_ref_none(root) && !rmt_ref_plausible(pages, root, birth)))
        return rmt_fail(RAMET_ECORRUPT, "store '%s': the record of a map is malformed",
                        pages->io->path);
    *out = (struct rmt_tree){.root = root, .count = rmt_get64(disk.count)};
    return 0;
}

/* What a child is of, by its index. */
struct kin {
    bool maps;
    uint8_t kind;
};

static struct kin kin_of(const struct rmt_walk *walk, const struct rmt_walk_step *step,
                         uint32_t index)
{
    struct kin kin = {step->maps, step->kind};
    uint8_t key[RAMET_KEY_MAX];
    if (step->maps && step->node->level == 0) {
        (void)rmt_node_key(step->node, walk->pages->page_size, index, key);
        kin = (struct kin){false, key[0]};
    }
    return kin;
}

static int push(struct rmt_walk *walk, struct rmt_ref ref, struct kin kin)
{
    const struct rmt_walk_step *parent = walk->depth ? &walk->steps[walk->depth - 1] : NULL;
    if (walk->depth == RMT_SWEEP_DEPTH_MAX)
        return malformed(walk->pages, ref.addr);
    struct rmt_walk_step *step = &walk->steps[walk->depth];
    *step = (struct rmt_walk_step){.ref = ref, .maps = kin.maps, .kind = kin.kind};
    int rc = rmt_page_read(walk->pages, ref, &step->node);
    if (rc < 0)
        return rc;
    if (parent && parent->maps == kin.maps && parent->node->level != step->node->level + 1)
        return malformed(walk->pages, ref.addr);
    walk->depth++;
    return 0;
}

int rmt_walk_init(struct rmt_walk *walk, struct rmt_pages *pages, struct rmt_ref root, bool maps,
                  uint64_t horizon, rmt_walk_fn fn, void *ctx)
{
    walk->pages = pages;
    walk->horizon = horizon;
    walk->fn = fn;
    walk->ctx = ctx;
    walk->verify = false;
    walk->shared = NULL;
    walk->depth = 0;
    struct kin kin = {maps, 0};
    return root.birth > horizon ? push(walk, root, kin) : 0;
}

/* Finds the child with an index. 1: out is it; 0: there are no more. */
static int child(const struct rmt_walk *walk, const struct rmt_walk_step *step, uint32_t index,
                 struct rmt_ref *out)
{
    if (step->node->level == 0 && !step->maps)
        return 0;
    if (index >= rmt_node_size(step->node))
        return 0;
    if (step->node->level > 0) {
        *out = rmt_node_child(step->node, index);
        return 1;
    }
    struct rmt_value value;
    struct rmt_tree map;
    rmt_node_value(step->node, walk->pages->page_size, index, &value);
    int rc = rmt_map_load(walk->pages, &value, step->ref.birth, &map);
    if (rc < 0)
        return rc;
    *out = map.root;
    return 1;
}

int rmt_walk_resume(struct rmt_walk *walk, const rmt_le16 *path, uint32_t depth)
{
    if (depth == 0 || depth > RMT_SWEEP_DEPTH_MAX || walk->depth != 1)
        return malformed(walk->pages, walk->steps[0].ref.addr);
    for (uint32_t i = 0;; i++) {
        struct rmt_walk_step *step = &walk->steps[i];
        uint32_t index = rmt_get16(path[i]);
        step->next = index;
        if (i + 1 == depth)
            return 0;
        struct rmt_ref ref;
        int rc = child(walk, step, index, &ref);
        if (rc == 0 || (rc > 0 && ref.birth <= walk->horizon))
            return malformed(walk->pages, step->ref.addr);
        if (rc > 0) {
            step->next = index + 1;
            rc = push(walk, ref, kin_of(walk, step, index));
        }
        if (rc < 0)
            return rc;
    }
}

void rmt_walk_path(const struct rmt_walk *walk, rmt_le16 *path, uint32_t *out_depth)
{
    for (uint32_t i = 0; i < walk->depth; i++) {
        bool last = i + 1 == walk->depth;
        path[i] = rmt_put16((uint16_t)(walk->steps[i].next - !last));
    }
    *out_depth = walk->depth;
}

static int on_run(void *ctx, const struct rmt_disk_run *disk, uint32_t level)
{
    struct rmt_walk *walk = ctx;
    struct rmt_run run = rmt_run_of(disk);
    walk->data_pages += run.len;
    if (run.birth <= walk->horizon)
        return 0;
    walk->ref = rmt_ref_load(&disk->ref);
    walk->level = level;
    return walk->fn(walk->ctx, run, NULL);
}

/* Data first, then the page that refers to it. */
static int leave(struct rmt_walk *walk, const struct rmt_walk_step *step)
{
    walk->data_pages = 0;
    if (step->node->level == 0 && !step->maps) {
        for (uint32_t i = 0; i < rmt_node_size(step->node); i++) {
            struct rmt_value value;
            rmt_node_value(step->node, walk->pages->page_size, i, &value);
            if (!value.extents)
                continue;
            int rc = rmt_value_runs(walk->pages, &value, walk->verify, on_run, walk);
            if (rc != 0)
                return rc;
        }
    }
    struct rmt_run run = {step->ref.addr, 1, step->ref.birth};
    walk->ref = step->ref;
    walk->maps = step->maps;
    walk->kind = step->kind;
    return walk->fn(walk->ctx, run, step->node);
}

int rmt_walk_step(struct rmt_walk *walk)
{
    while (walk->depth) {
        struct rmt_walk_step *step = &walk->steps[walk->depth - 1];
        struct rmt_ref ref;
        int rc = child(walk, step, step->next, &ref);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            walk->depth--;
            rc = leave(walk, step);
            return rc != 0 ? rc : 1;
        }
        step->next++;
        if (rmt_ref_none(ref))
            continue;
        if (ref.birth > walk->horizon)
            rc = push(walk, ref, kin_of(walk, step, step->next - 1));
        else
            rc = walk->shared ? walk->shared(walk->ctx, ref) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}
