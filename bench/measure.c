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

double thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void per_operation(struct result *r, struct stopwatch took, size_t count)
{
    r->cpu_ns = took.cpu_ns / (double)count;
    r->wall_ns = took.wall_ns / (double)count;
}

/* A line of /proc/self/status. */
static uint64_t status_bytes(const char *name)
{
    char line[256];
    unsigned long long kib = 0;
    size_t size = strlen(name);
    FILE *f = fopen("/proc/self/status", "re");
    if (!f)
        die("/proc/self/status: %s", strerror(errno));
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, name, size) == 0 && sscanf(line + size, ": %llu", &kib) == 1)
            break;
    }
    (void)fclose(f);
    return (uint64_t)kib << 10;
}

uint64_t memory_bytes(void)
{
    return status_bytes("RssAnon");
}

uint64_t resident_bytes(void)
{
    return status_bytes("RssAnon") + status_bytes("RssShmem");
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

static uint64_t size_sum, block_sum;

static int add_size(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)path;
    (void)ftw;
    if (flag == FTW_F) {
        size_sum += (uint64_t)st->st_size;
        block_sum += (uint64_t)st->st_blocks * 512;
    }
    return 0;
}

/* The store, then what peers put beside it: what holds data, what is shared memory. */
static const char *const endings[] = {"", "-wal", "-shm", "-lock"};
#define WITH_DATA 2

static const char *beside(const char *path, size_t i)
{
    static char name[4200];
    (void)snprintf(name, sizeof(name), "%s%s", path, endings[i]);
    return name;
}

void files_size(const char *path, uint64_t *out_bytes, uint64_t *out_disk_bytes)
{
    size_sum = block_sum = 0;
    for (size_t i = 0; i < WITH_DATA; i++)
        (void)nftw(beside(path, i), add_size, 16, FTW_PHYS);
    *out_bytes = size_sum;
    *out_disk_bytes = block_sum;
}

void files_remove(const char *path)
{
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        folder_remove(beside(path, i));
}

uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
