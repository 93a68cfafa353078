/* SPDX-License-Identifier: MIT */
/*
 * bulk.c - commands that print many entries: scan, dump.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bulk.h"
#include "command.h"
#include "interrupt.h"

/* The cursor's entry. A value too large for a slice is read into buf. */
static int read_entry(struct rmt_session *s, struct ramet_map *map, struct rmt_buf *buf,
                      struct rmt_entry *out)
{
    int rc = ramet_cursor_get(s->cursor, &out->key, &out->value);
    if (rc != -EFBIG)
        return rc;
    rc = ramet_cursor_get(s->cursor, &out->key, NULL);
    if (rc < 0)
        return rc;

    uint64_t size = 0;
    int64_t n = ramet_read(map, out->key, 0, NULL, 0, &size);
    if (n < 0)
        return (int)n;
    rmt_buf_clear(buf);
    rmt_buf_reserve(buf, size);
    while (buf->size < size) {
        size_t want = size - buf->size < RAMET_SLICE_MAX ? size - buf->size : RAMET_SLICE_MAX;
        n = ramet_read(map, out->key, buf->size, buf->data + buf->size, want, NULL);
        if (n <= 0)
            return n < 0 ? (int)n : RAMET_ECORRUPT;
        buf->size += (size_t)n;
    }
    out->value = rmt_buf_slice(buf);
    return 0;
}

static bool has_prefix(struct ramet_slice key, struct ramet_slice prefix)
{
    return key.size >= prefix.size && !memcmp(key.data, prefix.data, prefix.size);
}

/* limit 0: none. Returns a status. */
static int write_entries(struct rmt_session *s, struct ramet_map *map,
                         const struct rmt_format *format, struct ramet_slice prefix, uint64_t limit)
{
    int status = rmt_session_cursor(s, map);
    if (status)
        return status;

    struct rmt_buf large = {0};
    uint64_t count = 0;
    rmt_interrupt_catch();
    int rc = prefix.size ? ramet_cursor_seek(s->cursor, prefix) : ramet_cursor_first(s->cursor);
    while (rc >= 0 && !(limit && count == limit) && !rmt_output_failed() && !rmt_interrupt_seen()) {
        struct rmt_entry entry;
        rc = read_entry(s, map, &large, &entry);
        if (rc < 0 || !has_prefix(entry.key, prefix))
            break;
        format->write(stdout, &entry);
        count++;
        rc = ramet_cursor_next(s->cursor);
    }
    rmt_buf_free(&large);
    if (rmt_interrupt_seen())
        return RMT_EXIT_INTERRUPTED;
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rmt_session_fail(rc, "cannot go on after %" PRIu64 " entries", count);
    return RMT_EXIT_OK;
}

int rmt_bulk_scan(struct rmt_session *s)
{
    struct ramet_map *map;
    int status = rmt_session_read(s);
    if (!status)
        status = rmt_session_map(s, s->args.operand[1], 0, &map);
    if (status)
        return status;
    struct ramet_slice prefix = rmt_text_slice(s->args.nr_operands > 2 ? s->args.operand[2] : "");
    return write_entries(s, map, s->args.json ? &rmt_jsonl_format : &rmt_tsv_format, prefix,
                         s->args.limit);
}

int rmt_bulk_format(const struct rmt_session *s, const char *path, const struct rmt_format **out)
{
    const struct rmt_format *format = rmt_format_guess(path);
    if (s->args.format) {
        format = rmt_format_find(s->args.format);
        if (!format)
            return rmt_session_usage("--format is tsv, jsonl or mdb, not '%s'", s->args.format);
    }
    *out = format;
    return RMT_EXIT_OK;
}

int rmt_bulk_dump(struct rmt_session *s)
{
    const struct rmt_format *format = &rmt_tsv_format;
    int status = rmt_bulk_format(s, s->args.json ? ".jsonl" : NULL, &format);
    if (!status && s->args.json && format != &rmt_jsonl_format)
        status = rmt_session_usage("--json is --format jsonl; it was given '%s'", s->args.format);
    struct ramet_map *map;
    if (!status)
        status = rmt_session_read(s);
    if (!status)
        status = rmt_session_map(s, s->args.operand[1], 0, &map);
    if (status)
        return status;

    struct ramet_stat stat = {.size = sizeof(stat)};
    int rc = ramet_stat(s->store, &stat);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot read the figures of '%s'", s->path);
    if (format->begin)
        format->begin(stdout, stat.data_bytes);
    status = write_entries(s, map, format, rmt_text_slice(""), 0);
    if (!status && format->end)
        format->end(stdout);
    return status;
}
