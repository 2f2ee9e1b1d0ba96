/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: datapath. Tunnels: any outer frame is refused with a reason, or becomes an inner frame within its bytes.
 * The input is the kind of tunnel, the offload state in four bytes, then the frame. DPDK does not run here: the
 * buffer is made by hand.
 */
#include <rte_mbuf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/tunnel.h"
#include "datapath/tunnel_options.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "lib/packet_parse.h"
#include "vhost/packet_mbuf.h"

#define STATE_LEN 5u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
agree_on_options(void)
{
	static const struct dp_tun_opt opts[] = {
		{0x0102, 0x80, 4, 0, 0, {0, 0}},
		{0xffff, 0x03, 52, 4, 5, {0, 0}},
	};

	if (!tunnel_options_get() && tunnel_options_put(opts, WEFT_ARRAY_SIZE(opts))) {
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint32_t n = (uint32_t)len - STATE_LEN;
	struct rte_mbuf *m;
	struct packet *p;
	struct flow_key key;
	uint8_t *frame;
	int result;

	if (len < STATE_LEN || n > 2000) {
		return 0;
	}
	agree_on_options();
	/* Of the exact size, so that the sanitizer sees a byte too many. */
	frame = malloc(n ? n : 1);
	memcpy(frame, data + STATE_LEN, n);
	m = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof *m + PACKET_MBUF_PRIV, 64));
	memset(m, 0, sizeof *m);
	m->buf_addr = frame;
	m->buf_len = (uint16_t)n;
	m->data_len = (uint16_t)n;
	m->pkt_len = n;
	m->nb_segs = 1;
	m->priv_size = PACKET_MBUF_PRIV;
	p = packet_of_mbuf(m);
	packet_init_from_mbuf(p, m, 7, 0);
	if (packet_parse(p, &key, PARSE_L4)) {
		p->flags = data[1];
		p->csum_start = get_be16(data + 2) & 0x3ff;
		p->csum_offset = data[4];
		result = tunnel_decap(p, 1u + data[0] % (DP_TUNNEL_KIND_N - 1u));
		if (result != EDIT_OK && result != DROP_DECAP_BAD &&
			result != DROP_DECAP_RESERVED &&
			(result < DROP_DECAP_CHECKSUM || result > DROP_DECAP_ECN)) {
			abort();
		}
		if (result == EDIT_OK && (p->data < frame || p->data + p->len > frame + n)) {
			abort();
		}
		packet_parse(p, &key, PARSE_L4);
	}
	free(m);
	free(frame);
	return 0;
}
