/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: ERSPAN, mirrored packets in GRE (draft-foschiano-erspan): type II and III both ways, type I in.
 *
 * Time: type III's stamp is the time of day in steps of 100 us, read from the kernel's page (no system call) and
 *       kept by each worker until half a step has gone by.
 */
#include <netinet/in.h>
#include <rte_cycles.h>
#include <time.h>

#include "datapath/tunnel_internal.h"
#include "lib/flow_key.h"

#define ERSPAN_2 0x88beu /* Ethernet types; I has that of II, but no sequence number */
#define ERSPAN_3 0x22ebu
#define LEN_2 8u
#define LEN_3 12u
#define LEN_SUB_HEADER 8u
#define SESSION 0x3ffu
#define TRUNCATED 0x0400u
#define IN_FRAME 0x1800u /* type II's EN: the tag is in the frame */
#define COS_SHIFT 13
#define STEPS_A_SECOND 10000u

/* Where ERSPAN's header begins. */
static uint32_t
session_at(const uint8_t *h)
{
	return tunnel_gre_size(get_be16(h));
}

static bool
is_erspan(uint16_t type)
{
	return type == ERSPAN_2 || type == ERSPAN_3;
}

/* What is behind GRE's header. */
static int
take_header(const uint8_t *h, uint32_t room, struct packet_tunnel *t, struct tunnel_found *found)
{
	const uint8_t *s = h + found->size;
	bool is_3 = found->type == ERSPAN_3;
	uint32_t size = is_3 ? LEN_3 : LEN_2;

	tunnel_add_flags(t, FLOW_TUN_ERSPAN);
	if (!is_3 && !(get_be16(h) & GRE_SEQUENCE)) {
		t->erspan_ver = 0; /* type I has no header */
		found->type = TUNNEL_ETHERNET;
		return EDIT_OK;
	}
	if (found->size + size > room || s[0] >> 4 != (is_3 ? 2 : 1)) {
		return DROP_DECAP_BAD;
	}
	t->erspan_ver = is_3 ? 2 : 1;
	t->id = be32_from(get_be16(s + 2) & SESSION);
	tunnel_add_flags(t, FLOW_TUN_KEY);
	if (!is_3) {
		t->erspan_idx = be32_from(get_be32(s + 4) & 0xfffff);
	} else {
		t->erspan_hwid = (uint8_t)(get_be16(s + 10) >> 4 & 0x3f);
		t->erspan_dir = s[11] >> 3 & 1;
		size += s[11] & 1 ? LEN_SUB_HEADER : 0;
		if (found->size + size > room) {
			return DROP_DECAP_BAD;
		}
	}
	*found = (struct tunnel_found){found->size + size, TUNNEL_ETHERNET};
	return EDIT_OK;
}

static int
decap(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	int result = tunnel_gre_decap(p, h, room, len, t, found);

	if (result != EDIT_OK) {
		return result;
	}
	return is_erspan(found->type) ? take_header(h, room, t, found) : DROP_DECAP_PROTOCOL;
}

static int
decap_either(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	bool mirrored = room >= GRE_LEN && is_erspan(get_be16(h + 2));

	return (mirrored ? decap : tunnel_gre.decap)(p, h, room, len, t, found);
}

static uint32_t
time_stamp(void)
{
	static _Thread_local uint64_t read_tsc;
	static _Thread_local uint32_t stamp;
	uint64_t tsc = rte_rdtsc();

	if (!read_tsc || tsc - read_tsc > rte_get_tsc_hz() / (2 * STEPS_A_SECOND)) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		stamp = (uint32_t)((uint64_t)now.tv_sec * STEPS_A_SECOND +
				   (uint64_t)now.tv_nsec / (1000000000u / STEPS_A_SECOND));
		read_tsc = tsc;
	}
	return stamp;
}

static void
note_cut(uint8_t *h)
{
	uint8_t *s = h + session_at(h);

	put_be16(s + 2, (uint16_t)(get_be16(s + 2) | TRUNCATED));
}

static void
finish(struct packet *p, struct tunnel_encap *e, uint8_t *h, const struct tunnel_wish *wish)
{
	uint8_t *s = h + session_at(h), *frame = p->data + e->size;
	bool is_3 = s[0] >> 4 == 2;
	uint16_t tpid, tci = 0, session = (uint16_t)(get_be16(s + 2) & (TRUNCATED | SESSION));

	if (p->len >= e->size + ETH_LEN + 2) {
		tpid = get_be16(frame + ETH_LEN - 2);
		if (tpid == TYPE_VLAN || tpid == TYPE_QINQ) {
			tci = get_be16(frame + ETH_LEN);
			session |=
				(uint16_t)((tci >> COS_SHIFT << COS_SHIFT) | (is_3 ? 0 : IN_FRAME));
		}
	}
	put_be16(s, (uint16_t)((get_be16(s) & 0xf000) | (tci & 0xfff)));
	put_be16(s + 2, session);
	if (is_3) {
		put_be32(s + 4, time_stamp());
	}
	tunnel_gre_finish(p, e, h, wish);
}

const struct tunnel_kind tunnel_erspan = {
	.proto = IPPROTO_GRE,
	.id_max = SESSION,
	.id_at = session_at,
	.decap = decap,
	.finish = finish,
	.note_cut = note_cut,
};

/* For a port that takes both; nothing is sent so. */
const struct tunnel_kind tunnel_gre_or_erspan = {
	.proto = IPPROTO_GRE,
	.decap = decap_either,
};
