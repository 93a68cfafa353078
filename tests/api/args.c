/* SPDX-License-Identifier: MIT */
#include "api/args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ramet.h"

static char prefix[256];

static bool usage(const char *program)
{
    (void)fprintf(stderr,
                  "usage: %s [--seed=N] [--seconds=N] [--count=N] [--only=TEXT] "
                  "[--dir=FOLDER] [--long] [--verbose]\n",
                  program);
    return false;
}

bool args_parse(int argc, char **argv, struct args *args)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = strchr(a, '=');
        uint64_t n = value ? strtoull(value + 1, NULL, 10) : 0;
        if (strncmp(a, "--seed=", 7) == 0)
            args->seed = n;
        else if (strncmp(a, "--seconds=", 10) == 0)
            args->seconds = n;
        else if (strncmp(a, "--count=", 8) == 0)
            args->count = n;
        else if (strncmp(a, "--only=", 7) == 0)
            args->only = value + 1;
        else if (strncmp(a, "--dir=", 6) == 0)
            args->dir = value + 1;
        else if (strcmp(a, "--long") == 0)
            args->endless = true;
        else if (strcmp(a, "--verbose") == 0)
            args->verbose = true;
        else
            return usage(argv[0]);
    }
    if (args->seed == 0)
        args->seed = (uint64_t)time(NULL);
    printf("seed %" PRIu64 "\n", args->seed);
    (void)fflush(stdout);
    fatal_prefix("seed %" PRIu64, args->seed);
    return true;
}

void fatal_prefix(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
}

void fatal(const char *fmt, ...)
{
    char line[2048];
    int n = snprintf(line, sizeof(line), "FAILED (%s): ", prefix);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
    va_end(ap);
    (void)fprintf(stderr, "%s\n", line);
    _exit(1);
}

int args_must(int rc, const char *what, int line, ...)
{
    va_list ap;
    bool good = rc == 0;
    va_start(ap, line);
    for (int code; !good && (code = va_arg(ap, int)) != 0;)
        good = rc == code;
    va_end(ap);
    if (!good)
        fatal("line %d: %s gave %d: %s", line, what, rc, ramet_errmsg());
    return rc;
}

void args_run(const struct args *args, const struct args_test *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (args->only && !strstr(tests[i].name, args->only))
            continue;
        fatal_prefix("%s (seed %" PRIu64 ")", tests[i].name, args->seed);
        tests[i].fn();
        printf("ok %s\n", tests[i].name);
        (void)fflush(stdout);
    }
}
