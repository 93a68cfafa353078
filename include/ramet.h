/* SPDX-License-Identifier: MIT */
/*
 * ramet.h - the whole public interface of ramet, a branchable storage engine.
 *
 * A store is one file, or memory alone. It holds branches; a branch holds named maps from
 * byte-string keys to byte-string values, ordered by memcmp. A read transaction sees one version
 * for as long as it lasts; a write transaction is a private fork of a branch's head that becomes
 * the head when committed.
 *
 * Every function that can fail returns 0 or a negative code: -errno, or one of RAMET_ERRORS.
 * ramet_errmsg() has the sentence that goes with the calling thread's last failure. Out
 * parameters are untouched on failure, unless it is said otherwise. Of the codes,
 *
 *   -EINVAL        stands for what the caller can know to be wrong: a NULL that is not allowed,
 *                  an unknown flag, a name, ref or key of the wrong form. It is listed only where
 *                  there is more to say
 *   RAMET_EFORKED  comes from every function that takes a store, begins or commits, in a process
 *                  that was forked after the store was opened. Such a child must not use the maps
 *                  and cursors of its parent
 *
 * A write transaction has one user at a time: it may go from thread to thread.
 */
#ifndef RAMET_H
#define RAMET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RAMET_API __attribute__((visibility("default")))
#else
#define RAMET_API
#endif

#define RAMET_VERSION_MAJOR 0
#define RAMET_VERSION_MINOR 1
#define RAMET_VERSION_PATCH 0

/* X(name, code, errno, text). Append only: codes are ABI. */
#define RAMET_ERRORS(X)                                                                     \
    X(RAMET_ENOTFOUND, -5001, ENOENT, "no such key, map, branch, snapshot or version")      \
    X(RAMET_ECONFLICT, -5002, EBUSY, "both sides changed the same key")                     \
    X(RAMET_ECORRUPT, -5003, EIO, "stored bytes fail a checksum or an invariant")           \
    X(RAMET_EPOISONED, -5004, EIO, "an earlier commit did not reach disk: reopen")          \
    X(RAMET_ENOTSTORE, -5005, EINVAL, "the file is not a ramet store")                      \
    X(RAMET_EFORMAT, -5006, EINVAL, "the store has a format that this version cannot read") \
    X(RAMET_EFORKED, -5007, EPERM, "the store was opened before fork(): open it again")     \
    X(RAMET_ETXN, -5008, EINVAL, "the transaction cannot do this: it is read-only, or failed")

#define RAMET_ERROR_ENUM(name, code, errno_, text) name = code,
enum ramet_error { RAMET_ERRORS(RAMET_ERROR_ENUM) RAMET_ERROR_LAST = -5000 };
#undef RAMET_ERROR_ENUM

/* Limits of this version; FORMAT.md has those of the format. */
#define RAMET_KEY_MAX 1024u                 /* bytes of a key; the least is 1 */
#define RAMET_NAME_MAX 255u                 /* bytes of a branch, snapshot, map or author name */
#define RAMET_MESSAGE_MAX 65536u            /* bytes of a snapshot's message */
#define RAMET_SLICE_MAX ((size_t)64 << 20)  /* bytes of the largest value ramet_get() returns */
#define RAMET_VALUE_MAX ((uint64_t)1 << 40) /* bytes of a value */
#define RAMET_BLOB_NAME_MAX 254u            /* bytes of a blob's name */
#define RAMET_BLOB_MAX ((uint64_t)1 << 60)  /* bytes of a blob */

/* Where the changes of blobs stand among those of maps (diff, merge, conflicts), the name of the
 * map is this byte, which no name has, and the name of the blob; a key is the number of a page,
 * eight bytes, big-endian, and its value the page; or the byte 0, and the value is the blob's size,
 * eight bytes, little-endian. */
#define RAMET_BLOB_MARK 0x7f

/* Durability of a commit. */
enum {
    RAMET_FULL = 0, /* flushed when ramet_commit() returns */
    RAMET_LAZY = 1, /* flushed in the background, within RAMET_LAZY_MS */
    RAMET_NONE = 2  /* flushed by ramet_sync(), by ramet_close(), and when space must be reused: a
                       thread of the library writes ahead for that */
};
#define RAMET_LAZY_MS 200

/* How much a message of the log matters. */
enum {
    RAMET_LOG_ERROR = 1,   /* the store cannot go on as it should, until somebody acts */
    RAMET_LOG_WARNING = 2, /* something was lost that nobody was promised */
    RAMET_LOG_INFO = 3     /* something was put in order */
};

/* ramet_options.flags */
enum {
    RAMET_MUST_EXIST = 1 << 0, /* a store that is not there is an error */
    RAMET_READONLY = 1 << 1,   /* no write transaction; a read-only file and folder will do */
    RAMET_MUST_CREATE = 1 << 2 /* a store that is there already is an error (-EEXIST) */
};

/* ramet_begin() flags */
enum {
    RAMET_READ = 0,
    RAMET_WRITE = 1 << 0,
    RAMET_NOWAIT = 1 << 1,    /* -EBUSY instead of waiting for the branch's writer */
    RAMET_OPTIMISTIC = 1 << 2 /* with RAMET_WRITE: no lock before ramet_commit() */
};

/* ramet_map_open() flags */
enum {
    RAMET_CREATE = 1 << 0 /* make the map if it is not there (write transactions) */
};

/* ramet_put() flags */
enum {
    RAMET_NOOVERWRITE = 1 << 0, /* -EEXIST if the key is there */
    RAMET_APPEND = 1 << 1 /* the key is above all others (else -EINVAL): fills pages to the end */
};

/* ramet_check() flags */
enum {
    RAMET_CHECK_QUICK = 1 << 0 /* structure and accounts only; large values are not read */
};

struct ramet_store;
struct ramet_txn;
struct ramet_map;
struct ramet_cursor;

struct ramet_slice {
    const void *data;
    size_t size;
};

/*
 * Public structs begin with their own size, set by the caller to sizeof: they may grow. A program
 * that was compiled with a shorter struct ramet_options goes on as before.
 */

/*
 * The log of a store: what an operator wants to know and no call returns. message: a sentence that
 * names the store, without a newline, until the function returns.
 *
 *   RAMET_LOG_ERROR    a flush failed, in a commit, in the background or when closing: the store is
 *                      poisoned. Told once, by the handle that flushed
 *   RAMET_LOG_WARNING  opening fell back past a commit that had not been flushed: it is lost
 *   RAMET_LOG_INFO     opening verified pages after a crash: how many, how long; read transactions
 *                      of processes that died were ended
 *
 * It is called by the thread that met it, with no lock held: inside ramet_open(), at its end, if
 * that succeeds; inside calls that commit, flush or close; and by the thread of RAMET_LAZY. So it
 * may come from several threads at once. It may read the store, and call ramet_stat(); it must not
 * write to it, nor close it. What it calls can replace the thread's ramet_errmsg().
 */
typedef void (*ramet_log_fn)(void *ctx, int level, const char *message);

struct ramet_options {
    size_t size;    /* sizeof(struct ramet_options) */
    int durability; /* RAMET_FULL, RAMET_LAZY or RAMET_NONE: of every commit through this handle */
    unsigned flags; /* RAMET_MUST_EXIST, RAMET_READONLY, RAMET_MUST_CREATE */
    uint32_t page_size; /* of a new store: a power of two, 4096 to 65536; 0: 4096 */
    uint32_t mode;      /* permission bits of a new file; 0: 0644, less the umask */
    ramet_log_fn log;   /* NULL: no log */
    void *log_ctx;      /* handed to log; both as long as the handle */
};

/* What a kept version is called, and by whom. */
struct ramet_keep {
    size_t size;         /* sizeof(struct ramet_keep) */
    const char *name;    /* NULL: none; else found again as BRANCH@NAME */
    const char *author;  /* NULL: none */
    const char *message; /* NULL: none */
};

struct ramet_map_info {
    size_t size;
    const char *name; /* until the callback returns */
    uint64_t entries;
};

struct ramet_branch_info {
    size_t size;
    const char *name;        /* until the callback returns */
    uint64_t head;           /* id of the version at the head */
    uint64_t base;           /* id of the snapshot that the head stands on; 0: none */
    uint64_t owned_bytes;    /* pages that only the head reaches: what dropping it gives back */
    uint64_t shared_bytes;   /* pages of the head that other versions reach too */
    uint64_t snapshots;      /* how many it keeps */
    uint64_t snapshot_bytes; /* pages of these that the head does not reach */
    int64_t time;            /* last commit: microseconds since 1970, UTC */
};

struct ramet_snapshot_info {
    size_t size;
    uint64_t id;
    const char *branch;   /* that keeps it; until the callback returns, as name, author and message.
                             NULL: none does (RAMET_HISTORY_HIDDEN) */
    const char *name;     /* NULL: none */
    const char *author;   /* NULL: none */
    const char *message;  /* NULL: none */
    int64_t time;         /* microseconds since 1970, UTC */
    uint64_t generation;  /* 1 + that of its parent; 1: it has none */
    uint64_t parents[2];  /* ids; 0: none. The second: of a merge */
    uint64_t owned_bytes; /* pages it has and the snapshot before it has not */
    uint64_t total_bytes; /* all pages it reaches */
};

struct ramet_reader_info {
    size_t size;
    uint32_t pid;        /* as its own pid namespace sees it: to tell a person, not to signal */
    uint64_t version;    /* id of the version it reads */
    uint64_t age_ms;     /* since it began or was refreshed */
    uint64_t held_bytes; /* pages in limbo that wait for it, for others perhaps as well */
};

struct ramet_stat {
    size_t size;
    uint32_t page_size;
    uint32_t format; /* of the file; FORMAT.md */
    uint8_t store_id[16];
    uint64_t file_bytes;    /* length of the file, all counted below */
    uint64_t meta_bytes;    /* fixed places at the front of the file */
    uint64_t data_bytes;    /* pages of branches and snapshots */
    uint64_t unswept_bytes; /* pages of dropped branches and snapshots still to be reclaimed */
    uint64_t book_bytes;    /* the store's own records: catalog and space map */
    uint64_t limbo_bytes;   /* unreachable, waiting for readers or for the next flush */
    uint64_t free_bytes;    /* ready for use */
    uint64_t hole_bytes;    /* given back to the filesystem by ramet_compact(), or about to be */
    uint64_t last_id;       /* newest commit */
    uint64_t durable_id;    /* newest commit known to be on disk */
    uint64_t branches;
    uint64_t snapshots;
    uint64_t readers; /* open read transactions, and optimistic ones, of all processes; those of a
                         process that died count until the next commit */
    uint64_t lost_id; /* 0, or: opening fell back past this commit, which had not been flushed */
    int poisoned;     /* 1: a flush failed; writing is refused until the store is opened anew */
    uint64_t cursors; /* of watchers, that are kept: ramet_watch_cursor_list() */
    uint64_t cursor_bytes; /* pages that only they keep, of data_bytes */
};

/* What a version holds. */
struct ramet_txn_stat {
    size_t size;
    uint64_t maps;
    uint64_t entries; /* of all maps */
    uint64_t blobs;
    uint64_t blob_bytes;      /* their sizes, holes counted */
    uint64_t blob_data_bytes; /* pages of them that are there */
};

/* ---- the library ----------------------------------------------------------------------------- */

/*
 * ramet_version() - the version of the library that is running.
 *
 * Returns "MAJOR.MINOR.PATCH", as in "0.1.0".
 * Lifetime: for good.
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     nothing.
 */
RAMET_API const char *ramet_version(void);

/*
 * ramet_errmsg() - the sentence that goes with the calling thread's last failure.
 *
 * It names the store, page, key or name in question, and ends with ramet_strerror() of the code.
 * A key that is not there, and a cursor's end, are no failures: RAMET_ENOTFOUND from ramet_get(),
 * ramet_read(), ramet_del() and the cursors leaves the sentence of an earlier failure where it
 * is.
 *
 * Returns a string; "" if no call of this thread has failed yet. Never NULL.
 * Lifetime: until the thread's next failure.
 * Threads:  each has its own.
 * Blocks:   never.
 * Cost:     nothing.
 */
RAMET_API const char *ramet_errmsg(void);

/*
 * ramet_strerror() - the fixed text of a code.
 *
 * @code  one of RAMET_ERRORS, -errno, or 0.
 *
 * Returns a string, never NULL: "success" for 0, "unknown error" for what is no code.
 * Lifetime: of RAMET_ERRORS for good; of -errno until the thread's next call.
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API const char *ramet_strerror(int code);

/*
 * ramet_errno() - the errno nearest to a code, for programs that speak errno.
 *
 * @code  one of RAMET_ERRORS, -errno, or 0.
 *
 * Returns a positive errno; 0 for 0; EIO for what is no code.
 * Lifetime: returns a number.
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API int ramet_errno(int code);

/* ---- stores ---------------------------------------------------------------------------------- */

/*
 * ramet_open() - open a store, or create it with an empty branch `main`.
 *
 * @path     of the file; `PATH-lock` stands beside it while the store is in use and may stay
 *           there. NULL: a store in memory, which nobody else can open and which ends with its
 *           handle.
 * @options  borrowed; NULL: all zero, that is RAMET_FULL, read and write, pages of 4096 bytes.
 * @out      the handle, owned: ramet_close().
 *
 * Returns 0, or
 *   RAMET_ENOTSTORE  the file is something else; or it is empty, and flags forbid to create
 *   RAMET_EFORMAT    a newer format, or features that this version does not know
 *   RAMET_ECORRUPT   the front of the file is damaged, the file was cut short, or a commit that
 *                    was durable is not whole any more. It is never passed over in silence
 *   -EINVAL          options->size is not set, an option is out of bounds, flags that contradict
 *                    each other, another page size than the store has, or not a regular file
 *   -ENOENT, -EEXIST, -EISDIR, -EACCES, -EROFS and kin
 *                    from the system, and as RAMET_MUST_EXIST and RAMET_MUST_CREATE ask
 *   -EBUSY           the same file is open under another name, or by a version whose lock file is
 *                    different, or in 256 handles; or its folder is read-only for one and it has
 *                    a writer elsewhere
 *   -EOPNOTSUPP      on a network filesystem
 *   -EFBIG           the file is larger than the address space that can be had
 *   -ENOMEM, -ENOSPC, -EIO and kin
 * Lifetime: @out until ramet_close(). The library keeps no pointer to @path or @options; it keeps
 *           options->log and log_ctx.
 * Threads:  any number at once; the same file may be opened several times, by one process and by
 *           several.
 * Blocks:   while another handle of the store is being opened; on device reads and one flush,
 *           more when a store is created.
 * Cost:     O(1) after ramet_close() or a crash of the process. After a crash of the machine,
 *           O(pages written since the newest commit known to be durable): each is read and
 *           verified. If the newest commit had not been flushed and is not whole, the store goes
 *           on from the one before, and ramet_stat() tells so in lost_id, the log at once.
 */
RAMET_API int ramet_open(const char *path, const struct ramet_options *options,
                         struct ramet_store **out);

/*
 * ramet_close() - abort what is open, flush what is not, free the handle.
 *
 * @store  taken; NULL is allowed. With it end its transactions, maps and cursors.
 *
 * Returns nothing: call ramet_sync() first to know whether the last commits reached the disk. The
 * log is told if that flush fails.
 * Lifetime: @store and all that came from it end.
 * Threads:  one, and no other may use the handle. In a forked child it does nothing.
 * Blocks:   on a flush if something was committed since the last one; waits for a commit under
 *           way.
 * Cost:     O(open transactions and their private pages) and a flush.
 */
RAMET_API void ramet_close(struct ramet_store *store);

/*
 * ramet_sync() - make everything that was committed so far durable.
 *
 * @store  borrowed; of a store in memory, or opened with RAMET_READONLY, there is nothing to do.
 *
 * Returns 0, or
 *   RAMET_EPOISONED  an earlier flush failed
 *   -EIO and kin     from the device: now the store is poisoned. What was not durable may or may
 *                    not be found when the store is opened anew; reading goes on from the last
 *                    durable commit
 * Lifetime: returns nothing that could end.
 * Threads:  any number at once.
 * Blocks:   on the flush, and for a commit under way.
 * Cost:     nothing if all is durable already; else one flush, of the commits of all processes.
 */
RAMET_API int ramet_sync(struct ramet_store *store);

/*
 * ramet_stat() - what a store consists of, to the page, and how far it is durable.
 *
 * @store  borrowed.
 * @out    filled; the caller has set out->size.
 *
 * Returns 0, or
 *   -EINVAL  out->size is less than this version's sizeof(struct ramet_stat)
 *   RAMET_ECORRUPT, -EBUSY, -EIO and kin
 *            where there are cursors, as ramet_watch_cursor_list()
 * Lifetime: copies.
 * Threads:  any number at once.
 * Blocks:   never: the figures are those of the newest published version. Where there are cursors,
 *           on device reads.
 * Cost:     about 550 instructions, and 8 for each reader slot up to the highest that was ever in
 *           use at once; and what ramet_watch_cursor_list() costs. Without cursors it asks the
 *           kernel nothing, takes no lock and no memory: it may be polled.
 */
