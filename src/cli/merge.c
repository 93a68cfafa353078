/* SPDX-License-Identifier: MIT */
/*
 * merge.c - merge, cherry-pick, revert: changes of one version brought into a branch.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "conflicts.h"
#include "difflines.h"
#include "interrupt.h"
#include "progress.h"

/* Conflicts and changes are shown when nobody waits any more for the target's writer; so many bytes
 * of them are collected till then. */
enum { SHOWN_MAX = 64 << 20 };

enum kind { MERGE, PICK, REVERT };

struct merging {
    struct rmt_session *s;
    enum kind kind;
    const char *from;
    struct ramet_merge_options options;
    struct ramet_merge_rule rules[RMT_ARGS_LIST_MAX];
    struct rmt_buf names[RMT_ARGS_LIST_MAX]; /* of the rules' maps */
    struct ramet_keep keep;
    struct ramet_merge_result result;
    uint64_t source_id; /* 0: not known */
    struct rmt_buf message, author;
    struct rmt_difflines_style style;
    struct rmt_buf shown; /* what is still to be printed */
    struct rmt_progress progress;
};

/* ---- policies ----------------------------------------------------------------------------------
 */

static const char *const policies[] = {
    [RAMET_MERGE_FAIL] = "fail",
    [RAMET_MERGE_OURS] = "ours",
    [RAMET_MERGE_THEIRS] = "theirs",
    [RAMET_MERGE_COUNTER] = "counter",
    [RAMET_MERGE_MAX] = "max",
    [RAMET_MERGE_MIN] = "min",
    [RAMET_MERGE_COUNTER64] = "counter64",
    [RAMET_MERGE_MAX64] = "max64",
    [RAMET_MERGE_MIN64] = "min64",
    [RAMET_MERGE_SET] = "set",
    [RAMET_MERGE_TEXT] = "text",
};
enum { NR_POLICIES = sizeof(policies) / sizeof(policies[0]) };

/* One of enum ramet_merge_policy, or -1 after saying what is wrong. */
static int find_policy(const char *name)
{
    const char *nearest = NULL;
    size_t best = 3;
    for (int i = 0; i < NR_POLICIES; i++) {
        size_t distance = rmt_text_distance(name, policies[i]);
        if (distance == 0)
            return i;
        if (distance < best && distance < strlen(policies[i])) {
            nearest = policies[i];
            best = distance;
        }
    }
    if (nearest)
        return rmt_output_error("no policy '%s'; did you mean '%s'?", name, nearest);
    return rmt_output_error("no policy '%s'; there are fail, ours, theirs, counter, max, min, "
                            "counter64, max64, min64, set and text",
                            name);
}

/* Where the policy of a rule begins. A map or prefix may have '=' in it, a policy has not. */
static const char *policy_of(const char *rule)
{
    const char *equals = strrchr(rule, '=');
    return equals ? equals + 1 : rule;
}

/* Before anything is opened. */
static int check_rules(const struct rmt_args_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *policy = policy_of(list->items[i]);
        if (find_policy(policy) < 0)
            return RMT_EXIT_USAGE;
        if (policy == list->items[i] + 1)
            return rmt_session_usage("--policy %s: a map or /prefix stands before '='",
                                     list->items[i]);
    }
    return RMT_EXIT_OK;
}

enum named { NOTHING, DISK, MAP };

/* What a ref has by that name. */
static enum named has(const struct merging *m, const char *ref, const char *name)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_blob *blob;
    enum named named = NOTHING;
    if (ramet_begin(m->s->store, ref, RAMET_READ, &txn) < 0)
        return NOTHING; /* the merge itself will say it */
    if (ramet_map_open(txn, name, 0, &map) == 0)
        named = MAP;
    else if (ramet_blob_open(txn, name, 0, &blob) == 0)
        named = DISK;
    ramet_abort(txn);
    return named;
}

static enum named either_has(const struct merging *m, const char *name)
{
    enum named ours = has(m, m->s->branch, name), theirs = has(m, m->from, name);
    return ours > theirs ? ours : theirs;
}

/* A rule's MAP[/PREFIX]: the map, or the disk, is the longest that there is, for its name may have
 * '/' in it. */
