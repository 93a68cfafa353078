/* SPDX-License-Identifier: MIT */
/*
 * node-test.c - the order of keys in a node, and the gate: one case per invariant of node.h, and a
 * loop that flips bytes, and then reads and changes whatever still passes.
 */
#include "tree/fake.h"

#define BIRTH ((uint64_t)1000)

static struct rmt_pages pages_of(uint32_t page_size)
{
    struct rmt_pages pages = {
        .page_size = page_size,
        .page_shift = (uint32_t)__builtin_ctz(page_size),
        .first = 32,
        .reserved = 1 << 20,
    };
    return pages;
}

static int cmp_slices(const void *a, const void *b)
{
    return rmt_slice_cmp(*(const struct ramet_slice *)a, *(const struct ramet_slice *)b);
}

/* ---- making pages ---------------------------------------------------------------------------- */

struct page {
    uint32_t size;
    _Alignas(64) uint8_t bytes[RMT_PAGE_SIZE_MAX];
};

static struct rmt_disk_node *node_of(struct page *page)
{
    return (struct rmt_disk_node *)(void *)page->bytes;
}

/* An empty node with a prefix. */
static void page_new(struct page *page, uint32_t page_size, uint32_t level, const char *prefix)
{
    size_t n = strlen(prefix);
    memset(page, 0, sizeof(*page));
    page->size = page_size;
    struct rmt_disk_node *node = node_of(page);
    node->addr = rmt_put64(77);
    node->birth = rmt_put64(BIRTH);
    node->kind = level ? RMT_NODE_INNER : RMT_NODE_LEAF;
    node->level = (uint8_t)level;
    node->prefix_size = rmt_put16((uint16_t)n);
    node->cells_size = rmt_put16((uint16_t)n);
    if (n)
        memcpy(page->bytes + page_size - n, prefix, n);
    if (level) {
        struct rmt_ref ref = {40, BIRTH, 7};
        rmt_node_ref_put(node, 0, ref);
    }
}

/* Puts a key in its place, in an inner node with some child. */
static void page_add(struct page *page, struct ramet_slice key, struct rmt_value value)
{
    struct rmt_disk_node *node = node_of(page);
    struct rmt_item item = {key, value, {41 + rmt_node_count(node), BIRTH - 1, 8}};
    struct rmt_node_pos pos = rmt_node_find(node, page->size, key);
    assert_false(pos.equal);
    rmt_node_insert(node, page->size, pos.index, &item);
}

static void page_add_text(struct page *page, const char *key, const char *value)
{
    struct rmt_value v = {value, node_of(page)->level ? 0 : (uint32_t)strlen(value), false};
    page_add(page, rmt_slice(key, strlen(key)), v);
}

static struct rmt_disk_extents extents_make(uint64_t size, uint32_t pages)
{
    struct rmt_disk_extents extents = {.size = rmt_put64(size)};
    struct rmt_ref ref = {500, BIRTH, 1};
    rmt_ref_store(&extents.runs[0].ref, ref);
    extents.runs[0].pages = rmt_put32(pages);
    return extents;
}

/* A leaf with all there is: empty and short suffixes, long ones, an empty value, extents. */
static void leaf_sample(struct page *page, uint32_t page_size)
{
    struct rmt_disk_extents extents = extents_make(2 * page_size - 5, 2);
    struct rmt_value value = {&extents, sizeof(extents), true};
    page_new(page, page_size, 0, "pre");
    page_add_text(page, "pre", "its suffix is empty");
    page_add_text(page, "prea", "short");
    page_add_text(page, "prefix and more", "");
    page_add_text(page, "prefix and more of it", "a value");
    page_add_text(page, "prezzzz", "last");
    page_add(page, rmt_slice("prelarge", 8), value);
}

static void inner_sample(struct page *page, uint32_t page_size)
{
    page_new(page, page_size, 3, "se");
    page_add_text(page, "sea", "");
    page_add_text(page, "separator", "");
    page_add_text(page, "separators of many", "");
    page_add_text(page, "set", "");
    page_add_text(page, "several", "");
}

/* What a fixed or dense leaf is made from: it is written here as FORMAT.md 4.5 says. */
struct even {
    uint32_t page_size;
    uint8_t kind; /* without the width */
    uint32_t width, count, prefix_size, value_size;
    uint64_t first, step; /* of the numbers that its suffixes are; a dense one has step 1 */
};

/* A byte of value i. */
static uint8_t even_fill(uint32_t i)
{
    return (uint8_t)(i * 7 + 3);
}

static void even_page(struct page *page, const struct even *even)
{
    memset(page, 0, sizeof(*page));
    page->size = even->page_size;
    struct rmt_disk_node *node = node_of(page);
    node->addr = rmt_put64(77);
    node->birth = rmt_put64(BIRTH);
    node->kind = (uint8_t)(even->kind | even->width);
    node->count = rmt_put16((uint16_t)even->count);
    node->prefix_size = rmt_put16((uint16_t)even->prefix_size);
    node->cells_size = rmt_put16((uint16_t)even->value_size);
    uint8_t *end = page->bytes + even->page_size - even->prefix_size;
    memset(end, 'p', even->prefix_size);
    for (uint32_t i = 0; i < even->count; i++) {
        uint32_t head = (uint32_t)((even->first + i * even->step) << (32 - 8 * even->width));
        if (i == 0 || !(even->kind & RMT_NODE_DENSE))
            memcpy(page->bytes + 32 + 4 * i, &head, 4);
        end -= even->value_size;
        memset(end, even_fill(i), even->value_size);
    }
}

