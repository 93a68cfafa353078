/* SPDX-License-Identifier: MIT */
/*
 * diff-test.c - ramet_diff_*() case by case; and random histories of several maps and branches,
 * whose differences are those of arrays.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ramet.h>

#include "api/args.h"

#define MUST(call)                                              \
    do {                                                        \
        int rc_ = (call);                                       \
        if (rc_ < 0)                                            \
            fail_msg("%s: %d: %s", #call, rc_, ramet_errmsg()); \
    } while (0)

static struct ramet_store *store;
static uint64_t chance_state;

static uint64_t chance(uint64_t below)
{
    return random_below(&chance_state, below);
}

static struct ramet_slice text(const char *s)
{
    struct ramet_slice slice = {s, strlen(s)};
    return slice;
}

static int setup(void **state)
{
    struct ramet_options options = {.size = sizeof(options), .durability = RAMET_NONE};
    (void)state;
    return ramet_open(NULL, &options, &store);
}

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    print_error("check: %s\n", problem);
}

static int teardown(void **state)
{
    (void)state;
    int rc = ramet_check(store, 0, report, NULL, NULL);
    ramet_close(store);
    return rc;
}

static struct ramet_txn *begin(const char *ref, unsigned flags)
{
    struct ramet_txn *txn;
    MUST(ramet_begin(store, ref, flags, &txn));
    return txn;
}

static struct ramet_map *open_map(struct ramet_txn *txn, const char *name)
{
    struct ramet_map *map;
    MUST(ramet_map_open(txn, name, RAMET_CREATE, &map));
    return map;
}

/* Writes what a text says, entries of one byte: "m.k=v" puts, "m.k" deletes, "m-" drops the map,
 * "m+" makes it. */
static void write_text(struct ramet_txn *txn, const char *what)
{
    char word[64];
    int size;
    while (sscanf(what, "%63s%n", word, &size) == 1) {
        char name[2] = {word[0], 0};
        what += size;
        if (word[1] == '-')
            MUST(ramet_map_drop(txn, name));
        else if (word[1] == '+')
            (void)open_map(txn, name);
        else if (word[3] == '=')
            MUST(ramet_put(open_map(txn, name), (struct ramet_slice){word + 2, 1}, text(word + 4),
                           0));
        else
            MUST(ramet_del(open_map(txn, name), (struct ramet_slice){word + 2, 1}));
    }
}

static void commit(const char *branch, const char *what)
{
    struct ramet_txn *txn = begin(branch, RAMET_WRITE);
    write_text(txn, what);
    MUST(ramet_commit(txn, NULL, NULL));
}

static int count_map(void *ctx, const struct ramet_map_info *info)
{
    char *line = ctx;
    (void)snprintf(line + strlen(line), 32, "%s%" PRIu64 " ", info->name, info->entries);
    return 0;
}

/* Maps, and how many entries they have. */
static const char *listed(struct ramet_txn *txn)
{
    static char line[200];
    line[0] = 0;
    MUST(ramet_map_list(txn, count_map, line));
    return line;
}

static const char *shown(struct ramet_slice value)
{
    static char shown[2][32];
    static unsigned n;
    char *s = shown[n++ % 2];
    (void)snprintf(s, sizeof(shown[0]), "%.*s", value.data ? (int)value.size : 1,
                   value.data ? (const char *)value.data : "-");
    return s;
}

