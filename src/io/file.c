/* SPDX-License-Identifier: MIT */
/*
 * file.c - a store in a file, and beside it the lock file `PATH-lock`: the memory that its
 * processes share, and their byte locks.
 *
 * All locks are OFD locks: they belong to an open file description, so that two handles of one
 * process exclude each other, and the kernel drops them when the last descriptor is closed, however
 * its process dies. Bytes from 2^62 on are this file's own:
 *
 *   lock file  GATE      exclusive: while opening, while making the shared memory, while removing
 *                        both files again
 *              GROW      exclusive: while the store file grows
 *              PRESENT   shared: by everyone who has this lock file open
 *   store file SHARERS   shared: by everyone who has the store open with a lock file
 *              LONERS    shared: by read-only openers who could not make a lock file
 *
 * Who opens takes PRESENT, then SHARERS; who closes or dies drops SHARERS first (its descriptor is
 * the lower). So if somebody else has SHARERS and nobody else has PRESENT, there is a second lock
 * file: the store has two names, or its lock file was deleted. Sharers and loners exclude each
 * other.
 *
 * A forked child would keep its parent's locks alive, so it closes its copies of the descriptors at
 * once; its calls fail with RAMET_EFORKED.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/lock.h"
#include "io/system.h"

#define OWN_BYTES ((uint64_t)1 << 62)
enum own_byte { GATE, GROW, PRESENT, SHARERS, LONERS };

#define OPEN_TRIES 100 /* somebody makes and removes the files at the same time: start again */
#define BUSY_TRIES 50  /* somebody is just closing: look again, a millisecond later */

struct file {
    struct rmt_io io;
    char *path;      /* as the caller wrote it: io.path */
    char *real_path; /* of the store file, links followed */
    char *lock_path;
    char *temporary;           /* of a new file: the name it has until it is kept */
    int fd;                    /* set once in open; -1 in a forked child */
    int lock_fd;               /* set once in open; -1: a loner, a new file, or a forked child */
    bool made;                 /* this open made the store file */
    bool forked;               /* set once, in a forked child */
    uint8_t boot_id[16];       /* set once in open */
    struct rmt_lock grow_lock; /* GROW does not exclude the threads of one handle */
    const uint8_t *view;       /* set once in map() */
    uint64_t view_size;
    void *shared; /* set once in shared() */
    size_t shared_size;
    struct file *next; /* in open_files; guarded by files_lock */
    struct file **link;
};

/* Everything open, for the child of a fork(). */
static struct rmt_lock files_lock = {PTHREAD_MUTEX_INITIALIZER, RMT_RANK_IO};
static struct file *open_files; /* guarded by files_lock */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static struct file *file_of(struct rmt_io *io)
{
    return (struct file *)io;
}

/* ---- fork ------------------------------------------------------------------------------------ */

static void before_fork(void)
{
    rmt_lock_take(&files_lock);
}

static void after_fork_parent(void)
{
    rmt_lock_give(&files_lock);
}

static void after_fork_child(void)
{
    for (struct file *f = open_files; f; f = f->next) {
        f->forked = true;
        (void)close(f->fd);
        if (f->lock_fd >= 0)
            (void)close(f->lock_fd);
        f->fd = f->lock_fd = -1;
    }
    rmt_lock_give(&files_lock);
}

static void watch_forks(void)
{
    /* It can fail for lack of memory alone; then a child keeps locks until it ends. */
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static int check_forked(const struct file *f)
{
    if (f->forked)
        return rmt_fail(RAMET_EFORKED, "store '%s'", f->path);
    return 0;
}

/* ---- byte locks ------------------------------------------------------------------------------ */

/* Returns 0 or -errno; -EAGAIN: somebody else has it. */
static int lock_byte(int fd, uint64_t byte, short type, bool wait)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
    while (fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l) < 0) {
        if (errno == EACCES)
            return -EAGAIN;
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* 1: somebody else has a lock of the byte, 0: nobody, or -errno. */
static int byte_is_locked(int fd, uint64_t byte)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &l) < 0)
        return -errno;
    return l.l_type != F_UNLCK;
}

