/* SPDX-License-Identifier: Apache-2.0
 *
 * Connector: targets from text, back-off on a virtual clock, listening and connecting over loopback.
 */
#include "tests/unit/controller-agent/of_lab.h"

#include "controller-agent/connector.h"
#include "controller-agent/timers.h"
#include "lib/error.h"

struct fixture {
	struct lab lab;
	struct timers *timers;
	unsigned n_connected, n_failed, n_accepted;
	int fd, accepted_fd;
	char peer[CONNECTOR_PEER_MAX];
	char why[256];
};

static void
connected(void *user, int fd, const char *peer)
{
	struct fixture *f = user;

	f->n_connected++;
	f->fd = fd;
	snprintf(f->peer, sizeof(f->peer), "%s", peer);
}

static void
failed(void *user, const char *why)
{
	struct fixture *f = user;

	f->n_failed++;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static void
accepted(void *user, int fd, const char *peer)
{
	struct fixture *f = user;

	(void)peer;
	f->n_accepted++;
	f->accepted_fd = fd;
}

static const struct connector_ops ops = {connected, failed};

static void
begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	lab_open(&f->lab);
	f->timers = timers_create(f->lab.base, lab_now, &f->lab);
}

static void
end(struct fixture *f)
{
	timers_destroy(f->timers);
	lab_close(&f->lab);
}

static void
advance(struct fixture *f, uint64_t ms)
{
	f->lab.now_ms += ms;
	timers_run(f->timers);
	lab_run(&f->lab);
}

static void
test_target_parse(void **state)
{
	static const struct {
		const char *text;
		enum target_kind kind;
		const char *host; /* NULL: refused */
		uint16_t port;
	} cases[] = {
		{"tcp:127.0.0.1:6633", TARGET_TCP, "127.0.0.1", 6633},
		{"tcp:127.0.0.1", TARGET_TCP, "127.0.0.1", 6653},
		{"tcp:[::1]:65535", TARGET_TCP, "::1", 65535},
		{"tcp:[fe80::1]", TARGET_TCP, "fe80::1", 6653},
		{"tcp:controller.example:1", TARGET_TCP, "controller.example", 1},
		{"tls:host:6653", TARGET_TLS, "host", 6653},
		{"unix:/run/x.sock", TARGET_UNIX, "/run/x.sock", 0},
		{"ptcp:6653", TARGET_PTCP, "", 6653},
		{"ptcp:", TARGET_PTCP, "", 6653},
		{"ptcp:0:127.0.0.1", TARGET_PTCP, "127.0.0.1", 0},
		{"ptcp:6653:[::1]", TARGET_PTCP, "::1", 6653},
		{"ptls:6653:::1", TARGET_PTLS, "::1", 6653},
		{"tcp:", TARGET_TCP, NULL, 0},
		{"tcp::6653", TARGET_TCP, NULL, 0},
		{"tcp:::1:6653", TARGET_TCP, NULL, 0},
		{"tcp:[::1", TARGET_TCP, NULL, 0},
		{"tcp:[::1]6653", TARGET_TCP, NULL, 0},
		{"tcp:host:0", TARGET_TCP, NULL, 0},
		{"tcp:host:65536", TARGET_TCP, NULL, 0},
		{"tcp:host:99999999999", TARGET_TCP, NULL, 0},
		{"tcp:host:66x", TARGET_TCP, NULL, 0},
		{"tcp:host:", TARGET_TCP, NULL, 0},
		{"ptcp:x", TARGET_PTCP, NULL, 0},
		{"unix:", TARGET_UNIX, NULL, 0},
		{"udp:host:1", TARGET_TCP, NULL, 0},
		{"", TARGET_TCP, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct target t;

		assert_int_equal(target_parse(cases[i].text, &t, &err), cases[i].host != NULL);
		if (cases[i].host) {
			assert_int_equal(t.kind, cases[i].kind);
			assert_string_equal(t.host, cases[i].host);
			assert_int_equal(t.port, cases[i].port);
		} else {
			assert_int_equal(err.domain, WEFT_ERR_INVALID);
			assert_non_null(strstr(err.text, cases[i].text));
		}
	}
}

/* 1, 2, 4, 8, 8 s between attempts, or up to a quarter less. */
static void
test_connector_backs_off(void **state)
{
	static const uint64_t waits_ms[] = {1000, 2000, 4000, 8000, 8000};
	struct fixture f;
	struct target target;
	struct connector *c;

	(void)state;
	begin(&f);
	assert_true(target_parse("unix:/nonexistent/weft-test", &target, NULL));
	c = connector_create(f.lab.base, f.timers, &target, &ops, &f);
	lab_run(&f.lab);
	assert_int_equal(f.n_failed, 1);
	assert_string_equal(f.why, "cannot connect: No such file or directory");
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(waits_ms); i++) {
		assert_string_equal(connector_state(c), "backing off");
		advance(&f, waits_ms[i] - waits_ms[i] / CONNECTOR_JITTER - 1);
		assert_int_equal(f.n_failed, 1 + i);
		advance(&f, waits_ms[i] / CONNECTOR_JITTER + 1);
		assert_int_equal(f.n_failed, 2 + i);
	}
	connector_destroy(c);
	end(&f);
}

