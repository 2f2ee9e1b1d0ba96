/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user devices, held against a guest that writes its rings by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/compiler.h"
#include "lib/drop_reason.h"
#include "lib/error.h"
#include "tests/unit/vhost/guest.h"
#include "vhost/packet_mbuf.h"
#include "vhost/vhost_user.h"

#define IN_PORT 7u
#define MAX_FRAME 65536u
#define N_BUFFERS 4095u
#define WAIT_MS 10000
#define N_KILLS 60u

static struct rte_mempool *pool;
static char directory[] = "/tmp/weft-vhost-XXXXXX";
static char path[128];
static _Atomic unsigned n_changes, n_waits;
static unsigned n_dropped[DROP_N];

/* A worker as the datapath's: online while it uses a device, quiescent after each round. */
static struct {
	pthread_t thread;
	_Atomic bool runs;
	_Atomic uint64_t round;
	struct vhost_user *device;
	_Atomic uint64_t n_received;
} worker;

/* --- set-up ------------------------------------------------------------------------------------------------ */

static void
remove_directory(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", directory);
	if (system(command)) {
		perror(directory);
	}
}

/* A test that fails ends the process without its exit handlers. */
static void
on_abort(int number)
{
	(void)number;
	remove_directory();
}

static int
start(void **state)
{
	char *args[] = {(char *)"unit", (char *)"--no-huge", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"--no-telemetry", (char *)"-m", (char *)"64",
		(char *)"--lcores", (char *)"0@0", (char *)"--log-level=lib.eal:error",
		(char *)"--log-level=lib.vhost.config:critical",
		(char *)"--log-level=lib.vhost.data:critical", NULL};
	cpu_set_t cpus;

	(void)state;
	setenv("CMOCKA_TEST_ABORT", "1", 0);
	if (!mkdtemp(directory) || setenv("RUNTIME_DIRECTORY", directory, 1)) {
		return -1;
	}
	atexit(remove_directory);
	signal(SIGABRT, on_abort);
	snprintf(path, sizeof path, "%s/sockets/a.sock", directory);
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

static void
nap(void)
{
	struct timespec some = {0, 200000};

	nanosleep(&some, NULL);
}

static void
synchronize(void)
{
	uint64_t from = atomic_load(&worker.round);

	atomic_fetch_add(&n_waits, 1);
	/* The round that may hold the device now, and the whole of the next. */
	while (atomic_load(&worker.runs) && atomic_load(&worker.round) < from + 2) {
		sched_yield();
	}
}

static void
changed(void *user)
{
	(void)user;
	atomic_fetch_add(&n_changes, 1);
}

static void
rx_dropped(void *user, unsigned reason, uint32_t n)
{
	(void)user;
	assert_true(reason < DROP_N);
	n_dropped[reason] += n;
}

static struct vhost_user_config
config_of(unsigned n_pairs)
{
	return (struct vhost_user_config){.path = path,
		.make_directory = true,
		.n_pairs = n_pairs,
		.mode = -1,
		.in_port = IN_PORT,
		.pool = pool,
		.synchronize = synchronize,
		.changed = changed,
		.rx_dropped = rx_dropped};
}

static struct vhost_user *
open_device(unsigned n_pairs)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct vhost_user_config config = config_of(n_pairs);
	struct vhost_user *v = vhost_user_open(&config, &err);

	assert_string_equal(err.text, "");
	assert_non_null(v);
	return v;
}

