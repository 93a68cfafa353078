/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

/* The checksum is part of the format: these numbers never change. */
static void gives_the_published_values_of_xxh3(void **state)
{
    (void)state;
    assert_true(rmt_hash("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(rmt_hash("a", 1, 0) != rmt_hash("a", 1, 1));
    assert_true(rmt_hash("a", 1, 0) != rmt_hash("b", 1, 0));
}

static void is_the_same_with_avx2_and_without(void **state)
{
    static uint8_t bytes[70000];
    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 151 + i / 255);
    for (size_t len = 0; len < sizeof(bytes); len += len < 600 ? 1 : 797) {
        assert_true(rmt_hash(bytes, len, 0) == rmt_hash_portable(bytes, len, 0));
        assert_true(rmt_hash(bytes, len, len * 7) == rmt_hash_portable(bytes, len, len * 7));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_values_of_xxh3),
        cmocka_unit_test(is_the_same_with_avx2_and_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
