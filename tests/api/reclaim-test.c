/* SPDX-License-Identifier: MIT */
/*
 * reclaim-test.c - memory that no reader and no held version can see is used again within 64
 * commits.
 *
 * Between two commits every page of a store is accounted for by walking: it is free, or the newest
 * version has it, or the catalog, or a version that a handle holds (with the catalog of its time,
 * which the store's own readers may need). What is left nobody can see: each of these pages must
 * have been replaced by one of the last 64 commits, or be of a version that was held until then.
 *
 *   --seed=N --seconds=N (of readers on threads) --only=NAME
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ramet.h>

#include "api/args.h"
#include "store/list.h"
#include "store/single.h"
#include "store/txn.h"
#include "store/walk.h"

#define COMMITS 64
#define HOLDERS 16
#define RELEASES 512 /* at most, in so many commits */

/* Of what takes long: where every access is looked at, less of it will do. */
#if defined(__SANITIZE_THREAD__)
#define SIZE(n) ((n) / 20)
#else
#define SIZE(n) (n)
#endif

static struct args args = {.seconds = 2};

/* A handle that holds a version, and what else that keeps. */
struct holder {
    struct ramet_handle *handle;
    struct ramet_map *map;  /* NULL: it holds nothing */
    struct rmt_ref catalog; /* of when it was held */
};

/* A version that is not held any more. */
struct release {
    uint64_t version, since; /* ids */
};

struct world {
    struct ramet_store *store;
    struct ramet_handle *writer;
    struct holder holders[HOLDERS];
    struct release releases[RELEASES]; /* the last ones */
    size_t nr_releases;
    uint64_t *unseen; /* of each page: the commit when it was first found to be so; 0: it is not */
    uint64_t nr_pages, judged; /* at that commit */
    uint64_t random, entries, sets;
    size_t value_size;
};

/* What judge() found, in pages. */
struct found {
    uint64_t all, free, newest, catalog, held, unseen;
    uint64_t oldest; /* commits since somebody saw one of those */
};

/* ---- a world --------------------------------------------------------------------------------- */

static void put(struct world *w, uint64_t key)
{
    unsigned char value[1024] = {0};
    memcpy(value, &w->sets, sizeof(w->sets));
    must(ramet_handle_put_u64(w->writer, key, (struct ramet_slice){value, w->value_size}, 0));
    w->sets++;
}

static void put_some(struct world *w, uint64_t count)
{
    while (count--)
        put(w, random_below(&w->random, w->entries));
}

static void begin(struct world *w, uint64_t entries, size_t value_size)
{
    enum { BATCH = 1000 };
    static unsigned char bytes[BATCH][8], value[1024];
    struct ramet_slice keys[BATCH], values[BATCH];
    *w = (struct world){.random = args.seed, .entries = entries, .value_size = value_size};
    must(ramet_open(NULL, NULL, &w->store));
    must(ramet_handle_open(w->store, NULL, "map", RAMET_CREATE, &w->writer));
    for (uint64_t i = 0; i < entries;) {
        size_t n = 0;
        for (; n < BATCH && i < entries; n++, i++) {
            keys[n] = ramet_u64_key(i, bytes[n]);
            values[n] = (struct ramet_slice){value, value_size};
        }
        must(ramet_handle_batch(w->writer, n, keys, values));
    }
    for (int i = 0; i < HOLDERS; i++)
        must(ramet_handle_open(w->store, NULL, "map", 0, &w->holders[i].handle));
    put_some(w, COMMITS);
}

static void end(struct world *w)
{
    must(ramet_check(w->store, 0, NULL, NULL, NULL));
    ramet_close(w->store);
    free(w->unseen);
}

static void hold(struct world *w, int i)
{
    struct holder *h = &w->holders[i];
    struct rmt_state state;
    want(!h->map);
    must(ramet_handle_hold(h->handle, &h->map));
    rmt_state_published(w->store, &state);
    if (h->map->txn->version.id != state.id) { /* the newest commit changed the catalog alone */
        ramet_handle_release(h->handle);
        put_some(w, 1);
        must(ramet_handle_hold(h->handle, &h->map));
        rmt_state_published(w->store, &state);
    }
    want(h->map->txn->version.id == state.id);
    h->catalog = state.catalog;
}

static void release(struct world *w, int i)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    if (!w->holders[i].map)
        return;
    must(ramet_stat(w->store, &stat));
    w->releases[w->nr_releases++ % RELEASES] =
        (struct release){w->holders[i].map->txn->version.id, stat.last_id};
    ramet_handle_release(w->holders[i].handle);
    w->holders[i].map = NULL;
}

/* ---- who sees a page ------------------------------------------------------------------------- */

enum { NEWEST = 1, CATALOG = 2, HELD = 4 };

