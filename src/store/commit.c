/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "store/list.h"
#include "store/single.h"
#include "store/versions.h"
#include "store/writers.h"

/* A commit larger than this flushes its pages before its slot, so that opening has little to
 * verify. */
#define PREFLUSH_PAGES 2048
/* Commits that are not flushed leave what they freed in limbo: past this it is time to flush. */
#define LIMBO_BYTES ((uint64_t)64 << 20)
/* From a quarter of that on what was written begins to go to the disk, so much at a time, so that
 * the flush has little left to wait for. */
#define BEHIND_BYTES ((uint64_t)4 << 20)
#define SWEEP_PAGES 512

struct rmt_group {
    struct rmt_commit c;       /* until it is written */
    struct rmt_disk_slot slot; /* from then on */
    uint64_t number;           /* ascending */
    unsigned members;          /* that have not returned */
    pthread_cond_t cond;       /* it is done; or it is its turn, for one of them */
    bool flushing, done;
    int rc;
};

/* ---- state ----------------------------------------------------------------------------------- */

void rmt_state_load(struct rmt_state *state, const struct rmt_disk_slot *slot)
{
    *state = (struct rmt_state){
        .id = rmt_get64(slot->id),
        .durable = rmt_get64(slot->durable),
        .ceiling = rmt_get64(slot->ceiling),
        .pages = rmt_get64(slot->pages),
        .number = rmt_get64(slot->number),
        .catalog = rmt_ref_load(&slot->catalog),
        .log = rmt_ref_load(&slot->log),
        .data_pages = rmt_get64(slot->data_pages),
        .unswept_pages = rmt_get64(slot->unswept_pages),
        .book_pages = rmt_get64(slot->book_pages),
        .limbo_pages = rmt_get64(slot->limbo_pages),
        .free_pages = rmt_get64(slot->free_pages),
        .hole_pages = rmt_get64(slot->hole_pages),
        .branches = rmt_get64(slot->branches),
        .snapshots = rmt_get64(slot->snapshots),
        .cursors = rmt_get64(slot->cursors),
        .time_us = (int64_t)rmt_get64(slot->time_us),
        .flags = rmt_get32(slot->flags),
    };
}

void rmt_state_save(const struct ramet_store *store, const struct rmt_state *state,
                    struct rmt_disk_slot *out)
{
    *out = (struct rmt_disk_slot){
        .format = rmt_put32(RMT_FORMAT),
        .page_size = rmt_put32(store->pages.page_size),
        .flags = rmt_put32(state->flags),
        .id = rmt_put64(state->id),
        .durable = rmt_put64(state->durable),
        .ceiling = rmt_put64(state->ceiling),
        .pages = rmt_put64(state->pages),
        .number = rmt_put64(state->number),
        .data_pages = rmt_put64(state->data_pages),
        .unswept_pages = rmt_put64(state->unswept_pages),
        .book_pages = rmt_put64(state->book_pages),
        .limbo_pages = rmt_put64(state->limbo_pages),
        .free_pages = rmt_put64(state->free_pages),
        .hole_pages = rmt_put64(state->hole_pages),
        .branches = rmt_put64(state->branches),
        .snapshots = rmt_put64(state->snapshots),
        .cursors = rmt_put64(state->cursors),
        .time_us = rmt_put64((uint64_t)state->time_us),
    };
    memcpy(out->magic, RMT_SLOT_MAGIC, sizeof(out->magic));
    memcpy(out->store_id, store->store_id, sizeof(out->store_id));
    rmt_ref_store(&out->catalog, state->catalog);
    rmt_ref_store(&out->log, state->log);
    if (store->io->durable) /* else it is never looked at by those who doubt */
        rmt_sector_seal(out);
}

static void load_published(struct rmt_state *state, const struct rmt_disk_slot *slot,
                           const struct rmt_overlay *overlay)
{
    rmt_state_load(state, slot);
    if (overlay->key_size)
        state->overlay = *overlay;
}

