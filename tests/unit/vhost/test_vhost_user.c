/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user devices: packets, sleep, sockets; held against a guest that writes its rings by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "tests/unit/vhost/vhost_lab.h"

static void
test_vhost_carries_frames_of_every_length_byte_for_byte(void **state)
{
	static const uint16_t lengths[] = {
		1, 14, 60, 64, 255, 256, 257, 1514, 2036, 2037, 9000, 65000};
	struct vhost_user *v = lab_open(1);
	struct guest g;

	(void)state;
	guest_connect(&g, lab_path);
	guest_start(&g, 1, GUEST_FEATURES);
	lab_wait_for_guest(v, true);
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(lengths); i++) {
		guest_send(&g, 0, lab_frame(i), lengths[i]);
		lab_assert_received(v, 0, lab_frame(i), lengths[i]);
		lab_assert_sent(v, 0, &g, i + 100, lengths[i]);
	}
	guest_kill(&g);
	lab_close(v);
}

static void
test_vhost_refuses_offloads_and_keeps_mergeable_buffers_and_the_migration_log(void **state)
{
	/* VIRTIO 1.1 s.5.1.3: CSUM, GUEST_CSUM, GSO, GUEST_TSO4..UFO, HOST_TSO4..UFO */
	const uint64_t refused = 1u << 0 | 1u << 1 | 1u << 6 | 0xfu << 7 | 0xfu << 11;
	struct vhost_user *v = lab_open(1);
	struct vhost_user_status status;
	struct guest g;

	(void)state;
	guest_connect(&g, lab_path);
	guest_start(&g, 1, GUEST_FEATURES | refused);
	lab_wait_for_guest(v, true);
	assert_int_equal(g.offered & refused, 0);
	assert_int_equal(g.offered & GUEST_F_MRG_RXBUF, GUEST_F_MRG_RXBUF);
	assert_int_equal(g.offered & GUEST_F_LOG_ALL, GUEST_F_LOG_ALL);
	/* One pair: no more can be asked for. */
	assert_int_equal(g.offered & GUEST_F_MQ, 0);
	vhost_user_status(v, &status);
	assert_int_equal(status.n_pairs, 1);
	assert_int_equal(status.features, g.features);
	guest_kill(&g);
	lab_close(v);
}

static void
test_vhost_keeps_queue_pairs_apart(void **state)
{
	struct vhost_user *v = lab_open(3);
	struct vhost_user_status status;
	struct packet *p;
	struct guest g;

	(void)state;
	guest_connect(&g, lab_path);
	guest_start(&g, 3, GUEST_FEATURES);
	lab_wait_for_guest(v, true);
	vhost_user_status(v, &status);
	assert_int_equal(status.n_pairs, 3);
	for (uint16_t q = 0; q < 3; q++) {
		guest_send(&g, q, lab_frame(q), 60u + q);
	}
	for (uint16_t q = 3; q-- > 0;) {
		lab_assert_received(v, q, lab_frame(q), 60u + q);
		assert_int_equal(vhost_user_rx(v, q, &p, 1), 0);
		lab_assert_sent(v, q, &g, q, 100);
	}
	guest_kill(&g);
	lab_close(v);
}

static void
test_vhost_leaves_a_disabled_queue_alone(void **state)
{
	struct vhost_user *v = lab_open(1);
	struct packet *p = lab_packet(lab_frame(0), 60), *got;
	struct vhost_user_status status;
	unsigned before;
	struct guest g;

	(void)state;
	guest_connect(&g, lab_path);
	guest_start(&g, 1, GUEST_FEATURES);
	lab_wait_for_guest(v, true);
	before = lab_n_changes;
	guest_enable(&g, GUEST_TX(0), false);
	guest_enable(&g, GUEST_RX(0), false);
	assert_true(lab_n_changes >= before + 2);
	vhost_user_status(v, &status);
	assert_int_equal(status.n_pairs, 0);
	guest_send(&g, 0, lab_frame(1), 60);
	assert_int_equal(vhost_user_rx(v, 0, &got, 1), 0);
	assert_int_equal(vhost_user_tx(v, 0, &p, 1), 0);
	guest_enable(&g, GUEST_TX(0), true);
	guest_enable(&g, GUEST_RX(0), true);
	lab_assert_received(v, 0, lab_frame(1), 60);
	assert_int_equal(vhost_user_tx(v, 0, &p, 1), 1);
	guest_kill(&g);
	lab_close(v);
}

