/* SPDX-License-Identifier: MIT */
/*
 * ramet_value.h - copy-on-write values in the memory of one process; ramet.h includes it.
 *
 *   struct ramet_str  a string of bytes; up to 23 lie in the variable itself
 *   struct ramet_vec  an array of elements of one size, which lie in a row
 *   struct ramet_seq  a large array, of which a change copies a part: a tree of chunks
 *
 * A copy is a reference, made in constant time. Whoever changes a value that others have too gets
 * memory of its own for it first, and the others keep what they had; a value that nobody else has
 * is changed in place. They need no store.
 *
 * A variable is initialised when it is declared ({0}, RAMET_STR(), RAMET_VEC(), RAMET_SEQ()), and
 * ended with ..._fini(), after which it is empty, and may be used again. C's assignment moves a
 * value: one of the two variables may be used from then on. ..._copy() makes a second one.
 *
 * Elements of arrays are bytes to them: a copy of an array copies no value that is in it, and its
 * end ends none.
 *
 * Threads: values share memory between threads as they like; references are counted by atomic
 * instructions. A variable is as an int is: any number of threads may read it, copy it too, while
 * none changes it or ends it; who changes it is alone. So each thread has variables of its own.
 *
 * Where a function fails (-ENOMEM), the value is as it was. What a function's comment leaves out of
 * its Blocks line is: never. Nothing here reads, writes or waits.
 */
#ifndef RAMET_VALUE_H
#define RAMET_VALUE_H

#include <string.h>

#include "ramet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Defined here, so that a call costs no more than what it does. Programs are compiled with it: the
 * members that it uses stay where they are for as long as the library keeps its soname. */
#define RAMET_INLINE static inline

#define RAMET_LIKELY(x) __builtin_expect(!!(x), 1)

/* Where a compiler is not to know what it knows of a pointer: one that sees a smaller element would
 * warn of the copy of 8 bytes, which is not for it. */
#define RAMET_OPAQUE(pointer) __asm__("" : "+r"(pointer))

/* Frees, or gives back, memory that a value referred to: called by the thread that ends the last
 * reference. */
typedef void (*ramet_release_fn)(void *ctx);

/* What values refer to. The library's own: its members are here for the functions in this file. */
struct ramet_buffer {
    size_t refs;
    uint8_t *end; /* of the bytes that may be written; NULL: none may, they are the caller's */
    ramet_release_fn release; /* may be NULL, as ctx */
    void *ctx;
};

/*
 * ramet_buffer_free() - frees what no value refers to any more: for the functions in this file.
 *
 * @buffer  taken; wrapped bytes are given back.
 *
 * Returns nothing: it cannot fail.
 * Lifetime: ends the bytes.
 * Threads:  the caller is alone with it.
 * Blocks:   never; what a release function does.
 * Cost:     O(1).
 */
RAMET_API void ramet_buffer_free(struct ramet_buffer *buffer);

/* Ends a reference: true: that was the last one, and what the others did is over. It is not looked
 * first whether the caller is alone: that takes as long as half an atomic instruction, and who
 * drops a copy is not. */
#define RAMET_UNREF(refs) __builtin_expect(__atomic_sub_fetch((refs), 1, __ATOMIC_ACQ_REL) == 0, 0)

/* ---- strings --------------------------------------------------------------------------------- */

#define RAMET_STR_INLINE_MAX 23u /* bytes of a string that needs no memory but its variable */
#define RAMET_STR_FAR ((uint64_t)1 << 63)

/* {0} is the empty string. The members are the library's own. Near: 23 bytes, and their number in
 * the last one. Far (the last bit is set): address of the bytes, of their buffer, and size. */
struct ramet_str {
    uint64_t word[3];
};

/* The string of a literal: it refers to it. */
#define RAMET_STR(literal) ramet_str_static("" literal, sizeof(literal) - 1)

/*
 * ramet_str_static() - the string of bytes that stay, and stay as they are.
 *
 * @data  of a literal, for example; referred to, never changed. May be NULL if @size is 0.
 * @size  how many.
 *
 * Returns the string: no memory is asked for.
 * Lifetime: the bytes outlive all copies.
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_INLINE struct ramet_str ramet_str_static(const void *data, size_t size)
{
    struct ramet_str s = {{0, 0, 0}};
    if (size != 0) {
        s.word[0] = (uint64_t)(uintptr_t)data;
        s.word[2] = RAMET_STR_FAR | size;
    }
    return s;
}

/*
 * ramet_str_from() - a string of bytes that are copied.
 *
 * @bytes  borrowed.
 * @out    overwritten: not a string that has to be ended.
 *
 * Returns 0, or
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: *@out until ramet_str_fini().
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     O(bytes); no allocation up to RAMET_STR_INLINE_MAX.
 */
RAMET_API int ramet_str_from(struct ramet_slice bytes, struct ramet_str *out);

