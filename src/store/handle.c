/* SPDX-License-Identifier: MIT */
/*
 * handle.c - a map of a branch in one call each: the newest value, one commit, a snapshot.
 *
 * A handle has a reader slot and a read transaction for good. Between calls the slot says 0, so
 * that an idle handle holds nothing back. To read is to say in the slot which version the
 * transaction shows, and then to see whether that is still the newest publication: if so, the
 * version is whole, and the next commit, which looks at the slots after it was published, sees that
 * it is needed.
 *
 *            enter(), fresh                      leave()
 *   (idle) -----------------> reading ---------------------> (idle)
 *      |                       ^   |  ramet_handle_hold()       ^
 *      +--- renew(): moved ----+   +-----------------> held ----+ ramet_handle_release()
 */
#include <pthread.h>

#include "base/words.h"
#include "format/disk.h"
#include "store/single.h"
#include "store/txn.h"
#include "store/writers.h"

/*
 * Where a map is in the newest version, for handles of this process: what a commit says of the maps
 * that it changed, before it is published. A reader that finds the id of the newest publication in
 * it need not go through the catalog. Ids are given out once, so what a commit said that then
 * failed is never found. One for each ref and map that handles are open on.
 */
#define NOTES 4 /* a power of two */
#define NOTE_WORDS (sizeof(struct note) / sizeof(uint64_t))

struct note {
    uint64_t id;                                 /* of the commit, and the version */
    uint64_t number;                             /* of the version */
    uint64_t maps_addr, maps_birth, addr, birth; /* roots */
    uint64_t sums;                               /* of both */
    uint64_t count;
};
static_assert(sizeof(struct note) == 64, "a cache line");

struct rmt_map_head {
    struct rmt_map_head *next; /* of store->heads; guarded by txns_lock */
    size_t users;              /* guarded by txns_lock */
    /* Ring, by id. atomic: the first word is 0 while the others are written, and is looked at
     * before and after them. Written with the commit lock. */
    _Alignas(64) _Atomic uint64_t notes[NOTES][NOTE_WORDS];
    const char *map; /* in ref, behind it */
    char ref[];
};

struct ramet_handle {
    /* What a get looks at, on a cache line of its own: what a reader writes, no other thread has to
     * fetch again. Of the transaction it is a copy, for each line more may be one that lies just as
     * the slot does in its page: it is then loaded after the store to the slot, and not meanwhile.
     */
    _Alignas(64) struct rmt_reader_slot *slot;
    uint64_t id;                 /* of the version that txn shows */
    uint64_t publication;        /* that it is of; 0: none */
    _Atomic uint64_t *published; /* number of the newest one */
    struct ramet_store *store;
    struct ramet_map *map; /* of txn */
    bool held;             /* the slot stays as it is until it is released */
    bool creates;          /* a map that is not there is made by a write */

    _Alignas(64) struct ramet_txn *txn; /* that reads; its slot is the handle's */
    struct rmt_map_head *head;
    struct ramet_handle *prev, *next; /* of store->handles; guarded by txns_lock */
    uint64_t branch;                  /* number of what was last written to; 0: not known */
    struct rmt_hints hints;           /* map->hints, of a store in memory */
};

/* ---- what commits say ------------------------------------------------------------------------ */

static void write_note(_Atomic uint64_t *words, const struct note *note)
{
    atomic_store_explicit(&words[0], 0, memory_order_relaxed);
    rmt_words_store(&words[1], (const uint64_t *)note + 1, sizeof(*note) - 8);
    atomic_store_explicit(&words[0], note->id, memory_order_release);
}

/* False: it is not there, or not any more. */
static bool read_note(struct rmt_map_head *head, uint64_t id, struct note *out)
{
    _Atomic uint64_t *words = head->notes[id % NOTES];
    if (id == 0 || atomic_load_explicit(&words[0], memory_order_acquire) != id)
        return false;
    out->id = id;
    rmt_words_load((uint64_t *)out + 1, &words[1], sizeof(*out) - 8);
    return atomic_load_explicit(&words[0], memory_order_relaxed) == id;
}

