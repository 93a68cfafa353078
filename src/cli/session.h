/* SPDX-License-Identifier: MIT */
/*
 * session.h - what a command has open: a store, a transaction, a map; and what it says when that
 * fails.
 *
 * main() closes the session, so a command may return from anywhere.
 */
#ifndef RMT_CLI_SESSION_H
#define RMT_CLI_SESSION_H

#include <ramet.h>

#include "args.h"
#include "output.h"
#include "text.h"

struct rmt_session {
    struct rmt_args args;
    const char *path;   /* of the store; for messages */
    const char *branch; /* -b, or main */
    struct ramet_store *store;
    struct ramet_txn *txn;
    struct ramet_cursor *cursor;
};

/* All of these return an exit status: RMT_EXIT_OK, or another after the error was said. */

/* flags: RAMET_READONLY and so on. */
int rmt_session_open(struct rmt_session *s, unsigned flags);
/* Opens, and begins a transaction on args.branch. */
int rmt_session_read(struct rmt_session *s);
int rmt_session_write(struct rmt_session *s);
int rmt_session_map(struct rmt_session *s, const char *name, unsigned flags,
                    struct ramet_map **out);
/* Says that the session's transaction has no map of that name. */
int rmt_session_no_map(struct rmt_session *s, const char *name);
int rmt_session_cursor(struct rmt_session *s, struct ramet_map *map);
void rmt_session_close_cursor(struct rmt_session *s);
/* out_id: of the new version. */
int rmt_session_publish(struct rmt_session *s, uint64_t *out_id);
/* The same; with args.json the new version's id is printed. */
int rmt_session_commit(struct rmt_session *s);
void rmt_session_abort(struct rmt_session *s);
void rmt_session_close(struct rmt_session *s);

/* Adds all of standard input, a value, to buf: before a transaction begins, for nobody should wait
 * for a writer who waits for a pipe. */
int rmt_session_slurp(struct rmt_buf *buf);
/* Reclaims to the end what was dropped, with progress. */
int rmt_session_reclaim(struct rmt_session *s);

/* Says "ramet: WHAT: the library's sentence; what to do". Returns RMT_EXIT_FAILED. */
__attribute__((format(printf, 2, 3))) int rmt_session_fail(int code, const char *fmt, ...);
/* For a wrong command line: says it and returns RMT_EXIT_USAGE. */
__attribute__((format(printf, 1, 2))) int rmt_session_usage(const char *fmt, ...);

#endif
