/* SPDX-License-Identifier: MIT */
/*
 * diff-test.c - differences of trees that share history, against differences of arrays; and how
 * many pages were looked at.
 *
 * The keys that there can be are made beforehand, in their order; a version is, for each of them,
 * the number of its value, or 0: absent.
 */
#include "tree/diff.h"

#include "tree/fake.h"

#define NR_KEYS 2000
#define NR_VERSIONS 14
#define VALUE_MAX ((size_t)60000)

enum key_style {
    KEYS_RANDOM,
    KEYS_SHORT,
    KEYS_HUGE,
    KEYS_PREFIXED,
    KEYS_NUMBERS,
    KEYS_HOLES,
    KEYS_ZEROS,
    KEYS_MIXED
};
enum value_style { VALUES_SMALL, VALUES_8, VALUES_NONE, VALUES_WIDE, VALUES_LARGE };

struct key {
    size_t size;
    uint8_t bytes[RAMET_KEY_MAX];
};

struct version {
    struct rmt_tree tree;
    uint32_t *ids; /* [nr_keys] */
};

struct state {
    struct fake fake;
    struct rmt_edit edit;
    enum value_style values;
    uint32_t nr_keys;
    struct key *keys;
    struct version versions[NR_VERSIONS];
    uint32_t nr_versions;
    uint8_t *value, *other;
};

RMT_AUTO(rmt_arena_fini, struct rmt_arena)

static const struct ramet_slice none = {NULL, 0};

/* ---- keys and values ------------------------------------------------------------------------- */

static void key_make(enum key_style style, struct key *key)
{
    if (style == KEYS_MIXED)
        style = (enum key_style)chance(KEYS_MIXED);
    uint64_t n = chance(6000);
    switch (style) {
    case KEYS_RANDOM:
        key->size = 16;
        for (size_t i = 0; i < key->size; i++)
            key->bytes[i] = (uint8_t)chance(256);
        break;
    case KEYS_SHORT:
        key->size = 1 + chance(3);
        for (size_t i = 0; i < key->size; i++)
            key->bytes[i] = (uint8_t)chance(40);
        break;
    case KEYS_HUGE:
        key->size = RAMET_KEY_MAX - chance(200);
        memset(key->bytes, 'k', key->size);
        key->bytes[chance(key->size)] = (uint8_t)chance(256);
        key->bytes[key->size - 1 - chance(30)] = (uint8_t)chance(256);
        break;
    case KEYS_PREFIXED:
        key->size = (size_t)sprintf((char *)key->bytes, "user/%s/%05u",
                                    chance(2) ? "anna" : "anton", (unsigned)n);
        break;
    case KEYS_NUMBERS: /* around the end of 4 bytes, some of them in a row */
        key->size = 8;
        rmt_put_be64(key->bytes, UINT32_MAX - 2000 + n);
        break;
    case KEYS_HOLES:
        key->size = 4;
        rmt_put_be64(key->bytes, (uint64_t)(1000 + n + n / 100 * 3) << 32);
        break;
    default: /* zeros, where padding and size decide */
        key->size = 1 + chance(12);
        for (size_t i = 0; i < key->size; i++)
            key->bytes[i] = (uint8_t)(chance(5) == 0);
    }
}

static struct ramet_slice key_of(const struct state *s, uint32_t n)
{
    return rmt_slice(s->keys[n].bytes, s->keys[n].size);
}

static int key_cmp(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    return rmt_slice_cmp(rmt_slice(x->bytes, x->size), rmt_slice(y->bytes, y->size));
}

/* In order, each once; all keys have one style. */
static void keys_make(struct state *s, enum key_style style, uint32_t count)
{
    s->keys = calloc(count, sizeof(*s->keys));
    assert_non_null(s->keys);
    for (uint32_t i = 0; i < count; i++)
        key_make(style, &s->keys[i]);
    qsort(s->keys, count, sizeof(*s->keys), key_cmp);
    for (uint32_t i = 0; i < count; i++) {
        if (s->nr_keys == 0 || key_cmp(&s->keys[s->nr_keys - 1], &s->keys[i]) != 0)
            s->keys[s->nr_keys++] = s->keys[i];
    }
}

/* Numbers from 0 on, in 8 bytes; or behind them three letters that hide that they are numbers. */
static void keys_count(struct state *s, uint32_t count, bool letters)
{
    s->keys = calloc(count, sizeof(*s->keys));
    assert_non_null(s->keys);
    for (uint32_t i = 0; i < count; i++) {
        rmt_put_be64(s->keys[i].bytes, i);
        memcpy(s->keys[i].bytes + 8, "abc", 3);
        s->keys[i].size = letters ? 11 : 8;
    }
    s->nr_keys = count;
}

