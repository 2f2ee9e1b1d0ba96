/* SPDX-License-Identifier: Apache-2.0
 *
 * Liveness: the thread that sees links change.
 */
#include "datapath/liveness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datapath/netdev.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/list.h"

#define POLL_MS 500

struct liveness_watch {
	struct list link;
	liveness_fn *fn;
	void *user;
	bool (*is_up)(void *user); /* NULL: a kernel interface */
	uint32_t ifindex;
	bool is_told; /* the members below are valid */
	bool is_gone;
	struct netdev_info last; /* only what is compared */
};

static struct {
	pthread_t thread;
	bool runs; /* ports thread's */
	int stop_fd, news_fd;
	struct netdev netdev;
	pthread_mutex_t lock; /* of the list; held while a watch's function runs */
	struct list watches;
} liveness = {.lock = PTHREAD_MUTEX_INITIALIZER, .watches = {&liveness.watches, &liveness.watches}};

static void *liveness_main(void *arg);

static bool
start(struct weft_error *err)
{
	sigset_t all, before;
	int rc;

	liveness.stop_fd = eventfd(0, EFD_CLOEXEC);
	liveness.news_fd = netdev_open_news();
	if (liveness.stop_fd < 0 || liveness.news_fd < 0) {
		weft_error_set(
			err, WEFT_ERR_SYSTEM, errno, "cannot watch links: %s", strerror(errno));
		goto close_fds;
	}
	if (!netdev_open(&liveness.netdev, NULL, err)) {
		goto close_fds;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&liveness.thread, NULL, liveness_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!rc) {
		pthread_setname_np(liveness.thread, "liveness");
		liveness.runs = true;
		return true;
	}
	weft_error_set(
		err, WEFT_ERR_SYSTEM, rc, "cannot start the liveness thread: %s", strerror(rc));
	netdev_close(&liveness.netdev);

close_fds:
	if (liveness.stop_fd >= 0) {
		close(liveness.stop_fd);
	}
	if (liveness.news_fd >= 0) {
		close(liveness.news_fd);
	}
	return false;
}

/* Wakes the thread, to stop it (@n large) or to make it look at the list again. */
static void
nudge(uint64_t n)
{
	if (write(liveness.stop_fd, &n, sizeof n) < 0) {
		/* Cannot be full: the thread reads it. */
	}
}

#define STOP ((uint64_t)1 << 32)

static void
stop(void)
{
	nudge(STOP);
	pthread_join(liveness.thread, NULL);
	liveness.runs = false;
	close(liveness.stop_fd);
	close(liveness.news_fd);
	netdev_close(&liveness.netdev);
}

static struct liveness_watch *
add(const struct liveness_watch *given, struct weft_error *err)
{
	struct liveness_watch *watch;

	if (!liveness.runs && !start(err)) {
		return NULL;
	}
	watch = xmemdup(given, sizeof *given);
	pthread_mutex_lock(&liveness.lock);
	list_push_back(&liveness.watches, &watch->link);
	pthread_mutex_unlock(&liveness.lock);
	nudge(1);
	return watch;
}

struct liveness_watch *
liveness_watch_link(uint32_t ifindex, liveness_fn *fn, void *user, struct weft_error *err)
{
	return add(&(struct liveness_watch){.fn = fn, .user = user, .ifindex = ifindex}, err);
}

struct liveness_watch *
liveness_watch_poll(bool (*is_up)(void *user), liveness_fn *fn, void *user, struct weft_error *err)
{
	return add(&(struct liveness_watch){.fn = fn, .user = user, .is_up = is_up}, err);
}

void
liveness_unwatch(struct liveness_watch *watch)
{
	bool was_last;

	if (!watch) {
		return;
	}
	pthread_mutex_lock(&liveness.lock);
	list_remove(&watch->link);
	was_last = list_is_empty(&liveness.watches);
	pthread_mutex_unlock(&liveness.lock);
	free(watch);
	if (was_last) {
		stop();
	}
}

/* --- the thread ------------------------------------------------------------------------------------------- */

/* Tells a watch what is different now. @info NULL: gone. */
static void
tell(struct liveness_watch *watch, const struct netdev_info *info)
{
	bool same = watch->is_told && info && watch->last.is_up == info->is_up &&
		    watch->last.is_running == info->is_running && watch->last.mtu == info->mtu &&
		    !memcmp(watch->last.mac, info->mac, sizeof info->mac);

	if (watch->is_gone || same) {
		return;
	}
	watch->is_told = true;
	watch->is_gone = !info;
	if (info) {
		watch->last = *info;
	}
	watch->fn(!info              ? LIVENESS_GONE
		  : info->is_running ? LIVENESS_UP
				     : LIVENESS_DOWN,
		watch->user);
}

static void
on_link(uint32_t ifindex, const struct netdev_info *info, void *user)
{
	struct liveness_watch *watch;

	(void)user;
	LIST_FOREACH (watch, link, &liveness.watches) {
		if (!watch->is_up && watch->ifindex == ifindex) {
			tell(watch, info);
		}
	}
}

/* Asks the kernel for every watched interface (@all), or those that were never told. */
static void
ask_links(bool all)
{
	struct liveness_watch *watch;
	struct netdev_info info;

	LIST_FOREACH (watch, link, &liveness.watches) {
		if (!watch->is_up && (all || !watch->is_told)) {
			int rc = netdev_find(&liveness.netdev, NULL, watch->ifindex, &info);

			if (!rc || rc == -ENODEV) {
				tell(watch, rc ? NULL : &info);
			}
		}
	}
}

/* Returns whether there is anything to poll. */
static bool
ask_polled(void)
{
	struct liveness_watch *watch;
	struct netdev_info info = {0};
	bool any = false;

	LIST_FOREACH (watch, link, &liveness.watches) {
		if (watch->is_up) {
			any = true;
			info.is_up = info.is_running = watch->is_up(watch->user);
			tell(watch, &info);
		}
	}
	return any;
}

static void *
liveness_main(void *arg)
{
	struct pollfd fds[] = {{.fd = liveness.stop_fd, .events = POLLIN},
		{.fd = liveness.news_fd, .events = POLLIN}};
	uint64_t nudges = 0;
	bool polls = false;

	(void)arg;
	weft_role_enter(weft_liveness);
	while (nudges < STOP) {
		nudges = 0;
		poll(fds, WEFT_ARRAY_SIZE(fds), polls ? POLL_MS : -1);
		if (fds[0].revents & POLLIN &&
			read(liveness.stop_fd, &nudges, sizeof nudges) != sizeof nudges) {
			break;
		}
		pthread_mutex_lock(&liveness.lock);
		ask_links(netdev_read_news(liveness.news_fd, on_link, NULL) == -ENOBUFS);
		polls = ask_polled();
		pthread_mutex_unlock(&liveness.lock);
	}
	weft_role_leave(weft_liveness);
	return NULL;
}