static void
test_vhost_takes_what_fits_and_calls_once_a_burst(void **state)
{
	struct vhost_user *v = lab_open(1);
	struct packet *pkts[GUEST_RING_SIZE];
	unsigned sent = 0, before, n;
	uint8_t frame[64];
	struct guest g;

	(void)state;
	guest_connect(&g, lab_path);
	guest_start(&g, 1, GUEST_FEATURES);
	lab_wait_for_guest(v, true);
	guest_calls(&g, GUEST_RX(0));
	for (unsigned i = 0; i < GUEST_RING_SIZE; i++) {
		pkts[i] = lab_packet(lab_frame(i), 60);
	}
	assert_int_equal(vhost_user_tx(v, 0, pkts, 32), 32);
	assert_int_equal(guest_calls(&g, GUEST_RX(0)), 1);
	sent = 32;
	do {
		before = sent;
		sent += vhost_user_tx(v, 0, pkts + sent, (uint16_t)(GUEST_RING_SIZE - sent));
	} while (sent > before);
	assert_int_equal(sent, GUEST_RING_SIZE);
	pkts[0] = lab_packet(lab_frame(0), 60);
	assert_int_equal(vhost_user_tx(v, 0, pkts, 1), 0);
	for (n = 0; guest_receive(&g, 0, frame, sizeof frame); n++) {
		assert_memory_equal(frame, lab_frame(n), 60);
	}
	assert_int_equal(n, GUEST_RING_SIZE);
	assert_int_equal(vhost_user_tx(v, 0, pkts, 1), 1);
	guest_kill(&g);
	lab_close(v);
}

static void
test_vhost_drops_a_frame_that_is_too_long(void **state)
{
	struct vhost_user *v = lab_open(1);
	struct packet *p;
	struct guest g;

	(void)state;
	guest_connect(&g, lab_path);
	guest_start(&g, 1, GUEST_FEATURES);
	lab_wait_for_guest(v, true);
	lab_n_dropped[DROP_RX_TOO_LONG] = 0;
	/* 40 times the same buffer, in one chain. */
	for (uint16_t i = 0; i < 40; i++) {
		guest_describe(&g, GUEST_TX(0), i, guest_address(g.rings[GUEST_TX(0)].buffers),
			GUEST_BUFFER_SIZE, i < 39 ? GUEST_DESC_NEXT : 0, (uint16_t)(i + 1));
	}
	guest_offer(&g, GUEST_TX(0), 0);
	assert_int_equal(vhost_user_rx(v, 0, &p, 1), 0);
	assert_int_equal(lab_n_dropped[DROP_RX_TOO_LONG], 1);
	guest_kill(&g);
	lab_close(v);
}

static bool
is_readable(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	return poll(&readable, 1, 0) == 1;
}

