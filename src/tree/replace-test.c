/* SPDX-License-Identifier: MIT */
/*
 * replace-test.c - a value gives way to one of the same size in pages that are written at once: as
 * by a put, and the tree that was there stays as it was.
 */
#include "tree/fake.h"

enum { KEYS = 3000, LARGE = 2000 };

struct model {
    uint64_t keys[KEYS];
    uint32_t size[KEYS], value[KEYS]; /* of value: its bytes are of this number */
};

struct bench {
    struct fake fake;
    struct rmt_tree tree;
    struct rmt_runs gone;
    struct model model;
};

static struct ramet_slice key_of(uint64_t number, uint8_t buf[8])
{
    rmt_put_be64(buf, number);
    return rmt_slice(buf, 8);
}

static struct ramet_slice value_of(uint32_t value, uint32_t size)
{
    static uint32_t bytes[LARGE / 4 + 1];
    for (uint32_t i = 0; i < sizeof(bytes) / 4; i++)
        bytes[i] = value + i;
    return rmt_slice(bytes, size);
}

/* Leaves are dense, fixed, or have cells, a few with values that are not in them. */
enum shape { DENSE, FIXED, CELLS, SHAPES };

static void bench_init(struct bench *b, enum shape shape)
{
    struct rmt_edit edit;
    memset(b, 0, sizeof(*b));
    fake_init(&b->fake, 4096, 40000);
    rmt_edit_init(&edit, &b->fake.pages, fake_reserve, &b->fake);
    b->fake.w.birth = 10;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint8_t key[8];
        uint64_t any = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        b->model.keys[i] = shape == DENSE ? i : shape == FIXED ? 3 * (uint64_t)i : any;
        b->model.size[i] = shape != CELLS ? 8 : i % 200 == 7 ? LARGE : i % 60;
        b->model.value[i] = i;
        assert_int_equal(rmt_tree_put(&edit, &b->tree, key_of(b->model.keys[i], key),
                                      value_of(i, b->model.size[i]), 0),
                         0);
    }
    assert_int_equal(rmt_tree_seal(&edit, &b->tree, &b->fake.w), 0);
    rmt_edit_fini(&edit);
    b->fake.w.birth = 11;
}

static void bench_fini(struct bench *b)
{
    rmt_vec_fini(&b->gone);
    fake_fini(&b->fake);
}

RMT_AUTO(rmt_arena_fini, struct rmt_arena)

static void want(struct bench *b, const struct rmt_tree *tree, uint32_t i, uint32_t value)
{
    rmt_auto(rmt_arena_fini) struct rmt_arena *arena = &(struct rmt_arena){0};
    struct rmt_value found;
    struct ramet_slice slice, wanted = value_of(value, b->model.size[i]);
    uint8_t key[8];
    assert_int_equal(fake_get(&b->fake.pages, tree, key_of(b->model.keys[i], key), &found), 0);
    assert_int_equal(rmt_value_slice(&b->fake.pages, &found, arena, &slice), 0);
    assert_int_equal(slice.size, wanted.size);
    assert_true(slice.size == 0 || memcmp(slice.data, wanted.data, slice.size) == 0);
}

static int replace(struct bench *b, uint64_t number, struct ramet_slice value, uint64_t horizon)
{
    uint8_t key[8];
    return rmt_tree_replace(&b->fake.pages, &b->tree, key_of(number, key), value, horizon,
                            &b->fake.w, &b->gone);
}

static uint32_t depth_of(struct bench *b)
{
    const struct rmt_disk_node *root = NULL;
    assert_int_equal(rmt_page_read(&b->fake.pages, b->tree.root, &root), 0);
    return root->level + 1u;
}

