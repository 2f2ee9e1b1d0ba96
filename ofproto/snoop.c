/* SPDX-License-Identifier: Apache-2.0
 *
 * IGMP and MLD snooping: messages taken apart, and what they change in the table.
 */
#include <string.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "ofproto/mdb.h"
#include "ofproto/of_multicast.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/snoop.h"

/* A message: where it stands, and who sent it. */
struct message {
	const uint8_t *at; /* type, code, checksum, .. */
	size_t len;
	bool is_mld;
	bool has_source; /* not from 0.0.0.0 */
};

/* What it is about. */
struct about {
	struct ofproto *p;
	uint16_t vlan;
	struct of_port port;
	uint64_t now_ms;
};

enum record { /* RFC 3376 s.4.2.12, RFC 3810 s.5.2.12 */
	MODE_IS_INCLUDE = 1,
	MODE_IS_EXCLUDE,
	CHANGE_TO_INCLUDE,
	CHANGE_TO_EXCLUDE,
	ALLOW_NEW_SOURCES,
	BLOCK_OLD_SOURCES,
};

static bool find_message(const uint8_t *data, size_t len, struct message *m);
static bool find_igmp(const uint8_t *ip, size_t len, struct message *m);
static bool find_mld(const uint8_t *ip, size_t len, struct message *m);
static void hear_query(const struct about *a, const struct message *m);
static void hear_records(const struct about *a, const struct message *m);
static void hear_one(const struct about *a, const struct message *m, bool leaves);
static void take_group(const uint8_t *at, bool is_mld, uint8_t addr[16]);

void
ofproto_multicast_packet(struct ofproto *p, uint16_t vlan, struct of_port port, const uint8_t *data,
	size_t len, uint64_t now_ms)
{
	const struct about a = {p, vlan, port, now_ms};
	struct message m = {0};

	if (!p->settings.multicast_snooping || !ofport_find(p, port) ||
		!find_message(data, len, &m)) {
		return;
	}
	switch (snoop_kind_of(m.is_mld, m.at[0])) {
	case SNOOP_QUERY:
		hear_query(&a, &m);
		break;
	case SNOOP_REPORT:
		hear_one(&a, &m, false);
		break;
	case SNOOP_LEAVE:
		hear_one(&a, &m, true);
		break;
	case SNOOP_RECORDS:
		hear_records(&a, &m);
		break;
	case SNOOP_OTHER:
		break;
	}
	model_publish_noted(p->model);
}

const struct mdb *
ofproto_mdb(const struct ofproto *p)
{
	return p->mdb;
}

enum snoop_kind
snoop_kind_of(bool is_mld, uint8_t type)
{
	static const struct {
		uint8_t igmp, mld;
		uint8_t kind;
	} rows[] = {
		{0x11, 130, SNOOP_QUERY},
		{0x12, 131, SNOOP_REPORT}, /* IGMPv1 */
		{0x16, 131, SNOOP_REPORT},
		{0x17, 132, SNOOP_LEAVE},
		{0x22, 143, SNOOP_RECORDS},
	};

	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		if (type == (is_mld ? rows[i].mld : rows[i].igmp)) {
			return rows[i].kind;
		}
	}
	return SNOOP_OTHER;
}

bool
snoop_is_flooded(const uint8_t addr[16])
{
	static const uint8_t v4[15] = {[10] = 0xff, [11] = 0xff, [12] = 224};

	return !memcmp(addr, v4, sizeof(v4)) || (addr[0] == 0xff && (addr[1] & 0x0f) <= 2);
}

/* --- finding ------------------------------------------------------------------------------------- */

/* The Internet checksum of a buffer, going on from @sum: 0 if it holds the right one. */
static uint16_t
checksum(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	}
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static bool
find_message(const uint8_t *data, size_t len, struct message *m)
{
	size_t at = 12;
	uint16_t type;

	do {
		if (len < at + 2) {
			return false;
		}
		type = get_be16(data + at);
		at += type == 0x8100 || type == 0x88a8 ? 4 : 2;
	} while (type == 0x8100 || type == 0x88a8);
	if (at > len) {
		return false;
	}
	return type == 0x0800   ? find_igmp(data + at, len - at, m)
	       : type == 0x86dd ? find_mld(data + at, len - at, m)
				: false;
}

static bool
find_igmp(const uint8_t *ip, size_t len, struct message *m)
{
	size_t header, total;

	if (len < 20 || ip[0] >> 4 != 4) {
		return false;
	}
	header = (ip[0] & 0x0f) * 4u;
	total = get_be16(ip + 2);
	/* Whole packets alone: neither cut nor in fragments. */
	if (header < 20 || total < header + 8 || total > len || ip[9] != 2 ||
		get_be16(ip + 6) & 0x3fff) {
		return false;
	}
	m->at = ip + header;
	m->len = total - header;
	m->has_source = get_be32(ip + 12) != 0;
	return checksum(m->at, m->len, 0) == 0;
}

