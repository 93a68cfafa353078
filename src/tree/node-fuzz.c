/* SPDX-License-Identifier: MIT */
/*
 * node-fuzz.c - pages of a tree with patches: what passes the gate is read and written in every
 * way.
 *
 * Checksums are taken for right (fake.h). Input: byte 0: what kind of keys and values the tree has,
 * 0: one page, whose front and end are the input; byte 1: the size of its pages; then patches
 * (patch.h).
 *
 * Nothing may crash or hang, and only pages that pass the gate may be written. Every leaf that
 * passes is also a tree of its own: there, each way to find an entry must find the same.
 */
#include "format/patch.h"
#include "tree/fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAW, NUMBERS, STRINGS, LONG_KEYS, LARGE_VALUES, BINARY, STYLES };
#define NR_SIZES 3
#define BLOCKS_MAX 256
#define NR_PAGES 8192
#define STEPS_MAX 1500
#define ENTRIES_MAX (RMT_PAGE_SIZE_MAX / 8)

static const uint32_t page_sizes[NR_SIZES] = {4096, 8192, 65536};

static struct base {
    uint8_t *bytes; /* its pages, from the first that may hold data on */
    struct rmt_block blocks[BLOCKS_MAX];
    uint32_t count; /* of pages; 0: not made yet */
    uint64_t birth;
    struct rmt_tree tree;
} bases[STYLES][NR_SIZES];

static struct fake fakes[NR_SIZES];
static const uint8_t zeros[400000];
static uint64_t sink;

/* ---- trees ----------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t n)
{
    n = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return n ^ n >> 29;
}

static struct ramet_slice make_key(unsigned style, uint32_t n, uint8_t buf[RAMET_KEY_MAX])
{
    uint64_t number = __builtin_bswap64(n), random = mix(n);
    switch (style) {
    case NUMBERS: memcpy(buf, &number, 8); return rmt_slice(buf, 8);
    case LONG_KEYS:
        memset(buf, 'k', RAMET_KEY_MAX);
        memcpy(buf + random % 3 * 90, &random, 8);
        return rmt_slice(buf, 300 + random % 700);
    case BINARY: memcpy(buf, &random, 8); return rmt_slice(buf, 1 + random % 8);
    default:
        return rmt_slice(buf, (size_t)sprintf((char *)buf, "%s%05u", n % 3 ? "user/" : "k",
                                              (unsigned)(random % 30000)));
    }
}

static struct ramet_slice make_value(unsigned style, uint32_t n)
{
    if (style == LARGE_VALUES && n % 16 == 0)
        return rmt_slice(zeros, mix(n) % sizeof(zeros));
    return rmt_slice(zeros, style == NUMBERS ? 8 : mix(n) % 40);
}

static void make_base(struct base *base, unsigned style, struct fake *fake)
{
    static const uint32_t keys[STYLES] = {0, 1500, 600, 60, 150, 600};
    struct rmt_edit edit;
    uint8_t buf[RAMET_KEY_MAX];
    uint32_t page_size = fake->pages.page_size;
    fake_forged = false;
    fake->w.run_max = style == LARGE_VALUES ? 3 : RMT_RUN_PAGES_MAX;
    for (uint32_t round = 0; round < 2; round++) {
        rmt_edit_init(&edit, &fake->pages, NULL, NULL);
        for (uint32_t n = 0; n < keys[style] / (1 + 9 * round); n++)
            (void)rmt_tree_put(&edit, &base->tree, make_key(style, n + round * 20000, buf),
                               make_value(style, n), 0);
        rmt_assert(rmt_tree_seal(&edit, &base->tree, &fake->w) == 0);
        rmt_edit_fini(&edit);
        fake->w.birth++;
    }
    base->birth = fake->w.birth;
    base->count = (uint32_t)rmt_min(fake->w.next - fake->pages.first, BLOCKS_MAX);
    size_t size = (size_t)(fake->w.next - fake->pages.first) * page_size;
    base->bytes = malloc(size);
    rmt_assert(base->bytes != NULL);
    memcpy(base->bytes, fake_page(fake, fake->pages.first), size);
    base->count = 0;
    for (uint64_t addr = fake->pages.first; addr < fake->w.next; addr++) {
        const uint8_t *page = fake_page(fake, addr);
        if (base->count < BLOCKS_MAX && (page[0] || memcmp(page, page + 1, page_size - 1) != 0))
            base->blocks[base->count++] =
                (struct rmt_block){(addr - fake->pages.first) * page_size, page_size};
    }
}

/* A page with an entry's front and end; zeros between. */
static void make_raw(struct rmt_input *in, struct fake *fake, struct rmt_tree *out)
{
    uint32_t page_size = fake->pages.page_size;
    struct rmt_disk_node *node = (void *)fake_page(fake, fake->pages.first);
    uint32_t front = (uint32_t)rmt_input_take(in, 2);
    front = (uint32_t)rmt_min(rmt_min(front, page_size), (uint64_t)(in->end - in->p));
    memcpy((uint8_t *)node + 24, in->p, rmt_min(front, page_size - 24));
    in->p += front;
    uint64_t end = rmt_min(page_size - 24, (uint64_t)(in->end - in->p));
    memcpy((uint8_t *)node + page_size - end, in->p, end);
    node->addr = rmt_put64(fake->pages.first);
    node->birth = rmt_put64(1);
    *out = (struct rmt_tree){.root = {fake->pages.first, 1, 0}, .count = node->level ? 9 : 1};
}

