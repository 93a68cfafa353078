/* SPDX-License-Identifier: MIT */
/* groups.c - what is done in which order, group by group. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define LARGE ((size_t)10000000)
#define MEGABYTE ((uint64_t)1 << 20)

/* Peers at work on the same entries. */
struct stage {
    const struct options *options;
    struct entries entries;
    struct plan plan;
    struct worker *workers[PEERS]; /* NULL: takes no part */
    uint32_t round;
    struct map_order map;
};

static void start_workers(struct stage *g)
{
    for (size_t p = 0; p < PEERS; p++) {
        if (peers[p] && p < DISK && g->options->peers[p])
            g->workers[p] = worker_start(peers[p], &g->plan);
    }
}

static void quit_workers(struct stage *g)
{
    for (size_t p = 0; p < PEERS; p++) {
        if (g->workers[p])
            worker_quit(g->workers[p]);
        g->workers[p] = NULL;
    }
}

static void begin(struct stage *g, const struct options *o, size_t entries, enum keys kind)
{
    memset(g, 0, sizeof(*g));
    g->options = o;
    entries_init(&g->entries, entries, kind);
    g->plan = (struct plan){
        .dir = o->folder,
        .entries = &g->entries,
        .gets = entries < 500000 ? entries : 500000,
        .ranges = entries / 50,
    };
    start_workers(g);
}

static void end(struct stage *g)
{
    quit_workers(g);
    entries_fini(&g->entries);
}

