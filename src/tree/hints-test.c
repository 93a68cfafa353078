/* SPDX-License-Identifier: MIT */
/*
 * hints-test.c - what was noted is found, with each layout of leaves; what was not there is not,
 * also where hashes meet; nor what the version does not have any more.
 */
#include "tree/fake.h"
#include "tree/hints.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { KEYS = 130, KEY_MAX = 48, OTHERS = 60000 };

struct keys {
    uint8_t bytes[KEYS][KEY_MAX];
    size_t size[KEYS];
};

struct bench {
    struct fake fake;
    struct rmt_tree tree;
    struct rmt_hints hints;
};

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    fake_init(&b->fake, 4096, 20000);
    b->fake.w.birth = 10;
    rmt_hints_init(&b->hints, &b->fake.pages);
    rmt_hints_show(&b->hints, 1, 10, KEYS);
}

static void bench_fini(struct bench *b)
{
    rmt_hints_fini(&b->hints);
    fake_fini(&b->fake);
}

/* Values have eight bytes, or 0 to 12. */
static void fill(struct bench *b, const struct keys *keys, bool even)
{
    struct rmt_edit edit;
    rmt_edit_init(&edit, &b->fake.pages, fake_reserve, &b->fake);
    for (int i = 0; i < KEYS; i++) {
        uint64_t value[2] = {(uint64_t)i, (uint64_t)i};
        assert_int_equal(rmt_tree_put(&edit, &b->tree, rmt_slice(keys->bytes[i], keys->size[i]),
                                      rmt_slice(value, even ? 8 : (size_t)i % 13), 0),
                         0);
    }
    assert_int_equal(rmt_tree_seal(&edit, &b->tree, &b->fake.w), 0);
    rmt_edit_fini(&edit);
}

static struct ramet_slice key_at(const struct keys *keys, int i)
{
    return rmt_slice(keys->bytes[i], keys->size[i]);
}

static bool get(struct bench *b, struct ramet_slice key, struct rmt_value *out)
{
    if (key.size == 8 && chance(2))
        return rmt_hints_get_number(&b->hints, rmt_get_be64(key.data), out);
    return rmt_hints_get(&b->hints, key, out);
}

/* Two rounds: a few places may be taken by another key. */
static void note_all(struct bench *b, const struct keys *keys)
{
    for (int i = 0; i < 2 * KEYS; i++) {
        struct rmt_value value;
        struct ramet_slice key = key_at(keys, i % KEYS);
        if (get(b, key, &value))
            continue;
        assert_int_equal(fake_get(&b->fake.pages, &b->tree, key, &value), 0);
        if (key.size == 8 && chance(2))
            rmt_hints_note_number(&b->hints, rmt_get_be64(key.data), &value);
        else
            rmt_hints_note(&b->hints, key, &value);
    }
}

/* How many of them are found: with what the tree has. */
static int found_of(struct bench *b, const struct keys *keys)
{
    int found = 0;
    for (int i = 0; i < KEYS; i++) {
        struct rmt_value value, other;
        struct ramet_slice key = key_at(keys, i), out = {NULL, 0};
        bool there = get(b, key, &value);
        assert_int_equal(rmt_hints_get_many(&b->hints, 1, &key, &out), there);
        if (!there)
            continue;
        found++;
        assert_int_equal(fake_get(&b->fake.pages, &b->tree, key, &other), 0);
        assert_ptr_equal(value.data, other.data);
        assert_int_equal(value.size, other.size);
        assert_false(value.extents);
        assert_ptr_equal(out.data, other.data);
        assert_int_equal(out.size, other.size);
    }
    return found;
}

/* What is not in the tree is not found, though keys differ from those that are in a byte or in
 * their size alone: of so many, hashes of some meet. */
static void others_are_not(struct bench *b, const struct keys *keys)
{
    for (int n = 0; n < OTHERS; n++) {
        uint8_t bytes[KEY_MAX + 1];
        struct rmt_value value, other = {0};
        int i = (int)chance(KEYS);
        size_t size = keys->size[i];
        memcpy(bytes, keys->bytes[i], size);
        if (chance(3) == 0 && size < KEY_MAX) {
            bytes[size++] = (uint8_t)chance(256);
        } else if (chance(3) == 0 && size > 1) {
            size--;
        }
        bytes[chance(size)] ^= (uint8_t)chance(256);
        bytes[size - 1] ^= (uint8_t)chance(256);
        struct ramet_slice key = rmt_slice(bytes, size), out;
        int rc = fake_get(&b->fake.pages, &b->tree, key, &other);
        bool there = get(b, key, &value), many = rmt_hints_get_many(&b->hints, 1, &key, &out);
        if (rc == RAMET_ENOTFOUND)
            assert_false(there || many);
        else if (there)
            assert_true(value.data == other.data && value.size == other.size);
    }
}

