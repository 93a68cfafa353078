/* SPDX-License-Identifier: MIT */
/*
 * path.c - the way of a key through a tree that is written: down, made writable, and put in order
 * after something was taken out.
 */
#include "tree/edit.h"

int rmt_level_fail(struct rmt_ref ref)
{
    return rmt_fail(RAMET_ECORRUPT, "page %llu: not of the kind and level that its parent asks for",
                    (unsigned long long)ref.addr);
}

int rmt_bounds_check(uint32_t page_size, struct rmt_ref ref, const struct rmt_disk_node *node,
                     struct rmt_bound low, struct rmt_bound high)
{
    uint32_t count = rmt_node_count(node);
    if (ref.birth == 0 || count == 0)
        return 0;
    /* A separator may be the first key below it in a leaf, but no separator of an inner node. */
    int least = node->level > 0 ? 1 : 0;
    if ((low.node && rmt_node_key_cmp(node, 0, low.node, low.index, page_size) < least) ||
        (high.node && rmt_node_key_cmp(node, count - 1, high.node, high.index, page_size) >= 0))
        return rmt_fail(RAMET_ECORRUPT, "page %llu: its keys do not lie between its separators",
                        (unsigned long long)ref.addr);
    return 0;
}

int rmt_path_find(struct rmt_edit *edit, const struct rmt_tree *tree, struct ramet_slice key,
                  struct rmt_path *out)
{
    struct rmt_pages *pages = edit->pages;
    struct rmt_bound low = {NULL, 0}, high = {NULL, 0};
    const struct rmt_disk_node *node;
    struct rmt_ref ref = tree->root;
    out->depth = 0;
    out->equal = false;
    if (rmt_ref_none(ref))
        return 0;
    int rc = rmt_root_open(pages, ref, &node);
    if (rc < 0)
        return rc;

    for (;;) {
        if (rmt_unlikely(ref.birth)) {
            rc = rmt_bounds_check(pages->page_size, ref, node, low, high);
            if (rc < 0)
                return rc;
        }
        struct rmt_step *step = &out->steps[out->depth++];
        step->node = (struct rmt_disk_node *)(uintptr_t)node;
        step->ref = ref;
        if (node->level == 0) {
            struct rmt_node_pos pos = rmt_node_find(node, pages->page_size, key);
            step->index = pos.index;
            out->equal = pos.equal;
            return 0;
        }
        step->index = rmt_node_find_child(node, pages->page_size, key);
        if (step->index > 0)
            low = (struct rmt_bound){node, step->index - 1};
        if (step->index < rmt_node_count(node))
            high = (struct rmt_bound){node, step->index};
        ref = rmt_node_ref_at(node, step->index);
        rmt_ref_prefetch(pages, ref);
        rc = rmt_child_open(pages, ref, node->level - 1u, &node);
        if (rc < 0)
            return rc;
    }
}

uint32_t rmt_path_nr_fixed(const struct rmt_edit *edit, const struct rmt_path *path)
{
    uint32_t i = path->depth; /* what is writable lies above what is not */
    while (i > 0 && !rmt_edit_writable(edit, path->steps[i - 1].ref))
        i--;
    return path->depth - i;
}

void rmt_path_touch(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_path *path)
{
    for (uint32_t i = path->depth - rmt_path_nr_fixed(edit, path); i < path->depth; i++) {
        struct rmt_step *step = &path->steps[i];
        step->node = rmt_edit_touch(edit, &step->ref);
        if (i == 0)
            tree->root = step->ref;
        else
            rmt_node_ref_put(path->steps[i - 1].node, path->steps[i - 1].index, step->ref);
    }
}

/* ---- putting in order ------------------------------------------------------------------------ */

static void sibling_drop(struct rmt_edit *edit, struct rmt_ref ref)
{
    struct rmt_run run = {ref.addr, 1, ref.birth};
    if (ref.birth)
        rmt_edit_gone(edit, run);
    else
        rmt_edit_page_drop(edit, rmt_private_node(ref));
}

/* The bounds of child index of step i. */
static void bounds_of(const struct rmt_path *path, uint32_t i, uint32_t index,
                      struct rmt_bound *low, struct rmt_bound *high)
{
    *low = *high = (struct rmt_bound){NULL, 0};
    for (uint32_t j = 0; j <= i; j++) {
        const struct rmt_disk_node *node = path->steps[j].node;
        uint32_t child = j == i ? index : path->steps[j].index;
        if (child > 0)
            *low = (struct rmt_bound){node, child - 1};
        if (child < rmt_node_count(node))
            *high = (struct rmt_bound){node, child};
    }
}

