/* SPDX-License-Identifier: MIT */
/* tree.c - the tree of a large array: sharing, growing at the end, cutting and joining. */
#include "value/alloc.h"
#include "value/seq.h"

#define FAN RMT_SEQ_FAN
#define FAN_MIN (FAN / 2)

static_assert(FAN == 1u << RMT_SEQ_FAN_SHIFT, "a child is found by a shift");

static const struct rmt_seq_tree empty = {NULL, 0, 0};

/* ---- counted nodes --------------------------------------------------------------------------- */

struct rmt_seq_leaf *rmt_seq_leaf_new(const struct rmt_seq_shape *shape)
{
    struct rmt_seq_leaf *leaf = (struct rmt_seq_leaf *)rmt_value_alloc(
        sizeof(*leaf) + (shape->elem_size << shape->leaf_shift));
    if (leaf)
        leaf->refs = 1;
    return leaf;
}

static struct rmt_seq_node *node_new(uint32_t height)
{
    struct rmt_seq_node *node = (struct rmt_seq_node *)rmt_value_alloc(sizeof(*node));
    if (!node)
        return NULL;
    node->refs = 1;
    node->nr = 0;
    node->height = height;
    node->mine = 0;
    return node;
}

void rmt_seq_unref(struct rmt_seq_tree tree)
{
    /* Most of what is unreferenced here has no other reference: that takes no atomic instruction.
     * The acquire pairs with the release of those who ended theirs. */
    if (!tree.node || (!rmt_seq_is_own(tree.node) && !RAMET_UNREF((size_t *)tree.node)))
        return;
    if (tree.height > 0) {
        struct rmt_seq_node *node = (struct rmt_seq_node *)tree.node;
        for (uint32_t k = 0; k < node->nr; k++)
            rmt_seq_unref(rmt_seq_child_tree(node, k));
    }
    rmt_value_free(tree.node);
}

static struct rmt_seq_tree ref(struct rmt_seq_tree tree)
{
    if (tree.node)
        rmt_seq_ref(tree.node);
    return tree;
}

/* The child is taken. */
static void add(struct rmt_seq_node *node, struct rmt_seq_tree child)
{
    rmt_assert(node->nr < FAN && child.height + 1 == node->height);
    node->children[node->nr] = child.node;
    node->ends[node->nr] = child.size + (node->nr == 0 ? 0 : node->ends[node->nr - 1]);
    node->nr++;
}

static struct rmt_seq_tree tree_of(struct rmt_seq_node *node)
{
    struct rmt_seq_tree tree = {node, node->ends[node->nr - 1], node->height};
    return tree;
}

/* Children of a node that is copied lie anywhere in memory, and each is counted once more: all are
 * asked for before the first count waits for its line. */
static void ref_children(const struct rmt_seq_node *node)
{
    rmt_seq_share(node);
    for (uint32_t k = 0; k < node->nr; k++)
        __builtin_prefetch(node->children[k], 1);
    for (uint32_t k = 0; k < node->nr; k++)
        rmt_seq_ref(node->children[k]);
}

int rmt_seq_own_node(struct rmt_seq_node **slot)
{
    struct rmt_seq_node *was = *slot;
    if (rmt_seq_is_own(was))
        return 0;
    struct rmt_seq_node *node = node_new(was->height);
    if (!node)
        return -ENOMEM;
    ref_children(was);
    node->nr = was->nr;
    memcpy(node->ends, was->ends, was->nr * sizeof(was->ends[0]));
    memcpy(node->children, was->children, was->nr * sizeof(was->children[0]));
    rmt_seq_unref(tree_of(was));
    *slot = node;
    return 0;
}

int rmt_seq_own_leaf(const struct rmt_seq_shape *shape, struct rmt_seq_leaf **slot, size_t size)
{
    struct rmt_seq_leaf *was = *slot;
    if (rmt_seq_is_own(was))
        return 0;
    struct rmt_seq_leaf *leaf = rmt_seq_leaf_new(shape);
    if (!leaf)
        return -ENOMEM;
    memcpy(leaf->bytes, was->bytes, size * shape->elem_size);
    struct rmt_seq_tree tree = {was, size, 0};
    rmt_seq_unref(tree);
    *slot = leaf;
    return 0;
}

