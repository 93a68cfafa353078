/* SPDX-License-Identifier: MIT */
/* watching.c - ramet_watch_open(), ramet_watch_close(): where a watcher begins, and what it has. */

#include "store/versions.h"
#include "version/watch.h"

/* Where a watcher is to begin. */
struct beginning {
    struct rmt_version version;
    struct rmt_watch_place place;
};

/* A version by its id, be it kept or not. */
static int find_id(struct ramet_watch *w, const struct rmt_tree *catalog, const char *since,
                   const struct rmt_version *head, struct rmt_version *out)
{
    struct rmt_pages *pages = &w->store->pages;
    char *end;
    errno = 0;
    uint64_t id = strtoull(since + 1, &end, 10), number;
    if (since[1] < '0' || since[1] > '9' || *end || errno)
        return rmt_fail(-EINVAL, "'%s': a version is named @ID", since);
    *out = *head;
    if (id == head->id)
        return 0;
    struct rmt_key key = rmt_key1('i', id);
    int rc = rmt_catalog_number(pages, catalog, &key, &number);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such version, or no more: nobody kept it", since);
    return rc < 0 ? rc : rmt_catalog_version(pages, catalog, number, out);
}

/* Where a watcher is to begin, by a catalog. 1: at t->version; 0: at nothing. */
static int begin_at(struct ramet_watch *w, const struct rmt_tree *catalog, const char *since,
                    struct beginning *t, struct rmt_looked *looked)
{
    struct rmt_pages *pages = &w->store->pages;
    struct rmt_branch branch;
    struct rmt_version head;
    struct rmt_found found;
    int rc = rmt_watch_find_branch(pages, catalog, w->branch, looked, &branch, &head);
    if (rc < 0)
        return rc;
    if (!looked->head)
        return rmt_fail(RAMET_ENOTFOUND, "'%s': there is no such branch", w->branch);
    t->place = (struct rmt_watch_place){NULL, branch.number, head.number};
    t->version = head;
    if (since && !*since)
        return 0;
    if (since && *since == '@') {
        rc = find_id(w, catalog, since, &head, &t->version);
    } else if (since) {
        rc = rmt_ref_find(pages, catalog, since, &found);
        t->version = found.version;
    }
    if (rc == 0 && t->version.number != head.number)
        t->place.line = 0;
    return rc < 0 ? rc : 1;
}

struct creating {
    struct ramet_watch *watch;
    const char *since;
    struct beginning at;
    bool existed, claimed;
};

/* Within a commit: the cursor, unless somebody was faster. */
static int create(struct rmt_commit *c, void *ctx)
{
    struct creating *k = ctx;
    struct ramet_watch *w = k->watch;
    struct rmt_durable *durable = &w->durable;
    int rc = rmt_cursors_find(&c->store->pages, &c->catalog, w->cursor, durable);
    k->existed = rc == 0;
    if (rc != RAMET_ENOTFOUND)
        return rc;
    *durable = (struct rmt_durable){.at = 0};
    struct rmt_looked looked;
    rc = begin_at(w, &c->catalog, k->since, &k->at, &looked);
    struct rmt_version *v = &k->at.version;
    if (rc > 0 && v->flags & RMT_VERSION_HEAD) {
        struct rmt_version snapshot;
        rc = rmt_version_snapshot(c, v, &snapshot);
        *v = snapshot;
        rc = rc < 0 ? rc : 1;
    }
    if (rc < 0)
        return rc;
    durable->at = rc > 0 ? v->number : 0;
    durable->branch = k->at.place.branch;
    durable->line = k->at.place.line;
    memcpy(durable->branch_name, w->branch, strlen(w->branch) + 1);
    rc = rmt_cursors_create(c, w->cursor, durable);
    if (rc == 0)
        rc = rmt_cursors_claim(c->store, w->cursor, durable->number);
    k->claimed = rc == 0;
    return rc;
}

/* The cursor's record, claimed; made if there is none. */
static int claim_cursor(struct ramet_watch *w, const char *since)
{
    struct creating k = {.watch = w, .since = since};
    struct rmt_moment moment;
    int rc = rmt_moment_open(w->store, &moment);
    if (rc < 0)
        return rc;
    rc = rmt_cursors_find(&w->store->pages, &moment.catalog, w->cursor, &w->durable);
    rmt_moment_close(&moment);
    if (rc == RAMET_ENOTFOUND) {
        rc = rmt_store_writable(w->store);
        if (rc == 0)
            rc = rmt_commit(w->store, create, NULL, &k, rmt_store_flushes(w->store));
        if (rc < 0 && k.claimed)
            rmt_cursors_release(w->store, w->durable.number);
        if (rc < 0 || !k.existed)
            return rc;
    }
    if (rc == 0)
        rc = rmt_store_writable(w->store);
    if (rc == 0 && strcmp(w->durable.branch_name, w->branch) != 0)
        rc =
            rmt_fail(-EINVAL, "cursor '%s' watches branch '%s'", w->cursor, w->durable.branch_name);
    if (rc == 0 && since)
        rc = rmt_fail(-EINVAL, "cursor '%s' is there already, and goes on where it is", w->cursor);
    return rc < 0 ? rc : rmt_cursors_claim(w->store, w->cursor, w->durable.number);
}

/* A watcher with a cursor begins at what that is at. It may have moved before it was claimed. */
static int begin_at_cursor(struct ramet_watch *w, const struct rmt_tree *catalog,
                           struct beginning *t)
{
    struct rmt_pages *pages = &w->store->pages;
    struct rmt_durable now;
    int rc = rmt_cursors_find(pages, catalog, w->cursor, &now);
    if (rc == RAMET_ENOTFOUND || (rc == 0 && now.number != w->durable.number))
        return rmt_fail(-EBUSY, "cursor '%s' was just deleted", w->cursor);
    if (rc < 0)
        return rc;
    w->durable = now;
    t->place = (struct rmt_watch_place){NULL, w->durable.branch, w->durable.line};
    if (!w->durable.at)
        return 0;
    rc = rmt_catalog_version(pages, catalog, w->durable.at, &t->version);
    return rc < 0 ? rc : 1;
}