static uint32_t even_count_max(const struct even *even)
{
    return (even->page_size - 32 - even->prefix_size) / (4 + even->value_size);
}

static struct even even_sample(uint8_t kind)
{
    struct even even = {4096, kind, 3, 100, 5, 8, 70000, kind == RMT_NODE_DENSE ? 1 : 9};
    return even;
}

static int check(struct page *page)
{
    struct rmt_pages pages = pages_of(page->size);
    return rmt_node_check(&pages, node_of(page));
}

static void refused(struct page *page, const char *what)
{
    assert_int_equal(check(page), RAMET_ECORRUPT);
    if (!strstr(ramet_errmsg(), what))
        fail_msg("refused with '%s', not '%s'", ramet_errmsg(), what);
    assert_non_null(strstr(ramet_errmsg(), "page 77"));
}

/* ---- order ----------------------------------------------------------------------------------- */

/* All keys of up to 6 bytes out of 0, 1 and 255, in nodes with and without a prefix. */
static void orders_as_memcmp(void **state)
{
    (void)state;
    enum { DEPTH = 6, COUNT = 1092 };
    static uint8_t texts[COUNT][DEPTH + 2];
    static struct ramet_slice keys[COUNT];
    static struct page page;
    static const uint8_t letters[3] = {0, 1, 255};
    for (uint32_t prefix = 0; prefix < 2; prefix++) {
        size_t n = 0, begin = 0, end = 0;
        for (size_t size = 1; size <= DEPTH;
             size++) { /* each is one of the last round and a letter */
            for (size_t i = begin; i < end || (size == 1 && i == 0); i++) {
                for (size_t letter = 0; letter < 3; letter++) {
                    texts[n][0] = 'p';
                    if (size > 1)
                        memcpy(texts[n] + 1, texts[i] + 1, size - 1);
                    texts[n][size] = letters[letter];
                    keys[n] = rmt_slice(texts[n] + !prefix, size + prefix);
                    n++;
                }
            }
            begin = end;
            end = n;
        }
        assert_int_equal(n, COUNT);
        qsort(keys, n, sizeof(keys[0]), cmp_slices);

        page_new(&page, 65536, 0, prefix ? "p" : "");
        for (size_t i = 0; i < n; i += 2) { /* every second, in no order */
            struct rmt_value value = {"", 0, false};
            page_add(&page, keys[i % 4 ? i : n - 4 - i], value);
        }
        assert_int_equal(check(&page), 0);
        for (size_t i = 0; i < n; i++) {
            struct rmt_node_pos pos = rmt_node_find(node_of(&page), 65536, keys[i]);
            assert_int_equal(pos.index, (i + 1) / 2);
            assert_int_equal(pos.equal, i % 2 == 0);
        }
        struct rmt_node_pos below = rmt_node_find(node_of(&page), 65536, rmt_slice("o", 1));
        struct rmt_node_pos above = rmt_node_find(node_of(&page), 65536, rmt_slice("q", 1));
        if (prefix) {
            assert_int_equal(below.index, 0);
            assert_int_equal(above.index, (n + 1) / 2);
        }
    }
}

static void heads_below_counts(void **state)
{
    (void)state;
    uint32_t heads[200];
    for (uint32_t count = 0; count < 200; count++) {
        for (uint32_t i = 0; i < count; i++)
            heads[i] = 10 + i / 3 * 7;
        if (count > 190)
            heads[count - 1] = UINT32_MAX;
        for (uint32_t head = 0; head < 520; head++) {
            uint32_t want = 0;
            while (want < count && heads[want] < head)
                want++;
            assert_int_equal(rmt_node_heads_below((const uint8_t *)heads, count, head), want);
            assert_int_equal(rmt_node_heads_guess((const uint8_t *)heads, count, head, false),
                             want);
        }
        assert_int_equal(rmt_node_heads_below((const uint8_t *)heads, count, UINT32_MAX),
                         count > 190 ? count - 1 : count);
    }
}

/* Spaced evenly, nearly, and not at all, some of them alike, at both ends of what a head can be. */
static void guesses_are_right(void **state)
{
    (void)state;
    uint32_t heads[250];
    const uint8_t *bytes = (const uint8_t *)heads;
    for (int round = 0; round < 3000; round++) {
        uint32_t count = (uint32_t)chance(250), step = 1 + (uint32_t)chance(1 << chance(25));
        uint32_t wobble = chance(2) ? 0 : (uint32_t)chance(step + 1);
        uint32_t head = chance(3) ? (uint32_t)chance(1000) : 0;
        for (uint32_t i = 0; i < count; i++) {
            heads[i] = head;
            if (head <= UINT32_MAX - step)
                head += chance(50) ? step - (uint32_t)chance(wobble + 1) : 0;
            else
                head = UINT32_MAX;
        }
        for (uint32_t i = 0; i < 3 * count; i++) {
            uint32_t sought = heads[i / 3] + i % 3 - 1;
            if (chance(10) == 0)
                sought = (uint32_t)chance((uint64_t)1 << 32);
            uint32_t want = rmt_node_heads_below(bytes, count, sought);
            assert_int_equal(rmt_node_heads_guess(bytes, count, sought, false), want);
            assert_int_equal(rmt_node_heads_guess(bytes, count, sought, true), want);
        }
        assert_int_equal(rmt_node_heads_guess(bytes, count, UINT32_MAX, true),
                         rmt_node_heads_below(bytes, count, UINT32_MAX));
    }
}

