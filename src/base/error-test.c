/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/base.h"

static void keeps_the_sentence_and_returns_the_code(void **state)
{
    (void)state;
    assert_int_equal(rmt_fail(RAMET_ECORRUPT, "page %d", 7), RAMET_ECORRUPT);
    assert_string_equal(ramet_errmsg(), "page 7: stored bytes fail a checksum or an invariant");
    assert_int_equal(rmt_fail(-ENOSPC, "store '%s'", "x"), -ENOSPC);
    assert_string_equal(ramet_errmsg(), "store 'x': No space left on device");
}

static void cuts_a_long_sentence(void **state)
{
    (void)state;
    char long_name[2000];
    memset(long_name, 'x', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(rmt_fail(-EINVAL, "%s", long_name), -EINVAL);
    assert_in_range(strlen(ramet_errmsg()), 100, 1000);
}

static void *other_thread(void *ctx)
{
    (void)ctx;
    int clean = ramet_errmsg()[0] == '\0';
    (void)rmt_fail(-EIO, "of another thread");
    return clean ? NULL : (void *)1;
}

static void says_where_it_was_before_the_sentence(void **state)
{
    (void)state;
    char longest[600];
    (void)rmt_fail(RAMET_ECORRUPT, "page %d", 7);
    assert_int_equal(rmt_fail_within(RAMET_ECORRUPT, "byte %d", 5), RAMET_ECORRUPT);
    assert_int_equal(rmt_fail_within(RAMET_ECORRUPT, "key '%s'", "k"), RAMET_ECORRUPT);
    assert_string_equal(ramet_errmsg(), "key 'k': byte 5: page 7: stored bytes fail a checksum or "
                                        "an invariant");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = 0;
    (void)rmt_fail_within(RAMET_ECORRUPT, "%s", longest);
    assert_int_equal(strlen(ramet_errmsg()), 511);
}

static void each_thread_has_its_own_sentence(void **state)
{
    (void)state;
    (void)rmt_fail(-EINVAL, "mine");
    pthread_t thread;
    void *dirty = NULL;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &dirty), 0);
    assert_null(dirty);
    assert_string_equal(ramet_errmsg(), "mine: Invalid argument");
}

static void every_code_has_a_text_and_an_errno(void **state)
{
    (void)state;
    static const int codes[] = {
#define CODE(name, code, errno_, text) name,
        RAMET_ERRORS(CODE)
#undef CODE
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_int_equal(codes[i], -5001 - (int)i);
        assert_string_not_equal(ramet_strerror(codes[i]), "unknown error");
        assert_true(ramet_errno(codes[i]) > 0);
    }
    assert_string_equal(ramet_strerror(0), "success");
    assert_string_equal(ramet_strerror(-ENOENT), "No such file or directory");
    assert_string_equal(ramet_strerror(5), "unknown error");
    assert_string_equal(ramet_strerror(-4999), "unknown error");
    assert_int_equal(ramet_errno(0), 0);
    assert_int_equal(ramet_errno(-ENOSPC), ENOSPC);
    assert_int_equal(ramet_errno(-4999), EIO);
    assert_int_equal(ramet_errno(5), EIO);
}

static void sums_refuse_to_overflow(void **state)
{
    (void)state;
    uint64_t sum = 0;
    assert_true(rmt_add(UINT64_MAX - 1, (uint64_t)1, &sum));
    assert_true(sum == UINT64_MAX);
    assert_false(rmt_add(UINT64_MAX, (uint64_t)1, &sum));
    assert_false(rmt_mul(UINT64_MAX / 2, (uint64_t)3, &sum));
    assert_int_equal(rmt_div_up(0, 4096), 0);
    assert_int_equal(rmt_div_up(1, 4096), 1);
    assert_int_equal(rmt_div_up(4096, 4096), 1);
    assert_true(rmt_div_up(UINT64_MAX, 2) == UINT64_C(1) << 63);
    assert_int_equal(rmt_min(1, 2), 1);
    assert_int_equal(rmt_max(1, 2), 2);
}

static void slices_compare_as_memcmp_and_then_by_length(void **state)
{
    (void)state;
    assert_true(rmt_slice_cmp(rmt_slice("a", 1), rmt_slice("b", 1)) < 0);
    assert_true(rmt_slice_cmp(rmt_slice("\xff", 1), rmt_slice("b", 1)) > 0);
    assert_true(rmt_slice_cmp(rmt_slice("ab", 2), rmt_slice("a", 1)) > 0);
    assert_true(rmt_slice_cmp(rmt_slice("a", 1), rmt_slice("ab", 2)) < 0);
    assert_true(rmt_slice_cmp(rmt_slice(NULL, 0), rmt_slice("", 0)) == 0);
    assert_true(rmt_slice_cmp(rmt_slice(NULL, 0), rmt_slice("a", 1)) < 0);
}

static void take_empties_the_variable(void **state)
{
    (void)state;
    void *given = NULL;
    {
        rmt_auto(free) void *p = malloc(1);
        given = rmt_take(p);
        assert_null(p);
    }
    assert_non_null(given);
    free(given);
}

static void version_is_three_numbers(void **state)
{
    (void)state;
    assert_non_null(strchr(ramet_version(), '.'));
    assert_ptr_not_equal(strchr(ramet_version(), '.'), strrchr(ramet_version(), '.'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_sentence_and_returns_the_code),
        cmocka_unit_test(cuts_a_long_sentence),
        cmocka_unit_test(says_where_it_was_before_the_sentence),
        cmocka_unit_test(each_thread_has_its_own_sentence),
        cmocka_unit_test(every_code_has_a_text_and_an_errno),
        cmocka_unit_test(sums_refuse_to_overflow),
        cmocka_unit_test(slices_compare_as_memcmp_and_then_by_length),
        cmocka_unit_test(take_empties_the_variable),
        cmocka_unit_test(version_is_three_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
