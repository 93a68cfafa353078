/* SPDX-License-Identifier: MIT */
/*
 * plugin.c - the plugin "ramet" of nbdkit: blobs served as disks over NBD.
 *
 * What nbdkit asks, and what the user configured; disk.h does it.
 */
#define NBDKIT_API_VERSION 2
#include <errno.h>
#include <inttypes.h>
#include <nbdkit-plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define VERSION \
    TEXT(RAMET_VERSION_MAJOR) "." TEXT(RAMET_VERSION_MINOR) "." TEXT(RAMET_VERSION_PATCH)

#define MEMORY_DEFAULT ((int64_t)64 << 20)
#define MEMORY_MIN ((int64_t)1 << 20)
#define EXTENTS_MAX 8192 /* told at once: clients ask for the rest */

/* Set before the fork, and not changed. */
static struct {
    char *store;         /* its path, absolute */
    const char *disk;    /* NULL: the name of the export says it */
    const char *branch;  /* NULL: main, and others by the name of the export */
    const char *ref;     /* NULL: a branch is served */
    int64_t create_size; /* -1: a disk is not made */
    int64_t memory;
    bool wait;
} config = {.create_size = -1, .memory = MEMORY_DEFAULT};

static struct rmt_service service;

/* A connection. */
struct client {
    struct rmt_disk *disk;
    uint64_t size;
    bool readonly;
    char *ref, *name;
};

/* ---- errors ---------------------------------------------------------------------------------- */

static void log_error(const char *message)
{
    nbdkit_error("%s", message);
}

static int pause_ms(unsigned ms)
{
    return nbdkit_nanosleep(0, ms * 1000000);
}

/* What NBD has no word for would reach the client as "invalid argument", which is its own fault. */
static int fail(int rc)
{
    int code = ramet_errno(rc);
    switch (code) {
    case EPERM:
    case EIO:
    case ENOMEM:
    case EINVAL:
    case ENOSPC:
    case ENOTSUP:
    case ESHUTDOWN: break;
    case EROFS: code = EPERM; break;
    case EFBIG:
    case EDQUOT: code = ENOSPC; break;
    default: code = rc == RAMET_EFORKED ? EPERM : EIO; break;
    }
    nbdkit_set_error(code);
    return -1;
}

static int done(int rc)
{
    return rc < 0 ? fail(rc) : 0;
}

/* ---- configuration --------------------------------------------------------------------------- */

static int config_size(const char *key, const char *value, int64_t min, int64_t *out)
{
    int64_t size = nbdkit_parse_size(value);
    if (size >= 0 && size < min) {
        nbdkit_error("%s=%s: it is at least %" PRIi64, key, value, min);
        return -1;
    }
    *out = size;
    return size < 0 ? -1 : 0;
}

static int config_lease(const char *value)
{
    config.wait = strcmp(value, "wait") == 0;
    if (config.wait || strcmp(value, "fail") == 0)
        return 0;
    nbdkit_error("lease=%s: it is 'wait' or 'fail'", value);
    return -1;
}

static int ramet_config(const char *key, const char *value)
{
    if (strcmp(key, "store") == 0) {
        free(config.store);
        config.store = nbdkit_realpath(value);
        return config.store ? 0 : -1;
    }
    if (strcmp(key, "create-size") == 0)
        return config_size(key, value, 0, &config.create_size);
    if (strcmp(key, "memory") == 0)
        return config_size(key, value, MEMORY_MIN, &config.memory);
    if (strcmp(key, "lease") == 0)
        return config_lease(value);
    const char **word = strcmp(key, "disk") == 0     ? &config.disk
                        : strcmp(key, "branch") == 0 ? &config.branch
                        : strcmp(key, "ref") == 0    ? &config.ref
                                                     : NULL;
    if (!word) {
        nbdkit_error("unknown parameter '%s': it is store, disk, branch, ref, create-size, lease "
                     "or memory",
                     key);
        return -1;
    }
    if (*value == 0) {
        nbdkit_error("%s= is empty", key);
        return -1;
    }
    *word = value; /* it stays where it is for as long as the plugin */
    return 0;
}

static int ramet_config_complete(void)
{
    const char *wrong = NULL;
    if (!config.store)
        wrong = "which store? nbdkit ramet STORE disk=NAME";
    else if (config.branch && config.ref)
        wrong = "branch= is written to and ref= only read: give one of them";
    else if (config.create_size >= 0 && !config.disk)
        wrong = "create-size= makes the disk that disk= names: give that, too";
    else if (config.create_size >= 0 && config.ref)
        wrong = "create-size= makes a disk in a branch, and ref= is only read";
    else if (config.create_size > (int64_t)RAMET_BLOB_MAX)
        wrong = "create-size= is more than a disk can have (1E)";
    if (wrong)
        nbdkit_error("%s", wrong);
    return wrong ? -1 : 0;
}

