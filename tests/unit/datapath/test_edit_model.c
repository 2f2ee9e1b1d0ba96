/* SPDX-License-Identifier: Apache-2.0
 *
 * Random edits of random packets against a naive packet (naive.h): the same bytes, the same refusals.
 *
 * WEFT_SECONDS=N goes on for so long.
 */
#include "tests/unit/datapath/lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datapath/edit.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/packet_parse.h"
#include "tests/unit/datapath/naive.h"
#include "vhost/packet_mbuf.h"

#define ROUNDS 60000u
#define MAX_EDITS 8u

/* --- packets ----------------------------------------------------------------------------------------------- */

/* A frame that grows at its end. */
struct growing {
	uint8_t bytes[4096];
	size_t len;
};

static uint8_t *
grow(struct growing *g, size_t n)
{
	uint8_t *at = g->bytes + g->len;

	for (size_t i = 0; i < n; i++) {
		at[i] = (uint8_t)lab_random();
	}
	g->len += n;
	return at;
}

static void
add16(struct growing *g, uint16_t v)
{
	put_be16(grow(g, 2), v);
}

static void
add_nd_options(struct growing *g)
{
	for (unsigned n = lab_below(4); n > 0; n--) {
		uint8_t *o = grow(g, 8u * (1 + !lab_below(4)));

		o[0] = (uint8_t)(1 + lab_below(3));
		o[1] = (uint8_t)((g->bytes + g->len - o) / 8 - !lab_below(30));
	}
}

static void
add_l4(struct growing *g, uint8_t proto)
{
	uint8_t *l4;

	switch (proto) {
	case 6:
		l4 = grow(g, 20);
		l4[12] = (uint8_t)((lab_below(10) ? 5 : lab_below(16)) << 4);
		break;
	case 17:
		l4 = grow(g, 8);
		if (!lab_below(4)) {
			l4[6] = l4[7] = 0;
		}
		break;
	case 58:
		l4 = grow(g, lab_below(8) ? 24 : 4);
		l4[0] = (uint8_t)(134 + lab_below(4));
		l4[1] = (uint8_t)!lab_below(8);
		if (g->bytes + g->len == l4 + 24) {
			add_nd_options(g);
		}
		break;
	case 132:
		grow(g, 12);
		break;
	default:
		grow(g, 4);
	}
	grow(g, lab_below(lab_below(20) ? 40 : 1400));
}

static uint8_t
random_proto(void)
{
	static const uint8_t protos[] = {6, 17, 17, 132, 1, 58, 58, 47, 59};

	return protos[lab_below(sizeof protos)];
}

static void
add_ipv4(struct growing *g)
{
	size_t at = g->len, header = lab_below(8) ? 20 : 20 + 4 * lab_below(11);
	uint8_t *ip = grow(g, header), proto = random_proto();

	ip[0] = (uint8_t)(0x40 | header / 4);
	if (!lab_below(50)) {
		ip[0] = (uint8_t)lab_random();
	}
	put_be16(ip + 6, lab_below(8) ? 0x4000u * lab_below(2) : (uint16_t)(lab_random() & 0x3003));
	if (!lab_below(4)) {
		ip[8] = (uint8_t)lab_below(3);
	}
	ip[9] = proto;
	if (get_be16(ip + 6) & 0x1fff) {
		grow(g, 8 + lab_below(40));
	} else {
		add_l4(g, proto);
	}
	put_be16(ip + 2, (uint16_t)(g->len - at));
	if (!lab_below(50)) {
		put_be16(ip + 2, (uint16_t)(g->len - at - 20 + lab_below(40)));
	} else if (!lab_below(4)) {
		grow(g, lab_below(20)); /* padding of Ethernet */
	}
}

/* Headers up to the one of @last; the last of them says that @proto follows. */
static void
add_ipv6(struct growing *g)
{
	static const uint8_t kinds[] = {0, 43, 44, 51, 60, 60};
	uint8_t *ip = grow(g, 40), *next = ip + 6, proto = random_proto();
	bool later = false;

	ip[0] = 0x60 | (ip[0] & 15);
	if (!lab_below(4)) {
		ip[7] = (uint8_t)lab_below(3);
	}
	for (unsigned n = lab_below(3) ? 0 : lab_below(lab_below(10) ? 4 : 20); n > 0 && !later;
		n--) {
		uint8_t *h;

		*next = kinds[lab_below(sizeof kinds)];
		h = grow(g, *next == 44 ? 8 : 8u * (1 + lab_below(3)));
		h[1] = (uint8_t)(*next == 51 ? (g->bytes + g->len - h) / 4 - 2
					     : (g->bytes + g->len - h) / 8 - 1);
		if (*next == 44) {
			put_be16(h + 2, lab_below(3) ? (uint16_t)lab_below(2)
						     : (uint16_t)(lab_random() & 0x19));
			later = get_be16(h + 2) >> 3;
		} else if (*next == 43) {
			h[3] = (uint8_t)lab_below(2);
		}
		next = h;
	}
	*next = proto;
	if (later) {
		grow(g, lab_below(50));
	} else {
		add_l4(g, proto);
	}
	put_be16(ip + 4, (uint16_t)(g->bytes + g->len - ip - 40));
	if (!lab_below(50)) {
		put_be16(ip + 4, (uint16_t)lab_below(200));
	} else if (!lab_below(4)) {
		grow(g, lab_below(20));
	}
}

