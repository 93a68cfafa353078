/* SPDX-License-Identifier: MIT */
/*
 * bulk.c - commands that print many entries: scan, dump.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bulk.h"
#include "command.h"
#include "disk.h"
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
        struct rmt_entry entry = {.kind = RMT_ENTRY};
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

/* ---- disks, and all ---------------------------------------------------------------------------
 */

enum { PIECE_SIZE = 1 << 16 }; /* of a disk, a line: a multiple of every page */

struct dumping {
    struct rmt_session *s;
    const struct rmt_format *format;
    struct ramet_blob *blob; /* the disk at hand */
    uint64_t data_bytes;
    uint8_t *piece;
    struct rmt_buf maps, disks; /* of a version: names, each with a NUL */
    uint64_t nr_maps, nr_disks;
    struct rmt_buf counts; /* uint64_t, of the maps */
};

static int count_data(void *ctx, const struct ramet_extent *extent)
{
    struct dumping *d = ctx;
    d->data_bytes += extent->kind == RAMET_EXTENT_HOLE ? 0 : extent->bytes;
    return 0;
}

static int dump_extent(void *ctx, const struct ramet_extent *extent)
{
    struct dumping *d = ctx;
    if (extent->kind == RAMET_EXTENT_HOLE)
        return 0;
    for (uint64_t at = 0; at < extent->bytes;) {
        uint64_t left = extent->bytes - at;
        int64_t n = ramet_blob_read(d->blob, extent->offset + at, d->piece,
                                    left < PIECE_SIZE ? (size_t)left : PIECE_SIZE);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        struct rmt_entry entry = {
            .kind = RMT_ENTRY_DATA,
            .value = {d->piece, (size_t)n},
            .numbers = {extent->offset + at},
        };
        d->format->write(stdout, &entry);
        at += (uint64_t)n;
        if (rmt_output_failed() || rmt_interrupt_seen())
            return 1;
    }
    return 0;
}

static int dump_disk(struct dumping *d, const char *name)
{
    uint64_t size;
    int status = rmt_disk_open(d->s, name, &d->blob);
    if (status)
        return status;
    d->data_bytes = 0;
    int rc = ramet_blob_size(d->blob, &size);
    if (rc == 0)
        rc = ramet_blob_extents(d->blob, 0, size, count_data, d);
    if (rc == 0) {
        struct rmt_entry entry = {
            .kind = RMT_ENTRY_DISK,
            .key = rmt_text_slice(name),
            .numbers = {size, d->data_bytes},
        };
        d->format->write(stdout, &entry);
        rc = ramet_blob_extents(d->blob, 0, size, dump_extent, d);
    }
    if (rc < 0)
        return rmt_session_fail(rc, "cannot read disk '%s'", name);
    return rmt_interrupt_seen() ? RMT_EXIT_INTERRUPTED : RMT_EXIT_OK;
}

static int list_map(void *ctx, const struct ramet_map_info *info)
{
    struct dumping *d = ctx;
    rmt_buf_add(&d->maps, info->name, strlen(info->name) + 1);
    rmt_buf_add(&d->counts, &info->entries, sizeof(info->entries));
    d->nr_maps++;
    return 0;
}

static int list_disk(void *ctx, const struct ramet_blob_info *info)
{
    struct dumping *d = ctx;
    rmt_buf_add(&d->disks, info->name, strlen(info->name) + 1);
    d->nr_disks++;
    return 0;
}

/* Each map behind a line with its name, then each disk. */
static int dump_all(struct dumping *d)
{
    struct rmt_session *s = d->s;
    int status = RMT_EXIT_OK, rc = ramet_map_list(s->txn, list_map, d);
    if (rc == 0)
        rc = ramet_blob_list(s->txn, list_disk, d);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot list what '%s' has", s->branch);
    struct rmt_entry entry = {.kind = RMT_ENTRY_ALL, .numbers = {d->nr_maps, d->nr_disks}};
    d->format->write(stdout, &entry);
    const char *name = d->maps.data;
    const uint64_t *counts = (const void *)d->counts.data;
    for (uint64_t i = 0; i < d->nr_maps && !status && !rmt_output_failed(); i++) {
        struct ramet_map *map;
        status = rmt_session_map(s, name, 0, &map);
        if (status)
            break;
        entry = (struct rmt_entry){
            .kind = RMT_ENTRY_MAP, .key = rmt_text_slice(name), .numbers = {counts[i]}};
        d->format->write(stdout, &entry);
        status = write_entries(s, map, d->format, rmt_text_slice(""), 0);
        rmt_session_close_cursor(s);
        name += strlen(name) + 1;
    }
    name = d->disks.data;
    for (uint64_t i = 0; i < d->nr_disks && !status && !rmt_output_failed(); i++) {
        status = dump_disk(d, name);
        name += strlen(name) + 1;
    }
    return status;
}

static int dump_map(struct rmt_session *s, const struct rmt_format *format)
{
    struct ramet_map *map;
    int status = rmt_session_map(s, s->args.operand[1], 0, &map);
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

/* The operand is a disk: there is no map of that name, or --disk says so. */
static bool names_disk(struct rmt_session *s)
{
    const char *name = s->args.operand[1];
    struct ramet_map *map;
    struct ramet_blob *blob;
    return s->args.disk || (ramet_map_open(s->txn, name, 0, &map) == RAMET_ENOTFOUND &&
                            ramet_blob_open(s->txn, name, 0, &blob) == 0);
}

int rmt_bulk_words(const struct rmt_session *s)
{
    const struct rmt_args *args = &s->args;
    if (args->all && args->disk)
        return rmt_session_usage("--all is all maps and disks, --disk one: one is too much");
    if (!args->all && args->nr_operands < 2)
        return rmt_session_usage("a map or a disk is named behind the store, or --all is given");
    return RMT_EXIT_OK;
}

int rmt_bulk_dump(struct rmt_session *s)
{
    struct dumping d = {.s = s, .format = &rmt_tsv_format};
    int status = rmt_bulk_words(s);
    if (!status && s->args.all && s->args.nr_operands > 1)
        status = rmt_session_usage("--all, and '%s': one is too much", s->args.operand[1]);
    if (!status)
        status = rmt_bulk_format(s, s->args.json ? ".jsonl" : NULL, &d.format);
    if (!status && s->args.json && d.format != &rmt_jsonl_format)
        status = rmt_session_usage("--json is --format jsonl; it was given '%s'", s->args.format);
    if (!status)
        status = rmt_session_read(s);
    if (status)
        return status;
    if (!s->args.all && !names_disk(s))
        return dump_map(s, d.format);
    if (s->args.format && d.format != &rmt_jsonl_format)
        return rmt_session_usage("%s dumped as jsonl, not as %s",
                                 s->args.all ? "all maps and disks are" : "a disk is",
                                 d.format->name);
    d.format = &rmt_jsonl_format;
    d.piece = malloc(PIECE_SIZE);
    rmt_interrupt_catch();
    if (!d.piece)
        status = rmt_session_fail(-ENOMEM, "a dump");
    else
        status = s->args.all ? dump_all(&d) : dump_disk(&d, s->args.operand[1]);
    free(d.piece);
    rmt_buf_free(&d.maps);
    rmt_buf_free(&d.disks);
    rmt_buf_free(&d.counts);
    return status;
}
