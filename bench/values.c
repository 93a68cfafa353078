/* SPDX-License-Identifier: MIT */
/*
 * values.c - values with copies on write, against what a program would have without them.
 *
 * Each task has a base: the same with an atomic counter, a flat array, a full copy. They take short
 * turns, so that both see the same machine, and what they read is compared.
 */
#include <pthread.h>
#include <ramet.h>
#include <ramet_value.h>
#include <stdlib.h>
#include <string.h>

#include "alone.h"
#include "bench.h"
#include "cow-string.h"

#define TURNS 9
#define COPIES 64 /* that are there at once */

/* What is there is needed, and what a compiler knows of it is over. */
#define NEEDED(what) __asm__ volatile("" : : "r"(what) : "memory")

/* No call where there is nothing to say. */
#define CHECKED(call)   \
    do {                \
        if ((call) < 0) \
            must(-1);   \
    } while (0)

struct values {
    size_t elems;   /* of the large array */
    size_t pushes;  /* that arrays grow to */
    size_t probes;  /* and where */
    uint32_t *at;   /* [probes] */
    uint64_t *flat; /* [elems] */
    struct ramet_seq seq;
    struct ramet_seq half[2];
    struct ramet_str str, near[COPIES];
    struct ramet_vec vec;
    size_t *counter;
    uint64_t sum; /* of what was read */
};

/* Does count operations; returns their CPU time, in all. */
typedef double (*work_fn)(struct values *v, size_t count);

/* ---- copies ---------------------------------------------------------------------------------- */

static double count_up_and_down(struct values *v, size_t count)
{
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++) {
        (void)__atomic_fetch_add(v->counter, 1, __ATOMIC_RELAXED);
        (void)__atomic_fetch_sub(v->counter, 1, __ATOMIC_ACQ_REL);
    }
    return thread_cpu_ns() - begin;
}

/* A reference that is counted, as one writes it by hand: many are kept, and dropped. The store of
 * each has to be done before the next atomic instruction is. */
static double copy_pointer(struct values *v, size_t count)
{
    size_t *kept[COPIES];
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i += COPIES) {
        for (size_t k = 0; k < COPIES; k++) {
            kept[k] = v->counter;
            (void)__atomic_fetch_add(kept[k], 1, __ATOMIC_RELAXED);
        }
        NEEDED(kept);
        for (size_t k = 0; k < COPIES; k++) {
            size_t *counter = kept[k];
            kept[k] = NULL;
            if (__atomic_sub_fetch(counter, 1, __ATOMIC_ACQ_REL) == 0)
                die("a counter that is wrong");
        }
        NEEDED(kept);
    }
    return thread_cpu_ns() - begin;
}

static size_t has_elements(const struct ramet_seq *seq)
{
    return seq->body != NULL;
}

/* A copy that a function has for a while; and copies that are kept, many, and dropped. */
#define COPIED(type, what, look)                              \
    static double copy_##what(struct values *v, size_t count) \
    {                                                         \
        uint64_t sum = 0;                                     \
        double begin = thread_cpu_ns();                       \
        for (size_t i = 0; i < count; i++) {                  \
            struct type copy = type##_copy(&v->what);         \
            sum += look(&copy);                               \
            type##_fini(&copy);                               \
        }                                                     \
        v->sum = sum;                                         \
        return thread_cpu_ns() - begin;                       \
    }
#define KEPT(type, what, source)                              \
    static double keep_##what(struct values *v, size_t count) \
    {                                                         \
        struct type copies[COPIES];                           \
        double begin = thread_cpu_ns();                       \
        for (size_t i = 0; i < count; i += COPIES) {          \
            for (size_t k = 0; k < COPIES; k++)               \
                copies[k] = type##_copy(source);              \
            NEEDED(copies);                                   \
            for (size_t k = 0; k < COPIES; k++)               \
                type##_fini(&copies[k]);                      \
            NEEDED(copies);                                   \
        }                                                     \
        return thread_cpu_ns() - begin;                       \
    }
COPIED(ramet_str, str, ramet_str_size)
KEPT(ramet_str, str, &v->str)
KEPT(ramet_str, near, &v->near[k])
COPIED(ramet_vec, vec, ramet_vec_count)
KEPT(ramet_vec, vec, &v->vec)
COPIED(ramet_seq, seq, has_elements)
KEPT(ramet_seq, seq, &v->seq)

static double move_24(struct values *v, size_t count)
{
    struct ramet_str there[COPIES], on[COPIES];
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i += COPIES) {
        for (size_t k = 0; k < COPIES; k++)
            there[k] = v->near[k];
        NEEDED(there);
        for (size_t k = 0; k < COPIES; k++)
            on[k] = there[k];
        NEEDED(on);
    }
    return thread_cpu_ns() - begin;
}