static void
check_sleep(uint64_t features)
{
	struct vhost_user *v = lab_open(1);
	struct packet *p;
	struct guest g;
	int fd;

	assert_int_equal(vhost_user_rx_sleep(v, 0), -ENODEV);
	vhost_user_rx_woken(v, 0);
	guest_connect(&g, lab_path);
	guest_start(&g, 1, features);
	assert_int_equal(g.features & features & ~GUEST_F_MQ, features & ~GUEST_F_MQ);
	lab_wait_for_guest(v, true);
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
		guest_send(&g, 0, lab_frame(round), 60);
		assert_true(is_readable(fd));
		vhost_user_rx_woken(v, 0);
		assert_false(is_readable(fd));
		assert_false(guest_wants_notice(&g, GUEST_TX(0)));
		lab_assert_received(v, 0, lab_frame(round), 60);
		/* One that came between the last poll and the sleep. */
		guest_send(&g, 0, lab_frame(round + 1), 60);
		assert_int_equal(vhost_user_rx_sleep(v, 0), -EAGAIN);
		assert_false(guest_wants_notice(&g, GUEST_TX(0)));
		lab_assert_received(v, 0, lab_frame(round + 1), 60);
		assert_int_equal(vhost_user_rx(v, 0, &p, 1), 0);
	}
	/* What sleep has taken is not lost by the guest's end, nor by the port's. */
	guest_send(&g, 0, lab_frame(5), 60);
	assert_int_equal(vhost_user_rx_sleep(v, 0), -EAGAIN);
	guest_kill(&g);
	lab_wait_for_guest(v, false);
	lab_close(v);
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

static void
assert_refused(const struct vhost_user_config *config, int code, const char *text)
{
	struct weft_error err = WEFT_ERROR_INIT;

	assert_null(vhost_user_open(config, &err));
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, text));
}

static void
test_vhost_takes_over_a_stale_socket_only(void **state)
{
	struct vhost_user_config config = lab_config(1);
	struct vhost_user *v;
	struct stat status;
	int fd;

	(void)state;
	lab_make_socket_directory();
	/* A live one. */
	fd = guest_listen(lab_path);
	assert_refused(&config, EADDRINUSE, "somebody listens on");
	/* The same, dead. */
	close(fd);
	assert_int_equal(access(lab_path, F_OK), 0);
	v = lab_open(1);
	assert_int_equal(stat(lab_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
	/* Our own is a live one too. */
	assert_refused(&config, EADDRINUSE, "somebody listens on");
	lab_close(v);
	/* Something else. */
	fd = open(lab_path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "keep", 4), 4);
	close(fd);
	assert_refused(&config, EEXIST, "is not a socket");
	assert_int_equal(stat(lab_path, &status), 0);
	assert_int_equal(status.st_size, 4);
	unlink(lab_path);
}

static void
test_vhost_gives_the_socket_its_mode_and_owner(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct vhost_user_config config = lab_config(1);
	struct vhost_user *v;
	struct stat status;

	(void)state;
	config.mode = 0600;
	v = vhost_user_open(&config, &err);
	assert_non_null(v);
	assert_int_equal(stat(lab_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	lab_close(v);
	config.owner = "nobody-of-that-name";
	assert_refused(&config, ENOENT, "no user");
	assert_int_equal(access(lab_path, F_OK), -1);
}

static void
test_vhost_refuses_a_path_that_no_socket_can_have(void **state)
{
	struct vhost_user_config config = lab_config(1);
	char name[256];

	(void)state;
	snprintf(name, sizeof name, "%s/%0120d", lab_directory, 0);
	config.path = name;
	assert_refused(&config, ENAMETOOLONG, "longer than 107");
	config.client = true;
	assert_refused(&config, ENAMETOOLONG, "longer than 107");
	/* The directory cannot be made where there is a file. */
	config = lab_config(1);
	config.path = "/dev/null/a.sock";
	assert_refused(&config, ENOTDIR, "/dev/null");
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
		cmocka_unit_test(test_vhost_asks_for_a_kick_only_while_it_sleeps),
		cmocka_unit_test(test_vhost_asks_for_a_kick_only_while_it_sleeps_packed),
		cmocka_unit_test(test_vhost_takes_over_a_stale_socket_only),
		cmocka_unit_test(test_vhost_gives_the_socket_its_mode_and_owner),
		cmocka_unit_test(test_vhost_refuses_a_path_that_no_socket_can_have),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
