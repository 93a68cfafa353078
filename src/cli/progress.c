/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

enum { REDRAW_MS = 100, BAR_WIDTH = 24 };

static _Atomic bool line_shown; /* atomic: errors are said by the flushing thread too */

uint64_t rmt_progress_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void rmt_progress_start(struct rmt_progress *p, const char *what, const char *unit, uint64_t total)
{
    uint64_t now_ms = rmt_progress_now_ms();
    *p = (struct rmt_progress){
        .what = what, .unit = unit, .total = total, .start_ms = now_ms, .shown_ms = now_ms};
}

static size_t terminal_width(void)
{
    struct winsize size = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

static void add_bar(struct rmt_buf *line, uint64_t done, uint64_t total)
{
    double part = done < total ? (double)done / (double)total : 1;
    int full = (int)(part * BAR_WIDTH);
    rmt_buf_add_str(line, " [");
    for (int i = 0; i < BAR_WIDTH; i++)
        rmt_buf_add_byte(line, i < full ? '#' : '-');
    rmt_buf_printf(line, "] %3.0f%%", part * 100);
}

void rmt_progress_update(struct rmt_progress *p, uint64_t done, uint64_t entries, uint64_t bytes)
{
    uint64_t now_ms = rmt_progress_now_ms();
    if (now_ms - p->shown_ms < REDRAW_MS || !isatty(STDERR_FILENO))
        return;
    p->shown_ms = now_ms;
    uint64_t ms = now_ms - p->start_ms;

    struct rmt_buf line = {0};
    rmt_buf_add_str(&line, p->what);
    if (p->total)
        add_bar(&line, done, p->total);
    rmt_buf_add_str(&line, "  ");
    rmt_text_grouped(&line, entries);
    rmt_buf_printf(&line, " %s", p->unit);
    if (bytes) {
        rmt_buf_add_str(&line, "  ");
        rmt_text_units(&line, bytes);
        rmt_buf_add_str(&line, "  ");
        rmt_text_units(&line, bytes * 1000 / ms);
        rmt_buf_add_str(&line, "/s");
    }
    if (p->total && done && done < p->total) {
        rmt_buf_add_str(&line, "  ETA ");
        rmt_text_duration(&line, (uint64_t)((double)ms / (double)done * (double)(p->total - done)));
    }
    if (line.size >= terminal_width())
        line.size = terminal_width() - 1;
    fprintf(stderr, "\r%s\033[K", rmt_buf_str(&line));
    rmt_buf_free(&line);
    line_shown = true;
}

void rmt_progress_clear(void)
{
    if (line_shown)
        (void)fputs("\r\033[K", stderr);
    line_shown = false;
}

void rmt_progress_say(const char *text)
{
    rmt_progress_clear();
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "%s\n", text);
}
