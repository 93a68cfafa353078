/* SPDX-License-Identifier: MIT */
/*
 * layout-test.c - which layout leaves have, and what they hold while it changes.
 *
 * Keys are numbers, big-endian, perhaps behind some bytes that all have. The model is an array.
 */
#include "tree/fake.h"

#define NUMBERS 4000
#define NO_NUMBER UINT32_MAX

struct entry {
    bool there;
    uint8_t fill; /* all bytes of the value */
    uint32_t size;
};

struct state {
    struct fake fake;
    struct rmt_edit edit;
    struct rmt_tree tree;
    uint32_t key_size;
    uint64_t base; /* number of entry 0 */
    uint32_t limit;
    struct ramet_slice extra; /* a key that is there, too, and is no number */
    struct entry entries[NUMBERS];
};

/* Grants what is needed, and nothing ahead, so that what an operation did not ask for is missed. */
static int reserve_exact(void *ctx, uint64_t pages)
{
    return pages > 32 ? -ENOSPC : fake_reserve(ctx, pages);
}

static void state_init(struct state *s, uint32_t page_size, uint32_t key_size, uint64_t base)
{
    memset(s, 0, sizeof(*s));
    fake_init(&s->fake, page_size, 1 << 14);
    rmt_edit_init(&s->edit, &s->fake.pages, reserve_exact, &s->fake);
    s->key_size = key_size;
    s->base = base;
    s->limit = key_size == 1 ? 250 : NUMBERS;
}

static void state_fini(struct state *s)
{
    rmt_edit_fini(&s->edit);
    fake_fini(&s->fake);
}

/* Everything goes to the file, and is read from there. */
static void seal(struct state *s)
{
    assert_int_equal(rmt_tree_seal(&s->edit, &s->tree, &s->fake.w), 0);
    rmt_edit_fini(&s->edit);
    s->fake.w.birth++;
    fake_forget(&s->fake);
    s->fake.reserved = 0;
    rmt_edit_init(&s->edit, &s->fake.pages, reserve_exact, &s->fake);
}

static struct ramet_slice key_of(const struct state *s, uint32_t n, uint8_t buf[16])
{
    uint8_t number[8];
    uint32_t size = rmt_min(s->key_size, 8);
    memset(buf, 'p', 16);
    rmt_put_be64(number, s->base + n);
    memcpy(buf + s->key_size - size, number + 8 - size, size);
    return rmt_slice(buf, s->key_size);
}

static struct ramet_slice value_of(const struct entry *entry)
{
    static uint8_t bytes[20000];
    memset(bytes, entry->fill, entry->size);
    return rmt_slice(bytes, entry->size);
}

static void put(struct state *s, uint32_t n, uint32_t size)
{
    uint8_t buf[16];
    assert_true(n < s->limit);
    s->entries[n] = (struct entry){true, (uint8_t)chance(256), size};
    assert_int_equal(
        rmt_tree_put(&s->edit, &s->tree, key_of(s, n, buf), value_of(&s->entries[n]), 0), 0);
    assert_true(s->edit.nr_private <= s->edit.nr_reserved);
}

static void put_all(struct state *s, uint32_t from, uint32_t to, uint32_t step, uint32_t size)
{
    for (uint32_t n = from; n < to; n += step)
        put(s, n, size);
}

static void del(struct state *s, uint32_t n)
{
    uint8_t buf[16];
    assert_int_equal(rmt_tree_del(&s->edit, &s->tree, key_of(s, n, buf)),
                     s->entries[n].there ? 0 : RAMET_ENOTFOUND);
    s->entries[n].there = false;
}

