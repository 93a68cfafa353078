/* SPDX-License-Identifier: MIT */
/*
 * value-fuzz.c - any bytes as a program over strings and arrays, beside flat ones that share
 * nothing.
 *
 *   byte 0   bytes of an element of the large arrays
 *   then     6 bytes a step: operation, variable, other variable, where, how many, how many
 *
 * After each step the variables that it named have what their models have; in the end all do.
 */
#include <stdlib.h>

#include "value/buffer.h"
#include "value/seq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VARS 4
#define STEP 6
#define STEPS_MAX 400
#define BYTES_MAX ((size_t)1 << 17)

enum kind { STR, VEC, SEQ, KINDS };
enum what { COPY, PART, PUSH, APPEND, SPLICE, SET, EDIT, CONCAT, RESERVE, END, WHATS };

struct var {
    union {
        struct ramet_str str;
        struct ramet_vec vec;
        struct ramet_seq seq;
    } is;
    uint8_t *model;
    size_t count; /* of elements */
};

static const uint16_t elem_sizes[] = {8, 1, 3, 90, 200, 511, 1024, 4};

static struct var vars[KINDS][VARS];
static size_t elem_size[KINDS];
static uint8_t source[BYTES_MAX];

/* ---- models ---------------------------------------------------------------------------------- */

static void model_splice(struct var *v, size_t es, size_t at, size_t removed, const uint8_t *elems,
                         size_t count)
{
    size_t behind = v->count - at - removed;
    memmove(v->model + (at + count) * es, v->model + (at + removed) * es, behind * es);
    memcpy(v->model + at * es, elems, count * es);
    v->count = at + count + behind;
}

static void model_copy(struct var *to, const struct var *from, size_t es, size_t off, size_t count)
{
    memmove(to->model, from->model + off * es, count * es);
    to->count = count;
}

struct look {
    const struct var *v;
    uint64_t next;
};

static int look(void *ctx, uint64_t off, struct ramet_slice piece)
{
    struct look *l = (struct look *)ctx;
    rmt_assert(off == l->next && piece.size != 0);
    rmt_assert(off + piece.size <= l->v->count * elem_size[SEQ]);
    rmt_assert(memcmp(piece.data, l->v->model + off, piece.size) == 0);
    l->next += piece.size;
    return 0;
}

static void check(enum kind kind, const struct var *v)
{
    size_t size = v->count * elem_size[kind];
    if (kind == STR) {
        struct ramet_slice s = ramet_str_slice(&v->is.str);
        rmt_assert(s.size == size && (size == 0 || memcmp(s.data, v->model, size) == 0));
    } else if (kind == VEC) {
        rmt_assert(ramet_vec_count(&v->is.vec) == v->count);
        rmt_assert(size == 0 || memcmp(ramet_vec_data(&v->is.vec), v->model, size) == 0);
    } else {
        const struct ramet_seq_body *body = v->is.seq.body;
        struct look l = {v, 0};
        rmt_assert(ramet_seq_count(&v->is.seq) == v->count);
        rmt_assert(!body || rmt_seq_valid(&body->shape, body->tree));
        rmt_assert(ramet_seq_pieces(&v->is.seq, 0, UINT64_MAX, look, &l) == 0 && l.next == size);
        for (size_t i = 0; i < v->count; i += v->count / 16 + 1)
            rmt_assert(memcmp(ramet_seq_at(&v->is.seq, i), v->model + i * elem_size[SEQ],
                              elem_size[SEQ]) == 0);
        rmt_assert(ramet_seq_at(&v->is.seq, v->count) == NULL);
    }
}

/* ---- what all three can do ------------------------------------------------------------------- */

static void end(enum kind kind, struct var *v)
{
    if (kind == STR)
        ramet_str_fini(&v->is.str);
    else if (kind == VEC)
        ramet_vec_fini(&v->is.vec);
    else
        ramet_seq_fini(&v->is.seq);
    v->count = 0;
}

static void copy(enum kind kind, struct var *to, const struct var *from)
{
    struct var made = *to;
    if (kind == STR)
        made.is.str = ramet_str_copy(&from->is.str);
    else if (kind == VEC)
        made.is.vec = ramet_vec_copy(&from->is.vec);
    else
        made.is.seq = ramet_seq_copy(&from->is.seq);
    struct var whole = *from; /* its model stays, if not its value */
    end(kind, to);
    to->is = made.is;
    model_copy(to, &whole, elem_size[kind], 0, whole.count);
}

static void part(enum kind kind, struct var *to, const struct var *from, size_t off, size_t len)
{
    struct var made = *to;
    if (kind == STR)
        made.is.str = ramet_str_sub(&from->is.str, off, len);
    else if (kind == VEC)
        made.is.vec = ramet_vec_sub(&from->is.vec, off, len);
    else
        rmt_assert(ramet_seq_sub(&from->is.seq, off, len, &made.is.seq) == 0);
    size_t count = from->count;
    off = rmt_min(off, count);
    len = rmt_min(len, count - off);
    struct var whole = *from;
    end(kind, to);
    to->is = made.is;
    model_copy(to, &whole, elem_size[kind], off, len);
}

static int splice(enum kind kind, struct var *v, size_t at, size_t removed, const uint8_t *elems,
                  size_t count)
{
    if (kind == STR)
        return ramet_str_splice(&v->is.str, at, removed, rmt_slice(elems, count));
    if (kind == VEC)
        return ramet_vec_splice(&v->is.vec, at, removed, elems, count);
    return ramet_seq_splice(&v->is.seq, at, removed, elems, count);
}

