/* SPDX-License-Identifier: MIT */
/*
 * node.h - one B+tree node in one page: its layout, search, insert, remove, check.
 *
 * Knows a page's bytes; not where pages come from (edit.h) nor what to do with a full one
 * (build.h).
 *
 *   leaf   | header | heads[n] u32 | slots[n] u16 |                     | free | cells | prefix |
 *   inner  | header | heads[n] u32 | slots[n] u16 | refs[n + 1] 16 B    | free | cells | prefix |
 *          0        32                                            fixed ^      ^ gap_end        ^
 *                                                                                      page_size
 *
 *   fixed  | header | heads[n] u32 |                                | free | values | prefix |
 *   dense  | header | head u32 |                                    | free | values | prefix |
 *
 * A leaf has n = count entries; an inner node has n separators and n + 1 children, and child i
 * holds the keys from separator i - 1 on and below separator i. The prefix begins all keys of the
 * node and is stored once. What follows it in a key is the key's suffix. The suffix's first four
 * bytes, filled up with zeros, are its head, a number that orders as the bytes do; heads stand side
 * by side, to be searched without touching the keys. What follows the head is the tail. So that
 *
 *   key   = prefix + suffix             suffix = first suffix_size bytes of (head + tail)
 *   order = heads, as numbers; if equal and both suffixes fit in the head: sizes; if one does: that
 *           one is less; else tails by memcmp, then sizes. This is memcmp order of the keys.
 *
 * Fixed and dense leaves have neither slots nor cells: all suffixes have one size, 1 to 4 bytes, so
 * that heads are all there is of them, and all values have one size and stand side by side, the
 * first just before the prefix, the last foremost. The low bits of kind say the first size, the
 * field cells_size the second. A dense leaf's suffixes are moreover consecutive numbers: it has the
 * head of the first alone, and where a key is is computed. What the other heads would take it
 * leaves free, so that it can become fixed in its place. The values can be page records too, of all
 * entries or of none: the kind says so. Which layout a leaf has is decided when it
 * is built (build.h). What does not suit its layout is not put in: see RMT_NODE_UNSUITED.
 *
 * A leaf's slot is the offset of a cell: struct rmt_disk_cell, tail, value. An inner node's slot is
 * the suffix's size if that is 4 or less (then there is no cell), else the offset of a cell: le16
 * suffix_size, tail.
 *
 * Invariants (fixed = 32 + 6n, of an inner node 32 + 6n + 16(n + 1);
 *             gap_end = page_size - cells_size):
 *   N1  kind is leaf, fixed or dense and level 0, or kind is inner and level 1 to RMT_LEVEL_MAX; a
 *       fixed or dense leaf's suffixes have 1 to 4 bytes; a leaf has an entry
 *   N2  fixed <= gap_end; prefix_size <= cells_size; every cell lies inside
 *       [gap_end, page_size - prefix_size) and no two overlap; of a fixed or dense leaf:
 *       32 + n * (4 + value size) + prefix_size <= page_size
 *   N3  keys strictly ascend; a head is zero behind its suffix's end; the last suffix of a dense
 *       leaf is a number of that size
 *   N4  the free bytes are zero, and cells and prefix leave no byte behind gap_end unused: equal
 *       contents can differ in the cells' order only, and no heap bytes leak to disk
 *   N5  a key has 1 to RAMET_KEY_MAX bytes, and an entry is no larger than rmt_node_entry_max():
 *       any node that overflows by one entry can be split in two
 *   N6  a value that is a page record has 16 bytes, a plausible reference, or is shared and has a
 *       number; one that is an extents record has 96 bytes, size 1 to RAMET_VALUE_MAX that the file
 *       can hold, a level of at most RMT_EXTENTS_LEVEL_MAX, 1 to 4 plausible runs of 1 to
 *       RMT_RUN_PAGES_MAX pages, then zeros; of level 0 the runs have just the pages that the size
 *       takes
 *   N7  references to children are plausible (rmt_ref_plausible), so none is private
 * rmt_node_check() refuses a page that breaks one; node-test.c has a case for each number. A
 * private node keeps them but for N4 (garbage waits to be packed), N6 (RMT_EXTENTS_PRIVATE, and
 * pages of birth 0) and N7 (private children).
 */
#ifndef RMT_NODE_H
#define RMT_NODE_H

