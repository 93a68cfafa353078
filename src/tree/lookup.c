/* SPDX-License-Identifier: MIT */
/* lookup.c - finding keys. Compiled once for any processor, and once by lookup-avx2.c. */
#include "tree/lookup.h"

#include "tree/edit.h"

#if defined(RMT_AVX2)
#define LOOKUP(name) rmt_lookup_##name##_avx2
#else
#define LOOKUP(name) rmt_lookup_##name##_portable
#endif

#define MANY 16u /* lookups that are under way at once */

/* ---- keys of eight bytes, as numbers: most are ---------------------------------------------- */

/* What such a key has behind a node's prefix, with its first byte as the highest. False: it does
 * not begin with it; then the key as a number, and the prefix with zeros behind it, differ as the
 * keys do. n: bytes of the prefix, fewer than 8. */
static inline bool number_suffix(const struct rmt_disk_node *node, uint32_t page_size, uint32_t n,
                                 uint64_t key, uint64_t *out)
{
    uint64_t last, unused = 64 - 8 * (uint64_t)n;
    if (n == 0) {
        *out = key;
        return true;
    }
    memcpy(&last, rmt_node_bytes(node) + page_size - 8, 8);
    uint64_t prefix = __builtin_bswap64(last >> unused);
    if (rmt_likely((key ^ prefix) >> unused == 0)) {
        *out = key << (8 * n);
        return true;
    }
    *out = prefix;
    return false;
}

/* As rmt_node_find_child(), and as rmt_node_find() of a leaf: where a number alone does not do. */
static __attribute__((cold)) uint32_t child_of_key(const struct rmt_disk_node *node,
                                                   uint32_t page_size, uint64_t number)
{
    uint8_t key[8];
    rmt_put_be64(key, number);
    return rmt_node_find_child(node, page_size, rmt_slice(key, sizeof(key)));
}

static __attribute__((noinline)) int value_of_key(const struct rmt_disk_node *leaf,
                                                  uint32_t page_size, uint64_t number,
                                                  struct rmt_value *out)
{
    uint8_t key[8];
    rmt_put_be64(key, number);
    struct rmt_node_pos pos = rmt_node_find(leaf, page_size, rmt_slice(key, sizeof(key)));
    if (!pos.equal)
        return RAMET_ENOTFOUND;
    *out = rmt_node_value_at(leaf, page_size, pos.index);
    return 0;
}

/* The head of separator index is that of the number: what is behind the heads decides. So it is
 * in a root that has one separator, and no prefix. suffix: of the number. */
static inline uint32_t tied_child(const struct rmt_disk_node *node, uint32_t page_size,
                                  uint32_t index, uint64_t number, uint64_t suffix)
{
    struct rmt_node_suffix other = rmt_node_suffix_at(node, index);
    uint32_t n = rmt_node_prefix_size(node), tail = rmt_node_tail_size(other.size);
    bool last = index + 1 == rmt_node_count(node) ||
                rmt_node_head_at(node, index + 1) != rmt_node_head_at(node, index);
    if (rmt_unlikely(!last || other.size + n > 8))
        return child_of_key(node, page_size, number);
    uint32_t behind = tail ? rmt_head(other.tail, tail) : 0;
    return index + ((uint32_t)suffix >= behind);
}

static inline uint32_t number_child(const struct rmt_disk_node *node, uint32_t page_size,
                                    uint64_t number)
{
    uint32_t count = rmt_node_count(node), n = rmt_node_prefix_size(node);
    const uint8_t *heads = rmt_node_bytes(node) + RMT_NODE_HEADER;
    uint64_t suffix;
    if (n >= 8) { /* as of a node with one separator */
        uint64_t prefix = rmt_get_be64(rmt_node_bytes(node) + page_size - n);
        if (rmt_likely(number != prefix))
            return number > prefix ? count : 0;
        return child_of_key(node, page_size, number);
    }
    if (rmt_unlikely(!number_suffix(node, page_size, n, number, &suffix)))
        return number > suffix ? count : 0;
    uint32_t head = (uint32_t)(suffix >> 32);
    uint32_t index = rmt_node_heads_guess(heads, count, head, false);
    /* One branch, as a rule not taken, and not a second one that is as chance has it: behind the
     * last head slots or references follow. */
    bool equal = rmt_load32(heads + (size_t)4 * index) == head;
    if (rmt_unlikely(equal & (index < count)))
        return tied_child(node, page_size, index, number, suffix);
    return index;
}

/* True if the leaf is one of numbers in a row: then rc is what there is to say. */
static inline bool dense_value(const struct rmt_pages *pages, struct rmt_ref leaf, uint64_t number,
                               struct rmt_value *out, int *rc)
{
    if (!pages->leaves || !leaf.birth || leaf.addr >= pages->reserved)
        return false;
    struct rmt_leaf *dense = &pages->leaves[leaf.addr];
    uint64_t shape = atomic_load_explicit(&dense->shape, memory_order_acquire);
    if (!shape || (uint32_t)shape != (uint32_t)leaf.birth)
        return false;
    /* acquire: before the shape is looked at again, which rmt_pages_forget() may clear meanwhile */
    uint64_t index = number - atomic_load_explicit(&dense->first, memory_order_acquire);
    if (rmt_unlikely(atomic_load_explicit(&dense->shape, memory_order_relaxed) != shape))
        return false;
    *rc = RAMET_ENOTFOUND;
    if (rmt_unlikely(index >= RMT_DENSE_COUNT(shape)))
        return true;
    uint32_t size = RMT_DENSE_VALUE_SIZE(shape);
    size_t back = RMT_DENSE_PREFIX_SIZE(shape) + ((size_t)index + 1) * size;
    const uint8_t *page = (const uint8_t *)rmt_page_at(pages, leaf.addr);
    *out = (struct rmt_value){page + pages->page_size - back, size, false};
    *rc = 0;
    return true;
}

