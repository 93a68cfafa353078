/* SPDX-License-Identifier: MIT */
/* measure.c - clocks, medians, folders. */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

static double clock_ns(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct stopwatch stopwatch_now(void)
{
    struct stopwatch now = {clock_ns(CLOCK_PROCESS_CPUTIME_ID), clock_ns(CLOCK_MONOTONIC)};
    return now;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    if (count == 0)
        return 0;
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "bench: ");
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

void *allocate(size_t size)
{
    void *p = calloc(1, size);
    if (!p)
        die("no memory");
    return p;
}

/* ---- folders --------------------------------------------------------------------------------- */

static char folder[4096];
static pid_t folder_owner;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void folder_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void clean_up(void)
{
    if (folder[0] && getpid() == folder_owner)
        folder_remove(folder);
}

static void on_signal(int sig)
{
    (void)sig;
    exit(130);
}

const char *folder_make(const char *dir)
{
    (void)snprintf(folder, sizeof(folder), "%s/ramet-bench.XXXXXX", dir);
    if (!mkdtemp(folder)) {
        folder[0] = '\0';
        die("no folder can be made in %s: %s", dir, strerror(errno));
    }
    folder_owner = getpid();
    (void)atexit(clean_up);
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    return folder;
}

static uint64_t size_sum;

static int add_size(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)path;
    (void)ftw;
    if (flag == FTW_F)
        size_sum += (uint64_t)st->st_blocks * 512;
    return 0;
}

uint64_t files_size(const char *path)
{
    size_sum = 0;
    (void)nftw(path, add_size, 16, FTW_PHYS);
    return size_sum;
}

/* The store, and what peers put beside it. */
void files_remove(const char *path)
{
    static const char *const endings[] = {"", "-lock", "-wal", "-shm"};
    char name[4200];
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, endings[i]);
        folder_remove(name);
    }
}
