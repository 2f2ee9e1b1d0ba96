/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture, the ports thread's half: start, publish, detach, free.
 */
#include "datapath/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datapath/capture_internal.h"
#include "datapath/rcu.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/log.h"
#include "lib/strbuf.h"

WEFT_LOG_MODULE(capture);

#define SOCKET_BUFFER (1 << 20)

static struct {
	struct capture *list[CAPTURE_MAX];
	unsigned n;
	int news_fd;
} captures = {.news_fd = -1};

static void capture_free(struct capture *c);

/* --- sets --------------------------------------------------------------------------------------------------- */

static struct capture_set *
make_set(const struct port *port, bool out)
{
	struct capture_set *set = NULL;

	for (unsigned i = 0; i < captures.n; i++) {
		struct capture *c = captures.list[i];

		if (c->port != port || !(out ? c->out : c->in)) {
			continue;
		}
		if (!set) {
			set = xcalloc(1, sizeof *set);
		}
		set->list[set->n++] = c;
	}
	return set;
}

/* Publishes what is captured of a port now; afterwards no worker uses what was before. */
static void
publish_sets(struct port *port)
{
	struct capture_set *was[2];

	was[0] = atomic_exchange_explicit(
		&port->capture_rx, make_set(port, false), memory_order_acq_rel);
	was[1] = atomic_exchange_explicit(
		&port->capture_tx, make_set(port, true), memory_order_acq_rel);
	rcu_synchronize();
	free(was[0]);
	free(was[1]);
}

static void
kick(const struct capture *c)
{
	uint64_t one = 1;

	if (write(c->event_fd, &one, sizeof one) < 0) {
		/* EAGAIN: kicked often enough. */
	}
}

/* Tells the thread that no worker has the capture any more. */
static void
tell_detached(struct capture *c, const char *reason)
{
	c->port = NULL;
	if (reason) {
		atomic_store(&c->reason, reason);
	}
	atomic_store_explicit(&c->detached, true, memory_order_release);
	kick(c);
}

static void
detach(struct capture *c, const char *reason)
{
	struct port *port = c->port;

	if (port) {
		c->port = NULL;
		publish_sets(port);
		tell_detached(c, reason);
	}
}

/* --- life --------------------------------------------------------------------------------------------------- */

int
captures_open(void)
{
	captures.news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return captures.news_fd < 0 ? -errno : captures.news_fd;
}

static void
remove_at(unsigned i)
{
	struct capture *c = captures.list[i];

	pthread_join(c->thread, NULL);
	captures.list[i] = captures.list[--captures.n];
	capture_free(c);
}

void
captures_close(void)
{
	for (unsigned i = 0; i < captures.n; i++) {
		detach(captures.list[i], "the datapath stops");
	}
	while (captures.n) {
		remove_at(captures.n - 1);
	}
	if (captures.news_fd >= 0) {
		close(captures.news_fd);
		captures.news_fd = -1;
	}
}

void
captures_run(void)
{
	uint64_t n;

	if (captures.news_fd >= 0 && read(captures.news_fd, &n, sizeof n) < 0) {
		/* EAGAIN */
	}
	for (unsigned i = 0; i < captures.n;) {
		struct capture *c = captures.list[i];

		if (atomic_load(&c->wants_end)) {
			detach(c, NULL);
		}
		if (atomic_load(&c->has_ended)) {
			remove_at(i);
		} else {
			i++;
		}
	}
}

void
captures_port_gone(struct port *port)
{
	for (unsigned i = 0; i < captures.n; i++) {
		if (captures.list[i]->port == port) {
			tell_detached(captures.list[i], "the port was removed");
		}
	}
	free(atomic_exchange(&port->capture_rx, NULL));
	free(atomic_exchange(&port->capture_tx, NULL));
}

/* --- making one --------------------------------------------------------------------------------------------- */

static uint32_t
ring_size(void)
{
	uint32_t size = CAPTURE_MAX_RING;

	while (size > CAPTURE_MIN_RING && (uint64_t)size * workers.n > CAPTURE_BUFFER) {
		size /= 2;
	}
	return size;
}

