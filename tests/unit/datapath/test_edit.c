/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet edits against a naive model: the field is changed in the bytes and all checksums are made anew.
 */
#include "tests/unit/datapath/lab.h"

#include <string.h>

#include "datapath/edit.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/packet_parse.h"

static struct packet *
parsed(const uint8_t *frame, size_t len, size_t first)
{
	struct packet *p = lab_packet(frame, len, 1, first);
	struct flow_key key;

	assert_true(packet_parse(p, &key, PARSE_L4));
	return p;
}

static void
assert_frame(const struct packet *p, const uint8_t *want, size_t len)
{
	uint8_t bytes[2200];

	assert_int_equal(lab_bytes(p, bytes, sizeof bytes), len);
	assert_memory_equal(bytes, want, len);
}

/* --- the model -------------------------------------------------------------------------------------------- */

/* Where a field stands on the wire: @n bytes at @at, @bits of them in the field. */
struct place {
	size_t at;
	unsigned n;
	uint64_t bits;
	unsigned shift;
};

static bool
has_proto(const struct lab_frame *f, uint8_t proto4, uint8_t proto6)
{
	const uint8_t *ip = f->bytes + f->l3;

	return ip[0] >> 4 == 6 ? ip[6] == proto6 : ip[9] == proto4;
}

/* False: the frame has no such field. */
static bool
place_of(const struct lab_frame *f, enum field_id id, struct place *place)
{
	uint16_t type = get_be16(f->bytes + f->l3 - 2);
	bool v4 = type == 0x0800, v6 = type == 0x86dd, ip = v4 || v6, arp = type == 0x0806;
	const struct place none = {0, 0, 0, 0};

	*place = none;
	switch (id) {
	case FIELD_VLAN_VID:
		*place = (struct place){14, 2, 0x0fff, 0};
		return f->l3 > 14;
	case FIELD_VLAN_PCP:
		*place = (struct place){14, 2, 0xe000, 13};
		return f->l3 > 14;
	case FIELD_IP_DSCP:
		*place = v4 ? (struct place){f->l3 + 1, 1, 0xfc, 2}
			    : (struct place){f->l3, 4, 0xfcu << 20, 22};
		return ip;
	case FIELD_IP_ECN:
		*place = v4 ? (struct place){f->l3 + 1, 1, 3, 0}
			    : (struct place){f->l3, 4, 3u << 20, 20};
		return ip;
	case FIELD_IP_TTL:
		*place = (struct place){f->l3 + (v4 ? 8 : 7), 1, 0xff, 0};
		return ip;
	case FIELD_IPV4_SRC:
		*place = (struct place){f->l3 + 12, 4, UINT32_MAX, 0};
		return v4;
	case FIELD_IPV4_DST:
		*place = (struct place){f->l3 + 16, 4, UINT32_MAX, 0};
		return v4;
	case FIELD_IPV6_FLABEL:
		*place = (struct place){f->l3, 4, 0xfffff, 0};
		return v6;
	case FIELD_ARP_OP:
		*place = (struct place){f->l3 + 6, 2, 0xffff, 0};
		return arp;
	case FIELD_ARP_SPA:
		*place = (struct place){f->l3 + 14, 4, UINT32_MAX, 0};
		return arp;
	case FIELD_ARP_TPA:
		*place = (struct place){f->l3 + 24, 4, UINT32_MAX, 0};
		return arp;
	case FIELD_TCP_SRC:
		*place = (struct place){f->l4, 2, 0xffff, 0};
		return ip && has_proto(f, 6, 6);
	case FIELD_TCP_DST:
		*place = (struct place){f->l4 + 2, 2, 0xffff, 0};
		return ip && has_proto(f, 6, 6);
	case FIELD_UDP_SRC:
		*place = (struct place){f->l4, 2, 0xffff, 0};
		return ip && has_proto(f, 17, 17);
	case FIELD_UDP_DST:
		*place = (struct place){f->l4 + 2, 2, 0xffff, 0};
		return ip && has_proto(f, 17, 17);
	case FIELD_SCTP_DST:
		*place = (struct place){f->l4 + 2, 2, 0xffff, 0};
		return ip && has_proto(f, 132, 132);
	case FIELD_ICMPV4_TYPE:
		*place = (struct place){f->l4, 1, 0xff, 0};
		return v4 && has_proto(f, 1, 0);
	case FIELD_ICMPV4_CODE:
		*place = (struct place){f->l4 + 1, 1, 0xff, 0};
		return v4 && has_proto(f, 1, 0);
	case FIELD_ICMPV6_TYPE:
		*place = (struct place){f->l4, 1, 0xff, 0};
		return v6 && has_proto(f, 0, 58);
	case FIELD_ICMPV6_CODE:
		*place = (struct place){f->l4 + 1, 1, 0xff, 0};
		return v6 && has_proto(f, 0, 58);
	default:
		return false;
	}
}

