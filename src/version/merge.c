/* SPDX-License-Identifier: MIT */
#include "version/merge.h"

#include "store/shares.h"
#include "store/walk.h"
#include "tree/diff.h"
#include "tree/edit.h"
#include "version/policy.h"

/* One map, in all three. */
struct maps {
    struct rmt_merge *m;
    const char *name;
    struct ramet_map *ours;                /* NULL: it has none */
    struct ramet_map *conflicts, *unknown; /* opened when needed */
    bool open;                             /* what the entry at hand is in the base is not known */
};

/* ---- values ---------------------------------------------------------------------------------- */

static struct rmt_pages *pages_of(const struct rmt_merge *m)
{
    return &m->ours->store->pages;
}

/* The whole value; absent: data NULL. */
static int slice_of(struct rmt_merge *m, const struct rmt_value *value, struct ramet_slice *out)
{
    *out = rmt_slice(value->data, value->size);
    if (!value->data || !value->extents)
        return 0;
    return rmt_value_slice(pages_of(m), value, &m->arena, out);
}

/* Both absent, or both there and the same bytes. 1, 0 or a code. */
static int same(struct rmt_merge *m, const struct rmt_value *a, const struct rmt_value *b)
{
    if (!a->data || !b->data)
        return a->data == b->data;
    return rmt_value_equal(pages_of(m), a, b);
}

static int find(struct rmt_merge *m, const struct ramet_map *map, struct ramet_slice key,
                struct rmt_value *out)
{
    *out = (struct rmt_value){0};
    int rc = map && map->exists ? rmt_tree_get(pages_of(m), &map->tree, key, out) : 0;
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

/* ---- changing ours --------------------------------------------------------------------------- */

/* The bytes of a value for who is told of changes: none of one too large for a slice. */
static int bytes_of(struct rmt_merge *m, const struct rmt_value *value, struct ramet_slice *out)
{
    *out = rmt_slice(NULL, 0);
    int rc = slice_of(m, value, out);
    if (rc == -EFBIG)
        *out = rmt_slice(NULL, 0);
    return rc == -EFBIG ? 0 : rc;
}

/* there: ours has a value afterwards, and after is it. */
static int tell(struct maps *maps, struct ramet_slice key, const struct rmt_value *ours, bool there,
                struct ramet_slice after)
{
    struct rmt_merge *m = maps->m;
    m->changes++;
    if (!m->options->change || m->quiet)
        return 0;
    struct ramet_change change = {
        .size = sizeof(change),
        .map = maps->name,
        .key = key,
        .new_value = after,
        .kind = !ours->data ? RAMET_ADDED
                : there     ? RAMET_CHANGED
                            : RAMET_REMOVED,
    };
    int rc = bytes_of(m, ours, &change.old_value);
    return rc < 0 ? rc : m->options->change(m->options->change_ctx, &change);
}

static int ours_open(struct maps *maps)
{
    if (maps->ours)
        return 0;
    return rmt_map_open(maps->m->ours, 0, maps->name, RAMET_CREATE, &maps->ours);
}

/* A value that no slice can hold goes by way of a file. */
static int put_huge(struct maps *maps, struct ramet_slice key, const struct rmt_value *value)
{
    struct rmt_pages *pages = pages_of(maps->m);
    uint64_t size = rmt_value_size(pages, value), at = 0;
    void *bytes;
    int rc = rmt_spill_new(pages, size, &bytes);
    if (rc < 0)
        return rc;
    while (rc == 0 && at < size) {
        size_t some = (size_t)rmt_min(size - at, RAMET_SLICE_MAX);
        int64_t n = rmt_value_read(pages, value, at, (uint8_t *)bytes + at, some);
        rc = n < 0 ? (int)n : 0;
        at += n < 0 ? 0 : (uint64_t)n;
    }
    if (rc == 0)
        rc = ramet_put(maps->ours, key, rmt_slice(bytes, size), 0);
    rmt_spill_free(bytes, size);
    return rc;
}

/* Ours gets an entry of theirs. */
static int take(struct maps *maps, struct ramet_slice key, const struct rmt_value *ours,
                const struct rmt_value *theirs)
{
    struct rmt_merge *m = maps->m;
    bool huge =
        theirs->data && theirs->extents && rmt_value_size(pages_of(m), theirs) > RAMET_SLICE_MAX;
    struct ramet_slice value = {NULL, 0};
    int rc = huge ? 0 : slice_of(m, theirs, &value);
    if (rc == 0)
        rc = tell(maps, key, ours, theirs->data != NULL, value);
    if (rc != 0)
        return rc;
    if (!theirs->data)
        return ramet_del(maps->ours, key);
    rc = ours_open(maps);
    if (rc < 0)
        return rc;
    if (!huge)
        return ramet_put(maps->ours, key, value, 0);
    return put_huge(maps, key, theirs);
}

/* Ours gets what a policy made of both. */
static int settle(struct maps *maps, struct ramet_slice key, const struct rmt_value *ours,
                  struct ramet_slice merged)
{
    struct ramet_slice was;
    int rc = slice_of(maps->m, ours, &was);
    if (rc == 0 && !was.data == !merged.data && rmt_slice_cmp(was, merged) == 0)
        return 0;
    if (rc == 0)
        rc = tell(maps, key, ours, merged.data != NULL, merged);
    if (rc != 0)
        return rc;
    if (!merged.data)
        return ramet_del(maps->ours, key);
    rc = ours_open(maps);
    return rc < 0 ? rc : ramet_put(maps->ours, key, merged, 0);
}

/* ---- conflicts ------------------------------------------------------------------------------- */

#define ABSENT UINT64_MAX

int rmt_conflict_load(const struct rmt_pages *pages, struct ramet_slice record,
                      struct ramet_conflict *both)
{
    struct ramet_slice *const values[] = {&both->base, &both->ours, &both->theirs};
    struct rmt_disk_conflict disk;
    size_t at = sizeof(disk);
    bool legal = record.size >= sizeof(disk);
    if (legal)
        memcpy(&disk, record.data, sizeof(disk));
    for (size_t i = 0; i < 3 && legal; i++) {
        uint64_t size = rmt_get64(disk.sizes[i]);
        *values[i] = rmt_slice(NULL, 0);
        if (size == ABSENT)
            continue;
        legal = size <= record.size - at;
        if (legal)
            *values[i] = rmt_slice((const uint8_t *)record.data + at, (size_t)size);
        at += legal ? (size_t)size : 0;
    }
    if (!legal || at != record.size)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a conflict that was noted is malformed",
                        pages->io->path);
    return 0;
}

