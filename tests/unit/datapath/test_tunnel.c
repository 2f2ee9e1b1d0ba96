/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: frames in and out, byte for byte; what is refused, and why.
 */
#include "tests/unit/datapath/lab.h"

#include <netinet/in.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/key_hash.h"
#include "datapath/rcu.h"
#include "datapath/tunnel_internal.h"
#include "datapath/tunnel_options.h"
#include "datapath/worker.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "lib/field.h"
#include "lib/packet_parse.h"
#include "lib/strbuf.h"
#include "tests/unit/datapath/tunnel_frames.h"
#include "vhost/packet_mbuf.h"

#define FRAME_MAX 512

static const struct encap_row {
	const char *name;
	uint32_t kind, flags;
	const char *header, *actions, *frame, *outer;
} encap_rows[] = {
#define ENCAP(NAME, KIND, FLAGS, HEADER, ACTIONS, FRAME, OUTER)                                    \
	{#NAME, DP_TUNNEL_##KIND, FLAGS, HEADER, ACTIONS, FRAME, OUTER},
#include "tests/unit/datapath/encap_rows.h"
#undef ENCAP
};

static const struct decap_row {
	const char *name;
	uint32_t kind;
	const char *outer, *frame, *fields;
} decap_rows[] = {
#define DECAP(NAME, KIND, OUTER, FRAME, FIELDS) {#NAME, DP_TUNNEL_##KIND, OUTER, FRAME, FIELDS},
#define BAD(...)
#include "tests/unit/datapath/decap_rows.h"
#undef DECAP
#undef BAD
};

static const struct bad_row {
	const char *name;
	uint32_t kind;
	int reason;
	const char *outer;
} bad_rows[] = {
#define DECAP(...)
#define BAD(NAME, KIND, REASON, OUTER) {#NAME, DP_TUNNEL_##KIND, REASON, OUTER},
#include "tests/unit/datapath/decap_rows.h"
#undef DECAP
#undef BAD
};

static struct worker worker;

static int
start(void **state)
{
	/* An option that must be understood, and one that need not. */
	static const struct dp_tun_opt opts[] = {
		{0x0102, 0x80, 4, 0, 0, {0, 0}},
		{0xffff, 0x03, 8, 4, 5, {0, 0}},
	};

	if (lab_start(state)) {
		return -1;
	}
	worker.pool = lab_pool;
	return tunnel_options_put(opts, WEFT_ARRAY_SIZE(opts));
}

static int
stop(void **state)
{
	(void)state;
	tunnel_options_uninit();
	return lab_n_buffers() ? -1 : 0;
}

static struct tunnel_encap *
encap_of(const struct encap_row *row, struct dp_encap **body)
{
	uint8_t header[DP_ENCAP_MAX_SIZE];
	size_t size = lab_hex(header, sizeof header, row->header);
	uint16_t l3_off = 14;

	while (get_be16(header + l3_off - 2) == 0x8100) {
		l3_off += 4;
	}
	*body = calloc(1, sizeof **body + WEFT_ROUND_UP(size, 8));
	**body = (struct dp_encap){
		.kind = row->kind,
		.flags = row->flags,
		.size = (uint16_t)size,
		.l3_off = l3_off,
		.l4_off = l3_off + (header[l3_off] >> 4 == 6 ? 40 : 20),
		.port = UINT32_MAX,
	};
	memcpy((*body)->header, header, size);
	assert_true(dp_object_validate(
		DP_OBJECT_ENCAP, *body, WEFT_ROUND_UP(sizeof **body + size, 8), 0, NULL));
	return tunnel_encap_create(*body);
}

static const struct encap_row *
row_named(const char *name)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(encap_rows); i++) {
		if (!strcmp(encap_rows[i].name, name)) {
			return &encap_rows[i];
		}
	}
	fail_msg("no row %s", name);
	return NULL;
}

static struct packet *
outer_packet(const uint8_t *outer, size_t len, size_t first)
{
	struct packet *p = lab_packet(outer, len, 1, first);
	struct flow_key key;

	assert_true(packet_parse(p, &key, PARSE_L4));
	return p;
}

