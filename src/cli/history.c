/* SPDX-License-Identifier: MIT */
/*
 * history.c - commands on what led to a version: log, show, tag, prune.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "diskdiff.h"
#include "interrupt.h"
#include "table.h"

enum { COLOUR_NAME = 2, COLOUR_ID = 3 };

static int fail_ref(const struct rmt_session *s, int rc, const char *ref)
{
    if (rc != RAMET_ENOTFOUND)
        return rmt_session_fail(rc, "cannot read '%s'", ref);
    rmt_output_error("%s; 'ramet branches %s' and 'ramet snapshots %s --long' list what there is",
                     ramet_errmsg(), s->path, s->path);
    return RMT_EXIT_FAILED;
}

/* ---- one version, as text -------------------------------------------------------------------- */

static void print_escaped(const char *colour, const char *str)
{
    struct rmt_buf text = {0};
    rmt_text_escape(&text, rmt_text_slice(str));
    printf("%s%s%s", colour, rmt_buf_str(&text), colour[0] ? rmt_output_plain(stdout) : "");
    rmt_buf_free(&text);
}

/* "@12", and in one space after it " main@before", or " main" if it has no name. */
static void print_title(const struct ramet_snapshot_info *info)
{
    printf("%s@%" PRIu64 "%s", rmt_output_colour(stdout, COLOUR_ID), info->id,
           rmt_output_plain(stdout));
    if (!info->branch)
        return;
    struct rmt_buf name = {0};
    rmt_buf_printf(&name, "%s%s%s", info->branch, info->name ? "@" : "",
                   info->name ? info->name : "");
    (void)putchar(' ');
    print_escaped(rmt_output_colour(stdout, COLOUR_NAME), rmt_buf_str(&name));
    rmt_buf_free(&name);
}

static void print_parents(const struct ramet_snapshot_info *info)
{
    if (!info->parents[0] && !info->parents[1])
        return;
    (void)fputs("parents:", stdout);
    for (size_t i = 0; i < 2; i++) {
        if (info->parents[i])
            printf(" @%" PRIu64, info->parents[i]);
    }
    (void)putchar('\n');
}

static void print_author(const struct ramet_snapshot_info *info)
{
    if (!info->author)
        return;
    (void)fputs("author:  ", stdout);
    print_escaped("", info->author);
    (void)putchar('\n');
}

/* Its lines, indented. */
static void print_message(const char *message)
{
    if (!message || !message[0])
        return;
    (void)putchar('\n');
    while (*message) {
        size_t len = strcspn(message, "\n");
        struct rmt_buf line = {0};
        rmt_text_escape(&line, (struct ramet_slice){message, len});
        printf("%s%s\n", line.size ? "    " : "", rmt_buf_str(&line));
        rmt_buf_free(&line);
        message += len + (message[len] == '\n');
    }
}

static void print_first_line(const char *message)
{
    struct rmt_buf line = {0};
    if (message)
        rmt_text_escape(&line, (struct ramet_slice){message, strcspn(message, "\n")});
    if (line.size)
        printf("  %s", rmt_buf_str(&line));
    rmt_buf_free(&line);
}

/* ---- log ------------------------------------------------------------------------------------- */

struct log {
    const struct rmt_session *s;
    json_t *array; /* or NULL */
    uint64_t count;
    uint64_t limit; /* 0: none */
};

static void print_version(const struct log *log, const struct ramet_snapshot_info *info,
                          const struct ramet_change *change)
{
    struct rmt_buf when = {0};
    rmt_text_second_utc(&when, info->time);
    if (log->s->args.oneline) {
        print_title(info);
        printf("  %s", rmt_buf_str(&when));
        print_first_line(info->message);
        (void)putchar(change ? '\t' : '\n');
    } else {
        if (log->count)
            (void)putchar('\n');
        print_title(info);
        (void)putchar('\n');
        print_parents(info);
        print_author(info);
        printf("time:    %s\n", rmt_buf_str(&when));
        print_message(info->message);
        if (change)
            (void)putchar('\n');
    }
    if (change)
        rmt_difflines_print(change);
    rmt_buf_free(&when);
}

static int log_change(void *ctx, const struct ramet_snapshot_info *info,
                      const struct ramet_change *change)
{
    struct log *log = ctx;
    if (log->array) {
        json_t *object = rmt_versions_object(info);
        if (change)
            json_object_set_new(object, "change", rmt_difflines_object(change));
        json_array_append_new(log->array, object);
    } else {
        print_version(log, info, change);
    }
    log->count++;
    return log->count == log->limit || rmt_output_failed();
}

