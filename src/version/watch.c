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

/* Where a watcher is, or goes. */
struct place {
    struct rmt_view *view; /* NULL: at nothing */
    uint64_t branch, line; /* numbers of the branch and of its head; line 0: it was another's */
};

/* What the next batch leads to. */
struct target {
    int kind;
    struct rmt_version version;
    struct place place;
};

struct ramet_watch {
    struct rmt_watch_bell bell;
    struct ramet_store *store;
    unsigned flags;
    char *branch, *map; /* map NULL: all */
    uint8_t *prefix;
    size_t prefix_size;
    struct place at;
    uint64_t told_id; /* of the version that the last batch led to */
    bool gone;
    struct rmt_numbers pending; /* of RAMET_WATCH_EVERY: kept versions to come, newest first */

    /* of a batch */
    struct rmt_view *from; /* held as long as diff */
    struct ramet_diff *diff;
    struct ramet_change first; /* was looked at already, if */
    bool peeked;
    int first_rc;

    /* of a cursor */
    char *cursor; /* NULL: none */
    struct rmt_durable durable;
    struct place offered; /* what durable.next is; no view */
    uint64_t advanced_ms;
};
static_assert(offsetof(struct ramet_watch, bell) == 0, "rmt_watch_bell()");

/* ---- looking up ------------------------------------------------------------------------------ */

/* The newest version of the store, held by a slot. */
struct look {
    struct rmt_reader_slot *slot;
    struct rmt_tree catalog;
};

static int look_begin(struct ramet_store *store, struct look *look)
{
    struct rmt_state state;
    int rc = rmt_reader_claim(&store->shared, &look->slot);
    if (rc < 0)
        return rc;
    rmt_state_hold(store, look->slot, &state);
    look->catalog = (struct rmt_tree){.root = state.catalog, .fixed = true};
    return 0;
}

/* From here on the slot holds the one version, for rmt_view_get(). */
static int look_settle(struct ramet_store *store, struct look *look,
                       const struct rmt_version *version, struct rmt_view **out)
{
    rmt_reader_settle(look->slot, version->id);
    return rmt_view_get(store, look->slot, version, out);
}

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

