/* SPDX-License-Identifier: MIT */
/*
 * cursor.c - a position in a tree.
 *
 * While the tree is not written, a position is the path to the entry. Before a write, every cursor
 * that has moved since the last one notes its key; afterwards its path is of no use, and is found
 * again from the key when it is asked for.
 */
#include "tree/edit.h"

void rmt_cursor_init(struct rmt_cursor *c, struct rmt_pages *pages, struct rmt_tree *tree)
{
    c->pages = pages;
    c->tree = tree;
    c->next = NULL;
    c->changes = tree->changes;
    rmt_cursor_reset(c);
    if (!tree->fixed) {
        c->next = tree->cursors;
        tree->cursors = c;
    }
}

void rmt_cursor_fini(struct rmt_cursor *c)
{
    struct rmt_cursor **link = &c->tree->cursors;
    while (!c->tree->fixed && *link) {
        if (*link == c) {
            *link = c->next;
            break;
        }
        link = &(*link)->next;
    }
    rmt_cursor_reset(c);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static inline struct rmt_cursor_step *leaf_of(struct rmt_cursor *c)
{
    return &c->path[c->depth - 1];
}

/* Puts the key of the position together. Short tails are copied with their surroundings: a copy of
 * a known size is a few instructions. */
static inline void key_note(struct rmt_cursor *c)
{
    const struct rmt_cursor_step *step = leaf_of(c);
    const struct rmt_disk_node *leaf = step->node;
    uint32_t page_size = c->pages->page_size, prefix_size = rmt_node_prefix_size(leaf);
    struct rmt_node_suffix suffix = rmt_node_suffix_at(leaf, step->index);
    uint32_t head = __builtin_bswap32(rmt_node_head_at(leaf, step->index));
    uint32_t tail = rmt_node_tail_size(suffix.size);
    uint8_t *to = c->key + prefix_size;
    if (c->prefix_size != prefix_size) {
        memcpy(c->key, rmt_node_bytes(leaf) + page_size - prefix_size, prefix_size);
        c->prefix_size = prefix_size;
    }
    memcpy(to, &head, RMT_NODE_HEAD);
    to += RMT_NODE_HEAD;
    if (tail && tail <= 16 && (size_t)(suffix.tail - rmt_node_bytes(leaf)) <= page_size - 16)
        memcpy(to, suffix.tail, 16);
    else if (tail)
        memcpy(to, suffix.tail, tail);
    c->key_size = prefix_size + suffix.size;
}

void rmt_cursors_note(struct rmt_tree *tree)
{
    for (struct rmt_cursor *c = tree->cursors; c; c = c->next) {
        if (c->depth > 0 && c->key_size == 0)
            key_note(c);
    }
}

/* ---- moving ---------------------------------------------------------------------------------- */

/* There is no position at the ends, and none where the way cannot be read. */
static int lost(struct rmt_cursor *c, int rc)
{
    rmt_cursor_reset(c);
    return rc;
}

/* Where the scan will go when it is done with this leaf. */
static inline void look_ahead(struct rmt_cursor *c, const struct rmt_disk_node *parent,
                              uint32_t index)
{
    c->ahead_bytes = 0;
    if (index > rmt_node_count(parent))
        return;
    struct rmt_ref ref = rmt_node_ref_at(parent, index);
    c->ahead = (const uint8_t *)(uintptr_t)ref.addr;
    if (ref.birth) {
        if (rmt_unlikely(ref.addr >= c->pages->reserved))
            return;
        c->ahead = (const uint8_t *)rmt_page_at(c->pages, ref.addr);
    }
    c->ahead_bytes = c->pages->page_size;
    __builtin_prefetch(c->ahead);
    __builtin_prefetch(c->ahead + 64);
}

/* From the child that the last step of the path takes down to a leaf, always to the first or last
 * child. */
static int go_down(struct rmt_cursor *c, bool last)
{
    for (;;) {
        const struct rmt_cursor_step *step = leaf_of(c);
        const struct rmt_disk_node *node = step->node;
        if (node->level == 0) {
            c->prefix_size = 0;
            return 0;
        }
        const struct rmt_disk_node *child;
        struct rmt_ref ref = rmt_node_ref_at(node, step->index);
        if (node->level == 1)
            look_ahead(c, node, last ? step->index - 1 : step->index + 1);
        int rc = rmt_child_open(c->pages, ref, node->level - 1u, &child);
        if (rc < 0)
            return lost(c, rc);
        struct rmt_cursor_step *next = &c->path[c->depth++];
        next->node = child;
        next->index = last ? rmt_node_size(child) - 1 : 0;
    }
}

static int go_end(struct rmt_cursor *c, bool last)
{
    const struct rmt_disk_node *root;
    rmt_cursor_reset(c);
    c->changes = c->tree->changes;
    if (rmt_ref_none(c->tree->root))
        return RAMET_ENOTFOUND;
    int rc = rmt_root_open(c->pages, c->tree->root, &root);
    if (rc < 0)
        return rc;
    c->path[0].node = root;
    c->path[0].index = last ? rmt_node_size(root) - 1 : 0;
    c->depth = 1;
    return go_down(c, last);
}

int rmt_cursor_first(struct rmt_cursor *c)
{
    return go_end(c, false);
}

int rmt_cursor_last(struct rmt_cursor *c)
{
    return go_end(c, true);
}

/* In a forged file many parents can have one child: a scan ends because its keys ascend. */
static int leaves_check(struct rmt_cursor *c, const struct rmt_disk_node *below,
                        const struct rmt_disk_node *above)
{
    if (rmt_likely(
            rmt_node_key_cmp(below, rmt_node_count(below) - 1, above, 0, c->pages->page_size) < 0))
        return 0;
    rmt_cursor_reset(c);
    return rmt_fail(RAMET_ECORRUPT, "page %llu: its keys are not above those of page %llu",
                    (unsigned long long)rmt_get64(above->addr),
                    (unsigned long long)rmt_get64(below->addr));
}

/* To the first entry of the leaf behind this one. Without one the path stays. */
static int leaf_next(struct rmt_cursor *c)
{
    const struct rmt_disk_node *leaf = leaf_of(c)->node;
    uint32_t depth = c->depth - 1;
    while (depth > 0 && c->path[depth - 1].index >= rmt_node_count(c->path[depth - 1].node))
        depth--;
    if (depth == 0)
        return RAMET_ENOTFOUND;
    c->path[depth - 1].index++;
    c->depth = depth;
    int rc = go_down(c, false);
    return rc < 0 ? rc : leaves_check(c, leaf, leaf_of(c)->node);
}

/* To the last entry of the leaf before this one. Without one the path stays. */
static int leaf_prev(struct rmt_cursor *c)
{
    const struct rmt_disk_node *leaf = leaf_of(c)->node;
    uint32_t depth = c->depth - 1;
    while (depth > 0 && c->path[depth - 1].index == 0)
        depth--;
    if (depth == 0)
        return RAMET_ENOTFOUND;
    c->path[depth - 1].index--;
    c->depth = depth;
    int rc = go_down(c, true);
    return rc < 0 ? rc : leaves_check(c, leaf_of(c)->node, leaf);
}

/* To the first entry that is not below key, or behind the last of all. */
static int find(struct rmt_cursor *c, struct ramet_slice key, bool *out_equal)
{
    const struct rmt_disk_node *node;
    struct rmt_pages *pages = c->pages;
    uint32_t page_size = pages->page_size;
    int rc = rmt_root_open(pages, c->tree->root, &node);
    if (rc < 0)
        return lost(c, rc);
    c->depth = 0;
    while (node->level > 0) {
        uint32_t index = rmt_node_find_child(node, page_size, key);
        c->path[c->depth].node = node;
        c->path[c->depth++].index = index;
        struct rmt_ref ref = rmt_node_ref_at(node, index);
        rmt_ref_prefetch(pages, ref);
        rc = rmt_child_open(pages, ref, node->level - 1u, &node);
        if (rc < 0)
            return lost(c, rc);
    }
    struct rmt_node_pos pos = rmt_node_find(node, page_size, key);
    c->path[c->depth].node = node;
    c->path[c->depth++].index = pos.index;
    c->prefix_size = 0;
    c->ahead_bytes = 0;
    if (c->depth > 1)
        look_ahead(c, c->path[c->depth - 2].node, c->path[c->depth - 2].index + 1);
    *out_equal = pos.equal;
    return pos.index < rmt_node_count(node) ? 0 : leaf_next(c);
}

int rmt_cursor_seek(struct rmt_cursor *c, struct ramet_slice key)
{
    bool equal;
    if (key.size == 0)
        return rmt_cursor_first(c);
    if (rmt_ref_none(c->tree->root))
        return lost(c, RAMET_ENOTFOUND);
    c->gone = false;
    c->key_size = 0;
    c->changes = c->tree->changes;
    int rc = find(c, key, &equal);
    return rc < 0 ? lost(c, rc) : 0;
}

/* The tree was written: finds the key again, or where it was. */
static int find_again(struct rmt_cursor *c)
{
    bool equal = false;
    if (rmt_ref_none(c->tree->root))
        return RAMET_ENOTFOUND;
    c->changes = c->tree->changes;
    int rc = find(c, rmt_slice(c->key, c->key_size), &equal);
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rc;
    c->gone = !equal;
    return 0;
}

int rmt_cursor_next(struct rmt_cursor *c)
{
    if (rmt_unlikely(c->depth == 0))
        return go_end(c, false);
    if (rmt_unlikely(c->changes != c->tree->changes)) {
        int rc = find_again(c);
        if (rc < 0)
            return lost(c, rc);
    }
    struct rmt_cursor_step *step = leaf_of(c);
    c->key_size = 0;
    step->index += !c->gone; /* else it is at the successor already */
    c->gone = false;
    if (c->ahead_bytes) { /* cells begin at the end of a page */
        c->ahead_bytes -= 128;
        __builtin_prefetch(c->ahead + c->ahead_bytes);
        __builtin_prefetch(c->ahead + c->ahead_bytes + 64);
    }
    if (rmt_likely(step->index < rmt_node_count(step->node)))
        return 0;
    int rc = leaf_next(c);
    return rc < 0 ? lost(c, rc) : 0;
}

int rmt_cursor_prev(struct rmt_cursor *c)
{
    if (rmt_unlikely(c->depth == 0))
        return go_end(c, true);
    if (rmt_unlikely(c->changes != c->tree->changes)) {
        int rc = find_again(c);
        if (rc < 0)
            return lost(c, rc);
    }
    struct rmt_cursor_step *step = leaf_of(c);
    c->key_size = 0;
    c->gone = false;
    if (rmt_likely(step->index > 0)) {
        step->index--;
        return 0;
    }
    int rc = leaf_prev(c);
    return rc < 0 ? lost(c, rc) : 0;
}

int rmt_cursor_get(struct rmt_cursor *c, struct ramet_slice *key, struct rmt_value *value)
{
    if (rmt_unlikely(c->depth == 0))
        return RAMET_ENOTFOUND;
    if (rmt_unlikely(c->changes != c->tree->changes)) {
        int rc = find_again(c);
        if (rc < 0)
            return rc;
    }
    if (rmt_unlikely(c->gone))
        return RAMET_ENOTFOUND;
    if (key) {
        if (c->key_size == 0)
            key_note(c);
        *key = rmt_slice(c->key, c->key_size);
    }
    if (!value)
        return 0;
    *value = rmt_node_value_at(leaf_of(c)->node, c->pages->page_size, leaf_of(c)->index);
    if (rmt_unlikely(c->tree->overlay)) {
        if (c->key_size == 0)
            key_note(c);
        rmt_value_overlay(c->tree, rmt_slice(c->key, c->key_size), value);
    }
    return rmt_value_find(c->pages, c->tree->shares, value);
}

int rmt_cursor_leaf(struct rmt_cursor *c, const struct rmt_disk_node **out_leaf,
                    uint32_t *out_index)
{
    int rc = rmt_cursor_get(c, NULL, NULL);
    if (rc < 0)
        return rc;
    struct rmt_cursor_step *step = &c->path[c->depth - 1];
    *out_leaf = step->node;
    *out_index = step->index;
    step->index = rmt_node_count(step->node) - 1;
    c->key_size = 0;
    return 0;
}
