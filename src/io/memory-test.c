/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/io.h"

static struct rmt_io *io;

static int setup(void **state)
{
    (void)state;
    return rmt_io_memory_open(&io);
}

static int teardown(void **state)
{
    (void)state;
    rmt_io_close(io);
    return 0;
}

static void is_new_and_forgets(void **state)
{
    (void)state;
    uint64_t size = 1;
    assert_true(io->created);
    assert_false(io->durable);
    assert_false(io->readonly);
    assert_string_equal(io->path, "memory");
    assert_int_equal(io->ops->size(io, &size), 0);
    assert_int_equal(size, 0);
    assert_int_equal(io->ops->sync(io), 0);
}

static void reads_what_was_written(void **state)
{
    (void)state;
    const uint8_t *view = NULL;
    char buf[8] = {0};
    char text[] = "abcdefgh";
    struct iovec iov[] = {{text, 4}, {text + 4, 4}};
    assert_int_equal(io->ops->map(io, UINT64_C(1) << 38, &view), 0);
    assert_int_equal(io->ops->grow(io, 8192), 0);
    assert_int_equal(io->ops->write(io, iov, 2, 8184), 0);
    assert_memory_equal(view + 8184, "abcdefgh", 8);
    io->ops->drop_cache(io);
    assert_int_equal(io->ops->read(io, buf, 8, 8184), 0);
    assert_memory_equal(buf, "abcdefgh", 8);
    assert_int_equal(io->ops->read(io, buf, 8, 8185), -ENODATA);
    assert_int_equal(io->ops->grow(io, 4096), 0);
    assert_int_equal(view[8191], 'h');
}

static void gives_memory_back_and_takes_it_again(void **state)
{
    (void)state;
    char buf[4] = {0};
    char text[] = "abcd";
    struct iovec iov = {text, 4};
    uint64_t size = 0;
    assert_int_equal(io->ops->grow(io, 65536), 0);
    assert_int_equal(io->ops->write(io, &iov, 1, 8192), 0);
    assert_int_equal(io->ops->punch(io, 4096, 8192), 0);
    assert_int_equal(io->ops->read(io, buf, 4, 8192), 0);
    assert_memory_equal(buf, "\0\0\0\0", 4);
    assert_int_equal(io->ops->fill(io, 4096, 8192), 0);
    iov = (struct iovec){text, 4};
    assert_int_equal(io->ops->write(io, &iov, 1, 8192), 0);
    assert_int_equal(io->ops->read(io, buf, 4, 8192), 0);
    assert_memory_equal(buf, "abcd", 4);
    assert_int_equal(io->ops->size(io, &size), 0);
    assert_int_equal(size, 65536);
}

static void writes_with_and_without_the_kernel(void **state)
{
    (void)state;
    enum { SIZE = 65536 };
    const uint8_t *view;
    char first[] = "abcd", second[] = "efgh", buf[8] = {0};
    struct iovec iov[2] = {{first, 4}, {second, 4}};
    uint64_t size = 0;
    assert_int_equal(io->ops->grow(io, SIZE), 0);
    assert_int_equal(io->ops->write(io, iov, 2, 100), 0); /* there is no mapping yet */
    assert_int_equal(io->ops->map(io, 1 << 20, &view), 0);
    assert_memory_equal(view + 100, "abcdefgh", 8);
    iov[0] = (struct iovec){second, 4};
    iov[1] = (struct iovec){first, 4};
    assert_int_equal(io->ops->write(io, iov, 2, SIZE - 8), 0); /* up to the end */
    assert_memory_equal(view + SIZE - 8, "efghabcd", 8);
    assert_int_equal(io->ops->read(io, buf, 8, SIZE - 8), 0);
    assert_memory_equal(buf, "efghabcd", 8);
    iov[0] = (struct iovec){first, 4};
    assert_int_equal(io->ops->write(io, iov, 1, SIZE - 2), 0); /* beyond what has its memory */
    assert_int_equal(io->ops->read(io, buf, 4, SIZE - 2), 0);
    assert_memory_equal(buf, "abcd", 4);
    assert_int_equal(io->ops->size(io, &size), 0);
    assert_int_equal(size, SIZE + 2);
}

static void shares_with_nobody(void **state)
{
    (void)state;
    void *mem = NULL;
    assert_int_equal(io->ops->shared(io, 100000, &mem), 0);
    assert_int_equal(((char *)mem)[99999], 0);
    memset(mem, 1, 100000);
    assert_int_equal(io->ops->lock(io, 5, RMT_IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(io->ops->lock(io, 5, RMT_IO_LOCK_SHARED, true), 0);
    assert_int_equal(io->ops->locked(io, 5), 0);
    assert_int_equal(io->ops->lock(io, 5, RMT_IO_UNLOCK, false), 0);
}

static void two_are_strangers(void **state)
{
    (void)state;
    struct rmt_io *other = NULL;
    uint8_t a[16], b[16];
    assert_int_equal(rmt_io_memory_open(&other), 0);
    io->ops->boot_id(io, a);
    other->ops->boot_id(other, b);
    assert_memory_not_equal(a, b, 16);
    assert_int_equal(io->ops->lock(io, 5, RMT_IO_LOCK_EXCLUSIVE, false), 0);
    assert_int_equal(other->ops->lock(other, 5, RMT_IO_LOCK_EXCLUSIVE, false), 0);
    rmt_io_close(other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_new_and_forgets),
        TEST(reads_what_was_written),
        TEST(gives_memory_back_and_takes_it_again),
        TEST(writes_with_and_without_the_kernel),
        TEST(shares_with_nobody),
        TEST(two_are_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
