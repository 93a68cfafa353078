/* SPDX-License-Identifier: MIT */
/*
 * watch.c - ramet_watch_*(): what changed in a branch since a watcher last looked.
 *
 * A watcher's place is a version and a line: the number of the branch's head, by which it is seen
 * whether the branch went on or was reset (V6). A batch is the diff from there to the branch's
 * head, or, of RAMET_WATCH_EVERY, to the next version that somebody keeps.
 *
 *          ramet_watch_next            all changes were told, or ramet_watch_next
 *   quiet ------------------> in a batch ---------------------------------------> quiet
 *
 * With a cursor the version that a batch leads to is pinned before the batch is given out; or it
 * could be gone when that is acknowledged.
 */
#include "version/watch.h"

#include <inttypes.h>

#include "store/ancestors.h"
#include "store/cursors.h"
#include "store/merged.h"
#include "store/versions.h"

/* A cursor whose branch changes, but not in what is watched, moves on once in so many ms. */
#define ADVANCE_MS 1000

/* What the next batch leads to. */
struct target {
    int kind;
    struct rmt_version version;
    struct rmt_watch_place place;
};

/* ---- which version is next ------------------------------------------------------------------- */

/* 1 if a branch goes on, at head, from a version; or 0. */
static int stands_on(struct rmt_pages *pages, const struct rmt_tree *catalog,
                     const struct rmt_version *head, uint64_t id)
{
    struct rmt_version v = *head;
    int rc = rmt_ancestor_settle(pages, catalog, &v);
    if (rc == 0)
        rc = rmt_ancestor_climb(pages, catalog, &v, id);
    return rc <= 0 ? rc : v.id == id;
}

/* The kept versions above an id, on the way down from a head, newest first. */
static int collect(struct rmt_pages *pages, const struct rmt_tree *catalog,
                   const struct rmt_version *head, uint64_t id, struct rmt_numbers *out)
{
    struct rmt_version v = *head;
    int rc = rmt_ancestor_settle(pages, catalog, &v);
    out->count = 0;
    while (rc == 0 && v.id > id) {
        if (v.kept && !rmt_vec_push(out, v.number))
            rc = rmt_fail(-ENOMEM, "a watcher");
        if (rc == 0 && !v.prev)
            break;
        struct rmt_version above = v;
        if (rc == 0)
            rc = rmt_catalog_below(pages, catalog, &above, &v);
    }
    return rc;
}

/* The oldest kept version above an id; what was pruned since it was collected is passed over. 1; 0:
 * there is none. */
static int oldest(struct ramet_watch *w, const struct rmt_tree *catalog,
                  const struct rmt_version *head, uint64_t id, struct rmt_version *out)
{
    struct rmt_pages *pages = &w->store->pages;
    for (bool collected = false;; collected = true) {
        while (w->pending.count) {
            uint64_t number = w->pending.items[w->pending.count - 1];
            int rc = rmt_catalog_find_version(pages, catalog, number, out);
            if (rc < 0 && rc != RAMET_ENOTFOUND)
                return rc;
            if (rc == 0 && out->kept && out->id > id)
                return 1;
            w->pending.count--;
        }
        if (collected)
            return 0;
        int rc = collect(pages, catalog, head, id, &w->pending);
        if (rc < 0)
            return rc;
    }
}

/* Of RAMET_WATCH_EVERY. The branch is still where it was, or went on from there (goes_on), or not.
 */
static int choose_kept(struct ramet_watch *w, const struct rmt_tree *catalog,
                       const struct rmt_version *head, bool goes_on, struct target *t)
{
    struct rmt_pages *pages = &w->store->pages;
    uint64_t id = w->at.view ? w->at.view->txn->version.id : 0;
    if (!goes_on || w->at.line != head->number)
        w->pending.count = 0;
    if (!goes_on) { /* back to where what is new begins, and on from there one by one */
        struct rmt_version v = *head;
        int rc = rmt_ancestor_settle(pages, catalog, &v);
        if (rc == 0)
            rc = rmt_ancestor_climb(pages, catalog, &v, id);
        t->version = v;
        if (rc != 0)
            return rc;
    }
    int rc = oldest(w, catalog, head, id, &t->version);
    if (rc != 0)
        return rc;
    bool to_head = !goes_on || (w->flags & RAMET_WATCH_HEAD && head->id > id);
    t->version = *head;
    return to_head;
}

