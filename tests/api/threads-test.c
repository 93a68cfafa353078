/* SPDX-License-Identifier: MIT */
/*
 * threads-test.c - many threads on one handle of a store, or on two handles of one process.
 *
 * What branches hold shows whether it is one whole version (bank.h). Branches w0.. have one writer
 * each, `main` has several that wait for it; t0.. are created, reset and deleted under everybody.
 * Readers hold versions, move on, and share one transaction among several threads. In the end the
 * numbers of the versions add up to the commits that were acknowledged.
 *
 *   --seed=N --seconds=N (of each kind of store) --only=KIND --dir=FOLDER --long
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/args.h"
#include "api/bank.h"
#include "base/base.h"

#define NAME_SIZE 48
#define LONE 2     /* branches w0.. */
#define VOLATILE 3 /* branches t0.. */
#define SHARERS 3  /* threads that read in one transaction */
#define WAITING 3  /* writers of main */
#define READERS 3

struct kind {
    const char *name;
    bool memory;
    int durability;
    bool two_handles;
};

static const struct kind kinds[] = {
    {"memory", true, RAMET_FULL, false}, {"full", false, RAMET_FULL, false},
    {"lazy", false, RAMET_LAZY, false},  {"none", false, RAMET_NONE, true},
    {"two", false, RAMET_FULL, true},
};

struct test {
    struct ramet_store *stores[2]; /* the same handle twice, or two */
    _Atomic bool stop;
    _Atomic uint64_t commits[1 + LONE]; /* acknowledged: of main, w0.. */
    _Atomic uint64_t busy, verified, versions;
    pthread_barrier_t barrier; /* of the sharers */
    struct ramet_txn *shared;  /* guarded by barrier */
    struct bank bank;
    struct bank_meta shared_meta;
    bool sharers_end;
};

struct worker {
    struct test *test;
    uint64_t random;
    unsigned index;
    pthread_t thread;
};

static struct ramet_store *store_of(struct worker *w)
{
    return w->test->stores[random_below(&w->random, 2)];
}

static bool stopping(struct worker *w)
{
    return atomic_load(&w->test->stop);
}

/* ---- writers --------------------------------------------------------------------------------- */

static void branch_name(char buf[NAME_SIZE], char kind, uint64_t index)
{
    (void)snprintf(buf, NAME_SIZE, "%c%" PRIu64, kind, index);
}

/* Within the write transaction: a change, or none. True: it was committed. */
static bool write_once(struct worker *w, struct ramet_txn *txn)
{
    struct bank_meta before, now, seen;
    bank_peek(txn, &before);
    bank_change(txn, &w->random, w->index, &now);
    if (now.number != before.number + 1)
        fatal("another writer was in this transaction");
    if (random_below(&w->random, 10) == 0)
        bank_verify_txn(txn, &w->random, &seen);
    if (random_below(&w->random, 12) == 0) {
        ramet_abort(txn);
        return false;
    }
    uint64_t id, from = ramet_txn_id(txn);
    struct ramet_keep keep = {.size = sizeof(keep), .message = "kept by a commit"};
    bool keeps = random_below(&w->random, 40) == 0;
    must(ramet_commit(txn, keeps ? &keep : NULL, &id));
    if (id <= from)
        fatal("commit %" PRIu64 " upon %" PRIu64, id, from);
    return true;
}

static void *lone_writer(void *arg)
{
    struct worker *w = arg;
    char name[NAME_SIZE];
    branch_name(name, 'w', w->index);
    while (!stopping(w)) {
        struct ramet_txn *txn;
        must(ramet_begin(store_of(w), name, RAMET_WRITE, &txn));
        if (write_once(w, txn))
            atomic_fetch_add(&w->test->commits[1 + w->index], 1);
    }
    return NULL;
}

