/* SPDX-License-Identifier: MIT */
#include "store/versions.h"

#include <inttypes.h>

#include "store/lines.h"
#include "store/list.h"
#include "store/merged.h"

#define MESSAGE_INLINE 480 /* bytes; with an author of 255 a record stays in its leaf */
#define MESSAGE_CHUNK 900

static int get_version(struct rmt_commit *c, uint64_t number, struct rmt_version *out)
{
    return rmt_catalog_version(&c->store->pages, &c->catalog, number, out);
}

int rmt_version_horizon(struct rmt_pages *pages, const struct rmt_tree *catalog,
                        const struct rmt_version *v, uint64_t *out)
{
    struct rmt_version prev = {.id = 0};
    int rc = v->prev ? rmt_catalog_version(pages, catalog, v->prev, &prev) : 0;
    if (rc == 0)
        *out = prev.id;
    return rc;
}

/* ---- moving a head --------------------------------------------------------------------------- */

int rmt_version_move(struct rmt_commit *c, struct rmt_version *head, struct rmt_ref root,
                     uint64_t written, const struct rmt_runs *gone)
{
    uint64_t horizon, freed = 0, lost = 0;
    int rc = rmt_version_horizon(&c->store->pages, &c->catalog, head, &horizon);
    if (rc < 0)
        return rc;
    struct rmt_runs dead = {0};
    for (size_t i = 0; i < gone->count && rc == 0; i++) {
        struct rmt_run run = gone->items[i];
        rmt_leaf_gone(&c->store->pages, run, c->id);
        lost += run.len;
        if (run.birth > horizon) {
            freed += run.len;
            rc = rmt_commit_limbo(c, run.addr, run.len, run.birth);
        } else if (!rmt_vec_push(&dead, run)) {
            rc = rmt_fail(-ENOMEM, "a commit");
        }
    }
    if (rc == 0)
        rc = rmt_dead_add(c, head, &dead);
    rmt_vec_fini(&dead);
    if (rc < 0)
        return rc;
    if (head->owned_pages < freed || head->total_pages < lost)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': version %" PRIu64 " has fewer pages than were replaced in it",
                        c->store->io->path, head->id);
    head->id = c->id;
    head->root = root;
    head->time_us = c->state.time_us;
    head->owned_pages += written - freed;
    head->total_pages += written - lost;
    c->state.data_pages += written - freed;
    return rmt_catalog_put_version(c, head);
}

/* ---- snapshots and branches ------------------------------------------------------------------ */

/* An ancestor to jump to: skew-binary jump pointers (Myers, 1983), as far as the ancestors are
 * still there. */
static int find_skip(struct rmt_commit *c, const struct rmt_version *prev, uint64_t *out)
{
    struct rmt_version a, b;
    *out = prev->number;
    struct rmt_key key = rmt_key1('v', prev->skip);
    struct rmt_value value;
    if (!prev->skip || rmt_tree_get(&c->store->pages, &c->catalog, rmt_key_slice(&key), &value) < 0)
        return 0;
    int rc = get_version(c, prev->skip, &a);
    if (rc < 0 || !a.skip)
        return rc;
    key = rmt_key1('v', a.skip);
    if (rmt_tree_get(&c->store->pages, &c->catalog, rmt_key_slice(&key), &value) < 0)
        return 0;
    rc = get_version(c, a.skip, &b);
    if (rc == 0 && prev->generation - a.generation == a.generation - b.generation)
        *out = b.number;
    return rc;
}

