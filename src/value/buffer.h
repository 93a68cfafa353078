/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - bytes with a count of references, and views of them: what strings and arrays are.
 *
 *   struct ramet_buffer | bytes ............................. | room ..... |
 *                            ^ view.data     + view.size ^                 ^ buffer->end
 *
 * Invariants:
 *   B1  a view lies inside its buffer's bytes, or has none: then its bytes are not to be written
 *   B2  bytes are written by the view that holds the one reference, and only up to end
 *   B3  wrapped bytes have no end: no reference may write them
 */
#ifndef RMT_VALUE_BUFFER_H
#define RMT_VALUE_BUFFER_H

#include "base/base.h"

struct rmt_view {
    uint8_t *data;               /* NULL only if there are no bytes */
    struct ramet_buffer *buffer; /* NULL: the bytes are another's */
    size_t size;
};

/* NULL: no memory, or no such size. It has one reference. */
struct ramet_buffer *rmt_buffer_new(size_t capacity);
/* NULL: no memory. For bytes that lie elsewhere. */
struct ramet_buffer *rmt_buffer_wrap(ramet_release_fn release, void *ctx);

static inline void rmt_buffer_ref(struct ramet_buffer *buffer)
{
    if (buffer)
        (void)__atomic_fetch_add(&buffer->refs, 1, __ATOMIC_RELAXED);
}

/* Where the bytes of a buffer begin that is not wrapped. */
static inline uint8_t *rmt_buffer_bytes(struct ramet_buffer *buffer)
{
    return (uint8_t *)(buffer + 1);
}

/* Of a view, whose buffer is exchanged for another where that is needed. Each returns 0, or -ENOMEM
 * (the caller says of what) and the view is as it was. */

/* The view can be written to, and can grow to size bytes in place. */
int rmt_view_own(struct rmt_view *view, size_t size);
/* Bytes may be of the view itself. off + removed <= view->size. */
int rmt_view_splice(struct rmt_view *view, size_t off, size_t removed, const void *bytes,
                    size_t size);

#endif
