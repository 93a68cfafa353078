/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "io/io.h"

static void is_set_until_it_is_cleared(void **state)
{
    (void)state;
    int fd;
    assert_int_equal(rmt_event_new(&fd), 0);
    assert_int_equal(rmt_event_wait(fd, 0), 0);
    rmt_event_clear(fd);
    rmt_event_set(fd);
    rmt_event_set(fd);
    assert_int_equal(rmt_event_wait(fd, -1), 1);
    assert_int_equal(rmt_event_wait(fd, 0), 1);
    rmt_event_clear(fd);
    assert_int_equal(rmt_event_wait(fd, 0), 0);
    rmt_event_free(fd);
}

static void *set_it(void *fd)
{
    rmt_event_set(*(int *)fd);
    return NULL;
}

static void wakes_another_thread(void **state)
{
    (void)state;
    int fd;
    pthread_t thread;
    assert_int_equal(rmt_event_new(&fd), 0);
    assert_int_equal(pthread_create(&thread, NULL, set_it, &fd), 0);
    assert_int_equal(rmt_event_wait(fd, -1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    rmt_event_free(fd);
}

static void on_signal(int number)
{
    (void)number;
}

static void says_that_a_signal_came(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal}, before;
    struct itimerspec soon = {.it_value = {.tv_nsec = 1000000},
                              .it_interval = {.tv_nsec = 1000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t timer;
    int fd;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(rmt_event_new(&fd), 0);
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
    assert_int_equal(rmt_event_wait(fd, -1), -EINTR);
    assert_int_equal(timer_delete(timer), 0);
    rmt_event_free(fd);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
}

static void fails_without_descriptors(void **state)
{
    (void)state;
    struct rlimit before, none;
    int fd = -7;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = rmt_event_new(&fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, -EMFILE);
    assert_int_equal(fd, -7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_set_until_it_is_cleared),
        cmocka_unit_test(wakes_another_thread),
        cmocka_unit_test(says_that_a_signal_came),
        cmocka_unit_test(fails_without_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
