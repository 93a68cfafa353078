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
#define LABELS 64
#define READERS 4

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
static bool exists[BRANCHES];
static struct contents head[BRANCHES];
static struct label labels[LABELS];
static struct ramet_txn *open_txn[BRANCHES];
static struct contents open_want[BRANCHES];
static struct ramet_txn *readers[READERS];
static struct contents reader_want[READERS];
static unsigned counter;
static RMT_VEC(struct written) written;

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
    (void)rmt_shared_newest(&store->shared, &slot);
    struct rmt_tree catalog = {.root = rmt_ref_load(&slot.catalog), .fixed = true};
    load_versions(&catalog);
    uint64_t root = 0;
    for (size_t i = 0; i < versions.count; i++) {
        check_version(&catalog, &versions.items[i]);
        uint64_t first = oldest(&versions.items[i].v);
        check(!root || root == first, "C7: two versions have no common ancestor");
        root = first;
    }
    must(ramet_check(store, 0, on_problem, NULL, NULL));
    for (int b = 0; b < BRANCHES; b++) {
        if (exists[b])
            verify_ref(branch_name(b), &head[b]);
    }
    for (int i = 0; i < LABELS; i++) {
        if (labels[i].used)
            verify_ref(label_ref(&labels[i]), &labels[i].want);
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
        if (exists[b] && (!idle || !open_txn[b]))
            some[n++] = b;
    }
    return n ? some[below((uint64_t)n)] : -1;
}

static struct label *pick_label(bool used)
{
    int some[LABELS], n = 0;
    for (int i = 0; i < LABELS; i++) {
        if (labels[i].used == used)
            some[n++] = i;
    }
    return n ? &labels[some[below((uint64_t)n)]] : NULL;
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

static void op_write(void)
{
    int b = pick_branch(true);
    struct ramet_txn *txn;
    if (b < 0)
        return;
    must(ramet_begin(store, branch_name(b), RAMET_WRITE, &txn));
    change(txn, &head[b]);
    must(ramet_commit(txn, NULL, NULL));
}

static void op_begin(void)
{
    int b = pick_branch(true);
    if (b < 0)
        return;
    must(ramet_begin(store, branch_name(b), RAMET_WRITE, &open_txn[b]));
    open_want[b] = head[b];
    change(open_txn[b], &open_want[b]);
}

static void op_finish(void)
{
    for (int b = 0; b < BRANCHES; b++) {
        if (!open_txn[b] || below(2))
            continue;
        if (below(4)) {
            must(ramet_commit(open_txn[b], NULL, NULL));
            head[b] = open_want[b];
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
    *label = (struct label){true, b, ++counter, head[b]};
    (void)snprintf(name, sizeof(name), "s%u", label->number);
    struct ramet_keep keep = {.size = sizeof(keep), .name = name, .message = "kept"};
    must(ramet_snapshot_create(store, branch_name(b), &keep, NULL));
}

static void op_fork(void)
{
    int to = -1, from = pick_branch(false);
    struct label *label = pick_label(true);
    for (int b = 0; b < BRANCHES; b++) {
        if (!exists[b])
            to = b;
    }
    if (to < 0)
        return;
    if (label && below(10) < 4) {
        must(ramet_branch_create(store, branch_name(to), label_ref(label)));
        head[to] = label->want;
    } else {
        must(ramet_branch_create(store, branch_name(to), branch_name(from)));
        head[to] = head[from];
    }
    exists[to] = true;
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
        n += exists[i];
    if (b < 0 || n == 1)
        return;
    must(ramet_branch_delete(store, branch_name(b)));
    exists[b] = false;
    for (int i = 0; i < LABELS; i++)
        labels[i].used &= labels[i].branch != b;
}

static void op_reset(void)
{
    int b = pick_branch(true);
    struct label *label = pick_label(true);
    if (b < 0 || !label)
        return;
    must(ramet_branch_reset(store, branch_name(b), label_ref(label)));
    head[b] = label->want;
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
    reader_want[i] = ref == branch_name(b) ? head[b] : label->want;
    must(ramet_begin(store, ref, RAMET_READ, &readers[i]));
}

static void open_store(void)
{
    struct rmt_io *io;
    must(rmt_sim_open(sim, 0, &io));
    must(rmt_store_open_io(io, NULL, &store));
}

static void forget_open(void)
{
    memset(readers, 0, sizeof(readers));
    memset(open_txn, 0, sizeof(open_txn));
}

static void op_crash(void)
{
    rmt_sim_cut_at(sim, rmt_sim_ops(sim), (enum rmt_sim_fate)below(RMT_SIM_FATES));
    ramet_close(store);
    forget_open();
    rmt_sim_boot(sim);
    open_store();
}

static void run(int steps)
{
    static void (*const ops[])(void) = {
        op_write,       op_write, op_write,  op_write,  op_write,  op_write,  op_keep,
        op_keep,        op_fork,  op_fork,   op_begin,  op_finish, op_finish, op_drop_label,
        op_drop_branch, op_reset, op_reader, op_reader, op_reader, op_crash};
    rng = seed;
    memset(exists, 0, sizeof(exists));
    memset(head, 0, sizeof(head));
    memset(labels, 0, sizeof(labels));
    written.count = 0;
    exists[0] = true;
    sim = rmt_sim_new(seed, (uint64_t)256 << 20);
    check(sim, "no memory");
    open_store();
    for (step = 1; step <= steps; step++) {
        ops[below(sizeof(ops) / sizeof(*ops))]();
        check_all();
    }
    /* Drop all but one empty branch: every page comes back. */
    for (int i = 0; i < READERS; i++)
        ramet_abort(readers[i]);
    for (int b = 0; b < BRANCHES; b++)
        ramet_abort(open_txn[b]);
    forget_open();
    for (int b = 1; b < BRANCHES; b++) {
        if (exists[b] && exists[0])
            must(ramet_branch_delete(store, branch_name(b)));
    }
    if (exists[0])
        must(ramet_branch_delete(store, "main"));
    for (int b = 1; b < BRANCHES; b++) {
        if (exists[b] && !exists[0])
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
    for (seed = first; seed < first + seeds; seed++)
        run(steps);
    for (size_t i = 0; i < versions.count; i++)
        rmt_vec_fini(&versions.items[i].pages);
    rmt_vec_fini(&versions);
    rmt_vec_fini(&written);
    (void)printf("%" PRIu64 " programs of %d steps from seed %" PRIu64 ": ok\n", seeds, steps,
                 first);
    return 0;
}
