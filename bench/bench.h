/* SPDX-License-Identifier: MIT */
/*
 * bench.h - ramet and its peers, measured in one run, turn by turn.
 *
 * Every peer works in a process of its own (worker.c), so that what its background threads do is
 * on its own account, and waits there until it is told what to do. In each round every peer does
 * the task in turn, with the same keys, values and batches; who begins changes from round to round.
 * What came out is a *sample*: a result for each peer and round. A *row* shows one figure of a
 * sample: medians over the rounds, and medians of the ratios within a round.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_SIZE 100
#define ROUNDS_MAX 99
#define RANGE_LEN 100
#define MANY 16

/* ---- what is stored: entries.c --------------------------------------------------------------- */

enum keys {
    KEYS_RANDOM,   /* 16 random bytes */
    KEYS_PREFIX8,  /* 8 bytes that all share, and 8 random ones */
    KEYS_PREFIX40, /* 40 bytes that all share, and 16 random ones */
    KEYS_PATHS,    /* of the files of this machine */
    KEYS_INTEGERS, /* 0, 1, 2, ... as 8 bytes, big-endian */
    KEYS_LENGTHS,  /* 8 to 64 random bytes */
    KEYS_KINDS
};

struct entries {
    size_t count;
    uint8_t *bytes;     /* of all keys; all are different */
    uint64_t *at;       /* [count + 1] where each begins */
    uint32_t *sorted;   /* indexes in the order of the keys */
    uint32_t *shuffled; /* in another order */
    uint32_t *probes;   /* in a third one */
    uint8_t *pool;      /* random bytes, of which values are pieces */
};

#define POOL_SIZE ((size_t)1 << 20)

void entries_init(struct entries *e, size_t count, enum keys kind);
void entries_fini(struct entries *e);

static inline const uint8_t *entry_key(const struct entries *e, uint32_t i)
{
    return e->bytes + e->at[i];
}

static inline size_t entry_key_size(const struct entries *e, uint32_t i)
{
    return e->at[i + 1] - e->at[i];
}

/* salt: 0 when loaded; overwriting uses others. */
static inline const uint8_t *entry_value(const struct entries *e, uint32_t i, uint32_t salt)
{
    return e->pool + ((uint64_t)i * 101 + (uint64_t)salt * 7919) % (POOL_SIZE - VALUE_SIZE);
}

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* What a reader does with what it reads, so that it is read. The peers' sums are compared. */
static inline uint64_t touch(const void *data, size_t size)
{
    return size + (size ? *(const uint8_t *)data : 0);
}

/* ---- peers ----------------------------------------------------------------------------------- */

struct peer;
struct session; /* what one thread has of a peer */

struct setup {
    uint64_t bytes_max;   /* how large the store may get, for who must know */
    uint64_t cache_bytes; /* for who has a cache of its own: all entries fit */
    bool durable;         /* commits are flushed */
};

/* A piece of a load: entries of order[count], batch to a commit. */
struct load {
    const struct entries *entries;
    const uint32_t *order;
    size_t count, batch;
    uint32_t salt;
    bool append; /* they come in the order of keys, into an empty store */
};

typedef uint64_t (*lookup_fn)(struct session *s, const struct entries *e, const uint32_t *order,
                              size_t count);

/* Whatever fails ends the program. A function that is NULL: the peer cannot do that. */
struct peer_ops {
    const char *name;
    const char *(*version)(void);
    /* The store of that name, made if it is not there. */
    struct peer *(*open)(const char *path, const struct setup *setup);
    void (*close)(struct peer *peer);
    /* Does now, or waits for, what was put off. NULL: nothing is. */
    void (*settle)(struct peer *peer);
    /* line: sessions of different lines write side by side, where a peer can do that. */
    struct session *(*session_open)(struct peer *peer, unsigned line);
    void (*session_close)(struct session *s);
    void (*load)(struct session *s, const struct load *load);
    /* One read transaction, in which the others work. */
    void (*read_begin)(struct session *s);
    void (*read_end)(struct session *s);
    lookup_fn get;
    lookup_fn get_many;  /* MANY keys at once */
    lookup_fn get_fresh; /* each after asking for the newest version */
    lookup_fn range;     /* from each key on RANGE_LEN entries, or fewer where the store ends */
    uint64_t (*scan)(struct session *s, size_t *out_count);
    /* A map that threads share: maps.h. NULL: takes no part there. */
    const struct map_ops *maps;
};

