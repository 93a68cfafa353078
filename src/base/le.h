/* SPDX-License-Identifier: MIT */
/*
 * le.h - little-endian integers as bytes: alignment 1, no padding, and a raw read does not compile.
 */
#ifndef RMT_LE_H
#define RMT_LE_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "add byte swaps here, and a big-endian machine to CI"
#endif

/* clang-format off */
typedef struct { uint8_t b[2]; } rmt_le16;
typedef struct { uint8_t b[4]; } rmt_le32;
typedef struct { uint8_t b[6]; } rmt_le48;
typedef struct { uint8_t b[8]; } rmt_le64;
/* clang-format on */

#define RMT_LE(bits)                                           \
    static inline uint##bits##_t rmt_get##bits(rmt_le##bits x) \
    {                                                          \
        uint##bits##_t v;                                      \
        memcpy(&v, x.b, sizeof(v));                            \
        return v;                                              \
    }                                                          \
    static inline rmt_le##bits rmt_put##bits(uint##bits##_t v) \
    {                                                          \
        rmt_le##bits x;                                        \
        memcpy(x.b, &v, sizeof(v));                            \
        return x;                                              \
    }
RMT_LE(16)
RMT_LE(32)
RMT_LE(64)
#undef RMT_LE

/* In two parts: six bytes that are stored and loaded as eight make the processor wait. */
static inline uint64_t rmt_get48(rmt_le48 x)
{
    uint32_t low;
    uint16_t high;
    memcpy(&low, x.b, 4);
    memcpy(&high, x.b + 4, 2);
    return low | (uint64_t)high << 32;
}

static inline rmt_le48 rmt_put48(uint64_t v)
{
    rmt_le48 x;
    memcpy(x.b, &v, 6);
    return x;
}

/* Big-endian, for keys that memcmp must order as numbers. */
static inline uint64_t rmt_get_be64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

static inline void rmt_put_be64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

#endif
