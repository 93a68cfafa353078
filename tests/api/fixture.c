/* SPDX-License-Identifier: MIT */
#include "api/fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "api/args.h"

struct ramet_store *store;
char path[64];
uint64_t chance_state;

uint64_t chance(uint64_t below)
{
    return random_below(&chance_state, below);
}

void open_store(uint32_t page_size)
{
    struct ramet_options options = {
        .size = sizeof(options), .durability = RAMET_NONE, .page_size = page_size};
    MUST(ramet_open(path[0] ? path : NULL, &options, &store));
}

void remove_file(const char *name)
{
    char lock[96];
    (void)snprintf(lock, sizeof(lock), "%s-lock", name);
    (void)unlink(name);
    (void)unlink(lock);
}

void remove_store(void)
{
    if (path[0])
        remove_file(path);
}

static void report(void *ctx, const char *problem)
{
    (void)ctx;
    print_error("check: %s\n", problem);
}

void check(void)
{
    assert_int_equal(ramet_check(store, 0, report, NULL, NULL), 0);
}
