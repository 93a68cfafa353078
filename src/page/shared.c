/* SPDX-License-Identifier: MIT */
#include "page/shared.h"

#include <unistd.h>

#include "base/words.h"

#define MAGIC 0x6b636f6c2d746d72ull /* "rmt-lock" */
#define LAYOUT 5u
#define NEWEST_TRIES 8 /* in a row overtaken by publications */

static bool is_known(const struct rmt_shared_bytes *bytes, const uint8_t boot_id[16],
                     const uint8_t store_id[16])
{
    return bytes->magic == MAGIC && bytes->layout == LAYOUT && bytes->size == sizeof(*bytes) &&
           memcmp(bytes->boot_id, boot_id, 16) == 0 && memcmp(bytes->store_id, store_id, 16) == 0;
}

static uint32_t index_of(uint64_t process)
{
    return (uint32_t)(process % RMT_PROCESSES);
}

static void release_readers(struct rmt_shared *shared)
{
    uint32_t high = atomic_load(&shared->bytes->readers_high);
    for (uint32_t i = 0; i < high; i++) {
        if (atomic_load(&shared->bytes->readers[i].owner) == shared->process)
            rmt_reader_release(&shared->bytes->readers[i]);
    }
}

static int claim_process(struct rmt_shared *shared)
{
    struct rmt_shared_bytes *bytes = shared->bytes;
    for (uint32_t i = 0; i < RMT_PROCESSES; i++) {
        if (atomic_load(&bytes->processes[i].id) &&
            shared->io->ops->locked(shared->io, RMT_BYTE_PROCESS + i) == 1)
            continue;
        int rc =
            shared->io->ops->lock(shared->io, RMT_BYTE_PROCESS + i, RMT_IO_LOCK_EXCLUSIVE, false);
        if (rc == -EAGAIN)
            continue;
        if (rc < 0)
            return rc;
        shared->process = ++bytes->last_process * RMT_PROCESSES + i;
        atomic_store(&bytes->processes[i].reserved, 0);
        if (bytes->processes_high <= i)
            bytes->processes_high = i + 1;
        atomic_store(&bytes->processes[i].pid, (uint32_t)getpid());
        atomic_store(&bytes->processes[i].id, shared->process);
        return 0;
    }
    return rmt_fail(-EBUSY, "store '%s' is open in %d processes: close some", shared->io->path,
                    RMT_PROCESSES);
}

/* Places that nobody ever took are zero, and their pages are not even touched. */
static void clear_used(struct rmt_shared_bytes *bytes)
{
    uint32_t processes = rmt_min(atomic_load(&bytes->processes_high), RMT_PROCESSES);
    uint32_t readers = rmt_min(atomic_load(&bytes->readers_high), RMT_READERS);
    memset(bytes->processes, 0, processes * sizeof(bytes->processes[0]));
    memset(bytes->readers, 0, readers * sizeof(bytes->readers[0]));
    atomic_store(&bytes->readers_high, 0);
}

static int open_locked(struct rmt_shared *shared, const uint8_t store_id[16])
{
    struct rmt_io *io = shared->io;
    void *bytes;
    int rc = io->ops->shared(io, sizeof(struct rmt_shared_bytes), &bytes);
    if (rc < 0)
        return rc;
    shared->bytes = bytes;
    uint8_t boot_id[16];
    io->ops->boot_id(io, boot_id);
    rc = io->ops->lock(io, RMT_BYTE_PRESENT, RMT_IO_LOCK_EXCLUSIVE, false);
    if (rc < 0 && rc != -EAGAIN)
        return rc;
    shared->alone = rc == 0;
    shared->known = is_known(shared->bytes, boot_id, store_id);
    if (shared->alone && atomic_load(&shared->bytes->poisoned))
        shared->known = false; /* what is in the machine's caches is not to be trusted */
    if (!shared->alone && !shared->known)
        return rmt_fail(-EBUSY,
                        "store '%s' is open in a process whose lock file this version cannot share",
                        io->path);
    if (shared->alone && shared->known) {
        shared->dead = rmt_readers_count(shared);
        clear_used(shared->bytes);
    } else if (shared->alone) {
        memset(shared->bytes, 0, sizeof(*shared->bytes));
        memcpy(shared->bytes->boot_id, boot_id, 16);
        memcpy(shared->bytes->store_id, store_id, 16);
        shared->bytes->layout = LAYOUT;
        shared->bytes->size = sizeof(*shared->bytes);
    }
    rc = io->ops->lock(io, RMT_BYTE_PRESENT, RMT_IO_LOCK_SHARED, false);
    return rc < 0 ? rc : claim_process(shared);
}