static const enum field_id fields[] = {FIELD_VLAN_VID, FIELD_VLAN_PCP, FIELD_IP_DSCP, FIELD_IP_ECN,
	FIELD_IP_TTL, FIELD_IPV4_SRC, FIELD_IPV4_DST, FIELD_IPV6_FLABEL, FIELD_ARP_OP,
	FIELD_ARP_SPA, FIELD_ARP_TPA, FIELD_TCP_SRC, FIELD_TCP_DST, FIELD_UDP_SRC, FIELD_UDP_DST,
	FIELD_SCTP_DST, FIELD_ICMPV4_TYPE, FIELD_ICMPV4_CODE, FIELD_ICMPV6_TYPE, FIELD_ICMPV6_CODE};

static void
model_set(struct lab_frame *f, const struct place *place, uint64_t value, uint64_t mask)
{
	uint64_t word = 0, bits = mask << place->shift & place->bits;

	for (unsigned i = 0; i < place->n; i++) {
		word = word << 8 | f->bytes[place->at + i];
	}
	word = (word & ~bits) | (value << place->shift & bits);
	for (unsigned i = place->n; i-- > 0; word >>= 8) {
		f->bytes[place->at + i] = (uint8_t)word;
	}
}

/* Addresses of 16 and 6 bytes. */
static bool
long_place(const struct lab_frame *f, enum field_id id, size_t *at)
{
	uint16_t type = get_be16(f->bytes + f->l3 - 2);

	switch (id) {
	case FIELD_ETH_DST:
		*at = 0;
		return true;
	case FIELD_ETH_SRC:
		*at = 6;
		return true;
	case FIELD_IPV6_SRC:
		*at = f->l3 + 8;
		return type == 0x86dd;
	case FIELD_IPV6_DST:
		*at = f->l3 + 24;
		return type == 0x86dd;
	case FIELD_ARP_SHA:
		*at = f->l3 + 8;
		return type == 0x0806;
	case FIELD_ARP_THA:
		*at = f->l3 + 18;
		return type == 0x0806;
	default:
		return false;
	}
}

static const enum field_id long_fields[] = {
	FIELD_ETH_DST, FIELD_ETH_SRC, FIELD_IPV6_SRC, FIELD_IPV6_DST, FIELD_ARP_SHA, FIELD_ARP_THA};

/* One random edit on the packet and on the model; also when the field is missing. */
static void
edit_both(struct packet *p, struct lab_frame *f, bool zero_udp)
{
	union field_value value, mask;
	const struct field *field;
	struct place place;
	enum field_id id;
	size_t at;

	if (lab_below(4) == 0) {
		id = long_fields[lab_below(WEFT_ARRAY_SIZE(long_fields))];
		field = field_get(id);
		for (unsigned i = 0; i < field->n_bytes; i++) {
			value.b[i] = (uint8_t)lab_random();
			mask.b[i] = lab_below(3) ? 0xff : (uint8_t)lab_random();
		}
		if (!long_place(f, id, &at)) {
			assert_int_equal(packet_set_field(p, id, value.b, mask.b), DROP_NO_L3);
			return;
		}
		assert_int_equal(packet_set_field(p, id, value.b, mask.b), EDIT_OK);
		for (unsigned i = 0; i < field->n_bytes; i++) {
			f->bytes[at + i] = (uint8_t)((f->bytes[at + i] & ~mask.b[i]) |
						     (value.b[i] & mask.b[i]));
		}
	} else {
		uint64_t v = lab_random(), m;

		id = fields[lab_below(WEFT_ARRAY_SIZE(fields))];
		field = field_get(id);
		m = lab_below(3) ? UINT64_MAX : lab_random();
		v &= ((uint64_t)1 << field->width) - 1;
		m &= ((uint64_t)1 << field->width) - 1;
		field_value_from_u64(field, v, &value);
		field_value_from_u64(field, m, &mask);
		if (!place_of(f, id, &place)) {
			int result = packet_set_field(p, id, value.b, mask.b);

			assert_true(result == DROP_NO_L3 || result == DROP_NO_L4 ||
				    result == DROP_NO_VLAN);
			return;
		}
		assert_int_equal(packet_set_field(p, id, value.b, mask.b), EDIT_OK);
		model_set(f, &place, v, m);
	}
	lab_frame_csums(f, zero_udp);
}

