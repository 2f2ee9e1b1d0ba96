/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers.
 *
 * Place: the loop reads as the list rx, parse, cache, classify, act, tx; what stands between rx and tx is in
 *        forward.c, which queues a worker polls in worker_queues.c.
 */
#include "datapath/worker.h"

#include <errno.h>
#include <poll.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "datapath/action.h"
#include "datapath/bfd_session.h"
#include "datapath/capture.h"
#include "datapath/forward.h"
#include "datapath/offload.h"
#include "datapath/rcu.h"
#include "datapath/upcall.h"
#include "lib/alloc.h"
#include "lib/log.h"
#include "vhost/packet_mbuf.h"

WEFT_LOG_MODULE(worker);

#define MAX_DIRTY WEFT_ARRAY_SIZE(((struct worker *)0)->dirty)
#define POLL_MAX 512

struct workers workers;

static void flush_tx(struct worker *w);
static void take_messages(struct worker *w) WEFT_REQUIRES(weft_worker);
static void go_to_sleep(struct worker *w);

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Reads both clocks; worker_main() does so when the last reading is half a millisecond old. */
static void
update_time(struct worker *w)
{
	uint64_t tsc = rte_rdtsc();

	w->now_tsc = tsc;
	w->now_ms = clock_ms();
}

/* --- life ---------------------------------------------------------------------------------------------- */

static void *
ring_memory(uint32_t size)
{
	return xaligned(4096, SHM_RING_HEADER_SIZE + size);
}

static struct worker *
worker_create(unsigned id, unsigned core, uint32_t max_flows, int tables_event_fd)
{
	struct worker *w = xaligned(64, WEFT_ROUND_UP(sizeof *w, 64));
	uint32_t n_buckets = 1024;
	size_t size;
	void *memory;

	while (n_buckets < max_flows / 4) {
		n_buckets *= 2;
	}
	size = (size_t)n_buckets * sizeof w->cache.buckets[0];
	w->id = id;
	w->core = core;
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->cache.buckets =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->event_fd < 0 || w->cache.buckets == MAP_FAILED) {
		free(w);
		return NULL;
	}
	madvise(w->cache.buckets, size, MADV_HUGEPAGE);
	memset(w->cache.buckets, 0xff, size);
	w->cache.mask = n_buckets - 1;
	w->hz = rte_get_tsc_hz();
	w->park = park_create(id);
	w->inbox_buffer = xaligned(64, DP_MAX_MESSAGE);
	memory = ring_memory(WORKER_INBOX_SIZE);
	shm_ring_init_private(&workers.inbox_in[id], memory, WORKER_INBOX_SIZE, w->event_fd);
	w->inbox = workers.inbox_in[id];
	memory = ring_memory(WORKER_OUTBOX_SIZE);
	shm_ring_init_private(&workers.outbox_out[id], memory, WORKER_OUTBOX_SIZE, tables_event_fd);
	w->outbox = workers.outbox_out[id];
	memory = ring_memory(BFD_MADE_RING_SIZE);
	shm_ring_init_private(&workers.made_in[id], memory, BFD_MADE_RING_SIZE, w->event_fd);
	w->made = workers.made_in[id];
	memory = ring_memory(BFD_HEARD_RING_SIZE);
	shm_ring_init_private(
		&workers.heard_out[id], memory, BFD_HEARD_RING_SIZE, workers.heard_fd);
	w->heard = workers.heard_out[id];
	return w;
}

int
workers_create(unsigned n, const unsigned *cores, struct flow_table *table,
	const struct stats_region *stats, struct rte_mempool *pool, uint32_t max_flows,
	bool busy_poll, int tables_event_fd)
{
	/* Anywhere: the next datapath repeats no number of this one's soon. */
	uint32_t first_ip_id = (uint32_t)rte_rand();

	workers.heard_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (workers.heard_fd < 0) {
		return -errno;
	}
	for (unsigned i = 0; i < n; i++) {
		struct worker *w = worker_create(i, cores[i], max_flows, tables_event_fd);

		if (!w) {
			return -ENOMEM;
		}
		w->table = table;
		w->cache.flows = flow_table_slots(table);
		w->stats = stats;
		w->pool = pool;
		w->busy_poll = busy_poll;
		w->ip_id = first_ip_id + i;
		w->ip_id_step = n;
		workers.list[i] = w;
		workers.n = i + 1;
	}
	return 0;
}

