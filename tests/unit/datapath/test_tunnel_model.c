/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels beside a naive model: random headers, flags, tunnel fields, frames, buffers. What goes in is what the
 * model builds byte by byte, and comes out as it was.
 */
#include <netinet/in.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datapath/key_hash.h"
#include "datapath/tunnel_internal.h"
#include "datapath/tunnel_options.h"
#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/dp_encap.h"
#include "lib/packet_parse.h"
#include "tests/unit/datapath/lab.h"
#include "vhost/packet_mbuf.h"

#define MANY 60000u
#define CAPACITY 4096u

static struct worker worker;
static const struct dp_tun_opt options[] = {
	{0x0102, 0x80, 4, 0, 0, {0, 0}},
	{0xffff, 0x03, 8, 4, 5, {0, 0}},
	{0x0001, 0x7f, 0, 12, 63, {0, 0}},
};

static int
start(void **state)
{
	if (lab_start(state)) {
		return -1;
	}
	worker.pool = lab_pool;
	return tunnel_options_put(options, WEFT_ARRAY_SIZE(options));
}

static int
stop(void **state)
{
	(void)state;
	tunnel_options_uninit();
	return lab_n_buffers() ? -1 : 0;
}

/* --- random input ----------------------------------------------------------------------------------------- */

static bool
maybe(unsigned n)
{
	return lab_below(n) == 0;
}

static bool
is_udp(uint32_t kind)
{
	return kind <= DP_TUNNEL_GENEVE;
}

/* The tunnel's own header. Returns its length. */
static uint32_t
random_tunnel_header(uint8_t *h, uint32_t kind, bool l3)
{
	uint32_t vni = (uint32_t)lab_random() & 0xffffff, len = 8;

	memset(h, 0, 40);
	switch ((enum dp_tunnel_kind)kind) {
	case DP_TUNNEL_VXLAN:
		h[0] = 8;
		put_be32(h + 4, vni << 8);
		break;
	case DP_TUNNEL_VXLAN_GPE:
		h[0] = 0x0c;
		h[3] = 3;
		put_be32(h + 4, vni << 8);
		break;
	case DP_TUNNEL_GENEVE:
		put_be16(h + 2, 0x6558);
		put_be32(h + 4, vni << 8);
		if (maybe(3)) { /* an option of its own, that nobody knows */
			h[0] = 2;
			put_be32(h + 8, 0x03040501);
			put_be32(h + 12, (uint32_t)lab_random());
			len = 16;
		}
		break;
	case DP_TUNNEL_GRE:
		h[0] = (uint8_t)((maybe(2) ? 0x80 : 0) | (maybe(3) ? 0 : 0x20) |
				 (maybe(2) ? 0x10 : 0));
		put_be16(h + 2, l3 ? 0 : 0x6558);
		len = 4u + 4u * (unsigned)__builtin_popcount(h[0]);
		put_be32(h + 4 + (h[0] & 0x80 ? 4 : 0), (uint32_t)lab_random());
		if (!(h[0] & 0x20)) {
			memset(h + 4, 0, 12);
		}
		break;
	case DP_TUNNEL_ERSPAN:
		h[0] = 0x10;
		put_be16(h + 2, maybe(2) ? 0x88be : 0x22eb);
		h[8] = h[2] == 0x88 ? 0x10 : 0x20;
		h[11] = (uint8_t)lab_random();
		len = h[2] == 0x88 ? 16 : 20;
		break;
	case DP_TUNNEL_GRE_OR_ERSPAN:
	case DP_TUNNEL_KIND_N:
		break;
	}
	return len;
}

