/* SPDX-License-Identifier: MIT */
/*
 * versions.c - commands on stores, branches and snapshots.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "table.h"

int rmt_versions_create(struct rmt_session *s)
{
    int status = rmt_session_open(s, RAMET_MUST_CREATE);
    if (status || !s->args.json)
        return status;
    struct ramet_stat stat = {.size = sizeof(stat)};
    int rc = ramet_stat(s->store, &stat);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot read the figures of '%s'", s->path);
    json_t *object = json_object();
    rmt_output_json_str(object, "store", s->path);
    rmt_output_json_int(object, "page_size", stat.page_size);
    rmt_output_json_int(object, "format", stat.format);
    rmt_output_json(object);
    return RMT_EXIT_OK;
}

/* {"name": NAME} with --json: what was made, moved or dropped. */
static void answer_name(const struct rmt_session *s, const char *name)
{
    if (!s->args.json)
        return;
    json_t *object = json_object();
    rmt_output_json_str(object, "name", name);
    rmt_output_json(object);
}

int rmt_versions_branch(struct rmt_session *s)
{
    const char *name = s->args.operand[1];
    const char *from = s->args.from ? s->args.from : "main";
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (status)
        return status;
    int rc = ramet_branch_create(s->store, name, from);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot branch '%s' from '%s'", name, from);
    answer_name(s, name);
    return RMT_EXIT_OK;
}

int rmt_versions_reset(struct rmt_session *s)
{
    const char *name = s->args.operand[1];
    const char *ref = s->args.operand[2];
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (status)
        return status;
    int rc = ramet_branch_reset(s->store, name, ref);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot reset '%s' to '%s'", name, ref);
    answer_name(s, name);
    return RMT_EXIT_OK;
}

int rmt_versions_delete(struct rmt_session *s)
{
    const char *ref = s->args.operand[1];
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (status)
        return status;
    int rc = strchr(ref, '@') ? ramet_snapshot_delete(s->store, ref)
                              : ramet_branch_delete(s->store, ref);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot delete '%s'", ref);
    answer_name(s, ref);
    return rmt_session_reclaim(s);
}

int rmt_versions_reclaim(struct rmt_session *s)
{
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (!status)
        status = rmt_session_reclaim(s);
    if (status || !s->args.json)
        return status;
    struct ramet_stat stat = {.size = sizeof(stat)};
    int rc = ramet_stat(s->store, &stat);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot read the figures of '%s'", s->path);
    json_t *object = json_object();
    rmt_output_json_int(object, "unswept_bytes", stat.unswept_bytes);
    rmt_output_json_int(object, "limbo_bytes", stat.limbo_bytes);
    rmt_output_json_int(object, "free_bytes", stat.free_bytes);
    rmt_output_json(object);
    return RMT_EXIT_OK;
}

int rmt_versions_snapshot(struct rmt_session *s)
{
    struct ramet_keep keep = {
        .size = sizeof(keep),
        .name = s->args.name,
        .author = s->args.author,
        .message = s->args.message,
    };
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (status)
        return status;
    uint64_t id;
    int rc = ramet_snapshot_create(s->store, s->branch, &keep, &id);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot keep a snapshot of '%s'", s->branch);
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_int(object, "id", id);
        rmt_output_json_str(object, "name", keep.name);
        rmt_output_json(object);
    } else {
        printf("@%" PRIu64 "\n", id);
    }
    return RMT_EXIT_OK;
}

/* What a list command prints: JSON, a table on a terminal or with --long, or the names alone. */
struct list {
    json_t *array;
    struct rmt_table *table;
};

static void add_time(struct rmt_table *table, int64_t time_us)
{
    struct rmt_buf text = {0};
    rmt_text_time(&text, time_us);
    rmt_table_add(table, rmt_buf_str(&text));
    rmt_buf_free(&text);
}

static void add_id(struct rmt_table *table, uint64_t id)
{
    if (id)
        rmt_table_addf(table, "@%" PRIu64, id);
    else
        rmt_table_add(table, "-");
}