/* Several of these queue for one branch. */
static void *waiting_writer(void *arg)
{
    struct worker *w = arg;
    bool nowait = w->index == 0;
    while (!stopping(w)) {
        struct ramet_store *store = store_of(w);
        struct ramet_txn *txn, *second;
        int rc = ramet_begin(store, NULL, RAMET_WRITE | (nowait ? RAMET_NOWAIT : 0), &txn);
        if (rc == -EBUSY && nowait) {
            atomic_fetch_add(&w->test->busy, 1);
            (void)sched_yield();
            continue;
        }
        must(rc);
        if (random_below(&w->random, 20) == 0 &&
            ramet_begin(store, "main", RAMET_WRITE, &second) != -EDEADLK)
            fatal("a second write transaction of one thread on a branch");
        if (write_once(w, txn))
            atomic_fetch_add(&w->test->commits[0], 1);
    }
    return NULL;
}

/* Writes to branches that come and go. */
static void *volatile_writer(void *arg)
{
    struct worker *w = arg;
    while (!stopping(w)) {
        char name[NAME_SIZE];
        struct ramet_txn *txn;
        branch_name(name, 't', random_below(&w->random, VOLATILE));
        int rc = ramet_begin(store_of(w), name, RAMET_WRITE, &txn);
        if (must_or(rc, RAMET_ENOTFOUND) == 0)
            (void)write_once(w, txn);
        else
            (void)sched_yield();
    }
    return NULL;
}

/* ---- readers --------------------------------------------------------------------------------- */

static void random_ref(struct worker *w, char buf[NAME_SIZE])
{
    uint64_t n = random_below(&w->random, 1 + LONE + VOLATILE);
    if (n == 0)
        (void)snprintf(buf, NAME_SIZE, "main");
    else
        branch_name(buf, n <= LONE ? 'w' : 't', n <= LONE ? n - 1 : n - 1 - LONE);
}

/* Holds versions, and looks at each several times. */
static void *reader(void *arg)
{
    struct worker *w = arg;
    while (!stopping(w)) {
        char ref[NAME_SIZE];
        struct ramet_txn *txn;
        struct bank_meta first, m;
        random_ref(w, ref);
        if (must_or(ramet_begin(store_of(w), ref, RAMET_READ, &txn), RAMET_ENOTFOUND) < 0)
            continue;
        bank_verify_txn(txn, &w->random, &first);
        uint64_t id = ramet_txn_id(txn);
        for (uint64_t n = random_below(&w->random, 12); n && !stopping(w); n--) {
            if (random_below(&w->random, 3) == 0) {
                int rc = must_or(ramet_refresh(txn), RAMET_ENOTFOUND);
                bank_verify_txn(txn, &w->random, &m);
                if (*ref != 't' && (rc < 0 || m.number < first.number || ramet_txn_id(txn) < id))
                    fatal("branch %s went back from %" PRIu64 " to %" PRIu64, ref, first.number,
                          m.number);
                if (ramet_txn_id(txn) != id)
                    atomic_fetch_add(&w->test->versions, 1);
                id = ramet_txn_id(txn);
                first = m;
            } else {
                bank_verify_txn(txn, &w->random, &m);
                if (memcmp(&m, &first, sizeof(m)) != 0 || ramet_txn_id(txn) != id)
                    fatal("version %" PRIu64 " became %" PRIu64, first.number, m.number);
            }
            atomic_fetch_add(&w->test->verified, 1);
        }
        ramet_abort(txn);
    }
    return NULL;
}

