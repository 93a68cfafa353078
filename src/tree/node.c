/* SPDX-License-Identifier: MIT */
#include "tree/node.h"

struct rmt_node_pos rmt_node_find_tied(const struct rmt_disk_node *node, uint32_t first,
                                       const uint8_t *suffix, size_t size)
{
    /* first is below the suffix. The first of the keys that are not lies in (first, last]. */
    uint32_t head = rmt_node_head_at(node, first), last = rmt_node_count(node);
    if (head < UINT32_MAX)
        last = rmt_node_heads_below(rmt_node_bytes(node) + RMT_NODE_HEADER, last, head + 1);
    struct rmt_node_pos pos = {last, false};
    for (uint32_t low = first + 1; low < pos.index;) {
        uint32_t middle = low + (pos.index - low) / 2;
        int c = rmt_node_tail_cmp(node, middle, suffix, size);
        if (c > 0) {
            low = middle + 1;
        } else {
            pos.index = middle;
            pos.equal = c == 0;
        }
    }
    return pos;
}

size_t rmt_node_key_at(const struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                       uint8_t *buf)
{
    uint32_t prefix_size = rmt_node_prefix_size(node);
    struct rmt_node_suffix suffix = rmt_node_suffix_at(node, i);
    uint32_t head = __builtin_bswap32(rmt_node_head_at(node, i));
    memcpy(buf, rmt_node_bytes(node) + page_size - prefix_size, prefix_size);
    memcpy(buf + prefix_size, &head, RMT_NODE_HEAD);
    uint32_t tail = rmt_node_tail_size(suffix.size);
    if (tail)
        memcpy(buf + prefix_size + RMT_NODE_HEAD, suffix.tail, tail);
    return prefix_size + suffix.size;
}

/* The beginning of a key as far as it is known without its cell, filled up with zeros: with these
 * it orders as the key does, unless they are equal. */
#define LEAD_PREFIX_MAX 60u
static void key_lead(const struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                     uint8_t buf[LEAD_PREFIX_MAX + RMT_NODE_HEAD])
{
    uint32_t prefix_size = rmt_node_prefix_size(node);
    uint32_t head = __builtin_bswap32(rmt_node_head_at(node, i));
    memcpy(buf, rmt_node_prefix(node, page_size), prefix_size);
    memcpy(buf + prefix_size, &head, RMT_NODE_HEAD);
}

int rmt_node_key_cmp(const struct rmt_disk_node *a, uint32_t i, const struct rmt_disk_node *b,
                     uint32_t j, uint32_t page_size)
{
    uint32_t a_size = rmt_node_prefix_size(a), b_size = rmt_node_prefix_size(b);
    if (a_size <= LEAD_PREFIX_MAX && b_size <= LEAD_PREFIX_MAX) {
        uint8_t a_lead[LEAD_PREFIX_MAX + RMT_NODE_HEAD], b_lead[LEAD_PREFIX_MAX + RMT_NODE_HEAD];
        key_lead(a, page_size, i, a_lead);
        key_lead(b, page_size, j, b_lead);
        int c = memcmp(a_lead, b_lead, rmt_min(a_size, b_size) + RMT_NODE_HEAD);
        if (c)
            return c;
    }
    uint8_t a_buf[RMT_NODE_KEY_BUF], b_buf[RMT_NODE_KEY_BUF];
    struct ramet_slice x = {a_buf, rmt_node_key_at(a, page_size, i, a_buf)};
    struct ramet_slice y = {b_buf, rmt_node_key_at(b, page_size, j, b_buf)};
    return rmt_slice_cmp(x, y);
}

/* ---- for those who walk pages ---------------------------------------------------------------- */

uint32_t rmt_node_size(const struct rmt_disk_node *node)
{
    return rmt_node_count(node) + (node->level > 0);
}

struct rmt_ref rmt_node_child(const struct rmt_disk_node *node, uint32_t index)
{
    return rmt_node_ref_at(node, index);
}

