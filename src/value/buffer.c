/* SPDX-License-Identifier: MIT */
#include "value/buffer.h"

#include "value/alloc.h"

#define GROW_MIN ((size_t)64)
#define SIZE_LIMIT ((size_t)PTRDIFF_MAX - sizeof(struct ramet_buffer))

struct ramet_buffer *rmt_buffer_new(size_t capacity)
{
    if (capacity > SIZE_LIMIT)
        return NULL;
    struct ramet_buffer *buffer =
        (struct ramet_buffer *)rmt_value_alloc(sizeof(*buffer) + capacity);
    if (!buffer)
        return NULL;
    buffer->refs = 1;
    buffer->end = rmt_buffer_bytes(buffer) + capacity;
    buffer->release = NULL;
    buffer->ctx = NULL;
    return buffer;
}

struct ramet_buffer *rmt_buffer_wrap(ramet_release_fn release, void *ctx)
{
    struct ramet_buffer *buffer = rmt_buffer_new(0);
    if (!buffer)
        return NULL;
    buffer->end = NULL;
    buffer->release = release;
    buffer->ctx = ctx;
    return buffer;
}

void ramet_buffer_free(struct ramet_buffer *buffer)
{
    if (buffer->release)
        buffer->release(buffer->ctx);
    rmt_value_free(buffer);
}

static bool is_own(const struct rmt_view *view)
{
    return view->buffer && view->buffer->end &&
           __atomic_load_n(&view->buffer->refs, __ATOMIC_ACQUIRE) == 1;
}

/* How many bytes the view may have where it is. */
static size_t room_of(const struct rmt_view *view)
{
    return (size_t)(view->buffer->end - view->data);
}

/* Room for size bytes, and more if the view grew to it: n appends move each byte O(1) times. */
static size_t capacity_for(const struct rmt_view *view, size_t size)
{
    if (size <= view->size || size > SIZE_LIMIT / 2)
        return size;
    return rmt_max(size * 2, GROW_MIN);
}

/* Another buffer, with the bytes of the view in which a part is replaced. */
static int rebuild(struct rmt_view *view, size_t capacity, size_t off, size_t removed,
                   const void *bytes, size_t size)
{
    struct ramet_buffer *buffer = rmt_buffer_new(capacity);
    if (!buffer)
        return -ENOMEM;
    uint8_t *to = rmt_buffer_bytes(buffer);
    size_t behind = view->size - off - removed;
    if (off != 0)
        memcpy(to, view->data, off);
    if (size != 0)
        memcpy(to + off, bytes, size);
    if (behind != 0)
        memcpy(to + off + size, view->data + off + removed, behind);
    if (view->buffer && RAMET_UNREF(&view->buffer->refs))
        ramet_buffer_free(view->buffer);
    view->buffer = buffer;
    view->data = to;
    view->size = off + size + behind;
    return 0;
}

/* Of a view that is alone in its buffer. A large one is moved by the kernel, not copied. */
static int grow(struct rmt_view *view, size_t capacity)
{
    if (view->data != rmt_buffer_bytes(view->buffer))
        return rebuild(view, capacity, view->size, 0, NULL, 0);
    if (capacity > SIZE_LIMIT)
        return -ENOMEM;
    struct ramet_buffer *buffer =
        (struct ramet_buffer *)rmt_value_realloc(view->buffer, sizeof(*buffer) + capacity);
    if (!buffer)
        return -ENOMEM;
    buffer->end = rmt_buffer_bytes(buffer) + capacity;
    view->buffer = buffer;
    view->data = rmt_buffer_bytes(buffer);
    return 0;
}

int rmt_view_own(struct rmt_view *view, size_t size)
{
    if (size < view->size)
        size = view->size;
    if (!is_own(view))
        return rebuild(view, size, view->size, 0, NULL, 0);
    return size <= room_of(view) ? 0 : grow(view, size);
}

/* The usual case: it comes to the end. */
static int append(struct rmt_view *view, const void *bytes, size_t size, size_t size_after)
{
    /* Where they are of the view itself, they move with it. */
    uintptr_t at = (uintptr_t)bytes - (uintptr_t)view->data;
    bool of_view = view->data && at < view->size;
    if (!is_own(view))
        return rebuild(view, capacity_for(view, size_after), view->size, 0, bytes, size);
    if (size_after > room_of(view)) {
        if (view->data != rmt_buffer_bytes(view->buffer))
            return rebuild(view, capacity_for(view, size_after), view->size, 0, bytes, size);
        int rc = grow(view, capacity_for(view, size_after));
        if (rc < 0)
            return rc;
    }
    memcpy(view->data + view->size, of_view ? view->data + at : (const uint8_t *)bytes, size);
    view->size = size_after;
    return 0;
}

int rmt_view_splice(struct rmt_view *view, size_t off, size_t removed, const void *bytes,
                    size_t size)
{
    rmt_assert(off <= view->size && removed <= view->size - off);
    size_t size_after;
    if (!rmt_add(view->size - removed, size, &size_after) || size_after > SIZE_LIMIT)
        return -ENOMEM;
    if (size == 0 && off + removed == view->size) {
        view->size = off;
        return 0;
    }
    if (size == 0 && off == 0) {
        view->data += removed;
        view->size -= removed;
        return 0;
    }
    if (off == view->size)
        return append(view, bytes, size, size_after);

    if (size == removed && is_own(view)) {
        memmove(view->data + off, bytes, size);
        return 0;
    }
    bool of_view = size != 0 && (uintptr_t)bytes - (uintptr_t)view->data < view->size;
    if (of_view || !is_own(view) || size_after > room_of(view))
        return rebuild(view, capacity_for(view, size_after), off, removed, bytes, size);
    memmove(view->data + off + size, view->data + off + removed, view->size - off - removed);
    if (size != 0)
        memcpy(view->data + off, bytes, size);
    view->size = size_after;
    return 0;
}