static int log_version(void *ctx, const struct ramet_snapshot_info *info)
{
    return log_change(ctx, info, NULL);
}

/* What an empty answer means, for somebody who waits for one. */
static void explain_nothing(const struct rmt_session *s, const char *ref, const char *map)
{
    if (!isatty(STDOUT_FILENO))
        return;
    if (map)
        rmt_output_error("no kept version of '%s' has changed that key; 'ramet get %s %s KEY' has "
                         "its value now",
                         ref, s->path, map);
    else
        rmt_output_error("no version of '%s' is kept yet; 'ramet snapshot %s' keeps one", ref,
                         s->path);
}

int rmt_history_log(struct rmt_session *s)
{
    const char *ref = s->args.nr_operands > 1 ? s->args.operand[1] : "main";
    const char *map = s->args.nr_operands > 2 ? s->args.operand[2] : NULL;
    if (s->args.nr_operands == 3)
        return rmt_session_usage("a word is missing: the changes of one key are listed by "
                                 "'ramet log S REF MAP KEY'");
    if (map && (s->args.all || s->args.hidden))
        return rmt_session_usage("--%s does not go with MAP and KEY: a key's history is that of "
                                 "the versions that REF itself keeps",
                                 s->args.all ? "all" : "hidden");
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    struct log log = {.s = s, .limit = s->args.limit};
    if (s->args.json)
        log.array = json_array();
    unsigned flags =
        (s->args.all ? RAMET_HISTORY_ALL : 0u) | (s->args.hidden ? RAMET_HISTORY_HIDDEN : 0u);
    int rc = map ? ramet_key_history(s->store, ref, map, rmt_text_slice(s->args.operand[3]),
                                     log_change, &log)
                 : ramet_history(s->store, ref, flags, log_version, &log);
    if (rc < 0)
        status = fail_ref(s, rc, ref);
    else if (log.array)
        rmt_output_json(json_incref(log.array));
    else if (!log.count)
        explain_nothing(s, ref, map);
    json_decref(log.array);
    return status;
}

/* ---- show ------------------------------------------------------------------------------------ */

/* A version and all it is called. */
struct shown {
    struct ramet_snapshot_info info; /* its strings are owned */
    bool found;
    uint64_t base;        /* id of the kept version below it; 0: none */
    struct rmt_buf names; /* each with a NUL after it */
    struct rmt_buf heads;
};

static char *copy(const char *str)
{
    struct rmt_buf text = {0};
    if (!str)
        return NULL;
    rmt_buf_add_str(&text, str);
    (void)rmt_buf_str(&text);
    return text.data;
}

static void shown_fini(struct shown *shown)
{
    free((char *)(uintptr_t)shown->info.branch);
    free((char *)(uintptr_t)shown->info.name);
    free((char *)(uintptr_t)shown->info.author);
    free((char *)(uintptr_t)shown->info.message);
    rmt_buf_free(&shown->names);
    rmt_buf_free(&shown->heads);
}

/* The first is the version itself. */
static int see_version(void *ctx, const struct ramet_snapshot_info *info)
{
    struct shown *shown = ctx;
    if (shown->found) {
        shown->base = info->branch ? info->id : 0;
        return info->branch != NULL;
    }
    shown->found = true;
    shown->info = *info;
    shown->info.branch = copy(info->branch);
    shown->info.name = copy(info->name);
    shown->info.author = copy(info->author);
    shown->info.message = copy(info->message);
    return 0;
}

static int see_name(void *ctx, const struct ramet_snapshot_info *info)
{
    struct shown *shown = ctx;
    if (info->id != shown->info.id || !info->name)
        return 0;
    rmt_buf_printf(&shown->names, "%s@%s", info->branch, info->name);
    rmt_buf_add_byte(&shown->names, '\0');
    return 0;
}

static int see_head(void *ctx, const struct ramet_branch_info *info)
{
    struct shown *shown = ctx;
    if (info->head == shown->info.id) {
        rmt_buf_add_str(&shown->heads, info->name);
        rmt_buf_add_byte(&shown->heads, '\0');
    }
    return 0;
}

