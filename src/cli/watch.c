/* SPDX-License-Identifier: MIT */
/* watch.c - watch and cursors: what changes in a branch, and how far those came who are told. */
#include "watch.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "diskdiff.h"
#include "interrupt.h"
#include "table.h"
#include "text.h"

/* ---- lines ----------------------------------------------------------------------------------- */

/* A line about a batch. */
static json_t *line_of(const struct ramet_batch *batch, const char *op)
{
    json_t *object = json_object();
    rmt_output_json_str(object, "op", op);
    rmt_output_json_int(object, "from", batch->from);
    rmt_output_json_int(object, "to", batch->to);
    return object;
}

static void print_begin(const struct ramet_batch *batch)
{
    json_t *object = line_of(batch, "begin");
    rmt_output_json_str(object, "kind", batch->kind == RAMET_BATCH_REWIND ? "rewind" : "changes");
    rmt_output_json_time(object, batch->time);
    rmt_output_json(object);
}

/* What a watch prints, and what of a batch was printed. */
struct watching {
    struct rmt_session *s;
    struct ramet_watch *watch;
    const char *map;           /* of this one alone; NULL: of all, or of a disk */
    const char *disk;          /* of this one alone; NULL: of all, or of a map */
    struct ramet_slice prefix; /* of keys of the map */
    const struct ramet_batch *batch;
    uint64_t changes;
};

static bool stopped(void)
{
    return rmt_output_failed() || rmt_interrupt_seen();
}

static void print_change(struct watching *w, const struct ramet_change *change)
{
    static const char *const ops[] = {
        [RAMET_ADDED] = "put",          [RAMET_REMOVED] = "del",      [RAMET_CHANGED] = "put",
        [RAMET_MAP_CREATED] = "create", [RAMET_MAP_DROPPED] = "drop",
    };
    json_t *object = line_of(w->batch, ops[change->kind]);
    bool entry = change->kind != RAMET_MAP_CREATED && change->kind != RAMET_MAP_DROPPED;
    rmt_output_json_str(object, "map", change->map);
    if (entry)
        rmt_output_json_bytes(object, "key", change->key);
    if (change->new_value.data)
        rmt_output_json_bytes(object, "value", change->new_value);
    if (change->old_value.data)
        rmt_output_json_bytes(object, "old", change->old_value);
    rmt_output_json(object);
    w->changes++;
}

static int print_disk_change(void *ctx, const struct rmt_disk_change *change)
{
    static const char *const ops[] = {
        [RMT_DISK_DATA] = "data",      [RMT_DISK_HOLE] = "hole",    [RMT_DISK_SIZE] = "size",
        [RMT_DISK_CREATED] = "create", [RMT_DISK_DROPPED] = "drop",
    };
    struct watching *w = ctx;
    json_t *object = line_of(w->batch, ops[change->kind]);
    rmt_output_json_str(object, "disk", change->disk);
    switch (change->kind) {
    case RMT_DISK_DATA:
    case RMT_DISK_HOLE:
        rmt_output_json_int(object, "offset", change->numbers[0]);
        rmt_output_json_int(object, "bytes", change->numbers[1]);
        break;
    case RMT_DISK_SIZE:
    case RMT_DISK_CREATED:
    case RMT_DISK_DROPPED:
        if (change->kind != RMT_DISK_CREATED)
            rmt_output_json_int(object, "old", change->numbers[0]);
        if (change->kind != RMT_DISK_DROPPED)
            rmt_output_json_int(object, "size", change->numbers[1]);
        break;
    }
    rmt_output_json(object);
    w->changes++;
    return stopped();
}

static void print_end(const struct ramet_batch *batch, uint64_t changes)
{
    json_t *object = line_of(batch, "end");
    rmt_output_json_int(object, "changes", changes);
    rmt_output_json(object);
}

/* ---- watching -------------------------------------------------------------------------------- */