int rmt_version_snapshot(struct rmt_commit *c, struct rmt_version *head, struct rmt_version *out)
{
    struct rmt_version prev = {.number = 0};
    int rc = head->prev ? get_version(c, head->prev, &prev) : 0;
    if (rc < 0)
        return rc;
    if (head->prev && head->id == prev.id) {
        *out = prev;
        return 0;
    }
    struct rmt_version snapshot = *head;
    snapshot.number = rmt_commit_number(c);
    snapshot.flags &= ~RMT_VERSION_HEAD;
    snapshot.children = 1;
    snapshot.child = head->number;
    snapshot.kept = snapshot.pinned = 0;
    snapshot.generation = prev.generation + 1;
    snapshot.parents[0] = prev.id;
    snapshot.parents[1] = 0; /* a head has those of the snapshot that it started at */
    if (head->prev) {
        rc = find_skip(c, &prev, &snapshot.skip);
        prev.child ^= head->number ^ snapshot.number;
        if (rc == 0)
            rc = rmt_catalog_put_version(c, &prev);
    }
    if (rc == 0)
        rc = rmt_line_stand(c, &snapshot, &prev);
    snapshot.merges = prev.merges + (head->flags & RMT_VERSION_MERGED ? 1 : 0);
    if (rc == 0)
        rc = rmt_merged_move(c, head, &snapshot);
    head->prev = snapshot.number;
    head->owned_pages = 0;
    head->merges = snapshot.merges;
    head->dead = rmt_commit_number(c);
    if (rc == 0)
        rc = rmt_catalog_put_version(c, head);
    if (rc == 0)
        rc = rmt_catalog_put_version(c, &snapshot);
    struct rmt_key key = rmt_key1('i', snapshot.id);
    if (rc == 0)
        rc = rmt_catalog_put_number(c, &key, snapshot.number);
    *out = snapshot;
    return rc;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* Writes a record k, and the rest of a long message. */
static int put_keep(struct rmt_commit *c, const struct rmt_key *key, const struct ramet_keep *keep)
{
    uint8_t record[sizeof(struct rmt_disk_keep) + RAMET_NAME_MAX + MESSAGE_INLINE];
    const char *author = or_empty(keep->author), *message = or_empty(keep->message);
    size_t nr_author = strlen(author), nr_message = strlen(message);
    size_t nr_here = rmt_min(nr_message, MESSAGE_INLINE);
    struct rmt_disk_keep disk = {
        .time_us = rmt_put64((uint64_t)c->state.time_us),
        .author_size = rmt_put32((uint32_t)nr_author),
        .message_size = rmt_put32((uint32_t)nr_message),
    };
    int rc = 0;
    if (nr_here < nr_message) {
        uint64_t number = rmt_commit_number(c);
        disk.message = rmt_put64(number);
        uint32_t chunk = 0;
        for (size_t at = nr_here; at < nr_message && rc == 0; at += MESSAGE_CHUNK) {
            struct rmt_key more = rmt_key_chunk('m', number, chunk++);
            rc = rmt_catalog_put(c, &more, message + at, rmt_min(nr_message - at, MESSAGE_CHUNK));
        }
    }
    memcpy(record, &disk, sizeof(disk));
    memcpy(record + sizeof(disk), author, nr_author);
    memcpy(record + sizeof(disk) + nr_author, message, nr_here);
    return rc < 0 ? rc : rmt_catalog_put(c, key, record, sizeof(disk) + nr_author + nr_here);
}

/* Removes a record k and the rest of its message. */
static int del_keep(struct rmt_commit *c, const struct rmt_key *key)
{
    struct rmt_disk_keep disk;
    int rc = rmt_catalog_get(&c->store->pages, &c->catalog, key, &disk, sizeof(disk));
    if (rc < 0)
        return rc;
    uint64_t rest = rmt_get32(disk.message_size);
    rest -= rmt_min(rest, MESSAGE_INLINE);
    for (uint32_t i = 0; rc == 0 && i < rmt_div_up(rest, MESSAGE_CHUNK); i++) {
        struct rmt_key more = rmt_key_chunk('m', rmt_get64(disk.message), i);
        rc = rmt_catalog_del(c, &more);
    }
    return rc < 0 ? rc : rmt_catalog_del(c, key);
}

static int keep_check(const struct ramet_keep *keep)
{
    int rc = keep->name ? rmt_name_check("snapshot", keep->name, false) : 0;
    if (rc == 0 && keep->author && *keep->author)
        rc = rmt_name_check("author", keep->author, true);
    if (rc == 0 && keep->message &&
        strnlen(keep->message, RAMET_MESSAGE_MAX + 1) > RAMET_MESSAGE_MAX)
        rc = rmt_fail(-EINVAL, "a message has at most %u bytes", RAMET_MESSAGE_MAX);
    return rc;
}

int rmt_version_keep(struct rmt_commit *c, const char *branch_name, struct rmt_branch *branch,
                     struct rmt_version *snapshot, const struct ramet_keep *keep)
{
    static const struct ramet_keep nothing = {.size = sizeof(nothing)};
    if (!keep)
        keep = &nothing;
    int rc = keep_check(keep);
    if (rc < 0)
        return rc;
    const char *name = or_empty(keep->name);
    struct rmt_key by_name = rmt_key1_name('n', branch->number, name);
    struct rmt_key key = rmt_key2_name('k', branch->number, snapshot->number, name);
    uint64_t other;
    if (*name) {
        rc = rmt_catalog_number(&c->store->pages, &c->catalog, &by_name, &other);
        if (rc == 0)
            return rmt_fail(-EEXIST, "'%s@%s': there is such a snapshot already", branch_name,
                            name);
        if (rc == RAMET_ENOTFOUND)
            rc = rmt_catalog_put_number(c, &by_name, snapshot->number);
        if (rc < 0)
            return rc;
    }
    rc = del_keep(c, &key);
    if (rc == RAMET_ENOTFOUND) {
        snapshot->kept++;
        branch->snapshots++;
        c->state.snapshots++;
        rc = rmt_catalog_put_version(c, snapshot);
        if (rc == 0)
            rc = rmt_catalog_put_branch(c, branch_name, branch);
    }
    return rc < 0 ? rc : put_keep(c, &key, keep);
}

/* A fresh head on a snapshot, with a number, for a branch that the caller writes. */
static int fresh_head(struct rmt_commit *c, struct rmt_version *snapshot, uint64_t number,
                      uint64_t *out)
{
    struct rmt_version head = *snapshot;
    head.number = head.line = number;
    head.prev = snapshot->number;
    head.flags = RMT_VERSION_HEAD;
    head.owned_pages = 0;
    head.dead = rmt_commit_number(c);
    head.children = head.kept = head.pinned = 0;
    head.child = 0;
    snapshot->children++;
    snapshot->child ^= head.number;
    int rc = rmt_catalog_put_version(c, &head);
    if (rc == 0)
        rc = rmt_catalog_put_version(c, snapshot);
    *out = head.number;
    return rc;
}

int rmt_version_branch(struct rmt_commit *c, const char *name, struct rmt_version *snapshot)
{
    struct rmt_branch branch = {
        .number = rmt_commit_number(c),
        .time_us = c->state.time_us,
    };
    int rc = fresh_head(c, snapshot, rmt_commit_number(c), &branch.head);
    c->state.branches++;
    return rc < 0 ? rc : rmt_catalog_put_branch(c, name, &branch);
}

/* ---- dropping -------------------------------------------------------------------------------- */

static int del_version(struct rmt_commit *c, const struct rmt_version *v)
{
    struct rmt_key key = rmt_key1('v', v->number);
    int rc = rmt_catalog_del(c, &key);
    if (rc == 0 && !(v->flags & RMT_VERSION_HEAD)) {
        key = rmt_key1('i', v->id);
        rc = rmt_catalog_del(c, &key);
    }
    return rc;
}

/* Detaches a leaf: its pages are freed by later commits, its deadlist is thrown away. (R4)
 * out_prev: what it stood on, or 0. */
static int sweep_later(struct rmt_commit *c, struct rmt_version *v, uint64_t *out_prev)
{
    struct rmt_version prev = {.number = 0};
    if (v->children)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': on version %" PRIu64 ", which is dropped, others stand",
                        c->store->io->path, v->id);
    int rc = rmt_merged_drop(c, v, NULL);
    if (rc == 0 && v->prev)
        rc = get_version(c, v->prev, &prev);
    if (rc == 0)
        rc = rmt_line_leave(c, v, &prev);
    if (rc == 0 && v->owned_pages) {
        struct rmt_disk_sweep sweep = {
            .horizon = rmt_put64(prev.id),
            .left = rmt_put64(v->owned_pages),
        };
        rmt_ref_store(&sweep.root, v->root);
        struct rmt_key key = rmt_key1('s', rmt_commit_number(c));
        rc = rmt_catalog_put(c, &key, &sweep, sizeof(sweep));
        c->state.data_pages -= v->owned_pages;
        c->state.unswept_pages += v->owned_pages;
    }
    if (rc == 0)
        rc = rmt_dead_drop(c, v->dead);
    if (rc == 0)
        rc = del_version(c, v);
    if (rc == 0 && v->prev) {
        prev.children--;
        prev.child ^= v->number;
        rc = rmt_catalog_put_version(c, &prev);
    }
    *out_prev = v->prev;
    return rc;
}