static void del_range(struct state *s, uint32_t from, uint32_t to)
{
    uint8_t from_buf[16], to_buf[16];
    uint64_t count, want = 0;
    for (uint32_t n = from; n < to; n++) {
        want += s->entries[n].there;
        s->entries[n].there = false;
    }
    assert_int_equal(rmt_tree_del_range(&s->edit, &s->tree, key_of(s, from, from_buf),
                                        key_of(s, to, to_buf), &count),
                     0);
    assert_int_equal(count, want);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void same_value(struct state *s, const struct rmt_value *value, uint32_t n)
{
    struct rmt_arena arena = {0};
    struct ramet_slice got;
    assert_int_equal(rmt_value_slice(&s->fake.pages, value, &arena, &got), 0);
    if (rmt_slice_cmp(got, value_of(&s->entries[n])) != 0)
        fail_msg("number %u has another value", n);
    rmt_arena_fini(&arena);
}

/* The first number from n on that is there. */
static uint32_t next_there(const struct state *s, uint32_t n)
{
    while (n < s->limit && !s->entries[n].there)
        n++;
    return n < s->limit ? n : NO_NUMBER;
}

static uint32_t last_there(const struct state *s, uint32_t end)
{
    while (end > 0 && !s->entries[end - 1].there)
        end--;
    return end > 0 ? end - 1 : NO_NUMBER;
}

static void cursor_is(struct state *s, struct rmt_cursor *c, int rc, uint32_t n)
{
    struct ramet_slice key;
    struct rmt_value value;
    uint8_t buf[16];
    assert_int_equal(rc, n == NO_NUMBER ? RAMET_ENOTFOUND : 0);
    if (n == NO_NUMBER)
        return;
    assert_int_equal(rmt_cursor_get(c, &key, &value), 0);
    assert_int_equal(rmt_slice_cmp(key, key_of(s, n, buf)), 0);
    same_value(s, &value, n);
}

static void same_by_cursor(struct state *s)
{
    struct rmt_cursor c;
    uint8_t buf[17] = {0};
    uint32_t n;
    rmt_cursor_init(&c, &s->fake.pages, &s->tree);
    for (n = next_there(s, 0); n != NO_NUMBER; n = next_there(s, n + 1))
        cursor_is(s, &c, rmt_cursor_next(&c), n);
    assert_int_equal(rmt_cursor_next(&c), RAMET_ENOTFOUND);
    for (n = last_there(s, s->limit); n != NO_NUMBER; n = last_there(s, n))
        cursor_is(s, &c, rmt_cursor_prev(&c), n);
    assert_int_equal(rmt_cursor_prev(&c), RAMET_ENOTFOUND);

    for (uint32_t i = 0; i < 600; i++) { /* to keys, and to just behind and far before them */
        n = (uint32_t)chance(s->limit);
        struct ramet_slice key = key_of(s, n, buf);
        cursor_is(s, &c, rmt_cursor_seek(&c, key), next_there(s, n));
        if (next_there(s, n) != NO_NUMBER) {
            cursor_is(s, &c, rmt_cursor_prev(&c), last_there(s, n));
            cursor_is(s, &c, rmt_cursor_seek(&c, key), next_there(s, n));
            cursor_is(s, &c, rmt_cursor_next(&c), next_there(s, next_there(s, n) + 1));
        }
        buf[key.size++] = 0;
        cursor_is(s, &c, rmt_cursor_seek(&c, key), next_there(s, n + 1));
        key.size = s->key_size - 1;
        if (key.size == 0)
            continue;
        while (n > 0 && (s->base + n) % 256)
            n--; /* the first that the shorter key begins, unless it is below all */
        cursor_is(s, &c, rmt_cursor_seek(&c, key), next_there(s, n));
    }
    rmt_cursor_fini(&c);
}

static void same_by_key(struct state *s)
{
    static uint8_t bufs[NUMBERS][16];
    static struct ramet_slice keys[NUMBERS];
    static struct rmt_value values[NUMBERS];
    uint8_t other[17] = {0};
    for (uint32_t n = 0; n < s->limit; n++) {
        struct rmt_value value;
        keys[n] = key_of(s, n, bufs[n]);
        int rc = fake_get(&s->fake.pages, &s->tree, keys[n], &value);
        assert_int_equal(rc, s->entries[n].there ? 0 : RAMET_ENOTFOUND);
        if (rc == 0)
            same_value(s, &value, n);
        memcpy(other, bufs[n], s->key_size);
        for (size_t size = s->key_size - 1; size <= s->key_size + 1; size += 2) {
            struct ramet_slice key = {other, size};
            assert_int_equal(fake_get(&s->fake.pages, &s->tree, key, &value),
                             rmt_slice_cmp(key, s->extra) == 0 && size ? 0 : RAMET_ENOTFOUND);
        }
    }
    assert_int_equal(fake_get_many(&s->fake.pages, &s->tree, s->limit, keys, values), 0);
    for (uint32_t n = 0; n < s->limit; n++) {
        if (s->entries[n].there)
            same_value(s, &values[n], n);
        else
            assert_null(values[n].data);
    }
}

static void same_counts(struct state *s)
{
    uint64_t all = 0;
    for (uint32_t n = 0; n < s->limit; n++)
        all += s->entries[n].there;
    all += s->extra.size > 0;
    assert_int_equal(s->tree.count, all);
    for (uint32_t i = 0; i < 60; i++) {
        uint8_t from_buf[16], to_buf[16];
        uint32_t from = (uint32_t)chance(s->limit), to = (uint32_t)chance(s->limit);
        uint64_t count, want = 0;
        for (uint32_t n = from; n < to; n++)
            want += s->entries[n].there;
        assert_int_equal(rmt_tree_count_range(&s->fake.pages, &s->tree, key_of(s, from, from_buf),
                                              key_of(s, to, to_buf), &count),
                         0);
        assert_int_equal(count, want);
    }
}

static void same(struct state *s)
{
    same_by_cursor(s);
    same_by_key(s);
    same_counts(s);
}

/* ---- layouts --------------------------------------------------------------------------------- */

struct layouts {
    uint32_t general, fixed, dense; /* leaves */
    uint32_t lone;                  /* of them: with one entry */
};

static void layouts_add(struct state *s, struct rmt_ref ref, struct layouts *out)
{
    const struct rmt_disk_node *node = NULL;
    if (rmt_ref_none(ref))
        return;
    assert_int_equal(rmt_ref_open(&s->fake.pages, ref, &node), 0);
    for (uint32_t i = 0; node->level > 0 && i < rmt_node_size(node); i++)
        layouts_add(s, rmt_node_child(node, i), out);
    if (node->level > 0)
        return;
    out->lone += rmt_node_count(node) == 1;
    if (rmt_node_general(node))
        out->general++;
    else if (rmt_node_dense(node))
        out->dense++;
    else
        out->fixed++;
}

static struct layouts layouts_of(struct state *s)
{
    struct layouts layouts = {0};
    layouts_add(s, s->tree.root, &layouts);
    return layouts;
}

enum layout { GENERAL, FIXED, DENSE };

/* All leaves have that layout. Returns how many there are. */
static uint32_t all_are(struct state *s, enum layout layout)
{
    struct layouts l = layouts_of(s);
    uint32_t all = l.general + l.fixed + l.dense;
    assert_true(all > 0);
    uint32_t right = layout == DENSE ? l.dense : layout == FIXED ? l.fixed : l.general;
    assert_true(right == all || right + l.lone == all);
    return all;
}

/* ---- which one it is ------------------------------------------------------------------------- */

static const uint32_t key_sizes[] = {1, 2, 3, 4, 8, 12};
#define ONE_PAGE 4096u /* of such a value, where pages have that size, a leaf has 16 bytes */
static const uint32_t value_sizes[] = {0, 1, 2, 3, 8, 100, 900, ONE_PAGE};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void numbers_in_a_row_are_dense(void **state)
{
    (void)state;
    static struct state s;
    for (size_t i = 0; i < COUNT_OF(key_sizes) * COUNT_OF(value_sizes); i++) {
        uint32_t value_size = value_sizes[i / COUNT_OF(key_sizes)];
        bool large = i % 5 == 0 && value_size != ONE_PAGE;
        state_init(&s, large ? 32768 : 4096, key_sizes[i % COUNT_OF(key_sizes)], 3);
        uint32_t end = rmt_min(s.limit, value_size > 100 ? 400 : 2600);
        put_all(&s, 0, end, 1, value_size);
        same(&s);
        seal(&s);
        same(&s);
        uint32_t leaves = all_are(&s, DENSE);
        uint32_t room = s.fake.pages.page_size - 32 - s.key_size;
        uint32_t in_leaf = value_size == ONE_PAGE ? RMT_PAGE_RECORD_SIZE : value_size;
        uint32_t each = room / (4 + in_leaf), wanted = (end + each - 1) / each;
        if (leaves > wanted + 1)
            fail_msg("%u leaves instead of %u: %u %u", leaves, wanted, s.key_size, value_size);
        state_fini(&s);
    }
}

static void numbers_with_gaps_are_fixed(void **state)
{
    (void)state;
    static struct state s;
    for (size_t i = 0; i < COUNT_OF(key_sizes) * COUNT_OF(value_sizes); i++) {
        uint32_t value_size = value_sizes[i / COUNT_OF(key_sizes)];
        bool large = i % 5 == 0 && value_size != ONE_PAGE;
        state_init(&s, large ? 32768 : 4096, key_sizes[i % COUNT_OF(key_sizes)], 200);
        s.limit = s.key_size == 1 ? 50 : s.limit;
        put_all(&s, 0, rmt_min(s.limit, value_size > 100 ? 400 : s.limit), 3, value_size);
        same(&s);
        seal(&s);
        same(&s);
        (void)all_are(&s, FIXED);
        state_fini(&s);
    }
}

/* In no order: leaves are filled by splits. */
static void order_of_writing_does_not_matter(void **state)
{
    (void)state;
    static struct state s;
    for (uint32_t round = 0; round < 6; round++) {
        state_init(&s, 4096, round % 2 ? 8 : 4, UINT32_MAX - 1500);
        s.base = s.key_size == 4 ? 70000 : s.base;
        for (uint32_t i = 0; i < 2000; i++)
            put(&s, round < 2 ? 1999 - i : i * 779 % 2000, 8);
        same(&s);
        seal(&s);
        same(&s);
        struct layouts l = layouts_of(&s);
        assert_int_equal(l.fixed, 0);
        assert_true(l.general <= 1); /* where the numbers become longer than a suffix can be */
        state_fini(&s);
    }
}

static void last_numbers_of_a_size_are_dense(void **state)
{
    (void)state;
    static struct state s;
    for (uint32_t size = 1; size <= 4; size++) {
        uint64_t numbers = (uint64_t)1 << 8 * size;
        state_init(&s, 4096, size, numbers - 200);
        s.limit = 200;
        put_all(&s, 0, 200, 1, 5);
        seal(&s);
        (void)all_are(&s, DENSE);
        same(&s);
        /* There is no next one: a longer key is the next. */
        uint8_t key[5] = {0xff, 0xff, 0xff, 0xff, 0};
        struct ramet_slice longer = {key + 4 - size, size + 1};
        assert_int_equal(rmt_tree_put(&s.edit, &s.tree, longer, rmt_slice("value", 5), 0), 0);
        seal(&s);
        assert_int_equal(rmt_tree_del(&s.edit, &s.tree, longer), 0);
        same(&s);
        seal(&s);
        (void)all_are(&s, DENSE);
        same(&s);
        state_fini(&s);
    }
}

static void one_entry_alone_is_general(void **state)
{
    (void)state;
    static struct state s;
    state_init(&s, 4096, 8, 0);
    put(&s, 7, 8);
    seal(&s);
    assert_int_equal(all_are(&s, GENERAL), 1);
    put(&s, 8, 8);
    seal(&s);
    assert_int_equal(all_are(&s, DENSE), 1);
    del(&s, 8); /* but what is dense stays so */
    seal(&s);
    assert_int_equal(all_are(&s, DENSE), 1);
    same(&s);
    del(&s, 7);
    seal(&s);
    assert_true(rmt_ref_none(s.tree.root));
    state_fini(&s);
}

/* ---- there and back -------------------------------------------------------------------------- */

/* A dense tree of 1,200 numbers from 1,000 on, sealed. */
static void dense_sample(struct state *s, uint32_t value_size)
{
    state_init(s, 4096, 8, 500);
    put_all(s, 1000, 2200, 1, value_size);
    seal(s);
    (void)all_are(s, DENSE);
}

static void ends_can_go_and_come(void **state)
{
    (void)state;
    static struct state s;
    dense_sample(&s, 8);
    for (uint32_t i = 0; i < 30; i++) { /* what is taken off the ends leaves them dense */
        del(&s, 1000 + i);
        del(&s, 2199 - i);
        struct layouts l = layouts_of(&s);
        assert_int_equal(l.fixed + l.general, 0);
    }
    same(&s);
    put_all(&s, 2170, 2300, 1, 8); /* and so does what goes behind the last */
    struct layouts l = layouts_of(&s);
    assert_int_equal(l.fixed + l.general, 0);
    for (uint32_t i = 0; i < 200; i++)
        put(&s, 1029 - i, 8); /* what comes before the first makes it fixed for a while */
    assert_true(layouts_of(&s).fixed > 0);
    same(&s);
    seal(&s);
    (void)all_are(&s, DENSE);
    same(&s);
    state_fini(&s);
}

static void a_hole_makes_fixed_and_filling_it_dense(void **state)
{
    (void)state;
    static struct state s;
    for (uint32_t sealed = 0; sealed < 2; sealed++) {
        dense_sample(&s, sealed ? 0 : 8);
        uint32_t leaves = all_are(&s, DENSE);
        del(&s, 1100);
        assert_int_equal(layouts_of(&s).fixed, 1);
        same(&s);
        if (sealed)
            seal(&s);
        assert_int_equal(layouts_of(&s).fixed, 1);
        assert_int_equal(layouts_of(&s).dense, leaves - 1);
        same(&s);
        put(&s, 1100, sealed ? 0 : 8);
        same(&s);
        seal(&s);
        assert_int_equal(all_are(&s, DENSE), leaves);
        same(&s);
        state_fini(&s);
    }
}

static void another_value_size_makes_general_and_back(void **state)
{
    (void)state;
    static struct state s;
    static const uint32_t sizes[] = {0, 7, 9, 300, 1000, 15000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (uint32_t n = 999; n <= 2200; n += 1 + (uint32_t)chance(300)) {
            dense_sample(&s, 8);
            uint32_t dense = all_are(&s, DENSE);
            bool inside = n >= 1000 && n < 2200;
            put(&s, n, sizes[i]);
            same(&s);
            assert_true(layouts_of(&s).general >= 1);
            seal(&s);
            assert_true(layouts_of(&s).general >= inside);
            assert_true(layouts_of(&s).dense >= dense - 1);
            same(&s);
            if (inside)
                put(&s, n, 8);
            else
                del(&s, n);
            seal(&s);
            struct layouts l = layouts_of(&s);
            assert_int_equal(l.general + l.fixed, 0);
            same(&s);
            state_fini(&s);
        }
    }
}

/* Of the same value size, but not of the same kind of key. */
static void another_key_size_makes_general_and_back(void **state)
{
    (void)state;
    static struct state s;
    static const char *const keys[] = {"",       "\x7f", "a", "\xff", "more than eight",
                                       "\0\0\0", "\0\0"};
    static const size_t sizes[] = {9, 7, 1, 1, 15, 3, 2};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        uint8_t buf[17] = {0};
        dense_sample(&s, 8);
        struct ramet_slice key = {keys[i], sizes[i]};
        if (i < 2) { /* right behind one, and before many */
            (void)key_of(&s, 1400, buf);
            key.data = buf;
        }
        buf[8] = 0;
        assert_int_equal(rmt_tree_put(&s.edit, &s.tree, key, rmt_slice("12345678", 8), 0), 0);
        s.extra = key;
        assert_true(i >= 2 || layouts_of(&s).general >= 1); /* at the ends it has its own leaf */
        same_by_key(&s);
        seal(&s);
        same_by_key(&s);
        struct rmt_value value;
        assert_int_equal(fake_get(&s.fake.pages, &s.tree, key, &value), 0);
        assert_int_equal(value.size, 8);
        assert_memory_equal(value.data, "12345678", 8);
        assert_int_equal(rmt_tree_del(&s.edit, &s.tree, key), 0);
        s.extra.size = 0;
        same(&s);
        seal(&s);
        struct layouts l = layouts_of(&s);
        assert_int_equal(l.general + l.fixed, 0);
        same(&s);
        state_fini(&s);
    }
}