RAMET_API int ramet_stat(struct ramet_store *store, struct ramet_stat *out);

/*
 * ramet_txn_stat() - what the version of a transaction holds: its maps and blobs, added up.
 *
 * @txn  borrowed; a write transaction counts what it wrote.
 * @out  filled; the caller has set out->size.
 *
 * Returns 0, or
 *   -EINVAL  out->size is less than this version's sizeof(struct ramet_txn_stat)
 *   RAMET_ECORRUPT, -EIO and kin
 *            as ramet_map_list()
 * Lifetime: copies.
 * Threads:  as ramet_map_open().
 * Blocks:   on device reads; never waits for a writer.
 * Cost:     O((maps + blobs) * open maps): no entry of a map, and of a blob its size alone, is
 *           looked at.
 */
RAMET_API int ramet_txn_stat(struct ramet_txn *txn, struct ramet_txn_stat *out);

/* A nonzero answer stops the list, which returns it. */
typedef int (*ramet_reader_fn)(void *ctx, const struct ramet_reader_info *info);

/*
 * ramet_reader_list() - the open read transactions, and optimistic ones, on a store, of all
 * processes.
 *
 * @store  borrowed.
 * @fn     called once for each, in no order; the caller's own among them.
 * @ctx    handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ECORRUPT   a page of the catalog, or a record in it, is damaged
 *   -EBUSY           all reader slots (4096) are taken
 *   -EIO and kin     from the device
 * Lifetime: @info until @fn returns.
 * Threads:  any number at once. @fn may call anything but ramet_close().
 * Blocks:   on device reads; of a store in memory for a commit under way.
 * Cost:     O(readers * runs of pages in limbo).
 */
RAMET_API int ramet_reader_list(struct ramet_store *store, ramet_reader_fn fn, void *ctx);

/*
 * ramet_reclaim() - go on with reclaiming what was dropped, in commits of bounded size.
 *
 * Every commit reclaims a little by itself; this is for a program that has time, or needs the
 * room now. What is reclaimed goes to limbo first: it is free when no reader needs it and two
 * commits have been flushed. For progress, and to be able to stop, call it with some @pages_max
 * until @out_left is 0.
 *
 * @store      borrowed.
 * @pages_max  about how many pages to reclaim at most; 0: all.
 * @out_left   pages that are still to be reclaimed, 0 when done; may be NULL.
 *
 * Returns 0, or
 *   RAMET_ECORRUPT   a page of what was dropped is damaged: the rest cannot be reclaimed
 *   RAMET_EPOISONED  an earlier flush failed
 *   -EROFS           the store was opened read-only, and there is something to reclaim
 *   -ENOSPC          the disk is full, and what is kept for this is used up
 *   -ENOMEM, -EIO and kin
 * Lifetime: returns a number.
 * Threads:  any number at once.
 * Blocks:   on device reads and writes, on a flush a commit (RAMET_FULL), and for commits under
 *           way.
 * Cost:     O(pages reclaimed): each node of what was dropped is read once. 8192 pages a commit.
 */
RAMET_API int ramet_reclaim(struct ramet_store *store, uint64_t pages_max, uint64_t *out_left);

/* problem: a sentence, until the function returns. */
typedef void (*ramet_report_fn)(void *ctx, const char *problem);
/* done of total pages; total 0: not known yet. A nonzero answer cancels. */
typedef int (*ramet_progress_fn)(void *ctx, uint64_t done, uint64_t total);

/*
 * ramet_compact() - give free space back to the filesystem, while the store is in use.
 *
 * Reclaims what was dropped, waits for nobody, and punches holes where pages are free, from the end
 * of the file on, but for what open transactions were promised and a little more. The file takes
 * less room on disk, and keeps its length. When the store needs the room again it asks the
 * filesystem for it, in a write and not in a commit. Pages that readers hold back stay; pages in
 * use are not moved: ramet_copy() makes a file without free space.
 *
 * @store     borrowed; in a file or in memory.
 * @progress  called for every commit and hole, and at the end; a nonzero answer cancels, what was
 *            given back by then stays so. May be NULL.
 * @ctx       handed to it.
 *
 * Returns 0, or
 *   RAMET_ECORRUPT   a page of the store's records, or of what was dropped, is damaged
 *   RAMET_EPOISONED  an earlier flush failed
 *   -ECANCELED       @progress asked for it
 *   -EROFS           the store was opened read-only
 *   -EOPNOTSUPP      the filesystem cannot give back parts of a file; nothing was changed
 *   -ENOSPC          the disk is full, and what is kept for this is used up
 *   -ENOMEM, -EIO and kin
 * Lifetime: nothing is kept.
 * Threads:  any number at once. @progress is called by this thread, and must not use the store.
 * Blocks:   on device reads and writes, on a flush a commit, and for commits under way. Commits
 *           wait while holes are punched.
 * Cost:     O(pages reclaimed + pages of the file / 64) and one system call a hole.
 */
RAMET_API int ramet_compact(struct ramet_store *store, ramet_progress_fn progress, void *ctx);

/*
 * ramet_check() - verify every page, reference, deadlist and count, and the space map.
 *
 * Of the newest version, that is: of all branches, snapshots, and what waits to be reclaimed. Keys
 * must be in order, also from page to page.
 * Looks at a store in a file as a reader does: writers go on. One in memory has no commit
 * meanwhile, and its nodes have no checksums: it is their structure that is checked.
 *
 * @store     borrowed.
 * @flags     0, or RAMET_CHECK_QUICK: the data of large values is not read.
 * @report    called once for each problem; may be NULL.
 * @progress  called every 256 pages or so, and at the end; a nonzero answer cancels. May be NULL.
 * @ctx       handed to both.
 *
 * Returns 0 if all is well, or
 *   RAMET_ECORRUPT  something is wrong: @report was told what
 *   -ECANCELED      @progress asked for it
 *   -EBUSY          all reader slots (4096) are taken
 *   -ENOMEM
 * Lifetime: what the functions are handed, until they return.
 * Threads:  any number at once. @report and @progress are called by this thread, and must not use
 *           the store.
 * Blocks:   on device reads; never waits for a writer, but for a store in memory.
 * Cost:     O(pages of the file) reads, and 29 bytes of memory a page. All pages are verified
 *           anew, also when they are read next by others.
 */
RAMET_API int ramet_check(struct ramet_store *store, unsigned flags, ramet_report_fn report,
                          ramet_progress_fn progress, void *ctx);

/*
 * ramet_copy() - make a consistent, compacted copy of a store in a new file, while it is in use.
 *
 * All branches and snapshots as they are now, with their ids, names, authors, messages and times:
 * a ref names the same contents in the copy. What versions share they share there too, so the
 * copy is as large as the data_bytes of ramet_stat(), and its records. What waits to be
 * reclaimed, and free space, are left behind. Pages lie in key order, version by version from the
 * oldest on. The copy is a store of its own, with another store id.
 *
 * @store     borrowed; in a file or in memory.
 * @path      of the copy. It is made under a temporary name beside it, `PATH.XXXXXX`, and called
 *            @path when all of it is on disk; on failure nothing is left. Its permissions are
 *            those of the store's file (0600 if it is in memory).
 * @progress  called every 256 pages or so, and at the end; a nonzero answer cancels. May be NULL.
 * @ctx       handed to it.
 *
 * Returns 0, or
 *   RAMET_ECORRUPT   a page of the store is damaged: the message names it
 *   -ECANCELED       @progress asked for it
 *   -EEXIST          there is something called @path; nothing was changed
 *   -EINVAL          @path is empty
 *   -EBUSY           all reader slots (4096) are taken
 *   -ENOSPC          the disk has no room for the copy; known before the first page is copied
 *   -ENOENT, -EACCES, -EROFS, -ENOMEM, -EIO and kin
 *                    from the system
 * Lifetime: nothing is kept of @path.
 * Threads:  any number at once. @progress is called by this thread, and must not use the store.
 * Blocks:   on device reads and writes and a few flushes; never waits for a writer. What is
 *           freed meanwhile of the version being copied is held back, as by any reader.
 * Cost:     O(pages of data): each is read and verified, and written once. 12 bytes of memory for
 *           each page of the file, and the copy's catalog.
 */
RAMET_API int ramet_copy(struct ramet_store *store, const char *path, ramet_progress_fn progress,
                         void *ctx);

/* ---- transactions ---------------------------------------------------------------------------- */

/*
 * ramet_begin() - begin a transaction.
 *
 * @store  borrowed; must outlive the transaction.
 * @ref    `main` (a branch), `main@NAME` or `@ID` (a kept snapshot); NULL: `main`. RAMET_WRITE
 *         needs a branch.
 * @flags  RAMET_READ: sees the version that @ref names now, for as long as it lasts. RAMET_WRITE:
 *         a private fork of the branch's head; sees its own writes. The head may be a commit of
 *         this handle that is still being flushed: then it fails with that. With RAMET_NOWAIT,
 *         too: -EBUSY instead of waiting. With RAMET_OPTIMISTIC, too: see below.
 * @out    the transaction, owned: ramet_commit() or ramet_abort(), or ramet_close() of the store.
 *
 * An optimistic transaction is written to like any other, sees the branch's head as it was when it
 * began, and its own writes; it waits for nobody, and nobody waits for it. Any number may be open
 * on a branch, in one thread too. ramet_commit() takes the branch's lock, and writes what it wrote
 * on the head as it is then, unless one of these has changed on the branch since it began, that is,
 * is there and was not, is not there and was, or has another value (RAMET_ECONFLICT):
 *   - a key that it put or deleted, also if it was not there, or with the value that it had (but a
 *     put that answered -EEXIST wrote nothing)
 *   - any key of a range that it deleted; any key of a map that it dropped, and whether that map is
 *     there
 *   - a key, or any key of a range, that it guards: ramet_guard()
 *   - a map that was there and that it wrote to: it was dropped
 * Two may create the same map. What changed and changed back has not changed. What it has read and
 * does not guard, another may have changed: that is snapshot isolation; one that guards all it
 * read is serializable. RAMET_NOWAIT is for its commit. Its version is kept from being reclaimed
 * for as long as it lasts, as by a read transaction, among which it counts.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such branch or snapshot
 *   RAMET_EPOISONED  RAMET_WRITE, and an earlier flush failed
 *   RAMET_ECORRUPT   a page of the catalog or of the space map is damaged
 *   -EINVAL          @ref is malformed, RAMET_WRITE and it names a snapshot, or RAMET_OPTIMISTIC
 *                    without RAMET_WRITE
 *   -EBUSY           RAMET_NOWAIT and the branch has a writer; or all reader slots (4096) are
 *                    taken
 *   -EDEADLK         this thread has a write transaction on the branch already, through this
 *                    handle
 *   -EROFS           RAMET_WRITE, and the store was opened read-only
 *   -ENOMEM, -EIO and kin
 * Lifetime: @out until it is ended. @ref is copied.
 * Threads:  any number at once. A read transaction may be used by several threads, a write
 *           transaction by one at a time.
 * Blocks:   RAMET_READ: on device reads alone; never waits for a writer. (It takes one short
 *           lock, of this handle's list of transactions.) RAMET_WRITE: until the branch's writer
 *           has ended, or waits for its flush in ramet_commit() (not with RAMET_NOWAIT, nor with
 *           RAMET_OPTIMISTIC). The first one waits for a commit under way, too.
 * Cost:     O(log branches). The first RAMET_WRITE after opening loads the map of free pages. Each
 *           write of an optimistic transaction is noted, which is a second one in memory.
 */
RAMET_API int ramet_begin(struct ramet_store *store, const char *ref, unsigned flags,
                          struct ramet_txn **out);

/*
 * ramet_refresh() - move a read transaction to the newest head of its branch.
 *
 * If the head has moved, maps stay open and show the new version (one that it has not:
 * RAMET_ENOTFOUND), cursors lose their position, and slices got before are void. If it has not,
 * all stays as it is. The name is looked up anew: a branch that was dropped and made again is
 * followed.
 *
 * @txn  read transaction, borrowed. One that was begun on a snapshot stays there: 0.
 *
 * Returns 0, or
 *   RAMET_ETXN       @txn is a write transaction
 *   RAMET_ENOTFOUND  the branch is gone; the transaction stays where it is
 *   -EBUSY           all reader slots (4096) are taken; it stays where it is
 *   RAMET_ECORRUPT, -EIO and kin
 *                    a page of the catalog, or of the new version's list of maps: abort it in
 *                    this case
 * Lifetime: slices and cursor positions of before end, if the head has moved.
 * Threads:  one, and no other may use @txn meanwhile.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     one atomic load if nothing was published in the store since; else O(log branches +
 *           open maps).
 */
RAMET_API int ramet_refresh(struct ramet_txn *txn);

/*
 * ramet_commit() - make a transaction's version the head of its branch, and end the transaction.
 *
 * The transaction has ended whatever is returned. If nothing was written and @keep is NULL, there
 * is no new version. Of a read transaction: as ramet_abort(). Of an optimistic one, the version is
 * the branch's newest head with what it wrote; after RAMET_ECONFLICT it is begun again and does
 * its work anew, on what it then sees: ramet_begin(3) has such a loop.
 *
 * @txn     taken, also on failure, with its maps and cursors.
 * @keep    borrowed; NULL: the version is not kept as a snapshot.
 * @out_id  may be NULL: id of the version that the branch now has at its head; with @keep it is
 *          the snapshot's too: `@ID`.
 *
 * Returns 0, or, with nothing committed,
 *   RAMET_ETXN       an earlier call left the transaction in an unknown state: see
 *                    ramet_rollback() and ramet_map_drop(); or it began at a commit that failed
 *   RAMET_ECONFLICT  of an optimistic transaction, something that it wrote or guards has changed:
 *                    ramet_errmsg() names map and key; or @keep is given, and the branch has
 *                    conflicts of a merge to be resolved
 *   RAMET_ENOTFOUND  of an optimistic one, its branch is gone
 *   RAMET_EPOISONED  an earlier flush failed: open the store anew
 *   RAMET_ECORRUPT   a page of the catalog or of the space map is damaged, or the accounts do not
 *                    add up
 *   -EINVAL          keep->size is not set, or a name, author or message is malformed or too long
 *   -EBUSY           of an optimistic one, RAMET_NOWAIT and the branch has a writer; or all reader
 *                    slots (4096) are taken
 *   -EDEADLK         of an optimistic one, this thread has a write transaction on the branch that
 *                    is not
 *   -EEXIST          the branch keeps a snapshot of that name already
 *   -ENOMEM, -ENOSPC, -EIO and kin
 *                    a write failed: this commit is lost, and if it was of the catalog those of
 *                    other threads that were written together with it; if a transaction had begun
 *                    at one of them, the store is poisoned
 *   -EIO and kin     the flush failed: the store is poisoned. Whether this commit is there is
 *                    known only when the store is opened anew; until then reading goes on from
 *                    the last durable one
 *   -EOVERFLOW       the store has used up all ids (2^48)
 * Lifetime: @txn, its maps, cursors and slices end.
 * Threads:  one, and no other may use @txn.
 * Blocks:   for the commits before it; on device writes, and with RAMET_FULL on one flush (two
 *           for a commit of more than 2048 pages), which it shares with the commits that came in
 *           the meantime, of this branch and of others. From the beginning of the flush on the
 *           branch can have its next writer. An optimistic one: for the branch's writer, too;
 *           with RAMET_ECONFLICT until what it conflicts with is published, so that one which is
 *           begun again sees it.
 * Cost:     O(pages written): the changed leaves and the pages above them, and a few for catalog
 *           and space map. A part of what was dropped earlier is reclaimed too, at most 512
 *           pages. An optimistic one whose head has moved, with the branch's lock: O(entries
 *           written or guarded * log entries), and in ranges O(what changed); room on the disk is
 *           set aside only then (-ENOSPC).
 */
RAMET_API int ramet_commit(struct ramet_txn *txn, const struct ramet_keep *keep, uint64_t *out_id);

/*
 * ramet_abort() - end a transaction; what it wrote is forgotten.
 *
 * @txn  taken, with its maps and cursors; NULL is allowed.
 *
 * Returns nothing: it cannot fail. In a forked child it does nothing.
 * Lifetime: @txn, its maps, cursors and slices end.
 * Threads:  one, and no other may use @txn.
 * Blocks:   never on the device.
 * Cost:     O(private pages, open maps and cursors).
 */
RAMET_API void ramet_abort(struct ramet_txn *txn);