void rmt_node_value(const struct rmt_disk_node *node, uint32_t page_size, uint32_t index,
                    struct rmt_value *out)
{
    *out = rmt_node_value_at(node, page_size, index);
}

size_t rmt_node_key(const struct rmt_disk_node *node, uint32_t page_size, uint32_t index,
                    uint8_t buf[RAMET_KEY_MAX])
{
    uint8_t key[RMT_NODE_KEY_BUF];
    size_t size = rmt_node_key_at(node, page_size, node->level > 0 ? index - 1 : index, key);
    memcpy(buf, key, size);
    return size;
}

/* ---- changing -------------------------------------------------------------------------------- */

/* True if an entry has the sizes that those of a fixed or dense leaf have. */
static bool sizes_suit(const struct rmt_disk_node *node, uint32_t suffix_size,
                       const struct rmt_value *value)
{
    return suffix_size == rmt_node_width(node) && value->size == rmt_node_value_size(node) &&
           value->extents == rmt_node_pages(node);
}

/* True if a fixed or dense leaf has a place for an item; in a dense one that is behind the last. */
static bool suits(const struct rmt_disk_node *node, uint32_t suffix_size, uint32_t head,
                  const struct rmt_value *value)
{
    if (!sizes_suit(node, suffix_size, value))
        return false;
    if (!rmt_node_dense(node))
        return true;
    uint64_t end = (uint64_t)rmt_node_head_at(node, 0) +
                   ((uint64_t)rmt_node_count(node) << rmt_node_shift(node));
    return head == end; /* which no head is if all numbers of that size are there */
}

uint32_t rmt_node_need(const struct rmt_disk_node *node, const struct rmt_item *item)
{
    bool inner = node->level > 0;
    uint32_t prefix_size = rmt_node_prefix_size(node);
    uint32_t suffix_size = (uint32_t)item->key.size - prefix_size;
    if (!rmt_node_general(node)) {
        uint32_t head = rmt_head((const uint8_t *)item->key.data + prefix_size, suffix_size);
        return suits(node, suffix_size, head, &item->value) ? 4 + item->value.size
                                                            : RMT_NODE_UNSUITED;
    }
    return 6 + (inner ? 16 : 0) + rmt_node_cell_size(inner, suffix_size, item->value.size);
}

uint32_t rmt_node_halvings(const struct rmt_disk_node *node, uint32_t page_size)
{
    if (rmt_likely(rmt_node_general(node)))
        return 0;
    uint32_t halvings = 0, count = rmt_node_count(node);
    uint32_t each = 6 + rmt_node_cell_size(false, RMT_NODE_HEAD, rmt_node_value_size(node));
    uint32_t room = page_size - RMT_NODE_HEADER - rmt_node_prefix_size(node);
    for (; count * each > room; count -= count / 2)
        halvings++;
    return halvings;
}

/* Puts a cell into the gap. Returns what belongs in its slot. */
static uint32_t cell_put(struct rmt_disk_node *node, uint32_t page_size, const uint8_t *tail,
                         uint32_t suffix_size, const struct rmt_value *value)
{
    bool inner = node->level > 0;
    uint32_t tail_size = rmt_node_tail_size(suffix_size);
    uint32_t size = rmt_node_cell_size(inner, suffix_size, inner ? 0 : value->size);
    if (size == 0)
        return suffix_size;

    uint32_t cells_size = rmt_get16(node->cells_size) + size;
    uint8_t *cell = (uint8_t *)node + page_size - cells_size;
    node->cells_size = rmt_put16((uint16_t)cells_size);
    uint16_t word = (uint16_t)(suffix_size | (!inner && value->extents ? RMT_CELL_EXTENTS : 0));
    memcpy(cell, &word, sizeof(word));
    uint8_t *at = cell + sizeof(word);
    if (!inner) {
        word = (uint16_t)value->size;
        memcpy(at, &word, sizeof(word));
        at += sizeof(word);
    }
    if (tail_size)
        memcpy(at, tail, tail_size);
    if (!inner && value->size)
        memcpy(at + tail_size, value->data, value->size);
    return page_size - cells_size;
}

