/* SPDX-License-Identifier: Apache-2.0
 *
 * Delays at the race points of lock-free code (lib/race_point.h). Included by one file of a test program.
 */
#pragma once

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "lib/race_point.h"

/* Delays of all threads so far. */
static _Atomic uint64_t n_race_delays;

void race_point(void);

/* Mostly none, else the processor given up, some work's time, or sleep beyond the others' turns. */
void
race_point(void)
{
	static _Thread_local uint64_t random;
	uint64_t r;

	if (!random) {
		random = (uint64_t)(uintptr_t)&random;
	}
	random = random * 6364136223846793005u + 1442695040888963407u;
	r = random >> 40;
	if (r % 512 == 0) {
		nanosleep(&(struct timespec){.tv_nsec = (long)(r >> 9) % 100000}, NULL);
	} else if (r % 16 == 1) {
		sched_yield();
	} else if (r % 16 == 2) {
		for (volatile uint64_t spin = (r >> 4) % 1024; spin > 0; spin--) {
		}
	} else {
		return;
	}
	atomic_fetch_add_explicit(&n_race_delays, 1, memory_order_relaxed);
}

/* Whether this build has race points at all. */
#ifdef WEFT_RACE_POINTS
#define HAS_RACE_POINTS 1
#else
#define HAS_RACE_POINTS 0
#endif