static void
test_edit_random_against_naive_model(void **state)
{
	(void)state;
	lab_seed("edits");
	for (unsigned n = 0; n < 4000; n++) {
		enum lab_kind kind = (enum lab_kind)lab_below(LAB_KINDS);
		bool zero_udp = kind == LAB_UDP4 && lab_below(3) == 0;
		struct lab_frame f;
		struct packet *p;

		lab_frame(&f, kind, lab_below(3), lab_below(200));
		lab_frame_csums(&f, zero_udp);
		p = parsed(f.bytes, f.len, 0);
		for (unsigned i = 0; i < 6; i++) {
			edit_both(p, &f, zero_udp);
			assert_frame(p, f.bytes, f.len);
		}
		lab_free(p);
	}
	assert_int_equal(lab_n_buffers(), 0);
}

/* With the sum left to the receiver only the pseudo header's part follows; completing it gives the
 * right frame. */
static void
test_edit_partial_checksums(void **state)
{
	(void)state;
	lab_seed("partial");
	for (unsigned n = 0; n < 2000; n++) {
		static const enum lab_kind partial[] = {LAB_TCP4, LAB_UDP4, LAB_TCP6, LAB_UDP6};
		struct lab_frame f;
		uint8_t bytes[2048], *l4, *ip;
		struct packet *p;
		bool v6, tcp;
		unsigned k = lab_below(4);

		lab_frame(&f, partial[k], lab_below(3), 100 + lab_below(600));
		ip = f.bytes + f.l3;
		v6 = k >= 2;
		tcp = partial[k] == LAB_TCP4 || partial[k] == LAB_TCP6;
		memcpy(bytes, f.bytes, f.len);
		l4 = bytes + f.l4;
		put_be16(l4 + (tcp ? 16 : 6),
			lab_csum(ip + (v6 ? 8 : 12), v6 ? 32 : 8,
				(uint32_t)(tcp ? 6 : 17) + (uint32_t)(f.len - f.l4)));
		p = parsed(bytes, f.len, 300);
		p->flags |= PACKET_CSUM_PARTIAL;
		p->csum_start = (uint16_t)f.l4;
		p->csum_offset = tcp ? 16 : 6;
		for (unsigned i = 0; i < 4; i++) {
			edit_both(p, &f, false);
			/* The sum's place moves with tags. */
			if (lab_below(2)) {
				assert_int_equal(
					packet_push_vlan(p, be16_from(0x8100), be16_from(5)),
					EDIT_OK);
				memmove(f.bytes + 16, f.bytes + 12, f.len - 12);
				put_be32(f.bytes + 12, 0x81000005);
				f.l3 += 4;
				f.l4 += 4;
				f.len += 4;
			}
		}
		/* The upcall's view: the first 256 bytes, completed over the rest. */
		if (!get_be16(f.bytes + f.l4 + p->csum_offset)) {
			/* Whatever the protocol: 0 is no sum to UDP, and to TCP it is the same. */
			put_be16(f.bytes + f.l4 + p->csum_offset, 0xffff);
		}
		memcpy(bytes, p->data, 256);
		packet_complete_csum(p, bytes, (uint32_t)WEFT_MIN(f.len, (size_t)256));
		assert_memory_equal(bytes, f.bytes, WEFT_MIN(f.len, (size_t)256));
		lab_free(p);
	}
}