struct seen {
    struct world *world;
    struct ramet_store *store;
    struct rmt_state state;
    uint8_t *by; /* [state.pages] bits of those who see it */
    uint8_t who;
    uint64_t freed; /* by this commit: of limbo's list at hand; 0: in no list, of one of the last */
    uint64_t in_limbo;
    struct found found;
};

static int see(void *ctx, struct rmt_run run, const struct rmt_disk_node *node)
{
    struct seen *s = ctx;
    (void)node;
    want(run.addr + run.len <= s->state.pages);
    for (uint64_t i = run.addr; i < run.addr + run.len; i++)
        s->by[i] |= s->who;
    return 0;
}

static void see_all(struct seen *s, struct rmt_ref root, bool maps, uint8_t who)
{
    struct rmt_walk walk;
    int rc = 1;
    s->who = who;
    if (root.birth == 0) /* none */
        return;
    must(rmt_walk_init(&walk, &s->store->pages, root, maps, 0, see, s));
    while (rc > 0)
        rc = rmt_walk_step(&walk);
    must(rc);
}

/* The commit after which nobody saw a run any more. */
static uint64_t unseen_since(const struct seen *s, uint64_t birth)
{
    uint64_t since = s->freed;
    for (size_t i = 0; i < rmt_min(s->world->nr_releases, (size_t)RELEASES); i++) {
        const struct release *r = &s->world->releases[i];
        if (birth <= r->version && r->version < s->freed)
            since = rmt_max(since, r->since);
    }
    return since;
}

static int see_limbo(void *ctx, struct rmt_run run)
{
    struct seen *s = ctx;
    uint64_t since = s->freed ? s->state.id - unseen_since(s, run.birth) : 0;
    s->in_limbo += run.len;
    for (uint64_t i = run.addr; i < run.addr + run.len; i++) {
        if (s->by[i] & (NEWEST | CATALOG))
            fatal("page %" PRIu64 " is in limbo and in use", i);
        if (s->by[i] & HELD)
            continue;
        s->found.unseen++;
        s->found.oldest = rmt_max(s->found.oldest, since);
    }
    return 0;
}

static void walk_limbo(struct seen *s)
{
    struct rmt_tree catalog = {.root = s->state.catalog, .fixed = true};
    struct rmt_key prefix = {.bytes = {'L'}, .size = 1};
    struct rmt_scan scan;
    int rc;
    rmt_scan_init(&scan, &s->store->pages, &catalog, &prefix);
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_list list;
        struct rmt_key key = prefix;
        memcpy(key.bytes + 1, scan.key.data, scan.key.size);
        key.size += scan.key.size;
        s->freed = rmt_get_be64(scan.key.data);
        must(rmt_list_load(&list, &s->store->pages, &key, scan.value));
        must(rmt_list_each(&s->store->pages, &catalog, &list, see_limbo, s));
    }
    must(rc);
    rmt_scan_fini(&scan);
    s->freed = 0;
    must(rmt_single_gone(s->store, see_limbo, s));
}

/* What no list tells: since when a page has been found to be unseen. */
static void remember(struct world *w, struct seen *s)
{
    if (w->nr_pages < s->state.pages) {
        w->unseen = realloc(w->unseen, s->state.pages * sizeof(*w->unseen));
        want(w->unseen);
        memset(w->unseen + w->nr_pages, 0, (s->state.pages - w->nr_pages) * sizeof(*w->unseen));
        w->nr_pages = s->state.pages;
    }
    bool at_once = s->state.id <= w->judged + 2; /* else it may have been in use meanwhile */
    w->judged = s->state.id;
    for (uint64_t i = w->store->pages.first; i < s->state.pages; i++) {
        bool unseen = !s->by[i] && !rmt_space_is_free(&w->store->space, i);
        if (!unseen)
            w->unseen[i] = 0;
        else if (!w->unseen[i] || !at_once)
            w->unseen[i] = s->state.id;
        else
            s->found.oldest = rmt_max(s->found.oldest, s->state.id - w->unseen[i]);
    }
}