static void try_keys(const struct keys *keys, bool even)
{
    struct bench b;
    bench_init(&b);
    fill(&b, keys, even);
    assert_int_equal(found_of(&b, keys), 0);
    note_all(&b, keys);
    assert_in_range(found_of(&b, keys), KEYS * 8 / 10, KEYS);
    b.hints.rest = 0;
    others_are_not(&b, keys);
    bench_fini(&b);
}

/* ---- layouts --------------------------------------------------------------------------------- */

static void numbers(struct keys *keys, uint64_t first, uint64_t step)
{
    for (int i = 0; i < KEYS; i++) {
        rmt_put_be64(keys->bytes[i], first + (uint64_t)i * step);
        keys->size[i] = 8;
    }
}

static void test_numbers_in_a_row(void **state)
{
    struct keys keys;
    (void)state;
    numbers(&keys, 1000, 1);
    try_keys(&keys, true);
    numbers(&keys, UINT64_MAX - KEYS, 1);
    try_keys(&keys, true);
}

static void test_numbers_with_gaps(void **state)
{
    struct keys keys;
    (void)state;
    numbers(&keys, 1000, 3);
    try_keys(&keys, true);
}

/* Each size of prefix, fixed leaves and general ones. */
static void test_any_numbers(void **state)
{
    (void)state;
    for (uint32_t prefix = 0; prefix < 8; prefix++) {
        struct keys keys;
        for (int i = 0; i < KEYS; i++) {
            uint64_t any = chance(UINT64_MAX), head = UINT64_C(0x1122334455667788);
            if (prefix)
                any = (any & UINT64_MAX >> (8 * prefix)) | (head & ~(UINT64_MAX >> (8 * prefix)));
            rmt_put_be64(keys.bytes[i], any);
            keys.size[i] = 8;
        }
        try_keys(&keys, true);
        try_keys(&keys, false);
    }
}

/* same: so many first bytes are those of all keys; then alike, so many that few differ in. */
static void texts(struct keys *keys, size_t same, size_t alike, size_t least, size_t most)
{
    for (int i = 0; i < KEYS; i++) {
        keys->size[i] = least + chance(most - least + 1);
        for (size_t at = 0; at < keys->size[i]; at++) {
            uint64_t any = at < same           ? 'a'
                           : at < same + alike ? 'b' + (chance(20) == 0)
                                               : chance(256);
            keys->bytes[i][at] = (uint8_t)any;
        }
    }
}

static void test_texts(void **state)
{
    struct keys keys;
    (void)state;
    for (size_t same = 0; same < 14; same++) {
        for (size_t alike = 0; alike < 10; alike += 3) {
            texts(&keys, same, alike, 16, 16);
            try_keys(&keys, true);
            texts(&keys, same, alike, same + 1 + alike, KEY_MAX);
            try_keys(&keys, false);
        }
    }
}

/* Keys of 16 bytes that a number is just a part of, behind what all of them begin with. */
static void test_numbers_in_longer_keys(void **state)
{
    enum { TREES = 300 };
    (void)state;
    for (int n = 0; n < TREES; n++) {
        struct keys keys;
        struct bench b;
        bench_init(&b);
        for (int i = 0; i < KEYS; i++) {
            rmt_put_be64(keys.bytes[i], 0);
            rmt_put_be64(keys.bytes[i] + 8, chance(UINT64_MAX));
            keys.size[i] = 16;
        }
        fill(&b, &keys, false);
        note_all(&b, &keys);
        for (int i = 0; i < KEYS; i++) {
            struct rmt_value value;
            uint64_t number = rmt_get_be64(keys.bytes[i] + 8);
            assert_false(rmt_hints_get_number(&b.hints, number, &value));
        }
        bench_fini(&b);
    }
}

