/* SPDX-License-Identifier: MIT */
/*
 * load.c - entries from text into a map; and what dump wrote of a disk, or of all a version has.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bulk.h"
#include "command.h"
#include "disk.h"
#include "interrupt.h"
#include "progress.h"

struct load {
    struct rmt_session *s;
    const struct rmt_format *format;
    struct rmt_format_state state;
    struct rmt_input input;
    struct rmt_progress progress;
    enum { NOTHING, MAP, DISK } part; /* what is being read */
    struct rmt_buf name;              /* of that map or disk */
    uint64_t promised, seen;          /* entries of the map, or bytes of the disk's data */
    uint64_t maps_left, disks_left;   /* of --all: that are still to begin */
    struct ramet_map *map;
    struct rmt_buf last_key; /* the greatest of the map, if there is one */
    struct ramet_blob *blob;
    bool replaces;         /* the disk was there */
    uint64_t size, at;     /* of the disk; up to where it is as it is to be */
    struct rmt_buf piece;  /* what it had there */
    struct rmt_buf leases; /* struct ramet_lease *, of all disks until they are committed */
    uint64_t entries;      /* put so far */
    uint64_t disks;        /* begun so far */
    uint64_t steps;        /* entries, and pieces of disks */
    uint64_t committed;    /* of the steps */
    uint64_t committed_entries;
    uint64_t committed_line; /* the last line of those */
    uint64_t id;             /* of the last commit */
};

#define UNKNOWN UINT64_MAX /* how many a part should have */

/* Opens the map in the session's transaction and finds its last key. A status. */
static int open_map(struct load *load)
{
    struct rmt_session *s = load->s;
    const char *name = rmt_buf_str(&load->name);
    int status = rmt_session_map(s, name, RAMET_CREATE, &load->map);
    if (!status)
        status = rmt_session_cursor(s, load->map);
    if (status)
        return status;

    struct ramet_slice key;
    rmt_buf_clear(&load->last_key);
    int rc = ramet_cursor_last(s->cursor);
    if (rc >= 0)
        rc = ramet_cursor_get(s->cursor, &key, NULL);
    if (rc >= 0)
        rmt_buf_add(&load->last_key, key.data, key.size);
    rmt_session_close_cursor(s);
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rmt_session_fail(rc, "cannot read map '%s'", name);
    return RMT_EXIT_OK;
}

/* A key above all others goes where the tree fills its pages to the end: sorted input gives full
 * pages. */
static int put_entry(struct load *load, const struct rmt_entry *entry)
{
    struct rmt_buf *last = &load->last_key;
    size_t common = entry->key.size < last->size ? entry->key.size : last->size;
    int order = common ? memcmp(entry->key.data, last->data, common) : 0;
    bool above = order > 0 || (order == 0 && entry->key.size > last->size);
    int rc = ramet_put(load->map, entry->key, entry->value, above ? RAMET_APPEND : 0);
    if (rc >= 0 && above) {
        rmt_buf_clear(last);
        rmt_buf_add(last, entry->key.data, entry->key.size);
    }
    return rc;
}

static int load_commit(struct load *load)
{
    struct rmt_session *s = load->s;
    struct ramet_txn *txn = s->txn;
    s->txn = NULL; /* it ends, also on error */
    int rc = ramet_commit(txn, NULL, &load->id);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot commit to '%s' of '%s'", s->branch, s->path);
    load->committed = load->steps;
    load->committed_entries = load->entries;
    load->committed_line = load->input.line;
    return RMT_EXIT_OK;
}

static int disk_fail(struct load *load, int rc)
{
    return rmt_session_fail(rc, "cannot write disk '%s'", rmt_buf_str(&load->name));
}

static int next_batch(struct load *load)
{
    struct rmt_session *s = load->s;
    int status = load_commit(load);
    if (status)
        return status;
    int rc = ramet_begin(s->store, s->branch, RAMET_WRITE, &s->txn);
    if (rc < 0)
        return rmt_session_fail(rc, "'%s' of '%s'", s->branch, s->path);
    if (load->part == MAP)
        return open_map(load);
    rc = ramet_blob_open(s->txn, rmt_buf_str(&load->name), 0, &load->blob);
    return rc < 0 ? disk_fail(load, rc) : RMT_EXIT_OK;
}

/* Says where and why a line is refused. */
static void blame_line(const struct load *load, const char *why)
{
    rmt_output_error("%s:%" PRIu64 ": %s", load->input.name, load->input.line, why);
}

/* ---- parts -------------------------------------------------------------------------------------
 *
 * All of these return a status, or BAD_LINE with a sentence in the input's error.
 */

enum { BAD_LINE = RMT_INPUT_ERROR };

