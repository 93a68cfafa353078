/* SPDX-License-Identifier: MIT */
/*
 * shared.h - what the processes that have one store open share: the lock file's bytes and byte
 * locks.
 *
 * Three things live here: the newest published version, from which every transaction starts; the
 * highest id given out; a slot for every open read transaction. All are only worth something during
 * one boot of the machine: the first to open the store decides whether they are
 * (rmt_shared_open()).
 *
 * The interval rule: a page born at b, unreachable since commit f, is needed by a reader of version
 * v if b <= v < f. A reader first stores the newest published id, and looks whether that is still
 * the newest: then it has the catalog of that moment, and all versions in it. It looks for its
 * version, and stores that one's id. So wherever it is stopped, it keeps what one moment consists
 * of. Only when it was overtaken again and again, or is to hold a commit that is still to come, it
 * stores "entering, newest published id", with which it may need any page with f above that.
 *
 * Ordering: the reader's store and its next load of `published` are sequentially
 * consistent, as are the writer's publishing and its later look at the slots. A reader that the
 * writer does not see sees what the writer published.
 */
#ifndef RMT_SHARED_H
#define RMT_SHARED_H

#include <stdatomic.h>

#include "format/disk.h"
#include "io/io.h"
#include "page/overlay.h"

/* Byte locks of the lock file. */
enum {
    RMT_BYTE_OPEN = 1,    /* opening and closing, one at a time */
    RMT_BYTE_PRESENT = 2, /* shared: held by all who have the store open */
    RMT_BYTE_COMMIT = 3,  /* the commit lock */
    RMT_BYTE_PROCESS = 1 << 16,
};
/* + number of the branch: its writer lock; below 2^61 */
#define RMT_BYTE_BRANCH ((uint64_t)1 << 32)
/* + 61 bits of the checksum of a branch's number and a blob's name: its lease */
#define RMT_BYTE_LEASE ((uint64_t)1 << 61)

#define RMT_PROCESSES 256
#define RMT_READERS 4096
#define RMT_PUBLISHED 16
#define RMT_PUBLISHED_IDS 7
#define RMT_ENTERING ((uint64_t)1 << 63)

struct rmt_reader_slot {
    _Atomic uint64_t v;        /* 0: not reading; a version's id; or RMT_ENTERING | id */
    _Atomic uint64_t owner;    /* 0: free; id of the process */
    _Atomic uint64_t since_ms; /* io clock: when it was claimed */
    uint64_t pad[5];           /* a cache line each */
};
static_assert(sizeof(struct rmt_reader_slot) == 64, "one cache line");

/* The place of a process, which has the byte lock RMT_BYTE_PROCESS + its index. */
struct rmt_process_slot {
    _Atomic uint64_t id;       /* 0: free; else index + RMT_PROCESSES * a number never used twice */
    _Atomic uint64_t reserved; /* pages promised to its transactions; void when it is dead */
    _Atomic uint32_t pid;      /* to tell a person */
    uint32_t pad[11];          /* a cache line each */
};

struct rmt_published {
    _Atomic uint64_t seq; /* which publication this is; 0 while it is being written */
    struct rmt_disk_slot slot;
    struct rmt_overlay overlay; /* of the catalog; of a store in memory alone */
};

struct rmt_shared_bytes {
    uint64_t magic;
    uint32_t layout;
    uint32_t size;
    uint8_t boot_id[16];
    uint8_t store_id[16];
    /* guarded by the commit lock */
    _Atomic uint64_t last_id;        /* highest id given out */
    struct rmt_disk_slot slots[2];   /* what was written to the two on disk */
    _Atomic uint64_t slot_ids[2];    /* their ids; 0: nothing. atomic: of ramet_stat() */
    _Atomic uint32_t durable_index;  /* the newest durable one: one store, so that whoever dies
                                        has moved on or has not */
    uint32_t new_epoch;              /* slots on disk may hold what was not published, or ids may
                                        have been used that nobody knows of: see take_id() */
    uint64_t lost_id;                /* opening fell back past this commit; 0: it did not */
    uint64_t last_process;           /* number that a process was given; with RMT_BYTE_OPEN */
    _Atomic uint32_t processes_high; /* no place at or above it was ever taken */
    _Atomic uint32_t poisoned;       /* a flush failed */
    _Atomic uint32_t readers_high;   /* no reader slot at or above it was ever claimed */
    /* atomic: seq_cst, pairs with rmt_reader_newest() */
    _Alignas(64) _Atomic uint64_t published; /* number of the newest publication */
    /* Its id, and those of the ones before: number % so many; on the same cache line. atomic:
     * release, before published */
    _Atomic uint64_t ids[RMT_PUBLISHED_IDS];
    _Alignas(64) struct rmt_published ring[RMT_PUBLISHED]; /* number % RMT_PUBLISHED */
    _Alignas(64) _Atomic uint32_t wake;       /* odd: somebody sleeps on it (rmt_shared_sleep()) */
    _Alignas(64) _Atomic uint64_t file_pages; /* of the file, which may be longer; only grows */
    _Alignas(64) struct rmt_process_slot processes[RMT_PROCESSES];
    _Alignas(64) struct rmt_reader_slot readers[RMT_READERS];
};

struct rmt_shared {
    struct rmt_io *io;
    struct rmt_shared_bytes *bytes;
    uint64_t process; /* our id */
    bool alone;       /* set once in open: nobody else had the store open: recover */
    uint32_t dead;    /* set once in open: readers of processes that died, which opening ended */
    bool known; /* set once in open: the bytes are of this boot: ids and caches are to be trusted */
};

