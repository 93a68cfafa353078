/* SPDX-License-Identifier: MIT */
/* vec-test.c - arrays in a row against such that share nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "value/alloc-fake.h"
#include "value/chance.h"

#define SLOTS 6
#define MODEL_MAX 300
#define STEPS 20000

/* 12 bytes: neither a power of two nor a word. */
struct elem {
    uint32_t a, b, c;
};

struct slot {
    struct ramet_vec vec;
    struct elem model[MODEL_MAX];
    size_t count;
};

static struct slot slots[SLOTS];

static void all_same(void)
{
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(ramet_vec_count(&slots[i].vec), slots[i].count);
        if (slots[i].count != 0)
            assert_memory_equal(ramet_vec_data(&slots[i].vec), slots[i].model,
                                slots[i].count * sizeof(struct elem));
    }
}

static void model_splice(struct slot *slot, size_t at, size_t removed, const struct elem *elems,
                         size_t count)
{
    size_t behind = slot->count - at - removed;
    memmove(slot->model + at + count, slot->model + at + removed, behind * sizeof(*elems));
    memcpy(slot->model + at, elems, count * sizeof(*elems));
    slot->count = at + count + behind;
    assert_true(slot->count <= MODEL_MAX);
}

enum what { PUSH, APPEND, SPLICE, SET, EDIT, RESERVE };

static int call(enum what what, struct ramet_vec *vec, size_t at, size_t removed,
                const struct elem *elems, size_t count)
{
    void *to;
    int rc;
    switch (what) {
    case PUSH: return ramet_vec_push(vec, elems);
    case APPEND: return ramet_vec_append(vec, elems, count);
    case SPLICE: return ramet_vec_splice(vec, at, removed, elems, count);
    case SET: return ramet_vec_set(vec, at, elems);
    case EDIT:
        rc = ramet_vec_edit(vec, &to);
        if (rc == 0)
            ((struct elem *)to)[at] = *elems;
        return rc;
    default: return ramet_vec_reserve(vec, at);
    }
}

/* It fails at the first allocation, then at the second; after each failure all are as they were. */
static void until_it_works(enum what what, struct ramet_vec *vec, size_t at, size_t removed,
                           const struct elem *elems, size_t count)
{
    for (long n = 0;; n++) {
        assert_true(n < 4);
        fake_left = n;
        int rc = call(what, vec, at, removed, elems, count);
        fake_left = -1;
        if (rc == 0)
            return;
        assert_int_equal(rc, -ENOMEM);
        all_same();
    }
}

static size_t mostly_few(size_t most)
{
    return (size_t)chance(chance(4) == 0 ? most + 1 : rmt_min(most, 4) + 1);
}

static void step(void)
{
    struct slot *slot = &slots[chance(SLOTS)], *other = &slots[chance(SLOTS)];
    struct elem elems[MODEL_MAX];
    for (size_t i = 0; i < MODEL_MAX; i++)
        elems[i] = (struct elem){(uint32_t)chance(1000), (uint32_t)i, (uint32_t)chance_state};
    switch (chance(8)) {
    case 0: { /* copy */
        struct ramet_vec copy = ramet_vec_copy(&other->vec);
        ramet_vec_fini(&slot->vec);
        slot->vec = copy;
        memmove(slot->model, other->model, other->count * sizeof(struct elem));
        slot->count = other->count;
        break;
    }
    case 1: { /* part */
        size_t off = chance(other->count + 3), len = chance(MODEL_MAX);
        struct ramet_vec part = ramet_vec_sub(&other->vec, off, len);
        off = rmt_min(off, other->count);
        slot->count = rmt_min(len, other->count - off);
        memmove(slot->model, other->model + off, slot->count * sizeof(struct elem));
        ramet_vec_fini(&slot->vec);
        slot->vec = part;
        break;
    }
    case 2:
        for (size_t n = rmt_min(MODEL_MAX - slot->count, chance(20)); n > 0; n--) {
            /* Sometimes one that is there already. */
            bool is_own = slot->count != 0 && chance(4) == 0;
            const struct elem *from = (const struct elem *)ramet_vec_data(&slot->vec);
            elems[n] = is_own ? slot->model[0] : elems[n];
            until_it_works(PUSH, &slot->vec, 0, 0, is_own ? from : &elems[n], 1);
            model_splice(slot, slot->count, 0, &elems[n], 1);
        }
        break;
    case 3: {
        size_t n = mostly_few(MODEL_MAX - slot->count);
        until_it_works(APPEND, &slot->vec, 0, 0, elems, n);
        model_splice(slot, slot->count, 0, elems, n);
        break;
    }
    case 4:
        if (slot->count != 0) {
            size_t i = chance(slot->count);
            until_it_works(chance(2) == 0 ? SET : EDIT, &slot->vec, i, 0, elems, 1);
            slot->model[i] = elems[0];
        }
        break;
    case 5: until_it_works(RESERVE, &slot->vec, chance(MODEL_MAX), 0, NULL, 0); break;
    default: {
        size_t at = chance(slot->count + 1);
        size_t removed = mostly_few(slot->count - at);
        size_t n = mostly_few(MODEL_MAX - (slot->count - removed));
        const struct elem *from = elems;
        if (slot->count != 0 && chance(4) == 0) { /* elements of the array itself */
            size_t i = chance(slot->count);
            n = rmt_min(n, slot->count - i);
            from = (const struct elem *)ramet_vec_data(&slot->vec) + i;
            memcpy(elems, slot->model + i, n * sizeof(struct elem));
        }
        until_it_works(SPLICE, &slot->vec, at, removed, from, n);
        model_splice(slot, at, removed, elems, n);
    }
    }
    all_same();
}