/* A snapshot that nobody keeps goes into its only child. (R5) */
static int fold(struct rmt_commit *c, struct rmt_version *snapshot)
{
    struct rmt_version child, prev = {.number = 0};
    int rc = get_version(c, snapshot->child, &child);
    if (rc == 0)
        rc = rmt_merged_drop(c, snapshot, &child);
    if (rc == 0 && snapshot->prev)
        rc = get_version(c, snapshot->prev, &prev);
    if (rc == 0)
        rc = rmt_line_leave(c, &child, snapshot);
    if (rc == 0)
        rc = rmt_line_leave(c, snapshot, &prev);
    if (rc == 0)
        rc = rmt_line_stand(c, &child, &prev);
    if (rc < 0)
        return rc;
    uint64_t freed;
    rc = rmt_dead_fold(c, snapshot, &child, prev.id, &freed);
    if (rc < 0)
        return rc;
    child.prev = snapshot->prev;
    child.owned_pages += snapshot->owned_pages - freed;
    c->state.data_pages -= freed;
    rc = rmt_catalog_put_version(c, &child);
    if (rc == 0 && prev.number) {
        prev.child ^= snapshot->number ^ child.number;
        rc = rmt_catalog_put_version(c, &prev);
    }
    return rc < 0 ? rc : del_version(c, snapshot);
}

