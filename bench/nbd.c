/* SPDX-License-Identifier: MIT */
/*
 * nbd.c - disks over NBD: nbdkit with ramet's plugin, beside nbdkit's file plugin on a raw file and
 * qemu-nbd on qcow2 images, all with the same data.
 *
 * Each server is a process, with one connection that stays open; they take turns, so that all see
 * the same machine. The client is libnbd.
 */
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <ramet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alone.h"
#include "bench.h"

#define PAGE 4096u
#define LARGE ((size_t)1 << 20) /* a sequential request */
#define IN_FLIGHT 16
#define LEVEL_WRITES 64 /* scattered pages that each clone of a chain has of its own */
#define TURNS 9
#define PATH_SIZE 4400

/* ---- programs -------------------------------------------------------------------------------- */

static void check_nbd(int64_t rc)
{
    if (rc < 0)
        die("%s", nbd_get_error());
}

/* Its words, and NULL behind them. */
static pid_t start(const char *program, ...)
{
    const char *words[16] = {program};
    size_t n = 0;
    va_list args;
    va_start(args, program);
    while (words[n] && n < 15)
        words[++n] = va_arg(args, const char *);
    va_end(args);
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)execvp(program, (char *const *)(uintptr_t)words);
    (void)fprintf(stderr, "%s: %s\n", program, strerror(errno));
    _exit(127);
}

static void finish(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, 0) < 0 || status != 0)
        die("a program of the bench failed: %d", status);
}

bool nbd_servers_there(void)
{
    return system(
               "(nbdkit --version && qemu-nbd --version && qemu-img --version) >/dev/null 2>&1") ==
           0;
}

/* ---- servers --------------------------------------------------------------------------------- */

struct server {
    pid_t pid;
    char socket[PATH_SIZE];
    struct nbd_handle *nbd;
};

static struct nbd_handle *connect_to(const char *socket, const char *export)
{
    for (int tries = 0;; tries++) {
        struct nbd_handle *nbd = nbd_create();
        if (!nbd)
            die("%s", nbd_get_error());
        check_nbd(nbd_set_export_name(nbd, export));
        if (nbd_connect_unix(nbd, socket) == 0)
            return nbd;
        if (tries == 500) /* 5 s */
            die("%s", nbd_get_error());
        nbd_close(nbd);
        struct timespec pause = {0, 10 * 1000 * 1000};
        (void)nanosleep(&pause, NULL);
    }
}

static void serve_name(struct server *s, const char *path, const char *name)
{
    (void)snprintf(s->socket, sizeof(s->socket), "%.4200s.%s.sock", path, name);
}

static void overlay_path(char *out, const char *path, const char *name)
{
    (void)snprintf(out, PATH_SIZE, "%.4200s.%s.qcow2", path, name);
}

static void serve_ramet(struct server *s, const char *path, const char *branch)
{
    serve_name(s, path, branch);
    char of[64];
    (void)snprintf(of, sizeof(of), "branch=%s", branch);
    s->pid = start("nbdkit", "-f", "-U", s->socket, NBDKIT_PLUGIN, path, "disk=image", of, NULL);
    s->nbd = connect_to(s->socket, "");
}

static void serve_file(struct server *s, const char *path, const char *file)
{
    serve_name(s, path, "file");
    s->pid = start("nbdkit", "-f", "-U", s->socket, "file", file, NULL);
    s->nbd = connect_to(s->socket, "");
}

/* Without these it gives memory back to the kernel, and faults it in again, time and again. */
static void serve_qcow2(struct server *s, const char *path, const char *name, bool readonly)
{
    char file[PATH_SIZE];
    serve_name(s, path, name);
    overlay_path(file, path, name);
    (void)setenv("MALLOC_MMAP_THRESHOLD_", "134217728", 1);
    (void)setenv("MALLOC_TRIM_THRESHOLD_", "1073741824", 1);
    s->pid = start("qemu-nbd", "--persistent", "--cache=writeback", "-f", "qcow2", "-k", s->socket,
                   file, readonly ? "--read-only" : NULL, NULL);
    (void)unsetenv("MALLOC_MMAP_THRESHOLD_");
    (void)unsetenv("MALLOC_TRIM_THRESHOLD_");
    s->nbd = connect_to(s->socket, "");
}

static void stop(struct server *s)
{
    int status;
    if (s->nbd)
        (void)nbd_shutdown(s->nbd, 0);
    nbd_close(s->nbd); /* NULL: nothing */
    (void)kill(s->pid, SIGTERM);
    (void)waitpid(s->pid, &status, 0);
    (void)unlink(s->socket);
}

/* ---- requests -------------------------------------------------------------------------------- */

