/* SPDX-License-Identifier: MIT */
/*
 * handle-test.c - processes that share a map in a file through handles: readers that are killed in
 * the middle of what they do, or stopped, and one that forks while its threads are at it.
 *
 * The map holds a sum, which a writer moves about in batches; whoever sees a version that adds up
 * to something else ends the test.
 *
 *   --seed=N --seconds=N (of the kills, at least) --only=NAME --dir=FOLDER --long
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/args.h"
#include "base/base.h"
#include "procs/proc.h"

#define CELLS 3000
#define SUM 1000000
#define READERS 4 /* threads of a process */

/* Of what takes long: where every access is looked at, less of it will do. */
#if defined(__SANITIZE_THREAD__)
#define SIZE(n) ((n) / 4)
#else
#define SIZE(n) (n)
#endif

static struct args args = {.seed = 1, .seconds = 3};
static char path[256], lock_path[300];

/* Of all processes. */
struct tally {
    _Atomic uint64_t gets, sums;
    _Atomic bool stop;
    _Atomic uint64_t written; /* batches */
};

static struct tally *tally;

/* ---- the map --------------------------------------------------------------------------------- */

static uint64_t cells[CELLS]; /* as the writer has them */

static struct ramet_store *open_store(void)
{
    struct ramet_store *store;
    must(ramet_open(path, NULL, &store));
    return store;
}

static struct ramet_handle *open_handle(struct ramet_store *store)
{
    struct ramet_handle *h;
    must(ramet_handle_open(store, NULL, "map", RAMET_CREATE, &h));
    return h;
}

static struct ramet_stat stat_of(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat;
}

static void make(struct ramet_handle *h)
{
    static unsigned char bytes[CELLS][8];
    struct ramet_slice keys[CELLS], values[CELLS];
    memset(cells, 0, sizeof(cells));
    cells[0] = SUM;
    for (unsigned i = 0; i < CELLS; i++) {
        keys[i] = ramet_u64_key(i, bytes[i]);
        values[i] = (struct ramet_slice){&cells[i], sizeof(cells[i])};
    }
    must(ramet_handle_batch(h, CELLS, keys, values));
}

static void move_some(struct ramet_handle *h, uint64_t *random)
{
    unsigned char bytes[2][8];
    uint64_t from = random_below(random, CELLS), to = random_below(random, CELLS);
    if (random_below(random, 4) == 0) /* lest it all ends where nobody looks */
        from = 0;
    uint64_t some = cells[from] ? random_below(random, cells[from] + 1) : 0;
    struct ramet_slice keys[2] = {ramet_u64_key(from, bytes[0]), ramet_u64_key(to, bytes[1])};
    struct ramet_slice values[2] = {{&cells[from], 8}, {&cells[to], 8}};
    cells[from] -= some;
    cells[to] += some;
    must(ramet_handle_batch(h, 2, keys, values));
    atomic_fetch_add(&tally->written, 1);
}

static void add_up(struct ramet_map *map)
{
    struct ramet_cursor *c;
    struct ramet_slice value;
    uint64_t sum = 0, number;
    must(ramet_cursor_open(map, &c));
    while (must_or(ramet_cursor_next(c), RAMET_ENOTFOUND) == 0) {
        must(ramet_cursor_get(c, NULL, &value));
        memcpy(&number, value.data, sizeof(number));
        sum += number;
    }
    ramet_cursor_close(c);
    if (sum != SUM)
        fatal("a version adds up to %" PRIu64, sum);
    atomic_fetch_add(&tally->sums, 1);
}

static uint64_t get(struct ramet_handle *h, uint64_t key)
{
    uint64_t number = 0;
    want(ramet_handle_get_u64(h, key, &number, sizeof(number)) == sizeof(number));
    want(number <= SUM);
    atomic_fetch_add(&tally->gets, 1);
    return number;
}

/* ---- readers --------------------------------------------------------------------------------- */

struct reader {
    struct ramet_store *store;
    unsigned number;
    pthread_t thread;
};

