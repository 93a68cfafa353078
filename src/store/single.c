/* SPDX-License-Identifier: MIT */
#include "store/single.h"

#include "store/list.h"
#include "store/txn.h"
#include "store/versions.h"
#include "store/writers.h"
#include "tree/node.h"

/* Pages that one of these commits may need: it goes down two trees, and may split each node. */
#define PAGES_MAX 64u
/* So much that was replaced is enough for a whole commit, which gives it free. */
#define GONE_BYTES ((uint64_t)2 << 20)
/* A batch of more entries is left to a transaction, which writes without the commit lock. */
#define BATCH_MAX 4096u
/* Pages to ask for at once, if there were so many the last time. */
#define EXPECTED_MAX 64u

/* What a commit replaced. */
struct gone {
    struct rmt_run run;
    uint64_t freed; /* id of that commit */
};

/* Of a store in memory; guarded by its commit lock. */
struct rmt_single {
    uint64_t publication; /* the newest, if it is known: then all down to map is right */
    struct rmt_state state;
    struct rmt_branch branch;
    struct rmt_version head;
    uint64_t horizon; /* of head */
    struct rmt_tree map;
    char ref[RAMET_NAME_MAX + 1], map_name[RAMET_NAME_MAX + 1];

    unsigned count;            /* commits since the last whole one */
    struct rmt_runs replaced;  /* by the commit under way */
    uint64_t written;          /* pages, by the last one */
    RMT_VEC(struct gone) gone; /* that they replaced, by commit */
    uint64_t gone_pages;
    struct rmt_page_pool pool;
};

void rmt_single_free(struct rmt_single *single)
{
    if (!single)
        return;
    rmt_vec_fini(&single->replaced);
    rmt_vec_fini(&single->gone);
    rmt_page_pool_fini(&single->pool);
    free(single);
}

/* ---- what a commit starts from --------------------------------------------------------------- */

static int find_head(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *ref,
                     struct rmt_single *s)
{
    int rc = rmt_catalog_branch(pages, catalog, ref, &s->branch);
    if (rc == 0)
        rc = rmt_catalog_version(pages, catalog, s->branch.head, &s->head);
    return rc < 0 ? rc : rmt_version_horizon(pages, catalog, &s->head, &s->horizon);
}

/* Looks up what is not known. False: it is not there, or cannot be written to in this way. */
static bool find(struct ramet_store *store, struct rmt_single *s, const char *ref, const char *map)
{
    struct rmt_pages *pages = &store->pages;
    uint64_t newest = rmt_shared_published(&store->shared);
    bool known = s->publication == newest, same = known && strcmp(s->ref, ref) == 0;
    if (same && strcmp(s->map_name, map) == 0)
        return true;
    if (strlen(ref) > RAMET_NAME_MAX || strlen(map) > RAMET_NAME_MAX)
        return false;
    if (!known) {
        s->publication = 0;
        rmt_state_published(store, &s->state);
    }
    if (!same) {
        /* One branch at a time has its head beside the catalog: what is known of it stays. */
        if (s->state.overlay.key_size)
            return false;
        s->publication = 0;
        struct rmt_tree catalog = rmt_state_catalog(&s->state);
        if (find_head(pages, &catalog, ref, s) < 0)
            return false;
        memcpy(s->ref, ref, strlen(ref) + 1);
    }
    struct rmt_tree maps = {.root = s->head.root}, tree = {.count = 0};
    if (rmt_map_find_tree(pages, &maps, map, &tree) < 0)
        return false;
    s->map = tree;
    memcpy(s->map_name, map, strlen(map) + 1);
    s->publication = newest;
    return true;
}

/* ---- one commit ------------------------------------------------------------------------------ */

/* What a commit makes, before anybody sees it. */
struct single {
    struct ramet_store *store;
    struct rmt_single *s;
    struct rmt_writer writer;
    struct rmt_tree map, maps;
    uint64_t promised; /* pages */
};

/* Entries that are to be put into a tree; of one, data may be NULL: it is to be deleted. */
struct change {
    size_t count;
    const struct ramet_slice *keys, *values;
    unsigned flags; /* of rmt_tree_put() */
};

