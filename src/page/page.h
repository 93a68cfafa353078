/* SPDX-License-Identifier: MIT */
/*
 * page.h - the page store: pages of one file, read through a mapping, verified on first touch.
 *
 * Knows where pages are and whether they are what their reference says; not which are in use
 * (space.h), nor what they mean, except through node_check, which the tree puts here.
 *
 * A page is verified by the first thread of a process that reads it: a pread, its checksum, its
 * structure. What is remembered is the low half of its birth, so that an address used again is
 * verified anew. 0 is "not verified"; the low half of a legal birth is never 0.
 */
#ifndef RMT_PAGE_H
#define RMT_PAGE_H

#include <stdatomic.h>

#include "base/vec.h"
#include "format/disk.h"
#include "io/io.h"

/*
 * What readers look at of a leaf before they look at its page. Of a leaf of numbers in a row it is
 * all that it takes to find the value of one, so that a get touches the value and nothing else of
 * the page. (The headers of pages lie a power of two apart, and so have to share a few lines of
 * each cache.) Written before a reference to the page is seen; that of another page that was there
 * before has another birth.
 *
 * In a store in memory whoever knows of a leaf, by its address and birth, can tell from it whether
 * a version has it: see rmt_leaf_gone(). When the page is used again, birth is 0 before gone says
 * never; a reader looks in the opposite order.
 */
struct rmt_leaf {
    /* Of a dense one. */
    _Atomic uint64_t shape; /* low half: of the birth; then RMT_DENSE_*; atomic: release, last */
    _Atomic uint64_t first; /* number; atomic: relaxed */
    /* Of any, in memory; then first is of others, too: first bytes of the prefix, as a number, and
     * zeros. */
    _Atomic uint64_t birth; /* and RMT_LEAF_*; 0: of none. atomic: release, last */
    _Atomic uint64_t gone;  /* id of the first commit that replaced it, of any branch; UINT64_MAX:
                               none has. atomic: release, after birth was 0 */
};
static_assert(sizeof(struct rmt_leaf) == 32, "never across cache lines");
/* Bits 16 to 63 are the birth, 12 to 14 the size of a fixed or dense leaf's suffixes, 0 to 10 that
 * of the prefix. */
#define RMT_LEAF_WORD(birth, width, prefix_size) \
    ((birth) << 16 | (uint64_t)(width) << 12 | (uint64_t)(prefix_size))
#define RMT_LEAF_WIDTH(word) ((uint32_t)((word) >> 12) & 7)
#define RMT_LEAF_PREFIX_SIZE(word) ((uint32_t)(word)&0x7ff)
/* 15 bits of the count, 15 of a value's size, and 2 of the prefix's size, less 4. */
#define RMT_DENSE_COUNT(shape) ((uint32_t)((shape) >> 32) & 0x7fff)
#define RMT_DENSE_VALUE_SIZE(shape) ((uint32_t)((shape) >> 47) & 0x7fff)
#define RMT_DENSE_PREFIX_SIZE(shape) ((uint32_t)((shape) >> 62) + 4)

struct rmt_pages {
    struct rmt_io *io;   /* set once in open, as all below but nr_pages */
    const uint8_t *base; /* the mapping */
    uint32_t page_size;
    uint32_t page_shift;
    uint64_t seed;              /* of checksums: from the store id */
    bool summed;                /* nodes have checksums: not in memory, where what was written is
                                   what is read */
    uint64_t first;             /* first page that may hold data */
    uint64_t reserved;          /* pages of the mapping: no address is at or above it */
    size_t spill_bytes;         /* an edit's pages and values beyond it are spilled, and so much at
                                   once; a test may set it */
    uint32_t part_pages;        /* pages of a part at most, of a value that is written in parts; a
                                    value of no more is written as a whole; a test may set it */
    _Atomic uint32_t *verified; /* [2 * reserved]: as nodes, then as data; atomic: relaxed, for
                                   pages do not change */
    struct rmt_leaf *leaves;    /* [reserved]; NULL: there is no address space for it */
    _Atomic uint64_t nr_pages;  /* of the file, as far as this process knows; atomic: relaxed, only
                                   grows */
    /* Judges an untrusted node page whose header and checksum are right; pages is for sizes and
     * limits. */
    int (*node_check)(const struct rmt_pages *pages, const struct rmt_disk_node *node);
    /* Notes what it wants of a node page, of any kind, that was verified, or is being written. */
    void (*node_known)(struct rmt_pages *pages, struct rmt_ref ref,
                       const struct rmt_disk_node *node);
};

