/* SPDX-License-Identifier: MIT */
/*
 * jsonl.c - one JSON object a line: {"key": "...", "value": "..."}. Bytes that are not UTF-8 stand
 * in base64 under "key_base64" and "value_base64". Where there are disks, or all of a version:
 *
 *   {"maps": 1, "disks": 1}
 *   {"map": "NAME", "entries": 1}                       and its entries
 *   {"disk": "NAME", "size": 10485760, "data_bytes": 4096}
 *   {"offset": 65536, "data": "..."}                    where it is no hole, in ascending order
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "format.h"

static int get_bytes(struct rmt_input *input, json_t *object, const char *name, struct rmt_buf *buf)
{
    char name_base64[32];
    (void)snprintf(name_base64, sizeof(name_base64), "%s_base64", name);
    json_t *plain = json_object_get(object, name);
    json_t *base64 = json_object_get(object, name_base64);
    json_t *string = plain ? plain : base64;

    if (!plain == !base64)
        return rmt_input_error(input,
                               plain ? "both \"%s\" and \"%s\"" : "neither \"%s\" nor \"%s\"", name,
                               name_base64);
    if (!json_is_string(string))
        return rmt_input_error(input, "\"%s\" is not a string", plain ? name : name_base64);

    struct ramet_slice text = {json_string_value(string), json_string_length(string)};
    rmt_buf_clear(buf);
    if (plain)
        rmt_buf_add(buf, text.data, text.size);
    else if (rmt_text_unbase64(buf, text))
        return rmt_input_error(input, "\"%s\" is not base64", name_base64);
    return 0;
}

static int get_number(struct rmt_input *input, json_t *object, const char *name, uint64_t *out)
{
    json_t *number = json_object_get(object, name);
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return rmt_input_error(input, "\"%s\" is not a number, or is not there", name);
    *out = (uint64_t)json_integer_value(number);
    return 0;
}

static const struct shape {
    const char *bytes; /* NULL: it has none */
    const char *numbers[2];
} shapes[] = {
    [RMT_ENTRY_ALL] = {NULL, {"maps", "disks"}},
    [RMT_ENTRY_MAP] = {"map", {"entries"}},
    [RMT_ENTRY_DISK] = {"disk", {"size", "data_bytes"}},
    [RMT_ENTRY_DATA] = {"data", {"offset"}},
};

static enum rmt_entry_kind kind_of(json_t *object)
{
    static const char *const telling[] = {
        [RMT_ENTRY] = "key",       [RMT_ENTRY_ALL] = "maps",    [RMT_ENTRY_MAP] = "map",
        [RMT_ENTRY_DISK] = "disk", [RMT_ENTRY_DATA] = "offset",
    };
    for (int kind = RMT_ENTRY_ALL; kind <= RMT_ENTRY_DATA; kind++) {
        char base64[32];
        (void)snprintf(base64, sizeof(base64), "%s_base64", telling[kind]);
        if (json_object_get(object, telling[kind]) || json_object_get(object, base64))
            return (enum rmt_entry_kind)kind;
    }
    return RMT_ENTRY;
}

static int get_other(struct rmt_format_state *state, struct rmt_input *input, json_t *object,
                     struct rmt_entry *out)
{
    const struct shape *shape = &shapes[out->kind];
    size_t members = 0;
    rmt_buf_clear(&state->key);
    if (shape->bytes) {
        members++;
        if (get_bytes(input, object, shape->bytes, &state->key))
            return RMT_INPUT_ERROR;
    }
    for (size_t i = 0; i < 2 && shape->numbers[i]; i++, members++) {
        if (get_number(input, object, shape->numbers[i], &out->numbers[i]))
            return RMT_INPUT_ERROR;
    }
    if (json_object_size(object) != members)
        return rmt_input_error(input, "more members than there should be");
    if (out->kind == RMT_ENTRY_DATA)
        out->value = rmt_buf_slice(&state->key);
    else
        out->key = rmt_buf_slice(&state->key);
    return 1;
}

static int get_entry(struct rmt_format_state *state, struct rmt_input *input, json_t *object,
                     struct rmt_entry *out)
{
    if (!json_is_object(object))
        return rmt_input_error(input, "not a JSON object");
    *out = (struct rmt_entry){.kind = kind_of(object)};
    if (out->kind != RMT_ENTRY)
        return get_other(state, input, object, out);
    if (get_bytes(input, object, "key", &state->key) ||
        get_bytes(input, object, "value", &state->value))
        return RMT_INPUT_ERROR;
    if (json_object_size(object) != 2)
        return rmt_input_error(input, "more members than a key and a value");
    out->key = rmt_buf_slice(&state->key);
    out->value = rmt_buf_slice(&state->value);
    return 1;
}

static int jsonl_read(struct rmt_format_state *state, struct rmt_input *input,
                      struct rmt_entry *out)
{
    struct ramet_slice line;
    do {
        int rc = rmt_input_line(input, &line);
        if (rc <= 0)
            return rc;
    } while (line.size == 0);

    json_error_t error;
    json_t *object =
        json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!object)
        return rmt_input_error(input, "column %d: %s", error.column > 0 ? error.column : 1,
                               error.text);
    int rc = get_entry(state, input, object, out);
    json_decref(object);
    return rc;
}

static void add_other(struct rmt_buf *line, const struct rmt_entry *entry)
{
    const struct shape *shape = &shapes[entry->kind];
    const char *comma = "";
    if (shape->bytes && entry->kind != RMT_ENTRY_DATA) {
        rmt_text_json(line, shape->bytes, entry->key);
        comma = ",";
    }
    for (size_t i = 0; i < 2 && shape->numbers[i]; i++, comma = ",")
        rmt_buf_printf(line, "%s\"%s\":%" PRIu64, comma, shape->numbers[i], entry->numbers[i]);
    if (entry->kind == RMT_ENTRY_DATA) {
        rmt_buf_add_byte(line, ',');
        rmt_text_json(line, shape->bytes, entry->value);
    }
}

static void jsonl_write(FILE *file, const struct rmt_entry *entry)
{
    static struct rmt_buf line; /* kept for the next entry; the process ends with it */
    rmt_buf_clear(&line);
    rmt_buf_add_byte(&line, '{');
    if (entry->kind == RMT_ENTRY) {
        rmt_text_json(&line, "key", entry->key);
        rmt_buf_add_byte(&line, ',');
        rmt_text_json(&line, "value", entry->value);
    } else {
        add_other(&line, entry);
    }
    rmt_buf_add_str(&line, "}\n");
    (void)fwrite(line.data, 1, line.size, file); /* the caller asks the file */
}

static const char *const extensions[] = {"jsonl", "ndjson", "json", NULL};
const struct rmt_format rmt_jsonl_format = {
    .name = "jsonl", .extensions = extensions, .read = jsonl_read, .write = jsonl_write};
