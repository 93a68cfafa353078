/* SPDX-License-Identifier: MIT */
/*
 * build.h - nodes written anew: packing, prefixes, layouts, splitting and merging.
 *
 * A sequence is what a node would hold if pages had no end: the keys of node a up to some index,
 * then perhaps one item of its own, then the keys of node b from some index on. With it
 *   packing             is a whole
 *   inserting at i      is a up to i, the item, the same node from i on
 *   replacing at i      is a up to i, the item, the same node from i + 1 on
 *   merging two leaves  is one, then the other
 *   merging inner nodes is one, the separator between them as item (its ref: the other's child 0),
 *   the other
 */
#ifndef RMT_BUILD_H
#define RMT_BUILD_H

#include "tree/node.h"

struct rmt_seq {
    uint32_t page_size;
    bool inner;
    const struct rmt_disk_node *a; /* never NULL */
    const struct rmt_item *item;   /* may be NULL */
    const struct rmt_disk_node *b; /* may be NULL */
    uint32_t a_count;              /* keys [0, a_count) of a */
    uint32_t b_from, b_count;      /* keys [b_from, b_from + b_count) of b */
};

struct rmt_seq rmt_seq_all(const struct rmt_disk_node *node, uint32_t page_size);
struct rmt_seq rmt_seq_insert(const struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                              const struct rmt_item *item, bool replace);
/* item: NULL for leaves. */
struct rmt_seq rmt_seq_merge(const struct rmt_disk_node *a, const struct rmt_item *item,
                             const struct rmt_disk_node *b, uint32_t page_size);

static inline uint32_t rmt_seq_count(const struct rmt_seq *seq)
{
    return seq->a_count + (seq->item != NULL) + seq->b_count;
}

/* Key i, put together. buf: RMT_NODE_KEY_BUF bytes. */
struct ramet_slice rmt_seq_key(const struct rmt_seq *seq, uint32_t i, uint8_t *buf);
/* The child to the left of key i (i may be the number of keys). */
struct rmt_ref rmt_seq_ref(const struct rmt_seq *seq, uint32_t i);

/* How keys stand in a node that is built. */
struct rmt_plan {
    uint32_t prefix_size;
    uint8_t kind; /* enum rmt_node_kind; of a fixed or dense leaf with the size of its suffixes */
};

/* True if keys [first, first + count) fit one node: planned so. Leaves are dense or fixed where
 * their entries allow it; but one entry alone is no reason to leave the layout of node a. */
bool rmt_seq_fits(const struct rmt_seq *seq, uint32_t first, uint32_t count, struct rmt_plan *out);
/* Writes keys [first, first + count), which fit, as planned to page, which is no part of the
 * sequence. Free bytes are left as they are. */
void rmt_seq_build(const struct rmt_seq *seq, uint32_t first, uint32_t count,
                   const struct rmt_plan *plan, struct rmt_disk_node *page);
/* The kind that a leaf's entries would have if it was built anew with the prefix that it has. */
uint8_t rmt_leaf_kind(const struct rmt_disk_node *leaf, uint32_t page_size);

/*
 * rmt_seq_split() - where to cut a sequence that does not fit one node, so that both sides do.
 *
 * A leaf's right side begins with the key at the cut. An inner node's key at the cut goes up, and
 * its children go to both sides. The cut is where both sides are about as large.
 */
uint32_t rmt_seq_split(const struct rmt_seq *seq);

/* The shortest key that is above a and not above b, a being below b, as a beginning of b. */
size_t rmt_separator_size(struct ramet_slice a, struct ramet_slice b);

#endif
