/* SPDX-License-Identifier: MIT */
#include "store/merged.h"

#include "store/ancestors.h"
#include "store/lines.h"
#include "store/versions.h"

void rmt_numbers_fini(struct rmt_numbers *numbers)
{
    rmt_vec_fini(numbers);
}

/* The numbers at the ends of keys of two numbers that begin with kind and a. */
static int seconds(struct rmt_pages *pages, const struct rmt_tree *catalog, char kind, uint64_t a,
                   struct rmt_numbers *out)
{
    struct rmt_key prefix = rmt_key1(kind, a);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, pages, catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        if (scan.key.size != 8)
            return rmt_fail(RAMET_ECORRUPT, "store '%s': a key '%c' of the catalog is malformed",
                            pages->io->path, kind);
        if (!rmt_vec_push(out, rmt_get_be64(scan.key.data)))
            return rmt_fail(-ENOMEM, "what was merged");
    }
    return rc;
}

/* ---- who has merged whom --------------------------------------------------------------------- */

int rmt_merged_sources(struct rmt_pages *pages, const struct rmt_tree *catalog, uint64_t number,
                       struct rmt_numbers *out)
{
    return seconds(pages, catalog, 'g', number, out);
}

static int put_edge(struct rmt_commit *c, const struct rmt_version *version,
                    const struct rmt_version *source)
{
    struct rmt_key key = rmt_key2('g', version->number, source->number);
    struct rmt_key back = rmt_key2('G', source->number, version->number);
    int rc = rmt_catalog_put(c, &key, "", 0);
    if (rc == 0)
        rc = rmt_catalog_put(c, &back, "", 0);
    return rc < 0 ? rc : rmt_line_put(c, version, source);
}

static int del_edge(struct rmt_commit *c, const struct rmt_version *version,
                    const struct rmt_version *source)
{
    struct rmt_key key = rmt_key2('g', version->number, source->number);
    struct rmt_key back = rmt_key2('G', source->number, version->number);
    int rc = rmt_catalog_del(c, &key);
    if (rc == 0)
        rc = rmt_catalog_del(c, &back);
    return rc < 0 ? rc : rmt_line_del(c, version, source);
}

/* The same, by its number. */
static int del_edge_to(struct rmt_commit *c, const struct rmt_version *version, uint64_t number)
{
    struct rmt_version source;
    int rc = rmt_catalog_version(&c->store->pages, &c->catalog, number, &source);
    return rc < 0 ? rc : del_edge(c, version, &source);
}

/*
 * A version has merged a snapshot, if that says anything new: not if it stands on it, or has merged
 * what stands on it; and what it had merged, and the snapshot stands on, need not be said any more.
 * (E2) Both are as they were, but for the snapshot's flags, which are written.
 */
static int join(struct rmt_commit *c, const struct rmt_version *version, uint64_t number)
{
    struct rmt_pages *pages = &c->store->pages;
    rmt_auto(rmt_numbers_fini) struct rmt_numbers others = {0};
    struct rmt_version source, other;
    int rc = rmt_catalog_version(pages, &c->catalog, number, &source);
    if (rc == 0)
        rc = rmt_ancestor_is(pages, &c->catalog, version, number, source.id);
    if (rc == 0)
        rc = rmt_merged_sources(pages, &c->catalog, version->number, &others);
    for (size_t i = 0; rc == 0 && i < others.count; i++) {
        rc = rmt_catalog_version(pages, &c->catalog, others.items[i], &other);
        if (rc == 0)
            rc = rmt_ancestor_is(pages, &c->catalog, &other, number, source.id);
        int covers = rc;
        if (rc == 0)
            covers = rmt_ancestor_is(pages, &c->catalog, &source, other.number, other.id);
        if (rc == 0 && covers < 0)
            rc = covers;
        if (rc == 0 && covers)
            rc = del_edge(c, version, &other);
        if (rc == 0 && covers)
            rc = rmt_version_tidy(c, other.number);
    }
    if (rc != 0) /* it says nothing new, or a failure */
        return rc < 0 ? rc : rmt_version_tidy(c, number);
    rc = put_edge(c, version, &source);
    source.flags |= RMT_VERSION_SOURCE;
    return rc < 0 ? rc : rmt_catalog_put_version(c, &source);
}

