/* SPDX-License-Identifier: MIT */
/*
 * forged-test.c - trees whose pages all pass the gate and do not belong together.
 *
 * Bytes, references and lists of runs are changed at random and checksums are taken for right.
 * Whatever is then done to the tree must end, stay in bounds (the sanitizers watch), trip no
 * assert, and write only pages that pass the gate.
 */
#include "tree/diff.h"
#include "tree/fake.h"

#define NR_KEYS 3000

static uint64_t nr_keys; /* to choose from */
static bool numbers;     /* keys and values are such that leaves are fixed or dense */
static uint64_t large_every;
static uint8_t value_bytes[400000];

RMT_AUTO(rmt_arena_fini, struct rmt_arena)

static struct ramet_slice key_make(uint8_t *buf)
{
    uint64_t n = chance(nr_keys);
    if (numbers && chance(300)) {
        rmt_put_be64(buf, n + n / 500 * 7);
        return rmt_slice(buf, 8);
    }
    size_t size = (size_t)sprintf((char *)buf, "%s%llu", n % 3 ? "user/" : "k",
                                  (unsigned long long)(n * 2654435761 % 1000003));
    if (n % 50 == 0)
        size += 200;
    return rmt_slice(buf, size);
}

static struct ramet_slice value_make(void)
{
    if (numbers && chance(1000))
        return rmt_slice(value_bytes, 8);
    size_t size = chance(large_every) ? chance(150) : chance(sizeof(value_bytes));
    return rmt_slice(value_bytes, size);
}

/* All there are, in their order. */
static void put_numbers(struct rmt_edit *edit, struct rmt_tree *tree)
{
    for (uint64_t n = 0; n < NR_KEYS; n++) {
        uint8_t buf[8];
        rmt_put_be64(buf, n + n / 500 * 7);
        assert_int_equal(rmt_tree_put(edit, tree, rmt_slice(buf, 8), rmt_slice(value_bytes, 8), 0),
                         0);
    }
}

static int put_some(struct rmt_edit *edit, struct rmt_tree *tree, uint64_t count)
{
    uint8_t buf[RAMET_KEY_MAX] = {0};
    for (uint64_t i = 0; i < count; i++) {
        int rc = rmt_tree_put(edit, tree, key_make(buf), value_make(), 0);
        if (rc < 0 && rc != RAMET_ECORRUPT)
            return rc;
    }
    return 0;
}

/* Sets one of the file's references to children to another one, of a level that fits or not. */
static void forge_ref(struct fake *fake, struct rmt_disk_node *node)
{
    uint64_t to = fake->pages.first + chance(fake->w.next - fake->pages.first);
    struct rmt_disk_node *other = (struct rmt_disk_node *)(void *)fake_page(fake, to);
    struct rmt_ref ref = {to, rmt_get64(node->birth), 0};
    if (rmt_get64(other->addr) != to || rmt_get64(other->birth) > rmt_get64(node->birth))
        return; /* raw data, mostly */
    ref.birth = rmt_get64(other->birth);
    if (node->level > 0)
        rmt_node_ref_put(node, (uint32_t)chance(rmt_node_size(node)), ref);
}

/* The same for the runs of values. */
static void forge_run(struct fake *fake, struct rmt_disk_run *run)
{
    uint64_t to = fake->pages.first + chance(fake->w.next - fake->pages.first);
    struct rmt_ref ref = {to, rmt_ref_load(&run->ref).birth, 0};
    if (ref.birth)
        rmt_ref_store(&run->ref, ref);
    if (chance(8) == 0)
        run->pages = rmt_put32(1 + (uint32_t)chance(RMT_RUN_PAGES_MAX));
}

static void forge_value(struct fake *fake, struct rmt_disk_node *leaf)
{
    struct rmt_value value;
    uint32_t i = (uint32_t)chance(rmt_node_size(leaf)), n = rmt_node_size(leaf);
    while (n-- > 0 && !rmt_node_extents_at(leaf, i))
        i = (i + 1) % rmt_node_size(leaf);
    if (!rmt_node_extents_at(leaf, i))
        return;
    value = rmt_node_value_at(leaf, fake->pages.page_size, i);
    struct rmt_disk_extents *extents = (struct rmt_disk_extents *)(uintptr_t)value.data;
    switch (chance(4)) {
    case 0: extents->level = (uint8_t)chance(4); break;
    case 1:
        extents->size = rmt_put64((uint64_t)1 << chance(41));
        extents->level += extents->level == 0;
        break;
    default: forge_run(fake, &extents->runs[chance(RMT_EXTENT_RUNS)]);
    }
}

