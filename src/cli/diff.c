/* SPDX-License-Identifier: MIT */
/*
 * diff.c - how two versions differ: lines, JSON lines, counts, or the status alone.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "command.h"
#include "diskdiff.h"
#include "interrupt.h"
#include "progress.h"
#include "table.h"

enum { OLD, NEW };

/* Differences of one map, so far. */
struct tally {
    struct rmt_buf map;
    char sign; /* '+' created, '-' dropped, '~' neither */
    uint64_t added, changed, removed;
};

struct diffing {
    struct rmt_session *s;
    struct ramet_txn *txns[2];
    struct ramet_diff *diff;
    struct rmt_buf line;
    struct rmt_buf values[2]; /* of values too large for a slice */
    struct rmt_difflines_style style;
    uint64_t count;
    uint64_t disk_changes; /* of them */
    struct rmt_progress progress;
    struct tally tally; /* --stat: of the map at hand */
    struct rmt_table table;
    json_t *maps;
    const char *disk; /* of this one alone; NULL: of all */
    bool no_maps;     /* it is about a disk */
    bool no_disks;    /* about a map */
    struct rmt_disk_tally disks;
};

/* A value of one side, whatever its size. */
static int read_value(struct diffing *d, int side, const struct ramet_change *change,
                      struct ramet_slice *out)
{
    struct rmt_buf *buf = &d->values[side];
    struct ramet_map *map;
    uint64_t size = 0;
    int rc = ramet_map_open(d->txns[side], change->map, 0, &map);
    if (rc < 0)
        return rc;
    int64_t n = ramet_read(map, change->key, 0, NULL, 0, &size);
    rmt_buf_clear(buf);
    rmt_buf_reserve(buf, n < 0 ? 0 : size);
    while (n >= 0 && buf->size < size) {
        size_t want = size - buf->size < RAMET_SLICE_MAX ? size - buf->size : RAMET_SLICE_MAX;
        n = ramet_read(map, change->key, buf->size, buf->data + buf->size, want, NULL);
        if (n == 0)
            return RAMET_ECORRUPT;
        buf->size += n < 0 ? 0 : (size_t)n;
    }
    *out = rmt_buf_slice(buf);
    return n < 0 ? (int)n : 0;
}

/* What a slice cannot hold; the diff has told which entry it is. */
static int read_values(struct diffing *d, struct ramet_change *change)
{
    int rc = 0;
    if (rmt_difflines_has_old(change))
        rc = read_value(d, OLD, change, &change->old_value);
    if (rc == 0 && rmt_difflines_has_new(change))
        rc = read_value(d, NEW, change, &change->new_value);
    return rc;
}

/* ---- counts ------------------------------------------------------------------------------------
 */

static void end_tally(struct diffing *d)
{
    struct tally *tally = &d->tally;
    if (!tally->sign)
        return;
    const char *map = rmt_buf_str(&tally->map);
    if (d->maps) {
        json_t *object = json_object();
        rmt_output_json_str(object, "map", map);
        rmt_output_json_str(object, "is",
                            tally->sign == '+'   ? "created"
                            : tally->sign == '-' ? "dropped"
                                                 : "changed");
        rmt_output_json_int(object, "added", tally->added);
        rmt_output_json_int(object, "changed", tally->changed);
        rmt_output_json_int(object, "removed", tally->removed);
        json_array_append_new(d->maps, object);
    } else {
        const uint64_t counts[] = {tally->added, tally->changed, tally->removed};
        rmt_table_addf(&d->table, "%c", tally->sign);
        rmt_table_add(&d->table, map);
        for (size_t i = 0; i < 3; i++) {
            rmt_buf_clear(&d->line);
            rmt_text_grouped(&d->line, counts[i]);
            rmt_table_add(&d->table, rmt_buf_str(&d->line));
        }
    }
    tally->sign = '\0';
}

static void count(struct diffing *d, const struct ramet_change *change)
{
    struct tally *tally = &d->tally;
    if (!tally->sign || strcmp(rmt_buf_str(&tally->map), change->map) != 0) {
        end_tally(d);
        rmt_buf_clear(&tally->map);
        rmt_buf_add_str(&tally->map, change->map);
        *tally = (struct tally){.map = tally->map, .sign = '~'};
    }
    tally->added += change->kind == RAMET_ADDED;
    tally->changed += change->kind == RAMET_CHANGED;
    tally->removed += change->kind == RAMET_REMOVED;
    if (change->kind == RAMET_MAP_CREATED || change->kind == RAMET_MAP_DROPPED)
        tally->sign = rmt_difflines_sign(change);
    rmt_progress_update(&d->progress, d->count, d->count, 0);
}

