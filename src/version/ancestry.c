/* SPDX-License-Identifier: MIT */
#include "version/ancestry.h"

#include "store/ancestors.h"
#include "store/lines.h"

#define ARM_MAX 4096  /* snapshots that are looked at one by one, to spare the search */
#define STEPS 32      /* of a search by versions, before that by lines has its turn */
#define LINE_STEPS 16 /* of that one, which take as long */

/* ---- the search ------------------------------------------------------------------------------ */

enum { OF_A = 1, OF_B = 2, OLD = 4 /* something that both have leads to it */ };

/* Numbers with something about each, not 0; open addressing. */
struct table {
    struct noted {
        uint64_t number;
        uint32_t what; /* 0: this place is free */
    } * items;
    size_t size; /* a power of two */
    size_t count;
};

struct spot {
    struct rmt_version version; /* by lines: number, id and line alone */
    unsigned paint;
};

struct search {
    struct rmt_pages *pages;
    const struct rmt_tree *catalog;
    bool by_lines;
    RMT_VEC(struct spot) spots; /* all that were met */
    RMT_VEC(uint32_t) queue;    /* a heap, newest on top, of spots to go on from */
    struct table places;        /* of versions: 1 + index of its spot */
    struct table lines;         /* the paint of what was looked at of each */
    size_t fresh;               /* in the queue and not OLD */
    struct rmt_numbers best;
    bool reaching; /* what this version has of other lines is being met */
    struct spot from;
    struct rmt_reach reach;
};

static void search_fini(struct search *s)
{
    rmt_vec_fini(&s->spots);
    rmt_vec_fini(&s->queue);
    free(s->places.items);
    free(s->lines.items);
    rmt_numbers_fini(&s->best);
    if (s->reaching)
        rmt_reach_fini(&s->reach);
}
RMT_AUTO_VALUE(search_fini, struct search)

static struct noted *place_of(const struct table *t, uint64_t number)
{
    size_t at = (size_t)(number * 0x9e3779b97f4a7c15) & (t->size - 1);
    while (t->items[at].what && t->items[at].number != number)
        at = (at + 1) & (t->size - 1);
    return &t->items[at];
}

/* What is noted about a number, until the next call; 0: nothing, and the caller changes that. NULL:
 * there is no memory. */
static uint32_t *note_of(struct table *t, uint64_t number)
{
    if (2 * t->count >= t->size) {
        struct table old = *t;
        t->size = rmt_max(2 * old.size, (size_t)64);
        t->items = calloc(t->size, sizeof(*t->items));
        if (!t->items) {
            *t = old;
            (void)rmt_fail(-ENOMEM, "a merge base");
            return NULL;
        }
        for (size_t i = 0; i < old.size; i++) {
            if (old.items[i].what)
                *place_of(t, old.items[i].number) = old.items[i];
        }
        free(old.items);
    }
    struct noted *noted = place_of(t, number);
    t->count += !noted->what;
    noted->number = number;
    return &noted->what;
}

static bool newer(const struct search *s, size_t i, size_t j)
{
    return s->spots.items[s->queue.items[i]].version.id >
           s->spots.items[s->queue.items[j]].version.id;
}

static void swap(struct search *s, size_t i, size_t j)
{
    uint32_t spot = s->queue.items[i];
    s->queue.items[i] = s->queue.items[j];
    s->queue.items[j] = spot;
}

