/* SPDX-License-Identifier: MIT */
/*
 * report.c - commands on the state of a store: stat, check; and version.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "interrupt.h"
#include "progress.h"
#include "table.h"
#include "watch.h"

enum { BAR_WIDTH = 50 };

struct branch {
    struct ramet_branch_info info;
    char *name;                 /* owned; info.name is it */
    struct ramet_txn_stat held; /* by its newest version; zeros if it is gone by now */
};

/* What stat collects before it prints. */
struct stat_view {
    const struct rmt_session *s;
    struct ramet_stat stat;
    struct rmt_buf branch_bytes; /* of struct branch */
    bool disks;                  /* there are some */
    struct rmt_buf reader_bytes; /* of struct ramet_reader_info */
    json_t *cursors;
};

static struct branch *branches_of(const struct stat_view *view, size_t *out_nr)
{
    *out_nr = view->branch_bytes.size / sizeof(struct branch);
    return (void *)view->branch_bytes.data;
}

static const struct ramet_reader_info *readers_of(const struct stat_view *view, size_t *out_nr)
{
    *out_nr = view->reader_bytes.size / sizeof(struct ramet_reader_info);
    return (void *)view->reader_bytes.data;
}

static int collect_branch(void *ctx, const struct ramet_branch_info *info)
{
    struct stat_view *view = ctx;
    struct branch branch = {.info = *info, .held.size = sizeof(branch.held)};
    struct ramet_txn *txn;
    int rc = ramet_begin(view->s->store, info->name, RAMET_READ, &txn);
    if (rc == 0) {
        rc = ramet_txn_stat(txn, &branch.held);
        ramet_abort(txn);
    }
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rc;
    branch.name = strdup(info->name);
    if (!branch.name)
        return -ENOMEM;
    view->disks |= branch.held.blobs > 0;
    branch.info.name = branch.name;
    rmt_buf_add(&view->branch_bytes, &branch, sizeof(branch));
    return 0;
}

static int collect_reader(void *ctx, const struct ramet_reader_info *info)
{
    struct stat_view *view = ctx;
    rmt_buf_add(&view->reader_bytes, info, sizeof(*info));
    return 0;
}

static void free_view(struct stat_view *view)
{
    size_t nr;
    struct branch *branches = branches_of(view, &nr);
    for (size_t i = 0; i < nr; i++)
        free(branches[i].name);
    rmt_buf_free(&view->branch_bytes);
    rmt_buf_free(&view->reader_bytes);
}

/* A size as the options want it: grouped digits, plain digits, or units. */
static void add_size(const struct stat_view *view, struct rmt_buf *text, uint64_t bytes)
{
    if (view->s->args.human)
        rmt_text_units(text, bytes);
    else if (view->s->args.bytes)
        rmt_buf_printf(text, "%" PRIu64, bytes);
    else
        rmt_text_grouped(text, bytes);
}

static void add_size_cell(const struct stat_view *view, struct rmt_table *table, uint64_t bytes)
{
    struct rmt_buf text = {0};
    add_size(view, &text, bytes);
    rmt_table_add(table, rmt_buf_str(&text));
    rmt_buf_free(&text);
}

static void print_store(const struct stat_view *view)
{
    const struct ramet_stat *stat = &view->stat;
    const struct {
        const char *name;
        uint64_t bytes;
        const char *what;
    } rows[] = {
        {"data", stat->data_bytes, "pages of branches and snapshots"},
        {"unswept", stat->unswept_bytes, "of what was dropped, still to be reclaimed"},
        {"records", stat->book_bytes, "catalog and space map"},
        {"limbo", stat->limbo_bytes, "unreachable, waiting for readers or the next flush"},
        {"free", stat->free_bytes, "ready for use"},
        {"holes", stat->hole_bytes, "given back to the filesystem"},
        {"meta", stat->meta_bytes, "fixed places at the front"},
        {"file", stat->file_bytes, "all of these"},
    };

    struct rmt_buf path = {0};
    rmt_text_escape(&path, rmt_text_slice(view->s->path));
    printf("%s%s%s: format %u, pages of %u bytes, id ", rmt_output_bold(stdout), rmt_buf_str(&path),
           rmt_output_plain(stdout), stat->format, stat->page_size);
    rmt_buf_free(&path);
    for (size_t i = 0; i < sizeof(stat->store_id); i++)
        printf("%02x", stat->store_id[i]);
    printf("\nnewest commit @%" PRIu64 ", on disk up to @%" PRIu64 "\n\n", stat->last_id,
           stat->durable_id);
    if (stat->lost_id)
        printf("opening fell back past @%" PRIu64 ", which had not been flushed\n\n",
               stat->lost_id);
    if (stat->poisoned)
        printf("a flush failed: writing is refused until the store is opened anew\n\n");

    static const char *const titles[] = {"SPACE", ">BYTES", "", NULL};
    struct rmt_table table;
    rmt_table_init(&table, titles);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rmt_table_add(&table, rows[i].name);
        add_size_cell(view, &table, rows[i].bytes);
        rmt_table_add(&table, rows[i].what);
    }
    rmt_table_print(&table);
    rmt_table_free(&table);
}

