/* SPDX-License-Identifier: MIT */
/* branch.c - branches and snapshots: the public calls on the tree of versions. */
#include <stdio.h>

#include "store/list.h"
#include "store/single.h"
#include "store/txn.h"
#include "store/versions.h"
#include "store/writers.h"

static int usable(const struct ramet_store *store, const char *what)
{
    return store ? rmt_store_usable(store) : rmt_fail(-EINVAL, "%s: no store", what);
}

static int commit(struct ramet_store *store, rmt_apply_fn apply, void *ctx)
{
    return rmt_commit(store, apply, NULL, ctx, rmt_store_flushes(store));
}

/* ---- changing -------------------------------------------------------------------------------- */

/* What the calls below are to do. */
struct change {
    const char *name, *ref;
    const struct ramet_keep *keep;
    uint64_t branch; /* number of the one that is locked */
    rmt_apply_fn apply;
    uint64_t id; /* of the snapshot that was made */
};

static int create(struct rmt_commit *c, void *ctx)
{
    const struct change *change = ctx;
    struct rmt_branch branch;
    int rc = rmt_catalog_branch(&c->store->pages, &c->catalog, change->name, &branch);
    if (rc == 0)
        return rmt_fail(-EEXIST, "'%s': there is such a branch already", change->name);
    if (rc != RAMET_ENOTFOUND)
        return rc;
    struct rmt_found from;
    rc = rmt_ref_find(&c->store->pages, &c->catalog, change->ref, &from);
    struct rmt_version snapshot = from.version;
    if (rc == 0 && from.branch)
        rc = rmt_version_snapshot(c, &from.version, &snapshot);
    return rc < 0 ? rc : rmt_version_branch(c, change->name, &snapshot);
}

int ramet_branch_create(struct ramet_store *store, const char *name, const char *from_ref)
{
    int rc = usable(store, "ramet_branch_create");
    if (rc == 0)
        rc = rmt_name_check("branch", name, false);
    struct change change = {.name = name, .ref = from_ref};
    return rc < 0 ? rc : commit(store, create, &change);
}

/* The number of a branch, found in the newest version. */
static int find_branch(struct ramet_store *store, const char *name, uint64_t *out)
{
    struct rmt_reader_slot *slot;
    struct rmt_found found;
    uint64_t publication;
    int rc = rmt_name_check("branch", name, false);
    if (rc == 0)
        rc = rmt_reader_claim(&store->shared, &slot);
    if (rc < 0)
        return rc;
    rc = rmt_txn_find(store, slot, name, &found, &publication);
    rmt_reader_release(slot);
    if (rc == 0)
        *out = found.branch;
    return rc;
}

static int change_locked(struct rmt_commit *c, void *ctx)
{
    const struct change *change = ctx;
    struct rmt_branch now = {.number = change->branch};
    /* apply() tells what is wrong. */
    (void)rmt_catalog_branch(&c->store->pages, &c->catalog, change->name, &now);
    if (now.number != change->branch)
        return rmt_fail(-EBUSY, "branch '%s' was just made anew", change->name);
    return change->apply(c, ctx);
}

/* Makes a change of a branch that has no writer. */
static int exclusively(struct ramet_store *store, struct change *change)
{
    int rc = find_branch(store, change->name, &change->branch);
    if (rc == 0)
        rc = rmt_branch_lock(store, change->branch, true, NULL);
    if (rc < 0)
        return rc;
    rc = commit(store, change_locked, change);
    rmt_branch_unlock(store, change->branch);
    return rc;
}

static int drop(struct rmt_commit *c, void *ctx)
{
    const struct change *change = ctx;
    return rmt_version_drop_branch(c, change->name);
}

int ramet_branch_delete(struct ramet_store *store, const char *name)
{
    int rc = usable(store, "ramet_branch_delete");
    struct change change = {.name = name, .apply = drop};
    return rc < 0 ? rc : exclusively(store, &change);
}

static int reset(struct rmt_commit *c, void *ctx)
{
    const struct change *change = ctx;
    const char *ref = change->ref;
    struct rmt_found to;
    int rc = rmt_ref_find(&c->store->pages, &c->catalog, ref, &to);
    if (rc < 0)
        return rc;
    if (to.branch)
        return rmt_fail(
            -EINVAL, "'%s' is a branch: a branch is reset to a snapshot, BRANCH@NAME or @ID", ref);
    return rmt_version_reset(c, change->name, to.version.number);
}