/* Maps the io's file. io: borrowed, must outlive pages. */
int rmt_pages_init(struct rmt_pages *pages, struct rmt_io *io, uint32_t page_size, uint64_t seed,
                   int (*node_check)(const struct rmt_pages *, const struct rmt_disk_node *),
                   void (*node_known)(struct rmt_pages *, struct rmt_ref,
                                      const struct rmt_disk_node *));
void rmt_pages_fini(struct rmt_pages *pages);
/* Memory that can be written out (unnamed files beside the store), zeroed. -ENOSPC and kin. */
int rmt_spill_new(struct rmt_pages *pages, size_t size, void **out);
void rmt_spill_free(void *p, size_t size);
/* Forgets what was verified: after a failed flush nothing cached is to be trusted. */
void rmt_pages_forget(struct rmt_pages *pages);

static inline const struct rmt_disk_node *rmt_page_at(const struct rmt_pages *pages, uint64_t addr)
{
    return (const struct rmt_disk_node *)(pages->base + (addr << pages->page_shift));
}

/*
 * rmt_leaf_gone() - a commit replaces pages of a branch: notes it, in a store in memory.
 *
 * Called before the commit is published; if it is not, after all, they are taken for replaced.
 * Pages that are no leaves are noted too.
 */
static inline void rmt_leaf_gone(struct rmt_pages *pages, struct rmt_run run, uint64_t id)
{
    if (pages->summed || !pages->leaves)
        return;
    for (uint64_t i = 0; i < run.len; i++) {
        struct rmt_leaf *leaf = &pages->leaves[run.addr + i];
        if (atomic_load_explicit(&leaf->gone, memory_order_relaxed) > id)
            atomic_store_explicit(&leaf->gone, id, memory_order_release);
    }
}

/* The checksum of a node page in this store. */
static inline uint64_t rmt_page_sum(const struct rmt_pages *pages, const void *page)
{
    return pages->summed ? rmt_node_sum(page, pages->page_size, pages->seed) : 0;
}

/* The slow half of rmt_page_read(). */
int rmt_page_verify(struct rmt_pages *pages, struct rmt_ref ref);

/*
 * rmt_page_read() - a node page, in the mapping, verified.
 *
 * @ref  of a page in the file: not none, not private (birth 0).
 * Returns 0, RAMET_ECORRUPT (the message names the page), or -EIO and kin from the device.
 * Lifetime: as long as the caller's reader slot or lock keeps the page from being used again.
 * Cost: one load if the page was read before; else a pread and its check.
 */
static inline int rmt_page_read(struct rmt_pages *pages, struct rmt_ref ref,
                                const struct rmt_disk_node **out)
{
    if (rmt_unlikely(ref.addr >= pages->reserved ||
                     atomic_load_explicit(&pages->verified[ref.addr], memory_order_relaxed) !=
                         (uint32_t)ref.birth)) {
        int rc = rmt_page_verify(pages, ref);
        if (rc < 0)
            return rc;
    }
    *out = rmt_page_at(pages, ref.addr);
    return 0;
}

/* Remembers that len pages of raw data are verified, or were written by us. */
static inline void rmt_data_known(struct rmt_pages *pages, uint64_t addr, uint64_t len,
                                  uint64_t birth)
{
    for (uint64_t i = pages->reserved + addr; len; i++, len--)
        atomic_store_explicit(&pages->verified[i], (uint32_t)birth, memory_order_relaxed);
}

/* Remembers that the node page at addr is verified, or was written by us. */
static inline void rmt_page_known(struct rmt_pages *pages, uint64_t addr, uint64_t birth)
{
    atomic_store_explicit(&pages->verified[addr], (uint32_t)birth, memory_order_relaxed);
}

/* Reads a page into the caller's page_size bytes and judges it, remembering nothing. kind 0: a leaf
 * or an inner node, judged by node_check too; else that kind, whose contents are the caller's to
 * judge. */