static struct dp_encap *
random_encap(void)
{
	struct dp_encap *e = calloc(1, sizeof *e + DP_ENCAP_MAX_SIZE);
	uint32_t l3_off = 14 + 4 * (maybe(5) ? 1 + lab_below(2) : 0);
	bool v6 = maybe(2), l3;
	uint8_t *ip;

	e->kind = 1 + lab_below(DP_TUNNEL_ERSPAN);
	e->max_len = (uint16_t)(maybe(3) ? DP_ENCAP_MIN_CUT + 8 + lab_below(100) : 0);
	l3 = e->kind >= DP_TUNNEL_VXLAN_GPE && e->kind <= DP_TUNNEL_GRE && maybe(4);
	for (uint32_t i = 0; i < l3_off; i++) {
		e->header[i] = (uint8_t)lab_random();
	}
	for (uint32_t at = 12; at + 2 < l3_off; at += 4) {
		put_be16(e->header + at, 0x8100);
	}
	put_be16(e->header + l3_off - 2, v6 ? 0x86dd : 0x0800);
	ip = e->header + l3_off;
	for (unsigned i = 0; i < 40; i++) {
		ip[i] = (uint8_t)lab_random();
	}
	ip[0] = v6 ? 0x60 | (ip[0] & 15) : 0x45;
	ip[v6 ? 6 : 9] = is_udp(e->kind) ? IPPROTO_UDP : IPPROTO_GRE;
	if (v6) {
		ip[8] = 0x20;
		ip[24] = 0x20;
	} else {
		put_be16(ip + 6, maybe(2) ? 0x4000 : 0);
	}
	e->l3_off = (uint16_t)l3_off;
	e->l4_off = (uint16_t)(l3_off + (v6 ? 40 : 20));
	e->size = e->l4_off;
	if (is_udp(e->kind)) {
		for (unsigned i = 0; i < 8; i++) {
			e->header[e->size++] = (uint8_t)lab_random();
		}
	}
	e->size = (uint16_t)(e->size + random_tunnel_header(e->header + e->size, e->kind, l3));
	e->port = UINT32_MAX;
	e->flags = l3 ? DP_ENCAP_L3 : 0;
	for (unsigned bit = 0; bit < 11; bit++) {
		uint32_t was = e->flags;

		e->flags |= maybe(3) ? 1u << bit : 0;
		/* Those that do not go together, or not with this kind, are left out. */
		if (dp_encap_check(e)) {
			e->flags = was;
		}
	}
	assert_null(dp_encap_check(e));
	return e;
}

static void
random_address(uint8_t *a, bool v6)
{
	memset(a, 0, 16);
	if (v6) {
		put_be32(a, 0x20010db8);
		put_be32(a + 12, (uint32_t)lab_random() | 1);
	} else {
		a[10] = a[11] = 0xff;
		put_be32(a + 12, (uint32_t)lab_random() | 1);
	}
}

static void
random_fields(struct packet_tunnel *t, const struct dp_encap *e)
{
	bool v6 = e->header[e->l3_off] >> 4 == 6;
	uint32_t max = e->kind == DP_TUNNEL_GRE      ? UINT32_MAX
		       : e->kind == DP_TUNNEL_ERSPAN ? 0x3ff
						     : 0xffffff;

	memset(t, 0, sizeof *t);
	random_address(t->dst, v6);
	if (maybe(2)) {
		random_address(t->src, v6);
	}
	t->flags = be16_from((uint16_t)(lab_random() & 7));
	t->tos = (uint8_t)lab_random();
	t->ttl = maybe(3) ? 0 : (uint8_t)lab_random();
	t->gbp_id = be16_from(maybe(2) ? 0 : (uint16_t)lab_random());
	t->gbp_flags = maybe(2) ? 0 : (uint8_t)lab_random() & 0x48;
	t->id = be32_from((uint32_t)lab_random() & max);
	t->has_opts = maybe(2);
	for (unsigned i = 0; i < sizeof t->opts; i++) {
		t->opts[i] = (uint8_t)lab_random();
	}
	t->opts_present = be64_from(lab_random());
}

/* --- the model -------------------------------------------------------------------------------------------- */

/* What the tunnel is to carry: the frame, or what is behind Ethernet. */
struct cargo {
	const uint8_t *bytes;
	size_t len;
	uint16_t type;
	bool is_ip, is_cut;
	uint8_t tos, ttl;
};

static size_t
model_options(uint8_t *h, const struct packet_tunnel *t)
{
	size_t len = 8 + (h[0] & 63u) * 4u;

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(options); i++) {
		if (!(be64_to(t->opts_present) >> options[i].slot & 1)) {
			continue;
		}
		put_be16(h + len, options[i].opt_class);
		h[len + 2] = options[i].type;
		h[len + 3] = options[i].len / 4;
		memcpy(h + len + 4, t->opts + options[i].offset, options[i].len);
		len += 4u + options[i].len;
		h[1] |= options[i].type & 0x80 ? 0x40 : 0;
	}
	h[0] = (uint8_t)((len - 8) / 4);
	return len;
}

