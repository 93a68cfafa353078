/* SPDX-License-Identifier: MIT */
/* layer-test.c - a layer beside an array that says for every page what it is. */
#include "layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE 64u
#define PAGES 700u

/* 0: nothing; 1: a hole; else the first byte of a page. */
struct model {
    uint8_t pages[PAGES];
};

static void put(struct rmt_layer *layer, struct rmt_pool *pool, struct model *model, uint64_t page,
                size_t count, uint8_t value)
{
    uint8_t *bytes[RMT_CHUNK_PAGES];
    assert_int_equal(rmt_pool_get(pool, count, bytes), 0);
    for (size_t i = 0; i < count; i++)
        memset(bytes[i], value, PAGE);
    assert_int_equal(rmt_layer_put(layer, page, count, bytes), 0);
    rmt_pool_put(pool, count, bytes);
    memset(model->pages + page, value, count);
}

static void zero(struct rmt_layer *layer, struct rmt_pool *pool, struct model *model, uint64_t from,
                 uint64_t to)
{
    assert_int_equal(rmt_layer_zero(layer, pool, from, to), 0);
    memset(model->pages + from, 1, to - from);
}

static void is_as(const struct rmt_layer *layer, const struct model *model)
{
    uint64_t count = 0;
    for (uint64_t page = 0; page < PAGES; page++) {
        uint8_t *bytes, wanted = model->pages[page];
        enum rmt_layer_kind kind = rmt_layer_find(layer, page, &bytes);
        assert_int_equal(kind, wanted == 0   ? RMT_LAYER_NOTHING
                               : wanted == 1 ? RMT_LAYER_HOLE
                                             : RMT_LAYER_PAGE);
        if (kind == RMT_LAYER_PAGE)
            assert_true(bytes[0] == wanted && bytes[PAGE - 1] == wanted);
        count += kind == RMT_LAYER_PAGE;
    }
    assert_int_equal(layer->nr_pages, count); /* L2 */
    for (size_t i = 1; i < layer->nr_holes; i++)
        assert_true(layer->holes[i - 1].to < layer->holes[i].from); /* L1 */
}

static void sorted_has_all_pages(const struct rmt_layer *layer)
{
    struct rmt_chunk **chunks;
    size_t count;
    uint64_t pages = 0;
    assert_int_equal(rmt_layer_sort(layer, &chunks, &count), 0);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || chunks[i - 1]->number < chunks[i]->number);
        pages += (uint64_t)__builtin_popcountll(chunks[i]->mask);
    }
    assert_int_equal(pages, layer->nr_pages);
    free(chunks);
}

/* A range's pages and holes, listed, are what is found one by one. */
static void lists_what_is_there(const struct rmt_layer *layer, const struct model *model)
{
    uint64_t from = (uint64_t)rand() % PAGES, to = from + (uint64_t)rand() % (PAGES - from + 1);
    struct rmt_ranges lists[2] = {{0}};
    uint8_t seen[PAGES] = {0};
    to = rand() % 4 ? to : (uint64_t)1 << 40;
    assert_int_equal(rmt_layer_list_pages(layer, from, to, &lists[1]), 0);
    assert_int_equal(rmt_layer_list_holes(layer, from, to, &lists[0]), 0);
    for (size_t k = 0; k < 2; k++) { /* pages cover holes */
        for (size_t i = 0; i < lists[k].count; i++) {
            const struct rmt_range *range = &lists[k].items[i];
            assert_true(from <= range->from && range->from < range->to && range->to <= to);
            assert_true(i == 0 || range[-1].to < range->from);
            memset(seen + range->from, k ? 2 : 1, range->to - range->from);
        }
        free(lists[k].items);
    }
    for (uint64_t page = 0; page < PAGES; page++) {
        bool inside = page >= from && page < to;
        assert_int_equal(seen[page], !inside ? 0 : model->pages[page] > 1 ? 2 : model->pages[page]);
    }
}