static int own_lock(int fd, enum own_byte byte, short type)
{
    return lock_byte(fd, OWN_BYTES + byte, type, true);
}

static int file_lock(struct rmt_io *io, uint64_t byte, enum rmt_io_lock how, bool wait)
{
    static const short types[] = {F_UNLCK, F_RDLCK, F_WRLCK};
    struct file *f = file_of(io);
    rmt_assert(byte < OWN_BYTES);
    rmt_assert(how <= RMT_IO_LOCK_EXCLUSIVE);

    int rc = check_forked(f);
    if (rc < 0)
        return rc;
    if (f->lock_fd < 0)
        return 0; /* a loner's locks are private */
    rc = lock_byte(f->lock_fd, byte, types[how], wait);
    if (rc == -EAGAIN)
        return rmt_fail(rc, "lock file '%s': byte %" PRIu64 " is taken", f->lock_path, byte);
    if (rc < 0)
        return rmt_fail(rc, "lock file '%s': cannot lock byte %" PRIu64, f->lock_path, byte);
    return 0;
}

static int file_locked(struct rmt_io *io, uint64_t byte)
{
    struct file *f = file_of(io);
    rmt_assert(byte < OWN_BYTES);

    int rc = check_forked(f);
    if (rc < 0)
        return rc;
    rc = f->lock_fd < 0 ? 0 : byte_is_locked(f->lock_fd, byte);
    if (rc < 0)
        return rmt_fail(rc, "lock file '%s': cannot ask for byte %" PRIu64, f->lock_path, byte);
    return rc;
}

/* ---- the store file -------------------------------------------------------------------------- */

static int file_read(struct rmt_io *io, void *buf, size_t len, uint64_t off)
{
    struct file *f = file_of(io);
    int rc = check_forked(f);
    return rc < 0 ? rc : rmt_system_read(f->fd, f->path, buf, len, off);
}

static int file_write(struct rmt_io *io, struct iovec *iov, int count, uint64_t off)
{
    struct file *f = file_of(io);
    int rc = check_forked(f);
    return rc < 0 ? rc : rmt_system_write(f->fd, f->path, iov, count, off);
}

static int file_sync(struct rmt_io *io)
{
    struct file *f = file_of(io);
    int rc = check_forked(f);
    if (rc < 0)
        return rc;
    if (fdatasync(f->fd) < 0)
        return rmt_fail(-errno, "store '%s': cannot flush", f->path);
    return 0;
}

static void file_sync_begin(struct rmt_io *io, uint64_t off)
{
    const struct file *f = file_of(io);
    if (!f->forked) /* an error of the device stays with the file until fdatasync() */
        (void)sync_file_range(f->fd, (off_t)off, 0, SYNC_FILE_RANGE_WRITE);
}

static int file_size(struct rmt_io *io, uint64_t *out)
{
    struct file *f = file_of(io);
    int rc = check_forked(f);
    return rc < 0 ? rc : rmt_system_size(f->fd, f->path, out);
}

static int check_writable(const struct file *f)
{
    int rc = check_forked(f);
    return rc == 0 && f->io.readonly ? rmt_fail(-EROFS, "store '%s'", f->path) : rc;
}

static int file_grow(struct rmt_io *io, uint64_t size)
{
    struct file *f = file_of(io);
    int rc = check_writable(f);
    if (rc < 0)
        return rc;

    rmt_lock_scope(&f->grow_lock);
    if (f->lock_fd < 0)
        return rmt_system_grow(f->fd, f->path, size); /* a new file: nobody else has it */
    rc = own_lock(f->lock_fd, GROW, F_WRLCK);
    if (rc < 0)
        return rmt_fail(rc, "lock file '%s': cannot lock it for growing", f->lock_path);
    rc = rmt_system_grow(f->fd, f->path, size);
    (void)own_lock(f->lock_fd, GROW, F_UNLCK);
    return rc;
}

