/* SPDX-License-Identifier: MIT */
/*
 * tree.h - the copy-on-write B+tree: ordered byte-string keys to values, with cursors.
 *
 * A tree is a root reference and a count. Reading needs the page store alone. Writing happens in an
 * edit: nodes are copied into private pages, whose references hold a memory address (birth 0);
 * nobody else sees them until rmt_tree_seal() gives every private page an address in the file,
 * children first and in key order.
 *
 * Threads: any number read one tree at once if nobody writes it; an edit has one user at a time.
 */
#ifndef RMT_TREE_H
#define RMT_TREE_H

#include "base/arena.h"
#include "page/overlay.h"
#include "page/page.h"

/* ---- the private side of a write ------------------------------------------------------------- */

/* Memory for private pages, kept from one edit to the next: the first touch of fresh memory costs
 * more than all else that a write does. One user at a time. A zeroed pool is empty, and takes the
 * page size of the first edit that uses it. */
struct rmt_page_pool {
    uint32_t page_size;
    struct rmt_private *spare;     /* linked by .next */
    struct rmt_pool_chunk *chunks; /* newest first */
    size_t nr_spare, nr_used;      /* pages */
    size_t bytes;                  /* of the chunks that are in memory alone */
    uint8_t *scratch;              /* one page, of the edit that uses the pool; NULL: not yet */
};

/* No page of it is in use any more. Leaves it empty. */
void rmt_page_pool_fini(struct rmt_page_pool *pool);

struct rmt_spill;

struct rmt_edit {
    struct rmt_pages *pages;    /* borrowed */
    struct rmt_page_pool *pool; /* borrowed; the caller may set it right after init. NULL: .own */
    /* Called before private pages are made, so that a commit will find room for them; may be NULL.
     * Asks for pages more than all that was asked for before. Returns 0 or -ENOSPC and kin; then
     * the operation fails and the tree is as it was. What was granted is never given back:
     * nr_private can be less. */
    int (*reserve)(void *ctx, uint64_t pages);
    void *reserve_ctx;
    struct rmt_runs gone;    /* pages of the file that were replaced or dropped, in order */
    size_t gone_floor;       /* runs below it are older than the innermost savepoint */
    struct rmt_runs refs;    /* to shared pages: runs of their numbers; birth: RMT_REFS_* */
    size_t refs_floor;       /* as gone_floor */
    uint64_t nr_private;     /* private pages alive; with the pages that private values will take */
    uint64_t nr_reserved;    /* granted by reserve(); nr_private never exceeds it */
    uint32_t savepoint;      /* 0, or the innermost open savepoint */
    bool page_values;        /* values of one page were made: sealing looks for them */
    struct rmt_private *all; /* every private page and value of this edit, newest first */
    struct rmt_page_pool own;
    size_t value_bytes;      /* of values in memory alone */
    struct rmt_spill *spill; /* newest first */
    uint8_t *scratch; /* one page, of the pool; a node that is written anew is read from here */
};

/* What became of references to shared pages. Who commits the edit counts them (store/shares.h). */
#define RMT_REFS_MADE 1u
#define RMT_REFS_GIVEN 2u

void rmt_edit_init(struct rmt_edit *edit, struct rmt_pages *pages,
                   int (*reserve)(void *ctx, uint64_t pages), void *reserve_ctx);
/* Frees all private pages and values. */
void rmt_edit_fini(struct rmt_edit *edit);

/* What rolling back needs to know of the edit; the roots are the caller's to save and put back. */
struct rmt_edit_mark {
    size_t gone, refs;
    uint64_t nr_private;
    uint32_t savepoint;
    struct rmt_private *newest;
};
/* Begins a savepoint: private pages made before are copied before they are changed. */
void rmt_edit_mark(struct rmt_edit *edit, struct rmt_edit_mark *out);
/* Takes the edit back to the mark, which stays valid; marks made since do not. Trees changed since
 * must be given their old roots, by rmt_tree_set(). */
void rmt_edit_rollback(struct rmt_edit *edit, const struct rmt_edit_mark *mark);

/* ---- trees ----------------------------------------------------------------------------------- */

struct rmt_cursor;

struct rmt_tree {
    struct rmt_ref root; /* none: empty. birth 0 with an addr: private, the memory address */
    uint64_t count;      /* entries */
    uint64_t changes;    /* counts writes, for cursors */
    struct rmt_disk_node *last_leaf; /* private and rightmost, if last_at is changes: appended to */
    uint64_t last_at;
    struct rmt_cursor *cursors;        /* open on this tree, if it can be written */
    const struct rmt_tree *shares;     /* where shared pages are found; NULL: it can have none */
    const struct rmt_overlay *overlay; /* of a fixed tree: an entry that rmt_tree_get() and cursors
                                      find instead of what its leaf has; NULL: none */
    bool fixed; /* never written: cursors are not listed, any number of threads may have some */
};

