/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <string.h>

#include "text.h"

/* What merge, cherry-pick and revert have in common. */
#define MERGE_OPTIONS \
    (RMT_OPT_POLICY | RMT_OPT_MESSAGE | RMT_OPT_NAME | RMT_OPT_AUTHOR | RMT_OPT_SYNC)

static const struct rmt_command disk_commands[] = {
    {"disk create", "S DISK SIZE", 3, 3, RMT_OPT_BRANCH | RMT_OPT_SYNC, rmt_disk_create,
     "make a disk of zeros", "ramet disk create app.ramet empty 10G\n"},
    {"disk import", "S DISK FILE", 3, 3,
     RMT_OPT_BRANCH | RMT_OPT_FORCE | RMT_OPT_RAW | RMT_OPT_SYNC, rmt_image_import,
     "make a disk of a raw image, a device, or standard input (-), all or nothing",
     "ramet disk import app.ramet vm debian.raw\n"},
    {"disk export", "S DISK FILE", 3, 3, RMT_OPT_REF | RMT_OPT_FORCE, rmt_image_export,
     "write a disk to a sparse file, a device, or standard output (-)",
     "ramet disk export app.ramet vm copy.raw\n"
     "ramet disk export app.ramet vm - -b vm-1 | sha256sum\n"},
    {"disk clone", "S DISK NEWBRANCH", 3, 3, RMT_OPT_REF | RMT_OPT_SYNC, rmt_disk_clone,
     "make a branch that has the disk, in constant time whatever its size",
     "ramet disk clone app.ramet vm vm-1\n"
     "ramet disk clone app.ramet vm vm-2 -b main@installed\n"},
    {"disk list", "S [REF]", 1, 2, RMT_OPT_LONG, rmt_disk_list, "list the disks of a version",
     "ramet disk list app.ramet vm-1 --long\n"},
    {"disk stat", "S DISK [REF]", 2, 3, RMT_OPT_EXTENTS, rmt_disk_stat,
     "show a disk's size, and what of it is data, shared, owned",
     "ramet disk stat app.ramet vm vm-1\n"
     "ramet disk stat app.ramet vm --extents\n"},
    {"disk resize", "S DISK SIZE", 3, 3, RMT_OPT_BRANCH | RMT_OPT_FORCE | RMT_OPT_SYNC,
     rmt_disk_resize, "make a disk larger, or with --force smaller: that cuts off its end",
     "ramet disk resize app.ramet vm 20G -b vm-1\n"},
    {"disk defragment", "S DISK", 2, 2, RMT_OPT_BRANCH | RMT_OPT_SYNC, rmt_disk_defragment,
     "write anew, side by side, what of a disk is scattered over the file",
     "ramet disk defragment app.ramet vm -b vm-1\n"},
    {"disk snapshot", "S DISK NAME", 3, 3,
     RMT_OPT_MESSAGE | RMT_OPT_AUTHOR | RMT_OPT_BRANCH | RMT_OPT_SYNC, rmt_disk_snapshot,
     "keep the newest version of the disk's branch as BRANCH@NAME; prints its @ID",
     "ramet disk snapshot app.ramet vm installed -m 'before the first boot'\n"},
    {"disk drop", "S DISK", 2, 2, RMT_OPT_BRANCH | RMT_OPT_SYNC, rmt_disk_drop,
     "delete a disk with all it holds", "ramet disk drop app.ramet vm -b vm-1\n"},
};
enum { NR_DISK_COMMANDS = sizeof(disk_commands) / sizeof(disk_commands[0]) };