#include "tree/tree.h"

#if defined(RMT_AVX2)
#include <immintrin.h>
#endif

#define RMT_NODE_HEADER ((uint32_t)sizeof(struct rmt_disk_node))
#define RMT_NODE_HEAD 4u /* bytes of a suffix that stand in its head */
#define RMT_EXTENTS_LEVEL_MAX 8

/* Largest entry: its part of heads and slots, its cell, and the prefix. Two and their split always
 * fit. */
static inline uint32_t rmt_node_entry_max(uint32_t page_size)
{
    return (page_size - RMT_NODE_HEADER) / 2 - 16;
}

/* True if a value stands in its leaf and not in extents. */
static inline bool rmt_node_inline(uint32_t page_size, size_t key_size, size_t value_size)
{
    return value_size <= page_size / 4 &&
           6 + sizeof(struct rmt_disk_cell) + key_size + value_size <=
               rmt_node_entry_max(page_size);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static inline const uint8_t *rmt_node_bytes(const struct rmt_disk_node *node)
{
    return (const uint8_t *)node;
}

static inline uint32_t rmt_node_count(const struct rmt_disk_node *node)
{
    return rmt_get16(node->count);
}

static inline uint32_t rmt_node_prefix_size(const struct rmt_disk_node *node)
{
    return rmt_get16(node->prefix_size);
}

static inline const uint8_t *rmt_node_prefix(const struct rmt_disk_node *node, uint32_t page_size)
{
    return rmt_node_bytes(node) + page_size - rmt_node_prefix_size(node);
}

/* True if it is an inner node or a leaf with slots and cells. */
static inline bool rmt_node_general(const struct rmt_disk_node *node)
{
    return node->kind < RMT_NODE_FIXED;
}

static inline bool rmt_node_dense(const struct rmt_disk_node *node)
{
    return (node->kind & RMT_NODE_DENSE) != 0;
}

/* Of a fixed or dense leaf: its values are page records. */
static inline bool rmt_node_pages(const struct rmt_disk_node *node)
{
    return (node->kind & RMT_NODE_PAGES) != 0;
}

/* Of a fixed or dense leaf: bytes of each suffix. */
static inline uint32_t rmt_node_width(const struct rmt_disk_node *node)
{
    return node->kind & RMT_NODE_SUFFIX_BITS;
}

/* Of a fixed or dense leaf: bytes of each value. */
static inline uint32_t rmt_node_value_size(const struct rmt_disk_node *node)
{
    return rmt_get16(node->cells_size);
}

/* Bytes of header, heads, slots and refs of a general node. */
static inline uint32_t rmt_node_fixed_size(bool inner, uint32_t count)
{
    return RMT_NODE_HEADER + 6 * count + (inner ? 16 * (count + 1) : 0);
}

/* Bytes before the free ones. */
static inline uint32_t rmt_node_front(const struct rmt_disk_node *node)
{
    if (rmt_likely(rmt_node_general(node)))
        return rmt_node_fixed_size(node->level > 0, rmt_node_count(node));
    return RMT_NODE_HEADER + 4 * (rmt_node_dense(node) ? 1 : rmt_node_count(node));
}

/* Bytes behind the free ones. */
static inline uint32_t rmt_node_back(const struct rmt_disk_node *node)
{
    if (rmt_likely(rmt_node_general(node)))
        return rmt_get16(node->cells_size);
    return rmt_node_prefix_size(node) + rmt_node_count(node) * rmt_node_value_size(node);
}

/* Free bytes, but for those that a dense leaf needs to become fixed. */
static inline uint32_t rmt_node_gap(const struct rmt_disk_node *node, uint32_t page_size)
{
    uint32_t front = rmt_node_front(node);
    if (rmt_node_dense(node))
        front = RMT_NODE_HEADER + 4 * rmt_node_count(node);
    return page_size - rmt_node_back(node) - front;
}

static inline uint32_t rmt_load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t rmt_load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* What a dense leaf's heads are apart. */
static inline uint32_t rmt_node_shift(const struct rmt_disk_node *node)
{
    return 32 - 8 * rmt_node_width(node);
}

static inline uint32_t rmt_node_head_at(const struct rmt_disk_node *node, uint32_t i)
{
    if (rmt_unlikely(rmt_node_dense(node)))
        return rmt_load32(rmt_node_bytes(node) + RMT_NODE_HEADER) + (i << rmt_node_shift(node));
    return rmt_load32(rmt_node_bytes(node) + RMT_NODE_HEADER + (size_t)4 * i);
}

/* Of a general node. */
static inline uint32_t rmt_node_slot_at(const struct rmt_disk_node *node, uint32_t i)
{
    return rmt_load16(rmt_node_bytes(node) + RMT_NODE_HEADER + (size_t)4 * rmt_node_count(node) +
                      (size_t)2 * i);
}

/* Of an inner node: its refs, one behind the other. */
static inline const struct rmt_disk_ref *rmt_node_refs(const struct rmt_disk_node *node)
{
    return (const struct rmt_disk_ref *)(rmt_node_bytes(node) + RMT_NODE_HEADER +
                                         (size_t)6 * rmt_node_count(node));
}

static inline struct rmt_ref rmt_node_ref_at(const struct rmt_disk_node *node, uint32_t i)
{
    return rmt_ref_load(rmt_node_refs(node) + i);
}

/* Of an inner node: the first child from i on that is private; behind the last if none is. */
static inline uint32_t rmt_node_private_from(const struct rmt_disk_node *node, uint32_t i)
{
    const struct rmt_disk_ref *refs = rmt_node_refs(node);
    uint32_t count = rmt_node_count(node);
    while (i <= count && rmt_get48(refs[i].birth))
        i++;
    return i;
}

/* Of a private inner node. */
static inline void rmt_node_ref_put(struct rmt_disk_node *node, uint32_t i, struct rmt_ref ref)
{
    rmt_ref_store(
        (uint8_t *)node + RMT_NODE_HEADER + (size_t)6 * rmt_node_count(node) + (size_t)16 * i, ref);
}

/* What a key has behind the prefix: its size, and the bytes behind its head. */
struct rmt_node_suffix {
    uint32_t size;
    const uint8_t *tail; /* NULL if there is no cell */
};

static inline struct rmt_node_suffix rmt_node_suffix_at(const struct rmt_disk_node *node,
                                                        uint32_t i)
{
    if (rmt_unlikely(!rmt_node_general(node))) {
        struct rmt_node_suffix fixed = {rmt_node_width(node), NULL};
        return fixed;
    }
    uint32_t slot = rmt_node_slot_at(node, i);
    const uint8_t *cell = rmt_node_bytes(node) + slot;
    if (node->level == 0) {
        struct rmt_node_suffix leaf = {rmt_load16(cell) & ~RMT_CELL_EXTENTS,
                                       cell + sizeof(struct rmt_disk_cell)};
        return leaf;
    }
    if (slot <= RMT_NODE_HEAD) {
        struct rmt_node_suffix none = {slot, NULL};
        return none;
    }
    struct rmt_node_suffix inner = {rmt_load16(cell), cell + 2};
    return inner;
}

static inline uint32_t rmt_node_tail_size(uint32_t suffix_size)
{
    return suffix_size > RMT_NODE_HEAD ? suffix_size - RMT_NODE_HEAD : 0;
}

/* Size of the cell of a suffix: of a leaf with its value. */
static inline uint32_t rmt_node_cell_size(bool inner, uint32_t suffix_size, uint32_t value_size)
{
    uint32_t tail = rmt_node_tail_size(suffix_size);
    if (inner)
        return tail ? 2 + tail : 0;
    return (uint32_t)sizeof(struct rmt_disk_cell) + tail + value_size;
}

/* The first bytes of a suffix as a number that orders as they do. */
static inline uint32_t rmt_head(const uint8_t *suffix, size_t size)
{
    if (rmt_likely(size >= 4))
        return __builtin_bswap32(rmt_load32(suffix));
    uint32_t head = 0;
    for (size_t i = 0; i < size; i++)
        head |= (uint32_t)suffix[i] << (24 - 8 * i);
    return head;
}

/* True if a run of raw data read from a file can be of a value written at or before birth. */
static inline bool rmt_run_plausible(const struct rmt_pages *pages, const struct rmt_disk_run *run,
                                     uint64_t birth)
{
    struct rmt_ref ref = rmt_ref_load(&run->ref);
    uint32_t nr = rmt_get32(run->pages);
    return rmt_ref_plausible(pages, ref, birth) && nr >= 1 && nr <= RMT_RUN_PAGES_MAX &&
           nr <= pages->reserved - ref.addr;
}

/* ---- search ---------------------------------------------------------------------------------- */

struct rmt_node_pos {
    uint32_t index; /* of the first key that is not below the one sought; count if all are */
    bool equal;     /* it is the one sought */
};

#if defined(RMT_AVX2)
/* How many of count heads, at most 32, are below head. Lanes behind the last are not read: the page
 * may end there. */
static inline uint32_t rmt_heads_below_avx2(const uint8_t *heads, uint32_t count, uint32_t head)
{
    const __m256i sign = _mm256_set1_epi32(INT32_MIN); /* there are signed comparisons alone */
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i sought = _mm256_xor_si256(_mm256_set1_epi32((int)head), sign);
    uint32_t below = 0;
    for (int i = 0; i < (int)count; i += 8) {
        __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count - i), lanes);
        __m256i some = _mm256_maskload_epi32((const int *)(const void *)heads + i, there);
        __m256i less = _mm256_cmpgt_epi32(sought, _mm256_xor_si256(some, sign));
        less = _mm256_and_si256(less, there);
        below +=
            (uint32_t)__builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(less)));
    }
    return below;
}
#endif