/* Gives the tree another root (after a rollback, or for another version); cursors lose their
 * position. */
void rmt_tree_set(struct rmt_tree *tree, struct rmt_ref root, uint64_t count);

/* A value as it lies in a leaf. */
struct rmt_value {
    const void *data; /* the bytes, or a struct rmt_disk_extents, or, of RMT_PAGE_RECORD_SIZE, a
                         struct rmt_disk_ref */
    uint32_t size;    /* of data */
    bool extents;     /* too large for the leaf: rmt_value_*() below */
};

enum rmt_put_flags {
    RMT_PUT_NOOVERWRITE = 1 << 0, /* -EEXIST */
    RMT_PUT_APPEND = 1 << 1,      /* -EINVAL unless above all keys: leaves are filled to the end */
    RMT_PUT_LEND = 1 << 2, /* a value of one page is not copied: the caller's until the edit ends */
    RMT_PUT_MOVE = 1 << 3, /* what the entry had is not given up: it goes on elsewhere */
};

/* RAMET_ENOTFOUND without a message (it is no failure here); RAMET_ECORRUPT and kin with one. */
int rmt_tree_get(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                 struct rmt_value *out);
/* The same of a key of eight bytes, as a big-endian number. */
int rmt_tree_get_number(struct rmt_pages *pages, const struct rmt_tree *tree, uint64_t number,
                        struct rmt_value *out);
/* Looks up count keys at once, overlapping their cache misses. Absent: data NULL. */
int rmt_tree_get_many(struct rmt_pages *pages, const struct rmt_tree *tree, size_t count,
                      const struct ramet_slice *keys, struct rmt_value *outs);
/*
 * rmt_tree_replace() - gives an entry another value of the same size, in pages that are written at
 * once: of a store in memory.
 *
 * @tree     without private pages; gets its new root.
 * @horizon  what was born at it or before is not replaced.
 * @gone     gets the pages that were replaced.
 * Returns 0; 1: there is no such entry, or its value is of another size or not in its leaf, or it
 * would replace what it must not, and nothing was done; or what writing gave, or -ENOMEM: then some
 * pages may be written, and the tree is as it was.
 */
int rmt_tree_replace(struct rmt_pages *pages, struct rmt_tree *tree, struct ramet_slice key,
                     struct ramet_slice value, uint64_t horizon, struct rmt_writer *w,
                     struct rmt_runs *gone);
/*
 * The same of many, in any order; of a key that is there twice the later value stays. Between the
 * two calls the tree stays as it is, and keys and values too.
 */
struct rmt_replaced_node;
struct rmt_replacing {
    struct rmt_pages *pages;
    const struct ramet_slice *keys, *values;
    uint64_t horizon;
    uint64_t *orders, *sorted;
    uint32_t *counts;
    uint8_t *page;                           /* that is being put together */
    RMT_VEC(struct rmt_replaced_node) nodes; /* so many pages will be written, and replaced */
};
/* As rmt_tree_replace(), but nothing is written: 0 if it can be done. fini it in any case. */
int rmt_replacing_init(struct rmt_replacing *r, struct rmt_pages *pages,
                       const struct rmt_tree *tree, size_t count, const struct ramet_slice *keys,
                       const struct ramet_slice *values, uint64_t horizon);
/* Once. On failure the tree is as it was; what was written, and is in gone, is the caller's to take
 * back. */
int rmt_replacing_write(struct rmt_replacing *r, struct rmt_tree *tree, struct rmt_writer *w,
                        struct rmt_runs *gone);
void rmt_replacing_fini(struct rmt_replacing *r);
/* Keys of 1 to RAMET_KEY_MAX bytes. On failure the tree is as it was. */
int rmt_tree_put(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                 struct ramet_slice value, unsigned flags);
/*
 * rmt_tree_put_page() - the same, of a page that is there: of the file, private, or shared.
 *
 * The page is not copied. Of a shared one the reference is noted as made; else the caller sees to
 * it that no other entry refers to the page when all is done.
 */
int rmt_tree_put_page(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                      struct rmt_ref page, unsigned flags);
/* As rmt_tree_get(), but of a shared page the record that its leaf has, for rmt_tree_put_page(). */
int rmt_tree_get_as_is(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                       struct rmt_value *out);
/*
 * rmt_tree_write() - writes bytes of an entry's value, which grows by zeros if they lie behind its
 * end.
 *
 * Of a value of the file just the runs that are touched are written anew. On failure what lies
 * before the run in question may have been written, and the value may have grown.
 * RAMET_ENOTFOUND without a message.
 */