/* Gets; or holds version after version; or one for good. */
static void *read_on(void *arg)
{
    const struct reader *r = arg;
    struct ramet_handle *h = open_handle(r->store);
    struct ramet_map *map;
    uint64_t random = args.seed + r->number + (uint64_t)getpid();
    while (!atomic_load(&tally->stop)) {
        if (r->number < READERS / 2) {
            (void)get(h, random_below(&random, CELLS));
            continue;
        }
        must(ramet_handle_hold(h, &map));
        add_up(map);
        if (r->number < READERS - 1)
            ramet_handle_release(h);
    }
    ramet_handle_close(h);
    return NULL;
}

static void start_readers(struct ramet_store *store, struct reader readers[READERS])
{
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.store = store, .number = i};
        want(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]) == 0);
    }
}

static void end_readers(struct reader readers[READERS])
{
    for (unsigned i = 0; i < READERS; i++)
        (void)pthread_join(readers[i].thread, NULL);
}

static pid_t start_process(void)
{
    pid_t pid = proc_fork();
    if (pid == 0) {
        struct reader readers[READERS];
        struct ramet_store *store = open_store();
        start_readers(store, readers);
        end_readers(readers);
        ramet_close(store);
        exit(0);
    }
    return pid;
}

/* ---- readers that are killed ----------------------------------------------------------------- */

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What they held is free again, and the file is as large as it was. One that lives on holds the
 * same version all the time. */
static void killed_readers_leave_nothing(void)
{
    enum { WARM_UP = 6 };
    uint64_t random = args.seed, kills = 0, most = 0;
    struct ramet_store *store = open_store();
    struct ramet_handle *h = open_handle(store);
    make(h);
    pid_t lives = start_process();
    for (double end = now_s() + (double)args.seconds; now_s() < end || kills < 3 * WARM_UP;) {
        pid_t dies = start_process();
        uint64_t first = atomic_load(&tally->sums), nr_writes = 50 + random_below(&random, 300);
        bool runs = random_below(&random, 4); /* else it is killed while it opens the store */
        for (uint64_t i = 0; i < nr_writes || (runs && atomic_load(&tally->sums) < first + 8); i++)
            move_some(h, &random);
        want(kill(dies, SIGKILL) == 0);
        want(proc_wait(dies));
        for (int i = 0; i < 3; i++)
            move_some(h, &random);
        struct ramet_stat stat = stat_of(store);
        if (stat.readers > READERS)
            fatal("%" PRIu64 " readers are left", stat.readers);
        if (++kills <= WARM_UP)
            most = rmt_max(most, stat.file_bytes);
        else if (stat.file_bytes > most + most / 2)
            fatal("after %" PRIu64 " kills the file has %" PRIu64 " KiB; it had %" PRIu64, kills,
                  stat.file_bytes >> 10, most >> 10);
        if (kills % 8 == 0)
            must(ramet_check(store, 0, NULL, NULL, NULL));
    }
    atomic_store(&tally->stop, true);
    want(!proc_wait(lives));
    for (int i = 0; i < 64; i++)
        move_some(h, &random);
    for (unsigned i = 0; i < CELLS; i++)
        want(get(h, i) == cells[i]);
    struct ramet_stat stat = stat_of(store);
    want(stat.readers == 0 && stat.limbo_bytes <= (uint64_t)256 << 10);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
    printf("%" PRIu64 " kills, %" PRIu64 " batches, %" PRIu64 " gets, %" PRIu64 " versions\n",
           kills, atomic_load(&tally->written), atomic_load(&tally->gets),
           atomic_load(&tally->sums));
}

/* ---- readers that are stopped ---------------------------------------------------------------- */

/* Wherever it is, each of its threads keeps at most what one version consists of, with the catalog
 * of its time: not what is replaced from then on. */
static void stopped_readers_keep_a_version_each(void)
{
    enum { STOPS = SIZE(60), WRITES = 300 };
    uint64_t random = args.seed;
    struct ramet_store *store = open_store();
    struct ramet_handle *h = open_handle(store);
    make(h);
    pid_t reader = start_process();
    while (atomic_load(&tally->sums) < 10)
        move_some(h, &random);
    for (int i = 0; i < STOPS; i++) {
        int status;
        for (uint64_t n = 1 + random_below(&random, 30); n; n--)
            move_some(h, &random);
        want(kill(reader, SIGSTOP) == 0);
        want(waitpid(reader, &status, WUNTRACED) == reader && WIFSTOPPED(status));
        uint64_t before = stat_of(store).limbo_bytes;
        for (int n = 0; n < WRITES; n++)
            move_some(h, &random);
        struct ramet_stat stat = stat_of(store);
        uint64_t limit = before + (READERS + 1) * (stat.data_bytes + 2 * stat.book_bytes);
        if (stat.limbo_bytes > limit)
            fatal("stop %d: %" PRIu64 " KiB in limbo; %" PRIu64 " are allowed", i,
                  stat.limbo_bytes >> 10, limit >> 10);
        want(kill(reader, SIGCONT) == 0);
    }
    atomic_store(&tally->stop, true);
    want(!proc_wait(reader));
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
}

