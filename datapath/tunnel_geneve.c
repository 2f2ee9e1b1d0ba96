/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnels: Geneve (RFC 8926).
 *
 * Options: those that agent and datapath have agreed on (tunnel_options.h) become tunnel fields; others are
 *          passed over, or drop the packet when their type says that they must be understood (s.3.5.1).
 */
#include <netinet/in.h>
#include <string.h>

#include "datapath/tunnel_internal.h"
#include "datapath/tunnel_options.h"
#include "lib/flow_key.h"

#define HEADER_LEN 8u
#define OPTION_LEN 4u
#define OPTIONS_MAX 252u
#define VNI_MAX 0xffffffu
#define FLAG_CONTROL 0x80u
#define FLAG_CRITICAL 0x40u
#define TYPE_CRITICAL 0x80u

static uint32_t
id_at(const uint8_t *h)
{
	(void)h;
	return 4;
}

static void
take_option(struct packet_tunnel *t, const struct dp_tun_opt *known, const uint8_t *data)
{
	if (!t->has_opts) {
		memset(t->opts, 0, FLOW_BLOCK_SIZE);
		t->has_opts = true;
	}
	memcpy(t->opts + known->offset, data, known->len);
	t->opts_present = be64_from(be64_to(t->opts_present) | UINT64_C(1) << known->slot);
}

static int
decap_options(const uint8_t *at, const uint8_t *end, struct packet_tunnel *t)
{
	const struct tunnel_options *options = at < end ? tunnel_options_get() : NULL;

	while (at < end) {
		const struct dp_tun_opt *known;
		uint32_t len;

		if (end - at < (ptrdiff_t)OPTION_LEN) {
			return DROP_DECAP_BAD;
		}
		len = (at[3] & 0x1fu) * 4;
		if ((uint32_t)(end - at) < OPTION_LEN + len) {
			return DROP_DECAP_BAD;
		}
		known = tunnel_options_find(options, get_be16(at), at[2]);
		if (known && known->len == len) {
			take_option(t, known, at + OPTION_LEN);
		} else if (at[2] & TYPE_CRITICAL) {
			return DROP_DECAP_OPTION;
		}
		at += OPTION_LEN + len;
	}
	return EDIT_OK;
}

static int
decap(const struct packet *p, const uint8_t *h, uint32_t room, uint32_t len,
	struct packet_tunnel *t, struct tunnel_found *found)
{
	(void)p;
	(void)len;
	if (room < HEADER_LEN || h[0] >> 6) {
		return DROP_DECAP_BAD;
	}
	*found = (struct tunnel_found){HEADER_LEN + (h[0] & 0x3fu) * 4, get_be16(h + 2)};
	if (found->size > room) {
		return DROP_DECAP_BAD;
	}
	t->id = be32_from(get_be32(h + 4) >> 8);
	tunnel_add_flags(t, FLOW_TUN_KEY | (h[1] & FLAG_CONTROL ? FLOW_TUN_OAM : 0));
	return tunnel_knows_type(found->type) ? decap_options(h + HEADER_LEN, h + found->size, t)
					      : (int)DROP_DECAP_PROTOCOL;
}

/* The option that is to be sent for slot @slot; NULL: none. */
static const struct dp_tun_opt *
wanted(const struct tunnel_wish *wish, unsigned slot)
{
	return be64_to(wish->t->opts_present) >> slot & 1 ? tunnel_options_slot(wish->options, slot)
							  : NULL;
}

static uint32_t
extra(const struct tunnel_wish *wish)
{
	uint32_t size = 0;

	for (unsigned slot = 0; slot < TUNNEL_OPTIONS; slot++) {
		const struct dp_tun_opt *o = wanted(wish, slot);

		size += o ? OPTION_LEN + o->len : 0;
	}
	return size;
}

static void
put_options(uint8_t *h, const struct tunnel_wish *wish)
{
	uint8_t *at = h + HEADER_LEN + (h[0] & 0x3fu) * 4;

	for (unsigned slot = 0; slot < TUNNEL_OPTIONS; slot++) {
		const struct dp_tun_opt *o = wanted(wish, slot);

		if (o) {
			put_be16(at, o->opt_class);
			at[2] = o->type;
			at[3] = o->len / 4;
			memcpy(at + OPTION_LEN, wish->t->opts + o->offset, o->len);
			at += OPTION_LEN + o->len;
			h[1] |= o->type & TYPE_CRITICAL ? FLAG_CRITICAL : 0;
		}
	}
	h[0] = (uint8_t)((at - h - HEADER_LEN) / 4);
}

static void
finish(struct packet *p, struct tunnel_encap *e, uint8_t *h, const struct tunnel_wish *wish)
{
	(void)p;
	if (e->flags & DP_ENCAP_L3) {
		put_be16(h + 2, wish->type);
	}
	if (e->flags & DP_ENCAP_FLAGS_FROM_KEY) {
		h[1] = (uint8_t)((h[1] & ~FLAG_CONTROL) |
				 (be16_to(wish->t->flags) & FLOW_TUN_OAM ? FLAG_CONTROL : 0));
	}
	if (wish->options) {
		put_options(h, wish);
	}
}

const struct tunnel_kind tunnel_geneve = {
	.proto = IPPROTO_UDP,
	.id_shift = 8,
	.id_max = VNI_MAX,
	.extra_max = OPTIONS_MAX,
	.id_at = id_at,
	.decap = decap,
	.extra = extra,
	.finish = finish,
};
