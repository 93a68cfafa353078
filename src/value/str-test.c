/* SPDX-License-Identifier: MIT */
/* str-test.c - strings against arrays of bytes that share nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "value/alloc-fake.h"
#include "value/chance.h"

#define SLOTS 8
#define SIZE_MAX_OF_MODEL 400
#define STEPS 40000

struct slot {
    struct ramet_str s;
    uint8_t model[SIZE_MAX_OF_MODEL];
    size_t size;
};

static struct slot slots[SLOTS];

static void same(const struct slot *slot)
{
    struct ramet_slice bytes = ramet_str_slice(&slot->s);
    assert_int_equal(bytes.size, slot->size);
    assert_int_equal(ramet_str_size(&slot->s), slot->size);
    if (slot->size != 0)
        assert_memory_equal(bytes.data, slot->model, slot->size);
}

static void all_same(void)
{
    for (int i = 0; i < SLOTS; i++)
        same(&slots[i]);
}

static void model_splice(struct slot *slot, size_t off, size_t removed, const uint8_t *bytes,
                         size_t size)
{
    uint8_t made[2 * SIZE_MAX_OF_MODEL];
    size_t behind = slot->size - off - removed;
    memcpy(made, slot->model, off);
    memcpy(made + off, bytes, size);
    memcpy(made + off + size, slot->model + off + removed, behind);
    slot->size = off + size + behind;
    assert_true(slot->size <= SIZE_MAX_OF_MODEL);
    memcpy(slot->model, made, slot->size);
}

static uint64_t mostly_small(uint64_t most)
{
    return chance(chance(4) == 0 ? most + 1 : rmt_min(most, 8) + 1);
}

/* Whatever is asked for, it fails at the first allocation, then at the second, and so on. After
 * each failure all are as they were. */
static int until_it_works(struct ramet_str *s, size_t off, size_t removed, struct ramet_slice bytes,
                          int how)
{
    for (long n = 0;; n++) {
        assert_true(n < 4);
        fake_left = n;
        int rc = how == 0   ? ramet_str_splice(s, off, removed, bytes)
                 : how == 1 ? ramet_str_append(s, bytes)
                            : ramet_str_reserve(s, off);
        fake_left = -1;
        if (rc == 0)
            return 0;
        assert_int_equal(rc, -ENOMEM);
        all_same();
    }
}

