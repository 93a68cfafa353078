/* SPDX-License-Identifier: MIT */
/*
 * parts.h - large values that are written in parts.
 *
 * Such a private value is a table of parts, in the order of the value. A part is a run of the
 * file that nobody has written to, or it is private, or it is zeros that nobody has written to. A
 * value of the file gets its table when it is first written to; of its runs just those that are
 * touched become private, and are gone; the others go on into the record that is sealed.
 *
 *   P1  parts follow each other without a gap, and have the pages that the value's size takes
 *   P2  behind the value's end its last page is zero
 *   P3  a private part has room for itself; it is writable if it was made since the innermost
 *       savepoint, as the table is: one of before is copied first, and shares its parts
 *   P4  the runs of lists of a value with a table are on edit->gone
 */
#ifndef RMT_PARTS_H
#define RMT_PARTS_H

#include "tree/edit.h"

struct rmt_part {
    uint64_t first;          /* page of the value that it begins with */
    struct rmt_private *own; /* NULL: in the file, or zeros */
    struct rmt_disk_run run; /* of the file; of the others its pages are 0 */
    uint32_t pages;
};
static_assert(sizeof(struct rmt_part) == 40, "one for each run of a value");

/* The bytes of a private value whose .whole is not 0. */
struct rmt_parts {
    uint64_t taken;     /* pages that it will take: its part of edit->nr_private */
    uint64_t new_pages; /* of parts that are not in the file */
    uint64_t nr_file;   /* parts that are */
    uint32_t count, capacity;
    struct rmt_part items[];
};
static_assert(sizeof(struct rmt_parts) == 32, "parts are aligned");

static inline struct rmt_parts *rmt_parts_of(const struct rmt_private *own)
{
    return (struct rmt_parts *)(uintptr_t)own->bytes;
}

static inline bool rmt_part_in_file(const struct rmt_part *part)
{
    return rmt_get32(part->run.pages) != 0;
}

/* Bytes [off, off + len) of the value, which it has. */
int rmt_parts_read(struct rmt_pages *pages, const struct rmt_private *own, uint64_t off, void *buf,
                   size_t len);
/* Puts the runs that are in the file on edit->gone. On failure some of them are. */
int rmt_parts_gone(struct rmt_edit *edit, const struct rmt_private *own);
/* Frees the private parts that may be freed, but not the table. */
void rmt_parts_drop(struct rmt_edit *edit, const struct rmt_private *own);

#endif