/* To its place. It is one of the store's already. There may be a batch at once, unless it is at the
 * branch's head. */
static int take_place(struct ramet_watch *w, const char *since)
{
    struct beginning t;
    struct rmt_moment moment;
    struct rmt_looked looked;
    uint64_t publication = rmt_shared_published(&w->store->shared);
    int rc = rmt_moment_open(w->store, &moment);
    if (rc < 0)
        return rc;
    rc = w->cursor ? begin_at_cursor(w, &moment.catalog, &t)
                   : begin_at(w, &moment.catalog, since, &t, &looked);
    if (rc <= 0) {
        rmt_moment_close(&moment);
    } else {
        rc = rmt_view_settle(w->store, &moment, &t.version, &t.place.view);
        w->told_id = t.version.id;
    }
    if (rc < 0)
        return rc;
    w->at = t.place;
    w->advanced_ms = w->store->io->ops->clock_ms(w->store->io);
    rmt_watch_ready(w->store, w, w->cursor || since ? NULL : &looked, publication);
    return 0;
}

/* What is left of one that is not, or no more, one of the store's. */
static void watch_free(struct ramet_watch *w)
{
    if (!w)
        return;
    if (w->durable.number)
        rmt_cursors_release(w->store, w->durable.number);
    rmt_numbers_fini(&w->pending);
    free(w->branch);
    free(w->map);
    free(w->prefix);
    free(w->cursor);
    free(w);
}

static void leave(struct ramet_watch *w)
{
    rmt_watch_end_batch(w);
    rmt_view_put(w->store, w->at.view);
    w->at.view = NULL;
    rmt_watch_leave(w->store, w);
}

/* The store is being closed. */
static void end_all(struct ramet_store *store)
{
    while (store->watches && store->watches->branches)
        ramet_watch_close(store->watches->branches->watches);
}

static int check_arguments(const char *branch, const char *map, struct ramet_slice prefix,
                           const struct ramet_watch_options *options)
{
    const unsigned known =
        RAMET_WATCH_EVERY | RAMET_WATCH_HEAD | RAMET_WATCH_KEYS | RAMET_WATCH_BLOBS;
    if (!rmt_known_size(options, struct ramet_watch_options) || options->size < sizeof(*options))
        return rmt_fail(-EINVAL, "ramet_watch_open: options->size is not set");
    if (options->flags & ~known ||
        (options->flags & RAMET_WATCH_HEAD && !(options->flags & RAMET_WATCH_EVERY)))
        return rmt_fail(-EINVAL, "ramet_watch_open: flags %#x", options->flags);
    if (prefix.size > RAMET_KEY_MAX)
        return rmt_fail(-EINVAL, "a key has at most %u bytes", RAMET_KEY_MAX);
    int rc = rmt_name_check("branch", branch, false);
    if (rc == 0 && map)
        rc = rmt_map_name_check(map);
    return rc == 0 && options->cursor ? rmt_name_check("cursor", options->cursor, true) : rc;
}

static struct ramet_watch *watch_new(struct ramet_store *store, const char *branch, const char *map,
                                     struct ramet_slice prefix,
                                     const struct ramet_watch_options *options)
{
    struct ramet_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->store = store;
    w->flags = options->flags;
    w->bell.every = options->flags & RAMET_WATCH_EVERY;
    w->branch = strdup(branch);
    w->map = map ? strdup(map) : NULL;
    w->prefix = malloc(prefix.size + 1);
    w->prefix_size = prefix.size;
    w->cursor = options->cursor ? strdup(options->cursor) : NULL;
    if (!w->branch || (map && !w->map) || !w->prefix || (options->cursor && !w->cursor)) {
        watch_free(w);
        return NULL;
    }
    if (prefix.size)
        memcpy(w->prefix, prefix.data, prefix.size);
    return w;
}

int ramet_watch_open(struct ramet_store *store, const char *branch, const char *map,
                     struct ramet_slice prefix, const char *since,
                     const struct ramet_watch_options *options, struct ramet_watch **out)
{
    static const struct ramet_watch_options nothing = {.size = sizeof(nothing)};
    if (!store || !out || (prefix.size && !prefix.data))
        return rmt_fail(-EINVAL, "ramet_watch_open: store, prefix or out");
    if (!options)
        options = &nothing;
    if (!branch)
        branch = "main";
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = check_arguments(branch, map, prefix, options);
    if (rc < 0)
        return rc;
    struct ramet_watch *w = watch_new(store, branch, map, prefix, options);
    if (!w)
        return rmt_fail(-ENOMEM, "a watcher");
    if (w->cursor) {
        rc = claim_cursor(w, since);
        if (rc < 0) {
            w->durable.number = 0; /* somebody else's, or nobody's */
            watch_free(w);
            return rc;
        }
    }
    rc = rmt_watch_join(store, branch, w);
    if (rc < 0) {
        watch_free(w);
        return rc;
    }
    rc = take_place(w, since);
    if (rc < 0) {
        leave(w);
        watch_free(w);
        return rc;
    }
    {
        rmt_lock_scope(&store->watches_lock);
        store->watches_end = end_all;
    }
    *out = w;
    return 0;
}

void ramet_watch_close(struct ramet_watch *w)
{
    if (!w || rmt_store_usable(w->store) < 0)
        return;
    leave(w);
    watch_free(w);
}
