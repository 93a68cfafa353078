/* SPDX-License-Identifier: MIT */
/*
 * watch.h - watchers of a store, and the thread that tells them of commits.
 *
 * A handle's first watcher starts the thread, its last one ends it. The thread sleeps until any
 * process publishes a version (rmt_shared_sleep()), looks up the branches that are watched, and
 * sets the descriptors of the watchers whose branch moved; then it pauses, so that a busy writer is
 * not made to wake it for each commit.
 *
 *            the branch moved: look()             ramet_watch_next(): rmt_watch_clear()
 *   quiet -----------------------------> told ----------------------------------------> quiet
 *
 * A watcher is quiet before it looks the branch up: so what it does not see it is told of.
 *
 * Versions that watchers of one handle saw are held once for all of them (struct rmt_view): a
 * thousand watchers that keep up take one reader slot, which every commit looks at, and no more.
 */
#ifndef RMT_WATCH_H
#define RMT_WATCH_H

#include "store/cursors.h"
#include "store/merged.h"
#include "store/txn.h"

/* Where a branch was found. All 0: there is none. */
struct rmt_looked {
    uint64_t head, id;        /* number of the head, and what it was at */
    uint64_t base, snapshots; /* what it stood on, and how many the branch kept */
};

/* A version that is held. guarded by watches_lock, but for txn: set once */
struct rmt_view {
    struct rmt_view *next;
    struct ramet_txn *txn;
    unsigned refs;
};

/* A branch that somebody watches. */
struct rmt_watched {
    struct rmt_watched *next;
    struct ramet_watch *watches;
    char name[RAMET_NAME_MAX + 1];
};

struct rmt_watches {
    struct ramet_store *store;
    pthread_t thread;
    struct rmt_reader_slot *slot; /* of the thread */
    _Atomic uint32_t stop;        /* 1: the thread is to end; it pauses on this word */
    /* guarded by store->watches_lock */
    struct rmt_watched *branches;
    struct rmt_view *views;
};

/* What watchers and the thread share of one. */
struct rmt_watch_bell {
    struct ramet_watch *prev, *next; /* of the branch's; guarded by watches_lock, as all but fd */
    struct rmt_watched *branch;
    struct rmt_looked looked; /* as its user found the branch */
    bool every;               /* base and snapshots matter */
    bool ready;               /* it has its place, and looked is set */
    bool told;                /* fd is set */
    int fd;                   /* set once in open */
};

/* Where a watcher is, or goes. */
struct rmt_watch_place {
    struct rmt_view *view; /* NULL: at nothing */
    uint64_t branch, line; /* numbers of the branch and of its head; line 0: it was another's */
};

struct ramet_watch {
    struct rmt_watch_bell bell;
    struct ramet_store *store;
    unsigned flags;
    char *branch, *map; /* map NULL: all */
    uint8_t *prefix;
    size_t prefix_size;
    struct rmt_watch_place at;
    uint64_t told_id; /* of the version that the last batch led to */
    bool gone;
    struct rmt_numbers pending; /* of RAMET_WATCH_EVERY: kept versions to come, newest first */

    /* of a batch */
    struct rmt_view *from; /* held as long as diff */
    struct ramet_diff *diff;
    struct ramet_change first; /* was looked at already, if */
    bool peeked;
    int first_rc;

    /* of a cursor */
    char *cursor; /* NULL: none */
    struct rmt_durable durable;
    struct rmt_watch_place offered; /* what durable.next is; no view */
    uint64_t advanced_ms;
};

/* ---- waker.c -------------------------------------------------------------------------------- */

/* Where a branch is, and its records; zero if there is none. */
int rmt_watch_find_branch(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *name,
                          struct rmt_looked *out, struct rmt_branch *branch,
                          struct rmt_version *head);
/* Makes a watcher one of the store's. Its bell is zero but for every: it is not told of anything
 * before it is ready. */
int rmt_watch_join(struct ramet_store *store, const char *branch, struct ramet_watch *watch);
/* It is so no more; its descriptor is closed. It holds no view. */
void rmt_watch_leave(struct ramet_store *store, struct ramet_watch *watch);
/* It has its place, and found the branch as looked says in a publication; or, looked NULL, there
 * may be a batch. */
void rmt_watch_ready(struct ramet_store *store, struct ramet_watch *watch,
                     const struct rmt_looked *looked, uint64_t publication);
void rmt_watch_tell(struct ramet_store *store, struct ramet_watch *watch);
void rmt_watch_clear(struct ramet_store *store, struct ramet_watch *watch);
void rmt_watch_note(struct ramet_store *store, struct ramet_watch *watch,
                    const struct rmt_looked *looked);

/* A version that a slot holds, which is taken, also on failure. Its caller is a watcher. */
int rmt_view_get(struct ramet_store *store, struct rmt_reader_slot *slot,
                 const struct rmt_version *version, struct rmt_view **out);
/* NULL is allowed. */
void rmt_view_put(struct ramet_store *store, struct rmt_view *view);

/* From here on the moment's slot, which is taken, also on failure, holds the one version. */
int rmt_view_settle(struct ramet_store *store, struct rmt_moment *moment,
                    const struct rmt_version *version, struct rmt_view **out);

/* ---- watch.c --------------------------------------------------------------------------------- */

void rmt_watch_end_batch(struct ramet_watch *w);

#endif
