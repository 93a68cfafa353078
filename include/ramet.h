/* SPDX-License-Identifier: MIT */
/*
 * ramet.h - the whole public interface of ramet, a branchable storage engine.
 *
 * A store is one file, or memory alone. It holds branches; a branch holds named maps from byte-string
 * keys to byte-string values, ordered by memcmp. A read transaction sees one version for as long as it
 * lasts; a write transaction is a private fork of a branch's head that becomes the head when committed.
 *
 * Every function that can fail returns 0 or a negative code: -errno, or one of RAMET_ERRORS.
 * ramet_errmsg() has the sentence that goes with the calling thread's last failure.
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
#define RAMET_KEY_MAX 1024u                  /* bytes of a key; the least is 1 */
#define RAMET_NAME_MAX 255u                  /* bytes of a branch, snapshot, map or author name */
#define RAMET_MESSAGE_MAX 65536u             /* bytes of a snapshot's message */
#define RAMET_SLICE_MAX ((size_t)64 << 20)   /* bytes of the largest value ramet_get() returns */
#define RAMET_VALUE_MAX ((uint64_t)1 << 40)  /* bytes of a value */

/* Durability of a commit. */
enum {
    RAMET_FULL = 0, /* flushed when ramet_commit() returns */
    RAMET_LAZY = 1, /* flushed in the background, within RAMET_LAZY_MS */
    RAMET_NONE = 2  /* flushed by ramet_sync(), by ramet_close(), and when space must be reused */
};
#define RAMET_LAZY_MS 200

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
    RAMET_NOWAIT = 1 << 1 /* -EBUSY instead of waiting for the branch's writer */
};

/* ramet_map_open() flags */
enum {
    RAMET_CREATE = 1 << 0 /* make the map if it is not there (write transactions) */
};