static void
close_device(struct vhost_user *v)
{
	vhost_user_close(v);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void
wait_for_guest(struct vhost_user *v, bool connected)
{
	struct vhost_user_status status;

	for (unsigned i = 0; i < WAIT_MS * 5; i++) {
		vhost_user_status(v, &status);
		if (status.connected == connected) {
			return;
		}
		nap();
	}
	fail_msg("the guest did not %s", connected ? "come" : "go");
}

static const uint8_t *
frame_of(unsigned seed)
{
	static _Thread_local uint8_t frame[MAX_FRAME];

	for (unsigned i = 0; i < sizeof frame; i++) {
		frame[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
	}
	return frame;
}

/* --- packets ----------------------------------------------------------------------------------------------- */

static void
free_packets(struct packet **pkts, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rte_pktmbuf_free(packet_mbuf(pkts[i]));
	}
}

static void
assert_received(struct vhost_user *v, uint16_t q, const uint8_t *frame, size_t len)
{
	uint8_t copy[MAX_FRAME];
	struct packet *p;

	assert_int_equal(vhost_user_rx(v, q, &p, 1), 1);
	assert_int_equal(p->len, len);
	assert_true(p->head_len >= WEFT_MIN(len, (size_t)PACKET_HEAD_MIN));
	assert_int_equal(p->in_port, IN_PORT);
	assert_int_equal(p->rx_queue, q);
	assert_int_equal(p->flags, 0);
	assert_true(p->headroom >= 64);
	assert_memory_equal(p->data, frame, p->head_len);
	assert_memory_equal(rte_pktmbuf_read(packet_mbuf(p), 0, p->len, copy), frame, len);
	free_packets(&p, 1);
}

static struct packet *
make_packet(const uint8_t *frame, size_t len)
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

static void
assert_sent(struct vhost_user *v, uint16_t q, struct guest *g, unsigned seed, size_t len)
{
	uint8_t got[MAX_FRAME];
	struct packet *p = make_packet(frame_of(seed), len);

	assert_int_equal(vhost_user_tx(v, q, &p, 1), 1);
	assert_int_equal(guest_receive(g, q, got, sizeof got), len);
	assert_memory_equal(got, frame_of(seed), len);
}

static void
test_vhost_carries_frames_of_every_length_byte_for_byte(void **state)
{
	static const uint16_t lengths[] = {
		1, 14, 60, 64, 255, 256, 257, 1514, 2036, 2037, 9000, 65000};
	struct vhost_user *v = open_device(1);
	struct guest g;

	(void)state;
	guest_connect(&g, path);
	guest_start(&g, 1, GUEST_FEATURES);
	wait_for_guest(v, true);
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(lengths); i++) {
		guest_send(&g, 0, frame_of(i), lengths[i]);
		assert_received(v, 0, frame_of(i), lengths[i]);
		assert_sent(v, 0, &g, i + 100, lengths[i]);
	}
	guest_kill(&g);
	close_device(v);
}

static void
test_vhost_refuses_offloads_and_keeps_mergeable_buffers_and_the_migration_log(void **state)
{
	/* VIRTIO 1.1 s.5.1.3: CSUM, GUEST_CSUM, GSO, GUEST_TSO4..UFO, HOST_TSO4..UFO */
	const uint64_t refused = 1u << 0 | 1u << 1 | 1u << 6 | 0xfu << 7 | 0xfu << 11;
	struct vhost_user *v = open_device(1);
	struct vhost_user_status status;
	struct guest g;

	(void)state;
	guest_connect(&g, path);
	guest_start(&g, 1, GUEST_FEATURES | refused);
	wait_for_guest(v, true);
	assert_int_equal(g.offered & refused, 0);
	assert_int_equal(g.offered & GUEST_F_MRG_RXBUF, GUEST_F_MRG_RXBUF);
	assert_int_equal(g.offered & GUEST_F_LOG_ALL, GUEST_F_LOG_ALL);
	/* One pair: no more can be asked for. */
	assert_int_equal(g.offered & GUEST_F_MQ, 0);
	vhost_user_status(v, &status);
	assert_int_equal(status.n_pairs, 1);
	assert_int_equal(status.features, g.features);
	guest_kill(&g);
	close_device(v);
}

