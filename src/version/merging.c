/* SPDX-License-Identifier: MIT */
/*
 * merging.c - ramet_merge(), ramet_cherry_pick(), ramet_revert(): which three versions, and what
 * the branch becomes.
 *
 * The target's writer lock is held throughout. A source that is a branch is snapshotted first, and
 * pinned; from then on its writer does not matter. One commit makes the merged version, says whom
 * it has merged, and moves the pin.
 */
#include <inttypes.h>
#include <stdio.h>

#include "store/ancestors.h"
#include "store/versions.h"
#include "version/ancestry.h"
#include "version/merge.h"

/* Bases that are put together for one merge, at most: each takes a merge of its own. */
#define DRAFTS_MAX 65536

struct merging {
    struct ramet_store *store;
    const char *into, *from;
    const struct ramet_merge_options *options;
    struct rmt_moment moment; /* of theirs and base, and of ours if it is a draft */
    struct ramet_txn *ours, *theirs, *base;
    struct rmt_version target;       /* its head, settled */
    struct rmt_merging what;         /* the source */
    char branch[RAMET_NAME_MAX + 1]; /* that the source is the head of */
    bool dry;
    struct rmt_numbers bases;
    struct ramet_merge_result result;
};

static void merging_fini(struct merging *m)
{
    ramet_abort(m->base);
    ramet_abort(m->theirs);
    ramet_abort(m->ours);
    rmt_moment_close(&m->moment);
    rmt_numbers_fini(&m->bases);
}
RMT_AUTO_VALUE(merging_fini, struct merging)

static int commit(struct ramet_store *store, rmt_apply_fn apply, void *ctx)
{
    return rmt_commit(store, apply, NULL, ctx, rmt_store_flushes(store));
}

/* ---- options --------------------------------------------------------------------------------- */

static int check_options(const struct ramet_merge_options *options, const char *what)
{
    if (!rmt_known_size(options, struct ramet_merge_options) || options->size < sizeof(*options))
        return rmt_fail(-EINVAL, "%s: options->size is not set", what);
    const unsigned known = RAMET_MERGE_DRY_RUN | RAMET_MERGE_KEEP_CONFLICTS | RAMET_MERGE_NO_FF;
    if (options->flags & ~known)
        return rmt_fail(-EINVAL, "%s: unknown flags", what);
    if (options->nr_rules && !options->rules)
        return rmt_fail(-EINVAL, "%s: no rules", what);
    for (size_t i = 0; i <= options->nr_rules; i++) {
        bool rule = i < options->nr_rules;
        int policy = rule ? options->rules[i].policy : options->policy;
        if (policy < RAMET_MERGE_FAIL || policy > RAMET_MERGE_FUNCTION)
            return rmt_fail(-EINVAL, "%s: there is no policy %d", what, policy);
        if (policy == RAMET_MERGE_FUNCTION && (!rule || !options->rules[i].fn))
            return rmt_fail(-EINVAL, "%s: RAMET_MERGE_FUNCTION needs a rule with a function", what);
    }
    const struct ramet_keep *keep = options->keep;
    if (keep && (!rmt_known_size(keep, struct ramet_keep) || keep->size < sizeof(*keep)))
        return rmt_fail(-EINVAL, "%s: keep->size is not set", what);
    return 0;
}

static int setup(struct merging *m, const char *what, struct ramet_merge_result *out)
{
    static const struct ramet_merge_options nothing = {.size = sizeof(nothing)};
    if (!m->store || !m->from)
        return rmt_fail(-EINVAL, "%s: store or ref", what);
    if (out && (!rmt_known_size(out, struct ramet_merge_result) || out->size < sizeof(*out)))
        return rmt_fail(-EINVAL, "%s: out->size is not set", what);
    if (!m->options)
        m->options = &nothing;
    int rc = rmt_store_usable(m->store);
    if (rc == 0)
        rc = check_options(m->options, what);
    if (!m->into)
        m->into = "main";
    m->dry = m->options->flags & RAMET_MERGE_DRY_RUN;
    m->result.size = sizeof(m->result);
    return rc;
}