static void forge_bytes(struct fake *fake, struct rmt_disk_node *node)
{
    uint32_t page_size = fake->pages.page_size;
    uint32_t front = rmt_node_front(node), back = rmt_node_back(node);
    uint64_t at = chance(2) || back == 0 ? 32 + chance(front - 32) : page_size - 1 - chance(back);
    if (chance(8) == 0)
        at = 24 + chance(8); /* count, sizes, kind, level */
    uint8_t *byte = (uint8_t *)node + at, before = *byte;
    *byte ^= (uint8_t)(1u << chance(8));
    if (rmt_node_check(&fake->pages, node) < 0 && chance(10))
        *byte = before; /* what the gate refuses is soon dull */
}

/* A fixed or dense leaf begins elsewhere, or is shorter. */
static void forge_numbers(struct fake *fake, struct rmt_disk_node *leaf)
{
    struct rmt_disk_node before = *leaf;
    uint32_t head = rmt_node_head_at(leaf, 0), was = head;
    if (chance(2))
        head += ((uint32_t)chance(600) - 300) << rmt_node_shift(leaf);
    else if (rmt_node_value_size(leaf) == 0)
        leaf->count = rmt_put16((uint16_t)(1 + chance(rmt_node_count(leaf))));
    else
        leaf->cells_size = rmt_put16((uint16_t)chance(9));
    memcpy((uint8_t *)leaf + RMT_NODE_HEADER, &head, sizeof(head));
    if (rmt_node_check(&fake->pages, leaf) == 0)
        return;
    *leaf = before;
    memcpy((uint8_t *)leaf + RMT_NODE_HEADER, &was, sizeof(was));
}

/* Children change places. */
static void forge_order(struct rmt_disk_node *node)
{
    for (uint32_t n = node->level > 0 ? rmt_node_size(node) : 0; n > 0; n--) {
        uint32_t i = (uint32_t)chance(rmt_node_size(node)),
                 j = (uint32_t)chance(rmt_node_size(node));
        struct rmt_ref ref = rmt_node_ref_at(node, i);
        rmt_node_ref_put(node, i, rmt_node_ref_at(node, j));
        rmt_node_ref_put(node, j, ref);
    }
}

static void forge(struct fake *fake)
{
    for (uint64_t i = 1 + chance(60); i > 0; i--) {
        uint64_t addr = fake->pages.first + chance(fake->w.next - fake->pages.first);
        struct rmt_disk_node *node = (struct rmt_disk_node *)(void *)fake_page(fake, addr);
        if (rmt_get64(node->addr) != addr || rmt_node_check(&fake->pages, node) < 0) {
            if (rmt_get64(node->addr) != addr) /* data or a list */
                forge_run(fake,
                          (struct rmt_disk_run *)(void *)((uint8_t *)node + 20 * chance(200)));
            continue;
        }
        switch (chance(3)) {
        case 0: forge_bytes(fake, node); break;
        case 1:
            if (node->level > 0)
                forge_ref(fake, node);
            else if (!rmt_node_general(node))
                forge_numbers(fake, node);
            else
                forge_value(fake, node);
            break;
        default: forge_order(node);
        }
    }
}

static uint64_t sink;

static int sink_run(void *ctx, const struct rmt_disk_run *run, uint32_t level)
{
    (void)ctx;
    sink += rmt_get32(run->pages) + level;
    return 0;
}

static void use_value(struct fake *fake, const struct rmt_value *value)
{
    rmt_auto(rmt_arena_fini) struct rmt_arena *arena = &(struct rmt_arena){0};
    struct ramet_slice slice;
    uint8_t part[5000];
    if (rmt_value_slice(&fake->pages, value, arena, &slice) == 0) {
        for (size_t i = 0; i < slice.size; i += 512)
            sink += ((const uint8_t *)slice.data)[i];
    }
    (void)rmt_value_read(&fake->pages, value, chance(rmt_value_size(&fake->pages, value) + 1), part,
                         sizeof(part));
    (void)rmt_value_runs(&fake->pages, value, true, sink_run, NULL);
}

static void use_cursor(struct fake *fake, struct rmt_cursor *c)
{
    uint8_t buf[RAMET_KEY_MAX] = {0};
    uint64_t budget = chance(200);
    int rc = chance(2) ? rmt_cursor_seek(c, key_make(buf)) : 0;
    bool back = chance(2);
    for (; rc == 0 && budget > 0; budget--) {
        struct ramet_slice key;
        struct rmt_value value;
        rc = back ? rmt_cursor_prev(c) : rmt_cursor_next(c);
        if (rc == 0 && rmt_cursor_get(c, &key, &value) == 0)
            use_value(fake, &value);
    }
}

