/* SPDX-License-Identifier: MIT */
#include "tree/parts.h"

#define CHUNK_BYTES_MIN ((size_t)64 << 10)
#define CHUNK_BYTES_MAX ((size_t)2 << 20)
#define POOL_KEEP_BYTES ((size_t)16 << 20)
#define RESERVE_AHEAD 32u /* pages asked for at once, beyond what is needed */

/* ---- memory ---------------------------------------------------------------------------------- */

struct rmt_pool_chunk {
    struct rmt_pool_chunk *next;
    size_t size; /* bytes, this included */
    size_t nr_pages;
    bool spilled;
    uint8_t zero[39];
    uint8_t pages[]; /* struct rmt_private and page, nr_pages times */
};
static_assert(offsetof(struct rmt_pool_chunk, pages) == 64,
              "keeps pages on cache lines of their own");

static size_t stride(const struct rmt_page_pool *pool)
{
    return sizeof(struct rmt_private) + pool->page_size;
}

/* Bytes spilled at once. */
static size_t spill_chunk(const struct rmt_pages *pages)
{
    return rmt_max(pages->spill_bytes, CHUNK_BYTES_MIN);
}

/* At least two pages. */
static int chunk_new(struct rmt_page_pool *pool, struct rmt_pages *pages,
                     struct rmt_pool_chunk **out)
{
    size_t size = pool->chunks ? 2 * pool->chunks->size : CHUNK_BYTES_MIN;
    bool spilled = pool->bytes >= pages->spill_bytes;
    void *mem = NULL;
    size = spilled ? spill_chunk(pages) : rmt_min(size, CHUNK_BYTES_MAX);
    while (size < sizeof(struct rmt_pool_chunk) + 2 * stride(pool))
        size *= 2;
    int rc = spilled ? rmt_spill_new(pages, size, &mem) : 0;
    if (rc == 0 && !spilled && !(mem = aligned_alloc(64, size)))
        rc = rmt_fail(-ENOMEM, "no memory for private pages");
    if (rc < 0)
        return rc;
    struct rmt_pool_chunk *chunk = mem;
    *chunk = (struct rmt_pool_chunk){.size = size, .spilled = spilled};
    chunk->nr_pages = (size - sizeof(*chunk)) / stride(pool);
    pool->bytes += spilled ? 0 : size;
    *out = chunk;
    return 0;
}

static void chunk_free(struct rmt_page_pool *pool, struct rmt_pool_chunk *chunk)
{
    if (chunk->spilled) {
        rmt_spill_free(chunk, chunk->size);
        return;
    }
    pool->bytes -= chunk->size;
    free(chunk);
}

static void chunk_spare(struct rmt_page_pool *pool, struct rmt_pool_chunk *chunk)
{
    for (size_t i = chunk->nr_pages; i-- > 0;) {
        struct rmt_private *page = (struct rmt_private *)(void *)(chunk->pages + i * stride(pool));
        page->next = pool->spare;
        pool->spare = page;
    }
    pool->nr_spare += chunk->nr_pages;
}

/* Makes at least want pages spare. */
static int pool_fill(struct rmt_page_pool *pool, struct rmt_pages *pages, uint32_t want)
{
    while (pool->nr_spare < want) {
        struct rmt_pool_chunk *chunk;
        int rc = chunk_new(pool, pages, &chunk);
        if (rc < 0)
            return rc;
        chunk->next = pool->chunks;
        pool->chunks = chunk;
        chunk_spare(pool, chunk);
    }
    return 0;
}

static void pool_give(struct rmt_page_pool *pool, struct rmt_private *page)
{
    page->next = pool->spare;
    pool->spare = page;
    pool->nr_spare++;
    pool->nr_used--;
}