/* How many of count heads are below head: halved without a branch, and in code that is compiled for
 * AVX2 (lookup-avx2.c) the last 32 compared at once. */
static inline uint32_t rmt_node_heads_below(const uint8_t *heads, uint32_t count, uint32_t head)
{
    const uint8_t *base = heads;
    uint32_t n = count;
#if defined(RMT_AVX2)
    const uint32_t few = 32;
#else
    const uint32_t few = 1;
    if (rmt_unlikely(count == 0))
        return 0;
#endif
    while (n > few) {
        uint32_t half = n / 2;
        uint32_t below = rmt_load32(base + (size_t)4 * (half - 1)) < head;
        base += (size_t)4 * (half & (0u - below));
        n -= half;
    }
    uint32_t before = (uint32_t)((base - heads) / 4);
#if defined(RMT_AVX2)
    return before + rmt_heads_below_avx2(base, n, head);
#else
    return before + (rmt_load32(base) < head);
#endif
}

/*
 * The same of heads that may be evenly spaced, as the separators of consecutive numbers are: a
 * guess is then right, and touches fewer cache lines. gaps: they may be nearly so, and what was
 * guessed wrong is first sought close by; where heads are as chance has it, that does not pay.
 */
#define RMT_GUESS_NEAR 16u
static inline uint32_t rmt_node_heads_guess(const uint8_t *heads, uint32_t count, uint32_t head,
                                            bool gaps)
{
    if (rmt_unlikely(count < 8))
        return rmt_node_heads_below(heads, count, head);
    uint32_t first = rmt_load32(heads), last = rmt_load32(heads + (size_t)4 * (count - 1));
    if (head <= first)
        return 0;
    if (head > last)
        return count;
    uint32_t guess = (uint32_t)((uint64_t)(head - first) * (count - 1) / (last - first));
    const uint8_t *at = heads + (size_t)4 * guess, *near = at;
    if (rmt_load32(at) >= head) { /* not so of the first */
        if (rmt_load32(at - 4) < head)
            return guess;
        near -= (size_t)4 * RMT_GUESS_NEAR;
        if (gaps && guess >= RMT_GUESS_NEAR && rmt_load32(near) < head)
            return guess - RMT_GUESS_NEAR + rmt_node_heads_below(near, RMT_GUESS_NEAR, head);
    } else { /* so of the last */
        if (rmt_load32(at + 4) >= head)
            return guess + 1;
        near += (size_t)4 * RMT_GUESS_NEAR;
        if (gaps && guess + RMT_GUESS_NEAR < count && rmt_load32(near) >= head)
            return guess + rmt_node_heads_below(at, RMT_GUESS_NEAR, head);
    }
    return rmt_node_heads_below(heads, count, head);
}

