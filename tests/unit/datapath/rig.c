/* SPDX-License-Identifier: Apache-2.0
 *
 * Rig.
 */
#include "tests/unit/datapath/rig.h"

#include <errno.h>
#include <pthread.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "datapath/object.h"
#include "datapath/rcu.h"
#include "datapath/tunnel_options.h"
#include "datapath/upcall.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "vhost/packet_mbuf.h"

#define QUEUE_SIZE 4096u

struct flow_table *rig_table;
struct stats_region rig_stats;
static int tables_fd, stats_fd;
static pthread_t threads[DP_MAX_WORKERS];

uint64_t
rig_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
rig_nap(void)
{
	struct timespec nap = {0, 50000};

	nanosleep(&nap, NULL);
}

/* --- the datapath ---------------------------------------------------------------------------------------- */

static void *
run_worker(void *worker)
{
	worker_main(worker);
	return NULL;
}

void
rig_start(unsigned n_workers)
{
	unsigned cores[DP_MAX_WORKERS] = {0};

	tables_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(stats_region_create(&rig_stats, 7, n_workers,
				 RIG_MAX_FLOWS + OBJECT_PARTS_MAX, &stats_fd),
		0);
	assert_int_equal(objects_init(&rig_stats, RIG_MAX_FLOWS), 0);
	rig_table = flow_table_create(RIG_MAX_FLOWS, &rig_stats);
	assert_int_equal(rcu_init(), 0);
	rcu_register(RCU_READER_PORTS);
	assert_int_equal(port_init(n_workers), 0);
	assert_int_equal(workers_create(n_workers, cores, rig_table, &rig_stats, lab_pool,
				 RIG_MAX_FLOWS, false, tables_fd),
		0);
	assert_int_equal(tables_start(rig_table, &rig_stats, 7, tables_fd), 0);
	for (unsigned i = 0; i < n_workers; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, run_worker, workers.list[i]), 0);
	}
}

void
rig_sums(struct port_sums *sums)
{
	port_read_all(sums);
}

void
rig_assert_books(void)
{
	struct port_sums s;

	rig_sums(&s);
	assert_int_equal(s.parked, 0);
	assert_int_equal(s.rx_packets + s.made + s.copied, s.tx_packets + s.to_agent + s.dropped);
}

void
rig_stop(void)
{
	for (uint32_t n = 0; n <= DP_PORT_MAX; n++) {
		struct port *port = port_find(n);

		if (port) {
			rig_port_del(port);
		}
	}
	workers_stop();
	for (unsigned i = 0; i < workers.n; i++) {
		pthread_join(threads[i], NULL);
	}
	rig_assert_books();
	tables_stop();
	workers_destroy();
	port_uninit();
	rcu_unregister(RCU_READER_PORTS);
	flow_table_destroy(rig_table);
	objects_uninit();
	tunnel_options_uninit();
	stats_region_destroy(&rig_stats);
	close(stats_fd);
	close(tables_fd);
	assert_int_equal(lab_n_buffers(), 0);
}

/* --- ports ----------------------------------------------------------------------------------------------- */

struct queue {
	struct packet *pkts[QUEUE_SIZE];
	unsigned in, out;
	int event_fd;
	bool armed;
};

struct port_dev {
	pthread_mutex_t lock;
	struct port *port;
	uint16_t number, n_queues;
	bool deaf, cut;
	unsigned room, next;
	struct queue rx[4];
	struct queue tx; /* all queues' */
};

static struct rig_options wanted;

