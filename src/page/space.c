/* SPDX-License-Identifier: MIT */
#include "page/space.h"

#include <inttypes.h>

#include "page/writer.h"

/* Kept so that dropping and deleting work on a full disk. */
#define URGENT_PAGES 96
#define GROW_MIN 64
#define GROW_MAX 16384
/* Runs shorter than this are passed over while there is enough else. */
#define RUN_MIN 16
/* Before a run of at most so many pages is taken where none was before, so many bytes of zeros are
 * written there. */
#define AHEAD_PAGES 64
#define AHEAD_BYTES (1u << 20)
/* A region is written for so many bytes of log: bounds the log to this times the number of regions.
 */
#define REGION_DEBT 2048

#define WORD(page) ((page) / 64)
#define BIT(page) ((uint64_t)1 << (page) % 64)

int rmt_space_init(struct rmt_space *space, struct rmt_pages *pages, struct rmt_shared *shared)
{
    memset(space, 0, sizeof(*space));
    space->pages = pages;
    space->shared = shared;
    space->region_pages = (uint64_t)(pages->page_size - sizeof(struct rmt_disk_region)) * 8;
    space->written = pages->first;
    rmt_lock_init(&space->lock, RMT_RANK_SPACE);
    space->tail = malloc(pages->page_size);
    return space->tail ? 0 : rmt_fail(-ENOMEM, "the space map");
}

static void clear(struct rmt_space *space)
{
    for (size_t i = 0; i < space->regions.count; i++)
        free(space->regions.items[i].bits);
    space->regions.count = 0;
    space->log.count = 0;
    space->freed.count = 0;
    space->taken.count = 0;
    space->tail_used = 0;
    space->log_debt = 0;
    space->next_region = 0;
    space->loaded = false;
}

void rmt_space_fini(struct rmt_space *space)
{
    if (!space->pages)
        return;
    clear(space);
    rmt_vec_fini(&space->regions);
    rmt_vec_fini(&space->log);
    rmt_vec_fini(&space->freed);
    rmt_vec_fini(&space->taken);
    free(space->tail);
    rmt_lock_fini(&space->lock);
}

void rmt_space_unload(struct rmt_space *space)
{
    clear(space);
}

/* ---- bits ------------------------------------------------------------------------------------ */

static int add_region(struct rmt_space *space, uint64_t since)
{
    struct rmt_region region = {.since = since};
    region.bits = calloc(rmt_div_up(space->region_pages, 64), 8);
    if (!region.bits || !rmt_vec_push(&space->regions, region)) {
        free(region.bits);
        return rmt_fail(-ENOMEM, "the space map");
    }
    if (space->regions.count == 1) {
        for (uint64_t i = 0; i < space->pages->first; i++)
            region.bits[WORD(i)] |= BIT(i);
    }
    return 0;
}

/* Regions for all pages of the file. With the commit lock too: growing for a reserve leaves it to
 * those who take and free, so that regions stay where they are while others look at them. */
