/* SPDX-License-Identifier: MIT */
/*
 * blobs.c - blobs: clones of a disk image, what differs between two; and as memory, beside what a
 * program would do without: fork(), a bare private mapping, and writing the same pages to a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <ramet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alone.h"
#include "bench.h"

#define PAGE 4096u

/* ---- images ---------------------------------------------------------------------------------- */

#define CLONES 200

static double clone_ns(struct ramet_store *store)
{
    double ns[CLONES];
    char name[32];
    for (unsigned i = 0; i < CLONES; i++) {
        (void)snprintf(name, sizeof(name), "clone-%u", i);
        uint64_t from = now_ns();
        must(ramet_branch_create(store, name, "main"));
        ns[i] = (double)(now_ns() - from);
    }
    for (unsigned i = 0; i < CLONES; i++) {
        (void)snprintf(name, sizeof(name), "clone-%u", i);
        must(ramet_branch_delete(store, name));
    }
    return median(ns, CLONES);
}

static uint64_t used_bytes(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat.data_bytes + stat.book_bytes;
}

static int count_extent(void *ctx, const struct ramet_extent *extent)
{
    *(uint64_t *)ctx += extent->bytes;
    return 0;
}

static double diff_ns(struct ramet_store *store, const char *branch)
{
    double ns[9];
    struct ramet_txn *from, *to;
    struct ramet_blob *a, *b;
    open_blob(store, "main", RAMET_READ, &from, &a);
    open_blob(store, branch, RAMET_READ, &to, &b);
    for (size_t i = 0; i < 9; i++) {
        uint64_t bytes = 0, since = now_ns();
        must(ramet_blob_diff(a, b, count_extent, &bytes));
        ns[i] = (double)(now_ns() - since);
        if (!bytes)
            die("no difference was found");
    }
    ramet_abort(from);
    ramet_abort(to);
    return median(ns, 9);
}

void blobs_images(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    struct ramet_store *store = open_unflushed(b->path);
    make_image(store, b->bytes, b->bytes);
    wall(&out[0], clone_ns(store));
    uint64_t before = used_bytes(store);
    write_pages(store, "scattered", "main", b->bytes, 4096);
    out[2].bytes = used_bytes(store) - before;
    must(ramet_branch_delete(store, "scattered"));
    struct ramet_txn *txn; /* the same data, in an image a hundred times as large */
    struct ramet_blob *blob;
    open_blob(store, "main", RAMET_WRITE, &txn, &blob);
    must(ramet_blob_truncate(blob, 100 * b->bytes));
    must(ramet_commit(txn, NULL, NULL));
    wall(&out[1], clone_ns(store));
    write_pages(store, "changed", "main", b->bytes, 1000); /* where there is data */
    wall(&out[3], diff_ns(store, "changed"));
    ramet_close(store);
    files_remove(b->path);
}

/* ---- regions --------------------------------------------------------------------------------- */

static struct ramet_region *open_region(struct ramet_store *store)
{
    struct ramet_region *region;
    must(ramet_region_open(store, "main", "image", NULL, &region));
    return region;
}

static double open_ns(struct ramet_store *store)
{
    double ns[51];
    ramet_region_close(open_region(store)); /* finds out where it lies */
    for (size_t i = 0; i < 51; i++) {
        uint64_t since = now_ns();
        struct ramet_region *region = open_region(store);
        ns[i] = (double)(now_ns() - since);
        ramet_region_close(region);
    }
    return median(ns, 51);
}

/* fork(), and fork() with what its child takes to end, of a process that has touched so much. */
static void fork_ns(size_t bytes, double *out_fork, double *out_whole)
{
    double ns[9], whole[9];
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        die("no memory to fork with");
    (void)madvise(p, bytes, MADV_NOHUGEPAGE);
    memset(p, 1, bytes);
    for (size_t i = 0; i < 9; i++) {
        uint64_t since = now_ns();
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        ns[i] = (double)(now_ns() - since);
        (void)waitpid(pid, NULL, 0);
        whole[i] = (double)(now_ns() - since);
    }
    (void)munmap(p, bytes);
    *out_fork = median(ns, 9);
    *out_whole = median(whole, 9);
}

#define STORES 4000

/* A store to each of some clean pages that are in the cache, scattered: a page. */
static double stores_ns(uint8_t *bytes, size_t size)
{
    size_t step = size / STORES / PAGE * PAGE, sum = 0;
    if (!step)
        step = PAGE;
    for (size_t at = 0; at < size; at += step)
        sum += bytes[at];
    uint64_t since = now_ns();
    for (size_t at = 0; at < size; at += step)
        bytes[at] = (uint8_t)(bytes[at] + 1 + sum % 2);
    return (double)(now_ns() - since) / (double)(size / step);
}

/* Where the store's file has the image, or near enough: pages that are there. */
static uint8_t *bare_mapping(const char *path, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t *p =
        fd < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        die("%s: %s", path, strerror(errno));
    (void)close(fd);
    return p;
}