/* A checksum that is wrong stays wrong by the same difference. */
static void
test_edit_keeps_wrong_checksums_wrong(void **state)
{
	static const uint8_t address[4] = {192, 0, 2, 1}, ones[4] = {0xff, 0xff, 0xff, 0xff};
	struct lab_frame f;
	struct packet *p;
	uint8_t bytes[2048];

	(void)state;
	for (unsigned kind = LAB_TCP4; kind <= LAB_SCTP4; kind++) {
		lab_frame(&f, (enum lab_kind)kind, 0, 64);
		f.bytes[f.len - 1] ^= 0x5a; /* broken on its way */
		p = parsed(f.bytes, f.len, 0);
		assert_int_equal(packet_set_field(p, FIELD_IPV4_SRC, address, ones), EDIT_OK);
		if (kind == LAB_SCTP4) {
			assert_int_equal(
				packet_set_field(p, FIELD_SCTP_DST, address, ones), EDIT_OK);
		}
		lab_bytes(p, bytes, sizeof bytes);
		bytes[f.len - 1] ^= 0x5a; /* mended: all is right again */
		memcpy(f.bytes, bytes, f.len);
		lab_frame_csums(&f, false);
		assert_memory_equal(f.bytes, bytes, f.len);
		lab_free(p);
	}
}

/* Every value of a port: among them the one whose UDP checksum would be 0, which says that there is none
 * (RFC 768). */
static void
test_edit_udp_checksum_is_never_zero(void **state)
{
	static const uint8_t ones[2] = {0xff, 0xff};
	struct lab_frame f;
	struct packet *p;
	unsigned n = 0;

	(void)state;
	lab_frame(&f, LAB_UDP4, 0, 4);
	p = parsed(f.bytes, f.len, 0);
	for (uint32_t port = 0; port < 0x10000; port++) {
		uint8_t value[2];

		put_be16(value, (uint16_t)port);
		assert_int_equal(packet_set_field(p, FIELD_UDP_DST, value, ones), EDIT_OK);
		put_be16(f.bytes + f.l4 + 2, (uint16_t)port);
		lab_frame_csums(&f, false);
		assert_frame(p, f.bytes, f.len);
		n += get_be16(f.bytes + f.l4 + 6) == 0xffff;
	}
	assert_true(n > 0);
	lab_free(p);
}

/* Ethernet pads short frames: the SCTP checksum ends with the IP packet. */
static void
test_edit_sctp_ignores_padding(void **state)
{
	static const uint8_t port[2] = {0x12, 0x34}, ones[2] = {0xff, 0xff};
	struct lab_frame f;
	struct packet *p;

	(void)state;
	lab_frame(&f, LAB_SCTP4, 0, 4);
	memset(f.bytes + f.len, 0xee, 10);
	p = parsed(f.bytes, f.len + 10, 0);
	assert_int_equal(packet_set_field(p, FIELD_SCTP_DST, port, ones), EDIT_OK);
	memcpy(f.bytes + f.l4 + 2, port, 2);
	lab_frame_csums(&f, false);
	assert_frame(p, f.bytes, f.len + 10);
	lab_free(p);
}