static void split_rule(struct merging *m, const char *what, struct rmt_buf *name,
                       struct ramet_slice *prefix)
{
    size_t size = name->size;
    enum named named = NOTHING;
    while (size) {
        name->size = size;
        named = either_has(m, rmt_buf_str(name));
        if (named != NOTHING)
            break;
        do {
            size--;
        } while (size && what[size] != '/');
    }
    if (!size) {
        size = strcspn(what, "/=");
        name->size = size;
        rmt_output_error("no map or disk '%s' in '%s', nor in '%s': that policy decides nothing; "
                         "'ramet maps %s' lists them",
                         rmt_buf_str(name), m->s->branch, m->from, m->s->path);
    }
    *prefix = (struct ramet_slice){NULL, 0};
    if (named == DISK) {
        rmt_buf_clear(name);
        rmt_buf_add_byte(name, RAMET_BLOB_MARK);
        rmt_buf_add(name, what, size);
        return;
    }
    if (what[size] == '/')
        *prefix = (struct ramet_slice){what + size + 1,
                                       (size_t)(policy_of(what) - 1 - (what + size + 1))};
}

static void set_rules(struct merging *m)
{
    const struct rmt_args_list *list = &m->s->args.policies;
    for (size_t i = 0; i < list->count; i++) {
        const char *what = list->items[i];
        const char *policy = policy_of(what);
        struct ramet_merge_rule *rule = &m->rules[m->options.nr_rules];
        *rule = (struct ramet_merge_rule){.policy = find_policy(policy)};
        if (policy == what) {
            m->options.policy = rule->policy;
            continue;
        }
        size_t size = (size_t)(policy - 1 - what);
        if (what[0] == '/') {
            rule->prefix = (struct ramet_slice){what + 1, size - 1};
        } else {
            struct rmt_buf *name = &m->names[i];
            rmt_buf_add(name, what, size);
            split_rule(m, what, name, &rule->prefix);
            rule->map = rmt_buf_str(name);
        }
        m->options.nr_rules++;
    }
    m->options.rules = m->rules;
}

/* ---- what the version is kept as ---------------------------------------------------------------
 */

/* The version itself comes first, if somebody keeps it. */
static int note_source(void *ctx, const struct ramet_snapshot_info *info)
{
    struct merging *m = ctx;
    if (info->id == m->source_id && info->message)
        rmt_buf_add_str(&m->message, info->message);
    if (info->id == m->source_id && info->author)
        rmt_buf_add_str(&m->author, info->author);
    return 1;
}

/* A pick has the message and author of what is picked; of others it says what was done. */
static void describe(struct merging *m)
{
    struct ramet_txn *txn;
    if (ramet_begin(m->s->store, m->from, RAMET_READ, &txn) < 0)
        return; /* the merge itself will say it */
    m->source_id = ramet_txn_id(txn);
    ramet_abort(txn);
    if (m->kind == MERGE) {
        rmt_buf_printf(&m->message, "merge %s", m->from);
        return;
    }
    (void)ramet_history(m->s->store, m->from, 0, note_source, m); /* without, it says less */
    if (m->kind == PICK && m->message.size)
        return;
    struct rmt_buf was = m->message;
    m->message = (struct rmt_buf){0};
    rmt_buf_printf(&m->message, "%s @%" PRIu64, m->kind == PICK ? "pick" : "revert", m->source_id);
    if (was.size)
        rmt_buf_printf(&m->message, ": %s", rmt_buf_str(&was));
    if (m->message.size > RAMET_MESSAGE_MAX)
        m->message.size = RAMET_MESSAGE_MAX;
    if (m->kind == REVERT)
        rmt_buf_clear(&m->author); /* who undoes is somebody else */
    rmt_buf_free(&was);
}

static void set_keep(struct merging *m)
{
    const struct rmt_args *args = &m->s->args;
    describe(m);
    m->keep = (struct ramet_keep){
        .size = sizeof(m->keep),
        .name = args->name,
        .author = args->author     ? args->author
                  : m->author.size ? rmt_buf_str(&m->author)
                                   : NULL,
        .message = args->message     ? args->message
                   : m->message.size ? rmt_buf_str(&m->message)
                                     : NULL,
    };
    m->options.keep = &m->keep;
}

/* ---- what came of it --------------------------------------------------------------------------
 */

static void flush_shown(struct merging *m)
{
    if (m->shown.size)
        (void)fwrite(m->shown.data, 1, m->shown.size, stdout); /* rmt_output_finish() asks */
    rmt_buf_clear(&m->shown);
}

static int on_conflict(void *ctx, const struct ramet_conflict *conflict)
{
    struct merging *m = ctx;
    rmt_conflicts_add(&m->shown, conflict, m->s->args.json);
    if (m->shown.size > SHOWN_MAX)
        flush_shown(m);
    return 0;
}

