/* SPDX-License-Identifier: MIT */
/* event.c - descriptors by which a thread tells others something: eventfd(2). */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/io.h"

int rmt_event_new(int *out)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return rmt_fail(-errno, "cannot make a descriptor to wait on");
    *out = fd;
    return 0;
}

void rmt_event_free(int fd)
{
    (void)close(fd);
}

void rmt_event_set(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof(one)); /* EAGAIN: it was set 2^64 - 2 times */
    (void)n;
}

void rmt_event_clear(int fd)
{
    uint64_t times;
    ssize_t n = read(fd, &times, sizeof(times)); /* EAGAIN: it was not set */
    (void)n;
}

int rmt_event_wait(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, ms);
    if (n < 0)
        return rmt_fail(-errno, "waiting for a branch to change");
    return n;
}
