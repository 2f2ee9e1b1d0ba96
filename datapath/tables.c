/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables thread.
 *
 * Order:  commands of one ring are executed in order, and answered in order but for deletes, which
 *         wait for the grace period, and executes, which their worker answers.
 * Sleep:  on one eventfd, which the agent kicks for command rings, workers for outboxes, and the ports
 *         thread for its requests. While something waits for a grace period it looks again each
 *         millisecond (workers that sleep are offline, others are quiescent in microseconds).
 */
#include "datapath/tables.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "datapath/rcu.h"
#include "datapath/tables_internal.h"
#include "datapath/worker.h"
#include "lib/alloc.h"

#define SPINS 64

struct tables tables = {.lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

static void *tables_main(void *unused);

uint64_t
tables_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int
tables_start(
	struct flow_table *table, const struct stats_region *stats, uint64_t instance, int event_fd)
{
	int rc;

	tables.table = table;
	tables.stats = stats;
	tables.instance = instance;
	tables.event_fd = event_fd;
	tables.stop = false;
	tables.last_epoch = 0;
	tables.n_purges_due = 0;
	tables.buffer = xaligned(64, DP_MAX_MESSAGE);
	contexts_init(&tables.contexts);
	list_init(&tables.barriers);
	rc = pthread_create(&tables.thread, NULL, tables_main, NULL);
	tables.started = !rc;
	return -rc;
}

/* --- requests of the ports thread ------------------------------------------------------------------------- */

static void
ask(enum request_kind kind)
{
	uint64_t one = 1;

	pthread_mutex_lock(&tables.lock);
	atomic_store(&tables.request, kind);
	if (write(tables.event_fd, &one, sizeof one) < 0) {
		/* EAGAIN: it is awake. */
	}
	while (atomic_load(&tables.request) != REQUEST_NONE) {
		pthread_cond_wait(&tables.answered, &tables.lock);
	}
	pthread_mutex_unlock(&tables.lock);
}

static void
answer(void)
{
	pthread_mutex_lock(&tables.lock);
	atomic_store(&tables.request, REQUEST_NONE);
	pthread_cond_signal(&tables.answered);
	pthread_mutex_unlock(&tables.lock);
}

void
tables_stop(void)
{
	if (tables.started) {
		ask(REQUEST_STOP);
		pthread_join(tables.thread, NULL);
		tables.started = false;
	}
	barriers_free();
	while (tables.closed) {
		struct session *s = tables.closed;

		tables.closed = s->next;
		session_free(s);
	}
	contexts_uninit(&tables.contexts);
	free(tables.buffer);
}

bool
tables_session_open(uint32_t n_handlers, uint64_t epoch, int stats_fd, struct session_offer *offer,
	struct weft_error *err)
{
	struct session *s =
		session_create(++tables.last_number, n_handlers, epoch, stats_fd, offer, err);

