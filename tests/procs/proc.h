/* SPDX-License-Identifier: MIT */
/*
 * proc.h - what the tests of several processes share: processes that have one store open, and die
 * at a chosen write.
 */
#ifndef PROC_H
#define PROC_H

#include <sys/types.h>

#include "api/bank.h"
#include "io/io.h"

enum death { /* what is left of the write at which a process dies */
             DIES_BEFORE,
             DIES_WITHIN, /* its first half was written; of a sector all or nothing is */
             DIES_AFTER,
             DEATHS
};

/* Which operation (write, flush or growing of the store file), counted from 0 when it was set, is
 * the process's last. UINT64_MAX: none. */
void proc_die_at(uint64_t op, enum death how);

/* As ramet_open(), but the process dies as it was told to. */
int proc_open(const char *path, int durability, struct ramet_store **out);

/* A child; it is killed when its parent ends. */
pid_t proc_fork(void);
/* Waits for a child. True: it was killed. fatal() if it failed. */
bool proc_wait(pid_t pid);
/* Calls fn(ctx) in a child, and waits for it. True: it was killed. */
bool proc_do(void (*fn)(void *ctx), void *ctx);

/* Memory that a process shares with its children. */
void *proc_share(size_t size);

/* Turns: a child waits until its parent, or another, has come to a step. */
struct turn {
    _Atomic unsigned at;
};
void turn_next(struct turn *turn);
void turn_wait(struct turn *turn, unsigned at);

#endif