/* Of two ids in a row the values have one size, and differ in the last byte if at all. */
static struct ramet_slice value_of(const struct state *s, uint32_t id, uint8_t *bytes)
{
    uint32_t pair = id / 2 * 2654435761u;
    size_t size = 8;
    switch (s->values) {
    case VALUES_SMALL: size = pair % 7 ? pair % 120 : 0; break;
    case VALUES_8: break;
    case VALUES_NONE: size = 0; break;
    case VALUES_WIDE: size = 700 + pair % 250; break;
    case VALUES_LARGE: size = pair % 3 ? pair % 100 : pair % VALUE_MAX; break;
    }
    memset(bytes, (int)(pair >> 13 & 0xff), size);
    if (size)
        bytes[size - 1] = (uint8_t)(id & 1);
    return rmt_slice(bytes, size);
}

/* ---- versions -------------------------------------------------------------------------------- */

static struct state *state_new(uint32_t page_size, enum value_style values)
{
    struct state *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    fake_init(&s->fake, page_size, ((uint64_t)1 << 29) / page_size);
    s->values = values;
    s->value = malloc(VALUE_MAX);
    s->other = malloc(VALUE_MAX);
    assert_non_null(s->value);
    assert_non_null(s->other);
    return s;
}

static void state_free(struct state *s)
{
    for (uint32_t i = 0; i < s->nr_versions; i++)
        free(s->versions[i].ids);
    fake_fini(&s->fake);
    free(s->keys);
    free(s->value);
    free(s->other);
    free(s);
}

static void version_copy(const struct state *s, const struct version *from, struct version *to)
{
    to->tree = (struct rmt_tree){0};
    to->ids = calloc(s->nr_keys, sizeof(*to->ids));
    assert_non_null(to->ids);
    if (!from)
        return;
    rmt_tree_set(&to->tree, from->tree.root, from->tree.count);
    memcpy(to->ids, from->ids, s->nr_keys * sizeof(*to->ids));
}

/* A version that begins as another, or empty, and is written until version_end(). */
static struct version *version_begin(struct state *s, const struct version *from)
{
    assert_true(s->nr_versions < NR_VERSIONS);
    struct version *v = &s->versions[s->nr_versions++];
    version_copy(s, from, v);
    rmt_edit_init(&s->edit, &s->fake.pages, fake_reserve, &s->fake);
    return v;
}

static void version_end(struct state *s, struct version *v)
{
    assert_int_equal(rmt_tree_seal(&s->edit, &v->tree, &s->fake.w), 0);
    rmt_edit_fini(&s->edit);
    s->fake.w.birth++;
    fake_forget(&s->fake);
}

/* Forgets the newest version. */
static void version_pop(struct state *s)
{
    free(s->versions[--s->nr_versions].ids);
}

static void put(struct state *s, struct version *v, uint32_t n, uint32_t id)
{
    assert_int_equal(rmt_tree_put(&s->edit, &v->tree, key_of(s, n), value_of(s, id, s->value), 0),
                     0);
    v->ids[n] = id;
}

static void del(struct state *s, struct version *v, uint32_t n)
{
    assert_int_equal(rmt_tree_del(&s->edit, &v->tree, key_of(s, n)),
                     v->ids[n] ? 0 : RAMET_ENOTFOUND);
    v->ids[n] = 0;
}

static void del_range(struct state *s, struct version *v, uint32_t from, uint32_t to)
{
    struct ramet_slice end = to < s->nr_keys ? key_of(s, to) : none;
    if (from >= to)
        return;
    assert_int_equal(rmt_tree_del_range(&s->edit, &v->tree, key_of(s, from), end, NULL), 0);
    memset(v->ids + from, 0, (to - from) * sizeof(*v->ids));
}

