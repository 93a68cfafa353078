/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/vec.h"

static void grows_and_keeps_its_elements(void **state)
{
    (void)state;
    RMT_VEC(uint64_t) v = {0};
    for (uint64_t i = 0; i < 10000; i++)
        assert_true(rmt_vec_push(&v, i * i));
    assert_int_equal(v.count, 10000);
    assert_true(v.capacity >= v.count);
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(v.items[i], i * i);
    rmt_vec_fini(&v);
    assert_null(v.items);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.capacity, 0);
}

static void reserves_once(void **state)
{
    (void)state;
    RMT_VEC(char) v = {0};
    assert_true(rmt_vec_reserve(&v, 1000));
    const char *before = v.items;
    for (int i = 0; i < 1000; i++)
        assert_true(rmt_vec_push(&v, 'x'));
    assert_ptr_equal(v.items, before);
    rmt_vec_fini(&v);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    RMT_VEC(uint64_t) v = {0};
    assert_true(rmt_vec_push(&v, 7));
    assert_false(rmt_vec_reserve(&v, SIZE_MAX));
    assert_false(rmt_vec_reserve(&v, SIZE_MAX / 8));
    assert_int_equal(v.count, 1);
    assert_int_equal(v.items[0], 7);
    rmt_vec_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_its_elements),
        cmocka_unit_test(reserves_once),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