static void print_branches(const struct stat_view *view)
{
    size_t nr;
    const struct branch *branches = branches_of(view, &nr);
    static const char *const titles[] = {"BRANCH",     ">HEAD",         ">SHARED",     ">OWNED",
                                         ">SNAPSHOTS", ">KEPT BY THEM", "LAST COMMIT", NULL};
    static const char *const with_disks[] = {
        "BRANCH", ">HEAD",      ">SHARED",       ">OWNED",      ">SNAPSHOTS", ">KEPT BY THEM",
        ">DISKS", ">DISK SIZE", ">OF THAT DATA", "LAST COMMIT", NULL};
    struct rmt_table table;
    rmt_table_init(&table, view->disks ? with_disks : titles);
    for (size_t i = 0; i < nr; i++) {
        const struct ramet_branch_info *info = &branches[i].info;
        struct rmt_buf when = {0};
        rmt_text_time(&when, info->time);
        rmt_table_add(&table, info->name);
        rmt_table_addf(&table, "@%" PRIu64, info->head);
        add_size_cell(view, &table, info->shared_bytes);
        add_size_cell(view, &table, info->owned_bytes);
        rmt_table_addf(&table, "%" PRIu64, info->snapshots);
        add_size_cell(view, &table, info->snapshot_bytes);
        if (view->disks) {
            const struct ramet_txn_stat *held = &branches[i].held;
            rmt_table_addf(&table, "%" PRIu64, held->blobs);
            add_size_cell(view, &table, held->blob_bytes);
            add_size_cell(view, &table, held->blob_data_bytes);
        }
        rmt_table_add(&table, rmt_buf_str(&when));
        rmt_buf_free(&when);
    }
    rmt_table_print(&table);
    rmt_table_free(&table);
}

static void print_bar(const char *colour, const char *cell, uint64_t count)
{
    (void)fputs(colour, stdout);
    for (uint64_t i = 0; i < count; i++)
        (void)fputs(cell, stdout);
    (void)fputs(rmt_output_plain(stdout), stdout);
}

/* Shared and owned, one bar a branch, all to one scale. What is there at all shows at least one
 * cell. */
static void print_bars(const struct stat_view *view)
{
    size_t nr;
    const struct branch *branches = branches_of(view, &nr);
    bool unicode = rmt_output_unicode();
    const char *shared_cell = unicode ? "█" : "#";
    const char *owned_cell = unicode ? "▒" : "+";
    const char *shared_colour = rmt_output_colour(stdout, 4);
    const char *owned_colour = rmt_output_colour(stdout, 3);
    uint64_t most = 1;
    int name_width = 0;
    for (size_t i = 0; i < nr; i++) {
        const struct ramet_branch_info *info = &branches[i].info;
        uint64_t bytes = info->shared_bytes + info->owned_bytes;
        int width = (int)strlen(info->name);
        most = bytes > most ? bytes : most;
        name_width = width > name_width ? width : name_width;
    }

    (void)putchar('\n');
    for (size_t i = 0; i < nr; i++) {
        const struct ramet_branch_info *info = &branches[i].info;
        double scale = BAR_WIDTH / (double)most;
        uint64_t shared = (uint64_t)((double)info->shared_bytes * scale + 0.5);
        uint64_t owned = (uint64_t)((double)info->owned_bytes * scale + 0.5);
        shared = info->shared_bytes && !shared ? 1 : shared;
        owned = info->owned_bytes && !owned ? 1 : owned;

        struct rmt_buf text = {0};
        rmt_text_escape(&text, rmt_text_slice(info->name));
        printf("%-*s  ", name_width, rmt_buf_str(&text));
        print_bar(shared_colour, shared_cell, shared);
        print_bar(owned_colour, owned_cell, owned);
        rmt_buf_clear(&text);
        rmt_buf_add_str(&text, "  ");
        rmt_text_units(&text, info->shared_bytes);
        rmt_buf_add_str(&text, " + ");
        rmt_text_units(&text, info->owned_bytes);
        printf("%s\n", rmt_buf_str(&text));
        rmt_buf_free(&text);
    }
    printf("%-*s  ", name_width, "");
    print_bar(shared_colour, shared_cell, 2);
    (void)fputs(" shared  ", stdout);
    print_bar(owned_colour, owned_cell, 2);
    (void)fputs(" owned\n", stdout);
}

