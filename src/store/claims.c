/* SPDX-License-Identifier: MIT */
#include "store/claims.h"

/* With claims_lock. */
static size_t find(const struct ramet_store *store, uint64_t byte)
{
    size_t i = 0;
    while (i < store->claims.count && store->claims.items[i] != byte)
        i++;
    return i;
}

static int list(struct ramet_store *store, uint64_t byte, bool wait)
{
    rmt_lock_scope(&store->claims_lock);
    while (find(store, byte) < store->claims.count) {
        if (!wait)
            return -EBUSY;
        rmt_lock_wait(&store->claims_lock, &store->claims_cond);
    }
    return rmt_vec_push(&store->claims, byte) ? 0 : rmt_fail(-ENOMEM, "a claim");
}

static void unlist(struct ramet_store *store, uint64_t byte)
{
    rmt_lock_scope(&store->claims_lock);
    size_t i = find(store, byte);
    rmt_assert(i < store->claims.count);
    store->claims.items[i] = store->claims.items[--store->claims.count];
    (void)pthread_cond_broadcast(&store->claims_cond);
}

int rmt_claim(struct ramet_store *store, uint64_t byte, bool wait)
{
    int rc = list(store, byte, wait);
    if (rc < 0)
        return rc;
    rc = store->io->ops->lock(store->io, byte, RMT_IO_LOCK_EXCLUSIVE, wait);
    if (rc < 0)
        unlist(store, byte);
    return rc;
}

bool rmt_claimed(struct ramet_store *store, uint64_t byte)
{
    rmt_lock_scope(&store->claims_lock);
    return find(store, byte) < store->claims.count || store->io->ops->locked(store->io, byte) > 0;
}

void rmt_claim_end(struct ramet_store *store, uint64_t byte)
{
    /* Closing drops it too. */
    (void)store->io->ops->lock(store->io, byte, RMT_IO_UNLOCK, true);
    unlist(store, byte);
}