/* Called with txns_lock. NULL: no handle is open on the map. */
static struct rmt_map_head *find_head(const struct ramet_store *store, const char *ref,
                                      const char *map)
{
    struct rmt_map_head *head = store->heads;
    while (head && (strcmp(head->ref, ref) != 0 || strcmp(head->map, map) != 0))
        head = head->next;
    return head;
}

void rmt_handle_note(struct ramet_store *store, const char *ref, const char *map, uint64_t id,
                     const struct rmt_version *version, const struct rmt_tree *tree)
{
    rmt_lock_scope(&store->txns_lock);
    struct rmt_map_head *head = find_head(store, ref, map);
    if (!head)
        return;
    if (version->id != id) /* it did not move */
        return;
    struct note note = {
        .id = id,
        .number = version->number,
        .maps_addr = version->root.addr,
        .maps_birth = version->root.birth,
        .addr = tree->root.addr,
        .birth = tree->root.birth,
        .sums = version->root.sum | (uint64_t)tree->root.sum << 32,
        .count = tree->count,
    };
    write_note(head->notes[id % NOTES], &note);
}

static int join_head(struct ramet_handle *h)
{
    struct ramet_store *store = h->store;
    size_t ref = strlen(h->txn->ref) + 1, map = strlen(h->map->name) + 1;
    rmt_lock_scope(&store->txns_lock);
    struct rmt_map_head *head = find_head(store, h->txn->ref, h->map->name);
    if (head) {
        head->users++;
        h->head = head;
        return 0;
    }
    const size_t align = _Alignof(struct rmt_map_head), size = sizeof(*head) + ref + map;
    head = aligned_alloc(align, rmt_div_up(size, align) * align);
    if (!head)
        return rmt_fail(-ENOMEM, "a handle");
    memset(head, 0, sizeof(*head));
    memcpy(head->ref, h->txn->ref, ref);
    memcpy(head->ref + ref, h->map->name, map);
    head->map = head->ref + ref;
    head->users = 1;
    head->next = store->heads;
    store->heads = head;
    h->head = head;
    return 0;
}

/* Called with txns_lock. */
static void leave_head(struct ramet_handle *h)
{
    struct rmt_map_head **at = &h->store->heads;
    if (--h->head->users)
        return;
    while (*at != h->head)
        at = &(*at)->next;
    *at = h->head->next;
    free(h->head);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* It reads another version from here on. */
static void show_version(struct ramet_handle *h)
{
    h->id = h->txn->version.id;
    rmt_hints_show(&h->hints, h->txn->version.number, h->id, h->map->tree.count);
}

static void show_map(struct ramet_map *map, struct rmt_ref root, uint64_t count)
{
    rmt_tree_set(&map->tree, root, count);
    map->exists = true;
    for (struct ramet_cursor *c = map->cursors; c; c = c->next)
        rmt_cursor_reset(&c->cursor);
}

/* True: the transaction shows what the newest commit said of the map. */
static bool renew_by_note(struct ramet_handle *h)
{
    struct ramet_txn *txn = h->txn;
    struct note note;
    uint64_t id, publication = rmt_shared_newest_id(&txn->store->shared, &id);
    if (!publication || !read_note(h->head, id, &note))
        return false;
    /* atomic: seq_cst, as rmt_reader_newest() */
    atomic_store(&txn->slot->v, note.id);
    if (rmt_shared_published(&txn->store->shared) != publication)
        return false;
    struct rmt_version version = {
        .id = note.id,
        .number = note.number,
        .root = {note.maps_addr, note.maps_birth, (uint32_t)note.sums},
    };
    rmt_txn_show(txn, &version);
    show_map(h->map, (struct rmt_ref){note.addr, note.birth, (uint32_t)(note.sums >> 32)},
             note.count);
    show_version(h);
    h->publication = publication;
    return true;
}

static int renew(struct ramet_handle *h)
{
    struct ramet_txn *txn = h->txn;
    struct rmt_found found;
    int cancel;
    /* A thread that is cancelled here would leave the transaction between two versions. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    h->publication = 0;
    uint64_t publication;
    int rc = rmt_txn_find(txn->store, txn->slot, txn->ref, &found, &publication);
    if (rc == 0 &&
        (found.version.number != txn->version.number || found.version.id != txn->version.id)) {
        rmt_txn_show(txn, &found.version);
        rc = rmt_maps_reload(txn, NULL);
    }
    if (rc == 0) {
        h->publication = publication;
    } else {
        txn->version.number = 0; /* of no version: what it shows is to be looked up again */
        rmt_reader_settle(txn->slot, 0);
    }
    show_version(h);
    (void)pthread_setcancelstate(cancel, NULL);
    return rc;
}

