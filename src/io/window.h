/* SPDX-License-Identifier: MIT */
/*
 * window.h - private memory over parts of a file, and which of its pages the program has written.
 *
 * A window is a reserved range of addresses. Parts of it show a file (ops->view), and every process
 * that has them in a window shares the kernel's one copy; the rest is zeros. Whoever writes gets a
 * page of their own from the kernel (MAP_PRIVATE). A page that is the program's own is *private*.
 * A private page can be armed: then it is known whether it was written since (userfaultfd's
 * asynchronous write protection, and PAGEMAP_SCAN, Linux 6.7). Where the kernel has no such thing,
 * or does not go on with it, all that is known is which pages are private.
 *
 * A child process does not get the window. Offsets and lengths are bytes, multiples of 4096.
 *
 * Threads: one at a time, while others read and write the memory.
 */
#ifndef RMT_WINDOW_H
#define RMT_WINDOW_H

#include "io/io.h"

struct rmt_window {
    uint8_t *base;
    size_t size;
    int pagemap; /* descriptor; -1: not yet */
    int faults;  /* descriptor of the userfaultfd; -1: not yet, or none to be had */
    bool coarse; /* without a scan, what was only read of zeros looks like the program's own */
    bool armed;  /* it was asked for: what was armed is told apart, if there is one */
};

/* Reserves addresses; nothing is touched. -ENOMEM */
int rmt_window_new(size_t size, struct rmt_window *out);
void rmt_window_fini(struct rmt_window *window);
/* A part shows a part of a file. When all is mapped: rmt_window_settle(). -EOPNOTSUPP: this file
 * cannot be mapped at that offset. -ENOMEM: the process has too many mappings. */
int rmt_window_map(struct rmt_window *window, size_t off, struct rmt_io *io, uint64_t from,
                   size_t len);
/* What was mapped since is not handed to children, and can be armed. */
int rmt_window_settle(struct rmt_window *window);
/* A part is zeros. -ENOMEM */
int rmt_window_clear(struct rmt_window *window, size_t off, size_t len);
/* Private pages of a part are given up: it shows what it is mapped to. */
int rmt_window_drop(struct rmt_window *window, size_t off, size_t len);
/* Makes all pages of a part private at once, for who will write them. */
int rmt_window_populate(struct rmt_window *window, size_t off, size_t len);

/* How many mappings of the process lie in it. -EIO and kin */
int rmt_window_mappings(const struct rmt_window *window, uint32_t *out);

/* A range of pages. Nonzero stops and is returned. */
typedef int (*rmt_window_fn)(void *ctx, size_t off, size_t len);
/*
 * rmt_window_written() - private pages of a part; if any were armed ever, those written since they
 * were armed.
 *
 * @arm  arms what it finds, before fn is called with it. If the kernel cannot, nothing is armed:
 *       rmt_window_exact(). If it is that which turns out, fn is called with all that is private,
 *       and was perhaps called with parts of it before.
 * Returns 0, what fn returned, or -ENOMEM, -EIO and kin.
 */
int rmt_window_written(struct rmt_window *window, size_t off, size_t len, bool arm,
                       rmt_window_fn fn, void *ctx);
/* All private pages of a part. */
int rmt_window_private(struct rmt_window *window, size_t off, size_t len, rmt_window_fn fn,
                       void *ctx);
/* False: pages that were armed are found as if they were not. */
static inline bool rmt_window_exact(const struct rmt_window *window)
{
    return !window->coarse && (!window->armed || window->faults >= 0);
}

#endif