static int note(struct maps *maps, const struct ramet_conflict *both)
{
    const struct ramet_slice values[] = {both->base, both->ours, both->theirs};
    struct rmt_disk_conflict disk;
    size_t size = sizeof(disk), at = sizeof(disk);
    for (size_t i = 0; i < 3; i++) {
        disk.sizes[i] = rmt_put64(values[i].data ? values[i].size : ABSENT);
        size += values[i].size;
    }
    rmt_auto(free) uint8_t *record = malloc(size);
    if (!record)
        return rmt_fail(-ENOMEM, "a conflict");
    memcpy(record, &disk, sizeof(disk));
    for (size_t i = 0; i < 3; i++) {
        if (values[i].size)
            memcpy(record + at, values[i].data, values[i].size);
        at += values[i].size;
    }
    int rc = maps->conflicts ? 0
                             : rmt_map_open(maps->m->ours, RMT_MAP_CONFLICTS, maps->name,
                                            RAMET_CREATE, &maps->conflicts);
    return rc < 0 ? rc : ramet_put(maps->conflicts, both->key, rmt_slice(record, size), 0);
}

/* In a base that is put together, what its parts disagree on is like nothing else: bytes that
 * nobody has, and a note that this is no value. */
static int unknown(struct maps *maps, struct ramet_slice key)
{
    uint8_t bytes[32];
    struct rmt_io *io = pages_of(maps->m)->io;
    io->ops->random(io, bytes, sizeof(bytes));
    int rc = ours_open(maps);
    if (rc == 0 && !maps->unknown)
        rc = rmt_map_open(maps->m->ours, RMT_MAP_UNKNOWN, maps->name, RAMET_CREATE, &maps->unknown);
    if (rc == 0)
        rc = ramet_put(maps->ours, key, rmt_slice(bytes, sizeof(bytes)), 0);
    return rc < 0 ? rc : ramet_put(maps->unknown, key, rmt_slice("", 0), 0);
}

