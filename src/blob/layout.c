/* SPDX-License-Identifier: MIT */
#include "blob/layout.h"

#include "blob/blob.h"
#include "tree/edit.h"

/* ---- finding it ------------------------------------------------------------------------------ */

static int push(void *ctx, uint64_t page, const struct rmt_value *value)
{
    struct rmt_piece piece = {page, 1, rmt_ref_load(value->data).addr};
    return rmt_pieces_push(ctx, piece) ? 0 : rmt_fail(-ENOMEM, "where a blob lies");
}

int rmt_layout_read(const struct ramet_map *blob, uint64_t from, uint64_t end,
                    struct rmt_pieces *out)
{
    return rmt_blob_walk(blob, from, end, push, out);
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
