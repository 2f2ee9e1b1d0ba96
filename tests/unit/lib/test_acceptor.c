/* SPDX-License-Identifier: Apache-2.0
 *
 * Acceptor: connections are handed over, in turns; without descriptors it rests, and goes on.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/acceptor.h"
#include "lib/log.h"

#define N_CLIENTS (ACCEPTOR_TURN + 4)

static struct event_base *base;
static struct acceptor *acceptor;
static struct sockaddr_in address;
static int conns[N_CLIENTS], clients[N_CLIENTS];
static uint16_t ports[N_CLIENTS];
static unsigned n_conns;

static void
accepted(void *user, int conn, const struct sockaddr_storage *from)
{
	assert_ptr_equal(user, &n_conns);
	assert_true(n_conns < N_CLIENTS);
	assert_int_equal(from->ss_family, AF_INET);
	assert_true(fcntl(conn, F_GETFL) & O_NONBLOCK);
	ports[n_conns] = ((const struct sockaddr_in *)(const void *)from)->sin_port;
	conns[n_conns++] = conn;
}

static int
setup(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(address);

	(void)state;
	assert_true(log_set_level("off", NULL));
	address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, N_CLIENTS), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	base = event_base_new();
	acceptor = acceptor_create(base, fd, "test", accepted, &n_conns);
	n_conns = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	acceptor_destroy(acceptor);
	event_base_free(base);
	return 0;
}

static void
connect_clients(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(
			connect(clients[i], (struct sockaddr *)&address, sizeof(address)), 0);
	}
}

static void
close_all(unsigned n)
{
	assert_int_equal(n_conns, n);
	for (unsigned i = 0; i < n; i++) {
		close(clients[i]);
		close(conns[i]);
	}
}

static void
test_acceptor_hands_over_in_turns(void **state)
{
	(void)state;
	connect_clients(N_CLIENTS);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_int_equal(n_conns, ACCEPTOR_TURN);
	event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	for (unsigned i = 0; i < N_CLIENTS; i++) {
		struct sockaddr_in own;
		socklen_t len = sizeof(own);

		assert_int_equal(getsockname(clients[i], (struct sockaddr *)&own, &len), 0);
		assert_int_equal(ports[i], own.sin_port);
	}
	assert_int_equal(acceptor_rests(acceptor), 0);
	close_all(N_CLIENTS);
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Without a free descriptor it tries once a rest, however often the loop turns. */
static void
test_acceptor_rests_without_descriptors(void **state)
{
	struct rlimit before, none;
	uint64_t begin_ms, took_ms;
	int lowest;

	(void)state;
	connect_clients(2);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	lowest = dup(0);
	assert_true(lowest >= 0);
	close(lowest);
	none = before;
	none.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	begin_ms = now_ms();
	for (unsigned i = 0; i < 1000; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	}
	took_ms = now_ms() - begin_ms;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(n_conns, 0);
	assert_in_range(acceptor_rests(acceptor), 1, 1 + (took_ms + 1) / ACCEPTOR_REST_MS);
	/* There are some again: nobody is lost. Without the timer nothing would be pending. */
	while (n_conns < 2) {
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	}
	close_all(2);
}

int
main(void)
{
#define TEST(F) cmocka_unit_test_setup_teardown(F, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_acceptor_hands_over_in_turns),
		TEST(test_acceptor_rests_without_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
