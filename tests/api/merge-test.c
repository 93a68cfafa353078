/* SPDX-License-Identifier: MIT */
/* merge-test.c - merges, conflicts, reverts and history, case by case. */
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

static struct ramet_store *store;
static char told[1024]; /* by the callbacks, since it was last looked at */

static struct ramet_slice text(const char *s)
{
    struct ramet_slice slice = {s, strlen(s)};
    return slice;
}

static int setup(void **state)
{
    (void)state;
    told[0] = '\0';
    return ramet_open(NULL, NULL, &store);
}

static int teardown(void **state)
{
    (void)state;
    int rc = ramet_check(store, 0, NULL, NULL, NULL);
    if (rc < 0)
        print_error("%s\n", ramet_errmsg());
    ramet_close(store);
    return rc;
}

/* value NULL: the key goes. */
static void put(const char *branch, const char *name, const char *key, const char *value)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    assert_int_equal(ramet_begin(store, branch, RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, name, RAMET_CREATE, &map), 0);
    if (value)
        assert_int_equal(ramet_put(map, text(key), text(value), 0), 0);
    else
        assert_int_equal(ramet_del(map, text(key)), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
}

/* "-": absent; "?": there is no such map. */
static const char *get(const char *ref, const char *name, const char *key)
{
    static char value[256];
    struct ramet_txn *txn;
    struct ramet_map *map;
    struct ramet_slice found;
    assert_int_equal(ramet_begin(store, ref, RAMET_READ, &txn), 0);
    (void)snprintf(value, sizeof(value), "?");
    int rc = ramet_map_open(txn, name, 0, &map);
    if (rc == 0) {
        (void)snprintf(value, sizeof(value), "-");
        if (ramet_get(map, text(key), &found) == 0)
            (void)snprintf(value, sizeof(value), "%.*s", (int)found.size, (const char *)found.data);
    }
    ramet_abort(txn);
    return value;
}

static uint64_t keep(const char *branch, const char *name)
{
    struct ramet_keep k = {.size = sizeof(k), .name = name};
    uint64_t id = 0;
    assert_int_equal(ramet_snapshot_create(store, branch, &k, &id), 0);
    return id;
}

static uint64_t head(const char *branch)
{
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, branch, RAMET_READ, &txn), 0);
    uint64_t id = ramet_txn_id(txn);
    ramet_abort(txn);
    return id;
}

static const char *shown(struct ramet_slice value)
{
    static char shown[4][64];
    static unsigned n;
    char *s = shown[n++ % 4];
    (void)snprintf(s, sizeof(shown[0]), "%.*s", value.data ? (int)value.size : 1,
                   value.data ? (const char *)value.data : "-");
    return s;
}

static void say(const char *s)
{
    assert_true(strlen(told) + strlen(s) < sizeof(told));
    strcat(told, s);
}

static int tell_conflict(void *ctx, const struct ramet_conflict *c)
{
    char line[256];
    (void)snprintf(line, sizeof(line), "%s.%s %s %s %s;", c->map, shown(c->key), shown(c->base),
                   shown(c->ours), shown(c->theirs));
    say(line);
    return ctx ? *(int *)ctx : 0;
}

static int tell_change(void *ctx, const struct ramet_change *c)
{
    char line[256];
    (void)ctx;
    (void)snprintf(line, sizeof(line), "%c%s.%s %s>%s;", " +-~"[c->kind], c -> map, shown(c->key),
                   shown(c->old_value), shown(c->new_value));
    say(line);
    return 0;
}

static void was_told(const char *what)
{
    assert_string_equal(told, what);
    told[0] = '\0';
}

static struct ramet_merge_result result;

static int merge(const char *into, const char *from, unsigned flags, int policy)
{
    struct ramet_merge_options options = {
        .size = sizeof(options),
        .flags = flags,
        .policy = policy,
        .conflict = tell_conflict,
        .change = tell_change,
    };
    result = (struct ramet_merge_result){.size = sizeof(result)};
    int rc = ramet_merge(store, into, from, &options, &result);
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), 0);
    return rc;
}

/* main and other, from one version with m.a = 1 and m.b = 1. */
static void fork_two(void)
{
    put("main", "m", "a", "1");
    put("main", "m", "b", "1");
    assert_int_equal(ramet_branch_create(store, "other", NULL), 0);
}

/* ---- whole merges ---------------------------------------------------------------------------- */

static int find_snapshot(void *ctx, const struct ramet_snapshot_info *info)
{
    struct ramet_snapshot_info *wanted = ctx;
    if (info->id != wanted->id)
        return 0;
    wanted->parents[0] = info->parents[0];
    wanted->parents[1] = info->parents[1];
    return 1;
}

static void three_ways(void **state)
{
    (void)state;
    fork_two();
    put("main", "m", "a", "2");
    put("other", "m", "b", "2");
    put("other", "m", "c", "2");
    uint64_t source = head("other");
    assert_int_equal(merge("main", "other", 0, 0), 0);
    was_told("~m.b 1>2;+m.c ->2;");
    assert_int_equal(result.changes, 2);
    assert_int_equal(result.id, head("main"));
    assert_string_equal(get("main", "m", "a"), "2");
    assert_string_equal(get("main", "m", "b"), "2");
    assert_string_equal(get("other", "m", "a"), "1");
    struct ramet_snapshot_info info = {.id = result.id};
    assert_int_equal(ramet_snapshot_list(store, "main", find_snapshot, &info), 1);
    assert_int_equal(info.parents[0], result.base);
    assert_int_equal(info.parents[1], source);
    assert_int_equal(ramet_branch_create(store, "third", "main"),
                     0); /* what stands on it is none */
    put("third", "m", "d", "2");
    info.id = keep("third", NULL);
    assert_int_equal(ramet_snapshot_list(store, "third", find_snapshot, &info), 1);
    assert_int_equal(info.parents[0], result.id);
    assert_int_equal(info.parents[1], 0);

    assert_int_equal(merge("main", "other", 0, 0), 0); /* once more: nothing */
    assert_true(result.up_to_date);
    assert_int_equal(result.id, head("main"));

    put("other", "m", "b", "3"); /* on what was merged: no conflict, for that is the base now */
    assert_int_equal(merge("main", "other", 0, 0), 0);
    was_told("~m.b 2>3;");
    assert_int_equal(result.base, source);
    assert_int_equal(merge("other", "main", 0, 0), 0); /* and back */
    was_told("~m.a 1>2;");
}