static bool
find_mld(const uint8_t *ip, size_t len, struct message *m)
{
	enum { HOP_BY_HOP = 0, ICMPV6 = 58, DESTINATION = 60 };
	size_t at = 40, end;
	uint32_t sum = ICMPV6;
	uint8_t next;

	if (len < 40 || ip[0] >> 4 != 6) {
		return false;
	}
	end = 40u + get_be16(ip + 4);
	next = ip[6];
	if (end > len || ip[7] != 1) {
		return false; /* RFC 3810 s.5: hop limit 1, from a link-local address */
	}
	while (next == HOP_BY_HOP || next == DESTINATION) {
		if (end < at + 8) {
			return false;
		}
		next = ip[at];
		at += (ip[at + 1] + 1u) * 8;
	}
	if (next != ICMPV6 || end < at + 8) {
		return false;
	}
	m->is_mld = true;
	m->at = ip + at;
	m->len = end - at;
	m->has_source = ip[8] == 0xfe && (ip[9] & 0xc0) == 0x80;
	/* The pseudo header: addresses, length, protocol. */
	for (size_t i = 8; i < 40; i += 2) {
		sum += get_be16(ip + i);
	}
	sum += (uint32_t)m->len;
	return checksum(m->at, m->len, sum) == 0;
}

/* --- hearing ------------------------------------------------------------------------------------- */

static uint64_t
expiry(const struct about *a)
{
	return a->now_ms + (uint64_t)a->p->settings.multicast_ageing_s * 1000;
}

static void
join(const struct about *a, const uint8_t addr[16])
{
	if (!snoop_is_flooded(addr)) {
		mdb_join(a->p->mdb, a->vlan, addr, a->port, expiry(a));
	}
}

/* Routers ask once more whether somebody wants the group; where there are none, nobody does. */
static void
leave(const struct about *a, const uint8_t addr[16])
{
	if (!mdb_has_routers(a->p->mdb, a->vlan)) {
		mdb_leave(a->p->mdb, a->vlan, addr, a->port);
	}
}

/* The time within which listeners answer (IGMPv3's and MLDv2's codes above 127 and 32767 are floating point). */
static uint32_t
response_ms(const struct message *m)
{
	uint32_t code = m->is_mld ? get_be16(m->at + 4) : m->at[1];

	if (m->is_mld) {
		return code < 0x8000 ? code : ((code & 0xfff) | 0x1000) << ((code >> 12 & 7) + 3);
	}
	return 100 * (code < 0x80 ? code : ((code & 0xf) | 0x10) << ((code >> 4 & 7) + 3));
}

static void
hear_query(const struct about *a, const struct message *m)
{
	static const uint8_t none[16];
	size_t offset = m->is_mld ? 8 : 4;
	uint8_t addr[16];

	if (m->len < (m->is_mld ? 24u : 8u) || !m->has_source) {
		return; /* RFC 4541 s.2.1.1: queries of who has no address are not a router's */
	}
	mdb_add_router(a->p->mdb, a->vlan, a->port, expiry(a));
	if (memcmp(m->at + offset, none, m->is_mld ? 16 : 4)) {
		take_group(m->at + offset, m->is_mld, addr);
		mdb_hurry(
			a->p->mdb, a->vlan, addr, a->now_ms + 2 * WEFT_MAX(response_ms(m), 1000u));
	}
}

static void
hear_one(const struct about *a, const struct message *m, bool leaves)
{
	uint8_t addr[16];

	if (m->len < (m->is_mld ? 24u : 8u)) {
		return;
	}
	take_group(m->at + (m->is_mld ? 8 : 4), m->is_mld, addr);
	if (leaves) {
		leave(a, addr);
	} else {
		join(a, addr);
	}
}

static void
hear_records(const struct about *a, const struct message *m)
{
	size_t at = 8, addr_len = m->is_mld ? 16 : 4;
	unsigned n = get_be16(m->at + 6);

	for (; n && m->len >= at + 4 + addr_len; n--) {
		const uint8_t *record = m->at + at;
		unsigned n_sources = get_be16(record + 2);
		uint8_t addr[16];

		take_group(record + 4, m->is_mld, addr);
		switch (record[0]) {
		case MODE_IS_INCLUDE:
		case CHANGE_TO_INCLUDE:
			/* Of no source: it wants nothing of the group any more. */
			if (!n_sources) {
				leave(a, addr);
				break;
			}
			/* fall through */
		case MODE_IS_EXCLUDE:
		case CHANGE_TO_EXCLUDE:
		case ALLOW_NEW_SOURCES:
			join(a, addr);
			break;
		default:
			break;
		}
		at += 4 + addr_len + n_sources * addr_len + record[1] * 4u;
	}
}

/* Groups that are none become one that is flooded anyway. */
static void
take_group(const uint8_t *at, bool is_mld, uint8_t addr[16])
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};

	memset(addr, 0, 16);
	if (is_mld) {
		memcpy(addr, at[0] == 0xff ? at : all_nodes, 16);
		return;
	}
	addr[10] = addr[11] = 0xff;
	memcpy(addr + 12, at, 4);
	if (at[0] >> 4 != 0xe) {
		memcpy(addr, all_nodes, 16);
	}
}