static void write_one(struct state *s, struct version *v)
{
    uint32_t n = (uint32_t)chance(s->nr_keys), id = 2 + (uint32_t)chance(5000), len;
    switch (chance(24)) {
    case 0: /* a row of them */
        for (len = (uint32_t)chance(200); len > 0 && n < s->nr_keys; len--)
            put(s, v, n++, 2 + (uint32_t)chance(5000));
        break;
    case 1: /* few or many */
        len = (uint32_t)chance(chance(4) ? 100 : s->nr_keys);
        del_range(s, v, n, rmt_min(n + len, s->nr_keys));
        break;
    case 2:
        if (chance(30) == 0)
            del_range(s, v, 0, s->nr_keys);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7: del(s, v, n); break;
    case 8:
    case 9:
    case 10: /* the same bytes once more, or with another last byte */
        if (v->ids[n])
            put(s, v, n, v->ids[n] ^ (uint32_t)chance(2));
        break;
    default: put(s, v, n, id);
    }
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void same_value(struct state *s, const struct rmt_value *value, uint32_t id)
{
    rmt_auto(rmt_arena_fini) struct rmt_arena *arena = &(struct rmt_arena){0};
    struct ramet_slice slice, want;
    assert_int_equal(!value->data, !id);
    if (!id)
        return;
    want = value_of(s, id, s->value);
    assert_int_equal(rmt_value_slice(&s->fake.pages, value, arena, &slice), 0);
    assert_int_equal(rmt_slice_cmp(slice, want), 0);
}

static bool differ(const struct state *s, uint32_t x, uint32_t y)
{
    if (!x || !y)
        return x != y;
    return rmt_slice_cmp(value_of(s, x, s->value), value_of(s, y, s->other)) != 0;
}

/* Compares the difference with that of the arrays. Returns how many pages were looked at. */
static uint64_t check_range(struct state *s, const struct version *a, const struct version *b,
                            struct ramet_slice from, struct ramet_slice to)
{
    static struct rmt_diff diff;
    struct ramet_slice key;
    struct rmt_value old, new;
    rmt_diff_init(&diff, &s->fake.pages, &a->tree, &b->tree, from, to);
    for (uint32_t n = 0; n < s->nr_keys; n++) {
        if ((from.size && rmt_slice_cmp(key_of(s, n), from) < 0) ||
            (to.size && rmt_slice_cmp(key_of(s, n), to) >= 0) || !differ(s, a->ids[n], b->ids[n]))
            continue;
        int rc = rmt_diff_next(&diff, &key, &old, &new);
        if (rc != 1 || rmt_slice_cmp(key, key_of(s, n)) != 0)
            fail_msg("key %u: %d", n, rc);
        same_value(s, &old, a->ids[n]);
        same_value(s, &new, b->ids[n]);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(rmt_diff_next(&diff, &key, &old, &new), 0);
    return diff.opened;
}

/* Both ways: they look at the same pages. */
static uint64_t check(struct state *s, const struct version *a, const struct version *b)
{
    uint64_t opened = check_range(s, a, b, none, none);
    assert_int_equal(check_range(s, b, a, none, none), opened);
    return opened;
}

/* ---- pages ----------------------------------------------------------------------------------- */

static uint32_t height(struct state *s, const struct version *v)
{
    const struct rmt_disk_node *root = NULL;
    if (rmt_ref_none(v->tree.root))
        return 0;
    assert_int_equal(rmt_ref_open(&s->fake.pages, v->tree.root, &root), 0);
    return root->level + 1u;
}

/* Nodes of a tree, by address. */
static void mark_nodes(struct state *s, struct rmt_ref ref, uint8_t *marks, uint8_t mark)
{
    const struct rmt_disk_node *node = NULL;
    if (rmt_ref_none(ref))
        return;
    assert_int_equal(rmt_ref_open(&s->fake.pages, ref, &node), 0);
    marks[ref.addr] |= mark;
    for (uint32_t i = 0; node->level > 0 && i < rmt_node_size(node); i++)
        mark_nodes(s, rmt_node_child(node, i), marks, mark);
}

/* For each page, which of the two trees it is a node of: bits 1 and 2. Freed by the caller. */
static uint8_t *marks_of(struct state *s, const struct version *a, const struct version *b)
{
    uint8_t *marks = calloc(s->fake.pages.reserved, 1);
    assert_non_null(marks);
    mark_nodes(s, a->tree.root, marks, 1);
    mark_nodes(s, b->tree.root, marks, 2);
    return marks;
}

/* Nodes that one has alone. */
static uint64_t unshared(struct state *s, const struct version *a, const struct version *b)
{
    rmt_auto(free) uint8_t *marks = marks_of(s, a, b);
    uint64_t count = 0;
    for (uint64_t i = 0; i < s->fake.w.next; i++)
        count += marks[i] == 1 || marks[i] == 2;
    return count;
}

/* What differs is looked at, and hardly anything else: where a node that was its parent's first is
 * gone, and what is left of its range ends with it, the one behind it has its lower bound. */
static uint64_t check_work(struct state *s, const struct version *a, const struct version *b)
{
    uint64_t opened = check(s, a, b), least = unshared(s, a, b);
    if (opened < least || opened > least + least / 4 + 8)
        fail_msg("%llu pages were looked at, where %llu differ", (unsigned long long)opened,
                 (unsigned long long)least);
    return opened;
}

/* ---- random histories ------------------------------------------------------------------------ */

/* A bound: a key, something beside it, or none. */
static struct ramet_slice bound_make(struct state *s, struct key *bound)
{
    *bound = s->keys[chance(s->nr_keys)];
    switch (chance(6)) {
    case 0: return none;
    case 1: bound->size -= bound->size > 1; break;
    case 2:
        if (bound->size < RAMET_KEY_MAX)
            bound->bytes[bound->size++] = 0;
        break;
    case 3: bound->bytes[chance(bound->size)] ^= (uint8_t)(1 + chance(255)); break;
    default: break;
    }
    return rmt_slice(bound->bytes, bound->size);
}

static void check_ranges(struct state *s, const struct version *a, const struct version *b)
{
    for (int i = 0; i < 6; i++) {
        struct key from_key, to_key;
        struct ramet_slice from = bound_make(s, &from_key), to = bound_make(s, &to_key);
        if (from.size && to.size && rmt_slice_cmp(from, to) > 0 && chance(8)) {
            struct ramet_slice other = from;
            from = to;
            to = other;
        }
        assert_int_equal(check_range(s, a, b, from, to), check_range(s, b, a, from, to));
    }
}

/* While it is written: against what it began as, and against itself before a savepoint. */
static void check_private(struct state *s, struct version *v, const struct version *from)
{
    struct rmt_edit_mark mark;
    struct version before;
    if (from)
        check(s, from, v);
    version_copy(s, v, &before);
    rmt_edit_mark(&s->edit, &mark);
    assert_int_equal(check(s, &before, v), 0);
    for (uint64_t i = chance(20); i > 0; i--)
        write_one(s, v);
    check(s, &before, v);
    check_ranges(s, &before, v);
    free(before.ids);
}

static void run(uint32_t page_size, enum key_style style, enum value_style values)
{
    static const uint32_t steps[] = {1, 3, 20, 400};
    struct state *s = state_new(page_size, values);
    keys_make(s, style, NR_KEYS);
    while (s->nr_versions < NR_VERSIONS) {
        const struct version *from = NULL;
        if (s->nr_versions)
            from = &s->versions[chance(3) ? s->nr_versions - 1 : chance(s->nr_versions)];
        struct version *v = version_begin(s, from);
        uint64_t most = s->nr_versions == 2 ? 1500 : steps[chance(4)];
        for (uint64_t i = 1 + chance(most); i > 0; i--)
            write_one(s, v);
        if (chance(2))
            check_private(s, v, from);
        version_end(s, v);
    }
    for (int i = 0; i < 40; i++) {
        const struct version *a = &s->versions[chance(NR_VERSIONS)];
        const struct version *b = &s->versions[chance(NR_VERSIONS)];
        check_work(s, a, b);
        check_ranges(s, a, b);
    }
    state_free(s);
}

#define RUN(name, ...)             \
    static void name(void **state) \
    {                              \
        (void)state;               \
        run(__VA_ARGS__);          \
    }

RUN(agrees_on_random_keys, 4096, KEYS_RANDOM, VALUES_SMALL)
RUN(agrees_on_short_keys, 4096, KEYS_SHORT, VALUES_SMALL)
RUN(agrees_on_huge_keys, 4096, KEYS_HUGE, VALUES_SMALL)
RUN(agrees_on_huge_keys_of_wide_values, 4096, KEYS_HUGE, VALUES_WIDE)
RUN(agrees_on_shared_prefixes, 4096, KEYS_PREFIXED, VALUES_SMALL)
RUN(agrees_on_shared_prefixes_alone, 4096, KEYS_PREFIXED, VALUES_NONE)
RUN(agrees_on_wide_values, 4096, KEYS_PREFIXED, VALUES_WIDE)
RUN(agrees_on_numbers, 4096, KEYS_NUMBERS, VALUES_8)
RUN(agrees_on_numbers_alone, 4096, KEYS_NUMBERS, VALUES_NONE)
RUN(agrees_on_numbers_with_any_values, 4096, KEYS_NUMBERS, VALUES_SMALL)
RUN(agrees_on_numbers_with_holes, 4096, KEYS_HOLES, VALUES_8)
RUN(agrees_on_numbers_in_large_pages, 65536, KEYS_NUMBERS, VALUES_8)
RUN(agrees_on_zero_bytes, 4096, KEYS_ZEROS, VALUES_SMALL)
RUN(agrees_on_mixed_keys, 4096, KEYS_MIXED, VALUES_SMALL)
RUN(agrees_on_large_values, 4096, KEYS_MIXED, VALUES_LARGE)
RUN(agrees_on_large_pages, 65536, KEYS_MIXED, VALUES_LARGE)

/* ---- case by case ---------------------------------------------------------------------------- */

/* All keys, every one. */
static struct version *full_version(struct state *s, uint32_t from, uint32_t to)
{
    struct version *v = version_begin(s, NULL);
    for (uint32_t n = from; n < to; n++)
        put(s, v, n, 2 + n % 1000);
    version_end(s, v);
    return v;
}

static void empty_trees(void **state)
{
    (void)state;
    struct state *s = state_new(4096, VALUES_SMALL);
    keys_count(s, 1000, true);
    struct version *empty = version_begin(s, NULL);
    version_end(s, empty);
    struct version *full = full_version(s, 0, 1000), *one = full_version(s, 500, 501);
    assert_int_equal(check(s, empty, empty), 0);
    assert_int_equal(check(s, empty, one), 1);
    assert_int_equal(check(s, empty, full), unshared(s, empty, full));
    check(s, one, full);
    for (int i = 0; i < 20; i++) {
        check_ranges(s, empty, empty);
        check_ranges(s, empty, one);
        check_ranges(s, empty, full);
    }
    struct version *again = version_begin(s, full); /* emptied */
    del_range(s, again, 0, 1000);
    version_end(s, again);
    check(s, full, again);
    assert_int_equal(check(s, empty, again), 0);
    state_free(s);
}

/* At each place: of a node's entries, and of the tree's nodes. */
static void one_entry_at_every_place(uint32_t count, bool letters, enum value_style values)
{
    struct state *s = state_new(4096, values);
    keys_count(s, count, letters);
    struct version *full = full_version(s, 0, count);
    uint64_t levels = height(s, full);
    assert_true(levels > 1);
    for (uint32_t n = 0; n < count; n++) {
        struct version *v = version_begin(s, full);
        del(s, v, n);
        version_end(s, v);
        /* A node may have been merged with the one before it or behind. */
        assert_in_range(check_work(s, full, v), 2 * levels - 1, 2 * levels + 3);
        struct ramet_slice end = n + 1 < count ? key_of(s, n + 1) : none;
        check_range(s, full, v, key_of(s, n), end);
        check_range(s, full, v, end.size ? end : key_of(s, n), none);
        check_range(s, v, full, none, key_of(s, n));
        check_range(s, v, full, none, end);
        version_pop(s);
        if (values == VALUES_NONE)
            continue;
        v = version_begin(s, full);
        put(s, v, n, full->ids[n] ^ 1);
        version_end(s, v);
        check_work(s, full, v);
        check_range(s, full, v, key_of(s, n), end);
        check_range(s, full, v, none, key_of(s, n));
        version_pop(s);
    }
    state_free(s);
}

static void one_entry_of_a_general_tree(void **state)
{
    (void)state;
    one_entry_at_every_place(700, true, VALUES_SMALL);
}

static void one_entry_of_wide_values(void **state)
{
    (void)state;
    one_entry_at_every_place(700, true, VALUES_WIDE);
}

static void one_entry_of_a_dense_tree(void **state)
{
    (void)state;
    one_entry_at_every_place(700, false, VALUES_8);
}

static void one_entry_of_dense_keys_alone(void **state)
{
    (void)state;
    one_entry_at_every_place(4000, false, VALUES_NONE);
}

/* Ranges that begin and end at every entry, before and behind it. */
static void bounds_at_every_place(void **state)
{
    (void)state;
    for (int letters = 0; letters < 2; letters++) {
        struct state *s = state_new(4096, VALUES_8);
        keys_count(s, 1000, letters);
        struct version *a = version_begin(s, NULL);
        for (uint32_t n = 0; n < 1000; n += 2)
            put(s, a, n, 2);
        version_end(s, a);
        struct version *b = version_begin(s, a);
        for (uint32_t n = 0; n < 1000; n += 3)
            put(s, b, n, 3);
        for (uint32_t n = 0; n < 1000; n += 5)
            del(s, b, n);
        version_end(s, b);
        for (uint32_t n = 0; n < 1000; n++) {
            uint32_t m = rmt_min(n + (uint32_t)chance(30), 999);
            check_range(s, a, b, key_of(s, n), none);
            check_range(s, a, b, none, key_of(s, n));
            check_range(s, b, a, key_of(s, n), key_of(s, m));
            check_range(s, b, a, key_of(s, m), key_of(s, n));
        }
        state_free(s);
    }
}

/* Every pair of trees of 0 to 4 levels that come from one another. */
static void trees_of_different_heights(void **state)
{
    (void)state;
    struct state *s = state_new(4096, VALUES_WIDE);
    uint32_t heights = 0;
    keys_make(s, KEYS_HUGE, 4000);
    version_end(s, version_begin(s, NULL));
    for (uint32_t n = 1; n <= 3 * 2187; n *= 3) { /* and grow towards both ends */
        struct version *v = version_begin(s, &s->versions[s->nr_versions - 1]);
        for (uint32_t i = 0; i < n && i < s->nr_keys; i++)
            put(s, v, (s->nr_keys / 2 + (i % 2 ? i / 2 : s->nr_keys - i / 2)) % s->nr_keys, 2 + i);
        version_end(s, v);
    }
    for (uint32_t i = 0; i < s->nr_versions; i++) {
        heights |= 1u << height(s, &s->versions[i]);
        for (uint32_t j = 0; j < i; j++) {
            check_work(s, &s->versions[i], &s->versions[j]);
            check_ranges(s, &s->versions[i], &s->versions[j]);
        }
    }
    assert_int_equal(heights & 0x1f, 0x1f);
    state_free(s);
}

/* Leaves whose prefixes have one size, and all else in common. */
static void same_entries_behind_another_prefix(void **state)
{
    (void)state;
    struct state *s = state_new(4096, VALUES_SMALL);
    s->keys = calloc(40, sizeof(*s->keys));
    assert_non_null(s->keys);
    for (uint32_t n = 0; n < 40; n++)
        s->keys[n].size = (size_t)sprintf((char *)s->keys[n].bytes, "%s/key %02u",
                                          n < 20 ? "anna" : "anne", n % 20);
    s->nr_keys = 40;
    struct version *a = version_begin(s, NULL);
    for (uint32_t n = 0; n < 20; n++)
        put(s, a, n, 2 + n);
    version_end(s, a);
    struct version *b = version_begin(s, NULL);
    for (uint32_t n = 0; n < 20; n++)
        put(s, b, 20 + n, 2 + n);
    version_end(s, b);
    assert_int_equal(check(s, a, b), 2);
    state_free(s);
}

/* A large value, and one that is the bytes of its record. */
static void bytes_of_a_record_are_another_value(void **state)
{
    (void)state;
    static struct rmt_diff diff;
    struct state *s = state_new(4096, VALUES_LARGE);
    struct rmt_value record, old, new;
    struct ramet_slice key;
    uint8_t bytes[256];
    uint32_t id = 2;
    keys_count(s, 1, true);
    while (value_of(s, id, s->value).size < 20000)
        id += 2;
    struct version *a = version_begin(s, NULL);
    put(s, a, 0, id);
    version_end(s, a);
    assert_int_equal(rmt_tree_get(&s->fake.pages, &a->tree, key_of(s, 0), &record), 0);
    assert_true(record.extents && record.size <= sizeof(bytes));
    memcpy(bytes, record.data, record.size);
    struct version *b = version_begin(s, a);
    assert_int_equal(
        rmt_tree_put(&s->edit, &b->tree, key_of(s, 0), rmt_slice(bytes, record.size), 0), 0);
    version_end(s, b);
    rmt_diff_init(&diff, &s->fake.pages, &a->tree, &b->tree, none, none);
    assert_int_equal(rmt_diff_next(&diff, &key, &old, &new), 1);
    assert_true(old.extents);
    assert_false(new.extents);
    assert_int_equal(new.size, record.size);
    assert_int_equal(rmt_diff_next(&diff, &key, &old, &new), 0);
    state_free(s);
}

/* Leaves of one tree are general, fixed or dense where those of another are not. */
static void same_entries_in_other_layouts(void **state)
{
    (void)state;
    struct state *s = state_new(4096, VALUES_8);
    keys_count(s, 2000, false);
    struct version *dense = full_version(s, 0, 2000);
    struct version *fixed = version_begin(s, NULL);
    for (uint32_t n = 0; n < 2000; n += 2)
        put(s, fixed, n, 2 + n % 1000);
    version_end(s, fixed);
    struct version *filled = version_begin(s, fixed);
    for (uint32_t n = 1; n < 2000; n += 2)
        put(s, filled, n, 2 + n % 1000);
    version_end(s, filled);
    struct version *general = version_begin(s, NULL);
    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t n = (uint32_t)(i * UINT64_C(1237) % 2000);
        s->values = n % 50 ? VALUES_8 : VALUES_WIDE;
        put(s, general, n, 2 + n % 1000);
    }
    version_end(s, general);
    s->values = VALUES_8;
    struct version *again = version_begin(s, general);
    for (uint32_t n = 0; n < 2000; n += 50)
        put(s, again, n, 2 + n % 1000);
    version_end(s, again);
    check(s, dense, filled);
    check(s, dense, fixed);
    check(s, dense, again);
    check(s, fixed, again);
    state_free(s);
}

/* ---- work ------------------------------------------------------------------------------------ */

static void equal_trees_are_not_read(void **state)
{
    (void)state;
    struct state *s = state_new(4096, VALUES_SMALL);
    keys_count(s, 20000, true);
    struct version *a = full_version(s, 0, 20000), *b = version_begin(s, a);
    version_end(s, b);
    uint64_t before = fake_verifies;
    assert_int_equal(check(s, a, b), 0);
    check_ranges(s, a, b);
    assert_int_equal(fake_verifies, before);
    state_free(s);
}

/* k scattered changes in a large tree. */
static void work_is_that_of_the_changes(void **state)
{
    (void)state;
    enum { COUNT = 60000 };
    struct state *s = state_new(4096, VALUES_SMALL);
    keys_count(s, COUNT, true);
    struct version *full = full_version(s, 0, COUNT);
    uint64_t levels = height(s, full);
    assert_true(levels >= 3);
    for (uint32_t k = 1; k <= 1000; k *= 10) {
        for (uint32_t what = 0; what < 3; what++) {
            struct version *v = version_begin(s, full);
            for (uint32_t i = 0; i < k; i++) {
                uint32_t n = (uint32_t)chance(COUNT);
                if (what == 0 || (what == 2 && chance(2)))
                    put(s, v, n, 3 + (uint32_t)chance(900));
                else
                    del(s, v, n);
            }
            version_end(s, v);
            uint64_t before = fake_verifies, opened = check_range(s, full, v, none, none);
            assert_true(fake_verifies - before <= opened); /* each page is read once at most */
            assert_true(opened <= 2 * k * levels + 4);
            /* Most of them share the upper levels. */
            assert_true(k < 100 || opened <= 2 * k * (levels - 1) + 100);
            version_pop(s);
        }
    }
    state_free(s);
}

/* What is outside of a range is not looked at, however much of it differs. */
static void work_is_that_of_the_range(void **state)
{
    (void)state;
    enum { COUNT = 60000 };
    struct state *s = state_new(4096, VALUES_SMALL);
    keys_count(s, COUNT, true);
    struct version *full = full_version(s, 0, COUNT), *v = version_begin(s, full);
    for (uint32_t n = 0; n < COUNT; n += 20)
        put(s, v, n, full->ids[n] ^ 1);
    version_end(s, v);
    uint64_t levels = height(s, full);
    for (uint32_t n = 0; n + 10 < COUNT; n += 5000) {
        uint64_t opened = check_range(s, full, v, key_of(s, n), key_of(s, n + 10));
        assert_in_range(opened, 2 * levels, 2 * levels + 4); /* it may reach into a second leaf */
    }
    state_free(s);
}

/* Of two that were only written to, however their nodes were split, nothing that both have. */
static void split_nodes_are_not_met_twice(void **state)
{
    (void)state;
    for (int style = KEYS_RANDOM; style <= KEYS_MIXED; style++) {
        struct state *s = state_new(4096, VALUES_WIDE);
        keys_make(s, (enum key_style)style, NR_KEYS);
        struct version *base = version_begin(s, NULL);
        for (uint32_t n = 0; n < s->nr_keys; n += 2)
            put(s, base, n, 2 + n % 1000);
        version_end(s, base);
        for (uint32_t i = 1; i < 10; i++) { /* more and more, all over or side by side */
            struct version *v = version_begin(s, base);
            uint32_t n = (uint32_t)chance(s->nr_keys);
            for (uint32_t k = 1u << i; k > 0; k--) {
                n = i % 2 ? (uint32_t)chance(s->nr_keys) : (n + 1) % s->nr_keys;
                put(s, v, n, 2 + (uint32_t)chance(5000));
            }
            version_end(s, v);
        }
        for (uint32_t i = 0; i < s->nr_versions; i++) {
            for (uint32_t j = 0; j < i; j++) {
                const struct version *a = &s->versions[i], *b = &s->versions[j];
                assert_int_equal(check(s, a, b), unshared(s, a, b));
            }
        }
        state_free(s);
    }
}

/* Entries at one end, or in the middle, are so many that nodes above are split, or go. */
static void trees_split_differently_share(void **state)
{
    (void)state;
    static const uint32_t places[] = {0, 15000, 29000};
    struct state *s = state_new(4096, VALUES_SMALL);
    keys_count(s, 30000, true);
    struct version *base = version_begin(s, NULL);
    for (uint32_t n = 0; n < 30000; n += 3)
        put(s, base, n, 2 + n % 1000);
    version_end(s, base);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct version *more = version_begin(s, base);
        for (uint32_t n = places[i]; n < places[i] + 1000; n++)
            put(s, more, n, 2 + n % 1000);
        version_end(s, more);
        struct version *back = version_begin(s, more); /* the same entries as at first */
        for (uint32_t n = places[i]; n < places[i] + 1000; n++) {
            if (n % 3)
                del(s, back, n);
        }
        version_end(s, back);
        struct version *less = version_begin(s, base);
        del_range(s, less, places[i], places[i] + 1000);
        version_end(s, less);
        const struct version *all[] = {base, more, back, less};
        for (size_t x = 0; x < 4; x++) {
            for (size_t y = 0; y < x; y++) {
                uint64_t opened = check(s, all[x], all[y]), least = unshared(s, all[x], all[y]);
                assert_in_range(opened, least, least + 2 * height(s, base));
            }
        }
        for (int n = 0; n < 3; n++)
            version_pop(s);
    }
    state_free(s);
}

