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

int LOOKUP(get)(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                struct rmt_value *out)
{
    const struct rmt_disk_node *node;
    struct rmt_ref ref = tree->root;
    uint32_t page_size = pages->page_size;
    if (rmt_unlikely(rmt_ref_none(ref) || key.size == 0))
        return RAMET_ENOTFOUND;
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