static int cover(struct rmt_space *space, uint64_t since)
{
    while (space->regions.count * space->region_pages < space->nr_pages) {
        int rc = add_region(space, since);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The region of a page, and which of its pages that is. (The first one without a division: it is
 * most often the only one of a store in memory.) */
static inline struct rmt_region *region_of(const struct rmt_space *space, uint64_t addr,
                                           uint64_t *out_index)
{
    rmt_assert(space->region_pages > 0);
    uint64_t number = addr < space->region_pages ? 0 : addr / space->region_pages;
    *out_index = addr - number * space->region_pages;
    return &space->regions.items[number];
}

static bool taken(const struct rmt_space *space, uint64_t addr)
{
    uint64_t i;
    const struct rmt_region *region = region_of(space, addr, &i);
    return region->bits[WORD(i)] & BIT(i);
}

bool rmt_space_is_free(struct rmt_space *space, uint64_t addr)
{
    rmt_lock_scope(&space->lock);
    return addr < space->nr_pages &&
           (addr >= space->regions.count * space->region_pages || !taken(space, addr));
}

void rmt_space_count(struct rmt_space *space, uint64_t *out_pages, uint64_t *out_free)
{
    rmt_lock_scope(&space->lock);
    *out_pages = space->nr_pages;
    *out_free = space->nr_free;
}

static void set(struct rmt_space *space, uint64_t addr, uint64_t len, bool value)
{
    if (value)
        space->written = rmt_max(space->written, addr + len);
    for (; len; addr++, len--) {
        uint64_t i;
        struct rmt_region *region = region_of(space, addr, &i);
        if (value)
            region->bits[WORD(i)] |= BIT(i);
        else
            region->bits[WORD(i)] &= ~BIT(i);
    }
}

static void count_free(struct rmt_space *space)
{
    uint64_t nr_taken = 0;
    for (size_t r = 0; r < space->regions.count; r++) {
        for (size_t i = 0; i < rmt_div_up(space->region_pages, 64); i++)
            nr_taken += (uint64_t)__builtin_popcountll(space->regions.items[r].bits[i]);
    }
    space->nr_free = space->nr_pages - nr_taken;
}

/* The first page at or after addr, below end, whose bit is value; end if there is none. */
static uint64_t find(const struct rmt_space *space, uint64_t addr, uint64_t end, bool value)
{
    while (addr < end) {
        uint64_t i;
        const struct rmt_region *region = region_of(space, addr, &i);
        uint64_t word = region->bits[WORD(i)];
        word = (value ? word : ~word) >> i % 64;
        if (word) {
            uint64_t at = addr + (uint64_t)__builtin_ctzll(word);
            uint64_t region_end = addr - i + space->region_pages;
            if (at < region_end)
                return rmt_min(at, end);
            addr = region_end;
        } else {
            addr = rmt_min(addr + 64 - i % 64, addr - i + space->region_pages);
        }
    }
    return end;
}

/* ---- taking and freeing ---------------------------------------------------------------------- */

/* Pages by which the file has grown, by whoever, are free. Called with the lock. */
static void see_growth(struct rmt_space *space)
{
    uint64_t nr = rmt_min(atomic_load(&space->shared->bytes->file_pages), space->pages->reserved);
    if (nr <= space->nr_pages)
        return;
    space->nr_free += nr - space->nr_pages;
    space->nr_pages = nr;
    atomic_store_explicit(&space->pages->nr_pages, nr, memory_order_relaxed);
}

/* Grows the file by at least want pages. Called with the lock. */
static int grow_locked(struct rmt_space *space, uint64_t want)
{
    uint64_t before = atomic_load(&space->shared->bytes->file_pages);
    uint64_t step = rmt_min(rmt_max(before / 8, GROW_MIN), GROW_MAX);
    uint64_t tries[2] = {rmt_max(step, want), want};
    int rc = -ENOSPC;
    for (int i = 0; i < 2; i++) {
        uint64_t nr = before + tries[i];
        if (nr > space->pages->reserved)
            return rmt_fail(-EFBIG, "store '%s' has outgrown the address space reserved for it",
                            space->pages->io->path);
        rc = space->pages->io->ops->grow(space->pages->io, nr << space->pages->page_shift);
        if (rc == 0) {
            rmt_shared_grown(space->shared, nr);
            return 0;
        }
    }
    return rc;
}

int rmt_space_reserve(struct rmt_space *space, uint64_t pages, bool urgent)
{
    rmt_lock_scope(&space->lock);
    struct rmt_process_slot *own = rmt_shared_own(space->shared);
    uint64_t lacking;
    atomic_fetch_add(&own->reserved, pages);
    while ((lacking = rmt_shared_lacking(space->shared, urgent ? 0 : URGENT_PAGES)) > 0) {
        int rc = grow_locked(space, lacking);
        if (rc < 0) {
            atomic_fetch_sub(&own->reserved, pages);
            return rc;
        }
    }
    return 0;
}

void rmt_space_release(struct rmt_space *space, uint64_t pages)
{
    uint64_t before = atomic_fetch_sub(&rmt_shared_own(space->shared)->reserved, pages);
    rmt_assert(before >= pages);
}

bool rmt_space_has(struct rmt_space *space, uint64_t pages, bool urgent)
{
    return rmt_shared_lacking(space->shared, pages + (urgent ? 0 : URGENT_PAGES)) == 0;
}

/* Looks once around the file for a run of least pages. */
static bool look(struct rmt_space *space, uint64_t want, uint64_t least, struct rmt_span *out)
{
    uint64_t start = space->rover < space->nr_pages ? space->rover : 0, addr = start;
    for (bool wrapped = false;;) {
        uint64_t limit = wrapped ? start : space->nr_pages;
        addr = find(space, addr, limit, false);
        if (addr == limit) {
            if (wrapped)
                return false;
            wrapped = true;
            addr = 0;
            continue;
        }
        uint64_t end = find(space, addr, rmt_min(addr + want, space->nr_pages), true);
        if (end - addr >= least) {
            *out = (struct rmt_span){addr, end - addr};
            space->rover = end;
            return true;
        }
        addr = end;
        if (wrapped && addr >= start)
            return false;
    }
}

/* A flush after a write to blocks that were reserved and never written waits for the filesystem's
 * journal too, and a commit of a few pages takes twice as long (ext4, XFS). So zeros go there
 * first, for many commits at once. No more than a hint: these pages are free, and stay free. */
static void write_ahead(struct rmt_space *space, uint64_t end)
{
    static const uint8_t zeros[RMT_PAGE_SIZE_MAX];
    struct rmt_io *io = space->pages->io;
    uint32_t shift = space->pages->page_shift;
    struct iovec iov[AHEAD_BYTES / sizeof(zeros) + 1];
    int n = 0;
    end = rmt_min(rmt_max(end, space->written + (AHEAD_BYTES >> shift)), space->nr_pages);
    uint64_t bytes = (end - space->written) << shift;
    if (bytes > AHEAD_BYTES)
        return;
    for (uint64_t len; bytes; bytes -= len) {
        len = rmt_min(bytes, sizeof(zeros));
        iov[n++] = (struct iovec){.iov_base = (void *)(uintptr_t)zeros, .iov_len = len};
    }
    (void)io->ops->write(io, iov, n, space->written << shift);
    space->written = end;
}

static int note(struct rmt_span **items, size_t *count, size_t *capacity, uint64_t addr,
                uint64_t len)
{
    if (*count && (*items)[*count - 1].addr + (*items)[*count - 1].len == addr) {
        (*items)[*count - 1].len += len;
        return 0;
    }
    if (*count == *capacity && !rmt_vec_grow((void **)items, capacity, *count + 1, sizeof(**items)))
        return rmt_fail(-ENOMEM, "the space map");
    (*items)[(*count)++] = (struct rmt_span){addr, len};
    return 0;
}

/* A round over the file that finds no run of least pages is not made again until so much was freed
 * that there may be one: looking costs a little for each page that is freed. */
static void run_missed(struct rmt_space *space, uint64_t least)
{
    space->least = least / 2;
    space->freed_pages = 0;
}

int rmt_space_take(struct rmt_space *space, uint64_t want, uint64_t together, struct rmt_span *out)
{
    rmt_assert(space->loaded && together > 0 && together <= want);
    rmt_lock_scope(&space->lock);
    struct rmt_span span;
    if (space->least < RUN_MIN && space->freed_pages > space->nr_pages / 16) {
        space->least = 2 * space->least;
        space->freed_pages = 0;
    }
    for (;;) {
        int covered = cover(space, 0);
        if (covered < 0)
            return covered;
        uint64_t least = rmt_min(together, space->least);
        if (look(space, want, least, &span))
            break;
        /* Holes are filled before the file grows, unless they are few. */
        if (least > 1 && space->nr_free > space->nr_pages / 4 + want) {
            run_missed(space, least);
            continue;
        }
        int rc = grow_locked(space, want);
        see_growth(space);
        if (rc < 0) {
            if (least == 1)
                return rc;
            run_missed(space, least);
        }
    }
    int rc =
        note(&space->taken.items, &space->taken.count, &space->taken.capacity, span.addr, span.len);
    if (rc < 0)
        return rc;
    /* Behind a large one of this commit, which waits for the journal anyhow, it is in vain. */
    bool small = space->taken.items[space->taken.count - 1].len <= AHEAD_PAGES;
    if (space->ahead && small && want <= AHEAD_PAGES && span.addr + span.len > space->written)
        write_ahead(space, span.addr + span.len);
    set(space, span.addr, span.len, true);
    space->nr_free -= span.len;
    *out = span;
    return 0;
}

void rmt_space_untake(struct rmt_space *space, uint64_t addr, uint64_t len)
{
    rmt_lock_scope(&space->lock);
    rmt_assert(space->taken.count);
    struct rmt_span *last = &space->taken.items[space->taken.count - 1];
    rmt_assert(last->len >= len && last->addr + last->len == addr + len);
    last->len -= len;
    space->taken.count -= last->len == 0;
    set(space, addr, len, false);
    space->nr_free += len;
    space->rover = addr;
}

void rmt_space_mark(struct rmt_space *space, struct rmt_space_mark *out)
{
    size_t taken = space->taken.count, freed = space->freed.count;
    *out = (struct rmt_space_mark){
        .taken = taken,
        .freed = freed,
        .last_taken = taken ? space->taken.items[taken - 1].len : 0,
        .last_freed = freed ? space->freed.items[freed - 1].len : 0,
    };
}

static void give_back(struct rmt_space *space, uint64_t addr, uint64_t len)
{
    set(space, addr, len, false);
    space->nr_free += len;
}

static void take_back(struct rmt_space *space, uint64_t addr, uint64_t len)
{
    set(space, addr, len, true);
    space->nr_free -= len;
}

void rmt_space_rollback(struct rmt_space *space, const struct rmt_space_mark *mark)
{
    rmt_lock_scope(&space->lock);
    for (size_t i = mark->taken; i < space->taken.count; i++)
        give_back(space, space->taken.items[i].addr, space->taken.items[i].len);
    space->taken.count = mark->taken;
    if (mark->taken) {
        struct rmt_span *last = &space->taken.items[mark->taken - 1];
        give_back(space, last->addr + mark->last_taken, last->len - mark->last_taken);
        last->len = mark->last_taken;
    }
    for (size_t i = mark->freed; i < space->freed.count; i++)
        take_back(space, space->freed.items[i].addr, space->freed.items[i].len);
    space->freed.count = mark->freed;
    if (mark->freed) {
        struct rmt_span *last = &space->freed.items[mark->freed - 1];
        take_back(space, last->addr + mark->last_freed, last->len - mark->last_freed);
        last->len = mark->last_freed;
    }
}

/* All runs of free pages, by address. */
static int list_free_locked(const struct rmt_space *space, uint64_t birth, struct rmt_runs *out)
{
    for (uint64_t addr = 0, end; addr < space->nr_pages; addr = end) {
        addr = find(space, addr, space->nr_pages, false);
        end = find(space, addr, space->nr_pages, true);
        if (addr < end && !rmt_runs_push(out, addr, end - addr, birth))
            return rmt_fail(-ENOMEM, "the space map");
    }
    return 0;
}

int rmt_space_spare(struct rmt_space *space, uint64_t keep, uint64_t birth, struct rmt_runs *out)
{
    rmt_lock_scope(&space->lock);
    struct rmt_runs all = {0};
    uint64_t kept = rmt_shared_promised(space->shared) + URGENT_PAGES + keep;
    uint64_t budget = space->nr_free - rmt_min(space->nr_free, kept);
    int rc = cover(space, 0);
    if (rc == 0)
        rc = list_free_locked(space, birth, &all);
    for (size_t i = all.count; i-- > 0 && budget && rc == 0;) {
        uint64_t len = rmt_min(all.items[i].len, budget);
        uint64_t addr = all.items[i].addr + all.items[i].len - len;
        rc = note(&space->taken.items, &space->taken.count, &space->taken.capacity, addr, len);
        if (rc == 0 && !rmt_runs_push(out, addr, len, birth))
            rc = rmt_fail(-ENOMEM, "the space map");
        if (rc == 0)
            set(space, addr, len, true);
        space->nr_free -= rc == 0 ? len : 0;
        budget -= len;
    }
    rmt_vec_fini(&all);
    space->least = 1; /* this commit takes what is left, and does not grow the file for it */
    return rc;
}

int rmt_space_free(struct rmt_space *space, uint64_t addr, uint64_t len)
{
    rmt_lock_scope(&space->lock);
    int rc = cover(space, 0);
    if (rc < 0)
        return rc;
    if (addr < space->pages->first || len > space->nr_pages || addr > space->nr_pages - len ||
        find(space, addr, addr + len, false) < addr + len)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': pages %" PRIu64 " to %" PRIu64 " are freed twice",
                        space->pages->io->path, addr, addr + len - 1);
    rc = note(&space->freed.items, &space->freed.count, &space->freed.capacity, addr, len);
    if (rc < 0)
        return rc;
    set(space, addr, len, false);
    space->nr_free += len;
    space->freed_pages += len;
    if (!space->pages->io->durable) /* the memory of these is still in the processor's caches */
        space->rover = rmt_min(space->rover, addr);
    return 0;
}

void rmt_space_undo(struct rmt_space *space)
{
    rmt_lock_scope(&space->lock);
    for (size_t i = 0; i < space->taken.count; i++)
        give_back(space, space->taken.items[i].addr, space->taken.items[i].len);
    for (size_t i = 0; i < space->freed.count; i++)
        take_back(space, space->freed.items[i].addr, space->freed.items[i].len);
    space->taken.count = space->freed.count = 0;
}

/* ---- the map on disk ------------------------------------------------------------------------- */

static int load_region(struct rmt_space *space, struct rmt_region *region, uint64_t number,
                       void *buf)
{
    int rc = rmt_page_load(space->pages, region->ref, RMT_NODE_REGION, buf);
    if (rc < 0)
        return rc;
    const struct rmt_disk_region *disk = buf;
    if (rmt_get64(disk->region) != number)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': page %" PRIu64 " maps another region",
                        space->pages->io->path, region->ref.addr);
    memcpy(region->bits, disk + 1, space->pages->page_size - sizeof(*disk));
    for (uint64_t i = space->region_pages / 64; i-- > 0;) {
        if (region->bits[i]) {
            uint64_t last = 63 - (uint64_t)__builtin_clzll(region->bits[i]);
            space->written =
                rmt_max(space->written, number * space->region_pages + i * 64 + last + 1);
            break;
        }
    }
    return 0;
}