int ramet_branch_reset(struct ramet_store *store, const char *name, const char *ref)
{
    int rc = usable(store, "ramet_branch_reset");
    if (rc == 0 && !ref)
        rc = rmt_fail(-EINVAL, "ramet_branch_reset: no ref");
    struct change change = {.name = name, .ref = ref, .apply = reset};
    return rc < 0 ? rc : exclusively(store, &change);
}

static int keep_head(struct rmt_commit *c, void *ctx)
{
    struct change *change = ctx;
    const char *name = change->name;
    struct rmt_branch branch;
    struct rmt_version head, snapshot;
    int rc = rmt_catalog_branch(&c->store->pages, &c->catalog, name, &branch);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such branch", name);
    if (rc == 0)
        rc = rmt_catalog_version(&c->store->pages, &c->catalog, branch.head, &head);
    if (rc == 0)
        rc = rmt_maps_conflicts(&c->store->pages, head.root);
    if (rc > 0)
        return rmt_fail(RAMET_ECONFLICT, "branch '%s' has conflicts of a merge to be resolved",
                        name);
    if (rc == 0)
        rc = rmt_version_snapshot(c, &head, &snapshot);
    if (rc == 0)
        rc = rmt_version_keep(c, name, &branch, &snapshot, change->keep);
    if (rc == 0)
        change->id = snapshot.id;
    return rc;
}

int ramet_snapshot_create(struct ramet_store *store, const char *branch,
                          const struct ramet_keep *keep, uint64_t *out_id)
{
    int rc = usable(store, "ramet_snapshot_create");
    if (!branch)
        branch = "main";
    if (rc == 0 && keep && (!rmt_known_size(keep, struct ramet_keep) || keep->size < sizeof(*keep)))
        rc = rmt_fail(-EINVAL, "ramet_snapshot_create: keep->size is not set");
    if (rc == 0)
        rc = rmt_name_check("branch", branch, false);
    struct change change = {.name = branch, .keep = keep};
    if (rc == 0)
        rc = commit(store, keep_head, &change);
    if (rc == 0 && out_id)
        *out_id = change.id;
    return rc;
}

static int forget(struct rmt_commit *c, void *ctx)
{
    const struct change *change = ctx;
    const char *ref = change->ref;
    struct rmt_found found;
    int rc = rmt_ref_find(&c->store->pages, &c->catalog, ref, &found);
    if (rc < 0)
        return rc;
    if (found.branch)
        return rmt_fail(-EINVAL, "'%s' is a branch, not a snapshot", ref);
    if (found.below)
        return rmt_fail(-EINVAL, "'%s': a snapshot is named by BRANCH@NAME or @ID here", ref);
    if (ref[0] == '@')
        return rmt_version_forget_all(c, found.version.number);
    char name[RAMET_NAME_MAX + 1];
    const char *at = strchr(ref, '@');
    (void)snprintf(name, sizeof(name), "%.*s", (int)(at - ref), ref);
    struct rmt_branch branch;
    rc = rmt_catalog_branch(&c->store->pages, &c->catalog, name, &branch);
    return rc < 0 ? rc : rmt_version_forget(c, name, &branch, 0, at + 1);
}

int ramet_snapshot_delete(struct ramet_store *store, const char *ref)
{
    int rc = usable(store, "ramet_snapshot_delete");
    if (rc == 0 && !ref)
        rc = rmt_fail(-EINVAL, "ramet_snapshot_delete: no ref");
    struct change change = {.ref = ref};
    return rc < 0 ? rc : commit(store, forget, &change);
}

/* ---- listing --------------------------------------------------------------------------------- */

struct view {
    struct ramet_store *store;
    struct rmt_moment moment;
    struct rmt_version base; /* that the last head stood on: many stand on the same one */
};

static int view_open(struct ramet_store *store, struct view *view)
{
    view->store = store;
    view->base.number = 0;
    return rmt_moment_open(store, &view->moment);
}

struct numbers {
    uint64_t *items;
    size_t count, capacity;
};

static int malformed(const struct view *view)
{
    return rmt_fail(RAMET_ECORRUPT, "store '%s': a record of the catalog is malformed",
                    view->store->io->path);
}

/* Numbers of the snapshots that a branch keeps, ascending. */
static int kept_numbers(struct view *view, const struct rmt_branch *branch, struct numbers *out)
{
    struct rmt_key prefix = rmt_key1('k', branch->number);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &view->store->pages, &view->moment.catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        if (scan.key.size < 8)
            return malformed(view);
        uint64_t number = rmt_get_be64(scan.key.data);
        if ((!out->count || out->items[out->count - 1] != number) && !rmt_vec_push(out, number))
            return rmt_fail(-ENOMEM, "listing branches");
    }
    return rc;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Pages of the kept snapshots that the head does not reach: what died on the way from the oldest to
 * the head (V3: dead(X) = total(prev) + owned(X) - total(X)); and what those that it does not stand
 * on own. */