static void print_sum(struct diffing *d, const struct ramet_diff_stat *stat)
{
    rmt_table_print(&d->table);
    rmt_buf_clear(&d->line);
    rmt_text_grouped(&d->line, stat->added);
    rmt_buf_add_str(&d->line, " added, ");
    rmt_text_grouped(&d->line, stat->changed);
    rmt_buf_add_str(&d->line, " changed, ");
    rmt_text_grouped(&d->line, stat->removed);
    rmt_buf_add_str(&d->line, " removed");
    if (stat->maps_created)
        rmt_buf_printf(&d->line, "; %" PRIu64 " map%s created", stat->maps_created,
                       stat->maps_created == 1 ? "" : "s");
    if (stat->maps_dropped)
        rmt_buf_printf(&d->line, "; %" PRIu64 " map%s dropped", stat->maps_dropped,
                       stat->maps_dropped == 1 ? "" : "s");
    (void)puts(rmt_buf_str(&d->line)); /* rmt_output_finish() asks */
}

static int print_counts(struct diffing *d)
{
    struct ramet_diff_stat stat = {.size = sizeof(stat)};
    int rc = ramet_diff_stat(d->diff, &stat);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot count");
    end_tally(d);
    if (d->maps) {
        json_t *object = json_object();
        rmt_disk_tally_end(&d->disks);
        json_object_set(object, "maps", d->maps);
        json_object_set(object, "disks", d->disks.array);
        rmt_output_json_int(object, "added", stat.added);
        rmt_output_json_int(object, "changed", stat.changed);
        rmt_output_json_int(object, "removed", stat.removed);
        rmt_output_json_int(object, "maps_created", stat.maps_created);
        rmt_output_json_int(object, "maps_dropped", stat.maps_dropped);
        rmt_output_json(object);
        return RMT_EXIT_OK;
    }
    if (!d->count) {
        (void)puts("no differences");
        return RMT_EXIT_OK;
    }
    if (d->count > d->disk_changes)
        print_sum(d, &stat);
    if (d->count > d->disk_changes && d->disk_changes)
        (void)putchar('\n');
    rmt_disk_tally_end(&d->disks);
    return RMT_EXIT_OK;
}
/* ---- the command -------------------------------------------------------------------------------
 */

static int show(struct diffing *d, struct ramet_change *change, int rc)
{
    const struct rmt_args *args = &d->s->args;
    if (args->stat) {
        count(d, change);
        return 0;
    }
    if (rc == -EFBIG) {
        rc = read_values(d, change);
        if (rc < 0)
            return rc;
    }
    rmt_buf_clear(&d->line);
    rmt_difflines_add(&d->line, &d->style, change);
    (void)fwrite(d->line.data, 1, d->line.size, stdout); /* the loop asks */
    return 0;
}

static int show_disk(void *ctx, const struct rmt_disk_change *change)
{
    struct diffing *d = ctx;
    const struct rmt_args *args = &d->s->args;
    d->count++;
    d->disk_changes++;
    if (args->quiet)
        return 1; /* it is enough to know */
    if (args->stat) {
        rmt_disk_tally_add(&d->disks, change);
    } else {
        rmt_buf_clear(&d->line);
        rmt_diskdiff_add(&d->line, &d->style, change);
        (void)fwrite(d->line.data, 1, d->line.size, stdout); /* asked on the next line */
    }
    return rmt_output_failed() || rmt_interrupt_seen();
}