struct chunk_view {
    uint64_t id;
    uint32_t nr_regions, nr_freed, nr_taken;
    const struct rmt_disk_region_ref *regions;
    const struct rmt_disk_span *freed, *taken;
};

/* Takes the next chunk off [*at, end). */
static bool next_chunk(const uint8_t **at, const uint8_t *end, struct chunk_view *out)
{
    const struct rmt_disk_chunk *disk = (const void *)*at;
    if ((size_t)(end - *at) < sizeof(*disk))
        return false;
    out->id = rmt_get64(disk->id);
    out->nr_regions = rmt_get32(disk->nr_regions);
    out->nr_freed = rmt_get32(disk->nr_freed);
    out->nr_taken = rmt_get32(disk->nr_taken);
    uint64_t size = (uint64_t)out->nr_regions * sizeof(*out->regions) +
                    ((uint64_t)out->nr_freed + out->nr_taken) * sizeof(*out->freed);
    *at += sizeof(*disk);
    if (size > (size_t)(end - *at))
        return false;
    out->regions = (const void *)*at;
    out->freed = (const void *)(out->regions + out->nr_regions);
    out->taken = out->freed + out->nr_freed;
    *at += size;
    return true;
}

/* Applies spans that lie in the file: to a loaded map, or to the regions that were written before
 * commit id. */