/* If no page is in use, keeps no more than POOL_KEEP_BYTES, in the order of memory. */
static void pool_trim(struct rmt_page_pool *pool)
{
    if (pool->nr_used || pool->nr_spare * stride(pool) <= POOL_KEEP_BYTES)
        return;
    struct rmt_pool_chunk *chunk = pool->chunks;
    size_t kept = 0;
    pool->chunks = NULL;
    pool->spare = NULL;
    pool->nr_spare = 0;
    while (chunk) {
        struct rmt_pool_chunk *next = chunk->next;
        if (!chunk->spilled && kept + chunk->size <= POOL_KEEP_BYTES) {
            kept += chunk->size;
            chunk->next = pool->chunks;
            pool->chunks = chunk;
            chunk_spare(pool, chunk);
        } else {
            chunk_free(pool, chunk);
        }
        chunk = next;
    }
}

void rmt_page_pool_fini(struct rmt_page_pool *pool)
{
    rmt_assert(pool->nr_used == 0);
    while (pool->chunks) {
        struct rmt_pool_chunk *next = pool->chunks->next;
        chunk_free(pool, pool->chunks);
        pool->chunks = next;
    }
    pool->spare = NULL;
    pool->nr_spare = 0;
    pool->page_size = 0;
    free(pool->scratch);
    pool->scratch = NULL;
}

/* ---- the edit -------------------------------------------------------------------------------- */

void rmt_edit_init(struct rmt_edit *edit, struct rmt_pages *pages,
                   int (*reserve)(void *ctx, uint64_t pages), void *reserve_ctx)
{
    *edit = (struct rmt_edit){
        .pages = pages,
        .reserve = reserve,
        .reserve_ctx = reserve_ctx,
    };
}

static struct rmt_page_pool *pool_of(struct rmt_edit *edit)
{
    return edit->pool ? edit->pool : &edit->own;
}

/* Values one behind the other, given back together. */
struct rmt_spill {
    struct rmt_spill *next;
    size_t size, used; /* bytes, this included */
    uint8_t zero[40];
};
static_assert(sizeof(struct rmt_spill) == 64, "keeps values on cache lines of their own");

static int spill_value(struct rmt_edit *edit, size_t bytes, struct rmt_private **out)
{
    struct rmt_spill *spill = edit->spill;
    size_t want;
    if (!rmt_add(bytes, sizeof(*spill) + 63, &want))
        return rmt_fail(-ENOMEM, "no memory for a value");
    bytes = (bytes + 63) / 64 * 64;
    if (!spill || spill->size - spill->used < bytes) {
        void *mem;
        size_t size = rmt_max(want, spill_chunk(edit->pages));
        int rc = rmt_spill_new(edit->pages, size, &mem);
        if (rc < 0)
            return rc;
        spill = mem;
        *spill = (struct rmt_spill){.next = edit->spill, .size = size, .used = sizeof(*spill)};
        edit->spill = spill;
    }
    *out = (struct rmt_private *)(void *)((uint8_t *)spill + spill->used);
    spill->used += bytes;
    return 0;
}

/* Whole pages, as it is written; the rest of the last one is 0. */
static int value_new(struct rmt_edit *edit, size_t size, bool may_spill, struct rmt_private **out)
{
    size_t page_size = edit->pages->page_size;
    size_t bytes, whole = rmt_div_up(size, page_size) * page_size;
    bool spilled = may_spill && edit->value_bytes >= edit->pages->spill_bytes;
    if (!rmt_add(whole, sizeof(**out), &bytes))
        return rmt_fail(-ENOMEM, "no memory for a value");
    if (spilled) {
        int rc = spill_value(edit, bytes, out);
        if (rc < 0)
            return rc;
    } else if (!(*out = malloc(bytes))) {
        return rmt_fail(-ENOMEM, "no memory for a value of %zu bytes", size);
    }
    **out = (struct rmt_private){.value_size = size, .spilled = spilled};
    memset((*out)->bytes + size, 0, whole - size);
    edit->value_bytes += spilled ? 0 : size;
    return 0;
}

static void value_free(struct rmt_edit *edit, struct rmt_private *value)
{
    edit->value_bytes -= value->value_size;
    free(value);
}