int rmt_shared_open(struct rmt_shared *shared, struct rmt_io *io, const uint8_t store_id[16])
{
    memset(shared, 0, sizeof(*shared));
    shared->io = io;
    int rc = io->ops->lock(io, RMT_BYTE_OPEN, RMT_IO_LOCK_EXCLUSIVE, true);
    if (rc < 0)
        return rc;
    rc = open_locked(shared, store_id);
    if (rc < 0)
        shared->bytes = NULL; /* closing the io drops the locks */
    return rc;
}

int rmt_shared_ready(struct rmt_shared *shared)
{
    shared->bytes->magic = MAGIC;
    return shared->io->ops->lock(shared->io, RMT_BYTE_OPEN, RMT_IO_UNLOCK, true);
}

void rmt_shared_close(struct rmt_shared *shared)
{
    if (!shared->bytes)
        return;
    release_readers(shared);
    atomic_store(&rmt_shared_own(shared)->reserved, 0);
    atomic_store(&rmt_shared_own(shared)->id, 0);
}

/* The rest of a slot is zero, and a checksum that only the file needs. */
#define SLOT_USED offsetof(struct rmt_disk_slot, zero)
static_assert(SLOT_USED % 8 == 0, "is copied by words");

void rmt_shared_publish(struct rmt_shared *shared, const struct rmt_disk_slot *slot,
                        const struct rmt_overlay *overlay)
{
    static const uint64_t none = 0;
    struct rmt_shared_bytes *bytes = shared->bytes;
    uint64_t number = atomic_load(&bytes->published) + 1;
    struct rmt_published *entry = &bytes->ring[number % RMT_PUBLISHED];
    atomic_store(&entry->seq, 0);
    rmt_words_store(&entry->slot, slot, SLOT_USED);
    if (overlay)
        rmt_words_store(&entry->overlay, overlay, sizeof(*overlay));
    else
        rmt_words_store(&entry->overlay.key_size, &none, sizeof(none));
    atomic_store(&entry->seq, number);
    atomic_store_explicit(&bytes->ids[number % RMT_PUBLISHED_IDS], rmt_get64(slot->id),
                          memory_order_release);
    atomic_store(&bytes->published, number);
    if (rmt_unlikely(atomic_load(&bytes->wake) & 1))
        rmt_shared_rouse(shared);
}

/* Who makes the word odd looks at `published` after that, and who publishes looks at the word after
 * that: one of the two sees the other. */
void rmt_shared_sleep(struct rmt_shared *shared, uint64_t seen, const _Atomic uint32_t *stop)
{
    _Atomic uint32_t *wake = &shared->bytes->wake;
    uint32_t odd = atomic_fetch_or(wake, 1) | 1;
    if (rmt_shared_published(shared) == seen && !atomic_load(stop))
        shared->io->ops->wait(shared->io, wake, odd, RMT_SLEEP_MS);
}

void rmt_shared_rouse(struct rmt_shared *shared)
{
    _Atomic uint32_t *wake = &shared->bytes->wake;
    uint32_t was = atomic_load(wake);
    while (was & 1 && !atomic_compare_exchange_weak(wake, &was, was + 1))
        ;
    shared->io->ops->wake(shared->io, wake);
}

uint64_t rmt_shared_newest(struct rmt_shared *shared, struct rmt_disk_slot *out,
                           struct rmt_overlay *out_overlay)
{
    struct rmt_shared_bytes *bytes = shared->bytes;
    memset((uint8_t *)out + SLOT_USED, 0, sizeof(*out) - SLOT_USED);
    for (;;) {
        uint64_t number = atomic_load(&bytes->published);
        struct rmt_published *entry = &bytes->ring[number % RMT_PUBLISHED];
        if (atomic_load(&entry->seq) != number)
            continue;
        rmt_words_load(out, &entry->slot, SLOT_USED);
        if (out_overlay) {
            rmt_words_load(out_overlay, &entry->overlay, sizeof(out_overlay->key_size));
            if (out_overlay->key_size)
                rmt_words_load(out_overlay, &entry->overlay, sizeof(*out_overlay));
        }
        if (atomic_load(&entry->seq) == number)
            return number;
    }
}