static int conflict(struct maps *maps, const struct ramet_conflict *both)
{
    struct rmt_merge *m = maps->m;
    m->conflicts++;
    if (m->drafting)
        return unknown(maps, both->key);
    int rc = 0;
    if (m->options->conflict && !m->quiet)
        rc = m->options->conflict(m->options->conflict_ctx, both);
    if (rc == 0 && m->keep)
        rc = note(maps, both);
    return rc;
}

/* ---- one entry ------------------------------------------------------------------------------- */

static bool begins(struct ramet_slice key, struct ramet_slice prefix)
{
    return key.size >= prefix.size &&
           (!prefix.size || memcmp(key.data, prefix.data, prefix.size) == 0);
}

/* True of policies that a blob may have without being named. */
static bool for_blobs(int policy)
{
    return policy == RAMET_MERGE_FAIL || policy == RAMET_MERGE_OURS || policy == RAMET_MERGE_THEIRS;
}

static struct ramet_merge_rule rule_of(const struct maps *maps, struct ramet_slice key)
{
    const struct ramet_merge_options *options = maps->m->options;
    bool blob = maps->name[0] == RMT_MAP_BLOB;
    for (size_t i = 0; i < options->nr_rules; i++) {
        const struct ramet_merge_rule *rule = &options->rules[i];
        bool any = !rule->map && (!blob || for_blobs(rule->policy));
        if ((any || (rule->map && strcmp(rule->map, maps->name) == 0)) && begins(key, rule->prefix))
            return *rule;
    }
    int policy = blob && !for_blobs(options->policy) ? RAMET_MERGE_FAIL : options->policy;
    return (struct ramet_merge_rule){.policy = policy};
}

/* True of policies to which the same change on both sides is two changes. */
static bool counts(int policy)
{
    return policy == RAMET_MERGE_COUNTER || policy == RAMET_MERGE_COUNTER64 ||
           policy == RAMET_MERGE_FUNCTION;
}

/* Asks a rule's function. What it hands out may lie in a page that is about to be written. */
static int ask_function(struct rmt_merge *m, const struct ramet_merge_rule *rule,
                        const struct ramet_conflict *both, struct ramet_slice *out)
{
    struct ramet_slice merged = {NULL, 0};
    int verdict = rule->fn(rule->ctx, both, &merged);
    if (verdict != RAMET_MERGED_VALUE || !merged.size)
        return verdict;
    void *copy = rmt_arena_alloc(&m->arena, merged.size);
    if (!copy)
        return rmt_fail(-ENOMEM, "a merged value");
    memcpy(copy, merged.data, merged.size);
    *out = rmt_slice(copy, merged.size);
    return verdict;
}

/* True of policies that cannot do without the base. */
static bool needs_base(int policy)
{
    return policy == RAMET_MERGE_COUNTER || policy == RAMET_MERGE_COUNTER64 ||
           policy == RAMET_MERGE_SET || policy == RAMET_MERGE_TEXT;
}

/* What a policy makes of an entry; with which value. */
static int ask(struct maps *maps, const struct ramet_merge_rule *rule,
               const struct ramet_conflict *both, struct ramet_slice *out)
{
    switch (rule->policy) {
    case RAMET_MERGE_FUNCTION: return ask_function(maps->m, rule, both, out);
    case RAMET_MERGE_FAIL:
    case RAMET_MERGE_OURS: /* in a base that is put together, where neither is */
    case RAMET_MERGE_THEIRS: return RAMET_MERGED_CONFLICT;
    default: break;
    }
    if (maps->open && (needs_base(rule->policy) || !both->ours.data || !both->theirs.data))
        return RAMET_MERGED_CONFLICT;
    return rmt_policy_merge(rule->policy, both, &maps->m->scratch, out);
}