static int snapshot_pages(struct view *view, const struct rmt_version *head,
                          const struct numbers *kept, uint64_t *out)
{
    struct rmt_pages *pages = &view->store->pages;
    struct rmt_version v = *head, prev;
    uint64_t dead = 0, pages_out = 0;
    size_t left = kept->count;
    rmt_auto(free) bool *seen = calloc(kept->count + 1, 1);
    if (!seen)
        return rmt_fail(-ENOMEM, "listing branches");
    while (left && v.prev) {
        int rc = rmt_catalog_below(pages, &view->moment.catalog, &v, &prev);
        if (rc < 0)
            return rc;
        dead += prev.total_pages + v.owned_pages - v.total_pages;
        const uint64_t *at = bsearch(&prev.number, kept->items, kept->count, sizeof(*at), compare);
        if (at) {
            seen[at - kept->items] = true;
            pages_out = dead;
            left--;
        }
        v = prev;
    }
    for (size_t i = 0; i < kept->count; i++) {
        int rc =
            seen[i] ? 0 : rmt_catalog_version(pages, &view->moment.catalog, kept->items[i], &v);
        if (rc < 0)
            return rc;
        pages_out += seen[i] ? 0 : v.owned_pages;
    }
    *out = pages_out;
    return 0;
}

static int branch_info(struct view *view, const char *name, const struct rmt_branch *branch,
                       struct ramet_branch_info *out)
{
    struct rmt_version head;
    uint64_t kept = 0;
    struct rmt_pages *pages = &view->store->pages;
    int rc = rmt_catalog_version(pages, &view->moment.catalog, branch->head, &head);
    if (rc == 0 && head.prev && head.prev != view->base.number)
        rc = rmt_catalog_version(pages, &view->moment.catalog, head.prev, &view->base);
    struct numbers numbers = {0};
    if (rc == 0 && branch->snapshots)
        rc = kept_numbers(view, branch, &numbers);
    if (rc == 0 && branch->snapshots)
        rc = snapshot_pages(view, &head, &numbers, &kept);
    rmt_vec_fini(&numbers);
    if (rc < 0)
        return rc;
    *out = (struct ramet_branch_info){
        .size = sizeof(*out),
        .name = name,
        .head = head.id,
        .base = head.prev ? view->base.id : 0,
        .owned_bytes = head.owned_pages << pages->page_shift,
        .shared_bytes = (head.total_pages - head.owned_pages) << pages->page_shift,
        .snapshots = branch->snapshots,
        .snapshot_bytes = kept << pages->page_shift,
        .time = head.time_us,
    };
    return 0;
}

static int list_branches(struct view *view, ramet_branch_fn fn, void *ctx)
{
    struct rmt_key prefix = {.bytes = {'b'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &view->store->pages, &view->moment.catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        char name[RAMET_NAME_MAX + 1];
        struct ramet_branch_info info;
        struct rmt_branch branch;
        if (scan.key.size > RAMET_NAME_MAX || rmt_branch_load(scan.value, &branch) < 0)
            return malformed(view);
        memcpy(name, scan.key.data, scan.key.size);
        name[scan.key.size] = 0;
        rc = branch_info(view, name, &branch, &info);
        if (rc == 0)
            rc = fn(ctx, &info);
        if (rc != 0)
            return rc;
    }
    return rc;
}

int ramet_branch_list(struct ramet_store *store, ramet_branch_fn fn, void *ctx)
{
    struct view view;
    int rc = usable(store, "ramet_branch_list");
    if (rc == 0 && !fn)
        rc = rmt_fail(-EINVAL, "ramet_branch_list: no fn");
    if (rc == 0)
        rc = view_open(store, &view);
    if (rc < 0)
        return rc;
    rc = list_branches(&view, fn, ctx);
    rmt_moment_close(&view.moment);
    return rc;
}

static int tell_snapshot(struct view *view, const char *branch, const struct rmt_scan *scan,
                         ramet_snapshot_fn fn, void *ctx)
{
    struct rmt_pages *pages = &view->store->pages;
    rmt_auto(rmt_kept_fini) struct rmt_kept kept;
    struct rmt_version v;
    int rc = rmt_catalog_kept(pages, &view->moment.catalog, scan->key, scan->value, &kept);
    if (rc == 0)
        rc = rmt_catalog_version(pages, &view->moment.catalog, kept.number, &v);
    if (rc < 0)
        return rc;
    struct ramet_snapshot_info info;
    rmt_kept_info(pages, &kept, &v, branch, &info);
    return fn(ctx, &info);
}

static int list_of_branch(struct view *view, const char *name, ramet_snapshot_fn fn, void *ctx)
{
    struct rmt_branch branch;
    int rc = rmt_catalog_branch(&view->store->pages, &view->moment.catalog, name, &branch);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such branch", name);
    if (rc < 0)
        return rc;
    struct rmt_key prefix = rmt_key1('k', branch.number);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &view->store->pages, &view->moment.catalog, &prefix);
    while ((rc = rmt_scan_next(&scan)) > 0) {
        rc = tell_snapshot(view, name, &scan, fn, ctx);
        if (rc != 0)
            return rc;
    }
    return rc;
}

