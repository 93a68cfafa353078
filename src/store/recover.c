/* SPDX-License-Identifier: MIT */
/*
 * recover.c - which version to go on from, when a store is opened.
 *
 *   the lock file is of this boot, no flush failed, no commit is known to be lost: the newest slot;
 *     caches are whole
 *   else: flush, drop the caches, and take the newest slot whose commit is wholly on disk
 *
 * A commit is known to be wholly there if a seal says so, or its own slot (its pages were flushed
 * before it). Else every page born after the slot's own durable id is read and verified. If that
 * proves wrong the other slot is taken: its commit was acknowledged last. A page that the device
 * cannot read proves nothing, and opening fails. Past a sealed commit there is no falling back:
 * that is corruption.
 */
#include <inttypes.h>

#include "store/walk.h"

#define EPOCH_STEP ((uint64_t)1 << 21)

struct meta {
    struct rmt_disk_slot slots[2];
    bool valid[2];
    uint64_t sealed; /* newest id that a seal says is durable */
    uint64_t ceiling;
};

/* A store that was just made has 64 pages behind its front. */
static bool is_first_size(uint64_t size)
{
    for (uint64_t page_size = RMT_PAGE_SIZE_MIN; page_size <= RMT_PAGE_SIZE_MAX; page_size *= 2) {
        if (size == RMT_META_SIZE + RMT_FIRST_PAGES * page_size)
            return true;
    }
    return false;
}

static int judge_slot(struct rmt_io *io, const struct rmt_disk_slot *slot)
{
    if (rmt_get32(slot->format) != RMT_FORMAT)
        return rmt_fail(RAMET_EFORMAT, "store '%s' has format %u, this is version %s for format %u",
                        io->path, rmt_get32(slot->format), ramet_version(), RMT_FORMAT);
    if (rmt_get32(slot->refuse))
        return rmt_fail(RAMET_EFORMAT,
                        "store '%s' uses features that version %s does not know (%#x)", io->path,
                        ramet_version(), rmt_get32(slot->refuse));
    if (rmt_get32(slot->readonly) && !io->readonly)
        return rmt_fail(RAMET_EFORMAT,
                        "store '%s' uses features that version %s can only read (%#x): "
                        "open it read-only",
                        io->path, ramet_version(), rmt_get32(slot->readonly));
    uint32_t page_size = rmt_get32(slot->page_size);
    if (page_size < RMT_PAGE_SIZE_MIN || page_size > RMT_PAGE_SIZE_MAX ||
        page_size & (page_size - 1))
        return rmt_fail(RAMET_EFORMAT, "store '%s' has pages of %u bytes", io->path, page_size);
    return 0;
}

/* A sector behind the end of the file is zero. */
static int read_sector(struct rmt_io *io, void *buf, uint64_t off)
{
    int rc = io->ops->read(io, buf, RMT_SECTOR_SIZE, off);
    if (rc == -ENODATA) {
        memset(buf, 0, RMT_SECTOR_SIZE);
        return 0;
    }
    return rc;
}

static int read_meta(struct rmt_io *io, struct meta *meta)
{
    memset(meta, 0, sizeof(*meta));
    for (uint32_t i = 0; i < 2; i++) {
        struct rmt_disk_slot *slot = &meta->slots[i];
        int rc = read_sector(io, slot, rmt_slot_off(i));
        if (rc < 0)
            return rc;
        if (memcmp(slot->magic, RMT_SLOT_MAGIC, sizeof(slot->magic)) != 0 ||
            !rmt_sector_valid(slot))
            continue;
        rc = judge_slot(io, slot);
        if (rc < 0)
            return rc;
        meta->valid[i] = rmt_id_legal(rmt_get64(slot->id));
        meta->ceiling = rmt_max(meta->ceiling, rmt_get64(slot->ceiling));
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct rmt_disk_seal seal;
        int rc = read_sector(io, &seal, rmt_seal_off(i));
        if (rc < 0)
            return rc;
        const struct rmt_disk_slot *of = &meta->slots[!meta->valid[0]];
        if (memcmp(seal.magic, RMT_SEAL_MAGIC, sizeof(seal.magic)) == 0 &&
            rmt_sector_valid(&seal) &&
            memcmp(seal.store_id, of->store_id, sizeof(seal.store_id)) == 0)
            meta->sealed = rmt_max(meta->sealed, rmt_get64(seal.id));
    }
    return 0;
}

/* Both damaged, but once a store: say so rather than "not a store". */
static bool was_store(const struct meta *meta)
{
    return memcmp(meta->slots[0].magic, RMT_SLOT_MAGIC, 8) == 0 ||
           memcmp(meta->slots[1].magic, RMT_SLOT_MAGIC, 8) == 0;
}

