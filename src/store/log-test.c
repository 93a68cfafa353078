/* SPDX-License-Identifier: MIT */
/* log-test.c - what the log of a store is told, when, and what its function may do meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/sim.h"
#include "store/store.h"

struct told {
    pthread_mutex_t mutex; /* guards count, level, text */
    pthread_cond_t cond;
    unsigned count[RAMET_LOG_INFO + 1]; /* by level */
    char text[RAMET_LOG_INFO + 1][RMT_LOG_TEXT];
    struct ramet_store *reads; /* set by a test: the function reads it */
};

static struct told told;
static struct rmt_sim *sim;

#define assert_ok(call)                                         \
    do {                                                        \
        int rc_ = (call);                                       \
        if (rc_ != 0)                                           \
            fail_msg("%s: %d: %s", #call, rc_, ramet_errmsg()); \
    } while (0)

static void get(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    struct ramet_txn *txn = NULL;
    struct ramet_map *map;
    struct ramet_slice value;
    assert_ok(ramet_stat(store, &stat));
    assert_int_equal(stat.poisoned, 1);
    assert_ok(ramet_begin(store, NULL, RAMET_READ, &txn));
    assert_ok(ramet_map_open(txn, "m", 0, &map));
    assert_ok(ramet_get(map, rmt_slice("k", 1), &value));
    ramet_abort(txn);
}

static void on_log(void *ctx, int level, const char *message)
{
    struct told *t = ctx;
    assert_true(level >= RAMET_LOG_ERROR && level <= RAMET_LOG_INFO);
    if (t->reads)
        get(t->reads);
    (void)pthread_mutex_lock(&t->mutex);
    t->count[level]++;
    (void)snprintf(t->text[level], sizeof(t->text[level]), "%s", message);
    (void)pthread_cond_signal(&t->cond);
    (void)pthread_mutex_unlock(&t->mutex);
}

static void forget(void)
{
    memset(told.count, 0, sizeof(told.count));
    memset(told.text, 0, sizeof(told.text));
    told.reads = NULL;
}

static void assert_told(unsigned errors, unsigned warnings, unsigned infos)
{
    if (told.count[RAMET_LOG_ERROR] != errors || told.count[RAMET_LOG_WARNING] != warnings ||
        told.count[RAMET_LOG_INFO] != infos)
        fail_msg("%u errors, %u warnings, %u infos; the last '%s', '%s', '%s'",
                 told.count[RAMET_LOG_ERROR], told.count[RAMET_LOG_WARNING],
                 told.count[RAMET_LOG_INFO], told.text[RAMET_LOG_ERROR],
                 told.text[RAMET_LOG_WARNING], told.text[RAMET_LOG_INFO]);
}

static void assert_text(int level, const char *part)
{
    if (!strstr(told.text[level], part))
        fail_msg("no '%s' in '%s'", part, told.text[level]);
}

static struct ramet_store *open_with(struct rmt_sim *machine, int durability, unsigned flags)
{
    struct ramet_options options = {.size = sizeof(options),
                                    .durability = durability,
                                    .flags = flags,
                                    .log = on_log,
                                    .log_ctx = &told};
    struct rmt_io *io = NULL;
    struct ramet_store *store = NULL;
    assert_ok(rmt_sim_open(machine, flags & RAMET_READONLY ? RMT_IO_READONLY : 0, &io));
    assert_ok(rmt_store_open_io(io, &options, &store));
    return store;
}

static struct ramet_store *open_in(struct rmt_sim *machine, int durability)
{
    return open_with(machine, durability, 0);
}

/* Puts k, with a value of so many bytes. */
static int put(struct ramet_store *store, size_t size)
{
    struct ramet_txn *txn = NULL;
    struct ramet_map *map;
    char *value = calloc(1, size);
    assert_non_null(value);
    int rc = ramet_begin(store, NULL, RAMET_WRITE, &txn);
    assert_ok(rc);
    assert_ok(ramet_map_open(txn, "m", RAMET_CREATE, &map));
    assert_ok(ramet_put(map, rmt_slice("k", 1), rmt_slice(value, size), 0));
    free(value);
    return ramet_commit(txn, NULL, NULL);
}

static int setup(void **state)
{
    (void)state;
    forget();
    sim = rmt_sim_new(1, (uint64_t)64 << 20);
    return sim ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    rmt_sim_free(sim);
    return 0;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void says_nothing_when_all_is_well(void **state)
{
    (void)state;
    struct ramet_store *store = open_in(sim, RAMET_FULL);
    assert_ok(put(store, 10));
    ramet_close(store);
    store = open_in(sim, RAMET_LAZY);
    assert_ok(put(store, 10));
    ramet_close(store);
    assert_told(0, 0, 0);
}

static void tells_what_was_verified_after_a_crash(void **state)
{
    (void)state;
    struct ramet_store *store = open_in(sim, RAMET_NONE);
    assert_ok(put(store, 100000));
    rmt_sim_cut_at(sim, 0, RMT_SIM_KEEP);
    ramet_close(store);
    forget(); /* closing could not flush */
    rmt_sim_boot(sim);
    store = open_in(sim, RAMET_FULL);
    assert_told(0, 0, 1);
    assert_text(RAMET_LOG_INFO, "pages verified");
    uint64_t pages = 0;
    (void)sscanf(strstr(told.text[RAMET_LOG_INFO], "crash: "), "crash: %" SCNu64, &pages);
    assert_true(pages > 100000 / RMT_PAGE_SIZE_MIN && pages < 60);
    ramet_close(store);
}

/* The commit that was lost; 0: none was. */
static uint64_t lost_id(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    assert_ok(ramet_stat(store, &stat));
    assert_int_equal(told.count[RAMET_LOG_WARNING], stat.lost_id != 0);
    assert_int_equal(told.count[RAMET_LOG_ERROR], 0);
    return stat.lost_id;
}

/* Which sectors are lost is chance: until a slot is there whose pages are not. Who only reads
 * cannot write over it; who opens next must not take it either. */
static void tells_of_a_commit_that_is_lost_until_somebody_writes(void **state)
{
    (void)state;
    bool lost = false;
    for (uint64_t seed = 1; seed < 200 && !lost; seed++) {
        struct rmt_sim *machine = rmt_sim_new(seed, (uint64_t)64 << 20);
        assert_non_null(machine);
        struct ramet_store *store = open_in(machine, RAMET_NONE);
        assert_ok(put(store, 10));
        assert_ok(ramet_sync(store));
        assert_ok(put(store, 100000));
        rmt_sim_cut_at(machine, 0, RMT_SIM_SCATTER);
        ramet_close(store);
        rmt_sim_boot(machine);
        uint64_t ids[3];
        for (int i = 0; i < 3; i++) {
            forget();
            store = open_with(machine, RAMET_FULL, i == 0 ? RAMET_READONLY : 0);
            ids[i] = lost_id(store);
            assert_ok(ramet_check(store, 0, NULL, NULL, NULL));
            if (ids[i]) {
                char id[64];
                (void)snprintf(id, sizeof(id), "commit %" PRIu64 " ", ids[i]);
                assert_text(RAMET_LOG_WARNING, id);
                assert_text(RAMET_LOG_WARNING, "it is lost");
            }
            ramet_close(store);
        }
        lost = ids[0] != 0;
        assert_int_equal(ids[1], ids[0]);
        assert_int_equal(ids[2], 0);
        rmt_sim_free(machine);
    }
    assert_true(lost);
}

static void tells_of_a_flush_that_failed_and_its_function_may_read(void **state)
{
    (void)state;
    struct ramet_store *store = open_in(sim, RAMET_FULL);
    assert_ok(put(store, 10));
    told.reads = store;
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, 0, -EIO);
    assert_int_equal(put(store, 10), -EIO);
    assert_told(1, 0, 0);
    assert_text(RAMET_LOG_ERROR, "a flush failed");
    assert_text(RAMET_LOG_ERROR, ramet_strerror(-EIO));
    /* What follows from it is in the code of each call. */
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, NULL, RAMET_WRITE, &txn), RAMET_EPOISONED);
    assert_int_equal(ramet_sync(store), RAMET_EPOISONED);
    ramet_close(store);
    assert_told(1, 0, 0);
}