/*
 * ramet_txn_id() - id of the version that a transaction reads, or started from.
 *
 * @txn  borrowed.
 *
 * Returns the id; 0 for NULL.
 * Lifetime: returns a number.
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API uint64_t ramet_txn_id(const struct ramet_txn *txn);

/*
 * ramet_savepoint() - mark a point in a write transaction to which it can be rolled back.
 *
 * Savepoints nest, and are numbered from 1.
 *
 * @txn  write transaction, borrowed.
 * @out  the savepoint's number.
 *
 * Returns 0, or
 *   RAMET_ETXN  @txn is a read transaction, or is in an unknown state
 *   -ENOMEM
 * Lifetime: the savepoint until the transaction ends or is rolled back to one before it.
 * Threads:  one at a time.
 * Blocks:   never.
 * Cost:     O(open maps). From here on the first change of a private page from before copies it
 *           in memory.
 */
RAMET_API int ramet_savepoint(struct ramet_txn *txn, uint32_t *out);

/*
 * ramet_rollback() - undo all that a write transaction did since a savepoint.
 *
 * The savepoints inside it end; it stays itself, and can be rolled back to again. Open maps stay
 * open (one created since is gone: RAMET_ENOTFOUND); cursors of all maps lose their position. A
 * transaction that was in an unknown state can be committed again.
 *
 * @txn        write transaction, borrowed.
 * @savepoint  number from ramet_savepoint().
 *
 * Returns 0, or
 *   RAMET_ETXN       @txn is a read transaction
 *   RAMET_ENOTFOUND  no such savepoint
 *   RAMET_ECORRUPT, -EIO and kin
 *                    the list of maps cannot be read: the transaction is in an unknown state,
 *                    abort it
 * Lifetime: slices and cursor positions of before end.
 * Threads:  one at a time.
 * Blocks:   on device reads.
 * Cost:     O(private pages made since + open maps and cursors).
 */
RAMET_API int ramet_rollback(struct ramet_txn *txn, uint32_t savepoint);

/* ---- maps ------------------------------------------------------------------------------------ */

/*
 * ramet_map_open() - a handle for a map of a transaction's version.
 *
 * Opening a name twice gives the same handle.
 *
 * @txn    borrowed.
 * @name   1 to RAMET_NAME_MAX bytes, no control characters.
 * @flags  0, or RAMET_CREATE in a write transaction: make the map if it is not there.
 * @out    the handle, until the transaction ends; there is nothing to close.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such map, and no RAMET_CREATE
 *   RAMET_ETXN       RAMET_CREATE in a read transaction, or in one in an unknown state
 *   RAMET_ECORRUPT   a page or the map's record is damaged
 *   -ENOMEM, -ENOSPC, -EIO and kin
 * Lifetime: @out as long as @txn; it survives ramet_refresh() and ramet_rollback(). @name is
 *           copied.
 * Threads:  one at a time for a transaction, also a read-only one, and none may list its maps
 *           meanwhile.
 * Blocks:   on device reads.
 * Cost:     O(open maps + log maps).
 */
RAMET_API int ramet_map_open(struct ramet_txn *txn, const char *name, unsigned flags,
                             struct ramet_map **out);

/*
 * ramet_map_drop() - drop a map with all it holds.
 *
 * A handle of it answers RAMET_ENOTFOUND from now on, until the map is created again.
 *
 * @txn   write transaction, borrowed.
 * @name  of the map.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such map
 *   RAMET_ETXN       @txn is a read transaction, or is in an unknown state
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    a page of the map cannot be read, or there is no room for the change. If the
 *                    map was dropped but its record was not, the transaction is in an unknown
 *                    state: it cannot commit. It can be rolled back or aborted
 * Lifetime: slices got from the map, and what its cursors stand on, end.
 * Threads:  one at a time.
 * Blocks:   on device reads; when the disk is full, perhaps on a commit that frees pages.
 * Cost:     O(pages of the map): all nodes are read, to find large values and what to give back;
 *           none is written.
 */
RAMET_API int ramet_map_drop(struct ramet_txn *txn, const char *name);

/* A nonzero answer stops the list, which returns it. */
typedef int (*ramet_map_fn)(void *ctx, const struct ramet_map_info *info);

/*
 * ramet_map_list() - the maps of a transaction's version, in the order of their names.
 *
 * @txn  borrowed.
 * @fn   called once for each; must not write in @txn, nor open or drop maps.
 * @ctx  handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ECORRUPT   a page or the record of a map is damaged
 *   -EIO and kin     from the device
 * Lifetime: @info until @fn returns.
 * Threads:  as ramet_map_open().
 * Blocks:   on device reads.
 * Cost:     O(maps * open maps).
 */
RAMET_API int ramet_map_list(struct ramet_txn *txn, ramet_map_fn fn, void *ctx);

/*
 * ramet_map_count() - the number of entries of a map.
 *
 * @map  borrowed.
 * @out  the number.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  the map was dropped, or is not in the version refreshed or rolled back to
 * Lifetime: returns a number.
 * Threads:  any number at once on a read transaction; a write transaction has one user at a time.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API int ramet_map_count(struct ramet_map *map, uint64_t *out);

/*
 * ramet_get() - look up a key.
 *
 * @map  borrowed.
 * @key  1 to RAMET_KEY_MAX bytes; borrowed.
 * @out  the value, not NULL. Its data is not NULL either, even for a value of 0 bytes, and has no
 *       alignment.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such key (ramet_errmsg() is not set); or the map is gone (it is)
 *   RAMET_ECORRUPT   a page on the way, or of the value, fails its checks; other keys stay
 *                    readable
 *   -EINVAL          @key has 0 bytes, or too many
 *   -EFBIG           the value is larger than RAMET_SLICE_MAX: ramet_read() copies a part of it,
 *                    ramet_get_pieces() hands it out in pieces
 *   -ENOMEM, -EIO and kin
 * Lifetime: @out until the transaction ends, is refreshed or rolled back, or, in a write
 *           transaction, until its next write. It points into the store, which is mapped
 *           read-only; a large value whose pages are scattered is put together in memory that is
 *           kept as long.
 * Threads:  any number at once on a read transaction; a write transaction has one user at a time.
 * Blocks:   on device reads; takes no lock (a short one for scattered values), never waits for a
 *           writer.
 * Cost:     O(log entries). The first touch of a page by a process reads and verifies it.
 */
RAMET_API int ramet_get(struct ramet_map *map, struct ramet_slice key, struct ramet_slice *out);

/*
 * ramet_get_many() - look up several keys at once.
 *
 * The lookups go side by side, so that the processor waits for their cache misses together:
 * several times faster than one by one where the map is larger than the caches.
 *
 * @map    borrowed.
 * @count  of keys; 0 is allowed.
 * @keys   in any order, each 1 to RAMET_KEY_MAX bytes; borrowed.
 * @outs   @count values; of an absent key data is NULL and size 0. Undefined on failure.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  the map is gone
 *   RAMET_ECORRUPT, -EINVAL, -EFBIG, -ENOMEM, -EIO and kin
 *                    for one of the keys, as ramet_get()
 * Lifetime: as ramet_get().
 * Threads:  as ramet_get().
 * Blocks:   as ramet_get().
 * Cost:     O(count * log entries); allocates nothing but for scattered large values.
 */
RAMET_API int ramet_get_many(struct ramet_map *map, size_t count, const struct ramet_slice *keys,
                             struct ramet_slice *outs);

/*
 * ramet_read() - copy bytes out of a value of any size.
 *
 * @map       borrowed.
 * @key       1 to RAMET_KEY_MAX bytes; borrowed.
 * @off       first byte, from 0.
 * @buf       caller's memory, at least @len bytes; contents undefined on failure.
 * @len       bytes wanted; 0 to learn the size alone.
 * @out_size  the whole value's size; may be NULL.
 *
 * Returns bytes copied: @len, or fewer only where the value ends (0 at or past its end); else
 *   RAMET_ENOTFOUND  no such key (ramet_errmsg() is not set); or the map is gone (it is)
 *   RAMET_ECORRUPT   a page on the way, or of these bytes, fails its checks: the message names map,
 *                    key and byte; others stay readable
 *   -EINVAL          @key has 0 bytes, or too many
 *   -ENOMEM, -EIO and kin
 * Lifetime: copies.
 * Threads:  any number at once on a read transaction; a write transaction has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(log entries + @len), and of a value of several runs O(runs before @off). Only the
 *           runs of pages that are touched (at most 64 pages each) are read and verified.
 */
RAMET_API int64_t ramet_read(struct ramet_map *map, struct ramet_slice key, uint64_t off, void *buf,
                             size_t len, uint64_t *out_size);

/* A nonzero answer stops it, and is returned. piece: bytes of the value from off on. */
typedef int (*ramet_piece_fn)(void *ctx, uint64_t off, struct ramet_slice piece);

/*
 * ramet_get_pieces() - look at a part of a value of any size where it lies, without a copy.
 *
 * @map  borrowed.
 * @key  1 to RAMET_KEY_MAX bytes; borrowed.
 * @off  first byte, from 0.
 * @len  bytes; what lies behind the value's end is left out, so UINT64_MAX is all.
 * @fn   called for each piece, in order and without a gap; of a value of the store it is up to 64
 *       pages, verified. It must not write in the transaction.
 * @ctx  handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ENOTFOUND  no such key (ramet_errmsg() is not set); or the map is gone (it is)
 *   RAMET_ECORRUPT   a page on the way, or of the value, fails its checks: the message names map,
 *                    key and byte. What came before it was handed out; other parts can be read
 *   -EINVAL          @key has 0 bytes, or too many
 *   -ENOMEM, -EIO and kin
 * Lifetime: pieces as the value of ramet_get(): also when @fn has returned.
 * Threads:  any number at once on a read transaction; a write transaction has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(log entries + pieces up to the end of the part). Only the pieces that are handed out
 *           are read and verified, each when it is first touched by a process.
 */
RAMET_API int ramet_get_pieces(struct ramet_map *map, struct ramet_slice key, uint64_t off,
                               uint64_t len, ramet_piece_fn fn, void *ctx);

/*
 * ramet_put() - set a key's value.
 *
 * On failure the map is as it was, and the transaction can go on.
 *
 * @map    of a write transaction, borrowed.
 * @key    1 to RAMET_KEY_MAX bytes; copied.
 * @value  0 to RAMET_VALUE_MAX bytes; copied.
 * @flags  0, RAMET_NOOVERWRITE, RAMET_APPEND, or both.
 *
 * Returns 0, or
 *   -EEXIST          RAMET_NOOVERWRITE, and the key is there
 *   -EINVAL          @key has 0 bytes, or too many; or RAMET_APPEND, and it is not above all
 *                    others
 *   -EFBIG           @value is too large, or the store has outgrown the address space it can map
 *   RAMET_ENOTFOUND  the map was dropped
 *   RAMET_ETXN       in a read transaction, or one in an unknown state
 *   RAMET_ECORRUPT   a page on the way fails its checks
 *   -ENOSPC          the disk is full: room for the commit is set aside here (of an optimistic
 *                    transaction there), and from 64 MiB on room for what memory is not to hold
 *                    until then, so that the commit has it
 *   -ENOMEM, -EIO and kin
 * Lifetime: slices got in this transaction end.
 * Threads:  a write transaction has one user at a time.
 * Blocks:   on device reads; when it needs more room than was set aside, on growing the file, and
 *           if the disk is full on a commit that frees pages.
 * Cost:     O(log entries) and the value's copy. The first write to a page copies it, and those
 *           above it, in memory.
 */
RAMET_API int ramet_put(struct ramet_map *map, struct ramet_slice key, struct ramet_slice value,
                        unsigned flags);

/*
 * ramet_write() - write a part of a value, which grows if that lies behind its end.
 *
 * For values that are large, or that come bit by bit: ramet_put() of a first part, or of nothing,
 * then ramet_write() of the others, with memory for none of it as a whole. What lies between the
 * end and @off becomes zeros, which are written. A value never becomes shorter by it.
 *
 * Of a value of the store just the runs of pages are written anew that are touched, up to 64 pages
 * each; a smaller value is written as a whole. Where single pages of something large change, a blob
 * is what suits: ramet_blob_write().
 *
 * @map  of a write transaction, borrowed.
 * @key  of a value that is there: 1 to RAMET_KEY_MAX bytes; borrowed.
 * @off  first byte, from 0.
 * @buf  copied; not of the map itself.
 * @len  bytes; 0: nothing is done.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such key (ramet_errmsg() is not set); or the map was dropped (it is)
 *   RAMET_ETXN       in a read transaction, or one in an unknown state
 *   -EINVAL          @key has 0 bytes, or too many
 *   -EFBIG           the value would have more than RAMET_VALUE_MAX bytes
 *   RAMET_ECORRUPT   a page on the way, or of a run that is to be changed in part, fails its
 *                    checks: the message names map, key and byte
 *   -ENOSPC          as ramet_put()
 *   -ENOMEM, -EIO and kin
 *   On failure what lies before the run in question may have been written, and the value may have
 *   grown; a savepoint undoes that.
 * Lifetime: slices got in this transaction end.
 * Threads:  a write transaction has one user at a time.
 * Blocks:   as ramet_put().
 * Cost:     O(log entries + @len + what is left of the first and last run). The first write to a
 *           value in a transaction notes all its runs, 40 bytes each, and the commit writes the
 *           lists of these anew: about 80 KiB for 1 GiB. The first one behind a savepoint copies
 *           that note, and the runs that it touches.
 */
RAMET_API int ramet_write(struct ramet_map *map, struct ramet_slice key, uint64_t off,
                          const void *buf, size_t len);

/*
 * ramet_del() - delete a key.
 *
 * On failure the map is as it was, and the transaction can go on. Works on a full disk.
 *
 * @map  of a write transaction, borrowed.
 * @key  1 to RAMET_KEY_MAX bytes; borrowed.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such key (ramet_errmsg() is not set); or the map was dropped (it is)
 *   RAMET_ETXN       in a read transaction, or one in an unknown state
 *   RAMET_ECORRUPT   a page on the way fails its checks
 *   -EINVAL          @key has 0 bytes, or too many
 *   -ENOSPC          the disk is full, and what is kept for deleting is used up
 *   -ENOMEM, -EIO and kin
 * Lifetime: slices got in this transaction end.
 * Threads:  a write transaction has one user at a time.
 * Blocks:   as ramet_put().
 * Cost:     O(log entries + pages of run lists of a large value).
 */
RAMET_API int ramet_del(struct ramet_map *map, struct ramet_slice key);

/*
 * ramet_del_range() - delete all keys with @from <= key < @to.
 *
 * On failure the map is as it was, and the transaction can go on. Works on a full disk.
 *
 * @map        of a write transaction, borrowed.
 * @from       borrowed; of size 0: from the first.
 * @to         borrowed; of size 0: to the end. At or below @from: nothing is deleted.
 * @out_count  how many there were; may be NULL.
 *
 * Returns 0, also if there were none; or
 *   RAMET_ENOTFOUND  the map was dropped
 *   RAMET_ETXN, RAMET_ECORRUPT, -ENOSPC, -ENOMEM, -EIO and kin
 *                    as ramet_del()
 * Lifetime: slices got in this transaction end.
 * Threads:  a write transaction has one user at a time.
 * Blocks:   as ramet_put().
 * Cost:     O(pages in the range) reads, to count and to give back large values; whole subtrees
 *           are dropped, and only the pages at the two ends are written.
 */
RAMET_API int ramet_del_range(struct ramet_map *map, struct ramet_slice from, struct ramet_slice to,
                              uint64_t *out_count);

/*
 * ramet_guard() - let a transaction commit only if a key is as it was when it began.
 *
 * For an optimistic transaction that has read the key, and whose writes rest on what it found, or
 * on its absence. No other write transaction needs it: nobody changes its branch meanwhile.
 *
 * @map  of a write transaction, borrowed.
 * @key  1 to RAMET_KEY_MAX bytes; copied.
 *
 * Returns 0, or
 *   -EINVAL          @key has 0 bytes, or too many
 *   RAMET_ENOTFOUND  the map was dropped
 *   RAMET_ETXN       in a read transaction, or one in an unknown state
 *   RAMET_ECORRUPT   a page of the list of maps fails its checks
 *   -ENOMEM, -ENOSPC, -EIO and kin
 *                    no room for a note of it
 * Lifetime: until the transaction ends, or is rolled back to before it. Slices of the map stay.
 * Threads:  a write transaction has one user at a time.
 * Blocks:   never on the device.
 * Cost:     O(log guarded and written keys), and more when it commits; O(1) in a transaction that
 *           is not optimistic.
 */
RAMET_API int ramet_guard(struct ramet_map *map, struct ramet_slice key);

/*
 * ramet_guard_range() - let a transaction commit only if no key of a range has changed, come or
 * gone since it began.
 *
 * @map   of a write transaction, borrowed.
 * @from  copied; of size 0: from the first.
 * @to    copied; of size 0: to the end. At or below @from: nothing is guarded.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND, RAMET_ETXN, RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_guard()
 * Lifetime: as ramet_guard().
 * Threads:  a write transaction has one user at a time.
 * Blocks:   never on the device.
 * Cost:     O(log ranges); when it commits O(what changed in the range).
 */
