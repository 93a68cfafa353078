/* SPDX-License-Identifier: MIT */
#include "tree/edit.h"
#include "tree/lookup.h"

#define ASCENDING_MIN 4u /* so many in a row are taken for a pattern */

/* ---- reading --------------------------------------------------------------------------------- */

/* A value as it lies in its leaf. */
static inline int lookup(struct rmt_pages *pages, const struct rmt_tree *tree,
                         struct ramet_slice key, struct rmt_value *out)
{
#if defined(__x86_64__)
    if (rmt_likely(__builtin_cpu_supports("avx2")))
        return rmt_lookup_get_avx2(pages, tree, key, out);
#endif
    return rmt_lookup_get_portable(pages, tree, key, out);
}

int rmt_tree_get(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                 struct rmt_value *out)
{
    int rc = lookup(pages, tree, key, out);
    if (rc < 0)
        return rc;
    rmt_value_overlay(tree, key, out);
    return rmt_value_find(pages, tree->shares, out);
}

int rmt_tree_get_number(struct rmt_pages *pages, const struct rmt_tree *tree, uint64_t number,
                        struct rmt_value *out)
{
    int rc;
#if defined(__x86_64__)
    if (rmt_likely(__builtin_cpu_supports("avx2")))
        rc = rmt_lookup_number_avx2(pages, tree, number, out);
    else
#endif
        rc = rmt_lookup_number_portable(pages, tree, number, out);
    return rc == 0 ? rmt_value_find(pages, tree->shares, out) : rc;
}

int rmt_tree_get_as_is(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                       struct rmt_value *out)
{
    return lookup(pages, tree, key, out);
}

static int lookup_many(struct rmt_pages *pages, const struct rmt_tree *tree, size_t count,
                       const struct ramet_slice *keys, struct rmt_value *outs)
{
#if defined(__x86_64__)
    if (rmt_likely(__builtin_cpu_supports("avx2")))
        return rmt_lookup_many_avx2(pages, tree, count, keys, outs);
#endif
    return rmt_lookup_many_portable(pages, tree, count, keys, outs);
}

int rmt_tree_get_many(struct rmt_pages *pages, const struct rmt_tree *tree, size_t count,
                      const struct ramet_slice *keys, struct rmt_value *outs)
{
    int rc = lookup_many(pages, tree, count, keys, outs);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = rmt_value_find(pages, tree->shares, &outs[i]);
    return rc;
}

void rmt_tree_set(struct rmt_tree *tree, struct rmt_ref root, uint64_t count)
{
    tree->root = root;
    tree->count = count;
    tree->changes++;
    for (struct rmt_cursor *c = tree->cursors; c; c = c->next)
        rmt_cursor_reset(c);
}

/* ---- putting --------------------------------------------------------------------------------- */

/* Notes where a key was put in, to know ascending and descending input when the page is full. */
static void note(struct rmt_private *page, uint32_t at)
{
    page->ascending = at == page->last + 1 ? page->ascending + 1 : 0;
    page->descending = at == page->last ? page->descending + 1 : 0;
    page->last = at;
}

/* True if step i of the path and all above go to the last child. */
static bool rightmost(const struct rmt_path *path, uint32_t i)
{
    while (i > 0) {
        i--;
        if (path->steps[i].index != rmt_node_count(path->steps[i].node))
            return false;
    }
    return true;
}

/* True if the path ends behind all keys of the tree. */
static bool is_last(const struct rmt_path *path)
{
    if (path->depth == 0)
        return true;
    const struct rmt_step *leaf = &path->steps[path->depth - 1];
    return !path->equal && leaf->index == rmt_node_count(leaf->node) &&
           rightmost(path, path->depth - 1);
}

/* What a split leaves to put in above. */
struct split {
    struct rmt_ref left;  /* goes where the child was */
    struct rmt_item item; /* the separator, and the child to its right */
    uint8_t key[RMT_NODE_KEY_BUF];
};

/* A sequence, and where in it and how its item came. */
struct overflow {
    const struct rmt_seq *seq;
    const struct rmt_private *page;
    uint32_t at;
    bool outside; /* the item's key has not the page's prefix: it is the first or the last */
    bool append;  /* it is the last, and nothing is expected to come before it */
    bool replace;
};

