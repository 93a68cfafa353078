/* SPDX-License-Identifier: MIT */
#include "model/graph.h"

#include <stdio.h>

#include "base/hash.h"

void graph_set_fini(struct graph_set *set)
{
    free(set->has);
    *set = (struct graph_set){0};
}

static void *zeros(size_t count, size_t size)
{
    void *p = calloc(count + 1, size);
    rmt_assert(p != NULL);
    return p;
}

static void set_init(const struct model_store *s, struct graph_set *out)
{
    out->count = s->nodes.count;
    out->has = zeros(out->count, sizeof(bool));
}

/* ---- what there is --------------------------------------------------------------------------- */

/* What is noted of merges: at [v * count + u] that u, which is there, has merged v. */
struct users {
    const struct model_store *s;
    bool *noted;
    size_t count;
};

static bool *user(const struct users *users, int v, int u)
{
    return &users->noted[(size_t)v * users->count + (size_t)u];
}

bool graph_stands_on(const struct model_store *s, int v, int what)
{
    while (v >= 0 && v != what)
        v = s->nodes.items[v].prev;
    return v == what;
}

/* A note that u has merged v, unless it says nothing new; and what v stands on need not be noted.
 * (E2) */
static void note(const struct users *users, int u, int v)
{
    bool covered = graph_stands_on(users->s, u, v);
    for (int t = v + 1; t < (int)users->count && !covered; t++)
        covered = *user(users, t, u) && graph_stands_on(users->s, t, v);
    *user(users, v, u) = !covered;
    for (int t = users->s->nodes.items[v].prev; t >= 0; t = users->s->nodes.items[t].prev)
        *user(users, t, u) = false;
}

/* v went: who had merged it has merged what it had merged, and what it stood on. (E2) */
static void pass_on(const struct users *users, int v)
{
    const struct model_node *n = &users->s->nodes.items[v];
    for (int u = 0; u < (int)users->count; u++) {
        if (!*user(users, v, u))
            continue;
        *user(users, v, u) = false;
        if (n->source >= 0)
            note(users, u, n->source);
        if (n->prev >= 0)
            note(users, u, n->prev);
    }
}

static bool has_user(const struct users *users, int v)
{
    return memchr(user(users, v, 0), true, users->count) != NULL;
}

/* Newest first: who merged a version, or stands on it, is newer. snapshots: those alone that are
 * there if heads that stand where they are do not count. */
static void find_alive(const struct model_store *s, bool snapshots, struct graph_set *out)
{
    size_t n = s->nodes.count;
    rmt_auto(free) void *heads_mem = zeros(n, sizeof(int));
    rmt_auto(free) void *label_mem = zeros(n, sizeof(bool));
    rmt_auto(free) void *standing_mem = zeros(n, sizeof(int));
    rmt_auto(free) void *holder_mem = zeros(n, sizeof(int));
    rmt_auto(free) void *noted = zeros(n * n, sizeof(bool));
    bool *label = label_mem;
    int *heads = heads_mem;
    int *standing = standing_mem; /* on it: what is there, or leads there */
    int *holder = holder_mem;     /* who has merged what it has: itself, or what it went into */
    struct users users = {s, noted, n};
    set_init(s, out);
    for (size_t i = 0; i < s->branches.count; i++)
        heads[s->branches.items[i].node]++;
    for (size_t i = 0; i < s->keeps.count; i++)
        label[s->keeps.items[i].node] = true;
    for (size_t i = 0; i < s->pins.count; i++) {
        const struct model_pin *p = &s->pins.items[i];
        if (p->base >= 0)
            label[p->base] = true;
        if (p->next >= 0)
            label[p->next] = true;
    }
    for (int v = (int)n - 1; v >= 0; v--) {
        const struct model_node *node = &s->nodes.items[v];
        bool alive =
            label[v] || heads[v] || standing[v] > 1 || (standing[v] && has_user(&users, v));
        bool snapshot = label[v] || heads[v] + standing[v] > 1 ||
                        (heads[v] + standing[v] && has_user(&users, v));
        if (alive)
            holder[v] = v; /* else that of the one which stands on it */
        if (!alive && !standing[v])
            pass_on(&users, v);
        else if (node->source >= 0)
            note(&users, holder[v], node->source);
        if (node->prev >= 0 && (alive || standing[v])) {
            standing[node->prev]++;
            holder[node->prev] = holder[v];
        }
        out->has[v] = snapshots ? snapshot : alive;
    }
}

