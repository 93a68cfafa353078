/* SPDX-License-Identifier: MIT */
/* worker.c - a process for each peer, which does one task after the other as it is told. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct worker {
    pid_t pid;
    int to, from;
};

struct order {
    enum task task;
    uint32_t round;
};

struct answer {
    bool done;
    struct result result;
};

/* What the process knows. */
struct state {
    const struct peer_ops *ops;
    const struct plan *plan;
    struct peer *peer;
    char path[4096];
};

static void open_store(struct state *s, bool durable)
{
    const struct entries *e = s->plan->entries;
    s->peer = s->ops->open(s->path, (uint64_t)e->count * 4096 + ((uint64_t)1 << 30), durable);
}

static void per_operation(struct result *r, struct stopwatch took, size_t count)
{
    r->cpu_ns = took.cpu_ns / (double)count;
    r->wall_ns = took.wall_ns / (double)count;
}

static void do_load(struct state *s, const struct load *load, struct result *r)
{
    struct stopwatch begin = stopwatch_now();
    s->ops->load(s->peer, load);
    per_operation(r, stopwatch_since(begin), load->count);
}

/* Each commit is timed by itself. */
static void do_commits(struct state *s, uint32_t round, struct result *r)
{
    size_t count = s->plan->commits;
    const struct entries *e = s->plan->entries;
    double *wall = allocate(count * sizeof(*wall));
    uint64_t flushes = flushes_count();
    struct stopwatch begin = stopwatch_now();
    for (size_t i = 0; i < count; i++) {
        size_t at = (round * count + i) % e->count;
        struct load one = {e, e->probes + at, 1, 1, round + 1, false};
        struct stopwatch before = stopwatch_now();
        s->ops->load(s->peer, &one);
        wall[i] = stopwatch_since(before).wall_ns;
    }
    per_operation(r, stopwatch_since(begin), count);
    r->flushes = (double)(flushes_count() - flushes) / (double)count;
    r->median_ns = median(wall, count);
    free(wall);
}

typedef uint64_t (*lookup_fn)(struct peer *, const struct entries *, const uint32_t *, size_t);

/* Once to warm the caches, then timed. */
static void do_lookups(struct state *s, lookup_fn fn, size_t count, struct result *r)
{
    const struct entries *e = s->plan->entries;
    s->ops->read_begin(s->peer);
    r->check = fn(s->peer, e, e->probes, count);
    struct stopwatch begin = stopwatch_now();
    uint64_t again = fn(s->peer, e, e->probes, count);
    per_operation(r, stopwatch_since(begin), count);
    s->ops->read_end(s->peer);
    if (again != r->check)
        die("%s read two things from one version", s->ops->name);
}

static void do_scan(struct state *s, struct result *r)
{
    size_t count;
    s->ops->read_begin(s->peer);
    r->check = s->ops->scan(s->peer, &count);
    struct stopwatch begin = stopwatch_now();
    uint64_t again = s->ops->scan(s->peer, &count);
    per_operation(r, stopwatch_since(begin), count);
    s->ops->read_end(s->peer);
    if (again != r->check || count != s->plan->entries->count)
        die("%s has %zu entries, or reads them differently each time", s->ops->name, count);
}

/* False: the peer cannot. */
static bool perform(struct state *s, const struct order *order, struct result *r)
{
    const struct entries *e = s->plan->entries;
    const struct peer_ops *ops = s->ops;
    struct load load = {e, e->sorted, e->count, 10000, 0, true};
    switch (order->task) {
    case TASK_OPEN: open_store(s, false); return true;
    case TASK_OPEN_DURABLE: open_store(s, true); return true;
    case TASK_CLOSE: ops->close(s->peer); return true;
    case TASK_REMOVE: files_remove(s->path); return true;
    case TASK_SIZE: r->bytes = files_size(s->path); return true;
    case TASK_COMMIT: do_commits(s, order->round, r); return true;
    case TASK_LOAD_SORTED: break;
    case TASK_LOAD_RANDOM: load = (struct load){e, e->shuffled, e->count, 1000, 0, false}; break;
    case TASK_OVERWRITE:
        load = (struct load){e, e->probes, s->plan->overwrites, 1000, order->round + 1, false};
        break;
    case TASK_GET:
        if (!ops->get)
            return false;
        do_lookups(s, ops->get, e->count, r);
        return true;
    case TASK_GET_MANY:
        if (!ops->get_many)
            return false;
        do_lookups(s, ops->get_many, e->count, r);
        return true;
    case TASK_SCAN:
        if (!ops->scan)
            return false;
        do_scan(s, r);
        return true;
    case TASK_RANGE:
        if (!ops->range)
            return false;
        do_lookups(s, ops->range, s->plan->ranges, r);
        return true;
    case TASK_QUIT: exit(0);
    }
    do_load(s, &load, r);
    return true;
}

static void transfer(int fd, void *buf, size_t size, ssize_t (*call)(int, void *, size_t))
{
    for (size_t at = 0; at < size;) {
        ssize_t n = call(fd, (char *)buf + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("a worker is gone");
        at += (size_t)n;
    }
}

static ssize_t write_some(int fd, void *buf, size_t size)
{
    return write(fd, buf, size);
}

static ssize_t read_some(int fd, void *buf, size_t size)
{
    return read(fd, buf, size);
}

static _Noreturn void run(struct state *s, int from, int to)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        struct order order;
        struct answer answer = {0};
        transfer(from, &order, sizeof(order), read_some);
        answer.done = perform(s, &order, &answer.result);
        transfer(to, &answer, sizeof(answer), write_some);
    }
}

struct worker *worker_start(const struct peer_ops *ops, const struct plan *plan)
{
    struct worker *worker = allocate(sizeof(*worker));
    int there[2], back[2];
    if (pipe(there) < 0 || pipe(back) < 0)
        die("pipe: %s", strerror(errno));
    worker->pid = fork();
    if (worker->pid < 0)
        die("fork: %s", strerror(errno));
    if (worker->pid == 0) {
        struct state s = {.ops = ops, .plan = plan};
        (void)snprintf(s.path, sizeof(s.path), "%s/%s", plan->dir, ops->name);
        (void)close(there[1]);
        (void)close(back[0]);
        run(&s, there[0], back[1]);
    }
    (void)close(there[0]);
    (void)close(back[1]);
    worker->to = there[1];
    worker->from = back[0];
    return worker;
}

bool worker_do(struct worker *worker, enum task task, uint32_t round, struct result *out)
{
    struct order order = {task, round};
    struct answer answer;
    transfer(worker->to, &order, sizeof(order), write_some);
    transfer(worker->from, &answer, sizeof(answer), read_some);
    *out = answer.result;
    return answer.done;
}

void worker_quit(struct worker *worker)
{
    struct order order = {TASK_QUIT, 0};
    int status;
    transfer(worker->to, &order, sizeof(order), write_some);
    (void)waitpid(worker->pid, &status, 0);
    (void)close(worker->to);
    (void)close(worker->from);
    free(worker);
}
