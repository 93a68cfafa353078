/* SPDX-License-Identifier: MIT */
#include "store/catalog.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- keys ------------------------------------------------------------------------------------ */

static void add_number(struct rmt_key *key, uint64_t n)
{
    rmt_put_be64(key->bytes + key->size, n);
    key->size += 8;
}

static void add_name(struct rmt_key *key, const char *name)
{
    size_t n = strlen(name);
    rmt_assert(n <= RAMET_NAME_MAX);
    memcpy(key->bytes + key->size, name, n);
    key->size += n;
}

static struct rmt_key begin(char kind)
{
    struct rmt_key key;
    key.bytes[0] = (uint8_t)kind;
    key.size = 1;
    return key;
}

struct rmt_key rmt_key_name(char kind, const char *name)
{
    struct rmt_key key = begin(kind);
    add_name(&key, name);
    return key;
}

struct rmt_key rmt_key1(char kind, uint64_t a)
{
    struct rmt_key key = begin(kind);
    add_number(&key, a);
    return key;
}

struct rmt_key rmt_key2(char kind, uint64_t a, uint64_t b)
{
    struct rmt_key key = rmt_key1(kind, a);
    add_number(&key, b);
    return key;
}

struct rmt_key rmt_key3(char kind, uint64_t a, uint64_t b, uint64_t c)
{
    struct rmt_key key = rmt_key2(kind, a, b);
    add_number(&key, c);
    return key;
}

struct rmt_key rmt_key4(char kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct rmt_key key = rmt_key3(kind, a, b, c);
    add_number(&key, d);
    return key;
}

struct rmt_key rmt_key_chunk(char kind, uint64_t a, uint32_t chunk)
{
    return rmt_key2(kind, a, chunk);
}

struct rmt_key rmt_key1_name(char kind, uint64_t a, const char *name)
{
    struct rmt_key key = rmt_key1(kind, a);
    add_name(&key, name);
    return key;
}

struct rmt_key rmt_key2_name(char kind, uint64_t a, uint64_t b, const char *name)
{
    struct rmt_key key = rmt_key2(kind, a, b);
    add_name(&key, name);
    return key;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int malformed(const struct rmt_pages *pages, char kind)
{
    return rmt_fail(RAMET_ECORRUPT, "store '%s': a record '%c' of the catalog is malformed",
                    pages->io->path, kind);
}

int rmt_catalog_get(struct rmt_pages *pages, const struct rmt_tree *tree, const struct rmt_key *key,
                    void *out, size_t size)
{
    struct rmt_value value;
    int rc = rmt_tree_get(pages, tree, rmt_key_slice(key), &value);
    if (rc < 0)
        return rc;
    if (value.extents || value.size < size)
        return malformed(pages, (char)key->bytes[0]);
    memcpy(out, value.data, size);
    return 0;
}

int rmt_branch_load(struct ramet_slice record, struct rmt_branch *out)
{
    struct rmt_disk_branch disk;
    if (record.size < sizeof(disk))
        return RAMET_ECORRUPT;
    memcpy(&disk, record.data, sizeof(disk));
    *out = (struct rmt_branch){
        .number = rmt_get64(disk.number),
        .head = rmt_get64(disk.head),
        .snapshots = rmt_get64(disk.snapshots),
        .time_us = (int64_t)rmt_get64(disk.time_us),
    };
    return 0;
}

int rmt_catalog_branch(struct rmt_pages *pages, const struct rmt_tree *tree, const char *name,
                       struct rmt_branch *out)
{
    struct rmt_key key = rmt_key_name('b', name);
    struct rmt_disk_branch disk;
    int rc = rmt_catalog_get(pages, tree, &key, &disk, sizeof(disk));
    return rc < 0 ? rc : rmt_branch_load(rmt_slice(&disk, sizeof(disk)), out);
}

int rmt_version_load(const struct rmt_pages *pages, uint64_t number, struct ramet_slice record,
                     struct rmt_version *out)
{
    struct rmt_disk_version disk;
    if (record.size != sizeof(disk))
        return malformed(pages, 'v');
    memcpy(&disk, record.data, sizeof(disk));
    *out = (struct rmt_version){
        .number = number,
        .id = rmt_get64(disk.id),
        .root = rmt_ref_load(&disk.root),
        .prev = rmt_get64(disk.prev),
        .generation = rmt_get64(disk.generation),
        .skip = rmt_get64(disk.skip),
        .parents = {rmt_get64(disk.parents[0]), rmt_get64(disk.parents[1])},
        .time_us = (int64_t)rmt_get64(disk.time_us),
        .total_pages = rmt_get64(disk.total_pages),
        .owned_pages = rmt_get64(disk.owned_pages),
        .dead = rmt_get64(disk.dead),
        .child = rmt_get64(disk.child),
        .children = rmt_get32(disk.children),
        .kept = rmt_get32(disk.kept),
        .pinned = rmt_get32(disk.pinned),
        .flags = rmt_get32(disk.flags),
        .merges = rmt_get32(disk.merges),
        .line = rmt_get64(disk.line),
    };
    if (!rmt_id_legal(out->id) ||
        (!rmt_ref_none(out->root) && !rmt_ref_plausible(pages, out->root, out->id)))
        return malformed(pages, 'v');
    return 0;
}

int rmt_catalog_find_version(struct rmt_pages *pages, const struct rmt_tree *tree, uint64_t number,
                             struct rmt_version *out)
{
    struct rmt_key key = rmt_key1('v', number);
    struct rmt_value value;
    int rc = rmt_tree_get(pages, tree, rmt_key_slice(&key), &value);
    if (rc < 0)
        return rc;
    if (value.extents)
        return malformed(pages, 'v');
    return rmt_version_load(pages, number, rmt_slice(value.data, value.size), out);
}

int rmt_catalog_version(struct rmt_pages *pages, const struct rmt_tree *tree, uint64_t number,
                        struct rmt_version *out)
{
    int rc = rmt_catalog_find_version(pages, tree, number, out);
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': the catalog has no version number %" PRIu64,
                        pages->io->path, number);
    return rc;
}