static int end_disk(struct load *load)
{
    int rc = 0;
    if (load->replaces && load->at < load->size)
        rc = ramet_blob_zero(load->blob, load->at, load->size - load->at);
    return rc < 0 ? disk_fail(load, rc) : RMT_EXIT_OK;
}

/* What was read of a map or disk is all that it should have. */
static int end_part(struct load *load)
{
    int status = load->part == DISK ? end_disk(load) : RMT_EXIT_OK;
    if (!status && load->part != NOTHING && load->promised != UNKNOWN &&
        load->promised != load->seen)
        return rmt_input_error(&load->input,
                               "%s '%s' ends after %" PRIu64 " %s, and should have %" PRIu64
                               ": the dump was cut short or changed",
                               load->part == MAP ? "map" : "disk", rmt_buf_str(&load->name),
                               load->seen, load->part == MAP ? "entries" : "bytes of data",
                               load->promised);
    load->part = NOTHING;
    return status;
}

/* name: of the dump; of size 0: that of the command line. */
static int set_name(struct load *load, struct ramet_slice name)
{
    rmt_buf_clear(&load->name);
    if (!load->s->args.all)
        rmt_buf_add_str(&load->name, load->s->args.operand[1]);
    else if (memchr(name.data, 0, name.size))
        return rmt_input_error(&load->input, "a name with a zero byte");
    else
        rmt_buf_add(&load->name, name.data, name.size);
    load->seen = 0;
    return RMT_EXIT_OK;
}

static int begin_map(struct load *load, struct ramet_slice name, uint64_t entries)
{
    int status = set_name(load, name);
    load->promised = entries;
    if (!status)
        status = open_map(load);
    load->part = status ? NOTHING : MAP;
    return status;
}

static int begin_disk(struct load *load, const struct rmt_entry *entry)
{
    struct rmt_session *s = load->s;
    struct ramet_lease *lease;
    int status = set_name(load, entry->key);
    const char *name = rmt_buf_str(&load->name);
    if (!status)
        status = rmt_disk_lease(s, name, &lease);
    if (status)
        return status;
    rmt_buf_add(&load->leases, &lease, sizeof(lease));
    int rc = ramet_blob_open(s->txn, name, 0, &load->blob);
    load->replaces = rc == 0;
    if (load->replaces && !s->args.force) {
        rmt_output_error("there is a disk '%s' in '%s' already; --force replaces it", name,
                         s->branch);
        return RMT_EXIT_FAILED;
    }
    if (rc == RAMET_ENOTFOUND)
        rc = ramet_blob_open(s->txn, name, RAMET_CREATE, &load->blob);
    if (rc == 0)
        rc = ramet_blob_truncate(load->blob, entry->numbers[0]);
    if (rc < 0)
        return disk_fail(load, rc);
    load->size = entry->numbers[0];
    load->promised = entry->numbers[1];
    load->at = 0;
    load->disks++;
    load->part = DISK;
    return RMT_EXIT_OK;
}

/* The line that begins a dump of all, a map of it, or a disk. */
static int begin_part(struct load *load, const struct rmt_entry *entry)
{
    bool all = load->s->args.all, first = load->input.line == 1;
    if (entry->kind == RMT_ENTRY_ALL && all && first) {
        load->maps_left = entry->numbers[0];
        load->disks_left = entry->numbers[1];
        return RMT_EXIT_OK;
    }
    if (entry->kind == RMT_ENTRY_ALL && all)
        return rmt_input_error(&load->input, "that is the first line of a dump");
    if (entry->kind != RMT_ENTRY_DISK && !all)
        return rmt_input_error(&load->input, "a dump of all maps and disks: --all loads it");
    if (!all && (load->disks || load->entries))
        return rmt_input_error(&load->input, "a disk begins where another one, or a map, was read");
    if (!all)
        return begin_disk(load, entry);
    int status = end_part(load);
    if (status)
        return status;
    uint64_t *left = entry->kind == RMT_ENTRY_MAP ? &load->maps_left : &load->disks_left;
    if (!*left)
        return rmt_input_error(&load->input, "there are more than the first line says");
    (*left)--;
    return entry->kind == RMT_ENTRY_MAP ? begin_map(load, entry->key, entry->numbers[0])
                                        : begin_disk(load, entry);
}

static int load_entry(struct load *load, const struct rmt_entry *entry)
{
    const struct rmt_args *args = &load->s->args;
    if (load->part == NOTHING && args->all)
        return rmt_input_error(&load->input, "--all loads what 'dump --all' wrote, and an entry "
                                             "stands there behind the line of its map");
    if (load->part == DISK || args->disk)
        return rmt_input_error(&load->input, "an entry of a map, and not of a disk");
    if (entry->key.size == 0 || entry->key.size > RAMET_KEY_MAX)
        return rmt_input_error(&load->input, "a key of %zu bytes; it may have 1 to %u",
                               entry->key.size, RAMET_KEY_MAX);
    int status = load->part == MAP ? RMT_EXIT_OK : begin_map(load, entry->key, UNKNOWN);
    if (status)
        return status;
    int rc = put_entry(load, entry);
    if (rc < 0)
        return rmt_session_fail(rc, "%s:%" PRIu64, load->input.name, load->input.line);
    load->entries++;
    load->seen++;
    return RMT_EXIT_OK;
}

