/* SPDX-License-Identifier: MIT */
/*
 * versions-test.c - who owns a page, and when may it be used again?
 *
 * Random programs of writes, snapshots, branches, drops, resets, readers, transactions that stay
 * open while others commit, and power cuts, on trees of a few pages. After every step, by comparing
 * whole sets of pages:
 *
 *   C1  every page of the file is exactly one thing (ramet_check)
 *   C2  for a version X on P: {page of X: birth > P.id} == pages(X) - pages(P)
 *   C3  for a version X on P: X's deadlist == pages(P) - pages(X), each page once
 *   C4  a snapshot that nobody keeps is there only as a fork (ramet_check)
 *   C5  what a reader, a branch or a snapshot can reach is unharmed
 *   C6  a pair (address, birth) is written once in the life of the store
 *   C7  two branches always have a common ancestor
 *   C8  what is in limbo says when it was freed, and waits for a slot or for a reader that can see
 * it C9  the catalog has no deadlist of a version that is gone
 *
 * Some programs wait for no flush: then a power cut takes them back to the last one.
 *
 * --seed=N --seeds=N --steps=N: other programs, or more. tools/mutants breaks the engine, one rule
 * at a time, and sees this program fail.
 */
#include <inttypes.h>
#include <stdio.h>

#include "io/sim.h"
#include "store/list.h"
#include "store/txn.h"
#include "store/versions.h"
#include "store/walk.h"

#define KEYS 24
#define BRANCHES 5
#define LABELS 96
#define READERS 4
#define CHAIN 72 /* more ancestors than a deadlist keeps apart */

#define must(x) must_(x, #x, __LINE__)
#define check(x, ...)                                                                         \
    do {                                                                                      \
        if (!(x)) {                                                                           \
            (void)fprintf(stderr, "versions-test.c:%d: seed %" PRIu64 " step %d: ", __LINE__, \
                          seed, step);                                                        \
            (void)fprintf(stderr, __VA_ARGS__);                                               \
            (void)fprintf(stderr, "\n");                                                      \
            exit(1);                                                                          \
        }                                                                                     \
    } while (0)

struct contents {
    uint32_t value[KEYS]; /* 0: absent */
};

struct label { /* a kept snapshot */
    bool used;
    int branch;
    unsigned number;
    struct contents want;
};

struct model {
    bool exists[BRANCHES];
    struct contents head[BRANCHES];
    struct label labels[LABELS];
};

struct page {
    uint64_t addr, birth;
};

struct pages {
    struct page *items;
    size_t count, capacity;
};

struct written {
    uint64_t addr, birth, sum;
};

static uint64_t seed, rng;
static int step;
static struct rmt_sim *sim;
static struct ramet_store *store;
static int durability;
static struct model now,
    durable; /* durable: as of the last flush, in a program that waits for none */
static struct ramet_txn *open_txn[BRANCHES];
static struct contents open_want[BRANCHES];
static struct ramet_txn *readers[READERS];
static struct contents reader_want[READERS];
static unsigned counter;
static RMT_VEC(struct written) written;
static struct pages in_limbo;        /* at the last look */
static uint64_t last_id, last_slots; /* the newest commit then, and the older slot; 0: none */

static void must_(int rc, const char *what, int line)
{
    if (rc >= 0)
        return;
    (void)fprintf(stderr, "versions-test.c:%d: seed %" PRIu64 " step %d: %s: %s\n", line, seed,
                  step, what, ramet_errmsg());
    exit(1);
}

static uint64_t below(uint64_t n)
{
    rng += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = rng;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % n;
}

static const char *branch_name(int branch)
{
    static const char *const names[BRANCHES] = {"main", "b", "c", "d", "e"};
    return names[branch];
}

static const char *label_ref(const struct label *label)
{
    static char buf[64];
    (void)snprintf(buf, sizeof(buf), "%s@s%u", branch_name(label->branch), label->number);
    return buf;
}