/* The target: its branch, locked; or, of a dry run, a draft that nobody will see. Opens the moment.
 */
static int begin_target(struct merging *m)
{
    struct rmt_found found;
    int rc = m->dry ? 0 : ramet_begin(m->store, m->into, RAMET_WRITE, &m->ours);
    if (rc == 0 && !m->dry && m->ours->queued)
        rc = rmt_store_turn(m->store); /* its head is to be looked up in the catalog */
    if (rc == 0)
        rc = rmt_moment_open(m->store, &m->moment);
    if (rc < 0 || !m->dry)
        return rc;
    rc = rmt_ref_find(&m->store->pages, &m->moment.catalog, m->into, &found);
    if (rc == 0 && !found.branch)
        rc = rmt_fail(-EINVAL, "'%s' is a snapshot, which never changes", m->into);
    return rc < 0 ? rc
                  : rmt_txn_draft(m->store, &m->moment.catalog, found.version.number, &m->ours);
}

static int check_conflicts(struct merging *m, struct rmt_ref root, const char *name)
{
    int rc = rmt_maps_conflicts(&m->store->pages, root);
    if (rc > 0)
        return rmt_fail(RAMET_ECONFLICT, "'%s' has conflicts of a merge to be resolved", name);
    return rc;
}

/* ---- the source ------------------------------------------------------------------------------ */

/* What from names, in a catalog. */
static int find_source(struct merging *m, const struct rmt_tree *catalog, struct rmt_found *out)
{
    int rc = rmt_ref_find(&m->store->pages, catalog, m->from, out);
    if (rc < 0)
        return rc;
    (void)snprintf(m->branch, sizeof(m->branch), "%.*s", (int)out->name_size, m->from);
    return check_conflicts(m, out->version.root, m->from);
}

/* Within a commit: the head of the source becomes a snapshot that stays until it is merged. */
static int pin_source(struct rmt_commit *c, void *ctx)
{
    struct merging *m = ctx;
    struct rmt_found found;
    struct rmt_version snapshot;
    int rc = find_source(m, &c->catalog, &found);
    if (rc == 0 && !found.branch)
        return rmt_fail(-EBUSY, "'%s' was just made something else", m->from);
    if (rc == 0)
        rc = rmt_version_snapshot(c, &found.version, &snapshot);
    if (rc < 0)
        return rc;
    m->what = (struct rmt_merging){snapshot.number, found.branch, m->branch, true};
    return rmt_pin_begin(c, found.branch, m->ours->branch, snapshot.number);
}

static int unpin_source(struct rmt_commit *c, void *ctx)
{
    const struct merging *m = ctx;
    return rmt_pin_end(c, m->what.branch, m->ours->branch, m->what.source, false);
}

/* Nothing comes of the merge: the message that says why stays. */
static void give_up(struct merging *m)
{
    char message[512];
    if (!m->what.pinned)
        return;
    (void)snprintf(message, sizeof(message), "%s", ramet_errmsg());
    (void)commit(m->store, unpin_source, m); /* else the next merge of the two will do it */
    rmt_fail_again(message);
    m->what.pinned = false;
}

static int begin_source(struct merging *m)
{
    struct rmt_found found;
    int rc = find_source(m, &m->moment.catalog, &found);
    if (rc == 0)
        rc = rmt_ancestor_settle(&m->store->pages, &m->moment.catalog, &found.version);
    if (rc < 0)
        return rc;
    m->what = (struct rmt_merging){found.version.number, found.branch, m->branch, false};
    if (found.version.flags & RMT_VERSION_HEAD && !m->dry) {
        rmt_moment_close(&m->moment); /* nothing needs it while that commit waits */
        rc = commit(m->store, pin_source, m);
        if (rc == 0)
            rc = rmt_moment_open(m->store, &m->moment);
    }
    return rc < 0 ? rc : rmt_txn_view(m->store, &m->moment.catalog, m->what.source, &m->theirs);
}