void rmt_state_published(struct ramet_store *store, struct rmt_state *out)
{
    struct rmt_disk_slot slot;
    struct rmt_overlay overlay;
    (void)rmt_shared_newest(&store->shared, &slot, &overlay);
    load_published(out, &slot, &overlay);
}

void rmt_state_hold(struct ramet_store *store, struct rmt_reader_slot *slot, struct rmt_state *out)
{
    struct rmt_disk_slot newest;
    struct rmt_overlay overlay;
    (void)rmt_reader_newest(&store->shared, slot, &newest, &overlay);
    load_published(out, &newest, &overlay);
}

int rmt_moment_open(struct ramet_store *store, struct rmt_moment *moment)
{
    int rc = rmt_reader_claim(&store->shared, &moment->slot);
    if (rc < 0)
        return rc;
    rmt_state_hold(store, moment->slot, &moment->state);
    moment->catalog = rmt_state_catalog(&moment->state);
    return 0;
}

void rmt_moment_close(struct rmt_moment *moment)
{
    if (moment->slot)
        rmt_reader_release(moment->slot);
    moment->slot = NULL;
}

int rmt_store_writable(const struct ramet_store *store)
{
    if (store->readonly)
        return rmt_fail(-EROFS, "store '%s' was opened read-only", store->io->path);
    if (atomic_load(&store->shared.bytes->poisoned))
        return rmt_fail(RAMET_EPOISONED, "store '%s'", store->io->path);
    return 0;
}

/* ---- slots, flushes -------------------------------------------------------------------------- */

static int write_sector(struct ramet_store *store, const void *sector, uint64_t off)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)sector, .iov_len = RMT_SECTOR_SIZE};
    return store->io->ops->write(store->io, &iov, 1, off);
}

/* Writes a state into the slot that does not hold the newest durable one. Until it is published
 * (publish()), whoever comes next must not write over its pages: should all be killed, or the power
 * fail, it could be found there and be taken for whole. */
static int write_slot(struct ramet_store *store, const struct rmt_state *state,
                      struct rmt_disk_slot *out)
{
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    uint32_t index = !bytes->durable_index;
    rmt_state_save(store, state, out);
    bytes->new_epoch = 1;
    int rc = write_sector(store, out, rmt_slot_off(index));
    if (rc == 0) {
        bytes->slots[index] = *out;
        bytes->slot_ids[index] = state->id;
    }
    return rc;
}

/* What was written to the slot that is not the durable one was flushed. */
static void now_durable(struct ramet_store *store)
{
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    uint32_t index = !bytes->durable_index;
    struct rmt_disk_seal seal = {.id = bytes->slots[index].id};
    bytes->durable_index = index;
    memcpy(seal.magic, RMT_SEAL_MAGIC, sizeof(seal.magic));
    memcpy(seal.store_id, store->store_id, sizeof(seal.store_id));
    rmt_sector_seal(&seal);
    /* A hint: opening verifies without it. */
    (void)write_sector(store, &seal, rmt_seal_off(index));
}

/* The slots on disk lead to nothing that is newer. */
static void publish(struct ramet_store *store, const struct rmt_disk_slot *slot)
{
    rmt_shared_publish(&store->shared, slot, NULL);
    store->shared.bytes->new_epoch = 0;
    rmt_single_settled(store);
}

/* A flush that failed poisons writing everywhere, and reading goes on from the last durable commit.
 */
static void poison(struct ramet_store *store, const char *what, int rc)
{
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    atomic_store(&bytes->poisoned, 1);
    rmt_log_note(&store->log, RAMET_LOG_ERROR,
                 "store '%s': %s failed (%s): writing is refused until it is opened anew",
                 store->io->path, what, ramet_strerror(rc));
    rmt_pages_forget(&store->pages);
    rmt_shared_publish(&store->shared, &bytes->slots[bytes->durable_index], NULL);
}

static int flush(struct ramet_store *store)
{
    int rc = store->io->ops->sync(store->io);
    if (rc < 0)
        poison(store, "a flush", rc);
    return rc;
}

/* ---- the commit lock ------------------------------------------------------------------------- */

