/* SPDX-License-Identifier: MIT */
/*
 * text.h - RAMET_MERGE_TEXT: two edits of a text are put together line by line, by libgit2.
 *
 * libgit2 is loaded when the first text is merged, and stays. It is not linked: that would load 16
 * libraries more into every program that uses this one, and `ramet version` would take 3.6 ms
 * instead of 0.9.
 */
#ifndef RMT_TEXT_H
#define RMT_TEXT_H

#include "version/policy.h"

/* A diff of texts without a line in common takes time that grows with the square of their lines:
 * about 20 seconds for so many. A text of more is a conflict. */
#define RMT_TEXT_LINES_MAX ((size_t)1 << 20)

/* The file that is loaded; "" if this was built without. */
extern const char rmt_text_library[];

/* rmt_policy_merge() of two sides that differ from the base and from each other. -EOPNOTSUPP:
 * libgit2 is not there, or was not when this was built. */
int rmt_text_merge(const struct ramet_conflict *both, struct rmt_policy_scratch *scratch,
                   struct ramet_slice *out);

#endif
