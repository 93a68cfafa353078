/* SPDX-License-Identifier: MIT */
/*
 * golden-test.c - stores that earlier versions wrote are read, checked and written by this one.
 *
 * An image is text: "OFFSET HEX", one line for each 32 bytes that are not all zero, and "end SIZE".
 * Images are kept for good, one for each thing that the format has learnt; FORMAT.md says what they
 * mean.
 *
 *   golden-test IMAGE... [--rows IMAGE...] [--shared IMAGE...]
 *       each is opened, compared with what contents() says, behind --rows with what rows_contents()
 *       does, behind --shared with what shared_contents() does, and written to
 *   golden-test --make IMAGE, golden-test --make-rows IMAGE, golden-test --make-shared IMAGE
 *       makes one with the engine as it is
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/vec.h"
#include "io/sim.h"
#include "store/store.h"

#define LINE 32
#define LARGE 50000

_Noreturn static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

static void must(int64_t rc)
{
    if (rc < 0)
        fail("%" PRId64 ": %s", rc, ramet_errmsg());
}

/* ---- what is in them ------------------------------------------------------------------------- */

/* Key n, or its value in a generation, as a string or, of the map "numbers", as big-endian bytes.
 */
static struct ramet_slice text(char *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static struct ramet_slice text(char *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(buf, 256, fmt, args);
    va_end(args);
    return rmt_slice(buf, (size_t)n);
}

static struct ramet_slice person(char *buf, unsigned n)
{
    return text(buf, "person/%04u/%.*s", n * 7919 % 10000, (int)(n % 40),
                "a name that is sometimes longer and sometimes not");
}

static struct ramet_slice value_of(char *buf, unsigned n, unsigned generation)
{
    return text(buf, "value %u of generation %u", n, generation);
}

static struct ramet_slice number(char *buf, unsigned n)
{
    rmt_put_be64(buf, n);
    return rmt_slice(buf, 8);
}

static struct ramet_slice large(unsigned generation)
{
    static uint8_t bytes[LARGE];
    for (uint32_t i = 0; i < LARGE; i++)
        bytes[i] = i % 64 ? 0 : (uint8_t)(i / 64 + generation);
    return rmt_slice(bytes, sizeof(bytes));
}

static char *message(void)
{
    static char buf[2000];
    memset(buf, 'm', sizeof(buf) - 1);
    return buf;
}

#define PEOPLE 90
#define NUMBERS 300
#define LATER 5 /* every so many people are changed in each generation */

static void put(struct ramet_map *map, struct ramet_slice key, struct ramet_slice value)
{
    must(ramet_put(map, key, value, 0));
}

static struct ramet_map *map_of(struct ramet_txn *txn, const char *name, unsigned flags)
{
    struct ramet_map *map;
    must(ramet_map_open(txn, name, flags, &map));
    return map;
}

static struct ramet_txn *begin(struct ramet_store *store, const char *ref, unsigned flags)
{
    struct ramet_txn *txn;
    must(ramet_begin(store, ref, flags, &txn));
    return txn;
}

/* What a version of a generation is: 1 is all; each later one changes some people, drops one number
 * and has another large value. */
static void write_generation(struct ramet_store *store, const char *branch, unsigned generation,
                             const struct ramet_keep *keep)
{
    char key[256], value[256];
    struct ramet_txn *txn = begin(store, branch, RAMET_WRITE);
    struct ramet_map *people = map_of(txn, "people", RAMET_CREATE);
    struct ramet_map *numbers = map_of(txn, "numbers", RAMET_CREATE);
    for (unsigned n = 0; n < PEOPLE; n++) {
        if (generation == 1 || n % LATER == generation % LATER)
            put(people, person(key, n), value_of(value, n, generation));
    }
    for (unsigned n = 0; n < NUMBERS && generation == 1; n++)
        put(numbers, number(key, n * n), number(value, n));
    if (generation > 1)
        must(ramet_del(numbers, number(key, generation * generation)));
    put(people, rmt_slice("large", 5), large(generation));
    must(ramet_commit(txn, keep, NULL));
}

/* generations: ascending, ends with 0. */
static void read_generations(struct ramet_store *store, const char *ref,
                             const unsigned *generations)
{
    char key[256], value[256];
    struct ramet_slice got;
    struct ramet_txn *txn = begin(store, ref, RAMET_READ);
    struct ramet_map *people = map_of(txn, "people", 0), *numbers = map_of(txn, "numbers", 0);
    unsigned last = 0;
    uint64_t count, dropped = 0;
    for (unsigned n = 0; n < PEOPLE; n++) {
        for (const unsigned *g = generations; *g; g++) {
            if (*g == 1 || n % LATER == *g % LATER)
                last = *g;
        }
        must(ramet_get(people, person(key, n), &got));
        if (rmt_slice_cmp(got, value_of(value, n, last)) != 0)
            fail("%s: person %u is '%.*s'", ref, n, (int)got.size, (const char *)got.data);
    }
    for (const unsigned *g = generations; *g; g++) {
        last = *g;
        dropped += *g > 1;
    }
    must(ramet_get(people, rmt_slice("large", 5), &got));
    if (rmt_slice_cmp(got, large(last)) != 0)
        fail("%s: the large value is another", ref);
    must(ramet_map_count(people, &count));
    if (count != PEOPLE + 1)
        fail("%s: %" PRIu64 " people", ref, count);
    must(ramet_map_count(numbers, &count));
    if (count != NUMBERS - dropped)
        fail("%s: %" PRIu64 " numbers", ref, count);
    for (unsigned n = 0; n < NUMBERS; n++) {
        bool gone = false;
        for (const unsigned *g = generations; *g; g++)
            gone |= *g > 1 && *g == n;
        int rc = ramet_get(numbers, number(key, n * n), &got);
        if (rc != (gone ? RAMET_ENOTFOUND : 0) ||
            (!gone && rmt_slice_cmp(got, number(value, n)) != 0))
            fail("%s: number %u gives %d", ref, n, rc);
    }
    ramet_abort(txn);
}

/* main: 1 2 4, with snapshots first (1) and second (2); another: 1 2 3, from second; a branch and a
 * snapshot that were dropped, the first of them not yet swept. */
static void make(struct ramet_store *store)
{
    struct ramet_keep first = {sizeof(first), "first", "Ada", message()};
    struct ramet_keep second = {sizeof(second), "second", NULL, NULL};
    struct ramet_keep passing = {sizeof(passing), "passing", NULL, NULL};
    write_generation(store, "main", 1, &first);
    write_generation(store, "main", 2, &second);
    must(ramet_branch_create(store, "another", "main@second"));
    must(ramet_branch_create(store, "dropped", "main@first"));
    write_generation(store, "another", 3, NULL);
    write_generation(store, "main", 4, &passing);
    write_generation(store, "dropped", 5, NULL);
    must(ramet_snapshot_delete(store, "main@passing"));
    must(ramet_branch_delete(store, "dropped"));
}

static int count_snapshot(void *ctx, const struct ramet_snapshot_info *info)
{
    unsigned *seen = ctx;
    bool is_first = strcmp(info->name, "first") == 0;
    if (is_first && (strcmp(info->author, "Ada") != 0 || strcmp(info->message, message()) != 0))
        fail("the author or the message is another");
    if (!is_first && (strcmp(info->name, "second") != 0 || info->message))
        fail("there is a snapshot '%s'", info->name);
    (*seen)++;
    return 0;
}

static void contents(struct ramet_store *store)
{
    unsigned seen = 0;
    read_generations(store, "main@first", (const unsigned[]){1, 0});
    read_generations(store, "main@second", (const unsigned[]){1, 2, 0});
    read_generations(store, "main", (const unsigned[]){1, 2, 4, 0});
    read_generations(store, "another", (const unsigned[]){1, 2, 3, 0});
    must(ramet_snapshot_list(store, NULL, count_snapshot, &seen));
    if (seen != 2)
        fail("%u snapshots", seen);
}

/* ---- rows: leaves of each layout ------------------------------------------------------------- */

#define ROWS 700

static struct ramet_slice short_number(char *buf, unsigned n)
{
    (void)number(buf, n);
    return rmt_slice(buf + 4, 4);
}

static bool row_is_there(unsigned n, unsigned generation)
{
    return generation == 1 || (n != 500 && n >= 3);
}

/* What row n holds in a generation: all numbers have 8 bytes. */
static struct ramet_slice row(char *buf, unsigned n, unsigned generation)
{
    if (generation > 1 && n == 100)
        return text(buf, "no number");
    return number(buf, generation > 1 && n % 10 == 0 ? n * 1000 : n);
}

/* Generation 1 has nothing but rows, gaps and blanks in a row; 2 drops and changes some. */
static void rows_write(struct ramet_store *store, unsigned generation,
                       const struct ramet_keep *keep)
{
    char key[256], value[256];
    struct ramet_txn *txn = begin(store, "main", RAMET_WRITE);
    struct ramet_map *rows = map_of(txn, "rows", RAMET_CREATE);
    struct ramet_map *gaps = map_of(txn, "gaps", RAMET_CREATE);
    struct ramet_map *blanks = map_of(txn, "blanks", RAMET_CREATE);
    for (unsigned n = 0; n < ROWS; n++) {
        if (!row_is_there(n, generation))
            must(ramet_del(rows, short_number(key, n)));
        else if (generation == 1 || n % 10 == 0)
            put(rows, short_number(key, n), row(value, n, generation));
        if (generation == 1) {
            put(gaps, number(key, n * 3), rmt_slice("gap", 3));
            put(blanks, number(key, n), rmt_slice("", 0));
        }
    }
    must(ramet_commit(txn, keep, NULL));
}

static void rows_read(struct ramet_store *store, const char *ref, unsigned generation)
{
    char key[256], value[256];
    struct ramet_slice got;
    struct ramet_txn *txn = begin(store, ref, RAMET_READ);
    struct ramet_map *rows = map_of(txn, "rows", 0), *gaps = map_of(txn, "gaps", 0);
    struct ramet_map *blanks = map_of(txn, "blanks", 0);
    for (unsigned n = 0; n < ROWS; n++) {
        int rc = ramet_get(rows, short_number(key, n), &got);
        bool there = row_is_there(n, generation);
        if (rc != (there ? 0 : RAMET_ENOTFOUND) ||
            (there && rmt_slice_cmp(got, row(value, n, generation)) != 0))
            fail("%s: row %u gives %d", ref, n, rc);
        rc = ramet_get(gaps, number(key, n), &got);
        if (rc != (n % 3 ? RAMET_ENOTFOUND : 0) ||
            (rc == 0 && rmt_slice_cmp(got, rmt_slice("gap", 3)) != 0))
            fail("%s: key %u of gaps gives %d", ref, n, rc);
        must(ramet_get(blanks, number(key, n), &got));
        if (got.size)
            fail("%s: blank %u has %zu bytes", ref, n, got.size);
    }
    ramet_abort(txn);
}

static void rows_make(struct ramet_store *store)
{
    struct ramet_keep first = {sizeof(first), "first", NULL, NULL};
    rows_write(store, 1, &first);
    rows_write(store, 2, NULL);
}

static void rows_contents(struct ramet_store *store)
{
    rows_read(store, "main@first", 1);
    rows_read(store, "main", 2);
}

/* The image has pages of all kinds of leaves. */
static void rows_kinds(const char *path)
{
    static uint8_t page[4096];
    unsigned general = 0, fixed = 0, dense = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        fail("%s: %s", path, strerror(errno));
    for (uint64_t addr = 0; fread(page, sizeof(page), 1, f) == 1; addr++) {
        struct rmt_disk_node node;
        memcpy(&node, page, sizeof(node));
        if (addr < 32 || rmt_get64(node.addr) != addr)
            continue;
        general += node.kind == RMT_NODE_LEAF;
        fixed += node.kind >= 0x11 && node.kind <= 0x14;
        dense += node.kind >= 0x21 && node.kind <= 0x24;
    }
    (void)fclose(f);
    if (!general || !fixed || !dense)
        fail("%s: %u general leaves, %u fixed, %u dense", path, general, fixed, dense);
}

/* ---- blobs that have pages in common --------------------------------------------------------- */

#define PAGES 40u
#define PAGE_SIZE UINT64_C(4096)

static struct ramet_blob *blob_of(struct ramet_txn *txn, const char *name)
{
    struct ramet_blob *blob;
    must(ramet_blob_open(txn, name, RAMET_CREATE, &blob));
    return blob;
}

/* Copies pages, and notes where they are from. */
static void copy_pages(struct ramet_txn *txn, const char *from, uint64_t first, const char *to,
                       uint64_t at, uint64_t pages)
{
    must(ramet_blob_copy(blob_of(txn, from), first * PAGE_SIZE, blob_of(txn, to), at * PAGE_SIZE,
                         pages * PAGE_SIZE));
}

/* 1: what is in disk is there once more, and in another blob; 2: some of it is changed, and there
 * are copies of copies. */
static void shared_write(struct ramet_store *store, unsigned generation,
                         const struct ramet_keep *keep)
{
    char value[256];
    struct ramet_txn *txn = begin(store, "main", RAMET_WRITE);
    for (unsigned n = 0; n < PAGES / 2 && generation == 1; n++) {
        struct ramet_slice page = text(value, "page %u", n);
        must(ramet_blob_write(blob_of(txn, "disk"), n * PAGE_SIZE, page.data, page.size));
    }
    if (generation == 1) {
        must(ramet_blob_truncate(blob_of(txn, "disk"), PAGES / 2 * PAGE_SIZE));
        copy_pages(txn, "disk", 0, "disk", PAGES / 2, PAGES / 2);
        copy_pages(txn, "disk", 5, "copy", 0, 10);
    } else {
        must(ramet_blob_write(blob_of(txn, "disk"), 6 * PAGE_SIZE, "new", 3));
        must(ramet_blob_zero(blob_of(txn, "disk"), 7 * PAGE_SIZE, PAGE_SIZE));
        copy_pages(txn, "copy", 0, "copy", 1, 10);
        copy_pages(txn, "disk", 6, "copy", 20, 3);
    }
    must(ramet_commit(txn, keep, NULL));
}

static void shared_page(struct ramet_store *store, const char *ref, const char *name, unsigned at,
                        const char *wanted)
{
    char got[16];
    struct ramet_blob *blob;
    struct ramet_txn *txn = begin(store, ref, RAMET_READ);
    must(ramet_blob_open(txn, name, 0, &blob));
    must(ramet_blob_read(blob, at * PAGE_SIZE, got, sizeof(got)));
    if (strncmp(got, wanted, sizeof(got)) != 0)
        fail("%s: page %u of %s is '%.16s', not '%s'", ref, at, name, got, wanted);
    ramet_abort(txn);
}

static void shared_read(struct ramet_store *store, const char *ref, unsigned generation)
{
    char wanted[256];
    bool first = generation == 1;
    for (unsigned n = 0; n < PAGES; n++) {
        (void)text(wanted, "page %u", n % (PAGES / 2));
        if (!first && n == 6)
            (void)text(wanted, "newe 6"); /* three bytes of "page 6" are another's */
        shared_page(store, ref, "disk", n, !first && n == 7 ? "" : wanted);
    }
    for (unsigned n = 0; n < (first ? 10 : 11); n++) {
        (void)text(wanted, "page %u", 5 + n - (!first && n > 0));
        shared_page(store, ref, "copy", n, wanted);
    }
    if (!first) {
        shared_page(store, ref, "copy", 20, "newe 6");
        shared_page(store, ref, "copy", 21, "");
        shared_page(store, ref, "copy", 22, "page 8");
    }
}

static void shared_make(struct ramet_store *store)
{
    struct ramet_keep first = {sizeof(first), "first", NULL, NULL};
    shared_write(store, 1, &first);
    shared_write(store, 2, NULL);
}

static void shared_contents(struct ramet_store *store)
{
    shared_read(store, "main@first", 1);
    shared_read(store, "main", 2);
}

static void problem(void *ctx, const char *sentence)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", sentence);
}