/* Where to cut, as rmt_seq_split(), with regard to what is expected to come. */
static uint32_t cut_find(const struct overflow *full)
{
    uint32_t count = rmt_seq_count(full->seq), at = full->at;
    struct rmt_plan plan;
    bool last = at == count - 1, first = at == 0;
    bool inner = full->seq->inner;
    if (full->outside)
        return first && !inner ? 1 : at;
    if (full->append || (last && full->page->ascending >= ASCENDING_MIN))
        return at;
    if (first && full->page->descending >= ASCENDING_MIN)
        return inner ? 0 : 1;
    if (!inner && !first && full->page->ascending >= ASCENDING_MIN &&
        rmt_seq_fits(full->seq, at, count - at, &plan))
        return at;
    return rmt_seq_split(full->seq);
}

/* Divides a sequence over node, whose contents it has from elsewhere, and a new page. False if it
 * is too large for two; then nothing has changed. */
static bool divide(struct rmt_edit *edit, struct rmt_disk_node *node, const struct overflow *full,
                   struct split *out)
{
    const struct rmt_seq *seq = full->seq;
    uint32_t count = rmt_seq_count(seq), cut = cut_find(full);
    uint32_t right_from = seq->inner ? cut + 1 : cut;
    struct rmt_plan left_plan, right_plan;
    if (!rmt_seq_fits(seq, 0, cut, &left_plan) ||
        !rmt_seq_fits(seq, right_from, count - right_from, &right_plan))
        return false;

    uint8_t buf[RMT_NODE_KEY_BUF];
    struct ramet_slice key = rmt_seq_key(seq, cut, buf);
    size_t size = key.size;
    if (!seq->inner) {
        uint8_t below[RMT_NODE_KEY_BUF];
        size = rmt_separator_size(rmt_seq_key(seq, cut - 1, below), key);
    }
    memmove(out->key, key.data, size);

    struct rmt_disk_node *right = rmt_edit_page(edit);
    struct rmt_private *from = rmt_private_of(node), *to = rmt_private_of(right);
    rmt_seq_build(seq, right_from, count - right_from, &right_plan, right);
    if (cut != full->at || cut != count - 1 || full->replace) {
        rmt_seq_build(seq, 0, cut, &left_plan, node);
        from->garbage = 0;
    } /* else the left side is as it was */
    to->ascending = full->at >= cut ? from->ascending : 0;
    to->descending = full->at >= cut ? from->descending : 0;
    to->last = full->at >= right_from ? full->at - right_from : UINT32_MAX;
    from->last = full->at < cut ? full->at : UINT32_MAX - 1;
    to->values = from->values;

    out->left = rmt_private_ref(node);
    out->item = (struct rmt_item){.key = {out->key, size}, .ref = rmt_private_ref(right)};
    return true;
}

enum outcome { PACKED, DIVIDED, CROWDED };

/*
 * Puts an item into a full node: packs it, or divides it.
 *
 * Packing can also be needed because the item's key has not the node's prefix, or does not suit its
 * layout. A fixed or dense leaf may hold more than two general ones: with an item that makes it
 * general it can be crowded. Then nothing has changed, but for what the item had in the node: that
 * is in the scratch page.
 */
static enum outcome overflow(struct rmt_edit *edit, struct rmt_path *path, uint32_t i, uint32_t at,
                             struct rmt_item *item, bool replace, struct split *out)
{
    struct rmt_disk_node *node = path->steps[i].node;
    uint32_t page_size = edit->pages->page_size, count;
    struct rmt_plan plan;
    const struct rmt_disk_node *copy = rmt_edit_scratch(edit, node, item);
    struct rmt_seq seq = rmt_seq_insert(copy, page_size, at, item, replace);
    count = rmt_seq_count(&seq);
    if (rmt_seq_fits(&seq, 0, count, &plan)) {
        rmt_seq_build(&seq, 0, count, &plan, node);
        rmt_private_of(node)->garbage = 0;
        return PACKED;
    }
    struct overflow full = {
        .seq = &seq,
        .page = rmt_private_of(node),
        .at = at,
        .outside = !rmt_node_has_prefix(copy, page_size, item->key),
        .append = at == count - 1 && !replace && rightmost(path, i),
        .replace = replace,
    };
    return divide(edit, node, &full, out) ? DIVIDED : CROWDED;
}