RAMET_API int ramet_guard_range(struct ramet_map *map, struct ramet_slice from,
                                struct ramet_slice to);

/*
 * ramet_count_range() - count the keys with @from <= key < @to.
 *
 * @map   borrowed.
 * @from  borrowed; of size 0: from the first.
 * @to    borrowed; of size 0: to the end. At or below @from: 0.
 * @out   the number, not NULL.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  the map is gone
 *   RAMET_ECORRUPT   a page in the range fails its checks
 *   -EIO and kin     from the device
 * Lifetime: returns a number.
 * Threads:  as ramet_get().
 * Blocks:   as ramet_get().
 * Cost:     O(leaves in the range); O(1) without bounds.
 */
RAMET_API int ramet_count_range(struct ramet_map *map, struct ramet_slice from,
                                struct ramet_slice to, uint64_t *out);

/* ---- cursors --------------------------------------------------------------------------------- */

/*
 * ramet_cursor_open() - a cursor on a map.
 *
 * It has no position yet: ramet_cursor_next() goes to the first key, ramet_cursor_prev() to the
 * last. So does a cursor that came to an end. A write of the same transaction leaves cursors
 * where they are; if their key was deleted, next and prev go to its neighbours, and get answers
 * RAMET_ENOTFOUND.
 *
 * @map  borrowed.
 * @out  the cursor, owned: ramet_cursor_close(), or the end of the transaction.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  the map is gone
 *   -ENOMEM
 * Lifetime: @out until it is closed or the transaction ends; it survives ramet_refresh() and
 *           ramet_rollback(), but loses its position.
 * Threads:  several may open and close cursors on a read transaction at once; each cursor has one
 *           user at a time. A write transaction has one user at a time.
 * Blocks:   never on the device.
 * Cost:     O(1): about 2 KiB of memory.
 */
RAMET_API int ramet_cursor_open(struct ramet_map *map, struct ramet_cursor **out);

/*
 * ramet_cursor_first() - go to the first key.
 *
 * @c  borrowed.
 *
 * Returns 0, or, without a position,
 *   RAMET_ENOTFOUND  the map is empty (ramet_errmsg() is not set), or gone (it is)
 *   RAMET_ECORRUPT   a page on the way fails its checks
 *   -EIO and kin     from the device
 * Lifetime: what ramet_cursor_get() returned ends.
 * Threads:  each cursor has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(log entries).
 */
RAMET_API int ramet_cursor_first(struct ramet_cursor *c);

/*
 * ramet_cursor_last() - go to the last key.
 *
 * @c  borrowed.
 *
 * Returns as ramet_cursor_first().
 * Lifetime: what ramet_cursor_get() returned ends.
 * Threads:  each cursor has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(log entries).
 */
RAMET_API int ramet_cursor_last(struct ramet_cursor *c);

/*
 * ramet_cursor_seek() - go to the first key that is not below a key.
 *
 * @c    borrowed.
 * @key  0 to RAMET_KEY_MAX bytes (0: as ramet_cursor_first()); borrowed.
 *
 * Returns 0, or, without a position but for -EINVAL,
 *   RAMET_ENOTFOUND  all keys are below it (ramet_errmsg() is not set), or the map is gone (it
 *                    is)
 *   RAMET_ECORRUPT   a page on the way fails its checks
 *   -EINVAL          @key has too many bytes
 *   -EIO and kin     from the device
 * Lifetime: what ramet_cursor_get() returned ends.
 * Threads:  each cursor has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(log entries).
 */
RAMET_API int ramet_cursor_seek(struct ramet_cursor *c, struct ramet_slice key);

/*
 * ramet_cursor_next() - go to the next key; without a position, to the first.
 *
 * @c  borrowed.
 *
 * Returns 0, or, without a position,
 *   RAMET_ENOTFOUND  there is none (ramet_errmsg() is not set), or the map is gone (it is)
 *   RAMET_ECORRUPT   a page on the way fails its checks
 *   -EIO and kin     from the device
 * Lifetime: what ramet_cursor_get() returned ends.
 * Threads:  each cursor has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(1) amortised; O(log entries) after a write to the map.
 */
RAMET_API int ramet_cursor_next(struct ramet_cursor *c);

/*
 * ramet_cursor_prev() - go to the key before; without a position, to the last.
 *
 * @c  borrowed.
 *
 * Returns as ramet_cursor_next().
 * Lifetime: what ramet_cursor_get() returned ends.
 * Threads:  each cursor has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(1) amortised; O(log entries) after a write to the map.
 */
RAMET_API int ramet_cursor_prev(struct ramet_cursor *c);

/*
 * ramet_cursor_get() - key and value at a cursor's position.
 *
 * @c      borrowed.
 * @key    the key; may be NULL.
 * @value  its value; may be NULL, which spares the reading of a large one.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no position, or its key was deleted (ramet_errmsg() is not set); or the map
 *                    is gone
 *   RAMET_ECORRUPT   a page fails its checks
 *   -EFBIG           @value, and it is larger than RAMET_SLICE_MAX: ramet_read() reads it in
 *                    pieces
 *   -ENOMEM, -EIO and kin
 * Lifetime: @key until the cursor moves or is closed; @value as that of ramet_get(). Both end
 *           with the transaction, and with its next write.
 * Threads:  each cursor has one user at a time.
 * Blocks:   on device reads of a large value, or after a write to the map.
 * Cost:     O(1); the key is copied, the value as in ramet_get(). O(log entries) after a write to
 *           the map.
 */
RAMET_API int ramet_cursor_get(struct ramet_cursor *c, struct ramet_slice *key,
                               struct ramet_slice *value);

/*
 * ramet_cursor_close() - close a cursor.
 *
 * @c  taken; NULL is allowed.
 *
 * Returns nothing: it cannot fail.
 * Lifetime: @c, and the key that ramet_cursor_get() returned, end.
 * Threads:  as ramet_cursor_open().
 * Blocks:   never on the device.
 * Cost:     O(open cursors of the map).
 */
RAMET_API void ramet_cursor_close(struct ramet_cursor *c);

/* ---- handles of maps: one call each ---------------------------------------------------------- */

/*
 * A map of a branch without a transaction to spell out: for programs that share a map among
 * threads. Each thread that uses it has a handle of its own. A read sees the newest version, and
 * what the last write of any thread that had returned before made of it; a write is one commit. A
 * handle that is not in a call, and does not hold a version, keeps nothing from being reclaimed,
 * whoever has it and however long.
 *
 * A version is held with ramet_handle_hold(): a snapshot of the whole map, to be looked at with
 * ramet_get(), ramet_get_many() and cursors while others write. A handle holds one at a time; more
 * are to be had with more handles, or read transactions. What a held version keeps of the store is
 * what it consists of, and no more, however long it is held and whatever is written meanwhile. Of a
 * store in memory, what nobody can see any more is used again within 64 commits.
 *
 * A thread may end without closing its handle, also one that is cancelled: any other may close it,
 * and ramet_close() does.
 */
struct ramet_handle;

/*
 * ramet_handle_open() - a handle of a map, for one thread.
 *
 * @store  borrowed; must outlive the handle.
 * @ref    a branch; NULL: `main`. Or a snapshot, which cannot be written.
 * @map    its name.
 * @flags  0, or RAMET_CREATE: the map is made if it is not there, now and by later writes.
 * @out    the handle, owned: ramet_handle_close(), or ramet_close() of the store.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such branch or snapshot; or no such map, and no RAMET_CREATE
 *   RAMET_EPOISONED, -EROFS, -EDEADLK, -ENOSPC
 *                    the map is to be made: as ramet_begin() and ramet_commit()
 *   RAMET_ECORRUPT   a page of the catalog, or of the list of maps, is damaged
 *   -EINVAL          @ref or @map is malformed; or the map is to be made in a snapshot
 *   -EBUSY           all reader slots (4096) are taken: a handle has one
 *   -ENOMEM, -EIO and kin
 * Lifetime: @out until it is closed. @ref and @map are copied.
 * Threads:  any number at once. A handle is used by one thread at a time.
 * Blocks:   on device reads; if the map is to be made as ramet_handle_put().
 * Cost:     O(log branches + log maps); if the map is to be made, a commit.
 */
RAMET_API int ramet_handle_open(struct ramet_store *store, const char *ref, const char *map,
                                unsigned flags, struct ramet_handle **out);

/*
 * ramet_handle_close() - end a handle, and the version it may hold.
 *
 * @handle  taken; NULL is allowed.
 *
 * Returns nothing: it cannot fail. In a forked child it does nothing.
 * Lifetime: @handle ends, with its map, cursors and slices.
 * Threads:  one, and no other may use @handle.
 * Blocks:   never on the device.
 * Cost:     O(open cursors).
 */
RAMET_API void ramet_handle_close(struct ramet_handle *handle);

/*
 * ramet_handle_get() - copy the newest value of a key; with a held version, its value there.
 *
 * ramet_handle_get_u64() takes a number, which stands for eight bytes, big-endian: so the map's
 * order is that of the numbers, and leaves of values of one size find a number by computing.
 *
 * @handle  borrowed.
 * @key     1 to RAMET_KEY_MAX bytes; borrowed.
 * @buf     caller's memory, at least @size bytes; contents undefined on failure.
 * @size    bytes wanted; 0 to learn the value's size alone.
 *
 * Returns the whole value's size, of which up to @size bytes were copied; else
 *   RAMET_ENOTFOUND  no such key (ramet_errmsg() is not set); or the branch, or the map, is gone
 *                    (it is)
 *   RAMET_ECORRUPT   a page on the way, or of the value, fails its checks
 *   -EINVAL          @key has 0 bytes, or too many
 *   -ENOMEM, -EIO and kin
 * Lifetime: copies.
 * Threads:  one at a time for a handle; any number at once for a map.
 * Blocks:   on device reads; takes no lock, never waits for a writer, and writes to memory of this
 *           handle alone.
 * Cost:     O(log entries); if something was committed in the store since the last call, O(log
 *           branches + log maps) more. Of a store in memory it is O(1) for keys that were got
 *           before, as long as nothing was written beside them: the handle remembers where it found
 *           them. Allocates memory for that alone, 16 to 32 bytes for each such key and 64 MiB at
 *           most, and does without if there is none.
 */
RAMET_API int64_t ramet_handle_get(struct ramet_handle *handle, struct ramet_slice key, void *buf,
                                   size_t size);
RAMET_API int64_t ramet_handle_get_u64(struct ramet_handle *handle, uint64_t key, void *buf,
                                       size_t size);

/*
 * ramet_handle_put() - set a key's value, in a commit of its own.
 *
 * When it returns, every read of any handle that begins then sees it. ramet_handle_put_u64(): as
 * ramet_handle_get_u64().
 *
 * @handle  borrowed; it may hold a version, which stays as it is.
 * @key     1 to RAMET_KEY_MAX bytes; copied.
 * @value   0 to RAMET_VALUE_MAX bytes; copied.
 * @flags   0, RAMET_NOOVERWRITE, RAMET_APPEND, or both: as ramet_put().
 *
 * Returns 0, or, with nothing committed (but see ramet_commit() of a flush that failed),
 *   -EEXIST          RAMET_NOOVERWRITE, and the key is there
 *   RAMET_ENOTFOUND  the branch is gone; or the map is, and it was opened without RAMET_CREATE
 *   RAMET_ETXN, RAMET_EPOISONED, RAMET_ECORRUPT, -EDEADLK, -EROFS, -EFBIG, -EOVERFLOW, -ENOMEM,
 *   -ENOSPC, -EIO and kin
 *                    as ramet_begin(), ramet_put() and ramet_commit()
 *   -EINVAL          the key, the flags, or RAMET_APPEND and it is not above all others; or the
 *                    handle is of a snapshot
 * Lifetime: nothing is kept.
 * Threads:  one at a time for a handle. It cannot be cancelled.
 * Blocks:   for the branch's writer, then as ramet_commit().
 * Cost:     O(log entries): in memory the pages from the map's root to the leaf are copied, and
 *           that of the list of maps; least of all where there was a value of the same size. In a
 *           file as a transaction of one ramet_put(). Many at once are cheaper in
 *           ramet_handle_batch().
 */
RAMET_API int ramet_handle_put(struct ramet_handle *handle, struct ramet_slice key,
                               struct ramet_slice value, unsigned flags);
RAMET_API int ramet_handle_put_u64(struct ramet_handle *handle, uint64_t key,
                                   struct ramet_slice value, unsigned flags);

/*
 * ramet_handle_del() - delete a key, in a commit of its own.
 *
 * @handle  borrowed.
 * @key     1 to RAMET_KEY_MAX bytes; borrowed. ramet_handle_del_u64(): as ramet_handle_get_u64().
 *
 * Returns 0, or, with nothing committed,
 *   RAMET_ENOTFOUND  no such key (ramet_errmsg() is not set); or the branch, or the map, is gone
 *                    (it is)
 *   RAMET_ETXN, RAMET_EPOISONED, RAMET_ECORRUPT, -EINVAL, -EDEADLK, -EROFS, -EOVERFLOW, -ENOMEM,
 *   -ENOSPC, -EIO and kin
 *                    as ramet_handle_put()
 * Lifetime: nothing is kept.
 * Threads:  as ramet_handle_put().
 * Blocks:   as ramet_handle_put().
 * Cost:     as ramet_handle_put().
 */
RAMET_API int ramet_handle_del(struct ramet_handle *handle, struct ramet_slice key);
RAMET_API int ramet_handle_del_u64(struct ramet_handle *handle, uint64_t key);

/*
 * ramet_handle_batch() - set and delete several keys in one commit: all of them, or none.
 *
 * @handle  borrowed.
 * @count   of keys; 0 is allowed, and commits nothing.
 * @keys    each 1 to RAMET_KEY_MAX bytes, in any order; of one that is there twice the last counts.
 *          Numbers: ramet_u64_key().
 * @values  @count of them. Where data is NULL the key is deleted, if it is there; an empty value
 *          has some pointer, and size 0.
 *
 * Returns 0, or, with nothing committed,
 *   RAMET_ENOTFOUND  the branch is gone; or the map is, and it was opened without RAMET_CREATE
 *   RAMET_ETXN, RAMET_EPOISONED, RAMET_ECORRUPT, -EINVAL, -EDEADLK, -EROFS, -EFBIG, -EOVERFLOW,
 *   -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_handle_put()
 * Lifetime: nothing is kept.
 * Threads:  as ramet_handle_put().
 * Blocks:   as ramet_handle_put().
 * Cost:     O(count * log entries) and one commit: pages that several keys are in are written once.
 *           In memory half as much if all keys are there, with values of the same sizes.
 */
RAMET_API int ramet_handle_batch(struct ramet_handle *handle, size_t count,
                                 const struct ramet_slice *keys, const struct ramet_slice *values);

/*
 * ramet_handle_hold() - hold the newest version of the map: a snapshot, in constant time.
 *
 * Until ramet_handle_release() the handle's reads are of this version. Its writes go to the branch
 * as ever, and are not seen by it.
 *
 * @handle  borrowed. One that holds a version already goes on holding that.
 * @out     the map as it is in that version, for what is done with maps of a read transaction.
 *          There is nothing to close.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  the branch, or the snapshot, is gone. (Of a map that is gone, @out says so.)
 *   RAMET_ECORRUPT, -EIO and kin
 *                    a page of the catalog, or of the list of maps
 * Lifetime: @out as long as @handle; its slices and cursor positions until the version is released.
 *           Its cursors may stay open, and have no position in the next version that is held.
 * Threads:  one at a time for a handle. Until it is released, any number may read @out.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     as of a ramet_handle_get() that finds nothing. Allocates nothing.
 */
RAMET_API int ramet_handle_hold(struct ramet_handle *handle, struct ramet_map **out);

/*
 * ramet_handle_release() - give a held version back.
 *
 * @handle  borrowed; NULL, or one that holds nothing, is allowed.
 *
 * Returns nothing: it cannot fail. In a forked child it does nothing.
 * Lifetime: slices and cursor positions of the version end.
 * Threads:  one, and no other may use @handle or its map meanwhile.
 * Blocks:   never.
 * Cost:     O(1), and what ramet_get() put together is freed.
 */
RAMET_API void ramet_handle_release(struct ramet_handle *handle);

/* The key that stands for a number in ramet_handle_get_u64() and kin, put into buf. */
static inline struct ramet_slice ramet_u64_key(uint64_t number, unsigned char buf[8])
{
    struct ramet_slice key;
    int i;
    for (i = 0; i < 8; i++)
        buf[i] = (unsigned char)(number >> (56 - 8 * i));
    key.data = buf;
    key.size = 8;
    return key;
}

/* ---- blobs ----------------------------------------------------------------------------------- */

