/* SPDX-License-Identifier: MIT */
/*
 * store.h - an open store: its parts, the state that a commit moves on, and the commit itself.
 *
 * The catalog (catalog.h) says which versions there are; versions.h changes it; commit.c makes all
 * changes of one commit durable and visible at once; txn.c is what a user's transaction is.
 */
#ifndef RMT_STORE_H
#define RMT_STORE_H

#include "base/lock.h"
#include "format/catalog.h"
#include "page/shared.h"
#include "page/space.h"
#include "page/writer.h"
#include "store/log.h"
#include "tree/tree.h"

/* A slot, decoded: what one published version of the store consists of. */
struct rmt_state {
    uint64_t id, durable, ceiling, pages, number;
    struct rmt_ref catalog, log;
    uint64_t data_pages, unswept_pages, book_pages, limbo_pages, free_pages, hole_pages;
    uint64_t branches, snapshots, cursors;
    int64_t time_us;
    uint32_t flags;
    struct rmt_overlay overlay; /* of the catalog: not part of the slot */
};

struct rmt_branch_writer;
struct rmt_single;
struct rmt_watches;
struct rmt_flusher;

#define RMT_LAYOUTS 8

/*
 * What this process knows of the lists in limbo, by the ids of the commits that freed. A list was
 * looked at, and kept for versions that were held: it is looked at again when one of these, older
 * than it, is held no more. That is done in passes, a share with each commit.
 */
struct rmt_limbo {
    struct rmt_readers *held; /* what readers held when it was last looked */
    uint64_t fresh;           /* lists from here on were never looked at; 0: nothing is known */
    uint64_t at;              /* those from here on are left of a pass; UINT64_MAX: there is none */
    uint64_t again;           /* and where the next one begins; UINT64_MAX: likewise */
    uint64_t budget;          /* of the pass: lists at once; 0: not yet set */
};

struct ramet_store {
    struct rmt_io *io; /* owned */
    struct rmt_pages pages;
    struct rmt_shared shared;
    struct rmt_space space;
    uint8_t store_id[16];
    int durability;
    bool readonly;
    bool created;   /* the file was made, or made a store, by this open */
    unsigned forks; /* of the process, when it was opened */

    struct rmt_lock commit_lock; /* guards the rest of this paragraph; with RMT_BYTE_COMMIT */
    pthread_cond_t commit_cond;  /* no group is flying any more */
    struct rmt_group *group;     /* commits join it; NULL: the next one opens one */
    struct rmt_group *flying;    /* is being flushed */
    uint64_t last_group;         /* number */
    unsigned in_a_row;           /* groups since the byte lock was last given back */
    struct rmt_limbo limbo;
    uint64_t behind_pages;       /* written since they were last sent to the disk */
    struct rmt_readers *readers; /* scratch of a commit */
    struct rmt_page_pool pool;   /* of commits */
    struct rmt_single *single;   /* single.c; NULL: of a file, or nothing was written that way */
    struct rmt_log log;

    struct rmt_lock writers_lock; /* guards writers */
    struct rmt_branch_writer *writers;

    struct rmt_lock txns_lock;    /* guards the rest of this paragraph */
    struct ramet_txn *txns;       /* all that are open */
    struct ramet_handle *handles; /* likewise */
    struct rmt_map_head *heads;   /* handle.c: of what maps commits are to say where they are */
    struct rmt_page_pool spare;   /* of the last write transaction, for the next */

    struct rmt_flusher *flusher; /* set once: of RAMET_LAZY in open, of RAMET_NONE by a commit */

    struct rmt_lock watches_lock;                   /* guards the rest of this paragraph */
    struct rmt_watches *watches;                    /* version/watch.c; NULL: nobody watches */
    void (*watches_end)(struct ramet_store *store); /* ends them all; NULL: nobody ever watched */

    struct rmt_lock claims_lock; /* guards the rest */
    pthread_cond_t claims_cond;  /* one ended */
    RMT_VEC(uint64_t) claims;    /* bytes: claims.h */
    void *layouts[RMT_LAYOUTS];  /* where blobs lie: blob/region.c; malloc'd */
    uint64_t layouts_used;
};

/* Opens a store on io, which is taken, also on failure. */
int rmt_store_open_io(struct rmt_io *io, const struct ramet_options *options,
                      struct ramet_store **out);

