/* SPDX-License-Identifier: MIT */
/*
 * sim.h - a simulated machine under the engine: a disk that forgets, tears and reorders what was
 * not flushed, that fills up and fails on demand; a clock and random numbers that a seed decides.
 *
 * A struct rmt_sim is the machine; it outlives the struct rmt_io's opened on it, one at a time or
 * several at once (as processes of one machine would). It counts every operation that can be cut:
 * write, sync, grow (punch and fill too). Sectors are 512 bytes: one is written whole or not at
 * all.
 */
#ifndef RMT_SIM_H
#define RMT_SIM_H

#include "io/io.h"

struct rmt_sim;

enum rmt_sim_fate {                  /* of every sector written since the last sync, at a cut */
                    RMT_SIM_KEEP,    /* all of it reached the disk */
                    RMT_SIM_DROP,    /* nothing did */
                    RMT_SIM_TEAR,    /* each write: kept, dropped or torn between two sectors, at
                                        random */
                    RMT_SIM_SCATTER, /* each sector of each write: kept or dropped at random; the
                                      * older of two writes of one sector may be what is kept */
                    RMT_SIM_FATES
};

/* capacity_bytes: of the disk; growing past it is -ENOSPC. */
struct rmt_sim *rmt_sim_new(uint64_t seed, uint64_t capacity_bytes);
void rmt_sim_free(struct rmt_sim *sim);
RMT_AUTO(rmt_sim_free, struct rmt_sim)

/* Opens the store on the machine; created if the disk is empty. */
int rmt_sim_open(struct rmt_sim *sim, unsigned flags, struct rmt_io **out);

/* Operations (writes, syncs, grows) so far. */
uint64_t rmt_sim_ops(const struct rmt_sim *sim);

/* The machine loses power just before operation number at (counted from 0): that operation and all
 * later ones of the struct rmt_io's open now fail with -EIO and do nothing, until rmt_sim_boot().
 * UINT64_MAX: never. at <= rmt_sim_ops(): the next one. Reads fail too then, and so does opening.
 * If the operation is a write, then part of its sectors may yet be among what was not flushed.
 * fate also rules a boot without a cut; it is KEEP at first. */
void rmt_sim_cut_at(struct rmt_sim *sim, uint64_t at, enum rmt_sim_fate fate);
bool rmt_sim_is_cut(const struct rmt_sim *sim);

/* Power comes back: the disk has what was synced, and of the rest what the fate left; the shared
 * memory is zero and the boot id another. All struct rmt_io's must have been closed. Also without a
 * cut (a power cut right now). */
void rmt_sim_boot(struct rmt_sim *sim);

/* Faults: operation number at (of its kind, counted from 0 from now on) fails with code once. A
 * failed sync leaves the sectors that it should have flushed as they are, or marks them clean and
 * they are lost, as Linux does. */
enum rmt_sim_kind { RMT_SIM_READ, RMT_SIM_WRITE, RMT_SIM_SYNC, RMT_SIM_GROW, RMT_SIM_KINDS };
void rmt_sim_fail_at(struct rmt_sim *sim, enum rmt_sim_kind kind, uint64_t at, int code);
/* How many such faults have come true so far. */
uint64_t rmt_sim_faults_fired(const struct rmt_sim *sim);
void rmt_sim_set_capacity(struct rmt_sim *sim, uint64_t capacity_bytes);

/* The disk as it would be read now (cache included), for flipping bits and for golden images. */
uint8_t *rmt_sim_bytes(struct rmt_sim *sim, uint64_t *out_size);

/* A copy of the whole machine as it is now, with nothing open: to try several fates from one point.
 * Opened without a boot it is what is left when all processes are killed. NULL: no memory. */
struct rmt_sim *rmt_sim_clone(const struct rmt_sim *sim, uint64_t seed);

/* Violations of the contract seen so far (a write beyond the end of the file, an unaligned one, one
 * by a reader, one into what was punched and not filled): 0 if none. */
uint64_t rmt_sim_violations(const struct rmt_sim *sim);

#endif
