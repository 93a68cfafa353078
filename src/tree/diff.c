/* SPDX-License-Identifier: MIT */
#include "tree/diff.h"

#include "tree/edit.h"

/* True if there are none on either side, or they are the same, page for page. */
static bool same_shares(const struct rmt_tree *a, const struct rmt_tree *b)
{
    static const struct rmt_ref none;
    return rmt_ref_equal(a ? a->root : none, b ? b->root : none);
}

void rmt_diff_init(struct rmt_diff *diff, struct rmt_pages *pages, const struct rmt_tree *old,
                   const struct rmt_tree *new, struct ramet_slice from, struct ramet_slice to)
{
    const struct rmt_tree *trees[] = {old, new};
    diff->pages = pages;
    diff->from = from;
    diff->to = to;
    diff->places = false;
    diff->opened = 0;
    for (size_t i = 0; i < 2; i++) {
        struct rmt_diff_side *side = &diff->sides[i];
        side->root = trees[i]->root;
        side->shares = trees[i]->shares;
        side->depth = 0;
        side->done = rmt_ref_none(side->root);
        side->low_known = true;
        side->low_size = 0;
    }
    diff->one_shares = same_shares(old->shares, new->shares);
}

/* ---- a side ---------------------------------------------------------------------------------- */

static const struct rmt_cursor_step *top(const struct rmt_diff_side *side)
{
    return &side->path[side->depth - 1];
}

static bool at_entry(const struct rmt_diff_side *side)
{
    return side->depth && top(side)->node->level == 0;
}

/* Of what is pending. */
static struct rmt_ref ref_of(const struct rmt_diff_side *side)
{
    return side->depth ? rmt_node_ref_at(top(side)->node, top(side)->index) : side->root;
}

/* Of what is pending; that of the root is not known before it is opened. */
static uint32_t level_of(const struct rmt_diff_side *side)
{
    return side->depth ? top(side)->node->level - 1u : UINT32_MAX;
}

/* Goes on behind the entry or the child. */
static void advance(struct rmt_diff_side *side)
{
    side->low_known = false;
    while (side->depth) {
        struct rmt_cursor_step *step = &side->path[side->depth - 1];
        if (++step->index < rmt_node_size(step->node))
            return;
        side->depth--;
    }
    side->done = true;
}

/* In a forged file many parents can have one child: the walk ends because keys lie between their
 * separators, so that no page fits in two places. */
static int check_bounds(const struct rmt_diff *diff, const struct rmt_diff_side *side,
                        struct rmt_ref ref, const struct rmt_disk_node *node)
{
    struct rmt_bound low = {NULL, 0}, high = {NULL, 0};
    for (uint32_t i = side->depth; i-- > 0 && !(low.node && high.node);) {
        const struct rmt_cursor_step *above = &side->path[i];
        if (!low.node && above->index > 0)
            low = (struct rmt_bound){above->node, above->index - 1};
        if (!high.node && above->index < rmt_node_count(above->node))
            high = (struct rmt_bound){above->node, above->index};
    }
    return rmt_bounds_check(diff->pages->page_size, ref, node, low, high);
}

/* Opens what is pending, and goes to the first of it that is not below from. */
static int open_pending(struct rmt_diff *diff, struct rmt_diff_side *side)
{
    struct rmt_cursor_step *step = &side->path[side->depth];
    struct rmt_ref ref = ref_of(side);
    int rc = side->depth ? rmt_child_open(diff->pages, ref, level_of(side), &step->node)
                         : rmt_root_open(diff->pages, ref, &step->node);
    if (rc == 0)
        rc = check_bounds(diff, side, ref, step->node);
    if (rc < 0)
        return rc;
    diff->opened++;
    side->depth++;
    side->low_known = false;
    step->index = 0;
    if (!diff->from.size)
        return 0;
    uint32_t page_size = diff->pages->page_size;
    if (step->node->level > 0)
        step->index = rmt_node_find_child(step->node, page_size, diff->from);
    else
        step->index = rmt_node_find(step->node, page_size, diff->from).index;
    if (step->index == rmt_node_size(step->node)) {
        step->index--;
        advance(side);
    }
    return 0;
}

/* Finds the lower bound of what is at hand: an entry's key; or the separator before a child, or
 * before the ancestor that it is the first of. The side is done if that is not below to. */
