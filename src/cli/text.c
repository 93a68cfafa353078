/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void rmt_buf_reserve(struct rmt_buf *buf, size_t extra)
{
    size_t need;
    if (!__builtin_add_overflow(buf->size, extra, &need)) {
        if (need <= buf->cap)
            return;
        size_t cap = buf->cap > SIZE_MAX / 2 ? need : buf->cap * 2;
        cap = cap < need ? need : cap;
        cap = cap < 256 ? 256 : cap;
        char *data = realloc(buf->data, cap);
        if (data) {
            buf->data = data;
            buf->cap = cap;
            return;
        }
    }
    static const char message[] = "ramet: out of memory\n";
    (void)!write(STDERR_FILENO, message, sizeof(message) - 1); /* there is nobody else to tell */
    _exit(3);
}

void rmt_buf_add(struct rmt_buf *buf, const void *data, size_t size)
{
    rmt_buf_reserve(buf, size);
    if (size)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
}

void rmt_buf_add_byte(struct rmt_buf *buf, unsigned char byte)
{
    if (buf->size == buf->cap)
        rmt_buf_reserve(buf, 1);
    buf->data[buf->size++] = (char)byte;
}

void rmt_buf_add_str(struct rmt_buf *buf, const char *str)
{
    rmt_buf_add(buf, str, strlen(str));
}

void rmt_buf_printf(struct rmt_buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        return;
    rmt_buf_reserve(buf, (size_t)len + 1);
    va_start(args, fmt);
    (void)vsnprintf(buf->data + buf->size, (size_t)len + 1, fmt, args);
    va_end(args);
    buf->size += (size_t)len;
}

const char *rmt_buf_str(struct rmt_buf *buf)
{
    rmt_buf_reserve(buf, 1);
    buf->data[buf->size] = '\0';
    return buf->data;
}

struct ramet_slice rmt_buf_slice(const struct rmt_buf *buf)
{
    return (struct ramet_slice){buf->data ? buf->data : "", buf->size};
}

void rmt_buf_clear(struct rmt_buf *buf)
{
    buf->size = 0;
}

void rmt_buf_free(struct rmt_buf *buf)
{
    free(buf->data);
    *buf = (struct rmt_buf){0};
}

size_t rmt_text_utf8_len(const unsigned char *p, const unsigned char *end)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] > 0xf4 || len == 0 || (size_t)(end - p) < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
    bool too_large = p[0] == 0xf4 && p[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : len;
}

bool rmt_text_is_utf8(struct ramet_slice s)
{
    const unsigned char *p = s.data;
    const unsigned char *end = p + s.size;
    while (p < end) {
        size_t len = rmt_text_utf8_len(p, end);
        if (!len)
            return false;
        p += len;
    }
    return true;
}

static void add_hex_escape(struct rmt_buf *buf, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    const char escape[] = {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    rmt_buf_add(buf, escape, sizeof(escape));
}

void rmt_text_escape(struct rmt_buf *buf, struct ramet_slice s)
{
    const unsigned char *p = s.data;
    const unsigned char *end = p + s.size;
    while (p < end) {
        const unsigned char *plain = p;
        while (p < end && *p >= 0x20 && *p < 0x7f && *p != '\\')
            p++;
        rmt_buf_add(buf, plain, (size_t)(p - plain));
        if (p == end)
            break;

        size_t len = rmt_text_utf8_len(p, end);
        bool c1_control = len == 2 && p[0] == 0xc2 && p[1] < 0xa0;
        if (len > 1 && !c1_control) {
            rmt_buf_add(buf, p, len);
            p += len;
            continue;
        }
        switch (*p) {
        case '\t': rmt_buf_add_str(buf, "\\t"); break;
        case '\n': rmt_buf_add_str(buf, "\\n"); break;
        case '\r': rmt_buf_add_str(buf, "\\r"); break;
        case '\\': rmt_buf_add_str(buf, "\\\\"); break;
        default:
            add_hex_escape(buf, *p);
            if (c1_control)
                add_hex_escape(buf, *++p);
            break;
        }
        p++;
    }
}

int rmt_text_unescape(struct rmt_buf *buf, struct ramet_slice s, size_t *out_at)
{
    const char *start = s.data;
    const char *end = start + s.size;
    const char *p = start;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        rmt_buf_add(buf, p, (size_t)((slash ? slash : end) - p));
        if (!slash)
            break;
        char kind = (char)(end - slash > 1 ? slash[1] : 0);
        int high = end - slash > 3 ? rmt_text_hex_digit(slash[2]) : -1;
        int low = end - slash > 3 ? rmt_text_hex_digit(slash[3]) : -1;
        p = slash + 2;
        switch (kind) {
        case 't': rmt_buf_add_byte(buf, '\t'); break;
        case 'n': rmt_buf_add_byte(buf, '\n'); break;
        case 'r': rmt_buf_add_byte(buf, '\r'); break;
        case '\\': rmt_buf_add_byte(buf, '\\'); break;
        case 'x':
            if (high >= 0 && low >= 0) {
                rmt_buf_add_byte(buf, (unsigned char)(high << 4 | low));
                p += 2;
                break;
            }
            __attribute__((fallthrough));
        default: *out_at = (size_t)(slash - start); return -1;
        }
    }
    return 0;
}

