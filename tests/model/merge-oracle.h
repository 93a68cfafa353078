/* SPDX-License-Identifier: MIT */
/*
 * merge-oracle.h - what a three-way merge of small maps gives, by its definition, and all small
 * maps there are.
 *
 * Shares nothing with the engine's merge: keys are looked up one by one, sets and integers are read
 * in the plainest way. No RAMET_MERGE_TEXT: what that gives is up to libgit2.
 */
#ifndef MERGE_ORACLE_H
#define MERGE_ORACLE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/vec.h"

struct oracle_entry {
    struct ramet_slice key, value; /* borrowed; data of a value is not NULL */
};

struct oracle_map {
    const struct oracle_entry *entries; /* in any order, each key once */
    size_t count;
};

/* The value of a key; absent: data NULL. */
struct ramet_slice oracle_get(const struct oracle_map *map, struct ramet_slice key);

/* ---- merge ----------------------------------------------------------------------------------- */

/* Decides a key instead of a policy: one of enum ramet_merged. *out as long as the result. */
typedef int (*oracle_fn)(void *ctx, const struct ramet_conflict *both, struct ramet_slice *out);

struct oracle_rule {
    const char *prefix; /* of keys; "": all */
    int policy;
    oracle_fn fn; /* of RAMET_MERGE_FUNCTION */
    void *ctx;
};

struct oracle_result {
    RMT_VEC(struct oracle_entry) merged;      /* by key; where there is a conflict, as ours is */
    RMT_VEC(struct ramet_conflict) conflicts; /* by key; map is NULL */
    uint64_t changes;                         /* keys that merged has otherwise than ours */
    struct rmt_arena arena;                   /* values that are no side's */
};

/* The first rule that fits a key decides it; where none does, RAMET_MERGE_FAIL. out is made anew,
 * and leans on the maps. Aborts without memory. */
void oracle_merge(const struct oracle_map *base, const struct oracle_map *ours,
                  const struct oracle_map *theirs, const struct oracle_rule *rules, size_t nr_rules,
                  struct oracle_result *out);
void oracle_result_fini(struct oracle_result *result);

/* merged, as a map. */
static inline struct oracle_map oracle_merged(const struct oracle_result *result)
{
    return (struct oracle_map){result->merged.items, result->merged.count};
}

/* ---- all small maps -------------------------------------------------------------------------- */

/* Keys a, b, c; each absent, or with one of two values; in base, ours and theirs. */
#define ORACLE_KEYS 3u
#define ORACLE_CASES (27u * 27u * 27u)

struct oracle_case {
    struct oracle_map base, ours, theirs;
    struct oracle_entry entries[3][ORACLE_KEYS]; /* of these: a case is not to be copied */
};

/* The nth, n below ORACLE_CASES. values: two, borrowed as long as the case. */
void oracle_case_init(struct oracle_case *c, uint32_t n, const struct ramet_slice *values);

#endif
