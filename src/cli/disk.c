/* SPDX-License-Identifier: MIT */
/*
 * disk.c - commands on disks, which are blobs: create, clone, list, stat, resize, defragment,
 * snapshot, drop.
 */
#include "disk.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "interrupt.h"
#include "progress.h"
#include "table.h"

int rmt_disk_open(struct rmt_session *s, const char *name, struct ramet_blob **out)
{
    int rc = ramet_blob_open(s->txn, name, 0, out);
    if (rc == RAMET_ENOTFOUND) {
        rmt_output_error("no disk '%s' in '%s'; 'ramet disk list %s %s' lists them", name,
                         s->branch, s->path, s->branch);
        return RMT_EXIT_FAILED;
    }
    return rc < 0 ? rmt_session_fail(rc, "disk '%s'", name) : RMT_EXIT_OK;
}

int rmt_disk_lease(struct rmt_session *s, const char *name, struct ramet_lease **out)
{
    int rc = ramet_blob_lease(s->store, s->branch, name, RAMET_NOWAIT, out);
    if (rc == -EBUSY) {
        rmt_output_error("disk '%s' of '%s' is in use: it is served, or somebody else writes it; "
                         "try again when that has ended",
                         name, s->branch);
        return RMT_EXIT_FAILED;
    }
    return rc < 0 ? rmt_session_fail(rc, "disk '%s' of '%s'", name, s->branch) : RMT_EXIT_OK;
}

static int parse_size(const char *word, uint64_t *out)
{
    if (!rmt_text_size(word, out))
        return rmt_session_usage("a size is a number of bytes, or one with K, M, G, T or P: "
                                 "10G, not '%s'",
                                 word);
    if (*out > RAMET_BLOB_MAX)
        return rmt_session_usage("a disk has at most %" PRIu64 " bytes", RAMET_BLOB_MAX);
    return RMT_EXIT_OK;
}

/* Opens the store, leases the disk, and begins to write. */
static int begin_write(struct rmt_session *s, struct ramet_lease **out_lease)
{
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (!status)
        status = rmt_disk_lease(s, s->args.operand[1], out_lease);
    if (status)
        return status;
    int rc = ramet_begin(s->store, s->branch, RAMET_WRITE, &s->txn);
    return rc < 0 ? rmt_session_fail(rc, "'%s' of '%s'", s->branch, s->path) : RMT_EXIT_OK;
}

/* ---- create, resize, drop ----------------------------------------------------------------------
 */

static int create(struct rmt_session *s, uint64_t size)
{
    const char *name = s->args.operand[1];
    struct ramet_blob *blob;
    int rc = ramet_blob_open(s->txn, name, 0, &blob);
    if (rc == 0) {
        rmt_output_error("there is a disk '%s' in '%s' already; nothing was changed", name,
                         s->branch);
        return RMT_EXIT_FAILED;
    }
    if (rc == RAMET_ENOTFOUND)
        rc = ramet_blob_open(s->txn, name, RAMET_CREATE, &blob);
    if (rc == 0)
        rc = ramet_blob_truncate(blob, size);
    return rc < 0 ? rmt_session_fail(rc, "cannot make disk '%s'", name) : rmt_session_commit(s);
}

/* What takes a size: it is judged before anything is opened. */
static int with_size(struct rmt_session *s, int (*change)(struct rmt_session *s, uint64_t size))
{
    struct ramet_lease *lease = NULL;
    uint64_t size;
    int status = parse_size(s->args.operand[2], &size);
    if (!status)
        status = begin_write(s, &lease);
    if (!status)
        status = change(s, size);
    rmt_session_abort(s);
    ramet_lease_end(lease);
    return status;
}

int rmt_disk_create(struct rmt_session *s)
{
    return with_size(s, create);
}

static int resize(struct rmt_session *s, uint64_t size)
{
    const char *name = s->args.operand[1];
    struct ramet_blob *blob;
    uint64_t old;
    int status = rmt_disk_open(s, name, &blob);
    if (status)
        return status;
    int rc = ramet_blob_size(blob, &old);
    if (rc == 0 && size < old && !s->args.force) {
        rmt_output_error("disk '%s' has %" PRIu64 " bytes, and what lies behind %" PRIu64
                         " would be lost; --force cuts it off",
                         name, old, size);
        return RMT_EXIT_FAILED;
    }
    if (rc == 0)
        rc = ramet_blob_truncate(blob, size);
    return rc < 0 ? rmt_session_fail(rc, "cannot resize disk '%s'", name) : rmt_session_commit(s);
}

int rmt_disk_resize(struct rmt_session *s)
{
    return with_size(s, resize);
}

/* ---- defragment ------------------------------------------------------------------------------ */

enum {
    DEFRAGMENT_PIECES = 1000,     /* a region has mappings to spare */
    DEFRAGMENT_COMMIT = 64 << 20, /* bytes */
};

