/* SPDX-License-Identifier: MIT */
#include "store/txn.h"

#include <inttypes.h>
#include <stdio.h>

#include "store/merged.h"
#include "store/shares.h"
#include "store/versions.h"
#include "store/writers.h"

/* What a commit needs beside the pages of its maps: catalog, space map, lists of what was replaced.
 */
#define COMMIT_PAGES 24
/* Pages are reserved so many at a time. */
#define RESERVE_PAGES 32

/* ---- finding a version ----------------------------------------------------------------------- */

int rmt_txn_find(struct ramet_store *store, struct rmt_reader_slot *slot, const char *ref,
                 struct rmt_found *out, uint64_t *out_publication)
{
    struct rmt_disk_slot disk;
    struct rmt_overlay overlay;
    *out_publication = rmt_reader_newest(&store->shared, slot, &disk, &overlay);
    struct rmt_tree catalog = {
        .root = rmt_ref_load(&disk.catalog),
        .overlay = overlay.key_size ? &overlay : NULL,
    };
    int rc = rmt_ref_find(&store->pages, &catalog, ref, out);
    rmt_reader_settle(slot, rc == 0 ? out->version.id : 0);
    return rc;
}

/* ---- begin ----------------------------------------------------------------------------------- */

static void list_txn(struct ramet_txn *txn)
{
    struct ramet_store *store = txn->store;
    rmt_lock_scope(&store->txns_lock);
    txn->next = store->txns;
    if (txn->next)
        txn->next->prev = txn;
    store->txns = txn;
    if (txn->writing) { /* takes over the memory of the last one */
        txn->pool = store->spare;
        memset(&store->spare, 0, sizeof(store->spare));
    }
}

static void unlist_txn(struct ramet_txn *txn)
{
    struct ramet_store *store = txn->store;
    rmt_lock_scope(&store->txns_lock);
    if (txn->prev)
        txn->prev->next = txn->next;
    else
        store->txns = txn->next;
    if (txn->next)
        txn->next->prev = txn->prev;
    if (txn->writing && !store->spare.chunks) {
        rmt_page_pool_fini(&store->spare);
        store->spare = txn->pool;
        memset(&txn->pool, 0, sizeof(txn->pool));
    }
}

static void drop_savepoints(struct ramet_txn *txn, size_t count)
{
    for (; txn->savepoints.count > count; txn->savepoints.count--)
        rmt_vec_fini(&txn->savepoints.items[txn->savepoints.count - 1].maps);
}

static void free_txn(struct ramet_txn *txn)
{
    struct ramet_store *store = txn->store;
    rmt_maps_fini(txn);
    rmt_arena_fini(&txn->arena);
    if (txn->slot)
        rmt_reader_release(txn->slot);
    if (txn->writing) {
        drop_savepoints(txn, 0);
        rmt_vec_fini(&txn->savepoints);
        rmt_edit_fini(&txn->edit);
        if (txn->reserved)
            rmt_space_release(&store->space, txn->reserved);
        if (!txn->passed)
            rmt_branch_unlock(store, txn->branch);
    }
    unlist_txn(txn);
    rmt_page_pool_fini(&txn->pool);
    rmt_lock_fini(&txn->arena_lock);
    free(txn);
}

static int reserve(void *ctx, uint64_t pages)
{
    struct ramet_txn *txn = ctx;
    /* A list of replaced pages and the map of free ones take a part of what is written. */
    uint64_t used = txn->edit.nr_reserved + pages, want = COMMIT_PAGES + used + used / 16;
    if (want <= txn->reserved)
        return 0;
    want -= txn->reserved;
    if (!txn->urgent)
        want += RESERVE_PAGES;
    /* Within the transaction's own commit there is no other that could make room. */
    int rc = txn->committing ? rmt_space_reserve(&txn->store->space, want, txn->urgent)
                             : rmt_store_reserve(txn->store, want, txn->urgent);
    if (rc == 0)
        txn->reserved += want;
    return rc;
}