	if (!s) {
		return false;
	}
	tables.offered = s;
	ask(REQUEST_ATTACH);
	offer->next_context = tables.contexts.next;
	offer->last_epoch = tables.last_epoch;
	tables.last_epoch = epoch;
	return true;
}

void
tables_session_close(uint64_t number)
{
	tables.number = number;
	ask(REQUEST_DETACH);
}

void
tables_flush_port(uint16_t port)
{
	tables.port = port;
	ask(REQUEST_FLUSH);
}

void
tables_set_broken_handler(void (*broken)(uint64_t session))
{
	tables.broken = broken;
}

void
tables_read_counters(struct tables_counters *c)
{
	*c = (struct tables_counters){
		.commands = tables.commands,
		.bad_messages = tables.bad_messages,
		.executes = tables.executes,
		.sessions = tables.sessions,
		.n_contexts = tables.n_contexts,
		.connected = tables.connected,
	};
}

/* --- the loop ------------------------------------------------------------------------------------------------ */

static bool
run_outboxes(void)
{
	union {
		struct worker_done done;
		uint64_t align;
	} record;
	bool any = false;
	uint32_t kind;

	for (unsigned w = 0; w < workers.n; w++) {
		while (shm_ring_read(&workers.outbox_out[w], &record, sizeof record, &kind) >= 0) {
			const struct worker_done *done = &record.done;

			any = true;
			if (done->handler == UINT32_MAX) {
				tables.n_purges_due -= done->request == tables.purge_ticket;
			} else if (reply_ring(done->session, done->handler)) {
				reply_status(
					done->handler, DP_EXECUTE, done->request, done->status);
			}
		}
		shm_ring_release(&workers.outbox_out[w]);
	}
	return any;
}

static void
start_flush(void) WEFT_REQUIRES(weft_tables)
{
	struct worker_purge purge = {.port = tables.port, .ticket = ++tables.purge_ticket};

	flow_table_flush_port(tables.table, tables.port);
	tables.n_purges_due = 0;
	for (unsigned w = 0; w < workers.n; w++) {
		if (dp_send(&workers.inbox_in[w], WORKER_PURGE, &purge, sizeof purge, NULL, 0)) {
			tables.n_purges_due++;
		}
	}
}

/* Takes up and ends what the ports thread asked for. */
static bool
run_request(void) WEFT_REQUIRES(weft_tables)
{
	static bool flushing;

	switch ((enum request_kind)atomic_load(&tables.request)) {
	case REQUEST_NONE:
		return false;
	case REQUEST_ATTACH:
		session_attach(tables.offered);
		tables.offered = NULL;
		break;
	case REQUEST_DETACH:
		if (tables.session && tables.session->number == tables.number) {
			session_detach();
		}
		break;
	case REQUEST_FLUSH:
		if (!flushing) {
			start_flush();
			flushing = true;
			return true;
		}
		if (tables.n_purges_due) {
			return true;
		}
		flushing = false;
		break;
	case REQUEST_STOP:
		session_detach();
		tables.stop = true;
		break;
	}
	answer();
	return true;
}

static void
publish(void)
{
	for (unsigned w = 0; w < workers.n; w++) {
		shm_ring_publish(&workers.inbox_in[w]);
	}
	for (uint32_t h = 0; tables.session && h < tables.session->n_handlers; h++) {
		shm_ring_publish(&tables.session->handlers[h].replies);
	}
}

/* Announces sleep on all rings; false: something came. */
static bool
arm(void)
{
	bool quiet = true;

	for (uint32_t h = 0; tables.session && h < tables.session->n_handlers; h++) {
		struct handler *handler = &tables.session->handlers[h];

		quiet &= handler->stuck || shm_ring_sleep(&handler->commands);
	}
	for (unsigned w = 0; w < workers.n; w++) {
		quiet &= shm_ring_sleep(&workers.outbox_out[w]);
	}
	return quiet && atomic_load(&tables.request) == REQUEST_NONE;
}

static void
disarm(void)
{
	for (uint32_t h = 0; tables.session && h < tables.session->n_handlers; h++) {
		shm_ring_woken(&tables.session->handlers[h].commands);
	}
	for (unsigned w = 0; w < workers.n; w++) {
		shm_ring_woken(&workers.outbox_out[w]);
	}
}

static void *
tables_main(void *unused)
{
	unsigned spins = 0;

	(void)unused;
	weft_role_enter(weft_tables);
	pthread_setname_np(pthread_self(), "weft-tables");
	while (!tables.stop) {
		bool any = run_request(), waiting, stuck = false;

		for (uint32_t h = 0; tables.session && h < tables.session->n_handlers; h++) {
			any |= command_run(h);
			stuck |= tables.session->handlers[h].stuck;
		}
		barrier_check();
		any |= run_outboxes();
		publish();
		waiting = flow_command_reclaim(tables_now_ms());
		waiting |= object_command_reclaim();
		waiting |= barrier_answer();
		waiting |= session_free_closed();
		waiting |= tables.n_purges_due || stuck;
		publish();
		spins = any ? 0 : spins + 1;
		if (tables.stop || any || (waiting && spins < SPINS)) {
			continue;
		}
		if (arm()) {
			struct pollfd wake = {.fd = tables.event_fd, .events = POLLIN};

			poll(&wake, 1, waiting ? 1 : -1);
		}
		disarm();
	}
	weft_role_leave(weft_tables);
	return NULL;
}