static void fast_forward(void **state)
{
    (void)state;
    fork_two();
    put("other", "m", "b", "2");
    uint64_t mid = keep("other", "mid");
    put("other", "m", "c", "2");
    assert_int_equal(merge("main", "other", 0, 0), 0);
    was_told("~m.b 1>2;+m.c ->2;");
    assert_true(result.fast_forward);
    assert_int_equal(head("main"), head("other"));
    assert_string_equal(get("main@mid", "m", "c"), "-"); /* its name has come with it */
    struct ramet_txn *txn;
    assert_int_equal(ramet_begin(store, "other@mid", RAMET_READ, &txn), RAMET_ENOTFOUND);
    put("other", "m", "d", "2");
    assert_string_equal(get("main", "m", "d"), "-");
    assert_int_equal(ramet_branch_delete(store, "other"), 0);
    assert_string_equal(get("main", "m", "c"), "2");
    assert_true(head("main~1") == mid);

    assert_int_equal(ramet_branch_create(store, "more", NULL), 0);
    put("more", "m", "e", "2");
    assert_int_equal(merge("main", "more", RAMET_MERGE_NO_FF, 0), 0);
    assert_false(result.fast_forward);
    assert_true(head("main") != head("more"));
}

static void into_itself(void **state)
{
    (void)state;
    fork_two();
    put("main", "m", "a", "2");
    assert_int_equal(merge("main", "main", 0, 0), 0);
    assert_true(result.up_to_date);
}

static void dry_run(void **state)
{
    (void)state;
    fork_two();
    keep("main", "v");
    put("main", "m", "a", "2");
    put("other", "m", "a", "3");
    put("other", "m", "b", "3");
    struct ramet_stat before = {.size = sizeof(before)}, after = before;
    assert_int_equal(ramet_stat(store, &before), 0);
    assert_int_equal(merge("main", "other", RAMET_MERGE_DRY_RUN, 0), RAMET_ECONFLICT);
    was_told("m.a 1 2 3;~m.b 1>3;");
    assert_int_equal(result.conflicts, 1);
    assert_int_equal(merge("main", "other", RAMET_MERGE_DRY_RUN, RAMET_MERGE_THEIRS), 0);
    was_told("~m.a 2>3;~m.b 1>3;");
    assert_int_equal(merge("main@v", "other", RAMET_MERGE_DRY_RUN, 0), -EINVAL);
    assert_int_equal(ramet_stat(store, &after), 0);
    assert_int_equal(before.last_id, after.last_id);
    assert_string_equal(get("main", "m", "a"), "2");
}

/* ---- conflicts ------------------------------------------------------------------------------- */

static void conflicts(void **state)
{
    (void)state;
    fork_two();
    put("main", "m", "c", "1");
    assert_int_equal(merge("other", "main", 0, 0), 0);
    told[0] = '\0';
    put("main", "m", "a", "2");
    put("other", "m", "a", "3");
    put("main", "m", "b", NULL); /* deleted here, changed there */
    put("other", "m", "b", "3");
    put("main", "m", "c", "2"); /* changed here, deleted there */
    put("other", "m", "c", NULL);
    put("main", "m", "n", "2"); /* new in both */
    put("other", "m", "n", "3");
    put("other", "m", "z", "3");
    uint64_t before = head("main");
    assert_int_equal(merge("main", "other", 0, 0), RAMET_ECONFLICT);
    was_told("m.a 1 2 3;m.b 1 - 3;m.c 1 2 -;m.n - 2 3;+m.z ->3;");
    assert_int_equal(result.conflicts, 4);
    assert_int_equal(head("main"), before);
    assert_string_equal(get("main", "m", "z"), "-");
    assert_non_null(strstr(ramet_errmsg(), "4 keys in conflict"));

    int stop = 7;
    struct ramet_merge_options options = {
        .size = sizeof(options), .conflict = tell_conflict, .conflict_ctx = &stop};
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), 7);
    was_told("m.a 1 2 3;");
    assert_int_equal(head("main"), before);
}