enum next { GOES_ON, ENDS, FAILED };

static int print_maps(struct watching *w, struct ramet_txn *from, struct ramet_txn *to)
{
    struct ramet_diff_options options = {
        .size = sizeof(options),
        .flags = w->s->args.keys ? RAMET_DIFF_KEYS : 0,
        .map = w->map,
        .prefix = w->prefix,
    };
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_diff *diff;
    int rc = ramet_diff_open(from, to, &options, &diff);
    if (rc < 0)
        return rc;
    while ((rc = ramet_diff_next(diff, &change)) == 0) {
        print_change(w, &change);
        if (stopped())
            break;
    }
    ramet_diff_close(diff);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

/* Of disks it says where they differ, which is found without reading them: so it compares the two
 * versions itself, and does not ask the watcher for changes. */
static int print_changes(struct watching *w, struct ramet_txn *from, struct ramet_txn *to)
{
    int rc = w->disk ? 0 : print_maps(w, from, to);
    if (rc == 0 && !w->map && !stopped())
        rc = rmt_diskdiff_each(from, to, w->disk, print_disk_change, w);
    return rc < 0 ? rc : 0;
}

/* from: the version that the batch leads away from; NULL: nothing. */
static enum next print_batch(struct watching *w, struct ramet_txn *from)
{
    struct rmt_session *s = w->s;
    if (w->batch->kind == RAMET_BATCH_GONE) {
        rmt_output_json(line_of(w->batch, "gone"));
    } else {
        struct ramet_txn *to = NULL;
        print_begin(w->batch);
        w->changes = 0;
        int rc = ramet_watch_begin(w->watch, &to);
        if (rc == 0)
            rc = print_changes(w, from, to);
        if (rc < 0)
            (void)rmt_session_fail(rc, "cannot read what changed in '%s' of '%s'%s", s->branch,
                                   s->path, rc == -EFBIG ? " (--keys leaves values out)" : "");
        ramet_abort(to);
        if (rc < 0)
            return FAILED;
        if (stopped())
            return ENDS; /* without a line that says it was all */
        print_end(w->batch, w->changes);
    }
    (void)fflush(stdout);
    if (rmt_output_failed())
        return ENDS;
    int rc = ramet_watch_ack(w->watch);
    if (rc < 0) {
        (void)rmt_session_fail(rc, "cannot move cursor '%s'", s->args.cursor);
        return FAILED;
    }
    return GOES_ON;
}

/* All batches that there are now. */
static enum next print_batches(struct watching *w)
{
    struct rmt_session *s = w->s;
    for (;;) {
        struct ramet_batch batch = {.size = sizeof(batch)};
        struct ramet_txn *from = NULL;
        int rc = ramet_watch_begin(w->watch, &from);
        if (rc == 0 || rc == RAMET_ENOTFOUND)
            rc = ramet_watch_next(w->watch, &batch);
        enum next next = GOES_ON;
        w->batch = &batch;
        if (rc == 0)
            next = print_batch(w, from);
        else if (rc != RAMET_ENOTFOUND)
            (void)rmt_session_fail(rc, "cannot watch '%s' of '%s'", s->branch, s->path);
        ramet_abort(from);
        if (rc == RAMET_ENOTFOUND)
            return GOES_ON;
        if (rc < 0)
            return FAILED;
        if (next != GOES_ON)
            return next;
    }
}

/* Until there may be a batch. A signal that comes between the look at it and the wait ends the
 * wait. Nobody reads standard output any more: that ends it too. */
static enum next wait_for_more(const struct rmt_session *s, struct ramet_watch *watch)
{
    struct pollfd fds[] = {{.fd = ramet_watch_fd(watch), .events = POLLIN}, {.fd = STDOUT_FILENO}};
    struct timespec timeout = {.tv_sec = (time_t)s->args.timeout};
    sigset_t ending, before;
    (void)sigemptyset(&ending);
    (void)sigaddset(&ending, SIGINT);
    (void)sigaddset(&ending, SIGTERM);
    (void)sigaddset(&ending, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &ending, &before);
    int n = 0;
    if (!rmt_interrupt_seen())
        n = ppoll(fds, 2, s->args.timeout ? &timeout : NULL, &before);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return n > 0 && !(fds[1].revents & (POLLERR | POLLHUP)) ? GOES_ON : ENDS;
}

/* A disk, if the branch has one of that name and no such map. What is not there yet is a map that
 * somebody may make, unless --disk says otherwise. */
static int is_disk(struct rmt_session *s, const char *name, bool *out)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_blob *blob;
    *out = s->args.disk;
    if (*out)
        return 0;
    int rc = ramet_begin(s->store, s->branch, RAMET_READ, &txn);
    if (rc < 0) /* the watcher says it; a cursor outlives its branch */
        return rc == RAMET_ENOTFOUND ? 0 : rc;
    rc = ramet_map_open(txn, name, 0, &map);
    if (rc == RAMET_ENOTFOUND) {
        rc = ramet_blob_open(txn, name, 0, &blob);
        *out = rc == 0;
    }
    ramet_abort(txn);
    /* -EINVAL: it can be no disk's name; it may be a map's, or the watcher says what is wrong. */
    return rc == RAMET_ENOTFOUND || rc == -EINVAL ? 0 : rc;
}