/*
 * ramet_str_wrap() - a string of bytes that are somebody's, and not copied.
 *
 * The bytes must stay, and stay as they are, until @release is called: with the last reference to
 * them, be it a copy or a part. So a value of a map can be a string for as long as its transaction.
 *
 * @bytes    referred to.
 * @release  NULL: nobody is told.
 * @ctx      handed to @release.
 * @out      overwritten.
 *
 * Returns 0, or, and @release is not called,
 *   -ENOMEM          no memory
 * Lifetime: *@out until ramet_str_fini().
 * Threads:  any number at once. @release comes from the thread that ends the last reference.
 * Blocks:   never.
 * Cost:     O(1): one small allocation.
 */
RAMET_API int ramet_str_wrap(struct ramet_slice bytes, ramet_release_fn release, void *ctx,
                             struct ramet_str *out);

/*
 * ramet_str_copy() - a second string with the same bytes.
 *
 * @s  borrowed.
 *
 * Returns the copy, which is ended like any other.
 * Lifetime: until ramet_str_fini(), whatever becomes of @s.
 * Threads:  any number at once on @s.
 * Blocks:   never.
 * Cost:     O(1): one atomic increment, or none if the bytes are in the variable.
 */
RAMET_INLINE struct ramet_str ramet_str_copy(const struct ramet_str *s)
{
    struct ramet_str copy = *s; /* first: nothing is read before an atomic instruction is done */
    if ((copy.word[2] & RAMET_STR_FAR) != 0) {
        struct ramet_buffer *buffer = (struct ramet_buffer *)(uintptr_t)s->word[1];
        RAMET_OPAQUE(buffer); /* or it may come by way of a vector register */
        if (RAMET_LIKELY(buffer != NULL))
            (void)__atomic_fetch_add(&buffer->refs, 1, __ATOMIC_RELAXED);
    }
    return copy;
}

/*
 * ramet_str_size() - how many bytes a string has.
 *
 * @s  borrowed.
 *
 * Returns the number.
 * Lifetime: returns nothing that could end.
 * Threads:  any number at once on @s.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_INLINE size_t ramet_str_size(const struct ramet_str *s)
{
    uint64_t last = s->word[2];
    return (size_t)((last & RAMET_STR_FAR) != 0 ? last & ~RAMET_STR_FAR : last >> 56);
}

/*
 * ramet_str_slice() - the bytes of a string, where they are: for ramet_put(), for example.
 *
 * @s  borrowed.
 *
 * Returns them; no zero byte follows.
 * Lifetime: until @s is changed, moved or ended: a short string's bytes are in the variable.
 * Threads:  any number at once on @s.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_INLINE struct ramet_slice ramet_str_slice(const struct ramet_str *s)
{
    struct ramet_slice slice;
    slice.data = (s->word[2] & RAMET_STR_FAR) != 0 ? (const void *)(uintptr_t)s->word[0]
                                                   : (const void *)s->word;
    slice.size = ramet_str_size(s);
    return slice;
}

/*
 * ramet_str_sub() - a part of a string, as a string.
 *
 * @s    borrowed.
 * @off  of the first byte. At or past the end, the part is empty.
 * @len  how many; what is past the end is not counted.
 *
 * Returns the part. It shares the memory of @s, all of which it keeps, unless it is short enough to
 * be in the variable.
 * Lifetime: until ramet_str_fini(), whatever becomes of @s.
 * Threads:  any number at once on @s.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API struct ramet_str ramet_str_sub(const struct ramet_str *s, size_t off, size_t len);

/*
 * ramet_str_append_slowly() - what ramet_str_append() is, but for its short way; call that one.
 *
 * @s      changed.
 * @bytes  borrowed; they may be of @s itself.
 *
 * Returns as ramet_str_append():
 *   -ENOMEM
 * Lifetime: as ramet_str_append().
 * Threads:  @s has one user.
 * Blocks:   never.
 * Cost:     as ramet_str_append().
 */
RAMET_API int ramet_str_append_slowly(struct ramet_str *s, struct ramet_slice bytes);

/*
 * ramet_str_append() - put bytes at the end of a string.
 *
 * @s      changed.
 * @bytes  borrowed; they may be of @s itself.
 *
 * Returns 0, or, and @s is as it was,
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: ends what ramet_str_slice() and ramet_str_edit() returned of @s.
 * Threads:  @s has one user.
 * Blocks:   never.
 * Cost:     O(bytes), on average over many calls; O(size of @s) where it is shared.
 */
RAMET_INLINE int ramet_str_append(struct ramet_str *s, struct ramet_slice bytes)
{
    if (s != NULL && bytes.data != NULL && bytes.size < 4096 && (s->word[2] & RAMET_STR_FAR) != 0 &&
        s->word[1] != 0) {
        struct ramet_buffer *buffer = (struct ramet_buffer *)(uintptr_t)s->word[1];
        uint64_t last = s->word[2];
        uintptr_t to = (uintptr_t)(s->word[0] + (last & ~RAMET_STR_FAR));
        /* Of bytes that are not to be written, the end is 0. */
        if (to + bytes.size <= (uintptr_t)buffer->end &&
            __atomic_load_n(&buffer->refs, __ATOMIC_ACQUIRE) == 1) {
            s->word[2] = last + bytes.size; /* first: to might point to it, for all that is known */
            if (bytes.size == 1)
                *(uint8_t *)to = *(const uint8_t *)bytes.data;
            else
                memcpy((void *)to, bytes.data, bytes.size);
            return 0;
        }
    }
    return ramet_str_append_slowly(s, bytes);
}