static void keep_conflicts(void **state)
{
    (void)state;
    struct ramet_txn *txn;
    struct ramet_keep k = {.size = sizeof(k), .name = "n"};
    fork_two();
    put("main", "m", "a", "2");
    put("main", "m", "b", "2");
    put("other", "m", "a", "3");
    put("other", "m", "b", NULL);
    put("other", "x", "a", "3");
    put("main", "x", "a", "2");
    assert_int_equal(merge("main", "other", RAMET_MERGE_KEEP_CONFLICTS, 0), 0);
    was_told("m.a 1 2 3;m.b 1 2 -;x.a - 2 3;");
    assert_int_equal(result.conflicts, 3);

    /* Until it is resolved it is not to be kept, nor merged. */
    assert_int_equal(ramet_snapshot_create(store, "main", &k, NULL), RAMET_ECONFLICT);
    assert_int_equal(ramet_tag(store, "main", "t", NULL), RAMET_ECONFLICT);
    assert_int_equal(merge("main", "other", 0, 0), RAMET_ECONFLICT);
    assert_int_equal(merge("other", "main", 0, 0), RAMET_ECONFLICT);
    put("main", "m", "q", "2"); /* it can be written to */
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_conflict_resolve(txn, "m", text("nothing"), 0), RAMET_ENOTFOUND);
    assert_int_equal(ramet_conflict_resolve(txn, "other", text("a"), 0), RAMET_ENOTFOUND);
    assert_int_equal(ramet_conflict_resolve(txn, "m", text("a"), 99), -EINVAL);
    assert_int_equal(ramet_conflict_resolve(txn, "m", text("a"), RAMET_RESOLVE_THEIRS), 0);
    assert_int_equal(ramet_commit(txn, &k, NULL), RAMET_ECONFLICT);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_conflict_list(txn, tell_conflict, NULL), 0);
    was_told("m.a 1 2 3;m.b 1 2 -;x.a - 2 3;");
    assert_int_equal(ramet_conflict_resolve(txn, "m", text("a"), RAMET_RESOLVE_BASE), 0);
    assert_int_equal(ramet_conflict_resolve(txn, "m", text("b"), RAMET_RESOLVE_THEIRS), 0);
    assert_int_equal(ramet_conflict_resolve(txn, "x", text("a"), RAMET_RESOLVE_OURS), 0);
    assert_int_equal(ramet_conflict_list(txn, tell_conflict, NULL), 0);
    was_told("");
    assert_int_equal(ramet_commit(txn, &k, NULL), 0);
    assert_string_equal(get("main@n", "m", "a"), "1");
    assert_string_equal(get("main@n", "m", "b"), "-");
    assert_string_equal(get("main@n", "x", "a"), "2");
    assert_int_equal(merge("main", "other", 0, 0), 0);
    assert_true(result.up_to_date);
    assert_int_equal(merge("other", "main", 0, RAMET_MERGE_FAIL), 0);
    assert_string_equal(get("other", "m", "q"), "2");
}

/* ---- policies -------------------------------------------------------------------------------- */

static int halves(void *ctx, const struct ramet_conflict *both, struct ramet_slice *out)
{
    (void)ctx;
    if (!both->ours.data || !both->theirs.data)
        return both->base.data ? RAMET_MERGED_DELETE : RAMET_MERGED_CONFLICT;
    *out = both->ours; /* a piece of what is about to be replaced */
    out->size /= 2;
    return RAMET_MERGED_VALUE;
}

static void rules(void **state)
{
    (void)state;
    const struct ramet_merge_rule table[] = {
        {.map = "m", .prefix = {"n/", 2}, .policy = RAMET_MERGE_COUNTER},
        {.map = "m", .policy = RAMET_MERGE_FUNCTION, .fn = halves},
        {.prefix = {"n/", 2}, .policy = RAMET_MERGE_MAX},
        {.map = "sets", .policy = RAMET_MERGE_SET},
    };
    struct ramet_merge_options options = {.size = sizeof(options),
                                          .policy = RAMET_MERGE_OURS,
                                          .rules = table,
                                          .nr_rules = 4,
                                          .change = tell_change};
    put("main", "m", "n/a", "10");
    put("main", "m", "n/same", "10");
    put("main", "m", "x", "1");
    put("main", "m", "y", "1");
    put("main", "o", "n/a", "10");
    put("main", "sets", "s", "a\nb\n");
    put("main", "z", "z", "1");
    assert_int_equal(ramet_branch_create(store, "other", NULL), 0);
    put("main", "m", "n/a", "12");
    put("other", "m", "n/a", "15");
    put("main", "m", "n/same", "11"); /* each counted one: that makes two */
    put("other", "m", "n/same", "11");
    put("main", "m", "x", "abcdef");
    put("other", "m", "x", "2");
    put("main", "m", "y", "2");
    put("other", "m", "y", NULL);
    put("main", "o", "n/a", "9");
    put("other", "o", "n/a", "11");
    put("main", "sets", "s", "a\nb\nc\n");
    put("other", "sets", "s", "b\nd\n");
    put("main", "z", "z", "2");
    put("other", "z", "z", "3");
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), 0);
    was_told("~m.n/a 12>17;~m.n/same 11>12;~m.x abcdef>abc;-m.y 2>-;~o.n/a 9>11;"
             "~sets.s a\nb\nc\n>b\nc\nd\n;");
    assert_string_equal(get("main", "m", "x"), "abc");
    assert_string_equal(get("main", "m", "y"), "-");
    assert_string_equal(get("main", "z", "z"), "2");
}

/* ---- maps ------------------------------------------------------------------------------------ */