static void print_names(const char *title, const struct rmt_buf *names)
{
    if (!names->size)
        return;
    (void)fputs(title, stdout);
    for (const char *name = names->data; name < names->data + names->size;
         name += strlen(name) + 1) {
        (void)putchar(' ');
        print_escaped(rmt_output_colour(stdout, COLOUR_NAME), name);
    }
    (void)putchar('\n');
}

static json_t *json_names(const struct rmt_buf *names)
{
    json_t *array = json_array();
    for (const char *name = names->data; names->size && name < names->data + names->size;
         name += strlen(name) + 1)
        json_array_append_new(array, json_string(name));
    return array;
}

static void print_shown(const struct shown *shown)
{
    const struct ramet_snapshot_info *info = &shown->info;
    struct rmt_buf text = {0};
    printf("%s@%" PRIu64 "%s\n", rmt_output_colour(stdout, COLOUR_ID), info->id,
           rmt_output_plain(stdout));
    print_names("names:  ", &shown->names);
    print_names("head of:", &shown->heads);
    if (!info->branch)
        (void)fputs("kept by: nobody\n", stdout);
    else if (!shown->names.size) {
        (void)fputs("kept by: ", stdout);
        print_escaped(rmt_output_colour(stdout, COLOUR_NAME), info->branch);
        (void)putchar('\n');
    }
    print_parents(info);
    print_author(info);
    rmt_text_time_utc(&text, info->time);
    printf("time:    %s\n", rmt_buf_str(&text));
    printf("number:  %" PRIu64 " of its line\n", info->generation);
    rmt_buf_clear(&text);
    rmt_text_grouped(&text, info->total_bytes);
    rmt_buf_add_str(&text, " bytes; ");
    rmt_text_grouped(&text, info->owned_bytes);
    rmt_buf_add_str(&text, " of them are not in the version below");
    printf("size:    %s\n", rmt_buf_str(&text));
    rmt_buf_free(&text);
    print_message(info->message);
    (void)putchar('\n');
}

struct map_count {
    char *name;
    uint64_t added, removed, changed;
    int created; /* 1; -1: dropped */
};

/* What a version changed: counted, printed or put into JSON. */
struct changes {
    const struct rmt_session *s;
    struct rmt_buf counts; /* of struct map_count */
    json_t *array;         /* or NULL */
    struct rmt_disk_tally disks;
};

static void count_change(struct changes *changes, const struct ramet_change *change)
{
    size_t nr = changes->counts.size / sizeof(struct map_count);
    struct map_count *maps = (void *)changes->counts.data;
    if (!nr || strcmp(maps[nr - 1].name, change->map) != 0) {
        struct map_count fresh = {.name = copy(change->map)};
        rmt_buf_add(&changes->counts, &fresh, sizeof(fresh));
        maps = (void *)changes->counts.data;
        nr++;
    }
    struct map_count *map = &maps[nr - 1];
    map->added += change->kind == RAMET_ADDED;
    map->removed += change->kind == RAMET_REMOVED;
    map->changed += change->kind == RAMET_CHANGED;
    map->created += (change->kind == RAMET_MAP_CREATED) - (change->kind == RAMET_MAP_DROPPED);
}

static int read_changes(struct changes *changes, struct ramet_diff *diff)
{
    bool lines = changes->s->args.diff;
    for (;;) {
        struct ramet_change change = {.size = sizeof(change)};
        int rc = ramet_diff_next(diff, &change);
        if (rc == RAMET_ENOTFOUND)
            return RMT_EXIT_OK;
        if (rc < 0)
            return rmt_session_fail(rc, "cannot compare it with the version below");
        count_change(changes, &change);
        if (lines && changes->array)
            json_array_append_new(changes->array, rmt_difflines_object(&change));
        else if (lines)
            rmt_difflines_print(&change);
        if (rmt_output_failed())
            return RMT_EXIT_OK; /* rmt_output_finish() tells */
        if (rmt_interrupt_seen())
            return RMT_EXIT_INTERRUPTED;
    }
}

static int read_disk_change(void *ctx, const struct rmt_disk_change *change)
{
    struct changes *changes = ctx;
    rmt_disk_tally_add(&changes->disks, change);
    if (changes->s->args.diff && changes->array) {
        json_array_append_new(changes->array, rmt_diskdiff_object(change));
    } else if (changes->s->args.diff) {
        struct rmt_difflines_style style;
        struct rmt_buf line = {0};
        rmt_difflines_style_init(&style, false);
        rmt_diskdiff_add(&line, &style, change);
        (void)fwrite(line.data, 1, line.size, stdout); /* asked on the next line but one */
        rmt_buf_free(&line);
    }
    return rmt_output_failed() || rmt_interrupt_seen();
}