int rmt_text_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void rmt_text_base64(struct rmt_buf *buf, struct ramet_slice s)
{
    const unsigned char *p = s.data;
    rmt_buf_reserve(buf, s.size / 3 * 4 + 4);
    for (size_t i = 0; i < s.size; i += 3) {
        size_t left = s.size - i;
        uint32_t bits = (uint32_t)p[i] << 16;
        bits |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        bits |= left > 2 ? p[i + 2] : 0;
        const char four[] = {
            base64_digits[bits >> 18],
            base64_digits[bits >> 12 & 63],
            (char)(left > 1 ? base64_digits[bits >> 6 & 63] : '='),
            (char)(left > 2 ? base64_digits[bits & 63] : '='),
        };
        rmt_buf_add(buf, four, sizeof(four));
    }
}

int rmt_text_unbase64(struct rmt_buf *buf, struct ramet_slice s)
{
    const char *p = s.data;
    if (s.size % 4 != 0)
        return -1;
    for (size_t i = 0; i < s.size; i += 4) {
        bool last = i + 4 == s.size;
        size_t pad = last && p[i + 3] == '=' ? (p[i + 2] == '=' ? 2 : 1) : 0;
        uint32_t bits = 0;
        for (size_t j = 0; j < 4 - pad; j++) {
            const char *digit = p[i + j] ? strchr(base64_digits, p[i + j]) : NULL;
            if (!digit)
                return -1;
            bits |= (uint32_t)(digit - base64_digits) << (18 - 6 * j);
        }
        /* Bits that no byte takes must be zero: one text for each string of bytes. */
        if ((pad == 1 && bits & 0xff) || (pad == 2 && bits & 0xffff))
            return -1;
        for (size_t j = 0; j < 3 - pad; j++)
            rmt_buf_add_byte(buf, (unsigned char)(bits >> (16 - 8 * j)));
    }
    return 0;
}

void rmt_text_json(struct rmt_buf *buf, const char *name, struct ramet_slice s)
{
    if (!rmt_text_is_utf8(s)) {
        rmt_buf_printf(buf, "\"%s_base64\":\"", name);
        rmt_text_base64(buf, s);
        rmt_buf_add_byte(buf, '"');
        return;
    }
    rmt_buf_printf(buf, "\"%s\":\"", name);
    const unsigned char *p = s.data;
    const unsigned char *end = p + s.size;
    while (p < end) {
        const unsigned char *plain = p;
        while (p < end && *p >= 0x20 && *p != '"' && *p != '\\' && *p != 0x7f)
            p++;
        rmt_buf_add(buf, plain, (size_t)(p - plain));
        if (p == end)
            break;
        switch (*p) {
        case '"': rmt_buf_add_str(buf, "\\\""); break;
        case '\\': rmt_buf_add_str(buf, "\\\\"); break;
        case '\n': rmt_buf_add_str(buf, "\\n"); break;
        case '\r': rmt_buf_add_str(buf, "\\r"); break;
        case '\t': rmt_buf_add_str(buf, "\\t"); break;
        default: rmt_buf_printf(buf, "\\u%04x", *p); break;
        }
        p++;
    }
    rmt_buf_add_byte(buf, '"');
}

void rmt_text_grouped(struct rmt_buf *buf, uint64_t n)
{
    char digits[32];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            rmt_buf_add_byte(buf, ',');
        rmt_buf_add_byte(buf, (unsigned char)digits[i]);
    }
}

void rmt_text_units(struct rmt_buf *buf, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double n = (double)bytes;
    size_t unit = 0;
    while (n >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        n /= 1024;
        unit++;
    }
    rmt_buf_printf(buf, unit == 0 || n >= 99.95 ? "%.0f %s" : "%.1f %s", n, units[unit]);
}