static int run_maps(struct diffing *d)
{
    const struct rmt_args *args = &d->s->args;
    struct ramet_change change = {.size = sizeof(change)};
    int rc;
    while ((rc = ramet_diff_next(d->diff, &change)) == 0 || rc == -EFBIG) {
        d->count++;
        if (args->quiet) {
            rc = 0; /* it is enough to know */
            break;
        }
        rc = show(d, &change, rc);
        if (rc < 0 || rmt_output_failed() || rmt_interrupt_seen())
            break;
    }
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

static int run(struct diffing *d)
{
    const struct rmt_args *args = &d->s->args;
    rmt_interrupt_catch();
    rmt_progress_start(&d->progress, "diff", "differences", 0);
    int rc = d->no_maps ? 0 : run_maps(d);
    bool goes_on = !(args->quiet && d->count) && !rmt_output_failed() && !rmt_interrupt_seen();
    if (rc == 0 && goes_on && !d->no_disks)
        rc = rmt_diskdiff_each(d->txns[OLD], d->txns[NEW], d->disk, show_disk, d);
    rmt_progress_clear();
    if (rmt_interrupt_seen())
        return RMT_EXIT_INTERRUPTED;
    if (rc < 0)
        return rmt_session_fail(rc, "cannot go on after %" PRIu64 " differences",
                                d->count ? d->count - 1 : 0);
    if (args->stat && !args->quiet) {
        int status = print_counts(d);
        if (status)
            return status;
    }
    return d->count && (args->quiet || args->exit_code) ? RMT_EXIT_DIFFERENT : RMT_EXIT_OK;
}

/* Is it a map, or a disk? A name that neither version has is a slip, and not "no differences". */
static int check_map(struct diffing *d, const char *name)
{
    struct rmt_session *s = d->s;
    int rc = RAMET_ENOTFOUND;
    for (size_t i = 0; i < 2 && rc == RAMET_ENOTFOUND; i++) {
        struct ramet_map *map;
        rc = ramet_map_open(d->txns[i], name, 0, &map);
    }
    d->no_disks = rc == 0;
    for (size_t i = 0; i < 2 && rc == RAMET_ENOTFOUND; i++) {
        struct ramet_blob *blob;
        rc = ramet_blob_open(d->txns[i], name, 0, &blob);
        d->no_maps = rc == 0;
        d->disk = name;
    }
    if (d->no_maps && s->args.nr_operands > 4)
        return rmt_session_usage("'%s' is a disk, which has no keys that could begin with '%s'",
                                 name, s->args.operand[4]);
    if (rc == RAMET_ENOTFOUND) {
        rmt_output_error("no map '%s' in '%s', nor in '%s'; 'ramet maps %s -b REF' lists them",
                         name, s->args.operand[1], s->args.operand[2], s->path);
        return RMT_EXIT_FAILED;
    }
    return rc < 0 ? rmt_session_fail(rc, "map '%s'", name) : RMT_EXIT_OK;
}

static int open_both(struct diffing *d)
{
    struct rmt_session *s = d->s;
    const struct rmt_args *args = &s->args;
    struct ramet_diff_options options = {.size = sizeof(options)};
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    /* Closing the store ends both. */
    for (size_t i = 0; i < 2; i++) {
        int rc = ramet_begin(s->store, args->operand[1 + i], RAMET_READ, &d->txns[i]);
        if (rc < 0)
            return rmt_session_fail(rc, "'%s' of '%s'", args->operand[1 + i], s->path);
    }
    if (args->nr_operands > 3) {
        status = check_map(d, args->operand[3]);
        if (status)
            return status;
        options.map = d->no_maps ? NULL : args->operand[3];
    }
    if (args->nr_operands > 4)
        options.prefix = rmt_text_slice(args->operand[4]);
    if (args->stat || args->quiet)
        options.flags = RAMET_DIFF_KEYS;
    int rc = ramet_diff_open(d->txns[OLD], d->txns[NEW], &options, &d->diff);
    return rc < 0 ? rmt_session_fail(rc, "cannot compare '%s' and '%s'", args->operand[1],
                                     args->operand[2])
                  : RMT_EXIT_OK;
}

int rmt_diff_run(struct rmt_session *s)
{
    static const char *const titles[] = {"", "MAP", ">ADDED", ">CHANGED", ">REMOVED", NULL};
    struct diffing d = {
        .s = s,
        .maps = s->args.stat && s->args.json ? json_array() : NULL,
    };
    rmt_difflines_style_init(&d.style, s->args.json);
    rmt_table_init(&d.table, titles);
    rmt_disk_tally_init(&d.disks, s->args.json);
    int status = open_both(&d);
    if (!status)
        status = run(&d);
    ramet_diff_close(d.diff);
    rmt_table_free(&d.table);
    rmt_disk_tally_fini(&d.disks);
    json_decref(d.maps);
    rmt_buf_free(&d.tally.map);
    rmt_buf_free(&d.values[OLD]);
    rmt_buf_free(&d.values[NEW]);
    rmt_buf_free(&d.line);
    return status;
}