/* As rmt_node_insert(), of a fixed leaf, or at the end of a dense one. */
static void even_insert(struct rmt_disk_node *node, uint32_t page_size, uint32_t i, uint32_t head,
                        const struct rmt_value *value)
{
    uint32_t count = rmt_node_count(node), size = value->size;
    uint8_t *heads = (uint8_t *)node + RMT_NODE_HEADER;
    uint8_t *to = (uint8_t *)node + rmt_node_value_off(node, page_size, i);
    uintptr_t from = (uintptr_t)value->data;
    if (i < count && size) {
        uint8_t *last = to - (size_t)size * (count - 1 - i);
        memmove(last - size, last, (size_t)size * (count - i));
        if (from >= (uintptr_t)last && from < (uintptr_t)to + size)
            from -= size; /* it is part of what has moved */
    }
    if (size)
        memcpy(to, (const void *)from, size);
    if (!rmt_node_dense(node)) {
        if (i < count)
            memmove(heads + (size_t)4 * (i + 1), heads + (size_t)4 * i, (size_t)4 * (count - i));
        memcpy(heads + (size_t)4 * i, &head, sizeof(head));
    }
    node->count = rmt_put16((uint16_t)(count + 1));
}

/* Makes a dense leaf fixed: gives it all its heads. */
static void spell(struct rmt_disk_node *node)
{
    uint32_t count = rmt_node_count(node), first = rmt_node_head_at(node, 0);
    uint32_t shift = rmt_node_shift(node);
    uint8_t *heads = (uint8_t *)node + RMT_NODE_HEADER;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t head = first + (i << shift);
        memcpy(heads + (size_t)4 * i, &head, sizeof(head));
    }
    node->kind = (uint8_t)(node->kind - RMT_NODE_DENSE + RMT_NODE_FIXED);
}

bool rmt_node_loosen(struct rmt_disk_node *node, uint32_t page_size, const struct rmt_item *item)
{
    uint32_t suffix_size = (uint32_t)item->key.size - rmt_node_prefix_size(node);
    if (!rmt_node_dense(node) || !sizes_suit(node, suffix_size, &item->value) ||
        4 + item->value.size > rmt_node_gap(node, page_size))
        return false;
    spell(node);
    return true;
}

/* Takes keys [from, to) of a fixed or dense leaf out. */
static void even_remove(struct rmt_disk_node *node, uint32_t page_size, uint32_t from, uint32_t to)
{
    uint32_t count = rmt_node_count(node), gone = to - from;
    if (rmt_node_dense(node) && from > 0 && to < count)
        spell(node);
    uint8_t *heads = (uint8_t *)node + RMT_NODE_HEADER;
    if (!rmt_node_dense(node)) {
        memmove(heads + (size_t)4 * from, heads + (size_t)4 * to, (size_t)4 * (count - to));
    } else if (from == 0 && to < count) {
        uint32_t head = rmt_node_head_at(node, to);
        memcpy(heads, &head, sizeof(head));
    }
    size_t size = rmt_node_value_size(node);
    if (to < count) {
        uint8_t *last = (uint8_t *)node + rmt_node_value_off(node, page_size, count - 1);
        memmove(last + size * gone, last, size * (count - to));
    }
    node->count = rmt_put16((uint16_t)(count - gone));
}

