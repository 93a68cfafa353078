/* SPDX-License-Identifier: MIT */
#include "store/list.h"

#include <inttypes.h>

/* Limbo lists that one commit looks at; in memory a share of all, if that is more. What readers let
 * go of is noticed after RMT_SINGLES commits, and is free after one pass or two: within 64 commits.
 * (In a file a commit is not to wait for so many.) */
#define LISTS_AT_ONCE 256
#define LISTS_SHARE 12
#define ANCESTORS_MAX 64 /* intervals of births that a deadlist keeps apart */

void rmt_list_init(struct rmt_list *list, const struct rmt_key *key, uint64_t number)
{
    memset(list, 0, offsetof(struct rmt_list, runs));
    list->key = *key;
    list->number = number;
    list->birth_min = UINT64_MAX;
}

static int malformed(const struct rmt_pages *pages)
{
    return rmt_fail(RAMET_ECORRUPT, "store '%s': a list of pages in the catalog is malformed",
                    pages->io->path);
}

int rmt_list_load(struct rmt_list *list, const struct rmt_pages *pages, const struct rmt_key *key,
                  struct ramet_slice record)
{
    struct rmt_disk_list disk;
    if (record.size < sizeof(disk) || key->size < 9)
        return malformed(pages);
    memcpy(&disk, record.data, sizeof(disk));
    list->key = *key;
    list->number = rmt_get_be64(key->bytes + key->size - 8);
    list->birth_min = rmt_get64(disk.birth_min);
    list->birth_max = rmt_get64(disk.birth_max);
    list->pages = rmt_get64(disk.pages);
    list->chunks = rmt_get32(disk.chunks);
    list->nr_runs = rmt_get32(disk.nr_runs);
    if (list->nr_runs > RMT_LIST_RUNS_MAX ||
        record.size != sizeof(disk) + list->nr_runs * sizeof(list->runs[0]))
        return malformed(pages);
    memcpy(list->runs, (const uint8_t *)record.data + sizeof(disk),
           list->nr_runs * sizeof(list->runs[0]));
    return 0;
}

int rmt_list_add(struct rmt_commit *c, struct rmt_list *list, struct rmt_run run)
{
    while (run.len) {
        uint64_t len = rmt_min(run.len, UINT32_MAX);
        if (list->nr_runs == RMT_LIST_RUNS_MAX) {
            struct rmt_key key = rmt_key_chunk('l', list->number, list->chunks);
            int rc = rmt_catalog_put(c, &key, list->runs, sizeof(list->runs));
            if (rc < 0)
                return rc;
            list->chunks++;
            list->nr_runs = 0;
        }
        struct rmt_disk_list_run *disk = &list->runs[list->nr_runs++];
        disk->addr = rmt_put48(run.addr);
        disk->birth = rmt_put48(run.birth);
        disk->len = rmt_put32((uint32_t)len);
        list->pages += len;
        run.addr += len;
        run.len -= len;
    }
    list->birth_min = rmt_min(list->birth_min, run.birth);
    list->birth_max = rmt_max(list->birth_max, run.birth);
    return 0;
}

int rmt_list_save(struct rmt_commit *c, const struct rmt_list *list)
{
    struct {
        struct rmt_disk_list head;
        struct rmt_disk_list_run runs[RMT_LIST_RUNS_MAX];
    } disk = {
        .head =
            {
                .birth_min = rmt_put64(list->birth_min),
                .birth_max = rmt_put64(list->birth_max),
                .pages = rmt_put64(list->pages),
                .chunks = rmt_put32(list->chunks),
                .nr_runs = rmt_put32(list->nr_runs),
            },
    };
    size_t size = list->nr_runs * sizeof(list->runs[0]);
    memcpy(disk.runs, list->runs, size);
    return rmt_catalog_put(c, &list->key, &disk, sizeof(disk.head) + size);
}

int rmt_list_move(struct rmt_commit *c, struct rmt_list *list, const struct rmt_key *key)
{
    int rc = rmt_catalog_del(c, &list->key);
    if (rc < 0)
        return rc;
    list->key = *key;
    return rmt_list_save(c, list);
}