static void test_is_as_a_put(void **state)
{
    (void)state;
    for (enum shape shape = DENSE; shape < SHAPES; shape++) {
        struct bench b;
        bench_init(&b, shape);
        struct rmt_tree before = b.tree;
        struct model was = b.model;
        for (int n = 0; n < 2000; n++) {
            uint32_t i = (uint32_t)chance(KEYS), size = b.model.size[i];
            size_t gone = b.gone.count;
            uint64_t next = b.fake.w.next;
            int rc = replace(&b, b.model.keys[i], value_of(9000 + (uint32_t)n, size), 5);
            assert_int_equal(rc, size == LARGE ? 1 : 0);
            assert_int_equal(b.gone.count - gone, rc ? 0 : depth_of(&b));
            assert_int_equal(b.fake.w.next - next, rc ? 0 : depth_of(&b));
            assert_int_equal(b.tree.count, KEYS);
            if (rc == 0)
                b.model.value[i] = 9000 + (uint32_t)n;
            want(&b, &b.tree, i, b.model.value[i]);
            want(&b, &before, i, was.value[i]);
        }
        fake_forget(&b.fake); /* each page is judged once more */
        for (uint32_t i = 0; i < KEYS; i++) {
            want(&b, &b.tree, i, b.model.value[i]);
            want(&b, &before, i, was.value[i]);
        }
        bench_fini(&b);
    }
}

static void test_what_it_is_not_for(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, CELLS);
    struct rmt_ref root = b.tree.root;
    assert_int_equal(replace(&b, 12345, value_of(1, 8), 5), 1);              /* not there */
    assert_int_equal(replace(&b, b.model.keys[20], value_of(1, 21), 5), 1);  /* another size */
    assert_int_equal(replace(&b, b.model.keys[7], value_of(1, 2000), 5), 1); /* not in its leaf */
    assert_int_equal(replace(&b, b.model.keys[20], value_of(1, 20), 10), 1); /* of a snapshot */
    struct rmt_tree empty = {.count = 0};
    uint8_t key[8];
    assert_int_equal(rmt_tree_replace(&b.fake.pages, &empty, key_of(1, key), value_of(1, 8), 0,
                                      &b.fake.w, &b.gone),
                     1);
    b.fake.pages.summed = true;
    assert_int_equal(replace(&b, b.model.keys[20], value_of(1, 20), 5), 1);
    b.fake.pages.summed = false;
    assert_true(rmt_ref_equal(root, b.tree.root));
    assert_int_equal(b.gone.count, 0);
    assert_int_equal(replace(&b, b.model.keys[20], value_of(1, 20), 5), 0);
    bench_fini(&b);
}

/* ---- many ------------------------------------------------------------------------------------ */

enum { BATCH = 2500 };

struct batch {
    uint32_t count, at[BATCH], value[BATCH]; /* of the model */
    uint8_t bytes[BATCH][8], values[BATCH][64];
    struct ramet_slice key[BATCH], with[BATCH];
};

/* Keys as they come: some twice, and many side by side or none. */
static void fill_batch(const struct bench *b, struct batch *batch, uint32_t count, uint32_t number)
{
    uint32_t within = chance(2) ? KEYS : 50 + (uint32_t)chance(500);
    batch->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at;
        do
            at = (uint32_t)chance(within);
        while (b->model.size[at] == LARGE);
        struct ramet_slice value = value_of(number + i, b->model.size[at]);
        if (value.size)
            memcpy(batch->values[i], value.data, value.size);
        batch->at[i] = at;
        batch->value[i] = number + i;
        batch->key[i] = key_of(b->model.keys[at], batch->bytes[i]);
        batch->with[i] = rmt_slice(batch->values[i], value.size);
    }
}

static int replace_many(struct bench *b, const struct batch *batch, uint64_t horizon)
{
    struct rmt_replacing r;
    uint64_t next = b->fake.w.next;
    int rc = rmt_replacing_init(&r, &b->fake.pages, &b->tree, batch->count, batch->key, batch->with,
                                horizon);
    assert_int_equal(b->fake.w.next, next);
    uint64_t pages = r.nodes.count;
    if (rc == 0)
        rc = rmt_replacing_write(&r, &b->tree, &b->fake.w, &b->gone);
    if (rc == 0)
        assert_int_equal(b->fake.w.next - next, pages);
    rmt_replacing_fini(&r);
    return rc;
}

static void want_all(struct bench *b, const struct rmt_tree *tree, const struct model *model)
{
    for (uint32_t i = 0; i < KEYS; i++)
        want(b, tree, i, model->value[i]);
}

