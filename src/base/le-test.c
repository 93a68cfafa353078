/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/le.h"

_Static_assert(sizeof(rmt_le16) == 2 && _Alignof(rmt_le16) == 1, "bytes, not a number");
_Static_assert(sizeof(rmt_le32) == 4 && _Alignof(rmt_le32) == 1, "bytes, not a number");
_Static_assert(sizeof(rmt_le48) == 6 && _Alignof(rmt_le48) == 1, "bytes, not a number");
_Static_assert(sizeof(rmt_le64) == 8 && _Alignof(rmt_le64) == 1, "bytes, not a number");

static void the_lowest_byte_comes_first(void **state)
{
    (void)state;
    rmt_le16 a = rmt_put16(0x0201);
    rmt_le32 b = rmt_put32(0x04030201);
    rmt_le48 c = rmt_put48(UINT64_C(0x060504030201));
    rmt_le64 d = rmt_put64(UINT64_C(0x0807060504030201));
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
    assert_memory_equal(a.b, bytes, 2);
    assert_memory_equal(b.b, bytes, 4);
    assert_memory_equal(c.b, bytes, 6);
    assert_memory_equal(d.b, bytes, 8);
}

static void what_was_put_is_got(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t x = UINT64_C(0x9e3779b97f4a7c15) >> i;
        assert_int_equal(rmt_get16(rmt_put16((uint16_t)x)), (uint16_t)x);
        assert_int_equal(rmt_get32(rmt_put32((uint32_t)x)), (uint32_t)x);
        assert_true(rmt_get48(rmt_put48(x)) == (x & (UINT64_MAX >> 16)));
        assert_true(rmt_get64(rmt_put64(x)) == x);
    }
}

static void big_endian_orders_numbers_as_memcmp_does(void **state)
{
    (void)state;
    static const uint64_t rising[] = {0, 1, 255, 256, 65536, UINT64_MAX / 2, UINT64_MAX};
    uint8_t before[8], now[8];
    for (size_t i = 0; i < sizeof(rising) / sizeof(rising[0]); i++) {
        rmt_put_be64(now, rising[i]);
        assert_true(rmt_get_be64(now) == rising[i]);
        if (i > 0)
            assert_true(memcmp(before, now, 8) < 0);
        memcpy(before, now, 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_byte_comes_first),
        cmocka_unit_test(what_was_put_is_got),
        cmocka_unit_test(big_endian_orders_numbers_as_memcmp_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
