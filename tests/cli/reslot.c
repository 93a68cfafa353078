/* SPDX-License-Identifier: MIT */
/*
 * reslot.c - makes a store of another format: sets a field of its slots, and their checksums right.
 *
 * usage: reslot STORE OFFSET VALUE       the 32-bit field at OFFSET of each slot that is written
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/le.h"
#include "format/disk.h"

static int set_field(FILE *file, long off, size_t field, uint32_t value)
{
    struct rmt_disk_slot slot;
    if (fseek(file, off, SEEK_SET) || fread(&slot, sizeof(slot), 1, file) != 1)
        return -1;
    if (memcmp(slot.magic, RMT_SLOT_MAGIC, sizeof(slot.magic)))
        return 0;
    rmt_le32 bytes = rmt_put32(value);
    memcpy((char *)&slot + field, &bytes, sizeof(bytes));
    slot.checksum = rmt_put64(rmt_hash(&slot, offsetof(struct rmt_disk_slot, checksum), 0));
    return fseek(file, off, SEEK_SET) || fwrite(&slot, sizeof(slot), 1, file) != 1 ? -1 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    FILE *file = fopen(argv[1], "r+");
    size_t field = strtoul(argv[2], NULL, 0);
    uint32_t value = (uint32_t)strtoul(argv[3], NULL, 0);
    if (!file || field > sizeof(struct rmt_disk_slot) - sizeof(value))
        return 1;
    int rc = set_field(file, 0, field, value);
    if (!rc)
        rc = set_field(file, RMT_BLOCK_SIZE, field, value);
    return fclose(file) || rc ? 1 : 0;
}
