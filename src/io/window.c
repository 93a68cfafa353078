/* SPDX-License-Identifier: MIT */
#include "io/window.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- what the kernel's headers may not have yet (Documentation/admin-guide/mm/pagemap.rst) -----
 */

struct scan {
    uint64_t size, flags;
    uint64_t start, end, walk_end;
    uint64_t vec, vec_len, max_pages;
    uint64_t inverted, mask, anyof, returned; /* categories */
};

struct scanned {
    uint64_t start, end, categories;
};

#define SCAN _IOWR('f', 16, struct scan)
#define SCAN_ARM (1u << 0)       /* PM_SCAN_WP_MATCHING */
#define SCAN_ARM_CHECK (1u << 1) /* PM_SCAN_CHECK_WPASYNC */
#define CATEGORY_WRITTEN (1u << 1)
#define CATEGORY_FILE (1u << 2)
#define CATEGORY_PRESENT (1u << 3)
#define CATEGORY_SWAPPED (1u << 4)
#define CATEGORY_ZERO (1u << 5)

#define FEATURE_ASYNC ((uint64_t)1 << 15)       /* UFFD_FEATURE_WP_ASYNC */
#define FEATURE_UNPOPULATED ((uint64_t)1 << 13) /* UFFD_FEATURE_WP_UNPOPULATED */

#define RANGES 1024 /* that one call of the kernel finds */

/* A page's entry in /proc/self/pagemap, for kernels without a scan. */
#define ENTRY_PRESENT ((uint64_t)1 << 63)
#define ENTRY_SWAPPED ((uint64_t)1 << 62)
#define ENTRY_FILE ((uint64_t)1 << 61)

#define OS_PAGE 4096u

/* ---- mapping --------------------------------------------------------------------------------- */