/* Leaves of empty values hold more than two general ones do: an item of another size must still
 * find room, wherever it goes. */
static void crowded_leaves_are_halved(void **state)
{
    (void)state;
    static struct state s;
    static const uint32_t sizes[] = {1, 8, 900, 1014, 15000};
    for (uint32_t value_size = 0; value_size < 4; value_size++) {
        for (uint32_t round = 0; round < 40; round++) {
            uint32_t size = sizes[round % COUNT_OF(sizes)], n = (uint32_t)chance(3000);
            uint32_t step = 1 + round / 20;
            state_init(&s, round % 4 ? 4096 : 65536, round % 3 ? 8 : 4, 1u << 24);
            put_all(&s, 0, 3500, step, value_size);
            if (round % 2)
                seal(&s);
            put(&s, n, size + (size == value_size));
            put(&s, rmt_min(n + (uint32_t)chance(20), 2999), size + (size == value_size));
            if (round % 8 == 1)
                same(&s);
            seal(&s);
            same(&s);
            state_fini(&s);
        }
    }
}

/* A value in extents leaves a record in its leaf that is no value of its size. */
static void records_are_no_values(void **state)
{
    (void)state;
    static struct state s;
    static const uint32_t places[] = {1003, 1400, 1405, 2199, 2200, 999, 900};
    for (uint32_t round = 0; round < 14; round++) {
        uint32_t n = places[round % 7];
        dense_sample(&s, sizeof(struct rmt_disk_extents));
        if (round < 7)
            del_range(&s, 1399, 1402); /* a fixed leaf with room */
        put(&s, n, 15000);
        same(&s);
        seal(&s);
        same(&s);
        put(&s, n, sizeof(struct rmt_disk_extents));
        put(&s, n, 16000);
        same(&s);
        del(&s, n);
        put(&s, n, 17000);
        seal(&s);
        same(&s);
        state_fini(&s);
    }
    state_init(&s, 4096, 8, 0); /* and none of a new leaf is */
    for (uint32_t n = 0; n < 100; n++)
        put(&s, n, n % 2 ? 15000 : sizeof(struct rmt_disk_extents));
    same(&s);
    seal(&s);
    same(&s);
    state_fini(&s);
}

