/* SPDX-License-Identifier: Apache-2.0
 *
 * Trace: from the text of a flow to the key of a packet.
 *
 * Types: what a packet must be for a field to mean something is looked up by the field's name, since fields
 *        share places: nw_src asks for IPv4, arp_spa in the same bytes for ARP.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/byteorder.h"
#include "lib/error.h"
#include "lib/field.h"
#include "lib/packet_key.h"
#include "ofproto/of_match.h"
#include "ofproto/of_text_internal.h"
#include "ofproto/of_trace_internal.h"
#include "ofproto/ofproto.h"

#define ETH_IPV4 0x0800u
#define ETH_IPV6 0x86ddu
#define ETH_ARP 0x0806u
#define ETH_MPLS 0x8847u
#define ETH_PBB 0x88e7u
#define PROTO_ICMP 1u
#define PROTO_TCP 6u
#define PROTO_UDP 17u
#define PROTO_ICMPV6 58u
#define PROTO_SCTP 132u
#define ND_SOLICITATION 135u
#define ND_ADVERTISEMENT 136u
#define TPID_CUSTOMER 0x8100u

static uint32_t wanted_by(const char *flow, size_t len);
static bool next_name(struct of_span *text, struct of_span *name);
static void imply_types(uint32_t wanted, struct of_match *m);
static bool check_names(
	const char *flow, size_t len, const struct flow_key *key, struct weft_error *err);
static void imply_values(struct of_match *m);
static bool add_packet(
	struct of_match *m, const uint8_t *packet, size_t len, struct weft_error *err);
static bool is_masked(const struct of_match *m, enum field_id field);
static void imply(struct of_match *m, enum field_id field, uint64_t value);

bool
of_trace_parse(const char *flow, size_t len, const uint8_t *packet, size_t packet_len,
	const struct ofproto *p, struct flow_key *key, struct weft_error *err)
{
	struct of_text_names names = of_text_names_of(p);
	struct of_match m;

	if (!of_text_parse_match(flow, len, &names, &m, err)) {
		return false;
	}
	if (!is_masked(&m, FIELD_IN_PORT)) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"in_port is missing: by which port does the packet come in?");
	}
	if (!ofproto_port_find(p, OF_PORT(be32_to(m.value.in_port)))) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
			"switch %s has no port %u: see weft port list", ofproto_name(p),
			be32_to(m.value.in_port));
	}
	if (packet) {
		if (!add_packet(&m, packet, packet_len, err)) {
			return false;
		}
	} else {
		imply_types(wanted_by(flow, len), &m);
		if (!check_names(flow, len, &m.value, err) || !of_match_check(&m, err)) {
			return false;
		}
		imply_values(&m);
	}
	*key = m.value;
	return true;
}

/* A bitmap of what the named fields stand on. */
static uint32_t
wanted_by(const char *flow, size_t len)
{
	struct of_span text = {flow, len}, name;
	uint32_t wanted = 0;

	while (next_name(&text, &name)) {
		enum field_id field = field_by_name(name.at, name.len);

		if (field != FIELD_N) {
			wanted |= 1u << field_get(field)->prereq;
		}
	}
	return wanted;
}

/* Names of fields stand in front of an equals sign, behind a separator. */
static bool
next_name(struct of_span *text, struct of_span *name)
{
	size_t n = 0;

	while (text->len && (text->at[0] == ',' || isspace((unsigned char)text->at[0]))) {
		text->at++;
		text->len--;
	}
	while (n < text->len && text->at[n] != ',' && !isspace((unsigned char)text->at[n])) {
		n++;
	}
	*name = (struct of_span){text->at, n};
	text->at += n;
	text->len -= n;
	if (n) {
		*name = of_span_cut(name, '=');
	}
	return n > 0;
}

/* The types that the fields stand on, where the text does not give them. */
static void
imply_types(uint32_t wanted, struct of_match *m)
{
	static const struct {
		enum field_prereq prereq;
		uint16_t eth_type; /* 0: IPv4, or IPv6 if that is what the other fields are of */
		uint8_t proto;     /* 0: any */
	} rows[] = {
		{FIELD_PRE_IPV6, ETH_IPV6, 0},
		{FIELD_PRE_ND_SOL, ETH_IPV6, PROTO_ICMPV6},
		{FIELD_PRE_ND_ADV, ETH_IPV6, PROTO_ICMPV6},
		{FIELD_PRE_ND, ETH_IPV6, PROTO_ICMPV6},
		{FIELD_PRE_ICMPV6, ETH_IPV6, PROTO_ICMPV6},
		{FIELD_PRE_ICMPV4, ETH_IPV4, PROTO_ICMP},
		{FIELD_PRE_IPV4, ETH_IPV4, 0},
		{FIELD_PRE_TCP, 0, PROTO_TCP},
		{FIELD_PRE_UDP, 0, PROTO_UDP},
		{FIELD_PRE_SCTP, 0, PROTO_SCTP},
		{FIELD_PRE_IP, 0, 0},
		{FIELD_PRE_ARP, ETH_ARP, 0},
		{FIELD_PRE_MPLS, ETH_MPLS, 0},
		{FIELD_PRE_PBB, ETH_PBB, 0},
	};

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		if (!(wanted >> rows[i].prereq & 1)) {
			continue;
		}
		imply(m, FIELD_ETH_TYPE, rows[i].eth_type ? rows[i].eth_type : ETH_IPV4);
		if (rows[i].proto && is_masked(m, FIELD_ETH_TYPE) &&
			(m->value.eth_type == be16_from(ETH_IPV4) ||
				m->value.eth_type == be16_from(ETH_IPV6))) {
			imply(m, FIELD_IP_PROTO, rows[i].proto);
		}
	}
	if (wanted >> FIELD_PRE_ND_SOL & 1 || wanted >> FIELD_PRE_ND & 1) {
		imply(m, FIELD_ICMPV6_TYPE, ND_SOLICITATION);
	} else if (wanted >> FIELD_PRE_ND_ADV & 1) {
		imply(m, FIELD_ICMPV6_TYPE, ND_ADVERTISEMENT);
	}
	if (wanted & (1u << FIELD_PRE_ND | 1u << FIELD_PRE_ND_SOL | 1u << FIELD_PRE_ND_ADV)) {
		imply(m, FIELD_ICMPV6_CODE, 0);
	}
}

