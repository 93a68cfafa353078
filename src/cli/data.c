/* SPDX-License-Identifier: MIT */
/*
 * data.c - commands on single entries and on maps: put, get, del, count, drop, maps.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "interrupt.h"
#include "table.h"

enum { PART_SIZE = 1 << 20 }; /* of a value that comes from a file */

/* A file is there whatever the writer does; for a pipe he would wait, and everybody for him. */
static bool stdin_is_file(void)
{
    struct stat st;
    return fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

/* Reads until buf is full or the file ends. A status; *out_size: how much. */
static int read_part(char *buf, size_t *out_size)
{
    *out_size = 0;
    while (*out_size < PART_SIZE) {
        ssize_t n =
            rmt_interrupt_seen() ? 0 : read(STDIN_FILENO, buf + *out_size, PART_SIZE - *out_size);
        if (rmt_interrupt_seen())
            return RMT_EXIT_INTERRUPTED;
        if (n < 0 && errno != EINTR) {
            rmt_output_error("standard input: %s", strerror(errno));
            return RMT_EXIT_FAILED;
        }
        if (n == 0)
            return RMT_EXIT_OK;
        *out_size += n > 0 ? (size_t)n : 0;
    }
    return RMT_EXIT_OK;
}

/* Of a file on standard input, part by part: it may be larger than memory. */
static int put_file(struct ramet_map *map, struct ramet_slice key)
{
    char *part = malloc(PART_SIZE);
    int rc = part ? 0 : -ENOMEM, status = RMT_EXIT_OK;
    size_t size = PART_SIZE;
    rmt_interrupt_catch();
    for (uint64_t off = 0; rc == 0 && !status && size == PART_SIZE; off += size) {
        status = read_part(part, &size);
        struct ramet_slice first = {part, size};
        if (!status)
            rc = off ? ramet_write(map, key, off, part, size) : ramet_put(map, key, first, 0);
    }
    free(part);
    return rc < 0 ? rmt_session_fail(rc, "cannot put key '%.*s'", (int)key.size,
                                     (const char *)key.data)
                  : status;
}

int rmt_data_put(struct rmt_session *s)
{
    const char *map_name = s->args.operand[1];
    struct ramet_slice key = rmt_text_slice(s->args.operand[2]);
    struct ramet_slice value = rmt_text_slice(s->args.operand[3]);
    struct rmt_buf from_stdin = {0};
    bool dash = !strcmp(s->args.operand[3], "-"), file = dash && stdin_is_file();

    /* Before the transaction begins: nobody should wait for a writer who waits for a pipe. */
    if (dash && !file) {
        int status = rmt_session_slurp(&from_stdin);
        if (status) {
            rmt_buf_free(&from_stdin);
            return status;
        }
        value = rmt_buf_slice(&from_stdin);
    }

    struct ramet_map *map;
    int status = rmt_session_write(s);
    if (!status)
        status = rmt_session_map(s, map_name, RAMET_CREATE, &map);
    if (!status && file) {
        status = put_file(map, key);
    } else if (!status) {
        int rc = ramet_put(map, key, value, 0);
        if (rc < 0)
            status = rmt_session_fail(rc, "cannot put key '%s'", s->args.operand[2]);
    }
    if (!status)
        status = rmt_session_commit(s);
    rmt_buf_free(&from_stdin);
    return status;
}

static int absent(const struct rmt_session *s)
{
    rmt_output_error("no key '%s' in map '%s' of '%s'", s->args.operand[2], s->args.operand[1],
                     s->branch);
    return RMT_EXIT_ABSENT;
}

static int print_value(const struct rmt_session *s, struct ramet_slice key,
                       struct ramet_slice value)
{
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_bytes(object, "key", key);
        rmt_output_json_bytes(object, "value", value);
        rmt_output_json(object);
    } else {
        (void)fwrite(value.data, 1, value.size, stdout); /* rmt_output_finish() asks */
    }
    return RMT_EXIT_OK;
}

static int print_piece(void *ctx, uint64_t off, struct ramet_slice piece)
{
    (void)ctx;
    (void)off;
    (void)fwrite(piece.data, 1, piece.size, stdout); /* asked on the next line */
    return rmt_output_failed();
}

/* A value too large for a slice. */
static int print_pieces(struct ramet_map *map, struct ramet_slice key)
{
    int rc = ramet_get_pieces(map, key, 0, UINT64_MAX, print_piece, NULL);
    return rc < 0 ? rmt_session_fail(rc, "cannot read the value") : RMT_EXIT_OK;
}