void graph_alive(const struct model_store *s, struct graph_set *out)
{
    find_alive(s, false, out);
}

/* A head that moved since it was last a snapshot is none. */
static bool is_snapshot(const struct model_store *s, int v)
{
    rmt_auto(graph_set_fini) struct graph_set snapshots = {0};
    find_alive(s, true, &snapshots);
    return snapshots.has[v];
}

/* To what they have. */
static void spread(const struct model_store *s, struct graph_set *set)
{
    for (int i = (int)set->count - 1; i >= 0; i--) {
        const struct model_node *n = &s->nodes.items[i];
        if (set->has[i] && n->prev >= 0)
            set->has[n->prev] = true;
        if (set->has[i] && n->source >= 0)
            set->has[n->source] = true;
    }
}

void graph_has(const struct model_store *s, int v, struct graph_set *out)
{
    set_init(s, out);
    out->has[v] = true;
    spread(s, out);
}

int graph_below(const struct model_store *s, int v)
{
    rmt_auto(graph_set_fini) struct graph_set alive = {0};
    graph_alive(s, &alive);
    do
        v = s->nodes.items[v].prev;
    while (v >= 0 && !alive.has[v]);
    return v;
}

/* Of one that has what any of a has, and of b. */
static size_t bases_of(const struct model_store *s, const struct graph_set *alive, const int *a,
                       size_t nr_a, int b, int *out)
{
    rmt_auto(graph_set_fini) struct graph_set of_a = {0};
    rmt_auto(graph_set_fini) struct graph_set of_b = {0};
    rmt_auto(graph_set_fini) struct graph_set older = {0}; /* that one of out has */
    size_t n = 0;
    set_init(s, &of_a);
    for (size_t i = 0; i < nr_a; i++)
        of_a.has[a[i]] = true;
    spread(s, &of_a);
    graph_has(s, b, &of_b);
    set_init(s, &older);
    for (int v = (int)s->nodes.count - 1; v >= 0; v--) {
        const struct model_node *node = &s->nodes.items[v];
        bool both = of_a.has[v] && of_b.has[v] && alive->has[v];
        if (both && !older.has[v])
            out[n++] = v;
        if (both || older.has[v]) {
            if (node->prev >= 0)
                older.has[node->prev] = true;
            if (node->source >= 0)
                older.has[node->source] = true;
        }
    }
    return n;
}

size_t graph_bases(const struct model_store *s, int a, int b, int *out)
{
    rmt_auto(graph_set_fini) struct graph_set alive = {0};
    graph_alive(s, &alive);
    return bases_of(s, &alive, &a, 1, b, out);
}

/* ---- differences ----------------------------------------------------------------------------- */

static struct ramet_slice slice_of(const struct model_key *key)
{
    return rmt_slice(key->bytes, key->size);
}

static struct model_content content_of(const struct model_entry *e)
{
    struct model_content c = {.there = e};
    if (e) {
        c.seed = e->seed;
        c.size = e->size;
        c.hash = e->hash;
    }
    return c;
}

static bool same(const struct model_content *a, const struct model_content *b)
{
    return a->there == b->there && (!a->there || (a->size == b->size && a->hash == b->hash));
}

static uint64_t digest_one(uint64_t digest, const struct model_content *c)
{
    uint64_t value[3] = {c->there, c->there ? c->size : 0, c->there ? c->hash : 0};
    return rmt_hash(value, sizeof(value), digest);
}

static uint64_t digest_change(uint64_t digest, const char *map, struct ramet_slice key, int kind,
                              const struct model_content *old, const struct model_content *new)
{
    uint64_t what = (uint64_t)kind;
    digest = rmt_hash(&what, sizeof(what), model_digest_map(digest, map));
    if (key.size)
        digest = rmt_hash(key.data, key.size, digest);
    return digest_one(digest_one(digest, old), new);
}