static void begun(struct ramet_txn *txn, const struct rmt_found *found)
{
    txn->version = found->version;
    txn->maps_tree = (struct rmt_tree){.root = found->version.root, .fixed = !txn->writing};
}

static int begin_read(struct ramet_txn *txn)
{
    struct ramet_store *store = txn->store;
    struct rmt_found found;
    int rc = rmt_reader_claim(&store->shared, &txn->slot);
    if (rc == 0)
        rc = rmt_txn_find(store, txn->slot, txn->ref, &found, &txn->publication);
    if (rc < 0)
        return rc;
    txn->follows = found.branch != 0;
    begun(txn, &found);
    return 0;
}

static int must_be_branch(const char *ref, const struct rmt_found *found)
{
    if (found->branch)
        return 0;
    return rmt_fail(-EINVAL, "'%s' is a snapshot, which never changes: write to a branch", ref);
}

/* A transaction that has a slot can be written to; there is no lock to give back. */
static void make_draft(struct ramet_txn *txn)
{
    txn->writing = true;
    txn->passed = true;
    txn->maps_tree.fixed = false;
    rmt_edit_init(&txn->edit, &txn->store->pages, NULL, NULL);
    txn->edit.pool = &txn->pool;
}

static int begin_optimistic(struct ramet_txn *txn, bool nowait)
{
    struct ramet_store *store = txn->store;
    struct rmt_found found;
    int rc = rmt_store_writable(store);
    if (rc == 0)
        rc = rmt_reader_claim(&store->shared, &txn->slot);
    if (rc == 0)
        rc = rmt_txn_find(store, txn->slot, txn->ref, &found, &txn->publication);
    if (rc == 0)
        rc = must_be_branch(txn->ref, &found);
    if (rc < 0)
        return rc;
    begun(txn, &found);
    make_draft(txn);
    txn->branch = found.branch;
    txn->optimistic = true;
    txn->nowait = nowait;
    return 0;
}

/* Finds the head of a branch whose writer lock, if any, the caller holds. */
static int find_head(struct ramet_store *store, const char *ref, struct rmt_found *out)
{
    struct rmt_reader_slot *slot;
    uint64_t publication;
    int rc = rmt_reader_claim(&store->shared, &slot);
    if (rc < 0)
        return rc;
    rc = rmt_txn_find(store, slot, ref, out, &publication);
    rmt_reader_release(slot);
    return rc < 0 ? rc : must_be_branch(ref, out);
}

/* branch: the number that the branch called txn->ref is likely to have; 0: not known. */
static int begin_write(struct ramet_txn *txn, bool nowait, uint64_t branch)
{
    struct ramet_store *store = txn->store;
    struct rmt_found found = {.branch = branch, .name_size = strlen(txn->ref)};
    int rc = rmt_store_writable(store);
    if (rc == 0 && !branch)
        rc = find_head(store, txn->ref, &found);
    for (; rc == 0;) {
        rc = rmt_branch_lock(store, found.branch, nowait, &found.version);
        if (rc < 0)
            return rc;
        txn->branch = found.branch;
        if (rc == 1) { /* so the branch is still there */
            txn->queued = true;
            rc = 0;
            break;
        }
        rc = find_head(store, txn->ref, &found); /* as the writer before left it */
        if (rc == 0 && found.branch == txn->branch)
            break;
        rmt_branch_unlock(store, txn->branch); /* dropped meanwhile, perhaps made anew */
    }
    if (rc < 0)
        return rc;
    txn->ref[found.name_size] = '\0';
    txn->writing = true;
    rmt_edit_init(&txn->edit, &store->pages, reserve, txn);
    txn->edit.pool = &txn->pool;
    begun(txn, &found);
    return 0;
}