/* What the words after the store mean. A status. */
static int find_watched(struct watching *w)
{
    const struct rmt_args *args = &w->s->args;
    const char *name = args->nr_operands > 1 ? args->operand[1] : NULL;
    bool disk = false;
    if (!name && args->disk)
        return rmt_session_usage("--disk, and no disk is named");
    int rc = name ? is_disk(w->s, name, &disk) : 0;
    if (rc < 0)
        return rmt_session_fail(rc, "'%s' of '%s'", w->s->branch, w->s->path);
    if (disk && args->nr_operands > 2)
        return rmt_session_usage("'%s' is a disk, which has no keys that could begin with '%s'",
                                 name, args->operand[2]);
    w->map = disk ? NULL : name;
    w->disk = disk ? name : NULL;
    if (args->nr_operands > 2)
        w->prefix = rmt_text_slice(args->operand[2]);
    return RMT_EXIT_OK;
}

int rmt_watch_watch(struct rmt_session *s)
{
    const struct rmt_args *args = &s->args;
    struct watching w = {.s = s, .prefix = {NULL, 0}};
    struct ramet_watch_options options = {
        .size = sizeof(options),
        .cursor = args->cursor,
        .flags = RAMET_WATCH_KEYS | RAMET_WATCH_BLOBS | (args->every ? RAMET_WATCH_EVERY : 0),
    };
    int status =
        rmt_session_open(s, args->cursor ? RAMET_MUST_EXIST : RAMET_MUST_EXIST | RAMET_READONLY);
    if (!status)
        status = find_watched(&w);
    if (status)
        return status;
    rmt_interrupt_catch();
    struct rmt_buf map = {0};
    if (w.disk)
        rmt_buf_add_byte(&map, RAMET_BLOB_MARK);
    rmt_buf_add_str(&map, w.disk ? w.disk : w.map ? w.map : "");
    int rc = ramet_watch_open(s->store, s->branch, w.disk || w.map ? rmt_buf_str(&map) : NULL,
                              w.prefix, args->since, &options, &w.watch);
    rmt_buf_free(&map);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot watch '%s' of '%s'", s->branch, s->path);
    enum next next;
    do
        next = print_batches(&w);
    while (next == GOES_ON && !args->once && (next = wait_for_more(s, w.watch)) == GOES_ON);
    ramet_watch_close(w.watch);
    return next == FAILED ? RMT_EXIT_FAILED : RMT_EXIT_OK;
}