/* Of a disk that was there: what is the same stays shared. */
static int put_piece(struct load *load, uint64_t off, struct ramet_slice data)
{
    if (load->replaces) {
        int rc = off > load->at ? ramet_blob_zero(load->blob, load->at, off - load->at) : 0;
        if (rc < 0)
            return rc;
        rmt_buf_clear(&load->piece);
        rmt_buf_reserve(&load->piece, data.size);
        int64_t n = ramet_blob_read(load->blob, off, load->piece.data, data.size);
        if (n < 0)
            return (int)n;
        if ((size_t)n == data.size && !memcmp(load->piece.data, data.data, data.size))
            return 0;
    }
    return ramet_blob_write(load->blob, off, data.data, data.size);
}

static int load_data(struct load *load, const struct rmt_entry *entry)
{
    uint64_t off = entry->numbers[0], len = entry->value.size;
    if (load->part != DISK)
        return rmt_input_error(&load->input, "data, and no line before it begins a disk");
    if (off > load->size || len > load->size - off)
        return rmt_input_error(&load->input, "data behind the end of disk '%s'",
                               rmt_buf_str(&load->name));
    if (off < load->at)
        return rmt_input_error(&load->input, "data of disk '%s' that lies before what came already",
                               rmt_buf_str(&load->name));
    int rc = put_piece(load, off, entry->value);
    if (rc < 0)
        return disk_fail(load, rc);
    load->at = off + len;
    load->seen += len;
    return RMT_EXIT_OK;
}

/* At the end of the input. */
static int end_all(struct load *load)
{
    const struct rmt_args *args = &load->s->args;
    if (load->part == NOTHING && !args->all && !args->disk) /* no entries: a map all the same */
        return begin_map(load, rmt_text_slice(""), UNKNOWN);
    if (load->part == NOTHING && args->disk)
        return rmt_input_error(&load->input, "there is no disk in it");
    if (args->all && load->input.line == 0)
        return rmt_input_error(&load->input, "there is nothing in it");
    int status = end_part(load);
    if (!status && (load->maps_left || load->disks_left))
        return rmt_input_error(&load->input,
                               "%" PRIu64 " maps and %" PRIu64
                               " disks are missing: the dump was cut short",
                               load->maps_left, load->disks_left);
    return status;
}

static int load_line(struct load *load, const struct rmt_entry *entry)
{
    switch (entry->kind) {
    case RMT_ENTRY: return load_entry(load, entry);
    case RMT_ENTRY_DATA: return load_data(load, entry);
    case RMT_ENTRY_ALL:
    case RMT_ENTRY_MAP:
    case RMT_ENTRY_DISK: break;
    }
    return begin_part(load, entry);
}

/* Whether to go on behind a line; a status. */
static int after_line(struct load *load)
{
    load->steps++;
    if ((load->steps & 255) == 0 || load->part == DISK) {
        rmt_progress_update(&load->progress, load->input.offset, load->entries, load->input.offset);
        if (rmt_interrupt_seen())
            return RMT_EXIT_INTERRUPTED;
    }
    const struct rmt_args *args = &load->s->args;
    return args->batch && load->steps - load->committed == args->batch ? next_batch(load)
                                                                       : RMT_EXIT_OK;
}

/* Puts until the input ends. A status; *out_bad_line: it is the fault of a line. */
static int load_lines(struct load *load, bool *out_bad_line)
{
    struct rmt_entry entry;
    int rc, status = RMT_EXIT_OK;
    while ((rc = load->format->read(&load->state, &load->input, &entry)) > 0) {
        status = load_line(load, &entry);
        if (!status && (entry.kind == RMT_ENTRY || entry.kind == RMT_ENTRY_DATA))
            status = after_line(load);
        if (status)
            break;
    }
    if (rc == RMT_INPUT_STOPPED || rmt_interrupt_seen())
        return RMT_EXIT_INTERRUPTED;
    if (rc < 0 && load->input.unreadable) {
        rmt_output_error("%s: %s", load->input.name, rmt_buf_str(&load->input.error));
        return RMT_EXIT_FAILED;
    }
    if (rc == 0)
        status = end_all(load);
    if (rc < 0 || status == BAD_LINE) {
        *out_bad_line = true;
        blame_line(load, rmt_buf_str(&load->input.error));
        return RMT_EXIT_FAILED;
    }
    return status;
}

