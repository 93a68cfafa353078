/* SPDX-License-Identifier: MIT */
/*
 * model-test.c - random programs over the whole public API, step by step beside a plain model.
 *
 *   --seed=N      the first program (default 1; 0: by the clock)
 *   --programs=N  how many, of seeds in a row
 *   --steps=N     operations of each
 *   --seconds=N   stop after so long
 *   --only=I,J..  these operations alone, as a shrunk failure prints them
 *   --verbose     prints every operation before it is done
 *   --no-fork     runs in this process, for a debugger
 *   --long        for an hour, or --seconds after it
 *   --merges      programs of merges: what two versions have in common, conflicts, history
 *
 * A failing program is shrunk to the operations that matter, and printed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "model/forked.h"
#include "model/program.h"
#include "model/shrink.h"

#define TIMEOUT_S 300
#define SHRINK_S 240
#define LONG_S 3600

struct options {
    uint64_t seed, programs, seconds;
    size_t steps;
    const char *only;
    bool verbose, no_fork, merges;
};

struct program {
    struct config config;
    const struct op *ops;
    const size_t *kept; /* indexes of the operations to run */
    size_t count;
    bool verbose, check_all;
};

static bool run_program(struct run *run, const struct program *p)
{
    if (!run_open(run))
        return false;
    for (size_t i = 0; i < p->count; i++) {
        if (!run_step(run, &p->ops[p->kept[i]]))
            return false;
        if (p->check_all && !run_check(run))
            return false;
    }
    if (!run_verify(run) || !run_check(run))
        return false;
    if (run->sim && rmt_sim_violations(run->sim))
        return run_fail(run, "the disk was misused");
    return run_empties(run);
}

static bool run_one(void *ctx, char *message, size_t size)
{
    const struct program *p = ctx;
    struct rmt_sim *sim = NULL;
    struct run run;
    char folder[] = "/tmp/ramet-model-XXXXXX";

    if (p->config.backend == ON_SIM)
        sim = rmt_sim_new(p->config.seed, UINT64_C(2) << 30);
    run_init(&run, &p->config, sim);
    run.verbose = p->verbose;
    if (p->config.backend == ON_FILE && mkdtemp(folder))
        (void)snprintf(run.path, sizeof(run.path), "%s/store", folder);
    bool good = run_program(&run, p);
    if (!good)
        (void)snprintf(message, size, "%s", run.message);
    run_fini(&run);
    rmt_sim_free(sim);
    if (*run.path) {
        char lock_file[160];
        (void)snprintf(lock_file, sizeof(lock_file), "%s-lock", run.path);
        (void)unlink(run.path);
        (void)unlink(lock_file);
        (void)rmdir(folder);
    }
    return good;
}

struct shrinking {
    struct program *p;
    char message[4096]; /* of the last failure */
};

static bool fails(void *ctx, const size_t *kept, size_t count)
{
    struct shrinking *s = ctx;
    struct program p = *s->p;
    p.kept = kept;
    p.count = count;
    p.check_all = true;
    return !forked_run(run_one, &p, TIMEOUT_S, true, s->message, sizeof(s->message));
}

static bool try_seed(const struct options *o, uint64_t seed)
{
    rmt_auto(free) void *ops_mem = calloc(o->steps + 1, sizeof(struct op));
    rmt_auto(free) void *kept_mem = calloc(o->steps + 1, sizeof(size_t));
    struct op *ops = ops_mem;
    size_t *kept = kept_mem;
    rmt_assert(ops && kept);

    struct program p = {.ops = ops, .kept = kept, .verbose = o->verbose, .check_all = o->only};
    char message[4096] = "";
    config_choose(&p.config, seed);
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
            o->steps = n;
        else if (strncmp(a, "--seconds=", 10) == 0)
            o->seconds = n;
        else if (strncmp(a, "--only=", 7) == 0)
            o->only = value + 1;
        else if (strcmp(a, "--verbose") == 0)
            o->verbose = true;
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
    struct options o = {.seed = 1, .programs = 120, .seconds = 45, .steps = 300};
    if (!parse(argc, argv, &o)) {
        (void)fprintf(stderr,
                      "usage: %s [--seed=N] [--programs=N] [--steps=N] [--seconds=N] "
                      "[--only=I,J] [--verbose] [--no-fork] [--long] [--merges]\n",
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
