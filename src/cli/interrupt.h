/* SPDX-License-Identifier: MIT */
/*
 * interrupt.h - Ctrl-C and kill: the first sets a flag, so that a command can end in order; the
 * second ends the process, which the store does not mind either.
 */
#ifndef RMT_CLI_INTERRUPT_H
#define RMT_CLI_INTERRUPT_H

#include <stdbool.h>

void rmt_interrupt_catch(void);
bool rmt_interrupt_seen(void);

#endif
