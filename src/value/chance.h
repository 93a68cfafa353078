/* SPDX-License-Identifier: MIT */
/* chance.h - random tests of values: numbers from a seed, which is printed, and --seed sets. */
#ifndef RMT_VALUE_CHANCE_H
#define RMT_VALUE_CHANCE_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t chance_seed;
static uint64_t chance_state;

static inline void chance_begin(int argc, char **argv)
{
    chance_seed = (uint64_t)time(NULL);
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--seed") == 0)
            chance_seed = strtoull(argv[i + 1], NULL, 0);
    printf("seed %" PRIu64 "\n", chance_seed);
    chance_state = chance_seed;
}

static inline uint64_t chance(uint64_t below)
{
    uint64_t x = chance_state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % below;
}

#endif