static void
add_arp(struct growing *g)
{
	static const uint8_t ether_ip[6] = {0, 1, 8, 0, 6, 4};

	memcpy(grow(g, 28), ether_ip, lab_below(20) ? 6 : 5);
	grow(g, lab_below(20));
}

/* Behind the addresses: tags, labels, a backbone header and all that again, in the end a protocol. */
static void
add_rest(struct growing *g, unsigned depth)
{
	static const uint16_t tags[] = {0x8100, 0x88a8}, labels[] = {0x8847, 0x8848},
			      types[] = {0x0800, 0x0800, 0x86dd, 0x86dd, 0x0806, 0x8035, 0x9000};
	uint16_t type = types[lab_below(WEFT_ARRAY_SIZE(types))];

	for (unsigned n = lab_below(2) ? 0 : lab_below(4); n > 0; n--) {
		add16(g, tags[lab_below(2)]);
		grow(g, 2);
	}
	if (depth < 2 && !lab_below(10)) {
		add16(g, 0x88e7);
		grow(g, 4 + 12); /* I-TAG, customer's addresses */
		add_rest(g, depth + 1);
		return;
	}
	if (!lab_below(5)) {
		unsigned n = 1 + lab_below(3);

		add16(g, labels[lab_below(2)]);
		for (unsigned i = 0; i < n; i++) {
			uint8_t *label = grow(g, 4);

			label[2] = (uint8_t)((label[2] & 0xfe) | (i + 1 == n));
			label[3] = lab_below(4) ? label[3] : (uint8_t)lab_below(3);
		}
	} else if (!lab_below(20)) {
		add16(g, (uint16_t)lab_below(0x5ff));
		memcpy(grow(g, 6), "\xaa\xaa\x03\0\0\0", 6);
		add16(g, type);
	} else {
		add16(g, type);
	}
	if (type == 0x0800) {
		add_ipv4(g);
	} else if (type == 0x86dd) {
		add_ipv6(g);
	} else if (type == 0x9000) {
		grow(g, lab_below(100));
	} else {
		add_arp(g);
	}
}

/* A random packet and its twin. NULL: it does not come through the parser. */
static struct packet *
begin(struct naive *n)
{
	struct growing g = {.len = 0};
	struct flow_key key;
	struct packet *p;
	size_t l4, csum;
	uint16_t pseudo;
	bool ok, is_partial;

	grow(&g, 12);
	add_rest(&g, 0);
	if (!lab_below(10)) {
		g.len = lab_below((uint32_t)g.len + 1);
	}
	memcpy(n->bytes, g.bytes, g.len);
	n->len = g.len;
	n->head = n->len; /* more are looked at here than by the packet's parser */
	n->is_loose = false;
	ok = naive_parse(n) == EDIT_OK;
	is_partial = ok && lab_below(2) && naive_partial(n, &l4, &csum, &pseudo) &&
		     l4 + 20 <= PACKET_HEAD_MIN;
	if (ok && (is_partial || lab_below(5))) {
		naive_mend(n);
	}
	p = lab_packet(n->bytes, n->len, 1, lab_below(2) ? 0 : PACKET_HEAD_MIN + lab_below(200));
	n->headroom = p->headroom;
	n->head = p->head_len;
	assert_int_equal(packet_parse(p, &key, PARSE_L4), ok);
	if (is_partial) {
		p->flags |= PACKET_CSUM_PARTIAL;
		p->csum_start = (uint16_t)l4;
		p->csum_offset = (uint16_t)(csum - l4);
		put_be16(p->data + csum, pseudo);
	}
	if (!ok) {
		lab_free(p);
	}
	return ok ? p : NULL;
}

/* --- edits ------------------------------------------------------------------------------------------------- */

static const uint16_t new_types[] = {0x0800, 0x86dd, 0x0806, 0x8847, 0x8848, 0x88e7, 0x9000};

