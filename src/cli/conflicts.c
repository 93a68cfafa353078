/* SPDX-License-Identifier: MIT */
/*
 * conflicts.c - what a merge could not decide: conflicts, resolve.
 */
#include "conflicts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "diskdiff.h"
#include "interrupt.h"

/* ---- one conflict ------------------------------------------------------------------------------
 */

static void add_json(struct rmt_buf *buf, const char *name, struct ramet_slice value)
{
    rmt_buf_add_byte(buf, ',');
    if (value.data)
        rmt_text_json(buf, name, value);
    else
        rmt_buf_printf(buf, "\"%s\":null", name);
}

/* "=" tells a value from none, whatever its bytes. */
static void add_value(struct rmt_buf *buf, const char *name, struct ramet_slice value)
{
    rmt_buf_printf(buf, "  %-6s ", name);
    if (value.data) {
        rmt_buf_add_str(buf, "= ");
        rmt_text_escape(buf, value);
    } else {
        rmt_buf_add_str(buf, "(absent)");
    }
    rmt_buf_add_byte(buf, '\n');
}

static bool is_disk(const char *map)
{
    return map[0] == RAMET_BLOB_MARK;
}

/* Bytes of a page, which are zeros where it is a hole. */
static unsigned byte_of(struct ramet_slice page, size_t i)
{
    return page.data ? ((const unsigned char *)page.data)[i] : 0;
}

static void add_page(struct rmt_buf *buf, const char *name, struct ramet_slice page,
                     struct ramet_slice base, uint64_t off, size_t page_size)
{
    size_t nr = 0, first = 0;
    for (size_t i = page_size; i > 0; i--) {
        bool differs = byte_of(page, i - 1) != byte_of(base, i - 1);
        nr += differs;
        first = differs ? i - 1 : first;
    }
    rmt_buf_printf(buf, "  %-6s %s", name, page.data ? "= data" : "(a hole: zeros)");
    if (nr)
        rmt_buf_printf(buf, "; %zu byte%s not as in base, the first at %" PRIu64, nr,
                       nr == 1 ? " is" : "s are", off + first);
    rmt_buf_add_byte(buf, '\n');
}

static void add_size(struct rmt_buf *buf, const char *name, struct ramet_slice value)
{
    if (value.data)
        rmt_buf_printf(buf, "  %-6s = %" PRIu64 "\n", name, rmt_diskdiff_size(value));
    else
        rmt_buf_printf(buf, "  %-6s (absent)\n", name);
}

static void add_disk_text(struct rmt_buf *buf, const struct ramet_conflict *conflict,
                          size_t page_size)
{
    uint64_t off = rmt_diskdiff_page(conflict->key) * page_size;
    bool of_size = conflict->key.size == 1;
    rmt_buf_add_str(buf, rmt_output_bold(stdout));
    rmt_text_escape(buf, rmt_text_slice(conflict->map + 1));
    if (of_size)
        rmt_buf_add_str(buf, "\tsize");
    else
        rmt_buf_printf(buf, "\t%" PRIu64, off);
    rmt_buf_printf(buf, "%s\n", rmt_output_plain(stdout));
    if (of_size) {
        add_size(buf, "base", conflict->base);
        add_size(buf, "ours", conflict->ours);
        add_size(buf, "theirs", conflict->theirs);
        return;
    }
    add_page(buf, "base", conflict->base, conflict->base, off, page_size);
    add_page(buf, "ours", conflict->ours, conflict->base, off, page_size);
    add_page(buf, "theirs", conflict->theirs, conflict->base, off, page_size);
}

static void add_size_json(struct rmt_buf *buf, const char *name, struct ramet_slice value)
{
    if (value.data)
        rmt_buf_printf(buf, ",\"%s\":%" PRIu64, name, rmt_diskdiff_size(value));
    else
        rmt_buf_printf(buf, ",\"%s\":null", name);
}

