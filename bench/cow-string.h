/* SPDX-License-Identifier: MIT */
/* cow-string.h - a string of C++ that is copied on write, and its copies are counted, too. */
#ifndef BENCH_COW_STRING_H
#define BENCH_COW_STRING_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Copies of a string of 100 bytes, made and dropped, so many at once. */
void cow_string_copy(size_t count, size_t at_once);
/* A string of so many bytes, one by one. */
void cow_string_append(size_t count);

#ifdef __cplusplus
}
#endif

#endif
