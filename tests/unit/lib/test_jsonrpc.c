/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON-RPC: messages, lines, and peers over a socket.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/error.h"
#include "lib/jsonrpc.h"
#include "lib/jsonrpc_internal.h"
#include "lib/log.h"
#include "lib/unix_socket.h"
#include "tests/unit/lib/random.h"

/* --- messages --------------------------------------------------------------------------------------- */

static const char *const good[] = {
	"{\"method\":\"m\",\"id\":1}",
	"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{},\"id\":\"x\"}",
	"{\"method\":\"m\"}",
	"{\"result\":null,\"id\":1}",
	"{\"result\":5,\"error\":null,\"id\":1}",
	"{\"error\":{\"code\":-1,\"message\":\"m\"},\"id\":null}",
};

static const struct {
	const char *line;
	int code;
} bad[] = {
	{"", RPC_PARSE_ERROR},
	{"{", RPC_PARSE_ERROR},
	{"{\"method\":\"m\"} x", RPC_PARSE_ERROR},
	{"{\"method\":\"m\",\"method\":\"n\"}", RPC_PARSE_ERROR},
	{"{\"method\":\"\xff\"}", RPC_PARSE_ERROR},
	{"[]", RPC_INVALID_REQUEST},
	{"{}", RPC_INVALID_REQUEST},
	{"{\"method\":5,\"id\":1}", RPC_INVALID_REQUEST},
	{"{\"method\":\"m\",\"params\":[1],\"id\":1}", RPC_INVALID_REQUEST},
	{"{\"method\":\"m\",\"id\":{}}", RPC_INVALID_REQUEST},
	{"{\"result\":5}", RPC_INVALID_REQUEST},
	{"{\"id\":5}", RPC_INVALID_REQUEST},
	{"{\"error\":5,\"id\":1}", RPC_INVALID_REQUEST},
	{"{\"error\":{\"code\":\"x\",\"message\":\"m\"},\"id\":1}", RPC_INVALID_REQUEST},
	{"{\"error\":{\"code\":1},\"id\":1}", RPC_INVALID_REQUEST},
};

static void
test_jsonrpc_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(rpc_message_check(good[i], strlen(good[i]), NULL));
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct weft_error err = WEFT_ERROR_INIT;

		assert_false(rpc_message_check(bad[i].line, strlen(bad[i].line), &err));
		assert_int_equal(err.domain, WEFT_ERR_RPC);
		assert_int_equal(err.code, bad[i].code);
	}
}

/* Lines come out whole, however the bytes came in. */
static void
test_jsonrpc_lines(void **state)
{
	static char sent[20000];
	struct rpc_line_buffer b = {0};
	size_t put = 0, got = 0, len;

	(void)state;
	random_begin("jsonrpc lines");
	for (size_t i = 0; i < sizeof sent; i++) {
		sent[i] = random_below(30) ? 'x' : '\n';
	}
	sent[sizeof sent - 1] = '\n';
	while (got < sizeof sent) {
		size_t n = random_below(200);
		const char *line;

		n = n < sizeof sent - put ? n : sizeof sent - put;
		memcpy(rpc_line_buffer_room(&b, n), sent + put, n);
		rpc_line_buffer_added(&b, n);
		put += n;
		while (random_below(5) && (line = rpc_line_buffer_next(&b, &len))) {
			assert_memory_equal(line, sent + got, len);
			assert_null(memchr(line, '\n', len));
			assert_int_equal(sent[got + len], '\n');
			got += len + 1;
		}
	}
	assert_null(rpc_line_buffer_next(&b, &len));
	rpc_line_buffer_uninit(&b);
}

/* --- peers ------------------------------------------------------------------------------------------ */

static struct event_base *base;
static struct rpc_server *server;
static char dir[] = "/tmp/weft-test-XXXXXX", path[64];
static struct rpc_call *kept;
static unsigned n_notified, n_closed, n_peer_closed;

static void
run_echo(struct rpc_call *call, json_t *params, void *user)
{
	if (call) {
		rpc_call_reply(call, json_incref(params));
	} else {
		n_notified++;
	}
}

static void
run_fail(struct rpc_call *call, json_t *params, void *user)
{
	/* Cut within a character, as a long error may be. */
	rpc_call_fail(call, RPC_FAILED, "no caf\xc3");
}

static void
run_keep(struct rpc_call *call, json_t *params, void *user)
{
	kept = call;
}

