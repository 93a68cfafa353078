/* SPDX-License-Identifier: MIT */
/*
 * difflines.h - how two versions differ, a line for each difference.
 *
 *   + MAP KEY VALUE       it was added
 *   - MAP KEY VALUE       it was removed
 *   ~ MAP KEY OLD NEW     it was changed
 *   + MAP, - MAP          a map was created, dropped
 *
 * Words are separated by tabs, and escaped as in TSV. A value that its kind has and that is not at
 * hand (data NULL) is "\..." there, which no bytes are, and null in JSON.
 */
#ifndef RMT_CLI_DIFFLINES_H
#define RMT_CLI_DIFFLINES_H

#include <stdbool.h>

#include "output.h"
#include "text.h"

struct rmt_difflines_style {
    bool json;
    const char *red, *green, *yellow, *plain; /* of text; "" where there is no colour */
};

/* '+', '-' or '~' */
char rmt_difflines_sign(const struct ramet_change *change);
bool rmt_difflines_has_old(const struct ramet_change *change);
bool rmt_difflines_has_new(const struct ramet_change *change);

/* Of standard output. */
void rmt_difflines_style_init(struct rmt_difflines_style *style, bool json);
/* Adds the line. */
void rmt_difflines_add(struct rmt_buf *buf, const struct rmt_difflines_style *style,
                       const struct ramet_change *change);
/* Prints it as text. */
void rmt_difflines_print(const struct ramet_change *change);
/* {"change": "changed", "map": "", "key": "", "old": "", "new": ""}; what its kind does not have
 * is not in it. */
json_t *rmt_difflines_object(const struct ramet_change *change);

#endif
