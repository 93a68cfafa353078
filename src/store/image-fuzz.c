/* SPDX-License-Identifier: MIT */
/*
 * image-fuzz.c - any bytes as the file of a store: opened, checked, read, written to.
 *
 * All checksums are right: those of this program are constant, so that what is changed reaches what
 * is behind them. A file is a real small store with patches. Input:
 *
 *   byte 0   which store; 0: none, the rest of the input from byte 2 on is the file
 *   byte 1   how it is opened, and what is done to it: OPT_*
 *   then     patches (patch.h); a block is a slot, a seal, or a page that is not all zeros
 *
 * Nothing may crash or hang. And where ramet_check() has nothing to say before, there is no
 * corruption to be met afterwards, and nothing to say still.
 */
#include <inttypes.h>
#include <stdio.h>

#include "format/patch.h"
#include "io/sim.h"
#include "store/store.h"
#include "store/unsummed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NR_BASES 7 /* the first is none */
#define DISK_BYTES ((uint64_t)32 << 20)
#define BLOCKS_MAX 2048
#define NAMES_MAX 12
#define STEPS_MAX 400

enum {
    OPT_KILLED = 1 << 0, /* the processes died; else the power failed */
    OPT_READONLY = 1 << 1,
    OPT_NONE = 1 << 2, /* RAMET_NONE */
    OPT_DROP = 1 << 3, /* what is done: */
    OPT_BRANCHES = 1 << 4,
    OPT_COMPACT = 1 << 5,
    OPT_RANGE = 1 << 6,
    OPT_COPY = 1 << 7,
};

/* ---- the stores ------------------------------------------------------------------------------ */

static struct base {
    struct rmt_sim *sim;
    struct rmt_block blocks[BLOCKS_MAX];
    uint32_t count;
} bases[NR_BASES];

static void must(int rc)
{
    if (rc < 0)
        (void)fprintf(stderr, "%d: %s\n", rc, ramet_errmsg());
    rmt_assert(rc >= 0);
}

static int open_sim(struct rmt_sim *sim, unsigned flags, uint32_t page_size, int durability,
                    struct ramet_store **out)
{
    struct ramet_options options = {
        .size = sizeof(options), .page_size = page_size, .durability = durability};
    struct rmt_io *io;
    int rc = rmt_sim_open(sim, flags, &io);
    return rc < 0 ? rc : rmt_store_open_io(io, &options, out);
}

static size_t make_key(char *buf, size_t size, uint32_t n)
{
    return (size_t)snprintf(buf, size, "%s%06u", n % 3 ? "user/" : "k", n * 7919 % 10007);
}

/* Puts keys [from, to); every large-th has a large value (0: none). Values are zeros, which are no
 * blocks. */
static void fill(struct ramet_store *store, const char *branch, const char *map_name, uint32_t from,
                 uint32_t to, uint32_t large, const char *keep_name)
{
    static const uint8_t zeros[9000];
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_keep keep = {
        .size = sizeof(keep), .name = keep_name, .author = "a", .message = "m"};
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, map_name, RAMET_CREATE, &map));
    for (uint32_t i = from; i < to; i++) {
        char key[32];
        size_t size = make_key(key, sizeof(key), i);
        size_t value = large && i % large == 0 ? sizeof(zeros) : i % 60;
        must(ramet_put(map, rmt_slice(key, size), rmt_slice(zeros, value), 0));
    }
    must(ramet_commit(txn, keep_name ? &keep : NULL, NULL));
}

/* Branches, snapshots that are gone, deadlists, pages in limbo. */
static void make_versions(struct ramet_store *store)
{
    fill(store, "main", "m", 0, 300, 50, "one");
    must(ramet_branch_create(store, "b", "main"));
    fill(store, "b", "m", 100, 140, 10, "two");
    fill(store, "main", "m", 200, 230, 0, "three");
    fill(store, "main", "n", 0, 20, 0, NULL);
    must(ramet_branch_create(store, "c", "main@one"));
    fill(store, "c", "m", 0, 10, 3, "four");
    must(ramet_snapshot_delete(store, "main@one"));
    must(ramet_branch_create(store, "d", "b"));
    must(ramet_branch_delete(store, "c"));
    fill(store, "d", "m", 0, 60, 7, NULL);
}