static int replay(struct rmt_space *space, const struct rmt_disk_span *spans, uint32_t count,
                  uint64_t id, bool value)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t addr = rmt_get48(spans[i].addr), len = rmt_get48(spans[i].len);
        if (addr < space->pages->first || len > space->nr_pages || addr > space->nr_pages - len)
            return rmt_fail(RAMET_ECORRUPT,
                            "store '%s': the space log has pages behind the end of the file",
                            space->pages->io->path);
        if (space->loaded) {
            set(space, addr, len, value);
            space->nr_free += value ? -len : len;
            continue;
        }
        for (; len; addr++, len--) {
            if (space->regions.items[addr / space->region_pages].since <= id)
                set(space, addr, 1, value);
        }
    }
    return 0;
}

static struct rmt_ref log_ref(const struct rmt_disk_log *disk)
{
    return (struct rmt_ref){rmt_get64(disk->node.addr), rmt_get64(disk->node.birth),
                            (uint32_t)rmt_get64(disk->node.checksum)};
}

static int malformed(const struct rmt_space *space, const struct rmt_disk_log *disk)
{
    return rmt_fail(RAMET_ECORRUPT, "store '%s': page %" PRIu64 " of the space log is malformed",
                    space->pages->io->path, rmt_get64(disk->node.addr));
}

