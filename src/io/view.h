/* SPDX-License-Identifier: MIT */
/*
 * view.h - private memory over parts of a file, and which of its pages the program has written.
 *
 * A view is a reserved range of addresses. Parts of it show a file (ops->view), and every process
 * that has them in a view shares the kernel's one copy; the rest is zeros. Whoever writes gets a
 * page of their own from the kernel (MAP_PRIVATE). A page that is the program's own is *private*.
 * A private page can be armed: then it is known whether it was written since (userfaultfd's
 * asynchronous write protection, and PAGEMAP_SCAN, Linux 6.7). Where the kernel has no such thing,
 * all that is known is which pages are private.
 *
 * A child process does not get the view. Offsets and lengths are bytes, multiples of 4096.
 *
 * Threads: one at a time, while others read and write the memory.
 */
#ifndef RMT_VIEW_H
#define RMT_VIEW_H

#include "io/io.h"

struct rmt_view {
    uint8_t *base;
    size_t size;
    int pagemap; /* descriptor; -1: not yet */
    int faults;  /* descriptor of the userfaultfd; -1: not yet, or none to be had */
    bool armed;  /* it was asked for: what was armed is told apart, if there is one */
};

/* Reserves addresses; nothing is touched. -ENOMEM */
int rmt_view_new(size_t size, struct rmt_view *out);
void rmt_view_fini(struct rmt_view *view);
/* A part shows a part of a file. -EOPNOTSUPP: this file cannot be mapped at that offset. -ENOMEM:
 * the process has too many mappings. */
int rmt_view_map(struct rmt_view *view, size_t off, struct rmt_io *io, uint64_t from, size_t len);
/* A part is zeros. -ENOMEM */
int rmt_view_clear(struct rmt_view *view, size_t off, size_t len);
/* Private pages of a part are given up: it shows what it is mapped to. */
int rmt_view_drop(struct rmt_view *view, size_t off, size_t len);
/* Makes all pages of a part private at once, for who will write them. */
int rmt_view_populate(struct rmt_view *view, size_t off, size_t len);

/* A range of pages. Nonzero stops and is returned. */
typedef int (*rmt_view_fn)(void *ctx, size_t off, size_t len);
/*
 * rmt_view_written() - private pages of a part; if any were armed ever, those written since they
 * were armed.
 *
 * @arm  arms what it finds, before fn is called with it. If the kernel cannot, nothing is armed:
 *       rmt_view_exact().
 * Returns 0, what fn returned, or -ENOMEM, -EIO and kin.
 */
int rmt_view_written(struct rmt_view *view, size_t off, size_t len, bool arm, rmt_view_fn fn,
                     void *ctx);
/* All private pages of a part. */
int rmt_view_private(struct rmt_view *view, size_t off, size_t len, rmt_view_fn fn, void *ctx);
/* False: pages that were armed are found as if they were not. */
static inline bool rmt_view_exact(const struct rmt_view *view)
{
    return !view->armed || view->faults >= 0;
}

#endif