static void merge(struct ramet_store *store, const char *into, const char *from, unsigned flags)
{
    struct ramet_merge_options options = {.size = sizeof(options), .flags = flags};
    must(ramet_merge(store, into, from, &options, NULL));
}

/* Who has merged whom, to and fro; pins; and conflicts that were noted. */
static void make_merges(struct ramet_store *store)
{
    must(ramet_branch_create(store, "e", "main"));
    must(ramet_branch_create(store, "f", "main"));
    fill(store, "e", "m", 400, 410, 0, NULL);
    fill(store, "f", "m", 420, 424, 2, "five");
    fill(store, "main", "m", 430, 440, 0, NULL);
    merge(store, "main", "e", 0);
    merge(store, "e", "f", 0);
    fill(store, "main", "m", 440, 445, 0, "six");
    merge(store, "f", "main@six", 0);
    merge(store, "f", "e", 0);
    must(ramet_branch_create(store, "g", "f"));
    merge(store, "main", "f", 0);
    /* The same keys, with values of other sizes. */
    fill(store, "g", "m", 450, 456, 3, NULL);
    fill(store, "g", "o", 0, 3, 0, NULL);
    fill(store, "main", "m", 450, 456, 4, NULL);
    fill(store, "e", "m", 460, 465, 0, NULL);
    merge(store, "g", "main", RAMET_MERGE_KEEP_CONFLICTS);
}

/* A commit with values of two levels of runs. */
static void fill_large(struct ramet_store *store, const char *branch, uint32_t from, uint32_t to)
{
    const size_t size = (RMT_EXTENT_RUNS * RMT_RUN_PAGES_MAX + 20) * RMT_PAGE_SIZE_MIN;
    rmt_auto(free) void *value = calloc(1, size);
    struct ramet_txn *txn;
    struct ramet_map *map;
    rmt_assert(value != NULL);
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    for (uint32_t i = from; i < to; i++)
        must(ramet_put(map, rmt_slice(&i, sizeof(i)), rmt_slice(value, size), 0));
    must(ramet_commit(txn, NULL, NULL));
}

/* Large values, and a branch that is too large to be swept in one commit. */
static void make_large(struct ramet_store *store)
{
    must(ramet_branch_create(store, "large", "main"));
    fill_large(store, "large", 0, 1);
    must(ramet_branch_create(store, "kept", "large"));
    fill_large(store, "large", 10, 13);
    must(ramet_branch_delete(store, "large"));
}

/* Blobs that have pages in common, on two branches that went on with them. */
static void make_blobs(struct ramet_store *store)
{
    static const char *const branches[] = {"main", "h", "main"};
    uint8_t pages[8 * RMT_PAGE_SIZE_MIN];
    memset(pages, 1, sizeof(pages));
    for (size_t i = 0; i < 3; i++) {
        struct ramet_txn *txn;
        struct ramet_blob *x, *y;
        must(ramet_begin(store, branches[i], RAMET_WRITE, &txn));
        must(ramet_blob_open(txn, "x", RAMET_CREATE, &x));
        must(ramet_blob_open(txn, "y", RAMET_CREATE, &y));
        must(ramet_blob_write(x, i * RMT_PAGE_SIZE_MIN, pages, sizeof(pages)));
        must((int)ramet_blob_copy(x, 0, y, i * RMT_PAGE_SIZE_MIN, sizeof(pages)));
        must((int)ramet_blob_copy(y, 0, y, 20 * RMT_PAGE_SIZE_MIN, sizeof(pages)));
        must(ramet_commit(txn, NULL, NULL));
        if (i == 0)
            must(ramet_branch_create(store, "h", "main"));
    }
}

