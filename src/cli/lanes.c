/* SPDX-License-Identifier: MIT */
/*
 * lanes.c - a graph on the terminal: a row a version, a column a line that runs beside it.
 *
 * Between two rows there is room for three more, which are printed if something is in them:
 *
 *   4r      the version of row r
 *   4r + 1  what it merged leaves it
 *   4r + 2  its line, if it ends here, joins the one that it left
 *   4r + 3  lines that left from the version of row r + 1 join it
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"

enum { AT_MERGE = 1, AT_END = 2, AT_FORK = 3, STEP = 4 };

/* A line, or a merge of a version that is not the newest of its line by then. */
struct lane {
    size_t start, end; /* first and last y */
    size_t column;
    size_t colour;
};

struct bar {
    size_t y;
    size_t lane;  /* whose colour it has */
    size_t other; /* that it leads to */
};

struct layout {
    const struct rmt_graph *g;
    struct lane *lanes; /* those of the graph's lines first */
    struct bar *bars;
    size_t *row_of; /* of each version */
    size_t *above;  /* of each version, the next one on its line; RMT_GRAPH_NONE */
    size_t nr_lanes, nr_bars, nr_columns;
    struct rmt_buf lane_bytes, bar_bytes;
};

static size_t add_lane(struct layout *l, size_t start, size_t end, size_t colour)
{
    struct lane lane = {start, end, RMT_GRAPH_NONE, colour};
    rmt_buf_add(&l->lane_bytes, &lane, sizeof(lane));
    l->lanes = (void *)l->lane_bytes.data;
    return l->nr_lanes++;
}

static void add_bar(struct layout *l, size_t y, size_t lane, size_t other)
{
    struct bar bar = {y, lane, other};
    rmt_buf_add(&l->bar_bytes, &bar, sizeof(bar));
    l->bars = (void *)l->bar_bytes.data;
    l->nr_bars++;
}

static void start_at(struct layout *l, size_t lane, size_t y)
{
    if (y < l->lanes[lane].start)
        l->lanes[lane].start = y;
}

/* ---- where everything is --------------------------------------------------------------------- */

static void find_rows(struct layout *l)
{
    const struct rmt_graph *g = l->g;
    for (size_t i = 0; i < g->nr_versions; i++)
        l->above[i] = RMT_GRAPH_NONE;
    for (size_t row = 0; row < g->nr_rows; row++) {
        size_t version = g->rows[row];
        size_t below = g->versions[version].below;
        l->row_of[version] = row;
        if (below != RMT_GRAPH_NONE && g->versions[below].line == g->versions[version].line)
            l->above[below] = version;
    }
}

/* Nothing of its line stands between a row and the version. */
static bool is_next(const struct layout *l, size_t version, size_t row)
{
    return l->above[version] == RMT_GRAPH_NONE || l->row_of[l->above[version]] <= row;
}

/* A line joins the one it left as soon as there is nothing between it and where it left. */
static void end_line(struct layout *l, size_t number)
{
    const struct rmt_graph_line *line = &l->g->lines[number];
    size_t row = l->row_of[line->bottom];
    if (line->from == RMT_GRAPH_NONE)
        return;
    bool now = is_next(l, line->from, row);
    size_t y = now ? STEP * row + AT_END : STEP * (l->row_of[line->from] - 1) + AT_FORK;
    size_t other = l->g->versions[line->from].line;
    l->lanes[number].end = y;
    if (now)
        start_at(l, other, y);
    add_bar(l, y, number, other);
}

static void add_merge(struct layout *l, size_t version)
{
    const struct rmt_graph *g = l->g;
    size_t source = g->versions[version].merged;
    size_t line = g->versions[version].line, other = g->versions[source].line;
    size_t y = STEP * l->row_of[version] + AT_MERGE;
    if (is_next(l, source, l->row_of[version])) {
        start_at(l, other, y);
        add_bar(l, y, other, line);
        return;
    }
    size_t end = STEP * (l->row_of[source] - 1) + AT_FORK;
    size_t lane = add_lane(l, y, end, l->lanes[other].colour);
    add_bar(l, y, lane, line);
    add_bar(l, end, lane, other);
}

