/* SPDX-License-Identifier: MIT */
#include "crash/crash.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/store.h"

#define DEPTH_MAX 2

void crash_choose(struct config *config, uint64_t seed)
{
    uint64_t r = model_mix(seed);
    *config = (struct config){
        .seed = seed,
        .backend = ON_SIM,
        .profile = SMALL_COMMITS,
        .page_size = model_random(&r, 8) ? 4096 : 16384,
        .durability = model_random(&r, 2)   ? RAMET_FULL
                      : model_random(&r, 3) ? RAMET_NONE
                                            : RAMET_LAZY,
        .key_style = (unsigned)model_random(&r, KEY_STYLES),
        .keys = model_random(&r, 2) ? 40 : 400,
        .value_max = model_random(&r, 4) ? 6000 : 300000,
        .many_max = model_random(&r, 2) ? 20 : 200,
        .stays_open = true,
    };
    config->usual_size = config_usual_size(config->key_style, config->page_size, &r);
    config->spill_bytes = (size_t)(model_random(&r, 3) ? 64 << 20 : 128 << 10);
    config->part_pages = (uint32_t)model_random(&r, 4);
}

static bool wrong(struct aftermath *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct aftermath *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(a->message, sizeof(a->message), fmt, args);
    va_end(args);
    return false;
}

/* The power fails once more: the same must be found. */
static bool again(struct aftermath *a, struct rmt_sim *sim)
{
    rmt_sim_boot(sim);
    a->depth++;
    a->killed = false;
    return aftermath_verify(a, sim);
}

/* Goes on from what was found. */
static bool go_on(struct aftermath *a, struct rmt_sim *sim, struct ramet_store *store, size_t found)
{
    struct op ops[CRASH_STEPS_MAX];
    struct config config = a->config;
    struct run run;
    config.seed = model_random(&a->random, UINT64_MAX);
    program_make(&config, ops, a->steps);
    run_init(&run, &config, sim);
    model_store_fini(&run.model);
    model_store_copy(a->candidates[found], &run.model);
    for (size_t i = a->count; i-- > found + 1 && a->killed;) { /* a power cut may bring them back */
        struct model_store older;
        model_store_copy(a->candidates[i], &older);
        rmt_assert(rmt_vec_push(&run.history, older));
    }
    run.store = store;
    run.verbose = getenv("V");
    run.adopt = true; /* a merge may have died */
    run.max_id = a->max_id;
    /* A store that had to be made anew is not yet durable where commits do not wait. */
    struct op sync = {.kind = OP_SYNC}, lists = {.kind = OP_LISTS};
    bool good = run_step(&run, &sync) && run_step(&run, &lists);
    for (unsigned i = 0; good && i < a->steps; i++)
        good = run_step(&run, &ops[i]);
    good = good && run_check(&run) && run_verify(&run);
    bool cut_then = good && model_random(&a->random, 4) == 0;
    if (good && !cut_then && model_random(&a->random, 16) == 0) {
        rmt_sim_cut_at(sim, UINT64_MAX, RMT_SIM_KEEP); /* this the model does not follow */
        good = run_empties(&run);
    }
    if (run.outcome == RUN_CUT || cut_then) {
        /* And now of the power cut that follows. */
        struct aftermath *next = calloc(1, sizeof(*next));
        rmt_assert(next != NULL);
        next->config = a->config;
        next->max_id = run.max_id;
        next->random = model_random(&a->random, UINT64_MAX);
        next->depth = DEPTH_MAX;
        if (cut_then)
            rmt_sim_cut_at(sim, rmt_sim_ops(sim),
                           (enum rmt_sim_fate)model_random(&a->random, RMT_SIM_FATES));
        run_close(&run);
        rmt_sim_boot(sim);
        (void)pthread_mutex_lock(&run.lock);
        next->count = run_candidates(&run, next->candidates, CANDIDATES_MAX, &next->seen);
        (void)pthread_mutex_unlock(&run.lock);
        good = aftermath_verify(next, sim);
        if (!good)
            (void)wrong(a, "after the next cut: %.1900s", next->message);
        free(next);
    } else if (!good) {
        (void)wrong(a, "going on: %.1900s", run.message);
    }
    run_fini(&run);
    return good;
}

static void report(void *ctx, const char *problem)
{
    char *first = ctx;
    if (!*first)
        (void)snprintf(first, 300, "%s", problem);
}

bool aftermath_verify(struct aftermath *a, struct rmt_sim *sim)
{
    struct ramet_options options = {
        .size = sizeof(options),
        .durability = a->config.durability,
        .page_size = a->config.page_size,
    };
    struct rmt_io *io = NULL;
    struct ramet_store *store = NULL;
    bool cut_again = a->depth < DEPTH_MAX && model_random(&a->random, 3) == 0;
    if (cut_again)
        rmt_sim_cut_at(
            sim, rmt_sim_ops(sim) + model_random(&a->random, model_random(&a->random, 2) ? 4 : 30),
            (enum rmt_sim_fate)model_random(&a->random, RMT_SIM_FATES));
    if (a->read_fails)
        rmt_sim_fail_at(sim, RMT_SIM_READ, a->read_fails - 1, -EIO);
    rmt_assert(rmt_sim_open(sim, 0, &io) == 0);
    int rc = rmt_store_open_io(io, &options, &store);
    rmt_sim_fail_at(sim, RMT_SIM_READ, UINT64_MAX, -EIO);
    if (rc == -EIO && a->read_fails) { /* it is told, and another try is no worse off */
        a->read_fails = 0;
        return aftermath_verify(a, sim);
    }
    if (rc < 0 && rmt_sim_is_cut(sim))
        return again(a, sim);
    if (rc < 0)
        return wrong(a, "opening: %d: %s", rc, ramet_errmsg());

    char first[300] = "", why[300] = "";
    size_t found = 0, count = a->killed ? a->seen : a->count;
    rc = ramet_check(store, 0, report, NULL, first);
    if (rc == 0)
        rc = run_matches_any(store, a->candidates, count, &found, why, sizeof(why));
    if (rc < 0 && rmt_sim_is_cut(sim)) {
        ramet_close(store);
        return again(a, sim);
    }
    if (rc < 0) {
        (void)wrong(a, "reading: %d: %s; %s", rc, ramet_errmsg(), first);
        ramet_close(store);
        return false;
    }
    if (found == count) {
        (void)wrong(a, "none of %zu states that may be is there;", count);
        for (size_t i = 0; i < count && i < 4; i++) {
            size_t n = strlen(a->message);
            (void)run_matches_any(store, a->candidates + i, 1, &found, why, sizeof(why));
            (void)snprintf(a->message + n, sizeof(a->message) - n, " %s %s;",
                           i ? "the one before:" : "the newest:", why);
        }
        ramet_close(store);
        return false;
    }
    if (!a->steps) {
        ramet_close(store);
        return rmt_sim_violations(sim) == 0 || wrong(a, "the disk was misused");
    }
    return go_on(a, sim, store, found);
}
