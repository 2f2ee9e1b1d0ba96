/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers of the loop on a clock that is handed in.
 */
#include "controller-agent/timers.h"

#include <event2/event.h>
#include <stdlib.h>

#include "lib/alloc.h"

struct timers {
	struct list armed; /* struct timer, in any order */
	struct event *event;
	uint64_t (*now_ms)(void *user);
	void *user;
	uint64_t event_ms; /* when @event is set for; UINT64_MAX: not set */
};

static struct timer *earliest(const struct timers *t);
static void arm(struct timers *t);
static void on_event(evutil_socket_t fd, short what, void *user);

struct timers *
timers_create(struct event_base *base, uint64_t (*now_ms)(void *user), void *user)
{
	struct timers *t = xcalloc(1, sizeof(*t));

	list_init(&t->armed);
	t->now_ms = now_ms;
	t->user = user;
	t->event = event_new(base, -1, 0, on_event, t);
	t->event_ms = UINT64_MAX;
	return t;
}

void
timers_destroy(struct timers *t)
{
	if (!t) {
		return;
	}
	while (!list_is_empty(&t->armed)) {
		list_pop_front(&t->armed);
	}
	event_free(t->event);
	free(t);
}

uint64_t
timers_now(const struct timers *t)
{
	return t->now_ms(t->user);
}

void
timers_run(struct timers *t)
{
	uint64_t now = timers_now(t);
	struct timer *timer;
	struct list due;

	/* One that fires may be set again for now: that is for the next run. */
	list_init(&due);
	while ((timer = earliest(t)) && timer->at_ms <= now) {
		list_remove(&timer->link);
		list_push_back(&due, &timer->link);
	}
	while (!list_is_empty(&due)) {
		timer = LIST_ENTRY(list_pop_front(&due), struct timer, link);
		timer->fire(timer->arg);
	}
	arm(t);
}

void
timer_init(struct timer *timer, void (*fire)(void *arg), void *arg)
{
	list_init(&timer->link);
	timer->at_ms = UINT64_MAX;
	timer->fire = fire;
	timer->arg = arg;
}

void
timer_set(struct timers *t, struct timer *timer, uint64_t at_ms)
{
	list_remove(&timer->link);
	timer->at_ms = at_ms;
	if (at_ms != UINT64_MAX) {
		list_push_back(&t->armed, &timer->link);
		if (at_ms < t->event_ms) {
			arm(t);
		}
	}
}

void
timer_cancel(struct timer *timer)
{
	list_remove(&timer->link);
	timer->at_ms = UINT64_MAX;
}

bool
timer_is_armed(const struct timer *timer)
{
	return !list_is_empty(&timer->link);
}

static struct timer *
earliest(const struct timers *t)
{
	struct timer *best = NULL, *timer;

	LIST_FOREACH (timer, link, &t->armed) {
		/* NOLINTNEXTLINE(clang-analyzer-core.*): it does not follow the list's links */
		if (!best || timer->at_ms < best->at_ms) {
			best = timer;
		}
	}
	return best;
}

static void
arm(struct timers *t)
{
	struct timer *first = earliest(t);
	uint64_t now, wait_ms;

	if (!first) {
		event_del(t->event);
		t->event_ms = UINT64_MAX;
		return;
	}
	now = timers_now(t);
	wait_ms = first->at_ms > now ? first->at_ms - now : 0;
	event_add(t->event,
		&(struct timeval){(time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000)});
	t->event_ms = first->at_ms;
}

static void
on_event(evutil_socket_t fd, short what, void *user)
{
	struct timers *t = user;

	(void)fd;
	(void)what;
	t->event_ms = UINT64_MAX;
	timers_run(t);
}
