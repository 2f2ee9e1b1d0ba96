/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow service: controllers as they come, fall silent and go, and how many clients there may be.
 */
#include "tests/unit/controller-agent/of_world.h"

static struct of_controller_status last_status;
static char last_error[256];
static unsigned n_statuses;

static void
see_status(const struct of_controller_status *status, void *user)
{
	(void)user;
	last_status = *status;
	snprintf(last_error, sizeof(last_error), "%s", status->last_error);
	n_statuses++;
}

static void
look(struct world *w)
{
	n_statuses = 0;
	of_switch_list_controllers(w->sw, see_status, NULL);
}

static void
test_controllers_keeps_controllers(void **state)
{
	struct world w;
	struct weft_error err = WEFT_ERROR_INIT;
	struct of_switch_status status;
	char target[128];
	int listener, fd;

	(void)state;
	world_open(&w);
	of_switch_set_ready(w.sw);
	listener = world_listen(&w, target, sizeof(target));
	assert_true(of_switch_add_controller(
		w.sw, &(struct of_controller_setup){.target = target}, NULL));
	assert_false(of_switch_add_controller(
		w.sw, &(struct of_controller_setup){.target = target}, &err));
	assert_int_equal(err.code, EEXIST);
	weft_error_init(&err);
	assert_false(of_switch_add_controller(
		w.sw, &(struct of_controller_setup){.target = "tls:127.0.0.1"}, &err));
	assert_int_equal(err.code, EINVAL);
	assert_string_equal(err.text, "TLS needs key=FILE; key=, cert= and ca= name PEM files");
	weft_error_init(&err);
	assert_false(of_switch_add_controller(
		w.sw, &(struct of_controller_setup){.target = "tcp:127.0.0.1", .key = "/x"}, &err));
	assert_int_equal(err.code, EINVAL);
	fd = world_accept(&w, listener);
	look(&w);
	assert_int_equal(n_statuses, 1);
	assert_string_equal(last_status.state, "hello");
	world_hello(&w, fd);
	look(&w);
	assert_string_equal(last_status.state, "connected");
	assert_string_equal(last_status.version, "1.3");
	assert_true(last_status.is_connected);
	/* News come without asking. */
	world_packet_in(&w, OF_REASON_NO_MATCH, 0);
	{
		uint8_t reply[128];

		recv_message(fd, reply, sizeof(reply));
		assert_int_equal(reply[1], 10);
	}
	/* It falls silent: a probe, then the end, a new attempt a second later. */
	world_advance(&w, 5000);
	expect_hex(fd, "04 02 0008 00000002");
	world_advance(&w, 5000);
	expect_end(fd);
	close(fd);
	look(&w);
	assert_string_equal(last_status.state, "backing off");
	assert_string_equal(last_error, "no answer to an echo request within 5000 ms");
	assert_int_equal(w.standalone, -1);
	world_advance(&w, 1000);
	fd = world_accept(&w, listener);
	/* Three intervals after the last word standalone begins; a hello ends it. */
	world_advance(&w, 3999);
	assert_int_equal(w.standalone, -1);
	world_advance(&w, 1);
	assert_int_equal(w.standalone, 1);
	of_switch_status(w.sw, &status);
	assert_true(status.standalone_now);
	assert_int_equal(status.n_controllers, 1);
	assert_int_equal(status.n_connected, 0);
	world_hello(&w, fd);
	assert_int_equal(w.standalone, 0);
	of_switch_status(w.sw, &status);
	assert_int_equal(status.n_connected, 1);
	/* What a takeover asks for. */
	assert_int_equal(status.last_barrier_ms, 0);
	send_hex(fd, EMPTY_FLOW_MOD BARRIER);
	world_run(&w);
	of_switch_status(w.sw, &status);
	assert_int_equal(status.last_flow_mod_ms, w.lab.now_ms);
	assert_int_equal(status.last_barrier_ms, w.lab.now_ms);
	assert_true(of_switch_del_controller(w.sw, target));
	assert_false(of_switch_del_controller(w.sw, target));
	look(&w);
	assert_int_equal(n_statuses, 0);
	close(fd);
	close(listener);
	unlink(target + 5);
	world_close(&w);
}