static void
test_edit_fragments(void **state)
{
	static const uint8_t port[2] = {0x12, 0x34}, address[4] = {10, 1, 2, 3},
			     ones[4] = {0xff, 0xff, 0xff, 0xff};
	struct lab_frame f;
	struct packet *p;
	uint8_t want[2048];

	(void)state;
	/* A later fragment: what looks like an L4 header is payload. */
	lab_frame(&f, LAB_UDP4, 0, 40);
	put_be16(f.bytes + f.l3 + 6, 0x2010);
	put_be16(f.bytes + f.l3 + 10, 0);
	put_be16(f.bytes + f.l3 + 10, (uint16_t)~lab_csum(f.bytes + f.l3, 20, 0));
	p = parsed(f.bytes, f.len, 0);
	assert_int_equal(packet_set_field(p, FIELD_UDP_DST, port, ones), DROP_NO_L4);
	assert_frame(p, f.bytes, f.len);
	assert_int_equal(packet_set_field(p, FIELD_IPV4_DST, address, ones), EDIT_OK);
	memcpy(want, f.bytes, f.len);
	memcpy(want + f.l3 + 16, address, 4);
	put_be16(want + f.l3 + 10, 0);
	put_be16(want + f.l3 + 10, (uint16_t)~lab_csum(want + f.l3, 20, 0));
	assert_frame(p, want, f.len);
	lab_free(p);

	/* A first fragment: its L4 checksum is the whole datagram's and follows by the difference. */
	lab_frame(&f, LAB_UDP4, 0, 40);
	put_be16(f.bytes + f.l3 + 6, 0x2000);
	put_be16(f.bytes + f.l3 + 10, 0);
	put_be16(f.bytes + f.l3 + 10, (uint16_t)~lab_csum(f.bytes + f.l3, 20, 0));
	p = parsed(f.bytes, f.len, 0);
	assert_int_equal(packet_set_field(p, FIELD_UDP_DST, port, ones), EDIT_OK);
	memcpy(f.bytes + f.l4 + 2, port, 2);
	lab_frame_csums(&f, false);
	assert_frame(p, f.bytes, f.len);
	lab_free(p);

	lab_frame(&f, LAB_SCTP4, 0, 40);
	put_be16(f.bytes + f.l3 + 6, 0x2000);
	p = parsed(f.bytes, f.len, 0);
	assert_int_equal(packet_set_field(p, FIELD_SCTP_DST, port, ones), DROP_NO_L4);
	assert_frame(p, f.bytes, f.len);
	lab_free(p);
}

static void
test_edit_vlan(void **state)
{
	uint8_t frame[128], want[128];
	size_t len = lab_hex(frame, sizeof frame,
		"020000000001 020000000002 0800 4500001c00004000400100000a0000010a000002 0800f7ff00000000");
	struct packet *p = parsed(frame, len, 0);
	struct flow_key key;

	(void)state;
	assert_int_equal(packet_pop_vlan(p), DROP_NO_VLAN);
	assert_int_equal(packet_push_vlan(p, be16_from(0x8100), be16_from(0x6064)), EDIT_OK);
	assert_int_equal(packet_push_vlan(p, be16_from(0x88a8), be16_from(0x00c8)), EDIT_OK);
	len = lab_hex(want, sizeof want,
		"020000000001 020000000002 88a800c8 81006064 0800 4500001c00004000400100000a0000010a000002 "
		"0800f7ff00000000");
	assert_frame(p, want, len);
	assert_int_equal(p->n_tags, 2);
	assert_int_equal(p->l3_off, 22);
	assert_int_equal(p->l4_off, 42);
	/* A third, then all of them off again. */
	assert_int_equal(packet_push_vlan(p, be16_from(0x8100), be16_from(1)), EDIT_OK);
	assert_int_equal(packet_pop_vlan(p), EDIT_OK);
	assert_int_equal(packet_pop_vlan(p), EDIT_OK);
	len = lab_hex(want, sizeof want,
		"020000000001 020000000002 81006064 0800 4500001c00004000400100000a0000010a000002 0800f7ff00000000");
	assert_frame(p, want, len);
	assert_int_equal(packet_pop_vlan(p), EDIT_OK);
	assert_frame(p, frame, len - 4);
	assert_int_equal(packet_pop_vlan(p), DROP_NO_VLAN);
	lab_free(p);

	/* Of three tags on the wire the parser knows two; popping finds the third. */
	len = lab_hex(frame, sizeof frame,
		"020000000001 020000000002 88a80001 81000002 81000003 1234 00");
	p = lab_packet(frame, len, 1, 0);
	assert_true(packet_parse(p, &key, PARSE_L4));
	assert_int_equal(packet_pop_vlan(p), EDIT_OK);
	assert_int_equal(packet_pop_vlan(p), EDIT_OK);
	assert_int_equal(packet_pop_vlan(p), EDIT_OK);
	assert_int_equal(packet_pop_vlan(p), DROP_NO_VLAN);
	len = lab_hex(want, sizeof want, "020000000001 020000000002 1234 00");
	assert_frame(p, want, len);
	lab_free(p);
}

