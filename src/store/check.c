/* SPDX-License-Identifier: MIT */
/*
 * check.c - is every page of the store what it should be, and exactly one thing?
 *
 * Looks at the newest version as a reader does: writers go on meanwhile. (A memory store has no
 * space map but the one in use: there it holds the commit lock.) Every page of the file is marked
 * with what it was found to be; what is found twice, never, or otherwise than the accounts say, is
 * a problem.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/cursors.h"
#include "store/lines.h"
#include "store/list.h"
#include "store/merged.h"
#include "store/shares.h"
#include "store/single.h"
#include "store/versions.h"
#include "store/walk.h"

enum what { NOTHING, LIVE, BOOK, LIMBO, UNSWEPT, HOLE };
static const char *const what_names[] = {"nothing",  "data",    "a record",
                                         "in limbo", "dropped", "given back"};

struct checked_version {
    struct rmt_version v;
    uint64_t owned; /* as found */
    uint64_t child, children, kept, pinned, sources, merged_by;
    uint32_t enter, leave; /* of a walk over the tree of versions: who is whose ancestor */
    bool done;
};

struct check {
    struct ramet_store *store;
    struct rmt_pages *pages;
    struct rmt_state state;
    struct rmt_tree catalog;
    unsigned flags;
    ramet_report_fn report;
    ramet_progress_fn progress;
    void *ctx;
    uint64_t problems, done, total;
    bool unreadable; /* something could not be read: what hangs on it is missing */

    uint8_t *what;     /* [nr] enum what */
    uint32_t *birth;   /* [nr] low half */
    uint32_t *owner;   /* [nr] index of the version that owns it */
    uint32_t *dead;    /* [nr] 1 + index of the version whose deadlist had it last */
    uint64_t *entries; /* [nr] below a page of a map */
    uint64_t *reach;   /* [nr] pages that a page leads to, and itself */
    uint64_t *shares;  /* [nr] count_shares() */
    uint64_t seeds[2]; /* of these sums: else a file could be made for them */
    uint64_t nr;
    RMT_VEC(struct checked_version) versions; /* by number */

    /* what is being walked */
    enum what marking;
    uint32_t version;
    uint64_t counted;
    const struct rmt_walk *walk;
    struct rmt_numbers branches; /* ascending, once all are known */
};

__attribute__((format(printf, 2, 3))) static void problem(struct check *k, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    k->problems++;
    if (k->report)
        k->report(k->ctx, text);
}

/* A read that failed is a problem; any other failure ends the check. */
static int failed(struct check *k, int rc)
{
    if (rc != RAMET_ECORRUPT && rc != -EIO && rc != -ENODATA)
        return rc;
    k->unreadable = true;
    problem(k, "%s", ramet_errmsg());
    return 0;
}

static int tick(struct check *k, uint64_t pages)
{
    uint64_t before = k->done;
    k->done += pages;
    if (k->progress && before / 256 != k->done / 256 && k->progress(k->ctx, k->done, k->total) != 0)
        return rmt_fail(-ECANCELED, "the check of store '%s'", k->store->io->path);
    return 0;
}

/* ---- marking pages --------------------------------------------------------------------------- */

static int mark(void *ctx, struct rmt_run run)
{
    struct check *k = ctx;
    if (run.addr < k->pages->first || run.len > k->nr || run.addr > k->nr - run.len) {
        problem(k, "pages %" PRIu64 " to %" PRIu64 " lie outside the file", run.addr,
                run.addr + run.len - 1);
        return 0;
    }
    for (uint64_t i = run.addr; i < run.addr + run.len; i++) {
        if (k->what[i])
            problem(k, "page %" PRIu64 " is two things: %s and %s", i, what_names[k->what[i]],
                    what_names[k->marking]);
        k->what[i] = (uint8_t)k->marking;
        k->birth[i] = (uint32_t)run.birth;
        k->owner[i] = k->version;
    }
    k->counted += run.len;
    return tick(k, run.len);
}

/* Adds up the entries below a page of a map; shared pages were counted where they are owned. */
static void count_entries(struct check *k, const struct rmt_run *run,
                          const struct rmt_disk_node *node)
{
    uint64_t sum = node->level == 0 ? rmt_node_size(node) : 0;
    for (uint32_t i = 0; node->level > 0 && i < rmt_node_size(node); i++) {
        struct rmt_ref ref = rmt_node_child(node, i);
        sum += ref.addr < k->nr ? k->entries[ref.addr] : 0;
    }
    if (run->addr < k->nr)
        k->entries[run->addr] = sum;
}

