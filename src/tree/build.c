/* SPDX-License-Identifier: MIT */
#include "tree/build.h"

struct rmt_seq rmt_seq_all(const struct rmt_disk_node *node, uint32_t page_size)
{
    struct rmt_seq seq = {
        .page_size = page_size,
        .inner = node->level > 0,
        .a = node,
        .a_count = rmt_node_count(node),
    };
    return seq;
}

struct rmt_seq rmt_seq_insert(const struct rmt_disk_node *node, uint32_t page_size, uint32_t i,
                              const struct rmt_item *item, bool replace)
{
    struct rmt_seq seq = rmt_seq_all(node, page_size);
    seq.item = item;
    seq.b = node;
    seq.b_from = i + replace;
    seq.b_count = seq.a_count - seq.b_from;
    seq.a_count = i;
    return seq;
}

struct rmt_seq rmt_seq_merge(const struct rmt_disk_node *a, const struct rmt_item *item,
                             const struct rmt_disk_node *b, uint32_t page_size)
{
    struct rmt_seq seq = rmt_seq_all(a, page_size);
    seq.item = item;
    seq.b = b;
    seq.b_count = rmt_node_count(b);
    return seq;
}

/* One key of a sequence: of a node, or the item. */
struct pick {
    const struct rmt_disk_node *node; /* NULL: the item */
    uint32_t index;
};

static inline struct pick pick_at(const struct rmt_seq *seq, uint32_t i)
{
    struct pick pick = {seq->a, i};
    if (i >= seq->a_count) {
        i -= seq->a_count;
        if (seq->item && i == 0) {
            pick.node = NULL;
        } else {
            pick.node = seq->b;
            pick.index = seq->b_from + i - (seq->item != NULL);
        }
    }
    return pick;
}

struct ramet_slice rmt_seq_key(const struct rmt_seq *seq, uint32_t i, uint8_t *buf)
{
    struct pick pick = pick_at(seq, i);
    if (!pick.node)
        return seq->item->key;
    return rmt_slice(buf, rmt_node_key_at(pick.node, seq->page_size, pick.index, buf));
}

struct rmt_ref rmt_seq_ref(const struct rmt_seq *seq, uint32_t i)
{
    if (i == 0)
        return rmt_node_ref_at(seq->a, 0);
    struct pick pick = pick_at(seq, i - 1);
    return pick.node ? rmt_node_ref_at(pick.node, pick.index + 1) : seq->item->ref;
}

static inline uint32_t pick_key_size(const struct rmt_seq *seq, struct pick pick)
{
    if (!pick.node)
        return (uint32_t)seq->item->key.size;
    return rmt_node_prefix_size(pick.node) + rmt_node_suffix_at(pick.node, pick.index).size;
}

/* Of a leaf. */
static struct rmt_value pick_value(const struct rmt_seq *seq, struct pick pick)
{
    if (!pick.node)
        return seq->item->value;
    return rmt_node_value_at(pick.node, seq->page_size, pick.index);
}

/* Of a leaf. */
static inline uint32_t pick_value_size(const struct rmt_seq *seq, struct pick pick)
{
    if (!pick.node)
        return seq->item->value.size;
    if (!rmt_node_general(pick.node))
        return rmt_node_value_size(pick.node);
    return rmt_load16(rmt_node_bytes(pick.node) + rmt_node_slot_at(pick.node, pick.index) + 2);
}

/* Of a leaf: the value is a record of where its bytes are. */
static inline bool pick_extents(const struct rmt_seq *seq, struct pick pick)
{
    return pick.node ? rmt_node_extents_at(pick.node, pick.index) : seq->item->value.extents;
}

/* The head of a key under a prefix. */
static uint32_t pick_head(const struct rmt_seq *seq, struct pick pick, uint32_t prefix_size)
{
    uint8_t buf[RMT_NODE_KEY_BUF];
    if (pick.node && rmt_node_prefix_size(pick.node) == prefix_size)
        return rmt_node_head_at(pick.node, pick.index);
    struct ramet_slice key = {buf, 0};
    if (pick.node)
        key.size = rmt_node_key_at(pick.node, seq->page_size, pick.index, buf);
    else
        key = seq->item->key;
    return rmt_head((const uint8_t *)key.data + prefix_size, key.size - prefix_size);
}

