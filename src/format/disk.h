/* SPDX-License-Identifier: MIT */
/*
 * disk.h - the bytes of a store file: FORMAT.md is the law, this is its proof.
 *
 * No policy: sizes, offsets, and the limits of the format. Addresses and births have 48 bits. An id
 * (commit, birth) is legal if it is not 0 and its low 32 bits are not 0: these mean "none"
 * elsewhere.
 */
#ifndef RMT_DISK_H
#define RMT_DISK_H

#include "base/base.h"
#include "base/le.h"

#define RMT_FORMAT 1u
#define RMT_PAGE_SIZE_MIN 4096u
#define RMT_PAGE_SIZE_MAX 65536u
#define RMT_ID_MAX (((uint64_t)1 << 48) - 1)
#define RMT_ADDR_MAX (((uint64_t)1 << 48) - 1)
#define RMT_LEVEL_MAX 24 /* of a node; a leaf has level 0 */

/* FORMAT.md 2: the front of the file. Two blocks of 64 KiB; in each a slot and, in the next sector,
 * a seal. Pages that hold data begin behind them. */
#define RMT_BLOCK_SIZE 65536u
#define RMT_META_SIZE (2 * RMT_BLOCK_SIZE)
#define RMT_SECTOR_SIZE 512u

/* ---- 1. references --------------------------------------------------------------------------- */

struct rmt_disk_ref { /* FORMAT.md 1.1; all zero: none */
    rmt_le48 addr;    /* in pages */
    rmt_le48 birth;   /* id of the commit that wrote the page */
    rmt_le32 sum;     /* of a node: the low half of its checksum; of data: of its seeded checksum */
};
static_assert(sizeof(struct rmt_disk_ref) == 16, "FORMAT.md 1.1");
static_assert(offsetof(struct rmt_disk_ref, birth) == 6, "FORMAT.md 1.1");
static_assert(offsetof(struct rmt_disk_ref, sum) == 12, "FORMAT.md 1.1");

struct rmt_disk_run { /* FORMAT.md 1.2: pages of raw data, side by side, with one checksum */
    struct rmt_disk_ref ref;
    rmt_le32 pages; /* 1 to RMT_RUN_PAGES_MAX */
};
static_assert(sizeof(struct rmt_disk_run) == 20, "FORMAT.md 1.2");
static_assert(offsetof(struct rmt_disk_run, pages) == 16, "FORMAT.md 1.2");
#define RMT_RUN_PAGES_MAX 64u

/* ---- 3. slots and seals ---------------------------------------------------------------------- */

#define RMT_SLOT_MAGIC "ramet\r\n\x1a"
#define RMT_SEAL_MAGIC "rametsea"

#define RMT_SLOT_PREFLUSHED 1u /* the commit's pages were flushed before this slot was written */

struct rmt_disk_slot { /* FORMAT.md 3.1 */
    uint8_t magic[8];
    rmt_le32 format;
    rmt_le32 page_size;
    rmt_le32 refuse;   /* feature bits: unknown ones: do not open */
    rmt_le32 readonly; /* unknown ones: open read-only */
    rmt_le32 ignore;   /* unknown ones do not matter */
    rmt_le32 flags;    /* RMT_SLOT_* */
    uint8_t store_id[16];
    rmt_le64 id;      /* of the commit */
    rmt_le64 durable; /* newest id known to be durable when this was written */
    rmt_le64 ceiling; /* no page was stamped above it while this slot was the newest durable one */
    rmt_le64 pages;   /* the file is at least so long */
    rmt_le64 number;  /* last number given to a version, branch, list or sweep */
    struct rmt_disk_ref catalog;
    struct rmt_disk_ref log; /* newest page of the space log */
    rmt_le64 data_pages;     /* accounts: the six add up with the meta pages to .pages */
    rmt_le64 unswept_pages;
    rmt_le64 book_pages;
    rmt_le64 limbo_pages;
    rmt_le64 free_pages;
    rmt_le64 branches;
    rmt_le64 snapshots;
    rmt_le64 time_us;
    rmt_le64 hole_pages; /* the sixth account */
    rmt_le64 cursors;
    uint8_t zero[512 - 200 - 8];
    rmt_le64 checksum; /* XXH3-64 of the bytes before it */
};
static_assert(sizeof(struct rmt_disk_slot) == RMT_SECTOR_SIZE, "FORMAT.md 3.1");
static_assert(offsetof(struct rmt_disk_slot, store_id) == 32, "FORMAT.md 3.1");
static_assert(offsetof(struct rmt_disk_slot, id) == 48, "FORMAT.md 3.1");
static_assert(offsetof(struct rmt_disk_slot, catalog) == 88, "FORMAT.md 3.1");
static_assert(offsetof(struct rmt_disk_slot, data_pages) == 120, "FORMAT.md 3.1");
static_assert(offsetof(struct rmt_disk_slot, time_us) == 176, "FORMAT.md 3.1");
static_assert(offsetof(struct rmt_disk_slot, checksum) == 504, "FORMAT.md 3.1");