/*
 * ramet_str_splice() - put bytes in the place of others: replaces, inserts and removes.
 *
 * @s        changed.
 * @off      where; up to the size of @s.
 * @removed  how many bytes from @off on go; not past the end.
 * @bytes    borrowed, what comes there; they may be of @s itself. None: {NULL, 0}.
 *
 * Returns 0, or, and @s is as it was,
 *   -EINVAL          @off, or @off + @removed, is past the end
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: as ramet_str_append().
 * Threads:  @s has one user.
 * Blocks:   never.
 * Cost:     O(bytes put, and bytes behind them); O(size of @s) where it is shared. Removing at an
 *           end is O(1).
 */
RAMET_API int ramet_str_splice(struct ramet_str *s, size_t off, size_t removed,
                               struct ramet_slice bytes);

/*
 * ramet_str_edit() - the bytes of a string, to be written to.
 *
 * @s    changed: its bytes are no longer shared.
 * @out  set to the first of them; NULL if there are none.
 *
 * Returns 0, or, and @s is as it was,
 *   -ENOMEM          no memory
 * Lifetime: until @s is changed, moved, copied, or ended: writing after a copy writes to both.
 * Threads:  @s has one user.
 * Blocks:   never.
 * Cost:     O(1), or O(size of @s) where it is shared.
 */
RAMET_API int ramet_str_edit(struct ramet_str *s, uint8_t **out);

/*
 * ramet_str_reserve() - make room in advance.
 *
 * @s     changed: its bytes are no longer shared.
 * @size  up to which appending asks for no memory.
 *
 * Returns 0, or, and @s is as it was,
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: as ramet_str_append().
 * Threads:  @s has one user.
 * Blocks:   never.
 * Cost:     O(size of @s), or O(1) if the room is there.
 */
RAMET_API int ramet_str_reserve(struct ramet_str *s, size_t size);

/*
 * ramet_str_cmp() - compare two strings as memcmp() does; the shorter is less if it begins the
 * other.
 *
 * @a  borrowed.
 * @b  borrowed.
 *
 * Returns less than, equal to, or greater than 0.
 * Lifetime: returns nothing that could end.
 * Threads:  any number at once on both.
 * Blocks:   never.
 * Cost:     O(bytes); O(1) if they share memory from the same byte on.
 */
RAMET_API int ramet_str_cmp(const struct ramet_str *a, const struct ramet_str *b);

/*
 * ramet_str_fini() - end a string.
 *
 * @s  empty from now on.
 *
 * Returns nothing: it cannot fail.
 * Lifetime: ends what ramet_str_slice() and ramet_str_edit() returned of @s; copies stay.
 * Threads:  @s has one user.
 * Blocks:   never; the last reference to wrapped bytes calls their release function.
 * Cost:     O(1): one atomic decrement, or none.
 */
RAMET_INLINE void ramet_str_fini(struct ramet_str *s)
{
    uint64_t was = s->word[2];
    s->word[2] = 0; /* near, and no bytes */
    if ((was & RAMET_STR_FAR) != 0) {
        struct ramet_buffer *buffer = (struct ramet_buffer *)(uintptr_t)s->word[1];
        if (RAMET_LIKELY(buffer != NULL) && RAMET_UNREF(&buffer->refs))
            ramet_buffer_free(buffer);
    }
}

/* ---- arrays in a row ------------------------------------------------------------------------- */

/* {NULL, NULL, 0, size of an element}, or RAMET_VEC(), is the empty array. The members are the
 * library's own. Elements are aligned as malloc() aligns, if their size is a multiple of that. */
struct ramet_vec {
    void *data;
    struct ramet_buffer *buffer;
    size_t count;
    size_t elem_size;
};

/* The empty array of a type: struct ramet_vec vec = RAMET_VEC(int); */
#define RAMET_VEC(type)             \
    {                               \
        NULL, NULL, 0, sizeof(type) \
    }

/*
 * ramet_vec_from() - an array of elements that are copied.
 *
 * @elem_size  bytes of an element; not 0.
 * @elems      borrowed.
 * @count      how many.
 * @out        overwritten: not an array that has to be ended.
 *
 * Returns 0, or
 *   -EINVAL          @elem_size is 0
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: *@out until ramet_vec_fini().
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     O(bytes).
 */
RAMET_API int ramet_vec_from(size_t elem_size, const void *elems, size_t count,
                             struct ramet_vec *out);

/*
 * ramet_vec_wrap() - an array of elements that are somebody's, and not copied.
 *
 * They must stay, and stay as they are, until @release is called: with the last reference to them,
 * be it a copy or a part.
 *
 * @elem_size  bytes of an element; not 0.
 * @elems      referred to.
 * @count      how many.
 * @release    NULL: nobody is told.
 * @ctx        handed to @release.
 * @out        overwritten.
 *
 * Returns 0, or, and @release is not called,
 *   -EINVAL          @elem_size is 0
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: *@out until ramet_vec_fini().
 * Threads:  any number at once. @release comes from the thread that ends the last reference.
 * Blocks:   never.
 * Cost:     O(1): one small allocation.
 */
