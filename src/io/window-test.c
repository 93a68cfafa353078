/* SPDX-License-Identifier: MIT */
#include "io/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096u
#define PAGES 64u

static struct rmt_io *io;
static struct rmt_window window;

/* A file of PAGES pages, each full of its number; the window shows it from page 0 on, and as many
 * pages of zeros behind. */
static int setup(void **state)
{
    static uint8_t page[PAGE];
    (void)state;
    if (rmt_io_memory_open(&io) < 0 || io->ops->grow(io, PAGES * PAGE) < 0)
        return -1;
    for (uint32_t i = 0; i < PAGES; i++) {
        struct iovec iov = {page, PAGE};
        memset(page, (int)(i + 1), PAGE);
        if (io->ops->write(io, &iov, 1, (uint64_t)i * PAGE) < 0)
            return -1;
    }
    if (rmt_window_new((size_t)2 * PAGES * PAGE, &window) < 0)
        return -1;
    if (rmt_window_map(&window, 0, io, 0, (size_t)PAGES * PAGE) < 0)
        return -1;
    return rmt_window_settle(&window);
}

static int teardown(void **state)
{
    (void)state;
    rmt_window_fini(&window);
    io->ops->close(io);
    return 0;
}

static int add(void *ctx, size_t off, size_t len)
{
    char *text = ctx;
    (void)sprintf(text + strlen(text), "%zu+%zu ", off / PAGE, len / PAGE);
    return 0;
}

static void written_is(bool arm, const char *wanted)
{
    char text[2000] = "";
    assert_int_equal(rmt_window_written(&window, 0, window.size, arm, add, text), 0);
    assert_string_equal(text, wanted);
}

static uint8_t file_byte(uint32_t page)
{
    uint8_t byte = 0;
    assert_int_equal(io->ops->read(io, &byte, 1, (uint64_t)page * PAGE), 0);
    return byte;
}

static volatile uint8_t *at(uint32_t page)
{
    return window.base + (size_t)page * PAGE;
}

static void shows_the_file_and_keeps_it(void **state)
{
    (void)state;
    assert_int_equal(*at(0), 1);
    assert_int_equal(*at(63), 64);
    assert_int_equal(*at(64), 0);
    written_is(false, "");
    *at(5) = 99;
    *at(6) = 99;
    *at(70) = 99;
    written_is(false, "5+2 70+1 ");
    assert_int_equal(file_byte(5), 6);
    assert_int_equal(rmt_window_drop(&window, 5 * PAGE, PAGE), 0);
    assert_int_equal(*at(5), 6);
    written_is(false, "6+1 70+1 ");
    assert_int_equal(rmt_window_clear(&window, 0, 4 * PAGE), 0);
    assert_int_equal(*at(0), 0);
    assert_int_equal(*at(4), 5);
}

static void armed_pages_are_found_when_they_are_written(void **state)
{
    (void)state;
    *at(5) = 99;
    *at(9) = 99;
    *at(80) = 99;
    written_is(true, "5+1 9+1 80+1 ");
    if (!rmt_window_exact(&window)) {
        print_message("this kernel cannot tell\n");
        skip();
    }
    written_is(true, "");
    *at(9) = 98;
    *at(10) = 98;
    *at(80) = 98;
    *at(81) = 98;
    written_is(false, "9+2 80+2 ");
    written_is(true, "9+2 80+2 ");
    written_is(true, "");
    assert_int_equal(rmt_window_drop(&window, 9 * PAGE, PAGE), 0);
    assert_int_equal(*at(9), 10);
    written_is(true, "");
    *at(9) = 97;
    written_is(true, "9+1 ");
    /* What is mapped anew is watched, too. */
    assert_int_equal(rmt_window_map(&window, 100 * PAGE, io, 0, 4 * PAGE), 0);
    assert_int_equal(rmt_window_settle(&window), 0);
    *at(101) = 7;
    written_is(true, "101+1 ");
    *at(101) = 8;
    written_is(true, "101+1 ");
}

static void many_ranges(void **state)
{
    (void)state;
    rmt_window_fini(&window);
    assert_int_equal(rmt_window_new((size_t)4000 * PAGE, &window), 0);
    for (uint32_t round = 0; round < 2; round++) {
        uint32_t nr = 0, from = 0;
        char text[40000] = "";
        for (uint32_t i = 0; i < 4000; i += 3)
            *at(i) = 1;
        assert_int_equal(rmt_window_written(&window, 0, window.size, true, add, text), 0);
        for (char *p = text; *p; nr++, from += 3) {
            char *end;
            assert_int_equal(strtoul(p, &end, 10), from);
            p = strchr(p, ' ') + 1;
        }
        assert_int_equal(nr, 1334);
    }
}

static void a_child_has_none(void **state)
{
    (void)state;
    *at(5) = 99;
    pid_t pid = fork();
    if (pid == 0) {
        int fds[2]; /* write() finds out whether an address is there, without a signal */
        if (pipe(fds) < 0)
            _exit(2);
        _exit(write(fds[1], window.base, 1) < 0 && errno == EFAULT ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(*at(5), 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(shows_the_file_and_keeps_it, setup, teardown),
        cmocka_unit_test_setup_teardown(armed_pages_are_found_when_they_are_written, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_has_none, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
