/* SPDX-License-Identifier: MIT */
/*
 * bench.c - the program: which rows there are, and what is printed.
 *
 *   --entries=N   1000000
 *   --rounds=N    5
 *   --dir=PATH    where stores are made: TMPDIR or /tmp
 *   --gb=N        of the store that branches are made of: 1; 0: none
 *   --json        for scripts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bench.h"

#define BRANCHES 200

static const struct peer_ops *const peers[] = {&peer_ramet, &peer_lmdb, &peer_disk};
#define PEERS (sizeof(peers) / sizeof(peers[0]))
#define RAMET 0

enum unit { NS, US, MB };

struct row {
    const char *name, *what;
    enum unit unit;
    size_t rounds;
    bool has[PEERS];
    double cpu[PEERS][ROUNDS_MAX], wall[PEERS][ROUNDS_MAX]; /* ns; or bytes, in both */
    double flushes[PEERS];                                  /* of a commit */
};

enum {
    SORTED_LOAD,
    SORTED_SCAN,
    RANDOM_LOAD,
    SIZE,
    RANDOM_SCAN,
    GET,
    GET_MANY,
    RANGE,
    OVERWRITE,
    COMMIT,
    ROWS
};

static struct row rows[ROWS] = {
    [SORTED_LOAD] = {"sorted load", "in the order of keys, 10,000 to a commit, no flush", NS},
    [SORTED_SCAN] = {"scan after it", "all entries, of one", NS},
    [RANDOM_LOAD] = {"random load", "1,000 to a commit, no flush", NS},
    [SIZE] = {"file after it", "", MB},
    [RANDOM_SCAN] = {"scan after it", "all entries, of one", NS},
    [GET] = {"get", "random keys, all there", NS},
    [GET_MANY] = {"get many", "16 keys at once, of one", NS},
    [RANGE] = {"range", "from a random key on, 100 entries, of all", US},
    [OVERWRITE] = {"overwrite", "random keys, 1,000 to a commit, no flush", NS},
    [COMMIT] = {"durable commit", "of one overwrite, flushed (median)", US},
};

struct options {
    size_t entries, rounds, gb;
    const char *dir;
    bool json;
};

/* ---- rounds ---------------------------------------------------------------------------------- */

struct session {
    struct worker *workers[PEERS];
    size_t nr; /* of peers that take part: all but the disk, or all */
    uint32_t round;
};

/* The peers one after the other; which is first changes. */
static size_t turn(const struct session *s, size_t i)
{
    return (i + s->round) % s->nr;
}

static void all_do(struct session *s, enum task task)
{
    struct result result;
    for (size_t i = 0; i < s->nr; i++)
        (void)worker_do(s->workers[turn(s, i)], task, s->round, &result);
}

static void all_row(struct session *s, int row_index, enum task task)
{
    struct row *row = &rows[row_index];
    uint64_t check = 0;
    for (size_t i = 0; i < s->nr; i++) {
        size_t p = turn(s, i);
        struct result r = {0};
        if (!worker_do(s->workers[p], task, s->round, &r))
            continue;
        if (r.check && check && r.check != check)
            die("%s: %s read something else than the others", row->name, peers[p]->name);
        check = r.check;
        row->has[p] = true;
        row->cpu[p][row->rounds] = task == TASK_SIZE ? (double)r.bytes : r.cpu_ns;
        row->wall[p][row->rounds] = task == TASK_SIZE     ? (double)r.bytes
                                    : task == TASK_COMMIT ? r.median_ns
                                                          : r.wall_ns;
        row->flushes[p] = r.flushes;
    }
    row->rounds++;
}

static void do_round(struct session *s)
{
    s->nr = PEERS - 1;
    all_do(s, TASK_OPEN);
    all_row(s, SORTED_LOAD, TASK_LOAD_SORTED);
    all_row(s, SORTED_SCAN, TASK_SCAN);
    all_do(s, TASK_CLOSE);
    all_do(s, TASK_REMOVE);

    all_do(s, TASK_OPEN);
    all_row(s, RANDOM_LOAD, TASK_LOAD_RANDOM);
    all_row(s, SIZE, TASK_SIZE);
    all_row(s, GET, TASK_GET);
    all_row(s, GET_MANY, TASK_GET_MANY);
    all_row(s, RANDOM_SCAN, TASK_SCAN);
    all_row(s, RANGE, TASK_RANGE);
    all_row(s, OVERWRITE, TASK_OVERWRITE);
    all_do(s, TASK_CLOSE);

    s->nr = PEERS;
    all_do(s, TASK_OPEN_DURABLE);
    all_row(s, COMMIT, TASK_COMMIT);
    all_do(s, TASK_CLOSE);
    all_do(s, TASK_REMOVE);
}

/* ---- what comes out -------------------------------------------------------------------------- */

static double middle(const double *values, size_t count)
{
    double copy[ROUNDS_MAX];
    memcpy(copy, values, count * sizeof(*copy));
    return median(copy, count);
}

/* Of ramet's to a peer's: the median of what it is in each round. */
static double ratio(const struct row *row, const double values[PEERS][ROUNDS_MAX], size_t peer)
{
    double ratios[ROUNDS_MAX];
    for (size_t i = 0; i < row->rounds; i++)
        ratios[i] = values[RAMET][i] / values[peer][i];
    return median(ratios, row->rounds);
}

static const double unit_ns[] = {[NS] = 1, [US] = 1000, [MB] = 1e6};
static const char *const unit_names[] = {[NS] = "ns", [US] = "us", [MB] = "MB"};

/* By wall for commits, which wait for the disk; else by CPU time, which a busy machine disturbs
 * less. */
