/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers of the loop on a clock that is handed in.
 *
 * What:     a set of one-shot timers over one libevent timer. The clock is a function, so that tests
 *           move it and call timers_run(); the agent's loop needs no call, the set arms itself.
 * Why:      libevent's own timers cannot be driven by a virtual clock. The sets are small (a few for
 *           each connection), so that a list is searched.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/list.h"

struct event_base;
struct timers;

struct timer {
	struct list link; /* in the set's list while it is armed */
	uint64_t at_ms;
	void (*fire)(void *arg);
	void *arg;
};

/* @now_ms: a clock that never goes back. */
struct timers *timers_create(struct event_base *base, uint64_t (*now_ms)(void *user), void *user);
/* Its timers are forgotten; they need not be cancelled before. */
void timers_destroy(struct timers *t);
uint64_t timers_now(const struct timers *t);
/* Fires what is due, earliest first. */
void timers_run(struct timers *t);

void timer_init(struct timer *timer, void (*fire)(void *arg), void *arg);
/* Arms it, or moves it. @at_ms UINT64_MAX: cancels. */
void timer_set(struct timers *t, struct timer *timer, uint64_t at_ms);
void timer_cancel(struct timer *timer);
bool timer_is_armed(const struct timer *timer);
