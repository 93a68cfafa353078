/* SPDX-License-Identifier: MIT */
/*
 * replace.c - an entry's value gives way to one of the same size: each page of its path is written
 * with a few bytes that differ, without a private copy, for nothing else of it moves.
 */
#include "tree/node.h"

#include "tree/edit.h"

struct way {
    struct {
        const struct rmt_disk_node *node;
        struct rmt_ref ref;
        uint32_t index; /* of the child */
    } steps[RMT_LEVEL_MAX + 1];
    uint32_t depth; /* with the leaf, which is last */
    struct rmt_value value;
};

/* 1: it does not lead to a value of that size, or not through pages younger than horizon alone. */
static int find_way(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                    uint32_t size, uint64_t horizon, struct way *way)
{
    uint32_t page_size = pages->page_size;
    struct rmt_ref ref = tree->root;
    const struct rmt_disk_node *node;
    if (rmt_ref_none(ref) || ref.birth <= horizon) /* private ones have 0 */
        return 1;
    int rc = rmt_root_open(pages, ref, &node);
    way->depth = 0;
    for (; rc == 0; way->depth++) {
        way->steps[way->depth].node = node;
        way->steps[way->depth].ref = ref;
        if (node->level == 0)
            break;
        uint32_t index = rmt_node_find_child(node, page_size, key);
        way->steps[way->depth].index = index;
        ref = rmt_node_ref_at(node, index);
        if (ref.birth <= horizon)
            return 1;
        rc = rmt_child_open(pages, ref, node->level - 1u, &node);
    }
    if (rc < 0)
        return rc;
    way->depth++;
    struct rmt_node_pos pos = rmt_node_find(node, page_size, key);
    if (!pos.equal)
        return 1;
    way->value = rmt_node_value_at(node, page_size, pos.index);
    return way->value.extents || way->value.size != size;
}

static uint32_t offset_in(const struct rmt_disk_node *node, const void *at)
{
    return (uint32_t)((const uint8_t *)at - rmt_node_bytes(node));
}

int rmt_tree_replace(struct rmt_pages *pages, struct rmt_tree *tree, struct ramet_slice key,
                     struct ramet_slice value, uint64_t horizon, struct rmt_writer *w,
                     struct rmt_runs *gone)
{
    struct way way;
    if (pages->summed || !rmt_node_inline(pages->page_size, key.size, value.size))
        return 1;
    int rc = find_way(pages, tree, key, (uint32_t)value.size, horizon, &way);
    if (rc != 0)
        return rc;
    if (!rmt_vec_reserve(gone, gone->count + way.depth))
        return rmt_fail(-ENOMEM, "a commit");
    struct rmt_ref ref;
    struct rmt_disk_ref record;
    uint32_t i = way.depth - 1;
    const struct rmt_disk_node *node = way.steps[i].node;
    rc = rmt_writer_patched(w, node, offset_in(node, way.value.data), value, &ref);
    while (rc == 0 && i-- > 0) {
        node = way.steps[i].node;
        rmt_ref_store(&record, ref);
        rc = rmt_writer_patched(w, node, offset_in(node, rmt_node_refs(node) + way.steps[i].index),
                                rmt_slice(&record, sizeof(record)), &ref);
    }
    if (rc < 0)
        return rc;
    for (i = 0; i < way.depth; i++) {
        struct rmt_run run = {way.steps[i].ref.addr, 1, way.steps[i].ref.birth};
        gone->items[gone->count++] = run;
    }
    tree->root = ref;
    return 0;
}