/* Several threads read in one transaction, cursors and large values and all. */
static void *sharer(void *arg)
{
    struct worker *w = arg;
    struct test *t = w->test;
    for (;;) {
        struct bank_meta m;
        if (w->index == 0) {
            char ref[NAME_SIZE];
            do
                random_ref(w, ref);
            while (must_or(ramet_begin(store_of(w), ref, RAMET_READ, &t->shared), RAMET_ENOTFOUND) <
                   0);
            bank_open(t->shared, &t->bank);
            bank_peek(t->shared, &t->shared_meta);
            t->sharers_end = stopping(w);
        }
        (void)pthread_barrier_wait(&t->barrier);
        for (int i = 0; i < 3; i++) {
            bank_verify(&t->bank, &w->random, &m);
            if (memcmp(&m, &t->shared_meta, sizeof(m)) != 0)
                fatal("two threads of one transaction see different versions");
            atomic_fetch_add(&t->verified, 1);
        }
        bool end = t->sharers_end;
        (void)pthread_barrier_wait(&t->barrier);
        if (w->index == 0)
            ramet_abort(t->shared);
        if (end)
            return NULL;
    }
}

/* ---- those who change the tree of versions, and those who look at it ------------------------- */

struct choice {
    uint64_t id, random, nr;
};

static int choose_snapshot(void *ctx, const struct ramet_snapshot_info *info)
{
    struct choice *c = ctx;
    if (random_below(&c->random, ++c->nr) == 0)
        c->id = info->id;
    return 0;
}

/* A snapshot at random, as @ID; false if there is none. */
static bool random_snapshot(struct worker *w, struct ramet_store *store, char buf[NAME_SIZE])
{
    struct choice choice = {.random = random_next(&w->random)};
    must(ramet_snapshot_list(store, NULL, choose_snapshot, &choice));
    (void)snprintf(buf, NAME_SIZE, "@%" PRIu64, choice.id);
    return choice.nr > 0;
}

static void change_versions(struct worker *w, struct ramet_store *store)
{
    char ref[NAME_SIZE], name[NAME_SIZE];
    struct ramet_keep keep = {.size = sizeof(keep), .name = "named", .author = "threads"};
    struct ramet_txn *txn;
    struct bank_meta m;
    branch_name(name, 't', random_below(&w->random, VOLATILE));
    switch (random_below(&w->random, 8)) {
    case 0:
    case 1:
        random_ref(w, ref);
        (void)must_or(ramet_branch_create(store, name, ref), -EEXIST, RAMET_ENOTFOUND);
        break;
    case 2: (void)must_or(ramet_branch_delete(store, name), -EBUSY, RAMET_ENOTFOUND); break;
    case 3:
        if (random_snapshot(w, store, ref))
            (void)must_or(ramet_branch_reset(store, name, ref), -EBUSY, RAMET_ENOTFOUND);
        break;
    case 4:
        random_ref(w, ref);
        keep.name = random_below(&w->random, 2) ? keep.name : NULL;
        (void)must_or(ramet_snapshot_create(store, ref, &keep, NULL), -EEXIST, RAMET_ENOTFOUND);
        break;
    case 5:
        random_ref(w, ref);
        (void)snprintf(ref + strlen(ref), 16, "@named");
        (void)must_or(ramet_snapshot_delete(store, ref), RAMET_ENOTFOUND);
        break;
    case 6:
        if (random_snapshot(w, store, ref))
            (void)must_or(ramet_snapshot_delete(store, ref), RAMET_ENOTFOUND);
        break;
    default:
        if (random_snapshot(w, store, ref) &&
            must_or(ramet_begin(store, ref, RAMET_READ, &txn), RAMET_ENOTFOUND) == 0) {
            bank_verify_txn(txn, &w->random, &m);
            must(ramet_refresh(txn));
            ramet_abort(txn);
        }
    }
}

static void *changer(void *arg)
{
    struct worker *w = arg;
    while (!stopping(w))
        change_versions(w, store_of(w));
    return NULL;
}

static int on_reader(void *ctx, const struct ramet_reader_info *info)
{
    if (info->pid == 0 || info->version == 0)
        fatal("a reader of version %" PRIu64 ", pid %u", info->version, info->pid);
    ++*(uint64_t *)ctx;
    return 0;
}

static int on_branch(void *ctx, const struct ramet_branch_info *info)
{
    (void)info;
    ++*(uint64_t *)ctx;
    return 0;
}