static int reserve(void *ctx, uint64_t pages)
{
    const struct rmt_edit *edit = ctx;
    return edit->nr_reserved + pages <= PAGES_MAX / 2 ? 0 : -ENOSPC;
}

/* The pages that edit has replaced: those of a snapshot go on a list in the catalog. (References to
 * shared pages too, which a user's map has none of.) */
static int take_gone(struct rmt_single *s, const struct rmt_edit *edit)
{
    rmt_assert(edit->refs.count == 0);
    if (!rmt_vec_reserve(&s->replaced, s->replaced.count + edit->gone.count))
        return -ENOMEM;
    for (size_t i = 0; i < edit->gone.count; i++) {
        if (edit->gone.items[i].birth <= s->horizon)
            return -EBUSY;
        s->replaced.items[s->replaced.count++] = edit->gone.items[i];
    }
    return 0;
}

/* By way of private pages, which are written. */
static int change_by_edit(struct single *one, struct rmt_tree *tree, const struct change *change)
{
    struct rmt_edit edit;
    struct rmt_writer *w = &one->writer;
    struct ramet_slice key = change->keys[0], value = change->values[0];
    rmt_edit_init(&edit, &one->store->pages, reserve, &edit);
    edit.pool = &one->s->pool;
    int rc = value.data ? rmt_tree_put(&edit, tree, key, value, change->flags)
                        : rmt_tree_del(&edit, tree, key);
    w->expected = edit.nr_private;
    if (rc == 0)
        rc = rmt_tree_seal(&edit, tree, w);
    rmt_writer_settle(w);
    if (rc == 0)
        rc = rmt_writer_flush(w);
    if (rc == 0)
        rc = take_gone(one->s, &edit);
    rmt_edit_fini(&edit);
    return rc;
}

static int change_tree(struct single *one, struct rmt_tree *tree, const struct change *change)
{
    struct rmt_single *s = one->s;
    struct rmt_pages *pages = &one->store->pages;
    int rc = 1;
    if (change->values[0].data && change->flags == 0)
        rc = rmt_tree_replace(pages, tree, change->keys[0], change->values[0], s->horizon,
                              &one->writer, &s->replaced);
    return rc > 0 ? change_by_edit(one, tree, change) : rc;
}

/* Of a batch: its pages are promised when they are known. */
static int change_many(struct single *one, const struct change *change)
{
    struct rmt_single *s = one->s;
    struct rmt_replacing replacing;
    int rc = rmt_replacing_init(&replacing, &one->store->pages, &one->map, change->count,
                                change->keys, change->values, s->horizon);
    uint64_t pages = replacing.nodes.count;
    if (rc == 0)
        rc = rmt_space_reserve(&one->store->space, pages, false);
    if (rc == 0) {
        one->promised += pages;
        one->writer.expected = pages + 1; /* and one of the list of maps */
        rc = rmt_replacing_write(&replacing, &one->map, &one->writer, &s->replaced);
    }
    rmt_replacing_fini(&replacing);
    return rc > 0 ? -EBUSY : rc;
}

static bool note_gone(struct ramet_store *store, struct rmt_single *s, uint64_t id)
{
    size_t count = s->gone.count;
    for (size_t i = 0; i < s->replaced.count; i++) {
        struct gone one = {s->replaced.items[i], id};
        rmt_leaf_gone(&store->pages, one.run, id);
        if (!rmt_vec_push(&s->gone, one)) {
            s->gone.count = count;
            return false;
        }
    }
    return true;
}

/* Writes the pages of both trees. On failure what s says is what it said. */
static int write_pages(struct single *one, const struct change *change)
{
    struct rmt_single *s = one->s;
    struct rmt_disk_map record;
    s->replaced.count = 0;
    one->writer.expected = rmt_min(s->written, EXPECTED_MAX); /* it is much as the last one */
    int rc = change->count > 1 ? change_many(one, change) : change_tree(one, &one->map, change);
    if (rc < 0)
        return rc;
    struct ramet_slice name = rmt_slice(s->map_name, strlen(s->map_name));
    struct ramet_slice value = rmt_map_record(&one->map, &record);
    const struct change of_map = {.count = 1, .keys = &name, .values = &value};
    rc = change_tree(one, &one->maps, &of_map);
    rmt_writer_settle(&one->writer);
    return rc;
}