int rmt_version_older(const struct rmt_pages *pages, const struct rmt_version *other,
                      const struct rmt_version *than)
{
    /* A head that did not move has the id of its snapshot. */
    if (other->id < than->id || (other->id == than->id && than->flags & RMT_VERSION_HEAD &&
                                 !(other->flags & RMT_VERSION_HEAD)))
        return 0;
    return rmt_fail(RAMET_ECORRUPT,
                    "store '%s': version %" PRIu64 " cannot come after version %" PRIu64,
                    pages->io->path, than->id, other->id);
}

int rmt_catalog_below(struct rmt_pages *pages, const struct rmt_tree *tree,
                      const struct rmt_version *v, struct rmt_version *out)
{
    int rc = rmt_catalog_version(pages, tree, v->prev, out);
    return rc < 0 ? rc : rmt_version_older(pages, out, v);
}

int rmt_catalog_number(struct rmt_pages *pages, const struct rmt_tree *tree,
                       const struct rmt_key *key, uint64_t *out)
{
    rmt_le64 disk = {{0}};
    int rc = rmt_catalog_get(pages, tree, key, &disk, sizeof(disk));
    if (rc == 0)
        *out = rmt_get64(disk);
    return rc;
}

/* Puts a message together from what stands in its record, and the rest. Owned. */
static int read_message(struct rmt_pages *pages, const struct rmt_tree *tree,
                        const struct rmt_disk_keep *keep, struct ramet_slice here, char **out)
{
    size_t size = rmt_get32(keep->message_size), at = here.size;
    if (size > RAMET_MESSAGE_MAX || here.size > size)
        return malformed(pages, 'k');
    rmt_auto(free) char *message = malloc(size + 1);
    if (!message)
        return rmt_fail(-ENOMEM, "a message");
    memcpy(message, here.data, here.size);
    for (uint32_t chunk = 0; at < size; chunk++) {
        struct rmt_key key = rmt_key_chunk('m', rmt_get64(keep->message), chunk);
        struct rmt_value value;
        int rc = rmt_tree_get(pages, tree, rmt_key_slice(&key), &value);
        if (rc == RAMET_ENOTFOUND ||
            (rc == 0 && (value.extents || value.size > size - at || !value.size)))
            return malformed(pages, 'm');
        if (rc < 0)
            return rc;
        memcpy(message + at, value.data, value.size);
        at += value.size;
    }
    message[size] = 0;
    *out = rmt_take(message);
    return 0;
}