extern _Atomic unsigned rmt_forks; /* of the process: how often; atomic: relaxed */
int rmt_store_forked(const struct ramet_store *store);
/* RAMET_EFORKED in a process that was forked after the store was opened. */
static inline int rmt_store_usable(const struct ramet_store *store)
{
    if (rmt_likely(atomic_load_explicit(&rmt_forks, memory_order_relaxed) == store->forks))
        return 0;
    return rmt_store_forked(store);
}
/* 0, -EROFS or RAMET_EPOISONED. */
int rmt_store_writable(const struct ramet_store *store);
/* Tells the log of readers whose processes died and that were ended, if there are any. */
void rmt_store_note_dead(struct ramet_store *store, uint32_t readers);
/* True for a struct's size field that this version of the library knows. */
#define rmt_known_size(p, type) ((p)->size >= offsetof(type, size) + sizeof((p)->size))

void rmt_state_load(struct rmt_state *state, const struct rmt_disk_slot *slot);
/* The catalog of a published state, which must outlive it. */
static inline struct rmt_tree rmt_state_catalog(const struct rmt_state *state)
{
    return (struct rmt_tree){
        .root = state->catalog,
        .fixed = true,
        .overlay = state->overlay.key_size ? &state->overlay : NULL,
    };
}
/* The newest published one. */
void rmt_state_published(struct ramet_store *store, struct rmt_state *out);
/* The same, and what it refers to is held, catalog and all, by a slot that was just claimed. */
void rmt_state_hold(struct ramet_store *store, struct rmt_reader_slot *slot, struct rmt_state *out);
/* The catalog of the newest published version, which stays as it is, with all its versions: what is
 * found in it at one moment does not fail to be there at the next. */
struct rmt_moment {
    struct rmt_reader_slot *slot; /* NULL: it is not open */
    struct rmt_state state;
    struct rmt_tree catalog; /* of state */
};
/* 0, or -EBUSY: all reader slots are taken. The moment stays where it is until it is closed. */
int rmt_moment_open(struct ramet_store *store, struct rmt_moment *moment);
void rmt_moment_close(struct rmt_moment *moment);
void rmt_state_save(const struct ramet_store *store, const struct rmt_state *state,
                    struct rmt_disk_slot *out);

/* ---- commits: commit.c ----------------------------------------------------------------------- */

/*
 * What commits change: the catalog, pages queued in writer, pages dropped in limbo. Commits of
 * several threads form a group: each has an id of its own and applies its changes under the commit
 * lock, one after the other; then one of them writes what all need, the slot last, flushes once,
 * and publishes all. While a group is being flushed the next one forms on what that one wrote.
 *
 *        a commit, and there is none                  a member, when none is flying
 *   (none) --------------> open -- more commits join -----------------> flying --> done
 *          rmt_commit()                                rmt_commit()            its members return
 */
struct rmt_commit {
    struct ramet_store *store;
    uint64_t id;
    struct rmt_state state; /* as it will be */
    struct rmt_edit edit;   /* of the catalog */
    struct rmt_tree catalog;
    struct rmt_writer writer;
    struct rmt_runs limbo;    /* pages that no version reaches from this commit on */
    size_t limbo_done;        /* of limbo: in the catalog already */
    uint64_t limbo_list;      /* number of its list; 0: not yet made */
    uint64_t slots_at;        /* both slots on disk are at or after this commit */
    uint64_t sweep_budget;    /* pages to sweep */
    RMT_VEC(uint64_t) untidy; /* numbers of versions that may not be needed any more: versions.c */
};

/* Changes what a commit is to change. On failure all it did is taken back. */
typedef int (*rmt_apply_fn)(struct rmt_commit *c, void *ctx);
/* It has joined a group, the number of which is given, that will be flushed. */
typedef void (*rmt_joined_fn)(void *ctx, uint64_t group);

/* Catalog and space map of a small commit take about so many pages. They are asked for together
 * with those of the data, so that all of a small commit lies side by side: one write. */
#define RMT_BOOK_PAGES 8
/*
 * rmt_commit() - one commit, alone or with those of other threads.
 *
 * @apply   is called by this thread, with the commit lock held.
 * @joined  or NULL: is called after it, with the commit lock, if @flush.
 * @flush   durable on return.
 * Returns 0, what @apply gave, or, with nothing of the whole group committed, what writing gave; if
 * the flush failed, the store is poisoned.
 */
