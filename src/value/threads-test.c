/* SPDX-License-Identifier: MIT */
/* threads-test.c - values whose memory several threads share; ThreadSanitizer watches it. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "value/alloc-fake.h"

#define THREADS_MAX 16
#define ROUNDS 1600 /* of all threads */
#define ELEMS 20000u

/* Written before the threads begin, and only read by them. */
static struct ramet_str str;
static struct ramet_vec vec;
static struct ramet_seq seq;

/* What one thread puts there another takes: copies end in other threads than they began in. */
static uint64_t rounds; /* of each thread */
static struct {
    pthread_mutex_t lock;
    struct ramet_str str;
    struct ramet_vec vec;
    struct ramet_seq seq;
} place = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool seq_is(const struct ramet_seq *s, uint64_t changed, uint64_t to)
{
    size_t run;
    for (uint64_t i = 0; i < ramet_seq_count(s); i += run) {
        const uint64_t *at = (const uint64_t *)ramet_seq_run(s, i, &run);
        for (size_t k = 0; k < run; k++)
            if (at[k] != (i + k == changed ? to : i + k))
                return false;
    }
    return ramet_seq_count(s) == ELEMS;
}

/* NULL, or what was wrong. */
static void *work(void *arg)
{
    uintptr_t me = (uintptr_t)arg;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t at = (round * 7919 + me * 104729) % ELEMS, mine = UINT64_MAX - me;
        struct ramet_str s = ramet_str_copy(&str), s_part = ramet_str_sub(&str, 3, 40);
        struct ramet_vec v = ramet_vec_copy(&vec);
        struct ramet_seq q = ramet_seq_copy(&seq), q_part = RAMET_SEQ(uint64_t);
        uint8_t mark = (uint8_t)me;
        if (ramet_str_append(&s, rmt_slice(&mark, 1)) < 0 || ramet_vec_set(&v, 5, &mine) < 0 ||
            ramet_seq_set(&q, at, &mine) < 0 || ramet_seq_sub(&seq, 100, 5000, &q_part) < 0 ||
            ramet_seq_concat(&q_part, &seq) < 0)
            return (void *)(uintptr_t) "no memory";
        if (((const uint8_t *)ramet_str_slice(&s).data)[ramet_str_size(&s) - 1] != mark ||
            ramet_str_size(&s_part) != 40 || RAMET_VEC_AT(uint64_t, &v, 5) != mine ||
            RAMET_VEC_AT(uint64_t, &vec, 5) != 5)
            return (void *)(uintptr_t) "a string or an array in a row";
        if (RAMET_SEQ_AT(uint64_t, &q_part, 5000) != 0 ||
            RAMET_SEQ_AT(uint64_t, &q_part, 4999) != 5099)
            return (void *)(uintptr_t) "a part of a large array";
        if (round % 20 == 0 && (!seq_is(&q, at, mine) || !seq_is(&seq, ELEMS, 0)))
            return (void *)(uintptr_t) "a large array";
        ramet_str_fini(&s);
        ramet_seq_fini(&q_part);

        (void)pthread_mutex_lock(&place.lock);
        struct ramet_str s_was = place.str;
        struct ramet_vec v_was = place.vec;
        struct ramet_seq q_was = place.seq;
        place.str = s_part;
        place.vec = ramet_vec_copy(&v);
        place.seq = ramet_seq_copy(&q);
        (void)pthread_mutex_unlock(&place.lock);
        /* One of them is shared with the place now, the other was another thread's. */
        if (ramet_seq_set(&q, at, &round) < 0 || ramet_vec_push(&v, &mine) < 0 ||
            (q_was.body && ramet_seq_set(&q_was, 17, &mine) < 0) ||
            (q_was.body && RAMET_SEQ_AT(uint64_t, &q_was, 17) != mine))
            return (void *)(uintptr_t) "another thread's array";
        ramet_str_fini(&s_was);
        ramet_vec_fini(&v_was);
        ramet_seq_fini(&q_was);
        ramet_vec_fini(&v);
        ramet_seq_fini(&q);
    }
    return NULL;
}

