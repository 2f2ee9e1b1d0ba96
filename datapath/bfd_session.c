/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: sessions and their thread.
 *
 * Timer: sessions stand in a heap by when they are due; the thread sleeps until the first is, with real-time priority
 *        where it may. What has been heard is taken up before anybody is found silent, so that a thread that comes
 *        late blames nobody for it.
 */
#include "datapath/bfd_session.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "datapath/port.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "lib/hmap.h"
#include "lib/log.h"

WEFT_LOG_MODULE(bfd);

/* Of what a session's packets may wait for the thread; more come from nobody who keeps to what was agreed. */
#define MAX_PENDING 16u
#define PRIORITY 10     /* of SCHED_FIFO, of 1 to 99 */
#define HIDDEN_US 5000u /* until a port that no worker sees yet is looked at again */

struct bfd_session {
	struct hmap_node node; /* by discriminator */
	struct port *port;
	uint32_t discr;
	_Atomic uint32_t n_pending; /* in rings; workers add, the thread takes off */
	/* Under the lock. */
	struct bfd bfd;
	struct bfd_frame_ends ends;
	size_t at; /* in the heap */
	uint64_t due;
};

/* A record of the ring to the thread. */
struct heard {
	uint32_t discr;
	struct bfd_packet packet;
};

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	bool runs;
	bool realtime;
	_Atomic bool stop;
	struct hmap by_discr;
	struct bfd_session **heap;
	size_t n, capacity;
} sessions;

