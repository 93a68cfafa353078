/* SPDX-License-Identifier: MIT */
/* error.c - codes, their texts, and the last failure of each thread. */
#include <stdarg.h>
#include <stdio.h>

#include "base/base.h"

#define MESSAGE_MAX 512

static _Thread_local char message[MESSAGE_MAX];
static _Thread_local char text[128];

int rmt_fail(int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 3 < sizeof(message))
        (void)snprintf(message + n, sizeof(message) - (size_t)n, ": %s", ramet_strerror(code));
    return code;
}

int rmt_fail_within(int code, const char *fmt, ...)
{
    char was[MESSAGE_MAX];
    memcpy(was, message, sizeof(was));
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 3 < sizeof(message))
        (void)snprintf(message + n, sizeof(message) - (size_t)n, ": %s", was);
    return code;
}

void rmt_fail_again(const char *was)
{
    (void)snprintf(message, sizeof(message), "%s", was);
}

_Noreturn void rmt_assert_failed(const char *what, const char *file, int line)
{
    (void)fprintf(stderr, "ramet: %s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

const char *ramet_errmsg(void)
{
    return message;
}

const char *ramet_strerror(int code)
{
    switch (code) {
    case 0: return "success";
#define TEXT(name, code_, errno_, text_) \
    case name: return text_;
        RAMET_ERRORS(TEXT)
#undef TEXT
    default:
        if (code < 0 && code > -4096)
            return strerror_r(-code, text, sizeof(text));
        return "unknown error";
    }
}

int ramet_errno(int code)
{
    switch (code) {
#define ERRNO(name, code_, errno_, text_) \
    case name: return errno_;
        RAMET_ERRORS(ERRNO)
#undef ERRNO
    default: return code < 0 && code > -4096 ? -code : code == 0 ? 0 : EIO;
    }
}

const char *ramet_version(void)
{
#define STR_(x) #x
#define STR(x) STR_(x)
    return STR(RAMET_VERSION_MAJOR) "." STR(RAMET_VERSION_MINOR) "." STR(RAMET_VERSION_PATCH);
}