/* One commit. *pieces: in how many the disk lay, then lies. */
static int defragment_some(struct rmt_session *s, uint64_t *pieces)
{
    const char *name = s->args.operand[1];
    struct ramet_blob *blob;
    int status = rmt_disk_open(s, name, &blob);
    if (status)
        return status;
    int rc = ramet_blob_defragment(blob, DEFRAGMENT_PIECES, DEFRAGMENT_COMMIT, pieces);
    return rc < 0 ? rmt_session_fail(rc, "cannot defragment disk '%s'", name)
                  : rmt_session_commit(s);
}

static int defragment(struct rmt_session *s, uint64_t *out_before, uint64_t *out_after)
{
    struct rmt_progress progress;
    struct ramet_blob *blob;
    uint64_t pieces = 0;
    int status = rmt_disk_open(s, s->args.operand[1], &blob);
    int rc = status ? 0 : ramet_blob_defragment(blob, 1, 0, &pieces);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot look at disk '%s'", s->args.operand[1]);
    uint64_t before = pieces, last = UINT64_MAX;
    rmt_interrupt_catch();
    rmt_progress_start(&progress, "defragment", "pieces", before);
    while (!status && pieces > DEFRAGMENT_PIECES && pieces < last) {
        last = pieces;
        status = defragment_some(s, &pieces);
        rmt_progress_update(&progress, before - pieces, before - pieces, 0);
        if (!status && rmt_interrupt_seen())
            status = RMT_EXIT_INTERRUPTED; /* what is done is done */
        rc = status ? 0 : ramet_begin(s->store, s->branch, RAMET_WRITE, &s->txn);
        if (rc < 0)
            status = rmt_session_fail(rc, "'%s' of '%s'", s->branch, s->path);
    }
    rmt_progress_clear();
    *out_before = before;
    *out_after = pieces;
    return status;
}

int rmt_disk_defragment(struct rmt_session *s)
{
    struct ramet_lease *lease = NULL;
    uint64_t before = 0, after = 0;
    int status = begin_write(s, &lease);
    if (!status)
        status = defragment(s, &before, &after);
    rmt_session_abort(s);
    ramet_lease_end(lease);
    if (status)
        return status;
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_str(object, "disk", s->args.operand[1]);
        rmt_output_json_int(object, "runs_before", before);
        rmt_output_json_int(object, "runs", after);
        rmt_output_json(object);
    } else if (before > after) {
        printf("%s: lay in %" PRIu64 " pieces of the file, lies in %" PRIu64 " at most\n",
               s->args.operand[1], before, after);
    } else {
        printf("%s: lies in %" PRIu64 " pieces of the file: that is few\n", s->args.operand[1],
               before);
    }
    return rmt_session_reclaim(s);
}

/* ---- drop ------------------------------------------------------------------------------------ */

int rmt_disk_drop(struct rmt_session *s)
{
    const char *name = s->args.operand[1];
    struct ramet_lease *lease = NULL;
    struct ramet_blob *blob;
    int status = begin_write(s, &lease);
    if (!status)
        status = rmt_disk_open(s, name, &blob);
    if (!status) {
        int rc = ramet_blob_drop(s->txn, name);
        status =
            rc < 0 ? rmt_session_fail(rc, "cannot drop disk '%s'", name) : rmt_session_commit(s);
    }
    rmt_session_abort(s);
    ramet_lease_end(lease);
    return status ? status : rmt_session_reclaim(s);
}

/* ---- clone, snapshot ---------------------------------------------------------------------------
 */

/* A branch without the disk that it is made for would be a slip. */
static int check_there(struct rmt_session *s)
{
    struct ramet_blob *blob;
    int rc = ramet_begin(s->store, s->branch, RAMET_READ, &s->txn);
    if (rc < 0)
        return rmt_session_fail(rc, "'%s' of '%s'", s->branch, s->path);
    int status = rmt_disk_open(s, s->args.operand[1], &blob);
    rmt_session_abort(s);
    return status;
}

int rmt_disk_clone(struct rmt_session *s)
{
    const char *branch = s->args.operand[2];
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (!status)
        status = check_there(s);
    if (status)
        return status;
    int rc = ramet_branch_create(s->store, branch, s->branch);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot branch '%s' from '%s'", branch, s->branch);
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_str(object, "disk", s->args.operand[1]);
        rmt_output_json_str(object, "branch", branch);
        rmt_output_json(object);
    }
    return RMT_EXIT_OK;
}

int rmt_disk_snapshot(struct rmt_session *s)
{
    s->args.name = s->args.operand[2];
    int status = rmt_session_open(s, RAMET_MUST_EXIST);
    if (!status)
        status = check_there(s);
    if (status)
        return status;
    ramet_close(s->store);
    s->store = NULL;
    return rmt_versions_snapshot(s);
}

/* ---- list, stat --------------------------------------------------------------------------------
 */

struct disk_list {
    json_t *array;           /* or NULL */
    struct rmt_table *table; /* or NULL: the names alone */
};

