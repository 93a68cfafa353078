/* SPDX-License-Identifier: MIT */
/* lookup-avx2.c - lookup.c once more, for processors with AVX2. */
#include "tree/lookup.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define RMT_AVX2
#include "tree/lookup.c"

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
