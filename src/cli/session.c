/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "interrupt.h"
#include "progress.h"

/* What a person can do about it; NULL: nothing that the message does not say. */
static const char *advice(int code)
{
    switch (code) {
    case -ENOENT: return "'ramet create' makes a store";
    case -EISDIR: return "give the path of a file";
    case -EACCES:
    case -EPERM:
    case -EROFS: return "look at the permissions of the file and of its folder";
    case -ENOSPC:
    case -EDQUOT: return "make room; deleting keys and branches works on a full disk";
    case -EBUSY: return "another process is writing; try again when it is done";
    case RAMET_ENOTFOUND: return "'ramet branches' and 'ramet snapshots' list what there is";
    case RAMET_ECONFLICT: return "'ramet conflicts' lists them, 'ramet resolve' decides them";
    case RAMET_ENOTSTORE: return "give the path of a file made by 'ramet create'";
    case RAMET_EFORMAT: return "a newer ramet reads it";
    case RAMET_ECORRUPT: return "'ramet check' lists all that is wrong";
    case RAMET_EPOISONED: return "run the command again";
    default: return NULL;
    }
}

int rmt_session_fail(int code, const char *fmt, ...)
{
    /* First, before another call of the library replaces it. */
    const char *sentence = ramet_errmsg();
    struct rmt_buf why = {0};
    rmt_buf_add_str(&why, sentence[0] ? sentence : ramet_strerror(code));

    char *what = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&what, fmt, args);
    va_end(args);

    const char *todo = advice(code);
    rmt_output_error("%s: %s%s%s", len < 0 ? "failed" : what, rmt_buf_str(&why), todo ? "; " : "",
                     todo ? todo : "");
    if (len >= 0)
        free(what);
    rmt_buf_free(&why);
    return RMT_EXIT_FAILED;
}

int rmt_session_usage(const char *fmt, ...)
{
    char *what = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&what, fmt, args);
    va_end(args);
    rmt_output_error("%s", len < 0 ? "usage" : what);
    if (len >= 0)
        free(what);
    return RMT_EXIT_USAGE;
}

/* Of the thread that flushes for --sync lazy too. */
static void say_log(void *ctx, int level, const char *message)
{
    (void)ctx;
    if (level <= RAMET_LOG_WARNING)
        rmt_output_error("%s", message);
}

int rmt_session_open(struct rmt_session *s, unsigned flags)
{
    struct ramet_options options = {
        .size = sizeof(options),
        .durability = s->args.durability,
        .flags = flags,
        .page_size = (uint32_t)s->args.page_size,
        .log = say_log,
    };
    s->path = s->args.operand[0];
    s->branch = s->args.branch ? s->args.branch : "main";
    if (!s->path[0])
        return rmt_session_usage("the path of the store is empty");
    int rc = ramet_open(s->path, &options, &s->store);
    if (rc == -EEXIST && flags & RAMET_MUST_CREATE) {
        rmt_output_error("'%s' is there already; nothing was changed", s->path);
        return RMT_EXIT_FAILED;
    }
    if (rc < 0)
        return rmt_session_fail(rc, "cannot open '%s'", s->path);
    return RMT_EXIT_OK;
}

static int open_and_begin(struct rmt_session *s, unsigned open_flags, unsigned begin_flags)
{
    int status = rmt_session_open(s, open_flags);
    if (status)
        return status;
    int rc = ramet_begin(s->store, s->branch, begin_flags, &s->txn);
    if (rc < 0)
        return rmt_session_fail(rc, "'%s' of '%s'", s->branch, s->path);
    return RMT_EXIT_OK;
}

int rmt_session_read(struct rmt_session *s)
{
    return open_and_begin(s, RAMET_MUST_EXIST | RAMET_READONLY, RAMET_READ);
}

int rmt_session_write(struct rmt_session *s)
{
    return open_and_begin(s, RAMET_MUST_EXIST, RAMET_WRITE);
}

