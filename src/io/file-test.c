/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/io.h"
#include "io/reserve.h"

#define NOBODY 65534
#define SKIPPED 77

static char folder[64];
static char store[128];
static char lock_file[128];

/* ---- helpers --------------------------------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/ramet-io-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(store, sizeof(store), "%s/store", folder);
    (void)snprintf(lock_file, sizeof(lock_file), "%s/store-lock", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static struct rmt_io *open_ok(const char *path, unsigned flags)
{
    struct rmt_io *io = NULL;
    if (rmt_io_file_open(path, flags, 0644, &io) != 0)
        fail_msg("%s", ramet_errmsg());
    return io;
}

static void assert_refused(const char *path, unsigned flags, int code)
{
    struct rmt_io *io = NULL;
    int rc = rmt_io_file_open(path, flags, 0644, &io);
    if (rc != code)
        fail_msg("%d instead of %d: %s", rc, code, ramet_errmsg());
    assert_null(io);
    assert_non_null(strstr(ramet_errmsg(), path));
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int write_one(struct rmt_io *io, const void *data, size_t len, uint64_t off)
{
    struct iovec iov = {(void *)(uintptr_t)data, len};
    return io->ops->write(io, &iov, 1, off);
}

static int lock(struct rmt_io *io, uint64_t byte, enum rmt_io_lock how)
{
    return io->ops->lock(io, byte, how, false);
}

/* In a child a failed assert of cmocka would go on with the parent's tests. */
#define child_assert(x)                                                                \
    do {                                                                               \
        if (!(x)) {                                                                    \
            (void)fprintf(stderr, "%s:%d: in child: %s; %s\n", __FILE__, __LINE__, #x, \
                          ramet_errmsg());                                             \
            _exit(1);                                                                  \
        }                                                                              \
    } while (0)

static void finish_child(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void in_child(void (*fn)(void))
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fn();
        _exit(0);
    }
    finish_child(child);
}

/* A process that opens the store, does fn, and says so; then waits to be told to end, or killed. */
struct process {
    pid_t pid;
    int told, tells;
};

static struct process start_process(void (*fn)(struct rmt_io *io), const char *path)
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    (void)fflush(NULL);
    struct process p = {fork(), up[0], down[1]};
    assert_true(p.pid >= 0);
    if (p.pid == 0) {
        char c = 'y';
        struct rmt_io *io = NULL;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(up[0]);
        (void)close(down[1]);
        child_assert(rmt_io_file_open(path, 0, 0644, &io) == 0);
        fn(io);
        child_assert(write(up[1], &c, 1) == 1);
        (void)!read(down[0], &c, 1);
        rmt_io_close(io);
        _exit(0);
    }
    (void)close(up[1]);
    (void)close(down[0]);
    char c;
    assert_int_equal(read(p.told, &c, 1), 1);
    return p;
}

