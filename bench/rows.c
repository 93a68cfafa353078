/* SPDX-License-Identifier: MIT */
/* rows.c - the rows of the tables: what each shows, and what is hoped for. */
#include "bench.h"

const struct peer_ops *const peers[PEERS] = {
    [RAMET] = &peer_ramet,
    [LMDB] = &peer_lmdb,
#ifdef HAVE_ROCKSDB
    [ROCKSDB] = &peer_rocksdb,
#endif
#ifdef HAVE_SQLITE
    [SQLITE] = &peer_sqlite,
#endif
#ifdef HAVE_WIREDTIGER
    [WIREDTIGER] = &peer_wiredtiger,
#endif
    [DISK] = &peer_disk,
#ifdef HAVE_GO
    [CLONED_MAP] = &peer_cloned_map,
    [SYNC_MAP] = &peer_sync_map,
#endif
    [TABLE] = &peer_table,
    [RWLOCK] = &peer_rwlock,
#ifdef HAVE_URCU
    [URCU_QSBR] = &peer_urcu_qsbr,
    [URCU_MEMB] = &peer_urcu_memb,
#endif
};

struct taken samples[SAMPLES];

const char *const group_names[GROUPS] = {
    [GROUP_LOAD] = "load",       [GROUP_GET] = "get",       [GROUP_READERS] = "readers",
    [GROUP_COMMIT] = "commit",   [GROUP_OPEN] = "open",     [GROUP_SPACE] = "space",
    [GROUP_BRANCH] = "branches", [GROUP_MERGE] = "merges",  [GROUP_VERSIONS] = "versions",
    [GROUP_WATCH] = "watch",     [GROUP_BLOBS] = "blobs",   [GROUP_NBD] = "nbd",
    [GROUP_MAPS] = "maps",       [GROUP_VALUES] = "values", [GROUP_LARGE] = "large",
};

const char *const group_texts[GROUPS] = {
    [GROUP_LOAD] = "loads, not flushed, and scans; CPU time of an entry, of all threads",
    [GROUP_GET] = "gets in one read transaction, warm, random order; CPU time of a get",
    [GROUP_READERS] = "several readers, and a writer; CPU time of a get, of the reader alone",
    [GROUP_COMMIT] = "durable commits of one overwrite; wall time",
    [GROUP_OPEN] = "a fresh process opens a store and gets one entry; wall time",
    [GROUP_SPACE] = "files and memory",
    [GROUP_BRANCH] = "branches",
    [GROUP_MERGE] = "merges of 100 and 100 changes; optimistic transactions; wall time",
    [GROUP_VERSIONS] = "differences, by the entry; bases of 100,000 versions; branches; wall time",
    [GROUP_WATCH] = "commits of one entry, not flushed, that 1,000 watch; wall time",
    [GROUP_BLOBS] = "images and regions of memory of 1 GiB; wall time",
    [GROUP_NBD] = "disks of 1 GiB over NBD, a connection each; wall time of a request",
    [GROUP_MAPS] = "a map in memory that threads share; CPU time of a key",
    [GROUP_VALUES] = "values with copies on write, in memory; CPU time of an operation",
    [GROUP_LARGE] = "ten million entries",
};

#define AT_MOST(what, n)                                     \
    {                                                        \
        .kind = AIM_AT_MOST, .against = (what), .bound = (n) \
    }
#define AT_LEAST(what, n)                                     \
    {                                                         \
        .kind = AIM_AT_LEAST, .against = (what), .bound = (n) \
    }
#define NO_AIM           \
    {                    \
        .kind = AIM_NONE \
    }
#define GET_ROW(kind, text, n)                 \
    {                                          \
        GROUP_GET, GET + (kind), CPU, text, 0, \
        {                                      \
            AT_MOST(LMDB, n)                   \
        }                                      \
    }

/* 2 us for each entry, and 50 us for the rest: n is both, of one entry. */
#define DIFF_ROWS(i, text, n)                                                                 \
    {GROUP_VERSIONS, DIFF + (i), WALL, "differs in " text, 0, {AT_MOST(AGAINST_NOTHING, n)}}, \
    {                                                                                         \
        GROUP_VERSIONS, DIFF + (i), PAGES, "pages of all that", 0,                            \
        {                                                                                     \
            NO_AIM                                                                            \
        }                                                                                     \
    }