/* From CLONED_MAP on they are maps alone. */
enum {
    RAMET,
    LMDB,
    ROCKSDB,
    SQLITE,
    WIREDTIGER,
    DISK,
    CLONED_MAP,
    SYNC_MAP,
    TABLE,
    RWLOCK,
    URCU_QSBR,
    URCU_MEMB,
    PEERS
};

extern const struct peer_ops peer_ramet, peer_lmdb, peer_rocksdb, peer_sqlite, peer_wiredtiger,
    peer_disk, peer_cloned_map, peer_sync_map, peer_table, peer_rwlock, peer_urcu_qsbr,
    peer_urcu_memb;
extern const struct map_ops maps_ramet, maps_lmdb;
/* NULL: was not there when this was built. */
extern const struct peer_ops *const peers[PEERS];

/* ---- tasks: tasks.c, threads.c; the processes that do them: worker.c ---------------------------
 */

enum task {
    TASK_OPEN,         /* a store, empty the first time */
    TASK_OPEN_DURABLE, /* the same one, commits are flushed */
    TASK_OPEN_GET,     /* the same as TASK_OPEN, and one get: timed together */
    TASK_CLOSE,
    TASK_REMOVE, /* what was closed */
    TASK_LOAD_SORTED,
    TASK_LOAD_RANDOM,
    TASK_LOAD_AT_ONCE,   /* count entries, random order, in one transaction */
    TASK_OVERWRITE,      /* count of them */
    TASK_OVERWRITE_HELD, /* the same, while one reader holds what was there before */
    TASK_COMMIT,         /* overwrites, one to a commit, by several threads */
    TASK_GET,
    TASK_GET_MANY,
    TASK_GET_FRESH,
    TASK_READ,        /* gets, by several threads */
    TASK_READ_BESIDE, /* the same, in one version, beside a busy writer */
    TASK_SCAN,
    TASK_RANGE,
    TASK_SIZE, /* of the store's files */
    TASK_MAP,  /* order->map says what */
    TASK_QUIT
};

enum map_task {
    MAP_OPEN, /* and filled */
    MAP_GET,  /* by several threads, always of the newest version */
    MAP_HELD, /* the same in one version */
    MAP_HELD_BESIDE,
    MAP_GET_BESIDE, /* both beside a writer that never stops */
    MAP_GET_TEXTS,
    MAP_GET_TEXTS_MANY, /* several at once */
    MAP_SET,
    MAP_SET_MANY,
    MAP_SNAPSHOT,
    MAP_MEMORY, /* of one that is filled for that, and closed */
    MAP_CLOSE
};

enum map_keys {
    MAP_ROW,  /* 0, 1, 2, ... */
    MAP_ANY,  /* 64 random bits */
    MAP_TEXTS /* 16 random bytes */
};

struct map_order {
    enum map_task what;
    enum map_keys keys;     /* MAP_OPEN, MAP_MEMORY */
    size_t count, accesses; /* keys in the map; gets, snapshots */
    unsigned threads;
    uint64_t ns; /* how long one is to take, wall time, at the least */
    uint32_t round;
    bool shuffled; /* MAP_MEMORY: keys come in a random order */
};

struct order {
    enum task task;
    uint32_t round;
    size_t count;            /* of entries, of commits; 0: all */
    unsigned threads, lines; /* TASK_COMMIT, TASK_READ */
    struct map_order map;    /* TASK_MAP */
};

struct result {
    double cpu_ns, wall_ns; /* of an operation */
    double median_ns;       /* wall; TASK_COMMIT */
    double flushes;         /* of an operation */
    double beside_ns;       /* maps: CPU time of a set, of the thread that writes beside readers */
    double share;           /* blobs: bytes written for one that was dirty; maps: bytes a key */
    uint64_t check;         /* what was read, the same for all peers */
    uint64_t bytes;         /* TASK_SIZE: apparent; TASK_LOAD_AT_ONCE: memory */
    uint64_t disk_bytes;    /* TASK_SIZE: blocks */
    uint64_t pages; /* branches: pages of data copied, or given back; of a diff, looked at */
};

struct plan {
    const char *dir; /* where stores lie */
    const struct entries *entries;
    size_t gets, ranges;
};

