/* SPDX-License-Identifier: MIT */
/*
 * seal.c - private pages on their way to the file: values, children, then the node that refers to
 * them. Values of one page come before all nodes, so that those whose keys follow each other lie
 * side by side in the file, however many leaves they are in.
 */
#include "tree/edit.h"

/* Packs a private node if that changes anything, and clears what it does not use (node.h N4). */
static void pack(struct rmt_edit *edit, struct rmt_disk_node *node)
{
    uint32_t page_size = edit->pages->page_size;
    struct rmt_private *page = rmt_private_of(node);
    struct rmt_seq seq = rmt_seq_all(node, page_size);
    uint32_t count = rmt_seq_count(&seq);
    uint8_t low_buf[RMT_NODE_KEY_BUF], high_buf[RMT_NODE_KEY_BUF];
    bool longer = false; /* the prefix could be, and that would be of use */
    if (count > 1 && rmt_node_general(node)) {
        struct ramet_slice low = rmt_seq_key(&seq, 0, low_buf);
        struct ramet_slice high = rmt_seq_key(&seq, count - 1, high_buf);
        uint32_t n = rmt_node_prefix_size(node);
        longer = low.size > n && high.size > n && low_buf[n] == high_buf[n];
    }
    bool stale = count == 0 && rmt_node_prefix_size(node) > 0; /* children are all that is left */
    bool other = node->level == 0 && rmt_leaf_kind(node, page_size) != node->kind;
    if (page->garbage || longer || stale || other) {
        struct rmt_plan plan;
        seq = rmt_seq_all(rmt_edit_scratch(edit, node, NULL), page_size);
        bool fits = rmt_seq_fits(&seq, 0, count, &plan);
        rmt_assert(fits);
        rmt_seq_build(&seq, 0, count, &plan, node);
        page->garbage = 0;
    }
    uint32_t front = rmt_node_front(node);
    memset((uint8_t *)node + front, 0, page_size - rmt_node_back(node) - front);
}

/* Values whose memory is asked for before it is their turn: it may be scattered. */
#define AHEAD 8
#define RECORDS_MAX (RMT_PAGE_SIZE_MAX / RMT_PAGE_RECORD_SIZE + 1)

static uint32_t find_records(const struct rmt_disk_node *leaf, uint32_t page_size, uint16_t *out)
{
    uint32_t count = rmt_node_count(leaf), n = 0;
    for (uint32_t i = 0; i < count; i++) {
        out[n] = (uint16_t)i;
        n += rmt_ref_load(rmt_node_value_at(leaf, page_size, i).data).birth == 0;
    }
    return n;
}

/* Entries that have a private value of one page, or else another private value. */
static uint32_t find_values(const struct rmt_edit *edit, const struct rmt_disk_node *leaf,
                            bool pages, uint16_t *out)
{
    uint32_t page_size = edit->pages->page_size, count = rmt_node_count(leaf), n = 0;
    if (rmt_node_pages(leaf)) /* all are of one page, and most of a large leaf are not private */
        return pages ? find_records(leaf, page_size, out) : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (rmt_likely(!rmt_node_extents_at(leaf, i)))
            continue;
        struct rmt_value value = rmt_node_value_at(leaf, page_size, i);
        if ((value.size == RMT_PAGE_RECORD_SIZE) == pages && rmt_extents_value(&value))
            out[n++] = (uint16_t)i;
    }
    return n;
}

static int seal_values(struct rmt_edit *edit, struct rmt_disk_node *leaf, bool pages,
                       struct rmt_writer *w)
{
    uint16_t at[RECORDS_MAX];
    uint32_t page_size = edit->pages->page_size, count = find_values(edit, leaf, pages, at);
    int rc = 0;
    for (uint32_t n = 0; n < count && rc == 0; n++) {
        if (n + AHEAD < count) {
            struct rmt_value later = rmt_node_value_at(leaf, page_size, at[n + AHEAD]);
            __builtin_prefetch(rmt_private_bytes(rmt_extents_value(&later)));
        }
        /* The record is part of a page that is ours to write. */
        struct rmt_value value = rmt_node_value_at(leaf, page_size, at[n]);
        rc = rmt_value_seal(edit, &value, w);
    }
    return rc;
}

/* The depth of this recursion is that of the tree, as that of the next one. */
static int seal_pages(struct rmt_edit *edit, struct rmt_ref ref, struct rmt_writer *w)
{
    struct rmt_disk_node *node = rmt_private_node(ref);
    int rc = rmt_private_of(node)->values ? seal_values(edit, node, true, w) : 0;
    uint32_t i = 0;
    while (rc == 0 && node->level > 0 &&
           (i = rmt_node_private_from(node, i)) <= rmt_node_count(node))
        rc = seal_pages(edit, rmt_node_ref_at(node, i++), w);
    return rc;
}

static int seal(struct rmt_edit *edit, struct rmt_ref *ref, struct rmt_writer *w)
{
    struct rmt_disk_node *node = rmt_private_node(*ref);
    if (rmt_private_of(node)->values) {
        int rc = seal_values(edit, node, false, w);
        if (rc < 0)
            return rc;
    }
    uint32_t i = 0;
    while (node->level > 0 && (i = rmt_node_private_from(node, i)) <= rmt_node_count(node)) {
        struct rmt_ref child = rmt_node_ref_at(node, i);
        int rc = seal(edit, &child, w);
        if (rc < 0)
            return rc;
        rmt_node_ref_put(node, i++, child);
    }
    pack(edit, node);
    return rmt_writer_node(w, node, ref);
}

int rmt_tree_seal(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_writer *w)
{
    if (rmt_ref_none(tree->root) || tree->root.birth)
        return 0;
    rmt_cursors_note(tree);
    tree->changes++;
    int rc = edit->page_values ? seal_pages(edit, tree->root, w) : 0;
    return rc < 0 ? rc : seal(edit, &tree->root, w);
}