/* ---- the base -------------------------------------------------------------------------------- */

/* Since the source was looked up, and before the moment was opened, its branch may have merged
 * something, the target even: the source has not. */
static int find_past(const struct merging *m, bool *out)
{
    struct rmt_pages *pages = &m->store->pages;
    struct rmt_branch branch;
    struct rmt_version head;
    int rc = rmt_catalog_branch(pages, &m->moment.catalog, m->branch, &branch);
    *out = true;
    if (rc == RAMET_ENOTFOUND || (rc == 0 && branch.number != m->what.branch))
        return 0;
    if (rc == 0)
        rc = rmt_catalog_version(pages, &m->moment.catalog, branch.head, &head);
    if (rc == 0)
        *out = head.number != m->what.source &&
               (head.prev != m->what.source || head.flags & RMT_VERSION_MERGED);
    return rc;
}

static int find_bases(struct merging *m)
{
    struct rmt_pages *pages = &m->store->pages;
    struct rmt_side target = {.branch = m->ours->branch}, source = {.branch = m->what.branch};
    const struct rmt_tree *catalog = &m->moment.catalog;
    /* As it is now: its own head may have been the source. */
    int rc = rmt_catalog_version(pages, catalog, m->ours->version.number, &target.version);
    if (rc == 0)
        rc = rmt_ancestor_settle(pages, catalog, &target.version);
    if (rc == 0)
        rc = rmt_catalog_version(pages, catalog, m->what.source, &source.version);
    if (rc == 0 && source.branch)
        rc = find_past(m, &source.past);
    if (rc == 0)
        rc = rmt_ancestry_best(pages, catalog, &target, &source, &m->bases);
    m->target = target.version;
    bool one = m->bases.count == 1;
    if (rc == 0 && one && m->bases.items[0] == m->what.source)
        m->result.up_to_date = 1;
    else if (rc == 0 && one && m->bases.items[0] == m->target.number &&
             !(m->options->flags & RAMET_MERGE_NO_FF)) {
        rc = rmt_ancestor_is(pages, catalog, &source.version, m->target.number, m->target.id);
        m->result.fast_forward = rc > 0;
        rc = rc < 0 ? rc : 0;
    }
    return rc;
}

/* The best common ancestors of the first n bases, put together, and of the next one. */
static int bases_of(struct merging *m, const struct rmt_numbers *bases, size_t n,
                    struct rmt_numbers *out)
{
    struct rmt_pages *pages = &m->store->pages;
    const struct rmt_tree *catalog = &m->moment.catalog;
    struct rmt_side x = {.branch = 0}, y = {.branch = 0};
    const uint64_t *numbers = bases->items;
    if (n > 1)
        return rmt_ancestry_best_of_all(pages, catalog, numbers, n, numbers[n], out);
    int rc = rmt_catalog_version(pages, catalog, numbers[0], &x.version);
    if (rc == 0)
        rc = rmt_catalog_version(pages, catalog, numbers[1], &y.version);
    return rc < 0 ? rc : rmt_ancestry_best(pages, catalog, &x, &y, out);
}

/* Bases that are being put together, one by one. */
struct parts {
    struct rmt_numbers bases;
    size_t done;             /* of bases, in ours */
    struct ramet_txn *ours;  /* a draft; of a single base, a view of it */
    struct ramet_txn *below; /* base of the next merge; NULL: nothing, or not there yet */
};

/* They lie on each other: the base of the topmost parts is to be put together first. */
struct stack {
    RMT_VEC(struct parts) items;
    size_t pushed;
};

