/* SPDX-License-Identifier: Apache-2.0
 *
 * Connector: active connections with back-off.
 */
#include "controller-agent/connector.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "controller-agent/of_service.h"
#include "controller-agent/timers.h"
#include "lib/alloc.h"
#include "lib/error.h"

enum state {
	STATE_WAITING, /* for the timer, until the next attempt */
	STATE_RESOLVING,
	STATE_CONNECTING,
	STATE_CONNECTED, /* handed over */
};

struct connector {
	struct event_base *base;
	struct timers *timers;
	struct timer timer; /* next attempt, or the end of this one */
	struct target target;
	struct connector_ops ops;
	void *user;
	struct evdns_base *dns; /* made when a name is to be resolved */
	struct evdns_getaddrinfo_request *query;
	struct event *writable; /* while connecting */
	int fd;                 /* while connecting; -1 */
	uint32_t backoff_ms;    /* before the next attempt but one */
	enum state state;
	char peer[CONNECTOR_PEER_MAX];
};

static void attempt(struct connector *c);
static bool attempt_unix(struct connector *c);
static bool attempt_number(struct connector *c);
static void attempt_name(struct connector *c);
static void on_resolved(int error, struct evutil_addrinfo *info, void *user);
static void connect_to(struct connector *c, const struct sockaddr *addr, socklen_t len);
static void on_writable(evutil_socket_t fd, short what, void *user);
static void succeed(struct connector *c);
static void fail(struct connector *c, const char *why);
static void give_up(struct connector *c);
static void wait_backoff(struct connector *c);
static uint32_t jitter_ms(uint32_t max_ms);
static void on_timer(void *arg);

struct connector *
connector_create(struct event_base *base, struct timers *timers, const struct target *target,
	const struct connector_ops *ops, void *user)
{
	struct connector *c = xcalloc(1, sizeof(*c));

	c->base = base;
	c->timers = timers;
	c->target = *target;
	c->ops = *ops;
	c->user = user;
	c->fd = -1;
	c->backoff_ms = OF_BACKOFF_MIN_MS;
	timer_init(&c->timer, on_timer, c);
	timer_set(timers, &c->timer, timers_now(timers));
	return c;
}

void
connector_destroy(struct connector *c)
{
	if (!c) {
		return;
	}
	give_up(c);
	timer_cancel(&c->timer);
	if (c->dns) {
		/* A query that is cancelled calls back once more, without us. */
		evdns_base_free(c->dns, 0);
	}
	free(c);
}

void
connector_lost(struct connector *c, bool was_open)
{
	if (was_open) {
		c->backoff_ms = OF_BACKOFF_MIN_MS;
	}
	wait_backoff(c);
}

const char *
connector_state(const struct connector *c)
{
	switch (c->state) {
	case STATE_WAITING:
		return "backing off";
	case STATE_RESOLVING:
	case STATE_CONNECTING:
		return "connecting";
	case STATE_CONNECTED:
		break;
	}
	return "connected";
}

/* --- one attempt -------------------------------------------------------------------------------- */

static void
attempt(struct connector *c)
{
	c->state = STATE_CONNECTING;
	timer_set(c->timers, &c->timer, timers_now(c->timers) + CONNECT_TIMEOUT_MS);
	if (!attempt_unix(c) && !attempt_number(c)) {
		attempt_name(c);
	}
}

static bool
attempt_unix(struct connector *c)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (c->target.kind != TARGET_UNIX) {
		return false;
	}
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.107s", c->target.host);
	snprintf(c->peer, sizeof(c->peer), "unix:%.100s", c->target.host);
	connect_to(c, (const struct sockaddr *)&addr, sizeof(addr));
	return true;
}

static bool
attempt_number(struct connector *c)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(c->target.port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(c->target.port)};

	if (evutil_inet_pton(AF_INET, c->target.host, &in.sin_addr) == 1) {
		snprintf(c->peer, sizeof(c->peer), "%.64s:%u", c->target.host, c->target.port);
		connect_to(c, (const struct sockaddr *)&in, sizeof(in));
		return true;
	}
	if (evutil_inet_pton(AF_INET6, c->target.host, &in6.sin6_addr) == 1) {
		snprintf(c->peer, sizeof(c->peer), "[%.64s]:%u", c->target.host, c->target.port);
		connect_to(c, (const struct sockaddr *)&in6, sizeof(in6));
		return true;
	}
	return false;
}

