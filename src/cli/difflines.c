/* SPDX-License-Identifier: MIT */
#include "difflines.h"

#include "text.h"

struct look {
    const char *kind;
    char sign;
    int colour;
};

static const struct look *look_of(const struct ramet_change *change)
{
    static const struct look looks[] = {
        [RAMET_ADDED] = {"added", '+', 2},
        [RAMET_REMOVED] = {"removed", '-', 1},
        [RAMET_CHANGED] = {"changed", '~', 3},
        [RAMET_MAP_CREATED] = {"map_created", '+', 2},
        [RAMET_MAP_DROPPED] = {"map_dropped", '-', 1},
    };
    return &looks[change->kind];
}

static void add_word(struct rmt_buf *line, struct ramet_slice word)
{
    rmt_buf_add_byte(line, '\t');
    rmt_text_escape(line, word);
}

void rmt_difflines_print(const struct ramet_change *change)
{
    const struct look *look = look_of(change);
    static struct rmt_buf line; /* kept for the next one; the process ends with it */
    rmt_buf_clear(&line);
    rmt_buf_add_byte(&line, (unsigned char)look->sign);
    add_word(&line, rmt_text_slice(change->map));
    if (change->key.size)
        add_word(&line, change->key);
    if (change->old_value.data)
        add_word(&line, change->old_value);
    if (change->new_value.data)
        add_word(&line, change->new_value);
    (void)fputs(rmt_output_colour(stdout, look->colour), stdout);
    (void)fwrite(line.data, 1, line.size, stdout); /* rmt_output_failed() asks */
    (void)fputs(rmt_output_plain(stdout), stdout);
    (void)putchar('\n');
}

json_t *rmt_difflines_object(const struct ramet_change *change)
{
    json_t *object = json_object();
    rmt_output_json_str(object, "kind", look_of(change)->kind);
    rmt_output_json_str(object, "map", change->map);
    if (change->key.size)
        rmt_output_json_bytes(object, "key", change->key);
    if (change->old_value.data)
        rmt_output_json_bytes(object, "old_value", change->old_value);
    if (change->new_value.data)
        rmt_output_json_bytes(object, "new_value", change->new_value);
    return object;
}