void rmt_node_insert(struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                     const struct rmt_item *item)
{
    uint32_t count = rmt_node_count(node), prefix_size = rmt_node_prefix_size(node);
    rmt_assert(i <= count);
    rmt_assert(rmt_node_need(node, item) <= rmt_node_gap(node, page_size));

    const uint8_t *suffix = (const uint8_t *)item->key.data + prefix_size;
    uint32_t suffix_size = (uint32_t)item->key.size - prefix_size;
    if (!rmt_node_general(node)) {
        even_insert(node, page_size, i, rmt_head(suffix, suffix_size), &item->value);
        return;
    }
    uint8_t *heads = (uint8_t *)node + RMT_NODE_HEADER;
    uint8_t *slots = heads + (size_t)4 * count, *refs = slots + (size_t)2 * count;
    if (node->level > 0) {
        memmove(refs + 6 + (size_t)16 * (i + 2), refs + (size_t)16 * (i + 1),
                (size_t)16 * (count - i));
        memmove(refs + 6, refs, (size_t)16 * (i + 1));
        rmt_ref_store(refs + 6 + (size_t)16 * (i + 1), item->ref);
    }
    if (i < count)
        memmove(slots + 4 + (size_t)2 * (i + 1), slots + (size_t)2 * i, (size_t)2 * (count - i));
    memmove(slots + 4, slots, (size_t)2 * i);
    if (i < count)
        memmove(heads + (size_t)4 * (i + 1), heads + (size_t)4 * i, (size_t)4 * (count - i));

    uint32_t head = rmt_head(suffix, suffix_size);
    memcpy(heads + (size_t)4 * i, &head, sizeof(head));
    node->count = rmt_put16((uint16_t)(count + 1));
    uint16_t slot =
        (uint16_t)cell_put(node, page_size, suffix + RMT_NODE_HEAD, suffix_size, &item->value);
    memcpy(slots + 4 + (size_t)2 * i, &slot, sizeof(slot));
}

bool rmt_node_replace(struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                      const struct rmt_value *value, uint32_t *out_garbage)
{
    if (!rmt_node_general(node)) {
        if (value->extents != rmt_node_pages(node) || value->size != rmt_node_value_size(node))
            return false;
        if (value->size) /* it may be part of this very page */
            memmove((uint8_t *)node + rmt_node_value_off(node, page_size, i), value->data,
                    value->size);
        *out_garbage = 0;
        return true;
    }
    uint32_t offset = rmt_node_slot_at(node, i);
    uint8_t *cell = (uint8_t *)node + offset;
    uint32_t suffix_size = rmt_load16(cell) & ~RMT_CELL_EXTENTS;
    uint32_t tail_size = rmt_node_tail_size(suffix_size), old_size = rmt_load16(cell + 2);
    if (value->size <= old_size) {
        uint16_t words[2] = {(uint16_t)(suffix_size | (value->extents ? RMT_CELL_EXTENTS : 0)),
                             (uint16_t)value->size};
        memcpy(cell, words, sizeof(words));
        if (value->size) /* it may be part of this very page */
            memmove(cell + sizeof(words) + tail_size, value->data, value->size);
        *out_garbage = old_size - value->size;
        return true;
    }

    if (rmt_node_cell_size(false, suffix_size, value->size) > rmt_node_gap(node, page_size))
        return false;
    uint16_t slot = (uint16_t)cell_put(node, page_size, cell + sizeof(struct rmt_disk_cell),
                                       suffix_size, value);
    memcpy((uint8_t *)node + RMT_NODE_HEADER + (size_t)4 * rmt_node_count(node) + (size_t)2 * i,
           &slot, sizeof(slot));
    *out_garbage = rmt_node_cell_size(false, suffix_size, old_size);
    return true;
}

/* The cell of key i is needed no more: back to the gap if it is beside it. Returns the garbage. */
static uint32_t cell_drop(struct rmt_disk_node *node, uint32_t page_size, uint32_t i)
{
    bool inner = node->level > 0;
    struct rmt_node_suffix suffix = rmt_node_suffix_at(node, i);
    uint32_t value_size = inner ? 0 : rmt_node_value_at(node, page_size, i).size;
    uint32_t size = rmt_node_cell_size(inner, suffix.size, value_size);
    uint32_t cells_size = rmt_get16(node->cells_size);
    if (size == 0 || rmt_node_slot_at(node, i) != page_size - cells_size)
        return size;
    node->cells_size = rmt_put16((uint16_t)(cells_size - size));
    return 0;
}