#define NBD_ROW(sample, text, base, aim)       \
    {                                          \
        GROUP_NBD, (sample), WALL, text, base, \
        {                                      \
            aim                                \
        }                                      \
    }
/* Of all servers: bench.h has their order. */
#define NBD_READ_ROWS(text, i)                                                         \
    NBD_ROW((i), text ", file plugin", 0, NO_AIM),                                     \
        NBD_ROW((i) + 1, text ", ramet", (i), AT_MOST(AGAINST_BASE, 1.2)),             \
        NBD_ROW((i) + 2, text ", clone 10 deep", (i) + 1, AT_MOST(AGAINST_BASE, 1.1)), \
        NBD_ROW((i) + 3, text ", 50 deep", (i) + 1, AT_MOST(AGAINST_BASE, 1.1)),       \
        NBD_ROW((i) + 4, text ", 1,000 deep", (i) + 1, AT_MOST(AGAINST_BASE, 1.1)),    \
        NBD_ROW((i) + 5, text ", qcow2", (i) + 1, AT_LEAST(AGAINST_BASE, 1)),          \
        NBD_ROW((i) + 6, text ", qcow2 10 deep", (i) + 2, AT_LEAST(AGAINST_BASE, 1)),  \
        NBD_ROW((i) + 7, text ", qcow2 50 deep", (i) + 3, AT_LEAST(AGAINST_BASE, 1))

#define MAP_ROW_OF(size, what, field, text, base, ...)                    \
    {                                                                     \
        GROUP_MAPS, MAP + (size)*MAP_SAMPLES + (what), field, text, base, \
        {                                                                 \
            __VA_ARGS__                                                   \
        }                                                                 \
    }
/* Of one size: what a get may take of liburcu's, and a set alone. */
#define MAP_ROWS(i, n, of_urcu, set_aims)                                                         \
    MAP_ROW_OF(i, MAP_ROW_1, CPU, n ": get, in a row", 0, AT_MOST(CLONED_MAP, 1),                 \
               AT_MOST(URCU_QSBR, of_urcu)),                                                      \
        MAP_ROW_OF(i, MAP_ROW_2, CPU, n ": 2 readers, in a row", 0, AT_MOST(CLONED_MAP, 1),       \
                   AT_MOST(URCU_QSBR, of_urcu)),                                                  \
        MAP_ROW_OF(i, MAP_ANY_1, CPU, n ": get, any numbers", 0, AT_MOST(CLONED_MAP, 1),          \
                   AT_MOST(URCU_QSBR, of_urcu)),                                                  \
        MAP_ROW_OF(i, MAP_ANY_2, CPU, n ": 2 readers, any numbers", 0, AT_MOST(CLONED_MAP, 1),    \
                   AT_MOST(URCU_QSBR, of_urcu)),                                                  \
        MAP_ROW_OF(i, MAP_ONE_BESIDE, CPU, n ": get beside a writer", 0, AT_MOST(CLONED_MAP, 1)), \
        MAP_ROW_OF(i, MAP_ONE_BESIDE, RATE, n ": its sets a second", 0, NO_AIM),                  \
        MAP_ROW_OF(i, MAP_ONE_BESIDE, BESIDE, n ": CPU of each", 0, NO_AIM),                      \
        MAP_ROW_OF(i, MAP_ONE_HELD, CPU, n ": get, held version", 0, NO_AIM),                     \
        MAP_ROW_OF(i, MAP_ONE_HELD_BESIDE, CPU, n ": held, beside a writer",                      \
                   MAP + (i)*MAP_SAMPLES + MAP_ONE_HELD, AT_MOST(AGAINST_BASE, 1.1)),             \
        MAP_ROW_OF(i, MAP_ONE_HELD_BESIDE, BESIDE, n ": CPU of its sets", 0, NO_AIM),             \
        MAP_ROW_OF(i, MAP_TEXT, CPU, n ": get, 16 bytes", 0, AT_MOST(TABLE, 3)),                  \
        MAP_ROW_OF(i, MAP_TEXT_MANY, CPU, n ": 8 at once, 16 bytes", 0, AT_MOST(TABLE, 1.5)),     \
        MAP_ROW_OF(i, MAP_ONE_SET, CPU, n ": set", 0, set_aims),                                  \
        MAP_ROW_OF(i, MAP_MANY_SET, CPU, n ": set, 1,000 at once", 0,                             \
                   AT_MOST(AGAINST_NOTHING, 400)),                                                \
        MAP_ROW_OF(i, MAP_ONE_SNAPSHOT, CPU, n ": snapshot, dropped", 0,                          \
                   AT_MOST(AGAINST_NOTHING, 50))