static int begin(struct ramet_store *store, const char *ref, unsigned flags, uint64_t branch,
                 struct ramet_txn **out)
{
    const unsigned known = RAMET_WRITE | RAMET_NOWAIT | RAMET_OPTIMISTIC;
    if (!store || !out || flags & ~known)
        return rmt_fail(-EINVAL, "ramet_begin: store, out or flags");
    if (flags & RAMET_OPTIMISTIC && !(flags & RAMET_WRITE))
        return rmt_fail(-EINVAL, "ramet_begin: RAMET_OPTIMISTIC goes with RAMET_WRITE");
    int rc = rmt_store_usable(store);
    if (rc < 0)
        return rc;
    if (!ref)
        ref = "main";
    struct ramet_txn *txn = calloc(1, sizeof(*txn));
    if (!txn)
        return rmt_fail(-ENOMEM, "a transaction");
    txn->store = store;
    rmt_lock_init(&txn->arena_lock, RMT_RANK_ARENA);
    if (strnlen(ref, sizeof(txn->ref)) == sizeof(txn->ref)) {
        free(txn);
        return rmt_fail(-EINVAL, "a ref has at most %zu bytes", sizeof(txn->ref) - 1);
    }
    memcpy(txn->ref, ref, strlen(ref) + 1);
    if (flags & RAMET_OPTIMISTIC)
        rc = begin_optimistic(txn, flags & RAMET_NOWAIT);
    else
        rc = flags & RAMET_WRITE ? begin_write(txn, flags & RAMET_NOWAIT, branch) : begin_read(txn);
    if (rc < 0) {
        if (txn->slot)
            rmt_reader_release(txn->slot);
        free(txn);
        return rc;
    }
    list_txn(txn);
    *out = txn;
    return 0;
}

int ramet_begin(struct ramet_store *store, const char *ref, unsigned flags, struct ramet_txn **out)
{
    return begin(store, ref, flags, 0, out);
}

int rmt_txn_write(struct ramet_store *store, const char *name, uint64_t branch,
                  struct ramet_txn **out)
{
    return begin(store, name, RAMET_WRITE, branch, out);
}

/* A transaction on a version that is found by its number, in a catalog that the caller holds. */
static int begin_at(struct ramet_store *store, const struct rmt_tree *catalog, uint64_t number,
                    bool writing, struct ramet_txn **out)
{
    struct rmt_found found = {.branch = 0};
    int rc = rmt_catalog_find_version(&store->pages, catalog, number, &found.version);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(rc, "the version that was to be read was deleted meanwhile");
    if (rc < 0)
        return rc;
    struct ramet_txn *txn = calloc(1, sizeof(*txn));
    if (!txn)
        return rmt_fail(-ENOMEM, "a transaction");
    txn->store = store;
    rmt_lock_init(&txn->arena_lock, RMT_RANK_ARENA);
    begun(txn, &found);
    if (writing)
        make_draft(txn);
    list_txn(txn);
    *out = txn;
    return 0;
}

int rmt_txn_view(struct ramet_store *store, const struct rmt_tree *catalog, uint64_t number,
                 struct ramet_txn **out)
{
    return begin_at(store, catalog, number, false, out);
}

int rmt_txn_hold(struct ramet_store *store, struct rmt_reader_slot *slot,
                 const struct rmt_version *version, struct ramet_txn **out)
{
    struct ramet_txn *txn = calloc(1, sizeof(*txn));
    struct rmt_found found = {.version = *version};
    if (!txn) {
        rmt_reader_release(slot);
        return rmt_fail(-ENOMEM, "a transaction");
    }
    txn->store = store;
    txn->slot = slot;
    rmt_lock_init(&txn->arena_lock, RMT_RANK_ARENA);
    begun(txn, &found);
    list_txn(txn);
    *out = txn;
    return 0;
}

void rmt_txn_show(struct ramet_txn *txn, const struct rmt_version *version)
{
    struct rmt_found found = {.version = *version};
    rmt_assert(!txn->writing);
    begun(txn, &found);
}

int rmt_txn_draft(struct ramet_store *store, const struct rmt_tree *catalog, uint64_t number,
                  struct ramet_txn **out)
{
    return begin_at(store, catalog, number, true, out);
}

