/* SPDX-License-Identifier: MIT */
/*
 * linear.h - is a history of one key linearizable?
 *
 * Each operation took effect at one moment between its call and its return, if there is an order of
 * all of them in which every answer is right, and in which none comes before one that had returned
 * when it was called. All orders are tried; what was tried before, by the operations that are done
 * and the value then, is not tried again.
 */
#ifndef LINEAR_H
#define LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linear_kind {
    LINEAR_GET,  /* value: what it saw */
    LINEAR_PUT,  /* value: what it set */
    LINEAR_MAKE, /* the same, only if there is nothing; failed: there was something */
    LINEAR_DEL   /* failed: there was nothing */
};

struct linear_op {
    enum linear_kind kind;
    uint32_t value; /* 0: absent */
    bool failed;
    uint64_t called, returned; /* moments, none of them twice */
};

#define LINEAR_OPS_MAX 64

/* initial: the key's value before all of them. */
bool linear_check(const struct linear_op *ops, size_t count, uint32_t initial);

#endif