static void separators_separate(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint8_t a_bytes[8], b_bytes[8];
        for (int j = 0; j < 8; j++) {
            a_bytes[j] = (uint8_t)chance(2);
            b_bytes[j] = (uint8_t)chance(2);
        }
        struct ramet_slice a = {a_bytes, 1 + chance(8)}, b = {b_bytes, 1 + chance(8)};
        if (rmt_slice_cmp(a, b) >= 0)
            continue;
        struct ramet_slice s = {b_bytes, rmt_separator_size(a, b)};
        assert_true(s.size <= b.size);
        assert_true(rmt_slice_cmp(a, s) < 0);
        assert_true(rmt_slice_cmp(s, b) <= 0);
        s.size--;
        assert_true(s.size == 0 || rmt_slice_cmp(a, s) >= 0);
    }
}

/* Whatever N5 allows: a full node and one entry more can be split. */
static void splits_always_fit(void **state)
{
    (void)state;
    static struct page page, left, right;
    static uint8_t key[RAMET_KEY_MAX], value[RMT_PAGE_SIZE_MAX / 4], buf[RMT_NODE_KEY_BUF];
    for (int round = 0; round < 3000; round++) {
        uint32_t page_size = chance(8) ? 4096 : 16384;
        struct rmt_plan plan;
        bool inner = chance(2);
        size_t shared = chance(3) ? chance(20) : chance(1020);
        memset(key, 'x', sizeof(key));
        memset(buf, 'x', shared);
        buf[shared] = 0;
        page_new(&page, page_size, inner, (const char *)buf);
        for (;;) {
            struct rmt_node_pos pos;
            struct rmt_item item = {.ref = {50, BIRTH, 1}};
            item.key = rmt_slice(key, shared + 1 + chance(RAMET_KEY_MAX - shared));
            if (chance(2))
                item.key.size = rmt_min(item.key.size, shared + 1 + chance(6));
            for (size_t i = shared; i < item.key.size; i++)
                key[i] = (uint8_t)chance(256);
            if (!inner) {
                item.value = (struct rmt_value){value, (uint32_t)chance(page_size / 4 + 1), false};
                if (chance(2))
                    item.value.size = (uint32_t)chance(20);
                if (!rmt_node_inline(page_size, item.key.size, item.value.size))
                    item.value.size = sizeof(struct rmt_disk_extents);
            }
            pos = rmt_node_find(node_of(&page), page_size, item.key);
            if (pos.equal)
                continue;
            if (rmt_node_need(node_of(&page), &item) <= rmt_node_gap(node_of(&page), page_size)) {
                rmt_node_insert(node_of(&page), page_size, pos.index, &item);
                continue;
            }
            struct rmt_seq seq = rmt_seq_insert(node_of(&page), page_size, pos.index, &item, false);
            uint32_t count = rmt_seq_count(&seq), cut = rmt_seq_split(&seq), from = cut + inner;
            if (rmt_seq_fits(&seq, 0, count, &plan))
                break;
            assert_true(rmt_seq_fits(&seq, 0, cut, &plan));
            rmt_seq_build(&seq, 0, cut, &plan, node_of(&left));
            assert_true(rmt_seq_fits(&seq, from, count - from, &plan));
            rmt_seq_build(&seq, from, count - from, &plan, node_of(&right));
            assert_int_equal(rmt_node_count(node_of(&left)) + rmt_node_count(node_of(&right)),
                             count - inner);
            break;
        }
    }
}

/* ---- the gate -------------------------------------------------------------------------------- */

static void accepts_what_is_right(void **state)
{
    (void)state;
    static struct page page;
    for (uint32_t page_size = RMT_PAGE_SIZE_MIN; page_size <= RMT_PAGE_SIZE_MAX; page_size *= 2) {
        leaf_sample(&page, page_size);
        assert_int_equal(check(&page), 0);
        inner_sample(&page, page_size);
        assert_int_equal(check(&page), 0);
        page_new(&page, page_size, 1, "");
        assert_int_equal(check(&page), 0);
    }
}

/* As 4.5 says: read by number, and by searching. */
static void reads_fixed_and_dense(void **state)
{
    (void)state;
    static struct page page;
    static uint8_t key[RAMET_KEY_MAX], want[RAMET_KEY_MAX];
    static const uint32_t value_sizes[] = {0, 1, 8, 100, 1000};
    for (uint32_t round = 0; round < 2 * 4 * 5 * 5; round++) {
        struct even even = even_sample(round % 2 ? RMT_NODE_DENSE : RMT_NODE_FIXED);
        even.width = 1 + round / 2 % 4;
        even.value_size = value_sizes[round / 8 % 5];
        even.page_size = 4096u << round / 40;
        even.prefix_size = (uint32_t)chance(3) * 30;
        even.first = even.width == 1 ? 5 : 200;
        even.step = even.kind == RMT_NODE_DENSE ? 1 : 1 + chance(even.width == 1 ? 3 : 7);
        even.count = rmt_min(even_count_max(&even), even.width == 1 ? 80 : 5000);
        even_page(&page, &even);
        assert_int_equal(check(&page), 0);
        for (uint32_t i = 0; i < even.count; i++) {
            uint8_t number[8];
            struct rmt_value value;
            rmt_put_be64(number, even.first + i * even.step);
            memset(want, 'p', even.prefix_size);
            memcpy(want + even.prefix_size, number + 8 - even.width, even.width);
            size_t size = rmt_node_key(node_of(&page), page.size, i, key);
            assert_int_equal(size, even.prefix_size + even.width);
            assert_memory_equal(key, want, size);
            rmt_node_value(node_of(&page), page.size, i, &value);
            assert_int_equal(value.size, even.value_size);
            assert_false(value.extents);
            for (uint32_t j = 0; j < value.size; j++)
                assert_int_equal(((const uint8_t *)value.data)[j], even_fill(i));
            struct rmt_node_pos pos =
                rmt_node_find(node_of(&page), page.size, rmt_slice(key, size));
            assert_int_equal(pos.index, i);
            assert_true(pos.equal);
            key[size] = 0; /* right behind it, and before it if all below have another last byte */
            pos = rmt_node_find(node_of(&page), page.size, rmt_slice(key, size + 1));
            assert_int_equal(pos.index, i + 1);
            assert_false(pos.equal);
            if (i == 0 && size > 1) {
                pos = rmt_node_find(node_of(&page), page.size, rmt_slice(key, size - 1));
                assert_int_equal(pos.index, 0);
                assert_false(pos.equal);
            }
        }
    }
}

