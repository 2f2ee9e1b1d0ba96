/* SPDX-License-Identifier: Apache-2.0
 *
 * Acceptor, on libevent.
 */
#include "lib/acceptor.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/log.h"

WEFT_LOG_MODULE(acceptor);

struct acceptor {
	struct event *readable, *rested;
	acceptor_fn *accepted;
	void *user;
	char *what;
	uint64_t n_rests;
	int fd;
};

static void on_readable(evutil_socket_t fd, short what, void *user);
static void on_rested(evutil_socket_t fd, short what, void *user);
static void rest(struct acceptor *a);

struct acceptor *
acceptor_create(
	struct event_base *base, int fd, const char *what, acceptor_fn *accepted, void *user)
{
	struct acceptor *a = xcalloc(1, sizeof(*a));

	a->fd = fd;
	a->what = xstrdup(what);
	a->accepted = accepted;
	a->user = user;
	a->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, a);
	a->rested = evtimer_new(base, on_rested, a);
	event_add(a->readable, NULL);
	return a;
}

void
acceptor_destroy(struct acceptor *a)
{
	if (!a) {
		return;
	}
	event_free(a->readable);
	event_free(a->rested);
	close(a->fd);
	free(a->what);
	free(a);
}

uint64_t
acceptor_rests(const struct acceptor *a)
{
	return a->n_rests;
}

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	struct acceptor *a = user;

	(void)what;
	for (unsigned i = 0; i < ACCEPTOR_TURN; i++) {
		struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
		socklen_t len = sizeof(from);
		int conn =
			accept4(fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (conn >= 0) {
			a->accepted(a->user, conn, &from);
			continue;
		}
		/* Errors of the connection alone (accept(2)) took it out of the queue; the next turn
		 * goes on with those behind it. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			rest(a);
		} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			LOG_WARN_RL("%s: cannot accept: %s", a->what, strerror(errno));
		}
		return;
	}
}

static void
rest(struct acceptor *a)
{
	const struct timeval pause = {.tv_usec = ACCEPTOR_REST_MS * 1000};

	LOG_WARN_RL("%s: cannot accept: %s: connections wait", a->what, strerror(errno));
	a->n_rests++;
	event_del(a->readable);
	event_add(a->rested, &pause);
}

static void
on_rested(evutil_socket_t fd, short what, void *user)
{
	struct acceptor *a = user;

	(void)fd;
	(void)what;
	event_add(a->readable, NULL);
}
