/* SPDX-License-Identifier: MIT */
/* faults.h - allocations of the calling thread that fail. The program is linked with fault_args. */
#ifndef API_FAULTS_H
#define API_FAULTS_H

#include <stdint.h>

/* After so many more one fails, and no other. */
void fail_after(uint64_t allocations);
/* And another one, so many after that. */
void fail_twice(uint64_t allocations, uint64_t then);
/* Returns how many failed. */
unsigned fail_no_more(void);

#endif
