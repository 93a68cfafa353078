/* SPDX-License-Identifier: MIT */
#include "tree/hints.h"

#include "tree/node.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WAYS 4u
#define BITS_MIN 6u      /* log2 of the number of buckets at first */
#define BLOCK_SHIFT 6u   /* numbers that one hint of a dense leaf is for, log2 */
#define WINDOW 1024u     /* misses after which it is judged whether this is worth while */
#define REST 65536u      /* gets that do without, if it was not */
#define KEYS_A_BUCKET 2u /* of a map that is read as a whole */

enum { KEYS = 1, BLOCKS = 2 }; /* kinds of hints */

/*
 * A hint has
 *   tag    a byte of the hash; even for a block, odd for a key; 0: there is no hint
 *   where  birth of the leaf (48 bits), bits 32 to 39 of the cell's offset in the store (8)
 *   what   head of the key (32), bits 0 to 31 of that offset (32)
 * Instead of the cell it is the value, in a fixed leaf, and the page, of a dense one. What lies
 * behind the first TiB, and in pages of other sizes than 4 KiB, has no hints.
 */
#define PAGE_SHIFT 12u
#define OFFSET_MAX (((uint64_t)1 << 40) - 1)
#define WHERE_SIZE 7u /* bytes */
#define WHERE_BITS ((UINT64_C(1) << 56) - 1)

struct rmt_hints_bucket {
    _Alignas(64) uint8_t tags[WAYS];
    uint8_t where[WAYS * WHERE_SIZE]; /* little-endian: they are read eight bytes at a time */
    uint64_t what[WAYS];
};
static_assert(sizeof(struct rmt_hints_bucket) == 64, "one cache line");

void rmt_hints_init(struct rmt_hints *hints, struct rmt_pages *pages)
{
    *hints = (struct rmt_hints){.pages = pages, .view = {pages->base, pages->leaves, 0}};
}

void rmt_hints_fini(struct rmt_hints *hints)
{
    free(hints->memory);
    hints->memory = NULL;
    hints->buckets = NULL;
    hints->kinds = 0;
    hints->found = hints->missed = hints->evicted = hints->added = hints->rest = 0;
}

/* ---- hashes ---------------------------------------------------------------------------------- */

static inline uint64_t mix(uint64_t number)
{
    unsigned __int128 p =
        (unsigned __int128)(number ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd1342543de82ef95);
    return (uint64_t)(p >> 64) ^ (uint64_t)p;
}

static inline uint64_t hash_block(uint64_t block)
{
    return mix(~block);
}

static inline uint64_t hash_key(struct ramet_slice key)
{
    return XXH3_64bits(key.data, key.size);
}

static inline uint8_t key_tag(uint64_t hash)
{
    return (hash & 0xfe) | 1;
}

static inline uint8_t block_tag(uint64_t hash)
{
    return (hash & 0xfc) | 2;
}

static inline struct rmt_hints_bucket *bucket_of(const struct rmt_hints *hints, uint64_t hash)
{
    return &hints->buckets[hash >> hints->shift];
}

/* ---- hints ----------------------------------------------------------------------------------- */

/* The highest bit of byte i if way i has the tag. Which way it is, is as chance has it: so without
 * a branch. (Exactly those: a sum of seven bits carries into no other byte.) */
static inline uint32_t tagged(const struct rmt_hints_bucket *bucket, uint8_t tag)
{
    const uint32_t low = UINT32_C(0x7f7f7f7f);
    uint32_t tags;
    memcpy(&tags, bucket->tags, sizeof(tags));
    tags ^= tag * UINT32_C(0x01010101);
    return ~(((tags & low) + low) | tags | low);
}

static inline uint32_t first_way(uint32_t ways)
{
    return (uint32_t)__builtin_ctz(ways) / 8;
}

static inline uint64_t where_at(const struct rmt_hints_bucket *bucket, uint32_t way)
{
    rmt_le64 v;
    memcpy(&v, (const uint8_t *)bucket + WAYS + (size_t)WHERE_SIZE * way, sizeof(v));
    return rmt_get64(v) & WHERE_BITS;
}

static inline uint64_t offset_of(uint64_t where, uint64_t what)
{
    return (uint32_t)what | where >> 48 << 32;
}

/* The leaf that a hint leads into; *out_word: what is noted of it. NULL: the version does not have
 * it. */