static void end_process(struct process p, bool killed)
{
    if (killed)
        assert_int_equal(kill(p.pid, SIGKILL), 0);
    (void)close(p.tells);
    (void)close(p.told);
    int status = 0;
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_true(killed ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void makes_the_store_and_its_lock_file(void **state)
{
    (void)state;
    struct rmt_io *io = open_ok(store, RMT_IO_MUST_CREATE);
    assert_true(io->created);
    assert_true(io->durable);
    assert_false(io->readonly);
    assert_string_equal(io->path, store);
    assert_true(exists(lock_file));
    assert_int_equal(io->ops->grow(io, 4096), 0);
    rmt_io_close(io);

    io = open_ok(store, RMT_IO_MUST_EXIST);
    assert_false(io->created);
    rmt_io_close(io);
    assert_refused(store, RMT_IO_MUST_CREATE, -EEXIST);
}

static void refuses_what_the_flags_forbid(void **state)
{
    (void)state;
    assert_refused(store, RMT_IO_MUST_EXIST, -ENOENT);
    assert_refused(store, RMT_IO_READONLY, -ENOENT);
    assert_refused(store, RMT_IO_MUST_CREATE | RMT_IO_READONLY, -EINVAL);
    assert_refused("/nowhere/at/all", 0, -ENOENT);
    assert_false(exists(store));
    assert_false(exists(lock_file));
}

static void refuses_what_is_not_a_file(void **state)
{
    (void)state;
    assert_refused(folder, 0, -EISDIR);
    assert_refused(folder, RMT_IO_READONLY, -EISDIR);
    assert_refused("/dev/null", 0, -EINVAL);
    assert_int_equal(mkfifo(store, 0600), 0);
    assert_refused(store, 0, -EINVAL);
    assert_refused("/proc/self/mem/x", 0, -ENOTDIR);
}

static void takes_an_empty_file_for_a_new_store(void **state)
{
    (void)state;
    int fd = open(store, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(close(fd), 0);
    struct rmt_io *io = open_ok(store, 0);
    assert_true(io->created);
    rmt_io_close(io);
    assert_true(exists(store)); /* it was there before */

    io = open_ok(store, RMT_IO_READONLY);
    assert_false(io->created);
    rmt_io_close(io);
}

static void removes_what_it_made_and_left_empty(void **state)
{
    (void)state;
    struct rmt_io *io = open_ok(store, 0);
    struct rmt_io *second = open_ok(store, 0);
    rmt_io_close(io); /* somebody else is there */
    assert_true(exists(store));
    rmt_io_close(second);
    assert_int_equal(unlink(store), 0);
    assert_int_equal(unlink(lock_file), 0);

    io = open_ok(store, 0);
    rmt_io_close(io);
    assert_false(exists(store));
    assert_false(exists(lock_file));
}

static void removes_what_it_made_and_could_not_lock(void **state)
{
    (void)state;
    assert_int_equal(mkdir(lock_file, 0700), 0);
    assert_refused(store, 0, -EISDIR);
    assert_non_null(strstr(ramet_errmsg(), lock_file));
    assert_false(exists(store));
}

static void the_lock_file_has_the_permissions_of_the_store(void **state)
{
    (void)state;
    struct rmt_io *io = NULL;
    struct stat st;
    mode_t mask = umask(0);
    int rc = rmt_io_file_open(store, 0, 0660, &io);
    (void)umask(mask);
    assert_int_equal(rc, 0);
    assert_int_equal(stat(lock_file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    rmt_io_close(io);
}

static void follows_links_to_the_file_itself(void **state)
{
    (void)state;
    char link_path[128], link_lock[160];
    (void)snprintf(link_path, sizeof(link_path), "%s/link", folder);
    (void)snprintf(link_lock, sizeof(link_lock), "%s-lock", link_path);
    assert_int_equal(symlink("store", link_path), 0);

    struct rmt_io *io = open_ok(link_path, 0); /* leads nowhere yet */
    assert_true(io->created);
    assert_true(exists(store));
    assert_true(exists(lock_file));
    assert_false(exists(link_lock));

    struct rmt_io *direct = open_ok(store, 0);
    assert_int_equal(lock(io, 1, RMT_IO_LOCK_EXCLUSIVE), 0);
    assert_int_equal(lock(direct, 1, RMT_IO_LOCK_EXCLUSIVE), -EAGAIN);
    rmt_io_close(direct);
    rmt_io_close(io);
}

static void refuses_a_second_lock_file(void **state)
{
    (void)state;
    char other[128];
    (void)snprintf(other, sizeof(other), "%s/other", folder);
    struct rmt_io *io = open_ok(store, 0);
    assert_int_equal(link(store, other), 0);
    assert_refused(other, 0, -EBUSY);
    assert_refused(other, RMT_IO_READONLY, -EBUSY);
    struct rmt_io *same = open_ok(store, 0);
    rmt_io_close(same);

    assert_int_equal(unlink(lock_file), 0);
    assert_refused(store, 0, -EBUSY);
    rmt_io_close(io);

    io = open_ok(store, 0);
    rmt_io_close(io);
    io = open_ok(other, 0); /* one after the other is fine */
    rmt_io_close(io);
}

static void *opener(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < 200; i++) {
        struct rmt_io *io = NULL;
        int rc = rmt_io_file_open(store, 0, 0644, &io);
        if (rc < 0)
            return strdup(ramet_errmsg());
        rmt_io_close(io);
    }
    return NULL;
}

/* Empty files come and go under their hands, and yet every open succeeds. */
static void opens_and_closes_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, opener, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *problem = NULL;
        assert_int_equal(pthread_join(threads[i], &problem), 0);
        if (problem)
            fail_msg("%s", (char *)problem);
    }
}

/* ---- permissions and full disks -------------------------------------------------------------- */

static void make_store(const void *data, size_t len)
{
    struct rmt_io *io = open_ok(store, 0);
    assert_int_equal(io->ops->grow(io, len), 0);
    assert_int_equal(write_one(io, data, len, 0), 0);
    rmt_io_close(io);
}

static void become_nobody(void)
{
    child_assert(setresgid(NOBODY, NOBODY, NOBODY) == 0);
    child_assert(setresuid(NOBODY, NOBODY, NOBODY) == 0);
}

static void reads_without_permissions(void)
{
    struct rmt_io *io = NULL;
    char c = 0;
    become_nobody();
    child_assert(rmt_io_file_open(store, 0, 0644, &io) == -EACCES);

    /* There is no lock file, and none can be made: no writer is there, and none may come. */
    void *mem = NULL;
    child_assert(rmt_io_file_open(store, RMT_IO_READONLY, 0644, &io) == 0);
    child_assert(io->ops->read(io, &c, 1, 2) == 0 && c == 'c');
    child_assert(io->ops->shared(io, 10000, &mem) == 0);
    memset(mem, 1, 10000);
    child_assert(io->ops->lock(io, 7, RMT_IO_LOCK_EXCLUSIVE, false) == 0);
    child_assert(io->ops->locked(io, 7) == 0);
    child_assert(access(lock_file, F_OK) < 0);

    struct rmt_io *second = NULL;
    child_assert(rmt_io_file_open(store, RMT_IO_READONLY, 0644, &second) == 0);
    rmt_io_close(second);
    rmt_io_close(io);
}

static void a_reader_needs_no_permission_to_write(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_store("abc", 3);
    assert_int_equal(unlink(lock_file), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    in_child(reads_without_permissions);
}

static void meets_a_lock_file_of_others(void)
{
    struct rmt_io *io = NULL;
    become_nobody();
    child_assert(rmt_io_file_open(store, RMT_IO_READONLY, 0644, &io) == -EACCES);
    child_assert(strstr(ramet_errmsg(), lock_file));
}

static void says_which_lock_file_cannot_be_written(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_store("abc", 3);
    assert_int_equal(chmod(folder, 0755), 0);
    in_child(meets_a_lock_file_of_others);
}

static void read_as_nobody(struct rmt_io *io)
{
    rmt_io_close(io);
    become_nobody();
    child_assert(rmt_io_file_open(store, RMT_IO_READONLY, 0644, &io) == 0);
}

static void hold_a_loner(struct rmt_io *io)
{
    child_assert(unlink(lock_file) == 0);
    read_as_nobody(io); /* never closed: the process is killed */
}

static void writers_and_readers_without_a_lock_file_exclude_each_other(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    make_store("abc", 3);
    assert_int_equal(chmod(folder, 0755), 0);
    struct process reader = start_process(hold_a_loner, store);
    assert_refused(store, 0, -EBUSY);
    end_process(reader, true);
    struct rmt_io *io = open_ok(store, 0);
    assert_int_equal(unlink(lock_file), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rmt_io *mine = NULL;
        become_nobody();
        child_assert(rmt_io_file_open(store, RMT_IO_READONLY, 0644, &mine) == -EBUSY);
        _exit(0);
    }
    finish_child(child);
    rmt_io_close(io);
}

static void a_reader_writes_nothing(void **state)
{
    (void)state;
    make_store("abc", 3);
    struct stat before, after;
    assert_int_equal(stat(store, &before), 0);
    struct rmt_io *io = open_ok(store, RMT_IO_READONLY);
    assert_true(io->readonly);
    assert_true(write_one(io, "x", 1, 0) < 0);
    assert_int_equal(io->ops->grow(io, 8192), -EROFS);
    rmt_io_close(io);
    assert_int_equal(stat(store, &after), 0);
    assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(after.st_size, 3);
}

/* A filesystem of one MiB of this child's own, over the folder. */
static void mount_small_disk(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", folder, "tmpfs", 0, "size=1m") < 0)
        _exit(SKIPPED);
}

static void uses_a_read_only_filesystem(void)
{
    mount_small_disk();
    struct rmt_io *io = NULL;
    child_assert(rmt_io_file_open(store, 0, 0644, &io) == 0);
    child_assert(io->ops->grow(io, 4096) == 0);
    rmt_io_close(io);
    child_assert(mount("none", folder, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m") == 0);

    void *mem = NULL;
    child_assert(rmt_io_file_open(store, 0, 0644, &io) == -EROFS);
    child_assert(rmt_io_file_open(store, RMT_IO_READONLY, 0644, &io) == 0);
    child_assert(io->ops->shared(io, 4096, &mem) == 0);
    memset(mem, 1, 4096);
    rmt_io_close(io);
}

static void reads_on_a_read_only_filesystem(void **state)
{
    (void)state;
    in_child(uses_a_read_only_filesystem);
}

static void fills_a_small_disk(void)
{
    mount_small_disk();
    struct rmt_io *io = NULL;
    uint64_t size = 0;
    void *mem = NULL;
    child_assert(rmt_io_file_open(store, 0, 0644, &io) == 0);
    child_assert(io->ops->grow(io, 512 << 10) == 0);
    child_assert(io->ops->grow(io, 2 << 20) == -ENOSPC);
    child_assert(io->ops->size(io, &size) == 0 && size == 512 << 10);
    child_assert(io->ops->shared(io, 2 << 20, &mem) == -ENOSPC);
    child_assert(io->ops->shared(io, 64 << 10, &mem) == 0);
    memset(mem, 1, 64 << 10);
    void *spilled = NULL;
    child_assert(io->ops->spill(io, 2 << 20, &spilled) == -ENOSPC);
    child_assert(io->ops->grow(io, 900 << 10) == 0);
    static uint8_t data[900 << 10];
    child_assert(write_one(io, data, sizeof(data), 0) == 0); /* all of it was allocated */
    rmt_io_close(io);
}

static void a_full_disk_is_met_by_growing_alone(void **state)
{
    (void)state;
    in_child(fills_a_small_disk);
}

static void grows_past_its_limit(void)
{
    struct rmt_io *io = NULL;
    uint64_t size = 0;
    child_assert(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20}) == 0);
    child_assert(rmt_io_file_open(store, 0, 0644, &io) == 0);
    child_assert(io->ops->grow(io, 1 << 20) == 0);
    child_assert(io->ops->grow(io, (1 << 20) + 4096) == -EFBIG); /* and no SIGXFSZ */
    child_assert(io->ops->size(io, &size) == 0 && size == 1 << 20);
    void *mem = NULL;
    child_assert(io->ops->spill(io, 2 << 20, &mem) == -EFBIG);
    rmt_io_close(io);
}

static void a_limit_of_file_size_is_an_error_and_no_signal(void **state)
{
    (void)state;
    in_child(grows_past_its_limit);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i])
            return false;
    }
    return true;
}