void rmt_text_duration(struct rmt_buf *buf, uint64_t ms)
{
    uint64_t s = ms / 1000;
    if (s < 10)
        rmt_buf_printf(buf, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
    else if (s < 60)
        rmt_buf_printf(buf, "%" PRIu64 " s", s);
    else if (s < 3600)
        rmt_buf_printf(buf, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    else if (s < 86400)
        rmt_buf_printf(buf, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    else
        rmt_buf_printf(buf, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
}

static bool broken_down(int64_t time_us, bool utc, struct tm *out)
{
    time_t t = (time_t)(time_us / 1000000);
    return time_us > 0 && (utc ? gmtime_r(&t, out) : localtime_r(&t, out)) != NULL;
}

void rmt_text_time(struct rmt_buf *buf, int64_t time_us)
{
    char text[64];
    struct tm tm;
    if (broken_down(time_us, false, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
        rmt_buf_add_str(buf, text);
    else
        rmt_buf_add_byte(buf, '-');
}

void rmt_text_time_utc(struct rmt_buf *buf, int64_t time_us)
{
    char text[64];
    struct tm tm;
    if (broken_down(time_us, true, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
        rmt_buf_printf(buf, "%s.%06dZ", text, (int)(time_us % 1000000));
}

void rmt_text_second_utc(struct rmt_buf *buf, int64_t time_us)
{
    char text[64];
    struct tm tm;
    if (broken_down(time_us, true, &tm) &&
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
        rmt_buf_add_str(buf, text);
    else
        rmt_buf_add_byte(buf, '-');
}

static int64_t age_unit_s(const char *unit)
{
    static const char letters[] = "smhdw";
    static const int64_t seconds[] = {1, 60, 3600, 86400, 604800};
    const char *at = unit[0] && !unit[1] ? strchr(letters, unit[0]) : NULL;
    return at ? seconds[at - letters] : -1;
}

int64_t rmt_text_when(const char *str, int64_t now_us)
{
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
                                          "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    enum { NR_FORMATS = sizeof(formats) / sizeof(formats[0]), AGE_DIGITS_MAX = 9 };
    size_t digits = strspn(str, "0123456789");
    if (digits && digits <= AGE_DIGITS_MAX && age_unit_s(str + digits) > 0) {
        int64_t age_us = strtoll(str, NULL, 10) * age_unit_s(str + digits) * 1000000;
        return age_us < now_us ? now_us - age_us : 0;
    }
    for (size_t i = 0; i < NR_FORMATS; i++) {
        struct tm tm = {.tm_mday = 1};
        const char *end = digits ? strptime(str, formats[i], &tm) : NULL;
        if (!end || (strcmp(end, "") != 0 && strcmp(end, "Z") != 0 && strcmp(end, " UTC") != 0))
            continue;
        int day = tm.tm_mday;
        time_t t = timegm(&tm); /* which makes of the 31st of June the 1st of July */
        return t > 0 && tm.tm_mday == day ? (int64_t)t * 1000000 : -1;
    }
    return -1;
}

bool rmt_text_size(const char *str, uint64_t *out)
{
    static const char units[] = "KMGTP";
    uint64_t whole = 0, part = 0, parts = 1, unit = 1;
    const char *p = str;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(whole, 10u, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
            return false;
    }
    if (p == str)
        return false;
    bool broken = *p == '.' && p[1] >= '0' && p[1] <= '9';
    for (p += broken; broken && *p >= '0' && *p <= '9'; p++) {
        if (parts >= 1000000)
            return false;
        part = part * 10 + (uint64_t)(*p - '0');
        parts *= 10;
    }
    const char *found = *p ? strchr(units, *p >= 'a' ? *p - 32 : *p) : NULL;
    if (found) {
        unit = (uint64_t)1 << (10 * (found - units + 1));
        p += p[1] == 'i' && p[2] == 'B' ? 3 : 1;
    }
    if (*p || (broken && !found) || __builtin_mul_overflow(whole, unit, &whole))
        return false;
    return !__builtin_add_overflow(whole, (uint64_t)((double)part / (double)parts * (double)unit),
                                   out);
}

size_t rmt_text_distance(const char *a, const char *b)
{
    enum { LEN_MAX = 31 };
    size_t la = strlen(a);
    size_t lb = strlen(b);
    if (la > LEN_MAX || lb > LEN_MAX)
        return LEN_MAX;

    size_t d[LEN_MAX + 1][LEN_MAX + 1];
    for (size_t i = 0; i <= la; i++) {
        for (size_t j = 0; j <= lb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[la][lb];
}

struct ramet_slice rmt_text_slice(const char *str)
{
    return (struct ramet_slice){.data = str, .size = strlen(str)};
}
