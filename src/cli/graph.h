/* SPDX-License-Identifier: MIT */
/*
 * graph.h - the versions of a store and how they stand on each other, ready to be drawn.
 *
 * Every version lies on one line: a branch from its head down to where it left another line. Lines
 * that nobody's head is on belong to snapshots that were kept when a branch was reset.
 */
#ifndef RMT_CLI_GRAPH_H
#define RMT_CLI_GRAPH_H

#include "session.h"
#include "text.h"

#define RMT_GRAPH_NONE SIZE_MAX

struct rmt_graph_version {
    uint64_t id;
    uint64_t oldest;      /* id of the last one that is folded into it; else its own */
    size_t folded;        /* versions that it stands for: 1, or more */
    size_t below;         /* the version it stands on, or RMT_GRAPH_NONE */
    size_t merged;        /* the one it merged, or RMT_GRAPH_NONE */
    uint64_t merged_id;   /* its id, though it may be gone; 0: it merged none */
    size_t line;          /* that it lies on */
    bool kept;            /* by somebody */
    bool gone;            /* folded into another */
    bool others;          /* another line left from it, or another branch keeps it */
    int64_t time;         /* microseconds since 1970 */
    uint64_t owned_bytes; /* pages that the version below has not */
    uint64_t total_bytes;
    char *message; /* its first line, or NULL */
    char *names;   /* "main@before", a line each; or NULL */
    size_t head;   /* the first branch whose head it is, or RMT_GRAPH_NONE */
};

/* What a branch has alone is exact, and needs no page to be read: of the versions on its line that
 * are newer than the last one that others have too, each owns the pages that the one below it has
 * not; the oldest of them shares the rest of its pages with what it stands on. */
struct rmt_graph_branch {
    struct ramet_branch_info info; /* info.name is owned */
    uint64_t shared_bytes;         /* pages of these versions that others have too */
    uint64_t own_bytes;            /* those that nobody else has */
    uint64_t oldest;               /* id of its oldest snapshot; UINT64_MAX: it keeps none */
    size_t head;                   /* the version at its head */
    size_t line;
    size_t next; /* another branch with this head, or RMT_GRAPH_NONE */
};

struct rmt_graph_line {
    size_t branch; /* or RMT_GRAPH_NONE */
    size_t top;    /* its newest version, or RMT_GRAPH_NONE: it has none of its own */
    size_t bottom;
    size_t from; /* the version of another line that it left from, or RMT_GRAPH_NONE */
};

struct rmt_graph {
    struct rmt_graph_version *versions;
    struct rmt_graph_branch *branches; /* in the order of their names */
    struct rmt_graph_line *lines;      /* each after the one that it left */
    size_t *rows;                      /* versions, each before what it stands on and has merged */
    size_t nr_versions, nr_branches, nr_lines, nr_rows;
    struct ramet_stat stat;
    struct rmt_buf version_bytes, branch_bytes, line_bytes, ids; /* what the arrays are in */
};

/* Something of a version or line, to be put in the order of ids. */
struct rmt_graph_dated {
    uint64_t id;
    size_t version; /* or line */
};
/* For qsort(). */
int rmt_graph_by_id(const void *a, const void *b);

/* fold: long runs of versions without a name become one. Returns an exit status. */
int rmt_graph_collect(struct rmt_graph *graph, struct rmt_session *s, bool fold);
void rmt_graph_free(struct rmt_graph *graph);

/* lanes.c: on the terminal, a row a version. */
void rmt_lanes_print(const struct rmt_graph *graph);
/* picture.c: added to a buffer. */
void rmt_picture_svg(struct rmt_buf *out, const struct rmt_graph *graph, const char *title);
void rmt_picture_dot(struct rmt_buf *out, const struct rmt_graph *graph, const char *title);

#endif
