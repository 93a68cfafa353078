/* SPDX-License-Identifier: MIT */
#include "model/program.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/hash.h"
#include "model/steps.h"
#include "store/store.h"

const char *const branch_names[BRANCHES] = {"main", "b1", "b2", "b3", "b4", "b5"};
const char *const snapshot_names[SNAPSHOTS] = {"s0", "s1", "s2", "s3", "s4", "s5"};
const char *const map_names[MAPS] = {"m0", "m1", "m2"};

/* ---- programs -------------------------------------------------------------------------------- */

static const char *const op_names[] = {
#define NAME(name) #name,
    PROGRAM_OPS(NAME)
#undef NAME
};

/* Of key styles: those that something else asks for. */
#define KEYS_NUMBERS 0
#define KEYS_GAPS 7
#define KEYS_SHORT 8

static const uint8_t weights[PROFILES][OP_KINDS] = {
    [BALANCED] = {[OP_BEGIN_WRITE] = 14,
                  [OP_WRITE] = 20,
                  [OP_BEGIN_READ] = 8,
                  [OP_REFRESH] = 5,
                  [OP_COMMIT] = 10,
                  [OP_ABORT] = 3,
                  [OP_PUT] = 30,
                  [OP_PUT_MANY] = 5,
                  [OP_APPEND_MANY] = 2,
                  [OP_PUT_WRONG] = 1,
                  [OP_DEL] = 12,
                  [OP_DEL_RANGE] = 3,
                  [OP_MAP_OPEN] = 3,
                  [OP_MAP_DROP] = 1,
                  [OP_SAVEPOINT] = 3,
                  [OP_ROLLBACK] = 3,
                  [OP_GET] = 10,
                  [OP_GET_MANY] = 3,
                  [OP_READ] = 4,
                  [OP_COUNT] = 3,
                  [OP_SCAN] = 3,
                  [OP_MAP_LIST] = 2,
                  [OP_CURSOR_OPEN] = 4,
                  [OP_CURSOR_MOVE] = 12,
                  [OP_CURSOR_CLOSE] = 1,
                  [OP_BRANCH_CREATE] = 5,
                  [OP_BRANCH_DELETE] = 3,
                  [OP_BRANCH_RESET] = 2,
                  [OP_SNAPSHOT_CREATE] = 5,
                  [OP_SNAPSHOT_DELETE] = 4,
                  [OP_LISTS] = 3,
                  [OP_STAT] = 3,
                  [OP_RECLAIM] = 2,
                  [OP_SYNC] = 1,
                  [OP_CHECK] = 2,
                  [OP_VERIFY] = 1,
                  [OP_REOPEN] = 1,
                  [OP_COPY] = 1,
                  [OP_COMPACT] = 2},
    [BIG_TREES] = {[OP_BEGIN_WRITE] = 14,
                   [OP_WRITE] = 10,
                   [OP_BEGIN_READ] = 4,
                   [OP_REFRESH] = 3,
                   [OP_COMMIT] = 8,
                   [OP_ABORT] = 1,
                   [OP_PUT] = 20,
                   [OP_PUT_MANY] = 25,
                   [OP_APPEND_MANY] = 10,
                   [OP_DEL] = 10,
                   [OP_DEL_RANGE] = 5,
                   [OP_MAP_DROP] = 1,
                   [OP_SAVEPOINT] = 3,
                   [OP_ROLLBACK] = 3,
                   [OP_GET] = 5,
                   [OP_GET_MANY] = 3,
                   [OP_COUNT] = 3,
                   [OP_SCAN] = 3,
                   [OP_CURSOR_OPEN] = 2,
                   [OP_CURSOR_MOVE] = 6,
                   [OP_BRANCH_CREATE] = 2,
                   [OP_BRANCH_DELETE] = 1,
                   [OP_BRANCH_RESET] = 1,
                   [OP_SNAPSHOT_CREATE] = 2,
                   [OP_SNAPSHOT_DELETE] = 2,
                   [OP_STAT] = 1,
                   [OP_RECLAIM] = 1,
                   [OP_CHECK] = 1,
                   [OP_VERIFY] = 1,
                   [OP_REOPEN] = 1,
                   [OP_COMPACT] = 2},
    [MANY_VERSIONS] = {[OP_BEGIN_WRITE] = 20,
                       [OP_WRITE] = 20,
                       [OP_BEGIN_READ] = 6,
                       [OP_REFRESH] = 4,
                       [OP_COMMIT] = 20,
                       [OP_ABORT] = 2,
                       [OP_PUT] = 25,
                       [OP_PUT_MANY] = 3,
                       [OP_DEL] = 10,
                       [OP_DEL_RANGE] = 2,
                       [OP_MAP_OPEN] = 2,
                       [OP_MAP_DROP] = 1,
                       [OP_GET] = 4,
                       [OP_SCAN] = 2,
                       [OP_BRANCH_CREATE] = 14,
                       [OP_BRANCH_DELETE] = 8,
                       [OP_BRANCH_RESET] = 6,
                       [OP_SNAPSHOT_CREATE] = 14,
                       [OP_SNAPSHOT_DELETE] = 14,
                       [OP_LISTS] = 6,
                       [OP_STAT] = 3,
                       [OP_RECLAIM] = 4,
                       [OP_SYNC] = 2,
                       [OP_CHECK] = 3,
                       [OP_VERIFY] = 3,
                       [OP_REOPEN] = 2,
                       [OP_COPY] = 3,
                       [OP_COMPACT] = 3},
    [MOVING] =
        {[OP_BEGIN_WRITE] = 10, [OP_WRITE] = 10,   [OP_BEGIN_READ] = 4,   [OP_REFRESH] = 3,
         [OP_COMMIT] = 4,       [OP_ABORT] = 1,    [OP_PUT] = 25,         [OP_PUT_MANY] = 5,
         [OP_APPEND_MANY] = 2,  [OP_DEL] = 25,     [OP_DEL_RANGE] = 4,    [OP_MAP_DROP] = 1,
         [OP_SAVEPOINT] = 6,    [OP_ROLLBACK] = 6, [OP_CURSOR_OPEN] = 10, [OP_CURSOR_MOVE] = 80,
         [OP_CURSOR_CLOSE] = 2, [OP_COUNT] = 5,    [OP_SCAN] = 2,         [OP_CHECK] = 1},
    [SMALL_COMMITS] = {[OP_BEGIN_WRITE] = 60,
                       [OP_WRITE] = 50,
                       [OP_COMMIT] = 60,
                       [OP_ABORT] = 1,
                       [OP_PUT] = 50,
                       [OP_PUT_MANY] = 4,
                       [OP_DEL] = 12,
                       [OP_DEL_RANGE] = 3,
                       [OP_MAP_DROP] = 1,
                       [OP_BEGIN_READ] = 3,
                       [OP_REFRESH] = 2,
                       [OP_BRANCH_CREATE] = 8,
                       [OP_BRANCH_DELETE] = 6,
                       [OP_BRANCH_RESET] = 5,
                       [OP_SNAPSHOT_CREATE] = 10,
                       [OP_SNAPSHOT_DELETE] = 8,
                       [OP_RECLAIM] = 3,
                       [OP_SYNC] = 4,
                       [OP_COPY] = 2,
                       [OP_COMPACT] = 3},
    [MERGES] = {[OP_BEGIN_WRITE] = 4,
                [OP_WRITE] = 4,
                [OP_BEGIN_READ] = 3,
                [OP_REFRESH] = 2,
                [OP_COMMIT] = 4,
                [OP_ABORT] = 1,
                [OP_PUT] = 6,
                [OP_PUT_MANY] = 2,
                [OP_DEL] = 2,
                [OP_DEL_RANGE] = 1,
                [OP_MAP_OPEN] = 1,
                [OP_MAP_DROP] = 1,
                [OP_SAVEPOINT] = 1,
                [OP_ROLLBACK] = 1,
                [OP_GET] = 1,
                [OP_SCAN] = 1,
                [OP_BRANCH_CREATE] = 10,
                [OP_BRANCH_DELETE] = 2,
                [OP_BRANCH_RESET] = 2,
                [OP_SNAPSHOT_CREATE] = 4,
                [OP_SNAPSHOT_DELETE] = 4,
                [OP_EDIT] = 50,
                [OP_MERGE] = 50,
                [OP_PICK] = 14,
                [OP_RESOLVE] = 12,
                [OP_TAG] = 4,
                [OP_PRUNE] = 4,
                [OP_DIFF] = 8,
                [OP_HISTORY] = 8,
                [OP_KEY_HISTORY] = 4,
                [OP_MAP_LIST] = 1,
                [OP_CURSOR_OPEN] = 1,
                [OP_CURSOR_MOVE] = 2,
                [OP_BASE] = 8,
                [OP_LISTS] = 1,
                [OP_RECLAIM] = 2,
                [OP_SYNC] = 2,
                [OP_CHECK] = 2,
                [OP_VERIFY] = 2,
                [OP_REOPEN] = 2,
                [OP_COPY] = 2,
                [OP_COMPACT] = 2},
    [CRISS_CROSS] = {[OP_EDIT] = 40,
                     [OP_MERGE] = 100,
                     [OP_BRANCH_CREATE] = 8,
                     [OP_BRANCH_DELETE] = 1,
                     [OP_BRANCH_RESET] = 3,
                     [OP_SNAPSHOT_CREATE] = 4,
                     [OP_SNAPSHOT_DELETE] = 3,
                     [OP_RESOLVE] = 12,
                     [OP_PICK] = 4,
                     [OP_PRUNE] = 1,
                     [OP_HISTORY] = 3,
                     [OP_BASE] = 6,
                     [OP_VERIFY] = 2,
                     [OP_REOPEN] = 1,
                     [OP_COPY] = 1,
                     [OP_COMPACT] = 1},
};

/* Keys of one size, in which leaves can be fixed or dense if the values have one size, too. */
static bool key_style_even(unsigned style)
{
    return style == KEYS_NUMBERS || style == KEYS_GAPS || style == KEYS_SHORT;
}

