/* SPDX-License-Identifier: MIT */
/* alloc.h - where values get their memory. Tests put others in their place, which fail. */
#ifndef RMT_VALUE_ALLOC_H
#define RMT_VALUE_ALLOC_H

#include <stddef.h>

/* NULL: no memory. */
void *rmt_value_alloc(size_t size);
/* NULL: no memory, and p is as it was. */
void *rmt_value_realloc(void *p, size_t size);
void rmt_value_free(void *p);

#endif