/* All the way: it must end. */
static void use_scan(struct fake *fake, struct rmt_tree *tree)
{
    struct rmt_cursor c;
    uint64_t steps = 0;
    bool back = chance(2);
    rmt_cursor_init(&c, &fake->pages, tree);
    while ((back ? rmt_cursor_prev(&c) : rmt_cursor_next(&c)) == 0)
        steps++;
    assert_true(steps < 100 * NR_KEYS);
    rmt_cursor_fini(&c);
}

/* Against itself as it was, which is forged, too: it must end, with keys that ascend. */
static int use_diff(struct fake *fake, const struct rmt_tree *old, const struct rmt_tree *new,
                    bool whole)
{
    static struct rmt_diff diff;
    uint8_t from[RAMET_KEY_MAX] = {0}, last[RAMET_KEY_MAX];
    struct ramet_slice key = whole ? rmt_slice(from, 0) : key_make(from), none = {NULL, 0};
    struct rmt_value values[2];
    uint64_t steps = 0;
    size_t last_size = 0;
    rmt_diff_init(&diff, &fake->pages, old, new, key, none);
    int rc;
    while ((rc = rmt_diff_next(&diff, &key, &values[0], &values[1])) == 1) {
        assert_true(!steps || rmt_slice_cmp(rmt_slice(last, last_size), key) < 0);
        memcpy(last, key.data, last_size = key.size);
        for (size_t i = 0; i < 2; i++) {
            if (values[i].data)
                use_value(fake, &values[i]);
        }
        steps++;
    }
    assert_true(steps < 100 * NR_KEYS);
    return rc;
}

static void use(struct fake *fake, struct rmt_edit *edit, struct rmt_tree *tree,
                struct rmt_cursor *c)
{
    uint8_t buf[RAMET_KEY_MAX] = {0}, to_buf[RAMET_KEY_MAX] = {0};
    struct ramet_slice key = key_make(buf), to = key_make(to_buf);
    struct rmt_value value, values[20];
    struct ramet_slice keys[20];
    uint64_t count;
    switch (chance(16)) {
    case 0:
        if (rmt_tree_get(&fake->pages, tree, key, &value) == 0)
            use_value(fake, &value);
        break;
    case 1:
        for (size_t i = 0; i < 20; i++)
            keys[i] = i % 2 ? key : to;
        (void)rmt_tree_get_many(&fake->pages, tree, 20, keys, values);
        break;
    case 2:
        if (chance(5) == 0)
            key.size = 0;
        (void)rmt_tree_count_range(&fake->pages, tree, key, to, &count);
        break;
    case 3: (void)rmt_tree_del_range(edit, tree, key, to, NULL); break;
    case 4: use_cursor(fake, c); break;
    case 5:
        if (chance(20) == 0)
            use_scan(fake, tree);
        break;
    case 6:
        if (chance(100) == 0)
            (void)rmt_tree_drop(edit, tree);
        break;
    case 7:
    case 8:
    case 9: (void)rmt_tree_del(edit, tree, key); break;
    default: assert_int_equal(put_some(edit, tree, 1), 0);
    }
}

static void forged_trees_do_no_harm(void **state)
{
    (void)state;
    for (int round = 0; round < 60; round++) {
        struct fake fake;
        struct rmt_edit edit;
        struct rmt_tree tree = {0}, before = {0};
        struct rmt_cursor c;
        fake_forged = false;
        nr_keys = NR_KEYS;
        numbers = round % 5 > 2;
        large_every = round % 3 ? 1000 : 50;
        fake_init(&fake, 4096, 1 << 16);
        fake.w.run_max = 1;
        fake.w.skip = round % 2;
        for (int i = 0; i < 2; i++) {
            rmt_edit_init(&edit, &fake.pages, fake_reserve, &fake);
            if (numbers && i == 0)
                put_numbers(&edit, &tree);
            else
                assert_int_equal(put_some(&edit, &tree, i ? 100 : NR_KEYS), 0);
            assert_int_equal(rmt_tree_seal(&edit, &tree, &fake.w), 0);
            rmt_edit_fini(&edit);
            fake.w.birth++;
            if (i == 0)
                before = tree;
        }
        fake_forged = true;
        fake_forget(&fake);
        forge(&fake);
        rmt_edit_init(&edit, &fake.pages, fake_reserve, &fake);
        rmt_cursor_init(&c, &fake.pages, &tree);
        nr_keys = round % 3 ? 20 * NR_KEYS : NR_KEYS;
        for (int i = round % 3 ? 6000 : 500; i > 0; i--)
            use(&fake, &edit, &tree, &c);
        use_scan(&fake, &tree);
        (void)use_diff(&fake, &before, &tree, chance(2));
        (void)use_diff(&fake, &tree, &before, chance(2));
        int rc = rmt_tree_seal(&edit, &tree, &fake.w);
        assert_int_equal(rc, 0);
        rmt_cursor_fini(&c);
        rmt_edit_fini(&edit);
        fake_fini(&fake);
    }
}