/* Takes a page or value off the list and frees it. */
static void private_free(struct rmt_edit *edit, struct rmt_private *own)
{
    if (own->prev)
        own->prev->next = own->next;
    else
        edit->all = own->next;
    if (own->next)
        own->next->prev = own->prev;
    if (own->lent)
        free(own);
    else if (!own->value_size)
        pool_give(pool_of(edit), own);
    else if (!own->spilled)
        value_free(edit, own);
}

static void private_add(struct rmt_edit *edit, struct rmt_private *own)
{
    own->savepoint = edit->savepoint;
    own->prev = NULL;
    own->next = edit->all;
    if (edit->all)
        edit->all->prev = own;
    edit->all = own;
}

void rmt_edit_fini(struct rmt_edit *edit)
{
    while (edit->all)
        private_free(edit, edit->all);
    while (edit->spill) {
        struct rmt_spill *next = edit->spill->next;
        rmt_spill_free(edit->spill, edit->spill->size);
        edit->spill = next;
    }
    if (edit->pool)
        pool_trim(edit->pool);
    rmt_page_pool_fini(&edit->own);
    edit->scratch = NULL;
    rmt_vec_fini(&edit->gone);
    rmt_vec_fini(&edit->refs);
    edit->nr_private = 0;
}

int rmt_edit_ensure(struct rmt_edit *edit, uint32_t pages, uint64_t values, uint32_t runs)
{
    struct rmt_page_pool *pool = pool_of(edit);
    if (rmt_unlikely(!edit->scratch)) {
        pool->page_size = edit->pages->page_size;
        if (!pool->scratch)
            pool->scratch = aligned_alloc(64, edit->pages->page_size);
        if (!pool->scratch)
            return rmt_fail(-ENOMEM, "no memory for private pages");
        edit->scratch = pool->scratch;
    }
    if (rmt_unlikely(pool->nr_spare < pages)) {
        int rc = pool_fill(pool, edit->pages, pages);
        if (rc < 0)
            return rc;
    }
    if (rmt_unlikely(!rmt_vec_reserve(&edit->gone, edit->gone.count + runs)))
        return rmt_fail(-ENOMEM, "no memory for replaced pages");

    uint64_t want = edit->nr_private + pages + values;
    if (rmt_likely(want <= edit->nr_reserved))
        return 0;
    uint64_t more = want - edit->nr_reserved;
    if (edit->reserve && edit->reserve(edit->reserve_ctx, more + RESERVE_AHEAD) == 0) {
        edit->nr_reserved += more + RESERVE_AHEAD;
        return 0;
    }
    int rc = edit->reserve ? edit->reserve(edit->reserve_ctx, more) : 0;
    if (rc < 0)
        return rc;
    edit->nr_reserved += more;
    return 0;
}

struct rmt_disk_node *rmt_edit_page(struct rmt_edit *edit)
{
    struct rmt_page_pool *pool = pool_of(edit);
    struct rmt_private *page = pool->spare;
    rmt_assert(page != NULL);
    pool->spare = page->next;
    pool->nr_spare--;
    pool->nr_used++;
    *page = (struct rmt_private){.last = UINT32_MAX};
    private_add(edit, page);
    edit->nr_private++;
    rmt_assert((uintptr_t)page->bytes <= RMT_ADDR_MAX);
    return (struct rmt_disk_node *)(void *)page->bytes;
}

void rmt_edit_page_drop(struct rmt_edit *edit, const struct rmt_disk_node *node)
{
    struct rmt_private *page = rmt_private_of(node);
    rmt_assert(edit->nr_private > 0);
    edit->nr_private--;
    if (page->savepoint == edit->savepoint)
        private_free(edit, page);
}

static int blank(struct rmt_edit *edit, size_t size, bool may_spill, struct rmt_private **out)
{
    rmt_assert(size > 0);
    int rc = value_new(edit, size, may_spill, out);
    if (rc == 0)
        private_add(edit, *out);
    return rc;
}

