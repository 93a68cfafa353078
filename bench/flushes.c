/* SPDX-License-Identifier: MIT */
/*
 * flushes.c - counts what this process asks the disk to make durable.
 *
 * The program defines the C library's own names, so the calls of both peers come by here:
 * fdatasync, fsync, msync, and writes to a descriptor that was opened with O_SYNC or O_DSYNC, each
 * of which is a flush too (LMDB writes its meta page through one).
 */
#undef _FILE_OFFSET_BITS /* pwrite() and pwrite64() are two names here */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define OVERRIDE __attribute__((visibility("default")))

static _Atomic uint64_t count;

uint64_t flushes_count(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}

static void counted(void)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
}

OVERRIDE int fdatasync(int fd)
{
    counted();
    return (int)syscall(SYS_fdatasync, fd);
}

OVERRIDE int fsync(int fd)
{
    counted();
    return (int)syscall(SYS_fsync, fd);
}

OVERRIDE int msync(void *addr, size_t len, int flags)
{
    if (flags & MS_SYNC)
        counted();
    return (int)syscall(SYS_msync, addr, len, flags);
}

static ssize_t write_at(int fd, const void *buf, size_t len, off_t off)
{
    int saved = errno, flags = fcntl(fd, F_GETFL);
    errno = saved;
    if (flags >= 0 && flags & O_DSYNC) /* O_SYNC has this bit too */
        counted();
    return syscall(SYS_pwrite64, fd, buf, len, off);
}

OVERRIDE ssize_t pwrite(int fd, const void *buf, size_t len, off_t off)
{
    return write_at(fd, buf, len, off);
}

OVERRIDE ssize_t pwrite64(int fd, const void *buf, size_t len, off_t off)
{
    return write_at(fd, buf, len, off);
}
