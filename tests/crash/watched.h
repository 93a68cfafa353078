/* SPDX-License-Identifier: MIT */
/* watched.h - an io that tells of each operation of its disk that a power cut can come before. */
#ifndef WATCHED_H
#define WATCHED_H

#include "io/io.h"

/* inner: taken. before_operation is called by whichever thread writes, flushes or grows the file,
 * which may hold locks of the engine. */
struct rmt_io *watched_new(struct rmt_io *inner, void (*before_operation)(void *ctx), void *ctx);

#endif
