/* SPDX-License-Identifier: MIT */
/* cases-test.c - what may happen to a process that has a store open, and to its lock file. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/args.h"
#include "procs/proc.h"
#include "store/store.h"

static char folder[] = "/tmp/ramet-procs-XXXXXX";
static char path[64], lock_path[72];
static long filesystem; /* that the store is said to lie on; 0: the truth */

/* In the place of the C library's. */
int fstatfs(int fd, struct statfs *out)
{
    long rc = syscall(SYS_fstatfs, fd, out);
    if (rc == 0 && filesystem)
        out->f_type = filesystem;
    return (int)rc;
}

static struct ramet_store *open_store(unsigned flags)
{
    struct ramet_store *store;
    struct ramet_options options = {.size = sizeof(options), .flags = flags};
    must(ramet_open(path, &options, &store));
    return store;
}

static void change_branch(struct ramet_store *store, const char *branch)
{
    struct ramet_txn *txn;
    struct bank_meta m;
    uint64_t random = 1;
    must(ramet_begin(store, branch, RAMET_WRITE, &txn));
    bank_change(txn, &random, 0, &m);
    must(ramet_commit(txn, NULL, NULL));
}

static void change(struct ramet_store *store)
{
    change_branch(store, "main");
}

static uint64_t version_number(struct ramet_store *store)
{
    struct ramet_txn *txn;
    struct bank_meta m;
    uint64_t random = 1;
    must(ramet_begin(store, NULL, RAMET_READ, &txn));
    bank_verify_txn(txn, &random, &m);
    ramet_abort(txn);
    return m.number;
}

static struct ramet_stat stat_of(struct ramet_store *store)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    return stat;
}

/* A store with four versions of a bank. */
static int setup(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(lock_path);
    struct ramet_store *store = open_store(0);
    struct ramet_txn *txn;
    must(ramet_begin(store, NULL, RAMET_WRITE, &txn));
    bank_make(txn);
    must(ramet_commit(txn, NULL, NULL));
    for (int i = 0; i < 3; i++)
        change(store);
    ramet_close(store);
    return 0;
}

/* ---- fork() ---------------------------------------------------------------------------------- */

struct inherited {
    struct ramet_store *store;
    struct ramet_txn *reading, *writing, *optimistic;
};

