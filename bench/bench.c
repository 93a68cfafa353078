/* SPDX-License-Identifier: MIT */
/*
 * bench.c - the program: its options, and group after group.
 *
 *   --only=GROUP[,GROUP]  load get readers commit open space branches merges versions watch blobs
 *                         nbd maps values large
 *   --peers=NAME[,NAME]   ramet takes part always
 *   --entries=N           1000000
 *   --rounds=N            3
 *   --large               ten million entries, too: some minutes
 *   --gb=N                a branch of a store of that size, too: 0
 *   --dir=PATH            where stores are made: TMPDIR or /tmp
 *   --json                for scripts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench.h"

/* Is the name in a list with commas? */
static bool named(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncasecmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0'))
            return true;
    }
    return false;
}

static bool parse_groups(const char *list, struct options *o)
{
    bool found = false;
    for (size_t i = 0; i < GROUPS; i++)
        found |= o->groups[i] = named(list, group_names[i]);
    return found;
}

static bool parse_peers(const char *list, struct options *o)
{
    bool found = false;
    for (size_t p = RAMET + 1; p < PEERS; p++)
        found |= o->peers[p] = peers[p] && p != DISK && named(list, peers[p]->name);
    return found;
}

static bool parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = strchr(a, '=');
        size_t n = value ? strtoull(value + 1, NULL, 10) : 0;
        if (strncmp(a, "--entries=", 10) == 0 && n >= 1000 && n <= 100000000)
            o->entries = n;
        else if (strncmp(a, "--rounds=", 9) == 0 && n >= 1 && n <= ROUNDS_MAX)
            o->rounds = n;
        else if (strncmp(a, "--dir=", 6) == 0)
            o->dir = value + 1;
        else if (strncmp(a, "--gb=", 5) == 0)
            o->gb = n;
        else if (strcmp(a, "--json") == 0)
            o->json = true;
        else if (strcmp(a, "--large") == 0)
            o->groups[GROUP_LARGE] = true;
        else if (strncmp(a, "--peers=", 8) == 0 && parse_peers(value + 1, o))
            continue;
        else if (strncmp(a, "--only=", 7) == 0 && parse_groups(value + 1, o))
            continue;
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR");
    struct options o = {.entries = 1000000, .rounds = 3, .dir = tmp ? tmp : "/tmp"};
    for (size_t i = 0; i < GROUPS; i++)
        o.groups[i] = i != GROUP_LARGE;
    for (size_t p = 0; p < PEERS; p++)
        o.peers[p] = true;
    if (!parse(argc, argv, &o)) {
        (void)fprintf(
            stderr,
            "usage: %s [--only=GROUP[,GROUP]] [--peers=NAME[,NAME]] [--entries=N]\n"
            "       [--rounds=N] [--large] [--gb=N] [--dir=PATH] [--json]\n"
            "groups: load get readers commit open space branches merges versions watch blobs nbd\n"
            "        maps values large\n",
            argv[0]);
        return 2;
    }
    o.folder = folder_make(o.dir);
    if (!o.json)
        report_machine(&o); /* flushed, or every worker prints it, too */
    for (enum group g = 0; g < GROUPS; g++) {
        if (!o.groups[g])
            continue;
        (void)fprintf(stderr, "%s ...\n", group_names[g]);
        group_run(g, &o);
        if (!o.json)
            report_group(g);
    }
    if (o.json)
        report_json(&o);
    return 0;
}