/* In the order that help lists them. */
static const struct rmt_command commands[] = {
    {"create", "S", 1, 1, RMT_OPT_PAGE_SIZE | RMT_OPT_SYNC, rmt_versions_create,
     "make a store, with an empty branch main",
     "ramet create app.ramet\n"
     "ramet create big.ramet --page-size 16384\n"},
    {"put", "S MAP KEY VALUE", 4, 4, RMT_OPT_BRANCH | RMT_OPT_SYNC, rmt_data_put,
     "set one value; VALUE - reads it from standard input",
     "ramet put app.ramet users ada 'Ada Lovelace'\n"
     "ramet put app.ramet images logo - <logo.png\n"
     "ramet put app.ramet users ada 'Ada King' -b test\n"},
    {"get", "S MAP KEY", 3, 3, RMT_OPT_REF, rmt_data_get,
     "print one value as it is; status 1 if the key is absent",
     "ramet get app.ramet users ada\n"
     "ramet get app.ramet users ada -b main@before\n"
     "ramet get app.ramet images logo >logo.png\n"},
    {"del", "S MAP KEY", 3, 3, RMT_OPT_BRANCH | RMT_OPT_SYNC, rmt_data_del,
     "delete one key; status 1 if it is absent", "ramet del app.ramet users ada\n"},
    {"scan", "S MAP [PREFIX]", 2, 3, RMT_OPT_REF | RMT_OPT_LIMIT, rmt_bulk_scan,
     "print the entries whose keys begin with PREFIX, in key order, as TSV",
     "ramet scan app.ramet users\n"
     "ramet scan app.ramet users a -n 10 --json\n"},
    {"count", "S MAP [PREFIX]", 2, 3, RMT_OPT_REF, rmt_data_count,
     "print how many keys begin with PREFIX", "ramet count app.ramet users\n"},
    {"load", "S MAP|DISK [FILE]", 1, 3,
     RMT_OPT_FORMAT | RMT_OPT_BRANCH | RMT_OPT_PARTIAL | RMT_OPT_BATCH | RMT_OPT_FORCE |
         RMT_OPT_DISK | RMT_OPT_ALL | RMT_OPT_SYNC,
     rmt_load_run, "read entries, or what dump wrote, from FILE or standard input, all or nothing",
     "ramet load app.ramet users users.tsv\n"
     "mdb_dump old.mdb | ramet load app.ramet users --format mdb\n"
     "ramet load app.ramet users huge.jsonl --batch 100000\n"
     "ramet load app.ramet all.jsonl --all -b test\n"},
    {"dump", "S MAP|DISK", 1, 2, RMT_OPT_FORMAT | RMT_OPT_REF | RMT_OPT_DISK | RMT_OPT_ALL,
     rmt_bulk_dump, "write a map, a disk, or all of a version to standard output, in key order",
     "ramet dump app.ramet users >users.tsv\n"
     "ramet dump app.ramet users --format mdb | mdb_load new.mdb\n"
     "ramet dump app.ramet --all -b main@before >all.jsonl\n"},
    {"maps", "S", 1, 1, RMT_OPT_REF | RMT_OPT_LONG, rmt_data_maps, "list the maps of a branch",
     "ramet maps app.ramet --long\n"},
    {"drop", "S MAP", 2, 2, RMT_OPT_BRANCH | RMT_OPT_SYNC, rmt_data_drop,
     "delete a map with all it holds", "ramet drop app.ramet users -b test\n"},
    {"branch", "S NAME", 2, 2, RMT_OPT_FROM | RMT_OPT_SYNC, rmt_versions_branch,
     "make a branch, in constant time whatever the size",
     "ramet branch app.ramet test\n"
     "ramet branch app.ramet fix --from main@before\n"},
    {"branches", "S", 1, 1, RMT_OPT_LONG, rmt_versions_branches, "list the branches",
     "ramet branches app.ramet --long\n"},
    {"snapshot", "S", 1, 1,
     RMT_OPT_MESSAGE | RMT_OPT_NAME | RMT_OPT_AUTHOR | RMT_OPT_BRANCH | RMT_OPT_SYNC,
     rmt_versions_snapshot, "keep the newest version of a branch; prints its @ID",
     "ramet snapshot app.ramet --name before -m 'before the import'\n"},
    {"snapshots", "S [BRANCH]", 1, 2, RMT_OPT_LONG, rmt_versions_snapshots,
     "list the snapshots of one branch or of all", "ramet snapshots app.ramet main --long\n"},
    {"log", "S [REF] [MAP KEY]", 1, 4,
     RMT_OPT_MERGED | RMT_OPT_HIDDEN | RMT_OPT_VERSIONS | RMT_OPT_ONELINE, rmt_history_log,
     "list the versions that led to one, or those of them that changed one key",
     "ramet log app.ramet\n"
     "ramet log app.ramet main@before --oneline -n 10\n"
     "ramet log app.ramet main users ada\n"},
    {"show", "S [REF]", 1, 2, RMT_OPT_PATCH, rmt_history_show,
     "show one version, and what it changed",
     "ramet show app.ramet main@before\n"
     "ramet show app.ramet main~1 --diff\n"},
    {"graph", "S [FILE]", 1, 2, RMT_OPT_WHOLE | RMT_OPT_SVG | RMT_OPT_DOT, rmt_graph_run,
     "draw the branches, where they parted and merged, and what each shares and owns",
     "ramet graph app.ramet\n"
     "ramet graph app.ramet graph.svg --svg\n"},
    {"tag", "S NAME [REF]", 2, 3, RMT_OPT_KEEPER | RMT_OPT_SYNC, rmt_history_tag,
     "keep any version by a name",
     "ramet tag app.ramet v1\n"
     "ramet tag app.ramet good main@before -b test\n"},
    {"prune", "S [BRANCH]", 1, 2,
     RMT_OPT_OLDER_THAN | RMT_OPT_KEEP_LAST | RMT_OPT_NAMED | RMT_OPT_DRY_RUN | RMT_OPT_LONG |
         RMT_OPT_SYNC,
     rmt_history_prune, "stop keeping old snapshots of a branch, and reclaim their space",
     "ramet prune app.ramet main --older-than 30d --dry-run\n"
     "ramet prune app.ramet --keep-last 10 --named\n"},
    {"reset", "S BRANCH REF", 3, 3, RMT_OPT_SYNC, rmt_versions_reset,
     "move a branch back to a snapshot; what came after is dropped",
     "ramet reset app.ramet main main@before\n"},
    {"delete", "S BRANCH|BRANCH@NAME|@ID", 2, 2, RMT_OPT_SYNC, rmt_versions_delete,
     "drop a branch or a snapshot, and reclaim its space",
     "ramet delete app.ramet test\n"
     "ramet delete app.ramet main@before\n"},
    {"diff", "S REF REF [MAP [PREFIX]]", 3, 5, RMT_OPT_DIFF, rmt_diff_run,
     "print how two versions differ, a line for each entry: +, - or ~",
     "ramet diff app.ramet main test\n"
     "ramet diff app.ramet main@before main users\n"
     "ramet diff app.ramet main test --stat\n"},
    {"merge", "S FROM", 2, 2, RMT_OPT_INTO | RMT_OPT_NO_FF | MERGE_OPTIONS, rmt_merge_run,
     "bring the changes of a branch or snapshot into a branch; status 1 on conflicts",
     "ramet merge app.ramet test --dry-run -v\n"
     "ramet merge app.ramet test --policy users=theirs --policy hits=counter\n"
     "ramet merge app.ramet main --into test --keep-conflicts -m 'catch up'\n"},
    {"conflicts", "S [REF]", 1, 2, 0, rmt_conflicts_list,
     "list the conflicts that a merge recorded, each with its three values",
     "ramet conflicts app.ramet\n"
     "ramet conflicts app.ramet test --json\n"},
    {"resolve", "S [MAP [KEY]]", 1, 3, RMT_OPT_RESOLVE | RMT_OPT_BRANCH | RMT_OPT_SYNC,
     rmt_conflicts_resolve, "decide a recorded conflict; says how many are left",
     "ramet resolve app.ramet users ada --theirs\n"
     "ramet resolve app.ramet users alan --value 'Alan M. Turing'\n"
     "ramet resolve app.ramet --all --ours\n"},
    {"cherry-pick", "S REF", 2, 2, RMT_OPT_INTO | MERGE_OPTIONS, rmt_merge_pick,
     "do to a branch what one version changed; status 1 on conflicts",
     "ramet cherry-pick app.ramet test@fix\n"
     "ramet cherry-pick app.ramet main@before --into test --policy theirs\n"},
    {"revert", "S REF", 2, 2, RMT_OPT_BRANCH | MERGE_OPTIONS, rmt_merge_revert,
     "undo on a branch what one version changed; status 1 on conflicts",
     "ramet revert app.ramet main@import --dry-run\n"
     "ramet revert app.ramet main@import\n"},
    {"reclaim", "S", 1, 1, RMT_OPT_SYNC, rmt_versions_reclaim,
     "go on with reclaiming what was dropped, to the end", "ramet reclaim app.ramet\n"},
    {"watch", "S [MAP|DISK [PREFIX]]", 1, 3,
     RMT_OPT_WATCHED | RMT_OPT_SINCE | RMT_OPT_CURSOR | RMT_OPT_EVERY | RMT_OPT_KEYS |
         RMT_OPT_ONCE | RMT_OPT_TIMEOUT | RMT_OPT_DISK | RMT_OPT_SYNC,
     rmt_watch_watch, "print what changes in a branch, as JSON lines, until it is interrupted",
     "ramet watch app.ramet --timeout 1\n"
     "ramet watch app.ramet users a -b test --since '' --once | jq -c 'select(.key)'\n"
     "ramet watch app.ramet users --cursor index --once\n"
     "ramet watch app.ramet vm --disk --timeout 1\n"},
    {"cursors", "S", 1, 1, RMT_OPT_LONG | RMT_OPT_DELETE | RMT_OPT_SYNC, rmt_watch_cursors,
     "list the cursors of 'watch', and what they pin; or delete one",
     "ramet cursors app.ramet --long\n"
     "ramet cursors app.ramet --delete index\n"},
    {"disk", "COMMAND", 1, 1, 0, NULL, "make, copy, clone, list disks: 'ramet disk' lists commands",
     NULL},
    {"copy", "S COPY", 2, 2, 0, rmt_space_copy,
     "make a compacted copy with all branches and snapshots, while the store is in use",
     "ramet copy app.ramet monday.ramet\n"
     "ramet copy app.ramet small.ramet --json\n"},
    {"compact", "S", 1, 1, 0, rmt_space_compact,
     "give free space back to the filesystem, while the store is in use",
     "ramet compact app.ramet\n"},
    {"stat", "S", 1, 1, RMT_OPT_BYTES | RMT_OPT_HUMAN | RMT_OPT_BARS, rmt_report_stat,
     "show what each branch shares and owns, readers, free space",
     "ramet stat app.ramet\n"
     "ramet stat app.ramet --bars\n"
     "ramet stat app.ramet --json | jq .free_bytes\n"},
    {"check", "S", 1, 1, RMT_OPT_QUICK, rmt_report_check,
     "verify every page, reference, count and the space map; status 3 if anything is wrong",
     "ramet check app.ramet\n"},
    {"version", "", 0, 0, 0, rmt_report_version, "print the version", "ramet version --json\n"},
};
enum { NR_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

const struct rmt_command *rmt_command_find(const char *name)
{
    for (size_t i = 0; i < NR_COMMANDS; i++) {
        if (!strcmp(name, commands[i].name))
            return &commands[i];
    }
    return NULL;
}

bool rmt_command_is_group(const struct rmt_command *command)
{
    return command->run == NULL;
}

/* What a command of a group is called by, behind the group's own name and a blank. */
static const char *name_in_group(const struct rmt_command *command)
{
    const char *blank = strchr(command->name, ' ');
    return blank ? blank + 1 : command->name;
}

const struct rmt_command *rmt_command_in_group(const struct rmt_command *group, const char *name)
{
    (void)group; /* there is one */
    for (size_t i = 0; i < NR_DISK_COMMANDS; i++) {
        if (!strcmp(name, name_in_group(&disk_commands[i])))
            return &disk_commands[i];
    }
    return NULL;
}

const struct rmt_command *rmt_command_nearest(const struct rmt_command *group, const char *name)
{
    const struct rmt_command *nearest = NULL, *all = group ? disk_commands : commands;
    size_t best = 3, count = group ? (size_t)NR_DISK_COMMANDS : (size_t)NR_COMMANDS;
    for (size_t i = 0; i < count; i++) {
        const char *other = name_in_group(&all[i]);
        size_t distance = rmt_text_distance(name, other);
        if (distance < best && distance < strlen(other)) {
            nearest = &all[i];
            best = distance;
        }
    }
    return nearest;
}

void rmt_command_list(FILE *file)
{
    const char *bold = rmt_output_bold(file);
    const char *plain = rmt_output_plain(file);
    fprintf(file, "%susage:%s ramet COMMAND STORE [OPERAND]... [OPTION]...\n\n%scommands:%s\n",
            bold, plain, bold, plain);
    for (size_t i = 0; i < NR_COMMANDS; i++)
        fprintf(file, "  %-12s %s\n", commands[i].name, commands[i].summary);
    fprintf(file, "  %-12s %s\n", "help", "this list, or the help of one command");
    fprintf(
        file,
        "\nramet COMMAND --help shows operands, options and examples; every command takes --json.\n"
        "Status: 0 done, 1 no such key, conflicts, 2 wrong usage, 3 failed. More in ramet(1).\n");
}

static void print_examples(const char *line)
{
    while (*line) {
        const char *end = strchr(line, '\n');
        (void)fputs("  ", stdout);
        (void)fwrite(line, 1, (size_t)(end + 1 - line), stdout); /* rmt_output_finish() asks */
        line = end + 1;
    }
}

static void help_group(const struct rmt_command *group)
{
    const char *bold = rmt_output_bold(stdout);
    const char *plain = rmt_output_plain(stdout);
    uint64_t options = 0;
    printf("%susage:%s ramet %s COMMAND STORE [OPERAND]... [OPTION]...\n\n%scommands:%s\n", bold,
           plain, group->name, bold, plain);
    for (size_t i = 0; i < NR_DISK_COMMANDS; i++) {
        const struct rmt_command *command = &disk_commands[i];
        printf("  %-9s %-17s %s\n", name_in_group(command), command->operands, command->summary);
        options |= command->options;
    }
    printf("\n%soptions:%s (ramet %s COMMAND --help has those of one)\n", bold, plain, group->name);
    rmt_args_describe(options);
    printf("\n%sexamples:%s\n", bold, plain);
    for (size_t i = 0; i < NR_DISK_COMMANDS; i++)
        print_examples(disk_commands[i].examples);
}

void rmt_command_help(const struct rmt_command *command)
{
    const char *bold = rmt_output_bold(stdout);
    const char *plain = rmt_output_plain(stdout);
    if (rmt_command_is_group(command)) {
        help_group(command);
        return;
    }
    printf("%susage:%s ramet %s%s%s [OPTION]...\n\n%s\n\n%soptions:%s\n", bold, plain,
           command->name, command->operands[0] ? " " : "", command->operands, command->summary,
           bold, plain);
    rmt_args_describe(command->options);
    printf("\n%sexamples:%s\n", bold, plain);
    print_examples(command->examples);
}