static void
test_edit_no_headroom(void **state)
{
	struct lab_frame f;
	struct packet *p;

	(void)state;
	lab_frame(&f, LAB_UDP4, 0, 10);
	p = parsed(f.bytes, f.len, 0);
	while (p->headroom >= 4) {
		assert_int_equal(packet_push_vlan(p, be16_from(0x8100), be16_from(1)), EDIT_OK);
	}
	assert_int_equal(packet_push_vlan(p, be16_from(0x8100), be16_from(1)), DROP_NO_HEADROOM);
	lab_free(p);
}

static void
test_edit_dec_ttl(void **state)
{
	struct lab_frame f;
	struct packet *p;

	(void)state;
	for (unsigned kind = 0; kind < LAB_KINDS; kind++) {
		uint8_t *ttl;

		lab_frame(&f, (enum lab_kind)kind, 1, 10);
		p = parsed(f.bytes, f.len, 0);
		if (kind == LAB_ARP) {
			assert_int_equal(packet_dec_ttl(p), DROP_NO_L3);
			lab_free(p);
			continue;
		}
		ttl = f.bytes + f.l3 + (f.bytes[f.l3] >> 4 == 6 ? 7 : 8);
		while (*ttl > 1) {
			assert_int_equal(packet_dec_ttl(p), EDIT_OK);
			--*ttl;
			lab_frame_csums(&f, false);
			assert_frame(p, f.bytes, f.len);
		}
		assert_int_equal(packet_dec_ttl(p), EDIT_EXPIRED);
		assert_frame(p, f.bytes, f.len);
		lab_free(p);
	}
}

/* A bad L3 or L4 header: the edit fails and changes nothing. */
static void
test_edit_bad_headers(void **state)
{
	static const uint8_t value[4] = {1, 2, 3, 4}, ones[4] = {0xff, 0xff, 0xff, 0xff};
	struct lab_frame f;
	struct packet *p;

	(void)state;
	lab_frame(&f, LAB_TCP4, 0, 40);
	p = parsed(f.bytes, f.l3 + 10, 0);
	assert_int_equal(packet_set_field(p, FIELD_IPV4_SRC, value, ones), DROP_NO_L3);
	assert_int_equal(packet_set_field(p, FIELD_TCP_SRC, value, ones), DROP_NO_L3);
	assert_int_equal(packet_dec_ttl(p), DROP_NO_L3);
	assert_frame(p, f.bytes, f.l3 + 10);
	lab_free(p);

	put_be16(f.bytes + f.l3 + 2, 30); /* ten bytes of TCP */
	p = parsed(f.bytes, f.l3 + 30, 0);
	assert_int_equal(packet_set_field(p, FIELD_TCP_SRC, value, ones), DROP_NO_L4);
	assert_frame(p, f.bytes, f.l3 + 30);
	lab_free(p);
}

/* The type changes and nothing else; what stood behind it is not to be found any more. */
static void
test_edit_eth_type(void **state)
{
	static const uint8_t type[2] = {0x88, 0x48}, ones[4] = {0xff, 0xff, 0xff, 0xff};
	static const uint8_t value[4] = {1, 2, 3, 4};
	struct lab_frame f;
	struct packet *p;

	(void)state;
	for (unsigned kind = 0; kind < LAB_KINDS; kind++) {
		lab_frame(&f, (enum lab_kind)kind, kind % 3, 40);
		lab_frame_csums(&f, false);
		p = parsed(f.bytes, f.len, 0);
		assert_int_equal(packet_set_field(p, FIELD_ETH_TYPE, type, ones), EDIT_OK);
		memcpy(f.bytes + f.l3 - 2, type, 2);
		assert_frame(p, f.bytes, f.len);
		assert_int_equal(packet_set_field(p, FIELD_IPV4_SRC, value, ones), DROP_NO_L3);
		assert_int_equal(packet_set_field(p, FIELD_TCP_SRC, value, ones), DROP_NO_L3);
		assert_frame(p, f.bytes, f.len);
		lab_free(p);
	}
	/* An IPv4 header is not believed to be where an IPv6 one was. */
	lab_frame(&f, LAB_TCP6, 0, 40);
	p = parsed(f.bytes, f.len, 0);
	put_be16(f.bytes + f.l3 - 2, 0x0800);
	assert_int_equal(packet_set_field(p, FIELD_ETH_TYPE, f.bytes + f.l3 - 2, ones), EDIT_OK);
	assert_int_equal(packet_set_field(p, FIELD_IPV4_SRC, value, ones), DROP_NO_L3);
	assert_frame(p, f.bytes, f.len);
	lab_free(p);
	put_be16(f.bytes + f.l3 - 2, 0x05ff); /* a length */
	p = parsed(f.bytes, f.len, 0);
	assert_int_equal(packet_set_field(p, FIELD_ETH_TYPE, type, ones), DROP_NO_L3);
	assert_frame(p, f.bytes, f.len);
	lab_free(p);
}