static void refuses_N1_kind_level_and_empty_leaf(void **state)
{
    (void)state;
    static struct page page;
    leaf_sample(&page, 4096);
    node_of(&page)->kind = RMT_NODE_LOG;
    refused(&page, "not a node of a tree");
    node_of(&page)->kind = RMT_NODE_LEAF;
    node_of(&page)->level = 1;
    refused(&page, "level");
    inner_sample(&page, 4096);
    node_of(&page)->level = 0;
    refused(&page, "level");
    node_of(&page)->level = RMT_LEVEL_MAX + 1;
    refused(&page, "level");
    page_new(&page, 4096, 0, "");
    refused(&page, "without entries");
    for (uint32_t kind = 0; kind < 256; kind++) {
        struct even even = even_sample(kind & RMT_NODE_DENSE ? RMT_NODE_DENSE : RMT_NODE_FIXED);
        bool right = (kind >= 0x11 && kind <= 0x14) || (kind >= 0x21 && kind <= 0x24);
        even.first = 0; /* all suffixes of 1 byte and more are so, but for what does not fit */
        even.step = 1;
        even.width = right ? kind & 15 : 1;
        even_page(&page, &even);
        node_of(&page)->kind = (uint8_t)kind;
        uint32_t plain = kind & ~(uint32_t)RMT_NODE_PAGES;
        if (kind != plain && ((plain >= 0x11 && plain <= 0x14) || (plain >= 0x21 && plain <= 0x24)))
            refused(&page, "page records"); /* there is a test of its own for them */
        else if (right) {
            assert_int_equal(check(&page), 0);
            node_of(&page)->level = 1;
            refused(&page, "level");
            node_of(&page)->level = 0;
            node_of(&page)->count = rmt_put16(0);
            refused(&page, "without entries");
        } else if (kind == RMT_NODE_LEAF || kind == RMT_NODE_INNER) {
            assert_int_equal(check(&page), RAMET_ECORRUPT);
        } else {
            refused(&page, "not a node of a tree");
        }
    }
}

static void slot_put(struct page *page, uint32_t i, uint32_t slot)
{
    uint16_t word = (uint16_t)slot;
    memcpy(page->bytes + 32 + 4 * rmt_node_count(node_of(page)) + 2 * i, &word, 2);
}

static void refuses_N2_parts_outside(void **state)
{
    (void)state;
    static struct page page;
    leaf_sample(&page, 4096);
    node_of(&page)->count = rmt_put16(2000);
    refused(&page, "do not fit");
    leaf_sample(&page, 4096);
    node_of(&page)->cells_size = rmt_put16(4090);
    refused(&page, "do not fit");
    leaf_sample(&page, 4096);
    node_of(&page)->prefix_size = rmt_put16(1000);
    refused(&page, "do not fit");
    leaf_sample(&page, 4096);
    uint32_t gap_end = 4096 - rmt_get16(node_of(&page)->cells_size);
    static const uint32_t slots[] = {0, 31, 40, 4090, 4092, 4096, 65535};
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        leaf_sample(&page, 4096);
        slot_put(&page, 2, slots[i]);
        refused(&page, "outside");
    }
    leaf_sample(&page, 4096);
    slot_put(&page, 2, gap_end - 1);
    refused(&page, "outside");
    leaf_sample(&page, 4096); /* a value that reaches into the prefix */
    uint8_t *cell = page.bytes + rmt_node_slot_at(node_of(&page), 0);
    cell[2] = 0xff;
    refused(&page, "outside");
    inner_sample(&page, 4096);
    slot_put(&page, 1, 4095);
    refused(&page, "outside");
}

static void refuses_N2_fixed_and_dense_that_do_not_fit(void **state)
{
    (void)state;
    static struct page page;
    for (uint32_t round = 0; round < 200; round++) {
        struct even even = even_sample(round % 2 ? RMT_NODE_DENSE : RMT_NODE_FIXED);
        even.value_size = (uint32_t)chance(20);
        even.page_size = 4096u << chance(5);
        even.prefix_size = (uint32_t)chance(200);
        even.count = even_count_max(&even);
        even.prefix_size += (even.page_size - 32 - even.prefix_size) % (4 + even.value_size);
        even_page(&page, &even);
        assert_int_equal(check(&page), 0);
        static const uint32_t more[] = {1, 2, 100, 0};
        for (size_t i = 0; i < 4; i++) {
            even_page(&page, &even);
            uint32_t add = more[i] ? more[i] : 65535;
            node_of(&page)->count = rmt_put16((uint16_t)rmt_min(even.count + add, 65535));
            refused(&page, "do not fit");
            even_page(&page, &even);
            node_of(&page)->cells_size = rmt_put16((uint16_t)rmt_min(even.value_size + add, 65535));
            refused(&page, "do not fit");
            even_page(&page, &even);
            node_of(&page)->prefix_size =
                rmt_put16((uint16_t)rmt_min(even.prefix_size + add, 65535));
            refused(&page, "do not fit");
        }
    }
}