int rmt_commit(struct ramet_store *store, rmt_apply_fn apply, rmt_joined_fn joined, void *ctx,
               bool flush);
/* An id that was never given out. Commit lock held. */
int rmt_store_next_id(struct ramet_store *store, uint64_t *out);
/* RAMET_ECORRUPT if the accounts of a state do not add up to the file, free pages and those of the
 * file counted anew: a page was lost or counted twice. Commit lock held. */
int rmt_state_balance(struct ramet_store *store, struct rmt_state *state);
/* Flushes what was written so far, within a commit. */
int rmt_commit_flush(struct rmt_commit *c);
/* Until a group, and those before it, are published, or have failed. */
void rmt_commit_wait(struct ramet_store *store, uint64_t group);
/* An empty commit, durable: what waits in limbo comes nearer to being free. */
int rmt_store_turn(struct ramet_store *store);
/* The commit lock, for those who commit nothing: nobody else does until it is given back. On
 * failure it is not held. */
int rmt_store_lock(struct ramet_store *store);
void rmt_store_unlock(struct ramet_store *store);
/* Publishes the newest version once more, durable, over the slot that opening fell back past: else
 * that commit, which was said to be lost, could be found whole when the file has grown. */
int rmt_store_renew(struct ramet_store *store);
/* Makes what is published durable. */
int rmt_store_sync(struct ramet_store *store);
/* True: commits through this handle are durable when they return. */
static inline bool rmt_store_flushes(const struct ramet_store *store)
{
    return store->durability == RAMET_FULL;
}
/* Room for pages more private pages, from free space, from the disk, or from limbo. */
int rmt_store_reserve(struct ramet_store *store, uint64_t pages, bool urgent);
/* A fresh number for a version, branch, list or sweep. */
static inline uint64_t rmt_commit_number(struct rmt_commit *c)
{
    return ++c->state.number;
}
/* Pages that no version reaches any more. */
int rmt_commit_limbo(struct rmt_commit *c, uint64_t addr, uint64_t len, uint64_t birth);

/* ---- giving space back: compact.c -------------------------------------------------------------
 */

/* Holes become free pages again, pages at least if there are so many. -ENOSPC and kin if the
 * filesystem has no blocks for any. */
int rmt_holes_fill(struct ramet_store *store, uint64_t pages);

/* ---- recovery: recover.c --------------------------------------------------------------------- */

/* Finds, in what the file has, the version to go on from, and fills the shared bytes. Alone, with
 * RMT_BYTE_OPEN. */
int rmt_recover(struct ramet_store *store);
/* A slot lets ids be used up to so many above its own. */
#define RMT_CEILING_STEP ((uint64_t)1 << 20)
/* Pages behind the front of a store that was just made. */
#define RMT_FIRST_PAGES 64
/* What the front of the file says: *out_blank: a store was never there. Else page size and id of
 * the store. */
int rmt_recover_meta(struct rmt_io *io, bool *out_blank, uint32_t *out_page_size,
                     uint8_t out_store_id[16]);
/* Where the slot with an index lies, and the seal that says that this slot is durable. */
static inline uint64_t rmt_slot_off(uint32_t index)
{
    return (uint64_t)index * RMT_BLOCK_SIZE;
}
static inline uint64_t rmt_seal_off(uint32_t index)
{
    return rmt_slot_off(!index) + RMT_SECTOR_SIZE; /* in the block that may be written */
}

/* ---- copying: copy.c --------------------------------------------------------------------------
 */

/* Makes a copy of what a reader sees now, durable, in an empty file. io: taken, also on failure.
 * out: the new store. */
int rmt_store_copy(struct ramet_store *from, struct rmt_io *io, ramet_progress_fn progress,
                   void *ctx, struct ramet_store **out);

/* ---- the flusher of RAMET_LAZY and RAMET_NONE: flusher.c ------------------------------------- */

int rmt_flusher_new(struct ramet_store *store, struct rmt_flusher **out);
/* Something is to be flushed within RAMET_LAZY_MS. */
void rmt_flusher_wake(struct rmt_flusher *flusher);
/* What was written so far is to go to the disk, so that a flush has less to wait for. */
void rmt_flusher_behind(struct rmt_flusher *flusher);
void rmt_flusher_free(struct rmt_flusher *flusher);

#endif
