/* SPDX-License-Identifier: MIT */
/*
 * conflicts.h - an entry that both sides of a merge changed, as people and programs read it.
 */
#ifndef RMT_CLI_CONFLICTS_H
#define RMT_CLI_CONFLICTS_H

#include <stdbool.h>

#include "text.h"

/* Adds map and key, and the three values, a line each; or one line of JSON. */
void rmt_conflicts_add(struct rmt_buf *buf, const struct ramet_conflict *conflict, bool json);
/* Adds "1 conflict", "2 conflicts". */
void rmt_conflicts_number(struct rmt_buf *buf, uint64_t n);

#endif
