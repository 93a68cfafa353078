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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_values_of_xxh3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
