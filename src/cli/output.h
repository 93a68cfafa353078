/* SPDX-License-Identifier: MIT */
/*
 * output.h - standard output and standard error: errors, colour, JSON, and pipes that close.
 *
 * Standard output is written with stdio. Its first failure is remembered with its errno by
 * rmt_output_failed(), which long loops ask after each entry, and reported once, by
 * rmt_output_finish().
 */
#ifndef RMT_CLI_OUTPUT_H
#define RMT_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include <ramet.h>

/* Exit statuses; those up to 3 are promised in ramet(1). */
enum rmt_exit {
    RMT_EXIT_OK = 0,
    RMT_EXIT_ABSENT = 1,    /* no such key */
    RMT_EXIT_DIFFERENT = 1, /* diff --exit-code */
    RMT_EXIT_CONFLICT = 1,  /* of a merge */
    RMT_EXIT_USAGE = 2,
    RMT_EXIT_FAILED = 3,
    RMT_EXIT_INTERRUPTED = 130,
    RMT_EXIT_PIPE = 141, /* as a shell shows a program that SIGPIPE ended */
};

/* "ramet: ..." on standard error, with control characters escaped. Returns -1. */
__attribute__((format(printf, 1, 2))) int rmt_output_error(const char *fmt, ...);

bool rmt_output_failed(void);
/* A name on a line of its own, with control characters escaped. */
void rmt_output_name(const char *name);
/* Flushes; returns status, or what the failure of standard output makes of it. */
int rmt_output_finish(int status);

/* The escape sequences, or "" where there is no colour to be had. */
const char *rmt_output_bold(FILE *file);
const char *rmt_output_colour(FILE *file,
                              int colour); /* 1 red, 2 green, 3 yellow, 4 blue, 6 cyan */
const char *rmt_output_plain(FILE *file);
/* Standard output can show characters beyond ASCII. */
bool rmt_output_unicode(void);

/* Sets object[name] to the bytes as a string, or object[name_base64] if they are not UTF-8. */
void rmt_output_json_bytes(json_t *object, const char *name, struct ramet_slice bytes);
void rmt_output_json_str(json_t *object, const char *name, const char *str); /* NULL: null */
void rmt_output_json_int(json_t *object, const char *name, uint64_t n);
void rmt_output_json_time(json_t *object, int64_t time_us);
/* Prints a value on a line of its own and drops it (taken). */
void rmt_output_json(json_t *value);

#endif