static int push(struct search *s, uint32_t spot)
{
    if (!rmt_vec_push(&s->queue, spot))
        return rmt_fail(-ENOMEM, "a merge base");
    for (size_t i = s->queue.count - 1; i > 0 && newer(s, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(s, i, (i - 1) / 2);
    return 0;
}

static uint32_t pop(struct search *s)
{
    uint32_t top = s->queue.items[0];
    s->queue.items[0] = s->queue.items[--s->queue.count];
    for (size_t i = 0;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < s->queue.count && newer(s, child + 1, child))
            child++;
        if (child >= s->queue.count || !newer(s, child, i))
            return top;
        swap(s, i, child);
        i = child;
    }
}

/* A version is met: it has a colour more. Whatever leads to it is newer (of: NULL, or the one that
 * does) and was met before. known: NULL, or what a spot needs of it. */
static int meet(struct search *s, uint64_t number, const struct rmt_version *known,
                const struct rmt_version *of, unsigned paint)
{
    uint32_t *place = note_of(&s->places, number);
    if (!place)
        return -ENOMEM;
    if (*place) {
        struct spot *spot = &s->spots.items[*place - 1];
        int rc = of ? rmt_version_older(s->pages, &spot->version, of) : 0;
        if (rc < 0)
            return rc;
        s->fresh -= !(spot->paint & OLD) && paint & OLD;
        spot->paint |= paint;
        return 0;
    }
    *place = (uint32_t)s->spots.count + 1;
    struct spot spot = {.paint = paint};
    int rc = 0;
    if (known)
        spot.version = *known;
    else
        rc = rmt_catalog_version(s->pages, s->catalog, number, &spot.version);
    if (rc == 0 && of)
        rc = rmt_version_older(s->pages, &spot.version, of);
    if (rc < 0)
        return rc;
    if (!rmt_vec_push(&s->spots, spot))
        return rmt_fail(-ENOMEM, "a merge base");
    s->fresh += !(paint & OLD);
    return push(s, (uint32_t)s->spots.count - 1);
}

/* To what a version stands on, and what it has merged. */
static int go_on(struct search *s, const struct rmt_version *v, unsigned paint)
{
    int rc = v->prev ? meet(s, v->prev, NULL, v, paint) : 0;
    if (rc < 0 || !(v->flags & RMT_VERSION_MERGED))
        return rc;
    rmt_auto(rmt_numbers_fini) struct rmt_numbers sources = {0};
    rc = rmt_merged_sources(s->pages, s->catalog, v->number, &sources);
    for (size_t i = 0; rc == 0 && i < sources.count; i++)
        rc = meet(s, sources.items[i], NULL, v, paint);
    return rc;
}

/* To the newest that a version, or what is before it on its line, has of each other line. */
static int go_on_by_lines(struct search *s, const struct rmt_version *v, unsigned paint)
{
    s->reaching = true;
    s->from = (struct spot){*v, paint};
    int rc = rmt_reach_init(&s->reach, s->pages, s->catalog, v);
    return rc < 0 || !(v->flags & RMT_VERSION_HEAD) || !v->prev ? rc
                                                                : meet(s, v->prev, NULL, v, paint);
}

/* The next of these. */
static int reach_on(struct search *s)
{
    struct rmt_edge edge;
    int rc = rmt_reach_next(&s->reach, &edge);
    if (rc > 0) {
        struct rmt_version best = {.number = edge.best, .id = edge.best_id, .line = edge.other};
        return meet(s, best.number, &best, &s->from.version, s->from.paint);
    }
    rmt_reach_fini(&s->reach);
    s->reaching = false;
    return rc;
}

/* By lines: what a line was painted so far, up to some version after this one, this one is too. 0:
 * and it adds nothing to that, nor does what is before it. */
static int add_line(struct search *s, struct spot *spot)
{
    uint32_t *had = note_of(&s->lines, spot->version.line);
    if (!had)
        return -ENOMEM;
    unsigned paint = spot->paint | *had;
    bool more = paint != *had;
    *had = spot->paint = paint;
    return more;
}

/* Looks at the newest that was met, and goes on from there. */
static int look(struct search *s)
{
    struct spot spot = s->spots.items[pop(s)];
    s->fresh -= !(spot.paint & OLD);
    int rc = s->by_lines ? add_line(s, &spot) : 1;
    if (rc <= 0)
        return rc;
    if (spot.paint == (OF_A | OF_B)) {
        spot.paint |= OLD;
        if (!rmt_vec_push(&s->best, spot.version.number))
            return rmt_fail(-ENOMEM, "a merge base");
    }
    return s->by_lines ? go_on_by_lines(s, &spot.version, spot.paint)
                       : go_on(s, &spot.version, spot.paint);
}

/* What is still to be met, or looked at, is all OLD. */
static bool is_over(const struct search *s)
{
    return !s->fresh && (!s->reaching || s->from.paint & OLD);
}

/* Some steps of a search. 1: it is over. */
static int search(struct search *s, size_t steps)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < steps && !is_over(s); i++)
        rc = s->reaching ? reach_on(s) : look(s);
    return rc < 0 ? rc : is_over(s);
}

/* What a search begins with. */
static int begin(struct search *s, const uint64_t *a, size_t nr_a, uint64_t b)
{
    int rc = meet(s, b, NULL, NULL, OF_B);
    for (size_t i = 0; rc == 0 && i < nr_a; i++)
        rc = meet(s, a[i], NULL, NULL, OF_A);
    return rc;
}

/* What a search that is over found is added. */
static int finish(const struct search *s, struct rmt_numbers *out)
{
    for (size_t i = 0; i < s->best.count; i++) {
        if (!rmt_vec_push(out, s->best.items[i]))
            return rmt_fail(-ENOMEM, "a merge base");
    }
    return 1;
}

int rmt_ancestry_search(struct rmt_pages *pages, const struct rmt_tree *catalog, const uint64_t *a,
                        size_t nr_a, uint64_t b, bool by_lines, size_t steps,
                        struct rmt_numbers *out)
{
    rmt_auto(search_fini) struct search s = {pages, catalog, by_lines};
    int rc = begin(&s, a, nr_a, b);
    if (rc == 0)
        rc = search(&s, steps);
    return rc <= 0 ? rc : finish(&s, out);
}

