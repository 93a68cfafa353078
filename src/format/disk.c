/* SPDX-License-Identifier: MIT */
#include "format/disk.h"

#include "base/hash.h"

uint64_t rmt_node_sum(const void *page, uint32_t page_size, uint64_t seed)
{
    return rmt_hash((const uint8_t *)page + 8, page_size - 8, seed);
}

uint32_t rmt_data_sum(const void *data, size_t len, uint64_t seed, uint64_t addr, uint64_t birth)
{
    uint64_t where[3] = {seed, addr, birth};
    return (uint32_t)rmt_hash(data, len, rmt_hash(where, sizeof(where), 0));
}

void rmt_sector_seal(void *sector)
{
    rmt_le64 sum = rmt_put64(rmt_hash(sector, RMT_SECTOR_SIZE - 8, 0));
    memcpy((uint8_t *)sector + RMT_SECTOR_SIZE - 8, &sum, sizeof(sum));
}

bool rmt_sector_valid(const void *sector)
{
    rmt_le64 sum;
    memcpy(&sum, (const uint8_t *)sector + RMT_SECTOR_SIZE - 8, sizeof(sum));
    return rmt_get64(sum) == rmt_hash(sector, RMT_SECTOR_SIZE - 8, 0);
}