/* Ascending entries that do not suit the leaf of those before them do not leave it half empty. */
static void changing_sizes_fill_leaves(void **state)
{
    (void)state;
    static struct state s;
    for (uint32_t every = 1; every < 40; every += 9) {
        uint32_t bytes = 0;
        state_init(&s, 4096, 8, 0);
        for (uint32_t n = 0; n < 3000; n++) {
            put(&s, n, n < 300 ? 20 : 20 + n / every % 2);
            bytes += 10 + s.entries[n].size;
            if (n == 300)
                seal(&s);
        }
        same(&s);
        seal(&s);
        same(&s);
        struct layouts l = layouts_of(&s);
        assert_true(l.general + l.fixed + l.dense <= bytes / 3800 + 2);
        state_fini(&s);
    }
}

/* What a crowded leaf needs is asked for before anything changes. */
static void crowded_leaves_on_a_full_disk_stay(void **state)
{
    (void)state;
    static struct state s;
    uint8_t buf[16];
    struct entry entry = {true, 1, 900};
    state_init(&s, 4096, 8, 0);
    put_all(&s, 0, 3500, 1, 0);
    seal(&s);
    struct rmt_ref root = s.tree.root;
    s.fake.reserve_fail_in = 0;
    assert_int_equal(rmt_tree_put(&s.edit, &s.tree, key_of(&s, 1700, buf), value_of(&entry), 0),
                     -ENOSPC);
    assert_true(rmt_ref_equal(root, s.tree.root));
    assert_int_equal(s.edit.nr_private, 0);
    same(&s);
    s.fake.reserve_fail_in = -1;
    put(&s, 1700, 900);
    same(&s);
    state_fini(&s);
}