/* Makes s what is to be published. On failure it is not to be used again before it is found anew;
 * only its list is as it was. */
static int move_head(struct single *one, uint64_t id)
{
    struct ramet_store *store = one->store;
    struct rmt_single *s = one->s;
    struct rmt_state *state = &s->state;
    uint64_t written = s->written = one->writer.nr_written, gone_pages = 0;
    for (size_t i = 0; i < s->replaced.count; i++)
        gone_pages += s->replaced.items[i].len;
    s->map.root = one->map.root;
    s->map.count = one->map.count;
    s->head.id = id;
    s->head.root = one->maps.root;
    s->head.owned_pages += written - gone_pages;
    s->head.total_pages += written - gone_pages;
    s->head.time_us = state->time_us = store->io->ops->time_us(store->io);
    state->id = id;
    state->ceiling = id + RMT_CEILING_STEP;
    state->data_pages += written - gone_pages;
    state->limbo_pages += gone_pages;
    int rc = rmt_state_balance(store, state);
    if (rc < 0)
        return rc;
    if (!note_gone(store, s, id))
        return -ENOMEM;
    s->gone_pages += gone_pages;
    return 0;
}

static void publish(struct ramet_store *store, struct rmt_single *s)
{
    struct rmt_key key = rmt_key1('v', s->head.number);
    struct rmt_disk_version disk;
    struct rmt_disk_slot slot;
    struct rmt_overlay *overlay = &s->state.overlay;
    rmt_version_save(&s->head, &disk);
    static_assert(sizeof(disk) <= sizeof(overlay->value), "the record of a version");
    overlay->key_size = key.size;
    overlay->value_size = sizeof(disk);
    memcpy(overlay->key, key.bytes, key.size);
    memcpy(overlay->value, &disk, sizeof(disk));
    rmt_state_save(store, &s->state, &slot);
    rmt_handle_note(store, s->ref, s->map_name, s->head.id, &s->head, &s->map);
    rmt_shared_publish(&store->shared, &slot, overlay);
    s->publication = rmt_shared_published(&store->shared);
    s->count++;
}

/* With the commit lock, and nobody writing to the branch. */
static int commit(struct ramet_store *store, struct rmt_single *s, const struct change *change)
{
    struct single one; /* large, most of it the writer */
    uint64_t id;
    int rc = rmt_space_follow(&store->space, s->state.log);
    if (rc == 0)
        rc = rmt_store_next_id(store, &id);
    if (rc == 0)
        rc = rmt_space_reserve(&store->space, PAGES_MAX, false);
    if (rc < 0)
        return rc;
    one.store = store;
    one.s = s;
    one.promised = PAGES_MAX;
    one.map = s->map;
    one.maps = (struct rmt_tree){.root = s->head.root};
    rmt_writer_init(&one.writer, &store->pages, &store->space, id);
    rc = write_pages(&one, change);
    if (rc == 0) {
        s->publication = 0; /* until all is well */
        rc = move_head(&one, id);
    }
    if (rc == 0) {
        rmt_space_done(&store->space);
        publish(store, s);
    } else {
        rmt_space_undo(&store->space);
    }
    rmt_writer_fini(&one.writer);
    rmt_space_release(&store->space, one.promised); /* not before it is published */
    return rc;
}

static uint64_t gone_max(const struct ramet_store *store)
{
    return GONE_BYTES >> store->pages.page_shift;
}

static int write_locked(struct ramet_store *store, const char *ref, const char *map,
                        const struct change *change)
{
    if (!store->single)
        store->single = calloc(1, sizeof(*store->single));
    struct rmt_single *s = store->single;
    if (!s || store->group || s->count >= 4 * RMT_SINGLES || rmt_limbo_pending(store) ||
        rmt_store_writable(store) < 0 || s->gone_pages >= 4 * gone_max(store) ||
        !find(store, s, ref, map) || !rmt_branch_hold(store, s->branch.number))
        return -EBUSY;
    int rc = commit(store, s, change);
    rmt_branch_leave(store);
    return rc;
}

