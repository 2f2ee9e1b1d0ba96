/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow 1.3 on the wire: bundles.
 *
 * Spec: ONF extension 230 (bundles for OpenFlow 1.3.x), which takes OpenFlow 1.4.0 s.7.3.9 into experimenter's
 *       messages and errors.
 */
#include "controller-agent/channel.h"
#include "controller-agent/of13_internal.h"
#include "lib/error.h"
#include "ofproto/oxm.h"

const struct of_experimenter_type of13_experimenters[OF13_N_EXPERIMENTERS] = {
	{ONF_EXPERIMENTER, ONF_ET_BUNDLE_CONTROL, {OF_MSG_BUNDLE_CONTROL, false, 8}},
	{ONF_EXPERIMENTER, ONF_ET_BUNDLE_ADD_MESSAGE, {OF_MSG_BUNDLE_ADD, false, 8}},
	{OXM_EXPERIMENTER_NX, NXT_TLV_TABLE_MOD, {OF_MSG_TLV_MOD, false, 8}},
	{OXM_EXPERIMENTER_NX, NXT_TLV_TABLE_REQUEST, {OF_MSG_TLV_REQUEST, true, 0}},
};

/* Properties are for experimenters, and we know none. */
static bool
check_properties(const uint8_t *at, size_t len, struct weft_error *err)
{
	if (!len) {
		return true;
	}
	if (len < 4 || get_be16(at + 2) < 4 || get_be16(at + 2) > len) {
		return of_error_set(err, OFPET_BAD_REQUEST, OFPBRC_BAD_LEN,
			"a bundle property is cut off or claims a wrong length");
	}
	return of_error_set(err, OFPET_BAD_REQUEST,
		get_be16(at) == 0xffff ? OFPBRC_BAD_EXPERIMENTER : OFPBRC_BAD_TYPE,
		"bundle property 0x%04x is not known", get_be16(at));
}

bool
of13_get_bundle_control(
	const uint8_t *body, size_t len, struct of_bundle_control *bc, struct weft_error *err)
{
	bc->id = get_be32(body);
	bc->type = get_be16(body + 4);
	bc->flags = get_be16(body + 6);
	return check_properties(body + 8, len - 8, err);
}

bool
of13_get_bundle_add(
	const uint8_t *body, size_t len, struct of_bundle_add *add, struct weft_error *err)
{
	size_t rest = len - 8, padded;

	add->id = get_be32(body);
	add->flags = get_be16(body + 6);
	add->msg = body + 8;
	add->len = rest >= OFP_HEADER_SIZE ? get_be16(add->msg + 2) : 0;
	if (add->len < OFP_HEADER_SIZE || add->len > rest) {
		return of_error_set(err, OFPET_BUNDLE_FAILED, OFPBFC_MSG_BAD_LEN,
			"a message of a claimed %zu bytes in the %zu of a bundle-add", add->len,
			rest);
	}
	/* Padding stands before properties alone. */
	padded = WEFT_ROUND_UP(add->len, 8);
	return padded >= rest || check_properties(add->msg + padded, rest - padded, err);
}

void
of13_put_bundle_control(struct strbuf *out, uint32_t xid, const struct of_bundle_control *bc)
{
	size_t start = wire_begin(out, OFP13_VERSION, OFPT13_EXPERIMENTER, xid);

	wire_put_u32(out, ONF_EXPERIMENTER);
	wire_put_u32(out, ONF_ET_BUNDLE_CONTROL);
	wire_put_u32(out, bc->id);
	wire_put_u16(out, bc->type);
	wire_put_u16(out, bc->flags);
	wire_end(out, start);
}