/* Does what SET_FIELDs in front of an ENCAP do. */
static void
set_fields(struct packet *p, const char *text)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct dp_actions list;

	dp_actions_init(&list);
	if (*text && !dp_actions_parse(text, strlen(text), &list, &err)) {
		fail_msg("%s: %s", text, err.text);
	}
	for (const struct dp_action_hdr *a = dp_action_first(list.data, list.size); a;
		a = dp_action_next(a, list.data, list.size)) {
		const struct dp_action_set_field *set = (const void *)a;

		assert_int_equal(packet_set_field(p, (enum field_id)set->field, set->data,
					 set->data + set->n_bytes),
			EDIT_OK);
	}
	dp_actions_uninit(&list);
}

/* The outer UDP port is that of the hash; a checksum that should be there is right. Both are then made what the
 * row has. */
static void
check_udp(const char *name, uint8_t *bytes, const uint8_t *wanted, size_t len, size_t l3,
	uint32_t hash)
{
	bool v6 = bytes[l3] >> 4 == 6;
	uint8_t *udp = bytes + l3 + (v6 ? 40 : 20);
	size_t n = len - (size_t)(udp - bytes);

	assert_int_equal(get_be16(udp), 0xc000 | hash >> 18);
	if (get_be16(wanted + (udp - bytes) + 6)) {
		uint32_t pseudo = lab_csum(
			bytes + l3 + (v6 ? 8 : 12), v6 ? 32 : 8, IPPROTO_UDP + (uint32_t)n);

		if (!get_be16(udp + 6) || lab_csum(udp, n, pseudo) != 0xffff) {
			fail_msg("%s: UDP checksum %04x", name, get_be16(udp + 6));
		}
		memcpy(udp + 6, wanted + (udp - bytes) + 6, 2);
	}
	put_be16(udp, 0xcafe);
}

/* The offsets are what parsing anew finds. */
static void
check_offsets(struct packet *p)
{
	struct packet was = *p;
	struct flow_key key;

	assert_true(packet_parse(p, &key, PARSE_L4));
	assert_int_equal(was.l3_off, p->l3_off);
	assert_int_equal(was.l4_off, p->l4_off);
	assert_int_equal(was.l4_payload_off, p->l4_payload_off);
	assert_int_equal(was.n_tags, p->n_tags);
	assert_int_equal(key.tun_id_lo, 0);
	assert_false(p->key_blocks & FLOW_BLOCK(2));
}

static void
encap_row(const struct encap_row *row, uint16_t headroom)
{
	uint8_t frame[FRAME_MAX], outer[FRAME_MAX], bytes[FRAME_MAX];
	size_t len = lab_hex(frame, sizeof frame, row->frame);
	size_t outer_len = lab_hex(outer, sizeof outer, row->outer);
	struct packet *p = lab_packet(frame, len, 1, 0);
	struct rte_mbuf *m = packet_mbuf(p);
	struct dp_encap *body;
	struct tunnel_encap *e = encap_of(row, &body);
	struct flow_key key;
	uint8_t in_front[64];
	uint32_t hash;

	if (headroom < p->headroom) {
		memmove((uint8_t *)m->buf_addr + headroom, p->data, len);
		m->data_off = headroom;
		p->data = (uint8_t *)m->buf_addr + headroom;
		p->headroom = headroom;
	}
	worker.ip_id = 0;
	assert_true(packet_parse(p, &key, PARSE_L4));
	set_fields(p, row->actions);
	hash = key_hash_tuple(&key, p->key_blocks, 0);
	assert_int_equal(tunnel_encap_len(e, p, p->len), outer_len - body->l3_off);
	memcpy(in_front, (uint8_t *)m->buf_addr - sizeof in_front, sizeof in_front);
	assert_int_equal(tunnel_encap(&worker, p, e, hash), EDIT_OK);
	assert_memory_equal(in_front, (uint8_t *)m->buf_addr - sizeof in_front, sizeof in_front);
	assert_int_equal(lab_bytes(p, bytes, sizeof bytes), outer_len);
	if (body->kind != DP_TUNNEL_GRE && body->kind != DP_TUNNEL_ERSPAN) {
		check_udp(row->name, bytes, outer, outer_len, body->l3_off, hash);
	}
	for (size_t i = 0; i < outer_len; i++) {
		if (bytes[i] != outer[i]) {
			fail_msg("%s, headroom %u: byte %zu is %02x, not %02x", row->name, headroom,
				i, bytes[i], outer[i]);
		}
	}
	check_offsets(p);
	assert_int_equal(tunnel_encap(&worker, p, e, hash), DROP_TUNNEL_LOOP);
	lab_free(p);
	tunnel_encap_destroy(e);
	free(body);
}