/* Orders a suffix against key i, whose head is the same. */
static inline int rmt_node_tail_cmp(const struct rmt_disk_node *node, uint32_t i,
                                    const uint8_t *suffix, size_t size)
{
    struct rmt_node_suffix other = rmt_node_suffix_at(node, i);
    if (size <= RMT_NODE_HEAD || other.size <= RMT_NODE_HEAD)
        return (size > other.size) - (size < other.size);
    size_t n = (size < other.size ? size : other.size) - RMT_NODE_HEAD;
    int c = memcmp(suffix + RMT_NODE_HEAD, other.tail, n);
    return c ? c : (size > other.size) - (size < other.size);
}

/* The rest of rmt_node_find() where several heads from first on equal that of the suffix. */
struct rmt_node_pos rmt_node_find_tied(const struct rmt_disk_node *node, uint32_t first,
                                       const uint8_t *suffix, size_t size);

/* Orders the beginning of a key against the node's prefix, as memcmp does; a key that is shorter is
 * unlike it. n: of the prefix, not 0. */
static inline int rmt_node_prefix_cmp(const struct rmt_disk_node *node, uint32_t page_size,
                                      struct ramet_slice key, uint32_t n)
{
    const uint8_t *end = rmt_node_bytes(node) + page_size;
    if (rmt_likely(n <= 8 && key.size >= 8)) { /* the first eight bytes of both, as numbers */
        uint64_t a, b, unused = 64 - 8 * (uint64_t)n;
        memcpy(&a, key.data, 8);
        memcpy(&b, end - 8, 8);
        a = __builtin_bswap64(a) >> unused;
        b = __builtin_bswap64(b >> unused) >> unused;
        return (a > b) - (a < b);
    }
    int c = memcmp(key.data, end - n, key.size < n ? key.size : n);
    return c ? c : -(key.size < n);
}

