/* SPDX-License-Identifier: MIT */
/*
 * crash.h - what the crash tests share: one program on a simulated machine, and what may be found
 * after it lost power.
 */
#ifndef CRASH_H
#define CRASH_H

#include "model/program.h"

#define CANDIDATES_MAX 4096
#define KILLED RMT_SIM_FATES /* no power cut: all processes die, the machine goes on */
#define FATES (RMT_SIM_FATES + 1)

/* The program of a seed. */
#define CRASH_STEPS_MAX 200
void crash_choose(struct config *config, uint64_t seed);

/* What may be found, newest first; borrowed. */
struct aftermath {
    struct config config;
    struct model_store *candidates[CANDIDATES_MAX];
    size_t count;
    size_t seen;     /* the first so many: without a power cut the others are not allowed */
    bool killed;     /* there was none: what was not flushed is there, and may yet be lost */
    uint64_t max_id; /* ids go on above it */
    uint64_t random;
    unsigned depth;      /* of cuts within cuts */
    unsigned steps;      /* to go on for, afterwards */
    uint64_t read_fails; /* 0, or 1 + the number of the read that fails, at first */
    char message[2048];
};

/* Opens the store on a machine that has just come up, finds one of the candidates there, and goes
 * on with it; cuts again on the way. False: message says what is wrong. */
bool aftermath_verify(struct aftermath *a, struct rmt_sim *sim);

#endif