int rmt_data_get(struct rmt_session *s)
{
    struct ramet_slice key = rmt_text_slice(s->args.operand[2]);
    struct ramet_slice value;
    struct ramet_map *map;
    int status = rmt_session_read(s);
    if (!status)
        status = rmt_session_map(s, s->args.operand[1], 0, &map);
    if (status)
        return status;

    int rc = ramet_get(map, key, &value);
    if (rc == RAMET_ENOTFOUND)
        return absent(s);
    if (rc == -EFBIG && s->args.json) {
        rmt_output_error("the value is too large for JSON; leave out --json");
        return RMT_EXIT_FAILED;
    }
    if (rc < 0 && rc != -EFBIG)
        return rmt_session_fail(rc, "cannot get key '%s'", s->args.operand[2]);
    status = rc == -EFBIG ? print_pieces(map, key) : print_value(s, key, value);
    if (!status && !s->args.json && isatty(STDOUT_FILENO))
        (void)putchar('\n');
    return status;
}

int rmt_data_del(struct rmt_session *s)
{
    struct ramet_map *map;
    int status = rmt_session_write(s);
    if (!status)
        status = rmt_session_map(s, s->args.operand[1], 0, &map);
    if (status)
        return status;
    int rc = ramet_del(map, rmt_text_slice(s->args.operand[2]));
    if (rc == RAMET_ENOTFOUND)
        return absent(s);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot delete key '%s'", s->args.operand[2]);
    return rmt_session_commit(s);
}

/* The least key above all that begin with prefix, in buf; of size 0 if there is none. */
static struct ramet_slice prefix_end(struct ramet_slice prefix, struct rmt_buf *buf)
{
    rmt_buf_add(buf, prefix.data, prefix.size);
    while (buf->size && (unsigned char)buf->data[buf->size - 1] == 0xff)
        buf->size--;
    if (buf->size)
        buf->data[buf->size - 1]++;
    return rmt_buf_slice(buf);
}

int rmt_data_count(struct rmt_session *s)
{
    struct ramet_map *map;
    int status = rmt_session_read(s);
    if (!status)
        status = rmt_session_map(s, s->args.operand[1], 0, &map);
    if (status)
        return status;

    uint64_t count = 0;
    int rc;
    if (s->args.nr_operands > 2 && s->args.operand[2][0]) {
        struct rmt_buf end = {0};
        struct ramet_slice prefix = rmt_text_slice(s->args.operand[2]);
        rc = ramet_count_range(map, prefix, prefix_end(prefix, &end), &count);
        rmt_buf_free(&end);
    } else {
        rc = ramet_map_count(map, &count);
    }
    if (rc < 0)
        return rmt_session_fail(rc, "cannot count");

    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_int(object, "count", count);
        rmt_output_json(object);
    } else {
        printf("%" PRIu64 "\n", count);
    }
    return RMT_EXIT_OK;
}

int rmt_data_drop(struct rmt_session *s)
{
    const char *name = s->args.operand[1];
    int status = rmt_session_write(s);
    if (status)
        return status;
    int rc = ramet_map_drop(s->txn, name);
    if (rc == RAMET_ENOTFOUND)
        return rmt_session_no_map(s, name);
    if (rc < 0)
        return rmt_session_fail(rc, "cannot drop map '%s'", name);
    return rmt_session_commit(s);
}

struct map_list {
    json_t *array;           /* or NULL */
    struct rmt_table *table; /* or NULL: the names alone */
};

static int list_map(void *ctx, const struct ramet_map_info *info)
{
    struct map_list *list = ctx;
    if (list->array) {
        json_t *object = json_object();
        rmt_output_json_str(object, "name", info->name);
        rmt_output_json_int(object, "entries", info->entries);
        json_array_append_new(list->array, object);
    } else if (list->table) {
        rmt_table_add(list->table, info->name);
        rmt_table_add_number(list->table, info->entries);
    } else {
        rmt_output_name(info->name);
    }
    return 0;
}

int rmt_data_maps(struct rmt_session *s)
{
    int status = rmt_session_read(s);
    if (status)
        return status;
    static const char *const titles[] = {"MAP", ">ENTRIES", NULL};
    struct rmt_table table;
    rmt_table_init(&table, titles);
    struct map_list list = {
        .array = s->args.json ? json_array() : NULL,
        .table = s->args.long_list || isatty(STDOUT_FILENO) ? &table : NULL,
    };
    int rc = ramet_map_list(s->txn, list_map, &list);
    if (rc < 0)
        status = rmt_session_fail(rc, "cannot list the maps of '%s'", s->branch);
    else if (list.array)
        rmt_output_json(json_incref(list.array));
    else if (list.table)
        rmt_table_print(&table);
    json_decref(list.array);
    rmt_table_free(&table);
    return status;
}