static void find_blocks(struct base *base, uint32_t page_size)
{
    uint64_t size;
    const uint8_t *bytes = rmt_sim_bytes(base->sim, &size);
    for (uint32_t i = 0; i < 2; i++) {
        base->blocks[base->count++] = (struct rmt_block){rmt_slot_off(i), RMT_SECTOR_SIZE};
        base->blocks[base->count++] = (struct rmt_block){rmt_seal_off(i), RMT_SECTOR_SIZE};
    }
    for (uint64_t off = RMT_META_SIZE; off < size && base->count < BLOCKS_MAX; off += page_size) {
        if (bytes[off] || memcmp(bytes + off, bytes + off + 1, page_size - 1) != 0)
            base->blocks[base->count++] = (struct rmt_block){off, page_size};
    }
}

static void make_base(uint32_t which)
{
    uint32_t page_size = which == 2 ? 16384 : 4096;
    struct base *base = &bases[which];
    struct rmt_sim *sim = rmt_sim_new(which, DISK_BYTES);
    struct ramet_store *store;
    rmt_assert(sim != NULL);
    must(open_sim(sim, 0, page_size, which == 3 ? RAMET_NONE : RAMET_FULL, &store));
    make_versions(store);
    if (which == 6) {
        make_blobs(store);
    } else if (which == 5) {
        make_merges(store);
    } else if (which == 4) {
        make_large(store);
        must(ramet_compact(store, NULL, NULL));
    } else if (which == 3) { /* the newest commits are not flushed, and nobody closes */
        must(ramet_sync(store));
        fill(store, "main", "m", 30, 90, 20, NULL);
        fill(store, "b", "m", 50, 60, 0, NULL);
        base->sim = rmt_sim_clone(sim, which);
    }
    ramet_close(store);
    if (base->sim)
        rmt_sim_free(sim);
    else
        base->sim = sim;
    rmt_assert(base->sim != NULL);
    find_blocks(base, page_size);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* One run over an image. */
struct use {
    struct ramet_store *store;
    bool sound; /* ramet_check() found nothing: there is no corruption to be met */
    unsigned budget;
    unsigned nr_refs, nr_maps;
    char refs[NAMES_MAX][2 * RAMET_NAME_MAX], maps[NAMES_MAX][RAMET_NAME_MAX + 1];
    char problem[512];
};

static int judge(const struct use *use, int64_t rc, const char *what)
{
    if (use->sound && rc == RAMET_ECORRUPT) {
        (void)fprintf(stderr, "%s, of a store that was checked: %s %s\n", what, ramet_errmsg(),
                      use->problem);
        abort();
    }
    return rc < 0 ? (int)rc : 0;
}

static int add_branch(void *ctx, const struct ramet_branch_info *info)
{
    struct use *use = ctx;
    if (use->nr_refs < NAMES_MAX / 2)
        (void)snprintf(use->refs[use->nr_refs++], sizeof(use->refs[0]), "%s", info->name);
    return 0;
}

static int add_snapshot(void *ctx, const struct ramet_snapshot_info *info)
{
    struct use *use = ctx;
    if (use->nr_refs < NAMES_MAX)
        (void)snprintf(use->refs[use->nr_refs++], sizeof(use->refs[0]), "@%" PRIu64, info->id);
    return 0;
}

static int add_map(void *ctx, const struct ramet_map_info *info)
{
    struct use *use = ctx;
    if (use->nr_maps < NAMES_MAX)
        (void)snprintf(use->maps[use->nr_maps++], sizeof(use->maps[0]), "%s", info->name);
    return 0;
}

static void read_entry(struct use *use, struct ramet_map *map, struct ramet_cursor *c)
{
    struct ramet_slice key, value;
    uint8_t part[300];
    uint64_t size = 0;
    if (judge(use, ramet_cursor_get(c, &key, NULL), "an entry") < 0)
        return;
    if (judge(use, ramet_read(map, key, 0, part, sizeof(part), &size), "a value") < 0)
        return;
    (void)judge(use, ramet_read(map, key, size / 2, part, sizeof(part), NULL), "a value");
    (void)judge(use, ramet_read(map, key, size - rmt_min(size, 100), part, 100, NULL), "a value");
    if (size < (1 << 18) || use->budget % 64 == 0) {
        (void)judge(use, ramet_get(map, key, &value), "a value");
        (void)judge(use, ramet_cursor_get(c, &key, &value), "a value");
    }
}

static void read_map(struct use *use, struct ramet_map *map)
{
    struct ramet_cursor *c;
    uint64_t count;
    (void)judge(use, ramet_map_count(map, &count), "the count");
    (void)judge(use, ramet_count_range(map, rmt_slice("k1", 2), rmt_slice("user/5", 6), &count),
                "a range");
    if (judge(use, ramet_cursor_open(map, &c), "a cursor") < 0)
        return;
    while (use->budget && judge(use, ramet_cursor_next(c), "a scan") == 0) {
        if (--use->budget % 4 == 0)
            read_entry(use, map, c);
    }
    for (unsigned i = 0; i < 20 && judge(use, ramet_cursor_prev(c), "a scan") == 0; i++)
        read_entry(use, map, c);
    if (judge(use, ramet_cursor_seek(c, rmt_slice("user/1", 6)), "a seek") == 0)
        read_entry(use, map, c);
    ramet_cursor_close(c);
}

/* What an entry of a blob is like is no matter of ramet_check(). */
static int read_blob(void *ctx, const struct ramet_blob_info *info)
{
    struct ramet_txn *txn = ctx;
    struct ramet_blob *blob;
    uint8_t bytes[3000];
    if (ramet_blob_open(txn, info->name, 0, &blob) < 0)
        return 0;
    for (uint64_t off = 0; off < 40 * RMT_PAGE_SIZE_MIN; off += sizeof(bytes))
        (void)ramet_blob_read(blob, off, bytes, sizeof(bytes));
    return 0;
}

static void read_version(struct use *use, const char *ref)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    if (judge(use, ramet_begin(use->store, ref, RAMET_READ, &txn), ref) < 0)
        return;
    use->nr_maps = 0;
    (void)judge(use, ramet_map_list(txn, add_map, use), "the list of maps");
    use->budget = STEPS_MAX;
    for (unsigned i = 0; i < use->nr_maps; i++) {
        if (judge(use, ramet_map_open(txn, use->maps[i], 0, &map), use->maps[i]) == 0)
            read_map(use, map);
    }
    (void)ramet_blob_list(txn, read_blob, txn);
    ramet_abort(txn);
}