/* In turns, so that both see the same machine. */
static void compare_stores(struct ramet_store *store, const char *path, size_t bytes,
                           struct result *out)
{
    double bare[15], region[15], will[15];
    for (size_t i = 0; i < 15; i++) {
        uint8_t *p = bare_mapping(path, bytes);
        bare[i] = stores_ns(p, bytes);
        (void)munmap(p, bytes);
        struct ramet_region *r = open_region(store);
        region[i] = stores_ns(ramet_region_data(r), bytes);
        ramet_region_close(r);
        r = open_region(store);
        size_t part = (size_t)STORES * PAGE < bytes ? (size_t)STORES * PAGE : bytes;
        p = ramet_region_data(r);
        uint64_t since = now_ns();
        must(ramet_region_will_write(r, 0, part));
        for (size_t at = 0; at < part; at += PAGE)
            p[at]++;
        will[i] = (double)(now_ns() - since) / (double)(part / PAGE);
        ramet_region_close(r);
    }
    wall(&out[0], median(bare, 15));
    wall(&out[1], median(region, 15));
    wall(&out[2], median(will, 15));
}

/* What this process has handed to write() and its kin. */
static uint64_t written_bytes(void)
{
    char line[80];
    unsigned long long n = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "wchar: %llu", &n) == 1)
            break;
    }
    if (file)
        (void)fclose(file);
    return n;
}

/* The same pages, one behind the other, into a file that has room for them, and to the disk. */
static double plain_ns(int fd, const uint8_t *bytes, size_t count)
{
    struct iovec iov[256];
    uint64_t since = now_ns();
    off_t off = 0;
    for (size_t i = 0; i < count;) {
        int n = 0;
        for (; n < 256 && i < count; n++, i++)
            iov[n] = (struct iovec){(void *)(uintptr_t)(bytes + i * PAGE), PAGE};
        ssize_t done = pwritev(fd, iov, n, off);
        if (done != (ssize_t)n * PAGE)
            die("pwritev: %s", strerror(errno));
        off += done;
    }
    if (fdatasync(fd) < 0)
        die("fdatasync: %s", strerror(errno));
    return (double)(now_ns() - since);
}

/* Commits of so many scattered pages, and these pages alone, in turns: times, and bytes for one
 * that was dirty. */
static void compare_commits(struct ramet_region *region, int fd, size_t bytes, size_t count,
                            struct result *out)
{
    uint8_t *p = ramet_region_data(region);
    double plain[7], commit[7], more[7];
    for (size_t i = 0; i < 7; i++) {
        size_t dirty = 0;
        for (size_t n = 0; n < count; n++)
            p[some(bytes / PAGE) * PAGE + some(PAGE)]++;
        struct ramet_region_info info = {.size = sizeof(info)};
        must(ramet_region_stat(region, &info));
        dirty = info.written_bytes;
        plain[i] = plain_ns(fd, p, dirty / PAGE);
        uint64_t before = written_bytes(), since = now_ns();
        must(ramet_region_commit(region, NULL, NULL));
        commit[i] = (double)(now_ns() - since);
        more[i] = (double)(written_bytes() - before) / (double)dirty;
    }
    wall(&out[0], median(plain, 7));
    wall(&out[1], median(commit, 7));
    out[1].share = median(more, 7);
}

static double reset_ns(struct ramet_region *region, size_t bytes)
{
    double ns[51];
    uint8_t *p = ramet_region_data(region);
    size_t sum = 0;
    for (size_t at = 0; at < bytes; at += PAGE)
        sum += p[at];
    for (size_t i = 0; i < 51; i++) {
        for (size_t n = 0; n < 100; n++)
            p[some(bytes / PAGE) * PAGE] = (uint8_t)(i + sum % 2);
        uint64_t since = now_ns();
        must(ramet_region_reset(region));
        ns[i] = (double)(now_ns() - since);
    }
    return median(ns, 51);
}

static int plain_file(const char *path, size_t bytes)
{
    char name[4300];
    (void)snprintf(name, sizeof(name), "%s.plain", path);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || unlink(name) < 0 || posix_fallocate(fd, 0, (off_t)bytes))
        die("%s: %s", name, strerror(errno));
    return fd;
}

void blobs_regions(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    size_t bytes = b->bytes;
    double ns, whole;
    fork_ns(bytes, &ns, &whole);
    wall(&out[0], ns);
    struct ramet_store *store = open_unflushed(b->path);
    make_image(store, bytes, bytes);
    wall(&out[1], open_ns(store));
    compare_stores(store, b->path, bytes, &out[2]);
    ramet_close(store);
    struct ramet_options durable = {.size = sizeof(durable)};
    must(ramet_open(b->path, &durable, &store));
    struct ramet_region *region = open_region(store);
    int fd = plain_file(b->path, bytes / 4);
    compare_commits(region, fd, bytes, bytes / PAGE / 100, &out[5]);
    compare_commits(region, fd, bytes, bytes / PAGE / 10, &out[7]);
    (void)close(fd);
    ramet_region_close(region);
    ramet_close(store);
    files_remove(b->path);

    store = open_unflushed(b->path);
    make_image(store, bytes / 4, bytes / 4);
    region = open_region(store);
    wall(&out[9], reset_ns(region, bytes / 4));
    fork_ns(bytes / 4, &ns, &whole);
    wall(&out[10], whole);
    ramet_region_close(region);
    ramet_close(store);
    files_remove(b->path);
}

void blobs_large_region(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    struct ramet_store *store = open_unflushed(b->path);
    make_image(store, b->bytes, b->bytes);
    wall(&out[0], open_ns(store));
    ramet_close(store);
    files_remove(b->path);
}