/* All that set-field can write. */
static const enum field_id fields[] = {FIELD_ETH_DST, FIELD_ETH_SRC, FIELD_ETH_TYPE, FIELD_VLAN_TCI,
	FIELD_VLAN_VID, FIELD_VLAN_PCP, FIELD_IPV4_SRC, FIELD_IPV4_DST, FIELD_IP_PROTO,
	FIELD_IP_TOS, FIELD_IP_DSCP, FIELD_IP_ECN, FIELD_IP_TTL, FIELD_ARP_OP, FIELD_ARP_SHA,
	FIELD_ARP_SPA, FIELD_ARP_THA, FIELD_ARP_TPA, FIELD_TCP_SRC, FIELD_TCP_DST, FIELD_UDP_SRC,
	FIELD_UDP_DST, FIELD_SCTP_SRC, FIELD_SCTP_DST, FIELD_L4_SRC, FIELD_L4_DST,
	FIELD_ICMPV4_TYPE, FIELD_ICMPV4_CODE, FIELD_ICMPV6_TYPE, FIELD_ICMPV6_CODE, FIELD_IPV6_SRC,
	FIELD_IPV6_DST, FIELD_IPV6_FLABEL, FIELD_ND_TARGET, FIELD_ND_RESERVED,
	FIELD_ND_OPTIONS_TYPE, FIELD_ND_SLL, FIELD_ND_TLL, FIELD_MPLS_LABEL, FIELD_MPLS_TC,
	FIELD_MPLS_BOS, FIELD_MPLS_TTL, FIELD_PBB_ISID, FIELD_PBB_UCA};

/* Each writable field of the packet's stands in the list. */
static void
test_edit_model_has_all_fields(void **state)
{
	(void)state;
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get((enum field_id)id);
		bool found = false;

		for (unsigned i = 0; i < WEFT_ARRAY_SIZE(fields); i++) {
			found |= fields[i] == id;
		}
		/* Tunnels' are of the packet's metadata. */
		if (!found && f->flags & FIELD_WRITABLE && !(f->flags & FIELD_PIPELINE) &&
			strncmp(f->name, "tun_", 4)) {
			fail_msg("%s is never edited", f->name);
		}
	}
}

static int
set_both(struct packet *p, struct naive *n, int *want, char *what, size_t size)
{
	const struct field *f;
	uint8_t value[16], mask[16];
	enum field_id id;

	do {
		id = fields[lab_below(WEFT_ARRAY_SIZE(fields))];
		/* A sum that is left to the receiver is one of that protocol. */
	} while (p->flags & PACKET_CSUM_PARTIAL && (id == FIELD_ETH_TYPE || id == FIELD_IP_PROTO));
	f = field_get(id);
	for (unsigned i = 0; i < f->n_bytes; i++) {
		value[i] = (uint8_t)lab_random();
		mask[i] = lab_below(2) ? 0xff : (uint8_t)lab_random();
	}
	/* Nothing beyond the field's width. */
	for (unsigned i = f->width; i < f->n_bytes * 8u; i++) {
		value[f->n_bytes - 1 - i / 8] &= (uint8_t) ~(1u << i % 8);
		mask[f->n_bytes - 1 - i / 8] &= (uint8_t) ~(1u << i % 8);
	}
	if (id == FIELD_ETH_TYPE) {
		put_be16(value, new_types[lab_below(WEFT_ARRAY_SIZE(new_types))]);
		memset(mask, 0xff, 2);
	} else if (id == FIELD_IP_PROTO) {
		value[0] = random_proto();
		mask[0] = 0xff;
	} else if (id == FIELD_VLAN_TCI) {
		mask[0] |= 0x10;
		value[0] |= 0x10;
	}
	snprintf(what, size, "set %s", f->name);
	*want = naive_set(n, id, value, mask);
	return packet_set_field(p, id, value, mask);
}

/* One edit on both. */
static int
edit_both(struct packet *p, struct naive *n, int *want, char *what, size_t size)
{
	uint16_t type = new_types[lab_below(WEFT_ARRAY_SIZE(new_types))];
	uint16_t tpid = lab_below(2) ? 0x8100 : 0x88a8, tci = (uint16_t)lab_random();
	uint16_t mpls = (uint16_t)(0x8847 + lab_below(2));
	uint32_t lse = (uint32_t)lab_random();
	bool out = lab_below(2);

	switch (lab_below(20)) {
	case 0:
		snprintf(what, size, "push_vlan");
		*want = naive_push_vlan(n, tpid, tci);
		return packet_push_vlan(p, be16_from(tpid), be16_from(tci));
	case 1:
	case 2:
		snprintf(what, size, "pop_vlan");
		*want = naive_pop_vlan(n);
		return packet_pop_vlan(p);
	case 3:
		snprintf(what, size, "push_mpls");
		*want = naive_push_mpls(n, mpls, lse);
		return packet_push_mpls(p, be16_from(mpls), be32_from(lse));
	case 4:
	case 5:
		snprintf(what, size, "pop_mpls %04x", type);
		*want = naive_pop_mpls(n, type);
		return packet_pop_mpls(p, type);
	case 6:
		snprintf(what, size, "push_pbb");
		*want = naive_push_pbb(n, 0x88e7);
		return packet_push_pbb(p, 0x88e7);
	case 7:
		snprintf(what, size, "pop_pbb");
		*want = naive_pop_pbb(n);
		return packet_pop_pbb(p);
	case 8:
		snprintf(what, size, "copy_ttl_%s", out ? "out" : "in");
		*want = naive_copy_ttl(n, out);
		return packet_copy_ttl(p, out);
	case 9:
		snprintf(what, size, "dec_ttl");
		*want = naive_dec_ttl(n);
		return packet_dec_ttl(p);
	case 10:
		snprintf(what, size, "dec_mpls_ttl");
		*want = naive_dec_mpls_ttl(n);
		return packet_dec_mpls_ttl(p);
	default:
		return set_both(p, n, want, what, size);
	}
}

