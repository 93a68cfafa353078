/* SPDX-License-Identifier: MIT */
/*
 * linear.h - is a history of a few keys linearizable?
 *
 * Each operation took effect at one moment between its call and its return, on all its keys at
 * once, if there is an order of all of them in which every answer is right, and in which none comes
 * before one that had returned when it was called. All orders are tried; what was tried before, by
 * the operations that are done and the values then, is not tried again. What only looks comes as
 * soon as what it saw is there: that forbids nothing to the others. And where a number that is
 * still to be seen was written over, nothing more is tried: each is put once.
 */
#ifndef LINEAR_H
#define LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linear_kind {
    LINEAR_GET,  /* values: what it saw, of one key or of several */
    LINEAR_PUT,  /* values: what it set; of several keys 0 deletes, if there is something */
    LINEAR_MAKE, /* of one key, only if there is nothing; failed: there was something */
    LINEAR_DEL   /* of one key; failed: there was nothing */
};

#define LINEAR_KEYS 4
#define LINEAR_OPS_MAX 64

struct linear_op {
    enum linear_kind kind;
    unsigned keys;                /* a bit for each that it is about */
    uint32_t values[LINEAR_KEYS]; /* 0: absent */
    bool failed;
    uint64_t called, returned; /* moments, none of them twice */
};

/* initial: the values before all of them. By one thread at a time. */
bool linear_check(const struct linear_op *ops, size_t count, const uint32_t initial[LINEAR_KEYS]);

#endif
