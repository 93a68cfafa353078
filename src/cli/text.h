/* SPDX-License-Identifier: MIT */
/*
 * text.h - bytes as people and files write them: growing buffers, UTF-8, escapes, hex, base64,
 * units.
 */
#ifndef RMT_CLI_TEXT_H
#define RMT_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <ramet.h>

/* Bytes that grow. All zero is empty; free with rmt_buf_free(). */
struct rmt_buf {
    char *data;
    size_t size;
    size_t cap;
};

/* There is nothing a command can do without memory: these end the process with a message and
 * status 3. The store does not mind; it is made for losing its writer at any instruction. */
void rmt_buf_reserve(struct rmt_buf *buf, size_t extra);
void rmt_buf_add(struct rmt_buf *buf, const void *data, size_t size);
void rmt_buf_add_byte(struct rmt_buf *buf, unsigned char byte);
void rmt_buf_add_str(struct rmt_buf *buf, const char *str);
__attribute__((format(printf, 2, 3), nonnull)) void rmt_buf_printf(struct rmt_buf *buf,
                                                                   const char *fmt, ...);
/* Ends the bytes with a NUL, which is not counted, and returns them. */
const char *rmt_buf_str(struct rmt_buf *buf);
/* The bytes, until the next change; never NULL. */
struct ramet_slice rmt_buf_slice(const struct rmt_buf *buf);
void rmt_buf_clear(struct rmt_buf *buf);
void rmt_buf_free(struct rmt_buf *buf);

/* Length of the valid UTF-8 sequence at p (shortest form, no surrogates), or 0. */
size_t rmt_text_utf8_len(const unsigned char *p, const unsigned char *end);
bool rmt_text_is_utf8(struct ramet_slice s);

/* Adds s with tab, newline, return and backslash as \t \n \r \\ and other control characters and
 * bytes that are not UTF-8 as \xHH. */
void rmt_text_escape(struct rmt_buf *buf, struct ramet_slice s);
/* The inverse; 0, or -1 at the first escape it does not know (out_at: its place in s). */
int rmt_text_unescape(struct rmt_buf *buf, struct ramet_slice s, size_t *out_at);

/* Adds "name":"..." as in a JSON object, or "name_base64":"..." if s is not UTF-8. */
void rmt_text_json(struct rmt_buf *buf, const char *name, struct ramet_slice s);
int rmt_text_hex_digit(char c); /* 0..15, or -1 */
void rmt_text_base64(struct rmt_buf *buf, struct ramet_slice s);
int rmt_text_unbase64(struct rmt_buf *buf, struct ramet_slice s); /* 0, or -1: it is not base64 */

/* "1,234,567", "1.2 MiB", "3 min 5 s": into buf, after what is there. */
void rmt_text_grouped(struct rmt_buf *buf, uint64_t n);
void rmt_text_units(struct rmt_buf *buf, uint64_t bytes);
void rmt_text_duration(struct rmt_buf *buf, uint64_t ms);
/* Microseconds since 1970 as local "2026-11-22 11:39:58"; "-" for 0. */
void rmt_text_time(struct rmt_buf *buf, int64_t time_us);
/* The same as "2026-11-22T11:39:58.123456Z"; as "2026-11-22 11:39:58 UTC". */
void rmt_text_time_utc(struct rmt_buf *buf, int64_t time_us);
void rmt_text_second_utc(struct rmt_buf *buf, int64_t time_us);
/* What "30d", "12h", "5m", "9s" or "2w" before now is, or a date as "2026-11-22", perhaps with a
 * time of day as above, in UTC. Microseconds since 1970; -1: it is none of these. */
int64_t rmt_text_when(const char *str, int64_t now_us);

/* What "512", "64K", "10G" or "1.5TiB" is in bytes: K is 1024. False: it is none, or too large. */
bool rmt_text_size(const char *str, uint64_t *out);

/* How many edits (insert, delete, change, swap of neighbours) turn a into b. */
size_t rmt_text_distance(const char *a, const char *b);

struct ramet_slice rmt_text_slice(const char *str);

#endif
