/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions: the rings between agent and datapath, and replies.
 *
 * Who may still hold the rings of a session that has ended: a worker in the middle of a burst. They are
 * unmapped one grace period after the workers were told.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datapath/rcu.h"
#include "datapath/tables_internal.h"
#include "datapath/upcall.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(session);

static bool offer_session(
	struct session *s, int stats_fd, struct session_offer *offer, struct weft_error *err);

struct session *
session_create(uint64_t number, uint32_t n_handlers, uint64_t epoch, int stats_fd,
	struct session_offer *offer, struct weft_error *err)
{
	struct session *s = xcalloc(1, sizeof *s);

	assert(n_handlers); /* the ports thread has checked */
	*offer = (struct session_offer){.number = number};
	s->number = number;
	s->epoch = epoch;
	s->n_handlers = n_handlers;
	s->rings = xaligned(64, workers.n * sizeof s->rings[0]);
	for (uint32_t h = 0; h < n_handlers; h++) {
		s->handlers[h].event_fd = -1;
	}
	if (!offer_session(s, stats_fd, offer, err)) {
		for (size_t i = 0; i < offer->n_fds; i++) {
			close(offer->fds[i]);
		}
		session_free(s);
		return NULL;
	}
	return s;
}

void
session_free(struct session *s)
{
	for (uint32_t h = 0; h < s->n_handlers; h++) {
		shm_ring_detach(&s->handlers[h].commands);
		shm_ring_detach(&s->handlers[h].replies);
		if (s->handlers[h].event_fd >= 0) {
			close(s->handlers[h].event_fd);
		}
	}
	for (unsigned w = 0; s->rings && w < workers.n; w++) {
		shm_ring_detach(&s->rings[w].upcalls);
	}
	free(s->rings);
	free(s);
}

/* Makes a ring, attaches our side and puts the descriptor into the offer. */
static bool
offer_ring(struct shm_ring *r, uint32_t size, int event_fd, struct session_offer *offer,
	struct weft_error *err)
{
	int fd = shm_ring_memfd(size);

	if (fd < 0) {
		return weft_error_set(
			err, WEFT_ERR_SYSTEM, -fd, "cannot make ring memory: %s", strerror(-fd));
	}
	offer->fds[offer->n_fds++] = fd;
	return shm_ring_attach(r, fd, size, event_fd, err);
}

static bool
offer_session(struct session *s, int stats_fd, struct session_offer *offer, struct weft_error *err)
{
	offer->fds[offer->n_fds++] = dup(stats_fd);
	offer->fds[offer->n_fds++] = dup(tables.event_fd);
	for (uint32_t h = 0; h < s->n_handlers; h++) {
		struct handler *handler = &s->handlers[h];

		handler->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (handler->event_fd < 0) {
			return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
				"cannot make an eventfd: %s", strerror(errno));
		}
		offer->fds[offer->n_fds++] = dup(handler->event_fd);
		if (!offer_ring(&handler->commands, DP_RING_SIZE, tables.event_fd, offer, err) ||
			!offer_ring(
				&handler->replies, DP_RING_SIZE, handler->event_fd, offer, err)) {
			return false;
		}
	}
	for (unsigned w = 0; w < workers.n; w++) {
		s->rings[w].number = s->number;
		if (!offer_ring(&s->rings[w].upcalls, DP_UPCALL_RING_SIZE,
			    s->handlers[w % s->n_handlers].event_fd, offer, err)) {
			return false;
		}
	}
	for (size_t i = 0; i < offer->n_fds; i++) {
		if (offer->fds[i] < 0) {
			return weft_error_set(
				err, WEFT_ERR_SYSTEM, EMFILE, "out of file descriptors");
		}
	}
	return true;
}

void
session_detach(void)
{
	struct session *s = tables.session;

	if (!s) {
		return;
	}
	for (unsigned w = 0; w < workers.n; w++) {
		atomic_store_explicit(&workers.list[w]->session, NULL, memory_order_release);
	}
	s->token = rcu_start();
	s->next = tables.closed;
	tables.closed = s;
	tables.session = NULL;
	tables.connected = false;
	LOG_INFO("session %llu has ended", (unsigned long long)s->number);
}

void
session_attach(struct session *s)
{
	session_detach();
	tables.session = s;
	for (unsigned w = 0; w < workers.n; w++) {
		atomic_store_explicit(
			&workers.list[w]->session, &s->rings[w], memory_order_release);
	}
	tables.connected = true;
	tables.sessions++;
	LOG_INFO("session %llu has begun, %u handlers", (unsigned long long)s->number,
		s->n_handlers);
}

bool
session_free_closed(void)
{
	struct session **at = &tables.closed;

	while (*at) {
		struct session *s = *at;

		if (rcu_passed(s->token)) {
			*at = s->next;
			session_free(s);
		} else {
			at = &s->next;
		}
	}
	return tables.closed;
}

/* --- replies ---------------------------------------------------------------------------------------------- */

struct shm_ring *
reply_ring(uint64_t session, uint32_t handler)
{
	return tables.session && tables.session->number == session &&
			       handler < tables.session->n_handlers
		       ? &tables.session->handlers[handler].replies
		       : NULL;
}

void
send_reply(uint32_t handler, uint32_t type, const void *reply, size_t size,
	const struct dp_part *parts, unsigned n_parts)
{
	struct shm_ring *r = reply_ring(tables.session ? tables.session->number : 0, handler);

	/* Room was made sure of before the command was taken. */
	if (r && !dp_send(r, DP_REPLY + type, reply, size, parts, n_parts)) {
		LOG_WARN_RL("session %llu: reply ring of handler %u is full: a reply is lost",
			(unsigned long long)tables.session->number, handler);
	}
}

/* A reply of @size bytes that has but a status: the struct of its command, zeroed. */
static size_t
reply_size(uint32_t type)
{
	switch (type) {
	case DP_FLOW_PUT:
		return sizeof(struct dp_flow_put_reply);
	case DP_FLOW_DEL:
		return sizeof(struct dp_flow_del_reply);
	case DP_FLOW_LIST:
	case DP_OBJECT_LIST:
	case DP_CONTEXT_LIST:
		return sizeof(struct dp_list_reply);
	case DP_OBJECT_PUT:
		return sizeof(struct dp_object_put_reply);
	case DP_OBJECT_DEL:
		return sizeof(struct dp_object_del_reply);
	case DP_TUN_OPTS:
		return sizeof(struct dp_tun_opts_reply);
	default:
		return sizeof(struct dp_reply);
	}
}

void
reply_status(uint32_t handler, uint32_t type, uint64_t request, int status)
{
	union {
		struct dp_reply head;
		struct dp_flow_del_reply largest;
	} reply = {.head = {.request = request, .status = status}};

	_Static_assert(sizeof reply >= sizeof(struct dp_object_put_reply) &&
			       sizeof reply >= sizeof(struct dp_object_del_reply) &&
			       sizeof reply >= sizeof(struct dp_flow_put_reply) &&
			       sizeof reply >= sizeof(struct dp_tun_opts_reply),
		"room for all of reply_size()");
	send_reply(handler, type, &reply, reply_size(type), NULL, 0);
}