/* ---- reading --------------------------------------------------------------------------------- */

static void use_value(struct fake *fake, const struct rmt_value *value)
{
    uint8_t part[300];
    uint64_t size = rmt_value_size(&fake->pages, value);
    (void)rmt_value_read(&fake->pages, value, 0, part, sizeof(part));
    (void)rmt_value_read(&fake->pages, value, size / 2, part, sizeof(part));
    if (size < sizeof(zeros)) {
        struct rmt_arena arena = {0};
        struct ramet_slice slice;
        if (rmt_value_slice(&fake->pages, value, &arena, &slice) == 0 && slice.size)
            sink += ((const uint8_t *)slice.data)[slice.size - 1];
        rmt_arena_fini(&arena);
    }
}

static bool same_value(const struct rmt_value *a, const struct rmt_value *b)
{
    return a->size == b->size && a->extents == b->extents && !memcmp(a->data, b->data, a->size);
}

/* A leaf that passed the gate, as a tree. */
static void use_leaf(struct fake *fake, uint64_t addr, const struct rmt_disk_node *node)
{
    uint32_t page_size = fake->pages.page_size, size = rmt_node_size(node);
    struct rmt_tree tree = {.root = {addr, rmt_get64(node->birth), 0}, .count = size};
    uint8_t buf[RAMET_KEY_MAX];
    struct ramet_slice key;
    struct rmt_value value, found;
    struct rmt_cursor c;
    uint64_t count;
    tree.root.sum = (uint32_t)rmt_get64(node->checksum);
    rmt_cursor_init(&c, &fake->pages, &tree);
    for (uint32_t i = 0; i < size; i++) {
        struct ramet_slice wanted = {buf, rmt_node_key(node, page_size, i, buf)};
        rmt_node_value(node, page_size, i, &value);
        rmt_assert(rmt_tree_get(&fake->pages, &tree, wanted, &found) == 0);
        rmt_assert(same_value(&value, &found));
        rmt_assert(rmt_tree_get_many(&fake->pages, &tree, 1, &wanted, &found) == 0);
        rmt_assert(found.data != NULL && same_value(&value, &found));
        rmt_assert(rmt_cursor_next(&c) == 0 && rmt_cursor_get(&c, &key, &found) == 0);
        rmt_assert(rmt_slice_cmp(key, wanted) == 0 && same_value(&value, &found));
        if (i % 16 == 0) {
            rmt_assert(rmt_tree_count_range(&fake->pages, &tree, wanted, (struct ramet_slice){0},
                                            &count) == 0);
            rmt_assert(count == size - i);
            use_value(fake, &value);
        }
    }
    rmt_assert(rmt_cursor_next(&c) == RAMET_ENOTFOUND);
    for (uint32_t i = size; i > 0; i--) {
        struct ramet_slice wanted = {buf, rmt_node_key(node, page_size, i - 1, buf)};
        rmt_assert(rmt_cursor_prev(&c) == 0 && rmt_cursor_get(&c, &key, &found) == 0);
        rmt_assert(rmt_slice_cmp(key, wanted) == 0);
    }
    rmt_cursor_fini(&c);
}

static void use_inner(struct fake *fake, const struct rmt_disk_node *node)
{
    uint8_t buf[2][RAMET_KEY_MAX];
    struct ramet_slice before = {NULL, 0};
    for (uint32_t i = 0; i < rmt_node_size(node); i++) {
        struct rmt_ref ref = rmt_node_child(node, i);
        rmt_assert(rmt_ref_plausible(&fake->pages, ref, rmt_get64(node->birth)));
        if (i == 0)
            continue;
        struct ramet_slice key = {buf[i % 2],
                                  rmt_node_key(node, fake->pages.page_size, i, buf[i % 2])};
        rmt_assert(before.size == 0 || rmt_slice_cmp(before, key) < 0);
        before = key;
    }
}

