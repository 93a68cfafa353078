/* SPDX-License-Identifier: MIT */
/* threads.c - what a worker does with several threads: durable commits, gets. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bench.h"

struct team {
    struct state *state;
    const struct order *order;
    size_t count;             /* operations of each */
    pthread_barrier_t *ready; /* all have their session; then again: and the clock runs */
    atomic_size_t readers;    /* that are not done yet */
};

struct member {
    struct team *team;
    unsigned index;
    double *wall_ns; /* of each commit */
    double cpu_ns;   /* of a get */
    pthread_t thread;
};

static void meet(const struct team *team)
{
    (void)pthread_barrier_wait(team->ready);
}

static struct member *start(struct team *team, unsigned nr, void *(*fn)(void *))
{
    struct member *members = allocate(nr * sizeof(*members));
    for (unsigned i = 0; i < nr; i++) {
        members[i].team = team;
        members[i].index = i;
        if (pthread_create(&members[i].thread, NULL, fn, &members[i]) != 0)
            die("no thread");
    }
    return members;
}

static void join(struct member *members, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++)
        (void)pthread_join(members[i].thread, NULL);
}

/* ---- commits --------------------------------------------------------------------------------- */

static void *commit_many(void *arg)
{
    struct member *m = arg;
    struct team *team = m->team;
    const struct order *order = team->order;
    const struct state *s = team->state;
    const struct entries *e = s->plan->entries;
    struct session *session = s->ops->session_open(s->peer, m->index % order->lines);
    m->wall_ns = allocate(team->count * sizeof(*m->wall_ns));
    meet(team);
    meet(team);
    for (size_t i = 0; i < team->count; i++) {
        size_t nth = ((size_t)order->round * order->threads + m->index) * team->count + i;
        struct load one = {e, e->probes + nth % e->count, 1, 1, order->round + 1, false};
        struct stopwatch before = stopwatch_now();
        s->ops->load(session, &one);
        m->wall_ns[i] = stopwatch_since(before).wall_ns;
    }
    meet(team);
    s->ops->session_close(session);
    return NULL;
}

/* Each commit is timed by itself, and all together. */
void task_commits(struct state *s, const struct order *order, struct result *r)
{
    unsigned nr = order->threads;
    size_t each = order->count / nr, count = each * nr;
    pthread_barrier_t ready;
    struct team team = {.state = s, .order = order, .count = each, .ready = &ready};
    double *wall_ns = allocate(count * sizeof(*wall_ns));
    (void)pthread_barrier_init(&ready, NULL, nr + 1);
    struct member *members = start(&team, nr, commit_many);
    meet(&team);
    uint64_t flushes = flushes_count();
    struct stopwatch begin = stopwatch_now();
    meet(&team);
    meet(&team);
    per_operation(r, stopwatch_since(begin), count);
    r->flushes = (double)(flushes_count() - flushes) / (double)count;
    join(members, nr);
    for (unsigned i = 0; i < nr; i++) {
        for (size_t k = 0; k < each; k++)
            wall_ns[i * each + k] = members[i].wall_ns[k];
        free(members[i].wall_ns);
    }
    r->median_ns = median(wall_ns, count);
    free(wall_ns);
    free(members);
    (void)pthread_barrier_destroy(&ready);
}

/* ---- gets ------------------------------------------------------------------------------------ */

static void *get_many(void *arg)
{
    struct member *m = arg;
    struct team *team = m->team;
    const struct state *s = team->state;
    const struct entries *e = s->plan->entries;
    struct session *session = s->ops->session_open(s->peer, 0);
    s->ops->read_begin(session);
    uint64_t first = s->ops->get(session, e, e->probes, team->count);
    meet(team);
    double begin = thread_cpu_ns();
    uint64_t again = s->ops->get(session, e, e->probes, team->count);
    m->cpu_ns = (thread_cpu_ns() - begin) / (double)team->count;
    (void)atomic_fetch_sub(&team->readers, 1);
    if (again != first)
        die("%s read two things from one version", s->ops->name);
    s->ops->read_end(session);
    s->ops->session_close(session);
    return NULL;
}

/* Overwrites until the readers are done: 100 to a commit. */
static void write_beside(struct team *team)
{
    const struct state *s = team->state;
    const struct entries *e = s->plan->entries;
    for (size_t at = 0; atomic_load(&team->readers) > 0; at += 100) {
        struct load some = {
            e, e->probes + at % (e->count - 100), 100, 100, team->order->round + 1, false};
        s->ops->load(s->session, &some);
    }
}

/* CPU time is that of the readers' threads alone. */
void task_reads(struct state *s, const struct order *order, struct result *r)
{
    unsigned nr = order->threads;
    pthread_barrier_t ready;
    struct team team = {
        .state = s, .order = order, .count = s->plan->gets, .ready = &ready, .readers = nr};
    (void)pthread_barrier_init(&ready, NULL, nr + 1);
    struct member *members = start(&team, nr, get_many);
    meet(&team);
    if (order->task == TASK_READ_BESIDE)
        write_beside(&team);
    join(members, nr);
    for (unsigned i = 0; i < nr; i++)
        r->cpu_ns += members[i].cpu_ns / nr;
    free(members);
    (void)pthread_barrier_destroy(&ready);
}
