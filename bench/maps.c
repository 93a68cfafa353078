/* SPDX-License-Identifier: MIT */
/* maps.c - what a worker does with a map that its threads share. */
#include "maps.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- keys ------------------------------------------------------------------------------------ */

/* Number i of those that are random: no two are the same. */
static uint64_t random_number(uint64_t i)
{
    return random_next(&i);
}

static uint64_t number_of(enum map_keys kind, uint64_t i)
{
    return kind == MAP_ROW ? i : random_number(i);
}

static struct text text_of(uint64_t i)
{
    struct text text = {{random_number(i), random_number(i + ((uint64_t)1 << 40))}};
    return text;
}

static struct map_data *data_new(const struct map_order *order)
{
    struct map_data *d = allocate(sizeof(*d));
    uint64_t state = 7;
    d->kind = order->keys;
    d->count = order->count;
    d->accesses = order->accesses;
    if (d->kind == MAP_TEXTS) {
        d->texts = allocate(d->accesses * sizeof(*d->texts));
        d->others = allocate(d->count * sizeof(*d->others));
        for (size_t i = 0; i < d->accesses; i++)
            d->texts[i] = text_of(random_next(&state) % d->count);
        for (size_t i = 0; i < d->count; i++)
            d->others[i] = text_of(i);
        return d;
    }
    d->numbers = allocate(d->accesses * sizeof(*d->numbers));
    d->to_fill = allocate(d->count * sizeof(*d->to_fill));
    for (size_t i = 0; i < d->accesses; i++)
        d->numbers[i] = number_of(d->kind, random_next(&state) % d->count);
    for (size_t i = 0; i < d->count; i++)
        d->to_fill[i] = number_of(d->kind, i);
    return d;
}

static void data_free(struct map_data *d)
{
    free(d->numbers);
    free(d->texts);
    free(d->to_fill);
    free(d->others);
    free(d);
}

size_t map_string(uint64_t key, char *out)
{
    return (size_t)snprintf(out, STRING_MAX, "value %llu", (unsigned long long)key);
}

/* ---- what is open ---------------------------------------------------------------------------- */

struct shared_map {
    const struct map_ops *ops;
    struct map_data *data;
    struct map *map;
    struct map_thread *thread; /* the one that does the tasks */
};

static void fill(struct shared_map *m)
{
    const struct map_data *d = m->data;
    for (size_t at = 0, n; at < d->count; at += n) {
        n = d->count - at < SETS_AT_ONCE ? d->count - at : SETS_AT_ONCE;
        if (d->others)
            m->ops->set_texts(m->thread, d->others + at, n);
        else if (m->ops->set_many)
            m->ops->set_many(m->thread, d->to_fill + at, n, 0);
        else
            m->ops->set(m->thread, d->to_fill + at, n, 0);
    }
}

static struct shared_map *map_open(const struct state *s, const struct map_order *order)
{
    struct shared_map *m = allocate(sizeof(*m));
    m->ops = s->ops->maps;
    m->data = data_new(order);
    m->map = m->ops->open(s->plan->dir, m->data);
    m->thread = m->ops->thread_begin(m->map);
    fill(m);
    return m;
}

static void map_close(struct shared_map *m)
{
    m->ops->thread_end(m->thread);
    m->ops->close(m->map);
    data_free(m->data);
    free(m);
}

/* ---- gets ------------------------------------------------------------------------------------ */

struct team {
    const struct shared_map *map;
    const struct map_order *order;
    pthread_barrier_t ready;
    atomic_uint readers; /* that are not done yet */
};

struct member {
    struct team *team;
    double cpu_ns; /* of a get */
    uint64_t check;
    pthread_t thread;
};

static bool texts(enum map_task what)
{
    return what == MAP_GET_TEXTS || what == MAP_GET_TEXTS_MANY;
}

static bool held(enum map_task what)
{
    return what == MAP_HELD || what == MAP_HELD_BESIDE || what == MAP_GET_TEXTS_MANY;
}

static bool beside(enum map_task what)
{
    return what == MAP_HELD_BESIDE || what == MAP_GET_BESIDE;
}