/* VLAN and priority of a tag that is left, whether anything was cut; type III's time is filled in later. */
static void
model_erspan(uint8_t *h, const struct cargo *c)
{
	uint16_t tpid = get_be16(c->bytes + 12);
	bool is_tagged = c->len >= 16 && (tpid == 0x8100 || tpid == 0x88a8);
	uint16_t tci = is_tagged ? get_be16(c->bytes + 14) : 0, session = get_be16(h + 2) & 0x3ff;

	put_be16(h, (uint16_t)((h[0] & 0xf0u) << 8 | (tci & 0xfff)));
	session |= (uint16_t)((tci & 0xe000) | (c->is_cut ? 0x400 : 0));
	session |= h[0] >> 4 == 1 && is_tagged ? 0x1800 : 0;
	put_be16(h + 2, session);
}

/* The tunnel's header, but for GRE's checksum and ERSPAN's time. Returns its length. */
static size_t
model_tunnel(uint8_t *h, size_t len, const struct dp_encap *e, const struct packet_tunnel *t,
	const struct cargo *c, uint32_t sequence)
{
	uint32_t id = be32_to(t->id), at;

	if (e->flags & DP_ENCAP_ID_FROM_KEY) {
		if (e->kind == DP_TUNNEL_GRE) {
			put_be32(h + 4 + (h[0] & 0x80 ? 4 : 0), id);
		} else if (e->kind == DP_TUNNEL_ERSPAN) {
			put_be16(h + 10, (uint16_t)((get_be16(h + 10) & 0xfc00) | id));
		} else {
			h[4] = (uint8_t)(id >> 16);
			h[5] = (uint8_t)(id >> 8);
			h[6] = (uint8_t)id;
		}
	}
	if (e->flags & DP_ENCAP_L3 && e->kind == DP_TUNNEL_VXLAN_GPE) {
		h[3] = c->type == 0x0800 ? 1 : 2;
	} else if (e->flags & DP_ENCAP_L3) {
		put_be16(h + 2, c->type);
	}
	if (e->flags & DP_ENCAP_GBP_FROM_KEY && (be16_to(t->gbp_id) || t->gbp_flags)) {
		h[0] |= 0x80;
		h[1] = t->gbp_flags;
		put_be16(h + 2, be16_to(t->gbp_id));
	}
	if (e->kind == DP_TUNNEL_GENEVE && e->flags & DP_ENCAP_FLAGS_FROM_KEY) {
		h[1] = be16_to(t->flags) & FLOW_TUN_OAM ? 0x80 : 0;
	}
	if (e->flags & DP_ENCAP_OPTS_FROM_KEY && t->has_opts) {
		len = model_options(h, t);
	}
	if (e->kind == DP_TUNNEL_ERSPAN) {
		model_erspan(h + 8, c);
	}
	if (!is_udp(e->kind) && h[0] & 0x10) {
		at = 4 + (h[0] & 0x80 ? 4 : 0) + (h[0] & 0x20 ? 4 : 0);
		put_be32(h + at, sequence);
	}
	return len;
}

