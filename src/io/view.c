/* SPDX-License-Identifier: MIT */
#include "io/view.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
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

#define RANGES 256 /* that one call of the kernel finds */

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
    return madvise(p, size, MADV_DONTFORK) < 0 ? rmt_fail(-errno, "a view of %zu bytes", size) : 0;
}

int rmt_view_new(size_t size, struct rmt_view *out)
{
    struct rmt_view view = {.size = size, .pagemap = -1, .faults = -1};
    void *p = anonymous(NULL, size);
    if (p == MAP_FAILED)
        return rmt_fail(-errno, "no addresses for a view of %zu bytes", size);
    int rc = advise(p, size);
    if (rc < 0) {
        (void)munmap(p, size);
        return rc;
    }
    view.base = p;
    *out = view;
    return 0;
}

void rmt_view_fini(struct rmt_view *view)
{
    if (view->base)
        (void)munmap(view->base, view->size);
    if (view->pagemap >= 0)
        (void)close(view->pagemap);
    if (view->faults >= 0)
        (void)close(view->faults);
    *view = (struct rmt_view){.pagemap = -1, .faults = -1};
}

static int watch(struct rmt_view *view, size_t off, size_t len);

int rmt_view_map(struct rmt_view *view, size_t off, struct rmt_io *io, uint64_t from, size_t len)
{
    rmt_assert(off <= view->size);
    rmt_assert(len <= view->size - off);
    if (!io->ops->view)
        return -EOPNOTSUPP;
    int rc = io->ops->view(io, view->base + off, len, from);
    if (rc == 0)
        rc = advise(view->base + off, len);
    return rc < 0 ? rc : watch(view, off, len);
}

int rmt_view_clear(struct rmt_view *view, size_t off, size_t len)
{
    rmt_assert(off <= view->size);
    rmt_assert(len <= view->size - off);
    if (anonymous(view->base + off, len) == MAP_FAILED)
        return rmt_fail(-errno, "clearing %zu bytes of a view", len);
    int rc = advise(view->base + off, len);
    return rc < 0 ? rc : watch(view, off, len);
}

int rmt_view_drop(struct rmt_view *view, size_t off, size_t len)
{
    if (madvise(view->base + off, len, MADV_DONTNEED) < 0)
        return rmt_fail(-errno, "dropping %zu bytes of a view", len);
    return 0;
}

int rmt_view_populate(struct rmt_view *view, size_t off, size_t len)
{
#ifdef MADV_POPULATE_WRITE
    if (madvise(view->base + off, len, MADV_POPULATE_WRITE) == 0 || errno == EINVAL)
        return 0;
    return rmt_fail(-errno, "making %zu bytes of a view private", len);
#else
    (void)view, (void)off, (void)len;
    return 0; /* it is but a hint */
#endif
}

/* ---- arming ---------------------------------------------------------------------------------- */

/* A part of the view is to be armed page by page, if the kernel can. */
static int watch(struct rmt_view *view, size_t off, size_t len)
{
    struct uffdio_register r = {
        .range = {.start = (uintptr_t)view->base + off, .len = len},
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    if (view->faults < 0 || ioctl(view->faults, UFFDIO_REGISTER, &r) == 0)
        return 0;
    return rmt_fail(-errno, "watching %zu bytes of a view", len);
}

/* The first time. A kernel that cannot, or does not let us, is no failure. */
static void watch_all(struct rmt_view *view)
{
    view->armed = true;
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    struct uffdio_api api = {.api = UFFD_API, .features = FEATURE_ASYNC | FEATURE_UNPOPULATED};
    if (fd < 0)
        return;
    view->faults = fd;
    if (ioctl(fd, UFFDIO_API, &api) == 0 && watch(view, 0, view->size) == 0)
        return;
    (void)close(fd);
    view->faults = -1;
}

/* ---- finding --------------------------------------------------------------------------------- */

static int open_pagemap(struct rmt_view *view)
{
    if (view->pagemap >= 0)
        return 0;
    view->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return view->pagemap < 0 ? rmt_fail(-errno, "/proc/self/pagemap") : 0;
}

/* Without a scan: entry by entry. */
static int read_entries(struct rmt_view *view, size_t off, size_t len, rmt_view_fn fn, void *ctx)
{
    uint64_t entries[512];
    size_t from = off;
    int rc = 0;
    for (size_t end = off + len; off < end && rc == 0;) {
        size_t want = rmt_min((end - off) / OS_PAGE, sizeof(entries) / sizeof(entries[0]));
        uint64_t page = ((uintptr_t)view->base + off) / OS_PAGE;
        ssize_t n = pread(view->pagemap, entries, want * 8, (off_t)(page * 8));
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
static int find(struct rmt_view *view, size_t off, size_t len, uint64_t flags, uint64_t also,
                rmt_view_fn fn, void *ctx)
{
    struct scanned ranges[RANGES];
    uint64_t own = CATEGORY_FILE | CATEGORY_ZERO;
    uint64_t base = (uintptr_t)view->base;
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
    int rc = open_pagemap(view);
    while (rc == 0 && scan.start < scan.end) {
        int n = ioctl(view->pagemap, SCAN, &scan);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && view->faults < 0) /* the kernel has none */
            return read_entries(view, off, len, fn, ctx);
        if (n < 0)
            return rmt_fail(-errno, "looking for the written pages of a view");
        for (int i = 0; i < n && rc == 0; i++)
            rc = fn(ctx, ranges[i].start - base, ranges[i].end - ranges[i].start);
        /* How far it came is right if there was room for more ranges. */
        if (n < RANGES)
            break;
        scan.start = ranges[n - 1].end;
    }
    return rc;
}

int rmt_view_written(struct rmt_view *view, size_t off, size_t len, bool arm, rmt_view_fn fn,
                     void *ctx)
{
    if (arm && !view->armed)
        watch_all(view);
    bool tells = view->faults >= 0;
    return find(view, off, len, arm && tells ? SCAN_ARM | SCAN_ARM_CHECK : 0,
                tells ? CATEGORY_WRITTEN : 0, fn, ctx);
}

int rmt_view_private(struct rmt_view *view, size_t off, size_t len, rmt_view_fn fn, void *ctx)
{
    return find(view, off, len, 0, 0, fn, ctx);
}