/* The same where each half makes the node above it larger, and that is full. */
static void halves_under_a_full_node_have_their_pages(void **state)
{
    (void)state;
    static struct state s;
    const struct rmt_disk_node *root = NULL;
    struct ramet_slice blank = {"", 0}, large = {value_of(&(struct entry){true, 1, 900}).data, 900};
    struct rmt_value value;
    uint8_t buf[16];
    uint32_t n = 0;
    state_init(&s, 4096, 8, (uint64_t)1 << 20);
    do {
        assert_int_equal(rmt_tree_put(&s.edit, &s.tree, key_of(&s, n++, buf), blank, 0), 0);
        assert_int_equal(rmt_ref_open(&s.fake.pages, s.tree.root, &root), 0);
    } while (root->level == 0 || rmt_node_gap(root, 4096) >= 22 || rmt_node_prefix_size(root) < 5);
    assert_int_equal(root->level, 1);
    seal(&s);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(rmt_tree_put(&s.edit, &s.tree, key_of(&s, n / 2 + i, buf), large, 0), 0);
        assert_true(s.edit.nr_private <= s.edit.nr_reserved);
    }
    assert_int_equal(rmt_ref_open(&s.fake.pages, s.tree.root, &root), 0);
    assert_int_equal(root->level, 2);
    seal(&s);
    assert_int_equal(s.tree.count, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(fake_get(&s.fake.pages, &s.tree, key_of(&s, i, buf), &value), 0);
        assert_int_equal(value.size, i == n / 2 || i == n / 2 + 1 ? 900 : 0);
    }
    state_fini(&s);
}

