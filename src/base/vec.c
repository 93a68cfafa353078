/* SPDX-License-Identifier: MIT */
#include "base/vec.h"

#include "base/base.h"

bool rmt_vec_grow(void **items, size_t *capacity, size_t want, size_t elem_size)
{
    size_t cap = *capacity ? *capacity : 16, bytes;
    while (cap < want) {
        if (!rmt_mul(cap, (size_t)2, &cap))
            return false;
    }
    if (!rmt_mul(cap, elem_size, &bytes))
        return false;
    void *grown = realloc(*items, bytes);
    if (!grown)
        return false;
    *items = grown;
    *capacity = cap;
    return true;
}