static int read_disks(struct changes *changes, struct ramet_txn *base, struct ramet_txn *txn)
{
    int rc = rmt_diskdiff_each(base, txn, NULL, read_disk_change, changes);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot compare it with the version below");
    return rmt_interrupt_seen() ? RMT_EXIT_INTERRUPTED : RMT_EXIT_OK;
}

static void print_counts(const struct changes *changes)
{
    size_t nr = changes->counts.size / sizeof(struct map_count);
    const struct map_count *maps = (void *)changes->counts.data;
    static const char *const titles[] = {"MAP", ">ADDED", ">REMOVED", ">CHANGED", "", NULL};
    struct rmt_table table;
    if (!nr && !changes->disks.nr_disks)
        (void)fputs("no changes\n", stdout);
    if (!nr)
        return;
    rmt_table_init(&table, titles);
    for (size_t i = 0; i < nr; i++) {
        rmt_table_add(&table, maps[i].name);
        rmt_table_addf(&table, "%" PRIu64, maps[i].added);
        rmt_table_addf(&table, "%" PRIu64, maps[i].removed);
        rmt_table_addf(&table, "%" PRIu64, maps[i].changed);
        rmt_table_add(&table, maps[i].created > 0   ? "created"
                              : maps[i].created < 0 ? "dropped"
                                                    : "");
    }
    rmt_table_print(&table);
    rmt_table_free(&table);
}

static json_t *json_counts(const struct changes *changes)
{
    size_t nr = changes->counts.size / sizeof(struct map_count);
    const struct map_count *maps = (void *)changes->counts.data;
    json_t *array = json_array();
    for (size_t i = 0; i < nr; i++) {
        json_t *object = json_object();
        rmt_output_json_str(object, "map", maps[i].name);
        rmt_output_json_int(object, "added", maps[i].added);
        rmt_output_json_int(object, "removed", maps[i].removed);
        rmt_output_json_int(object, "changed", maps[i].changed);
        json_object_set_new(object, "created", json_boolean(maps[i].created > 0));
        json_object_set_new(object, "dropped", json_boolean(maps[i].created < 0));
        json_array_append_new(array, object);
    }
    return array;
}

static void changes_fini(struct changes *changes)
{
    size_t nr = changes->counts.size / sizeof(struct map_count);
    struct map_count *maps = (void *)changes->counts.data;
    for (size_t i = 0; i < nr; i++)
        free(maps[i].name);
    rmt_buf_free(&changes->counts);
    rmt_disk_tally_fini(&changes->disks);
    json_decref(changes->array);
}

/* The version of s->txn beside the kept one below it, or beside nothing. */
static int diff_with_base(struct rmt_session *s, const struct shown *shown, struct changes *changes)
{
    struct ramet_diff_options options = {
        .size = sizeof(options),
        .flags = s->args.diff ? 0 : RAMET_DIFF_KEYS,
    };
    struct ramet_txn *base = NULL;
    struct ramet_diff *diff = NULL;
    char ref[32];
    (void)snprintf(ref, sizeof(ref), "@%" PRIu64, shown->base);
    int rc = shown->base ? ramet_begin(s->store, ref, RAMET_READ, &base) : 0;
    if (rc == 0)
        rc = ramet_diff_open(base, s->txn, &options, &diff);
    int status;
    if (rc == RAMET_ENOTFOUND)
        status = rmt_session_fail(rc, "%s was deleted meanwhile; run the command again", ref);
    else if (rc < 0)
        status = rmt_session_fail(rc, "cannot compare it with %s", ref);
    else
        status = read_changes(changes, diff);
    if (!status)
        status = read_disks(changes, base, s->txn);
    ramet_diff_close(diff);
    ramet_abort(base);
    return status;
}

