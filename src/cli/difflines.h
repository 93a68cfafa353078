/* SPDX-License-Identifier: MIT */
/*
 * difflines.h - how two versions differ, a line for each difference.
 *
 *   + MAP KEY VALUE       it was added
 *   - MAP KEY VALUE       it was removed
 *   ~ MAP KEY OLD NEW     it was changed
 *   + MAP, - MAP          a map was created, dropped
 *
 * Words are separated by tabs, and escaped as in TSV. Without values the line ends at the key.
 */
#ifndef RMT_CLI_DIFFLINES_H
#define RMT_CLI_DIFFLINES_H

#include "output.h"

/* To standard output, in colour where that can be had. */
void rmt_difflines_print(const struct ramet_change *change);
/* {"kind": "changed", "map": "", "key": "", "old_value": "", "new_value": ""}; what is absent is
 * not in it. */
json_t *rmt_difflines_object(const struct ramet_change *change);

#endif