/* The header that stands there keeps a sum that is right for the new pseudo header. */
static void
test_edit_ip_proto(void **state)
{
	static const uint8_t proto = 253, ones[1] = {0xff}, port[2] = {1, 2};

	(void)state;
	for (unsigned kind = 0; kind < LAB_KINDS; kind++) {
		uint8_t got[2200], want[2200], *ip = got + 0;
		struct lab_frame f;
		struct packet *p;
		size_t at, csum, n;
		uint32_t pseudo = proto;
		bool v4;

		lab_frame(&f, (enum lab_kind)kind, kind % 3, 41);
		lab_frame_csums(&f, false);
		p = parsed(f.bytes, f.len, 0);
		if (kind == LAB_ARP) {
			assert_int_equal(
				packet_set_field(p, FIELD_IP_PROTO, &proto, ones), DROP_NO_L3);
			lab_free(p);
			continue;
		}
		v4 = f.bytes[f.l3] >> 4 == 4;
		at = f.l3 + (v4 ? 9 : 6);
		csum = f.l4 + (f.bytes[at] == 6 ? 16 : f.bytes[at] == 17 ? 6 : 2);
		assert_int_equal(packet_set_field(p, FIELD_IP_PROTO, &proto, ones), EDIT_OK);
		assert_int_equal(lab_bytes(p, got, sizeof(got)), f.len);
		ip = got + f.l3;
		n = v4 ? get_be16(ip + 2) - 20u : get_be16(ip + 4);
		memcpy(want, f.bytes, f.len);
		want[at] = proto;
		if (v4) {
			assert_int_equal(lab_csum(ip, 20, 0), 0xffff);
			memcpy(want + f.l3 + 10, ip + 10, 2);
		}
		if (f.bytes[at] == 6 || f.bytes[at] == 17 || f.bytes[at] == 58) {
			for (unsigned i = v4 ? 12 : 8; i < (v4 ? 20u : 40u); i += 2) {
				pseudo += get_be16(ip + i);
			}
			assert_int_equal(lab_csum(got + f.l4, n, pseudo + (uint32_t)n), 0xffff);
			memcpy(want + csum, got + csum, 2);
		}
		assert_memory_equal(got, want, f.len);
		assert_int_equal(packet_set_field(p, FIELD_TCP_SRC, port, ones), DROP_NO_L4);
		lab_free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit_random_against_naive_model),
		cmocka_unit_test(test_edit_partial_checksums),
		cmocka_unit_test(test_edit_keeps_wrong_checksums_wrong),
		cmocka_unit_test(test_edit_udp_checksum_is_never_zero),
		cmocka_unit_test(test_edit_sctp_ignores_padding),
		cmocka_unit_test(test_edit_fragments),
		cmocka_unit_test(test_edit_vlan),
		cmocka_unit_test(test_edit_no_headroom),
		cmocka_unit_test(test_edit_dec_ttl),
		cmocka_unit_test(test_edit_bad_headers),
		cmocka_unit_test(test_edit_eth_type),
		cmocka_unit_test(test_edit_ip_proto),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