/* ---- what is damaged ------------------------------------------------------------------------- */

/* To the end, or to a code, which comes again. */
static int walk(struct state *s, const struct version *a, const struct version *b)
{
    static struct rmt_diff diff;
    struct ramet_slice key;
    struct rmt_value old, new;
    int rc;
    rmt_diff_init(&diff, &s->fake.pages, &a->tree, &b->tree, none, none);
    while ((rc = rmt_diff_next(&diff, &key, &old, &new)) == 1)
        ;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rmt_diff_next(&diff, &key, &old, &new), rc);
    return rc;
}

/* One page after the other. What both have is not looked at, or found to be damaged. */
static void damaged_pages_are_refused(void **state)
{
    (void)state;
    struct state *s = state_new(4096, VALUES_SMALL);
    uint32_t refused = 0;
    keys_count(s, 3000, true);
    struct version *a = full_version(s, 0, 3000), *b = version_begin(s, a);
    for (uint32_t n = 0; n < 3000; n += 300) {
        put(s, b, n, 1999);
        del(s, b, n + 40);
    }
    version_end(s, b);
    rmt_auto(free) uint8_t *marks = marks_of(s, a, b);
    for (uint64_t addr = 0; addr < s->fake.w.next; addr++) {
        if (!marks[addr])
            continue;
        uint8_t *byte = fake_page(&s->fake, addr) + chance(4096), was = *byte;
        *byte ^= (uint8_t)(1u << chance(8));
        fake_forget(&s->fake);
        int rc = walk(s, a, b);
        assert_int_equal(walk(s, b, a), rc);
        assert_true(rc == RAMET_ECORRUPT || (rc == 0 && marks[addr] == 3));
        refused += rc < 0;
        *byte = was;
    }
    assert_true(refused > 20);
    fake_forget(&s->fake);
    check(s, a, b);
    state_free(s);
}

