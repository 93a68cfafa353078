/* SPDX-License-Identifier: MIT */
/*
 * io.h - the only system calls: one store file, the memory its processes share, byte locks, clock,
 * rand.
 *
 * A table of functions, so that a test can put a simulated disk, a clock or a full disk under the
 * engine. Three back ends: file (file.c), memory (memory.c, a memfd), and a simulated disk (sim.h).
 *
 * All offsets and lengths are bytes. Functions return 0 or a code, with the message kept by
 * rmt_fail(). All may be called by several threads at once, close() aside; writes of one range are
 * not concurrent.
 */
#ifndef RMT_IO_H
#define RMT_IO_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "base/base.h"

struct rmt_io;

enum rmt_io_lock {
    RMT_IO_UNLOCK,
    RMT_IO_LOCK_SHARED,
    RMT_IO_LOCK_EXCLUSIVE,
};

struct rmt_io_ops {
    /* Releases everything, locks too. */
    void (*close)(struct rmt_io *io);

    /* ---- the store file ---- */

    /* All of len bytes, from the device or its cache, or an error; past the end: -ENODATA. */
    int (*read)(struct rmt_io *io, void *buf, size_t len, uint64_t off);
    /* All bytes of iov[count], or an error: then any part may have been written. count is at most
     * RMT_IOV_MAX. The iov array may be modified. */
    int (*write)(struct rmt_io *io, struct iovec *iov, int count, uint64_t off);
    /* What was written so far survives power loss on return (fdatasync). Never retried. */
    int (*sync)(struct rmt_io *io);
    /* Begins to write out what was written so far from off on, so that a sync that comes soon has
     * less to wait for. A hint: nothing survives because of it, and what goes wrong the sync says.
     */
    void (*sync_begin)(struct rmt_io *io, uint64_t off);
    int (*size)(struct rmt_io *io, uint64_t *out);
    /* Makes the file at least size bytes long, its blocks allocated: writing below size does not
     * meet a full disk afterwards. -ENOSPC and kin; the file is then as long as it was. New bytes
     * are 0. */
    int (*grow)(struct rmt_io *io, uint64_t size);
    /* Gives the blocks of a part of the file back to the filesystem; its length stays. What is read
     * there is anything, and nothing is written until it was filled. -EOPNOTSUPP: it cannot. */
    int (*punch)(struct rmt_io *io, uint64_t off, uint64_t len);
    /* Allocates them again: writing there does not meet a full disk afterwards. -ENOSPC and kin;
     * then any part may have been. After a power cut without a sync it may be undone. */
    int (*fill)(struct rmt_io *io, uint64_t off, uint64_t len);
    /* A read-only view of reserve bytes of the file from offset 0, until close. Bytes past the end
     * of the file must not be touched, and appear by themselves when the file grows. -ENOMEM if the
     * address space does not hold it: ask for less. Succeeds once. */
    int (*map)(struct rmt_io *io, uint64_t reserve, const uint8_t **out);
    /* Shows a part of the file, which is there, at an address, in the place of what was mapped
     * there: privately, so that writes are the process's own. Offsets are multiples of the system's
     * pages, else -EOPNOTSUPP. NULL: it cannot. */
    int (*view)(struct rmt_io *io, void *at, size_t len, uint64_t off);
    /* size bytes of zeroed memory that can be written out: of a file without a name, beside the
     * store, that goes when it is given back, by rmt_reserve_free(). -ENOSPC and kin. */
    int (*spill)(struct rmt_io *io, size_t size, void **out);
    /* The next reads of any byte come from the device, where there is one. After a sync. */
    void (*drop_cache)(struct rmt_io *io);

    /* ---- between the processes that have the store open ---- */

