/* SPDX-License-Identifier: MIT */
/*
 * claims.h - what has one user at a time, among all handles of all processes: cursors that are
 * watched with, blobs that are leased.
 *
 * A claim is a byte lock, which falls when its process dies, and a place in store->claims, for the
 * locks of one handle do not exclude each other.
 */
#ifndef RMT_CLAIMS_H
#define RMT_CLAIMS_H

#include "store/store.h"

/* 0; -EBUSY, without a message: this handle has it; -EAGAIN, the same: another one has. wait:
 * neither, it waits. */
int rmt_claim(struct ramet_store *store, uint64_t byte, bool wait);
/* True: somebody has it, here or elsewhere. */
bool rmt_claimed(struct ramet_store *store, uint64_t byte);
void rmt_claim_end(struct ramet_store *store, uint64_t byte);

#endif