int rmt_catalog_kept(struct rmt_pages *pages, const struct rmt_tree *tree, struct ramet_slice key,
                     struct ramet_slice record, struct rmt_kept *out)
{
    struct rmt_disk_keep keep;
    memset(out, 0, sizeof(*out));
    if (key.size < 8 || key.size - 8 > RAMET_NAME_MAX || record.size < sizeof(keep))
        return malformed(pages, 'k');
    memcpy(&keep, record.data, sizeof(keep));
    size_t rest = record.size - sizeof(keep), nr_author = rmt_get32(keep.author_size);
    if (nr_author > RAMET_NAME_MAX || nr_author > rest)
        return malformed(pages, 'k');
    const uint8_t *author = (const uint8_t *)record.data + sizeof(keep);
    out->number = rmt_get_be64(key.data);
    out->time_us = (int64_t)rmt_get64(keep.time_us);
    memcpy(out->name, (const uint8_t *)key.data + 8, key.size - 8);
    memcpy(out->author, author, nr_author);
    struct ramet_slice here = rmt_slice(author + nr_author, rest - nr_author);
    return read_message(pages, tree, &keep, here, &out->message);
}

void rmt_kept_fini(struct rmt_kept *kept)
{
    free(kept->message);
    kept->message = NULL;
}

static const char *or_null(const char *s)
{
    return s && s[0] ? s : NULL;
}

void rmt_kept_info(const struct rmt_pages *pages, const struct rmt_kept *kept,
                   const struct rmt_version *v, const char *branch, struct ramet_snapshot_info *out)
{
    *out = (struct ramet_snapshot_info){
        .size = sizeof(*out),
        .id = v->id,
        .branch = branch,
        .name = or_null(kept->name),
        .author = or_null(kept->author),
        .message = or_null(kept->message),
        .time = kept->time_us,
        .generation = v->generation,
        .parents = {v->parents[0], v->parents[1]},
        .owned_bytes = v->owned_pages << pages->page_shift,
        .total_bytes = v->total_pages << pages->page_shift,
    };
}

/* ---- writing --------------------------------------------------------------------------------- */

int rmt_catalog_put(struct rmt_commit *c, const struct rmt_key *key, const void *data, size_t size)
{
    return rmt_tree_put(&c->edit, &c->catalog, rmt_key_slice(key), rmt_slice(data, size), 0);
}

int rmt_catalog_put_branch(struct rmt_commit *c, const char *name, const struct rmt_branch *branch)
{
    struct rmt_key key = rmt_key_name('b', name);
    struct rmt_disk_branch disk = {
        .number = rmt_put64(branch->number),
        .head = rmt_put64(branch->head),
        .snapshots = rmt_put64(branch->snapshots),
        .time_us = rmt_put64((uint64_t)branch->time_us),
    };
    return rmt_catalog_put(c, &key, &disk, sizeof(disk));
}

void rmt_version_save(const struct rmt_version *v, struct rmt_disk_version *out)
{
    *out = (struct rmt_disk_version){
        .id = rmt_put64(v->id),
        .prev = rmt_put64(v->prev),
        .generation = rmt_put64(v->generation),
        .skip = rmt_put64(v->skip),
        .parents = {rmt_put64(v->parents[0]), rmt_put64(v->parents[1])},
        .time_us = rmt_put64((uint64_t)v->time_us),
        .total_pages = rmt_put64(v->total_pages),
        .owned_pages = rmt_put64(v->owned_pages),
        .dead = rmt_put64(v->dead),
        .child = rmt_put64(v->child),
        .children = rmt_put32(v->children),
        .kept = rmt_put32(v->kept),
        .pinned = rmt_put32(v->pinned),
        .flags = rmt_put32(v->flags),
        .merges = rmt_put32(v->merges),
        .line = rmt_put64(v->line),
    };
    rmt_ref_store(&out->root, v->root);
}