    /* Memory shared by all who have the store open, size bytes, zero where nobody has written yet;
     * it outlives them all (until the next boot, or for good), so its user must tell old from new.
     * At most one call. */
    int (*shared)(struct rmt_io *io, size_t size, void **out);
    /* Locks one byte of an imaginary range, 0 to 2^62; the locks of one struct rmt_io do not
     * exclude each other (a second lock of a byte replaces the first, also SHARED by EXCLUSIVE and
     * back), those of two do, in one process too. They fall when their owner dies.
     * wait false: -EAGAIN instead of waiting. */
    int (*lock)(struct rmt_io *io, uint64_t byte, enum rmt_io_lock how, bool wait);
    /* 1: another struct rmt_io has a lock of the byte that excludes an exclusive one; 0: none. */
    int (*locked)(struct rmt_io *io, uint64_t byte);
    /* Sleeps while a word of the shared memory is as expected, until somebody wakes who sleeps on
     * it, or for so long; also returns for no reason. */
    void (*wait)(struct rmt_io *io, _Atomic uint32_t *word, uint32_t expected, uint32_t ms);
    /* Ends the sleep of all who sleep on the word, in every process. */
    void (*wake)(struct rmt_io *io, _Atomic uint32_t *word);

    /* ---- the machine ---- */

    /* Changes at each boot of the machine: what was in its caches is gone then. */
    void (*boot_id)(struct rmt_io *io, uint8_t out[16]);
    uint64_t (*clock_ms)(struct rmt_io *io); /* monotonic, same for all processes of one boot */
    int64_t (*time_us)(struct rmt_io *io);   /* since 1970, UTC */
    void (*random)(struct rmt_io *io, void *buf, size_t len);
};

#define RMT_IOV_MAX 1024

struct rmt_io {
    const struct rmt_io_ops *ops;
    const char *path; /* for messages; "memory" if there is none. Owned by the back end */
    bool readonly;    /* set once in open */
    bool created;     /* set once in open: the file is new, or was empty, and may be written */
    bool durable;     /* set once in open: false for memory: flushes and recovery mean nothing */
};

enum rmt_io_open_flags {
    RMT_IO_READONLY = 1 << 0,
    RMT_IO_MUST_EXIST = 1 << 1,
    RMT_IO_MUST_CREATE = 1 << 2,
};

/*
 * Opens or creates the file at path, and beside it `PATH-lock`, the memory its processes share.
 * A symbolic link is followed first, so that the lock file stands beside the file itself.
 *   -EISDIR, -EINVAL  not a regular file
 *   -EEXIST, -ENOENT  as the flags ask
 *   -EOPNOTSUPP       on a network filesystem: its locks and caches cannot be trusted
 *   -EBUSY            the same file is open with another lock file (by another name: a hard link)
 *   -EACCES and kin   from the system
 * Read-only where no lock file is and none can be made (a read-only filesystem or folder): shared
 * memory and locks are private then, and writers are kept out (-EBUSY) for as long. mode: as
 * open(2). A file that was made and is closed while still empty is removed again, as is one that
 * failed to open. Two processes may both find it `created`: take a lock, then ask for its size
 * again.
 */
int rmt_io_file_open(const char *path, unsigned flags, unsigned mode, struct rmt_io **out);

/*
 * Makes a new file that will be called path, with the permissions of what like has open. It stands
 * beside path under a temporary name, and nobody else can open it, until rmt_io_file_keep() gives
 * it its own; closed before that, it is removed. Locks and shared memory are private.
 *   -EEXIST           there is something called path
 *   -EACCES and kin   from the system
 */
int rmt_io_file_new(const char *path, const struct rmt_io *like, struct rmt_io **out);
/* Everything written so far is flushed, then the name is given. -EEXIST: it was taken meanwhile. */
int rmt_io_file_keep(struct rmt_io *io);

/* A store in memory: a memfd that this struct rmt_io alone knows; it shares and locks nothing. */
int rmt_io_memory_open(struct rmt_io **out);

/*
 * A descriptor that poll() finds readable once it was set, until it is cleared: to tell a thread of
 * the program something. Setting one that is set, and clearing one that is not, change nothing.
 * rmt_event_wait(): 1 if it is set, 0 if it was not within ms (negative: for ever), or a code;
 * -EINTR: a signal came.
 */
int rmt_event_new(int *out);
void rmt_event_free(int fd);
void rmt_event_set(int fd);
void rmt_event_clear(int fd);
int rmt_event_wait(int fd, int ms);

static inline void rmt_io_close(struct rmt_io *io)
{
    if (io)
        io->ops->close(io);
}
RMT_AUTO(rmt_io_close, struct rmt_io)

#endif