static inline struct rmt_leaf *leaf_of(struct rmt_hints_view v, uint64_t where, uint64_t offset,
                                       uint64_t *out_word)
{
    struct rmt_leaf *leaf = &v.leaves[offset >> PAGE_SHIFT];
    /* acquire: before the birth, which changes first when the page is used again */
    uint64_t gone = atomic_load_explicit(&leaf->gone, memory_order_acquire);
    uint64_t word = atomic_load_explicit(&leaf->birth, memory_order_acquire);
    /* From here on the page is one of the version, and nothing of it changes. */
    bool there = (word >> 16 == (where & RMT_ID_MAX)) & (gone > v.id);
    *out_word = word;
    return rmt_likely(there) ? leaf : NULL;
}

static inline bool number_in_block(struct rmt_hints_view v, uint64_t where, uint64_t what,
                                   uint64_t number, struct rmt_value *out)
{
    uint64_t word, offset = offset_of(where, what);
    struct rmt_leaf *leaf = leaf_of(v, where, offset, &word);
    if (rmt_unlikely(!leaf))
        return false;
    uint64_t shape = atomic_load_explicit(&leaf->shape, memory_order_relaxed); /* 0: not dense */
    uint64_t index = number - atomic_load_explicit(&leaf->first, memory_order_relaxed);
    if (rmt_unlikely(index >= RMT_DENSE_COUNT(shape)))
        return false;
    uint32_t size = RMT_DENSE_VALUE_SIZE(shape);
    size_t back = RMT_DENSE_PREFIX_SIZE(shape) + ((size_t)index + 1) * size;
    const uint8_t *end = v.base + (((offset >> PAGE_SHIFT) + 1) << PAGE_SHIFT);
    *out = (struct rmt_value){end - back, size, false};
    return true;
}

/* The value of a cell. False: its suffix is of another size. */
static inline __attribute__((always_inline)) bool value_there(struct rmt_hints_view v,
                                                              uint64_t offset, uint32_t width,
                                                              uint32_t suffix_size,
                                                              struct rmt_value *out)
{
    const uint8_t *cell = v.base + offset;
    if (rmt_unlikely(width)) { /* there are no cells, and heads are all there is of suffixes */
        const void *page = v.base + (offset >> PAGE_SHIFT << PAGE_SHIFT);
        *out = (struct rmt_value){cell, rmt_node_value_size(page), false};
        return width == suffix_size;
    }
    uint32_t sizes = rmt_load32(cell);
    *out = (struct rmt_value){cell + sizeof(struct rmt_disk_cell) + rmt_node_tail_size(suffix_size),
                              sizes >> 16, false};
    return (uint16_t)sizes == suffix_size;
}