/* What the transaction shows is the newest version, and is not used again before leave(). */
static inline int enter(struct ramet_handle *h)
{
    int rc = rmt_store_usable(h->store);
    if (rmt_unlikely(rc < 0))
        return rc;
    if (h->held)
        return 0;
    /* atomic: seq_cst, as rmt_reader_newest() */
    atomic_store(&h->slot->v, h->id);
    if (rmt_likely(atomic_load(h->published) == h->publication))
        return 0;
    return renew_by_note(h) ? 0 : renew(h);
}

static inline void leave(struct ramet_handle *h)
{
    if (!h->held)
        rmt_reader_settle(h->slot, 0);
}

/* A value that is not in its leaf. Returns its size, or a code. */
static int64_t read_value(struct ramet_handle *h, struct ramet_slice key, void *buf, size_t size)
{
    uint64_t whole;
    int64_t rc = ramet_read(h->map, key, 0, buf, size, &whole);
    return rc < 0 ? rc : (int64_t)whole;
}

/* The end of a get that began with enter(): a value that stands in its leaf. */
static inline int64_t hand_out(struct ramet_handle *h, const struct rmt_value *value, void *buf,
                               size_t size)
{
    if (rmt_likely(value->size == 8 && size >= 8))
        memcpy(buf, value->data, 8);
    else if (size)
        memcpy(buf, value->data, rmt_min(value->size, size));
    leave(h);
    return value->size;
}

/* The same: rc is what looking for the value in the tree gave. */
static int64_t hand_out_any(struct ramet_handle *h, int rc, const struct rmt_value *value,
                            struct ramet_slice key, void *buf, size_t size)
{
    if (rc == 0 && !value->extents)
        return hand_out(h, value, buf, size);
    int64_t whole = rc < 0 ? rc : read_value(h, key, buf, size);
    leave(h);
    return whole;
}

int64_t ramet_handle_get(struct ramet_handle *h, struct ramet_slice key, void *buf, size_t size)
{
    if (rmt_unlikely(!h || (!buf && size)))
        return rmt_fail(-EINVAL, "ramet_handle_get: handle or buf");
    int rc = enter(h);
    if (rmt_unlikely(rc < 0))
        return rc;
    struct rmt_value value;
    if (rmt_likely(key.size - 1 < RAMET_KEY_MAX && rmt_hints_mine(&h->hints)) &&
        rmt_likely(rmt_hints_get(&h->hints, key, &value)))
        return hand_out(h, &value, buf, size);
    rc = rmt_map_look(h->map, key, &value);
    return hand_out_any(h, rc, &value, key, buf, size);
}

int ramet_handle_hold(struct ramet_handle *h, struct ramet_map **out)
{
    if (!h || !out)
        return rmt_fail(-EINVAL, "ramet_handle_hold: handle or out");
    int rc = enter(h);
    if (rc < 0)
        return rc;
    if (!h->held) {
        h->hints.owner = pthread_self();
        h->hints.owned = true;
    }
    h->held = true;
    *out = h->map;
    return 0;
}

void ramet_handle_release(struct ramet_handle *h)
{
    /* In a forked child the slot is the parent's. */
    if (!h || rmt_store_usable(h->store) < 0 || !h->held)
        return;
    h->held = h->hints.owned = false;
    rmt_arena_fini(&h->txn->arena);
    leave(h);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int apply(struct ramet_map *map, size_t count, const struct ramet_slice *keys,
                 const struct ramet_slice *values, unsigned flags)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (values[i].data) {
            rc = ramet_put(map, keys[i], values[i], flags);
            continue;
        }
        rc = ramet_del(map, keys[i]);
        if (rc == RAMET_ENOTFOUND && map->exists && count > 1)
            rc = 0;
    }
    return rc;
}