/* Values of one size in different pages are compared; of different sizes they are not read. */
static void damaged_values_are_refused(void **state)
{
    (void)state;
    struct state *s = state_new(4096, VALUES_LARGE);
    uint32_t id = 2;
    keys_count(s, 3, true);
    while (value_of(s, id, s->value).size < 20000)
        id += 2;
    struct version *a = version_begin(s, NULL);
    put(s, a, 1, id);
    version_end(s, a);
    struct version *b = version_begin(s, a), *c;
    put(s, b, 1, id);
    version_end(s, b);
    c = version_begin(s, a);
    put(s, c, 1, 4);
    version_end(s, c);
    check(s, a, b);
    check(s, a, c);
    fake_page(&s->fake, s->fake.pages.first)[100] ^= 1; /* a's value, which comes first */
    assert_int_equal(walk(s, a, b), RAMET_ECORRUPT);
    assert_int_equal(walk(s, b, a), RAMET_ECORRUPT);
    assert_int_equal(walk(s, a, c), 0);
    state_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_on_random_keys),
        cmocka_unit_test(agrees_on_short_keys),
        cmocka_unit_test(agrees_on_huge_keys),
        cmocka_unit_test(agrees_on_huge_keys_of_wide_values),
        cmocka_unit_test(agrees_on_shared_prefixes),
        cmocka_unit_test(agrees_on_shared_prefixes_alone),
        cmocka_unit_test(agrees_on_wide_values),
        cmocka_unit_test(agrees_on_numbers),
        cmocka_unit_test(agrees_on_numbers_alone),
        cmocka_unit_test(agrees_on_numbers_with_any_values),
        cmocka_unit_test(agrees_on_numbers_with_holes),
        cmocka_unit_test(agrees_on_numbers_in_large_pages),
        cmocka_unit_test(agrees_on_zero_bytes),
        cmocka_unit_test(agrees_on_mixed_keys),
        cmocka_unit_test(agrees_on_large_values),
        cmocka_unit_test(agrees_on_large_pages),
        cmocka_unit_test(empty_trees),
        cmocka_unit_test(one_entry_of_a_general_tree),
        cmocka_unit_test(one_entry_of_wide_values),
        cmocka_unit_test(one_entry_of_a_dense_tree),
        cmocka_unit_test(one_entry_of_dense_keys_alone),
        cmocka_unit_test(bounds_at_every_place),
        cmocka_unit_test(trees_of_different_heights),
        cmocka_unit_test(same_entries_behind_another_prefix),
        cmocka_unit_test(bytes_of_a_record_are_another_value),
        cmocka_unit_test(same_entries_in_other_layouts),
        cmocka_unit_test(equal_trees_are_not_read),
        cmocka_unit_test(work_is_that_of_the_changes),
        cmocka_unit_test(work_is_that_of_the_range),
        cmocka_unit_test(split_nodes_are_not_met_twice),
        cmocka_unit_test(trees_split_differently_share),
        cmocka_unit_test(damaged_pages_are_refused),
        cmocka_unit_test(damaged_values_are_refused),
    };
    chance_state = chance_seed(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