static void
test_tunnel_encap_bytes(void **state)
{
	static const uint16_t headrooms[] = {128, 100, 64, 50, 14, 0};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(encap_rows); i++) {
		for (size_t h = 0; h < WEFT_ARRAY_SIZE(headrooms); h++) {
			encap_row(&encap_rows[i], headrooms[h]);
		}
	}
}

/* What the tunnel cannot carry, or not to there, is left as it was. */
static void
test_tunnel_encap_refused(void **state)
{
	static const struct {
		const char *like, *frame, *actions; /* as row @like, but for what is not NULL */
		int reason;
	} rows[] = {
		{"vxlan4_dst", NULL, "", DROP_ENCAP_BAD},
		{"vxlan4_dst", NULL, "set(tun_ipv6_dst=2001:db8::1)", DROP_ENCAP_BAD},
		{"vxlan4_dst", NULL, "set(tun_ipv6_dst=::ffff:0.0.0.0)", DROP_ENCAP_BAD},
		{"vxlan6_dst_src", NULL, "set(tun_ipv6_dst=::ffff:192.0.2.1)", DROP_ENCAP_BAD},
		{"vxlan6_dst_src", NULL,
			"set(tun_ipv6_dst=2001:db8::1),set(tun_ipv6_src=::ffff:192.0.2.1)",
			DROP_ENCAP_BAD},
		{"vxlan4_id", NULL, "set(tun_id=0x1000000)", DROP_TUNNEL_ID_RANGE},
		{"erspan2", NULL, "set(tun_id=0x400)", DROP_TUNNEL_ID_RANGE},
		{"gre_l3", "vxlan4_tagged", NULL, DROP_ENCAP_BAD},
		{"gpe_l3_4", "vxlan4_arp", NULL, DROP_ENCAP_BAD},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		const struct encap_row *row = row_named(rows[i].like);
		uint8_t frame[FRAME_MAX], bytes[FRAME_MAX];
		size_t len = lab_hex(frame, sizeof frame,
			(rows[i].frame ? row_named(rows[i].frame) : row)->frame);
		struct packet *p = outer_packet(frame, len, 0);
		struct dp_encap *body;
		struct tunnel_encap *e = encap_of(row, &body);
		int result;

		set_fields(p, rows[i].actions ? rows[i].actions : row->actions);
		result = tunnel_encap(&worker, p, e, 0);
		if (result != rows[i].reason) {
			fail_msg("%s with %s: %d", rows[i].like, rows[i].actions, result);
		}
		assert_int_equal(lab_bytes(p, bytes, sizeof bytes), len);
		assert_memory_equal(bytes, frame, len);
		lab_free(p);
		tunnel_encap_destroy(e);
		free(body);
	}
}