/*
 * A blob is a sparse array of bytes: a disk, a region of memory, a file. Pages that nobody wrote,
 * or that hold zeros alone, take no room and read as zeros. A write copies just the pages it
 * touches. A blob is part of its branch, as a map is, and versions, branches, differences and
 * merges have it page by page. A blob has a name of 1 to RAMET_BLOB_NAME_MAX bytes; maps have names
 * of their own.
 */
struct ramet_blob;

struct ramet_blob_info {
    size_t size;
    const char *name;    /* until the callback returns */
    uint64_t bytes;      /* its size */
    uint64_t data_bytes; /* pages that are there */
};

enum ramet_extent_kind {
    RAMET_EXTENT_HOLE = 0,  /* reads as zeros, takes no room */
    RAMET_EXTENT_OWNED = 1, /* pages that no version below has: dropping them gives room back, if no
                               other place of this version has them (ramet_blob_copy()) */
    RAMET_EXTENT_SHARED = 2 /* pages that a version below has too: a write copies them */
};

struct ramet_extent {
    size_t size;
    uint64_t offset; /* bytes, as bytes is */
    uint64_t bytes;
    int kind; /* enum ramet_extent_kind */
};

/*
 * ramet_blob_open() - a blob of a transaction's version.
 *
 * @txn    borrowed.
 * @name   of the blob.
 * @flags  RAMET_CREATE: make it, with size 0, if it is not there (write transactions).
 * @out    owned by the transaction.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such blob, and no RAMET_CREATE
 *   RAMET_ETXN       RAMET_CREATE in a read transaction, or one in an unknown state
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 * Lifetime: @out until the transaction ends. After ramet_refresh() or a rollback it is the blob of
 *           the same name, if there is one; else its functions answer RAMET_ENOTFOUND.
 * Threads:  one at a time on a transaction.
 * Blocks:   on device reads.
 * Cost:     O(log blobs); nothing if it is open already.
 */
RAMET_API int ramet_blob_open(struct ramet_txn *txn, const char *name, unsigned flags,
                              struct ramet_blob **out);

/*
 * ramet_blob_drop() - drop a blob with all it holds.
 *
 * A handle of it answers RAMET_ENOTFOUND from now on, until the blob is made again.
 *
 * @txn   write transaction, borrowed.
 * @name  of the blob.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such blob
 *   RAMET_ETXN       @txn is a read transaction, or is in an unknown state
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_map_drop()
 * Lifetime: returns nothing that could end.
 * Threads:  one at a time.
 * Blocks:   on device reads; when the disk is full, perhaps on a commit that frees pages.
 * Cost:     O(pages of the blob / 200): the pages that say where its data is are read, the data is
 *           not.
 */
RAMET_API int ramet_blob_drop(struct ramet_txn *txn, const char *name);

/* A nonzero answer stops the list, which returns it. */
typedef int (*ramet_blob_fn)(void *ctx, const struct ramet_blob_info *info);

/*
 * ramet_blob_list() - the blobs of a transaction's version, in the order of their names.
 *
 * @txn  borrowed.
 * @fn   called once for each; must not write in @txn, nor open or drop blobs.
 * @ctx  handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ECORRUPT, -ENOMEM, -EIO and kin
 * Lifetime: @info until @fn returns.
 * Threads:  any number at once on a read transaction.
 * Blocks:   on device reads.
 * Cost:     O(maps and blobs).
 */
RAMET_API int ramet_blob_list(struct ramet_txn *txn, ramet_blob_fn fn, void *ctx);

/*
 * ramet_blob_size() - how many bytes a blob has, holes counted.
 *
 * @blob  borrowed.
 * @out   bytes.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  it was dropped
 *   RAMET_ECORRUPT, -EIO and kin
 * Lifetime: copies.
 * Threads:  any number at once on a read transaction; on a write transaction while nobody writes.
 * Blocks:   on device reads.
 * Cost:     one lookup.
 */
RAMET_API int ramet_blob_size(struct ramet_blob *blob, uint64_t *out);

/*
 * ramet_blob_read() - bytes of a blob.
 *
 * @blob  borrowed.
 * @off   first byte, from 0.
 * @buf   the caller's memory, at least @len bytes; contents undefined on failure.
 * @len   bytes wanted.
 *
 * Returns how many: @len, or fewer only where the blob ends (0 at or behind its end); else
 *   RAMET_ENOTFOUND  it was dropped
 *   RAMET_ECORRUPT   a page fails its checksum: the message names blob, offset and page. Other
 *                    pages can be read
 *   -EIO and kin     from the device
 * Lifetime: copies.
 * Threads:  any number at once on a read transaction; on a write transaction while nobody writes.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(log pages of the blob + pages touched); each page's checksum is verified; pages that
 *           lie side by side in the file are read at once.
 */
RAMET_API int64_t ramet_blob_read(struct ramet_blob *blob, uint64_t off, void *buf, size_t len);

/*
 * ramet_blob_write() - write bytes of a blob, which grows if they lie behind its end.
 *
 * Nobody else sees them before the commit. Pages of zeros become holes.
 *
 * @blob  of a write transaction, borrowed.
 * @off   first byte, from 0.
 * @buf   copied.
 * @len   bytes.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  it was dropped
 *   RAMET_ETXN       a read transaction, or one in an unknown state
 *   -EFBIG           it would have more than RAMET_BLOB_MAX bytes
 *   RAMET_ECORRUPT   a page that is to be changed in part fails its checksum
 *   -ENOMEM, -ENOSPC, -EIO and kin
 *                    what lies before the page that could not be written may have been
 * Lifetime: copies.
 * Threads:  one at a time.
 * Blocks:   on device reads; when the disk is full, perhaps on a commit that frees pages.
 * Cost:     O(pages touched * log pages of the blob); a page that is written in part is read first.
 *           Up to 64 MiB stay in memory until the commit, the rest in unnamed files beside the
 *           store.
 */
RAMET_API int ramet_blob_write(struct ramet_blob *blob, uint64_t off, const void *buf, size_t len);

/*
 * ramet_blob_lend() - as ramet_blob_write(), without a copy of the pages that are written whole.
 *
 * @buf  stays where it is until the transaction has ended, savepoints that are rolled back or not.
 *       What it holds when the commit comes to a page is what is written, and what reading in this
 *       transaction gives: it should not change, but if it does, the blob is still a valid one.
 *
 * Returns as ramet_blob_write().
 * Lifetime: borrows @buf until ramet_commit() or ramet_abort() has returned.
 * Threads, blocks: as ramet_blob_write().
 * Cost:     as that, without memory for the pages that are lent, however many.
 */
RAMET_API int ramet_blob_lend(struct ramet_blob *blob, uint64_t off, const void *buf, size_t len);

/*
 * ramet_blob_zero() - make bytes of a blob zeros: discard, and write zeroes.
 *
 * Whole pages become holes, which take no room; the blob keeps its size.
 *
 * @blob  of a write transaction, borrowed.
 * @off   first byte, from 0.
 * @len   bytes; what lies behind the blob's end does not matter.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  it was dropped
 *   RAMET_ETXN       a read transaction, or one in an unknown state
 *   RAMET_ECORRUPT   a page that is to be changed in part fails its checksum
 *   -ENOMEM, -ENOSPC, -EIO and kin
 * Lifetime: returns nothing that could end.
 * Threads:  one at a time.
 * Blocks:   on device reads; when the disk is full, perhaps on a commit that frees pages.
 * Cost:     O(log pages of the blob + pages that were there / 200).
 */
RAMET_API int ramet_blob_zero(struct ramet_blob *blob, uint64_t off, uint64_t len);

/*
 * ramet_blob_copy() - copy bytes of a blob to another place in it, or in another one.
 *
 * Where both lie alike in their pages (@from_off and @to_off differ by a multiple of the page size)
 * whole pages are not copied: both blobs refer to the same ones from then on, until one is written
 * there. Holes are copied as holes. Within one blob the two places may overlap. The blob that is
 * copied to grows if need be.
 *
 * @from      of a write transaction, borrowed. It looks as before.
 * @from_off  first byte to copy, from 0.
 * @to        of the same transaction, perhaps the same blob; borrowed.
 * @to_off    where that byte goes.
 * @len       bytes; what lies behind the end of @from does not matter.
 *
 * Returns how many were copied: @len, or fewer only where @from ends (0 at or behind its end); else
 *   RAMET_ENOTFOUND  one of them was dropped
 *   RAMET_ETXN       a read transaction, or one in an unknown state
 *   -EINVAL          blobs of different transactions
 *   -EFBIG           it would have more than RAMET_BLOB_MAX bytes
 *   RAMET_ECORRUPT   a page that is copied byte by byte fails its checksum, or what is noted of
 *                    references is damaged
 *   -ENOMEM, -ENOSPC, -EIO and kin
 *                    a part may have been copied, or the transaction be in an unknown state: then
 *                    it can go back to a savepoint, and not commit
 * Lifetime: returns nothing that could end.
 * Threads:  one at a time.
 * Blocks:   on device reads; when the disk is full, perhaps on a commit that frees pages.
 * Cost:     O(pages that are there * log pages of the blob); no data is read or written, but what
 *           says where it is, in both blobs: some 50 bytes a page, less if it was copied before. A
 *           page that several places refer to takes a lookup more to read. Bytes that lie otherwise
 *           in their pages cost as ramet_blob_read() and ramet_blob_write(). A merge writes what
 *           was copied since the base page by page.
 */
RAMET_API int64_t ramet_blob_copy(struct ramet_blob *from, uint64_t from_off, struct ramet_blob *to,
                                  uint64_t to_off, uint64_t len);

/*
 * ramet_blob_truncate() - give a blob another size.
 *
 * What is cut off is gone: if the blob grows again it has zeros there.
 *
 * @blob  of a write transaction, borrowed.
 * @size  bytes.
 *
 * Returns as ramet_blob_zero(), and
 *   -EFBIG  @size is above RAMET_BLOB_MAX
 * Lifetime: returns nothing that could end.
 * Threads:  one at a time.
 * Blocks:   on device reads; when the disk is full, perhaps on a commit that frees pages.
 * Cost:     O(log pages of the blob + pages that were cut off / 200).
 */
RAMET_API int ramet_blob_truncate(struct ramet_blob *blob, uint64_t size);

/* A nonzero answer stops the list, which returns it. */
typedef int (*ramet_extent_fn)(void *ctx, const struct ramet_extent *extent);

/*
 * ramet_blob_extents() - where a part of a blob has data, and where holes.
 *
 * @blob  borrowed.
 * @off   first byte.
 * @len   bytes; what lies behind the blob's end is not listed.
 * @fn    called for each, in order and without a gap; two of one kind do not follow each other. It
 *        must not write in the transaction.
 * @ctx   handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ENOTFOUND  it was dropped
 *   RAMET_ECORRUPT, -EBUSY, -EIO and kin
 * Lifetime: @extent until @fn returns.
 * Threads:  any number at once on a read transaction; on a write transaction one.
 * Blocks:   on device reads.
 * Cost:     O(log pages of the blob + pages that are there in the part).
 */
RAMET_API int ramet_blob_extents(struct ramet_blob *blob, uint64_t off, uint64_t len,
                                 ramet_extent_fn fn, void *ctx);

/*
 * ramet_blob_defragment() - write pages anew where a blob lies in many pieces of the file.
 *
 * Scattered writes leave a blob in pieces, and a region of it takes a mapping for each: past its
 * limit pages are read into memory instead of being shared. This writes those parts of the blob
 * anew that are in most pieces, each side by side; what they share with other versions, or with
 * other places of this one (ramet_blob_copy()), they share no more, so that the store grows by as
 * much. Nothing is changed in what the blob holds.
 *
 * @blob    of a write transaction, borrowed; of any, if @bytes is 0.
 * @pieces  that are few enough.
 * @bytes   written anew at most, or 1 MiB if that is more; 0: none, the pieces are only counted. Of
 *          a large blob it takes several transactions: until @out_pieces is at most @pieces, or
 *          does not become less.
 * @out_pieces  in how many it lies, or will lie at most when the transaction is committed; may be
 *          NULL.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  it was dropped
 *   RAMET_ETXN       a read transaction, or one in an unknown state
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    some pages may have been written anew: the blob holds the same
 * Lifetime: copies.
 * Threads:  one at a time.
 * Blocks:   on device reads.
 * Cost:     O(pages of the blob) to find the pieces, and @bytes of reading and writing.
 */
RAMET_API int ramet_blob_defragment(struct ramet_blob *blob, uint64_t pieces, uint64_t bytes,
                                    uint64_t *out_pieces);

/*
 * ramet_blob_diff() - where two blobs differ.
 *
 * Pages that both share are not looked at.
 *
 * @from  borrowed; of any version of the same store. NULL: an empty blob.
 * @to    borrowed.
 * @fn    called for each range of pages that differ, in order, with their kind in @to: a hole, or
 *        RAMET_EXTENT_OWNED. What one of them has behind the end of the other differs if it is no
 *        hole. It must not write in either transaction.
 * @ctx   handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ENOTFOUND  one was dropped
 *   -EINVAL          they are of different stores
 *   RAMET_ECORRUPT, -EIO and kin
 * Lifetime: @extent until @fn returns.
 * Threads:  any number at once on read transactions; on a write transaction one.
 * Blocks:   on device reads.
 * Cost:     O(pages that differ * log pages): their data is read where both have some.
 */
RAMET_API int ramet_blob_diff(struct ramet_blob *from, struct ramet_blob *to, ramet_extent_fn fn,
                              void *ctx);

struct ramet_lease;

/*
 * ramet_blob_lease() - be the one who writes to a blob of a branch, for longer than a transaction.
 *
 * A lease is advisory: it keeps away those who ask for it, as servers of disks do, and nobody else.
 * The blob need not be there (yet).
 *
 * @store   borrowed until the lease ends.
 * @branch  name of a branch.
 * @name    of the blob.
 * @flags   RAMET_NOWAIT: -EBUSY instead of waiting for whoever has it.
 * @out     owned: ramet_lease_end().
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such branch
 *   -EBUSY           with RAMET_NOWAIT: somebody has it, with this handle of the store or another
 *   -EROFS           the store was opened read-only
 *   RAMET_ECORRUPT, -ENOMEM, -EIO and kin
 * Lifetime: @out until ramet_lease_end(), to be called before ramet_close(). What it keeps others
 *           from ends with the process, too, however that ends.
 * Threads:  any number at once.
 * Blocks:   as long as somebody has it, without RAMET_NOWAIT: also oneself.
 * Cost:     a lookup and a system call.
 */
RAMET_API int ramet_blob_lease(struct ramet_store *store, const char *branch, const char *name,
                               unsigned flags, struct ramet_lease **out);

/*
 * ramet_lease_end() - let others write to a blob.
 *
 * @lease  taken; NULL is allowed. Not after ramet_close() of its store.
 *
 * Returns nothing.
 * Lifetime: @lease ends.
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     a system call.
 */
RAMET_API void ramet_lease_end(struct ramet_lease *lease);

/* ---- regions of memory ----------------------------------------------------------------------- */

/*
 * A region is a blob as memory: a pointer. Its pages are those of the store's file, and all
 * processes share one copy of what nobody changed; whoever stores to a page gets a copy of their
 * own from the kernel, which nobody else sees until ramet_region_commit(). A region shows one
 * version for as long as it is not moved, and holds it as a read transaction does.
 *
 * Memory is not verified when it is touched: RAMET_REGION_VERIFY does it when the region is opened,
 * and ramet_check() at any time. A page that the device cannot read any more is a SIGBUS, as of any
 * mapped file. A forked child does not have the region. On a machine with pages of more than 4 KiB,
 * and where a blob lies in more pieces than options->mappings, what cannot be mapped is read into
 * memory: ramet_blob_defragment() makes them fewer.
 */
struct ramet_region;

/* ramet_region_options.flags */
enum {
    RAMET_REGION_VERIFY = 1 << 0 /* every page is read and verified first */
};

/* ramet_region_refresh() flags */
enum {
    RAMET_REGION_OURS = 1 << 0,  /* pages that both changed stay as they are here */
    RAMET_REGION_THEIRS = 1 << 1 /* they become those of the newest version */
};

struct ramet_region_options {
    size_t size;       /* sizeof(struct ramet_region_options) */
    unsigned flags;    /* RAMET_REGION_VERIFY */
    uint32_t mappings; /* of the process, that it may have at most; 0: 8192 */
    uint64_t reserve;  /* bytes of addresses: it can grow so far. 0: as the blob is now */
};

struct ramet_region_info {
    size_t size;
    uint64_t version;       /* id of the version that it shows */
    uint64_t bytes;         /* its size */
    uint64_t private_bytes; /* pages that this process has copies of */
    uint64_t written_bytes; /* pages that were written since; an upper bound, if exact is 0 */
    uint64_t mappings;      /* of the process, by it */
    int exact; /* 0: this kernel does not tell which pages were written since a commit, and each of
                  them is compared in the next one */
};