static const double (*values_of(const struct row *row))[ROUNDS_MAX]
{
    return row == &rows[COMMIT] ? row->wall : row->cpu;
}

static void print_table(void)
{
    printf("%-16s", "");
    for (size_t p = 0; p < PEERS; p++)
        printf("%16s", peers[p]->name);
    printf("\n");
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        printf("%-16s", row->name);
        for (size_t p = 0; p < PEERS; p++) {
            char cell[32] = "-";
            if (row->has[p])
                (void)snprintf(cell, sizeof(cell), "%.*f %s", row->unit == NS ? 0 : 1,
                               middle(values_of(row)[p], row->rounds) / unit_ns[row->unit],
                               unit_names[row->unit]);
            printf("%16s", cell);
        }
        for (size_t p = 1; p < PEERS; p++) {
            if (row->has[p])
                printf("  %.2fx %s", ratio(row, values_of(row), p), peers[p]->name);
        }
        printf("   %s", row->what);
        if (row == &rows[COMMIT])
            printf("; flushes a commit: %s %.2f, %s %.2f", peers[0]->name, row->flushes[0],
                   peers[1]->name, row->flushes[1]);
        printf("\n");
    }
}

static void print_json(const struct options *o)
{
    printf("{\"entries\": %zu, \"rounds\": %zu, \"rows\": [", o->entries, o->rounds);
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        printf("%s\n  {\"name\": \"%s\", \"what\": \"%s\", \"unit\": \"%s\"",
               row == rows ? "" : ",", row->name, row->what, row->unit == MB ? "bytes" : "ns");
        for (size_t p = 0; p < PEERS; p++) {
            if (!row->has[p])
                continue;
            printf(", \"%s\": {\"cpu\": %.1f, \"wall\": %.1f", peers[p]->name,
                   middle(row->cpu[p], row->rounds), middle(row->wall[p], row->rounds));
            if (row == &rows[COMMIT])
                printf(", \"flushes\": %.2f", row->flushes[p]);
            if (p != RAMET)
                printf(", \"ratio\": %.3f", ratio(row, values_of(row), p));
            printf("}");
        }
        printf("}");
    }
    printf("\n]}\n");
}

/* ---- branches -------------------------------------------------------------------------------- */

static void branches(const char *folder, size_t gb, bool json)
{
    struct branching b;
    char path[4200];
    (void)snprintf(path, sizeof(path), "%s/branching", folder);
    branching_load(path, (uint64_t)gb << 30);
    branching_run(path, BRANCHES, &b);
    files_remove(path);
    (void)fprintf(
        json ? stderr : stdout,
        "new branch      %13.1f us of a store with %.2f GB, no flush asked for (median of "
        "%d; CPU %.1f us; pages of data copied: %llu; flushes: %llu)\n",
        b.wall_ns / 1000, (double)b.store_bytes / 1e9, BRANCHES, b.cpu_ns / 1000,
        (unsigned long long)b.copied_pages, (unsigned long long)b.flushes);
}

/* ---- main ------------------------------------------------------------------------------------ */

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = strchr(a, '=');
        size_t n = value ? strtoull(value + 1, NULL, 10) : 0;
        if (strncmp(a, "--entries=", 10) == 0 && n >= 1000)
            o->entries = n;
        else if (strncmp(a, "--rounds=", 9) == 0 && n >= 1 && n <= ROUNDS_MAX)
            o->rounds = n;
        else if (strncmp(a, "--dir=", 6) == 0)
            o->dir = value + 1;
        else if (strncmp(a, "--gb=", 5) == 0)
            o->gb = n;
        else if (strcmp(a, "--json") == 0)
            o->json = true;
        else
            return false;
    }
    return true;
}

static void print_machine(const struct options *o)
{
    struct utsname uts;
    (void)uname(&uts);
    printf("%s %s", uts.sysname, uts.release);
    for (size_t p = 0; p < PEERS; p++)
        printf("; %s: %s", peers[p]->name, peers[p]->version());
    printf("\n%zu entries: keys of 16 random bytes, values of %d; medians of %zu rounds; CPU time, "
           "but wall for commits\n\n",
           o->entries, VALUE_SIZE, o->rounds);
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    struct options o = {.entries = 1000000, .rounds = 5, .gb = 1, .dir = tmp ? tmp : "/tmp"};
    if (!parse(argc, argv, &o)) {
        (void)fprintf(stderr,
                      "usage: %s [--entries=N] [--rounds=N] [--dir=PATH] [--gb=N] [--json]\n",
                      argv[0]);
        return 2;
    }
    struct entries e;
    const char *folder = folder_make(o.dir);
    struct plan plan = {
        .dir = folder,
        .entries = &e,
        .overwrites = o.entries / 2,
        .commits = 300,
        .ranges = o.entries / 50,
    };
    entries_init(&e, o.entries, KEYS_RANDOM);
    if (!o.json)
        print_machine(&o);
    (void)fflush(stdout); /* or every worker prints it, too */
    struct session s = {0};
    for (size_t p = 0; p < PEERS; p++)
        s.workers[p] = worker_start(peers[p], &plan);
    for (; s.round < o.rounds; s.round++) {
        (void)fprintf(stderr, "round %u of %zu\n", s.round + 1, o.rounds);
        do_round(&s);
    }
    for (size_t p = 0; p < PEERS; p++)
        worker_quit(s.workers[p]);
    if (o.json)
        print_json(&o);
    else
        print_table();
    (void)fflush(stdout);
    if (o.gb)
        branches(folder, o.gb, o.json);
    entries_fini(&e);
    return 0;
}