uint32_t rmt_node_remove(struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                         bool left_child)
{
    uint32_t count = rmt_node_count(node);
    rmt_assert(i < count);

    if (!rmt_node_general(node)) {
        even_remove(node, page_size, i, i + 1);
        return 0;
    }
    uint32_t garbage = cell_drop(node, page_size, i);
    uint8_t *heads = (uint8_t *)node + RMT_NODE_HEADER;
    uint8_t *slots = heads + (size_t)4 * count, *refs = slots + (size_t)2 * count;
    memmove(heads + (size_t)4 * i, heads + (size_t)4 * (i + 1), (size_t)4 * (count - i - 1));
    memmove(slots - 4, slots, (size_t)2 * i);
    memmove(slots - 4 + (size_t)2 * i, slots + (size_t)2 * (i + 1), (size_t)2 * (count - i - 1));
    if (node->level > 0) {
        uint32_t child = left_child ? i : i + 1;
        memmove(refs - 6, refs, (size_t)16 * child);
        memmove(refs - 6 + (size_t)16 * child, refs + (size_t)16 * (child + 1),
                (size_t)16 * (count - child));
    }
    node->count = rmt_put16((uint16_t)(count - 1));
    return garbage;
}

uint32_t rmt_node_remove_entries(struct rmt_disk_node *node, uint32_t page_size, uint32_t from,
                                 uint32_t to)
{
    uint32_t count = rmt_node_count(node), gone = to - from, garbage = 0;
    rmt_assert(from <= to);
    rmt_assert(to <= count);
    rmt_assert(node->level == 0);

    if (!rmt_node_general(node)) {
        even_remove(node, page_size, from, to);
        return 0;
    }
    for (uint32_t i = from; i < to; i++)
        garbage += cell_drop(node, page_size, i);
    uint8_t *heads = (uint8_t *)node + RMT_NODE_HEADER, *slots = heads + (size_t)4 * count;
    memmove(heads + (size_t)4 * from, heads + (size_t)4 * to, (size_t)4 * (count - to));
    memmove(slots - (size_t)4 * gone, slots, (size_t)2 * from);
    memmove(slots - (size_t)4 * gone + (size_t)2 * from, slots + (size_t)2 * to,
            (size_t)2 * (count - to));
    node->count = rmt_put16((uint16_t)(count - gone));
    return garbage;
}

/* ---- the gate -------------------------------------------------------------------------------- */

static int corrupt(const struct rmt_disk_node *node, const char *what)
{
    return rmt_fail(RAMET_ECORRUPT, "page %llu: %s", (unsigned long long)rmt_get64(node->addr),
                    what);
}

/* Marks [from, from + size) as used; size is not 0. False if part of it was. */
static bool cover(uint64_t *bits, uint32_t from, uint32_t size)
{
    uint32_t word = from / 64, last = (from + size - 1) / 64;
    uint64_t mask = UINT64_MAX << from % 64, clash = 0;
    for (; word < last; word++) {
        clash |= bits[word] & mask;
        bits[word] |= mask;
        mask = UINT64_MAX;
    }
    mask &= UINT64_MAX >> (63 - (from + size - 1) % 64);
    clash |= bits[last] & mask;
    bits[last] |= mask;
    return clash == 0;
}

/* N6 */
static bool extents_valid(const struct rmt_pages *pages, const struct rmt_value *value,
                          uint64_t birth)
{
    const struct rmt_disk_extents *extents = value->data;
    if (value->size == RMT_PAGE_RECORD_SIZE) {
        struct rmt_ref ref = rmt_ref_load(value->data);
        return rmt_ref_shared(ref) ? ref.addr != 0 && ref.sum == 0
                                   : rmt_ref_plausible(pages, ref, birth);
    }
    if (value->size != sizeof(*extents))
        return false;
    uint64_t size = rmt_get64(extents->size), nr_pages = 0;
    if (size < 1 || size > RAMET_VALUE_MAX ||
        rmt_div_up(size, pages->page_size) > pages->reserved ||
        extents->level > RMT_EXTENTS_LEVEL_MAX ||
        !rmt_all_zero(extents->zero, sizeof(extents->zero)))
        return false;
    uint32_t i = 0;
    for (; i < RMT_EXTENT_RUNS && !rmt_all_zero(&extents->runs[i], sizeof(extents->runs[i])); i++) {
        if (!rmt_run_plausible(pages, &extents->runs[i], birth))
            return false;
        nr_pages += rmt_get32(extents->runs[i].pages);
    }
    if (i == 0 ||
        !rmt_all_zero(&extents->runs[i], (RMT_EXTENT_RUNS - i) * sizeof(extents->runs[0])))
        return false;
    return extents->level > 0 || nr_pages == rmt_div_up(size, pages->page_size);
}