uint64_t graph_digest_change(uint64_t digest, const struct ramet_change *change)
{
    const struct ramet_slice values[] = {change->old_value, change->new_value};
    struct model_content of[2];
    for (size_t i = 0; i < 2; i++) {
        of[i] = (struct model_content){.there = values[i].data, .size = values[i].size};
        of[i].hash = of[i].there ? rmt_hash(values[i].data, values[i].size, 0) : 0;
    }
    return digest_change(digest, change->map, change->key, change->kind, &of[0], &of[1]);
}

static struct model_content look(const struct model_version *v, const char *map,
                                 struct ramet_slice key)
{
    const struct model_map *m = v ? model_version_map(v, map) : NULL;
    return content_of(m ? model_map_get(m, key) : NULL);
}

uint64_t graph_digest_entry(uint64_t digest, uint64_t id, const struct model_version *from,
                            const struct model_version *to, const char *map, struct ramet_slice key)
{
    struct model_content old = look(from, map, key), new = look(to, map, key);
    if (same(&old, &new))
        return digest;
    int kind = !old.there ? RAMET_ADDED : new.there ? RAMET_CHANGED : RAMET_REMOVED;
    digest = rmt_hash(&id, sizeof(id), digest);
    return digest_change(digest, map, key, kind, &old, &new);
}

/* The keys, or names, of two sorted lists, in order: each once. */
struct pair {
    const struct model_map *a, *b; /* NULL: none */
    size_t at_a, at_b;
};

/* False: no more. *a and *b: the entries of the next key; NULL: absent. */
static bool next_pair(struct pair *p, const struct model_entry **a, const struct model_entry **b)
{
    *a = p->a && p->at_a < p->a->entries.count ? &p->a->entries.items[p->at_a] : NULL;
    *b = p->b && p->at_b < p->b->entries.count ? &p->b->entries.items[p->at_b] : NULL;
    int order = !*a ? 1 : !*b ? -1 : rmt_slice_cmp(slice_of((*a)->key), slice_of((*b)->key));
    if (order > 0)
        *a = NULL;
    if (order < 0)
        *b = NULL;
    p->at_a += *a != NULL;
    p->at_b += *b != NULL;
    return *a || *b;
}

/* The name after one, of the maps of two versions; NULL: there is none. */
static const char *next_map(const struct model_version *a, const struct model_version *b,
                            const char *name)
{
    const struct model_version *of[] = {a, b};
    const char *least = NULL;
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; of[v] && i < of[v]->maps.count; i++) {
            const char *other = of[v]->maps.items[i]->name;
            if ((!name || strcmp(other, name) > 0) && (!least || strcmp(other, least) < 0))
                least = other;
        }
    }
    return least;
}

static bool within(const struct ramet_diff_options *options, struct ramet_slice key)
{
    if (!options)
        return true;
    if (options->prefix.size)
        return key.size >= options->prefix.size &&
               memcmp(key.data, options->prefix.data, options->prefix.size) == 0;
    return (!options->from.size || rmt_slice_cmp(options->from, key) <= 0) &&
           (!options->to.size || rmt_slice_cmp(key, options->to) < 0);
}

static uint64_t diff_map(uint64_t digest, const char *name, const struct model_map *from,
                         const struct model_map *to, const struct ramet_diff_options *options,
                         uint64_t *count)
{
    static const struct model_content nothing = {.there = false};
    struct ramet_slice none = {NULL, 0};
    struct pair pair = {.a = from, .b = to};
    const struct model_entry *a, *b;
    bool keys = options && options->flags & RAMET_DIFF_KEYS;
    if (!from) {
        digest = digest_change(digest, name, none, RAMET_MAP_CREATED, &nothing, &nothing);
        ++*count;
    }
    while (from != to && next_pair(&pair, &a, &b)) {
        struct model_content old = content_of(a), new = content_of(b);
        struct ramet_slice key = slice_of((a ? a : b)->key);
        int kind = !a ? RAMET_ADDED : !b ? RAMET_REMOVED : RAMET_CHANGED;
        if (same(&old, &new) || !within(options, key))
            continue;
        digest =
            digest_change(digest, name, key, kind, keys ? &nothing : &old, keys ? &nothing : &new);
        ++*count;
    }
    if (!to) {
        digest = digest_change(digest, name, none, RAMET_MAP_DROPPED, &nothing, &nothing);
        ++*count;
    }
    return digest;
}