struct span {
    size_t start, end;
};

/* The first column, from one on, in which nothing else runs at that time. */
static void choose_column(struct layout *l, struct rmt_buf *columns, struct lane *lane, size_t from)
{
    for (lane->column = from;; lane->column++) {
        if (lane->column == l->nr_columns)
            columns[l->nr_columns++] = (struct rmt_buf){0};
        struct rmt_buf *column = &columns[lane->column];
        const struct span *spans = (void *)column->data;
        bool taken = false;
        for (size_t i = 0; i < column->size / sizeof(*spans) && !taken; i++)
            taken = spans[i].start <= lane->end && lane->start <= spans[i].end;
        if (taken)
            continue;
        struct span span = {lane->start, lane->end};
        rmt_buf_add(column, &span, sizeof(span));
        return;
    }
}

static void choose_columns(struct layout *l)
{
    struct rmt_buf bytes = {0};
    rmt_buf_reserve(&bytes, (l->nr_lanes + 1) * sizeof(struct rmt_buf));
    struct rmt_buf *columns = (void *)bytes.data;
    for (size_t i = 0; i < l->nr_lanes; i++) {
        const struct rmt_graph_line *line = i < l->g->nr_lines ? &l->g->lines[i] : NULL;
        size_t from = 0;
        if (line && line->top == RMT_GRAPH_NONE)
            continue;
        if (line && line->from != RMT_GRAPH_NONE)
            from = l->lanes[l->g->versions[line->from].line].column + 1;
        choose_column(l, columns, &l->lanes[i], from);
    }
    for (size_t i = 0; i < l->nr_columns; i++)
        rmt_buf_free(&columns[i]);
    rmt_buf_free(&bytes);
}

static int by_y(const void *a, const void *b)
{
    const struct bar *x = a, *y = b;
    return x->y < y->y ? -1 : x->y > y->y;
}

static void lay_out(struct layout *l)
{
    const struct rmt_graph *g = l->g;
    find_rows(l);
    for (size_t i = 0; i < g->nr_lines; i++) {
        const struct rmt_graph_line *line = &g->lines[i];
        bool empty = line->top == RMT_GRAPH_NONE;
        add_lane(l, empty ? 1 : STEP * l->row_of[line->top],
                 empty ? 0 : STEP * l->row_of[line->bottom], i);
    }
    for (size_t i = 0; i < g->nr_lines; i++) {
        if (g->lines[i].top != RMT_GRAPH_NONE)
            end_line(l, i);
    }
    for (size_t i = 0; i < g->nr_rows; i++) {
        if (g->versions[g->rows[i]].merged != RMT_GRAPH_NONE)
            add_merge(l, g->rows[i]);
    }
    choose_columns(l);
    if (l->nr_bars)
        qsort(l->bars, l->nr_bars, sizeof(*l->bars), by_y);
}

/* ---- printing -------------------------------------------------------------------------------- */

enum { UP = 1, DOWN = 2, LEFT = 4, RIGHT = 8, ACROSS = 16 };

struct cell {
    unsigned flags;
    size_t colour;
};

static const char *colour_of(size_t colour)
{
    static const int colours[] = {4, 2, 3, 5, 6, 1};
    return rmt_output_colour(stdout, colours[colour % (sizeof(colours) / sizeof(colours[0]))]);
}

static const char *glyph_of(unsigned flags)
{
    static const char *const lines[16] = {" ", "│", "│", "│", "─", "╯", "╮", "┤",
                                          "─", "╰", "╭", "├", "─", "┴", "┬", "┼"};
    static const char *const ascii[16] = {" ", "|",  "|", "|", "-", "/", "\\", "|",
                                          "-", "\\", "/", "|", "-", "+", "+",  "+"};
    if (flags & ACROSS) /* under what stands there; but what bends there goes on */
        flags |= flags & (LEFT | RIGHT) || !(flags & (UP | DOWN)) ? LEFT | RIGHT : 0u;
    return (rmt_output_unicode() ? lines : ascii)[flags & 15];
}