/* What can be done about a snapshot that lost a keeper, a child, or one that had merged it. */
static int tidy_one(struct rmt_commit *c, uint64_t number)
{
    struct rmt_version v;
    int rc = rmt_catalog_find_version(&c->store->pages, &c->catalog, number, &v);
    if (rc == RAMET_ENOTFOUND) /* it went with another one */
        return 0;
    if (rc < 0)
        return rc;
    if (v.flags & RMT_VERSION_HEAD || v.kept || v.pinned || v.children > 1)
        return 0;
    if (v.children == 0) {
        uint64_t prev;
        rc = sweep_later(c, &v, &prev);
        return rc < 0 || !prev ? rc : rmt_version_tidy(c, prev);
    }
    rc = rmt_merged_by_any(c, &v);
    return rc != 0 ? (rc < 0 ? rc : 0) : fold(c, &v);
}

int rmt_version_tidy(struct rmt_commit *c, uint64_t number)
{
    return !number || rmt_vec_push(&c->untidy, number) ? 0 : rmt_fail(-ENOMEM, "a commit");
}

int rmt_version_settle(struct rmt_commit *c)
{
    int rc = 0;
    while (rc == 0 && c->untidy.count) /* one may let others go */
        rc = tidy_one(c, c->untidy.items[--c->untidy.count]);
    return rc;
}

int rmt_version_pin(struct rmt_commit *c, uint64_t number)
{
    struct rmt_version v;
    int rc = get_version(c, number, &v);
    if (rc < 0)
        return rc;
    v.pinned++;
    return rmt_catalog_put_version(c, &v);
}

int rmt_version_unpin(struct rmt_commit *c, uint64_t number)
{
    struct rmt_version v;
    int rc = get_version(c, number, &v);
    if (rc == 0 && !v.pinned)
        rc = rmt_fail(RAMET_ECORRUPT, "store '%s': version %" PRIu64 " is not pinned",
                      c->store->io->path, v.id);
    if (rc < 0)
        return rc;
    v.pinned--;
    rc = rmt_catalog_put_version(c, &v);
    return rc < 0 ? rc : rmt_version_tidy(c, number);
}