/* Options of header and key together are more than Geneve holds. */
static void
test_tunnel_encap_many_options(void **state)
{
	struct dp_tun_opt opts[DP_TUN_OPTS_MAX];
	struct dp_encap *body;
	struct tunnel_encap *e = encap_of(row_named("geneve"), &body);
	uint8_t frame[FRAME_MAX];
	size_t len = lab_hex(frame, sizeof frame, row_named("geneve")->frame);
	struct packet *p;

	(void)state;
	for (unsigned i = 0; i < DP_TUN_OPTS_MAX; i++) {
		opts[i] = (struct dp_tun_opt){0x0200, (uint8_t)i, i < 14 ? 4 : 0,
			(uint8_t)(i < 14 ? 4 * i : 0), (uint8_t)i, {0, 0}};
	}
	assert_int_equal(rcu_init(), 0);
	assert_int_equal(tunnel_options_put(opts, DP_TUN_OPTS_MAX), 0);
	p = outer_packet(frame, len, 0);
	/* 14 options of 8 bytes and 35 of 4 are 252; and another. */
	set_fields(p, "set(tun_opts_present=0x3ffffffffffff)");
	assert_int_equal(tunnel_encap(&worker, p, e, 0), DROP_ENCAP_BAD);
	set_fields(p, "set(tun_opts_present=0x1ffffffffffff)");
	assert_int_equal(tunnel_encap(&worker, p, e, 0), EDIT_OK);
	assert_int_equal(p->len, len + 50 + 252);
	assert_int_equal(p->data[42], 63);
	/* And out again. */
	assert_int_equal(tunnel_decap(p, DP_TUNNEL_GENEVE), EDIT_OK);
	assert_int_equal(p->len, len);
	assert_true(be64_to(p->tunnel->opts_present) == 0x1ffffffffffff);
	lab_free(p);
	tunnel_encap_destroy(e);
	free(body);
	/* As the other tests have them. */
	assert_int_equal(start(NULL), 0);
}

/* Room in front of bytes that fill their buffer: the last of them go to another one. */
static void
test_tunnel_room(void **state)
{
	static uint8_t frame[5000], bytes[5000];

	(void)state;
	for (size_t i = 0; i < sizeof frame; i++) {
		frame[i] = (uint8_t)lab_random();
	}
	for (size_t len = 60; len <= sizeof frame; len += 247) {
		for (unsigned n = 20; n <= 500; n += 160) {
			struct packet *p = lab_packet(frame, len, 1, 0);
			struct rte_mbuf *m = packet_mbuf(p);

			memmove((uint8_t *)m->buf_addr + 10, p->data, p->head_len);
			m->data_off = p->headroom = 10;
			p->data = (uint8_t *)m->buf_addr + 10;
			assert_true(worker_make_room(&worker, p, n));
			assert_true(p->headroom >= n);
			assert_true(p->head_len >= WEFT_MIN(p->len, (uint32_t)PACKET_HEAD_MIN));
			assert_int_equal(lab_bytes(p, bytes, sizeof bytes), len);
			assert_memory_equal(bytes, frame, len);
			lab_free(p);
		}
	}
}

/* --- out ---------------------------------------------------------------------------------------------- */

/* Of the key, tunnel fields are those that the row names, and no others. */
static void
check_fields(const struct decap_row *row, const struct flow_key *key)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct flow_mask mask = {0};
	struct flow_key value = {0};

	if (!flow_text_parse(row->fields, strlen(row->fields), &value, &mask, &err)) {
		fail_msg("%s: %s", row->name, err.text);
	}
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get((enum field_id)id);
		union field_value found, wanted;
		struct strbuf text = STRBUF_INIT;

		if (!edit_is_tunnel_field((enum field_id)id)) {
			continue;
		}
		field_load(f, key, &found);
		field_load(f, &value, &wanted);
		if (memcmp(&found, &wanted, f->n_bytes)) {
			field_format_value(f, &found, NULL, &text);
			fail_msg("%s: %s=%s", row->name, f->name, strbuf_text(&text));
		}
	}
}

