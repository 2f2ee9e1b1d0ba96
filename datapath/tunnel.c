/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: the kinds there are, prepared headers, sums.
 */
#include "datapath/tunnel.h"

#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/tunnel_internal.h"
#include "lib/alloc.h"
#include "vhost/packet_mbuf.h"

#define COPY_STEP 64u

const struct tunnel_kind *const tunnel_kinds[DP_TUNNEL_KIND_N] = {
	[DP_TUNNEL_VXLAN] = &tunnel_vxlan,
	[DP_TUNNEL_VXLAN_GPE] = &tunnel_vxlan_gpe,
	[DP_TUNNEL_GENEVE] = &tunnel_geneve,
	[DP_TUNNEL_GRE] = &tunnel_gre,
	[DP_TUNNEL_ERSPAN] = &tunnel_erspan,
	[DP_TUNNEL_GRE_OR_ERSPAN] = &tunnel_gre_or_erspan,
};

struct tunnel_encap *
tunnel_encap_create(const struct dp_encap *body)
{
	struct tunnel_encap *e = xaligned(64, WEFT_ROUND_UP(sizeof *e, 64));
	const uint8_t *ip = body->header + body->l3_off;
	uint8_t word[20];

	memset(e, 0, sizeof *e);
	e->kind = tunnel_kinds[body->kind];
	e->flags = body->flags;
	e->size = body->size;
	e->l3_off = body->l3_off;
	e->l4_off = body->l4_off;
	e->tunnel_off = (uint16_t)(body->l4_off + (e->kind->proto == IPPROTO_UDP ? 8 : 0));
	e->copied = (uint16_t)WEFT_ROUND_UP(body->size, COPY_STEP);
	e->n_tags = (uint8_t)((body->l3_off - ETH_LEN) / 4);
	e->v6 = ip[0] >> 4 == 6;
	e->tos = (uint8_t)((e->v6 ? get_be16(ip) >> 4 : ip[1]) & 0xfc);
	e->ttl = e->v6 ? ip[7] : ip[8];
	e->has_extra = body->flags & (DP_ENCAP_OPTS_FROM_KEY | DP_ENCAP_L3);
	e->body = body;
	e->limit = body->mtu ? body->mtu : TUNNEL_OUTER_MAX;
	e->cut_to = body->max_len ? body->max_len : UINT32_MAX;
	if (body->too_long == DP_ENCAP_CUT) {
		e->cut_to = WEFT_MIN(e->cut_to, e->limit - (uint32_t)(e->size - e->l3_off));
		e->limit = TUNNEL_OUTER_MAX; /* which none reaches then */
	}
	e->port = body->port;
	if (body->flags & DP_ENCAP_ID_FROM_KEY) {
		e->id_at = e->tunnel_off + e->kind->id_at(body->header + e->tunnel_off);
	}
	if (!e->v6) {
		memcpy(word, ip, sizeof word);
		word[1] = word[8] = 0;
		memset(word + 2, 0, 4);
		memset(word + 10, 0, 2);
		e->ip_sum = tunnel_sum_bytes(word, sizeof word);
	}
	memcpy(e->bytes + e->copied - e->size, body->header, e->size);
	e->finish = e->kind->finish &&
		    (body->flags & (DP_ENCAP_OPTS_FROM_KEY | DP_ENCAP_L3 | DP_ENCAP_GBP_FROM_KEY |
					   DP_ENCAP_FLAGS_FROM_KEY) ||
			    e->kind->proto == IPPROTO_GRE);
	return e;
}

void
tunnel_encap_destroy(struct tunnel_encap *e)
{
	free(e);
}

/* --- sums (RFC 1071) ----------------------------------------------------------------------------------- */

uint32_t
tunnel_sum_bytes(const uint8_t *bytes, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i + 1 < n; i += 2) {
		sum += get_be16(bytes + i);
	}
	return sum;
}

uint32_t
tunnel_sum_pseudo(const uint8_t *ip, bool v6, uint8_t proto, uint32_t len)
{
	return tunnel_sum_bytes(ip + (v6 ? 8 : 12), v6 ? 32 : 8) + proto + len;
}

/* Not rte_raw_cksum_mbuf(): DPDK 22.11's loses carries behind a segment of odd length. */
uint16_t
tunnel_sum(const struct packet *p, uint32_t off, uint32_t n)
{
	const struct rte_mbuf *m = packet_mbuf(p);
	uint64_t sum = 0;
	bool odd = false;

	for (; m && n; m = m->next) {
		uint32_t len;
		uint16_t part;

		if (off >= m->data_len) {
			off -= m->data_len;
			continue;
		}
		len = WEFT_MIN(n, m->data_len - off);
		part = rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, off), len);
		sum += odd ? rte_bswap16(part) : part;
		odd ^= len & 1;
		n -= len;
		off = 0;
	}
	return rte_be_to_cpu_16(tunnel_fold(sum));
}
