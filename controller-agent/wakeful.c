/* SPDX-License-Identifier: Apache-2.0
 *
 * Wakeful: keeps the processors from sleeping while a client waits for one answer after the other.
 */
#include "controller-agent/wakeful.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller-agent/timers.h"
#include "lib/alloc.h"
#include "lib/log.h"

WEFT_LOG_MODULE(openflow);

struct wakeful {
	struct timers *timers;
	struct timer window;
	char *path;         /* NULL: none, or it could not be used */
	unsigned n_answers; /* in this window */
	int fd;             /* -1: not held */
};

static void hold(struct wakeful *w);
static void let_go(struct wakeful *w);
static void on_window(void *arg);

struct wakeful *
wakeful_create(struct timers *timers, const char *path)
{
	struct wakeful *w = xcalloc(1, sizeof(*w));

	w->timers = timers;
	timer_init(&w->window, on_window, w);
	w->path = path ? xstrdup(path) : NULL;
	w->fd = -1;
	return w;
}

void
wakeful_destroy(struct wakeful *w)
{
	if (!w) {
		return;
	}
	let_go(w);
	timer_cancel(&w->window);
	free(w->path);
	free(w);
}

void
wakeful_answered(struct wakeful *w)
{
	if (!w->path) {
		return;
	}
	if (!timer_is_armed(&w->window)) {
		timer_set(w->timers, &w->window, timers_now(w->timers) + WAKEFUL_WINDOW_MS);
	}
	w->n_answers++;
	if (w->n_answers == WAKEFUL_ANSWERS && w->fd < 0) {
		hold(w);
	}
}

bool
wakeful_is_held(const struct wakeful *w)
{
	return w->fd >= 0;
}

static void
on_window(void *arg)
{
	struct wakeful *w = arg;

	if (w->n_answers < WAKEFUL_ANSWERS) {
		let_go(w);
	}
	w->n_answers = 0;
	if (w->fd >= 0) {
		timer_set(w->timers, &w->window, timers_now(w->timers) + WAKEFUL_WINDOW_MS);
	}
}

/* The request stands while the file is open (Linux, Documentation/power/pm_qos_interface). */
static void
hold(struct wakeful *w)
{
	const int32_t latency_us = 0;
	const char *what = "open";

	w->fd = open(w->path, O_WRONLY | O_CLOEXEC);
	if (w->fd >= 0) {
		if (write(w->fd, &latency_us, sizeof(latency_us)) == sizeof(latency_us)) {
			return;
		}
		what = "write";
	}
	LOG_DBG("cannot %s %s: %s; processors sleep between a client's requests, which may be slower",
		what, w->path, strerror(errno));
	let_go(w);
	free(w->path);
	w->path = NULL;
}

static void
let_go(struct wakeful *w)
{
	if (w->fd >= 0) {
		close(w->fd);
		w->fd = -1;
	}
}