int rmt_list_del(struct rmt_commit *c, const struct rmt_list *list)
{
    for (uint32_t i = 0; i < list->chunks; i++) {
        struct rmt_key key = rmt_key_chunk('l', list->number, i);
        int rc = rmt_catalog_del(c, &key);
        if (rc < 0)
            return rc;
    }
    return rmt_catalog_del(c, &list->key);
}

static int each(const struct rmt_pages *pages, const struct rmt_disk_list_run *runs, size_t count,
                rmt_run_fn fn, void *ctx)
{
    for (size_t i = 0; i < count; i++) {
        struct rmt_run run = {rmt_get48(runs[i].addr), rmt_get32(runs[i].len),
                              rmt_get48(runs[i].birth)};
        if (run.addr < pages->first || run.addr >= pages->reserved || run.len == 0 ||
            run.len > pages->reserved - run.addr)
            return malformed(pages);
        int rc = fn(ctx, run);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int rmt_list_each(struct rmt_pages *pages, const struct rmt_tree *catalog,
                  const struct rmt_list *list, rmt_run_fn fn, void *ctx)
{
    for (uint32_t i = 0; i < list->chunks; i++) {
        struct rmt_key key = rmt_key_chunk('l', list->number, i);
        struct rmt_disk_list_run runs[RMT_LIST_RUNS_MAX];
        int rc = rmt_catalog_get(pages, catalog, &key, runs, sizeof(runs));
        if (rc == RAMET_ENOTFOUND)
            return malformed(pages);
        if (rc == 0)
            rc = each(pages, runs, RMT_LIST_RUNS_MAX, fn, ctx);
        if (rc != 0)
            return rc;
    }
    return each(pages, list->runs, list->nr_runs, fn, ctx);
}

static int collect(void *ctx, struct rmt_run run)
{
    return rmt_runs_push(ctx, run.addr, run.len, run.birth) ? 0
                                                            : rmt_fail(-ENOMEM, "a list of pages");
}

/* The runs of a list, so that the catalog may be changed while they are looked at. */
static int read_all(struct rmt_commit *c, const struct rmt_list *list, struct rmt_runs *out)
{
    return rmt_list_each(&c->store->pages, &c->catalog, list, collect, out);
}

/* Takes the next record of a scan as a list. 1, 0 at the end, or a code. */
static int next_list(struct rmt_commit *c, struct rmt_scan *scan, struct rmt_list *out)
{
    int rc = rmt_scan_next(scan);
    if (rc <= 0)
        return rc;
    struct rmt_key key = scan->prefix;
    if (key.size + scan->key.size > sizeof(key.bytes))
        return malformed(&c->store->pages);
    memcpy(key.bytes + key.size, scan->key.data, scan->key.size);
    key.size += scan->key.size;
    rc = rmt_list_load(out, &c->store->pages, &key, scan->value);
    return rc < 0 ? rc : 1;
}

/* ---- deadlists ------------------------------------------------------------------------------- */

/* Adds a run to the deadlist's list for its interval of births. */
static int dead_add_one(struct rmt_commit *c, uint64_t owner, uint64_t bucket,
                        struct rmt_list *list, struct rmt_run run)
{
    struct rmt_key prefix = rmt_key2('d', owner, bucket);
    int rc = 0;
    if (list->number && (list->key.size != prefix.size + 8 ||
                         memcmp(list->key.bytes, prefix.bytes, prefix.size) != 0)) {
        rc = rmt_list_save(c, list);
        list->number = 0;
    }
    if (rc == 0 && !list->number) {
        rmt_auto(rmt_scan_fini) struct rmt_scan scan;
        rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
        rc = next_list(c, &scan, list);
        if (rc == 0) {
            struct rmt_key key = rmt_key3('d', owner, bucket, rmt_commit_number(c));
            rmt_list_init(list, &key, c->state.number);
        }
    }
    return rc < 0 ? rc : rmt_list_add(c, list, run);
}

/* Ids of the versions below a head, newest first, as many as matter. */
static int ancestors(struct rmt_commit *c, const struct rmt_version *head,
                     uint64_t out[ANCESTORS_MAX], size_t *out_count)
{
    size_t n = 0;
    for (uint64_t number = head->prev; number && n < ANCESTORS_MAX; n++) {
        struct rmt_version v;
        int rc = rmt_catalog_version(&c->store->pages, &c->catalog, number, &v);
        if (rc < 0)
            return rc;
        out[n] = v.id;
        number = v.prev;
    }
    *out_count = n;
    return 0;
}

struct bucketed {
    uint64_t bucket;
    struct rmt_run run;
};

static int by_bucket(const void *a, const void *b)
{
    const struct bucketed *x = a, *y = b;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    return (x->run.addr > y->run.addr) - (x->run.addr < y->run.addr);
}

int rmt_dead_add(struct rmt_commit *c, const struct rmt_version *head, const struct rmt_runs *runs)
{
    if (runs->count == 0)
        return 0;
    uint64_t ids[ANCESTORS_MAX];
    size_t nr_ids;
    int rc = ancestors(c, head, ids, &nr_ids);
    if (rc < 0)
        return rc;
    rmt_auto(free) struct bucketed *sorted = calloc(runs->count, sizeof(*sorted));
    if (!sorted)
        return rmt_fail(-ENOMEM, "a deadlist");
    for (size_t i = 0; i < runs->count; i++) {
        size_t a = 0;
        while (a < nr_ids && ids[a] >= runs->items[i].birth)
            a++;
        sorted[i] = (struct bucketed){a < nr_ids ? ids[a] : 0, runs->items[i]};
    }
    qsort(sorted, runs->count, sizeof(*sorted), by_bucket);
    struct rmt_list list = {.number = 0};
    for (size_t i = 0; i < runs->count && rc == 0; i++)
        rc = dead_add_one(c, head->dead, sorted[i].bucket, &list, sorted[i].run);
    return rc < 0 ? rc : rmt_list_save(c, &list);
}

/* Sends what was born after floor to limbo; the rest stays in a list of its own. */
static int split(struct rmt_commit *c, const struct rmt_list *list, uint64_t floor, uint64_t *freed)
{
    struct rmt_runs runs = {0};
    int rc = read_all(c, list, &runs);
    if (rc == 0)
        rc = rmt_list_del(c, list);
    struct rmt_list rest;
    rmt_list_init(&rest, &list->key, list->number);
    for (size_t i = 0; i < runs.count && rc == 0; i++) {
        struct rmt_run run = runs.items[i];
        if (run.birth > floor) {
            rc = rmt_commit_limbo(c, run.addr, run.len, run.birth);
            *freed += run.len;
        } else {
            rc = rmt_list_add(c, &rest, run);
        }
    }
    rmt_vec_fini(&runs);
    return rc < 0 || rest.pages == 0 ? rc : rmt_list_save(c, &rest);
}

int rmt_dead_fold(struct rmt_commit *c, const struct rmt_version *snapshot,
                  const struct rmt_version *child, uint64_t floor, uint64_t *out_freed)
{
    struct rmt_list list;
    struct rmt_key prefix = rmt_key1('d', child->dead);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
    uint64_t freed = 0;
    int rc;
    while ((rc = next_list(c, &scan, &list)) > 0) {
        if (list.birth_max <= floor)
            continue;
        if (list.birth_min > floor) {
            struct rmt_key key = rmt_key2('L', c->id, list.number);
            freed += list.pages;
            c->state.limbo_pages += list.pages;
            rc = rmt_list_move(c, &list, &key);
        } else {
            rc = split(c, &list, floor, &freed);
        }
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        return rc;
    struct rmt_key from = rmt_key1('d', snapshot->dead);
    rmt_auto(rmt_scan_fini) struct rmt_scan joining;
    rmt_scan_init(&joining, &c->store->pages, &c->catalog, &from);
    while ((rc = next_list(c, &joining, &list)) > 0) {
        struct rmt_key key = list.key;
        rmt_put_be64(key.bytes + 1, child->dead);
        rc = rmt_list_move(c, &list, &key);
        if (rc < 0)
            return rc;
    }
    *out_freed = freed;
    return rc;
}

struct counting {
    uint64_t floor, pages;
};

static int count_run(void *ctx, struct rmt_run run)
{
    struct counting *counting = ctx;
    counting->pages += run.birth > counting->floor ? run.len : 0;
    return 0;
}

int rmt_dead_count(struct rmt_pages *pages, const struct rmt_tree *catalog, uint64_t owner,
                   uint64_t floor, uint64_t *out)
{
    struct rmt_key prefix = rmt_key1('d', owner);
    struct counting counting = {.floor = floor};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, pages, catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_list list;
        struct rmt_key key = prefix;
        if (scan.key.size != 16)
            return rmt_fail(RAMET_ECORRUPT, "store '%s': a deadlist has a key that cannot be",
                            pages->io->path);
        memcpy(key.bytes + key.size, scan.key.data, 16);
        key.size += 16;
        rc = rmt_list_load(&list, pages, &key, scan.value);
        if (rc == 0 && list.birth_min > floor)
            counting.pages += list.pages;
        else if (rc == 0 && list.birth_max > floor)
            rc = rmt_list_each(pages, catalog, &list, count_run, &counting);
        if (rc < 0)
            return rc;
    }
    *out = counting.pages;
    return rc;
}

int rmt_dead_drop(struct rmt_commit *c, uint64_t owner)
{
    struct rmt_key prefix = rmt_key1('d', owner);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
    struct rmt_list list;
    int rc;
    while ((rc = next_list(c, &scan, &list)) > 0) {
        rc = rmt_list_del(c, &list);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* ---- limbo ----------------------------------------------------------------------------------- */

/* Adds runs to a list in limbo, and writes it. */
static int limbo_save(struct rmt_commit *c, struct rmt_list *list, const struct rmt_runs *runs,
                      size_t from)
{
    for (size_t i = from; i < runs->count; i++) {
        int rc = rmt_list_add(c, list, runs->items[i]);
        if (rc < 0)
            return rc;
        c->state.limbo_pages += runs->items[i].len;
    }
    return rmt_list_save(c, list);
}

int rmt_limbo_add(struct rmt_commit *c, const struct rmt_runs *runs, size_t from)
{
    struct rmt_list list;
    if (!c->limbo_list)
        c->limbo_list = rmt_commit_number(c);
    struct rmt_key key = rmt_key2('L', c->id, c->limbo_list);
    struct rmt_value value;
    int rc = rmt_tree_get(&c->store->pages, &c->catalog, rmt_key_slice(&key), &value);
    if (rc == RAMET_ENOTFOUND)
        rmt_list_init(&list, &key, c->limbo_list);
    else if (rc < 0)
        return rc;
    else if ((rc = rmt_list_load(&list, &c->store->pages, &key,
                                 rmt_slice(value.data, value.size))) < 0)
        return rc;
    return limbo_save(c, &list, runs, from);
}

int rmt_limbo_add_of(struct rmt_commit *c, uint64_t freed, const struct rmt_runs *runs)
{
    struct rmt_list list;
    uint64_t number = rmt_commit_number(c);
    struct rmt_key key = rmt_key2('L', freed, number);
    rmt_list_init(&list, &key, number);
    return limbo_save(c, &list, runs, 0);
}

/* Frees those of the runs that no reader needs; adds the others to rest, if there is one. */
static int free_runs(struct rmt_commit *c, const struct rmt_runs *runs, uint64_t freed,
                     struct rmt_list *rest)
{
    for (size_t i = 0; i < runs->count; i++) {
        struct rmt_run run = runs->items[i];
        int rc;
        if (rest && rmt_readers_need(c->store->readers, run.birth, freed)) {
            rc = rmt_list_add(c, rest, run);
        } else {
            rc = rmt_space_free(&c->store->space, run.addr, run.len);
            c->state.limbo_pages -= run.len;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int release_list(struct rmt_commit *c, const struct rmt_list *list, uint64_t freed)
{
    const struct rmt_readers *readers = c->store->readers;
    if (rmt_readers_need(readers, list->birth_max, freed))
        return 0; /* by one reader all of it */
    bool some = rmt_readers_need(readers, list->birth_min, freed);
    struct rmt_runs runs = {0};
    struct rmt_list rest;
    rmt_list_init(&rest, &list->key, list->number);
    int rc = read_all(c, list, &runs);
    if (rc == 0)
        rc = rmt_list_del(c, list);
    if (rc == 0)
        rc = free_runs(c, &runs, freed, some ? &rest : NULL);
    if (rc == 0 && rest.pages)
        rc = rmt_list_save(c, &rest);
    rmt_vec_fini(&runs);
    return rc;
}

void rmt_limbo_doubt(struct ramet_store *store)
{
    store->limbo.fresh = 0;
}

/* The version that is held no more, of those that lists may have been kept for: the least one. */
static uint64_t least_gone(const struct rmt_readers *before, const struct rmt_readers *now)
{
    for (uint32_t i = 0, j = 0; i < before->count; i++) {
        while (j < now->count && now->v[j] < before->v[i])
            j++;
        if (j == now->count || now->v[j] != before->v[i])
            return before->v[i];
    }
    return UINT64_MAX;
}

/* Whose lists are to be looked at again, since readers have moved on. */
static void note_gone(struct rmt_commit *c)
{
    struct rmt_limbo *limbo = &c->store->limbo;
    const struct rmt_readers *now = c->store->readers;
    uint64_t gone = least_gone(limbo->held, now);
    if (!limbo->fresh) {
        *limbo = (struct rmt_limbo){limbo->held, c->state.id + 1, 0, UINT64_MAX, 0};
    } else if (gone < limbo->at) {
        uint64_t *pass = limbo->at == UINT64_MAX ? &limbo->at : &limbo->again;
        *pass = rmt_min(*pass, gone + 1);
    }
    limbo->held->count = now->count;
    memcpy(limbo->held->v, now->v, now->count * sizeof(now->v[0]));
}

/* Looks at lists from *at to before end, as many as budget says. *at: where it came to. */
static int look(struct rmt_commit *c, uint64_t *at, uint64_t end, uint64_t budget)
{
    /* An entering reader may need all that was freed after what it said, whatever it is. */
    uint64_t limit = rmt_min(c->slots_at, c->store->readers->entering);
    struct rmt_key prefix = {.bytes = {'L'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
    scan.from = *at;
    struct rmt_list list;
    int rc;
    while ((rc = next_list(c, &scan, &list)) > 0) {
        uint64_t freed = rmt_get_be64(list.key.bytes + 1);
        if (freed >= end)
            break;
        bool other = freed != *at; /* those of one commit are not parted */
        *at = freed;
        if (freed > limit || (budget == 0 && other))
            return 0;
        budget -= budget > 0;
        rc = release_list(c, &list, freed);
        if (rc < 0)
            return rc;
    }
    *at = end;
    return rc < 0 ? rc : 0;
}

int rmt_limbo_release(struct rmt_commit *c)
{
    struct rmt_limbo *limbo = &c->store->limbo;
    note_gone(c);
    if (c->state.limbo_pages == 0) {
        *limbo = (struct rmt_limbo){limbo->held, c->id, UINT64_MAX, UINT64_MAX, 0};
        return 0;
    }
    uint64_t share = c->store->io->durable ? 0 : c->state.limbo_pages / LISTS_SHARE;
    uint64_t budget = rmt_max(LISTS_AT_ONCE, share);
    uint64_t old = limbo->fresh;
    int rc = look(c, &limbo->fresh, c->id, budget);
    if (rc < 0 || limbo->at == UINT64_MAX)
        return rc;
    if (!limbo->budget)
        limbo->budget = budget;
    rc = look(c, &limbo->at, old, limbo->budget);
    if (rc == 0 && limbo->at == old) {
        limbo->at = limbo->again;
        limbo->again = UINT64_MAX;
        limbo->budget = 0;
    }
    return rc;
}