/* Nobody commits meanwhile. */
static struct found judge(struct world *w)
{
    struct seen s = {.world = w, .store = w->store};
    struct ramet_txn *txn;
    must(ramet_begin(w->store, NULL, RAMET_READ, &txn));
    must(rmt_store_lock(w->store));
    rmt_state_published(w->store, &s.state);
    s.by = calloc(s.state.pages, 1);
    want(s.by && txn->version.id <= s.state.id);
    see_all(&s, txn->version.root, true, NEWEST);
    see_all(&s, s.state.catalog, false, CATALOG);
    for (int i = 0; i < HOLDERS; i++) {
        if (!w->holders[i].map)
            continue;
        see_all(&s, w->holders[i].map->txn->version.root, true, HELD);
        see_all(&s, w->holders[i].catalog, false, HELD);
    }
    walk_limbo(&s);
    remember(w, &s);
    uint64_t unseen = 0; /* and in no list either, if it comes to more */
    for (uint64_t i = w->store->pages.first; i < s.state.pages; i++) {
        bool is_free = rmt_space_is_free(&w->store->space, i);
        if (is_free && s.by[i])
            fatal("page %" PRIu64 " is free and somebody sees it", i);
        s.found.free += is_free;
        s.found.newest += (s.by[i] & NEWEST) != 0;
        s.found.catalog += (s.by[i] & CATALOG) != 0;
        s.found.held += s.by[i] == HELD;
        unseen += !is_free && !s.by[i];
    }
    s.found.all = s.state.pages;
    rmt_store_unlock(w->store);
    ramet_abort(txn);
    free(s.by);
    if (unseen != s.found.unseen)
        fatal("nobody sees %" PRIu64 " pages, of which limbo has %" PRIu64, unseen, s.found.unseen);
    want(s.in_limbo == s.found.unseen + s.found.held);
    if (args.verbose)
        printf("%" PRIu64 ": %" PRIu64 " pages, %" PRIu64 " free, %" PRIu64 " newest, %" PRIu64
               " catalog, %" PRIu64 " held, %" PRIu64 " unseen for %" PRIu64 " commits\n",
               w->sets, s.found.all, s.found.free, s.found.newest, s.found.catalog, s.found.held,
               s.found.unseen, s.found.oldest);
    if (s.found.oldest >= COMMITS)
        fatal("after %" PRIu64 " sets, of %" PRIu64 " pages that nobody can see one has been so "
              "for %" PRIu64 " commits",
              w->sets, s.found.unseen, s.found.oldest);
    return s.found;
}

/* Of the process: what is resident, in KiB. A sanitizer keeps freed memory: then it is not looked
 * at. */
static uint64_t resident_kib(void)
{
    unsigned long all, resident;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0;
#endif
    FILE *f = fopen("/proc/self/statm", "r");
    want(f && fscanf(f, "%lu %lu", &all, &resident) == 2);
    (void)fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) >> 10;
}

/* ---- one reader after the other -------------------------------------------------------------- */

static void with_no_reader(void)
{
    struct world w;
    begin(&w, 5000, 8);
    struct found first = judge(&w), f = first;
    for (int i = 0; i < SIZE(2000); i++) {
        put_some(&w, 1);
        f = judge(&w);
        want(f.held == 0 && f.all == first.all);
    }
    put_some(&w, SIZE(20000));
    f = judge(&w);
    want(f.all == first.all && f.catalog == first.catalog);
    end(&w);
}

/* What it holds is kept, all else is used again; in the end that is as much as it holds. */
static void with_a_reader_that_sleeps(void)
{
    struct world w;
    begin(&w, 5000, 8);
    uint64_t free_at_first = judge(&w).all;
    hold(&w, 0);
    for (int i = 0; i < SIZE(3000); i++) {
        put_some(&w, 1);
        (void)judge(&w);
    }
    uint64_t held = judge(&w).held, all = judge(&w).all, resident = resident_kib();
    want(held > 0 && all <= 3 * free_at_first);
    for (int i = 0; i < 40; i++) {
        put_some(&w, SIZE(1000));
        struct found f = judge(&w);
        want(f.all == all && f.held <= held + 1);
    }
    want(resident_kib() <= resident + 1024);
    release(&w, 0);
    put_some(&w, COMMITS);
    want(judge(&w).held == 0);
    end(&w);
}

/* A held version whose pages were replaced one by one: a list in limbo for each commit, thousands
 * of them. */
static void with_a_large_map_that_is_held(void)
{
    struct world w;
    begin(&w, SIZE(60000), 1000);
    hold(&w, 0);
    for (int i = 0; i < 30; i++) {
        put_some(&w, SIZE(2000));
        (void)judge(&w);
    }
    uint64_t all = judge(&w).all;
    release(&w, 0);
    put_some(&w, COMMITS);
    want(judge(&w).held == 0);
    hold(&w, 1);
    for (int i = 0; i < 15; i++) {
        put_some(&w, SIZE(4000));
        (void)judge(&w);
    }
    want(judge(&w).all <= all + all / 50);
    release(&w, 1);
    put_some(&w, COMMITS);
    want(judge(&w).held == 0);
    end(&w);
}