static void
run_files(struct rpc_call *call, json_t *params, void *user)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "hello", 5), 5);
	rpc_call_reply_fds(call, NULL, fds, 2);
	close(fds[0]);
	close(fds[1]);
}

static void
on_peer_closed(struct rpc_peer *p, void *user)
{
	n_peer_closed++;
}

static void
run_watch(struct rpc_call *call, json_t *params, void *user)
{
	rpc_peer_on_close(rpc_call_peer(call), on_peer_closed, NULL);
	rpc_call_reply(call, NULL);
}

static void
run_text(struct rpc_call *call, json_t *params, void *user)
{
	rpc_call_reply_text(call, "{\"a\":[1,\"\\u00e9\"]}");
}

static const struct rpc_method rows[] = {
	{"echo", run_echo},
	{"fail", run_fail},
	{"keep", run_keep},
	{"files", run_files},
	{"watch", run_watch},
	{"text", run_text},
};
static const struct rpc_methods methods = {rows, sizeof rows / sizeof rows[0], NULL};

struct answer {
	bool come;
	json_t *result;
	struct weft_error err;
	int fds[4];
	size_t n_fds;
};

static void
on_reply(json_t *result, const struct weft_error *err, const int *fds, size_t n_fds, void *user)
{
	struct answer *a = user;

	a->come = true;
	a->result = json_incref(result);
	if (err) {
		a->err = *err;
	}
	assert_true(n_fds <= 4);
	a->n_fds = n_fds;
	memcpy(a->fds, fds ? fds : a->fds, n_fds * sizeof fds[0]);
}

static void
on_closed(void *user)
{
	n_closed++;
}

static void
turn(void)
{
	struct timeval limit = {5, 0};

	event_base_loopexit(base, &limit);
	event_base_loop(base, EVLOOP_ONCE);
}

static void
wait_for(struct answer *a)
{
	for (unsigned i = 0; i < 1000 && !a->come; i++) {
		turn();
	}
	assert_true(a->come);
}

static struct rpc_peer *
connect_peer(void)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct rpc_peer *p =
		rpc_peer_connect(base, path, "the server", &methods, on_closed, NULL, &err);

	assert_non_null(p);
	return p;
}

static int
setup(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;

	assert_true(log_set_level("off", NULL));
	strcpy(dir, "/tmp/weft-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	base = event_base_new();
	server = rpc_server_create(base, path, NULL, &methods, &err);
	assert_non_null(server);
	kept = NULL;
	n_notified = n_closed = n_peer_closed = 0;
	return 0;
}

static int
teardown(void **state)
{
	rpc_server_destroy(server);
	for (unsigned i = 0; i < 3; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	event_base_free(base);
	assert_int_equal(access(path, F_OK), -1);
	rmdir(dir);
	return 0;
}

static void
test_jsonrpc_calls(void **state)
{
	struct rpc_peer *p = connect_peer();
	struct answer echo = {0}, fail = {0}, unknown = {0}, files = {0}, late = {0};
	char text[8];

	rpc_peer_notify(p, "echo", NULL);
	rpc_peer_call(p, "keep", NULL, on_reply, &late);
	rpc_peer_call(p, "echo", json_pack("{s:i}", "x", 5), on_reply, &echo);
	rpc_peer_call(p, "fail", NULL, on_reply, &fail);
	rpc_peer_call(p, "nothing", NULL, on_reply, &unknown);
	rpc_peer_call(p, "files", NULL, on_reply, &files);
	wait_for(&files);
	assert_int_equal(n_notified, 1);
	assert_true(echo.come && fail.come && unknown.come && !late.come);
	assert_int_equal(json_integer_value(json_object_get(echo.result, "x")), 5);
	assert_null(fail.result);
	assert_int_equal(fail.err.code, RPC_FAILED);
	assert_string_equal(fail.err.text, "no caf?");
	assert_int_equal(unknown.err.code, RPC_METHOD_NOT_FOUND);
	assert_string_equal(unknown.err.text, "no method \"nothing\"");
	assert_int_equal(files.n_fds, 2);
	assert_int_equal(read(files.fds[0], text, sizeof text), 5);
	assert_memory_equal(text, "hello", 5);
	assert_true(fcntl(files.fds[0], F_GETFD) & FD_CLOEXEC);
	close(files.fds[0]);
	close(files.fds[1]);
	rpc_call_reply(kept, json_integer(7));
	wait_for(&late);
	assert_int_equal(json_integer_value(late.result), 7);
	json_decref(echo.result);
	json_decref(files.result);
	json_decref(late.result);
	assert_int_equal(rpc_server_counters(server)->errors, 2);
	assert_int_equal(rpc_server_counters(server)->requests, 6);
	rpc_peer_destroy(p);
	assert_int_equal(n_closed, 0);
}

static void
test_jsonrpc_replies_with_text(void **state)
{
	struct rpc_peer *p = connect_peer();
	struct answer text = {0}, lost = {0};

	rpc_peer_call(p, "text", NULL, on_reply, &text);
	wait_for(&text);
	assert_int_equal(json_array_size(json_object_get(text.result, "a")), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(text.result, "a"), 1)), "\u00e9");
	json_decref(text.result);
	/* The peer has gone: swallowed. */
	rpc_peer_call(p, "watch", NULL, on_reply, &lost);
	wait_for(&lost);
	json_decref(lost.result);
	lost = (struct answer){0};
	rpc_peer_call(p, "keep", NULL, on_reply, &lost);
	while (!kept) {
		turn();
	}
	rpc_peer_destroy(p);
	while (!n_peer_closed) {
		turn();
	}
	rpc_call_reply_text(kept, "1");
}

