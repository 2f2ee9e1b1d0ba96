/* SPDX-License-Identifier: Apache-2.0
 *
 * Fake datapath: what happens to packets, from the frame to the upcall or the output.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "tests/unit/controller-agent/fake_datapath_internal.h"

void
fake_parse(struct flow_key *key, const uint8_t *data, size_t len)
{
	size_t at = 12;

	memcpy(key->eth_dst, data, 6);
	memcpy(key->eth_src, data + 6, 6);
	if (len >= 18 && (get_be16(data + at) == 0x8100 || get_be16(data + at) == 0x88a8)) {
		key->vlan_tpid = be16_from(get_be16(data + at));
		key->vlan_tci = be16_from(get_be16(data + at + 2) | FLOW_VLAN_PRESENT);
		at += 4;
	}
	key->eth_type = be16_from(get_be16(data + at));
	at += 2;
	if (be16_to(key->eth_type) == 0x0806 && len >= at + 28) {
		key->arp_op = be16_from(get_be16(data + at + 6));
		memcpy(key->arp_sha, data + at + 8, 6);
		memcpy(&key->arp_spa, data + at + 14, 4);
		memcpy(key->arp_tha, data + at + 18, 6);
		memcpy(&key->arp_tpa, data + at + 24, 4);
	} else if (be16_to(key->eth_type) == 0x0800 && len >= at + 20) {
		key->ip_tos = data[at + 1];
		key->ip_ttl = data[at + 8];
		key->ip_proto = data[at + 9];
		memcpy(&key->ip_src, data + at + 12, 4);
		memcpy(&key->ip_dst, data + at + 16, 4);
		at += (size_t)(data[at] & 15) * 4;
		if ((key->ip_proto == 17 || key->ip_proto == 6) && len >= at + 4) {
			memcpy(&key->l4_src, data + at, 2);
			memcpy(&key->l4_dst, data + at + 2, 2);
		}
	}
}

static void
send_upcall(struct fake_datapath *dp, uint32_t kind, struct dp_upcall *head,
	const struct flow_key *key, unsigned worker, const uint8_t *data, size_t max_len)
{
	struct shm_ring *r = &dp->session.upcall[worker];
	uint8_t blocks[FLOW_KEY_SIZE];
	struct dp_part parts[2];

	head->time_ns = fake_now_ms() * 1000000;
	head->key_blocks = flow_key_blocks(key) & FLOW_BLOCKS_DATAPATH;
	max_len = WEFT_MIN(max_len, (size_t)DP_UPCALL_DATA_MAX);
	head->data_len = (uint16_t)WEFT_MIN(max_len, (size_t)head->packet_len);
	head->hash =
		flow_key_hash(key, FLOW_BLOCKS_ALL, &(struct flow_mask){.bits.ip_src = ~0u}, 0);
	flow_key_pack(blocks, key, head->key_blocks);
	parts[0] = (struct dp_part){blocks, flow_blocks_size(head->key_blocks)};
	parts[1] = (struct dp_part){data, head->data_len};
	if (!dp->session.open || !dp_send(r, kind, head, sizeof(*head), parts, 2)) {
		dp->counts.n_no_agent++;
		return;
	}
	shm_ring_publish(r);
}

/* A to-agent action's packet may need a chain of records. */
static void
send_to_agent(struct fake_datapath *dp, const struct dp_action_to_agent *a,
	const struct flow_key *key, unsigned worker, const uint8_t *data, size_t len)
{
	static const struct flow_key no_key;
	size_t total = a->max_len == 65535 ? len : WEFT_MIN(len, (size_t)a->max_len), at = 0;

	do {
		struct dp_upcall head = {.packet_len = (uint32_t)len,
			.data_off = (uint32_t)at,
			.reason = a->reason,
			.context = a->context,
			.flags = total - at > DP_UPCALL_DATA_MAX ? DP_UPCALL_MORE : 0};

		send_upcall(dp, DP_UPCALL_TO_AGENT, &head, at ? &no_key : key, worker, data + at,
			total - at);
		at += head.data_len;
	} while (at < total);
}

