/* SPDX-License-Identifier: MIT */
/*
 * command.h - the commands: what each is called, takes and does.
 */
#ifndef RMT_CLI_COMMAND_H
#define RMT_CLI_COMMAND_H

#include "session.h"

struct rmt_command {
    const char *name;
    const char *operands; /* as help shows them */
    size_t operands_min;
    size_t operands_max;
    uint64_t options;                  /* enum rmt_args_option, --help and --json aside */
    int (*run)(struct rmt_session *s); /* returns an exit status */
    const char *summary;
    const char *examples; /* lines */
};

/* Has commands of its own, as 'disk' has 'disk import'; run is NULL. */
bool rmt_command_is_group(const struct rmt_command *command);
/* One of a group's, by its second word; NULL if there is none of that name. */
const struct rmt_command *rmt_command_in_group(const struct rmt_command *group, const char *name);

/* NULL if there is none of that name. */
const struct rmt_command *rmt_command_find(const char *name);
/* The one that name was perhaps meant to be, of a group or (NULL) of all others; NULL: none is
 * near.
 */
const struct rmt_command *rmt_command_nearest(const struct rmt_command *group, const char *name);
/* Prints the list of commands, or one command's help. */
void rmt_command_list(FILE *file);
void rmt_command_help(const struct rmt_command *command);

/* data.c: single entries and maps */
int rmt_data_put(struct rmt_session *s);
int rmt_data_get(struct rmt_session *s);
int rmt_data_del(struct rmt_session *s);
int rmt_data_count(struct rmt_session *s);
int rmt_data_drop(struct rmt_session *s);
int rmt_data_maps(struct rmt_session *s);

/* bulk.c: many entries */
int rmt_bulk_scan(struct rmt_session *s);
int rmt_bulk_dump(struct rmt_session *s);
/* load.c: many entries, in */
int rmt_load_run(struct rmt_session *s);

/* versions.c: stores, branches and snapshots */
int rmt_versions_create(struct rmt_session *s);
int rmt_versions_branch(struct rmt_session *s);
int rmt_versions_branches(struct rmt_session *s);
int rmt_versions_snapshot(struct rmt_session *s);
int rmt_versions_snapshots(struct rmt_session *s);
int rmt_versions_delete(struct rmt_session *s);
int rmt_versions_reset(struct rmt_session *s);
int rmt_versions_reclaim(struct rmt_session *s);
/* A version, as --json shows it everywhere. */
json_t *rmt_versions_object(const struct ramet_snapshot_info *info);

/* history.c: what led to a version */
int rmt_history_log(struct rmt_session *s);
int rmt_history_show(struct rmt_session *s);
int rmt_history_tag(struct rmt_session *s);
int rmt_history_prune(struct rmt_session *s);

/* graph.c: the versions of a store, drawn */
int rmt_graph_run(struct rmt_session *s);

/* diff.c, merge.c, conflicts.c: what differs, and bringing it together */
int rmt_diff_run(struct rmt_session *s);
int rmt_merge_run(struct rmt_session *s);
int rmt_merge_pick(struct rmt_session *s);
int rmt_merge_revert(struct rmt_session *s);
int rmt_conflicts_list(struct rmt_session *s);
int rmt_conflicts_resolve(struct rmt_session *s);

/* space.c: the room that a store takes */
int rmt_space_copy(struct rmt_session *s);
int rmt_space_compact(struct rmt_session *s);

/* watch.c: what changes, and who was told */
int rmt_watch_watch(struct rmt_session *s);
int rmt_watch_cursors(struct rmt_session *s);

/* disk.c, image.c: blobs as disks */
int rmt_disk_create(struct rmt_session *s);
int rmt_disk_clone(struct rmt_session *s);
int rmt_disk_list(struct rmt_session *s);
int rmt_disk_resize(struct rmt_session *s);
int rmt_disk_defragment(struct rmt_session *s);
int rmt_disk_stat(struct rmt_session *s);
int rmt_disk_snapshot(struct rmt_session *s);
int rmt_disk_drop(struct rmt_session *s);
int rmt_image_import(struct rmt_session *s);
int rmt_image_export(struct rmt_session *s);

/* report.c: the state of a store */
int rmt_report_stat(struct rmt_session *s);
int rmt_report_check(struct rmt_session *s);
int rmt_report_version(struct rmt_session *s);

#endif
