/* SPDX-License-Identifier: MIT */
/*
 * edit.h - private pages and values of one edit, and the way of a key through a tree that is
 * written.
 *
 * A private page is writable if it was made since the innermost savepoint; else it is copied first,
 * as a page of the file is, so that rolling back finds it as it was. A page can only be made
 * writable together with its path, so above a writable page all are writable.
 *
 * A page of the file is judged once more when it becomes private: its keys must lie between the
 * separators above it. With that, separators that splits and merges put into private nodes ascend
 * whatever a forged file holds, and what node.h and build.h rely on cannot fail.
 */
#ifndef RMT_EDIT_H
#define RMT_EDIT_H

#include "tree/build.h"

struct rmt_private {
    struct rmt_private *next, *prev; /* in edit->all: older, newer */
    uint64_t value_size;             /* of a value; pages, and values of one page, have 0 */
    uint64_t whole;                  /* of a value in parts its size: parts.h. Else 0 */
    uint32_t savepoint;              /* that was innermost when it was made */
    uint32_t garbage;                /* of a page: bytes of cells that no slot points to */
    uint32_t last;                   /* of a page: where the last key was put in */
    uint32_t ascending;              /* how many in a row went just behind the last */
    uint32_t descending;             /* or just before it */
    bool values;                     /* of a leaf: may refer to private values */
    bool spilled;                    /* a value in edit->spill */
    bool lent;                       /* a value of one page: bytes are where it is, the caller's */
    uint8_t zero[9];
    uint8_t bytes[]; /* the page or the value: rmt_private_bytes() */
};
static_assert(sizeof(struct rmt_private) == 64, "keeps pages on cache lines of their own");

static inline struct rmt_private *rmt_private_of(const void *bytes)
{
    return (struct rmt_private *)((uintptr_t)bytes - offsetof(struct rmt_private, bytes));
}

/* Of a value. */
static inline const uint8_t *rmt_private_bytes(const struct rmt_private *own)
{
    const uint8_t *bytes = own->bytes;
    if (own->lent)
        memcpy(&bytes, own->bytes, sizeof(bytes));
    return bytes;
}

static inline struct rmt_ref rmt_private_ref(const struct rmt_disk_node *node)
{
    struct rmt_ref ref = {(uintptr_t)node, 0, 0};
    return ref;
}

static inline struct rmt_disk_node *rmt_private_node(struct rmt_ref ref)
{
    return (struct rmt_disk_node *)(uintptr_t)ref.addr;
}

static inline bool rmt_edit_writable(const struct rmt_edit *edit, struct rmt_ref ref)
{
    return ref.birth == 0 && rmt_private_of(rmt_private_node(ref))->savepoint == edit->savepoint;
}

/*
 * rmt_edit_ensure() - whatever an operation needs that could be refused.
 *
 * @pages   at most so many private pages will be made,
 * @values  and private values that take so many pages;
 * @runs    at most so many runs will go on edit->gone.
 * Returns 0, -ENOMEM, or what reserve() gave. Afterwards rmt_edit_page() and rmt_edit_gone() cannot
 * fail.
 */
int rmt_edit_ensure(struct rmt_edit *edit, uint32_t pages, uint64_t values, uint32_t runs);

/* A new private page, its bytes undefined. */
struct rmt_disk_node *rmt_edit_page(struct rmt_edit *edit);
/* The page is no part of its tree any more. */
void rmt_edit_page_drop(struct rmt_edit *edit, const struct rmt_disk_node *node);

/* A private value: a copy of data. -ENOMEM; -ENOSPC and kin if it is to be spilled. One that is
 * just a page is a private page, which was ensured; or, lend: is the caller's until the edit ends.
 */
int rmt_edit_value(struct rmt_edit *edit, struct ramet_slice data, bool lend,
                   struct rmt_private **out);
static inline uint64_t rmt_private_size(const struct rmt_edit *edit, const struct rmt_private *own)
{
    return own->value_size ? own->value_size : edit->pages->page_size;
}
/* Bytes that live as long as a private value, undefined and in no account. */
int rmt_edit_value_blank(struct rmt_edit *edit, size_t size, struct rmt_private **out);
/* The same for what is made when sealing: not to be spilled, for a commit is not to meet a full
 * disk. */
int rmt_edit_seal_blank(struct rmt_edit *edit, size_t size, struct rmt_private **out);
void rmt_edit_blank_drop(struct rmt_edit *edit, struct rmt_private *blank);
void rmt_edit_value_drop(struct rmt_edit *edit, struct rmt_private *value);

/* Puts a run on edit->gone, for which there is room. */
void rmt_edit_gone(struct rmt_edit *edit, struct rmt_run run);
/* The same for those who did not ask for room. */
int rmt_edit_gone_grow(struct rmt_edit *edit, struct rmt_run run);

/* A reference to a shared page was made, or given up. _note: room for it was ensured. */
int rmt_edit_refs_ensure(struct rmt_edit *edit, size_t runs);
void rmt_edit_refs_note(struct rmt_edit *edit, uint64_t number, uint64_t what);

/* To take back what an operation that failed has put on edit->gone and edit->refs. */
struct rmt_gone_mark {
    size_t count, refs_count;
    struct rmt_run last, refs_last;
};
struct rmt_gone_mark rmt_gone_mark(const struct rmt_edit *edit);
void rmt_gone_undo(struct rmt_edit *edit, struct rmt_gone_mark mark);