/* ramet_put() flags */
enum {
    RAMET_NOOVERWRITE = 1 << 0, /* -EEXIST if the key is there */
    RAMET_APPEND = 1 << 1       /* the key is above all others (else -EINVAL): fills pages to the end */
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

/* Public structs begin with their own size, set by the caller to sizeof: they may grow at the end. */

struct ramet_options {
    size_t size;        /* sizeof(struct ramet_options) */
    int durability;     /* RAMET_FULL, RAMET_LAZY or RAMET_NONE: of every commit through this handle */
    unsigned flags;     /* RAMET_MUST_EXIST, RAMET_READONLY, RAMET_MUST_CREATE */
    uint32_t page_size; /* of a new store: a power of two, 4096 to 65536; 0: 4096 */
    uint32_t mode;      /* permission bits of a new file; 0: 0644, less the umask */
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
    uint64_t snapshot_bytes; /* pages of these, each counted in the version that first had it */
    int64_t time;            /* last commit: microseconds since 1970, UTC */
};

struct ramet_snapshot_info {
    size_t size;
    uint64_t id;
    const char *branch;  /* that keeps it; until the callback returns, as name, author and message */
    const char *name;    /* NULL: none */
    const char *author;  /* NULL: none */
    const char *message; /* NULL: none */
    int64_t time;        /* microseconds since 1970, UTC */
    uint64_t generation; /* 1 + that of its parent; 1: it has none */
    uint64_t parents[2]; /* ids; 0: none. The second: of a merge */
    uint64_t owned_bytes;  /* pages it has and the snapshot before it has not */
    uint64_t total_bytes;  /* all pages it reaches */
};

struct ramet_reader_info {
    size_t size;
    uint32_t pid;          /* as its own pid namespace sees it: to tell a person, not to signal */
    uint64_t version;      /* id of the version it reads */
    uint64_t age_ms;       /* since it began or was refreshed */
    uint64_t held_bytes;   /* pages in limbo that wait for it, for others perhaps as well */
};

struct ramet_stat {
    size_t size;
    uint32_t page_size;
    uint32_t format;         /* of the file; FORMAT.md */
    uint8_t store_id[16];
    uint64_t file_bytes;     /* length of the file, all counted below */
    uint64_t meta_bytes;     /* fixed places at the front of the file */
    uint64_t data_bytes;     /* pages of branches and snapshots */
    uint64_t unswept_bytes;  /* pages of dropped branches and snapshots still to be reclaimed */
    uint64_t book_bytes;     /* the store's own records: catalog and space map */
    uint64_t limbo_bytes;    /* unreachable, waiting for readers or for the next flush */
    uint64_t free_bytes;     /* ready for use */
    uint64_t last_id;        /* newest commit */
    uint64_t durable_id;     /* newest commit known to be on disk */
    uint64_t branches;
    uint64_t snapshots;
    uint64_t readers;        /* open read transactions, of all processes */
    uint64_t lost_id;        /* 0, or: opening fell back past this commit, which had not been flushed */
    int poisoned;            /* 1: a flush failed; writing is refused until the store is opened anew */
};

/* ---- the library ------------------------------------------------------------------------------- */

/* The version of the library that is running, "0.1.0". */
RAMET_API const char *ramet_version(void);
/* The sentence of the calling thread's last failure; "" if there was none. Until its next failure. */
RAMET_API const char *ramet_errmsg(void);
/* The fixed text of a code: one of RAMET_ERRORS or -errno. */
RAMET_API const char *ramet_strerror(int code);
/* The positive errno nearest to a code, for programs that speak errno. */
RAMET_API int ramet_errno(int code);

/* ---- stores ------------------------------------------------------------------------------------ */

/* Opens a store; creates it, with an empty branch `main`, if it is not there. path NULL: memory. */
RAMET_API int ramet_open(const char *path, const struct ramet_options *options,
                         struct ramet_store **out);
/* Aborts what is open, flushes what is not, frees the handle. NULL is allowed. */
RAMET_API void ramet_close(struct ramet_store *store);
/* Everything committed so far is durable on return. */
RAMET_API int ramet_sync(struct ramet_store *store);
RAMET_API int ramet_stat(struct ramet_store *store, struct ramet_stat *out);

/* Calls fn for every open read transaction on the store. A nonzero answer stops and is returned. */
typedef int (*ramet_reader_fn)(void *ctx, const struct ramet_reader_info *info);
RAMET_API int ramet_reader_list(struct ramet_store *store, ramet_reader_fn fn, void *ctx);

/* Goes on with reclaiming what was dropped, at most pages_max pages (0: to the end), in commits of
 * bounded size. out_left (may be NULL): pages still to be swept as far as known, 0 when done. */
RAMET_API int ramet_reclaim(struct ramet_store *store, uint64_t pages_max, uint64_t *out_left);

/* Verifies every page, reference, deadlist, count and the space map of the newest version.
 * report (may be NULL) is called once per problem. progress (may be NULL) is called now and then;
 * a nonzero answer cancels with -ECANCELED. Returns 0 if all is well, RAMET_ECORRUPT if anything is wrong. */
typedef void (*ramet_report_fn)(void *ctx, const char *problem);
typedef int (*ramet_progress_fn)(void *ctx, uint64_t done, uint64_t total);
RAMET_API int ramet_check(struct ramet_store *store, unsigned flags, ramet_report_fn report,
                          ramet_progress_fn progress, void *ctx);

/* ---- transactions ------------------------------------------------------------------------------ */

/* ref: `main`, `main@NAME` or `@ID`; NULL: `main`. RAMET_WRITE needs a branch. A second writer of a
 * branch waits, or gets -EBUSY with RAMET_NOWAIT. */
RAMET_API int ramet_begin(struct ramet_store *store, const char *ref, unsigned flags,
                          struct ramet_txn **out);
/* Moves a read transaction to the newest head of its branch. Maps stay, cursors lose their position,
 * slices got before are void. A few ns if nothing changed. */
RAMET_API int ramet_refresh(struct ramet_txn *txn);
/* Ends the transaction, also on error. keep NULL: not kept as a snapshot. out_id (may be NULL): the id
 * of the version that the branch now has at its head. Of a read transaction: as ramet_abort(). */
RAMET_API int ramet_commit(struct ramet_txn *txn, const struct ramet_keep *keep, uint64_t *out_id);
RAMET_API void ramet_abort(struct ramet_txn *txn);
/* Id of the version that the transaction reads, or started from. */
RAMET_API uint64_t ramet_txn_id(const struct ramet_txn *txn);

/* Nested savepoints of a write transaction, numbered from 1. Rolling back undoes all that was done
 * since, and ends the savepoints inside it; it stays itself, and can be rolled back to again. Open maps
 * stay open (one created since is gone: RAMET_ENOTFOUND); cursors lose their position. */
RAMET_API int ramet_savepoint(struct ramet_txn *txn, uint32_t *out);
RAMET_API int ramet_rollback(struct ramet_txn *txn, uint32_t savepoint);

/* ---- maps -------------------------------------------------------------------------------------- */

/* The handle lives as long as txn. Opening a name twice gives the same handle. */
RAMET_API int ramet_map_open(struct ramet_txn *txn, const char *name, unsigned flags,
                             struct ramet_map **out);
/* Drops a map with all it holds. The handle, if open, answers RAMET_ENOTFOUND from now on. */
RAMET_API int ramet_map_drop(struct ramet_txn *txn, const char *name);
typedef int (*ramet_map_fn)(void *ctx, const struct ramet_map_info *info);
/* Calls fn for every map in name order. A nonzero answer stops and is returned. */
RAMET_API int ramet_map_list(struct ramet_txn *txn, ramet_map_fn fn, void *ctx);
/* Number of entries of the map. O(1). */
RAMET_API int ramet_map_count(struct ramet_map *map, uint64_t *out);

/* RAMET_ENOTFOUND if absent. out: until txn end (or refresh), or the next write of a write txn. -EFBIG above
 * RAMET_SLICE_MAX: ramet_read() then. */
RAMET_API int ramet_get(struct ramet_map *map, struct ramet_slice key, struct ramet_slice *out);
/* Absent keys: data NULL. */
RAMET_API int ramet_get_many(struct ramet_map *map, size_t count, const struct ramet_slice *keys,
                             struct ramet_slice *outs);
/* Copies len bytes of a value from off on. Returns the bytes copied, fewer than len only where the
 * value ends (0 at or past its end). out_size (may be NULL): the whole value's size. */
RAMET_API int64_t ramet_read(struct ramet_map *map, struct ramet_slice key, uint64_t off, void *buf,
                             size_t len, uint64_t *out_size);
RAMET_API int ramet_put(struct ramet_map *map, struct ramet_slice key, struct ramet_slice value,
                        unsigned flags);
/* RAMET_ENOTFOUND if absent. */
RAMET_API int ramet_del(struct ramet_map *map, struct ramet_slice key);
/* Deletes all keys with from <= key < to; a size of 0 means from the first, to the end. Whole subtrees
 * are dropped. out_count (may be NULL): how many there were. */
RAMET_API int ramet_del_range(struct ramet_map *map, struct ramet_slice from, struct ramet_slice to,
                              uint64_t *out_count);
/* Counts the keys with from <= key < to, bounds as above. O(leaves in the range). */
RAMET_API int ramet_count_range(struct ramet_map *map, struct ramet_slice from, struct ramet_slice to,
                                uint64_t *out);

/* ---- cursors ----------------------------------------------------------------------------------- */

/* A new cursor has no position. At an end, and on an empty map, moving gives RAMET_ENOTFOUND and leaves
 * the cursor without a position; then next starts at the first key and prev at the last. A write of
 * the same transaction leaves cursors where they are; if their key was deleted, next and prev go to its
 * neighbours and get answers RAMET_ENOTFOUND. */
RAMET_API int ramet_cursor_open(struct ramet_map *map, struct ramet_cursor **out);
RAMET_API int ramet_cursor_first(struct ramet_cursor *c);
RAMET_API int ramet_cursor_last(struct ramet_cursor *c);
RAMET_API int ramet_cursor_seek(struct ramet_cursor *c, struct ramet_slice key);
RAMET_API int ramet_cursor_next(struct ramet_cursor *c);
RAMET_API int ramet_cursor_prev(struct ramet_cursor *c);
/* key and value (either may be NULL): until the cursor moves, the next write, or the txn's end. */
RAMET_API int ramet_cursor_get(struct ramet_cursor *c, struct ramet_slice *key,
                               struct ramet_slice *value);
RAMET_API void ramet_cursor_close(struct ramet_cursor *c);

/* ---- versions ---------------------------------------------------------------------------------- */

/* A branch that starts as from_ref (NULL: `main`) is. O(1), copies no page. -EEXIST. */
RAMET_API int ramet_branch_create(struct ramet_store *store, const char *name, const char *from_ref);
/* Drops the branch and the snapshots that only it keeps; gone at once, reclaimed by later commits.
 * -EBUSY if it has a writer. */
RAMET_API int ramet_branch_delete(struct ramet_store *store, const char *name);
/* Moves the head to a kept snapshot of any branch; what was committed since is dropped. -EBUSY if the branch has a writer. */
RAMET_API int ramet_branch_reset(struct ramet_store *store, const char *name, const char *ref);
typedef int (*ramet_branch_fn)(void *ctx, const struct ramet_branch_info *info);
RAMET_API int ramet_branch_list(struct ramet_store *store, ramet_branch_fn fn, void *ctx);

/* Keeps a branch's head as a snapshot, without waiting for its writer. O(1). out_id may be NULL. */
RAMET_API int ramet_snapshot_create(struct ramet_store *store, const char *branch,
                                    const struct ramet_keep *keep, uint64_t *out_id);
/* ref: BRANCH@NAME: that branch keeps it no more; @ID: no branch does. Always succeeds on a kept snapshot. */
RAMET_API int ramet_snapshot_delete(struct ramet_store *store, const char *ref);
typedef int (*ramet_snapshot_fn)(void *ctx, const struct ramet_snapshot_info *info);
/* Of one branch, or of all (NULL), oldest first within a branch. */
RAMET_API int ramet_snapshot_list(struct ramet_store *store, const char *branch,
                                  ramet_snapshot_fn fn, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