/* The lanes at y, and what bars make of them. */
static void fill_cells(const struct layout *l, const size_t *running, size_t y,
                       const struct bar *bars, size_t nr_bars, struct cell *cells)
{
    memset(cells, 0, 2 * l->nr_columns * sizeof(*cells));
    for (size_t i = 0; i < l->nr_columns; i++) {
        const struct lane *lane = running[i] == RMT_GRAPH_NONE ? NULL : &l->lanes[running[i]];
        if (!lane)
            continue;
        cells[2 * i].flags = (lane->start < y ? UP : 0u) | (lane->end > y ? DOWN : 0u);
        cells[2 * i].colour = lane->colour;
    }
    for (size_t i = 0; i < nr_bars; i++) {
        const struct lane *lane = &l->lanes[bars[i].lane], *other = &l->lanes[bars[i].other];
        size_t left = lane->column < other->column ? lane->column : other->column;
        size_t right = lane->column < other->column ? other->column : lane->column;
        cells[2 * left].flags |= RIGHT;
        cells[2 * right].flags |= LEFT;
        for (size_t at = 2 * left + 1; at < 2 * right; at++) {
            if (!cells[at].flags)
                cells[at].colour = lane->colour;
            cells[at].flags |= ACROSS;
        }
    }
}

/* version: at its cell, instead of the line. Returns the columns printed. */
static size_t print_cells(const struct layout *l, const struct cell *cells,
                          const struct rmt_graph_version *version)
{
    size_t nr = 2 * l->nr_columns;
    size_t node = version ? 2 * l->lanes[version->line].column : nr;
    while (nr && !cells[nr - 1].flags && nr - 1 != node)
        nr--;
    for (size_t i = 0; i < nr; i++) {
        bool unicode = rmt_output_unicode();
        const char *glyph = glyph_of(cells[i].flags);
        if (i == node && version->folded > 1)
            glyph = unicode ? "┊" : ":";
        else if (i == node && version->kept)
            glyph = unicode ? "●" : "*";
        else if (i == node)
            glyph = unicode ? "○" : "o";
        if (cells[i].flags || i == node)
            printf("%s%s%s", colour_of(i == node ? version->line : cells[i].colour), glyph,
                   rmt_output_plain(stdout));
        else
            (void)putchar(' ');
    }
    return nr;
}

static void print_escaped(const char *before, const char *colour, const char *str, size_t len)
{
    struct rmt_buf text = {0};
    rmt_text_escape(&text, (struct ramet_slice){str, len});
    printf("%s%s%s%s", before, colour, rmt_buf_str(&text),
           colour[0] ? rmt_output_plain(stdout) : "");
    rmt_buf_free(&text);
}

/* "[main, test: 4.0 KiB shared, 0 B own]", what has the same figures in one. */
static void print_heads(const struct rmt_graph *g, size_t first)
{
    for (size_t i = first; i != RMT_GRAPH_NONE; i = g->branches[i].next) {
        const struct rmt_graph_branch *branch = &g->branches[i];
        const struct rmt_graph_branch *next =
            branch->next == RMT_GRAPH_NONE ? NULL : &g->branches[branch->next];
        bool begins = i == first, ends = !next || next->own_bytes != branch->own_bytes ||
                                         next->shared_bytes != branch->shared_bytes;
        (void)fputs(begins ? " [" : "", stdout);
        (void)fputs(rmt_output_bold(stdout), stdout);
        print_escaped("", colour_of(branch->line), branch->info.name, strlen(branch->info.name));
        if (!ends) {
            (void)fputs(", ", stdout);
            continue;
        }
        struct rmt_buf text = {0};
        rmt_text_units(&text, branch->shared_bytes);
        rmt_buf_add_str(&text, " shared, ");
        rmt_text_units(&text, branch->own_bytes);
        printf(": %s own]%s", rmt_buf_str(&text), next ? " [" : "");
        rmt_buf_free(&text);
    }
}