static int file_punch(struct rmt_io *io, uint64_t off, uint64_t len)
{
    struct file *f = file_of(io);
    int rc = check_writable(f);
    return rc < 0 ? rc : rmt_system_punch(f->fd, f->path, off, len);
}

static int file_fill(struct rmt_io *io, uint64_t off, uint64_t len)
{
    struct file *f = file_of(io);
    int rc = check_writable(f);
    return rc < 0 ? rc : rmt_system_fill(f->fd, f->path, off, len);
}

static int file_map(struct rmt_io *io, uint64_t reserve, const uint8_t **out)
{
    struct file *f = file_of(io);
    rmt_assert(!f->view);
    int rc = check_forked(f);
    if (rc == 0)
        rc = rmt_system_map(f->fd, f->path, reserve, &f->view);
    if (rc < 0)
        return rc;
    f->view_size = reserve;
    *out = f->view;
    return 0;
}

static int file_view(struct rmt_io *io, void *at, size_t len, uint64_t off)
{
    struct file *f = file_of(io);
    int rc = check_forked(f);
    return rc < 0 ? rc : rmt_system_view(f->fd, f->path, at, len, off);
}

static int file_spill(struct rmt_io *io, size_t size, void **out)
{
    struct file *f = file_of(io);
    int rc = check_forked(f);
    return rc < 0 ? rc : rmt_system_spill(f->path, size, out);
}

static void file_drop_cache(struct rmt_io *io)
{
    (void)posix_fadvise(file_of(io)->fd, 0, 0, POSIX_FADV_DONTNEED); /* a wish */
}

/* ---- shared memory --------------------------------------------------------------------------- */

static int file_shared(struct rmt_io *io, size_t size, void **out)
{
    struct file *f = file_of(io);
    rmt_assert(!f->shared);
    rmt_assert(size > 0);

    int rc = check_forked(f);
    if (rc < 0)
        return rc;
    if (f->lock_fd < 0) {
        rc = rmt_system_anonymous(size, &f->shared);
    } else {
        /* Allocated, not just long enough: a full disk must not be met by storing to memory. */
        rc = own_lock(f->lock_fd, GATE, F_WRLCK);
        if (rc < 0)
            return rmt_fail(rc, "lock file '%s'", f->lock_path);
        rc = rmt_system_grow(f->lock_fd, f->lock_path, size);
        (void)own_lock(f->lock_fd, GATE, F_UNLCK);
        if (rc < 0)
            return rc;
        void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, f->lock_fd, 0);
        if (mem == MAP_FAILED)
            return rmt_fail(-errno, "lock file '%s': cannot map %zu bytes", f->lock_path, size);
        f->shared = mem;
    }
    if (rc < 0)
        return rc;
    f->shared_size = size;
    *out = f->shared;
    return 0;
}

static void file_boot_id(struct rmt_io *io, uint8_t out[16])
{
    memcpy(out, file_of(io)->boot_id, 16);
}

/* ---- closing --------------------------------------------------------------------------------- */

