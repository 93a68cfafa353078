/* SPDX-License-Identifier: MIT */
/*
 * graph.c - the command graph: what the versions of a store are, put in order.
 */
#include "graph.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

enum {
    FOLD_MIN = 4
}; /* versions in a row; fewer take no more room than what says that they went */

/* ---- arrays ---------------------------------------------------------------------------------- */

static size_t add_version(struct rmt_graph *g, const struct rmt_graph_version *version)
{
    rmt_buf_add(&g->version_bytes, version, sizeof(*version));
    g->versions = (void *)g->version_bytes.data;
    return g->nr_versions++;
}

static size_t add_line(struct rmt_graph *g, const struct rmt_graph_line *line)
{
    rmt_buf_add(&g->line_bytes, line, sizeof(*line));
    g->lines = (void *)g->line_bytes.data;
    return g->nr_lines++;
}

static char *copy(const char *str, size_t len)
{
    struct rmt_buf text = {0};
    rmt_buf_add(&text, str, len);
    (void)rmt_buf_str(&text);
    return text.data;
}

/* Versions by id: a table of indexes, open addressing; its size is a power of two. */
static size_t *slot_of(const struct rmt_graph *g, uint64_t id)
{
    size_t *slots = (void *)g->ids.data;
    size_t mask = g->ids.size / sizeof(*slots) - 1;
    size_t at = (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & mask;
    while (slots[at] != RMT_GRAPH_NONE && g->versions[slots[at]].id != id)
        at = (at + 1) & mask;
    return &slots[at];
}

static void make_room(struct rmt_graph *g)
{
    size_t nr_slots = g->ids.size / sizeof(size_t);
    if (2 * g->nr_versions < nr_slots)
        return;
    nr_slots = nr_slots ? 2 * nr_slots : 64;
    rmt_buf_clear(&g->ids);
    rmt_buf_reserve(&g->ids, nr_slots * sizeof(size_t));
    g->ids.size = nr_slots * sizeof(size_t);
    memset(g->ids.data, 0xff, g->ids.size); /* RMT_GRAPH_NONE */
    for (size_t i = 0; i < g->nr_versions; i++)
        *slot_of(g, g->versions[i].id) = i;
}

static size_t find_id(const struct rmt_graph *g, uint64_t id)
{
    return g->ids.size ? *slot_of(g, id) : RMT_GRAPH_NONE;
}

/* ---- what there is --------------------------------------------------------------------------- */

/* A snapshot that somebody keeps. */
struct label {
    uint64_t id;
    char *name;    /* BRANCH@NAME, or NULL */
    size_t branch; /* that keeps it */
};

struct collecting {
    struct rmt_graph *g;
    struct rmt_buf labels; /* of struct label */
    size_t branch;         /* that snapshots are listed of: they come in the order of branches */
    size_t line, last;     /* of the walk: its line, and the version before */
};

static int see_branch(void *ctx, const struct ramet_branch_info *info)
{
    struct rmt_graph *g = ctx;
    struct rmt_graph_branch branch = {
        .info = *info,
        .oldest = UINT64_MAX,
        .head = RMT_GRAPH_NONE,
        .line = RMT_GRAPH_NONE,
        .next = RMT_GRAPH_NONE,
    };
    branch.info.name = copy(info->name, strlen(info->name));
    rmt_buf_add(&g->branch_bytes, &branch, sizeof(branch));
    g->branches = (void *)g->branch_bytes.data;
    g->nr_branches++;
    return 0;
}

static int see_label(void *ctx, const struct ramet_snapshot_info *info)
{
    struct collecting *c = ctx;
    struct rmt_graph *g = c->g;
    struct label label = {.id = info->id, .branch = RMT_GRAPH_NONE};
    if (info->name) {
        struct rmt_buf text = {0};
        rmt_buf_printf(&text, "%s@%s", info->branch, info->name);
        (void)rmt_buf_str(&text);
        label.name = text.data;
    }
    for (size_t i = 0; i < g->nr_branches; i++, c->branch = (c->branch + 1) % g->nr_branches) {
        struct rmt_graph_branch *branch = &g->branches[c->branch];
        if (!strcmp(branch->info.name, info->branch)) {
            branch->oldest = info->id < branch->oldest ? info->id : branch->oldest;
            label.branch = c->branch;
            break;
        }
    }
    rmt_buf_add(&c->labels, &label, sizeof(label));
    return 0;
}

/* Versions of a line, from the top on, until one of another line comes. */
static int see_version(void *ctx, const struct ramet_snapshot_info *info)
{
    struct collecting *c = ctx;
    struct rmt_graph *g = c->g;
    struct rmt_graph_line *line = &g->lines[c->line];
    if (c->last != RMT_GRAPH_NONE && info->id >= g->versions[c->last].id)
        return 1; /* a damaged catalog: what stands on each other has ids in that order */
    make_room(g);
    size_t *slot = slot_of(g, info->id);
    bool seen = *slot != RMT_GRAPH_NONE;
    if (!seen) {
        const char *message = info->message;
        struct rmt_graph_version version = {
            .id = info->id,
            .oldest = info->id,
            .folded = 1,
            .below = RMT_GRAPH_NONE,
            .merged = RMT_GRAPH_NONE,
            .merged_id = info->parents[1],
            .line = c->line,
            .kept = info->branch != NULL,
            .time = info->time,
            .owned_bytes = info->owned_bytes,
            .total_bytes = info->total_bytes,
            .message = message && message[0] ? copy(message, strcspn(message, "\n")) : NULL,
            .head = RMT_GRAPH_NONE,
        };
        *slot = add_version(g, &version);
        if (line->top == RMT_GRAPH_NONE)
            line->top = *slot;
        line->bottom = *slot;
    } else {
        line->from = *slot;
    }
    if (c->last != RMT_GRAPH_NONE)
        g->versions[c->last].below = *slot;
    else if (line->branch != RMT_GRAPH_NONE)
        g->branches[line->branch].head = *slot;
    c->last = *slot;
    return seen;
}

static int walk(struct collecting *c, struct rmt_session *s, const char *ref, size_t branch)
{
    struct rmt_graph_line line = {
        .branch = branch,
        .top = RMT_GRAPH_NONE,
        .bottom = RMT_GRAPH_NONE,
        .from = RMT_GRAPH_NONE,
    };
    c->line = add_line(c->g, &line);
    c->last = RMT_GRAPH_NONE;
    if (branch != RMT_GRAPH_NONE)
        c->g->branches[branch].line = c->line;
    int rc = ramet_history(s->store, ref, RAMET_HISTORY_HIDDEN, see_version, c);
    return rc == RAMET_ENOTFOUND ? 0 : rc; /* it was dropped meanwhile */
}

struct turn {
    uint64_t oldest;
    size_t branch;
};

static int by_age(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;
    if (x->oldest != y->oldest)
        return x->oldest < y->oldest ? -1 : 1;
    return x->branch < y->branch ? -1 : 1;
}

/* Versions below two branches are on the line of the one that kept something first, for the other
 * was made from it. main is first in any case. */
static int walk_branches(struct collecting *c, struct rmt_session *s)
{
    struct rmt_graph *g = c->g;
    struct rmt_buf bytes = {0};
    for (size_t i = 0; i < g->nr_branches; i++) {
        bool is_main = !strcmp(g->branches[i].info.name, "main");
        struct turn turn = {is_main ? 0 : g->branches[i].oldest, i};
        rmt_buf_add(&bytes, &turn, sizeof(turn));
    }
    const struct turn *turns = (void *)bytes.data;
    if (g->nr_branches)
        qsort(bytes.data, g->nr_branches, sizeof(*turns), by_age);
    int rc = 0;
    for (size_t i = 0; i < g->nr_branches && rc >= 0; i++)
        rc = walk(c, s, g->branches[turns[i].branch].info.name, turns[i].branch);
    rmt_buf_free(&bytes);
    return rc;
}

/* Labels; and what is kept, and below no head. */
static int walk_labels(struct collecting *c, struct rmt_session *s)
{
    struct rmt_graph *g = c->g;
    size_t nr = c->labels.size / sizeof(struct label);
    const struct label *labels = (void *)c->labels.data;
    for (size_t i = nr; i-- > 0;) { /* newest first, so that a line is one line */
        char ref[32];
        if (find_id(g, labels[i].id) != RMT_GRAPH_NONE)
            continue;
        (void)snprintf(ref, sizeof(ref), "@%" PRIu64, labels[i].id);
        int rc = walk(c, s, ref, RMT_GRAPH_NONE);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < nr; i++) {
        size_t at = find_id(g, labels[i].id);
        if (at == RMT_GRAPH_NONE)
            continue;
        if (g->lines[g->versions[at].line].branch != labels[i].branch)
            g->versions[at].others = true;
        if (!labels[i].name)
            continue;
        struct rmt_buf text = {0};
        char **names = &g->versions[at].names;
        rmt_buf_printf(&text, "%s%s%s", *names ? *names : "", *names ? "\n" : "", labels[i].name);
        (void)rmt_buf_str(&text);
        free(*names);
        *names = text.data;
    }
    return 0;
}

/* Heads, merges: what could only be said when all versions were there. */
static void connect(struct rmt_graph *g)
{
    for (size_t i = g->nr_branches; i-- > 0;) {
        struct rmt_graph_branch *branch = &g->branches[i];
        if (branch->head == RMT_GRAPH_NONE)
            continue;
        branch->next = g->versions[branch->head].head;
        g->versions[branch->head].head = i;
    }
    for (size_t i = 0; i < g->nr_versions; i++) {
        struct rmt_graph_version *version = &g->versions[i];
        if (version->merged_id && version->merged_id < version->id)
            version->merged = find_id(g, version->merged_id);
    }
}

static void weigh(struct rmt_graph *g, struct rmt_graph_branch *branch)
{
    const struct rmt_graph_version *version = &g->versions[branch->head];
    branch->shared_bytes = version->total_bytes;
    while (version->line == branch->line && !version->others) {
        branch->own_bytes += version->owned_bytes;
        branch->shared_bytes = version->total_bytes - version->owned_bytes;
        if (version->below == RMT_GRAPH_NONE)
            break;
        version = &g->versions[version->below];
    }
}

static void weigh_branches(struct rmt_graph *g)
{
    for (size_t i = 0; i < g->nr_lines; i++) {
        if (g->lines[i].from != RMT_GRAPH_NONE)
            g->versions[g->lines[i].from].others = true;
    }
    for (size_t i = 0; i < g->nr_branches; i++) {
        if (g->branches[i].head != RMT_GRAPH_NONE)
            weigh(g, &g->branches[i]);
    }
}

/* ---- folding --------------------------------------------------------------------------------- */

/* A version that is just one more of its line. */
static bool is_plain(const struct rmt_graph *g, size_t at, const uint32_t *nr_links)
{
    const struct rmt_graph_version *version = &g->versions[at];
    return !version->names && version->head == RMT_GRAPH_NONE && !version->merged_id &&
           nr_links[at] == 1 && version->below != RMT_GRAPH_NONE &&
           g->versions[version->below].line == version->line;
}

static void fold_line(struct rmt_graph *g, const struct rmt_graph_line *line,
                      const uint32_t *nr_links)
{
    size_t number = (size_t)(line - g->lines);
    for (size_t at = line->top; at != RMT_GRAPH_NONE && g->versions[at].line == number;) {
        size_t count = 0, end = at;
        while (is_plain(g, end, nr_links)) {
            count++;
            end = g->versions[end].below;
        }
        struct rmt_graph_version *first = &g->versions[at];
        if (count < FOLD_MIN) {
            at = count ? end : first->below;
            continue;
        }
        while (first->below != end) {
            struct rmt_graph_version *next = &g->versions[first->below];
            next->gone = true;
            first->oldest = next->id;
            first->owned_bytes += next->owned_bytes;
            first->below = next->below;
            first->folded++;
        }
        at = end;
    }
}

static void fold_runs(struct rmt_graph *g)
{
    /* What stands on a version, or has merged it. */
    struct rmt_buf bytes = {0};
    rmt_buf_reserve(&bytes, g->nr_versions * sizeof(uint32_t));
    uint32_t *nr_links = (void *)bytes.data;
    if (g->nr_versions)
        memset(nr_links, 0, g->nr_versions * sizeof(*nr_links));
    for (size_t i = 0; i < g->nr_versions; i++) {
        if (g->versions[i].below != RMT_GRAPH_NONE)
            nr_links[g->versions[i].below]++;
        if (g->versions[i].merged != RMT_GRAPH_NONE)
            nr_links[g->versions[i].merged]++;
    }
    for (size_t i = 0; i < g->nr_lines; i++)
        fold_line(g, &g->lines[i], nr_links);
    rmt_buf_free(&bytes);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* What must come before a version: what stands on it, and what merged it. */
struct link {
    size_t version;
    size_t next; /* link, or RMT_GRAPH_NONE */
};

struct ordering {
    struct rmt_graph *g;
    struct link *links;
    size_t *first; /* of each version; it is taken off when its turn came */
    size_t *stack;
    bool *done;
    size_t nr_links;
};

static void link_to(struct ordering *o, size_t version, size_t before)
{
    o->links[o->nr_links] = (struct link){before, o->first[version]};
    o->first[version] = o->nr_links++;
}

/* Everything that must come before it, then the version. */
static void place(struct ordering *o, size_t version)
{
    size_t depth = 0;
    if (o->done[version])
        return;
    o->done[version] = true;
    o->stack[depth++] = version;
    while (depth) {
        size_t top = o->stack[depth - 1];
        size_t link = o->first[top];
        if (link == RMT_GRAPH_NONE) {
            o->g->rows[o->g->nr_rows++] = top;
            depth--;
            continue;
        }
        o->first[top] = o->links[link].next;
        size_t before = o->links[link].version;
        if (!o->done[before]) {
            o->done[before] = true;
            o->stack[depth++] = before;
        }
    }
}

static void *array_of(size_t count, size_t size)
{
    struct rmt_buf bytes = {0};
    rmt_buf_reserve(&bytes, (count + 1) * size);
    memset(bytes.data, 0, (count + 1) * size);
    return bytes.data;
}

int rmt_graph_by_id(const void *a, const void *b)
{
    const struct rmt_graph_dated *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Line by line, as far as merges let it: what stands on a version comes right above it, the newest
 * first, so that few lines run beside each other. */
static void order_rows(struct rmt_graph *g)
{
    size_t nr = g->nr_versions;
    struct ordering o = {
        .g = g,
        .links = array_of(2 * nr, sizeof(struct link)),
        .first = array_of(nr, sizeof(size_t)),
        .stack = array_of(nr, sizeof(size_t)),
        .done = array_of(nr, sizeof(bool)),
    };
    struct rmt_graph_dated *dated = array_of(nr, sizeof(*dated));
    g->rows = array_of(nr, sizeof(size_t));
    memset(o.first, 0xff, nr * sizeof(size_t));
    for (size_t i = 0; i < nr; i++)
        dated[i] = (struct rmt_graph_dated){g->versions[i].id, i};
    qsort(dated, nr, sizeof(*dated), rmt_graph_by_id);
    for (int own = 0; own <= 1; own++) { /* links are put in front: those of its line at last */
        for (size_t i = 0; i < nr; i++) {
            const struct rmt_graph_version *version = &g->versions[dated[i].version];
            if (version->gone)
                continue;
            bool below = version->below != RMT_GRAPH_NONE;
            if (below && (g->versions[version->below].line == version->line) == own)
                link_to(&o, version->below, dated[i].version);
            if (!own && version->merged != RMT_GRAPH_NONE)
                link_to(&o, version->merged, dated[i].version);
        }
    }
    for (size_t i = 0; i < g->nr_lines; i++) {
        for (size_t at = g->lines[i].top; at != RMT_GRAPH_NONE && g->versions[at].line == i;
             at = g->versions[at].below)
            place(&o, at);
    }
    free(o.links);
    free(o.first);
    free(o.stack);
    free(o.done);
    free(dated);
}

/* ---- the whole ------------------------------------------------------------------------------- */

int rmt_graph_collect(struct rmt_graph *graph, struct rmt_session *s, bool fold)
{
    struct collecting c = {.g = graph};
    *graph = (struct rmt_graph){.stat = {.size = sizeof(graph->stat)}};
    int rc = ramet_stat(s->store, &graph->stat);
    if (rc >= 0)
        rc = ramet_branch_list(s->store, see_branch, graph);
    if (rc >= 0)
        rc = ramet_snapshot_list(s->store, NULL, see_label, &c);
    if (rc >= 0)
        rc = walk_branches(&c, s);
    if (rc >= 0)
        rc = walk_labels(&c, s);
    for (size_t i = 0; i < c.labels.size / sizeof(struct label); i++)
        free(((struct label *)(void *)c.labels.data)[i].name);
    rmt_buf_free(&c.labels);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot read the versions of '%s'", s->path);
    connect(graph);
    weigh_branches(graph);
    if (fold)
        fold_runs(graph);
    order_rows(graph);
    return RMT_EXIT_OK;
}

void rmt_graph_free(struct rmt_graph *graph)
{
    for (size_t i = 0; i < graph->nr_versions; i++) {
        free(graph->versions[i].message);
        free(graph->versions[i].names);
    }
    for (size_t i = 0; i < graph->nr_branches; i++)
        free((char *)(uintptr_t)graph->branches[i].info.name);
    rmt_buf_free(&graph->version_bytes);
    rmt_buf_free(&graph->branch_bytes);
    rmt_buf_free(&graph->line_bytes);
    rmt_buf_free(&graph->ids);
    free(graph->rows);
}

/* ---- the command ----------------------------------------------------------------------------- */

static json_t *json_id(const struct rmt_graph *g, size_t version)
{
    return version == RMT_GRAPH_NONE ? json_null()
                                     : json_integer((json_int_t)g->versions[version].id);
}

static json_t *json_names(const char *names)
{
    json_t *array = json_array();
    while (names && *names) {
        size_t len = strcspn(names, "\n");
        json_array_append_new(array, json_stringn(names, len));
        names += len + (names[len] == '\n');
    }
    return array;
}

static json_t *json_version(const struct rmt_graph *g, const struct rmt_graph_version *version)
{
    json_t *object = json_object();
    json_t *heads = json_array();
    for (size_t i = version->head; i != RMT_GRAPH_NONE; i = g->branches[i].next)
        json_array_append_new(heads, json_string(g->branches[i].info.name));
    rmt_output_json_int(object, "id", version->id);
    json_object_set_new(object, "below", json_id(g, version->below));
    json_object_set_new(object, "merged", json_id(g, version->merged));
    json_object_set_new(object, "kept", json_boolean(version->kept));
    json_object_set_new(object, "heads", heads);
    json_object_set_new(object, "names", json_names(version->names));
    rmt_output_json_str(object, "message", version->message);
    rmt_output_json_time(object, version->time);
    rmt_output_json_int(object, "owned_bytes", version->owned_bytes);
    rmt_output_json_int(object, "total_bytes", version->total_bytes);
    return object;
}

static void print_json(const struct rmt_graph *g)
{
    json_t *object = json_object();
    json_t *branches = json_array();
    json_t *versions = json_array();
    for (size_t i = 0; i < g->nr_branches; i++) {
        json_t *branch = json_object();
        rmt_output_json_str(branch, "name", g->branches[i].info.name);
        json_object_set_new(branch, "head", json_id(g, g->branches[i].head));
        rmt_output_json_int(branch, "shared_bytes", g->branches[i].shared_bytes);
        rmt_output_json_int(branch, "own_bytes", g->branches[i].own_bytes);
        json_array_append_new(branches, branch);
    }
    for (size_t i = 0; i < g->nr_rows; i++)
        json_array_append_new(versions, json_version(g, &g->versions[g->rows[i]]));
    json_object_set_new(object, "branches", branches);
    json_object_set_new(object, "versions", versions);
    rmt_output_json(object);
}

/* A misplaced word must not cost a store. */
static bool is_store(const char *path)
{
    char front[5] = {0};
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(front, 1, sizeof(front), file) : 0;
    if (file)
        (void)fclose(file);
    return n == sizeof(front) && !memcmp(front, "ramet", n);
}

static int write_picture(const struct rmt_buf *picture, const char *path)
{
    if (!path) {
        (void)fwrite(picture->data, 1, picture->size, stdout); /* rmt_output_finish() asks */
        return RMT_EXIT_OK;
    }
    if (is_store(path)) {
        rmt_output_error("'%s' is a store; give the picture another name", path);
        return RMT_EXIT_FAILED;
    }
    FILE *file = fopen(path, "we");
    size_t n = file ? fwrite(picture->data, 1, picture->size, file) : 0;
    int error = errno;
    if (file && fclose(file)) {
        error = errno;
        n = 0;
    }
    if (n == picture->size)
        return RMT_EXIT_OK;
    rmt_output_error("cannot write '%s': %s", path, strerror(error));
    return RMT_EXIT_FAILED;
}

int rmt_graph_run(struct rmt_session *s)
{
    const struct rmt_args *args = &s->args;
    const char *path = args->nr_operands > 1 ? args->operand[1] : NULL;
    if (args->svg + args->dot + args->json > 1)
        return rmt_session_usage("one of --svg, --dot and --json at a time");
    if (path && !args->svg && !args->dot)
        return rmt_session_usage("'%s' would be the file of a picture: say --svg or --dot", path);
    struct rmt_graph graph = {0};
    struct rmt_buf picture = {0};
    int status = rmt_session_open(s, RAMET_MUST_EXIST | RAMET_READONLY);
    if (!status)
        status = rmt_graph_collect(&graph, s, !args->all && !args->json);
    const char *slash = status ? NULL : strrchr(s->path, '/');
    const char *title = slash && slash[1] ? slash + 1 : s->path;
    if (!status && args->json)
        print_json(&graph);
    else if (!status && !args->svg && !args->dot)
        rmt_lanes_print(&graph);
    else if (!status) {
        if (args->svg)
            rmt_picture_svg(&picture, &graph, title);
        else
            rmt_picture_dot(&picture, &graph, title);
        status = write_picture(&picture, path);
    }
    rmt_buf_free(&picture);
    rmt_graph_free(&graph);
    return status;
}
