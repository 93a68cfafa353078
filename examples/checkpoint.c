/* SPDX-License-Identifier: MIT */
/*
 * checkpoint.c - a program whose memory is saved while it runs, and another that looks at it.
 *
 * The memory is a hash table of accounts in a region. The program moves money about as fast as it
 * can, and commits the region every 20 ms, between two moves: so each version is a state in which
 * no move is half done. A second process has a region of its own, and shows one version after the
 * other, each standing still for as long as it looks: it counts the accounts and adds up the money,
 * which must be as the program noted it. Only pages that changed are copied, and no page at all for
 * the second process.
 *
 *   cc checkpoint.c -o checkpoint $(pkg-config --cflags --libs ramet)
 *   ./checkpoint bank.ramet 2         # the store, which is made anew, and seconds
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

#define SLOTS ((uint64_t)1 << 20) /* twice as many as accounts */
#define ACCOUNTS (SLOTS / 2)
#define EVERY_MS 20.0
#define GIFT 100 /* what an account has when it is opened */

struct slot {
    uint64_t account; /* 0: free */
    int64_t money;
};

struct table {
    uint64_t accounts, moves;
    int64_t money; /* of all accounts */
    struct slot slots[SLOTS];
};

static int must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, "checkpoint: %s\n", ramet_errmsg());
        exit(1);
    }
    return rc;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* ---- the program ----------------------------------------------------------------------------- */

static struct slot *find(struct table *t, uint64_t account)
{
    uint64_t i = mix(account) % SLOTS;
    while (t->slots[i].account && t->slots[i].account != account)
        i = (i + 1) % SLOTS;
    if (!t->slots[i].account) {
        t->slots[i].account = account;
        t->slots[i].money = GIFT;
        t->accounts++;
        t->money += GIFT;
    }
    return &t->slots[i];
}

static void move(struct table *t, uint64_t n)
{
    uint64_t chance = mix(n);
    struct slot *from = find(t, 1 + chance % ACCOUNTS);
    struct slot *to = find(t, 1 + (chance >> 32) % ACCOUNTS);
    int64_t money = (int64_t)(chance >> 56);
    from->money -= money;
    to->money += money;
    t->moves++;
}

static void create(struct ramet_store *store)
{
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    must(ramet_begin(store, "main", RAMET_WRITE, &txn));
    must(ramet_blob_open(txn, "table", RAMET_CREATE, &blob));
    must(ramet_blob_truncate(blob, sizeof(struct table)));
    must(ramet_commit(txn, NULL, NULL));
}

/* Tells the other process of each version. */
static void run(const char *path, double seconds, int tell)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_LAZY};
    struct ramet_store *store;
    struct ramet_region *region;
    must(ramet_open(path, &options, &store));
    create(store);
    must(ramet_region_open(store, "main", "table", NULL, &region));
    struct table *t = ramet_region_data(region);

    double start = now_ms(), next = start + EVERY_MS, spent = 0, longest = 0;
    uint64_t checkpoints = 0, n = 0;
    for (double now = start; now < start + seconds * 1e3 || checkpoints < 2;) {
        for (int i = 0; i < 1000; i++)
            move(t, ++n);
        now = now_ms();
        if (now < next)
            continue;
        uint64_t id;
        must(ramet_region_commit(region, NULL, &id));
        double took = now_ms() - now;
        spent += took;
        longest = took > longest ? took : longest;
        checkpoints++;
        next = now_ms() + EVERY_MS;
        if (write(tell, &id, sizeof(id)) != sizeof(id))
            exit((perror("checkpoint: write"), 1));
    }
    printf("the program: %" PRIu64 " moves; %" PRIu64 " checkpoints of %zu MiB, "
           "%.1f ms each, %.1f at most\n",
           n, checkpoints, sizeof(struct table) >> 20, spent / (double)checkpoints, longest);
    ramet_region_close(region);
    ramet_close(store);
}

/* ---- the other process ----------------------------------------------------------------------- */

/* Returns false if the table is not what it says itself. */
static int agrees(const struct table *t)
{
    uint64_t accounts = 0;
    int64_t money = 0;
    for (uint64_t i = 0; i < SLOTS; i++) {
        accounts += t->slots[i].account != 0;
        money += t->slots[i].money;
    }
    if (accounts == t->accounts && money == t->money && money == GIFT * (int64_t)accounts)
        return 1;
    fprintf(stderr, "%" PRIu64 " accounts with %" PRId64 ", not %" PRIu64 " with %" PRId64 "\n",
            accounts, money, t->accounts, t->money);
    return 0;
}

static int analyse(const char *path, int told)
{
    struct ramet_store *store = NULL;
    struct ramet_region *region = NULL;
    const struct table *t = NULL;
    uint64_t id, checked = 0, moves = 0;
    while (read(told, &id, sizeof(id)) == sizeof(id)) {
        if (!region) {
            must(ramet_open(path, NULL, &store));
            must(ramet_region_open(store, "main", "table", NULL, &region));
            t = ramet_region_data(region);
        }
        must(ramet_region_refresh(region, 0)); /* the newest: perhaps one after this */
        if (t->moves < moves || !agrees(t))
            return 1;
        moves = t->moves;
        checked++;
    }
    printf("the other:   %" PRIu64 " versions looked at; all agree, the last one has %" PRIu64
           " accounts\n",
           checked, t ? t->accounts : 0);
    ramet_region_close(region);
    ramet_close(store);
    return checked < 2;
}

int main(int argc, char **argv)
{
    int fds[2], status = 1;
    char lock[4096];
    if (argc != 3 || snprintf(lock, sizeof(lock), "%s-lock", argv[1]) >= (int)sizeof(lock)) {
        fprintf(stderr, "usage: checkpoint STORE SECONDS\n");
        return 2;
    }
    (void)unlink(argv[1]);
    (void)unlink(lock);
    if (pipe(fds) < 0)
        exit((perror("checkpoint: pipe"), 1));
    pid_t child = fork(); /* before a store is open: a forked child has none */
    if (child == 0) {
        close(fds[1]);
        return analyse(argv[1], fds[0]);
    }
    close(fds[0]);
    run(argv[1], atof(argv[2]), fds[1]);
    close(fds[1]);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "checkpoint: a version was not consistent\n");
        return 1;
    }
    return 0;
}
