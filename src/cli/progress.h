/* SPDX-License-Identifier: MIT */
/*
 * progress.h - one line on standard error that says how far a long command is. On a terminal only.
 */
#ifndef RMT_CLI_PROGRESS_H
#define RMT_CLI_PROGRESS_H

#include <stdint.h>

struct rmt_progress {
    const char *what; /* "load" */
    const char *unit; /* what entries are called: "entries", "pages" */
    uint64_t total;   /* of what done is counted in; 0: not known */
    uint64_t start_ms;
    uint64_t shown_ms;
};

uint64_t rmt_progress_now_ms(void);
void rmt_progress_start(struct rmt_progress *p, const char *what, const char *unit, uint64_t total);
/* done: towards total. bytes 0: not shown. Redraws at most ten times a second. */
void rmt_progress_update(struct rmt_progress *p, uint64_t done, uint64_t entries, uint64_t bytes);
/* Wipes the line, if there is one: before anything else is said. */
void rmt_progress_clear(void);
/* A closing line; where there is no progress to see, nothing. */
void rmt_progress_say(const char *text);

#endif