static_assert(offsetof(struct rmt_disk_slot, id) % 8 == 0, "a word of its own");
uint64_t rmt_shared_newest_id(struct rmt_shared *shared, uint64_t *out_id)
{
    struct rmt_shared_bytes *bytes = shared->bytes;
    uint64_t number = atomic_load(&bytes->published);
    *out_id = atomic_load_explicit(&bytes->ids[number % RMT_PUBLISHED_IDS], memory_order_acquire);
    /* The next but so many is the first to write there. */
    return atomic_load(&bytes->published) - number < RMT_PUBLISHED_IDS - 1 ? number : 0;
}

/* ---- space ------------------------------------------------------------------------------------
 */

void rmt_shared_grown(struct rmt_shared *shared, uint64_t pages)
{
    uint64_t known = atomic_load(&shared->bytes->file_pages);
    while (known < pages &&
           !atomic_compare_exchange_weak(&shared->bytes->file_pages, &known, pages))
        ;
}

static uint64_t promised(struct rmt_shared *shared, bool ask)
{
    uint64_t sum = 0;
    uint32_t high = atomic_load(&shared->bytes->processes_high);
    for (uint32_t i = 0; i < high; i++) {
        struct rmt_process_slot *slot = &shared->bytes->processes[i];
        uint64_t reserved = atomic_load(&slot->reserved);
        if (reserved && ask && slot != rmt_shared_own(shared) &&
            shared->io->ops->locked(shared->io, RMT_BYTE_PROCESS + i) == 0)
            continue;
        sum += reserved;
    }
    return sum;
}

uint64_t rmt_shared_promised(struct rmt_shared *shared)
{
    return promised(shared, true);
}

/*
 * Whoever promises pages first adds them to what its slot says, then comes here: of two that do it
 * at once the later sees both. A promise is taken back after what it was used for is published; so
 * that none is missed, promises are counted before it is asked what is free.
 */
uint64_t rmt_shared_lacking(struct rmt_shared *shared, uint64_t spare)
{
    for (int ask = 0;; ask++) {
        struct rmt_disk_slot newest;
        uint64_t want = promised(shared, ask) + spare;
        (void)rmt_shared_newest(shared, &newest, NULL);
        uint64_t grown = atomic_load(&shared->bytes->file_pages) - rmt_get64(newest.pages);
        uint64_t nr_free = rmt_get64(newest.free_pages) + grown;
        if (want <= nr_free)
            return 0;
        if (ask)
            return want - nr_free;
    }
}

/* ---- readers --------------------------------------------------------------------------------- */

/* What was found out of processes, each asked about once. */
struct asked {
    uint64_t process[RMT_PROCESSES]; /* by index: who had that place; 0: not yet asked */
    bool dead[RMT_PROCESSES];
};

/* True if the owner of a slot died. Then another may have its place, but never its id. */
static bool is_dead(struct rmt_shared *shared, uint64_t owner, struct asked *asked)
{
    uint32_t i = index_of(owner);
    if (owner == shared->process)
        return false;
    if (atomic_load(&shared->bytes->processes[i].id) != owner)
        return true;
    if (asked->process[i] != owner) {
        asked->process[i] = owner; /* on an error: alive */
        asked->dead[i] = shared->io->ops->locked(shared->io, RMT_BYTE_PROCESS + i) == 0;
    }
    return asked->dead[i];
}

/* Frees a slot of a dead process, unless somebody else was faster. What it says stays there until
 * its next owner says something. */
static void bury(struct rmt_reader_slot *slot, uint64_t owner)
{
    (void)atomic_compare_exchange_strong(&slot->owner, &owner, 0);
}

static bool claim(struct rmt_shared *shared, struct rmt_reader_slot **out)
{
    static _Thread_local uint32_t hint;
    for (uint32_t i = 0; i < RMT_READERS; i++) {
        struct rmt_reader_slot *slot = &shared->bytes->readers[(hint + i) % RMT_READERS];
        uint64_t free_owner = 0;
        if (atomic_load_explicit(&slot->owner, memory_order_relaxed) != 0)
            continue;
        if (atomic_compare_exchange_strong(&slot->owner, &free_owner, shared->process)) {
            hint = (hint + i) % RMT_READERS;
            atomic_store_explicit(&slot->since_ms, shared->io->ops->clock_ms(shared->io),
                                  memory_order_relaxed);
            uint32_t high = atomic_load(&shared->bytes->readers_high);
            while (high <= hint &&
                   !atomic_compare_exchange_weak(&shared->bytes->readers_high, &high, hint + 1))
                ;
            *out = slot;
            return true;
        }
    }
    return false;
}