/* --- comparing --------------------------------------------------------------------------------------------- */

static void
print_frame(const char *name, const uint8_t *bytes, size_t len)
{
	fprintf(stderr, "%-6s", name);
	for (size_t i = 0; i < len && i < 600; i++) {
		fprintf(stderr, "%02x%s", bytes[i], i % 4 == 3 ? " " : "");
	}
	fprintf(stderr, "\n");
}

/* Where a checksum was wrong from the start, 0 and ~0 say the same. */
static bool
is_same(const uint8_t *have, const uint8_t *want, size_t len, bool is_loose)
{
	for (size_t i = 0; i < len; i++) {
		if (have[i] == want[i]) {
			continue;
		}
		if (!is_loose || i + 1 == len || have[i] != have[i + 1] || want[i] != want[i + 1] ||
			(have[i] ^ want[i]) != 0xff || (have[i] && want[i])) {
			return false;
		}
		i++;
	}
	return true;
}

static void
check(struct packet *p, const struct naive *n, const char *edits, const uint8_t *first,
	size_t first_len)
{
	static uint8_t bytes[NAIVE_CAPACITY];
	size_t len = lab_bytes(p, bytes, sizeof bytes);
	bool is_loose = n->is_loose || p->flags & PACKET_CSUM_PARTIAL;

	if (p->flags & PACKET_CSUM_PARTIAL) {
		packet_complete_csum(p, bytes, (uint32_t)len);
	}
	/* Who completes a sum writes ~0 for 0, whatever the protocol. */
	if (len != n->len || !is_same(bytes, n->bytes, len, is_loose)) {
		fprintf(stderr, "%s%s\n", edits,
			p->flags & PACKET_CSUM_PARTIAL ? " (partial)" : "");
		print_frame("was", first, first_len);
		print_frame("is", bytes, len);
		print_frame("wanted", n->bytes, n->len);
		fail_msg("edits differ");
	}
}

/* --- tests -------------------------------------------------------------------------------------------------- */

static void
edit_packet(struct naive *n)
{
	static uint8_t first[NAIVE_CAPACITY];
	struct packet *p = begin(n);
	char edits[512] = "";
	size_t used = 0, first_len, summed;

	if (!p) {
		return;
	}
	first_len = n->len;
	summed = n->len - p->l3_off;
	memcpy(first, n->bytes, n->len);
	for (unsigned i = lab_below(MAX_EDITS); i > 0; i--) {
		char what[64] = "";
		int want, have = edit_both(p, n, &want, what, sizeof what);

		used += (size_t)snprintf(edits + used, sizeof edits - used, "%s; ", what);
		if (have != want) {
			fprintf(stderr, "%s: %d, wanted %d\n", edits, have, want);
			print_frame("was", first, first_len);
			fail_msg("refusals differ");
		}
		if (have == DROP_RX_TRUNCATED) {
			break; /* nobody goes on with such a frame */
		}
		if (p->flags & PACKET_CSUM_PARTIAL && n->len < 14 + summed) {
			break; /* lies about types have cut into what is summed up */
		}
		check(p, n, edits, first, first_len);
	}
	lab_free(p);
}

static void
test_edits_of_random_packets_against_a_naive_one(void **state)
{
	const char *seconds = getenv("WEFT_SECONDS");
	time_t end = time(NULL) + (seconds ? atol(seconds) : 0);
	struct naive *n = calloc(1, sizeof *n);
	unsigned out = lab_n_buffers();
	uint64_t rounds = 0;

	(void)state;
	lab_seed("edit model");
	while (rounds < ROUNDS || time(NULL) < end) {
		edit_packet(n);
		rounds++;
	}
	print_message("%llu packets\n", (unsigned long long)rounds);
	assert_int_equal(lab_n_buffers(), out);
	free(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit_model_has_all_fields),
		cmocka_unit_test(test_edits_of_random_packets_against_a_naive_one),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