/* Secure mode never begins standalone; taking the controllers away ends it. */
static void
test_controllers_judges_silence(void **state)
{
	struct world w;
	struct of_settings settings;

	(void)state;
	world_open(&w);
	of_switch_set_ready(w.sw);
	assert_true(of_switch_add_controller(
		w.sw, &(struct of_controller_setup){.target = "unix:/nonexistent/x"}, NULL));
	world_advance(&w, 14999);
	assert_int_equal(w.standalone, -1);
	world_advance(&w, 1);
	assert_int_equal(w.standalone, 1);
	ofproto_get_settings(w.ofproto, &settings);
	settings.fail_mode = OF_FAIL_SECURE;
	ofproto_set_settings(w.ofproto, &settings);
	of_switch_settings_changed(w.sw);
	assert_int_equal(w.standalone, 0);
	world_advance(&w, 100000);
	assert_int_equal(w.standalone, 0);
	settings.fail_mode = OF_FAIL_STANDALONE;
	settings.standalone_now = false;
	ofproto_set_settings(w.ofproto, &settings);
	of_switch_settings_changed(w.sw);
	assert_int_equal(w.standalone, 1);
	assert_true(of_switch_del_controller(w.sw, "unix:/nonexistent/x"));
	assert_int_equal(w.standalone, 0);
	world_close(&w);
}

/* A passive target to which nobody comes is silent too, all of several must be, and a client of the mgmt
 * socket is no controller. */
static void
test_controllers_counts_controllers_alone(void **state)
{
	struct world w;
	char target[128];
	int listener, fd, client;

	(void)state;
	world_open(&w);
	of_switch_set_ready(w.sw);
	client = world_client(&w);
	assert_true(of_switch_add_controller(
		w.sw, &(struct of_controller_setup){.target = "ptcp:0:127.0.0.1"}, NULL));
	look(&w);
	assert_string_equal(last_status.state, "listening");
	world_advance(&w, 14999);
	send_hex(client, BARRIER);
	world_run(&w);
	expect_hex(client, BARRIER_REPLY);
	assert_int_equal(w.standalone, -1);
	world_advance(&w, 1);
	assert_int_equal(w.standalone, 1);
	/* Another one comes and speaks, and goes again. */
	listener = world_listen(&w, target, sizeof(target));
	assert_true(of_switch_add_controller(
		w.sw, &(struct of_controller_setup){.target = target}, NULL));
	fd = world_accept(&w, listener);
	assert_int_equal(w.standalone, 1);
	world_hello(&w, fd);
	assert_int_equal(w.standalone, 0);
	for (unsigned i = 0; i < 8; i++) {
		world_advance(&w, 4000);
		send_hex(fd, BARRIER);
		world_run(&w);
		expect_hex(fd, BARRIER_REPLY);
	}
	assert_int_equal(w.standalone, 0);
	close(fd);
	close(listener);
	unlink(target + 5);
	world_run(&w);
	world_advance(&w, 14999);
	assert_int_equal(w.standalone, 0);
	world_advance(&w, 1);
	assert_int_equal(w.standalone, 1);
	expect_nothing(client);
	close(client);
	world_close(&w);
}

/* --- packet-ins --------------------------------------------------------------------------------- */

static void
packet_in_from(struct world *w, uint32_t port, uint8_t number)
{
	uint8_t data[14] = {number};
	struct of_packet_in pi = {
		.in_port = OF_PORT(port),
		.data = data,
		.len = sizeof(data),
		.total_len = sizeof(data),
		.max_len = OF_MAX_LEN_NO_BUFFER,
		.reason = OF_REASON_ACTION,
		.cookie = UINT64_MAX,
	};

	of_match_init(&pi.match);
	of_match_set_u64(&pi.match, FIELD_IN_PORT, port);
	of_service_packet_in(w->service, w->ofproto, &pi);
}

static void
expect_packet_in(int fd, uint32_t port, uint8_t number)
{
	char text[256];

	snprintf(text, sizeof(text),
		"040a003800000000 ffffffff 000e 01 00 ffffffffffffffff 0001 000c 80000004 %08x "
		"00000000 0000 %02x00000000000000000000000000",
		port, number);
	expect_hex(fd, text);
}

static void
expect_counts(struct world *w, uint64_t sent, uint64_t queued, uint64_t waiting, uint64_t dropped)
{
	look(w);
	assert_int_equal(last_status.packet_ins, sent);
	assert_int_equal(last_status.packet_ins_queued, queued);
	assert_int_equal(last_status.packet_ins_waiting, waiting);
	assert_int_equal(last_status.packet_ins_dropped, dropped);
}

