/* SPDX-License-Identifier: MIT */
/*
 * image.c - disks from files and into files: import, export.
 *
 * An import is written to a branch of its own, in commits of bounded size that are not flushed, and
 * then merged into its target: that is one commit, which takes over what is there by now, and one
 * flush. The branch is named after its target, so that the next import knows it if this one is
 * killed: IMPORT_PREFIX, how many bytes the target's name has, that name, the disk's name. Whoever
 * has the disk's lease may delete it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "disk.h"
#include "interrupt.h"
#include "progress.h"

#define IMPORT_PREFIX "import:"

enum {
    PIECE_SIZE = 1 << 20,  /* what is read and written at once: a multiple of every page */
    COMMIT_SIZE = 8 << 20, /* small enough to stay in the processor's caches */
};

/* ---- other formats -----------------------------------------------------------------------------
 */

struct magic {
    const char *format; /* as qemu-img calls it */
    size_t offset;
    const char *bytes;
    size_t size;
};

#define MAGIC(format, offset, bytes)             \
    {                                            \
        format, offset, bytes, sizeof(bytes) - 1 \
    }

static const struct magic magics[] = {
    MAGIC("qcow2", 0, "QFI\xfb"),
    MAGIC("vmdk", 0, "KDMV"),
    MAGIC("vmdk", 0, "# Disk DescriptorFile"),
    MAGIC("vhdx", 0, "vhdxfile"),
    MAGIC("vpc", 0, "conectix"),
    MAGIC("vdi", 64, "\x7f\x10\xda\xbe"),
    MAGIC("qed", 0, "QED\0"),
    MAGIC("parallels", 0, "WithoutFreeSpace"),
    MAGIC("parallels", 0, "WithouFreSpacExt"),
};

/* NULL: nothing that is known. */
static const char *format_of(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        const struct magic *magic = &magics[i];
        if (size >= magic->offset + magic->size &&
            !memcmp(bytes + magic->offset, magic->bytes, magic->size))
            return magic->format;
    }
    return NULL;
}

/* ---- files -------------------------------------------------------------------------------------
 */

static int file_fail(const char *path, const char *what)
{
    rmt_output_error("%s: %s: %s", path, what, strerror(errno));
    return RMT_EXIT_FAILED;
}

/* Reads until buf is full, or the file ends. off: where; UINT64_MAX: where it stands. */
static ssize_t read_full(int fd, uint8_t *buf, size_t len, uint64_t off)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = off == UINT64_MAX ? read(fd, buf + done, len - done)
                                      : pread(fd, buf + done, len - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR && !rmt_interrupt_seen())
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int write_full(int fd, const uint8_t *buf, size_t len, uint64_t off)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = off == UINT64_MAX ? write(fd, buf + done, len - done)
                                      : pwrite(fd, buf + done, len - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR && !rmt_interrupt_seen())
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

static bool is_dash(const char *path)
{
    return !strcmp(path, "-");
}

static void say_done(const struct rmt_session *s, const struct rmt_progress *progress,
                     uint64_t size, uint64_t copied)
{
    uint64_t ms = rmt_progress_now_ms() - progress->start_ms;
    struct rmt_buf text = {0};
    if (s->args.json) {
        json_t *object = json_object();
        rmt_output_json_str(object, "disk", s->args.operand[1]);
        rmt_output_json_int(object, "bytes", size);
        rmt_output_json_int(object, "copied_bytes", copied);
        rmt_output_json_int(object, "ms", ms);
        rmt_output_json(object);
    }
    rmt_text_units(&text, size);
    rmt_buf_add_str(&text, ", of which ");
    rmt_text_units(&text, copied);
    rmt_buf_add_str(&text, " copied, ");
    rmt_text_duration(&text, ms);
    rmt_progress_say(rmt_buf_str(&text));
    rmt_buf_free(&text);
}

/* ---- import ------------------------------------------------------------------------------------
 */