/* What rmt_node_check() knows while it goes over the keys. */
struct gate {
    const struct rmt_pages *pages;
    const struct rmt_disk_node *node;
    uint32_t cells_from, cells_to; /* where cells may be */
    uint32_t used;                 /* bytes of cells seen */
    uint64_t taken[RMT_PAGE_SIZE_MAX / 64];
};

/* N2, N5, N6 of one cell; afterwards its parts can be read. NULL, or what is wrong. */
static const char *cell_judge(struct gate *gate, uint32_t i)
{
    const struct rmt_disk_node *node = gate->node;
    bool inner = node->level > 0;
    uint32_t slot = rmt_node_slot_at(node, i), prefix_size = rmt_node_prefix_size(node);
    uint32_t suffix_size = slot, value_size = 0, size = 0;
    bool extents = false;
    if (!inner || slot > RMT_NODE_HEAD) {
        uint32_t fixed = inner ? 2 : (uint32_t)sizeof(struct rmt_disk_cell);
        if (slot < gate->cells_from || slot + fixed > gate->cells_to)
            return "a cell lies outside of its place";
        suffix_size = rmt_load16(rmt_node_bytes(node) + slot);
        if (!inner) {
            extents = (suffix_size & RMT_CELL_EXTENTS) != 0;
            suffix_size &= ~RMT_CELL_EXTENTS;
            value_size = rmt_load16(rmt_node_bytes(node) + slot + 2);
        } else if (suffix_size <= RMT_NODE_HEAD) {
            return "a separator has a cell that it does not need";
        }
        size = rmt_node_cell_size(inner, suffix_size, value_size);
        if (size > gate->cells_to - slot)
            return "a cell lies outside of its place";
        if (!cover(gate->taken, slot, size))
            return "two cells overlap";
    }
    gate->used += size;

    uint32_t key_size = prefix_size + suffix_size;
    if (key_size < 1 || key_size > RAMET_KEY_MAX)
        return "a key's size is out of bounds";
    if (!inner && 6 + sizeof(struct rmt_disk_cell) + key_size + value_size >
                      rmt_node_entry_max(gate->pages->page_size))
        return "an entry is too large for its leaf";
    uint32_t head = rmt_node_head_at(node, i);
    if (suffix_size < RMT_NODE_HEAD && (head & (UINT32_MAX >> 8 * suffix_size)) != 0)
        return "a head is not zero behind its suffix";
    if (extents) {
        struct rmt_value value = rmt_node_value_at(node, gate->pages->page_size, i);
        if (!extents_valid(gate->pages, &value, rmt_get64(node->birth)))
            return "a value's extents are not valid";
    }
    return NULL;
}

/* N3: key i is above the one before. */
static bool ascends(const struct rmt_disk_node *node, uint32_t i)
{
    uint32_t before = rmt_node_head_at(node, i - 1), head = rmt_node_head_at(node, i);
    if (before != head)
        return before < head;
    struct rmt_node_suffix a = rmt_node_suffix_at(node, i - 1), b = rmt_node_suffix_at(node, i);
    if (a.size <= RMT_NODE_HEAD || b.size <= RMT_NODE_HEAD)
        return a.size < b.size;
    int c = memcmp(a.tail, b.tail, (a.size < b.size ? a.size : b.size) - RMT_NODE_HEAD);
    return c ? c < 0 : a.size < b.size;
}

