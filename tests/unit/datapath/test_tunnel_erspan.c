/* SPDX-License-Identifier: Apache-2.0
 *
 * Mirrored packets in a worker's hands: what is cut and says so, numbers over all workers (rig.h).
 *
 *     guest 1 --+-- worker --+
 *               |            +-- collector 2
 *     guest 4 --+-- worker --+
 *                   tunnel 3
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/rig_object.h"

#define TUNNEL 3
#define N_PORTS 4
#define L3 14
#define GRE (L3 + 20)
#define HEADER (GRE + 8) /* ERSPAN's */
#define TRUNCATED 0x0400

static struct rig_agent agent;
static struct port *ports[N_PORTS + 1];
static uint8_t bytes[4096];

/* Ethernet, IPv4 with the don't-fragment bit, GRE with a sequence number, type II with session 5; type III, whose
 * direction is outward. */
static const uint8_t type_2[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0,
	0x40, 0, 64, 47, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x10, 0, 0x88, 0xbe, 0, 0, 0, 0, 0x10, 0,
	0, 5, 0, 0, 0, 7};
static const uint8_t type_3[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0,
	0x40, 0, 64, 47, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x10, 0, 0x22, 0xeb, 0, 0, 0, 0, 0x20, 0,
	0, 5, 0, 0, 0, 0, 0, 0, 0x80, 0x28};

static void
begin(unsigned n_workers)
{
	rig_start(n_workers);
	for (uint16_t i = 1; i <= N_PORTS; i++) {
		ports[i] = rig_port_add(i, NULL);
	}
	rig_agent_open(&agent, 1);
}

static void
end(void)
{
	rig_assert_books();
	rig_agent_close(&agent, true);
	rig_stop();
}

/* What comes in by @from goes to the collector with that header. */
static void
watch(uint16_t from, struct dp_encap e, const uint8_t *header, uint16_t size)
{
	struct dp_handle object = RIG_NONE;
	uint8_t padded[64] = {0};
	struct rig_body body;
	char text[128];

	e.kind = DP_TUNNEL_ERSPAN;
	e.l3_off = L3;
	e.l4_off = GRE;
	e.size = size;
	e.port = TUNNEL;
	memcpy(padded, header, size);
	rig_body_init(&body, DP_OBJECT_ENCAP);
	dp_actions_append(&body.bytes, &e, sizeof e);
	dp_actions_append(&body.bytes, padded, WEFT_ROUND_UP(size, 8));
	assert_int_equal(rig_object_put(&agent, &body, &object), 0);
	rig_body_uninit(&body);
	snprintf(text, sizeof text, "%s,output(2)", rig_on("encap", object));
	rig_wire(&agent, from, text);
}

/* The next one has @len bytes of @frame, and says whether that is all of it. */
static void
expect(const uint8_t *frame, size_t len, bool is_cut, uint32_t sequence)
{
	size_t got = rig_receive(ports[2], bytes, sizeof bytes);

	assert_int_equal(got, sizeof type_2 + len);
	assert_int_equal(get_be16(bytes + L3 + 2), got - L3);
	assert_int_equal(lab_csum(bytes + L3, 20, 0), 0xffff);
	assert_int_equal(get_be32(bytes + GRE + 4), sequence);
	assert_int_equal(get_be16(bytes + HEADER + 2), 5 | (is_cut ? TRUNCATED : 0));
	assert_int_equal(get_be32(bytes + HEADER + 4), 7);
	assert_memory_equal(bytes + sizeof type_2, frame, len);
}

