/* SPDX-License-Identifier: MIT */
/*
 * fixture.h - the store that a test program has open, in memory or in a file, and what fails the
 * test that is running.
 */
#ifndef API_FIXTURE_H
#define API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ramet.h>

#define MUST(call)                                              \
    do {                                                        \
        int rc_ = (int)(call);                                  \
        if (rc_ < 0)                                            \
            fail_msg("%s: %d: %s", #call, rc_, ramet_errmsg()); \
    } while (0)

extern struct ramet_store *store;
extern char path[64]; /* empty: in memory */
extern uint64_t chance_state;

uint64_t chance(uint64_t below);

/* Not flushed. page_size 0: the default, or what the file has. */
void open_store(uint32_t page_size);
/* A store's file, with what lies beside it. */
void remove_file(const char *name);
/* That of path, if there is one. */
void remove_store(void);
/* Everything in the store is as it should be. */
void check(void);

#endif