void
workers_destroy(void)
{
	for (unsigned i = 0; i < workers.n; i++) {
		struct worker *w = workers.list[i];

		close(w->event_fd);
		munmap(w->cache.buckets, ((size_t)w->cache.mask + 1) * sizeof w->cache.buckets[0]);
		park_destroy(w->park);
		free(w->inbox_buffer);
		free(w->inbox.shared);
		free(w->outbox.shared);
		free(w->made.shared);
		free(w->heard.shared);
		free(w->rx);
		free(w);
	}
	workers.n = 0;
	close(workers.heard_fd);
}

void
workers_stop(void)
{
	for (unsigned i = 0; i < workers.n; i++) {
		atomic_store(&workers.list[i]->stop, true);
		worker_kick(workers.list[i]);
	}
}

void
worker_kick(struct worker *w)
{
	uint64_t one = 1;

	if (write(w->event_fd, &one, sizeof one) < 0) {
		/* EAGAIN: full of kicks already. */
	}
}

/* --- loop ------------------------------------------------------------------------------------------------ */

static unsigned poll_queue(struct worker *w, const struct rx_queue *rxq) WEFT_REQUIRES(weft_worker);

/* Polls a queue; again at once while it is full. */
static unsigned
poll_queue(struct worker *w, const struct rx_queue *rxq)
{
	struct port *port = rxq->port;
	struct port_worker *pw = &port->per_worker[w->id];
	struct packet *pkts[WORKER_BURST];
	unsigned total = 0;
	uint16_t n;

	do {
		n = port->provider->rx(port->dev, rxq->queue, pkts, WORKER_BURST);
		if (!n) {
			break;
		}
		total += n;
		forward_burst(w, port, pw, pkts, n);
	} while (n == WORKER_BURST && total < WORKER_MAX_BURST);
	return total;
}

int
worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t idle_limit = w->hz / 1000000 * WORKER_IDLE_US;

	weft_role_enter(weft_worker);
	port_thread_slot = w->id;
	rcu_register(w->id);
	rcu_online(w->id);
	update_time(w);
	w->idle_since = w->now_tsc;
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		const struct rx_list *rx = atomic_load_explicit(&w->rx, memory_order_acquire);
		uint64_t begin = rte_rdtsc();
		unsigned n = 0;

		if (begin - w->now_tsc > w->hz / 2000 || w->n_dirty) {
			update_time(w);
			park_expire(w);
		}
		take_messages(w);
		for (unsigned i = 0; rx && i < rx->n; i++) {
			n += poll_queue(w, &rx->queues[i]);
		}
		if (w->n_dirty) {
			flush_tx(w);
		}
		upcall_flush(w);
		rcu_quiescent(w->id);
		if (n) {
			w->idle_since = rte_rdtsc();
			counter_add(&w->busy_cycles, w->idle_since - begin);
			counter_add(&w->n_packets, n);
			counter_add(&w->n_bursts, 1);
		} else {
			uint64_t now = rte_rdtsc();

			counter_add(&w->idle_cycles, now - begin);
			if (now - w->idle_since > idle_limit && !w->busy_poll) {
				go_to_sleep(w);
			}
		}
	}
	park_purge(w, UINT32_MAX);
	flush_tx(w);
	rcu_offline(w->id);
	rcu_unregister(w->id);
	weft_role_leave(weft_worker);
	return 0;
}

/* --- sleep ----------------------------------------------------------------------------------------------- */

/* Withdraws the wish of the first @n queues to be woken. */
static void
wake_queues(const struct rx_list *rx, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct rx_queue *rxq = &rx->queues[i];

		if (rxq->port->provider->rx_woken) {
			rxq->port->provider->rx_woken(rxq->port->dev, rxq->queue);
		}
	}
}

/* Asks all queues for a wake-up. Returns how many descriptors there are to wait on, or -1. */
static int
arm_queues(struct worker *w, const struct rx_list *rx, struct pollfd *fds)
{
	int n_fds = 0;

	for (unsigned i = 0; rx && i < rx->n; i++) {
		const struct rx_queue *rxq = &rx->queues[i];
		int fd = rxq->port->provider->rx_sleep
				 ? rxq->port->provider->rx_sleep(rxq->port->dev, rxq->queue)
				 : -ENOTSUP;

		if (fd >= 0 && n_fds + 1 < POLL_MAX) {
			fds[n_fds++] = (struct pollfd){.fd = fd, .events = POLLIN};
			continue;
		}
		if (fd == -ENODEV) {
			continue;
		}
		if (fd == -ENOTSUP) {
			atomic_store_explicit(
				&w->awake_port, rxq->port->number, memory_order_relaxed);
			atomic_store_explicit(&w->awake_because, "a port that cannot notify",
				memory_order_relaxed);
		}
		wake_queues(rx, i + (fd >= 0));
		return -1;
	}
	return n_fds;
}

