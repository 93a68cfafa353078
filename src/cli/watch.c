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

static void print_change(const struct ramet_batch *batch, const struct ramet_change *change,
                         bool keys)
{
    static const char *const ops[] = {
        [RAMET_ADDED] = "put",          [RAMET_REMOVED] = "del",      [RAMET_CHANGED] = "put",
        [RAMET_MAP_CREATED] = "create", [RAMET_MAP_DROPPED] = "drop",
    };
    json_t *object = line_of(batch, ops[change->kind]);
    bool entry = change->kind != RAMET_MAP_CREATED && change->kind != RAMET_MAP_DROPPED;
    rmt_output_json_str(object, "map", change->map);
    if (entry)
        rmt_output_json_bytes(object, "key", change->key);
    if (entry && !keys && change->new_value.data)
        rmt_output_json_bytes(object, "value", change->new_value);
    if (entry && !keys && change->old_value.data)
        rmt_output_json_bytes(object, "old", change->old_value);
    rmt_output_json(object);
}

static void print_end(const struct ramet_batch *batch, uint64_t changes)
{
    json_t *object = line_of(batch, "end");
    rmt_output_json_int(object, "changes", changes);
    rmt_output_json(object);
}

/* ---- watching -------------------------------------------------------------------------------- */

enum next { GOES_ON, ENDS, FAILED };

static enum next print_batch(struct rmt_session *s, struct ramet_watch *watch,
                             const struct ramet_batch *batch)
{
    struct ramet_change change = {.size = sizeof(change)};
    uint64_t changes = 0;
    int rc;
    if (batch->kind == RAMET_BATCH_GONE) {
        rmt_output_json(line_of(batch, "gone"));
    } else {
        print_begin(batch);
        while ((rc = ramet_watch_change(watch, &change)) == 0) {
            print_change(batch, &change, s->args.keys);
            changes++;
            if (rmt_output_failed() || rmt_interrupt_seen())
                return ENDS; /* without a line that says it was all */
        }
        if (rc != RAMET_ENOTFOUND) {
            (void)rmt_session_fail(rc, "cannot read what changed in '%s' of '%s'%s", s->branch,
                                   s->path, rc == -EFBIG ? " (--keys leaves values out)" : "");
            return FAILED;
        }
        print_end(batch, changes);
    }
    (void)fflush(stdout);
    if (rmt_output_failed())
        return ENDS;
    rc = ramet_watch_ack(watch);
    if (rc < 0) {
        (void)rmt_session_fail(rc, "cannot move cursor '%s'", s->args.cursor);
        return FAILED;
    }
    return GOES_ON;
}

/* All batches that there are now. */
static enum next print_batches(struct rmt_session *s, struct ramet_watch *watch)
{
    for (;;) {
        struct ramet_batch batch = {.size = sizeof(batch)};
        int rc = ramet_watch_next(watch, &batch);
        if (rc == RAMET_ENOTFOUND)
            return GOES_ON;
        if (rc < 0) {
            (void)rmt_session_fail(rc, "cannot watch '%s' of '%s'", s->branch, s->path);
            return FAILED;
        }
        enum next next = print_batch(s, watch, &batch);
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

int rmt_watch_watch(struct rmt_session *s)
{
    const struct rmt_args *args = &s->args;
    struct ramet_watch_options options = {.size = sizeof(options), .cursor = args->cursor};
    const char *map = args->nr_operands > 1 ? args->operand[1] : NULL;
    struct ramet_slice prefix = {NULL, 0};
    struct ramet_watch *watch;
    if (args->nr_operands > 2)
        prefix = rmt_text_slice(args->operand[2]);
    if (args->every)
        options.flags |= RAMET_WATCH_EVERY;
    if (args->keys)
        options.flags |= RAMET_WATCH_KEYS;
    int status =
        rmt_session_open(s, args->cursor ? RAMET_MUST_EXIST : RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    rmt_interrupt_catch();
    int rc = ramet_watch_open(s->store, s->branch, map, prefix, args->since, &options, &watch);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot watch '%s' of '%s'", s->branch, s->path);
    enum next next;
    do
        next = print_batches(s, watch);
    while (next == GOES_ON && !args->once && (next = wait_for_more(s, watch)) == GOES_ON);
    ramet_watch_close(watch);
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
