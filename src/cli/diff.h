/* SPDX-License-Identifier: MIT */
/*
 * diff.h - one difference as a line: sign, map, key and values, or JSON.
 */
#ifndef RMT_CLI_DIFF_H
#define RMT_CLI_DIFF_H

#include <stdbool.h>

#include "text.h"

struct rmt_diff_style {
    bool json;
    const char *red, *green, *yellow, *plain; /* of text; "" where there is no colour */
};

void rmt_diff_style_init(struct rmt_diff_style *style, bool json);
/* Adds the line. A value that its kind has and that is not at hand (data NULL) is written "\..."
 * in text, which no bytes are, and null in JSON. */
void rmt_diff_add(struct rmt_buf *buf, const struct rmt_diff_style *style,
                  const struct ramet_change *change);

#endif
