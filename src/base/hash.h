/* SPDX-License-Identifier: MIT */
/* hash.h - the one checksum of the format: XXH3, 64 bits (libxxhash). */
#ifndef RMT_HASH_H
#define RMT_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64 of len bytes, seeded. */
uint64_t rmt_hash(const void *data, size_t len, uint64_t seed);
/* The two that it chooses from: for any processor, and for those with AVX2. */
uint64_t rmt_hash_portable(const void *data, size_t len, uint64_t seed);
uint64_t rmt_hash_avx2(const void *data, size_t len, uint64_t seed);

#endif