/* The first or last leaf below a child of a page of that level; NULL if there is a problem. */
static const struct rmt_disk_node *edge_leaf(struct check *k, struct rmt_ref ref, uint32_t level,
                                             bool last)
{
    const struct rmt_disk_node *node = NULL;
    while (level-- > 0) {
        if (rmt_page_read(k->pages, ref, &node) < 0) {
            k->unreadable = true;
            problem(k, "%s", ramet_errmsg());
            return NULL;
        }
        if (node->level != level) {
            problem(k, "page %" PRIu64 " has level %u and stands where %" PRIu32 " should be",
                    ref.addr, node->level, level);
            return NULL;
        }
        if (level > 0)
            ref = rmt_node_child(node, last ? rmt_node_size(node) - 1 : 0);
    }
    return node;
}

/* The keys below each child lie between the separators around it. Of the page's own children this
 * follows for all pages below when it is so for these. */
static void check_order(struct check *k, uint64_t addr, const struct rmt_disk_node *node)
{
    uint32_t page_size = k->pages->page_size;
    uint8_t bytes[3][RAMET_KEY_MAX];
    for (uint32_t i = 1; i < rmt_node_size(node); i++) {
        const struct rmt_disk_node *left =
            edge_leaf(k, rmt_node_child(node, i - 1), node->level, true);
        const struct rmt_disk_node *right =
            left ? edge_leaf(k, rmt_node_child(node, i), node->level, false) : NULL;
        if (!right)
            return;
        struct ramet_slice before = {
            bytes[0], rmt_node_key(left, page_size, rmt_node_size(left) - 1, bytes[0])};
        struct ramet_slice separator = {bytes[1], rmt_node_key(node, page_size, i, bytes[1])};
        struct ramet_slice after = {bytes[2], rmt_node_key(right, page_size, 0, bytes[2])};
        if (rmt_slice_cmp(before, separator) >= 0 || rmt_slice_cmp(separator, after) > 0) {
            problem(k, "keys below page %" PRIu64 " are out of order, at its child %" PRIu32, addr,
                    i);
            return;
        }
    }
}

static uint64_t reach_of(const struct check *k, struct rmt_ref ref)
{
    return rmt_ref_none(ref) || ref.addr >= k->nr ? 0 : k->reach[ref.addr];
}

/* Adds up the pages that a page leads to; those that are shared were counted where they are owned.
 */
static void count_reach(struct check *k, const struct rmt_run *run,
                        const struct rmt_disk_node *node)
{
    uint64_t sum = 1 + k->walk->data_pages;
    for (uint32_t i = 0; i < rmt_node_size(node); i++) {
        struct rmt_value value;
        struct rmt_tree map;
        if (node->level > 0) {
            sum += reach_of(k, rmt_node_child(node, i));
        } else if (k->walk->maps) {
            rmt_node_value(node, k->pages->page_size, i, &value);
            if (rmt_map_load(k->pages, &value, RMT_ID_MAX, &map) == 0)
                sum += reach_of(k, map.root);
        }
    }
    if (run->addr < k->nr)
        k->reach[run->addr] = sum;
}

/* Adds up what rmt_shares_sum() makes of the leaves below a page: of all of a version it is 0. */
static void count_shares(struct check *k, const struct rmt_run *run,
                         const struct rmt_disk_node *node)
{
    uint64_t sum = 0;
    bool leaf = node->level == 0 && !k->walk->maps;
    if (leaf && !rmt_shares_sum(k->pages, node, k->walk->kind, k->seeds, &sum))
        problem(k, "page %" PRIu64 " has an entry of a shared page that cannot be", run->addr);
    for (uint32_t i = 0; !leaf && i < rmt_node_size(node); i++) {
        struct rmt_ref ref = {0};
        struct rmt_value value;
        struct rmt_tree map;
        if (node->level > 0) {
            ref = rmt_node_child(node, i);
        } else {
            rmt_node_value(node, k->pages->page_size, i, &value);
            if (rmt_map_load(k->pages, &value, RMT_ID_MAX, &map) == 0)
                ref = map.root;
        }
        sum += rmt_ref_none(ref) || ref.addr >= k->nr ? 0 : k->shares[ref.addr];
    }
    if (run->addr < k->nr)
        k->shares[run->addr] = sum;
}

static int mark_page(void *ctx, struct rmt_run run, const struct rmt_disk_node *node)
{
    if (node) {
        count_entries(ctx, &run, node);
        count_reach(ctx, &run, node);
        count_shares(ctx, &run, node);
        check_order(ctx, run.addr, node);
    }
    return mark(ctx, run);
}

static bool is_ancestor(const struct check *k, uint32_t of, uint32_t version)
{
    const struct checked_version *a = &k->versions.items[of], *b = &k->versions.items[version];
    return a->enter <= b->enter && b->leave <= a->leave;
}

/* A page that a version has from the one below it. */
static bool is_inherited(const struct check *k, uint64_t addr, uint64_t birth)
{
    return addr < k->nr && k->what[addr] == LIVE && k->birth[addr] == (uint32_t)birth &&
           k->owner[addr] != k->version && is_ancestor(k, k->owner[addr], k->version);
}