static void look(struct worker *w, struct ramet_store *store, uint64_t *last_id)
{
    struct ramet_stat s = {.size = sizeof(s)};
    uint64_t count = 0;
    must(ramet_stat(store, &s));
    if (s.file_bytes != s.meta_bytes + s.data_bytes + s.unswept_bytes + s.book_bytes +
                            s.limbo_bytes + s.free_bytes + s.hole_bytes)
        fatal("what a store consists of does not add up");
    if (s.last_id < *last_id || s.poisoned || s.lost_id)
        fatal("the newest commit is %" PRIu64 " after %" PRIu64, s.last_id, *last_id);
    *last_id = s.last_id;
    switch (random_below(&w->random, 6)) {
    case 0: bank_check(store, random_below(&w->random, 2) ? RAMET_CHECK_QUICK : 0); break;
    case 1: must(ramet_reader_list(store, on_reader, &count)); break;
    case 2: must(ramet_sync(store)); break;
    case 3: must(ramet_reclaim(store, random_below(&w->random, 500), &count)); break;
    default:
        must(ramet_branch_list(store, on_branch, &count));
        if (count < 1 + LONE || count > 1 + LONE + VOLATILE)
            fatal("%" PRIu64 " branches", count);
    }
}

static void *looker(void *arg)
{
    struct worker *w = arg;
    uint64_t last_id = 0;
    while (!stopping(w))
        look(w, store_of(w), &last_id);
    return NULL;
}

/* ---- before and after ------------------------------------------------------------------------ */

static void make_branches(struct ramet_store *store)
{
    struct ramet_txn *txn;
    char name[NAME_SIZE];
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    bank_make(txn);
    must(ramet_commit(txn, NULL, NULL));
    for (uint64_t i = 0; i < LONE; i++) {
        branch_name(name, 'w', i);
        must(ramet_branch_create(store, name, NULL));
    }
}

/* The number of each branch is that of the commits that were acknowledged. */
static void count_commits(struct test *t, struct ramet_store *store, uint64_t *random)
{
    for (uint64_t i = 0; i <= LONE; i++) {
        struct ramet_txn *txn;
        struct bank_meta m;
        char name[NAME_SIZE] = "main";
        if (i)
            branch_name(name, 'w', i - 1);
        must(ramet_begin(store, name, RAMET_READ, &txn));
        bank_verify_txn(txn, random, &m);
        ramet_abort(txn);
        if (m.number != atomic_load(&t->commits[i]))
            fatal("branch %s has seen %" PRIu64 " commits of %" PRIu64, name, m.number,
                  atomic_load(&t->commits[i]));
    }
}

/* Drops all but main; then everything that was dropped can be used again. */
static void drop_all(struct ramet_store *store)
{
    char name[NAME_SIZE];
    for (uint64_t i = 0; i < LONE + VOLATILE; i++) {
        branch_name(name, i < LONE ? 'w' : 't', i < LONE ? i : i - LONE);
        (void)must_or(ramet_branch_delete(store, name), RAMET_ENOTFOUND);
    }
    struct worker w = {.random = 1};
    for (char ref[NAME_SIZE]; random_snapshot(&w, store, ref);)
        (void)must_or(ramet_snapshot_delete(store, ref), RAMET_ENOTFOUND);
    struct ramet_stat s = {.size = sizeof(s)};
    for (uint64_t i = 0, left; i < 400; i++) {
        struct ramet_txn *txn;
        struct bank_meta m;
        must(ramet_reclaim(store, 0, &left));
        must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
        bank_change(txn, &w.random, 0, &m);
        must(ramet_commit(txn, NULL, NULL));
        must(ramet_sync(store));
    }
    must(ramet_stat(store, &s));
    if (s.readers || s.unswept_bytes || s.branches != 1 || s.snapshots)
        fatal("%" PRIu64 " readers, %" PRIu64 " bytes unswept, %" PRIu64 " snapshots are left",
              s.readers, s.unswept_bytes, s.snapshots);
    if (s.limbo_bytes > s.data_bytes + (2 << 20))
        fatal("%" PRIu64 " bytes stay in limbo", s.limbo_bytes);
    bank_check(store, 0);
}

