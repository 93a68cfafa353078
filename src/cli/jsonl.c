/* SPDX-License-Identifier: MIT */
/*
 * jsonl.c - one JSON object a line: {"key": "...", "value": "..."}. Bytes that are not UTF-8 stand
 * in base64 under "key_base64" and "value_base64".
 */
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

static int get_entry(struct rmt_format_state *state, struct rmt_input *input, json_t *object,
                     struct rmt_entry *out)
{
    if (!json_is_object(object))
        return rmt_input_error(input, "not a JSON object");
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

static void jsonl_write(FILE *file, const struct rmt_entry *entry)
{
    static struct rmt_buf line; /* kept for the next entry; the process ends with it */
    rmt_buf_clear(&line);
    rmt_buf_add_byte(&line, '{');
    rmt_text_json(&line, "key", entry->key);
    rmt_buf_add_byte(&line, ',');
    rmt_text_json(&line, "value", entry->value);
    rmt_buf_add_str(&line, "}\n");
    (void)fwrite(line.data, 1, line.size, file); /* the caller asks the file */
}

static const char *const extensions[] = {"jsonl", "ndjson", "json", NULL};
const struct rmt_format rmt_jsonl_format = {
    .name = "jsonl", .extensions = extensions, .read = jsonl_read, .write = jsonl_write};
