/* SPDX-License-Identifier: MIT */
/*
 * history.c - what led to a version: ramet_history(), ramet_key_history(), ramet_tag(),
 * ramet_prune().
 */
#include <inttypes.h>
#include <stdio.h>

#include "store/ancestors.h"
#include "store/merged.h"
#include "store/shares.h"
#include "store/versions.h"
#include "store/walk.h"

/* ---- who keeps a version --------------------------------------------------------------------- */

struct named {
    uint64_t number;
    char *name;
};

struct history {
    struct ramet_store *store;
    struct rmt_moment moment;
    RMT_VEC(struct named) branches; /* the ref's, and all when that does not keep a version */
    size_t last;                    /* the one that kept the last version */
    bool loaded;                    /* all are there */
    bool hidden;                    /* versions that nobody keeps are told, too */
};

static void history_fini(struct history *h)
{
    for (size_t i = 0; i < h->branches.count; i++)
        free(h->branches.items[i].name);
    rmt_vec_fini(&h->branches);
    rmt_moment_close(&h->moment);
}
RMT_AUTO_VALUE(history_fini, struct history)

static int history_init(struct history *h, struct ramet_store *store)
{
    h->store = store;
    return rmt_moment_open(store, &h->moment);
}

static int add_branch(struct history *h, const void *name, size_t size, uint64_t number)
{
    struct named named = {number, strndup(name, size)};
    if (named.name && rmt_vec_push(&h->branches, named))
        return 0;
    free(named.name);
    return rmt_fail(-ENOMEM, "a history");
}

static int load_branches(struct history *h)
{
    struct rmt_key prefix = {.bytes = {'b'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &h->store->pages, &h->moment.catalog, &prefix);
    int rc;
    h->loaded = true;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_branch branch;
        if (scan.key.size > RAMET_NAME_MAX || rmt_branch_load(scan.value, &branch) < 0)
            return rmt_fail(RAMET_ECORRUPT, "store '%s': a record of the catalog is malformed",
                            h->store->io->path);
        rc = add_branch(h, scan.key.data, scan.key.size, branch.number);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* What a branch keeps of a version; of several records the last, for that has a name if one has.
 * 1, 0 or a code. */
static int kept_by(struct history *h, uint64_t branch, uint64_t number, struct rmt_kept *out)
{
    struct rmt_pages *pages = &h->store->pages;
    struct rmt_key prefix = rmt_key2('k', branch, number);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, pages, &h->moment.catalog, &prefix);
    int rc, found = 0;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        uint8_t key[8 + RAMET_NAME_MAX]; /* of the version, as it is without the kind and branch */
        if (scan.key.size > RAMET_NAME_MAX)
            return rmt_fail(RAMET_ECORRUPT, "store '%s': a record of the catalog is malformed",
                            pages->io->path);
        rmt_put_be64(key, number);
        memcpy(key + 8, scan.key.data, scan.key.size);
        if (found)
            rmt_kept_fini(out);
        found = 1;
        rc = rmt_catalog_kept(pages, &h->moment.catalog, rmt_slice(key, 8 + scan.key.size),
                              scan.value, out);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : found;
}

/* Who keeps a version: the branch that kept the last one, for mostly it keeps this one too; else
 * all are asked. */
static int keeper_of(struct history *h, const struct rmt_version *v, struct rmt_kept *kept,
                     const char **out_branch)
{
    int rc = 0;
    for (;;) {
        for (size_t i = 0; rc == 0 && i < h->branches.count; i++) {
            size_t at = (h->last + i) % h->branches.count;
            rc = kept_by(h, h->branches.items[at].number, v->number, kept);
            if (rc > 0) {
                h->last = at;
                *out_branch = h->branches.items[at].name;
                return 0;
            }
        }
        if (rc < 0 || h->loaded)
            break;
        rc = load_branches(h);
    }
    return rc < 0 ? rc
                  : rmt_fail(RAMET_ECORRUPT,
                             "store '%s': version %" PRIu64 " is kept, and no branch keeps it",
                             h->store->io->path, v->id);
}

/* Begins with the branch that a ref names, if it names one: mostly no other is asked. */
static int history_begin(struct history *h, const char *ref, struct rmt_version *out)
{
    struct rmt_found found;
    if (!ref)
        ref = "main";
    int rc = rmt_ref_find(&h->store->pages, &h->moment.catalog, ref, &found);
    if (rc == 0)
        rc = rmt_ancestor_settle(&h->store->pages, &h->moment.catalog, &found.version);
    if (rc < 0)
        return rc;
    size_t n = strcspn(ref, "@~");
    char name[RAMET_NAME_MAX + 1];
    struct rmt_branch branch;
    if (n && n < sizeof(name)) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, ref);
        rc = rmt_catalog_branch(&h->store->pages, &h->moment.catalog, name, &branch);
        if (rc == 0)
            rc = add_branch(h, name, n, branch.number);
        else if (rc == RAMET_ENOTFOUND) /* it has a '~' in its name */
            rc = 0;
    }
    if (rc == 0)
        *out = found.version;
    return rc;
}