uint64_t config_usual_size(unsigned key_style, uint32_t page_size, uint64_t *random)
{
    const uint64_t sizes[] = {8, 8, 1, 40, 100, page_size};
    uint64_t size = sizes[model_random(random, 6)];
    return key_style_even(key_style) && model_random(random, 4) ? size : 0;
}

void config_choose(struct config *config, uint64_t seed)
{
    static const uint32_t page_sizes[] = {4096, 4096, 4096, 4096, 65536, 8192};
    static const unsigned keys[] = {30, 300, 3000};
    uint64_t r = model_mix(seed);
    *config = (struct config){
        .seed = seed,
        .backend = (enum backend)(seed % BACKENDS),
        .profile = (enum profile)(model_random(&r, SMALL_COMMITS)),
        .page_size = page_sizes[model_random(&r, 6)],
        .durability = (int)model_random(&r, 3),
        .key_style = (unsigned)model_random(&r, KEY_STYLES),
        .keys = keys[model_random(&r, 3)],
        .value_max = model_random(&r, 4) ? 100000 : 4 << 20,
        .many_max = config->profile == BIG_TREES ? 2000 : 200,
        .check_every = 25,
    };
    config->many_max = config->profile == BIG_TREES ? 2000 : 200;
    config->usual_size = config_usual_size(config->key_style, config->page_size, &r);
    config->spill_bytes = model_random(&r, 3) ? (size_t)64 << 20 : (size_t)128 << 10;
    config->part_pages = (uint32_t)model_random(&r, 4);
    if (config->durability == RAMET_FULL && config->backend == ON_FILE && model_random(&r, 2))
        config->durability = RAMET_NONE; /* real flushes are slow */
}

void config_merges(struct config *config)
{
    static const unsigned keys[] = {8, 30, 300};
    uint64_t r = model_mix(~config->seed);
    config->profile = model_random(&r, 3) ? MERGES : CRISS_CROSS;
    config->keys = config->profile == MERGES ? keys[model_random(&r, 3)] : 4;
    config->many_max = 20;
    config->value_max = model_random(&r, 4) ? 3000 : 100000;
}

void program_make(const struct config *config, struct op *ops, size_t count)
{
    uint64_t r = ~config->seed;
    const uint8_t *w = weights[config->profile];
    unsigned sum = 0;
    for (int k = 0; k < OP_KINDS; k++)
        sum += w[k];
    for (size_t i = 0; i < count; i++) {
        unsigned at = (unsigned)model_random(&r, sum);
        int kind = 0;
        while (at >= w[kind])
            at -= w[kind++];
        ops[i] =
            (struct op){(enum op_kind)kind, (uint32_t)model_random(&r, 1 << 30),
                        (uint32_t)model_random(&r, 1 << 30), (uint32_t)model_random(&r, 1 << 30),
                        (uint32_t)model_random(&r, 1 << 30)};
        bool one_writer = config->profile >= SMALL_COMMITS;
        if (one_writer && ops[i].kind < OP_GET && model_random(&r, 8))
            ops[i].a = 0; /* one writer most of the time, or few of its steps would mean anything */
    }
}

void op_print(size_t index, const struct op *op)
{
    (void)fprintf(stderr, "%5zu %-16s %u %u %u %u\n", index, op_names[op->kind], op->a, op->b,
                  op->c, op->d);
}

size_t program_choose(size_t count, const char *only, size_t *kept)
{
    size_t n = 0;
    for (size_t i = 0; i < count && !only; i++)
        kept[n++] = i;
    for (const char *s = only; s && *s; s += *s == ',') {
        char *end;
        size_t i = strtoul(s, &end, 10);
        if (end == s)
            break;
        if (i < count && n < count)
            kept[n++] = i;
        s = end;
    }
    return n;
}

void program_describe(const struct config *config, const struct op *ops, const size_t *kept,
                      size_t count, size_t steps)
{
    static const char *const backends[] = {"memory", "simulated disk", "file"};
    (void)fprintf(
        stderr,
        "on %s, profile %d, page size %u, durability %d, key style %u, %u keys, usual size %" PRIu64
        "\n"
        "again: --seed=%" PRIu64 " --programs=1 --steps=%zu --no-fork%s --only=",
        backends[config->backend], config->profile, config->page_size, config->durability,
        config->key_style, config->keys, config->usual_size, config->seed, steps,
        config->profile >= MERGES ? " --merges" : "");
    for (size_t i = 0; i < count; i++)
        (void)fprintf(stderr, "%s%zu", i ? "," : "", kept[i]);
    (void)fprintf(stderr, "\n");
    for (size_t i = 0; i < count; i++)
        op_print(kept[i], &ops[kept[i]]);
}

/* ---- keys and values ------------------------------------------------------------------------- */

struct key {
    uint8_t bytes[RAMET_KEY_MAX];
    size_t size;
};

static struct ramet_slice slice_of(const struct key *key)
{
    return rmt_slice(key->bytes, key->size);
}

static struct ramet_slice slice_of_entry(const struct model_entry *e)
{
    return rmt_slice(e->key->bytes, e->key->size);
}

static void key_make(unsigned style, uint64_t n, struct key *out)
{
    uint64_t mixed = model_mix(n);
    if (style == KEY_STYLES - 1)
        style = (unsigned)(mixed % (KEY_STYLES - 1));
    switch (style) {
    case KEYS_NUMBERS: /* in order */
        rmt_put_be64(out->bytes, n);
        out->size = 8;
        break;
    case 1: /* paths */
        out->size =
            (size_t)snprintf((char *)out->bytes, sizeof(out->bytes), "user/%08" PRIu64 "/name", n);
        break;
    case 2: /* random bytes, random length */
        out->size = 1 + mixed % 24;
        model_value(mixed, 0, out->bytes, out->size);
        break;
    case 3: /* long ones */
        out->size = 24 + mixed % (RAMET_KEY_MAX - 23);
        memset(out->bytes, 'x', out->size);
        rmt_put_be64(out->bytes + (mixed / 7) % (out->size - 8), n);
        break;
    case 4: /* each a prefix of the next */
        out->size = 1 + n % RAMET_KEY_MAX;
        memset(out->bytes, 'a', out->size);
        break;
    case 5: /* a long common prefix */
        out->size = 908;
        memset(out->bytes, 'p', 900);
        rmt_put_be64(out->bytes + 900, n);
        break;
    case KEYS_GAPS: /* numbers in order, most of them in a row */
        rmt_put_be64(out->bytes, n + n / 40 * 3);
        out->size = 8;
        break;
    case KEYS_SHORT: /* numbers out of order, of 4 bytes */
        memcpy(out->bytes, &mixed, 4);
        out->size = 4;
        break;
    default: /* numbers out of order, of 4 or 8 bytes */
        memcpy(out->bytes, &mixed, 8);
        out->size = 4 + n % 2 * 4;
    }
}

/* A key that is there, or any. */
static void key_choose(const struct run *run, const struct model_map *m, uint32_t x,
                       struct key *out)
{
    if (m && m->entries.count && x % 2) {
        const struct model_key *k = m->entries.items[x / 2 % m->entries.count].key;
        memcpy(out->bytes, k->bytes, k->size);
        out->size = k->size;
    } else {
        key_make(run->config.key_style, x / 2 % run->config.keys, out);
    }
}

