/* SPDX-License-Identifier: MIT */
/*
 * flushes.c - counts what this process asks the disk to make durable.
 *
 * The program defines the C library's own names, so the calls of all peers come by here:
 * fdatasync, fsync, msync, and pwrites to a descriptor that was opened with O_SYNC or O_DSYNC, each
 * of which is a flush too (LMDB writes its meta page through one). sync_file_range() is no flush:
 * it starts writing, and asks the disk for nothing.
 */
#undef _FILE_OFFSET_BITS /* pwrite() and pwrite64() are two names here */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
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

/* How descriptors were opened: to ask the kernel at each write would be on the writer's account. */
#define FDS 4096
enum { UNKNOWN, PLAIN, SYNCED };
static _Atomic uint8_t known[FDS];

static bool is_synced(int fd)
{
    int kind = fd < FDS ? atomic_load_explicit(&known[fd], memory_order_relaxed) : UNKNOWN;
    if (kind == UNKNOWN) {
        int saved = errno, flags = fcntl(fd, F_GETFL);
        errno = saved;
        kind = flags >= 0 && flags & O_DSYNC ? SYNCED : PLAIN; /* O_SYNC has this bit too */
        if (fd < FDS)
            atomic_store_explicit(&known[fd], (uint8_t)kind, memory_order_relaxed);
    }
    return kind == SYNCED;
}

OVERRIDE int close(int fd)
{
    if (fd >= 0 && fd < FDS)
        atomic_store_explicit(&known[fd], UNKNOWN, memory_order_relaxed);
    return (int)syscall(SYS_close, fd);
}

static ssize_t write_at(int fd, const void *buf, size_t len, off_t off)
{
    if (fd >= 0 && is_synced(fd))
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