RAMET_API int ramet_vec_wrap(size_t elem_size, const void *elems, size_t count,
                             ramet_release_fn release, void *ctx, struct ramet_vec *out);

/*
 * ramet_vec_copy() - a second array with the same elements.
 *
 * @vec  borrowed.
 *
 * Returns the copy, which is ended like any other.
 * Lifetime: until ramet_vec_fini(), whatever becomes of @vec.
 * Threads:  any number at once on @vec.
 * Blocks:   never.
 * Cost:     O(1): one atomic increment.
 */
RAMET_INLINE struct ramet_vec ramet_vec_copy(const struct ramet_vec *vec)
{
    struct ramet_vec copy = *vec;
    if (copy.buffer != NULL)
        (void)__atomic_fetch_add(&copy.buffer->refs, 1, __ATOMIC_RELAXED);
    return copy;
}

/*
 * ramet_vec_count() - how many elements an array has.
 *
 * @vec  borrowed.
 *
 * Returns the number.
 * Lifetime: returns nothing that could end.
 * Threads:  any number at once on @vec.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_INLINE size_t ramet_vec_count(const struct ramet_vec *vec)
{
    return vec->count;
}

/*
 * ramet_vec_data() - the elements, where they are, in a row.
 *
 * @vec  borrowed.
 *
 * Returns the address of the first; of none, anything.
 * Lifetime: until @vec is changed or ended.
 * Threads:  any number at once on @vec.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_INLINE const void *ramet_vec_data(const struct ramet_vec *vec)
{
    return vec->data;
}

/*
 * ramet_vec_sub() - a part of an array, as an array.
 *
 * @vec  borrowed.
 * @off  number of the first element. At or past the end, the part is empty.
 * @len  how many; what is past the end is not counted.
 *
 * Returns the part, which shares the memory of @vec, all of which it keeps.
 * Lifetime: until ramet_vec_fini(), whatever becomes of @vec.
 * Threads:  any number at once on @vec.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API struct ramet_vec ramet_vec_sub(const struct ramet_vec *vec, size_t off, size_t len);

/*
 * ramet_vec_push_slowly() - what ramet_vec_push() is, but for its short way; call that one.
 *
 * @vec   changed.
 * @elem  borrowed; it may be of @vec itself.
 *
 * Returns as ramet_vec_push():
 *   -EINVAL, -ENOMEM
 * Lifetime: ends the addresses that were returned of @vec.
 * Threads:  @vec has one user.
 * Blocks:   never.
 * Cost:     as ramet_vec_push().
 */
RAMET_API int ramet_vec_push_slowly(struct ramet_vec *vec, const void *elem);

/*
 * ramet_vec_push() - put an element at the end.
 *
 * @vec   changed.
 * @elem  borrowed; it may be of @vec itself.
 *
 * Returns 0, or, and @vec is as it was,
 *   -EINVAL          elements of 0 bytes
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: ends the addresses that were returned of @vec.
 * Threads:  @vec has one user.
 * Blocks:   never.
 * Cost:     O(1), on average over many calls; O(count) where it is shared.
 */
RAMET_INLINE int ramet_vec_push(struct ramet_vec *vec, const void *elem)
{
    struct ramet_buffer *buffer = vec->buffer;
    size_t size = vec->elem_size;
    uintptr_t to = (uintptr_t)vec->data + vec->count * size;
    /* Of bytes that are not to be written, the end is 0. */
    if (buffer == NULL || to + size > (uintptr_t)buffer->end ||
        __atomic_load_n(&buffer->refs, __ATOMIC_ACQUIRE) != 1)
        return ramet_vec_push_slowly(vec, elem);
    RAMET_OPAQUE(elem);
    if (size == 8)
        memcpy((void *)to, elem, 8);
    else
        memcpy((void *)to, elem, size);
    vec->count++;
    return 0;
}

/*
 * ramet_vec_append() - put elements at the end.
 *
 * @vec    changed.
 * @elems  borrowed; they may be of @vec itself.
 * @count  how many.
 *
 * Returns 0, or, and @vec is as it was,
 *   -EINVAL          elements of 0 bytes
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: ends the addresses that were returned of @vec.
 * Threads:  @vec has one user.
 * Blocks:   never.
 * Cost:     O(bytes), on average over many calls; O(count) where it is shared.
 */
RAMET_API int ramet_vec_append(struct ramet_vec *vec, const void *elems, size_t count);

/*
 * ramet_vec_splice() - put elements in the place of others: replaces, inserts and removes.
 *
 * @vec      changed.
 * @at       where; up to the number of elements.
 * @removed  how many from there on go; not past the end.
 * @elems    borrowed, what comes there; they may be of @vec itself. NULL if @count is 0.
 * @count    how many.
 *
 * Returns 0, or, and @vec is as it was,
 *   -EINVAL          @at, or @at + @removed, is past the end; or elements of 0 bytes
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: ends the addresses that were returned of @vec.
 * Threads:  @vec has one user.
 * Blocks:   never.
 * Cost:     O(bytes put, and bytes behind them); O(count) where it is shared. Removing at an end is
 *           O(1).
 */