int LOOKUP(number)(struct rmt_pages *pages, const struct rmt_tree *tree, uint64_t number,
                   struct rmt_value *out)
{
    const struct rmt_disk_node *node;
    uint32_t page_size = pages->page_size;
    if (rmt_unlikely(rmt_ref_none(tree->root)))
        return RAMET_ENOTFOUND;
    int rc;
    if (dense_value(pages, tree->root, number, out, &rc)) /* there is no more than a leaf */
        return rc;
    rc = rmt_root_open(pages, tree->root, &node);
    if (rmt_unlikely(rc < 0))
        return rc;
    for (uint32_t level = node->level; level > 0; level--) {
        struct rmt_ref ref = rmt_node_ref_at(node, number_child(node, page_size, number));
        if (level == 1 && dense_value(pages, ref, number, out, &rc))
            return rc;
        rmt_ref_prefetch(pages, ref);
        rc = rmt_child_open(pages, ref, level - 1, &node);
        if (rmt_unlikely(rc < 0))
            return rc;
    }
    return value_of_key(node, page_size, number, out);
}

/* ---- any keys -------------------------------------------------------------------------------- */

int LOOKUP(get)(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                struct rmt_value *out)
{
    const struct rmt_disk_node *node;
    struct rmt_ref ref = tree->root;
    uint32_t page_size = pages->page_size;
    if (rmt_unlikely(rmt_ref_none(ref) || key.size == 0))
        return RAMET_ENOTFOUND;
    if (key.size == 8)
        return LOOKUP(number)(pages, tree, rmt_get_be64(key.data), out);
    int rc = rmt_root_open(pages, ref, &node);
    if (rmt_unlikely(rc < 0))
        return rc;
    for (uint32_t level = node->level; level > 0; level--) {
        ref = rmt_node_ref_at(node, rmt_node_find_child(node, page_size, key));
        rmt_ref_prefetch(pages, ref);
        rc = rmt_child_open(pages, ref, level - 1, &node);
        if (rmt_unlikely(rc < 0))
            return rc;
    }
    struct rmt_node_pos pos = rmt_node_find(node, page_size, key);
    if (!pos.equal)
        return RAMET_ENOTFOUND;
    *out = rmt_node_value_at(node, page_size, pos.index);
    return 0;
}

/* At most MANY keys, all levels side by side. */
static int get_some(struct rmt_pages *pages, const struct rmt_tree *tree, size_t count,
                    const struct ramet_slice *keys, struct rmt_value *outs)
{
    const struct rmt_disk_node *root, *nodes[MANY];
    struct rmt_ref refs[MANY];
    uint32_t page_size = pages->page_size, index[MANY];
    int rc = rmt_root_open(pages, tree->root, &root);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        nodes[i] = root;
    for (uint32_t level = root->level; level > 0; level--) {
        for (size_t i = 0; i < count; i++) {
            if (rmt_likely(keys[i].size))
                index[i] = rmt_node_find_child(nodes[i], page_size, keys[i]);
            else
                index[i] = 0;
            refs[i] = rmt_node_ref_at(nodes[i], index[i]);
            if (refs[i].birth && refs[i].addr < pages->reserved)
                __builtin_prefetch((const void *)(uintptr_t)&pages->verified[refs[i].addr]);
            rmt_ref_prefetch(pages, refs[i]);
        }
        for (size_t i = 0; i < count; i++) {
            rc = rmt_child_open(pages, refs[i], level - 1, &nodes[i]);
            if (rmt_unlikely(rc < 0))
                return rc;
        }
    }

    /* The cells or values are one more miss each: ask for all before reading any. */
    for (size_t i = 0; i < count; i++) {
        struct ramet_slice key = keys[i];
        uint32_t n = rmt_node_count(nodes[i]), prefix_size = rmt_node_prefix_size(nodes[i]);
        if (key.size < prefix_size || key.size == 0)
            continue;
        if (!rmt_node_general(nodes[i])) {
            struct rmt_node_pos pos = rmt_node_find(nodes[i], page_size, key);
            if (pos.equal)
                __builtin_prefetch(rmt_node_value_at(nodes[i], page_size, pos.index).data);
            continue;
        }
        uint32_t head = rmt_head((const uint8_t *)key.data + prefix_size, key.size - prefix_size);
        uint32_t at = rmt_node_heads_below(rmt_node_bytes(nodes[i]) + RMT_NODE_HEADER, n, head);
        if (at < n)
            __builtin_prefetch(rmt_node_bytes(nodes[i]) + rmt_node_slot_at(nodes[i], at));
    }
    for (size_t i = 0; i < count; i++) {
        struct rmt_node_pos pos = {0, false};
        if (rmt_likely(keys[i].size))
            pos = rmt_node_find(nodes[i], page_size, keys[i]);
        outs[i] = (struct rmt_value){0};
        if (pos.equal)
            outs[i] = rmt_node_value_at(nodes[i], page_size, pos.index);
    }
    return 0;
}

int LOOKUP(many)(struct rmt_pages *pages, const struct rmt_tree *tree, size_t count,
                 const struct ramet_slice *keys, struct rmt_value *outs)
{
    if (rmt_ref_none(tree->root)) {
        for (size_t i = 0; i < count; i++)
            outs[i] = (struct rmt_value){0};
        return 0;
    }
    for (size_t done = 0; done < count; done += MANY) {
        int rc = get_some(pages, tree, rmt_min(MANY, count - done), keys + done, outs + done);
        if (rc < 0)
            return rc;
    }
    return 0;
}