/* Four at once, then ten a second, ports by turns; a change of rate holds for the connection; what is not
 * wanted any more is not sent. */
static void
test_controllers_keeps_the_rate_of_packet_ins(void **state)
{
	struct world w;
	char target[128];
	int listener, fd, client;
	struct of_controller_setup setup = {.target = target, .rate_limit = 10, .burst = 4};

	(void)state;
	world_open(&w);
	listener = world_listen(&w, target, sizeof(target));
	assert_true(of_switch_add_controller(w.sw, &setup, NULL));
	fd = world_accept(&w, listener);
	world_hello(&w, fd);
	client = world_client(&w);
	send_hex(client, "0409000c11223344 0000 ffff");
	world_run(&w);
	for (uint8_t i = 0; i < 10; i++) {
		packet_in_from(&w, 1, i);
		world_run(&w);
		expect_packet_in(client, 1, i); /* its rate is nobody else's */
		if (i < 4) {
			expect_packet_in(fd, 1, i);
		}
	}
	expect_nothing(fd);
	close(client);
	world_run(&w);
	expect_counts(&w, 4, 4, 4, 2);
	assert_int_equal(last_status.rate_limit, 10);
	assert_int_equal(last_status.burst, 4);
	packet_in_from(&w, 2, 0); /* the newest of port 1 goes */
	packet_in_from(&w, 2, 1);
	expect_counts(&w, 4, 6, 4, 4);
	world_advance(&w, 99);
	expect_nothing(fd);
	world_advance(&w, 1);
	expect_packet_in(fd, 1, 4);
	world_advance(&w, 100);
	expect_packet_in(fd, 2, 0);
	expect_counts(&w, 6, 6, 2, 4);
	/* A faster rate counts from now on. */
	setup.rate_limit = 100;
	setup.burst = 0;
	assert_true(of_switch_limit_controller(w.sw, &setup));
	world_advance(&w, 9);
	expect_nothing(fd);
	world_advance(&w, 1);
	expect_packet_in(fd, 1, 5);
	look(&w);
	assert_int_equal(last_status.burst, 25);
	/* A slave wants none: what waits is not sent. */
	send_hex(fd, "0418001811223344 00000003 00000000 0000000000000001");
	world_run(&w);
	expect_hex(fd, "0419001811223344 00000003 00000000 0000000000000001");
	world_advance(&w, 10);
	expect_nothing(fd);
	expect_counts(&w, 7, 6, 0, 5);
	/* None: all at once. */
	send_hex(fd, "0418001811223344 00000001 00000000 0000000000000000");
	world_run(&w);
	expect_hex(fd, "0419001811223344 00000001 00000000 0000000000000001");
	setup.rate_limit = 0;
	assert_true(of_switch_limit_controller(w.sw, &setup));
	for (uint8_t i = 0; i < 100; i++) {
		packet_in_from(&w, 1, i);
		world_run(&w);
		expect_packet_in(fd, 1, i);
	}
	expect_counts(&w, 107, 6, 0, 5);
	setup.target = "unix:/other";
	assert_false(of_switch_limit_controller(w.sw, &setup));
	assert_int_equal(of_service_counters(w.service)->packet_ins, 117);
	assert_int_equal(of_service_counters(w.service)->packet_ins_queued, 6);
	assert_int_equal(of_service_counters(w.service)->packet_ins_dropped, 5);
	close(fd);
	close(listener);
	unlink(target + 5);
	world_close(&w);
}