/* ---- a process that forks -------------------------------------------------------------------- */

/* In a child of a process with threads: nothing is allocated, and no exit handler runs. */
static _Noreturn void be_a_child(struct ramet_store *store, struct ramet_handle *h, bool is_killed)
{
    char buf[8];
    struct ramet_map *map;
    struct ramet_slice key = {"12345678", 8}, value = {"x", 1};
    bool ok = ramet_handle_get(h, key, buf, 8) == RAMET_EFORKED &&
              ramet_handle_hold(h, &map) == RAMET_EFORKED &&
              ramet_handle_put(h, key, value, 0) == RAMET_EFORKED &&
              ramet_handle_del(h, key) == RAMET_EFORKED &&
              ramet_handle_batch(h, 1, &key, &value) == RAMET_EFORKED;
    ramet_handle_release(h); /* what the parent holds */
    if (is_killed)
        (void)raise(SIGKILL);
    ramet_handle_close(h);
    ramet_close(store);
    _exit(ok ? 0 : 1);
}

/* Another process writes, and would use what the parent holds if the children had undone that. */
static void write_until_told(void)
{
    struct ramet_store *store = open_store();
    struct ramet_handle *h = open_handle(store);
    uint64_t random = args.seed;
    while (!atomic_load(&tally->stop))
        move_some(h, &random);
    ramet_close(store);
    exit(0);
}

static void children_disturb_nothing(void)
{
    enum { CHILDREN = 40 };
    struct reader readers[READERS];
    struct ramet_map *map;
    struct ramet_store *store = open_store();
    make(open_handle(store));
    ramet_close(store);
    pid_t writer = proc_fork();
    if (writer == 0)
        write_until_told();
    store = open_store();
    struct ramet_handle *h = open_handle(store), *holds = open_handle(store);
    must(ramet_handle_hold(holds, &map));
    uint64_t before = get(holds, 0), then = atomic_load(&tally->written);
    start_readers(store, readers);
    for (unsigned i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        want(child >= 0);
        if (child == 0)
            be_a_child(store, i % 2 ? holds : h, i % 4 >= 2);
        want(proc_wait(child) == (i % 4 >= 2));
        (void)get(h, i);
        add_up(map);
    }
    while (atomic_load(&tally->written) < then + 2000)
        (void)get(h, 1);
    add_up(map);
    want(get(holds, 0) == before);
    atomic_store(&tally->stop, true);
    end_readers(readers);
    want(!proc_wait(writer));
    ramet_handle_release(holds);
    must(ramet_handle_hold(holds, &map));
    add_up(map);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
}

static const struct args_test tests[] = {
    ARGS_TEST(killed_readers_leave_nothing),
    ARGS_TEST(stopped_readers_keep_a_version_each),
    ARGS_TEST(children_disturb_nothing),
};

int main(int argc, char **argv)
{
    char folder[] = "/dev/shm/ramet-handles-XXXXXX"; /* to be killed needs no disk */
    if (!args_parse(argc, argv, &args))
        return 2;
    if (!args.dir && !mkdtemp(folder))
        fatal("no folder for the test");
    (void)snprintf(path, sizeof(path), "%s/store", args.dir ? args.dir : folder);
    (void)snprintf(lock_path, sizeof(lock_path), "%s-lock", path);
    tally = proc_share(sizeof(*tally));
    do {
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
            memset((void *)tally, 0, sizeof(*tally));
            (void)alarm((unsigned)(args.seconds * 10 + 200)); /* a hang is a failure */
            args_run(&args, &tests[i], 1);
            (void)unlink(path);
            (void)unlink(lock_path);
        }
        args.seed++;
    } while (args.endless);
    if (!args.dir)
        (void)rmdir(folder);
    return 0;
}