int rmt_txn_replace(struct ramet_txn *draft, struct ramet_txn *txn)
{
    draft->edit.nr_reserved = draft->edit.nr_private;
    int rc = reserve(draft, 0);
    if (rc < 0)
        return rc;
    draft->edit.reserve = reserve;
    draft->edit.reserve_ctx = draft;
    draft->queued = txn->queued;
    draft->passed = false;
    txn->passed = true;
    return 0;
}

int ramet_refresh(struct ramet_txn *txn)
{
    if (!txn || txn->writing)
        return rmt_fail(txn ? RAMET_ETXN : -EINVAL, "ramet_refresh is for read transactions");
    int rc = rmt_store_usable(txn->store);
    if (rc < 0)
        return rc;
    struct rmt_shared_bytes *bytes = txn->store->shared.bytes;
    if (atomic_load_explicit(&bytes->published, memory_order_acquire) == txn->publication ||
        !txn->follows)
        return 0;
    /* Another slot, so that a failure leaves the transaction where it is. */
    struct rmt_found found;
    struct rmt_reader_slot *slot;
    uint64_t publication;
    rc = rmt_reader_claim(&txn->store->shared, &slot);
    if (rc < 0)
        return rc;
    rc = rmt_txn_find(txn->store, slot, txn->ref, &found, &publication);
    if (rc < 0) {
        rmt_reader_release(slot);
        return rc;
    }
    bool moved = found.version.number != txn->version.number || found.version.id != txn->version.id;
    rmt_reader_release(txn->slot);
    txn->slot = slot;
    txn->publication = publication;
    if (!moved)
        return 0;
    begun(txn, &found);
    rmt_arena_fini(&txn->arena);
    return rmt_maps_reload(txn, NULL);
}

uint64_t ramet_txn_id(const struct ramet_txn *txn)
{
    return txn ? txn->version.id : 0;
}

/* ---- end ------------------------------------------------------------------------------------- */

void ramet_abort(struct ramet_txn *txn)
{
    if (txn && rmt_store_usable(txn->store) == 0)
        free_txn(txn);
}

void rmt_txn_abort_all(struct ramet_store *store)
{
    while (store->txns)
        free_txn(store->txns);
}

struct publishing {
    struct ramet_txn *txn;
    bool changed;
    const struct ramet_keep *keep;
    const struct rmt_merging *merging;
    uint64_t id;
    struct rmt_version head; /* of the branch, afterwards */
};

/* The version that was just made has merged another. */
static int join_histories(struct rmt_commit *c, const struct rmt_merging *merging,
                          struct rmt_version *head, struct rmt_version *snapshot)
{
    struct rmt_version source;
    int rc = rmt_catalog_version(&c->store->pages, &c->catalog, merging->source, &source);
    if (rc < 0)
        return rc;
    snapshot->parents[1] = source.id;
    rc = rmt_merged_add(c, snapshot, source.number);
    head->merges = snapshot->merges;
    return rc < 0 ? rc : rmt_catalog_put_version(c, head);
}

int rmt_merging_pin(struct rmt_commit *c, struct rmt_merging *merging, uint64_t target)
{
    struct rmt_pages *pages = &c->store->pages;
    struct rmt_version source;
    struct rmt_branch branch;
    int rc = rmt_catalog_find_version(pages, &c->catalog, merging->source, &source);
    if (rc == RAMET_ENOTFOUND) /* its branch was dropped, or the snapshot deleted */
        return rmt_fail(rc, "the version that was to be merged was deleted meanwhile");
    if (rc < 0)
        return rc;
    if (merging->branch) {
        rc = rmt_catalog_branch(pages, &c->catalog, merging->name, &branch);
        if (rc == RAMET_ENOTFOUND || (rc == 0 && branch.number != merging->branch))
            merging->branch = 0;
        else if (rc < 0)
            return rc;
    }
    if (merging->pinned)
        return 0;
    merging->pinned = true;
    return rmt_pin_begin(c, merging->branch, target, merging->source);
}