uint64_t graph_diff(const struct model_version *from, const struct model_version *to,
                    const struct ramet_diff_options *options, uint64_t *out_count)
{
    uint64_t digest = MODEL_DIGEST_EMPTY;
    *out_count = 0;
    for (const char *name = NULL; (name = next_map(from, to, name));) {
        if (!options || !options->map || strcmp(options->map, name) == 0)
            digest = diff_map(digest, name, from ? model_version_map(from, name) : NULL,
                              model_version_map(to, name), options, out_count);
    }
    return digest;
}

/* ---- merging --------------------------------------------------------------------------------- */

struct merge {
    const struct ramet_merge_options *options;
    const struct model_version *base, *theirs; /* NULL: nothing */
    struct model_version *ours;                /* changed */
    bool drafting;
    struct graph_merge *out;
};

static struct ramet_merge_rule rule_of(const struct merge *m, const char *map,
                                       struct ramet_slice key)
{
    for (size_t i = 0; i < m->options->nr_rules; i++) {
        const struct ramet_merge_rule *r = &m->options->rules[i];
        if ((!r->map || strcmp(r->map, map) == 0) && key.size >= r->prefix.size &&
            (!r->prefix.size || memcmp(key.data, r->prefix.data, r->prefix.size) == 0))
            return *r;
    }
    return (struct ramet_merge_rule){.policy = m->options->policy};
}

static bool parse(const struct model_content *c, int64_t *out)
{
    char text[24], *end;
    if (!c->there || c->size == 0 || c->size >= sizeof(text))
        return false;
    model_value(c->seed, 0, text, c->size);
    text[c->size] = 0;
    size_t digits = strspn(text + (*text == '-'), "0123456789");
    if (!digits || digits + (*text == '-') != c->size || digits > 18)
        return false;
    *out = strtoll(text, &end, 10);
    return true;
}

static struct model_content number(int64_t n)
{
    struct model_content c = {.there = true};
    char text[32];
    c.seed = model_number(n, &c.size);
    model_value(c.seed, 0, text, c.size);
    c.hash = rmt_hash(text, c.size, 0);
    return c;
}

/* What becomes of two of these hashes; absent: 0. 0: the first; 1: the second; or another verdict,
 * + 1. */
static int judge(uint64_t ours, uint64_t theirs)
{
    if (ours && theirs)
        return ours >= theirs ? 0 : 1;
    return (ours ^ theirs) % 3 ? 1 + RAMET_MERGED_CONFLICT : 1 + RAMET_MERGED_DELETE;
}

int graph_merge_function(void *ctx, const struct ramet_conflict *both, struct ramet_slice *out)
{
    (void)ctx;
    const struct ramet_slice *of[] = {&both->ours, &both->theirs};
    uint64_t hashes[2];
    for (size_t i = 0; i < 2; i++)
        hashes[i] = of[i]->data ? rmt_hash(of[i]->data, of[i]->size, 0) | 1 : 0;
    int verdict = judge(hashes[0], hashes[1]);
    if (verdict > 1)
        return verdict - 1;
    *out = *of[verdict];
    return RAMET_MERGED_VALUE;
}

static bool ask_function(const struct model_content *ours, const struct model_content *theirs,
                         struct model_content *out)
{
    static const struct model_content nothing = {.there = false};
    int verdict = judge(ours->there ? ours->hash | 1 : 0, theirs->there ? theirs->hash | 1 : 0);
    if (verdict == 1 + RAMET_MERGED_CONFLICT)
        return false;
    *out = verdict == 0 ? *ours : verdict == 1 ? *theirs : nothing;
    return true;
}

