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
#include "tree/tree.h"

/* A slot, decoded: what one published version of the store consists of. */
struct rmt_state {
    uint64_t id, durable, ceiling, pages, number;
    struct rmt_ref catalog, log;
    uint64_t data_pages, unswept_pages, book_pages, limbo_pages, free_pages;
    uint64_t branches, snapshots;
    int64_t time_us;
    uint32_t flags;
};

/* A branch whose writer lock somebody of this process holds. */
struct rmt_writer_lock {
    uint64_t branch; /* number */
    pthread_t thread;
};

struct rmt_flusher;

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
    uint64_t limbo_at;           /* id of the limbo list to look at next */
    struct rmt_readers *readers; /* scratch of a commit */
    struct rmt_page_pool pool;   /* of commits */

    struct rmt_lock writers_lock; /* guards writers */
    pthread_cond_t writers_cond;
    RMT_VEC(struct rmt_writer_lock) writers;

    struct rmt_lock txns_lock;  /* guards the rest of this paragraph */
    struct ramet_txn *txns;     /* all that are open */
    struct rmt_page_pool spare; /* of the last write transaction, for the next */

    struct rmt_flusher *flusher; /* set once in open: of RAMET_LAZY */
};

/* Opens a store on io, which is taken, also on failure. */
int rmt_store_open_io(struct rmt_io *io, const struct ramet_options *options,
                      struct ramet_store **out);

/* RAMET_EFORKED in a process that was forked after the store was opened. */
int rmt_store_usable(const struct ramet_store *store);
/* 0, -EROFS or RAMET_EPOISONED. */
int rmt_store_writable(const struct ramet_store *store);
/* True for a struct's size field that this version of the library knows. */
#define rmt_known_size(p, type) ((p)->size >= offsetof(type, size) + sizeof((p)->size))

void rmt_state_load(struct rmt_state *state, const struct rmt_disk_slot *slot);
void rmt_state_save(const struct ramet_store *store, const struct rmt_state *state,
                    struct rmt_disk_slot *out);

/* ---- commits: commit.c ----------------------------------------------------------------------- */

/*
 * One commit. begin -> changes of the catalog, pages queued in writer, pages dropped in limbo ->
 * end or abort.
 *
 *   begin    takes the commit lock, an id, and what may leave limbo
 *   end      adds limbo and what the bookkeeping replaced, writes, flushes, publishes
 *   abort    as if it had never been; the id is not used again
 */
struct rmt_commit {
    struct ramet_store *store;
    uint64_t id;
    struct rmt_state state; /* as it will be */
    struct rmt_edit edit;   /* of the catalog */
    struct rmt_tree catalog;
    struct rmt_writer writer;
    struct rmt_runs limbo; /* pages that no version reaches from this commit on */
    size_t limbo_done;     /* of limbo: in the catalog already */
    uint64_t limbo_list;   /* number of its list; 0: not yet made */
    uint64_t slots_at;     /* both slots on disk are at or after this commit */
    uint64_t sweep_budget; /* pages to sweep */
};

/* On failure nothing is held. */
int rmt_commit_begin(struct ramet_store *store, struct rmt_commit *c);
/* Ends the commit in any case. flush: durable on return. */
int rmt_commit_end(struct rmt_commit *c, bool flush);
void rmt_commit_abort(struct rmt_commit *c);
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

/* ---- the flusher of RAMET_LAZY: flusher.c ---------------------------------------------------- */

int rmt_flusher_new(struct ramet_store *store, struct rmt_flusher **out);
/* Something is to be flushed within RAMET_LAZY_MS. */
void rmt_flusher_wake(struct rmt_flusher *flusher);
void rmt_flusher_free(struct rmt_flusher *flusher);

#endif