/* Both sides changed an entry. */
static int decide(struct maps *maps, const struct ramet_merge_rule *rule,
                  const struct rmt_value *base, const struct rmt_value *ours,
                  const struct rmt_value *theirs, struct ramet_conflict *both)
{
    struct rmt_merge *m = maps->m;
    if (rule->policy == RAMET_MERGE_OURS && !m->drafting)
        return 0;
    if (rule->policy == RAMET_MERGE_THEIRS && !m->drafting)
        return take(maps, both->key, ours, theirs);
    int rc = slice_of(m, base, &both->base);
    if (rc == 0)
        rc = slice_of(m, ours, &both->ours);
    if (rc == 0)
        rc = slice_of(m, theirs, &both->theirs);
    if (rc == -EFBIG)
        return rmt_fail(rc,
                        "both changed the key '%.*s' of map '%s', and of values above %zu MiB "
                        "only the policies ours and theirs can decide",
                        (int)both->key.size, (const char *)both->key.data, maps->name,
                        RAMET_SLICE_MAX >> 20);
    if (rc < 0)
        return rc;
    struct ramet_slice merged = {NULL, 0};
    int verdict = ask(maps, rule, both, &merged);
    if (verdict == RAMET_MERGED_DELETE)
        return settle(maps, both->key, ours, rmt_slice(NULL, 0));
    if (verdict == RAMET_MERGED_VALUE)
        return settle(maps, both->key, ours, merged.data ? merged : rmt_slice("", 0));
    if (verdict != RAMET_MERGED_CONFLICT)
        return verdict < 0 ? verdict
                           : rmt_fail(-EINVAL, "a merge function answered %d, which is no verdict",
                                      verdict);
    return conflict(maps, both);
}

/* 1: a base has no value here, but a note that its parts had several. */
static int is_unknown(struct maps *maps, struct ramet_txn *base, struct ramet_slice key)
{
    struct ramet_map *map;
    struct rmt_value value;
    int rc = rmt_map_open(base, RMT_MAP_UNKNOWN, maps->name, 0, &map);
    if (rc == 0)
        rc = rmt_tree_get(pages_of(maps->m), &map->tree, key, &value);
    return rc == RAMET_ENOTFOUND ? 0 : rc < 0 ? rc : 1;
}

static int merge_entry(struct maps *maps, struct ramet_slice key, const struct rmt_value *before,
                       const struct rmt_value *theirs)
{
    struct rmt_merge *m = maps->m;
    struct rmt_value ours, base = *before;
    struct ramet_conflict both = {.size = sizeof(both), .map = maps->name, .key = key};
    rmt_arena_fini(&m->arena);
    int rc = m->drafting ? is_unknown(maps, m->ours, key) : 0;
    if (rc != 0) /* one more part makes it no better known */
        return rc < 0 ? rc : 0;
    rc = find(m, maps->ours, key, &ours);
    if (rc == 0 && m->base && m->base->writing) /* it was put together */
        rc = is_unknown(maps, m->base, key);
    if (rc < 0)
        return rc;
    maps->open = rc > 0;
    if (maps->open)
        base = (struct rmt_value){0};
    struct ramet_merge_rule rule = rule_of(maps, key);
    rc = same(m, &ours, theirs);
    if (rc < 0 || (rc > 0 && !counts(rule.policy)))
        return rc < 0 ? rc : 0;
    rc = maps->open ? 0 : same(m, &ours, &base);
    if (rc != 0)
        return rc < 0 ? rc : take(maps, key, &ours, theirs);
    return decide(maps, &rule, &base, &ours, theirs, &both);
}

/* ---- maps ------------------------------------------------------------------------------------ */

