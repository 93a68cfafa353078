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
#include "tree/hints.h"

struct ramet_map {
    struct ramet_txn *txn;
    struct ramet_map *next;
    struct ramet_cursor *cursors;
    struct rmt_tree tree;
    struct rmt_hints *hints;         /* of a handle on a store in memory; NULL: there are none */
    struct ramet_map *keys, *ranges; /* of an optimistic transaction: what is noted of it, if any */
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
    struct ramet_map *shares;   /* of blobs, once one is open: shares.h */
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
    bool optimistic; /* it has no lock, but a slot, and notes what it writes and guards */
    bool nowait;     /* an optimistic one, whose commit does not wait for the branch's writer */
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
/* Begins to write to a branch by its name. branch: the number that it is likely to have, which is
 * then not looked up before the lock is taken; 0: not known. */
int rmt_txn_write(struct ramet_store *store, const char *name, uint64_t branch,
                  struct ramet_txn **out);
/* Begins to read a version by its number, whether somebody keeps it or not. The catalog is that of
 * a moment which the caller holds (rmt_state_hold()) until the transaction has ended: it has no
 * reader slot of its own. */
int rmt_txn_view(struct ramet_store *store, const struct rmt_tree *catalog, uint64_t number,
                 struct ramet_txn **out);
/* The same, to be written to and never to be committed: a draft on top of the version. */
int rmt_txn_draft(struct ramet_store *store, const struct rmt_tree *catalog, uint64_t number,
                  struct ramet_txn **out);
/* Begins to read a version that a slot, which is taken, also on failure, holds already. */
int rmt_txn_hold(struct ramet_store *store, struct rmt_reader_slot *slot,
                 const struct rmt_version *version, struct ramet_txn **out);
/* Its slot holds another version by now, which it reads from here on. Of maps that are open in it
 * the caller says where they are: rmt_tree_set(). */
void rmt_txn_show(struct ramet_txn *txn, const struct rmt_version *version);

/* What a transaction merges into its branch. */
struct rmt_merging {
    uint64_t source;  /* number of a snapshot */
    uint64_t branch;  /* number of the branch that it is of; 0: of none */
    const char *name; /* of that branch */
    bool pinned;      /* rmt_pin_begin() was called for it */
};
/* Within a commit: the source is pinned, if it was not yet. RAMET_ENOTFOUND: it is gone. */
int rmt_merging_pin(struct rmt_commit *c, struct rmt_merging *merging, uint64_t target);
/* As ramet_commit(), but the transaction does not end. merging: NULL; or the version has merged
 * that, and is kept. */
int rmt_txn_commit(struct ramet_txn *txn, const struct ramet_keep *keep,
                   const struct rmt_merging *merging, uint64_t *out_id);
/* A draft on the head that a transaction has just begun at takes its place, and its lock. -ENOSPC
 * and kin: there is no room for what it holds; both are as they were. */
int rmt_txn_replace(struct ramet_txn *draft, struct ramet_txn *txn);
/* Aborts all open transactions: the store is being closed. */
void rmt_txn_abort_all(struct ramet_store *store);

/* Ends all handles of maps: handle.c. */
void rmt_handle_close_all(struct ramet_store *store);
/* Within a commit, before it is published: says where a map of a branch is now, for those who have
 * handles of it. id: of the commit. */
void rmt_handle_note(struct ramet_store *store, const char *ref, const char *map, uint64_t id,
                     const struct rmt_version *version, const struct rmt_tree *tree);

/* Maps: map.c. */

/* Names of maps that users do not open as such begin with one of these bytes, and go on with a
 * user's name. */
enum {
    RMT_MAP_CONFLICTS = 1,
    RMT_MAP_UNKNOWN = 2, /* of drafts alone, as are those that follow */
    RMT_MAP_KEYS = 3,    /* what an optimistic transaction wrote and guards */
    RMT_MAP_RANGES = 4,
    RMT_MAP_SHARES = 5,             /* all of a name: shares.h */
    RMT_MAP_BLOB = RAMET_BLOB_MARK, /* and a name with a byte less: it takes part in what is done to
                                       all maps of users, but for being listed */
};
#define RMT_MAP_NAME_MAX (RAMET_NAME_MAX + 1u)
/* ramet_map_open() for any name. kind: 0, or one of these. */
int rmt_map_open(struct ramet_txn *txn, int kind, const char *name, unsigned flags,
                 struct ramet_map **out);
/* A map of one transaction in another that reads, without looking it up. -ENOMEM; of a blob also
 * what rmt_shares_of() gives. */
int rmt_map_again(struct ramet_txn *txn, const struct ramet_map *map, struct ramet_map **out);
/* The tree of a map by its record, as it is listed. Of one that is open the record may be a note
 * (rmt_maps_note()), or not be written yet: of that, as it is now. */
int rmt_map_tree(struct ramet_txn *txn, const char *name, const struct rmt_value *record,
                 struct rmt_tree *out);
/* A name as ramet_change.map has it: of a map, or of a blob, with its mark. */
/* ramet_put() into a map that is writable. lend: a value of one page is not copied, and must stay
 * until the transaction has ended; what it is when the commit writes it is what is written. */
int rmt_map_put(struct ramet_map *map, struct ramet_slice key, struct ramet_slice value,
                unsigned flags, bool lend);
/* A value as it lies in its leaf, which the hints do not know of, if there are some.
 * RAMET_ENOTFOUND without a message, if it is of the key. */
int rmt_map_look(struct ramet_map *map, struct ramet_slice key, struct rmt_value *out);
/* The same of a key that is a number: ramet_key_u64(). */
int rmt_map_look_number(struct ramet_map *map, uint64_t number, struct rmt_value *out);
int rmt_map_name_check(const char *name);
/* What a sentence says of it: "map" or "blob", and its name without the mark. */
static inline const char *rmt_map_kind(const char *name)
{
    return name[0] == RMT_MAP_BLOB ? "blob" : "map";
}
static inline const char *rmt_map_plain(const char *name)
{
    return name + (name[0] == RMT_MAP_BLOB);
}
/* A key for a message: what is no printable character of ASCII is written \xNN. */
#define RMT_SHOWN_SIZE (4 * 48 + 4)
const char *rmt_map_shown(struct ramet_slice key, char buf[RMT_SHOWN_SIZE]);
int rmt_map_drop(struct ramet_txn *txn, struct ramet_map *map);
/* The same for users: an optimistic transaction notes it. */
int rmt_map_drop_noted(struct ramet_txn *txn, struct ramet_map *map);
/* The records of changed maps of a draft differ from what they were. They hold references to
 * private pages, which rmt_map_load() refuses: of a map that is open, the record is not to be read.
 */
int rmt_maps_note(struct ramet_txn *txn);
/* 1 if a version, by the root of its maps, has conflicts that were not resolved; 0; or a code. */
int rmt_maps_conflicts(struct rmt_pages *pages, struct rmt_ref root);
void rmt_maps_fini(struct ramet_txn *txn);
/* Writes the records of changed maps, and seals them and the tree of maps. */
int rmt_maps_seal(struct ramet_txn *txn, struct rmt_writer *w);
/* Takes a map's tree out of a tree of maps. RAMET_ENOTFOUND without a message. */
int rmt_map_find_tree(struct rmt_pages *pages, const struct rmt_tree *maps, const char *name,
                      struct rmt_tree *out);
/* What ramet_put() takes for flags, and those of rmt_tree_put() for them. */
#define RMT_MAP_PUT_FLAGS ((unsigned)(RAMET_NOOVERWRITE | RAMET_APPEND))
static inline unsigned rmt_put_flags(unsigned flags)
{
    return (flags & RAMET_NOOVERWRITE ? RMT_PUT_NOOVERWRITE : 0) |
           (flags & RAMET_APPEND ? RMT_PUT_APPEND : 0);
}
/* What a tree of maps has of a map: in buf. */
struct ramet_slice rmt_map_record(const struct rmt_tree *tree, struct rmt_disk_map *buf);
/* Puts it there. */
int rmt_map_put_record(struct rmt_edit *edit, struct rmt_tree *maps, const char *name,
                       const struct rmt_tree *tree);
/* Says where all are that changed: rmt_handle_note(). */
void rmt_maps_tell(struct ramet_txn *txn, uint64_t id, const struct rmt_version *version);
bool rmt_maps_changed(const struct ramet_txn *txn);
/* The trees of open maps, as the version that was moved to has them; but of known, and of those
 * that were opened before it. NULL: of all. */
int rmt_maps_reload(struct ramet_txn *txn, const struct ramet_map *known);

/* Optimistic transactions: optimistic.c. */

enum rmt_note_kind {
    RMT_NOTE_GUARDED = 'g', /* it must not have changed */
    RMT_NOTE_WRITTEN = 'w', /* nor must this, a key or a range that was deleted */
    RMT_NOTE_DROPPED = 'd'  /* the range is all of a map, with the map */
};
int rmt_optimistic_note(struct ramet_map *map, struct ramet_slice key, enum rmt_note_kind kind);
int rmt_optimistic_note_range(struct ramet_map *map, struct ramet_slice from, struct ramet_slice to,
                              enum rmt_note_kind kind);
/* Nothing came of what the last range was noted for. */
void rmt_optimistic_unnote_range(struct ramet_map *map);
/* As rmt_txn_commit(). */
int rmt_optimistic_commit(struct ramet_txn *txn, const struct ramet_keep *keep, uint64_t *out_id);

#endif