/* Bytes of a key and what belongs to it in a general node, under a prefix. */
static uint32_t pick_bytes(const struct rmt_seq *seq, struct pick pick, uint32_t prefix_size)
{
    uint32_t key_size = pick_key_size(seq, pick);
    uint32_t value_size = seq->inner ? 0 : pick_value_size(seq, pick);
    return 6 + (seq->inner ? 16 : 0) +
           rmt_node_cell_size(seq->inner, key_size - prefix_size, value_size);
}

/* ---- layouts --------------------------------------------------------------------------------- */

/* True if entries [from, to) of a leaf have keys and values of these sizes, and no extents, or just
 * pages. */
static bool entries_even(const struct rmt_disk_node *leaf, uint32_t from, uint32_t to,
                         uint32_t key_size, uint32_t value_size, bool pages)
{
    uint32_t suffix_size = key_size - rmt_node_prefix_size(leaf);
    if (!rmt_node_general(leaf))
        return rmt_node_width(leaf) == suffix_size && rmt_node_value_size(leaf) == value_size &&
               rmt_node_pages(leaf) == pages;
    for (uint32_t i = from; i < to; i++) {
        const uint8_t *cell = rmt_node_bytes(leaf) + rmt_node_slot_at(leaf, i);
        if (rmt_load16(cell) != (suffix_size | (pages ? RMT_CELL_EXTENTS : 0)) ||
            rmt_load16(cell + 2) != value_size)
            return false;
    }
    return true;
}

/* The kind of node that keys [first, first + count) make under a prefix. */
static uint8_t kind_of(const struct rmt_seq *seq, uint32_t first, uint32_t count,
                       uint32_t prefix_size)
{
    if (seq->inner)
        return RMT_NODE_INNER;
    if (count == 0 || (count == 1 && rmt_node_general(seq->a)))
        return RMT_NODE_LEAF;
    struct pick low = pick_at(seq, first), high = pick_at(seq, first + count - 1);
    uint32_t value_size = pick_value_size(seq, low);
    uint32_t key_size = pick_key_size(seq, low), width = key_size - prefix_size;
    bool pages = pick_extents(seq, low);
    if (width < 1 || width > RMT_NODE_HEAD || (pages && value_size != RMT_PAGE_RECORD_SIZE))
        return RMT_NODE_LEAF;

    uint32_t end = first + count, b_first = seq->a_count + (seq->item != NULL);
    if (first < seq->a_count &&
        !entries_even(seq->a, first, rmt_min(end, seq->a_count), key_size, value_size, pages))
        return RMT_NODE_LEAF;
    if (seq->item && first <= seq->a_count && end > seq->a_count &&
        (seq->item->key.size != key_size || seq->item->value.size != value_size ||
         seq->item->value.extents != pages))
        return RMT_NODE_LEAF;
    if (end > b_first) {
        uint32_t from = first > b_first ? first - b_first : 0;
        if (!entries_even(seq->b, seq->b_from + from, seq->b_from + end - b_first, key_size,
                          value_size, pages))
            return RMT_NODE_LEAF;
    }
    /* They ascend: if the last is as far from the first as there are others, none is left out. */
    uint32_t across = pick_head(seq, high, prefix_size) - pick_head(seq, low, prefix_size);
    bool dense = across >> (32 - 8 * width) == count - 1;
    return (uint8_t)((dense ? RMT_NODE_DENSE : RMT_NODE_FIXED) | (pages ? RMT_NODE_PAGES : 0) |
                     width);
}

uint8_t rmt_leaf_kind(const struct rmt_disk_node *leaf, uint32_t page_size)
{
    struct rmt_seq seq = rmt_seq_all(leaf, page_size);
    return kind_of(&seq, 0, seq.a_count, rmt_node_prefix_size(leaf));
}

static bool fits_with(const struct rmt_seq *seq, uint32_t first, uint32_t count,
                      const struct rmt_plan *plan)
{
    uint32_t bytes = rmt_node_fixed_size(seq->inner, 0) + plan->prefix_size;
    if (plan->kind >= RMT_NODE_FIXED)
        return bytes + count * (4 + pick_value_size(seq, pick_at(seq, first))) <= seq->page_size;
    for (uint32_t i = first; i < first + count && bytes <= seq->page_size; i++)
        bytes += pick_bytes(seq, pick_at(seq, i), plan->prefix_size);
    return bytes <= seq->page_size;
}

static uint32_t common_size(struct ramet_slice a, struct ramet_slice b)
{
    const uint8_t *p = a.data, *q = b.data;
    size_t n = a.size < b.size ? a.size : b.size, i = 0;
    while (i < n && p[i] == q[i])
        i++;
    return (uint32_t)i;
}