/* False: it is for a transaction to do, or to say why not. */
static bool suits(const struct ramet_store *store, const struct change *change)
{
    for (size_t i = 0; i < change->count; i++) {
        struct ramet_slice key = change->keys[i], value = change->values[i];
        if (key.size == 0 || key.size > RAMET_KEY_MAX || (change->count > 1 && !value.data) ||
            !rmt_node_inline(store->pages.page_size, key.size, value.size))
            return false;
    }
    return true;
}

int rmt_single_write(struct ramet_store *store, const char *ref, const char *map, size_t count,
                     const struct ramet_slice *keys, const struct ramet_slice *values,
                     unsigned flags)
{
    const struct change change = {count, keys, values, rmt_put_flags(flags)};
    if (store->io->durable || rmt_store_usable(store) < 0 || flags & ~RMT_MAP_PUT_FLAGS ||
        (count > 1 && flags) || count > BATCH_MAX || !suits(store, &change))
        return 1;
    rmt_lock_take(&store->commit_lock);
    int rc = write_locked(store, ref, map, &change);
    const struct rmt_single *s = store->single;
    bool turn = rc == 0 && (s->count >= RMT_SINGLES || s->gone_pages >= gone_max(store));
    rmt_lock_give(&store->commit_lock);
    if (turn) /* if it fails now it is due again; the entries are written */
        (void)rmt_store_turn(store);
    return rc < 0 ? 1 : 0;
}

/* ---- into the catalog ------------------------------------------------------------------------ */

/* What one commit replaced, from *at on: readers need it and it goes on a list, or it is free. */
static int settle_one(struct rmt_commit *c, const struct rmt_single *s, size_t *at)
{
    uint64_t freed = s->gone.items[*at].freed;
    struct rmt_runs needed = {0};
    int rc = 0;
    for (; *at < s->gone.count && s->gone.items[*at].freed == freed && rc == 0; ++*at) {
        struct rmt_run run = s->gone.items[*at].run;
        if (!rmt_readers_need(c->store->readers, run.birth, freed))
            rc = rmt_space_free(&c->store->space, run.addr, run.len);
        else if (!rmt_vec_push(&needed, run))
            rc = rmt_fail(-ENOMEM, "a commit");
    }
    if (rc == 0 && needed.count)
        rc = rmt_limbo_add_of(c, freed, &needed);
    rmt_vec_fini(&needed);
    return rc;
}

int rmt_single_settle(struct rmt_commit *c)
{
    const struct rmt_single *s = c->store->single;
    struct rmt_overlay *overlay = &c->state.overlay;
    if (!overlay->key_size)
        return 0;
    int rc = rmt_tree_put(&c->edit, &c->catalog, rmt_slice(overlay->key, overlay->key_size),
                          rmt_slice(overlay->value, overlay->value_size), 0);
    c->state.limbo_pages -= s->gone_pages; /* those that go on a list are counted again */
    for (size_t i = 0; i < s->gone.count && rc == 0;)
        rc = settle_one(c, s, &i);
    overlay->key_size = 0;
    return rc;
}

void rmt_single_settled(struct ramet_store *store)
{
    struct rmt_single *s = store->single;
    if (!s)
        return;
    s->count = 0;
    s->gone.count = 0;
    s->gone_pages = 0;
}

uint64_t rmt_single_held(struct ramet_store *store, uint64_t version)
{
    uint64_t pages = 0;
    if (store->io->durable)
        return 0;
    rmt_lock_scope(&store->commit_lock);
    const struct rmt_single *s = store->single;
    for (size_t i = 0; s && i < s->gone.count; i++) {
        const struct gone *gone = &s->gone.items[i];
        if (gone->run.birth <= version && version < gone->freed)
            pages += gone->run.len;
    }
    return pages;
}

int rmt_single_gone(const struct ramet_store *store, rmt_run_fn fn, void *ctx)
{
    const struct rmt_single *s = store->single;
    int rc = 0;
    for (size_t i = 0; s && i < s->gone.count && rc == 0; i++)
        rc = fn(ctx, s->gone.items[i].run);
    return rc;
}
