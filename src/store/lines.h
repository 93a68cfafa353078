/* SPDX-License-Identifier: MIT */
/*
 * lines.h - what the versions of one line have of another: the index in which the base of a merge
 * is looked for.
 *
 * A line is all that one head has become (versions.h, V6). Each of its versions stands on those
 * before it, so who has one of them has these too. An edge leads from a version to one that it has
 * merged, or from a snapshot to the one it stands on, if that is of another line. A head's place on
 * its line is behind all others.
 *
 *   E4  each edge has a key e: line, other line, place, id of what it leads to; and no other is
 *       there
 *   E5  its record names the newest snapshot that it, or one before it between these two lines,
 *       leads to: what a version has of another line the last edge at or before it says
 */
#ifndef RMT_LINES_H
#define RMT_LINES_H

#include "store/catalog.h"

struct rmt_edge {
    uint64_t line, other;   /* from which to which */
    uint64_t place;         /* id of the version that has it; of a head RMT_PLACE_HEAD */
    uint64_t id, number;    /* of the snapshot that it leads to */
    uint64_t best_id, best; /* the same of the newest so far */
};
#define RMT_PLACE_HEAD UINT64_MAX

static inline uint64_t rmt_line_place(const struct rmt_version *v)
{
    return v->flags & RMT_VERSION_HEAD ? RMT_PLACE_HEAD : v->id;
}

/* A version has merged another, or that need not be said any more. Cost: a lookup, and one for each
 * edge behind it that leads to something older than what goes or comes. */
int rmt_line_put(struct rmt_commit *c, const struct rmt_version *v, const struct rmt_version *to);
int rmt_line_del(struct rmt_commit *c, const struct rmt_version *v, const struct rmt_version *to);
/* A version stands on another (number 0: on nothing), or does so no more: an edge, or none. */
int rmt_line_stand(struct rmt_commit *c, const struct rmt_version *v,
                   const struct rmt_version *prev);
int rmt_line_leave(struct rmt_commit *c, const struct rmt_version *v,
                   const struct rmt_version *prev);

/* What the versions of a line have up to a version, by edges between that line and others: the
 * newest of each. What a head stands on is not among it. Of a tree that is not written meanwhile.
 */
struct rmt_reach {
    struct rmt_cursor cursor; /* at the edge to be looked at next */
    uint64_t line, place;
    uint64_t from; /* the least number of another line that may come */
};
int rmt_reach_init(struct rmt_reach *reach, struct rmt_pages *pages, const struct rmt_tree *catalog,
                   const struct rmt_version *v);
void rmt_reach_fini(struct rmt_reach *reach);
RMT_AUTO_VALUE(rmt_reach_fini, struct rmt_reach)
/* 1: out is the next; 0: no more; or a code. Cost: a lookup, or none where there is but one. */
int rmt_reach_next(struct rmt_reach *reach, struct rmt_edge *out);

/* Calls report for each version that is not on its line, and for what is wrong with keys e. What
 * else is wrong with versions, and with what they have merged, it passes over. Returns 0, or why
 * something could not be read. */
int rmt_lines_check(struct rmt_pages *pages, const struct rmt_tree *catalog, ramet_report_fn report,
                    void *ctx);

#endif