static void check(struct ramet_store *store)
{
    must(ramet_check(store, 0, problem, NULL, NULL));
}

/* ---- images ---------------------------------------------------------------------------------- */

static void save(const char *path, const uint8_t *bytes, uint64_t size)
{
    static const uint8_t zeros[LINE];
    FILE *f = fopen(path, "w");
    if (!f)
        fail("%s: %s", path, strerror(errno));
    for (uint64_t at = 0; at < size; at += LINE) {
        if (memcmp(bytes + at, zeros, LINE) == 0)
            continue;
        (void)fprintf(f, "%" PRIu64 " ", at);
        for (int i = 0; i < LINE; i++)
            (void)fprintf(f, "%02x", bytes[at + (uint64_t)i]);
        (void)fprintf(f, "\n");
    }
    (void)fprintf(f, "end %" PRIu64 "\n", size);
    if (fclose(f) != 0)
        fail("%s: %s", path, strerror(errno));
}

static void load(const char *path, const char *to)
{
    char hex[2 * LINE + 1];
    uint64_t at;
    FILE *f = fopen(path, "r"), *out = fopen(to, "w");
    if (!f || !out)
        fail("%s: %s", f ? to : path, strerror(errno));
    while (fscanf(f, "%" SCNu64 " %64s", &at, hex) == 2) {
        uint8_t bytes[LINE];
        for (int i = 0; i < LINE; i++) {
            unsigned byte;
            if (sscanf(hex + (size_t)2 * (size_t)i, "%2x", &byte) != 1)
                fail("%s: not an image", path);
            bytes[i] = (uint8_t)byte;
        }
        if (fseek(out, (long)at, SEEK_SET) != 0 || fwrite(bytes, 1, LINE, out) != LINE)
            fail("%s: %s", to, strerror(errno));
    }
    if (fscanf(f, " end %" SCNu64, &at) != 1 || fseek(out, (long)at - 1, SEEK_SET) != 0 ||
        fputc(0, out) != 0 || fclose(out) != 0)
        fail("%s: not an image, or it cannot be written", path);
    (void)fclose(f);
}

