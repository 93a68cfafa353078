/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t rmt_hash_portable(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

uint64_t rmt_hash(const void *data, size_t len, uint64_t seed)
{
#if defined(__x86_64__)
    if (len > 240 && __builtin_cpu_supports("avx2"))
        return rmt_hash_avx2(data, len, seed);
#endif
    return rmt_hash_portable(data, len, seed);
}
