/* SPDX-License-Identifier: MIT */
/*
 * picture.c - a graph as SVG, and as the source of one for dot(1).
 *
 * In the SVG each line has a lane of its own, the versions along it from left to right in the order
 * of their ids. What left a line lies below it, the later the nearer: so no line crosses another,
 * merges aside. At the right edge is what every branch shares and owns.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"

/* Pixels. */
enum {
    MARGIN = 32,
    HEAD_HEIGHT = 116, /* title and the first lane's names */
    LANE_HEIGHT = 54,
    FOOT_HEIGHT = 44,
    STEP_MIN = 20,   /* from one version to the next, of whatever lane */
    FORK_STEP = 34,  /* from where a line left to its first version */
    MERGE_STEP = 64, /* from what was merged to the merge */
    LABEL_GAP = 16,  /* from a name to the next one of its lane */
    CORNER = 14,     /* radius where a line turns into its lane */
    NODE_RADIUS = 7,
    BAR_WIDTH = 190,
    PANEL_WIDTH = 460,
    NAME_CHARS_MAX = 24,
    BRANCH_CHARS_MAX = 40,
};

#define INK "#1e293b"
#define FAINT "#64748b"
#define SHARED "#cbd5e1"
#define PAPER "#ffffff"

static const char *colour_of(size_t line)
{
    static const char *const colours[] = {"#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed",
                                          "#0891b2", "#dc2626", "#65a30d", "#9333ea", "#ca8a04"};
    return colours[line % (sizeof(colours) / sizeof(colours[0]))];
}

/* ---- text ------------------------------------------------------------------------------------ */

static size_t chars_of(const char *str, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)str[i] & 0xc0) != 0x80;
    return count;
}

/* At most so many characters of it, as text or an attribute of XML. */
static void add_xml(struct rmt_buf *out, const char *str, size_t len, size_t chars_max)
{
    struct rmt_buf text = {0};
    rmt_text_escape(&text, (struct ramet_slice){str, len});
    bool cut = chars_of(text.data, text.size) > chars_max;
    size_t chars = 0;
    for (size_t i = 0; i < text.size; i++) {
        chars += ((unsigned char)text.data[i] & 0xc0) != 0x80;
        if (cut && chars == chars_max) {
            rmt_buf_add_str(out, "…");
            break;
        }
        switch (text.data[i]) {
        case '&': rmt_buf_add_str(out, "&amp;"); break;
        case '<': rmt_buf_add_str(out, "&lt;"); break;
        case '>': rmt_buf_add_str(out, "&gt;"); break;
        case '"': rmt_buf_add_str(out, "&quot;"); break;
        default: rmt_buf_add_byte(out, (unsigned char)text.data[i]); break;
        }
    }
    rmt_buf_free(&text);
}

static void add_xml_str(struct rmt_buf *out, const char *str, size_t chars_max)
{
    add_xml(out, str, strlen(str), chars_max);
}

/* What no font is wider than, nearly. */
static size_t width_of(size_t chars, size_t font_size)
{
    return chars * font_size * 63 / 100;
}

/* ---- where everything is --------------------------------------------------------------------- */

struct drawing {
    const struct rmt_graph *g;
    struct rmt_buf *out;
    size_t *x;    /* of each version */
    size_t *lane; /* of each line */
    size_t *left; /* of each line, where the next version may be */
    size_t nr_lanes;
    size_t edge; /* x of the heads */
    struct rmt_buf bytes[3];
};

static size_t *numbers(struct rmt_buf *bytes, size_t count, size_t value)
{
    rmt_buf_reserve(bytes, (count + 1) * sizeof(size_t));
    size_t *items = (void *)bytes->data;
    for (size_t i = 0; i <= count; i++)
        items[i] = value;
    return items;
}

