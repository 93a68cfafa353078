/* SPDX-License-Identifier: MIT */
#include "store/lines.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/ancestors.h"
#include "store/merged.h"

static struct rmt_key edge_key(const struct rmt_edge *edge)
{
    return rmt_key4('e', edge->line, edge->other, edge->place, edge->id);
}

static int malformed(const struct rmt_pages *pages)
{
    return rmt_fail(RAMET_ECORRUPT, "store '%s': a record 'e' of the catalog is malformed",
                    pages->io->path);
}

/* key: behind its letter. */
static int edge_load(const struct rmt_pages *pages, struct ramet_slice key,
                     struct ramet_slice value, struct rmt_edge *out)
{
    const uint8_t *numbers = key.data;
    struct rmt_disk_edge disk;
    if (key.size != 4 * 8 || value.size != sizeof(disk))
        return malformed(pages);
    memcpy(&disk, value.data, sizeof(disk));
    *out = (struct rmt_edge){
        .line = rmt_get_be64(numbers),
        .other = rmt_get_be64(numbers + 8),
        .place = rmt_get_be64(numbers + 16),
        .id = rmt_get_be64(numbers + 24),
        .number = rmt_get64(disk.number),
        .best_id = rmt_get64(disk.best_id),
        .best = rmt_get64(disk.best),
    };
    if (!rmt_id_legal(out->id) || !rmt_id_legal(out->best_id))
        return malformed(pages);
    return 0;
}

/* 1: the cursor is at an edge of a line; 0: it is not; or a code. */
static int look(struct rmt_cursor *cursor, uint64_t line, struct rmt_edge *out)
{
    struct ramet_slice key;
    struct rmt_value value;
    int rc = rmt_cursor_get(cursor, &key, &value);
    if (rc == RAMET_ENOTFOUND || (rc == 0 && *(const uint8_t *)key.data != 'e'))
        return 0;
    if (rc == 0 && value.extents)
        value.size = 0; /* so that it is refused */
    if (rc == 0)
        rc = edge_load(cursor->pages, rmt_slice((const uint8_t *)key.data + 1, key.size - 1),
                       rmt_slice(value.data, value.size), out);
    return rc < 0 ? rc : out->line == line;
}