struct rmt_disk_seal { /* FORMAT.md 3.2 */
    uint8_t magic[8];
    uint8_t store_id[16];
    rmt_le64 id; /* this commit is durable */
    uint8_t zero[512 - 40];
    rmt_le64 checksum;
};
static_assert(sizeof(struct rmt_disk_seal) == RMT_SECTOR_SIZE, "FORMAT.md 3.2");

/* ---- 4. nodes -------------------------------------------------------------------------------- */

/* 0 is never valid. */
enum rmt_node_kind {
    RMT_NODE_LEAF = 1,
    RMT_NODE_INNER = 2,
    RMT_NODE_LOG = 3,
    RMT_NODE_REGION = 4,
    RMT_NODE_FIXED = 0x10, /* a leaf, FORMAT.md 4.5; the low bits: bytes of a suffix, 1 to 4 */
    RMT_NODE_DENSE = 0x20, /* a leaf, FORMAT.md 4.5; the same */
    RMT_NODE_PAGES = 0x40, /* with one of these two: its values are page records, FORMAT.md 4.4 */
};
#define RMT_NODE_SUFFIX_BITS 0x0fu

struct rmt_disk_node {   /* FORMAT.md 4.1: the header of every page that is not raw data */
    rmt_le64 checksum;   /* XXH3-64 of bytes [8, page_size), seeded with the store id */
    rmt_le64 addr;       /* its own address: catches a write that landed elsewhere */
    rmt_le64 birth;      /* commit that wrote it */
    rmt_le16 count;      /* keys */
    rmt_le16 cells_size; /* bytes of cells and prefix at the end of the page; of a fixed or dense
                            leaf: bytes of each value */
    uint8_t kind;        /* enum rmt_node_kind */
    uint8_t level;       /* 0: leaf; else one more than that of its children */
    rmt_le16 prefix_size;
};
static_assert(sizeof(struct rmt_disk_node) == 32, "FORMAT.md 4.1");
static_assert(offsetof(struct rmt_disk_node, count) == 24, "FORMAT.md 4.1");
static_assert(offsetof(struct rmt_disk_node, kind) == 28, "FORMAT.md 4.1");

struct rmt_disk_cell {    /* FORMAT.md 4.3: of a leaf; behind it the key's tail, then the value */
    rmt_le16 suffix_size; /* bytes of the key after the prefix; bit 15: value is extent record */
    rmt_le16 value_size;
};
static_assert(sizeof(struct rmt_disk_cell) == 4, "FORMAT.md 4.3");
#define RMT_CELL_EXTENTS 0x8000u

#define RMT_EXTENT_RUNS 4
struct rmt_disk_extents { /* FORMAT.md 4.4: a value too large for its leaf */
    rmt_le64 size;        /* of the value, bytes */
    uint8_t level; /* 0: the runs hold the value; n: they hold runs (20 bytes each) of level n-1 */
    uint8_t zero[7];
    struct rmt_disk_run runs[RMT_EXTENT_RUNS]; /* unused ones are zero, and last */
};
static_assert(sizeof(struct rmt_disk_extents) == 96, "FORMAT.md 4.4");
#define RMT_EXTENTS_PRIVATE 0xff /* .level in memory only: the value is not yet in the file */
/* FORMAT.md 4.4: the record of a value that is just one page. In memory only: birth 0: it is not
 * yet in the file. */
#define RMT_PAGE_RECORD_SIZE ((uint32_t)sizeof(struct rmt_disk_ref))
/* FORMAT.md 4.4: the birth of a page record that is shared: addr is the number of a page in the map
 * of shared pages. No commit has this id. */