/*
 * ramet_region_open() - a blob as memory.
 *
 * @store    borrowed, until the region is closed.
 * @ref      a branch, whose newest version it shows, and to which it can be committed; or a
 *           snapshot.
 * @name     of the blob.
 * @options  borrowed; NULL: all zero.
 * @out      owned: ramet_region_close(), before ramet_close().
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such version, or it has no such blob
 *   RAMET_ECORRUPT   a page that is read fails its checksum
 *   -ENOMEM          no memory, or the process has too many mappings
 *   -EBUSY           all reader slots are taken
 *   -EIO and kin     from the device
 * Lifetime: @out and its memory until it is closed.
 * Threads:  any number at once.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(pages of the blob / 200) the first time, O(pieces that it lies in) if the same
 * version of it was opened before with this handle of the store.
 */
RAMET_API int ramet_region_open(struct ramet_store *store, const char *ref, const char *name,
                                const struct ramet_region_options *options,
                                struct ramet_region **out);

/*
 * ramet_region_close() - give a region's memory back. What was not committed is lost.
 *
 * @region  taken; NULL is allowed. In a forked child it does nothing.
 *
 * Returns nothing.
 * Lifetime: @region and its memory end.
 * Threads:  one, and no other may touch the memory.
 * Blocks:   never.
 * Cost:     O(its private pages and mappings).
 */
RAMET_API void ramet_region_close(struct ramet_region *region);

/*
 * ramet_region_data() - where a region's memory begins: an address that is a multiple of 4096.
 *
 * @region  borrowed.
 *
 * Returns the address; the same one as long as the region is open. Up to the end of its last page
 * it can be read and written; behind the blob's size it is zeros, and what is written there is not
 * committed.
 * Lifetime: the memory until ramet_region_close().
 * Threads:  any number at once; the memory has as many users as like.
 * Blocks:   never.
 * Cost:     nothing.
 */
RAMET_API void *ramet_region_data(struct ramet_region *region);

/*
 * ramet_region_stat() - what a region consists of.
 *
 * @region  borrowed.
 * @out     filled; the caller has set out->size.
 *
 * Returns 0, or
 *   -EINVAL          out->size is less than this version's sizeof(struct ramet_region_info)
 *   -EIO and kin     the kernel's page table cannot be read
 * Lifetime: copies.
 * Threads:  one at a time on a region.
 * Blocks:   never.
 * Cost:     O(pages of the region that are in memory).
 */
RAMET_API int ramet_region_stat(struct ramet_region *region, struct ramet_region_info *out);

/*
 * ramet_region_resize() - make a region, and with the next commit its blob, larger or smaller.
 *
 * @region  borrowed.
 * @bytes   new size, at most as many as were reserved. What is cut off is gone, and zeros if it
 *          comes back.
 *
 * Returns 0, or
 *   -EFBIG   more than was reserved
 *   -ENOMEM  the process has too many mappings
 * Lifetime: addresses stay.
 * Threads:  one at a time on a region.
 * Blocks:   never.
 * Cost:     O(pages that are cut off and in memory).
 */
RAMET_API int ramet_region_resize(struct ramet_region *region, uint64_t bytes);

/*
 * ramet_region_will_write() - a hint: a part is about to be written.
 *
 * One call copies its pages, at a fraction of what a fault for each costs. All of them count as
 * written.
 *
 * @region  borrowed.
 * @off     first byte.
 * @len     bytes.
 *
 * Returns 0, or
 *   -EINVAL  the part goes beyond the region
 *   -ENOMEM  there is no memory
 * Lifetime: returns nothing that could end.
 * Threads:  any number at once.
 * Blocks:   on device reads.
 * Cost:     O(pages of the part).
 */
RAMET_API int ramet_region_will_write(struct ramet_region *region, uint64_t off, uint64_t len);

/*
 * ramet_region_commit() - commit the pages that were written to the region's branch.
 *
 * The pages stay where they are, and stay private: they are the same as those of the new version.
 * What is stored while it runs is in this commit or in the next one, byte by byte.
 *
 * @region  borrowed.
 * @keep    as of ramet_commit(); NULL: the version is not kept.
 * @out_id  id of the version; may be NULL. Nothing was written: that of the version it shows.
 *
 * Returns 0, or
 *   RAMET_ECONFLICT  the blob was changed by others since: nothing is committed.
 *                    ramet_region_refresh(), and again
 *   RAMET_ENOTFOUND  its branch, or the blob, was dropped
 *   RAMET_ETXN       it shows a snapshot
 *   RAMET_ECORRUPT, RAMET_EPOISONED, -EROFS, -EBUSY, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_begin(), ramet_blob_write() and ramet_commit(); what was written
 *                    stays written, and goes with the next commit
 * Lifetime: the memory stays.
 * Threads:  one at a time on a region, while others use its memory.
 * Blocks:   for the branch's writer; on the flush, as ramet_commit().
 * Cost:     O(pages of the region that are in memory) to find the written ones, some ms for a GiB;
 *           and O(written pages).
 */
RAMET_API int ramet_region_commit(struct ramet_region *region, const struct ramet_keep *keep,
                                  uint64_t *out_id);

/*
 * ramet_region_refresh() - show the newest version of the region's branch.
 *
 * What was written here and not committed stays, and is now a change of the newest version.
 *
 * @region  borrowed; of a snapshot there is nothing to do.
 * @flags   what becomes of pages that were changed here and by others: 0: nothing,
 *          RAMET_REGION_OURS or RAMET_REGION_THEIRS.
 *
 * Returns 0, or
 *   RAMET_ECONFLICT  such a page, and no flag: the region is as it was. The message names a byte
 *   -EFBIG           the blob is larger now than what was reserved
 *   RAMET_ENOTFOUND  its branch, or the blob, was dropped
 *   RAMET_ECORRUPT, -EBUSY, -ENOMEM, -EIO and kin
 *                    the region may show a mixture of both versions: it can be refreshed again, or
 *                    reset
 * Lifetime: the memory stays where it is; bytes that others changed change.
 * Threads:  one at a time on a region, and no other may write its memory: it could be lost. Others
 *           that read it meanwhile may see a mixture.
 * Blocks:   on device reads.
 * Cost:     O(pages that others changed) and, if there are some, O(pages of the region in memory).
 */
RAMET_API int ramet_region_refresh(struct ramet_region *region, unsigned flags);

/*
 * ramet_region_reset() - drop what was written and not committed.
 *
 * @region  borrowed.
 *
 * Returns 0, or
 *   RAMET_ECORRUPT, -ENOMEM, -EIO and kin
 * Lifetime: the memory stays where it is; bytes that were written become what they were.
 * Threads:  one at a time on a region, and no other may write its memory.
 * Blocks:   on device reads.
 * Cost:     O(pages of the region that are in memory + written pages).
 */
RAMET_API int ramet_region_reset(struct ramet_region *region);

/* ---- versions -------------------------------------------------------------------------------- */

/*
 * ramet_branch_create() - a branch that starts as a ref is.
 *
 * From a branch, its head as last committed becomes a snapshot below both; nobody keeps it by
 * name. Does not wait for that branch's writer, whose transaction goes on undisturbed.
 *
 * @store     borrowed.
 * @name      1 to RAMET_NAME_MAX bytes, no control characters, no '@'.
 * @from_ref  `main` (a branch), `main@NAME` or `@ID`; NULL: `main`.
 *
 * Returns 0, or
 *   -EEXIST          there is such a branch
 *   RAMET_ENOTFOUND  @from_ref names nothing
 *   RAMET_EPOISONED  an earlier flush failed
 *   -EROFS           the store was opened read-only
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: the branch until ramet_branch_delete(). @name is copied.
 * Threads:  any number at once.
 * Blocks:   for commits under way; on device writes, and with RAMET_FULL on one flush.
 * Cost:     O(log branches): a commit of the catalog. No page of data is read or copied.
 */
RAMET_API int ramet_branch_create(struct ramet_store *store, const char *name,
                                  const char *from_ref);

/*
 * ramet_branch_delete() - drop a branch, and the snapshots that only it keeps.
 *
 * It is gone at once; its pages are reclaimed by later commits, or ramet_reclaim(). Transactions
 * that read it go on. Works on a full disk. The last branch can be dropped too: no other can be
 * made then. Cursors of those who watch it stay, and what they pin: ramet_watch_cursor_list().
 *
 * @store  borrowed.
 * @name   of the branch.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such branch
 *   -EBUSY           it has a writer, here or in another process
 *   RAMET_EPOISONED  an earlier flush failed
 *   -EROFS           the store was opened read-only
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: the branch and its names of snapshots end.
 * Threads:  any number at once.
 * Blocks:   for commits under way, not for a writer; on device writes, and with RAMET_FULL on one
 *           flush.
 * Cost:     O(snapshots it keeps + records of its deadlists): a commit of the catalog. No page of
 *           data is read.
 */
RAMET_API int ramet_branch_delete(struct ramet_store *store, const char *name);

/*
 * ramet_branch_reset() - move a branch's head to a kept snapshot of any branch.
 *
 * What was committed on the branch since its last kept snapshot is dropped, as by
 * ramet_branch_delete(); its snapshots stay. Transactions that read it go on.
 *
 * @store  borrowed.
 * @name   of the branch.
 * @ref    `main@NAME` or `@ID`; not a branch.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such branch, or @ref names nothing
 *   -EINVAL          @ref names a branch
 *   -EBUSY           the branch has a writer, here or in another process
 *   RAMET_EPOISONED  an earlier flush failed
 *   -EROFS           the store was opened read-only
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: the versions that were dropped end when no transaction reads them.
 * Threads:  any number at once.
 * Blocks:   for commits under way, not for a writer; on device writes, and with RAMET_FULL on one
 *           flush.
 * Cost:     O(records of the head's deadlist): a commit of the catalog. No page of data is read.
 */
RAMET_API int ramet_branch_reset(struct ramet_store *store, const char *name, const char *ref);

/* A nonzero answer stops the list, which returns it. */
typedef int (*ramet_branch_fn)(void *ctx, const struct ramet_branch_info *info);

/*
 * ramet_branch_list() - the branches of a store, in the order of their names.
 *
 * @store  borrowed.
 * @fn     called once for each.
 * @ctx    handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ECORRUPT   a page of the catalog, or a record in it, is damaged
 *   -EBUSY           all reader slots (4096) are taken
 *   -EIO and kin     from the device
 * Lifetime: @info until @fn returns.
 * Threads:  any number at once. @fn may call anything but ramet_close(); the list is that of one
 *           moment.
 * Blocks:   on device reads; never waits for a writer.
 * Cost:     O(branches + snapshots they keep).
 */
RAMET_API int ramet_branch_list(struct ramet_store *store, ramet_branch_fn fn, void *ctx);

/*
 * ramet_snapshot_create() - keep a branch's head as a snapshot.
 *
 * A head that has not moved since it was last kept is the same snapshot, with one more name. The
 * snapshot's id is that of the commit that moved the head. Does not wait for the branch's writer.
 *
 * @store   borrowed.
 * @branch  its name; NULL: `main`.
 * @keep    borrowed; NULL: no name, no author, no message. Keeping a snapshot once more without a
 *          name puts its author and message in the place of the former ones.
 * @out_id  id of the snapshot, which `@ID` names; may be NULL.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such branch
 *   -EEXIST          the branch keeps a snapshot of that name already
 *   -EINVAL          keep->size is not set, or a name, author or message is malformed or too long
 *   RAMET_EPOISONED  an earlier flush failed
 *   -EROFS           the store was opened read-only
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: the snapshot until no branch keeps it any more. The strings of @keep are copied.
 * Threads:  any number at once.
 * Blocks:   for commits under way; on device writes, and with RAMET_FULL on one flush.
 * Cost:     O(log branches + message): a commit of the catalog. No page of data is read or
 *           copied.
 */
RAMET_API int ramet_snapshot_create(struct ramet_store *store, const char *branch,
                                    const struct ramet_keep *keep, uint64_t *out_id);

/*
 * ramet_snapshot_delete() - stop keeping a snapshot.
 *
 * When no branch keeps it any more its pages are reclaimed by later commits. Transactions that
 * read it, and branches that started at it, are not affected. Works on a full disk.
 *
 * @store  borrowed.
 * @ref    `main@NAME`: main keeps it by that name no more. `@ID`: no branch keeps it, by any name
 *         or none.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  @ref names nothing
 *   -EINVAL          @ref names a branch, or goes on with ~N
 *   RAMET_EPOISONED  an earlier flush failed
 *   -EROFS           the store was opened read-only
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: the name ends; of `@ID` all its names.
 * Threads:  any number at once.
 * Blocks:   for commits under way; on device writes, and with RAMET_FULL on one flush.
 * Cost:     O(records of two deadlists, and the runs of at most one interval of births); of
 *           `@ID`, O(branches) too. A commit of the catalog. No page of data is read.
 */
RAMET_API int ramet_snapshot_delete(struct ramet_store *store, const char *ref);

/* A nonzero answer stops the list, which returns it. */
typedef int (*ramet_snapshot_fn)(void *ctx, const struct ramet_snapshot_info *info);

/*
 * ramet_snapshot_list() - the snapshots that branches keep.
 *
 * A snapshot is listed once for each branch and name that keeps it.
 *
 * @store   borrowed.
 * @branch  its name; NULL: of all branches, in the order of their names.
 * @fn      called once for each, oldest first within a branch.
 * @ctx     handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ENOTFOUND  no such branch
 *   RAMET_ECORRUPT   a page of the catalog, or a record in it, is damaged
 *   -EBUSY           all reader slots (4096) are taken
 *   -ENOMEM, -EIO and kin
 * Lifetime: @info until @fn returns.
 * Threads:  any number at once. @fn may call anything but ramet_close(); the list is that of one
 *           moment.
 * Blocks:   on device reads; never waits for a writer.
 * Cost:     O(snapshots listed * log records + their messages).
 */
RAMET_API int ramet_snapshot_list(struct ramet_store *store, const char *branch,
                                  ramet_snapshot_fn fn, void *ctx);

/* ---- differences ----------------------------------------------------------------------------- */

enum ramet_change_kind {
    RAMET_ADDED = 1,
    RAMET_REMOVED = 2,
    RAMET_CHANGED = 3,
    RAMET_MAP_CREATED = 4,
    RAMET_MAP_DROPPED = 5
};

/* How two versions differ in one place. */
struct ramet_change {
    size_t size;
    int kind; /* enum ramet_change_kind */
    const char *map;
    struct ramet_slice key;       /* empty of RAMET_MAP_CREATED and RAMET_MAP_DROPPED */
    struct ramet_slice old_value; /* data NULL: absent */
    struct ramet_slice new_value;
};

/* ramet_diff_options.flags */
enum {
    RAMET_DIFF_KEYS = 1 << 0, /* values are not read: both are NULL, and kind says what happened */
    RAMET_DIFF_BLOBS =
        1 << 1 /* changes of blobs, too: RAMET_BLOB_MARK. Without it they are left out */
};

struct ramet_diff_options {
    size_t size;               /* sizeof(struct ramet_diff_options) */
    unsigned flags;            /* RAMET_DIFF_KEYS, RAMET_DIFF_BLOBS */
    const char *map;           /* of this one alone; NULL: of all */
    struct ramet_slice prefix; /* of keys that begin so; size 0: of all */
    struct ramet_slice from;   /* from <= key < to; size 0: no bound. Not with a prefix */
    struct ramet_slice to;
};

struct ramet_diff_stat {
    size_t size; /* sizeof(struct ramet_diff_stat) */
    uint64_t added, removed, changed;
    uint64_t maps_created, maps_dropped;
    uint64_t pages; /* of both versions that were looked at */
};

struct ramet_diff;

/*
 * ramet_diff_open() - how two versions differ, of any branches.
 *
 * Maps come in the order of their names, and keys in theirs. A map that was created comes before
 * its entries, as RAMET_MAP_CREATED, and one that was dropped behind them: so doing what the diff
 * says, step by step, to a copy of the old version makes it the new one. A value that was
 * overwritten with the same bytes is no difference.
 *
 * @from     the old version; borrowed as long as the diff. NULL: nothing at all.
 * @to       the new version; borrowed as long as the diff. Both: read transactions, or write
 *           transactions that are not written to meanwhile, on one handle.
 * @options  borrowed as long as the diff, with its strings; NULL: all zero.
 * @out      the diff, owned: ramet_diff_close().
 *
 * Returns 0, or
 *   -EINVAL  options->size is not set, unknown flags, a prefix as well as bounds, a name of a map
 *            that cannot be, or transactions of two handles
 *   -ENOMEM
 *   RAMET_ECORRUPT, -ENOSPC, -EIO and kin
 *            of a write transaction, as ramet_put(): it notes which maps it has changed
 * Lifetime: @out until ramet_diff_close(), which must come before its transactions end or are
 *           refreshed.
 * Threads:  each diff has one user at a time; several on the same read transactions are no matter.
 * Blocks:   never; with a write transaction as ramet_put().
 * Cost:     O(1): about 20 KiB of memory; and O(maps that a write transaction has changed).
 */
