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
                    size_t size, uint64_t horizon, struct way *way)
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
    if (pages->summed)
        return 1;
    int rc = find_way(pages, tree, key, value.size, horizon, &way);
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

/*
 * First all keys are sought, and each node that is to be written is listed, behind its children;
 * then they are written in that order. So it is known beforehand how many they are, and whether it
 * can be done at all.
 */
struct rmt_replaced_node {
    const struct rmt_disk_node *node;
    struct rmt_ref ref;
    uint32_t child;    /* which one of its parent's; of no meaning for the root */
    uint32_t from, to; /* of a leaf: its keys. Of others: to - from children are listed before it */
};

#define FEW 16 /* that are sorted where they are */

/* One for each key: its index, and above that the child that it is in, of the node under way; so
 * sorted they are in groups, and those of one key in the order they came. At last, in a leaf,
 * above it is where its value is. */
static inline uint32_t high_of(uint64_t order)
{
    return (uint32_t)(order >> 32);
}

static inline void set_high(uint64_t *order, uint32_t high)
{
    *order = (uint64_t)high << 32 | (uint32_t)*order;
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
static void sort_many(struct rmt_replacing *r, uint64_t *orders, uint32_t count, uint32_t children)
{
    uint32_t at = 0;
    memset(r->counts, 0, children * sizeof(*r->counts));
    for (uint32_t i = 0; i < count; i++)
        r->counts[high_of(orders[i])]++;
    for (uint32_t i = 0; i < children; i++) {
        uint32_t n = r->counts[i];
        r->counts[i] = at;
        at += n;
    }
    for (uint32_t i = 0; i < count; i++)
        r->sorted[r->counts[high_of(orders[i])]++] = orders[i];
    memcpy(orders, r->sorted, count * sizeof(*orders));
}

/* Lists this node, behind those below it that keys [from, to) are in. 1: it cannot be done. */
static int plan(struct rmt_replacing *r, const struct rmt_disk_node *node, struct rmt_ref ref,
                uint32_t child, uint32_t from, uint32_t to);

static int plan_children(struct rmt_replacing *r, const struct rmt_disk_node *node, uint32_t from,
                         uint32_t to, uint32_t *out_count)
{
    uint32_t page_size = r->pages->page_size;
    for (uint32_t i = from; i < to; i++)
        set_high(&r->orders[i],
                 rmt_node_find_child(node, page_size, r->keys[(uint32_t)r->orders[i]]));
    if (to - from <= FEW)
        sort_few(r->orders + from, to - from);
    else
        sort_many(r, r->orders + from, to - from, rmt_node_count(node) + 1);
    *out_count = 0;
    for (uint32_t at = from, next; at < to; at = next, ++*out_count) {
        const struct rmt_disk_node *child;
        uint32_t index = high_of(r->orders[at]);
        for (next = at + 1; next < to && high_of(r->orders[next]) == index;)
            next++;
        if (node->level == 1 && next < to)
            rmt_ref_prefetch(r->pages, rmt_node_ref_at(node, high_of(r->orders[next])));
        struct rmt_ref ref = rmt_node_ref_at(node, index);
        if (ref.birth <= r->horizon)
            return 1;
        int rc = rmt_child_open(r->pages, ref, node->level - 1u, &child);
        if (rc == 0)
            rc = plan(r, child, ref, index, at, next);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool plan_leaf(struct rmt_replacing *r, const struct rmt_disk_node *leaf, uint32_t from,
                      uint32_t to)
{
    struct rmt_value value;
    for (uint32_t i = from; i < to; i++) {
        uint32_t key = (uint32_t)r->orders[i];
        if (!value_in(leaf, r->pages->page_size, r->keys[key], r->values[key].size, &value))
            return false;
        set_high(&r->orders[i], offset_in(leaf, value.data));
    }
    return true;
}

/* The depth of this recursion is that of the tree. */
static int plan(struct rmt_replacing *r, const struct rmt_disk_node *node, struct rmt_ref ref,
                uint32_t child, uint32_t from, uint32_t to)
{
    struct rmt_replaced_node one = {node, ref, child, from, to};
    int rc = 0;
    if (node->level > 0) {
        one.from = 0;
        rc = plan_children(r, node, from, to, &one.to);
    } else if (!plan_leaf(r, node, from, to)) {
        rc = 1;
    }
    if (rc == 0 && !rmt_vec_push(&r->nodes, one))
        rc = rmt_fail(-ENOMEM, "a commit");
    return rc;
}

int rmt_replacing_init(struct rmt_replacing *r, struct rmt_pages *pages,
                       const struct rmt_tree *tree, size_t count, const struct ramet_slice *keys,
                       const struct ramet_slice *values, uint64_t horizon)
{
    const struct rmt_disk_node *root;
    *r = (struct rmt_replacing){.pages = pages, .keys = keys, .values = values, .horizon = horizon};
    if (pages->summed || rmt_ref_none(tree->root) || tree->root.birth <= horizon || count == 0 ||
        count > UINT32_MAX)
        return 1;
    r->orders = malloc(2 * count * sizeof(*r->orders));
    r->sorted = r->orders ? r->orders + count : NULL;
    /* A node has fewer children than that, for each has a reference. */
    r->counts = malloc(pages->page_size / 16 * sizeof(*r->counts));
    r->page = malloc(pages->page_size);
    if (!r->orders || !r->counts || !r->page)
        return rmt_fail(-ENOMEM, "a commit");
    for (size_t i = 0; i < count; i++)
        r->orders[i] = i;
    int rc = rmt_root_open(pages, tree->root, &root);
    return rc < 0 ? rc : plan(r, root, tree->root, 0, 0, (uint32_t)count);
}

void rmt_replacing_fini(struct rmt_replacing *r)
{
    free(r->orders);
    free(r->counts);
    free(r->page);
    rmt_vec_fini(&r->nodes);
}

static int write_leaf(struct rmt_replacing *r, const struct rmt_replaced_node *leaf,
                      struct rmt_writer *w, struct rmt_ref *out)
{
    const uint64_t *orders = r->orders;
    if (leaf->to - leaf->from == 1)
        return rmt_writer_patched(w, leaf->node, high_of(orders[leaf->from]),
                                  r->values[(uint32_t)orders[leaf->from]], out);
    memcpy(r->page, leaf->node, r->pages->page_size);
    for (uint32_t i = leaf->from; i < leaf->to; i++) {
        struct ramet_slice value = r->values[(uint32_t)orders[i]];
        if (value.size)
            memcpy(r->page + high_of(orders[i]), value.data, value.size);
    }
    return rmt_writer_at_once(w, r->page, out);
}

/* made: its children, as they were written. */
static int write_inner(struct rmt_replacing *r, const struct rmt_replaced_node *inner,
                       const struct rmt_replaced_node *made, struct rmt_writer *w,
                       struct rmt_ref *out)
{
    memcpy(r->page, inner->node, r->pages->page_size);
    for (uint32_t i = 0; i < inner->to; i++)
        rmt_node_ref_put((void *)r->page, made[i].child, made[i].ref);
    return rmt_writer_at_once(w, r->page, out);
}

/* All of a node, which is going to be copied. */
static void prefetch_node(const struct rmt_disk_node *node, uint32_t page_size)
{
    for (uint32_t at = 0; at < page_size; at += 64)
        __builtin_prefetch(rmt_node_bytes(node) + at);
}

int rmt_replacing_write(struct rmt_replacing *r, struct rmt_tree *tree, struct rmt_writer *w,
                        struct rmt_runs *gone)
{
    struct rmt_replaced_node *nodes = r->nodes.items;
    size_t waiting = 0; /* nodes[0 .. waiting): written, and their parents are not */
    for (size_t i = 0; i < r->nodes.count; i++) {
        struct rmt_replaced_node one = nodes[i];
        if (i + 1 < r->nodes.count)
            prefetch_node(nodes[i + 1].node, r->pages->page_size);
        if (!rmt_runs_push(gone, one.ref.addr, 1, one.ref.birth))
            return rmt_fail(-ENOMEM, "a commit");
        bool inner = one.node->level > 0;
        waiting -= inner ? one.to : 0;
        int rc = inner ? write_inner(r, &one, nodes + waiting, w, &one.ref)
                       : write_leaf(r, &one, w, &one.ref);
        if (rc < 0)
            return rc;
        nodes[waiting++] = one;
    }
    tree->root = nodes[0].ref;
    return 0;
}