static int write_all(struct ramet_handle *h, size_t count, const struct ramet_slice *keys,
                     const struct ramet_slice *values, unsigned flags)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    if (rmt_single_write(h->store, h->txn->ref, h->map->name, count, keys, values, flags) == 0)
        return 0;
    int rc = rmt_txn_write(h->store, h->txn->ref, h->branch, &txn);
    if (rc < 0)
        return rc;
    h->branch = strcmp(txn->ref, h->txn->ref) == 0 ? txn->branch : 0;
    rc = rmt_map_open(txn, 0, h->map->name, h->creates ? RAMET_CREATE : 0, &map);
    if (rc == 0)
        rc = apply(map, count, keys, values, flags);
    if (rc == 0)
        return ramet_commit(txn, NULL, NULL);
    struct ramet_store *store = txn->store;
    uint64_t group = txn->queued ? rmt_branch_group(store, txn->branch) : 0;
    ramet_abort(txn);
    if (!group)
        return rc;
    /* It tells of a head that is not yet published: a get after it is to see the same. */
    rmt_commit_wait(store, group);
    int lost = rmt_store_writable(store);
    return lost < 0 ? lost : rc;
}

/* One commit. Of a value data is NULL: the key is deleted. */
static int commit(struct ramet_handle *h, size_t count, const struct ramet_slice *keys,
                  const struct ramet_slice *values, unsigned flags)
{
    int cancel;
    /* A thread that is cancelled with locks would take the store with it. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int rc = write_all(h, count, keys, values, flags);
    (void)pthread_setcancelstate(cancel, NULL);
    return rc;
}

int ramet_handle_put(struct ramet_handle *h, struct ramet_slice key, struct ramet_slice value,
                     unsigned flags)
{
    if (!h || (!value.data && value.size))
        return rmt_fail(-EINVAL, "ramet_handle_put: handle or value");
    if (!value.data)
        value.data = "";
    return commit(h, 1, &key, &value, flags);
}

int ramet_handle_del(struct ramet_handle *h, struct ramet_slice key)
{
    const struct ramet_slice none = {NULL, 0};
    if (!h)
        return rmt_fail(-EINVAL, "ramet_handle_del: no handle");
    return commit(h, 1, &key, &none, 0);
}

int ramet_handle_batch(struct ramet_handle *h, size_t count, const struct ramet_slice *keys,
                       const struct ramet_slice *values)
{
    if (!h || (count && (!keys || !values)))
        return rmt_fail(-EINVAL, "ramet_handle_batch: handle, keys or values");
    for (size_t i = 0; i < count; i++) {
        if (!values[i].data && values[i].size)
            return rmt_fail(-EINVAL, "ramet_handle_batch: value %zu has a size and no bytes", i);
    }
    if (count == 1 && !values[0].data) { /* that it is not there is no failure here */
        int rc = commit(h, 1, keys, values, 0);
        return rc == RAMET_ENOTFOUND && h->map->exists ? 0 : rc;
    }
    return count ? commit(h, count, keys, values, 0) : 0;
}

/* ---- numbers as keys ------------------------------------------------------------------------- */

static __attribute__((noinline)) int64_t look_number(struct ramet_handle *h, uint64_t key,
                                                     void *buf, size_t size)
{
    struct rmt_value value;
    uint8_t bytes[8];
    rmt_put_be64(bytes, key);
    int rc = rmt_map_look_number(h->map, key, &value);
    return hand_out_any(h, rc, &value, rmt_slice(bytes, sizeof(bytes)), buf, size);
}

/* In so few steps that each that is left out shows: so not by way of ramet_handle_get(). */
int64_t ramet_handle_get_u64(struct ramet_handle *h, uint64_t key, void *buf, size_t size)
{
    if (rmt_unlikely(!h || (!buf && size)))
        return rmt_fail(-EINVAL, "ramet_handle_get_u64: handle or buf");
    int rc = enter(h);
    if (rmt_unlikely(rc < 0))
        return rc;
    struct rmt_value value;
    if (rmt_likely(rmt_hints_mine(&h->hints)) &&
        rmt_likely(rmt_hints_get_number(&h->hints, key, &value)))
        return hand_out(h, &value, buf, size);
    return look_number(h, key, buf, size);
}