/* What stands behind a version: its id, heads with what they share and own, names, message. */
static void print_words(const struct rmt_graph *g, const struct rmt_graph_version *version)
{
    printf("%s@%" PRIu64 "%s", rmt_output_colour(stdout, 3), version->id, rmt_output_plain(stdout));
    if (version->folded > 1)
        printf(" to @%" PRIu64 ": %zu versions", version->oldest, version->folded);
    print_heads(g, version->head);
    for (const char *name = version->names; name && *name;) {
        size_t len = strcspn(name, "\n");
        print_escaped(" ", rmt_output_colour(stdout, 2), name, len);
        name += len + (name[len] == '\n');
    }
    if (version->merged_id)
        printf(" merged @%" PRIu64, version->merged_id);
    if (version->message)
        print_escaped("  ", "", version->message, strlen(version->message));
    (void)putchar('\n');
}

/* A store of many lines at once has room for words only right behind them. */
enum { ALIGNED_COLUMNS_MAX = 12 };

static int by_start(const void *a, const void *b)
{
    const struct lane *const *x = a, *const *y = b;
    return (*x)->start < (*y)->start ? -1 : (*x)->start > (*y)->start;
}

static void print_layout(const struct layout *l)
{
    struct rmt_buf cells = {0}, running = {0}, starts = {0};
    for (size_t i = 0; i < l->nr_lanes; i++) {
        const struct lane *lane = &l->lanes[i];
        if (lane->start <= lane->end)
            rmt_buf_add(&starts, &lane, sizeof(lane));
    }
    size_t nr_starts = starts.size / sizeof(struct lane *), started = 0, bar = 0;
    const struct lane *const *lanes = (void *)starts.data;
    if (nr_starts)
        qsort(starts.data, nr_starts, sizeof(*lanes), by_start);
    rmt_buf_reserve(&cells, (2 * l->nr_columns + 1) * sizeof(struct cell));
    rmt_buf_reserve(&running, (l->nr_columns + 1) * sizeof(size_t));
    size_t *lane_at = (void *)running.data;
    memset(lane_at, 0xff, l->nr_columns * sizeof(size_t)); /* RMT_GRAPH_NONE */

    for (size_t y = 0; y < STEP * l->g->nr_rows && !rmt_output_failed(); y++) {
        for (size_t i = 0; i < l->nr_columns; i++) {
            if (lane_at[i] != RMT_GRAPH_NONE && l->lanes[lane_at[i]].end < y)
                lane_at[i] = RMT_GRAPH_NONE;
        }
        for (; started < nr_starts && lanes[started]->start <= y; started++)
            lane_at[lanes[started]->column] = (size_t)(lanes[started] - l->lanes);
        size_t first = bar;
        while (bar < l->nr_bars && l->bars[bar].y == y)
            bar++;
        const struct rmt_graph_version *version =
            y % STEP ? NULL : &l->g->versions[l->g->rows[y / STEP]];
        if (!version && bar == first)
            continue;
        fill_cells(l, lane_at, y, l->bars + first, bar - first, (void *)cells.data);
        size_t width = print_cells(l, (void *)cells.data, version);
        if (!version) {
            (void)putchar('\n');
            continue;
        }
        bool aligned = l->nr_columns <= ALIGNED_COLUMNS_MAX;
        printf("%*s", aligned ? (int)(2 * l->nr_columns - width) : width % 2 ? 1 : 0, "");
        (void)putchar(' ');
        print_words(l->g, version);
    }
    rmt_buf_free(&cells);
    rmt_buf_free(&running);
    rmt_buf_free(&starts);
}

void rmt_lanes_print(const struct rmt_graph *graph)
{
    struct layout l = {.g = graph};
    struct rmt_buf rows = {0}, above = {0};
    rmt_buf_reserve(&rows, (graph->nr_versions + 1) * sizeof(size_t));
    rmt_buf_reserve(&above, (graph->nr_versions + 1) * sizeof(size_t));
    l.row_of = (void *)rows.data;
    l.above = (void *)above.data;
    lay_out(&l);
    print_layout(&l);
    rmt_buf_free(&rows);
    rmt_buf_free(&above);
    rmt_buf_free(&l.lane_bytes);
    rmt_buf_free(&l.bar_bytes);
}