/* Many levels above a leaf, where every parent has one child many times: to walk it whole takes
 * forever. */
static struct rmt_tree build_tower(struct fake *fake, struct rmt_tree tree)
{
    for (uint32_t level = 1; level <= RMT_LEVEL_MAX; level++) {
        struct rmt_disk_node *node = (struct rmt_disk_node *)(void *)fake_page(fake, fake->w.next);
        *node = (struct rmt_disk_node){.kind = RMT_NODE_INNER, .level = (uint8_t)level};
        rmt_node_ref_put(node, 0, tree.root);
        for (uint32_t i = 0; i < 100; i++) {
            uint8_t key = (uint8_t)(i + 1);
            struct rmt_item item = {.key = {&key, 1}, .ref = tree.root};
            rmt_node_insert(node, 4096, i, &item);
        }
        assert_int_equal(rmt_writer_node(&fake->w, node, &tree.root), 0);
    }
    tree.count = 1;
    return tree;
}

static void one_child_of_many_parents_ends(void **state)
{
    (void)state;
    struct fake fake;
    struct rmt_edit edit;
    struct rmt_tree tree = {0};
    uint64_t count;
    fake_forged = true;
    fake_init(&fake, 4096, 1 << 12);
    rmt_edit_init(&edit, &fake.pages, fake_reserve, &fake);
    assert_int_equal(rmt_tree_put(&edit, &tree, rmt_slice("k", 1), rmt_slice("v", 1), 0), 0);
    assert_int_equal(rmt_tree_seal(&edit, &tree, &fake.w), 0);
    rmt_edit_fini(&edit);
    struct rmt_tree none = {0}, other = build_tower(&fake, tree);
    tree = build_tower(&fake, tree);
    use_scan(&fake, &tree);
    assert_int_equal(use_diff(&fake, &none, &tree, true), RAMET_ECORRUPT);
    assert_int_equal(use_diff(&fake, &tree, &none, true), RAMET_ECORRUPT);
    assert_int_equal(use_diff(&fake, &tree, &other, true), RAMET_ECORRUPT);
    assert_int_equal(
        rmt_tree_count_range(&fake.pages, &tree, rmt_slice("", 0), rmt_slice("z", 1), &count),
        RAMET_ECORRUPT);
    rmt_edit_init(&edit, &fake.pages, fake_reserve, &fake);
    assert_int_equal(rmt_tree_drop(&edit, &tree), RAMET_ECORRUPT);
    assert_int_equal(edit.gone.count, 0);
    assert_int_equal(rmt_tree_del_range(&edit, &tree, rmt_slice("a", 1), rmt_slice("z", 1), NULL),
                     RAMET_ECORRUPT);
    assert_int_equal(edit.gone.count, 0);
    rmt_edit_fini(&edit);
    fake_fini(&fake);
}

/* In a list of runs, and in the bytes of its page in which no run fits. */
static void refuses_bytes_behind_a_list_of_runs(void **state)
{
    (void)state;
    for (uint32_t runs = 10; runs <= 204; runs += 194) { /* 204: as many as fit */
        struct fake fake;
        struct rmt_edit edit;
        struct rmt_tree tree = {0};
        struct rmt_value value;
        fake_forged = false;
        fake_init(&fake, 4096, 1 << 12);
        fake.w.run_max = 1;
        fake.w.skip = 1;
        rmt_edit_init(&edit, &fake.pages, fake_reserve, &fake);
        size_t size = runs * (size_t)4096;
        rmt_auto(free) uint8_t *bytes = calloc(1, size);
        assert_int_equal(rmt_tree_put(&edit, &tree, rmt_slice("k", 1), rmt_slice(bytes, size), 0),
                         0);
        assert_int_equal(rmt_tree_seal(&edit, &tree, &fake.w), 0);
        rmt_edit_fini(&edit);
        fake_forged = true;
        assert_int_equal(rmt_tree_get(&fake.pages, &tree, rmt_slice("k", 1), &value), 0);
        assert_int_equal(rmt_value_runs(&fake.pages, &value, true, sink_run, NULL), 0);
        const struct rmt_disk_extents *extents = value.data;
        assert_int_equal(extents->level, 1);
        fake_page(&fake, rmt_ref_load(&extents->runs[0].ref).addr)[4095] = 1;
        assert_int_equal(rmt_value_runs(&fake.pages, &value, true, sink_run, NULL), RAMET_ECORRUPT);
        fake_fini(&fake);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forged_trees_do_no_harm),
        cmocka_unit_test(one_child_of_many_parents_ends),
        cmocka_unit_test(refuses_bytes_behind_a_list_of_runs),
    };
    chance_state = chance_seed(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
