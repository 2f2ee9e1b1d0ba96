/* SPDX-License-Identifier: Apache-2.0
 *
 * Connector: listening for controllers and clients.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controller-agent/connector.h"
#include "lib/acceptor.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/unix_socket.h"

#define BACKLOG 64

struct listener {
	struct acceptor *acceptor;
	listener_accepted_fn *accepted;
	void *user;
	char *path; /* unix: to be removed */
	uint16_t port;
};

static struct listener *create(struct event_base *base, int fd, const char *what,
	listener_accepted_fn *accepted, void *user);
static int listen_on(const struct sockaddr *addr, socklen_t len);
static int listen_any(uint16_t port);
static void on_accepted(void *user, int conn, const struct sockaddr_storage *from);
static void describe_peer(const struct sockaddr_storage *addr, char *text, size_t size);

struct listener *
listener_create(struct event_base *base, const struct target *target,
	listener_accepted_fn *accepted, void *user, struct weft_error *err)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(target->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(target->port)};
	struct sockaddr_in6 bound = {.sin6_family = AF_UNSPEC};
	socklen_t len = sizeof(bound);
	struct listener *l;
	char what[sizeof(target->host) + 32];
	int fd;

	if (!target->host[0]) {
		fd = listen_any(target->port);
	} else if (evutil_inet_pton(AF_INET, target->host, &in.sin_addr) == 1) {
		fd = listen_on((const struct sockaddr *)&in, sizeof(in));
	} else if (evutil_inet_pton(AF_INET6, target->host, &in6.sin6_addr) == 1) {
		fd = listen_on((const struct sockaddr *)&in6, sizeof(in6));
	} else {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "cannot listen on %s: not an address",
			target->host);
		return NULL;
	}
	if (fd < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, -fd, "cannot listen on port %u of %s: %s",
			target->port, target->host[0] ? target->host : "any address",
			strerror(-fd));
		return NULL;
	}
	snprintf(what, sizeof(what), "OpenFlow port %u of %s", target->port,
		target->host[0] ? target->host : "any address");
	l = create(base, fd, what, accepted, user);
	if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0) {
		/* The port stands at the same place in an IPv4 address. */
		l->port = ntohs(bound.sin6_port);
	}
	return l;
}

struct listener *
listener_create_unix(struct event_base *base, const char *path, const char *group,
	listener_accepted_fn *accepted, void *user, struct weft_error *err)
{
	int fd = unix_listen(path, group, err);
	struct listener *l;

	if (fd < 0) {
		return NULL;
	}
	l = create(base, fd, path, accepted, user);
	l->path = xstrdup(path);
	return l;
}

void
listener_destroy(struct listener *l)
{
	if (!l) {
		return;
	}
	acceptor_destroy(l->acceptor);
	if (l->path) {
		unlink(l->path);
		free(l->path);
	}
	free(l);
}

uint16_t
listener_port(const struct listener *l)
{
	return l->port;
}

static struct listener *
create(struct event_base *base, int fd, const char *what, listener_accepted_fn *accepted,
	void *user)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->accepted = accepted;
	l->user = user;
	l->acceptor = acceptor_create(base, fd, what, on_accepted, l);
	return l;
}

/* IPv6 and IPv4, or IPv4 alone where there is no IPv6. */
static int
listen_any(uint16_t port)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = listen_on((const struct sockaddr *)&in6, sizeof(in6));

	if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
		fd = listen_on((const struct sockaddr *)&in, sizeof(in));
	}
	return fd;
}

/* A descriptor or a negative errno. */
static int
listen_on(const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, off = 0, error;

	if (fd < 0) {
		return -errno;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (addr->sa_family == AF_INET6) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	}
	if (bind(fd, addr, len) < 0 || listen(fd, BACKLOG) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static void
on_accepted(void *user, int conn, const struct sockaddr_storage *from)
{
	struct listener *l = user;
	char peer[CONNECTOR_PEER_MAX];
	int one = 1;

	if (l->path) {
		snprintf(peer, sizeof(peer), "pid %d", (int)unix_peer_pid(conn));
	} else {
		(void)setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		describe_peer(from, peer, sizeof(peer));
	}
	l->accepted(l->user, conn, peer);
}

static void
describe_peer(const struct sockaddr_storage *addr, char *text, size_t size)
{
	const struct sockaddr_in *in = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;
	char host[64] = "";

	if (addr->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		evutil_inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(in6->sin6_port));
	} else if (addr->ss_family == AF_INET6) {
		evutil_inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else if (addr->ss_family == AF_INET) {
		evutil_inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
	} else {
		snprintf(text, size, "local");
	}
}