static void what_is_spilled_lies_beside_the_store_without_a_name(void **state)
{
    (void)state;
    struct rmt_io *io = open_ok(store, 0);
    uint8_t *mem[2];
    size_t size = 1 << 20;
    for (int i = 0; i < 2; i++) {
        void *p = NULL;
        assert_int_equal(io->ops->spill(io, size, &p), 0);
        mem[i] = p;
        assert_true(all_zero(mem[i], size));
        memset(mem[i], i + 1, size);
    }
    assert_int_equal(mem[0][size - 1], 1);
    assert_int_equal(mem[1][0], 2);
    char command[256];
    (void)snprintf(command, sizeof(command),
                   "test \"$(ls -A '%s' | sort | tr '\\n' ' ')\" = 'store store-lock '", folder);
    assert_int_equal(system(command), 0);
    for (int i = 0; i < 2; i++)
        rmt_reserve_free(mem[i], size);
    rmt_io_close(io);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* The system is given at most so much at once: parts that are cut, and many small ones. */
static void large_writes_are_whole(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    const size_t parts[][2] = {{SIZE, 0}, {1, 0}, {65535, 7}, {65536, 65537}, {1000, 3000}};
    struct rmt_io *io = open_ok(store, 0);
    uint8_t *text = malloc(SIZE), *back = malloc(SIZE);
    assert_true(text && back);
    assert_int_equal(io->ops->grow(io, SIZE + 4096), 0);
    for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
        struct iovec iov[RMT_IOV_MAX];
        size_t at = 0;
        int n = 0;
        for (size_t i = 0; i < SIZE; i++)
            text[i] = (uint8_t)(i * 7 + i / 251 + k);
        for (; at < SIZE && n < RMT_IOV_MAX; at += iov[n++].iov_len)
            iov[n] = (struct iovec){text + at, rmt_min(parts[k][n % 2], SIZE - at)};
        assert_int_equal(io->ops->write(io, iov, n, 4096), 0);
        assert_int_equal(io->ops->read(io, back, at, 4096), 0);
        assert_memory_equal(back, text, at);
    }
    free(text);
    free(back);
    rmt_io_close(io);
}

