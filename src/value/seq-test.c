/* SPDX-License-Identifier: MIT */
/* seq-test.c - large arrays against flat ones that share nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "value/alloc-fake.h"
#include "value/chance.h"
#include "value/seq.h"

#define SLOTS 5
#define BYTES_MAX ((size_t)300000)

struct slot {
    struct ramet_seq seq;
    uint8_t *model;
    uint64_t count;
};

static struct slot slots[SLOTS];
static uint8_t *scratch;
static size_t es;     /* bytes of an element */
static uint64_t most; /* elements of an array */
static bool all_fail; /* every allocation of a step fails, once */

struct look {
    const struct slot *slot;
    uint64_t next; /* byte */
};

static int look(void *ctx, uint64_t off, struct ramet_slice piece)
{
    struct look *l = (struct look *)ctx;
    assert_int_equal(off, l->next);
    assert_true(piece.size != 0 && off + piece.size <= l->slot->count * es);
    assert_memory_equal(piece.data, l->slot->model + off, piece.size);
    l->next += piece.size;
    return 0;
}

static void same(const struct slot *slot)
{
    assert_int_equal(ramet_seq_count(&slot->seq), slot->count);
    if (slot->seq.body)
        assert_true(rmt_seq_valid(&slot->seq.body->shape, slot->seq.body->tree));
    struct look l = {slot, 0};
    assert_int_equal(ramet_seq_pieces(&slot->seq, 0, UINT64_MAX, look, &l), 0);
    assert_int_equal(l.next, slot->count * es);
}

static void all_same(void)
{
    for (int i = 0; i < SLOTS; i++)
        same(&slots[i]);
}

static void model_splice(struct slot *slot, uint64_t at, uint64_t removed, const uint8_t *elems,
                         uint64_t count)
{
    uint64_t behind = slot->count - at - removed;
    memmove(slot->model + (at + count) * es, slot->model + (at + removed) * es, behind * es);
    memcpy(slot->model + at * es, elems, count * es);
    slot->count = at + count + behind;
    assert_true(slot->count <= most);
}

static uint64_t some(uint64_t limit)
{
    return chance(chance(3) == 0 ? limit + 1 : rmt_min(limit, 12) + 1);
}

enum what { PUSH, APPEND, SPLICE, SET, EDIT, CONCAT, SUB };

/* other: of CONCAT; with SUB, where the part is put. */
static int call(enum what what, struct ramet_seq *seq, uint64_t at, uint64_t len,
                const uint8_t *elems, uint64_t count, struct ramet_seq *other)
{
    void *to;
    size_t run;
    int rc = 0;
    switch (what) {
    case PUSH: return ramet_seq_push(seq, elems);
    case APPEND: return ramet_seq_append(seq, elems, count);
    case SPLICE: return ramet_seq_splice(seq, at, len, elems, count);
    case SET: return ramet_seq_set(seq, at, elems);
    case EDIT:
        rc = ramet_seq_edit(seq, at, &to, &run);
        if (rc == 0) {
            assert_true(run != 0 && at + run <= ramet_seq_count(seq));
            memcpy(to, elems, es);
        }
        return rc;
    case CONCAT: return ramet_seq_concat(seq, other);
    default: return ramet_seq_sub(seq, at, len, other);
    }
}

/* It fails at the first allocation, then at the second, and so on; after each failure all are as
 * they were. */
static void until_it_works(enum what what, struct ramet_seq *seq, uint64_t at, uint64_t len,
                           const uint8_t *elems, uint64_t count, struct ramet_seq *other)
{
    for (long n = all_fail ? 0 : -1;; n++) {
        fake_left = n;
        long live = fake_live;
        int rc = call(what, seq, at, len, elems, count, other);
        fake_left = -1;
        if (rc == 0)
            return;
        assert_int_equal(rc, -ENOMEM);
        assert_true(n >= 0 && n < 2000);
        if (what == SUB)
            assert_int_equal(fake_live, live);
        all_same();
    }
}

