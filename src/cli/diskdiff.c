/* SPDX-License-Identifier: MIT */
#include "diskdiff.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- ranges ------------------------------------------------------------------------------------
 */

static int add_name(void *ctx, const struct ramet_blob_info *info)
{
    rmt_buf_add(ctx, info->name, strlen(info->name) + 1);
    return 0;
}

/* Names of a version's disks, in order, each with a NUL. */
static int list_names(struct ramet_txn *txn, const char *only, struct rmt_buf *out)
{
    struct ramet_blob *blob;
    if (!txn)
        return 0;
    if (!only)
        return ramet_blob_list(txn, add_name, out);
    int rc = ramet_blob_open(txn, only, 0, &blob);
    if (rc == 0)
        rmt_buf_add(out, only, strlen(only) + 1);
    return rc == RAMET_ENOTFOUND ? 0 : rc;
}

struct ranges {
    const char *disk;
    uint64_t end; /* nothing lies behind */
    rmt_disk_change_fn fn;
    void *ctx;
};

static int tell_range(void *ctx, const struct ramet_extent *extent)
{
    struct ranges *ranges = ctx;
    if (extent->offset >= ranges->end)
        return 0;
    uint64_t left = ranges->end - extent->offset;
    struct rmt_disk_change change = {
        .disk = ranges->disk,
        .kind = extent->kind == RAMET_EXTENT_HOLE ? RMT_DISK_HOLE : RMT_DISK_DATA,
        .numbers = {extent->offset, extent->bytes < left ? extent->bytes : left},
    };
    return ranges->fn(ranges->ctx, &change);
}

/* A disk that at least one of the two has. */
static int diff_disk(struct ramet_txn *from, struct ramet_txn *to, const char *disk,
                     rmt_disk_change_fn fn, void *ctx)
{
    struct ramet_blob *old = NULL, *new = NULL;
    uint64_t sizes[2] = {0, 0};
    int rc = from ? ramet_blob_open(from, disk, 0, &old) : 0;
    if (rc == 0 && to)
        rc = ramet_blob_open(to, disk, 0, &new);
    if (rc == 0 && old)
        rc = ramet_blob_size(old, &sizes[0]);
    if (rc == 0 && new)
        rc = ramet_blob_size(new, &sizes[1]);
    if (rc == 0 && (!old || !new || sizes[0] != sizes[1])) {
        struct rmt_disk_change change = {
            .disk = disk,
            .kind = !old   ? RMT_DISK_CREATED
                    : !new ? RMT_DISK_DROPPED
                           : RMT_DISK_SIZE,
            .numbers = {sizes[0], sizes[1]},
        };
        rc = fn(ctx, &change);
    }
    struct ranges ranges = {disk, sizes[0] > sizes[1] ? sizes[0] : sizes[1], fn, ctx};
    return rc == 0 && new ? ramet_blob_diff(old, new, tell_range, &ranges) : rc;
}

int rmt_diskdiff_each(struct ramet_txn *from, struct ramet_txn *to, const char *only,
                      rmt_disk_change_fn fn, void *ctx)
{
    struct rmt_buf names[2] = {{0}, {0}};
    int rc = list_names(from, only, &names[0]);
    if (rc == 0)
        rc = list_names(to, only, &names[1]);
    const char *a = rmt_buf_str(&names[0]), *a_end = a + names[0].size;
    const char *b = rmt_buf_str(&names[1]), *b_end = b + names[1].size;
    while (rc == 0 && (a < a_end || b < b_end)) {
        int order = a == a_end ? 1 : b == b_end ? -1 : strcmp(a, b);
        rc = diff_disk(order <= 0 ? from : NULL, order >= 0 ? to : NULL, order <= 0 ? a : b, fn,
                       ctx);
        a += order <= 0 ? strlen(a) + 1 : 0;
        b += order >= 0 ? strlen(b) + 1 : 0;
    }
    rmt_buf_free(&names[0]);
    rmt_buf_free(&names[1]);
    return rc;
}

/* ---- lines -------------------------------------------------------------------------------------
 */

static const char *const kinds[] = {
    [RMT_DISK_DATA] = "data",       [RMT_DISK_HOLE] = "hole",       [RMT_DISK_SIZE] = "size",
    [RMT_DISK_CREATED] = "created", [RMT_DISK_DROPPED] = "dropped",
};

static bool is_range(const struct rmt_disk_change *change)
{
    return change->kind == RMT_DISK_DATA || change->kind == RMT_DISK_HOLE;
}

uint64_t rmt_diskdiff_size(struct ramet_slice value)
{
    const uint8_t *p = value.data;
    uint64_t size = 0;
    for (size_t i = value.size; p && i > 0; i--)
        size = size << 8 | p[i - 1];
    return size;
}

