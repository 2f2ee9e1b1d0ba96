/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath client against the fake datapath: handshake, refusals, reconnection, ports.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller-agent/dp_client.h"
#include "lib/error.h"
#include "lib/unix_socket.h"
#include "tests/unit/controller-agent/fake_datapath.h"

/* What the client told. */
struct seen {
	unsigned n_up;
	unsigned n_down;
	unsigned n_changed;
	unsigned n_done;
	unsigned n_listed;
	struct dp_session session; /* of the last up() */
	struct dp_port_info info;
	char error[WEFT_ERROR_TEXT];
};

static char rundir[64], path[96];
static struct event_base *base;
static struct dp_client *client;
static struct seen seen;
static bool release_at_once;

static void
on_up(void *user, const struct dp_session *session)
{
	(void)user;
	seen.n_up++;
	seen.session = *session;
	for (uint32_t w = 0; w < session->n_workers; w++) {
		assert_true(fcntl(session->upcall_fd[w], F_GETFD) >= 0);
	}
}

static void
on_down(void *user)
{
	(void)user;
	seen.n_down++;
	assert_true(fcntl(seen.session.tables_fd, F_GETFD) >= 0); /* still open here */
	if (release_at_once) {
		dp_client_released(client);
	}
}

static void
on_changed(void *user, const struct dp_port_info *info)
{
	(void)user;
	seen.n_changed++;
	seen.info = *info;
}

static const struct dp_client_ops ops = {on_up, on_down, on_changed};

static void
on_done(void *user, const struct dp_port_info *info, const struct weft_error *err)
{
	(void)user;
	seen.n_done++;
	snprintf(seen.error, sizeof(seen.error), "%s", err ? err->text : "");
	if (info) {
		seen.info = *info;
	}
}

static void
on_listed(void *user, const struct dp_port_info *info)
{
	(void)user;
	(void)info;
	seen.n_listed++;
}

/* Runs the loop until *@counter has reached @n, or a while has passed. */
static bool
wait_for(const unsigned *counter, unsigned n)
{
	for (unsigned i = 0; *counter < n && i < 2000; i++) {
		struct timeval ms = {0, 5000};

		event_base_loopexit(base, &ms);
		event_base_dispatch(base);
	}
	return *counter >= n;
}

static int
setup(void **state)
{
	(void)state;
	snprintf(rundir, sizeof(rundir), "/tmp/weft-client-XXXXXX");
	if (!mkdtemp(rundir)) {
		return -1;
	}
	snprintf(path, sizeof(path), "%s/datapath.sock", rundir);
	memset(&seen, 0, sizeof(seen));
	release_at_once = true;
	base = event_base_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dp_client_destroy(client);
	client = NULL;
	event_base_free(base);
	unlink(path);
	return rmdir(rundir);
}

static void
start_client(unsigned n_handlers)
{
	client = dp_client_create(base, path, 77, n_handlers, &ops, NULL);
}

static void
test_dp_client_opens_a_session(void **state)
{
	struct fake_datapath *dp = fake_datapath_start(rundir, 3, UINT64_C(0xffffffffffffff05));

	(void)state;
	start_client(2);
	assert_null(dp_client_session(client));
	assert_true(wait_for(&seen.n_up, 1));
	assert_non_null(dp_client_session(client));
	assert_string_equal(dp_client_problem(client), "");
	assert_true(seen.session.instance == UINT64_C(0xffffffffffffff05));
	assert_int_equal(seen.session.number, 1);
	assert_int_equal(seen.session.last_epoch, 0);
	assert_int_equal(seen.session.n_workers, 3);
	assert_int_equal(seen.session.n_handlers, 2);
	assert_int_equal(seen.session.ring_size, DP_RING_SIZE);
	assert_int_equal(seen.session.next_context, 1);
	dp_client_destroy(client);
	client = NULL;
	assert_int_equal(seen.n_down, 1);
	fake_datapath_stop(dp);
}

static void
test_dp_client_waits_for_the_datapath_and_comes_back(void **state)
{
	struct fake_datapath *dp;
	struct timeval ms = {0, 120000};

	(void)state;
	start_client(1);
	event_base_loopexit(base, &ms);
	event_base_dispatch(base);
	assert_int_equal(seen.n_up, 0);
	assert_non_null(strstr(dp_client_problem(client), path));
	dp = fake_datapath_start(rundir, 1, 1);
	assert_true(wait_for(&seen.n_up, 1));
	/* The connection breaks; the datapath stays. */
	fake_datapath_drop_session(dp);
	assert_true(wait_for(&seen.n_up, 2));
	assert_int_equal(seen.n_down, 1);
	assert_int_equal(seen.session.number, 2);
	assert_int_equal(seen.session.last_epoch, 77);
	/* Another datapath comes. */
	fake_datapath_stop(dp);
	assert_true(wait_for(&seen.n_down, 2));
	dp = fake_datapath_start(rundir, 1, 2);
	assert_true(wait_for(&seen.n_up, 3));
	assert_int_equal(seen.session.instance, 2);
	dp_client_destroy(client);
	client = NULL;
	fake_datapath_stop(dp);
}