static void refuses_N2_overlap(void **state)
{
    (void)state;
    static struct page page;
    leaf_sample(&page, 4096);
    slot_put(&page, 1, rmt_node_slot_at(node_of(&page), 0));
    refused(&page, "overlap");
    inner_sample(&page, 4096);
    slot_put(&page, 2, rmt_node_slot_at(node_of(&page), 1));
    refused(&page, "overlap");
}

static void head_put(struct page *page, uint32_t i, uint32_t head)
{
    memcpy(page->bytes + 32 + 4 * i, &head, 4);
}

static void refuses_N3_order(void **state)
{
    (void)state;
    static struct page page;
    leaf_sample(&page, 4096);
    head_put(&page, 1, 0xffff0000);
    refused(&page, "its suffix");
    leaf_sample(&page, 4096);
    head_put(&page, 2, rmt_node_head_at(node_of(&page), 5) + 1);
    refused(&page, "ascend");
    page_new(&page, 4096, 0, "");
    page_add_text(&page, "abcdefgh", "1");
    page_add_text(&page, "abcdefgi", "2");
    assert_int_equal(check(&page), 0);
    uint8_t *tail = page.bytes + rmt_node_slot_at(node_of(&page), 1) + 4;
    assert_int_equal(tail[3], 'i');
    tail[3] = 'h';
    refused(&page, "ascend");
    tail[3] = 'g';
    refused(&page, "ascend");
}

static void refuses_N3_order_of_fixed(void **state)
{
    (void)state;
    static struct page page;
    for (uint32_t i = 1; i < 100; i++) {
        for (int32_t off = -9; off <= 9; off += 9) {
            struct even even = even_sample(RMT_NODE_FIXED);
            even_page(&page, &even);
            uint32_t before = rmt_node_head_at(node_of(&page), i - 1);
            head_put(&page, i, before + (uint32_t)off * 256);
            if (off > 0)
                assert_int_equal(check(&page), 0);
            else
                refused(&page, "ascend");
        }
    }
    for (uint32_t width = 1; width < 4; width++) {
        for (uint32_t bit = 0; bit < 32 - 8 * width; bit++) {
            for (uint32_t dense = 0; dense < 2; dense++) {
                struct even even = even_sample(dense ? RMT_NODE_DENSE : RMT_NODE_FIXED);
                even.width = width;
                even.first = 100;
                even.step = 1;
                even_page(&page, &even);
                uint32_t i = dense ? 0 : (uint32_t)chance(100);
                head_put(&page, i, rmt_node_head_at(node_of(&page), i) | 1u << bit);
                refused(&page, "its suffix");
            }
        }
    }
}

static void refuses_N3_dense_past_the_last_number(void **state)
{
    (void)state;
    static struct page page;
    for (uint32_t width = 1; width <= 4; width++) {
        uint64_t numbers = (uint64_t)1 << 8 * width;
        for (uint32_t count = 1; count < 200; count += 66) {
            struct even even = even_sample(RMT_NODE_DENSE);
            even.width = width;
            even.count = count;
            even.first = numbers - count;
            even_page(&page, &even);
            assert_int_equal(check(&page), 0);
            for (uint32_t more = 1; more <= rmt_min(count - 1, 3); more++) {
                even.first = numbers - count + more;
                even_page(&page, &even);
                refused(&page, "no number of that size");
            }
            even.first = numbers - 1;
            even_page(&page, &even);
            if (count > 1)
                refused(&page, "no number of that size");
        }
    }
    struct even even = even_sample(RMT_NODE_DENSE); /* more numbers than there are */
    even.width = 1;
    even.first = 0;
    even.value_size = 0;
    even.count = 256;
    even_page(&page, &even);
    assert_int_equal(check(&page), 0);
    even.count = 257;
    even_page(&page, &even);
    refused(&page, "no number of that size");
}

static void refuses_N4_stale_bytes_of_fixed_and_dense(void **state)
{
    (void)state;
    static struct page page;
    for (uint32_t dense = 0; dense < 2; dense++) {
        struct even even = even_sample(dense ? RMT_NODE_DENSE : RMT_NODE_FIXED);
        uint32_t from = dense ? 36 : 32 + 4 * even.count;
        uint32_t to = 4096 - even.prefix_size - even.count * even.value_size;
        for (uint32_t at = from; at < to; at++) {
            even_page(&page, &even);
            page.bytes[at] = (uint8_t)(1u << at % 8);
            refused(&page, "free bytes");
        }
        even_page(&page, &even);
        page.bytes[to] ^= 1;
        assert_int_equal(check(&page), 0);
    }
}

