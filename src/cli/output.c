/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "text.h"

static int output_errno; /* of the first failed write to standard output; 0: none */

static bool has_colour(FILE *file)
{
    const char *term = getenv("TERM");
    return !getenv("NO_COLOR") && isatty(fileno(file)) && !(term && !strcmp(term, "dumb"));
}

int rmt_output_error(const char *fmt, ...)
{
    struct rmt_buf plain = {0};
    struct rmt_buf escaped = {0};
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len >= 0)
        rmt_buf_add(&plain, text, (size_t)len);
    free(text);

    rmt_text_escape(&escaped, (struct ramet_slice){plain.data, plain.size});
    rmt_progress_clear();
    if (fflush(stdout)) /* first, to keep the order on a terminal */
        (void)rmt_output_failed();
    fprintf(stderr, "%sramet:%s %s\n", rmt_output_colour(stderr, 1), rmt_output_plain(stderr),
            rmt_buf_str(&escaped));
    rmt_buf_free(&plain);
    rmt_buf_free(&escaped);
    return -1;
}

bool rmt_output_failed(void)
{
    if (!output_errno && ferror(stdout))
        output_errno = errno ? errno : EIO;
    return output_errno != 0;
}

void rmt_output_name(const char *name)
{
    struct rmt_buf escaped = {0};
    rmt_text_escape(&escaped, rmt_text_slice(name));
    puts(rmt_buf_str(&escaped));
    rmt_buf_free(&escaped);
}

int rmt_output_finish(int status)
{
    if (!rmt_output_failed()) {
        errno = 0;
        /* Closing too, for filesystems that say only then that the disk is full. */
        if ((fflush(stdout) || close(STDOUT_FILENO)) && errno != EBADF)
            output_errno = errno ? errno : EIO;
    }
    if (!output_errno)
        return status;
    if (output_errno == EPIPE)
        return RMT_EXIT_PIPE;
    rmt_output_error("standard output: %s", strerror(output_errno));
    return RMT_EXIT_FAILED;
}

const char *rmt_output_bold(FILE *file)
{
    return has_colour(file) ? "\033[1m" : "";
}

const char *rmt_output_colour(FILE *file, int colour)
{
    static const char *const codes[] = {"",         "\033[31m", "\033[32m", "\033[33m",
                                        "\033[34m", "\033[35m", "\033[36m"};
    return has_colour(file) && colour > 0 && colour <= 6 ? codes[colour] : "";
}

const char *rmt_output_plain(FILE *file)
{
    return has_colour(file) ? "\033[0m" : "";
}

bool rmt_output_unicode(void)
{
    return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

void rmt_output_json_bytes(json_t *object, const char *name, struct ramet_slice bytes)
{
    if (rmt_text_is_utf8(bytes)) {
        json_object_set_new(object, name, json_stringn(bytes.size ? bytes.data : "", bytes.size));
        return;
    }
    struct rmt_buf name_base64 = {0};
    struct rmt_buf text = {0};
    rmt_buf_printf(&name_base64, "%s_base64", name);
    rmt_text_base64(&text, bytes);
    json_object_set_new(object, rmt_buf_str(&name_base64), json_stringn(text.data, text.size));
    rmt_buf_free(&name_base64);
    rmt_buf_free(&text);
}

void rmt_output_json_str(json_t *object, const char *name, const char *str)
{
    if (str)
        rmt_output_json_bytes(object, name, rmt_text_slice(str));
    else
        json_object_set_new(object, name, json_null());
}

void rmt_output_json_int(json_t *object, const char *name, uint64_t n)
{
    json_object_set_new(object, name, json_integer((json_int_t)n));
}

void rmt_output_json_time(json_t *object, int64_t time_us)
{
    if (time_us <= 0) {
        json_object_set_new(object, "time", json_null());
        return;
    }
    struct rmt_buf text = {0};
    rmt_text_time_utc(&text, time_us);
    json_object_set_new(object, "time", json_stringn(text.data, text.size));
    rmt_buf_free(&text);
}

void rmt_output_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    (void)putchar('\n');
    json_decref(value);
}