static int list_disk(void *ctx, const struct ramet_blob_info *info)
{
    struct disk_list *list = ctx;
    if (list->array) {
        json_t *object = json_object();
        rmt_output_json_str(object, "name", info->name);
        rmt_output_json_int(object, "bytes", info->bytes);
        rmt_output_json_int(object, "data_bytes", info->data_bytes);
        json_array_append_new(list->array, object);
    } else if (list->table) {
        rmt_table_add(list->table, info->name);
        rmt_table_add_number(list->table, info->bytes);
        rmt_table_add_number(list->table, info->data_bytes);
    } else {
        rmt_output_name(info->name);
    }
    return 0;
}

int rmt_disk_list(struct rmt_session *s)
{
    static const char *const titles[] = {"DISK", ">BYTES", ">DATA", NULL};
    if (s->args.nr_operands > 1)
        s->args.branch = s->args.operand[1];
    int status = rmt_session_read(s);
    if (status)
        return status;
    struct rmt_table table;
    rmt_table_init(&table, titles);
    struct disk_list list = {
        .array = s->args.json ? json_array() : NULL,
        .table = s->args.long_list || isatty(STDOUT_FILENO) ? &table : NULL,
    };
    int rc = ramet_blob_list(s->txn, list_disk, &list);
    if (rc < 0)
        status = rmt_session_fail(rc, "cannot list the disks of '%s'", s->branch);
    else if (list.array)
        rmt_output_json(json_incref(list.array));
    else if (list.table)
        rmt_table_print(&table);
    json_decref(list.array);
    rmt_table_free(&table);
    return status;
}

struct extents {
    json_t *array; /* or NULL */
    bool print;
    uint64_t bytes[3]; /* by kind */
    uint64_t count;    /* of those with data */
    uint64_t runs;     /* of the file */
};

static int add_extent(void *ctx, const struct ramet_extent *extent)
{
    static const char *const kinds[] = {
        [RAMET_EXTENT_HOLE] = "hole",
        [RAMET_EXTENT_OWNED] = "owned",
        [RAMET_EXTENT_SHARED] = "shared",
    };
    struct extents *extents = ctx;
    extents->bytes[extent->kind] += extent->bytes;
    extents->count += extent->kind != RAMET_EXTENT_HOLE;
    if (extents->array) {
        json_t *object = json_object();
        rmt_output_json_int(object, "offset", extent->offset);
        rmt_output_json_int(object, "bytes", extent->bytes);
        rmt_output_json_str(object, "kind", kinds[extent->kind]);
        json_array_append_new(extents->array, object);
    } else if (extents->print) {
        printf("%" PRIu64 "\t%" PRIu64 "\t%s\n", extent->offset, extent->bytes,
               kinds[extent->kind]);
    }
    return rmt_output_failed();
}

static void print_stat(const struct rmt_session *s, uint64_t size, const struct extents *extents)
{
    uint64_t owned = extents->bytes[RAMET_EXTENT_OWNED];
    uint64_t shared = extents->bytes[RAMET_EXTENT_SHARED];
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_str(object, "name", s->args.operand[1]);
        rmt_output_json_int(object, "bytes", size);
        rmt_output_json_int(object, "data_bytes", owned + shared);
        rmt_output_json_int(object, "owned_bytes", owned);
        rmt_output_json_int(object, "shared_bytes", shared);
        rmt_output_json_int(object, "extents", extents->count);
        rmt_output_json_int(object, "runs", extents->runs);
        if (extents->array)
            json_object_set(object, "list", extents->array);
        rmt_output_json(object);
        return;
    }
    static const char *const titles[] = {"", ">BYTES", "", NULL};
    const struct {
        const char *name;
        uint64_t bytes;
        const char *what;
    } rows[] = {
        {"size", size, "of the disk"},
        {"data", owned + shared, "pages that are there; the rest are holes"},
        {"shared", shared, "of them, that a version below has too"},
        {"owned", owned, "of them, of this version alone"},
        {"extents", extents->count, "pieces that the data is in"},
        {"runs", extents->runs, "pieces of the file that it lies in: 'ramet disk defragment'"},
    };
    struct rmt_table table;
    rmt_table_init(&table, titles);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rmt_table_add(&table, rows[i].name);
        rmt_table_add_number(&table, rows[i].bytes);
        rmt_table_add(&table, rows[i].what);
    }
    rmt_table_print(&table);
    rmt_table_free(&table);
}

int rmt_disk_stat(struct rmt_session *s)
{
    struct ramet_blob *blob;
    struct extents extents = {.print = s->args.extents};
    uint64_t size;
    if (s->args.nr_operands > 2)
        s->args.branch = s->args.operand[2];
    int status = rmt_session_read(s);
    if (!status)
        status = rmt_disk_open(s, s->args.operand[1], &blob);
    if (status)
        return status;
    if (s->args.json && s->args.extents)
        extents.array = json_array();
    int rc = ramet_blob_size(blob, &size);
    if (rc == 0)
        rc = ramet_blob_extents(blob, 0, size, add_extent, &extents);
    if (rc == 0)
        rc = ramet_blob_defragment(blob, 1, 0, &extents.runs);
    if (rc < 0)
        status = rmt_session_fail(rc, "cannot look at disk '%s'", s->args.operand[1]);
    else if (s->args.json || !s->args.extents)
        print_stat(s, size, &extents);
    json_decref(extents.array);
    return status;
}
