/* SPDX-License-Identifier: MIT */
/*
 * region-test.c - processes that show one blob share one copy of its pages, and whoever stores to a
 * page has that page alone.
 *
 *   --count=MIB   size of the blob, 128 or more
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <ramet.h>

#include "api/args.h"

#define PROCESSES 8u
#define PAGE 4096u
#define WRITTEN 500u /* pages, by each process */
#define BATCH ((size_t)16 << 20)

static uint64_t bytes;
static char path[64], lock_path[80];

static void make_blob(void)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    struct ramet_store *store;
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    uint64_t *buf = malloc(BATCH);
    must(buf ? 0 : -1);
    must(ramet_open(path, &options, &store));
    for (uint64_t off = 0; off < bytes; off += BATCH) {
        for (size_t i = 0; i < BATCH / 8; i++)
            buf[i] = off + i * 8 + 1;
        must(ramet_begin(store, "main", RAMET_WRITE, &txn));
        must(ramet_blob_open(txn, "shared", RAMET_CREATE, &blob));
        must(ramet_blob_write(blob, off, buf, BATCH));
        must(ramet_commit(txn, NULL, NULL));
    }
    ramet_close(store);
    free(buf);
}

/* What of a part of memory falls to this process: of a page that several have, each has a share. */
static uint64_t proportional_bytes(uintptr_t from, uintptr_t to)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[512];
    uint64_t sum = 0, kib;
    uintptr_t start, end;
    bool inside = false;
    if (!file)
        fatal("/proc/self/smaps cannot be read");
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2)
            inside = start >= from && end <= to;
        else if (inside && sscanf(line, "Pss: %" SCNu64 " kB", &kib) == 1)
            sum += kib * 1024;
    }
    (void)fclose(file);
    return sum;
}

/* Of a process: it goes on when told, and tells what it finds. */
struct peer {
    pid_t pid;
    int go, told;
};

static void wait_to_go(int fd)
{
    char c;
    if (read(fd, &c, 1) != 1)
        _exit(1); /* the test has ended */
}

static void tell(int fd, uint64_t value)
{
    if (write(fd, &value, sizeof(value)) != sizeof(value))
        _exit(1);
}

static _Noreturn void show(uint32_t number, int go, int told)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    struct ramet_store *store;
    struct ramet_region *region;
    must(ramet_open(path, &options, &store));
    must(ramet_region_open(store, "main", "shared", NULL, &region));
    uint64_t *words = ramet_region_data(region);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < bytes / 8; i += PAGE / 8)
        wrong += words[i] != i * 8 + 1;
    tell(told, wrong);
    wait_to_go(go);
    tell(told, proportional_bytes((uintptr_t)words, (uintptr_t)words + bytes));
    wait_to_go(go);
    for (uint64_t i = 0; i < WRITTEN; i++)
        words[(i * 7 * PROCESSES + number) * (PAGE / 8)] = number;
    tell(told, 0);
    wait_to_go(go);
    tell(told, proportional_bytes((uintptr_t)words, (uintptr_t)words + bytes));
    wait_to_go(go);
    ramet_region_close(region);
    ramet_close(store);
    _exit(0);
}

/* The sum of what all tell; then they go on, all at once. */
static uint64_t hear(struct peer *peers)
{
    uint64_t sum = 0, value;
    for (uint32_t i = 0; i < PROCESSES; i++) {
        if (read(peers[i].told, &value, sizeof(value)) != sizeof(value))
            fatal("process %u has ended", i);
        sum += value;
    }
    for (uint32_t i = 0; i < PROCESSES; i++)
        must(write(peers[i].go, "", 1) == 1 ? 0 : -1);
    return sum;
}

static void share_one_copy(void **state)
{
    (void)state;
    struct peer peers[PROCESSES];
    for (uint32_t i = 0; i < PROCESSES; i++) {
        int go[2], told[2];
        must(pipe(go));
        must(pipe(told));
        peers[i] = (struct peer){fork(), go[1], told[0]};
        must(peers[i].pid < 0 ? -1 : 0);
        if (peers[i].pid == 0) {
            (void)close(go[1]);
            show(i, go[0], told[1]);
        }
        (void)close(go[0]);
        (void)close(told[1]);
    }
    assert_int_equal(hear(peers), 0); /* each saw the right bytes */
    uint64_t shared = hear(peers);
    (void)hear(peers);
    uint64_t written = hear(peers);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(peers[i].pid, &status, 0), peers[i].pid);
        assert_int_equal(status, 0);
        (void)close(peers[i].go);
        (void)close(peers[i].told);
    }
    print_message("%" PRIu64 " MiB, shown by %u processes: %.2f MiB of memory; after each has "
                  "written %u pages: %.2f MiB more\n",
                  bytes >> 20, PROCESSES, (double)shared / (1 << 20), WRITTEN,
                  ((double)written - (double)shared) / (1 << 20));
    uint64_t own = (uint64_t)PROCESSES * WRITTEN * PAGE;
    assert_true(shared <= bytes + bytes / 100);
    assert_true(shared >= bytes - bytes / 10); /* it was measured */
    assert_true(written >= shared && written - shared <= own + own / 100 + bytes / 100);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(share_one_copy)};
    struct args args = {.seed = 1, .count = 1024};
    if (!args_parse(argc, argv, &args))
        return 2;
    bytes = (args.count < 128 ? 128 : args.count) << 20;
    (void)snprintf(path, sizeof(path), "region-procs-test-%d.ramet", (int)getpid());
    (void)snprintf(lock_path, sizeof(lock_path), "%s-lock", path);
    make_blob();
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)unlink(lock_path);
    return rc;
}