/* False: the name leads elsewhere by now. */
static bool is_at(int fd, const char *path)
{
    struct stat a, b;
    return path && fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Removes the files that this open made, if it left the store empty and nobody else has come. */
static void remove_made(struct file *f)
{
    uint64_t size = 0;
    if (f->lock_fd >= 0 && own_lock(f->lock_fd, GATE, F_WRLCK) < 0)
        return;
    if (lock_byte(f->fd, OWN_BYTES + SHARERS, F_WRLCK, false) < 0 ||
        rmt_system_size(f->fd, f->path, &size) < 0 || size > 0 || !is_at(f->fd, f->real_path))
        return;
    (void)unlink(f->real_path); /* an empty file is as good as none */
    if (f->lock_fd >= 0 && is_at(f->lock_fd, f->lock_path))
        (void)unlink(f->lock_path); /* the next open finds its own */
}

static void unlock_all(int fd)
{
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    (void)fcntl(fd, F_OFD_SETLK, &l); /* closing does it too, unless a new process has a copy yet */
}

/* Closes the descriptors; the store's first, for SHARERS must not outlive PRESENT. */
static void close_fds(struct file *f)
{
    if (f->fd >= 0) {
        if (f->made)
            remove_made(f);
        unlock_all(f->fd);
        (void)close(f->fd);
    }
    if (f->lock_fd >= 0) {
        unlock_all(f->lock_fd);
        (void)close(f->lock_fd);
    }
    f->fd = f->lock_fd = -1;
    f->made = false;
}

static void file_free(struct file *f)
{
    if (!f)
        return;
    rmt_lock_take(&files_lock);
    if (f->link) {
        *f->link = f->next;
        if (f->next)
            f->next->link = f->link;
    }
    rmt_lock_give(&files_lock);
    if (f->view)
        (void)munmap((void *)(uintptr_t)f->view, f->view_size);
    if (f->shared)
        (void)munmap(f->shared, f->shared_size);
    if (f->temporary && !f->forked)
        (void)unlink(f->temporary);
    close_fds(f);
    rmt_lock_fini(&f->grow_lock);
    free(f->temporary);
    free(f->path);
    free(f->real_path);
    free(f->lock_path);
    free(f);
}
RMT_AUTO(file_free, struct file)

static void file_close(struct rmt_io *io)
{
    file_free(file_of(io));
}

static const struct rmt_io_ops file_ops = {
    .close = file_close,
    .read = file_read,
    .write = file_write,
    .sync = file_sync,
    .sync_begin = file_sync_begin,
    .size = file_size,
    .grow = file_grow,
    .punch = file_punch,
    .fill = file_fill,
    .map = file_map,
    .view = file_view,
    .spill = file_spill,
    .drop_cache = file_drop_cache,
    .shared = file_shared,
    .lock = file_lock,
    .locked = file_locked,
    .wait = rmt_system_wait,
    .wake = rmt_system_wake,
    .boot_id = file_boot_id,
    .clock_ms = rmt_system_clock_ms,
    .time_us = rmt_system_time_us,
    .random = rmt_system_random,
};

/* ---- opening --------------------------------------------------------------------------------- */

static struct file *file_new(const char *path, unsigned flags)
{
    struct file *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    rmt_lock_init(&f->grow_lock, RMT_RANK_IO);
    f->fd = f->lock_fd = -1;
    f->path = strdup(path);
    f->io.ops = &file_ops;
    f->io.path = f->path;
    f->io.readonly = flags & RMT_IO_READONLY;
    f->io.durable = true;
    return f;
}

static int read_boot_id(struct file *f)
{
    char text[36] = {0};
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    int err = errno;
    if (fd >= 0)
        (void)close(fd);
    if (n != (ssize_t)sizeof(text))
        return rmt_fail(
            n < 0 ? -err : -EIO,
            "store '%s': cannot read /proc/sys/kernel/random/boot_id: is /proc mounted?", f->path);
    unsigned at = 0;
    for (size_t i = 0; i < sizeof(text) && at < 32; i++) {
        unsigned c = (unsigned char)text[i];
        if (c == '-')
            continue;
        unsigned digit = c >= 'a' ? c - 'a' + 10 : c - '0';
        f->boot_id[at / 2] = (uint8_t)(f->boot_id[at / 2] << 4 | (digit & 15));
        at++;
    }
    return 0;
}

/* Opens the store file, or makes it. */
static int open_store(struct file *f, unsigned flags, unsigned mode)
{
    bool readonly = flags & RMT_IO_READONLY;
    /* O_NONBLOCK: to be refused, not to wait for, a pipe. */
    int how = (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    for (int i = 0; i < OPEN_TRIES; i++) {
        if (!(flags & RMT_IO_MUST_CREATE)) {
            f->fd = open(f->path, how);
            if (f->fd >= 0)
                return 0;
            if (errno == ENOENT && (readonly || (flags & RMT_IO_MUST_EXIST)))
                return rmt_fail(-ENOENT, "store '%s': there is none", f->path);
            if (errno == EISDIR)
                return rmt_fail(-EISDIR, "store '%s': not a file", f->path);
            if (errno != ENOENT)
                return rmt_fail(-errno, "store '%s': cannot open it", f->path);
        }
        f->fd = open(f->path, how | O_CREAT | O_EXCL, (mode_t)mode);
        if (f->fd < 0 && errno == EEXIST && !(flags & RMT_IO_MUST_CREATE) && i > 0)
            f->fd = open(f->path, how | O_CREAT, (mode_t)mode); /* a link that leads nowhere yet */
        else
            f->made = f->fd >= 0;
        if (f->fd >= 0)
            return 0;
        if (errno != EEXIST || (flags & RMT_IO_MUST_CREATE))
            return rmt_fail(-errno, "store '%s': cannot make it", f->path);
    }
    return rmt_fail(-EBUSY, "store '%s': it comes and goes", f->path);
}

static bool is_network(const struct statfs *fs)
{
    switch ((uint32_t)fs->f_type) {
    case 0x6969:     /* NFS */
    case 0x517b:     /* SMB */
    case 0xff534d42: /* CIFS */
    case 0xfe534d42: /* SMB2 */
    case 0x564c:     /* NCP */
    case 0x01021997: /* 9p: locks and caches are as the mount says */
    case 0x5346414f: /* AFS */
    case 0x6b414653: /* kAFS */
    case 0x73757245: /* Coda */
    case 0x00c36400: /* Ceph */
    case 0x7461636f: /* OCFS2 */
    case 0x01161970: /* GFS2 */
    case 0x47504653: /* GPFS */
    case 0x0bd00bd0: /* Lustre */
    case 0x20030528: /* OrangeFS */
    case 0x013111a8: /* IBRIX */
    case 0xaad7aaea: /* PanFS */ return true;
    default: /* FUSE may be anything: trusted */ return false;
    }
}

/* Judges what was opened, and finds where its lock file belongs. */
static int check_store(struct file *f)
{
    struct stat st;
    struct statfs fs;
    if (fstat(f->fd, &st) < 0 || fstatfs(f->fd, &fs) < 0)
        return rmt_fail(-errno, "store '%s': cannot ask what it is", f->path);
    if (S_ISDIR(st.st_mode))
        return rmt_fail(-EISDIR, "store '%s': not a file", f->path);
    if (!S_ISREG(st.st_mode))
        return rmt_fail(-EINVAL, "store '%s': not a regular file", f->path);
    if (is_network(&fs))
        return rmt_fail(-EOPNOTSUPP,
                        "store '%s': on a network filesystem, whose locks and caches "
                        "cannot be trusted: put it on a local one",
                        f->path);

    free(f->real_path);
    free(f->lock_path);
    f->lock_path = NULL;
    f->real_path = realpath(f->path, NULL);
    if (!f->real_path)
        return errno == ENOENT ? 1
                               : rmt_fail(-errno, "store '%s': cannot find its folder", f->path);
    if (asprintf(&f->lock_path, "%s-lock", f->real_path) < 0) {
        f->lock_path = NULL;
        return rmt_fail(-ENOMEM, "store '%s'", f->path);
    }
    return 0;
}

/* Whoever may use the store may use the lock file. */
static void copy_owner(const struct file *f)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return;
    if (geteuid() == 0 && fchown(f->lock_fd, st.st_uid, st.st_gid) < 0)
        return;
    (void)fchmod(f->lock_fd, st.st_mode & 0666); /* else they will be told */
}

/* Opens the lock file, or makes it. May leave lock_fd -1: a loner. */
static int open_lock(struct file *f)
{
    int how = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
    rmt_assert(f->lock_path != NULL);
    for (int i = 0; i < OPEN_TRIES; i++) {
        f->lock_fd = open(f->lock_path, how);
        if (f->lock_fd >= 0)
            return 0;
        bool there = errno != ENOENT && errno != EROFS;
        if (errno == ENOENT) {
            f->lock_fd = open(f->lock_path, how | O_CREAT | O_EXCL, 0600);
            if (f->lock_fd >= 0) {
                copy_owner(f);
                return 0;
            }
            if (errno == EEXIST)
                continue;
        }
        if (f->io.readonly && !there && (errno == EROFS || errno == EACCES || errno == EPERM))
            return 0;
        return rmt_fail(-errno, "store '%s': cannot %s the lock file '%s'", f->path,
                        there ? "write to" : "make", f->lock_path);
    }
    return rmt_fail(-EBUSY, "lock file '%s': it comes and goes", f->lock_path);
}

static int no_locks(struct file *f, int rc)
{
    return rmt_fail(rc, "store '%s': its filesystem has no usable locks", f->path);
}

/* A read-only opener without a lock file: only where nobody can be writing. */
static int join_loners(struct file *f)
{
    int rc = own_lock(f->fd, LONERS, F_RDLCK);
    if (rc == 0)
        rc = byte_is_locked(f->fd, OWN_BYTES + SHARERS);
    if (rc < 0)
        return no_locks(f, rc);
    if (rc)
        return rmt_fail(-EBUSY,
                        "store '%s': open elsewhere, and the lock file '%s' cannot be made here",
                        f->path, f->lock_path);
    return 0;
}

/* With GATE held. */
static int join_sharers(struct file *f)
{
    int rc = own_lock(f->lock_fd, PRESENT, F_RDLCK);
    if (rc == 0)
        rc = own_lock(f->fd, SHARERS, F_RDLCK);
    if (rc < 0)
        return no_locks(f, rc);

    for (int i = 0; i < BUSY_TRIES; i++) {
        int present = byte_is_locked(f->lock_fd, OWN_BYTES + PRESENT);
        int sharers = byte_is_locked(f->fd, OWN_BYTES + SHARERS);
        int loners = byte_is_locked(f->fd, OWN_BYTES + LONERS);
        if (present < 0 || sharers < 0 || loners < 0)
            return no_locks(f, present < 0 ? present : sharers < 0 ? sharers : loners);
        if ((present || !sharers) && !loners)
            return 0;
        if (i + 1 == BUSY_TRIES && loners)
            return rmt_fail(-EBUSY,
                            "store '%s': open for reading by somebody who cannot write to '%s'",
                            f->path, f->lock_path);
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return rmt_fail(-EBUSY,
                    "store '%s': open with a lock file that is not '%s': under another name, "
                    "or the lock file was deleted: close it there first",
                    f->path, f->lock_path);
}

/* The name of a new file survives power loss too. */
static int sync_folder(struct file *f)
{
    rmt_auto(free) void *mem = strdup(f->real_path);
    char *folder = mem;
    if (!folder)
        return rmt_fail(-ENOMEM, "store '%s'", f->path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0; /* may be entered and not read: nothing to be done about it */
    int rc = fsync(fd) < 0 && errno != EINVAL && errno != EOPNOTSUPP ? -errno : 0;
    (void)close(fd);
    if (rc < 0)
        return rmt_fail(rc, "store '%s': cannot flush its folder", f->path);
    return 0;
}

/* One try. 1: the files changed under it, try again. */
static int open_both(struct file *f, unsigned flags, unsigned mode)
{
    int rc = open_store(f, flags, mode);
    if (rc < 0)
        return rc;
    rc = check_store(f);
    if (rc != 0)
        return rc;
    rc = open_lock(f);
    if (rc < 0)
        return rc;
    if (f->lock_fd < 0)
        return join_loners(f);

    rc = own_lock(f->lock_fd, GATE, F_WRLCK);
    if (rc < 0)
        return no_locks(f, rc);
    if (!is_at(f->lock_fd, f->lock_path))
        return 1;
    rc = join_sharers(f);
    if (rc < 0)
        return rc;
    if (!is_at(f->fd, f->real_path)) /* asked with SHARERS held: whoever removes it has it alone */
        return 1;
    uint64_t size = 0;
    rc = rmt_system_size(f->fd, f->path, &size);
    if (rc < 0)
        return rc;
    f->io.created = size == 0 && !f->io.readonly;
    if (f->io.created)
        rc = sync_folder(f);
    (void)own_lock(f->lock_fd, GATE, F_UNLCK);
    return rc;
}

static void list_file(struct file *f)
{
    rmt_lock_take(&files_lock);
    f->next = open_files;
    f->link = &open_files;
    if (f->next)
        f->next->link = &f->next;
    open_files = f;
    rmt_lock_give(&files_lock);
}

int rmt_io_file_open(const char *path, unsigned flags, unsigned mode, struct rmt_io **out)
{
    rmt_assert(path != NULL);
    rmt_assert(out != NULL);

    if ((flags & RMT_IO_MUST_CREATE) && (flags & (RMT_IO_READONLY | RMT_IO_MUST_EXIST)))
        return rmt_fail(-EINVAL, "store '%s': to be made, and yet not to be made", path);
    rmt_auto(file_free) struct file *f = file_new(path, flags);
    if (!f || !f->path)
        return rmt_fail(-ENOMEM, "store '%s'", path);
    (void)pthread_once(&fork_once, watch_forks);

    int rc = read_boot_id(f);
    if (rc < 0)
        return rc;
    for (int i = 0; (rc = open_both(f, flags, mode)) == 1; i++) {
        close_fds(f);
        if (i == OPEN_TRIES)
            return rmt_fail(-EBUSY, "store '%s': it comes and goes", path);
    }
    if (rc < 0)
        return rc;

    list_file(f);
    *out = &rmt_take(f)->io;
    return 0;
}

/* ---- new files that get their name last ------------------------------------------------------ */

static mode_t mode_like(const struct rmt_io *io)
{
    struct stat st;
    if (io->ops != &file_ops || fstat(((const struct file *)io)->fd, &st) < 0)
        return 0600;
    return st.st_mode & 0777;
}

int rmt_io_file_new(const char *path, const struct rmt_io *like, struct rmt_io **out)
{
    rmt_assert(path != NULL);
    rmt_assert(out != NULL);

    struct stat st;
    if (lstat(path, &st) == 0)
        return rmt_fail(-EEXIST, "'%s' is there already", path);
    rmt_auto(file_free) struct file *f = file_new(path, 0);
    char *name = NULL;
    if (!f || !f->path || asprintf(&name, "%s.XXXXXX", path) < 0)
        return rmt_fail(-ENOMEM, "store '%s'", path);
    (void)pthread_once(&fork_once, watch_forks);
    f->fd = mkostemp(name, O_CLOEXEC);
    if (f->fd < 0) {
        int err = errno;
        free(name);
        return rmt_fail(-err, "store '%s': cannot make it", path);
    }
    f->temporary = name;
    f->io.created = true;
    if (fchmod(f->fd, mode_like(like)) < 0)
        return rmt_fail(-errno, "store '%s': cannot set its permissions", path);
    f->real_path = realpath(f->temporary, NULL);
    if (!f->real_path)
        return rmt_fail(-errno, "store '%s': cannot find its folder", path);
    int rc = read_boot_id(f);
    if (rc < 0)
        return rc;
    list_file(f);
    *out = &rmt_take(f)->io;
    return 0;
}

/* rename() would replace what is there. Returns 0 or -errno. */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (link(from, to) < 0) /* the filesystem cannot; this one refuses as well */
        return -errno;
    return unlink(from) < 0 ? -errno : 0;
}

int rmt_io_file_keep(struct rmt_io *io)
{
    struct file *f = file_of(io);
    rmt_assert(f->temporary != NULL);
    int rc = file_sync(io);
    if (rc < 0)
        return rc;
    rc = rename_new(f->temporary, f->path);
    if (rc < 0)
        return rmt_fail(rc, "store '%s': cannot give the new file its name", f->path);
    free(f->temporary);
    f->temporary = NULL;
    return sync_folder(f);
}