static uint64_t get_all(const struct shared_map *m, struct map_thread *t, enum map_task what)
{
    const struct map_data *d = m->data;
    if (what == MAP_GET_TEXTS)
        return m->ops->get_texts(t, d->texts, d->accesses);
    if (what == MAP_GET_TEXTS_MANY)
        return m->ops->get_texts_many(t, d->texts, d->accesses);
    return (held(what) ? m->ops->get_held : m->ops->get)(t, d->numbers, d->accesses);
}

/* Several times, if they are short: the longer if another thread is to be at it meanwhile. */
static uint64_t time_to_read(const struct map_order *order)
{
    return beside(order->what) || order->threads > 1 ? order->ns : order->ns / 3;
}

/* Once to warm the caches, then timed. */
static void *read_all(void *arg)
{
    struct member *member = arg;
    struct team *team = member->team;
    const struct shared_map *m = team->map;
    enum map_task what = team->order->what;
    struct map_thread *t = m->ops->thread_begin(m->map);
    if (held(what) && m->ops->hold)
        m->ops->hold(t);
    member->check = get_all(m, t, what);
    (void)pthread_barrier_wait(&team->ready);
    uint64_t until = now_ns() + time_to_read(team->order);
    double begin = thread_cpu_ns();
    size_t times = 0;
    do {
        if (get_all(m, t, what) != member->check)
            die("a reader of a map read two things");
        times++;
    } while (now_ns() < until);
    member->cpu_ns = (thread_cpu_ns() - begin) / (double)(times * m->data->accesses);
    if (held(what) && m->ops->release)
        m->ops->release(t);
    m->ops->thread_end(t);
    (void)atomic_fetch_sub(&team->readers, 1);
    return NULL;
}

/* Never stops, until the readers are done. How many it set. */
static size_t write_beside(struct team *team)
{
    enum { PART = 16 };
    const struct shared_map *m = team->map;
    size_t at = 0, done = 0;
    for (uint32_t salt = 1; atomic_load(&team->readers) > 0; salt++) {
        m->ops->set(m->thread, m->data->numbers + at, PART, salt);
        at = at + 2 * (size_t)PART <= m->data->accesses ? at + PART : 0;
        done += PART;
    }
    return done;
}

static void do_gets(const struct shared_map *m, const struct map_order *order, struct result *r)
{
    enum { READERS_MAX = 16 };
    struct team team = {.map = m, .order = order, .readers = order->threads};
    struct member members[READERS_MAX] = {0};
    if (order->threads > READERS_MAX)
        die("%u readers of a map are too many", order->threads);
    (void)pthread_barrier_init(&team.ready, NULL, order->threads + 1);
    for (unsigned i = 0; i < order->threads; i++) {
        members[i].team = &team;
        if (pthread_create(&members[i].thread, NULL, read_all, &members[i]) != 0)
            die("no thread");
    }
    (void)pthread_barrier_wait(&team.ready);
    uint64_t begin = now_ns();
    double cpu_ns = thread_cpu_ns();
    if (beside(order->what)) {
        size_t done = write_beside(&team);
        if (done > 0) {
            r->wall_ns = (double)(now_ns() - begin) / (double)done;
            r->beside_ns = (thread_cpu_ns() - cpu_ns) / (double)done;
        }
    }
    for (unsigned i = 0; i < order->threads; i++) {
        (void)pthread_join(members[i].thread, NULL);
        r->cpu_ns += members[i].cpu_ns / order->threads;
        r->check = members[i].check;
    }
    (void)pthread_barrier_destroy(&team.ready);
}

/* ---- sets, snapshots ------------------------------------------------------------------------- */

static void set_some(const struct shared_map *m, const struct map_order *order, size_t count)
{
    const struct map_data *d = m->data;
    size_t part = order->what == MAP_SET_MANY ? SETS_AT_ONCE : count;
    for (size_t at = 0, n; at < count; at += n) {
        n = count - at < part ? count - at : part;
        size_t from = (order->round * count + at) % (d->accesses - n + 1);
        if (order->what == MAP_SET_MANY)
            m->ops->set_many(m->thread, d->numbers + from, n, order->round + 1);
        else
            m->ops->set(m->thread, d->numbers + from, n, order->round + 1);
    }
}

