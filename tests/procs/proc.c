/* SPDX-License-Identifier: MIT */
#include "procs/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/args.h"
#include "store/store.h"

/* ---- an io that ends its process ------------------------------------------------------------- */

struct mortal {
    struct rmt_io io;
    struct rmt_io *real; /* owned */
};

static _Atomic uint64_t ops_left = UINT64_MAX;
static enum death last_op;

void proc_die_at(uint64_t op, enum death how)
{
    last_op = how;
    atomic_store(&ops_left, op);
}

static struct rmt_io *real(struct rmt_io *io)
{
    return ((struct mortal *)io)->real;
}

static bool is_last(void)
{
    return atomic_load(&ops_left) != UINT64_MAX && atomic_fetch_sub(&ops_left, 1) == 0;
}

static _Noreturn void die(void)
{
    (void)raise(SIGKILL);
    abort();
}

static void mortal_close(struct rmt_io *io)
{
    rmt_io_close(real(io));
    free(io);
}

static int mortal_read(struct rmt_io *io, void *buf, size_t len, uint64_t off)
{
    return real(io)->ops->read(real(io), buf, len, off);
}

static int mortal_write(struct rmt_io *io, struct iovec *iov, int count, uint64_t off)
{
    bool last = is_last();
    if (last && last_op == DIES_BEFORE)
        die();
    if (last && last_op == DIES_WITHIN) {
        size_t len = 0;
        for (int i = 0; i < count; i++)
            len += iov[i].iov_len;
        len = len / 2 / RMT_SECTOR_SIZE * RMT_SECTOR_SIZE;
        for (int i = 0; i < count; i++) {
            iov[i].iov_len = rmt_min(iov[i].iov_len, len);
            len -= iov[i].iov_len;
        }
    }
    int rc = real(io)->ops->write(real(io), iov, count, off);
    if (last)
        die();
    return rc;
}

static int mortal_sync(struct rmt_io *io)
{
    bool last = is_last();
    if (last && last_op != DIES_AFTER)
        die();
    int rc = real(io)->ops->sync(real(io));
    if (last)
        die();
    return rc;
}

static int mortal_size(struct rmt_io *io, uint64_t *out)
{
    return real(io)->ops->size(real(io), out);
}

static int mortal_grow(struct rmt_io *io, uint64_t size)
{
    bool last = is_last();
    if (last && last_op == DIES_BEFORE)
        die();
    int rc = real(io)->ops->grow(real(io), size);
    if (last)
        die();
    return rc;
}

static int mortal_map(struct rmt_io *io, uint64_t reserve, const uint8_t **out)
{
    return real(io)->ops->map(real(io), reserve, out);
}

static void mortal_drop_cache(struct rmt_io *io)
{
    real(io)->ops->drop_cache(real(io));
}

static int mortal_shared(struct rmt_io *io, size_t size, void **out)
{
    return real(io)->ops->shared(real(io), size, out);
}

static int mortal_lock(struct rmt_io *io, uint64_t byte, enum rmt_io_lock how, bool wait)
{
    return real(io)->ops->lock(real(io), byte, how, wait);
}

static int mortal_locked(struct rmt_io *io, uint64_t byte)
{
    return real(io)->ops->locked(real(io), byte);
}

static void mortal_wait(struct rmt_io *io, _Atomic uint32_t *word, uint32_t expected, uint32_t ms)
{
    real(io)->ops->wait(real(io), word, expected, ms);
}

static void mortal_wake(struct rmt_io *io, _Atomic uint32_t *word)
{
    real(io)->ops->wake(real(io), word);
}

static void mortal_boot_id(struct rmt_io *io, uint8_t out[16])
{
    real(io)->ops->boot_id(real(io), out);
}

static uint64_t mortal_clock_ms(struct rmt_io *io)
{
    return real(io)->ops->clock_ms(real(io));
}

static int64_t mortal_time_us(struct rmt_io *io)
{
    return real(io)->ops->time_us(real(io));
}

static void mortal_random(struct rmt_io *io, void *buf, size_t len)
{
    real(io)->ops->random(real(io), buf, len);
}

static void mortal_sync_begin(struct rmt_io *io, uint64_t off)
{
    real(io)->ops->sync_begin(real(io), off);
}

static const struct rmt_io_ops mortal_ops = {
    .close = mortal_close,
    .read = mortal_read,
    .write = mortal_write,
    .sync = mortal_sync,
    .sync_begin = mortal_sync_begin,
    .size = mortal_size,
    .grow = mortal_grow,
    .map = mortal_map,
    .drop_cache = mortal_drop_cache,
    .shared = mortal_shared,
    .lock = mortal_lock,
    .locked = mortal_locked,
    .wait = mortal_wait,
    .wake = mortal_wake,
    .boot_id = mortal_boot_id,
    .clock_ms = mortal_clock_ms,
    .time_us = mortal_time_us,
    .random = mortal_random,
};

int proc_open(const char *path, int durability, struct ramet_store **out)
{
    struct ramet_options options = {.size = sizeof(options), .durability = durability};
    struct mortal *m = calloc(1, sizeof(*m));
    rmt_assert(m != NULL);
    int rc = rmt_io_file_open(path, 0, 0644, &m->real);
    if (rc < 0) {
        free(m);
        return rc;
    }
    m->io = *m->real;
    m->io.ops = &mortal_ops;
    return rmt_store_open_io(&m->io, &options, out);
}

/* ---- processes ------------------------------------------------------------------------------- */

pid_t proc_fork(void)
{
    (void)fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        fatal("cannot fork: errno %d", errno);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return pid;
}

bool proc_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            fatal("cannot wait for a child: errno %d", errno);
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fatal("a child ended with status %#x", (unsigned)status);
    return false;
}

bool proc_do(void (*fn)(void *ctx), void *ctx)
{
    pid_t pid = proc_fork();
    if (pid == 0) {
        fn(ctx);
        exit(0);
    }
    return proc_wait(pid);
}

void *proc_share(size_t size)
{
    void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED)
        fatal("no memory to share");
    return mem;
}

void turn_next(struct turn *turn)
{
    atomic_fetch_add(&turn->at, 1);
    (void)syscall(SYS_futex, &turn->at, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

void turn_wait(struct turn *turn, unsigned at)
{
    unsigned now;
    while ((now = atomic_load(&turn->at)) < at)
        (void)syscall(SYS_futex, &turn->at, FUTEX_WAIT, now, NULL, NULL, 0);
}
