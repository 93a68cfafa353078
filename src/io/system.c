/* SPDX-License-Identifier: MIT */
#include "io/system.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ZEROS ((size_t)1 << 16)

int rmt_system_read(int fd, const char *name, void *buf, size_t len, uint64_t off)
{
    uint8_t *p = buf;
    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rmt_fail(-errno, "store '%s': cannot read %zu bytes at %" PRIu64, name, len,
                            off);
        if (n == 0)
            return rmt_fail(-ENODATA, "store '%s': ends before byte %" PRIu64, name, off + len);
        p += n;
        len -= (size_t)n;
        off += (uint64_t)n;
    }
    return 0;
}

/* A write brings its bytes into the kernel's cache in blocks as large as itself, up to MiB, and
 * each later write of a few pages into such a block goes over all of it (ext4, Linux 6.18: a
 * microsecond and more). Smaller than this, the calls begin to cost. */
#define WRITE_BYTES ((size_t)64 << 10)

/* Takes n bytes off the front of the array. */
static void iov_skip(struct iovec **iov, int *count, size_t n)
{
    while (*count && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*count)--;
    }
    if (*count) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

/* One write of WRITE_BYTES at most; how much, or -1. */
static ssize_t write_some(int fd, struct iovec *iov, int count, uint64_t off)
{
    size_t bytes = 0, over;
    int n = 0;
    while (n < count && bytes < WRITE_BYTES)
        bytes += iov[n++].iov_len;
    over = bytes - rmt_min(bytes, WRITE_BYTES);
    iov[n - 1].iov_len -= over;
    ssize_t rc = pwritev(fd, iov, n, (off_t)off);
    iov[n - 1].iov_len += over;
    return rc;
}