static void ranges_are_sets(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        print_message("seed %u\n", seed);
        srand(seed);
        struct rmt_ranges all = {0};
        uint8_t wanted[PAGES] = {0};
        for (int n = rand() % 6; n >= 0; n--) {
            struct rmt_range items[40];
            struct rmt_ranges more = {items, 0, 0};
            for (uint64_t at = (uint64_t)rand() % 50; at < PAGES - 20;
                 at += (uint64_t)rand() % 60) {
                struct rmt_range range = {at, at + 1 + (uint64_t)rand() % 20};
                items[more.count++] = range;
                memset(wanted + range.from, 1, range.to - range.from);
                at = range.to;
                if (more.count == 40)
                    break;
            }
            assert_int_equal(rmt_ranges_add(&all, &more), 0);
        }
        for (size_t i = 1; i < all.count; i++)
            assert_true(all.items[i - 1].to < all.items[i].from);
        for (uint64_t page = 0; page < PAGES; page++) {
            uint64_t to = page + (uint64_t)rand() % (PAGES - page);
            assert_int_equal(rmt_ranges_meet(&all, page, page + 1), wanted[page]);
            assert_int_equal(rmt_ranges_meet(&all, page, to),
                             to > page && memchr(wanted + page, 1, to - page) != NULL);
        }
        free(all.items);
    }
}

static void change(struct rmt_layer *layer, struct rmt_pool *pool, struct model *model)
{
    uint64_t page = (uint64_t)rand() % PAGES;
    if (rand() % 3) {
        size_t count = RMT_CHUNK_PAGES - page % RMT_CHUNK_PAGES;
        count = rand() % 2 ? 1 : count;
        if (page + count > PAGES)
            count = 1;
        put(layer, pool, model, page, count, (uint8_t)(2 + rand() % 250));
    } else {
        uint64_t most = rand() % 4 ? 8 : PAGES, to = page + (uint64_t)rand() % most;
        to = to > PAGES ? PAGES : to;
        zero(layer, pool, model, page, to);
    }
}

static void is_what_was_written_last(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        print_message("seed %u\n", seed);
        srand(seed);
        struct rmt_pool pool;
        struct rmt_layer layer = {0};
        struct model model = {{0}};
        rmt_pool_init(&pool, PAGE, 100);
        for (int i = 0; i < 200; i++) {
            change(&layer, &pool, &model);
            is_as(&layer, &model);
            lists_what_is_there(&layer, &model);
        }
        sorted_has_all_pages(&layer);
        rmt_layer_fini(&layer, &pool);
        assert_true(rmt_layer_empty(&layer));
        rmt_pool_fini(&pool);
    }
}

static void absorbs_what_is_older(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        print_message("seed %u\n", seed);
        srand(seed);
        struct rmt_pool pool;
        struct rmt_layer below = {0}, layer = {0};
        struct model older = {{0}}, model = {{0}};
        rmt_pool_init(&pool, PAGE, 100);
        for (int i = rand() % 40; i > 0; i--)
            change(&below, &pool, &older);
        for (int i = rand() % 40; i > 0; i--)
            change(&layer, &pool, &model);
        for (size_t i = 0; i < PAGES; i++)
            model.pages[i] = model.pages[i] ? model.pages[i] : older.pages[i];
        assert_int_equal(rmt_layer_absorb(&layer, &below, &pool), 0);
        assert_true(rmt_layer_empty(&below));
        is_as(&layer, &model);
        sorted_has_all_pages(&layer);
        rmt_layer_fini(&layer, &pool);
        rmt_layer_fini(&below, &pool);
        rmt_pool_fini(&pool);
    }
}

static void zeroes_a_large_disk_at_once(void **state)
{
    (void)state;
    struct rmt_pool pool;
    struct rmt_layer layer = {0};
    uint8_t *bytes;
    rmt_pool_init(&pool, PAGE, 100);
    for (uint64_t page = 0; page < (uint64_t)1 << 40; page += (uint64_t)1 << 30) {
        assert_int_equal(rmt_pool_get(&pool, 1, &bytes), 0);
        assert_int_equal(rmt_layer_put(&layer, page, 1, &bytes), 0);
    }
    assert_int_equal(rmt_layer_zero(&layer, &pool, 1, (uint64_t)1 << 48), 0);
    assert_int_equal(layer.nr_pages, 1);
    assert_int_equal(layer.nr_holes, 1);
    assert_int_equal(rmt_layer_find(&layer, 0, &bytes), RMT_LAYER_PAGE);
    assert_int_equal(rmt_layer_find(&layer, (uint64_t)1 << 39, &bytes), RMT_LAYER_HOLE);
    assert_int_equal(rmt_layer_find(&layer, (uint64_t)1 << 48, &bytes), RMT_LAYER_NOTHING);
    rmt_layer_fini(&layer, &pool);
    rmt_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_was_written_last),
        cmocka_unit_test(absorbs_what_is_older),
        cmocka_unit_test(ranges_are_sets),
        cmocka_unit_test(zeroes_a_large_disk_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