/* What a policy makes of both; false: a conflict. open: what base is nobody knows. */
static bool ask(const struct merge *m, int policy, bool open, const struct model_content *base,
                const struct model_content *ours, const struct model_content *theirs,
                struct model_content *out)
{
    int64_t a, b, was = 0;
    switch (policy) {
    case RAMET_MERGE_FUNCTION: return ask_function(ours, theirs, out);
    case RAMET_MERGE_OURS:
    case RAMET_MERGE_THEIRS:
        if (m->drafting) /* neither side is ours there */
            return false;
        *out = policy == RAMET_MERGE_OURS ? *ours : *theirs;
        return true;
    case RAMET_MERGE_COUNTER:
        if (open)
            return false;
        if (parse(ours, &a) && parse(theirs, &b) && (!base->there || parse(base, &was))) {
            *out = number(a + b - was);
            return true;
        }
        *out = *ours;
        return same(ours, theirs);
    case RAMET_MERGE_MAX:
        if (!parse(ours, &a) || !parse(theirs, &b))
            return false;
        *out = number(a > b ? a : b);
        return true;
    default: return false;
    }
}

static void set_entry(struct merge *m, const char *map, struct ramet_slice key,
                      const struct model_content *from, const struct model_content *to)
{
    bool found;
    if (same(from, to))
        return;
    struct model_map *ours = model_version_edit(m->ours, map);
    if (to->there)
        model_map_put(ours, key, to->seed, to->size, to->hash);
    size_t at = model_map_seek(ours, key, &found);
    if (!to->there)
        model_map_del(ours, at, 1);
    int kind = !from->there ? RAMET_ADDED : to->there ? RAMET_CHANGED : RAMET_REMOVED;
    m->out->changes++;
    m->out->changes_digest = digest_change(m->out->changes_digest, map, key, kind, from, to);
}

static void in_conflict(struct merge *m, const char *map, struct ramet_slice key,
                        const struct model_content values[3])
{
    if (m->drafting) { /* like nothing else */
        static uint64_t unlike;
        struct model_map *ours = model_version_edit(m->ours, map);
        bool found;
        model_map_put(ours, key, 0, 32, ~unlike++);
        ours->entries.items[model_map_seek(ours, key, &found)].unknown = true;
        return;
    }
    m->out->conflicts++;
    struct model_version told = {.conflicts = {.count = 0}};
    model_conflict_add(&told, map, key, values);
    m->out->conflicts_digest =
        model_digest_noted(m->out->conflicts_digest, &told.conflicts.items[0]);
    model_conflict_remove(&told, 0);
    rmt_vec_fini(&told.conflicts);
    if (m->options->flags & RAMET_MERGE_KEEP_CONFLICTS)
        model_conflict_add(m->ours, map, key, values);
}

static void merge_entry(struct merge *m, const char *map, struct ramet_slice key,
                        const struct model_entry *before, const struct model_entry *after)
{
    static const struct model_content nothing = {.there = false};
    const struct model_map *now = model_version_map(m->ours, map);
    const struct model_entry *e = now ? model_map_get(now, key) : NULL;
    bool open = before && before->unknown;
    struct model_content base = open ? nothing : content_of(before), theirs = content_of(after);
    struct model_content ours = content_of(e), merged;
    struct ramet_merge_rule rule = rule_of(m, map, key);
    bool counts = rule.policy == RAMET_MERGE_COUNTER || rule.policy == RAMET_MERGE_FUNCTION;
    if ((!open && same(&base, &theirs)) || (e && e->unknown) || (same(&ours, &theirs) && !counts))
        return;
    if (!open && same(&ours, &base))
        set_entry(m, map, key, &ours, &theirs);
    else if (ask(m, rule.policy, open, &base, &ours, &theirs, &merged))
        set_entry(m, map, key, &ours, &merged);
    else
        in_conflict(m, map, key, (struct model_content[3]){base, ours, theirs});
}

static void merge_run(struct merge *m)
{
    for (const char *name = NULL; (name = next_map(m->base, m->theirs, name));) {
        const struct model_map *before = m->base ? model_version_map(m->base, name) : NULL;
        const struct model_map *after = m->theirs ? model_version_map(m->theirs, name) : NULL;
        struct pair pair = {.a = before, .b = after};
        const struct model_entry *a, *b;
        while (before != after && next_pair(&pair, &a, &b)) {
            const struct model_key *key = (a ? a : b)->key;
            merge_entry(m, name, slice_of(key), a, b);
        }
        const struct model_map *ours = model_version_map(m->ours, name);
        if (!before)
            (void)model_version_edit(m->ours, name);
        else if (!after && ours && !ours->entries.count)
            model_version_drop(m->ours, name);
    }
}