static const char config_help[] =
    "[store=]<STORE>      (required) A store of ramet.\n"
    "disk=<NAME>          The disk; else the export's name says which: NAME or NAME@REF.\n"
    "branch=<BRANCH>      Serve the disks of this branch; default: main, and others by name.\n"
    "ref=<REF>            Serve a version, read-only: BRANCH@NAME, @ID, or a branch as it is.\n"
    "create-size=<SIZE>   Make the disk if it is not there.\n"
    "lease=fail|wait      What to do if somebody else writes to the disk; default: fail.\n"
    "memory=<SIZE>        What is written and not yet in the store, at most; default: 64M.";

/* What is served if the export's name says nothing of it. */
static const char *default_ref(void)
{
    return config.ref ? config.ref : config.branch ? config.branch : "main";
}

/* ---- looking disks up ------------------------------------------------------------------------ */

static int say(int rc)
{
    nbdkit_error("%s", ramet_errmsg());
    return rc;
}

static int with_disks(struct ramet_store *store, const char *ref, ramet_blob_fn fn, void *ctx)
{
    struct ramet_txn *txn;
    int rc = ramet_begin(store, ref, RAMET_READ, &txn);
    if (rc < 0)
        return rc;
    rc = ramet_blob_list(txn, fn, ctx);
    ramet_abort(txn);
    return rc;
}

static int find_disk(struct ramet_store *store, const char *ref, const char *name)
{
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    int rc = ramet_begin(store, ref, RAMET_READ, &txn);
    if (rc < 0)
        return rc;
    rc = ramet_blob_open(txn, name, 0, &blob);
    ramet_abort(txn);
    return rc;
}

/* Takes an export's name apart, NAME or NAME@REF; a disk's name may have an '@' of its own. */
static int resolve(const char *export, char **out_name, const char **out_ref)
{
    *out_ref = default_ref();
    *out_name = strdup(export);
    if (!*out_name)
        return -ENOMEM;
    int rc = find_disk(service.store, *out_ref, export);
    if (rc != RAMET_ENOTFOUND || config.branch || config.ref)
        return rc;
    for (const char *at = strchr(export, '@'); at; at = strchr(at + 1, '@')) {
        (*out_name)[at - export] = 0;
        if (at > export && at[1])
            rc = find_disk(service.store, at + 1, *out_name);
        if (rc != RAMET_ENOTFOUND && rc != -EINVAL) {
            *out_ref = at + 1;
            return rc;
        }
        (*out_name)[at - export] = '@';
    }
    return find_disk(service.store, *out_ref, export); /* for its message */
}

/* ---- starting -------------------------------------------------------------------------------- */

static int create_disk(struct ramet_store *store)
{
    struct ramet_txn *txn;
    struct ramet_blob *blob;
    int rc = ramet_begin(store, default_ref(), RAMET_WRITE, &txn);
    if (rc < 0)
        return rc;
    rc = ramet_blob_open(txn, config.disk, RAMET_CREATE, &blob);
    if (rc == 0)
        rc = ramet_blob_truncate(blob, (uint64_t)config.create_size);
    if (rc == 0)
        return ramet_commit(txn, NULL, NULL);
    ramet_abort(txn);
    return rc;
}

/* What is wrong is said here, while somebody looks; the store is closed again, for nbdkit may fork
 * before it serves. */
static int ramet_get_ready(void)
{
    struct ramet_options options = {.size = sizeof(options),
                                    .flags = RAMET_MUST_EXIST |
                                             (config.create_size < 0 ? RAMET_READONLY : 0)};
    struct ramet_store *store = NULL;
    struct ramet_txn *txn = NULL;
    int rc = ramet_open(config.store, &options, &store);
    if (rc == 0)
        rc = ramet_begin(store, default_ref(), RAMET_READ, &txn);
    ramet_abort(rc < 0 ? NULL : txn);
    if (rc == 0 && config.disk) {
        rc = find_disk(store, default_ref(), config.disk);
        if (rc == RAMET_ENOTFOUND && config.create_size >= 0)
            rc = create_disk(store);
        else if (rc == RAMET_ENOTFOUND)
            nbdkit_error("there is no disk '%s' in '%s'; create-size=SIZE makes one", config.disk,
                         default_ref());
    }
    if (rc < 0 && !(rc == RAMET_ENOTFOUND && config.disk && txn))
        (void)say(rc);
    ramet_close(store);
    return rc < 0 ? -1 : 0;
}

