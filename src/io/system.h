/* SPDX-License-Identifier: MIT */
/*
 * system.h - the system calls that file.c and memory.c share: a descriptor's bytes, clock, rand.
 *
 * @name is what messages call the descriptor. Functions return 0 or a code, as those of io.h do.
 */
#ifndef RMT_SYSTEM_H
#define RMT_SYSTEM_H

#include "io/io.h"

int rmt_system_read(int fd, const char *name, void *buf, size_t len, uint64_t off);
int rmt_system_write(int fd, const char *name, struct iovec *iov, int count, uint64_t off);
int rmt_system_size(int fd, const char *name, uint64_t *out);
/* The caller sees to it that nobody else grows the file meanwhile. */
int rmt_system_grow(int fd, const char *name, uint64_t size);
int rmt_system_punch(int fd, const char *name, uint64_t off, uint64_t len);
int rmt_system_fill(int fd, const char *name, uint64_t off, uint64_t len);
int rmt_system_map(int fd, const char *name, uint64_t reserve, const uint8_t **out);
/* To be written to, shared; NULL: there is no room for it. */
void *rmt_system_map_writable(int fd, uint64_t reserve);
int rmt_system_view(int fd, const char *name, void *at, size_t len, uint64_t off);
int rmt_system_anonymous(size_t size, void **out);
/* name: of the store beside which the file is to lie. Where none can be made: plain memory. */
int rmt_system_spill(const char *name, size_t size, void **out);

/* As the functions of struct rmt_io_ops. */
void rmt_system_wait(struct rmt_io *io, _Atomic uint32_t *word, uint32_t expected, uint32_t ms);
void rmt_system_wake(struct rmt_io *io, _Atomic uint32_t *word);
uint64_t rmt_system_clock_ms(struct rmt_io *io);
int64_t rmt_system_time_us(struct rmt_io *io);
void rmt_system_random(struct rmt_io *io, void *buf, size_t len);

#endif
