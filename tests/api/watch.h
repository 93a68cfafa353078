/* SPDX-License-Identifier: MIT */
/* watch.h - for tests of watchers: a copy of what is watched, kept by batches alone. */
#ifndef TEST_WATCH_H
#define TEST_WATCH_H

#include <ramet.h>

/* All entries of a transaction, or those that are watched, as one number. map NULL: of all. */
uint64_t content_of(struct ramet_txn *txn, const char *map, struct ramet_slice prefix);

/* A watcher, and the copy that its batches were done to. */
struct follower {
    struct ramet_watch *watch;
    struct ramet_store *copy; /* in memory */
    const char *map;
    struct ramet_slice prefix;
    uint64_t at; /* id that the last batch led to */
};

/* Begins with what the watcher is at. Of RAMET_WATCH_KEYS nothing can be followed. */
void follow(struct follower *f, struct ramet_watch *watch, const char *map,
            struct ramet_slice prefix);
/* The next batch is done to the copy, which must then be what it leads to. Returns its kind, or 0:
 * there is none. */
int follow_one(struct follower *f);
/* The copy is exactly what the watcher saw last. */
void follow_check(struct follower *f);
/* The watcher too is closed, if there is one. */
void follow_end(struct follower *f);

#endif
