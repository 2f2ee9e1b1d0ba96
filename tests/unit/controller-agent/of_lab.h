/* SPDX-License-Identifier: Apache-2.0
 *
 * What tests of the OpenFlow side share: a loop, a clock that stands still until it is moved, and a raw peer
 * at the other end of a socket.
 */
#pragma once

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"

struct lab {
	struct event_base *base;
	uint64_t now_ms;
};

static inline uint64_t
lab_now(void *user)
{
	return ((struct lab *)user)->now_ms;
}

static inline void
lab_open(struct lab *lab)
{
	lab->base = event_base_new();
	lab->now_ms = 1000000;
}

static inline void
lab_close(struct lab *lab)
{
	event_base_free(lab->base);
}

/* Lets the loop do all that it can do now. */
static inline void
lab_run(struct lab *lab)
{
	for (int i = 0; i < 50; i++) {
		event_base_loop(lab->base, EVLOOP_NONBLOCK);
	}
}

/* A pair of sockets, both non-blocking. */
static inline void
lab_pair(int fds[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static inline void
raw_send(int fd, const void *data, size_t size)
{
	assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Bytes from text such as "04 00 0010 00000001"; blanks do not count. */
static inline size_t
from_hex(const char *text, uint8_t *bytes, size_t size)
{
	size_t n = 0;
	unsigned value;

	for (; *text; text++) {
		if (*text == ' ' || *text == '\n' || *text == '\t') {
			continue;
		}
		assert_true(n < size);
		assert_int_equal(sscanf(text, "%2x", &value), 1);
		bytes[n++] = (uint8_t)value;
		text++;
	}
	return n;
}

static inline void
send_hex(int fd, const char *text)
{
	uint8_t bytes[4096];
	size_t n = from_hex(text, bytes, sizeof(bytes));

	raw_send(fd, bytes, n);
}

/* Whatever has arrived; -1: nothing, 0: the end. */
static inline ssize_t
raw_recv(int fd, uint8_t *bytes, size_t size)
{
	ssize_t n = recv(fd, bytes, size, MSG_DONTWAIT);

	return n < 0 ? -1 : n;
}

/* What has arrived is exactly these bytes. */
static inline void
expect_hex(int fd, const char *text)
{
	uint8_t wanted[4096], got[4096];
	size_t n = from_hex(text, wanted, sizeof(wanted));
	ssize_t n_got = raw_recv(fd, got, sizeof(got));

	if (n_got != (ssize_t)n || memcmp(got, wanted, n) != 0) {
		fprintf(stderr, "wanted %zu bytes, got %zd:", n, n_got);
		for (ssize_t i = 0; i < n_got; i++) {
			fprintf(stderr, "%s%02x", i % 4 ? "" : " ", got[i]);
		}
		fprintf(stderr, "\n");
		fail();
	}
}

static inline void
expect_nothing(int fd)
{
	uint8_t got[16];

	assert_int_equal(raw_recv(fd, got, sizeof(got)), -1);
}

static inline void
expect_end(int fd)
{
	uint8_t got[16];

	assert_int_equal(raw_recv(fd, got, sizeof(got)), 0);
}

/* Receives one whole message; its length. */
static inline size_t
recv_message(int fd, uint8_t *msg, size_t size)
{
	size_t len;

	assert_int_equal(recv(fd, msg, 8, MSG_DONTWAIT), 8);
	len = get_be16(msg + 2);
	assert_true(len >= 8 && len <= size);
	if (len > 8) {
		assert_int_equal(recv(fd, msg + 8, len - 8, MSG_DONTWAIT), (ssize_t)(len - 8));
	}
	return len;
}
