/* SPDX-License-Identifier: MIT */
#include "page/writer.h"

#define LENT_SIZE ((size_t)256 << 10)
#define AHEAD_SIZE ((size_t)4 << 20)

void rmt_writer_init(struct rmt_writer *w, struct rmt_pages *pages, struct rmt_space *space,
                     uint64_t birth)
{
    memset(w, 0, sizeof(*w));
    w->pages = pages;
    w->space = space;
    w->birth = birth;
}

void rmt_writer_fini(struct rmt_writer *w)
{
    for (size_t i = 0; i < w->owned.count; i++)
        free(w->owned.items[i]);
    rmt_vec_fini(&w->owned);
    rmt_vec_fini(&w->queue);
}

static int own(struct rmt_writer *w, void *buf)
{
    if (buf && rmt_vec_push(&w->owned, buf))
        return 0;
    free(buf);
    return rmt_fail(-ENOMEM, "writing a commit");
}

void *rmt_writer_page(struct rmt_writer *w)
{
    void *page = calloc(1, w->pages->page_size);
    return own(w, page) < 0 ? NULL : page;
}

/* Makes w->run hold a page at least; want, and what is expected, at most are asked for. In memory
 * nothing is gained where pages of several nodes lie side by side, and looking for that costs more
 * than all else where free pages are scattered. */
static int have_run(struct rmt_writer *w, uint64_t want)
{
    if (w->run.len)
        return 0;
    uint64_t all = rmt_max(want, w->expected);
    return rmt_space_take(w->space, all, w->pages->io->durable ? all : want, &w->run);
}

/* True if the last piece goes on with this one, in memory and in the file. */
static bool goes_on(const struct rmt_writer *w, const struct rmt_writer_piece *piece)
{
    const struct rmt_writer_piece *last =
        w->queue.count ? &w->queue.items[w->queue.count - 1] : NULL;
    return last && !last->node && !piece->node &&
           last->addr + (last->size >> w->pages->page_shift) == piece->addr &&
           (const uint8_t *)last->data + last->size == piece->data;
}

static void count_written(struct rmt_writer *w, uint64_t pages)
{
    w->nr_written += pages;
    w->expected -= rmt_min(w->expected, pages);
}

static int queue(struct rmt_writer *w, uint64_t addr, const void *data, size_t size, bool node)
{
    struct rmt_writer_piece piece = {addr, data, size, node};
    if (goes_on(w, &piece))
        w->queue.items[w->queue.count - 1].size += size;
    else if (!rmt_vec_push(&w->queue, piece))
        return rmt_fail(-ENOMEM, "writing a commit");
    count_written(w, size >> w->pages->page_shift);
    return 0;
}

/* Takes a page for a node. */
static int take_page(struct rmt_writer *w, uint64_t *out_addr)
{
    int rc = have_run(w, 1);
    if (rc < 0)
        return rc;
    *out_addr = w->run.addr++;
    w->run.len--;
    return 0;
}

/* Says in a node where it is, and since when. Where there are no checksums its header will do. */
static struct rmt_ref stamp(const struct rmt_writer *w, struct rmt_disk_node *node, uint64_t addr)
{
    node->addr = rmt_put64(addr);
    node->birth = rmt_put64(w->birth);
    uint64_t sum = rmt_page_sum(w->pages, node);
    node->checksum = rmt_put64(sum);
    return (struct rmt_ref){addr, w->birth, (uint32_t)sum};
}

/* A node need not be verified when it is read. */
static void node_known(const struct rmt_writer *w, struct rmt_ref ref,
                       const struct rmt_disk_node *node)
{
    w->pages->node_known(w->pages, ref, node);
    rmt_page_known(w->pages, ref.addr, ref.birth);
}

int rmt_writer_node_at(struct rmt_writer *w, void *page, uint64_t addr, struct rmt_ref *out)
{
    struct rmt_ref ref = stamp(w, page, addr);
    int rc = queue(w, addr, page, w->pages->page_size, true);
    if (rc == 0)
        *out = ref;
    return rc;
}

int rmt_writer_node(struct rmt_writer *w, void *page, struct rmt_ref *out)
{
    uint64_t addr;
    int rc = take_page(w, &addr);
    return rc < 0 ? rc : rmt_writer_node_at(w, page, addr, out);
}

/* header: of the node; all else of it that is looked at is in node. */
static int write_at_once(struct rmt_writer *w, struct rmt_disk_node *header, struct iovec *iov,
                         int count, const struct rmt_disk_node *node, struct rmt_ref *out)
{
    const struct rmt_pages *pages = w->pages;
    uint64_t addr;
    rmt_assert(!pages->summed);
    int rc = take_page(w, &addr);
    if (rc < 0)
        return rc;
    count_written(w, 1);
    *out = stamp(w, header, addr);
    rc = pages->io->ops->write(pages->io, iov, count, addr << pages->page_shift);
    if (rc == 0)
        node_known(w, *out, node);
    return rc;
}