/* A controller that never reads: another gets all and is answered, and it is given up in the end. */
static void
test_controllers_gives_up_one_that_never_reads(void **state)
{
	static uint8_t data[60000];
	struct world w;
	char target[128];
	struct of_controller_setup setup = {.target = target};
	struct of_packet_in pi = {
		.in_port = OF_PORT(1),
		.data = data,
		.len = sizeof(data),
		.total_len = sizeof(data),
		.max_len = OF_MAX_LEN_NO_BUFFER,
		.reason = OF_REASON_ACTION,
		.cookie = UINT64_MAX,
	};
	int listener, dead, alive;
	static uint8_t msg[65536];

	(void)state;
	world_open(&w);
	of_switch_set_ready(w.sw);
	listener = world_listen(&w, target, sizeof(target));
	assert_true(of_switch_add_controller(w.sw, &setup, NULL));
	dead = world_accept(&w, listener);
	world_hello(&w, dead);
	alive = world_client(&w);
	send_hex(alive, "0409000c11223344 0000 ffff");
	of_match_init(&pi.match);
	world_run(&w);
	for (unsigned i = 0; i < 1000; i++) {
		of_service_packet_in(w.service, w.ofproto, &pi);
		world_run(&w);
		assert_int_equal(recv_message(alive, msg, sizeof(msg)), 8 + 16 + 8 + 2 + 60000);
	}
	send_hex(alive, BARRIER);
	world_run(&w);
	expect_hex(alive, BARRIER_REPLY);
	look(&w);
	assert_true(of_service_counters(w.service)->packet_ins_dropped > 900);
	assert_int_equal(of_service_counters(w.service)->disconnects, 0);
	close(alive);
	world_run(&w);
	/* It takes nothing: seen after an interval, asked after another, given up after a third. */
	world_advance(&w, 5000);
	world_advance(&w, 5000);
	assert_int_equal(of_service_counters(w.service)->stalled, 0);
	world_advance(&w, 5000);
	assert_int_equal(of_service_counters(w.service)->stalled, 1);
	look(&w);
	assert_string_equal(last_status.state, "backing off");
	assert_non_null(strstr(last_error, "the peer does not read: "));
	close(listener);
	unlink(target + 5);
	close(dead);
	/* What it last took counts as its last word. */
	world_advance(&w, 4999);
	assert_int_equal(w.standalone, -1);
	world_advance(&w, 1);
	assert_int_equal(w.standalone, 1);
	world_close(&w);
}

/* inactivity-probe=0: it is not asked, and may be silent for ever. */
static void
test_controllers_may_go_unprobed(void **state)
{
	struct world w;
	char target[128];
	struct of_controller_setup setup = {.target = target, .probe_ms = OF_NO_PROBE};
	int listener, fd;

	(void)state;
	world_open(&w);
	of_switch_set_ready(w.sw);
	listener = world_listen(&w, target, sizeof(target));
	assert_true(of_switch_add_controller(w.sw, &setup, NULL));
	fd = world_accept(&w, listener);
	world_hello(&w, fd);
	for (unsigned i = 0; i < 10; i++) {
		world_advance(&w, 10000);
		expect_nothing(fd);
	}
	assert_int_equal(w.standalone, -1);
	/* Its end is when silence begins. */
	close(fd);
	close(listener);
	unlink(target + 5);
	world_run(&w);
	world_advance(&w, 14999);
	assert_int_equal(w.standalone, -1);
	world_advance(&w, 1);
	assert_int_equal(w.standalone, 1);
	/* A longer interval is more patience. */
	setup.probe_ms = 20000;
	assert_true(of_switch_limit_controller(w.sw, &setup));
	world_advance(&w, 1);
	assert_int_equal(w.standalone, 1); /* it takes a word to end it */
	world_close(&w);
}

static void
test_controllers_limits_clients(void **state)
{
	int fds[OF_MAX_CLIENTS + 1];
	struct world w;

	(void)state;
	world_open(&w);
	for (unsigned i = 0; i <= OF_MAX_CLIENTS; i++) {
		fds[i] = world_connect(&w);
		world_run(&w);
	}
	expect_end(fds[OF_MAX_CLIENTS]);
	assert_int_equal(of_service_counters(w.service)->refused, 1);
	world_hello(&w, fds[0]);
	close(fds[0]);
	world_run(&w);
	close(fds[OF_MAX_CLIENTS]);
	fds[0] = world_client(&w);
	fds[OF_MAX_CLIENTS] = -1;
	for (unsigned i = 0; i < OF_MAX_CLIENTS; i++) {
		close(fds[i]);
	}
	world_close(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controllers_keeps_controllers),
		cmocka_unit_test(test_controllers_judges_silence),
		cmocka_unit_test(test_controllers_counts_controllers_alone),
		cmocka_unit_test(test_controllers_keeps_the_rate_of_packet_ins),
		cmocka_unit_test(test_controllers_gives_up_one_that_never_reads),
		cmocka_unit_test(test_controllers_may_go_unprobed),
		cmocka_unit_test(test_controllers_limits_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