static void
test_vhost_keeps_queue_pairs_apart(void **state)
{
	struct vhost_user *v = open_device(3);
	struct vhost_user_status status;
	struct packet *p;
	struct guest g;

	(void)state;
	guest_connect(&g, path);
	guest_start(&g, 3, GUEST_FEATURES);
	wait_for_guest(v, true);
	vhost_user_status(v, &status);
	assert_int_equal(status.n_pairs, 3);
	for (uint16_t q = 0; q < 3; q++) {
		guest_send(&g, q, frame_of(q), 60u + q);
	}
	for (uint16_t q = 3; q-- > 0;) {
		assert_received(v, q, frame_of(q), 60u + q);
		assert_int_equal(vhost_user_rx(v, q, &p, 1), 0);
		assert_sent(v, q, &g, q, 100);
	}
	guest_kill(&g);
	close_device(v);
}

static void
test_vhost_leaves_a_disabled_queue_alone(void **state)
{
	struct vhost_user *v = open_device(1);
	struct packet *p = make_packet(frame_of(0), 60), *got;
	struct vhost_user_status status;
	unsigned before;
	struct guest g;

	(void)state;
	guest_connect(&g, path);
	guest_start(&g, 1, GUEST_FEATURES);
	wait_for_guest(v, true);
	before = n_changes;
	guest_enable(&g, GUEST_TX(0), false);
	guest_enable(&g, GUEST_RX(0), false);
	assert_true(n_changes >= before + 2);
	vhost_user_status(v, &status);
	assert_int_equal(status.n_pairs, 0);
	guest_send(&g, 0, frame_of(1), 60);
	assert_int_equal(vhost_user_rx(v, 0, &got, 1), 0);
	assert_int_equal(vhost_user_tx(v, 0, &p, 1), 0);
	guest_enable(&g, GUEST_TX(0), true);
	guest_enable(&g, GUEST_RX(0), true);
	assert_received(v, 0, frame_of(1), 60);
	assert_int_equal(vhost_user_tx(v, 0, &p, 1), 1);
	guest_kill(&g);
	close_device(v);
}

static void
test_vhost_takes_what_fits_and_calls_once_a_burst(void **state)
{
	struct vhost_user *v = open_device(1);
	struct packet *pkts[GUEST_RING_SIZE];
	unsigned sent = 0, before, n;
	uint8_t frame[64];
	struct guest g;

	(void)state;
	guest_connect(&g, path);
	guest_start(&g, 1, GUEST_FEATURES);
	wait_for_guest(v, true);
	guest_calls(&g, GUEST_RX(0));
	for (unsigned i = 0; i < GUEST_RING_SIZE; i++) {
		pkts[i] = make_packet(frame_of(i), 60);
	}
	assert_int_equal(vhost_user_tx(v, 0, pkts, 32), 32);
	assert_int_equal(guest_calls(&g, GUEST_RX(0)), 1);
	sent = 32;
	do {
		before = sent;
		sent += vhost_user_tx(v, 0, pkts + sent, (uint16_t)(GUEST_RING_SIZE - sent));
	} while (sent > before);
	assert_int_equal(sent, GUEST_RING_SIZE);
	pkts[0] = make_packet(frame_of(0), 60);
	assert_int_equal(vhost_user_tx(v, 0, pkts, 1), 0);
	for (n = 0; guest_receive(&g, 0, frame, sizeof frame); n++) {
		assert_memory_equal(frame, frame_of(n), 60);
	}
	assert_int_equal(n, GUEST_RING_SIZE);
	assert_int_equal(vhost_user_tx(v, 0, pkts, 1), 1);
	guest_kill(&g);
	close_device(v);
}

static void
test_vhost_drops_a_frame_that_is_too_long(void **state)
{
	struct vhost_user *v = open_device(1);
	struct packet *p;
	struct guest g;

	(void)state;
	guest_connect(&g, path);
	guest_start(&g, 1, GUEST_FEATURES);
	wait_for_guest(v, true);
	n_dropped[DROP_RX_TOO_LONG] = 0;
	/* 40 times the same buffer, in one chain. */
	for (uint16_t i = 0; i < 40; i++) {
		guest_describe(&g, GUEST_TX(0), i, guest_address(g.rings[GUEST_TX(0)].buffers),
			GUEST_BUFFER_SIZE, i < 39 ? GUEST_DESC_NEXT : 0, (uint16_t)(i + 1));
	}
	guest_offer(&g, GUEST_TX(0), 0);
	assert_int_equal(vhost_user_rx(v, 0, &p, 1), 0);
	assert_int_equal(n_dropped[DROP_RX_TOO_LONG], 1);
	guest_kill(&g);
	close_device(v);
}

