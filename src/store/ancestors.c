/* SPDX-License-Identifier: MIT */
#include "store/ancestors.h"

/* 1: out is what v jumps to; 0: nothing, or it was pruned. */
static int skip_of(struct rmt_pages *pages, const struct rmt_tree *catalog,
                   const struct rmt_version *v, struct rmt_version *out)
{
    if (!v->skip)
        return 0;
    int rc = rmt_catalog_find_version(pages, catalog, v->skip, out);
    if (rc == RAMET_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = rmt_version_older(pages, out, v);
    return rc < 0 ? rc : 1;
}

int rmt_ancestor_settle(struct rmt_pages *pages, const struct rmt_tree *catalog,
                        struct rmt_version *v)
{
    struct rmt_version prev;
    if (!(v->flags & RMT_VERSION_HEAD) || !v->prev)
        return 0;
    int rc = rmt_catalog_below(pages, catalog, v, &prev);
    if (rc == 0 && prev.id == v->id)
        *v = prev;
    return rc;
}

int rmt_ancestor_climb(struct rmt_pages *pages, const struct rmt_tree *catalog,
                       struct rmt_version *v, uint64_t id)
{
    struct rmt_version at = *v, next;
    while (at.id > id) {
        int rc = skip_of(pages, catalog, &at, &next);
        if (rc < 0)
            return rc;
        if (rc == 0 || next.id < id) {
            if (!at.prev)
                return 0;
            rc = rmt_catalog_below(pages, catalog, &at, &next);
            if (rc < 0)
                return rc;
        }
        at = next;
    }
    *v = at;
    return 1;
}

int rmt_ancestor_is(struct rmt_pages *pages, const struct rmt_tree *catalog,
                    const struct rmt_version *v, uint64_t number, uint64_t id)
{
    struct rmt_version at = *v;
    int rc = rmt_ancestor_settle(pages, catalog, &at);
    if (rc == 0)
        rc = rmt_ancestor_climb(pages, catalog, &at, id);
    return rc <= 0 ? rc : at.number == number;
}

/*
 * Goes up from the newer of the two, and by a jump if that does not lead to a common ancestor: for
 * a newer one may be passed over. How far up a jump is known to be of no use, is remembered.
 */
int rmt_ancestor_common(struct rmt_pages *pages, const struct rmt_tree *catalog,
                        const struct rmt_version *a, const struct rmt_version *b,
                        struct rmt_version *out)
{
    struct rmt_version x = *a, y = *b, to, other;
    uint64_t common = 0; /* id: this one is an ancestor of both, and so are those above it */
    int rc = rmt_ancestor_settle(pages, catalog, &x);
    if (rc == 0)
        rc = rmt_ancestor_settle(pages, catalog, &y);
    while (rc >= 0 && x.number != y.number) {
        if (x.id < y.id) {
            to = x;
            x = y;
            y = to;
        }
        rc = skip_of(pages, catalog, &x, &to);
        if (rc > 0 && to.id > common) {
            other = y;
            rc = rmt_ancestor_climb(pages, catalog, &other, to.id);
            if (rc < 0)
                return rc;
            if (rc == 0)
                return 0; /* all of y's are newer: there is no common one */
            if (other.number != to.number) {
                x = to;
                y = other;
                continue;
            }
            common = to.id;
        }
        if (rc < 0)
            return rc;
        if (!x.prev)
            return 0;
        to = x;
        rc = rmt_catalog_below(pages, catalog, &to, &x);
    }
    if (rc < 0)
        return rc;
    *out = x;
    return 1;
}