static void tells_of_a_flush_that_failed_in_the_background(void **state)
{
    (void)state;
    struct ramet_store *store = open_in(sim, RAMET_LAZY);
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, 0, -EIO);
    assert_ok(put(store, 10));
    (void)pthread_mutex_lock(&told.mutex);
    while (!told.count[RAMET_LOG_ERROR])
        (void)pthread_cond_wait(&told.cond, &told.mutex);
    (void)pthread_mutex_unlock(&told.mutex);
    ramet_close(store);
    assert_told(1, 0, 0);
}

static void tells_of_a_flush_that_failed_when_closing(void **state)
{
    (void)state;
    struct ramet_store *store = open_in(sim, RAMET_NONE);
    assert_ok(put(store, 10));
    rmt_sim_fail_at(sim, RMT_SIM_SYNC, 0, -EIO);
    ramet_close(store);
    assert_told(1, 0, 0);
}

static void tells_of_readers_that_all_died(void **state)
{
    (void)state;
    struct ramet_store *store = open_in(sim, RAMET_FULL);
    struct ramet_txn *txn[2];
    for (int i = 0; i < 2; i++)
        assert_ok(ramet_begin(store, NULL, RAMET_READ, &txn[i]));
    struct rmt_sim *after = rmt_sim_clone(sim, 1); /* as all processes were killed */
    ramet_close(store);
    forget();
    store = open_in(after, RAMET_FULL);
    assert_told(0, 0, 1);
    assert_text(RAMET_LOG_INFO, "ended 2 read transactions");
    ramet_close(store);
    rmt_sim_free(after);
}