/* ---- contents -------------------------------------------------------------------------------- */

/* Four values fill a leaf; one in five is large enough for pages of its own. */
static size_t fill(uint8_t *buf, int key, uint32_t value)
{
    size_t size = value % 5 == 0 ? 5000 + value % 9000 : 900;
    for (size_t i = 0; i < size; i++)
        buf[i] = (uint8_t)(value * 31 + (uint32_t)key * 7 + (uint32_t)i);
    memcpy(buf, &value, sizeof(value));
    return size;
}

static void verify(struct ramet_txn *txn, const struct contents *want, const char *whose)
{
    static uint8_t buf[16384];
    struct ramet_map *map;
    int rc = ramet_map_open(txn, "m", 0, &map);
    for (int k = 0; k < KEYS; k++) {
        uint8_t key = (uint8_t)(k + 1);
        struct ramet_slice got;
        int found = rc < 0 ? rc : ramet_get(map, rmt_slice(&key, 1), &got);
        if (!want->value[k]) {
            check(found == RAMET_ENOTFOUND, "C5: %s: key %d should be absent: %d", whose, k, found);
            continue;
        }
        check(found == 0, "C5: %s: key %d: %s", whose, k, ramet_errmsg());
        size_t size = fill(buf, k, want->value[k]);
        check(got.size == size && memcmp(got.data, buf, size) == 0,
              "C5: %s: key %d has another value", whose, k);
    }
}

static void verify_ref(const char *ref, const struct contents *want)
{
    struct ramet_txn *txn;
    must(ramet_begin(store, ref, RAMET_READ, &txn));
    verify(txn, want, ref);
    ramet_abort(txn);
}

/* ---- sets of pages --------------------------------------------------------------------------- */

static int by_page(const void *a, const void *b)
{
    const struct page *x = a, *y = b;
    if (x->addr != y->addr)
        return x->addr < y->addr ? -1 : 1;
    return (x->birth > y->birth) - (x->birth < y->birth);
}

static void add(struct pages *set, struct rmt_run run)
{
    for (uint64_t i = 0; i < run.len; i++) {
        struct page page = {run.addr + i, run.birth};
        check(rmt_vec_push(set, page), "no memory");
    }
}

static void sort(struct pages *set, const char *rule)
{
    if (set->count)
        qsort(set->items, set->count, sizeof(*set->items), by_page);
    for (size_t i = 1; i < set->count; i++)
        check(by_page(&set->items[i - 1], &set->items[i]) != 0, "%s: page %" PRIu64 " twice", rule,
              set->items[i].addr);
}

/* a - b */
static struct pages minus(const struct pages *a, const struct pages *b)
{
    struct pages out = {0};
    for (size_t i = 0, j = 0; i < a->count; i++) {
        while (j < b->count && by_page(&b->items[j], &a->items[i]) < 0)
            j++;
        if (j == b->count || by_page(&b->items[j], &a->items[i]) != 0)
            check(rmt_vec_push(&out, a->items[i]), "no memory");
    }
    return out;
}

static void same(const struct pages *a, const struct pages *b, const char *rule, uint64_t id)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = by_page(&a->items[i], &b->items[i]) == 0;
    check(equal, "%s: of version %" PRIu64 ": %zu pages, not %zu", rule, id, a->count, b->count);
}

static int on_page(void *ctx, struct rmt_run run, const struct rmt_disk_node *node)
{
    add(ctx, run);
    if (!node)
        return 0;
    /* C6: remembered by its checksum */
    struct written w = {run.addr, run.birth, rmt_get64(node->checksum)};
    check(rmt_get64(node->birth) == run.birth && rmt_get64(node->addr) == run.addr,
          "C5: page %" PRIu64, run.addr);
    for (size_t i = 0; i < written.count; i++) {
        if (written.items[i].addr == w.addr && written.items[i].birth == w.birth) {
            check(written.items[i].sum == w.sum,
                  "C6: page %" PRIu64 " birth %" PRIu64 " was written twice", w.addr, w.birth);
            return 0;
        }
    }
    check(rmt_vec_push(&written, w), "no memory");
    return 0;
}