RAMET_API int ramet_vec_splice(struct ramet_vec *vec, size_t at, size_t removed, const void *elems,
                               size_t count);

/*
 * ramet_vec_set() - change an element.
 *
 * @vec   changed.
 * @i     number of the element; there is one.
 * @elem  borrowed; it may be of @vec itself.
 *
 * Returns 0, or, and @vec is as it was,
 *   -EINVAL          @i is at or past the end; or elements of 0 bytes
 *   -ENOMEM          no memory
 * Lifetime: ends the addresses that were returned of @vec.
 * Threads:  @vec has one user.
 * Blocks:   never.
 * Cost:     O(1); O(count) where it is shared.
 */
RAMET_API int ramet_vec_set(struct ramet_vec *vec, size_t i, const void *elem);

/*
 * ramet_vec_edit() - the elements, to be written to.
 *
 * @vec  changed: they are no longer shared.
 * @out  set to the address of the first; NULL if there are none.
 *
 * Returns 0, or, and @vec is as it was,
 *   -EINVAL          elements of 0 bytes
 *   -ENOMEM          no memory
 * Lifetime: until @vec is changed, copied or ended: writing after a copy writes to both.
 * Threads:  @vec has one user.
 * Blocks:   never.
 * Cost:     O(1); O(count) where it is shared.
 */
RAMET_API int ramet_vec_edit(struct ramet_vec *vec, void **out);

/*
 * ramet_vec_reserve() - make room in advance.
 *
 * @vec    changed: its elements are no longer shared.
 * @count  up to which appending asks for no memory.
 *
 * Returns 0, or, and @vec is as it was,
 *   -EINVAL          elements of 0 bytes
 *   -ENOMEM          no memory, or more bytes than there can be
 * Lifetime: ends the addresses that were returned of @vec.
 * Threads:  @vec has one user.
 * Blocks:   never.
 * Cost:     O(count), or O(1) if the room is there.
 */
RAMET_API int ramet_vec_reserve(struct ramet_vec *vec, size_t count);

/*
 * ramet_vec_fini() - end an array.
 *
 * @vec  empty from now on.
 *
 * Returns nothing: it cannot fail.
 * Lifetime: ends the addresses that were returned of @vec; copies stay.
 * Threads:  @vec has one user.
 * Blocks:   never; the last reference to wrapped elements calls their release function.
 * Cost:     O(1): one atomic decrement.
 */
RAMET_INLINE void ramet_vec_fini(struct ramet_vec *vec)
{
    struct ramet_buffer *buffer = vec->buffer;
    vec->buffer = NULL;
    vec->count = 0;
    if (buffer != NULL && RAMET_UNREF(&buffer->refs))
        ramet_buffer_free(buffer);
}

/* ---- large arrays ---------------------------------------------------------------------------- */

#define RAMET_SEQ_ELEM_MAX 1024u /* bytes of an element */

/* {NULL, size of an element}, or RAMET_SEQ(), is the empty array. The members are the library's
 * own. Elements are aligned as malloc() aligns, if their size is a multiple of their alignment. */
struct ramet_seq {
    struct ramet_seq_body *body;
    size_t elem_size;
};

/* The first members of a body, for the functions in this file. Chunks begin with a count and a
 * word, then come elements. */
struct ramet_seq_front {
    size_t refs;
    size_t *tail; /* a chunk; NULL: none */
    size_t tail_count;
    size_t tail_max;
    uint8_t *root;
    uint64_t size; /* of what is below the root */
    uint32_t height;
    uint64_t leaf_mask; /* of the number, what is the place in a chunk */
    uint32_t up_shift;  /* for a number in a chunk to begin with the highest bit */
    uint32_t is_full;   /* the digits of a number are the way to its element */
};

/* And of what is above the chunks. */
struct ramet_seq_inner {
    size_t refs;
    uint32_t nr, height;
    uint32_t mine; /* bit k: nobody else refers to what is below at k; atomic */
    uint32_t unused;
    uint8_t *below[16];
};

#define RAMET_SEQ_BITS 4u /* of a digit */

/* The empty array of a type: struct ramet_seq seq = RAMET_SEQ(double); */
#define RAMET_SEQ(type)    \
    {                      \
        NULL, sizeof(type) \
    }

/*
 * ramet_seq_from() - an array of elements that are copied.
 *
 * @elem_size  bytes of an element, 1 to RAMET_SEQ_ELEM_MAX.
 * @elems      borrowed.
 * @count      how many, up to 2^40.
 * @out        overwritten: not an array that has to be ended.
 *
 * Returns 0, or
 *   -EINVAL          @elem_size is not possible
 *   -ENOMEM          no memory, or more elements than there can be
 * Lifetime: *@out until ramet_seq_fini().
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     O(bytes).
 */