/* What there are images of. */
struct kind {
    const char *name; /* as an option; "": without one */
    void (*make)(struct ramet_store *store);
    void (*contents)(struct ramet_store *store);
    void (*go_on)(struct ramet_store *store);
    void (*file)(const char *path); /* or NULL */
};

static void make_image(const char *path, const struct kind *kind)
{
    struct rmt_sim *sim = rmt_sim_new(1, UINT64_C(1) << 30);
    struct rmt_io *io;
    struct ramet_store *store;
    uint64_t size;
    rmt_assert(sim != NULL);
    must(rmt_sim_open(sim, 0, &io));
    must(rmt_store_open_io(io, NULL, &store));
    kind->make(store);
    kind->contents(store);
    check(store);
    ramet_close(store);
    uint8_t *bytes = rmt_sim_bytes(sim, &size);
    save(path, bytes, size);
    rmt_sim_free(sim);
}

/* What was dropped is reclaimed, what is there is written to. */
static void go_on(struct ramet_store *store)
{
    must(ramet_reclaim(store, 0, NULL));
    write_generation(store, "main", 6, NULL);
    read_generations(store, "main", (const unsigned[]){1, 2, 4, 6, 0});
    must(ramet_branch_reset(store, "main", "main@first"));
    read_generations(store, "main", (const unsigned[]){1, 0});
    check(store);
    must(ramet_branch_delete(store, "another"));
}

