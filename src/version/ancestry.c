/* SPDX-License-Identifier: MIT */
#include "version/ancestry.h"

#include "store/ancestors.h"

#define ARM_MAX 4096 /* snapshots that are looked at one by one, to spare the search */

/* ---- the search ------------------------------------------------------------------------------ */

enum { OF_A = 1, OF_B = 2, OLD = 4 /* something that both have leads to it */ };

struct spot {
    struct rmt_version version;
    unsigned paint;
};

struct search {
    struct rmt_pages *pages;
    const struct rmt_tree *catalog;
    RMT_VEC(struct spot) spots; /* all that were met */
    RMT_VEC(uint32_t) queue;    /* a heap, newest on top, of spots to go on from */
    uint32_t *table;            /* number -> 1 + index of its spot; open addressing */
    size_t size;                /* of table, a power of two */
    size_t fresh;               /* in the queue and not OLD */
};

static void search_fini(struct search *s)
{
    rmt_vec_fini(&s->spots);
    rmt_vec_fini(&s->queue);
    free(s->table);
}
RMT_AUTO_VALUE(search_fini, struct search)

static size_t place_of(const struct search *s, uint64_t number)
{
    size_t at = (size_t)(number * 0x9e3779b97f4a7c15) & (s->size - 1);
    while (s->table[at] && s->spots.items[s->table[at] - 1].version.number != number)
        at = (at + 1) & (s->size - 1);
    return at;
}

static int grow(struct search *s)
{
    if (2 * s->spots.count < s->size)
        return 0;
    uint32_t *old = s->table;
    s->size = rmt_max(2 * s->size, (size_t)64);
    s->table = calloc(s->size, sizeof(*s->table));
    if (!s->table) {
        s->table = old;
        return rmt_fail(-ENOMEM, "a merge base");
    }
    for (uint32_t i = 0; i < s->spots.count; i++)
        s->table[place_of(s, s->spots.items[i].version.number)] = i + 1;
    free(old);
    return 0;
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
 * does) and was met before. */
static int meet(struct search *s, uint64_t number, const struct rmt_version *known,
                const struct rmt_version *of, unsigned paint)
{
    int rc = grow(s);
    if (rc < 0)
        return rc;
    size_t at = place_of(s, number);
    if (s->table[at]) {
        struct spot *spot = &s->spots.items[s->table[at] - 1];
        rc = of ? rmt_version_older(s->pages, &spot->version, of) : 0;
        if (rc < 0)
            return rc;
        s->fresh -= !(spot->paint & OLD) && paint & OLD;
        spot->paint |= paint;
        return 0;
    }
    struct spot spot = {.paint = paint};
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
    s->table[at] = (uint32_t)s->spots.count;
    s->fresh += !(paint & OLD);
    return push(s, (uint32_t)s->spots.count - 1);
}

static int go_on(struct search *s, const struct spot *from)
{
    const struct rmt_version *v = &from->version;
    int rc = v->prev ? meet(s, v->prev, NULL, v, from->paint) : 0;
    if (rc < 0 || !(v->flags & RMT_VERSION_MERGED))
        return rc;
    rmt_auto(rmt_numbers_fini) struct rmt_numbers sources = {0};
    rc = rmt_merged_sources(s->pages, s->catalog, v->number, &sources);
    for (size_t i = 0; rc == 0 && i < sources.count; i++)
        rc = meet(s, sources.items[i], NULL, v, from->paint);
    return rc;
}

/* Goes on from what was met. */
static int search(struct search *s, struct rmt_numbers *out)
{
    int rc = 0;
    while (rc == 0 && s->fresh) {
        struct spot *spot = &s->spots.items[pop(s)];
        if (!(spot->paint & OLD)) {
            s->fresh--;
            if ((spot->paint & (OF_A | OF_B)) == (OF_A | OF_B)) {
                spot->paint |= OLD;
                if (!rmt_vec_push(out, spot->version.number))
                    return rmt_fail(-ENOMEM, "a merge base");
            }
        }
        struct spot from = *spot; /* they move when there are more */
        rc = go_on(s, &from);
    }
    return rc;
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
    rmt_auto(search_fini) struct search s = {.pages = pages, .catalog = catalog};
    if (rc == 0)
        rc = meet(&s, x.version.number, &x.version, NULL, OF_A);
    if (rc == 0)
        rc = meet(&s, y.version.number, &y.version, NULL, OF_B);
    return rc < 0 ? rc : search(&s, out);
}

int rmt_ancestry_best_of_all(struct rmt_pages *pages, const struct rmt_tree *catalog,
                             const uint64_t *a, size_t nr_a, uint64_t b, struct rmt_numbers *out)
{
    rmt_auto(search_fini) struct search s = {.pages = pages, .catalog = catalog};
    int rc = meet(&s, b, NULL, NULL, OF_B);
    for (size_t i = 0; rc == 0 && i < nr_a; i++)
        rc = meet(&s, a[i], NULL, NULL, OF_A);
    return rc < 0 ? rc : search(&s, out);
}