static int on_change(void *ctx, const struct ramet_change *change)
{
    struct merging *m = ctx;
    rmt_difflines_add(&m->shown, &m->style, change);
    if (m->shown.size > SHOWN_MAX)
        flush_shown(m);
    return 0;
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct merging *m = ctx;
    (void)total;
    rmt_progress_update(&m->progress, done, done, 0);
    return rmt_interrupt_seen();
}

/* A fast-forward looks at no entry, unless somebody wants to be told. */
static bool counted(const struct merging *m)
{
    return !m->result.fast_forward || m->s->args.dry_run || m->s->args.verbose;
}

static void print_json(const struct merging *m, bool done)
{
    const struct ramet_merge_result *result = &m->result;
    json_t *object = json_object();
    rmt_output_json_str(object, "into", m->s->branch);
    rmt_output_json_str(object, "from", m->from);
    json_object_set_new(object, "done", json_boolean(done));
    rmt_output_json_int(object, "id", result->id);
    if (result->base)
        rmt_output_json_int(object, "base", result->base);
    else
        json_object_set_new(object, "base", json_null());
    if (!counted(m))
        json_object_set_new(object, "changes", json_null()); /* nobody counted them */
    else
        rmt_output_json_int(object, "changes", result->changes);
    rmt_output_json_int(object, "conflicts", result->conflicts);
    json_object_set_new(object, "fast_forward", json_boolean(result->fast_forward));
    json_object_set_new(object, "up_to_date", json_boolean(result->up_to_date));
    rmt_output_json(object);
}

/* "merge test into main", in the form that the sentence needs. */
static void add_deed(const struct merging *m, struct rmt_buf *text)
{
    static const char *const did[] = {[MERGE] = "merged", [PICK] = "picked", [REVERT] = "reverted"};
    static const char *const would[] = {
        [MERGE] = "would merge", [PICK] = "would pick", [REVERT] = "would revert"};
    bool dry = m->s->args.dry_run;
    if (m->result.fast_forward) {
        rmt_buf_printf(text, "%s %s to %s", dry ? "would fast-forward" : "fast-forwarded",
                       m->s->branch, m->from);
        return;
    }
    rmt_buf_printf(text, "%s %s %s %s", dry ? would[m->kind] : did[m->kind], m->from,
                   m->kind == REVERT ? "on" : "into", m->s->branch);
}

static void print_text(const struct merging *m)
{
    const struct ramet_merge_result *result = &m->result;
    const struct rmt_args *args = &m->s->args;
    struct rmt_buf text = {0};
    if (result->up_to_date) {
        static const char *const has[] = {[MERGE] = "is up to date with",
                                          [PICK] = "has the changes already of",
                                          [REVERT] = "has nothing left to revert of"};
        rmt_buf_printf(&text, "%s %s %s", m->s->branch, has[m->kind], m->from);
    } else {
        add_deed(m, &text);
        rmt_buf_add_str(&text, ":");
        if (!args->dry_run)
            rmt_buf_printf(&text, " @%" PRIu64, result->id);
        if (counted(m)) {
            rmt_buf_add_str(&text, args->dry_run ? " " : ", ");
            rmt_text_grouped(&text, result->changes);
            rmt_buf_add_str(&text, result->changes == 1 ? " entry changed" : " entries changed");
        }
        if (result->conflicts) {
            rmt_buf_add_str(&text, ", ");
            rmt_conflicts_number(&text, result->conflicts);
        }
    }
    rmt_output_name(rmt_buf_str(&text));
    rmt_buf_free(&text);
}

/* Nothing was changed: what to do about it. */
static int say_conflicts(struct merging *m)
{
    struct rmt_buf number = {0};
    if (m->s->args.json)
        print_json(m, false);
    else if (m->s->args.dry_run)
        print_text(m);
    rmt_conflicts_number(&number, m->result.conflicts);
    rmt_output_error("%s, and nothing was changed; --policy [MAP[/PREFIX]=]POLICY decides them "
                     "(ours, theirs, counter, max, min, set, text), or --keep-conflicts records "
                     "them for 'ramet conflicts' and 'ramet resolve'",
                     rmt_buf_str(&number));
    rmt_buf_free(&number);
    return RMT_EXIT_CONFLICT;
}

