/* SPDX-License-Identifier: MIT */
/*
 * tsv.c - one entry a line: key, tab, value. In both, tab, newline, return and backslash are
 * written \t \n \r \\, and other control characters and bytes that are not UTF-8 \xHH.
 */
#include <string.h>

#include "format.h"

static int unescape(struct rmt_input *input, const char *what, struct ramet_slice s,
                    struct rmt_buf *buf)
{
    size_t at = 0;
    rmt_buf_clear(buf);
    if (!rmt_text_unescape(buf, s, &at))
        return 0;
    const char *p = (const char *)s.data + at;
    int len = s.size - at < 2 ? (int)(s.size - at) : p[1] == 'x' && s.size - at >= 4 ? 4 : 2;
    return rmt_input_error(input, "'%.*s' in the %s is no escape; a backslash is written '\\\\'",
                           len, p, what);
}

static int tsv_read(struct rmt_format_state *state, struct rmt_input *input, struct rmt_entry *out)
{
    struct ramet_slice line;
    int rc = rmt_input_line(input, &line);
    if (rc <= 0)
        return rc;

    const char *start = line.data;
    const char *end = start + line.size;
    const char *tab = memchr(start, '\t', line.size);
    if (!tab)
        return rmt_input_error(input, "no tab between key and value");
    if (memchr(tab + 1, '\t', (size_t)(end - tab - 1)))
        return rmt_input_error(input, "a second tab; in a value it is written '\\t'");

    struct ramet_slice key = {start, (size_t)(tab - start)};
    struct ramet_slice value = {tab + 1, (size_t)(end - tab - 1)};
    if (unescape(input, "key", key, &state->key) || unescape(input, "value", value, &state->value))
        return RMT_INPUT_ERROR;
    *out = (struct rmt_entry){rmt_buf_slice(&state->key), rmt_buf_slice(&state->value)};
    return 1;
}

static void tsv_write(FILE *file, const struct rmt_entry *entry)
{
    static struct rmt_buf line; /* kept for the next entry; the process ends with it */
    rmt_buf_clear(&line);
    rmt_text_escape(&line, entry->key);
    rmt_buf_add_byte(&line, '\t');
    rmt_text_escape(&line, entry->value);
    rmt_buf_add_byte(&line, '\n');
    (void)fwrite(line.data, 1, line.size, file); /* the caller asks the file */
}

static const char *const extensions[] = {"tsv", "txt", "tab", NULL};
const struct rmt_format rmt_tsv_format = {
    .name = "tsv", .extensions = extensions, .read = tsv_read, .write = tsv_write};