int rmt_edit_value_blank(struct rmt_edit *edit, size_t size, struct rmt_private **out)
{
    return blank(edit, size, true, out);
}

int rmt_edit_seal_blank(struct rmt_edit *edit, size_t size, struct rmt_private **out)
{
    return blank(edit, size, false, out);
}

static int value_lent(struct rmt_edit *edit, const void *bytes, struct rmt_private **out)
{
    struct rmt_private *value = malloc(sizeof(*value) + sizeof(bytes));
    if (!value)
        return rmt_fail(-ENOMEM, "no memory for a value");
    *value = (struct rmt_private){.lent = true};
    memcpy(value->bytes, &bytes, sizeof(bytes));
    private_add(edit, value);
    edit->nr_private++;
    edit->page_values = true;
    *out = value;
    return 0;
}

int rmt_edit_value(struct rmt_edit *edit, struct ramet_slice data, bool lend,
                   struct rmt_private **out)
{
    if (data.size == edit->pages->page_size && lend)
        return value_lent(edit, data.data, out);
    if (data.size == edit->pages->page_size) {
        *out = rmt_private_of(rmt_edit_page(edit));
        edit->page_values = true;
        memcpy((*out)->bytes, data.data, data.size);
        return 0;
    }
    int rc = rmt_edit_value_blank(edit, data.size, out);
    if (rc < 0)
        return rc;
    memcpy((*out)->bytes, data.data, data.size);
    edit->nr_private += rmt_value_pages(edit->pages->page_size, data.size);
    return 0;
}

void rmt_edit_value_drop(struct rmt_edit *edit, struct rmt_private *value)
{
    uint32_t page_size = edit->pages->page_size;
    uint64_t pages = value->whole ? rmt_parts_of(value)->taken
                                  : rmt_value_pages(page_size, rmt_private_size(edit, value));
    rmt_assert(edit->nr_private >= pages);
    edit->nr_private -= pages;
    if (value->whole)
        rmt_parts_drop(edit, value);
    if (value->savepoint == edit->savepoint)
        private_free(edit, value);
}

void rmt_edit_blank_drop(struct rmt_edit *edit, struct rmt_private *blank)
{
    if (blank->savepoint == edit->savepoint)
        private_free(edit, blank);
}

/* ---- replaced pages -------------------------------------------------------------------------- */

void rmt_edit_gone(struct rmt_edit *edit, struct rmt_run run)
{
    rmt_assert(edit->gone.count < edit->gone.capacity);
    if (edit->gone.count > edit->gone_floor) {
        struct rmt_run *last = &edit->gone.items[edit->gone.count - 1];
        if (last->birth == run.birth && last->addr + last->len == run.addr) {
            last->len += run.len;
            return;
        }
    }
    edit->gone.items[edit->gone.count++] = run;
}

int rmt_edit_gone_grow(struct rmt_edit *edit, struct rmt_run run)
{
    if (!rmt_vec_reserve(&edit->gone, edit->gone.count + 1))
        return rmt_fail(-ENOMEM, "no memory for replaced pages");
    rmt_edit_gone(edit, run);
    return 0;
}

int rmt_edit_refs_ensure(struct rmt_edit *edit, size_t runs)
{
    if (rmt_vec_reserve(&edit->refs, edit->refs.count + runs))
        return 0;
    return rmt_fail(-ENOMEM, "no memory for references to shared pages");
}

void rmt_edit_refs_note(struct rmt_edit *edit, uint64_t number, uint64_t what)
{
    struct rmt_run run = {number, 1, what};
    rmt_assert(edit->refs.count < edit->refs.capacity);
    if (edit->refs.count > edit->refs_floor) {
        struct rmt_run *last = &edit->refs.items[edit->refs.count - 1];
        if (last->birth == what && last->addr + last->len == number) {
            last->len++;
            return;
        }
    }
    edit->refs.items[edit->refs.count++] = run;
}