static void *session_main(void *arg);

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Wakes the thread, to look at the heap again or to stop. */
static void
nudge(void)
{
	uint64_t one = 1;

	if (write(workers.heard_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: it has been told often enough. */
	}
}

/* --- the heap ------------------------------------------------------------------------------------ */

static void
put_at(struct bfd_session *s, size_t at)
{
	sessions.heap[at] = s;
	s->at = at;
}

/* Moves a session to where its time belongs. */
static void
sift(struct bfd_session *s)
{
	size_t at = s->at, child;

	for (; at && sessions.heap[(at - 1) / 2]->due > s->due; at = (at - 1) / 2) {
		put_at(sessions.heap[(at - 1) / 2], at);
	}
	while ((child = 2 * at + 1) < sessions.n) {
		if (child + 1 < sessions.n &&
			sessions.heap[child + 1]->due < sessions.heap[child]->due) {
			child++;
		}
		if (sessions.heap[child]->due >= s->due) {
			break;
		}
		put_at(sessions.heap[child], at);
		at = child;
	}
	put_at(s, at);
}

static void
heap_add(struct bfd_session *s)
{
	if (sessions.n == sessions.capacity) {
		sessions.capacity = 2 * sessions.capacity + 16;
		sessions.heap =
			xrealloc(sessions.heap, sessions.capacity * sizeof(sessions.heap[0]));
	}
	put_at(s, sessions.n++);
	sift(s);
}

static void
heap_remove(struct bfd_session *s)
{
	struct bfd_session *last = sessions.heap[--sessions.n];

	if (last != s) {
		put_at(last, s->at);
		sift(last);
	}
}

static void
reschedule(struct bfd_session *s)
{
	s->due = bfd_due(&s->bfd);
	sift(s);
}

/* --- the thread ------------------------------------------------------------------------------------ */

static void
send(struct bfd_session *s)
{
	unsigned w = s->port->number % workers.n;
	struct bfd_made *made =
		shm_ring_reserve(&workers.made_in[w], 0, (uint32_t)sizeof(*made) + BFD_FRAME_LEN);
	uint8_t packet[BFD_PACKET_LEN];

	if (!made) {
		return; /* a worker that stands still: as if it were lost */
	}
	made->port = s->port->number;
	made->len = BFD_FRAME_LEN;
	bfd_packet_write(&s->bfd, packet);
	bfd_frame_write(&s->ends, packet, made->frame);
	shm_ring_publish(&workers.made_in[w]);
}

/* Lets others see the state. */
static void
tell(struct bfd_session *s, unsigned before)
{
	bool is_down = !bfd_is_forwarding(&s->bfd);
	bool was_down = atomic_load_explicit(&s->port->path_down, memory_order_relaxed);

	if (is_down != was_down) {
		atomic_store_explicit(&s->port->path_down, is_down, memory_order_relaxed);
	}
	if (is_down != was_down || before != s->bfd.state) {
		port_core_event(s->port, PORT_EVENT_STATUS);
	}
}

static void
run_session(struct bfd_session *s, uint64_t now)
{
	unsigned before = s->bfd.state;

	if (!port_find(s->port->number)) { /* being made, or removed */
		s->due = now + HIDDEN_US;
		sift(s);
		return;
	}
	/* An answer and a poll may have to go, one by one. */
	for (unsigned i = 0; i < 2 && bfd_run(&s->bfd, now); i++) {
		send(s);
		bfd_sent(&s->bfd, now);
	}
	tell(s, before);
	reschedule(s);
}

static struct bfd_session *
find_session(uint32_t discr)
{
	struct bfd_session *s;

	HMAP_FOREACH_WITH_HASH (s, node, discr, &sessions.by_discr) {
		return s;
	}
	return NULL;
}

static void
hear(const struct heard *h)
{
	struct bfd_session *s = find_session(h->discr);
	unsigned before;

	if (!s) {
		return; /* closed meanwhile */
	}
	atomic_fetch_sub_explicit(&s->n_pending, 1, memory_order_relaxed);
	before = s->bfd.state;
	(void)bfd_receive(&s->bfd, &h->packet, now_us());
	tell(s, before);
	reschedule(s);
}

static void
hear_all(void)
{
	struct heard h;
	uint32_t kind;

	for (unsigned w = 0; w < workers.n; w++) {
		while (shm_ring_read(&workers.heard_out[w], &h, sizeof(h), &kind) >= 0) {
			hear(&h);
		}
		shm_ring_release(&workers.heard_out[w]);
	}
}

/* Announces sleep to all workers; false: one has something. */
static bool
may_sleep(void)
{
	bool ok = true;

	for (unsigned w = 0; w < workers.n; w++) {
		ok = shm_ring_sleep(&workers.heard_out[w]) && ok;
	}
	return ok;
}

static void
sleep_until(uint64_t due)
{
	struct pollfd fd = {.fd = workers.heard_fd, .events = POLLIN};
	uint64_t now = now_us(), left = due > now ? due - now : 0, kicks;
	struct timespec timeout = {
		.tv_sec = (time_t)(left / 1000000),
		.tv_nsec = (long)(left % 1000000 * 1000),
	};

	if (may_sleep() && left) {
		ppoll(&fd, 1, due == UINT64_MAX ? NULL : &timeout, NULL);
	}
	for (unsigned w = 0; w < workers.n; w++) {
		shm_ring_woken(&workers.heard_out[w]);
	}
	if (read(workers.heard_fd, &kicks, sizeof(kicks)) < 0) {
		/* EAGAIN: woken by the time. */
	}
}

static void *
session_main(void *arg)
{
	(void)arg;
	weft_role_enter(weft_liveness);
	prctl(PR_SET_TIMERSLACK, 1UL);
	while (!atomic_load(&sessions.stop)) {
		uint64_t due, now;

		pthread_mutex_lock(&sessions.lock);
		hear_all();
		now = now_us();
		while (sessions.n && sessions.heap[0]->due <= now) {
			run_session(sessions.heap[0], now);
		}
		due = sessions.n ? sessions.heap[0]->due : UINT64_MAX;
		pthread_mutex_unlock(&sessions.lock);
		sleep_until(due);
	}
	weft_role_leave(weft_liveness);
	return NULL;
}

static bool
start(struct weft_error *err)
{
	struct sched_param priority = {.sched_priority = PRIORITY};
	static bool has_told;
	sigset_t all, before;
	pthread_mutexattr_t attr;
	int rc;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&sessions.lock, &attr);
	pthread_mutexattr_destroy(&attr);
	hmap_init(&sessions.by_discr);
	atomic_store(&sessions.stop, false);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&sessions.thread, NULL, session_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc) {
		hmap_uninit(&sessions.by_discr);
		pthread_mutex_destroy(&sessions.lock);
		return weft_error_set(
			err, WEFT_ERR_SYSTEM, rc, "cannot start the BFD thread: %s", strerror(rc));
	}
	sessions.runs = true;
	pthread_setname_np(sessions.thread, "bfd");
	rc = pthread_setschedparam(sessions.thread, SCHED_FIFO, &priority);
	sessions.realtime = !rc;
	if (rc && !has_told) {
		has_told = true;
		LOG_WARN(
			"BFD has no real-time priority, and may find neighbours silent under load: %s",
			strerror(rc));
	}
	return true;
}

static void
stop(void)
{
	atomic_store(&sessions.stop, true);
	nudge();
	pthread_join(sessions.thread, NULL);
	sessions.runs = false;
	hmap_uninit(&sessions.by_discr);
	pthread_mutex_destroy(&sessions.lock);
	free(sessions.heap);
	sessions.heap = NULL;
	sessions.capacity = 0;
}

/* --- the ports thread ------------------------------------------------------------------------------ */

/* Not to be guessed: who does not see the packets cannot speak for the neighbour (s.6.8.1). Under the lock. */
static uint32_t
choose_discr(void)
{
	uint32_t discr;

	do {
		if (getrandom(&discr, sizeof(discr), 0) != sizeof(discr)) {
			discr = (uint32_t)(now_us() * 2654435761u);
		}
	} while (!discr || find_session(discr));
	return discr;
}