enum what { READ, WRITE };

struct slot {
    bool busy;
    uint8_t *buf;
};

static int done(void *ctx, int *error)
{
    struct slot *slot = ctx;
    if (*error)
        die("a request failed: %s", strerror(*error));
    slot->busy = false;
    return 1;
}

static void request(struct nbd_handle *nbd, enum what what, struct slot *slot, size_t len,
                    uint64_t off)
{
    nbd_completion_callback callback = {.callback = done, .user_data = slot};
    slot->busy = true;
    if (what == READ)
        check_nbd(nbd_aio_pread(nbd, slot->buf, len, off, callback, 0));
    else
        check_nbd(nbd_aio_pwrite(nbd, slot->buf, len, off, callback, 0));
}

static void make_slots(struct slot *slots)
{
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        slots[i] = (struct slot){false, allocate(LARGE)};
        for (size_t b = 0; b < LARGE; b++)
            slots[i].buf[b] = (uint8_t)(b * 7 + i + b / PAGE + 1);
    }
}

static void free_slots(struct slot *slots)
{
    for (size_t i = 0; i < IN_FLIGHT; i++)
        free(slots[i].buf);
}

/* So many requests, depth of them at a time; at random, or one behind the other. ns for each. */
static double requests_ns(struct nbd_handle *nbd, enum what what, struct slot *slots, size_t depth,
                          size_t count, size_t len, uint64_t bytes, bool scattered)
{
    size_t started = 0, flying = 0;
    uint64_t since = now_ns();
    do {
        flying = 0;
        for (size_t i = 0; i < depth; i++) {
            if (!slots[i].busy && started < count) {
                uint64_t at = scattered ? some(bytes / len) : started % (bytes / len);
                request(nbd, what, &slots[i], len, at * len);
                started++;
            }
            flying += slots[i].busy;
        }
        if (flying)
            check_nbd(nbd_poll(nbd, -1));
    } while (started < count || flying);
    return (double)(now_ns() - since) / (double)count;
}

/* ---- images ---------------------------------------------------------------------------------- */

/* Reads what was made for ramet, and writes it to a file. */
static void write_raw(struct nbd_handle *from, const char *file, uint64_t bytes)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t *buf = allocate(LARGE);
    for (uint64_t off = 0; off < bytes; off += LARGE) {
        check_nbd(nbd_pread(from, buf, LARGE, off, 0));
        if (fd < 0 || pwrite(fd, buf, LARGE, (off_t)off) != (ssize_t)LARGE)
            die("%s: %s", file, strerror(errno));
    }
    if (fsync(fd) < 0 || close(fd) < 0)
        die("%s: %s", file, strerror(errno));
    free(buf);
}

static void level_writes(struct nbd_handle *nbd, uint64_t bytes)
{
    uint8_t page[PAGE];
    memset(page, 9, sizeof(page));
    for (size_t i = 0; i < LEVEL_WRITES; i++)
        check_nbd(nbd_pwrite(nbd, page, PAGE, some(bytes / PAGE) * PAGE, 0));
    check_nbd(nbd_flush(nbd, 0));
}

static void make_overlay(const char *path, const char *name, const char *backing)
{
    char file[PATH_SIZE], below[PATH_SIZE];
    overlay_path(file, path, name);
    overlay_path(below, path, backing);
    finish(
        start("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", below, file, NULL));
}

/* A chain of overlays: q0, which has the data, to q<depth>. */
static void make_overlays(const char *path, const char *raw, unsigned depth, uint64_t bytes)
{
    char name[16], before[16], file[PATH_SIZE];
    overlay_path(file, path, "q0");
    finish(start("qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", raw, file, NULL));
    for (unsigned i = 1; i <= depth; i++) {
        struct server s;
        (void)snprintf(before, sizeof(before), "q%u", i - 1);
        (void)snprintf(name, sizeof(name), "q%u", i);
        make_overlay(path, name, before);
        serve_qcow2(&s, path, name, false);
        level_writes(s.nbd, bytes);
        stop(&s);
    }
}

/* The same of branches: c1 to c<depth>. */
static void make_clones(struct ramet_store *store, unsigned depth, uint64_t bytes)
{
    char name[16], before[16] = "main";
    for (unsigned i = 1; i <= depth; i++) {
        (void)snprintf(name, sizeof(name), "c%u", i);
        write_pages(store, name, before, bytes, LEVEL_WRITES);
        (void)snprintf(before, sizeof(before), "%s", name);
    }
}