/* A new root over two nodes. */
static void root_grow(struct rmt_edit *edit, struct rmt_tree *tree, uint32_t level,
                      const struct split *split)
{
    uint32_t page_size = edit->pages->page_size;
    struct rmt_disk_node *root = rmt_edit_page(edit);
    *root = (struct rmt_disk_node){.kind = RMT_NODE_INNER, .level = (uint8_t)level};
    rmt_node_ref_put(root, 0, split->left);
    rmt_node_insert(root, page_size, 0, &split->item);
    tree->root = rmt_private_ref(root);
}

/* Puts what a split left into the nodes above step i. */
static void insert_above(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_path *path,
                         uint32_t i, const struct split *first)
{
    uint32_t page_size = edit->pages->page_size;
    struct split splits[2];
    const struct split *below = first;
    for (uint32_t turn = 0;; turn ^= 1) {
        if (i == 0) {
            root_grow(edit, tree, path->steps[0].node->level + 1u, below);
            return;
        }
        i--;
        struct rmt_disk_node *node = path->steps[i].node;
        struct rmt_item item = below->item;
        uint32_t at = path->steps[i].index;
        rmt_node_ref_put(node, at, below->left);
        note(rmt_private_of(node), at);
        if (rmt_node_has_prefix(node, page_size, item.key) &&
            rmt_node_need(node, &item) <= rmt_node_gap(node, page_size)) {
            rmt_node_insert(node, page_size, at, &item);
            return;
        }
        enum outcome outcome = overflow(edit, path, i, at, &item, false, &splits[turn]);
        rmt_assert(outcome != CROWDED); /* an inner node has one layout */
        if (outcome == PACKED)
            return;
        below = &splits[turn];
    }
}

/* True if the item fits the leaf as it is. */
static bool leaf_has_room(const struct rmt_disk_node *leaf, uint32_t page_size,
                          const struct rmt_item *item)
{
    return rmt_node_has_prefix(leaf, page_size, item->key) &&
           rmt_node_need(leaf, item) <= rmt_node_gap(leaf, page_size);
}

/* True if the item, which does not fit the leaf but has its prefix, would not fit it either if the
 * leaf were packed: it would keep its layout, has no garbage, and all have no longer prefix in
 * common, or that would be of no use. */
static bool leaf_packed(const struct rmt_disk_node *leaf, uint32_t page_size,
                        const struct rmt_item *item)
{
    uint32_t prefix_size = rmt_node_prefix_size(leaf);
    if (!rmt_node_general(leaf))
        return rmt_node_need(leaf, item) != RMT_NODE_UNSUITED;
    return rmt_private_of(leaf)->garbage == 0 && item->key.size > prefix_size &&
           rmt_node_head_at(leaf, 0) >> 24 != ((const uint8_t *)item->key.data)[prefix_size] &&
           rmt_leaf_kind(leaf, page_size) == RMT_NODE_LEAF;
}

/* Puts an item that is above all others into a new last leaf, where the old one is full and would
 * not have more room if it were packed. True if that is so. */
static bool leaf_follow(struct rmt_edit *edit, const struct rmt_path *path,
                        const struct rmt_item *item, struct split *out)
{
    struct rmt_disk_node *leaf = path->steps[path->depth - 1].node;
    uint32_t page_size = edit->pages->page_size, count = rmt_node_count(leaf);
    if (count == 0 || !rmt_node_has_prefix(leaf, page_size, item->key) ||
        !leaf_packed(leaf, page_size, item))
        return false;
    struct rmt_seq seq = rmt_seq_insert(leaf, page_size, count, item, false);
    uint8_t below[RMT_NODE_KEY_BUF];
    struct rmt_plan plan;
    bool fits = rmt_seq_fits(&seq, count, 1, &plan);
    rmt_assert(fits);
    size_t size = rmt_separator_size(rmt_seq_key(&seq, count - 1, below), item->key);
    memcpy(out->key, item->key.data, size);
    struct rmt_disk_node *right = rmt_edit_page(edit);
    rmt_seq_build(&seq, count, 1, &plan, right);
    rmt_private_of(right)->ascending = rmt_private_of(leaf)->ascending;
    rmt_private_of(right)->last = 0;
    out->left = rmt_private_ref(leaf);
    out->item = (struct rmt_item){.key = {out->key, size}, .ref = rmt_private_ref(right)};
    return true;
}