/* "m.k old>new", "+m" and "-m"; each behind the one before. */
static const char *told_by(struct ramet_diff *diff)
{
    static char told[2000];
    struct ramet_change c = {.size = sizeof(c)};
    struct ramet_diff_stat stat = {.size = sizeof(stat)};
    uint64_t counts[6] = {0};
    size_t at = 0;
    int rc;
    told[0] = 0;
    while ((rc = ramet_diff_next(diff, &c)) == 0) {
        assert_in_range(c.kind, RAMET_ADDED, RAMET_MAP_DROPPED);
        assert_int_equal(c.size, sizeof(c));
        counts[c.kind]++;
        if (c.kind >= RAMET_MAP_CREATED) {
            assert_int_equal(c.key.size, 0);
            assert_null(c.old_value.data);
            assert_null(c.new_value.data);
            at += (size_t)snprintf(told + at, sizeof(told) - at, "%c%s ",
                                   c.kind == RAMET_MAP_CREATED ? '+' : '-', c.map);
            continue;
        }
        at += (size_t)snprintf(told + at, sizeof(told) - at, "%s.%.*s%c%s>%s ", c.map,
                               (int)c.key.size, (const char *)c.key.data, " +-~"[c.kind],
                               shown(c.old_value), shown(c.new_value));
        assert_true(at < sizeof(told));
    }
    assert_int_equal(rc, RAMET_ENOTFOUND);
    assert_int_equal(ramet_diff_next(diff, &c), RAMET_ENOTFOUND);
    MUST(ramet_diff_stat(diff, &stat));
    assert_int_equal(stat.added, counts[RAMET_ADDED]);
    assert_int_equal(stat.removed, counts[RAMET_REMOVED]);
    assert_int_equal(stat.changed, counts[RAMET_CHANGED]);
    assert_int_equal(stat.maps_created, counts[RAMET_MAP_CREATED]);
    assert_int_equal(stat.maps_dropped, counts[RAMET_MAP_DROPPED]);
    if (at)
        told[at - 1] = 0;
    return told;
}

static const char *txns_differ(struct ramet_txn *from, struct ramet_txn *to,
                               const struct ramet_diff_options *options)
{
    struct ramet_diff *diff;
    MUST(ramet_diff_open(from, to, options, &diff));
    const char *told = told_by(diff);
    ramet_diff_close(diff);
    return told;
}

/* from NULL: nothing. */
static const char *refs_differ(const char *from, const char *to,
                               const struct ramet_diff_options *options)
{
    struct ramet_txn *a = from ? begin(from, RAMET_READ) : NULL, *b = begin(to, RAMET_READ);
    const char *told = txns_differ(a, b, options);
    if (a)
        ramet_abort(a);
    ramet_abort(b);
    return told;
}