static void add_disk_json(struct rmt_buf *buf, const struct ramet_conflict *conflict,
                          size_t page_size)
{
    rmt_buf_add_byte(buf, '{');
    rmt_text_json(buf, "disk", rmt_text_slice(conflict->map + 1));
    if (conflict->key.size == 1) {
        rmt_buf_add_str(buf, ",\"what\":\"size\"");
        add_size_json(buf, "base", conflict->base);
        add_size_json(buf, "ours", conflict->ours);
        add_size_json(buf, "theirs", conflict->theirs);
    } else {
        rmt_buf_printf(buf, ",\"what\":\"page\",\"offset\":%" PRIu64 ",\"bytes\":%zu",
                       rmt_diskdiff_page(conflict->key) * page_size, page_size);
        add_json(buf, "base", conflict->base);
        add_json(buf, "ours", conflict->ours);
        add_json(buf, "theirs", conflict->theirs);
    }
    rmt_buf_add_str(buf, "}\n");
}

static void add_disk(struct rmt_buf *buf, const struct ramet_conflict *conflict, bool json)
{
    /* One of the three is there. */
    size_t page_size = conflict->ours.data     ? conflict->ours.size
                       : conflict->theirs.data ? conflict->theirs.size
                                               : conflict->base.size;
    if (json)
        add_disk_json(buf, conflict, page_size);
    else
        add_disk_text(buf, conflict, page_size);
}

void rmt_conflicts_add(struct rmt_buf *buf, const struct ramet_conflict *conflict, bool json)
{
    struct ramet_slice map = rmt_text_slice(conflict->map);
    if (is_disk(conflict->map)) {
        add_disk(buf, conflict, json);
        return;
    }
    if (json) {
        rmt_buf_add_byte(buf, '{');
        rmt_text_json(buf, "map", map);
        add_json(buf, "key", conflict->key);
        add_json(buf, "base", conflict->base);
        add_json(buf, "ours", conflict->ours);
        add_json(buf, "theirs", conflict->theirs);
        rmt_buf_add_str(buf, "}\n");
        return;
    }
    rmt_buf_add_str(buf, rmt_output_bold(stdout));
    rmt_text_escape(buf, map);
    rmt_buf_add_byte(buf, '\t');
    rmt_text_escape(buf, conflict->key);
    rmt_buf_add_str(buf, rmt_output_plain(stdout));
    rmt_buf_add_byte(buf, '\n');
    add_value(buf, "base", conflict->base);
    add_value(buf, "ours", conflict->ours);
    add_value(buf, "theirs", conflict->theirs);
}

void rmt_conflicts_number(struct rmt_buf *buf, uint64_t n)
{
    rmt_text_grouped(buf, n);
    rmt_buf_add_str(buf, n == 1 ? " conflict" : " conflicts");
}

/* ---- conflicts ---------------------------------------------------------------------------------
 */

struct listing {
    bool json;
    struct rmt_buf text;
};

static int print_one(void *ctx, const struct ramet_conflict *conflict)
{
    struct listing *listing = ctx;
    struct rmt_buf *text = &listing->text;
    rmt_buf_clear(text);
    rmt_conflicts_add(text, conflict, listing->json);
    (void)fwrite(text->data, 1, text->size, stdout); /* asked on the next line */
    return rmt_output_failed() || rmt_interrupt_seen();
}

int rmt_conflicts_list(struct rmt_session *s)
{
    struct listing listing = {.json = s->args.json};
    if (s->args.nr_operands > 1)
        s->args.branch = s->args.operand[1];
    int status = rmt_session_read(s);
    if (status)
        return status;
    rmt_interrupt_catch();
    int rc = ramet_conflict_list(s->txn, print_one, &listing);
    rmt_buf_free(&listing.text);
    if (rmt_interrupt_seen())
        return RMT_EXIT_INTERRUPTED;
    return rc < 0 ? rmt_session_fail(rc, "cannot list the conflicts of '%s'", s->branch)
                  : RMT_EXIT_OK;
}

/* ---- resolve -----------------------------------------------------------------------------------
 */

enum { CHOICE_PUT = 100, CHOICE_DELETE }; /* beside RAMET_RESOLVE_* */

struct resolving {
    struct rmt_session *s;
    int choice;
    struct ramet_slice value; /* of CHOICE_PUT */
    const char *only;         /* --all: of this map; NULL: of every one */
    struct rmt_buf found;     /* --all: of each, its map with a NUL, the size of its key, its key */
    uint64_t nr_found;
    uint64_t nr_disks; /* of them, in disks */
    uint64_t resolved;
    uint64_t left;
};

