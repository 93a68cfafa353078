/* SPDX-License-Identifier: MIT */
/*
 * tree-test.c - random programs on a tree, checked step by step against a sorted array.
 */
#include "tree/fake.h"

/* ---- the model ------------------------------------------------------------------------------- */

struct pair {
    uint8_t *key, *value;
    size_t key_size, value_size;
};

struct model {
    RMT_VEC(struct pair) pairs;
};

static struct ramet_slice key_of(const struct pair *pair)
{
    return rmt_slice(pair->key, pair->key_size);
}

/* Index of the first pair not below key. */
static size_t model_find(const struct model *model, struct ramet_slice key, bool *equal)
{
    size_t low = 0, high = model->pairs.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rmt_slice_cmp(key_of(&model->pairs.items[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *equal = low < model->pairs.count && rmt_slice_cmp(key_of(&model->pairs.items[low]), key) == 0;
    return low;
}

static uint8_t *copy_of(struct ramet_slice s)
{
    uint8_t *copy = malloc(s.size + 1);
    assert_non_null(copy);
    if (s.size)
        memcpy(copy, s.data, s.size);
    return copy;
}

static void model_put(struct model *model, struct ramet_slice key, struct ramet_slice value)
{
    bool equal;
    size_t at = model_find(model, key, &equal);
    if (!equal) {
        struct pair pair = {copy_of(key), NULL, key.size, 0};
        assert_true(rmt_vec_push(&model->pairs, pair));
        memmove(model->pairs.items + at + 1, model->pairs.items + at,
                (model->pairs.count - 1 - at) * sizeof(pair));
        model->pairs.items[at] = pair;
    }
    uint8_t *copy = copy_of(value);
    free(model->pairs.items[at].value);
    model->pairs.items[at].value = copy;
    model->pairs.items[at].value_size = value.size;
}

static void model_cut(struct model *model, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        free(model->pairs.items[i].key);
        free(model->pairs.items[i].value);
    }
    if (to > from)
        memmove(model->pairs.items + from, model->pairs.items + to,
                (model->pairs.count - to) * sizeof(struct pair));
    model->pairs.count -= to - from;
}

static void model_fini(struct model *model)
{
    model_cut(model, 0, model->pairs.count);
    rmt_vec_fini(&model->pairs);
}

static void model_copy(const struct model *from, struct model *to)
{
    memset(to, 0, sizeof(*to));
    for (size_t i = 0; i < from->pairs.count; i++) {
        const struct pair *pair = &from->pairs.items[i];
        struct pair copy = {copy_of(key_of(pair)),
                            copy_of(rmt_slice(pair->value, pair->value_size)), pair->key_size,
                            pair->value_size};
        assert_true(rmt_vec_push(&to->pairs, copy));
    }
}

RMT_AUTO(rmt_arena_fini, struct rmt_arena)

/* ---- comparing ------------------------------------------------------------------------------- */

static void same_value(struct fake *fake, const struct rmt_value *value, const struct pair *pair)
{
    rmt_auto(rmt_arena_fini) struct rmt_arena *arena = &(struct rmt_arena){0};
    struct ramet_slice slice;
    assert_int_equal(rmt_value_size(&fake->pages, value), pair->value_size);
    assert_int_equal(rmt_value_slice(&fake->pages, value, arena, &slice), 0);
    assert_int_equal(slice.size, pair->value_size);
    assert_true(slice.size == 0 || memcmp(slice.data, pair->value, slice.size) == 0);
    if (value->extents) {
        uint8_t part[9000];
        uint64_t off = chance(pair->value_size);
        size_t len = 1 + chance(sizeof(part)), have = rmt_min(len, pair->value_size - off);
        assert_int_equal(rmt_value_read(&fake->pages, value, off, part, len), have);
        assert_memory_equal(part, pair->value + off, have);
    }
}

/* Everything in order, both ways, and by get and get_many. */
static void same_tree(struct fake *fake, struct rmt_tree *tree, const struct model *model)
{
    size_t count = model->pairs.count;
    struct rmt_cursor c;
    struct ramet_slice key, *keys = calloc(count + 2, sizeof(*keys));
    struct rmt_value value, *values = calloc(count + 2, sizeof(*values));
    assert_non_null(keys);
    assert_non_null(values);
    assert_int_equal(tree->count, count);

    rmt_cursor_init(&c, &fake->pages, tree);
    for (size_t i = 0; i < count; i++) {
        const struct pair *pair = &model->pairs.items[i];
        assert_int_equal(rmt_cursor_next(&c), 0);
        assert_int_equal(rmt_cursor_get(&c, &key, &value), 0);
        assert_int_equal(rmt_slice_cmp(key, key_of(pair)), 0);
        same_value(fake, &value, pair);
        assert_int_equal(fake_get(&fake->pages, tree, key_of(pair), &value), 0);
        same_value(fake, &value, pair);
        keys[i] = key_of(pair);
    }
    assert_int_equal(rmt_cursor_next(&c), RAMET_ENOTFOUND);
    for (size_t i = count; i-- > 0;) {
        assert_int_equal(rmt_cursor_prev(&c), 0);
        assert_int_equal(rmt_cursor_get(&c, &key, NULL), 0);
        assert_int_equal(rmt_slice_cmp(key, keys[i]), 0);
    }
    assert_int_equal(rmt_cursor_prev(&c), RAMET_ENOTFOUND);
    rmt_cursor_fini(&c);

    keys[count] = rmt_slice("\xff\xff\xff\xff no such key", 16);
    assert_int_equal(fake_get_many(&fake->pages, tree, count + 2, keys, values), 0);
    for (size_t i = 0; i < count; i++)
        same_value(fake, &values[i], &model->pairs.items[i]);
    assert_null(values[count].data);
    assert_null(values[count + 1].data);
    free(keys);
    free(values);
}

/* ---- pages ----------------------------------------------------------------------------------- */

struct census {
    RMT_VEC(struct rmt_run) runs;
};

static int census_run(void *ctx, struct rmt_run run)
{
    struct census *census = ctx;
    for (uint64_t i = 0; i < run.len; i++) {
        struct rmt_run one = {run.addr + i, 1, run.birth};
        assert_true(rmt_vec_push(&census->runs, one));
    }
    return 0;
}

static int census_value_run(void *ctx, const struct rmt_disk_run *run, uint32_t level)
{
    (void)level;
    return census_run(ctx, rmt_run_of(run));
}

/* All pages of the file that a tree reaches. */
static void census_take(struct fake *fake, struct rmt_ref ref, struct census *census)
{
    const struct rmt_disk_node *node = NULL;
    if (rmt_ref_none(ref))
        return;
    assert_int_equal(rmt_ref_open(&fake->pages, ref, &node), 0);
    struct rmt_run own = {ref.addr, 1, ref.birth};
    if (ref.birth)
        census_run(census, own);
    for (uint32_t i = 0; i < rmt_node_size(node); i++) {
        struct rmt_value value;
        if (node->level > 0) {
            census_take(fake, rmt_node_child(node, i), census);
            continue;
        }
        rmt_node_value(node, fake->pages.page_size, i, &value);
        assert_int_equal(rmt_value_runs(&fake->pages, &value, true, census_value_run, census), 0);
    }
}

static int run_cmp(const void *a, const void *b)
{
    const struct rmt_run *x = a, *y = b;
    return (x->addr > y->addr) - (x->addr < y->addr);
}

static void census_sort(struct census *census)
{
    if (census->runs.count)
        qsort(census->runs.items, census->runs.count, sizeof(struct rmt_run), run_cmp);
    for (size_t i = 1; i < census->runs.count; i++)
        assert_true(census->runs.items[i - 1].addr < census->runs.items[i].addr);
}

/* What was reached before and is not any more is on the gone list, once, and nothing else. */
static void gone_exact(struct fake *fake, const struct rmt_edit *edit, struct rmt_ref before,
                       struct rmt_ref after)
{
    struct census old = {0}, new = {0};
    census_take(fake, before, &old);
    size_t before_count = old.runs.count;
    census_sort(&old);
    census_take(fake, after, &new);
    /* What is new was written since; what is left of the new census is part of the old one. */
    size_t kept = 0;
    for (size_t i = 0; i < new.runs.count; i++) {
        if (old.runs.count && bsearch(&new.runs.items[i], old.runs.items, old.runs.count,
                                      sizeof(struct rmt_run), run_cmp))
            new.runs.items[kept++] = new.runs.items[i];
    }
    new.runs.count = kept;
    for (size_t i = 0; i < edit->gone.count; i++)
        census_run(&new, edit->gone.items[i]);
    census_sort(&new);
    assert_int_equal(new.runs.count, before_count);
    for (size_t i = 0; i < before_count; i++) {
        assert_int_equal(new.runs.items[i].addr, old.runs.items[i].addr);
        assert_int_equal(new.runs.items[i].birth, old.runs.items[i].birth);
    }
    rmt_vec_fini(&old.runs);
    rmt_vec_fini(&new.runs);
}

/* Pages and value pages of the private part of a tree. */
static uint64_t count_private(struct fake *fake, struct rmt_ref ref)
{
    const struct rmt_disk_node *node;
    uint64_t count = 1;
    if (rmt_ref_none(ref) || ref.birth)
        return 0;
    assert_int_equal(rmt_ref_open(&fake->pages, ref, &node), 0);
    for (uint32_t i = 0; i < rmt_node_size(node); i++) {
        struct rmt_value value;
        if (node->level > 0) {
            count += count_private(fake, rmt_node_child(node, i));
            continue;
        }
        rmt_node_value(node, fake->pages.page_size, i, &value);
        if (rmt_extents_value(&value))
            count += rmt_value_pages(fake->pages.page_size, rmt_value_size(&fake->pages, &value));
    }
    return count;
}

/* ---- programs -------------------------------------------------------------------------------- */

enum key_style {
    KEYS_RANDOM,
    KEYS_SHORT,
    KEYS_HUGE,
    KEYS_PREFIXED,
    KEYS_NUMBERS,
    KEYS_HOLES,
    KEYS_ZEROS,
    KEYS_MIXED
};

struct program {
    uint32_t page_size;
    enum key_style keys;
    uint32_t value_max;
    uint32_t run_max, skip;
    uint32_t txns, steps;
    bool equal; /* nearly all values have value_max bytes */
};

#define NR_CURSORS 3

/* A cursor, and where it should be: at a key that may have been deleted, or nowhere. */
struct watched {
    struct rmt_cursor c;
    uint8_t key[RAMET_KEY_MAX];
    size_t key_size; /* 0: nowhere */
};

struct state {
    const struct program *program;
    struct fake fake;
    struct rmt_edit edit;
    struct rmt_tree tree;
    struct model model;
    struct watched cursors[NR_CURSORS];
    uint8_t key[RAMET_KEY_MAX];
    uint8_t *value;
    uint64_t odd_every; /* of a program with equal values: how rare others are */
};

static struct ramet_slice key_make(struct state *s)
{
    enum key_style style = s->program->keys;
    size_t size = 0;
    if (style == KEYS_MIXED)
        style = (enum key_style)chance(KEYS_MIXED);
    switch (style) {
    case KEYS_RANDOM:
        size = 16;
        for (size_t i = 0; i < size; i++)
            s->key[i] = (uint8_t)chance(256);
        break;
    case KEYS_SHORT:
        size = 1 + chance(3);
        for (size_t i = 0; i < size; i++)
            s->key[i] = (uint8_t)chance(40);
        break;
    case KEYS_HUGE:
        size = RAMET_KEY_MAX - chance(200);
        memset(s->key, 'k', size);
        s->key[chance(size)] = (uint8_t)chance(256);
        s->key[size - 1 - chance(30)] = (uint8_t)chance(256);
        break;
    case KEYS_PREFIXED:
        size = (size_t)sprintf((char *)s->key, "user/%s/%04u", chance(2) ? "anna" : "anton",
                               (unsigned)chance(3000));
        break;
    case KEYS_NUMBERS: /* in a row, around the end of 4 bytes; a few are longer or shorter */
        size = 8;
        rmt_put_be64(s->key, UINT32_MAX - 2000 + chance(4000));
        if (chance(200) == 0)
            s->key[size++] = (uint8_t)chance(2);
        else if (chance(200) == 0)
            size -= 1 + chance(2);
        break;
    case KEYS_HOLES: { /* 4 bytes, most of them in a row */
        uint8_t whole[8];
        uint64_t n = chance(4000);
        rmt_put_be64(whole, 65536 * 255 + 63000 + n + n / 100 * 3);
        size = 4;
        memcpy(s->key, whole + 4, size);
        break;
    }
    default: /* zeros, where padding and size decide */
        size = 1 + chance(9);
        for (size_t i = 0; i < size; i++)
            s->key[i] = (uint8_t)(chance(5) == 0);
    }
    return rmt_slice(s->key, size);
}

/* One that is there, as far as there are any; else any. */
static struct ramet_slice key_old(struct state *s)
{
    if (s->model.pairs.count == 0)
        return key_make(s);
    const struct pair *pair = &s->model.pairs.items[chance(s->model.pairs.count)];
    memcpy(s->key, pair->key, pair->key_size);
    return rmt_slice(s->key, pair->key_size);
}

static struct ramet_slice value_make(struct state *s)
{
    size_t size = chance(3) ? chance(120) : chance(s->program->value_max + 1);
    if (s->program->equal && chance(s->odd_every))
        size = s->program->value_max;
    memset(s->value, (int)chance(256), size);
    for (size_t i = 0; i < size; i += 1 + size / 16)
        s->value[i] = (uint8_t)chance(256);
    return rmt_slice(s->value, size);
}

static void step_put(struct state *s)
{
    struct ramet_slice key = chance(3) ? key_make(s) : key_old(s), value = value_make(s);
    unsigned flags = chance(8) == 0 ? RMT_PUT_NOOVERWRITE : 0;
    bool equal;
    if (chance(20) == 0)
        flags |= RMT_PUT_APPEND;
    size_t at = model_find(&s->model, key, &equal);
    struct rmt_ref root = s->tree.root;
    int rc = rmt_tree_put(&s->edit, &s->tree, key, value, flags);
    if (rc == -ENOSPC) {
        assert_int_equal(s->fake.reserve_fail_in, 0);
        assert_true(rmt_ref_equal(root, s->tree.root));
    } else if (flags & RMT_PUT_APPEND && (equal || at < s->model.pairs.count)) {
        assert_int_equal(rc, -EINVAL);
    } else if (flags & RMT_PUT_NOOVERWRITE && equal) {
        assert_int_equal(rc, -EEXIST);
    } else {
        assert_int_equal(rc, 0);
        model_put(&s->model, key, value);
    }
}

/* Ascending, descending, or in the middle of other keys. */
static void step_series(struct state *s)
{
    struct ramet_slice key = key_make(s);
    uint8_t buf[RAMET_KEY_MAX];
    size_t size = rmt_min(key.size, RAMET_KEY_MAX - 4), n = 20 + chance(60);
    bool down = chance(2);
    memcpy(buf, key.data, size);
    if (s->program->equal && size == 8) { /* the numbers themselves */
        n *= 10;
        size = 6;
        down = chance(4) == 0;
    }
    for (size_t i = 0; i < n; i++) {
        size_t number = down ? n - i : i;
        buf[size] = (uint8_t)(number >> 8);
        buf[size + 1] = (uint8_t)number;
        struct ramet_slice value = value_make(s), full = rmt_slice(buf, size + 2);
        int rc = rmt_tree_put(&s->edit, &s->tree, full, value, 0);
        if (rc == -ENOSPC)
            return;
        assert_int_equal(rc, 0);
        model_put(&s->model, full, value);
    }
}

static void step_del(struct state *s)
{
    struct ramet_slice key = chance(4) ? key_old(s) : key_make(s);
    bool equal;
    size_t at = model_find(&s->model, key, &equal);
    int rc = rmt_tree_del(&s->edit, &s->tree, key);
    if (rc == -ENOSPC)
        return;
    assert_int_equal(rc, equal ? 0 : RAMET_ENOTFOUND);
    if (equal)
        model_cut(&s->model, at, at + 1);
}

static void step_range(struct state *s, bool del)
{
    uint8_t buf[RAMET_KEY_MAX];
    struct ramet_slice from = chance(2) ? key_old(s) : key_make(s);
    memcpy(buf, from.data, from.size);
    from.data = buf;
    struct ramet_slice to = key_old(s);
    bool equal;
    if (chance(12) == 0)
        from.size = 0;
    if (chance(12) == 0)
        to.size = 0;
    size_t first = from.size ? model_find(&s->model, from, &equal) : 0;
    size_t last = s->model.pairs.count;
    if (to.size && chance(3) && first + 60 < last) { /* short, mostly */
        const struct pair *pair = &s->model.pairs.items[first + chance(60)];
        memcpy(s->key, pair->key, pair->key_size);
        to = rmt_slice(s->key, pair->key_size);
    }
    if (to.size)
        last = model_find(&s->model, to, &equal);
    if (last < first)
        last = first;
    uint64_t count = 12345;
    if (!del) {
        assert_int_equal(rmt_tree_count_range(&s->fake.pages, &s->tree, from, to, &count), 0);
        assert_int_equal(count, last - first);
        return;
    }
    int rc = rmt_tree_del_range(&s->edit, &s->tree, from, to, &count);
    if (rc == -ENOSPC)
        return;
    assert_int_equal(rc, 0);
    assert_int_equal(count, last - first);
    model_cut(&s->model, first, last);
}

static void watched_is(struct watched *w, const struct model *model, size_t at, int rc)
{
    if (at >= model->pairs.count) {
        assert_int_equal(rc, RAMET_ENOTFOUND);
        w->key_size = 0;
        return;
    }
    assert_int_equal(rc, 0);
    memcpy(w->key, model->pairs.items[at].key, model->pairs.items[at].key_size);
    w->key_size = model->pairs.items[at].key_size;
}

static void step_cursor(struct state *s)
{
    struct watched *w = &s->cursors[chance(NR_CURSORS)];
    const struct model *model = &s->model;
    struct ramet_slice key = rmt_slice(w->key, w->key_size), got;
    struct rmt_value value;
    bool equal = false;
    size_t at = w->key_size ? model_find(model, key, &equal) : 0, last = model->pairs.count - 1;
    switch (chance(8)) {
    case 0:
        key = chance(2) ? key_old(s) : key_make(s);
        at = model_find(model, key, &equal);
        watched_is(w, model, at, rmt_cursor_seek(&w->c, key));
        break;
    case 1:
        if (chance(2))
            watched_is(w, model, 0, rmt_cursor_first(&w->c));
        else
            watched_is(w, model, last, rmt_cursor_last(&w->c));
        break;
    case 2:
    case 3: watched_is(w, model, at + equal, rmt_cursor_next(&w->c)); break;
    case 4:
    case 5: watched_is(w, model, w->key_size ? at - 1 : last, rmt_cursor_prev(&w->c)); break;
    default:
        if (!w->key_size || !equal) {
            assert_int_equal(rmt_cursor_get(&w->c, &got, &value), RAMET_ENOTFOUND);
            break;
        }
        assert_int_equal(rmt_cursor_get(&w->c, &got, &value), 0);
        assert_int_equal(rmt_slice_cmp(got, key), 0);
        same_value(&s->fake, &value, &model->pairs.items[at]);
    }
}

static void step(struct state *s)
{
    s->fake.reserve_fail_in = chance(10) ? -1 : 0;
    switch (chance(40)) {
    case 0: step_range(s, true); break;
    case 1: step_range(s, false); break;
    case 2:
    case 3: step_series(s); break;
    case 4:
        if (chance(20) == 0 && rmt_tree_drop(&s->edit, &s->tree) == 0)
            model_cut(&s->model, 0, s->model.pairs.count);
        break;
    default:
        if (chance(10) < 3)
            step_cursor(s);
        else if (chance(10) < 6)
            step_put(s);
        else
            step_del(s);
    }
    s->fake.reserve_fail_in = -1;
    assert_int_equal(s->tree.count, s->model.pairs.count);
    assert_true(s->edit.nr_private <= s->edit.nr_reserved);
    assert_int_equal(s->edit.nr_reserved, s->fake.reserved);
}

static void cursors_lost(struct state *s)
{
    for (size_t i = 0; i < NR_CURSORS; i++)
        s->cursors[i].key_size = 0;
}

/* Some steps, and perhaps a savepoint with more of them inside, kept or rolled back. */
static void steps(struct state *s, uint32_t depth)
{
    uint32_t count = (uint32_t)chance(s->program->steps) + 1;
    for (uint32_t i = 0; i < count; i++)
        step(s);
    assert_int_equal(count_private(&s->fake, s->tree.root), s->edit.nr_private);
    if (depth == 3 || chance(2))
        return;

    struct rmt_edit_mark mark;
    struct rmt_tree tree = s->tree;
    struct model model;
    model_copy(&s->model, &model);
    rmt_edit_mark(&s->edit, &mark);
    for (uint64_t again = chance(3); again > 0; again--) {
        steps(s, depth + 1);
        rmt_edit_rollback(&s->edit, &mark);
        rmt_tree_set(&s->tree, tree.root, tree.count);
        cursors_lost(s);
        model_fini(&s->model);
        model_copy(&model, &s->model);
        same_tree(&s->fake, &s->tree, &s->model);
        assert_int_equal(count_private(&s->fake, s->tree.root), s->edit.nr_private);
    }
    steps(s, depth + 1);
    model_fini(&model);
}

static void txn(struct state *s, struct rmt_page_pool *pool)
{
    struct rmt_ref before = s->tree.root;
    uint64_t before_count = s->tree.count;
    struct model model;
    model_copy(&s->model, &model);
    s->odd_every = chance(2) ? 10 : 5000;
    s->fake.reserved = 0;
    rmt_edit_init(&s->edit, &s->fake.pages, fake_reserve, &s->fake);
    s->edit.pool = pool;
    steps(s, 0);
    same_tree(&s->fake, &s->tree, &s->model);
    gone_exact(&s->fake, &s->edit, before, s->tree.root);
    bool keep = chance(4) > 0;
    if (keep) {
        uint64_t from = s->fake.w.next;
        assert_int_equal(rmt_tree_seal(&s->edit, &s->tree, &s->fake.w), 0);
        if (!s->fake.w.skip)
            assert_true(s->fake.w.next - from <= s->edit.nr_private);
        gone_exact(&s->fake, &s->edit, before, s->tree.root);
        s->fake.w.birth++;
    } else {
        rmt_tree_set(&s->tree, before, before_count);
        cursors_lost(s);
    }
    rmt_edit_fini(&s->edit);
    if (keep) {
        model_fini(&model);
    } else {
        model_fini(&s->model);
        s->model = model;
    }
    cursors_lost(s);
    rmt_tree_set(&s->tree, s->tree.root, s->tree.count);
    fake_forget(&s->fake);
    same_tree(&s->fake, &s->tree, &s->model);
}

static void run_program(const struct program *program)
{
    struct state *s = calloc(1, sizeof(*s));
    struct rmt_page_pool pool = {0};
    assert_non_null(s);
    s->program = program;
    s->value = malloc(program->value_max + 200);
    assert_non_null(s->value);
    fake_init(&s->fake, program->page_size, ((uint64_t)2 << 30) / program->page_size);
    s->fake.w.run_max = program->run_max;
    s->fake.w.skip = program->skip;
    for (size_t i = 0; i < NR_CURSORS; i++)
        rmt_cursor_init(&s->cursors[i].c, &s->fake.pages, &s->tree);
    for (uint32_t i = 0; i < program->txns; i++)
        txn(s, chance(2) ? &pool : NULL);
    for (size_t i = 0; i < NR_CURSORS; i++)
        rmt_cursor_fini(&s->cursors[i].c);
    assert_null(s->tree.cursors);
    rmt_page_pool_fini(&pool);
    model_fini(&s->model);
    fake_fini(&s->fake);
    free(s->value);
    free(s);
}

#define PROGRAM(name, ...)                      \
    static void name(void **state)              \
    {                                           \
        struct program program = {__VA_ARGS__}; \
        (void)state;                            \
        run_program(&program);                  \
    }

PROGRAM(agrees_on_random_keys, 4096, KEYS_RANDOM, 300, 64, 0, 12, 400)
PROGRAM(agrees_on_short_keys, 4096, KEYS_SHORT, 300, 64, 0, 12, 400)
PROGRAM(agrees_on_huge_keys, 4096, KEYS_HUGE, 3000, 64, 0, 12, 300)
PROGRAM(agrees_on_shared_prefixes, 4096, KEYS_PREFIXED, 300, 64, 0, 12, 500)
PROGRAM(agrees_on_numbers, 4096, KEYS_NUMBERS, 8, 64, 0, 16, 600, true)
PROGRAM(agrees_on_numbers_alone, 4096, KEYS_NUMBERS, 0, 64, 0, 16, 600, true)
PROGRAM(agrees_on_numbers_with_values, 4096, KEYS_NUMBERS, 100, 64, 0, 16, 400, true)
PROGRAM(agrees_on_numbers_in_large_pages, 65536, KEYS_NUMBERS, 1, 64, 0, 16, 600, true)
PROGRAM(agrees_on_numbers_with_holes, 4096, KEYS_HOLES, 4, 64, 0, 16, 600, true)
PROGRAM(agrees_on_numbers_with_any_values, 4096, KEYS_HOLES, 5000, 64, 0, 12, 400)
PROGRAM(agrees_on_pages, 4096, KEYS_NUMBERS, 4096, 64, 0, 16, 400, true)
PROGRAM(agrees_on_pages_with_holes, 4096, KEYS_HOLES, 4096, 64, 0, 16, 400, true)
PROGRAM(agrees_on_scattered_pages, 4096, KEYS_HOLES, 4096, 1, 1, 12, 100, true)
PROGRAM(agrees_on_zero_bytes, 4096, KEYS_ZEROS, 300, 64, 0, 12, 400)
PROGRAM(agrees_on_mixed_keys, 4096, KEYS_MIXED, 5000, 64, 0, 12, 400)
PROGRAM(agrees_on_large_values, 4096, KEYS_MIXED, 200000, 3, 1, 6, 60)
PROGRAM(agrees_on_scattered_values, 4096, KEYS_MIXED, 2000000, 1, 1, 4, 12)
PROGRAM(agrees_on_large_pages, 65536, KEYS_MIXED, 40000, 64, 0, 8, 600)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_on_random_keys),
        cmocka_unit_test(agrees_on_short_keys),
        cmocka_unit_test(agrees_on_huge_keys),
        cmocka_unit_test(agrees_on_shared_prefixes),
        cmocka_unit_test(agrees_on_zero_bytes),
        cmocka_unit_test(agrees_on_mixed_keys),
        cmocka_unit_test(agrees_on_large_values),
        cmocka_unit_test(agrees_on_scattered_values),
        cmocka_unit_test(agrees_on_large_pages),
        cmocka_unit_test(agrees_on_numbers),
        cmocka_unit_test(agrees_on_numbers_alone),
        cmocka_unit_test(agrees_on_numbers_with_values),
        cmocka_unit_test(agrees_on_numbers_in_large_pages),
        cmocka_unit_test(agrees_on_numbers_with_holes),
        cmocka_unit_test(agrees_on_numbers_with_any_values),
        cmocka_unit_test(agrees_on_pages),
        cmocka_unit_test(agrees_on_pages_with_holes),
        cmocka_unit_test(agrees_on_scattered_pages),
    };
    chance_state = chance_seed(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