static void use_page(struct fake *fake, uint64_t addr)
{
    const struct rmt_disk_node *node = rmt_page_at(&fake->pages, addr);
    if (rmt_get64(node->addr) != addr || !rmt_id_legal(rmt_get64(node->birth)) ||
        rmt_node_check(&fake->pages, node) < 0)
        return;
    if (node->level == 0)
        use_leaf(fake, addr, node);
    else
        use_inner(fake, node);
}

static void use_tree(struct fake *fake, struct rmt_tree *tree, unsigned style)
{
    uint8_t buf[RAMET_KEY_MAX], to[RAMET_KEY_MAX];
    struct rmt_cursor c;
    struct rmt_value value;
    struct ramet_slice key;
    uint64_t count;
    rmt_cursor_init(&c, &fake->pages, tree);
    for (uint32_t i = 0; i < STEPS_MAX && rmt_cursor_next(&c) == 0; i++) {
        if (rmt_cursor_get(&c, &key, &value) == 0 && i % 8 == 0)
            use_value(fake, &value);
    }
    rmt_cursor_reset(&c);
    for (uint32_t i = 0; i < STEPS_MAX && rmt_cursor_prev(&c) == 0; i++)
        ;
    for (uint32_t n = 0; n < 40; n++) {
        key = make_key(style, n * 17, buf);
        if (rmt_tree_get(&fake->pages, tree, key, &value) == 0)
            use_value(fake, &value);
        (void)rmt_cursor_seek(&c, key);
        (void)rmt_tree_count_range(&fake->pages, tree, key, make_key(style, n * 31, to), &count);
    }
    rmt_cursor_fini(&c);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_tree(struct fake *fake, struct rmt_tree *tree, unsigned style)
{
    struct rmt_edit edit;
    uint8_t buf[RAMET_KEY_MAX], to[RAMET_KEY_MAX];
    rmt_edit_init(&edit, &fake->pages, NULL, NULL);
    for (uint32_t n = 0; n < 60; n++) {
        struct ramet_slice key = make_key(style, n * 13, buf);
        if (n % 3 == 0)
            (void)rmt_tree_del(&edit, tree, key);
        else
            (void)rmt_tree_put(&edit, tree, key, make_value(style, n), 0);
    }
    (void)rmt_tree_del_range(&edit, tree, make_key(style, 7, buf), make_key(style, 400, to), NULL);
    for (uint32_t n = 0; n < 20; n++)
        (void)rmt_tree_put(&edit, tree, make_key(style, n + 50000, buf), make_value(style, n), 0);
    rmt_assert(rmt_tree_seal(&edit, tree, &fake->w) == 0);
    rmt_edit_fini(&edit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rmt_input in = {data, data + size};
    unsigned style = (unsigned)rmt_input_take(&in, 1) % STYLES;
    unsigned which = (unsigned)rmt_input_take(&in, 1) % NR_SIZES;
    struct fake *fake = &fakes[which];
    struct base *base = &bases[style][which];
    if (!fake->memory)
        fake_init(fake, page_sizes[which], NR_PAGES);
    uint64_t first = fake->pages.first;
    struct rmt_tree tree = base->tree;
    fake->w.next = first;
    fake->w.birth = 1;
    if (style == RAW) {
        make_raw(&in, fake, &tree);
        fake->w.next++;
        fake->w.birth = 2;
    } else {
        if (!base->bytes)
            make_base(base, style, fake);
        tree = base->tree;
        fake->w.birth = base->birth;
        fake->w.next = tree.root.addr + 1; /* it was written last */
        memcpy(fake_page(fake, first), base->bytes, (fake->w.next - first) * page_sizes[which]);
        struct rmt_blocks blocks = {fake_page(fake, first), base->blocks, base->count};
        while (in.p < in.end)
            rmt_patch(&in, &blocks);
    }
    fake->pages.nr_pages = fake->w.next;
    fake_forged = true;
    fake_forget(fake);
    for (uint64_t addr = first; addr < fake->w.next; addr++)
        use_page(fake, addr);
    use_tree(fake, &tree, style);
    write_tree(fake, &tree, style);
    use_tree(fake, &tree, style);
    memset(fake_page(fake, first), 0, (fake->w.next - first) * page_sizes[which]);
    return 0;
}
