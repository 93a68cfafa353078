/* SPDX-License-Identifier: MIT */
/*
 * fault-test.c - programs on a simulated disk of which one operation fails: the 1st write, the 2nd,
 * until none is left; then flushes, growths and reads.
 *
 * The call that meets the fault says so and changes nothing; all else goes on, the other
 * transactions too. After a flush that failed nothing is written any more until the store is opened
 * anew, and reading goes on. Then all that was acknowledged is there.
 *
 *   --seed=N --programs=N --steps=N --seconds=N --only=I,J.. --no-fork --long   as in model-test
 *   --kind=N      only faults of reads (0), writes (1), flushes (2) or growths (3)
 *   --at=N        only the fault of operation N of its kind
 *   --merges      programs of merges
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "crash/crash.h"
#include "model/forked.h"
#include "model/shrink.h"

#define TIMEOUT_S 600
#define SHRINK_S 240
#define LONG_S 3600
#define ANY UINT64_MAX

static const char *const kind_names[RMT_SIM_KINDS] = {"read", "write", "flush", "growth"};

struct options {
    uint64_t seed, programs, seconds, kind, at;
    size_t steps;
    const char *only;
    bool no_fork, merges;
};

struct program {
    struct config config;
    const struct op *ops;
    const size_t *kept;
    size_t count;
    uint64_t kind, at; /* ANY: all */
    time_t end;
    uint64_t tried;
};

/* ---- one fault ------------------------------------------------------------------------------- */

struct fault {
    enum rmt_sim_kind kind;
    uint64_t at;
    int code;
    bool while_opening;
};

static bool refuses_to_write(struct run *run)
{
    struct ramet_stat st = {.size = sizeof(st)};
    struct ramet_txn *txn = NULL;
    struct ramet_map *map;
    if (ramet_stat(run->store, &st) < 0 || !st.poisoned)
        return run_fail(run, "a flush failed, and stat does not say so");
    int rc = ramet_begin(run->store, run->model.branches.items[0].name, RAMET_WRITE | RAMET_NOWAIT,
                         &txn);
    if (rc == 0) {
        rc = ramet_map_open(txn, "m0", RAMET_CREATE, &map);
        if (rc == 0)
            rc = ramet_put(map, rmt_slice("k", 1), rmt_slice("v", 1), 0);
        if (rc == 0)
            rc = ramet_commit(txn, NULL, NULL);
        else
            ramet_abort(txn);
    }
    if (rc == -EBUSY) /* one of the program's own; it cannot commit either */
        return true;
    return rc == RAMET_EPOISONED ||
           run_fail(run, "a flush failed, and a write afterwards gives %d", rc);
}

/* After a flush that failed: reading goes on, of something that was acknowledged. */
static bool reads_on(struct run *run)
{
    static struct model_store *candidates[CANDIDATES_MAX];
    size_t found = 0, seen;
    char why[300] = "";
    struct ramet_stat st = {.size = sizeof(st)};
    /* The thread of RAMET_LAZY may have met it, and not yet gone back to what is durable. */
    for (int i = 0; i < 10000; i++) {
        if (ramet_stat(run->store, &st) < 0 || (st.poisoned && st.last_id == st.durable_id))
            break;
        (void)usleep(1000);
    }
    size_t count = run_candidates(run, candidates, CANDIDATES_MAX, &seen);
    int rc = run_matches_any(run->store, candidates, count, &found, why, sizeof(why));
    if (rc < 0)
        return run_fail(run, "a flush failed, and reading gives %d: %s", rc, ramet_errmsg());
    return found < count || run_fail(run,
                                     "a flush failed, and what is read then is none of %zu "
                                     "states: %s",
                                     count, why);
}

/* Opens the store anew, without or with a power cut before, and looks for what was acknowledged. */
static bool reopens(struct run *run, uint64_t *random)
{
    struct aftermath *a = calloc(1, sizeof(*a));
    rmt_assert(a != NULL);
    a->config = run->config;
    a->max_id = run->max_id;
    a->random = model_random(random, UINT64_MAX);
    a->depth = 100; /* no further cuts */
    a->steps = 12;
    a->read_fails = model_random(random, 2) ? 1 + model_random(random, 40) : 0;
    run_close(run);
    rmt_sim_cut_at(run->sim, UINT64_MAX, (enum rmt_sim_fate)model_random(random, RMT_SIM_FATES));
    if (model_random(random, 2))
        rmt_sim_boot(run->sim);
    a->count = run_candidates(run, a->candidates, CANDIDATES_MAX, &a->seen);
    bool good = aftermath_verify(a, run->sim);
    if (!good)
        (void)run_fail(run, "opened anew: %.1900s", a->message);
    free(a);
    return good;
}

