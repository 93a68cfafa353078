/* SPDX-License-Identifier: MIT */
/* args.h - the command line of random tests, how they fail, and their random numbers. */
#ifndef ARGS_H
#define ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct args {
    uint64_t seed;    /* --seed=N; 0: by the clock */
    uint64_t seconds; /* --seconds=N */
    uint64_t count;   /* --count=N */
    const char *only; /* --only=TEXT */
    const char *dir;  /* --dir=FOLDER for store files; else a new one in /tmp */
    bool endless;     /* --long */
    bool verbose;     /* --verbose */
};

/* Defaults are what is in args. Prints the seed. False: usage was printed, exit with 2. */
bool args_parse(int argc, char **argv, struct args *args);

/* What fatal() says first: a seed, or what is under way. */
void fatal_prefix(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints a sentence and ends the process with 1, whichever thread or child calls it. */
_Noreturn void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* fatal() with the call, its code and ramet_errmsg(), unless rc is one of those expected. */
#define must(call) args_must((call), #call, __LINE__, 0)
#define must_or(call, ...) args_must((call), #call, __LINE__, __VA_ARGS__, 0)
/* The codes that are allowed end with 0. Returns rc. */
int args_must(int rc, const char *what, int line, ...);

/* fatal() unless it is so. */
#define want(condition)                                 \
    do {                                                \
        if (!(condition))                               \
            fatal("line %d: %s", __LINE__, #condition); \
    } while (0)

/* Tests that a program has, by their names. */
struct args_test {
    const char *name;
    void (*fn)(void);
};
/* clang-format off */
#define ARGS_TEST(fn) {#fn, fn}
/* clang-format on */
/* Runs those whose names have what --only says in them, and says so of each. */
void args_run(const struct args *args, const struct args_test *tests, size_t count);

/* splitmix64 */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
    return random_next(state) % n;
}

#endif
