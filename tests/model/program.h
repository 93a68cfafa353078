/* SPDX-License-Identifier: MIT */
/*
 * program.h - random programs over the public API, run step by step beside the model.
 *
 * A program is a list of operations with plain numbers as arguments; what they mean is decided when
 * they run, by what is there then. So any part of a program is a program, and a failing one can be
 * shrunk.
 *
 * Two transactions write at most (slots 0 and 1), four read (slots 2 to 5). One thread.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <pthread.h>

#include "io/sim.h"
#include "model/model.h"

/* clang-format off */
#define PROGRAM_OPS(X)                                                                          \
    X(BEGIN_WRITE) X(BEGIN_READ) X(REFRESH) X(COMMIT) X(ABORT) X(PUT) X(PUT_MANY)               \
    X(APPEND_MANY) X(PUT_WRONG) X(DEL) X(DEL_RANGE) X(MAP_OPEN) X(MAP_DROP) X(SAVEPOINT)        \
    X(ROLLBACK) X(GET) X(GET_MANY) X(READ) X(COUNT) X(SCAN) X(MAP_LIST) X(CURSOR_OPEN)          \
    X(CURSOR_MOVE) X(CURSOR_CLOSE) X(BRANCH_CREATE) X(BRANCH_DELETE) X(BRANCH_RESET)            \
    X(SNAPSHOT_CREATE) X(SNAPSHOT_DELETE) X(LISTS) X(STAT) X(RECLAIM) X(SYNC) X(CHECK)          \
    X(VERIFY) X(REOPEN) X(COPY) X(COMPACT) X(MERGE) X(PICK) X(RESOLVE) X(TAG) X(PRUNE) X(DIFF)   \
    X(HISTORY) X(BASE) X(EDIT) X(KEY_HISTORY) X(WRITE)
/* clang-format on */

#define PROGRAM_ENUM(name) OP_##name,
enum op_kind { PROGRAM_OPS(PROGRAM_ENUM) OP_KINDS };
#undef PROGRAM_ENUM

struct op {
    enum op_kind kind;
    uint32_t a, b, c, d;
};

enum backend { ON_MEMORY, ON_SIM, ON_FILE, BACKENDS };
enum profile {
    BALANCED,
    BIG_TREES,
    MANY_VERSIONS,
    MOVING,
    SMALL_COMMITS,
    MERGES,
    CRISS_CROSS,
    PROFILES
};

struct config {
    uint64_t seed;
    enum backend backend;
    enum profile profile;
    uint32_t page_size;
    int durability;
    unsigned key_style;
    unsigned keys;        /* how many different ones */
    uint64_t value_max;   /* bytes */
    uint64_t usual_size;  /* that nearly all values have; 0: they have any */
    unsigned many_max;    /* of PUT_MANY and APPEND_MANY */
    size_t spill_bytes;   /* memory of a write transaction before it spills */
    uint32_t part_pages;  /* of a value that is written in parts; 0: as usual */
    bool stays_open;      /* REOPEN does nothing: the test has its own ways */
    unsigned check_every; /* steps; 0: only where the program says so */
};

#define KEY_STYLES 10

#define SLOTS 6
#define WRITERS 2
#define CURSORS 2

struct run_cursor {
    struct ramet_cursor *cursor; /* NULL: closed */
    char map[MODEL_NAME];
    bool placed;
    uint32_t size; /* of key */
    uint8_t key[RAMET_KEY_MAX];
};

struct slot {
    struct ramet_txn *txn; /* NULL: none */
    bool write;
    bool orphan; /* its branch was deleted */
    char ref[MODEL_NAME * 2];
    struct model_version *v; /* what it reads, or has written; owned */
    RMT_VEC(struct model_version *) savepoints;
    struct run_cursor cursors[CURSORS];
};

enum outcome {
    RUN_OK,
    RUN_FAILED, /* message says how */
    RUN_CUT,    /* the simulated machine has no power any more */
    RUN_HURT,   /* a fault that was injected came back as an error: as it should */
};

struct run {
    struct config config;
    struct ramet_store *store;
    char path[128];                                             /* of ON_FILE */
    struct rmt_sim *sim;                                        /* of ON_SIM; borrowed */
    struct rmt_io *(*wrap)(struct run *run, struct rmt_io *io); /* of ON_SIM; NULL: io as it is */
    void *wrap_ctx;
    int fault_code;      /* that was injected; 0: none */
    uint64_t faults_met; /* of rmt_sim_faults_fired(), so many have come back as errors */
    int hurt_code;       /* with RUN_HURT: what came back */

    pthread_mutex_t lock; /* guards the models against hooks in other threads */
    struct model_store model;
    struct model_store next; /* as it will be, while a call that changes it is under way */
    bool has_next;
    struct model_store failed; /* as it would be, had the last call that failed succeeded */
    bool has_failed;
    RMT_VEC(struct model_store) history; /* that a power cut may bring back, oldest first */

    struct slot slots[SLOTS];
    struct slot *current; /* that the step is about; NULL: none */
    uint64_t max_id;      /* largest id that was ever seen */
    bool adopt;           /* what a merge that died has left in the store the model is to learn */
    unsigned step;
    bool verbose;
    enum outcome outcome;
    char message[2048];
};

void config_choose(struct config *config, uint64_t seed);
/* Makes it one of a program of merges: MERGES or CRISS_CROSS, of few keys. */
void config_merges(struct config *config);
/* A size for config->usual_size that goes with a key style. */
uint64_t config_usual_size(unsigned key_style, uint32_t page_size, uint64_t *random);
void program_make(const struct config *config, struct op *ops, size_t count);
/* Fills kept with the indexes of all operations, or of those in only ("3,17,44"; NULL: all).
 * Returns how many. */
size_t program_choose(size_t count, const char *only, size_t *kept);
/* Prints what fails, and how to run it again. */
void program_describe(const struct config *config, const struct op *ops, const size_t *kept,
                      size_t count, size_t steps);
void op_print(size_t index, const struct op *op);

/* Starts with the model of a new store. sim may be NULL unless the config says ON_SIM. */
void run_init(struct run *run, const struct config *config, struct rmt_sim *sim);
/* Aborts and closes what is open; frees everything but the machine. */
void run_fini(struct run *run);

/* All return false when the outcome is not RUN_OK. */
bool run_open(struct run *run);
bool run_step(struct run *run, const struct op *op);
bool run_check(struct run *run);   /* ramet_check() */
bool run_verify(struct run *run);  /* every branch and snapshot against the model */
bool run_empties(struct run *run); /* drops everything and demands the space back */
void run_close(struct run *run);   /* aborts what is open, closes the store */
/* Goes on after RUN_HURT: the transaction that met the fault is aborted. */
void run_heal(struct run *run);
/* What a power cut now may leave: newest first, borrowed, at most max. The first *out_seen of them
 * may be seen without one: what is, and what would be if the call under way came to its end. Hold
 * run->lock. */
size_t run_candidates(struct run *run, struct model_store **out, size_t max, size_t *out_seen);
bool run_fail(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reads a store, and compares it with each of the models. out_index: the first that it is, or
 * count; then why (size bytes) says what is different. < 0: it cannot be read. */
int run_matches_any(struct ramet_store *store, struct model_store *const *models, size_t count,
                    size_t *out_index, char *why, size_t size);

#endif