int ramet_handle_put_u64(struct ramet_handle *h, uint64_t key, struct ramet_slice value,
                         unsigned flags)
{
    uint8_t bytes[8];
    rmt_put_be64(bytes, key);
    return ramet_handle_put(h, rmt_slice(bytes, sizeof(bytes)), value, flags);
}

int ramet_handle_del_u64(struct ramet_handle *h, uint64_t key)
{
    uint8_t bytes[8];
    rmt_put_be64(bytes, key);
    return ramet_handle_del(h, rmt_slice(bytes, sizeof(bytes)));
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void list_handle(struct ramet_handle *h)
{
    struct ramet_store *store = h->store;
    rmt_lock_scope(&store->txns_lock);
    h->next = store->handles;
    if (h->next)
        h->next->prev = h;
    store->handles = h;
}

static void unlist_handle(struct ramet_handle *h)
{
    struct ramet_store *store = h->store;
    rmt_lock_scope(&store->txns_lock);
    if (h->prev)
        h->prev->next = h->next;
    else
        store->handles = h->next;
    if (h->next)
        h->next->prev = h->prev;
    leave_head(h);
}

static int create_map(struct ramet_store *store, const char *ref, const char *name)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    int rc = ramet_begin(store, ref, RAMET_WRITE, &txn);
    if (rc < 0)
        return rc;
    rc = ramet_map_open(txn, name, RAMET_CREATE, &map);
    if (rc == 0)
        return ramet_commit(txn, NULL, NULL);
    ramet_abort(txn);
    return rc;
}

static int open_map(struct ramet_store *store, const char *ref, const char *name, bool creates,
                    struct ramet_txn **out_txn, struct ramet_map **out_map)
{
    int rc = ramet_begin(store, ref, RAMET_READ, out_txn);
    if (rc < 0)
        return rc;
    rc = ramet_map_open(*out_txn, name, 0, out_map);
    if (rc == RAMET_ENOTFOUND && creates) {
        rc = create_map(store, ref, name);
        if (rc == 0)
            rc = ramet_refresh(*out_txn);
        if (rc == 0)
            rc = ramet_map_open(*out_txn, name, 0, out_map);
    }
    if (rc < 0)
        ramet_abort(*out_txn);
    return rc;
}

int ramet_handle_open(struct ramet_store *store, const char *ref, const char *map, unsigned flags,
                      struct ramet_handle **out)
{
    if (!store || !map || !out || flags & ~(unsigned)RAMET_CREATE)
        return rmt_fail(-EINVAL, "ramet_handle_open: store, map, out or flags");
    struct ramet_handle *h = aligned_alloc(_Alignof(struct ramet_handle), sizeof(*h));
    if (!h)
        return rmt_fail(-ENOMEM, "a handle");
    memset(h, 0, sizeof(*h));
    h->store = store;
    h->creates = flags & RAMET_CREATE;
    int rc = open_map(store, ref, map, h->creates, &h->txn, &h->map);
    if (rc == 0) {
        rc = join_head(h);
        if (rc < 0)
            ramet_abort(h->txn);
    }
    if (rc < 0) {
        free(h);
        return rc;
    }
    h->slot = h->txn->slot;
    h->published = &store->shared.bytes->published;
    rmt_hints_init(&h->hints, &store->pages);
    if (!store->io->durable)
        h->map->hints = &h->hints;
    show_version(h);
    leave(h);
    list_handle(h);
    *out = h;
    return 0;
}

void ramet_handle_close(struct ramet_handle *h)
{
    if (!h || rmt_store_usable(h->store) < 0)
        return;
    unlist_handle(h);
    ramet_abort(h->txn);
    rmt_hints_fini(&h->hints);
    free(h);
}

void rmt_handle_close_all(struct ramet_store *store)
{
    while (store->handles)
        ramet_handle_close(store->handles);
}