/* Divides a fixed or dense leaf in the middle. */
static void halve(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_path *path)
{
    uint32_t page_size = edit->pages->page_size, i = path->depth - 1;
    struct rmt_disk_node *left = path->steps[i].node, *right = rmt_edit_page(edit);
    uint32_t count = rmt_node_count(left), cut = count / 2;
    struct rmt_seq seq = rmt_seq_all(left, page_size);
    struct rmt_plan plan;
    bool fits = rmt_seq_fits(&seq, cut, count - cut, &plan);
    rmt_assert(fits);
    rmt_seq_build(&seq, cut, count - cut, &plan, right);

    uint8_t below[RMT_NODE_KEY_BUF];
    struct split split = {.left = rmt_private_ref(left)};
    struct ramet_slice key = rmt_seq_key(&seq, cut, split.key);
    key.size = rmt_separator_size(rmt_seq_key(&seq, cut - 1, below), key);
    split.item = (struct rmt_item){.key = key, .ref = rmt_private_ref(right)};
    (void)rmt_node_remove_entries(left, page_size, cut, count); /* there is no garbage */
    rmt_private_of(left)->last = UINT32_MAX - 1;
    insert_above(edit, tree, path, i, &split);
}

static struct rmt_disk_node *leaf_put(struct rmt_edit *edit, struct rmt_tree *tree,
                                      struct rmt_path *path, struct rmt_item *item, bool last);

/* Puts an item that makes its leaf crowded: into one half of it. Its bytes may be in pages that are
 * written before it is put in. */
static struct rmt_disk_node *halve_put(struct rmt_edit *edit, struct rmt_tree *tree,
                                       struct rmt_path *path, const struct rmt_item *item,
                                       bool last)
{
    uint8_t key[RAMET_KEY_MAX], value[RMT_PAGE_SIZE_MAX / 4];
    struct rmt_item own = *item;
    struct rmt_path again;
    rmt_assert(item->key.size <= sizeof(key));
    rmt_assert(item->value.size <= sizeof(value));
    memcpy(key, item->key.data, item->key.size);
    if (item->value.size)
        memcpy(value, item->value.data, item->value.size);
    own.key.data = key;
    own.value.data = value;
    halve(edit, tree, path);
    int rc = rmt_path_find(edit, tree, own.key, &again);
    rmt_assert(rc == 0); /* all of it is private */
    return leaf_put(edit, tree, &again, &own, last);
}

/* Puts item into the leaf of a writable path. Returns the leaf, or what is now to its right.
 * Halvings are few, and so deep is this recursion. */
static struct rmt_disk_node *leaf_put(struct rmt_edit *edit, struct rmt_tree *tree,
                                      struct rmt_path *path, struct rmt_item *item, bool last)
{
    uint32_t page_size = edit->pages->page_size, i = path->depth - 1, at = path->steps[i].index;
    struct rmt_disk_node *leaf = path->steps[i].node;
    struct rmt_private *page = rmt_private_of(leaf);
    page->values |= item->value.extents;
    if (path->equal) {
        uint32_t garbage;
        if (rmt_node_replace(leaf, page_size, at, &item->value, &garbage)) {
            page->garbage += garbage;
            return leaf;
        }
    } else {
        note(page, at);
        if (leaf_has_room(leaf, page_size, item) ||
            (rmt_node_has_prefix(leaf, page_size, item->key) &&
             rmt_node_loosen(leaf, page_size, item))) {
            rmt_node_insert(leaf, page_size, at, item);
            return leaf;
        }
    }
    struct split split;
    enum outcome outcome = DIVIDED;
    if (!last || !leaf_follow(edit, path, item, &split))
        outcome = overflow(edit, path, i, at, item, path->equal, &split);
    if (outcome == CROWDED)
        return halve_put(edit, tree, path, item, last);
    if (outcome == DIVIDED) {
        leaf = rmt_private_node(split.item.ref);
        rmt_private_of(leaf)->values |= item->value.extents;
        insert_above(edit, tree, path, i, &split);
    }
    return leaf;
}