static void *anonymous(void *at, size_t size)
{
    int fixed = at ? MAP_FIXED : 0;
    return mmap(at, size, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
}

/* A child has no view; and a page is written, or it is not: no huge ones. */
static int advise(void *p, size_t size)
{
    (void)madvise(p, size, MADV_NOHUGEPAGE); /* not every kernel has huge pages */
    return madvise(p, size, MADV_DONTFORK) < 0 ? rmt_fail(-errno, "a window of %zu bytes", size)
                                               : 0;
}

int rmt_window_new(size_t size, struct rmt_window *out)
{
    struct rmt_window window = {.size = size, .pagemap = -1, .faults = -1};
    void *p = anonymous(NULL, size);
    if (p == MAP_FAILED)
        return rmt_fail(-errno, "no addresses for a window of %zu bytes", size);
    int rc = advise(p, size);
    if (rc < 0) {
        (void)munmap(p, size);
        return rc;
    }
    window.base = p;
    *out = window;
    return 0;
}

void rmt_window_fini(struct rmt_window *window)
{
    if (window->base)
        (void)munmap(window->base, window->size);
    if (window->pagemap >= 0)
        (void)close(window->pagemap);
    if (window->faults >= 0)
        (void)close(window->faults);
    *window = (struct rmt_window){.pagemap = -1, .faults = -1};
}

static void watch(struct rmt_window *window, size_t off, size_t len);

int rmt_window_map(struct rmt_window *window, size_t off, struct rmt_io *io, uint64_t from,
                   size_t len)
{
    rmt_assert(off <= window->size);
    rmt_assert(len <= window->size - off);
    if (!io->ops->view)
        return -EOPNOTSUPP;
    return io->ops->view(io, window->base + off, len, from);
}

int rmt_window_settle(struct rmt_window *window)
{
    watch(window, 0, window->size);
    return advise(window->base, window->size);
}

int rmt_window_clear(struct rmt_window *window, size_t off, size_t len)
{
    rmt_assert(off <= window->size);
    rmt_assert(len <= window->size - off);
    if (anonymous(window->base + off, len) == MAP_FAILED)
        return rmt_fail(-errno, "clearing %zu bytes of a window", len);
    watch(window, off, len);
    return advise(window->base + off, len);
}

int rmt_window_drop(struct rmt_window *window, size_t off, size_t len)
{
    if (madvise(window->base + off, len, MADV_DONTNEED) < 0)
        return rmt_fail(-errno, "dropping %zu bytes of a window", len);
    return 0;
}

int rmt_window_populate(struct rmt_window *window, size_t off, size_t len)
{
#ifdef MADV_POPULATE_WRITE
    if (madvise(window->base + off, len, MADV_POPULATE_WRITE) == 0 || errno == EINVAL)
        return 0;
    return rmt_fail(-errno, "making %zu bytes of a window private", len);
#else
    (void)view, (void)off, (void)len;
    return 0; /* it is but a hint */
#endif
}

/* ---- arming ---------------------------------------------------------------------------------- */

/* From now on the window cannot tell, and says so: rmt_window_exact(). */
static void stop_watching(struct rmt_window *window)
{
    (void)close(window->faults); /* what is armed is so no more */
    window->faults = -1;
}

/* A part of the window is to be armed page by page, if the kernel can. If it cannot, say for want
 * of memory, nothing is: a part that is not watched would hide what is written there. */
static void watch(struct rmt_window *window, size_t off, size_t len)
{
    struct uffdio_register r = {
        .range = {.start = (uintptr_t)window->base + off, .len = len},
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    if (window->faults >= 0 && ioctl(window->faults, UFFDIO_REGISTER, &r) < 0)
        stop_watching(window);
}

/* The first time. A kernel that cannot, or does not let us, is no failure. */
static void watch_all(struct rmt_window *window)
{
    window->armed = true;
    window->faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    struct uffdio_api api = {.api = UFFD_API, .features = FEATURE_ASYNC | FEATURE_UNPOPULATED};
    if (window->faults >= 0 && ioctl(window->faults, UFFDIO_API, &api) < 0)
        stop_watching(window);
    watch(window, 0, window->size);
}

/* ---- finding --------------------------------------------------------------------------------- */

static int open_pagemap(struct rmt_window *window)
{
    if (window->pagemap >= 0)
        return 0;
    window->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return window->pagemap < 0 ? rmt_fail(-errno, "/proc/self/pagemap") : 0;
}

/* Without a scan: entry by entry. */
static int read_entries(struct rmt_window *window, size_t off, size_t len, rmt_window_fn fn,
                        void *ctx)
{
    uint64_t entries[512];
    window->coarse = true;
    size_t from = off;
    int rc = 0;
    for (size_t end = off + len; off < end && rc == 0;) {
        size_t want = rmt_min((end - off) / OS_PAGE, sizeof(entries) / sizeof(entries[0]));
        uint64_t page = ((uintptr_t)window->base + off) / OS_PAGE;
        ssize_t n = pread(window->pagemap, entries, want * 8, (off_t)(page * 8));
        if (n < 8)
            return rmt_fail(n < 0 ? -errno : -EIO, "/proc/self/pagemap");
        for (size_t i = 0; i < (size_t)n / 8 && rc == 0; i++, off += OS_PAGE) {
            bool own = entries[i] & (ENTRY_PRESENT | ENTRY_SWAPPED) && !(entries[i] & ENTRY_FILE);
            if (own)
                continue;
            rc = off > from ? fn(ctx, from, off - from) : 0;
            from = off + OS_PAGE;
        }
    }
    return rc == 0 && off > from ? fn(ctx, from, off - from) : rc;
}

/* Private pages, that were written since they were armed if only those are asked for. */
static int find(struct rmt_window *window, size_t off, size_t len, uint64_t flags, uint64_t also,
                rmt_window_fn fn, void *ctx)
{
    struct scanned ranges[RANGES];
    uint64_t own = CATEGORY_FILE | CATEGORY_ZERO;
    uint64_t base = (uintptr_t)window->base;
    struct scan scan = {
        .size = sizeof(scan),
        .flags = flags,
        .start = base + off,
        .end = base + off + len,
        .vec = (uintptr_t)ranges,
        .vec_len = RANGES,
        .inverted = own,
        .mask = own | also,
        .anyof = CATEGORY_PRESENT | CATEGORY_SWAPPED,
        .returned = CATEGORY_PRESENT,
    };
    int rc = open_pagemap(window);
    while (rc == 0 && scan.start < scan.end) {
        int n = ioctl(window->pagemap, SCAN, &scan);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && window->faults < 0) /* the kernel has none */
            return read_entries(window, off, len, fn, ctx);
        if (n < 0)
            return rmt_fail(-errno, "looking for the written pages of a window");
        for (int i = 0; i < n && rc == 0; i++)
            rc = fn(ctx, ranges[i].start - base, ranges[i].end - ranges[i].start);
        /* How far it came is right if there was room for more ranges. */
        if (n < RANGES)
            break;
        scan.start = ranges[n - 1].end;
    }
    return rc;
}

int rmt_window_written(struct rmt_window *window, size_t off, size_t len, bool arm,
                       rmt_window_fn fn, void *ctx)
{
    if (arm && !window->armed)
        watch_all(window);
    bool tells = window->faults >= 0;
    int rc = find(window, off, len, arm && tells ? SCAN_ARM | SCAN_ARM_CHECK : 0,
                  tells ? CATEGORY_WRITTEN : 0, fn, ctx);
    if (rc != -EPERM || !tells)
        return rc;
    /* The program has mapped something of its own into the window. */
    stop_watching(window);
    return find(window, off, len, 0, 0, fn, ctx);
}

int rmt_window_private(struct rmt_window *window, size_t off, size_t len, rmt_window_fn fn,
                       void *ctx)
{
    return find(window, off, len, 0, 0, fn, ctx);
}

int rmt_window_mappings(const struct rmt_window *window, uint32_t *out)
{
    uint64_t base = (uintptr_t)window->base, end = base + window->size, from, to;
    uint32_t nr = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    if (!file)
        return rmt_fail(-errno, "/proc/self/maps");
    rmt_auto(free) char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) >= 0)
        nr += sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2 && from < end && to > base;
    bool read = !ferror(file);
    (void)fclose(file);
    if (!read)
        return rmt_fail(-EIO, "/proc/self/maps");
    *out = nr;
    return 0;
}