static void find_low(const struct rmt_diff *diff, struct rmt_diff_side *side)
{
    if (side->low_known || side->done)
        return;
    side->low_known = true;
    side->low_size = 0;
    for (uint32_t i = side->depth; i-- > 0;) {
        const struct rmt_cursor_step *step = &side->path[i];
        bool leaf = step->node->level == 0;
        if (leaf || step->index > 0) {
            side->low_size = rmt_node_key_at(step->node, diff->pages->page_size,
                                             leaf ? step->index : step->index - 1, side->low);
            break;
        }
    }
    if (diff->to.size && side->low_size &&
        rmt_slice_cmp(rmt_slice(side->low, side->low_size), diff->to) >= 0)
        side->done = true;
}

/* ---- both ------------------------------------------------------------------------------------ */

/* Orders the positions: by key, or by lower bound. */
static int compare(const struct rmt_diff_side *a, const struct rmt_diff_side *b)
{
    if (!a->low_size || !b->low_size)
        return (a->low_size > 0) - (b->low_size > 0);
    return rmt_slice_cmp(rmt_slice(a->low, a->low_size), rmt_slice(b->low, b->low_size));
}

static int value_at(const struct rmt_diff *diff, const struct rmt_diff_side *side,
                    struct rmt_value *out)
{
    *out = rmt_node_value_at(top(side)->node, diff->pages->page_size, top(side)->index);
    return rmt_value_find(diff->pages, side->shares, out);
}

/* Hands out the entry at hand of one side or both, and goes on. */
static int give(struct rmt_diff *diff, bool has_old, bool has_new, struct ramet_slice *key,
                struct rmt_value *old, struct rmt_value *new)
{
    struct rmt_diff_side *a = &diff->sides[0], *b = &diff->sides[1];
    const struct rmt_diff_side *of = has_old ? a : b;
    memcpy(diff->key, of->low, of->low_size);
    *key = rmt_slice(diff->key, of->low_size);
    *old = *new = (struct rmt_value){0};
    int rc = has_old ? value_at(diff, a, old) : 0;
    if (rc == 0 && has_new)
        rc = value_at(diff, b, new);
    if (rc < 0)
        return rc;
    if (has_old)
        advance(a);
    if (has_new)
        advance(b);
    return 1;
}

/* Both are at entries with the same key. 1: they differ, and were handed out. */
static int compare_entries(struct rmt_diff *diff, struct ramet_slice *key, struct rmt_value *old,
                           struct rmt_value *new)
{
    struct rmt_diff_side *a = &diff->sides[0], *b = &diff->sides[1];
    struct rmt_value x, y;
    int rc = value_at(diff, a, &x);
    if (rc == 0)
        rc = value_at(diff, b, &y);
    if (rc < 0)
        return rc;
    bool apart = diff->places && x.extents && y.extents;
    rc = apart ? rmt_value_same(&x, &y) : rmt_value_equal(diff->pages, &x, &y);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return give(diff, true, true, key, old, new);
    advance(a);
    advance(b);
    return 0;
}

/* True if entries of two leaves with one prefix are the same, key and value, byte for byte. Of two
 * branches a number of a shared page may be that of two pages. */
static bool same_entry(const struct rmt_diff *diff, const struct rmt_disk_node *x, uint32_t i,
                       const struct rmt_disk_node *y, uint32_t j)
{
    uint32_t page_size = diff->pages->page_size;
    if (rmt_node_head_at(x, i) != rmt_node_head_at(y, j))
        return false;
    struct rmt_node_suffix a = rmt_node_suffix_at(x, i), b = rmt_node_suffix_at(y, j);
    struct rmt_value v = rmt_node_value_at(x, page_size, i), w = rmt_node_value_at(y, page_size, j);
    if (a.size != b.size || v.size != w.size || v.extents != w.extents ||
        (!diff->one_shares && rmt_value_shared(&v)))
        return false;
    /* Behind what a key has beyond its head lies its value. */
    return a.tail && b.tail
               ? memcmp(a.tail, b.tail, rmt_node_tail_size(a.size) + (size_t)v.size) == 0
               : !rmt_node_tail_size(a.size) && memcmp(v.data, w.data, v.size) == 0;
}

static bool same_prefix(const struct rmt_disk_node *x, const struct rmt_disk_node *y,
                        uint32_t page_size)
{
    uint32_t n = rmt_node_prefix_size(x);
    return n == rmt_node_prefix_size(y) &&
           memcmp(rmt_node_bytes(x) + page_size - n, rmt_node_bytes(y) + page_size - n, n) == 0;
}

