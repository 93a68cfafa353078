/* SPDX-License-Identifier: MIT */
/* vec.c - arrays in a row: views of a buffer, counted in elements. */
#include "value/buffer.h"

static struct rmt_view view_of(const struct ramet_vec *vec)
{
    struct rmt_view view = {(uint8_t *)vec->data, vec->buffer, vec->count * vec->elem_size};
    return view;
}

static void set_view(struct ramet_vec *vec, const struct rmt_view *view)
{
    vec->data = view->data;
    vec->buffer = view->buffer;
    vec->count = view->size / vec->elem_size;
}

static int no_memory(const struct ramet_vec *vec, size_t count)
{
    return rmt_fail(-ENOMEM, "an array of %zu elements of %zu bytes", count, vec->elem_size);
}

static int no_size(void)
{
    return rmt_fail(-EINVAL, "no array, no elements, or elements of 0 bytes");
}

int ramet_vec_from(size_t elem_size, const void *elems, size_t count, struct ramet_vec *out)
{
    struct ramet_vec vec = {NULL, NULL, 0, elem_size};
    if (!out)
        return no_size();
    int rc = ramet_vec_splice(&vec, 0, 0, elems, count);
    if (rc < 0)
        return rc;
    *out = vec;
    return 0;
}

int ramet_vec_wrap(size_t elem_size, const void *elems, size_t count, ramet_release_fn release,
                   void *ctx, struct ramet_vec *out)
{
    size_t size;
    if (!out || elem_size == 0 || (!elems && count != 0))
        return no_size();
    struct ramet_vec vec = {(void *)(uintptr_t)elems, NULL, count, elem_size};
    if (!rmt_mul(count, elem_size, &size) || size > PTRDIFF_MAX)
        return no_memory(&vec, count);
    vec.buffer = rmt_buffer_wrap(release, ctx);
    if (!vec.buffer)
        return no_memory(&vec, count);
    *out = vec;
    return 0;
}

struct ramet_vec ramet_vec_sub(const struct ramet_vec *vec, size_t off, size_t len)
{
    struct ramet_vec part = {NULL, NULL, 0, vec->elem_size};
    if (off >= vec->count || len == 0)
        return part;
    part = ramet_vec_copy(vec);
    part.data = (uint8_t *)part.data + off * part.elem_size;
    part.count = rmt_min(len, vec->count - off);
    return part;
}

int ramet_vec_splice(struct ramet_vec *vec, size_t at, size_t removed, const void *elems,
                     size_t count)
{
    if (!vec || vec->elem_size == 0 || (!elems && count != 0))
        return no_size();
    if (at > vec->count || removed > vec->count - at)
        return rmt_fail(-EINVAL, "%zu elements from %zu on, of an array of %zu", removed, at,
                        vec->count);
    if (removed == 0 && count == 0)
        return 0;
    struct rmt_view view = view_of(vec);
    size_t es = vec->elem_size, size;
    if (!rmt_mul(count, es, &size) ||
        rmt_view_splice(&view, at * es, removed * es, elems, size) < 0)
        return no_memory(vec, count);
    set_view(vec, &view);
    return 0;
}

int ramet_vec_append(struct ramet_vec *vec, const void *elems, size_t count)
{
    return ramet_vec_splice(vec, vec ? vec->count : 0, 0, elems, count);
}

int ramet_vec_push_slowly(struct ramet_vec *vec, const void *elem)
{
    return ramet_vec_append(vec, elem, 1);
}

int ramet_vec_edit(struct ramet_vec *vec, void **out)
{
    if (!vec || !out || vec->elem_size == 0)
        return no_size();
    if (vec->count == 0) {
        *out = NULL;
        return 0;
    }
    struct rmt_view view = view_of(vec);
    if (rmt_view_own(&view, view.size) < 0)
        return no_memory(vec, vec->count);
    set_view(vec, &view);
    *out = vec->data;
    return 0;
}

int ramet_vec_set(struct ramet_vec *vec, size_t i, const void *elem)
{
    if (vec && i >= vec->count)
        return rmt_fail(-EINVAL, "element %zu of an array of %zu", i, vec->count);
    return ramet_vec_splice(vec, i, 1, elem, 1);
}

int ramet_vec_reserve(struct ramet_vec *vec, size_t count)
{
    size_t size;
    if (!vec || vec->elem_size == 0)
        return no_size();
    struct rmt_view view = view_of(vec);
    if (!rmt_mul(count, vec->elem_size, &size) || rmt_view_own(&view, size) < 0)
        return no_memory(vec, count);
    set_view(vec, &view);
    return 0;
}