/* Looks a version up, and opens it. A branch may move between the two: then again. */
static int find_shown(struct rmt_session *s, const char *ref, struct shown *shown)
{
    enum { TRIES_MAX = 100 };
    int rc = 0;
    for (int i = 0; i < TRIES_MAX; i++) {
        rmt_session_abort(s);
        shown_fini(shown);
        *shown = (struct shown){0};
        rc = ramet_history(s->store, ref, RAMET_HISTORY_HIDDEN, see_version, shown);
        if (rc >= 0)
            rc = ramet_begin(s->store, ref, RAMET_READ, &s->txn);
        if (rc < 0 || ramet_txn_id(s->txn) == shown->info.id)
            break;
    }
    if (rc >= 0 && ramet_txn_id(s->txn) != shown->info.id) {
        rmt_output_error(
            "'%s' moves all the time; 'ramet snapshot %s' keeps a version, to be shown "
            "by its @ID",
            ref, s->path);
        return RMT_EXIT_FAILED;
    }
    if (rc >= 0)
        rc = ramet_snapshot_list(s->store, NULL, see_name, shown);
    if (rc >= 0)
        rc = ramet_branch_list(s->store, see_head, shown);
    return rc < 0 ? fail_ref(s, rc, ref) : RMT_EXIT_OK;
}

int rmt_history_show(struct rmt_session *s)
{
    const char *ref = s->args.nr_operands > 1 ? s->args.operand[1] : "main";
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    struct shown shown = {0};
    struct changes changes = {.s = s};
    if (s->args.json)
        changes.array = json_array();
    rmt_disk_tally_init(&changes.disks, s->args.json);
    rmt_interrupt_catch();
    status = find_shown(s, ref, &shown);
    if (!status && !s->args.json) {
        print_shown(&shown);
        if (shown.base && !s->args.diff)
            printf("changes since @%" PRIu64 ":\n", shown.base);
    }
    if (!status)
        status = diff_with_base(s, &shown, &changes);
    if (!status && s->args.json) {
        json_t *object = rmt_versions_object(&shown.info);
        json_object_set_new(object, "names", json_names(&shown.names));
        json_object_set_new(object, "heads", json_names(&shown.heads));
        json_object_set_new(object, "since",
                            shown.base ? json_integer((json_int_t)shown.base) : json_null());
        json_object_set_new(object, "maps", json_counts(&changes));
        rmt_disk_tally_end(&changes.disks);
        json_object_set(object, "disks", changes.disks.array);
        if (s->args.diff)
            json_object_set(object, "changes", changes.array);
        rmt_output_json(object);
    } else if (!status && !s->args.diff) {
        print_counts(&changes);
        rmt_disk_tally_end(&changes.disks);
    }
    changes_fini(&changes);
    shown_fini(&shown);
    return status;
}

/* ---- tag ------------------------------------------------------------------------------------- */

int rmt_history_tag(struct rmt_session *s)
{
    const char *name = s->args.operand[1];
    const char *ref = s->args.nr_operands > 2 ? s->args.operand[2] : s->args.branch;
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (status)
        return status;

    /* The branch that keeps it, if none is given: what stands before '@' or '~'. */
    struct rmt_buf keeper = {0};
    struct rmt_buf full = {0};
    if (s->args.branch || !ref || ref[0] == '@')
        rmt_buf_add_str(&keeper, s->branch);
    else
        rmt_buf_add(&keeper, ref, strcspn(ref, "@~"));
    const char *branch = rmt_buf_str(&keeper);
    rmt_buf_printf(&full, "%s@%s", branch, name);

    int rc = ramet_tag(s->store, branch, name, ref ? ref : branch);
    if (rc == -EEXIST) {
        rmt_output_error("there is a '%s' already; 'ramet delete %s %s' frees the name",
                         rmt_buf_str(&full), s->path, rmt_buf_str(&full));
        status = RMT_EXIT_FAILED;
    } else if (rc == RAMET_ENOTFOUND) {
        status = fail_ref(s, rc, ref ? ref : branch);
    } else if (rc < 0) {
        status =
            rmt_session_fail(rc, "cannot tag '%s' as '%s'", ref ? ref : branch, rmt_buf_str(&full));
    } else if (s->args.json) {
        rc = ramet_begin(s->store, rmt_buf_str(&full), RAMET_READ, &s->txn);
        json_t *object = json_object();
        rmt_output_json_str(object, "name", rmt_buf_str(&full));
        if (rc == 0)
            rmt_output_json_int(object, "id", ramet_txn_id(s->txn));
        rmt_output_json(object);
    }
    rmt_buf_free(&keeper);
    rmt_buf_free(&full);
    return status;
}

/* ---- prune ----------------------------------------------------------------------------------- */

struct pruning {
    json_t *array; /* or NULL */
    struct rmt_table table;
};

