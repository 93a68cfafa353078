/* SPDX-License-Identifier: MIT */
/*
 * alloc-fake.h - what tests of values put in the place of alloc.c: memory that can run out, and
 * that is counted. One file of a program includes it.
 */
#ifndef RMT_VALUE_ALLOC_FAKE_H
#define RMT_VALUE_ALLOC_FAKE_H

#include <stdbool.h>
#include <stdlib.h>

#include "value/alloc.h"

static long fake_left = -1; /* allocations until one fails; below 0: none does */
static long fake_live;      /* that were not freed yet; atomic */

static bool fake_fails(void)
{
    if (fake_left < 0)
        return false;
    if (fake_left == 0)
        return true;
    fake_left--;
    return false;
}

void *rmt_value_alloc(size_t size)
{
    void *p = fake_fails() ? NULL : malloc(size);
    if (p)
        (void)__atomic_fetch_add(&fake_live, 1, __ATOMIC_RELAXED);
    return p;
}

void *rmt_value_realloc(void *p, size_t size)
{
    return fake_fails() ? NULL : realloc(p, size);
}

void rmt_value_free(void *p)
{
    if (p)
        (void)__atomic_fetch_sub(&fake_live, 1, __ATOMIC_RELAXED);
    free(p);
}

#endif