RAMET_API int ramet_diff_open(struct ramet_txn *from, struct ramet_txn *to,
                              const struct ramet_diff_options *options, struct ramet_diff **out);

/*
 * ramet_diff_next() - the next difference.
 *
 * @diff  borrowed.
 * @out   what differs; out->size set by the caller.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  there are no more (ramet_errmsg() is not set)
 *   RAMET_ECORRUPT   a page on the way fails its checks
 *   -EINVAL          out->size is not set
 *   -EFBIG           a value is above RAMET_SLICE_MAX, and RAMET_DIFF_KEYS is not set. @out has its
 *                    map, key and kind, and no values: ramet_read() has them. The next call goes on
 *                    behind it
 *   -ENOMEM, -EIO and kin
 * Lifetime: what is in @out until the next call, or ramet_diff_close().
 * Threads:  each diff has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     O(log entries) for each difference. Parts that both versions share are skipped, however
 *           large, also where their trees have become different. Large values are compared byte by
 *           byte if they lie in different pages and have the same size.
 */
RAMET_API int ramet_diff_next(struct ramet_diff *diff, struct ramet_change *out);

/*
 * ramet_diff_stat() - what a diff has found so far.
 *
 * @diff  borrowed.
 * @out   set; out->size set by the caller.
 *
 * Returns 0, or
 *   -EINVAL  out->size is not set
 * Lifetime: @out is a copy.
 * Threads:  each diff has one user at a time.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API int ramet_diff_stat(const struct ramet_diff *diff, struct ramet_diff_stat *out);

/*
 * ramet_diff_close() - end a diff.
 *
 * @diff  taken; NULL is allowed.
 *
 * Returns nothing: it cannot fail.
 * Lifetime: @diff, and what ramet_diff_next() returned, end.
 * Threads:  one, and no other may use it.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API void ramet_diff_close(struct ramet_diff *diff);

/* ---- merging --------------------------------------------------------------------------------- */

/*
 * What becomes of a key that both sides of a merge changed since their base.
 *
 * Sides that made the same of it are no conflict, whatever the policy; of counters both changes
 * count. Otherwise a value that is not of the form that the policy asks for is a conflict, in
 * the base too where that matters; and so is a key that one side deleted and the other changed,
 * unless the policy is one of OURS and THEIRS.
 *
 * Integers are those of int64_t: in decimal as -?[0-9]+ (the result without leading zeros), or as
 * 8 bytes, little-endian, signed.
 */
enum ramet_merge_policy {
    RAMET_MERGE_FAIL = 0,  /* a conflict */
    RAMET_MERGE_OURS,      /* what the target has, or that it has none */
    RAMET_MERGE_THEIRS,    /* what the source has, or that it has none */
    RAMET_MERGE_COUNTER,   /* decimal: ours + theirs - base; an absent base counts as 0. A
                              conflict if that does not fit */
    RAMET_MERGE_MAX,       /* decimal: the greater one */
    RAMET_MERGE_MIN,       /* decimal: the lesser one */
    RAMET_MERGE_COUNTER64, /* as the three above, of 8 bytes */
    RAMET_MERGE_MAX64,
    RAMET_MERGE_MIN64,
    RAMET_MERGE_SET,     /* lines that ascend by memcmp, each once; no bytes at all, and an absent
                            base: the empty set. Lines of the base that neither side removed, and
                            all that either added; with a final newline if either side has one */
    RAMET_MERGE_TEXT,    /* lines: changes that do not touch each other are put together; an absent
                            base is an empty text. Bytes 0, or more than 2^20 lines: a conflict.
                            Takes libgit2, when this library is built and when it runs: else
                            -EOPNOTSUPP */
    RAMET_MERGE_FUNCTION /* the caller's own; it is asked about equal changes too */
};

/* What was decided of a key. */
enum ramet_merged {
    RAMET_MERGED_VALUE = 0,   /* it has a value */
    RAMET_MERGED_DELETE = 1,  /* it is deleted */
    RAMET_MERGED_CONFLICT = 2 /* nothing: somebody else must */
};

/* A key that both sides changed. */
struct ramet_conflict {
    size_t size;
    const char *map;
    struct ramet_slice key;
    struct ramet_slice base;   /* data is NULL: it has no value there. One of 0 bytes has data */
    struct ramet_slice ours;   /* of the target */
    struct ramet_slice theirs; /* of the source */
};

/* Decides one entry that both sides changed, be it to the same value. out, of RAMET_MERGED_VALUE:
 * memory that stays as it is until the function is called again, or the merge ends. Returns one of
 * enum ramet_merged, or a negative code, which ends the merge. It must not use the store. */
typedef int (*ramet_merge_fn)(void *ctx, const struct ramet_conflict *both,
                              struct ramet_slice *out);

/* Which policy an entry has. */
struct ramet_merge_rule {
    const char *map; /* NULL: any map, and, of RAMET_MERGE_FAIL, _OURS and _THEIRS, any blob;
                        a blob: RAMET_BLOB_MARK and its name */
    struct ramet_slice prefix; /* of the key; size 0: any key */
    int policy;                /* enum ramet_merge_policy */
    ramet_merge_fn fn;         /* of RAMET_MERGE_FUNCTION */
    void *ctx;                 /* handed to fn */
};

/* A nonzero answer of both stops the merge, which changes nothing and returns it. */
typedef int (*ramet_conflict_fn)(void *ctx, const struct ramet_conflict *conflict);
/* kind says which values there are: those above RAMET_SLICE_MAX are not handed over (data NULL). */
typedef int (*ramet_change_fn)(void *ctx, const struct ramet_change *change);

/* ramet_merge_options.flags */
enum {
    RAMET_MERGE_DRY_RUN = 1 << 0,        /* nothing is changed */
    RAMET_MERGE_KEEP_CONFLICTS = 1 << 1, /* merge in spite of conflicts, and note them */
    RAMET_MERGE_NO_FF = 1 << 2           /* make a version of two parents where none is needed */
};

struct ramet_merge_options {
    size_t size;    /* sizeof(struct ramet_merge_options) */
    unsigned flags; /* RAMET_MERGE_DRY_RUN and so on */
    int policy;     /* of entries that no rule fits; not RAMET_MERGE_FUNCTION */
    const struct ramet_merge_rule *rules; /* the first that fits decides; NULL: none */
    size_t nr_rules;
    const struct ramet_keep *keep; /* of the version that is made; NULL: kept without a name. A
                                      fast-forward makes none: keep counts if it has a name */
    ramet_conflict_fn conflict;    /* called for each conflict; NULL: they are counted */
    void *conflict_ctx;
    ramet_change_fn change; /* called for each entry of the target that is changed; NULL: not */
    void *change_ctx;
    ramet_progress_fn
        progress; /* called every 256 entries that differ between base and source, with
                     how many they were; their total, 0, is not known. NULL: not */
    void *progress_ctx;
};

struct ramet_merge_result {
    size_t size;        /* sizeof(struct ramet_merge_result) */
    uint64_t id;        /* of the version that was made; if none was, of the target's head */
    uint64_t base;      /* id of the base; 0: there is none, or several were merged into one */
    uint64_t changes;   /* entries that were changed in the target; of a fast-forward 0, unless
                           options->change was given */
    uint64_t conflicts; /* entries that no policy decided */
    int fast_forward; /* 1: the target took over the source's version, for it had none of its own */
    int up_to_date;   /* 1: there was nothing to merge */
};

/* ramet_conflict_resolve() */
enum {
    RAMET_RESOLVE_AS_IS = 0, /* the entry stays as it is now */
    RAMET_RESOLVE_BASE = 1,  /* it gets one of the three values; absent: it goes */
    RAMET_RESOLVE_OURS = 2,
    RAMET_RESOLVE_THEIRS = 3
};

/*
 * ramet_merge() - bring the changes of a branch or snapshot into a branch.
 *
 * A three-way merge, entry by entry: what the source has otherwise than the base is done to the
 * target. The base is the newest version that both have; of several that are equally good (after
 * merges to and fro) one is put together by merging them. An entry that the target changed as well
 * is decided by a policy; an entry that one side deleted and the other changed, too. If the target
 * has not moved since the source left it, it just takes over the source's version.
 *
 * The new version has two parents and is kept by the target. The source's version stays, hidden if
 * nobody keeps it, as the base of the next merge: as long as a version that has merged it is there,
 * and anything stands on it.
 *
 * Changes to a map that was dropped on one side: dropping is deleting each entry. A map is dropped
 * in the target if nothing is left in it.
 *
 * @store    borrowed.
 * @into     the branch to be changed; NULL: `main`.
 * @from     any ref. Of a branch, its head as last committed.
 * @options  borrowed; NULL: all zero: any conflict fails.
 * @out      what came of it, set on success and with RAMET_ECONFLICT; may be NULL.
 *
 * Returns 0; what a callback answered if that was not 0; or, with nothing changed,
 *   RAMET_ECONFLICT  entries are in conflict, all of which options->conflict was told of, and
 *                    RAMET_MERGE_KEEP_CONFLICTS is not set; or one of the two has conflicts of an
 *                    earlier merge to be resolved
 *   RAMET_ENOTFOUND  @into or @from names nothing; or all that kept the version which @from
 *                    names was deleted or pruned while it was merged
 *   -EINVAL          options->size or out->size is not set, an unknown flag or policy, or @into is
 *                    no branch
 *   -EDEADLK         this thread has a write transaction on @into
 *   -ECANCELED       options->progress asked for it
 *   -EEXIST          the target keeps a snapshot of the name options->keep gives already
 *   -EFBIG           a policy, or options->conflict, needs a value above RAMET_SLICE_MAX
 *   -EOPNOTSUPP      RAMET_MERGE_TEXT, and libgit2 is not there
 *   -ELOOP           the two merged each other at the same time 65,536 times in a row
 *   RAMET_EPOISONED, -EROFS, RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: nothing returned points into the store.
 * Threads:  any number at once. Callbacks run in this thread; they may read the store.
 * Blocks:   for the target's writer; for commits under way; on device reads and writes, and with
 *           RAMET_FULL on one flush, two if the source's head has moved since it was last kept.
 * Cost:     O(entries that differ between base and source * log entries); a fast-forward O(1).
 *           Finding the base: O(log versions) for most histories; see docs/BENCHMARKS.md. If the
 * two merged each other at the same time, n times in a row, n merges more. Memory: the pages that
 * are written.
 */
RAMET_API int ramet_merge(struct ramet_store *store, const char *into, const char *from,
                          const struct ramet_merge_options *options,
                          struct ramet_merge_result *out);

/*
 * ramet_cherry_pick() - do what one version changed to another branch.
 *
 * A three-way merge whose base is the version below @ref. The new version has one parent, and is
 * kept.
 *
 * @store    borrowed.
 * @into     the branch to be changed; NULL: `main`.
 * @ref      the version; of a branch, what was committed since its last snapshot.
 * @options  as in ramet_merge(); RAMET_MERGE_NO_FF means nothing here. With conflicts noted, the
 *           new version is not kept.
 * @out      as in ramet_merge(). up_to_date: the change was there already.
 *
 * Returns as ramet_merge():
 *   RAMET_ECONFLICT, RAMET_ENOTFOUND, -EINVAL, -EDEADLK, -ECANCELED, -EEXIST, -EFBIG, -EOPNOTSUPP,
 *   RAMET_EPOISONED, -EROFS, RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 * Lifetime: nothing returned points into the store.
 * Threads:  any number at once.
 * Blocks:   as ramet_merge(); on one flush with RAMET_FULL.
 * Cost:     O(entries that @ref changed * log entries).
 */
RAMET_API int ramet_cherry_pick(struct ramet_store *store, const char *into, const char *ref,
                                const struct ramet_merge_options *options,
                                struct ramet_merge_result *out);

/*
 * ramet_revert() - undo on a branch what one version changed.
 *
 * A three-way merge whose base is @ref, and whose source is the version below it: later changes of
 * other entries stay. The new version has one parent, and is kept.
 *
 * @store    borrowed.
 * @branch   the branch to be changed; NULL: `main`.
 * @ref      the version; of a merge, what it changed in the branch that it was merged into.
 * @options  as in ramet_cherry_pick().
 * @out      as in ramet_cherry_pick().
 *
 * Returns as ramet_merge():
 *   RAMET_ECONFLICT, RAMET_ENOTFOUND, -EINVAL, -EDEADLK, -ECANCELED, -EEXIST, -EFBIG, -EOPNOTSUPP,
 *   RAMET_EPOISONED, -EROFS, RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 * Lifetime: nothing returned points into the store.
 * Threads:  any number at once.
 * Blocks:   as ramet_cherry_pick().
 * Cost:     O(entries that @ref changed * log entries).
 */
RAMET_API int ramet_revert(struct ramet_store *store, const char *branch, const char *ref,
                           const struct ramet_merge_options *options,
                           struct ramet_merge_result *out);

/*
 * ramet_merge_base() - the best versions that two have in common.
 *
 * @store  borrowed.
 * @a      any ref.
 * @b      any ref.
 * @ids    room for ids, newest first; may be NULL if there is none.
 * @count  in: how many fit; out: how many there are. 0: they have nothing in common; above 1: after
 *         merges to and fro. The versions may be hidden: `@ID` finds what somebody keeps.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  @a or @b names nothing
 *   RAMET_ECORRUPT   a page of the catalog, or a record in it, is damaged
 *   -EBUSY           all reader slots (4096) are taken
 *   -ENOMEM, -EIO and kin
 * Lifetime: returns numbers.
 * Threads:  any number at once.
 * Blocks:   on device reads; never waits for a writer.
 * Cost:     O(log versions) if neither has merged anything since; else O(versions of both that are
 *           newer than the base), or O(log versions) for each pair of branches of which one has
 *           merged or begun at the other, whichever is less.
 */
RAMET_API int ramet_merge_base(struct ramet_store *store, const char *a, const char *b,
                               uint64_t *ids, size_t *count);

/*
 * ramet_conflict_list() - the conflicts that a merge noted, and that are still to be resolved.
 *
 * Until there are none left, the branch's head cannot be kept, merged, or merged into.
 *
 * @txn  borrowed.
 * @fn   called for each, in the order of maps and keys. It must not change them.
 * @ctx  handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ECORRUPT   a page, or what was noted, is damaged
 *   -ENOMEM, -EIO and kin
 * Lifetime: what @fn is given, until it returns.
 * Threads:  any number at once on a read transaction; a write transaction has one user at a time.
 * Blocks:   on device reads.
 * Cost:     O(conflicts).
 */
RAMET_API int ramet_conflict_list(struct ramet_txn *txn, ramet_conflict_fn fn, void *ctx);

/*
 * ramet_conflict_resolve() - decide one conflict.
 *
 * @txn     a write transaction; borrowed.
 * @map     name of the entry's map.
 * @key     1 to RAMET_KEY_MAX bytes; borrowed.
 * @choice  RAMET_RESOLVE_AS_IS, after the entry was written as it should be, or not; or which of
 * the three values it gets.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  there is no such conflict
 *   RAMET_ETXN       a read transaction, an optimistic one, or an earlier write of it failed
 *   RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_put()
 * Lifetime: slices got in this transaction end.
 * Threads:  a write transaction has one user at a time.
 * Blocks:   as ramet_put().
 * Cost:     O(log entries).
 */
RAMET_API int ramet_conflict_resolve(struct ramet_txn *txn, const char *map, struct ramet_slice key,
                                     int choice);

/* ---- history --------------------------------------------------------------------------------- */

/* ramet_history() flags */
enum {
    RAMET_HISTORY_ALL = 1 << 0,   /* what was merged, too */
    RAMET_HISTORY_HIDDEN = 1 << 1 /* also versions that nobody keeps: a head that has moved, where
                                     branches parted, and the base of the next merge */
};

/* ramet_prune_options.flags */
enum {
    RAMET_PRUNE_NAMED = 1 << 0,  /* also snapshots with a name */
    RAMET_PRUNE_DRY_RUN = 1 << 1 /* only count them */
};

struct ramet_prune_options {
    size_t size;        /* sizeof(struct ramet_prune_options) */
    unsigned flags;     /* RAMET_PRUNE_NAMED, RAMET_PRUNE_DRY_RUN */
    int64_t before;     /* only what was kept before: microseconds since 1970, UTC; 0: of any age */
    uint64_t keep_last; /* so many of the newest stay, named or not */
    ramet_snapshot_fn
        filter; /* only what it answers nonzero for; NULL: all. It may read the store */
    void *ctx;  /* handed to filter */
};

/* An entry is otherwise in this version than in the one before it. A nonzero answer stops the
 * list, which returns it. */
typedef int (*ramet_key_history_fn)(void *ctx, const struct ramet_snapshot_info *info,
                                    const struct ramet_change *change);