static void test_many_are_as_puts(void **state)
{
    static struct batch batch;
    (void)state;
    for (enum shape shape = DENSE; shape < SHAPES; shape++) {
        struct bench b;
        bench_init(&b, shape);
        for (uint32_t n = 0; n < 60; n++) {
            struct rmt_tree before = b.tree;
            struct model was = b.model;
            uint64_t gone = 0, next = b.fake.w.next;
            fill_batch(&b, &batch, 1 + (uint32_t)chance(n % 3 ? 40 : BATCH), 10000 + n * BATCH);
            b.gone.count = 0;
            b.fake.w.birth++;
            assert_int_equal(replace_many(&b, &batch, 5), 0);
            for (size_t i = 0; i < b.gone.count; i++)
                gone += b.gone.items[i].len;
            assert_int_equal(b.fake.w.next - next, gone);
            for (uint32_t i = 0; i < batch.count; i++)
                b.model.value[batch.at[i]] = batch.value[i];
            want_all(&b, &b.tree, &b.model);
            want_all(&b, &before, &was);
        }
        fake_forget(&b.fake); /* each page is judged once more */
        want_all(&b, &b.tree, &b.model);
        bench_fini(&b);
    }
}

/* One of many is not there, or of another size, or its page is a snapshot's: none is changed. */
static void test_many_or_none(void **state)
{
    static struct batch batch;
    struct bench b;
    (void)state;
    bench_init(&b, CELLS);
    for (int n = 0; n < 300; n++) {
        struct rmt_ref root = b.tree.root;
        fill_batch(&b, &batch, 2 + (uint32_t)chance(60), 20000);
        uint32_t at = (uint32_t)chance(batch.count);
        if (n % 3 == 0)
            batch.key[at] = key_of(chance(UINT64_MAX), batch.bytes[at]);
        else if (n % 3 == 1)
            batch.with[at].size ^= 1;
        assert_int_equal(replace_many(&b, &batch, n % 3 == 2 ? 10 : 5), 1);
        assert_true(rmt_ref_equal(root, b.tree.root));
    }
    b.fake.w.fail_in = 3;
    fill_batch(&b, &batch, 200, 20000);
    assert_int_equal(replace_many(&b, &batch, 5), -ENOSPC);
    want_all(&b, &b.tree, &b.model);
    bench_fini(&b);
}

/* Of pages that are as old as a snapshot some are on the way, and others are not any more. */
static void test_horizon_within_the_way(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, DENSE);
    assert_int_equal(replace(&b, 5, value_of(1, 8), 5), 0);
    assert_int_equal(replace(&b, 5, value_of(2, 8), 10), 0); /* its way is of 11 by now */
    assert_int_equal(replace(&b, KEYS - 1, value_of(3, 8), 10), 1);
    assert_int_equal(replace(&b, KEYS - 1, value_of(3, 8), 9), 0);
    b.model.value[5] = 2;
    b.model.value[KEYS - 1] = 3;
    want(&b, &b.tree, 5, 2);
    want(&b, &b.tree, KEYS - 1, 3);
    bench_fini(&b);
}

static void test_a_write_that_fails(void **state)
{
    struct bench b;
    (void)state;
    bench_init(&b, DENSE);
    struct rmt_ref root = b.tree.root;
    for (int64_t n = 0; n < depth_of(&b); n++) {
        b.fake.w.fail_in = n;
        assert_int_equal(replace(&b, 5, value_of(1, 8), 5), -ENOSPC);
        b.fake.w.fail_in = -1;
        assert_true(rmt_ref_equal(root, b.tree.root));
        assert_int_equal(b.gone.count, 0);
        want(&b, &b.tree, 5, 5);
    }
    bench_fini(&b);
}

int main(int argc, char **argv)
{
    chance_state = chance_seed(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_as_a_put),
        cmocka_unit_test(test_what_it_is_not_for),
        cmocka_unit_test(test_many_are_as_puts),
        cmocka_unit_test(test_many_or_none),
        cmocka_unit_test(test_horizon_within_the_way),
        cmocka_unit_test(test_a_write_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
