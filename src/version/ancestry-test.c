/* SPDX-License-Identifier: MIT */
/*
 * ancestry-test.c - the base of a merge, against the plain definition: of the versions that both
 * sides have, those that none of the others has.
 *
 * Random histories of commits, branches, resets, changes picked and reverted, and merges: to and
 * fro, forward, and of two branches into each other at the same time. Of half of them every version
 * is kept; in the others versions are pruned, branches dropped, and only those that the model says
 * stay are left to be found. Each way to search is asked, and all must say the same.
 *
 *   --seed=N --programs=N --steps=N --verbose
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/ancestors.h"
#include "store/store.h"
#include "version/ancestry.h"

#define BRANCHES 6
#define NODES 512
#define WORDS (NODES / 64)
#define MAIN 0

struct node { /* a version */
    uint64_t id;
    int prev;            /* -1: none */
    int source;          /* that it merged; -1: none */
    uint64_t has[WORDS]; /* and itself */
    bool kept[BRANCHES]; /* without a name */
};

struct branch {
    bool there;
    int head;
    int merged[BRANCHES]; /* what of another branch it merged last: pinned; -1: nothing */
};

static struct node nodes[NODES];
static int nr_nodes;
static struct branch branches[BRANCHES];
static struct ramet_store *store;
static uint64_t seed, rng, nr_bases, nr_several;
static unsigned step;
static bool verbose, prunes;

static const char *const names[BRANCHES] = {"main", "b1", "b2", "b3", "b4", "b5"};

#define check(x, ...)                                                                         \
    do {                                                                                      \
        if (!(x)) {                                                                           \
            (void)fprintf(stderr, "ancestry-test.c:%d: seed %" PRIu64 " step %u: ", __LINE__, \
                          seed, step);                                                        \
            (void)fprintf(stderr, __VA_ARGS__);                                               \
            (void)fprintf(stderr, "\n");                                                      \
            exit(1);                                                                          \
        }                                                                                     \
    } while (0)

static int must_(int rc, int want, const char *what, int line)
{
    if (rc == want)
        return rc;
    (void)fprintf(stderr, "ancestry-test.c:%d: seed %" PRIu64 " step %u: %s gave %d (%s), not %d\n",
                  line, seed, step, what, rc, ramet_errmsg(), want);
    exit(1);
}
#define must(call) must_((call), 0, #call, __LINE__)

#define say(...)                                 \
    do {                                         \
        if (verbose) {                           \
            (void)fprintf(stderr, "%4u ", step); \
            (void)fprintf(stderr, __VA_ARGS__);  \
            (void)fprintf(stderr, "\n");         \
        }                                        \
    } while (0)

static uint64_t below(uint64_t n)
{
    rng += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = rng;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % n;
}

/* ---- the definition -------------------------------------------------------------------------- */

static bool has(int v, int what)
{
    return nodes[v].has[what / 64] >> what % 64 & 1;
}

static bool is_kept(int v)
{
    for (int b = 0; b < BRANCHES; b++) {
        if (nodes[v].kept[b])
            return true;
    }
    return false;
}

static bool is_labelled(int v)
{
    for (int b = 0; b < BRANCHES; b++) {
        for (int of = 0; of < BRANCHES && branches[b].there; of++) {
            if (branches[b].merged[of] == v)
                return true;
        }
    }
    return is_kept(v);
}

static bool stands_on(int v, int what)
{
    while (v >= 0 && v != what)
        v = nodes[v].prev;
    return v == what;
}

static bool users[NODES][NODES]; /* [v][u]: u, which is there, is noted to have merged v */

/* A note that u has merged v, unless it says nothing new; and what v stands on need not be noted.
 */
static void note_user(int u, int v)
{
    bool covered = stands_on(u, v);
    for (int t = v + 1; t < nr_nodes && !covered; t++)
        covered = users[t][u] && stands_on(t, v);
    users[v][u] = !covered;
    for (int t = nodes[v].prev; t >= 0; t = nodes[t].prev)
        users[t][u] = false;
}

/* What u has, of what v was merged with and stood on, after v went. */
static void pass_on(int v)
{
    for (int u = 0; u < nr_nodes; u++) {
        if (!users[v][u])
            continue;
        users[v][u] = false;
        if (nodes[v].source >= 0)
            note_user(u, nodes[v].source);
        if (nodes[v].prev >= 0)
            note_user(u, nodes[v].prev);
    }
}