/* ---- growing at the end ---------------------------------------------------------------------- */

/* A chain of nodes, each with one child, up to a height. tree is taken on success. */
static int lift(struct rmt_seq_tree *tree, uint32_t height)
{
    struct rmt_seq_tree top = *tree;
    while (top.height < height) {
        struct rmt_seq_node *node = node_new(top.height + 1);
        if (!node) {
            /* The nodes of the chain, and not what hangs on it. */
            while (top.height > tree->height) {
                struct rmt_seq_node *above = (struct rmt_seq_node *)top.node;
                top = rmt_seq_child_tree(above, 0);
                rmt_value_free(above);
            }
            return -ENOMEM;
        }
        add(node, top);
        top = tree_of(node);
    }
    *tree = top;
    return 0;
}

int rmt_seq_push_leaf(const struct rmt_seq_shape *shape, struct rmt_seq_tree *tree,
                      struct rmt_seq_leaf *leaf, size_t size)
{
    (void)shape;
    struct rmt_seq_tree chain = {leaf, size, 0};
    if (!tree->node) {
        *tree = chain;
        return 0;
    }

    struct rmt_seq_node *spine[RMT_SEQ_HEIGHT_MAX + 1];
    uint32_t room = 0; /* the lowest height at which a node has room */
    struct rmt_seq_node **slot = (struct rmt_seq_node **)&tree->node;
    for (uint32_t h = tree->height; h > 0; h--) {
        if (rmt_seq_own_node(slot) < 0)
            return -ENOMEM;
        spine[h] = *slot;
        if (spine[h]->nr < FAN)
            room = h;
        slot = (struct rmt_seq_node **)&spine[h]->children[spine[h]->nr - 1];
    }
    if (room == 0) {
        struct rmt_seq_node *root = node_new(tree->height + 1);
        rmt_assert(tree->height < RMT_SEQ_HEIGHT_MAX);
        if (!root)
            return -ENOMEM;
        if (lift(&chain, tree->height) < 0) {
            rmt_value_free(root);
            return -ENOMEM;
        }
        add(root, *tree);
        add(root, chain);
        *tree = tree_of(root);
        return 0;
    }
    if (lift(&chain, room - 1) < 0)
        return -ENOMEM;
    add(spine[room], chain);
    for (uint32_t h = room + 1; h <= tree->height; h++)
        spine[h]->ends[spine[h]->nr - 1] += size;
    tree->size += size;
    return 0;
}

/* ---- joining --------------------------------------------------------------------------------- */

/* One or two trees of one height. Of two, both have what S2 asks for. */
struct few {
    uint32_t nr;
    struct rmt_seq_tree tree[2];
};

static void few_fini(struct few *few)
{
    for (uint32_t i = 0; i < few->nr; i++)
        rmt_seq_unref(few->tree[i]);
    few->nr = 0;
}

static bool is_thin(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree)
{
    if (tree.height == 0)
        return tree.size * 2 < rmt_seq_leaf_max(shape);
    return ((const struct rmt_seq_node *)tree.node)->nr < FAN_MIN;
}

static bool is_same(struct rmt_seq_tree a, struct rmt_seq_tree b)
{
    return a.node == b.node && a.size == b.size;
}

static const uint8_t *leaf_bytes(struct rmt_seq_tree leaf)
{
    return ((const struct rmt_seq_leaf *)leaf.node)->bytes;
}

