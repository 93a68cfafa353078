/* SPDX-License-Identifier: MIT */
#include "model/shrink.h"

#include <time.h>

#include "base/base.h"

size_t shrink_program(shrink_fn fails, void *ctx, size_t *kept, size_t count, unsigned seconds)
{
    time_t end = time(NULL) + seconds;
    rmt_auto(free) void *mem = malloc(count * sizeof(size_t) + 1);
    size_t *trial = mem;
    rmt_assert(trial != NULL);
    for (size_t chunk = count; chunk > 0 && time(NULL) < end;) {
        bool removed = false;
        for (size_t at = count; at > 0 && time(NULL) < end;) { /* from the end: it goes faster */
            size_t from = at > chunk ? at - chunk : 0, left = count - (at - from);
            memcpy(trial, kept, from * sizeof(size_t));
            memcpy(trial + from, kept + at, (count - at) * sizeof(size_t));
            if (fails(ctx, trial, left)) {
                memcpy(kept, trial, left * sizeof(size_t));
                count = left;
                removed = true;
            }
            at = from;
        }
        if (!removed || chunk > count)
            chunk /= 2;
    }
    return count;
}