/*
 * What the next batch leads to, by a catalog. 1; 0: nothing is new. The place says how the branch
 * is called now, also if nothing is.
 */
static int choose(struct ramet_watch *w, const struct rmt_tree *catalog, struct target *t,
                  struct rmt_looked *looked)
{
    struct rmt_pages *pages = &w->store->pages;
    struct rmt_branch branch;
    struct rmt_version head;
    int rc = rmt_watch_find_branch(pages, catalog, w->branch, looked, &branch, &head);
    if (rc < 0)
        return rc;
    if (!looked->head) {
        t->kind = RAMET_BATCH_GONE;
        return !w->gone;
    }
    uint64_t id = w->at.view ? w->at.view->txn->version.id : 0;
    bool anew = w->at.branch != branch.number;
    bool goes_on = !anew && (!w->at.view || (w->at.line == head.number && head.id >= id));
    if (!goes_on && !anew) {
        rc = stands_on(pages, catalog, &head, id);
        goes_on = rc > 0;
    }
    t->kind = goes_on ? RAMET_BATCH_CHANGES : RAMET_BATCH_REWIND;
    t->place = (struct rmt_watch_place){NULL, branch.number, head.number};
    if (rc < 0 || (goes_on && head.id == id))
        return rc < 0 ? rc : 0;
    if (w->flags & RAMET_WATCH_EVERY)
        return choose_kept(w, catalog, &head, goes_on, t);
    t->version = head;
    return 1;
}

/* The same, in the newest version of the store; what it leads to is held. */
static int find(struct ramet_watch *w, struct target *t)
{
    struct rmt_moment moment;
    struct rmt_looked looked = {.head = 0};
    int rc = rmt_moment_open(w->store, &moment);
    if (rc < 0)
        return rc;
    rc = choose(w, &moment.catalog, t, &looked);
    if (rc > 0 && t->kind != RAMET_BATCH_GONE) {
        int got = rmt_view_settle(w->store, &moment, &t->version, &t->place.view);
        rc = got < 0 ? got : rc;
    } else {
        rmt_moment_close(&moment);
    }
    if (rc >= 0)
        rmt_watch_note(w->store, w, &looked);
    if (rc == 0 && looked.head && w->at.branch == t->place.branch)
        w->at.line = t->place.line; /* it was reset to what it was, or to what stands on it */
    return rc;
}

/* ---- batches --------------------------------------------------------------------------------- */

static void end_diff(struct ramet_watch *w)
{
    ramet_diff_close(w->diff);
    w->diff = NULL;
    w->peeked = false;
}

void rmt_watch_end_batch(struct ramet_watch *w)
{
    end_diff(w);
    rmt_view_put(w->store, w->from);
    w->from = NULL;
}

/* The diff to a target, and its first change: 1; 0: there is none, and no diff. A value that is too
 * large is a change: whoever asks for it is told. */
static int peek(struct ramet_watch *w, const struct target *t)
{
    struct ramet_diff_options options = {
        .size = sizeof(options),
        .flags = (w->flags & RAMET_WATCH_KEYS ? RAMET_DIFF_KEYS : 0) |
                 (w->flags & RAMET_WATCH_BLOBS ? RAMET_DIFF_BLOBS : 0),
        .map = w->map,
        .prefix = {w->prefix, w->prefix_size},
    };
    int rc = ramet_diff_open(w->at.view ? w->at.view->txn : NULL, t->place.view->txn, &options,
                             &w->diff);
    if (rc < 0)
        return rc;
    w->first.size = sizeof(w->first);
    w->first_rc = ramet_diff_next(w->diff, &w->first);
    w->peeked = w->first_rc == 0 || w->first_rc == -EFBIG;
    if (w->peeked)
        return 1;
    end_diff(w);
    return w->first_rc == RAMET_ENOTFOUND ? 0 : w->first_rc;
}

/* ---- cursors --------------------------------------------------------------------------------- */