static void prune_row(struct rmt_table *table, const struct ramet_snapshot_info *info)
{
    struct rmt_buf text = {0};
    rmt_table_addf(table, "@%" PRIu64, info->id);
    rmt_table_add(table, info->name ? info->name : "-");
    rmt_text_second_utc(&text, info->time);
    rmt_table_add(table, rmt_buf_str(&text));
    rmt_buf_clear(&text);
    rmt_text_grouped(&text, info->owned_bytes);
    rmt_table_add(table, rmt_buf_str(&text));
    rmt_table_add(table, info->message ? info->message : "");
    rmt_buf_free(&text);
}

/* Is asked last, so what it sees goes. */
static int see_pruned(void *ctx, const struct ramet_snapshot_info *info)
{
    struct pruning *pruning = ctx;
    if (pruning->array)
        json_array_append_new(pruning->array, rmt_versions_object(info));
    else
        prune_row(&pruning->table, info);
    return 1;
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* which cannot fail */
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static int parse_age(const struct rmt_session *s, int64_t *out)
{
    const char *age = s->args.older_than;
    int64_t now = now_us();
    if (!age)
        return RMT_EXIT_OK;
    *out = rmt_text_when(age, now);
    if (*out < 0)
        return rmt_session_usage("--older-than takes an age as 30d, 12h, 5m, 9s or 2w, or a date "
                                 "as 2026-11-22 or '2026-11-22 18:30' (UTC), not '%s'",
                                 age);
    if (*out > now)
        return rmt_session_usage("--older-than '%s' is still to come", age);
    *out += !*out; /* 0 would be: of any age */
    return RMT_EXIT_OK;
}

/* The ids alone in a pipe, or a table and what it means. */
static void print_pruned(const struct rmt_session *s, struct pruning *pruning, const char *branch,
                         uint64_t count)
{
    const struct rmt_table *table = &pruning->table;
    if (!s->args.long_list && !isatty(STDOUT_FILENO)) {
        rmt_table_print_column(&pruning->table, 0);
        return;
    }
    if (table->nr_cells)
        rmt_table_print(&pruning->table);
    printf("%" PRIu64 " snapshot%s of '", count, count == 1 ? "" : "s");
    print_escaped("", branch);
    printf("' %s\n", s->args.dry_run ? "would go" : count == 1 ? "is gone" : "are gone");
}

int rmt_history_prune(struct rmt_session *s)
{
    static const char *const titles[] = {">ID", "NAME", "TIME", ">OWNED", "MESSAGE", NULL};
    const char *branch = s->args.nr_operands > 1 ? s->args.operand[1] : "main";
    struct pruning pruning = {0};
    struct ramet_prune_options options = {
        .size = sizeof(options),
        .flags =
            (s->args.named ? RAMET_PRUNE_NAMED : 0u) | (s->args.dry_run ? RAMET_PRUNE_DRY_RUN : 0u),
        .keep_last = s->args.keep_last,
        .filter = see_pruned,
        .ctx = &pruning,
    };
    if (!s->args.older_than && !s->args.keep_last)
        return rmt_session_usage("say which snapshots go: --older-than AGE, --keep-last N, or both "
                                 "for what fits both; with --dry-run they are listed only");
    int status = parse_age(s, &options.before);
    if (!status)
        status = rmt_session_open(s, RAMET_MUST_EXIST | (s->args.dry_run ? RAMET_READONLY : 0u));
    if (status)
        return status;
    if (s->args.json)
        pruning.array = json_array();
    rmt_table_init(&pruning.table, titles);

    uint64_t count = 0;
    int rc = ramet_prune(s->store, branch, &options, &count);
    if (rc == RAMET_ENOTFOUND)
        status = fail_ref(s, rc, branch);
    else if (rc < 0)
        status = rmt_session_fail(rc, "cannot prune '%s'; nothing was changed", branch);
    else if (!pruning.array)
        print_pruned(s, &pruning, branch, count);
    if (!status && !s->args.dry_run && count)
        status = rmt_session_reclaim(s);
    if (!status && pruning.array) {
        json_t *object = json_object();
        rmt_output_json_str(object, "branch", branch);
        rmt_output_json_int(object, "count", count);
        json_object_set_new(object, "dry_run", json_boolean(s->args.dry_run));
        json_object_set(object, "snapshots", pruning.array);
        rmt_output_json(object);
    }
    json_decref(pruning.array);
    rmt_table_free(&pruning.table);
    return status;
}
