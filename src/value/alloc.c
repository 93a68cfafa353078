/* SPDX-License-Identifier: MIT */
/* alloc.c - memory of values: libc's. */
#include <stdlib.h>

#include "value/alloc.h"

void *rmt_value_alloc(size_t size)
{
    return malloc(size);
}

void *rmt_value_realloc(void *p, size_t size)
{
    return realloc(p, size);
}

void rmt_value_free(void *p)
{
    free(p);
}