static int ramet_after_fork(void)
{
    struct rmt_service_options options = {.dirty_max = (uint64_t)config.memory,
                                          .readonly = config.ref != NULL,
                                          .log = log_error,
                                          .pause = pause_ms};
    int rc = rmt_service_init(&service, config.store, &options);
    if ((rc == -EACCES || rc == -EROFS || rc == -EPERM) && !options.readonly) {
        nbdkit_error("'%s' cannot be written to here: its disks are served read-only",
                     config.store);
        options.readonly = true;
        rc = rmt_service_init(&service, config.store, &options);
    }
    return done(rc);
}

static void ramet_cleanup(void)
{
    rmt_service_fini(&service);
}

static void ramet_unload(void)
{
    free(config.store);
}

static void ramet_dump_plugin(void)
{
    printf("ramet_version=%s\n", ramet_version());
    printf("ramet_default_memory=%" PRIi64 "\n", MEMORY_DEFAULT);
}

/* ---- exports --------------------------------------------------------------------------------- */

struct listing {
    struct nbdkit_exports *exports;
    const char *ref;
    bool other; /* not what is served by default: the name says so */
};

static int list_disk(void *ctx, const struct ramet_blob_info *info)
{
    const struct listing *listing = ctx;
    char name[RAMET_BLOB_NAME_MAX + RAMET_NAME_MAX + 2], description[128];
    (void)snprintf(name, sizeof(name), "%s%s%s", info->name, listing->other ? "@" : "",
                   listing->other ? listing->ref : "");
    (void)snprintf(description, sizeof(description), "%" PRIu64 " bytes, %" PRIu64 " of them there",
                   info->bytes, info->data_bytes);
    return nbdkit_add_export(listing->exports, name, description);
}

static int list_branch(void *ctx, const struct ramet_branch_info *info)
{
    struct nbdkit_exports *exports = ctx;
    struct listing listing = {exports, info->name, true};
    if (strcmp(info->name, default_ref()) == 0)
        return 0;
    int rc = with_disks(service.store, info->name, list_disk, &listing);
    return rc == RAMET_ENOTFOUND ? 0 : rc; /* the branch has just been deleted */
}

static int ramet_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
    (void)readonly;
    (void)is_tls;
    if (config.disk)
        return nbdkit_add_export(exports, config.disk, NULL);
    struct listing listing = {exports, default_ref(), false};
    int rc = with_disks(service.store, listing.ref, list_disk, &listing);
    if (rc == 0 && !config.branch && !config.ref)
        rc = ramet_branch_list(service.store, list_branch, exports);
    return rc == -1 ? -1 : rc < 0 ? fail(say(rc)) : 0;
}

static int take_only(void *ctx, const struct ramet_blob_info *info)
{
    const char **only = ctx;
    bool first = *only == NULL;
    *only = first ? nbdkit_strdup_intern(info->name) : "";
    return first ? 0 : 1;
}

static const char *ramet_default_export(int readonly, int is_tls)
{
    (void)readonly;
    (void)is_tls;
    if (config.disk)
        return config.disk;
    const char *only = NULL;
    if (with_disks(service.store, default_ref(), take_only, &only) < 0)
        (void)say(0);
    return only ? only : "";
}

/* ---- connections ----------------------------------------------------------------------------- */

static void client_free(struct client *client)
{
    if (!client)
        return;
    free(client->ref);
    free(client->name);
    free(client);
}

/* Which disk the export's name means: client->name and ref. */
static int choose(const char *export, struct client *client)
{
    const char *ref = default_ref();
    int rc = 0;
    if (config.disk) {
        if (*export && strcmp(export, config.disk) != 0) {
            nbdkit_error("export '%s': this server has the disk '%s' alone", export, config.disk);
            return -EINVAL;
        }
        client->name = strdup(config.disk);
    } else if (!*export) {
        nbdkit_error("'%s' has not just one disk: the export's name says which", ref);
        return -EINVAL;
    } else {
        rc = resolve(export, &client->name, &ref);
    }
    client->ref = strdup(ref);
    if (rc == 0 && client->name && client->ref)
        return 0;
    if (rc == 0)
        rc = -ENOMEM;
    nbdkit_error("export '%s': %s", export, rc == -ENOMEM ? "out of memory" : ramet_errmsg());
    return rc;
}

static void *ramet_open_client(int readonly)
{
    const char *export = nbdkit_export_name();
    struct client *client = calloc(1, sizeof(*client));
    int rc = export && client ? 0 : -ENOMEM;
    if (rc == 0 && config.disk == NULL && !*export)
        export = ramet_default_export(readonly, 0);
    if (rc == 0)
        rc = choose(export, client);
    if (rc == 0) {
        client->readonly =
            readonly || config.ref || service.readonly || strpbrk(client->ref, "@~") != NULL;
        struct rmt_disk_options options = {client->ref, client->name, client->readonly,
                                           config.wait};
        rc = rmt_disk_open(&service, &options, &client->disk, &client->size);
    }
    if (rc == 0)
        return client;
    client_free(client);
    (void)fail(rc);
    return NULL;
}

