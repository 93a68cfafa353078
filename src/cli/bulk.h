/* SPDX-License-Identifier: MIT */
/*
 * bulk.h - what the commands on many entries have in common.
 */
#ifndef RMT_CLI_BULK_H
#define RMT_CLI_BULK_H

#include "format.h"
#include "session.h"

/* The format that the options ask for, or the path's. A status. */
int rmt_bulk_format(const struct rmt_session *s, const char *path, const struct rmt_format **out);
/* Judges the words of a command that takes a map, a disk, or --all. A status. */
int rmt_bulk_words(const struct rmt_session *s);

#endif