int rmt_writer_patched(struct rmt_writer *w, const struct rmt_disk_node *node, uint32_t offset,
                       struct ramet_slice bytes, struct rmt_ref *out)
{
    struct rmt_disk_node header = *node;
    uint8_t *old = (uint8_t *)(uintptr_t)node; /* to be read: struct iovec knows no const */
    size_t end = offset + bytes.size;
    struct iovec iov[] = {
        {&header, sizeof(header)},
        {old + sizeof(header), offset - sizeof(header)},
        {(void *)(uintptr_t)bytes.data, bytes.size},
        {old + end, w->pages->page_size - end},
    };
    rmt_assert(offset >= sizeof(header));
    return write_at_once(w, &header, iov, 4, node, out);
}

int rmt_writer_at_once(struct rmt_writer *w, void *page, struct rmt_ref *out)
{
    struct iovec iov = {page, w->pages->page_size};
    return write_at_once(w, page, &iov, 1, page, out);
}

int rmt_writer_data(struct rmt_writer *w, const void *data, uint64_t pages,
                    struct rmt_disk_run *out)
{
    uint64_t want = rmt_min(pages, RMT_RUN_PAGES_MAX);
    int rc = have_run(w, want);
    if (rc < 0)
        return rc;
    uint64_t addr = w->run.addr, nr = rmt_min(want, w->run.len);
    size_t size = nr << w->pages->page_shift;
    w->run.addr += nr;
    w->run.len -= nr;
    rc = queue(w, addr, data, size, false);
    if (rc < 0)
        return rc;
    struct rmt_ref ref = {addr, w->birth, rmt_data_sum(data, size, w->pages->seed, addr, w->birth)};
    rmt_ref_store(&out->ref, ref);
    out->pages = rmt_put32((uint32_t)nr);
    return 0;
}

/* Writes the copies that there are. Of a large commit the disk gets them meanwhile, so that the
 * flush has less to wait for: data is in no place that is written again before that. */
static int write_lent(struct rmt_writer *w)
{
    uint64_t first = w->queue.count ? w->queue.items[0].addr : UINT64_MAX;
    w->ahead_from = w->ahead ? rmt_min(w->ahead_from, first) : first;
    w->ahead += w->lent_used;
    int rc = rmt_writer_flush(w);
    if (rc < 0 || w->ahead < AHEAD_SIZE)
        return rc;
    w->pages->io->ops->sync_begin(w->pages->io, w->ahead_from << w->pages->page_shift);
    w->ahead = 0;
    return 0;
}

int rmt_writer_lent(struct rmt_writer *w, const void *data, struct rmt_disk_run *out)
{
    size_t page_size = w->pages->page_size;
    int rc = 0;
    if (!w->lent) {
        uint8_t *lent = aligned_alloc(RMT_PAGE_SIZE_MAX, LENT_SIZE);
        rc = own(w, lent);
        w->lent = rc < 0 ? NULL : lent;
    } else if (w->lent_used + page_size > LENT_SIZE) {
        rc = write_lent(w);
    }
    if (rc < 0)
        return rc;
    uint8_t *copy = w->lent + w->lent_used;
    memcpy(copy, data, page_size);
    w->lent_used += page_size;
    return rmt_writer_data(w, copy, 1, out);
}

void rmt_writer_settle(struct rmt_writer *w)
{
    if (w->run.len)
        rmt_space_untake(w->space, w->run.addr, w->run.len);
    w->run.len = 0;
    w->expected = 0;
}

int rmt_writer_flush(struct rmt_writer *w)
{
    struct iovec iov[RMT_IOV_MAX];
    for (size_t i = 0; i < w->queue.count;) {
        uint64_t addr = w->queue.items[i].addr, end = addr;
        int n = 0;
        for (; i < w->queue.count && n < RMT_IOV_MAX && w->queue.items[i].addr == end; i++, n++) {
            const struct rmt_writer_piece *piece = &w->queue.items[i];
            iov[n].iov_base = (void *)(uintptr_t)piece->data;
            iov[n].iov_len = piece->size;
            uint64_t pages = piece->size >> w->pages->page_shift;
            if (piece->node) {
                struct rmt_ref ref = {end, w->birth, 0};
                node_known(w, ref, piece->data);
            } else {
                rmt_data_known(w->pages, end, pages, w->birth);
            }
            end += pages;
        }
        int rc = w->pages->io->ops->write(w->pages->io, iov, n, addr << w->pages->page_shift);
        if (rc < 0)
            return rc;
    }
    w->queue.count = 0;
    w->lent_used = 0;
    return 0;
}
