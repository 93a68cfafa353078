#include <ramet.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int rc)
{
    if (rc < 0)
        exit((fprintf(stderr, "%s\n", ramet_errmsg()), 1));
}

int main(void)
{
    struct ramet_slice key = {"hello", 5}, value = {"world", 5};
    struct ramet_store *store;
    struct ramet_txn *txn;
    struct ramet_map *map;
    must(ramet_open("hello.ramet", NULL, &store)); /* makes it if it is not there */
    must(ramet_begin(store, "main", RAMET_WRITE, &txn));
    must(ramet_map_open(txn, "greetings", RAMET_CREATE, &map));
    must(ramet_put(map, key, value, 0));
    must(ramet_commit(txn, NULL, NULL));               /* on disk when it returns */
    must(ramet_branch_create(store, "other", "main")); /* copies no page */
    must(ramet_begin(store, "other", RAMET_READ, &txn));
    must(ramet_map_open(txn, "greetings", 0, &map));
    must(ramet_get(map, key, &value));
    printf("hello %.*s\n", (int)value.size, (const char *)value.data);
    ramet_abort(txn);
    must(ramet_branch_delete(store, "other"));
    ramet_close(store);
}