static struct ramet_diff_options options_of(const char *map)
{
    struct ramet_diff_options options = {.size = sizeof(options), .map = map};
    return options;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void all_maps_in_their_order(void **state)
{
    (void)state;
    commit("main", "b.1=x b.2=y a.1=x c.9=z");
    MUST(ramet_branch_create(store, "other", NULL));
    assert_string_equal(refs_differ("main", "other", NULL), "");
    commit("other", "b.2=Y b.1 c.8=z a.2=x d.1=q e+");
    commit("main", "f.1=r");
    assert_string_equal(refs_differ("main", "other", NULL),
                        "a.2+->x b.1-x>- b.2~y>Y c.8+->z +d d.1+->q +e f.1-r>- -f");
    assert_string_equal(refs_differ("other", "main", NULL),
                        "a.2-x>- b.1+->x b.2~Y>y c.8-z>- d.1-q>- -d -e +f f.1+->r");
    assert_string_equal(refs_differ("main", "main", NULL), "");
}

static void against_nothing_all_is_new(void **state)
{
    (void)state;
    assert_string_equal(refs_differ(NULL, "main", NULL), "");
    commit("main", "b.1=x b.2=y a+");
    assert_string_equal(refs_differ(NULL, "main", NULL), "+a +b b.1+->x b.2+->y");
    struct ramet_diff_options options = options_of("b");
    assert_string_equal(refs_differ(NULL, "main", &options), "+b b.1+->x b.2+->y");
}

static void one_map_and_no_other(void **state)
{
    (void)state;
    struct ramet_diff_options options = options_of("bb");
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    static const char *const names[] = {"b", "bb", "bb ", "bbb", "ba", "bc"};
    for (size_t i = 0; i < 6; i++)
        MUST(ramet_put(open_map(txn, names[i]), text("k"), text(names[i]), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    assert_string_equal(refs_differ(NULL, "main", &options), "+bb bb.k+->bb");
    options.map = "b";
    assert_string_equal(refs_differ(NULL, "main", &options), "+b b.k+->b");
    options.map = "none";
    assert_string_equal(refs_differ(NULL, "main", &options), "");
    char name[RAMET_NAME_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[RAMET_NAME_MAX] = 0;
    txn = begin("main", RAMET_WRITE);
    MUST(ramet_put(open_map(txn, name), text("k"), text("v"), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    options.map = name;
    const char *told = refs_differ(NULL, "main", &options);
    assert_memory_equal(told + 1, name, RAMET_NAME_MAX);
    assert_int_equal(strlen(told), 2 * RAMET_NAME_MAX + strlen("+ .k+->v"));
}

static void dropped_and_made_again(void **state)
{
    (void)state;
    commit("main", "m.1=x m.2=y n.1=x");
    MUST(ramet_branch_create(store, "other", NULL));
    commit("other", "m-");
    assert_string_equal(refs_differ("main", "other", NULL), "m.1-x>- m.2-y>- -m");
    commit("other", "m.2=y m.3=z");
    assert_string_equal(refs_differ("main", "other", NULL), "m.1-x>- m.3+->z");
    commit("other", "m- n- m.1=x m.2=y");
    assert_string_equal(refs_differ("main", "other", NULL), "n.1-x>- -n");
    commit("other", "m.1 m.2"); /* it is there, and empty */
    assert_string_equal(refs_differ("main", "other", NULL), "m.1-x>- m.2-y>- n.1-x>- -n");
    commit("other", "m-");
    commit("main", "m.1 m.2");
    assert_string_equal(refs_differ("main", "other", NULL), "-m n.1-x>- -n");
}

static void ranges_and_prefixes(void **state)
{
    (void)state;
    static const char *const words[] = {"a", "ab", "abc", "abd", "b", "b\xff", "b\xff\xff", "c"};
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    for (size_t i = 0; i < 8; i++)
        MUST(ramet_put(open_map(txn, "m"), text(words[i]), text("v"), 0));
    MUST(ramet_put(open_map(txn, "m"), text("\xff\xff\xff"), text("v"), 0));
    MUST(ramet_put(open_map(txn, "n"), text("ab"), text("v"), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    static const struct {
        const char *prefix, *from, *to, *told;
    } cases[] = {
        {"ab", "", "", "+m m.ab+->v m.abc+->v m.abd+->v +n n.ab+->v"},
        {"abc", "", "", "+m m.abc+->v +n"},
        {"b\xff", "", "", "+m m.b\xff+->v m.b\xff\xff+->v +n"},
        {"\xff\xff", "", "", "+m m.\xff\xff\xff+->v +n"},
        {"x", "", "", "+m +n"},
        {"", "ab", "b", "+m m.ab+->v m.abc+->v m.abd+->v +n n.ab+->v"},
        {"", "", "ab", "+m m.a+->v +n"},
        {"", "c", "", "+m m.c+->v m.\xff\xff\xff+->v +n"},
        {"", "b", "a", "+m +n"},
        {"", "ab", "ab", "+m +n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ramet_diff_options options = options_of(NULL);
        options.prefix = text(cases[i].prefix);
        options.from = text(cases[i].from);
        options.to = text(cases[i].to);
        assert_string_equal(refs_differ(NULL, "main", &options), cases[i].told);
    }
}

static void keys_alone(void **state)
{
    (void)state;
    struct ramet_diff_options options = options_of(NULL);
    commit("main", "m.1=x m.2=y");
    MUST(ramet_branch_create(store, "other", NULL));
    commit("other", "m.1 m.2=z m.3=w");
    options.flags = RAMET_DIFF_KEYS;
    assert_string_equal(refs_differ("main", "other", &options), "m.1-->- m.2~->- m.3+->-");
}

static void snapshots_and_ids(void **state)
{
    (void)state;
    struct ramet_keep keep = {.size = sizeof(keep), .name = "one"};
    uint64_t id;
    char ref[32];
    commit("main", "m.1=x");
    MUST(ramet_snapshot_create(store, "main", &keep, &id));
    commit("main", "m.1=y");
    (void)snprintf(ref, sizeof(ref), "@%" PRIu64, id);
    assert_string_equal(refs_differ("main@one", "main", NULL), "m.1~x>y");
    assert_string_equal(refs_differ("main", ref, NULL), "m.1~y>x");
    assert_string_equal(refs_differ("main~1", ref, NULL), "");
}

/* Of what was not committed: entries, maps that are new or gone, what was rolled back. */
static void write_transactions(void **state)
{
    (void)state;
    uint32_t savepoint;
    commit("main", "a.1=x b.1=x");
    MUST(ramet_branch_create(store, "other", NULL));
    struct ramet_txn *old = begin("main", RAMET_READ), *txn = begin("main", RAMET_WRITE);
    assert_string_equal(txns_differ(old, txn, NULL), "");
    write_text(txn, "a.1=y c.1=x d+");
    assert_string_equal(txns_differ(old, txn, NULL), "a.1~x>y +c c.1+->x +d");
    assert_string_equal(txns_differ(txn, old, NULL), "a.1~y>x c.1-x>- -c -d");
    assert_string_equal(txns_differ(txn, txn, NULL), "");
    assert_string_equal(listed(txn), "a1 b1 c1 d0 ");
    MUST(ramet_savepoint(txn, &savepoint));
    write_text(txn, "a.2=z b- c.1=q");
    assert_string_equal(txns_differ(old, txn, NULL), "a.1~x>y a.2+->z b.1-x>- -b +c c.1+->q +d");
    MUST(ramet_rollback(txn, savepoint));
    assert_string_equal(listed(txn), "a1 b1 c1 d0 ");
    assert_string_equal(txns_differ(old, txn, NULL), "a.1~x>y +c c.1+->x +d");
    write_text(txn, "a- a.7=n"); /* made again */
    struct ramet_txn *other = begin("other", RAMET_WRITE);
    write_text(other, "b.1=o e.1=e");
    assert_string_equal(txns_differ(txn, other, NULL),
                        "a.1+->x a.7-n>- b.1~x>o c.1-x>- -c -d +e e.1+->e");
    write_text(other, "b.1=p");
    assert_string_equal(txns_differ(other, old, NULL), "b.1~p>x e.1-e>- -e");
    ramet_abort(other);
    other = begin("other", RAMET_WRITE);
    write_text(other, "b.1=o");
    assert_string_equal(txns_differ(other, old, NULL), "b.1~o>x");
    ramet_abort(other);
    MUST(ramet_commit(txn, NULL, NULL)); /* what the diffs noted did no harm */
    struct ramet_txn *new = begin("main", RAMET_READ);
    assert_string_equal(txns_differ(old, new, NULL), "a.1-x>- a.7+->n +c c.1+->x +d");
    ramet_abort(old);
    ramet_abort(new);
}

static void large_values(void **state)
{
    (void)state;
    static const size_t sizes[] = {1000, 1024, 1500, 5000, 100000, 3000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *bytes = malloc(sizes[i]);
        struct ramet_slice value = {bytes, sizes[i]};
        struct ramet_change c = {.size = sizeof(c)};
        struct ramet_diff *diff;
        assert_non_null(bytes);
        memset(bytes, (int)i + 1, sizes[i]);
        struct ramet_txn *txn = begin("main", RAMET_WRITE);
        for (int k = 0; k < 3; k++)
            MUST(ramet_put(open_map(txn, "m"),
                           text(k == 0   ? "changed"
                                : k == 1 ? "removed"
                                         : "same"),
                           value, 0));
        MUST(ramet_commit(txn, NULL, NULL));
        struct ramet_txn *old = begin("main", RAMET_READ);
        txn = begin("main", RAMET_WRITE);
        struct ramet_map *map = open_map(txn, "m");
        MUST(ramet_put(map, text("same"), value, 0)); /* in other pages */
        bytes[sizes[i] - 1] ^= 1;
        MUST(ramet_put(map, text("changed"), value, 0));
        MUST(ramet_del(map, text("removed")));
        for (int committed = 0; committed < 2; committed++) {
            struct ramet_txn *to = committed ? begin("main", RAMET_READ) : txn;
            MUST(ramet_diff_open(old, to, NULL, &diff));
            MUST(ramet_diff_next(diff, &c));
            assert_int_equal(c.kind, RAMET_CHANGED);
            assert_int_equal(c.old_value.size, sizes[i]);
            assert_int_equal(c.new_value.size, sizes[i]);
            assert_memory_equal(c.new_value.data, bytes, sizes[i]);
            assert_memory_equal(c.old_value.data, bytes, sizes[i] - 1);
            assert_int_equal(((const uint8_t *)c.old_value.data)[sizes[i] - 1], i + 1);
            MUST(ramet_diff_next(diff, &c));
            assert_int_equal(c.kind, RAMET_REMOVED);
            assert_int_equal(c.old_value.size, sizes[i]);
            assert_memory_equal(c.old_value.data, bytes, sizes[i] - 1);
            assert_int_equal(ramet_diff_next(diff, &c), RAMET_ENOTFOUND);
            ramet_diff_close(diff);
            if (committed)
                ramet_abort(to);
            else
                MUST(ramet_commit(txn, NULL, NULL));
        }
        ramet_abort(old);
        free(bytes);
    }
}

static void a_value_above_the_limit_of_slices(void **state)
{
    (void)state;
    struct ramet_slice value = {NULL, RAMET_SLICE_MAX + (size_t)1};
    struct ramet_diff_options keys = options_of(NULL);
    struct ramet_change c = {.size = sizeof(c)};
    struct ramet_diff *diff;
    void *bytes = calloc(1, value.size);
    value.data = bytes;
    assert_non_null(bytes);
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    MUST(ramet_put(open_map(txn, "m"), text("1"), value, 0));
    MUST(ramet_put(open_map(txn, "m"), text("2"), text("v"), 0));
    MUST(ramet_commit(txn, NULL, NULL));
    free(bytes);
    txn = begin("main", RAMET_READ);
    MUST(ramet_diff_open(NULL, txn, NULL, &diff));
    MUST(ramet_diff_next(diff, &c));
    assert_int_equal(c.kind, RAMET_MAP_CREATED);
    assert_int_equal(ramet_diff_next(diff, &c), -EFBIG);
    MUST(ramet_diff_next(diff, &c));
    assert_string_equal(shown(c.key), "2");
    assert_int_equal(ramet_diff_next(diff, &c), RAMET_ENOTFOUND);
    ramet_diff_close(diff);
    keys.flags = RAMET_DIFF_KEYS;
    assert_string_equal(txns_differ(NULL, txn, &keys), "+m m.1+->- m.2+->-");
    ramet_abort(txn);
}

/* What a merge noted is in maps that no one sees. */
static void maps_of_the_engine_are_not_shown(void **state)
{
    (void)state;
    struct ramet_merge_options merge = {.size = sizeof(merge), .flags = RAMET_MERGE_KEEP_CONFLICTS};
    struct ramet_merge_result result = {.size = sizeof(result)};
    commit("main", "m.1=x");
    MUST(ramet_branch_create(store, "other", NULL));
    commit("other", "m.1=y m.2=z");
    commit("main", "m.1=w");
    struct ramet_txn *old = begin("main", RAMET_READ);
    MUST(ramet_merge(store, "main", "other", &merge, &result));
    assert_int_equal(result.conflicts, 1);
    struct ramet_txn *new = begin("main", RAMET_READ);
    assert_string_equal(txns_differ(old, new, NULL), "m.2+->z");
    assert_string_equal(txns_differ(new, old, NULL), "m.2-z>-");
    assert_string_equal(txns_differ(NULL, new, NULL), "+m m.1+->w m.2+->z");
    struct ramet_txn *txn = begin("main", RAMET_WRITE);
    MUST(ramet_conflict_resolve(txn, "m", text("1"), RAMET_RESOLVE_THEIRS));
    assert_string_equal(txns_differ(new, txn, NULL), "m.1~w>y");
    MUST(ramet_commit(txn, NULL, NULL));
    ramet_abort(old);
    ramet_abort(new);
    assert_string_equal(refs_differ("other", "main", NULL), "");
}

/* What is shared is not looked at, nor are other maps. */
static void pages_are_those_that_differ(void **state)
{
    (void)state;
    struct ramet_diff_stat stat = {.size = sizeof(stat)};
    struct ramet_change c = {.size = sizeof(c)};
    struct ramet_diff *diff;
    char key[16];
    for (int m = 0; m < 2; m++) {
        struct ramet_txn *txn = begin("main", RAMET_WRITE);
        struct ramet_map *map = open_map(txn, m ? "m" : "n");
        for (int i = 0; i < 20000; i++) {
            (void)snprintf(key, sizeof(key), "key %d", i);
            MUST(ramet_put(map, text(key), text("some value that is not too short"), 0));
        }
        MUST(ramet_commit(txn, NULL, NULL));
    }
    struct ramet_txn *old = begin("main", RAMET_READ);
    commit("main", "m.x=1");
    struct ramet_txn *new = begin("main", RAMET_READ);
    MUST(ramet_diff_open(old, new, NULL, &diff));
    MUST(ramet_diff_stat(diff, &stat));
    assert_int_equal(stat.pages, 0);
    MUST(ramet_diff_next(diff, &c));
    assert_int_equal(ramet_diff_next(diff, &c), RAMET_ENOTFOUND);
    MUST(ramet_diff_stat(diff, &stat));
    assert_int_equal(stat.added, 1);
    assert_in_range(stat.pages, 6, 10); /* two of the maps, and two paths */
    ramet_diff_close(diff);
    MUST(ramet_diff_open(old, old, NULL, &diff));
    assert_int_equal(ramet_diff_next(diff, &c), RAMET_ENOTFOUND);
    MUST(ramet_diff_stat(diff, &stat));
    assert_int_equal(stat.pages, 0);
    ramet_diff_close(diff);
    ramet_abort(old);
    ramet_abort(new);
}

static void wrong_arguments(void **state)
{
    (void)state;
    struct ramet_diff_options options = options_of(NULL);
    struct ramet_change c = {.size = sizeof(c)};
    struct ramet_diff_stat stat = {.size = 0};
    struct ramet_store *other;
    struct ramet_txn *txn = begin("main", RAMET_READ), *foreign, *none;
    struct ramet_diff *diff = NULL;
    char long_key[RAMET_KEY_MAX + 1] = {0};
    MUST(ramet_open(NULL, NULL, &other));
    MUST(ramet_begin(other, "main", RAMET_READ, &foreign));
    assert_int_equal(ramet_begin(store, "absent", RAMET_READ, &none), RAMET_ENOTFOUND);
    assert_int_equal(ramet_begin(store, "@99", RAMET_READ, &none), RAMET_ENOTFOUND);
    assert_int_equal(ramet_diff_open(foreign, txn, NULL, &diff), -EINVAL);
    assert_int_equal(ramet_diff_open(txn, NULL, NULL, &diff), -EINVAL);
    assert_int_equal(ramet_diff_open(txn, txn, NULL, NULL), -EINVAL);
    options.size = 0;
    assert_int_equal(ramet_diff_open(txn, txn, &options, &diff), -EINVAL);
    options = options_of(NULL);
    options.flags = 4;
    assert_int_equal(ramet_diff_open(txn, txn, &options, &diff), -EINVAL);
    options = options_of(NULL);
    options.prefix = text("a");
    options.to = text("b");
    assert_int_equal(ramet_diff_open(txn, txn, &options, &diff), -EINVAL);
    options = options_of(NULL);
    options.from = (struct ramet_slice){long_key, sizeof(long_key)};
    assert_int_equal(ramet_diff_open(txn, txn, &options, &diff), -EINVAL);
    options = options_of("");
    assert_int_equal(ramet_diff_open(txn, txn, &options, &diff), -EINVAL);
    options = options_of("\1m"); /* as the engine calls its own */
    assert_int_equal(ramet_diff_open(txn, txn, &options, &diff), -EINVAL);
    assert_null(diff);
    MUST(ramet_diff_open(txn, txn, NULL, &diff));
    c.size = 0;
    assert_int_equal(ramet_diff_next(diff, &c), -EINVAL);
    assert_int_equal(ramet_diff_next(diff, NULL), -EINVAL);
    assert_int_equal(ramet_diff_stat(diff, &stat), -EINVAL);
    ramet_diff_close(diff);
    ramet_diff_close(NULL);
    ramet_abort(txn);
    ramet_close(other);
}

/* ---- random histories ------------------------------------------------------------------------ */

#define MAPS 3
#define KEYS 120
#define BRANCHES 4
#define VERSIONS 40

/* Numbers of values: 0: absent; and whether the map is there. */
struct contents {
    bool there[MAPS];
    uint32_t ids[MAPS][KEYS];
};

static const char *const map_names[MAPS] = {"m", "mm", "z"};
static struct contents versions[VERSIONS], heads[BRANCHES];
static uint64_t version_ids[VERSIONS];
static uint8_t value_bytes[2][20000];

static struct ramet_slice random_value(uint32_t id, int which)
{
    size_t size = id / 2 % 5 ? id / 2 % 100 : id / 2 * 7919 % 20000;
    memset(value_bytes[which], (int)(id / 2 % 251), size);
    if (size)
        value_bytes[which][size - 1] = (uint8_t)id;
    return (struct ramet_slice){value_bytes[which], size};
}

static struct ramet_slice random_key(uint32_t k, char buf[32])
{
    (void)snprintf(buf, 32, "%c/%06u", "ab\xff"[k / 40], k * 37);
    return text(buf);
}

static bool same(struct ramet_slice a, struct ramet_slice b)
{
    return !a.data == !b.data && a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void expect(struct ramet_diff *diff, int kind, const char *map, struct ramet_slice key,
                   uint32_t x, uint32_t y)
{
    struct ramet_change c = {.size = sizeof(c)};
    struct ramet_slice none = {NULL, 0};
    MUST(ramet_diff_next(diff, &c));
    if (c.kind != kind || strcmp(c.map, map) != 0 || !same(c.key, key))
        fail_msg("%d in %s: %.*s; not %d in %s: %.*s", c.kind, c.map, (int)c.key.size,
                 (const char *)c.key.data, kind, map, (int)key.size, (const char *)key.data);
    assert_true(same(c.old_value, x ? random_value(x, 0) : none));
    assert_true(same(c.new_value, y ? random_value(y, 0) : none));
}

static void expect_diff(struct ramet_diff *diff, const struct contents *a, const struct contents *b,
                        const struct ramet_diff_options *o)
{
    struct ramet_change c = {.size = sizeof(c)};
    struct ramet_slice none = {NULL, 0};
    char buf[32];
    for (int m = 0; m < MAPS; m++) {
        if (o->map && strcmp(o->map, map_names[m]) != 0)
            continue;
        if (!a->there[m] && b->there[m])
            expect(diff, RAMET_MAP_CREATED, map_names[m], none, 0, 0);
        for (uint32_t k = 0; k < KEYS; k++) {
            uint32_t x = a->ids[m][k], y = b->ids[m][k];
            struct ramet_slice key = random_key(k, buf);
            if (o->prefix.size && memcmp(key.data, o->prefix.data, o->prefix.size) != 0)
                continue;
            if ((o->from.size && strcmp(buf, o->from.data) < 0) ||
                (o->to.size && strcmp(buf, o->to.data) >= 0))
                continue;
            if (x == y || (x && y && same(random_value(x, 0), random_value(y, 1))))
                continue;
            expect(diff,
                   !x   ? RAMET_ADDED
                   : !y ? RAMET_REMOVED
                        : RAMET_CHANGED,
                   map_names[m], key, x, y);
        }
        if (a->there[m] && !b->there[m])
            expect(diff, RAMET_MAP_DROPPED, map_names[m], none, 0, 0);
    }
    assert_int_equal(ramet_diff_next(diff, &c), RAMET_ENOTFOUND);
}

static void random_write(struct ramet_txn *txn, struct contents *c)
{
    int m = (int)chance(MAPS);
    uint32_t k = (uint32_t)chance(KEYS);
    char buf[32];
    if (chance(40) == 0) {
        int rc = ramet_map_drop(txn, map_names[m]);
        assert_int_equal(rc, c->there[m] ? 0 : RAMET_ENOTFOUND);
        c->there[m] = false;
        memset(c->ids[m], 0, sizeof(c->ids[m]));
        return;
    }
    struct ramet_map *map = open_map(txn, map_names[m]);
    c->there[m] = true;
    if (chance(3) == 0) {
        int rc = ramet_del(map, random_key(k, buf));
        assert_int_equal(rc, c->ids[m][k] ? 0 : RAMET_ENOTFOUND);
        c->ids[m][k] = 0;
        return;
    }
    c->ids[m][k] = 2 + (uint32_t)chance(2000);
    MUST(ramet_put(map, random_key(k, buf), random_value(c->ids[m][k], 0), 0));
}

static void check_txns(struct ramet_txn *from, struct ramet_txn *to, const struct contents *a,
                       const struct contents *b)
{
    static const char *const bounds[] = {"a/000037", "a/001480", "b", "b/002", "\xff/003700"};
    struct ramet_diff_options options = options_of(chance(3) ? NULL : map_names[chance(MAPS)]);
    struct ramet_diff *diff;
    switch (chance(4)) {
    case 0: options.prefix = text(chance(2) ? "b/0" : "\xff"); break;
    case 1: options.from = text(bounds[chance(5)]); break;
    case 2:
        options.to = text(bounds[chance(5)]);
        if (chance(2))
            options.from = text(bounds[chance(5)]);
        break;
    default: break;
    }
    MUST(ramet_diff_open(from, to, &options, &diff));
    expect_diff(diff, a, b, &options);
    ramet_diff_close(diff);
}

static void random_histories(void **state)
{
    static const char *const branches[BRANCHES] = {"main", "one", "two", "three"};
    struct ramet_keep keep = {.size = sizeof(keep)};
    (void)state;
    memset(heads, 0, sizeof(heads));
    for (int i = 1; i < BRANCHES; i++)
        MUST(ramet_branch_create(store, branches[i], NULL));
    for (int v = 0; v < VERSIONS; v++) {
        size_t b = chance(BRANCHES);
        if (v > 5 && chance(5) == 0) {
            size_t from = chance((uint64_t)v);
            char ref[32];
            (void)snprintf(ref, sizeof(ref), "@%" PRIu64, version_ids[from]);
            b = 1 + chance(BRANCHES - 1); /* begins anew, elsewhere */
            MUST(ramet_branch_delete(store, branches[b]));
            MUST(ramet_branch_create(store, branches[b], ref));
            heads[b] = versions[from];
        }
        struct contents before = heads[b];
        struct ramet_txn *txn = begin(branches[b], RAMET_WRITE);
        struct ramet_txn *old = begin(branches[b], RAMET_READ);
        for (uint64_t i = chance(4) ? chance(10) : chance(400); i > 0; i--)
            random_write(txn, &heads[b]);
        check_txns(old, txn, &before, &heads[b]);
        check_txns(txn, old, &heads[b], &before);
        /* Kept by main, so that it outlives its branch. */
        MUST(ramet_commit(txn, &keep, &version_ids[v]));
        char ref[32], name[32];
        (void)snprintf(ref, sizeof(ref), "@%" PRIu64, version_ids[v]);
        (void)snprintf(name, sizeof(name), "v%d", v);
        if (b != 0)
            MUST(ramet_tag(store, "main", name, ref));
        versions[v] = heads[b];
        ramet_abort(old);
    }
    for (int i = 0; i < 300; i++) {
        size_t a = chance(VERSIONS), b = chance(VERSIONS);
        char from[32], to[32];
        (void)snprintf(from, sizeof(from), "@%" PRIu64, version_ids[a]);
        (void)snprintf(to, sizeof(to), "@%" PRIu64, version_ids[b]);
        struct ramet_txn *x = begin(from, RAMET_READ), *y = begin(to, RAMET_READ);
        check_txns(x, y, &versions[a], &versions[b]);
        ramet_abort(x);
        ramet_abort(y);
    }
}

static struct args args = {.count = 5};

static void random_histories_again_and_again(void **state)
{
    for (uint64_t i = 0; i < args.count; i++) {
        random_histories(state);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(all_maps_in_their_order),
        CASE(against_nothing_all_is_new),
        CASE(one_map_and_no_other),
        CASE(dropped_and_made_again),
        CASE(ranges_and_prefixes),
        CASE(keys_alone),
        CASE(snapshots_and_ids),
        CASE(write_transactions),
        CASE(large_values),
        CASE(a_value_above_the_limit_of_slices),
        CASE(maps_of_the_engine_are_not_shown),
        CASE(pages_are_those_that_differ),
        CASE(wrong_arguments),
        CASE(random_histories_again_and_again),
    };
    if (!args_parse(argc, argv, &args))
        return 2;
    chance_state = args.seed;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
