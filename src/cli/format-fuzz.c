/* SPDX-License-Identifier: MIT */
/*
 * format-fuzz.c - any bytes as a file to load: TSV, JSON lines or a dump of mdb_dump.
 *
 * The first byte chooses the format; the rest is the file. Entries that are read are written in
 * every format and read again: they must be the same, and a text that was written must be whole.
 */
#include <stdlib.h>
#include <string.h>

#include "format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct rmt_format *const formats[] = {&rmt_tsv_format, &rmt_jsonl_format,
                                                   &rmt_mdb_format};
enum { NR_FORMATS = sizeof(formats) / sizeof(formats[0]) };

struct entries { /* each: struct rmt_entry as it is, key, value */
    struct rmt_buf bytes;
    size_t count;
    bool others; /* not only of a map: JSON lines alone have them */
};

static void must(bool x)
{
    if (!x)
        abort();
}

static void entries_add(struct entries *entries, const struct rmt_entry *entry)
{
    struct rmt_entry plain;
    memset(&plain, 0, sizeof(plain)); /* what lies between the members is compared, too */
    plain.key.size = entry->key.size;
    plain.value.size = entry->value.size;
    plain.kind = entry->kind;
    memcpy(plain.numbers, entry->numbers, sizeof(plain.numbers));
    rmt_buf_add(&entries->bytes, &plain, sizeof(plain));
    rmt_buf_add(&entries->bytes, entry->key.data, entry->key.size);
    rmt_buf_add(&entries->bytes, entry->value.data, entry->value.size);
    entries->count++;
}

static void entries_write(const struct entries *entries, const struct rmt_format *format,
                          FILE *file)
{
    const char *p = entries->bytes.data;
    if (format->begin)
        format->begin(file, entries->bytes.size);
    for (size_t i = 0; i < entries->count; i++) {
        struct rmt_entry entry;
        memcpy(&entry, p, sizeof(entry));
        p += sizeof(entry);
        entry.key.data = p;
        entry.value.data = p + entry.key.size;
        p += entry.key.size + entry.value.size;
        format->write(file, &entry);
    }
    if (format->end)
        format->end(file);
}

/* True: the text was well-formed to its end. */
static bool read_all(const struct rmt_format *format, const void *text, size_t size,
                     struct entries *out)
{
    struct rmt_input input = {.fd = -1, .name = "fuzz", .size = size, .at_end = true};
    struct rmt_format_state state = {0};
    struct rmt_entry entry;
    int rc;
    if (size) { /* just so large, that reading behind the end is seen */
        input.bytes = (struct rmt_buf){malloc(size), size, size};
        must(input.bytes.data != NULL);
        memcpy(input.bytes.data, text, size);
    }
    while ((rc = format->read(&state, &input, &entry)) == 1) {
        entries_add(out, &entry);
        must(entry.kind == RMT_ENTRY || format == &rmt_jsonl_format);
        out->others |= entry.kind != RMT_ENTRY;
    }
    must(rc == 0 || (rc == RMT_INPUT_ERROR && input.error.size > 0));
    must(input.offset <= size);
    rmt_format_fini(&state);
    rmt_input_close(&input);
    return rc == 0;
}

static void write_and_read(const struct entries *entries, const struct rmt_format *format)
{
    char *text = NULL;
    size_t size = 0;
    struct entries again = {0};
    FILE *file = open_memstream(&text, &size);
    must(file != NULL);
    entries_write(entries, format, file);
    must(fclose(file) == 0);
    must(read_all(format, text, size, &again));
    must(again.count == entries->count && again.bytes.size == entries->bytes.size);
    must(again.count == 0 || !memcmp(again.bytes.data, entries->bytes.data, again.bytes.size));
    rmt_buf_free(&again.bytes);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entries entries = {0};
    if (size == 0)
        return 0;
    (void)read_all(formats[data[0] % NR_FORMATS], data + 1, size - 1, &entries);
    for (int i = 0; i < NR_FORMATS; i++) {
        if (!entries.others || formats[i] == &rmt_jsonl_format)
            write_and_read(&entries, formats[i]);
    }
    rmt_buf_free(&entries.bytes);
    return 0;
}
