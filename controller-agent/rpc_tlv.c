/* SPDX-License-Identifier: Apache-2.0
 *
 * Control socket: tlv.* (docs/rpc.md), which options of Geneve tun_metadata fields stand for.
 */
#include <stdio.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/jsonrpc.h"
#include "ofproto/of_tlv.h"

static bool
read_maps(json_t *params, bool names_alone, struct of_tlv_entry *entries, size_t *n,
	struct weft_error *err)
{
	const json_t *maps = json_object_get(params, "maps"), *map;
	size_t i, got;

	*n = 0;
	json_array_foreach (maps, i, map) {
		const char *text = json_string_value(map);

		if (!text) {
			return weft_error_set(
				err, WEFT_ERR_RPC, RPC_INVALID_PARAMS, "maps: an array of texts");
		}
		if (*n == OF_TLV_FIELDS) {
			return weft_error_set(err, WEFT_ERR_INVALID, 0,
				"more than %u mappings at once", OF_TLV_FIELDS);
		}
		if (!of_tlv_parse(text, strlen(text), names_alone, OF_TLV_FIELDS - *n, entries + *n,
			    &got, err)) {
			return false;
		}
		*n += got;
	}
	return true;
}

static void
change(struct rpc_call *call, json_t *params, struct agent *a, unsigned command)
{
	struct agent_switch *sw = agent_rpc_switch(a, call, params, "switch");
	struct of_tlv_entry entries[OF_TLV_FIELDS];
	struct weft_error err = WEFT_ERROR_INIT;
	size_t n;

	if (!sw) {
		return;
	}
	if (!read_maps(params, command == OF_TLV_DELETE, entries, &n, &err)) {
		rpc_call_fail_error(call, &err);
		return;
	}
	if (command == OF_TLV_DELETE && !n) {
		command = OF_TLV_CLEAR;
	}
	if (of_model_in_txn(a->model)) {
		rpc_call_fail(call, RPC_FAILED, "a bundle is being executed; try again");
	} else if (!ofproto_tlv_mod(sw->ofproto, command, entries, n, &err)) {
		rpc_call_fail(call, RPC_FAILED, "%s", err.text);
	} else {
		agent_touch(a);
		rpc_call_reply(call, json_object());
	}
}

void
agent_rpc_tlv_add(struct rpc_call *call, json_t *params, void *user)
{
	change(call, params, user, OF_TLV_ADD);
}

void
agent_rpc_tlv_del(struct rpc_call *call, json_t *params, void *user)
{
	change(call, params, user, OF_TLV_DELETE);
}

static void
list_switch(const struct agent_switch *sw, json_t *list)
{
	struct of_tlv tlv;

	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		char opt_class[8], type[8], field[20];

		if (of_tlv_get(ofproto_tlvs(sw->ofproto), i, &tlv)) {
			snprintf(opt_class, sizeof(opt_class), "0x%x", tlv.opt_class);
			snprintf(type, sizeof(type), "0x%x", tlv.type);
			snprintf(field, sizeof(field), "tun_metadata%u", i);
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:s, s:i}", "switch",
					      sw->config->name, "field", field, "class", opt_class,
					      "type", type, "length", (int)tlv.len));
		}
	}
}

void
agent_rpc_tlv_list(struct rpc_call *call, json_t *params, void *user)
{
	struct agent *a = user;
	struct agent_switch *sw, *only = NULL;
	json_t *list;

	if (json_object_get(params, "switch")) {
		only = agent_rpc_switch(a, call, params, "switch");
		if (!only) {
			return;
		}
	}
	list = json_array();
	LIST_FOREACH (sw, link, &a->switches) {
		if (!only || sw == only) {
			list_switch(sw, list);
		}
	}
	rpc_call_reply(call, list);
}