/* What a worker's process knows. */
struct state {
    const struct peer_ops *ops;
    const struct plan *plan;
    struct peer *peer;
    struct session *session; /* of the thread that does the tasks */
    char path[4096];
    struct shared_map *map; /* TASK_MAP: what is open */
    struct go *go;          /* the program that does it instead */
};

/* False: the peer cannot. */
bool task_perform(struct state *s, const struct order *order, struct result *r);
void task_commits(struct state *s, const struct order *order, struct result *r);
void task_reads(struct state *s, const struct order *order, struct result *r);

struct worker;

/* Starts a process. It lives until TASK_QUIT. */
struct worker *worker_start(const struct peer_ops *ops, const struct plan *plan);
bool worker_do(struct worker *worker, const struct order *order, struct result *out);
void worker_quit(struct worker *worker);
/* As a crash of the process does it: what it had open stays as it is. */
void worker_kill(struct worker *worker);
/* Runs fn in a process that ends with it. */
void worker_once(void (*fn)(const void *arg, struct result *out), const void *arg, size_t results,
                 struct result *out);

/* ---- branches: of ramet alone: branches.c ------------------------------------------------------
 */

#define DROPS 3
static const size_t drop_pages[DROPS] = {16, 256, 4096};

/* Fills a store with about arg->bytes, and measures there: first the making of a branch, then the
 * dropping of branches that own so many pages (if the store has as many). */
struct branching {
    const char *path;
    uint64_t bytes;
};
void branches_measure(const void *branching, struct result *out); /* 1 + DROPS of them */

/* Overwrites on a branch nobody shares, then on a fresh one of it. */
struct sharing {
    const char *path;
    const struct entries *entries;
    uint32_t round;
};
void branches_overwrite(const void *sharing, struct result *out); /* 2 of them */

/* ---- merges: merges.c ------------------------------------------------------------------------ */

/* 100 changes on each of two branches are merged, of a struct sharing. */
void merges_measure(const void *sharing, struct result *out); /* 1 */
/* The same, by git. */
bool merges_git_there(void);
void merges_git(const void *sharing, struct result *out); /* 1 */
/* Transactions of 1 put, of a struct sharing: ordinary, optimistic, and optimistic upon a head that
 * has moved; then of 1,000. */
#define OPTIMISTIC_RESULTS 6
void merges_optimistic(const void *sharing, struct result *out); /* OPTIMISTIC_RESULTS */

/* ---- versions: of ramet alone: versions.c ------------------------------------------------------
 */

/* Differences of two versions, of a struct sharing, in so many scattered entries: time and pages.
 */
#define DIFFS 6
static const size_t diff_changes[DIFFS] = {1, 10, 100, 1000, 10000, 100000};
void versions_diff(const void *sharing, struct result *out); /* DIFFS */
/* Bases in histories of so many versions (branching->bytes): two arms, tasks, to and fro, the
 * worst, crosses. */
#define BASES 5
void versions_bases(const void *branching, struct result *out); /* BASES */
/* So many branches are made, listed, deleted. */
void versions_many(const void *branching, struct result *out); /* 3 */

/* ---- watching: watches.c --------------------------------------------------------------------- */

/* Unflushed commits of one entry, with none and with a thousand who watch: in another process, in
 * another thread. Of a struct sharing. */
void watches_cost(const void *sharing, struct result *out); /* 2 and 2 */
/* From the beginning of a commit until a process that waits for it has read what was written. */
void watches_latency(const void *sharing, struct result *out); /* 1 */

/* ---- blobs: of ramet alone: blobs.c ---------------------------------------------------------- */

/* An image of branching->bytes: its clone, that of one a hundred times as large, what 4,096
 * scattered pages add to the store, and what differs in 1,000 of the large one. */
#define IMAGES 4
void blobs_images(const void *branching, struct result *out); /* IMAGES */
/* A region of so many bytes: fork, open; stores to clean pages in a bare mapping, in it, with a
 * hint; commits of 1 % and of 10 %, each after the same pages alone; reset of a quarter as large,
 * and a fork of that. */
#define REGIONS 11
void blobs_regions(const void *branching, struct result *out);      /* REGIONS */
void blobs_large_region(const void *branching, struct result *out); /* 1: its opening */

/* ---- disks over NBD: nbd.c --------------------------------------------------------------------
 */

/* nbdkit's file plugin; ramet, of main and of clones of clones of it: of depth 10, as deep as
 * overlays go, and as clones go; qemu-nbd on qcow2: no backing, depth 10, and as deep as they go.
 */