#ifdef HAVE_COW_STRING
static double keep_cow_string(struct values *v, size_t count)
{
    (void)v;
    double begin = thread_cpu_ns();
    cow_string_copy(count, COPIES);
    return thread_cpu_ns() - begin;
}

static double append_cow_string(struct values *v, size_t count)
{
    (void)v;
    double begin = thread_cpu_ns();
    cow_string_append(count);
    return thread_cpu_ns() - begin;
}
#endif

/* ---- a large array --------------------------------------------------------------------------- */

static double get_flat(struct values *v, size_t count)
{
    const uint64_t *flat = v->flat;
    uint64_t sum = 0;
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++)
        sum += flat[v->at[i]];
    v->sum = sum;
    return thread_cpu_ns() - begin;
}

static double get_seq(struct values *v, size_t count)
{
    uint64_t sum = 0;
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++)
        sum += RAMET_SEQ_AT(uint64_t, &v->seq, v->at[i]);
    v->sum = sum;
    return thread_cpu_ns() - begin;
}

static uint64_t sum_of(const uint64_t *at, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += at[i];
    return sum;
}

static double sum_flat(struct values *v, size_t count)
{
    double begin = thread_cpu_ns();
    v->sum = sum_of(v->flat, count);
    return thread_cpu_ns() - begin;
}

static int add_piece(void *ctx, uint64_t off, struct ramet_slice piece)
{
    (void)off;
    *(uint64_t *)ctx += sum_of(piece.data, piece.size / sizeof(uint64_t));
    return 0;
}

static double sum_seq(struct values *v, size_t count)
{
    double begin = thread_cpu_ns();
    v->sum = 0;
    (void)ramet_seq_pieces(&v->seq, 0, count, add_piece, &v->sum);
    return thread_cpu_ns() - begin;
}

/* What is written is what was there, so that all see the same array. */
static double set_flat(struct values *v, size_t count)
{
    uint64_t *flat = v->flat;
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++)
        flat[v->at[i]] = (uint64_t)v->at[i] * 3;
    NEEDED(flat);
    return thread_cpu_ns() - begin;
}

static double set_seq(struct values *v, size_t count)
{
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++) {
        uint64_t value = (uint64_t)v->at[i] * 3;
        CHECKED(ramet_seq_set(&v->seq, v->at[i], &value));
    }
    return thread_cpu_ns() - begin;
}

/* An array of its own is made for each, and one element changed. */
static double set_flat_copy(struct values *v, size_t count)
{
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++) {
        uint64_t *copy = malloc(v->elems * sizeof(*copy));
        if (!copy)
            die("no memory");
        memcpy(copy, v->flat, v->elems * sizeof(*copy));
        copy[v->at[i]] = i;
        NEEDED(copy);
        free(copy);
    }
    return thread_cpu_ns() - begin;
}

/* The copies are there, and what is changed is shared by all. */
static double set_shared(struct values *v, size_t count)
{
    struct ramet_seq copies[COPIES];
    double took = 0;
    for (size_t i = 0; i < count; i += COPIES) {
        for (size_t k = 0; k < COPIES; k++)
            copies[k] = ramet_seq_copy(&v->seq);
        double begin = thread_cpu_ns();
        for (size_t k = 0; k < COPIES; k++)
            CHECKED(ramet_seq_set(&copies[k], v->at[i + k], &i));
        took += thread_cpu_ns() - begin;
        for (size_t k = 0; k < COPIES; k++)
            ramet_seq_fini(&copies[k]);
    }
    return took;
}

static double copy_set_drop(struct values *v, size_t count)
{
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++) {
        struct ramet_seq copy = ramet_seq_copy(&v->seq);
        CHECKED(ramet_seq_set(&copy, v->at[i], &i));
        ramet_seq_fini(&copy);
    }
    return thread_cpu_ns() - begin;
}

/* ---- growing --------------------------------------------------------------------------------- */

/* As one writes it by hand: memory that doubles, and one check. */
struct growing {
    uint8_t *data;
    size_t count, room;
};

static __attribute__((noinline)) void grow(struct growing *g, size_t elem_size)
{
    g->room = g->room ? g->room * 2 : 64;
    g->data = realloc(g->data, g->room * elem_size);
    if (!g->data)
        die("no memory");
}

static inline void push_word(struct growing *g, uint64_t word)
{
    if (g->count == g->room)
        grow(g, sizeof(word));
    ((uint64_t *)(void *)g->data)[g->count++] = word;
}