static void stack_fini(struct stack *stack)
{
    for (size_t i = 0; i < stack->items.count; i++) {
        ramet_abort(stack->items.items[i].below);
        ramet_abort(stack->items.items[i].ours);
        rmt_numbers_fini(&stack->items.items[i].bases);
    }
    rmt_vec_fini(&stack->items);
}
RMT_AUTO_VALUE(stack_fini, struct stack)

/* Takes the bases, also on failure. */
static int stack_push(struct merging *m, struct stack *stack, struct rmt_numbers *bases)
{
    struct parts parts = {.bases = *bases};
    int rc = 0;
    *bases = (struct rmt_numbers){0};
    if (stack->pushed++ == DRAFTS_MAX)
        rc = rmt_fail(-ELOOP,
                      "'%s' and '%s' merged each other at the same time more than %d times: "
                      "merge one into the other, and then that into the first",
                      m->from, m->into, DRAFTS_MAX);
    else if (!rmt_vec_push(&stack->items, parts))
        rc = rmt_fail(-ENOMEM, "a merge base");
    if (rc < 0)
        rmt_numbers_fini(&parts.bases);
    return rc;
}

/* Merges the next base into those before it. */
static int add_part(struct merging *m, struct parts *parts)
{
    const struct rmt_tree *catalog = &m->moment.catalog;
    const uint64_t *numbers = parts->bases.items;
    struct rmt_merge merge = {.options = m->options, .drafting = true, .quiet = true};
    int rc = parts->ours ? 0 : rmt_txn_draft(m->store, catalog, numbers[0], &parts->ours);
    merge.ours = parts->ours;
    merge.base = parts->below;
    if (rc == 0)
        rc = rmt_txn_view(m->store, catalog, numbers[parts->done], &merge.theirs);
    if (rc == 0)
        rc = rmt_merge_run(&merge);
    rmt_merge_fini(&merge);
    ramet_abort(merge.theirs);
    ramet_abort(parts->below);
    parts->below = NULL;
    parts->done++;
    return rc;
}

/* The topmost parts are in one: they go, and it is what those below them waited for. */
static struct ramet_txn *stack_pop(struct stack *stack)
{
    struct parts *top = &stack->items.items[--stack->items.count];
    struct ramet_txn *whole = top->ours;
    rmt_numbers_fini(&top->bases);
    return whole;
}

/* A transaction to read the base: nothing, a version, or a draft of several that are merged one by
 * one, each with the base of its own that it has with those before, as git does it
 * (merge-recursive). Where two merged each other time and again at the same time, each base has
 * several of its own: down to one that is alone, or the policies that count would not be exact. */
static int open_base(struct merging *m, struct rmt_numbers *bases, struct ramet_txn **out)
{
    rmt_auto(stack_fini) struct stack stack = {0};
    int rc = stack_push(m, &stack, bases);
    while (rc == 0) {
        struct parts *top = &stack.items.items[stack.items.count - 1];
        bool ready = top->done == top->bases.count;
        if (top->bases.count == 1 && !ready) {
            rc = rmt_txn_view(m->store, &m->moment.catalog, top->bases.items[0], &top->ours);
            top->done = 1;
        } else if (!ready) {
            rmt_auto(rmt_numbers_fini) struct rmt_numbers below = {0};
            top->done += !top->done;
            rc = bases_of(m, &top->bases, top->done, &below);
            if (rc == 0)
                rc = stack_push(m, &stack, &below);
        } else {
            if (top->bases.count > 1)
                rc = rmt_maps_note(top->ours);
            if (rc != 0)
                return rc;
            *out = stack_pop(&stack);
            if (!stack.items.count)
                return 0;
            struct parts *waiting = &stack.items.items[stack.items.count - 1];
            waiting->below = *out;
            *out = NULL;
            rc = add_part(m, waiting);
        }
    }
    return rc;
}

/* ---- the merge ------------------------------------------------------------------------------- */