#define NBD_SERVERS 8
/* Reads of 4 KiB, one at a time and 16, of each of them; sequential reads, and writes, of the file
 * and of ramet; scattered writes to a fresh clone and to a fresh overlay, without and with flushes.
 */
#define NBD_RESULTS (2 * NBD_SERVERS + 8)
bool nbd_servers_there(void);
void nbd_measure(const void *branching, struct result *out); /* NBD_RESULTS */
/* 10,000 clones of an image: made, used over NBD, listed, dropped, by the clone; all that. */
#define NBD_CLONES 5
void nbd_clones(const void *branching, struct result *out); /* NBD_CLONES */

/* ---- values in memory: values.c -------------------------------------------------------------- */

enum value_task {
    VALUE_ATOMIC, /* a counter, up and down */
    VALUE_STR_COPY,
    VALUE_VEC_COPY,
    VALUE_SEQ_COPY,
    VALUE_POINTER, /* that is counted */
    VALUE_STR_KEEP,
    VALUE_VEC_KEEP,
    VALUE_SEQ_KEEP,
    VALUE_COW_KEEP, /* of libstdc++'s string */
    VALUE_MOVE,     /* 24 bytes */
    VALUE_NEAR_KEEP,
    VALUE_FLAT_GET,
    VALUE_SEQ_GET,
    VALUE_FLAT_SUM,
    VALUE_SEQ_SUM,
    VALUE_FLAT_SET,
    VALUE_SEQ_SET,
    VALUE_SET_SHARED,
    VALUE_SET_DROP,
    VALUE_FLAT_COPY,
    VALUE_FLAT_PUSH,
    VALUE_VEC_PUSH,
    VALUE_SEQ_PUSH,
    VALUE_FLAT_APPEND,
    VALUE_STR_APPEND,
    VALUE_COW_APPEND,
    VALUE_CONCAT,
    VALUE_SLICE,
    VALUE_TASKS
};
/* With large arrays of branching->bytes. */
void values_measure(const void *branching, struct result *out); /* VALUE_TASKS */

/* ---- samples and rows: rows.c ------------------------------------------------------------------
 */

/* Of a map that threads share, for each size. */
enum map_sample {
    MAP_ROW_1, /* readers */
    MAP_ROW_2,
    MAP_ANY_1,
    MAP_ANY_2,
    MAP_ONE_HELD,
    MAP_ONE_HELD_BESIDE,
    MAP_ONE_BESIDE,
    MAP_TEXT,
    MAP_TEXT_MANY,
    MAP_ONE_SET,
    MAP_MANY_SET,
    MAP_ONE_SNAPSHOT,
    MAP_SAMPLES
};

#define MAP_SIZES 3
static const size_t map_sizes[MAP_SIZES] = {1000, 100000, 1000000};

enum sample {
    NO_SAMPLE,
    SORTED_LOAD,
    SORTED_SCAN,
    RANDOM_LOAD,
    RANDOM_SIZE,
    RANDOM_SCAN,
    RANGE,
    OVERWRITE,
    GET, /* + enum keys */
    GET_MANY = GET + KEYS_KINDS,
    GET_LARGE,
    READ_1,
    READ_2,
    READ_BESIDE,
    GET_FRESH,
    COMMIT_1,
    COMMIT_2,
    COMMIT_16_16, /* threads, branches */
    COMMIT_16_1,
    OPEN_CLEAN,
    OPEN_KILLED,
    OPEN_LARGE,
    SIZE_BEFORE,
    SIZE_HELD,
    MEMORY_PART,
    MEMORY,
    MEMORY_LARGE_PART,
    MEMORY_LARGE,
    BRANCH_SMALL, /* and DROPS more, by pages */
    BRANCH_BIG = BRANCH_SMALL + 1 + DROPS,
    BRANCH_HUGE = BRANCH_BIG + 1 + DROPS,
    OVERWRITE_ALONE = BRANCH_HUGE + 1 + DROPS,
    OVERWRITE_SHARED,
    MERGE,
    MERGE_GIT,
    DIFF,                    /* and DIFFS - 1 more */
    BASE = DIFF + DIFFS,     /* and BASES - 1 more */
    MANY_FEW = BASE + BASES, /* made, listed, deleted */
    MANY_LOTS = MANY_FEW + 3,
    WATCH_NONE = MANY_LOTS + 3, /* and with a process, none, and with a thread */
    WATCH_LATENCY = WATCH_NONE + 4,
    OPTIMISTIC = WATCH_LATENCY + 1,
    IMAGE = OPTIMISTIC + OPTIMISTIC_RESULTS,
    REGION = IMAGE + IMAGES,
    REGION_LARGE = REGION + REGIONS,
    NBD,
    NBD_CLONE = NBD + NBD_RESULTS,
    MAP = NBD_CLONE + NBD_CLONES,          /* + MAP_SAMPLES * index of the size */
    VALUE = MAP + MAP_SIZES * MAP_SAMPLES, /* + enum value_task */
    SAMPLES = VALUE + VALUE_TASKS + 2,
    MAP_MEMORY_ROW = SAMPLES - 2,
    MAP_MEMORY_SHUFFLED
};

