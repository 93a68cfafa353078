/* SPDX-License-Identifier: MIT */
/*
 * state.h - a disk from within, for the files that disk.h is made of: what they share.
 *
 * _locked: disk->lock is held.
 */
#ifndef RMT_NBDKIT_STATE_H
#define RMT_NBDKIT_STATE_H

#include "disk.h"

/* A version of the store that some threads read. */
struct rmt_view {
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    _Atomic unsigned refs; /* the disk's, and one for each reader */
};

/* Pages whose commits are not known to be on disk. */
struct rmt_unsure {
    struct rmt_ranges pages;
    bool all; /* they were too many to tell */
};

struct rmt_disk {
    struct rmt_service *service; /* set once in open, as ref, name and readonly */
    struct rmt_disk *next;       /* guarded by service->lock, as refs is */
    unsigned refs;               /* connections, and those that wait for open_lock */
    char *ref, *name;
    bool readonly;

    pthread_mutex_t open_lock;
    unsigned users;            /* connections; guarded by open_lock, as lease and keeper are */
    struct ramet_lease *lease; /* NULL: read-only */
    pthread_t keeper;          /* writes back what nobody flushes; not of a read-only disk */

    /* guarded by lock, all below */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a write-back or a flush has ended */
    pthread_cond_t wake;    /* for the keeper */
    struct rmt_view *view;  /* NULL: to be begun when somebody reads */
    bool view_used;         /* since the keeper looked */
    struct rmt_layer active, frozen;
    struct rmt_unsure unsure;   /* committed since the last flush began */
    struct rmt_unsure at_stake; /* and before it: lost if it fails */
    uint64_t counted;           /* bytes of both in service->dirty */
    uint64_t epoch;      /* counts swaps and zeroing: what was read below before one is void */
    uint64_t active_gen; /* generation of the active layer */
    uint64_t committed;  /* newest generation in the store */
    uint64_t durable;    /* newest generation on disk */
    uint64_t commit_id;  /* of the newest commit */
    uint64_t size;       /* as the last connection found it */
    bool writing;        /* the frozen layer belongs to a thread that commits it */
    bool flushing;
    bool idle;   /* the keeper waits without end */
    bool hurry;  /* the keeper is to write back now */
    bool stop;   /* the keeper is to end */
    bool broken; /* D4 */
    /* The last write-back failed, and the log knows; of the thread that writes back. */
    bool failing;
};

static inline void rmt_mutex_lock(pthread_mutex_t *mutex)
{
    (void)pthread_mutex_lock(mutex); /* of these mutexes it cannot fail */
}

static inline void rmt_mutex_unlock(pthread_mutex_t *mutex)
{
    (void)pthread_mutex_unlock(mutex);
}

/* ---- what the log is told: disk.c ------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) void rmt_disk_tell(const struct rmt_service *service,
                                                         const char *format, ...);
/* These return what they tell. */
int rmt_disk_no_memory(const struct rmt_disk *disk);
/* Why a call of the library failed: it is called at once. */
int rmt_disk_failed(const struct rmt_disk *disk, const char *what, int rc);
int rmt_disk_broken(const struct rmt_disk *disk);

/* ---- the version that is read: view.c -------------------------------------------------------- */

/* out: rmt_view_put(). Of a broken disk it is what is left. */
int rmt_view_get_locked(struct rmt_disk *disk, struct rmt_view **out);
/* Takes NULL, too. Not under the lock: it may be the last one. */
void rmt_view_put(struct rmt_view *view);
/* Who reads next reads what is then the newest. Returns what is to be handed to rmt_view_put(). */
struct rmt_view *rmt_view_give_up_locked(struct rmt_disk *disk);

/* ---- on the way to the store: writeback.c ---------------------------------------------------- */

bool rmt_writeback_dirty_locked(const struct rmt_disk *disk);
/* The memory that the layers take has changed. */
void rmt_writeback_account_locked(struct rmt_disk *disk);
/* The newest generation that has something. */
uint64_t rmt_writeback_newest_locked(const struct rmt_disk *disk);
/* Commits all that was written so far. Nobody else is writing back. Unlocks meanwhile. quiet: what
 * the log knows already is not told again. */
int rmt_writeback_run_locked(struct rmt_disk *disk, bool quiet);
/* Waits until a write-back or a flush has ended. */
void rmt_writeback_wait_locked(struct rmt_disk *disk);
/* Returns when a generation is in the store. */
int rmt_writeback_commit_locked(struct rmt_disk *disk, uint64_t gen);
/* Returns when all that was written so far is on disk. */
int rmt_writeback_flush_locked(struct rmt_disk *disk);
/* Whether pages that are in the store may be older there than what clients were told: D4. */
bool rmt_writeback_lost_locked(const struct rmt_disk *disk, uint64_t from, uint64_t to);
void rmt_unsure_fini(struct rmt_unsure *unsure);
/* The keeper's thread. */
void *rmt_writeback_keep(void *disk);

#endif