static void step(void)
{
    struct slot *slot = &slots[chance(SLOTS)], *other = &slots[chance(SLOTS)];
    for (size_t i = 0; i + 8 <= BYTES_MAX; i += 8) {
        uint64_t word = chance_state * (i + 1) ^ i << 32;
        memcpy(scratch + i, &word, 8);
    }
    (void)chance(2);
    uint64_t room = most - slot->count;
    switch (chance(10)) {
    case 0: { /* copy */
        struct ramet_seq copy = ramet_seq_copy(&other->seq);
        ramet_seq_fini(&slot->seq);
        slot->seq = copy;
        memmove(slot->model, other->model, other->count * es);
        slot->count = other->count;
        break;
    }
    case 1: { /* part */
        uint64_t off = chance(other->count + 2), len = some(most);
        struct ramet_seq part = {NULL, es};
        until_it_works(SUB, &other->seq, off, len, NULL, 0, &part);
        off = rmt_min(off, other->count);
        slot->count = rmt_min(len, other->count - off);
        memmove(slot->model, other->model + off * es, slot->count * es);
        ramet_seq_fini(&slot->seq);
        slot->seq = part;
        break;
    }
    case 2: { /* many at the end */
        uint64_t n = some(room);
        until_it_works(APPEND, &slot->seq, 0, 0, scratch, n, NULL);
        model_splice(slot, slot->count, 0, scratch, n);
        break;
    }
    case 3: /* one by one */
        for (uint64_t n = rmt_min(room, some(100)); n > 0; n--) {
            until_it_works(PUSH, &slot->seq, 0, 0, scratch + n * es, 1, NULL);
            model_splice(slot, slot->count, 0, scratch + n * es, 1);
        }
        break;
    case 4:
    case 5:
        if (slot->count != 0) {
            uint64_t i = chance(slot->count);
            until_it_works(chance(2) == 0 ? SET : EDIT, &slot->seq, i, 0, scratch, 1, NULL);
            model_splice(slot, i, 1, scratch, 1);
        }
        break;
    case 6:
        if (other->count <= room) {
            memcpy(scratch, other->model, other->count * es);
            until_it_works(CONCAT, &slot->seq, 0, 0, NULL, 0, &other->seq);
            model_splice(slot, slot->count, 0, scratch, other->count);
        }
        break;
    default: {
        uint64_t at = chance(slot->count + 1);
        uint64_t removed = some(slot->count - at);
        uint64_t n = some(room);
        until_it_works(SPLICE, &slot->seq, at, removed, scratch, n, NULL);
        model_splice(slot, at, removed, scratch, n);
    }
    }
    all_same();
    if (slot->count != 0) {
        uint64_t i = chance(slot->count), n = chance(slot->count);
        size_t run = 0;
        const void *at = ramet_seq_run(&slot->seq, i, &run);
        assert_ptr_equal(at, ramet_seq_at(&slot->seq, i));
        assert_true(run != 0 && i + run <= slot->count);
        assert_memory_equal(at, slot->model + i * es, run * es);
        struct look l = {slot, i * es};
        assert_int_equal(ramet_seq_pieces(&slot->seq, i, n, look, &l), 0);
        assert_int_equal(l.next, rmt_min(i + n, slot->count) * es);
    }
    assert_null(ramet_seq_at(&slot->seq, slot->count));
}

static void run(size_t elem_size, uint64_t elems, bool fail, int steps)
{
    es = elem_size;
    most = rmt_min(elems, BYTES_MAX / es);
    all_fail = fail;
    scratch = (uint8_t *)malloc(BYTES_MAX + 8);
    assert_non_null(scratch);
    for (int i = 0; i < SLOTS; i++) {
        slots[i] = (struct slot){{NULL, es}, (uint8_t *)malloc(BYTES_MAX), 0};
        assert_non_null(slots[i].model);
    }
    for (int i = 0; i < steps; i++)
        step();
    for (int i = 0; i < SLOTS; i++) {
        ramet_seq_fini(&slots[i].seq);
        free(slots[i].model);
    }
    free(scratch);
    assert_int_equal(fake_live, 0);
}

static void is_what_its_model_is(void **state)
{
    (void)state;
    run(8, 37000, false, 400);
    run(1, 100000, false, 200);
    run(3, 10000, false, 200);
}

/* A few elements a leaf: high trees. */
static void is_what_its_model_is_when_it_is_high(void **state)
{
    (void)state;
    run(1000, 300, false, 400);
    run(90, 3300, false, 300);
    run(40, 7500, false, 300);
    /* The fewest that a leaf can have. */
    run(1024, 292, false, 300);
}

static void is_whole_when_there_is_no_memory(void **state)
{
    (void)state;
    run(90, 3000, true, 60);
    run(8, 30000, true, 40);
}