/* Puts an item that is above all others into the last leaf without going down to it, if that is
 * known, writable, and has room. */
static bool append(struct rmt_edit *edit, struct rmt_tree *tree, const struct rmt_item *item)
{
    struct rmt_disk_node *leaf = tree->last_leaf;
    if (!leaf || tree->last_at != tree->changes)
        return false;
    uint32_t page_size = edit->pages->page_size, last = rmt_node_count(leaf) - 1;
    if (rmt_private_of(leaf)->savepoint != edit->savepoint || item->value.extents ||
        !leaf_has_room(leaf, page_size, item))
        return false;
    uint32_t prefix_size = rmt_node_prefix_size(leaf);
    const uint8_t *suffix = (const uint8_t *)item->key.data + prefix_size;
    size_t size = item->key.size - prefix_size;
    uint32_t head = rmt_head(suffix, size), before = rmt_node_head_at(leaf, last);
    if (head < before || (head == before && rmt_node_tail_cmp(leaf, last, suffix, size) <= 0))
        return false;
    if (rmt_unlikely(tree->cursors != NULL))
        rmt_cursors_note(tree);
    note(rmt_private_of(leaf), last + 1);
    rmt_node_insert(leaf, page_size, last + 1, item);
    tree->count++;
    tree->last_at = ++tree->changes;
    return true;
}

/* The first leaf of a tree. */
static struct rmt_disk_node *root_new(struct rmt_edit *edit, struct rmt_tree *tree,
                                      const struct rmt_item *item)
{
    struct rmt_disk_node *leaf = rmt_edit_page(edit);
    *leaf = (struct rmt_disk_node){.kind = RMT_NODE_LEAF};
    rmt_node_insert(leaf, edit->pages->page_size, 0, item);
    note(rmt_private_of(leaf), 0);
    rmt_private_of(leaf)->values = item->value.extents;
    tree->root = rmt_private_ref(leaf);
    return leaf;
}

/* What flags have against a put where path ends. */
static int flags_check(const struct rmt_path *path, unsigned flags)
{
    if (flags & RMT_PUT_APPEND && path->depth > 0 && !is_last(path))
        return rmt_fail(-EINVAL, "the key is not above all others");
    if (flags & RMT_PUT_NOOVERWRITE && path->equal)
        return rmt_fail(-EEXIST, "the key is there already");
    return 0;
}

static int put_check(struct ramet_slice key, struct ramet_slice value)
{
    if (key.size < 1 || key.size > RAMET_KEY_MAX)
        return rmt_fail(-EINVAL, "a key has 1 to %u bytes, not %zu", RAMET_KEY_MAX, key.size);
    if (value.size > RAMET_VALUE_MAX)
        return rmt_fail(-EFBIG, "a value of %zu bytes is too large", value.size);
    return 0;
}

/* Everything about a put that can fail but for the new value's memory. value_size: if it has no
 * room in the leaf. */
static int put_prepare(struct rmt_edit *edit, const struct rmt_path *path, uint64_t value_size)
{
    uint32_t page_size = edit->pages->page_size, splits = 1;
    bool page = value_size == page_size; /* that is a private page */
    uint64_t value_pages = page ? 0 : rmt_value_pages(page_size, value_size);
    if (path->depth > 0) {
        const struct rmt_disk_node *leaf = path->steps[path->depth - 1].node;
        uint32_t halvings = rmt_node_halvings(leaf, page_size);
        if (path->steps[0].node->level + halvings >= RMT_LEVEL_MAX)
            return rmt_fail(-EFBIG, "the tree has %u levels and cannot grow", RMT_LEVEL_MAX + 1);
        splits = (1 + halvings) * (path->depth + 1 + halvings); /* each may make it higher */
    }
    return rmt_edit_ensure(edit, rmt_path_nr_fixed(edit, path) + splits + page, value_pages,
                           path->depth);
}

/* A private copy of a value that has no room in its leaf. */
static int value_new(struct rmt_edit *edit, struct ramet_slice value, bool lend,
                     struct rmt_item *item, struct rmt_disk_extents *record)
{
    struct rmt_private *copy;
    int rc = rmt_edit_value(edit, value, lend, &copy);
    if (rc == 0)
        item->value = rmt_extents_private(record, copy);
    return rc;
}

