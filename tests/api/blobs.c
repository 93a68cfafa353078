/* SPDX-License-Identifier: MIT */
#include "api/blobs.h"

#include <stdlib.h>
#include <string.h>

int setup(void **state)
{
    (void)state;
    path[0] = 0;
    open_store(0);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    check();
    ramet_close(store);
    return 0;
}

struct ramet_txn *begin(const char *ref, unsigned flags)
{
    struct ramet_txn *txn;
    MUST(ramet_begin(store, ref, flags, &txn));
    return txn;
}

struct ramet_blob *blob_of(struct ramet_txn *txn, const char *name)
{
    struct ramet_blob *blob;
    MUST(ramet_blob_open(txn, name, 0, &blob));
    return blob;
}

struct ramet_blob *blob_new(struct ramet_txn *txn, const char *name)
{
    struct ramet_blob *blob;
    MUST(ramet_blob_open(txn, name, RAMET_CREATE, &blob));
    return blob;
}

void fill(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(chance(256) | 1);
}

static uint8_t *lent[8];
static size_t nr_lent;

void write_or_lend(struct ramet_blob *blob, uint64_t off, const uint8_t *bytes, size_t len)
{
    if (chance(2)) {
        MUST(ramet_blob_write(blob, off, bytes, len));
        return;
    }
    uint8_t *copy = malloc(len + 1);
    assert_non_null(copy);
    assert_true(nr_lent < sizeof(lent) / sizeof(lent[0]));
    memcpy(copy, bytes, len);
    lent[nr_lent++] = copy;
    MUST(ramet_blob_lend(blob, off, copy, len));
}

void take_back(void)
{
    while (nr_lent)
        free(lent[--nr_lent]);
}