static void
go_to_sleep(struct worker *w)
{
	const struct rx_list *rx = atomic_load_explicit(&w->rx, memory_order_acquire);
	struct pollfd fds[POLL_MAX + 1];
	int n, timeout = park_due_ms(w);
	uint64_t kicks, asleep_at;

	n = arm_queues(w, rx, fds);
	if (n < 0) {
		w->idle_since = rte_rdtsc();
		return;
	}
	atomic_store_explicit(&w->awake_because, NULL, memory_order_relaxed);
	if (!shm_ring_sleep(&w->inbox)) {
		wake_queues(rx, rx ? rx->n : 0);
		return;
	}
	if (!shm_ring_sleep(&w->made)) {
		shm_ring_woken(&w->inbox);
		wake_queues(rx, rx ? rx->n : 0);
		return;
	}
	/* Pairs with the publication of a new list or stop, followed by a kick: the eventfd remembers
	 * a kick that comes between this look and poll(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&w->rx) == rx && !atomic_load(&w->stop)) {
		fds[n] = (struct pollfd){.fd = w->event_fd, .events = POLLIN};
		atomic_store(&w->asleep, true);
		counter_add(&w->n_sleeps, 1);
		rcu_offline(w->id);
		asleep_at = rte_rdtsc();
		poll(fds, (nfds_t)n + 1, timeout);
		counter_add(&w->idle_cycles, rte_rdtsc() - asleep_at);
		rcu_online(w->id);
		atomic_store(&w->asleep, false);
	}
	shm_ring_woken(&w->inbox);
	shm_ring_woken(&w->made);
	if (read(w->event_fd, &kicks, sizeof kicks) < 0) {
		/* EAGAIN: woken by a queue or the time. */
	}
	/* Only the list that is in force now names ports that still exist. */
	rx = atomic_load_explicit(&w->rx, memory_order_acquire);
	wake_queues(rx, rx ? rx->n : 0);
	update_time(w);
	park_expire(w);
	w->idle_since = w->now_tsc;
}

/* --- messages -------------------------------------------------------------------------------------------- */

static void
post_done(struct worker *w, uint64_t request, uint64_t session, uint32_t handler, int status)
{
	struct worker_done *done = shm_ring_reserve(&w->outbox, WORKER_DONE, sizeof *done);

	if (done) {
		*done = (struct worker_done){request, session, handler, status};
		shm_ring_publish(&w->outbox);
	}
}

static void execute(struct worker *w, const struct worker_execute *x) WEFT_REQUIRES(weft_worker);

static void
execute(struct worker *w, const struct worker_execute *x)
{
	const uint8_t *actions = (const uint8_t *)(x + 1), *data = actions + x->actions_size;
	uint16_t in_port = (uint16_t)(x->in_port == UINT32_MAX ? DP_PORT_MADE : x->in_port);
	struct flow_key key;
	struct packet *p;
	int status = 0;

	if (x->parked) {
		status = park_execute(
			w, x->parked, actions, x->actions_size, x->flags & DP_EXECUTE_KEEP);
	} else if (!(p = worker_make(w, data, x->data_len, in_port))) {
		status = -ENOMEM;
	} else {
		p->recirc_id = x->recirc_id;
		if (x->has_tunnel) {
			*packet_tunnel_open(p) = x->tunnel;
		}
		if (packet_parse(p, &key, PARSE_L4)) {
			p->recirc_id = 0;
			actions_run(w, p, NULL, actions, x->actions_size);
		} else {
			worker_drop(w, p, DROP_RX_TRUNCATED);
			status = -EINVAL;
		}
	}
	if (status || x->flags & DP_EXECUTE_REPLY) {
		post_done(w, x->request, x->session, x->handler, status);
	}
}

static bool send_made(struct worker *w) WEFT_REQUIRES(weft_worker);

/* Control packets of BFD: packets of their port, by the flow for what the port itself has made. */
static bool
send_made(struct worker *w)
{
	struct bfd_made *made = w->inbox_buffer;
	struct packet *p;
	uint32_t kind;
	bool any = false;

	while (shm_ring_read(&w->made, made, DP_MAX_MESSAGE, &kind) >= 0) {
		any = true;
		if (!port_find(made->port) || /* being removed */
			!(p = worker_make(w, made->frame, made->len, (uint16_t)made->port))) {
			continue;
		}
		worker_recirculate(w, &p, 1, DP_RECIRC_OWN);
		if (w->n_recirculating == WORKER_BURST) {
			forward_recirculated(w);
		}
	}
	if (any) {
		shm_ring_release(&w->made);
	}
	return any;
}