/* True if it is the kind of a fixed or dense leaf. */
static bool even_kind(uint8_t kind)
{
    uint32_t layout = kind & ~(RMT_NODE_SUFFIX_BITS | RMT_NODE_PAGES),
             width = kind & RMT_NODE_SUFFIX_BITS;
    return (layout == RMT_NODE_FIXED || layout == RMT_NODE_DENSE) && width >= 1 &&
           width <= RMT_NODE_HEAD;
}

/* N2 to N6 of a fixed or dense leaf that has entries. NULL, or what is wrong. */
static const char *even_judge(const struct rmt_pages *pages, const struct rmt_disk_node *node)
{
    uint32_t page_size = pages->page_size, count = rmt_node_count(node);
    uint32_t prefix_size = rmt_node_prefix_size(node);
    uint32_t key_size = prefix_size + rmt_node_width(node);
    uint32_t value_size = rmt_node_value_size(node);
    if (RMT_NODE_HEADER + (uint64_t)count * (4 + value_size) + prefix_size > page_size)
        return "its parts do not fit the page";
    if (key_size > RAMET_KEY_MAX)
        return "a key's size is out of bounds";
    if (6 + sizeof(struct rmt_disk_cell) + key_size + value_size > rmt_node_entry_max(page_size))
        return "an entry is too large for its leaf";
    uint32_t front = rmt_node_front(node);
    if (!rmt_all_zero(rmt_node_bytes(node) + front, page_size - rmt_node_back(node) - front))
        return "its free bytes are not zero";
    uint32_t heads = rmt_node_dense(node) ? 1 : count;
    for (uint32_t i = 0; i < heads; i++) {
        uint32_t head = rmt_node_head_at(node, i);
        if ((head & ((UINT32_C(1) << rmt_node_shift(node)) - 1)) != 0)
            return "a head is not zero behind its suffix";
        if (i > 0 && rmt_node_head_at(node, i - 1) >= head)
            return "its keys do not ascend";
    }
    if (rmt_node_dense(node) &&
        rmt_node_head_at(node, 0) + ((uint64_t)(count - 1) << rmt_node_shift(node)) > UINT32_MAX)
        return "its last key is no number of that size";
    if (!rmt_node_pages(node))
        return NULL;
    if (value_size != RMT_PAGE_RECORD_SIZE)
        return "its values are no page records";
    for (uint32_t i = 0; i < count; i++) {
        struct rmt_value value = rmt_node_value_at(node, page_size, i);
        if (!extents_valid(pages, &value, rmt_get64(node->birth)))
            return "a value's page is not valid";
    }
    return NULL;
}

/* The first eight bytes of the prefix, as a number, and zeros. */
static uint64_t prefix_begin(const struct rmt_disk_node *node, uint32_t page_size)
{
    uint32_t n = rmt_node_prefix_size(node);
    uint64_t last;
    if (n == 0)
        return 0;
    if (n >= 8)
        return rmt_get_be64(rmt_node_prefix(node, page_size));
    memcpy(&last, rmt_node_bytes(node) + page_size - 8, 8);
    return __builtin_bswap64(last >> (64 - 8 * n));
}

/* The numbers of a dense leaf: what it says of its shape; 0: it has others. */
static uint64_t dense_shape(const struct rmt_disk_node *node, uint64_t birth)
{
    uint32_t n = rmt_node_prefix_size(node), count = rmt_node_count(node);
    if (rmt_node_general(node) || !rmt_node_dense(node) || rmt_node_pages(node) ||
        rmt_node_width(node) + n != 8)
        return 0;
    return (uint64_t)count << 32 | (uint64_t)rmt_node_value_size(node) << 47 |
           (uint64_t)(n - 4) << 62 | (birth & UINT32_MAX);
}

