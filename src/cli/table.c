/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

/* Columns a string takes: its UTF-8 characters. Wide and combining ones are not seen for what they
 * are. */
static size_t width_of(const char *str)
{
    size_t width = 0;
    for (; *str; str++)
        width += ((unsigned char)*str & 0xc0) != 0x80;
    return width;
}

void rmt_table_init(struct rmt_table *table, const char *const *titles)
{
    *table = (struct rmt_table){0};
    while (titles[table->nr_columns] && table->nr_columns < RMT_TABLE_COLUMNS_MAX) {
        table->titles[table->nr_columns] = titles[table->nr_columns];
        table->nr_columns++;
    }
}

void rmt_table_add(struct rmt_table *table, const char *cell)
{
    rmt_text_escape(&table->text, rmt_text_slice(cell));
    rmt_buf_add_byte(&table->text, '\0');
    table->nr_cells++;
}

void rmt_table_add_number(struct rmt_table *table, uint64_t n)
{
    struct rmt_buf text = {0};
    rmt_text_grouped(&text, n);
    rmt_table_add(table, rmt_buf_str(&text));
    rmt_buf_free(&text);
}

void rmt_table_addf(struct rmt_table *table, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *cell = NULL;
    int len = vasprintf(&cell, fmt, args);
    va_end(args);
    rmt_table_add(table, len < 0 ? "?" : cell);
    if (len >= 0)
        free(cell);
}

static void print_cell(const char *cell, size_t width, bool right, bool last)
{
    int pad = (int)(width - width_of(cell));
    if (right)
        printf("%*s%s", pad, "", cell);
    else
        printf("%s%*s", cell, last ? 0 : pad, "");
    (void)fputs(last ? "\n" : "  ", stdout);
}

void rmt_table_print(struct rmt_table *table)
{
    size_t widths[RMT_TABLE_COLUMNS_MAX] = {0};
    const char *cell = rmt_buf_str(&table->text);
    if (table->nr_columns == 0)
        return;
    for (size_t i = 0; i < table->nr_columns; i++)
        widths[i] = width_of(table->titles[i]) - (table->titles[i][0] == '>');
    for (size_t i = 0; i < table->nr_cells; i++, cell += strlen(cell) + 1) {
        size_t *width = &widths[i % table->nr_columns];
        *width = width_of(cell) > *width ? width_of(cell) : *width;
    }

    (void)fputs(rmt_output_bold(stdout), stdout);
    for (size_t i = 0; i < table->nr_columns; i++) {
        bool right = table->titles[i][0] == '>';
        print_cell(table->titles[i] + right, widths[i], right, i + 1 == table->nr_columns);
    }
    (void)fputs(rmt_output_plain(stdout), stdout);
    cell = rmt_buf_str(&table->text);
    for (size_t i = 0; i < table->nr_cells; i++, cell += strlen(cell) + 1) {
        size_t column = i % table->nr_columns;
        print_cell(cell, widths[column], table->titles[column][0] == '>',
                   column + 1 == table->nr_columns);
    }
}

void rmt_table_print_column(struct rmt_table *table, size_t column)
{
    const char *cell = rmt_buf_str(&table->text);
    for (size_t i = 0; i < table->nr_cells; i++, cell += strlen(cell) + 1) {
        if (i % table->nr_columns == column)
            puts(cell);
    }
}

void rmt_table_free(struct rmt_table *table)
{
    rmt_buf_free(&table->text);
}