/* ---- running -----------------------------------------------------------------------------------
 */

/* After a failure: what is in the store now. */
static void say_what_is_left(const struct load *load)
{
    if (!load->committed)
        rmt_output_error("nothing was loaded");
    else if (!load->disks)
        rmt_output_error("%" PRIu64 " entries, up to line %" PRIu64 ", are in the store",
                         load->committed_entries, load->committed_line);
    else
        rmt_output_error("what stands up to line %" PRIu64 " is in the store",
                         load->committed_line);
}

static void say_done(const struct load *load)
{
    const struct rmt_session *s = load->s;
    uint64_t ms = rmt_progress_now_ms() - load->progress.start_ms;
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_int(object, "entries", load->entries);
        rmt_output_json_int(object, "disks", load->disks);
        rmt_output_json_int(object, "bytes", load->input.offset);
        rmt_output_json_int(object, "ms", ms);
        rmt_output_json_int(object, "id", load->id);
        rmt_output_json(object);
    }
    struct rmt_buf text = {0};
    rmt_text_grouped(&text, load->entries);
    rmt_buf_add_str(&text, " entries, ");
    if (load->disks)
        rmt_buf_printf(&text, "%" PRIu64 " disk%s, ", load->disks, load->disks == 1 ? "" : "s");
    rmt_text_units(&text, load->input.offset);
    rmt_buf_add_str(&text, ", ");
    rmt_text_duration(&text, ms);
    rmt_progress_say(rmt_buf_str(&text));
    rmt_buf_free(&text);
}

/* What dump writes of a disk is known by its first line, wherever it comes from: so a pipe needs no
 * --format. What cannot be read, the next one who asks is told. */
static void find_disk(struct load *load)
{
    static const char begin[] = "{\"disk";
    struct ramet_slice line;
    if (load->s->args.format || rmt_input_line(&load->input, &line) <= 0)
        return;
    if (line.size >= sizeof(begin) && !memcmp(line.data, begin, sizeof(begin) - 1) &&
        !memchr(line.data, '\t', line.size))
        load->format = &rmt_jsonl_format;
    rmt_input_back(&load->input, line);
}

static int run_load(struct load *load)
{
    struct rmt_session *s = load->s;
    bool bad_line = false;
    rmt_progress_start(&load->progress, "load", "entries", load->input.size);
    find_disk(load);
    int status = load_lines(load, &bad_line);
    rmt_progress_clear();

    if (!status) {
        status = load_commit(load);
        if (!status)
            say_done(load);
    } else if (bad_line && s->args.partial) {
        uint64_t line = load->input.line;
        load->input.line = line ? line - 1 : 0;
        (void)load_commit(
            load); /* it says so if it fails; the status is that of the bad line anyway */
    }
    rmt_session_abort(s);
    if (status == RMT_EXIT_INTERRUPTED)
        rmt_output_error("interrupted");
    if (status)
        say_what_is_left(load);
    return status;
}

static void end_leases(struct load *load)
{
    struct ramet_lease **leases = (void *)load->leases.data;
    for (size_t i = 0; i < load->leases.size / sizeof(struct ramet_lease *); i++)
        ramet_lease_end(leases[i]);
    rmt_buf_free(&load->leases);
}

int rmt_load_run(struct rmt_session *s)
{
    struct load load = {.s = s};
    const struct rmt_args *args = &s->args;
    size_t at = args->all ? 1 : 2;
    const char *path = args->nr_operands > at ? args->operand[at] : NULL;
    int status = rmt_bulk_words(s);
    if (!status && args->nr_operands > at + 1)
        status = rmt_session_usage("--all, and '%s': one is too much", args->operand[1]);
    if (!status)
        status = rmt_bulk_format(s, args->all ? ".jsonl" : path, &load.format);
    if (!status && (args->all || args->disk) && args->format && load.format != &rmt_jsonl_format)
        status = rmt_session_usage("%s loaded as jsonl, not as %s",
                                   args->all ? "all maps and disks are" : "a disk is",
                                   load.format->name);
    if (status)
        return status;

    if (rmt_input_open(&load.input, path) < 0) {
        rmt_output_error("%s: %s", load.input.name, rmt_buf_str(&load.input.error));
        status = RMT_EXIT_FAILED;
    }
    if (!status)
        status = rmt_session_write(s);
    if (!status) {
        rmt_interrupt_catch();
        status = run_load(&load);
    }
    end_leases(&load);
    rmt_format_fini(&load.state);
    rmt_buf_free(&load.name);
    rmt_buf_free(&load.piece);
    rmt_buf_free(&load.last_key);
    rmt_input_close(&load.input);
    return status;
}
