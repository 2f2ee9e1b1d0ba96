/* SPDX-License-Identifier: Apache-2.0
 *
 * A service with something of everything in it, and all of it as bytes, to be compared: what is refused must have
 * changed nothing.
 */
#pragma once

#include "lib/strbuf.h"
#include "tests/unit/controller-agent/of_world.h"

struct state_world {
	struct world w;
	int fd;    /* an equal */
	int slave; /* of generation 5 */
	struct strbuf state;
};

/* Lets @fd have all that there is for it. */
static inline void
state_read(struct state_world *s, int fd, struct strbuf *all)
{
	static uint8_t bytes[65536];
	ssize_t n;

	strbuf_clear(all);
	do {
		world_run(&s->w);
		n = raw_recv(fd, bytes, sizeof(bytes));
		if (n > 0) {
			strbuf_put_bytes(all, bytes, (size_t)n);
		}
	} while (n > 0);
}

/* Sends what may be longer than a socket takes at once. */
static inline void
state_send(struct state_world *s, int fd, const uint8_t *msg, size_t len)
{
	for (size_t at = 0; at < len; at += 8192) {
		raw_send(fd, msg + at, WEFT_MIN(len - at, (size_t)8192));
		world_run(&s->w);
	}
}

/* Flows, groups, meters and their users, ports; configuration, filters and role of the connection; packets sent,
 * ports changed. */
static inline void
state_note(struct state_world *s, struct strbuf *state)
{
	send_hex(s->fd,
		"04120038000000a10001000000000000ff000000ffffffffffffffff000000000000000000000000"
		"000000000000000000010004 00000000"
		"04120018000000a20006000000000000fffffffc00000000 04120010000000a30007000000000000"
		"04120018000000a40009000000000000ffffffff00000000"
		"04120018000000a5000a000000000000ffffffff00000000 04120010000000a6000d000000000000"
		"04070008000000a7 041a0008000000a8"
		"04180018000000a9 00000000 00000000 0000000000000000");
	state_read(s, s->fd, state);
	strbuf_put_bytes(state, &s->w.n_packet_outs, sizeof(s->w.n_packet_outs));
	strbuf_put_bytes(state, &s->w.n_port_mods, sizeof(s->w.n_port_mods));
}

/* Group 100, group 101 that leads to it, meter 100, and in table 3 a rule of priority 1 that uses both. */
static inline void
state_open(struct state_world *s)
{
	world_open(&s->w);
	s->fd = world_client(&s->w);
	s->slave = world_client(&s->w);
	strbuf_init(&s->state);
	send_hex(s->slave, "0418001800000001 00000003 00000000 0000000000000005");
	send_hex(s->fd,
		"040f0030112233440000 00 00 00000064 0020 0000 ffffffff ffffffff 00000000"
		"0000 0010 00000002 0000 000000000000"
		"040f0028112233440000 02 00 00000065 0018 0000 ffffffff ffffffff 00000000"
		"0016 0008 00000064"
		"041d0020112233440000 0001 00000064 0001 0010 00000064 0000000a 00000000"
		"040e005811223344 0000000000000007 0000000000000000 03 00 0000 0000 0001 ffffffff"
		"ffffffff ffffffff 0000 0000 0001 000c 80000004 00000001 00000000"
		"0006 0008 00000064 0004 0010 00000000 0016 0008 00000065");
	state_read(s, s->slave, &s->state);
	assert_int_equal(s->state.len, 24);
	expect_nothing(s->fd);
	state_note(s, &s->state);
	assert_int_equal(of_service_counters(s->w.service)->errors_sent, 0);
	assert_int_equal(ofproto_n_rules(s->w.ofproto), 1);
}

static inline void
state_close(struct state_world *s)
{
	close(s->fd);
	close(s->slave);
	strbuf_uninit(&s->state);
	world_run(&s->w);
	world_close(&s->w);
}