static void reads_what_was_written(void **state)
{
    (void)state;
    struct rmt_io *io = open_ok(store, 0);
    char buf[16] = {0};
    char text[] = "abcdefgh";
    struct iovec iov[] = {{text, 0}, {text, 3}, {text, 0}, {text + 3, 5}, {text, 0}};
    assert_int_equal(io->ops->grow(io, 4096), 0);
    assert_int_equal(io->ops->write(io, iov, 5, 4088), 0);
    assert_int_equal(io->ops->write(io, iov, 0, 4088), 0);
    io->ops->sync_begin(io, 4096);
    assert_int_equal(io->ops->sync(io), 0);
    io->ops->drop_cache(io);
    assert_int_equal(io->ops->read(io, buf, 8, 4088), 0);
    assert_memory_equal(buf, "abcdefgh", 8);
    assert_int_equal(io->ops->read(io, buf, 8, 4080), 0);
    assert_memory_equal(buf, "\0\0\0\0\0\0\0", 8);
    assert_int_equal(io->ops->read(io, buf, 8, 4089), -ENODATA);
    assert_int_equal(io->ops->read(io, buf, 1, 1 << 20), -ENODATA);
    rmt_io_close(io);
}

static void writes_as_many_pieces_as_promised(void **state)
{
    (void)state;
    static struct iovec iov[RMT_IOV_MAX];
    static uint8_t bytes[RMT_IOV_MAX][100], found[RMT_IOV_MAX][100];
    struct rmt_io *io = open_ok(store, 0);
    for (size_t i = 0; i < RMT_IOV_MAX; i++) {
        memset(bytes[i], (int)(i * 7), 100);
        iov[i] = (struct iovec){bytes[i], 100};
    }
    assert_int_equal(io->ops->grow(io, sizeof(bytes)), 0);
    assert_int_equal(io->ops->write(io, iov, RMT_IOV_MAX, 0), 0);
    assert_int_equal(io->ops->read(io, found, sizeof(found), 0), 0);
    assert_memory_equal(found, bytes, sizeof(bytes));
    rmt_io_close(io);
}