/* Makes *ref, of a page of its tree, one of a writable page with the same contents. */
struct rmt_disk_node *rmt_edit_touch(struct rmt_edit *edit, struct rmt_ref *ref);
/* Copies a private node to the scratch page, and moves what an item has of it there. */
const struct rmt_disk_node *rmt_edit_scratch(struct rmt_edit *edit,
                                             const struct rmt_disk_node *node,
                                             struct rmt_item *item);

/* ---- the way down ---------------------------------------------------------------------------- */

/* The page of a reference that is not none. */
static inline int rmt_ref_open(struct rmt_pages *pages, struct rmt_ref ref,
                               const struct rmt_disk_node **out)
{
    if (ref.birth == 0) {
        *out = rmt_private_node(ref);
        return 0;
    }
    return rmt_page_read(pages, ref, out);
}

/* Asks for the parts of a page that every search begins with, so that they come all at once. */
static inline void rmt_ref_prefetch(const struct rmt_pages *pages, struct rmt_ref ref)
{
    const uint8_t *page = (const uint8_t *)(uintptr_t)ref.addr;
    if (ref.birth) {
        if (rmt_unlikely(ref.addr >= pages->reserved))
            return;
        page = (const uint8_t *)rmt_page_at(pages, ref.addr);
    }
    __builtin_prefetch(page);
    __builtin_prefetch(page + 64);
    __builtin_prefetch(page + 128);
    __builtin_prefetch(page + 192);
    __builtin_prefetch(page + pages->page_size - 64);
}

/* True if the node has that level, and is of a tree at all. */
static inline bool rmt_node_is(const struct rmt_disk_node *node, uint32_t level)
{
    return node->level == level &&
           (level > 0 ? node->kind == RMT_NODE_INNER
                      : node->kind == RMT_NODE_LEAF || !rmt_node_general(node));
}

int rmt_level_fail(struct rmt_ref ref);

/* As rmt_ref_open(), of a child of a node one level above. */
static inline int rmt_child_open(struct rmt_pages *pages, struct rmt_ref ref, uint32_t level,
                                 const struct rmt_disk_node **out)
{
    int rc = rmt_ref_open(pages, ref, out);
    if (rmt_unlikely(rc < 0))
        return rc;
    return rmt_likely(rmt_node_is(*out, level)) ? 0 : rmt_level_fail(ref);
}

/* As rmt_ref_open(), of a root. */
static inline int rmt_root_open(struct rmt_pages *pages, struct rmt_ref ref,
                                const struct rmt_disk_node **out)
{
    int rc = rmt_ref_open(pages, ref, out);
    if (rmt_unlikely(rc < 0))
        return rc;
    return rmt_likely(rmt_node_is(*out, (*out)->level)) ? 0 : rmt_level_fail(ref);
}

/* A separator, or no bound at all. */
struct rmt_bound {
    const struct rmt_disk_node *node; /* NULL: none */
    uint32_t index;
};

/* Refuses a page of the file whose keys do not lie between its bounds. */
int rmt_bounds_check(uint32_t page_size, struct rmt_ref ref, const struct rmt_disk_node *node,
                     struct rmt_bound low, struct rmt_bound high);

struct rmt_step {
    struct rmt_disk_node *node; /* not to be written before rmt_path_touch() */
    uint32_t index;             /* of the child taken, or of the entry */
    struct rmt_ref ref;         /* of the node */
};

struct rmt_path {
    uint32_t depth; /* 0: the tree is empty */
    bool equal;     /* the entry has the key */
    struct rmt_step steps[RMT_LEVEL_MAX + 1];
};

/* Goes down to where key is or would be; judges what will have to be copied. */
int rmt_path_find(struct rmt_edit *edit, const struct rmt_tree *tree, struct ramet_slice key,
                  struct rmt_path *out);
/* How many pages of the path are not writable. */
uint32_t rmt_path_nr_fixed(const struct rmt_edit *edit, const struct rmt_path *path);
/* Makes them writable. So many pages and runs were ensured. */
void rmt_path_touch(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_path *path);
/*
 * rmt_path_settle() - after entries were taken out of the path's leaf, or children out of its
 * nodes.
 *
 * Takes empty nodes out, merges those that are less than a quarter full with a sibling where one
 * has room, takes roots with one child away. The path is writable, and invalid afterwards. What it
 * would like to read and cannot, it leaves alone.
 */
void rmt_path_settle(struct rmt_edit *edit, struct rmt_tree *tree, struct rmt_path *path);

/* Before a tree is written: its cursors note their keys. */
void rmt_cursors_note(struct rmt_tree *tree);

/* ---- values (value.c) ------------------------------------------------------------------------ */

/* Pages that lists of so many runs take. */
uint64_t rmt_value_lists(uint32_t page_size, uint64_t runs);
/* Pages that a value takes in the file at most: its data and lists of runs. */
uint64_t rmt_value_pages(uint32_t page_size, uint64_t size);
/* A record of a private value, in out, which has room for any. */
struct rmt_value rmt_extents_private(struct rmt_disk_extents *out, const struct rmt_private *value);
/* The private value of a record, or NULL. */
struct rmt_private *rmt_extents_value(const struct rmt_value *value);
/* Puts all runs of the file that a value has on edit->gone. On failure some of them are. seen:
 * pages of values that went before in the same operation; they cannot be more than the file has. */
int rmt_value_gone(struct rmt_edit *edit, const struct rmt_value *value, uint64_t *seen);
/* Writes a private value; its record, which is in a private leaf, then has its runs. */
int rmt_value_seal(struct rmt_edit *edit, const struct rmt_value *value, struct rmt_writer *w);

#endif