/* Values without a byte: of a page that has no prefix, the last ones lie where it ends. */
static void test_no_values(void **state)
{
    struct keys keys;
    struct bench b;
    struct rmt_edit edit;
    struct rmt_tree trees[2] = {{.count = 0}, {.count = 0}};
    (void)state;
    bench_init(&b);
    texts(&keys, 0, 0, 4, 4);
    for (int n = 0; n < 2; n++) { /* the second lies behind the first */
        rmt_edit_init(&edit, &b.fake.pages, fake_reserve, &b.fake);
        for (int i = 0; i < KEYS; i++)
            assert_int_equal(rmt_tree_put(&edit, &trees[n], key_at(&keys, i), rmt_slice("", 0), 0),
                             0);
        assert_int_equal(rmt_tree_seal(&edit, &trees[n], &b.fake.w), 0);
        rmt_edit_fini(&edit);
    }
    b.tree = trees[0];
    note_all(&b, &keys);
    (void)found_of(&b, &keys);
    rmt_leaf_gone(&b.fake.pages, (struct rmt_run){.addr = b.tree.root.addr, .len = 1}, 11);
    rmt_hints_show(&b.hints, 1, 11, KEYS);
    assert_int_equal(found_of(&b, &keys), 0);
    bench_fini(&b);
}

/* ---- keys that begin alike, and whose hints meet --------------------------------------------- */

/* True if both have their hints in one bucket, of as few as there are at first, with one tag. */
static bool meet(struct ramet_slice a, struct ramet_slice b)
{
    uint64_t x = XXH3_64bits(a.data, a.size), y = XXH3_64bits(b.data, b.size);
    return x >> 58 == y >> 58 && ((x ^ y) & 0xfe) == 0;
}

/* The key at hand is noted, the longer one is not there. */
static void longer_is_not(const struct keys *keys, int i, struct ramet_slice longer, bool even)
{
    struct bench b;
    struct rmt_value value;
    struct ramet_slice out;
    bench_init(&b);
    fill(&b, keys, even);
    note_all(&b, keys);
    assert_true(meet(key_at(keys, i), longer));
    assert_true(get(&b, key_at(keys, i), &value));
    assert_false(get(&b, longer, &value));
    assert_int_equal(rmt_hints_get_many(&b.hints, 1, &longer, &out), 0);
    bench_fini(&b);
}

/* Behind the key in its cell is its value: just what the longer one ends with. */
static void test_key_and_value(void **state)
{
    enum { LAST = KEYS - 1 };
    struct keys keys;
    (void)state;
    for (size_t size = 7; size < 20; size += 4) {
        uint8_t longer[KEY_MAX];
        const uint64_t value = LAST;
        texts(&keys, 2, 0, size, size);
        do {
            uint64_t any = chance(UINT64_MAX);
            memcpy(keys.bytes[LAST] + 2, &any, size - 2 < 8 ? size - 2 : 8);
            memcpy(longer, keys.bytes[LAST], size);
            memcpy(longer + size, &value, 4);
        } while (!meet(key_at(&keys, LAST), rmt_slice(longer, size + 4)));
        longer_is_not(&keys, LAST, rmt_slice(longer, size + 4), false);
    }
}

/* A head ends with zeros, as the longer one does. */
static void test_key_and_zero(void **state)
{
    struct keys keys;
    uint8_t longer[KEY_MAX] = {0};
    uint64_t first = 0;
    (void)state;
    do {
        first += KEYS * 3;
        for (int i = 0; i < KEYS; i++) {
            rmt_put_be64(keys.bytes[i], (first + 3 * (uint64_t)i) << 16);
            keys.size[i] = 6;
        }
        memcpy(longer, keys.bytes[0], 6);
    } while (!meet(key_at(&keys, 0), rmt_slice(longer, 7)));
    longer_is_not(&keys, 0, rmt_slice(longer, 7), true);
}

/* ---- versions -------------------------------------------------------------------------------- */

static void gone(struct bench *b, uint64_t id)
{
    for (uint64_t addr = 32; addr < b->fake.w.next; addr++)
        rmt_leaf_gone(&b->fake.pages, (struct rmt_run){.addr = addr, .len = 1, .birth = 10}, id);
}

/* All keys of a tree are noted. */
static void bench_noted(struct bench *b, struct keys *keys)
{
    texts(keys, 2, 0, 16, 16);
    bench_init(b);
    fill(b, keys, true);
    note_all(b, keys);
}