#define SET_AIMS_1K AT_MOST(AGAINST_NOTHING, 800)
#define SET_AIMS_1M AT_MOST(AGAINST_NOTHING, 1500), AT_MOST(CLONED_MAP, 1e-5)

#define VALUE_ROW(task, text, base, aim)               \
    {                                                  \
        GROUP_VALUES, VALUE + (task), CPU, text, base, \
        {                                              \
            aim                                        \
        }                                              \
    }

const struct row rows[] = {
    {GROUP_LOAD, SORTED_LOAD, CPU, "sorted load, 10,000 a commit", 0, {AT_MOST(LMDB, 0.9)}},
    {GROUP_LOAD, SORTED_SCAN, CPU, "scan after it", 0, {AT_MOST(LMDB, 1)}},
    {GROUP_LOAD, RANDOM_LOAD, CPU, "random load, 1,000 a commit", 0, {AT_MOST(LMDB, 0.5)}},
    {GROUP_LOAD, RANDOM_LOAD, RATE, "entries a second of it", 0, {AT_LEAST(LMDB, 2)}},
    {GROUP_LOAD, RANDOM_SIZE, BYTES, "file after it", 0, {AT_MOST(LMDB, 0.9)}},
    {GROUP_LOAD, RANDOM_SIZE, BLOCKS, "its blocks on disk", 0, {AT_MOST(LMDB, 0.9)}},
    {GROUP_LOAD, RANDOM_SCAN, CPU, "scan after it", 0, {AT_MOST(LMDB, 0.7)}},
    {GROUP_LOAD, RANGE, CPU, "range of 100 after it", 0, {AT_MOST(LMDB, 0.8)}},
    {GROUP_LOAD, OVERWRITE, CPU, "overwrites, 1,000 a commit", 0, {AT_MOST(LMDB, 0.5)}},
    {GROUP_LOAD, OVERWRITE, RATE, "overwrites a second", 0, {AT_LEAST(LMDB, 2)}},

    GET_ROW(KEYS_RANDOM, "16 random bytes", 0.6),
    GET_ROW(KEYS_PREFIX8, "8 shared bytes, 8 random", 0.6),
    GET_ROW(KEYS_PREFIX40, "40 shared bytes, 16 random", 0.6),
    GET_ROW(KEYS_PATHS, "paths of files", 0.6),
    GET_ROW(KEYS_INTEGERS, "integers, 8 bytes", 0.1),
    GET_ROW(KEYS_LENGTHS, "8 to 64 random bytes", 0.6),
    {GROUP_GET, GET_MANY, CPU, "16 random bytes, 16 at once", 0, {AT_MOST(LMDB, 0.25)}},

    {GROUP_READERS, READ_1, CPU, "one reader alone", 0, {NO_AIM}},
    {GROUP_READERS, READ_2, CPU, "two readers", READ_1, {AT_MOST(AGAINST_BASE, 1.05)}},
    {GROUP_READERS,
     READ_BESIDE,
     CPU,
     "one beside a busy writer",
     READ_1,
     {AT_MOST(AGAINST_BASE, 1.1)}},
    {GROUP_READERS, GET_FRESH, CPU, "added by a refresh", 0, {AT_MOST(AGAINST_NOTHING, 20)}},

    {GROUP_COMMIT, COMMIT_1, MEDIAN, "1 writer, median", 0, {AT_MOST(DISK, 1.3)}},
    {GROUP_COMMIT,
     COMMIT_1,
     RATE,
     "commits a second of it",
     0,
     {AT_LEAST(LMDB, 2.5), AT_LEAST(ROCKSDB, 1)}},
    {GROUP_COMMIT, COMMIT_1, FLUSHES, "flushes a commit of it", 0, {AT_MOST(AGAINST_NOTHING, 1)}},
    {GROUP_COMMIT, COMMIT_2, RATE, "2 writers, commits a second", 0, {NO_AIM}},
    {GROUP_COMMIT, COMMIT_16_16, RATE, "16, a branch each (ramet)", 0, {AT_LEAST(LMDB, 6)}},
    {GROUP_COMMIT, COMMIT_16_16, FLUSHES, "flushes a commit of it", 0, {NO_AIM}},
    {GROUP_COMMIT, COMMIT_16_1, RATE, "16, one branch", 0, {AT_LEAST(LMDB, 4)}},
    {GROUP_COMMIT, COMMIT_16_1, FLUSHES, "flushes a commit of it", 0, {NO_AIM}},

    {GROUP_OPEN, OPEN_CLEAN, WALL, "cleanly closed", 0, {AT_MOST(AGAINST_NOTHING, 1e6)}},
    {GROUP_OPEN, OPEN_KILLED, WALL, "its writer killed (-9)", 0, {AT_MOST(AGAINST_NOTHING, 50e6)}},

    {GROUP_SPACE, SIZE_BEFORE, BLOCKS, "file after the random load", 0, {NO_AIM}},
    {GROUP_SPACE,
     SIZE_HELD,
     BLOCKS,
     "overwritten, one old reader",
     SIZE_BEFORE,
     {AT_MOST(AGAINST_BASE, 2.2)}},
    {GROUP_SPACE, SIZE_HELD, CPU, "an overwrite of it", 0, {NO_AIM}},
    {GROUP_SPACE, MEMORY_PART, BYTES, "memory, a quarter at once", 0, {NO_AIM}},
    {GROUP_SPACE, MEMORY, BYTES, "memory, all at once", MEMORY_PART, {NO_AIM}},

    {GROUP_BRANCH, BRANCH_SMALL, WALL, "new branch, 1 MB", 0, {AT_MOST(AGAINST_NOTHING, 20e3)}},
    {GROUP_BRANCH,
     BRANCH_SMALL,
     PAGES,
     "pages copied by 100 of them",
     0,
     {AT_MOST(AGAINST_NOTHING, 0)}},
    {GROUP_BRANCH, BRANCH_BIG, WALL, "new branch, 1 GB", 0, {AT_MOST(AGAINST_NOTHING, 20e3)}},
    {GROUP_BRANCH,
     BRANCH_BIG,
     PAGES,
     "pages copied by 100 of them",
     0,
     {AT_MOST(AGAINST_NOTHING, 0)}},
    {GROUP_BRANCH, BRANCH_BIG, FLUSHES, "flushes of one", 0, {AT_MOST(AGAINST_NOTHING, 0)}},
    {GROUP_BRANCH, BRANCH_HUGE, WALL, "new branch, --gb", 0, {AT_MOST(AGAINST_NOTHING, 20e3)}},
    {GROUP_BRANCH, BRANCH_SMALL + 1, CPU, "dropped page of 16, 1 MB", 0, {NO_AIM}},
    {GROUP_BRANCH,
     BRANCH_BIG + 1,
     CPU,
     "dropped page of 16, 1 GB",
     BRANCH_SMALL + 1,
     {AT_MOST(AGAINST_BASE, 1.5)}},
    {GROUP_BRANCH,
     BRANCH_BIG + 2,
     CPU,
     "dropped page of 256, 1 GB",
     BRANCH_BIG + 1,
     {AT_MOST(AGAINST_BASE, 1.1)}},
    {GROUP_BRANCH,
     BRANCH_BIG + 3,
     CPU,
     "dropped page of 4096, 1 GB",
     BRANCH_BIG + 2,
     {AT_MOST(AGAINST_BASE, 1.1)}},
    {GROUP_BRANCH, OVERWRITE_ALONE, CPU, "overwrite, nobody shares", 0, {NO_AIM}},
    {GROUP_BRANCH,
     OVERWRITE_SHARED,
     CPU,
     "overwrite, fresh branch",
     OVERWRITE_ALONE,
     {AT_MOST(AGAINST_BASE, 1.3)}},

    {GROUP_MERGE, MERGE, WALL, "merge", 0, {AT_MOST(AGAINST_NOTHING, 1e6)}},
    {GROUP_MERGE, MERGE_GIT, WALL, "the same by git", MERGE, {AT_LEAST(AGAINST_BASE, 50)}},

    DIFF_ROWS(0, "1", 52e3),
    DIFF_ROWS(1, "10", 7e3),
    DIFF_ROWS(2, "100", 2.5e3),
    DIFF_ROWS(3, "1,000", 2.05e3),
    DIFF_ROWS(4, "10,000", 2005),
    DIFF_ROWS(5, "100,000", 2000.5),
    {GROUP_VERSIONS, BASE, WALL, "base: two arms", 0, {AT_MOST(AGAINST_NOTHING, 100e3)}},
    {GROUP_VERSIONS,
     BASE + 1,
     WALL,
     "base: tasks, old branch",
     0,
     {AT_MOST(AGAINST_NOTHING, 100e3)}},
    {GROUP_VERSIONS, BASE + 2, WALL, "base: to and fro", 0, {AT_MOST(AGAINST_NOTHING, 100e3)}},
    {GROUP_VERSIONS,
     BASE + 4,
     WALL,
     "base: crosses, of 1,000",
     0,
     {AT_MOST(AGAINST_NOTHING, 100e3)}},
    {GROUP_VERSIONS,
     BASE + 3,
     WALL,
     "base: the worst we know",
     0,
     {AT_MOST(AGAINST_NOTHING, 100e3)}},
    {GROUP_VERSIONS, MANY_FEW, WALL, "branch made, of 100", 0, {NO_AIM}},
    {GROUP_VERSIONS,
     MANY_LOTS,
     WALL,
     "branch made, of 10,000",
     MANY_FEW,
     {AT_MOST(AGAINST_BASE, 2)}},
    {GROUP_VERSIONS, MANY_FEW + 1, WALL, "branch listed, of 100", 0, {NO_AIM}},
    {GROUP_VERSIONS,
     MANY_LOTS + 1,
     WALL,
     "branch listed, of 10,000",
     MANY_FEW + 1,
     {AT_MOST(AGAINST_BASE, 2)}},
    {GROUP_VERSIONS, MANY_FEW + 2, WALL, "branch deleted, of 100", 0, {NO_AIM}},
    {GROUP_VERSIONS,
     MANY_LOTS + 2,
     WALL,
     "branch deleted, of 10,000",
     MANY_FEW + 2,
     {AT_MOST(AGAINST_BASE, 2)}},
    {GROUP_MERGE, OPTIMISTIC, WALL, "transaction, 1 put", 0, {NO_AIM}},
    {GROUP_MERGE,
     OPTIMISTIC + 1,
     WALL,
     "optimistic, 1 put",
     OPTIMISTIC,
     {AT_MOST(AGAINST_BASE, 2)}},
    {GROUP_MERGE,
     OPTIMISTIC + 2,
     WALL,
     "on a moved head, 1 put",
     OPTIMISTIC,
     {AT_MOST(AGAINST_BASE, 2)}},
    {GROUP_MERGE, OPTIMISTIC + 3, WALL, "transaction, 1,000 puts", 0, {NO_AIM}},
    {GROUP_MERGE,
     OPTIMISTIC + 4,
     WALL,
     "optimistic, 1,000 puts",
     OPTIMISTIC + 3,
     {AT_MOST(AGAINST_BASE, 2)}},
    {GROUP_MERGE,
     OPTIMISTIC + 5,
     WALL,
     "on a moved head, 1,000",
     OPTIMISTIC + 3,
     {AT_MOST(AGAINST_BASE, 2)}},

    {GROUP_WATCH, WATCH_NONE + 0, WALL, "commit, nobody watches", 0, {NO_AIM}},
    {GROUP_WATCH,
     WATCH_NONE + 1,
     WALL,
     "1,000 watch, of a process",
     WATCH_NONE + 0,
     {AT_MOST(AGAINST_BASE, 1.05)}},
    {GROUP_WATCH,
     WATCH_NONE + 1,
     CPU,
     "CPU of the writer's thread",
     WATCH_NONE + 0,
     {AT_MOST(AGAINST_BASE, 1.05)}},
    {GROUP_WATCH, WATCH_NONE + 2, WALL, "commit, nobody watches", 0, {NO_AIM}},
    {GROUP_WATCH,
     WATCH_NONE + 3,
     WALL,
     "1,000 watch, of a thread",
     WATCH_NONE + 2,
     {AT_MOST(AGAINST_BASE, 1.05)}},
    {GROUP_WATCH,
     WATCH_NONE + 3,
     CPU,
     "CPU of the writer's thread",
     WATCH_NONE + 2,
     {AT_MOST(AGAINST_BASE, 1.05)}},
    {GROUP_WATCH,
     WATCH_LATENCY,
     WALL,
     "seen by a process, median",
     0,
     {AT_MOST(AGAINST_NOTHING, 1e6)}},

    {GROUP_BLOBS, IMAGE, WALL, "clone of an image", 0, {AT_MOST(AGAINST_NOTHING, 50e3)}},
    {GROUP_BLOBS, IMAGE + 1, WALL, "clone of one of 100 GiB", 0, {AT_MOST(AGAINST_NOTHING, 50e3)}},
    {GROUP_BLOBS,
     IMAGE + 2,
     BYTES,
     "16 MiB of scattered pages",
     0,
     {AT_MOST(AGAINST_NOTHING, 24 * 1048576.0)}},
    {GROUP_BLOBS, IMAGE + 3, WALL, "1,000 changes of 100 GiB", 0, {AT_MOST(AGAINST_NOTHING, 5e6)}},
    {GROUP_BLOBS, REGION + 1, WALL, "region: open", 0, {NO_AIM}},
    {GROUP_BLOBS, REGION, WALL, "fork of as much", REGION + 1, {AT_LEAST(AGAINST_BASE, 1000)}},
    {GROUP_BLOBS,
     REGION_LARGE,
     WALL,
     "region: open 4 GiB",
     REGION + 1,
     {AT_MOST(AGAINST_BASE, 1.2)}},
    {GROUP_BLOBS, REGION + 2, WALL, "store, a bare mapping", 0, {NO_AIM}},
    {GROUP_BLOBS,
     REGION + 3,
     WALL,
     "store to a clean page",
     REGION + 2,
     {AT_MOST(AGAINST_BASE, 1.05)}},
    {GROUP_BLOBS,
     REGION + 4,
     WALL,
     "the same, with a hint",
     REGION + 3,
     {AT_MOST(AGAINST_BASE, 0.4)}},
    {GROUP_BLOBS, REGION + 5, WALL, "1 % of its pages alone", 0, {NO_AIM}},
    {GROUP_BLOBS, REGION + 6, WALL, "commit of them", REGION + 5, {AT_MOST(AGAINST_BASE, 1.5)}},
    {GROUP_BLOBS,
     REGION + 6,
     SHARE,
     "bytes written, of those",
     0,
     {AT_MOST(AGAINST_NOTHING, 1.45)}},
    {GROUP_BLOBS, REGION + 7, WALL, "10 % of its pages alone", 0, {NO_AIM}},
    {GROUP_BLOBS, REGION + 8, WALL, "commit of them", REGION + 7, {AT_MOST(AGAINST_BASE, 1.5)}},
    {GROUP_BLOBS, REGION + 8, SHARE, "bytes written, of those", 0, {AT_MOST(AGAINST_NOTHING, 1.1)}},
    {GROUP_BLOBS,
     REGION + 9,
     WALL,
     "reset, 256 MiB, 100 pages",
     0,
     {AT_MOST(AGAINST_NOTHING, 3e6)}},
    {GROUP_BLOBS, REGION + 10, WALL, "fork and exit of as much", REGION + 9, {NO_AIM}},

    NBD_READ_ROWS("read 4 KiB", NBD),
    NBD_READ_ROWS("16 at a time", NBD + NBD_SERVERS),
    {GROUP_NBD, NBD + 2 * NBD_SERVERS, WALL, "read 1 MiB in turn, file", 0, {NO_AIM}},
    {GROUP_NBD,
     NBD + 2 * NBD_SERVERS + 1,
     WALL,
     "read 1 MiB in turn, ramet",
     NBD + 2 * NBD_SERVERS,
     {AT_MOST(AGAINST_BASE, 1 / 0.9)}},
    {GROUP_NBD, NBD + 2 * NBD_SERVERS + 2, WALL, "write 1 MiB in turn, file", 0, {NO_AIM}},
    {GROUP_NBD,
     NBD + 2 * NBD_SERVERS + 3,
     WALL,
     "write 1 MiB in turn, ramet",
     NBD + 2 * NBD_SERVERS + 2,
     {AT_MOST(AGAINST_BASE, 1 / 0.9)}},
    {GROUP_NBD, NBD + 2 * NBD_SERVERS + 4, WALL, "write 4 KiB, fresh clone", 0, {NO_AIM}},
    {GROUP_NBD,
     NBD + 2 * NBD_SERVERS + 5,
     WALL,
     "write 4 KiB, fresh qcow2",
     NBD + 2 * NBD_SERVERS + 4,
     {AT_LEAST(AGAINST_BASE, 1.5)}},
    {GROUP_NBD, NBD + 2 * NBD_SERVERS + 6, WALL, "with a flush, fresh clone", 0, {NO_AIM}},
    {GROUP_NBD,
     NBD + 2 * NBD_SERVERS + 7,
     WALL,
     "with a flush, fresh qcow2",
     NBD + 2 * NBD_SERVERS + 6,
     {AT_LEAST(AGAINST_BASE, 1.5)}},
    {GROUP_NBD, NBD_CLONE, WALL, "clones: make one of 10,000", 0, {NO_AIM}},
    {GROUP_NBD, NBD_CLONE + 1, WALL, "use it: write, read, close", 0, {NO_AIM}},
    {GROUP_NBD, NBD_CLONE + 2, WALL, "list it", 0, {NO_AIM}},
    {GROUP_NBD, NBD_CLONE + 3, WALL, "drop it", 0, {NO_AIM}},
    {GROUP_NBD, NBD_CLONE + 4, WALL, "all of that, 10,000", 0, {AT_MOST(AGAINST_NOTHING, 60e9)}},

    MAP_ROWS(0, "1k", 1.5, SET_AIMS_1K),
    MAP_ROWS(1, "100k", 1, NO_AIM),
    MAP_ROWS(2, "1M", 1, SET_AIMS_1M),
    {GROUP_MAPS,
     MAP_MEMORY_ROW,
     EACH,
     "1M: bytes a key, in order",
     0,
     {AT_MOST(AGAINST_NOTHING, 40)}},
    {GROUP_MAPS,
     MAP_MEMORY_SHUFFLED,
     EACH,
     "1M: bytes a key, random order",
     0,
     {AT_MOST(AGAINST_NOTHING, 40)}},
    VALUE_ROW(VALUE_ATOMIC, "atomic counter, up, down", 0, NO_AIM),
    VALUE_ROW(VALUE_STR_COPY, "str: a copy, dropped", VALUE + VALUE_ATOMIC,
              AT_MOST(AGAINST_BASE, 1.2)),
    VALUE_ROW(VALUE_VEC_COPY, "vec: a copy, dropped", VALUE + VALUE_ATOMIC,
              AT_MOST(AGAINST_BASE, 1.2)),
    VALUE_ROW(VALUE_SEQ_COPY, "seq: a copy, dropped", VALUE + VALUE_ATOMIC,
              AT_MOST(AGAINST_BASE, 1.2)),
    VALUE_ROW(VALUE_POINTER, "counted pointer, 64 kept", VALUE + VALUE_ATOMIC, NO_AIM),
    VALUE_ROW(VALUE_STR_KEEP, "str: 64 kept, dropped", VALUE + VALUE_POINTER,
              AT_MOST(AGAINST_BASE, 1.2)),
    VALUE_ROW(VALUE_VEC_KEEP, "vec: 64 kept, dropped", VALUE + VALUE_POINTER,
              AT_MOST(AGAINST_BASE, 1.2)),
    VALUE_ROW(VALUE_SEQ_KEEP, "seq: 64 kept, dropped", VALUE + VALUE_POINTER,
              AT_MOST(AGAINST_BASE, 1.2)),
    VALUE_ROW(VALUE_COW_KEEP, "libstdc++: 64 kept, dropped", VALUE + VALUE_POINTER, NO_AIM),
    VALUE_ROW(VALUE_MOVE, "24 bytes moved, twice", 0, NO_AIM),
    VALUE_ROW(VALUE_NEAR_KEEP, "str of 20: 64 kept, dropped", VALUE + VALUE_MOVE,
              AT_MOST(AGAINST_BASE, 1.5)),
    VALUE_ROW(VALUE_FLAT_GET, "flat: get, of 8M u64", 0, NO_AIM),
    VALUE_ROW(VALUE_SEQ_GET, "seq: get", VALUE + VALUE_FLAT_GET, AT_MOST(AGAINST_BASE, 3)),
    VALUE_ROW(VALUE_FLAT_SUM, "flat: iterate", 0, NO_AIM),
    VALUE_ROW(VALUE_SEQ_SUM, "seq: iterate", VALUE + VALUE_FLAT_SUM, AT_MOST(AGAINST_BASE, 1.1)),
    VALUE_ROW(VALUE_FLAT_SET, "flat: set", 0, NO_AIM),
    VALUE_ROW(VALUE_SEQ_SET, "seq: set in place", VALUE + VALUE_FLAT_SET, AT_MOST(AGAINST_BASE, 2)),
    VALUE_ROW(VALUE_SET_SHARED, "seq: set, shared", 0, AT_MOST(AGAINST_NOTHING, 1500)),
    VALUE_ROW(VALUE_SET_DROP, "seq: copy, set, drop", 0, NO_AIM),
    VALUE_ROW(VALUE_FLAT_COPY, "flat: copy all, set, drop", VALUE + VALUE_SET_DROP, NO_AIM),
    VALUE_ROW(VALUE_FLAT_PUSH, "flat: append, 10M u64", 0, NO_AIM),
    VALUE_ROW(VALUE_VEC_PUSH, "vec: append", VALUE + VALUE_FLAT_PUSH, AT_MOST(AGAINST_BASE, 1.5)),
    VALUE_ROW(VALUE_SEQ_PUSH, "seq: append", VALUE + VALUE_FLAT_PUSH, AT_MOST(AGAINST_BASE, 1.5)),
    VALUE_ROW(VALUE_FLAT_APPEND, "flat: append a byte, 10M", 0, NO_AIM),
    VALUE_ROW(VALUE_STR_APPEND, "str: append a byte", VALUE + VALUE_FLAT_APPEND,
              AT_MOST(AGAINST_BASE, 1.5)),
    VALUE_ROW(VALUE_COW_APPEND, "libstdc++: append a byte", VALUE + VALUE_STR_APPEND, NO_AIM),
    VALUE_ROW(VALUE_CONCAT, "seq: join two of 1M", 0, AT_MOST(AGAINST_NOTHING, 20e3)),
    VALUE_ROW(VALUE_SLICE, "seq: a part of one of 1M", 0, AT_MOST(AGAINST_NOTHING, 20e3)),

    {GROUP_LARGE, GET_LARGE, CPU, "get, 16 random bytes", 0, {AT_MOST(LMDB, 0.7)}},
    {GROUP_LARGE, OPEN_LARGE, WALL, "open and first get", 0, {AT_MOST(AGAINST_NOTHING, 1e6)}},
    {GROUP_LARGE, MEMORY_LARGE_PART, BYTES, "memory, a quarter at once", 0, {NO_AIM}},
    {GROUP_LARGE,
     MEMORY_LARGE,
     BYTES,
     "memory, all at once",
     MEMORY_LARGE_PART,
     {AT_MOST(AGAINST_BASE, 1.5)}},
};

const size_t rows_nr = sizeof(rows) / sizeof(rows[0]);
