/* SPDX-License-Identifier: MIT */
/* writer.h - one commit's pages on their way to the file (see page.h). */
#ifndef RMT_WRITER_H
#define RMT_WRITER_H

#include "page/page.h"
#include "page/space.h"

struct rmt_writer_piece {
    uint64_t addr;
    const void *data;
    size_t size;
    bool node; /* else raw data */
};

struct rmt_writer {
    struct rmt_pages *pages;
    struct rmt_space *space;
    uint64_t birth;      /* of all its pages */
    uint64_t expected;   /* pages still to come, as far as known: how long a run to ask for */
    struct rmt_span run; /* free pages at hand */
    uint64_t nr_written; /* pages queued so far */
    RMT_VEC(struct rmt_writer_piece) queue;
    RMT_VEC(void *) owned; /* buffers to free */
    uint8_t *lent;         /* copies of lent pages, some of them queued; NULL: there were none */
    size_t lent_used;
    size_t ahead;        /* bytes of them written, and not yet sent on to the disk */
    uint64_t ahead_from; /* where, at the lowest */
};

void rmt_writer_init(struct rmt_writer *w, struct rmt_pages *pages, struct rmt_space *space,
                     uint64_t birth);
void rmt_writer_fini(struct rmt_writer *w);
/* As rmt_writer_node(), at an address the caller took. */
int rmt_writer_node_at(struct rmt_writer *w, void *page, uint64_t addr, struct rmt_ref *out);
/* A zeroed page that lives as long as the writer. NULL: no memory. */
void *rmt_writer_page(struct rmt_writer *w);
/* Gives unused pages back: before rmt_space_write(). */
void rmt_writer_settle(struct rmt_writer *w);
/* Writes all that is queued. */
int rmt_writer_flush(struct rmt_writer *w);

#endif