static void remove_images(const char *path, unsigned depth)
{
    char name[16], file[PATH_SIZE];
    for (unsigned i = 0; i <= depth; i++) {
        (void)snprintf(name, sizeof(name), "q%u", i);
        overlay_path(file, path, name);
        (void)unlink(file);
    }
    files_remove(path);
}

/* ---- what is measured ------------------------------------------------------------------------ */

/* Turn by turn; who begins changes. */
static void compare_reads(struct server *servers, size_t depth, struct slot *slots, size_t count,
                          uint64_t bytes, struct result *out)
{
    double ns[NBD_SERVERS][TURNS];
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < NBD_SERVERS; i++) {
            size_t s = (i + turn) % NBD_SERVERS;
            ns[s][turn] = requests_ns(servers[s].nbd, READ, slots, depth, count, PAGE, bytes, true);
        }
    }
    for (size_t s = 0; s < NBD_SERVERS; s++)
        wall(&out[s], median(ns[s], TURNS));
}

static double write_all_ns(struct nbd_handle *nbd, struct slot *slots, uint64_t bytes)
{
    uint64_t since = now_ns();
    (void)requests_ns(nbd, WRITE, slots, 4, bytes / LARGE, LARGE, bytes, false);
    check_nbd(nbd_flush(nbd, 0));
    return (double)(now_ns() - since) / (double)(bytes / LARGE);
}

/* Reads and writes of 1 MiB, 4 at a time, from the beginning to the end: the file, then ramet. */
static void compare_sequential(const struct server *servers, struct slot *slots, uint64_t bytes,
                               struct result *out)
{
    double reads[2][5], writes[2][5];
    for (size_t turn = 0; turn < 5; turn++) {
        for (size_t i = 0; i < 2; i++) {
            size_t s = (i + turn) % 2;
            reads[s][turn] =
                requests_ns(servers[s].nbd, READ, slots, 4, bytes / LARGE, LARGE, bytes, false);
            writes[s][turn] = write_all_ns(servers[s].nbd, slots, bytes);
        }
    }
    for (size_t s = 0; s < 2; s++) {
        wall(&out[s], median(reads[s], 5));
        wall(&out[2 + s], median(writes[s], 5));
    }
}

static double flushed_ns(struct nbd_handle *nbd, struct slot *slots, size_t count, uint64_t bytes)
{
    uint64_t since = now_ns();
    for (size_t i = 0; i < count; i++) {
        check_nbd(nbd_pwrite(nbd, slots[i % IN_FLIGHT].buf, PAGE, some(bytes / PAGE) * PAGE, 0));
        check_nbd(nbd_flush(nbd, 0));
    }
    return (double)(now_ns() - since) / (double)count;
}

/* Scattered pages of a fresh clone, or of a fresh overlay, with a flush each or without one. */
static double fresh_ns(const char *path, struct ramet_store *store, bool ours, bool flushes,
                       struct slot *slots, uint64_t bytes)
{
    size_t count = flushes ? 300 : bytes / PAGE / 16;
    char file[PATH_SIZE];
    struct server s;
    if (ours) {
        must(ramet_branch_create(store, "fresh", "main"));
        serve_ramet(&s, path, "fresh");
    } else {
        make_overlay(path, "fresh", "q0");
        serve_qcow2(&s, path, "fresh", false);
    }
    double ns = flushes ? flushed_ns(s.nbd, slots, bytes < (64u << 20) ? 20 : count, bytes)
                        : requests_ns(s.nbd, WRITE, slots, 1, count, PAGE, bytes, true);
    stop(&s);
    overlay_path(file, path, "fresh");
    if (ours)
        must(ramet_branch_delete(store, "fresh"));
    else
        (void)unlink(file);
    return ns;
}

static void compare_clones(const char *path, struct ramet_store *store, struct slot *slots,
                           uint64_t bytes, struct result *out)
{
    double ns[4][3];
    for (size_t turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < 4; i++) {
            size_t which = (i + turn) % 4; /* two without flushes, two with */
            ns[which][turn] = fresh_ns(path, store, which % 2 == 0, which / 2, slots, bytes);
        }
    }
    for (size_t i = 0; i < 4; i++)
        wall(&out[i], median(ns[i], 3));
}