static struct port_dev *
fake_open(const struct port_config *config, struct weft_error *err)
{
	struct port_dev *dev = xcalloc(1, sizeof *dev);

	(void)err;
	pthread_mutex_init(&dev->lock, NULL);
	dev->port = config->port;
	dev->number = config->number;
	dev->n_queues = wanted.n_queues ? wanted.n_queues : 1;
	dev->deaf = wanted.deaf;
	dev->room = UINT32_MAX;
	for (unsigned q = 0; q < 4; q++) {
		dev->rx[q].event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	return dev;
}

static void
empty(struct queue *q)
{
	while (q->out != q->in) {
		lab_free(q->pkts[q->out++ % QUEUE_SIZE]);
	}
}

static void
fake_close(struct port_dev *dev)
{
	for (unsigned q = 0; q < 4; q++) {
		empty(&dev->rx[q]);
		close(dev->rx[q].event_fd);
	}
	empty(&dev->tx);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

static void
fake_status(struct port_dev *dev, struct port_status *status)
{
	status->link_up = !dev->cut;
	status->n_rxq = status->n_txq = dev->n_queues;
}

static uint16_t
fake_rx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	struct queue *q = &dev->rx[queue];
	uint16_t got = 0;

	pthread_mutex_lock(&dev->lock);
	while (got < n && q->out != q->in) {
		pkts[got++] = q->pkts[q->out++ % QUEUE_SIZE];
	}
	pthread_mutex_unlock(&dev->lock);
	return got;
}

static uint16_t
fake_tx(struct port_dev *dev, uint16_t queue, struct packet **pkts, uint16_t n)
{
	uint16_t sent = 0;

	(void)queue;
	pthread_mutex_lock(&dev->lock);
	while (sent < n && dev->room && dev->tx.in - dev->tx.out < QUEUE_SIZE) {
		dev->tx.pkts[dev->tx.in++ % QUEUE_SIZE] = pkts[sent++];
		dev->room -= dev->room != UINT32_MAX;
	}
	pthread_mutex_unlock(&dev->lock);
	return sent;
}

static int
fake_rx_sleep(struct port_dev *dev, uint16_t queue)
{
	struct queue *q = &dev->rx[queue];
	int fd = -EAGAIN;

	if (dev->deaf) {
		return -ENOTSUP;
	}
	pthread_mutex_lock(&dev->lock);
	if (q->in == q->out) {
		q->armed = true;
		fd = q->event_fd;
	}
	pthread_mutex_unlock(&dev->lock);
	return fd;
}

static void
fake_rx_woken(struct port_dev *dev, uint16_t queue)
{
	uint64_t n;

	pthread_mutex_lock(&dev->lock);
	dev->rx[queue].armed = false;
	if (read(dev->rx[queue].event_fd, &n, sizeof n) < 0) {
		/* not kicked */
	}
	pthread_mutex_unlock(&dev->lock);
}

static const struct port_provider fake = {
	.type = "fake",
	.can_join = true,
	.open = fake_open,
	.close = fake_close,
	.status = fake_status,
	.rx = fake_rx,
	.tx = fake_tx,
	.rx_sleep = fake_rx_sleep,
	.rx_woken = fake_rx_woken,
};

struct port *
rig_port_add(uint16_t number, const struct rig_options *options)
{
	struct port_config config = {.pool = lab_pool};
	struct port *port;
	char name[16];

	wanted = options ? *options : (struct rig_options){0};
	snprintf(name, sizeof name, "p%u", number);
	port = port_create(number, name, &fake, &config, NULL);
	assert_non_null(port);
	port_publish(port);
	return port;
}

void
rig_port_del(struct port *port)
{
	port_unpublish(port);
	tables_flush_port(port->number);
	port_destroy(port);
}

/* Puts packets into the next receive queue, all of them before the worker sees the first. */
static void
enqueue(struct port_dev *dev, struct packet **pkts, unsigned n)
{
	uint64_t one = 1;
	struct queue *q;

	pthread_mutex_lock(&dev->lock);
	q = &dev->rx[dev->next++ % dev->n_queues];
	for (unsigned i = 0; i < n; i++) {
		assert_true(q->in - q->out < QUEUE_SIZE);
		pkts[i]->in_port = dev->number;
		pkts[i]->rx_queue = (uint8_t)(q - dev->rx);
		q->pkts[q->in++ % QUEUE_SIZE] = pkts[i];
	}
	if (q->armed) {
		assert_int_equal(write(q->event_fd, &one, sizeof one), sizeof one);
	}
	pthread_mutex_unlock(&dev->lock);
}

void
rig_send_packet(struct port *port, struct packet *p)
{
	enqueue(port->dev, &p, 1);
}

void
rig_send_many(struct port *port, const uint8_t *frame, size_t len, unsigned n)
{
	struct packet *pkts[RIG_MANY];

	assert_true(n <= RIG_MANY);
	for (unsigned i = 0; i < n; i++) {
		pkts[i] = lab_packet(frame, len, port->dev->number, 0);
	}
	enqueue(port->dev, pkts, n);
}

void
rig_send(struct port *port, const uint8_t *frame, size_t len)
{
	rig_send_many(port, frame, len, 1);
}

unsigned
rig_n_waiting(struct port *port)
{
	unsigned n;

	pthread_mutex_lock(&port->dev->lock);
	n = port->dev->tx.in - port->dev->tx.out;
	pthread_mutex_unlock(&port->dev->lock);
	return n;
}

size_t
rig_receive(struct port *port, uint8_t *frame, size_t capacity)
{
	struct port_dev *dev = port->dev;
	struct packet *p;
	size_t len;

	rig_wait(rig_n_waiting(port));
	pthread_mutex_lock(&dev->lock);
	p = dev->tx.pkts[dev->tx.out++ % QUEUE_SIZE];
	pthread_mutex_unlock(&dev->lock);
	len = lab_bytes(p, frame, capacity);
	lab_free(p);
	return len;
}

void
rig_set_room(struct port *port, unsigned n)
{
	pthread_mutex_lock(&port->dev->lock);
	port->dev->room = n;
	pthread_mutex_unlock(&port->dev->lock);
}

void
rig_set_queues(struct port *port, uint16_t n)
{
	struct port_status status = {0};

	port->dev->n_queues = n;
	fake_status(port->dev, &status);
	port_refresh(port, &status);
}

void
rig_set_link(struct port *port, bool up)
{
	struct port_status status = {0};

	port->dev->cut = !up;
	fake_status(port->dev, &status);
	port_refresh(port, &status);
}

/* --- the agent ------------------------------------------------------------------------------------------- */

void
rig_agent_open(struct rig_agent *a, uint64_t epoch)
{
	struct weft_error err = WEFT_ERROR_INIT;
	int *fds = a->offer.fds;

	memset(a, 0, sizeof *a);
	assert_true(tables_session_open(1, epoch, stats_fd, &a->offer, &err));
	a->session = a->offer.number;
	a->n_workers = workers.n;
	a->tables_fd = fds[1];
	a->event_fd = fds[2];
	assert_int_equal(a->offer.n_fds, 5 + workers.n);
	assert_true(shm_ring_attach(&a->commands, fds[3], DP_RING_SIZE, a->tables_fd, &err));
	assert_true(shm_ring_attach(&a->replies, fds[4], DP_RING_SIZE, a->event_fd, &err));
	for (unsigned w = 0; w < workers.n; w++) {
		assert_true(shm_ring_attach(
			&a->upcalls[w], fds[5 + w], DP_UPCALL_RING_SIZE, a->event_fd, &err));
	}
	a->next_request = 100;
}

void
rig_agent_close(struct rig_agent *a, bool tell)
{
	if (tell) {
		tables_session_close(a->session);
	}
	shm_ring_detach(&a->commands);
	shm_ring_detach(&a->replies);
	for (unsigned w = 0; w < a->n_workers; w++) {
		shm_ring_detach(&a->upcalls[w]);
	}
	for (size_t i = 0; i < a->offer.n_fds; i++) {
		close(a->offer.fds[i]);
	}
}

void
rig_begin(struct port **ports, unsigned n_ports, struct rig_agent *a)
{
	rig_start(1);
	for (unsigned i = 1; i <= n_ports; i++) {
		ports[i] = rig_port_add((uint16_t)i, NULL);
	}
	rig_agent_open(a, 1);
}

void
rig_end(struct rig_agent *a)
{
	rig_assert_books();
	rig_agent_close(a, true);
	rig_stop();
}

uint32_t
rig_reply(struct rig_agent *a)
{
	struct weft_error err = WEFT_ERROR_INIT;
	uint32_t kind = 0;
	int len = -EAGAIN;

	do {
		rig_wait((len = shm_ring_read(&a->replies, a->buffer, sizeof a->buffer, &kind)) !=
			 -EAGAIN);
	} while (a->skip_executes && kind == DP_REPLY + DP_EXECUTE);
	assert_true(len >= 0);
	shm_ring_release(&a->replies);
	assert_true(dp_reply_decode(kind, a->buffer, (size_t)len, &a->msg, &err));
	return kind;
}

static int
read_upcall(struct rig_agent *a, unsigned worker, uint32_t *kind)
{
	int len = shm_ring_read(&a->upcalls[worker], a->buffer, sizeof a->buffer, kind);

	shm_ring_release(&a->upcalls[worker]);
	return len;
}

const struct dp_upcall *
rig_upcall(struct rig_agent *a, unsigned worker)
{
	struct weft_error err = WEFT_ERROR_INIT;
	uint32_t kind = 0;
	int len = -EAGAIN;

	rig_wait((len = read_upcall(a, worker, &kind)) != -EAGAIN);
	assert_true(len >= 0);
	assert_true(dp_upcall_decode(kind, a->buffer, (size_t)len, &a->msg, &err));
	return a->msg.body;
}

bool
rig_has_upcall(struct rig_agent *a, unsigned worker)
{
	return atomic_load(&a->upcalls[worker].shared->head) != a->upcalls[worker].own;
}

void
rig_actions(const char *text, struct dp_actions *list)
{
	struct weft_error err = WEFT_ERROR_INIT;

	dp_actions_init(list);
	if (!dp_actions_parse(text, strlen(text), list, &err)) {
		fail_msg("%s: %s", text, err.text);
	}
}

int
rig_put(struct rig_agent *a, const struct flow_key *key, uint8_t blocks,
	const struct flow_mask *mask, uint16_t flags, const char *actions, struct dp_handle *flow)
{
	const struct dp_flow_put_reply *reply;
	struct dp_actions list;

	rig_actions(actions, &list);
	assert_true(dp_send_flow_put(
		&a->commands, a->next_request, key, blocks, mask, flags, list.data, list.size));
	shm_ring_publish(&a->commands);
	dp_actions_uninit(&list);
	assert_int_equal(rig_reply(a), DP_REPLY + DP_FLOW_PUT);
	reply = a->msg.body;
	assert_int_equal(reply->reply.request, a->next_request);
	a->next_request++;
	if (flow) {
		*flow = reply->flow;
	}
	return reply->reply.status;
}

int
rig_del(struct rig_agent *a, struct dp_handle flow, struct flow_stats *final)
{
	struct dp_flow_del del = {.cmd.request = a->next_request, .flow = flow};
	const struct dp_flow_del_reply *reply;

	assert_true(dp_send(&a->commands, DP_FLOW_DEL, &del, sizeof del, NULL, 0));
	shm_ring_publish(&a->commands);
	assert_int_equal(rig_reply(a), DP_REPLY + DP_FLOW_DEL);
	reply = a->msg.body;
	assert_int_equal(reply->reply.request, a->next_request);
	a->next_request++;
	assert_int_equal(reply->flow.slot, flow.slot);
	assert_int_equal(reply->flow.gen, flow.gen);
	if (final) {
		*final = reply->final;
	}
	return reply->reply.status;
}

void
rig_execute(struct rig_agent *a, struct dp_parked parked, uint32_t flags, const char *actions)
{
	struct dp_execute head = {
		.cmd.request = a->next_request++, .parked = parked, .flags = flags};
	struct flow_key key = {0};
	struct dp_actions list;

	rig_actions(actions, &list);
	head.actions_size = (uint32_t)list.size;
	assert_true(dp_send_execute(&a->commands, &head, &key, list.data, NULL));
	shm_ring_publish(&a->commands);
	dp_actions_uninit(&list);
}

int
rig_execute_bytes(
	struct rig_agent *a, uint32_t in_port, const char *actions, const uint8_t *data, size_t len)
{
	struct dp_execute head = {
		.cmd.request = a->next_request, .in_port = in_port, .flags = DP_EXECUTE_REPLY};
	const struct dp_reply *reply;
	struct flow_key key = {0};
	struct dp_actions list;

	rig_actions(actions, &list);
	head.actions_size = (uint32_t)list.size;
	head.data_len = (uint32_t)len;
	assert_true(dp_send_execute(&a->commands, &head, &key, list.data, data));
	shm_ring_publish(&a->commands);
	dp_actions_uninit(&list);
	assert_int_equal(rig_reply(a), DP_REPLY + DP_EXECUTE);
	reply = a->msg.body;
	assert_int_equal(reply->request, a->next_request);
	a->next_request++;
	return reply->status;
}

void
rig_barrier(struct rig_agent *a)
{
	struct dp_barrier barrier = {.cmd.request = a->next_request};

	assert_true(dp_send(&a->commands, DP_BARRIER, &barrier, sizeof barrier, NULL, 0));
	shm_ring_publish(&a->commands);
	assert_int_equal(rig_reply(a), DP_REPLY + DP_BARRIER);
	assert_int_equal(((const struct dp_reply *)a->msg.body)->request, a->next_request++);
}

void
rig_mask(struct flow_mask *mask, ...)
{
	va_list fields;
	int id;

	memset(mask, 0, sizeof *mask);
	field_mask_exact(field_get(FIELD_IN_PORT), mask);
	field_mask_exact(field_get(FIELD_RECIRC_ID), mask);
	va_start(fields, mask);
	while ((id = va_arg(fields, int)) != FIELD_N) {
		field_mask_exact(field_get((enum field_id)id), mask);
	}
	va_end(fields);
}

struct dp_handle
rig_wire(struct rig_agent *a, uint16_t in_port, const char *actions)
{
	struct flow_key key = {.in_port = be32_from(in_port)};
	struct flow_mask mask;
	struct dp_handle flow;

	rig_mask(&mask, FIELD_N);
	assert_int_equal(rig_put(a, &key, FLOW_BLOCK(0), &mask, 0, actions, &flow), 0);
	return flow;
}