static void
test_dp_client_waits_until_the_rings_are_given_back(void **state)
{
	struct fake_datapath *dp = fake_datapath_start(rundir, 1, 1);
	struct timeval ms = {0, 300000};

	(void)state;
	release_at_once = false;
	start_client(1);
	assert_true(wait_for(&seen.n_up, 1));
	fake_datapath_drop_session(dp);
	assert_true(wait_for(&seen.n_down, 1));
	event_base_loopexit(base, &ms);
	event_base_dispatch(base);
	assert_int_equal(seen.n_up, 1);
	dp_client_released(client);
	assert_true(wait_for(&seen.n_up, 2));
	dp_client_destroy(client);
	client = NULL;
	fake_datapath_stop(dp);
}

static void
test_dp_client_is_refused_by_another_version(void **state)
{
	struct fake_datapath *dp = fake_datapath_start(rundir, 1, 1);
	struct fake_counts counts = {0};

	(void)state;
	fake_datapath_set_version(dp, DP_PROTOCOL_VERSION + 1);
	start_client(1);
	for (unsigned i = 0; i < 100 && !counts.n_refused; i++) {
		struct timeval ms = {0, 20000};

		event_base_loopexit(base, &ms);
		event_base_dispatch(base);
		fake_datapath_counts(dp, &counts);
	}
	assert_int_equal(seen.n_up, 0);
	assert_non_null(strstr(dp_client_problem(client), "protocol version"));
	fake_datapath_set_version(dp, DP_PROTOCOL_VERSION);
	assert_true(wait_for(&seen.n_up, 1));
	dp_client_destroy(client);
	client = NULL;
	fake_datapath_stop(dp);
}

static void
test_dp_client_survives_a_peer_that_is_no_datapath(void **state)
{
	static const char *const answers[] = {"garbage\n", "{}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"instance\":\"1\",\"session\":\"1\","
		"\"last_epoch\":\"0\",\"workers\":1,\"max_flows\":1,\"slots\":1,\"ring_size\":4096,"
		"\"upcall_ring_size\":4096,\"next_context\":1}}\n"};
	struct weft_error err = WEFT_ERROR_INIT;
	int listener = unix_listen(path, NULL, &err);

	(void)state;
	assert_true(listener >= 0);
	start_client(1);
	for (unsigned i = 0; i < 4; i++) {
		int fd = -1;

		for (unsigned n = 0; fd < 0 && n < 400; n++) {
			struct timeval ms = {0, 10000};

			event_base_loopexit(base, &ms);
			event_base_dispatch(base);
			fd = accept(listener, NULL, NULL);
		}
		assert_true(fd >= 0);
		assert_true(write(fd, answers[i], strlen(answers[i])) > 0);
		for (unsigned n = 0; n < 10; n++) {
			struct timeval ms = {0, 2000};

			event_base_loopexit(base, &ms);
			event_base_dispatch(base);
		}
		close(fd);
		assert_int_equal(seen.n_up, 0);
	}
	assert_true(dp_client_problem(client)[0] != '\0');
	close(listener);
}

static void
test_dp_client_handles_ports(void **state)
{
	struct fake_datapath *dp = fake_datapath_start(rundir, 1, 1);
	struct dp_port port = {7};

	(void)state;
	start_client(1);
	dp_client_port_add(client, port, "p", "null", json_object(), false, on_done, NULL);
	assert_int_equal(seen.n_done, 1);
	assert_non_null(strstr(seen.error, "is weft-datapath running?"));
	assert_true(wait_for(&seen.n_up, 1));
	dp_client_port_add(
		client, port, "p", "null", json_pack("{s:s}", "mtu", "1500"), true, on_done, NULL);
	assert_true(wait_for(&seen.n_done, 2));
	assert_string_equal(seen.error, "");
	assert_int_equal(seen.info.port.v, 7);
	assert_string_equal(seen.info.name, "p");
	assert_true(seen.info.link_up && seen.info.admin_up);
	assert_int_equal(seen.info.mac[5], 1);
	assert_int_equal(fake_datapath_port(dp, "p"), 7);
	/* The datapath's words come back as they are. */
	fake_datapath_refuse_port(dp, "q", "the disk is full of eels");
	dp_client_port_add(
		client, (struct dp_port){8}, "q", "null", json_object(), false, on_done, NULL);
	assert_true(wait_for(&seen.n_done, 3));
	assert_string_equal(seen.error, "the disk is full of eels");
	fake_datapath_set_link(dp, 7, false);
	assert_true(wait_for(&seen.n_changed, 1));
	assert_false(seen.info.link_up);
	dp_client_port_set(client, port, json_pack("{s:s}", "admin", "down"), on_done, NULL);
	assert_true(wait_for(&seen.n_done, 4));
	assert_false(seen.info.admin_up);
	dp_client_port_list(client, on_listed, on_done, NULL);
	assert_true(wait_for(&seen.n_done, 5));
	assert_int_equal(seen.n_listed, 1);
	dp_client_port_del(client, port, on_done, NULL);
	assert_true(wait_for(&seen.n_done, 6));
	assert_string_equal(seen.error, "");
	assert_int_equal(fake_datapath_port(dp, "p"), -1);
	/* A call that is under way when the datapath goes ends with an error. */
	fake_datapath_stop(dp);
	dp_client_port_del(client, port, on_done, NULL);
	assert_true(wait_for(&seen.n_done, 7));
	assert_true(seen.error[0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dp_client_opens_a_session, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_dp_client_waits_for_the_datapath_and_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_dp_client_waits_until_the_rings_are_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_dp_client_is_refused_by_another_version, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_dp_client_survives_a_peer_that_is_no_datapath, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dp_client_handles_ports, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
