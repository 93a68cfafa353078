/* SPDX-License-Identifier: MIT */
/*
 * vec.h - a growing array of any element type.
 *
 *   RMT_VEC(struct run) runs = {0};
 *   if (!rmt_vec_push(&runs, run)) ... no memory; runs is as it was
 *   for (size_t i = 0; i < runs.count; i++) use(runs.items[i]);
 *   rmt_vec_fini(&runs);
 */
#ifndef RMT_VEC_H
#define RMT_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define RMT_VEC(T)       \
    struct {             \
        T *items;        \
        size_t count;    \
        size_t capacity; \
    }

/* Grows *items to hold at least want elements of elem_size bytes. False: no memory, nothing
 * changed. */
bool rmt_vec_grow(void **items, size_t *capacity, size_t want, size_t elem_size);

#define rmt_vec_reserve(v, want) \
    ((v)->capacity >= (want) ||  \
     rmt_vec_grow((void **)&(v)->items, &(v)->capacity, (want), sizeof(*(v)->items)))

#define rmt_vec_push(v, x) \
    (rmt_vec_reserve((v), (v)->count + 1) && (((v)->items[(v)->count++] = (x)), true))

#define rmt_vec_fini(v)                 \
    do {                                \
        free((v)->items);               \
        (v)->items = NULL;              \
        (v)->count = (v)->capacity = 0; \
    } while (0)

#endif