/* --- hostile guests ------------------------------------------------------------------------------------------ */

static void
spoil(struct guest *g, unsigned how)
{
	const uint64_t outside = g->memory_size + (1u << 20);
	struct guest_ring *r = &g->rings[GUEST_TX(0)];

	switch (how) {
	case 0: /* a chain that is a circle */
		guest_describe(
			g, GUEST_TX(0), 0, guest_address(r->buffers), 100, GUEST_DESC_NEXT, 1);
		guest_describe(
			g, GUEST_TX(0), 1, guest_address(r->buffers), 100, GUEST_DESC_NEXT, 0);
		break;
	case 1: /* a buffer that is nowhere */
		guest_describe(g, GUEST_TX(0), 0, outside, 100, 0, 0);
		break;
	case 2: /* one that ends behind the memory */
		guest_describe(g, GUEST_TX(0), 0, guest_address(g->memory_size - 50), 100, 0, 0);
		break;
	case 3: /* shorter than its header */
		guest_describe(g, GUEST_TX(0), 0, guest_address(r->buffers), 4, 0, 0);
		break;
	case 4: /* a head beyond the ring */
		guest_offer(g, GUEST_TX(0), 5000);
		break;
	case 5: /* a next one beyond the ring */
		guest_describe(
			g, GUEST_TX(0), 0, guest_address(r->buffers), 100, GUEST_DESC_NEXT, 9999);
		break;
	case 6: /* the longest buffer that can be written */
		guest_describe(g, GUEST_TX(0), 0, guest_address(r->buffers), UINT32_MAX, 0, 0);
		break;
	case 7: /* an address that overflows */
		guest_describe(g, GUEST_TX(0), 0, UINT64_MAX - 10, 100, 0, 0);
		break;
	default: /* more chains than the ring has */
		r->avail_idx = (uint16_t)(r->avail_idx + 40000);
		break;
	}
	guest_offer(g, GUEST_TX(0), 0);
	/* And nowhere to write to. */
	guest_describe(
		g, GUEST_RX(0), 0, how & 1 ? outside : UINT64_MAX - 5, 100, GUEST_DESC_WRITE, 0);
}

static void
test_vhost_survives_broken_rings_which_hurt_no_other_device(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct vhost_user_config config = config_of(1);
	struct vhost_user *v, *other;
	char other_path[160];
	struct guest bad, good;

	(void)state;
	snprintf(other_path, sizeof other_path, "%s/other.sock", directory);
	v = open_device(1);
	config.path = other_path;
	other = vhost_user_open(&config, &err);
	assert_non_null(other);
	guest_connect(&good, other_path);
	guest_start(&good, 1, GUEST_FEATURES);
	wait_for_guest(other, true);
	for (unsigned how = 0; how < 9; how++) {
		struct packet *pkts[32], *p = make_packet(frame_of(how), 60);

		guest_connect(&bad, path);
		guest_start(&bad, 1, GUEST_FEATURES);
		wait_for_guest(v, true);
		spoil(&bad, how);
		for (unsigned i = 0; i < 50; i++) {
			free_packets(pkts, vhost_user_rx(v, 0, pkts, WEFT_ARRAY_SIZE(pkts)));
		}
		if (!vhost_user_tx(v, 0, &p, 1)) {
			free_packets(&p, 1);
		}
		guest_send(&good, 0, frame_of(how), 70);
		assert_received(other, 0, frame_of(how), 70);
		assert_sent(other, 0, &good, how, 70);
		guest_kill(&bad);
		wait_for_guest(v, false);
	}
	guest_kill(&good);
	vhost_user_close(other);
	close_device(v);
}