/* What follows a call that met the fault. *out_stop: the store is poisoned, the program ends. */
static bool after_fault(struct run *run, const struct fault *f, bool *out_stop)
{
    *out_stop = false;
    if (f->kind != RMT_SIM_SYNC) {
        if (run->hurt_code != f->code)
            return run_fail(run, "a failed %s gave %d, not %d", kind_names[f->kind], run->hurt_code,
                            f->code);
        run_heal(run);
        return run_verify(run) && run_check(run);
    }
    *out_stop = true;
    run->outcome = RUN_OK;
    return refuses_to_write(run) && reads_on(run);
}

/* The last call met the fault. In the background a flush may fail at any time: then reading goes
 * back to what is durable, perhaps between two parts of a call. */
static bool met(const struct run *run, const struct fault *f)
{
    return run->outcome == RUN_HURT || (run->outcome == RUN_FAILED && f->kind == RMT_SIM_SYNC &&
                                        rmt_sim_faults_fired(run->sim) > run->faults_met);
}

static bool run_program(struct run *run, const struct program *p, const struct fault *f,
                        uint64_t *random)
{
    bool stop = false;
    run->fault_code = f->code;
    if (f->while_opening)
        rmt_sim_fail_at(run->sim, f->kind, f->at, f->code);
    if (!run_open(run)) {
        if (run->outcome != RUN_HURT)
            return false;
        run->outcome = RUN_OK;
        if (!run->store && !run_open(run)) /* once it failed, and now it does not */
            return false;
        run_close(run);
        return run_open(run) && run_verify(run) && run_check(run);
    }
    if (!f->while_opening)
        rmt_sim_fail_at(run->sim, f->kind, f->at, f->code);
    for (size_t i = 0; i < p->count && !stop; i++) {
        if (run_step(run, &p->ops[p->kept[i]]))
            continue;
        if (!met(run, f) || !after_fault(run, f, &stop))
            return false;
    }
    if (!stop && (f->kind != RMT_SIM_SYNC || !rmt_sim_faults_fired(run->sim))) {
        if (!run_verify(run) || !run_check(run)) {
            if (!met(run, f) || !after_fault(run, f, &stop))
                return false;
        }
    }
    rmt_sim_fail_at(run->sim, f->kind, UINT64_MAX, f->code);
    return reopens(run, random);
}

/* False: failed. *out_fired: there was such an operation. */
static bool try_fault(const struct program *p, const struct fault *f, bool *out_fired,
                      char *message, size_t size)
{
    struct rmt_sim *sim = rmt_sim_new(p->config.seed, UINT64_C(1) << 30);
    uint64_t random = p->config.seed ^ f->at << 4 ^ f->kind;
    struct run run;
    rmt_assert(sim != NULL);
    run_init(&run, &p->config, sim);
    bool good = run_program(&run, p, f, &random);
    *out_fired = rmt_sim_faults_fired(sim) > 0;
    if (!good)
        (void)snprintf(message, size,
                       "%s %" PRIu64 "%s failed with %d (--kind=%d --at=%" PRIu64 "): %s",
                       kind_names[f->kind], f->at, f->while_opening ? " while opening" : "",
                       f->code, f->kind, f->at, run.message);
    run_fini(&run);
    rmt_sim_free(sim);
    return good;
}

/* ---- programs -------------------------------------------------------------------------------- */