int rmt_tree_write(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                   uint64_t off, struct ramet_slice bytes);
/* Gives an entry, which is there, another record of its value; of the old one nothing is gone. */
int rmt_tree_put_record(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key,
                        const struct rmt_value *record);
/* RAMET_ENOTFOUND without a message. */
int rmt_tree_del(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice key);
/* Keys with from <= key < to; size 0: unbounded. */
int rmt_tree_del_range(struct rmt_edit *edit, struct rmt_tree *tree, struct ramet_slice from,
                       struct ramet_slice to, uint64_t *out_count);
int rmt_tree_count_range(struct rmt_pages *pages, const struct rmt_tree *tree,
                         struct ramet_slice from, struct ramet_slice to, uint64_t *out);
/* Drops all pages and values: the tree is empty. */
int rmt_tree_drop(struct rmt_edit *edit, struct rmt_tree *tree);

/*
 * rmt_tree_seal() - gives every private page and value of the tree its place in the file.
 *
 * Children first, in key order, each leaf's values before it, so that neighbours in key order are
 * neighbours in the file. The tree's root is then a reference of the file. A root that is not
 * private is left alone. The private pages stay in memory, borrowed by the writer, until
 * rmt_edit_fini().
 */
int rmt_tree_seal(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_writer *w);

/* ---- values ---------------------------------------------------------------------------------- */

uint64_t rmt_value_size(const struct rmt_pages *pages, const struct rmt_value *value);

/* The map of shared pages has two entries for each, by its number: a letter and eight bytes,
 * big-endian. */
#define RMT_SHARE_KEY_SIZE 9u
enum {
    RMT_SHARE_COUNT = 'c', /* how many references there are, eight bytes, little-endian */
    RMT_SHARE_PAGE = 'p',  /* its page record */
};
static inline struct ramet_slice rmt_share_key(uint8_t buf[RMT_SHARE_KEY_SIZE], uint8_t what,
                                               uint64_t number)
{
    buf[0] = what;
    rmt_put_be64(buf + 1, number);
    return rmt_slice(buf, RMT_SHARE_KEY_SIZE);
}
/* A value as it lies in its leaf is a reference to a shared page: nothing else below takes it. */
static inline bool rmt_value_shared(const struct rmt_value *value)
{
    return value->extents && value->size == RMT_PAGE_RECORD_SIZE &&
           rmt_ref_shared(rmt_ref_load(value->data));
}
/* Makes it the record of the page. It is so already if rmt_tree_get(), a cursor or a diff handed it
 * out. RAMET_ECORRUPT: there is no such page. */
int rmt_value_find_shared(struct rmt_pages *pages, const struct rmt_tree *shares,
                          struct rmt_value *value);
static inline int rmt_value_find(struct rmt_pages *pages, const struct rmt_tree *shares,
                                 struct rmt_value *value)
{
    return rmt_likely(!rmt_value_shared(value)) ? 0 : rmt_value_find_shared(pages, shares, value);
}

/* What a tree's overlay says instead of a value that was found by its key. */
static inline void rmt_value_overlay(const struct rmt_tree *tree, struct ramet_slice key,
                                     struct rmt_value *value)
{
    const struct rmt_overlay *overlay = tree->overlay;
    if (rmt_unlikely(overlay && overlay->key_size == key.size &&
                     memcmp(overlay->key, key.data, key.size) == 0))
        *value = (struct rmt_value){overlay->value, (uint32_t)overlay->value_size, false};
}

/* The whole value as one slice: in place where it lies side by side in the file, else put together
 * in the arena. -EFBIG above RAMET_SLICE_MAX. */
int rmt_value_slice(struct rmt_pages *pages, const struct rmt_value *value, struct rmt_arena *arena,
                    struct ramet_slice *out);
/* Copies up to len bytes from off on, and returns how many. Verifies only the runs it touches. */
int64_t rmt_value_read(struct rmt_pages *pages, const struct rmt_value *value, uint64_t off,
                       void *buf, size_t len);
/* A piece of a value; a nonzero answer ends it, and is returned. */
typedef int (*rmt_value_piece_fn)(void *ctx, uint64_t off, struct ramet_slice bytes);
/* Hands out a part of a value where it lies, in order; what lies behind its end is left out. */
int rmt_value_each(struct rmt_pages *pages, const struct rmt_value *value, uint64_t off,
                   uint64_t len, rmt_value_piece_fn fn, void *ctx);
/* True if they are the same as they lie in their leaves: the same bytes, or the same pages. */
static inline bool rmt_value_same(const struct rmt_value *a, const struct rmt_value *b)
{
    return a->extents == b->extents && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}
/* 1 if two values are the same bytes, 0, or a code. Where they do not lie in the same pages their
 * contents are read. */