static void maps(void **state)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    (void)state;
    fork_two();
    put("main", "kept", "a", "1");
    assert_int_equal(merge("other", "main", 0, 0), 0);
    told[0] = '\0';
    assert_int_equal(ramet_begin(store, "other", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "empty", RAMET_CREATE, &map), 0);
    assert_int_equal(ramet_map_drop(txn, "m"), 0);
    assert_int_equal(ramet_map_drop(txn, "kept"), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    put("main", "kept", "b", "2");
    assert_int_equal(merge("main", "other", 0, 0), 0);
    was_told("-kept.a 1>-;-m.a 1>-;-m.b 1>-;");
    assert_string_equal(get("main", "m", "a"), "?");     /* nothing was left in it */
    assert_string_equal(get("main", "empty", "a"), "-"); /* it came without an entry */
    assert_string_equal(get("main", "kept", "b"), "2");  /* something was new in it */

    put("main", "kept", "c", "1");
    assert_int_equal(merge("other", "main", 0, 0), 0);
    told[0] = '\0';
    assert_int_equal(ramet_begin(store, "other", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_drop(txn, "kept"), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    put("main", "kept", "c", "2");
    assert_int_equal(merge("main", "other", 0, 0), RAMET_ECONFLICT); /* dropped, and changed */
    was_told("-kept.b 2>-;kept.c 1 2 -;");
    assert_int_equal(merge("other", "main", 0, RAMET_MERGE_THEIRS), 0);
    was_told("+kept.c ->2;");
}

/* ---- to and fro ------------------------------------------------------------------------------ */

/* Each merges the other's version from before. */
static void cross(int policy)
{
    char ours[32], theirs[32];
    (void)snprintf(ours, sizeof(ours), "@%" PRIu64, keep("main", NULL));
    (void)snprintf(theirs, sizeof(theirs), "@%" PRIu64, keep("other", NULL));
    assert_int_equal(merge("main", theirs, 0, policy), 0);
    assert_int_equal(merge("other", ours, 0, policy), 0);
    told[0] = '\0';
}

static void criss_cross(void **state)
{
    uint64_t ids[4];
    size_t count = 4;
    (void)state;
    fork_two();
    put("main", "m", "a", "2");
    put("other", "m", "b", "2");
    cross(RAMET_MERGE_FAIL);
    assert_int_equal(ramet_merge_base(store, "main", "other", ids, &count), 0);
    assert_int_equal(count, 2);
    assert_true(ids[0] > ids[1]);
    put("main", "m", "a", "3"); /* no conflict, with either as the base it would be one */
    put("other", "m", "b", "3");
    assert_int_equal(merge("main", "other", 0, 0), 0);
    was_told("~m.b 2>3;");
    assert_int_equal(result.base, 0);
}

/* What the two bases disagree on is no base for anybody. */
static void criss_cross_unknown(void **state)
{
    (void)state;
    fork_two();
    put("main", "m", "a", "2");
    put("other", "m", "a", "3");
    put("other", "m", "b", "2");
    cross(RAMET_MERGE_OURS);
    assert_string_equal(get("main", "m", "a"), "2");
    assert_string_equal(get("other", "m", "a"), "3");
    assert_int_equal(merge("main", "other", 0, 0), RAMET_ECONFLICT);
    was_told("m.a - 2 3;");
    put("other", "m", "a", "2"); /* the same on both sides: nobody minds */
    assert_int_equal(merge("main", "other", 0, 0), 0);
}

static void criss_cross_counter(void **state)
{
    (void)state;
    put("main", "m", "a", "10");
    assert_int_equal(ramet_branch_create(store, "other", NULL), 0);
    put("main", "m", "a", "11");
    put("other", "m", "a", "12");
    cross(RAMET_MERGE_COUNTER);
    assert_string_equal(get("main", "m", "a"), "13");
    assert_string_equal(get("other", "m", "a"), "13");
    put("main", "m", "a", "14");
    put("other", "m", "a", "15");
    assert_int_equal(merge("main", "other", 0, RAMET_MERGE_COUNTER), 0);
    assert_string_equal(get("main", "m", "a"), "16"); /* each was counted once */
}

static void add_one(const char *branch)
{
    char value[16];
    (void)snprintf(value, sizeof(value), "%d", atoi(get(branch, "m", "a")) + 1);
    put(branch, "m", "a", value);
}

/* Each time at once: each base has two of its own, down to where the two parted. */
static void criss_cross_hundredfold(void **state)
{
    (void)state;
    put("main", "m", "a", "0");
    assert_int_equal(ramet_branch_create(store, "other", NULL), 0);
    for (int i = 1; i <= 100; i++) {
        add_one("main");
        add_one("other");
        cross(RAMET_MERGE_COUNTER);
        assert_int_equal(atoi(get("main", "m", "a")), 2 * i);
        assert_int_equal(atoi(get("other", "m", "a")), 2 * i);
    }
}

/* Decides nothing, and looks at what it is asked about: no value that nobody ever wrote. */
static int is_digit(void *ctx, const struct ramet_conflict *both, struct ramet_slice *out)
{
    const struct ramet_slice values[] = {both->base, both->ours, both->theirs};
    bool *strange = ctx;
    (void)out;
    for (size_t i = 0; i < 3; i++)
        *strange |= values[i].data && values[i].size != 1;
    return RAMET_MERGED_CONFLICT;
}

/* Of three bases the first two disagree: the third finds nothing there to be merged with. */
static void three_bases(void **state)
{
    (void)state;
    static const char *const sources[] = {"b", "c", "d"};
    static const char *const values[] = {"1", "2", "3"};
    bool strange = false;
    struct ramet_merge_rule rules[] = {
        {.prefix = text("a"), .policy = RAMET_MERGE_FUNCTION, .fn = is_digit, .ctx = &strange}};
    struct ramet_merge_options options = {
        .size = sizeof(options), .rules = rules, .nr_rules = 1, .conflict = tell_conflict};
    put("main", "m", "x", "0");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ramet_branch_create(store, sources[i], NULL), 0);
    assert_int_equal(ramet_branch_create(store, "other", NULL), 0);
    for (size_t i = 0; i < 3; i++)
        put(sources[i], "m", "a", values[i]);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(merge("main", sources[i], RAMET_MERGE_NO_FF, RAMET_MERGE_OURS), 0);
        assert_int_equal(merge("other", sources[2 - i], RAMET_MERGE_NO_FF, RAMET_MERGE_OURS), 0);
    }
    assert_string_equal(get("main", "m", "a"), "1");
    assert_string_equal(get("other", "m", "a"), "3");
    told[0] = '\0';
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), RAMET_ECONFLICT);
    was_told("m.a - 1 3;");
    assert_false(strange);
}