static void run_threads(struct test *t, uint64_t seed, uint64_t seconds)
{
    static void *(*const what[])(void *) = {lone_writer, waiting_writer, volatile_writer, reader,
                                            sharer,      changer,        looker};
    static const unsigned counts[] = {LONE, WAITING, 1, READERS, SHARERS, 2, 1};
    struct worker workers[32] = {0};
    unsigned n = 0;
    rmt_assert(pthread_barrier_init(&t->barrier, NULL, SHARERS) == 0);
    for (unsigned k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
        for (unsigned i = 0; i < counts[k]; i++, n++) {
            workers[n] = (struct worker){.test = t, .random = seed * 64 + n, .index = i};
            rmt_assert(pthread_create(&workers[n].thread, NULL, what[k], &workers[n]) == 0);
        }
    }
    (void)nanosleep(&(struct timespec){.tv_sec = (time_t)seconds}, NULL);
    atomic_store(&t->stop, true);
    for (unsigned i = 0; i < n; i++)
        rmt_assert(pthread_join(workers[i].thread, NULL) == 0);
    (void)pthread_barrier_destroy(&t->barrier);
}

static void open_store(const struct kind *kind, const char *path, struct ramet_store **out)
{
    struct ramet_options options = {.size = sizeof(options), .durability = kind->durability};
    must(ramet_open(kind->memory ? NULL : path, &options, out));
}

static void run_kind(const struct kind *kind, const char *path, uint64_t seed, uint64_t seconds)
{
    struct test t = {0};
    fatal_prefix("--only=%s --seed=%" PRIu64, kind->name, seed);
    (void)unlink(path);
    open_store(kind, path, &t.stores[0]);
    t.stores[1] = t.stores[0];
    make_branches(t.stores[0]);
    if (kind->two_handles)
        open_store(kind, path, &t.stores[1]);
    (void)alarm((unsigned)(seconds * 20 + 120)); /* a hang is a failure */
    run_threads(&t, seed, seconds);
    count_commits(&t, t.stores[1], &seed);
    if (kind->two_handles)
        ramet_close(t.stores[1]);
    if (!kind->memory) {
        ramet_close(t.stores[0]);
        open_store(kind, path, &t.stores[0]);
        count_commits(&t, t.stores[0], &seed);
    }
    bank_check(t.stores[0], 0);
    drop_all(t.stores[0]);
    ramet_close(t.stores[0]);
    (void)alarm(0);
    printf("%s: %" PRIu64 " + %" PRIu64 " commits, %" PRIu64 " verified, %" PRIu64
           " refreshed, %" PRIu64 " times busy\n",
           kind->name, atomic_load(&t.commits[0]), atomic_load(&t.commits[1]),
           atomic_load(&t.verified), atomic_load(&t.versions), atomic_load(&t.busy));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct args args = {.seed = 1, .seconds = 4};
    char folder[] = "/tmp/ramet-threads-XXXXXX", path[256], lock_file[300];
    if (!args_parse(argc, argv, &args))
        return 2;
    if (!args.dir && !mkdtemp(folder))
        fatal("no folder for the test");
    (void)snprintf(path, sizeof(path), "%s/store", args.dir ? args.dir : folder);
    (void)snprintf(lock_file, sizeof(lock_file), "%s-lock", path);
    do {
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            if (!args.only || strcmp(args.only, kinds[i].name) == 0)
                run_kind(&kinds[i], path, args.seed, args.seconds);
        }
        args.seed++;
    } while (args.endless);
    (void)unlink(path);
    (void)unlink(lock_file);
    (void)rmdir(folder);
    return 0;
}
