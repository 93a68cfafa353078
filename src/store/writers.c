/* SPDX-License-Identifier: MIT */
#include "store/writers.h"

/* So many transactions one after the other on queued heads, and other processes get the branch. */
#define ROW_MAX 256

static struct rmt_branch_writer *find(const struct ramet_store *store, uint64_t branch)
{
    for (struct rmt_branch_writer *w = store->writers; w; w = w->next) {
        if (w->branch == branch)
            return w;
    }
    return NULL;
}

static struct rmt_branch_writer *add(struct ramet_store *store, uint64_t branch)
{
    struct rmt_branch_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->branch = branch;
    rmt_assert(pthread_cond_init(&w->cond, NULL) == 0);
    w->next = store->writers;
    store->writers = w;
    return w;
}

/* Nobody holds it, and nothing of it is queued: gives the byte lock back. */
static void let_go(struct ramet_store *store, struct rmt_branch_writer *w)
{
    (void)store->io->ops->lock(store->io, RMT_BYTE_BRANCH + w->branch, RMT_IO_UNLOCK, true);
    if (w->waiting) {
        (void)pthread_cond_signal(&w->cond);
        return;
    }
    struct rmt_branch_writer **at = &store->writers;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    (void)pthread_cond_destroy(&w->cond);
    free(w);
}

/* Called with writers_lock. Returns 0: has it, and is to take the byte lock; 1: has it, byte lock
 * and all, and begins at the queued head. */
static int take(struct ramet_store *store, uint64_t branch, bool nowait, struct rmt_version *head)
{
    for (;;) {
        struct rmt_branch_writer *w = find(store, branch);
        if (!w && !(w = add(store, branch)))
            return rmt_fail(-ENOMEM, "a write transaction");
        bool queued = !w->held && w->group;
        if (!w->held && !queued) {
            w->held = true;
            w->thread = pthread_self();
            w->in_a_row = 0;
            return 0;
        }
        if (queued && head && (nowait || w->in_a_row < ROW_MAX)) {
            w->held = true;
            w->thread = pthread_self();
            w->in_a_row++;
            *head = w->head;
            return 1;
        }
        if (nowait)
            return rmt_fail(-EBUSY, "the branch has a writer");
        if (w->held && pthread_equal(w->thread, pthread_self()))
            return rmt_fail(-EDEADLK, "this thread has a write transaction on the branch already");
        w->waiting++;
        rmt_lock_wait(&store->writers_lock, &w->cond);
        w->waiting--;
    }
}

int rmt_branch_lock(struct ramet_store *store, uint64_t branch, bool nowait,
                    struct rmt_version *head)
{
    rmt_lock_take(&store->writers_lock);
    int rc = take(store, branch, nowait, head);
    rmt_lock_give(&store->writers_lock);
    if (rc != 0)
        return rc;
    rc = store->io->ops->lock(store->io, RMT_BYTE_BRANCH + branch, RMT_IO_LOCK_EXCLUSIVE, !nowait);
    if (rc == 0)
        return 0;
    rmt_branch_unlock(store, branch);
    return rc == -EAGAIN ? rmt_fail(-EBUSY, "the branch has a writer, in another process") : rc;
}

void rmt_branch_unlock(struct ramet_store *store, uint64_t branch)
{
    rmt_lock_scope(&store->writers_lock);
    struct rmt_branch_writer *w = find(store, branch);
    w->held = false;
    if (!w->group)
        let_go(store, w);
    else if (w->waiting)
        (void)pthread_cond_signal(&w->cond);
}

void rmt_branch_pass(struct ramet_store *store, uint64_t branch, const struct rmt_version *head,
                     uint64_t group)
{
    rmt_lock_scope(&store->writers_lock);
    struct rmt_branch_writer *w = find(store, branch);
    w->held = false;
    w->head = *head;
    w->group = group;
    if (w->waiting)
        (void)pthread_cond_signal(&w->cond);
}

bool rmt_branch_hold(struct ramet_store *store, uint64_t branch)
{
    rmt_lock_take(&store->writers_lock);
    if (!find(store, branch))
        return true;
    rmt_lock_give(&store->writers_lock);
    return false;
}

void rmt_branch_leave(struct ramet_store *store)
{
    rmt_lock_give(&store->writers_lock);
}

uint64_t rmt_branch_group(struct ramet_store *store, uint64_t branch)
{
    rmt_lock_scope(&store->writers_lock);
    const struct rmt_branch_writer *w = find(store, branch);
    return w ? w->group : 0;
}

bool rmt_branch_settle(struct ramet_store *store, uint64_t group)
{
    rmt_lock_scope(&store->writers_lock);
    bool began = false;
    for (struct rmt_branch_writer *w = store->writers, *next; w; w = next) {
        next = w->next;
        if (w->group != group)
            continue;
        w->group = 0;
        began |= w->held;
        if (!w->held)
            let_go(store, w);
    }
    return began;
}