/* ---- listing --------------------------------------------------------------------------------- */

/* A version that nobody keeps. What a head says of its past is that of its snapshot. */
static int tell_hidden(struct history *h, struct rmt_version v, ramet_snapshot_fn fn, void *ctx)
{
    static const struct rmt_kept nobody = {.name = ""};
    struct ramet_snapshot_info info;
    if (v.flags & RMT_VERSION_HEAD) {
        struct rmt_version prev = {.number = 0};
        int rc = v.prev ? rmt_catalog_below(&h->store->pages, &h->moment.catalog, &v, &prev) : 0;
        if (rc < 0)
            return rc;
        v.generation = prev.generation + 1;
        v.parents[0] = prev.id;
        v.parents[1] = 0;
    }
    rmt_kept_info(&h->store->pages, &nobody, &v, NULL, &info);
    info.time = v.time_us;
    return fn(ctx, &info);
}

static int tell(struct history *h, const struct rmt_version *v, ramet_snapshot_fn fn, void *ctx)
{
    rmt_auto(rmt_kept_fini) struct rmt_kept kept = {0};
    struct ramet_snapshot_info info;
    const char *branch = NULL;
    if (!v->kept)
        return h->hidden ? tell_hidden(h, *v, fn, ctx) : 0;
    int rc = keeper_of(h, v, &kept, &branch);
    if (rc < 0)
        return rc;
    rmt_kept_info(&h->store->pages, &kept, v, branch, &info);
    return fn(ctx, &info);
}

static int list_line(struct history *h, struct rmt_version v, ramet_snapshot_fn fn, void *ctx)
{
    for (struct rmt_version below;; v = below) {
        int rc = tell(h, &v, fn, ctx);
        if (rc != 0 || !v.prev)
            return rc;
        rc = rmt_catalog_below(&h->store->pages, &h->moment.catalog, &v, &below);
        if (rc < 0)
            return rc;
    }
}

/* Versions that are still to be told, ascending by id, each once. */
struct rest {
    RMT_VEC(struct rmt_version) items;
};

/* What a version stands on, or has merged. */
static int rest_add(struct history *h, struct rest *rest, const struct rmt_version *of,
                    uint64_t number)
{
    struct rmt_version v;
    int rc = rmt_catalog_version(&h->store->pages, &h->moment.catalog, number, &v);
    if (rc == 0)
        rc = rmt_version_older(&h->store->pages, &v, of);
    if (rc < 0)
        return rc;
    size_t at = rest->items.count;
    while (at && rest->items.items[at - 1].id > v.id)
        at--;
    if (at && rest->items.items[at - 1].id == v.id) /* no two have one id */
        return 0;
    if (!rmt_vec_push(&rest->items, v))
        return rmt_fail(-ENOMEM, "a history");
    memmove(&rest->items.items[at + 1], &rest->items.items[at],
            (rest->items.count - 1 - at) * sizeof(v));
    rest->items.items[at] = v;
    return 0;
}

static int list_all(struct history *h, struct rmt_version first, struct rest *rest,
                    ramet_snapshot_fn fn, void *ctx)
{
    struct rmt_version v = first;
    for (;;) {
        rmt_auto(rmt_numbers_fini) struct rmt_numbers sources = {0};
        int rc = tell(h, &v, fn, ctx);
        if (rc == 0 && v.prev)
            rc = rest_add(h, rest, &v, v.prev);
        if (rc == 0 && v.flags & RMT_VERSION_MERGED)
            rc = rmt_merged_sources(&h->store->pages, &h->moment.catalog, v.number, &sources);
        for (size_t i = 0; rc == 0 && i < sources.count; i++)
            rc = rest_add(h, rest, &v, sources.items[i]);
        if (rc != 0 || !rest->items.count)
            return rc;
        v = rest->items.items[--rest->items.count];
    }
}