static void unlock_byte(struct ramet_store *store)
{
    /* Closing drops it too. */
    (void)store->io->ops->lock(store->io, RMT_BYTE_COMMIT, RMT_IO_UNLOCK, true);
}

/* Gives the mutex back, and says what was noted. */
static void give_mutex(struct ramet_store *store)
{
    struct rmt_log notes;
    rmt_log_take(&store->log, &notes);
    rmt_lock_give(&store->commit_lock);
    rmt_log_say(&notes);
}

void rmt_store_unlock(struct ramet_store *store)
{
    unlock_byte(store);
    give_mutex(store);
}

int rmt_store_lock(struct ramet_store *store)
{
    rmt_lock_take(&store->commit_lock);
    while (store->group || store->flying) /* they hold the byte lock, and what is to be looked at */
        rmt_lock_wait(&store->commit_lock, &store->commit_cond);
    int rc = store->io->ops->lock(store->io, RMT_BYTE_COMMIT, RMT_IO_LOCK_EXCLUSIVE, true);
    if (rc == 0)
        rc = rmt_store_writable(store);
    if (rc < 0)
        rmt_store_unlock(store);
    return rc;
}

/* ---- ids ------------------------------------------------------------------------------------- */

int rmt_store_next_id(struct ramet_store *store, uint64_t *out)
{
    uint64_t id = atomic_load(&store->shared.bytes->last_id) + 1;
    id += (uint32_t)id == 0; /* its low half means "none" where pages are remembered */
    if (id > RMT_ID_MAX - RMT_CEILING_STEP)
        return rmt_fail(
            -EOVERFLOW,
            "store '%s' has used up all commit ids: dump it, and load that into a new one",
            store->io->path);
    atomic_store(&store->shared.bytes->last_id, id);
    *out = id;
    return 0;
}

/* Publishes the same version under a new id, durable, with a fresh ceiling. */
static int renew(struct ramet_store *store, struct rmt_state *state)
{
    struct rmt_disk_slot slot;
    int rc = rmt_store_next_id(store, &state->id);
    if (rc < 0)
        return rc;
    state->durable = rmt_shared_durable_id(store->shared.bytes);
    state->ceiling = state->id + RMT_CEILING_STEP;
    state->flags = 0;
    rc = write_slot(store, state, &slot);
    if (rc == 0)
        rc = flush(store);
    if (rc < 0)
        return rc;
    now_durable(store);
    publish(store, &slot);
    return 0;
}

/* The version to go on from: what is being flushed is not yet published. */
static void newest_state(struct ramet_store *store, struct rmt_state *out)
{
    if (store->flying)
        rmt_state_load(out, &store->flying->slot);
    else
        rmt_state_published(store, out);
}

int rmt_store_renew(struct ramet_store *store)
{
    int rc = rmt_store_lock(store);
    if (rc < 0)
        return rc;
    struct rmt_state state;
    newest_state(store, &state);
    if (store->shared.bytes->new_epoch)
        rc = renew(store, &state);
    rmt_store_unlock(store);
    return rc;
}

/* An id for a commit: above all that were used, not above the ceiling of the newest durable slot.
 * If a commit before was not published, by one who died in it or met an error, the version before
 * it is durable under a new id before a page of it is used again. */
static int take_id(struct ramet_store *store, struct rmt_state *state, uint64_t *out)
{
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    uint64_t ceiling = rmt_get64(bytes->slots[bytes->durable_index].ceiling);
    bool unknown = bytes->new_epoch && !store->flying; /* what is flying is known here */
    if (store->io->durable && (unknown || atomic_load(&bytes->last_id) + 2 > ceiling)) {
        int rc = renew(store, state);
        if (rc < 0)
            return rc;
    }
    return rmt_store_next_id(store, out);
}

/* ---- beginning --------------------------------------------------------------------------------
 */