static int on_dead(void *ctx, struct rmt_run run)
{
    add(ctx, run);
    return 0;
}

struct version {
    struct rmt_version v;
    struct pages pages;
};

static RMT_VEC(struct version) versions;

static struct version *find_version(uint64_t number)
{
    for (size_t i = 0; i < versions.count; i++) {
        if (versions.items[i].v.number == number)
            return &versions.items[i];
    }
    check(false, "C1: version %" PRIu64 " is not there", number);
    return NULL;
}

static void load_versions(const struct rmt_tree *catalog)
{
    for (size_t i = 0; i < versions.count; i++)
        rmt_vec_fini(&versions.items[i].pages);
    versions.count = 0;
    struct rmt_key prefix = {.bytes = {'v'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &store->pages, catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct version version = {.pages = {0}};
        must(rmt_version_load(&store->pages, rmt_get_be64(scan.key.data), scan.value, &version.v));
        if (!rmt_ref_none(version.v.root)) {
            struct rmt_walk walk;
            must(rmt_walk_init(&walk, &store->pages, version.v.root, true, 0, on_page,
                               &version.pages));
            while ((rc = rmt_walk_step(&walk)) > 0)
                ;
            must(rc);
        }
        sort(&version.pages, "C1");
        check(rmt_vec_push(&versions, version), "no memory");
    }
    must(rc);
}

static void check_version(const struct rmt_tree *catalog, const struct version *x)
{
    static const struct pages none;
    const struct version *p = x->v.prev ? find_version(x->v.prev) : NULL;
    const struct pages *below_it = p ? &p->pages : &none;
    uint64_t horizon = p ? p->v.id : 0;
    struct pages young = {0}, dead = {0};
    for (size_t i = 0; i < x->pages.count; i++) {
        if (x->pages.items[i].birth > horizon)
            check(rmt_vec_push(&young, x->pages.items[i]), "no memory");
    }
    struct pages own = minus(&x->pages, below_it), lost = minus(below_it, &x->pages);
    same(&young, &own, "C2", x->v.id);
    struct rmt_key prefix = rmt_key1('d', x->v.dead);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &store->pages, catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_key key = prefix;
        struct rmt_list list;
        memcpy(key.bytes + key.size, scan.key.data, scan.key.size);
        key.size += scan.key.size;
        must(rmt_list_load(&list, &store->pages, &key, scan.value));
        must(rmt_list_each(&store->pages, catalog, &list, on_dead, &dead));
    }
    must(rc);
    sort(&dead, "C3");
    same(&dead, &lost, "C3", x->v.id);
    check(x->v.total_pages == x->pages.count && x->v.owned_pages == own.count,
          "version %" PRIu64 " counts its pages wrongly", x->v.id);
    rmt_vec_fini(&young);
    rmt_vec_fini(&dead);
    rmt_vec_fini(&own);
    rmt_vec_fini(&lost);
}

static void scan_kind(struct rmt_scan *scan, const struct rmt_tree *catalog, char kind)
{
    struct rmt_key prefix = {.bytes = {(uint8_t)kind}, .size = 1};
    rmt_scan_init(scan, &store->pages, catalog, &prefix);
}

static bool has_page(const struct pages *set, const struct page *page)
{
    return set->count && bsearch(page, set->items, set->count, sizeof(*page), by_page);
}

static bool reader_needs(uint64_t birth, uint64_t freed)
{
    for (int i = 0; i < READERS; i++) {
        uint64_t v = ramet_txn_id(readers[i]);
        if (readers[i] && birth <= v && v < freed)
            return true;
    }
    return false;
}

