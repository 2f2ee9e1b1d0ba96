/* SPDX-License-Identifier: Apache-2.0
 *
 * Liveness thread: news of kernel devices from netlink.
 *
 * Threads: one thread for all devices, started with the first watch and ended with the last; it does
 *          not depend on the agent. The lock guards the list and is held while a callback runs, so
 *          that netdev_unwatch() returns only when none is under way; callbacks must not watch.
 */
#include <errno.h>
#include <linux/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datapath/netdev.h"
#include "lib/alloc.h"
#include "lib/list.h"
#include "lib/log.h"

WEFT_LOG_MODULE(liveness);

struct netdev_watch {
	struct list link;
	int ifindex;
	void (*changed)(void *user, bool exists, bool running, uint32_t mtu);
	void *user;
};

static struct list watches = {&watches, &watches};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of watches */
static pthread_t thread;
static int stop_fd = -1;
static struct nl_sock *news;

static void
tell(struct rtnl_link *link, bool exists)
{
	unsigned flags = rtnl_link_get_flags(link);
	int ifindex = rtnl_link_get_ifindex(link);
	struct netdev_watch *w;

	pthread_mutex_lock(&lock);
	LIST_FOREACH(w, link, &watches) {
		if (w->ifindex == ifindex) {
			w->changed(w->user, exists, exists && flags & IFF_UP && flags & IFF_RUNNING,
				rtnl_link_get_mtu(link));
		}
	}
	pthread_mutex_unlock(&lock);
}

static void
on_object(struct nl_object *object, void *removed)
{
	tell((struct rtnl_link *)object, !*(bool *)removed);
}

static int
on_message(struct nl_msg *message, void *unused)
{
	bool removed = nlmsg_hdr(message)->nlmsg_type == RTM_DELLINK;

	(void)unused;
	nl_msg_parse(message, on_object, &removed);
	return NL_OK;
}

/* News were lost: asks for the state of every watched device. */
static void
resync(void)
{
	struct nl_sock *s = nl_socket_alloc();
	struct nl_cache *cache = NULL;

	if (s && !nl_connect(s, NETLINK_ROUTE) && !rtnl_link_alloc_cache(s, AF_UNSPEC, &cache)) {
		for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
			tell((struct rtnl_link *)o, true);
		}
		nl_cache_free(cache);
	}
	nl_socket_free(s);
}

static void *
liveness_main(void *unused)
{
	struct pollfd fds[] = {{.fd = nl_socket_get_fd(news), .events = POLLIN},
		{.fd = stop_fd, .events = POLLIN}};

	(void)unused;
	weft_role_enter(weft_liveness);
	pthread_setname_np(pthread_self(), "weft-liveness");
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if (fds[1].revents) {
			break;
		}
		if (fds[0].revents && nl_recvmsgs_default(news) == -NLE_NOMEM) {
			LOG_WARN_RL("netlink: news of devices were lost; asking anew");
			resync();
		}
	}
	weft_role_leave(weft_liveness);
	return NULL;
}

static bool
start(void)
{
	news = nl_socket_alloc();
	if (!news || nl_connect(news, NETLINK_ROUTE) ||
		nl_socket_add_memberships(news, RTNLGRP_LINK, RTNLGRP_NONE)) {
		nl_socket_free(news);
		return false;
	}
	nl_socket_disable_seq_check(news);
	nl_socket_set_nonblocking(news);
	nl_socket_set_buffer_size(news, 1 << 20, 0);
	nl_socket_modify_cb(news, NL_CB_VALID, NL_CB_CUSTOM, on_message, NULL);
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return !pthread_create(&thread, NULL, liveness_main, NULL);
}

static void
end(void)
{
	uint64_t one = 1;

	if (write(stop_fd, &one, sizeof one) == sizeof one) {
		pthread_join(thread, NULL);
	}
	close(stop_fd);
	nl_socket_free(news);
	news = NULL;
}

struct netdev_watch *
netdev_watch(int ifindex, void (*changed)(void *user, bool exists, bool running, uint32_t mtu),
	void *user)
{
	struct netdev_watch *w = xcalloc(1, sizeof *w);

	if (list_is_empty(&watches) && !start()) {
		LOG_ERR("netlink: cannot watch devices: %s", strerror(errno));
		free(w);
		return NULL;
	}
	*w = (struct netdev_watch){.ifindex = ifindex, .changed = changed, .user = user};
	pthread_mutex_lock(&lock);
	list_push_back(&watches, &w->link);
	pthread_mutex_unlock(&lock);
	return w;
}

void
netdev_unwatch(struct netdev_watch *w)
{
	bool last;

	if (!w) {
		return;
	}
	pthread_mutex_lock(&lock);
	list_remove(&w->link);
	last = list_is_empty(&watches);
	pthread_mutex_unlock(&lock);
	free(w);
	if (last) {
		end();
	}
}