static void
test_vhost_survives_garbage_on_its_socket(void **state)
{
	struct vhost_user *v = open_device(1);
	struct guest g;

	(void)state;
	for (unsigned seed = 0; seed < 20; seed++) {
		guest_connect(&g, path);
		assert_true(send(g.fd, frame_of(seed), 13 + seed * 7, MSG_NOSIGNAL) > 0);
		guest_kill(&g);
	}
	guest_connect(&g, path);
	guest_start(&g, 1, GUEST_FEATURES);
	wait_for_guest(v, true);
	guest_send(&g, 0, frame_of(1), 60);
	assert_received(v, 0, frame_of(1), 60);
	guest_kill(&g);
	close_device(v);
}

/* --- sleep -------------------------------------------------------------------------------------------------- */

static bool
is_readable(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	return poll(&readable, 1, 0) == 1;
}

static void
check_sleep(uint64_t features)
{
	struct vhost_user *v = open_device(1);
	struct packet *p;
	struct guest g;
	int fd;

	assert_int_equal(vhost_user_rx_sleep(v, 0), -ENODEV);
	vhost_user_rx_woken(v, 0);
	guest_connect(&g, path);
	guest_start(&g, 1, features);
	assert_int_equal(g.features & features & ~GUEST_F_MQ, features & ~GUEST_F_MQ);
	wait_for_guest(v, true);
	/* While it is polled nobody shall kick. */
	assert_false(guest_wants_notice(&g, GUEST_TX(0)));
	for (unsigned round = 0; round < 600; round++) {
		fd = vhost_user_rx_sleep(v, 0);
		assert_in_range(fd, 0, 1023);
		assert_true(guest_wants_notice(&g, GUEST_TX(0)));
		if (!round) {
			/* What the monitor kicked when it started. */
			vhost_user_rx_woken(v, 0);
			continue;
		}
		assert_false(is_readable(fd));
		guest_send(&g, 0, frame_of(round), 60);
		assert_true(is_readable(fd));
		vhost_user_rx_woken(v, 0);
		assert_false(is_readable(fd));
		assert_false(guest_wants_notice(&g, GUEST_TX(0)));
		assert_received(v, 0, frame_of(round), 60);
		/* One that came between the last poll and the sleep. */
		guest_send(&g, 0, frame_of(round + 1), 60);
		assert_int_equal(vhost_user_rx_sleep(v, 0), -EAGAIN);
		assert_false(guest_wants_notice(&g, GUEST_TX(0)));
		assert_received(v, 0, frame_of(round + 1), 60);
		assert_int_equal(vhost_user_rx(v, 0, &p, 1), 0);
	}
	/* What sleep has taken is not lost by the guest's end, nor by the port's. */
	guest_send(&g, 0, frame_of(5), 60);
	assert_int_equal(vhost_user_rx_sleep(v, 0), -EAGAIN);
	guest_kill(&g);
	wait_for_guest(v, false);
	close_device(v);
}

static void
test_vhost_asks_for_a_kick_only_while_it_sleeps(void **state)
{
	(void)state;
	check_sleep(GUEST_FEATURES);
}

static void
test_vhost_asks_for_a_kick_only_while_it_sleeps_packed(void **state)
{
	(void)state;
	check_sleep(GUEST_FEATURES | GUEST_F_RING_PACKED);
}

/* --- socket files --------------------------------------------------------------------------------------------- */

static void
assert_refused(const struct vhost_user_config *config, int code, const char *text)
{
	struct weft_error err = WEFT_ERROR_INIT;

	assert_null(vhost_user_open(config, &err));
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, text));
}

/* For tests that listen before any device was opened there. */
static void
make_socket_directory(void)
{
	char *end = strrchr(path, '/');

	*end = '\0';
	assert_true(!mkdir(path, 0700) || errno == EEXIST);
	*end = '/';
}

static void
test_vhost_takes_over_a_stale_socket_only(void **state)
{
	struct vhost_user_config config = config_of(1);
	struct vhost_user *v;
	struct stat status;
	int fd;

	(void)state;
	make_socket_directory();
	/* A live one. */
	fd = guest_listen(path);
	assert_refused(&config, EADDRINUSE, "somebody listens on");
	/* The same, dead. */
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	v = open_device(1);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
	/* Our own is a live one too. */
	assert_refused(&config, EADDRINUSE, "somebody listens on");
	close_device(v);
	/* Something else. */
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "keep", 4), 4);
	close(fd);
	assert_refused(&config, EEXIST, "is not a socket");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 4);
	unlink(path);
}

