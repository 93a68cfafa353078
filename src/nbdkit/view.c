/* SPDX-License-Identifier: MIT */
/* view.c - the version of the store that a disk is read from. */
#include <stdlib.h>

#include "state.h"

void rmt_view_put(struct rmt_view *view)
{
    if (!view || atomic_fetch_sub(&view->refs, 1) > 1)
        return;
    ramet_abort(view->txn);
    free(view);
}

static int view_begin(struct rmt_disk *disk, struct rmt_view **out)
{
    struct rmt_view *view = calloc(1, sizeof(*view));
    if (!view)
        return rmt_disk_no_memory(disk);
    atomic_init(&view->refs, 1);
    int rc = ramet_begin(disk->service->store, disk->ref, RAMET_READ, &view->txn);
    if (rc == 0)
        rc = ramet_blob_open(view->txn, disk->name, 0, &view->blob);
    if (rc < 0) {
        ramet_abort(view->txn);
        free(view);
        return rmt_disk_failed(disk, "opening it", rc);
    }
    *out = view;
    return 0;
}

int rmt_view_get_locked(struct rmt_disk *disk, struct rmt_view **out)
{
    if (!disk->view) {
        int rc = view_begin(disk, &disk->view);
        if (rc < 0)
            return rc;
        /* A flush of another process failed, and with it our commit is gone. */
        if (ramet_txn_id(disk->view->txn) < disk->commit_id)
            disk->broken = true;
        if (disk->idle)
            (void)pthread_cond_signal(&disk->wake);
    }
    disk->view_used = true;
    atomic_fetch_add(&disk->view->refs, 1);
    *out = disk->view;
    return 0;
}

struct rmt_view *rmt_view_give_up_locked(struct rmt_disk *disk)
{
    struct rmt_view *view = disk->view;
    disk->view = NULL;
    return view;
}
