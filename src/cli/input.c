/* SPDX-License-Identifier: MIT */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"

enum { READ_SIZE = 256 << 10 };

int rmt_input_error(struct rmt_input *input, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    rmt_buf_clear(&input->error);
    rmt_buf_add_str(&input->error, len < 0 ? "malformed" : text);
    if (len >= 0)
        free(text);
    return RMT_INPUT_ERROR;
}

static int unreadable(struct rmt_input *input)
{
    input->unreadable = true;
    return rmt_input_error(input, "%s", strerror(errno));
}

int rmt_input_open(struct rmt_input *input, const char *path)
{
    bool is_stdin = !path || !strcmp(path, "-");
    *input = (struct rmt_input){.fd = STDIN_FILENO, .name = is_stdin ? "standard input" : path};
    if (!is_stdin) {
        input->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (input->fd < 0)
            return unreadable(input);
    }
    struct stat st;
    if (fstat(input->fd, &st))
        return unreadable(input);
    if (S_ISREG(st.st_mode) && st.st_size > 0)
        input->size = (uint64_t)st.st_size;
    return 0;
}

void rmt_input_close(struct rmt_input *input)
{
    if (input->fd > STDIN_FILENO)
        (void)close(input->fd); /* it was only read */
    rmt_buf_free(&input->error);
    rmt_buf_free(&input->bytes);
}

/* Bytes added: 0 at the end. A code on failure. */
static int64_t fill(int fd, struct rmt_buf *buf)
{
    rmt_buf_reserve(buf, READ_SIZE);
    for (;;) {
        if (rmt_interrupt_seen())
            return RMT_INPUT_STOPPED;
        ssize_t n = read(fd, buf->data + buf->size, buf->cap - buf->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return RMT_INPUT_ERROR;
        buf->size += (size_t)n;
        return n;
    }
}

int rmt_input_line(struct rmt_input *input, struct ramet_slice *out)
{
    size_t searched = 0; /* bytes after start that are known to have no newline */
    for (;;) {
        const char *line = input->bytes.data ? input->bytes.data + input->start : "";
        size_t left = input->bytes.size - input->start;
        const char *newline =
            left > searched ? memchr(line + searched, '\n', left - searched) : NULL;
        if (newline || (input->at_end && left)) {
            size_t size = newline ? (size_t)(newline - line) : left;
            *out = (struct ramet_slice){line, size};
            size_t taken = size + (newline != NULL);
            input->start += taken;
            input->offset += taken;
            input->line++;
            return 1;
        }
        if (input->at_end)
            return 0;

        searched = left;
        if (input->bytes.data)
            memmove(input->bytes.data, line, left);
        input->bytes.size = left;
        input->start = 0;
        int64_t n = fill(input->fd, &input->bytes);
        if (n == RMT_INPUT_ERROR)
            return unreadable(input);
        if (n < 0)
            return (int)n;
        input->at_end = n == 0;
    }
}

void rmt_input_back(struct rmt_input *input, struct ramet_slice line)
{
    size_t start = (size_t)((const char *)line.data - input->bytes.data);
    input->offset -= input->start - start;
    input->start = start;
    input->line--;
}

int rmt_input_slurp(struct rmt_buf *buf)
{
    for (;;) {
        int64_t n = fill(STDIN_FILENO, buf);
        if (n <= 0)
            return (int)n;
    }
}
