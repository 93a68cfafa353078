/* SPDX-License-Identifier: MIT */
/*
 * space.c - commands on the room that a store takes: copy, compact.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "interrupt.h"
#include "progress.h"
#include "text.h"

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct rmt_progress *progress = ctx;
    progress->total = total;
    rmt_progress_update(progress, done, done, 0);
    return rmt_interrupt_seen();
}

/* Bytes of blocks that a file takes; 0 if that cannot be asked. */
static uint64_t disk_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

static int interrupted(const char *what)
{
    rmt_output_error("interrupted; %s", what);
    return RMT_EXIT_INTERRUPTED;
}

int rmt_space_copy(struct rmt_session *s)
{
    const char *path = s->args.operand[1];
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    if (!path[0])
        return rmt_session_usage("the path of the copy is empty");
    struct rmt_progress progress;
    rmt_interrupt_catch();
    rmt_progress_start(&progress, "copy", "pages", 0);
    int rc = ramet_copy(s->store, path, on_progress, &progress);
    rmt_progress_clear();
    if (rc == -ECANCELED)
        return interrupted("nothing was left of the copy");
    if (rc == -EEXIST) {
        rmt_output_error("'%s' is there already; nothing was changed", path);
        return RMT_EXIT_FAILED;
    }
    if (rc == -ENOENT) {
        rmt_output_error("cannot make '%s': its folder is not there", path);
        return RMT_EXIT_FAILED;
    }
    if (rc < 0)
        return rmt_session_fail(rc, "cannot copy '%s' to '%s'", s->path, path);
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_str(object, "path", path);
        rmt_output_json_int(object, "disk_bytes", disk_bytes(path));
        rmt_output_json(object);
    }
    return RMT_EXIT_OK;
}

int rmt_space_compact(struct rmt_session *s)
{
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (status)
        return status;
    uint64_t before = disk_bytes(s->path);
    struct rmt_progress progress;
    rmt_interrupt_catch();
    rmt_progress_start(&progress, "compact", "pages", 0);
    int rc = ramet_compact(s->store, on_progress, &progress);
    rmt_progress_clear();
    if (rc == -ECANCELED)
        return interrupted("what was given back stays so; 'ramet compact' goes on");
    if (rc < 0)
        return rmt_session_fail(rc, "cannot compact '%s'", s->path);
    uint64_t after = disk_bytes(s->path);
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_int(object, "disk_bytes_before", before);
        rmt_output_json_int(object, "disk_bytes", after);
        rmt_output_json(object);
    } else {
        struct rmt_buf text = {0};
        rmt_text_units(&text, before);
        rmt_buf_add_str(&text, " on disk before, ");
        rmt_text_units(&text, after);
        printf("%s now\n", rmt_buf_str(&text));
        rmt_buf_free(&text);
    }
    return RMT_EXIT_OK;
}