/* What two versions had in common: nothing, a version, or several that are merged. Owned. */
static struct model_version *base_of(const struct model_store *s, const struct graph_set *alive,
                                     const int *bases, size_t count,
                                     const struct ramet_merge_options *options)
{
    if (!count)
        return model_version_new();
    if (count == 1)
        return model_version_ref(s->nodes.items[bases[0]].version);
    struct graph_merge none = {.id = 0};
    struct merge m = {.options = options, .drafting = true, .out = &none};
    rmt_auto(free) void *mem = zeros(s->nodes.count, sizeof(int));
    int *below = mem;
    m.ours = model_version_copy(s->nodes.items[bases[0]].version);
    for (size_t i = 1; i < count; i++) {
        size_t n = bases_of(s, alive, bases, i, bases[i], below);
        struct model_version *base = base_of(s, alive, below, n, options);
        m.base = base;
        m.theirs = s->nodes.items[bases[i]].version;
        merge_run(&m);
        model_version_unref(base);
    }
    return m.ours;
}

static const char *name_of(const struct ramet_merge_options *options)
{
    return options->keep && options->keep->name ? options->keep->name : "";
}

/* As the source of a fast-forward a branch hands on what it keeps of the line. */
static void hand_on(struct model_store *s, const char *from, const char *into, int source, int to)
{
    for (int v = source; v != to; v = s->nodes.items[v].prev) {
        for (size_t i = 0; i < s->keeps.count; i++) {
            struct model_keep *k = &s->keeps.items[i];
            bool taken = *k->name && model_store_keep(s, into, k->name);
            if (k->node != v || strcmp(k->branch, from) != 0 || strcmp(from, into) == 0)
                continue;
            for (size_t j = 0; j < s->keeps.count && !*k->name; j++) {
                const struct model_keep *other = &s->keeps.items[j];
                taken |= other->node == v && !*other->name && strcmp(other->branch, into) == 0;
            }
            if (!taken)
                (void)snprintf(k->branch, sizeof(k->branch), "%s", into);
        }
    }
}

static void pin(struct model_store *s, const char *from, const char *into, int source)
{
    struct model_pin *p = model_pin_find(s, from, into), made = {.base = source, .next = -1};
    if (p) {
        p->base = source;
        p->next = -1;
        return;
    }
    (void)snprintf(made.source, sizeof(made.source), "%s", from);
    (void)snprintf(made.target, sizeof(made.target), "%s", into);
    rmt_assert(rmt_vec_push(&s->pins, made));
}

static int forward(struct model_store *s, struct model_branch *b, const char *from, int source,
                   const struct ramet_merge_options *options, struct graph_merge *out)
{
    const char *name = name_of(options);
    bool of_branch = !strchr(from, '@');
    if (of_branch)
        hand_on(s, from, b->name, source, b->node);
    model_branch_move(s, b, source);
    out->id = b->id;
    out->made = true;
    int rc = *name ? model_keep_add(s, b->name, source, name) : 0;
    if (rc == 0 && of_branch)
        pin(s, from, b->name, source);
    return rc;
}

/* The head becomes a version that is kept: of a merge, or of something picked. */
static int publish(struct model_store *s, struct model_branch *b, struct model_version *v,
                   int source, const struct ramet_merge_options *options, bool keep,
                   struct graph_merge *out)
{
    const char *name = name_of(options);
    if (keep && *name && model_store_keep(s, b->name, name))
        return -EEXIST;
    int node = model_node_add(s, v, b->node, source);
    model_branch_move(s, b, node);
    out->id = 0;
    out->made = true;
    return keep ? model_keep_add(s, b->name, node, name) : 0;
}