/* C8. id: of the newest commit. */
static void check_limbo(const struct rmt_tree *catalog, uint64_t id)
{
    struct pages all = {0};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    scan_kind(&scan, catalog, 'L');
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_key key = {.bytes = {'L'}, .size = 1 + scan.key.size};
        struct rmt_list list;
        memcpy(key.bytes + 1, scan.key.data, scan.key.size);
        must(rmt_list_load(&list, &store->pages, &key, scan.value));
        uint64_t freed = rmt_get_be64(key.bytes + 1);
        size_t from = all.count;
        must(rmt_list_each(&store->pages, catalog, &list, on_dead, &all));
        for (size_t i = from; i < all.count && last_id; i++) {
            const struct page *p = &all.items[i];
            check(freed > last_id || has_page(&in_limbo, p),
                  "C8: page %" PRIu64 " was not free at %" PRIu64, p->addr, freed);
            check(id == last_id || freed > last_slots || reader_needs(p->birth, freed),
                  "C8: nobody needs page %" PRIu64 ", freed at %" PRIu64, p->addr, freed);
        }
    }
    must(rc);
    sort(&all, "C8");
    rmt_vec_fini(&in_limbo);
    in_limbo = all;
    last_id = id;
    const struct rmt_shared_bytes *bytes = store->shared.bytes;
    last_slots = rmt_min(bytes->slot_ids[0], bytes->slot_ids[1]);
}

static void check_orphans(const struct rmt_tree *catalog)
{
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    scan_kind(&scan, catalog, 'd');
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        uint64_t owner = rmt_get_be64(scan.key.data);
        bool found = false;
        for (size_t i = 0; i < versions.count && !found; i++)
            found = versions.items[i].v.dead == owner;
        check(found, "C9: deadlist %" PRIu64 " is nobody's", owner);
    }
    must(rc);
}

static uint64_t oldest(const struct rmt_version *v)
{
    uint64_t number = v->number;
    while (find_version(number)->v.prev)
        number = find_version(number)->v.prev;
    return number;
}

static void on_problem(void *ctx, const char *problem)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", problem);
}

static void check_all(void)
{
    struct rmt_disk_slot slot;
    (void)rmt_shared_newest(&store->shared, &slot, NULL);
    struct rmt_tree catalog = {.root = rmt_ref_load(&slot.catalog), .fixed = true};
    load_versions(&catalog);
    uint64_t root = 0;
    for (size_t i = 0; i < versions.count; i++) {
        check_version(&catalog, &versions.items[i]);
        uint64_t first = oldest(&versions.items[i].v);
        check(!root || root == first, "C7: two versions have no common ancestor");
        root = first;
    }
    check_limbo(&catalog, rmt_get64(slot.id));
    check_orphans(&catalog);
    must(ramet_check(store, 0, on_problem, NULL, NULL));
    for (int b = 0; b < BRANCHES; b++) {
        if (now.exists[b])
            verify_ref(branch_name(b), &now.head[b]);
    }
    for (int i = 0; i < LABELS; i++) {
        if (now.labels[i].used)
            verify_ref(label_ref(&now.labels[i]), &now.labels[i].want);
    }
    for (int i = 0; i < READERS; i++) {
        if (readers[i])
            verify(readers[i], &reader_want[i], "a reader");
    }
}

/* ---- operations ------------------------------------------------------------------------------ */

static int pick_branch(bool idle)
{
    int some[BRANCHES], n = 0;
    for (int b = 0; b < BRANCHES; b++) {
        if (now.exists[b] && (!idle || !open_txn[b]))
            some[n++] = b;
    }
    return n ? some[below((uint64_t)n)] : -1;
}

static struct label *pick_label(bool used)
{
    int some[LABELS], n = 0;
    for (int i = 0; i < LABELS; i++) {
        if (now.labels[i].used == used)
            some[n++] = i;
    }
    return n ? &now.labels[some[below((uint64_t)n)]] : NULL;
}