static int forward(struct rmt_commit *c, void *ctx)
{
    struct merging *m = ctx;
    struct rmt_branch branch;
    struct rmt_version snapshot;
    struct rmt_pages *pages = &c->store->pages;
    struct rmt_merging what = m->what;
    int rc = rmt_merging_pin(c, &what, m->ours->branch);
    if (rc == 0)
        rc = rmt_version_forward(c, m->ours->ref, what.branch ? m->branch : NULL, what.source);
    if (rc == 0)
        rc = rmt_catalog_branch(pages, &c->catalog, m->ours->ref, &branch);
    if (rc == 0)
        rc = rmt_catalog_version(pages, &c->catalog, m->what.source, &snapshot);
    /* Without a name it would replace what its author said of it. */
    const struct ramet_keep *keep = m->options->keep;
    if (rc == 0 && keep && keep->name && *keep->name)
        rc = rmt_version_keep(c, m->ours->ref, &branch, &snapshot, keep);
    if (rc < 0)
        return rc;
    m->result.id = snapshot.id;
    return rmt_pin_end(c, what.branch, m->ours->branch, what.source, true);
}

/* Runs the three-way merge of base and theirs into ours. */
static int run(struct merging *m)
{
    struct rmt_merge merge = {
        .options = m->options,
        .ours = m->ours,
        .base = m->base,
        .theirs = m->theirs,
        .keep = m->options->flags & RAMET_MERGE_KEEP_CONFLICTS,
    };
    int rc = rmt_merge_run(&merge);
    rmt_merge_fini(&merge);
    m->result.changes = merge.changes;
    m->result.conflicts = merge.conflicts;
    m->result.base = m->base && !m->base->writing ? m->base->version.id : 0;
    return rc;
}

static int in_conflict(const struct merging *m)
{
    return rmt_fail(RAMET_ECONFLICT, "merging '%s' into '%s': %" PRIu64 " keys in conflict",
                    m->from, m->into, m->result.conflicts);
}

static int merge(struct merging *m)
{
    int rc = begin_source(m);
    if (rc == 0)
        rc = find_bases(m);
    if (rc < 0)
        return rc;
    m->result.id = m->target.id;
    if (m->result.up_to_date) {
        m->result.base = m->theirs->version.id;
        give_up(m);
        return 0;
    }
    if (!m->result.fast_forward || m->options->change || m->dry) {
        rc = open_base(m, &m->bases, &m->base);
        if (rc == 0)
            rc = run(m);
        if (rc != 0)
            return rc;
    }
    bool keeps = m->options->flags & RAMET_MERGE_KEEP_CONFLICTS;
    if (m->result.conflicts && !keeps)
        return in_conflict(m);
    if (m->dry)
        return 0;
    if (m->result.fast_forward) {
        m->result.base = m->target.id;
        return commit(m->store, forward, m);
    }
    return rmt_txn_commit(m->ours, m->options->keep, &m->what, &m->result.id);
}

static void tell(const struct merging *m, int rc, struct ramet_merge_result *out)
{
    if (out && (rc == 0 || rc == RAMET_ECONFLICT))
        *out = m->result;
}

int ramet_merge(struct ramet_store *store, const char *into, const char *from,
                const struct ramet_merge_options *options, struct ramet_merge_result *out)
{
    rmt_auto(merging_fini) struct merging m = {
        .store = store, .into = into, .from = from, .options = options};
    int rc = setup(&m, "ramet_merge", out);
    if (rc == 0)
        rc = begin_target(&m);
    if (rc == 0)
        rc = check_conflicts(&m, m.ours->version.root, m.into);
    if (rc == 0)
        rc = merge(&m);
    if (rc != 0)
        give_up(&m);
    tell(&m, rc, out);
    return rc;
}

/* ---- one change alone ------------------------------------------------------------------------ */

