/* SPDX-License-Identifier: MIT */
#include "page/page.h"

#include <inttypes.h>

#include "io/reserve.h"

#define RESERVE_MAX ((uint64_t)1 << 42)
#define RESERVE_MIN ((uint64_t)1 << 30)
#define SPILL_BYTES ((size_t)64 << 20)

int rmt_pages_init(struct rmt_pages *pages, struct rmt_io *io, uint32_t page_size, uint64_t seed,
                   int (*node_check)(const struct rmt_pages *, const struct rmt_disk_node *),
                   void (*node_known)(struct rmt_pages *, struct rmt_ref,
                                      const struct rmt_disk_node *))
{
    memset(pages, 0, sizeof(*pages));
    uint64_t size, reserve = RESERVE_MAX;
    int rc = io->ops->size(io, &size);
    if (rc < 0)
        return rc;
    while ((rc = io->ops->map(io, reserve, &pages->base)) == -ENOMEM && reserve > RESERVE_MIN)
        reserve /= 2;
    if (rc < 0)
        return rc;
    pages->io = io;
    pages->page_size = page_size;
    pages->page_shift = (uint32_t)__builtin_ctz(page_size);
    pages->seed = seed;
    pages->summed = io->durable;
    pages->first = RMT_META_SIZE / page_size;
    pages->reserved = reserve >> pages->page_shift;
    pages->node_check = node_check;
    pages->node_known = node_known;
    pages->spill_bytes = SPILL_BYTES;
    pages->part_pages = RMT_RUN_PAGES_MAX;
    atomic_init(&pages->nr_pages, size >> pages->page_shift);
    if (size > reserve)
        return rmt_fail(-EFBIG,
                        "store '%s' is larger than the %" PRIu64 " bytes that can be mapped here",
                        io->path, reserve);
    pages->verified = rmt_reserve_new(2 * pages->reserved * sizeof(*pages->verified));
    if (!pages->verified)
        return rmt_fail(-ENOMEM, "store '%s': no address space to map it", io->path);
    pages->leaves = rmt_reserve_new(pages->reserved * sizeof(*pages->leaves));
    return 0;
}

void rmt_pages_fini(struct rmt_pages *pages)
{
    rmt_reserve_free((void *)(uintptr_t)pages->verified,
                     2 * pages->reserved * sizeof(*pages->verified));
    pages->verified = NULL;
    rmt_reserve_free(pages->leaves, pages->reserved * sizeof(*pages->leaves));
    pages->leaves = NULL;
}

void rmt_pages_forget(struct rmt_pages *pages)
{
    if (!pages->summed) /* there is no device; and of leaves there is more than what was verified */
        return;
    rmt_reserve_clear((void *)(uintptr_t)pages->verified,
                      2 * pages->reserved * sizeof(*pages->verified));
    if (pages->leaves)
        rmt_reserve_clear(pages->leaves, pages->reserved * sizeof(*pages->leaves));
}

int rmt_spill_new(struct rmt_pages *pages, size_t size, void **out)
{
    return pages->io->ops->spill(pages->io, size, out);
}

void rmt_spill_free(void *p, size_t size)
{
    rmt_reserve_free(p, size);
}

/* The pages [addr, addr + len) are in the file, as it is now. */
static int within_file(struct rmt_pages *pages, uint64_t addr, uint64_t len)
{
    if (addr < pages->first || addr >= pages->reserved || len > pages->reserved - addr)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': a reference to page %" PRIu64 ", which cannot be",
                        pages->io->path, addr);
    if (addr + len <= atomic_load_explicit(&pages->nr_pages, memory_order_relaxed))
        return 0;
    uint64_t size;
    int rc = pages->io->ops->size(pages->io, &size);
    if (rc < 0)
        return rc;
    atomic_store_explicit(&pages->nr_pages, size >> pages->page_shift, memory_order_relaxed);
    if (addr + len > size >> pages->page_shift)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': page %" PRIu64
                        " lies behind the end of the file: it was cut short",
                        pages->io->path, addr);
    return 0;
}

