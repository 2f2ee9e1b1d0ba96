/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/vhost/vhost_lab.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "vhost/packet_mbuf.h"

#define N_BUFFERS 4095u

char lab_directory[] = "/tmp/weft-vhost-XXXXXX";
char lab_path[128];
_Atomic unsigned lab_n_changes, lab_n_waits;
unsigned lab_n_dropped[DROP_N];
struct vhost_lab_worker lab_worker;
static struct rte_mempool *pool;

static void
remove_directory(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", lab_directory);
	if (system(command)) {
		perror(lab_directory);
	}
}

/* A test that fails ends the process without its exit handlers. */
static void
on_abort(int number)
{
	(void)number;
	remove_directory();
}

int
lab_start(void **state)
{
	char *args[] = {(char *)"unit", (char *)"--no-huge", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"--no-telemetry", (char *)"-m", (char *)"64",
		(char *)"--lcores", (char *)"0@0", (char *)"--log-level=lib.eal:error",
		(char *)"--log-level=lib.vhost.config:critical",
		(char *)"--log-level=lib.vhost.data:critical", NULL};
	cpu_set_t cpus;

	(void)state;
	setenv("CMOCKA_TEST_ABORT", "1", 0);
	if (!mkdtemp(lab_directory) || setenv("RUNTIME_DIRECTORY", lab_directory, 1)) {
		return -1;
	}
	atexit(remove_directory);
	signal(SIGABRT, on_abort);
	snprintf(lab_path, sizeof lab_path, "%s/sockets/a.sock", lab_directory);
	sched_getaffinity(0, sizeof cpus, &cpus);
	if (rte_eal_init((int)WEFT_ARRAY_SIZE(args) - 1, args) < 0) {
		fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
		return -1;
	}
	/* DPDK has pinned this thread; those that it starts inherit that. */
	sched_setaffinity(0, sizeof cpus, &cpus);
	pool = rte_pktmbuf_pool_create(
		"test", N_BUFFERS, 0, PACKET_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return pool ? 0 : -1;
}

void
lab_nap(void)
{
	struct timespec some = {0, 200000};

	nanosleep(&some, NULL);
}

void
lab_synchronize(void)
{
	uint64_t from = atomic_load(&lab_worker.round);

	atomic_fetch_add(&lab_n_waits, 1);
	/* The round that may hold the device now, and the whole of the next. */
	while (atomic_load(&lab_worker.runs) && atomic_load(&lab_worker.round) < from + 2) {
		sched_yield();
	}
}

static void
changed(void *user)
{
	(void)user;
	atomic_fetch_add(&lab_n_changes, 1);
}

static void
rx_dropped(void *user, unsigned reason, uint32_t n)
{
	(void)user;
	assert_true(reason < DROP_N);
	lab_n_dropped[reason] += n;
}

struct vhost_user_config
lab_config(unsigned n_pairs)
{
	return (struct vhost_user_config){.path = lab_path,
		.make_directory = true,
		.n_pairs = n_pairs,
		.mode = -1,
		.in_port = LAB_IN_PORT,
		.pool = pool,
		.synchronize = lab_synchronize,
		.changed = changed,
		.rx_dropped = rx_dropped};
}

struct vhost_user *
lab_open(unsigned n_pairs)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct vhost_user_config config = lab_config(n_pairs);
	struct vhost_user *v = vhost_user_open(&config, &err);

	assert_string_equal(err.text, "");
	assert_non_null(v);
	return v;
}

void
lab_close(struct vhost_user *v)
{
	vhost_user_close(v);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	assert_int_equal(access(lab_path, F_OK), -1);
}

void
lab_wait_for_guest(struct vhost_user *v, bool connected)
{
	struct vhost_user_status status;

	for (unsigned i = 0; i < LAB_WAIT_MS * 5; i++) {
		vhost_user_status(v, &status);
		if (status.connected == connected) {
			return;
		}
		lab_nap();
	}
	fail_msg("the guest did not %s", connected ? "come" : "go");
}

const uint8_t *
lab_frame(unsigned seed)
{
	static _Thread_local uint8_t frame[LAB_MAX_FRAME];

	for (unsigned i = 0; i < sizeof frame; i++) {
		frame[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
	}
	return frame;
}

void
lab_free(struct packet **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rte_pktmbuf_free(packet_mbuf(pkts[i]));
	}
}

void
lab_assert_received(struct vhost_user *v, uint16_t q, const uint8_t *frame, size_t len)
{
	uint8_t copy[LAB_MAX_FRAME];
	struct packet *p;

	assert_int_equal(vhost_user_rx(v, q, &p, 1), 1);
	assert_int_equal(p->len, len);
	assert_true(p->head_len >= WEFT_MIN(len, (size_t)PACKET_HEAD_MIN));
	assert_int_equal(p->in_port, LAB_IN_PORT);
	assert_int_equal(p->rx_queue, q);
	assert_int_equal(p->flags, 0);
	assert_true(p->headroom >= 64);
	assert_memory_equal(p->data, frame, p->head_len);
	assert_memory_equal(rte_pktmbuf_read(packet_mbuf(p), 0, p->len, copy), frame, len);
	lab_free(&p, 1);
}

struct packet *
lab_packet(const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *last = m;

	for (size_t off = 0; off < len;) {
		uint16_t n = (uint16_t)WEFT_MIN(len - off, (size_t)rte_pktmbuf_tailroom(last));

		memcpy(rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), frame + off, n);
		last->data_len = (uint16_t)(last->data_len + n);
		m->pkt_len += n;
		off += n;
		if (off < len) {
			last->next = rte_pktmbuf_alloc(pool);
			last = last->next;
			m->nb_segs++;
		}
	}
	packet_init_from_mbuf(packet_of_mbuf(m), m, 1, 0);
	return packet_of_mbuf(m);
}

void
lab_assert_sent(struct vhost_user *v, uint16_t q, struct guest *g, unsigned seed, size_t len)
{
	uint8_t got[LAB_MAX_FRAME];
	struct packet *p = lab_packet(lab_frame(seed), len);

	assert_int_equal(vhost_user_tx(v, q, &p, 1), 1);
	assert_int_equal(guest_receive(g, q, got, sizeof got), len);
	assert_memory_equal(got, lab_frame(seed), len);
}

void
lab_make_socket_directory(void)
{
	char *end = strrchr(lab_path, '/');

	*end = '\0';
	assert_true(!mkdir(lab_path, 0700) || errno == EEXIST);
	*end = '/';
}
