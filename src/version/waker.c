/* SPDX-License-Identifier: MIT */
/* waker.c - the thread that tells watchers of commits, and what they share. */
#include <signal.h>

#include "version/watch.h"

/* Between two looks. So many watchers told make it longer by as much again: a thread that tells
 * many takes a part of a processor, and not the whole. */
#define PAUSE_MS 1u
#define TOLD_PER_MS 50u

/* ---- looking --------------------------------------------------------------------------------- */

int rmt_watch_find_branch(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *name,
                          struct rmt_looked *out, struct rmt_branch *branch,
                          struct rmt_version *head)
{
    *out = (struct rmt_looked){.head = 0};
    int rc = rmt_catalog_branch(pages, catalog, name, branch);
    if (rc == RAMET_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = rmt_catalog_version(pages, catalog, branch->head, head);
    if (rc == 0)
        *out = (struct rmt_looked){head->number, head->id, head->prev, branch->snapshots};
    return rc;
}

static bool differs(const struct rmt_looked *a, const struct rmt_looked *b, bool every)
{
    return a->head != b->head || a->id != b->id ||
           (every && (a->base != b->base || a->snapshots != b->snapshots));
}

static void tell_one_locked(struct rmt_watch_bell *bell)
{
    if (!bell->told)
        rmt_event_set(bell->fd);
    bell->told = true;
}

/* Tells the watchers of a branch that did not see it where it is now. */
static unsigned tell_locked(struct rmt_watched *branch, const struct rmt_looked *now)
{
    unsigned told = 0;
    for (struct ramet_watch *w = branch->watches; w; w = w->bell.next) {
        struct rmt_watch_bell *bell = &w->bell;
        if (bell->told || !bell->ready || !differs(&bell->looked, now, bell->every))
            continue;
        tell_one_locked(bell);
        told++;
    }
    return told;
}

/* Looks at all branches that are watched. */
static unsigned look(struct rmt_watches *ws)
{
    struct ramet_store *store = ws->store;
    struct rmt_state state;
    unsigned told = 0;
    rmt_lock_scope(&store->watches_lock);
    rmt_state_hold(store, ws->slot, &state);
    struct rmt_tree catalog = rmt_state_catalog(&state);
    for (struct rmt_watched *b = ws->branches; b; b = b->next) {
        struct rmt_looked now;
        struct rmt_branch branch;
        struct rmt_version head;
        /* Whoever looks for himself is told what is wrong. */
        if (rmt_watch_find_branch(&store->pages, &catalog, b->name, &now, &branch, &head) < 0)
            now = (struct rmt_looked){.id = UINT64_MAX};
        /* Not only if it moved since the last look: it may be back where it was then, after a flush
         * that failed, and a watcher have seen what was between. */
        told += tell_locked(b, &now);
    }
    rmt_reader_settle(ws->slot, 0);
    return told;
}

static void *run(void *arg)
{
    struct rmt_watches *ws = arg;
    struct rmt_shared *shared = &ws->store->shared;
    uint64_t seen = 0;
    while (!atomic_load(&ws->stop)) {
        uint64_t now = rmt_shared_published(shared);
        if (now == seen) {
            rmt_shared_sleep(shared, seen, &ws->stop);
            continue;
        }
        seen = now;
        uint32_t ms = PAUSE_MS + look(ws) / TOLD_PER_MS;
        ws->store->io->ops->wait(ws->store->io, &ws->stop, 0, ms);
    }
    return NULL;
}

/* ---- beginning and ending -------------------------------------------------------------------- */

/* Signals are for the program's threads. Returns 0 or -errno. */
static int start(struct rmt_watches *ws)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&ws->thread, NULL, run, ws);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

static int watches_new(struct ramet_store *store, struct rmt_watches **out)
{
    struct rmt_watches *ws = calloc(1, sizeof(*ws));
    if (!ws)
        return rmt_fail(-ENOMEM, "watching a store");
    ws->store = store;
    int rc = rmt_reader_claim(&store->shared, &ws->slot);
    if (rc < 0) {
        free(ws);
        return rc;
    }
    rc = start(ws);
    if (rc < 0) {
        rmt_reader_release(ws->slot);
        free(ws);
        return rmt_fail(rc, "the thread that watches store '%s'", store->io->path);
    }
    *out = ws;
    return 0;
}

static void watches_free(struct rmt_watches *ws)
{
    if (!ws)
        return;
    struct ramet_store *store = ws->store;
    atomic_store(&ws->stop, 1);
    store->io->ops->wake(store->io, &ws->stop);
    rmt_shared_rouse(&store->shared);
    (void)pthread_join(ws->thread, NULL);
    rmt_reader_release(ws->slot);
    rmt_assert(!ws->branches && !ws->views);
    free(ws);
}

/* The branch's entry, made if there is none. */
static struct rmt_watched *watched_locked(struct rmt_watches *ws, const char *name)
{
    struct rmt_watched *b = ws->branches;
    while (b && strcmp(b->name, name) != 0)
        b = b->next;
    if (b)
        return b;
    b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    memcpy(b->name, name, strlen(name) + 1);
    b->next = ws->branches;
    ws->branches = b;
    return b;
}