int rmt_page_load(struct rmt_pages *pages, struct rmt_ref ref, enum rmt_node_kind kind, void *buf)
{
    if (!rmt_ref_plausible(pages, ref, RMT_ID_MAX))
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': a reference to page %" PRIu64 ", birth %" PRIu64
                        ", which cannot be",
                        pages->io->path, ref.addr, ref.birth);
    int rc = within_file(pages, ref.addr, 1);
    if (rc < 0)
        return rc;
    rc = pages->io->ops->read(pages->io, buf, pages->page_size, ref.addr << pages->page_shift);
    if (rc < 0)
        return rc;
    const struct rmt_disk_node *node = buf;
    uint64_t sum = rmt_get64(node->checksum);
    const char *wrong = NULL;
    if ((uint32_t)sum != ref.sum || sum != rmt_page_sum(pages, buf))
        wrong = "its checksum is wrong";
    else if (rmt_get64(node->addr) != ref.addr)
        wrong = "it belongs elsewhere";
    else if (rmt_get64(node->birth) != ref.birth)
        wrong = "it is of another commit";
    else if (kind && node->kind != kind)
        wrong = "it is of another kind";
    if (wrong)
        return rmt_fail(RAMET_ECORRUPT, "store '%s': page %" PRIu64 " (birth %" PRIu64 "): %s",
                        pages->io->path, ref.addr, ref.birth, wrong);
    return kind ? 0 : pages->node_check(pages, node);
}

int rmt_page_verify(struct rmt_pages *pages, struct rmt_ref ref)
{
    _Alignas(64) uint8_t buf[RMT_PAGE_SIZE_MAX];
    int rc = rmt_page_load(pages, ref, 0, buf);
    if (rc < 0)
        return rc;
    pages->node_known(pages, ref, (const struct rmt_disk_node *)buf);
    rmt_page_known(pages, ref.addr, ref.birth);
    return 0;
}

static bool data_known(const struct rmt_pages *pages, struct rmt_ref ref, uint64_t len)
{
    if (len > pages->reserved - ref.addr)
        return false;
    for (uint64_t i = pages->reserved + ref.addr; len; i++, len--) {
        if (atomic_load_explicit(&pages->verified[i], memory_order_relaxed) != (uint32_t)ref.birth)
            return false;
    }
    return true;
}

int rmt_data_load(struct rmt_pages *pages, const struct rmt_disk_run *run, void *buf)
{
    struct rmt_ref ref = rmt_ref_load(&run->ref);
    uint64_t len = rmt_get32(run->pages);
    int rc = within_file(pages, ref.addr, len);
    if (rc < 0)
        return rc;
    size_t size = len << pages->page_shift;
    rc = pages->io->ops->read(pages->io, buf, size, ref.addr << pages->page_shift);
    if (rc < 0)
        return rc;
    if (rmt_data_sum(buf, size, pages->seed, ref.addr, ref.birth) != ref.sum)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': %" PRIu64 " pages of a value at page %" PRIu64
                        " (birth %" PRIu64 "): the checksum is wrong",
                        pages->io->path, len, ref.addr, ref.birth);
    return 0;
}

int rmt_data_read(struct rmt_pages *pages, const struct rmt_ref *refs, size_t count, void *buf,
                  size_t *out_bad)
{
    *out_bad = 0;
    int rc = within_file(pages, refs[0].addr, count);
    if (rc == 0)
        rc = pages->io->ops->read(pages->io, buf, count << pages->page_shift,
                                  refs[0].addr << pages->page_shift);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const uint8_t *page = (const uint8_t *)buf + (i << pages->page_shift);
        if (rmt_data_sum(page, pages->page_size, pages->seed, refs[i].addr, refs[i].birth) ==
            refs[i].sum) {
            rmt_data_known(pages, refs[i].addr, 1, refs[i].birth);
            continue;
        }
        *out_bad = i;
        rc = rmt_fail(RAMET_ECORRUPT,
                      "store '%s': page %" PRIu64 " (birth %" PRIu64 "): its checksum is wrong",
                      pages->io->path, refs[i].addr, refs[i].birth);
    }
    return rc;
}

int rmt_page_data(struct rmt_pages *pages, const struct rmt_disk_run *run, const uint8_t **out)
{
    struct rmt_ref ref = rmt_ref_load(&run->ref);
    uint64_t len = rmt_get32(run->pages);
    if (!rmt_ref_plausible(pages, ref, RMT_ID_MAX) || len == 0 || len > RMT_RUN_PAGES_MAX)
        return rmt_fail(RAMET_ECORRUPT,
                        "store '%s': a run of %" PRIu64 " pages at page %" PRIu64
                        ", which cannot be",
                        pages->io->path, len, ref.addr);
    if (!data_known(pages, ref, len)) {
        size_t size = len << pages->page_shift;
        rmt_auto(free) void *buf = malloc(size);
        if (!buf)
            return rmt_fail(-ENOMEM, "reading %zu bytes of a value", size);
        int rc = rmt_data_load(pages, run, buf);
        if (rc < 0)
            return rc;
        rmt_data_known(pages, ref.addr, len, ref.birth);
    }
    *out = (const uint8_t *)rmt_page_at(pages, ref.addr);
    return 0;
}