struct rmt_gone_mark rmt_gone_mark(const struct rmt_edit *edit)
{
    struct rmt_gone_mark mark = {.count = edit->gone.count, .refs_count = edit->refs.count};
    if (mark.count)
        mark.last = edit->gone.items[mark.count - 1];
    if (mark.refs_count)
        mark.refs_last = edit->refs.items[mark.refs_count - 1];
    return mark;
}

void rmt_gone_undo(struct rmt_edit *edit, struct rmt_gone_mark mark)
{
    edit->gone.count = mark.count;
    if (mark.count)
        edit->gone.items[mark.count - 1] = mark.last;
    edit->refs.count = mark.refs_count;
    if (mark.refs_count)
        edit->refs.items[mark.refs_count - 1] = mark.refs_last;
}

/* ---- savepoints ------------------------------------------------------------------------------ */

void rmt_edit_mark(struct rmt_edit *edit, struct rmt_edit_mark *out)
{
    edit->savepoint++;
    edit->gone_floor = edit->gone.count;
    edit->refs_floor = edit->refs.count;
    out->gone = edit->gone.count;
    out->refs = edit->refs.count;
    out->nr_private = edit->nr_private;
    out->savepoint = edit->savepoint;
    out->newest = edit->all;
}

void rmt_edit_rollback(struct rmt_edit *edit, const struct rmt_edit_mark *mark)
{
    rmt_assert(mark->savepoint <= edit->savepoint);
    while (edit->all != mark->newest)
        private_free(edit, edit->all);
    edit->gone.count = mark->gone;
    edit->gone_floor = mark->gone;
    edit->refs.count = mark->refs;
    edit->refs_floor = mark->refs;
    edit->nr_private = mark->nr_private;
    edit->savepoint = mark->savepoint;
}

/* ---- pages of a tree ------------------------------------------------------------------------- */

static void node_copy(void *to, const struct rmt_disk_node *node, uint32_t page_size)
{
    uint32_t back = rmt_node_back(node), end = page_size - back;
    memcpy(to, node, rmt_node_front(node));
    memcpy((uint8_t *)to + end, rmt_node_bytes(node) + end, back);
}

struct rmt_disk_node *rmt_edit_touch(struct rmt_edit *edit, struct rmt_ref *ref)
{
    if (rmt_edit_writable(edit, *ref))
        return rmt_private_node(*ref);

    struct rmt_disk_node *page = rmt_edit_page(edit);
    struct rmt_private *copy = rmt_private_of(page);
    if (ref->birth) {
        struct rmt_run run = {ref->addr, 1, ref->birth};
        node_copy(page, rmt_page_at(edit->pages, ref->addr), edit->pages->page_size);
        rmt_edit_gone(edit, run);
    } else {
        struct rmt_disk_node *old = rmt_private_node(*ref);
        struct rmt_private *from = rmt_private_of(old);
        node_copy(page, old, edit->pages->page_size);
        copy->garbage = from->garbage;
        copy->last = from->last;
        copy->ascending = from->ascending;
        copy->descending = from->descending;
        copy->values = from->values;
        rmt_edit_page_drop(edit, old);
    }
    *ref = rmt_private_ref(page);
    return page;
}

static void scratch_move(const struct rmt_edit *edit, const struct rmt_disk_node *node,
                         const void **data)
{
    uintptr_t at = (uintptr_t)*data, from = (uintptr_t)node;
    if (at >= from && at < from + edit->pages->page_size)
        *data = edit->scratch + (at - from);
}

const struct rmt_disk_node *rmt_edit_scratch(struct rmt_edit *edit,
                                             const struct rmt_disk_node *node,
                                             struct rmt_item *item)
{
    node_copy(edit->scratch, node, edit->pages->page_size);
    if (item) {
        scratch_move(edit, node, &item->key.data);
        scratch_move(edit, node, &item->value.data);
    }
    return (const struct rmt_disk_node *)(void *)edit->scratch;
}