static inline void push_byte(struct growing *g, uint8_t byte)
{
    if (g->count == g->room)
        grow(g, 1);
    g->data[g->count++] = byte;
}

static double push_flat(struct values *v, size_t count)
{
    struct growing g = {NULL, 0, 0};
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++)
        push_word(&g, i);
    double took = thread_cpu_ns() - begin;
    v->sum = sum_of((uint64_t *)(void *)g.data, g.count);
    free(g.data);
    return took;
}

static double push_vec(struct values *v, size_t count)
{
    struct ramet_vec vec = RAMET_VEC(uint64_t);
    double begin = thread_cpu_ns();
    for (uint64_t i = 0; i < count; i++)
        CHECKED(ramet_vec_push(&vec, &i));
    double took = thread_cpu_ns() - begin;
    v->sum = sum_of(ramet_vec_data(&vec), ramet_vec_count(&vec));
    ramet_vec_fini(&vec);
    return took;
}

static double push_seq(struct values *v, size_t count)
{
    struct ramet_seq seq = RAMET_SEQ(uint64_t);
    double begin = thread_cpu_ns();
    for (uint64_t i = 0; i < count; i++)
        CHECKED(ramet_seq_push(&seq, &i));
    double took = thread_cpu_ns() - begin;
    v->sum = 0;
    (void)ramet_seq_pieces(&seq, 0, UINT64_MAX, add_piece, &v->sum);
    ramet_seq_fini(&seq);
    return took;
}

static uint64_t sum_of_bytes(const uint8_t *bytes, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += bytes[i];
    return sum;
}

static double append_flat(struct values *v, size_t count)
{
    struct growing g = {NULL, 0, 0};
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++)
        push_byte(&g, (uint8_t)i);
    double took = thread_cpu_ns() - begin;
    v->sum = sum_of_bytes(g.data, g.count);
    free(g.data);
    return took;
}

static double append_str(struct values *v, size_t count)
{
    struct ramet_str str = {{0}};
    double begin = thread_cpu_ns();
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)i;
        struct ramet_slice bytes = {&byte, 1};
        CHECKED(ramet_str_append(&str, bytes));
    }
    double took = thread_cpu_ns() - begin;
    v->sum = sum_of_bytes(ramet_str_slice(&str).data, ramet_str_size(&str));
    ramet_str_fini(&str);
    return took;
}

/* ---- joining and cutting --------------------------------------------------------------------- */

static double concat(struct values *v, size_t count)
{
    double took = 0;
    for (size_t i = 0; i < count; i++) {
        struct ramet_seq both = ramet_seq_copy(&v->half[0]);
        double begin = thread_cpu_ns();
        CHECKED(ramet_seq_concat(&both, &v->half[1]));
        took += thread_cpu_ns() - begin;
        ramet_seq_fini(&both);
    }
    return took;
}