static inline bool number_there(struct rmt_hints_view v, uint64_t where, uint64_t what,
                                uint64_t number, struct rmt_value *out)
{
    uint64_t word, offset = offset_of(where, what);
    struct rmt_leaf *leaf = leaf_of(v, where, offset, &word);
    if (rmt_unlikely(!leaf))
        return false;
    uint32_t n = RMT_LEAF_PREFIX_SIZE(word);
    if (rmt_unlikely(n >= 8)) /* of longer keys */
        return false;
    if (rmt_unlikely(!value_there(v, offset, RMT_LEAF_WIDTH(word), 8 - n, out)))
        return false;
    /* What neither prefix nor head has of it is the tail. */
    uint64_t rest = number ^ atomic_load_explicit(&leaf->first, memory_order_relaxed) ^
                    (what >> 32 << 32) >> (8 * n);
    uint32_t of_tail = n < 4 ? UINT32_MAX >> (8 * n) : 0;
    return rest == (__builtin_bswap32(rmt_load32((const uint8_t *)out->data - 4)) & of_tail);
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* Any key, of any leaf: of one that the version has. */
static __attribute__((noinline)) bool any_key_there(struct rmt_hints_view v,
                                                    const struct rmt_leaf *leaf, uint64_t where,
                                                    uint64_t what, struct ramet_slice key,
                                                    struct rmt_value *out)
{
    uint64_t offset = offset_of(where, what);
    uint64_t word = atomic_load_explicit(&leaf->birth, memory_order_relaxed);
    uint32_t n = RMT_LEAF_PREFIX_SIZE(word);
    if (key.size < n)
        return false;
    const uint8_t *bytes = key.data;
    const void *page = v.base + (offset >> PAGE_SHIFT << PAGE_SHIFT);
    uint32_t suffix_size = (uint32_t)key.size - n, tail = rmt_node_tail_size(suffix_size);
    return rmt_head(bytes + n, suffix_size) == what >> 32 &&
           value_there(v, offset, RMT_LEAF_WIDTH(word), suffix_size, out) &&
           memcmp(bytes, rmt_node_prefix(page, 1u << PAGE_SHIFT), n) == 0 &&
           memcmp(bytes + key.size - tail, (const uint8_t *)out->data - tail, tail) == 0;
}

static inline __attribute__((always_inline)) bool key_there(struct rmt_hints_view v, uint64_t where,
                                                            uint64_t what, struct ramet_slice key,
                                                            struct rmt_value *out)
{
    uint64_t word, offset = offset_of(where, what);
    const struct rmt_leaf *leaf = leaf_of(v, where, offset, &word);
    if (rmt_unlikely(!leaf))
        return false;
    uint32_t n = RMT_LEAF_PREFIX_SIZE(word), tail = (uint32_t)key.size - n - RMT_NODE_HEAD;
    if (rmt_unlikely(key.size < 12 || n > 4 || tail > 16 || RMT_LEAF_WIDTH(word)))
        return any_key_there(v, leaf, where, what, key, out);
    const uint8_t *bytes = key.data;
    uint64_t rest = rmt_get_be64(bytes) ^ atomic_load_explicit(&leaf->first, memory_order_relaxed) ^
                    (what >> 32 << 32) >> (8 * n);
    if (rmt_unlikely(rest >> (32 - 8 * n)) ||
        rmt_unlikely(!value_there(v, offset, 0, tail + RMT_NODE_HEAD, out)))
        return false;
    const uint8_t *end = out->data;
    if (rmt_likely(tail >= 8))
        return ((load64(bytes + key.size - tail) ^ load64(end - tail)) |
                (load64(bytes + key.size - 8) ^ load64(end - 8))) == 0;
    return ((rmt_load32(bytes + key.size - tail) ^ rmt_load32(end - tail)) |
            (rmt_load32(bytes + key.size - 4) ^ rmt_load32(end - 4))) == 0;
}

/* ---- getting --------------------------------------------------------------------------------- */

static inline bool works(const struct rmt_hints *hints)
{
    return hints->buckets && !hints->rest;
}

static bool resize(struct rmt_hints *hints, uint32_t bits)
{
    const size_t align = _Alignof(struct rmt_hints_bucket);
    void *memory = calloc(1, (sizeof(struct rmt_hints_bucket) << bits) + align);
    if (!memory)
        return false;
    rmt_hints_fini(hints);
    hints->memory = memory;
    hints->buckets = (void *)(((uintptr_t)memory + align - 1) & ~(uintptr_t)(align - 1));
    hints->shift = 64 - bits;
    return true;
}

/* More buckets, without a hint in them, if the map has keys for them: the share of the gets that
 * found a hint is about that of the keys that have one. */
static bool grow(struct rmt_hints *hints)
{
    uint32_t had = 64 - hints->shift, bits = had;
    uint64_t gets = hints->found + hints->missed, found = rmt_max(hints->found, 1);
    for (uint64_t share = 1; share * found < gets; share *= 2) {
        if ((uint64_t)KEYS_A_BUCKET << bits >= hints->count ||
            sizeof(struct rmt_hints_bucket) << bits >= RMT_HINTS_MAX)
            break;
        bits++;
    }
    return bits > had && resize(hints, bits);
}

/* By what came of the last gets: found little, and learnt little that is new? */
static void judge(struct rmt_hints *hints)
{
    bool crowded = hints->evicted > WINDOW / 2 && hints->found < 16 * WINDOW;
    if (!(crowded && grow(hints)) && hints->found < WINDOW / 8 && hints->added < WINDOW / 4)
        hints->rest = REST;
    hints->found = hints->missed = hints->evicted = hints->added = 0;
}

/* One more was not found. */
static __attribute__((noinline)) bool missed(struct rmt_hints *hints)
{
    if (hints->rest)
        hints->rest--;
    else if (++hints->missed == WINDOW)
        judge(hints);
    return false;
}

static inline bool find_block(const struct rmt_hints *hints, uint64_t number, struct rmt_value *out)
{
    uint64_t hash = hash_block(number >> BLOCK_SHIFT);
    const struct rmt_hints_bucket *bucket = bucket_of(hints, hash);
    for (uint32_t ways = tagged(bucket, block_tag(hash)); ways; ways &= ways - 1) {
        uint32_t i = first_way(ways);
        if (rmt_likely(
                number_in_block(hints->view, where_at(bucket, i), bucket->what[i], number, out)))
            return true;
    }
    return false;
}

static inline bool find_number(const struct rmt_hints *hints, uint64_t number,
                               struct rmt_value *out)
{
    uint64_t hash = mix(number);
    const struct rmt_hints_bucket *bucket = bucket_of(hints, hash);
    for (uint32_t ways = tagged(bucket, key_tag(hash)); ways; ways &= ways - 1) {
        uint32_t i = first_way(ways);
        if (rmt_likely(
                number_there(hints->view, where_at(bucket, i), bucket->what[i], number, out)))
            return true;
    }
    return false;
}

static inline bool find_key(const struct rmt_hints *hints, struct ramet_slice key, uint64_t hash,
                            struct rmt_value *out)
{
    const struct rmt_hints_bucket *bucket = bucket_of(hints, hash);
    for (uint32_t ways = tagged(bucket, key_tag(hash)); ways; ways &= ways - 1) {
        uint32_t i = first_way(ways);
        if (rmt_likely(key_there(hints->view, where_at(bucket, i), bucket->what[i], key, out)))
            return true;
    }
    return false;
}

bool rmt_hints_get_number(struct rmt_hints *hints, uint64_t number, struct rmt_value *out)
{
    if (rmt_likely(works(hints)) &&
        rmt_likely((hints->kinds & BLOCKS && find_block(hints, number, out)) ||
                   (hints->kinds & KEYS && find_number(hints, number, out)))) {
        hints->found++;
        return true;
    }
    return missed(hints);
}

bool rmt_hints_get(struct rmt_hints *hints, struct ramet_slice key, struct rmt_value *out)
{
    if (key.size == 8)
        return rmt_hints_get_number(hints, rmt_get_be64(key.data), out);
    if (rmt_likely(works(hints)) && rmt_likely(find_key(hints, key, hash_key(key), out))) {
        hints->found++;
        return true;
    }
    return missed(hints);
}

uint64_t rmt_hints_get_many(struct rmt_hints *hints, size_t count, const struct ramet_slice *keys,
                            struct ramet_slice *outs)
{
    uint64_t hashes[RMT_HINTS_AT_ONCE], wheres[RMT_HINTS_AT_ONCE], whats[RMT_HINTS_AT_ONCE];
    uint64_t found = 0;
    if (!works(hints)) {
        hints->rest -= rmt_min(hints->rest, (uint32_t)count);
        return 0;
    }
    const struct rmt_hints_view v = hints->view;
    /* All buckets, then what the first hint of each leads to, are under way at once. */
    for (size_t i = 0; i < count; i++) {
        hashes[i] = keys[i].size == 8 ? mix(rmt_get_be64(keys[i].data)) : hash_key(keys[i]);
        __builtin_prefetch(bucket_of(hints, hashes[i]));
    }
    for (size_t i = 0; i < count; i++) {
        const struct rmt_hints_bucket *bucket = bucket_of(hints, hashes[i]);
        uint32_t ways = tagged(bucket, key_tag(hashes[i]));
        uint32_t way = first_way(ways | UINT32_C(1) << 31);
        wheres[i] = ways ? where_at(bucket, way) : RMT_ID_MAX; /* which no commit has */
        whats[i] = bucket->what[way];
        uint64_t offset = offset_of(wheres[i], whats[i]);
        __builtin_prefetch(v.base + offset);
        __builtin_prefetch(v.base + offset + 31); /* where most end */
        __builtin_prefetch(&v.leaves[offset >> PAGE_SHIFT]);
    }
    for (size_t i = 0; i < count; i++) {
        struct rmt_value value;
        bool there;
        if (rmt_unlikely(keys[i].size == 8))
            there = rmt_hints_get_number(hints, rmt_get_be64(keys[i].data), &value);
        else if (rmt_likely(key_there(v, wheres[i], whats[i], keys[i], &value)) ||
                 find_key(hints, keys[i], hashes[i], &value))
            there = ++hints->found;
        else
            there = missed(hints);
        if (rmt_likely(there))
            outs[i] = rmt_slice(value.data, value.size);
        found |= (uint64_t)there << i;
    }
    return found;
}

/* ---- noting ---------------------------------------------------------------------------------- */

/* Puts a hint where there is none, or one that is of no use any more, or somewhere. */
static void put(struct rmt_hints *hints, uint64_t hash, uint8_t tag, uint64_t where, uint64_t what)
{
    uint64_t word;
    struct rmt_hints_bucket *bucket = bucket_of(hints, hash);
    uint32_t at = WAYS;
    bool outdated = false;
    for (uint32_t i = 0; i < WAYS; i++) {
        uint64_t was_where = where_at(bucket, i), was_what = bucket->what[i];
        if (bucket->tags[i] == 0) {
            at = i;
        } else if (bucket->tags[i] == tag) {
            if (was_where == where && was_what == what)
                return;
            if (leaf_of(hints->view, was_where, offset_of(was_where, was_what), &word))
                continue; /* another key, or the other leaf that a block lies in */
            outdated = true;
            at = i;
            break;
        }
    }
    if (at == WAYS)
        at = hints->evicted++ % WAYS;
    else
        hints->added += !outdated;
    rmt_le64 bytes = rmt_put64(where);
    bucket->tags[at] = tag;
    memcpy(&bucket->where[(size_t)WHERE_SIZE * at], &bytes, WHERE_SIZE);
    bucket->what[at] = what;
}

/* The leaf that a value stands in, and where there. False: there is no telling, or no use: it is
 * too far away, or a commit is said to have replaced the leaf (one that failed, or of another
 * branch). A value of 0 bytes can be at the end of its page, where another begins. */
static bool place_of(struct rmt_hints *hints, const struct rmt_value *value,
                     const struct rmt_disk_node **out_leaf, uint64_t *out_where, uint64_t *out_what)
{
    const struct rmt_pages *pages = hints->pages;
    uint64_t offset = (uint64_t)((const uint8_t *)value->data - pages->base);
    uint64_t addr = offset >> PAGE_SHIFT;
    if (value->extents || hints->rest || pages->page_shift != PAGE_SHIFT || offset > OFFSET_MAX ||
        !pages->leaves || addr >= pages->reserved || offset % (1 << PAGE_SHIFT) == 0)
        return false;
    const struct rmt_disk_node *leaf = rmt_page_at(pages, addr);
    uint64_t birth = rmt_get64(leaf->birth);
    uint64_t word = atomic_load_explicit(&pages->leaves[addr].birth, memory_order_relaxed);
    uint64_t gone = atomic_load_explicit(&pages->leaves[addr].gone, memory_order_relaxed);
    if (word >> 16 != birth || gone <= hints->view.id ||
        (!hints->buckets && !resize(hints, BITS_MIN)))
        return false;
    *out_leaf = leaf;
    *out_where = birth | offset >> 32 << 48;
    *out_what = (uint32_t)offset;
    return true;
}

static void note(struct rmt_hints *hints, const struct rmt_disk_node *leaf, struct ramet_slice key,
                 uint64_t hash, uint64_t where, uint64_t what)
{
    uint32_t n = rmt_node_prefix_size(leaf), suffix_size = (uint32_t)key.size - n;
    uint32_t head = rmt_head((const uint8_t *)key.data + n, suffix_size);
    if (rmt_node_general(leaf)) /* from the value back to its cell */
        what -= sizeof(struct rmt_disk_cell) + rmt_node_tail_size(suffix_size);
    put(hints, hash, key_tag(hash), where, what | (uint64_t)head << 32);
    hints->kinds |= KEYS;
}

/* All of a dense leaf: each of its numbers is as likely to be the next one. */
static void note_blocks(struct rmt_hints *hints, const struct rmt_disk_node *leaf, uint64_t where,
                        uint64_t what)
{
    const struct rmt_leaf *known = &hints->pages->leaves[rmt_get64(leaf->addr)];
    uint64_t shape = atomic_load_explicit(&known->shape, memory_order_relaxed);
    uint64_t first = atomic_load_explicit(&known->first, memory_order_relaxed);
    if ((uint32_t)shape != (uint32_t)where)
        return;
    uint64_t last = first + RMT_DENSE_COUNT(shape) - 1;
    for (uint64_t block = first >> BLOCK_SHIFT; block <= last >> BLOCK_SHIFT; block++) {
        uint64_t hash = hash_block(block);
        put(hints, hash, block_tag(hash), where, what & ~(uint64_t)((1 << PAGE_SHIFT) - 1));
    }
    hints->kinds |= BLOCKS;
}

void rmt_hints_note_number(struct rmt_hints *hints, uint64_t number, const struct rmt_value *value)
{
    const struct rmt_disk_node *leaf;
    uint64_t where, what;
    uint8_t bytes[8];
    if (!place_of(hints, value, &leaf, &where, &what))
        return;
    rmt_put_be64(bytes, number);
    if (rmt_node_dense(leaf))
        note_blocks(hints, leaf, where, what);
    else if (rmt_node_prefix_size(leaf) < sizeof(bytes))
        note(hints, leaf, rmt_slice(bytes, sizeof(bytes)), mix(number), where, what);
}

void rmt_hints_note(struct rmt_hints *hints, struct ramet_slice key, const struct rmt_value *value)
{
    const struct rmt_disk_node *leaf;
    uint64_t where, what;
    if (key.size == 8)
        rmt_hints_note_number(hints, rmt_get_be64(key.data), value);
    else if (place_of(hints, value, &leaf, &where, &what) && !rmt_node_dense(leaf))
        note(hints, leaf, key, hash_key(key), where, what);
}