static void
test_tunnel_erspan_cuts(void **state)
{
	struct lab_frame f;
	struct packet *p;

	(void)state;
	begin(1);
	lab_seed("cuts");
	lab_frame(&f, LAB_UDP4, 0, 301);
	/* To a length. */
	watch(1, (struct dp_encap){.max_len = 100}, type_2, sizeof type_2);
	rig_send(ports[1], f.bytes, f.len);
	expect(f.bytes, 100, true, 0);
	/* To what goes over the path; the header's numbers go on with other headers. */
	watch(1, (struct dp_encap){.mtu = 136, .too_long = DP_ENCAP_CUT}, type_2, sizeof type_2);
	rig_send(ports[1], f.bytes, f.len);
	expect(f.bytes, 100, true, 1);
	/* The one that is less. */
	watch(1, (struct dp_encap){.mtu = 136, .max_len = 50, .too_long = DP_ENCAP_CUT}, type_2,
		sizeof type_2);
	rig_send(ports[1], f.bytes, f.len);
	expect(f.bytes, 50, true, 2);
	/* One that fits to the byte. */
	watch(1,
		(struct dp_encap){.mtu = (uint16_t)(f.len + 36),
			.max_len = (uint16_t)f.len,
			.too_long = DP_ENCAP_CUT},
		type_2, sizeof type_2);
	rig_send(ports[1], f.bytes, f.len);
	expect(f.bytes, f.len, false, 3);
	/* A checksum that was left to us is of the whole. */
	watch(1, (struct dp_encap){.max_len = 100}, type_2, sizeof type_2);
	p = lab_packet(f.bytes, f.len, 1, 0);
	p->flags = PACKET_CSUM_PARTIAL;
	p->csum_start = (uint16_t)f.l4;
	p->csum_offset = 6;
	put_be16(p->data + f.l4 + 6,
		lab_csum(f.bytes + f.l3 + 12, 8, 17 + (uint32_t)(f.len - f.l4)));
	rig_send_packet(ports[1], p);
	lab_frame_csums(&f, false);
	expect(f.bytes, 100, true, 4);
	/* Each piece of one that is still to be cut in segments. */
	lab_frame(&f, LAB_TCP4, 0, 500);
	p = lab_packet(f.bytes, f.len, 1, 0);
	p->flags = PACKET_CSUM_PARTIAL | PACKET_GSO_TCP4;
	p->gso_size = 400;
	p->csum_start = (uint16_t)f.l4;
	p->csum_offset = 16;
	rig_send_packet(ports[1], p);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rig_receive(ports[2], bytes, sizeof bytes), sizeof type_2 + 100);
		assert_int_equal(get_be32(bytes + GRE + 4), 5 + i);
		assert_int_equal(get_be16(bytes + HEADER + 2), 5 | TRUNCATED);
		assert_int_equal(get_be16(bytes + sizeof type_2 + f.l3 + 2),
			20 + 20 + (i ? 100 : 400)); /* what the segment was */
	}
	rig_wait(!rig_n_waiting(ports[2]));
	end();
}

/* What guest 1 and guest 4 send are numbered as one stream, whoever sends it. */
static void
test_tunnel_erspan_numbers_over_workers(void **state)
{
	bool seen[4 * RIG_MANY] = {false};
	uint32_t last[2] = {0, 0}, n[2] = {0, 0};
	struct lab_frame f[2];

	(void)state;
	begin(2);
	lab_seed("numbers");
	for (unsigned i = 0; i < 2; i++) {
		lab_frame(&f[i], LAB_UDP4, 0, 60 + i);
		watch(i ? 4 : 1, (struct dp_encap){.mtu = 1500}, type_3, sizeof type_3);
	}
	for (unsigned round = 0; round < 2; round++) {
		rig_send_many(ports[1], f[0].bytes, f[0].len, RIG_MANY);
		rig_send_many(ports[4], f[1].bytes, f[1].len, RIG_MANY);
		for (unsigned i = 0; i < 2 * RIG_MANY; i++) {
			size_t len = rig_receive(ports[2], bytes, sizeof bytes);
			unsigned from = len == sizeof type_3 + f[1].len;
			uint32_t number = get_be32(bytes + GRE + 4);

			assert_true(number < WEFT_ARRAY_SIZE(seen) && !seen[number]);
			seen[number] = true;
			/* Each sender's in order. */
			assert_true(!n[from] || number > last[from]);
			last[from] = number;
			n[from]++;
			assert_int_equal(get_be32(bytes + HEADER), 0x20000005);
			assert_int_equal(get_be32(bytes + HEADER + 8), 0x8028);
			assert_memory_equal(bytes + sizeof type_3, f[from].bytes, f[from].len);
		}
	}
	assert_int_equal(n[0], 2 * RIG_MANY);
	assert_int_equal(n[1], 2 * RIG_MANY);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(atomic_load(&workers.list[i]->n_packets));
	}
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_erspan_cuts),
		cmocka_unit_test(test_tunnel_erspan_numbers_over_workers),
	};

	return cmocka_run_group_tests_name("tunnel_erspan", tests, lab_start, NULL);
}