int graph_merge(struct model_store *s, const char *into, const char *from,
                const struct ramet_merge_options *options, struct graph_merge *out)
{
    struct model_branch *b = model_store_branch(s, into);
    int source;
    *out = (struct graph_merge){.id = b ? b->id : 0};
    if (!b)
        return RAMET_ENOTFOUND;
    if (b->head->conflicts.count)
        return RAMET_ECONFLICT;
    int rc = model_store_find_node(s, from, &source);
    if (rc < 0)
        return rc;
    if (s->nodes.items[source].version->conflicts.count)
        return RAMET_ECONFLICT;

    out->unpins =
        !strchr(from, '@') && !(options->flags & RAMET_MERGE_DRY_RUN) && !is_snapshot(s, source);
    rmt_auto(graph_set_fini) struct graph_set alive = {0};
    rmt_auto(free) void *mem = zeros(s->nodes.count, sizeof(int));
    int *bases = mem;
    graph_alive(s, &alive);
    size_t n = bases_of(s, &alive, &b->node, 1, source, bases);
    out->bases = n;
    out->base = n == 1 ? s->nodes.items[bases[0]].id : 0;
    if (n == 1 && bases[0] == source) {
        out->up_to_date = true;
        return 0;
    }
    out->fast_forward = n == 1 && bases[0] == b->node && !(options->flags & RAMET_MERGE_NO_FF) &&
                        graph_stands_on(s, source, b->node);
    struct model_version *base = base_of(s, &alive, bases, n, options);
    struct model_version *ours = model_version_copy(b->head);
    struct merge m = {.options = options,
                      .base = base,
                      .theirs = s->nodes.items[source].version,
                      .ours = ours,
                      .out = out};
    out->changes_digest = out->conflicts_digest = MODEL_DIGEST_EMPTY;
    merge_run(&m);
    model_version_unref(base);
    bool keeps = options->flags & RAMET_MERGE_KEEP_CONFLICTS;
    if (out->conflicts && !keeps)
        rc = RAMET_ECONFLICT;
    else if (options->flags & RAMET_MERGE_DRY_RUN)
        rc = 0;
    else if (out->fast_forward)
        rc = forward(s, b, from, source, options, out);
    else
        rc = publish(s, b, ours, source, options, true, out);
    if (rc == 0 && out->made && !out->fast_forward && !strchr(from, '@'))
        pin(s, from, into, source);
    model_version_unref(ours);
    return rc;
}

int graph_pick(struct model_store *s, const char *into, const char *ref, bool reverse,
               const struct ramet_merge_options *options, struct graph_merge *out)
{
    struct model_branch *b = model_store_branch(s, into);
    int after;
    *out = (struct graph_merge){.id = b ? b->id : 0};
    if (!b)
        return RAMET_ENOTFOUND;
    if (b->head->conflicts.count)
        return RAMET_ECONFLICT;
    int rc = model_store_find_node(s, ref, &after);
    if (rc < 0)
        return rc;
    struct model_version *with = s->nodes.items[after].version, *without = NULL;
    if (with->conflicts.count)
        return RAMET_ECONFLICT;
    int below = graph_below(s, after);
    if (below >= 0)
        without = s->nodes.items[below].version;
    int base = reverse ? after : below;
    out->base = base >= 0 ? s->nodes.items[base].id : 0;
    struct model_version *ours = model_version_copy(b->head);
    struct merge m = {.options = options,
                      .base = reverse ? with : without,
                      .theirs = reverse ? without : with,
                      .ours = ours,
                      .out = out};
    out->changes_digest = out->conflicts_digest = MODEL_DIGEST_EMPTY;
    merge_run(&m);
    bool keeps = options->flags & RAMET_MERGE_KEEP_CONFLICTS;
    out->up_to_date =
        !out->conflicts && model_version_digest(ours) == model_version_digest(b->head);
    if (out->conflicts && !keeps)
        rc = RAMET_ECONFLICT;
    else if (!(options->flags & RAMET_MERGE_DRY_RUN) && !out->up_to_date)
        rc = publish(s, b, ours, -1, options, !out->conflicts, out);
    model_version_unref(ours);
    return rc;
}

int graph_tag(struct model_store *s, const char *branch, const char *name, const char *ref)
{
    int node, rc = model_store_find_node(s, ref, &node);
    if (rc < 0)
        return rc;
    if (s->nodes.items[node].version->conflicts.count)
        return RAMET_ECONFLICT;
    if (!model_store_branch(s, branch))
        return RAMET_ENOTFOUND;
    return model_keep_add(s, branch, node, name);
}
