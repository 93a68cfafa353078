/* SPDX-License-Identifier: MIT */
/*
 * input.h - lines of a file or of standard input, of any length, with any bytes in them.
 */
#ifndef RMT_CLI_INPUT_H
#define RMT_CLI_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include <ramet.h>

#include "text.h"

enum {
    RMT_INPUT_ERROR = -1,   /* input->error says what is wrong */
    RMT_INPUT_STOPPED = -2, /* a signal came */
};

struct rmt_input {
    int fd;
    const char *name;     /* for messages */
    uint64_t size;        /* of a regular file; else 0 */
    uint64_t offset;      /* bytes of the lines returned so far */
    uint64_t line;        /* number of the last line, from 1 */
    bool unreadable;      /* the error is of the file, not of a line */
    bool at_end;          /* read(2) has said so */
    struct rmt_buf error; /* a sentence */
    struct rmt_buf bytes; /* read, and from start on not returned yet */
    size_t start;
};

/* path NULL or "-": standard input. 0, or RMT_INPUT_ERROR. */
int rmt_input_open(struct rmt_input *input, const char *path);
void rmt_input_close(struct rmt_input *input);
/* 1: *out is the next line without its newline, until the next call. 0: the end. Else a code above.
 */
int rmt_input_line(struct rmt_input *input, struct ramet_slice *out);
/* The line that was returned last is to be returned again. */
void rmt_input_back(struct rmt_input *input, struct ramet_slice line);
/* Leaves a sentence in input->error; returns RMT_INPUT_ERROR. */
__attribute__((format(printf, 2, 3))) int rmt_input_error(struct rmt_input *input, const char *fmt,
                                                          ...);
/* Adds all of standard input to buf. 0, or a code above with errno. */
int rmt_input_slurp(struct rmt_buf *buf);

#endif
