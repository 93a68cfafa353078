/* SPDX-License-Identifier: MIT */
/*
 * mdb.c - the text that LMDB's mdb_dump writes and mdb_load reads (and Berkeley DB's db_dump).
 *
 *   VERSION=3
 *   format=bytevalue      or print: bytes as they are, others and backslash as \HH
 *   type=btree
 *   ...                   other NAME=VALUE lines
 *   HEADER=END
 *    6b6579               a space, then a key; then a line with its value
 *    76616c7565
 *   DATA=END
 */
#include <inttypes.h>
#include <string.h>

#include "format.h"

/* line is NAME=VALUE with this name and value. */
static bool line_is(struct ramet_slice line, const char *text)
{
    return line.size == strlen(text) && !memcmp(line.data, text, line.size);
}

static bool line_begins(struct ramet_slice line, const char *text)
{
    return line.size >= strlen(text) && !memcmp(line.data, text, strlen(text));
}

static int read_header(struct rmt_format_state *state, struct rmt_input *input)
{
    bool has_version = false;
    for (;;) {
        struct ramet_slice line;
        int rc = rmt_input_line(input, &line);
        if (rc < 0)
            return rc;
        if (rc == 0)
            return rmt_input_error(input, "the header has no HEADER=END");
        int len = line.size < 60 ? (int)line.size : 60;
        const char *text = line.data;

        if (line_is(line, "VERSION=3"))
            has_version = true;
        else if (!has_version)
            return rmt_input_error(input, "a dump begins with VERSION=3, not '%.*s'", len, text);
        else if (line_is(line, "HEADER=END"))
            break;
        else if (line_is(line, "format=print"))
            state->print = true;
        else if (line_is(line, "format=bytevalue"))
            state->print = false;
        else if (line_begins(line, "format=") ||
                 (line_begins(line, "type=") && !line_is(line, "type=btree")))
            return rmt_input_error(input, "'%.*s' is not known here", len, text);
        else if (line_is(line, "dupsort=1") || line_is(line, "duplicates=1"))
            return rmt_input_error(input, "a key may have several values there; a map has one");
        else if (!memchr(line.data, '=', line.size))
            return rmt_input_error(input, "'%.*s' is no line of a header", len, text);
    }
    state->in_data = true;
    return 0;
}

static int decode_bytevalue(struct rmt_input *input, struct ramet_slice text, struct rmt_buf *buf)
{
    const char *p = text.data;
    if (text.size % 2)
        return rmt_input_error(input, "an odd number of hex digits");
    for (size_t i = 0; i < text.size; i += 2) {
        int high = rmt_text_hex_digit(p[i]);
        int low = rmt_text_hex_digit(p[i + 1]);
        if (high < 0 || low < 0)
            return rmt_input_error(input, "'%.2s' is no byte in hex", p + i);
        rmt_buf_add_byte(buf, (unsigned char)(high << 4 | low));
    }
    return 0;
}

static int decode_print(struct rmt_input *input, struct ramet_slice text, struct rmt_buf *buf)
{
    const char *p = text.data;
    const char *end = p + text.size;
    while (p < end) {
        if (*p != '\\') {
            rmt_buf_add_byte(buf, (unsigned char)*p++);
            continue;
        }
        if (end - p >= 2 && p[1] == '\\') {
            rmt_buf_add_byte(buf, '\\');
            p += 2;
            continue;
        }
        int high = end - p >= 3 ? rmt_text_hex_digit(p[1]) : -1;
        int low = end - p >= 3 ? rmt_text_hex_digit(p[2]) : -1;
        if (high < 0 || low < 0)
            return rmt_input_error(input, "a backslash without two hex digits");
        rmt_buf_add_byte(buf, (unsigned char)(high << 4 | low));
        p += 3;
    }
    return 0;
}

/* 1: a key or value is in buf. 0: DATA=END. */
static int read_item(struct rmt_format_state *state, struct rmt_input *input, struct rmt_buf *buf)
{
    struct ramet_slice line;
    int rc = rmt_input_line(input, &line);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return rmt_input_error(input, "the file ends before DATA=END: it was cut short");
    if (line_is(line, "DATA=END"))
        return 0;
    if (!line_begins(line, " "))
        return rmt_input_error(input, "neither DATA=END nor a line that begins with a space");

    struct ramet_slice text = {(const char *)line.data + 1, line.size - 1};
    rmt_buf_clear(buf);
    rc = state->print ? decode_print(input, text, buf) : decode_bytevalue(input, text, buf);
    return rc < 0 ? rc : 1;
}

static int read_end(struct rmt_input *input)
{
    struct ramet_slice line;
    int rc = rmt_input_line(input, &line);
    if (rc > 0)
        return rmt_input_error(input,
                               "something follows DATA=END; if it is a second database, dump "
                               "them one by one (mdb_dump -s NAME)");
    return rc;
}

static int mdb_read(struct rmt_format_state *state, struct rmt_input *input, struct rmt_entry *out)
{
    int rc = state->in_data ? 0 : read_header(state, input);
    if (rc < 0)
        return rc;
    rc = read_item(state, input, &state->key);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return read_end(input);
    rc = read_item(state, input, &state->value);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return rmt_input_error(input, "DATA=END where the value of a key should be");
    *out = (struct rmt_entry){rmt_buf_slice(&state->key), rmt_buf_slice(&state->value)};
    return 1;
}

static void mdb_begin(FILE *file, uint64_t size_hint)
{
    /* mdb_load makes the map that large, and fails when it is full; what is not used costs nothing.
     */
    uint64_t map_size = (size_hint * 4 + (64 << 20)) & ~(uint64_t)4095;
    fprintf(file, "VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=%" PRIu64 "\nHEADER=END\n",
            map_size);
}

static void add_item(struct rmt_buf *text, struct ramet_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes.data;
    rmt_buf_add_byte(text, ' ');
    for (size_t i = 0; i < bytes.size; i++) {
        rmt_buf_add_byte(text, (unsigned char)digits[p[i] >> 4]);
        rmt_buf_add_byte(text, (unsigned char)digits[p[i] & 15]);
    }
    rmt_buf_add_byte(text, '\n');
}

static void mdb_write(FILE *file, const struct rmt_entry *entry)
{
    static struct rmt_buf text; /* kept for the next entry; the process ends with it */
    rmt_buf_clear(&text);
    add_item(&text, entry->key);
    add_item(&text, entry->value);
    (void)fwrite(text.data, 1, text.size, file); /* the caller asks the file */
}

static void mdb_end(FILE *file)
{
    (void)fputs("DATA=END\n", file); /* the caller asks the file */
}

static const char *const extensions[] = {"mdb", "dump", NULL};
const struct rmt_format rmt_mdb_format = {
    .name = "mdb",
    .extensions = extensions,
    .read = mdb_read,
    .begin = mdb_begin,
    .write = mdb_write,
    .end = mdb_end,
};
