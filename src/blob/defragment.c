/* SPDX-License-Identifier: MIT */
/* defragment.c - pages of a blob are written anew, side by side, where it lies in many pieces. */
#include "blob/blob.h"
#include "blob/pieces.h"

#define STEP_PAGES 64u /* read and written at once */
#define PART_BYTES_MIN (UINT64_C(1) << 20)
/* A part that is written anew is one piece, and what was cut at its end may be another. */
#define PIECES_LEFT 2u

/* Pages [number * size, (number + 1) * size) of the blob. */
struct part {
    uint64_t number, pages; /* that are no holes */
    uint64_t starts;        /* pieces that begin in it */
};

struct work {
    struct ramet_map *blob;
    struct rmt_pieces runs;
    uint64_t size; /* of a part, in pages */
    RMT_VEC(struct part) parts;
};

static void work_fini(struct work *work)
{
    rmt_pieces_fini(&work->runs);
    rmt_vec_fini(&work->parts);
}
RMT_AUTO(work_fini, struct work)

static int no_memory(const struct work *work)
{
    return rmt_fail(-ENOMEM, "defragmenting blob '%s'", work->blob->name + 1);
}

static uint32_t shift_of(const struct work *work)
{
    return work->blob->txn->store->pages.page_shift;
}

/* What this transaction has written will lie side by side as it is. */
static int note_page(void *ctx, uint64_t page, const struct rmt_value *value)
{
    struct work *work = ctx;
    struct rmt_ref ref = rmt_ref_load(value->data);
    struct rmt_piece piece = {page, 1, ref.addr};
    return !ref.birth || rmt_pieces_push(&work->runs, piece) ? 0 : no_memory(work);
}

/* The runs of the file. */
static int find_runs(struct work *work)
{
    return rmt_blob_walk(work->blob, 0, RAMET_BLOB_MAX >> shift_of(work), note_page, work);
}

static struct part *part_at(struct work *work, uint64_t number)
{
    size_t count = work->parts.count;
    if (count && work->parts.items[count - 1].number == number)
        return &work->parts.items[count - 1];
    struct part part = {.number = number};
    return rmt_vec_push(&work->parts, part) ? &work->parts.items[count] : NULL;
}

static int find_parts(struct work *work)
{
    for (size_t i = 0; i < work->runs.count; i++) {
        const struct rmt_piece *run = &work->runs.items[i];
        uint64_t end = run->page + run->count;
        for (uint64_t page = run->page, n; page < end; page += n) {
            struct part *part = part_at(work, page / work->size);
            if (!part)
                return no_memory(work);
            n = rmt_min(end, (part->number + 1) * work->size) - page;
            part->pages += n;
            part->starts += page == run->page;
        }
    }
    return 0;
}

/* Those that are worth most for a page come first. */
static int by_worth(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    double worth_x = (double)x->starts / (double)x->pages;
    double worth_y = (double)y->starts / (double)y->pages;
    return worth_x < worth_y ? 1 : worth_x > worth_y ? -1 : 0;
}

static int by_number(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Keeps the parts that are to be written anew. *pieces: how many there are, then how many there
 * will be at most. */
static void choose(struct work *work, uint64_t wanted, uint64_t pages_max, uint64_t *pieces)
{
    size_t n = 0;
    qsort(work->parts.items, work->parts.count, sizeof(work->parts.items[0]), by_worth);
    for (size_t i = 0; i<work->parts.count && * pieces> wanted; i++) {
        struct part part = work->parts.items[i];
        if (part.starts <= PIECES_LEFT || part.pages > pages_max)
            continue;
        pages_max -= part.pages;
        *pieces -= part.starts - PIECES_LEFT;
        work->parts.items[n++] = part;
    }
    work->parts.count = n;
    qsort(work->parts.items, n, sizeof(work->parts.items[0]), by_number);
}

static int rewrite_run(const struct work *work, uint64_t page, uint64_t end, uint64_t bytes,
                       uint8_t *buf)
{
    struct ramet_blob *blob = (struct ramet_blob *)work->blob;
    int rc = 0;
    for (uint64_t n; page < end && rc == 0; page += n) {
        uint64_t off = page << shift_of(work);
        n = rmt_min(end - page, STEP_PAGES);
        rc = rmt_blob_pages(work->blob, page, n, buf);
        if (rc == 0 && off < bytes)
            rc = ramet_blob_write(blob, off, buf, rmt_min(n << shift_of(work), bytes - off));
    }
    return rc;
}

static int rewrite(const struct work *work, uint64_t bytes)
{
    rmt_auto(free) uint8_t *buf = malloc((size_t)STEP_PAGES << shift_of(work));
    int rc = buf ? 0 : no_memory(work);
    size_t run = 0;
    for (size_t i = 0; i < work->parts.count && rc == 0; i++) {
        uint64_t from = work->parts.items[i].number * work->size, to = from + work->size;
        while (work->runs.items[run].page + work->runs.items[run].count <= from)
            run++;
        for (; run < work->runs.count && work->runs.items[run].page < to && rc == 0; run++) {
            const struct rmt_piece *at = &work->runs.items[run];
            uint64_t end = at->page + at->count;
            rc = rewrite_run(work, rmt_max(at->page, from), rmt_min(end, to), bytes, buf);
            if (end > to) /* the next part may begin in it */
                break;
        }
    }
    return rc;
}

int ramet_blob_defragment(struct ramet_blob *blob, uint64_t pieces, uint64_t bytes,
                          uint64_t *out_pieces)
{
    rmt_auto(work_fini) struct work *work = &(struct work){.blob = (struct ramet_map *)blob};
    uint64_t size;
    int rc = ramet_blob_size(blob, &size);
    if (rc == 0 && bytes && !work->blob->txn->writing)
        rc = rmt_fail(RAMET_ETXN, "ramet_blob_defragment in a read transaction");
    if (rc == 0)
        rc = find_runs(work);
    if (rc < 0)
        return rc;
    uint64_t count = work->runs.count, data = 0;
    for (size_t i = 0; i < work->runs.count; i++)
        data += work->runs.items[i].count;
    pieces = rmt_max(pieces, 1);
    if (count > pieces && bytes) {
        uint64_t pages_max = rmt_max(bytes, PART_BYTES_MIN) >> shift_of(work);
        uint64_t least = PART_BYTES_MIN >> shift_of(work);
        work->size = rmt_min(rmt_max(2 * PIECES_LEFT * data / pieces, least), pages_max);
        rc = find_parts(work);
        if (rc == 0)
            choose(work, pieces, pages_max, &count);
        if (rc == 0)
            rc = rewrite(work, size);
    }
    if (rc == 0 && out_pieces)
        *out_pieces = count;
    return rc;
}