int rmt_merged_add(struct rmt_commit *c, struct rmt_version *version, uint64_t source)
{
    int rc = join(c, version, source);
    version->merges += !(version->flags & RMT_VERSION_MERGED);
    version->flags |= RMT_VERSION_MERGED;
    return rc < 0 ? rc : rmt_catalog_put_version(c, version);
}

int rmt_merged_move(struct rmt_commit *c, struct rmt_version *from, struct rmt_version *to)
{
    rmt_auto(rmt_numbers_fini) struct rmt_numbers sources = {0};
    if (!(from->flags & RMT_VERSION_MERGED))
        return 0;
    int rc = rmt_merged_sources(&c->store->pages, &c->catalog, from->number, &sources);
    for (size_t i = 0; rc == 0 && i < sources.count; i++) {
        rc = del_edge_to(c, from, sources.items[i]);
        if (rc == 0)
            rc = join(c, to, sources.items[i]);
    }
    from->flags &= ~RMT_VERSION_MERGED;
    to->flags |= RMT_VERSION_MERGED;
    return rc;
}

int rmt_merged_by_any(struct rmt_commit *c, const struct rmt_version *version)
{
    struct rmt_key prefix = rmt_key1('G', version->number);
    if (!(version->flags & RMT_VERSION_SOURCE))
        return 0;
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
    return rmt_scan_next(&scan);
}

/* A version lost one that it had merged. */
static int lessen(struct rmt_commit *c, struct rmt_version *version)
{
    rmt_auto(rmt_numbers_fini) struct rmt_numbers left = {0};
    int rc = rmt_merged_sources(&c->store->pages, &c->catalog, version->number, &left);
    if (rc < 0 || left.count)
        return rc;
    version->flags &= ~RMT_VERSION_MERGED;
    return rmt_catalog_put_version(c, version);
}

/* A version goes: its heirs are what it stood on, and what it had merged. (E2) */
static int pass_on(struct rmt_commit *c, const struct rmt_version *version,
                   const struct rmt_numbers *heirs)
{
    struct rmt_pages *pages = &c->store->pages;
    rmt_auto(rmt_numbers_fini) struct rmt_numbers users = {0};
    int rc = seconds(pages, &c->catalog, 'G', version->number, &users);
    for (size_t i = 0; rc == 0 && i < users.count; i++) {
        struct rmt_version user;
        rc = rmt_catalog_version(pages, &c->catalog, users.items[i], &user);
        if (rc == 0)
            rc = del_edge(c, &user, version);
        for (size_t j = 0; rc == 0 && j < heirs->count; j++)
            rc = join(c, &user, heirs->items[j]);
        if (rc == 0)
            rc = lessen(c, &user);
    }
    return rc;
}

int rmt_merged_drop(struct rmt_commit *c, struct rmt_version *version, struct rmt_version *child)
{
    rmt_auto(rmt_numbers_fini) struct rmt_numbers heirs = {0};
    if (child)
        return rmt_merged_move(c, version, child);
    int rc = 0;
    if (version->flags & RMT_VERSION_MERGED)
        rc = rmt_merged_sources(&c->store->pages, &c->catalog, version->number, &heirs);
    size_t nr_sources = heirs.count;
    if (rc == 0 && version->prev && !rmt_vec_push(&heirs, version->prev))
        rc = rmt_fail(-ENOMEM, "what was merged");
    if (rc == 0 && version->flags & RMT_VERSION_SOURCE)
        rc = pass_on(c, version, &heirs);
    for (size_t i = 0; rc == 0 && i < nr_sources; i++) {
        rc = del_edge_to(c, version, heirs.items[i]);
        if (rc == 0)
            rc = rmt_version_tidy(c, heirs.items[i]);
    }
    return rc;
}