static int begin(struct ramet_store *store, struct rmt_commit *c)
{
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    memset(c, 0, sizeof(*c));
    c->store = store;
    newest_state(store, &c->state);
    int rc = rmt_space_follow(&store->space, c->state.log);
    if (rc == 0)
        rc = take_id(store, &c->state, &c->id);
    if (rc < 0)
        return rc;
    c->slots_at = store->io->durable ? rmt_min(bytes->slot_ids[0], bytes->slot_ids[1]) : UINT64_MAX;
    c->catalog = (struct rmt_tree){.root = c->state.catalog};
    c->state.time_us = store->io->ops->time_us(store->io);
    c->sweep_budget = SWEEP_PAGES;
    rmt_edit_init(&c->edit, &store->pages, NULL, NULL);
    c->edit.pool = &store->pool;
    rmt_writer_init(&c->writer, &store->pages, &store->space, c->id);
    rmt_readers_look(&store->shared, store->readers);
    rmt_store_note_dead(store, store->readers->dead);
    rc = rmt_single_settle(c);
    return rc < 0 ? rc : rmt_limbo_release(c);
}

static void fini(struct rmt_commit *c)
{
    rmt_writer_fini(&c->writer);
    rmt_edit_fini(&c->edit);
    rmt_vec_fini(&c->limbo);
    rmt_vec_fini(&c->untidy);
}

int rmt_commit_limbo(struct rmt_commit *c, uint64_t addr, uint64_t len, uint64_t birth)
{
    return rmt_runs_push(&c->limbo, addr, len, birth) ? 0 : rmt_fail(-ENOMEM, "a commit");
}

/* As if nothing of it had ever been. */
static void forget(struct rmt_commit *c)
{
    struct ramet_store *store = c->store;
    rmt_limbo_doubt(store);
    if (store->io->durable)
        rmt_space_unload(&store->space);
    else
        rmt_space_undo(&store->space);
    if (c->writer.pages)
        fini(c);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Writes all that was freed into the catalog; what that replaces of the catalog is freed too, and
 * so on until nothing more is: each page of the catalog is replaced once. (edit.gone: pages of the
 * catalog, and of the space map.) */
static int settle_limbo(struct rmt_commit *c)
{
    for (;;) {
        for (size_t i = 0; i < c->edit.gone.count; i++) {
            struct rmt_run run = c->edit.gone.items[i];
            c->state.book_pages -= run.len;
            /* Not joined to the last run: that may be in the catalog already. */
            if (!rmt_vec_push(&c->limbo, run))
                return rmt_fail(-ENOMEM, "a commit");
        }
        c->edit.gone.count = 0;
        if (c->limbo_done == c->limbo.count)
            return 0;
        size_t from = c->limbo_done;
        c->limbo_done = c->limbo.count;
        int rc = rmt_limbo_add(c, &c->limbo, from);
        if (rc < 0)
            return rc;
    }
}

/* The catalog and the space map go to the writer. */
static int seal(struct rmt_commit *c)
{
    struct ramet_store *store = c->store;
    int rc = store->io->durable ? rmt_space_choose(&store->space, c->id, &c->edit.gone) : 0;
    if (rc == 0)
        rc = settle_limbo(c);
    if (rc < 0)
        return rc;
    uint64_t written = c->writer.nr_written;
    rmt_assert(c->edit.gone.count == 0);
    c->writer.expected = c->edit.nr_private + RMT_BOOK_PAGES;
    rc = rmt_tree_seal(&c->edit, &c->catalog, &c->writer);
    rmt_writer_settle(&c->writer);
    if (rc == 0 && store->io->durable)
        rc = rmt_space_write(&store->space, c->id, &c->writer, &c->state.log);
    c->state.book_pages += c->writer.nr_written - written;
    c->state.catalog = c->catalog.root;
    return rc;
}

int rmt_state_balance(struct ramet_store *store, struct rmt_state *s)
{
    rmt_space_count(&store->space, &s->pages, &s->free_pages);
    uint64_t sum = store->pages.first + s->data_pages + s->unswept_pages + s->book_pages +
                   s->limbo_pages + s->free_pages + s->hole_pages;
    if (sum != s->pages)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': %" PRIu64 " pages of data, %" PRIu64 " unswept, %" PRIu64
                        " of records, %" PRIu64 " in limbo, %" PRIu64 " free and %" PRIu64
                        " given back do not make %" PRIu64,
                        store->io->path, s->data_pages, s->unswept_pages, s->book_pages,
                        s->limbo_pages, s->free_pages, s->hole_pages, s->pages);
    return 0;
}

