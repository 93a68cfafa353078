/* SPDX-License-Identifier: MIT */
/*
 * catalog.h - the catalog's records, read and written by key (format/catalog.h has their bytes).
 *
 * Readers pass the page store and a tree; a commit changes its own tree. Lookups return
 * RAMET_ENOTFOUND without a message; whoever knows what it means to the user says it.
 */
#ifndef RMT_CATALOG_H
#define RMT_CATALOG_H

#include "store/store.h"

struct rmt_key {
    uint8_t bytes[1 + 4 * 8 + RAMET_NAME_MAX];
    size_t size;
};

struct rmt_key rmt_key_name(char kind, const char *name);   /* b */
struct rmt_key rmt_key1(char kind, uint64_t a);             /* v i s; prefix of others */
struct rmt_key rmt_key2(char kind, uint64_t a, uint64_t b); /* L */
struct rmt_key rmt_key3(char kind, uint64_t a, uint64_t b, uint64_t c);             /* d */
struct rmt_key rmt_key4(char kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d); /* e */
struct rmt_key rmt_key_chunk(char kind, uint64_t a, uint32_t chunk);                /* l m */
struct rmt_key rmt_key1_name(char kind, uint64_t a, const char *name);              /* n */
struct rmt_key rmt_key2_name(char kind, uint64_t a, uint64_t b, const char *name);  /* k */

static inline struct ramet_slice rmt_key_slice(const struct rmt_key *key)
{
    return rmt_slice(key->bytes, key->size);
}

/* A version, decoded. */
struct rmt_version {
    uint64_t number; /* not in the record */
    uint64_t id;
    struct rmt_ref root;
    uint64_t prev, generation, skip, parents[2];
    int64_t time_us;
    uint64_t total_pages, owned_pages, dead, child, line;
    uint32_t children, kept, pinned, flags, merges;
};

struct rmt_branch {
    uint64_t number, head, snapshots;
    int64_t time_us;
};

/* A record of a fixed size, or the beginning of a longer one. RAMET_ECORRUPT if it is shorter. */
int rmt_catalog_get(struct rmt_pages *pages, const struct rmt_tree *tree, const struct rmt_key *key,
                    void *out, size_t size);
/* Decodes a branch's record. RAMET_ECORRUPT without a message if it is too short. */
int rmt_branch_load(struct ramet_slice record, struct rmt_branch *out);
int rmt_catalog_branch(struct rmt_pages *pages, const struct rmt_tree *tree, const char *name,
                       struct rmt_branch *out);
int rmt_catalog_version(struct rmt_pages *pages, const struct rmt_tree *tree, uint64_t number,
                        struct rmt_version *out);
/* What v, which is not out, stands on; v->prev is not 0. Ids descend, or it is RAMET_ECORRUPT: so
 * the way up ends. */
int rmt_catalog_below(struct rmt_pages *pages, const struct rmt_tree *tree,
                      const struct rmt_version *v, struct rmt_version *out);
/* RAMET_ECORRUPT: a version of this id cannot have another one, which it stands on or has merged.
 */
int rmt_version_older(const struct rmt_pages *pages, const struct rmt_version *other,
                      const struct rmt_version *than);
/* rmt_catalog_version() of one that may be gone: RAMET_ENOTFOUND without a message. */
int rmt_catalog_find_version(struct rmt_pages *pages, const struct rmt_tree *tree, uint64_t number,
                             struct rmt_version *out);
/* The number in a record i or n. */
int rmt_catalog_number(struct rmt_pages *pages, const struct rmt_tree *tree,
                       const struct rmt_key *key, uint64_t *out);

/* A record k: what a branch keeps of a snapshot. */
struct rmt_kept {
    uint64_t number; /* of the snapshot */
    int64_t time_us;
    char name[RAMET_NAME_MAX + 1], author[RAMET_NAME_MAX + 1]; /* empty: none */
    char *message;                                             /* owned */
};
/* Judges and decodes one, the key without its kind and branch. On failure there is no message. */
int rmt_catalog_kept(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                     struct ramet_slice record, struct rmt_kept *out);
void rmt_kept_fini(struct rmt_kept *kept);
/* What a caller is told of it. branch: its name. The strings are those of kept. */
void rmt_kept_info(const struct rmt_pages *pages, const struct rmt_kept *kept,
                   const struct rmt_version *v, const char *branch,
                   struct ramet_snapshot_info *out);
RMT_AUTO_VALUE(rmt_kept_fini, struct rmt_kept)

/* Judges and decodes a version record. */
int rmt_version_load(const struct rmt_pages *pages, uint64_t number, struct ramet_slice record,
                     struct rmt_version *out);

/* Its record. */
void rmt_version_save(const struct rmt_version *v, struct rmt_disk_version *out);

int rmt_catalog_put(struct rmt_commit *c, const struct rmt_key *key, const void *data, size_t size);
int rmt_catalog_put_branch(struct rmt_commit *c, const char *name, const struct rmt_branch *branch);
int rmt_catalog_put_version(struct rmt_commit *c, const struct rmt_version *version);
int rmt_catalog_put_number(struct rmt_commit *c, const struct rmt_key *key, uint64_t number);
/* RAMET_ECORRUPT if it is not there. */
int rmt_catalog_del(struct rmt_commit *c, const struct rmt_key *key);

/* ---- walking over records of one kind -------------------------------------------------------- */

struct rmt_scan {
    struct rmt_cursor cursor;
    struct rmt_key prefix;
    uint64_t from;          /* set after init: the number behind the prefix to begin at */
    struct ramet_slice key; /* of the record at hand, without the prefix */
    struct ramet_slice value;
};

/* Begins before the first record whose key starts with prefix. The tree may be changed between
 * steps. */
void rmt_scan_init(struct rmt_scan *scan, struct rmt_pages *pages, const struct rmt_tree *tree,
                   const struct rmt_key *prefix);
void rmt_scan_fini(struct rmt_scan *scan);
RMT_AUTO_VALUE(rmt_scan_fini, struct rmt_scan)
/* 1: a record is at hand, until the next change of the tree; 0: no more; or a code. */
int rmt_scan_next(struct rmt_scan *scan);

/* Names of branches, snapshots and maps: 1 to RAMET_NAME_MAX bytes, no control bytes; of branches
 * and snapshots: no '@'. -EINVAL. what: "branch", for the message. */
int rmt_name_check(const char *what, const char *name, bool at);

/* ---- refs ------------------------------------------------------------------------------------ */

struct rmt_found {
    struct rmt_version version;
    uint64_t branch;  /* number; 0: the ref names a snapshot */
    size_t name_size; /* bytes of the ref that are the branch's name: `main~0` is `main` */
    uint64_t below;   /* the N of ~N */
};

/* What a ref (`main`, `main@NAME`, `@ID`, and ~N of each; NULL: main) names. RAMET_ENOTFOUND,
 * -EINVAL with a message. */
int rmt_ref_find(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *ref,
                 struct rmt_found *out);

#endif
