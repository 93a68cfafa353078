/* SPDX-License-Identifier: MIT */
/*
 * replace.c - values give way to others of the same size: each page on the way to one is written
 * with a few bytes that differ, without a private copy, for nothing else of it moves.
 */
#include <stdlib.h>

#include "tree/edit.h"
#include "tree/node.h"

/* The value of a key that may give way to one of so many bytes. False: there is none. */
static bool value_in(const struct rmt_disk_node *leaf, uint32_t page_size, struct ramet_slice key,
                     size_t size, struct rmt_value *out)
{
    struct rmt_node_pos pos = rmt_node_find(leaf, page_size, key);
    if (!pos.equal)
        return false;
    *out = rmt_node_value_at(leaf, page_size, pos.index);
    return !out->extents && out->size == size;
}

static uint32_t offset_in(const struct rmt_disk_node *node, const void *at)
{
    return (uint32_t)((const uint8_t *)at - rmt_node_bytes(node));
}

/* ---- one ------------------------------------------------------------------------------------- */

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
    return value_in(node, page_size, key, size, &way->value) ? 0 : 1;
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

/* ---- many ------------------------------------------------------------------------------------ */

/* A child that was written anew. */
struct made {
    struct rmt_ref ref;
    uint32_t child;
    uint32_t next; /* where the group of the next one begins */
};

struct many {
    struct rmt_pages *pages;
    const struct ramet_slice *keys, *values;
    uint64_t horizon;
    struct rmt_writer *w;
    struct rmt_runs *gone;
    /* One for each key. orders: its index, and above that the child that it is in, of the node
     * under way: so sorted they are in groups, and those of one key in the order they came. */
    uint64_t *orders, *sorted;
    struct made *made;
    uint32_t *counts; /* one for each child of a node */
    uint8_t *page;    /* that is being put together */
};

#define FEW 16 /* that are sorted where they are */

static inline uint32_t child_of(uint64_t order)
{
    return (uint32_t)(order >> 32);
}

static void sort_few(uint64_t *orders, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint64_t order = orders[i];
        uint32_t at = i;
        for (; at > 0 && orders[at - 1] > order; at--)
            orders[at] = orders[at - 1];
        orders[at] = order;
    }
}

/* By child: those of each stay in the order that they are in. */
static void sort_many(struct many *m, uint64_t *orders, uint32_t count, uint32_t children)
{
    uint32_t at = 0;
    memset(m->counts, 0, children * sizeof(*m->counts));
    for (uint32_t i = 0; i < count; i++)
        m->counts[child_of(orders[i])]++;
    for (uint32_t i = 0; i < children; i++) {
        uint32_t n = m->counts[i];
        m->counts[i] = at;
        at += n;
    }
    for (uint32_t i = 0; i < count; i++)
        m->sorted[m->counts[child_of(orders[i])]++] = orders[i];
    memcpy(orders, m->sorted, count * sizeof(*orders));
}

/* All of a leaf, which is going to be copied. */
static void prefetch_page(const struct rmt_pages *pages, struct rmt_ref ref)
{
    const uint8_t *page = (const uint8_t *)rmt_page_at(pages, ref.addr);
    for (uint32_t at = 0; ref.addr < pages->reserved && at < pages->page_size; at += 64)
        __builtin_prefetch(page + at);
}

static int replace_in_leaf(struct many *m, const struct rmt_disk_node *leaf, uint32_t from,
                           uint32_t to, struct rmt_ref *out)
{
    uint32_t page_size = m->pages->page_size;
    struct rmt_value value;
    for (uint32_t i = from; i < to; i++) {
        uint32_t key = (uint32_t)m->orders[i];
        struct ramet_slice bytes = m->values[key];
        if (!value_in(leaf, page_size, m->keys[key], bytes.size, &value))
            return 1;
        if (to - from == 1)
            return rmt_writer_patched(m->w, leaf, offset_in(leaf, value.data), bytes, out);
        if (i == from)
            memcpy(m->page, leaf, page_size);
        memcpy(m->page + offset_in(leaf, value.data), bytes.data, bytes.size);
    }
    return rmt_writer_at_once(m->w, m->page, out);
}

