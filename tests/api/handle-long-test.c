/* SPDX-License-Identifier: MIT */
/*
 * handle-long-test.c - a map that is set again and again, by one thread, while others read it,
 * sleep with versions of it, come, go, and are ended in the middle: every get sees what it must,
 * versions stay as they are, and the memory it takes stays the same.
 *
 *   --seed=N --count=N (sets) --verbose
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ramet.h>

#include "api/args.h"
#include "base/base.h"

#define ENTRIES 20000
#define SLEEPERS 4
#define COMERS 4
#define EACH 2000 /* sets: then one of those who come goes, and another comes */

#if defined(__SANITIZE_THREAD__)
static struct args args = {.count = 10000};
#else
static struct args args = {.count = 300000};
#endif
/* What a cancelled thread leaves on its stack AddressSanitizer takes for an error. */
#if defined(__SANITIZE_ADDRESS__)
static const bool cancels = false;
#else
static const bool cancels = true;
#endif

static struct ramet_store *store;
static _Atomic uint64_t set[ENTRIES]; /* what a key's value is at least: numbers of sets ascend */
static _Atomic bool stop;
static _Atomic uint64_t gets, slept;

static struct ramet_handle *new_handle(void)
{
    struct ramet_handle *h;
    must(ramet_handle_open(store, NULL, "map", RAMET_CREATE, &h));
    return h;
}

static uint64_t get(struct ramet_handle *h, uint64_t key)
{
    uint64_t number = 0;
    want(ramet_handle_get_u64(h, key, &number, sizeof(number)) == sizeof(number));
    return number;
}

static void get_some(struct ramet_handle *h, uint64_t *random)
{
    uint64_t key = random_below(random, ENTRIES), least = atomic_load(&set[key]);
    uint64_t number = get(h, key), again = get(h, key);
    if (number < least || again < number)
        fatal("key %" PRIu64 " was set to %" PRIu64 "; then it was %" PRIu64 ", and %" PRIu64, key,
              least, number, again);
    atomic_fetch_add(&gets, 2);
}

/* ---- who reads ------------------------------------------------------------------------------- */