/* What is to become of the entry: just one of the options. */
static int find_choice(const struct rmt_args *args, int *out)
{
    const struct {
        bool given;
        int choice;
    } choices[] = {
        {args->ours, RAMET_RESOLVE_OURS},  {args->theirs, RAMET_RESOLVE_THEIRS},
        {args->base, RAMET_RESOLVE_BASE},  {args->as_is, RAMET_RESOLVE_AS_IS},
        {args->value != NULL, CHOICE_PUT}, {args->delete_key, CHOICE_DELETE},
    };
    int given = 0;
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if (!choices[i].given)
            continue;
        *out = choices[i].choice;
        given++;
    }
    if (given != 1)
        return rmt_session_usage(
            "give %s of --ours, --theirs, --base, --as-is, --value VALUE and --delete",
            given ? "just one" : "one");
    if (args->all && args->nr_operands == 3)
        return rmt_session_usage("a KEY, and --all as well: one of them is too much");
    if (!args->all && args->nr_operands < 3)
        return rmt_session_usage("%s is missing; --all means all",
                                 args->nr_operands < 2 ? "MAP KEY" : "KEY");
    if (args->all && args->value)
        return rmt_session_usage("--value is for one entry, not for --all");
    return RMT_EXIT_OK;
}

static int collect(void *ctx, const struct ramet_conflict *conflict)
{
    struct resolving *r = ctx;
    bool disk = is_disk(conflict->map);
    if (r->only && strcmp(r->only, conflict->map + disk) != 0)
        return 0;
    r->nr_disks += disk;
    rmt_buf_add(&r->found, conflict->map, strlen(conflict->map) + 1);
    rmt_buf_add(&r->found, &conflict->key.size, sizeof(conflict->key.size));
    rmt_buf_add(&r->found, conflict->key.data, conflict->key.size);
    r->nr_found++;
    return 0;
}

static int count_one(void *ctx, const struct ramet_conflict *conflict)
{
    (void)conflict;
    ++*(uint64_t *)ctx;
    return 0;
}

