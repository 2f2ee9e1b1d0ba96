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
		cmocka_unit_test(test_controllers_limits_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