static int join_locked(struct ramet_store *store, const char *branch, struct ramet_watch *watch)
{
    struct rmt_watch_bell *bell = &watch->bell;
    int rc = store->watches ? 0 : watches_new(store, &store->watches);
    if (rc < 0)
        return rc;
    struct rmt_watched *b = watched_locked(store->watches, branch);
    if (!b)
        return rmt_fail(-ENOMEM, "a watcher");
    bell->branch = b;
    bell->next = b->watches;
    if (bell->next)
        bell->next->bell.prev = watch;
    b->watches = watch;
    return 0;
}

/* The last one is gone: what is left of them, to be freed with no lock held. */
static struct rmt_watches *end_locked(struct ramet_store *store)
{
    struct rmt_watches *ws = store->watches;
    if (!ws || ws->branches)
        return NULL;
    store->watches = NULL;
    return ws;
}

int rmt_watch_join(struct ramet_store *store, const char *branch, struct ramet_watch *watch)
{
    int rc = rmt_event_new(&watch->bell.fd);
    if (rc < 0)
        return rc;
    rmt_lock_take(&store->watches_lock);
    rc = join_locked(store, branch, watch);
    struct rmt_watches *ending = rc < 0 ? end_locked(store) : NULL;
    rmt_lock_give(&store->watches_lock);
    if (rc < 0)
        rmt_event_free(watch->bell.fd);
    watches_free(ending);
    return rc;
}

static void unlist_locked(struct rmt_watches *ws, struct ramet_watch *watch)
{
    struct rmt_watch_bell *bell = &watch->bell;
    struct rmt_watched *b = bell->branch, **link = &ws->branches;
    if (bell->prev)
        bell->prev->bell.next = bell->next;
    else
        b->watches = bell->next;
    if (bell->next)
        bell->next->bell.prev = bell->prev;
    if (b->watches)
        return;
    while (*link != b)
        link = &(*link)->next;
    *link = b->next;
    free(b);
}

void rmt_watch_leave(struct ramet_store *store, struct ramet_watch *watch)
{
    rmt_lock_take(&store->watches_lock);
    unlist_locked(store->watches, watch);
    struct rmt_watches *ending = end_locked(store);
    rmt_lock_give(&store->watches_lock);
    rmt_event_free(watch->bell.fd);
    watches_free(ending);
}

/* ---- one watcher ----------------------------------------------------------------------------- */

void rmt_watch_ready(struct ramet_store *store, struct ramet_watch *watch,
                     const struct rmt_looked *looked, uint64_t publication)
{
    struct rmt_watch_bell *bell = &watch->bell;
    rmt_lock_scope(&store->watches_lock);
    bell->ready = true;
    if (looked)
        bell->looked = *looked;
    /* Of what was published meanwhile it was not told. */
    if (!looked || rmt_shared_published(&store->shared) != publication)
        tell_one_locked(bell);
}

void rmt_watch_tell(struct ramet_store *store, struct ramet_watch *watch)
{
    rmt_lock_scope(&store->watches_lock);
    tell_one_locked(&watch->bell);
}

void rmt_watch_clear(struct ramet_store *store, struct ramet_watch *watch)
{
    struct rmt_watch_bell *bell = &watch->bell;
    rmt_lock_scope(&store->watches_lock);
    if (bell->told)
        rmt_event_clear(bell->fd);
    bell->told = false;
}

void rmt_watch_note(struct ramet_store *store, struct ramet_watch *watch,
                    const struct rmt_looked *looked)
{
    rmt_lock_scope(&store->watches_lock);
    watch->bell.looked = *looked;
}

/* ---- versions that are held ------------------------------------------------------------------ */

int rmt_view_get(struct ramet_store *store, struct rmt_reader_slot *slot,
                 const struct rmt_version *version, struct rmt_view **out)
{
    rmt_lock_scope(&store->watches_lock);
    struct rmt_view *view = store->watches->views;
    while (view && view->txn->version.id != version->id)
        view = view->next;
    if (view) {
        rmt_reader_release(slot);
        view->refs++;
        *out = view;
        return 0;
    }
    view = calloc(1, sizeof(*view));
    if (!view) {
        rmt_reader_release(slot);
        return rmt_fail(-ENOMEM, "a watcher");
    }
    int rc = rmt_txn_hold(store, slot, version, &view->txn);
    if (rc < 0) {
        free(view);
        return rc;
    }
    view->refs = 1;
    view->next = store->watches->views;
    store->watches->views = view;
    *out = view;
    return 0;
}

void rmt_view_put(struct ramet_store *store, struct rmt_view *view)
{
    if (!view)
        return;
    rmt_lock_scope(&store->watches_lock);
    if (--view->refs)
        return;
    struct rmt_view **link = &store->watches->views;
    while (*link != view)
        link = &(*link)->next;
    *link = view->next;
    ramet_abort(view->txn);
    free(view);
}

int rmt_view_settle(struct ramet_store *store, struct rmt_moment *moment,
                    const struct rmt_version *version, struct rmt_view **out)
{
    rmt_reader_settle(moment->slot, version->id);
    return rmt_view_get(store, moment->slot, version, out);
}
