/* SPDX-License-Identifier: MIT */
/* pieces-test.c - lists of pages, compared with sets of bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blob/pieces.h"

#define PAGES 64u

static uint64_t state;

static uint64_t chance(uint64_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

static uint64_t bits_of(const struct rmt_pieces *pieces)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        assert_true(pieces->items[i].count > 0);
        for (uint64_t n = 0; n < pieces->items[i].count; n++)
            bits |= UINT64_C(1) << (pieces->items[i].page + n);
    }
    return bits;
}

/* In order, apart, and the pages that it should have. */
static void check_settled(const struct rmt_pieces *pieces, uint64_t bits)
{
    assert_true(bits_of(pieces) == bits);
    for (size_t i = 1; i < pieces->count; i++)
        assert_true(pieces->items[i].page > pieces->items[i - 1].page + pieces->items[i - 1].count);
    for (uint64_t page = 0; page < PAGES; page++)
        assert_int_equal(rmt_pieces_have(pieces, page), bits >> page & 1);
}

static uint64_t make(struct rmt_pieces *out)
{
    for (uint64_t n = chance(12); n > 0; n--) {
        struct rmt_piece piece = {.page = chance(PAGES)};
        piece.count = 1 + chance(rmt_min(PAGES - piece.page, 1 + chance(20)));
        assert_true(rmt_pieces_push(out, piece));
    }
    uint64_t bits = bits_of(out);
    rmt_pieces_settle(out);
    check_settled(out, bits);
    return bits;
}

static void are_sets_of_pages(void **unused)
{
    (void)unused;
    for (unsigned round = 0; round < 5000; round++) {
        struct rmt_pieces a = {0}, b = {0}, left = {0};
        uint64_t in_a = make(&a), in_b = make(&b), from = chance(PAGES);
        assert_true(rmt_pieces_subtract(&a, &b, &left));
        check_settled(&left, in_a & ~in_b);
        rmt_pieces_trim(&a, from);
        check_settled(&a, in_a & ~(UINT64_MAX << from));
        rmt_pieces_swap(&a, &b);
        check_settled(&a, in_b);
        rmt_pieces_fini(&a);
        rmt_pieces_fini(&b);
        rmt_pieces_fini(&left);
    }
}

static void runs_of_the_file_end_where_addresses_do(void **unused)
{
    (void)unused;
    struct rmt_pieces runs = {0};
    assert_true(rmt_pieces_push(&runs, (struct rmt_piece){5, 2, 100}));
    assert_true(rmt_pieces_push(&runs, (struct rmt_piece){7, 1, 102}));
    assert_int_equal(runs.count, 1);
    assert_true(rmt_pieces_push(&runs, (struct rmt_piece){8, 1, 104}));
    assert_true(rmt_pieces_push(&runs, (struct rmt_piece){10, 1, 105}));
    assert_int_equal(runs.count, 3);
    assert_int_equal(runs.items[0].count, 3);
    rmt_pieces_fini(&runs);
}

/* All of the largest region but a page takes no longer than anything else. */
static void does_not_go_page_by_page(void **unused)
{
    (void)unused;
    struct rmt_pieces all = {0}, one = {0}, left = {0};
    uint64_t pages = UINT64_C(1) << 60;
    assert_true(rmt_pieces_push(&all, (struct rmt_piece){.page = 1, .count = pages}));
    assert_true(rmt_pieces_push(&one, (struct rmt_piece){.page = pages / 2, .count = 1}));
    assert_true(rmt_pieces_subtract(&all, &one, &left));
    assert_int_equal(left.count, 2);
    assert_true(left.items[0].count + left.items[1].count == pages - 1);
    assert_false(rmt_pieces_have(&left, pages / 2));
    rmt_pieces_fini(&all);
    rmt_pieces_fini(&one);
    rmt_pieces_fini(&left);
}

int main(int argc, char **argv)
{
    state = argc > 1 && strncmp(argv[1], "--seed=", 7) == 0 ? strtoull(argv[1] + 7, NULL, 10) : 1;
    print_message("seed %llu\n", (unsigned long long)state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_sets_of_pages),
        cmocka_unit_test(runs_of_the_file_end_where_addresses_do),
        cmocka_unit_test(does_not_go_page_by_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
