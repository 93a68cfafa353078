/* SPDX-License-Identifier: MIT */
/*
 * base.h - what every folder leans on: failing, asserting, cleaning up by scope, sums that cannot
 * overflow unseen.
 */
#ifndef RMT_BASE_H
#define RMT_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ramet.h"

/* ---- failing --------------------------------------------------------------------------------- */

/* Keeps the message for this thread (ramet_errmsg()) and returns code. Called once, where the fault
 * is found; callers forward the code unchanged. */
int rmt_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));
/* Puts where it was before the sentence of a failure that was met further down; returns code. */
int rmt_fail_within(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));
/* Makes what ramet_errmsg() said before the message again: of a failure that was cleaned up after,
 * with failures of its own. */
void rmt_fail_again(const char *text);

/* ---- asserting our own mistakes -------------------------------------------------------------- */

_Noreturn void rmt_assert_failed(const char *what, const char *file, int line);

#define rmt_likely(x) __builtin_expect(!!(x), 1)
#define rmt_unlikely(x) __builtin_expect(!!(x), 0)

/* <assert.h> is not included anywhere. */
#ifndef static_assert
#define static_assert _Static_assert
#endif

/* O(1), on in every build, aborts. */
#define rmt_assert(x) (rmt_likely(x) ? (void)0 : rmt_assert_failed(#x, __FILE__, __LINE__))

/* O(n) walks; on in CI, sim and fuzz builds. */
#ifdef RMT_SLOW_CHECKS
#define rmt_assert_slow(x) rmt_assert(x)
#else
#define rmt_assert_slow(x) ((void)sizeof(x))
#endif

/* ---- cleanup by scope ------------------------------------------------------------------------ */

/* rmt_auto(f) T *x = ...: calls f(x) when x goes out of scope; f must take NULL. */
#define rmt_auto(f) __attribute__((cleanup(rmt_auto_##f)))

/* RMT_AUTO(f, T) defines what rmt_auto(f) needs for a T *. */
#define RMT_AUTO(f, T)                     \
    static inline void rmt_auto_##f(T **p) \
    {                                      \
        f(*p);                             \
    }

/* The same for a variable that is a T itself: f gets its address. */
#define RMT_AUTO_VALUE(f, T)              \
    static inline void rmt_auto_##f(T *p) \
    {                                     \
        f(p);                             \
    }

/* Takes the pointer out of an rmt_auto variable: the caller of the function owns it now. */
#define rmt_take(x)               \
    ({                            \
        __auto_type taken_ = (x); \
        (x) = NULL;               \
        taken_;                   \
    })

/* rmt_auto(free): of any pointer. */
static inline void rmt_auto_free(void *p)
{
    free(*(void **)p);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* False on overflow. */
#define rmt_add(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define rmt_mul(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

static inline uint64_t rmt_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t rmt_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t rmt_div_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* ---- slices ---------------------------------------------------------------------------------- */

static inline struct ramet_slice rmt_slice(const void *data, size_t size)
{
    struct ramet_slice s = {data, size};
    return s;
}

/* True of no bytes, too. */
static inline bool rmt_all_zero(const void *bytes, size_t size)
{
    const uint8_t *p = (const uint8_t *)bytes;
    return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

static inline int rmt_slice_cmp(struct ramet_slice a, struct ramet_slice b)
{
    size_t n = a.size < b.size ? a.size : b.size;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    return c ? c : (a.size > b.size) - (a.size < b.size);
}

#endif