/* What an entry has in the file is gone. On failure some of it is on edit->gone. */
static int value_gone(struct rmt_edit *edit, const struct rmt_value *old, uint32_t runs)
{
    uint64_t seen = 0;
    int rc = rmt_value_gone(edit, old, &seen);
    return rc < 0 ? rc : rmt_edit_ensure(edit, 0, 0, runs);
}

/* Gives up what an entry had, makes the new value, and puts it in. value: if the item has no room
 * for it. */
static int put_at(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_path *path,
                  struct rmt_item *item, struct ramet_slice value, unsigned flags)
{
    struct rmt_disk_extents record;
    struct rmt_value old = {0};
    struct rmt_gone_mark mark = rmt_gone_mark(edit);
    int rc = 0;
    if (path->equal && !(flags & RMT_PUT_MOVE))
        old = rmt_node_value_at(path->steps[path->depth - 1].node, edit->pages->page_size,
                                path->steps[path->depth - 1].index);
    struct rmt_private *old_private = rmt_extents_value(&old);
    if (old.extents && (!old_private || old_private->whole))
        rc = value_gone(edit, &old, path->depth);
    if (rc == 0 && value.size)
        rc = value_new(edit, value, flags & RMT_PUT_LEND, item, &record);
    if (rc < 0) {
        rmt_gone_undo(edit, mark);
        return rc;
    }

    rmt_cursors_note(tree);
    rmt_path_touch(edit, tree, path);
    bool last = is_last(path);
    tree->last_leaf = NULL;
    if (path->depth == 0)
        tree->last_leaf = root_new(edit, tree, item);
    else {
        struct rmt_disk_node *leaf = leaf_put(edit, tree, path, item, last);
        if (last)
            tree->last_leaf = leaf;
    }
    if (old_private)
        rmt_edit_value_drop(edit, old_private);
    tree->count += !path->equal;
    tree->last_at = ++tree->changes;
    return 0;
}

int rmt_tree_put(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                 struct ramet_slice value, unsigned flags)
{
    bool in_leaf = rmt_node_inline(edit->pages->page_size, key.size, value.size);
    struct rmt_item item = {.key = key, .value = {value.data, (uint32_t)value.size, false}};
    struct rmt_path path;
    int rc = put_check(key, value);
    if (rc == 0 && in_leaf && append(edit, tree, &item))
        return 0;
    if (in_leaf)
        value.size = 0;
    if (rc < 0 || (rc = rmt_path_find(edit, tree, key, &path)) < 0 ||
        (rc = flags_check(&path, flags)) < 0 || (rc = put_prepare(edit, &path, value.size)) < 0)
        return rc;
    return put_at(edit, tree, &path, &item, value, flags);
}

int rmt_tree_put_page(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                      struct rmt_ref page, unsigned flags)
{
    const struct ramet_slice none = {NULL, 0};
    struct rmt_disk_ref record;
    struct rmt_item item = {.key = key, .value = {&record, RMT_PAGE_RECORD_SIZE, true}};
    struct rmt_path path;
    rmt_ref_store(&record, page);
    int rc = put_check(key, none);
    if (rc < 0 || (rc = rmt_path_find(edit, tree, key, &path)) < 0 ||
        (rc = flags_check(&path, flags)) < 0 || (rc = put_prepare(edit, &path, 0)) < 0 ||
        (rc = rmt_edit_refs_ensure(edit, 2)) < 0) /* one is given up, and one made */
        return rc;
    rc = put_at(edit, tree, &path, &item, none, flags);
    if (rc == 0 && rmt_ref_shared(page))
        rmt_edit_refs_note(edit, page.addr, RMT_REFS_MADE);
    return rc;
}

int rmt_tree_put_record(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                        const struct rmt_value *record)
{
    struct rmt_item item = {.key = key, .value = *record};
    struct rmt_path path;
    int rc = rmt_path_find(edit, tree, key, &path);
    if (rc == 0)
        rc = put_prepare(edit, &path, 0);
    if (rc < 0)
        return rc;
    rmt_assert(path.equal);
    rmt_cursors_note(tree);
    rmt_path_touch(edit, tree, &path);
    (void)leaf_put(edit, tree, &path, &item, false);
    tree->last_leaf = NULL;
    tree->changes++;
    return 0;
}