static void change(struct ramet_txn *txn, struct contents *want)
{
    static uint8_t buf[16384];
    struct ramet_map *map;
    must(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    static const int sizes[] = {1, 1, 2, KEYS};
    for (int n = sizes[below(4)]; n; n--) {
        uint8_t key = (uint8_t)(below(KEYS) + 1);
        int k = key - 1;
        if (below(5) == 0) {
            int rc = ramet_del(map, rmt_slice(&key, 1));
            check(rc == (want->value[k] ? 0 : RAMET_ENOTFOUND), "del: %d", rc);
            want->value[k] = 0;
        } else {
            want->value[k] = ++counter;
            must(ramet_put(map, rmt_slice(&key, 1), rmt_slice(buf, fill(buf, k, counter)), 0));
        }
    }
}

/* Commits; and keeps what it made, if there is a label. */
static void commit(struct ramet_txn *txn, int branch, struct label *label)
{
    char name[16];
    struct ramet_keep keep = {.size = sizeof(keep), .name = name};
    if (label) {
        *label = (struct label){true, branch, ++counter, now.head[branch]};
        (void)snprintf(name, sizeof(name), "s%u", label->number);
    }
    must(ramet_commit(txn, label ? &keep : NULL, NULL));
}

static void op_write(void)
{
    int b = pick_branch(true);
    struct ramet_txn *txn;
    if (b < 0)
        return;
    must(ramet_begin(store, branch_name(b), RAMET_WRITE, &txn));
    change(txn, &now.head[b]);
    commit(txn, b, below(4) ? NULL : pick_label(false));
}

static void op_begin(void)
{
    int b = pick_branch(true);
    if (b < 0)
        return;
    must(ramet_begin(store, branch_name(b), RAMET_WRITE, &open_txn[b]));
    open_want[b] = now.head[b];
    change(open_txn[b], &open_want[b]);
}

static void op_finish(void)
{
    for (int b = 0; b < BRANCHES; b++) {
        if (!open_txn[b] || below(2))
            continue;
        if (below(4)) {
            now.head[b] = open_want[b];
            commit(open_txn[b], b, below(4) ? NULL : pick_label(false));
        } else {
            ramet_abort(open_txn[b]);
        }
        open_txn[b] = NULL;
    }
}

static void op_keep(void)
{
    int b = pick_branch(false);
    struct label *label = pick_label(false);
    char name[16];
    if (b < 0 || !label)
        return;
    *label = (struct label){true, b, ++counter, now.head[b]};
    (void)snprintf(name, sizeof(name), "s%u", label->number);
    struct ramet_keep keep = {.size = sizeof(keep), .name = name, .message = "kept"};
    must(ramet_snapshot_create(store, branch_name(b), &keep, NULL));
}

static void op_fork(void)
{
    int to = -1, from = pick_branch(false);
    struct label *label = pick_label(true);
    for (int b = 0; b < BRANCHES; b++) {
        if (!now.exists[b])
            to = b;
    }
    if (to < 0)
        return;
    if (label && below(10) < 4) {
        must(ramet_branch_create(store, branch_name(to), label_ref(label)));
        now.head[to] = label->want;
    } else {
        must(ramet_branch_create(store, branch_name(to), branch_name(from)));
        now.head[to] = now.head[from];
    }
    now.exists[to] = true;
}

static void op_drop_label(void)
{
    struct label *label = pick_label(true);
    if (!label)
        return;
    must(ramet_snapshot_delete(store, label_ref(label)));
    label->used = false;
}

static void op_drop_branch(void)
{
    int b = pick_branch(true), n = 0;
    for (int i = 0; i < BRANCHES; i++)
        n += now.exists[i];
    if (b < 0 || n == 1)
        return;
    must(ramet_branch_delete(store, branch_name(b)));
    now.exists[b] = false;
    for (int i = 0; i < LABELS; i++)
        now.labels[i].used &= now.labels[i].branch != b;
}

static void op_reset(void)
{
    int b = pick_branch(true);
    struct label *label = pick_label(true);
    if (b < 0 || !label)
        return;
    must(ramet_branch_reset(store, branch_name(b), label_ref(label)));
    now.head[b] = label->want;
}

static void op_reader(void)
{
    uint64_t i = below(READERS);
    if (readers[i]) {
        ramet_abort(readers[i]);
        readers[i] = NULL;
        return;
    }
    struct label *label = pick_label(true);
    int b = pick_branch(false);
    const char *ref = label && below(2) ? label_ref(label) : branch_name(b);
    reader_want[i] = ref == branch_name(b) ? now.head[b] : label->want;
    must(ramet_begin(store, ref, RAMET_READ, &readers[i]));
}

static void open_store(void)
{
    struct rmt_io *io;
    struct ramet_options options = {.size = sizeof(options), .durability = durability};
    must(rmt_sim_open(sim, 0, &io));
    must(rmt_store_open_io(io, &options, &store));
    last_id = 0;
}

static void op_sync(void)
{
    must(ramet_sync(store));
    durable = now;
}

static void forget_open(void)
{
    memset(readers, 0, sizeof(readers));
    memset(open_txn, 0, sizeof(open_txn));
}

/* The newest id that is stamped on a page, wherever it came from. */
static uint64_t newest_birth(uint32_t page_size)
{
    uint64_t size, newest = 0;
    const uint8_t *disk = rmt_sim_bytes(sim, &size);
    for (uint64_t addr = RMT_META_SIZE / page_size; (addr + 1) * page_size <= size; addr++) {
        struct rmt_disk_node node;
        memcpy(&node, disk + addr * page_size, sizeof(node));
        if (rmt_get64(node.addr) == addr && rmt_id_legal(rmt_get64(node.birth)))
            newest = rmt_max(newest, rmt_get64(node.birth));
    }
    return newest;
}

static void reboot(void)
{
    uint32_t page_size = store->pages.page_size;
    ramet_close(store);
    forget_open();
    rmt_sim_boot(sim);
    uint64_t newest = newest_birth(page_size);
    open_store();
    check(atomic_load(&store->shared.bytes->last_id) >= newest,
          "R10: ids go on below %" PRIu64 ", which is on a page", newest);
}

static void op_crash(void)
{
    enum rmt_sim_fate fate = (enum rmt_sim_fate)below(RMT_SIM_FATES);
    if (durability != RAMET_FULL) /* nothing between the last flush and now */
        fate = below(3) ? RMT_SIM_DROP : RMT_SIM_KEEP;
    rmt_sim_cut_at(sim, rmt_sim_ops(sim), fate);
    reboot();
    if (durability != RAMET_FULL && fate == RMT_SIM_DROP)
        now = durable;
    durable = now;
}

static uint64_t head_id(int branch)
{
    struct ramet_txn *txn;
    must(ramet_begin(store, branch_name(branch), RAMET_READ, &txn));
    uint64_t id = ramet_txn_id(txn);
    ramet_abort(txn);
    return id;
}

/* The power fails within a commit, which then is there wholly or not at all. */
static void op_torn(void)
{
    int b = pick_branch(true);
    if (b < 0 || durability != RAMET_FULL)
        return;
    struct ramet_txn *txn;
    struct contents want = now.head[b];
    uint64_t before = head_id(b);
    must(ramet_begin(store, branch_name(b), RAMET_WRITE, &txn));
    change(txn, &want);
    rmt_sim_cut_at(sim, rmt_sim_ops(sim) + below(6), (enum rmt_sim_fate)below(RMT_SIM_FATES));
    int rc = ramet_commit(txn, NULL, NULL);
    if (!rmt_sim_is_cut(sim))
        rmt_sim_cut_at(sim, rmt_sim_ops(sim), RMT_SIM_DROP);
    reboot();
    bool moved = head_id(b) != before;
    check(rc < 0 || moved || memcmp(&want, &now.head[b], sizeof(want)) == 0,
          "C5: a commit that was acknowledged is not there");
    if (moved)
        now.head[b] = want;
    durable = now;
}

static void begin_program(void)
{
    rng = seed;
    memset(&now, 0, sizeof(now));
    written.count = 0;
    now.exists[0] = true;
    sim = rmt_sim_new(seed, (uint64_t)256 << 20);
    check(sim, "no memory");
    open_store();
    op_sync();
}

/* Drop all: every page comes back. */
static void end_program(void)
{
    for (int i = 0; i < READERS; i++)
        ramet_abort(readers[i]);
    for (int b = 0; b < BRANCHES; b++)
        ramet_abort(open_txn[b]);
    forget_open();
    for (int b = 1; b < BRANCHES; b++) {
        if (now.exists[b] && now.exists[0])
            must(ramet_branch_delete(store, branch_name(b)));
    }
    if (now.exists[0])
        must(ramet_branch_delete(store, "main"));
    for (int b = 1; b < BRANCHES; b++) {
        if (now.exists[b] && !now.exists[0])
            must(ramet_branch_delete(store, branch_name(b)));
    }
    must(ramet_reclaim(store, 0, NULL));
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    check(stat.data_bytes == 0 && stat.unswept_bytes == 0 && stat.branches == 0 &&
              stat.snapshots == 0,
          "C1: leaked at the end: %" PRIu64 " bytes", stat.data_bytes + stat.unswept_bytes);
    must(ramet_check(store, 0, on_problem, NULL, NULL));
    ramet_close(store);
    rmt_sim_free(sim);
}

static void run(int steps)
{
    static void (*const ops[])(void) = {
        op_write,  op_write,      op_write,      op_write,       op_write, op_write,
        op_keep,   op_keep,       op_fork,       op_fork,        op_begin, op_finish,
        op_finish, op_drop_label, op_drop_label, op_drop_branch, op_reset, op_reader,
        op_reader, op_reader,     op_crash,      op_torn,        op_sync};
    durability = seed % 3 ? RAMET_FULL : RAMET_NONE;
    begin_program();
    for (step = 1; step <= steps; step++) {
        ops[below(sizeof(ops) / sizeof(*ops))]();
        check_all();
    }
    end_program();
}

/* One key, or all of them. */
static struct label *write_and_keep(int key)
{
    static uint8_t buf[16384];
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct label *label = pick_label(false);
    must(ramet_begin(store, "main", RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    for (int k = 0; k < KEYS; k++) {
        uint8_t bytes = (uint8_t)(k + 1);
        if (key >= 0 && k != key)
            continue;
        now.head[0].value[k] = ++counter;
        must(ramet_put(map, rmt_slice(&bytes, 1), rmt_slice(buf, fill(buf, k, counter)), 0));
    }
    commit(txn, 0, label);
    return label;
}

/* Deadlists keep the intervals of births between the nearest ancestors apart, and put together what
 * is older: there a fold frees a part of a list. */
static void run_chain(void)
{
    struct label *chain[CHAIN];
    begin_program();
    chain[0] = write_and_keep(-1);
    for (step = 1; step < CHAIN - 1; step++)
        chain[step] = write_and_keep(step < 7 ? (step - 1) * 4 : KEYS - 1);
    chain[step] = write_and_keep(-1);
    check_all();
    for (step = CHAIN - 2; step >= 0; step--) {
        must(ramet_snapshot_delete(store, label_ref(chain[step])));
        chain[step]->used = false;
        if (step < 10)
            check_all();
    }
    end_program();
}

/* A sweep of more pages than a commit takes on, also over a power cut. */
static void run_sweep(void)
{
    static uint8_t buf[5000];
    struct ramet_txn *txn;
    struct ramet_map *map;
    begin_program();
    step = 0;
    must(ramet_branch_create(store, "large", "main"));
    must(ramet_begin(store, "large", RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    for (uint32_t i = 0; i < 600; i++)
        must(ramet_put(map, rmt_slice(&i, sizeof(i)), rmt_slice(buf, sizeof(buf)), 0));
    must(ramet_commit(txn, NULL, NULL));
    must(ramet_branch_delete(store, "large"));
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    check(stat.unswept_bytes, "the sweep is too short for this test");
    for (step = 1; stat.unswept_bytes; step++) {
        uint64_t before = stat.unswept_bytes;
        check_all();
        if (step == 1)
            op_crash();
        (void)write_and_keep(step);
        must(ramet_stat(store, &stat));
        check(stat.unswept_bytes < before, "R4: a sweep does not go on");
    }
    check_all();
    end_program();
}

static int pin(struct rmt_commit *c, void *ctx)
{
    return rmt_version_pin(c, *(const uint64_t *)ctx);
}

static int unpin(struct rmt_commit *c, void *ctx)
{
    return rmt_version_unpin(c, *(const uint64_t *)ctx);
}

static void keep_text(void *ctx, const char *problem)
{
    char *text = ctx;
    (void)snprintf(text + strlen(text), 256 - strlen(text), "%s;", problem);
}

static uint64_t number_of(const char *ref)
{
    struct ramet_txn *txn;
    must(ramet_begin(store, ref, RAMET_READ, &txn));
    uint64_t number = txn->version.number;
    ramet_abort(txn);
    return number;
}

/* V4: what is pinned outlives its last keeper, unseen; and what says so without a record is found
 * out. */
static void run_pin(void)
{
    char text[256] = "", ref[32];
    struct ramet_txn *txn;
    begin_program();
    step = 0;
    struct label *label = write_and_keep(-1);
    (void)snprintf(ref, sizeof(ref), "@%" PRIu64, head_id(0));
    uint64_t number = number_of(label_ref(label));
    check(rmt_commit(store, unpin, NULL, &number, true) == RAMET_ECORRUPT, "V4: never was pinned");
    must(rmt_commit(store, pin, NULL, &number, true));
    must(rmt_commit(store, pin, NULL, &number, true));
    (void)write_and_keep(-1);
    must(ramet_snapshot_delete(store, label_ref(label)));
    check(ramet_begin(store, ref, RAMET_READ, &txn) == RAMET_ENOTFOUND, "V4: seen by its id");
    check(ramet_check(store, 0, keep_text, NULL, text) == RAMET_ECORRUPT, "V4: pinned by nobody");
    check(strstr(text, " is pinned 0 times, and says 2;") && strchr(text, ';')[1] == 0, "V4: %s",
          text);
    must(rmt_commit(store, unpin, NULL, &number, true));
    struct ramet_stat before = {.size = sizeof(before)}, after = before;
    must(ramet_stat(store, &before));
    must(rmt_commit(store, unpin, NULL, &number, true));
    must(ramet_stat(store, &after));
    check(after.data_bytes < before.data_bytes, "V4: kept by the first of two that pinned it");
    label->used = false;
    check_all();
    end_program();
}

int main(int argc, char **argv)
{
    uint64_t first = 1, seeds = 25;
    int steps = 60;
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--seed=%" SCNu64, &first) == 1)
            seeds = 1;
    }
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--seed=%" SCNu64, &first) == 1 ||
            sscanf(argv[i], "--seeds=%" SCNu64, &seeds) == 1 ||
            sscanf(argv[i], "--steps=%d", &steps) == 1)
            continue;
        (void)fprintf(stderr, "usage: %s [--seed=N] [--seeds=N] [--steps=N]\n", argv[0]);
        return 2;
    }
    seed = first;
    durability = RAMET_FULL;
    run_chain();
    run_sweep();
    run_pin();
    for (; seed < first + seeds; seed++)
        run(steps);
    for (size_t i = 0; i < versions.count; i++)
        rmt_vec_fini(&versions.items[i].pages);
    rmt_vec_fini(&versions);
    rmt_vec_fini(&written);
    rmt_vec_fini(&in_limbo);
    (void)printf("%" PRIu64 " programs of %d steps from seed %" PRIu64 ": ok\n", seeds, steps,
                 first);
    return 0;
}