int rmt_value_equal(struct rmt_pages *pages, const struct rmt_value *a, const struct rmt_value *b);
/* A run of pages of a value: of its data at level 0, else of lists of runs of level - 1. */
typedef int (*rmt_value_run_fn)(void *ctx, const struct rmt_disk_run *run, uint32_t level);
/* Calls fn for every run of pages the value has in the file, lists of runs included. For an extents
 * value that is not private. A list is read before its own run is handed over; verify: also
 * verifies the data. fn's nonzero answer stops and is returned. */
int rmt_value_runs(struct rmt_pages *pages, const struct rmt_value *value, bool verify,
                   rmt_value_run_fn fn, void *ctx);
/* Pages side by side, wherever they were found. */
typedef int (*rmt_run_fn)(void *ctx, struct rmt_run run);
static inline struct rmt_run rmt_run_of(const struct rmt_disk_run *disk)
{
    struct rmt_ref ref = rmt_ref_load(&disk->ref);
    struct rmt_run run = {ref.addr, rmt_get32(disk->pages), ref.birth};
    return run;
}

/* ---- cursors --------------------------------------------------------------------------------- */

struct rmt_cursor_step {
    const struct rmt_disk_node *node;
    uint32_t index; /* of the child taken, or of the entry */
};

struct rmt_cursor {
    struct rmt_pages *pages;
    struct rmt_tree *tree;
    struct rmt_cursor *next;                        /* in tree->cursors */
    struct rmt_cursor_step path[RMT_LEVEL_MAX + 1]; /* [0] is the root */
    uint32_t depth;                                 /* of path; 0: no position */
    bool gone; /* the entry it stood on was deleted: path is at its successor, or past the last */
    uint64_t changes;                /* of the tree when path was right */
    const uint8_t *ahead;            /* leaf that next will come to, to be fetched bit by bit */
    uint32_t ahead_bytes;            /* of its front that are not yet asked for */
    uint32_t prefix_size;            /* bytes of key that are this leaf's prefix already */
    size_t key_size;                 /* of key; 0: it was not put together yet */
    uint8_t key[RAMET_KEY_MAX + 32]; /* put together here, with room to copy generously */
};

void rmt_cursor_init(struct rmt_cursor *c, struct rmt_pages *pages, struct rmt_tree *tree);
void rmt_cursor_fini(struct rmt_cursor *c);
/* Takes its position. */
static inline void rmt_cursor_reset(struct rmt_cursor *c)
{
    c->depth = 0;
    c->gone = false;
    c->key_size = 0;
    c->prefix_size = 0;
    c->ahead_bytes = 0;
}
/* All: 0, RAMET_ENOTFOUND without a message (then there is no position), RAMET_ECORRUPT and kin.
 * Without a position next is first and prev is last. */
int rmt_cursor_first(struct rmt_cursor *c);
int rmt_cursor_last(struct rmt_cursor *c);
int rmt_cursor_seek(struct rmt_cursor *c, struct ramet_slice key);
int rmt_cursor_next(struct rmt_cursor *c);
int rmt_cursor_prev(struct rmt_cursor *c);
/* key: in c->key, until the cursor moves. value: until the cursor moves or the tree is written. */
int rmt_cursor_get(struct rmt_cursor *c, struct ramet_slice *key, struct rmt_value *value);
/* The leaf that it is in, and the index of its entry there; then it is at the leaf's last entry, so
 * that next comes to another leaf. */
int rmt_cursor_leaf(struct rmt_cursor *c, const struct rmt_disk_node **out_leaf,
                    uint32_t *out_index);

/* ---- nodes, for those who walk pages: reclaiming and checking -------------------------------- */

/* The gate: judges an untrusted leaf or inner page (header, checksum and address are right
 * already). */
int rmt_node_check(const struct rmt_pages *pages, const struct rmt_disk_node *node);
/* Of a page that is verified, or being written: fills pages->leaves. The address and birth that the
 * node itself has are not looked at. */
void rmt_node_known(struct rmt_pages *pages, struct rmt_ref ref, const struct rmt_disk_node *node);
/* Children of an inner node, entries of a leaf. */
uint32_t rmt_node_size(const struct rmt_disk_node *node);
struct rmt_ref rmt_node_child(const struct rmt_disk_node *node, uint32_t index);
void rmt_node_value(const struct rmt_disk_node *node, uint32_t page_size, uint32_t index,
                    struct rmt_value *out);
/* The key of an entry of a leaf, or separator before child index (1 on) of an inner node, put
 * together in buf. */
size_t rmt_node_key(const struct rmt_disk_node *node, uint32_t page_size, uint32_t index,
                    uint8_t buf[RAMET_KEY_MAX]);

#endif