/* Takes one keeper off a snapshot. branch is updated, not written. */
static int unkeep(struct rmt_commit *c, struct rmt_branch *branch, uint64_t number,
                  const char *name)
{
    struct rmt_key key = rmt_key2_name('k', branch->number, number, name);
    int rc = del_keep(c, &key);
    if (rc == 0 && *name) {
        key = rmt_key1_name('n', branch->number, name);
        rc = rmt_catalog_del(c, &key);
    }
    struct rmt_version v;
    if (rc == 0)
        rc = get_version(c, number, &v);
    if (rc < 0)
        return rc;
    v.kept--;
    branch->snapshots--;
    c->state.snapshots--;
    return rmt_catalog_put_version(c, &v);
}

int rmt_version_forget(struct rmt_commit *c, const char *branch_name, struct rmt_branch *branch,
                       uint64_t number, const char *name)
{
    struct rmt_key key = rmt_key1_name('n', branch->number, name);
    int rc = 0;
    if (!number)
        rc = rmt_catalog_number(&c->store->pages, &c->catalog, &key, &number);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s@%s': there is no such snapshot", branch_name, name);
    if (rc == 0)
        rc = unkeep(c, branch, number, name);
    if (rc == 0)
        rc = rmt_catalog_put_branch(c, branch_name, branch);
    return rc < 0 ? rc : rmt_version_tidy(c, number);
}

/* Takes a name out of the rest of a key. */
static int take_name(struct rmt_commit *c, struct ramet_slice rest, size_t at,
                     char out[RAMET_NAME_MAX + 1])
{
    if (rest.size < at || rest.size - at > RAMET_NAME_MAX)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': a key of the catalog is malformed",
                        c->store->io->path);
    memcpy(out, (const uint8_t *)rest.data + at, rest.size - at);
    out[rest.size - at] = 0;
    return 0;
}

/* Takes every keeper of a branch off a snapshot (number 0: off all its snapshots, which are
 * tidied). */
static int unkeep_branch(struct rmt_commit *c, struct rmt_branch *branch, uint64_t number)
{
    struct rmt_key prefix =
        number ? rmt_key2('k', branch->number, number) : rmt_key1('k', branch->number);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        char name[RAMET_NAME_MAX + 1];
        uint64_t which = number;
        if (!number && scan.key.size >= 8)
            which = rmt_get_be64(scan.key.data);
        rc = take_name(c, scan.key, number ? 0 : 8, name);
        if (rc == 0)
            rc = unkeep(c, branch, which, name);
        if (rc == 0 && !number)
            rc = rmt_version_tidy(c, which);
        if (rc < 0)
            return rc;
    }
    return rc;
}

