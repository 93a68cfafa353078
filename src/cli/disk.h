/* SPDX-License-Identifier: MIT */
/*
 * disk.h - what the commands on disks have in common.
 */
#ifndef RMT_CLI_DISK_H
#define RMT_CLI_DISK_H

#include "session.h"

/* All return an exit status: RMT_EXIT_OK, or another after the error was said. */

/* The disk of the session's transaction. */
int rmt_disk_open(struct rmt_session *s, const char *name, struct ramet_blob **out);
/* Is the one who writes to a disk of the session's branch, with the store open. */
int rmt_disk_lease(struct rmt_session *s, const char *name, struct ramet_lease **out);

#endif