/* A map's tree, as a version that is only read, or a draft, has it. */
static int tree_of(struct rmt_merge *m, const char *name, const struct rmt_value *record,
                   struct ramet_txn *txn, struct rmt_tree *out)
{
    *out = (struct rmt_tree){.count = 0};
    if (!record->data)
        return 0;
    if (!txn->writing) {
        int loaded = rmt_map_load(pages_of(m), record, RMT_ID_MAX, out);
        bool blob = loaded == 0 && name[0] == RMT_MAP_BLOB;
        return blob ? rmt_shares_of(txn, &out->shares) : loaded;
    }
    struct ramet_map *map;
    int rc = rmt_map_open(txn, 0, name, 0, &map);
    if (rc == 0)
        *out = map->tree;
    return rc;
}

/* Tells how far it is, also of a base that is put together: anybody may be tired of that, too. */
static int go_on(struct rmt_merge *m)
{
    const struct ramet_merge_options *options = m->options;
    if (++m->seen % 256 || !options->progress ||
        !options->progress(options->progress_ctx, m->seen, 0))
        return 0;
    return rmt_fail(-ECANCELED, "the merge in store '%s'", pages_of(m)->io->path);
}

static int merge_entries(struct maps *maps, const struct rmt_tree *base,
                         const struct rmt_tree *theirs)
{
    struct rmt_diff diff;
    struct ramet_slice key, none = {NULL, 0};
    struct rmt_value before, after;
    rmt_diff_init(&diff, pages_of(maps->m), base, theirs, none, none);
    int rc;
    while ((rc = rmt_diff_next(&diff, &key, &before, &after)) > 0) {
        uint8_t copy[RAMET_KEY_MAX]; /* callbacks may be given it after pages moved */
        memcpy(copy, key.data, key.size);
        rc = merge_entry(maps, rmt_slice(copy, key.size), &before, &after);
        if (rc == 0)
            rc = go_on(maps->m);
        if (rc != 0)
            return rc;
    }
    return rc;
}

static int merge_map(struct rmt_merge *m, const char *name, const struct rmt_value *before,
                     const struct rmt_value *after)
{
    struct maps maps = {.m = m, .name = name};
    struct rmt_tree base, theirs;
    int rc = tree_of(m, name, before, m->base, &base);
    if (rc == 0)
        rc = tree_of(m, name, after, m->theirs, &theirs);
    if (rc == 0)
        rc = rmt_map_open(m->ours, 0, name, 0, &maps.ours);
    if (rc == RAMET_ENOTFOUND) {
        maps.ours = NULL;
        rc = 0;
    }
    if (rc == 0)
        rc = merge_entries(&maps, &base, &theirs);
    if (rc != 0)
        return rc;
    if (!before->data) /* it was made: also if it is empty */
        return ours_open(&maps);
    /* It was dropped: if nothing is left in ours, or nothing new came to it. */
    if (!after->data && maps.ours && maps.ours->exists && maps.ours->tree.count == 0)
        return rmt_map_drop(m->ours, maps.ours);
    return 0;
}

int rmt_merge_run(struct rmt_merge *m)
{
    static const struct rmt_tree empty = {.fixed = true};
    const struct rmt_tree *base = m->base ? &m->base->maps_tree : &empty;
    const struct rmt_tree *theirs = m->theirs ? &m->theirs->maps_tree : &empty;
    struct rmt_diff diff;
    struct ramet_slice key, none = {NULL, 0}, user = {" ", 1}; /* names of users begin here */
    struct rmt_value before, after;
    /* The names in a draft are right, and the trees are those of its open maps. */
    rmt_diff_init(&diff, pages_of(m), base, theirs, user, none);
    int rc;
    while ((rc = rmt_diff_next(&diff, &key, &before, &after)) > 0) {
        char name[RAMET_NAME_MAX + 1];
        if (key.size > RAMET_NAME_MAX)
            return rmt_fail(RAMET_ECORRUPT, "store '%s': a map has too long a name",
                            pages_of(m)->io->path);
        memcpy(name, key.data, key.size);
        name[key.size] = 0;
        rc = merge_map(m, name, &before, &after);
        if (rc != 0)
            return rc;
    }
    return rc;
}

void rmt_merge_fini(struct rmt_merge *m)
{
    rmt_arena_fini(&m->arena);
    rmt_policy_scratch_fini(&m->scratch);
}