/* A number that is the version's. */
static uint64_t add_up(struct ramet_map *map)
{
    struct ramet_cursor *c;
    struct ramet_slice value;
    uint64_t sum = 0, number, count = 0;
    must(ramet_cursor_open(map, &c));
    for (; must_or(ramet_cursor_next(c), RAMET_ENOTFOUND) == 0; count++) {
        must(ramet_cursor_get(c, NULL, &value));
        memcpy(&number, value.data, sizeof(number));
        sum = sum * 31 + number;
    }
    ramet_cursor_close(c);
    want(count == ENTRIES);
    return sum;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

static void *sleep_on_versions(void *arg)
{
    struct ramet_handle *h = new_handle();
    uint64_t random = args.seed + *(const uint64_t *)arg;
    while (!atomic_load(&stop)) {
        struct ramet_map *map;
        must(ramet_handle_hold(h, &map));
        uint64_t sum = add_up(map);
        for (uint64_t ms = random_below(&random, 300); ms && !atomic_load(&stop); ms--)
            sleep_ms(ms % 10 == 0 ? 10 : 1);
        want(add_up(map) == sum);
        ramet_handle_release(h);
        atomic_fetch_add(&slept, 1);
    }
    ramet_handle_close(h);
    return NULL;
}

struct comer {
    struct ramet_handle *handle; /* its own; whoever joins it closes it */
    uint64_t random;
    _Atomic bool ends;
    pthread_t thread;
};

static void *come_and_go(void *arg)
{
    struct comer *c = arg;
    uint64_t how = random_below(&c->random, 3);
    struct ramet_map *map;
    for (uint64_t n = random_below(&c->random, 300); n; n--)
        get_some(c->handle, &c->random);
    if (how == 0)
        return NULL;
    must(ramet_handle_hold(c->handle, &map));
    if (how == 1)
        pthread_exit(NULL);
    while (cancels || !atomic_load(&c->ends)) {
        (void)get(c->handle, random_below(&c->random, ENTRIES));
        pthread_testcancel();
    }
    return NULL;
}

static void start_comer(struct comer *c, uint64_t random)
{
    c->handle = new_handle();
    c->random = random;
    atomic_store(&c->ends, false);
    want(pthread_create(&c->thread, NULL, come_and_go, c) == 0);
}

static void end_comer(struct comer *c)
{
    atomic_store(&c->ends, true);
    if (cancels)
        (void)pthread_cancel(c->thread);
    (void)pthread_join(c->thread, NULL);
    ramet_handle_close(c->handle);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static struct ramet_stat stat_now(void)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat;
}

/* Of the process, in bytes. A sanitizer keeps freed memory: then it is not looked at. */
static uint64_t resident(void)
{
    unsigned long all, pages;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0;
#endif
    FILE *f = fopen("/proc/self/statm", "r");
    want(f && fscanf(f, "%lu %lu", &all, &pages) == 2);
    (void)fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What all who may hold a version hold, and what the last commits replaced: the file has as much
 * again at most, for it grows ahead. */
static uint64_t memory_limit(void)
{
    struct ramet_stat stat = stat_now();
    uint64_t version = stat.data_bytes + ((uint64_t)64 << 10);
    return 2 * (version * (1 + SLEEPERS + COMERS) + ((uint64_t)4 << 20));
}

/* ---- who writes ------------------------------------------------------------------------------ */

static void fill(struct ramet_handle *h)
{
    static unsigned char bytes[ENTRIES][8];
    static struct ramet_slice keys[ENTRIES], values[ENTRIES];
    static const uint64_t zero;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        keys[i] = ramet_u64_key(i, bytes[i]);
        values[i] = (struct ramet_slice){&zero, sizeof(zero)};
    }
    must(ramet_handle_batch(h, ENTRIES, keys, values));
}

static void set_some(struct ramet_handle *h, uint64_t *random, uint64_t *number)
{
    for (int i = 0; i < EACH; i++) {
        uint64_t key = random_below(random, ENTRIES), value = ++*number;
        must(ramet_handle_put_u64(h, key, (struct ramet_slice){&value, sizeof(value)}, 0));
        atomic_store(&set[key], value);
    }
}

static void run(void)
{
    static uint64_t numbers[SLEEPERS] = {1, 2, 3, 4};
    pthread_t sleepers[SLEEPERS];
    struct comer comers[COMERS];
    uint64_t random = args.seed, number = 0, most = 0, resident_before = 0, next = 0;
    must(ramet_open(NULL, NULL, &store));
    struct ramet_handle *h = new_handle();
    fill(h);
    uint64_t limit = memory_limit();
    for (int i = 0; i < SLEEPERS; i++)
        want(pthread_create(&sleepers[i], NULL, sleep_on_versions, &numbers[i]) == 0);
    for (int i = 0; i < COMERS; i++)
        start_comer(&comers[i], random_next(&random));
    while (number < args.count) {
        set_some(h, &random, &number);
        end_comer(&comers[next % COMERS]);
        start_comer(&comers[next++ % COMERS], random_next(&random));
        struct ramet_stat stat = stat_now();
        most = rmt_max(most, stat.file_bytes);
        if (stat.file_bytes > limit)
            fatal("after %" PRIu64 " sets the store has %" PRIu64 " KiB; %" PRIu64 " are allowed",
                  number, stat.file_bytes >> 10, limit >> 10);
        if (resident_before == 0 && number >= args.count / 4)
            resident_before = resident();
        if (args.verbose && next % 1000 == 0)
            printf("%" PRIu64 " sets, %" PRIu64 " KiB, %" PRIu64 " in limbo, %" PRIu64
                   " resident\n",
                   number, stat.file_bytes >> 10, stat.limbo_bytes >> 10, resident() >> 10);
        if (next % 1000 == 0)
            (void)fflush(stdout);
    }
    want(resident() <= resident_before + limit);
    atomic_store(&stop, true);
    for (int i = 0; i < SLEEPERS; i++)
        (void)pthread_join(sleepers[i], NULL);
    for (int i = 0; i < COMERS; i++)
        end_comer(&comers[i]);
    for (uint64_t i = 0; i < ENTRIES; i++)
        want(get(h, i) == atomic_load(&set[i]));
    set_some(h, &random, &number);
    want(stat_now().limbo_bytes <= (uint64_t)1 << 20 && stat_now().readers == 0);
    must(ramet_check(store, 0, NULL, NULL, NULL));
    ramet_close(store);
    printf("%" PRIu64 " sets, %" PRIu64 " gets, %" PRIu64 " versions slept on, %" PRIu64
           " threads came; at most %" PRIu64 " KiB of %" PRIu64 "\n",
           number, atomic_load(&gets), atomic_load(&slept), next + COMERS, most >> 10, limit >> 10);
}

int main(int argc, char **argv)
{
    if (!args_parse(argc, argv, &args))
        return 2;
    run();
    return 0;
}
