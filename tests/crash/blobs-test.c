/* SPDX-License-Identifier: MIT */
/*
 * blobs-test.c - programs of writes and copies of blobs and regions on the simulated machine, which
 * loses power at every single operation of its disk.
 *
 * Before each write, flush and growth the machine is copied; each copy loses power and keeps,
 * drops, tears or scatters what was not flushed, or loses only its processes. Then it comes up and
 * must hold every branch's blobs, page by page, as one commit left them: the newest that was
 * acknowledged as flushed, or a later one, or the one under way. So no page is of two versions, and
 * no two pages. It must go on from there, too.
 *
 *   --seed=N --count=N (programs) --seconds=N --long --verbose
 *   --only=CUT[:FATE]   only the cut before that operation of the disk
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "api/args.h"
#include "base/hash.h"
#include "crash/watched.h"
#include "io/sim.h"
#include "store/store.h"

#define PAGES 40u
#define BRANCHES 2u
#define BLOBS 2u
#define KEPT 3u
#define STEPS 40u
#define STATES_MAX (2 * STEPS + 8)
#define KILLED RMT_SIM_FATES
#define FATES (RMT_SIM_FATES + 1)
#define LONG_S 3600

static const char *const branches[BRANCHES] = {"main", "other"}, *const blobs[BLOBS] = {"a", "b"};
static const char *const fates[FATES] = {"kept", "dropped", "torn", "scattered", "killed"};

/* What can be told of a blob: its size, and a checksum of each page. */
struct image {
    uint64_t exists, bytes;
    uint64_t pages[PAGES];
};

struct state {
    struct image heads[BRANCHES][BLOBS], kept[KEPT][BLOBS];
};

struct program {
    uint64_t seed, random;
    uint32_t page_size;
    int durability;
    bool verbose;
    time_t end;
    uint64_t only, only_fate;
    struct rmt_sim *sim;
    struct ramet_store *store;
    struct ramet_region *region; /* NULL, or of blob a of main */
    uint8_t *bytes[BRANCHES][BLOBS];
    struct state now;

    pthread_mutex_t lock; /* guards all below, which the flusher's thread reads */
    struct state states[STATES_MAX];
    size_t nr_states;    /* the last one may be under way */
    size_t acknowledged; /* index of the newest that a call has returned for */
    size_t durable;      /* and of the newest that was flushed for sure */
    uint64_t cuts;
};

static uint64_t chance(struct program *p, uint64_t below)
{
    return random_below(&p->random, below);
}

static uint64_t bytes_max(const struct program *p)
{
    return (uint64_t)PAGES * p->page_size;
}

static void image_make(const struct program *p, const uint8_t *bytes, struct image *image)
{
    for (uint32_t i = 0; i < PAGES; i++)
        image->pages[i] = rmt_hash(bytes + (size_t)i * p->page_size, p->page_size, 0);
}

/* ---- after a cut ----------------------------------------------------------------------------- */

static void report(void *ctx, const char *problem)
{
    char *first = ctx;
    if (!*first)
        (void)snprintf(first, 300, "%s", problem);
}

/* What a version has. Its bytes are read as a blob, and as memory. */
static int read_version(const struct program *p, struct ramet_store *store, const char *ref,
                        struct image out[BLOBS])
{
    rmt_auto(free) uint8_t *bytes = malloc(bytes_max(p));
    struct ramet_txn *txn;
    rmt_assert(bytes != NULL);
    int rc = ramet_begin(store, ref, RAMET_READ, &txn);
    if (rc < 0)
        return rc == RAMET_ENOTFOUND ? 0 : rc;
    for (uint32_t i = 0; i < BLOBS && rc == 0; i++) {
        struct ramet_blob *blob;
        struct ramet_region *region;
        memset(bytes, 0, bytes_max(p));
        rc = ramet_blob_open(txn, blobs[i], 0, &blob);
        if (rc == RAMET_ENOTFOUND) {
            rc = 0;
            continue;
        }
        out[i].exists = 1;
        if (rc == 0)
            rc = ramet_blob_size(blob, &out[i].bytes);
        int64_t n = rc == 0 ? ramet_blob_read(blob, 0, bytes, bytes_max(p)) : rc;
        if (n < 0 || (uint64_t)n != out[i].bytes)
            rc = n < 0 ? (int)n : rmt_fail(-EIO, "%" PRIi64 " bytes were read", n);
        image_make(p, bytes, &out[i]);
        if (rc == 0)
            rc = ramet_region_open(store, ref, blobs[i], NULL, &region);
        if (rc < 0)
            break;
        if (memcmp(ramet_region_data(region), bytes, out[i].bytes) != 0)
            rc = rmt_fail(-EIO, "a region of '%s' in '%s' shows something else", blobs[i], ref);
        ramet_region_close(region);
    }
    ramet_abort(txn);
    return rc;
}