/*
 * ramet_history() - the kept versions that led to a version, newest first.
 *
 * @store  borrowed.
 * @ref    any ref; NULL: `main`. Its own version is the first, if somebody keeps it.
 * @flags  0: first parents, that is the line that a branch took. RAMET_HISTORY_ALL: all that it
 *         has merged as well, by descending id. RAMET_HISTORY_HIDDEN: what nobody keeps, too, with
 *         no branch, name, author or message, and the time of its commit.
 * @fn     called for each once, by the name that some branch keeps it under if there is one.
 * @ctx    handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ENOTFOUND  @ref names nothing
 *   RAMET_ECORRUPT   a page of the catalog, or a record in it, is damaged
 *   -EBUSY           all reader slots (4096) are taken
 *   -ENOMEM, -EIO and kin
 * Lifetime: the info until @fn returns.
 * Threads:  any number at once. @fn may call anything but ramet_close(); the list is that of one
 *           moment.
 * Blocks:   on device reads; never waits for a writer.
 * Cost:     O(versions * log records); O(branches) more where another branch keeps a version than
 *           the one that @ref names, or that kept the version above.
 */
RAMET_API int ramet_history(struct ramet_store *store, const char *ref, unsigned flags,
                            ramet_snapshot_fn fn, void *ctx);

/*
 * ramet_key_history() - the kept versions in which one entry changed, newest first.
 *
 * Along first parents: a merge that brought a change is where it changed.
 *
 * @store  borrowed.
 * @ref    any ref; NULL: `main`.
 * @map    name of the map.
 * @key    1 to RAMET_KEY_MAX bytes; borrowed.
 * @fn     called for each, with the values before and after.
 * @ctx    handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ENOTFOUND  @ref names nothing
 *   RAMET_ECORRUPT   a page, or a record of the catalog, is damaged
 *   -EBUSY           all reader slots (4096) are taken
 *   -EFBIG           a value is above RAMET_SLICE_MAX
 *   -ENOMEM, -EIO and kin
 * Lifetime: what @fn is given, until it returns.
 * Threads:  any number at once. @fn may call anything but ramet_close().
 * Blocks:   on device reads; never waits for a writer.
 * Cost:     O(versions * log entries).
 */
RAMET_API int ramet_key_history(struct ramet_store *store, const char *ref, const char *map,
                                struct ramet_slice key, ramet_key_history_fn fn, void *ctx);

/*
 * ramet_tag() - keep any version by a name.
 *
 * @store   borrowed.
 * @branch  that keeps it, as BRANCH@NAME; NULL: `main`.
 * @name    1 to RAMET_NAME_MAX bytes, no control characters, no '@'.
 * @ref     any ref; NULL: the branch. Of a branch, its head as last committed.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such branch, or @ref names nothing
 *   RAMET_ECONFLICT  the version has conflicts of a merge to be resolved
 *   -EEXIST          the branch keeps a snapshot of that name already
 *   RAMET_EPOISONED, -EROFS, RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: until ramet_snapshot_delete(). The strings are copied.
 * Threads:  any number at once.
 * Blocks:   for commits under way; on device writes, and with RAMET_FULL on one flush.
 * Cost:     O(log branches): a commit of the catalog.
 */
RAMET_API int ramet_tag(struct ramet_store *store, const char *branch, const char *name,
                        const char *ref);

/*
 * ramet_prune() - stop keeping old snapshots of a branch.
 *
 * In one commit. What is pruned is reclaimed as by ramet_snapshot_delete(): just the pages that
 * nothing else needs.
 *
 * @store      borrowed.
 * @branch     its name; NULL: `main`.
 * @options    borrowed: an age, a count or a filter must be given; what fits all that are given
 *             goes.
 * @out_count  how many went, or would go; may be NULL.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  no such branch
 *   -EINVAL          options->size is not set, unknown flags, or nothing says what to prune
 *   -EBUSY           all reader slots (4096) are taken
 *   RAMET_EPOISONED, -EROFS, RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: names that went end.
 * Threads:  any number at once.
 * Blocks:   for commits under way; on device writes, and with RAMET_FULL on one flush.
 * Cost:     O(snapshots of the branch), and of each that goes what ramet_snapshot_delete() costs.
 */
RAMET_API int ramet_prune(struct ramet_store *store, const char *branch,
                          const struct ramet_prune_options *options, uint64_t *out_count);

/* ---- watching -------------------------------------------------------------------------------- */

/* ramet_watch_options.flags */
enum {
    RAMET_WATCH_EVERY = 1 << 0, /* a batch for each kept version, instead of one to the head */
    RAMET_WATCH_HEAD = 1 << 1,  /* with it, behind the last kept version: one to the head, too */
    RAMET_WATCH_KEYS = 1 << 2,  /* values are not read: as RAMET_DIFF_KEYS */
    RAMET_WATCH_BLOBS = 1 << 3  /* changes of blobs, too: as RAMET_DIFF_BLOBS */
};

struct ramet_watch_options {
    size_t size;        /* sizeof(struct ramet_watch_options) */
    unsigned flags;     /* RAMET_WATCH_EVERY and so on */
    const char *cursor; /* how far it came is kept by that name, and goes on from after a restart;
                           NULL: it is not kept */
};

enum ramet_batch_kind {
    RAMET_BATCH_CHANGES = 1, /* the branch went on */
    RAMET_BATCH_REWIND = 2,  /* it did not: it was reset to a version that does not stand on the one
                                that was seen, or deleted and made anew; or commits that were not
                                flushed were lost */
    RAMET_BATCH_GONE = 3     /* it was deleted: there are no changes */
};

/* What leads from one version of a branch to another. */
struct ramet_batch {
    size_t size;   /* sizeof(struct ramet_batch) */
    int kind;      /* enum ramet_batch_kind */
    uint64_t from; /* id of the version that it leads away from: to of the batch before; 0: nothing
                      was seen yet */
    uint64_t to;   /* id of the version that it leads to; of RAMET_BATCH_GONE: as from */
    int64_t time;  /* of that: microseconds since 1970, UTC; 0 of RAMET_BATCH_GONE */
};

struct ramet_watch_cursor_info {
    size_t size;
    const char *name;      /* until the callback returns */
    const char *branch;    /* that it watches; until the callback returns */
    uint64_t id;           /* of the version acknowledged last; 0: none was */
    uint64_t pinned_bytes; /* pages that it alone keeps: what deleting it gives back. Of several at
                              one version, each says what all of them keep */
    int64_t time;          /* when it was acknowledged: microseconds since 1970, UTC */
    int gone;              /* 1: there is no such branch any more */
    int in_use;            /* 1: somebody watches with it */
};

struct ramet_watch;

/*
 * ramet_watch_open() - be told of what changes in a branch.
 *
 * A watcher has a place: the version of the branch that it saw last. ramet_watch_next() gives the
 * exact difference from there to the branch's head, as a batch, and moves it. However long that
 * takes, nothing is lost: what was changed several times is told once, folded together. A batch
 * never holds a part of a commit, and never goes back without saying so.
 *
 * With RAMET_WATCH_EVERY there is a batch for every version that somebody keeps, oldest first,
 * along first parents. One that was pruned before it was told goes into the next.
 *
 * The place is held as by a read transaction: until the watcher ends, or its process. With a cursor
 * it is in the store, by its name: it is where the last ramet_watch_ack() left it, and is there
 * after a restart, and after a power cut as the version itself. It keeps that version from being
 * reclaimed until it moves on, or ramet_watch_cursor_delete(); also when its branch is deleted.
 *
 * @store    borrowed.
 * @branch   its name; NULL: `main`.
 * @map      name of the map that is watched; NULL: all. RAMET_BLOB_MARK and a name: that blob.
 * @prefix   of the keys that are watched; borrowed for the call; size 0: all.
 * @since    where to begin. NULL: at the head, as it is now; ramet_watch_begin() reads that. "": at
 *           nothing: the first batch is all there is. Else any ref; `@ID` finds also what nobody
 *           keeps, if it is still there, as the branch's head. Of a cursor that is there already:
 *           NULL, for that goes on where it is.
 * @options  borrowed for the call; NULL: all zero.
 * @out      the watcher, owned: ramet_watch_close().
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  there is no such branch, or @since names nothing, or no more. A cursor that is
 *                    there opens without its branch, too, and says RAMET_BATCH_GONE
 *   RAMET_ECORRUPT   a page, or a record of the catalog, is damaged
 *   -EINVAL          options->size is not set, unknown flags, too long a prefix; the cursor watches
 *                    another branch; or it is there already, and @since is not NULL
 *   -EBUSY           the cursor is in use, or all reader slots (4096) are taken
 *   -EMFILE, -ENFILE, -EAGAIN
 *                    no more descriptors, or threads
 *   RAMET_EPOISONED, -EROFS, -ENOMEM, -ENOSPC, -EIO and kin
 *                    to make a cursor, as ramet_commit()
 * Lifetime: @out until ramet_watch_close() or ramet_close(). It holds back what a read transaction
 *           of the same age does; watchers of one handle that saw the same version share a slot.
 * Threads:  any number at once. The first starts a thread for all watchers of the handle, which
 * runs no code of the program, and has all signals blocked. Blocks:   on device reads; with a
 * cursor that is not there yet as ramet_commit(). Cost:     O(log records); the branch's writers
 * pay one load a commit for watchers that are not waiting, and one system call in a millisecond for
 * all that are.
 */
RAMET_API int ramet_watch_open(struct ramet_store *store, const char *branch, const char *map,
                               struct ramet_slice prefix, const char *since,
                               const struct ramet_watch_options *options, struct ramet_watch **out);

/*
 * ramet_watch_fd() - a descriptor that is readable when there may be a batch.
 *
 * For poll(), epoll and the like: it is readable when the branch was changed, by any process, since
 * ramet_watch_next() was called last; then call that until it says RAMET_ENOTFOUND. It stays the
 * library's: not to be read from, nor closed.
 *
 * @watch  borrowed.
 *
 * Returns a descriptor; -EINVAL: no watcher.
 * Lifetime: until ramet_watch_close() or ramet_close().
 * Threads:  any number at once.
 * Blocks:   never.
 * Cost:     O(1). A commit of another process is told within some 100 us; while others commit all
 *           the time, within a millisecond, and one more for each 50 watchers that are told.
 */
RAMET_API int ramet_watch_fd(const struct ramet_watch *watch);

/*
 * ramet_watch_wait() - wait until there may be a batch.
 *
 * @watch       borrowed.
 * @timeout_ms  for at most so long; 0: not at all; negative: for ever.
 *
 * Returns 1: there may be one; 0: the time is over; or
 *   -EINTR  a signal came
 * Lifetime: returns a number.
 * Threads:  each watcher has one user at a time.
 * Blocks:   yes.
 * Cost:     one system call.
 */
RAMET_API int ramet_watch_wait(struct ramet_watch *watch, int timeout_ms);

/*
 * ramet_watch_next() - the next batch.
 *
 * Changes that are not watched make no batch: RAMET_BATCH_CHANGES has at least one. The batch
 * before it ends, whether all of it was looked at or not.
 *
 * @watch  borrowed.
 * @out    what kind of batch it is; out->size set by the caller. ramet_watch_change() has its
 *         changes.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  there is nothing new (ramet_errmsg() is not set)
 *   RAMET_ECORRUPT   a page, or a record of the catalog, is damaged
 *   -EINVAL          out->size is not set
 *   -EBUSY           all reader slots (4096) are taken
 *   RAMET_EPOISONED, -ENOMEM, -ENOSPC, -EIO and kin
 *                    with a cursor as ramet_commit(), for the version is pinned
 *   On failure the watcher is where it was.
 * Lifetime: @out is a copy. The changes until the next call, or ramet_watch_close().
 * Threads:  each watcher has one user at a time.
 * Blocks:   on device reads; never waits for a writer without a cursor. With one, as
 *           ramet_snapshot_create().
 * Cost:     O(log records + log entries). With RAMET_WATCH_EVERY also O(versions that are new),
 * once for all of them.
 */
RAMET_API int ramet_watch_next(struct ramet_watch *watch, struct ramet_batch *out);

/*
 * ramet_watch_change() - the next change of a batch.
 *
 * In the order of ramet_diff_open(): done step by step to a copy of what was seen before, they make
 * it the version that the batch leads to.
 *
 * @watch  borrowed.
 * @out    the change; out->size set by the caller.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  there are no more in this batch (ramet_errmsg() is not set)
 *   RAMET_ECORRUPT   a page on the way fails its checks
 *   -EINVAL          out->size is not set
 *   -EFBIG           a value is above RAMET_SLICE_MAX, and RAMET_WATCH_KEYS is not set; the next
 *                    call goes on behind it
 *   -ENOMEM, -EIO and kin
 * Lifetime: what is in @out until the next call with this watcher.
 * Threads:  each watcher has one user at a time.
 * Blocks:   on device reads; takes no lock, never waits for a writer.
 * Cost:     as ramet_diff_next().
 */
RAMET_API int ramet_watch_change(struct ramet_watch *watch, struct ramet_change *out);

/*
 * ramet_watch_begin() - read the version that a watcher saw last.
 *
 * After ramet_watch_open(), what all batches lead on from: a program that has read that once needs
 * nothing but batches from there. After ramet_watch_next(), the version that the batch leads to.
 *
 * @watch  borrowed.
 * @out    a read transaction, owned: ramet_abort(). It stays where it is: ramet_refresh() does not
 *         move it.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  it saw nothing yet
 *   -EBUSY           all reader slots (4096) are taken
 *   -ENOMEM
 * Lifetime: @out until ramet_abort() or ramet_close(), whatever becomes of the watcher.
 * Threads:  each watcher has one user at a time.
 * Blocks:   never.
 * Cost:     O(1).
 */
RAMET_API int ramet_watch_begin(struct ramet_watch *watch, struct ramet_txn **out);

/*
 * ramet_watch_ack() - all batches so far were dealt with: the cursor moves on.
 *
 * After a restart the watcher goes on from here. A batch that was given and not acknowledged is
 * given again, perhaps folded together with what came since.
 *
 * @watch  borrowed. Without a cursor there is nothing to do.
 *
 * Returns 0, or, and the cursor is where it was,
 *   RAMET_EPOISONED, RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: returns nothing that could end.
 * Threads:  each watcher has one user at a time.
 * Blocks:   for commits under way; on device writes, and with RAMET_FULL on one flush.
 * Cost:     O(log records): a commit of the catalog. Nothing if nothing is new.
 */
RAMET_API int ramet_watch_ack(struct ramet_watch *watch);

/*
 * ramet_watch_close() - end a watcher.
 *
 * @watch  taken; NULL is allowed. Its cursor stays.
 *
 * Returns nothing: it cannot fail.
 * Lifetime: @watch, its descriptor, and what ramet_watch_change() returned, end.
 * Threads:  one, and no other may use it. In a forked child it does nothing.
 * Blocks:   the last one of a handle: for its thread to end.
 * Cost:     O(1).
 */
RAMET_API void ramet_watch_close(struct ramet_watch *watch);

/* A nonzero answer stops the list, which returns it. */
typedef int (*ramet_watch_cursor_fn)(void *ctx, const struct ramet_watch_cursor_info *info);

/*
 * ramet_watch_cursor_list() - the cursors of a store, by name.
 *
 * @store  borrowed.
 * @fn     called once for each.
 * @ctx    handed to @fn.
 *
 * Returns 0, what @fn answered if that was not 0, or
 *   RAMET_ECORRUPT   a page of the catalog, or a record in it, is damaged
 *   -EBUSY           all reader slots (4096) are taken
 *   -EIO and kin     from the device
 * Lifetime: @info until @fn returns.
 * Threads:  any number at once. @fn may call anything but ramet_close(); the list is that of one
 *           moment.
 * Blocks:   on device reads; never waits for a writer.
 * Cost:     O(log records) each, and O(lists of pages that were replaced since).
 */
RAMET_API int ramet_watch_cursor_list(struct ramet_store *store, ramet_watch_cursor_fn fn,
                                      void *ctx);

/*
 * ramet_watch_cursor_delete() - forget how far a watcher came.
 *
 * @store  borrowed.
 * @name   of the cursor.
 *
 * Returns 0, or
 *   RAMET_ENOTFOUND  there is no such cursor
 *   -EBUSY           somebody watches with it
 *   RAMET_EPOISONED, -EROFS, RAMET_ECORRUPT, -ENOMEM, -ENOSPC, -EIO and kin
 *                    as ramet_commit()
 * Lifetime: the version that it pinned may be reclaimed.
 * Threads:  any number at once.
 * Blocks:   for commits under way; on device writes, and with RAMET_FULL on one flush.
 * Cost:     O(log records): a commit of the catalog.
 */
RAMET_API int ramet_watch_cursor_delete(struct ramet_store *store, const char *name);

#ifdef __cplusplus
}
#endif

/* Copy-on-write strings and arrays. They need no store, and have a header of their own. */
#include "ramet_value.h"

#endif