#define refused(call)                                   \
    do {                                                \
        int rc_ = (call);                               \
        if (rc_ != RAMET_EFORKED)                       \
            fatal("%s gave %d in a child", #call, rc_); \
    } while (0)

static void in_child(void *ctx)
{
    struct inherited *i = ctx;
    struct ramet_txn *txn;
    struct ramet_stat stat = {.size = sizeof(stat)};
    struct ramet_keep keep = {.size = sizeof(keep)};
    refused(ramet_begin(i->store, NULL, RAMET_READ, &txn));
    refused(ramet_begin(i->store, NULL, RAMET_WRITE, &txn));
    refused(ramet_refresh(i->reading));
    refused(ramet_stat(i->store, &stat));
    refused(ramet_sync(i->store));
    refused(ramet_check(i->store, 0, NULL, NULL, NULL));
    refused(ramet_reclaim(i->store, 0, NULL));
    refused(ramet_branch_create(i->store, "b", "main"));
    refused(ramet_branch_delete(i->store, "main"));
    refused(ramet_snapshot_create(i->store, "main", &keep, NULL));
    refused(ramet_commit(i->writing, NULL, NULL));
    refused(ramet_commit(i->optimistic, NULL, NULL));
    ramet_abort(i->reading);
    ramet_close(i->store);
    /* Nothing of it has let go of what the parent holds. */
    struct ramet_store *own = open_store(0);
    if (stat_of(own).readers != 2)
        fatal("a reader of the parent is gone");
    if (ramet_begin(own, NULL, RAMET_WRITE | RAMET_NOWAIT, &txn) != -EBUSY)
        fatal("the parent's lock of the branch is gone");
    change_branch(own, "other");
    ramet_close(own);
    _exit(0); /* what it inherited is not its own to free */
}

static void a_forked_child_is_refused_and_disturbs_nothing(void **state)
{
    (void)state;
    struct inherited i = {.store = open_store(0)};
    struct bank_meta m;
    uint64_t random = 1;
    must(ramet_branch_create(i.store, "other", "main"));
    must(ramet_begin(i.store, NULL, RAMET_READ, &i.reading));
    must(ramet_begin(i.store, NULL, RAMET_WRITE, &i.writing));
    must(ramet_begin(i.store, NULL, RAMET_WRITE | RAMET_OPTIMISTIC, &i.optimistic));
    assert_false(proc_do(in_child, &i));
    bank_verify_txn(i.reading, &random, &m);
    assert_int_equal(m.number, 3);
    bank_change(i.writing, &random, 0, &m);
    must(ramet_commit(i.writing, NULL, NULL));
    ramet_abort(i.optimistic);
    must(ramet_refresh(i.reading));
    bank_verify_txn(i.reading, &random, &m);
    assert_int_equal(m.number, 4);
    ramet_abort(i.reading);
    bank_check(i.store, 0);
    ramet_close(i.store);
}

/* ---- optimistic transactions ----------------------------------------------------------------- */

static struct ramet_map *note(struct ramet_txn *txn, const char *key)
{
    struct ramet_map *map;
    must(ramet_map_open(txn, "notes", RAMET_CREATE, &map));
    must(ramet_put(map, rmt_slice(key, strlen(key)), rmt_slice("x", 1), 0));
    return map;
}

static void note_there(void *ctx)
{
    struct ramet_store *own = open_store(0);
    struct ramet_txn *txn;
    must(ramet_begin(own, NULL, RAMET_WRITE | RAMET_OPTIMISTIC, &txn));
    (void)note(txn, ctx);
    must(ramet_commit(txn, NULL, NULL));
    ramet_close(own);
}

static void hold_the_branch(void *ctx)
{
    struct turn *turn = ctx;
    struct ramet_store *own = open_store(0);
    struct ramet_txn *txn;
    must(ramet_begin(own, NULL, RAMET_WRITE, &txn));
    turn_next(turn);
    turn_wait(turn, 2);
    (void)note(txn, "c");
    must(ramet_commit(txn, NULL, NULL));
    ramet_close(own);
}

static void optimistic_transactions_meet_those_of_another_process(void **state)
{
    (void)state;
    struct ramet_store *store = open_store(0);
    struct turn *turn = proc_share(sizeof(*turn));
    struct ramet_txn *a, *b, *waits, *does_not;
    char key[] = "a";
    const unsigned flags = RAMET_WRITE | RAMET_OPTIMISTIC;
    must(ramet_begin(store, NULL, flags, &a));
    must(ramet_begin(store, NULL, flags, &b));
    (void)note(a, "a");
    (void)note(b, "b");
    assert_false(proc_do(note_there, key));
    assert_int_equal(ramet_commit(a, NULL, NULL), RAMET_ECONFLICT);
    must(ramet_commit(b, NULL, NULL));

    must(ramet_begin(store, NULL, flags, &waits));
    must(ramet_begin(store, NULL, flags | RAMET_NOWAIT, &does_not));
    struct ramet_map *map = note(waits, "c");
    (void)note(does_not, "d");
    pid_t pid = proc_fork();
    if (pid == 0) {
        hold_the_branch(turn);
        _exit(0);
    }
    turn_wait(turn, 1);
    must(ramet_guard(map, rmt_slice("e", 1)));
    assert_int_equal(ramet_commit(does_not, NULL, NULL), -EBUSY);
    turn_next(turn);
    assert_int_equal(ramet_commit(waits, NULL, NULL), RAMET_ECONFLICT);
    assert_false(proc_wait(pid));
    bank_check(store, 0);
    ramet_close(store);
}

/* ---- another pid namespace --------------------------------------------------------------------
 */

struct elsewhere {
    struct turn turn;
    _Atomic bool cannot;
};

/* As process 1 of its namespace: it reads one version, and waits to be killed. */
static void read_and_wait(struct elsewhere *e)
{
    struct ramet_txn *txn;
    if (getpid() != 1)
        fatal("not in a namespace of its own");
    must(ramet_begin(open_store(0), NULL, RAMET_READ, &txn));
    turn_next(&e->turn);
    for (;;)
        (void)pause();
}

static void live_elsewhere(void *ctx)
{
    struct elsewhere *e = ctx;
    if (unshare(CLONE_NEWPID) < 0) {
        e->cannot = true;
        turn_next(&e->turn);
        _exit(0);
    }
    pid_t pid = fork(); /* not proc_fork(): in there its parent has no pid */
    if (pid == 0)
        read_and_wait(e);
    turn_wait(&e->turn, 2);
    (void)kill(pid, SIGKILL);
    (void)proc_wait(pid);
    _exit(0);
}

static void a_process_of_another_pid_namespace_is_known_to_live_and_to_die(void **state)
{
    (void)state;
    struct elsewhere *e = proc_share(sizeof(*e));
    pid_t pid = proc_fork();
    if (pid == 0)
        live_elsewhere(e);
    turn_wait(&e->turn, 1);
    if (e->cannot) {
        (void)proc_wait(pid);
        skip();
    }
    struct ramet_store *store = open_store(0);
    change(store); /* looks for the dead */
    assert_int_equal(stat_of(store).readers, 1);
    turn_next(&e->turn);
    (void)proc_wait(pid);
    change(store); /* looks for the dead again */
    assert_int_equal(stat_of(store).readers, 0);
    bank_check(store, 0);
    ramet_close(store);
}

/* ---- the lock file ----------------------------------------------------------------------------
 */

static void write_at(const char *file, const void *data, size_t len, uint64_t off)
{
    int fd = open(file, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, (off_t)off), len);
    (void)close(fd);
}

