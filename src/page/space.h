/* SPDX-License-Identifier: MIT */
/*
 * space.h - which pages of the file are free: a bitmap in memory, a log-structured map on disk.
 *
 * A page is free, or taken; a page in limbo is taken. Each commit appends to the log the spans it
 * freed and took; a few regions of the bitmap are written with it, in turn, so that only the log
 * since the oldest of them is ever needed (log-structured space maps: ZFS).
 *
 * A commit:  rmt_space_free() what leaves limbo -> rmt_space_take() for its pages ->
 * rmt_space_choose() (which pages the map itself will replace) -> rmt_space_write() ->
 * rmt_space_done(), or rmt_space_unload() if it failed.
 *
 * A process keeps the map from one commit to the next, and replays what others logged meanwhile.
 * What is promised to transactions, of all processes, is in shared memory.
 *
 * Threads: all but reserve and release are called with the commit lock held; these two with no
 * lock.
 */
#ifndef RMT_SPACE_H
#define RMT_SPACE_H

#include "base/lock.h"
#include "page/page.h"
#include "page/shared.h"

struct rmt_writer;

struct rmt_span {
    uint64_t addr, len;
};

struct rmt_region {
    uint64_t *bits;     /* a bit a page: 1: taken. Bits behind the end of the file are 0 */
    struct rmt_ref ref; /* as last written; none: never */
    uint64_t since;     /* the log is needed from this commit on */
    bool chosen;        /* to be written with the commit that is under way */
};

struct rmt_log_page {
    struct rmt_ref ref;
    uint64_t newest; /* id of its last chunk */
};

struct rmt_space {
    struct rmt_pages *pages;
    struct rmt_shared *shared;
    bool loaded; /* all below is right */
    RMT_VEC(struct rmt_region) regions;
    uint64_t region_pages;            /* a region covers so many */
    RMT_VEC(struct rmt_log_page) log; /* oldest first */
    uint8_t *tail;                    /* chunks of the log's last page */
    uint32_t tail_used;
    uint64_t written;     /* pages from here on were never taken, as far as is known */
    bool ahead;           /* set by the owner: small commits are flushed one by one */
    uint64_t rover;       /* where to look next */
    uint64_t least;       /* shorter runs are passed over: what there is was long enough */
    uint64_t freed_pages; /* since least was set */
    uint32_t next_region; /* to be written next */
    uint64_t log_debt;    /* bytes logged since a region was written */
    RMT_VEC(struct rmt_span) freed; /* by the commit under way, as taken */
    RMT_VEC(struct rmt_span) taken;

    struct rmt_lock lock; /* guards the rest, and growing the file */
    uint64_t nr_pages;    /* of the file */
    uint64_t nr_free;
};

/* pages, shared: borrowed, must outlive space; shared may be opened later. */
int rmt_space_init(struct rmt_space *space, struct rmt_pages *pages, struct rmt_shared *shared);
void rmt_space_fini(struct rmt_space *space);

/* Reads the map that the log leads to (none: a new store). Verifies as it reads. */
int rmt_space_load(struct rmt_space *space, struct rmt_ref log);
/* As rmt_space_load(), but what is known already is not read again. */
int rmt_space_follow(struct rmt_space *space, struct rmt_ref log);
/* Forgets what a failed commit did: the map is loaded again before it is next used. */
void rmt_space_unload(struct rmt_space *space);

/* Takes back what a failed commit did, in a store that has no map on disk. */
void rmt_space_undo(struct rmt_space *space);

/* Promises pages to a transaction; the file grows if need be. -ENOSPC: the disk is full. urgent:
 * may use what is kept so that deleting works on a full disk. */
int rmt_space_reserve(struct rmt_space *space, uint64_t pages, bool urgent);
void rmt_space_release(struct rmt_space *space, uint64_t pages);
/* True if so many can be promised as it is. */
bool rmt_space_has(struct rmt_space *space, uint64_t pages, bool urgent);

/* A run of free pages, want at most, one at least. Shorter ones than together, of want, are passed
 * over while there is room. -ENOSPC */
int rmt_space_take(struct rmt_space *space, uint64_t want, uint64_t together, struct rmt_span *out);
/* What was taken and freed so far by the commit under way, to undo what comes after it. */
struct rmt_space_mark {
    size_t taken, freed;             /* spans */
    uint64_t last_taken, last_freed; /* pages of the last ones */
};
void rmt_space_mark(struct rmt_space *space, struct rmt_space_mark *out);
void rmt_space_rollback(struct rmt_space *space, const struct rmt_space_mark *mark);
/* Gives back the end of the span taken last. */
void rmt_space_untake(struct rmt_space *space, uint64_t addr, uint64_t len);
/* Pages leave limbo. RAMET_ECORRUPT if they are free already. */
int rmt_space_free(struct rmt_space *space, uint64_t addr, uint64_t len);
/* Takes free pages, from the end of the file on, as long as keep pages stay free beside what is
 * promised. out: with that birth. */
int rmt_space_spare(struct rmt_space *space, uint64_t keep, uint64_t birth, struct rmt_runs *out);
/* True if the page is free. */
bool rmt_space_is_free(struct rmt_space *space, uint64_t addr);
/* Pages of the file, and how many of them are free, as of one moment. */
void rmt_space_count(struct rmt_space *space, uint64_t *out_pages, uint64_t *out_free);

/* Chooses what the commit id will rewrite of the map, and adds it to gone. */
int rmt_space_choose(struct rmt_space *space, uint64_t id, struct rmt_runs *gone);
/* Queues regions and log. out: the log's new last page. */
int rmt_space_write(struct rmt_space *space, uint64_t id, struct rmt_writer *w,
                    struct rmt_ref *out);
/* The commit succeeded. */
void rmt_space_done(struct rmt_space *space);
/* Pages of the map itself: for checking. */
typedef int (*rmt_space_fn)(void *ctx, struct rmt_ref ref);
int rmt_space_own(struct rmt_space *space, rmt_space_fn fn, void *ctx);

#endif