/* Of three bases two have a change that the newest has not: it counts once. */
static void three_bases_that_share(void **state)
{
    (void)state;
    static const char *const sources[] = {"c", "d", "b"};
    put("main", "m", "a", "10");
    assert_int_equal(ramet_branch_create(store, "other", NULL), 0);
    assert_int_equal(ramet_branch_create(store, "b", NULL), 0);
    assert_int_equal(ramet_branch_create(store, "c", NULL), 0);
    put("c", "m", "a", "11");
    assert_int_equal(ramet_branch_create(store, "d", "c"), 0);
    put("c", "m", "c", "1");
    put("d", "m", "d", "1");
    put("b", "m", "a", "11");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(merge("main", sources[i], RAMET_MERGE_NO_FF, RAMET_MERGE_COUNTER), 0);
        assert_int_equal(merge("other", sources[2 - i], RAMET_MERGE_NO_FF, RAMET_MERGE_COUNTER), 0);
    }
    assert_string_equal(get("main", "m", "a"), "12");
    assert_string_equal(get("other", "m", "a"), "12");
    put("main", "m", "a", "13");
    put("other", "m", "a", "13");
    size_t bases = 0;
    assert_int_equal(ramet_merge_base(store, "main", "other", NULL, &bases), 0);
    assert_int_equal(bases, 3);
    assert_int_equal(merge("main", "other", 0, RAMET_MERGE_COUNTER), 0);
    assert_string_equal(get("main", "m", "a"), "14");
}

/* A change that came by a third branch counts once, too. */
static void by_way_of_a_third(void **state)
{
    (void)state;
    put("main", "m", "a", "10");
    assert_int_equal(ramet_branch_create(store, "b", NULL), 0);
    assert_int_equal(ramet_branch_create(store, "c", NULL), 0);
    put("main", "m", "x", "1");
    put("b", "m", "a", "11");
    put("c", "m", "a", "12");
    assert_int_equal(merge("main", "b", 0, RAMET_MERGE_COUNTER), 0);
    assert_int_equal(merge("c", "b", 0, RAMET_MERGE_COUNTER), 0);
    assert_string_equal(get("c", "m", "a"), "13");
    assert_int_equal(merge("main", "c", 0, RAMET_MERGE_COUNTER), 0);
    assert_string_equal(get("main", "m", "a"), "13");
    assert_int_equal(ramet_branch_delete(store, "b"), 0);
    assert_int_equal(ramet_branch_create(store, "d", "c"), 0);
    put("d", "m", "a", "14");
    assert_int_equal(ramet_branch_delete(store, "c"), 0);
    assert_int_equal(merge("main", "d", 0, RAMET_MERGE_COUNTER), 0);
    assert_string_equal(get("main", "m", "a"), "14");
}

/* ---- large values ---------------------------------------------------------------------------- */

/* Kind, key and how many bytes the values have; 0: not handed over. */
static int tell_kind(void *ctx, const struct ramet_change *c)
{
    char line[256];
    (void)ctx;
    assert_int_equal(c->old_value.data != NULL, c->old_value.size != 0);
    assert_int_equal(c->new_value.data != NULL, c->new_value.size != 0);
    (void)snprintf(line, sizeof(line), "%c%s %zu %zu;", " +-~"[c->kind], shown(c->key),
                   c -> old_value.size, c->new_value.size);
    say(line);
    return 0;
}

static void huge(void **state)
{
    (void)state;
    size_t size = RAMET_SLICE_MAX + 5000;
    char *bytes = calloc(1, size), last[16];
    struct ramet_txn *txn;
    struct ramet_map *map;
    assert_non_null(bytes);
    memcpy(bytes + size - 8, "the end", 8);
    fork_two();
    put("main", "m", "x", "1");
    assert_int_equal(ramet_begin(store, "other", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", 0, &map), 0);
    struct ramet_slice value = {bytes, size};
    assert_int_equal(ramet_put(map, text("huge"), value, 0), 0);
    value.size = 100000;
    assert_int_equal(ramet_put(map, text("large"), value, 0), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    assert_int_equal(ramet_branch_create(store, "old", "other"), 0);
    put("old", "m", "y", "1");
    struct ramet_merge_options options = {.size = sizeof(options), .change = tell_kind};
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), 0);
    was_told("+huge 0 0;+large 0 100000;");
    put("other", "m", "huge", "small");
    assert_int_equal(ramet_merge(store, "old", "other", &options, NULL), 0);
    was_told("~huge 0 5;");
    assert_int_equal(ramet_begin(store, "main", RAMET_READ, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", 0, &map), 0);
    uint64_t found;
    assert_int_equal(ramet_read(map, text("huge"), size - 8, last, 8, &found), 8);
    assert_int_equal(found, size);
    assert_string_equal(last, "the end");
    assert_int_equal(ramet_get(map, text("large"), &value), 0);
    assert_int_equal(value.size, 100000);
    ramet_abort(txn);
    free(bytes);
}

static int stop_late(void *ctx, uint64_t done, uint64_t total)
{
    uint64_t *calls = ctx;
    ++*calls;
    assert_int_equal(done, *calls * 256);
    assert_int_equal(total, 0);
    return *calls == 3;
}

static void progress(void **state)
{
    (void)state;
    uint64_t calls = 0;
    struct ramet_merge_options options = {
        .size = sizeof(options), .progress = stop_late, .progress_ctx = &calls};
    struct ramet_txn *txn;
    struct ramet_map *map;
    char key[16];
    fork_two();
    put("main", "m", "x", "1");
    assert_int_equal(ramet_begin(store, "other", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", 0, &map), 0);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "key%d", i);
        assert_int_equal(ramet_put(map, text(key), text("v"), 0), 0);
    }
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    uint64_t before = head("main");
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), -ECANCELED);
    assert_int_equal(calls, 3);
    assert_int_equal(head("main"), before);
    assert_string_equal(get("main", "m", "key0"), "-");
    options.progress = NULL;
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), 0);
    assert_int_equal(calls, 3);
    assert_string_equal(get("main", "m", "key999"), "v");
}