void nbd_measure(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    bool small = b->bytes < (64u << 20);
    const unsigned depth = small ? 12 : 1000, overlays = small ? 11 : 50;
    size_t count = small ? 50 : 1000;
    struct server servers[NBD_SERVERS];
    struct slot slots[IN_FLIGHT];
    char raw[PATH_SIZE], name[16];
    (void)snprintf(raw, sizeof(raw), "%s.raw", b->path);
    struct ramet_store *store = open_unflushed(b->path);
    make_image(store, b->bytes, b->bytes);
    make_clones(store, depth, b->bytes);
    make_slots(slots);

    serve_ramet(&servers[1], b->path, "main");
    write_raw(servers[1].nbd, raw, b->bytes);
    make_overlays(b->path, raw, overlays, b->bytes);
    serve_file(&servers[0], b->path, raw);
    serve_ramet(&servers[2], b->path, "c10");
    (void)snprintf(name, sizeof(name), "c%u", overlays);
    serve_ramet(&servers[3], b->path, name);
    (void)snprintf(name, sizeof(name), "c%u", depth);
    serve_ramet(&servers[4], b->path, name);
    serve_qcow2(&servers[5], b->path, "q0", true);
    serve_qcow2(&servers[6], b->path, "q10", true);
    (void)snprintf(name, sizeof(name), "q%u", overlays);
    serve_qcow2(&servers[7], b->path, name, true);
    for (size_t s = 0; s < NBD_SERVERS; s++) /* warm */
        (void)requests_ns(servers[s].nbd, READ, slots, 4, b->bytes / LARGE, LARGE, b->bytes, false);
    compare_reads(servers, 1, slots, count, b->bytes, out);
    compare_reads(servers, IN_FLIGHT, slots, 4 * count, b->bytes, out + NBD_SERVERS);
    for (size_t s = 2; s < NBD_SERVERS; s++)
        stop(&servers[s]);
    out += 2 * NBD_SERVERS;
    compare_clones(b->path, store, slots, b->bytes, out + 4);
    compare_sequential(servers, slots, b->bytes, out);
    stop(&servers[0]);
    stop(&servers[1]);
    ramet_close(store);
    free_slots(slots);
    (void)unlink(raw);
    remove_images(b->path, overlays);
}

/* ---- a template and its clones --------------------------------------------------------------- */

static int count_branch(void *ctx, const struct ramet_branch_info *info)
{
    (void)info;
    ++*(size_t *)ctx;
    return 0;
}

static void clone_name(char *out, size_t size, size_t i)
{
    (void)snprintf(out, size, "clone-%05zu", i);
}

static double since_ns(uint64_t *since)
{
    uint64_t now = now_ns();
    double ns = (double)(now - *since);
    *since = now;
    return ns;
}

/* By one server, a connection each: a page is written, read, and flushed when the client goes. */
static void use_clones(const char *path, size_t clones, uint64_t bytes)
{
    struct server s = {0};
    char export[40], name[16];
    uint8_t page[PAGE], back[PAGE];
    serve_name(&s, path, "clones");
    s.pid = start("nbdkit", "-f", "-U", s.socket, NBDKIT_PLUGIN, path, NULL);
    for (size_t i = 0; i < clones; i++) {
        clone_name(name, sizeof(name), i);
        (void)snprintf(export, sizeof(export), "image@%s", name);
        struct nbd_handle *nbd = connect_to(s.socket, export);
        uint64_t off = some(bytes / PAGE) * PAGE;
        memset(page, (int)(i % 255 + 1), sizeof(page));
        check_nbd(nbd_pwrite(nbd, page, PAGE, off, 0));
        check_nbd(nbd_pread(nbd, back, PAGE, off, 0));
        if (memcmp(page, back, PAGE) != 0)
            die("clone %zu has something else than was written", i);
        check_nbd(nbd_shutdown(nbd, 0));
        nbd_close(nbd);
    }
    stop(&s);
}

void nbd_clones(const void *branching, struct result *out)
{
    const struct branching *b = branching;
    size_t clones = b->bytes < (64u << 20) ? 20 : 10000, listed = 0;
    struct ramet_options durable = {.size = sizeof(durable)};
    struct ramet_store *store;
    char name[16];
    must(ramet_open(b->path, &durable, &store));
    make_image(store, b->bytes, b->bytes);
    uint64_t first = now_ns(), since = first;
    for (size_t i = 0; i < clones; i++) {
        clone_name(name, sizeof(name), i);
        must(ramet_branch_create(store, name, "main"));
    }
    wall(&out[0], since_ns(&since) / (double)clones);
    use_clones(b->path, clones, b->bytes);
    wall(&out[1], since_ns(&since) / (double)clones);
    must(ramet_branch_list(store, count_branch, &listed));
    if (listed != clones + 1)
        die("there are %zu branches", listed);
    wall(&out[2], since_ns(&since) / (double)clones);
    for (size_t i = 0; i < clones; i++) {
        clone_name(name, sizeof(name), i);
        must(ramet_branch_delete(store, name));
    }
    wall(&out[3], since_ns(&since) / (double)clones);
    wall(&out[4], (double)(since - first));
    ramet_close(store);
    files_remove(b->path);
}
