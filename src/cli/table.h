/* SPDX-License-Identifier: MIT */
/*
 * table.h - columns of text, as wide as their widest cell; numbers to the right.
 */
#ifndef RMT_CLI_TABLE_H
#define RMT_CLI_TABLE_H

#include <stddef.h>

#include "text.h"

enum { RMT_TABLE_COLUMNS_MAX = 10 };

struct rmt_table {
    size_t nr_columns;
    const char *titles[RMT_TABLE_COLUMNS_MAX]; /* one that begins with '>' is set to the right */
    struct rmt_buf text;                       /* every cell, each with a NUL after it */
    size_t nr_cells;
};

/* titles: borrowed until the table is printed; ends with NULL. */
void rmt_table_init(struct rmt_table *table, const char *const *titles);
/* Cells, row by row. Control characters are escaped. */
void rmt_table_add(struct rmt_table *table, const char *cell);
__attribute__((format(printf, 2, 3))) void rmt_table_addf(struct rmt_table *table, const char *fmt,
                                                          ...);
/* With separators: 1,234,567. */
void rmt_table_add_number(struct rmt_table *table, uint64_t n);
/* To standard output. */
void rmt_table_print(struct rmt_table *table);
/* The cells of one column alone, one a line. */
void rmt_table_print_column(struct rmt_table *table, size_t column);
void rmt_table_free(struct rmt_table *table);

#endif
