/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: ports without a device; what is output to them is for their BFD sessions.
 */
#include "datapath/bfd_frame.h"
#include "datapath/providers.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "tests/unit/datapath/rig.h"

static struct rig_agent agent;

static struct port *
add(uint16_t number, const char *type, const struct port_option *options, size_t n) WEFT_NO_ANALYSIS
{
	struct port_config config = {.socket_id = -1, .options = options, .n_options = n};
	const struct port_provider *provider = provider_find(type, NULL);
	struct port *port;

	assert_non_null(provider);
	assert_true(provider_check_options(provider, options, n, false, NULL));
	port = port_create(number, type, provider, &config, NULL);
	assert_non_null(port);
	port_publish(port);
	return port;
}

static uint64_t
n_received(const struct port *port)
{
	struct port_sums s;

	port_read_counters(port, &s);
	return s.rx_packets;
}

static uint64_t
n_dropped(const struct port *port, enum drop_reason reason)
{
	struct port_sums s;

	port_read_counters(port, &s);
	return s.drops[reason];
}

/* Guest 1 -- p1 == datapath == three tunnel ports */
static void
test_tunnel_port_without_bfd_is_live_and_takes_nothing(void **state)
{
	static const char *const types[] = {"vxlan", "geneve", "gre"};
	struct port *p1, *tunnels[3];
	struct port_sums s;
	struct lab_frame f;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	for (unsigned i = 0; i < 3; i++) {
		tunnels[i] = add((uint16_t)(2 + i), types[i], NULL, 0);
		assert_true(port_is_live(2 + i));
	}
	rig_agent_open(&agent, 1);
	rig_wire(&agent, 1, "output(2),output(3),output(4)");
	lab_frame(&f, LAB_UDP4, 0, 40);
	for (unsigned i = 0; i < 100; i++) {
		rig_send(p1, f.bytes, f.len);
	}
	for (unsigned i = 0; i < 3; i++) {
		rig_wait(n_dropped(tunnels[i], DROP_BFD_UNKNOWN) == 100);
		port_read_counters(tunnels[i], &s);
		assert_int_equal(s.dropped, 100);
		assert_int_equal(s.tx_packets, 0);
	}
	rig_agent_close(&agent, true);
	rig_stop(); /* looks at the books, and whether buffers came back */
}

#define TTL_AT 22u
#define BFD_AT 42u
static const struct port_option bfd_options[] = {
	{"bfd", "yes"}, {"bfd-min-tx", "60000"}, {"bfd-min-rx", "60000"}, {"bfd-mult", "255"}};

/* The neighbour says something, as the bytes of a frame that the port itself has made say it, with UDP's checksum
 * taken out. */