/* A diff says which entry it is whose value is too large for it, and goes on. */
static void huge_difference(void **state)
{
    (void)state;
    size_t size = RAMET_SLICE_MAX + 1;
    char *bytes = calloc(1, size);
    struct ramet_txn *txn, *old;
    struct ramet_map *map;
    struct ramet_diff *diff;
    struct ramet_change change = {.size = sizeof(change)};
    assert_non_null(bytes);
    put("main", "m", "huge", "1");
    assert_int_equal(ramet_begin(store, "main", RAMET_READ, &old), 0);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", 0, &map), 0);
    struct ramet_slice value = {bytes, size};
    assert_int_equal(ramet_put(map, text("huge"), value, 0), 0);
    assert_int_equal(ramet_put(map, text("next"), text("2"), 0), 0);
    assert_int_equal(ramet_diff_open(old, txn, NULL, &diff), 0);
    assert_int_equal(ramet_diff_next(diff, &change), -EFBIG);
    assert_int_equal(change.kind, RAMET_CHANGED);
    assert_string_equal(change.map, "m");
    assert_string_equal(shown(change.key), "huge");
    assert_null(change.old_value.data);
    assert_null(change.new_value.data);
    assert_int_equal(ramet_diff_next(diff, &change), 0);
    assert_string_equal(shown(change.key), "next");
    assert_string_equal(shown(change.new_value), "2");
    assert_int_equal(ramet_diff_next(diff, &change), RAMET_ENOTFOUND);
    ramet_diff_close(diff);
    ramet_abort(txn);
    ramet_abort(old);
    free(bytes);
}

static void put_zeros(const char *branch, size_t size)
{
    struct ramet_txn *txn;
    struct ramet_map *map;
    char *bytes = calloc(1, size);
    struct ramet_slice value = {bytes, size};
    assert_non_null(bytes);
    assert_int_equal(ramet_begin(store, branch, RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", RAMET_CREATE, &map), 0);
    assert_int_equal(ramet_put(map, text("a"), value, 0), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    free(bytes);
}

static int tell_sizes(void *ctx, const struct ramet_conflict *conflict)
{
    size_t *sizes = ctx;
    sizes[0] = conflict->base.size;
    sizes[1] = conflict->ours.size;
    sizes[2] = conflict->theirs.size;
    return 0;
}

/* Three values that are not too large, each. */
static void large_conflict(void **state)
{
    (void)state;
    const size_t size = RAMET_SLICE_MAX / 2;
    size_t sizes[3];
    struct ramet_txn *txn;
    put_zeros("main", size);
    assert_int_equal(ramet_branch_create(store, "other", "main"), 0);
    put_zeros("main", size - 1);
    put_zeros("other", size - 2);
    struct ramet_merge_options options = {.size = sizeof(options),
                                          .flags = RAMET_MERGE_KEEP_CONFLICTS};
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), 0);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_conflict_list(txn, tell_sizes, sizes), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sizes[i], size - i);
    assert_int_equal(ramet_conflict_resolve(txn, "m", text("a"), RAMET_RESOLVE_THEIRS), 0);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    assert_int_equal(ramet_begin(store, "main", RAMET_READ, &txn), 0);
    struct ramet_map *map;
    struct ramet_slice value;
    assert_int_equal(ramet_map_open(txn, "m", 0, &map), 0);
    assert_int_equal(ramet_get(map, text("a"), &value), 0);
    assert_int_equal(value.size, size - 2);
    ramet_abort(txn);
}

/* ---- one change alone ------------------------------------------------------------------------ */

static void pick_and_revert(void **state)
{
    (void)state;
    struct ramet_merge_options options = {.size = sizeof(options), .conflict = tell_conflict};
    fork_two();
    (void)keep("main", "zero");
    put("main", "m", "a", "2");
    (void)keep("main", "one");
    put("main", "m", "b", "2");
    put("main", "n", "x", "2");
    (void)keep("main", "two");
    result = (struct ramet_merge_result){.size = sizeof(result)};
    assert_int_equal(ramet_revert(store, "main", "main@one", &options, &result), 0);
    assert_int_equal(result.changes, 1);
    assert_string_equal(get("main", "m", "a"), "1");
    assert_string_equal(get("main", "m", "b"), "2");
    assert_int_equal(ramet_revert(store, "main", "main@one", &options, &result), 0);
    assert_true(result.up_to_date);
    assert_int_equal(ramet_revert(store, "main", "main@two", &options, &result), 0);
    assert_string_equal(get("main", "n", "x"), "?"); /* the map that it made is gone */

    assert_int_equal(ramet_cherry_pick(store, "other", "main@two", &options, &result), 0);
    assert_string_equal(get("other", "m", "a"), "1");
    assert_string_equal(get("other", "m", "b"), "2");
    assert_string_equal(get("other", "n", "x"), "2");
    put("other", "m", "a", "9");
    assert_int_equal(ramet_cherry_pick(store, "other", "main@one", &options, &result),
                     RAMET_ECONFLICT);
    was_told("m.a 1 9 2;");
    assert_int_equal(ramet_cherry_pick(store, "other", "main@none", &options, NULL),
                     RAMET_ENOTFOUND);
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), 0);
}