static void never_shrinks(void **state)
{
    (void)state;
    struct rmt_io *io = open_ok(store, 0);
    struct stat st;
    uint64_t size = 0;
    assert_int_equal(io->ops->grow(io, 1 << 20), 0);
    assert_int_equal(io->ops->grow(io, 4096), 0);
    assert_int_equal(io->ops->size(io, &size), 0);
    assert_int_equal(size, 1 << 20);
    assert_int_equal(stat(store, &st), 0);
    assert_true(st.st_blocks * 512 >= 1 << 20);
    assert_int_equal(io->ops->grow(io, UINT64_MAX), -EFBIG);
    assert_int_equal(io->ops->size(io, &size), 0);
    assert_int_equal(size, 1 << 20);
    rmt_io_close(io);
}

static void the_view_follows_the_file(void **state)
{
    (void)state;
    struct rmt_io *io = open_ok(store, 0);
    const uint8_t *view = NULL;
    assert_int_equal(io->ops->map(io, UINT64_C(1) << 60, &view), -ENOMEM);
    assert_int_equal(io->ops->map(io, UINT64_C(1) << 38, &view), 0);
    assert_int_equal(io->ops->grow(io, 8192), 0);
    assert_int_equal(view[8191], 0);
    assert_int_equal(write_one(io, "x", 1, 8191), 0);
    assert_int_equal(view[8191], 'x');
    assert_int_equal(io->ops->grow(io, 1 << 20), 0);
    assert_int_equal(view[(1 << 20) - 1], 0);
    rmt_io_close(io);
}

