/* SPDX-License-Identifier: Apache-2.0
 *
 * Grace periods: when what was unlinked is no longer in any worker's hands.
 *
 * What:    rte_rcu_qsbr with one variable for the whole process. Readers (workers, and the ports
 *          thread while it lists flows) are online while they may hold a pointer, and say so once
 *          a burst by being quiescent.
 * Removal: unlink, rcu_start(), later rcu_passed(), reuse. The tables thread never waits; the ports
 *          thread and vhost callbacks may (rcu_synchronize()).
 * Sleep:   a worker goes offline before it sleeps and online before it reads a shared pointer.
 */
#pragma once

#include <rte_rcu_qsbr.h>
#include <stdbool.h>
#include <stdint.h>

#define RCU_MAX_READERS 80u  /* workers, and few others */
#define RCU_READER_PORTS 72u /* the ports thread */

extern struct rte_rcu_qsbr *rcu_variable;

/* 0 or a negative errno. Once, before any thread. */
int rcu_init(void);

/* @reader: a number of its own for each thread, below RCU_MAX_READERS. */
void rcu_register(unsigned reader);
void rcu_unregister(unsigned reader);

static inline void
rcu_online(unsigned reader)
{
	rte_rcu_qsbr_thread_online(rcu_variable, reader);
}

static inline void
rcu_offline(unsigned reader)
{
	rte_rcu_qsbr_thread_offline(rcu_variable, reader);
}

static inline void
rcu_quiescent(unsigned reader)
{
	rte_rcu_qsbr_quiescent(rcu_variable, reader);
}

/* A token for the grace period that begins now. */
static inline uint64_t
rcu_start(void)
{
	return rte_rcu_qsbr_start(rcu_variable);
}

static inline bool
rcu_passed(uint64_t token)
{
	return rte_rcu_qsbr_check(rcu_variable, token, false) == 1;
}

/* Waits for a whole grace period. Not for readers. */
void rcu_synchronize(void);