/* Goes to the first edge with a key, or behind it. RAMET_ENOTFOUND is no failure: it is at none. */
static int seek(struct rmt_cursor *cursor, const struct rmt_key *key)
{
    int rc = rmt_cursor_seek(cursor, rmt_key_slice(key));
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

/* Goes to the last edge before one, which need not be there, between the same lines. 1; 0: there is
 * none; or a code. */
static int seek_before(struct rmt_cursor *cursor, const struct rmt_edge *edge, struct rmt_edge *out)
{
    struct rmt_key key = edge_key(edge);
    int rc = seek(cursor, &key);
    if (rc == 0)
        rc = rmt_cursor_prev(cursor); /* at no key: the last one */
    if (rc == 0)
        rc = look(cursor, edge->line, out);
    if (rc == RAMET_ENOTFOUND)
        return 0;
    return rc <= 0 ? rc : out->other == edge->other;
}

/* ---- changing it ----------------------------------------------------------------------------- */

/* What an edge is the best of, with the best of those before it. */
static void add_best(struct rmt_edge *edge, const struct rmt_edge *before)
{
    bool older = edge->id < before->best_id;
    edge->best_id = older ? before->best_id : edge->id;
    edge->best = older ? before->best : edge->number;
}

static int put_edge(struct rmt_commit *c, const struct rmt_edge *edge)
{
    struct rmt_key key = edge_key(edge);
    struct rmt_disk_edge disk = {
        rmt_put64(edge->number),
        rmt_put64(edge->best_id),
        rmt_put64(edge->best),
    };
    return rmt_catalog_put(c, &key, &disk, sizeof(disk));
}

/* The edge before one between the same lines, or one that leads nowhere. */
static int find_before(struct rmt_commit *c, const struct rmt_edge *edge, struct rmt_edge *out)
{
    struct rmt_cursor cursor;
    struct rmt_edge found;
    rmt_cursor_init(&cursor, &c->store->pages, &c->catalog);
    int rc = seek_before(&cursor, edge, &found);
    rmt_cursor_fini(&cursor);
    *out = rc > 0 ? found : (struct rmt_edge){.best_id = 0};
    return rc < 0 ? rc : 0;
}

/* The one behind it. 1; 0: there is none; or a code. */
static int find_behind(struct rmt_commit *c, const struct rmt_edge *edge, struct rmt_edge *out)
{
    struct rmt_cursor cursor;
    struct rmt_key key = rmt_key4('e', edge->line, edge->other, edge->place, edge->id + 1);
    rmt_cursor_init(&cursor, &c->store->pages, &c->catalog);
    int rc = seek(&cursor, &key);
    if (rc == 0)
        rc = look(&cursor, edge->line, out);
    rmt_cursor_fini(&cursor);
    return rc <= 0 ? rc : out->other == edge->other;
}

/* Those behind an edge are told what is the best at it. */
static int tell(struct rmt_commit *c, const struct rmt_edge *edge)
{
    struct rmt_edge at = *edge, next;
    int rc;
    while ((rc = find_behind(c, &at, &next)) > 0) {
        uint64_t best = next.best;
        add_best(&next, &at);
        if (next.best == best)
            return 0;
        rc = put_edge(c, &next);
        if (rc < 0)
            return rc;
        at = next;
    }
    return rc;
}

static struct rmt_edge edge_of(const struct rmt_version *v, const struct rmt_version *to)
{
    return (struct rmt_edge){
        .line = v->line,
        .other = to->line,
        .place = rmt_line_place(v),
        .id = to->id,
        .number = to->number,
    };
}

int rmt_line_put(struct rmt_commit *c, const struct rmt_version *v, const struct rmt_version *to)
{
    struct rmt_edge edge = edge_of(v, to), before;
    int rc = find_before(c, &edge, &before);
    add_best(&edge, &before);
    if (rc == 0)
        rc = put_edge(c, &edge);
    return rc < 0 ? rc : tell(c, &edge);
}

int rmt_line_del(struct rmt_commit *c, const struct rmt_version *v, const struct rmt_version *to)
{
    struct rmt_edge edge = edge_of(v, to), before;
    struct rmt_key key = edge_key(&edge);
    int rc = rmt_catalog_del(c, &key);
    if (rc == 0)
        rc = find_before(c, &edge, &before);
    if (rc < 0)
        return rc;
    edge.best_id = before.best_id;
    edge.best = before.best;
    return tell(c, &edge);
}

static bool crosses(const struct rmt_version *v, const struct rmt_version *prev)
{
    return !(v->flags & RMT_VERSION_HEAD) && prev->number && prev->line != v->line;
}

int rmt_line_stand(struct rmt_commit *c, const struct rmt_version *v,
                   const struct rmt_version *prev)
{
    return crosses(v, prev) ? rmt_line_put(c, v, prev) : 0;
}

int rmt_line_leave(struct rmt_commit *c, const struct rmt_version *v,
                   const struct rmt_version *prev)
{
    return crosses(v, prev) ? rmt_line_del(c, v, prev) : 0;
}

/* ---- what a version has of other lines ------------------------------------------------------- */

int rmt_reach_init(struct rmt_reach *reach, struct rmt_pages *pages, const struct rmt_tree *catalog,
                   const struct rmt_version *v)
{
    struct rmt_key key = rmt_key1('e', v->line);
    /* As with a scan, it is not changed by it. */
    rmt_cursor_init(&reach->cursor, pages, (struct rmt_tree *)(uintptr_t)catalog);
    reach->line = v->line;
    reach->from = 0;
    reach->place = rmt_line_place(v);
    return seek(&reach->cursor, &key);
}

void rmt_reach_fini(struct rmt_reach *reach)
{
    rmt_cursor_fini(&reach->cursor);
}

/* The same as look(): lines come in their order, or the tree is not one. */
static int look_further(struct rmt_reach *reach, struct rmt_edge *out)
{
    int rc = look(&reach->cursor, reach->line, out);
    if (rc <= 0)
        return rc;
    if (out->other < reach->from || out->other == UINT64_MAX)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': keys 'e' of the catalog are not in order",
                        reach->cursor.pages->io->path);
    reach->from = out->other + 1;
    return 1;
}

int rmt_reach_next(struct rmt_reach *reach, struct rmt_edge *out)
{
    struct rmt_edge edge, next;
    int rc;
    while ((rc = look_further(reach, &edge)) > 0 && edge.place > reach->place) {
        /* Of that line it has nothing yet. */
        struct rmt_key key = rmt_key2('e', reach->line, reach->from);
        rc = seek(&reach->cursor, &key);
        if (rc < 0)
            return rc;
    }
    if (rc <= 0)
        return rc;
    rc = rmt_cursor_next(&reach->cursor);
    if (rc == 0)
        rc = look(&reach->cursor, reach->line, &next);
    if (rc > 0 && next.other == edge.other) {
        struct rmt_edge behind = edge;
        behind.place = reach->place;
        behind.id = UINT64_MAX;
        if (next.place <= reach->place)
            rc = seek_before(&reach->cursor, &behind, &edge);
        struct rmt_key key = rmt_key2('e', reach->line, reach->from);
        if (rc >= 0)
            rc = seek(&reach->cursor, &key);
    }
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rc;
    *out = edge;
    return 1;
}

/* ---- checking it ----------------------------------------------------------------------------- */

struct lines_check {
    struct rmt_pages *pages;
    const struct rmt_tree *catalog;
    ramet_report_fn report;
    void *ctx;
    RMT_VEC(struct rmt_version) versions; /* by line, then place */
    uint64_t nr_edges;                    /* that versions have */
};

static void lines_check_fini(struct lines_check *k)
{
    rmt_vec_fini(&k->versions);
}
RMT_AUTO_VALUE(lines_check_fini, struct lines_check)