static void step(void)
{
    struct slot *slot = &slots[chance(SLOTS)], *other = &slots[chance(SLOTS)];
    uint8_t bytes[SIZE_MAX_OF_MODEL];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)chance(256);
    switch (chance(8)) {
    case 0: { /* copy */
        struct ramet_str was = slot->s;
        slot->s = ramet_str_copy(other == slot ? &was : &other->s);
        ramet_str_fini(&was);
        memcpy(slot->model, other->model, other->size);
        slot->size = other->size;
        break;
    }
    case 1: { /* part */
        size_t off = chance(other->size + 3), len = chance(SIZE_MAX_OF_MODEL);
        struct ramet_str part = ramet_str_sub(&other->s, off, len);
        size_t from = rmt_min(off, other->size);
        size_t size = rmt_min(len, other->size - from);
        memmove(slot->model, other->model + from, size);
        slot->size = size;
        ramet_str_fini(&slot->s);
        slot->s = part;
        break;
    }
    case 2: { /* anew */
        size_t size = chance(60);
        struct ramet_str made = {{0}};
        for (fake_left = 0; ramet_str_from(rmt_slice(bytes, size), &made) < 0; fake_left++)
            assert_true(size > RAMET_STR_INLINE_MAX);
        fake_left = -1;
        ramet_str_fini(&slot->s);
        slot->s = made;
        memcpy(slot->model, bytes, size);
        slot->size = size;
        break;
    }
    case 3: { /* in place */
        uint8_t *at = NULL;
        fake_left = 0;
        while (ramet_str_edit(&slot->s, &at) < 0) {
            all_same();
            fake_left++;
        }
        fake_left = -1;
        assert_true((at == NULL) == (slot->size == 0));
        if (at) {
            size_t i = chance(slot->size);
            at[i] = slot->model[i] = (uint8_t)chance(256);
        }
        break;
    }
    case 4: /* append; of itself, too */
        if (chance(4) == 0 && slot->size * 2 <= SIZE_MAX_OF_MODEL) {
            until_it_works(&slot->s, 0, 0, ramet_str_slice(&slot->s), 1);
            memcpy(bytes, slot->model, slot->size);
            model_splice(slot, slot->size, 0, bytes, slot->size);
        } else {
            size_t size = mostly_small(SIZE_MAX_OF_MODEL - slot->size);
            until_it_works(&slot->s, 0, 0, rmt_slice(bytes, size), 1);
            model_splice(slot, slot->size, 0, bytes, size);
        }
        break;
    case 5: /* room */
        until_it_works(&slot->s, chance(SIZE_MAX_OF_MODEL), 0, rmt_slice(NULL, 0), 2);
        break;
    default: {
        size_t off = chance(slot->size + 1);
        size_t removed = mostly_small(slot->size - off);
        size_t size = mostly_small(SIZE_MAX_OF_MODEL - (slot->size - removed));
        const uint8_t *from = bytes;
        if (chance(4) == 0) { /* bytes of the string itself */
            size_t at = chance(slot->size + 1);
            size = rmt_min(size, slot->size - at);
            from = (const uint8_t *)ramet_str_slice(&slot->s).data + at;
            memcpy(bytes, slot->model + at, size);
        }
        until_it_works(&slot->s, off, removed, rmt_slice(from, size), 0);
        model_splice(slot, off, removed, bytes, size);
    }
    }
    all_same();
    struct ramet_slice a = rmt_slice(slot->model, slot->size);
    struct ramet_slice b = rmt_slice(other->model, other->size);
    int cmp = ramet_str_cmp(&slot->s, &other->s), wanted = rmt_slice_cmp(a, b);
    assert_true((cmp > 0) == (wanted > 0) && (cmp < 0) == (wanted < 0));
}

static void is_what_its_model_is(void **state)
{
    (void)state;
    for (int i = 0; i < STEPS; i++)
        step();
    for (int i = 0; i < SLOTS; i++)
        ramet_str_fini(&slots[i].s);
    assert_int_equal(fake_live, 0);
}

static void is_near_up_to_23_bytes(void **state)
{
    (void)state;
    const char *text = "abcdefghijklmnopqrstuvwxyz";
    for (size_t size = 0; size <= RAMET_STR_INLINE_MAX; size++) {
        fake_left = 0;
        struct ramet_str s = {{0}}, copy;
        assert_int_equal(ramet_str_append(&s, rmt_slice(text, size)), 0);
        copy = ramet_str_copy(&s);
        fake_left = -1;
        assert_int_equal(ramet_str_cmp(&s, &copy), 0);
        assert_memory_equal(ramet_str_slice(&copy).data, text, size);
    }
    assert_int_equal(fake_live, 0);
}

static void asks_for_memory_log_n_times_when_it_grows(void **state)
{
    (void)state;
    struct ramet_str s = {{0}};
    const void *was = NULL;
    int moves = 0;
    for (int i = 0; i < 1000000; i++) {
        assert_int_equal(ramet_str_append(&s, rmt_slice("x", 1)), 0);
        const void *at = ramet_str_slice(&s).data;
        moves += at != was;
        was = at;
    }
    assert_true(moves <= 20);
    assert_int_equal(ramet_str_size(&s), 1000000);
    ramet_str_fini(&s);
}