static bool run_one(void *ctx, char *message, size_t size)
{
    struct program *p = ctx;
    for (int kind = 0; kind < RMT_SIM_KINDS; kind++) {
        if (p->kind != ANY && p->kind != (uint64_t)kind)
            continue;
        for (int while_opening = 1; while_opening >= 0; while_opening--) {
            bool fired = true;
            for (uint64_t at = p->at == ANY ? 0 : p->at; fired && time(NULL) < p->end; at++) {
                bool full = at % 2 && (kind == RMT_SIM_WRITE || kind == RMT_SIM_GROW);
                struct fault f = {(enum rmt_sim_kind)kind, at, full ? -ENOSPC : -EIO,
                                  while_opening};
                if (while_opening && at > 12)
                    break;
                if (!try_fault(p, &f, &fired, message, size))
                    return false;
                p->tried += fired;
                if (p->at != ANY)
                    break;
            }
        }
    }
    printf("seed %" PRIu64 ", durability %d: %" PRIu64 " faults\n", p->config.seed,
           p->config.durability, p->tried);
    return true;
}

struct shrinking {
    struct program *p;
    char message[4096];
};

static bool fails(void *ctx, const size_t *kept, size_t count)
{
    struct shrinking *s = ctx;
    struct program p = *s->p;
    p.kept = kept;
    p.count = count;
    return !forked_run(run_one, &p, TIMEOUT_S, true, s->message, sizeof(s->message));
}

static bool try_seed(const struct options *o, uint64_t seed, time_t end)
{
    struct op ops[CRASH_STEPS_MAX];
    size_t kept[CRASH_STEPS_MAX];
    struct program p = {.ops = ops, .kept = kept, .kind = o->kind, .at = o->at, .end = end};
    char message[4096] = "";
    crash_choose(&p.config, seed);
    if (o->merges)
        config_merges(&p.config);
    program_make(&p.config, ops, o->steps);
    p.count = program_choose(o->steps, o->only, kept);
    bool good = o->no_fork ? run_one(&p, message, sizeof(message))
                           : forked_run(run_one, &p, TIMEOUT_S, false, message, sizeof(message));
    if (good)
        return true;
    (void)fprintf(stderr, "seed %" PRIu64 " of %zu steps failed: %s\n", seed, o->steps, message);
    if (!o->no_fork && !o->only) {
        struct shrinking shrinking = {.p = &p};
        p.end = time(NULL) + SHRINK_S;
        p.count = shrink_program(fails, &shrinking, kept, p.count, SHRINK_S);
        (void)fprintf(stderr, "shrunk to %zu steps: %s\n", p.count, shrinking.message);
    }
    program_describe(&p.config, ops, kept, p.count, o->steps);
    return false;
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = strchr(a, '=');
        uint64_t n = value ? strtoull(value + 1, NULL, 10) : 0;
        if (strncmp(a, "--seed=", 7) == 0)
            o->seed = n;
        else if (strncmp(a, "--programs=", 11) == 0)
            o->programs = n;
        else if (strncmp(a, "--steps=", 8) == 0)
            o->steps = rmt_min(n, CRASH_STEPS_MAX);
        else if (strncmp(a, "--seconds=", 10) == 0)
            o->seconds = n;
        else if (strncmp(a, "--kind=", 7) == 0)
            o->kind = n;
        else if (strncmp(a, "--at=", 5) == 0)
            o->at = n;
        else if (strncmp(a, "--only=", 7) == 0)
            o->only = value + 1;
        else if (strcmp(a, "--no-fork") == 0)
            o->no_fork = true;
        else if (strcmp(a, "--merges") == 0)
            o->merges = true;
        else if (strcmp(a, "--long") == 0)
            o->programs = UINT64_MAX, o->seconds = LONG_S;
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {
        .seed = 1, .programs = 20, .seconds = 40, .steps = 100, .kind = ANY, .at = ANY};
    if (!parse(argc, argv, &o)) {
        (void)fprintf(stderr,
                      "usage: %s [--seed=N] [--programs=N] [--steps=N] [--seconds=N] "
                      "[--kind=N] [--at=N] [--only=I,J] [--no-fork] [--long] [--merges]\n",
                      argv[0]);
        return 2;
    }
    if (o.seed == 0)
        o.seed = (uint64_t)time(NULL) * 1000;
    if (o.only)
        o.programs = 1;
    printf("seed %" PRIu64 "\n", o.seed);
    time_t end = time(NULL) + (time_t)o.seconds;
    uint64_t done = 0;
    for (; done < o.programs && time(NULL) < end; done++) {
        if (!try_seed(&o, o.seed + done, end))
            return 1;
    }
    printf("%" PRIu64 " programs of %zu steps\n", done, o.steps);
    return 0;
}