/* ---- which version is next ------------------------------------------------------------------- */

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
        if (rc == 0)
            rc = rmt_catalog_version(pages, catalog, v.prev, &v);
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
    int rc = rmt_watch_look(pages, catalog, w->branch, looked, &branch, &head);
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
    t->place = (struct place){NULL, branch.number, head.number};
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
    struct look look;
    struct rmt_looked looked = {.head = 0};
    int rc = look_begin(w->store, &look);
    if (rc < 0)
        return rc;
    rc = choose(w, &look.catalog, t, &looked);
    if (rc > 0 && t->kind != RAMET_BATCH_GONE) {
        int got = look_settle(w->store, &look, &t->version, &t->place.view);
        rc = got < 0 ? got : rc;
    } else {
        rmt_reader_release(look.slot);
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

static void end_batch(struct ramet_watch *w)
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
        .flags = w->flags & RAMET_WATCH_KEYS ? RAMET_DIFF_KEYS : 0,
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
    struct look look;
    struct rmt_version v;
    int rc = commit(w->store, offer, &o);
    if (rc < 0 || !o.found)
        return rc;
    *t = o.target;
    w->durable = o.durable;
    w->offered = t->place;
    rc = look_begin(w->store, &look);
    if (rc < 0)
        return rc;
    rc = rmt_catalog_version(&w->store->pages, &look.catalog, t->version.number, &v);
    if (rc < 0) {
        rmt_reader_release(look.slot);
        return rc;
    }
    rc = look_settle(w->store, &look, &v, &t->place.view);
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
        end_batch(w);
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
    end_batch(w);
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
            end_batch(w);
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

/* ---- opening --------------------------------------------------------------------------------- */

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
                    struct target *t, struct rmt_looked *looked)
{
    struct rmt_pages *pages = &w->store->pages;
    struct rmt_branch branch;
    struct rmt_version head;
    struct rmt_found found;
    int rc = rmt_watch_look(pages, catalog, w->branch, looked, &branch, &head);
    if (rc < 0)
        return rc;
    if (!looked->head)
        return rmt_fail(RAMET_ENOTFOUND, "'%s': there is no such branch", w->branch);
    t->place = (struct place){NULL, branch.number, head.number};
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
    struct target target;
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
    rc = begin_at(w, &c->catalog, k->since, &k->target, &looked);
    struct rmt_version *v = &k->target.version;
    if (rc > 0 && v->flags & RMT_VERSION_HEAD) {
        struct rmt_version snapshot;
        rc = rmt_version_snapshot(c, v, &snapshot);
        *v = snapshot;
        rc = rc < 0 ? rc : 1;
    }
    if (rc < 0)
        return rc;
    durable->at = rc > 0 ? v->number : 0;
    durable->branch = k->target.place.branch;
    durable->line = k->target.place.line;
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
    struct look look;
    int rc = look_begin(w->store, &look);
    if (rc < 0)
        return rc;
    rc = rmt_cursors_find(&w->store->pages, &look.catalog, w->cursor, &w->durable);
    rmt_reader_release(look.slot);
    if (rc == RAMET_ENOTFOUND) {
        rc = rmt_store_writable(w->store);
        if (rc == 0)
            rc = commit(w->store, create, &k);
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
static int begin_at_cursor(struct ramet_watch *w, const struct rmt_tree *catalog, struct target *t)
{
    struct rmt_pages *pages = &w->store->pages;
    struct rmt_durable now;
    int rc = rmt_cursors_find(pages, catalog, w->cursor, &now);
    if (rc == RAMET_ENOTFOUND || (rc == 0 && now.number != w->durable.number))
        return rmt_fail(-EBUSY, "cursor '%s' was just deleted", w->cursor);
    if (rc < 0)
        return rc;
    w->durable = now;
    t->place = (struct place){NULL, w->durable.branch, w->durable.line};
    if (!w->durable.at)
        return 0;
    rc = rmt_catalog_version(pages, catalog, w->durable.at, &t->version);
    return rc < 0 ? rc : 1;
}

/* To its place. It is one of the store's already. There may be a batch at once, unless it is at the
 * branch's head. */
static int take_place(struct ramet_watch *w, const char *since)
{
    struct target t;
    struct look look;
    struct rmt_looked looked;
    rmt_watch_clear(w->store, w);
    int rc = look_begin(w->store, &look);
    if (rc < 0)
        return rc;
    rc = w->cursor ? begin_at_cursor(w, &look.catalog, &t)
                   : begin_at(w, &look.catalog, since, &t, &looked);
    if (rc <= 0) {
        rmt_reader_release(look.slot);
    } else {
        rc = look_settle(w->store, &look, &t.version, &t.place.view);
        w->told_id = t.version.id;
    }
    if (rc < 0)
        return rc;
    if (w->cursor || since)
        rmt_watch_tell(w->store, w);
    else
        rmt_watch_note(w->store, w, &looked);
    w->at = t.place;
    w->advanced_ms = w->store->io->ops->clock_ms(w->store->io);
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
    end_batch(w);
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
    const unsigned known = RAMET_WATCH_EVERY | RAMET_WATCH_HEAD | RAMET_WATCH_KEYS;
    if (!rmt_known_size(options, struct ramet_watch_options) || options->size < sizeof(*options))
        return rmt_fail(-EINVAL, "ramet_watch_open: options->size is not set");
    if (options->flags & ~known ||
        (options->flags & RAMET_WATCH_HEAD && !(options->flags & RAMET_WATCH_EVERY)))
        return rmt_fail(-EINVAL, "ramet_watch_open: flags %#x", options->flags);
    if (prefix.size > RAMET_KEY_MAX)
        return rmt_fail(-EINVAL, "a key has at most %u bytes", RAMET_KEY_MAX);
    int rc = rmt_name_check("branch", branch, false);
    if (rc == 0 && map)
        rc = rmt_name_check("map", map, true);
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

/* ---- cursors, from outside ------------------------------------------------------------------- */

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
    struct look look;
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = look_begin(store, &look);
    if (rc < 0)
        return rc;
    rc = list_cursors(store, &look.catalog, fn, ctx);
    rmt_reader_release(look.slot);
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
    struct look look;
    struct rmt_durable durable;
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_name_check("cursor", name, true);
    if (rc == 0)
        rc = look_begin(store, &look);
    if (rc < 0)
        return rc;
    rc = rmt_cursors_find(&store->pages, &look.catalog, name, &durable);
    rmt_reader_release(look.slot);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such cursor", name);
    if (rc == 0)
        rc = rmt_store_writable(store);
    if (rc == 0)
        rc = rmt_cursors_claim(store, name, durable.number);
    if (rc < 0)
        return rc;
    struct deleting d = {name, durable.number};
    rc = commit(store, delete_cursor, &d);
    rmt_cursors_release(store, durable.number);
    return rc;
}