int rmt_system_write(int fd, const char *name, struct iovec *iov, int count, uint64_t off)
{
    rmt_assert(count >= 0 && count <= RMT_IOV_MAX);

    iov_skip(&iov, &count, 0); /* empty ones: a write of nothing would look like a full disk */
    while (count) {
        ssize_t n = write_some(fd, iov, count, off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rmt_fail(-errno, "store '%s': cannot write at %" PRIu64, name, off);
        if (n == 0)
            return rmt_fail(-ENOSPC, "store '%s': nothing was written at %" PRIu64, name, off);
        off += (uint64_t)n;
        iov_skip(&iov, &count, (size_t)n);
    }
    return 0;
}

int rmt_system_size(int fd, const char *name, uint64_t *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return rmt_fail(-errno, "store '%s': cannot ask for its size", name);
    *out = (uint64_t)st.st_size;
    return 0;
}

/* For filesystems that have no fallocate: blocks are allocated by writing them. Returns -errno. */
static int write_zeros(int fd, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[ZEROS];
    while (from < to) {
        ssize_t n = pwrite(fd, zeros, rmt_min(to - from, ZEROS), (off_t)from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        from += (uint64_t)n;
    }
    return 0;
}

/* Returns 0 or -errno. */
static int change_blocks(int fd, int mode, uint64_t off, uint64_t len)
{
    int rc;
    do
        rc = fallocate(fd, mode, (off_t)off, (off_t)len) < 0 ? -errno : 0;
    while (rc == -EINTR);
    return rc == -ENOSYS ? -EOPNOTSUPP : rc;
}

/* The bytes of the part are nobody's. Returns 0 or -errno. */
static int allocate(int fd, int mode, uint64_t off, uint64_t len)
{
    int rc = change_blocks(fd, mode, off, len);
    return rc == -EOPNOTSUPP ? write_zeros(fd, off, off + len) : rc;
}

int rmt_system_grow(int fd, const char *name, uint64_t size)
{
    uint64_t old = 0;
    int rc = rmt_system_size(fd, name, &old);
    if (rc < 0 || size <= old)
        return rc;

    struct rlimit limit; /* past it the kernel would send SIGXFSZ */
    if (size > INT64_MAX || (getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur))
        return rmt_fail(-EFBIG, "store '%s': cannot grow to %" PRIu64 " bytes", name, size);

    rc = allocate(fd, 0, old, size - old);
    if (rc < 0) {
        int shrunk = ftruncate(fd, (off_t)old); /* a part may have been allocated */
        (void)shrunk;                           /* longer than needed is harmless */
        return rmt_fail(rc, "store '%s': cannot grow to %" PRIu64 " bytes", name, size);
    }
    return 0;
}

int rmt_system_punch(int fd, const char *name, uint64_t off, uint64_t len)
{
    int rc = change_blocks(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
    if (rc < 0)
        return rmt_fail(rc, "store '%s': cannot give %" PRIu64 " bytes back at %" PRIu64, name, len,
                        off);
    return 0;
}

int rmt_system_fill(int fd, const char *name, uint64_t off, uint64_t len)
{
    int rc = allocate(fd, FALLOC_FL_KEEP_SIZE, off, len);
    if (rc < 0)
        return rmt_fail(rc, "store '%s': cannot have %" PRIu64 " bytes back at %" PRIu64, name, len,
                        off);
    return 0;
}

int rmt_system_map(int fd, const char *name, uint64_t reserve, const uint8_t **out)
{
    void *view = mmap(NULL, reserve, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (view == MAP_FAILED) {
        /* More than a file of this filesystem can have is more than it needs. EINVAL: so says
         * valgrind when it is out of address space. */
        int rc = errno == EOVERFLOW || errno == EFBIG || errno == EINVAL ? -ENOMEM : -errno;
        return rmt_fail(rc, "store '%s': cannot map %" PRIu64 " bytes", name, reserve);
    }
    *out = view;
    return 0;
}

void *rmt_system_map_writable(int fd, uint64_t reserve)
{
    void *view = mmap(NULL, reserve, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    return view == MAP_FAILED ? NULL : view;
}

int rmt_system_view(int fd, const char *name, void *at, size_t len, uint64_t off)
{
    if (off % (uint64_t)sysconf(_SC_PAGESIZE))
        return -EOPNOTSUPP;
    void *p = mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
                   (off_t)off);
    if (p == MAP_FAILED)
        return rmt_fail(-errno, "store '%s': cannot map %zu bytes at %" PRIu64, name, len, off);
    return 0;
}

int rmt_system_anonymous(size_t size, void **out)
{
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED)
        return rmt_fail(-errno, "%zu bytes of memory", size);
    *out = mem;
    return 0;
}

/* A new file without a name in the folder of a file. Returns -errno. */
static int unnamed(const char *name)
{
    const char *slash = strrchr(name, '/');
    int len = slash && slash > name ? (int)(slash - name) : 1;
    rmt_auto(free) char *path = NULL;
    if (asprintf(&path, "%.*s/.ramet-XXXXXX", len, slash ? name : ".") < 0)
        return -ENOMEM;
    path[len] = 0;
    int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd >= 0 ? fd : -errno;
    path[len] = '/';
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)unlink(path);
    return fd;
}

int rmt_system_spill(const char *name, size_t size, void **out)
{
    int fd = unnamed(name);
    if (fd == -EACCES || fd == -EPERM || fd == -EROFS)
        return rmt_system_anonymous(size, out);
    if (fd < 0)
        return rmt_fail(fd, "store '%s': cannot make a file beside it for a large transaction",
                        name);
    int rc = rmt_system_grow(fd, name, size);
    void *mem = rc < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rc == 0 && mem == MAP_FAILED)
        rc = -errno;
    (void)close(fd); /* the mapping keeps the file */
    if (rc < 0)
        return rmt_fail(rc, "store '%s': no room beside it for %zu bytes of a large transaction",
                        name, size);
    *out = mem;
    return 0;
}

/* Not FUTEX_PRIVATE_FLAG: others map the word elsewhere. */
void rmt_system_wait(struct rmt_io *io, _Atomic uint32_t *word, uint32_t expected, uint32_t ms)
{
    (void)io;
    struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0);
}

void rmt_system_wake(struct rmt_io *io, _Atomic uint32_t *word)
{
    (void)io;
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

uint64_t rmt_system_clock_ms(struct rmt_io *io)
{
    (void)io;
    struct timespec now;
    rmt_assert(clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t rmt_system_time_us(struct rmt_io *io)
{
    (void)io;
    struct timespec now;
    rmt_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void rmt_system_random(struct rmt_io *io, void *buf, size_t len)
{
    (void)io;
    uint8_t *p = buf;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        rmt_assert(n > 0 || errno == EINTR);
        if (n < 0)
            continue;
        p += n;
        len -= (size_t)n;
    }
}