static void refuses_N5_sizes_of_fixed_and_dense(void **state)
{
    (void)state;
    static struct page page;
    for (uint32_t round = 0; round < 8; round++) {
        struct even even = even_sample(round % 2 ? RMT_NODE_DENSE : RMT_NODE_FIXED);
        even.width = 1 + round / 2;
        even.count = 1;
        even.first = 1;
        even.prefix_size = RAMET_KEY_MAX - even.width;
        even_page(&page, &even);
        assert_int_equal(check(&page), 0);
        even.prefix_size++;
        even_page(&page, &even);
        refused(&page, "size is out of bounds");
        even.prefix_size = 100;
        even.value_size = rmt_node_entry_max(4096) - 6 - 4 - 100 - even.width;
        even_page(&page, &even);
        assert_int_equal(check(&page), 0);
        even.value_size++;
        even_page(&page, &even);
        refused(&page, "too large");
    }
}

static void refuses_N4_stale_bytes(void **state)
{
    (void)state;
    static struct page page;
    leaf_sample(&page, 4096);
    page.bytes[32 + 6 * 6] = 1;
    refused(&page, "free bytes");
    leaf_sample(&page, 4096);
    page.bytes[4096 - rmt_get16(node_of(&page)->cells_size) - 1] = 1;
    refused(&page, "free bytes");
    leaf_sample(&page, 4096);
    assert_true(rmt_node_remove(node_of(&page), 4096, 2, false) > 0);
    memset(page.bytes + 32 + 6 * 5, 0, 6);
    refused(&page, "not used");
    page_new(&page, 4096, 1, "prefix of nothing");
    refused(&page, "prefix");
}

static void refuses_N5_sizes(void **state)
{
    (void)state;
    static struct page page;
    static uint8_t key[RAMET_KEY_MAX + 1], value[4096];
    page_new(&page, 4096, 0, "");
    struct rmt_value none = {value, 0, false};
    page_add(&page, rmt_slice(key, RAMET_KEY_MAX), none);
    assert_int_equal(check(&page), 0);
    page_new(&page, 4096, 0, "");
    page_add(&page, rmt_slice(key, RAMET_KEY_MAX + 1), none);
    refused(&page, "size is out of bounds");
    page_new(&page, 4096, 0, "");
    page_add(&page, rmt_slice(key, 0), none);
    refused(&page, "size is out of bounds");
    page_new(&page, 4096, 0, "");
    struct rmt_value large = {value, rmt_node_entry_max(4096) - 6 - 4 - 100, false};
    page_add(&page, rmt_slice(key, 100), large);
    assert_int_equal(check(&page), 0);
    page_new(&page, 4096, 0, "");
    large.size++;
    page_add(&page, rmt_slice(key, 100), large);
    refused(&page, "too large");
}

static void refuses_N6_extents(void **state)
{
    (void)state;
    static struct page page;
    static const struct rmt_ref good = {500, BIRTH, 1};
    static const struct rmt_ref wrong[] = {
        {500, BIRTH + 1, 1},         {31, BIRTH, 1}, {1 << 20, BIRTH, 1}, {500, 0, 1},
        {500, (uint64_t)1 << 32, 1},
    };
    for (uint32_t i = 0; i < 13; i++) {
        struct rmt_disk_extents extents = extents_make(3 * 4096, 3);
        struct rmt_value value = {&extents, sizeof(extents), true};
        switch (i) {
        case 0: break;
        case 1: extents.size = rmt_put64(3 * 4096 + 1); break;
        case 2: extents.size = rmt_put64(2 * 4096); break;
        case 3: extents.size = rmt_put64(0); break;
        case 4: extents.size = rmt_put64(RAMET_VALUE_MAX + 1); break;
        case 5: extents.level = RMT_EXTENTS_PRIVATE; break;
        case 6: extents.level = RMT_EXTENTS_LEVEL_MAX + 1; break;
        case 7: extents.zero[6] = 1; break;
        case 8: extents.runs[0].pages = rmt_put32(RMT_RUN_PAGES_MAX + 1); break;
        case 9: extents.runs[2] = extents.runs[0]; break; /* behind an unused one */
        case 10: memset(extents.runs, 0, sizeof(extents.runs)); break;
        case 11: extents.runs[3].pages.b[3] = 1; break;
        case 12: value.size--; break;
        }
        page_new(&page, 4096, 0, "");
        page_add(&page, rmt_slice("key", 3), value);
        if (i == 0)
            assert_int_equal(check(&page), 0);
        else
            refused(&page, "extents");
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct rmt_disk_extents extents = extents_make(4096, 1);
        struct rmt_value value = {&extents, sizeof(extents), true};
        rmt_ref_store(&extents.runs[0].ref, wrong[i]);
        page_new(&page, 4096, 0, "");
        page_add(&page, rmt_slice("key", 3), value);
        refused(&page, "extents");
    }
    struct rmt_disk_extents list = extents_make(pages_of(4096).reserved << 12, 1);
    struct rmt_value value = {&list, sizeof(list), true};
    list.level = 2; /* how much it lists is seen when it is read */
    rmt_ref_store(&list.runs[0].ref, good);
    page_new(&page, 4096, 0, "");
    page_add(&page, rmt_slice("key", 3), value);
    assert_int_equal(check(&page), 0);
}