static void
attempt_name(struct connector *c)
{
	struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP,
	};
	char port[8];

	if (!c->dns) {
		c->dns = evdns_base_new(c->base,
			EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		if (!c->dns) {
			fail(c, "names cannot be resolved: /etc/resolv.conf names no server");
			return;
		}
	}
	snprintf(port, sizeof(port), "%u", c->target.port);
	c->state = STATE_RESOLVING;
	c->query = evdns_getaddrinfo(c->dns, c->target.host, port, &hints, on_resolved, c);
	/* Answered at once (from /etc/hosts, or by a failure): the callback has run. */
}

static void
on_resolved(int error, struct evutil_addrinfo *info, void *user)
{
	struct connector *c = user;
	char text[96], why[384];

	if (error == EVUTIL_EAI_CANCEL) {
		return;
	}
	c->query = NULL;
	if (error || !info) {
		snprintf(why, sizeof(why), "host %s: %s", c->target.host,
			evutil_gai_strerror(error));
		fail(c, why);
		return;
	}
	c->state = STATE_CONNECTING;
	text[0] = '\0';
	if (info->ai_family == AF_INET) {
		evutil_inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)info->ai_addr)->sin_addr,
			text, sizeof(text));
	} else if (info->ai_family == AF_INET6) {
		evutil_inet_ntop(AF_INET6,
			&((struct sockaddr_in6 *)(void *)info->ai_addr)->sin6_addr, text,
			sizeof(text));
	}
	snprintf(c->peer, sizeof(c->peer), strchr(text, ':') ? "[%s]:%u" : "%s:%u", text,
		c->target.port);
	connect_to(c, info->ai_addr, (socklen_t)info->ai_addrlen);
	evutil_freeaddrinfo(info);
}

static void
connect_to(struct connector *c, const struct sockaddr *addr, socklen_t len)
{
	int one = 1;

	c->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		fail(c, strerror(errno));
		return;
	}
	if (addr->sa_family != AF_UNIX) {
		(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	if (connect(c->fd, addr, len) == 0) {
		succeed(c);
	} else if (errno == EINPROGRESS) {
		c->writable = event_new(c->base, c->fd, EV_WRITE, on_writable, c);
		event_add(c->writable, NULL);
	} else {
		fail(c, strerror(errno));
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *user)
{
	struct connector *c = user;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) {
		error = errno;
	}
	if (error) {
		fail(c, strerror(error));
	} else {
		succeed(c);
	}
}

static void
succeed(struct connector *c)
{
	int fd = c->fd;

	c->fd = -1;
	give_up(c);
	timer_cancel(&c->timer);
	c->state = STATE_CONNECTED;
	c->ops.connected(c->user, fd, c->peer);
}

static void
fail(struct connector *c, const char *why)
{
	char text[512];

	snprintf(text, sizeof(text), "cannot connect: %s", why);
	wait_backoff(c);
	c->ops.failed(c->user, text);
}

/* Ends the attempt that runs. */
static void
give_up(struct connector *c)
{
	if (c->query) {
		evdns_getaddrinfo_cancel(c->query);
		c->query = NULL;
	}
	if (c->writable) {
		event_free(c->writable);
		c->writable = NULL;
	}
	if (c->fd >= 0) {
		close(c->fd);
		c->fd = -1;
	}
}

static void
wait_backoff(struct connector *c)
{
	give_up(c);
	c->state = STATE_WAITING;
	timer_set(c->timers, &c->timer,
		timers_now(c->timers) + c->backoff_ms -
			jitter_ms(c->backoff_ms / CONNECTOR_JITTER));
	c->backoff_ms = WEFT_MIN(2 * c->backoff_ms, OF_BACKOFF_MAX_MS);
}

/* Evenly distributed over 0..@max_ms, but for what a remainder of 2^32 makes uneven. */
static uint32_t
jitter_ms(uint32_t max_ms)
{
	uint32_t random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	return random % (max_ms + 1);
}

static void
on_timer(void *arg)
{
	struct connector *c = arg;

	if (c->state == STATE_WAITING) {
		attempt(c);
	} else {
		fail(c, "no answer");
	}
}