int ramet_history(struct ramet_store *store, const char *ref, unsigned flags, ramet_snapshot_fn fn,
                  void *ctx)
{
    if (!store || !fn || flags & ~(unsigned)(RAMET_HISTORY_ALL | RAMET_HISTORY_HIDDEN))
        return rmt_fail(-EINVAL, "ramet_history: store, flags or fn");
    rmt_auto(history_fini) struct history h = {.hidden = flags & RAMET_HISTORY_HIDDEN};
    struct rmt_version v;
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = history_init(&h, store);
    if (rc == 0)
        rc = history_begin(&h, ref, &v);
    if (rc < 0)
        return rc;
    if (!(flags & RAMET_HISTORY_ALL))
        return list_line(&h, v, fn, ctx);
    struct rest rest = {0};
    rc = list_all(&h, v, &rest, fn, ctx);
    rmt_vec_fini(&rest.items);
    return rc;
}

/* ---- one entry ------------------------------------------------------------------------------- */

/* An entry, as one version has it. */
struct state {
    struct rmt_version version;
    struct rmt_value value; /* data NULL: absent */
};

static int look(struct history *h, const char *map, struct ramet_slice key, struct state *s)
{
    struct rmt_pages *pages = &h->store->pages;
    struct rmt_tree maps = {.root = s->version.root, .fixed = true}, tree, shares;
    struct rmt_value record;
    s->value = (struct rmt_value){0};
    int rc = rmt_tree_get(pages, &maps, rmt_slice(map, strlen(map)), &record);
    if (rc == 0)
        rc = rmt_map_load(pages, &record, RMT_ID_MAX, &tree);
    if (rc == 0 && map[0] == RMT_MAP_BLOB) {
        rc = rmt_shares_load(pages, s->version.root, &shares);
        tree.shares = &shares;
    }
    if (rc == 0)
        rc = rmt_tree_get(pages, &tree, key, &s->value);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

static int same(struct history *h, const struct state *a, const struct state *b)
{
    if (!a->value.data || !b->value.data)
        return a->value.data == b->value.data;
    if (a->value.data == b->value.data) /* in the same page */
        return 1;
    return rmt_value_equal(&h->store->pages, &a->value, &b->value);
}

static int slice_of(struct history *h, const struct state *s, struct rmt_arena *arena,
                    struct ramet_slice *out)
{
    *out = rmt_slice(s->value.data, s->value.size);
    if (!s->value.data || !s->value.extents)
        return 0;
    return rmt_value_slice(&h->store->pages, &s->value, arena, out);
}

/* An entry is otherwise in a version than in the one before it. */
static int tell_change(struct history *h, const struct state *before, const struct state *after,
                       struct ramet_change *change, ramet_key_history_fn fn, void *ctx)
{
    rmt_auto(rmt_kept_fini) struct rmt_kept kept = {0};
    struct ramet_snapshot_info info;
    const char *branch = NULL;
    struct rmt_arena arena = {0};
    int rc = keeper_of(h, &after->version, &kept, &branch);
    if (rc == 0)
        rc = slice_of(h, before, &arena, &change->old_value);
    if (rc == 0)
        rc = slice_of(h, after, &arena, &change->new_value);
    if (rc == 0) {
        change->kind = !before->value.data  ? RAMET_ADDED
                       : !after->value.data ? RAMET_REMOVED
                                            : RAMET_CHANGED;
        rmt_kept_info(&h->store->pages, &kept, &after->version, branch, &info);
        rc = fn(ctx, &info, change);
    }
    rmt_arena_fini(&arena);
    return rc;
}

/* The next version that somebody keeps, from v on. 1; 0: there is none. */
static int kept_from(struct history *h, struct rmt_version *v)
{
    while (!v->kept) {
        if (!v->prev)
            return 0;
        struct rmt_version above = *v;
        int rc = rmt_catalog_below(&h->store->pages, &h->moment.catalog, &above, v);
        if (rc < 0)
            return rc;
    }
    return 1;
}

static int list_changes(struct history *h, struct rmt_version first, struct ramet_change *change,
                        ramet_key_history_fn fn, void *ctx)
{
    struct state after = {.version = first};
    int rc = kept_from(h, &after.version);
    bool any = rc > 0;
    if (any)
        rc = look(h, change->map, change->key, &after);
    while (any && rc == 0) {
        struct state before = {.version = after.version};
        bool there = false;
        if (before.version.prev) {
            rc = rmt_catalog_below(&h->store->pages, &h->moment.catalog, &after.version,
                                   &before.version);
            if (rc == 0)
                rc = kept_from(h, &before.version);
            there = rc > 0;
        }
        if (there)
            rc = look(h, change->map, change->key, &before);
        if (rc >= 0)
            rc = same(h, &before, &after);
        if (rc == 0)
            rc = tell_change(h, &before, &after, change, fn, ctx);
        else if (rc > 0)
            rc = 0;
        if (rc != 0)
            return rc;
        after = before;
        any = there;
    }
    return rc;
}

int ramet_key_history(struct ramet_store *store, const char *ref, const char *map,
                      struct ramet_slice key, ramet_key_history_fn fn, void *ctx)
{
    if (!store || !fn || !map)
        return rmt_fail(-EINVAL, "ramet_key_history: store, map or fn");
    if (key.size - 1 >= RAMET_KEY_MAX)
        return rmt_fail(-EINVAL, "a key has 1 to %u bytes", RAMET_KEY_MAX);
    rmt_auto(history_fini) struct history h = {0};
    struct ramet_change change = {.size = sizeof(change), .map = map, .key = key};
    struct rmt_version v;
    int rc = rmt_map_name_check(map);
    if (rc == 0)
        rc = rmt_store_usable(store);
    if (rc == 0)
        rc = history_init(&h, store);
    if (rc == 0)
        rc = history_begin(&h, ref, &v);
    return rc < 0 ? rc : list_changes(&h, v, &change, fn, ctx);
}

/* ---- names ----------------------------------------------------------------------------------- */

struct tagging {
    const char *branch, *ref;
    struct ramet_keep keep;
};

static int tag(struct rmt_commit *c, void *ctx)
{
    const struct tagging *t = ctx;
    struct rmt_found found;
    struct rmt_branch branch;
    struct rmt_version snapshot;
    int rc = rmt_ref_find(&c->store->pages, &c->catalog, t->ref, &found);
    if (rc == 0)
        rc = rmt_maps_conflicts(&c->store->pages, found.version.root);
    if (rc > 0)
        return rmt_fail(RAMET_ECONFLICT, "'%s' has conflicts of a merge to be resolved", t->ref);
    snapshot = found.version;
    if (rc == 0 && found.branch)
        rc = rmt_version_snapshot(c, &found.version, &snapshot);
    if (rc == 0)
        rc = rmt_catalog_branch(&c->store->pages, &c->catalog, t->branch, &branch);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such branch", t->branch);
    return rc < 0 ? rc : rmt_version_keep(c, t->branch, &branch, &snapshot, &t->keep);
}

int ramet_tag(struct ramet_store *store, const char *branch, const char *name, const char *ref)
{
    if (!store || !name)
        return rmt_fail(-EINVAL, "ramet_tag: store or name");
    struct tagging t = {.branch = branch ? branch : "main", .ref = ref};
    t.keep = (struct ramet_keep){.size = sizeof(t.keep), .name = name};
    if (!t.ref)
        t.ref = t.branch;
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_name_check("branch", t.branch, false);
    if (rc == 0)
        rc = rmt_name_check("snapshot", name, false);
    return rc < 0 ? rc : rmt_commit(store, tag, NULL, &t, rmt_store_flushes(store));
}

/* ---- pruning --------------------------------------------------------------------------------- */

/* A snapshot that a branch is to keep no more. */
struct candidate {
    uint64_t number;
    char name[RAMET_NAME_MAX + 1];
};

struct pruning {
    const char *branch;
    const struct ramet_prune_options *options;
    uint64_t number; /* of the branch */
    RMT_VEC(struct candidate) candidates;
    uint64_t count;
};

static int judge(struct history *h, const struct pruning *p, const struct rmt_kept *kept,
                 bool *out_goes)
{
    const struct ramet_prune_options *options = p->options;
    struct rmt_version v;
    struct ramet_snapshot_info info;
    *out_goes = false;
    if (kept->name[0] && !(options->flags & RAMET_PRUNE_NAMED))
        return 0;
    if (options->before && kept->time_us >= options->before)
        return 0;
    int rc = rmt_catalog_version(&h->store->pages, &h->moment.catalog, kept->number, &v);
    if (rc < 0)
        return rc;
    rmt_kept_info(&h->store->pages, kept, &v, p->branch, &info);
    *out_goes = !options->filter || options->filter(options->ctx, &info) != 0;
    return 0;
}

/* Finds what is to go: records are in the order of age. */
static int choose(struct history *h, struct pruning *p)
{
    struct rmt_branch branch;
    int rc = rmt_catalog_branch(&h->store->pages, &h->moment.catalog, p->branch, &branch);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such branch", p->branch);
    if (rc < 0)
        return rc;
    struct rmt_key prefix = rmt_key1('k', branch.number);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &h->store->pages, &h->moment.catalog, &prefix);
    p->number = branch.number;
    uint64_t left = branch.snapshots;
    while (left > p->options->keep_last && (rc = rmt_scan_next(&scan)) > 0) {
        rmt_auto(rmt_kept_fini) struct rmt_kept kept = {0};
        struct candidate one;
        bool goes = false;
        left--;
        rc = rmt_catalog_kept(&h->store->pages, &h->moment.catalog, scan.key, scan.value, &kept);
        if (rc == 0)
            rc = judge(h, p, &kept, &goes);
        if (rc < 0)
            return rc;
        one.number = kept.number;
        memcpy(one.name, kept.name, sizeof(one.name));
        if (goes && !rmt_vec_push(&p->candidates, one))
            return rmt_fail(-ENOMEM, "pruning");
    }
    return rc < 0 ? rc : 0;
}