static int append(enum kind kind, struct var *v, const uint8_t *elems, size_t count)
{
    if (kind == STR)
        return ramet_str_append(&v->is.str, rmt_slice(elems, count));
    if (kind == VEC)
        return ramet_vec_append(&v->is.vec, elems, count);
    return ramet_seq_append(&v->is.seq, elems, count);
}

static int push(enum kind kind, struct var *v, const uint8_t *elem)
{
    if (kind == STR)
        return ramet_str_append(&v->is.str, rmt_slice(elem, 1));
    if (kind == VEC)
        return ramet_vec_push(&v->is.vec, elem);
    return ramet_seq_push(&v->is.seq, elem);
}

static int set(enum kind kind, struct var *v, size_t i, const uint8_t *elem)
{
    if (kind == STR)
        return ramet_str_splice(&v->is.str, i, 1, rmt_slice(elem, 1));
    if (kind == VEC)
        return ramet_vec_set(&v->is.vec, i, elem);
    return ramet_seq_set(&v->is.seq, i, elem);
}

static void edit(enum kind kind, struct var *v, size_t i, const uint8_t *elem)
{
    size_t es = elem_size[kind], run = 0;
    uint8_t *bytes = NULL;
    void *elems = NULL;
    if (kind == STR) {
        rmt_assert(ramet_str_edit(&v->is.str, &bytes) == 0);
        elems = bytes + i;
    } else if (kind == VEC) {
        rmt_assert(ramet_vec_edit(&v->is.vec, &elems) == 0);
        elems = (uint8_t *)elems + i * es;
    } else {
        rmt_assert(ramet_seq_edit(&v->is.seq, i, &elems, &run) == 0);
        rmt_assert(run != 0 && i + run <= v->count);
    }
    memcpy(elems, elem, es);
    memcpy(v->model + i * es, elem, es);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void step(const uint8_t *p)
{
    enum kind kind = (enum kind)(p[0] % KINDS);
    enum what what = (enum what)(p[0] / KINDS % WHATS);
    struct var *v = &vars[kind][p[1] % VARS], *other = &vars[kind][p[2] % VARS];
    size_t es = elem_size[kind], room = BYTES_MAX / es - v->count;
    /* Places as shares of what there is; numbers small, or as large as can be. */
    size_t at = v->count * p[3] / 255, n = p[4] < 128 ? p[4] : (size_t)(p[4] - 127) * 97;
    const uint8_t *elems = source + p[5];
    n = rmt_min(n, rmt_min(room, (BYTES_MAX - 256) / es));
    size_t removed = rmt_min(p[5] < 128 ? (size_t)p[5] : (size_t)(p[5] - 127) * 97, v->count - at);
    switch (what) {
    case COPY: copy(kind, v, other); break;
    case PART: part(kind, v, other, other->count * p[3] / 255, n); break;
    case PUSH:
        for (size_t i = 0; i < n; i++) {
            rmt_assert(push(kind, v, elems + i) == 0);
            model_splice(v, es, v->count, 0, elems + i, 1);
        }
        break;
    case APPEND:
        rmt_assert(append(kind, v, elems, n) == 0);
        model_splice(v, es, v->count, 0, elems, n);
        break;
    case SPLICE:
        rmt_assert(splice(kind, v, at, removed, elems, n) == 0);
        model_splice(v, es, at, removed, elems, n);
        break;
    case SET:
        rmt_assert(set(kind, v, v->count, elems) == -EINVAL);
        for (size_t i = at; i < v->count && i < at + n; i += 7) {
            rmt_assert(set(kind, v, i, elems + i % 64) == 0);
            memcpy(v->model + i * es, elems + i % 64, es);
        }
        break;
    case EDIT:
        if (at < v->count)
            edit(kind, v, at, elems);
        break;
    case CONCAT:
        if (kind == SEQ && other->count <= room) {
            size_t more = other->count;
            rmt_assert(ramet_seq_concat(&v->is.seq, &other->is.seq) == 0);
            memmove(v->model + v->count * es, other->model, more * es);
            v->count += more;
        } else if (kind == STR && other->count <= room) {
            size_t more = other->count;
            rmt_assert(ramet_str_append(&v->is.str, ramet_str_slice(&other->is.str)) == 0);
            memmove(v->model + v->count, other->model, more);
            v->count += more;
        }
        break;
    case RESERVE:
        if (kind == STR)
            rmt_assert(ramet_str_reserve(&v->is.str, v->count + n) == 0);
        else if (kind == VEC)
            rmt_assert(ramet_vec_reserve(&v->is.vec, v->count + n) == 0);
        break;
    case END: end(kind, v); break;
    case WHATS: break;
    }
    check(kind, v);
    check(kind, other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    elem_size[STR] = 1;
    elem_size[VEC] = elem_size[SEQ] = elem_sizes[data[0] % 8];
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (uint8_t)(i * 167 ^ i >> 8);
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < VARS; i++) {
            struct var *v = &vars[kind][i];
            memset(&v->is, 0, sizeof(v->is));
            if (kind == VEC)
                v->is.vec.elem_size = elem_size[kind];
            if (kind == SEQ)
                v->is.seq.elem_size = elem_size[kind];
            v->model = v->model ? v->model : (uint8_t *)malloc(BYTES_MAX);
            rmt_assert(v->model != NULL);
            v->count = 0;
        }
    }
    size_t steps = rmt_min((size - 1) / STEP, STEPS_MAX);
    for (size_t i = 0; i < steps; i++)
        step(data + 1 + i * STEP);
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < VARS; i++)
            check((enum kind)kind, &vars[kind][i]);
        for (int i = 0; i < VARS; i++)
            end((enum kind)kind, &vars[kind][i]);
    }
    return 0;
}