int rmt_session_map(struct rmt_session *s, const char *name, unsigned flags, struct ramet_map **out)
{
    int rc = ramet_map_open(s->txn, name, flags, out);
    if (rc == RAMET_ENOTFOUND)
        return rmt_session_no_map(s, name);
    if (rc < 0)
        return rmt_session_fail(rc, "map '%s'", name);
    return RMT_EXIT_OK;
}

int rmt_session_no_map(struct rmt_session *s, const char *name)
{
    struct ramet_blob *blob;
    if (ramet_blob_open(s->txn, name, 0, &blob) == 0)
        rmt_output_error("'%s' is a disk of '%s', and no map; 'ramet disk' exports, imports, lists "
                         "and drops disks, 'ramet dump' writes one",
                         name, s->branch);
    else
        rmt_output_error("no map '%s' in '%s'; 'ramet maps %s' lists them", name, s->branch,
                         s->path);
    return RMT_EXIT_FAILED;
}

int rmt_session_cursor(struct rmt_session *s, struct ramet_map *map)
{
    int rc = ramet_cursor_open(map, &s->cursor);
    return rc < 0 ? rmt_session_fail(rc, "cannot read the map") : RMT_EXIT_OK;
}

void rmt_session_close_cursor(struct rmt_session *s)
{
    if (s->cursor)
        ramet_cursor_close(s->cursor);
    s->cursor = NULL;
}

int rmt_session_publish(struct rmt_session *s, uint64_t *out_id)
{
    rmt_session_close_cursor(s);
    struct ramet_txn *txn = s->txn;
    s->txn = NULL; /* it ends, also on error */
    int rc = ramet_commit(txn, NULL, out_id);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot commit to '%s' of '%s'; nothing was changed", s->branch,
                                s->path);
    return RMT_EXIT_OK;
}

int rmt_session_commit(struct rmt_session *s)
{
    uint64_t id = 0;
    int status = rmt_session_publish(s, &id);
    if (!status && s->args.json) {
        json_t *object = json_object();
        rmt_output_json_int(object, "id", id);
        rmt_output_json(object);
    }
    return status;
}

void rmt_session_abort(struct rmt_session *s)
{
    rmt_session_close_cursor(s);
    if (s->txn)
        ramet_abort(s->txn);
    s->txn = NULL;
}

void rmt_session_close(struct rmt_session *s)
{
    rmt_session_abort(s);
    ramet_close(s->store);
    s->store = NULL;
}

int rmt_session_slurp(struct rmt_buf *buf)
{
    rmt_interrupt_catch();
    int rc = rmt_input_slurp(buf);
    if (rc == RMT_INPUT_STOPPED)
        return RMT_EXIT_INTERRUPTED;
    if (rc < 0) {
        rmt_output_error("standard input: %s", strerror(errno));
        return RMT_EXIT_FAILED;
    }
    return RMT_EXIT_OK;
}

int rmt_session_reclaim(struct rmt_session *s)
{
    enum { PAGES_A_STEP = 4096, IDLE_STEPS_MAX = 8 };
    struct rmt_progress progress;
    uint64_t left = 0;
    uint64_t reclaimed = 0;
    int nr_idle = 0;

    rmt_interrupt_catch();
    rmt_progress_start(&progress, "reclaim", "pages", 0);
    do {
        uint64_t before = left;
        int rc = ramet_reclaim(s->store, PAGES_A_STEP, &left);
        if (rc < 0)
            return rmt_session_fail(rc, "cannot reclaim what was dropped");
        /* How much there is becomes known on the way. If it does not shrink, it waits for
         * something. */
        reclaimed += before > left ? before - left : 0;
        nr_idle = left && left == before ? nr_idle + 1 : 0;
        progress.total = reclaimed + left;
        rmt_progress_update(&progress, reclaimed, reclaimed, 0);
        if (rmt_interrupt_seen()) {
            rmt_output_error("interrupted; 'ramet reclaim %s' goes on with it", s->path);
            return RMT_EXIT_INTERRUPTED;
        }
    } while (left && nr_idle < IDLE_STEPS_MAX);
    rmt_progress_clear();
    return RMT_EXIT_OK;
}
