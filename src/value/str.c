/* SPDX-License-Identifier: MIT */
/* str.c - strings: near, in the variable, or far, a view of a buffer. */
#include "value/buffer.h"

static_assert(sizeof(struct ramet_str) == RAMET_STR_INLINE_MAX + 1, "its size is in the last byte");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the last byte is the highest of a word");

static bool is_far(const struct ramet_str *s)
{
    return (s->word[2] & RAMET_STR_FAR) != 0;
}

/* Of a near string: its bytes, which belong to no buffer. */
static struct rmt_view view_of(struct ramet_str *s)
{
    struct rmt_view view = {(uint8_t *)s->word, NULL, ramet_str_size(s)};
    if (is_far(s)) {
        view.data = (uint8_t *)(uintptr_t)s->word[0];
        view.buffer = (struct ramet_buffer *)(uintptr_t)s->word[1];
    }
    return view;
}

static struct ramet_str far_of(const struct rmt_view *view)
{
    struct ramet_str s = {{(uint64_t)(uintptr_t)view->data, (uint64_t)(uintptr_t)view->buffer,
                           RAMET_STR_FAR | view->size}};
    return s;
}

static struct ramet_str near_of(const void *bytes, size_t size)
{
    struct ramet_str s = {{0}};
    if (size != 0)
        memcpy(s.word, bytes, size);
    s.word[2] |= (uint64_t)size << 56;
    return s;
}

static int no_memory(size_t size)
{
    return rmt_fail(-ENOMEM, "a string of %zu bytes", size);
}

int ramet_str_from(struct ramet_slice bytes, struct ramet_str *out)
{
    if (!out || (!bytes.data && bytes.size != 0))
        return rmt_fail(-EINVAL, "ramet_str_from: no bytes, or no string");
    if (bytes.size <= RAMET_STR_INLINE_MAX) {
        *out = near_of(bytes.data, bytes.size);
        return 0;
    }
    struct rmt_view view = {NULL, NULL, 0};
    if (rmt_view_own(&view, bytes.size) < 0)
        return no_memory(bytes.size);
    memcpy(view.data, bytes.data, bytes.size);
    view.size = bytes.size;
    *out = far_of(&view);
    return 0;
}

int ramet_str_wrap(struct ramet_slice bytes, ramet_release_fn release, void *ctx,
                   struct ramet_str *out)
{
    if (!out || (!bytes.data && bytes.size != 0))
        return rmt_fail(-EINVAL, "ramet_str_wrap: no bytes, or no string");
    struct ramet_buffer *buffer = rmt_buffer_wrap(release, ctx);
    if (!buffer)
        return no_memory(0);
    struct ramet_str s = {
        {(uint64_t)(uintptr_t)bytes.data, (uint64_t)(uintptr_t)buffer, RAMET_STR_FAR | bytes.size}};
    *out = s;
    return 0;
}

struct ramet_str ramet_str_sub(const struct ramet_str *s, size_t off, size_t len)
{
    struct ramet_slice all = ramet_str_slice(s);
    if (off > all.size)
        off = all.size;
    len = rmt_min(len, all.size - off);
    if (len <= RAMET_STR_INLINE_MAX)
        return near_of((const uint8_t *)all.data + off, len);
    struct ramet_str part = ramet_str_copy(s); /* far: it is long */
    part.word[0] += off;
    part.word[2] = RAMET_STR_FAR | len;
    return part;
}

/* Near, before and after. */
static void splice_near(struct ramet_str *s, size_t off, size_t removed, struct ramet_slice bytes)
{
    uint8_t made[sizeof(struct ramet_str)];
    const uint8_t *was = (const uint8_t *)s->word;
    size_t behind = ramet_str_size(s) - off - removed;
    memcpy(made, was, off);
    if (bytes.size != 0)
        memcpy(made + off, bytes.data, bytes.size);
    memcpy(made + off + bytes.size, was + off + removed, behind);
    *s = near_of(made, off + bytes.size + behind);
}

int ramet_str_splice(struct ramet_str *s, size_t off, size_t removed, struct ramet_slice bytes)
{
    if (!s || (!bytes.data && bytes.size != 0))
        return rmt_fail(-EINVAL, "ramet_str_splice: no bytes, or no string");
    size_t size = ramet_str_size(s);
    if (off > size || removed > size - off)
        return rmt_fail(-EINVAL, "%zu bytes from %zu on, of a string of %zu", removed, off, size);
    if (removed == 0 && bytes.size == 0)
        return 0;
    if (!is_far(s) && bytes.size <= RAMET_STR_INLINE_MAX - (size - removed)) {
        splice_near(s, off, removed, bytes);
        return 0;
    }
    struct rmt_view view = view_of(s);
    if (rmt_view_splice(&view, off, removed, bytes.data, bytes.size) < 0)
        return no_memory(size - removed + bytes.size);
    *s = far_of(&view);
    return 0;
}

int ramet_str_append_slowly(struct ramet_str *s, struct ramet_slice bytes)
{
    return ramet_str_splice(s, s ? ramet_str_size(s) : 0, 0, bytes);
}

/* Writable, with room for size bytes. */
static int own(struct ramet_str *s, size_t size)
{
    if (!is_far(s) && size <= RAMET_STR_INLINE_MAX)
        return 0;
    struct rmt_view view = view_of(s);
    if (rmt_view_own(&view, size) < 0)
        return no_memory(size);
    *s = far_of(&view);
    return 0;
}

int ramet_str_edit(struct ramet_str *s, uint8_t **out)
{
    if (!s || !out)
        return rmt_fail(-EINVAL, "ramet_str_edit: no string, or nowhere to put it");
    size_t size = ramet_str_size(s);
    if (size == 0) {
        *out = NULL;
        return 0;
    }
    int rc = own(s, size);
    if (rc < 0)
        return rc;
    *out = is_far(s) ? (uint8_t *)(uintptr_t)s->word[0] : (uint8_t *)s->word;
    return 0;
}

int ramet_str_reserve(struct ramet_str *s, size_t size)
{
    if (!s)
        return rmt_fail(-EINVAL, "ramet_str_reserve: no string");
    return own(s, size);
}

int ramet_str_cmp(const struct ramet_str *a, const struct ramet_str *b)
{
    struct ramet_slice x = ramet_str_slice(a), y = ramet_str_slice(b);
    if (x.data == y.data)
        return (x.size > y.size) - (x.size < y.size);
    return rmt_slice_cmp(x, y);
}
