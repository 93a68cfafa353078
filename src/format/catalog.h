/* SPDX-License-Identifier: MIT */
/*
 * catalog.h - the records of the catalog, a B+tree that knows all branches, versions, deadlists,
 * limbo and sweeps. FORMAT.md 6.
 *
 * A key is one letter, then big-endian numbers or a name:
 *   b NAME                    branch            struct rmt_disk_branch
 *   v number                  version           struct rmt_disk_version
 *   i id                      snapshot by id    le64 number
 *   k branch number NAME      kept by a branch  struct rmt_disk_keep, author, message
 *   m number chunk            more of a message bytes
 *   n branch NAME             snapshot by name  le64 number
 *   d owner bucket list       deadlist          struct rmt_disk_list, runs
 *   e line line id id         edge of a line    struct rmt_disk_edge
 *   l list chunk              more of a list    runs
 *   L freed list              limbo             struct rmt_disk_list, runs
 *   s number                  sweep             struct rmt_disk_sweep
 *   g version source          has merged it     nothing
 *   G source version          the other way     nothing
 *   p source target           branch merged     struct rmt_disk_pin
 *   P target source           the other way     nothing
 *   w NAME                    cursor of a watcher struct rmt_disk_cursor, name of its branch
 *   H list                    holes             struct rmt_disk_list, runs
 *
 * Numbers of versions, branches, lists and sweeps are drawn from one counter and never used twice.
 */
#ifndef RMT_CATALOG_FORMAT_H
#define RMT_CATALOG_FORMAT_H

#include "format/disk.h"

struct rmt_disk_branch { /* FORMAT.md 6.1 */
    rmt_le64 number;
    rmt_le64 head;      /* number of its version */
    rmt_le64 snapshots; /* how many it keeps */
    rmt_le64 time_us;   /* when it was made */
};
static_assert(sizeof(struct rmt_disk_branch) == 32, "FORMAT.md 6.1");

#define RMT_VERSION_HEAD 1u
#define RMT_VERSION_MERGED 2u /* has keys g */
#define RMT_VERSION_SOURCE 4u /* may have keys G */

struct rmt_disk_version {     /* FORMAT.md 6.2 */
    rmt_le64 id;              /* of the commit that last moved it */
    struct rmt_disk_ref root; /* of the tree of its maps; none: it has no map */
    rmt_le64 prev;            /* number of the snapshot it stands on; 0: none */
    rmt_le64 generation;      /* 1 + that of prev */
    rmt_le64 skip;            /* number of an ancestor further up, for jumps; it may be gone */
    rmt_le64 parents[2];      /* ids, as history has it */
    rmt_le64 time_us;
    rmt_le64 total_pages; /* that it reaches */
    rmt_le64 owned_pages; /* of these born after prev */
    rmt_le64 dead;        /* its deadlist: owner in keys d */
    rmt_le64 child;       /* all its children's numbers, xored */
    rmt_le32 children;
    rmt_le32 kept;   /* keys k that name it */
    rmt_le32 flags;  /* RMT_VERSION_HEAD and so on */
    rmt_le32 pinned; /* other keys that need it */
    rmt_le32 merges; /* on the way up to the first version, those that have merged something */
    rmt_le32 zero;
    rmt_le64 line; /* number of the head that became it; of a head its own */
};
static_assert(sizeof(struct rmt_disk_version) == 136, "FORMAT.md 6.2");
static_assert(offsetof(struct rmt_disk_version, prev) == 24, "FORMAT.md 6.2");
static_assert(offsetof(struct rmt_disk_version, children) == 104, "FORMAT.md 6.2");
static_assert(offsetof(struct rmt_disk_version, pinned) == 116, "FORMAT.md 6.2");
static_assert(offsetof(struct rmt_disk_version, line) == 128, "FORMAT.md 6.2");

struct rmt_disk_edge { /* FORMAT.md 6.11 */
    rmt_le64 number;   /* of the snapshot that it leads to, whose id ends the key */
    rmt_le64 best_id;  /* of the newest that it, or one before it between these lines, leads to */
    rmt_le64 best;     /* number of that */
};
static_assert(sizeof(struct rmt_disk_edge) == 24, "FORMAT.md 6.11");

struct rmt_disk_pin { /* FORMAT.md 6.8 */
    rmt_le64 base;    /* number of a snapshot; 0: none */
    rmt_le64 next;
};
static_assert(sizeof(struct rmt_disk_pin) == 16, "FORMAT.md 6.8");

struct rmt_disk_keep { /* FORMAT.md 6.3; behind it the author, and what fits of the message */
    rmt_le64 time_us;
    rmt_le32 author_size;
    rmt_le32 message_size; /* all of it; what does not fit is in keys m */
    rmt_le64 message;      /* number of these; 0: none */
};
static_assert(sizeof(struct rmt_disk_keep) == 24, "FORMAT.md 6.3");

struct rmt_disk_list {             /* FORMAT.md 6.4; behind it the newest runs */
    rmt_le64 birth_min, birth_max; /* of its pages */
    rmt_le64 pages;
    rmt_le32 chunks;  /* keys l with more of it, numbered from 0 */
    rmt_le32 nr_runs; /* in this record */
};
static_assert(sizeof(struct rmt_disk_list) == 32, "FORMAT.md 6.4");

struct rmt_disk_list_run {
    rmt_le48 addr;
    rmt_le48 birth;
    rmt_le32 len;
};
static_assert(sizeof(struct rmt_disk_list_run) == 16, "FORMAT.md 6.4");
#define RMT_LIST_RUNS_MAX 56 /* of a record: it must not become an extent */

struct rmt_disk_cursor { /* FORMAT.md 6.10; behind it the name of its branch */
    rmt_le64 number;     /* drawn as that of a branch is */
    rmt_le64 at;         /* number of the snapshot that was acknowledged last; 0: nothing was */
    rmt_le64 next;       /* number of the one that was given out; 0: none */
    rmt_le64 branch;     /* number of the branch, when it was acknowledged */
    rmt_le64 line;       /* number of the branch's head then; 0: it was not its head */
    rmt_le64 time_us;    /* when it was */
};
static_assert(sizeof(struct rmt_disk_cursor) == 48, "FORMAT.md 6.10");

#define RMT_SWEEP_DEPTH_MAX 52
struct rmt_disk_sweep { /* FORMAT.md 6.5 */
    struct rmt_disk_ref root;
    rmt_le64 horizon;                   /* pages born after it are to be freed */
    rmt_le64 left;                      /* pages still to be freed */
    rmt_le32 depth;                     /* of path; 0: not begun */
    rmt_le16 path[RMT_SWEEP_DEPTH_MAX]; /* the child under way in each page from the root on; in the
                                           last, the next */
    uint8_t zero[4];
};
static_assert(sizeof(struct rmt_disk_sweep) == 144, "FORMAT.md 6.5");

struct rmt_disk_conflict { /* FORMAT.md 6.9; behind it the values that are there */
    rmt_le64 sizes[3];     /* of base, ours, theirs; UINT64_MAX: absent */
};
static_assert(sizeof(struct rmt_disk_conflict) == 24, "FORMAT.md 6.9");

#define RMT_MAP_KIND 1u
struct rmt_disk_map { /* FORMAT.md 6.6: in the tree of a version: name -> this */
    struct rmt_disk_ref root;
    rmt_le64 count;
    rmt_le32 kind; /* RMT_MAP_KIND */
    rmt_le32 zero;
};
static_assert(sizeof(struct rmt_disk_map) == 32, "FORMAT.md 6.6");

#endif