struct importing {
    struct rmt_session *s;
    const char *disk;
    const char *path;
    int fd;
    bool seekable;
    uint64_t size; /* of a pipe: what was read so far */
    struct ramet_lease *lease;
    struct rmt_buf branch; /* the import's own; empty: it is not there */
    struct ramet_blob *blob;
    bool replaces;     /* the disk was there */
    uint64_t old_size; /* of it, or what is left of it */
    uint64_t copied;   /* bytes written */
    uint8_t *bytes;    /* [COMMIT_SIZE] what was read; the transaction at hand borrows it, */
    size_t lent;       /* up to here */
    uint8_t *old;      /* [PIECE_SIZE] */
    struct rmt_progress progress;
};

static int blob_fail(const struct importing *im, int rc)
{
    return rmt_session_fail(rc, "cannot write disk '%s'", im->disk);
}

static int open_source(struct importing *im)
{
    struct stat st;
    im->fd = is_dash(im->path) ? STDIN_FILENO : open(im->path, O_RDONLY | O_CLOEXEC);
    if (im->fd < 0 || fstat(im->fd, &st) < 0)
        return file_fail(im->path, "cannot read it");
    if (S_ISDIR(st.st_mode)) {
        rmt_output_error("%s: that is a folder; give an image of a disk, or a device", im->path);
        return RMT_EXIT_FAILED;
    }
    im->seekable = !is_dash(im->path) && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
    if (!im->seekable)
        return RMT_EXIT_OK;
    off_t end = lseek(im->fd, 0, SEEK_END); /* of a device too */
    if (end < 0)
        return file_fail(im->path, "cannot find its end");
    im->size = (uint64_t)end;
    (void)posix_fadvise(im->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* it is faster, no more */
    return RMT_EXIT_OK;
}

static int check_format(const struct importing *im, const uint8_t *bytes, size_t size)
{
    const char *format = im->s->args.raw ? NULL : format_of(bytes, size);
    if (!format)
        return RMT_EXIT_OK;
    rmt_output_error("%s: this is an image in %s format, not a raw one; "
                     "'qemu-img convert -f %s -O raw %s %s.raw' makes one to import; "
                     "--raw takes it as it is",
                     im->path, format, format, im->path, im->path);
    return RMT_EXIT_FAILED;
}

/* The branch of an import, or of one that was killed. */
static void name_branch(struct rmt_buf *name, const char *target, const char *disk)
{
    rmt_buf_clear(name);
    rmt_buf_printf(name, IMPORT_PREFIX "%zu:%s:%s", strlen(target), target, disk);
}

/* The inverse; false: it is no such name. */
static bool parse_branch(const char *name, struct rmt_buf *target, const char **disk)
{
    char *end;
    size_t prefix = strlen(IMPORT_PREFIX);
    if (strncmp(name, IMPORT_PREFIX, prefix) != 0 || name[prefix] < '1' || name[prefix] > '9')
        return false;
    size_t size = strtoul(name + prefix, &end, 10);
    if (*end != ':' || size > RAMET_NAME_MAX || strlen(end + 1) < size + 2 || end[1 + size] != ':')
        return false;
    rmt_buf_clear(target);
    rmt_buf_add(target, end + 1, size);
    *disk = end + 1 + size + 1;
    return true;
}

static int collect_branch(void *ctx, const struct ramet_branch_info *info)
{
    if (!strncmp(info->name, IMPORT_PREFIX, strlen(IMPORT_PREFIX)))
        rmt_buf_add(ctx, info->name, strlen(info->name) + 1);
    return 0;
}

/* Deletes what killed imports have left, of this disk and of others. */
static int clear_left(struct importing *im)
{
    struct ramet_store *store = im->s->store;
    struct rmt_buf found = {0}, target = {0};
    const char *disk;
    int rc = ramet_branch_list(store, collect_branch, &found);
    const char *end = rmt_buf_str(&found) + found.size;
    for (const char *name = found.data; rc == 0 && name < end; name += strlen(name) + 1) {
        if (!parse_branch(name, &target, &disk))
            continue;
        struct ramet_lease *lease = NULL;
        bool own = !strcmp(rmt_buf_str(&target), im->s->branch) && !strcmp(disk, im->disk);
        rc = own ? 0 : ramet_blob_lease(store, rmt_buf_str(&target), disk, RAMET_NOWAIT, &lease);
        bool gone = rc == RAMET_ENOTFOUND; /* its target: then nobody can finish it */
        if (rc == 0 || gone)
            rc = ramet_branch_delete(store, name);
        ramet_lease_end(lease);
        if (rc == -EBUSY || rc == RAMET_ENOTFOUND)
            rc = 0; /* that one is under way, or is done by now */
    }
    rmt_buf_free(&found);
    rmt_buf_free(&target);
    return rc < 0 ? rmt_session_fail(rc, "cannot clear what an earlier import has left")
                  : RMT_EXIT_OK;
}

static int first_conflict(void *ctx, const struct ramet_conflict *conflict)
{
    (void)ctx;
    (void)conflict;
    return 1;
}

/* Whether it is worth while to begin. */
static int check_target(struct importing *im)
{
    struct rmt_session *s = im->s;
    struct ramet_blob *blob;
    int rc = ramet_begin(s->store, s->branch, RAMET_READ, &s->txn);
    if (rc < 0)
        return rmt_session_fail(rc, "'%s' of '%s'", s->branch, s->path);
    rc = ramet_blob_open(s->txn, im->disk, 0, &blob);
    im->replaces = rc == 0;
    if (rc == 0 && !s->args.force) {
        rmt_output_error("there is a disk '%s' in '%s' already; --force replaces it", im->disk,
                         s->branch);
        return RMT_EXIT_FAILED;
    }
    if (rc < 0 && rc != RAMET_ENOTFOUND)
        return rmt_session_fail(rc, "disk '%s'", im->disk);
    rc = ramet_conflict_list(s->txn, first_conflict, NULL);
    rmt_session_abort(s);
    if (rc > 0) {
        rmt_output_error("'%s' has conflicts of a merge; 'ramet conflicts %s %s' lists them, "
                         "'ramet resolve' decides them",
                         s->branch, s->path, s->branch);
        return RMT_EXIT_FAILED;
    }
    return rc < 0 ? rmt_session_fail(rc, "'%s'", s->branch) : RMT_EXIT_OK;
}

/* Begins the next transaction on the import's branch. */
static int begin(struct importing *im)
{
    struct rmt_session *s = im->s;
    int rc = ramet_begin(s->store, rmt_buf_str(&im->branch), RAMET_WRITE, &s->txn);
    if (rc == 0)
        rc = ramet_blob_open(s->txn, im->disk, RAMET_CREATE, &im->blob);
    im->lent = 0;
    return rc < 0 ? blob_fail(im, rc) : RMT_EXIT_OK;
}

static int commit(struct importing *im)
{
    struct ramet_txn *txn = im->s->txn;
    im->s->txn = NULL; /* it ends, also on error */
    int rc = ramet_commit(txn, NULL, NULL);
    return rc < 0 ? blob_fail(im, rc) : RMT_EXIT_OK;
}

static int make_branch(struct importing *im)
{
    struct rmt_session *s = im->s;
    struct rmt_buf name = {0};
    name_branch(&name, s->branch, im->disk);
    if (name.size > RAMET_NAME_MAX) {
        rmt_output_error(
            "the names of branch '%s' and of disk '%s' are too long together to import "
            "it; take shorter ones",
            s->branch, im->disk);
        rmt_buf_free(&name);
        return RMT_EXIT_FAILED;
    }
    int rc = ramet_branch_create(s->store, rmt_buf_str(&name), s->branch);
    if (rc < 0) {
        rmt_buf_free(&name);
        return rmt_session_fail(rc, "cannot make a branch for the import from '%s'", s->branch);
    }
    im->branch = name;
    int status = begin(im);
    if (!status)
        rc = ramet_blob_size(im->blob, &im->old_size);
    if (!status && rc == 0 && im->seekable)
        rc = ramet_blob_truncate(im->blob, im->size);
    if (im->seekable && im->old_size > im->size)
        im->old_size = im->size;
    return status ? status : rc < 0 ? blob_fail(im, rc) : RMT_EXIT_OK;
}

/* Of what the disk has already: only the pieces that differ. */
static int write_changed(struct importing *im, uint64_t off, const uint8_t *bytes, size_t len)
{
    enum { STEP = 4096 };
    int64_t got = ramet_blob_read(im->blob, off, im->old, len);
    int rc = got < 0 ? (int)got : 0;
    for (size_t at = 0; at < len && rc == 0;) {
        size_t end = at;
        while (end < len) { /* to the next piece that is the same */
            size_t n = len - end < STEP ? len - end : STEP;
            if ((int64_t)(end + n) <= got && !memcmp(bytes + end, im->old + end, n))
                break;
            end += n;
        }
        if (end > at)
            rc = ramet_blob_lend(im->blob, off + at, bytes + at, end - at);
        im->copied += end - at;
        at = end + STEP;
    }
    return rc;
}

/* Where the next piece is read to. */
static uint8_t *piece_of(const struct importing *im)
{
    return im->bytes + im->lent;
}

/* bytes: of piece_of(); NULL: zeros. */
static int put(struct importing *im, uint64_t off, const uint8_t *bytes, uint64_t len)
{
    int rc = 0, status = RMT_EXIT_OK;
    if (bytes)
        im->lent += (size_t)(len + 4095) / 4096 * 4096;
    if (!bytes) {
        if (off < im->old_size)
            rc = ramet_blob_zero(im->blob, off, len);
    } else if (off < im->old_size) {
        rc = write_changed(im, off, bytes, (size_t)len);
    } else {
        rc = ramet_blob_lend(im->blob, off, bytes, (size_t)len);
        im->copied += len;
    }
    if (rc < 0)
        return blob_fail(im, rc);
    if (COMMIT_SIZE - im->lent < PIECE_SIZE) {
        status = commit(im);
        if (!status)
            status = begin(im);
    }
    rmt_progress_update(&im->progress, off + len, (off + len) >> 20, off + len);
    return !status && rmt_interrupt_seen() ? RMT_EXIT_INTERRUPTED : status;
}

/* Where the next data begins, at or behind off, and where it ends. Without support for that all is
 * data. */
static void find_data(const struct importing *im, uint64_t off, uint64_t *from, uint64_t *to)
{
    off_t data = lseek(im->fd, (off_t)off, SEEK_DATA);
    *from = data >= 0 ? (uint64_t)data : errno == ENXIO ? im->size : off;
    off_t hole = data >= 0 ? lseek(im->fd, data, SEEK_HOLE) : -1;
    *to = hole >= 0 && (uint64_t)hole < im->size ? (uint64_t)hole : im->size;
    if (*from > im->size)
        *from = im->size;
}

/* Data [off, to) of a file. */
static int copy_data(struct importing *im, uint64_t off, uint64_t to)
{
    int status = RMT_EXIT_OK;
    while (off < to && !status) {
        uint64_t len = PIECE_SIZE - off % PIECE_SIZE; /* whole pages from the second on */
        len = to - off < len ? to - off : len;
        ssize_t n = read_full(im->fd, piece_of(im), (size_t)len, off);
        if (n < 0 && rmt_interrupt_seen())
            return RMT_EXIT_INTERRUPTED;
        if (n < 0)
            return file_fail(im->path, "cannot read it");
        if ((uint64_t)n < len) {
            rmt_output_error("%s: it has become shorter while it was read; nothing was imported",
                             im->path);
            return RMT_EXIT_FAILED;
        }
        status = put(im, off, piece_of(im), len);
        off += len;
    }
    return status;
}

static int copy_file(struct importing *im)
{
    ssize_t n = read_full(im->fd, im->bytes, 4096, 0);
    if (n < 0)
        return file_fail(im->path, "cannot read it");
    int status = check_format(im, im->bytes, (size_t)n);
    if (!status)
        status = make_branch(im);
    for (uint64_t off = 0, from, to; off < im->size && !status; off = to) {
        find_data(im, off, &from, &to);
        if (from > off)
            status = put(im, off, NULL, from - off);
        if (!status)
            status = copy_data(im, from, to);
    }
    return status;
}

static int copy_pipe(struct importing *im)
{
    int status = RMT_EXIT_OK;
    for (ssize_t n = PIECE_SIZE; n == PIECE_SIZE && !status;) {
        n = read_full(im->fd, piece_of(im), PIECE_SIZE, UINT64_MAX);
        if (n < 0 && rmt_interrupt_seen())
            return RMT_EXIT_INTERRUPTED;
        if (n < 0)
            return file_fail(im->path, "cannot read it");
        if (im->size == 0)
            status = check_format(im, im->bytes, (size_t)n);
        if (!status && im->size == 0)
            status = make_branch(im);
        if (!status && n > 0)
            status = put(im, im->size, piece_of(im), (uint64_t)n);
        im->size += (uint64_t)n;
    }
    int rc = status ? 0 : ramet_blob_truncate(im->blob, im->size);
    return rc < 0 ? blob_fail(im, rc) : status;
}

static int drop_branch(struct importing *im)
{
    int rc = im->branch.size ? ramet_branch_delete(im->s->store, rmt_buf_str(&im->branch)) : 0;
    return rc < 0 ? rmt_session_fail(rc, "cannot delete branch '%s'", rmt_buf_str(&im->branch))
                  : RMT_EXIT_OK;
}

/* Makes the disk that is there by now the target's. */
static int take_over(struct importing *im)
{
    struct rmt_session *s = im->s;
    struct rmt_buf message = {0};
    rmt_buf_printf(&message, "import disk %s", im->disk);
    struct ramet_keep keep = {.size = sizeof(keep), .message = rmt_buf_str(&message)};
    struct ramet_merge_options options = {.size = sizeof(options), .keep = &keep};
    int rc = ramet_merge(s->store, s->branch, rmt_buf_str(&im->branch), &options, NULL);
    rmt_buf_free(&message);
    if (rc == RAMET_ECONFLICT) {
        rmt_output_error("disk '%s' of '%s' was changed while it was imported; nothing was "
                         "changed; run the command again",
                         im->disk, s->branch);
        return RMT_EXIT_FAILED;
    }
    return rc < 0 ? rmt_session_fail(rc, "cannot import into '%s'; nothing was changed", s->branch)
                  : RMT_EXIT_OK;
}

static int run_import(struct importing *im)
{
    struct rmt_session *s = im->s;
    rmt_interrupt_catch();
    rmt_progress_start(&im->progress, "import", "MiB", im->size);
    int status = im->seekable ? copy_file(im) : copy_pipe(im);
    if (!status)
        status = commit(im);
    rmt_session_abort(s);
    rmt_progress_clear();
    bool done = !status && !(status = take_over(im));
    int dropped = drop_branch(im);
    int rc = done && s->args.durability == RAMET_FULL ? ramet_sync(s->store) : 0;
    if (rc < 0)
        return rmt_session_fail(rc, "cannot flush '%s'", s->path);
    if (status == RMT_EXIT_INTERRUPTED)
        rmt_output_error("interrupted; nothing was imported");
    if (status && im->branch.size)
        (void)ramet_reclaim(s->store, 0, NULL); /* the next commits do it, too */
    if (done && !dropped)
        say_done(s, &im->progress, im->size, im->copied);
    return status ? status : dropped;
}

int rmt_image_import(struct rmt_session *s)
{
    struct importing im = {
        .s = s, .disk = s->args.operand[1], .path = s->args.operand[2], .fd = -1};
    int durability = s->args.durability;
    im.bytes = malloc(COMMIT_SIZE + PIECE_SIZE);
    im.old = im.bytes + COMMIT_SIZE;
    if (!im.bytes) {
        rmt_output_error("out of memory");
        return RMT_EXIT_FAILED;
    }
    int status = open_source(&im);
    if (!status) {
        s->args.durability = RAMET_NONE; /* there is one flush, at the end */
        status = rmt_session_open(s, RAMET_MUST_EXIST);
        s->args.durability = durability;
    }
    if (!status)
        status = rmt_disk_lease(s, im.disk, &im.lease);
    if (!status)
        status = check_target(&im);
    if (!status)
        status = clear_left(&im);
    if (!status)
        status = run_import(&im);
    rmt_session_abort(s);
    ramet_lease_end(im.lease);
    if (im.fd > STDIN_FILENO)
        (void)close(im.fd); /* it was only read */
    rmt_buf_free(&im.branch);
    free(im.bytes);
    return status;
}

/* ---- export ------------------------------------------------------------------------------------
 */

struct exporting {
    struct rmt_session *s;
    const char *path;
    int fd;
    bool sparse;         /* holes stay holes; else zeros are written */
    bool stream;         /* it is written in order */
    struct rmt_buf temp; /* the file as long as it is not whole; empty: there is none */
    struct ramet_blob *blob;
    uint64_t size;
    uint64_t copied;
    uint8_t *piece;
    int status; /* after a callback stopped */
    struct rmt_progress progress;
};

static int export_fail(const struct exporting *ex)
{
    return file_fail(ex->path, "cannot write it");
}

static int write_piece(struct exporting *ex, uint64_t off, size_t len)
{
    int rc = write_full(ex->fd, ex->piece, len, ex->stream ? UINT64_MAX : off);
    rmt_progress_update(&ex->progress, off + len, (off + len) >> 20, off + len);
    if (rmt_interrupt_seen())
        return RMT_EXIT_INTERRUPTED;
    if (rc < 0 && errno == EPIPE)
        return RMT_EXIT_PIPE;
    return rc < 0 ? export_fail(ex) : RMT_EXIT_OK;
}

static int export_extent(void *ctx, const struct ramet_extent *extent)
{
    struct exporting *ex = ctx;
    bool hole = extent->kind == RAMET_EXTENT_HOLE;
    if (hole && ex->sparse)
        return 0;
    for (uint64_t at = 0; at < extent->bytes && !ex->status;) {
        uint64_t off = extent->offset + at;
        size_t len = (size_t)(extent->bytes - at < PIECE_SIZE ? extent->bytes - at : PIECE_SIZE);
        int64_t n = hole ? 0 : ramet_blob_read(ex->blob, off, ex->piece, len);
        if (n < 0) {
            ex->status = rmt_session_fail((int)n, "cannot read disk '%s'", ex->s->args.operand[1]);
            break;
        }
        if (hole)
            memset(ex->piece, 0, len);
        ex->status = write_piece(ex, off, len);
        ex->copied += hole ? 0 : len;
        at += len;
    }
    return ex->status ? 1 : 0;
}

/* A device is written in place; a file beside its place, until it is whole. */
static int open_target(struct exporting *ex)
{
    struct stat st;
    bool force = ex->s->args.force;
    ex->stream = is_dash(ex->path);
    if (ex->stream) {
        ex->fd = STDOUT_FILENO;
        return RMT_EXIT_OK;
    }
    bool there = stat(ex->path, &st) == 0;
    if (there && S_ISREG(st.st_mode) && !force) {
        rmt_output_error("%s: it is there already; --force replaces it", ex->path);
        return RMT_EXIT_FAILED;
    }
    if (there && S_ISBLK(st.st_mode) && !force) {
        rmt_output_error("%s: that is a device; --force overwrites it", ex->path);
        return RMT_EXIT_FAILED;
    }
    if (there && !S_ISREG(st.st_mode)) {
        ex->stream = !S_ISBLK(st.st_mode);
        ex->fd = open(ex->path, O_WRONLY | O_CLOEXEC);
        return ex->fd < 0 ? export_fail(ex) : RMT_EXIT_OK;
    }
    ex->sparse = true;
    rmt_buf_printf(&ex->temp, "%s.XXXXXX", ex->path);
    (void)rmt_buf_str(&ex->temp); /* ends it */
    ex->fd = mkostemp(ex->temp.data, O_CLOEXEC);
    if (ex->fd < 0) {
        rmt_buf_clear(&ex->temp);
        return export_fail(ex);
    }
    mode_t mask = umask(0);
    (void)umask(mask);
    mode_t mode = there ? st.st_mode & 07777 : 0666 & ~mask;
    return fchmod(ex->fd, mode) < 0 || ftruncate(ex->fd, (off_t)ex->size) < 0 ? export_fail(ex)
                                                                              : RMT_EXIT_OK;
}

/* The file takes its place, which somebody else may have taken meanwhile. */
static int put_in_place(struct exporting *ex)
{
    if (!ex->stream && fsync(ex->fd) < 0)
        return export_fail(ex);
    if (!ex->temp.size)
        return RMT_EXIT_OK;
    const char *temp = rmt_buf_str(&ex->temp);
    bool force = ex->s->args.force;
    int rc = force ? rename(temp, ex->path)
                   : renameat2(AT_FDCWD, temp, AT_FDCWD, ex->path, RENAME_NOREPLACE);
    if (rc < 0 && !force && errno == EINVAL) /* not every filesystem can */
        rc = rename(temp, ex->path);
    if (rc < 0)
        return export_fail(ex);
    rmt_buf_clear(&ex->temp);
    return RMT_EXIT_OK;
}

static int run_export(struct exporting *ex)
{
    rmt_interrupt_catch();
    rmt_progress_start(&ex->progress, "export", "MiB", ex->size);
    int rc = ramet_blob_extents(ex->blob, 0, ex->size, export_extent, ex);
    rmt_progress_clear();
    if (ex->status == RMT_EXIT_INTERRUPTED)
        rmt_output_error("interrupted");
    if (rc < 0)
        return rmt_session_fail(rc, "cannot read disk '%s'", ex->s->args.operand[1]);
    return ex->status ? ex->status : put_in_place(ex);
}

int rmt_image_export(struct rmt_session *s)
{
    struct exporting ex = {.s = s, .path = s->args.operand[2], .fd = -1};
    if (s->args.json && is_dash(ex.path))
        return rmt_session_usage("--json, and the disk itself on standard output: one is too much");
    int status = rmt_session_read(s);
    if (!status)
        status = rmt_disk_open(s, s->args.operand[1], &ex.blob);
    int rc = status ? 0 : ramet_blob_size(ex.blob, &ex.size);
    ex.piece = malloc(PIECE_SIZE);
    if (!status && (rc < 0 || !ex.piece))
        status = rmt_session_fail(rc < 0 ? rc : -ENOMEM, "disk '%s'", s->args.operand[1]);
    if (!status)
        status = open_target(&ex);
    if (!status)
        status = run_export(&ex);
    if (!status)
        say_done(s, &ex.progress, ex.size, ex.copied);
    if (ex.temp.size)
        (void)unlink(rmt_buf_str(&ex.temp)); /* nobody misses it */
    if (ex.fd > STDOUT_FILENO)
        (void)close(ex.fd); /* it was flushed */
    rmt_buf_free(&ex.temp);
    free(ex.piece);
    return status;
}
