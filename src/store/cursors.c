/* SPDX-License-Identifier: MIT */
#include "store/cursors.h"

#include "store/claims.h"

#include "store/list.h"
#include "store/versions.h"

/* ---- records --------------------------------------------------------------------------------- */

int rmt_cursors_load(const struct rmt_pages *pages, struct ramet_slice record,
                     struct rmt_durable *out)
{
    struct rmt_disk_cursor disk;
    if (record.size <= sizeof(disk) || record.size > sizeof(disk) + RAMET_NAME_MAX)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a record 'w' of the catalog is malformed",
                        pages->io->path);
    memcpy(&disk, record.data, sizeof(disk));
    *out = (struct rmt_durable){
        .number = rmt_get64(disk.number),
        .at = rmt_get64(disk.at),
        .next = rmt_get64(disk.next),
        .branch = rmt_get64(disk.branch),
        .line = rmt_get64(disk.line),
        .time_us = (int64_t)rmt_get64(disk.time_us),
    };
    memcpy(out->branch_name, (const uint8_t *)record.data + sizeof(disk),
           record.size - sizeof(disk));
    return rmt_name_check("branch", out->branch_name, false) == 0
               ? 0
               : rmt_fail(RAMET_ECORRUPT, "store '%s': a cursor names a branch that cannot be",
                          pages->io->path);
}

int rmt_cursors_find(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *name,
                     struct rmt_durable *out)
{
    struct rmt_key key = rmt_key_name('w', name);
    struct rmt_value value;
    int rc = rmt_tree_get(pages, catalog, rmt_key_slice(&key), &value);
    if (rc < 0)
        return rc;
    return rmt_cursors_load(pages, rmt_slice(value.data, value.extents ? 0 : value.size), out);
}

static int put(struct rmt_commit *c, const char *name, const struct rmt_durable *durable)
{
    struct rmt_key key = rmt_key_name('w', name);
    uint8_t record[sizeof(struct rmt_disk_cursor) + RAMET_NAME_MAX];
    size_t nr_name = strlen(durable->branch_name);
    struct rmt_disk_cursor disk = {
        .number = rmt_put64(durable->number),
        .at = rmt_put64(durable->at),
        .next = rmt_put64(durable->next),
        .branch = rmt_put64(durable->branch),
        .line = rmt_put64(durable->line),
        .time_us = rmt_put64((uint64_t)durable->time_us),
    };
    memcpy(record, &disk, sizeof(disk));
    memcpy(record + sizeof(disk), durable->branch_name, nr_name);
    return rmt_catalog_put(c, &key, record, sizeof(disk) + nr_name);
}

/* ---- who uses one ---------------------------------------------------------------------------- */

static uint64_t byte_of(uint64_t number)
{
    return RMT_BYTE_BRANCH + number; /* no branch has that number */
}

int rmt_cursors_claim(struct ramet_store *store, const char *name, uint64_t number)
{
    int rc = rmt_claim(store, byte_of(number), false);
    if (rc == -EBUSY)
        return rmt_fail(-EBUSY, "cursor '%s' is in use here", name);
    return rc == -EAGAIN ? rmt_fail(-EBUSY, "cursor '%s' is in use in another process", name) : rc;
}

bool rmt_cursors_in_use(struct ramet_store *store, uint64_t number)
{
    return rmt_claimed(store, byte_of(number));
}

void rmt_cursors_release(struct ramet_store *store, uint64_t number)
{
    rmt_claim_end(store, byte_of(number));
}

/* ---- changing -------------------------------------------------------------------------------- */

static int unpin(struct rmt_commit *c, uint64_t number)
{
    return number ? rmt_version_unpin(c, number) : 0;
}

int rmt_cursors_create(struct rmt_commit *c, const char *name, struct rmt_durable *durable)
{
    durable->number = rmt_commit_number(c);
    durable->next = 0;
    durable->time_us = c->state.time_us;
    c->state.cursors++;
    int rc = durable->at ? rmt_version_pin(c, durable->at) : 0;
    return rc < 0 ? rc : put(c, name, durable);
}

int rmt_cursors_offer(struct rmt_commit *c, const char *name, struct rmt_durable *durable,
                      uint64_t number)
{
    uint64_t before = durable->next;
    int rc = rmt_version_pin(c, number);
    durable->next = number;
    if (rc == 0)
        rc = put(c, name, durable);
    return rc < 0 ? rc : unpin(c, before);
}

int rmt_cursors_advance(struct rmt_commit *c, const char *name, struct rmt_durable *durable)
{
    uint64_t before = durable->at;
    durable->at = durable->next;
    durable->next = 0;
    durable->time_us = c->state.time_us;
    int rc = put(c, name, durable);
    return rc < 0 ? rc : unpin(c, before);
}

int rmt_cursors_delete(struct rmt_commit *c, const char *name)
{
    struct rmt_durable durable;
    struct rmt_key key = rmt_key_name('w', name);
    int rc = rmt_cursors_find(&c->store->pages, &c->catalog, name, &durable);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such cursor", name);
    if (rc == 0)
        rc = rmt_catalog_del(c, &key);
    c->state.cursors--;
    if (rc == 0)
        rc = unpin(c, durable.at);
    return rc < 0 ? rc : unpin(c, durable.next);
}

/* ---- what they pin --------------------------------------------------------------------------- */

/* What unpinning a version would give back (versions.c: tidy_one()), but for what others that pin
 * it hold as well. */