static void refuses_N6_pages(void **state)
{
    (void)state;
    static struct page page;
    static const struct rmt_ref good = {500, BIRTH, 1};
    static const struct rmt_ref wrong[] = {
        {500, BIRTH + 1, 1},         {31, BIRTH, 1},
        {1 << 20, BIRTH, 1},         {500, 0, 1},
        {500, (uint64_t)1 << 32, 1}, {0, 0, 0},
        {0, RMT_SHARED_BIRTH, 0},    {1, RMT_SHARED_BIRTH, 1},
    };
    static const struct rmt_ref shared = {RMT_SHARED_MAX, RMT_SHARED_BIRTH, 0};
    for (uint32_t i = 0; i <= sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t record[RMT_PAGE_RECORD_SIZE];
        struct rmt_value value = {record, sizeof(record), true};
        rmt_ref_store(record, i ? wrong[i - 1] : good);
        page_new(&page, 4096, 0, "");
        page_add(&page, rmt_slice("key", 3), value);
        if (i == 0)
            assert_int_equal(check(&page), 0);
        else
            refused(&page, "extents");
        for (uint32_t kind = RMT_NODE_FIXED; kind <= RMT_NODE_DENSE; kind += 0x10) {
            struct even even = even_sample((uint8_t)(kind | RMT_NODE_PAGES));
            even.value_size = sizeof(record);
            even_page(&page, &even);
            struct rmt_value last = {0};
            for (uint32_t j = 0; j < even.count; j++) {
                last = rmt_node_value_at(node_of(&page), 4096, j);
                assert_true(last.extents);
                rmt_ref_store((uint8_t *)(uintptr_t)last.data, good);
            }
            assert_int_equal(check(&page), 0);
            rmt_ref_store((uint8_t *)(uintptr_t)last.data, shared);
            assert_int_equal(check(&page), 0);
            memcpy((uint8_t *)(uintptr_t)last.data, record, sizeof(record));
            if (i > 0)
                refused(&page, "a value's page is not valid");
        }
    }
}

static void refuses_N7_children(void **state)
{
    (void)state;
    static struct page page;
    static const struct rmt_ref wrong[] = {
        {0, 0, 0}, {0x7f0000001000, 0, 0}, {40, BIRTH + 1, 0}, {3, BIRTH, 0}, {1 << 20, BIRTH, 0},
    };
    for (uint32_t child = 0; child <= 5; child++) {
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            inner_sample(&page, 4096);
            rmt_node_ref_put(node_of(&page), child, wrong[i]);
            refused(&page, "child");
        }
    }
}

/* ---- forged pages ---------------------------------------------------------------------------- */

static uint64_t sink;

/* Reads all there is of a page that passed; the sanitizer watches. */
static void read_all(struct page *page)
{
    const struct rmt_disk_node *node = node_of(page);
    uint8_t key[RAMET_KEY_MAX], before[RAMET_KEY_MAX];
    size_t before_size = 0;
    for (uint32_t i = 0; i < rmt_node_size(node); i++) {
        struct rmt_value value;
        if (node->level > 0) {
            sink += rmt_node_child(node, i).addr;
        } else {
            rmt_node_value(node, page->size, i, &value);
            for (uint32_t j = 0; j < value.size; j++)
                sink += ((const uint8_t *)value.data)[j];
        }
        if (node->level > 0 && i == 0)
            continue;
        size_t size = rmt_node_key(node, page->size, i, key);
        assert_true(size >= 1 && size <= RAMET_KEY_MAX);
        if (before_size)
            assert_true(rmt_slice_cmp(rmt_slice(before, before_size), rmt_slice(key, size)) < 0);
        struct rmt_node_pos pos = rmt_node_find(node, page->size, rmt_slice(key, size));
        assert_int_equal(pos.index, node->level > 0 ? i - 1 : i);
        assert_true(pos.equal);
        memcpy(before, key, size);
        before_size = size;
    }
}

/* Puts in and takes out of a page that passed, as an edit would do after it has copied it. */
static void change_all(struct page *page)
{
    struct rmt_disk_node *node = node_of(page);
    static const uint8_t bytes[RMT_PAGE_SIZE_MAX / 2];
    uint8_t key[RAMET_KEY_MAX + 8];
    uint32_t garbage;
    for (uint32_t i = 0; i < 20 && rmt_node_count(node) > 0; i++) {
        uint32_t at = (uint32_t)chance(rmt_node_count(node));
        struct rmt_item item = {.value = {bytes, 0, false}};
        item.key = rmt_slice(key, rmt_node_key(node, page->size, at, key));
        item.value.size = rmt_node_value_at(node, page->size, at).size;
        if (chance(4) == 0)
            item.value.size = (uint32_t)chance(40);
        (void)rmt_node_replace(node, page->size, at, &item.value, &garbage);
        switch (chance(4)) {
        case 0:
        case 1: (void)rmt_node_remove(node, page->size, at, false); break;
        case 2: {
            uint32_t to = at + (uint32_t)chance(rmt_node_count(node) - at + 1);
            (void)rmt_node_remove_entries(node, page->size, at, to);
            break;
        }
        default: key[item.key.size - 1] += (uint8_t)(chance(3) + 1);
        }
        if (rmt_node_count(node) == 0 || !rmt_node_has_prefix(node, page->size, item.key))
            continue;
        struct rmt_node_pos pos = rmt_node_find(node, page->size, item.key);
        bool fits = rmt_node_need(node, &item) <= rmt_node_gap(node, page->size);
        if (!pos.equal && (fits || rmt_node_loosen(node, page->size, &item)))
            rmt_node_insert(node, page->size, pos.index, &item);
        if (!rmt_node_general(node))
            assert_true(rmt_node_front(node) + rmt_node_back(node) <= page->size);
    }
}

