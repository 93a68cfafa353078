/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lock.h"

static struct rmt_lock outer, inner;

static int setup(void **state)
{
    (void)state;
    rmt_lock_init(&outer, RMT_RANK_COMMIT);
    rmt_lock_init(&inner, RMT_RANK_IO);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rmt_lock_fini(&outer);
    rmt_lock_fini(&inner);
    return 0;
}

static void a_scope_gives_its_locks_back(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        rmt_lock_scope(&outer);
        rmt_lock_scope(&inner);
        assert_int_not_equal(pthread_mutex_trylock(&outer.mutex), 0);
    }
    assert_int_equal(pthread_mutex_trylock(&outer.mutex), 0);
    assert_int_equal(pthread_mutex_unlock(&outer.mutex), 0);
}

struct shared {
    pthread_cond_t changed;
    int turn;
    int64_t sum;
};

static void *adder(void *ctx)
{
    struct shared *s = ctx;
    for (int i = 0; i < 10000; i++) {
        rmt_lock_scope(&outer);
        s->sum++;
    }
    rmt_lock_scope(&outer);
    s->turn++;
    (void)pthread_cond_broadcast(&s->changed);
    return NULL;
}

static void excludes_and_waits(void **state)
{
    (void)state;
    struct shared s = {.changed = PTHREAD_COND_INITIALIZER};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, adder, &s), 0);
    {
        rmt_lock_scope(&outer);
        while (s.turn < 2)
            rmt_lock_wait(&outer, &s.changed);
        assert_int_equal(s.sum, 20000);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

#ifdef RMT_SLOW_CHECKS
static void aborts_on_a_reversed_order(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        (void)close(2);
        rmt_lock_take(&inner);
        rmt_lock_take(&outer);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_gives_its_locks_back),
        cmocka_unit_test(excludes_and_waits),
#ifdef RMT_SLOW_CHECKS
        cmocka_unit_test(aborts_on_a_reversed_order),
#endif
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