/* ---- locks and shared memory ----------------------------------------------------------------- */

static void two_handles_exclude_each_other(void **state)
{
    (void)state;
    struct rmt_io *a = open_ok(store, 0), *b = open_ok(store, 0);
    uint64_t far = (UINT64_C(1) << 62) - 1;

    assert_int_equal(lock(a, far, RMT_IO_LOCK_EXCLUSIVE), 0);
    assert_int_equal(lock(a, far, RMT_IO_LOCK_EXCLUSIVE), 0);
    assert_int_equal(lock(b, far, RMT_IO_LOCK_EXCLUSIVE), -EAGAIN);
    assert_int_equal(lock(b, far, RMT_IO_LOCK_SHARED), -EAGAIN);
    assert_int_equal(lock(b, far - 1, RMT_IO_LOCK_EXCLUSIVE), 0);
    assert_int_equal(a->ops->locked(a, far), 0);
    assert_int_equal(b->ops->locked(b, far), 1);

    assert_int_equal(lock(a, far, RMT_IO_LOCK_SHARED), 0); /* replaces */
    assert_int_equal(lock(b, far, RMT_IO_LOCK_SHARED), 0);
    assert_int_equal(a->ops->locked(a, far), 1);
    assert_int_equal(lock(a, far, RMT_IO_LOCK_EXCLUSIVE), -EAGAIN);
    assert_int_equal(lock(b, far, RMT_IO_UNLOCK), 0);
    assert_int_equal(lock(a, far, RMT_IO_LOCK_EXCLUSIVE), 0);
    rmt_io_close(a);
    assert_int_equal(lock(b, far, RMT_IO_LOCK_EXCLUSIVE), 0);
    rmt_io_close(b);
}

static void take_lock_7(struct rmt_io *io)
{
    child_assert(lock(io, 7, RMT_IO_LOCK_EXCLUSIVE) == 0);
}

static void a_dead_owner_holds_nothing(void **state)
{
    (void)state;
    for (int killed = 0; killed < 2; killed++) {
        struct process p = start_process(take_lock_7, store);
        struct rmt_io *io = open_ok(store, 0);
        assert_int_equal(lock(io, 7, RMT_IO_LOCK_EXCLUSIVE), -EAGAIN);
        assert_int_equal(io->ops->locked(io, 7), 1);
        end_process(p, killed);
        assert_int_equal(io->ops->locked(io, 7), 0);
        assert_int_equal(io->ops->lock(io, 7, RMT_IO_LOCK_EXCLUSIVE, true), 0);
        rmt_io_close(io);
    }
}