/* Of a store in memory: so that who knows of a leaf can tell whether a version has it. */
static void leaf_known(struct rmt_leaf *leaf, struct rmt_ref ref, const struct rmt_disk_node *node)
{
    uint32_t width = rmt_node_general(node) ? 0 : rmt_node_width(node);
    uint64_t word = RMT_LEAF_WORD(ref.birth, width, rmt_node_prefix_size(node));
    atomic_store_explicit(&leaf->birth, word, memory_order_release);
}

void rmt_node_known(struct rmt_pages *pages, struct rmt_ref ref, const struct rmt_disk_node *node)
{
    if (!pages->leaves)
        return;
    struct rmt_leaf *leaf = &pages->leaves[ref.addr];
    uint64_t shape = dense_shape(node, ref.birth);
    if (!pages->summed) {
        atomic_store_explicit(&leaf->birth, 0, memory_order_relaxed);
        atomic_store_explicit(&leaf->gone, UINT64_MAX, memory_order_release);
    }
    /* What was there 2^32 commits ago is not to be taken for it. */
    uint64_t was = atomic_load_explicit(&leaf->shape, memory_order_relaxed);
    if (!shape && (uint32_t)was == (uint32_t)ref.birth)
        atomic_store_explicit(&leaf->shape, 0, memory_order_relaxed);
    if (node->level > 0 || (pages->summed && !shape))
        return;
    uint64_t first = prefix_begin(node, pages->page_size);
    if (shape)
        first |= (uint64_t)rmt_node_head_at(node, 0) << 32 >> (8 * rmt_node_prefix_size(node));
    atomic_store_explicit(&leaf->first, first, memory_order_relaxed);
    if (shape)
        atomic_store_explicit(&leaf->shape, shape, memory_order_release);
    if (!pages->summed)
        leaf_known(leaf, ref, node);
}

int rmt_node_check(const struct rmt_pages *pages, const struct rmt_disk_node *node)
{
    uint32_t page_size = pages->page_size, count = rmt_node_count(node);
    bool inner = node->kind == RMT_NODE_INNER, even = even_kind(node->kind);
    if (!inner && !even && node->kind != RMT_NODE_LEAF)
        return corrupt(node, "not a node of a tree");
    if (inner ? node->level < 1 || node->level > RMT_LEVEL_MAX : node->level != 0)
        return corrupt(node, "its level does not fit its kind");
    if (!inner && count == 0)
        return corrupt(node, "a leaf without entries");
    if (even) {
        const char *wrong = even_judge(pages, node);
        return wrong ? corrupt(node, wrong) : 0;
    }

    uint32_t cells_size = rmt_get16(node->cells_size), prefix_size = rmt_node_prefix_size(node);
    uint32_t fixed = rmt_node_fixed_size(inner, count);
    if (fixed > page_size || cells_size > page_size - fixed || prefix_size > cells_size)
        return corrupt(node, "its parts do not fit the page");
    if (prefix_size > RAMET_KEY_MAX || (count == 0 && cells_size != 0))
        return corrupt(node, "its prefix is too large");
    if (!rmt_all_zero(rmt_node_bytes(node) + fixed, page_size - cells_size - fixed))
        return corrupt(node, "its free bytes are not zero");

    struct gate gate; /* .taken is large, and needed only as far as the page goes */
    gate.pages = pages;
    gate.node = node;
    gate.cells_from = page_size - cells_size;
    gate.cells_to = page_size - prefix_size;
    gate.used = 0;
    memset(gate.taken, 0, page_size / 8);
    for (uint32_t i = 0; i < count; i++) {
        const char *wrong = cell_judge(&gate, i);
        if (wrong)
            return corrupt(node, wrong);
        if (i > 0 && !ascends(node, i))
            return corrupt(node, "its keys do not ascend");
    }
    if (gate.used != cells_size - prefix_size)
        return corrupt(node, "bytes between its cells are not used");
    for (uint32_t i = 0; inner && i <= count; i++) {
        if (!rmt_ref_plausible(pages, rmt_node_ref_at(node, i), rmt_get64(node->birth)))
            return corrupt(node, "a reference to a child is not valid");
    }
    return 0;
}
