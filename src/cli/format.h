/* SPDX-License-Identifier: MIT */
/*
 * format.h - entries as text: TSV, JSON lines, and the dump format of LMDB's mdb_dump and mdb_load.
 *
 * A format reads entries from an rmt_input, one at a time, and writes them to a stdio file. Where
 * input is malformed, its reader leaves a sentence in input->error; the line is input->line.
 */
#ifndef RMT_CLI_FORMAT_H
#define RMT_CLI_FORMAT_H

#include <stdio.h>

#include <ramet.h>

#include "input.h"

/* What else stands in a dump of disks, or of all that a version has: JSON lines alone have it. */
enum rmt_entry_kind {
    RMT_ENTRY = 0,
    RMT_ENTRY_ALL,  /* the first line of all: how many maps, how many disks */
    RMT_ENTRY_MAP,  /* the entries of a map follow: key is its name; how many */
    RMT_ENTRY_DISK, /* the data of a disk follows: key is its name; its size, bytes of that data */
    RMT_ENTRY_DATA  /* value is data of the disk; its offset. What no line has is a hole */
};

struct rmt_entry {
    struct ramet_slice key;
    struct ramet_slice value;
    enum rmt_entry_kind kind;
    uint64_t numbers[2]; /* in the order in which they are named above */
};

/* What a reader keeps from one entry to the next. All zero at the start; rmt_format_fini(). */
struct rmt_format_state {
    struct rmt_buf key; /* the last entry's bytes */
    struct rmt_buf value;
    bool in_data; /* mdb: past the header */
    bool print;   /* mdb: format=print, not bytevalue */
};

struct rmt_format {
    const char *name;
    const char *const *extensions; /* ends with NULL */
    /* 1: *out is the next entry, until the next call. 0: the end. RMT_INPUT_ERROR or
     * RMT_INPUT_STOPPED. */
    int (*read)(struct rmt_format_state *state, struct rmt_input *input, struct rmt_entry *out);
    /* Any may be NULL. size_hint: bytes that the entries may take in all. */
    void (*begin)(FILE *file, uint64_t size_hint);
    void (*write)(FILE *file, const struct rmt_entry *entry);
    void (*end)(FILE *file);
};

extern const struct rmt_format rmt_tsv_format;
extern const struct rmt_format rmt_jsonl_format;
extern const struct rmt_format rmt_mdb_format;

/* NULL if there is none of that name. */
const struct rmt_format *rmt_format_find(const char *name);
/* By the extension of a path (NULL: none); TSV if that says nothing. */
const struct rmt_format *rmt_format_guess(const char *path);
void rmt_format_fini(struct rmt_format_state *state);

#endif
