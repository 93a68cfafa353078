/* SPDX-License-Identifier: MIT */
/* maps-go.c - Go's maps, in a program of their own (peers/maps.go): a line there, a line back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "maps.h"

static const char *const words[] = {
    [MAP_OPEN] = "open",
    [MAP_GET] = "get",
    [MAP_HELD] = "held",
    [MAP_HELD_BESIDE] = "held-beside",
    [MAP_GET_BESIDE] = "get-beside",
    [MAP_GET_TEXTS] = "get-texts",
    [MAP_GET_TEXTS_MANY] = "get-texts-many",
    [MAP_SET] = "set",
    [MAP_SET_MANY] = "set-many",
    [MAP_SNAPSHOT] = "snapshot",
    [MAP_MEMORY] = "memory",
    [MAP_CLOSE] = "close",
};

/* The program, started when the first line is to go there; it ends when this process does. */
struct go {
    FILE *to, *from;
};

static struct go *go_start(const char *name)
{
    struct go *go = allocate(sizeof(*go));
    int there[2], back[2];
    if (pipe(there) < 0 || pipe(back) < 0)
        die("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0) {
        if (dup2(there[0], STDIN_FILENO) < 0 || dup2(back[1], STDOUT_FILENO) < 0)
            _exit(127);
        (void)close(there[0]);
        (void)close(there[1]);
        (void)close(back[0]);
        (void)close(back[1]);
        (void)execl(GO_MAPS, GO_MAPS, name, (char *)NULL);
        _exit(127);
    }
    (void)close(there[0]);
    (void)close(back[1]);
    go->to = fdopen(there[1], "we");
    go->from = fdopen(back[0], "re");
    if (!go->to || !go->from)
        die("no memory");
    return go;
}

static bool perform(struct state *s, const struct order *order, struct result *r)
{
    const struct map_order *o = &order->map;
    unsigned long long check, bytes;
    int done;
    char line[256];
    if (!s->go)
        s->go = go_start(s->ops->name);
    (void)fprintf(s->go->to, "%s %d %zu %zu %u %llu %u\n", words[o->what], (int)o->keys, o->count,
                  o->accesses, o->threads, (unsigned long long)o->ns, (unsigned)o->round);
    if (fflush(s->go->to) != 0 || !fgets(line, sizeof(line), s->go->from) ||
        sscanf(line, "%d %lf %lf %lf %llu %llu", &done, &r->cpu_ns, &r->wall_ns, &r->beside_ns,
               &check, &bytes) != 6)
        die("%s: no answer to '%s' of " GO_MAPS, s->ops->name, words[o->what]);
    r->check = check;
    r->bytes = bytes;
    if (o->what == MAP_MEMORY)
        r->share = (double)bytes / (double)o->count;
    return done;
}

static const char *version(void)
{
    return "of Go " GO_VERSION;
}

static const struct map_ops ops = {.perform = perform};

const struct peer_ops peer_cloned_map = {.name = "cloned-map", .version = version, .maps = &ops};
const struct peer_ops peer_sync_map = {.name = "sync.Map", .maps = &ops};