/* The rest of rmt_node_find() in a dense leaf. */
static inline struct rmt_node_pos rmt_node_find_dense(const struct rmt_disk_node *node,
                                                      uint32_t head, size_t size)
{
    struct rmt_node_pos pos = {0, false};
    uint32_t first = rmt_load32(rmt_node_bytes(node) + RMT_NODE_HEADER);
    uint32_t width = rmt_node_width(node), count = rmt_node_count(node);
    if (head < first)
        return pos;
    pos.index = (head - first) >> rmt_node_shift(node);
    if (pos.index >= count) {
        pos.index = count;
        return pos;
    }
    pos.equal = size == width;
    pos.index += size > width;
    return pos;
}

/* The first key that is not below key, of 1 byte or more. leaf: node is one; known when compiled.
 */
static inline struct rmt_node_pos rmt_node_find_in(const struct rmt_disk_node *node,
                                                   uint32_t page_size, struct ramet_slice key,
                                                   bool leaf)
{
    struct rmt_node_pos pos = {0, false};
    const uint8_t *suffix = key.data;
    size_t size = key.size;
    uint32_t count = rmt_node_count(node), prefix_size = rmt_node_prefix_size(node);
    if (prefix_size) {
        int c = rmt_node_prefix_cmp(node, page_size, key, prefix_size);
        if (rmt_unlikely(c != 0)) {
            pos.index = c > 0 ? count : 0;
            return pos;
        }
        suffix += prefix_size;
        size -= prefix_size;
    }
    uint32_t head = rmt_head(suffix, size);
    if (leaf && rmt_node_dense(node))
        return rmt_node_find_dense(node, head, size);
    const uint8_t *heads = rmt_node_bytes(node) + RMT_NODE_HEADER;
    if (!leaf || !rmt_node_general(node))
        pos.index = rmt_node_heads_guess(heads, count, head, leaf);
    else
        pos.index = rmt_node_heads_below(heads, count, head);
    if (pos.index < count && rmt_node_head_at(node, pos.index) == head) {
        int c = rmt_node_tail_cmp(node, pos.index, suffix, size);
        pos.equal = c == 0;
        if (rmt_unlikely(c > 0))
            return rmt_node_find_tied(node, pos.index, suffix, size);
    }
    return pos;
}

/* key: 1 byte or more. Any node; of an inner one rmt_node_find_child() is faster. */
static inline struct rmt_node_pos rmt_node_find(const struct rmt_disk_node *node,
                                                uint32_t page_size, struct ramet_slice key)
{
    return rmt_node_find_in(node, page_size, key, true);
}

/* Index of the child of an inner node that key belongs to. */
static inline uint32_t rmt_node_find_child(const struct rmt_disk_node *node, uint32_t page_size,
                                           struct ramet_slice key)
{
    struct rmt_node_pos pos = rmt_node_find_in(node, page_size, key, false);
    return pos.index + pos.equal;
}