/* Memory is touched here and not by workers. */
static bool
make_rings(struct capture *c, struct weft_error *err)
{
	uint32_t size = ring_size();

	for (unsigned i = 0; i < c->n_workers; i++) {
		struct capture_worker *cw = &c->per_worker[i];
		void *memory = mmap(NULL, SHM_RING_HEADER_SIZE + size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		if (memory == MAP_FAILED) {
			return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
				"no memory for a capture's buffer: %s", strerror(errno));
		}
		cw->memory = memory;
		shm_ring_init_private(&cw->in, memory, size, c->event_fd);
		cw->out = cw->in;
		cw->head = xmalloc(sizeof *cw->head + PACKET_MAX_LEN);
		capture_quick_init(&cw->quick);
		if (c->filter && !c->filter->run) {
			cw->scratch = xmalloc(PACKET_MAX_LEN);
			memset(cw->scratch, 0, PACKET_MAX_LEN);
		}
	}
	return true;
}

static void
capture_free(struct capture *c)
{
	for (unsigned i = 0; i < c->n_workers; i++) {
		struct capture_worker *cw = &c->per_worker[i];

		if (cw->memory) {
			munmap(cw->memory, SHM_RING_HEADER_SIZE + cw->in.size);
		}
		free(cw->head);
		free(cw->scratch);
	}
	if (c->socket >= 0) {
		close(c->socket);
	}
	if (c->event_fd >= 0) {
		close(c->event_fd);
	}
	capture_filter_destroy(c->filter);
	free(c->per_worker);
	free(c->text);
	free(c);
}

static bool
has_room(struct weft_error *err)
{
	struct strbuf pids = STRBUF_INIT;

	if (captures.n < CAPTURE_MAX) {
		return true;
	}
	for (unsigned i = 0; i < captures.n; i++) {
		strbuf_printf(&pids, "%s%d", i ? ", " : "", captures.list[i]->pid);
	}
	weft_error_set(err, WEFT_ERR_CONFLICT, EBUSY,
		"%u captures run already, and no more may: end one of the processes %s",
		CAPTURE_MAX, strbuf_text(&pids));
	strbuf_uninit(&pids);
	return false;
}

static bool
check_options(const struct capture_options *o, struct weft_error *err)
{
	if (o->snaplen < CAPTURE_MIN_SNAPLEN || o->snaplen > PACKET_MAX_LEN) {
		return weft_error_set(err, WEFT_ERR_INVALID, ERANGE,
			"snaplen is %u to %u bytes, not %u", CAPTURE_MIN_SNAPLEN, PACKET_MAX_LEN,
			o->snaplen);
	}
	if (!o->in && !o->out) {
		return weft_error_set(
			err, WEFT_ERR_INVALID, EINVAL, "a capture needs a direction: in, out");
	}
	return has_room(err);
}

/* Opens the stream; @client: its other end. */
static bool
open_stream(struct capture *c, int *client, struct weft_error *err)
{
	int ends[2], size = SOCKET_BUFFER;

	c->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->event_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
			"cannot open a capture's stream: %s", strerror(errno));
	}
	c->socket = ends[0];
	*client = ends[1];
	/* More lets the client nap; less does as well. */
	(void)setsockopt(c->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return true;
}

int
capture_start(struct port *port, const struct capture_options *o, struct weft_error *err)
{
	struct capture *c;
	int client = -1, rc;

	if (!check_options(o, err)) {
		return -1;
	}
	c = xcalloc(1, sizeof *c);
	*c = (struct capture){
		.snaplen = o->snaplen,
		.count = o->count,
		.n_workers = workers.n,
		.socket = -1,
		.event_fd = -1,
		.news_fd = captures.news_fd,
		.in = o->in,
		.out = o->out,
		.pid = o->pid,
		.text = o->text ? xstrdup(o->text) : NULL,
	};
	memcpy(c->port_name, port->name, sizeof c->port_name);
	c->per_worker = xaligned(64, c->n_workers * sizeof c->per_worker[0]);
	if (o->insns) {
		c->filter = capture_filter_create(o->insns, o->n_insns, err);
	}
	if ((o->insns && !c->filter) || !open_stream(c, &client, err) || !make_rings(c, err)) {
		goto free_capture;
	}
	rc = pthread_create(&c->thread, NULL, capture_thread, c);
	if (rc) {
		weft_error_set(err, WEFT_ERR_SYSTEM, rc, "cannot start a capture's thread: %s",
			strerror(rc));
		goto free_capture;
	}
	c->port = port;
	captures.list[captures.n++] = c;
	publish_sets(port);
	LOG_INFO("port %s: captured for process %d, filter \"%s\"", port->name, c->pid,
		c->text ? c->text : "");
	return client;

free_capture:
	if (client >= 0) {
		close(client);
	}
	capture_free(c);
	return -1;
}