static void flush_all(const struct stage *g)
{
    int fd = open(g->plan.dir, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        die("%s: %s", g->plan.dir, strerror(errno));
    (void)close(fd);
}

/* The peers one after the other; which is first changes from round to round. What they read must be
 * the same. */
static void each(struct stage *g, struct order order, enum sample sample)
{
    uint64_t check = 0;
    order.round = g->round;
    for (size_t i = 0; i < PEERS; i++) {
        struct taken *s = &samples[sample];
        size_t p = (i + g->round) % PEERS;
        struct result r;
        if (!g->workers[p])
            continue;
        if (order.task == TASK_COMMIT)
            flush_all(g); /* or one pays for what others left to be written */
        if (!worker_do(g->workers[p], &order, &r))
            continue;
        if (r.check && check && r.check != check)
            die("%s read something else than the others", peers[p]->name);
        if (r.check)
            check = r.check;
        s->has[p] = true;
        s->results[p][g->round] = r;
        s->rounds = g->round + 1;
    }
}

static void tell(struct stage *g, enum task task)
{
    each(g, (struct order){.task = task}, NO_SAMPLE);
}

static void take(struct stage *g, enum task task, enum sample sample)
{
    each(g, (struct order){.task = task}, sample);
}

static void close_and_remove(struct stage *g)
{
    tell(g, TASK_CLOSE);
    tell(g, TASK_REMOVE);
}

/* ---- the groups ------------------------------------------------------------------------------ */

static void run_load(const struct options *o)
{
    struct stage g;
    for (begin(&g, o, o->entries, KEYS_RANDOM); g.round < o->rounds; g.round++) {
        tell(&g, TASK_OPEN);
        take(&g, TASK_LOAD_SORTED, SORTED_LOAD);
        take(&g, TASK_SCAN, SORTED_SCAN);
        close_and_remove(&g);
        tell(&g, TASK_OPEN);
        take(&g, TASK_LOAD_RANDOM, RANDOM_LOAD);
        take(&g, TASK_SIZE, RANDOM_SIZE);
        take(&g, TASK_SCAN, RANDOM_SCAN);
        take(&g, TASK_RANGE, RANGE);
        each(&g, (struct order){.task = TASK_OVERWRITE, .count = o->entries / 2}, OVERWRITE);
        close_and_remove(&g);
    }
    end(&g);
}

/* Integers come in their order, as a sequence does; other keys in a random one. */
static void run_get(const struct options *o)
{
    for (enum keys kind = 0; kind < KEYS_KINDS; kind++) {
        struct stage g;
        begin(&g, o, o->entries, kind);
        tell(&g, TASK_OPEN);
        tell(&g, kind == KEYS_INTEGERS ? TASK_LOAD_SORTED : TASK_LOAD_RANDOM);
        for (; g.round < o->rounds; g.round++) {
            take(&g, TASK_GET, GET + kind);
            if (kind == KEYS_RANDOM)
                take(&g, TASK_GET_MANY, GET_MANY);
        }
        close_and_remove(&g);
        end(&g);
    }
}

static void run_readers(const struct options *o)
{
    struct stage g;
    begin(&g, o, o->entries, KEYS_RANDOM);
    tell(&g, TASK_OPEN);
    tell(&g, TASK_LOAD_SORTED);
    for (; g.round < o->rounds; g.round++) {
        each(&g, (struct order){.task = TASK_READ, .threads = 1}, READ_1);
        each(&g, (struct order){.task = TASK_READ, .threads = 2}, READ_2);
        each(&g, (struct order){.task = TASK_READ_BESIDE, .threads = 1}, READ_BESIDE);
        take(&g, TASK_GET_FRESH, GET_FRESH);
    }
    close_and_remove(&g);
    end(&g);
}

static void commits(struct stage *g, unsigned threads, unsigned lines, enum sample sample)
{
    size_t count = (g->entries.count < 20000 ? 16 : 320) * (threads > 2 ? 4 : 1);
    struct order order = {.task = TASK_COMMIT, .count = count, .threads = threads, .lines = lines};
    each(g, order, sample);
}

/* The bare disk has one writer. It takes its turn among the others. */
static void run_commit(const struct options *o)
{
    struct stage g;
    begin(&g, o, o->entries, KEYS_RANDOM);
    tell(&g, TASK_OPEN);
    tell(&g, TASK_LOAD_SORTED);
    tell(&g, TASK_CLOSE);
    struct worker *disk = worker_start(peers[DISK], &g.plan);
    g.workers[DISK] = disk;
    tell(&g, TASK_OPEN_DURABLE);
    for (; g.round < o->rounds; g.round++) {
        g.workers[DISK] = disk;
        commits(&g, 1, 1, COMMIT_1);
        g.workers[DISK] = NULL;
        commits(&g, 2, 1, COMMIT_2);
        commits(&g, 16, 16, COMMIT_16_16);
        commits(&g, 16, 1, COMMIT_16_1);
    }
    g.workers[DISK] = disk;
    close_and_remove(&g);
    end(&g);
}

/* Each time by a process that has not had the store open before. */
static void open_afresh(struct stage *g, enum sample sample)
{
    start_workers(g);
    take(g, TASK_OPEN_GET, sample);
    tell(g, TASK_CLOSE);
    quit_workers(g);
}

static void run_open(const struct options *o)
{
    struct stage g;
    begin(&g, o, o->entries, KEYS_RANDOM);
    tell(&g, TASK_OPEN);
    tell(&g, TASK_LOAD_SORTED);
    tell(&g, TASK_CLOSE);
    quit_workers(&g);
    for (; g.round < o->rounds; g.round++) {
        open_afresh(&g, OPEN_CLEAN);
        start_workers(&g);
        tell(&g, TASK_OPEN);
        each(&g, (struct order){.task = TASK_OVERWRITE, .count = o->entries / 10}, NO_SAMPLE);
        for (size_t p = 0; p < PEERS; p++) {
            if (g.workers[p])
                worker_kill(g.workers[p]);
            g.workers[p] = NULL;
        }
        open_afresh(&g, OPEN_KILLED);
    }
    start_workers(&g);
    tell(&g, TASK_REMOVE);
    end(&g);
}

static void load_at_once(struct stage *g, size_t count, enum sample sample)
{
    start_workers(g);
    tell(g, TASK_OPEN);
    each(g, (struct order){.task = TASK_LOAD_AT_ONCE, .count = count}, sample);
    close_and_remove(g);
    quit_workers(g);
}

/* Once: nothing here depends on how busy the machine is. */
static void run_space(const struct options *o)
{
    struct stage g;
    begin(&g, o, o->entries, KEYS_RANDOM);
    tell(&g, TASK_OPEN);
    tell(&g, TASK_LOAD_RANDOM);
    take(&g, TASK_SIZE, SIZE_BEFORE);
    take(&g, TASK_OVERWRITE_HELD, SIZE_HELD);
    close_and_remove(&g);
    quit_workers(&g);
    load_at_once(&g, o->entries / 4, MEMORY_PART);
    load_at_once(&g, o->entries, MEMORY);
    end(&g);
}

static void branch_samples(const struct options *o, uint64_t bytes, uint32_t round,
                           enum sample first)
{
    char path[4200];
    struct branching b = {path, bytes};
    struct result results[1 + DROPS] = {0};
    (void)snprintf(path, sizeof(path), "%s/branching", o->folder);
    worker_once(branches_measure, &b, 1 + DROPS, results);
    for (size_t i = 0; i <= DROPS; i++) {
        samples[first + i].has[RAMET] = true;
        samples[first + i].results[RAMET][round] = results[i];
        samples[first + i].rounds = round + 1;
    }
}

static void run_branch(const struct options *o)
{
    char path[4200];
    struct entries entries;
    (void)snprintf(path, sizeof(path), "%s/sharing", o->folder);
    entries_init(&entries, o->entries, KEYS_RANDOM);
    for (uint32_t round = 0; round < o->rounds; round++) {
        struct sharing sharing = {path, &entries, round};
        struct result results[2] = {0};
        branch_samples(o, MEGABYTE, round, BRANCH_SMALL);
        branch_samples(o, o->entries < 20000 ? 8 * MEGABYTE : 1024 * MEGABYTE, round, BRANCH_BIG);
        worker_once(branches_overwrite, &sharing, 2, results);
        for (size_t i = 0; i < 2; i++) {
            samples[OVERWRITE_ALONE + i].has[RAMET] = true;
            samples[OVERWRITE_ALONE + i].results[RAMET][round] = results[i];
            samples[OVERWRITE_ALONE + i].rounds = round + 1;
        }
    }
    if (o->gb)
        branch_samples(o, o->gb * 1024 * MEGABYTE, 0, BRANCH_HUGE);
    entries_fini(&entries);
}

static void note(enum sample first, size_t count, const struct result *results, uint32_t round)
{
    for (size_t i = 0; i < count; i++) {
        samples[first + i].has[RAMET] = true;
        samples[first + i].results[RAMET][round] = results[i];
        samples[first + i].rounds = round + 1;
    }
}

/* git, which is slow to fill, once; the rest in each round. */
static void run_merge(const struct options *o)
{
    char path[4200], git[4200];
    struct entries entries;
    struct result result = {0}, results[OPTIMISTIC_RESULTS] = {0};
    (void)snprintf(path, sizeof(path), "%s/merging", o->folder);
    (void)snprintf(git, sizeof(git), "%s/merging.git", o->folder);
    entries_init(&entries, o->entries, KEYS_RANDOM);
    struct sharing sharing = {path, &entries, 0}, by_git = {git, &entries, 0};
    for (uint32_t round = 0; round < o->rounds; round++) {
        worker_once(merges_measure, &sharing, 1, &result);
        note(MERGE, 1, &result, round);
        worker_once(merges_optimistic, &sharing, OPTIMISTIC_RESULTS, results);
        note(OPTIMISTIC, OPTIMISTIC_RESULTS, results, round);
        if (round == 0 && merges_git_there())
            worker_once(merges_git, &by_git, 1, &result);
        else if (round == 0)
            continue;
        if (samples[MERGE_GIT].rounds || round == 0)
            note(MERGE_GIT, 1, round ? &samples[MERGE_GIT].results[RAMET][0] : &result, round);
    }
    entries_fini(&entries);
}

/* Histories, which take a while to make, once; the rest in each round. */
static void run_versions(const struct options *o)
{
    char path[4200];
    struct entries entries;
    bool small = o->entries < 20000;
    size_t diffs = 0;
    (void)snprintf(path, sizeof(path), "%s/versions", o->folder);
    entries_init(&entries, o->entries, KEYS_RANDOM);
    struct branching bases = {path, small ? 400 : 100000};
    struct branching few = {path, 100}, lots = {path, small ? 200 : 10000};
    while (diffs < DIFFS && diff_changes[diffs] <= o->entries)
        diffs++;
    for (uint32_t round = 0; round < o->rounds; round++) {
        struct sharing sharing = {path, &entries, round};
        struct result results[DIFFS] = {0};
        worker_once(versions_diff, &sharing, DIFFS, results);
        note(DIFF, diffs, results, round);
        worker_once(versions_many, &few, 3, results);
        note(MANY_FEW, 3, results, round);
        worker_once(versions_many, &lots, 3, results);
        note(MANY_LOTS, 3, results, round);
    }
    struct result results[BASES] = {0};
    worker_once(versions_bases, &bases, BASES, results);
    note(BASE, BASES, results, 0);
    entries_fini(&entries);
}

static void run_watch(const struct options *o)
{
    char path[4200];
    struct entries entries;
    struct result results[4] = {0};
    (void)snprintf(path, sizeof(path), "%s/watching", o->folder);
    entries_init(&entries, o->entries < 100000 ? o->entries : 100000, KEYS_INTEGERS);
    struct sharing sharing = {path, &entries, 0};
    for (uint32_t round = 0; round < o->rounds; round++) {
        worker_once(watches_cost, &sharing, 4, results);
        note(WATCH_NONE, 4, results, round);
        worker_once(watches_latency, &sharing, 1, results);
        note(WATCH_LATENCY, 1, results, round);
    }
    entries_fini(&entries);
}

static void run_blobs(const struct options *o)
{
    char path[4200];
    bool small = o->entries < 20000;
    (void)snprintf(path, sizeof(path), "%s/blobs", o->folder);
    struct branching image = {path, small ? 16 * MEGABYTE : 1024 * MEGABYTE};
    struct branching large = {path, 4 * image.bytes};
    for (uint32_t round = 0; round < o->rounds; round++) {
        struct result results[REGIONS] = {0};
        worker_once(blobs_images, &image, IMAGES, results);
        note(IMAGE, IMAGES, results, round);
        worker_once(blobs_regions, &image, REGIONS, results);
        note(REGION, REGIONS, results, round);
        worker_once(blobs_large_region, &large, 1, results);
        note(REGION_LARGE, 1, results, round);
    }
}

#ifdef HAVE_NBD
static void run_nbd(const struct options *o)
{
    char path[4200];
    bool small = o->entries < 20000;
    if (!nbd_servers_there())
        return;
    (void)snprintf(path, sizeof(path), "%s/disks", o->folder);
    struct branching image = {path, small ? 16 * MEGABYTE : 1024 * MEGABYTE};
    for (uint32_t round = 0; round < o->rounds; round++) {
        struct result results[NBD_RESULTS] = {0};
        worker_once(nbd_measure, &image, NBD_RESULTS, results);
        note(NBD, NBD_RESULTS, results, round);
        worker_once(nbd_clones, &image, NBD_CLONES, results);
        note(NBD_CLONE, NBD_CLONES, results, round);
    }
}
#else
static void run_nbd(const struct options *o)
{
    (void)o;
}
#endif

/* ---- maps that threads share ----------------------------------------------------------------- */

static void start_map_workers(struct stage *g)
{
    for (size_t p = 0; p < PEERS; p++) {
        if (peers[p] && peers[p]->maps && g->options->peers[p])
            g->workers[p] = worker_start(peers[p], &g->plan);
    }
}

static void map_task(struct stage *g, enum map_task what, unsigned threads, enum sample sample)
{
    struct order order = {.task = TASK_MAP, .map = g->map};
    order.map.what = what;
    order.map.threads = threads;
    order.map.round = g->round;
    each(g, order, sample);
}

/* All rounds of one kind of keys, with processes of their own: none has the others' memory. */
static void run_keys(struct stage *g, enum map_keys keys, enum sample first)
{
    start_map_workers(g);
    g->map.keys = keys;
    map_task(g, MAP_OPEN, 1, NO_SAMPLE);
    for (g->round = 0; g->round < g->options->rounds; g->round++) {
        switch (keys) {
        case MAP_ROW:
            map_task(g, MAP_GET, 1, first + MAP_ROW_1);
            map_task(g, MAP_GET, 2, first + MAP_ROW_2);
            map_task(g, MAP_HELD, 1, first + MAP_ONE_HELD);
            map_task(g, MAP_HELD_BESIDE, 1, first + MAP_ONE_HELD_BESIDE);
            map_task(g, MAP_GET_BESIDE, 1, first + MAP_ONE_BESIDE);
            map_task(g, MAP_SET, 1, first + MAP_ONE_SET);
            map_task(g, MAP_SET_MANY, 1, first + MAP_MANY_SET);
            map_task(g, MAP_SNAPSHOT, 1, first + MAP_ONE_SNAPSHOT);
            break;
        case MAP_ANY:
            map_task(g, MAP_GET, 1, first + MAP_ANY_1);
            map_task(g, MAP_GET, 2, first + MAP_ANY_2);
            break;
        case MAP_TEXTS:
            map_task(g, MAP_GET_TEXTS, 1, first + MAP_TEXT);
            map_task(g, MAP_GET_TEXTS_MANY, 1, first + MAP_TEXT_MANY);
            break;
        }
    }
    map_task(g, MAP_CLOSE, 1, NO_SAMPLE);
    quit_workers(g);
}

/* Once: nothing there depends on how busy the machine is. */
static void map_memory(struct stage *g, bool shuffled, enum sample sample)
{
    g->round = 0;
    g->map.keys = MAP_ROW;
    g->map.shuffled = shuffled;
    start_map_workers(g);
    map_task(g, MAP_MEMORY, 1, sample);
    quit_workers(g);
}

static void run_maps(const struct options *o)
{
    bool small = o->entries < 20000;
    struct stage g = {.options = o, .plan = {.dir = o->folder}};
    g.map.accesses = small ? 10000 : 1000000;
    g.map.ns = small ? 10000000 : 300000000;
    for (size_t i = 0; i < MAP_SIZES; i++) {
        enum sample first = MAP + i * MAP_SAMPLES;
        g.map.count = map_sizes[i] < o->entries ? map_sizes[i] : o->entries;
        run_keys(&g, MAP_ROW, first);
        run_keys(&g, MAP_ANY, first);
        run_keys(&g, MAP_TEXTS, first);
    }
    map_memory(&g, false, MAP_MEMORY_ROW);
    map_memory(&g, true, MAP_MEMORY_SHUFFLED);
}

static void run_values(const struct options *o)
{
    struct branching arrays = {NULL, o->entries < 20000 ? MEGABYTE : 64 * MEGABYTE};
    for (uint32_t round = 0; round < o->rounds; round++) {
        struct result results[VALUE_TASKS] = {0};
        worker_once(values_measure, &arrays, VALUE_TASKS, results);
        for (size_t i = 0; i < VALUE_TASKS; i++) {
            if (results[i].cpu_ns > 0) /* or it was not there when this was built */
                note(VALUE + i, 1, &results[i], round);
        }
    }
}

/* ramet and LMDB alone: the others would take an hour. */
static void run_large(const struct options *o)
{
    struct options two = *o;
    struct stage g;
    for (size_t p = LMDB + 1; p < PEERS; p++)
        two.peers[p] = false;
    begin(&g, &two, LARGE, KEYS_RANDOM);
    tell(&g, TASK_OPEN);
    tell(&g, TASK_LOAD_RANDOM);
    for (; g.round < o->rounds; g.round++)
        take(&g, TASK_GET, GET_LARGE);
    tell(&g, TASK_CLOSE);
    quit_workers(&g);
    for (g.round = 0; g.round < o->rounds; g.round++)
        open_afresh(&g, OPEN_LARGE);
    start_workers(&g);
    tell(&g, TASK_REMOVE);
    quit_workers(&g);
    g.round = 0;
    load_at_once(&g, LARGE / 4, MEMORY_LARGE_PART);
    load_at_once(&g, LARGE, MEMORY_LARGE);
    end(&g);
}

void group_run(enum group group, const struct options *o)
{
    switch (group) {
    case GROUP_LOAD: run_load(o); return;
    case GROUP_GET: run_get(o); return;
    case GROUP_READERS: run_readers(o); return;
    case GROUP_COMMIT: run_commit(o); return;
    case GROUP_OPEN: run_open(o); return;
    case GROUP_SPACE: run_space(o); return;
    case GROUP_BRANCH: run_branch(o); return;
    case GROUP_MERGE: run_merge(o); return;
    case GROUP_VERSIONS: run_versions(o); return;
    case GROUP_WATCH: run_watch(o); return;
    case GROUP_BLOBS: run_blobs(o); return;
    case GROUP_NBD: run_nbd(o); return;
    case GROUP_MAPS: run_maps(o); return;
    case GROUP_VALUES: run_values(o); return;
    case GROUP_LARGE: run_large(o); return;
    case GROUPS: return;
    }
}
