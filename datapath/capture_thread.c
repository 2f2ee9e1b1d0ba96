/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture, the stream: from the workers' rings into the client's socket, as pcapng.
 *
 * Threads: one for each capture; it touches nothing but the capture.
 * Sleep:   while packets come it looks at the rings every POLL_MS, and no worker spends a system call on
 *          waking it; only when a look found nothing it announces that it sleeps.
 */
#include <errno.h>
#include <poll.h>
#include <rte_cycles.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "datapath/capture_internal.h"
#include "lib/log.h"
#include "lib/strbuf.h"

WEFT_LOG_MODULE(capture);

#define POLL_MS 5
/* Bytes that wait for the client before the rings are left alone. */
#define OUT_LIMIT (256u << 10)
#define NS 1000000000ull

struct stream {
	struct capture *c;
	struct strbuf out; /* not sent yet */
	uint64_t written;
	uint64_t start_ns;
	uint64_t anchor_tsc, anchor_ns; /* the same moment */
	uint64_t progress_ms;           /* when the client last took something, once detached */
	bool client_done;               /* it wants no more */
	bool client_gone;               /* it takes no more */
	bool detached, ended;           /* ended: statistics are in out */
	bool more;                      /* drain() left records for want of room */
};

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

static uint64_t
now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

/* --- records into blocks ------------------------------------------------------------------------------------ */

/* The TSC runs evenly and the clock may be set: they are compared once a second. */
static void
drop_anchor(struct stream *s)
{
	uint64_t tsc = rte_rdtsc();

	if (!s->anchor_ns || tsc - s->anchor_tsc > rte_get_tsc_hz()) {
		s->anchor_tsc = tsc;
		s->anchor_ns = clock_ns(CLOCK_REALTIME);
	}
}

static uint64_t
time_of(const struct stream *s, uint64_t tsc)
{
	double delta = (double)(int64_t)(tsc - s->anchor_tsc) / (double)rte_get_tsc_hz();

	return s->anchor_ns + (uint64_t)(int64_t)(delta * (double)NS);
}

/* The worker whose oldest record is the oldest of all; NULL: no record is there. */
static struct capture_worker *
oldest(struct capture *c)
{
	struct capture_worker *found = NULL;
	uint32_t kind;

	for (unsigned i = 0; i < c->n_workers; i++) {
		struct capture_worker *cw = &c->per_worker[i];

		if (!cw->has_head) {
			cw->has_head =
				shm_ring_read(&cw->out, cw->head,
					(uint32_t)sizeof *cw->head + PACKET_MAX_LEN, &kind) >= 0;
		}
		if (cw->has_head && (!found || cw->head->tsc < found->head->tsc)) {
			found = cw;
		}
	}
	return found;
}

static bool
is_full(const struct stream *s)
{
	return s->c->count && s->written >= s->c->count;
}

static void
put_record(struct stream *s, const struct capture_record *r)
{
	char comment[64] = "";

	if (r->gso_size) {
		snprintf(comment, sizeof comment, "to be cut into segments of %u bytes",
			r->gso_size);
	}
	pcapng_put_packet(&s->out, &(struct pcapng_packet){
					   .time_ns = time_of(s, r->tsc),
					   .len = r->len,
					   .caplen = r->caplen,
					   .queue = r->queue,
					   .direction = r->direction,
					   .lost = r->lost,
					   .comment = comment,
					   .data = (const uint8_t *)(r + 1),
				   });
	s->written++;
}

/* Takes records as long as there is room for them. Returns whether any was there. */
static bool
drain(struct stream *s)
{
	struct capture_worker *cw;
	bool any = false;

	drop_anchor(s);
	while ((cw = oldest(s->c)) && s->out.len < OUT_LIMIT) {
		any = true;
		cw->has_head = false;
		/* What nobody wants any more is taken all the same: it is not lost. */
		if (!cw->head->skip && !is_full(s) && !s->client_gone) {
			put_record(s, cw->head);
		}
	}
	s->more = cw != NULL;
	for (unsigned i = 0; i < s->c->n_workers; i++) {
		shm_ring_release(&s->c->per_worker[i].out);
	}
	return any;
}

static void
put_statistics(struct stream *s)
{
	struct pcapng_statistics statistics = {
		.start_ns = s->start_ns,
		.end_ns = clock_ns(CLOCK_REALTIME),
		.delivered = s->written,
		.comment = atomic_load(&s->c->reason),
	};

	for (unsigned i = 0; i < s->c->n_workers; i++) {
		const struct capture_worker *cw = &s->c->per_worker[i];

		statistics.received += atomic_load_explicit(&cw->seen, memory_order_relaxed);
		statistics.accepted += atomic_load_explicit(&cw->accepted, memory_order_relaxed);
		statistics.lost += atomic_load_explicit(&cw->lost, memory_order_relaxed);
	}
	pcapng_put_statistics(&s->out, &statistics);
	LOG_INFO("port %s: capture for process %d ended: %llu packets, %llu lost", s->c->port_name,
		s->c->pid, (unsigned long long)s->written, (unsigned long long)statistics.lost);
}