/* A value may be put that is part of the very leaf it goes to, and moves as it goes there. */
static void values_of_the_leaf_itself_can_be_put(void **state)
{
    (void)state;
    static struct state s;
    static const uint32_t sizes[] = {1, 8, 40};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        state_init(&s, 4096, 8, 0);
        put_all(&s, 0, 60, 2, sizes[i]);
        seal(&s);
        for (uint32_t round = 0; round < 200; round++) {
            uint32_t from = last_there(&s, 1 + (uint32_t)chance(59)), to = (uint32_t)chance(70);
            uint8_t buf[16];
            struct rmt_value value = {0};
            assert_int_equal(fake_get(&s.fake.pages, &s.tree, key_of(&s, from, buf), &value), 0);
            struct ramet_slice same_bytes = {value.data, value.size};
            if (round % 4 == 3 && same_bytes.size > 1)
                same_bytes.size--; /* another size: it becomes general */
            assert_int_equal(rmt_tree_put(&s.edit, &s.tree, key_of(&s, to, buf), same_bytes, 0), 0);
            s.entries[to] = (struct entry){true, s.entries[from].fill, (uint32_t)same_bytes.size};
            same_by_key(&s);
            if (round % 4 == 3)
                put(&s, to, sizes[i]);
            if (round % 10 == 9)
                seal(&s);
            if (to > 2 && to < 60)
                del(&s, to);
        }
        same(&s);
        state_fini(&s);
    }
}

/* ---- splits, merges, ranges, savepoints ------------------------------------------------------ */

static void merged_leaves_are_what_they_hold(void **state)
{
    (void)state;
    static struct state s;
    for (uint32_t round = 0; round < 12; round++) {
        dense_sample(&s, round % 3 ? 8 : 0);
        uint32_t before = all_are(&s, DENSE), from = 1010 + (uint32_t)chance(40);
        if (round % 2) { /* a few at both ends are left, and many holes */
            for (uint32_t n = from; n < 2150; n++)
                if (chance(20))
                    del(&s, n);
        } else {
            for (uint32_t n = from; n < 2190; n++)
                del(&s, n);
        }
        same(&s);
        seal(&s);
        struct layouts l = layouts_of(&s);
        assert_int_equal(l.general, 0);
        assert_true(l.fixed + l.dense < before || before < 3);
        same(&s);
        put_all(&s, 1000, 2200, 1, round % 3 ? 8 : 0);
        seal(&s);
        (void)all_are(&s, DENSE);
        same(&s);
        state_fini(&s);
    }
}