static void
take_ends(struct bfd_session *s, const struct bfd_frame_ends *ends)
{
	static const uint8_t none[6];

	s->ends = *ends;
	s->ends.src_port = (uint16_t)(49152 + s->discr % 16384); /* RFC 5881 s.4 */
	if (!memcmp(ends->src_mac, none, sizeof(none))) {
		s->ends.src_mac[0] = 0x02; /* of nobody's */
		memcpy(s->ends.src_mac + 2, &s->discr, sizeof(s->discr));
	}
}

struct bfd_session *
bfd_session_open(struct port *port, const struct bfd_session_config *config, struct weft_error *err)
{
	struct bfd_session *s;

	if (!sessions.runs && !start(err)) {
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->port = port;
	pthread_mutex_lock(&sessions.lock);
	s->discr = choose_discr();
	take_ends(s, &config->ends);
	bfd_init(&s->bfd, s->discr, &config->bfd, now_us());
	atomic_store(&port->path_down, true);
	hmap_insert(&sessions.by_discr, &s->node, s->discr);
	s->due = bfd_due(&s->bfd);
	heap_add(s);
	pthread_mutex_unlock(&sessions.lock);
	nudge();
	return s;
}

void
bfd_session_set(struct bfd_session *s, const struct bfd_session_config *config)
{
	unsigned before;

	pthread_mutex_lock(&sessions.lock);
	before = s->bfd.state;
	take_ends(s, &config->ends);
	bfd_configure(&s->bfd, &config->bfd, now_us());
	tell(s, before);
	reschedule(s);
	pthread_mutex_unlock(&sessions.lock);
	nudge();
}

void
bfd_session_close(struct bfd_session *s)
{
	bool is_last;

	if (!s) {
		return;
	}
	pthread_mutex_lock(&sessions.lock);
	heap_remove(s);
	hmap_remove(&sessions.by_discr, &s->node);
	is_last = sessions.n == 0;
	pthread_mutex_unlock(&sessions.lock);
	atomic_store(&s->port->path_down, false);
	free(s);
	if (is_last) {
		stop();
	}
}

static struct bfd
snapshot(struct bfd_session *s)
{
	struct bfd b;

	pthread_mutex_lock(&sessions.lock);
	b = s->bfd;
	pthread_mutex_unlock(&sessions.lock);
	return b;
}

json_t *
bfd_session_json(struct bfd_session *s)
{
	struct bfd b = snapshot(s);

	return json_pack(
		"{s:s, s:b, s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:f, s:b}",
		"state", bfd_state_name(b.state), "forwarding", bfd_is_forwarding(&b), "diagnostic",
		bfd_diag_name(b.diag), "remote_state", bfd_state_name(b.remote_state),
		"remote_diagnostic", bfd_diag_name(b.remote_diag), "mult", b.config.mult,
		"remote_mult", b.remote_mult, "discriminator", (json_int_t)b.local_discr,
		"remote_discriminator", (json_int_t)b.remote_discr, "tx_interval_ms",
		bfd_tx_interval_us(&b) / 1e3, "detection_ms", (double)bfd_detect_us(&b) / 1e3,
		"tx_packets", (json_int_t)b.n_tx, "rx_packets", (json_int_t)b.n_rx, "came_up",
		(json_int_t)b.n_up, "went_down", (json_int_t)b.n_down, "since_s",
		(double)(now_us() - b.state_since) / 1e6, "realtime", sessions.realtime);
}

void
bfd_session_text(struct bfd_session *s, char *text, uint32_t size)
{
	struct bfd b = snapshot(s);

	snprintf(text, size, "bfd %s%s%s", bfd_state_name(b.state), b.diag ? ", last: " : "",
		b.diag ? bfd_diag_name(b.diag) : "");
}

/* --- workers --------------------------------------------------------------------------------------- */

int
bfd_session_take(struct bfd_session *s, const struct packet *p)
{
	struct shm_ring *ring = &workers.list[port_thread_slot]->heard;
	struct heard *h, heard = {.discr = s->discr};

	if (!bfd_frame_parse(p->data, p->head_len, &heard.packet)) {
		return DROP_BFD_BAD;
	}
	if (heard.packet.your_discr && heard.packet.your_discr != s->discr) {
		return DROP_BFD_UNKNOWN;
	}
	if (atomic_fetch_add_explicit(&s->n_pending, 1, memory_order_relaxed) >= MAX_PENDING ||
		!(h = shm_ring_reserve(ring, 0, sizeof(*h)))) {
		atomic_fetch_sub_explicit(&s->n_pending, 1, memory_order_relaxed);
		return DROP_BFD_FLOOD;
	}
	*h = heard;
	shm_ring_publish(ring);
	return BFD_TAKEN;
}