#define RMT_SHARED_BIRTH ((uint64_t)0xffff << 32)
#define RMT_SHARED_MAX RMT_ADDR_MAX

/* ---- 5. the space map ------------------------------------------------------------------------ */

struct rmt_disk_region { /* FORMAT.md 5.1; behind it a bit a page: 1: not free */
    struct rmt_disk_node node;
    rmt_le64 region; /* covers pages [region * bits, (region + 1) * bits) */
    uint8_t zero[24];
};
static_assert(sizeof(struct rmt_disk_region) == 64, "FORMAT.md 5.1");

struct rmt_disk_log { /* FORMAT.md 5.2; behind it chunks, oldest first */
    struct rmt_disk_node node;
    struct rmt_disk_ref prev; /* the page before; none: the log begins here */
    rmt_le32 used;            /* bytes of chunks */
    rmt_le32 length; /* pages of the log that were needed when this one was written, itself too */
    uint8_t zero[8];
};
static_assert(sizeof(struct rmt_disk_log) == 64, "FORMAT.md 5.2");

struct rmt_disk_chunk { /* FORMAT.md 5.3; behind it the regions, then the spans freed, then those
                           taken */
    rmt_le64 id;        /* of the commit */
    rmt_le32 nr_regions;
    rmt_le32 nr_freed;
    rmt_le32 nr_taken;
    rmt_le32 zero;
};
static_assert(sizeof(struct rmt_disk_chunk) == 24, "FORMAT.md 5.3");

struct rmt_disk_region_ref {
    rmt_le64 region;
    struct rmt_disk_ref ref;
};
static_assert(sizeof(struct rmt_disk_region_ref) == 24, "FORMAT.md 5.3");

struct rmt_disk_span { /* pages side by side */
    rmt_le48 addr;
    rmt_le48 len;
};
static_assert(sizeof(struct rmt_disk_span) == 12, "FORMAT.md 5.3");

/* ---- in memory ------------------------------------------------------------------------------- */

struct rmt_ref {
    uint64_t addr, birth;
    uint32_t sum;
};

/* Pages side by side, of one birth: what was replaced, or waits in a deadlist or in limbo. */
struct rmt_run {
    uint64_t addr, len, birth;
};

static inline struct rmt_ref rmt_ref_load(const void *disk)
{
    uint64_t lo, hi;
    memcpy(&lo, disk, 8);
    memcpy(&hi, (const uint8_t *)disk + 8, 8);
    struct rmt_ref ref = {
        .addr = lo & RMT_ADDR_MAX,
        .birth = lo >> 48 | (hi & UINT32_MAX) << 16,
        .sum = (uint32_t)(hi >> 32),
    };
    return ref;
}

static inline void rmt_ref_store(void *disk, struct rmt_ref ref)
{
    uint64_t lo = ref.addr | ref.birth << 48, hi = ref.birth >> 16 | (uint64_t)ref.sum << 32;
    memcpy(disk, &lo, 8);
    memcpy((uint8_t *)disk + 8, &hi, 8);
}

static inline bool rmt_ref_none(struct rmt_ref ref)
{
    return ref.addr == 0 && ref.birth == 0;
}

static inline bool rmt_ref_equal(struct rmt_ref a, struct rmt_ref b)
{
    return a.addr == b.addr && a.birth == b.birth && a.sum == b.sum;
}

static inline bool rmt_ref_shared(struct rmt_ref ref)
{
    return ref.birth == RMT_SHARED_BIRTH;
}

static inline struct rmt_ref rmt_shared_ref(uint64_t number)
{
    struct rmt_ref ref = {number, RMT_SHARED_BIRTH, 0};
    return ref;
}

/* A page's checksum: of a node, over all but its own place. */
uint64_t rmt_node_sum(const void *page, uint32_t page_size, uint64_t seed);
/* Of raw data: seeded with where and when it was written too. */
uint32_t rmt_data_sum(const void *data, size_t len, uint64_t seed, uint64_t addr, uint64_t birth);
/* Fills the checksum of a slot or a seal. */
void rmt_sector_seal(void *sector);
/* True if the checksum of a slot or seal is right. */
bool rmt_sector_valid(const void *sector);

static inline bool rmt_id_legal(uint64_t id)
{
    return id <= RMT_ID_MAX && (uint32_t)id != 0;
}

#endif
