/* SPDX-License-Identifier: MIT */
/* watch.h - the cursors of watchers, for `stat` too. */
#ifndef RMT_CLI_WATCH_H
#define RMT_CLI_WATCH_H

#include <jansson.h>

#include <ramet.h>

#include "table.h"

/* Both return what ramet_watch_cursor_list() did. add_size: adds a cell. */
int rmt_watch_json_cursors(struct ramet_store *store, json_t *array);
int rmt_watch_print_cursors(struct ramet_store *store,
                            void (*add_size)(struct rmt_table *table, void *ctx, uint64_t bytes),
                            void *ctx);

#endif
