/* SPDX-License-Identifier: MIT */
/*
 * del.c - taking out: one key, a range, a tree.
 *
 * A range goes in two steps. The first reads: it puts all that will not be reachable any more on
 * edit->gone, and on a list of its own what is private; it can fail, and is then taken back. The
 * second cuts the range out of the nodes at its two ends, and cannot fail.
 */
#include "tree/edit.h"

int rmt_tree_del(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key)
{
    struct rmt_path path;
    if (key.size == 0)
        return RAMET_ENOTFOUND;
    int rc = rmt_path_find(edit, tree, key, &path);
    if (rc < 0)
        return rc;
    if (!path.equal)
        return RAMET_ENOTFOUND;

    struct rmt_step *step = &path.steps[path.depth - 1];
    struct rmt_value value = rmt_node_value_at(step->node, edit->pages->page_size, step->index);
    struct rmt_private *own = rmt_extents_value(&value);
    struct rmt_gone_mark mark = rmt_gone_mark(edit);
    uint64_t seen = 0;
    if (value.extents)
        rc = rmt_value_gone(edit, &value, &seen);
    if (rc == 0)
        rc = rmt_edit_ensure(edit, rmt_path_nr_fixed(edit, &path), 0, path.depth);
    if (rc < 0) {
        rmt_gone_undo(edit, mark);
        return rc;
    }

    rmt_cursors_note(tree);
    rmt_path_touch(edit, tree, &path);
    struct rmt_private *page = rmt_private_of(step->node);
    page->garbage += rmt_node_remove(step->node, edit->pages->page_size, step->index, false);
    page->last = UINT32_MAX - 1;
    if (own)
        rmt_edit_value_drop(edit, own);
    rmt_path_settle(edit, tree, &path);
    tree->count--;
    tree->changes++;
    return 0;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

struct range {
    struct rmt_edit *edit; /* NULL: only counts */
    struct rmt_pages *pages;
    uint64_t count;                   /* entries seen in it */
    uint64_t value_pages;             /* that are gone */
    const struct rmt_disk_node *leaf; /* seen last */
    RMT_VEC(const void *) pages_;     /* private pages to drop */
    RMT_VEC(struct rmt_private *) values;
};

/* The bounds of a range inside a subtree. Without data: it has none on that side. */
struct span {
    struct ramet_slice from, to;
};

/* The part of the span that falls to child i of a node whose children [first, last] it touches. */
static struct span span_of_child(struct span span, uint32_t i, uint32_t first, uint32_t last)
{
    if (i != first)
        span.from.size = 0;
    if (i != last)
        span.to.size = 0;
    return span;
}

/* The children of an inner node that a span touches. */
static void span_children(struct span span, const struct rmt_disk_node *node, uint32_t page_size,
                          uint32_t *out_first, uint32_t *out_last)
{
    *out_first = span.from.size ? rmt_node_find_child(node, page_size, span.from) : 0;
    *out_last = rmt_node_count(node);
    if (span.to.size) /* up to, not including */
        *out_last = rmt_node_find(node, page_size, span.to).index;
    if (*out_last < *out_first)
        *out_last = *out_first;
}

/* The entries [from, to) of a leaf that lie in a span. */
static void span_entries(struct span span, const struct rmt_disk_node *leaf, uint32_t page_size,
                         uint32_t *out_from, uint32_t *out_to)
{
    *out_from = span.from.size ? rmt_node_find(leaf, page_size, span.from).index : 0;
    *out_to = span.to.size ? rmt_node_find(leaf, page_size, span.to).index : rmt_node_count(leaf);
    if (*out_to < *out_from)
        *out_to = *out_from;
}

/* The value of an entry goes, if it is not in its leaf. */
static int doom_value(struct range *range, const struct rmt_disk_node *leaf, uint32_t i)
{
    struct rmt_value value = rmt_node_value_at(leaf, range->pages->page_size, i);
    struct rmt_private *own = rmt_extents_value(&value);
    int rc = rmt_value_gone(range->edit, &value, &range->value_pages);
    if (rc < 0 || !own)
        return rc;
    if (!rmt_vec_push(&range->values, own))
        return rmt_fail(-ENOMEM, "no memory for what a range drops");
    return 0;
}

static int doom_page(struct range *range, struct rmt_ref ref)
{
    struct rmt_run run = {ref.addr, 1, ref.birth};
    if (ref.birth)
        return rmt_edit_gone_grow(range->edit, run);
    if (!rmt_vec_push(&range->pages_, rmt_private_node(ref)))
        return rmt_fail(-ENOMEM, "no memory for what a range drops");
    return 0;
}

/* In a forged file many parents can have one child. Keys that ascend from leaf to leaf bound what
 * going over a range can cost by what there is. */
static int leaf_ascends(struct range *range, struct rmt_ref ref, const struct rmt_disk_node *leaf)
{
    const struct rmt_disk_node *before = range->leaf;
    range->leaf = leaf;
    if (before &&
        rmt_node_key_cmp(before, rmt_node_count(before) - 1, leaf, 0, range->pages->page_size) >= 0)
        return rmt_fail(RAMET_ECORRUPT, "page %llu: its keys are not above those before it",
                        (unsigned long long)ref.addr);
    return 0;
}

static int doom(struct range *range, struct rmt_ref ref, const struct rmt_disk_node *node,
                struct span span, struct rmt_bound low, struct rmt_bound high);

static int doom_children(struct range *range, const struct rmt_disk_node *node, struct span span,
                         struct rmt_bound low, struct rmt_bound high)
{
    uint32_t first, last;
    span_children(span, node, range->pages->page_size, &first, &last);
    for (uint32_t i = first; i <= last; i++) {
        struct rmt_ref ref = rmt_node_ref_at(node, i);
        struct rmt_bound below = i > 0 ? (struct rmt_bound){node, i - 1} : low;
        struct rmt_bound above = i < rmt_node_count(node) ? (struct rmt_bound){node, i} : high;
        const struct rmt_disk_node *child;
        int rc = rmt_child_open(range->pages, ref, node->level - 1u, &child);
        if (rc == 0)
            rc = doom(range, ref, child, span_of_child(span, i, first, last), below, above);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Counts what lies in the span below node, and puts on the lists what will not be reachable. The
 * depth of this recursion is that of the tree. */
static int doom(struct range *range, struct rmt_ref ref, const struct rmt_disk_node *node,
                struct span span, struct rmt_bound low, struct rmt_bound high)
{
    bool whole = !span.from.size && !span.to.size;
    int rc = 0;
    if (!whole && range->edit)
        rc = rmt_bounds_check(range->pages->page_size, ref, node, low, high);
    if (rc == 0 && node->level > 0) {
        rc = doom_children(range, node, span, low, high);
    } else if (rc == 0 && (rc = leaf_ascends(range, ref, node)) == 0) {
        uint32_t from, to;
        span_entries(span, node, range->pages->page_size, &from, &to);
        range->count += to - from;
        bool values = range->edit && (rmt_node_general(node) || rmt_node_pages(node));
        for (uint32_t i = from; values && rc == 0 && i < to; i++) {
            if (rmt_unlikely(rmt_node_extents_at(node, i)))
                rc = doom_value(range, node, i);
        }
    }
    if (rc == 0 && whole && range->edit)
        rc = doom_page(range, ref);
    return rc;
}

int rmt_tree_count_range(struct rmt_pages *pages, const struct rmt_tree *tree,
                         struct ramet_slice from, struct ramet_slice to, uint64_t *out)
{
    struct range range = {.pages = pages};
    struct span span = {from, to};
    struct rmt_bound none = {NULL, 0};
    const struct rmt_disk_node *root;
    if (!from.size && !to.size) {
        *out = tree->count;
        return 0;
    }
    int rc = 0;
    if (!rmt_ref_none(tree->root) && (!from.size || !to.size || rmt_slice_cmp(from, to) < 0)) {
        rc = rmt_root_open(pages, tree->root, &root);
        if (rc == 0)
            rc = doom(&range, tree->root, root, span, none, none);
    }
    if (rc == 0)
        *out = range.count;
    return rc;
}

/* ---- cutting --------------------------------------------------------------------------------- */

/* Takes children [from, to) of a writable inner node out, but not all. */
static void children_remove(struct rmt_disk_node *node, uint32_t page_size, uint32_t from,
                            uint32_t to)
{
    for (uint32_t i = to; i-- > from;)
        rmt_private_of(node)->garbage +=
            rmt_node_remove(node, page_size, i > 0 ? i - 1 : 0, i == 0);
}

/* Takes a span that is not the whole out of the subtree at *ref. True if nothing is left; then the
 * page is dropped. */
static bool cut(struct rmt_edit *edit, struct rmt_ref *ref, struct span span)
{
    uint32_t page_size = edit->pages->page_size, from, to;
    struct rmt_disk_node *node = rmt_edit_touch(edit, ref);
    struct rmt_private *page = rmt_private_of(node);
    bool empty;
    if (node->level == 0) {
        span_entries(span, node, page_size, &from, &to);
        page->garbage += rmt_node_remove_entries(node, page_size, from, to);
        page->last = UINT32_MAX - 1;
        empty = rmt_node_count(node) == 0;
    } else {
        uint32_t first, last;
        span_children(span, node, page_size, &first, &last);
        from = first;
        to = last + 1;
        for (uint32_t i = first; i <= last; i += last > first ? last - first : 1) {
            struct span part = span_of_child(span, i, first, last);
            struct rmt_ref child = rmt_node_ref_at(node, i);
            if (!part.from.size && !part.to.size)
                continue;
            if (cut(edit, &child, part))
                continue;
            rmt_node_ref_put(node, i, child);
            if (i == first)
                from = i + 1;
            else
                to = i;
        }
        if (from > to)
            to = from;
        empty = to - from == rmt_node_count(node) + 1;
        if (!empty)
            children_remove(node, page_size, from, to);
        page->last = UINT32_MAX - 1;
    }
    if (empty)
        rmt_edit_page_drop(edit, node);
    return empty;
}

/* Merges what a cut has left nearly empty on the way of key. */
static void settle_at(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key)
{
    struct rmt_path path;
    if (rmt_ref_none(tree->root) || key.size == 0 || rmt_path_find(edit, tree, key, &path) < 0)
        return;
    /* Below the nodes that were cut may be others, which stay as they are. */
    while (path.depth > 0 && !rmt_edit_writable(edit, path.steps[path.depth - 1].ref))
        path.depth--;
    if (path.depth > 0)
        rmt_path_settle(edit, tree, &path);
}

/* Drops what the first step has put on its lists. */
static void doomed_drop(struct rmt_edit *edit, struct range *range)
{
    for (size_t i = 0; i < range->values.count; i++)
        rmt_edit_value_drop(edit, range->values.items[i]);
    for (size_t i = 0; i < range->pages_.count; i++)
        rmt_edit_page_drop(edit, range->pages_.items[i]);
}

/* The two steps. */
static int span_del(struct rmt_edit *edit, struct rmt_tree *tree, struct span span,
                    struct range *range)
{
    struct rmt_bound none = {NULL, 0};
    struct rmt_gone_mark mark = rmt_gone_mark(edit);
    const struct rmt_disk_node *root;
    bool whole = !span.from.size && !span.to.size;
    int rc = rmt_root_open(edit->pages, tree->root, &root);
    if (rc == 0)
        rc = doom(range, tree->root, root, span, none, none);
    uint32_t ends = rc == 0 && !whole ? 2 * (root->level + 1u) : 0;
    if (rc == 0)
        rc = rmt_edit_ensure(edit, ends, 0, ends);
    if (rc < 0 || range->count == 0) {
        rmt_gone_undo(edit, mark);
        return rc;
    }

    rmt_cursors_note(tree);
    if (whole) {
        tree->root = (struct rmt_ref){0};
    } else if (cut(edit, &tree->root, span)) {
        tree->root = (struct rmt_ref){0};
    }
    doomed_drop(edit, range);
    settle_at(edit, tree, span.from);
    settle_at(edit, tree, span.to);
    tree->count -= range->count;
    tree->changes++;
    return 0;
}

static int range_del(struct rmt_edit *edit, struct rmt_tree *tree, struct span span,
                     uint64_t *out_count)
{
    struct range range = {.edit = edit, .pages = edit->pages};
    int rc = 0;
    if (!rmt_ref_none(tree->root))
        rc = span_del(edit, tree, span, &range);
    rmt_vec_fini(&range.pages_);
    rmt_vec_fini(&range.values);
    if (rc == 0 && out_count)
        *out_count = range.count;
    return rc;
}

int rmt_tree_del_range(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice from,
                       struct ramet_slice to, uint64_t *out_count)
{
    struct span span = {from, to};
    if (from.size && to.size && rmt_slice_cmp(from, to) >= 0) {
        if (out_count)
            *out_count = 0;
        return 0;
    }
    return range_del(edit, tree, span, out_count);
}

int rmt_tree_drop(struct rmt_edit *edit, struct rmt_tree *tree)
{
    struct span all = {{NULL, 0}, {NULL, 0}};
    return range_del(edit, tree, all, NULL);
}