/* What is written above a version: its first name, without its own branch; and how many more. */
static void add_label(struct rmt_buf *out, const struct rmt_graph *g,
                      const struct rmt_graph_version *version)
{
    size_t branch = g->lines[version->line].branch;
    const char *name = version->names;
    if (version->folded > 1)
        rmt_buf_printf(out, "%zu versions", version->folded);
    if (!name)
        return;
    if (branch != RMT_GRAPH_NONE) {
        const char *own = g->branches[branch].info.name;
        size_t n = strlen(own);
        if (!strncmp(name, own, n) && name[n] == '@')
            name += n + 1;
    }
    size_t len = strcspn(name, "\n"), more = 0;
    for (const char *at = name; (at = strchr(at, '\n')) != NULL; at++)
        more++;
    add_xml(out, name, len, NAME_CHARS_MAX);
    if (more)
        rmt_buf_printf(out, " +%zu", more);
}

static size_t label_width(const struct rmt_graph *g, const struct rmt_graph_version *version)
{
    struct rmt_buf label = {0};
    char id[32];
    add_label(&label, g, version);
    size_t above = width_of(chars_of(label.data, label.size), 13);
    size_t below = width_of((size_t)snprintf(id, sizeof(id), "@%" PRIu64, version->id), 11) + 8;
    rmt_buf_free(&label);
    return above > below ? above : below;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void choose_x(struct drawing *d)
{
    const struct rmt_graph *g = d->g;
    struct rmt_buf bytes = {0};
    for (size_t i = 0; i < g->nr_rows; i++) {
        struct rmt_graph_dated dated = {g->versions[g->rows[i]].id, g->rows[i]};
        rmt_buf_add(&bytes, &dated, sizeof(dated));
    }
    const struct rmt_graph_dated *dated = (void *)bytes.data;
    if (g->nr_rows)
        qsort(bytes.data, g->nr_rows, sizeof(*dated), rmt_graph_by_id);
    size_t last = MARGIN;
    for (size_t i = 0; i < g->nr_rows; i++) {
        const struct rmt_graph_version *version = &g->versions[dated[i].version];
        size_t x = larger(last + STEP_MIN, d->left[version->line]);
        size_t below = version->below;
        if (below != RMT_GRAPH_NONE)
            x = larger(x, d->x[below] + FORK_STEP);
        if (version->merged != RMT_GRAPH_NONE)
            x = larger(x, d->x[version->merged] + MERGE_STEP +
                              label_width(g, &g->versions[version->merged]));
        d->x[dated[i].version] = last = x;
        d->left[version->line] = x + label_width(g, version) + LABEL_GAP;
        d->edge = larger(d->edge, larger(x + FORK_STEP, d->left[version->line]));
    }
    d->edge += LABEL_GAP;
    rmt_buf_free(&bytes);
}

/* Lanes from the top: a line, then what left it, from the latest on, each with what left that. */
static void choose_lanes(struct drawing *d)
{
    const struct rmt_graph *g = d->g;
    struct rmt_buf order = {0}, stack = {0};
    for (size_t i = 0; i < g->nr_lines; i++) {
        struct rmt_graph_dated dated = {0, i};
        if (g->lines[i].from != RMT_GRAPH_NONE)
            dated.id = d->x[g->lines[i].from];
        rmt_buf_add(&order, &dated, sizeof(dated));
    }
    /* By where they left, so the last one on the stack is the latest; roots come from the back. */
    const struct rmt_graph_dated *lines = (void *)order.data;
    if (g->nr_lines)
        qsort(order.data, g->nr_lines, sizeof(*lines), rmt_graph_by_id);
    for (size_t i = g->nr_lines; i-- > 0;) {
        if (g->lines[i].from == RMT_GRAPH_NONE)
            rmt_buf_add(&stack, &i, sizeof(i));
    }
    while (stack.size) {
        size_t line;
        stack.size -= sizeof(line);
        memcpy(&line, stack.data + stack.size, sizeof(line));
        d->lane[line] = d->nr_lanes++;
        for (size_t i = 0; i < g->nr_lines; i++) {
            size_t from = g->lines[lines[i].version].from;
            if (from != RMT_GRAPH_NONE && g->versions[from].line == line)
                rmt_buf_add(&stack, &lines[i].version, sizeof(size_t));
        }
    }
    rmt_buf_free(&order);
    rmt_buf_free(&stack);
}

static size_t y_of(const struct drawing *d, size_t line)
{
    return HEAD_HEIGHT + d->lane[line] * LANE_HEIGHT;
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* From where it left down to its lane, and along it to its newest version; from there on, where
 * nothing is new, to its head. */
static void draw_line(const struct drawing *d, size_t number)
{
    const struct rmt_graph *g = d->g;
    const struct rmt_graph_line *line = &g->lines[number];
    const char *colour = colour_of(number);
    size_t y = y_of(d, number), x;
    rmt_buf_printf(d->out, "<path class=\"l\" stroke=\"%s\" d=\"", colour);
    if (line->from != RMT_GRAPH_NONE) {
        x = d->x[line->from];
        rmt_buf_printf(d->out, "M%zu %zuV%zuQ%zu %zu %zu %zu", x,
                       y_of(d, g->versions[line->from].line), y - CORNER, x, y, x + CORNER, y);
        x += CORNER;
    } else {
        x = line->bottom == RMT_GRAPH_NONE ? MARGIN : d->x[line->bottom];
        rmt_buf_printf(d->out, "M%zu %zu", x, y);
    }
    if (line->top != RMT_GRAPH_NONE) {
        x = d->x[line->top];
        rmt_buf_printf(d->out, "H%zu", x);
    }
    rmt_buf_add_str(d->out, "\"/>\n");
    if (line->branch != RMT_GRAPH_NONE)
        rmt_buf_printf(d->out, "<path class=\"d\" stroke=\"%s\" d=\"M%zu %zuH%zu\"/>\n", colour, x,
                       y, d->edge);
}

/* The farthest first: where several left from one version, each peels off under its own colour. */
static void draw_lines(const struct drawing *d)
{
    struct rmt_buf bytes = {0};
    size_t *at = numbers(&bytes, d->nr_lanes, RMT_GRAPH_NONE);
    for (size_t i = 0; i < d->g->nr_lines; i++)
        at[d->lane[i]] = i;
    for (size_t i = d->nr_lanes; i-- > 0;)
        draw_line(d, at[i]);
    rmt_buf_free(&bytes);
}

/* Along the lane of what was merged as long as nothing newer is on it, then over to the merge. */
static void draw_merge(const struct drawing *d, const struct rmt_graph_version *version)
{
    const struct rmt_graph *g = d->g;
    const struct rmt_graph_version *source = &g->versions[version->merged];
    size_t x = d->x[version - g->versions], y = y_of(d, version->line);
    size_t from_x = d->x[version->merged], from_y = y_of(d, source->line);
    size_t bend = x - from_x;
    bool newest = true;
    for (size_t at = g->lines[source->line].top; at != version->merged && newest;
         at = g->versions[at].below)
        newest = d->x[at] >= x;
    rmt_buf_printf(d->out, "<path class=\"m\" stroke=\"%s\" d=\"M%zu %zu", colour_of(source->line),
                   from_x, from_y);
    if (newest && bend > MERGE_STEP) {
        bend = MERGE_STEP;
        rmt_buf_printf(d->out, "H%zu", x - bend);
    }
    rmt_buf_printf(d->out, "C%zu %zu %zu %zu %zu %zu\"/>\n", x - bend / 2, from_y, x - bend / 2, y,
                   x, y);
}

static void draw_version(const struct drawing *d, size_t number)
{
    const struct rmt_graph *g = d->g;
    const struct rmt_graph_version *version = &g->versions[number];
    const char *colour = colour_of(version->line);
    size_t x = d->x[number], y = y_of(d, version->line);
    rmt_buf_printf(d->out, "<g><title>@%" PRIu64, version->id);
    for (const char *name = version->names; name && *name;) {
        size_t len = strcspn(name, "\n");
        rmt_buf_add_byte(d->out, ' ');
        add_xml(d->out, name, len, SIZE_MAX);
        name += len + (name[len] == '\n');
    }
    rmt_buf_add_str(d->out, ", ");
    rmt_text_second_utc(d->out, version->time);
    if (version->message) {
        rmt_buf_add_str(d->out, ": ");
        add_xml_str(d->out, version->message, SIZE_MAX);
    }
    rmt_buf_add_str(d->out, "</title>");
    if (version->folded > 1) {
        rmt_buf_printf(d->out, "<rect x=\"%zu\" y=\"%zu\" width=\"28\" height=\"10\" fill=\"%s\"/>",
                       x - 7, y - 5, PAPER);
        for (size_t i = 0; i < 3; i++)
            rmt_buf_printf(d->out, "<circle cx=\"%zu\" cy=\"%zu\" r=\"3\" fill=\"%s\"/>",
                           x - 2 + 9 * i, y, colour);
    } else {
        rmt_buf_printf(d->out,
                       "<circle cx=\"%zu\" cy=\"%zu\" r=\"%d\" fill=\"%s\" stroke=\"%s\" "
                       "stroke-width=\"2.5\"/>",
                       x, y, NODE_RADIUS, version->kept ? colour : PAPER,
                       version->kept ? PAPER : colour);
    }
    if (version->names || version->folded > 1) {
        rmt_buf_printf(d->out, "<text class=\"%s\" x=\"%zu\" y=\"%zu\">",
                       version->names ? "n" : "i", x - NODE_RADIUS, y - 13);
        add_label(d->out, g, version);
        rmt_buf_add_str(d->out, "</text>");
    }
    rmt_buf_printf(d->out, "<text class=\"i\" x=\"%zu\" y=\"%zu\">@%" PRIu64 "</text></g>\n", x + 6,
                   y + 20, version->id);
}

/* What a branch shares and owns: a bar, all to one scale, and the figures. */
static void draw_branch(const struct drawing *d, const struct rmt_graph_branch *branch,
                        uint64_t most)
{
    if (branch->line == RMT_GRAPH_NONE)
        return;
    const char *colour = colour_of(branch->line);
    size_t y = y_of(d, branch->line), x = d->edge + 22;
    double scale = (double)BAR_WIDTH / (double)most;
    double shared = (double)branch->shared_bytes * scale, own = (double)branch->own_bytes * scale;
    own = branch->own_bytes && own < 3 ? 3 : own; /* what is there at all is seen */
    shared = shared + own > BAR_WIDTH ? BAR_WIDTH - own : shared;
    rmt_buf_printf(d->out,
                   "<circle cx=\"%zu\" cy=\"%zu\" r=\"8\" fill=\"%s\" stroke=\"%s\" "
                   "stroke-width=\"3\"/>\n",
                   d->edge, y, PAPER, colour);
    rmt_buf_printf(d->out, "<text class=\"b\" fill=\"%s\" x=\"%zu\" y=\"%zu\">", colour, x, y - 3);
    add_xml_str(d->out, branch->info.name, BRANCH_CHARS_MAX);
    rmt_buf_add_str(d->out, "</text>\n");
    rmt_buf_printf(d->out,
                   "<rect x=\"%zu\" y=\"%zu\" width=\"%.1f\" height=\"9\" fill=\"%s\"/>"
                   "<rect x=\"%.1f\" y=\"%zu\" width=\"%.1f\" height=\"9\" fill=\"%s\"/>\n",
                   x, y + 6, shared, SHARED, (double)x + shared, y + 6, own, colour);
    rmt_buf_printf(d->out, "<text class=\"f\" x=\"%zu\" y=\"%zu\">", x + BAR_WIDTH + 12, y + 15);
    rmt_text_units(d->out, branch->shared_bytes);
    rmt_buf_printf(d->out, " shared + <tspan font-weight=\"600\" fill=\"%s\">",
                   branch->own_bytes ? colour : FAINT);
    rmt_text_units(d->out, branch->own_bytes);
    rmt_buf_add_str(d->out, "</tspan> own</text>\n");
}

static void draw_title(const struct drawing *d, const char *title, uint64_t copies)
{
    const struct ramet_stat *stat = &d->g->stat;
    rmt_buf_printf(d->out, "<text class=\"t\" x=\"%d\" y=\"42\">", MARGIN);
    add_xml_str(d->out, title, BRANCH_CHARS_MAX);
    rmt_buf_printf(d->out,
                   "</text>\n<text class=\"s\" x=\"%d\" y=\"66\">%" PRIu64 " branch%s, %" PRIu64
                   " snapshot%s: ",
                   MARGIN, stat->branches, stat->branches == 1 ? "" : "es", stat->snapshots,
                   stat->snapshots == 1 ? "" : "s");
    rmt_text_units(d->out, stat->data_bytes);
    rmt_buf_add_str(d->out, " of data; copies of the branches alone would take ");
    rmt_text_units(d->out, copies);
    rmt_buf_add_str(d->out, "</text>\n");
}

static void draw_legend(const struct drawing *d, size_t y)
{
    size_t x = d->edge + 22;
    rmt_buf_printf(d->out,
                   "<rect x=\"%zu\" y=\"%zu\" width=\"14\" height=\"9\" fill=\"%s\"/>"
                   "<text class=\"i\" x=\"%zu\" y=\"%zu\">shared with others</text>"
                   "<rect x=\"%zu\" y=\"%zu\" width=\"14\" height=\"9\" fill=\"%s\"/>"
                   "<text class=\"i\" x=\"%zu\" y=\"%zu\">its own</text>\n",
                   x, y - 8, SHARED, x + 20, y, x + 140, y - 8, colour_of(0), x + 160, y);
    rmt_buf_printf(d->out,
                   "<circle cx=\"%d\" cy=\"%zu\" r=\"5\" fill=\"%s\"/>"
                   "<text class=\"i\" x=\"%d\" y=\"%zu\">kept</text>"
                   "<circle cx=\"%d\" cy=\"%zu\" r=\"4\" fill=\"%s\" stroke=\"%s\" "
                   "stroke-width=\"2\"/><text class=\"i\" x=\"%d\" y=\"%zu\">not kept</text>\n",
                   MARGIN + 6, y - 4, colour_of(0), MARGIN + 16, y, MARGIN + 66, y - 4, PAPER,
                   colour_of(0), MARGIN + 76, y);
}

static void draw_front(const struct drawing *d, const char *title, size_t height)
{
    size_t width = d->edge + PANEL_WIDTH;
    rmt_buf_printf(d->out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" "
                   "viewBox=\"0 0 %zu %zu\" role=\"img\" font-family=\"Inter,'Segoe "
                   "UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif\">\n<title>",
                   width, height, width, height);
    add_xml_str(d->out, title, SIZE_MAX);
    rmt_buf_add_str(d->out,
                    "</title>\n<style>"
                    ".l{fill:none;stroke-width:4;stroke-linecap:round}"
                    ".d{fill:none;stroke-width:2.5;stroke-linecap:round;stroke-dasharray:1 7}"
                    ".m{fill:none;stroke-width:2.5;stroke-linecap:round}"
                    ".t{font-size:22px;font-weight:700;fill:" INK "}"
                    ".s{font-size:14px;fill:" FAINT "}"
                    ".b{font-size:15px;font-weight:700}"
                    ".f{font-size:12px;fill:" FAINT "}"
                    ".n{font-size:13px;font-weight:600;fill:" INK ";stroke:" PAPER
                    ";stroke-width:3px;paint-order:stroke}"
                    ".i{font-size:11px;fill:" FAINT ";stroke:" PAPER
                    ";stroke-width:3px;paint-order:stroke}"
                    "</style>\n");
    rmt_buf_printf(d->out, "<rect width=\"%zu\" height=\"%zu\" rx=\"12\" fill=\"%s\"/>\n", width,
                   height, PAPER);
}

void rmt_picture_svg(struct rmt_buf *out, const struct rmt_graph *graph, const char *title)
{
    struct drawing d = {.g = graph, .out = out, .edge = 2 * MARGIN};
    uint64_t most = 1, copies = 0;
    d.x = numbers(&d.bytes[0], graph->nr_versions, 0);
    d.lane = numbers(&d.bytes[1], graph->nr_lines, 0);
    d.left = numbers(&d.bytes[2], graph->nr_lines, MARGIN + NODE_RADIUS);
    for (size_t i = 0; i < graph->nr_branches; i++) {
        const struct rmt_graph_branch *branch = &graph->branches[i];
        uint64_t bytes = branch->shared_bytes + branch->own_bytes;
        most = bytes > most ? bytes : most;
        copies += branch->info.shared_bytes + branch->info.owned_bytes;
    }
    choose_x(&d);
    choose_lanes(&d);

    size_t height = HEAD_HEIGHT + d.nr_lanes * LANE_HEIGHT + FOOT_HEIGHT - LANE_HEIGHT / 2;
    draw_front(&d, title, height);
    draw_title(&d, title, copies);
    draw_lines(&d);
    for (size_t i = 0; i < graph->nr_rows; i++) {
        const struct rmt_graph_version *version = &graph->versions[graph->rows[i]];
        if (version->merged != RMT_GRAPH_NONE)
            draw_merge(&d, version);
    }
    for (size_t i = 0; i < graph->nr_rows; i++)
        draw_version(&d, graph->rows[i]);
    for (size_t i = 0; i < graph->nr_branches; i++)
        draw_branch(&d, &graph->branches[i], most);
    draw_legend(&d, height - 16);
    rmt_buf_add_str(out, "</svg>\n");
    for (size_t i = 0; i < 3; i++)
        rmt_buf_free(&d.bytes[i]);
}

/* ---- dot ------------------------------------------------------------------------------------- */

/* Within quotes. */
static void add_dot(struct rmt_buf *out, const char *str, size_t len)
{
    struct rmt_buf text = {0};
    rmt_text_escape(&text, (struct ramet_slice){str, len});
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\')
            rmt_buf_add_byte(out, '\\');
        rmt_buf_add_byte(out, (unsigned char)text.data[i]);
    }
    rmt_buf_free(&text);
}

static void dot_version(struct rmt_buf *out, const struct rmt_graph *g, size_t number)
{
    const struct rmt_graph_version *version = &g->versions[number];
    const char *colour = colour_of(version->line);
    rmt_buf_printf(out, "  v%zu [color=\"%s\"%s label=\"@%" PRIu64, number, colour,
                   version->kept ? "" : " style=\"dashed,rounded\"", version->id);
    if (version->folded > 1)
        rmt_buf_printf(out, "\\nto @%" PRIu64 ":\\n%zu versions", version->oldest, version->folded);
    for (const char *name = version->names; name && *name;) {
        size_t len = strcspn(name, "\n");
        rmt_buf_add_str(out, "\\n");
        add_dot(out, name, len);
        name += len + (name[len] == '\n');
    }
    rmt_buf_add_str(out, "\"];\n");
    if (version->below != RMT_GRAPH_NONE)
        rmt_buf_printf(out, "  v%zu -> v%zu [color=\"%s\"];\n", version->below, number, colour);
    if (version->merged != RMT_GRAPH_NONE)
        rmt_buf_printf(out, "  v%zu -> v%zu [color=\"%s\" style=dashed constraint=false];\n",
                       version->merged, number, colour_of(g->versions[version->merged].line));
}

static void dot_branch(struct rmt_buf *out, const struct rmt_graph *g, size_t number)
{
    const struct rmt_graph_branch *branch = &g->branches[number];
    if (branch->head == RMT_GRAPH_NONE)
        return;
    const char *colour = colour_of(branch->line);
    rmt_buf_printf(out, "  b%zu [shape=plaintext fontcolor=\"%s\" label=\"", number, colour);
    add_dot(out, branch->info.name, strlen(branch->info.name));
    rmt_buf_add_str(out, "\\n");
    rmt_text_units(out, branch->shared_bytes);
    rmt_buf_add_str(out, " shared\\n");
    rmt_text_units(out, branch->own_bytes);
    rmt_buf_printf(out, " own\"];\n  v%zu -> b%zu [color=\"%s\" style=dotted arrowhead=none];\n",
                   branch->head, number, colour);
}

void rmt_picture_dot(struct rmt_buf *out, const struct rmt_graph *graph, const char *title)
{
    rmt_buf_add_str(out, "digraph \"");
    add_dot(out, title, strlen(title));
    rmt_buf_add_str(out, "\" {\n"
                         "  rankdir=LR;\n"
                         "  node [shape=box style=rounded fontname=\"sans-serif\" fontsize=11];\n"
                         "  edge [arrowsize=0.6];\n");
    for (size_t i = graph->nr_rows; i-- > 0;)
        dot_version(out, graph, graph->rows[i]);
    for (size_t i = 0; i < graph->nr_branches; i++)
        dot_branch(out, graph, i);
    rmt_buf_add_str(out, "}\n");
}