int rmt_reader_claim(struct rmt_shared *shared, struct rmt_reader_slot **out)
{
    if (rmt_likely(claim(shared, out)))
        return 0;
    struct asked asked = {.process = {0}};
    for (uint32_t i = 0; i < RMT_READERS; i++) {
        uint64_t owner = atomic_load(&shared->bytes->readers[i].owner);
        if (owner && is_dead(shared, owner, &asked))
            bury(&shared->bytes->readers[i], owner);
    }
    if (claim(shared, out))
        return 0;
    return rmt_fail(-EBUSY, "store '%s' has %d readers: end some", shared->io->path, RMT_READERS);
}

void rmt_reader_release(struct rmt_reader_slot *slot)
{
    atomic_store_explicit(&slot->v, 0, memory_order_release);
    atomic_store_explicit(&slot->owner, 0, memory_order_release);
}

uint64_t rmt_reader_newest(struct rmt_shared *shared, struct rmt_reader_slot *slot,
                           struct rmt_disk_slot *out, struct rmt_overlay *out_overlay)
{
    for (int i = 0; i < NEWEST_TRIES; i++) {
        uint64_t number = rmt_shared_newest(shared, out, out_overlay);
        atomic_store(&slot->v, rmt_get64(out->id));
        if (rmt_likely(rmt_shared_published(shared) == number))
            return number;
    }
    rmt_reader_enter(slot, rmt_get64(out->id));
    uint64_t number = rmt_shared_newest(shared, out, out_overlay);
    rmt_reader_settle(slot, rmt_get64(out->id));
    return number;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void rmt_readers_look(struct rmt_shared *shared, struct rmt_readers *out)
{
    struct asked asked = {.process = {0}};
    out->count = 0;
    out->dead = 0;
    out->entering = UINT64_MAX;
    uint32_t high = atomic_load(&shared->bytes->readers_high);
    for (uint32_t i = 0; i < high; i++) {
        struct rmt_reader_slot *slot = &shared->bytes->readers[i];
        uint64_t owner = atomic_load(&slot->owner); /* atomic: seq_cst, as v */
        if (owner == 0)
            continue;
        uint64_t v = atomic_load(&slot->v);
        if (is_dead(shared, owner, &asked)) {
            bury(slot, owner);
            out->dead++;
        } else if (v & RMT_ENTERING) {
            out->entering = rmt_min(out->entering, v & ~RMT_ENTERING);
        } else if (v) {
            out->v[out->count++] = v;
        }
    }
    qsort(out->v, out->count, sizeof(out->v[0]), compare);
}

bool rmt_readers_need(const struct rmt_readers *readers, uint64_t birth, uint64_t freed)
{
    if (freed > readers->entering)
        return true;
    uint32_t lo = 0, hi = readers->count; /* the first v >= birth */
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (readers->v[mid] < birth)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < readers->count && readers->v[lo] < freed;
}

uint32_t rmt_readers_count(const struct rmt_shared *shared)
{
    uint32_t count = 0, high = atomic_load(&shared->bytes->readers_high);
    for (uint32_t i = 0; i < high; i++) {
        const struct rmt_reader_slot *slot = &shared->bytes->readers[i];
        count += atomic_load_explicit(&slot->owner, memory_order_relaxed) != 0 &&
                 atomic_load_explicit(&slot->v, memory_order_relaxed) != 0;
    }
    return count;
}

int rmt_readers_list(struct rmt_shared *shared, const struct rmt_reader_slot *own,
                     rmt_readers_fn fn, void *ctx)
{
    struct asked asked = {.process = {0}};
    uint32_t high = atomic_load(&shared->bytes->readers_high);
    for (uint32_t i = 0; i < high; i++) {
        struct rmt_reader_slot *slot = &shared->bytes->readers[i];
        uint64_t owner = atomic_load(&slot->owner), v = atomic_load(&slot->v);
        if (slot == own || owner == 0 || v == 0 || is_dead(shared, owner, &asked))
            continue;
        int rc = fn(ctx, atomic_load(&shared->bytes->processes[index_of(owner)].pid),
                    v & ~RMT_ENTERING, atomic_load(&slot->since_ms));
        if (rc != 0)
            return rc;
    }
    return 0;
}