/* What no version has: it is written, and so it stays. */
static int write_entry(const struct resolving *r, const char *name, struct ramet_slice key)
{
    struct ramet_map *map;
    bool put = r->choice == CHOICE_PUT;
    int rc = ramet_map_open(r->s->txn, name, put ? RAMET_CREATE : 0, &map);
    if (rc == 0)
        rc = put ? ramet_put(map, key, r->value, 0) : ramet_del(map, key);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

/* 0, RAMET_ENOTFOUND: there is no such conflict, or another code. */
static int resolve_one(struct resolving *r, const char *map, struct ramet_slice key)
{
    bool writes = r->choice == CHOICE_PUT || r->choice == CHOICE_DELETE;
    int rc = ramet_conflict_resolve(r->s->txn, map, key, writes ? RAMET_RESOLVE_AS_IS : r->choice);
    if (rc == 0 && writes)
        rc = write_entry(r, map, key);
    r->resolved += rc == 0;
    return rc;
}

/* Only versions have what a disk could get. */
static int no_such_choice(void)
{
    return rmt_session_usage("what is in conflict in a disk gets --ours, --theirs or --base, or "
                             "stays --as-is");
}

static int resolve_found(struct resolving *r)
{
    struct rmt_session *s = r->s;
    r->only = s->args.nr_operands > 1 ? s->args.operand[1] : NULL;
    int rc = ramet_conflict_list(s->txn, collect, r);
    if (rc == 0 && r->nr_disks && r->choice == CHOICE_DELETE)
        return no_such_choice();
    const char *p = rmt_buf_str(&r->found);
    for (uint64_t i = 0; rc == 0 && i < r->nr_found; i++) {
        const char *map = p;
        struct ramet_slice key;
        p += strlen(map) + 1;
        memcpy(&key.size, p, sizeof(key.size));
        p += sizeof(key.size);
        key.data = p;
        p += key.size;
        rc = resolve_one(r, map, key);
    }
    if (rc < 0)
        return rmt_session_fail(rc, "cannot resolve; nothing was changed");
    return RMT_EXIT_OK;
}

/* What a word is as a key of a disk, in buf: "size", or an offset in the page. */
static bool disk_key(const struct rmt_session *s, const char *word, unsigned char *buf,
                     struct ramet_slice *out)
{
    struct ramet_stat stat = {.size = sizeof(stat)};
    char *end;
    *out = (struct ramet_slice){buf, 1};
    buf[0] = 0;
    if (!strcmp(word, "size"))
        return true;
    errno = 0;
    uint64_t page = strtoull(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end || errno || ramet_stat(s->store, &stat) < 0)
        return false;
    page /= stat.page_size;
    out->size = 8;
    for (size_t i = 8; i > 0; i--, page >>= 8)
        buf[i - 1] = (unsigned char)page;
    return true;
}

/* RAMET_ENOTFOUND: there is no conflict, or no such disk. */
static int resolve_disk(struct resolving *r, const char *disk, const char *word)
{
    unsigned char buf[8];
    struct ramet_slice key;
    struct rmt_buf name = {0};
    int rc = RAMET_ENOTFOUND;
    rmt_buf_add_byte(&name, RAMET_BLOB_MARK);
    rmt_buf_add_str(&name, disk);
    if (name.size <= RAMET_NAME_MAX && disk_key(r->s, word, buf, &key))
        rc = ramet_conflict_resolve(r->s->txn, rmt_buf_str(&name), key, r->choice);
    r->resolved += rc == 0;
    rmt_buf_free(&name);
    return rc;
}

static int resolve_given(struct resolving *r)
{
    struct rmt_session *s = r->s;
    const char *map = s->args.operand[1];
    const char *key = s->args.operand[2];
    int rc = resolve_one(r, map, rmt_text_slice(key));
    if (rc == RAMET_ENOTFOUND && r->choice < CHOICE_PUT)
        rc = resolve_disk(r, map, key);
    if (rc == RAMET_ENOTFOUND) {
        rmt_output_error("no conflict at key '%s' in map '%s' of '%s'; 'ramet conflicts %s %s' "
                         "lists them",
                         key, map, s->branch, s->path, s->branch);
        return RMT_EXIT_ABSENT;
    }
    return rc < 0 ? rmt_session_fail(rc, "cannot resolve key '%s'", key) : RMT_EXIT_OK;
}

static void say_left(const struct resolving *r, uint64_t id)
{
    const struct rmt_session *s = r->s;
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_int(object, "id", id);
        rmt_output_json_int(object, "resolved", r->resolved);
        rmt_output_json_int(object, "left", r->left);
        rmt_output_json(object);
        return;
    }
    struct rmt_buf text = {0};
    if (r->left)
        rmt_conflicts_number(&text, r->left);
    else
        rmt_buf_add_str(&text, "no conflicts");
    rmt_buf_add_str(&text, " left in ");
    rmt_text_escape(&text, rmt_text_slice(s->branch));
    (void)puts(rmt_buf_str(&text)); /* rmt_output_finish() asks */
    rmt_buf_free(&text);
}

static int resolve(struct resolving *r)
{
    struct rmt_session *s = r->s;
    int status = rmt_session_write(s);
    if (!status)
        status = s->args.all ? resolve_found(r) : resolve_given(r);
    if (status)
        return status;
    int rc = ramet_conflict_list(s->txn, count_one, &r->left);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot count what is left; nothing was changed");
    uint64_t id = ramet_txn_id(s->txn);
    if (r->resolved)
        status = rmt_session_publish(s, &id);
    if (!status)
        say_left(r, id);
    return status;
}

int rmt_conflicts_resolve(struct rmt_session *s)
{
    struct resolving r = {.s = s};
    struct rmt_buf from_stdin = {0};
    int status = find_choice(&s->args, &r.choice);
    if (status)
        return status;
    if (r.choice == CHOICE_PUT) {
        r.value = rmt_text_slice(s->args.value);
        if (!strcmp(s->args.value, "-")) {
            status = rmt_session_slurp(&from_stdin);
            r.value = rmt_buf_slice(&from_stdin);
        }
    }
    if (!status)
        status = resolve(&r);
    rmt_buf_free(&r.found);
    rmt_buf_free(&from_stdin);
    return status;
}
