/* SPDX-License-Identifier: MIT */
/* disk.c - disks that are opened and closed, and the store that they are in. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

/* ---- what the log is told -------------------------------------------------------------------- */

void rmt_disk_tell(const struct rmt_service *service, const char *format, ...)
{
    char message[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    service->log(message);
}

int rmt_disk_no_memory(const struct rmt_disk *disk)
{
    rmt_disk_tell(disk->service, "disk '%s' of '%s': out of memory", disk->name, disk->ref);
    return -ENOMEM;
}

int rmt_disk_failed(const struct rmt_disk *disk, const char *what, int rc)
{
    if (rc == -ENOMEM)
        return rmt_disk_no_memory(disk);
    const char *hint = "";
    if (rc == RAMET_EPOISONED)
        hint = "; look at the device, then start the server anew";
    else if (rc == -ENOSPC)
        hint = "; what was written stays in memory until there is room: make some, or trim";
    else if (rc == RAMET_ECORRUPT)
        hint = "; 'ramet check' lists all damage";
    rmt_disk_tell(disk->service, "disk '%s' of '%s': %s: %s%s", disk->name, disk->ref, what,
                  ramet_errmsg(), hint);
    return rc;
}

int rmt_disk_broken(const struct rmt_disk *disk)
{
    rmt_disk_tell(
        disk->service,
        "disk '%s' of '%s': the store has lost what was written, or cannot keep it; look at the "
        "device, then start the server anew",
        disk->name, disk->ref);
    return RAMET_EPOISONED;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void disk_free(struct rmt_disk *disk)
{
    (void)pthread_cond_destroy(&disk->wake);
    (void)pthread_cond_destroy(&disk->changed);
    (void)pthread_mutex_destroy(&disk->lock);
    (void)pthread_mutex_destroy(&disk->open_lock);
    free(disk->name);
    free(disk->ref);
    free(disk);
}

static struct rmt_disk *disk_new(struct rmt_service *service,
                                 const struct rmt_disk_options *options)
{
    struct rmt_disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return NULL;
    disk->service = service;
    disk->readonly = options->readonly;
    (void)pthread_mutex_init(&disk->open_lock, NULL); /* none of these can fail on Linux */
    (void)pthread_mutex_init(&disk->lock, NULL);
    (void)pthread_cond_init(&disk->changed, NULL);
    (void)pthread_cond_init(&disk->wake, NULL);
    disk->ref = strdup(options->ref);
    disk->name = strdup(options->name);
    if (disk->ref && disk->name)
        return disk;
    disk_free(disk);
    return NULL;
}

/* Finds the disk among those that are open, or adds one that is not ready. */
static struct rmt_disk *disk_ref(struct rmt_service *service,
                                 const struct rmt_disk_options *options)
{
    rmt_mutex_lock(&service->lock);
    struct rmt_disk *disk = service->disks;
    while (disk && (disk->readonly != options->readonly || strcmp(disk->ref, options->ref) != 0 ||
                    strcmp(disk->name, options->name) != 0))
        disk = disk->next;
    if (!disk) {
        disk = disk_new(service, options);
        if (disk) {
            disk->next = service->disks;
            service->disks = disk;
        }
    }
    if (disk)
        disk->refs++;
    rmt_mutex_unlock(&service->lock);
    return disk;
}

static void disk_unref(struct rmt_disk *disk)
{
    struct rmt_service *service = disk->service;
    rmt_mutex_lock(&service->lock);
    bool last = --disk->refs == 0;
    if (last) {
        struct rmt_disk **at = &service->disks;
        while (*at != disk)
            at = &(*at)->next;
        *at = disk->next;
    }
    rmt_mutex_unlock(&service->lock);
    if (last)
        disk_free(disk);
}

/* A wait must end when the server goes down, and when a client goes away: so it asks again. */
static int take_lease(struct rmt_disk *disk, bool wait)
{
    for (bool told = false;; told = true) {
        int rc = ramet_blob_lease(disk->service->store, disk->ref, disk->name, RAMET_NOWAIT,
                                  &disk->lease);
        if (rc == -EBUSY && !wait)
            rmt_disk_tell(
                disk->service,
                "disk '%s' of '%s': somebody else writes to it; end that, serve a branch of your "
                "own ('ramet branch'), or wait for it (lease=wait)",
                disk->name, disk->ref);
        else if (rc == -EBUSY && !told)
            rmt_disk_tell(disk->service, "disk '%s' of '%s': waiting for whoever writes to it",
                          disk->name, disk->ref);
        else if (rc < 0 && rc != -EBUSY)
            return rmt_disk_failed(disk, "taking its lease", rc);
        if (rc == 0 || !wait)
            return rc;
        if (disk->service->pause(100))
            return -ESHUTDOWN;
    }
}

/* With open_lock. */
static int start(struct rmt_disk *disk, bool wait)
{
    disk->active_gen = 2;
    disk->committed = 1;
    disk->durable = 0; /* what a server before this one wrote may not be on disk */
    disk->commit_id = 0;
    disk->stop = disk->hurry = disk->broken = disk->failing = false;
    disk->size = 0;
    if (disk->readonly)
        return 0;
    int rc = take_lease(disk, wait);
    if (rc < 0)
        return rc;
    rc = -pthread_create(&disk->keeper, NULL, rmt_writeback_keep, disk);
    if (rc < 0) {
        rmt_disk_tell(disk->service, "disk '%s' of '%s': no thread: %s", disk->name, disk->ref,
                      ramet_strerror(rc));
        ramet_lease_end(disk->lease);
    }
    return rc;
}

/* With open_lock. What cannot be written back now is lost, as the log is told. */
static void end(struct rmt_disk *disk)
{
    if (!disk->readonly) {
        rmt_mutex_lock(&disk->lock);
        disk->stop = true;
        (void)pthread_cond_signal(&disk->wake);
        rmt_mutex_unlock(&disk->lock);
        (void)pthread_join(disk->keeper, NULL); /* it ends when told to */
    }
    rmt_mutex_lock(&disk->lock);
    bool dirty = rmt_writeback_dirty_locked(disk);
    if (!disk->readonly && rmt_writeback_flush_locked(disk) < 0 && dirty)
        rmt_disk_tell(disk->service, "disk '%s' of '%s': what was not flushed is lost", disk->name,
                      disk->ref);
    struct rmt_layer layers[2] = {disk->active, disk->frozen};
    disk->active = disk->frozen = (struct rmt_layer){0};
    rmt_writeback_account_locked(disk);
    rmt_unsure_fini(&disk->unsure);
    rmt_unsure_fini(&disk->at_stake);
    struct rmt_view *view = rmt_view_give_up_locked(disk);
    rmt_mutex_unlock(&disk->lock);
    rmt_view_put(view);
    for (size_t i = 0; i < 2; i++)
        rmt_layer_fini(&layers[i], &disk->service->pool);
    ramet_lease_end(disk->lease);
    disk->lease = NULL;
}

static int look_up_size(struct rmt_disk *disk, uint64_t *out_size)
{
    struct rmt_view *view = NULL, *old = NULL;
    rmt_mutex_lock(&disk->lock);
    if (!disk->readonly)
        old = rmt_view_give_up_locked(disk);
    int rc = rmt_view_get_locked(disk, &view);
    rmt_mutex_unlock(&disk->lock);
    rmt_view_put(old);
    if (rc < 0)
        return rc;
    rc = ramet_blob_size(view->blob, out_size);
    rmt_view_put(view);
    if (rc < 0)
        return rmt_disk_failed(disk, "its size", rc);
    rmt_mutex_lock(&disk->lock);
    disk->size = *out_size;
    rmt_mutex_unlock(&disk->lock);
    return 0;
}

int rmt_disk_open(struct rmt_service *service, const struct rmt_disk_options *options,
                  struct rmt_disk **out, uint64_t *out_size)
{
    struct rmt_disk *disk = disk_ref(service, options);
    if (!disk) {
        rmt_disk_tell(service, "disk '%s' of '%s': out of memory", options->name, options->ref);
        return -ENOMEM;
    }
    rmt_mutex_lock(&disk->open_lock);
    int rc = disk->users ? 0 : start(disk, options->wait);
    if (rc == 0) {
        rc = look_up_size(disk, out_size);
        if (rc == 0)
            disk->users++;
        else if (disk->users == 0)
            end(disk);
    }
    rmt_mutex_unlock(&disk->open_lock);
    if (rc < 0)
        disk_unref(disk);
    else
        *out = disk;
    return rc;
}

void rmt_disk_close(struct rmt_disk *disk)
{
    rmt_mutex_lock(&disk->open_lock);
    if (--disk->users == 0)
        end(disk);
    rmt_mutex_unlock(&disk->open_lock);
    disk_unref(disk);
}

/* ---- the service ----------------------------------------------------------------------------- */

static void log_store(void *ctx, int level, const char *message)
{
    const struct rmt_service *service = ctx;
    if (level <= RAMET_LOG_WARNING)
        service->log(message);
}

int rmt_service_init(struct rmt_service *service, const char *path,
                     const struct rmt_service_options *options)
{
    *service = (struct rmt_service){.readonly = options->readonly,
                                    .dirty_max = options->dirty_max,
                                    .log = options->log,
                                    .pause = options->pause};
    struct ramet_options opening = {.size = sizeof(opening),
                                    .durability = RAMET_NONE,
                                    .flags =
                                        RAMET_MUST_EXIST | (options->readonly ? RAMET_READONLY : 0),
                                    .log = log_store,
                                    .log_ctx = service};
    struct ramet_stat stat = {.size = sizeof(stat)};
    int rc = ramet_open(path, &opening, &service->store);
    if (rc == 0)
        rc = ramet_stat(service->store, &stat);
    if (rc != 0) {
        rmt_disk_tell(service, "%s", ramet_errmsg());
        ramet_close(service->store);
        service->store = NULL;
        return rc;
    }
    service->page_size = stat.page_size;
    (void)pthread_mutex_init(&service->lock, NULL); /* it cannot fail on Linux */
    rmt_pool_init(&service->pool, stat.page_size, (size_t)(options->dirty_max / stat.page_size));
    return 0;
}

void rmt_service_fini(struct rmt_service *service)
{
    if (!service->store)
        return;
    /* A server that is told to end closes no connection that is still there. */
    while (service->disks) {
        struct rmt_disk *disk = service->disks;
        service->disks = disk->next;
        if (disk->users)
            end(disk);
        disk_free(disk);
    }
    rmt_pool_fini(&service->pool);
    (void)pthread_mutex_destroy(&service->lock);
    ramet_close(service->store);
    service->store = NULL;
}
