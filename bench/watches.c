/* SPDX-License-Identifier: MIT */
/*
 * watches.c - what watchers cost a writer, and how soon they see what it wrote.
 *
 * A thousand watchers of one branch, in another process or another thread, that take each batch as
 * soon as they are told; against none, in short turns, so that both see the same machine.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <ramet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alone.h"
#include "bench.h"

#define WATCHERS_MAX 1000
#define TURNS 31
#define TURN_NS 30e6

static void write_one(struct ramet_store *store, uint64_t i, const void *value, size_t size)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_slice k = {&i, sizeof(i)}, v = {value, size};
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "bench", RAMET_CREATE, &map));
    must(ramet_put(map, k, v, 0));
    must(ramet_commit(txn, NULL, NULL));
}

/* ---- watchers -------------------------------------------------------------------------------- */

struct crowd {
    struct ramet_store *store;
    size_t count;
    _Atomic uint32_t *go; /* shared: 1: they watch; 0: they do not; 2: it ends */
    _Atomic uint32_t *at; /* shared: what they do */
};

/* Takes what there is. */
static void take(struct ramet_watch *watch)
{
    struct ramet_batch batch = {.size = sizeof(batch)};
    struct ramet_change change = {.size = sizeof(change)};
    while (ramet_watch_next(watch, &batch) == 0) {
        while (ramet_watch_change(watch, &change) == 0)
            ;
    }
}

static void watch_for_a_turn(const struct crowd *c)
{
    struct ramet_watch **watches = allocate(c->count * sizeof(*watches));
    struct ramet_slice all = {NULL, 0};
    int fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < c->count; i++) {
        must(ramet_watch_open(c->store, NULL, NULL, all, NULL, NULL, &watches[i]));
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = watches[i]}};
        if (epoll_ctl(fd, EPOLL_CTL_ADD, ramet_watch_fd(watches[i]), &event) < 0)
            die("epoll_ctl: %s", strerror(errno));
    }
    atomic_store(c->at, 1);
    while (atomic_load(c->go) == 1) {
        struct epoll_event events[64];
        int n = epoll_wait(fd, events, 64, 5);
        for (int i = 0; i < n; i++)
            take(events[i].data.ptr);
    }
    for (size_t i = 0; i < c->count; i++)
        ramet_watch_close(watches[i]);
    (void)close(fd);
    free(watches);
    atomic_store(c->at, 0);
}

static void pause_us(long us)
{
    struct timespec pause = {0, us * 1000};
    (void)nanosleep(&pause, NULL);
}

static void *crowd_run(void *ctx)
{
    const struct crowd *c = ctx;
    for (uint32_t go; (go = atomic_load(c->go)) != 2;) {
        if (go == 1)
            watch_for_a_turn(c);
        else
            pause_us(200);
    }
    return NULL;
}

static void crowd_tell(const struct crowd *c, uint32_t go)
{
    atomic_store(c->go, go);
    while (atomic_load(c->at) != go)
        pause_us(200);
}

/* ---- what they cost -------------------------------------------------------------------------- */

/* Commits for a turn: what one takes, by the clock and of the processor. */
static double write_for_a_turn(struct ramet_store *store, const struct entries *e, double *cpu)
{
    static uint64_t n;
    uint64_t count = 0;
    struct stopwatch begin = stopwatch_now();
    double took, began_cpu = thread_cpu_ns();
    do {
        uint32_t i = (uint32_t)(n++ % e->count);
        write_one(store, i, entry_value(e, i, (uint32_t)(n / e->count)), VALUE_SIZE);
        count++;
        took = stopwatch_since(begin).wall_ns;
    } while (took < TURN_NS);
    *cpu = (thread_cpu_ns() - began_cpu) / (double)count;
    return took / (double)count;
}

static void take_turns(const struct crowd *c, struct ramet_store *store, const struct entries *e,
                       struct result out[2])
{
    double wall[2][TURNS], cpu[2][TURNS];
    for (size_t i = 0; i < TURNS; i++) {
        for (uint32_t there = 0; there < 2; there++) {
            crowd_tell(c, there);
            wall[there][i] = write_for_a_turn(store, e, &cpu[there][i]);
        }
    }
    crowd_tell(c, 0);
    for (size_t i = 0; i < 2; i++) {
        out[i].wall_ns = out[i].median_ns = median(wall[i], TURNS);
        out[i].cpu_ns = median(cpu[i], TURNS);
    }
}

