/* SPDX-License-Identifier: MIT */
/* tasks.c - what a worker does when it is told to, by one thread. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "maps.h"

static void open_store(struct state *s, bool durable)
{
    uint64_t count = s->plan->entries->count;
    struct setup setup = {
        .bytes_max = count * 16384 + ((uint64_t)1 << 30), /* old versions, too */
        .cache_bytes = count * 1000 + ((uint64_t)256 << 20),
        .durable = durable,
    };
    s->peer = s->ops->open(s->path, &setup);
    s->session = s->ops->session_open(s->peer, 0);
}

static void close_store(struct state *s)
{
    s->ops->session_close(s->session);
    s->ops->close(s->peer);
}

/* CPU time is all that the load led to; wall time ends when the last commit returned. */
static void do_load(struct state *s, const struct load *load, struct result *r)
{
    struct stopwatch begin = stopwatch_now();
    s->ops->load(s->session, load);
    double wall_ns = stopwatch_since(begin).wall_ns;
    if (s->ops->settle)
        s->ops->settle(s->peer);
    per_operation(r, stopwatch_since(begin), load->count);
    r->wall_ns = wall_ns / (double)load->count;
}

/* What one transaction has in memory: looked at every few milliseconds. */
struct watch {
    atomic_bool stop;
    uint64_t peak;
};

static void *watch_memory(void *arg)
{
    struct watch *w = arg;
    while (!atomic_load(&w->stop)) {
        struct timespec pause = {0, 2000000};
        uint64_t now = memory_bytes();
        if (now > w->peak)
            w->peak = now;
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static void do_load_at_once(struct state *s, size_t count, struct result *r)
{
    const struct entries *e = s->plan->entries;
    struct load load = {e, e->shuffled, count, count, 0, false};
    struct watch w = {.peak = 0};
    uint64_t before = memory_bytes();
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch_memory, &w) != 0)
        die("no thread");
    do_load(s, &load, r);
    atomic_store(&w.stop, true);
    (void)pthread_join(thread, NULL);
    r->bytes = w.peak > before ? w.peak - before : 0;
}

/* The reader sees at the end what it saw at the beginning. */
static void do_overwrite_held(struct state *s, const struct load *load, struct result *r)
{
    const struct entries *e = s->plan->entries;
    size_t count = e->count < 10000 ? e->count : 10000;
    struct session *reader = s->ops->session_open(s->peer, 0);
    s->ops->read_begin(reader);
    uint64_t before = s->ops->get(reader, e, e->probes, count);
    do_load(s, load, r);
    r->check = s->ops->get(reader, e, e->probes, count);
    if (r->check != before)
        die("%s: an old reader lost its version", s->ops->name);
    files_size(s->path, &r->bytes, &r->disk_bytes);
    s->ops->read_end(reader);
    s->ops->session_close(reader);
}

/* Once to warm the caches, then timed. */
static void do_lookups(struct state *s, lookup_fn fn, size_t count, struct result *r)
{
    const struct entries *e = s->plan->entries;
    s->ops->read_begin(s->session);
    r->check = fn(s->session, e, e->probes, count);
    struct stopwatch begin = stopwatch_now();
    uint64_t again = fn(s->session, e, e->probes, count);
    per_operation(r, stopwatch_since(begin), count);
    s->ops->read_end(s->session);
    if (again != r->check)
        die("%s read two things from one version", s->ops->name);
}

/* What asking for the newest version adds to a get. In many short turns, so that both see the same
 * machine. */
static void do_fresh(struct state *s, struct result *r)
{
    enum { TURNS = 64 };
    const struct entries *e = s->plan->entries;
    size_t step = s->plan->gets / TURNS;
    double added[TURNS];
    s->ops->read_begin(s->session);
    (void)s->ops->get(s->session, e, e->probes, step * TURNS);
    for (size_t i = 0; i < TURNS; i++) {
        const uint32_t *order = e->probes + i * step;
        uint64_t sum = s->ops->get(s->session, e, order, step); /* warm */
        double t0 = thread_cpu_ns();
        uint64_t fresh = s->ops->get_fresh(s->session, e, order, step);
        double t1 = thread_cpu_ns();
        uint64_t same = s->ops->get(s->session, e, order, step);
        double t2 = thread_cpu_ns();
        if (fresh != sum || same != sum)
            die("%s read two things, and nobody wrote", s->ops->name);
        added[i] = ((t1 - t0) - (t2 - t1)) / (double)step;
    }
    r->cpu_ns = median(added, TURNS);
    s->ops->read_end(s->session);
}

static void do_scan(struct state *s, struct result *r)
{
    size_t count;
    s->ops->read_begin(s->session);
    r->check = s->ops->scan(s->session, &count);
    struct stopwatch begin = stopwatch_now();
    uint64_t again = s->ops->scan(s->session, &count);
    per_operation(r, stopwatch_since(begin), count);
    s->ops->read_end(s->session);
    if (again != r->check || count != s->plan->entries->count)
        die("%s has %zu entries, or reads them differently each time", s->ops->name, count);
}

static void do_open_get(struct state *s, struct result *r)
{
    const struct entries *e = s->plan->entries;
    struct stopwatch begin = stopwatch_now();
    open_store(s, false);
    s->ops->read_begin(s->session);
    (void)s->ops->get(s->session, e, e->probes, 1);
    per_operation(r, stopwatch_since(begin), 1);
    s->ops->read_end(s->session);
}

bool task_perform(struct state *s, const struct order *order, struct result *r)
{
    if (order->task == TASK_MAP)
        return maps_perform(s, order, r); /* which has no entries */
    const struct entries *e = s->plan->entries;
    const struct peer_ops *ops = s->ops;
    size_t count = order->count ? order->count : e->count;
    struct load over = {e, e->probes, count, 1000, order->round + 1, false};
    lookup_fn lookup = NULL;
    switch (order->task) {
    case TASK_OPEN: open_store(s, false); return true;
    case TASK_OPEN_DURABLE: open_store(s, true); return true;
    case TASK_CLOSE: close_store(s); return true;
    case TASK_REMOVE: files_remove(s->path); return true;
    case TASK_SIZE: files_size(s->path, &r->bytes, &r->disk_bytes); return true;
    case TASK_COMMIT: task_commits(s, order, r); return true;
    case TASK_LOAD_SORTED:
        do_load(s, &(struct load){e, e->sorted, e->count, 10000, 0, true}, r);
        return true;
    case TASK_LOAD_RANDOM:
        do_load(s, &(struct load){e, e->shuffled, e->count, 1000, 0, false}, r);
        return true;
    case TASK_LOAD_AT_ONCE: do_load_at_once(s, count, r); return true;
    case TASK_OVERWRITE: do_load(s, &over, r); return true;
    case TASK_OVERWRITE_HELD: do_overwrite_held(s, &over, r); return true;
    case TASK_GET: lookup = ops->get; break;
    case TASK_GET_MANY: lookup = ops->get_many; break;
    case TASK_GET_FRESH:
        if (!ops->get_fresh)
            return false;
        do_fresh(s, r);
        return true;
    case TASK_READ:
    case TASK_READ_BESIDE: task_reads(s, order, r); return true;
    case TASK_SCAN: do_scan(s, r); return true;
    case TASK_OPEN_GET: do_open_get(s, r); return true;
    case TASK_RANGE: do_lookups(s, ops->range, s->plan->ranges, r); return true;
    case TASK_MAP:
    case TASK_QUIT: break;
    }
    if (!lookup)
        return false;
    do_lookups(s, lookup, s->plan->gets, r);
    return true;
}