static int replace_in(struct many *m, const struct rmt_disk_node *node, struct rmt_ref ref,
                      uint32_t from, uint32_t to, struct rmt_ref *out);

/* Each group of the keys in its child. */
static int replace_in_children(struct many *m, const struct rmt_disk_node *node, uint32_t from,
                               uint32_t to)
{
    for (uint32_t at = from, next; at < to; at = next) {
        const struct rmt_disk_node *child;
        uint32_t index = child_of(m->orders[at]);
        for (next = at + 1; next < to && child_of(m->orders[next]) == index;)
            next++;
        if (node->level == 1 && next < to)
            prefetch_page(m->pages, rmt_node_ref_at(node, child_of(m->orders[next])));
        struct rmt_ref was = rmt_node_ref_at(node, index), ref;
        if (was.birth <= m->horizon)
            return 1;
        int rc = rmt_child_open(m->pages, was, node->level - 1u, &child);
        if (rc == 0)
            rc = replace_in(m, child, was, at, next, &ref);
        if (rc != 0)
            return rc;
        m->made[at] = (struct made){ref, index, next};
    }
    return 0;
}

/* The depth of this recursion is that of the tree. */
static int replace_in(struct many *m, const struct rmt_disk_node *node, struct rmt_ref ref,
                      uint32_t from, uint32_t to, struct rmt_ref *out)
{
    uint32_t page_size = m->pages->page_size;
    if (!rmt_runs_push(m->gone, ref.addr, 1, ref.birth))
        return rmt_fail(-ENOMEM, "a commit");
    if (node->level == 0)
        return replace_in_leaf(m, node, from, to, out);
    for (uint32_t i = from; i < to; i++) {
        uint32_t key = (uint32_t)m->orders[i];
        uint32_t child = rmt_node_find_child(node, page_size, m->keys[key]);
        m->orders[i] = (uint64_t)child << 32 | key;
    }
    if (to - from <= FEW)
        sort_few(m->orders + from, to - from);
    else
        sort_many(m, m->orders + from, to - from, rmt_node_count(node) + 1);
    int rc = replace_in_children(m, node, from, to);
    if (rc != 0)
        return rc;
    memcpy(m->page, node, page_size);
    for (uint32_t at = from; at < to; at = m->made[at].next)
        rmt_node_ref_put((struct rmt_disk_node *)(void *)m->page, m->made[at].child,
                         m->made[at].ref);
    return rmt_writer_at_once(m->w, m->page, out);
}

static int replace_many(struct many *m, struct rmt_tree *tree, uint32_t count)
{
    const struct rmt_disk_node *root;
    uint32_t page_size = m->pages->page_size;
    rmt_auto(free) uint64_t *orders = calloc(count, 2 * sizeof(*orders));
    rmt_auto(free) struct made *made = calloc(count, sizeof(*made));
    /* A node has fewer children than that, for each has a reference. */
    rmt_auto(free) uint32_t *counts = calloc(page_size / 16, sizeof(*counts));
    rmt_auto(free) uint8_t *page = malloc(page_size);
    if (!orders || !made || !counts || !page)
        return rmt_fail(-ENOMEM, "a commit");
    m->orders = orders;
    m->sorted = orders + count;
    m->made = made;
    m->counts = counts;
    m->page = page;
    for (uint32_t i = 0; i < count; i++)
        orders[i] = i;
    int rc = rmt_root_open(m->pages, tree->root, &root);
    return rc < 0 ? rc : replace_in(m, root, tree->root, 0, count, &tree->root);
}

int rmt_tree_replace_many(struct rmt_pages *pages, struct rmt_tree *tree, size_t count,
                          const struct ramet_slice *keys, const struct ramet_slice *values,
                          uint64_t horizon, struct rmt_writer *w, struct rmt_runs *gone)
{
    struct many m = {
        .pages = pages, .keys = keys, .values = values, .horizon = horizon, .w = w, .gone = gone};
    if (pages->summed || rmt_ref_none(tree->root) || tree->root.birth <= horizon || count == 0 ||
        count > UINT32_MAX)
        return 1;
    for (size_t i = 0; i < count; i++) {
        if (!rmt_node_inline(pages->page_size, keys[i].size, values[i].size))
            return 1;
    }
    return replace_many(&m, tree, (uint32_t)count);
}
