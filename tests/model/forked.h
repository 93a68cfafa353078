/* SPDX-License-Identifier: MIT */
/*
 * forked.h - runs a function in a child process, so that a crash, a failed assert or a hang is a
 * result like any other.
 */
#ifndef FORKED_H
#define FORKED_H

#include <stdbool.h>
#include <stddef.h>

/* fn returns true, or writes what is wrong into message (size bytes). Its process may die instead:
 * that is wrong, too. */
typedef bool (*forked_fn)(void *ctx, char *message, size_t size);

/* quiet: what the child prints is thrown away. False: message says how it failed. */
bool forked_run(forked_fn fn, void *ctx, unsigned timeout_s, bool quiet, char *message,
                size_t size);

#endif