struct listing {
    struct view *view;
    ramet_snapshot_fn fn;
    void *ctx;
};

static int of_each(void *ctx, const struct ramet_branch_info *info)
{
    struct listing *l = ctx;
    return list_of_branch(l->view, info->name, l->fn, l->ctx);
}

int ramet_snapshot_list(struct ramet_store *store, const char *branch, ramet_snapshot_fn fn,
                        void *ctx)
{
    struct view view;
    int rc = usable(store, "ramet_snapshot_list");
    if (rc == 0 && !fn)
        rc = rmt_fail(-EINVAL, "ramet_snapshot_list: no fn");
    if (rc == 0 && branch)
        rc = rmt_name_check("branch", branch, false);
    if (rc == 0)
        rc = view_open(store, &view);
    if (rc < 0)
        return rc;
    struct listing l = {&view, fn, ctx};
    rc = branch ? list_of_branch(&view, branch, fn, ctx) : list_branches(&view, of_each, &l);
    rmt_moment_close(&view.moment);
    return rc;
}

/* ---- readers --------------------------------------------------------------------------------- */

struct telling {
    struct view *view;
    ramet_reader_fn fn;
    void *ctx;
    uint64_t now_ms;
};

struct holding {
    uint64_t v, freed, pages;
};

static int add_held(void *ctx, struct rmt_run run)
{
    struct holding *h = ctx;
    if (run.birth <= h->v && h->v < h->freed)
        h->pages += run.len;
    return 0;
}

/* Pages in limbo that a reader of version v needs. */
static int held_by(struct view *view, uint64_t v, uint64_t *out)
{
    struct rmt_key prefix = {.bytes = {'L'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &view->store->pages, &view->moment.catalog, &prefix);
    struct holding h = {.v = v};
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_list list;
        struct rmt_key key = prefix;
        if (scan.key.size != 16)
            return malformed(view);
        memcpy(key.bytes + 1, scan.key.data, 16);
        key.size = 17;
        h.freed = rmt_get_be64(scan.key.data);
        rc = rmt_list_load(&list, &view->store->pages, &key, scan.value);
        if (rc == 0 && v < h.freed && list.birth_min <= v)
            rc = rmt_list_each(&view->store->pages, &view->moment.catalog, &list, add_held, &h);
        if (rc < 0)
            return rc;
    }
    *out = h.pages + rmt_single_held(view->store, v);
    return rc;
}

static int tell_reader(void *ctx, uint32_t pid, uint64_t v, uint64_t since_ms)
{
    struct telling *t = ctx;
    uint64_t pages;
    int rc = held_by(t->view, v, &pages);
    if (rc < 0)
        return rc;
    struct ramet_reader_info info = {
        .size = sizeof(info),
        .pid = pid,
        .version = v,
        .age_ms = t->now_ms - rmt_min(t->now_ms, since_ms),
        .held_bytes = pages << t->view->store->pages.page_shift,
    };
    return t->fn(t->ctx, &info);
}

int ramet_reader_list(struct ramet_store *store, ramet_reader_fn fn, void *ctx)
{
    struct view view;
    int rc = usable(store, "ramet_reader_list");
    if (rc == 0 && !fn)
        rc = rmt_fail(-EINVAL, "ramet_reader_list: no fn");
    if (rc == 0)
        rc = view_open(store, &view);
    if (rc < 0)
        return rc;
    struct telling t = {&view, fn, ctx, store->io->ops->clock_ms(store->io)};
    rc = rmt_readers_list(&store->shared, view.moment.slot, tell_reader, &t);
    rmt_moment_close(&view.moment);
    return rc;
}