static void ramet_close_client(void *handle)
{
    struct client *client = handle;
    rmt_disk_close(client->disk);
    client_free(client);
}

static const char *ramet_export_description(void *handle)
{
    const struct client *client = handle;
    return nbdkit_printf_intern("disk '%s' of '%s'%s", client->name, client->ref,
                                client->readonly ? ", read-only" : "");
}

static int64_t ramet_get_size(void *handle)
{
    const struct client *client = handle;
    return (int64_t)client->size;
}

static int ramet_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    (void)handle;
    *minimum = 1;
    *preferred = service.page_size;
    *maximum = 32u << 20;
    return 0;
}

static int ramet_can_write(void *handle)
{
    const struct client *client = handle;
    return !client->readonly;
}

static int yes(void *handle)
{
    (void)handle;
    return 1;
}

static int no(void *handle)
{
    (void)handle;
    return 0;
}

static int ramet_can_fua(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static int ramet_can_cache(void *handle)
{
    (void)handle;
    return NBDKIT_CACHE_EMULATE; /* a read brings it into the page cache, and verifies nodes */
}

/* ---- requests -------------------------------------------------------------------------------- */

static int ramet_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct client *client = handle;
    (void)flags;
    return done(rmt_disk_read(client->disk, buf, count, offset));
}

static int end_request(const struct client *client, int rc, uint32_t flags)
{
    if (rc == 0 && flags & NBDKIT_FLAG_FUA)
        rc = rmt_disk_flush(client->disk);
    return done(rc);
}

static int ramet_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
                        uint32_t flags)
{
    const struct client *client = handle;
    return end_request(client, rmt_disk_write(client->disk, buf, count, offset), flags);
}

static int ramet_flush(void *handle, uint32_t flags)
{
    const struct client *client = handle;
    (void)flags;
    return done(rmt_disk_flush(client->disk));
}

static int ramet_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct client *client = handle;
    return end_request(client, rmt_disk_trim(client->disk, count, offset), flags);
}

/* Zeros take no room, wished for or not, so that all of these are fast. */
static int ramet_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    const struct client *client = handle;
    return end_request(client, rmt_disk_zero(client->disk, count, offset), flags);
}

struct extents {
    struct nbdkit_extents *to;
    unsigned count;
    uint32_t type; /* of the last one */
    bool one;
    bool failed;
};

static int add_extent(void *ctx, const struct ramet_extent *extent)
{
    struct extents *extents = ctx;
    uint32_t type = extent->kind == RAMET_EXTENT_HOLE ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
    if (extents->count && type != extents->type && (extents->one || extents->count >= EXTENTS_MAX))
        return 1;
    extents->failed = nbdkit_add_extent(extents->to, extent->offset, extent->bytes, type) < 0;
    extents->type = type;
    extents->count++;
    return extents->failed;
}

static int ramet_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                         struct nbdkit_extents *to)
{
    const struct client *client = handle;
    struct extents extents = {.to = to, .one = (flags & NBDKIT_FLAG_REQ_ONE) != 0};
    int rc = rmt_disk_extents(client->disk, count, offset, add_extent, &extents);
    return rc < 0 ? fail(rc) : extents.failed ? -1 : 0;
}

static struct nbdkit_plugin plugin = {
    .name = "ramet",
    .longname = "nbdkit ramet plugin",
    .version = VERSION,
    .description = "disks of a ramet store: branches and snapshots, copied on write",
    .unload = ramet_unload,
    .config = ramet_config,
    .config_complete = ramet_config_complete,
    .config_help = config_help,
    .magic_config_key = "store",
    .dump_plugin = ramet_dump_plugin,
    .get_ready = ramet_get_ready,
    .after_fork = ramet_after_fork,
    .cleanup = ramet_cleanup,
    .list_exports = ramet_list_exports,
    .default_export = ramet_default_export,
    .export_description = ramet_export_description,
    .open = ramet_open_client,
    .close = ramet_close_client,
    .get_size = ramet_get_size,
    .block_size = ramet_block_size,
    .can_write = ramet_can_write,
    .can_flush = yes,
    .can_trim = yes,
    .can_zero = yes,
    .can_fast_zero = yes,
    .can_extents = yes,
    .can_multi_conn = yes,
    .is_rotational = no,
    .can_fua = ramet_can_fua,
    .can_cache = ramet_can_cache,
    .pread = ramet_pread,
    .pwrite = ramet_pwrite,
    .flush = ramet_flush,
    .trim = ramet_trim,
    .zero = ramet_zero,
    .extents = ramet_extents,
};

struct nbdkit_plugin *plugin_init(void); /* which the next line defines */
NBDKIT_REGISTER_PLUGIN(plugin)