static int prune(struct rmt_commit *c, void *ctx)
{
    struct pruning *p = ctx;
    struct rmt_branch branch;
    int rc = rmt_catalog_branch(&c->store->pages, &c->catalog, p->branch, &branch);
    if (rc == RAMET_ENOTFOUND || (rc == 0 && branch.number != p->number))
        return rmt_fail(RAMET_ENOTFOUND, "branch '%s' was dropped meanwhile", p->branch);
    p->count = 0;
    for (size_t i = 0; rc == 0 && i < p->candidates.count; i++) {
        const struct candidate *one = &p->candidates.items[i];
        struct rmt_key key = rmt_key2_name('k', branch.number, one->number, one->name);
        struct rmt_value value;
        rc = rmt_tree_get(&c->store->pages, &c->catalog, rmt_key_slice(&key), &value);
        if (rc == RAMET_ENOTFOUND) { /* somebody was faster */
            rc = 0;
            continue;
        }
        if (rc == 0)
            rc = rmt_version_forget(c, p->branch, &branch, one->number, one->name);
        p->count += rc == 0;
    }
    return rc;
}

static int find_candidates(struct ramet_store *store, struct pruning *p)
{
    rmt_auto(history_fini) struct history h = {0};
    int rc = history_init(&h, store);
    return rc < 0 ? rc : choose(&h, p);
}

