/* SPDX-License-Identifier: MIT */
/* seq.c - the public calls of large arrays. */
#include "value/seq.h"

#include "value/alloc.h"

static int no_memory(uint64_t count, size_t elem_size)
{
    return rmt_fail(-ENOMEM, "an array of %llu elements of %zu bytes", (unsigned long long)count,
                    elem_size);
}

static uint64_t count_of(const struct ramet_seq_body *body)
{
    return body ? body->tree.size + body->tail_count : 0;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static struct ramet_seq_body *body_new(size_t elem_size)
{
    struct ramet_seq_body *body = (struct ramet_seq_body *)rmt_value_alloc(sizeof(*body));
    if (!body)
        return NULL;
    memset(body, 0, sizeof(*body));
    body->refs = 1;
    body->is_full = true;
    body->shape.elem_size = elem_size;
    while ((elem_size << (body->shape.leaf_shift + 1)) <= RMT_SEQ_LEAF_BYTES)
        body->shape.leaf_shift++;
    body->tail_max = rmt_seq_leaf_max(&body->shape);
    body->leaf_mask = body->tail_max - 1;
    body->up_shift = 64 - body->shape.leaf_shift;
    return body;
}

static void leaf_unref(struct rmt_seq_leaf *leaf)
{
    struct rmt_seq_tree tree = {leaf, 0, 0};
    rmt_seq_unref(tree);
}

void ramet_seq_free(struct ramet_seq_body *body)
{
    rmt_seq_unref(body->tree);
    leaf_unref(body->tail);
    rmt_value_free(body);
}

static void body_unref(struct ramet_seq_body *body)
{
    if (body && RAMET_UNREF(&body->refs))
        ramet_seq_free(body);
}

static int own_body(struct ramet_seq *seq)
{
    struct ramet_seq_body *was = seq->body;
    if (was && rmt_seq_is_own(was))
        return 0;
    struct ramet_seq_body *body = body_new(seq->elem_size);
    if (!body)
        return -ENOMEM;
    if (was) {
        body->tree = was->tree;
        body->tail = was->tail;
        body->tail_count = was->tail_count;
        body->is_full = was->is_full;
        if (body->tree.node)
            rmt_seq_ref(body->tree.node);
        if (body->tail)
            rmt_seq_ref(body->tail);
        body_unref(was);
    }
    seq->body = body;
    return 0;
}

/* body is taken. */
static void exchange(struct ramet_seq *seq, struct ramet_seq_body *body)
{
    body_unref(seq->body);
    seq->body = body;
}

/* In a full array, the child on the way to element i, in a node whose children have shift digits.
 */
static inline uint32_t digit(uint64_t i, uint32_t shift)
{
    return (uint32_t)(i >> shift) & (RMT_SEQ_FAN - 1);
}

static inline uint32_t top_shift(const struct ramet_seq_body *body)
{
    return body->shape.leaf_shift + RMT_SEQ_FAN_SHIFT * body->tree.height;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Where element i is, and how many lie there from it on. i < count. */
static uint8_t *find(const struct ramet_seq_body *body, uint64_t i, size_t *out_run)
{
    const struct rmt_seq_shape *shape = &body->shape;
    struct rmt_seq_leaf *leaf = body->tail;
    uint64_t size = body->tail_count;
    if (i >= body->tree.size) {
        i -= body->tree.size;
    } else if (body->is_full) {
        const void *node = body->tree.node;
        for (uint32_t shift = top_shift(body); shift > shape->leaf_shift;) {
            shift -= RMT_SEQ_FAN_SHIFT;
            node = ((const struct rmt_seq_node *)node)->children[digit(i, shift)];
        }
        size = rmt_seq_leaf_max(shape);
        i &= size - 1;
        leaf = (struct rmt_seq_leaf *)(uintptr_t)node;
    } else {
        void *node = body->tree.node;
        size = body->tree.size;
        for (uint32_t h = body->tree.height; h > 0; h--) {
            const struct rmt_seq_node *n = (const struct rmt_seq_node *)node;
            uint32_t k = rmt_seq_child(shape, n, &i);
            size = rmt_seq_child_size(n, k);
            node = n->children[k];
        }
        leaf = (struct rmt_seq_leaf *)node;
    }
    *out_run = (size_t)(size - i);
    return leaf->bytes + i * shape->elem_size;
}

uint64_t ramet_seq_count(const struct ramet_seq *seq)
{
    return count_of(seq->body);
}

const void *ramet_seq_at_slowly(const struct ramet_seq *seq, uint64_t i)
{
    size_t run;
    return i < count_of(seq->body) ? find(seq->body, i, &run) : NULL;
}

const void *ramet_seq_run(const struct ramet_seq *seq, uint64_t i, size_t *out_count)
{
    return i < count_of(seq->body) ? find(seq->body, i, out_count) : NULL;
}

struct walk {
    const struct rmt_seq_shape *shape;
    ramet_piece_fn fn;
    void *ctx;
    uint64_t off; /* bytes handed out, of the whole array */
};

/* Elements from .. to of a tree. */
static int walk(struct walk *w, struct rmt_seq_tree tree, uint64_t from, uint64_t to)
{
    size_t es = w->shape->elem_size;
    if (tree.height == 0) {
        const struct rmt_seq_leaf *leaf = (const struct rmt_seq_leaf *)tree.node;
        uint64_t off = w->off;
        w->off += (to - from) * es;
        return w->fn(w->ctx, off, rmt_slice(leaf->bytes + from * es, (size_t)(to - from) * es));
    }
    const struct rmt_seq_node *node = (const struct rmt_seq_node *)tree.node;
    uint64_t in = from;
    uint32_t k = rmt_seq_child(w->shape, node, &in);
    uint64_t start = from - in;
    for (; start < to; k++) {
        uint64_t end = node->ends[k];
        /* Its first lines are under way while this chunk is gone through; where a row of them
         * began, the processor goes on by itself. */
        if (k + 1 < node->nr)
            for (size_t line = 0; line < 256; line += 64)
                __builtin_prefetch((const uint8_t *)node->children[k + 1] + line);
        int rc = walk(w, rmt_seq_child_tree(node, k), in, rmt_min(end, to) - start);
        if (rc != 0)
            return rc;
        in = 0;
        start = end;
    }
    return 0;
}

int ramet_seq_pieces(const struct ramet_seq *seq, uint64_t from, uint64_t count, ramet_piece_fn fn,
                     void *ctx)
{
    if (!seq || !fn)
        return rmt_fail(-EINVAL, "ramet_seq_pieces: no array, or no function");
    const struct ramet_seq_body *body = seq->body;
    uint64_t all = count_of(body);
    if (from >= all || count == 0)
        return 0;
    uint64_t to = from + rmt_min(count, all - from), size = body->tree.size;
    struct walk w = {&body->shape, fn, ctx, from * body->shape.elem_size};
    int rc = from < size ? walk(&w, body->tree, from, rmt_min(to, size)) : 0;
    if (rc != 0 || to <= size)
        return rc;
    struct rmt_seq_tree tail = {body->tail, body->tail_count, 0};
    return walk(&w, tail, from < size ? 0 : from - size, to - size);
}

/* ---- at the end ------------------------------------------------------------------------------ */

/* The tail is of this array alone, and has room; a full one went into the tree. */
static int open_tail(struct ramet_seq *seq)
{
    if (own_body(seq) < 0)
        return -ENOMEM;
    struct ramet_seq_body *body = seq->body;
    const struct rmt_seq_shape *shape = &body->shape;
    if (body->tail && body->tail_count < rmt_seq_leaf_max(shape))
        return rmt_seq_own_leaf(shape, &body->tail, body->tail_count);
    struct rmt_seq_leaf *leaf = rmt_seq_leaf_new(shape);
    if (!leaf)
        return -ENOMEM;
    if (body->tail && rmt_seq_push_leaf(shape, &body->tree, body->tail, body->tail_count) < 0) {
        leaf_unref(leaf);
        return -ENOMEM;
    }
    body->tail = leaf;
    body->tail_count = 0;
    return 0;
}

static int may_have(const struct ramet_seq *seq, uint64_t more)
{
    uint64_t count = count_of(seq->body);
    if (seq->elem_size == 0 || seq->elem_size > RAMET_SEQ_ELEM_MAX)
        return rmt_fail(-EINVAL, "an array of elements of %zu bytes: 1 to %u can be",
                        seq->elem_size, RAMET_SEQ_ELEM_MAX);
    if (more > RMT_SEQ_COUNT_MAX - count)
        return rmt_fail(-ENOMEM, "%llu more elements in an array of %llu: it can have 2^40",
                        (unsigned long long)more, (unsigned long long)count);
    return 0;
}

int ramet_seq_push_slowly(struct ramet_seq *seq, const void *elem)
{
    if (!seq || !elem)
        return rmt_fail(-EINVAL, "ramet_seq_push: no array, or no element");
    int rc = may_have(seq, 1);
    if (rc < 0)
        return rc;
    if (open_tail(seq) < 0)
        return no_memory(count_of(seq->body) + 1, seq->elem_size);
    struct ramet_seq_body *body = seq->body;
    memcpy(body->tail->bytes + body->tail_count * seq->elem_size, elem, seq->elem_size);
    body->tail_count++;
    return 0;
}

/* No more than a leaf has, and not of the array itself. All of them, or none. */
static int append_few(struct ramet_seq *seq, const uint8_t *elems, size_t count)
{
    if (open_tail(seq) < 0)
        return -ENOMEM;
    struct ramet_seq_body *body = seq->body;
    const struct rmt_seq_shape *shape = &body->shape;
    size_t es = shape->elem_size, max = rmt_seq_leaf_max(shape);
    size_t here = rmt_min(count, max - body->tail_count);
    struct rmt_seq_leaf *next = NULL;
    if (here < count) {
        next = rmt_seq_leaf_new(shape);
        if (!next)
            return -ENOMEM;
    }
    /* Past its end: nobody sees these before they are counted. */
    memcpy(body->tail->bytes + body->tail_count * es, elems, here * es);
    if (!next) {
        body->tail_count += here;
        return 0;
    }
    if (rmt_seq_push_leaf(shape, &body->tree, body->tail, max) < 0) {
        leaf_unref(next);
        return -ENOMEM;
    }
    memcpy(next->bytes, elems + here * es, (count - here) * es);
    body->tail = next;
    body->tail_count = count - here;
    return 0;
}

/* Into an empty array, which is to be ended on failure. */
static int fill(struct ramet_seq *seq, const uint8_t *elems, uint64_t count)
{
    while (count != 0) {
        if (open_tail(seq) < 0)
            return -ENOMEM;
        struct ramet_seq_body *body = seq->body;
        size_t n = (size_t)rmt_min(count, rmt_seq_leaf_max(&body->shape) - body->tail_count);
        memcpy(body->tail->bytes + body->tail_count * seq->elem_size, elems, n * seq->elem_size);
        body->tail_count += n;
        elems += n * seq->elem_size;
        count -= n;
    }
    return 0;
}

int ramet_seq_from(size_t elem_size, const void *elems, uint64_t count, struct ramet_seq *out)
{
    if (!out || (!elems && count != 0))
        return rmt_fail(-EINVAL, "ramet_seq_from: no elements, or no array");
    struct ramet_seq made = {NULL, elem_size};
    int rc = may_have(&made, count);
    if (rc < 0)
        return rc;
    if (fill(&made, (const uint8_t *)elems, count) < 0) {
        ramet_seq_fini(&made);
        return no_memory(count, elem_size);
    }
    *out = made;
    return 0;
}

/* The body that has the elements of a, and then those of b; both have some. */
static int join_bodies(const struct ramet_seq_body *a, const struct ramet_seq_body *b,
                       struct ramet_seq_body **out)
{
    struct rmt_seq_tree tail = {a->tail, a->tail_count, 0}, front, both;
    struct ramet_seq_body *body = body_new(a->shape.elem_size);
    if (!body)
        return -ENOMEM;
    int rc = rmt_seq_join(&a->shape, a->tree, tail, &front);
    if (rc == 0) {
        rc = rmt_seq_join(&a->shape, front, b->tree, &both);
        rmt_seq_unref(front);
    }
    if (rc < 0) {
        body_unref(body);
        return rc;
    }
    body->tree = both;
    body->tail = b->tail;
    body->tail_count = b->tail_count;
    body->is_full = false;
    rmt_seq_ref(body->tail);
    *out = body;
    return 0;
}

int ramet_seq_concat(struct ramet_seq *seq, const struct ramet_seq *other)
{
    if (!seq || !other || seq->elem_size != other->elem_size)
        return rmt_fail(-EINVAL, "ramet_seq_concat: no array, or elements of another size");
    uint64_t more = count_of(other->body);
    if (more == 0)
        return 0;
    int rc = may_have(seq, more);
    if (rc < 0)
        return rc;
    if (count_of(seq->body) == 0) {
        struct ramet_seq copy = ramet_seq_copy(other);
        exchange(seq, copy.body);
        return 0;
    }
    if (!other->body->tree.node && other->body != seq->body) {
        rc = append_few(seq, other->body->tail->bytes, other->body->tail_count);
    } else {
        struct ramet_seq_body *both;
        rc = join_bodies(seq->body, other->body, &both);
        if (rc == 0)
            exchange(seq, both);
    }
    return rc < 0 ? no_memory(count_of(seq->body) + more, seq->elem_size) : 0;
}

int ramet_seq_append(struct ramet_seq *seq, const void *elems, uint64_t count)
{
    if (!seq || (!elems && count != 0))
        return rmt_fail(-EINVAL, "ramet_seq_append: no elements, or no array");
    int rc = may_have(seq, count);
    if (rc < 0 || count == 0)
        return rc;
    if (count * seq->elem_size <= RMT_SEQ_LEAF_BYTES / 2) {
        if (append_few(seq, (const uint8_t *)elems, (size_t)count) < 0)
            return no_memory(count_of(seq->body) + count, seq->elem_size);
        return 0;
    }
    struct ramet_seq more;
    rc = ramet_seq_from(seq->elem_size, elems, count, &more);
    if (rc < 0)
        return rc;
    rc = ramet_seq_concat(seq, &more);
    ramet_seq_fini(&more);
    return rc;
}

/* ---- anywhere -------------------------------------------------------------------------------- */

/* Where element i is, and nobody else sees it; i < count. */
static int edit(struct ramet_seq *seq, uint64_t i, uint8_t **out, size_t *out_run)
{
    if (own_body(seq) < 0)
        return -ENOMEM;
    struct ramet_seq_body *body = seq->body;
    const struct rmt_seq_shape *shape = &body->shape;
    if (i >= body->tree.size) {
        i -= body->tree.size;
        if (rmt_seq_own_leaf(shape, &body->tail, body->tail_count) < 0)
            return -ENOMEM;
        *out = body->tail->bytes + i * shape->elem_size;
        *out_run = (size_t)(body->tail_count - i);
        return 0;
    }

    struct rmt_seq_node *above = NULL;
    void **slot = &body->tree.node;
    uint64_t size = body->tree.size;
    uint32_t k = 0, shift = top_shift(body);
    for (uint32_t h = body->tree.height;; h--) {
        if (!above || !rmt_seq_is_mine(above, k)) {
            int rc = h > 0 ? rmt_seq_own_node((struct rmt_seq_node **)slot)
                           : rmt_seq_own_leaf(shape, (struct rmt_seq_leaf **)slot, (size_t)size);
            if (rc < 0)
                return rc;
            if (above)
                rmt_seq_set_mine(above, k);
        }
        if (h == 0)
            break;
        above = (struct rmt_seq_node *)*slot;
        if (body->is_full) {
            shift -= RMT_SEQ_FAN_SHIFT;
            k = digit(i, shift);
            size = rmt_seq_leaf_max(shape); /* of a leaf; of a node it is not asked for */
        } else {
            k = rmt_seq_child(shape, above, &i);
            size = rmt_seq_child_size(above, k);
        }
        slot = &above->children[k];
    }
    if (body->is_full && body->tree.height > 0)
        i &= size - 1;
    struct rmt_seq_leaf *leaf = (struct rmt_seq_leaf *)*slot;
    *out = leaf->bytes + i * shape->elem_size;
    *out_run = (size_t)(size - i);
    return 0;
}

static int out_of_range(uint64_t i, uint64_t count)
{
    return rmt_fail(-EINVAL, "element %llu of an array of %llu", (unsigned long long)i,
                    (unsigned long long)count);
}

int ramet_seq_edit(struct ramet_seq *seq, uint64_t i, void **out, size_t *out_count)
{
    uint64_t count = count_of(seq->body);
    uint8_t *at;
    if (i >= count)
        return out_of_range(i, count);
    if (edit(seq, i, &at, out_count) < 0)
        return no_memory(count, seq->elem_size);
    *out = at;
    return 0;
}

int ramet_seq_set_slowly(struct ramet_seq *seq, uint64_t i, const void *elem)
{
    uint64_t count = count_of(seq->body);
    uint8_t *at;
    size_t run;
    if (i >= count)
        return out_of_range(i, count);
    if (edit(seq, i, &at, &run) < 0)
        return no_memory(count, seq->elem_size);
    memcpy(at, elem, seq->elem_size);
    return 0;
}

/* Elements that lie in a row, in a leaf of an array that was made for them. */
static int sub_few(const struct ramet_seq_body *body, uint64_t off, uint64_t len,
                   struct ramet_seq *out)
{
    struct ramet_seq made = {NULL, body->shape.elem_size};
    while (len != 0) {
        size_t run;
        const uint8_t *at = find(body, off, &run);
        run = rmt_min(run, len);
        if (fill(&made, at, run) < 0) {
            ramet_seq_fini(&made);
            return -ENOMEM;
        }
        off += run;
        len -= run;
    }
    *out = made;
    return 0;
}

static int sub(const struct ramet_seq *seq, uint64_t off, uint64_t len, struct ramet_seq *out)
{
    const struct ramet_seq_body *was = seq->body;
    if (len == 0 || len == count_of(was)) {
        struct ramet_seq none = {NULL, seq->elem_size};
        *out = len == 0 ? none : ramet_seq_copy(seq);
        return 0;
    }
    if (len <= rmt_seq_leaf_max(&was->shape))
        return sub_few(was, off, len, out);

    struct ramet_seq_body *body = body_new(seq->elem_size);
    if (!body)
        return -ENOMEM;
    uint64_t end = off + len;
    body->is_full = was->is_full && off == 0;
    int rc = 0;
    if (end > was->tree.size) {
        body->tree = was->tree;
        body->tail = was->tail;
        body->tail_count = (size_t)(end - was->tree.size);
        rmt_seq_ref(body->tree.node);
        rmt_seq_ref(body->tail);
    } else {
        rc = rmt_seq_cut_right(&was->shape, was->tree, end, &body->tree, &body->tail,
                               &body->tail_count);
    }
    if (rc == 0 && off != 0) {
        struct rmt_seq_tree tree;
        rc = rmt_seq_cut_left(&was->shape, body->tree, off, &tree);
        if (rc == 0) {
            rmt_seq_unref(body->tree);
            body->tree = tree;
        }
    }
    if (rc < 0) {
        body_unref(body);
        return rc;
    }
    out->body = body;
    out->elem_size = seq->elem_size;
    return 0;
}

int ramet_seq_sub(const struct ramet_seq *seq, uint64_t off, uint64_t len, struct ramet_seq *out)
{
    if (!seq || !out)
        return rmt_fail(-EINVAL, "ramet_seq_sub: no array, or nowhere to put it");
    uint64_t count = count_of(seq->body);
    off = rmt_min(off, count);
    len = rmt_min(len, count - off);
    return sub(seq, off, len, out) < 0 ? no_memory(len, seq->elem_size) : 0;
}

/* In a leaf: replaces removed elements at i, of size, by count. */
static void splice_leaf(const struct rmt_seq_shape *shape, uint8_t *at, size_t behind,
                        size_t removed, const void *elems, size_t count)
{
    size_t es = shape->elem_size;
    memmove(at + count * es, at + removed * es, behind * es);
    if (count != 0)
        memcpy(at, elems, count * es);
}

/* 1: done, in the one leaf that it is about. 0: it is about more than that. */
static int splice_locally(struct ramet_seq *seq, uint64_t at, uint64_t removed, const void *elems,
                          uint64_t count)
{
    const struct ramet_seq_body *was = seq->body;
    if (!was || at == count_of(was))
        return 0;
    const struct rmt_seq_shape *shape = &was->shape;
    size_t max = rmt_seq_leaf_max(shape), run;
    bool in_tail = at >= was->tree.size;
    /* How far the leaf goes from there on, and how far before. */
    (void)find(was, at, &run);
    if (removed > run || count > max)
        return 0;
    uint64_t i = at, size = was->tail_count;
    if (in_tail) {
        i -= was->tree.size;
    } else {
        struct rmt_seq_tree tree = was->tree;
        while (tree.height > 0) {
            const struct rmt_seq_node *node = (const struct rmt_seq_node *)tree.node;
            tree = rmt_seq_child_tree(node, rmt_seq_child(shape, node, &i));
        }
        size = tree.size;
    }
    uint64_t after = size - removed + count;
    if (after > max || after == 0 || (!in_tail && after < max / 2))
        return 0;

    uint8_t *to;
    if (edit(seq, at, &to, &run) < 0)
        return -ENOMEM;
    struct ramet_seq_body *body = seq->body;
    splice_leaf(&body->shape, to, run - (size_t)removed, (size_t)removed, elems, (size_t)count);
    if (in_tail) {
        body->tail_count = (size_t)after;
        return 1;
    }
    struct rmt_seq_tree tree = body->tree;
    i = at;
    while (tree.height > 0) {
        struct rmt_seq_node *node = (struct rmt_seq_node *)tree.node;
        uint32_t k = rmt_seq_child(&body->shape, node, &i);
        tree = rmt_seq_child_tree(node, k);
        for (; k < node->nr; k++)
            node->ends[k] += count - removed;
    }
    body->tree.size += count - removed;
    body->is_full = body->is_full && count == removed;
    return 1;
}

/* What is before, what comes, what is behind. */
static int splice(struct ramet_seq *seq, uint64_t at, uint64_t removed, const void *elems,
                  uint64_t count)
{
    struct ramet_seq made, behind;
    uint64_t from = at + removed;
    int rc = ramet_seq_sub(seq, 0, at, &made);
    if (rc < 0)
        return rc;
    rc = ramet_seq_append(&made, elems, count);
    if (rc == 0)
        rc = ramet_seq_sub(seq, from, count_of(seq->body) - from, &behind);
    if (rc == 0) {
        rc = ramet_seq_concat(&made, &behind);
        ramet_seq_fini(&behind);
    }
    if (rc < 0) {
        ramet_seq_fini(&made);
        return rc;
    }
    exchange(seq, made.body);
    return 0;
}

int ramet_seq_splice(struct ramet_seq *seq, uint64_t at, uint64_t removed, const void *elems,
                     uint64_t count)
{
    if (!seq || (!elems && count != 0))
        return rmt_fail(-EINVAL, "ramet_seq_splice: no elements, or no array");
    uint64_t all = count_of(seq->body);
    if (at > all || removed > all - at)
        return rmt_fail(-EINVAL, "%llu elements from %llu on, of an array of %llu",
                        (unsigned long long)removed, (unsigned long long)at,
                        (unsigned long long)all);
    int rc = may_have(seq, count);
    if (rc < 0 || (count == 0 && removed == 0))
        return rc;
    if (at == all)
        return ramet_seq_append(seq, elems, count);
    rc = splice_locally(seq, at, removed, elems, count);
    if (rc < 0)
        return no_memory(all - removed + count, seq->elem_size);
    return rc == 1 ? 0 : splice(seq, at, removed, elems, count);
}