bool rmt_diskdiff_of(const struct ramet_change *change, struct rmt_disk_change *out)
{
    *out = (struct rmt_disk_change){.disk = change->map + 1};
    if (change->kind == RAMET_MAP_CREATED || change->kind == RAMET_MAP_DROPPED)
        return false; /* its size comes with it */
    if (change->key.size == 1) {
        out->kind = change->kind == RAMET_ADDED     ? RMT_DISK_CREATED
                    : change->kind == RAMET_REMOVED ? RMT_DISK_DROPPED
                                                    : RMT_DISK_SIZE;
        out->numbers[0] = rmt_diskdiff_size(change->old_value);
        out->numbers[1] = rmt_diskdiff_size(change->new_value);
        return true;
    }
    size_t page_size = change->old_value.data ? change->old_value.size : change->new_value.size;
    out->kind = change->kind == RAMET_REMOVED ? RMT_DISK_HOLE : RMT_DISK_DATA;
    out->numbers[0] = rmt_diskdiff_page(change->key) * page_size;
    out->numbers[1] = page_size;
    return true;
}

uint64_t rmt_diskdiff_page(struct ramet_slice key)
{
    const uint8_t *p = key.data;
    uint64_t page = 0;
    for (size_t i = 0; i < key.size; i++)
        page = page << 8 | p[i];
    return page;
}

void rmt_diskdiff_add(struct rmt_buf *buf, const struct rmt_difflines_style *style,
                      const struct rmt_disk_change *change)
{
    if (style->json) {
        json_t *object = rmt_diskdiff_object(change);
        char *text = json_dumps(object, JSON_COMPACT);
        rmt_buf_printf(buf, "%s\n", text ? text : "null");
        free(text);
        json_decref(object);
        return;
    }
    rmt_buf_printf(buf, "%sB\t", style->yellow);
    rmt_text_escape(buf, rmt_text_slice(change->disk));
    rmt_buf_printf(buf, "\t%" PRIu64 "\t%" PRIu64 "\t%s%s\n", change->numbers[0],
                   change->numbers[1], kinds[change->kind], style->plain);
}

json_t *rmt_diskdiff_object(const struct rmt_disk_change *change)
{
    json_t *object = json_object();
    struct rmt_buf what = {0};
    rmt_buf_printf(&what, "disk %s", kinds[change->kind]);
    rmt_output_json_str(object, "change", rmt_buf_str(&what));
    rmt_output_json_str(object, "disk", change->disk);
    rmt_output_json_int(object, is_range(change) ? "offset" : "old", change->numbers[0]);
    rmt_output_json_int(object, is_range(change) ? "bytes" : "new", change->numbers[1]);
    rmt_buf_free(&what);
    return object;
}

/* ---- counts ------------------------------------------------------------------------------------
 */

void rmt_disk_tally_init(struct rmt_disk_tally *tally, bool json)
{
    static const char *const titles[] = {"", "DISK", ">BYTES WRITTEN", ">MADE HOLES", NULL};
    *tally = (struct rmt_disk_tally){.array = json ? json_array() : NULL};
    rmt_table_init(&tally->table, titles);
}

static void end_disk(struct rmt_disk_tally *tally)
{
    if (!tally->sign)
        return;
    const char *disk = rmt_buf_str(&tally->disk);
    if (tally->array) {
        json_t *object = json_object();
        rmt_output_json_str(object, "disk", disk);
        rmt_output_json_str(object, "is",
                            tally->sign == '+'   ? "created"
                            : tally->sign == '-' ? "dropped"
                                                 : "changed");
        rmt_output_json_int(object, "written_bytes", tally->written);
        rmt_output_json_int(object, "hole_bytes", tally->holes);
        json_array_append_new(tally->array, object);
    } else {
        rmt_table_addf(&tally->table, "%c", tally->sign);
        rmt_table_add(&tally->table, disk);
        rmt_table_add_number(&tally->table, tally->written);
        rmt_table_add_number(&tally->table, tally->holes);
    }
    tally->sign = '\0';
}

void rmt_disk_tally_add(struct rmt_disk_tally *tally, const struct rmt_disk_change *change)
{
    if (!tally->sign || strcmp(rmt_buf_str(&tally->disk), change->disk) != 0) {
        end_disk(tally);
        rmt_buf_clear(&tally->disk);
        rmt_buf_add_str(&tally->disk, change->disk);
        tally->written = tally->holes = 0;
        tally->sign = '~';
        tally->nr_disks++;
    }
    if (change->kind == RMT_DISK_CREATED || change->kind == RMT_DISK_DROPPED)
        tally->sign = change->kind == RMT_DISK_CREATED ? '+' : '-';
    tally->written += change->kind == RMT_DISK_DATA ? change->numbers[1] : 0;
    tally->holes += change->kind == RMT_DISK_HOLE ? change->numbers[1] : 0;
}

void rmt_disk_tally_end(struct rmt_disk_tally *tally)
{
    end_disk(tally);
    if (!tally->array && tally->nr_disks)
        rmt_table_print(&tally->table);
}

void rmt_disk_tally_fini(struct rmt_disk_tally *tally)
{
    rmt_table_free(&tally->table);
    rmt_buf_free(&tally->disk);
    json_decref(tally->array);
}