/* ---- history --------------------------------------------------------------------------------- */

static int tell_name(void *ctx, const struct ramet_snapshot_info *info)
{
    (void)ctx;
    say(info->name ? info->name : "?");
    say(";");
    return 0;
}

static int tell_key(void *ctx, const struct ramet_snapshot_info *info,
                    const struct ramet_change *change)
{
    (void)tell_name(ctx, info);
    return tell_change(ctx, change);
}

/* main~0 is main, also where its head is a snapshot that did not move. */
static void a_branch_with_nothing_below(void **state)
{
    (void)state;
    put("main", "m", "a", "1");
    uint64_t id = keep("main", NULL);
    assert_int_equal(head("main~0"), id);
    assert_int_equal(ramet_tag(store, NULL, "tagged", "main~0"), 0);
    assert_int_equal(head("main@tagged"), id);
    assert_int_equal(ramet_branch_create(store, "other", "main~0"), 0);
    assert_int_equal(head("other"), id);
    put("other", "m", "b", "1");
    keep("other", NULL);
    assert_int_equal(merge("main", "other~0", RAMET_MERGE_NO_FF, 0), 0);
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), 0);
    assert_int_equal(ramet_branch_delete(store, "other"), 0);
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), 0);
}

static void history(void **state)
{
    struct ramet_txn *txn;
    (void)state;
    fork_two();
    (void)keep("main", "zero");
    put("main", "m", "a", "2");
    (void)keep("main", "one");
    put("other", "m", "b", "2");
    (void)keep("other", "their");
    assert_int_equal(merge("main", "other", 0, 0), 0);
    assert_int_equal(ramet_tag(store, "main", "merged", NULL), 0);
    told[0] = '\0';
    put("main", "m", "a", NULL);
    (void)keep("main", "three");
    assert_int_equal(ramet_history(store, "main", 0, tell_name, NULL), 0);
    was_told("three;merged;one;zero;");
    assert_int_equal(ramet_history(store, "main", RAMET_HISTORY_ALL, tell_name, NULL), 0);
    was_told("three;merged;their;one;zero;");
    assert_int_equal(ramet_history(store, "other", 0, tell_name, NULL), 0);
    was_told("their;zero;");
    assert_int_equal(ramet_key_history(store, NULL, "m", text("a"), tell_key, NULL), 0);
    was_told("three;-m.a 2>-;one;~m.a 1>2;zero;+m.a ->1;");
    assert_int_equal(ramet_key_history(store, NULL, "m", text("b"), tell_key, NULL), 0);
    was_told("merged;~m.b 1>2;zero;+m.b ->1;");

    assert_string_equal(get("main~0", "m", "a"), "-");
    assert_string_equal(get("main~1", "m", "a"), "2");
    assert_string_equal(get("main~2", "m", "b"), "1");
    assert_string_equal(get("main@merged~2", "m", "a"), "1");
    assert_int_equal(ramet_begin(store, "main~9", RAMET_READ, &txn), RAMET_ENOTFOUND);
    assert_int_equal(ramet_begin(store, "main~x", RAMET_READ, &txn), RAMET_ENOTFOUND);
    assert_int_equal(ramet_begin(store, "main~1", RAMET_WRITE, &txn), -EINVAL);
    assert_int_equal(ramet_tag(store, "other", "old", "main~3"), 0);
    assert_string_equal(get("other@old", "m", "a"), "1");
    assert_int_equal(ramet_tag(store, "other", "old", "main~3"), -EEXIST);
    assert_int_equal(ramet_tag(store, "none", "old", "main~3"), RAMET_ENOTFOUND);
}

static int is_odd(void *ctx, const struct ramet_snapshot_info *info)
{
    (void)ctx;
    return info->name && (info->name[0] - '0') % 2;
}

static void prune(void **state)
{
    (void)state;
    char name[2] = "0";
    uint64_t count;
    struct ramet_prune_options options = {.size = sizeof(options)};
    for (; name[0] < '8'; name[0]++) {
        put("main", "m", "a", name);
        (void)keep("main", name);
        put("main", "m", "b", name);
        (void)keep("main", NULL);
    }
    assert_int_equal(ramet_prune(store, "main", &options, &count), -EINVAL);
    options.keep_last = 10;
    options.flags = RAMET_PRUNE_DRY_RUN;
    assert_int_equal(ramet_prune(store, "main", &options, &count), 0);
    assert_int_equal(count, 3); /* the nameless ones among the oldest 6 */
    options.flags = RAMET_PRUNE_NAMED;
    assert_int_equal(ramet_prune(store, "main", &options, &count), 0);
    assert_int_equal(count, 6);
    assert_int_equal(ramet_check(store, 0, NULL, NULL, NULL), 0);
    options.keep_last = 0;
    options.filter = is_odd;
    assert_int_equal(ramet_prune(store, "main", &options, &count), 0);
    assert_int_equal(count, 3); /* 3, 5 and 7 */
    assert_int_equal(ramet_history(store, "main", 0, tell_name, NULL), 0);
    was_told("?;?;6;?;?;4;?;");
    options.filter = NULL;
    options.before = 1; /* long ago */
    assert_int_equal(ramet_prune(store, "main", &options, &count), 0);
    assert_int_equal(count, 0);
    options.before = INT64_MAX;
    assert_int_equal(ramet_prune(store, "main", &options, &count), 0);
    assert_int_equal(count, 7);
    assert_int_equal(ramet_prune(store, "none", &options, &count), RAMET_ENOTFOUND);
    assert_int_equal(ramet_reclaim(store, 0, NULL), 0);
    struct ramet_stat stat = {.size = sizeof(stat)};
    assert_int_equal(ramet_stat(store, &stat), 0);
    assert_int_equal(stat.snapshots, 0);
    assert_int_equal(stat.data_bytes, 2 * stat.page_size);
}