int rmt_catalog_put_version(struct rmt_commit *c, const struct rmt_version *v)
{
    struct rmt_key key = rmt_key1('v', v->number);
    struct rmt_disk_version disk;
    rmt_version_save(v, &disk);
    return rmt_catalog_put(c, &key, &disk, sizeof(disk));
}

int rmt_catalog_put_number(struct rmt_commit *c, const struct rmt_key *key, uint64_t number)
{
    rmt_le64 disk = rmt_put64(number);
    return rmt_catalog_put(c, key, &disk, sizeof(disk));
}

int rmt_catalog_del(struct rmt_commit *c, const struct rmt_key *key)
{
    int rc = rmt_tree_del(&c->edit, &c->catalog, rmt_key_slice(key));
    if (rc == RAMET_ENOTFOUND)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': the catalog lacks a record '%c'",
                        c->store->io->path, key->bytes[0]);
    return rc;
}

/* ---- scans ----------------------------------------------------------------------------------- */

void rmt_scan_init(struct rmt_scan *scan, struct rmt_pages *pages, const struct rmt_tree *tree,
                   const struct rmt_key *prefix)
{
    /* A tree that is only read is not changed by a cursor on it; one that is written belongs to its
     * commit. */
    rmt_cursor_init(&scan->cursor, pages, (struct rmt_tree *)(uintptr_t)tree);
    scan->prefix = *prefix;
    scan->from = 0;
    scan->key = scan->value = rmt_slice(NULL, 0);
}

void rmt_scan_fini(struct rmt_scan *scan)
{
    rmt_cursor_fini(&scan->cursor);
}

int rmt_scan_next(struct rmt_scan *scan)
{
    struct rmt_key first = scan->prefix;
    if (scan->from)
        add_number(&first, scan->from);
    bool begun = scan->key.data != NULL;
    int rc = begun ? rmt_cursor_next(&scan->cursor)
                   : rmt_cursor_seek(&scan->cursor, rmt_key_slice(&first));
    struct ramet_slice key;
    struct rmt_value value;
    if (rc == 0)
        rc = rmt_cursor_get(&scan->cursor, &key, &value);
    if (rc == RAMET_ENOTFOUND)
        return 0;
    if (rc < 0)
        return rc;
    if (key.size < scan->prefix.size ||
        memcmp(key.data, scan->prefix.bytes, scan->prefix.size) != 0)
        return 0;
    if (value.extents)
        return malformed(scan->cursor.pages, (char)scan->prefix.bytes[0]);
    scan->key =
        rmt_slice((const uint8_t *)key.data + scan->prefix.size, key.size - scan->prefix.size);
    scan->value = rmt_slice(value.data, value.size);
    return 1;
}

/* ---- names and refs -------------------------------------------------------------------------- */

int rmt_name_check(const char *what, const char *name, bool at)
{
    size_t n = name ? strnlen(name, RAMET_NAME_MAX + 1) : 0;
    if (n == 0)
        return rmt_fail(-EINVAL, "a %s name must not be empty", what);
    if (n > RAMET_NAME_MAX)
        return rmt_fail(-EINVAL, "a %s name has at most %u bytes", what, RAMET_NAME_MAX);
    for (const char *p = name; *p; p++) {
        if ((uint8_t)*p < 0x20 || *p == 0x7f)
            return rmt_fail(-EINVAL, "a %s name must not have control characters", what);
        if (*p == '@' && !at)
            return rmt_fail(-EINVAL, "%s name '%s': '@' stands between a branch and a snapshot",
                            what, name);
    }
    return 0;
}

static int no_such(const char *ref, const char *what)
{
    return rmt_fail(RAMET_ENOTFOUND, "'%s': there is no such %s", ref, what);
}

static int find_id(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *ref,
                   uint64_t *out)
{
    char *end;
    errno = 0;
    uint64_t id = strtoull(ref + 1, &end, 10);
    if (ref[1] < '0' || ref[1] > '9' || *end || errno)
        return rmt_fail(-EINVAL, "'%s': a snapshot is named @ID or BRANCH@NAME", ref);
    struct rmt_key key = rmt_key1('i', id);
    int rc = rmt_catalog_number(pages, catalog, &key, out);
    return rc == RAMET_ENOTFOUND ? no_such(ref, "snapshot") : rc;
}

