/* SPDX-License-Identifier: MIT */
/*
 * overlay.h - one entry of a tree that stands beside the tree, and not yet in it.
 *
 * A commit of one entry in a store in memory moves the head of a branch and changes nothing else of
 * the catalog (store/single.h). It publishes the catalog as it was, and the head's record with it.
 */
#ifndef RMT_OVERLAY_H
#define RMT_OVERLAY_H

#include "base/base.h"

struct rmt_overlay {
    uint64_t key_size; /* 0: there is none */
    uint64_t value_size;
    uint8_t key[16];
    uint8_t value[144]; /* instead of what the tree has for the key, which is as large */
};
static_assert(sizeof(struct rmt_overlay) % 8 == 0, "is copied by words");

#endif