/* Which versions are there: heads, what somebody keeps, what is pinned, where the ways down from
 * these meet; and what is on such a way and was merged by one that is there. Newest first: who
 * merged a version is newer. */
static void find_alive(bool alive[NODES])
{
    int standing[NODES] = {0}; /* on it: what is there, or leads there */
    int holder[NODES];         /* who has merged what it has: itself, or what it went into */
    bool head[NODES] = {false};
    memset(users, 0, sizeof(users));
    for (int b = 0; b < BRANCHES; b++) {
        if (branches[b].there)
            head[branches[b].head] = true;
    }
    for (int v = nr_nodes - 1; v >= 0; v--) {
        bool merged = false;
        for (int u = 0; u < nr_nodes; u++)
            merged |= users[v][u];
        alive[v] = is_labelled(v) || head[v] || standing[v] > 1 || (standing[v] && merged);
        if (alive[v])
            holder[v] = v; /* else that of the one which stands on it */
        if (!alive[v] && !standing[v])
            pass_on(v);
        else if (nodes[v].source >= 0)
            note_user(holder[v], nodes[v].source);
        if (nodes[v].prev >= 0 && (alive[v] || standing[v])) {
            standing[nodes[v].prev]++;
            holder[nodes[v].prev] = holder[v];
        }
    }
}