/*
 * Opens the shared bytes and takes RMT_BYTE_OPEN, which the caller gives back with
 * rmt_shared_ready() when the store is recovered. If alone, readers and processes are cleared, and
 * if the bytes are not known to be of this boot and of this store, everything is.
 *
 * Returns 0, or
 *   -EBUSY  more than RMT_PROCESSES processes have the store open
 */
int rmt_shared_open(struct rmt_shared *shared, struct rmt_io *io, const uint8_t store_id[16]);
int rmt_shared_ready(struct rmt_shared *shared);
void rmt_shared_close(struct rmt_shared *shared);

static inline uint64_t rmt_shared_durable_id(const struct rmt_shared_bytes *bytes)
{
    return atomic_load(&bytes->slot_ids[atomic_load(&bytes->durable_index)]);
}

/* Makes slot the newest version for all, with a overlay of its catalog (NULL: none). Commit lock
 * held.
 */
void rmt_shared_publish(struct rmt_shared *shared, const struct rmt_disk_slot *slot,
                        const struct rmt_overlay *overlay);
/* The newest version, but for the slot's checksum. Returns its publication number. Never waits:
 * tries again only if lapped. */
uint64_t rmt_shared_newest(struct rmt_shared *shared, struct rmt_disk_slot *out,
                           struct rmt_overlay *out_overlay);
/* The same, of its id alone. 0: it was lapped; ask again, or rmt_shared_newest(). */
uint64_t rmt_shared_newest_id(struct rmt_shared *shared, uint64_t *out_id);

/*
 * Sleeping until something is published. `wake` is odd while somebody may be asleep on it: then
 * whoever publishes makes it even and wakes all. So publishing costs one load when nobody sleeps,
 * and a sleeper that was killed costs one call. A writer that was killed before it woke anybody is
 * noticed after RMT_SLEEP_MS.
 *
 *   even --- rmt_shared_sleep() ---> odd --- rmt_shared_publish(), rmt_shared_rouse() ---> even
 */
#define RMT_SLEEP_MS 1000
/* Returns when a publication other than seen is the newest one, when *stop is set, or for no
 * reason. stop: set, then rmt_shared_rouse(). */
void rmt_shared_sleep(struct rmt_shared *shared, uint64_t seen, const _Atomic uint32_t *stop);
/* Wakes all who sleep. */
void rmt_shared_rouse(struct rmt_shared *shared);
static inline uint64_t rmt_shared_published(const struct rmt_shared *shared)
{
    return atomic_load(&shared->bytes->published);
}

/* ---- space ------------------------------------------------------------------------------------
 */

static inline struct rmt_process_slot *rmt_shared_own(const struct rmt_shared *shared)
{
    return &shared->bytes->processes[shared->process % RMT_PROCESSES];
}

/* The file has so many pages. */
void rmt_shared_grown(struct rmt_shared *shared, uint64_t pages);
/* Pages that all living processes have promised. */
uint64_t rmt_shared_promised(struct rmt_shared *shared);
/* How many pages are missing to keep all that living processes have promised, and spare more; 0:
 * none. */
uint64_t rmt_shared_lacking(struct rmt_shared *shared, uint64_t spare);

/* ---- readers --------------------------------------------------------------------------------- */

/* A free reader slot, or one of a dead process. -EBUSY: all RMT_READERS are taken. */
int rmt_reader_claim(struct rmt_shared *shared, struct rmt_reader_slot **out);
void rmt_reader_release(struct rmt_reader_slot *slot);

/* The newest version, which the slot then holds with its catalog. As rmt_shared_newest(). */
uint64_t rmt_reader_newest(struct rmt_shared *shared, struct rmt_reader_slot *slot,
                           struct rmt_disk_slot *out, struct rmt_overlay *out_overlay);

/* Holds all that is published after id, whatever it is. */
static inline void rmt_reader_enter(struct rmt_reader_slot *slot, uint64_t id)
{
    atomic_store_explicit(&slot->v, RMT_ENTERING | id, memory_order_seq_cst);
}

static inline void rmt_reader_settle(struct rmt_reader_slot *slot, uint64_t version)
{
    atomic_store_explicit(&slot->v, version, memory_order_release);
}

/* What readers hold back, as one look at the slots found it. */
struct rmt_readers {
    uint64_t v[RMT_READERS]; /* ascending */
    uint32_t count;
    uint32_t dead;     /* slots that were freed: their processes died */
    uint64_t entering; /* least id that a reader entered with; UINT64_MAX: none */
};

/* Looks at all slots; frees those of dead processes. Commit lock held. */
void rmt_readers_look(struct rmt_shared *shared, struct rmt_readers *out);
/* True if some reader may need a page born at birth, unreachable since freed. */
bool rmt_readers_need(const struct rmt_readers *readers, uint64_t birth, uint64_t freed);

/* Slots in use, those of dead processes too. */
uint32_t rmt_readers_count(const struct rmt_shared *shared);

typedef int (*rmt_readers_fn)(void *ctx, uint32_t pid, uint64_t v, uint64_t since_ms);
/* Calls fn for every slot in use but that of the caller (may be NULL). Nonzero stops and is
 * returned. */
int rmt_readers_list(struct rmt_shared *shared, const struct rmt_reader_slot *own,
                     rmt_readers_fn fn, void *ctx);

#endif