static int say_kept(const struct merging *m)
{
    struct rmt_buf number = {0};
    const char *path = m->s->path;
    const char *branch = m->s->branch;
    rmt_conflicts_number(&number, m->result.conflicts);
    rmt_output_error("%s to be resolved, and till then '%s' has there what it had; "
                     "'ramet conflicts %s %s' lists them, 'ramet resolve %s MAP KEY "
                     "--ours|--theirs|--base|--value VALUE -b %s' decides one",
                     rmt_buf_str(&number), branch, path, branch, path, branch);
    rmt_buf_free(&number);
    return RMT_EXIT_CONFLICT;
}

static int say_failed(struct merging *m, int rc)
{
    static const char *const what[] = {[MERGE] = "merge", [PICK] = "pick", [REVERT] = "revert"};
    if (rmt_interrupt_seen()) {
        rmt_output_error("interrupted; nothing was changed");
        return RMT_EXIT_INTERRUPTED;
    }
    return rmt_session_fail(rc, "cannot %s '%s' %s '%s'", what[m->kind], m->from,
                            m->kind == REVERT ? "on" : "into", m->s->branch);
}

static int finish(struct merging *m, int rc)
{
    const struct rmt_args *args = &m->s->args;
    const struct ramet_merge_result *result = &m->result;
    rmt_progress_clear();
    flush_shown(m);
    if (rc == RAMET_ECONFLICT && result->conflicts)
        return say_conflicts(m);
    if (rc < 0)
        return say_failed(m, rc);
    if (args->json)
        print_json(m, !args->dry_run && !result->up_to_date);
    else
        print_text(m);
    if (result->fast_forward && !args->dry_run && !args->name && (args->message || args->author))
        rmt_output_error("a fast-forward makes no version that a message or author could go with; "
                         "--no-ff makes one, or give it a --name");
    if (result->conflicts)
        return args->dry_run ? RMT_EXIT_CONFLICT : say_kept(m);
    return RMT_EXIT_OK;
}

/* ---- the commands ------------------------------------------------------------------------------
 */

static int run(struct merging *m, const char *branch)
{
    typedef int merge_fn(struct ramet_store *, const char *, const char *,
                         const struct ramet_merge_options *, struct ramet_merge_result *);
    static merge_fn *const functions[] = {
        [MERGE] = ramet_merge, [PICK] = ramet_cherry_pick, [REVERT] = ramet_revert};
    struct rmt_session *s = m->s;
    const struct rmt_args *args = &s->args;

    int status = check_rules(&args->policies);
    if (!status)
        status = rmt_session_open(s, RAMET_MUST_EXIST | (args->dry_run ? RAMET_READONLY : 0));
    if (status)
        return status;
    s->branch = branch ? branch : "main";
    m->from = args->operand[1];
    m->result.size = sizeof(m->result);
    m->options = (struct ramet_merge_options){
        .size = sizeof(m->options),
        .flags = (args->dry_run ? RAMET_MERGE_DRY_RUN : 0) |
                 (args->keep_conflicts ? RAMET_MERGE_KEEP_CONFLICTS : 0) |
                 (args->no_ff ? RAMET_MERGE_NO_FF : 0),
        .conflict = on_conflict,
        .conflict_ctx = m,
        .progress = on_progress,
        .progress_ctx = m,
    };
    rmt_difflines_style_init(&m->style, args->json);
    if (args->verbose) {
        m->options.change = on_change;
        m->options.change_ctx = m;
    }
    set_rules(m);
    set_keep(m);
    rmt_interrupt_catch();
    rmt_progress_start(&m->progress, "merge", "entries", 0);
    return finish(m, functions[m->kind](s->store, s->branch, m->from, &m->options, &m->result));
}

static int merge(struct rmt_session *s, enum kind kind, const char *branch)
{
    struct merging m = {.s = s, .kind = kind};
    int status = run(&m, branch);
    for (size_t i = 0; i < RMT_ARGS_LIST_MAX; i++)
        rmt_buf_free(&m.names[i]);
    rmt_buf_free(&m.message);
    rmt_buf_free(&m.author);
    rmt_buf_free(&m.shown);
    return status;
}

int rmt_merge_run(struct rmt_session *s)
{
    return merge(s, MERGE, s->args.into);
}

int rmt_merge_pick(struct rmt_session *s)
{
    return merge(s, PICK, s->args.into);
}

int rmt_merge_revert(struct rmt_session *s)
{
    return merge(s, REVERT, s->args.branch);
}