static void test_replaced(void **state)
{
    struct keys keys;
    struct bench b;
    (void)state;
    bench_noted(&b, &keys);
    int found = found_of(&b, &keys);
    gone(&b, 15);
    rmt_hints_show(&b.hints, 1, 14, KEYS);
    assert_int_equal(found_of(&b, &keys), found);
    rmt_hints_show(&b.hints, 1, 15, KEYS);
    assert_int_equal(found_of(&b, &keys), 0);
    /* Another branch may replace what it has, too, and later: this one has not got it back. */
    gone(&b, 20);
    assert_int_equal(found_of(&b, &keys), 0);
    bench_fini(&b);
}

/* The pages are used again: by one of another birth, that is found when it was noted. */
static void test_used_again(void **state)
{
    struct keys keys;
    struct bench b;
    (void)state;
    bench_noted(&b, &keys);
    gone(&b, 15);
    b.fake.w.next = 32;
    b.fake.w.birth = 16;
    b.tree = (struct rmt_tree){.count = 0};
    fake_forget(&b.fake);
    fill(&b, &keys, true);
    rmt_hints_show(&b.hints, 1, 16, KEYS);
    assert_int_equal(found_of(&b, &keys), 0);
    note_all(&b, &keys);
    assert_in_range(found_of(&b, &keys), KEYS * 8 / 10, KEYS);
    bench_fini(&b);
}

static void test_another_line(void **state)
{
    struct keys keys;
    struct bench b;
    (void)state;
    numbers(&keys, 5, 1);
    bench_init(&b);
    fill(&b, &keys, true);
    note_all(&b, &keys);
    assert_int_equal(found_of(&b, &keys), KEYS);
    rmt_hints_show(&b.hints, 2, 11, KEYS);
    assert_int_equal(found_of(&b, &keys), 0);
    bench_fini(&b);
}

/* ---- how many -------------------------------------------------------------------------------- */

/* Gets all of so many numbers, in turn; how many were found without the tree. */
static uint64_t round_of(struct bench *b, uint64_t count)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct rmt_value value;
        uint8_t key[8];
        uint64_t number = i * UINT64_C(0x9e3779b97f4a7c15);
        rmt_put_be64(key, number);
        bool there = rmt_hints_get_number(&b->hints, number, &value);
        found += there;
        if (there)
            continue;
        assert_int_equal(rmt_tree_get(&b->fake.pages, &b->tree, rmt_slice(key, 8), &value), 0);
        rmt_hints_note_number(&b->hints, number, &value);
    }
    return found;
}

static void test_as_many_as_are_got(void **state)
{
    enum { MANY = 50000 };
    struct bench b;
    struct rmt_edit edit;
    (void)state;
    bench_init(&b);
    rmt_edit_init(&edit, &b.fake.pages, fake_reserve, &b.fake);
    for (uint64_t i = 0; i < MANY; i++) {
        uint8_t key[8];
        rmt_put_be64(key, i * UINT64_C(0x9e3779b97f4a7c15));
        assert_int_equal(
            rmt_tree_put(&edit, &b.tree, rmt_slice(key, 8), rmt_slice(&i, sizeof(i)), 0), 0);
    }
    assert_int_equal(rmt_tree_seal(&edit, &b.tree, &b.fake.w), 0);
    rmt_edit_fini(&edit);

    rmt_hints_show(&b.hints, 1, 10, MANY);
    for (int i = 0; i < 3; i++)
        (void)round_of(&b, MANY);
    assert_in_range(round_of(&b, MANY), MANY * 9 / 10, MANY);

    /* Of a map that says it is small there are few: then it does without, and seldom tries. */
    rmt_hints_show(&b.hints, 2, 10, 200);
    (void)round_of(&b, MANY);
    assert_true(b.hints.rest > 0);
    (void)round_of(&b, MANY);
    (void)round_of(&b, MANY);
    b.hints.rest = 0;
    for (int i = 0; i < 5; i++)
        (void)round_of(&b, 100);
    assert_in_range(round_of(&b, 100), 95, 100);
    bench_fini(&b);
}

int main(int argc, char **argv)
{
    chance_state = chance_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_in_a_row),
        cmocka_unit_test(test_numbers_with_gaps),
        cmocka_unit_test(test_any_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers_in_longer_keys),
        cmocka_unit_test(test_no_values),
        cmocka_unit_test(test_key_and_value),
        cmocka_unit_test(test_key_and_zero),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_used_again),
        cmocka_unit_test(test_another_line),
        cmocka_unit_test(test_as_many_as_are_got),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