/* ---- misuse ---------------------------------------------------------------------------------- */

static void misuse(void **state)
{
    (void)state;
    struct ramet_merge_options options = {.size = sizeof(options)};
    struct ramet_merge_rule rule = {.policy = RAMET_MERGE_FUNCTION};
    struct ramet_txn *txn;
    fork_two();
    put("other", "m", "a", "2");
    assert_int_equal(ramet_merge(NULL, "main", "other", NULL, NULL), -EINVAL);
    assert_int_equal(ramet_merge(store, "main", NULL, NULL, NULL), -EINVAL);
    assert_int_equal(ramet_merge(store, "main", "none", NULL, NULL), RAMET_ENOTFOUND);
    assert_int_equal(ramet_merge(store, "none", "other", NULL, NULL), RAMET_ENOTFOUND);
    (void)keep("main", "v");
    assert_int_equal(ramet_merge(store, "main@v", "other", NULL, NULL), -EINVAL);
    options.flags = 1 << 20;
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), -EINVAL);
    options.flags = 0;
    options.policy = 99;
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), -EINVAL);
    options.policy = RAMET_MERGE_FUNCTION;
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), -EINVAL);
    options.policy = 0;
    options.rules = &rule;
    options.nr_rules = 1;
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), -EINVAL);
    options.size = 3;
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), -EINVAL);
    result.size = 0;
    assert_int_equal(ramet_merge(store, "main", "other", NULL, &result), -EINVAL);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_merge(store, "main", "other", NULL, NULL), -EDEADLK);
    ramet_abort(txn);
    assert_int_equal(ramet_begin(store, "other", RAMET_WRITE, &txn), 0); /* does not matter */
    assert_int_equal(ramet_merge(store, "main", "other", NULL, NULL), 0);
    ramet_abort(txn);
    assert_int_equal(ramet_history(store, "main", 99, tell_name, NULL), -EINVAL);
    assert_int_equal(ramet_key_history(store, "main", "m", text(""), tell_key, NULL), -EINVAL);
    struct ramet_keep k = {.size = sizeof(k), .name = "v"};
    options = (struct ramet_merge_options){.size = sizeof(options), .keep = &k};
    put("main", "m", "b", "2");
    put("other", "m", "c", "2");
    uint64_t before = head("main");
    assert_int_equal(ramet_merge(store, "main", "other", &options, NULL), -EEXIST);
    assert_int_equal(head("main"), before);
}

static int count_map(void *ctx, const struct ramet_map_info *info)
{
    *(uint64_t *)ctx += info->entries;
    return 0;
}

/* A diff that looked at a transaction leaves it as it was: its maps are listed, and its savepoints
 * are as good. */
static void diff_of_a_writer(void **state)
{
    (void)state;
    struct ramet_txn *old, *txn;
    struct ramet_map *map;
    struct ramet_diff *diff;
    struct ramet_slice value;
    struct ramet_change change = {.size = sizeof(change)};
    uint32_t savepoint;
    put("main", "m", "a", "1");
    assert_int_equal(ramet_begin(store, "main", RAMET_READ, &old), 0);
    assert_int_equal(ramet_begin(store, "main", RAMET_WRITE, &txn), 0);
    assert_int_equal(ramet_map_open(txn, "m", 0, &map), 0);
    assert_int_equal(ramet_put(map, text("b"), text("2"), 0), 0);
    assert_int_equal(ramet_diff_open(old, txn, NULL, &diff), 0);
    assert_int_equal(ramet_diff_next(diff, &change), 0);
    assert_int_equal(change.kind, RAMET_ADDED);
    assert_string_equal(shown(change.key), "b");
    assert_int_equal(ramet_diff_next(diff, &change), RAMET_ENOTFOUND);
    ramet_diff_close(diff);
    uint64_t entries = 0;
    assert_int_equal(ramet_map_list(txn, count_map, &entries), 0);
    assert_int_equal(entries, 2);
    assert_int_equal(ramet_savepoint(txn, &savepoint), 0);
    assert_int_equal(ramet_put(map, text("c"), text("3"), 0), 0);
    assert_int_equal(ramet_rollback(txn, savepoint), 0);
    assert_int_equal(ramet_get(map, text("b"), &value), 0);
    assert_int_equal(ramet_get(map, text("c"), &value), RAMET_ENOTFOUND);
    assert_int_equal(ramet_commit(txn, NULL, NULL), 0);
    ramet_abort(old);
    assert_string_equal(get("main", "m", "b"), "2");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(three_ways),
        CASE(fast_forward),
        CASE(into_itself),
        CASE(dry_run),
        CASE(conflicts),
        CASE(keep_conflicts),
        CASE(rules),
        CASE(maps),
        CASE(criss_cross),
        CASE(criss_cross_unknown),
        CASE(criss_cross_counter),
        CASE(criss_cross_hundredfold),
        CASE(three_bases),
        CASE(three_bases_that_share),
        CASE(by_way_of_a_third),
        CASE(huge),
        CASE(progress),
        CASE(huge_difference),
        CASE(large_conflict),
        CASE(pick_and_revert),
        CASE(a_branch_with_nothing_below),
        CASE(history),
        CASE(prune),
        CASE(diff_of_a_writer),
        CASE(misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