/* 1: the file has nothing but zeros. */
static int is_blank(struct rmt_io *io, uint64_t size)
{
    uint8_t buf[RMT_PAGE_SIZE_MIN];
    for (uint64_t off = 0; off < size; off += sizeof(buf)) {
        int rc = io->ops->read(io, buf, sizeof(buf), off);
        if (rc < 0)
            return rc;
        if (!rmt_all_zero(buf, sizeof(buf)))
            return 0;
    }
    return 1;
}

int rmt_recover_meta(struct rmt_io *io, bool *out_blank, uint32_t *out_page_size,
                     uint8_t out_store_id[16])
{
    struct meta meta;
    uint64_t size;
    int rc = io->ops->size(io, &size);
    if (rc == 0)
        rc = read_meta(io, &meta);
    if (rc < 0)
        return rc;
    *out_blank = false;
    if (meta.valid[0] || meta.valid[1]) {
        const struct rmt_disk_slot *slot = &meta.slots[!meta.valid[0]];
        *out_page_size = rmt_get32(slot->page_size);
        memcpy(out_store_id, slot->store_id, 16);
        if (meta.valid[0] && meta.valid[1] &&
            (memcmp(meta.slots[0].store_id, meta.slots[1].store_id, 16) != 0 ||
             rmt_get32(meta.slots[1].page_size) != *out_page_size))
            return rmt_fail(RAMET_ECORRUPT, "store '%s': its two slots are of different stores",
                            io->path);
        return 0;
    }
    if (was_store(&meta))
        return rmt_fail(RAMET_ECORRUPT, "store '%s': both slots at its front are damaged",
                        io->path);
    /* Power may have failed while it was made: then nothing but zeros is there, of the first size.
     */
    rc = size == 0 ? 1 : is_first_size(size) ? is_blank(io, size) : 0;
    if (rc < 0)
        return rc;
    *out_blank = rc;
    return rc ? 0 : rmt_fail(RAMET_ENOTSTORE, "'%s'", io->path);
}

/* ---- is a commit wholly on disk? ------------------------------------------------------------- */

static int count_pages(void *ctx, struct rmt_run run, const struct rmt_disk_node *node)
{
    (void)node;
    *(uint64_t *)ctx += run.len;
    return 0;
}

/* count: of pages, is added to. */
static int verify_tree(struct ramet_store *store, struct rmt_ref root, bool maps, uint64_t horizon,
                       uint64_t *count)
{
    struct rmt_walk walk;
    if (rmt_ref_none(root))
        return 0;
    int rc = rmt_walk_init(&walk, &store->pages, root, maps, horizon, count_pages, count);
    walk.verify = true;
    while (rc >= 0 && (rc = rmt_walk_step(&walk)) > 0)
        ;
    return rc;
}