/* The branch's head, as it is now, is kept. */
static int keep_head(struct rmt_commit *c, struct publishing *p, struct rmt_version *head)
{
    struct rmt_branch branch;
    struct rmt_version snapshot;
    int rc = rmt_version_snapshot(c, head, &snapshot);
    if (rc == 0 && p->merging)
        rc = join_histories(c, p->merging, head, &snapshot);
    if (rc == 0)
        rc = rmt_catalog_branch(&c->store->pages, &c->catalog, p->txn->ref, &branch);
    if (rc == 0)
        rc = rmt_version_keep(c, p->txn->ref, &branch, &snapshot, p->keep);
    if (rc == 0)
        p->id = snapshot.id;
    return rc;
}

/* Within a commit: the branch's head moves to what the transaction made. */
static int publish(struct rmt_commit *c, void *ctx)
{
    struct publishing *p = ctx;
    struct ramet_txn *txn = p->txn;
    struct rmt_branch branch;
    struct rmt_version head;
    int rc = rmt_catalog_branch(&c->store->pages, &c->catalog, txn->ref, &branch);
    if (rc == 0)
        rc = rmt_catalog_version(&c->store->pages, &c->catalog, branch.head, &head);
    if (rc < 0)
        return rc;
    rmt_assert(branch.number == txn->branch);
    struct rmt_merging merging;
    if (p->merging) {
        merging = *p->merging; /* what is left of it: its branch may be gone */
        p->merging = &merging;
        rc = rmt_merging_pin(c, &merging, txn->branch);
        if (rc < 0)
            return rc;
    }
    if (head.id != txn->version.id)
        return rmt_fail(RAMET_ETXN, "it began at a commit that failed: nothing is committed");
    if (p->changed) {
        uint64_t before = c->writer.nr_written;
        c->writer.expected = txn->edit.nr_private + 1 + RMT_BOOK_PAGES;
        rc = rmt_maps_seal(txn, &c->writer);
        rmt_writer_settle(&c->writer);
        if (rc == 0)
            rc = rmt_version_move(c, &head, txn->maps_tree.root, c->writer.nr_written - before,
                                  &txn->edit.gone);
    }
    if (rc == 0)
        p->id = head.id;
    if (rc == 0 && (p->keep || p->merging))
        rc = keep_head(c, p, &head);
    if (rc == 0 && p->merging)
        rc = rmt_pin_end(c, p->merging->branch, txn->branch, p->merging->source, true);
    if (rc == 0)
        rc = rmt_version_settle(c);
    if (rc == 0)
        rc = rmt_catalog_branch(&c->store->pages, &c->catalog, txn->ref, &branch);
    if (rc == 0)
        rc = rmt_catalog_version(&c->store->pages, &c->catalog, branch.head, &p->head);
    if (rc == 0)
        rmt_maps_tell(txn, c->id, &p->head);
    return rc;
}

/* The commit waits for its flush: the next writer of the branch need not. */
static void pass(void *ctx, uint64_t group)
{
    struct publishing *p = ctx;
    rmt_branch_pass(p->txn->store, p->txn->branch, &p->head, group);
    p->txn->passed = true;
}