static void is_what_its_model_is(void **state)
{
    (void)state;
    for (int i = 0; i < SLOTS; i++)
        slots[i].vec = (struct ramet_vec)RAMET_VEC(struct elem);
    for (int i = 0; i < STEPS; i++)
        step();
    for (int i = 0; i < SLOTS; i++)
        ramet_vec_fini(&slots[i].vec);
    assert_int_equal(fake_live, 0);
}

static void reads_well_by_type(void **state)
{
    (void)state;
    struct ramet_vec vec = RAMET_VEC(double);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ramet_vec_push(&vec, RAMET_ELEM(double, i * 0.5)), 0);
    struct ramet_vec copy = ramet_value_copy(&vec);
    assert_ptr_equal(ramet_vec_data(&copy), ramet_vec_data(&vec));
    assert_int_equal(ramet_vec_set(&copy, 10, RAMET_ELEM(double, -1)), 0);
    assert_true(RAMET_VEC_AT(double, &vec, 10) == 5.0);
    assert_true(RAMET_VEC_AT(double, &copy, 10) == -1.0);

    struct ramet_seq seq = RAMET_SEQ(double);
    assert_int_equal(ramet_seq_append(&seq, ramet_vec_data(&vec), ramet_vec_count(&vec)), 0);
    assert_true(RAMET_SEQ_AT(double, &seq, 999) == 499.5);
    struct ramet_str str = RAMET_STR("of any type");
    ramet_value_fini(&vec);
    ramet_value_fini(&copy);
    ramet_value_fini(&seq);
    ramet_value_fini(&str);
    assert_int_equal(fake_live, 0);
}

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

static void wrapped_elements_are_given_back_once(void **state)
{
    (void)state;
    static const uint64_t elems[] = {1, 2, 3, 4, 5};
    int calls = 0;
    struct ramet_vec vec, part;
    fake_left = 0;
    assert_int_equal(ramet_vec_wrap(8, elems, 5, count_call, &calls, &vec), -ENOMEM);
    fake_left = -1;
    assert_int_equal(ramet_vec_wrap(8, elems, 5, count_call, &calls, &vec), 0);
    part = ramet_vec_sub(&vec, 1, 2);
    ramet_vec_fini(&vec);
    assert_int_equal(calls, 0);
    assert_ptr_equal(ramet_vec_data(&part), elems + 1);
    assert_int_equal(ramet_vec_push(&part, RAMET_ELEM(uint64_t, 9)), 0);
    assert_int_equal(calls, 1);
    assert_int_equal(elems[3], 4);
    assert_int_equal(RAMET_VEC_AT(uint64_t, &part, 2), 9);
    ramet_vec_fini(&part);
    assert_int_equal(calls, 1);
    assert_int_equal(fake_live, 0);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    struct ramet_vec vec = RAMET_VEC(uint64_t), odd = {NULL, NULL, 0, 0};
    uint64_t x = 1;
    assert_int_equal(ramet_vec_push(&odd, &x), -EINVAL);
    assert_int_equal(ramet_vec_set(&vec, 0, &x), -EINVAL);
    assert_int_equal(ramet_vec_splice(&vec, 1, 0, &x, 1), -EINVAL);
    assert_int_equal(ramet_vec_splice(&vec, 0, 1, &x, 1), -EINVAL);
    assert_int_equal(ramet_vec_append(&vec, &x, SIZE_MAX), -ENOMEM);
    assert_int_equal(ramet_vec_append(&vec, &x, SIZE_MAX / 8), -ENOMEM);
    assert_int_equal(ramet_vec_reserve(&vec, SIZE_MAX / 4), -ENOMEM);
    assert_int_equal(ramet_vec_from(0, &x, 1, &vec), -EINVAL);
    assert_int_equal(ramet_vec_count(&vec), 0);
    ramet_vec_fini(&vec);
}

int main(int argc, char **argv)
{
    chance_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_its_model_is),
        cmocka_unit_test(reads_well_by_type),
        cmocka_unit_test(wrapped_elements_are_given_back_once),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
