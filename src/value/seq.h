/* SPDX-License-Identifier: MIT */
/*
 * seq.h - large arrays: a tree of chunks, and the last chunk beside it.
 *
 *   body: count, tree, tail          leaf: up to 4 KiB of elements; how many, its parent knows
 *    tree             tail           node: up to FAN children, and where each ends
 *     node --- node     leaf
 *      leaf ... leaf
 *
 * A child is found as in a radix tree, by a shift, and then by going right while it ends too early:
 * a full tree needs no such step. So Bagwell and Rompf, "RRB-Trees: Efficient Immutable Vectors"
 * (2011). Concatenation repairs the seam to what a B+-tree asks of its nodes, which keeps the steps
 * and the height few. The tail makes push O(1) but once a leaf.
 *
 * Nodes and leaves are counted. What is reached by counts of 1 alone is one variable's, and is
 * changed in place; anything else is copied, from the body down to the leaf.
 *
 * Invariants:
 *   S1  a node's ends ascend, and a child has at most what a full one of its height has
 *   S2  a node has at least FAN / 2 children, and a leaf half of its elements, unless it is the
 *       first or last of its height in the tree; then it has at least one
 *   S3  the root is a leaf, or has two children at least
 *   S4  count is what the tree has, and the tail; only an empty array has an empty tail
 *   S5  a leaf is written only up to what the one that reaches it by counts of 1 has of it
 */
#ifndef RMT_VALUE_SEQ_H
#define RMT_VALUE_SEQ_H

#include "base/base.h"

#define RMT_SEQ_FAN 16u
#define RMT_SEQ_FAN_SHIFT RAMET_SEQ_BITS
#define RMT_SEQ_LEAF_BYTES 4096u
#define RMT_SEQ_HEIGHT_MAX 16u
/* More is refused: so high can no tree get, whatever of it is shared. */
#define RMT_SEQ_COUNT_MAX ((uint64_t)1 << 40)

struct rmt_seq_leaf {
    size_t refs;
    size_t unused; /* elements are aligned as malloc() aligns */
    uint8_t bytes[];
};

struct rmt_seq_node {
    size_t refs;
    uint32_t nr;
    uint32_t height; /* of its children: 0 are leaves, then it is 1 */
    /* Bit k: child k has no other reference, for certain. So who is alone with the node need not
     * look at the child, which would be one more line of memory. atomic: whoever refers to children
     * of a node that others may have clears it first. */
    uint32_t mine;
    uint32_t unused;
    void *children[RMT_SEQ_FAN];
    uint64_t ends[RMT_SEQ_FAN];
};

/* A tree or a part of one: a node of some height, or a leaf, with what it has of elements. */
struct rmt_seq_tree {
    void *node; /* NULL: empty */
    uint64_t size;
    uint32_t height; /* 0: a leaf */
};

/* How elements lie in leaves. */
struct rmt_seq_shape {
    size_t elem_size;
    uint32_t leaf_shift; /* a leaf has at most 1 << leaf_shift elements */
};

struct ramet_seq_body {
    size_t refs; /* from here on, as struct ramet_seq_front has it */
    struct rmt_seq_leaf *tail;
    size_t tail_count;
    size_t tail_max;
    struct rmt_seq_tree tree;
    uint64_t leaf_mask;
    uint32_t up_shift;
    /* All leaves of the tree are full, and all nodes but the last of each height: the digits of an
     * element's number are the way to it. So is what grew at its end alone. */
    uint32_t is_full;
    struct rmt_seq_shape shape; /* no longer */
};

#define RMT_SEQ_SAME_PLACE(member)                              \
    static_assert(offsetof(struct ramet_seq_body, member) ==    \
                      offsetof(struct ramet_seq_front, member), \
                  "ramet_value.h")
RMT_SEQ_SAME_PLACE(refs);
RMT_SEQ_SAME_PLACE(tail);
RMT_SEQ_SAME_PLACE(tail_count);
RMT_SEQ_SAME_PLACE(tail_max);
RMT_SEQ_SAME_PLACE(leaf_mask);
RMT_SEQ_SAME_PLACE(up_shift);
RMT_SEQ_SAME_PLACE(is_full);
static_assert(
    offsetof(struct ramet_seq_body, tree.node) == offsetof(struct ramet_seq_front, root) &&
        offsetof(struct ramet_seq_body, tree.size) == offsetof(struct ramet_seq_front, size) &&
        offsetof(struct ramet_seq_body, tree.height) == offsetof(struct ramet_seq_front, height),
    "ramet_value.h");