static int see_conflict(void *ctx, const struct ramet_conflict *conflict)
{
    struct use *use = ctx;
    uint8_t sum = 0;
    const struct ramet_slice slices[] = {conflict->key, conflict->base, conflict->ours,
                                         conflict->theirs};
    for (size_t i = 0; i < 4; i++) {
        for (size_t at = 0; at < slices[i].size; at++)
            sum += ((const uint8_t *)slices[i].data)[at];
    }
    use->budget -= use->budget > 0;
    return use->budget == 0 || sum == 1 ? 1 : 0;
}

static int see_snapshot(void *ctx, const struct ramet_snapshot_info *info)
{
    (void)info;
    struct use *use = ctx;
    return use->budget ? (int)(--use->budget == 0) : 1;
}

static int see_change(void *ctx, const struct ramet_snapshot_info *info,
                      const struct ramet_change *change)
{
    (void)change;
    return see_snapshot(ctx, info);
}

/* What goes up from one version to those that led to it. What was noted of conflicts is data to
 * ramet_check(). */
static void read_history(struct use *use, const char *ref, const char *other)
{
    uint64_t ids[4];
    size_t count = 4;
    char key[32];
    struct ramet_txn *txn;
    size_t size = make_key(key, sizeof(key), 430);
    use->budget = STEPS_MAX;
    (void)judge(use, ramet_history(use->store, ref, 0, see_snapshot, use), "a line");
    use->budget = STEPS_MAX;
    (void)judge(
        use,
        ramet_history(use->store, ref, RAMET_HISTORY_ALL | RAMET_HISTORY_HIDDEN, see_snapshot, use),
        "the history");
    use->budget = STEPS_MAX;
    (void)judge(use, ramet_key_history(use->store, ref, "m", rmt_slice(key, size), see_change, use),
                "the history of a key");
    (void)judge(use, ramet_merge_base(use->store, ref, other, ids, &count), "a merge base");
    if (judge(use, ramet_begin(use->store, ref, RAMET_READ, &txn), ref) == 0) {
        use->budget = STEPS_MAX;
        (void)ramet_conflict_list(txn, see_conflict, use);
        ramet_abort(txn);
    }
}