static size_t
model(uint8_t *out, const struct dp_encap *e, const struct packet_tunnel *t, const struct cargo *c,
	uint32_t sequence, uint16_t port)
{
	bool v6 = e->header[e->l3_off] >> 4 == 6, csum = e->flags & DP_ENCAP_UDP_CSUM;
	uint32_t tunnel = e->l4_off + (is_udp(e->kind) ? 8u : 0);
	uint8_t *ip = out + e->l3_off, *l4 = out + e->l4_off;
	uint8_t tos =
		v6 ? (uint8_t)(get_be16(e->header + e->l3_off) >> 4) : e->header[e->l3_off + 1];
	uint8_t ttl = e->header[e->l3_off + (v6 ? 7 : 8)];
	size_t len, l4_len;

	memcpy(out, e->header, e->size);
	len = tunnel + model_tunnel(out + tunnel, e->size - tunnel, e, t, c, sequence);
	memcpy(out + len, c->bytes, c->len);
	len += c->len;
	l4_len = len - e->l4_off;
	if (e->flags & DP_ENCAP_TOS_FROM_KEY) {
		tos = t->tos;
	}
	if (e->flags & DP_ENCAP_TTL_FROM_KEY && t->ttl) {
		ttl = t->ttl;
	}
	if (c->is_ip && e->flags & DP_ENCAP_TOS_INHERIT) {
		tos = c->tos;
	}
	if (c->is_ip && e->flags & DP_ENCAP_TTL_INHERIT) {
		ttl = c->ttl;
	}
	tos = (uint8_t)((tos & 0xfc) | (c->is_ip ? c->tos & 3 : 0));
	if (e->flags & DP_ENCAP_DST_FROM_KEY) {
		memcpy(ip + (v6 ? 24 : 16), t->dst + (v6 ? 0 : 12), v6 ? 16 : 4);
	}
	if (e->flags & DP_ENCAP_SRC_FROM_KEY && (t->src[0] || t->src[10])) {
		memcpy(ip + (v6 ? 8 : 12), t->src + (v6 ? 0 : 12), v6 ? 16 : 4);
	}
	if (v6) {
		ip[0] = 0x60 | tos >> 4;
		ip[1] = (uint8_t)(tos << 4 | (ip[1] & 15));
		put_be16(ip + 4, (uint16_t)l4_len);
		ip[7] = ttl;
	} else {
		ip[1] = tos;
		put_be16(ip + 2, (uint16_t)(len - e->l3_off));
		if (e->flags & DP_ENCAP_FLAGS_FROM_KEY) {
			put_be16(ip + 6, be16_to(t->flags) & FLOW_TUN_DF ? 0x4000 : 0);
		}
		put_be16(ip + 4, ip[6] & 0x40 ? 0 : 77);
		ip[8] = ttl;
		put_be16(ip + 10, 0);
		put_be16(ip + 10, (uint16_t)~lab_csum(ip, 20, 0));
	}
	if (!is_udp(e->kind)) {
		if (l4[0] & 0x80) {
			put_be32(l4 + 4, 0);
			put_be16(l4 + 4, (uint16_t)~lab_csum(l4, l4_len, 0));
		}
		return len;
	}
	put_be16(l4, port);
	put_be16(l4 + 4, (uint16_t)l4_len);
	put_be16(l4 + 6, 0);
	if (e->flags & DP_ENCAP_FLAGS_FROM_KEY) {
		csum = be16_to(t->flags) & FLOW_TUN_CSUM;
	}
	if (csum) {
		uint16_t sum = (uint16_t)~lab_csum(l4, l4_len,
			lab_csum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, IPPROTO_UDP + (uint32_t)l4_len));

		put_be16(l4 + 6, sum ? sum : 0xffff);
	}
	return len;
}

/* --- the comparison --------------------------------------------------------------------------------------- */

static void
compare(const uint8_t *found, size_t found_len, const uint8_t *wanted, size_t len, const char *what,
	const struct dp_encap *e)
{
	for (size_t i = 0; found_len != len || i < len; i++) {
		if (found_len != len || found[i] != wanted[i]) {
			fail_msg(
				"%s, kind %u, flags %#x: %zu bytes, not %zu; byte %zu is %02x, not %02x",
				what, e->kind, e->flags, found_len, len, i, found[i], wanted[i]);
		}
	}
}

/* Out again: the frame, and the tunnel fields of its outer headers. */
static void
check_out(struct packet *p, const struct dp_encap *e, const uint8_t *outer, const uint8_t *inner,
	size_t len)
{
	static uint8_t bytes[CAPACITY];
	const uint8_t *ip = outer + e->l3_off;
	struct flow_key key;

	assert_int_equal(tunnel_decap(p, e->kind), EDIT_OK);
	assert_true(p->head_len >= WEFT_MIN(p->len, (uint32_t)PACKET_HEAD_MIN));
	compare(bytes, lab_bytes(p, bytes, sizeof bytes), inner, len, "out", e);
	assert_true(packet_parse(p, &key, PARSE_L4));
	assert_true(key.tun_flags & be16_from(FLOW_TUN_PRESENT));
	if (ip[0] >> 4 == 6) {
		assert_memory_equal(key.tun_src, ip + 8, 32);
		assert_int_equal(key.tun_ttl, ip[7]);
	} else {
		assert_memory_equal(key.tun_src + 12, ip + 12, 4);
		assert_memory_equal(key.tun_dst + 12, ip + 16, 4);
		assert_int_equal(key.tun_ttl, ip[8]);
		assert_int_equal(key.tun_tos, ip[1]);
	}
	if (is_udp(e->kind)) {
		assert_int_equal(be32_to(key.tun_id_lo), get_be32(outer + e->l4_off + 12) >> 8);
	}
}

