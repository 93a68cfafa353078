/* SPDX-License-Identifier: MIT */
/*
 * program-fuzz.c - any bytes as a program over the public API, step by step beside the model.
 *
 *   byte 0   where the store is: memory, the simulated machine, a file
 *   byte 1   page size and durability
 *   byte 2   how many keys, what they are like, how large values are
 *   then     7 bytes a step: operation, a (1), b (1), c (2), d (2), as in model/program.h
 */
#include <stdio.h>
#include <unistd.h>

#include "model/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 3
#define STEP 7
#define STEPS_MAX 200

static void choose(const uint8_t *data, struct config *config)
{
    static const uint32_t page_sizes[] = {4096, 8192, 65536, 4096};
    static const int durabilities[] = {RAMET_FULL, RAMET_NONE};
    *config = (struct config){
        .seed = UINT64_C(1) << 40, /* no machine that a step makes has it */
        .backend = (enum backend)(data[0] % BACKENDS),
        .page_size = page_sizes[data[1] % 4],
        .durability = durabilities[data[1] / 4 % 2],
        .key_style = data[2] % KEY_STYLES,
        .keys = data[2] & 8 ? 300 : 30,
        .value_max = data[2] & 16 ? 300000 : 6000,
        .many_max = data[2] & 32 ? 300 : 40,
        .spill_bytes = (size_t)(data[2] & 64 ? 128 << 10 : 64 << 20),
        .part_pages = data[2] & 1,
        .check_every = 20,
    };
    if (config->backend == ON_FILE) /* real flushes are slow */
        config->durability = RAMET_NONE;
}

static bool run_program(struct run *run, const uint8_t *p, size_t steps)
{
    if (!run_open(run))
        return false;
    for (; steps > 0; steps--, p += STEP) {
        struct op op = {(enum op_kind)(p[0] % OP_KINDS), p[1], p[2], (uint32_t)(p[3] | p[4] << 8),
                        (uint32_t)(p[5] | p[6] << 8)};
        if (!run_step(run, &op))
            return false;
    }
    return run_verify(run) && run_check(run) && run_empties(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct run run;
    char folder[] = "/tmp/ramet-fuzz-XXXXXX", lock_file[160];
    if (size < HEAD)
        return 0;
    choose(data, &config);
    struct rmt_sim *sim =
        config.backend == ON_SIM ? rmt_sim_new(config.seed, UINT64_C(1) << 30) : NULL;
    run_init(&run, &config, sim);
    if (config.backend == ON_FILE) {
        rmt_assert(mkdtemp(folder) != NULL);
        (void)snprintf(run.path, sizeof(run.path), "%s/store", folder);
    }
    if (!run_program(&run, data + HEAD, rmt_min((size - HEAD) / STEP, STEPS_MAX))) {
        (void)fprintf(stderr, "step %u: %s\n", run.step, run.message);
        abort();
    }
    run_fini(&run);
    rmt_assert(!sim || rmt_sim_violations(sim) == 0);
    rmt_sim_free(sim);
    if (*run.path) {
        (void)snprintf(lock_file, sizeof(lock_file), "%s-lock", run.path);
        (void)unlink(run.path);
        (void)unlink(lock_file);
        (void)rmdir(folder);
    }
    return 0;
}