int rmt_version_forget_all(struct rmt_commit *c, uint64_t number)
{
    struct rmt_key prefix = {.bytes = {'b'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &c->store->pages, &c->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        char name[RAMET_NAME_MAX + 1];
        struct rmt_branch branch;
        rc = take_name(c, scan.key, 0, name);
        if (rc == 0)
            rc = rmt_catalog_branch(&c->store->pages, &c->catalog, name, &branch);
        if (rc < 0)
            return rc;
        uint64_t kept = branch.snapshots;
        rc = unkeep_branch(c, &branch, number);
        if (rc == 0 && branch.snapshots != kept)
            rc = rmt_catalog_put_branch(c, name, &branch);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : rmt_version_tidy(c, number);
}

int rmt_version_drop_branch(struct rmt_commit *c, const char *name)
{
    struct rmt_branch branch;
    struct rmt_version head;
    int rc = rmt_catalog_branch(&c->store->pages, &c->catalog, name, &branch);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such branch", name);
    if (rc == 0)
        rc = rmt_pin_drop(c, branch.number);
    if (rc == 0)
        rc = get_version(c, branch.head, &head);
    uint64_t prev;
    if (rc == 0)
        rc = sweep_later(c, &head, &prev);
    if (rc == 0)
        rc = rmt_version_tidy(c, prev);
    if (rc == 0)
        rc = unkeep_branch(c, &branch, 0);
    c->state.branches--;
    struct rmt_key key = rmt_key_name('b', name);
    return rc < 0 ? rc : rmt_catalog_del(c, &key);
}

/* A branch gets a fresh head, with a number, on a snapshot; the old one is swept. */
static int move_to(struct rmt_commit *c, const char *name, struct rmt_branch *branch,
                   uint64_t snapshot, uint64_t number)
{
    struct rmt_version head, to;
    uint64_t prev;
    int rc = get_version(c, branch->head, &head);
    if (rc == 0)
        rc = sweep_later(c, &head, &prev);
    if (rc == 0)
        rc = get_version(c, snapshot, &to);
    if (rc == 0)
        rc = fresh_head(c, &to, number, &branch->head);
    if (rc == 0)
        rc = rmt_catalog_put_branch(c, name, branch);
    return rc < 0 ? rc : rmt_version_tidy(c, prev);
}

int rmt_version_reset(struct rmt_commit *c, const char *name, uint64_t snapshot)
{
    struct rmt_branch branch;
    int rc = rmt_catalog_branch(&c->store->pages, &c->catalog, name, &branch);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "'%s': there is no such branch", name);
    if (rc == 0)
        rc = rmt_pin_drop(c, branch.number);
    return rc < 0 ? rc : move_to(c, name, &branch, snapshot, rmt_commit_number(c));
}

/* What a branch keeps of a snapshot another keeps from now on, but for names that it has already.
 */
static int move_keeps(struct rmt_commit *c, struct rmt_branch *from, struct rmt_branch *to,
                      uint64_t number)
{
    struct rmt_pages *pages = &c->store->pages;
    struct rmt_key prefix = rmt_key2('k', from->number, number);
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, pages, &c->catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        char name[RAMET_NAME_MAX + 1];
        uint8_t record[sizeof(struct rmt_disk_keep) + RAMET_NAME_MAX + MESSAGE_INLINE];
        size_t size = rmt_min(scan.value.size, sizeof(record));
        memcpy(record, scan.value.data, size);
        rc = take_name(c, scan.key, 0, name);
        if (rc < 0)
            return rc;
        struct rmt_key old = rmt_key2_name('k', from->number, number, name);
        struct rmt_key key = rmt_key2_name('k', to->number, number, name);
        struct rmt_key old_name = rmt_key1_name('n', from->number, name);
        struct rmt_key by_name = rmt_key1_name('n', to->number, name);
        struct rmt_value value;
        rc = rmt_tree_get(pages, &c->catalog, rmt_key_slice(*name ? &by_name : &key), &value);
        if (rc == 0)
            continue;
        if (rc == RAMET_ENOTFOUND)
            rc = rmt_catalog_del(c, &old);
        if (rc == 0)
            rc = rmt_catalog_put(c, &key, record, size);
        if (rc == 0 && *name)
            rc = rmt_catalog_del(c, &old_name);
        if (rc == 0 && *name)
            rc = rmt_catalog_put_number(c, &by_name, number);
        if (rc < 0)
            return rc;
        from->snapshots--;
        to->snapshots++;
    }
    return rc;
}

int rmt_version_forward(struct rmt_commit *c, const char *name, const char *from, uint64_t number)
{
    struct rmt_branch branch, source;
    struct rmt_version head, base, above, v;
    int rc = rmt_catalog_branch(&c->store->pages, &c->catalog, name, &branch);
    if (rc == 0)
        rc = get_version(c, branch.head, &head);
    if (rc == 0)
        rc = get_version(c, head.prev, &base);
    if (rc == 0 && from)
        rc = rmt_catalog_branch(&c->store->pages, &c->catalog, from, &source);
    if (rc == 0)
        rc = get_version(c, number, &v);
    while (rc == 0 && from && v.number != base.number) {
        rc = move_keeps(c, &source, &branch, v.number);
        above = v;
        if (rc == 0 && !v.prev)
            break;
        if (rc == 0)
            rc = rmt_catalog_below(&c->store->pages, &c->catalog, &above, &v);
    }
    if (rc == 0 && from)
        rc = rmt_catalog_put_branch(c, from, &source);
    return rc < 0 ? rc : move_to(c, name, &branch, number, branch.head);
}
