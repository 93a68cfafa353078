/* SPDX-License-Identifier: MIT */
#include "difflines.h"

#include <stdlib.h>

#include "diskdiff.h"

char rmt_difflines_sign(const struct ramet_change *change)
{
    switch (change->kind) {
    case RAMET_ADDED:
    case RAMET_MAP_CREATED: return '+';
    case RAMET_REMOVED:
    case RAMET_MAP_DROPPED: return '-';
    default: return '~';
    }
}

bool rmt_difflines_has_old(const struct ramet_change *change)
{
    return change->kind == RAMET_REMOVED || change->kind == RAMET_CHANGED;
}

bool rmt_difflines_has_new(const struct ramet_change *change)
{
    return change->kind == RAMET_ADDED || change->kind == RAMET_CHANGED;
}

static void add_field(struct rmt_buf *line, struct ramet_slice field)
{
    rmt_buf_add_byte(line, '\t');
    if (field.data)
        rmt_text_escape(line, field);
    else
        rmt_buf_add_str(line, "\\...");
}

static void add_text(struct rmt_buf *line, const struct rmt_difflines_style *style,
                     const struct ramet_change *change)
{
    char sign = rmt_difflines_sign(change);
    rmt_buf_add_str(line, sign == '+' ? style->green : sign == '-' ? style->red : style->yellow);
    rmt_buf_add_byte(line, (unsigned char)sign);
    add_field(line, rmt_text_slice(change->map));
    if (change->key.size)
        add_field(line, change->key);
    if (rmt_difflines_has_old(change)) {
        rmt_buf_add_str(line, style->red);
        add_field(line, change->old_value);
    }
    if (rmt_difflines_has_new(change)) {
        rmt_buf_add_str(line, style->green);
        add_field(line, change->new_value);
    }
    rmt_buf_add_str(line, style->plain);
    rmt_buf_add_byte(line, '\n');
}

static void add_member(json_t *object, const char *name, struct ramet_slice value)
{
    if (value.data)
        rmt_output_json_bytes(object, name, value);
    else
        json_object_set_new(object, name, json_null());
}

json_t *rmt_difflines_object(const struct ramet_change *change)
{
    static const char *const kinds[] = {
        [RAMET_ADDED] = "added",
        [RAMET_REMOVED] = "removed",
        [RAMET_CHANGED] = "changed",
        [RAMET_MAP_CREATED] = "map created",
        [RAMET_MAP_DROPPED] = "map dropped",
    };
    json_t *object = json_object();
    rmt_output_json_str(object, "change", kinds[change->kind]);
    rmt_output_json_str(object, "map", change->map);
    if (change->key.size)
        rmt_output_json_bytes(object, "key", change->key);
    if (rmt_difflines_has_old(change))
        add_member(object, "old", change->old_value);
    if (rmt_difflines_has_new(change))
        add_member(object, "new", change->new_value);
    return object;
}

static void add_json(struct rmt_buf *line, const struct ramet_change *change)
{
    json_t *object = rmt_difflines_object(change);
    char *text = json_dumps(object, JSON_COMPACT);
    rmt_buf_add_str(line, text ? text : "null");
    rmt_buf_add_byte(line, '\n');
    free(text);
    json_decref(object);
}

void rmt_difflines_style_init(struct rmt_difflines_style *style, bool json)
{
    *style = (struct rmt_difflines_style){
        .json = json,
        .red = rmt_output_colour(stdout, 1),
        .green = rmt_output_colour(stdout, 2),
        .yellow = rmt_output_colour(stdout, 3),
        .plain = rmt_output_plain(stdout),
    };
}

void rmt_difflines_add(struct rmt_buf *buf, const struct rmt_difflines_style *style,
                       const struct ramet_change *change)
{
    struct rmt_disk_change disk;
    if (change->map[0] == RAMET_BLOB_MARK) {
        if (rmt_diskdiff_of(change, &disk))
            rmt_diskdiff_add(buf, style, &disk);
    } else if (style->json)
        add_json(buf, change);
    else
        add_text(buf, style, change);
}

void rmt_difflines_print(const struct ramet_change *change)
{
    static struct rmt_buf line; /* kept for the next one; the process ends with it */
    struct rmt_difflines_style style;
    rmt_difflines_style_init(&style, false);
    rmt_buf_clear(&line);
    rmt_difflines_add(&line, &style, change);
    (void)fwrite(line.data, 1, line.size, stdout); /* rmt_output_failed() asks */
}