static void
test_tunnel_decap_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(decap_rows); i++) {
		const struct decap_row *row = &decap_rows[i];
		uint8_t frame[FRAME_MAX], outer[FRAME_MAX], bytes[FRAME_MAX];
		size_t len = lab_hex(frame, sizeof frame, row->frame);
		struct packet *p = outer_packet(outer, lab_hex(outer, sizeof outer, row->outer), 0);
		struct flow_key key;
		int result = tunnel_decap(p, row->kind);

		if (result != EDIT_OK) {
			fail_msg("%s: %s", row->name, drop_reason_name((enum drop_reason)result));
		}
		assert_int_equal(lab_bytes(p, bytes, sizeof bytes), len);
		for (size_t j = 0; j < len; j++) {
			if (bytes[j] != frame[j]) {
				fail_msg("%s: byte %zu is %02x, not %02x", row->name, j, bytes[j],
					frame[j]);
			}
		}
		assert_true(packet_parse(p, &key, PARSE_L4));
		flow_key_clear_absent(&key, p->key_blocks);
		check_fields(row, &key);
		lab_free(p);
	}
}

static void
test_tunnel_decap_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(bad_rows); i++) {
		const struct bad_row *row = &bad_rows[i];
		uint8_t outer[FRAME_MAX];
		struct packet *p = outer_packet(outer, lab_hex(outer, sizeof outer, row->outer), 0);
		int result = tunnel_decap(p, row->kind);

		if (result != row->reason) {
			fail_msg("%s: %s", row->name,
				result == EDIT_OK ? "taken"
						  : drop_reason_name((enum drop_reason)result));
		}
		lab_free(p);
	}
}

/* What the sender left to us: of the inner packet it is done, or goes on with it; of the outer one it was never on
 * a wire. */
/* A frame whose checksum behind @start is still to be made comes out as @frame. */
static void
assert_decap_partial(const struct decap_row *row, const uint8_t *outer, size_t outer_len,
	const uint8_t *frame, size_t len, uint16_t start)
{
	struct packet *p = outer_packet(outer, outer_len, 0);
	uint8_t bytes[FRAME_MAX];

	p->flags = PACKET_CSUM_PARTIAL;
	p->csum_start = start;
	p->csum_offset = 6;
	assert_int_equal(tunnel_decap(p, row->kind), EDIT_OK);
	assert_int_equal(p->flags, 0);
	assert_int_equal(lab_bytes(p, bytes, sizeof bytes), len);
	assert_memory_equal(bytes, frame, len);
	lab_free(p);
}

static void
test_tunnel_decap_offloads(void **state)
{
	const struct decap_row *row = &decap_rows[3];
	uint8_t frame[FRAME_MAX], outer[FRAME_MAX];
	size_t len = lab_hex(frame, sizeof frame, row->frame);
	size_t outer_len = lab_hex(outer, sizeof outer, row->outer);
	struct packet *p;

	(void)state;
	assert_string_equal(row->name, "vxlan4_csum");
	/* The outer UDP checksum is still to be made. */
	put_be16(outer + 40, 0x1234);
	p = outer_packet(outer, outer_len, 0);
	assert_int_equal(tunnel_decap(p, row->kind), DROP_DECAP_CHECKSUM);
	lab_free(p);
	assert_decap_partial(row, outer, outer_len, frame, len, 34);
	/* The sender's device vouches for it. */
	p = outer_packet(outer, outer_len, 0);
	p->flags = PACKET_CSUM_VALID;
	assert_int_equal(tunnel_decap(p, row->kind), EDIT_OK);
	assert_int_equal(p->flags, 0);
	lab_free(p);
	/* The inner one is: it holds the sum of the pseudo header. */
	put_be16(outer + 50 + 40, lab_csum(frame + 26, 8, IPPROTO_UDP + (uint32_t)(len - 34)));
	assert_decap_partial(row, outer, outer_len, frame, len, 50 + 34);
	/* So it is where the outer UDP header has no checksum. */
	put_be16(outer + 40, 0);
	assert_decap_partial(row, outer, outer_len, frame, len, 50 + 34);
	/* What would be a GRE header, but for UDP in front of it. */
	p = outer_packet(outer, outer_len, 0);
	memcpy(p->data + 42, "\0\0\x65\x58", 4);
	assert_int_equal(tunnel_decap(p, DP_TUNNEL_GRE), DROP_DECAP_BAD);
	lab_free(p);
	/* It is to be cut, too: that is left to whoever sends it. */
	p = outer_packet(outer, outer_len, 0);
	p->flags = PACKET_CSUM_PARTIAL | PACKET_GSO_UDP;
	p->gso_size = 5;
	p->csum_start = 50 + 34;
	p->csum_offset = 6;
	assert_int_equal(tunnel_decap(p, row->kind), EDIT_OK);
	assert_int_equal(p->flags, PACKET_CSUM_PARTIAL | PACKET_GSO_UDP);
	assert_int_equal(p->csum_start, 34);
	lab_free(p);
	/* In front of the outer header: nonsense. */
	p = outer_packet(outer, outer_len, 0);
	p->flags = PACKET_CSUM_PARTIAL;
	p->csum_start = 20;
	assert_int_equal(tunnel_decap(p, row->kind), DROP_DECAP_BAD);
	lab_free(p);
}

