/* SPDX-License-Identifier: MIT */
/*
 * restore.c - a state of memory that is restored again and again, as a fuzzer does.
 *
 * The state is a blob, and one snapshot of it. A region of the snapshot is written to at 100 places
 * and reset, many times over; what was written has to be gone each time. Beside it stands what is
 * done without a region: a process with the same memory forks, and the child writes the same and
 * exits.
 *
 *   cc restore.c -o restore $(pkg-config --cflags --libs ramet)
 *   ./restore state.ramet 64 10000    # the store, which is made anew; MiB; how often
 */
#include <inttypes.h>
#include <ramet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
#define PLACES 100u

static uint64_t chance_state;

static int must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "restore: %s\n", ramet_errmsg());
        exit(1);
    }
    return rc;
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t chance(uint64_t below)
{
    uint64_t x = chance_state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (x ^ x >> 31) % below;
}

/* What the word at the front of a page of the state is. The rest is zeros. */
static uint64_t word_of(uint64_t page)
{
    return page * 2 + 1;
}

static uint64_t *at(uint8_t *memory, uint64_t page)
{
    return (uint64_t *)(void *)(memory + page * PAGE);
}

/* What the program under test does: it reads the state, and changes it at some places. */
static void work(uint8_t *memory, uint64_t pages, uint64_t *places)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        places[i] = chance(pages);
        *at(memory, places[i]) += i + 1;
    }
}

static void must_be_restored(uint8_t *memory, const uint64_t *places, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t page = places ? places[i] : i;
        if (*at(memory, page) != word_of(page)) {
            fprintf(stderr, "restore: page %" PRIu64 " was not restored\n", page);
            exit(1);
        }
    }
}

static void create(struct ramet_store *store, uint64_t pages)
{
    struct ramet_keep keep = {.size = sizeof(keep), .name = "start"};
    struct ramet_region *region;
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    must(ramet_begin(store, "main", RAMET_WRITE, &txn));
    must(ramet_blob_open(txn, "state", RAMET_CREATE, &blob));
    must(ramet_blob_truncate(blob, pages * PAGE));
    must(ramet_commit(txn, NULL, NULL));
    must(ramet_region_open(store, "main", "state", NULL, &region));
    for (uint64_t page = 0; page < pages; page++)
        *at(ramet_region_data(region), page) = word_of(page);
    must(ramet_region_commit(region, &keep, NULL));
    ramet_region_close(region);
}

static void with_a_region(const char *path, uint64_t pages, uint64_t rounds)
{
    struct ramet_store *store;
    struct ramet_region *region;
    uint64_t places[PLACES];
    double working = 0, resetting = 0;
    must(ramet_open(path, NULL, &store));
    create(store, pages);
    must(ramet_region_open(store, "main@start", "state", NULL, &region));
    uint8_t *memory = ramet_region_data(region);
    must_be_restored(memory, NULL, pages); /* and every page is in memory now */
    for (uint64_t n = 0; n < rounds; n++) {
        double t0 = now_us();
        work(memory, pages, places);
        double t1 = now_us();
        must(ramet_region_reset(region));
        working += t1 - t0;
        resetting += now_us() - t1;
        must_be_restored(memory, places, PLACES);
    }
    must_be_restored(memory, NULL, pages);
    ramet_region_close(region);
    ramet_close(store);
    printf("a region, reset:  %8.1f us, of which writing %.1f\n",
           (working + resetting) / (double)rounds, working / (double)rounds);
}

static void with_fork(uint64_t pages, uint64_t rounds)
{
    uint8_t *memory = aligned_alloc(PAGE, pages * PAGE);
    uint64_t places[PLACES];
    if (!memory)
        exit((perror("restore"), 1));
    for (uint64_t page = 0; page < pages; page++)
        *at(memory, page) = word_of(page);
    double start = now_us();
    for (uint64_t n = 0; n < rounds; n++) {
        int status = 1;
        pid_t child = fork();
        if (child == 0) {
            work(memory, pages, places);
            _exit(0);
        }
        (void)chance(pages); /* the next child writes elsewhere */
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            exit((perror("restore: fork"), 1));
    }
    printf("fork and exit:    %8.1f us\n", (now_us() - start) / (double)rounds);
    must_be_restored(memory, NULL, pages);
    free(memory);
}

int main(int argc, char **argv)
{
    char lock[4096];
    uint64_t pages = argc == 4 ? (uint64_t)atol(argv[2]) * 256 : 0;
    uint64_t rounds = argc == 4 ? (uint64_t)atol(argv[3]) : 0;
    if (!pages || !rounds ||
        snprintf(lock, sizeof(lock), "%s-lock", argv[1]) >= (int)sizeof(lock)) {
        fprintf(stderr, "usage: restore STORE MIB ROUNDS\n");
        return 2;
    }
    (void)unlink(argv[1]);
    (void)unlink(lock);
    printf("%" PRIu64 " MiB, restored %" PRIu64 " times after %u pages were written; each time\n",
           pages / 256, rounds, PLACES);
    with_a_region(argv[1], pages, rounds);
    with_fork(pages, rounds);
    return 0;
}