/* Pages of the log, newest first: those that are needed, or those down to the one that begins with
 * commit known or before. */
struct log_pages {
    uint8_t *bufs;
    size_t count, length; /* that were read, that are needed */
    uint64_t first;       /* id of the first chunk in them */
    struct rmt_ref prev;  /* of the oldest of them */
};

static const struct rmt_disk_log *log_page(const struct rmt_space *space,
                                           const struct log_pages *pages, size_t i)
{
    return (const void *)(pages->bufs + i * space->pages->page_size);
}

static int read_log(struct rmt_space *space, struct rmt_ref log, uint64_t known,
                    struct log_pages *out)
{
    size_t size = space->pages->page_size;
    struct log_pages pages = {.length = 1, .first = UINT64_MAX, .prev = log};
    rmt_auto(free) uint8_t *bufs = NULL;
    while (pages.count < pages.length && pages.first > known) {
        uint8_t *grown = realloc(bufs, (pages.count + 1) * size);
        if (!grown)
            return rmt_fail(-ENOMEM, "the space log");
        pages.bufs = bufs = grown;
        const struct rmt_disk_log *disk = log_page(space, &pages, pages.count);
        log = pages.prev;
        int rc = rmt_page_load(space->pages, log, RMT_NODE_LOG, bufs + pages.count * size);
        if (rc < 0)
            return rc;
        if (pages.count++ == 0)
            pages.length = rmt_get32(disk->length);
        uint32_t used = rmt_get32(disk->used);
        if (used < sizeof(struct rmt_disk_chunk) || used > size - sizeof(*disk) ||
            pages.length == 0)
            return malformed(space, disk);
        pages.first = rmt_get64(((const struct rmt_disk_chunk *)(const void *)(disk + 1))->id);
        pages.prev = rmt_ref_load(&disk->prev);
        if (pages.count < pages.length &&
            (rmt_ref_none(pages.prev) || pages.prev.birth > log.birth))
            return rmt_fail(RAMET_ECORRUPT,
                            "store '%s': page %" PRIu64 " of the space log has no page before",
                            space->pages->io->path, log.addr);
    }
    *out = pages;
    rmt_take(bufs);
    return 0;
}

/* The regions that a commit wrote. */
static int see_regions(struct rmt_space *space, const struct chunk_view *chunk)
{
    space->log_debt += sizeof(struct rmt_disk_chunk) +
                       (chunk->nr_freed + chunk->nr_taken) * sizeof(struct rmt_disk_span);
    for (uint32_t r = 0; r < chunk->nr_regions; r++) {
        uint64_t number = rmt_get64(chunk->regions[r].region);
        if (number >= space->regions.count)
            return rmt_fail(RAMET_ECORRUPT, "store '%s': the space log has a region that cannot be",
                            space->pages->io->path);
        space->regions.items[number].ref = rmt_ref_load(&chunk->regions[r].ref);
        space->regions.items[number].since = chunk->id;
        space->next_region = (uint32_t)((number + 1) % space->regions.count);
        space->log_debt -= rmt_min(space->log_debt, REGION_DEBT);
    }
    return 0;
}

/* Walks the chunks of commits after known, oldest first: regions says what to do with them. */
static int walk_log(struct rmt_space *space, const struct log_pages *pages, uint64_t known,
                    bool regions)
{
    for (size_t i = pages->count; i-- > 0;) {
        const struct rmt_disk_log *disk = log_page(space, pages, i);
        const uint8_t *at = (const void *)(disk + 1), *end = at + rmt_get32(disk->used);
        struct rmt_log_page page = {.ref = log_ref(disk)};
        struct chunk_view chunk;
        while (at < end) {
            int rc = 0;
            if (!next_chunk(&at, end, &chunk))
                return malformed(space, disk);
            page.newest = chunk.id;
            if (chunk.id <= known)
                continue;
            if (regions)
                rc = see_regions(space, &chunk);
            if (!regions)
                rc = replay(space, chunk.freed, chunk.nr_freed, chunk.id, false);
            if (!regions && rc == 0)
                rc = replay(space, chunk.taken, chunk.nr_taken, chunk.id, true);
            if (rc < 0)
                return rc;
        }
        if (regions && !rmt_vec_push(&space->log, page))
            return rmt_fail(-ENOMEM, "the space log");
    }
    const struct rmt_disk_log *tail = log_page(space, pages, 0);
    space->tail_used = rmt_get32(tail->used);
    memcpy(space->tail, tail + 1, space->tail_used);
    return 0;
}

