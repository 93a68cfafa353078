/* SPDX-License-Identifier: MIT */
/* hash-avx2.c - the same checksum, for processors with AVX2: half the time for a page. */
#include "base/hash.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

/* All of xxhash.h is compiled once more, for another processor. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define XXH_VECTOR 2 /* XXH_AVX2 */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t rmt_hash_avx2(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