int rmt_txn_commit(struct ramet_txn *txn, const struct ramet_keep *keep,
                   const struct rmt_merging *merging, uint64_t *out_id)
{
    int rc = rmt_store_usable(txn->store);
    if (rc < 0)
        return rc;
    *out_id = txn->version.id;
    bool changed = txn->writing && (merging || rmt_maps_changed(txn));
    /* What it saw must be as durable as what it wrote. */
    if (!txn->writing || (!changed && !keep && !txn->queued))
        return 0;
    if (txn->failed)
        return rmt_fail(RAMET_ETXN,
                        "an earlier write of this transaction failed: nothing is committed");
    if (keep && !rmt_known_size(keep, struct ramet_keep))
        return rmt_fail(-EINVAL, "ramet_commit: keep->size is not set");
    rc = keep && !merging ? rmt_maps_conflicts(&txn->store->pages, txn->maps_tree.root) : 0;
    if (rc > 0)
        return rmt_fail(RAMET_ECONFLICT, "branch '%s' has conflicts of a merge to be resolved",
                        txn->ref);
    if (rc == 0 && changed)
        rc = rmt_shares_settle(txn);
    if (rc < 0)
        return rc;
    struct publishing p = {.txn = txn, .changed = changed, .keep = keep, .merging = merging};
    txn->committing = true;
    rc = rmt_commit(txn->store, publish, pass, &p, rmt_store_flushes(txn->store));
    if (rc == 0)
        *out_id = p.id;
    return rc;
}

int ramet_commit(struct ramet_txn *txn, const struct ramet_keep *keep, uint64_t *out_id)
{
    if (!txn)
        return rmt_fail(-EINVAL, "ramet_commit: no transaction");
    uint64_t id;
    int rc = txn->optimistic ? rmt_optimistic_commit(txn, keep, &id)
                             : rmt_txn_commit(txn, keep, NULL, &id);
    ramet_abort(txn);
    if (rc == 0 && out_id)
        *out_id = id;
    return rc;
}

/* ---- savepoints ------------------------------------------------------------------------------ */

int ramet_savepoint(struct ramet_txn *txn, uint32_t *out)
{
    if (!txn || !out)
        return rmt_fail(-EINVAL, "ramet_savepoint: txn or out");
    if (!txn->writing || txn->failed)
        return rmt_fail(RAMET_ETXN, "ramet_savepoint");
    struct rmt_savepoint savepoint = {.maps_tree = txn->maps_tree};
    for (struct ramet_map *map = txn->maps; map; map = map->next) {
        struct rmt_saved_map saved = {map, map->tree.root, map->tree.count, map->exists,
                                      map->changed};
        if (!rmt_vec_push(&savepoint.maps, saved)) {
            rmt_vec_fini(&savepoint.maps);
            return rmt_fail(-ENOMEM, "a savepoint");
        }
    }
    if (!rmt_vec_push(&txn->savepoints, savepoint)) {
        rmt_vec_fini(&savepoint.maps);
        return rmt_fail(-ENOMEM, "a savepoint");
    }
    rmt_edit_mark(&txn->edit, &txn->savepoints.items[txn->savepoints.count - 1].mark);
    *out = (uint32_t)txn->savepoints.count;
    return 0;
}

int ramet_rollback(struct ramet_txn *txn, uint32_t number)
{
    if (!txn)
        return rmt_fail(-EINVAL, "ramet_rollback: no transaction");
    if (!txn->writing)
        return rmt_fail(RAMET_ETXN, "ramet_rollback");
    if (number == 0 || number > txn->savepoints.count)
        return rmt_fail(RAMET_ENOTFOUND, "savepoint %" PRIu32, number);
    drop_savepoints(txn, number);
    struct rmt_savepoint *savepoint = &txn->savepoints.items[number - 1];
    rmt_edit_rollback(&txn->edit, &savepoint->mark);
    rmt_tree_set(&txn->maps_tree, savepoint->maps_tree.root, savepoint->maps_tree.count);
    /* Records of maps that were open then may be those of rmt_maps_note(). */
    int rc = rmt_maps_reload(txn, savepoint->maps.count ? savepoint->maps.items[0].map : NULL);
    if (rc < 0) {
        txn->failed = true;
        return rc;
    }
    for (size_t i = 0; i < savepoint->maps.count; i++) {
        struct rmt_saved_map *saved = &savepoint->maps.items[i];
        rmt_tree_set(&saved->map->tree, saved->root, saved->count);
        saved->map->exists = saved->exists;
        saved->map->changed = saved->changed;
    }
    txn->failed = false;
    rmt_arena_fini(&txn->arena);
    return 0;
}