int rmt_page_load(struct rmt_pages *pages, struct rmt_ref ref, enum rmt_node_kind kind, void *buf);

/* Reads a plausible run of raw data into the caller's memory and verifies it, remembering nothing.
 */
int rmt_data_load(struct rmt_pages *pages, const struct rmt_disk_run *run, void *buf);

/* Reads pages of raw data that lie side by side, each with a reference of its own, into the
 * caller's memory, and verifies them, whether they were before or not. out_bad: on RAMET_ECORRUPT,
 * the index of the first that is wrong. */
int rmt_data_read(struct rmt_pages *pages, const struct rmt_ref *refs, size_t count, void *buf,
                  size_t *out_bad);

/* As rmt_page_read(), of a run of raw data. The bytes are pages << page_shift long. */
int rmt_page_data(struct rmt_pages *pages, const struct rmt_disk_run *run, const uint8_t **out);

/* True if a reference that was read from a file can be of a page written at or before birth. */
static inline bool rmt_ref_plausible(const struct rmt_pages *pages, struct rmt_ref ref,
                                     uint64_t birth)
{
    return ref.addr >= pages->first && ref.addr < pages->reserved && rmt_id_legal(ref.birth) &&
           ref.birth <= birth;
}

/* Runs in the order they came. */
struct rmt_runs {
    struct rmt_run *items;
    size_t count, capacity;
};

/* Adds pages; joins them to the last run where they follow it. False: no memory, none added. */
static inline bool rmt_runs_push(struct rmt_runs *runs, uint64_t addr, uint64_t len, uint64_t birth)
{
    struct rmt_run *last = runs->count ? &runs->items[runs->count - 1] : NULL;
    if (last && last->birth == birth && last->addr + last->len == addr) {
        last->len += len;
        return true;
    }
    struct rmt_run run = {addr, len, birth};
    return rmt_vec_push(runs, run);
}

/* ---- writing: one commit's pages on their way to the file ------------------------------------ */

/*
 * Pages are given addresses in the order they come, from as few runs of free pages as there are,
 * and written in large pieces by rmt_writer_flush(). Private pages and data are borrowed until
 * then.
 */
struct rmt_writer;

/*
 * rmt_writer_node() - gives a finished node page its address and checksum, and queues it.
 *
 * @page  page_size bytes, in its final form but for checksum, addr and birth: these are filled.
 * @out   the reference that its parent must hold.
 * Returns 0, -ENOSPC, -ENOMEM, or what writing gave.
 */
int rmt_writer_node(struct rmt_writer *w, void *page, struct rmt_ref *out);

/*
 * rmt_writer_patched() - writes a node as it is in the file, but for a few bytes, at once.
 *
 * Of a store in memory, whose nodes have no checksums.
 *
 * @node   in the mapping; bytes: instead of those at an offset behind its header.
 * @out    the reference that its parent must hold.
 * Returns 0, -ENOSPC, -ENOMEM, or what writing gave.
 */
int rmt_writer_patched(struct rmt_writer *w, const struct rmt_disk_node *node, uint32_t offset,
                       struct ramet_slice bytes, struct rmt_ref *out);

/* Writes a node at once; the page is the caller's again. As rmt_writer_patched(). */
int rmt_writer_at_once(struct rmt_writer *w, void *page, struct rmt_ref *out);

/*
 * rmt_writer_data() - queues the beginning of so many pages of raw data as one run.
 *
 * At most RMT_RUN_PAGES_MAX pages, fewer if free pages are scattered, at least one: out says how
 * many. Call again with the rest until all are taken.
 *
 * @data  borrowed until rmt_writer_flush().
 */
int rmt_writer_data(struct rmt_writer *w, const void *data, uint64_t pages,
                    struct rmt_disk_run *out);

/*
 * rmt_writer_lent() - the same, of a page that others may be changing meanwhile.
 *
 * It is copied, into memory that is in the processor's cache, and what was copied is written when
 * that memory is full: so there is no need to have all pages of a large commit twice.
 *
 * @data  page_size bytes; borrowed for the call.
 * Returns as rmt_writer_node().
 */
int rmt_writer_lent(struct rmt_writer *w, const void *data, struct rmt_disk_run *out);

#endif