/* Connectors that fail together come back one by one. All 64 at one time: once in 250 ^ 63 runs. */
static void
test_connector_spreads_attempts(void **state)
{
	struct connector *c[64];
	struct fixture f;
	struct target target;
	unsigned n_instants = 0;

	(void)state;
	begin(&f);
	assert_true(target_parse("unix:/nonexistent/weft-test", &target, NULL));
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(c); i++) {
		c[i] = connector_create(f.lab.base, f.timers, &target, &ops, &f);
	}
	lab_run(&f.lab);
	assert_int_equal(f.n_failed, 64);
	advance(&f, 749);
	assert_int_equal(f.n_failed, 64);
	for (unsigned ms = 750; ms <= 1000; ms++) {
		unsigned before = f.n_failed;

		advance(&f, 1);
		n_instants += f.n_failed != before;
	}
	assert_int_equal(f.n_failed, 128);
	assert_true(n_instants > 1);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(c); i++) {
		connector_destroy(c[i]);
	}
	end(&f);
}

static void
test_connector_connects_and_begins_anew(void **state)
{
	struct fixture f;
	struct target target;
	struct listener *l;
	struct connector *c;
	char text[64];

	(void)state;
	begin(&f);
	assert_true(target_parse("ptcp:0:127.0.0.1", &target, NULL));
	l = listener_create(f.lab.base, &target, accepted, &f, NULL);
	assert_non_null(l);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%u", listener_port(l));
	assert_true(target_parse(text, &target, NULL));
	c = connector_create(f.lab.base, f.timers, &target, &ops, &f);
	lab_run(&f.lab);
	assert_int_equal(f.n_connected, 1);
	assert_int_equal(f.n_accepted, 1);
	assert_string_equal(f.peer, text + 4);
	assert_string_equal(connector_state(c), "connected");
	close(f.fd);
	close(f.accepted_fd);
	/* Lost before the hello: twice as late each time. Lost after it: 1 s again. */
	for (unsigned i = 0; i < 3; i++) {
		connector_lost(c, false);
		uint64_t wait_ms = 1000u << i;

		advance(&f, wait_ms - wait_ms / CONNECTOR_JITTER - 1);
		assert_int_equal(f.n_connected, 1 + i);
		advance(&f, wait_ms / CONNECTOR_JITTER + 1);
		assert_int_equal(f.n_connected, 2 + i);
		close(f.fd);
		close(f.accepted_fd);
	}
	connector_lost(c, true);
	advance(&f, 1000);
	assert_int_equal(f.n_connected, 5);
	close(f.fd);
	close(f.accepted_fd);
	connector_destroy(c);
	listener_destroy(l);
	end(&f);
}

static void
test_listener_refuses_port_in_use(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct fixture f;
	struct target target;
	struct listener *l;

	(void)state;
	begin(&f);
	assert_true(target_parse("ptcp:0:127.0.0.1", &target, NULL));
	l = listener_create(f.lab.base, &target, accepted, &f, NULL);
	assert_non_null(l);
	target.port = listener_port(l);
	assert_null(listener_create(f.lab.base, &target, accepted, &f, &err));
	assert_int_equal(err.domain, WEFT_ERR_SYSTEM);
	assert_int_equal(err.code, EADDRINUSE);
	listener_destroy(l);
	snprintf(target.host, sizeof(target.host), "no address");
	weft_error_init(&err);
	assert_null(listener_create(f.lab.base, &target, accepted, &f, &err));
	assert_int_equal(err.domain, WEFT_ERR_INVALID);
	end(&f);
}

/* Timers fire in order, and one that is set again for now waits for the next run. */
static struct fixture *timer_fixture;
static char timer_log[16];
static struct timer timer_a, timer_b;

static void
fire_a(void *arg)
{
	(void)arg;
	strcat(timer_log, "a");
	if (strlen(timer_log) < 8) {
		timer_set(timer_fixture->timers, &timer_a, 0);
	}
}

static void
fire_b(void *arg)
{
	(void)arg;
	strcat(timer_log, "b");
}

static void
test_timers_fire_in_order(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	timer_fixture = &f;
	timer_log[0] = '\0';
	timer_init(&timer_a, fire_a, NULL);
	timer_init(&timer_b, fire_b, NULL);
	timer_set(f.timers, &timer_a, f.lab.now_ms + 20);
	timer_set(f.timers, &timer_b, f.lab.now_ms + 10);
	f.lab.now_ms += 9;
	timers_run(f.timers);
	assert_string_equal(timer_log, "");
	f.lab.now_ms += 11;
	timers_run(f.timers);
	assert_string_equal(timer_log, "ba");
	timers_run(f.timers);
	assert_string_equal(timer_log, "baa");
	timer_set(f.timers, &timer_b, f.lab.now_ms);
	timer_cancel(&timer_b);
	assert_false(timer_is_armed(&timer_b));
	timer_cancel(&timer_a);
	timers_run(f.timers);
	assert_string_equal(timer_log, "baa");
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target_parse),
		cmocka_unit_test(test_connector_backs_off),
		cmocka_unit_test(test_connector_spreads_attempts),
		cmocka_unit_test(test_connector_connects_and_begins_anew),
		cmocka_unit_test(test_listener_refuses_port_in_use),
		cmocka_unit_test(test_timers_fire_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
