/* SPDX-License-Identifier: MIT */
/*
 * cowmap.c - a map in memory that one thread changes while another reads it, without a lock.
 *
 * One thread sets key 3 to 1, 2, 3 and so on. Another reads it in a loop: what it sees never goes
 * back, and the last value is there in the end. A third holds a version of the map all the while,
 * and the store does not grow by it.
 *
 *   cc cowmap.c -o cowmap $(pkg-config --cflags --libs ramet) -lpthread
 *   ./cowmap 10000000                 # how often it is set
 */
#include <inttypes.h>
#include <pthread.h>
#include <ramet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY 3

struct shared {
    struct ramet_store *store;
    uint64_t sets;
    uint64_t reads; /* of the reader, and how many values it saw */
    uint64_t values;
};

static int64_t must(int64_t rc)
{
    if (rc < 0) {
        fprintf(stderr, "cowmap: %s\n", ramet_errmsg());
        exit(1);
    }
    return rc;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set(struct ramet_handle *h, uint64_t number)
{
    struct ramet_slice value = {&number, sizeof(number)};
    must(ramet_handle_put_u64(h, KEY, value, 0));
}

static uint64_t get(struct ramet_handle *h)
{
    uint64_t number = 0;
    must(ramet_handle_get_u64(h, KEY, &number, sizeof(number)));
    return number;
}

static void *read_all(void *arg)
{
    struct shared *shared = arg;
    struct ramet_handle *h; /* each thread has its own */
    must(ramet_handle_open(shared->store, "main", "numbers", 0, &h));
    for (uint64_t last = 0, seen; last != shared->sets; last = seen) {
        seen = get(h);
        if (seen < last) {
            fprintf(stderr, "cowmap: %" PRIu64 " after %" PRIu64 "\n", seen, last);
            exit(1);
        }
        shared->reads++;
        shared->values += seen != last;
    }
    ramet_handle_close(h);
    return NULL;
}

static uint64_t bytes_of(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat.file_bytes;
}

int main(int argc, char **argv)
{
    struct shared shared = {.sets = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000};
    struct ramet_handle *writer, *holder;
    struct ramet_map *held;
    pthread_t reader;
    unsigned char key[8];
    struct ramet_slice value;

    must(ramet_open(NULL, NULL, &shared.store)); /* in memory */
    must(ramet_handle_open(shared.store, "main", "numbers", RAMET_CREATE, &writer));
    for (uint64_t i = 0; i < 1000; i++) {
        value = (struct ramet_slice){&i, sizeof(i)};
        must(ramet_handle_put_u64(writer, i, value, 0));
    }
    set(writer, 0);
    must(ramet_handle_open(shared.store, "main", "numbers", 0, &holder));
    must(ramet_handle_hold(holder, &held)); /* what key 3 is now it will be in it for good */

    uint64_t was, before = bytes_of(shared.store);
    double from = now_s();
    if (pthread_create(&reader, NULL, read_all, &shared) != 0)
        return 1;
    for (uint64_t i = 1; i <= shared.sets; i++)
        set(writer, i);
    double seconds = now_s() - from;
    pthread_join(reader, NULL);

    must(ramet_get(held, ramet_u64_key(KEY, key), &value));
    memcpy(&was, value.data, sizeof(was)); /* a slice is aligned as it happens to lie */
    if (value.size != sizeof(was) || was != 0)
        return 1;
    printf("%" PRIu64 " sets in %.2f s; meanwhile %" PRIu64 " gets, which saw %" PRIu64 " values\n",
           shared.sets, seconds, shared.reads, shared.values);
    printf("the store had %" PRIu64 " KiB before, and has %" PRIu64 " now\n", before >> 10,
           bytes_of(shared.store) >> 10);
    ramet_close(shared.store); /* and with it the handles */
    return 0;
}