/* The page at the end of its own allocation, so that one byte too many is seen. */
static bool judge_copy(const struct page *page)
{
    struct rmt_pages pages = pages_of(page->size);
    size_t head = offsetof(struct page, bytes);
    struct page *copy = aligned_alloc(64, head + page->size);
    assert_non_null(copy);
    memcpy(copy, page, head + page->size);
    bool passed = rmt_node_check(&pages, node_of(copy)) == 0;
    if (passed) {
        read_all(copy);
        if (node_of(copy)->level == 0)
            change_all(copy);
    }
    free(copy);
    return passed;
}

static void forged_pages_stay_in_bounds(void **state)
{
    (void)state;
    static struct page page, good;
    uint64_t passed = 0;
    for (uint32_t round = 0; round < 60000; round++) {
        uint32_t page_size = round % 100 ? 4096 : 65536;
        if (round % 2)
            leaf_sample(&good, page_size);
        else
            inner_sample(&good, page_size);
        memcpy(&page, &good, offsetof(struct page, bytes) + page_size);
        uint32_t fixed =
            rmt_node_fixed_size(node_of(&page)->level > 0, rmt_node_count(node_of(&page)));
        uint32_t cells = rmt_get16(node_of(&page)->cells_size);
        for (uint64_t flips = 1 + chance(3); flips > 0; flips--) {
            uint64_t where = chance(3), at;
            if (where == 0)
                at = 24 + chance(8);
            else if (where == 1)
                at = 32 + chance(fixed - 32);
            else
                at = page_size - 1 - chance(cells);
            if (chance(2))
                page.bytes[at] ^= (uint8_t)(1u << chance(8));
            else
                page.bytes[at] = (uint8_t)chance(256);
        }
        passed += judge_copy(&page);
    }
    assert_true(passed > 100);
}

/* Something near a number, or far from it. */
static uint32_t forge_number(uint32_t n)
{
    switch (chance(6)) {
    case 0: return n + 1 + (uint32_t)chance(3);
    case 1: return n - 1 - (uint32_t)chance(3);
    case 2: return n ^ 1u << chance(16);
    case 3: return (uint32_t)chance(65536);
    case 4: return 65535 - (uint32_t)chance(4);
    default: return (uint32_t)chance(4);
    }
}

static void forged_fixed_and_dense_stay_in_bounds(void **state)
{
    (void)state;
    static struct page page;
    uint64_t passed = 0, refusals = 0;
    for (uint32_t round = 0; round < 60000; round++) {
        struct even even = even_sample(round % 2 ? RMT_NODE_DENSE : RMT_NODE_FIXED);
        even.page_size = round % 100 ? 4096 : 65536;
        even.width = 1 + (uint32_t)chance(4);
        even.prefix_size = (uint32_t)chance(chance(8) ? 8 : 600);
        even.value_size = (uint32_t)chance(chance(8) ? 4 : 900);
        even.first = chance(2) ? chance(200) : chance((uint64_t)1 << 8 * even.width);
        even.step = even.kind == RMT_NODE_DENSE ? 1 : 1 + chance(3);
        even.count = (uint32_t)rmt_min(even_count_max(&even), 1 + chance(100));
        if (chance(4) == 0)
            even.count = even_count_max(&even);
        even_page(&page, &even);
        struct rmt_disk_node *node = node_of(&page);
        for (uint64_t changes = chance(3); changes > 0; changes--) {
            switch (chance(6)) {
            case 0: node->count = rmt_put16((uint16_t)forge_number(even.count)); break;
            case 1: node->cells_size = rmt_put16((uint16_t)forge_number(even.value_size)); break;
            case 2: node->prefix_size = rmt_put16((uint16_t)forge_number(even.prefix_size)); break;
            case 3:
                node->kind = (uint8_t)(chance(2) ? node->kind ^ 1u << chance(8) : chance(64));
                break;
            case 4: page.bytes[32 + chance(4 * even.count)] ^= (uint8_t)(1u << chance(8)); break;
            default: page.bytes[24 + chance(even.page_size - 24)] = (uint8_t)chance(256);
            }
        }
        bool right = judge_copy(&page);
        passed += right;
        refusals += !right;
    }
    assert_true(passed > 1000);
    assert_true(refusals > 1000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_as_memcmp),
        cmocka_unit_test(heads_below_counts),
        cmocka_unit_test(guesses_are_right),
        cmocka_unit_test(separators_separate),
        cmocka_unit_test(splits_always_fit),
        cmocka_unit_test(accepts_what_is_right),
        cmocka_unit_test(reads_fixed_and_dense),
        cmocka_unit_test(refuses_N1_kind_level_and_empty_leaf),
        cmocka_unit_test(refuses_N2_parts_outside),
        cmocka_unit_test(refuses_N2_fixed_and_dense_that_do_not_fit),
        cmocka_unit_test(refuses_N2_overlap),
        cmocka_unit_test(refuses_N3_order),
        cmocka_unit_test(refuses_N3_order_of_fixed),
        cmocka_unit_test(refuses_N3_dense_past_the_last_number),
        cmocka_unit_test(refuses_N4_stale_bytes),
        cmocka_unit_test(refuses_N4_stale_bytes_of_fixed_and_dense),
        cmocka_unit_test(refuses_N5_sizes),
        cmocka_unit_test(refuses_N5_sizes_of_fixed_and_dense),
        cmocka_unit_test(refuses_N6_extents),
        cmocka_unit_test(refuses_N6_pages),
        cmocka_unit_test(refuses_N7_children),
        cmocka_unit_test(forged_pages_stay_in_bounds),
        cmocka_unit_test(forged_fixed_and_dense_stay_in_bounds),
    };
    chance_state = chance_seed(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