int rmt_ancestry_best_of_all(struct rmt_pages *pages, const struct rmt_tree *catalog,
                             const uint64_t *a, size_t nr_a, uint64_t b, struct rmt_numbers *out)
{
    rmt_auto(search_fini) struct search by_versions = {pages, catalog, false};
    rmt_auto(search_fini) struct search by_lines = {pages, catalog, true};
    int rc = begin(&by_versions, a, nr_a, b);
    if (rc == 0)
        rc = search(&by_versions, STEPS);
    if (rc == 0)
        rc = begin(&by_lines, a, nr_a, b);
    struct search *turn = &by_versions;
    while (rc == 0) {
        turn = turn == &by_lines ? &by_versions : &by_lines;
        rc = search(turn, turn == &by_lines ? LINE_STEPS : STEPS);
    }
    if (rc > 0)
        rc = finish(turn, out);
    return rc < 0 ? rc : 0;
}

/* ---- without it ------------------------------------------------------------------------------ */

/* 1 if, from a version up to a snapshot that it stands on, nothing was merged and nobody else
 * stands on anything, or has merged it: then the other one has nothing of it. 0: that cannot be
 * said. */
static int untouched(struct rmt_pages *pages, const struct rmt_tree *catalog,
                     const struct rmt_version *from, const struct rmt_version *to)
{
    struct rmt_version v = *from;
    uint64_t child = v.children == 1 ? v.child : 0; /* its branch's head, unless that is what is */
    if (child) {                                    /* further on */
        struct rmt_version head;
        int rc = rmt_catalog_version(pages, catalog, child, &head);
        if (rc < 0)
            return rc;
        if (!(head.flags & RMT_VERSION_HEAD) || head.flags & RMT_VERSION_SOURCE)
            return 0;
    }
    for (int i = 0; i < ARM_MAX; i++) {
        if (v.number == to->number)
            return 1;
        if (v.flags & (RMT_VERSION_MERGED | RMT_VERSION_SOURCE) || v.children > 1 || !v.prev ||
            (v.children == 1 && v.child != child))
            return 0;
        child = v.number;
        int rc = rmt_catalog_version(pages, catalog, v.prev, &v);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* 1: a snapshot that both have is the only best one. */
static int is_only(struct rmt_pages *pages, const struct rmt_tree *catalog,
                   const struct rmt_version *a, const struct rmt_version *b,
                   const struct rmt_version *common)
{
    int rc = 0;
    if (a->merges == common->merges && b->merges == common->merges)
        return 1;
    if (a->merges == common->merges)
        rc = untouched(pages, catalog, a, common);
    if (rc == 0 && b->merges == common->merges)
        rc = untouched(pages, catalog, b, common);
    return rc;
}

/* A snapshot that one of the two stands on, and that the other has merged: the same, seen from its
 * side. */
static int is_base(struct rmt_pages *pages, const struct rmt_tree *catalog,
                   const struct rmt_version *v, const struct rmt_version *base)
{
    int rc =
        v->merges == base->merges ? rmt_ancestor_is(pages, catalog, v, base->number, base->id) : 0;
    return rc <= 0 ? rc : untouched(pages, catalog, v, base);
}

/* The same, of the base that is pinned for merges of one branch into another. */
static int is_pinned_base(struct rmt_pages *pages, const struct rmt_tree *catalog,
                          const struct rmt_side *source, const struct rmt_side *target,
                          struct rmt_version *out)
{
    struct rmt_pin pin;
    if (!source->branch || !target->branch || target->past)
        return 0;
    int rc = rmt_pin_find(pages, catalog, source->branch, target->branch, &pin);
    if (rc == RAMET_ENOTFOUND || (rc == 0 && !pin.base))
        return 0;
    if (rc == 0)
        rc = rmt_catalog_version(pages, catalog, pin.base, out);
    return rc < 0 ? rc : is_base(pages, catalog, &source->version, out);
}

int rmt_ancestry_best(struct rmt_pages *pages, const struct rmt_tree *catalog,
                      const struct rmt_side *a, const struct rmt_side *b, struct rmt_numbers *out)
{
    struct rmt_side x = *a, y = *b;
    struct rmt_version common;
    int rc = rmt_ancestor_settle(pages, catalog, &x.version);
    if (rc == 0)
        rc = rmt_ancestor_settle(pages, catalog, &y.version);
    if (rc == 0)
        rc = is_pinned_base(pages, catalog, &x, &y, &common);
    if (rc == 0)
        rc = is_pinned_base(pages, catalog, &y, &x, &common);
    if (rc == 0) {
        rc = rmt_ancestor_common(pages, catalog, &x.version, &y.version, &common);
        if (rc > 0)
            rc = is_only(pages, catalog, &x.version, &y.version, &common);
    }
    if (rc > 0)
        return rmt_vec_push(out, common.number) ? 0 : rmt_fail(-ENOMEM, "a merge base");
    if (rc < 0)
        return rc;
    return rmt_ancestry_best_of_all(pages, catalog, &x.version.number, 1, y.version.number, out);
}
