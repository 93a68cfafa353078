/* SPDX-License-Identifier: MIT */
#include "api/faults.h"

#include <stdbool.h>
#include <stdlib.h>

#define NEVER UINT64_MAX

static _Thread_local uint64_t allocations_left = NEVER; /* until one fails, */
static _Thread_local uint64_t then_left = NEVER;        /* and from there to the next one */
static _Thread_local unsigned fired;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static bool fails(void)
{
    if (allocations_left == NEVER || allocations_left-- > 0)
        return false;
    allocations_left = then_left;
    then_left = NEVER;
    fired++;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

void fail_twice(uint64_t allocations, uint64_t then)
{
    fired = 0;
    allocations_left = allocations;
    then_left = then;
}

void fail_after(uint64_t allocations)
{
    fail_twice(allocations, NEVER);
}

unsigned fail_no_more(void)
{
    allocations_left = then_left = NEVER;
    return fired;
}
