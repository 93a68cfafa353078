/* SPDX-License-Identifier: MIT */
/*
 * policy.h - what becomes of a key that both sides of a merge changed.
 *
 * Knows three values and a policy (enum ramet_merge_policy); not where they come from.
 *
 * What all policies have in common:
 *   P1  a side that is as the base is gives way to the other, byte for byte
 *   P2  sides that are equal are no conflict. But a counter to which both added the same went up
 *       twice: a caller must not decide for itself what becomes of equal sides
 *   P3  what is not of the form that a policy asks for is a conflict, unless P1 or P2 decides
 *   P4  ours and theirs may change places: so may OURS and THEIRS then, and the result is the same
 */
#ifndef RMT_POLICY_H
#define RMT_POLICY_H

#include "base/base.h"
#include "base/vec.h"

/* Memory for values that are no side's: all zero is empty, rmt_policy_scratch_fini() frees it. One
 * serves a whole merge. */
struct rmt_policy_scratch {
    RMT_VEC(char) bytes;
};

static inline void rmt_policy_scratch_fini(struct rmt_policy_scratch *scratch)
{
    rmt_vec_fini(&scratch->bytes);
}
RMT_AUTO_VALUE(rmt_policy_scratch_fini, struct rmt_policy_scratch)

/* Room for size bytes, and what was in scratch is gone. -ENOMEM: with a message. */
int rmt_policy_room(const struct ramet_conflict *both, struct rmt_policy_scratch *scratch,
                    size_t size);

/*
 * policy: any but RAMET_MERGE_FUNCTION. both: borrowed; none of its values is in scratch.
 * *out, of RAMET_MERGED_VALUE alone: one of both's values, or in scratch until that is used again.
 *
 * Returns one of enum ramet_merged; -ENOMEM; and with RAMET_MERGE_TEXT -EOPNOTSUPP.
 */
int rmt_policy_merge(int policy, const struct ramet_conflict *both,
                     struct rmt_policy_scratch *scratch, struct ramet_slice *out);

#endif
