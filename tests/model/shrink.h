/* SPDX-License-Identifier: MIT */
/* shrink.h - finds the few steps of a failing program that its failure needs. */
#ifndef SHRINK_H
#define SHRINK_H

#include <stdbool.h>
#include <stddef.h>

/* True: the program of these steps fails still. */
typedef bool (*shrink_fn)(void *ctx, const size_t *kept, size_t count);

/* Takes out of kept[count] what it can in that time. Returns how many are left. */
size_t shrink_program(shrink_fn fails, void *ctx, size_t *kept, size_t count, unsigned seconds);

#endif