static int join_leaves(const struct rmt_seq_shape *shape, struct rmt_seq_tree left,
                       struct rmt_seq_tree right, struct few *out)
{
    if (!is_thin(shape, left) && !is_thin(shape, right)) {
        struct few same = {2, {ref(left), ref(right)}};
        *out = same;
        return 0;
    }
    size_t total = left.size + right.size, es = shape->elem_size;
    bool is_one = total <= rmt_seq_leaf_max(shape);
    size_t first = is_one ? total : total - total / 2;
    struct rmt_seq_leaf *a = rmt_seq_leaf_new(shape);
    struct rmt_seq_leaf *b = a && !is_one ? rmt_seq_leaf_new(shape) : NULL;
    if (!a || (!b && !is_one)) {
        rmt_value_free(a);
        return -ENOMEM;
    }
    size_t of_left = rmt_min(left.size, first);
    memcpy(a->bytes, leaf_bytes(left), of_left * es);
    memcpy(a->bytes + of_left * es, leaf_bytes(right), (first - of_left) * es);
    struct few made = {1, {{a, first, 0}, empty}};
    if (b) {
        size_t rest = left.size - of_left, from = first - of_left;
        memcpy(b->bytes, leaf_bytes(left) + of_left * es, rest * es);
        memcpy(b->bytes + rest * es, leaf_bytes(right) + from * es, (right.size - from) * es);
        made.nr = 2;
        made.tree[1] = (struct rmt_seq_tree){b, total - first, 0};
    }
    *out = made;
    return 0;
}

/* Children first to last of a node, once more. */
static uint32_t take_children(struct rmt_seq_tree *to, const struct rmt_seq_node *node,
                              uint32_t first, uint32_t last)
{
    for (uint32_t k = first; k < last; k++)
        __builtin_prefetch(node->children[k], 1);
    for (uint32_t k = first; k < last; k++)
        to[k - first] = ref(rmt_seq_child_tree(node, k));
    return last - first;
}

/* A node, or two, of these children. They are taken, also on failure. */
static int build(const struct rmt_seq_tree *children, uint32_t nr, struct few *out)
{
    uint32_t height = children[0].height + 1, first = nr <= FAN ? nr : nr - nr / 2;
    rmt_assert(nr <= 2 * FAN);
    struct rmt_seq_node *a = node_new(height);
    struct rmt_seq_node *b = a && first < nr ? node_new(height) : NULL;
    if (!a || (!b && first < nr)) {
        rmt_value_free(a);
        for (uint32_t k = 0; k < nr; k++)
            rmt_seq_unref(children[k]);
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < nr; k++)
        add(k < first ? a : b, children[k]);
    struct few made = {1, {tree_of(a), empty}};
    if (b) {
        made.nr = 2;
        made.tree[1] = tree_of(b);
    }
    *out = made;
    return 0;
}

static int join(const struct rmt_seq_shape *shape, struct rmt_seq_tree left,
                struct rmt_seq_tree right, struct few *out);

/* A thin tree at the seam takes its neighbour in. few is exchanged for what comes of the two. */
static int thicken(const struct rmt_seq_shape *shape, struct few *few, const struct rmt_seq_node *n,
                   uint32_t k, bool is_left)
{
    struct rmt_seq_tree neighbour = rmt_seq_child_tree(n, k);
    struct few made;
    int rc = is_left ? join(shape, neighbour, few->tree[0], &made)
                     : join(shape, few->tree[0], neighbour, &made);
    if (rc < 0)
        return rc;
    few_fini(few);
    *few = made;
    return 0;
}

/* Two trees of one height: what lies at the seam is joined first, down to the leaves, so that all
 * that was at the edges and now lies inside has what S2 asks for. */
static int join(const struct rmt_seq_shape *shape, struct rmt_seq_tree left,
                struct rmt_seq_tree right, struct few *out)
{
    if (left.height == 0)
        return join_leaves(shape, left, right, out);

