/* SPDX-License-Identifier: MIT */
/*
 * diskdiff.h - how the disks of two versions differ: by ranges of bytes, as lines and as counts.
 *
 * A line is "B", the disk, two numbers and a kind: of data and hole, which say what the range is in
 * the newer version, OFFSET and BYTES; of size, created and dropped, the size before and after.
 */
#ifndef RMT_CLI_DISKDIFF_H
#define RMT_CLI_DISKDIFF_H

#include "difflines.h"
#include "table.h"

enum rmt_disk_change_kind {
    RMT_DISK_DATA,
    RMT_DISK_HOLE,
    RMT_DISK_SIZE,
    RMT_DISK_CREATED,
    RMT_DISK_DROPPED
};

struct rmt_disk_change {
    const char *disk;
    enum rmt_disk_change_kind kind;
    uint64_t numbers[2];
};

/* A nonzero answer ends it, and is returned. */
typedef int (*rmt_disk_change_fn)(void *ctx, const struct rmt_disk_change *change);

/* Every difference: of all disks, or of one (only). from NULL: an empty version. 0, what fn
 * answered, or a code. */
int rmt_diskdiff_each(struct ramet_txn *from, struct ramet_txn *to, const char *only,
                      rmt_disk_change_fn fn, void *ctx);

/* What a change of a map is if that is a disk. False: it says nothing that needs a line. */
bool rmt_diskdiff_of(const struct ramet_change *change, struct rmt_disk_change *out);
/* The number of the page that a disk's entry of one is. */
uint64_t rmt_diskdiff_page(struct ramet_slice key);
/* The size that its entry of the size says. */
uint64_t rmt_diskdiff_size(struct ramet_slice value);
void rmt_diskdiff_add(struct rmt_buf *buf, const struct rmt_difflines_style *style,
                      const struct rmt_disk_change *change);
/* {"change": "disk data", "disk": "", "offset": 0, "bytes": 0}; of the others "old" and "new". */
json_t *rmt_diskdiff_object(const struct rmt_disk_change *change);

/* Counts of each disk, in a table or in JSON. */
struct rmt_disk_tally {
    struct rmt_table table;
    json_t *array; /* or NULL */
    struct rmt_buf disk;
    char sign;               /* '\0': there was none yet */
    uint64_t written, holes; /* bytes of the disk at hand */
    uint64_t nr_disks;
};

void rmt_disk_tally_init(struct rmt_disk_tally *tally, bool json);
void rmt_disk_tally_add(struct rmt_disk_tally *tally, const struct rmt_disk_change *change);
/* After the last: prints the table, if there is anything in it. */
void rmt_disk_tally_end(struct rmt_disk_tally *tally);
void rmt_disk_tally_fini(struct rmt_disk_tally *tally);

#endif
