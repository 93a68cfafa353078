/* SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static void on_signal(int number)
{
    (void)number;
    seen = 1;
}

void rmt_interrupt_catch(void)
{
    /* No SA_RESTART: a read that waits for input must come back. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction old;
        /* What nohup made us ignore stays ignored. */
        if (numbers[i] == SIGHUP && !sigaction(SIGHUP, NULL, &old) && old.sa_handler == SIG_IGN)
            continue;
        (void)sigaction(numbers[i], &action, NULL); /* fails only for a bad number */
    }
}

bool rmt_interrupt_seen(void)
{
    return seen != 0;
}
