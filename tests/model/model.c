/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"

/* ---- values ---------------------------------------------------------------------------------- */

#define NUMBER UINT64_C(0xc0de) /* the upper 16 bits of a number's seed; below it is the number */

static size_t print_number(uint64_t seed, char out[32])
{
    return (size_t)snprintf(out, 32, "%" PRId64, (int64_t)(seed << 16) >> 16);
}

uint64_t model_number(int64_t n, uint64_t *out_size)
{
    char text[32];
    uint64_t seed = NUMBER << 48 | ((uint64_t)n & (UINT64_MAX >> 16));
    *out_size = print_number(seed, text);
    return seed;
}

void model_value(uint64_t seed, uint64_t off, void *buf, size_t len)
{
    uint8_t *p = buf;
    if (seed >> 48 == NUMBER) {
        char text[32] = "";
        size_t size = print_number(seed, text);
        memset(buf, 0, len);
        if (off < size)
            memcpy(buf, text + off, rmt_min(len, size - off));
        return;
    }
    while (len) {
        uint64_t word = model_mix(seed + off / 8);
        size_t from = off % 8, n = rmt_min(8 - from, len);
        memcpy(p, (uint8_t *)&word + from, n);
        p += n;
        off += n;
        len -= n;
    }
}

bool model_value_is(const struct model_entry *entry, const void *data, size_t size)
{
    return size == entry->size && rmt_hash(data, size, 0) == entry->hash;
}

/* ---- references ------------------------------------------------------------------------------ */

static void take_ref(unsigned *refs)
{
    (void)__atomic_add_fetch(refs, 1, __ATOMIC_RELAXED);
}

static bool drop_ref(unsigned *refs)
{
    return __atomic_sub_fetch(refs, 1, __ATOMIC_ACQ_REL) == 0;
}

static bool is_shared(const unsigned *refs)
{
    return __atomic_load_n(refs, __ATOMIC_ACQUIRE) > 1;
}

static void *new_or_abort(size_t size)
{
    void *p = calloc(1, size);
    rmt_assert(p != NULL);
    return p;
}

static struct model_key *key_new(struct ramet_slice bytes)
{
    struct model_key *key = new_or_abort(sizeof(*key) + bytes.size);
    key->refs = 1;
    key->size = (uint32_t)bytes.size;
    memcpy(key->bytes, bytes.data, bytes.size);
    return key;
}

static void key_unref(struct model_key *key)
{
    if (drop_ref(&key->refs))
        free(key);
}

static struct model_map *map_new(const char *name)
{
    struct model_map *m = new_or_abort(sizeof(*m));
    m->refs = 1;
    (void)snprintf(m->name, sizeof(m->name), "%s", name);
    return m;
}

static struct model_map *map_copy(const struct model_map *from)
{
    struct model_map *m = map_new(from->name);
    size_t n = from->entries.count;
    rmt_assert(rmt_vec_reserve(&m->entries, n + 1));
    if (n)
        memcpy(m->entries.items, from->entries.items, n * sizeof(*m->entries.items));
    m->entries.count = n;
    for (size_t i = 0; i < n; i++)
        take_ref(&m->entries.items[i].key->refs);
    return m;
}

static void map_unref(struct model_map *m)
{
    if (!drop_ref(&m->refs))
        return;
    for (size_t i = 0; i < m->entries.count; i++)
        key_unref(m->entries.items[i].key);
    rmt_vec_fini(&m->entries);
    free(m);
}

/* ---- maps ------------------------------------------------------------------------------------ */