int ramet_prune(struct ramet_store *store, const char *branch,
                const struct ramet_prune_options *options, uint64_t *out_count)
{
    if (!store || !options)
        return rmt_fail(-EINVAL, "ramet_prune: store or options");
    if (!rmt_known_size(options, struct ramet_prune_options) || options->size < sizeof(*options))
        return rmt_fail(-EINVAL, "ramet_prune: options->size is not set");
    if (options->flags & ~(unsigned)(RAMET_PRUNE_NAMED | RAMET_PRUNE_DRY_RUN))
        return rmt_fail(-EINVAL, "ramet_prune: unknown flags");
    if (!options->before && !options->keep_last && !options->filter)
        return rmt_fail(-EINVAL, "ramet_prune: neither an age, nor a count, nor a filter is given");
    struct pruning p = {.branch = branch ? branch : "main", .options = options};
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_name_check("branch", p.branch, false);
    if (rc == 0)
        rc = find_candidates(store, &p);
    p.count = p.candidates.count;
    if (rc == 0 && p.count && !(options->flags & RAMET_PRUNE_DRY_RUN))
        rc = rmt_commit(store, prune, NULL, &p, rmt_store_flushes(store));
    rmt_vec_fini(&p.candidates);
    if (rc == 0 && out_count)
        *out_count = p.count;
    return rc;
}