static void
test_vhost_gives_the_socket_its_mode_and_owner(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct vhost_user_config config = config_of(1);
	struct vhost_user *v;
	struct stat status;

	(void)state;
	config.mode = 0600;
	v = vhost_user_open(&config, &err);
	assert_non_null(v);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	close_device(v);
	config.owner = "nobody-of-that-name";
	assert_refused(&config, ENOENT, "no user");
	assert_int_equal(access(path, F_OK), -1);
}

static void
test_vhost_refuses_a_path_that_no_socket_can_have(void **state)
{
	struct vhost_user_config config = config_of(1);
	char name[sizeof directory + 130];

	(void)state;
	snprintf(name, sizeof name, "%s/%0120d", directory, 0);
	config.path = name;
	assert_refused(&config, ENAMETOOLONG, "longer than 107");
	config.client = true;
	assert_refused(&config, ENAMETOOLONG, "longer than 107");
	/* The directory cannot be made where there is a file. */
	config = config_of(1);
	config.path = "/dev/null/a.sock";
	assert_refused(&config, ENOTDIR, "/dev/null");
}

/* --- guests that go ---------------------------------------------------------------------------------------- */

static void
test_vhost_as_a_client_connects_again(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct vhost_user_config config = config_of(1);
	struct vhost_user *v;
	struct guest g;
	int fd;

	(void)state;
	make_socket_directory();
	config.client = true;
	v = vhost_user_open(&config, &err); /* there is nobody yet */
	assert_non_null(v);
	for (unsigned i = 0; i < 2; i++) {
		fd = guest_listen(path);
		guest_accept(&g, fd);
		close(fd);
		unlink(path);
		guest_start(&g, 1, GUEST_FEATURES);
		wait_for_guest(v, true);
		guest_send(&g, 0, frame_of(i), 60);
		assert_received(v, 0, frame_of(i), 60);
		assert_sent(v, 0, &g, i, 60);
		guest_kill(&g);
		wait_for_guest(v, false);
	}
	close_device(v);
}

static void
test_vhost_follows_a_driver_that_restarts(void **state)
{
	struct vhost_user *v = open_device(1);
	struct packet *p;
	struct guest g;

	(void)state;
	guest_connect(&g, path);
	guest_start(&g, 1, GUEST_FEATURES);
	wait_for_guest(v, true);
	for (unsigned i = 0; i < 3; i++) {
		guest_send(&g, 0, frame_of(i), 60);
		assert_received(v, 0, frame_of(i), 60);
	}
	/* VIRTIO's reset, as a monitor tells of it: the device has no ring then. */
	assert_int_equal(guest_stop_ring(&g, GUEST_RX(0)), 0);
	assert_int_equal(guest_stop_ring(&g, GUEST_TX(0)), 3);
	guest_sync(&g);
	wait_for_guest(v, false);
	assert_int_equal(vhost_user_rx(v, 0, &p, 1), 0);
	guest_kill(&g);
	close_device(v);
}

static void
test_vhost_closes_under_a_guest(void **state)
{
	struct vhost_user *v = open_device(1);
	unsigned before;
	struct guest g;
	char byte;

	(void)state;
	guest_connect(&g, path);
	guest_start(&g, 1, GUEST_FEATURES);
	wait_for_guest(v, true);
	guest_send(&g, 0, frame_of(0), 60);
	before = n_waits;
	close_device(v);
	/* Before the guest's memory went. */
	assert_int_equal(n_waits, before + 1);
	assert_int_equal(recv(g.fd, &byte, 1, 0), 0);
	guest_kill(&g);
}