static void
test_jsonrpc_closing(void **state)
{
	struct rpc_peer *p = connect_peer(), *other;
	struct answer watch = {0}, lost = {0};

	rpc_peer_call(p, "watch", NULL, on_reply, &watch);
	rpc_peer_call(p, "keep", NULL, on_reply, &lost);
	wait_for(&watch);
	while (!kept) {
		turn();
	}
	rpc_peer_destroy(p);
	assert_true(lost.come);
	assert_null(lost.result);
	assert_int_equal(lost.err.code, ECONNRESET);
	while (!n_peer_closed) {
		turn();
	}
	assert_null(rpc_call_peer(kept));
	rpc_call_reply(kept, json_integer(1)); /* swallowed */

	other = connect_peer();
	(void)other;
	while (rpc_server_counters(server)->accepted < 2) {
		turn();
	}
	rpc_server_destroy(server);
	server = NULL;
	while (!n_closed) {
		turn();
	}
}

/* Turns until nothing is left to do: a loop that never rests is found out. */
static void
turn_until_idle(void)
{
	struct timeval limit = {5, 0};

	event_base_loopexit(base, &limit);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_false(event_base_got_exit(base));
}

/* A client that watches, has one call kept, and has closed its sending half. */
static int
open_half_closed(void)
{
	static const char lines[] =
		"{\"method\":\"watch\",\"id\":1}\n{\"method\":\"keep\",\"id\":2}\n";
	int fd = unix_connect(path, "the server", NULL);
	char reply[100];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, lines, sizeof lines - 1), sizeof lines - 1);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	kept = NULL;
	while (!kept) {
		turn();
	}
	turn_until_idle();
	assert_true(read(fd, reply, sizeof reply) > 0); /* of "watch" */
	assert_int_equal(n_peer_closed, 0);
	assert_non_null(rpc_call_peer(kept));
	return fd;
}

/* More than the socket's buffer holds: it goes out in several turns. */
static void
test_jsonrpc_half_closed_gets_late_answer(void **state)
{
	enum { SIZE = 3 << 20 };
	int fd = open_half_closed();
	char *big = malloc(SIZE), *got = malloc(SIZE + 100);
	size_t n_got = 0;
	ssize_t n = -1;
	json_t *message;

	memset(big, 'x', SIZE);
	rpc_call_reply(kept, json_stringn(big, SIZE));
	while (n != 0) {
		turn_until_idle();
		n = recv(fd, got + n_got, SIZE + 100 - n_got, MSG_DONTWAIT);
		assert_true(n >= 0);
		n_got += (size_t)n;
	}
	message = json_loadb(got, n_got, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(message, "id")), 2);
	assert_int_equal(json_string_length(json_object_get(message, "result")), SIZE);
	assert_int_equal(n_peer_closed, 1);
	json_decref(message);
	free(big);
	free(got);
	close(fd);
}

/* Whoever serves it must know: it may have been killed. */
static void
test_jsonrpc_half_closed_then_gone(void **state)
{
	close(open_half_closed());
	turn_until_idle();
	assert_int_equal(n_peer_closed, 1);
	assert_null(rpc_call_peer(kept));
	rpc_call_reply(kept, json_integer(1)); /* swallowed */
}