RAMET_API int ramet_seq_from(size_t elem_size, const void *elems, uint64_t count,
                             struct ramet_seq *out);

/*
 * ramet_seq_copy() - a second array with the same elements.
 *
 * @seq  borrowed.
 *
 * Returns the copy, which is ended like any other.
 * Lifetime: until ramet_seq_fini(), whatever becomes of @seq.
 * Threads:  any number at once on @seq.
 * Blocks:   never.
 * Cost:     O(1): one atomic increment.
 */
RAMET_INLINE struct ramet_seq ramet_seq_copy(const struct ramet_seq *seq)
{
    struct ramet_seq copy = *seq;
    /* The body begins with its count. */
    if (copy.body != NULL)
        (void)__atomic_fetch_add((size_t *)(void *)copy.body, 1, __ATOMIC_RELAXED);
    return copy;
}

/*
 * ramet_seq_count() - how many elements an array has.
 *
 * @seq  borrowed.
 *
 * Returns the number.
 * Lifetime: returns nothing that could end.
 * Threads:  any number at once on @seq.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API uint64_t ramet_seq_count(const struct ramet_seq *seq);

/*
 * ramet_seq_at_slowly() - what ramet_seq_at() is, but for its short way; call that one.
 *
 * @seq  borrowed.
 * @i    its number, from 0.
 *
 * Returns its address; NULL at or past the end.
 * Lifetime: until @seq is changed or ended.
 * Threads:  any number at once on @seq.
 * Blocks:   never.
 * Cost:     as ramet_seq_at().
 */
RAMET_API const void *ramet_seq_at_slowly(const struct ramet_seq *seq, uint64_t i);

/*
 * ramet_seq_at() - an element, where it is.
 *
 * @seq  borrowed.
 * @i    its number, from 0.
 *
 * Returns its address; NULL at or past the end.
 * Lifetime: until @seq is changed or ended.
 * Threads:  any number at once on @seq.
 * Blocks:   never.
 * Cost:     O(log elements): a few steps.
 */
RAMET_INLINE const void *ramet_seq_at(const struct ramet_seq *seq, uint64_t i)
{
    const struct ramet_seq_front *front = (const struct ramet_seq_front *)(const void *)seq->body;
    const uint8_t *at;
    uint64_t digits;
    uint32_t h;
    if (!RAMET_LIKELY(front != NULL && front->is_full != 0 && i < front->size))
        return ramet_seq_at_slowly(seq, i);
    /* Few instructions: a processor looks only so many ahead for the next line of memory. */
    at = front->root;
    h = front->height;
    digits = i << ((front->up_shift - RAMET_SEQ_BITS * h) & 63);
    for (; h != 0; h--) {
        const struct ramet_seq_inner *inner = (const struct ramet_seq_inner *)(const void *)at;
        at = inner->below[digits >> (64 - RAMET_SEQ_BITS)];
        digits <<= RAMET_SEQ_BITS;
    }
    return at + 2 * sizeof(size_t) + (i & front->leaf_mask) * seq->elem_size;
}

/*
 * ramet_seq_run() - elements that lie in a row.
 *
 * @seq        borrowed.
 * @i          number of the first one.
 * @out_count  how many lie there from it on, at least 1; untouched if there is none.
 *
 * Returns the address of element @i; NULL at or past the end.
 * Lifetime: until @seq is changed or ended.
 * Threads:  any number at once on @seq.
 * Blocks:   never.
 * Cost:     O(log elements). About 4 KiB lie in a row.
 */
RAMET_API const void *ramet_seq_run(const struct ramet_seq *seq, uint64_t i, size_t *out_count);

/*
 * ramet_seq_pieces() - all elements of a part, from first to last, where they are.
 *
 * @seq    borrowed.
 * @from   number of the first element.
 * @count  how many; what is past the end is not counted: UINT64_MAX for all from @from on.
 * @fn     called for each piece, whole elements; its off is that of the piece's first byte in the
 *         array. So pieces can be written to a blob as they come.
 * @ctx    handed to @fn.
 *
 * Returns 0, or what @fn answered if that was not 0.
 * Lifetime: a piece until @seq is changed or ended.
 * Threads:  any number at once on @seq.
 * Blocks:   never.
 * Cost:     O(log elements + pieces), of about 4 KiB.
 */
RAMET_API int ramet_seq_pieces(const struct ramet_seq *seq, uint64_t from, uint64_t count,
                               ramet_piece_fn fn, void *ctx);

/*
 * ramet_seq_set_slowly() - what ramet_seq_set() is, but for its short way; call that one.
 *
 * @seq   changed.
 * @i     number of the element; there is one.
 * @elem  borrowed; not of @seq itself.
 *
 * Returns as ramet_seq_set():
 *   -EINVAL, -ENOMEM
 * Lifetime: ends the addresses that were returned of @seq.
 * Threads:  @seq has one user.
 * Blocks:   never.
 * Cost:     as ramet_seq_set().
 */
RAMET_API int ramet_seq_set_slowly(struct ramet_seq *seq, uint64_t i, const void *elem);