static void run_threads(void *(*fn)(void *), uintptr_t count)
{
    pthread_t threads[THREADS_MAX];
    for (uintptr_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
    for (uintptr_t i = 0; i < count; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        if (wrong)
            fail_msg("%s", (const char *)wrong);
    }
}

static void share_memory(uintptr_t threads)
{
    rounds = ROUNDS / threads;
    char bytes[100];
    uint64_t elems[100];
    memset(bytes, 'x', sizeof(bytes));
    for (uint64_t i = 0; i < 100; i++)
        elems[i] = i;
    assert_int_equal(ramet_str_from(rmt_slice(bytes, sizeof(bytes)), &str), 0);
    assert_int_equal(ramet_vec_from(8, elems, 100, &vec), 0);
    seq = (struct ramet_seq)RAMET_SEQ(uint64_t);
    for (uint64_t i = 0; i < ELEMS; i++)
        assert_int_equal(ramet_seq_push(&seq, &i), 0);
    place.vec = (struct ramet_vec)RAMET_VEC(uint64_t);
    place.seq = (struct ramet_seq)RAMET_SEQ(uint64_t);

    run_threads(work, threads);
    assert_true(seq_is(&seq, ELEMS, 0));
    ramet_str_fini(&place.str);
    ramet_vec_fini(&place.vec);
    ramet_seq_fini(&place.seq);
    /* Alone again: what copies shared is changed in place. */
    long live = fake_live;
    for (uint64_t i = 0; i < ELEMS; i += 100)
        assert_int_equal(ramet_seq_set(&seq, i, &i), 0);
    assert_int_equal(fake_live, live);
    ramet_str_fini(&str);
    ramet_vec_fini(&vec);
    ramet_seq_fini(&seq);
    assert_int_equal(fake_live, 0);
}

static void share_memory_between_threads(void **state)
{
    (void)state;
    for (uintptr_t threads = 2; threads <= THREADS_MAX; threads *= 2)
        share_memory(threads);
}

/* What each thread got, of values that all got copies of: nobody else has it. */
static struct own {
    struct ramet_str str;
    struct ramet_vec vec;
    struct ramet_seq seq;
} own[THREADS_MAX];

/* Makes copies and drops them while the others do, and changes what it has: in place as soon as the
 * others have dropped theirs, which is when what they read of it must be over. */
static void *drop(void *arg)
{
    uintptr_t me = (uintptr_t)arg;
    struct own *o = &own[me];
    for (uint64_t n = 0; n < 50; n++) {
        struct own copies[4];
        for (int k = 0; k < 4; k++) {
            copies[k].str = ramet_str_copy(&o->str);
            copies[k].vec = ramet_vec_copy(&o->vec);
            copies[k].seq = ramet_seq_copy(&o->seq);
        }
        for (int k = 0; k < 4; k++) {
            ramet_str_fini(&copies[k].str);
            ramet_vec_fini(&copies[k].vec);
            ramet_seq_fini(&copies[k].seq);
        }
    }
    uint64_t sum = 0, at = me * 100 % 5000, mine = 1000000 + me;
    for (uint64_t i = 0; i < 5000; i += 250)
        sum += RAMET_SEQ_AT(uint64_t, &o->seq, i);
    uint8_t mark = (uint8_t)me;
    if (sum != 5000 / 250 * (5000 - 250) / 2)
        return (void *)(uintptr_t) "a large array, read";
    if (ramet_str_append(&o->str, rmt_slice(&mark, 1)) < 0 || ramet_vec_push(&o->vec, &mine) < 0 ||
        ramet_vec_set(&o->vec, 0, &mine) < 0 || ramet_seq_push(&o->seq, &mine) < 0)
        return (void *)(uintptr_t) "no memory";
    for (uint64_t n = 0; n < 20; n++) {
        at = (at + 251) % 5000;
        if (ramet_seq_set(&o->seq, at, &mine) < 0 || RAMET_SEQ_AT(uint64_t, &o->seq, at) != mine)
            return (void *)(uintptr_t) "a large array, changed";
    }
    if (RAMET_VEC_AT(uint64_t, &o->vec, 0) != mine || RAMET_VEC_AT(uint64_t, &o->vec, 1) != 1 ||
        RAMET_SEQ_AT(uint64_t, &o->seq, 5000) != mine ||
        ((const uint8_t *)ramet_str_slice(&o->str).data)[ramet_str_size(&o->str) - 1] != mark)
        return (void *)(uintptr_t) "what a thread wrote";
    ramet_str_fini(&o->str);
    ramet_vec_fini(&o->vec);
    ramet_seq_fini(&o->seq);
    return NULL;
}

static void drop_the_last_copy_in_any_thread(void **state)
{
    (void)state;
    uint64_t elems[5000];
    for (uint64_t i = 0; i < 5000; i++)
        elems[i] = i;
    for (uintptr_t threads = 2; threads <= THREADS_MAX; threads += threads < 4 ? 1 : 4) {
        for (int round = 0; round < 10; round++) {
            struct own first;
            assert_int_equal(ramet_str_from(rmt_slice(elems, 100), &first.str), 0);
            assert_int_equal(ramet_vec_from(8, elems, 5000, &first.vec), 0);
            assert_int_equal(ramet_seq_from(8, elems, 5000, &first.seq), 0);
            for (uintptr_t i = 1; i < threads; i++) {
                own[i].str = ramet_str_copy(&first.str);
                own[i].vec = ramet_vec_copy(&first.vec);
                own[i].seq = ramet_seq_copy(&first.seq);
            }
            own[0] = first; /* moved */
            run_threads(drop, threads);
            assert_int_equal(fake_live, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share_memory_between_threads),
        cmocka_unit_test(drop_the_last_copy_in_any_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
