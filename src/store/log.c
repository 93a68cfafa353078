/* SPDX-License-Identifier: MIT */
#include "store/log.h"

#include <stdarg.h>
#include <stdio.h>

void rmt_log_note(struct rmt_log *log, int level, const char *fmt, ...)
{
    if (log->count == RMT_LOG_NOTES)
        return;
    struct rmt_log_note *note = &log->notes[log->count++];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(note->text, sizeof(note->text), fmt, args); /* cut if it is too long */
    va_end(args);
    note->level = level;
}

void rmt_log_take(struct rmt_log *log, struct rmt_log *out)
{
    out->fn = log->fn;
    out->ctx = log->ctx;
    out->count = log->fn ? log->count : 0;
    if (rmt_likely(out->count == 0))
        return;
    memcpy(out->notes, log->notes, out->count * sizeof(out->notes[0]));
    log->count = 0;
}

void rmt_log_say(const struct rmt_log *taken)
{
    for (uint32_t i = 0; i < taken->count; i++)
        taken->fn(taken->ctx, taken->notes[i].level, taken->notes[i].text);
}
