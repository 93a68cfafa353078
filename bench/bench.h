/* SPDX-License-Identifier: MIT */
/*
 * bench.h - ramet and its peers, measured in one run, turn by turn.
 *
 * Every peer works in a process of its own (worker.c), so that what its background threads do is
 * on its own account, and waits there until it is told what to do. A row is one task. In each round
 * every peer does the task in turn, with the same keys, values and batches; who begins changes from
 * round to round. Reported are medians over the rounds, and medians of the ratios within a round.
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

enum keys { KEYS_RANDOM, KEYS_KINDS };

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

/* What a reader does with what it reads, so that it is read. The peers' sums are compared. */
static inline uint64_t touch(const void *data, size_t size)
{
    return size + (size ? *(const uint8_t *)data : 0);
}

/* ---- peers ----------------------------------------------------------------------------------- */

struct peer;

/* A piece of a load: entries of order[count], batch to a commit. */
struct load {
    const struct entries *entries;
    const uint32_t *order;
    size_t count, batch;
    uint32_t salt;
    bool append; /* they come in the order of keys, into an empty store */
};

/* Whatever fails ends the program. A function that is NULL: the peer cannot do that. */
struct peer_ops {
    const char *name;
    const char *(*version)(void);
    /* The store of that name, made if it is not there. durable: commits are flushed. bytes_max: how
     * large it may get, for who must know. */
    struct peer *(*open)(const char *path, uint64_t bytes_max, bool durable);
    void (*close)(struct peer *peer);
    void (*load)(struct peer *peer, const struct load *load);
    /* One read transaction, in which the next four work. */
    void (*read_begin)(struct peer *peer);
    void (*read_end)(struct peer *peer);
    uint64_t (*get)(struct peer *peer, const struct entries *e, const uint32_t *order,
                    size_t count);
    /* The same, MANY keys at once. */
    uint64_t (*get_many)(struct peer *peer, const struct entries *e, const uint32_t *order,
                         size_t count);
    uint64_t (*scan)(struct peer *peer, size_t *out_count);
    /* From each key of order[count] on, RANGE_LEN entries, or fewer where the store ends. */
    uint64_t (*range)(struct peer *peer, const struct entries *e, const uint32_t *order,
                      size_t count);
};

extern const struct peer_ops peer_ramet, peer_lmdb, peer_disk;

/* ---- tasks: worker.c ------------------------------------------------------------------------- */

enum task {
    TASK_OPEN,         /* a store, empty the first time */
    TASK_OPEN_DURABLE, /* the same one, commits are flushed */
    TASK_CLOSE,
    TASK_REMOVE, /* what was closed */
    TASK_LOAD_SORTED,
    TASK_LOAD_RANDOM,
    TASK_OVERWRITE,
    TASK_COMMIT, /* overwrites, one to a commit */
    TASK_GET,
    TASK_GET_MANY,
    TASK_SCAN,
    TASK_RANGE,
    TASK_SIZE, /* of the store's files */
    TASK_QUIT
};

struct result {
    double cpu_ns, wall_ns; /* of an operation */
    double median_ns;       /* wall; TASK_COMMIT */
    double flushes;         /* of an operation */
    uint64_t check;         /* what was read, the same for all peers */
    uint64_t bytes;         /* TASK_SIZE */
};

struct worker;

struct plan {
    const char *dir; /* where stores lie */
    const struct entries *entries;
    size_t overwrites, commits, ranges;
};

/* Starts a process. It lives until TASK_QUIT. */
struct worker *worker_start(const struct peer_ops *ops, const struct plan *plan);
/* False: the peer cannot do it. */
bool worker_do(struct worker *worker, enum task task, uint32_t round, struct result *out);
void worker_quit(struct worker *worker);

/* ---- branches: of ramet alone ---------------------------------------------------------------- */

struct branching {
    double cpu_ns, wall_ns; /* medians, of one creation */
    uint64_t copied_pages;  /* by all creations together, as ramet_stat() has it */
    uint64_t flushes;       /* in all creations together */
    uint64_t store_bytes;   /* of data when the branches were made */
};

/* Fills a store with about size_bytes. */
void branching_load(const char *path, uint64_t size_bytes);
/* Makes count branches of it, each after a commit to the branch it comes from. Unflushed. */
void branching_run(const char *path, size_t count, struct branching *out);

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

/* Sorts the values. */
double median(double *values, size_t count);

/* Flushes of this process so far, whoever asked for them: flushes.c. */
uint64_t flushes_count(void);

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *allocate(size_t size);

/* A fresh folder inside of dir; removed with all it holds when this process ends, unless by
 * SIGKILL. */
const char *folder_make(const char *dir);
void folder_remove(const char *path);
/* Bytes on disk of all files whose path begins so. */
uint64_t files_size(const char *path);
void files_remove(const char *path);

#endif