/*
 * ramet_seq_set() - change an element.
 *
 * @seq   changed.
 * @i     number of the element; there is one.
 * @elem  borrowed; not of @seq itself.
 *
 * Returns 0, or, and @seq is as it was,
 *   -EINVAL          @i is at or past the end
 *   -ENOMEM          no memory
 * Lifetime: ends the addresses that were returned of @seq.
 * Threads:  @seq has one user.
 * Blocks:   never.
 * Cost:     O(log elements), in place; where it is shared, one chunk and its path are copied.
 */
RAMET_INLINE int ramet_seq_set(struct ramet_seq *seq, uint64_t i, const void *elem)
{
    struct ramet_seq_front *front = (struct ramet_seq_front *)(void *)seq->body;
    uint8_t *at;
    uint64_t digits;
    uint32_t h;
    if (!RAMET_LIKELY(front != NULL && front->is_full != 0 && i < front->size &&
                      __atomic_load_n(&front->refs, __ATOMIC_ACQUIRE) == 1))
        return ramet_seq_set_slowly(seq, i, elem);
    at = front->root;
    if (!RAMET_LIKELY(__atomic_load_n((size_t *)(void *)at, __ATOMIC_ACQUIRE) == 1))
        return ramet_seq_set_slowly(seq, i, elem);
    h = front->height;
    digits = i << ((front->up_shift - RAMET_SEQ_BITS * h) & 63);
    for (; h != 0; h--) {
        struct ramet_seq_inner *inner = (struct ramet_seq_inner *)(void *)at;
        uint64_t digit = digits >> (64 - RAMET_SEQ_BITS);
        if (!RAMET_LIKELY((__atomic_load_n(&inner->mine, __ATOMIC_RELAXED) >> digit & 1) != 0))
            return ramet_seq_set_slowly(seq, i, elem);
        at = inner->below[digit];
        digits <<= RAMET_SEQ_BITS;
    }
    at += 2 * sizeof(size_t) + (i & front->leaf_mask) * seq->elem_size;
    RAMET_OPAQUE(elem);
    if (seq->elem_size == 8)
        memcpy(at, elem, 8);
    else
        memcpy(at, elem, seq->elem_size);
    return 0;
}

/*
 * ramet_seq_edit() - elements that lie in a row, to be written to.
 *
 * @seq        changed: those elements are no longer shared.
 * @i          number of the first one; there is one.
 * @out        set to its address.
 * @out_count  how many lie there from it on.
 *
 * Returns 0, or, and @seq is as it was,
 *   -EINVAL          @i is at or past the end
 *   -ENOMEM          no memory
 * Lifetime: until @seq is changed, copied or ended: writing after a copy writes to both.
 * Threads:  @seq has one user.
 * Blocks:   never.
 * Cost:     as ramet_seq_set().
 */
RAMET_API int ramet_seq_edit(struct ramet_seq *seq, uint64_t i, void **out, size_t *out_count);

/*
 * ramet_seq_push_slowly() - what ramet_seq_push() is, but for its short way; call that one.
 *
 * @seq   changed.
 * @elem  borrowed; not of @seq itself.
 *
 * Returns as ramet_seq_push():
 *   -EINVAL, -ENOMEM
 * Lifetime: ends the addresses that were returned of @seq.
 * Threads:  @seq has one user.
 * Blocks:   never.
 * Cost:     as ramet_seq_push().
 */
RAMET_API int ramet_seq_push_slowly(struct ramet_seq *seq, const void *elem);

/*
 * ramet_seq_push() - put an element at the end.
 *
 * @seq   changed.
 * @elem  borrowed; not of @seq itself.
 *
 * Returns 0, or, and @seq is as it was,
 *   -EINVAL          the size of an element is not possible
 *   -ENOMEM          no memory, or more elements than there can be
 * Lifetime: ends the addresses that were returned of @seq.
 * Threads:  @seq has one user.
 * Blocks:   never.
 * Cost:     O(1), and O(log elements) once in some 4 KiB.
 */
RAMET_INLINE int ramet_seq_push(struct ramet_seq *seq, const void *elem)
{
    struct ramet_seq_front *front = (struct ramet_seq_front *)(void *)seq->body;
    size_t size = seq->elem_size;
    uint8_t *to;
    if (front == NULL || front->tail == NULL || front->tail_count >= front->tail_max ||
        __atomic_load_n(&front->refs, __ATOMIC_ACQUIRE) != 1 ||
        __atomic_load_n(front->tail, __ATOMIC_ACQUIRE) != 1)
        return ramet_seq_push_slowly(seq, elem);
    to = (uint8_t *)(front->tail + 2) + front->tail_count * size;
    RAMET_OPAQUE(elem);
    if (size == 8)
        memcpy(to, elem, 8);
    else
        memcpy(to, elem, size);
    front->tail_count++;
    return 0;
}

