/* SPDX-License-Identifier: MIT */
/* blob.h - the pages of a blob, for those who know that it is a map. */
#ifndef RMT_BLOB_H
#define RMT_BLOB_H

#include "store/txn.h"

/* The key of a page, put into buf. */
#define RMT_BLOB_KEY_SIZE 8u
static inline struct ramet_slice rmt_blob_key(uint64_t page, uint8_t buf[RMT_BLOB_KEY_SIZE])
{
    rmt_put_be64(buf, page);
    return rmt_slice(buf, RMT_BLOB_KEY_SIZE);
}

/* Reads whole pages, holes too, and verifies them. Any number of threads at once, if nobody writes
 * the blob. */
int rmt_blob_pages(const struct ramet_map *blob, uint64_t page, uint64_t count, void *buf);
/* That it can be written to by its transaction. what: the call, for a message. */
int rmt_blob_writable(const struct ramet_map *blob, const char *what);
/* Pages [from, end) that are no holes, in order, with their records. An answer that is not 0 stops
 * it, and is returned. */
typedef int (*rmt_blob_walk_fn)(void *ctx, uint64_t page, const struct rmt_value *value);
int rmt_blob_walk(const struct ramet_map *map, uint64_t from, uint64_t end, rmt_blob_walk_fn fn,
                  void *ctx);
/* Judges the entry of a page. */
int rmt_blob_page_check(const struct ramet_map *blob, const struct rmt_value *value, uint64_t page);

#endif