static void counts_what_it_has_doubled(void **state)
{
    (void)state;
    struct ramet_seq seq = RAMET_SEQ(uint32_t);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(ramet_seq_push(&seq, &i), 0);
    uint64_t count = 1000;
    int rc = 0;
    for (; count <= (uint64_t)1 << 39; count *= 2) {
        rc = ramet_seq_concat(&seq, &seq);
        assert_int_equal(rc, 0);
        assert_true(count > 1 << 20 || rmt_seq_valid(&seq.body->shape, seq.body->tree));
    }
    assert_int_equal(ramet_seq_count(&seq), count);
    assert_int_equal(ramet_seq_concat(&seq, &seq), -ENOMEM);
    for (int i = 0; i < 10000; i++) {
        uint64_t at = chance(count);
        assert_int_equal(*(const uint32_t *)ramet_seq_at(&seq, at), at % 1000);
    }
    uint32_t other = 1000000;
    assert_int_equal(ramet_seq_set(&seq, count / 3, &other), 0);
    assert_int_equal(*(const uint32_t *)ramet_seq_at(&seq, count / 3), other);
    assert_int_equal(*(const uint32_t *)ramet_seq_at(&seq, count / 3 + 1000), count / 3 % 1000);
    assert_true(fake_live < 20000);
    ramet_seq_fini(&seq);
    assert_int_equal(fake_live, 0);
}

static void one_change_copies_one_chunk_and_its_path(void **state)
{
    (void)state;
    struct ramet_seq a = RAMET_SEQ(uint64_t);
    for (uint64_t i = 0; i < 1000000; i++)
        assert_int_equal(ramet_seq_push(&a, &i), 0);
    long live = fake_live;
    struct ramet_seq b = ramet_seq_copy(&a);
    assert_int_equal(fake_live, live);
    uint64_t other = 7;
    assert_int_equal(ramet_seq_set(&b, 500000, &other), 0);
    assert_int_equal(fake_live, live + 2 + (long)a.body->tree.height);
    assert_int_equal(*(const uint64_t *)ramet_seq_at(&a, 500000), 500000);
    assert_int_equal(*(const uint64_t *)ramet_seq_at(&b, 500000), 7);
    /* Its own now: no more. */
    assert_int_equal(ramet_seq_set(&b, 500001, &other), 0);
    assert_int_equal(fake_live, live + 2 + (long)a.body->tree.height);
    ramet_seq_fini(&a);
    ramet_seq_fini(&b);
    assert_int_equal(fake_live, 0);
}

static int stop(void *ctx, uint64_t off, struct ramet_slice piece)
{
    (void)piece;
    *(uint64_t *)ctx = off;
    return 42;
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    uint64_t x = 1, off = 9;
    struct ramet_seq seq = RAMET_SEQ(uint64_t), odd = {NULL, 0}, large = {NULL, 1025};
    assert_int_equal(ramet_seq_set(&seq, 0, &x), -EINVAL);
    assert_int_equal(ramet_seq_push(&odd, &x), -EINVAL);
    assert_int_equal(ramet_seq_push(&large, &x), -EINVAL);
    assert_int_equal(ramet_seq_from(0, &x, 1, &odd), -EINVAL);
    assert_int_equal(ramet_seq_concat(&seq, &odd), -EINVAL);
    assert_int_equal(ramet_seq_splice(&seq, 1, 0, &x, 1), -EINVAL);
    assert_int_equal(ramet_seq_splice(&seq, 0, UINT64_MAX, &x, 1), -EINVAL);
    assert_int_equal(ramet_seq_append(&seq, &x, UINT64_MAX), -ENOMEM);
    assert_non_null(strstr(ramet_errmsg(), "2^40"));
    assert_null(ramet_seq_at(&seq, 0));
    assert_int_equal(ramet_seq_push(&seq, &x), 0);
    assert_int_equal(ramet_seq_pieces(&seq, 0, 1, stop, &off), 42);
    assert_int_equal(off, 0);
    ramet_seq_fini(&seq);
}

int main(int argc, char **argv)
{
    chance_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_its_model_is),
        cmocka_unit_test(is_what_its_model_is_when_it_is_high),
        cmocka_unit_test(is_whole_when_there_is_no_memory),
        cmocka_unit_test(counts_what_it_has_doubled),
        cmocka_unit_test(one_change_copies_one_chunk_and_its_path),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
