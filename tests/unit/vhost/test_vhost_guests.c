/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user devices under guests that are hostile, that restart and that go.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "tests/unit/vhost/vhost_lab.h"

#define N_KILLS 60u

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
	struct vhost_user_config config = lab_config(1);
	struct vhost_user *v, *other;
	char other_path[160];
	struct guest bad, good;

	(void)state;
	snprintf(other_path, sizeof other_path, "%s/other.sock", lab_directory);
	v = lab_open(1);
	config.path = other_path;
	other = vhost_user_open(&config, &err);
	assert_non_null(other);
	guest_connect(&good, other_path);
	guest_start(&good, 1, GUEST_FEATURES);
	lab_wait_for_guest(other, true);
	for (unsigned how = 0; how < 9; how++) {
		struct packet *pkts[32], *p = lab_packet(lab_frame(how), 60);

		guest_connect(&bad, lab_path);
		guest_start(&bad, 1, GUEST_FEATURES);
		lab_wait_for_guest(v, true);
		spoil(&bad, how);
		for (unsigned i = 0; i < 50; i++) {
			lab_free(pkts, vhost_user_rx(v, 0, pkts, WEFT_ARRAY_SIZE(pkts)));
		}
		if (!vhost_user_tx(v, 0, &p, 1)) {
			lab_free(&p, 1);
		}
		guest_send(&good, 0, lab_frame(how), 70);
		lab_assert_received(other, 0, lab_frame(how), 70);
		lab_assert_sent(other, 0, &good, how, 70);
		guest_kill(&bad);
		lab_wait_for_guest(v, false);
	}
	guest_kill(&good);
	vhost_user_close(other);
	lab_close(v);
}

static void
test_vhost_survives_garbage_on_its_socket(void **state)
{
	struct vhost_user *v = lab_open(1);
	struct guest g;

	(void)state;
	for (unsigned seed = 0; seed < 20; seed++) {
		guest_connect(&g, lab_path);
		assert_true(send(g.fd, lab_frame(seed), 13 + seed * 7, MSG_NOSIGNAL) > 0);
		guest_kill(&g);
	}
	guest_connect(&g, lab_path);
	guest_start(&g, 1, GUEST_FEATURES);
	lab_wait_for_guest(v, true);
	guest_send(&g, 0, lab_frame(1), 60);
	lab_assert_received(v, 0, lab_frame(1), 60);
	guest_kill(&g);
	lab_close(v);
}

static void
test_vhost_as_a_client_connects_again(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct vhost_user_config config = lab_config(1);
	struct vhost_user *v;
	struct guest g;
	int fd;

	(void)state;
	lab_make_socket_directory();
	config.client = true;
	v = vhost_user_open(&config, &err); /* there is nobody yet */
	assert_non_null(v);
	for (unsigned i = 0; i < 2; i++) {
		fd = guest_listen(lab_path);
		guest_accept(&g, fd);
		close(fd);
		unlink(lab_path);
		guest_start(&g, 1, GUEST_FEATURES);
		lab_wait_for_guest(v, true);
		guest_send(&g, 0, lab_frame(i), 60);
		lab_assert_received(v, 0, lab_frame(i), 60);
		lab_assert_sent(v, 0, &g, i, 60);
		guest_kill(&g);
		lab_wait_for_guest(v, false);
	}
	lab_close(v);
}

static void
test_vhost_follows_a_driver_that_restarts(void **state)
{
	struct vhost_user *v = lab_open(1);
	struct packet *p;
	struct guest g;

	(void)state;
	guest_connect(&g, lab_path);
	guest_start(&g, 1, GUEST_FEATURES);
	lab_wait_for_guest(v, true);
	for (unsigned i = 0; i < 3; i++) {
		guest_send(&g, 0, lab_frame(i), 60);
		lab_assert_received(v, 0, lab_frame(i), 60);
	}
	/* VIRTIO's reset, as a monitor tells of it: the device has no ring then. */
	assert_int_equal(guest_stop_ring(&g, GUEST_RX(0)), 0);
	assert_int_equal(guest_stop_ring(&g, GUEST_TX(0)), 3);
	guest_sync(&g);
	lab_wait_for_guest(v, false);
	assert_int_equal(vhost_user_rx(v, 0, &p, 1), 0);
	guest_kill(&g);
	lab_close(v);
}

static void
test_vhost_closes_under_a_guest(void **state)
{
	struct vhost_user *v = lab_open(1);
	unsigned before;
	struct guest g;
	char byte;

	(void)state;
	guest_connect(&g, lab_path);
	guest_start(&g, 1, GUEST_FEATURES);
	lab_wait_for_guest(v, true);
	guest_send(&g, 0, lab_frame(0), 60);
	before = lab_n_waits;
	lab_close(v);
	/* Before the guest's memory went. */
	assert_int_equal(lab_n_waits, before + 1);
	assert_int_equal(recv(g.fd, &byte, 1, 0), 0);
	guest_kill(&g);
}

/* Sends back what comes, or else something of its own: it is in rte_vhost's functions all the time. */
static void *
work(void *arg)
{
	struct packet *pkts[32];

	while (atomic_load(&lab_worker.runs)) {
		uint16_t n = vhost_user_rx(lab_worker.device, 0, pkts, WEFT_ARRAY_SIZE(pkts)), sent;

		atomic_fetch_add(&lab_worker.n_received, n);
		if (!n) {
			pkts[n++] = lab_packet(lab_frame(0), 200);
		}
		sent = vhost_user_tx(lab_worker.device, 0, pkts, n);
		lab_free(pkts + sent, n - sent);
		atomic_fetch_add(&lab_worker.round, 1);
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
	struct vhost_user *v = lab_open(1);
	unsigned n_fds = count_descriptors();
	uint8_t frame[256];
	struct guest g;

	(void)state;
	lab_worker.device = v;
	atomic_store(&lab_worker.runs, true);
	assert_int_equal(pthread_create(&lab_worker.thread, NULL, work, NULL), 0);
	for (unsigned i = 0; i < N_KILLS; i++) {
		uint64_t from = atomic_load(&lab_worker.n_received);

		guest_connect(&g, lab_path);
		guest_start(&g, 1, GUEST_FEATURES);
		for (unsigned k = 0; k < 200; k++) {
			guest_send(&g, 0, lab_frame(k), 200);
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
		lab_wait_for_guest(v, false);
		lab_synchronize();
		assert_true(atomic_load(&lab_worker.n_received) <= from + 200);
	}
	atomic_store(&lab_worker.runs, false);
	pthread_join(lab_worker.thread, NULL);
	assert_true(atomic_load(&lab_worker.n_received) > 0);
	/* The device has gone when rte_vhost says so; its thread closes the descriptors right after. */
	for (unsigned i = 0; i < LAB_WAIT_MS * 5 && count_descriptors() != n_fds; i++) {
		lab_nap();
	}
	assert_int_equal(count_descriptors(), n_fds);
	lab_close(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vhost_survives_broken_rings_which_hurt_no_other_device),
		cmocka_unit_test(test_vhost_survives_garbage_on_its_socket),
		cmocka_unit_test(test_vhost_as_a_client_connects_again),
		cmocka_unit_test(test_vhost_follows_a_driver_that_restarts),
		cmocka_unit_test(test_vhost_closes_under_a_guest),
		cmocka_unit_test(test_vhost_loses_nothing_but_the_guest_when_it_goes_under_traffic),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