static void ranges_are_cut_out(void **state)
{
    (void)state;
    static struct state s;
    for (uint32_t round = 0; round < 60; round++) {
        uint32_t size = value_sizes[round % 6], step = 1 + round % 2;
        state_init(&s, 4096, round % 3 ? 8 : 3, 1000);
        put_all(&s, 0, 2500, step, size);
        if (round % 4)
            seal(&s);
        for (uint32_t i = 0; i < 4; i++) { /* within a leaf, across several, at an end */
            uint32_t from = (uint32_t)chance(2500);
            uint32_t to = from + (uint32_t)chance(chance(2) ? 40 : 1500);
            del_range(&s, chance(8) ? from : 0, rmt_min(to, NUMBERS - 1));
        }
        same(&s);
        seal(&s);
        assert_int_equal(layouts_of(&s).general, 0);
        same(&s);
        if (round % 5 == 0) {
            assert_int_equal(rmt_tree_drop(&s.edit, &s.tree), 0);
            memset(s.entries, 0, sizeof(s.entries));
            same(&s);
        }
        state_fini(&s);
    }
}

static void rolling_back_brings_the_layout_back(void **state)
{
    (void)state;
    static struct state s;
    static struct entry entries[NUMBERS];
    dense_sample(&s, 0);
    put_all(&s, 2200, 2300, 1, 0);
    memcpy(entries, s.entries, sizeof(entries));
    struct layouts before = layouts_of(&s);
    struct rmt_tree tree = s.tree;
    struct rmt_edit_mark mark;
    rmt_edit_mark(&s.edit, &mark);
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 1 + round; i++) {
            uint32_t n = 900 + (uint32_t)chance(1500);
            if (s.entries[n].there && chance(2))
                del(&s, n);
            else
                put(&s, n, chance(2) ? 0 : (uint32_t)chance(900));
        }
        same(&s);
        rmt_edit_rollback(&s.edit, &mark);
        rmt_tree_set(&s.tree, tree.root, tree.count);
        memcpy(s.entries, entries, sizeof(entries));
        same(&s);
        struct layouts after = layouts_of(&s);
        assert_memory_equal(&after, &before, sizeof(before));
    }
    seal(&s);
    (void)all_are(&s, DENSE);
    same(&s);
    state_fini(&s);
}

/* Cursors stand where they stood while leaves under them change their layout. */
/* ---- keys of eight bytes among others -------------------------------------------------------- */

#define MIXED 3000

struct mixed {
    uint8_t bytes[12];
    uint32_t size;
};

static int by_key(const void *a, const void *b)
{
    const struct mixed *x = a, *y = b;
    return rmt_slice_cmp(rmt_slice(x->bytes, x->size), rmt_slice(y->bytes, y->size));
}

/* Numbers in rows, with gaps, and anywhere, which begin alike; some of the keys are longer or
 * shorter, and so are separators. */
static struct mixed some_key(uint32_t kind)
{
    static const uint64_t bases[] = {0, 200, 65530, UINT32_MAX - 100, UINT64_MAX - 4000};
    struct mixed key = {.size = 8};
    uint64_t number = bases[chance(5)];
    if (kind == 0)
        number += chance(4000) & (chance(2) ? UINT64_MAX : ~(uint64_t)7);
    else if (kind == 1)
        number = chance(UINT64_MAX);
    else
        number = chance(2) ? chance(3) << 40 | chance(2000) << 8 : number + chance(20) * 256;
    rmt_put_be64(key.bytes, number);
    if (kind == 2 && chance(3) == 0)
        key.size = (uint32_t)(1 + chance(12));
    if (kind == 3) { /* all separators have more than eight bytes */
        bool longer = chance(100) > 0;
        rmt_put_be64(key.bytes + 4, chance(UINT32_MAX));
        rmt_put_be64(key.bytes, longer ? 1000 : 998 + chance(5));
        key.size = longer ? 12 : 8;
    }
    return key;
}

static void mixed_are_found(struct state *s, const struct mixed *keys, size_t count)
{
    for (size_t i = 0; i < 3 * count; i++) {
        struct mixed key = keys[i % count];
        uint64_t number = rmt_get_be64(key.bytes) + (i / count == 0 ? 0 : chance(5) - 2);
        key.size = 8;
        rmt_put_be64(key.bytes, number);
        const struct mixed *want = bsearch(&key, keys, count, sizeof(key), by_key);
        struct rmt_value value = {.data = NULL};
        int rc = fake_get(&s->fake.pages, &s->tree, rmt_slice(key.bytes, 8), &value);
        assert_int_equal(rc, want ? 0 : RAMET_ENOTFOUND);
        if (want)
            assert_memory_equal(value.data, key.bytes, 8);
        struct rmt_value again = {.data = NULL};
        assert_int_equal(rmt_tree_get_number(&s->fake.pages, &s->tree, number, &again), rc);
        assert_true(rc < 0 || again.data == value.data);
    }
}