static bool
is_decap_reason(int result)
{
	return result == DROP_DECAP_BAD || result == DROP_DECAP_RESERVED ||
	       (result >= DROP_DECAP_CHECKSUM && result <= DROP_DECAP_ECN);
}

/* Cut anywhere, no row is taken: its lengths say that something is missing. */
static void
test_tunnel_decap_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(decap_rows); i++) {
		const struct decap_row *row = &decap_rows[i];
		uint8_t outer[FRAME_MAX];
		size_t len = lab_hex(outer, sizeof outer, row->outer);

		if (strstr(row->name, "padded")) {
			continue;
		}
		for (size_t cut = 18; cut < len; cut++) {
			struct packet *p = outer_packet(outer, cut, 0);
			int result = tunnel_decap(p, row->kind);

			if (!is_decap_reason(result)) {
				fail_msg("%s, %zu of %zu bytes: %d", row->name, cut, len, result);
			}
			lab_free(p);
		}
	}
}

/* Scribbled upon it is taken or refused, and then sound or whole. */
static void
test_tunnel_decap_scribbled(void **state)
{
	uint8_t outer[FRAME_MAX], bytes[FRAME_MAX];
	unsigned n_taken = 0;

	(void)state;
	lab_seed("scribbled tunnel packets");
	for (unsigned i = 0; i < 200000; i++) {
		const struct decap_row *row = &decap_rows[lab_below(WEFT_ARRAY_SIZE(decap_rows))];
		size_t len = lab_hex(outer, sizeof outer, row->outer);
		struct packet *p;
		struct flow_key key;
		int result;

		for (unsigned n = 1 + lab_below(3); n; n--) {
			outer[14 + lab_below((uint32_t)len - 14)] ^= (uint8_t)(1u << lab_below(8));
		}
		p = lab_packet(outer, len - (lab_below(4) ? 0 : lab_below(60)), 1, 0);
		if (packet_parse(p, &key, PARSE_L4)) {
			p->flags = lab_below(4) ? 0 : (uint16_t)(lab_random() & 0x7f);
			p->csum_start = (uint16_t)lab_below(200);
			p->csum_offset = (uint16_t)lab_below(20);
			result = tunnel_decap(p, 1 + lab_below(DP_TUNNEL_KIND_N - 1));
			assert_true(result == EDIT_OK || is_decap_reason(result));
			n_taken += result == EDIT_OK;
			assert_true(lab_bytes(p, bytes, sizeof bytes) <= len);
			assert_true(result != EDIT_OK || packet_parse(p, &key, PARSE_L4) ||
				    p->len < 22);
		}
		lab_free(p);
	}
	assert_true(n_taken > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_encap_bytes),
		cmocka_unit_test(test_tunnel_encap_refused),
		cmocka_unit_test(test_tunnel_encap_many_options),
		cmocka_unit_test(test_tunnel_room),
		cmocka_unit_test(test_tunnel_decap_bytes),
		cmocka_unit_test(test_tunnel_decap_refused),
		cmocka_unit_test(test_tunnel_decap_offloads),
		cmocka_unit_test(test_tunnel_decap_cut),
		cmocka_unit_test(test_tunnel_decap_scribbled),
	};

	return cmocka_run_group_tests_name("tunnel", tests, start, stop);
}
