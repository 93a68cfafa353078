/* SPDX-License-Identifier: MIT */
#include "blob/layout.h"

#include "blob/blob.h"
#include "tree/edit.h"

/* ---- finding it ------------------------------------------------------------------------------ */

/* Where the pages of the rest of a leaf lie, up to a page. 1: there may be more. */
static int lay_out_leaf(const struct ramet_map *blob, const struct rmt_disk_node *leaf,
                        uint32_t index, uint64_t end, struct rmt_pieces *out)
{
    uint32_t page_size = blob->txn->store->pages.page_size;
    uint8_t key[RMT_NODE_KEY_BUF];
    struct rmt_piece piece = {.count = 1};
    for (uint32_t i = index; i < rmt_node_count(leaf); i++) {
        if (i > index && rmt_node_dense(leaf))
            piece.page++;
        else if (rmt_node_key_at(leaf, page_size, i, key) != 8)
            continue;
        else
            piece.page = rmt_get_be64(key);
        struct rmt_value value = rmt_node_value_at(leaf, page_size, i);
        int rc = rmt_value_find(&blob->txn->store->pages, blob->tree.shares, &value);
        if (rc == 0)
            rc = rmt_blob_page_check(blob, &value, piece.page);
        if (rc < 0 || piece.page >= end)
            return rc;
        piece.addr = rmt_ref_load(value.data).addr;
        if (!rmt_pieces_push(out, piece))
            return rmt_fail(-ENOMEM, "a region of blob '%s'", blob->name + 1);
    }
    return 1;
}

int rmt_layout_read(const struct ramet_map *blob, uint64_t from, uint64_t end,
                    struct rmt_pieces *out)
{
    uint8_t first[8];
    struct rmt_cursor cursor;
    rmt_put_be64(first, from);
    rmt_cursor_init(&cursor, &blob->txn->store->pages, (struct rmt_tree *)(uintptr_t)&blob->tree);
    int rc = rmt_cursor_seek(&cursor, rmt_slice(first, sizeof(first)));
    while (rc == 0) {
        const struct rmt_disk_node *leaf;
        uint32_t index;
        rc = rmt_cursor_leaf(&cursor, &leaf, &index);
        if (rc == 0)
            rc = lay_out_leaf(blob, leaf, index, end, out);
        if (rc > 0)
            rc = rmt_cursor_next(&cursor);
        else
            break;
    }
    rmt_cursor_fini(&cursor);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

/* ---- remembering it -------------------------------------------------------------------------- */

struct layout {
    struct rmt_ref root;
    uint64_t end, used;
    size_t count;
    struct rmt_piece items[];
};

#define LAYOUT_MAX 4096u /* pieces that are kept */

/* With claims_lock. */
static struct layout *find_layout(const struct ramet_store *store, struct rmt_ref root,
                                  uint64_t end)
{
    for (size_t i = 0; i < RMT_LAYOUTS; i++) {
        struct layout *layout = store->layouts[i];
        if (layout && rmt_ref_equal(layout->root, root) && layout->end == end)
            return layout;
    }
    return NULL;
}

static bool recall(struct ramet_store *store, struct rmt_ref root, uint64_t end,
                   struct rmt_pieces *out)
{
    rmt_lock_scope(&store->claims_lock);
    struct layout *layout = find_layout(store, root, end);
    if (!layout || !rmt_vec_reserve(out, layout->count))
        return false;
    layout->used = ++store->layouts_used;
    out->count = layout->count;
    if (out->count)
        memcpy(out->items, layout->items, out->count * sizeof(out->items[0]));
    return true;
}

/* In the place of the one that was not used for longest. Without memory it is not kept. */
static void remember(struct ramet_store *store, struct rmt_ref root, uint64_t end,
                     const struct rmt_pieces *pieces)
{
    if (pieces->count > LAYOUT_MAX)
        return;
    size_t bytes = pieces->count * sizeof(pieces->items[0]), oldest = 0;
    struct layout *layout = malloc(sizeof(*layout) + bytes);
    if (!layout)
        return;
    *layout = (struct layout){.root = root, .end = end, .count = pieces->count};
    if (bytes)
        memcpy(layout->items, pieces->items, bytes);
    rmt_lock_scope(&store->claims_lock);
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < RMT_LAYOUTS; i++) {
        const struct layout *old = store->layouts[i];
        if (!old || old->used < least) {
            least = old ? old->used : 0;
            oldest = i;
        }
        if (!old)
            break;
    }
    free(store->layouts[oldest]);
    layout->used = ++store->layouts_used;
    store->layouts[oldest] = layout;
}

int rmt_layout_get(const struct ramet_map *blob, uint64_t end, struct rmt_pieces *out)
{
    struct ramet_store *store = blob->txn->store;
    struct rmt_ref root = blob->tree.root;
    if (recall(store, root, end, out))
        return 0;
    int rc = rmt_layout_read(blob, 0, end, out);
    if (rc == 0)
        remember(store, root, end, out);
    return rc;
}
