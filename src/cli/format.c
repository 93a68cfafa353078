/* SPDX-License-Identifier: MIT */
#include "format.h"

#include <string.h>
#include <strings.h>

static const struct rmt_format *const formats[] = {&rmt_tsv_format, &rmt_jsonl_format,
                                                   &rmt_mdb_format};
enum { NR_FORMATS = sizeof(formats) / sizeof(formats[0]) };

const struct rmt_format *rmt_format_find(const char *name)
{
    for (size_t i = 0; i < NR_FORMATS; i++) {
        if (!strcmp(name, formats[i]->name))
            return formats[i];
    }
    return NULL;
}

const struct rmt_format *rmt_format_guess(const char *path)
{
    const char *dot = path ? strrchr(path, '.') : NULL;
    for (size_t i = 0; dot && i < NR_FORMATS; i++) {
        for (const char *const *extension = formats[i]->extensions; *extension; extension++) {
            if (!strcasecmp(dot + 1, *extension))
                return formats[i];
        }
    }
    return &rmt_tsv_format;
}

void rmt_format_fini(struct rmt_format_state *state)
{
    rmt_buf_free(&state->key);
    rmt_buf_free(&state->value);
}