static int look_at_cursor(void *ctx, const struct ramet_watch_cursor_info *info)
{
    (void)ctx;
    return strlen(info->name) > RAMET_NAME_MAX;
}

/* Batches from a version on; with a cursor, if it has a name. */
static void watch(struct use *use, const char *since, unsigned flags, const char *cursor)
{
    struct ramet_watch_options options = {.size = sizeof(options), .flags = flags};
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_change change = {.size = sizeof(change)};
    struct ramet_watch *w;
    options.cursor = cursor;
    if (judge(use, ramet_watch_open(use->store, "d", NULL, rmt_slice(NULL, 0), since, &options, &w),
              "a watcher") < 0)
        return;
    for (unsigned i = 0; i < 10 && judge(use, ramet_watch_next(w, &batch), "a batch") == 0; i++) {
        for (unsigned n = 0;
             n < 1000 && judge(use, ramet_watch_change(w, &change), "a change") == 0; n++)
            ;
        (void)judge(use, ramet_watch_ack(w), "acknowledging");
    }
    ramet_watch_close(w);
}

static void read_all(struct use *use)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    use->nr_refs = 0;
    (void)judge(use, ramet_stat(use->store, &stat), "the figures");
    (void)judge(use, ramet_branch_list(use->store, add_branch, use), "the list of branches");
    (void)judge(use, ramet_snapshot_list(use->store, NULL, add_snapshot, use),
                "the list of snapshots");
    for (unsigned i = 0; i < use->nr_refs; i++)
        read_version(use, use->refs[i]);
    for (unsigned i = 0; i + 1 < use->nr_refs; i++)
        read_history(use, use->refs[i], use->refs[i + 1]);
    (void)judge(use, ramet_watch_cursor_list(use->store, look_at_cursor, NULL), "cursors");
    watch(use, "", RAMET_WATCH_EVERY | RAMET_WATCH_HEAD, NULL);
}

static void report(void *ctx, const char *problem)
{
    struct use *use = ctx;
    if (!*use->problem)
        (void)snprintf(use->problem, sizeof(use->problem), "%s", problem);
}

