/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: Nicira's table of Geneve's options.
 *
 * Spec: Open vSwitch's NXT_TLV_TABLE_MOD, _REQUEST and _REPLY; as ovs-ofctl sends and prints them.
 */
#include "controller-agent/of13_internal.h"
#include "lib/alloc.h"
#include "lib/error.h"
#include "ofproto/oxm.h"

#define MOD_HEAD 8u
#define ENTRY_SIZE 8u

bool
of13_get_tlv_mod(const uint8_t *body, size_t len, struct of_tlv_mod *tm, struct weft_error *err)
{
	tm->command = get_be16(body);
	tm->n = (len - MOD_HEAD) / ENTRY_SIZE;
	tm->entries = NULL;
	if ((len - MOD_HEAD) % ENTRY_SIZE) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_LEN,
			"a TLV table mod of %zu bytes", len);
	}
	tm->entries = xcalloc(tm->n + 1, sizeof(*tm->entries));
	for (size_t i = 0; i < tm->n; i++) {
		const uint8_t *at = body + MOD_HEAD + i * ENTRY_SIZE;

		tm->entries[i] =
			(struct of_tlv_entry){get_be16(at), at[2], at[3], get_be16(at + 4)};
	}
	return true;
}

void
of13_put_tlv_table(struct strbuf *out, uint32_t xid, const struct of_tlv_map *tlvs)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_EXPERIMENTER, xid);
	struct of_tlv tlv;

	wire_put_u32(out, OXM_EXPERIMENTER_NX);
	wire_put_u32(out, NXT_TLV_TABLE_REPLY);
	wire_put_u32(out, OF_TLV_SPACE);
	wire_put_u16(out, OF_TLV_FIELDS);
	wire_put_zeros(out, 10);
	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		if (of_tlv_get(tlvs, i, &tlv)) {
			wire_put_u16(out, tlv.opt_class);
			wire_put_u8(out, tlv.type);
			wire_put_u8(out, tlv.len);
			wire_put_u16(out, (uint16_t)i);
			wire_put_zeros(out, 2);
		}
	}
	wire_end(out, start);
}