/* Each from another moment on; they end one after the other, or all at once. */
static void many_versions_held(bool at_once)
{
    struct world w;
    begin(&w, SIZE(40000), 200);
    for (int i = 0; i < HOLDERS; i++) {
        hold(&w, i);
        put_some(&w, SIZE(4000));
        (void)judge(&w);
    }
    for (int i = 0; i < 10; i++) {
        put_some(&w, SIZE(1000));
        (void)judge(&w);
    }
    uint64_t held = judge(&w).held;
    for (int i = 0; i < HOLDERS; i++) {
        release(&w, i * 7 % HOLDERS);
        if (at_once && i < HOLDERS - 1)
            continue;
        put_some(&w, COMMITS);
        uint64_t left = judge(&w).held;
        want(left < held);
        held = left;
    }
    want(held == 0);
    end(&w);
}

static void with_many_versions_held(void)
{
    many_versions_held(false);
}

static void with_many_versions_released_at_once(void)
{
    many_versions_held(true);
}

static void with_versions_held_at_random(void)
{
    struct world w;
    begin(&w, 3000, 16);
    uint64_t most = 0;
    for (int i = 0; i < SIZE(6000); i++) {
        int who = (int)random_below(&w.random, HOLDERS);
        switch (random_below(&w.random, 4)) {
        case 0:
            if (who > 3 || random_below(&w.random, 100) == 0) /* the first ones for long */
                release(&w, who);
            break;
        case 1:
            if (!w.holders[who].map)
                hold(&w, who);
            break;
        default: put_some(&w, 1);
        }
        struct found f = judge(&w);
        if (i == SIZE(3000))
            most = f.all;
        if (i > SIZE(3000))
            want(f.all <= most + most / 4);
    }
    for (int i = 0; i < HOLDERS; i++)
        release(&w, i);
    put_some(&w, COMMITS);
    want(judge(&w).held == 0);
    end(&w);
}

/* ---- readers on threads ---------------------------------------------------------------------- */

struct reader {
    struct world *world;
    struct ramet_handle *handle;
    uint64_t random;
    bool holds;
    pthread_t thread;
};

static _Atomic bool stop;

static void *renew_all_the_time(void *arg)
{
    struct reader *r = arg;
    while (!atomic_load(&stop)) {
        unsigned char buf[8], key[8];
        struct ramet_map *map;
        struct ramet_slice value;
        uint64_t number = random_below(&r->random, r->world->entries);
        if (!r->holds) {
            want(ramet_handle_get_u64(r->handle, number, buf, sizeof(buf)) > 0);
            continue;
        }
        must(ramet_handle_hold(r->handle, &map));
        must(ramet_get(map, ramet_u64_key(number, key), &value));
        ramet_handle_release(r->handle);
    }
    return NULL;
}

/* A reader that is not running keeps what it was reading: at most what a version consists of. */
static void with_readers_that_renew_all_the_time(void)
{
    struct world w;
    struct reader readers[HOLDERS];
    begin(&w, 5000, 8);
    struct found first = judge(&w);
    for (int i = 0; i < HOLDERS; i++) {
        readers[i] = (struct reader){.world = &w,
                                     .handle = w.holders[i].handle,
                                     .random = args.seed + (uint64_t)i,
                                     .holds = i % 2 == 1};
        want(pthread_create(&readers[i].thread, NULL, renew_all_the_time, &readers[i]) == 0);
    }
    uint64_t limit = (HOLDERS + 1) * (first.newest + 4 * first.catalog) + first.unseen * COMMITS;
    uint64_t resident = 0;
    time_t until = time(NULL) + (time_t)args.seconds;
    for (int i = 0; time(NULL) <= until; i++) {
        struct ramet_stat stat = {.size = sizeof(stat)};
        put_some(&w, 50);
        must(ramet_stat(w.store, &stat));
        if (stat.limbo_bytes / stat.page_size > limit)
            fatal("%" PRIu64 " pages in limbo, %" PRIu64 " are allowed",
                  stat.limbo_bytes / stat.page_size, limit);
        if (i == 200)
            resident = resident_kib();
    }
    if (resident)
        want(resident_kib() <= resident + 4 * limit + 1024);
    atomic_store(&stop, true);
    for (int i = 0; i < HOLDERS; i++)
        (void)pthread_join(readers[i].thread, NULL);
    put_some(&w, COMMITS);
    want(judge(&w).held == 0);
    end(&w);
}

static const struct args_test tests[] = {
    ARGS_TEST(with_no_reader),
    ARGS_TEST(with_a_reader_that_sleeps),
    ARGS_TEST(with_a_large_map_that_is_held),
    ARGS_TEST(with_many_versions_held),
    ARGS_TEST(with_many_versions_released_at_once),
    ARGS_TEST(with_versions_held_at_random),
    ARGS_TEST(with_readers_that_renew_all_the_time),
};

int main(int argc, char **argv)
{
    if (!args_parse(argc, argv, &args))
        return 2;
    args_run(&args, tests, sizeof(tests) / sizeof(tests[0]));
    return 0;
}