static void rows_go_on(struct ramet_store *store)
{
    must(ramet_branch_reset(store, "main", "main@first"));
    rows_read(store, "main", 1);
    rows_write(store, 2, NULL);
    rows_read(store, "main", 2);
    check(store);
}

static void shared_go_on(struct ramet_store *store)
{
    must(ramet_branch_create(store, "other", "main"));
    must(ramet_branch_reset(store, "main", "main@first"));
    shared_read(store, "main", 1);
    shared_write(store, 2, NULL);
    shared_contents(store);
    check(store);
    struct ramet_txn *txn = begin(store, "other", RAMET_WRITE);
    must(ramet_blob_drop(txn, "disk"));
    must(ramet_commit(txn, NULL, NULL));
    check(store);
    shared_page(store, "other", "copy", 22, "page 8");
    must(ramet_branch_delete(store, "other"));
}

static const struct kind kinds[] = {
    {"", make, contents, go_on, NULL},
    {"rows", rows_make, rows_contents, rows_go_on, rows_kinds},
    {"shared", shared_make, shared_contents, shared_go_on, NULL},
};

static void judge(const char *path, const struct kind *kind)
{
    struct ramet_options old = {.size = sizeof(old), .flags = RAMET_MUST_EXIST};
    struct ramet_store *store;
    char name[] = "/tmp/ramet-golden.XXXXXX", lock[sizeof(name) + 5];
    int fd = mkstemp(name);
    if (fd < 0)
        fail("%s: %s", name, strerror(errno));
    (void)snprintf(lock, sizeof(lock), "%s-lock", name);
    load(path, name);
    if (kind->file)
        kind->file(name);
    must(ramet_open(name, &old, &store));
    kind->contents(store);
    check(store);
    kind->go_on(store);
    must(ramet_branch_delete(store, "main"));
    must(ramet_reclaim(store, 0, NULL));
    check(store);
    struct ramet_stat stat = {.size = sizeof(stat)};
    must(ramet_stat(store, &stat));
    if (stat.data_bytes || stat.unswept_bytes || stat.branches)
        fail("%s: not all is reclaimed", path);
    ramet_close(store);
    (void)remove(name);
    (void)remove(lock);
    printf("%s\n", path);
}

/* The kind of an option; NULL: it is none. */
static const struct kind *kind_of(const char *arg, const char *before)
{
    size_t size = strlen(before);
    for (size_t i = 0; strncmp(arg, before, size) == 0 && i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(arg + size, kinds[i].name) == 0)
            return &kinds[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const struct kind *kind = kinds, *other;
    if (argc == 3 && strncmp(argv[1], "--make", 6) == 0) {
        other = kind_of(argv[1], "--make-");
        make_image(argv[2], other ? other : kinds);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        other = kind_of(argv[i], "--");
        if (other)
            kind = other;
        else
            judge(argv[i], kind);
    }
    return argc > 1 ? 0 : 2;
}
