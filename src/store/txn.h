/* SPDX-License-Identifier: MIT */
/*
 * txn.h - transactions, and the maps open in them.
 *
 *             ramet_begin                 ramet_commit, ramet_abort
 *   (none) ----------------> reading ------------------------------> (none)
 *                              | ^  ramet_refresh
 *                              +-+
 *             ramet_begin                 ramet_commit, ramet_abort
 *   (none) ----------------> writing ------------------------------> (none)
 */
#ifndef RMT_TXN_H
#define RMT_TXN_H

#include "store/catalog.h"

struct ramet_map {
    struct ramet_txn *txn;
    struct ramet_map *next;
    struct ramet_cursor *cursors;
    struct rmt_tree tree;
    bool exists;  /* false: dropped, or created after a point that was rolled back to */
    bool changed; /* its record in txn->maps_tree is out of date */
    char name[];
};

struct ramet_cursor {
    struct ramet_map *map;
    struct ramet_cursor *next; /* of the map's */
    struct rmt_cursor cursor;
};

/* What a map was at a savepoint. */
struct rmt_saved_map {
    struct ramet_map *map;
    struct rmt_ref root;
    uint64_t count;
    bool exists, changed;
};

struct rmt_savepoint {
    struct rmt_edit_mark mark;
    struct rmt_tree maps_tree;
    RMT_VEC(struct rmt_saved_map) maps;
};

struct ramet_txn {
    struct ramet_store *store;
    struct ramet_txn *prev, *next; /* of store->txns; guarded by txns_lock */
    bool writing;
    bool failed;                /* a write left it in an unknown state: it cannot commit */
    struct rmt_version version; /* that it reads, or started from */
    struct rmt_tree maps_tree;  /* name -> struct rmt_disk_map */
    struct ramet_map *maps;     /* open */
    struct rmt_lock arena_lock; /* guards arena: a read transaction may have several threads */
    struct rmt_arena arena;     /* large values that were put together */

    /* of a read transaction */
    struct rmt_reader_slot *slot;
    uint64_t publication; /* that version was found in */
    bool follows;         /* ref names a branch: refresh moves it */

    /* of a write transaction */
    uint64_t branch; /* number; its writer lock is held, */
    bool passed;     /* unless it was passed on */
    bool queued;     /* it began at a head that was not yet published */
    struct rmt_edit edit;
    struct rmt_page_pool pool;
    uint64_t reserved; /* pages promised by the space map */
    bool urgent; /* the operation under way gives back space: it may use what is kept for that */
    bool committing; /* its commit is under way, and holds the commit lock */
    RMT_VEC(struct rmt_savepoint) savepoints;

    char ref[2 * RAMET_NAME_MAX + 2];
};

/* Finds ref in the newest version, protected by the slot, which then says what is read. */
int rmt_txn_find(struct ramet_store *store, struct rmt_reader_slot *slot, const char *ref,
                 struct rmt_found *out, uint64_t *out_publication);
/* Aborts all open transactions: the store is being closed. */
void rmt_txn_abort_all(struct ramet_store *store);

/* Maps: map.c. */
void rmt_maps_fini(struct ramet_txn *txn);
/* Writes the records of changed maps, and seals them and the tree of maps. */
int rmt_maps_seal(struct ramet_txn *txn, struct rmt_writer *w);
bool rmt_maps_changed(const struct ramet_txn *txn);
/* The trees of open maps, as the version that was moved to has them. */
int rmt_maps_reload(struct ramet_txn *txn);

#endif
