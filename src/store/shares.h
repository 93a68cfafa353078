/* SPDX-License-Identifier: MIT */
/*
 * shares.h - pages that several entries of a version refer to.
 *
 * Such an entry has the number of a page instead of a reference to it. A map of the version, whose
 * name no user has, leads from numbers to pages, and to how many entries there are. So every page
 * still has one reference in a version, and who owns it, and when it is free, is as of any other.
 *
 *   S1  every number that an entry has is in the map of its version, with a page and a count
 *   S2  the count is that of the entries that have the number; a number that none has is not there
 *   S3  a number stands for one page as long as an entry has it: so a leaf that two versions share
 *       means the same in both. On two branches one number may have become that of two pages
 *
 * A transaction notes what becomes of references (rmt_edit.refs). Those that were made are counted
 * before the call returns that made them, so that a full disk is met there; those that were given
 * up, when it commits: until then a count may be too large, and pages are there that no entry has.
 */
#ifndef RMT_SHARES_H
#define RMT_SHARES_H

#include "store/txn.h"

/* The map of a version, by the root of its maps. Without one: empty. */
int rmt_shares_load(struct rmt_pages *pages, struct rmt_ref root, struct rmt_tree *out);
/* That of a transaction's version, for the trees of its blobs; as long as the transaction. Any
 * number of threads at once of a read transaction. */
int rmt_shares_of(struct ramet_txn *txn, const struct rmt_tree **out);
/* The same, to be written: it is made if it is not there. */
int rmt_shares_open(struct ramet_txn *txn, struct ramet_map **out);
/* A transaction that reads has those that another one has committed; both have found theirs. */
void rmt_shares_again(struct ramet_txn *txn, const struct ramet_txn *committed);
/* A number that no page has. 0: there is none left. */
int rmt_shares_next(struct ramet_txn *txn, uint64_t *out);
/* Counts references that were made and given up since the last savepoint, if they are more runs.
 * If that fails, so does the transaction. */
int rmt_shares_count(struct ramet_txn *txn, size_t runs_max);
/* The same of all, for a commit. */
int rmt_shares_settle(struct ramet_txn *txn);

/*
 * rmt_shares_sum() - what the entries of a leaf add to a sum that is 0 of all of a version, if S1
 * and S2 hold.
 *
 * Of each number, the entry with its page, the one with its count, and those that refer to it are
 * worth so much, by two hashes of the number, that they cancel out. So of what a version has from
 * the one below only the sums are needed.
 *
 * @kind  of the map that the leaf is of: the byte that its name begins with.
 *
 * False: it has an entry that such a map cannot have.
 */
bool rmt_shares_sum(const struct rmt_pages *pages, const struct rmt_disk_node *leaf, int kind,
                    const uint64_t seeds[2], uint64_t *out);

#endif