/* Takes in child index of the parent of step i, which is beside that of the step, if there is room.
 */
static bool merge(struct rmt_edit *edit, struct rmt_path *path, uint32_t i, uint32_t index)
{
    uint32_t page_size = edit->pages->page_size, own = path->steps[i - 1].index;
    struct rmt_disk_node *node = path->steps[i].node, *parent = path->steps[i - 1].node;
    struct rmt_ref ref = rmt_node_ref_at(parent, index);
    const struct rmt_disk_node *sibling;
    struct rmt_bound low, high;
    bounds_of(path, i - 1, index, &low, &high);
    if (rmt_child_open(edit->pages, ref, node->level, &sibling) < 0 ||
        rmt_bounds_check(page_size, ref, sibling, low, high) < 0)
        return false;

    uint32_t left = index < own ? index : own;
    struct rmt_plan plan;
    const struct rmt_disk_node *copy = rmt_edit_scratch(edit, node, NULL);
    const struct rmt_disk_node *a = index < own ? sibling : copy, *b = index < own ? copy : sibling;
    uint8_t buf[RMT_NODE_KEY_BUF];
    struct rmt_item separator = {0};
    if (node->level > 0) {
        separator.key = rmt_slice(buf, rmt_node_key_at(parent, page_size, left, buf));
        separator.ref = rmt_node_ref_at(b, 0);
    }
    struct rmt_seq seq = rmt_seq_merge(a, node->level > 0 ? &separator : NULL, b, page_size);
    if (!rmt_seq_fits(&seq, 0, rmt_seq_count(&seq), &plan))
        return false;
    rmt_seq_build(&seq, 0, rmt_seq_count(&seq), &plan, node);
    struct rmt_private *head = rmt_private_of(node);
    head->garbage = 0;
    head->last = UINT32_MAX;
    head->ascending = head->descending = 0;
    head->values |= ref.birth == 0 && rmt_private_of(sibling)->values;
    sibling_drop(edit, ref);
    rmt_private_of(parent)->garbage += rmt_node_remove(parent, page_size, left, index < own);
    return true;
}

static bool underfull(const struct rmt_disk_node *node, uint32_t page_size)
{
    uint32_t free = rmt_node_gap(node, page_size) + rmt_private_of(node)->garbage;
    return page_size - free < page_size / 4;
}

/* Takes the child of step i out. Returns true if it was the last. */
static bool child_remove(struct rmt_disk_node *parent, uint32_t page_size, uint32_t index)
{
    if (rmt_node_count(parent) == 0)
        return true;
    rmt_private_of(parent)->garbage +=
        rmt_node_remove(parent, page_size, index > 0 ? index - 1 : 0, index == 0);
    return false;
}

void rmt_path_settle(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_path *path)
{
    uint32_t page_size = edit->pages->page_size, i = path->depth - 1;
    bool empty = path->steps[i].node->level == 0 && rmt_node_count(path->steps[i].node) == 0;
    for (; i > 0; i--) {
        struct rmt_disk_node *node = path->steps[i].node, *parent = path->steps[i - 1].node;
        uint32_t own = path->steps[i - 1].index;
        if (empty) {
            rmt_edit_page_drop(edit, node);
            empty = child_remove(parent, page_size, own);
            continue;
        }
        if (!underfull(node, page_size) || !rmt_vec_reserve(&edit->gone, edit->gone.count + 1))
            break;
        if (!(own < rmt_node_count(parent) && merge(edit, path, i, own + 1)) &&
            !(own > 0 && merge(edit, path, i, own - 1)))
            break;
    }
    if (empty) {
        rmt_edit_page_drop(edit, path->steps[0].node);
        tree->root = (struct rmt_ref){0};
        return;
    }
    while (rmt_edit_writable(edit, tree->root)) {
        struct rmt_disk_node *root = rmt_private_node(tree->root);
        if (root->level == 0 || rmt_node_count(root) > 0)
            break;
        tree->root = rmt_node_ref_at(root, 0);
        rmt_edit_page_drop(edit, root);
    }
}
