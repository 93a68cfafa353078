/* SPDX-License-Identifier: MIT */
/*
 * load.c - entries from text into a map.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bulk.h"
#include "command.h"
#include "interrupt.h"
#include "progress.h"

struct load {
    struct rmt_session *s;
    const struct rmt_format *format;
    struct rmt_format_state state;
    struct rmt_input input;
    struct rmt_progress progress;
    struct ramet_map *map;
    struct rmt_buf last_key; /* the greatest of the map, if there is one */
    uint64_t entries;        /* put so far */
    uint64_t committed;      /* of them */
    uint64_t committed_line; /* the last line of those */
    uint64_t id;             /* of the last commit */
};

/* Opens the map in the session's transaction and finds its last key. A status. */
static int load_begin(struct load *load)
{
    struct rmt_session *s = load->s;
    int status = rmt_session_map(s, s->args.operand[1], RAMET_CREATE, &load->map);
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
        return rmt_session_fail(rc, "cannot read map '%s'", s->args.operand[1]);
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
    load->committed = load->entries;
    load->committed_line = load->input.line;
    return RMT_EXIT_OK;
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
    return load_begin(load);
}

/* Says where and why a line is refused. */
static void blame_line(const struct load *load, const char *why)
{
    rmt_output_error("%s:%" PRIu64 ": %s", load->input.name, load->input.line, why);
}

/* Puts until the input ends. A status; *out_bad_line: it is the fault of a line. */
static int load_entries(struct load *load, bool *out_bad_line)
{
    struct rmt_session *s = load->s;
    struct rmt_entry entry;
    int rc;
    while ((rc = load->format->read(&load->state, &load->input, &entry)) > 0) {
        if (entry.key.size == 0 || entry.key.size > RAMET_KEY_MAX) {
            *out_bad_line = true;
            rmt_output_error("%s:%" PRIu64 ": a key of %zu bytes; it may have 1 to %u",
                             load->input.name, load->input.line, entry.key.size, RAMET_KEY_MAX);
            return RMT_EXIT_FAILED;
        }
        rc = put_entry(load, &entry);
        if (rc < 0)
            return rmt_session_fail(rc, "%s:%" PRIu64, load->input.name, load->input.line);
        load->entries++;
        if ((load->entries & 255) == 0) {
            rmt_progress_update(&load->progress, load->input.offset, load->entries,
                                load->input.offset);
            if (rmt_interrupt_seen())
                return RMT_EXIT_INTERRUPTED;
        }
        if (s->args.batch && load->entries - load->committed == s->args.batch) {
            int status = next_batch(load);
            if (status)
                return status;
        }
    }
    if (rc == RMT_INPUT_STOPPED || rmt_interrupt_seen())
        return RMT_EXIT_INTERRUPTED;
    if (rc < 0 && load->input.unreadable) {
        rmt_output_error("%s: %s", load->input.name, rmt_buf_str(&load->input.error));
        return RMT_EXIT_FAILED;
    }
    if (rc < 0) {
        *out_bad_line = true;
        blame_line(load, rmt_buf_str(&load->input.error));
        return RMT_EXIT_FAILED;
    }
    return RMT_EXIT_OK;
}

/* After a failure: what is in the store now. */
static void say_what_is_left(const struct load *load)
{
    if (!load->committed)
        rmt_output_error("nothing was loaded");
    else
        rmt_output_error("%" PRIu64 " entries, up to line %" PRIu64 ", are in the store",
                         load->committed, load->committed_line);
}

static void say_done(const struct load *load)
{
    const struct rmt_session *s = load->s;
    uint64_t ms = rmt_progress_now_ms() - load->progress.start_ms;
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_int(object, "entries", load->entries);
        rmt_output_json_int(object, "bytes", load->input.offset);
        rmt_output_json_int(object, "ms", ms);
        rmt_output_json_int(object, "id", load->id);
        rmt_output_json(object);
    }
    struct rmt_buf text = {0};
    rmt_text_grouped(&text, load->entries);
    rmt_buf_add_str(&text, " entries, ");
    rmt_text_units(&text, load->input.offset);
    rmt_buf_add_str(&text, ", ");
    rmt_text_duration(&text, ms);
    rmt_progress_say(rmt_buf_str(&text));
    rmt_buf_free(&text);
}

static int run_load(struct load *load)
{
    struct rmt_session *s = load->s;
    bool bad_line = false;
    rmt_progress_start(&load->progress, "load", "entries", load->input.size);
    int status = load_begin(load);
    if (!status)
        status = load_entries(load, &bad_line);
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

int rmt_load_run(struct rmt_session *s)
{
    struct load load = {.s = s};
    const char *path = s->args.nr_operands > 2 ? s->args.operand[2] : NULL;
    int status = rmt_bulk_format(s, path, &load.format);
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
    rmt_format_fini(&load.state);
    rmt_buf_free(&load.last_key);
    rmt_input_close(&load.input);
    return status;
}