static double slice(struct values *v, size_t count)
{
    uint64_t all = ramet_seq_count(&v->half[0]);
    double took = 0;
    for (size_t i = 0; i < count; i++) {
        struct ramet_seq part;
        uint64_t off = v->at[i] % (all / 2);
        double begin = thread_cpu_ns();
        CHECKED(ramet_seq_sub(&v->half[0], off, all / 2, &part));
        took += thread_cpu_ns() - begin;
        ramet_seq_fini(&part);
    }
    return took;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum how_many { A_MILLION, PROBES, ELEMS, A_FEW, PUSHES, SOME };

/* In the order of enum value_task. A base comes before what is compared with it. */
static const struct {
    work_fn work;
    enum how_many count;
    bool is_same; /* it reads what the one before it read */
} tasks[VALUE_TASKS] = {
    [VALUE_ATOMIC] = {count_up_and_down, A_MILLION, false},
    [VALUE_STR_COPY] = {copy_str, A_MILLION, false},
    [VALUE_VEC_COPY] = {copy_vec, A_MILLION, false},
    [VALUE_SEQ_COPY] = {copy_seq, A_MILLION, false},
    [VALUE_POINTER] = {copy_pointer, A_MILLION, false},
    [VALUE_STR_KEEP] = {keep_str, A_MILLION, false},
    [VALUE_VEC_KEEP] = {keep_vec, A_MILLION, false},
    [VALUE_SEQ_KEEP] = {keep_seq, A_MILLION, false},
    [VALUE_MOVE] = {move_24, A_MILLION, false},
    [VALUE_NEAR_KEEP] = {keep_near, A_MILLION, false},
    [VALUE_FLAT_GET] = {get_flat, PROBES, false},
    [VALUE_SEQ_GET] = {get_seq, PROBES, true},
    [VALUE_FLAT_SUM] = {sum_flat, ELEMS, false},
    [VALUE_SEQ_SUM] = {sum_seq, ELEMS, true},
    [VALUE_FLAT_SET] = {set_flat, PROBES, false},
    [VALUE_SEQ_SET] = {set_seq, PROBES, false},
    [VALUE_SET_SHARED] = {set_shared, SOME, false},
    [VALUE_SET_DROP] = {copy_set_drop, SOME, false},
    [VALUE_FLAT_COPY] = {set_flat_copy, A_FEW, false},
    [VALUE_FLAT_PUSH] = {push_flat, PUSHES, false},
    [VALUE_VEC_PUSH] = {push_vec, PUSHES, true},
    [VALUE_SEQ_PUSH] = {push_seq, PUSHES, true},
    [VALUE_FLAT_APPEND] = {append_flat, PUSHES, false},
    [VALUE_STR_APPEND] = {append_str, PUSHES, true},
    [VALUE_CONCAT] = {concat, SOME, false},
    [VALUE_SLICE] = {slice, SOME, false},
#ifdef HAVE_COW_STRING
    [VALUE_COW_KEEP] = {keep_cow_string, A_MILLION, false},
    [VALUE_COW_APPEND] = {append_cow_string, PUSHES, false},
#endif
};

static size_t count_of(const struct values *v, enum how_many count)
{
    switch (count) {
    case A_MILLION: return (size_t)1 << 20;
    case PROBES: return v->probes;
    case ELEMS: return v->elems;
    case A_FEW: return 1;
    case PUSHES: return v->pushes;
    case SOME: break;
    }
    return v->probes < 64 * COPIES ? COPIES : 64 * COPIES;
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void values_init(struct values *v, size_t elems)
{
    char bytes[100];
    memset(bytes, 'x', sizeof(bytes));
    memset(v, 0, sizeof(*v));
    v->elems = elems;
    v->counter = allocate(sizeof(*v->counter));
    *v->counter = 1;
    v->pushes = elems < 1000000 ? elems : 10000000;
    v->probes = elems / 8;
    v->at = allocate(v->probes * sizeof(*v->at));
    v->flat = allocate(elems * sizeof(*v->flat));
    for (size_t i = 0; i < elems; i++)
        v->flat[i] = i * 3;
    for (size_t i = 0; i < v->probes; i++)
        v->at[i] = (uint32_t)some(elems);
    must(ramet_seq_from(8, v->flat, elems, &v->seq));
    for (size_t i = 0; i < 2; i++)
        must(ramet_seq_from(8, v->flat + i * elems / 8, elems / 8, &v->half[i]));
    must(ramet_str_from((struct ramet_slice){bytes, sizeof(bytes)}, &v->str));
    for (size_t k = 0; k < COPIES; k++)
        must(ramet_str_from((struct ramet_slice){bytes, 20}, &v->near[k]));
    must(ramet_vec_from(8, v->flat, 100, &v->vec));
}

static void values_fini(struct values *v)
{
    ramet_seq_fini(&v->seq);
    ramet_seq_fini(&v->half[0]);
    ramet_seq_fini(&v->half[1]);
    ramet_str_fini(&v->str);
    for (size_t k = 0; k < COPIES; k++)
        ramet_str_fini(&v->near[k]);
    ramet_vec_fini(&v->vec);
    free(v->counter);
    free(v->flat);
    free(v->at);
}

void values_measure(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    static double took[VALUE_TASKS][TURNS];
    struct values v;
    pthread_t thread;
    /* Libraries count without atomic instructions until a process has had a second thread; what is
     * measured is one that has threads. */
    if (pthread_create(&thread, NULL, do_nothing, NULL) != 0)
        die("no thread");
    (void)pthread_join(thread, NULL);

    values_init(&v, b->bytes / sizeof(uint64_t));
    for (size_t turn = 0; turn <= TURNS; turn++) {
        for (size_t i = 0; i < VALUE_TASKS; i++) {
            if (!tasks[i].work)
                continue;
            size_t count = count_of(&v, tasks[i].count);
            uint64_t before = v.sum;
            double ns = tasks[i].work(&v, count) / (double)count;
            if (tasks[i].is_same && v.sum != before)
                die("an array of ramet's has something else than a flat one");
            if (turn != 0) /* the first one warms the caches */
                took[i][turn - 1] = ns;
        }
    }
    for (size_t i = 0; i < VALUE_TASKS; i++)
        out[i].cpu_ns = median(took[i], TURNS);
    values_fini(&v);
}