/* --- the socket --------------------------------------------------------------------------------------------- */

static void
send_out(struct stream *s)
{
	size_t sent = 0;

	while (sent < s->out.len && !s->client_gone) {
		ssize_t n = send(s->c->socket, s->out.data + sent, s->out.len - sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			sent += (size_t)n;
			s->progress_ms = now_ms();
		} else if (errno == EAGAIN) {
			/* What is left moves to the front. */
			memmove(s->out.data, s->out.data + sent, s->out.len - sent);
			strbuf_truncate(&s->out, s->out.len - sent);
			return;
		} else if (errno != EINTR) {
			s->client_gone = true;
		}
	}
	strbuf_clear(&s->out);
}

static void
hear_client(struct stream *s, short events)
{
	char nothing[256];
	ssize_t n;

	if (events & (POLLHUP | POLLERR)) {
		s->client_gone = true;
	} else if (events & POLLIN) {
		n = recv(s->c->socket, nothing, sizeof nothing, MSG_DONTWAIT);
		if (n == 0) {
			s->client_done = true;
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			s->client_gone = true;
		}
	}
}

/* --- the loop ----------------------------------------------------------------------------------------------- */

/* Announces sleep to all workers. False: a record has come. */
static bool
announce_sleep(struct capture *c)
{
	for (unsigned i = 0; i < c->n_workers; i++) {
		if (!shm_ring_sleep(&c->per_worker[i].out)) {
			return false;
		}
	}
	return true;
}

static void
wait_for_work(struct stream *s, bool busy)
{
	bool waits = s->out.len;
	struct pollfd fds[2] = {
		{.fd = s->c->event_fd, .events = POLLIN},
		{.fd = s->client_gone ? -1 : s->c->socket,
			.events = (short)((s->client_done ? 0 : POLLIN) | (waits ? POLLOUT : 0))},
	};
	int timeout = -1;
	bool asleep = false;

	if (s->more && !waits) {
		timeout = 0;
	} else if (s->detached) {
		uint64_t end = s->progress_ms + CAPTURE_PATIENCE_MS, now = now_ms();

		timeout = now < end ? (int)(end - now) : 0;
	} else if (!waits || s->client_gone) {
		/* With bytes in the way there is nothing to do before the client takes them. */
		timeout = busy ? POLL_MS : -1;
		asleep = !busy;
	}
	if (!asleep || announce_sleep(s->c)) {
		(void)poll(fds, 2, timeout);
	}
	for (unsigned i = 0; i < s->c->n_workers; i++) {
		shm_ring_woken(&s->c->per_worker[i].out);
	}
	hear_client(s, fds[1].revents);
	if (s->detached && now_ms() >= s->progress_ms + CAPTURE_PATIENCE_MS) {
		s->client_gone = true;
	}
}

static void
ask_for_end(struct capture *c)
{
	uint64_t one = 1;

	if (!atomic_exchange(&c->wants_end, true) && write(c->news_fd, &one, sizeof one) < 0) {
		/* EAGAIN: told often enough. */
	}
}

/* Whether everything has been said. */
static bool
run(struct stream *s)
{
	bool busy;

	if (!s->detached && atomic_load_explicit(&s->c->detached, memory_order_acquire)) {
		s->detached = true;
		s->progress_ms = now_ms();
	}
	/* Asked before the rings are emptied: what is in them then is all there is. */
	busy = drain(s);
	if (s->detached && !s->ended && !s->more) {
		put_statistics(s);
		s->ended = true;
	}
	send_out(s);
	if (s->detached && (s->client_gone || (s->ended && !s->out.len))) {
		return true;
	}
	if (s->client_done || s->client_gone || is_full(s)) {
		ask_for_end(s->c);
	}
	wait_for_work(s, busy);
	return false;
}

static void
put_head(struct stream *s)
{
	char description[128];

	snprintf(description, sizeof description, "port %s of Weft's datapath", s->c->port_name);
	pcapng_put_section(&s->out, "weft " WEFT_VERSION);
	pcapng_put_interface(&s->out, &(struct pcapng_interface){
					      .name = s->c->port_name,
					      .description = description,
					      .filter = s->c->text,
					      .snaplen = s->c->snaplen,
				      });
}

void *
capture_thread(void *arg)
{
	struct capture *c = arg;
	struct stream s = {.c = c, .start_ns = clock_ns(CLOCK_REALTIME)};
	uint64_t one = 1;

	(void)pthread_setname_np(pthread_self(), "capture");
	put_head(&s);
	while (!run(&s)) {
	}
	shutdown(c->socket, SHUT_RDWR);
	strbuf_uninit(&s.out);
	atomic_store(&c->has_ended, true);
	if (write(c->news_fd, &one, sizeof one) < 0) {
		/* EAGAIN: told often enough. */
	}
	return NULL;
}