bool rmt_seq_fits(const struct rmt_seq *seq, uint32_t first, uint32_t count, struct rmt_plan *out)
{
    uint8_t low_buf[RMT_NODE_KEY_BUF], high_buf[RMT_NODE_KEY_BUF];
    struct rmt_plan plan = {0};
    uint32_t fallback = 0;
    if (count > 0) {
        /* All keys between share what the outer ones share. A lone key is expected to get company
         * like that of the sequence it comes from. */
        struct ramet_slice low = rmt_seq_key(seq, first, low_buf);
        struct ramet_slice old = {rmt_node_prefix(seq->a, seq->page_size),
                                  rmt_node_prefix_size(seq->a)};
        fallback = common_size(low, old);
        plan.prefix_size = fallback;
        uint32_t other = count > 1 ? first + count - 1 : first ? 0 : rmt_seq_count(seq) - 1;
        if (other != first && (count > 1 || rmt_node_general(seq->a))) {
            struct ramet_slice high = rmt_seq_key(seq, other, high_buf);
            plan.prefix_size = common_size(low, high);
        }
    }
    plan.kind = kind_of(seq, first, count, plan.prefix_size);
    /* Short suffixes can make a longer prefix cost a few bytes more than it saves. */
    bool fits = fits_with(seq, first, count, &plan);
    if (!fits && fallback < plan.prefix_size) {
        plan.prefix_size = fallback;
        plan.kind = kind_of(seq, first, count, fallback);
        fits = fits_with(seq, first, count, &plan);
    }
    if (fits)
        *out = plan;
    return fits;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Where the next cell goes: packed from the prefix down. */
struct output {
    uint8_t *page;
    uint32_t end;
};

/* Writes key i of the page from a whole key. */
static void put_whole(const struct rmt_seq *seq, struct output *out, uint32_t prefix_size,
                      struct ramet_slice key, const struct rmt_value *value, uint8_t *head_at,
                      uint8_t *slot_at)
{
    const uint8_t *suffix = (const uint8_t *)key.data + prefix_size;
    uint32_t suffix_size = (uint32_t)key.size - prefix_size, head = rmt_head(suffix, suffix_size);
    uint32_t tail_size = rmt_node_tail_size(suffix_size);
    memcpy(head_at, &head, sizeof(head));

    uint32_t size = rmt_node_cell_size(seq->inner, suffix_size, value->size);
    uint16_t slot = (uint16_t)suffix_size;
    if (size) {
        out->end -= size;
        slot = (uint16_t)out->end;
        uint8_t *at = out->page + out->end;
        uint16_t word =
            (uint16_t)(suffix_size | (!seq->inner && value->extents ? RMT_CELL_EXTENTS : 0));
        memcpy(at, &word, sizeof(word));
        at += sizeof(word);
        if (!seq->inner) {
            word = (uint16_t)value->size;
            memcpy(at, &word, sizeof(word));
            at += sizeof(word);
        }
        if (tail_size)
            memcpy(at, suffix + RMT_NODE_HEAD, tail_size);
        if (value->size)
            memcpy(at + tail_size, value->data, value->size);
    }
    memcpy(slot_at, &slot, sizeof(slot));
}

/* The same from a node with a prefix of the same size: head and cell are copied as they are. */
static void put_as_is(const struct rmt_seq *seq, struct output *out, struct pick pick,
                      uint8_t *head_at, uint8_t *slot_at)
{
    uint32_t head = rmt_node_head_at(pick.node, pick.index);
    uint32_t from = rmt_node_slot_at(pick.node, pick.index);
    uint32_t suffix_size = rmt_node_suffix_at(pick.node, pick.index).size;
    uint32_t value_size = seq->inner ? 0 : pick_value_size(seq, pick);
    uint32_t size = rmt_node_cell_size(seq->inner, suffix_size, value_size);
    uint16_t slot = (uint16_t)suffix_size;
    if (size) {
        out->end -= size;
        slot = (uint16_t)out->end;
        memcpy(out->page + out->end, rmt_node_bytes(pick.node) + from, size);
    }
    memcpy(head_at, &head, sizeof(head));
    memcpy(slot_at, &slot, sizeof(slot));
}

/* Writes heads, slots and cells of a general node. */
static void general_build(const struct rmt_seq *seq, uint32_t first, uint32_t count,
                          uint32_t prefix_size, struct output *out)
{
    static const struct rmt_value no_value;
    uint8_t *heads = out->page + RMT_NODE_HEADER, *slots = heads + (size_t)4 * count;
    uint8_t buf[RMT_NODE_KEY_BUF];
    for (uint32_t i = 0; i < count; i++) {
        struct pick pick = pick_at(seq, first + i);
        uint8_t *head_at = heads + (size_t)4 * i, *slot_at = slots + (size_t)2 * i;
        if (pick.node && rmt_node_general(pick.node) &&
            rmt_node_prefix_size(pick.node) == prefix_size) {
            put_as_is(seq, out, pick, head_at, slot_at);
        } else {
            struct ramet_slice key = rmt_seq_key(seq, first + i, buf);
            struct rmt_value value = seq->inner ? no_value : pick_value(seq, pick);
            put_whole(seq, out, prefix_size, key, &value, head_at, slot_at);
        }
    }
}

/* Writes heads and values of a fixed or dense leaf, whose header is there. */
static void even_build(const struct rmt_seq *seq, uint32_t first, uint32_t count,
                       struct rmt_disk_node *page)
{
    uint32_t prefix_size = rmt_node_prefix_size(page), size = rmt_node_value_size(page);
    uint8_t *heads = (uint8_t *)page + RMT_NODE_HEADER;
    uint8_t *to = (uint8_t *)page + seq->page_size - prefix_size;
    for (uint32_t i = 0; i < (rmt_node_dense(page) ? 1 : count); i++) {
        uint32_t head = pick_head(seq, pick_at(seq, first + i), prefix_size);
        memcpy(heads + (size_t)4 * i, &head, sizeof(head));
    }
    for (uint32_t i = 0; i < count && size; i++) {
        to -= size;
        memcpy(to, pick_value(seq, pick_at(seq, first + i)).data, size);
    }
}

void rmt_seq_build(const struct rmt_seq *seq, uint32_t first, uint32_t count,
                   const struct rmt_plan *plan, struct rmt_disk_node *page)
{
    struct output out = {(uint8_t *)page, seq->page_size - plan->prefix_size};
    struct rmt_disk_node header = {
        .count = rmt_put16((uint16_t)count),
        .kind = plan->kind,
        .level = seq->a->level,
        .prefix_size = rmt_put16((uint16_t)plan->prefix_size),
    };
    uint8_t buf[RMT_NODE_KEY_BUF];
    if (plan->prefix_size)
        memcpy(out.page + out.end, rmt_seq_key(seq, first, buf).data, plan->prefix_size);
    if (plan->kind >= RMT_NODE_FIXED) {
        header.cells_size = rmt_put16((uint16_t)pick_value_size(seq, pick_at(seq, first)));
        memcpy(page, &header, sizeof(header));
        even_build(seq, first, count, page);
        return;
    }
    general_build(seq, first, count, plan->prefix_size, &out);
    uint8_t *refs = out.page + RMT_NODE_HEADER + (size_t)6 * count;
    for (uint32_t i = 0; seq->inner && i <= count; i++)
        rmt_ref_store(refs + (size_t)16 * i, rmt_seq_ref(seq, first + i));
    header.cells_size = rmt_put16((uint16_t)(seq->page_size - out.end));
    memcpy(page, &header, sizeof(header));
}

uint32_t rmt_seq_split(const struct rmt_seq *seq)
{
    uint32_t count = rmt_seq_count(seq), total = 0, left = 0, prefix_size = 0;
    prefix_size = rmt_node_prefix_size(seq->a);
    for (uint32_t i = 0; i < count; i++)
        total += pick_bytes(seq, pick_at(seq, i), prefix_size);

    /* The first cut that leaves no more on the right than on the left, or the one before it. */
    uint32_t cut = 0, bytes = 0;
    while (cut < count - 1) {
        bytes = pick_bytes(seq, pick_at(seq, cut), prefix_size);
        if (left + bytes > total - left - bytes)
            break;
        left += bytes;
        cut++;
    }
    if (seq->inner) /* what goes up is on neither side */
        return cut < count ? cut : count - 1;
    uint32_t after = left + bytes;
    uint32_t worst_before = rmt_max(left, total - left),
             worst_after = rmt_max(after, total - after);
    if (cut == 0 || (worst_after < worst_before && cut < count - 1))
        cut++;
    return cut;
}

size_t rmt_separator_size(struct ramet_slice a, struct ramet_slice b)
{
    return common_size(a, b) + 1;
}