/* True if the node's prefix begins key. */
static inline bool rmt_node_has_prefix(const struct rmt_disk_node *node, uint32_t page_size,
                                       struct ramet_slice key)
{
    uint32_t n = rmt_node_prefix_size(node);
    return n == 0 || rmt_node_prefix_cmp(node, page_size, key, n) == 0;
}

/* Where value i of a fixed or dense leaf stands. */
static inline uint32_t rmt_node_value_off(const struct rmt_disk_node *node, uint32_t page_size,
                                          uint32_t i)
{
    return page_size - rmt_node_prefix_size(node) - (i + 1) * rmt_node_value_size(node);
}

/* Entry i of a leaf: its value. */
static inline struct rmt_value rmt_node_value_at(const struct rmt_disk_node *node,
                                                 uint32_t page_size, uint32_t i)
{
    if (!rmt_node_general(node)) {
        struct rmt_value fixed = {
            .data = rmt_node_bytes(node) + rmt_node_value_off(node, page_size, i),
            .size = rmt_node_value_size(node),
            .extents = rmt_node_pages(node),
        };
        return fixed;
    }
    const uint8_t *cell = rmt_node_bytes(node) + rmt_node_slot_at(node, i);
    uint32_t suffix_size = rmt_load16(cell);
    struct rmt_value value = {
        .data = cell + sizeof(struct rmt_disk_cell) +
                rmt_node_tail_size(suffix_size & ~RMT_CELL_EXTENTS),
        .size = rmt_load16(cell + 2),
        .extents = (suffix_size & RMT_CELL_EXTENTS) != 0,
    };
    return value;
}

static inline bool rmt_node_extents_at(const struct rmt_disk_node *node, uint32_t i)
{
    if (!rmt_node_general(node))
        return rmt_node_pages(node);
    return (rmt_load16(rmt_node_bytes(node) + rmt_node_slot_at(node, i)) & RMT_CELL_EXTENTS) != 0;
}

/* Key i (entry of a leaf, separator of an inner node), put together. Returns its size. buf may be
 * overwritten up to RMT_NODE_KEY_BUF bytes. */
#define RMT_NODE_KEY_BUF (RAMET_KEY_MAX + 32)
size_t rmt_node_key_at(const struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                       uint8_t *buf);

/* Compares key i of node a with key j of node b. */
int rmt_node_key_cmp(const struct rmt_disk_node *a, uint32_t i, const struct rmt_disk_node *b,
                     uint32_t j, uint32_t page_size);

/* ---- changing a private node ----------------------------------------------------------------- */

/* One entry of a leaf, or one separator with the child to its right. */
struct rmt_item {
    struct ramet_slice key;
    struct rmt_value value; /* leaf */
    struct rmt_ref ref;     /* inner */
};

#define RMT_NODE_UNSUITED UINT32_MAX /* more than any gap: the layout has no place for the item */
/* Bytes of the gap that an item takes, or RMT_NODE_UNSUITED. Its key has the node's prefix. */
uint32_t rmt_node_need(const struct rmt_disk_node *node, const struct rmt_item *item);
/* Makes a dense leaf fixed, if an item with its prefix then suits it and fits the gap. */
bool rmt_node_loosen(struct rmt_disk_node *node, uint32_t page_size, const struct rmt_item *item);
/* Makes item the one at index i. It has the prefix, fits the gap, and belongs there. */
void rmt_node_insert(struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                     const struct rmt_item *item);
/* Gives entry i of a leaf another value, if there is room for it and it suits the layout.
 * out_garbage: bytes of cells that nothing points to any more. */
bool rmt_node_replace(struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                      const struct rmt_value *value, uint32_t *out_garbage);
/* How often a leaf must be halved at most until what is left of it fits a general one. */
uint32_t rmt_node_halvings(const struct rmt_disk_node *node, uint32_t page_size);
/* Takes key i out, of an inner node with the child to its left or right; returns new garbage. */
uint32_t rmt_node_remove(struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                         bool left_child);
/* Takes keys [from, to) of a leaf out. Returns the new garbage. */
uint32_t rmt_node_remove_entries(struct rmt_disk_node *node, uint32_t page_size, uint32_t from,
                                 uint32_t to);

#endif