static struct crowd crowd_of(size_t count)
{
    _Atomic uint32_t *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("no memory to share");
    return (struct crowd){.count = count, .go = shared, .at = shared + 16};
}

static pid_t begin_process(void)
{
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void beside_a_process(const struct sharing *s, size_t count, struct result *out)
{
    struct crowd c = crowd_of(count);
    struct ramet_store *store = open_unflushed(s->path);
    write_one(store, 0, "", 0);
    ramet_close(store);
    pid_t pid = begin_process();
    if (pid == 0) {
        c.store = open_unflushed(s->path);
        (void)crowd_run(&c);
        ramet_close(c.store);
        _exit(0);
    }
    store = open_unflushed(s->path);
    take_turns(&c, store, s->entries, out);
    atomic_store(c.go, 2);
    (void)waitpid(pid, NULL, 0);
    ramet_close(store);
    files_remove(s->path);
}

static void beside_a_thread(const struct sharing *s, size_t count, struct result *out)
{
    struct crowd c = crowd_of(count);
    pthread_t thread;
    c.store = open_unflushed(s->path);
    write_one(c.store, 0, "", 0);
    if (pthread_create(&thread, NULL, crowd_run, &c) != 0)
        die("no thread");
    take_turns(&c, c.store, s->entries, out);
    atomic_store(c.go, 2);
    (void)pthread_join(thread, NULL);
    ramet_close(c.store);
    files_remove(s->path);
}

void watches_cost(const void *sharing, struct result *out)
{
    size_t count = WATCHERS_MAX;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < WATCHERS_MAX + 64)
            die("%d descriptors are needed, and %llu allowed: ulimit -n", WATCHERS_MAX + 64,
                (unsigned long long)limit.rlim_cur);
    }
    beside_a_process(sharing, count, &out[0]);
    beside_a_thread(sharing, count, &out[2]);
}

/* ---- how soon -------------------------------------------------------------------------------- */

#define SEEN 300

/* Each value is the time when its commit began. */
static void see_all(struct ramet_store *store, _Atomic uint32_t *at, double *latency)
{
    struct ramet_watch *watch;
    struct ramet_slice all = {NULL, 0};
    must(ramet_watch_open(store, NULL, NULL, all, NULL, NULL, &watch));
    atomic_store(at, 1);
    for (size_t n = 0; n < SEEN;) {
        struct ramet_batch batch = {.size = sizeof(batch)};
        struct ramet_change change = {.size = sizeof(change)};
        if (ramet_watch_wait(watch, 10000) != 1)
            die("a watcher was not told");
        while (ramet_watch_next(watch, &batch) == 0) {
            while (ramet_watch_change(watch, &change) == 0) {
                uint64_t began;
                memcpy(&began, change.new_value.data, sizeof(began));
                if (n < SEEN)
                    latency[n++] = (double)(now_ns() - began);
                atomic_fetch_add(at, 1);
            }
        }
    }
    ramet_watch_close(watch);
}

void watches_latency(const void *sharing, struct result *out)
{
    const struct sharing *s = sharing;
    _Atomic uint32_t *at = crowd_of(0).at;
    double *latency = mmap(NULL, SEEN * sizeof(*latency), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (latency == MAP_FAILED)
        die("no memory to share");
    struct ramet_store *store = open_unflushed(s->path);
    write_one(store, 0, "", 0);
    ramet_close(store);
    pid_t pid = begin_process();
    if (pid == 0) {
        store = open_unflushed(s->path);
        see_all(store, at, latency);
        ramet_close(store);
        _exit(0);
    }
    store = open_unflushed(s->path);
    while (!atomic_load(at))
        pause_us(200);
    for (uint32_t i = 0; i < SEEN; i++) {
        pause_us(3000 + i % 7 * 300); /* until it sleeps again */
        uint64_t now = now_ns();
        write_one(store, i, &now, sizeof(now));
        while (atomic_load(at) < i + 2)
            pause_us(100);
    }
    (void)waitpid(pid, NULL, 0);
    out->wall_ns = out->median_ns = median(latency, SEEN);
    ramet_close(store);
    files_remove(s->path);
}
