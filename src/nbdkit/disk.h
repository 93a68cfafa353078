/* SPDX-License-Identifier: MIT */
/*
 * disk.h - a blob as a disk: what all connections to it share.
 *
 * Writes go to a layer of dirty pages in memory, and never wait for the branch's writer. A
 * write-back freezes that layer, puts another one in its place, and writes what it has in one
 * commit on the branch's newest head:
 *
 *        written by clients        read by a commit, outside the lock
 *      +---------------------+     +---------------------+     +------------------------+
 *      | active              | --> | frozen              | --> | the store              |
 *      +---------------------+     +---------------------+     +------------------------+
 *                                   D3: back into active if the commit failed
 *
 * Reads look into them from left to right. A flush is a write-back and ramet_sync(), one for all
 * connections that wait.
 *
 *   D1  a commit has all writes that ended before it began, or none of those it does not have is
 *       older than one it has: generations are committed in order
 *   D2  the frozen layer is emptied, and the view of the store given up, under one lock
 *   D3  what could not be committed is read and tried again as before, until a flush succeeds
 *   D4  once the store may have lost a commit that clients were told of, writes and flushes fail,
 *       and reads of what was committed and never flushed: older bytes are not handed out for it
 *
 * Locks: service->lock (which disks there are), disk->open_lock (opening and closing it, waiting
 * for its lease), disk->lock (all else), in this order.
 */
#ifndef RMT_NBDKIT_DISK_H
#define RMT_NBDKIT_DISK_H

#include <pthread.h>
#include <ramet.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "layer.h"

struct rmt_disk;

/* One for the process. */
struct rmt_service {
    struct ramet_store *store; /* set once in init, as all but disks and dirty */
    struct rmt_pool pool;
    uint32_t page_size;
    bool readonly;                    /* the store is */
    uint64_t dirty_max;               /* bytes in memory, of all disks, at which writers wait */
    _Atomic uint64_t dirty;           /* relaxed: a bound, not an account */
    void (*log)(const char *message); /* for operators; any thread */
    int (*pause)(unsigned ms);        /* sleeps; nonzero: the server is going down */
    pthread_mutex_t lock;
    struct rmt_disk *disks; /* guarded by lock */
};

struct rmt_service_options {
    uint64_t dirty_max;
    bool readonly;
    void (*log)(const char *message);
    int (*pause)(unsigned ms);
};

/* All functions return 0 or a code of ramet.h, and have told the log why. */

/* Opens the store; out is filled. */
int rmt_service_init(struct rmt_service *service, const char *path,
                     const struct rmt_service_options *options);
/* Writes back what disks that are still open have, and closes the store. Nobody uses it any more.
 */
void rmt_service_fini(struct rmt_service *service);

struct rmt_disk_options {
    const char *ref;  /* a branch; of a read-only disk any ref. Borrowed, as name is */
    const char *name; /* of the blob */
    bool readonly;    /* the version as it is now */
    bool wait;        /* for the lease; else -EBUSY */
};

/* Shares a disk that is open already. out_size: its size as of now. */
int rmt_disk_open(struct rmt_service *service, const struct rmt_disk_options *options,
                  struct rmt_disk **out, uint64_t *out_size);
/* The last one writes back what is not yet in the store, and flushes. */
void rmt_disk_close(struct rmt_disk *disk);

int rmt_disk_read(struct rmt_disk *disk, uint8_t *buf, size_t len, uint64_t off);
int rmt_disk_write(struct rmt_disk *disk, const uint8_t *buf, size_t len, uint64_t off);
int rmt_disk_zero(struct rmt_disk *disk, uint64_t len, uint64_t off);
/* Whole pages alone; the rest stays as it is. */
int rmt_disk_trim(struct rmt_disk *disk, uint64_t len, uint64_t off);
int rmt_disk_flush(struct rmt_disk *disk);
/* As ramet_blob_extents(), of all that was written; nothing is written back for it. */
int rmt_disk_extents(struct rmt_disk *disk, uint64_t len, uint64_t off, ramet_extent_fn fn,
                     void *ctx);

#endif