static int load_regions(struct rmt_space *space)
{
    rmt_auto(free) void *buf = malloc(space->pages->page_size);
    if (!buf)
        return rmt_fail(-ENOMEM, "the space map");
    for (size_t i = 0; i < space->regions.count; i++) {
        struct rmt_region *region = &space->regions.items[i];
        if (rmt_ref_none(region->ref))
            continue;
        int rc = load_region(space, region, i, buf);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int load(struct rmt_space *space, struct rmt_ref log)
{
    struct log_pages pages;
    int rc = read_log(space, log, 0, &pages);
    if (rc < 0)
        return rc;
    rc = walk_log(space, &pages, 0, true);
    if (rc == 0)
        rc = load_regions(space);
    if (rc == 0)
        rc = walk_log(space, &pages, 0, false);
    free(pages.bufs);
    return rc;
}

/* No page behind the end of the file is taken: else the accounts would not add up. */
static int check_end(const struct rmt_space *space)
{
    uint64_t end = space->regions.count * space->region_pages;
    uint64_t at = find(space, space->nr_pages, end, true);
    if (at >= end)
        return 0;
    return rmt_fail(RAMET_ECORRUPT,
                    "store '%s': the space map says that page %" PRIu64
                    " is taken, which is behind the end of the file",
                    space->pages->io->path, at);
}

int rmt_space_load(struct rmt_space *space, struct rmt_ref log)
{
    clear(space);
    uint64_t size;
    int rc = space->pages->io->ops->size(space->pages->io, &size);
    if (rc < 0)
        return rc;
    rmt_lock_scope(&space->lock);
    rmt_shared_grown(space->shared, size >> space->pages->page_shift);
    space->nr_pages = 0;
    see_growth(space);
    rc = cover(space, 0);
    if (rc == 0 && !rmt_ref_none(log))
        rc = load(space, log);
    if (rc == 0)
        rc = check_end(space);
    if (rc < 0) {
        clear(space);
        return rc;
    }
    for (size_t i = 0; i < space->regions.count && space->log.count; i++) {
        if (rmt_ref_none(space->regions.items[i].ref))
            space->regions.items[i].since = 1; /* never written: all of the log is needed */
    }
    count_free(space);
    space->loaded = true;
    space->least = RUN_MIN;
    space->freed_pages = 0;
    return 0;
}

/* The log's pages that are known and still needed, without the last, which was written anew. */
static bool keep_log(struct rmt_space *space, const struct log_pages *pages)
{
    size_t keep = pages->length - pages->count, had = space->log.count - 1;
    if (keep > had || (keep && !rmt_ref_equal(pages->prev, space->log.items[had - 1].ref)))
        return false;
    memmove(space->log.items, space->log.items + had - keep, keep * sizeof(*space->log.items));
    space->log.count = keep;
    return true;
}

/* Replays what was logged since. 1: not all of that is there any more. */
static int catch_up(struct rmt_space *space, struct rmt_ref log)
{
    uint64_t known = space->log.items[space->log.count - 1].newest;
    struct log_pages pages;
    int rc = read_log(space, log, known, &pages);
    if (rc < 0)
        return rc;
    if (pages.first > known || !keep_log(space, &pages))
        rc = 1;
    if (rc == 0)
        rc = cover(space, known + 1); /* regions that others were the first to use */
    if (rc == 0)
        rc = walk_log(space, &pages, known, true);
    if (rc == 0)
        rc = walk_log(space, &pages, known, false);
    free(pages.bufs);
    return rc;
}

int rmt_space_follow(struct rmt_space *space, struct rmt_ref log)
{
    const struct rmt_log_page *last =
        space->log.count ? &space->log.items[space->log.count - 1] : NULL;
    if (!space->loaded)
        return rmt_space_load(space, log);
    {
        rmt_lock_scope(&space->lock);
        see_growth(space);
        if (last ? rmt_ref_equal(last->ref, log) : rmt_ref_none(log))
            return 0;
        if (last && catch_up(space, log) == 0)
            return 0;
    }
    return rmt_space_load(space, log); /* cut meanwhile; or it says what is wrong */
}

/* The log is needed from this commit on. */
static uint64_t oldest_needed(const struct rmt_space *space, uint64_t id)
{
    uint64_t oldest = id;
    for (size_t i = 0; i < space->regions.count; i++) {
        if (!space->regions.items[i].chosen)
            oldest = rmt_min(oldest, space->regions.items[i].since);
    }
    return oldest;
}

static int gone_ref(struct rmt_runs *gone, struct rmt_ref ref)
{
    return rmt_runs_push(gone, ref.addr, 1, ref.birth) ? 0 : rmt_fail(-ENOMEM, "the space map");
}

int rmt_space_choose(struct rmt_space *space, uint64_t id, struct rmt_runs *gone)
{
    space->log_debt += sizeof(struct rmt_disk_chunk) +
                       (space->freed.count + space->taken.count + 2) * sizeof(struct rmt_disk_span);
    for (size_t i = 0; i < space->regions.count && space->log_debt >= REGION_DEBT; i++) {
        struct rmt_region *region =
            &space->regions.items[space->next_region++ % space->regions.count];
        space->next_region %= (uint32_t)space->regions.count;
        region->chosen = true;
        space->log_debt -= REGION_DEBT;
        if (!rmt_ref_none(region->ref) && gone_ref(gone, region->ref) < 0)
            return -ENOMEM;
    }
    if (space->log_debt >= REGION_DEBT)
        space->log_debt = 0;
    uint64_t oldest = oldest_needed(space, id);
    size_t drop = 0;
    while (drop < space->log.count && space->log.items[drop].newest < oldest)
        drop++;
    if (drop == space->log.count)
        space->tail_used = 0;
    for (size_t i = 0; i < drop; i++) {
        if (gone_ref(gone, space->log.items[i].ref) < 0)
            return -ENOMEM;
    }
    if (drop < space->log.count && gone_ref(gone, space->log.items[space->log.count - 1].ref) < 0)
        return -ENOMEM; /* the last page is written anew */
    space->log.count -= drop;
    if (drop && space->log.count)
        memmove(space->log.items, space->log.items + drop,
                space->log.count * sizeof(*space->log.items));
    return 0;
}

/* Takes pages for the log until all items, their own spans among them, have room. */
static int take_log_pages(struct rmt_space *space, size_t nr_regions, struct rmt_span **out,
                          size_t *out_nr)
{
    size_t room = space->pages->page_size - sizeof(struct rmt_disk_log), n = 0, have = 0;
    rmt_auto(free) struct rmt_span *pages = NULL;
    for (;;) {
        size_t need = nr_regions * sizeof(struct rmt_disk_region_ref) +
                      (space->freed.count + space->taken.count) * sizeof(struct rmt_disk_span);
        if (n && have >= need)
            break;
        struct rmt_span *grown = realloc(pages, (n + 1) * sizeof(*pages));
        if (!grown)
            return rmt_fail(-ENOMEM, "the space log");
        pages = grown;
        int rc = rmt_space_take(space, 1, 1, &pages[n]);
        if (rc < 0)
            return rc;
        /* Of each page the chunk's header and less than one item go to waste. */
        size_t waste = sizeof(struct rmt_disk_chunk) + sizeof(struct rmt_disk_region_ref);
        size_t avail = n == 0 ? room - space->tail_used : room;
        have += avail > waste ? avail - waste : 0;
        n++;
    }
    *out = rmt_take(pages);
    *out_nr = n;
    return 0;
}

/* What is still to be logged. */
struct logging {
    const struct rmt_disk_region_ref *regions;
    size_t nr_regions, nr_freed, nr_taken;
    const struct rmt_span *freed, *taken;
};

static uint32_t put_spans(uint8_t *at, size_t room, const struct rmt_span **spans, size_t *nr)
{
    uint32_t n = (uint32_t)rmt_min(*nr, room / sizeof(struct rmt_disk_span));
    struct rmt_disk_span *disk = (void *)at;
    for (uint32_t i = 0; i < n; i++, (*spans)++) { /* NULL if there are none: not to be added to */
        disk[i].addr = rmt_put48((*spans)->addr);
        disk[i].len = rmt_put48((*spans)->len);
    }
    *nr -= n;
    return n;
}

/* Appends one chunk with as much as there is room for. Returns the bytes it took. */
static uint32_t put_chunk(uint8_t *at, size_t room, uint64_t id, struct logging *todo)
{
    struct rmt_disk_chunk chunk = {.id = rmt_put64(id)};
    size_t used = sizeof(chunk);
    if (room < used + sizeof(struct rmt_disk_region_ref))
        return 0;
    uint32_t n = (uint32_t)rmt_min(todo->nr_regions, (room - used) / sizeof(*todo->regions));
    if (n) {
        memcpy(at + used, todo->regions, n * sizeof(*todo->regions));
        todo->regions += n;
        todo->nr_regions -= n;
    }
    used += n * sizeof(*todo->regions);
    chunk.nr_regions = rmt_put32(n);
    /* A span is freed before it is taken, so all that were freed come first. */
    n = todo->nr_regions ? 0 : put_spans(at + used, room - used, &todo->freed, &todo->nr_freed);
    used += n * sizeof(struct rmt_disk_span);
    chunk.nr_freed = rmt_put32(n);
    n = todo->nr_regions || todo->nr_freed
            ? 0
            : put_spans(at + used, room - used, &todo->taken, &todo->nr_taken);
    used += n * sizeof(struct rmt_disk_span);
    chunk.nr_taken = rmt_put32(n);
    memcpy(at, &chunk, sizeof(chunk));
    return (uint32_t)used;
}

static int write_log(struct rmt_space *space, uint64_t id, struct rmt_writer *w,
                     struct logging *todo, const struct rmt_span *pages, size_t nr_pages,
                     struct rmt_ref *out)
{
    /* The old last page goes, what it had is in the first of the new ones. */
    space->log.count -= space->log.count > 0;
    struct rmt_ref prev = {0};
    if (space->log.count)
        prev = space->log.items[space->log.count - 1].ref;
    size_t length = space->log.count;
    for (size_t i = 0; i < nr_pages; i++) {
        struct rmt_disk_log *disk = rmt_writer_page(w);
        if (!disk)
            return -ENOMEM;
        uint8_t *chunks = (void *)(disk + 1);
        if (i > 0)
            space->tail_used = 0;
        memcpy(chunks, space->tail, space->tail_used);
        space->tail_used +=
            put_chunk(chunks + space->tail_used,
                      space->pages->page_size - sizeof(*disk) - space->tail_used, id, todo);
        memcpy(space->tail, chunks, space->tail_used);
        disk->node.kind = RMT_NODE_LOG;
        rmt_ref_store(&disk->prev, prev);
        disk->used = rmt_put32(space->tail_used);
        disk->length = rmt_put32((uint32_t)(++length));
        int rc = rmt_writer_node_at(w, disk, pages[i].addr, &prev);
        if (rc < 0)
            return rc;
        struct rmt_log_page page = {prev, id};
        if (!rmt_vec_push(&space->log, page))
            return rmt_fail(-ENOMEM, "the space log");
    }
    rmt_assert(todo->nr_regions == 0 && todo->nr_freed == 0 && todo->nr_taken == 0);
    *out = prev;
    return 0;
}

static int write_regions(struct rmt_space *space, uint64_t id, struct rmt_writer *w,
                         const struct rmt_span *pages, struct rmt_disk_region_ref *out)
{
    size_t n = 0;
    for (size_t i = 0; i < space->regions.count; i++) {
        struct rmt_region *region = &space->regions.items[i];
        if (!region->chosen)
            continue;
        struct rmt_disk_region *disk = rmt_writer_page(w);
        if (!disk)
            return -ENOMEM;
        disk->node.kind = RMT_NODE_REGION;
        disk->region = rmt_put64(i);
        memcpy(disk + 1, region->bits, space->pages->page_size - sizeof(*disk));
        int rc = rmt_writer_node_at(w, disk, pages[n].addr, &region->ref);
        if (rc < 0)
            return rc;
        out[n].region = rmt_put64(i);
        rmt_ref_store(&out[n].ref, region->ref);
        region->since = id;
        region->chosen = false;
        n++;
    }
    return 0;
}

int rmt_space_write(struct rmt_space *space, uint64_t id, struct rmt_writer *w, struct rmt_ref *out)
{
    size_t nr_regions = 0;
    for (size_t i = 0; i < space->regions.count; i++) {
        nr_regions += space->regions.items[i].chosen;
        if (rmt_ref_none(space->regions.items[i].ref) && space->regions.items[i].since == 0)
            space->regions.items[i].since = id; /* born with this commit */
    }
    rmt_auto(free) struct rmt_span *region_at = calloc(nr_regions + 1, sizeof(*region_at));
    rmt_auto(free) struct rmt_disk_region_ref *refs = calloc(nr_regions + 1, sizeof(*refs));
    rmt_auto(free) struct rmt_span *log_at = NULL;
    if (!region_at || !refs)
        return rmt_fail(-ENOMEM, "the space map");
    int rc = 0;
    for (size_t i = 0; i < nr_regions && rc == 0; i++)
        rc = rmt_space_take(space, 1, 1, &region_at[i]);
    size_t nr_log = 0;
    if (rc == 0)
        rc = take_log_pages(space, nr_regions, &log_at, &nr_log);
    if (rc == 0)
        rc = write_regions(space, id, w, region_at, refs);
    if (rc < 0)
        return rc;
    struct logging todo = {
        .regions = refs,
        .nr_regions = nr_regions,
        .freed = space->freed.items,
        .nr_freed = space->freed.count,
        .taken = space->taken.items,
        .nr_taken = space->taken.count,
    };
    return write_log(space, id, w, &todo, log_at, nr_log, out);
}

void rmt_space_done(struct rmt_space *space)
{
    space->freed.count = 0;
    space->taken.count = 0;
}

int rmt_space_own(struct rmt_space *space, rmt_space_fn fn, void *ctx)
{
    int rc = 0;
    for (size_t i = 0; i < space->regions.count && rc == 0; i++) {
        if (!rmt_ref_none(space->regions.items[i].ref))
            rc = fn(ctx, space->regions.items[i].ref);
    }
    for (size_t i = 0; i < space->log.count && rc == 0; i++)
        rc = fn(ctx, space->log.items[i].ref);
    return rc;
}