static int find_name(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *ref,
                     const char *at, uint64_t *out)
{
    char name[RAMET_NAME_MAX + 1];
    (void)snprintf(name, sizeof(name), "%.*s", (int)(at - ref), ref);
    int rc = rmt_name_check("snapshot", at + 1, false);
    if (rc < 0)
        return rc;
    struct rmt_branch branch;
    rc = rmt_catalog_branch(pages, catalog, name, &branch);
    if (rc == RAMET_ENOTFOUND)
        return no_such(name, "branch");
    if (rc < 0)
        return rc;
    struct rmt_key key = rmt_key1_name('n', branch.number, at + 1);
    rc = rmt_catalog_number(pages, catalog, &key, out);
    return rc == RAMET_ENOTFOUND ? no_such(ref, "snapshot") : rc;
}

/* A ref without ~N. */
static int find_plain(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *ref,
                      struct rmt_found *out)
{
    const char *at = strchr(ref, '@');
    uint64_t number, branch_number = 0;
    int rc;
    if (at == ref) {
        rc = find_id(pages, catalog, ref, &number);
    } else if (at && at - ref <= (ptrdiff_t)RAMET_NAME_MAX) {
        rc = find_name(pages, catalog, ref, at, &number);
    } else {
        struct rmt_branch branch;
        rc = rmt_name_check("branch", ref, false);
        if (rc == 0)
            rc = rmt_catalog_branch(pages, catalog, ref, &branch);
        if (rc == RAMET_ENOTFOUND)
            return no_such(ref, "branch");
        if (rc == 0) {
            number = branch.head;
            branch_number = branch.number;
        }
    }
    if (rc < 0)
        return rc;
    rc = rmt_catalog_version(pages, catalog, number, &out->version);
    if (rc < 0)
        return rc;
    if (!branch_number && !out->version.kept)
        return no_such(ref, "snapshot");
    out->branch = branch_number;
    out->name_size = branch_number ? strlen(ref) : 0;
    out->below = 0;
    return 0;
}

/* Goes from a version to the nth that somebody keeps below it; n is not 0. */
static int go_below(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *ref,
                    uint64_t n, struct rmt_version *v)
{
    struct rmt_version prev = {.number = 0};
    int rc = 0;
    if (v->flags & RMT_VERSION_HEAD && v->prev) { /* one that did not move is its snapshot */
        rc = rmt_catalog_version(pages, catalog, v->prev, &prev);
        if (rc == 0 && prev.id == v->id)
            *v = prev;
    }
    for (uint64_t i = 0; rc == 0 && i < n;) {
        prev = *v;
        if (!v->prev)
            return rmt_fail(RAMET_ENOTFOUND, "'%s': there are only %" PRIu64 " versions below", ref,
                            i);
        rc = rmt_catalog_below(pages, catalog, &prev, v);
        i += v->kept != 0;
    }
    return rc;
}

int rmt_ref_find(struct rmt_pages *pages, const struct rmt_tree *catalog, const char *ref,
                 struct rmt_found *out)
{
    if (!ref)
        ref = "main";
    const char *tilde = strrchr(ref, '~');
    char plain[2 * RAMET_NAME_MAX + 2], *end;
    int rc = find_plain(pages, catalog, ref, out); /* a name may have one, too */
    if (rc != RAMET_ENOTFOUND && rc != -EINVAL)
        return rc;
    if (!tilde || (size_t)(tilde - ref) >= sizeof(plain) || tilde[1] < '0' || tilde[1] > '9')
        return rc;
    errno = 0;
    uint64_t n = strtoull(tilde + 1, &end, 10);
    if (*end || errno)
        return rc;
    memcpy(plain, ref, (size_t)(tilde - ref));
    plain[tilde - ref] = 0;
    rc = find_plain(pages, catalog, plain, out);
    if (rc < 0 || n == 0)
        return rc;
    *out = (struct rmt_found){.version = out->version, .below = n};
    return go_below(pages, catalog, ref, n, &out->version);
}