static int list_branch(void *ctx, const struct ramet_branch_info *info)
{
    const struct list *list = ctx;
    if (list->array) {
        json_t *object = json_object();
        rmt_output_json_str(object, "name", info->name);
        rmt_output_json_int(object, "head", info->head);
        rmt_output_json_int(object, "base", info->base);
        rmt_output_json_int(object, "owned_bytes", info->owned_bytes);
        rmt_output_json_int(object, "shared_bytes", info->shared_bytes);
        rmt_output_json_int(object, "snapshots", info->snapshots);
        rmt_output_json_int(object, "snapshot_bytes", info->snapshot_bytes);
        rmt_output_json_time(object, info->time);
        json_array_append_new(list->array, object);
    } else if (list->table) {
        rmt_table_add(list->table, info->name);
        add_id(list->table, info->head);
        add_id(list->table, info->base);
        rmt_table_add_number(list->table, info->snapshots);
        add_time(list->table, info->time);
    } else {
        rmt_output_name(info->name);
    }
    return 0;
}

json_t *rmt_versions_object(const struct ramet_snapshot_info *info)
{
    json_t *object = json_object();
    json_t *parents = json_array();
    for (size_t i = 0; i < 2 && info->parents[i]; i++)
        json_array_append_new(parents, json_integer((json_int_t)info->parents[i]));
    rmt_output_json_int(object, "id", info->id);
    rmt_output_json_str(object, "branch", info->branch);
    rmt_output_json_str(object, "name", info->name);
    rmt_output_json_str(object, "author", info->author);
    rmt_output_json_str(object, "message", info->message);
    rmt_output_json_time(object, info->time);
    rmt_output_json_int(object, "generation", info->generation);
    json_object_set_new(object, "parents", parents);
    rmt_output_json_int(object, "owned_bytes", info->owned_bytes);
    rmt_output_json_int(object, "total_bytes", info->total_bytes);
    return object;
}

static int list_snapshot(void *ctx, const struct ramet_snapshot_info *info)
{
    const struct list *list = ctx;
    if (list->array) {
        json_array_append_new(list->array, rmt_versions_object(info));
    } else if (list->table) {
        add_id(list->table, info->id);
        rmt_table_add(list->table, info->branch);
        rmt_table_add(list->table, info->name ? info->name : "-");
        rmt_table_add(list->table, info->author ? info->author : "-");
        add_time(list->table, info->time);
        rmt_table_add_number(list->table, info->owned_bytes);
        rmt_table_add_number(list->table, info->total_bytes);
        rmt_table_add(list->table, info->message ? info->message : "");
    } else {
        printf("@%" PRIu64 "\n", info->id);
    }
    return 0;
}

/* rc: of the listing. Prints and frees. */
static int finish_list(struct rmt_session *s, struct list *list, struct rmt_table *table, int rc)
{
    int status = RMT_EXIT_OK;
    if (rc < 0)
        status = rmt_session_fail(rc, "cannot list '%s'", s->path);
    else if (list->array)
        rmt_output_json(json_incref(list->array));
    else if (list->table)
        rmt_table_print(list->table);
    json_decref(list->array);
    rmt_table_free(table);
    return status;
}

static struct list start_list(const struct rmt_session *s, struct rmt_table *table,
                              const char *const *titles)
{
    rmt_table_init(table, titles);
    return (struct list){
        .array = s->args.json ? json_array() : NULL,
        .table = s->args.long_list || isatty(STDOUT_FILENO) ? table : NULL,
    };
}

int rmt_versions_branches(struct rmt_session *s)
{
    static const char *const titles[] = {"BRANCH",     ">HEAD",       ">BASE",
                                         ">SNAPSHOTS", "LAST COMMIT", NULL};
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    struct rmt_table table;
    struct list list = start_list(s, &table, titles);
    return finish_list(s, &list, &table, ramet_branch_list(s->store, list_branch, &list));
}

int rmt_versions_snapshots(struct rmt_session *s)
{
    static const char *const titles[] = {">ID",    "BRANCH", "NAME",    "AUTHOR", "TIME",
                                         ">OWNED", ">TOTAL", "MESSAGE", NULL};
    const char *branch = s->args.nr_operands > 1 ? s->args.operand[1] : NULL;
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (status)
        return status;
    struct rmt_table table;
    struct list list = start_list(s, &table, titles);
    return finish_list(s, &list, &table,
                       ramet_snapshot_list(s->store, branch, list_snapshot, &list));
}
