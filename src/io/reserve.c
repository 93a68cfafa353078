/* SPDX-License-Identifier: MIT */
#include "io/reserve.h"

#include <sys/mman.h>

#include "base/base.h"

void *rmt_reserve_new(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void rmt_reserve_free(void *p, size_t size)
{
    if (p)
        rmt_assert(munmap(p, size) == 0);
}

void rmt_reserve_clear(void *p, size_t size)
{
    rmt_assert(madvise(p, size, MADV_DONTNEED) == 0);
}
