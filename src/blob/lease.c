/* SPDX-License-Identifier: MIT */
/* lease.c - who is the one that writes to a blob for longer than a transaction. */
#include "base/hash.h"
#include "store/catalog.h"
#include "store/claims.h"

struct ramet_lease {
    struct ramet_store *store;
    uint64_t byte;
};

/* Two blobs that had the same byte, one chance in 2^61, would take turns: that is all. */
static uint64_t byte_of(uint64_t branch, const char *name)
{
    return RMT_BYTE_LEASE + (rmt_hash(name, strlen(name), branch) >> 3);
}

static int find_branch(struct ramet_store *store, const char *name, struct rmt_branch *out)
{
    struct rmt_moment moment;
    int rc = rmt_moment_open(store, &moment);
    if (rc < 0)
        return rc;
    rc = rmt_catalog_branch(&store->pages, &moment.catalog, name, out);
    rmt_moment_close(&moment);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such branch", name);
    return rc;
}

int ramet_blob_lease(struct ramet_store *store, const char *branch, const char *name,
                     unsigned flags, struct ramet_lease **out)
{
    struct rmt_branch found;
    if (!store || !branch || !name || !out || flags & ~(unsigned)RAMET_NOWAIT)
        return rmt_fail(-EINVAL, "ramet_blob_lease: store, branch, name, flags or out");
    int rc = rmt_store_usable(store);
    if (rc == 0)
        rc = rmt_name_check("branch", branch, false);
    if (rc == 0)
        rc = rmt_name_check("blob", name, true);
    if (rc == 0)
        rc = rmt_store_writable(store);
    if (rc == 0)
        rc = find_branch(store, branch, &found);
    if (rc < 0)
        return rc;
    rmt_auto(free) struct ramet_lease *lease = malloc(sizeof(*lease));
    if (!lease)
        return rmt_fail(-ENOMEM, "a lease");
    *lease = (struct ramet_lease){store, byte_of(found.number, name)};
    rc = rmt_claim(store, lease->byte, !(flags & RAMET_NOWAIT));
    if (rc == -EBUSY || rc == -EAGAIN)
        return rmt_fail(-EBUSY,
                        "blob '%s' of branch '%s' is leased: it is served, or being written", name,
                        branch);
    if (rc == 0)
        *out = rmt_take(lease);
    return rc;
}

void ramet_lease_end(struct ramet_lease *lease)
{
    if (!lease)
        return;
    rmt_claim_end(lease->store, lease->byte);
    free(lease);
}