static void print_readers(const struct stat_view *view)
{
    size_t nr;
    const struct ramet_reader_info *readers = readers_of(view, &nr);
    static const char *const titles[] = {">READER PID", ">VERSION", ">AGE", ">HOLDS", NULL};
    struct rmt_table table;
    rmt_table_init(&table, titles);
    for (size_t i = 0; i < nr; i++) {
        const struct ramet_reader_info *info = &readers[i];
        struct rmt_buf age = {0};
        rmt_text_duration(&age, info->age_ms);
        rmt_table_addf(&table, "%" PRIu32, info->pid);
        rmt_table_addf(&table, "@%" PRIu64, info->version);
        rmt_table_add(&table, rmt_buf_str(&age));
        add_size_cell(view, &table, info->held_bytes);
        rmt_buf_free(&age);
    }
    (void)putchar('\n');
    if (nr)
        rmt_table_print(&table);
    else
        (void)fputs("no readers\n", stdout);
    rmt_table_free(&table);
}

static void add_cursor_size(struct rmt_table *table, void *ctx, uint64_t bytes)
{
    add_size_cell(ctx, table, bytes);
}

static int print_cursors(struct stat_view *view)
{
    (void)putchar('\n');
    return rmt_watch_print_cursors(view->s->store, add_cursor_size, view);
}