static int read_state(const struct program *p, struct ramet_store *store, struct state *out)
{
    int rc = 0;
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < BRANCHES && rc == 0; i++)
        rc = read_version(p, store, branches[i], out->heads[i]);
    for (uint32_t i = 0; i < KEPT && rc == 0; i++) {
        char ref[16];
        (void)snprintf(ref, sizeof(ref), "main@k%u", i);
        rc = read_version(p, store, ref, out->kept[i]);
    }
    return rc;
}

struct aftermath {
    const struct program *p;
    struct rmt_sim *sim;
    uint64_t random;
    size_t from, to; /* states that may be found */
    const char *what;
    uint64_t at;
};

#define wrong(a, fmt, ...)                                                                    \
    fatal("power cut before operation %" PRIu64 " of the disk, %s: " fmt, (a)->at, (a)->what, \
          ##__VA_ARGS__)

/* Which page it is that is as no state has it. */
static void none_fits(const struct aftermath *a, const struct state *found)
{
    const struct state *newest = &a->p->states[a->to];
    for (uint32_t i = 0; i < BRANCHES * BLOBS; i++) {
        const struct image *x = &found->heads[i / BLOBS][i % BLOBS];
        const struct image *y = &newest->heads[i / BLOBS][i % BLOBS];
        const char *branch = branches[i / BLOBS], *blob = blobs[i % BLOBS];
        if (x->exists != y->exists || x->bytes != y->bytes)
            wrong(a, "'%s' of '%s' has %" PRIu64 " bytes, not %" PRIu64, blob, branch, x->bytes,
                  y->bytes);
        for (uint32_t page = 0; page < PAGES; page++) {
            size_t known = 0;
            for (size_t s = a->from; s <= a->to; s++)
                known += a->p->states[s].heads[i / BLOBS][i % BLOBS].pages[page] == x->pages[page];
            if (x->pages[page] != y->pages[page])
                wrong(a,
                      "page %u of '%s' of '%s' is not that of the newest version; of %zu that "
                      "may be, %zu have it so",
                      page, blob, branch, a->to - a->from + 1, known);
        }
    }
    wrong(a, "a snapshot has other bytes");
}

static struct ramet_store *open_sim(const struct aftermath *a)
{
    struct ramet_options options = {
        .size = sizeof(options), .durability = a->p->durability, .page_size = a->p->page_size};
    struct rmt_io *io = NULL;
    struct ramet_store *store = NULL;
    rmt_assert(rmt_sim_open(a->sim, 0, &io) == 0);
    int rc = rmt_store_open_io(io, &options, &store);
    if (rc < 0 && !rmt_sim_is_cut(a->sim))
        wrong(a, "opening: %d: %s", rc, ramet_errmsg());
    return rc < 0 ? NULL : store;
}

/* Reads and checks all of it. False: the power was cut again meanwhile. */
static bool look(const struct aftermath *a, struct ramet_store *store, struct state *out)
{
    char first[300] = "";
    int rc = store ? read_state(a->p, store, out) : -EIO;
    if (rc == 0)
        rc = ramet_check(store, 0, report, NULL, first);
    if (rc != 0 && !rmt_sim_is_cut(a->sim))
        wrong(a, "%d: %s; %s", rc, first, ramet_errmsg());
    return rc == 0;
}

/* Writes through a blob and a region, which is there after one more cut. */
static void go_on(struct aftermath *a, struct ramet_store *store)
{
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    struct ramet_region *region;
    struct state before, after;
    uint8_t page[4096];
    uint64_t off = random_below(&a->random, bytes_max(a->p) - sizeof(page));
    memset(page, 1 + (int)random_below(&a->random, 255), sizeof(page));
    must(ramet_begin(store, "main", RAMET_WRITE, &txn));
    must(ramet_blob_open(txn, "a", RAMET_CREATE, &blob));
    must(ramet_blob_write(blob, off, page, sizeof(page)));
    must(ramet_commit(txn, NULL, NULL));
    must(ramet_region_open(store, "main", "a", NULL, &region));
    uint8_t *bytes = ramet_region_data(region);
    if (memcmp(bytes + off, page, sizeof(page)) != 0)
        wrong(a, "what was written afterwards is not there");
    bytes[off] ^= 255;
    must(ramet_region_commit(region, NULL, NULL));
    ramet_region_close(region);
    must(ramet_sync(store));
    if (!look(a, store, &before))
        wrong(a, "it was cut again");
    rmt_sim_cut_at(a->sim, rmt_sim_ops(a->sim), RMT_SIM_DROP);
    ramet_close(store);
    rmt_sim_boot(a->sim);
    store = open_sim(a);
    if (!look(a, store, &after) || memcmp(&before, &after, sizeof(before)) != 0)
        wrong(a, "what was flushed afterwards was lost in the next cut");
    page[0] ^= 255;
    must(ramet_begin(store, "main", RAMET_READ, &txn));
    must(ramet_blob_open(txn, "a", 0, &blob));
    uint8_t got[sizeof(page)];
    if (ramet_blob_read(blob, off, got, sizeof(got)) != sizeof(got) ||
        memcmp(got, page, sizeof(page)) != 0)
        wrong(a, "what was flushed afterwards is something else after the next cut");
    ramet_abort(txn);
    ramet_close(store);
}

static void verify(struct aftermath *a)
{
    struct state found;
    bool cut_again = random_below(&a->random, 4) == 0;
    if (cut_again)
        rmt_sim_cut_at(a->sim, rmt_sim_ops(a->sim) + random_below(&a->random, 6),
                       (enum rmt_sim_fate)random_below(&a->random, RMT_SIM_FATES));
    struct ramet_store *store = open_sim(a);
    bool seen = look(a, store, &found);
    if (!seen) {
        ramet_close(store);
        rmt_sim_boot(a->sim);
        a->from = a->p->durable; /* what was killed alone may be lost now */
        store = open_sim(a);
        seen = look(a, store, &found);
    }
    if (!seen)
        wrong(a, "it was cut a third time");
    rmt_sim_cut_at(a->sim, UINT64_MAX, RMT_SIM_KEEP);
    size_t i = a->to;
    while (memcmp(&a->p->states[i], &found, sizeof(found)) != 0) {
        if (i-- == a->from)
            none_fits(a, &found);
    }
    if (random_below(&a->random, 3) == 0)
        go_on(a, store);
    else
        ramet_close(store);
    if (rmt_sim_violations(a->sim) != 0)
        wrong(a, "the disk was misused");
}

struct cut {
    struct program *p;
    uint64_t at;
};

/* In a thread of its own: the watched one may hold locks of the engine. */
static void *try_cut(void *ctx)
{
    const struct cut *cut = ctx;
    struct program *p = cut->p;
    (void)pthread_mutex_lock(&p->lock);
    for (uint64_t fate = 0; fate < FATES; fate++) {
        struct aftermath a = {.p = p,
                              .random = p->seed << 32 ^ cut->at << 8 ^ fate,
                              .from = fate == KILLED ? p->acknowledged : p->durable,
                              .to = p->nr_states - 1,
                              .what = fates[fate],
                              .at = cut->at};
        if (p->only_fate != UINT64_MAX && p->only_fate != fate)
            continue;
        a.random = random_next(&a.random);
        a.sim = rmt_sim_clone(p->sim, a.random);
        rmt_assert(a.sim != NULL);
        if (fate != KILLED) {
            rmt_sim_cut_at(a.sim, UINT64_MAX, (enum rmt_sim_fate)fate);
            rmt_sim_boot(a.sim);
        }
        verify(&a);
        rmt_sim_free(a.sim);
        p->cuts++;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void before_operation(void *ctx)
{
    struct program *p = ctx;
    struct cut cut = {p, rmt_sim_ops(p->sim)};
    pthread_t thread;
    if (p->only != UINT64_MAX && p->only != cut.at)
        return;
    rmt_assert(pthread_create(&thread, NULL, try_cut, &cut) == 0);
    rmt_assert(pthread_join(thread, NULL) == 0);
}

/* ---- programs -------------------------------------------------------------------------------- */

/* What the call that comes next makes of the store may be found from now on. */
static void will_be(struct program *p, const struct state *state)
{
    (void)pthread_mutex_lock(&p->lock);
    rmt_assert(p->nr_states < STATES_MAX);
    p->states[p->nr_states++] = *state;
    (void)pthread_mutex_unlock(&p->lock);
}

static void is_there(struct program *p, bool flushed)
{
    (void)pthread_mutex_lock(&p->lock);
    p->acknowledged = p->nr_states - 1;
    if (flushed || p->durability == RAMET_FULL)
        p->durable = p->acknowledged;
    p->now = p->states[p->acknowledged];
    (void)pthread_mutex_unlock(&p->lock);
}

/* Any part of a blob, often of whole pages. */
static void choose_part(struct program *p, uint64_t *off, uint64_t *len)
{
    uint64_t max = bytes_max(p), unit = chance(p, 2) ? p->page_size : 1;
    *off = chance(p, max / unit) * unit;
    *len = rmt_min(max - *off, (1 + chance(p, chance(p, 3) ? 3 * p->page_size : max)) * unit);
}

/* Bytes that differ from sector to sector. */
static void invent(struct program *p, uint8_t *out, uint64_t len)
{
    uint64_t r = random_next(&p->random);
    for (uint64_t i = 0; i < len; i++)
        out[i] = (uint8_t)(r >> i / 512 % 57);
}

static void change_blob(struct program *p, struct ramet_blob *blob, uint8_t *bytes,
                        struct image *image)
{
    rmt_auto(free) uint8_t *buf = malloc(bytes_max(p));
    uint64_t off, len;
    rmt_assert(buf != NULL);
    choose_part(p, &off, &len);
    switch (chance(p, 6)) {
    case 0:
        must(ramet_blob_zero(blob, off, len));
        len = off < image->bytes ? rmt_min(len, image->bytes - off) : 0;
        memset(bytes + off, 0, len);
        break;
    case 1:
        must(ramet_blob_truncate(blob, off));
        memset(bytes + off, 0, bytes_max(p) - off);
        image->bytes = off;
        break;
    default:
        invent(p, buf, len);
        must(ramet_blob_write(blob, off, buf, len));
        memcpy(bytes + off, buf, len);
        image->bytes = rmt_max(image->bytes, off + len);
        break;
    }
}

/* Of any blob of the branch, mostly to where it lies alike in its pages. */
static void copy_part(struct program *p, struct ramet_txn *txn, uint32_t branch, uint32_t to_blob,
                      struct state *next)
{
    uint32_t from_blob = (uint32_t)chance(p, BLOBS);
    const struct image *image = &next->heads[branch][from_blob];
    struct image *to_image = &next->heads[branch][to_blob];
    struct ramet_blob *from, *to;
    uint64_t off, len, to_off = chance(p, bytes_max(p)), was = to_image->bytes;
    if (!image->exists)
        return;
    choose_part(p, &off, &len);
    if (chance(p, 4))
        to_off = to_off / p->page_size * p->page_size + off % p->page_size;
    len = off < image->bytes ? rmt_min(len, image->bytes - off) : 0;
    len = rmt_min(len, bytes_max(p) - to_off);
    must(ramet_blob_open(txn, blobs[from_blob], 0, &from));
    must(ramet_blob_open(txn, blobs[to_blob], 0, &to));
    int64_t n = ramet_blob_copy(from, off, to, to_off, len);
    if ((uint64_t)n != len)
        fatal("%" PRIi64 " bytes were copied, not %" PRIu64 ": %s", n, len, ramet_errmsg());
    if (len)
        to_image->bytes = rmt_max(was, to_off + len);
    memmove(p->bytes[branch][to_blob] + to_off, p->bytes[branch][from_blob] + off, len);
}

static void write_blobs(struct program *p)
{
    uint32_t branch = (uint32_t)chance(p, BRANCHES);
    struct ramet_keep keep = {.size = sizeof(keep)};
    struct state next = p->now;
    struct ramet_txn *txn;
    char name[8];
    uint32_t kept = (uint32_t)chance(p, KEPT);
    bool keeps = branch == 0 && !next.kept[kept][0].exists && next.heads[0][0].exists;
    must(ramet_begin(p->store, branches[branch], RAMET_WRITE, &txn));
    for (uint32_t i = 0; i < BLOBS; i++) {
        struct image *image = &next.heads[branch][i];
        struct ramet_blob *blob;
        if (chance(p, 3) == 0)
            continue;
        must(ramet_blob_open(txn, blobs[i], RAMET_CREATE, &blob));
        image->exists = 1;
        for (uint64_t n = 1 + chance(p, 4); n > 0; n--) {
            if (chance(p, 3) == 0)
                copy_part(p, txn, branch, i, &next);
            else
                change_blob(p, blob, p->bytes[branch][i], image);
        }
        image_make(p, p->bytes[branch][i], image);
    }
    (void)snprintf(name, sizeof(name), "k%u", kept);
    keep.name = name;
    if (keeps)
        memcpy(next.kept[kept], next.heads[0], sizeof(next.kept[kept]));
    will_be(p, &next);
    must(ramet_commit(txn, keeps ? &keep : NULL, NULL));
    is_there(p, false);
}

static void close_region(struct program *p)
{
    ramet_region_close(p->region);
    p->region = NULL;
}

/* Stores to memory, and a commit or a reset. */
static void use_region(struct program *p)
{
    struct ramet_region_options options = {.size = sizeof(options), .reserve = bytes_max(p)};
    struct state next = p->now;
    struct image *image = &next.heads[0][0];
    rmt_auto(free) uint8_t *was = malloc(bytes_max(p));
    uint8_t *bytes = p->bytes[0][0];
    rmt_assert(was != NULL);
    if (!image->exists)
        return;
    if (p->region)
        must(ramet_region_refresh(p->region, RAMET_REGION_THEIRS));
    else
        must(ramet_region_open(p->store, "main", "a", &options, &p->region));
    uint8_t *memory = ramet_region_data(p->region);
    if (memcmp(memory, bytes, image->bytes) != 0)
        fatal("the region shows something else");
    memcpy(was, bytes, bytes_max(p));
    for (uint64_t n = chance(p, 4) ? 0 : 1 + chance(p, 2); n > 0; n--) { /* perhaps to and fro */
        uint64_t size = chance(p, bytes_max(p) + 1);
        must(ramet_region_resize(p->region, size));
        memset(bytes + size, 0, bytes_max(p) - size);
        image->bytes = size;
    }
    for (uint64_t n = chance(p, 5); n > 0; n--) {
        uint64_t off, len;
        choose_part(p, &off, &len);
        len = off < image->bytes ? rmt_min(len, image->bytes - off) : 0;
        invent(p, memory + off, len);
        memcpy(bytes + off, memory + off, len);
    }
    if (chance(p, 5) == 0) {
        must(ramet_region_reset(p->region));
        memcpy(bytes, was, bytes_max(p));
        return;
    }
    image_make(p, bytes, image);
    will_be(p, &next);
    must(ramet_region_commit(p->region, NULL, NULL));
    is_there(p, false);
}

/* The other branch goes, or begins anew as main is. */
static void branch_anew(struct program *p)
{
    struct state next = p->now;
    memset(next.heads[1], 0, sizeof(next.heads[1]));
    will_be(p, &next);
    must(ramet_branch_delete(p->store, branches[1]));
    is_there(p, false);
    memcpy(next.heads[1], next.heads[0], sizeof(next.heads[1]));
    for (uint32_t i = 0; i < BLOBS; i++)
        memcpy(p->bytes[1][i], p->bytes[0][i], bytes_max(p));
    will_be(p, &next);
    must(ramet_branch_create(p->store, branches[1], branches[0]));
    is_there(p, false);
}

static void drop_blob(struct program *p)
{
    uint32_t i = (uint32_t)chance(p, BLOBS);
    struct state next = p->now;
    struct ramet_txn *txn;
    if (!next.heads[0][i].exists)
        return;
    if (i == 0)
        close_region(p);
    memset(p->bytes[0][i], 0, bytes_max(p));
    next.heads[0][i] = (struct image){0};
    must(ramet_begin(p->store, branches[0], RAMET_WRITE, &txn));
    must(ramet_blob_drop(txn, blobs[i]));
    will_be(p, &next);
    must(ramet_commit(txn, NULL, NULL));
    is_there(p, false);
}

static void step(struct program *p)
{
    switch (chance(p, 16)) {
    case 0: branch_anew(p); break;
    case 1: drop_blob(p); break;
    case 2: must(ramet_compact(p->store, NULL, NULL)); break;
    case 3:
    case 4:
        must(ramet_sync(p->store));
        is_there(p, true);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: use_region(p); break;
    default: write_blobs(p); break;
    }
}

static void choose(struct program *p)
{
    static const uint32_t page_sizes[] = {4096, 4096, 4096, 16384};
    static const int durabilities[] = {RAMET_FULL, RAMET_FULL, RAMET_NONE, RAMET_LAZY};
    uint64_t seed = p->seed;
    p->random = random_next(&seed); /* else the next seed's numbers were these, one later */
    p->page_size = page_sizes[chance(p, 4)];
    p->durability = durabilities[chance(p, 4)];
    for (uint32_t i = 0; i < BRANCHES * BLOBS; i++) {
        p->bytes[i / BLOBS][i % BLOBS] = calloc(PAGES, p->page_size);
        rmt_assert(p->bytes[i / BLOBS][i % BLOBS] != NULL);
    }
}

static void run(struct program *p)
{
    struct ramet_options options = {.size = sizeof(options)};
    struct rmt_io *io = NULL;
    choose(p);
    options.durability = p->durability;
    options.page_size = p->page_size;
    p->sim = rmt_sim_new(p->seed, UINT64_C(1) << 30);
    rmt_assert(p->sim != NULL);
    rmt_assert(pthread_mutex_init(&p->lock, NULL) == 0);
    rmt_assert(rmt_sim_open(p->sim, 0, &io) == 0);
    must(rmt_store_open_io(io, &options, &p->store));
    must(ramet_branch_create(p->store, branches[1], branches[0]));
    must(ramet_sync(p->store));
    ramet_close(p->store);
    p->nr_states = 1; /* nothing is there */
    rmt_assert(rmt_sim_open(p->sim, 0, &io) == 0);
    must(rmt_store_open_io(watched_new(io, before_operation, p), &options, &p->store));
    for (uint32_t i = 0; i < STEPS && time(NULL) < p->end; i++)
        step(p);
    close_region(p);
    ramet_close(p->store); /* cuts here count as well */
    if (p->verbose)
        printf("seed %" PRIu64 ", pages of %u, durability %d: %zu states, %" PRIu64 " cuts\n",
               p->seed, p->page_size, p->durability, p->nr_states, p->cuts);
    rmt_sim_free(p->sim);
    for (uint32_t i = 0; i < BRANCHES * BLOBS; i++)
        free(p->bytes[i / BLOBS][i % BLOBS]);
    (void)pthread_mutex_destroy(&p->lock);
}

int main(int argc, char **argv)
{
    struct args args = {.seed = 1, .count = 40, .seconds = 20};
    if (!args_parse(argc, argv, &args))
        return 2;
    if (args.endless) {
        args.count = UINT64_MAX;
        args.seconds = LONG_S;
    }
    uint64_t only = UINT64_MAX, only_fate = UINT64_MAX, done = 0, cuts = 0;
    if (args.only && sscanf(args.only, "%" SCNu64 ":%" SCNu64, &only, &only_fate) < 1)
        return 2;
    time_t end = time(NULL) + (time_t)args.seconds;
    for (; done < args.count && time(NULL) < end; done++) {
        struct program *p = calloc(1, sizeof(*p));
        rmt_assert(p != NULL);
        p->seed = args.seed + done;
        p->verbose = args.verbose;
        p->end = end;
        p->only = only;
        p->only_fate = only_fate;
        fatal_prefix("seed %" PRIu64, p->seed);
        run(p);
        cuts += p->cuts;
        free(p);
    }
    printf("%" PRIu64 " programs, %" PRIu64 " cuts\n", done, cuts);
    return cuts > 0 || only != UINT64_MAX ? 0 : 1;
}