/* What a version changed, done (or, reverse, undone) to a branch. */
static int pick(struct merging *m, bool reverse)
{
    struct rmt_found found;
    const struct rmt_tree *catalog = &m->moment.catalog;
    struct ramet_txn **before = reverse ? &m->theirs : &m->base;
    struct ramet_txn **after = reverse ? &m->base : &m->theirs;
    int rc = begin_target(m);
    if (rc == 0)
        rc = check_conflicts(m, m->ours->version.root, m->into);
    if (rc == 0)
        rc = find_source(m, catalog, &found);
    if (rc == 0)
        rc = rmt_ancestor_settle(&m->store->pages, catalog, &found.version);
    if (rc == 0)
        rc = rmt_txn_view(m->store, catalog, found.version.number, after);
    if (rc == 0 && found.version.prev)
        rc = rmt_txn_view(m->store, catalog, found.version.prev, before);
    if (rc == 0)
        rc = run(m);
    if (rc != 0)
        return rc;
    m->result.id = m->ours->version.id;
    m->result.up_to_date = !m->result.conflicts && !rmt_maps_changed(m->ours);
    if (m->result.conflicts && !(m->options->flags & RAMET_MERGE_KEEP_CONFLICTS))
        return in_conflict(m);
    if (m->dry || m->result.up_to_date)
        return 0;
    static const struct ramet_keep nothing = {.size = sizeof(nothing)};
    const struct ramet_keep *keep = m->options->keep ? m->options->keep : &nothing;
    return rmt_txn_commit(m->ours, m->result.conflicts ? NULL : keep, NULL, &m->result.id);
}

static int pick_one(struct merging *m, const char *what, bool reverse,
                    struct ramet_merge_result *out)
{
    int rc = setup(m, what, out);
    if (rc == 0)
        rc = pick(m, reverse);
    tell(m, rc, out);
    return rc;
}

int ramet_cherry_pick(struct ramet_store *store, const char *into, const char *ref,
                      const struct ramet_merge_options *options, struct ramet_merge_result *out)
{
    rmt_auto(merging_fini) struct merging m = {
        .store = store, .into = into, .from = ref, .options = options};
    return pick_one(&m, "ramet_cherry_pick", false, out);
}

int ramet_revert(struct ramet_store *store, const char *branch, const char *ref,
                 const struct ramet_merge_options *options, struct ramet_merge_result *out)
{
    rmt_auto(merging_fini) struct merging m = {
        .store = store, .into = branch, .from = ref, .options = options};
    return pick_one(&m, "ramet_revert", true, out);
}

/* ---- bases, for those who ask ---------------------------------------------------------------- */

int ramet_merge_base(struct ramet_store *store, const char *a, const char *b, uint64_t *ids,
                     size_t *count)
{
    if (!store || !count || (*count && !ids))
        return rmt_fail(-EINVAL, "ramet_merge_base: store, ids or count");
    int rc = rmt_store_usable(store);
    struct rmt_moment moment = {.slot = NULL};
    if (rc == 0)
        rc = rmt_moment_open(store, &moment);
    if (rc < 0)
        return rc;
    rmt_auto(rmt_numbers_fini) struct rmt_numbers bases = {0};
    struct rmt_found x, y;
    struct rmt_pages *pages = &store->pages;
    rc = rmt_ref_find(pages, &moment.catalog, a, &x);
    if (rc == 0)
        rc = rmt_ref_find(pages, &moment.catalog, b, &y);
    if (rc == 0)
        rc = rmt_ancestry_best(pages, &moment.catalog, &(struct rmt_side){x.version, x.branch},
                               &(struct rmt_side){y.version, y.branch}, &bases);
    for (size_t i = 0; rc == 0 && i < bases.count && i < *count; i++) {
        struct rmt_version v;
        rc = rmt_catalog_version(pages, &moment.catalog, bases.items[i], &v);
        if (rc == 0)
            ids[i] = v.id;
    }
    rmt_moment_close(&moment);
    if (rc == 0)
        *count = bases.count;
    return rc;
}