/* So many as fit into the time: a few, where each copies the map. CPU time of the whole process. */
static void do_sets(const struct shared_map *m, const struct map_order *order, struct result *r)
{
    size_t least = order->what == MAP_SET_MANY ? SETS_AT_ONCE : 1, done = 0;
    struct stopwatch begin = stopwatch_now(), took;
    if (least > m->data->accesses)
        least = m->data->accesses;
    for (size_t n = least;; n = 2 * n < m->data->accesses ? 2 * n : m->data->accesses) {
        set_some(m, order, n);
        done += n;
        took = stopwatch_since(begin);
        if (took.wall_ns >= (double)order->ns)
            break;
    }
    per_operation(r, took, done);
}

static void do_snapshots(const struct shared_map *m, size_t count, struct result *r)
{
    struct stopwatch begin = stopwatch_now();
    if (m->ops->snapshots)
        m->ops->snapshots(m->thread, count);
    for (size_t i = 0; !m->ops->snapshots && i < count; i++) {
        m->ops->hold(m->thread);
        m->ops->release(m->thread);
    }
    per_operation(r, stopwatch_since(begin), count);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* By what the process grows while keys with short texts come in their order, or in a random one. */
static void do_memory(const struct state *s, const struct map_order *order, struct result *r)
{
    const struct map_ops *ops = s->ops->maps;
    struct map_data *d = data_new(order);
    if (order->shuffled) {
        uint64_t state = 9;
        for (size_t i = d->count; i > 1; i--) {
            size_t j = random_next(&state) % i;
            uint64_t t = d->to_fill[i - 1];
            d->to_fill[i - 1] = d->to_fill[j];
            d->to_fill[j] = t;
        }
    }
    uint64_t before = resident_bytes();
    struct map *map = ops->open(s->plan->dir, d);
    struct map_thread *t = ops->thread_begin(map);
    for (size_t at = 0, n; at < d->count; at += n) {
        n = d->count - at < SETS_AT_ONCE ? d->count - at : SETS_AT_ONCE;
        ops->set_strings(t, d->to_fill + at, n);
    }
    uint64_t after = resident_bytes();
    r->bytes = after > before ? after - before : 0;
    r->share = (double)r->bytes / (double)d->count;
    ops->thread_end(t);
    ops->close(map);
    data_free(d);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static bool can(const struct map_ops *ops, const struct map_order *order)
{
    switch (order->what) {
    case MAP_OPEN: return order->keys == MAP_TEXTS ? ops->get_texts != NULL : ops->get != NULL;
    case MAP_GET:
        return ops->get && (order->threads == 1 || ops->set); /* or threads cannot share it */
    case MAP_HELD: return ops->get_held != NULL;
    case MAP_HELD_BESIDE: return ops->get_held && ops->set;
    case MAP_GET_BESIDE: return ops->get && ops->set;
    case MAP_GET_TEXTS: return ops->get_texts != NULL;
    case MAP_GET_TEXTS_MANY: return ops->get_texts_many != NULL;
    case MAP_SET: return ops->set != NULL;
    case MAP_SET_MANY: return ops->set && ops->set_many;
    case MAP_SNAPSHOT: return ops->snapshots || ops->hold;
    case MAP_MEMORY: return ops->set_strings != NULL;
    case MAP_CLOSE: return true;
    }
    return false;
}

bool maps_perform(struct state *s, const struct order *order, struct result *r)
{
    const struct map_ops *ops = s->ops->maps;
    const struct map_order *o = &order->map;
    if (ops->perform)
        return ops->perform(s, order, r);
    if (!can(ops, o) || (!s->map && o->what != MAP_OPEN && o->what != MAP_MEMORY))
        return false;
    if (texts(o->what) != (s->map && s->map->data->kind == MAP_TEXTS) && o->what != MAP_CLOSE &&
        o->what != MAP_OPEN && o->what != MAP_MEMORY)
        die("a map of other keys is open");
    switch (o->what) {
    case MAP_OPEN: s->map = map_open(s, o); return true;
    case MAP_CLOSE:
        map_close(s->map);
        s->map = NULL;
        return true;
    case MAP_SET:
    case MAP_SET_MANY: do_sets(s->map, o, r); return true;
    case MAP_SNAPSHOT: do_snapshots(s->map, o->accesses, r); return true;
    case MAP_MEMORY: do_memory(s, o, r); return true;
    default: do_gets(s->map, o, r); return true;
    }
}
