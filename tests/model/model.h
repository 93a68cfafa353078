/* SPDX-License-Identifier: MIT */
/*
 * model.h - what a store should hold, in the plainest way: sorted arrays, copied when shared.
 *
 * A version is the contents of one branch at one time; it never changes once it is shared. Values
 * are not kept but described by a seed and a size: model_value() makes their bytes, and their hash
 * is remembered.
 */
#ifndef MODEL_H
#define MODEL_H

#include "base/base.h"
#include "base/vec.h"

/* ---- random numbers -------------------------------------------------------------------------- */

static inline uint64_t model_mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t model_random(uint64_t *state, uint64_t below)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return model_mix(*state) % below;
}

/* ---- contents -------------------------------------------------------------------------------- */

struct model_key {
    unsigned refs; /* atomic */
    uint32_t size;
    uint8_t bytes[];
};

struct model_entry {
    struct model_key *key;
    uint64_t seed, size, hash; /* of the value */
    bool unknown; /* in a base that was put together: its parts disagree, and it is like nothing */
};

/* What a key has, or that it has nothing. */
struct model_content {
    bool there;
    uint64_t seed, size, hash;
};

/* An entry that a merge noted, for somebody to decide. */
struct model_conflict {
    char map[32];
    struct model_key *key;
    struct model_content base, ours, theirs;
};

struct model_map {
    unsigned refs; /* atomic */
    char name[32];
    RMT_VEC(struct model_entry) entries; /* by key */
};

struct model_version {
    unsigned refs;                            /* atomic */
    RMT_VEC(struct model_map *) maps;         /* by name */
    RMT_VEC(struct model_conflict) conflicts; /* by map and key */
    uint64_t digest;                          /* atomic; 0: not known */
};

/* Fills buf with len bytes of a value from off on. */
void model_value(uint64_t seed, uint64_t off, void *buf, size_t len);
/* The seed of a number in decimal, of 47 bits; *out_size: of the value. */
uint64_t model_number(int64_t n, uint64_t *out_size);
/* True: these are all the bytes of the value. */
bool model_value_is(const struct model_entry *entry, const void *data, size_t size);

struct model_version *model_version_new(void);
struct model_version *model_version_ref(struct model_version *v);
void model_version_unref(struct model_version *v);
/* A copy that may be changed; its maps are shared until they are. */
struct model_version *model_version_copy(const struct model_version *v);
/* NULL: there is none. */
const struct model_map *model_version_map(const struct model_version *v, const char *name);
/* The map, to be changed; made if it is not there. */
struct model_map *model_version_edit(struct model_version *v, const char *name);
void model_version_drop(struct model_version *v, const char *name);
/* The same number for the same contents; what a scan of the store gives by model_digest_*(). Of
 * versions that do not change any more. */
uint64_t model_version_digest(struct model_version *v);

/* Number of keys below key; *out_found: the next one is key itself. */
size_t model_map_seek(const struct model_map *m, struct ramet_slice key, bool *out_found);
/* NULL: absent. */
const struct model_entry *model_map_get(const struct model_map *m, struct ramet_slice key);
void model_map_put(struct model_map *m, struct ramet_slice key, uint64_t seed, uint64_t size,
                   uint64_t hash);
void model_map_del(struct model_map *m, size_t first, size_t count);

/* The digest of a version is these, in order: of every map by name, of every entry by key. */
#define MODEL_DIGEST_EMPTY UINT64_C(1)
uint64_t model_digest_map(uint64_t digest, const char *name);
uint64_t model_digest_entry(uint64_t digest, struct ramet_slice key, uint64_t size, uint64_t hash);
/* Then of every conflict that was noted, by map and key. */
uint64_t model_digest_conflict(uint64_t digest, const struct ramet_conflict *both);
uint64_t model_digest_noted(uint64_t digest, const struct model_conflict *conflict);

/* The entry of a conflict; count of them: there is none. */
size_t model_conflict_find(const struct model_version *v, const char *map, struct ramet_slice key);
void model_conflict_add(struct model_version *v, const char *map, struct ramet_slice key,
                        const struct model_content values[3]);
void model_conflict_remove(struct model_version *v, size_t i);

/* ---- a store --------------------------------------------------------------------------------- */

#define MODEL_NAME 32

/* A version that was ever made; graph.h has what follows from that. */
struct model_node {
    uint64_t id; /* 0: not known yet, or it was no version */
    int prev;    /* what it stands on; -1: nothing */
    int source;  /* that it merged; -1: nothing */
    struct model_version *version;
};

struct model_branch {
    char name[MODEL_NAME];
    uint64_t id; /* of the head; 0: not known yet */
    int node;    /* the head */
    struct model_version *head;
};

/* That a branch keeps a snapshot, under a name or none (""). */
struct model_keep {
    char branch[MODEL_NAME];
    char name[MODEL_NAME];
    uint64_t id; /* 0: not known yet */
    int node;
    struct model_version *version;
};

/* What a branch merged last of another is pinned. */
struct model_pin {
    char source[MODEL_NAME], target[MODEL_NAME]; /* source "": of none */
    int base;                                    /* -1: none */
    int next; /* what a merge that died was about to merge; -1: none */
};

struct model_store {
    RMT_VEC(struct model_branch) branches; /* by name */
    RMT_VEC(struct model_keep) keeps;      /* by branch, id, name; unknown ids last */
    RMT_VEC(struct model_node) nodes;      /* by id */
    RMT_VEC(struct model_pin) pins;
};

/* As a new store is: an empty main. */
void model_store_init(struct model_store *s);
void model_store_fini(struct model_store *s);
void model_store_copy(const struct model_store *from, struct model_store *out);

struct model_branch *model_store_branch(struct model_store *s, const char *name);
struct model_keep *model_store_keep(struct model_store *s, const char *branch, const char *name);

/* Each does what ramet does, or returns its code. They take no version: they take a reference. */
int model_branch_create(struct model_store *s, const char *name, const char *from_ref);
int model_branch_delete(struct model_store *s, const char *name);
int model_branch_reset(struct model_store *s, const char *name, const char *ref);
int model_snapshot_create(struct model_store *s, const char *branch, const char *name);
int model_snapshot_delete(struct model_store *s, const char *ref);
/* The head of the branch moves to v, and is kept as name (NULL: not kept). model_learn() follows.
 */
int model_commit(struct model_store *s, const char *branch, struct model_version *v,
                 const char *name);
/* The id of what a branch moved to is known. One that its version had before: it did not move. */
void model_learn(struct model_store *s, struct model_branch *branch, uint64_t id);
/* What a ref leads to; *out_id may be 0. */
int model_store_find(struct model_store *s, const char *ref, struct model_version **out,
                     uint64_t *out_id);
int model_store_find_node(struct model_store *s, const char *ref, int *out);

/* A version is made, upon prev, and merged with source (-1: none). */
int model_node_add(struct model_store *s, struct model_version *v, int prev, int source);
/* The branch's head is another version. */
void model_branch_move(struct model_store *s, struct model_branch *branch, int node);
/* The branch keeps a version by a name, or none (""). */
int model_keep_add(struct model_store *s, const char *branch, int node, const char *name);
/* The branch keeps it no more. */
void model_keep_remove(struct model_store *s, size_t i);
/* What a merge that died had pinned is pinned no more. */
void model_unpin_next(struct model_store *s, const char *source, const char *target);
/* What was merged of source into target, to be changed; NULL: nothing. */
struct model_pin *model_pin_find(struct model_store *s, const char *source, const char *target);

#endif