    const struct rmt_seq_node *l = (const struct rmt_seq_node *)left.node;
    const struct rmt_seq_node *r = (const struct rmt_seq_node *)right.node;
    rmt_seq_share(l);
    rmt_seq_share(r);
    uint32_t l_last = l->nr - 1, r_first = 1; /* what of l, and from where of r, stays */
    struct rmt_seq_tree at_left = rmt_seq_child_tree(l, l_last);
    struct rmt_seq_tree at_right = rmt_seq_child_tree(r, 0);
    struct few mid;
    int rc = join(shape, at_left, at_right, &mid);
    if (rc < 0)
        return rc;
    if (mid.nr == 2 && is_same(mid.tree[0], at_left) && is_same(mid.tree[1], at_right) &&
        !is_thin(shape, left) && !is_thin(shape, right)) {
        few_fini(&mid);
        struct few same = {2, {ref(left), ref(right)}};
        *out = same;
        return 0;
    }
    if (mid.nr == 1 && is_thin(shape, mid.tree[0]) && l_last > 0)
        rc = thicken(shape, &mid, l, --l_last, true);
    if (rc == 0 && mid.nr == 1 && is_thin(shape, mid.tree[0]) && r_first < r->nr)
        rc = thicken(shape, &mid, r, r_first++, false);
    if (rc < 0) {
        few_fini(&mid);
        return rc;
    }

    struct rmt_seq_tree children[2 * FAN];
    uint32_t nr = take_children(children, l, 0, l_last);
    for (uint32_t i = 0; i < mid.nr; i++)
        children[nr++] = mid.tree[i];
    nr += take_children(children + nr, r, r_first, r->nr);
    return build(children, nr, out);
}

/* S3. tree is exchanged. */
static void collapse(struct rmt_seq_tree *tree)
{
    while (tree->node && tree->height > 0 && ((struct rmt_seq_node *)tree->node)->nr == 1) {
        rmt_seq_share((struct rmt_seq_node *)tree->node);
        struct rmt_seq_tree child = ref(rmt_seq_child_tree((struct rmt_seq_node *)tree->node, 0));
        rmt_seq_unref(*tree);
        *tree = child;
    }
}

int rmt_seq_join(const struct rmt_seq_shape *shape, struct rmt_seq_tree left,
                 struct rmt_seq_tree right, struct rmt_seq_tree *out)
{
    if (!left.node || !right.node) {
        *out = ref(left.node ? left : right);
        return 0;
    }
    uint32_t height = left.height > right.height ? left.height : right.height;
    struct rmt_seq_tree l = ref(left), r = ref(right), made = empty;
    struct few few = {0, {empty, empty}};
    int rc = lift(&l, height);
    if (rc == 0)
        rc = lift(&r, height);
    if (rc == 0)
        rc = join(shape, l, r, &few);
    if (rc == 0 && few.nr == 2) {
        struct rmt_seq_node *root = node_new(height + 1);
        rmt_assert(height < RMT_SEQ_HEIGHT_MAX);
        if (root) {
            add(root, few.tree[0]);
            add(root, few.tree[1]);
            made = tree_of(root);
        } else {
            few_fini(&few);
            rc = -ENOMEM;
        }
    } else if (rc == 0) {
        made = few.tree[0];
        collapse(&made);
    }
    rmt_seq_unref(l);
    rmt_seq_unref(r);
    if (rc < 0)
        return rc;
    *out = made;
    return 0;
}

/* ---- cutting --------------------------------------------------------------------------------- */

static int cut_left(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree, uint64_t off,
                    struct rmt_seq_tree *out)
{
    if (off == 0) {
        *out = ref(tree);
        return 0;
    }
    if (tree.height == 0) {
        struct rmt_seq_leaf *leaf = rmt_seq_leaf_new(shape);
        if (!leaf)
            return -ENOMEM;
        memcpy(leaf->bytes, leaf_bytes(tree) + off * shape->elem_size,
               (tree.size - off) * shape->elem_size);
        *out = (struct rmt_seq_tree){leaf, tree.size - off, 0};
        return 0;
    }
    const struct rmt_seq_node *node = (const struct rmt_seq_node *)tree.node;
    struct rmt_seq_tree children[FAN];
    rmt_seq_share(node);
    uint32_t k = rmt_seq_child(shape, node, &off);
    int rc = cut_left(shape, rmt_seq_child_tree(node, k), off, &children[0]);
    if (rc < 0)
        return rc;
    uint32_t nr = 1 + take_children(children + 1, node, k + 1, node->nr);
    struct few made;
    rc = build(children, nr, &made);
    if (rc < 0)
        return rc;
    *out = made.tree[0];
    return 0;
}