/* ---- cursors --------------------------------------------------------------------------------- */

struct cursor_list {
    json_t *array;           /* or NULL */
    struct rmt_table *table; /* or NULL: the names alone */
    void (*add_size)(struct rmt_table *table, void *ctx, uint64_t bytes);
    void *ctx;
};

static int list_cursor(void *ctx, const struct ramet_watch_cursor_info *info)
{
    struct cursor_list *list = ctx;
    if (list->array) {
        json_t *object = json_object();
        rmt_output_json_str(object, "name", info->name);
        rmt_output_json_str(object, "branch", info->branch);
        rmt_output_json_int(object, "id", info->id);
        rmt_output_json_int(object, "pinned_bytes", info->pinned_bytes);
        json_object_set_new(object, "gone", json_boolean(info->gone));
        json_object_set_new(object, "in_use", json_boolean(info->in_use));
        rmt_output_json_time(object, info->time);
        json_array_append_new(list->array, object);
        return 0;
    }
    if (!list->table) {
        rmt_output_name(info->name);
        return 0;
    }
    struct rmt_buf when = {0};
    rmt_text_time(&when, info->time);
    rmt_table_add(list->table, info->name);
    rmt_table_addf(list->table, "%s%s", info->branch, info->gone ? " (deleted)" : "");
    rmt_table_addf(list->table, "@%" PRIu64, info->id);
    list->add_size(list->table, list->ctx, info->pinned_bytes);
    rmt_table_add(list->table, info->in_use ? "yes" : "no");
    rmt_table_add(list->table, rmt_buf_str(&when));
    rmt_buf_free(&when);
    return 0;
}

static void add_grouped(struct rmt_table *table, void *ctx, uint64_t bytes)
{
    struct rmt_buf text = {0};
    (void)ctx;
    rmt_text_grouped(&text, bytes);
    rmt_table_add(table, rmt_buf_str(&text));
    rmt_buf_free(&text);
}

int rmt_watch_json_cursors(struct ramet_store *store, json_t *array)
{
    struct cursor_list list = {.array = array};
    return ramet_watch_cursor_list(store, list_cursor, &list);
}

int rmt_watch_print_cursors(struct ramet_store *store,
                            void (*add_size)(struct rmt_table *, void *, uint64_t), void *ctx)
{
    static const char *const titles[] = {"CURSOR", "OF BRANCH",    "AT", ">PINS",
                                         "IN USE", "ACKNOWLEDGED", NULL};
    struct rmt_table table;
    rmt_table_init(&table, titles);
    struct cursor_list list = {.table = &table, .add_size = add_size, .ctx = ctx};
    int rc = ramet_watch_cursor_list(store, list_cursor, &list);
    if (rc == 0)
        rmt_table_print(&table);
    rmt_table_free(&table);
    return rc;
}

int rmt_watch_cursors(struct rmt_session *s)
{
    const char *gone = s->args.delete_name;
    int status = rmt_session_open(s, gone ? RAMET_MUST_EXIST : RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    if (gone) {
        int rc = ramet_watch_cursor_delete(s->store, gone);
        return rc < 0 ? rmt_session_fail(rc, "cannot delete cursor '%s'", gone) : RMT_EXIT_OK;
    }
    int rc;
    if (s->args.json) {
        json_t *array = json_array();
        rc = rmt_watch_json_cursors(s->store, array);
        if (rc == 0)
            rmt_output_json(json_incref(array));
        json_decref(array);
    } else if (s->args.long_list || isatty(STDOUT_FILENO)) {
        rc = rmt_watch_print_cursors(s->store, add_grouped, NULL);
    } else {
        struct cursor_list list = {.table = NULL};
        rc = ramet_watch_cursor_list(s->store, list_cursor, &list);
    }
    return rc < 0 ? rmt_session_fail(rc, "cannot list the cursors of '%s'", s->path) : RMT_EXIT_OK;
}
