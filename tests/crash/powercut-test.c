/* SPDX-License-Identifier: MIT */
/*
 * powercut-test.c - programs of writes on the simulated machine, which loses power at every single
 * operation of its disk.
 *
 * The program runs once. Before each write, flush and growth the machine is copied; each copy loses
 * power and keeps, drops, tears or scatters what was not flushed, or loses only its processes. Then
 * it comes up and must hold what was acknowledged, the one call under way whole or not at all, no
 * page lost or owned twice; and must go on from there, with ids above all that were ever seen.
 *
 *   --seed=N --programs=N --steps=N --seconds=N --only=I,J.. --no-fork --long   as in model-test
 *   --cut=N       only the cut before operation N of the disk
 *   --fate=N      only that fate
 *   --merges      programs of merges
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "crash/crash.h"
#include "crash/watched.h"
#include "model/forked.h"
#include "model/shrink.h"

#define TIMEOUT_S 900
#define SHRINK_S 300
#define LONG_S 3600
#define ANY UINT64_MAX

static const char *const fate_names[FATES] = {"kept", "dropped", "torn", "scattered", "killed"};

struct options {
    uint64_t seed, programs, seconds, cut, fate;
    size_t steps;
    const char *only;
    bool no_fork, merges;
};

struct program {
    struct config config;
    const struct op *ops;
    const size_t *kept;
    size_t count;
    uint64_t cut, fate; /* ANY: all */
};

/* ---- an io that is watched ------------------------------------------------------------------- */

struct watch {
    const struct program *program;
    struct run *run;
    uint64_t cuts; /* tried */
    bool failed;   /* guarded by run->lock */
    char message[4096];
};

struct cut {
    struct watch *watch;
    uint64_t at;
};

static bool try_fate(struct watch *w, uint64_t at, uint64_t fate)
{
    struct aftermath *a = calloc(1, sizeof(*a));
    rmt_assert(a != NULL);
    a->config = w->program->config;
    a->killed = fate == KILLED;
    a->count = run_candidates(w->run, a->candidates, CANDIDATES_MAX, &a->seen);
    a->max_id = w->run->max_id;
    a->random = model_mix(a->config.seed ^ at << 8 ^ fate);
    a->steps = model_random(&a->random, 3) ? 0 : 12;
    struct rmt_sim *sim = rmt_sim_clone(w->run->sim, a->random);
    rmt_assert(sim != NULL);
    if (fate != KILLED) {
        rmt_sim_cut_at(sim, UINT64_MAX, (enum rmt_sim_fate)fate);
        rmt_sim_boot(sim);
    }
    bool good = aftermath_verify(a, sim);
    if (!good)
        (void)snprintf(w->message, sizeof(w->message),
                       "after step %u, power cut before operation %" PRIu64
                       " of the disk (--cut=%" PRIu64 " --fate=%" PRIu64 ", %s): %s",
                       w->run->step, at, at, fate, fate_names[fate], a->message);
    rmt_sim_free(sim);
    free(a);
    return good;
}

/* In a thread of its own: the watched one may hold locks of the engine. */
static void *try_cut(void *ctx)
{
    struct cut *cut = ctx;
    struct watch *w = cut->watch;
    (void)pthread_mutex_lock(&w->run->lock);
    for (uint64_t fate = 0; fate < FATES && !w->failed; fate++) {
        if (w->program->fate == ANY || w->program->fate == fate) {
            w->failed = !try_fate(w, cut->at, fate);
            w->cuts++;
        }
    }
    (void)pthread_mutex_unlock(&w->run->lock);
    return NULL;
}

static void before_operation(void *ctx)
{
    struct watch *w = ctx;
    struct cut cut = {w, rmt_sim_ops(w->run->sim)};
    uint64_t only = w->program->cut;
    pthread_t thread;
    if (only != ANY && only != cut.at)
        return;
    rmt_assert(pthread_create(&thread, NULL, try_cut, &cut) == 0);
    rmt_assert(pthread_join(thread, NULL) == 0);
}

static struct rmt_io *watch_io(struct run *run, struct rmt_io *inner)
{
    return watched_new(inner, before_operation, run->wrap_ctx);
}

/* ---- programs -------------------------------------------------------------------------------- */

static bool has_failed(struct watch *w)
{
    (void)pthread_mutex_lock(&w->run->lock);
    bool failed = w->failed;
    (void)pthread_mutex_unlock(&w->run->lock);
    return failed;
}

static bool run_program(struct watch *w)
{
    struct run *run = w->run;
    struct op sync = {.kind = OP_SYNC}; /* of the new store, where commits do not wait for it */
    if (!run_open(run) || !run_step(run, &sync))
        return false;
    for (size_t i = 0; i < w->program->count && !has_failed(w); i++) {
        if (!run_step(run, &w->program->ops[w->program->kept[i]]))
            return false;
    }
    return run_check(run) && run_verify(run);
}

static bool run_one(void *ctx, char *message, size_t size)
{
    const struct program *p = ctx;
    struct rmt_sim *sim = rmt_sim_new(p->config.seed, UINT64_C(1) << 30);
    struct run run;
    struct watch w = {.program = p, .run = &run};
    rmt_assert(sim != NULL);
    run_init(&run, &p->config, sim);
    run.wrap = watch_io;
    run.wrap_ctx = &w;
    bool good = run_program(&w);
    if (!good)
        (void)snprintf(message, size, "without any cut: %s", run.message);
    run_close(&run); /* cuts here count as well */
    if (w.failed)
        (void)snprintf(message, size, "%s", w.message);
    good = good && !w.failed;
    printf("seed %" PRIu64 ", durability %d: %" PRIu64 " operations of the disk, %" PRIu64
           " cuts\n",
           p->config.seed, p->config.durability, rmt_sim_ops(sim), w.cuts);
    run_fini(&run);
    rmt_sim_free(sim);
    return good;
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

static bool try_seed(const struct options *o, uint64_t seed)
{
    struct op ops[CRASH_STEPS_MAX];
    size_t kept[CRASH_STEPS_MAX];
    struct program p = {.ops = ops, .kept = kept, .cut = o->cut, .fate = o->fate};
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
        else if (strncmp(a, "--cut=", 6) == 0)
            o->cut = n;
        else if (strncmp(a, "--fate=", 7) == 0)
            o->fate = n;
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
        .seed = 1, .programs = 30, .seconds = 40, .steps = 60, .cut = ANY, .fate = ANY};
    if (!parse(argc, argv, &o)) {
        (void)fprintf(stderr,
                      "usage: %s [--seed=N] [--programs=N] [--steps=N] [--seconds=N] "
                      "[--cut=N] [--fate=N] [--only=I,J] [--no-fork] [--long] [--merges]\n",
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
        if (!try_seed(&o, o.seed + done))
            return 1;
    }
    printf("%" PRIu64 " programs of %zu steps\n", done, o.steps);
    return 0;
}
