/* SPDX-License-Identifier: MIT */
/*
 * ramet_value.h - copy-on-write values in the memory of one process; ramet.h includes it.
 *
 *   struct ramet_str  a string of bytes; up to 23 lie in the variable itself
 *   struct ramet_vec  an array of elements of one size, which lie in a row
 *
 * A copy is a reference, made in constant time. Whoever changes a value that others have too gets
 * memory of its own for it first, and the others keep what they had; a value that nobody else has
 * is changed in place. They need no store.
 *
 * A variable is initialised when it is declared ({0}, RAMET_STR(), RAMET_VEC()), and ended with
 * ..._fini(), after which it is empty, and may be used again. C's assignment moves a value: one of
 * the two variables may be used from then on. ..._copy() makes a second one.
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

#include "ramet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Defined here, so that a call costs no more than what it does. */
#define RAMET_INLINE static inline

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
    if ((s->word[2] & RAMET_STR_FAR) != 0 && s->word[1] != 0)
        (void)__atomic_fetch_add(&((struct ramet_buffer *)(uintptr_t)s->word[1])->refs, 1,
                                 __ATOMIC_RELAXED);
    return *s;
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
RAMET_API int ramet_str_append(struct ramet_str *s, struct ramet_slice bytes);

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
RAMET_API void ramet_str_fini(struct ramet_str *s);

#ifdef __cplusplus
}
#endif

#endif