/* True if times as many pages in limbo are, or would be, enough for a flush: what was freed since
 * the last one cannot be used again before the next. */
static bool limbo_full(const struct rmt_commit *c, uint64_t times)
{
    uint64_t pages = c->state.limbo_pages * times;
    return c->store->io->durable && pages << c->store->pages.page_shift > LIMBO_BYTES &&
           pages > c->state.pages / 4;
}

/* A commit of RAMET_NONE was written. If one will be flushed soon, what was written meanwhile is
 * sent ahead: a page is written once between two flushes, so that nothing goes to the disk twice.
 * It is a hint: without a thread the flush waits for all. */
static void write_behind(const struct rmt_commit *c)
{
    struct ramet_store *store = c->store;
    store->behind_pages += c->writer.nr_written;
    if (!limbo_full(c, 4) || store->behind_pages << store->pages.page_shift < BEHIND_BYTES)
        return;
    store->behind_pages = 0;
    if (store->flusher || rmt_flusher_new(store, &store->flusher) == 0)
        rmt_flusher_behind(store->flusher);
}

/* Pages, then the slot. *flushing: whether that is to be flushed. */
static int write_out(struct rmt_commit *c, bool *flushing, struct rmt_disk_slot *out)
{
    struct ramet_store *store = c->store;
    struct rmt_state *s = &c->state;
    bool large = c->writer.nr_written > PREFLUSH_PAGES;
    int rc = rmt_writer_flush(&c->writer);
    if (rc < 0)
        return rc;
    if (limbo_full(c, 1))
        *flushing = true;
    *flushing = *flushing && store->io->durable;
    s->id = c->id;
    s->durable = rmt_shared_durable_id(store->shared.bytes);
    s->ceiling = c->id + RMT_CEILING_STEP;
    s->flags = 0;
    if (*flushing && large) {
        rc = flush(store);
        s->flags = RMT_SLOT_PREFLUSHED;
    }
    if (rc < 0 || !store->io->durable) {
        rmt_state_save(store, s, out);
        return rc;
    }
    rc = write_slot(store, s, out);
    if (rc == 0 && !*flushing && store->durability == RAMET_NONE)
        write_behind(c);
    return rc;
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* So many groups one after the other, and other processes get the commit lock. */
#define GROUPS_IN_A_ROW 16

/* What takes one member's changes back. */
struct mark {
    struct rmt_state state;
    struct rmt_edit_mark edit;
    struct rmt_ref catalog;
    struct rmt_space_mark space;
    uint64_t nr_written;
    size_t limbo;
    struct rmt_run last;
};

static void mark_set(struct rmt_commit *c, struct mark *mark)
{
    mark->state = c->state;
    mark->catalog = c->catalog.root;
    mark->nr_written = c->writer.nr_written;
    mark->limbo = c->limbo.count;
    if (mark->limbo)
        mark->last = c->limbo.items[mark->limbo - 1];
    rmt_space_mark(&c->store->space, &mark->space);
    rmt_edit_mark(&c->edit, &mark->edit);
}

static int mark_return(struct rmt_commit *c, const struct mark *mark)
{
    rmt_edit_rollback(&c->edit, &mark->edit);
    rmt_tree_set(&c->catalog, mark->catalog, 0);
    rmt_space_rollback(&c->store->space, &mark->space);
    c->state = mark->state;
    c->limbo.count = mark->limbo;
    if (mark->limbo)
        c->limbo.items[mark->limbo - 1] = mark->last;
    c->untidy.count = 0;
    c->writer.queue.count = 0;
    c->writer.run.len = 0;
    c->writer.expected = 0;
    c->writer.nr_written = mark->nr_written;
    /* Its id may be on pages that were written: nobody uses it again. */
    int rc = rmt_store_next_id(c->store, &c->id);
    c->writer.birth = c->id;
    return rc;
}

/* The group to join: open, and opened if there is none. */
static int join(struct ramet_store *store, struct rmt_group **out)
{
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    for (;;) {
        uint64_t ceiling = rmt_get64(bytes->slots[bytes->durable_index].ceiling);
        bool full = store->io->durable && atomic_load(&bytes->last_id) + 2 > ceiling;
        if (store->group ? !full : !store->flying)
            break;
        if (!store->group && !full && store->in_a_row < GROUPS_IN_A_ROW)
            break;
        rmt_lock_wait(&store->commit_lock, &store->commit_cond);
    }
    if (store->group) {
        *out = store->group;
        return 0;
    }
    struct rmt_group *g = calloc(1, sizeof(*g));
    if (!g)
        return rmt_fail(-ENOMEM, "a commit");
    int rc = 0;
    if (!store->flying) {
        rc = store->io->ops->lock(store->io, RMT_BYTE_COMMIT, RMT_IO_LOCK_EXCLUSIVE, true);
        store->in_a_row = 0;
    }
    if (rc == 0)
        rc = rmt_store_writable(store);
    if (rc == 0) {
        rc = begin(store, &g->c);
        if (rc < 0)
            forget(&g->c);
    }
    if (rc < 0) {
        free(g);
        if (!store->flying)
            unlock_byte(store);
        return rc;
    }
    rmt_assert(pthread_cond_init(&g->cond, NULL) == 0);
    g->number = ++store->last_group;
    store->in_a_row++;
    store->group = g;
    *out = g;
    return 0;
}

static void free_group(struct rmt_group *g)
{
    (void)pthread_cond_destroy(&g->cond);
    free(g);
}

/* It is published, or has failed. */
static void done(struct ramet_store *store, struct rmt_group *g, int rc)
{
    g->done = true;
    g->rc = rc;
    /* A transaction that began at what failed reads pages that the next commit would write over. */
    if (rmt_branch_settle(store, g->number) && rc < 0 &&
        !atomic_load(&store->shared.bytes->poisoned))
        poison(store, "writing a commit that others began at", rc);
    (void)pthread_cond_broadcast(&g->cond);
    if (store->group)
        (void)pthread_cond_signal(&store->group->cond);
    else if (!store->flying)
        unlock_byte(store);
    (void)pthread_cond_broadcast(&store->commit_cond);
}

/* A member makes its changes, and writes its pages. */
static int apply_in(struct rmt_group *g, rmt_apply_fn apply, void *ctx)
{
    struct rmt_commit *c = &g->c;
    struct ramet_store *store = c->store;
    struct mark mark;
    int rc = 0;
    if (g->members) {
        mark_set(c, &mark);
        rc = rmt_store_next_id(store, &c->id);
        c->writer.birth = c->id;
    }
    if (rc == 0)
        rc = apply(c, ctx);
    if (rc == 0)
        rc = rmt_version_settle(c);
    if (rc == 0)
        rc = rmt_writer_flush(&c->writer);
    if (rc == 0)
        return 0;
    if (g->members && mark_return(c, &mark) == 0)
        return rc;
    /* Nobody else is in it. (Or there are no more ids: all who are will be told so.) */
    forget(c);
    store->group = NULL;
    done(store, g, rc);
    if (!g->members)
        free_group(g);
    return rc;
}

/* Writes what the group changed. Afterwards all its memory is free again. */
static int write_group(struct rmt_group *g)
{
    struct rmt_commit *c = &g->c;
    int rc = rmt_store_writable(c->store);
    if (rc == 0)
        rc = rmt_sweep_some(c, c->sweep_budget);
    if (rc == 0)
        rc = seal(c);
    if (rc == 0)
        rc = rmt_state_balance(c->store, &c->state);
    if (rc == 0)
        rc = write_out(c, &g->flushing, &g->slot);
    if (rc < 0) {
        forget(c);
        return rc;
    }
    rmt_space_done(&c->store->space);
    fini(c);
    return 0;
}

/* Writes, flushes and publishes a group; the lock is given away for the flush. */
static void lead(struct ramet_store *store, struct rmt_group *g)
{
    store->group = NULL;
    int rc = write_group(g);
    if (rc == 0 && g->flushing) {
        store->flying = g;
        rmt_lock_give(&store->commit_lock);
        rc = store->io->ops->sync(store->io);
        rmt_lock_take(&store->commit_lock);
        store->flying = NULL;
        if (rc == 0)
            now_durable(store);
        else
            poison(store, "a flush", rc);
    }
    if (rc == 0)
        publish(store, &g->slot);
    done(store, g, rc);
    if (rc == 0 && !g->flushing && store->durability == RAMET_LAZY && store->flusher)
        rmt_flusher_wake(store->flusher);
}

static int commit_locked(struct ramet_store *store, rmt_apply_fn apply, rmt_joined_fn joined,
                         void *ctx, bool flushing)
{
    struct rmt_group *g = NULL;
    int rc = join(store, &g);
    if (rc == 0)
        rc = apply_in(g, apply, ctx);
    if (rc < 0)
        return rc;
    g->members++;
    g->flushing |= flushing;
    if (joined && flushing && store->io->durable)
        joined(ctx, g->number);
    while (!g->done && store->flying)
        rmt_lock_wait(&store->commit_lock, &g->cond);
    bool leading = !g->done;
    if (leading)
        lead(store, g);
    rc = g->rc;
    if (--g->members == 0)
        free_group(g);
    if (rc < 0 && !leading)
        return rmt_fail(rc, "store '%s': the commits that were written together failed",
                        store->io->path);
    return rc;
}

int rmt_commit(struct ramet_store *store, rmt_apply_fn apply, rmt_joined_fn joined, void *ctx,
               bool flushing)
{
    rmt_lock_take(&store->commit_lock);
    int rc = commit_locked(store, apply, joined, ctx, flushing);
    give_mutex(store);
    return rc;
}

void rmt_commit_wait(struct ramet_store *store, uint64_t group)
{
    rmt_lock_take(&store->commit_lock);
    while ((store->group && store->group->number <= group) ||
           (store->flying && store->flying->number <= group))
        rmt_lock_wait(&store->commit_lock, &store->commit_cond);
    rmt_lock_give(&store->commit_lock);
}

int rmt_commit_flush(struct rmt_commit *c)
{
    return c->store->io->durable ? flush(c->store) : 0;
}

/* ---- flushing later, making room ------------------------------------------------------------- */

int rmt_store_sync(struct ramet_store *store)
{
    if (!store->io->durable)
        return 0;
    int rc = rmt_store_lock(store);
    if (rc < 0)
        return rc;
    const struct rmt_shared_bytes *bytes = store->shared.bytes;
    struct rmt_state state;
    newest_state(store, &state);
    if (state.id == rmt_shared_durable_id(bytes)) {
        rc = 0;
    } else if (bytes->new_epoch) {
        rc = renew(store, &state); /* its slot was overwritten by a commit that came to nothing */
    } else {
        rc = flush(store);
        if (rc == 0)
            now_durable(store);
    }
    rmt_store_unlock(store);
    return rc;
}

static int nothing(struct rmt_commit *c, void *ctx)
{
    (void)c;
    (void)ctx;
    return 0;
}

int rmt_store_turn(struct ramet_store *store)
{
    return rmt_commit(store, nothing, NULL, NULL, true);
}

int rmt_store_reserve(struct ramet_store *store, uint64_t pages, bool urgent)
{
    int rc = rmt_space_has(&store->space, pages, urgent) ? 0 : rmt_holes_fill(store, pages);
    if (rc < 0 && rc != -ENOSPC && rc != -EDQUOT) /* on a full disk there may be other room */
        return rc;
    rc = rmt_space_reserve(&store->space, pages, urgent);
    for (int i = 0; rc == -ENOSPC && i < 3; i++) {
        struct rmt_state state;
        rmt_state_published(store, &state);
        if (state.limbo_pages + state.unswept_pages < pages)
            return rmt_space_reserve(&store->space, pages, urgent); /* for its message */
        int turned = rmt_store_turn(store);
        if (turned < 0)
            return turned;
        rc = rmt_space_reserve(&store->space, pages, urgent);
    }
    return rc;
}
