/* SPDX-License-Identifier: MIT */
/*
 * log.h - what an operator wants to know and no call returns.
 *
 * It is noted where it happens, under the commit lock, and said when that lock has been given back:
 * the program's function may then read the store. What is noted while a store is opened is said at
 * the end of that.
 */
#ifndef RMT_LOG_H
#define RMT_LOG_H

#include "base/base.h"

#define RMT_LOG_NOTES 4 /* at most so many from taking the commit lock to giving it back */
#define RMT_LOG_TEXT 512

struct rmt_log_note {
    int level;
    char text[RMT_LOG_TEXT];
};

struct rmt_log {
    ramet_log_fn fn; /* set once in open, at its end; may be NULL */
    void *ctx;
    uint32_t count;                           /* guarded by the commit lock, once open */
    struct rmt_log_note notes[RMT_LOG_NOTES]; /* likewise */
};

/* Forgotten if there are RMT_LOG_NOTES already. */
void rmt_log_note(struct rmt_log *log, int level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));
/* Moves the notes to out, if there is somebody to tell. */
void rmt_log_take(struct rmt_log *log, struct rmt_log *out);
/* Says what was taken. No lock is held. */
void rmt_log_say(const struct rmt_log *taken);

#endif