/* ---- pins ------------------------------------------------------------------------------------ */

int rmt_pin_find(struct rmt_pages *pages, const struct rmt_tree *catalog, uint64_t source,
                 uint64_t target, struct rmt_pin *out)
{
    struct rmt_key key = rmt_key2('p', source, target);
    struct rmt_disk_pin disk;
    int rc = rmt_catalog_get(pages, catalog, &key, &disk, sizeof(disk));
    if (rc < 0)
        return rc;
    *out = (struct rmt_pin){source, target, rmt_get64(disk.base), rmt_get64(disk.next)};
    return 0;
}

/* Writes one; without a snapshot it goes. */
static int put_pin(struct rmt_commit *c, const struct rmt_pin *pin)
{
    struct rmt_key key = rmt_key2('p', pin->source, pin->target);
    struct rmt_key back = rmt_key2('P', pin->target, pin->source);
    struct rmt_disk_pin disk = {rmt_put64(pin->base), rmt_put64(pin->next)};
    if (!pin->base && !pin->next) {
        int rc = rmt_catalog_del(c, &key);
        return rc < 0 ? rc : rmt_catalog_del(c, &back);
    }
    int rc = rmt_catalog_put(c, &key, &disk, sizeof(disk));
    return rc < 0 ? rc : rmt_catalog_put(c, &back, "", 0);
}

static int unpin(struct rmt_commit *c, uint64_t number)
{
    return number ? rmt_version_unpin(c, number) : 0;
}

int rmt_pin_begin(struct rmt_commit *c, uint64_t source, uint64_t target, uint64_t number)
{
    struct rmt_pin pin = {.source = source, .target = target};
    int rc = rmt_pin_find(&c->store->pages, &c->catalog, source, target, &pin);
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rc;
    uint64_t left = pin.next;
    pin.next = number;
    rc = rmt_version_pin(c, number);
    if (rc == 0)
        rc = put_pin(c, &pin);
    return rc < 0 ? rc : unpin(c, left);
}

int rmt_pin_end(struct rmt_commit *c, uint64_t source, uint64_t target, uint64_t number,
                bool merged)
{
    struct rmt_pin pin;
    int rc = rmt_pin_find(&c->store->pages, &c->catalog, source, target, &pin);
    if (rc == RAMET_ENOTFOUND) /* a branch of the two was dropped meanwhile */
        return 0;
    if (rc < 0 || pin.next != number)
        return rc;
    uint64_t left = pin.next;
    if (merged && source) {
        left = pin.base;
        pin.base = pin.next;
    }
    pin.next = 0;
    rc = put_pin(c, &pin);
    return rc < 0 ? rc : unpin(c, left);
}

static int drop_pin(struct rmt_commit *c, uint64_t source, uint64_t target)
{
    struct rmt_pin pin;
    int rc = rmt_pin_find(&c->store->pages, &c->catalog, source, target, &pin);
    if (rc < 0)
        return rc;
    uint64_t base = pin.base, next = pin.next;
    pin.base = pin.next = 0;
    rc = put_pin(c, &pin);
    if (rc == 0)
        rc = unpin(c, base);
    return rc < 0 ? rc : unpin(c, next);
}

int rmt_pin_drop(struct rmt_commit *c, uint64_t branch)
{
    rmt_auto(rmt_numbers_fini) struct rmt_numbers targets = {0};
    rmt_auto(rmt_numbers_fini) struct rmt_numbers sources = {0};
    int rc = seconds(&c->store->pages, &c->catalog, 'p', branch, &targets);
    for (size_t i = 0; rc == 0 && i < targets.count; i++)
        rc = drop_pin(c, branch, targets.items[i]);
    if (rc == 0)
        rc = seconds(&c->store->pages, &c->catalog, 'P', branch, &sources);
    for (size_t i = 0; rc == 0 && i < sources.count; i++)
        rc = drop_pin(c, sources.items[i], branch);
    return rc;
}
