/* SPDX-License-Identifier: MIT */
/*
 * layout.h - where the pages of a blob lie in the file.
 *
 * Locks: what is remembered is guarded by store->claims_lock.
 */
#ifndef RMT_LAYOUT_H
#define RMT_LAYOUT_H

#include "blob/pieces.h"
#include "store/txn.h"

/* Pages [from, end) of a blob that are no holes, run by run, in order. */
int rmt_layout_read(const struct ramet_map *blob, uint64_t from, uint64_t end,
                    struct rmt_pieces *out);
/* All pages up to an end. What was found is remembered, by the root of the blob's tree, for the
 * next who asks for the same: else each would look at all references. */
int rmt_layout_get(const struct ramet_map *blob, uint64_t end, struct rmt_pieces *out);

#endif