size_t model_map_seek(const struct model_map *m, struct ramet_slice key, bool *out_found)
{
    size_t lo = 0, hi = m->entries.count;
    *out_found = false;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const struct model_key *k = m->entries.items[mid].key;
        int c = rmt_slice_cmp(rmt_slice(k->bytes, k->size), key);
        if (c == 0)
            *out_found = true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct model_entry *model_map_get(const struct model_map *m, struct ramet_slice key)
{
    bool found;
    size_t i = model_map_seek(m, key, &found);
    return found ? &m->entries.items[i] : NULL;
}

void model_map_put(struct model_map *m, struct ramet_slice key, uint64_t seed, uint64_t size,
                   uint64_t hash)
{
    bool found;
    size_t i = model_map_seek(m, key, &found);
    if (!found) {
        struct model_entry added = {.key = key_new(key)};
        rmt_assert(rmt_vec_push(&m->entries, added));
        memmove(&m->entries.items[i + 1], &m->entries.items[i],
                (m->entries.count - 1 - i) * sizeof(added));
        m->entries.items[i] = added;
    }
    struct model_entry *e = &m->entries.items[i];
    e->seed = seed;
    e->size = size;
    e->hash = hash;
}

void model_map_del(struct model_map *m, size_t first, size_t count)
{
    rmt_assert(first + count <= m->entries.count);
    for (size_t i = first; i < first + count; i++)
        key_unref(m->entries.items[i].key);
    if (count)
        memmove(&m->entries.items[first], &m->entries.items[first + count],
                (m->entries.count - first - count) * sizeof(*m->entries.items));
    m->entries.count -= count;
}

/* ---- versions -------------------------------------------------------------------------------- */

struct model_version *model_version_new(void)
{
    struct model_version *v = new_or_abort(sizeof(*v));
    v->refs = 1;
    return v;
}

struct model_version *model_version_ref(struct model_version *v)
{
    take_ref(&v->refs);
    return v;
}

void model_version_unref(struct model_version *v)
{
    if (!v || !drop_ref(&v->refs))
        return;
    for (size_t i = 0; i < v->maps.count; i++)
        map_unref(v->maps.items[i]);
    for (size_t i = 0; i < v->conflicts.count; i++)
        key_unref(v->conflicts.items[i].key);
    rmt_vec_fini(&v->maps);
    rmt_vec_fini(&v->conflicts);
    free(v);
}

struct model_version *model_version_copy(const struct model_version *from)
{
    struct model_version *v = model_version_new();
    for (size_t i = 0; i < from->maps.count; i++) {
        take_ref(&from->maps.items[i]->refs);
        rmt_assert(rmt_vec_push(&v->maps, from->maps.items[i]));
    }
    for (size_t i = 0; i < from->conflicts.count; i++) {
        take_ref(&from->conflicts.items[i].key->refs);
        rmt_assert(rmt_vec_push(&v->conflicts, from->conflicts.items[i]));
    }
    return v;
}

const struct model_map *model_version_map(const struct model_version *v, const char *name)
{
    for (size_t i = 0; i < v->maps.count; i++) {
        if (strcmp(v->maps.items[i]->name, name) == 0)
            return v->maps.items[i];
    }
    return NULL;
}

struct model_map *model_version_edit(struct model_version *v, const char *name)
{
    size_t i = 0;
    v->digest = 0;
    while (i < v->maps.count && strcmp(v->maps.items[i]->name, name) < 0)
        i++;
    if (i == v->maps.count || strcmp(v->maps.items[i]->name, name) != 0) {
        struct model_map *added = map_new(name);
        rmt_assert(rmt_vec_push(&v->maps, added));
        memmove(&v->maps.items[i + 1], &v->maps.items[i],
                (v->maps.count - 1 - i) * sizeof(*v->maps.items));
        v->maps.items[i] = added;
    } else if (is_shared(&v->maps.items[i]->refs)) {
        struct model_map *own = map_copy(v->maps.items[i]);
        map_unref(v->maps.items[i]);
        v->maps.items[i] = own;
    }
    return v->maps.items[i];
}

void model_version_drop(struct model_version *v, const char *name)
{
    v->digest = 0;
    for (size_t i = 0; i < v->maps.count; i++) {
        if (strcmp(v->maps.items[i]->name, name) != 0)
            continue;
        map_unref(v->maps.items[i]);
        v->maps.count--;
        memmove(&v->maps.items[i], &v->maps.items[i + 1],
                (v->maps.count - i) * sizeof(*v->maps.items));
        return;
    }
}

uint64_t model_digest_map(uint64_t digest, const char *name)
{
    return rmt_hash(name, strlen(name), digest);
}

uint64_t model_digest_entry(uint64_t digest, struct ramet_slice key, uint64_t size, uint64_t hash)
{
    uint64_t value[2] = {size, hash};
    return rmt_hash(value, sizeof(value), rmt_hash(key.data, key.size, digest));
}

static uint64_t digest_content(uint64_t digest, const struct model_content *c)
{
    uint64_t value[3] = {c->there, c->there ? c->size : 0, c->there ? c->hash : 0};
    return rmt_hash(value, sizeof(value), digest);
}

uint64_t model_digest_noted(uint64_t digest, const struct model_conflict *c)
{
    digest = rmt_hash(c->key->bytes, c->key->size, model_digest_map(digest, c->map));
    digest = digest_content(digest_content(digest, &c->base), &c->ours);
    return digest_content(digest, &c->theirs);
}

uint64_t model_digest_conflict(uint64_t digest, const struct ramet_conflict *both)
{
    const struct ramet_slice values[] = {both->base, both->ours, both->theirs};
    digest = rmt_hash(both->key.data, both->key.size, model_digest_map(digest, both->map));
    for (size_t i = 0; i < 3; i++) {
        struct ramet_slice v = values[i];
        struct model_content c = {.there = v.data, .size = v.size};
        c.hash = v.data ? rmt_hash(v.data, v.size, 0) : 0;
        digest = digest_content(digest, &c);
    }
    return digest;
}

uint64_t model_version_digest(struct model_version *v)
{
    uint64_t digest = __atomic_load_n(&v->digest, __ATOMIC_RELAXED);
    if (digest)
        return digest;
    digest = MODEL_DIGEST_EMPTY;
    for (size_t i = 0; i < v->maps.count; i++) {
        const struct model_map *m = v->maps.items[i];
        digest = model_digest_map(digest, m->name);
        for (size_t j = 0; j < m->entries.count; j++) {
            const struct model_entry *e = &m->entries.items[j];
            digest = model_digest_entry(digest, rmt_slice(e->key->bytes, e->key->size), e->size,
                                        e->hash);
        }
    }
    for (size_t i = 0; i < v->conflicts.count; i++)
        digest = model_digest_noted(digest, &v->conflicts.items[i]);
    __atomic_store_n(&v->digest, digest, __ATOMIC_RELAXED);
    return digest;
}

/* ---- conflicts ------------------------------------------------------------------------------- */

static int conflict_cmp(const struct model_conflict *c, const char *map, struct ramet_slice key)
{
    int by_map = strcmp(c->map, map);
    return by_map ? by_map : rmt_slice_cmp(rmt_slice(c->key->bytes, c->key->size), key);
}

size_t model_conflict_find(const struct model_version *v, const char *map, struct ramet_slice key)
{
    size_t i = 0;
    while (i < v->conflicts.count && conflict_cmp(&v->conflicts.items[i], map, key) != 0)
        i++;
    return i;
}

void model_conflict_add(struct model_version *v, const char *map, struct ramet_slice key,
                        const struct model_content values[3])
{
    struct model_conflict added = {
        .key = key_new(key), .base = values[0], .ours = values[1], .theirs = values[2]};
    size_t i = v->conflicts.count;
    (void)snprintf(added.map, sizeof(added.map), "%s", map);
    v->digest = 0;
    rmt_assert(rmt_vec_push(&v->conflicts, added));
    for (; i && conflict_cmp(&v->conflicts.items[i - 1], map, key) > 0; i--)
        v->conflicts.items[i] = v->conflicts.items[i - 1];
    v->conflicts.items[i] = added;
}

void model_conflict_remove(struct model_version *v, size_t i)
{
    v->digest = 0;
    key_unref(v->conflicts.items[i].key);
    v->conflicts.count--;
    memmove(&v->conflicts.items[i], &v->conflicts.items[i + 1],
            (v->conflicts.count - i) * sizeof(v->conflicts.items[0]));
}

/* ---- stores ---------------------------------------------------------------------------------- */

int model_node_add(struct model_store *s, struct model_version *v, int prev, int source)
{
    struct model_node node = {.prev = prev, .source = source, .version = model_version_ref(v)};
    rmt_assert(rmt_vec_push(&s->nodes, node));
    return (int)s->nodes.count - 1;
}

static void branch_add(struct model_store *s, const char *name, int node)
{
    size_t i = 0;
    while (i < s->branches.count && strcmp(s->branches.items[i].name, name) < 0)
        i++;
    struct model_branch b = {
        .id = s->nodes.items[node].id,
        .node = node,
        .head = model_version_ref(s->nodes.items[node].version),
    };
    (void)snprintf(b.name, sizeof(b.name), "%s", name);
    rmt_assert(rmt_vec_push(&s->branches, b));
    memmove(&s->branches.items[i + 1], &s->branches.items[i],
            (s->branches.count - 1 - i) * sizeof(b));
    s->branches.items[i] = b;
}

void model_store_init(struct model_store *s)
{
    *s = (struct model_store){0};
    struct model_version *empty = model_version_new();
    branch_add(s, "main", model_node_add(s, empty, -1, -1));
    model_version_unref(empty);
}

void model_store_fini(struct model_store *s)
{
    for (size_t i = 0; i < s->branches.count; i++)
        model_version_unref(s->branches.items[i].head);
    for (size_t i = 0; i < s->keeps.count; i++)
        model_version_unref(s->keeps.items[i].version);
    for (size_t i = 0; i < s->nodes.count; i++)
        model_version_unref(s->nodes.items[i].version);
    rmt_vec_fini(&s->branches);
    rmt_vec_fini(&s->keeps);
    rmt_vec_fini(&s->nodes);
    rmt_vec_fini(&s->pins);
}

void model_store_copy(const struct model_store *from, struct model_store *out)
{
    *out = (struct model_store){0};
    for (size_t i = 0; i < from->branches.count; i++) {
        rmt_assert(rmt_vec_push(&out->branches, from->branches.items[i]));
        (void)model_version_ref(from->branches.items[i].head);
    }
    for (size_t i = 0; i < from->keeps.count; i++) {
        rmt_assert(rmt_vec_push(&out->keeps, from->keeps.items[i]));
        (void)model_version_ref(from->keeps.items[i].version);
    }
    for (size_t i = 0; i < from->nodes.count; i++) {
        rmt_assert(rmt_vec_push(&out->nodes, from->nodes.items[i]));
        (void)model_version_ref(from->nodes.items[i].version);
    }
    for (size_t i = 0; i < from->pins.count; i++)
        rmt_assert(rmt_vec_push(&out->pins, from->pins.items[i]));
}

struct model_branch *model_store_branch(struct model_store *s, const char *name)
{
    for (size_t i = 0; i < s->branches.count; i++) {
        if (strcmp(s->branches.items[i].name, name) == 0)
            return &s->branches.items[i];
    }
    return NULL;
}

struct model_keep *model_store_keep(struct model_store *s, const char *branch, const char *name)
{
    for (size_t i = 0; i < s->keeps.count; i++) {
        struct model_keep *k = &s->keeps.items[i];
        if (strcmp(k->branch, branch) == 0 && strcmp(k->name, name) == 0)
            return k;
    }
    return NULL;
}

void model_keep_remove(struct model_store *s, size_t i)
{
    model_version_unref(s->keeps.items[i].version);
    s->keeps.items[i] = s->keeps.items[--s->keeps.count];
}

int model_store_find_node(struct model_store *s, const char *ref, int *out)
{
    const char *at = strchr(ref, '@');
    if (at == ref) {
        uint64_t id = strtoull(ref + 1, NULL, 10);
        for (size_t i = 0; i < s->keeps.count; i++) {
            if (s->keeps.items[i].id == id && id) {
                *out = s->keeps.items[i].node;
                return 0;
            }
        }
        return RAMET_ENOTFOUND;
    }
    if (at) {
        char branch[MODEL_NAME];
        (void)snprintf(branch, sizeof(branch), "%.*s", (int)(at - ref), ref);
        const struct model_keep *k = model_store_keep(s, branch, at + 1);
        if (!k)
            return RAMET_ENOTFOUND;
        *out = k->node;
        return 0;
    }
    const struct model_branch *b = model_store_branch(s, ref);
    if (!b)
        return RAMET_ENOTFOUND;
    *out = b->node;
    return 0;
}

int model_store_find(struct model_store *s, const char *ref, struct model_version **out,
                     uint64_t *out_id)
{
    int node, rc = model_store_find_node(s, ref, &node);
    if (rc < 0)
        return rc;
    *out = s->nodes.items[node].version;
    *out_id = s->nodes.items[node].id;
    return 0;
}

/* ---- pins ------------------------------------------------------------------------------------ */

struct model_pin *model_pin_find(struct model_store *s, const char *source, const char *target)
{
    for (size_t i = 0; i < s->pins.count; i++) {
        struct model_pin *p = &s->pins.items[i];
        if (strcmp(p->source, source) == 0 && strcmp(p->target, target) == 0)
            return p;
    }
    return NULL;
}

void model_unpin_next(struct model_store *s, const char *source, const char *target)
{
    struct model_pin *p = model_pin_find(s, source, target);
    if (!p)
        return;
    p->next = -1;
    if (p->base < 0)
        *p = s->pins.items[--s->pins.count];
}

/* A branch is dropped, or reset. */
static void unpin(struct model_store *s, const char *branch)
{
    for (size_t i = s->pins.count; i-- > 0;) {
        const struct model_pin *p = &s->pins.items[i];
        if (strcmp(p->source, branch) == 0 || strcmp(p->target, branch) == 0)
            s->pins.items[i] = s->pins.items[--s->pins.count];
    }
}

/* ---- changing stores ------------------------------------------------------------------------- */

int model_branch_create(struct model_store *s, const char *name, const char *from_ref)
{
    int node, rc = model_store_find_node(s, from_ref, &node);
    if (rc < 0)
        return rc;
    if (model_store_branch(s, name))
        return -EEXIST;
    branch_add(s, name, node);
    return 0;
}

int model_branch_delete(struct model_store *s, const char *name)
{
    struct model_branch *b = model_store_branch(s, name);
    if (!b)
        return RAMET_ENOTFOUND;
    model_version_unref(b->head);
    s->branches.count--;
    size_t i = (size_t)(b - s->branches.items);
    memmove(b, b + 1, (s->branches.count - i) * sizeof(*b));
    for (i = s->keeps.count; i-- > 0;) {
        if (strcmp(s->keeps.items[i].branch, name) == 0)
            model_keep_remove(s, i);
    }
    unpin(s, name);
    return 0;
}

void model_branch_move(struct model_store *s, struct model_branch *branch, int node)
{
    struct model_version *v = model_version_ref(s->nodes.items[node].version);
    model_version_unref(branch->head);
    branch->head = v;
    branch->node = node;
    branch->id = s->nodes.items[node].id;
}

int model_branch_reset(struct model_store *s, const char *name, const char *ref)
{
    int node;
    struct model_branch *b = model_store_branch(s, name);
    int rc = b ? model_store_find_node(s, ref, &node) : RAMET_ENOTFOUND;
    if (rc < 0)
        return rc;
    model_branch_move(s, b, node);
    unpin(s, name);
    return 0;
}

int model_keep_add(struct model_store *s, const char *branch, int node, const char *name)
{
    if (*name && model_store_keep(s, branch, name))
        return -EEXIST;
    for (size_t i = 0; i < s->keeps.count && !*name; i++) {
        const struct model_keep *k = &s->keeps.items[i];
        if (!*k->name && k->node == node && strcmp(k->branch, branch) == 0)
            return 0; /* kept without a name already */
    }
    struct model_keep k = {
        .id = s->nodes.items[node].id,
        .node = node,
        .version = model_version_ref(s->nodes.items[node].version),
    };
    (void)snprintf(k.branch, sizeof(k.branch), "%s", branch);
    (void)snprintf(k.name, sizeof(k.name), "%s", name);
    rmt_assert(rmt_vec_push(&s->keeps, k));
    return 0;
}

int model_snapshot_create(struct model_store *s, const char *branch, const char *name)
{
    const struct model_branch *b = model_store_branch(s, branch);
    if (!b)
        return RAMET_ENOTFOUND;
    return b->head->conflicts.count ? RAMET_ECONFLICT
                                    : model_keep_add(s, branch, b->node, name ? name : "");
}

int model_snapshot_delete(struct model_store *s, const char *ref)
{
    int node, rc = model_store_find_node(s, ref, &node);
    if (rc < 0)
        return rc;
    const char *at = strchr(ref, '@');
    rmt_assert(at != NULL);
    for (size_t i = s->keeps.count; i-- > 0;) {
        const struct model_keep *k = &s->keeps.items[i];
        bool same_branch =
            strncmp(k->branch, ref, (size_t)(at - ref)) == 0 && k->branch[at - ref] == '\0';
        if (at == ref ? k->node == node : same_branch && strcmp(k->name, at + 1) == 0)
            model_keep_remove(s, i);
    }
    return 0;
}

int model_commit(struct model_store *s, const char *branch, struct model_version *v,
                 const char *name)
{
    struct model_branch *b = model_store_branch(s, branch);
    if (!b)
        return RAMET_ENOTFOUND;
    if (name && v->conflicts.count)
        return RAMET_ECONFLICT;
    if (name && *name && model_store_keep(s, branch, name))
        return -EEXIST;
    int node = model_node_add(s, v, b->node, -1);
    model_branch_move(s, b, node);
    return name ? model_keep_add(s, branch, node, name) : 0;
}

/* Two records without a name, of one branch and version, are one. */
static void forget_twins(struct model_store *s)
{
    for (size_t i = s->keeps.count; i-- > 0;) {
        const struct model_keep *k = &s->keeps.items[i];
        bool again = false;
        for (size_t j = 0; j < i && !*k->name; j++) {
            const struct model_keep *other = &s->keeps.items[j];
            again |=
                !*other->name && k->node == other->node && strcmp(k->branch, other->branch) == 0;
        }
        if (again)
            model_keep_remove(s, i);
    }
}

void model_learn(struct model_store *s, struct model_branch *branch, uint64_t id)
{
    int made = branch->node, node = made;
    struct model_node *n = &s->nodes.items[made];
    if (n->id) {
        branch->id = n->id;
        return;
    }
    if (n->source < 0 && n->prev >= 0 && s->nodes.items[n->prev].id == id)
        node = n->prev;
    else
        n->id = id;
    branch->node = node;
    branch->id = id;
    for (size_t i = 0; i < s->keeps.count; i++) {
        struct model_keep *k = &s->keeps.items[i];
        if (k->node == made) {
            k->node = node;
            k->id = id;
        }
    }
    forget_twins(s);
}
