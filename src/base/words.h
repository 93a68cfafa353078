/* SPDX-License-Identifier: MIT */
/*
 * words.h - bytes that one thread writes while others may read them: word by word, so that a reader
 * who is overtaken reads something, and no less than whole words; he finds out by a number that is
 * written before and after them, and throws away what he read.
 *
 * release, acquire: what was written before the words is seen by who sees one of them.
 */
#ifndef RMT_WORDS_H
#define RMT_WORDS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* to: aligned to words, as from below. size: a multiple of 8. */
static inline void rmt_words_store(void *to, const void *from, size_t size)
{
    _Atomic uint64_t *words = to;
    for (size_t i = 0; i < size / 8; i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + i * 8, 8);
        atomic_store_explicit(&words[i], word, memory_order_release);
    }
}

static inline void rmt_words_load(void *to, const void *from, size_t size)
{
    const _Atomic uint64_t *words = from;
    for (size_t i = 0; i < size / 8; i++) {
        uint64_t word = atomic_load_explicit(&words[i], memory_order_acquire);
        memcpy((uint8_t *)to + i * 8, &word, 8);
    }
}

#endif