static int version_pages(struct rmt_pages *pages, const struct rmt_tree *catalog, uint64_t number,
                         uint64_t *out)
{
    struct rmt_version v, prev = {.id = 0}, child;
    int rc = rmt_catalog_version(pages, catalog, number, &v);
    *out = 0;
    if (rc < 0 || v.kept || v.children > 1)
        return rc;
    if (v.children == 0) {
        *out = v.owned_pages;
        return 0;
    }
    if (v.prev)
        rc = rmt_catalog_version(pages, catalog, v.prev, &prev);
    if (rc == 0)
        rc = rmt_catalog_version(pages, catalog, v.child, &child);
    return rc < 0 ? rc : rmt_dead_count(pages, catalog, child.dead, prev.id, out);
}

int rmt_cursors_pinned(struct rmt_pages *pages, const struct rmt_tree *catalog,
                       const struct rmt_durable *durable, uint64_t *out)
{
    uint64_t at = 0, next = 0;
    int rc = durable->at ? version_pages(pages, catalog, durable->at, &at) : 0;
    if (rc == 0 && durable->next && durable->next != durable->at)
        rc = version_pages(pages, catalog, durable->next, &next);
    if (rc == 0)
        *out = at + next;
    return rc;
}

static int sum_all(struct rmt_pages *pages, const struct rmt_tree *catalog, uint64_t *out)
{
    struct rmt_key prefix = {.bytes = {'w'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, pages, catalog, &prefix);
    uint64_t sum = 0;
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_durable durable;
        uint64_t nr = 0;
        rc = rmt_cursors_load(pages, scan.value, &durable);
        if (rc == 0)
            rc = rmt_cursors_pinned(pages, catalog, &durable, &nr);
        if (rc < 0)
            return rc;
        sum += nr;
    }
    *out = sum;
    return rc;
}

int rmt_cursors_sum(struct ramet_store *store, uint64_t *out)
{
    struct rmt_moment moment;
    int rc = rmt_moment_open(store, &moment);
    if (rc < 0)
        return rc;
    rc = sum_all(&store->pages, &moment.catalog, out);
    rmt_moment_close(&moment);
    return rc;
}

/* ---- the public calls ------------------------------------------------------------------------ */

static int tell_cursor(struct ramet_store *store, const struct rmt_tree *catalog,
                       const struct rmt_scan *scan, ramet_watch_cursor_fn fn, void *ctx)
{
    struct rmt_pages *pages = &store->pages;
    struct rmt_durable durable;
    struct rmt_version at = {.id = 0};
    struct rmt_branch branch;
    char name[RAMET_NAME_MAX + 1];
    uint64_t pinned = 0;
    if (scan->key.size > RAMET_NAME_MAX)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a key 'w' of the catalog is malformed",
                        store->io->path);
    memcpy(name, scan->key.data, scan->key.size);
    name[scan->key.size] = 0;
    int rc = rmt_cursors_load(pages, scan->value, &durable);
    if (rc == 0)
        rc = rmt_cursors_pinned(pages, catalog, &durable, &pinned);
    if (rc == 0 && durable.at)
        rc = rmt_catalog_version(pages, catalog, durable.at, &at);
    if (rc < 0)
        return rc;
    rc = rmt_catalog_branch(pages, catalog, durable.branch_name, &branch);
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rc;
    struct ramet_watch_cursor_info info = {
        .size = sizeof(info),
        .name = name,
        .branch = durable.branch_name,
        .id = at.id,
        .pinned_bytes = pinned << pages->page_shift,
        .time = durable.time_us,
        .gone = rc == RAMET_ENOTFOUND,
        .in_use = rmt_cursors_in_use(store, durable.number),
    };
    return fn(ctx, &info);
}

static int list_cursors(struct ramet_store *store, const struct rmt_tree *catalog,
                        ramet_watch_cursor_fn fn, void *ctx)
{
    struct rmt_key prefix = {.bytes = {'w'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &store->pages, catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        rc = tell_cursor(store, catalog, &scan, fn, ctx);
        if (rc != 0)
            return rc;
    }
    return rc;
}

int ramet_watch_cursor_list(struct ramet_store *store, ramet_watch_cursor_fn fn, void *ctx)
{
    if (!store || !fn)
        return rmt_fail(-EINVAL, "ramet_watch_cursor_list: store or fn");
    struct rmt_moment moment;
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_moment_open(store, &moment);
    if (rc < 0)
        return rc;
    rc = list_cursors(store, &moment.catalog, fn, ctx);
    rmt_moment_close(&moment);
    return rc;
}

struct deleting {
    const char *name;
    uint64_t number;
};

static int delete_cursor(struct rmt_commit *c, void *ctx)
{
    const struct deleting *d = ctx;
    struct rmt_durable now;
    int rc = rmt_cursors_find(&c->store->pages, &c->catalog, d->name, &now);
    if (rc == RAMET_ENOTFOUND || (rc == 0 && now.number != d->number))
        return rmt_fail(RAMET_ENOTFOUND, "cursor '%s' was deleted meanwhile", d->name);
    return rc < 0 ? rc : rmt_cursors_delete(c, d->name);
}

int ramet_watch_cursor_delete(struct ramet_store *store, const char *name)
{
    if (!store)
        return rmt_fail(-EINVAL, "ramet_watch_cursor_delete: no store");
    struct rmt_moment moment;
    struct rmt_durable durable;
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_name_check("cursor", name, true);
    if (rc == 0)
        rc = rmt_moment_open(store, &moment);
    if (rc < 0)
        return rc;
    rc = rmt_cursors_find(&store->pages, &moment.catalog, name, &durable);
    rmt_moment_close(&moment);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such cursor", name);
    if (rc == 0)
        rc = rmt_store_writable(store);
    if (rc == 0)
        rc = rmt_cursors_claim(store, name, durable.number);
    if (rc < 0)
        return rc;
    struct deleting d = {name, durable.number};
    rc = rmt_commit(store, delete_cursor, NULL, &d, rmt_store_flushes(store));
    rmt_cursors_release(store, durable.number);
    return rc;
}