static void *waiter(void *ctx)
{
    struct rmt_io *io = ctx;
    return io->ops->lock(io, 7, RMT_IO_LOCK_EXCLUSIVE, true) == 0 ? NULL : ctx;
}

static void waits_until_the_owner_dies(void **state)
{
    (void)state;
    struct process p = start_process(take_lock_7, store);
    struct rmt_io *io = open_ok(store, 0);
    pthread_t thread;
    void *failed = NULL;
    assert_int_equal(pthread_create(&thread, NULL, waiter, io), 0);
    end_process(p, true);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    rmt_io_close(io);
}

static void write_shared(struct rmt_io *io)
{
    void *mem = NULL;
    child_assert(io->ops->shared(io, 100000, &mem) == 0);
    char *text = mem;
    child_assert(text[0] == 0 && text[99999] == 0);
    memcpy(text + 5000, "hello", 5);
}

static void processes_share_memory_that_outlives_them(void **state)
{
    (void)state;
    struct process p = start_process(write_shared, store);
    struct rmt_io *io = open_ok(store, 0);
    void *mem = NULL;
    assert_int_equal(io->ops->shared(io, 100000, &mem), 0);
    assert_memory_equal((char *)mem + 5000, "hello", 5);
    end_process(p, true);
    assert_int_equal(io->ops->grow(io, 4096), 0);
    rmt_io_close(io);

    io = open_ok(store, 0);
    assert_int_equal(io->ops->shared(io, 100000, &mem), 0);
    assert_memory_equal((char *)mem + 5000, "hello", 5);
    struct stat st;
    assert_int_equal(stat(lock_file, &st), 0);
    assert_true(st.st_blocks * 512 >= 100000);
    rmt_io_close(io);
}

static void a_forked_child_has_nothing(void **state)
{
    (void)state;
    struct rmt_io *io = open_ok(store, 0);
    assert_int_equal(io->ops->grow(io, 4096), 0);
    assert_int_equal(lock(io, 7, RMT_IO_LOCK_EXCLUSIVE), 0);
    int down[2];
    assert_int_equal(pipe(down), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        char c = 0;
        (void)close(down[1]);
        child_assert(io->ops->read(io, &c, 1, 0) == RAMET_EFORKED);
        child_assert(write_one(io, &c, 1, 0) == RAMET_EFORKED);
        child_assert(io->ops->sync(io) == RAMET_EFORKED);
        child_assert(io->ops->grow(io, 8192) == RAMET_EFORKED);
        child_assert(lock(io, 7, RMT_IO_UNLOCK) == RAMET_EFORKED);
        child_assert(io->ops->locked(io, 7) == RAMET_EFORKED);
        child_assert(read(down[0], &c, 1) == 1); /* until the parent has let go */
        struct rmt_io *own = NULL;
        child_assert(rmt_io_file_open(store, 0, 0644, &own) == 0);
        child_assert(lock(own, 7, RMT_IO_LOCK_EXCLUSIVE) == -EAGAIN);
        rmt_io_close(io);
        child_assert(lock(own, 7, RMT_IO_LOCK_EXCLUSIVE) == -EAGAIN); /* still the parent's */
        rmt_io_close(own);
        (void)read(down[0], &c, 1);
        _exit(0);
    }
    struct rmt_io *other = open_ok(store, 0);
    assert_int_equal(lock(other, 7, RMT_IO_LOCK_EXCLUSIVE), -EAGAIN);
    assert_int_equal(write(down[1], "x", 1), 1);
    assert_int_equal(close(down[1]), 0);
    finish_child(child);
    rmt_io_close(io);
    assert_int_equal(lock(other, 7, RMT_IO_LOCK_EXCLUSIVE), 0);
    rmt_io_close(other);
}