/* Goes over what is the same on both sides: children, or entries, of which mostly all but one of a
 * pair of pages are. */
static void skip_same(struct rmt_diff *diff)
{
    struct rmt_diff_side *a = &diff->sides[0], *b = &diff->sides[1];
    if (a->done || b->done || !a->depth || !b->depth || at_entry(a) != at_entry(b))
        return;
    struct rmt_cursor_step *p = &a->path[a->depth - 1], *q = &b->path[b->depth - 1];
    const struct rmt_disk_node *x = p->node, *y = q->node;
    uint32_t page_size = diff->pages->page_size, n = 0;
    uint32_t most = rmt_min(rmt_node_size(x) - p->index, rmt_node_size(y) - q->index);
    if (!at_entry(a)) {
        const struct rmt_disk_ref *r = rmt_node_refs(x) + p->index;
        const struct rmt_disk_ref *s = rmt_node_refs(y) + q->index;
        while (n < most && memcmp(&r[n], &s[n], sizeof(*r)) == 0)
            n++;
    } else if (same_prefix(x, y, page_size)) {
        while (n < most && same_entry(diff, x, p->index + n, y, q->index + n))
            n++;
    }
    if (!n)
        return;
    p->index += n - 1;
    q->index += n - 1;
    advance(a);
    advance(b);
}

/* Asks for all of a leaf: of a pair that differs nearly all is compared. */
static void prefetch_leaf(const struct rmt_pages *pages, struct rmt_ref ref)
{
    if (!ref.birth || ref.addr >= pages->reserved)
        return;
    const uint8_t *page = (const uint8_t *)rmt_page_at(pages, ref.addr);
    for (uint32_t at = 0; at < pages->page_size; at += 64)
        __builtin_prefetch(page + at);
}

/* Opens what is pending where the walk is behind; where neither is, the higher of the two, so that
 * they come to the same level, or both. */
static int open_some(struct rmt_diff *diff, int order)
{
    struct rmt_diff_side *a = &diff->sides[0], *b = &diff->sides[1];
    bool open_a = !a->done && !at_entry(a), open_b = !b->done && !at_entry(b);
    if (open_a && open_b && order != 0) {
        open_a = order < 0;
        open_b = order > 0;
    } else if (open_a && open_b && level_of(a) != level_of(b)) {
        open_a = level_of(a) > level_of(b);
        open_b = !open_a;
    }
    if (open_a && open_b && level_of(a) == 0 && level_of(b) == 0) {
        prefetch_leaf(diff->pages, ref_of(a));
        prefetch_leaf(diff->pages, ref_of(b));
    }
    int rc = open_a ? open_pending(diff, a) : 0;
    return rc == 0 && open_b ? open_pending(diff, b) : rc;
}

static bool is_pending(const struct rmt_diff_side *side)
{
    return !side->done && !at_entry(side);
}

/* One step. 1: a difference was handed out. */
static int step(struct rmt_diff *diff, struct ramet_slice *key, struct rmt_value *old,
                struct rmt_value *new)
{
    struct rmt_diff_side *a = &diff->sides[0], *b = &diff->sides[1];
    if (is_pending(a) && is_pending(b) && rmt_ref_equal(ref_of(a), ref_of(b))) {
        advance(a);
        advance(b);
        return 0;
    }
    int order = a->done ? 1 : b->done ? -1 : compare(a, b);
    /* An entry is alone if the other side has nothing left that could have its key. */
    if (!a->done && at_entry(a) && order < 0)
        return give(diff, true, false, key, old, new);
    if (!b->done && at_entry(b) && order > 0)
        return give(diff, false, true, key, old, new);
    if (!a->done && !b->done && at_entry(a) && at_entry(b))
        return compare_entries(diff, key, old, new);
    return open_some(diff, order);
}

int rmt_diff_next(struct rmt_diff *diff, struct ramet_slice *key, struct rmt_value *old,
                  struct rmt_value *new)
{
    for (;;) {
        skip_same(diff);
        find_low(diff, &diff->sides[0]);
        find_low(diff, &diff->sides[1]);
        if (diff->sides[0].done && diff->sides[1].done)
            return 0;
        int rc = step(diff, key, old, new);
        if (rc != 0)
            return rc;
    }
}