/* In steps of 100 us: half a step old at most, but for the time that the clock takes. */
static void
check_time(const uint8_t *stamp)
{
	struct timespec now;
	uint32_t age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (uint32_t)(now.tv_sec * 10000 + now.tv_nsec / 100000) - get_be32(stamp);
	assert_true(age < 600000); /* a minute: others may run between */
}

static void
one(void)
{
	static uint8_t outer[CAPACITY], bytes[CAPACITY], frame[CAPACITY];
	enum lab_kind kind = (enum lab_kind)lab_below(LAB_KINDS);
	struct dp_encap *e = random_encap();
	struct tunnel_encap *prepared = tunnel_encap_create(e);
	struct packet_tunnel t;
	struct cargo c = {0};
	struct lab_frame f;
	struct packet *p;
	struct flow_key key;
	uint32_t hash, sequence = 0;
	size_t found, len, strip = e->flags & DP_ENCAP_L3 ? 14 : 0;

	lab_frame(&f, kind == LAB_ARP && strip ? LAB_UDP4 : kind, strip ? 0 : lab_below(3),
		maybe(4) ? lab_below(1900) : lab_below(300));
	random_fields(&t, e);
	p = lab_packet(f.bytes, f.len, 1, maybe(3) ? PACKET_HEAD_MIN + lab_below(200) : 0);
	if (maybe(3)) {
		uint16_t headroom = (uint16_t)lab_below(128);
		struct rte_mbuf *m = packet_mbuf(p);

		memmove((uint8_t *)m->buf_addr + headroom, p->data, p->head_len);
		m->data_off = p->headroom = headroom;
		p->data = (uint8_t *)m->buf_addr + headroom;
	}
	assert_true(packet_parse(p, &key, PARSE_L4));
	hash = key_hash_tuple(&key, p->key_blocks, 0);
	if (e->max_len && f.len > e->max_len) {
		f.len = e->max_len;
		c.is_cut = true;
	}
	c.bytes = f.bytes + strip;
	c.len = f.len - strip;
	c.type = get_be16(f.bytes + f.l3 - 2);
	c.is_ip = c.type != 0x0806;
	c.tos = f.bytes[f.l3] >> 4 == 6 ? (uint8_t)(get_be16(f.bytes + f.l3) >> 4)
					: f.bytes[f.l3 + 1];
	c.ttl = f.bytes[f.l3 + (f.bytes[f.l3] >> 4 == 6 ? 7 : 8)];
	*packet_tunnel_open(p) = t;
	worker.ip_id = 77;
	/* Of a packet that was cut others than the first see another. */
	for (unsigned round = 0; round < (c.is_cut ? 1 : 2); round++, sequence++) {
		assert_int_equal(tunnel_encap(&worker, p, prepared, hash), EDIT_OK);
		len = model(outer, e, &t, &c, sequence, (uint16_t)(0xc000 | hash >> 18));
		found = lab_bytes(p, bytes, sizeof bytes);
		if (e->kind == DP_TUNNEL_ERSPAN && outer[e->l4_off + 8] >> 4 == 2) {
			check_time(bytes + e->l4_off + 12);
			memcpy(outer + e->l4_off + 12, bytes + e->l4_off + 12, 4);
		}
		compare(bytes, found, outer, len, "in", e);
		if (strip) {
			memset(frame, 0, 12);
			memcpy(frame + 12, f.bytes + 12, f.len - 12);
		} else {
			memcpy(frame, f.bytes, f.len);
		}
		check_out(p, e, outer, frame, f.len);
		/* As it comes by a wire, in whatever buffers. */
		{
			struct packet *received =
				lab_packet(outer, len, 1, PACKET_HEAD_MIN + lab_below(100));
			struct flow_key scratch;

			assert_true(packet_parse(received, &scratch, PARSE_L4));
			check_out(received, e, outer, frame, f.len);
			lab_free(received);
		}
		/* Once more, with what came out. */
		*packet_tunnel_open(p) = t;
		worker.ip_id = 77;
	}
	lab_free(p);
	tunnel_encap_destroy(prepared);
	free(e);
}

static void
test_tunnel_model_random(void **state)
{
	(void)state;
	lab_seed("tunnel_model");
	for (unsigned i = 0; i < MANY; i++) {
		one();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_model_random),
	};

	return cmocka_run_group_tests_name("tunnel_model", tests, start, stop);
}
