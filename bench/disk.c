/* SPDX-License-Identifier: MIT */
/* disk.c - no store at all: a page written where one was before, and a flush. The least that a
 * durable commit can cost on this disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define PAGE 4096
#define PAGES 4096u

struct peer {
    int fd;
};

struct session {
    int fd;
};

static const char *version(void)
{
    return "pwrite, fdatasync";
}

static void write_page(int fd, uint32_t n)
{
    static _Thread_local uint8_t page[PAGE];
    page[0]++;
    if (pwrite(fd, page, PAGE, (off_t)(n % PAGES) * PAGE) != PAGE)
        die("disk: %s", strerror(errno));
}

static void flush(int fd)
{
    if (fdatasync(fd) < 0)
        die("disk: %s", strerror(errno));
}

static struct peer *disk_open(const char *path, const struct setup *setup)
{
    struct peer *peer = allocate(sizeof(*peer));
    (void)setup;
    peer->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (peer->fd < 0)
        die("disk: %s: %s", path, strerror(errno));
    for (uint32_t n = 0; n < PAGES; n++)
        write_page(peer->fd, n);
    flush(peer->fd);
    return peer;
}

static void disk_close(struct peer *peer)
{
    (void)close(peer->fd);
    free(peer);
}

static struct session *session_open(struct peer *peer, unsigned line)
{
    struct session *s = allocate(sizeof(*s));
    (void)line;
    s->fd = peer->fd;
    return s;
}

static void session_close(struct session *s)
{
    free(s);
}

static void disk_load(struct session *s, const struct load *load)
{
    for (size_t i = 0; i < load->count; i += load->batch) {
        write_page(s->fd, load->order[i]);
        flush(s->fd);
    }
}

const struct peer_ops peer_disk = {
    .name = "disk",
    .version = version,
    .open = disk_open,
    .close = disk_close,
    .session_open = session_open,
    .session_close = session_close,
    .load = disk_load,
};