/* Whether the packet has each field that is named. */
static bool
check_names(const char *flow, size_t len, const struct flow_key *key, struct weft_error *err)
{
	static const char *const needs[FIELD_PRE_N] = {
		[FIELD_PRE_VLAN] = "a tag (dl_vlan)",
		[FIELD_PRE_VLAN2] = "a second tag (inner_tci)",
		[FIELD_PRE_IPV4] = "ip",
		[FIELD_PRE_IPV6] = "ipv6",
		[FIELD_PRE_IP] = "ip or ipv6",
		[FIELD_PRE_ARP] = "arp",
		[FIELD_PRE_TCP] = "tcp or tcp6",
		[FIELD_PRE_UDP] = "udp or udp6",
		[FIELD_PRE_SCTP] = "sctp or sctp6",
		[FIELD_PRE_L4] = "tcp, udp or sctp",
		[FIELD_PRE_ICMPV4] = "icmp",
		[FIELD_PRE_ICMPV6] = "icmp6",
		[FIELD_PRE_ND] = "icmp6,icmp_type=135 or 136",
		[FIELD_PRE_ND_SOL] = "icmp6,icmp_type=135",
		[FIELD_PRE_ND_ADV] = "icmp6,icmp_type=136",
		[FIELD_PRE_MPLS] = "mpls",
		[FIELD_PRE_PBB] = "dl_type=0x88e7",
	};
	bool is_arp = field_prereq_holds(FIELD_PRE_ARP, key);
	bool is_icmp = field_prereq_holds(FIELD_PRE_ICMPV4, key) ||
		       field_prereq_holds(FIELD_PRE_ICMPV6, key);
	struct of_span text = {flow, len}, name;

	while (next_name(&text, &name)) {
		enum field_id field = field_by_name(name.at, name.len);
		enum field_prereq prereq =
			field == FIELD_N ? FIELD_PRE_NONE : field_get(field)->prereq;

		/* ovs-ofctl's older names mean the field of ARP or ICMP in the same place. */
		if (field_prereq_holds(prereq, key) || (prereq == FIELD_PRE_L4 && is_icmp) ||
			((prereq == FIELD_PRE_IPV4 || prereq == FIELD_PRE_IP) && is_arp)) {
			continue;
		}
		return weft_error_set_at(err, WEFT_ERR_INVALID, EINVAL, 0, (size_t)(name.at - flow),
			"%.*s needs %s, which the packet is not", (int)name.len, name.at,
			needs[prereq]);
	}
	return true;
}

/* What every real packet has. */
static void
imply_values(struct of_match *m)
{
	const struct flow_key *key = &m->value;

	if (field_prereq_holds(FIELD_PRE_IP, key)) {
		imply(m, FIELD_IP_TTL, OF_TRACE_TTL);
	}
	if (field_prereq_holds(FIELD_PRE_MPLS, key)) {
		imply(m, FIELD_MPLS_TTL, OF_TRACE_TTL);
		imply(m, FIELD_MPLS_BOS, 1);
	}
	if (key->vlan_tci & be16_from(FLOW_VLAN_PRESENT)) {
		imply(m, FIELD_VLAN_TPID, TPID_CUSTOMER);
	}
	if (key->inner_tci & be16_from(FLOW_VLAN_PRESENT)) {
		imply(m, FIELD_INNER_TPID, TPID_CUSTOMER);
	}
}

/* The bytes tell what the packet is; the text may add where it came in, and of what tunnel. */
static bool
add_packet(struct of_match *m, const uint8_t *packet, size_t len, struct weft_error *err)
{
	static const enum field_id outside[] = {FIELD_IN_PORT, FIELD_RECIRC_ID, FIELD_TUN_ID};
	struct flow_mask left = m->mask;
	struct flow_key key;

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(outside); i++) {
		union field_value none = {{0}};

		field_store(field_get(outside[i]), &left.bits, &none);
	}
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get((enum field_id)id);

		/* Block 2 is the tunnel's, 6 and 7 are the pipeline's. */
		if (field_is_masked(f, &left) && f->block != 2 && f->block < 6) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"%s: the packet's bytes say what it has; leave the field out",
				f->name);
		}
	}
	if (!packet_key_parse(packet, len, &key)) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"a packet of %zu bytes has no complete Ethernet header, or a tag is cut off: "
			"the datapath drops it as %s",
			len, drop_reason_name(DROP_RX_TRUNCATED));
	}
	for (unsigned i = 0; i < OF_N_WORDS; i++) {
		m->value.words[i] |= key.words[i];
	}
	return true;
}

/* Whether the text says anything of the field. */
static bool
is_masked(const struct of_match *m, enum field_id field)
{
	return field_is_masked(field_get(field), &m->mask);
}

static void
imply(struct of_match *m, enum field_id field, uint64_t value)
{
	if (!is_masked(m, field)) {
		of_match_set_u64(m, field, value);
	}
}
