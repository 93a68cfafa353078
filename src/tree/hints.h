/* SPDX-License-Identifier: MIT */
/*
 * hints.h - where one reader found keys before: a hash table of places in leaves, so that a get of
 * a key that was got before goes there at once, and not down the tree.
 *
 * As the adaptive hash index of InnoDB; but one reader has it for itself, so nothing is locked, and
 * nobody keeps it in order. A hint is a leaf (address, birth) and a place in it. That pair is
 * written once in the life of a store, so what is said of its contents stays true. Whether it
 * belongs to the version that is read is seen from pages->leaves: of one branch, a leaf that was
 * read in a version before belongs to those that follow until the commit that replaced it, which
 * has noted that (rmt_leaf_gone()) before it was published. Then the bytes of the key are compared.
 * So a hint is right or is not taken: what it does not find is looked up in the tree.
 *
 * Of a dense leaf one hint is enough for 64 numbers.
 *
 * Memory: 16 bytes a hint, 32 for each key that is got, RMT_HINTS_MAX at most, and as much as the
 * keys that are got by and by ask for.
 */
#ifndef RMT_HINTS_H
#define RMT_HINTS_H

#include <pthread.h>

#include "tree/tree.h"

#define RMT_HINTS_MAX ((size_t)64 << 20) /* bytes */
#define RMT_HINTS_AT_ONCE 64u            /* keys; a bit each */

struct rmt_hints_bucket;

/* What it takes to follow a hint. */
struct rmt_hints_view {
    const uint8_t *base; /* of pages, as leaves */
    struct rmt_leaf *leaves;
    uint64_t id; /* of the version that is read */
};

struct rmt_hints {
    struct rmt_pages *pages;
    struct rmt_hints_view view;
    uint64_t line;  /* versions with one number follow one another; hints are of one line */
    uint64_t count; /* entries of the map */

    struct rmt_hints_bucket *buckets; /* NULL: none yet */
    void *memory;                     /* that they are in; what was never touched takes none */
    uint32_t shift;                   /* 64 - log2 of their number */
    uint32_t kinds;                   /* of hints that are there */

    /* Of the last gets: whether it is worth while. added: hints that took no other's place;
     * evicted: that took one which may have been of use. */
    uint32_t found, missed, added, evicted;
    uint32_t rest; /* gets that do without it */

    /* While a version is held any thread may read it, but only that one with the hints. */
    pthread_t owner;
    bool owned;
};

/* Hints for one who reads a map of a store in memory. (Of files, other processes replace leaves,
 * and do not tell.) */
void rmt_hints_init(struct rmt_hints *hints, struct rmt_pages *pages);
void rmt_hints_fini(struct rmt_hints *hints);

/* From here on it is for this version, the newest of its line that was read so far. */
static inline void rmt_hints_show(struct rmt_hints *hints, uint64_t line, uint64_t id,
                                  uint64_t count)
{
    hints->view.id = id;
    hints->count = count;
    if (rmt_unlikely(hints->line != line)) {
        rmt_hints_fini(hints);
        hints->line = line;
    }
}

/* This thread may use it: it has the handle, or the version that the handle holds. */
static inline bool rmt_hints_mine(const struct rmt_hints *hints)
{
    return !hints->owned || pthread_equal(hints->owner, pthread_self());
}

/* A value that stands in its leaf. False: there is no telling; look it up in the tree, and if it
 * is there, note it. */
bool rmt_hints_get(struct rmt_hints *hints, struct ramet_slice key, struct rmt_value *out);
bool rmt_hints_get_number(struct rmt_hints *hints, uint64_t number, struct rmt_value *out);
/* So many, RMT_HINTS_AT_ONCE at most: their cache misses overlap. Returns a bit for each that was
 * found, the first in the lowest. Keys have 1 to RAMET_KEY_MAX bytes. */
uint64_t rmt_hints_get_many(struct rmt_hints *hints, size_t count, const struct ramet_slice *keys,
                            struct ramet_slice *outs);

/* What the tree of that version has for a key. Never fails: without memory there is no hint. */
void rmt_hints_note(struct rmt_hints *hints, struct ramet_slice key, const struct rmt_value *value);
void rmt_hints_note_number(struct rmt_hints *hints, uint64_t number, const struct rmt_value *value);

#endif