static void
take_messages(struct worker *w)
{
	uint32_t kind;
	bool any = false, made = send_made(w);

	while (shm_ring_read(&w->inbox, w->inbox_buffer, DP_MAX_MESSAGE, &kind) >= 0) {
		any = true;
		if (kind == WORKER_EXECUTE) {
			execute(w, w->inbox_buffer);
		} else if (kind == WORKER_PURGE) {
			const struct worker_purge *purge = w->inbox_buffer;

			park_purge(w, purge->port);
			post_done(w, purge->ticket, 0, UINT32_MAX, 0);
		}
	}
	if (any || made) {
		forward_recirculated(w);
		flush_tx(w);
	}
	if (any) {
		shm_ring_release(&w->inbox);
	}
}

/* --- tx ---------------------------------------------------------------------------------------------------- */

static void
flush_port(struct worker *w, struct port *port)
{
	struct port_worker *pw = &port->per_worker[w->id];
	const struct capture_set *captures;
	uint16_t n_txq = atomic_load_explicit(&port->n_txq, memory_order_relaxed);
	uint16_t queue = n_txq > 1 ? (uint16_t)(w->id % n_txq) : 0, sent;
	/* Also with a queue for each: the others may still go by an older number of queues. */
	bool locked = workers.n > 1;
	uint64_t bytes = 0;
	uint32_t n = pw->n_tx;

	if (!n) {
		return;
	}
	pw->n_tx = 0;
	pw->tx_noted = 0;
	captures = atomic_load_explicit(&port->capture_tx, memory_order_acquire);
	if (WEFT_UNLIKELY(captures)) {
		capture_sending(captures, w->id, queue, pw->tx, n);
	}
	if (locked) {
		rte_spinlock_lock(&port->tx_locks[queue]);
	}
	sent = port->provider->tx(port->dev, queue, pw->tx, (uint16_t)n);
	if (locked) {
		rte_spinlock_unlock(&port->tx_locks[queue]);
	}
	if (WEFT_UNLIKELY(captures)) {
		capture_sent(captures, w->id, sent);
	}
	for (uint32_t i = sent; i < n; i++) {
		bytes += pw->tx[i]->len;
		worker_free(pw->tx[i]);
	}
	counter_add(&pw->counters.tx_packets, sent - pw->tx_noted);
	counter_add(&pw->counters.tx_bytes, pw->tx_bytes - bytes);
	pw->tx_bytes = 0;
	if (WEFT_UNLIKELY(sent < n)) {
		counter_add(
			&pw->counters
				 .drops[atomic_load_explicit(&port->link_up, memory_order_relaxed)
						 ? DROP_TX_FULL
						 : DROP_TX_DOWN],
			n - sent);
	}
}

static void
flush_tx(struct worker *w)
{
	for (unsigned i = 0; i < w->n_dirty; i++) {
		flush_port(w, w->dirty[i]);
	}
	w->n_dirty = 0;
}

void
worker_output(struct worker *w, struct packet *p, uint32_t number)
{
	struct port *port = number < DP_PORT_MADE ? port_find(number) : NULL;
	struct port_worker *pw;

	if (WEFT_UNLIKELY(!port || atomic_load_explicit(&port->is_member, memory_order_relaxed))) {
		worker_drop(w, p, DROP_PORT_GONE);
		return;
	}
	pw = &port->per_worker[w->id];
	if (WEFT_UNLIKELY(!atomic_load_explicit(&port->admin_up, memory_order_relaxed))) {
		counter_add(&pw->counters.drops[DROP_TX_DOWN], 1);
		worker_free(p);
		return;
	}
	if (WEFT_UNLIKELY(p->len > atomic_load_explicit(&port->max_len, memory_order_relaxed)) &&
		offload_piece_len(p) > atomic_load_explicit(&port->max_len, memory_order_relaxed)) {
		counter_add(&pw->counters.drops[DROP_TX_TOO_LONG], 1);
		worker_free(p);
		return;
	}
	if (!pw->n_tx) {
		if (WEFT_UNLIKELY(w->n_dirty == MAX_DIRTY)) {
			flush_tx(w);
		}
		w->dirty[w->n_dirty++] = port;
	}
	pw->tx_bytes += p->len;
	pw->tx[pw->n_tx++] = p;
	if (WEFT_UNLIKELY(pw->n_tx == TX_BATCH)) {
		flush_port(w, port);
		/* It stays in the dirty list; an empty batch costs nothing there, but a second entry
		 * would: n_tx 0 adds it again. */
		for (unsigned i = w->n_dirty; i-- > 0;) {
			if (w->dirty[i] == port) {
				w->dirty[i] = w->dirty[--w->n_dirty];
				break;
			}
		}
	}
}
