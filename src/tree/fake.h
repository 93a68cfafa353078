/* SPDX-License-Identifier: MIT */
/*
 * fake.h - a page store and a writer in plain memory, for the tests of this folder.
 *
 * The file is an anonymous mapping. The writer can be told to scatter its runs, and to fail.
 */
#ifndef RMT_TREE_FAKE_H
#define RMT_TREE_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "tree/edit.h"
#include "tree/lookup.h"

#define FAKE_SEED 0x5eed
#define FAKE_SPILL ((size_t)256 << 10)

struct rmt_writer {
    struct rmt_pages *pages;
    uint64_t next, birth;
    uint32_t run_max; /* pages of a run at most */
    uint32_t skip;    /* pages left out after each run */
    int64_t fail_in;  /* calls until one fails; negative: none does */
};

struct fake {
    struct rmt_pages pages;
    struct rmt_writer w;
    void *memory, *verified, *leaves;
    size_t memory_size, verified_size, leaves_size;
    int64_t reserve_fail_in; /* calls until one fails; negative: none does */
    uint64_t reserved;
};

static inline void fake_init(struct fake *fake, uint32_t page_size, uint64_t nr_pages)
{
    memset(fake, 0, sizeof(*fake));
    fake->memory_size = nr_pages * page_size;
    fake->verified_size = nr_pages * sizeof(uint32_t);
    fake->memory = mmap(NULL, fake->memory_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    fake->verified = calloc(nr_pages, sizeof(uint32_t));
    fake->leaves_size = nr_pages * sizeof(struct rmt_leaf);
    fake->leaves = calloc(nr_pages, sizeof(struct rmt_leaf));
    assert_ptr_not_equal(fake->memory, MAP_FAILED);
    assert_non_null(fake->verified);
    assert_non_null(fake->leaves);
    fake->pages = (struct rmt_pages){
        .base = fake->memory,
        .page_size = page_size,
        .page_shift = (uint32_t)__builtin_ctz(page_size),
        .seed = FAKE_SEED,
        .first = 32,
        .reserved = nr_pages,
        .verified = fake->verified,
        .leaves = fake->leaves,
        .node_check = rmt_node_check,
        .node_known = rmt_node_known,
        .spill_bytes = FAKE_SPILL,
        .part_pages = RMT_RUN_PAGES_MAX,
    };
    fake->w = (struct rmt_writer){
        .pages = &fake->pages,
        .next = 32,
        .birth = 1,
        .run_max = RMT_RUN_PAGES_MAX,
        .fail_in = -1,
    };
    fake->reserve_fail_in = -1;
}

static inline void fake_fini(struct fake *fake)
{
    munmap(fake->memory, fake->memory_size);
    free(fake->verified);
    free(fake->leaves);
}

/* As after opening anew: nothing is verified. */
static inline void fake_forget(struct fake *fake)
{
    memset(fake->verified, 0, fake->verified_size);
    memset(fake->leaves, 0, fake->leaves_size);
}

/* For rmt_edit_init(). */
static inline int fake_reserve(void *ctx, uint64_t pages)
{
    struct fake *fake = ctx;
    if (fake->reserve_fail_in == 0)
        return rmt_fail(-ENOSPC, "no room, says the test");
    if (fake->reserve_fail_in > 0)
        fake->reserve_fail_in--;
    fake->reserved += pages;
    return 0;
}

static inline uint8_t *fake_page(struct fake *fake, uint64_t addr)
{
    return (uint8_t *)fake->memory + (addr << fake->pages.page_shift);
}

/* ---- what the engine calls ------------------------------------------------------------------- */

static inline int fake_known(struct rmt_pages *pages, struct rmt_ref ref, int rc)
{
    if (rc < 0)
        return rc;
    pages->node_known(pages, ref, rmt_page_at(pages, ref.addr));
    atomic_store_explicit(&pages->verified[ref.addr], (uint32_t)ref.birth, memory_order_relaxed);
    return 0;
}

/* Checksums are taken for right: as if whoever forged the file had made them so. */
static bool fake_forged;
static uint64_t fake_verifies; /* calls so far */

int rmt_page_verify(struct rmt_pages *pages, struct rmt_ref ref)
{
    fake_verifies++;
    if (!rmt_ref_plausible(pages, ref, RMT_ID_MAX))
        return rmt_fail(RAMET_ECORRUPT, "a reference that cannot be");
    const struct rmt_disk_node *node = rmt_page_at(pages, ref.addr);
    if (fake_forged && (rmt_get64(node->addr) != ref.addr || rmt_get64(node->birth) != ref.birth))
        return rmt_fail(RAMET_ECORRUPT, "page %llu belongs elsewhere",
                        (unsigned long long)ref.addr);
    if (fake_forged)
        return fake_known(pages, ref, pages->node_check(pages, node));
    if (rmt_get64(node->addr) != ref.addr || rmt_get64(node->birth) != ref.birth ||
        (uint32_t)rmt_get64(node->checksum) != ref.sum ||
        rmt_get64(node->checksum) != rmt_node_sum(node, pages->page_size, pages->seed))
        return rmt_fail(RAMET_ECORRUPT, "page %llu is not what its reference says",
                        (unsigned long long)ref.addr);
    return fake_known(pages, ref, pages->node_check(pages, node));
}

int rmt_page_data(struct rmt_pages *pages, const struct rmt_disk_run *run, const uint8_t **out)
{
    struct rmt_ref ref = rmt_ref_load(&run->ref);
    if (!rmt_run_plausible(pages, run, RMT_ID_MAX))
        return rmt_fail(RAMET_ECORRUPT, "a run that cannot be");
    const uint8_t *data = (const uint8_t *)rmt_page_at(pages, ref.addr);
    size_t size = (size_t)rmt_get32(run->pages) << pages->page_shift;
    if (ref.addr + rmt_get32(run->pages) > pages->nr_pages)
        return rmt_fail(RAMET_ECORRUPT, "a run behind the end");
    if (!fake_forged && rmt_data_sum(data, size, pages->seed, ref.addr, ref.birth) != ref.sum)
        return rmt_fail(RAMET_ECORRUPT, "page %llu: wrong data", (unsigned long long)ref.addr);
    *out = data;
    return 0;
}

static int fake_write_fails(struct rmt_writer *w)
{
    if (w->fail_in == 0)
        return rmt_fail(-ENOSPC, "no room, says the test");
    if (w->fail_in > 0)
        w->fail_in--;
    return 0;
}

static inline void fake_grown(struct rmt_writer *w)
{
    if (w->next > w->pages->nr_pages)
        w->pages->nr_pages = w->next;
}

int rmt_writer_node(struct rmt_writer *w, void *page, struct rmt_ref *out)
{
    int rc = fake_write_fails(w);
    if (rc < 0)
        return rc;
    struct rmt_disk_node *node = page;
    rmt_assert(w->next < w->pages->reserved);
    node->addr = rmt_put64(w->next);
    node->birth = rmt_put64(w->birth);
    node->checksum = rmt_put64(rmt_node_sum(page, w->pages->page_size, w->pages->seed));
    if (rmt_node_check(w->pages, node) < 0)
        fail_msg("wrote a bad page: %s", ramet_errmsg());
    memcpy((void *)(uintptr_t)rmt_page_at(w->pages, w->next), page, w->pages->page_size);
    *out = (struct rmt_ref){w->next, w->birth, (uint32_t)rmt_get64(node->checksum)};
    w->pages->node_known(w->pages, *out, node);
    w->next += 1 + w->skip;
    fake_grown(w);
    return 0;
}

int rmt_writer_patched(struct rmt_writer *w, const struct rmt_disk_node *node, uint32_t offset,
                       struct ramet_slice bytes, struct rmt_ref *out)
{
    uint8_t page[RMT_PAGE_SIZE_MAX];
    assert_in_range(offset, sizeof(*node), w->pages->page_size - bytes.size);
    memcpy(page, node, w->pages->page_size);
    memcpy(page + offset, bytes.data, bytes.size);
    return rmt_writer_node(w, page, out);
}

int rmt_writer_at_once(struct rmt_writer *w, void *page, struct rmt_ref *out)
{
    return rmt_writer_node(w, page, out);
}

int rmt_writer_data(struct rmt_writer *w, const void *data, uint64_t pages,
                    struct rmt_disk_run *out)
{
    int rc = fake_write_fails(w);
    if (rc < 0)
        return rc;
    uint64_t nr = rmt_min(pages, w->run_max);
    size_t size = nr * w->pages->page_size;
    rmt_assert(w->next + nr <= w->pages->reserved);
    memcpy((void *)(uintptr_t)rmt_page_at(w->pages, w->next), data, size);
    struct rmt_ref ref = {w->next, w->birth,
                          rmt_data_sum(data, size, w->pages->seed, w->next, w->birth)};
    rmt_ref_store(&out->ref, ref);
    out->pages = rmt_put32((uint32_t)nr);
    w->next += nr + w->skip;
    fake_grown(w);
    return 0;
}

int rmt_writer_lent(struct rmt_writer *w, const void *data, struct rmt_disk_run *out)
{
    return rmt_writer_data(w, data, 1, out);
}

int rmt_spill_new(struct rmt_pages *pages, size_t size, void **out)
{
    (void)pages;
    *out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return *out == MAP_FAILED ? -ENOMEM : 0;
}

void rmt_spill_free(void *p, size_t size)
{
    (void)munmap(p, size);
}

/* ---- lookups --------------------------------------------------------------------------------- */

/* rmt_tree_get(), and the code for other processors agrees. */
static inline int fake_get(struct rmt_pages *pages, const struct rmt_tree *tree,
                           struct ramet_slice key, struct rmt_value *out)
{
    struct rmt_value other = {0}, value = {0};
    int rc = rmt_tree_get(pages, tree, key, &value);
    assert_int_equal(rmt_lookup_get_portable(pages, tree, key, &other), rc);
    if (rc < 0)
        return rc;
    assert_true(other.data == value.data && other.size == value.size &&
                other.extents == value.extents);
    *out = value;
    return 0;
}

static inline int fake_get_many(struct rmt_pages *pages, const struct rmt_tree *tree, size_t count,
                                const struct ramet_slice *keys, struct rmt_value *outs)
{
    int rc = rmt_lookup_many_portable(pages, tree, count, keys, outs);
    rmt_auto(free) struct rmt_value *others = calloc(count + 1, sizeof(*others));
    assert_non_null(others);
    assert_int_equal(rmt_tree_get_many(pages, tree, count, keys, others), rc);
    for (size_t i = 0; i < count && rc == 0; i++) {
        assert_ptr_equal(others[i].data, outs[i].data);
        assert_int_equal(others[i].size, outs[i].size);
        assert_int_equal(others[i].extents, outs[i].extents);
    }
    return rc;
}

/* ---- chance ---------------------------------------------------------------------------------- */

static uint64_t chance_state;

static inline uint64_t chance(uint64_t below)
{
    rmt_assert(below > 0);
    chance_state += 0x9e3779b97f4a7c15;
    uint64_t x = chance_state;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return (x ^ x >> 31) % below;
}

/* --seed=N or --seed N; else of the time. Says which. */
static inline uint64_t chance_seed(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seed=", 7) == 0)
            seed = strtoull(argv[i] + 7, NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[i + 1], NULL, 0);
    }
    printf("--seed=%llu\n", (unsigned long long)seed);
    return seed;
}

#endif