__attribute__((format(printf, 2, 3))) static void problem(const struct lines_check *k,
                                                          const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    k->report(k->ctx, text);
}

static int by_line(const void *a, const void *b)
{
    const struct rmt_version *x = a, *y = b;
    uint64_t p = rmt_line_place(x), q = rmt_line_place(y);
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (p > q) - (p < q);
}

static int load_versions(struct lines_check *k)
{
    struct rmt_key prefix = {.bytes = {'v'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, k->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_version v;
        if (scan.key.size != 8 ||
            rmt_version_load(k->pages, rmt_get_be64(scan.key.data), scan.value, &v) < 0)
            continue;
        if (!rmt_vec_push(&k->versions, v))
            return rmt_fail(-ENOMEM, "checking lines");
    }
    if (k->versions.count)
        qsort(k->versions.items, k->versions.count, sizeof(*k->versions.items), by_line);
    return rc;
}

/* What is on a line stands on what is before it there. */
static int check_place(struct lines_check *k, size_t i)
{
    const struct rmt_version *v = &k->versions.items[i];
    const struct rmt_version *before = i ? v - 1 : NULL;
    if (v->flags & RMT_VERSION_HEAD && v->line != v->number)
        problem(k, "head %" PRIu64 " is not on its own line", v->id);
    if (!before || before->line != v->line)
        return 0;
    int rc = rmt_ancestor_is(k->pages, k->catalog, v, before->number, before->id);
    if (rc == 0)
        problem(k,
                "version %" PRIu64 " does not stand on version %" PRIu64
                ", which is before it on its line",
                v->id, before->id);
    return rc < 0 ? rc : 0;
}

/* An edge that a version has is in the index. */
static int check_edge(struct lines_check *k, const struct rmt_version *v,
                      const struct rmt_version *to)
{
    struct rmt_edge edge = edge_of(v, to);
    struct rmt_key key = edge_key(&edge);
    struct rmt_disk_edge disk;
    int rc = rmt_catalog_get(k->pages, k->catalog, &key, &disk, sizeof(disk));
    if (rc == RAMET_ENOTFOUND || (rc == 0 && rmt_get64(disk.number) != to->number)) {
        problem(k, "version %" PRIu64 " has version %" PRIu64 ", and the index of lines not", v->id,
                to->id);
        return 0;
    }
    k->nr_edges++;
    return rc;
}

static int check_edges(struct lines_check *k, const struct rmt_version *v)
{
    rmt_auto(rmt_numbers_fini) struct rmt_numbers sources = {0};
    struct rmt_version to = {.number = 0};
    int rc = v->prev ? rmt_catalog_find_version(k->pages, k->catalog, v->prev, &to) : 0;
    if (rc == 0 && crosses(v, &to))
        rc = check_edge(k, v, &to);
    if (rc == 0 || rc == RAMET_ENOTFOUND)
        rc = rmt_merged_sources(k->pages, k->catalog, v->number, &sources);
    for (size_t i = 0; rc == 0 && i < sources.count; i++) {
        rc = rmt_catalog_find_version(k->pages, k->catalog, sources.items[i], &to);
        if (rc == 0)
            rc = check_edge(k, v, &to);
        if (rc == RAMET_ENOTFOUND)
            rc = 0;
    }
    return rc;
}

static int check_index(struct lines_check *k)
{
    struct rmt_key prefix = {.bytes = {'e'}, .size = 1};
    struct rmt_edge edge = {.line = 0}, last = edge;
    uint64_t nr = 0;
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, k->catalog, &prefix);
    int rc;
    for (; (rc = rmt_scan_next(&scan)) > 0; nr++, last = edge) {
        rc = edge_load(k->pages, scan.key, scan.value, &edge);
        if (rc < 0)
            return rc;
        struct rmt_edge right = edge;
        if (edge.line != last.line || edge.other != last.other)
            last.best_id = 0;
        add_best(&right, &last);
        if (edge.best != right.best || edge.best_id != right.best_id)
            problem(k,
                    "the index of lines has version %" PRIu64 " as the newest of its line, not "
                    "version %" PRIu64,
                    edge.best_id, right.best_id);
    }
    if (rc == 0 && nr != k->nr_edges)
        problem(k,
                "the index of lines has %" PRIu64 " edges, and versions have %" PRIu64 " of them",
                nr, k->nr_edges);
    return rc;
}

int rmt_lines_check(struct rmt_pages *pages, const struct rmt_tree *catalog, ramet_report_fn report,
                    void *ctx)
{
    rmt_auto(lines_check_fini) struct lines_check k = {pages, catalog, report, ctx};
    int rc = load_versions(&k);
    for (size_t i = 0; rc == 0 && i < k.versions.count; i++) {
        rc = check_place(&k, i);
        if (rc == 0)
            rc = check_edges(&k, &k.versions.items[i]);
    }
    return rc < 0 ? rc : check_index(&k);
}