/* Garbage is answered, counted, and ends that connection alone. */
static void
test_jsonrpc_garbage(void **state)
{
	static const char *const lines[] = {
		"GET / HTTP/1.0\n", "{}\n", "[1]\n", "\n", "\xff\xfe\n"};
	struct rpc_peer *p = connect_peer();
	struct answer echo = {0};

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		int fd = unix_connect(path, "the server", NULL);
		char reply[500];
		ssize_t n;

		assert_true(fd >= 0);
		assert_int_equal(write(fd, lines[i], strlen(lines[i])), strlen(lines[i]));
		while (rpc_server_counters(server)->garbage < i + 1) {
			turn();
		}
		n = read(fd, reply, sizeof reply);
		assert_true(n > 0);
		assert_int_equal(reply[n - 1], '\n');
		assert_true(rpc_message_check(reply, (size_t)n - 1, NULL));
		assert_int_equal(read(fd, reply, sizeof reply), 0);
		close(fd);
	}
	rpc_peer_call(p, "echo", NULL, on_reply, &echo);
	wait_for(&echo);
	json_decref(echo.result);
	rpc_peer_destroy(p);
}

static void *
call_blocking(void *arg)
{
	struct weft_error *errors = arg;
	struct rpc_client *c = rpc_client_open(path, "the server", NULL);
	json_t *result = rpc_client_call(c, "echo", json_pack("{s:i}", "x", 5), 5000, NULL);
	int fds[4];
	size_t n_fds = 4;

	if (json_integer_value(json_object_get(result, "x")) != 5) {
		weft_error_set(&errors[0], WEFT_ERR_INVALID, 0, "no echo");
	}
	json_decref(result);
	rpc_client_call(c, "fail", NULL, 5000, &errors[1]);
	json_decref(rpc_client_call_fds(c, "files", NULL, 5000, fds, &n_fds, NULL));
	if (n_fds != 2) {
		weft_error_set(&errors[0], WEFT_ERR_INVALID, 0, "no files");
	}
	close(fds[0]);
	close(fds[1]);
	rpc_client_call(c, "keep", NULL, 50, &errors[2]); /* nobody answers */
	rpc_client_close(c);
	return NULL;
}

static void
test_jsonrpc_blocking_client(void **state)
{
	struct weft_error errors[3] = {WEFT_ERROR_INIT, WEFT_ERROR_INIT, WEFT_ERROR_INIT},
			  err = errors[0];
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, call_blocking, errors), 0);
	while (!kept || rpc_call_peer(kept)) {
		turn();
	}
	pthread_join(thread, NULL);
	assert_false(weft_error_is_set(&errors[0]));
	assert_string_equal(errors[1].text, "no caf?");
	assert_int_equal(errors[2].code, ETIMEDOUT);
	assert_string_equal(errors[2].text, "the server does not answer");
	rpc_call_fail(kept, RPC_FAILED, "too late");
	strcat(path, "x");
	assert_null(rpc_client_open(path, "the server", &err));
	assert_true(weft_error_is_set(&err));
	path[strlen(path) - 1] = '\0';
}

/* --- sockets ---------------------------------------------------------------------------------------- */

static void
test_unix_socket_takes_over_the_dead_alone(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	char other[80], longest[200];
	int fd;

	assert_int_equal(unix_listen(path, NULL, &err), -1); /* the server listens */
	assert_int_equal(err.code, EADDRINUSE);
	snprintf(other, sizeof other, "%s/o", dir);
	fd = unix_listen(other, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(access(other, F_OK), 0); /* stale now */
	fd = unix_listen(other, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	unlink(other);
	fd = open(other, O_CREAT | O_WRONLY, 0600);
	close(fd);
	weft_error_init(&err);
	assert_int_equal(unix_listen(other, NULL, &err), -1);
	assert_int_equal(err.code, EEXIST);
	assert_int_equal(access(other, F_OK), 0);
	unlink(other);
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	weft_error_init(&err);
	assert_int_equal(unix_listen(longest, NULL, &err), -1);
	assert_int_equal(err.code, ENAMETOOLONG);
}

int
main(void)
{
#define TEST(F) cmocka_unit_test_setup_teardown(F, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jsonrpc_messages),
		cmocka_unit_test(test_jsonrpc_lines),
		TEST(test_jsonrpc_calls),
		TEST(test_jsonrpc_replies_with_text),
		TEST(test_jsonrpc_closing),
		TEST(test_jsonrpc_half_closed_gets_late_answer),
		TEST(test_jsonrpc_half_closed_then_gone),
		TEST(test_jsonrpc_garbage),
		TEST(test_jsonrpc_blocking_client),
		TEST(test_unix_socket_takes_over_the_dead_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