static void tells_of_a_reader_that_died_beside_it(void **state)
{
    (void)state;
    char folder[] = "/tmp/ramet-log.XXXXXX", path[64], lock[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/s", folder);
    (void)snprintf(lock, sizeof(lock), "%s/s-lock", folder);
    struct ramet_options options = {.size = sizeof(options), .log = on_log, .log_ctx = &told};
    struct ramet_store *store = NULL;
    assert_ok(ramet_open(path, &options, &store));
    pid_t child = fork();
    if (child == 0) {
        struct ramet_store *own = NULL;
        struct ramet_txn *txn = NULL;
        int rc = ramet_open(path, NULL, &own);
        if (rc == 0)
            rc = ramet_begin(own, NULL, RAMET_READ, &txn);
        _exit(rc == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct ramet_stat stat = {.size = sizeof(stat)};
    assert_ok(ramet_stat(store, &stat));
    assert_int_equal(stat.readers, 1); /* nobody has looked yet */
    assert_told(0, 0, 0);
    assert_ok(put(store, 10));
    assert_told(0, 0, 1);
    assert_text(RAMET_LOG_INFO, "ended 1 read transactions");
    assert_ok(ramet_stat(store, &stat));
    assert_int_equal(stat.readers, 0);
    ramet_close(store);
    (void)unlink(path);
    (void)unlink(lock);
    (void)rmdir(folder);
}

/* Exactly as many bytes as the first version of the struct had: a sanitizer sees one more. */
static void options_of_an_older_program_do(void **state)
{
    (void)state;
    volatile size_t older = offsetof(struct ramet_options, log); /* or gcc sees through it */
    struct ramet_options whole = {.size = older, .durability = RAMET_NONE, .page_size = 8192};
    struct ramet_options *options = malloc(older);
    struct ramet_store *store = NULL;
    struct ramet_stat stat = {.size = sizeof(stat)};
    assert_non_null(options);
    memcpy(options, &whole, older);
    assert_int_equal(older, 24);
    assert_ok(ramet_open(NULL, options, &store));
    assert_ok(ramet_stat(store, &stat));
    assert_int_equal(stat.page_size, 8192);
    ramet_close(store);
    options->size = older - 1;
    assert_int_equal(ramet_open(NULL, options, &store), -EINVAL);
    options->size = 0;
    assert_int_equal(ramet_open(NULL, options, &store), -EINVAL);
    free(options);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_nothing_when_all_is_well),
        TEST(tells_what_was_verified_after_a_crash),
        TEST(tells_of_a_commit_that_is_lost_until_somebody_writes),
        TEST(tells_of_a_flush_that_failed_and_its_function_may_read),
        TEST(tells_of_a_flush_that_failed_in_the_background),
        TEST(tells_of_a_flush_that_failed_when_closing),
        TEST(tells_of_readers_that_all_died),
        TEST(tells_of_a_reader_that_died_beside_it),
        TEST(options_of_an_older_program_do),
    };
    (void)pthread_mutex_init(&told.mutex, NULL);
    (void)pthread_cond_init(&told.cond, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