static int mark_shared(void *ctx, struct rmt_ref ref)
{
    struct check *k = ctx;
    if (!is_inherited(k, ref.addr, ref.birth))
        problem(k,
                "version %" PRIu64 " refers to page %" PRIu64 " (birth %" PRIu64
                "), which no version below it has",
                k->versions.items[k->version].v.id, ref.addr, ref.birth);
    return 0;
}

static int walk(struct check *k, struct rmt_ref root, bool maps, uint64_t horizon)
{
    struct rmt_walk w;
    int rc = rmt_walk_init(&w, k->pages, root, maps, horizon, mark_page, k);
    w.verify = !(k->flags & RAMET_CHECK_QUICK);
    w.shared = maps ? mark_shared : NULL;
    k->walk = &w;
    while (rc >= 0 && (rc = rmt_walk_step(&w)) > 0)
        ;
    return failed(k, rc);
}

/* ---- versions -------------------------------------------------------------------------------- */

static struct checked_version *find_version(struct check *k, uint64_t number)
{
    size_t lo = 0, hi = k->versions.count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (k->versions.items[mid].v.number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < k->versions.count && k->versions.items[lo].v.number == number
               ? &k->versions.items[lo]
               : NULL;
}

static int load_versions(struct check *k)
{
    struct rmt_key prefix = {.bytes = {'v'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct checked_version c = {.done = false};
        if (scan.key.size != 8) {
            problem(k, "the catalog has a version without a number");
            continue;
        }
        rc = rmt_version_load(k->pages, rmt_get_be64(scan.key.data), scan.value, &c.v);
        if (rc < 0) {
            rc = failed(k, rc);
            if (rc < 0)
                return rc;
            continue;
        }
        if (!rmt_vec_push(&k->versions, c))
            return rmt_fail(-ENOMEM, "checking versions");
    }
    return rc;
}

static int check_children(struct check *k)
{
    for (size_t i = 0; i < k->versions.count; i++) {
        struct checked_version *c = &k->versions.items[i];
        struct checked_version *prev = c->v.prev ? find_version(k, c->v.prev) : NULL;
        if (c->v.prev && !prev) {
            problem(k, "version %" PRIu64 " stands on one that is not there", c->v.id);
            k->unreadable = true;
            c->v.prev = 0;
        }
        if (!prev)
            continue;
        prev->child ^= c->v.number;
        prev->children++;
        if (prev->v.id > c->v.id)
            problem(k, "version %" PRIu64 " stands on a newer one, %" PRIu64, c->v.id, prev->v.id);
        if (prev->v.flags & RMT_VERSION_HEAD)
            problem(k, "version %" PRIu64 " stands on a head", c->v.id);
    }
    for (size_t i = 0; i < k->versions.count; i++) {
        struct checked_version *c = &k->versions.items[i];
        if (c->v.child != c->child || c->v.children != c->children)
            problem(k, "version %" PRIu64 " has %" PRIu64 " children, and says %" PRIu32, c->v.id,
                    c->children, c->v.children);
    }
    return 0;
}

/* Numbers the tree of versions so that ancestors enclose their descendants. O(n log n): by children
 * lists. */
struct edge {
    uint64_t prev; /* number; 0 first */
    uint32_t index;
};

static int by_prev(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (x->prev != y->prev)
        return x->prev < y->prev ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static size_t first_edge(const struct edge *edges, size_t n, uint64_t prev)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (edges[mid].prev < prev)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int order_versions(struct check *k, uint32_t **out_order)
{
    size_t n = k->versions.count, nr_order = 0;
    rmt_auto(free) struct edge *edges = calloc(n + 1, sizeof(*edges));
    rmt_auto(free) size_t *stack = calloc(n + 1, sizeof(*stack));
    rmt_auto(free) uint32_t *order = calloc(n + 1, sizeof(*order));
    rmt_auto(free) uint32_t *open = calloc(n + 1, sizeof(*open));
    if (!edges || !stack || !order || !open)
        return rmt_fail(-ENOMEM, "checking versions");
    for (size_t i = 0; i < n; i++)
        edges[i] = (struct edge){k->versions.items[i].v.prev, (uint32_t)i};
    qsort(edges, n, sizeof(*edges), by_prev);
    /* stack: the next edge to look at, of each version that is open; the lowest is of no version.
     */
    uint32_t clock = 0;
    size_t depth = 1;
    uint64_t prev = 0;
    stack[0] = 0;
    while (depth) {
        size_t e = stack[depth - 1];
        if (e < n && edges[e].prev == prev) {
            stack[depth - 1]++;
            struct checked_version *c = &k->versions.items[edges[e].index];
            c->enter = clock++;
            order[nr_order++] = edges[e].index;
            open[depth] = edges[e].index;
            prev = c->v.number;
            stack[depth++] = first_edge(edges, n, prev);
        } else {
            depth--;
            if (depth) {
                k->versions.items[open[depth]].leave = clock;
                prev = depth > 1 ? k->versions.items[open[depth - 1]].v.number : 0;
            }
        }
    }
    if (nr_order != n)
        problem(k, "versions stand on each other in a circle");
    for (; nr_order < n; nr_order++)
        order[nr_order] = UINT32_MAX;
    *out_order = rmt_take(order);
    return 0;
}

struct dead_check {
    struct check *k;
    uint64_t pages, birth_min, birth_max, horizon;
};

static int check_dead_run(void *ctx, struct rmt_run run)
{
    struct dead_check *d = ctx;
    struct check *k = d->k;
    d->pages += run.len;
    d->birth_min = rmt_min(d->birth_min, run.birth);
    d->birth_max = rmt_max(d->birth_max, run.birth);
    uint64_t id = k->versions.items[k->version].v.id;
    for (uint64_t i = run.addr; i < run.addr + run.len; i++) {
        if (run.birth > d->horizon || !is_inherited(k, i, run.birth))
            problem(k,
                    "the deadlist of version %" PRIu64 " has page %" PRIu64 " (birth %" PRIu64
                    "), which the version below has not",
                    id, i, run.birth);
        else if (k->dead[i] == k->version + 1)
            problem(k, "the deadlist of version %" PRIu64 " has page %" PRIu64 " twice", id, i);
        else
            k->dead[i] = k->version + 1;
    }
    return 0;
}

static int check_list(struct check *k, const struct rmt_scan *scan, rmt_run_fn fn,
                      struct dead_check *d)
{
    struct rmt_key key = scan->prefix;
    struct rmt_list list;
    if (key.size + scan->key.size > sizeof(key.bytes)) {
        problem(k, "a list of the catalog has too long a key");
        return 0;
    }
    memcpy(key.bytes + key.size, scan->key.data, scan->key.size);
    key.size += scan->key.size;
    int rc = rmt_list_load(&list, k->pages, &key, scan->value);
    d->pages = d->birth_max = 0;
    d->birth_min = UINT64_MAX;
    if (rc == 0)
        rc = rmt_list_each(k->pages, &k->catalog, &list, fn, d);
    if (rc == 0 && (d->pages != list.pages || d->birth_min != list.birth_min ||
                    d->birth_max != list.birth_max))
        problem(k,
                "list %" PRIu64 " has %" PRIu64 " pages, and says %" PRIu64
                ", or births it does not say",
                list.number, d->pages, list.pages);
    return rc < 0 ? failed(k, rc) : 0;
}

static int check_deadlist(struct check *k, const struct rmt_version *v, uint64_t horizon,
                          uint64_t *out_pages)
{
    struct rmt_key prefix = rmt_key1('d', v->dead);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    struct dead_check d = {.k = k, .horizon = horizon};
    int rc;
    *out_pages = 0;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        rc = check_list(k, &scan, check_dead_run, &d);
        if (rc < 0)
            return rc;
        *out_pages += d.pages;
    }
    return rc;
}

static int check_map_counts(struct check *k, const struct rmt_version *v)
{
    struct rmt_tree maps = {.root = v->root, .fixed = true};
    struct rmt_cursor cursor;
    rmt_cursor_init(&cursor, k->pages, &maps);
    int rc = rmt_cursor_first(&cursor);
    for (; rc == 0; rc = rmt_cursor_next(&cursor)) {
        struct ramet_slice key;
        struct rmt_value value;
        struct rmt_tree map;
        rc = rmt_cursor_get(&cursor, &key, &value);
        if (rc == 0)
            rc = rmt_map_load(k->pages, &value, RMT_ID_MAX, &map);
        if (rc < 0)
            break;
        uint64_t found =
            rmt_ref_none(map.root) || map.root.addr >= k->nr ? 0 : k->entries[map.root.addr];
        const char *name = key.data;
        const int mark = *name == RMT_MAP_BLOB;
        if (found != map.count)
            problem(k,
                    "%s '%.*s' of version %" PRIu64 " has %" PRIu64 " entries, and says %" PRIu64,
                    rmt_map_kind(name), (int)key.size - mark, name + mark, v->id, found, map.count);
    }
    rmt_cursor_fini(&cursor);
    return rc == RAMET_ENOTFOUND ? 0 : failed(k, rc);
}

static int check_version(struct check *k, uint32_t index)
{
    struct checked_version *c = &k->versions.items[index];
    const struct checked_version *prev = c->v.prev ? find_version(k, c->v.prev) : NULL;
    uint64_t horizon = prev ? prev->v.id : 0, dead;
    k->version = index;
    k->marking = LIVE;
    k->counted = 0;
    int rc = rmt_ref_none(c->v.root) ? 0 : walk(k, c->v.root, true, horizon);
    if (rc == 0 && !rmt_ref_none(c->v.root) && c->v.root.birth <= horizon)
        rc = mark_shared(k, c->v.root);
    uint64_t owned = k->counted;
    if (rc == 0)
        rc = check_deadlist(k, &c->v, horizon, &dead);
    if (rc == 0 && !k->unreadable && !rmt_ref_none(c->v.root))
        rc = check_map_counts(k, &c->v);
    if (rc < 0)
        return rc;
    if (!k->unreadable && owned != c->v.owned_pages)
        problem(k, "version %" PRIu64 " owns %" PRIu64 " pages, and says %" PRIu64, c->v.id, owned,
                c->v.owned_pages);
    uint64_t total = (prev ? prev->v.total_pages : 0) + owned - dead;
    if (!k->unreadable && total != c->v.total_pages)
        problem(k, "version %" PRIu64 " reaches %" PRIu64 " pages, and says %" PRIu64, c->v.id,
                total, c->v.total_pages);
    /* By the accounts, and by what there is: a reference to a shared page may have been lost. */
    uint64_t reached = reach_of(k, c->v.root);
    if (!k->unreadable && reached != total)
        problem(k,
                "version %" PRIu64 " leads to %" PRIu64 " pages, and by its deadlist it should to "
                "%" PRIu64,
                c->v.id, reached, total);
    bool shares = !rmt_ref_none(c->v.root) && c->v.root.addr < k->nr && k->shares[c->v.root.addr];
    if (!k->unreadable && shares)
        problem(k, "version %" PRIu64 " has other references to shared pages than it counts",
                c->v.id);
    return 0;
}

/* ---- branches and labels --------------------------------------------------------------------- */

static int check_branch(struct check *k, const struct rmt_branch *branch, const char *name)
{
    const struct checked_version *head = find_version(k, branch->head);
    if (!head || !(head->v.flags & RMT_VERSION_HEAD))
        problem(k, "branch '%s' has no head", name);
    struct rmt_key prefix = rmt_key1('k', branch->number);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    uint64_t nr = 0;
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        uint64_t number = scan.key.size >= 8 ? rmt_get_be64(scan.key.data) : 0;
        struct checked_version *c = find_version(k, number);
        if (c)
            c->kept++;
        else
            problem(k, "branch '%s' keeps a snapshot that is not there", name);
        nr++;
        rmt_auto(rmt_kept_fini) struct rmt_kept kept;
        rc = rmt_catalog_kept(k->pages, &k->catalog, scan.key, scan.value, &kept);
        if (rc == RAMET_ECORRUPT) {
            problem(k, "branch '%s' keeps a snapshot: %s", name, ramet_errmsg());
            continue;
        }
        if (rc < 0)
            return failed(k, rc);
        if (!kept.name[0])
            continue;
        struct rmt_key key = rmt_key1_name('n', branch->number, kept.name);
        uint64_t named;
        rc = rmt_catalog_number(k->pages, &k->catalog, &key, &named);
        if (rc < 0 && rc != RAMET_ENOTFOUND)
            return failed(k, rc);
        if (rc == RAMET_ENOTFOUND || named != number)
            problem(k, "'%s@%s' does not lead to its snapshot", name, kept.name);
    }
    if (nr != branch->snapshots)
        problem(k, "branch '%s' keeps %" PRIu64 " snapshots, and says %" PRIu64, name, nr,
                branch->snapshots);
    return rc;
}

static int check_branches(struct check *k)
{
    struct rmt_key prefix = {.bytes = {'b'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    uint64_t nr = 0, snapshots = 0;
    int rc;
    for (; (rc = rmt_scan_next(&scan)) > 0; nr++) {
        char name[RAMET_NAME_MAX + 1];
        struct rmt_branch branch;
        if (scan.key.size > RAMET_NAME_MAX) {
            problem(k, "a branch has too long a name");
            continue;
        }
        memcpy(name, scan.key.data, scan.key.size);
        name[scan.key.size] = 0;
        rc = rmt_catalog_branch(k->pages, &k->catalog, name, &branch);
        if (rc == 0)
            rc = check_branch(k, &branch, name);
        if (rc < 0)
            return failed(k, rc);
        snapshots += branch.snapshots;
        if (!rmt_vec_push(&k->branches, branch.number))
            return rmt_fail(-ENOMEM, "checking branches");
    }
    if (rc == 0 && nr != k->state.branches)
        problem(k, "there are %" PRIu64 " branches, and the slot says %" PRIu64, nr,
                k->state.branches);
    if (rc == 0 && snapshots != k->state.snapshots)
        problem(k, "there are %" PRIu64 " snapshots, and the slot says %" PRIu64, snapshots,
                k->state.snapshots);
    return failed(k, rc);
}

/* ---- what merges left ------------------------------------------------------------------------ */

/* Two numbers at the end of a key. */
static bool two_numbers(struct check *k, const struct rmt_scan *scan, uint64_t out[2])
{
    if (scan->key.size != 16) {
        problem(k, "a key '%c' of the catalog is malformed", scan->prefix.bytes[0]);
        return false;
    }
    out[0] = rmt_get_be64(scan->key.data);
    out[1] = rmt_get_be64((const uint8_t *)scan->key.data + 8);
    return true;
}

/* Each key of one kind has its fellow of another, the other way round. */
static int check_fellows(struct check *k, char kind, char fellow)
{
    struct rmt_key prefix = {.bytes = {(uint8_t)kind}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        uint64_t of[2];
        struct rmt_value value;
        if (!two_numbers(k, &scan, of))
            continue;
        struct rmt_key key = rmt_key2(fellow, of[1], of[0]);
        rc = rmt_tree_get(k->pages, &k->catalog, rmt_key_slice(&key), &value);
        if (rc == RAMET_ENOTFOUND)
            problem(k, "a key '%c' of %" PRIu64 " and %" PRIu64 " stands without its '%c'", kind,
                    of[0], of[1], fellow);
        else if (failed(k, rc) < 0)
            return rc;
    }
    return failed(k, rc);
}

/* b is a, or stands on it. */
static bool below(const struct checked_version *a, const struct checked_version *b)
{
    return b->enter >= a->enter && b->enter < a->leave;
}

static int check_edges(struct check *k)
{
    struct rmt_key prefix = {.bytes = {'g'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        uint64_t of[2];
        if (!two_numbers(k, &scan, of))
            continue;
        struct checked_version *version = find_version(k, of[0]), *source = find_version(k, of[1]);
        if (!version || !source) {
            problem(k, "a version that is not there is said to have been merged");
            continue;
        }
        version->sources++;
        source->merged_by++;
        if (source->v.id >= version->v.id || below(source, version) ||
            source->v.flags & RMT_VERSION_HEAD)
            problem(k, "version %" PRIu64 " is said to have merged %" PRIu64, version->v.id,
                    source->v.id);
        if (!(source->v.flags & RMT_VERSION_SOURCE))
            problem(k, "version %" PRIu64 " was merged, and does not say so", source->v.id);
    }
    for (size_t i = 0; i < k->versions.count; i++) {
        const struct checked_version *c = &k->versions.items[i];
        const struct checked_version *skip = c->v.skip ? find_version(k, c->v.skip) : NULL;
        if (skip && (skip->v.id >= c->v.id || !below(skip, c)))
            problem(k, "version %" PRIu64 " jumps to %" PRIu64 ", which is not above it", c->v.id,
                    skip->v.id);
        if (!c->sources != !(c->v.flags & RMT_VERSION_MERGED))
            problem(k, "version %" PRIu64 " has merged %" PRIu64 " others, and says otherwise",
                    c->v.id, c->sources);
    }
    return failed(k, rc);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool is_branch(const struct check *k, uint64_t number)
{
    return k->branches.count && bsearch(&number, k->branches.items, k->branches.count,
                                        sizeof(number), by_number) != NULL;
}

static int check_pins(struct check *k)
{
    struct rmt_key prefix = {.bytes = {'p'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        uint64_t of[2];
        struct rmt_pin pin;
        if (!two_numbers(k, &scan, of))
            continue;
        rc = failed(k, rmt_pin_find(k->pages, &k->catalog, of[0], of[1], &pin));
        if (rc < 0)
            return rc;
        if ((of[0] && !is_branch(k, of[0])) || !is_branch(k, of[1]))
            problem(k, "a merge of branches that are not there has a base");
        const uint64_t pinned[] = {pin.base, pin.next};
        for (size_t i = 0; i < 2; i++) {
            struct checked_version *c = pinned[i] ? find_version(k, pinned[i]) : NULL;
            if (c)
                c->pinned++;
            else if (pinned[i])
                problem(k, "the base of a merge is not there");
        }
    }
    return failed(k, rc);
}

/* What cursors are at is there, and pinned. */
static int check_cursors(struct check *k)
{
    struct rmt_key prefix = {.bytes = {'w'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    uint64_t nr = 0;
    int rc;
    for (; (rc = rmt_scan_next(&scan)) > 0; nr++) {
        struct rmt_durable durable;
        if (!scan.key.size || scan.key.size > RAMET_NAME_MAX) {
            problem(k, "a cursor has a name that cannot be");
            continue;
        }
        const char *name = scan.key.data;
        int n = (int)scan.key.size;
        if (rmt_cursors_load(k->pages, scan.value, &durable) < 0) {
            problem(k, "cursor '%.*s': %s", n, name, ramet_errmsg());
            continue;
        }
        if (!durable.number || durable.number > k->state.number || is_branch(k, durable.number))
            problem(k, "cursor '%.*s' has a number that cannot be", n, name);
        const uint64_t pinned[] = {durable.at, durable.next};
        for (size_t i = 0; i < 2; i++) {
            struct checked_version *c = pinned[i] ? find_version(k, pinned[i]) : NULL;
            if (c && !(c->v.flags & RMT_VERSION_HEAD))
                c->pinned++;
            else if (pinned[i])
                problem(k, "cursor '%.*s' is at a snapshot that is not there", n, name);
        }
    }
    if (rc == 0 && nr != k->state.cursors)
        problem(k, "there are %" PRIu64 " cursors, and the slot says %" PRIu64, nr,
                k->state.cursors);
    return failed(k, rc);
}

static void report_line(void *ctx, const char *text)
{
    problem(ctx, "%s", text);
}

static int check_merged(struct check *k)
{
    if (k->branches.count)
        qsort(k->branches.items, k->branches.count, sizeof(*k->branches.items), by_number);
    int rc = check_fellows(k, 'g', 'G');
    if (rc == 0)
        rc = check_fellows(k, 'G', 'g');
    if (rc == 0)
        rc = check_fellows(k, 'p', 'P');
    if (rc == 0)
        rc = check_fellows(k, 'P', 'p');
    if (rc == 0)
        rc = check_edges(k);
    if (rc == 0)
        rc = failed(k, rmt_lines_check(k->pages, &k->catalog, report_line, k));
    return rc < 0 ? rc : check_pins(k);
}

/* What keeps each version was counted. */
static void check_labels(struct check *k)
{
    uint64_t heads = 0;
    for (size_t i = 0; i < k->versions.count; i++) {
        const struct checked_version *c = &k->versions.items[i];
        bool is_head = c->v.flags & RMT_VERSION_HEAD;
        heads += is_head;
        if (c->kept != c->v.kept)
            problem(k, "version %" PRIu64 " is kept %" PRIu64 " times, and says %" PRIu32, c->v.id,
                    c->kept, c->v.kept);
        if (c->pinned != c->v.pinned)
            problem(k, "version %" PRIu64 " is pinned %" PRIu64 " times, and says %" PRIu32,
                    c->v.id, c->pinned, c->v.pinned);
        if (!is_head && c->v.kept == 0 && c->v.pinned == 0 && c->v.children < 2 &&
            (c->v.children == 0 || c->merged_by == 0))
            problem(k, "version %" PRIu64 " is kept by nobody and should have gone", c->v.id);
        struct rmt_key key = rmt_key1('i', c->v.id);
        uint64_t number = 0;
        int rc = is_head ? 0 : rmt_catalog_number(k->pages, &k->catalog, &key, &number);
        if (!is_head && (rc < 0 || number != c->v.number))
            problem(k, "@%" PRIu64 " does not lead to its version", c->v.id);
    }
    if (heads != k->branches.count)
        problem(k, "there are %zu branches and %" PRIu64 " heads", k->branches.count, heads);
}

/* ---- what waits, and what is free ------------------------------------------------------------ */

static int mark_listed(void *ctx, struct rmt_run run)
{
    struct dead_check *d = ctx;
    d->pages += run.len;
    d->birth_min = rmt_min(d->birth_min, run.birth);
    d->birth_max = rmt_max(d->birth_max, run.birth);
    return mark(d->k, run);
}

static int check_limbo(struct check *k)
{
    struct rmt_key prefix = {.bytes = {'L'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    struct dead_check d = {.k = k};
    k->marking = LIMBO;
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        if (scan.key.size != 16 || rmt_get_be64(scan.key.data) > k->state.id)
            problem(k, "limbo has a list that cannot be");
        rc = check_list(k, &scan, mark_listed, &d);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : rmt_single_gone(k->store, mark_listed, &d);
}

static int check_holes(struct check *k)
{
    struct rmt_key prefix = {.bytes = {'H'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    struct dead_check d = {.k = k};
    k->marking = HOLE;
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        rc = check_list(k, &scan, mark_listed, &d);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int check_sweeps(struct check *k)
{
    struct rmt_key prefix = {.bytes = {'s'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, k->pages, &k->catalog, &prefix);
    k->marking = UNSWEPT;
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_disk_sweep sweep;
        if (scan.value.size != sizeof(sweep)) {
            problem(k, "a sweep of the catalog is malformed");
            continue;
        }
        memcpy(&sweep, scan.value.data, sizeof(sweep));
        k->counted = 0;
        rc = failed(k, rmt_sweep_left(k->pages, &sweep, mark, k));
        if (rc < 0)
            return rc;
        if (k->counted != rmt_get64(sweep.left))
            problem(k, "a sweep has %" PRIu64 " pages left, and says %" PRIu64, k->counted,
                    rmt_get64(sweep.left));
    }
    return rc;
}

static int mark_own(void *ctx, struct rmt_ref ref)
{
    struct rmt_run run = {ref.addr, 1, ref.birth};
    return mark(ctx, run);
}

static int check_book(struct check *k, struct rmt_space *space)
{
    k->marking = BOOK;
    int rc = rmt_ref_none(k->state.catalog) ? 0 : walk(k, k->state.catalog, false, 0);
    return rc < 0 || !k->store->io->durable ? rc : rmt_space_own(space, mark_own, k);
}

static void check_space(struct check *k, struct rmt_space *space)
{
    uint64_t found[HOLE + 1] = {0};
    for (uint64_t i = k->pages->first; i < k->nr; i++) {
        bool is_free = rmt_space_is_free(space, i);
        found[k->what[i]]++;
        if (is_free && k->what[i])
            problem(k, "page %" PRIu64 " is free in the space map, and %s", i,
                    what_names[k->what[i]]);
        else if (!is_free && !k->what[i])
            problem(k,
                    "page %" PRIu64 " is lost: not free in the space map, and nothing refers to it",
                    i);
    }
    const struct rmt_state *s = &k->state;
    const uint64_t said[HOLE + 1] = {s->free_pages,  s->data_pages,    s->book_pages,
                                     s->limbo_pages, s->unswept_pages, s->hole_pages};
    for (int i = 0; i <= HOLE; i++) {
        if (found[i] != said[i])
            problem(k, "%" PRIu64 " pages are %s, and the slot says %" PRIu64, found[i],
                    what_names[i], said[i]);
    }
}

/* ---- the check ------------------------------------------------------------------------------- */

static int check_with(struct check *k, struct rmt_space *space)
{
    rmt_auto(free) uint32_t *order = NULL;
    int rc = load_versions(k);
    if (rc == 0)
        rc = check_children(k);
    if (rc == 0)
        rc = order_versions(k, &order);
    if (rc == 0)
        rc = check_book(k, space);
    for (size_t i = 0; i < k->versions.count && rc == 0; i++) {
        if (order[i] != UINT32_MAX)
            rc = check_version(k, order[i]);
    }
    if (rc == 0)
        rc = check_branches(k);
    if (rc == 0)
        rc = check_merged(k);
    if (rc == 0)
        rc = check_cursors(k);
    if (rc == 0)
        check_labels(k);
    if (rc == 0)
        rc = check_sweeps(k);
    if (rc == 0)
        rc = check_limbo(k);
    if (rc == 0)
        rc = check_holes(k);
    if (rc == 0 && !k->unreadable)
        check_space(k, space);
    return rc;
}

static int check(struct check *k)
{
    k->nr = k->state.pages;
    k->total = k->nr - k->pages->first - rmt_min(k->nr - k->pages->first, k->state.free_pages);
    k->what = calloc(k->nr, sizeof(*k->what));
    k->birth = calloc(k->nr, sizeof(*k->birth));
    k->owner = calloc(k->nr, sizeof(*k->owner));
    k->dead = calloc(k->nr, sizeof(*k->dead));
    k->entries = calloc(k->nr, sizeof(*k->entries));
    k->reach = calloc(k->nr, sizeof(*k->reach));
    k->shares = calloc(k->nr, sizeof(*k->shares));
    k->store->io->ops->random(k->store->io, k->seeds, sizeof(k->seeds));
    if (!k->what || !k->birth || !k->owner || !k->dead || !k->entries || !k->reach || !k->shares)
        return rmt_fail(-ENOMEM, "checking %" PRIu64 " pages", k->nr);
    if (!k->store->io->durable)
        return check_with(k, &k->store->space);
    struct rmt_space space;
    rmt_pages_forget(k->pages); /* so that all is read again */
    int rc = rmt_space_init(&space, k->pages, &k->store->shared);
    if (rc == 0 && !rmt_ref_none(k->state.log))
        rc = rmt_space_load(&space, k->state.log);
    if (rc == 0)
        rc = check_with(k, &space);
    else
        rc = failed(k, rc);
    rmt_space_fini(&space);
    return rc;
}

int ramet_check(struct ramet_store *store, unsigned flags, ramet_report_fn report,
                ramet_progress_fn progress, void *ctx)
{
    if (!store || flags & ~(unsigned)RAMET_CHECK_QUICK)
        return rmt_fail(-EINVAL, "ramet_check: store or flags");
    struct check k = {.store = store,
                      .pages = &store->pages,
                      .flags = flags,
                      .report = report,
                      .progress = progress,
                      .ctx = ctx};
    struct rmt_reader_slot *slot;
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_reader_claim(&store->shared, &slot);
    if (rc < 0)
        return rc;
    if (!store->io->durable)
        rmt_lock_take(&store->commit_lock);
    rmt_state_hold(store, slot, &k.state);
    k.catalog = rmt_state_catalog(&k.state);
    rc = check(&k);
    if (!store->io->durable)
        rmt_lock_give(&store->commit_lock);
    rmt_reader_release(slot);
    rmt_vec_fini(&k.versions);
    rmt_vec_fini(&k.branches);
    free(k.what);
    free(k.birth);
    free(k.owner);
    free(k.dead);
    free(k.entries);
    free(k.reach);
    free(k.shares);
    if (rc == 0 && progress && progress(ctx, k.total, k.total) != 0)
        rc = rmt_fail(-ECANCELED, "the check of store '%s'", store->io->path);
    if (rc == 0 && k.problems)
        rc = rmt_fail(RAMET_ECORRUPT, "store '%s' has %" PRIu64 " problems", store->io->path,
                      k.problems);
    return rc;
}