static void fork_and_wait(struct rmt_io *io)
{
    child_assert(lock(io, 7, RMT_IO_LOCK_EXCLUSIVE) == 0);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, 0);
        while (getppid() == parent)
            (void)sched_yield();
        (void)pause(); /* killed by the test: it leads its own group */
    }
    (void)setpgid(child, child);
    void *mem = NULL;
    child_assert(io->ops->shared(io, 4096, &mem) == 0);
    memcpy(mem, &child, sizeof(child));
}

static void locks_fall_with_their_owner_though_its_child_lives(void **state)
{
    (void)state;
    struct process p = start_process(fork_and_wait, store);
    struct rmt_io *io = open_ok(store, 0);
    void *mem = NULL;
    pid_t grandchild = 0;
    assert_int_equal(io->ops->shared(io, 4096, &mem), 0);
    memcpy(&grandchild, mem, sizeof(grandchild));
    assert_int_equal(lock(io, 7, RMT_IO_LOCK_EXCLUSIVE), -EAGAIN);
    end_process(p, true);
    /* The child gives them up as soon as it runs for the first time. */
    int rc = -EAGAIN;
    for (int i = 0; i < 10000 && rc == -EAGAIN; i++) {
        rc = lock(io, 7, RMT_IO_LOCK_EXCLUSIVE);
        (void)usleep(1000);
    }
    assert_int_equal(kill(grandchild, SIGKILL), 0);
    assert_int_equal(rc, 0);
    rmt_io_close(io);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void knows_time_and_chance(void **state)
{
    (void)state;
    struct rmt_io *a = open_ok(store, 0), *b = open_ok(store, 0);
    uint8_t boot_a[16], boot_b[16], random_a[300] = {0}, random_b[300] = {0};
    static const uint8_t none[16];
    a->ops->boot_id(a, boot_a);
    b->ops->boot_id(b, boot_b);
    assert_memory_equal(boot_a, boot_b, 16);
    assert_memory_not_equal(boot_a, none, 16);
    a->ops->random(a, random_a, sizeof(random_a));
    a->ops->random(a, random_b, sizeof(random_b));
    assert_memory_not_equal(random_a, random_b, sizeof(random_a));
    uint64_t before = a->ops->clock_ms(a);
    assert_true(b->ops->clock_ms(b) >= before);
    assert_true(a->ops->time_us(a) > INT64_C(1600000000000000));
    rmt_io_close(a);
    rmt_io_close(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(makes_the_store_and_its_lock_file),
        TEST(refuses_what_the_flags_forbid),
        TEST(refuses_what_is_not_a_file),
        TEST(takes_an_empty_file_for_a_new_store),
        TEST(removes_what_it_made_and_left_empty),
        TEST(removes_what_it_made_and_could_not_lock),
        TEST(the_lock_file_has_the_permissions_of_the_store),
        TEST(follows_links_to_the_file_itself),
        TEST(refuses_a_second_lock_file),
        TEST(opens_and_closes_at_once),
        TEST(a_reader_needs_no_permission_to_write),
        TEST(says_which_lock_file_cannot_be_written),
        TEST(writers_and_readers_without_a_lock_file_exclude_each_other),
        TEST(a_reader_writes_nothing),
        TEST(reads_on_a_read_only_filesystem),
        TEST(a_full_disk_is_met_by_growing_alone),
        TEST(a_limit_of_file_size_is_an_error_and_no_signal),
        TEST(what_is_spilled_lies_beside_the_store_without_a_name),
        TEST(reads_what_was_written),
        TEST(large_writes_are_whole),
        TEST(writes_as_many_pieces_as_promised),
        TEST(never_shrinks),
        TEST(the_view_follows_the_file),
        TEST(two_handles_exclude_each_other),
        TEST(a_dead_owner_holds_nothing),
        TEST(waits_until_the_owner_dies),
        TEST(processes_share_memory_that_outlives_them),
        TEST(a_forked_child_has_nothing),
        TEST(locks_fall_with_their_owner_though_its_child_lives),
        TEST(knows_time_and_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