static json_t *json_branches(const struct stat_view *view)
{
    size_t nr;
    const struct branch *branches = branches_of(view, &nr);
    json_t *array = json_array();
    for (size_t i = 0; i < nr; i++) {
        const struct ramet_branch_info *info = &branches[i].info;
        json_t *object = json_object();
        rmt_output_json_str(object, "name", info->name);
        rmt_output_json_int(object, "head", info->head);
        rmt_output_json_int(object, "base", info->base);
        rmt_output_json_int(object, "shared_bytes", info->shared_bytes);
        rmt_output_json_int(object, "owned_bytes", info->owned_bytes);
        rmt_output_json_int(object, "snapshots", info->snapshots);
        rmt_output_json_int(object, "snapshot_bytes", info->snapshot_bytes);
        rmt_output_json_int(object, "maps", branches[i].held.maps);
        rmt_output_json_int(object, "entries", branches[i].held.entries);
        rmt_output_json_int(object, "disks", branches[i].held.blobs);
        rmt_output_json_int(object, "disk_bytes", branches[i].held.blob_bytes);
        rmt_output_json_int(object, "disk_data_bytes", branches[i].held.blob_data_bytes);
        rmt_output_json_time(object, info->time);
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *json_readers(const struct stat_view *view)
{
    size_t nr;
    const struct ramet_reader_info *readers = readers_of(view, &nr);
    json_t *array = json_array();
    for (size_t i = 0; i < nr; i++) {
        const struct ramet_reader_info *info = &readers[i];
        json_t *object = json_object();
        rmt_output_json_int(object, "pid", info->pid);
        rmt_output_json_int(object, "version", info->version);
        rmt_output_json_int(object, "age_ms", info->age_ms);
        rmt_output_json_int(object, "held_bytes", info->held_bytes);
        json_array_append_new(array, object);
    }
    return array;
}

static void print_json(const struct stat_view *view)
{
    const struct ramet_stat *stat = &view->stat;
    char id[2 * sizeof(stat->store_id) + 1];
    for (size_t i = 0; i < sizeof(stat->store_id); i++)
        (void)snprintf(id + 2 * i, 3, "%02x", stat->store_id[i]);

    json_t *object = json_object();
    rmt_output_json_str(object, "store", view->s->path);
    rmt_output_json_str(object, "store_id", id);
    rmt_output_json_int(object, "format", stat->format);
    rmt_output_json_int(object, "page_size", stat->page_size);
    rmt_output_json_int(object, "file_bytes", stat->file_bytes);
    rmt_output_json_int(object, "meta_bytes", stat->meta_bytes);
    rmt_output_json_int(object, "data_bytes", stat->data_bytes);
    rmt_output_json_int(object, "unswept_bytes", stat->unswept_bytes);
    rmt_output_json_int(object, "book_bytes", stat->book_bytes);
    rmt_output_json_int(object, "limbo_bytes", stat->limbo_bytes);
    rmt_output_json_int(object, "free_bytes", stat->free_bytes);
    rmt_output_json_int(object, "hole_bytes", stat->hole_bytes);
    rmt_output_json_int(object, "last_id", stat->last_id);
    rmt_output_json_int(object, "durable_id", stat->durable_id);
    rmt_output_json_int(object, "lost_id", stat->lost_id);
    json_object_set_new(object, "poisoned", json_boolean(stat->poisoned));
    json_object_set_new(object, "branches", json_branches(view));
    rmt_output_json_int(object, "snapshots", stat->snapshots);
    json_object_set_new(object, "readers", json_readers(view));
    json_object_set(object, "cursors", view->cursors);
    rmt_output_json_int(object, "cursor_bytes", stat->cursor_bytes);
    rmt_output_json(object);
}

int rmt_report_stat(struct rmt_session *s)
{
    struct stat_view view = {.s = s, .stat = {.size = sizeof(view.stat)}};
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    int rc = ramet_stat(s->store, &view.stat);
    if (rc >= 0)
        rc = ramet_branch_list(s->store, collect_branch, &view);
    if (rc >= 0)
        rc = ramet_reader_list(s->store, collect_reader, &view);
    view.cursors = json_array();
    if (rc >= 0)
        rc = rmt_watch_json_cursors(s->store, view.cursors);
    if (rc >= 0 && s->args.json) {
        print_json(&view);
    } else if (rc >= 0 && s->args.bars) {
        print_branches(&view);
        print_bars(&view);
    } else if (rc >= 0) {
        print_store(&view);
        (void)putchar('\n');
        print_branches(&view);
        if (view.stat.cursors)
            rc = print_cursors(&view);
        print_readers(&view);
    }
    if (rc < 0)
        status = rmt_session_fail(rc, "cannot read the figures of '%s'", s->path);
    json_decref(view.cursors);
    free_view(&view);
    return status;
}

/* ---- check -------------------------------------------------------------------------------------
 */

struct check {
    json_t *problems; /* or NULL: printed at once */
    uint64_t nr_problems;
    uint64_t nr_pages;
    struct rmt_progress progress;
};

static void on_problem(void *ctx, const char *problem)
{
    struct check *check = ctx;
    check->nr_problems++;
    rmt_progress_clear();
    if (check->problems)
        json_array_append_new(check->problems, json_string(problem));
    else
        rmt_output_name(problem);
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct check *check = ctx;
    check->progress.total = total;
    check->nr_pages = done;
    rmt_progress_update(&check->progress, done, done, 0);
    return rmt_interrupt_seen();
}

int rmt_report_check(struct rmt_session *s)
{
    struct check check = {.problems = s->args.json ? json_array() : NULL};
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (status) {
        json_decref(check.problems);
        return status;
    }
    rmt_interrupt_catch();
    rmt_progress_start(&check.progress, "check", "pages", 0);
    int rc = ramet_check(s->store, s->args.quick ? RAMET_CHECK_QUICK : 0, on_problem, on_progress,
                         &check);
    rmt_progress_clear();

    if (rmt_interrupt_seen())
        status = RMT_EXIT_INTERRUPTED;
    else if (rc < 0 && !check.nr_problems)
        status = rmt_session_fail(rc, "cannot check '%s'", s->path);
    else if (rc < 0)
        status = RMT_EXIT_FAILED;

    bool ok = status == RMT_EXIT_OK;
    if (check.problems && (ok || check.nr_problems)) {
        json_t *object = json_object();
        json_object_set_new(object, "ok", json_boolean(ok));
        json_object_set(object, "problems", check.problems);
        rmt_output_json(object);
    } else if (ok) {
        printf("%sok%s: no problem found\n", rmt_output_colour(stdout, 2),
               rmt_output_plain(stdout));
    } else if (check.nr_problems) {
        rmt_output_error("'%s' has %" PRIu64 " problems", s->path, check.nr_problems);
    }
    json_decref(check.problems);
    return status;
}

int rmt_report_version(struct rmt_session *s)
{
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_str(object, "version", ramet_version());
        rmt_output_json(object);
    } else {
        printf("ramet %s\n", ramet_version());
    }
    return RMT_EXIT_OK;
}
