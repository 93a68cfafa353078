/* SPDX-License-Identifier: MIT */
/*
 * maps-urcu.c - liburcu's lock-free hash table. Compiled twice: -DQSBR, or for the flavour
 * that readers need not tell when they are quiet (memb).
 *
 * Twice as many buckets as there are keys, from the beginning; each lookup is a read section of its
 * own. A set puts a node in the old one's place, and call_rcu() hands that back to be used again.
 * With QSBR, threads say that they are quiet after 64 operations.
 */
#define _LGPL_SOURCE /* its short functions are inlined */
#define URCU_API_MAP /* and have short names, of the one flavour */
#ifdef QSBR
#include <urcu/urcu-qsbr.h>
#else
#include <urcu/urcu-memb.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <urcu/rculfhash.h>

#include "maps.h"

#define NODES_AT_ONCE 1024

/* What a lookup needs comes first, and does not lie across two cache lines. */
struct node {
    struct cds_lfht_node node;
    uint64_t key, value;
    union {
        struct rcu_head head;
        struct node *next; /* of those that are free */
    };
    struct map *map;
} __attribute__((aligned(64)));

static inline struct node *node_of(struct cds_lfht_node *node)
{
    return (void *)((char *)node - offsetof(struct node, node));
}

struct map {
    struct cds_lfht *table;
    struct node *given_back; /* by call_rcu(), atomic: release, pairs with node_new() */
    struct node *unused;     /* of the one who writes */
};

struct map_thread {
    struct map *map;
};

static inline unsigned long hash(uint64_t key)
{
    unsigned __int128 p =
        (unsigned __int128)(key ^ UINT64_C(0xa0761d6478bd642f)) * UINT64_C(0xe7037ed1a0b428db);
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline void quiet(size_t done)
{
#ifdef QSBR
    if (done % 64 == 0)
        rcu_quiescent_state();
#else
    (void)done;
#endif
}

/* A thread that waits for others must not be waited for. */
static void away(void)
{
#ifdef QSBR
    rcu_thread_offline();
#endif
}

static void back(void)
{
#ifdef QSBR
    rcu_thread_online();
#endif
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static struct node *node_new(struct map *map)
{
    if (!map->unused)
        map->unused = __atomic_exchange_n(&map->given_back, NULL, __ATOMIC_ACQUIRE);
    if (!map->unused) {
        void *p = NULL;
        if (posix_memalign(&p, 64, NODES_AT_ONCE * sizeof(struct node)) != 0)
            die("no memory");
        struct node *nodes = p; /* kept as long as the process */
        for (size_t i = 0; i < NODES_AT_ONCE; i++) {
            nodes[i].map = map;
            nodes[i].next = i + 1 < NODES_AT_ONCE ? &nodes[i + 1] : NULL;
        }
        map->unused = nodes;
    }
    struct node *node = map->unused;
    map->unused = node->next;
    return node;
}

static void give_back(struct rcu_head *head)
{
    struct node *node = (void *)((char *)head - offsetof(struct node, head));
    struct map *map = node->map;
    node->next = __atomic_load_n(&map->given_back, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&map->given_back, &node->next, node, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        continue;
}

/* ---- the map --------------------------------------------------------------------------------- */

static struct map *map_open(const char *folder, const struct map_data *data)
{
    struct map *map = allocate(sizeof(*map));
    unsigned long buckets = 1;
    (void)folder;
    while (buckets < 2 * data->count)
        buckets *= 2;
    map->table = cds_lfht_new(buckets, buckets, buckets, 0, NULL);
    if (!map->table)
        die("liburcu: no hash table");
    return map;
}

/* Its nodes go when the process does. */
static void map_close(struct map *map)
{
    rcu_barrier();
    (void)map;
}

static struct map_thread *thread_begin(struct map *map)
{
    struct map_thread *t = allocate(sizeof(*t));
    t->map = map;
    rcu_register_thread();
    away(); /* until it is in an operation: or who waits for it here waits for good */
    return t;
}

static void thread_end(struct map_thread *t)
{
    rcu_unregister_thread();
    free(t);
}

static int match(struct cds_lfht_node *node, const void *key)
{
    return node_of(node)->key == *(const uint64_t *)key;
}

static uint64_t get(struct map_thread *t, const uint64_t *keys, size_t count)
{
    struct cds_lfht *table = t->map->table;
    uint64_t sum = 0;
    back();
    for (size_t i = 0; i < count; i++) {
        struct cds_lfht_iter iter;
        rcu_read_lock();
        cds_lfht_lookup(table, hash(keys[i]), match, &keys[i], &iter);
        struct cds_lfht_node *found = cds_lfht_iter_get_node(&iter);
        if (found)
            sum += map_sum(node_of(found)->value);
        rcu_read_unlock();
        quiet(i);
    }
    away();
    return sum;
}

static void put(struct map *map, uint64_t key, uint64_t value)
{
    struct node *node = node_new(map);
    cds_lfht_node_init(&node->node);
    node->key = key;
    node->value = value;
    rcu_read_lock();
    struct cds_lfht_node *old =
        cds_lfht_add_replace(map->table, hash(key), match, &key, &node->node);
    rcu_read_unlock();
    if (old)
        call_rcu(&node_of(old)->head, give_back);
}

static void set(struct map_thread *t, const uint64_t *keys, size_t count, uint32_t salt)
{
    back();
    for (size_t i = 0; i < count; i++) {
        put(t->map, keys[i], map_value(keys[i], salt));
        quiet(i);
    }
    away();
}

/* Each string is on the heap, as long as the process. */
static void set_strings(struct map_thread *t, const uint64_t *keys, size_t count)
{
    char string[STRING_MAX];
    back();
    for (size_t i = 0; i < count; i++) {
        (void)map_string(keys[i], string);
        char *copy = strdup(string);
        if (!copy)
            die("no memory");
        put(t->map, keys[i], (uint64_t)(uintptr_t)copy);
        quiet(i);
    }
    away();
}

static const struct map_ops ops = {
    .open = map_open,
    .close = map_close,
    .thread_begin = thread_begin,
    .thread_end = thread_end,
    .get = get,
    .set = set,
    .set_strings = set_strings,
};

#ifdef QSBR
static const char *version(void)
{
    return URCU_VERSION;
}

const struct peer_ops peer_urcu_qsbr = {.name = "urcu-qsbr", .version = version, .maps = &ops};
#else
const struct peer_ops peer_urcu_memb = {.name = "urcu-memb", .maps = &ops};
#endif