static uint64_t size_choose(const struct run *run, uint32_t x)
{
    uint64_t r = x, page = run->config.page_size, size;
    uint64_t kind = model_random(&r, 100), more = model_random(&r, UINT64_C(1) << 40);
    if (run->config.usual_size && more % 200)
        return run->config.usual_size;
    if (kind < 8)
        size = 0;
    else if (kind < 60)
        size = 1 + more % 100;
    else if (kind < 78)
        size = 100 + more % 1500;
    else if (kind < 88) /* around a quarter page, and around whole pages */
        size = (more % 2 ? page / 4 : page * (1 + more % 3)) + more / 8 % 9 - 4;
    else if (kind < 96)
        size = 4000 + more % 20000;
    else if (kind < 99)
        size = more % 100000;
    else
        size = more % (4 << 20);
    return rmt_min(size, run->config.value_max);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

bool run_fail(struct run *run, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = snprintf(run->message, sizeof(run->message), "step %u: ", run->step);
    (void)vsnprintf(run->message + n, sizeof(run->message) - (size_t)n, fmt, args);
    va_end(args);
    run->outcome = RUN_FAILED;
    return false;
}

bool step_is_cut(struct run *run)
{
    if (!run->sim || !rmt_sim_is_cut(run->sim))
        return false;
    run->outcome = RUN_CUT;
    return true;
}

/* True, with that outcome: a fault was injected, and rc is how it came back. */
static bool is_hurt(struct run *run, int64_t rc)
{
    if (!run->fault_code || rc >= 0 || rmt_sim_faults_fired(run->sim) <= run->faults_met ||
        (rc != run->fault_code && rc != RAMET_EPOISONED))
        return false;
    run->faults_met = rmt_sim_faults_fired(run->sim);
    run->hurt_code = (int)rc;
    run->outcome = RUN_HURT;
    return true;
}

/* The call gave what it should; or the machine is out of power, or a fault was met. */
bool step_expect(struct run *run, int64_t rc, int64_t want, const char *call)
{
    if (rc == want)
        return true;
    if (step_is_cut(run) || is_hurt(run, rc))
        return false;
    return run_fail(run, "%s gave %" PRId64 " (%s), not %" PRId64, call, rc,
                    rc < 0 ? ramet_errmsg() : "", want);
}

/* ---- the models ------------------------------------------------------------------------------ */

struct model_store *step_predict(struct run *run)
{
    model_store_copy(&run->model, &run->next);
    return &run->next;
}

int step_expected(struct run *run, int want)
{
    (void)pthread_mutex_lock(&run->lock);
    run->has_next = true;
    (void)pthread_mutex_unlock(&run->lock);
    return want;
}

static void forget_history_locked(struct run *run)
{
    for (size_t i = 0; i < run->history.count; i++)
        model_store_fini(&run->history.items[i]);
    run->history.count = 0;
}

enum step_how step_how_of(int rc, int want)
{
    return rc == 0 && want == 0 ? STEP_DONE : rc == want ? STEP_REFUSED : STEP_BROKEN;
}

void step_settle(struct run *run, enum step_how how)
{
    (void)pthread_mutex_lock(&run->lock);
    if (run->has_failed && (how == STEP_DONE || how == STEP_BROKEN)) {
        model_store_fini(&run->failed);
        run->has_failed = false;
    }
    if (run->has_next && (how == STEP_DONE || how == STEP_SAME)) {
        if (run->config.durability == RAMET_FULL) {
            model_store_fini(&run->model);
        } else {
            rmt_assert(rmt_vec_push(&run->history, run->model));
        }
        run->model = run->next;
    } else if (run->has_next && how == STEP_BROKEN) {
        run->failed = run->next;
        run->has_failed = true;
    } else if (run->has_next) {
        model_store_fini(&run->next);
    }
    run->has_next = false;
    (void)pthread_mutex_unlock(&run->lock);
}

size_t run_candidates(struct run *run, struct model_store **out, size_t max, size_t *out_seen)
{
    size_t n = 0;
    if (run->has_next)
        out[n++] = &run->next;
    if (run->has_failed)
        out[n++] = &run->failed;
    out[n++] = &run->model;
    *out_seen = n;
    for (size_t i = run->history.count; i-- > 0 && n < max;)
        out[n++] = &run->history.items[i];
    return n;
}

void step_saw_id(struct run *run, uint64_t id)
{
    (void)pthread_mutex_lock(&run->lock);
    run->max_id = rmt_max(run->max_id, id);
    (void)pthread_mutex_unlock(&run->lock);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void close_cursors(struct slot *slot, const char *map)
{
    for (int i = 0; i < CURSORS; i++) {
        struct run_cursor *c = &slot->cursors[i];
        if (c->cursor && (!map || strcmp(c->map, map) == 0)) {
            ramet_cursor_close(c->cursor);
            c->cursor = NULL;
        }
    }
}

/* Forgets a transaction that has ended, or ends with its store. */
static void slot_clear(struct slot *slot)
{
    for (size_t i = 0; i < slot->savepoints.count; i++)
        model_version_unref(slot->savepoints.items[i]);
    rmt_vec_fini(&slot->savepoints);
    model_version_unref(slot->v);
    *slot = (struct slot){0};
}

static void slot_abort(struct slot *slot)
{
    if (slot->txn) {
        close_cursors(slot, NULL);
        ramet_abort(slot->txn);
    }
    slot_clear(slot);
}

struct slot *step_writer(struct run *run, uint32_t x)
{
    struct slot *slot = &run->slots[x % WRITERS];
    run->current = slot;
    return slot->txn ? slot : NULL;
}

static struct slot *any(struct run *run, uint32_t x)
{
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &run->slots[(x + i) % SLOTS];
        run->current = slot;
        if (slot->txn)
            return slot;
    }
    return NULL;
}

bool step_has_writer(const struct run *run, const char *branch)
{
    for (int i = 0; i < WRITERS; i++) {
        if (run->slots[i].txn && strcmp(run->slots[i].ref, branch) == 0)
            return true;
    }
    return false;
}

void step_ref(const struct run *run, uint32_t x, bool snapshot, char out[MODEL_NAME * 2])
{
    const struct model_store *m = &run->model;
    uint32_t kind = x % 8, n = x / 8;
    const struct model_keep *k = m->keeps.count ? &m->keeps.items[n % m->keeps.count] : NULL;
    if (kind == 7 || (snapshot && !k)) /* may not be there */
        (void)snprintf(out, MODEL_NAME * 2, "%s@%s", branch_names[n % BRANCHES],
                       snapshot_names[n / BRANCHES % SNAPSHOTS]);
    else if (k && *k->name && (kind >= 5 || snapshot) && kind != 0)
        (void)snprintf(out, MODEL_NAME * 2, "%s@%s", k->branch, k->name);
    else if (k && (kind >= 4 || snapshot))
        (void)snprintf(out, MODEL_NAME * 2, "@%" PRIu64, k->id);
    else
        (void)snprintf(out, MODEL_NAME * 2, "%s", branch_names[n % BRANCHES]);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static bool do_begin_write(struct run *run, const struct op *op)
{
    struct slot *slot = &run->slots[op->a % WRITERS];
    const char *ref = op->c % 2 ? "main" : branch_names[op->b % BRANCHES];
    const struct model_branch *b = model_store_branch(&run->model, ref);
    struct ramet_txn *txn = NULL;
    if (slot->txn)
        return true;
    int want = !b ? RAMET_ENOTFOUND : step_has_writer(run, ref) ? -EBUSY : 0;
    TRY(ramet_begin(run->store, ref, RAMET_WRITE | RAMET_NOWAIT, &txn), want);
    if (want < 0)
        return true;
    slot->txn = txn;
    slot->write = true;
    slot->v = model_version_copy(b->head);
    (void)snprintf(slot->ref, sizeof(slot->ref), "%s", ref);
    DEMAND(ramet_txn_id(txn) == b->id, "a writer of %s starts from %" PRIu64 ", not %" PRIu64, ref,
           ramet_txn_id(txn), b->id);
    return true;
}

static bool do_begin_read(struct run *run, const struct op *op)
{
    struct slot *slot = &run->slots[WRITERS + op->a % (SLOTS - WRITERS)];
    struct model_version *v = NULL;
    uint64_t id = 0;
    char ref[MODEL_NAME * 2];
    if (slot->txn)
        slot_abort(slot);
    step_ref(run, op->b, false, ref);
    int want = model_store_find(&run->model, ref, &v, &id);
    struct ramet_txn *txn = NULL;
    TRY(ramet_begin(run->store, ref, RAMET_READ, &txn), want);
    if (want < 0)
        return true;
    slot->txn = txn;
    slot->v = model_version_ref(v);
    (void)snprintf(slot->ref, sizeof(slot->ref), "%s", ref);
    DEMAND(ramet_txn_id(txn) == id, "a reader of %s sees %" PRIu64 ", not %" PRIu64, ref,
           ramet_txn_id(txn), id);
    return true;
}

static bool do_refresh(struct run *run, const struct op *op)
{
    struct slot *slot = &run->slots[WRITERS + op->a % (SLOTS - WRITERS)];
    run->current = slot;
    if (!slot->txn || strchr(slot->ref, '@'))
        return true;
    if (slot->orphan) { /* it may fail, or follow a branch of the same name */
        (void)ramet_refresh(slot->txn);
        slot_abort(slot);
        return true;
    }
    const struct model_branch *b = model_store_branch(&run->model, slot->ref);
    TRY(ramet_refresh(slot->txn), 0);
    model_version_unref(slot->v);
    slot->v = model_version_ref(b->head);
    close_cursors(slot, NULL);
    DEMAND(ramet_txn_id(slot->txn) == b->id, "a refreshed reader sees %" PRIu64 ", not %" PRIu64,
           ramet_txn_id(slot->txn), b->id);
    return true;
}

static bool do_commit(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    if (!slot)
        return true;
    const char *name = op->b % 5 ? NULL : op->c % 4 ? snapshot_names[op->d % SNAPSHOTS] : "";
    struct ramet_keep keep = {
        .size = sizeof(keep),
        .name = name && *name ? name : NULL,
        .author = op->c % 3 ? NULL : "somebody",
        .message = op->c % 7 ? NULL : "what and why",
    };
    struct model_branch *b = model_store_branch(&run->model, slot->ref);
    uint64_t old_id = b->id, id = 0;
    bool changed = model_version_digest(slot->v) != model_version_digest(b->head);
    struct ramet_txn *txn = slot->txn;
    int want = step_expected(run, model_commit(step_predict(run), slot->ref, slot->v, name));
    char branch[MODEL_NAME];
    (void)snprintf(branch, sizeof(branch), "%.31s", slot->ref);

    close_cursors(slot, NULL);
    slot_clear(slot);
    int rc = ramet_commit(txn, name ? &keep : NULL, &id);
    if (rc == 0 && want == 0) { /* now its id is known */
        (void)pthread_mutex_lock(&run->lock);
        model_learn(&run->next, model_store_branch(&run->next, branch), id);
        (void)pthread_mutex_unlock(&run->lock);
    }
    step_settle(run, rc == 0 && want == 0 && !changed && !name ? STEP_SAME : step_how_of(rc, want));
    TRY(rc, want);
    if (want < 0)
        return true;
    if (changed)
        DEMAND(id > run->max_id, "commit id %" PRIu64 " after %" PRIu64, id, run->max_id);
    else
        DEMAND(id >= old_id, "commit id %" PRIu64 " after %" PRIu64, id, old_id);
    step_saw_id(run, id);
    return true;
}

static bool do_abort(struct run *run, const struct op *op)
{
    slot_abort(&run->slots[op->a % SLOTS]);
    return true;
}

static bool do_put(struct run *run, const struct op *op);
static bool do_write(struct run *run, const struct op *op);
static bool do_del(struct run *run, const struct op *op);

/* A small transaction from its beginning to its end, on a branch that is there. */
static bool do_edit(struct run *run, const struct op *op)
{
    enum { SLOT = WRITERS - 1 };
    const char *branch = run->model.branches.items[op->a % run->model.branches.count].name;
    struct op begin = {.kind = OP_BEGIN_WRITE, .a = SLOT};
    uint64_t r = op->b;
    if (run->slots[SLOT].txn || step_has_writer(run, branch))
        return true;
    while (strcmp(branch_names[begin.b], branch) != 0)
        begin.b++;
    if (!do_begin_write(run, &begin))
        return false;
    for (uint32_t i = 0; i <= op->c % 4; i++) {
        struct op edit = {.a = SLOT, .b = (uint32_t)model_random(&r, 16) ? 0 : 1};
        edit.c = (uint32_t)model_random(&r, 1 << 30);
        edit.d = (uint32_t)model_random(&r, 1 << 30);
        uint64_t what = model_random(&r, 8);
        if (!(what < 5 ? do_put(run, &edit) : what < 6 ? do_write(run, &edit) : do_del(run, &edit)))
            return false;
    }
    struct op commit = *op;
    commit.a = SLOT;
    return do_commit(run, &commit);
}

static bool do_savepoint(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    uint32_t number = 0;
    if (!slot || slot->savepoints.count > 8)
        return true;
    TRY(ramet_savepoint(slot->txn, &number), 0);
    struct model_version *v = model_version_copy(slot->v);
    rmt_assert(rmt_vec_push(&slot->savepoints, v));
    DEMAND(number == slot->savepoints.count, "savepoint %u, not %zu", number,
           slot->savepoints.count);
    return true;
}

static bool do_rollback(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    if (!slot)
        return true;
    if (!slot->savepoints.count || op->c % 16 == 0) {
        int rc = ramet_rollback(slot->txn, (uint32_t)slot->savepoints.count + 1);
        DEMAND(rc < 0, "rolled back to a savepoint that is not there");
        return true;
    }
    size_t to = 1 + op->b % slot->savepoints.count;
    const struct model_version *was = slot->savepoints.items[to - 1];
    for (int i = 0; i < CURSORS; i++) {
        slot->cursors[i].placed = false;
        if (!model_version_map(was, slot->cursors[i].map))
            close_cursors(slot, slot->cursors[i].map);
    }
    TRY(ramet_rollback(slot->txn, (uint32_t)to), 0);
    model_version_unref(slot->v);
    slot->v = model_version_copy(was);
    while (slot->savepoints.count > to)
        model_version_unref(slot->savepoints.items[--slot->savepoints.count]);
    return true;
}

/* ---- writing maps ---------------------------------------------------------------------------- */

/* Opens a map of a writer, making it if need be. */
static bool edit_map(struct run *run, struct slot *slot, uint32_t x, struct ramet_map **out,
                     struct model_map **out_model)
{
    const char *name = map_names[x % MAPS];
    TRY(ramet_map_open(slot->txn, name, RAMET_CREATE, out), 0);
    *out_model = model_version_edit(slot->v, name);
    return true;
}

/* Opens a map of any transaction; *out NULL: it is not there. */
static bool find_map(struct run *run, struct slot *slot, uint32_t x, struct ramet_map **out,
                     const struct model_map **out_model)
{
    const char *name = map_names[x % MAPS];
    *out = NULL;
    *out_model = model_version_map(slot->v, name);
    TRY(ramet_map_open(slot->txn, name, 0, out), *out_model ? 0 : RAMET_ENOTFOUND);
    return true;
}

static bool put(struct run *run, struct ramet_map *map, struct model_map *m, const struct key *key,
                uint64_t seed, uint64_t size, unsigned flags)
{
    bool found;
    size_t at = model_map_seek(m, slice_of(key), &found);
    int want = (flags & RAMET_NOOVERWRITE) && found                         ? -EEXIST
               : (flags & RAMET_APPEND) && (found || at < m->entries.count) ? -EINVAL
                                                                            : 0;
    rmt_auto(free) void *value = malloc(size + 1);
    rmt_assert(value != NULL);
    model_value(seed, 0, value, size);
    int rc = ramet_put(map, slice_of(key), rmt_slice(value, size), flags);
    TRY(rc, want);
    if (rc == 0)
        model_map_put(m, slice_of(key), seed, size, rmt_hash(value, size, 0));
    return true;
}

static bool do_put(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    struct ramet_map *map;
    struct model_map *m;
    struct key key;
    if (!slot)
        return true;
    if (!edit_map(run, slot, op->b, &map, &m))
        return false;
    key_choose(run, m, op->c, &key);
    unsigned flags = op->d % 8 == 0 ? RAMET_NOOVERWRITE : op->d % 16 == 1 ? RAMET_APPEND : 0;
    uint64_t size;
    if (run->config.profile >= MERGES && op->d % 3) { /* for counters to count */
        uint64_t seed = model_number((int64_t)(op->d / 16 % 100) - 20, &size);
        return put(run, map, m, &key, seed, size, flags);
    }
    return put(run, map, m, &key, op->d, size_choose(run, op->d), flags);
}

/* Writes [from, size) of the value in up to four parts, perhaps the last one first. */
static bool write_parts(struct run *run, struct ramet_map *map, const struct key *key,
                        const uint8_t *value, uint64_t from, uint64_t size, uint32_t x)
{
    uint64_t parts = 1 + x % 4, len = (size - from + parts - 1) / parts;
    bool backwards = x / 4 % 4 == 0;
    for (uint64_t i = 0; i < parts; i++) {
        uint64_t at = from + (backwards ? parts - 1 - i : i) * len;
        if (at < size)
            TRY(ramet_write(map, slice_of(key), at, value + at, rmt_min(len, size - at)), 0);
    }
    return true;
}

/* A key whose value is written to: often that of the largest value. */
static void key_choose_large(const struct run *run, const struct model_map *m, uint32_t x,
                             struct key *out)
{
    size_t at = 0;
    if (!m->entries.count || x % 8 == 0) {
        key_choose(run, m, x / 8, out);
        return;
    }
    for (size_t i = 0; x % 8 < 5 && i < m->entries.count; i++)
        at = m->entries.items[i].size > m->entries.items[at].size ? i : at;
    const struct model_key *k = m->entries.items[x % 8 < 5 ? at : x / 8 % m->entries.count].key;
    memcpy(out->bytes, k->bytes, k->size);
    out->size = k->size;
}

enum write_kind { WRITE_ANEW, WRITE_LONGER, WRITE_PART_AS_IT_IS };

/* One write to a key that is there. */
static bool write_key(struct run *run, struct ramet_map *map, struct model_map *m,
                      const struct key *key, uint32_t x)
{
    static const enum write_kind kinds[] = {WRITE_ANEW, WRITE_LONGER, WRITE_LONGER,
                                            WRITE_PART_AS_IT_IS, WRITE_PART_AS_IT_IS};
    const struct model_entry *entry = model_map_get(m, slice_of(key));
    enum write_kind kind = kinds[x % 5];
    if (kind == WRITE_LONGER && run->config.profile >= MERGES)
        kind = WRITE_ANEW; /* a number is none when it is longer */
    uint64_t page = run->config.page_size, had = entry->size, from = 0, size, end;
    uint64_t seed = kind == WRITE_ANEW ? x : entry->seed;
    size = x / 8 % 4 ? x / 32 % 12 * page + x % 100 : size_choose(run, x);
    size = kind == WRITE_ANEW ? rmt_max(size, had) : kind == WRITE_LONGER ? had + size : had;
    if (size > 2 * run->config.value_max)
        return true;
    end = size;
    if (kind == WRITE_LONGER)
        from = had;
    if (kind == WRITE_PART_AS_IT_IS && size) {
        from = model_mix(x) % size;
        end = rmt_min(size, from + 1 + x % (2 * page));
    }
    rmt_auto(free) uint8_t *value = malloc(size + 1);
    rmt_assert(value != NULL);
    model_value(seed, 0, value, size);
    if (!write_parts(run, map, key, value, from, end, x))
        return false;
    model_map_put(m, slice_of(key), seed, size, rmt_hash(value, size, 0));
    return true;
}

static bool do_write(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    struct ramet_map *map;
    struct model_map *m;
    struct key key;
    if (!slot)
        return true;
    if (!edit_map(run, slot, op->b, &map, &m))
        return false;
    key_choose_large(run, m, op->c, &key);
    if (!model_map_get(m, slice_of(&key))) {
        TRY(ramet_write(map, slice_of(&key), op->d, "x", 1), RAMET_ENOTFOUND);
        return true;
    }
    for (uint32_t i = 0; i <= op->d % 4; i++) {
        if (!write_key(run, map, m, &key, (uint32_t)model_mix(op->d + i)))
            return false;
    }
    return true;
}

static bool do_put_many(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    struct ramet_map *map;
    struct model_map *m;
    if (!slot)
        return true;
    if (!edit_map(run, slot, op->b, &map, &m))
        return false;
    uint64_t count = 1 + op->d % run->config.many_max;
    for (uint64_t i = 0; i < count; i++) {
        struct key key;
        uint64_t n = op->c % 3 ? op->c + i : model_mix(op->c + i);
        key_make(run->config.key_style, n % (run->config.keys * 4), &key);
        uint64_t size = rmt_min(size_choose(run, op->d + (uint32_t)i), 300);
        if (!put(run, map, m, &key, op->d + i, size, 0))
            return false;
    }
    return true;
}

/* Keys above all others: two bytes ff and a number. */
static bool do_append_many(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    struct ramet_map *map;
    struct model_map *m;
    if (!slot)
        return true;
    if (!edit_map(run, slot, op->b, &map, &m))
        return false;
    uint64_t n = 0;
    if (m->entries.count) {
        const struct model_key *last = m->entries.items[m->entries.count - 1].key;
        if (last->size >= 2 && last->bytes[0] == 0xff && last->bytes[1] == 0xff) {
            if (last->size != 10)
                return true; /* a random key stands there */
            n = rmt_get_be64(last->bytes + 2) + 1;
        }
    }
    uint64_t count = 1 + op->d % run->config.many_max;
    for (uint64_t i = 0; i < count; i++) {
        struct key key = {.bytes = {0xff, 0xff}, .size = 10};
        rmt_put_be64(key.bytes + 2, n + i);
        if (!put(run, map, m, &key, op->d + i, op->c % 200, RAMET_APPEND))
            return false;
    }
    return true;
}

static bool do_put_wrong(struct run *run, const struct op *op)
{
    static const uint8_t long_key[RAMET_KEY_MAX + 1];
    struct slot *slot = any(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    struct ramet_slice value = rmt_slice("v", 1), key = rmt_slice("k", 1);
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    if (!map)
        return true;
    if (!slot->write) {
        TRY(ramet_put(map, key, value, 0), RAMET_ETXN);
        TRY(ramet_del(map, key), RAMET_ETXN);
        return true;
    }
    TRY(ramet_put(map, rmt_slice("", 0), value, 0), -EINVAL);
    TRY(ramet_put(map, rmt_slice(long_key, sizeof(long_key)), value, 0), -EINVAL);
    TRY(ramet_put(map, key, value, 1u << 20), -EINVAL);
    return true;
}

static bool do_del(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    struct key key;
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    if (!map)
        return true;
    key_choose(run, m, op->c, &key);
    bool found;
    size_t at = model_map_seek(m, slice_of(&key), &found);
    TRY(ramet_del(map, slice_of(&key)), found ? 0 : RAMET_ENOTFOUND);
    if (found)
        model_map_del(model_version_edit(slot->v, m->name), at, 1);
    return true;
}

/* The entries of a range: first, and one past the last. */
static void range_choose(const struct run *run, const struct model_map *m, const struct op *op,
                         struct key *from, struct key *to, size_t *out_first, size_t *out_end)
{
    bool found;
    key_choose(run, m, op->c, from);
    key_choose(run, m, op->d, to);
    if (op->c % 3 && op->d % 3 && m->entries.count) { /* a short one */
        size_t end = rmt_min(op->c / 2 % m->entries.count + op->d % 20, m->entries.count - 1);
        const struct model_key *k = m->entries.items[end].key;
        memcpy(to->bytes, k->bytes, k->size);
        to->size = k->size;
    }
    if (op->c % 11 == 0)
        from->size = 0;
    if (op->d % 11 == 0)
        to->size = 0;
    *out_first = from->size ? model_map_seek(m, slice_of(from), &found) : 0;
    *out_end = to->size ? model_map_seek(m, slice_of(to), &found) : m->entries.count;
    *out_end = rmt_max(*out_first, *out_end);
}

static bool do_del_range(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    struct key from, to;
    size_t first, end;
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    if (!map)
        return true;
    range_choose(run, m, op, &from, &to, &first, &end);
    uint64_t count = UINT64_MAX;
    TRY(ramet_del_range(map, slice_of(&from), slice_of(&to), &count), 0);
    DEMAND(count == end - first, "a range of %zu keys was deleted as %" PRIu64, end - first, count);
    model_map_del(model_version_edit(slot->v, m->name), first, end - first);
    return true;
}

static bool do_map_open(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    struct ramet_map *map, *again;
    struct model_map *m;
    if (!slot)
        return true;
    if (!edit_map(run, slot, op->b, &map, &m))
        return false;
    TRY(ramet_map_open(slot->txn, m->name, 0, &again), 0);
    DEMAND(map == again, "the same map has two handles");
    return true;
}

static bool do_map_drop(struct run *run, const struct op *op)
{
    struct slot *slot = step_writer(run, op->a);
    const char *name = map_names[op->b % MAPS];
    if (!slot)
        return true;
    close_cursors(slot, name);
    bool there = model_version_map(slot->v, name);
    TRY(ramet_map_drop(slot->txn, name), there ? 0 : RAMET_ENOTFOUND);
    model_version_drop(slot->v, name);
    return true;
}

/* ---- reading maps ---------------------------------------------------------------------------- */

static bool do_get(struct run *run, const struct op *op)
{
    struct slot *slot = any(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    struct key key;
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    if (!map)
        return true;
    key_choose(run, m, op->c, &key);
    const struct model_entry *e = model_map_get(m, slice_of(&key));
    struct ramet_slice value;
    TRY(ramet_get(map, slice_of(&key), &value), e ? 0 : RAMET_ENOTFOUND);
    DEMAND(!e || model_value_is(e, value.data, value.size), "get: %zu wrong bytes", value.size);
    return true;
}

static bool do_get_many(struct run *run, const struct op *op)
{
    enum { MANY = 40 };
    struct slot *slot = any(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    struct key keys[MANY];
    struct ramet_slice slices[MANY], values[MANY];
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    if (!map)
        return true;
    size_t count = op->d % (MANY + 1);
    for (size_t i = 0; i < count; i++) {
        key_choose(run, m, op->c + (uint32_t)(i * 7919), &keys[i]);
        slices[i] = slice_of(&keys[i]);
    }
    TRY(ramet_get_many(map, count, slices, values), 0);
    for (size_t i = 0; i < count; i++) {
        const struct model_entry *e = model_map_get(m, slices[i]);
        DEMAND(e ? values[i].data && model_value_is(e, values[i].data, values[i].size)
                 : !values[i].data,
               "get_many: value %zu of %zu is wrong", i, count);
    }
    return true;
}

static bool do_read(struct run *run, const struct op *op)
{
    struct slot *slot = any(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    struct key key;
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    if (!map)
        return true;
    key_choose(run, m, op->c, &key);
    const struct model_entry *e = model_map_get(m, slice_of(&key));
    uint64_t size = e ? e->size : 0, whole = UINT64_MAX;
    uint64_t off = op->d % (size + size / 8 + 2), len = op->d / 7 % 20000;
    rmt_auto(free) void *found = malloc(len + 1);
    rmt_auto(free) void *right = malloc(len + 1);
    rmt_assert(found && right);
    int64_t want = !e ? RAMET_ENOTFOUND : off >= size ? 0 : (int64_t)rmt_min(len, size - off);
    TRY(ramet_read(map, slice_of(&key), off, found, len, &whole), want);
    if (!e)
        return true;
    model_value(e->seed, off, right, (size_t)want);
    DEMAND(whole == size, "read: a value of %" PRIu64 " bytes has %" PRIu64, size, whole);
    DEMAND(memcmp(found, right, (size_t)want) == 0, "read: wrong bytes at %" PRIu64, off);
    return true;
}

static bool do_count(struct run *run, const struct op *op)
{
    struct slot *slot = any(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    struct key from, to;
    size_t first, end;
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    if (!map)
        return true;
    uint64_t count = UINT64_MAX;
    range_choose(run, m, op, &from, &to, &first, &end);
    TRY(ramet_count_range(map, slice_of(&from), slice_of(&to), &count), 0);
    DEMAND(count == end - first, "a range of %zu keys was counted as %" PRIu64, end - first, count);
    TRY(ramet_map_count(map, &count), 0);
    DEMAND(count == m->entries.count, "a map of %zu keys was counted as %" PRIu64, m->entries.count,
           count);
    return true;
}

static bool same_entry(struct run *run, struct ramet_cursor *c, const struct model_entry *e)
{
    struct ramet_slice key, value;
    TRY(ramet_cursor_get(c, &key, &value), 0);
    DEMAND(rmt_slice_cmp(key, slice_of_entry(e)) == 0, "a cursor is at another key");
    DEMAND(model_value_is(e, value.data, value.size), "a cursor has %zu wrong bytes", value.size);
    return true;
}

static bool scan(struct run *run, struct ramet_map *map, const struct model_map *m, bool back)
{
    struct ramet_cursor *c = NULL;
    TRY(ramet_cursor_open(map, &c), 0);
    bool same = true;
    size_t n = m->entries.count;
    for (size_t i = 0; i < n && same; i++) {
        same = step_expect(run, back ? ramet_cursor_prev(c) : ramet_cursor_next(c), 0,
                           "moving a cursor") &&
               same_entry(run, c, &m->entries.items[back ? n - 1 - i : i]);
    }
    if (same)
        same = step_expect(run, back ? ramet_cursor_prev(c) : ramet_cursor_next(c), RAMET_ENOTFOUND,
                           "moving a cursor past the end");
    ramet_cursor_close(c);
    return same;
}

static bool do_scan(struct run *run, const struct op *op)
{
    struct slot *slot = any(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    return !map || scan(run, map, m, op->c % 2);
}

struct map_list {
    const struct model_version *v;
    size_t at;
    bool wrong;
};

static int list_map(void *ctx, const struct ramet_map_info *info)
{
    struct map_list *list = ctx;
    const struct model_map *m =
        list->at < list->v->maps.count ? list->v->maps.items[list->at] : NULL;
    if (!m || strcmp(m->name, info->name) != 0 || m->entries.count != info->entries)
        list->wrong = true;
    list->at++;
    return 0;
}

static bool do_map_list(struct run *run, const struct op *op)
{
    struct slot *slot = any(run, op->a);
    if (!slot)
        return true;
    struct map_list list = {.v = slot->v};
    TRY(ramet_map_list(slot->txn, list_map, &list), 0);
    DEMAND(!list.wrong && list.at == slot->v->maps.count, "the list of maps is wrong");
    return true;
}

/* ---- cursors --------------------------------------------------------------------------------- */

static bool do_cursor_open(struct run *run, const struct op *op)
{
    struct slot *slot = any(run, op->a);
    struct ramet_map *map;
    const struct model_map *m;
    if (!slot)
        return true;
    if (!find_map(run, slot, op->b, &map, &m))
        return false;
    if (!map)
        return true;
    struct run_cursor *c = &slot->cursors[op->c % CURSORS];
    if (c->cursor)
        ramet_cursor_close(c->cursor);
    *c = (struct run_cursor){0};
    TRY(ramet_cursor_open(map, &c->cursor), 0);
    (void)snprintf(c->map, sizeof(c->map), "%s", m->name);
    TRY(ramet_cursor_get(c->cursor, NULL, NULL), RAMET_ENOTFOUND);
    return true;
}

static bool do_cursor_move(struct run *run, const struct op *op)
{
    struct slot *slot = any(run, op->a);
    if (!slot)
        return true;
    struct run_cursor *c = &slot->cursors[op->b % CURSORS];
    if (!c->cursor)
        return true;
    const struct model_map *m = model_version_map(slot->v, c->map);
    rmt_assert(m != NULL);
    size_t n = m->entries.count, to;
    bool found = false;
    struct key key;
    struct ramet_slice here = rmt_slice(c->key, c->size);
    int rc;
    switch (op->c % 10) {
    case 0:
        to = 0;
        rc = ramet_cursor_first(c->cursor);
        break;
    case 1:
        to = n ? n - 1 : n;
        rc = ramet_cursor_last(c->cursor);
        break;
    case 2:
    case 3:
        key_choose(run, m, op->d, &key);
        to = model_map_seek(m, slice_of(&key), &found);
        rc = ramet_cursor_seek(c->cursor, slice_of(&key));
        break;
    case 4:
    case 5:
    case 6:
        to = c->placed ? model_map_seek(m, here, &found) + found : 0;
        rc = ramet_cursor_next(c->cursor);
        break;
    default:
        to = c->placed ? model_map_seek(m, here, &found) : n;
        to = to ? to - 1 : n;
        rc = ramet_cursor_prev(c->cursor);
    }
    TRY(rc, to < n ? 0 : RAMET_ENOTFOUND);
    c->placed = to < n;
    if (!c->placed) {
        TRY(ramet_cursor_get(c->cursor, NULL, NULL), RAMET_ENOTFOUND);
        return true;
    }
    const struct model_key *k = m->entries.items[to].key;
    memcpy(c->key, k->bytes, k->size);
    c->size = k->size;
    return same_entry(run, c->cursor, &m->entries.items[to]);
}

/* Before every step: a cursor stays where it is, whatever was written. */
static bool cursors_stay(struct run *run, struct slot *slot)
{
    for (int i = 0; i < CURSORS; i++) {
        struct run_cursor *c = &slot->cursors[i];
        if (!c->cursor || !c->placed)
            continue;
        const struct model_map *m = model_version_map(slot->v, c->map);
        const struct model_entry *e = m ? model_map_get(m, rmt_slice(c->key, c->size)) : NULL;
        if (e && !same_entry(run, c->cursor, e))
            return false;
        if (!e)
            TRY(ramet_cursor_get(c->cursor, NULL, NULL), RAMET_ENOTFOUND);
    }
    return true;
}

static bool do_cursor_close(struct run *run, const struct op *op)
{
    struct slot *slot = any(run, op->a);
    if (slot)
        close_cursors(slot, NULL);
    return true;
}

/* ---- versions -------------------------------------------------------------------------------- */

static bool do_branch_create(struct run *run, const struct op *op)
{
    char ref[MODEL_NAME * 2];
    const char *name = branch_names[op->a % BRANCHES];
    step_ref(run, op->b, false, ref);
    if (model_store_branch(&run->model, name)) { /* which of two faults is told does not matter */
        int rc = ramet_branch_create(run->store, name, ref);
        return step_expect(run, rc, rc == -EEXIST ? -EEXIST : RAMET_ENOTFOUND,
                           "making a branch twice");
    }
    int want = step_expected(run, model_branch_create(step_predict(run), name, ref));
    int rc = ramet_branch_create(run->store, name, ref);
    step_settle(run, step_how_of(rc, want));
    TRY(rc, want);
    return true;
}

static bool do_branch_delete(struct run *run, const struct op *op)
{
    const char *name = branch_names[op->a % BRANCHES];
    if (run->model.branches.count == 1)
        return true; /* a store without any is of no use to the rest of the program */
    int want = step_has_writer(run, name)
                   ? -EBUSY
                   : step_expected(run, model_branch_delete(step_predict(run), name));
    int rc = ramet_branch_delete(run->store, name);
    step_settle(run, step_how_of(rc, want));
    TRY(rc, want);
    for (int i = WRITERS; i < SLOTS && want == 0; i++) {
        if (run->slots[i].txn && strcmp(run->slots[i].ref, name) == 0)
            run->slots[i].orphan = true;
    }
    return true;
}

static bool do_branch_reset(struct run *run, const struct op *op)
{
    char ref[MODEL_NAME * 2];
    const char *name = branch_names[op->a % BRANCHES];
    step_ref(run, op->b, true, ref);
    if (step_has_writer(run, name)) {
        int rc = ramet_branch_reset(run->store, name, ref);
        return step_expect(run, rc, rc == -EBUSY ? -EBUSY : RAMET_ENOTFOUND,
                           "resetting a branch with a writer");
    }
    int want = step_expected(run, model_branch_reset(step_predict(run), name, ref));
    int rc = ramet_branch_reset(run->store, name, ref);
    step_settle(run, step_how_of(rc, want));
    TRY(rc, want);
    return true;
}

static bool do_snapshot_create(struct run *run, const struct op *op)
{
    const char *branch = branch_names[op->a % BRANCHES];
    const char *name = op->b % 4 ? snapshot_names[op->c % SNAPSHOTS] : "";
    struct ramet_keep keep = {
        .size = sizeof(keep),
        .name = *name ? name : NULL,
        .message = op->d % 4 ? NULL : "a message",
    };
    const struct model_branch *b = model_store_branch(&run->model, branch);
    uint64_t id = 0, want_id = b ? b->id : 0;
    int want = step_expected(run, model_snapshot_create(step_predict(run), branch, name));
    int rc = ramet_snapshot_create(run->store, branch, &keep, &id);
    step_settle(run, step_how_of(rc, want));
    TRY(rc, want);
    DEMAND(rc < 0 || id == want_id, "a snapshot of %" PRIu64 " has id %" PRIu64, want_id, id);
    return true;
}

static bool do_snapshot_delete(struct run *run, const struct op *op)
{
    char ref[MODEL_NAME * 2];
    step_ref(run, op->a, true, ref);
    int want = step_expected(run, model_snapshot_delete(step_predict(run), ref));
    int rc = ramet_snapshot_delete(run->store, ref);
    step_settle(run, step_how_of(rc, want));
    TRY(rc, want);
    return true;
}

/* ---- the whole store ------------------------------------------------------------------------- */

struct seen_version {
    char branch[MODEL_NAME];
    char name[MODEL_NAME];
    uint64_t id, digest;
};

struct seen {
    struct ramet_store *store;
    bool contents; /* digests are wanted */
    bool refused;  /* a version could not be read; rc says why */
    int rc;
    RMT_VEC(struct seen_version) branches;
    RMT_VEC(struct seen_version) keeps;
    struct seen_pins pins;
};

static void seen_fini(struct seen *seen)
{
    rmt_vec_fini(&seen->branches);
    rmt_vec_fini(&seen->keeps);
    rmt_vec_fini(&seen->pins.pins);
}

struct digester {
    struct ramet_txn *txn;
    uint64_t digest;
};

static int digest_map(void *ctx, const struct ramet_map_info *info)
{
    struct digester *d = ctx;
    struct ramet_map *map;
    struct ramet_cursor *c;
    d->digest = model_digest_map(d->digest, info->name);
    int rc = ramet_map_open(d->txn, info->name, 0, &map);
    if (rc < 0)
        return rc;
    rc = ramet_cursor_open(map, &c);
    if (rc < 0)
        return rc;
    uint64_t count = 0;
    while ((rc = ramet_cursor_next(c)) == 0) {
        struct ramet_slice key, value;
        rc = ramet_cursor_get(c, &key, &value);
        if (rc < 0)
            break;
        d->digest =
            model_digest_entry(d->digest, key, value.size, rmt_hash(value.data, value.size, 0));
        count++;
    }
    ramet_cursor_close(c);
    if (rc == RAMET_ENOTFOUND && count != info->entries)
        return rmt_fail(-EILSEQ, "map '%s' has %" PRIu64 " entries and says %" PRIu64, info->name,
                        count, info->entries);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

static int digest_conflict(void *ctx, const struct ramet_conflict *both)
{
    uint64_t *digest = ctx;
    *digest = model_digest_conflict(*digest, both);
    return 0;
}

static int digest_ref(struct ramet_store *store, const char *ref, uint64_t id, uint64_t *out)
{
    struct digester d = {.digest = MODEL_DIGEST_EMPTY};
    int rc = ramet_begin(store, ref, RAMET_READ, &d.txn);
    if (rc < 0)
        return rc;
    if (ramet_txn_id(d.txn) != id)
        rc = rmt_fail(-EILSEQ, "%s is listed as %" PRIu64 " and read as %" PRIu64, ref, id,
                      ramet_txn_id(d.txn));
    if (rc == 0)
        rc = ramet_map_list(d.txn, digest_map, &d);
    if (rc == 0)
        rc = ramet_conflict_list(d.txn, digest_conflict, &d.digest);
    ramet_abort(d.txn);
    *out = d.digest;
    return rc;
}

static int see_branch(void *ctx, const struct ramet_branch_info *info)
{
    struct seen *seen = ctx;
    struct seen_version v = {.id = info->head};
    (void)snprintf(v.branch, sizeof(v.branch), "%s", info->name);
    rmt_assert(rmt_vec_push(&seen->branches, v));
    return 0;
}

static int see_snapshot(void *ctx, const struct ramet_snapshot_info *info)
{
    struct seen *seen = ctx;
    struct seen_version v = {.id = info->id};
    (void)snprintf(v.branch, sizeof(v.branch), "%s", info->branch);
    (void)snprintf(v.name, sizeof(v.name), "%s", info->name ? info->name : "");
    rmt_assert(rmt_vec_push(&seen->keeps, v));
    return 0;
}

static int see(struct ramet_store *store, bool contents, struct seen *out)
{
    *out = (struct seen){.store = store, .contents = contents};
    int rc = ramet_branch_list(store, see_branch, out);
    if (rc == 0)
        rc = ramet_snapshot_list(store, NULL, see_snapshot, out);
    if (rc == 0)
        rc = step_see_pins(store, &out->pins);
    for (size_t i = 0; rc == 0 && contents && i < out->branches.count; i++) {
        struct seen_version *v = &out->branches.items[i];
        rc = digest_ref(store, v->branch, v->id, &v->digest);
    }
    for (size_t i = 0; rc == 0 && contents && i < out->keeps.count; i++) {
        struct seen_version *v = &out->keeps.items[i];
        char ref[MODEL_NAME];
        (void)snprintf(ref, sizeof(ref), "@%" PRIu64, v->id);
        rc = digest_ref(store, ref, v->id, &v->digest);
    }
    return rc;
}

/* Index of the one that was seen, or count; taken ones are marked by an empty branch. */
static size_t find_seen(const struct seen_version *seen, size_t count, const char *branch,
                        const char *name, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(seen[i].branch, branch) == 0 && strcmp(seen[i].name, name) == 0 &&
            (!id || seen[i].id == id))
            return i;
    }
    return count;
}

static bool compare(const struct seen *seen, struct model_store *model, bool fill,
                    enum step_pins pins, char *why, size_t size)
{
    if (seen->branches.count != model->branches.count || seen->keeps.count != model->keeps.count) {
        (void)snprintf(why, size, "%zu branches and %zu snapshots instead of %zu and %zu",
                       seen->branches.count, seen->keeps.count, model->branches.count,
                       model->keeps.count);
        return false;
    }
    for (size_t i = 0; i < model->branches.count; i++) {
        struct model_branch *b = &model->branches.items[i];
        size_t at = find_seen(seen->branches.items, seen->branches.count, b->name, "", 0);
        const struct seen_version *v = &seen->branches.items[at];
        if (at == seen->branches.count) {
            (void)snprintf(why, size, "branch %s is missing", b->name);
            return false;
        }
        if (b->id && v->id != b->id) {
            (void)snprintf(why, size, "branch %s is at %" PRIu64 ", not %" PRIu64, b->name, v->id,
                           b->id);
            return false;
        }
        if (seen->contents && v->digest != model_version_digest(b->head)) {
            (void)snprintf(why, size, "branch %s has the right id %" PRIu64 " and wrong contents",
                           b->name, v->id);
            return false;
        }
        if (fill)
            model_learn(model, b, v->id);
    }
    rmt_auto(free) void *mem = malloc(seen->keeps.count * sizeof(struct seen_version) + 1);
    struct seen_version *left = mem;
    rmt_assert(left != NULL);
    if (seen->keeps.count)
        memcpy(left, seen->keeps.items, seen->keeps.count * sizeof(*left));
    for (int known = 1; known >= 0; known--) {
        for (size_t i = 0; i < model->keeps.count; i++) {
            struct model_keep *k = &model->keeps.items[i];
            if ((k->id != 0) != known)
                continue;
            size_t at = find_seen(left, seen->keeps.count, k->branch, k->name, k->id);
            if (at == seen->keeps.count) {
                (void)snprintf(why, size, "snapshot %s@%s (%" PRIu64 ") is missing", k->branch,
                               k->name, k->id);
                return false;
            }
            if (seen->contents && left[at].digest != model_version_digest(k->version)) {
                (void)snprintf(why, size, "snapshot %s@%s (%" PRIu64 ") has wrong contents",
                               k->branch, k->name, left[at].id);
                return false;
            }
            if (fill)
                k->id = left[at].id;
            left[at].branch[0] = '\0';
        }
    }
    return step_compare_pins(&seen->pins, model, pins, why, size);
}

int run_matches_any(struct ramet_store *store, struct model_store *const *models, size_t count,
                    size_t *out_index, char *why, size_t size)
{
    struct seen seen;
    int rc = see(store, true, &seen);
    size_t i = 0;
    while (rc == 0 && i < count && !compare(&seen, models[i], false, STEP_PINS_BASES, why, size))
        i++;
    if (rc == 0)
        *out_index = i;
    seen_fini(&seen);
    return rc;
}

/* What a store shows, beside the model of now. 1: the same. */
static int matches(struct run *run, struct ramet_store *store, bool contents, bool fill, char *why,
                   size_t size)
{
    struct seen seen;
    int rc = see(store, contents, &seen);
    (void)pthread_mutex_lock(&run->lock);
    if (rc == 0)
        rc = compare(&seen, &run->model, fill, fill && run->adopt ? STEP_PINS_ADOPT : STEP_PINS_ALL,
                     why, size)
                 ? 1
                 : 0;
    if (fill && rc > 0)
        run->adopt = false;
    (void)pthread_mutex_unlock(&run->lock);
    seen_fini(&seen);
    return rc;
}

bool run_verify(struct run *run)
{
    char why[300] = "";
    int rc = matches(run, run->store, true, true, why, sizeof(why));
    if (rc < 0)
        return step_expect(run, rc, 1, "reading every version");
    DEMAND(rc == 1, "%s", why);
    for (size_t i = 0; i < run->model.branches.count; i++)
        step_saw_id(run, run->model.branches.items[i].id);
    return true;
}

static bool do_lists(struct run *run)
{
    char why[300] = "";
    int rc = matches(run, run->store, false, true, why, sizeof(why));
    if (rc < 0)
        return step_expect(run, rc, 1, "lists");
    DEMAND(rc == 1, "lists: %s", why);
    return true;
}

static bool do_stat(struct run *run)
{
    struct ramet_stat st = {.size = sizeof(st)};
    TRY(ramet_stat(run->store, &st), 0);
    uint64_t sum = st.meta_bytes + st.data_bytes + st.unswept_bytes + st.book_bytes +
                   st.limbo_bytes + st.free_bytes + st.hole_bytes,
             readers = 0;
    DEMAND(sum == st.file_bytes, "stat: parts of %" PRIu64 " bytes in a file of %" PRIu64, sum,
           st.file_bytes);
    for (int i = WRITERS; i < SLOTS; i++)
        readers += run->slots[i].txn != NULL;
    DEMAND(st.branches == run->model.branches.count && st.snapshots == run->model.keeps.count,
           "stat: %" PRIu64 " branches and %" PRIu64 " snapshots instead of %zu and %zu",
           st.branches, st.snapshots, run->model.branches.count, run->model.keeps.count);
    DEMAND(st.readers >= readers, "stat: %" PRIu64 " readers, not %" PRIu64, st.readers, readers);
    DEMAND(st.durable_id <= st.last_id && st.page_size == run->config.page_size && !st.poisoned,
           "stat: ids %" PRIu64 " and %" PRIu64 ", page size %u, poisoned %d", st.durable_id,
           st.last_id, st.page_size, st.poisoned);
    step_saw_id(run, st.last_id);
    return true;
}

struct problems {
    unsigned count;
    char first[300];
};

static void report(void *ctx, const char *problem)
{
    struct problems *p = ctx;
    if (p->count++ == 0)
        (void)snprintf(p->first, sizeof(p->first), "%s", problem);
}

bool run_check(struct run *run)
{
    struct problems p = {0};
    int rc = ramet_check(run->store, 0, report, NULL, &p);
    if (rc == 0 && !p.count)
        return true;
    /* An error of the device is a problem that it reports. */
    if (step_is_cut(run) || (p.count && is_hurt(run, run->fault_code)))
        return false;
    if (rc == 0 || rc == RAMET_ECORRUPT)
        return run_fail(run, "check: %d, %u problems: %s", rc, p.count, p.first);
    return step_expect(run, rc, 0, "ramet_check()");
}

static bool do_reclaim(struct run *run, const struct op *op)
{
    uint64_t left = UINT64_MAX, max = op->a % 3 == 0 ? 0 : op->b % 50;
    TRY(ramet_reclaim(run->store, max, &left), 0);
    DEMAND(max || left == 0, "%" PRIu64 " pages are left after reclaiming all", left);
    return true;
}

static bool do_sync(struct run *run)
{
    TRY(ramet_sync(run->store), 0);
    (void)pthread_mutex_lock(&run->lock);
    forget_history_locked(run);
    (void)pthread_mutex_unlock(&run->lock);
    return true;
}

static bool do_reopen(struct run *run, const struct op *op)
{
    if (run->config.backend == ON_MEMORY || run->config.stays_open)
        return true;
    for (int i = 0; i < SLOTS; i++) { /* some are left to ramet_close() */
        if (op->a >> i & 1)
            slot_abort(&run->slots[i]);
        else
            close_cursors(&run->slots[i], NULL);
    }
    ramet_close(run->store);
    run->store = NULL;
    for (int i = 0; i < SLOTS; i++)
        slot_clear(&run->slots[i]);
    if (run->config.backend == ON_SIM && op->b % 2) {
        rmt_sim_cut_at(run->sim, UINT64_MAX, (enum rmt_sim_fate)(op->c % RMT_SIM_FATES));
        rmt_sim_boot(run->sim);
    }
    return run_open(run) && run_verify(run);
}

static bool do_compact(struct run *run)
{
    TRY(ramet_compact(run->store, NULL, NULL), 0);
    (void)pthread_mutex_lock(&run->lock);
    forget_history_locked(run); /* its commits were flushed */
    (void)pthread_mutex_unlock(&run->lock);
    return true;
}

/* The copy is what the store is, and shares as much. */
static bool judge_copy(struct run *run, struct ramet_store *copy)
{
    char why[1000] = "";
    struct problems p = {0};
    struct ramet_stat from = {.size = sizeof(from)}, to = {.size = sizeof(to)};
    int rc = ramet_check(copy, 0, report, NULL, &p);
    DEMAND(rc == 0, "check of a copy: %d, %u problems: %s", rc, p.count, p.first);
    DEMAND(matches(run, copy, true, false, why, sizeof(why)) == 1,
           "a copy is not what it was made from: %s", why);
    TRY(ramet_stat(run->store, &from), 0);
    TRY(ramet_stat(copy, &to), 0);
    if (!step_same_bases(run, copy, run->step))
        return false;
    DEMAND(from.data_bytes == to.data_bytes && to.unswept_bytes == 0 &&
               memcmp(from.store_id, to.store_id, 16) != 0,
           "a copy has %" PRIu64 " bytes of data instead of %" PRIu64, to.data_bytes,
           from.data_bytes);
    return true;
}

/* What it says of who owns a page holds when versions go, too. */
static bool use_copy(struct run *run, struct ramet_store *copy)
{
    struct problems p = {0};
    for (size_t i = 0; i < run->model.branches.count; i++) {
        TRY(ramet_branch_delete(copy, run->model.branches.items[i].name), 0);
        int rc = ramet_check(copy, 0, report, NULL, &p);
        DEMAND(rc == 0, "check of a copy that was used: %d: %s", rc, p.first);
    }
    TRY(ramet_reclaim(copy, 0, NULL), 0);
    struct ramet_stat st = {.size = sizeof(st)};
    TRY(ramet_stat(copy, &st), 0);
    DEMAND(st.data_bytes == 0 && st.unswept_bytes == 0, "an empty copy has %" PRIu64 " bytes",
           st.data_bytes + st.unswept_bytes);
    return true;
}

static bool do_copy(struct run *run, const struct op *op)
{
    rmt_auto(rmt_sim_free) struct rmt_sim *disk = rmt_sim_new(op->a, UINT64_MAX);
    struct ramet_options options = {.size = sizeof(options), .flags = RAMET_MUST_EXIST};
    struct ramet_store *copy = NULL;
    struct rmt_io *io;
    rmt_assert(disk && rmt_sim_open(disk, 0, &io) == 0);
    TRY(rmt_store_copy(run->store, io, NULL, NULL, &copy), 0);
    if (op->b % 2) { /* all of it was on disk */
        ramet_close(copy);
        rmt_sim_cut_at(disk, UINT64_MAX, (enum rmt_sim_fate)(op->c % RMT_SIM_FATES));
        rmt_sim_boot(disk);
        rmt_assert(rmt_sim_open(disk, 0, &io) == 0);
        TRY(rmt_store_open_io(io, &options, &copy), 0);
    }
    bool good = judge_copy(run, copy) && (op->d % 2 || use_copy(run, copy));
    ramet_close(copy);
    return good && (rmt_sim_violations(disk) == 0 || run_fail(run, "a copy broke the contract"));
}

bool run_open(struct run *run)
{
    struct ramet_options options = {
        .size = sizeof(options),
        .durability = run->config.durability,
        .page_size = run->config.page_size,
    };
    if (run->config.backend == ON_SIM) {
        struct rmt_io *io = NULL;
        TRY(rmt_sim_open(run->sim, 0, &io), 0);
        if (run->wrap)
            io = run->wrap(run, io);
        TRY(rmt_store_open_io(io, &options, &run->store), 0);
    } else {
        const char *path = run->config.backend == ON_FILE ? run->path : NULL;
        TRY(ramet_open(path, &options, &run->store), 0);
    }
    run->store->pages.spill_bytes = run->config.spill_bytes;
    if (run->config.part_pages)
        run->store->pages.part_pages = run->config.part_pages;
    return do_lists(run);
}

/* ---- running --------------------------------------------------------------------------------- */

static bool dispatch(struct run *run, const struct op *op)
{
    switch (op->kind) {
    case OP_BEGIN_WRITE: return do_begin_write(run, op);
    case OP_BEGIN_READ: return do_begin_read(run, op);
    case OP_REFRESH: return do_refresh(run, op);
    case OP_COMMIT: return do_commit(run, op);
    case OP_ABORT: return do_abort(run, op);
    case OP_PUT: return do_put(run, op);
    case OP_PUT_MANY: return do_put_many(run, op);
    case OP_APPEND_MANY: return do_append_many(run, op);
    case OP_PUT_WRONG: return do_put_wrong(run, op);
    case OP_DEL: return do_del(run, op);
    case OP_DEL_RANGE: return do_del_range(run, op);
    case OP_MAP_OPEN: return do_map_open(run, op);
    case OP_MAP_DROP: return do_map_drop(run, op);
    case OP_SAVEPOINT: return do_savepoint(run, op);
    case OP_ROLLBACK: return do_rollback(run, op);
    case OP_GET: return do_get(run, op);
    case OP_GET_MANY: return do_get_many(run, op);
    case OP_READ: return do_read(run, op);
    case OP_COUNT: return do_count(run, op);
    case OP_SCAN: return do_scan(run, op);
    case OP_MAP_LIST: return do_map_list(run, op);
    case OP_CURSOR_OPEN: return do_cursor_open(run, op);
    case OP_CURSOR_MOVE: return do_cursor_move(run, op);
    case OP_CURSOR_CLOSE: return do_cursor_close(run, op);
    case OP_BRANCH_CREATE: return do_branch_create(run, op);
    case OP_BRANCH_DELETE: return do_branch_delete(run, op);
    case OP_BRANCH_RESET: return do_branch_reset(run, op);
    case OP_SNAPSHOT_CREATE: return do_snapshot_create(run, op);
    case OP_SNAPSHOT_DELETE: return do_snapshot_delete(run, op);
    case OP_LISTS: return do_lists(run);
    case OP_STAT: return do_stat(run);
    case OP_RECLAIM: return do_reclaim(run, op);
    case OP_SYNC: return do_sync(run);
    case OP_CHECK: return run_check(run);
    case OP_VERIFY: return run_verify(run);
    case OP_REOPEN: return do_reopen(run, op);
    case OP_COPY: return do_copy(run, op);
    case OP_COMPACT: return do_compact(run);
    case OP_MERGE: return step_merge(run, op);
    case OP_PICK: return step_pick(run, op);
    case OP_RESOLVE: return step_resolve(run, op);
    case OP_TAG: return step_tag(run, op);
    case OP_PRUNE: return step_prune(run, op);
    case OP_DIFF: return step_diff(run, op);
    case OP_HISTORY: return step_history(run, op);
    case OP_BASE: return step_base(run, op);
    case OP_KEY_HISTORY: return step_key_history(run, op);
    case OP_EDIT: return do_edit(run, op);
    case OP_WRITE: return do_write(run, op);
    case OP_KINDS: break;
    }
    return run_fail(run, "no such operation");
}

bool run_step(struct run *run, const struct op *op)
{
    run->step++;
    if (run->verbose)
        op_print(run->step, op);
    for (int i = 0; i < SLOTS; i++) {
        run->current = &run->slots[i];
        if (run->slots[i].txn && !cursors_stay(run, &run->slots[i]))
            return false;
    }
    run->current = NULL;
    if ((run->adopt && !do_lists(run)) || !dispatch(run, op))
        return false;
    return !run->config.check_every || run->step % run->config.check_every || run_check(run);
}

void run_heal(struct run *run)
{
    if (run->current)
        slot_abort(run->current);
    run->adopt = true;
    run->outcome = RUN_OK;
}

void run_init(struct run *run, const struct config *config, struct rmt_sim *sim)
{
    *run = (struct run){.config = *config, .sim = sim};
    rmt_assert(pthread_mutex_init(&run->lock, NULL) == 0);
    model_store_init(&run->model);
}

void run_close(struct run *run)
{
    for (int i = 0; i < SLOTS; i++)
        slot_abort(&run->slots[i]);
    ramet_close(run->store);
    run->store = NULL;
}

void run_fini(struct run *run)
{
    run_close(run);
    step_settle(run, STEP_BROKEN);
    step_settle(run, STEP_DONE); /* frees what failed */
    forget_history_locked(run);
    rmt_vec_fini(&run->history);
    model_store_fini(&run->model);
    (void)pthread_mutex_destroy(&run->lock);
}

/* ---- the end: everything is dropped, and every page comes back ------------------------------- */

static bool drop_branches(struct run *run)
{
    struct model_store *m = &run->model;
    if (!model_store_branch(m, "main")) {
        char from[MODEL_NAME];
        (void)snprintf(from, sizeof(from), "%s", m->branches.items[0].name);
        TRY(ramet_branch_create(run->store, "main", from), 0);
        rmt_assert(model_branch_create(m, "main", from) == 0);
    }
    while (m->branches.count > 1) {
        size_t i = strcmp(m->branches.items[0].name, "main") == 0;
        char name[MODEL_NAME];
        (void)snprintf(name, sizeof(name), "%s", m->branches.items[i].name);
        TRY(ramet_branch_delete(run->store, name), 0);
        rmt_assert(model_branch_delete(m, name) == 0);
    }
    while (m->keeps.count) {
        char ref[MODEL_NAME];
        (void)snprintf(ref, sizeof(ref), "@%" PRIu64, m->keeps.items[0].id);
        TRY(ramet_snapshot_delete(run->store, ref), 0);
        rmt_assert(model_snapshot_delete(m, ref) == 0);
    }
    return true;
}

/* What a merge that died had pinned goes with its branches, and main is the last of them. */
static bool drop_pins(struct run *run)
{
    struct model_store *m = &run->model;
    const char *const names[][2] = {{"b1", "main"}, {"main", "b1"}};
    for (size_t i = 0; i < 2 && m->pins.count; i++) {
        TRY(ramet_branch_create(run->store, names[i][0], names[i][1]), 0);
        rmt_assert(model_branch_create(m, names[i][0], names[i][1]) == 0);
        TRY(ramet_branch_delete(run->store, names[i][1]), 0);
        rmt_assert(model_branch_delete(m, names[i][1]) == 0);
    }
    return m->branches.items[0].name[0] == 'm' || drop_branches(run);
}

bool run_empties(struct run *run)
{
    struct ramet_txn *txn = NULL;
    for (int i = 0; i < SLOTS; i++)
        slot_abort(&run->slots[i]);
    struct op resolve = {.kind = OP_RESOLVE}; /* of main, for it is the only branch */
    if (!do_lists(run) || !drop_branches(run) || !drop_pins(run) || !step_resolve(run, &resolve))
        return false;
    for (int i = 0; i < 6; i++) { /* what is freed needs some commits to be free */
        TRY(ramet_begin(run->store, "main", RAMET_WRITE, &txn), 0);
        for (size_t j = 0; j < MAPS; j++) {
            int rc = ramet_map_drop(txn, map_names[j]);
            DEMAND(rc == 0 || rc == RAMET_ENOTFOUND, "dropping %s: %d", map_names[j], rc);
        }
        struct ramet_map *map = NULL;
        TRY(ramet_map_open(txn, i % 2 ? "m0" : "m1", RAMET_CREATE, &map), 0);
        TRY(ramet_commit(txn, NULL, NULL), 0);
        TRY(ramet_reclaim(run->store, 0, NULL), 0);
        TRY(ramet_sync(run->store), 0);
    }
    if (!run_check(run))
        return false;
    struct ramet_stat st = {.size = sizeof(st)};
    TRY(ramet_stat(run->store, &st), 0);
    uint64_t page = st.page_size, bound = 64 + st.file_bytes / page / 100;
    DEMAND(st.unswept_bytes == 0, "%" PRIu64 " bytes are left unswept", st.unswept_bytes);
    DEMAND(st.data_bytes <= 4 * page, "an empty store has %" PRIu64 " bytes of data",
           st.data_bytes);
    DEMAND(st.limbo_bytes + st.book_bytes <= bound * page,
           "an empty store has %" PRIu64 " bytes in limbo and %" PRIu64 " of books of %" PRIu64,
           st.limbo_bytes, st.book_bytes, st.file_bytes);
    return true;
}