static void numbers_are_found_among_other_keys(void **state)
{
    (void)state;
    static struct state s;
    static struct mixed keys[MIXED];
    for (uint32_t kind = 0; kind < 4; kind++) {
        for (size_t many = 3; many <= MIXED; many *= 10) {
            size_t count = 0;
            state_init(&s, 4096, 8, 0);
            for (size_t i = 0; i < many; i++) {
                struct mixed key = some_key(kind);
                struct ramet_slice slice = rmt_slice(key.bytes, key.size);
                int rc = rmt_tree_put(&s.edit, &s.tree, slice, rmt_slice(key.bytes, 8),
                                      RMT_PUT_NOOVERWRITE);
                if (rc == 0)
                    keys[count++] = key;
                else
                    assert_int_equal(rc, -EEXIST);
                if (i % 500 == 499)
                    seal(&s);
            }
            qsort(keys, count, sizeof(keys[0]), by_key);
            mixed_are_found(&s, keys, count);
            seal(&s);
            mixed_are_found(&s, keys, count);
            mixed_are_found(&s, keys, count); /* all pages known */
            state_fini(&s);
        }
    }
}

/* 2^32 commits later a page has the same half of a birth. */
static void what_an_address_had_before_is_forgotten(void **state)
{
    (void)state;
    static struct state s;
    state_init(&s, 4096, 8, 1000);
    put_all(&s, 0, 2000, 1, 8);
    uint64_t first_leaf = s.fake.w.next, birth = s.fake.w.birth;
    assert_int_equal(rmt_tree_seal(&s.edit, &s.tree, &s.fake.w), 0);
    same_by_key(&s);
    for (uint32_t n = 40; n < 100; n++) /* the leaf is general from now on */
        put(&s, n, 8 + n % 3);
    s.fake.w.next = first_leaf;
    s.fake.w.skip = 1000; /* and no other has been written over */
    s.fake.w.birth = birth + ((uint64_t)1 << 32);
    assert_int_equal(rmt_tree_seal(&s.edit, &s.tree, &s.fake.w), 0);
    same_by_key(&s);
    state_fini(&s);
}

static void cursors_stay_while_layouts_change(void **state)
{
    (void)state;
    static struct state s;
    struct rmt_cursor c;
    uint8_t buf[16];
    dense_sample(&s, 8);
    rmt_cursor_init(&c, &s.fake.pages, &s.tree);
    for (uint32_t round = 0; round < 300; round++) {
        uint32_t n = next_there(&s, 1000 + (uint32_t)chance(1100));
        cursor_is(&s, &c, rmt_cursor_seek(&c, key_of(&s, n, buf)), n);
        uint32_t m = n - 20 + (uint32_t)chance(40);
        if (m == n)
            continue;
        if (s.entries[m].there && chance(2))
            del(&s, m);
        else
            put(&s, m, chance(4) ? 8 : (uint32_t)chance(30));
        cursor_is(&s, &c, 0, n);
        if (chance(2))
            cursor_is(&s, &c, rmt_cursor_next(&c), next_there(&s, n + 1));
        else
            cursor_is(&s, &c, rmt_cursor_prev(&c), last_there(&s, n));
    }
    rmt_cursor_fini(&c);
    same(&s);
    state_fini(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_a_row_are_dense),
        cmocka_unit_test(numbers_with_gaps_are_fixed),
        cmocka_unit_test(order_of_writing_does_not_matter),
        cmocka_unit_test(last_numbers_of_a_size_are_dense),
        cmocka_unit_test(one_entry_alone_is_general),
        cmocka_unit_test(ends_can_go_and_come),
        cmocka_unit_test(a_hole_makes_fixed_and_filling_it_dense),
        cmocka_unit_test(another_value_size_makes_general_and_back),
        cmocka_unit_test(another_key_size_makes_general_and_back),
        cmocka_unit_test(crowded_leaves_are_halved),
        cmocka_unit_test(records_are_no_values),
        cmocka_unit_test(changing_sizes_fill_leaves),
        cmocka_unit_test(crowded_leaves_on_a_full_disk_stay),
        cmocka_unit_test(halves_under_a_full_node_have_their_pages),
        cmocka_unit_test(values_of_the_leaf_itself_can_be_put),
        cmocka_unit_test(merged_leaves_are_what_they_hold),
        cmocka_unit_test(ranges_are_cut_out),
        cmocka_unit_test(rolling_back_brings_the_layout_back),
        cmocka_unit_test(numbers_are_found_among_other_keys),
        cmocka_unit_test(what_an_address_had_before_is_forgotten),
        cmocka_unit_test(cursors_stay_while_layouts_change),
    };
    chance_state = chance_seed(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
