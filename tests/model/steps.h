/* SPDX-License-Identifier: MIT */
/* steps.h - what the steps of a program are made of: program.c and history.c. */
#ifndef STEPS_H
#define STEPS_H

#include "model/program.h"

#define BRANCHES 6
#define SNAPSHOTS 6
#define MAPS 3
extern const char *const branch_names[BRANCHES];
extern const char *const snapshot_names[SNAPSHOTS];
extern const char *const map_names[MAPS];

/* True, with that outcome: the machine has no power. */
bool step_is_cut(struct run *run);
/* The call gave what it should; or the machine is out of power, or a fault was met. */
bool step_expect(struct run *run, int64_t rc, int64_t want, const char *call);

#define TRY(call, want)                               \
    do {                                              \
        if (!step_expect(run, (call), (want), #call)) \
            return false;                             \
    } while (0)

/* A condition of the test itself. */
#define DEMAND(x, ...)                         \
    do {                                       \
        if (!(x))                              \
            return run_fail(run, __VA_ARGS__); \
    } while (0)

/* Makes what will be next, for a call that changes it; step_expected() follows before the engine is
 * asked. Others look at next only then. */
struct model_store *step_predict(struct run *run);
/* What was predicted is what may now be found at any time. Returns want. */
int step_expected(struct run *run, int want);

enum step_how {
    STEP_DONE,    /* next is what is */
    STEP_SAME,    /* so it is, and nothing needed to be written */
    STEP_REFUSED, /* as the model refused it: next never was */
    STEP_BROKEN,  /* an error came in between: what will be found may be either */
};
enum step_how step_how_of(int rc, int want);
/* The call has returned. */
void step_settle(struct run *run, enum step_how how);
void step_saw_id(struct run *run, uint64_t id);

/* A slot that writes; NULL: it does not. */
struct slot *step_writer(struct run *run, uint32_t x);
bool step_has_writer(const struct run *run, const char *branch);
/* A branch, or a snapshot by either name. */
void step_ref(const struct run *run, uint32_t x, bool snapshot, char out[MODEL_NAME * 2]);

/* ---- history.c ------------------------------------------------------------------------------- */

bool step_merge(struct run *run, const struct op *op);
bool step_pick(struct run *run, const struct op *op);
bool step_resolve(struct run *run, const struct op *op);
bool step_tag(struct run *run, const struct op *op);
bool step_prune(struct run *run, const struct op *op);
bool step_diff(struct run *run, const struct op *op);
bool step_history(struct run *run, const struct op *op);
bool step_key_history(struct run *run, const struct op *op);
bool step_base(struct run *run, const struct op *op);

/* What a store has merged, beside the model: bases of some versions. By the ids that both have. */
bool step_same_bases(struct run *run, struct ramet_store *store, uint64_t random);

/* A pin, as it is in the catalog. */
struct seen_pin {
    char source[MODEL_NAME], target[MODEL_NAME];
    uint64_t base, next; /* ids; 0: none */
};
struct seen_pins {
    RMT_VEC(struct seen_pin) pins;
};
int step_see_pins(struct ramet_store *store, struct seen_pins *out);
enum step_pins {
    STEP_PINS_BASES, /* those that merges left which succeeded */
    STEP_PINS_ALL,
    STEP_PINS_ADOPT /* what merges that died have left becomes a part of the model */
};
bool step_compare_pins(const struct seen_pins *seen, struct model_store *model, enum step_pins how,
                       char *why, size_t size);

#endif
