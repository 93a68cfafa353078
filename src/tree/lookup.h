/* SPDX-License-Identifier: MIT */
/*
 * lookup.h - rmt_tree_get() and rmt_tree_get_many(), for any processor and for those with AVX2: a
 * quarter less time for a get where all is in the caches, a few percent less of a million entries.
 */
#ifndef RMT_LOOKUP_H
#define RMT_LOOKUP_H

#include "tree/tree.h"

int rmt_lookup_get_portable(struct rmt_pages *pages, const struct rmt_tree *tree,
                            struct ramet_slice key, struct rmt_value *out);
int rmt_lookup_get_avx2(struct rmt_pages *pages, const struct rmt_tree *tree,
                        struct ramet_slice key, struct rmt_value *out);
/* The key is a number: eight bytes, big-endian. */
int rmt_lookup_number_portable(struct rmt_pages *pages, const struct rmt_tree *tree,
                               uint64_t number, struct rmt_value *out);
int rmt_lookup_number_avx2(struct rmt_pages *pages, const struct rmt_tree *tree, uint64_t number,
                           struct rmt_value *out);
int rmt_lookup_many_portable(struct rmt_pages *pages, const struct rmt_tree *tree, size_t count,
                             const struct ramet_slice *keys, struct rmt_value *outs);
int rmt_lookup_many_avx2(struct rmt_pages *pages, const struct rmt_tree *tree, size_t count,
                         const struct ramet_slice *keys, struct rmt_value *outs);

#endif