enum group {
    GROUP_LOAD,
    GROUP_GET,
    GROUP_READERS,
    GROUP_COMMIT,
    GROUP_OPEN,
    GROUP_SPACE,
    GROUP_BRANCH,
    GROUP_MERGE,
    GROUP_VERSIONS,
    GROUP_WATCH,
    GROUP_BLOBS,
    GROUP_NBD,
    GROUP_MAPS,
    GROUP_VALUES,
    GROUP_LARGE,
    GROUPS
};

struct taken {
    size_t rounds;
    bool has[PEERS];
    struct result results[PEERS][ROUNDS_MAX];
};

extern struct taken samples[SAMPLES];

enum field { CPU, WALL, MEDIAN, RATE, FLUSHES, BYTES, BLOCKS, PAGES, SHARE, EACH, BESIDE };

#define AGAINST_BASE (-1)    /* the same peer's row of sample `base` */
#define AGAINST_NOTHING (-2) /* the value itself */

/* What is hoped for of ramet's value, divided by another. */
struct aim {
    enum { AIM_NONE, AIM_AT_MOST, AIM_AT_LEAST } kind;
    int against; /* a peer, or AGAINST_... */
    double bound;
};

struct row {
    enum group group;
    enum sample sample;
    enum field field;
    const char *name;
    enum sample base; /* ratios are to that, of the same peer; NO_SAMPLE: to the other peers */
    struct aim aims[2];
};

extern const struct row rows[];
extern const size_t rows_nr;
extern const char *const group_names[GROUPS], *const group_texts[GROUPS];

/* ---- the run: groups.c; what is printed: report.c -----------------------------------------------
 */

struct options {
    size_t entries, rounds, gb;
    const char *dir;
    const char *folder; /* in it, of this run */
    bool json;
    bool groups[GROUPS];
    bool peers[PEERS];
};

void group_run(enum group group, const struct options *o);
void report_machine(const struct options *o);
void report_group(enum group group);
void report_json(const struct options *o);

/* ---- measuring: measure.c -------------------------------------------------------------------- */

struct stopwatch {
    double cpu_ns, wall_ns;
};

/* Time of this process, and of the wall. */
struct stopwatch stopwatch_now(void);
static inline struct stopwatch stopwatch_since(struct stopwatch begin)
{
    struct stopwatch now = stopwatch_now();
    struct stopwatch took = {now.cpu_ns - begin.cpu_ns, now.wall_ns - begin.wall_ns};
    return took;
}
/* The time, of a clock that all processes share. */
uint64_t now_ns(void);
/* CPU time of the calling thread. */
double thread_cpu_ns(void);
void per_operation(struct result *r, struct stopwatch took, size_t count);

/* Sorts the values. */
double median(double *values, size_t count);

/* Memory of this process that is no file's: /proc/self/status, RssAnon. */
uint64_t memory_bytes(void);
/* The same, and what it has mapped of shared memory. */
uint64_t resident_bytes(void);

/* Flushes of this process so far, whoever asked for them: flushes.c. */
uint64_t flushes_count(void);

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *allocate(size_t size);

/* A fresh folder inside of dir; removed with all it holds when this process ends, unless by
 * SIGKILL. */
const char *folder_make(const char *dir);
void folder_remove(const char *path);
/* Of a store's files: their lengths, and their blocks on disk. */
void files_size(const char *path, uint64_t *out_bytes, uint64_t *out_disk_bytes);
void files_remove(const char *path);

#endif