static void
say(struct port *guest, const uint8_t *made, unsigned state, uint32_t your, uint8_t ttl)
{
	uint8_t frame[BFD_FRAME_LEN];
	uint32_t sum = 0;

	memcpy(frame, made, sizeof(frame));
	frame[TTL_AT] = ttl;
	frame[24] = frame[25] = frame[40] = frame[41] = 0;
	for (unsigned i = 14; i < 34; i += 2) {
		sum += get_be16(frame + i);
	}
	sum = (sum & 0xffff) + (sum >> 16);
	put_be16(frame + 24, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
	frame[BFD_AT] = 1 << 5;
	frame[BFD_AT + 1] = (uint8_t)(state << 6);
	put_be32(frame + BFD_AT + 4, 4711);
	put_be32(frame + BFD_AT + 8, your);
	rig_send(guest, frame, sizeof(frame));
}

/* The next frame that the port makes and its state is @state; its discriminator. */
static uint32_t
receive(struct port *guest, unsigned state, uint8_t *frame)
{
	do {
		assert_int_equal(rig_receive(guest, frame, BFD_FRAME_LEN), BFD_FRAME_LEN);
	} while (frame[BFD_AT + 1] >> 6 != state);
	return get_be32(frame + BFD_AT + 4);
}

static json_t *
session_of(struct port *port)
{
	json_t *details = port->provider->details(port->dev);
	json_t *session = json_incref(json_object_get(details, "bfd"));

	json_decref(details);
	return session;
}

static void
assert_session(struct port *port, const char *key, const char *value)
{
	json_t *session = session_of(port);

	assert_string_equal(json_string_value(json_object_get(session, key)), value);
	json_decref(session);
}

static bool
set(struct port *port, const char *key, const char *value, struct weft_error *err) WEFT_NO_ANALYSIS
{
	struct port_option option = {key, value};

	return provider_check_options(port->provider, &option, 1, true, err) &&
	       port->provider->set(port->dev, &option, 1, err);
}

/* Puts the flow by which the port's own packets leave, when its first one asks for it. */
static void
answer_miss(uint16_t port, const char *actions)
{
	struct dp_upcall miss = *rig_upcall(&agent, 0);
	struct flow_key key = agent.msg.key;
	struct flow_mask mask;

	assert_int_equal(be32_to(key.in_port), port);
	assert_int_equal(be32_to(key.recirc_id), DP_RECIRC_OWN);
	assert_int_equal(miss.packet_len, BFD_FRAME_LEN);
	rig_mask(&mask, FIELD_N);
	assert_int_equal(rig_put(&agent, &key, miss.key_blocks, &mask, 0, actions, NULL), 0);
	rig_execute(&agent, miss.parked, 0, actions);
}

/* Neighbour 1 -- p1 == datapath == tunnel port 2 */
static void
test_tunnel_port_speaks_bfd(void **state)
{
	uint8_t frame[BFD_FRAME_LEN];
	struct port *p1, *tunnel;
	uint32_t mine;

	(void)state;
	rig_start(1);
	rig_agent_open(&agent, 1);
	p1 = rig_port_add(1, NULL);
	rig_wire(&agent, 1, "output(2)");
	tunnel = add(2, "vxlan", bfd_options, WEFT_ARRAY_SIZE(bfd_options));
	assert_false(port_is_live(2));
	answer_miss(2, "output(1)");
	mine = receive(p1, BFD_DOWN, frame);
	assert_int_equal(frame[TTL_AT], 255);
	assert_int_equal(get_be32(frame + BFD_AT + 8), 0);

	say(p1, frame, BFD_INIT, mine + 1, 255);
	rig_wait(n_dropped(tunnel, DROP_BFD_UNKNOWN) == 1);
	say(p1, frame, BFD_INIT, mine, 254);
	say(p1, frame, BFD_INIT, 0, 255);
	rig_wait(n_dropped(tunnel, DROP_BFD_BAD) == 2);
	assert_session(tunnel, "state", "down");

	say(p1, frame, BFD_INIT, mine, 255);
	rig_wait(port_is_live(2));
	assert_session(tunnel, "state", "up");
	assert_int_equal(receive(p1, BFD_UP, frame), mine);
	assert_int_equal(get_be32(frame + BFD_AT + 8), 4711);

	say(p1, frame, BFD_DOWN, mine, 255);
	rig_wait(!port_is_live(2));
	assert_session(tunnel, "diagnostic", "neighbour-down");
	assert_session(tunnel, "remote_state", "down");
	say(p1, frame, BFD_INIT, mine, 255);
	rig_wait(port_is_live(2));

	/* More than it was told to send: most of them go, the port of who sent them counts none. */
	while (!n_dropped(tunnel, DROP_BFD_FLOOD)) {
		uint8_t more[BFD_FRAME_LEN];
		uint64_t before = n_received(p1);

		memcpy(more, frame, sizeof(more));
		put_be32(more + BFD_AT + 4, 4711);
		put_be32(more + BFD_AT + 8, mine);
		memset(more + 40, 0, 2);
		more[BFD_AT + 1] = BFD_UP << 6;
		rig_send_many(p1, more, sizeof(more), RIG_MANY);
		rig_wait(n_received(p1) == before + RIG_MANY);
	}
	assert_true(port_is_live(2));
	rig_agent_close(&agent, true);
	rig_port_del(tunnel);
	rig_stop();
}

static void
set_admin(struct port *port, bool up) WEFT_NO_ANALYSIS
{
	port->provider->set_admin(port->dev, up);
}

static void
test_tunnel_port_changes_bfd(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	uint8_t frame[BFD_FRAME_LEN];
	struct port *p1, *tunnel;
	uint32_t mine;
	json_t *session;

	(void)state;
	rig_start(1);
	rig_agent_open(&agent, 1);
	p1 = rig_port_add(1, NULL);
	rig_wire(&agent, 1, "output(2)");
	tunnel = add(2, "gre", NULL, 0);
	assert_null(session_of(tunnel));
	assert_true(set(tunnel, "bfd-mult", "7", &err));
	assert_true(set(tunnel, "bfd-dst-mac", "02:00:00:00:00:07", &err));
	assert_true(set(tunnel, "bfd-src-mac", "02:00:00:00:00:08", &err));
	assert_true(set(tunnel, "bfd-dst-ip", "10.1.2.3", &err));
	assert_true(set(tunnel, "bfd-src-ip", "10.1.2.4", &err));
	assert_true(port_is_live(2));
	assert_true(set(tunnel, "bfd", "yes", &err));
	assert_false(port_is_live(2));
	answer_miss(2, "output(1)");
	mine = receive(p1, BFD_DOWN, frame);
	assert_memory_equal(frame, "\x02\0\0\0\0\x07\x02\0\0\0\0\x08", 12);
	assert_memory_equal(frame + 26, "\x0a\x01\x02\x04\x0a\x01\x02\x03", 8);
	assert_int_equal(frame[BFD_AT + 2], 7);
	assert_int_equal(get_be32(frame + BFD_AT + 16), 300000);

	say(p1, frame, BFD_INIT, mine, 255);
	rig_wait(port_is_live(2));
	/* What is refused changes nothing; nor does what is the same. */
	assert_false(set(tunnel, "bfd-dst-ip", "10.1.2", &err));
	weft_error_init(&err);
	assert_false(set(tunnel, "bfd-src-mac", "02:00", &err));
	weft_error_init(&err);
	assert_false(set(tunnel, "bfd-src-mac", "-1:00:00:00:00:08", &err));
	weft_error_init(&err);
	assert_false(set(tunnel, "bfd-mult", "0", &err));
	weft_error_init(&err);
	assert_true(set(tunnel, "bfd", "yes", &err));
	assert_true(set(tunnel, "bfd-mult", "", &err)); /* the default */
	assert_session(tunnel, "state", "up");
	session = session_of(tunnel);
	assert_int_equal(json_integer_value(json_object_get(session, "mult")), 3);
	assert_int_equal(json_integer_value(json_object_get(session, "discriminator")), mine);
	json_decref(session);

	set_admin(tunnel, false);
	assert_session(tunnel, "state", "admin-down");
	receive(p1, BFD_ADMIN_DOWN, frame);
	set_admin(tunnel, true);
	receive(p1, BFD_DOWN, frame);
	assert_true(set(tunnel, "bfd", "no", &err));
	assert_null(session_of(tunnel));
	assert_true(port_is_live(2));
	say(p1, frame, BFD_INIT, mine, 255);
	rig_wait(n_dropped(tunnel, DROP_BFD_UNKNOWN) == 1);
	rig_agent_close(&agent, true);
	rig_port_del(tunnel);
	rig_stop();
}

/* Many of them at once, each with a discriminator of its own, made and removed in any order. */
static void
test_tunnel_port_many_sessions(void **state)
{
	enum { N = 300 };
	struct port *tunnels[N];
	uint32_t discrs[N];

	(void)state;
	rig_start(2);
	for (unsigned i = 0; i < N; i++) {
		json_t *session;

		tunnels[i] = add((uint16_t)(2 + i), "geneve", bfd_options, 1);
		session = session_of(tunnels[i]);
		discrs[i] = (uint32_t)json_integer_value(json_object_get(session, "discriminator"));
		assert_int_not_equal(discrs[i], 0);
		for (unsigned k = 0; k < i; k++) {
			assert_int_not_equal(discrs[i], discrs[k]);
		}
		json_decref(session);
	}
	for (unsigned i = 0; i < N; i++) {
		struct port_sums s;

		/* Nobody answers the agent that is not there: each has made a packet. */
		rig_wait((port_read_counters(tunnels[i], &s), s.drops[DROP_NO_AGENT] > 0));
	}
	for (unsigned i = 0; i < N; i++) {
		rig_port_del(tunnels[(i * 7) % N]);
	}
	rig_stop();
}

static void
test_tunnel_port_has_no_other_options(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct port_option option = {"vni", "5"};

	(void)state;
	assert_false(provider_check_options(provider_find("vxlan", NULL), &option, 1, false, &err));
	assert_string_equal(err.text,
		"port type vxlan has no option \"vni\"; it has bfd, bfd-min-tx, bfd-min-rx, bfd-mult, "
		"bfd-src-mac, bfd-dst-mac, bfd-src-ip, bfd-dst-ip");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_port_without_bfd_is_live_and_takes_nothing),
		cmocka_unit_test(test_tunnel_port_speaks_bfd),
		cmocka_unit_test(test_tunnel_port_changes_bfd),
		cmocka_unit_test(test_tunnel_port_many_sessions),
		cmocka_unit_test(test_tunnel_port_has_no_other_options),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