struct offering {
    struct ramet_watch *watch;
    struct target target;
    struct rmt_durable durable;
    int found;
};

/* Within a commit: what the next batch leads to, which may be newer than what was found before, is
 * pinned. */
static int offer(struct rmt_commit *c, void *ctx)
{
    struct offering *o = ctx;
    struct rmt_looked looked;
    o->durable = o->watch->durable;
    int rc = choose(o->watch, &c->catalog, &o->target, &looked);
    o->found = rc > 0 && o->target.kind != RAMET_BATCH_GONE;
    if (rc < 0 || !o->found)
        return rc < 0 ? rc : 0;
    struct rmt_version *v = &o->target.version;
    rc = 0;
    if (v->flags & RMT_VERSION_HEAD) {
        struct rmt_version snapshot;
        rc = rmt_version_snapshot(c, v, &snapshot);
        *v = snapshot;
    }
    return rc < 0 ? rc : rmt_cursors_offer(c, o->watch->cursor, &o->durable, v->number);
}

static int commit(struct ramet_store *store, rmt_apply_fn apply, void *ctx)
{
    return rmt_commit(store, apply, NULL, ctx, rmt_store_flushes(store));
}

/* Pins what the next batch leads to, and holds it: 1. 0: there is none any more. */
static int pin_target(struct ramet_watch *w, struct target *t)
{
    struct offering o = {.watch = w};
    struct rmt_moment moment;
    struct rmt_version v;
    int rc = commit(w->store, offer, &o);
    if (rc < 0 || !o.found)
        return rc;
    *t = o.target;
    w->durable = o.durable;
    w->offered = t->place;
    rc = rmt_moment_open(w->store, &moment);
    if (rc < 0)
        return rc;
    rc = rmt_catalog_version(&w->store->pages, &moment.catalog, t->version.number, &v);
    if (rc < 0) {
        rmt_moment_close(&moment);
        return rc;
    }
    rc = rmt_view_settle(w->store, &moment, &v, &t->place.view);
    return rc < 0 ? rc : 1;
}

struct advancing {
    const char *cursor;
    struct rmt_durable before, durable;
};

static int advance(struct rmt_commit *c, void *ctx)
{
    struct advancing *a = ctx;
    a->durable = a->before;
    return rmt_cursors_advance(c, a->cursor, &a->durable);
}

int ramet_watch_ack(struct ramet_watch *w)
{
    if (!w)
        return rmt_fail(-EINVAL, "ramet_watch_ack: no watcher");
    int rc = rmt_store_usable(w->store);
    if (rc < 0 || !w->cursor || !w->durable.next)
        return rc;
    struct advancing a = {.cursor = w->cursor, .before = w->durable};
    a.before.branch = w->offered.branch;
    a.before.line = w->offered.line;
    rc = commit(w->store, advance, &a);
    if (rc < 0)
        return rc;
    w->durable = a.durable;
    w->advanced_ms = w->store->io->ops->clock_ms(w->store->io);
    return 0;
}

/* ---- the next batch -------------------------------------------------------------------------- */

/* The watcher is at the target. Its view is taken. */
static void move(struct ramet_watch *w, const struct target *t)
{
    rmt_view_put(w->store, w->from);
    w->from = w->at.view;
    w->at = t->place;
    w->gone = false;
    if (!w->diff)
        rmt_watch_end_batch(w);
}

/* True: a cursor that was not moved for a while, for nothing that is watched changed. */
static bool is_due(const struct ramet_watch *w)
{
    struct rmt_io *io = w->store->io;
    return w->cursor && !w->durable.next && io->ops->clock_ms(io) - w->advanced_ms >= ADVANCE_MS;
}

/* To the next target. 1: its batch is to be given out; 0: there is none; or a code. *again: there
 * was one, without a change that is watched. */