int rmt_seq_cut_left(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree, uint64_t off,
                     struct rmt_seq_tree *out)
{
    rmt_assert(off < tree.size);
    struct rmt_seq_tree made;
    int rc = cut_left(shape, tree, off, &made);
    if (rc < 0)
        return rc;
    collapse(&made);
    *out = made;
    return 0;
}

/* *out is empty if nothing is before the leaf. */
static int cut_right(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree, uint64_t end,
                     struct rmt_seq_tree *out, struct rmt_seq_tree *out_tail)
{
    if (tree.height == 0) {
        struct rmt_seq_tree tail = {tree.node, end, 0};
        *out_tail = ref(tail);
        *out = empty;
        return 0;
    }
    const struct rmt_seq_node *node = (const struct rmt_seq_node *)tree.node;
    struct rmt_seq_tree last, tail;
    rmt_seq_share(node);
    uint64_t i = end - 1;
    uint32_t k = rmt_seq_child(shape, node, &i);
    int rc = cut_right(shape, rmt_seq_child_tree(node, k), i + 1, &last, &tail);
    if (rc < 0)
        return rc;
    struct few made = {1, {empty, empty}};
    if (k != 0 || last.node) {
        struct rmt_seq_tree children[FAN];
        uint32_t nr = take_children(children, node, 0, k);
        if (last.node)
            children[nr++] = last;
        rc = build(children, nr, &made);
        if (rc < 0) {
            rmt_seq_unref(tail);
            return rc;
        }
    }
    *out = made.tree[0];
    *out_tail = tail;
    return 0;
}

int rmt_seq_cut_right(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree, uint64_t end,
                      struct rmt_seq_tree *out, struct rmt_seq_leaf **out_tail, size_t *out_count)
{
    rmt_assert(end > 0 && end <= tree.size);
    struct rmt_seq_tree made, tail;
    int rc = cut_right(shape, tree, end, &made, &tail);
    if (rc < 0)
        return rc;
    collapse(&made);
    *out = made;
    *out_tail = (struct rmt_seq_leaf *)tail.node;
    *out_count = (size_t)tail.size;
    return 0;
}

/* ---- checking -------------------------------------------------------------------------------- */

static bool valid(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree, bool is_first,
                  bool is_last)
{
    if (!tree.node || tree.size == 0 || (is_thin(shape, tree) && !is_first && !is_last))
        return false;
    if (tree.height == 0)
        return tree.size <= rmt_seq_leaf_max(shape);
    const struct rmt_seq_node *node = (const struct rmt_seq_node *)tree.node;
    uint32_t shift = shape->leaf_shift + RMT_SEQ_FAN_SHIFT * (node->height - 1);
    if (node->nr == 0 || node->nr > FAN || node->height != tree.height ||
        node->ends[node->nr - 1] != tree.size)
        return false;
    for (uint32_t k = 0; k < node->nr; k++) {
        uint64_t from = k == 0 ? 0 : node->ends[k - 1];
        if (node->ends[k] <= from || node->ends[k] - from > (uint64_t)1 << shift ||
            (rmt_seq_is_mine(node, k) && !rmt_seq_is_own(node->children[k])) ||
            !valid(shape, rmt_seq_child_tree(node, k), is_first && k == 0,
                   is_last && k == node->nr - 1))
            return false;
    }
    return true;
}

bool rmt_seq_valid(const struct rmt_seq_shape *shape, struct rmt_seq_tree tree)
{
    if (!tree.node)
        return tree.size == 0;
    if (tree.height > 0 && ((const struct rmt_seq_node *)tree.node)->nr < 2)
        return false;
    return valid(shape, tree, true, true);
}