static void a_lock_file_of_another_boot_is_worth_nothing(void **state)
{
    (void)state;
    struct ramet_store *store = open_store(0);
    uint64_t last = stat_of(store).last_id;
    ramet_close(store);
    static const uint8_t other[16] = "another boot";
    write_at(lock_path, other, sizeof(other), offsetof(struct rmt_shared_bytes, boot_id));
    store = open_store(0);
    assert_int_equal(version_number(store), 3);
    change(store);
    assert_true(stat_of(store).last_id > last + RMT_CEILING_STEP);
    bank_check(store, 0);
    ramet_close(store);
}

static void a_network_filesystem_is_refused(void **state)
{
    (void)state;
    struct ramet_store *store;
    filesystem = 0x6969;
    assert_int_equal(ramet_open(path, NULL, &store), -EOPNOTSUPP);
    assert_non_null(strstr(ramet_errmsg(), "network filesystem"));
    filesystem = 0;
    ramet_close(open_store(0));
}

/* Breaks the newest commit, as a power cut may that came before its flush. */
static uint64_t break_newest(void)
{
    static const uint8_t zero[RMT_SECTOR_SIZE];
    struct rmt_disk_slot slots[2];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(pread(fd, &slots[i], sizeof(slots[i]), (off_t)rmt_slot_off(i)),
                         sizeof(slots[i]));
        write_at(path, zero, sizeof(zero), rmt_seal_off(i));
    }
    (void)close(fd);
    uint32_t newest = rmt_get64(slots[1].id) > rmt_get64(slots[0].id);
    struct rmt_ref catalog = rmt_ref_load(&slots[newest].catalog);
    write_at(path, zero, sizeof(zero), catalog.addr * RMT_PAGE_SIZE_MIN);
    return rmt_get64(slots[newest].id);
}

static void a_commit_that_was_fallen_back_past_is_lost_to_those_who_open_later_too(void **state)
{
    (void)state;
    uint64_t lost = break_newest();
    assert_int_equal(unlink(lock_path), 0);
    for (int i = 0; i < 3; i++) { /* readers, who cannot write over its slot */
        struct ramet_store *store = open_store(RAMET_READONLY);
        assert_int_equal(stat_of(store).lost_id, lost);
        assert_int_equal(version_number(store), 2);
        ramet_close(store);
    }
    for (int i = 0; i < 2; i++) {
        struct ramet_store *store = open_store(0);
        assert_int_equal(version_number(store), 2 + i);
        change(store);
        bank_check(store, 0);
        ramet_close(store);
    }
}

int main(void)
{
    if (!mkdtemp(folder))
        fatal("no folder for the test");
    (void)snprintf(path, sizeof(path), "%s/store", folder);
    (void)snprintf(lock_path, sizeof(lock_path), "%s-lock", path);
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_forked_child_is_refused_and_disturbs_nothing),
        TEST(optimistic_transactions_meet_those_of_another_process),
        TEST(a_process_of_another_pid_namespace_is_known_to_live_and_to_die),
        TEST(a_lock_file_of_another_boot_is_worth_nothing),
        TEST(a_network_filesystem_is_refused),
        TEST(a_commit_that_was_fallen_back_past_is_lost_to_those_who_open_later_too),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)unlink(lock_path);
    (void)rmdir(folder);
    return failed;
}