static int check(struct use *use, const char *when)
{
    int rc = ramet_check(use->store, 0, report, NULL, use);
    return judge(use, rc, when);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Whatever the blobs are like, references to shared pages are counted right, if they were. */
static void write_blobs(struct use *use, const char *branch, unsigned options)
{
    const uint64_t size = RMT_PAGE_SIZE_MIN;
    struct ramet_txn *txn;
    struct ramet_blob *x, *y;
    uint8_t byte = 1;
    if (judge(use, ramet_begin(use->store, branch, RAMET_WRITE, &txn), branch) < 0)
        return;
    int rc = ramet_blob_open(txn, "x", RAMET_CREATE, &x);
    if (rc == 0)
        rc = ramet_blob_open(txn, "y", RAMET_CREATE, &y);
    if (judge(use, rc, "a blob") == 0) {
        (void)ramet_blob_write(y, 3 * size, &byte, 1);
        (void)ramet_blob_copy(x, size, y, 9 * size, 6 * size);
        (void)ramet_blob_copy(y, 0, y, size, 12 * size);
        (void)ramet_blob_zero(y, 11 * size, 5 * size);
    }
    if (options & OPT_DROP)
        (void)judge(use, rc < 0 ? 0 : ramet_blob_drop(txn, "x"), "dropping a blob");
    rc = ramet_commit(txn, NULL, NULL);
    if (rc != RAMET_ETXN)
        (void)judge(use, rc, "committing blobs");
}

static void write_branch(struct use *use, const char *branch, unsigned options)
{
    static const uint8_t value[20000];
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_keep keep = {.size = sizeof(keep), .name = "fuzz"};
    if (judge(use, ramet_begin(use->store, branch, RAMET_WRITE, &txn), branch) < 0)
        return;
    if (options & OPT_DROP)
        (void)judge(use, ramet_map_drop(txn, "n"), "dropping a map");
    if (judge(use, ramet_map_open(txn, "m", RAMET_CREATE, &map), "a map") == 0) {
        for (uint32_t i = 0; i < 40; i++) {
            char key[32];
            size_t size = make_key(key, sizeof(key), i * 11);
            if (i % 4 == 3)
                (void)judge(use, ramet_del(map, rmt_slice(key, size)), "deleting");
            else
                (void)judge(use,
                            ramet_put(map, rmt_slice(key, size),
                                      rmt_slice(value, i % 16 == 1 ? sizeof(value) : i), 0),
                            "putting");
        }
        if (options & OPT_RANGE)
            (void)judge(use, ramet_del_range(map, rmt_slice("k5", 2), rmt_slice("user/3", 6), NULL),
                        "deleting a range");
    }
    (void)judge(use, ramet_commit(txn, &keep, NULL), "committing");
}

/* Merges whatever there is, and resolves what was noted. */
static void merge_all(struct use *use)
{
    static const struct ramet_merge_rule rules[] = {
        {.prefix = {"user", 4}, .policy = RAMET_MERGE_SET},
        {.prefix = {"k1", 2}, .policy = RAMET_MERGE_COUNTER},
        {.prefix = {"k", 1}, .policy = RAMET_MERGE_THEIRS},
    };
    struct ramet_merge_options options = {.size = sizeof(options), .rules = rules, .nr_rules = 3};
    struct ramet_txn *txn;
    char key[32];
    if (judge(use, ramet_begin(use->store, "g", RAMET_WRITE, &txn), "g") == 0) {
        for (uint32_t i = 450; i < 456; i++) {
            size_t size = make_key(key, sizeof(key), i);
            (void)ramet_conflict_resolve(txn, "m", rmt_slice(key, size), (int)i % 4);
        }
        (void)judge(use, ramet_commit(txn, NULL, NULL), "committing");
    }
    for (unsigned i = 0; i + 1 < use->nr_refs; i++) {
        options.flags = i % 3 == 0   ? RAMET_MERGE_KEEP_CONFLICTS
                        : i % 3 == 1 ? RAMET_MERGE_DRY_RUN
                                     : RAMET_MERGE_NO_FF;
        const char *a = use->refs[i], *b = use->refs[i + 1];
        (void)judge(use, ramet_merge(use->store, a, b, &options, NULL), "a merge");
        (void)judge(use, ramet_merge(use->store, b, a, &options, NULL), "a merge");
        (void)judge(use, ramet_revert(use->store, a, b, &options, NULL), "a revert");
    }
}

static void write_all(struct use *use, unsigned options)
{
    const char *branch = use->nr_refs && use->refs[0][0] != '@' ? use->refs[0] : "main";
    write_branch(use, branch, options);
    write_blobs(use, branch, options);
    if (options & OPT_BRANCHES) {
        (void)judge(use, ramet_branch_create(use->store, "fuzz", branch), "a branch");
        (void)judge(use, ramet_branch_reset(use->store, "fuzz", "b@two"), "a reset");
        (void)judge(use, ramet_snapshot_delete(use->store, "b@two"), "a snapshot");
    }
    if (options & OPT_BRANCHES)
        merge_all(use);
    for (unsigned i = 1; options & OPT_DROP && i < use->nr_refs; i++) {
        if (use->refs[i][0] != '@')
            (void)judge(use, ramet_branch_delete(use->store, use->refs[i]), "dropping a branch");
        else
            (void)judge(use, ramet_snapshot_delete(use->store, use->refs[i]),
                        "dropping a snapshot");
    }
    watch(use, NULL, 0, "w");
    (void)judge(use, ramet_watch_cursor_delete(use->store, "w"), "deleting a cursor");
    (void)judge(use, ramet_reclaim(use->store, 2000, NULL), "reclaiming");
    if (options & OPT_COMPACT)
        (void)judge(use, ramet_compact(use->store, NULL, NULL), "compacting");
    write_branch(use, branch, options);
}

static void copy(struct use *use)
{
    struct rmt_sim *sim = rmt_sim_new(2, DISK_BYTES);
    struct rmt_io *io;
    struct use other = {.sound = use->sound};
    rmt_assert(sim != NULL);
    must(rmt_sim_open(sim, 0, &io));
    if (judge(use, rmt_store_copy(use->store, io, NULL, NULL, &other.store), "copying") == 0) {
        (void)check(&other, "the check of a copy");
        ramet_close(other.store);
    }
    rmt_sim_free(sim);
}

static void run(struct rmt_sim *sim, unsigned options)
{
    struct use use = {0};
    unsigned flags = options & OPT_READONLY ? RMT_IO_READONLY : 0;
    int durability = options & OPT_NONE ? RAMET_NONE : RAMET_FULL;
    if (open_sim(sim, flags, 0, durability, &use.store) < 0)
        return;
    use.sound = check(&use, "a check") == 0;
    read_all(&use);
    if (options & OPT_COPY)
        copy(&use);
    if (!(options & OPT_READONLY)) {
        write_all(&use, options);
        (void)check(&use, "the check after writing");
        read_all(&use);
    }
    ramet_close(use.store);
    rmt_sim_boot(sim);
    if (judge(&use, open_sim(sim, 0, 0, RAMET_FULL, &use.store), "opening again") < 0)
        return;
    (void)check(&use, "the check after opening again");
    ramet_close(use.store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rmt_input in = {data, data + size};
    uint32_t which = (uint32_t)rmt_input_take(&in, 1) % NR_BASES;
    uint32_t options = (uint32_t)rmt_input_take(&in, 1);
    struct base *base = &bases[which];
    struct rmt_sim *sim;
    uint64_t bytes_size;
    if (which == 0) {
        struct rmt_io *io;
        sim = rmt_sim_new(1, DISK_BYTES);
        rmt_assert(sim != NULL);
        must(rmt_sim_open(sim, 0, &io));
        must(io->ops->grow(io, RMT_META_SIZE + RMT_FIRST_PAGES * RMT_PAGE_SIZE_MIN));
        rmt_io_close(io);
        uint8_t *bytes = rmt_sim_bytes(sim, &bytes_size);
        memcpy(bytes, in.p, rmt_min((uint64_t)(in.end - in.p), bytes_size));
    } else {
        if (!base->sim)
            make_base(which);
        sim = rmt_sim_clone(base->sim, 1);
        rmt_assert(sim != NULL);
        if (!(options & OPT_KILLED))
            rmt_sim_boot(sim);
        struct rmt_blocks blocks = {rmt_sim_bytes(sim, &bytes_size), base->blocks, base->count};
        while (in.p < in.end)
            rmt_patch(&in, &blocks);
    }
    run(sim, options);
    rmt_assert(rmt_sim_violations(sim) == 0);
    rmt_sim_free(sim);
    return 0;
}