/*
 * ramet_seq_append() - put elements at the end.
 *
 * @seq    changed.
 * @elems  borrowed; not of @seq itself.
 * @count  how many.
 *
 * Returns 0, or, and @seq is as it was,
 *   -EINVAL          the size of an element is not possible
 *   -ENOMEM          no memory, or more elements than there can be
 * Lifetime: ends the addresses that were returned of @seq.
 * Threads:  @seq has one user.
 * Blocks:   never.
 * Cost:     O(bytes + log elements).
 */
RAMET_API int ramet_seq_append(struct ramet_seq *seq, const void *elems, uint64_t count);

/*
 * ramet_seq_concat() - put the elements of another array at the end.
 *
 * @seq    changed.
 * @other  borrowed; shared from now on. It may be @seq.
 *
 * Returns 0, or, and @seq is as it was,
 *   -EINVAL          their elements are not of one size, or it is not possible
 *   -ENOMEM          no memory, or more elements than there can be
 * Lifetime: ends the addresses that were returned of @seq.
 * Threads:  @seq has one user; any number at once on @other.
 * Blocks:   never.
 * Cost:     O(log elements).
 */
RAMET_API int ramet_seq_concat(struct ramet_seq *seq, const struct ramet_seq *other);

/*
 * ramet_seq_sub() - a part of an array, as an array.
 *
 * @seq  borrowed.
 * @off  number of the first element. At or past the end, the part is empty.
 * @len  how many; what is past the end is not counted.
 * @out  overwritten: not an array that has to be ended, nor @seq.
 *
 * Returns 0, or
 *   -ENOMEM          no memory
 * Lifetime: *@out until ramet_seq_fini(), whatever becomes of @seq.
 * Threads:  any number at once on @seq.
 * Blocks:   never.
 * Cost:     O(log elements): shares all but its edges.
 */
RAMET_API int ramet_seq_sub(const struct ramet_seq *seq, uint64_t off, uint64_t len,
                            struct ramet_seq *out);

/*
 * ramet_seq_splice() - put elements in the place of others: replaces, inserts and removes.
 *
 * @seq      changed.
 * @at       where; up to the number of elements.
 * @removed  how many from there on go; not past the end.
 * @elems    borrowed, what comes there; not of @seq itself. NULL if @count is 0.
 * @count    how many.
 *
 * Returns 0, or, and @seq is as it was,
 *   -EINVAL          @at, or @at + @removed, is past the end; or the size of an element is not
 *                    possible
 *   -ENOMEM          no memory, or more elements than there can be
 * Lifetime: ends the addresses that were returned of @seq.
 * Threads:  @seq has one user.
 * Blocks:   never.
 * Cost:     O(bytes put + log elements); in place within a chunk that has room.
 */
RAMET_API int ramet_seq_splice(struct ramet_seq *seq, uint64_t at, uint64_t removed,
                               const void *elems, uint64_t count);

/*
 * ramet_seq_free() - frees what no array refers to any more: for ramet_seq_fini(); call that one.
 *
 * @body  taken.
 *
 * Returns nothing: it cannot fail.
 * Lifetime: ends the elements that are in no other array.
 * Threads:  the caller is alone with it.
 * Blocks:   never.
 * Cost:     O(chunks that are its alone).
 */
RAMET_API void ramet_seq_free(struct ramet_seq_body *body);

/*
 * ramet_seq_fini() - end an array.
 *
 * @seq  empty from now on.
 *
 * Returns nothing: it cannot fail.
 * Lifetime: ends the addresses that were returned of @seq; copies stay.
 * Threads:  @seq has one user.
 * Blocks:   never.
 * Cost:     O(1) where it is shared; else O(chunks that are its alone).
 */
RAMET_INLINE void ramet_seq_fini(struct ramet_seq *seq)
{
    struct ramet_seq_body *body = seq->body;
    seq->body = NULL;
    if (body != NULL && RAMET_UNREF((size_t *)(void *)body))
        ramet_seq_free(body);
}

/* ---- by type, in C --------------------------------------------------------------------------- */

#ifndef __cplusplus
/* An element of a type, as an expression: ramet_seq_push(&seq, RAMET_ELEM(double, 0.5)). */
#define RAMET_ELEM(type, value) (&(type){value})
/* Element i of an array in a row, or of a large one, which has it. */
#define RAMET_VEC_AT(type, vec, i) (((const type *)ramet_vec_data(vec))[i])
#define RAMET_SEQ_AT(type, seq, i) (*(const type *)ramet_seq_at(seq, i))

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
/* The function of a value's type; value: the address of a struct ramet_str, _vec or _seq. */
#define RAMET_OF(value, verb) \
    _Generic((value), struct ramet_str *                                                     \
             : ramet_str_##verb, const struct ramet_str *                                    \
             : ramet_str_##verb, struct ramet_vec *                                          \
             : ramet_vec_##verb, const struct ramet_vec *                                    \
             : ramet_vec_##verb, struct ramet_seq *                                          \
             : ramet_seq_##verb, const struct ramet_seq *                                    \
             : ramet_seq_##verb)
#define ramet_value_copy(value) RAMET_OF(value, copy)(value)
#define ramet_value_fini(value) RAMET_OF(value, fini)(value)
#endif
#endif

#ifdef __cplusplus
}
#endif

#endif