/* A queue: what left at the front is not carried along. */
static void forgets_what_left_at_the_front(void **state)
{
    (void)state;
    struct ramet_str s = {{0}};
    char line[100];
    memset(line, 'l', sizeof(line));
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(ramet_str_append(&s, rmt_slice(line, sizeof(line))), 0);
        if (i >= 10)
            assert_int_equal(ramet_str_splice(&s, 0, sizeof(line), rmt_slice(NULL, 0)), 0);
    }
    struct ramet_buffer *buffer = (struct ramet_buffer *)(uintptr_t)s.word[1];
    assert_true(buffer->end - (uint8_t *)(buffer + 1) < 8 * 1100);
    ramet_str_fini(&s);
    assert_int_equal(fake_live, 0);
}

static void literals_and_wrapped_bytes_are_not_written(void **state)
{
    (void)state;
    struct ramet_str s = RAMET_STR("a literal of more than 23 bytes, to be far"), copy;
    const char *text = (const char *)ramet_str_slice(&s).data;
    copy = ramet_str_copy(&s);
    assert_ptr_equal(ramet_str_slice(&copy).data, text);
    uint8_t *at;
    assert_int_equal(ramet_str_edit(&copy, &at), 0);
    at[0] = 'A';
    assert_int_equal(text[0], 'a');
    assert_true(ramet_str_cmp(&copy, &s) < 0);
    ramet_str_fini(&copy);
    ramet_str_fini(&s);
    assert_int_equal(ramet_str_size(&s), 0);
}

static void count_call(void *ctx)
{
    ++*(int *)ctx;
}

static void wrapped_bytes_are_given_back_once(void **state)
{
    (void)state;
    static const char bytes[] = "somebody's bytes, which nobody may write to";
    struct ramet_slice slice = {bytes, sizeof(bytes) - 1};
    int calls = 0;
    struct ramet_str s, part;
    fake_left = 0;
    assert_int_equal(ramet_str_wrap(slice, count_call, &calls, &s), -ENOMEM);
    fake_left = -1;
    assert_int_equal(calls, 0);
    assert_int_equal(ramet_str_wrap(slice, count_call, &calls, &s), 0);
    assert_ptr_equal(ramet_str_slice(&s).data, bytes);
    part = ramet_str_sub(&s, 1, 30);
    assert_ptr_equal(ramet_str_slice(&part).data, bytes + 1);
    /* Alone with the buffer, and still not to write there. */
    ramet_str_fini(&part);
    assert_int_equal(ramet_str_append(&s, rmt_slice("!", 1)), 0);
    assert_int_equal(calls, 1);
    assert_ptr_not_equal(ramet_str_slice(&s).data, bytes);
    ramet_str_fini(&s);
    assert_int_equal(calls, 1);
    assert_int_equal(fake_live, 0);
}

static void refuses_what_cannot_be(void **state)
{
    (void)state;
    struct ramet_str s = RAMET_STR("abc");
    assert_int_equal(ramet_str_splice(&s, 4, 0, rmt_slice("x", 1)), -EINVAL);
    assert_int_equal(ramet_str_splice(&s, 2, 2, rmt_slice("x", 1)), -EINVAL);
    assert_int_equal(ramet_str_splice(&s, 2, SIZE_MAX, rmt_slice("x", 1)), -EINVAL);
    assert_int_equal(ramet_str_append(&s, rmt_slice("x", SIZE_MAX)), -ENOMEM);
    assert_int_equal(ramet_str_reserve(&s, SIZE_MAX), -ENOMEM);
    assert_non_null(strstr(ramet_errmsg(), "string"));
    assert_int_equal(ramet_str_append(NULL, rmt_slice("x", 1)), -EINVAL);
    assert_int_equal(ramet_str_size(&s), 3);
    ramet_str_fini(&s);
}

int main(int argc, char **argv)
{
    chance_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_its_model_is),
        cmocka_unit_test(is_near_up_to_23_bytes),
        cmocka_unit_test(asks_for_memory_log_n_times_when_it_grows),
        cmocka_unit_test(forgets_what_left_at_the_front),
        cmocka_unit_test(literals_and_wrapped_bytes_are_not_written),
        cmocka_unit_test(wrapped_bytes_are_given_back_once),
        cmocka_unit_test(refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