static_assert(offsetof(struct rmt_seq_node, mine) == offsetof(struct ramet_seq_inner, mine) &&
                  offsetof(struct rmt_seq_node, children) ==
                      offsetof(struct ramet_seq_inner, below) &&
                  sizeof(((struct ramet_seq_inner *)0)->below) == RMT_SEQ_FAN * sizeof(void *),
              "ramet_value.h");
static_assert(offsetof(struct rmt_seq_leaf, bytes) == 2 * sizeof(size_t), "ramet_value.h");

static inline size_t rmt_seq_leaf_max(const struct rmt_seq_shape *shape)
{
    return (size_t)1 << shape->leaf_shift;
}

/* The child that has element i of a node, i below its last end; makes i the element's number in the
 * child. */
static inline uint32_t rmt_seq_child(const struct rmt_seq_shape *shape,
                                     const struct rmt_seq_node *node, uint64_t *i)
{
    uint32_t shift = shape->leaf_shift + RMT_SEQ_FAN_SHIFT * (node->height - 1);
    uint32_t k = (uint32_t)(*i >> shift);
    while (node->ends[k] <= *i)
        k++;
    if (k != 0)
        *i -= node->ends[k - 1];
    return k;
}

static inline uint64_t rmt_seq_child_size(const struct rmt_seq_node *node, uint32_t k)
{
    return node->ends[k] - (k == 0 ? 0 : node->ends[k - 1]);
}

static inline struct rmt_seq_tree rmt_seq_child_tree(const struct rmt_seq_node *node, uint32_t k)
{
    struct rmt_seq_tree tree = {node->children[k], rmt_seq_child_size(node, k), node->height - 1};
    return tree;
}

static inline void rmt_seq_ref(void *node)
{
    (void)__atomic_fetch_add((size_t *)node, 1, __ATOMIC_RELAXED);
}

static inline bool rmt_seq_is_own(const void *node)
{
    return __atomic_load_n((const size_t *)node, __ATOMIC_ACQUIRE) == 1;
}

static inline bool rmt_seq_is_mine(const struct rmt_seq_node *node, uint32_t k)
{
    return (__atomic_load_n(&node->mine, __ATOMIC_RELAXED) >> k & 1) != 0;
}

static inline void rmt_seq_set_mine(struct rmt_seq_node *node, uint32_t k)
{
    __atomic_store_n(&node->mine, node->mine | (uint32_t)1 << k, __ATOMIC_RELAXED);
}

/* Children of the node get other references. */
static inline void rmt_seq_share(const struct rmt_seq_node *node)
{
    /* Seldom written: others may be reading the line. */
    if (__atomic_load_n(&node->mine, __ATOMIC_RELAXED) != 0)
        __atomic_store_n((uint32_t *)(uintptr_t)&node->mine, 0, __ATOMIC_RELAXED);
}

struct rmt_seq_leaf *rmt_seq_leaf_new(const struct rmt_seq_shape *shape);
/* An empty tree is allowed. */
void rmt_seq_unref(struct rmt_seq_tree tree);

/* Nobody else reaches *slot from now on: a copy is put there if somebody does. size: elements of a
 * leaf. -ENOMEM: as it was. */
int rmt_seq_own_node(struct rmt_seq_node **slot);
int rmt_seq_own_leaf(const struct rmt_seq_shape *shape, struct rmt_seq_leaf **slot, size_t size);

/* The leaf is taken on success: a full one, that comes to the end. In place where nobody else sees
 * it. */
int rmt_seq_push_leaf(const struct rmt_seq_shape *shape, struct rmt_seq_tree *tree,
                      struct rmt_seq_leaf *leaf, size_t size);

/* Others than those that change in place: what they are given is borrowed and stays, what they make
 * is owned and shares with it. */

int rmt_seq_join(const struct rmt_seq_shape *shape, struct rmt_seq_tree left,
                 struct rmt_seq_tree right, struct rmt_seq_tree *out);
/* Elements from off on; off < tree.size. */
int rmt_seq_cut_left(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree, uint64_t off,
                     struct rmt_seq_tree *out);
/* Elements up to end, 0 < end <= tree.size: the last leaf that has some, and the tree before it. */
int rmt_seq_cut_right(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree, uint64_t end,
                      struct rmt_seq_tree *out, struct rmt_seq_leaf **out_tail, size_t *out_count);

/* S1 to S3; S2 as far as a tree can be seen from its root. */
bool rmt_seq_valid(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree);

#endif