/* Sends back what comes, or else something of its own: it is in rte_vhost's functions all the time. */
static void *
work(void *arg)
{
	struct packet *pkts[32];

	while (atomic_load(&worker.runs)) {
		uint16_t n = vhost_user_rx(worker.device, 0, pkts, WEFT_ARRAY_SIZE(pkts)), sent;

		atomic_fetch_add(&worker.n_received, n);
		if (!n) {
			pkts[n++] = make_packet(frame_of(0), 200);
		}
		sent = vhost_user_tx(worker.device, 0, pkts, n);
		free_packets(pkts + sent, n - sent);
		atomic_fetch_add(&worker.round, 1);
	}
	return arg;
}

static unsigned
count_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++) {
		n += fcntl(fd, F_GETFD) >= 0;
	}
	return n;
}

/* Guests that are killed, that disable their queues, and that stop their rings, while a worker is busy
 * with them. */
static void
test_vhost_loses_nothing_but_the_guest_when_it_goes_under_traffic(void **state)
{
	struct vhost_user *v = open_device(1);
	unsigned n_fds = count_descriptors();
	uint8_t frame[256];
	struct guest g;

	(void)state;
	worker.device = v;
	atomic_store(&worker.runs, true);
	assert_int_equal(pthread_create(&worker.thread, NULL, work, NULL), 0);
	for (unsigned i = 0; i < N_KILLS; i++) {
		uint64_t from = atomic_load(&worker.n_received);

		guest_connect(&g, path);
		guest_start(&g, 1, GUEST_FEATURES);
		for (unsigned k = 0; k < 200; k++) {
			guest_send(&g, 0, frame_of(k), 200);
			guest_receive(&g, 0, frame, sizeof frame);
		}
		if (i % 3 == 1) {
			guest_enable(&g, GUEST_TX(0), false);
			guest_enable(&g, GUEST_RX(0), false);
		} else if (i % 3 == 2) {
			(void)guest_stop_ring(&g, GUEST_RX(0));
			(void)guest_stop_ring(&g, GUEST_TX(0));
		}
		guest_kill(&g);
		wait_for_guest(v, false);
		synchronize();
		assert_true(atomic_load(&worker.n_received) <= from + 200);
	}
	atomic_store(&worker.runs, false);
	pthread_join(worker.thread, NULL);
	assert_true(atomic_load(&worker.n_received) > 0);
	/* The device has gone when rte_vhost says so; its thread closes the descriptors right after. */
	for (unsigned i = 0; i < WAIT_MS * 5 && count_descriptors() != n_fds; i++) {
		nap();
	}
	assert_int_equal(count_descriptors(), n_fds);
	close_device(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vhost_carries_frames_of_every_length_byte_for_byte),
		cmocka_unit_test(
			test_vhost_refuses_offloads_and_keeps_mergeable_buffers_and_the_migration_log),
		cmocka_unit_test(test_vhost_keeps_queue_pairs_apart),
		cmocka_unit_test(test_vhost_leaves_a_disabled_queue_alone),
		cmocka_unit_test(test_vhost_takes_what_fits_and_calls_once_a_burst),
		cmocka_unit_test(test_vhost_drops_a_frame_that_is_too_long),
		cmocka_unit_test(test_vhost_survives_broken_rings_which_hurt_no_other_device),
		cmocka_unit_test(test_vhost_survives_garbage_on_its_socket),
		cmocka_unit_test(test_vhost_asks_for_a_kick_only_while_it_sleeps),
		cmocka_unit_test(test_vhost_asks_for_a_kick_only_while_it_sleeps_packed),
		cmocka_unit_test(test_vhost_takes_over_a_stale_socket_only),
		cmocka_unit_test(test_vhost_gives_the_socket_its_mode_and_owner),
		cmocka_unit_test(test_vhost_refuses_a_path_that_no_socket_can_have),
		cmocka_unit_test(test_vhost_as_a_client_connects_again),
		cmocka_unit_test(test_vhost_follows_a_driver_that_restarts),
		cmocka_unit_test(test_vhost_closes_under_a_guest),
		cmocka_unit_test(test_vhost_loses_nothing_but_the_guest_when_it_goes_under_traffic),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
