/* SPDX-License-Identifier: MIT */
/* history.c - the steps of a program that merge, pick, tag, prune, and ask what led to a version.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "model/graph.h"
#include "model/steps.h"
#include "store/merged.h"

/* A branch that is there, mostly. */
static const char *branch_of(const struct run *run, uint32_t x)
{
    const char *name = run->model.branches.items[x / 16 % run->model.branches.count].name;
    size_t i = 0;
    while (x % 16 && strcmp(branch_names[i], name) != 0)
        i++;
    return x % 16 ? branch_names[i] : branch_names[x / 16 % BRANCHES];
}

/* A ref of something that is there, mostly. */
static void ref_of(const struct run *run, uint32_t x, char out[MODEL_NAME * 2])
{
    const struct model_store *s = &run->model;
    if (x % 16 == 0)
        step_ref(run, x / 16, false, out);
    else if (x % 16 > 6 || !s->keeps.count)
        (void)snprintf(out, MODEL_NAME * 2, "%s", branch_of(run, x / 16 * 16 + 1));
    else
        (void)snprintf(out, MODEL_NAME * 2, "@%" PRIu64,
                       s->keeps.items[x / 16 % s->keeps.count].id);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* What callbacks were told. */
struct told {
    uint64_t changes, conflicts;
};

static int told_change(void *ctx, const struct ramet_change *change)
{
    struct told *told = ctx;
    told->changes = graph_digest_change(told->changes, change);
    return 0;
}

static int told_conflict(void *ctx, const struct ramet_conflict *both)
{
    struct told *told = ctx;
    told->conflicts = model_digest_conflict(told->conflicts, both);
    return 0;
}

/* Options of a merge, and what they point to. */
struct how {
    struct ramet_merge_rule rules[3];
    struct ramet_keep keep;
    struct ramet_merge_options options;
    struct told told;
};

static void choose_how(const struct op *op, struct how *how)
{
    static const int policies[] = {RAMET_MERGE_FAIL, RAMET_MERGE_THEIRS,  RAMET_MERGE_OURS,
                                   RAMET_MERGE_FAIL, RAMET_MERGE_COUNTER, RAMET_MERGE_MAX,
                                   RAMET_MERGE_FAIL, RAMET_MERGE_COUNTER};
    uint32_t x = op->c;
    *how = (struct how){.keep = {.size = sizeof(how->keep)}};
    how->rules[0] = (struct ramet_merge_rule){.map = map_names[x % MAPS]};
    how->rules[0].policy = x / 8 % 2 ? RAMET_MERGE_FUNCTION : RAMET_MERGE_COUNTER;
    how->rules[1] = (struct ramet_merge_rule){.prefix = rmt_slice("\0\0\0\0\0\0\0\1", 8)};
    how->rules[1].policy = RAMET_MERGE_THEIRS;
    how->rules[2] = (struct ramet_merge_rule){.prefix = rmt_slice("user/0000000", 12)};
    how->rules[2].policy = RAMET_MERGE_MAX;
    how->rules[0].fn = graph_merge_function;
    how->keep.name = x / 16 % 3 ? NULL : snapshot_names[op->d % SNAPSHOTS];
    how->keep.message = x / 48 % 2 ? NULL : "merged";
    how->told = (struct told){MODEL_DIGEST_EMPTY, MODEL_DIGEST_EMPTY};
    how->options = (struct ramet_merge_options){
        .size = sizeof(how->options),
        .policy = policies[x / 96 % 8],
        .flags = (x / 768 % 2 ? RAMET_MERGE_KEEP_CONFLICTS : 0u) |
                 (x / 1536 % 4 ? 0u : RAMET_MERGE_NO_FF) |
                 (x / 6144 % 8 ? 0u : RAMET_MERGE_DRY_RUN),
        .rules = how->rules,
        .nr_rules = x / 49152 % 2 ? 3 : 0,
        .keep = x / 98304 % 4 ? &how->keep : NULL,
        .change = x / 393216 % 2 ? told_change : NULL,
        .change_ctx = &how->told,
        .conflict = told_conflict,
        .conflict_ctx = &how->told,
    };
}

static bool judge(struct run *run, const struct how *how, int rc,
                  const struct ramet_merge_result *is, struct graph_merge *want)
{
    if (!how->options.change && want->fast_forward && !(how->options.flags & RAMET_MERGE_DRY_RUN))
        want->changes = 0;
    DEMAND(is->changes == want->changes && is->conflicts == want->conflicts,
           "%" PRIu64 " changes and %" PRIu64 " conflicts from the base %" PRIu64 ", not %" PRIu64
           " and %" PRIu64 " from %" PRIu64,
           is->changes, is->conflicts, is->base, want->changes, want->conflicts, want->base);
    if (how->options.change)
        DEMAND(!want->changes_digest || how->told.changes == want->changes_digest,
               "other changes were told than made");
    DEMAND(!want->conflicts_digest || how->told.conflicts == want->conflicts_digest,
           "other conflicts were told than there are");
    if (rc < 0)
        return true;
    DEMAND(!is->fast_forward == !want->fast_forward && !is->up_to_date == !want->up_to_date,
           "fast-forward %d, up to date %d, not %d, %d", is->fast_forward, is->up_to_date,
           want->fast_forward, want->up_to_date);
    DEMAND(is->base == want->base, "the base is %" PRIu64 ", not %" PRIu64, is->base, want->base);
    if (want->id)
        DEMAND(is->id == want->id, "the version is %" PRIu64 ", not %" PRIu64, is->id, want->id);
    else
        DEMAND(is->id > run->max_id, "version %" PRIu64 " after %" PRIu64, is->id, run->max_id);
    return true;
}

typedef int (*merge_fn)(struct ramet_store *store, const char *into, const char *from,
                        const struct ramet_merge_options *options, struct ramet_merge_result *out);

static bool merge(struct run *run, const char *into, const char *from, merge_fn fn,
                  const struct op *op)
{
    struct how how;
    struct ramet_merge_result result = {.size = sizeof(result)};
    struct graph_merge want;
    choose_how(op, &how);
    bool busy = step_has_writer(run, into) && !(how.options.flags & RAMET_MERGE_DRY_RUN);
    struct model_store *next = step_predict(run);
    int code = fn == ramet_merge
                   ? graph_merge(next, into, from, &how.options, &want)
                   : graph_pick(next, into, from, fn == ramet_revert, &how.options, &want);
    if (busy)
        code = -EDEADLK;
    step_expected(run, code);
    int rc = fn(run->store, into, from, &how.options, &result);
    if (rc == 0 && code == 0 && want.made && !want.id) {
        (void)pthread_mutex_lock(&run->lock);
        model_learn(&run->next, model_store_branch(&run->next, into), result.id);
        (void)pthread_mutex_unlock(&run->lock);
    }
    if (run->verbose)
        (void)fprintf(stderr,
                      "      %s of %s into %s, flags %u: %d, version %" PRIu64 ", base %" PRIu64
                      " of %zu, %" PRIu64 " changes, %" PRIu64 " conflicts%s%s\n",
                      fn == ramet_merge    ? "merge"
                      : fn == ramet_revert ? "revert"
                                           : "pick",
                      from, into, how.options.flags, rc, result.id, result.base, want.bases,
                      result.changes, result.conflicts, result.fast_forward ? ", forward" : "",
                      result.up_to_date ? ", up to date" : "");
    step_settle(run, rc == 0 && code == 0 && !want.made ? STEP_SAME : step_how_of(rc, code));
    if (rc == code && rc != -EDEADLK && want.unpins) {
        (void)pthread_mutex_lock(&run->lock);
        model_unpin_next(&run->model, from, into);
        (void)pthread_mutex_unlock(&run->lock);
    }
    if (!step_expect(run, rc, code, fn == ramet_merge ? "ramet_merge()" : "a pick"))
        return false;
    if (step_is_cut(run)) /* when all was done but for a pin that is left */
        return false;
    if (run->sim && rmt_sim_faults_fired(run->sim)) /* the same */
        run->adopt = true;
    if ((rc == 0 || rc == RAMET_ECONFLICT) && !judge(run, &how, rc, &result, &want))
        return false;
    if (rc == 0)
        step_saw_id(run, result.id);
    return true;
}

bool step_merge(struct run *run, const struct op *op)
{
    char from[MODEL_NAME * 2];
    ref_of(run, op->b, from);
    return merge(run, branch_of(run, op->a), from, ramet_merge, op);
}

bool step_pick(struct run *run, const struct op *op)
{
    char from[MODEL_NAME * 2];
    ref_of(run, op->b, from);
    return merge(run, branch_of(run, op->a), from,
                 op->d / SNAPSHOTS % 2 ? ramet_revert : ramet_cherry_pick, op);
}

/* ---- conflicts ------------------------------------------------------------------------------- */

static void resolve_model(struct model_version *v, size_t i, int choice)
{
    const struct model_conflict *c = &v->conflicts.items[i];
    const struct model_content *to = choice == RAMET_RESOLVE_BASE   ? &c->base
                                     : choice == RAMET_RESOLVE_OURS ? &c->ours
                                                                    : &c->theirs;
    struct ramet_slice key = rmt_slice(c->key->bytes, c->key->size);
    if (choice != RAMET_RESOLVE_AS_IS && to->there) {
        model_map_put(model_version_edit(v, c->map), key, to->seed, to->size, to->hash);
    } else if (choice != RAMET_RESOLVE_AS_IS) {
        const struct model_map *m = model_version_map(v, c->map);
        bool found = false;
        size_t at = m ? model_map_seek(m, key, &found) : 0;
        if (found)
            model_map_del(model_version_edit(v, c->map), at, 1);
    }
    model_conflict_remove(v, i);
}

static bool resolve(struct run *run, struct ramet_txn *txn, struct model_version *v, size_t i,
                    int choice)
{
    char map[MODEL_NAME];
    struct ramet_slice none = rmt_slice("there is no such key", 20);
    const struct model_conflict *c = &v->conflicts.items[i];
    (void)snprintf(map, sizeof(map), "%s", c->map);
    TRY(ramet_conflict_resolve(txn, map, none, choice), RAMET_ENOTFOUND);
    TRY(ramet_conflict_resolve(txn, map, rmt_slice(c->key->bytes, c->key->size), choice), 0);
    resolve_model(v, i, choice);
    return true;
}

static bool resolve_all(struct run *run, struct ramet_txn *txn, struct model_version *v, uint32_t x)
{
    for (uint32_t i = 0; v->conflicts.count; i++) {
        if (!resolve(run, txn, v, x / 4 % v->conflicts.count, (int)((x + i) % 4)))
            return false;
    }
    return true;
}

/* All of a branch, in one commit. */
static bool resolve_branch(struct run *run, struct model_branch *b, const struct op *op)
{
    struct ramet_txn *txn;
    char name[MODEL_NAME];
    uint64_t id = 0;
    (void)snprintf(name, sizeof(name), "%s", b->name);
    struct model_version *v = model_version_copy(b->head);
    int rc = ramet_begin(run->store, name, RAMET_WRITE, &txn);
    if (rc < 0 || !resolve_all(run, txn, v, op->c)) {
        model_version_unref(v);
        if (rc == 0)
            ramet_abort(txn);
        return rc == 0 ? false : step_expect(run, rc, 0, "resolving");
    }
    int want = step_expected(run, model_commit(step_predict(run), name, v, NULL));
    model_version_unref(v);
    rc = ramet_commit(txn, NULL, &id);
    if (rc == 0) {
        (void)pthread_mutex_lock(&run->lock);
        model_learn(&run->next, model_store_branch(&run->next, name), id);
        (void)pthread_mutex_unlock(&run->lock);
    }
    step_settle(run, step_how_of(rc, want));
    TRY(rc, want);
    step_saw_id(run, id);
    return true;
}

bool step_resolve(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    if (slot && slot->v->conflicts.count) {
        size_t i = op->b % slot->v->conflicts.count;
        return op->d % 2 ? resolve(run, slot->txn, slot->v, i, (int)(op->c % 4))
                         : resolve_all(run, slot->txn, slot->v, op->c);
    }
    run->current = NULL;
    for (size_t i = 0; i < run->model.branches.count; i++) {
        struct model_branch *b =
            &run->model.branches.items[(i + op->b) % run->model.branches.count];
        if (b->head->conflicts.count && !step_has_writer(run, b->name))
            return resolve_branch(run, b, op);
    }
    return true;
}

/* ---- keeping --------------------------------------------------------------------------------- */

bool step_tag(struct run *run, const struct op *op)
{
    char ref[MODEL_NAME * 2];
    const char *branch = branch_of(run, op->a), *name = snapshot_names[op->c % SNAPSHOTS];
    ref_of(run, op->b, ref);
    int want = step_expected(run, graph_tag(step_predict(run), branch, name, ref));
    int rc = ramet_tag(run->store, branch, name, ref);
    step_settle(run, step_how_of(rc, want));
    TRY(rc, want);
    return true;
}

/* What a branch keeps, oldest first. */
struct listed {
    struct seen {
        uint64_t id;
        char name[MODEL_NAME];
    } items[256];
    size_t count;
};

static int list_one(void *ctx, const struct ramet_snapshot_info *info)
{
    struct listed *l = ctx;
    rmt_assert(l->count < sizeof(l->items) / sizeof(l->items[0]));
    struct seen *seen = &l->items[l->count++];
    seen->id = info->id;
    (void)snprintf(seen->name, sizeof(seen->name), "%s", info->name ? info->name : "");
    return 0;
}

static int is_chosen(void *ctx, const struct ramet_snapshot_info *info)
{
    const uint32_t *x = ctx;
    return model_mix(info->id + *x) % 3 == 0;
}

/* Takes out of a model what a prune is to. Returns how much that is. */
static uint64_t prune_model(struct model_store *s, const char *branch, const struct listed *listed,
                            const struct ramet_prune_options *options)
{
    uint64_t count = 0;
    for (size_t i = 0; i + options->keep_last < listed->count; i++) {
        const struct seen *seen = &listed->items[i];
        struct ramet_snapshot_info info = {.id = seen->id};
        if ((*seen->name && !(options->flags & RAMET_PRUNE_NAMED)) || options->before == 1 ||
            (options->filter && !options->filter(options->ctx, &info)))
            continue;
        for (size_t j = s->keeps.count; j-- > 0;) {
            const struct model_keep *k = &s->keeps.items[j];
            if (k->id == seen->id && strcmp(k->branch, branch) == 0 &&
                strcmp(k->name, seen->name) == 0) {
                model_keep_remove(s, j);
                count++;
                break;
            }
        }
    }
    return count;
}

bool step_prune(struct run *run, const struct op *op)
{
    struct listed listed = {.count = 0};
    uint32_t x = op->b;
    uint64_t count = UINT64_MAX, wanted = 0;
    const char *branch = branch_of(run, op->a);
    struct ramet_prune_options options = {
        .size = sizeof(options),
        .flags = (op->c % 2 ? RAMET_PRUNE_NAMED : 0u) | (op->c / 2 % 4 ? 0u : RAMET_PRUNE_DRY_RUN),
        .keep_last = op->d % 6,
        .before = op->d / 8 % 8 ? INT64_MAX : 1,
        .filter = op->d / 64 % 2 ? is_chosen : NULL,
        .ctx = &x,
    };
    if (!model_store_branch(&run->model, branch)) {
        TRY(ramet_prune(run->store, branch, &options, &count), RAMET_ENOTFOUND);
        return true;
    }
    TRY(ramet_snapshot_list(run->store, branch, list_one, &listed), 0);
    struct model_store *next = step_predict(run);
    if (options.flags & RAMET_PRUNE_DRY_RUN) {
        struct model_store other;
        model_store_copy(next, &other);
        wanted = prune_model(&other, branch, &listed, &options);
        model_store_fini(&other);
    } else {
        wanted = prune_model(next, branch, &listed, &options);
    }
    int want = step_expected(run, 0);
    int rc = ramet_prune(run->store, branch, &options, &count);
    step_settle(run, rc == 0 && (!wanted || options.flags & RAMET_PRUNE_DRY_RUN)
                         ? STEP_SAME
                         : step_how_of(rc, want));
    TRY(rc, 0);
    DEMAND(count == wanted, "%" PRIu64 " of %zu snapshots of %s were pruned, not %" PRIu64, count,
           listed.count, branch, wanted);
    return true;
}

/* ---- differences ----------------------------------------------------------------------------- */

static bool compare_diff(struct run *run, struct ramet_txn *from, struct ramet_txn *to,
                         const struct model_version *old, const struct model_version *new,
                         const struct ramet_diff_options *options)
{
    struct ramet_diff *diff;
    struct ramet_change change = {.size = sizeof(change)};
    uint64_t count = 0, wanted, digest = MODEL_DIGEST_EMPTY;
    uint64_t want = graph_diff(old, new, options, &wanted);
    TRY(ramet_diff_open(from, to, options, &diff), 0);
    int rc;
    while ((rc = ramet_diff_next(diff, &change)) == 0) {
        digest = graph_digest_change(digest, &change);
        count++;
    }
    ramet_diff_close(diff);
    TRY(rc, RAMET_ENOTFOUND);
    DEMAND(count == wanted, "a diff has %" PRIu64 " differences, not %" PRIu64, count, wanted);
    DEMAND(digest == want, "a diff of %" PRIu64 " differences has wrong ones", count);
    return true;
}

/* Of two versions, or of what a transaction has written so far. */
bool step_diff(struct run *run, const struct op *op)
{
    char a[MODEL_NAME * 2], b[MODEL_NAME * 2];
    struct model_version *old, *new;
    struct ramet_txn *from = NULL, *to = NULL;
    uint64_t id;
    struct slot *slot = op->d % 4 ? NULL : step_writer(run, op->d / 4);
    struct ramet_diff_options options = {
        .size = sizeof(options),
        .flags = op->c % 4 ? 0 : RAMET_DIFF_KEYS,
        .map = op->c / 4 % 4 ? NULL : map_names[op->c / 16 % MAPS],
    };
    uint8_t prefix[4] = {0};
    if (op->c / 64 % 8 == 0)
        options.prefix = rmt_slice(prefix, op->c / 512 % 5);
    else if (op->c / 64 % 8 == 1)
        options.from = rmt_slice("\x20", 1), options.to = rmt_slice("\xb0", 1);
    run->current = slot;
    ref_of(run, op->a, a);
    ref_of(run, op->b, b);
    int want = model_store_find(&run->model, a, &old, &id);
    TRY(ramet_begin(run->store, a, RAMET_READ, &from), want);
    if (want < 0)
        return true;
    want = slot ? 0 : model_store_find(&run->model, b, &new, &id);
    int rc = slot ? 0 : ramet_begin(run->store, b, RAMET_READ, &to);
    bool good = step_expect(run, rc, want, "beginning a second one");
    const struct ramet_diff_options *with = op->d / 16 % 2 ? &options : NULL;
    if (good && want == 0) {
        good = compare_diff(run, from, slot ? slot->txn : to, old, slot ? slot->v : new, with) &&
               compare_diff(run, slot ? slot->txn : to, from, slot ? slot->v : new, old, with);
        if (good && !slot)
            good = compare_diff(run, NULL, to, NULL, new, with);
    }
    ramet_abort(to);
    ramet_abort(from);
    return good;
}

/* ---- history --------------------------------------------------------------------------------- */

struct walk {
    struct run *run;
    const bool *wanted;
    int at; /* index of the version that was told, or before all */
    bool wrong;
    char why[200];
};

/* The next one that is wanted. */
static int next_wanted(const struct walk *w)
{
    int v = w->at - 1;
    while (v >= 0 && !w->wanted[v])
        v--;
    return v;
}

static int tell(void *ctx, const struct ramet_snapshot_info *info)
{
    struct walk *w = ctx;
    const struct model_store *s = &w->run->model;
    int v = next_wanted(w);
    bool kept = false, named = false;
    if (v < 0 || s->nodes.items[v].id != info->id) {
        (void)snprintf(w->why, sizeof(w->why), "history tells of %" PRIu64 ", not of %" PRIu64,
                       info->id, v < 0 ? 0 : s->nodes.items[v].id);
        return w->wrong = true;
    }
    w->at = v;
    for (size_t i = 0; i < s->keeps.count; i++) {
        const struct model_keep *k = &s->keeps.items[i];
        kept |= k->node == v;
        named |= k->node == v && info->branch && strcmp(k->branch, info->branch) == 0 &&
                 strcmp(k->name, info->name ? info->name : "") == 0;
    }
    if (kept == (info->branch != NULL) && kept == named)
        return 0;
    (void)snprintf(w->why, sizeof(w->why), "history says that %s keeps %" PRIu64 " as '%s'",
                   info->branch ? info->branch : "nobody", info->id, info->name ? info->name : "");
    return w->wrong = true;
}

static bool is_kept(const struct model_store *s, int v)
{
    for (size_t i = 0; i < s->keeps.count; i++) {
        if (s->keeps.items[i].node == v)
            return true;
    }
    return false;
}

static int tell_change(void *ctx, const struct ramet_snapshot_info *info,
                       const struct ramet_change *change)
{
    uint64_t *digest = ctx;
    *digest = graph_digest_change(rmt_hash(&info->id, sizeof(info->id), *digest), change);
    return 0;
}

/* In which of the kept versions of a line an entry changed. */
static uint64_t key_history(const struct model_store *s, int v, const char *map,
                            struct ramet_slice key)
{
    uint64_t digest = MODEL_DIGEST_EMPTY;
    while (v >= 0 && !is_kept(s, v))
        v = s->nodes.items[v].prev;
    while (v >= 0) {
        const struct model_node *n = &s->nodes.items[v];
        int before = n->prev;
        while (before >= 0 && !is_kept(s, before))
            before = s->nodes.items[before].prev;
        digest =
            graph_digest_entry(digest, n->id, before < 0 ? NULL : s->nodes.items[before].version,
                               n->version, map, key);
        v = before;
    }
    return digest;
}

bool step_key_history(struct run *run, const struct op *op)
{
    char ref[MODEL_NAME * 2];
    int of;
    uint64_t digest = MODEL_DIGEST_EMPTY;
    const char *map = map_names[op->b % MAPS];
    ref_of(run, op->a, ref);
    int want = model_store_find_node(&run->model, ref, &of);
    struct ramet_slice key = rmt_slice("a", 1);
    if (want == 0) {
        const struct model_map *m = model_version_map(run->model.nodes.items[of].version, map);
        if (m && m->entries.count) {
            const struct model_key *k = m->entries.items[op->c % m->entries.count].key;
            key = rmt_slice(k->bytes, k->size);
        }
    }
    TRY(ramet_key_history(run->store, ref, map, key, tell_change, &digest), want);
    DEMAND(want < 0 || digest == key_history(&run->model, of, map, key),
           "the history of a key of %s in %s is another one", map, ref);
    return true;
}

bool step_history(struct run *run, const struct op *op)
{
    const struct model_store *s = &run->model;
    char ref[MODEL_NAME * 2];
    int of, v;
    unsigned flags = op->b % 4;
    rmt_auto(graph_set_fini) struct graph_set alive = {0};
    rmt_auto(graph_set_fini) struct graph_set has = {0};
    ref_of(run, op->a, ref);
    int want = model_store_find_node(&run->model, ref, &of);
    struct walk w = {.run = run, .at = (int)s->nodes.count};
    if (want < 0) {
        TRY(ramet_history(run->store, ref, flags, tell, &w), want);
        return true;
    }
    graph_alive(s, &alive);
    graph_has(s, of, &has);
    for (v = 0; v < (int)has.count; v++) {
        bool told = flags & RAMET_HISTORY_HIDDEN ? alive.has[v] : is_kept(s, v);
        has.has[v] = has.has[v] && told && (flags & RAMET_HISTORY_ALL || graph_stands_on(s, of, v));
    }
    w.wanted = has.has;
    int rc = ramet_history(run->store, ref, flags, tell, &w);
    DEMAND(!w.wrong, "%s: %s", ref, w.why);
    TRY(rc, 0);
    v = next_wanted(&w);
    DEMAND(v < 0, "history %u of %s ends before %" PRIu64, flags, ref, s->nodes.items[v].id);
    return true;
}

/* ---- merge bases ----------------------------------------------------------------------------- */

static bool same_base(struct run *run, struct ramet_store *store, const char *a, const char *b)
{
    struct model_store *s = &run->model;
    int x, y, want = model_store_find_node(s, a, &x);
    if (want == 0)
        want = model_store_find_node(s, b, &y);
    size_t max = s->nodes.count + 1, count = max;
    rmt_auto(free) void *ids_mem = calloc(max, sizeof(uint64_t));
    rmt_auto(free) void *bases_mem = calloc(max, sizeof(int));
    uint64_t *ids = ids_mem;
    int *bases = bases_mem;
    rmt_assert(ids && bases);
    TRY(ramet_merge_base(store, a, b, ids, &count), want);
    if (want < 0)
        return true;
    size_t n = graph_bases(s, x, y, bases);
    bool same = n == count;
    for (size_t i = 0; same && i < n; i++)
        same = ids[i] == s->nodes.items[bases[i]].id;
    DEMAND(same, "%s and %s have %zu bases, %" PRIu64 " first, not %zu, %" PRIu64 " first", a, b,
           count, count ? ids[0] : 0, n, n ? s->nodes.items[bases[0]].id : 0);
    return true;
}

bool step_base(struct run *run, const struct op *op)
{
    char a[MODEL_NAME * 2], b[MODEL_NAME * 2];
    ref_of(run, op->a, a);
    ref_of(run, op->b, b);
    return same_base(run, run->store, a, b);
}

bool step_same_bases(struct run *run, struct ramet_store *store, uint64_t random)
{
    for (int i = 0; i < 8; i++) {
        char a[MODEL_NAME * 2], b[MODEL_NAME * 2];
        ref_of(run, (uint32_t)model_random(&random, 1 << 30), a);
        ref_of(run, (uint32_t)model_random(&random, 1 << 30), b);
        if (!same_base(run, store, a, b))
            return false;
    }
    return true;
}

/* ---- pins ------------------------------------------------------------------------------------ */

struct numbered {
    uint64_t number;
    char name[MODEL_NAME];
};

struct names {
    RMT_VEC(struct numbered) items;
};

static int see_names(struct ramet_store *store, const struct rmt_tree *catalog, struct names *out)
{
    struct rmt_key prefix = {.bytes = {'b'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &store->pages, catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_branch branch;
        struct numbered n = {.number = 0};
        (void)snprintf(n.name, sizeof(n.name), "%.*s", (int)scan.key.size,
                       (const char *)scan.key.data);
        rc = rmt_branch_load(scan.value, &branch);
        if (rc < 0)
            return rc;
        n.number = branch.number;
        rmt_assert(rmt_vec_push(&out->items, n));
    }
    return rc;
}

static bool name_of(const struct names *names, uint64_t number, char out[MODEL_NAME])
{
    *out = 0;
    for (size_t i = 0; i < names->items.count; i++) {
        if (names->items.items[i].number == number)
            (void)snprintf(out, MODEL_NAME, "%s", names->items.items[i].name);
    }
    return !number || *out;
}

static int id_of(struct ramet_store *store, const struct rmt_tree *catalog, uint64_t number,
                 uint64_t *out)
{
    struct rmt_version v = {.id = 0};
    int rc = number ? rmt_catalog_version(&store->pages, catalog, number, &v) : 0;
    *out = v.id;
    return rc;
}

static int see_pins(struct ramet_store *store, const struct rmt_tree *catalog,
                    const struct names *names, struct seen_pins *out)
{
    struct rmt_key prefix = {.bytes = {'p'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &store->pages, catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct seen_pin seen = {.base = 0};
        struct rmt_pin pin;
        if (scan.key.size != 16)
            return rmt_fail(RAMET_ECORRUPT, "a pin's key has %zu bytes", scan.key.size);
        uint64_t source = rmt_get_be64(scan.key.data);
        uint64_t target = rmt_get_be64((const uint8_t *)scan.key.data + 8);
        rc = rmt_pin_find(&store->pages, catalog, source, target, &pin);
        if (rc == 0)
            rc = id_of(store, catalog, pin.base, &seen.base);
        if (rc == 0)
            rc = id_of(store, catalog, pin.next, &seen.next);
        if (rc == 0 &&
            !(name_of(names, source, seen.source) && name_of(names, target, seen.target)))
            rc = rmt_fail(RAMET_ECORRUPT, "a pin names a branch that is not there");
        if (rc < 0)
            return rc;
        rmt_assert(rmt_vec_push(&out->pins, seen));
    }
    return rc;
}

int step_see_pins(struct ramet_store *store, struct seen_pins *out)
{
    struct rmt_reader_slot *slot;
    struct rmt_state state;
    struct names names = {.items = {.count = 0}};
    int rc = rmt_reader_claim(&store->shared, &slot);
    if (rc < 0)
        return rc;
    rmt_state_hold(store, slot, &state);
    struct rmt_tree catalog = {.root = state.catalog, .fixed = true};
    rc = see_names(store, &catalog, &names);
    if (rc == 0)
        rc = see_pins(store, &catalog, &names, out);
    rmt_vec_fini(&names.items);
    rmt_reader_release(slot);
    return rc;
}

/* A version that a merge was about to merge. */
static int node_of(const struct model_store *s, uint64_t id)
{
    for (size_t i = 0; i < s->nodes.count && id; i++) {
        if (s->nodes.items[i].id == id)
            return (int)i;
    }
    return -1;
}

/* What merges that died have left becomes a part of the model. */
static void adopt_pins(const struct seen_pins *seen, struct model_store *model)
{
    for (size_t i = model->pins.count; i-- > 0;) {
        const struct model_pin pin = model->pins.items[i];
        model_unpin_next(model, pin.source, pin.target);
    }
    for (size_t i = 0; i < seen->pins.count; i++) {
        const struct seen_pin *p = &seen->pins.items[i];
        struct model_pin *pin = model_pin_find(model, p->source, p->target), made = {.base = -1};
        if (!pin) {
            memcpy(made.source, p->source, sizeof(made.source));
            memcpy(made.target, p->target, sizeof(made.target));
            rmt_assert(rmt_vec_push(&model->pins, made));
            pin = &model->pins.items[model->pins.count - 1];
        }
        pin->next = node_of(model, p->next);
    }
}

static uint64_t id_of_node(const struct model_store *s, int node)
{
    return node >= 0 ? s->nodes.items[node].id : 0;
}

bool step_compare_pins(const struct seen_pins *seen, struct model_store *model, enum step_pins how,
                       char *why, size_t size)
{
    size_t matched = 0, there = 0;
    for (size_t i = 0; i < seen->pins.count; i++) {
        const struct seen_pin *p = &seen->pins.items[i];
        const struct model_pin *pin = model_pin_find(model, p->source, p->target);
        uint64_t base = pin ? id_of_node(model, pin->base) : 0;
        uint64_t next = pin ? id_of_node(model, pin->next) : 0;
        matched += base != 0;
        if (base == p->base && (how != STEP_PINS_ALL || next == p->next))
            continue;
        (void)snprintf(why, size,
                       "merges of %s into %s have pinned %" PRIu64 ", %" PRIu64
                       " instead of %" PRIu64 ", %" PRIu64,
                       p->source, p->target, p->base, p->next, base, next);
        return false;
    }
    for (size_t i = 0; i < model->pins.count; i++)
        there += model->pins.items[i].base >= 0;
    if (matched != there) {
        (void)snprintf(why, size, "%zu pairs of branches have a base pinned, not %zu", matched,
                       there);
        return false;
    }
    if (how == STEP_PINS_ADOPT)
        adopt_pins(seen, model);
    return true;
}