static void
miss(struct fake_datapath *dp, unsigned worker, const struct flow_key *key, const uint8_t *data,
	size_t len)
{
	struct dp_upcall head = {.packet_len = (uint32_t)len};
	struct fake_parked *slot = NULL;

	if (!dp->session.open) {
		dp->counts.n_no_agent++;
		return;
	}
	for (unsigned i = 0; i < FAKE_MAX_PARKED; i++) {
		struct fake_parked *p = &dp->parked[i];

		if (p->handle && flow_key_equal(&p->key, key)) {
			p->n++;
			return;
		}
		slot = !slot && !p->handle ? p : slot;
	}
	assert(slot && len <= FAKE_DATA_MAX);
	slot->handle = dp->next_parked++;
	slot->worker = worker;
	slot->key = *key;
	slot->n = 1;
	slot->len = (uint32_t)len;
	memcpy(slot->data, data, len);
	head.parked.v = slot->handle;
	dp->counts.n_upcalls++;
	send_upcall(dp, DP_UPCALL_MISS, &head, key, worker, data, DP_UPCALL_DATA_MAX);
}

static void
record_output(struct fake_datapath *dp, uint32_t port, const uint8_t *data, size_t len)
{
	struct fake_output *out = &dp->outputs[dp->counts.n_outputs % FAKE_MAX_OUTPUTS];

	out->port = port;
	out->len = (uint32_t)len;
	memcpy(out->data, data, WEFT_MIN(len, sizeof(out->data)));
	dp->counts.n_outputs++;
}

void
fake_run_actions(struct fake_datapath *dp, const void *actions, size_t size, struct flow_key *key,
	unsigned worker, const uint8_t *data, size_t len)
{
	bool went_out = false;

	for (const struct dp_action_hdr *a = dp_action_first(actions, size); a;
		a = dp_action_next(a, actions, size)) {
		if (a->type == DP_ACTION_OUTPUT) {
			record_output(dp, ((const struct dp_action_output *)a)->port, data, len);
			went_out = true;
		} else if (a->type == DP_ACTION_TO_AGENT) {
			send_to_agent(
				dp, (const struct dp_action_to_agent *)a, key, worker, data, len);
			went_out = true;
		} else if (a->type == DP_ACTION_RECIRC) {
			key->recirc_id = be32_from(((const struct dp_action_u32 *)a)->v);
			fake_forward(dp, worker, key, data, len);
			return;
		} else if (a->type == DP_ACTION_DROP) {
			break;
		}
	}
	dp->counts.n_dropped += !went_out;
}

void
fake_forward(struct fake_datapath *dp, unsigned worker, struct flow_key *key, const uint8_t *data,
	size_t len)
{
	for (uint32_t i = 1; i < FAKE_MAX_FLOWS; i++) {
		struct fake_flow *f = &dp->flows[i];

		if (f->live && flow_key_matches(key, FLOW_BLOCKS_ALL, &f->key, &f->mask)) {
			stats_record_credit(stats_region_record(&dp->stats, worker, i), 1, len,
				fake_now_ms(), 0);
			fake_run_actions(dp, f->actions, f->actions_size, key, worker, data, len);
			return;
		}
	}
	miss(dp, worker, key, data, len);
}

void
fake_datapath_receive(
	struct fake_datapath *dp, unsigned worker, uint32_t port, const void *data, size_t len)
{
	struct flow_key key;

	memset(&key, 0, sizeof(key));
	fake_parse(&key, data, len);
	key.in_port = be32_from(port);
	pthread_mutex_lock(&dp->lock);
	fake_forward(dp, worker, &key, data, len);
	pthread_cond_broadcast(&dp->changed);
	pthread_mutex_unlock(&dp->lock);
}
