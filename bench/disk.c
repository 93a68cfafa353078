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

static const char *version(void)
{
    return "pwrite, fdatasync";
}

static void write_page(struct peer *peer, uint32_t n)
{
    static uint8_t page[PAGE];
    page[0]++;
    if (pwrite(peer->fd, page, PAGE, (off_t)(n % PAGES) * PAGE) != PAGE)
        die("disk: %s", strerror(errno));
}

static void flush(struct peer *peer)
{
    if (fdatasync(peer->fd) < 0)
        die("disk: %s", strerror(errno));
}

static struct peer *disk_open(const char *path, uint64_t bytes_max, bool durable)
{
    struct peer *peer = allocate(sizeof(*peer));
    (void)bytes_max;
    (void)durable;
    peer->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (peer->fd < 0)
        die("disk: %s: %s", path, strerror(errno));
    for (uint32_t n = 0; n < PAGES; n++)
        write_page(peer, n);
    flush(peer);
    return peer;
}

static void disk_close(struct peer *peer)
{
    (void)close(peer->fd);
    free(peer);
}

static void disk_load(struct peer *peer, const struct load *load)
{
    for (size_t i = 0; i < load->count; i += load->batch) {
        write_page(peer, load->order[i]);
        flush(peer);
    }
}

const struct peer_ops peer_disk = {
    .name = "disk",
    .version = version,
    .open = disk_open,
    .close = disk_close,
    .load = disk_load,
};