static int step(struct ramet_watch *w, struct target *t, bool *again)
{
    *again = false;
    t->place.view = NULL;
    int rc = find(w, t);
    if (rc <= 0 || t->kind == RAMET_BATCH_GONE)
        return rc;
    bool pinned = false, acknowledged = !w->durable.next;
    rc = peek(w, t);
    if (rc >= 0 && w->cursor && (rc > 0 || t->kind == RAMET_BATCH_REWIND || is_due(w))) {
        end_diff(w);
        rmt_view_put(w->store, t->place.view);
        t->place.view = NULL;
        rc = pin_target(w, t);
        pinned = rc > 0;
        if (rc == 0)
            return 0;
        if (rc > 0)
            rc = peek(w, t);
    }
    if (rc < 0) {
        rmt_view_put(w->store, t->place.view);
        return rc;
    }
    bool silent = rc == 0 && t->kind == RAMET_BATCH_CHANGES;
    move(w, t);
    if (!silent)
        return 1;
    *again = w->flags & RAMET_WATCH_EVERY;
    return pinned && acknowledged ? ramet_watch_ack(w) : 0;
}

int ramet_watch_next(struct ramet_watch *w, struct ramet_batch *out)
{
    if (!w || !out || !rmt_known_size(out, struct ramet_batch) || out->size < sizeof(*out))
        return rmt_fail(-EINVAL, "ramet_watch_next: watch, out or out->size");
    int rc = rmt_store_usable(w->store);
    if (rc < 0)
        return rc;
    struct target t;
    bool again = true;
    rmt_watch_end_batch(w);
    rmt_watch_clear(w->store, w); /* before it looks: what it does not see, it is told of */
    while (rc == 0 && again)
        rc = step(w, &t, &again);
    if (rc <= 0)
        return rc < 0 ? rc : RAMET_ENOTFOUND;
    bool gone = t.kind == RAMET_BATCH_GONE;
    w->gone = gone;
    *out = (struct ramet_batch){
        .size = sizeof(*out),
        .kind = t.kind,
        .from = w->told_id,
        .to = gone ? w->told_id : t.version.id,
        .time = gone ? 0 : t.version.time_us,
    };
    w->told_id = out->to;
    if (w->flags & RAMET_WATCH_EVERY) /* there may be another */
        rmt_watch_tell(w->store, w);
    return 0;
}

int ramet_watch_change(struct ramet_watch *w, struct ramet_change *out)
{
    if (!w || !out || !rmt_known_size(out, struct ramet_change) || out->size < sizeof(*out))
        return rmt_fail(-EINVAL, "ramet_watch_change: watch, out or out->size");
    int rc = rmt_store_usable(w->store);
    if (rc < 0)
        return rc;
    if (!w->diff)
        return RAMET_ENOTFOUND;
    if (!w->peeked) {
        rc = ramet_diff_next(w->diff, out);
        if (rc == RAMET_ENOTFOUND)
            rmt_watch_end_batch(w);
        return rc;
    }
    w->peeked = false;
    if (w->first_rc < 0)
        return rmt_fail(w->first_rc, "a value has more than %zu bytes", RAMET_SLICE_MAX);
    *out = w->first;
    return 0;
}

int ramet_watch_begin(struct ramet_watch *w, struct ramet_txn **out)
{
    if (!w || !out)
        return rmt_fail(-EINVAL, "ramet_watch_begin: watch or out");
    struct rmt_reader_slot *slot;
    int rc = rmt_store_usable(w->store);
    if (rc < 0)
        return rc;
    if (!w->at.view)
        return rmt_fail(RAMET_ENOTFOUND, "the watcher saw no version yet");
    rc = rmt_reader_claim(&w->store->shared, &slot);
    if (rc < 0)
        return rc;
    const struct rmt_version *version = &w->at.view->txn->version;
    rmt_reader_settle(slot, version->id); /* what is held already */
    return rmt_txn_hold(w->store, slot, version, out);
}

int ramet_watch_fd(const struct ramet_watch *w)
{
    return w ? w->bell.fd : rmt_fail(-EINVAL, "ramet_watch_fd: no watcher");
}

int ramet_watch_wait(struct ramet_watch *w, int timeout_ms)
{
    if (!w)
        return rmt_fail(-EINVAL, "ramet_watch_wait: no watcher");
    int rc = rmt_store_usable(w->store);
    return rc < 0 ? rc : rmt_event_wait(w->bell.fd, timeout_ms);
}