static int verify_versions(struct ramet_store *store, const struct rmt_tree *catalog,
                           uint64_t horizon, uint64_t *count)
{
    struct rmt_key prefix = {.bytes = {'v'}, .size = 1};
    rmt_auto(rmt_scan_fini) struct rmt_scan scan;
    rmt_scan_init(&scan, &store->pages, catalog, &prefix);
    int rc;
    while ((rc = rmt_scan_next(&scan)) > 0) {
        struct rmt_version v;
        rc = rmt_version_load(&store->pages, 0, scan.value, &v);
        if (rc == 0 && v.root.birth > horizon)
            rc = verify_tree(store, v.root, true, horizon, count);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int verify(struct ramet_store *store, const struct rmt_disk_slot *slot, uint64_t *count)
{
    struct rmt_state state;
    rmt_state_load(&state, slot);
    if (state.flags & RMT_SLOT_PREFLUSHED)
        return 0;
    rmt_pages_forget(&store->pages);
    struct rmt_tree catalog = {.root = state.catalog};
    int rc = 0;
    if (state.catalog.birth > state.durable)
        rc = verify_tree(store, state.catalog, false, state.durable, count);
    if (rc == 0)
        rc = verify_versions(store, &catalog, state.durable, count);
    if (rc == 0)
        rc = rmt_space_load(&store->space, state.log);
    rmt_space_unload(&store->space);
    return rc;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static void adopt(struct ramet_store *store, const struct meta *meta, uint32_t index, uint64_t lost)
{
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    const struct rmt_disk_slot *slot = &meta->slots[index];
    bool other = meta->valid[!index] && !lost;
    bytes->durable_index = index;
    bytes->slots[index] = *slot;
    bytes->slot_ids[index] = rmt_get64(slot->id);
    bytes->slots[!index] = meta->slots[!index];
    bytes->slot_ids[!index] = other ? rmt_get64(meta->slots[!index].id) : 0;
    bytes->lost_id = lost;
    rmt_shared_publish(&store->shared, slot, NULL);
}

/* Slots whose commits may be there, newest first. */
static uint32_t order(const struct meta *meta, uint32_t out[2])
{
    uint32_t n = 0;
    bool second_first = rmt_get64(meta->slots[1].id) > rmt_get64(meta->slots[0].id);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t index = second_first ? !i : i;
        if (meta->valid[index])
            out[n++] = index;
    }
    return n;
}

/* The file can be shorter than a slot says: it grew, and that was not flushed. */
static int long_enough(struct ramet_store *store, const struct rmt_disk_slot *slot)
{
    uint64_t size, pages = rmt_get64(slot->pages);
    int rc = store->io->ops->size(store->io, &size);
    if (rc == 0 && size >> store->pages.page_shift < pages)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s' has %" PRIu64 " bytes, and must have %" PRIu64
                        ": it was cut short",
                        store->io->path, size, pages << store->pages.page_shift);
    return rc;
}

/* Also of a slot that is trusted: a reference of birth 0 would be taken for an address in memory.
 */
static int judge_roots(const struct ramet_store *store, const struct rmt_disk_slot *slot)
{
    const struct rmt_ref roots[] = {rmt_ref_load(&slot->catalog), rmt_ref_load(&slot->log)};
    for (int i = 0; i < 2; i++) {
        if (!rmt_ref_none(roots[i]) &&
            !rmt_ref_plausible(&store->pages, roots[i], rmt_get64(slot->id)))
            return rmt_fail(RAMET_ECORRUPT, "store '%s': a slot refers to page %" PRIu64,
                            store->io->path, roots[i].addr);
    }
    return 0;
}

static void tell(struct ramet_store *store, uint64_t id, uint64_t lost, uint64_t pages,
                 uint64_t since_ms)
{
    if (lost)
        rmt_log_note(&store->log, RAMET_LOG_WARNING,
                     "store '%s': commit %" PRIu64
                     " had not been flushed and is not whole: it is lost, and %" PRIu64
                     " is the newest",
                     store->io->path, lost, id);
    if (pages)
        rmt_log_note(&store->log, RAMET_LOG_INFO,
                     "store '%s': recovered after a crash: %" PRIu64 " pages verified in %" PRIu64
                     " ms",
                     store->io->path, pages, store->io->ops->clock_ms(store->io) - since_ms);
}

static int choose(struct ramet_store *store, const struct meta *meta, bool trusted)
{
    uint32_t candidates[2], n = order(meta, candidates);
    uint64_t lost = 0, count = 0, since_ms = store->io->ops->clock_ms(store->io);
    for (uint32_t i = 0; i < n; i++) {
        const struct rmt_disk_slot *slot = &meta->slots[candidates[i]];
        uint64_t id = rmt_get64(slot->id);
        if (id < meta->sealed)
            return rmt_fail(RAMET_ECORRUPT,
                            "store '%s': commit %" PRIu64 " was on disk and its slot is damaged",
                            store->io->path, meta->sealed);
        int rc = long_enough(store, slot);
        if (rc == 0)
            rc = judge_roots(store, slot);
        if (rc == 0 && !trusted && id != meta->sealed)
            rc = verify(store, slot, &count);
        if (rc < 0 && (trusted || id == meta->sealed))
            return rc;
        if (rc == 0) {
            adopt(store, meta, candidates[i], lost);
            tell(store, id, lost, count, since_ms);
            return 0;
        }
        /* What the device cannot read now may have been acknowledged: that decides nothing. */
        if (rc != RAMET_ECORRUPT && rc != -ENODATA)
            return rc;
        lost = id;
        if (i + 1 == n)
            return rc;
    }
    return rmt_fail(RAMET_ECORRUPT, "store '%s' has no slot that can be read", store->io->path);
}

int rmt_recover(struct ramet_store *store)
{
    struct rmt_io *io = store->io;
    struct rmt_shared_bytes *bytes = store->shared.bytes;
    struct meta meta;
    int rc = io->ops->sync(io); /* what a dead process wrote and did not flush */
    if (rc < 0)
        return rc;
    if (!store->shared.known)
        io->ops->drop_cache(io);
    rc = read_meta(io, &meta);
    uint64_t size;
    if (rc == 0)
        rc = io->ops->size(io, &size);
    if (rc < 0)
        return rc;
    atomic_store(&bytes->file_pages, size >> store->pages.page_shift);
    /* A commit that an opening fell back past has its slot until somebody writes over it. */
    bool lost = bytes->lost_id && bytes->new_epoch;
    bool trusted =
        store->created || (store->shared.known && atomic_load(&bytes->published) != 0 && !lost);
    if (store->created)
        atomic_store(&bytes->last_id, 1);
    if (!trusted) {
        atomic_store(&bytes->last_id,
                     rmt_max(atomic_load(&bytes->last_id), meta.ceiling + EPOCH_STEP));
        bytes->new_epoch = 1;
    }
    rc = choose(store, &meta, trusted);
    if (rc == 0)
        atomic_store(&bytes->poisoned, 0);
    return rc;
}
