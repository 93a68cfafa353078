/* SPDX-License-Identifier: MIT */
/*
 * graph.h - what follows from the versions that were ever made: which are still there, what two
 * have in common, and what a merge gives.
 *
 * By the definitions (store/versions.h V4, store/merged.h E1 to E3), and by searching all there
 * is: nothing is remembered but who stands on whom and has merged whom.
 */
#ifndef GRAPH_H
#define GRAPH_H

#include "model/model.h"

/* Of the versions of a store, by their indexes. */
struct graph_set {
    bool *has; /* owned; [count] */
    size_t count;
};
void graph_set_fini(struct graph_set *set);
RMT_AUTO_VALUE(graph_set_fini, struct graph_set)

/* Those that are there: heads, what somebody keeps or pins, where lines part, and what a later
 * version on its line, and somebody else, have. */
void graph_alive(const struct model_store *s, struct graph_set *out);
/* All that a version has: what it stands on and has merged, and itself. */
void graph_has(const struct model_store *s, int v, struct graph_set *out);
bool graph_stands_on(const struct model_store *s, int v, int what);
/* The version below, of those that are there; -1: none. */
int graph_below(const struct model_store *s, int v);
/* The best common ancestors, newest first; out has room for all versions. Returns how many. */
size_t graph_bases(const struct model_store *s, int a, int b, int *out);

/* ---- merging --------------------------------------------------------------------------------- */

struct graph_merge {
    uint64_t id;        /* as ramet_merge_result; 0: of the version that was made */
    uint64_t base;      /* the same */
    uint64_t changes;   /* the same; of a fast-forward too */
    uint64_t conflicts; /* the same */
    size_t bases;       /* how many are equally good */
    bool fast_forward, up_to_date;
    bool unpins;               /* the source was pinned: what one that died had pinned is not */
    bool made;                 /* the branch has another head, or pins are others */
    uint64_t changes_digest;   /* of all that a change callback is told */
    uint64_t conflicts_digest; /* of all that a conflict callback is told */
};

/* The rule's function that the model knows: the greater one by its hash; of two of which one is
 * absent, that one or neither. ctx is not used. */
int graph_merge_function(void *ctx, const struct ramet_conflict *both, struct ramet_slice *out);

/* Each does what ramet does, or returns its code; out is filled if that is 0 or RAMET_ECONFLICT.
 * The branch has no writer. RAMET_MERGE_FAIL, OURS, THEIRS, COUNTER, MAX and FUNCTION. */
int graph_merge(struct model_store *s, const char *into, const char *from,
                const struct ramet_merge_options *options, struct graph_merge *out);
int graph_pick(struct model_store *s, const char *into, const char *ref, bool reverse,
               const struct ramet_merge_options *options, struct graph_merge *out);
int graph_tag(struct model_store *s, const char *branch, const char *name, const char *ref);

/* What the diff of two versions says (ramet_diff_next()), put together by graph_digest_change().
 * *out_count: how many times. options may be NULL. */
uint64_t graph_diff(const struct model_version *from, const struct model_version *to,
                    const struct ramet_diff_options *options, uint64_t *out_count);
uint64_t graph_digest_change(uint64_t digest, const struct ramet_change *change);
/* The same, with the id of the version before it, of one key; if it changed. from may be NULL. */
uint64_t graph_digest_entry(uint64_t digest, uint64_t id, const struct model_version *from,
                            const struct model_version *to, const char *map,
                            struct ramet_slice key);

#endif
