/* SPDX-License-Identifier: Apache-2.0
 *
 * Persistence of the tables of Geneve's options: written whole whenever one changes.
 */
#include <stdlib.h>
#include <string.h>

#include "controller-agent/persist_internal.h"
#include "lib/alloc.h"
#include "lib/log.h"

WEFT_LOG_MODULE(persist);

/* --- reading ------------------------------------------------------------------------------------ */

bool
persist_replay_tlvs(struct persist *p, const void *data, size_t len)
{
	struct tlv_record record;

	if (len != sizeof(record)) {
		return false;
	}
	memcpy(&record, data, sizeof(record));
	persist_free_old_tlvs(p, record.switch_id);
	p->old_tlvs = xrealloc(p->old_tlvs, (p->n_old_tlvs + 1) * sizeof(record));
	p->old_tlvs[p->n_old_tlvs++] = record;
	return true;
}

/* Forgets what was read of that switch; 0: of all. */
void
persist_free_old_tlvs(struct persist *p, uint32_t switch_id)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_old_tlvs; i++) {
		if (switch_id && p->old_tlvs[i].switch_id != switch_id) {
			p->old_tlvs[n++] = p->old_tlvs[i];
		}
	}
	p->n_old_tlvs = n;
	if (!n) {
		free(p->old_tlvs);
		p->old_tlvs = NULL;
	}
}

void
persist_restore_tlvs(struct persist *p, struct ofproto *ofproto, uint32_t old_switch_id)
{
	for (size_t i = 0; i < p->n_old_tlvs; i++) {
		const struct tlv_record *record = &p->old_tlvs[i];

		for (unsigned k = 0; record->switch_id == old_switch_id && k < OF_TLV_FIELDS; k++) {
			if (record->fields[k].is_mapped &&
				!ofproto_tlv_import(ofproto, k, &record->fields[k])) {
				LOG_WARN_RL(
					"switch %s: tun_metadata%u cannot stand for what it did",
					ofproto_name(ofproto), k);
			}
		}
	}
}

/* --- writing ------------------------------------------------------------------------------------ */

/* False: the table is empty. */
static bool
fill(struct ofproto *ofproto, struct tlv_record *record)
{
	bool has_fields = false;

	memset(record, 0, sizeof(*record));
	record->switch_id = ofproto_id(ofproto);
	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		struct of_tlv tlv;

		if (of_tlv_get(ofproto_tlvs(ofproto), i, &tlv)) {
			record->fields[i] = tlv;
			has_fields = true;
		}
	}
	return has_fields;
}

void
persist_tlvs_changed(void *user, struct ofproto *ofproto)
{
	struct persist *p = user;
	struct tlv_record record;

	fill(ofproto, &record);
	state_append(p->agent->state, STATE_TLVS, &record, sizeof(record));
	agent_touch(p->agent);
}

void
persist_snapshot_tlvs(struct state *state, struct ofproto *ofproto)
{
	struct tlv_record record;

	if (fill(ofproto, &record)) {
		state_snapshot_put(state, STATE_TLVS, &record, sizeof(record));
	}
}