/* Descending by id: nodes are in the order of their ids. */
static int define_bases(int a, int b, int out[NODES])
{
    bool alive[NODES];
    int n = 0;
    find_alive(alive);
    for (int v = nr_nodes - 1; v >= 0; v--) {
        bool best = alive[v] && has(a, v) && has(b, v);
        for (int i = 0; i < n && best; i++)
            best = !has(out[i], v);
        if (best)
            out[n++] = v;
    }
    return n;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static int node_of(uint64_t id)
{
    for (int v = 0; v < nr_nodes; v++) {
        if (nodes[v].id == id)
            return v;
    }
    check(false, "version %" PRIu64 " is none that was made", id);
    return -1;
}

static int new_node(int prev, int source)
{
    check(nr_nodes < NODES, "too many versions");
    int v = nr_nodes++;
    nodes[v] = (struct node){.prev = prev, .source = source};
    for (int i = 0; i < WORDS; i++)
        nodes[v].has[i] =
            (prev >= 0 ? nodes[prev].has[i] : 0) | (source >= 0 ? nodes[source].has[i] : 0);
    nodes[v].has[v / 64] |= UINT64_C(1) << v % 64;
    return v;
}

/* A version by some ref; *out_branch: the branch that it is the head of, or -1. */
static int choose(char ref[32], int *out_branch)
{
    *out_branch = -1;
    for (int i = 0; i < 20 && below(3) == 0; i++) {
        int v = (int)below((uint64_t)nr_nodes);
        if (!is_kept(v))
            continue;
        (void)snprintf(ref, 32, "@%" PRIu64, nodes[v].id);
        return v;
    }
    int b;
    do
        b = (int)below(BRANCHES);
    while (!branches[b].there);
    *out_branch = b;
    (void)snprintf(ref, 32, "%s", names[b]);
    return branches[b].head;
}

static int choose_branch(void)
{
    char ref[32];
    int b;
    do
        (void)choose(ref, &b);
    while (b < 0);
    return b;
}

struct pair {
    char a_ref[32], b_ref[32];
    int a, b;
    int want[NODES], nr_want;
};

static void compare(const struct pair *p, const char *how, const uint64_t *ids, size_t count)
{
    bool same = count == (size_t)p->nr_want;
    for (size_t i = 0; i < count && same; i++)
        same = ids[i] == nodes[p->want[i]].id;
    check(same,
          "%s: %s (%" PRIu64 ") and %s (%" PRIu64 ") have %zu bases, %" PRIu64
          " first, not %d, %" PRIu64 " first",
          how, p->a_ref, nodes[p->a].id, p->b_ref, nodes[p->b].id, count, count ? ids[0] : 0,
          p->nr_want, p->nr_want ? nodes[p->want[0]].id : 0);
}

/* Without what spares the search. */
static void compare_searches(const struct pair *p)
{
    struct rmt_moment moment;
    struct rmt_found x, y;
    struct rmt_pages *pages = &store->pages;
    must(rmt_moment_open(store, &moment));
    must(rmt_ref_find(pages, &moment.catalog, p->a_ref, &x));
    must(rmt_ref_find(pages, &moment.catalog, p->b_ref, &y));
    must(rmt_ancestor_settle(pages, &moment.catalog, &x.version));
    must(rmt_ancestor_settle(pages, &moment.catalog, &y.version));
    for (int by_lines = 0; by_lines < 2; by_lines++) {
        rmt_auto(rmt_numbers_fini) struct rmt_numbers best = {0};
        uint64_t ids[NODES];
        must_(rmt_ancestry_search(pages, &moment.catalog, &x.version.number, 1, y.version.number,
                                  by_lines, SIZE_MAX, &best),
              1, "a search", __LINE__);
        for (size_t i = 0; i < best.count; i++) {
            struct rmt_version v;
            must(rmt_catalog_version(pages, &moment.catalog, best.items[i], &v));
            ids[i] = v.id;
        }
        compare(p, by_lines ? "by lines" : "by versions", ids, best.count);
    }
    rmt_moment_close(&moment);
}

static void compare_bases(void)
{
    struct pair p;
    int branch;
    uint64_t ids[NODES];
    size_t count = NODES;
    p.a = choose(p.a_ref, &branch);
    p.b = choose(p.b_ref, &branch);
    p.nr_want = define_bases(p.a, p.b, p.want);
    nr_bases++;
    nr_several += p.nr_want > 1;
    must(ramet_merge_base(store, p.a_ref, p.b_ref, ids, &count));
    compare(&p, "ramet_merge_base()", ids, count);
    compare_searches(&p);
}

struct listed {
    uint64_t ids[NODES];
    size_t count;
};

static int list_id(void *ctx, const struct ramet_snapshot_info *info)
{
    struct listed *listed = ctx;
    int v = node_of(info->id);
    bool kept = false;
    for (int b = 0; b < BRANCHES; b++) {
        if (nodes[v].kept[b])
            kept |= info->branch && strcmp(info->branch, names[b]) == 0;
        else
            check(!info->branch || strcmp(info->branch, names[b]) != 0,
                  "%s is said to keep %" PRIu64, names[b], info->id);
    }
    check(kept == (info->branch != NULL), "who keeps %" PRIu64, info->id);
    listed->ids[listed->count++] = info->id;
    return 0;
}

/* All that a version has, or stands on; of that what somebody keeps, or is there at all. */
static void compare_history(void)
{
    char ref[32];
    int branch, v = choose(ref, &branch);
    bool alive[NODES];
    unsigned flags = (unsigned)below(4);
    struct listed listed = {.count = 0};
    size_t n = 0;
    find_alive(alive);
    must(ramet_history(store, ref, flags, list_id, &listed));
    for (int at = v; at >= 0; at--) {
        bool wanted = flags & RAMET_HISTORY_ALL ? has(v, at) : stands_on(v, at);
        if (!wanted || !(flags & RAMET_HISTORY_HIDDEN ? alive[at] : is_kept(at)))
            continue;
        check(n < listed.count && listed.ids[n] == nodes[at].id,
              "history %u of %s has not %" PRIu64 " but %" PRIu64, flags, ref, nodes[at].id,
              n < listed.count ? listed.ids[n] : 0);
        n++;
    }
    check(n == listed.count, "history %u of %s has %zu versions, not %zu", flags, ref, listed.count,
          n);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void commit(int b)
{
    static uint64_t value;
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_keep keep = {.size = sizeof(keep)};
    bool kept = !prunes || below(2);
    value++;
    must(ramet_begin(store, names[b], RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    must(ramet_put(map, rmt_slice("k", 1), rmt_slice(&value, sizeof(value)), 0));
    int v = new_node(branches[b].head, -1);
    must(ramet_commit(txn, kept ? &keep : NULL, &nodes[v].id));
    nodes[v].kept[b] = kept;
    branches[b].head = v;
    say("commit %s: %" PRIu64 "%s", names[b], nodes[v].id, kept ? ", kept" : "");
}

static void unpin(int b)
{
    for (int i = 0; i < BRANCHES; i++) {
        branches[b].merged[i] = -1; /* not in one: gcc 12 gets that wrong with -O1 */
        branches[i].merged[b] = -1;
    }
}

static void create(int b)
{
    char ref[32];
    int from, v = choose(ref, &from);
    branches[b].there = true;
    branches[b].head = v;
    unpin(b);
    must(ramet_branch_create(store, names[b], ref));
    say("create %s at %s (%" PRIu64 ")", names[b], ref, nodes[v].id);
}

static void drop(int b)
{
    unpin(b);
    branches[b].there = false;
    for (int v = 0; v < nr_nodes; v++)
        nodes[v].kept[b] = false;
    must(ramet_branch_delete(store, names[b]));
    say("drop %s", names[b]);
}

static void reset(int b)
{
    char ref[32];
    int from, v = choose(ref, &from);
    if (from >= 0)
        return;
    unpin(b);
    branches[b].head = v;
    must(ramet_branch_reset(store, names[b], ref));
    say("reset %s to %s", names[b], ref);
}

static void snapshot(int b)
{
    must(ramet_snapshot_create(store, names[b], NULL, NULL));
    nodes[branches[b].head].kept[b] = true;
    say("keep %s (%" PRIu64 ")", names[b], nodes[branches[b].head].id);
}

static int is_nth(void *ctx, const struct ramet_snapshot_info *info)
{
    (void)info;
    uint64_t *left = ctx;
    return *left && --*left % 3 == 0;
}

static int list_kept(void *ctx, const struct ramet_snapshot_info *info)
{
    (void)ctx;
    for (int b = 0; b < BRANCHES; b++) {
        if (strcmp(names[b], info->branch) == 0)
            nodes[node_of(info->id)].kept[b] = true;
    }
    return 0;
}

static void prune(int b)
{
    uint64_t count = 0, skip = 1 + below(6);
    struct ramet_prune_options options = {.size = sizeof(options), .flags = RAMET_PRUNE_NAMED};
    if (below(2)) {
        options.filter = is_nth;
        options.ctx = &skip;
    } else {
        options.keep_last = 1 + below(5);
    }
    must(ramet_prune(store, names[b], &options, &count));
    for (int v = 0; v < nr_nodes; v++)
        nodes[v].kept[b] = false;
    must(ramet_snapshot_list(store, names[b], list_kept, NULL));
    say("prune %" PRIu64 " of %s", count, names[b]);
}

/* As the source of a fast-forward a branch hands what it keeps between to the target, unless that
 * keeps it already. */
static void hand_over(int from, int to, int source)
{
    for (int v = source; v != branches[to].head; v = nodes[v].prev) {
        if (from >= 0 && nodes[v].kept[from] && !nodes[v].kept[to]) {
            nodes[v].kept[to] = true;
            nodes[v].kept[from] = false;
        }
    }
}

static void merge_from(int into, const char *ref, int from, int source)
{
    int target = branches[into].head, want[NODES];
    bool no_ff = below(4) == 0;
    struct ramet_merge_options options = {
        .size = sizeof(options),
        .flags = no_ff ? RAMET_MERGE_NO_FF : 0,
        .policy = RAMET_MERGE_THEIRS,
    };
    struct ramet_merge_result result = {.size = sizeof(result)};
    int n = define_bases(target, source, want);
    bool done = has(target, source), forward = !no_ff && !done && stands_on(source, target);
    must(ramet_merge(store, names[into], ref, &options, &result));
    say("merge %s (%" PRIu64 ") into %s (%" PRIu64 "): %" PRIu64 ", base %" PRIu64 "%s%s", ref,
        nodes[source].id, names[into], nodes[target].id, result.id, result.base,
        result.up_to_date ? ", up to date" : "", result.fast_forward ? ", forward" : "");
    check(result.up_to_date == done && result.fast_forward == forward,
          "up to date %d, not %d; fast forward %d, not %d", result.up_to_date, done,
          result.fast_forward, forward);
    if (done) {
        check(result.id == nodes[target].id && result.base == nodes[source].id,
              "up to date at %" PRIu64 ", %" PRIu64, result.id, result.base);
        return;
    }
    uint64_t base = n == 1 ? nodes[want[0]].id : 0;
    check(result.base == base, "the base of the merge is %" PRIu64 ", not %" PRIu64, result.base,
          base);
    if (from >= 0)
        branches[into].merged[from] = source;
    if (forward) {
        check(result.id == nodes[source].id, "forward to %" PRIu64, result.id);
        hand_over(from, into, source);
        branches[into].head = source;
        return;
    }
    int v = new_node(target, source);
    nodes[v].id = result.id;
    nodes[v].kept[into] = true;
    branches[into].head = v;
}

static void merge(int into)
{
    char ref[32];
    int from, source = choose(ref, &from);
    merge_from(into, ref, from, source);
}

/* Two branches merge what the other one had before. */
static void cross(int a, int b)
{
    char ref[32];
    int had = branches[a].head;
    if (a == b || !branches[b].there || !is_kept(had))
        return;
    (void)snprintf(ref, sizeof(ref), "@%" PRIu64, nodes[had].id);
    merge_from(a, names[b], b, branches[b].head);
    merge_from(b, ref, -1, had);
}

/* What one version changed, made or undone: that says nothing of what it stands on. */
static void pick(int into)
{
    char ref[32];
    int from, what = choose(ref, &from);
    bool undo = below(2);
    struct ramet_merge_options options = {.size = sizeof(options), .policy = RAMET_MERGE_THEIRS};
    struct ramet_merge_result result = {.size = sizeof(result)};
    if (undo)
        must(ramet_revert(store, names[into], ref, &options, &result));
    else
        must(ramet_cherry_pick(store, names[into], ref, &options, &result));
    say("%s %s (%" PRIu64 ") in %s: %" PRIu64 "%s", undo ? "revert" : "pick", ref, nodes[what].id,
        names[into], result.id, result.up_to_date ? ", nothing" : "");
    if (result.up_to_date)
        return;
    int v = new_node(branches[into].head, -1);
    nodes[v].id = result.id;
    nodes[v].kept[into] = true;
    branches[into].head = v;
}

/* ---- programs -------------------------------------------------------------------------------- */

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    (void)fprintf(stderr, "seed %" PRIu64 " step %u: %s\n", seed, step, problem);
}

static void one_step(void)
{
    int b = (int)below(BRANCHES);
    if (!branches[b].there) {
        if (below(2))
            create(b);
        return;
    }
    switch (below(prunes ? 19 : 14)) {
    case 0:
    case 1:
    case 2: commit(b); break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8: merge(b); break;
    case 9: reset(b); break;
    case 10: snapshot(b); break;
    case 11: pick(b); break;
    case 12:
    case 13: cross(b, (int)below(BRANCHES)); break;
    case 14:
        if (b != MAIN)
            drop(b);
        break;
    case 15:
    case 16: prune(b); break;
    default: merge(choose_branch());
    }
}

static void run_program(unsigned steps)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    must(ramet_open(NULL, &options, &store));
    rng = seed;
    prunes = seed % 2;
    nr_nodes = 0;
    memset(branches, 0, sizeof(branches));
    branches[MAIN] = (struct branch){.there = true, .head = new_node(-1, -1)};
    unpin(MAIN);
    step = 0;
    commit(MAIN);
    for (step = 1; step <= steps && nr_nodes < NODES - 1; step++) {
        one_step();
        if (prunes)
            must(ramet_check(store, 0, report, NULL, NULL));
        for (int i = 0; i < 3; i++)
            compare_bases();
        compare_history();
    }
    must(ramet_check(store, 0, report, NULL, NULL));
    ramet_close(store);
}

/* ---- long histories -------------------------------------------------------------------------- */

static uint64_t keep_one(const char *branch, const char *key, uint64_t value)
{
    struct ramet_keep keep = {.size = sizeof(keep)};
    struct ramet_txn *txn;
    struct ramet_map *map;
    uint64_t id;
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    must(ramet_put(map, rmt_slice(key, strlen(key)), rmt_slice(&value, sizeof(value)), 0));
    must(ramet_commit(txn, &keep, &id));
    return id;
}

static void merge_all(const char *into, const char *from)
{
    struct ramet_merge_options options = {
        .size = sizeof(options), .flags = RAMET_MERGE_NO_FF, .policy = RAMET_MERGE_THEIRS};
    must(ramet_merge(store, into, from, &options, NULL));
}

/* The base of main and old is base, found by lines in some steps, and one way in so few. */
static void search_in(size_t steps, bool by_lines, uint64_t base)
{
    struct rmt_moment moment;
    struct rmt_found x, y;
    struct rmt_version v;
    struct rmt_pages *pages = &store->pages;
    rmt_auto(rmt_numbers_fini) struct rmt_numbers best = {0};
    must(rmt_moment_open(store, &moment));
    must(rmt_ref_find(pages, &moment.catalog, "main", &x));
    must(rmt_ref_find(pages, &moment.catalog, "old", &y));
    must_(rmt_ancestry_search(pages, &moment.catalog, &x.version.number, 1, y.version.number,
                              by_lines, steps, &best),
          1, "a search", __LINE__);
    check(best.count == 1, "%zu bases", best.count);
    must(rmt_catalog_version(pages, &moment.catalog, best.items[0], &v));
    check(v.id == base, "the base is %" PRIu64 ", not %" PRIu64, v.id, base);
    must_(rmt_ancestry_search(pages, &moment.catalog, &x.version.number, 1, y.version.number,
                              !by_lines, steps, &best),
          0, "a search the other way", __LINE__);
    check(best.count == 1, "a search that is not over found something");
    rmt_moment_close(&moment);
    uint64_t id;
    size_t count = 1;
    must(ramet_merge_base(store, "main", "old", &id, &count));
    check(count == 1 && id == base, "ramet_merge_base(): %zu bases, %" PRIu64, count, id);
}

static void open_store(void)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    must(ramet_open(NULL, &options, &store));
}

static void close_store(void)
{
    must(ramet_check(store, 0, report, NULL, NULL));
    ramet_close(store);
}

/* On old another one stands: its versions must be looked at. */
static void a_base_under_a_ladder_is_found_by_lines(void)
{
    open_store();
    uint64_t first = keep_one("main", "k", 0);
    must(ramet_branch_create(store, "other", "main"));
    must(ramet_branch_create(store, "old", "main"));
    keep_one("old", "old", 0);
    must(ramet_branch_create(store, "older", "old"));
    keep_one("old", "old", 1);
    keep_one("older", "old", 2);
    for (uint64_t i = 0; i < 500; i++) {
        keep_one("main", "main", i);
        keep_one("other", "other", i);
        merge_all("main", "other");
        merge_all("other", "main");
    }
    keep_one("main", "main", 0);
    search_in(20, true, first);
    close_store();
}

static void a_base_beside_many_branches_is_found_by_versions(void)
{
    open_store();
    for (uint64_t i = 0; i < 500; i++) {
        char task[16];
        (void)snprintf(task, sizeof(task), "task%" PRIu64, i);
        must(ramet_branch_create(store, task, NULL));
        keep_one(task, task, i);
        merge_all("main", task);
    }
    uint64_t base = keep_one("main", "main", 0);
    must(ramet_branch_create(store, "old", "main"));
    keep_one("old", "old", 0);
    must(ramet_branch_create(store, "other", "main"));
    keep_one("other", "other", 0);
    merge_all("old", "other");
    keep_one("main", "main", 1);
    search_in(20, false, base);
    close_store();
}

int main(int argc, char **argv)
{
    uint64_t first = 1, programs = 1000, steps = 60;
    for (int i = 1; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        uint64_t n = value ? strtoull(value + 1, NULL, 10) : 0;
        if (strncmp(argv[i], "--seed=", 7) == 0)
            first = n;
        else if (strncmp(argv[i], "--programs=", 11) == 0)
            programs = n;
        else if (strncmp(argv[i], "--steps=", 8) == 0)
            steps = n;
        else if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else
            return 2;
    }
    printf("seed %" PRIu64 "\n", first);
    for (seed = first; seed < first + programs; seed++)
        run_program((unsigned)(seed % 49 ? steps : 6 * steps));
    seed = step = 0;
    a_base_under_a_ladder_is_found_by_lines();
    a_base_beside_many_branches_is_found_by_versions();
    printf("%" PRIu64 " programs, %" PRIu64 " pairs, %" PRIu64 " with several bases\n", programs,
           nr_bases, nr_several);
    return 0;
}
