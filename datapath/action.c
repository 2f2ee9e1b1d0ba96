/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions.
 *
 * Place: parse > cache > classify > act > tx.
 */
#include "datapath/action.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_random.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/action_internal.h"
#include "datapath/edit.h"
#include "datapath/edit_internal.h"
#include "datapath/key_hash.h"
#include "datapath/meter.h"
#include "datapath/object.h"
#include "datapath/upcall.h"
#include "datapath/worker.h"
#include "lib/alloc.h"
#include "lib/dp_action.h"

static enum parse_depth
depth_of_field(enum field_id id)
{
	const struct field *f = field_get(id);

	switch ((enum field_prereq)f->prereq) {
	case FIELD_PRE_NONE: /* tunnel fields among them, which are not parsed */
	case FIELD_PRE_VLAN:
	case FIELD_PRE_VLAN2:
		return PARSE_L2;
	case FIELD_PRE_ARP:
	case FIELD_PRE_MPLS:
	case FIELD_PRE_PBB:
		return PARSE_L3;
	default:
		return PARSE_L4;
	}
}

static enum parse_depth
depth_of_list(const void *actions, size_t size)
{
	enum parse_depth depth = PARSE_L2;

	for (const struct dp_action_hdr *a = dp_action_first(actions, size); a;
		a = dp_action_next(a, actions, size)) {
		for (unsigned which = 0; which < 2; which++) {
			size_t nested_size;
			const void *nested = dp_action_nested(a, which, &nested_size);

			depth = WEFT_MAX(depth, depth_of_list(nested, nested_size));
		}
		if (a->type == DP_ACTION_SET_FIELD) {
			depth = WEFT_MAX(depth, depth_of_field((enum field_id)(
							(const struct dp_action_set_field *)a)
								       ->field));
		} else if (a->type == DP_ACTION_DECAP) {
			/* Where the IP header ends. */
			depth = depth < PARSE_L3 ? PARSE_L3 : depth;
		} else if (a->type == DP_ACTION_DEC_TTL || a->type == DP_ACTION_TO_AGENT ||
			   a->type == DP_ACTION_HASH || a->type == DP_ACTION_SELECT ||
			   a->type == DP_ACTION_FIRST_LIVE || a->type == DP_ACTION_METER ||
			   a->type == DP_ACTION_ENCAP) {
			/* Buckets may do anything, and be others tomorrow. */
			depth = PARSE_L4;
		}
	}
	return depth;
}

static enum action_shape
shape_of(const void *actions, size_t size)
{
	const struct dp_action_hdr *a = dp_action_first(actions, size);
	const struct dp_action_output *out;

	if (a && a->type == DP_ACTION_DECAP) {
		return SHAPE_DECAP;
	}
	while (a && a->type == DP_ACTION_SET_FIELD &&
		edit_is_tunnel_field(
			(enum field_id)((const struct dp_action_set_field *)(const void *)a)
				->field)) {
		a = dp_action_next(a, actions, size);
	}
	if (!a || a->type != DP_ACTION_ENCAP) {
		return SHAPE_ANY;
	}
	out = (const void *)dp_action_next(a, actions, size);
	return out && out->hdr.type == DP_ACTION_OUTPUT && !out->max_len &&
			       !dp_action_next(&out->hdr, actions, size)
		       ? SHAPE_ENCAP
		       : SHAPE_ANY;
}

static const uint8_t *last_edit(const void *actions, size_t size);

struct action_program *
action_program_create(const void *actions, size_t size)
{
	struct action_program *program = xcalloc(1, WEFT_ROUND_UP(sizeof *program + size, 8));
	const struct dp_action_output *out = actions;

	program->size = (uint32_t)size;
	program->single_port = UINT32_MAX;
	if (size == sizeof *out && out->hdr.type == DP_ACTION_OUTPUT && !out->max_len) {
		program->single_port = out->port;
	}
	program->depth = (uint8_t)depth_of_list(actions, size);
	program->shape = (uint8_t)shape_of(actions, size);
	program->last_edit = (uint32_t)(last_edit(actions, size) - (const uint8_t *)actions);
	if (size) {
		memcpy(program->actions, actions, size);
	}
	return program;
}

/* --- running ------------------------------------------------------------------------------------------ */

static void run_whole(struct run *r, struct packet *p, const void *actions, size_t size);
static enum fate run_list(
	struct run *r, struct packet *p, const void *actions, size_t size, bool last);
static enum fate run_from(struct run *r, struct packet *p, struct frame *f);

/* Where the last action of a list stands that may write to the packet: what is output behind it may share
 * the packet's bytes. Nested lists that run on the packet itself count in whole. */
static const uint8_t *
last_edit(const void *actions, size_t size)
{
	const uint8_t *last = actions;

	for (const struct dp_action_hdr *a = dp_action_first(actions, size); a;
		a = dp_action_next(a, actions, size)) {
		switch ((enum dp_action_type)a->type) {
		case DP_ACTION_OUTPUT:
		case DP_ACTION_DROP:
		case DP_ACTION_TO_AGENT:
		case DP_ACTION_HASH:
			break;
		case DP_ACTION_SAMPLE:
		case DP_ACTION_CLONE: {
			/* The last of a list takes the packet itself. */
			size_t nested_size;
			const uint8_t *nested = dp_action_nested(a, 0, &nested_size);

			if (last_edit(nested, nested_size) != nested) {
				last = (const uint8_t *)a + a->len;
			}
			break;
		}
		default:
			last = (const uint8_t *)a + a->len;
			break;
		}
	}
	return last;
}

/* Whether nothing behind @a needs the packet, so that @a may take it. */
static bool
is_last(const struct dp_action_hdr *a, const void *actions, size_t size, bool last)
{
	return last && !dp_action_next(a, actions, size);
}

static enum fate
output(struct run *r, struct packet *p, const struct dp_action_output *a, bool take)
{
	struct packet *out = p;

	if (!take) {
		out = (const uint8_t *)a >= r->edits ? worker_share(r->w, p, a->max_len)
						     : worker_copy(r->w, p, a->max_len);
		r->n_copies++;
	}
	if (out) {
		if (take && a->max_len && a->max_len < p->len) {
			worker_truncate(p, a->max_len);
		}
		worker_output(r->w, out, a->port);
	}
	return take ? FATE_TAKEN : FATE_LEFT;
}

static enum fate
to_agent(struct run *r, struct packet *p, const struct dp_action_to_agent *a, bool take)
{
	if (!take) {
		worker_count_copied(r->w, p);
		r->n_copies++;
	}
	/* Books: what reaches the agent counts as sent, what does not as dropped. */
	upcall_to_agent(r->w, p, a->context, a->max_len, a->reason);
	if (take) {
		worker_free(p);
	}
	return take ? FATE_TAKEN : FATE_LEFT;
}

/* Runs a nested list on a copy, or on the packet itself when nothing behind needs it. */
static enum fate
run_copy(struct run *r, struct packet *p, const void *nested, size_t size, bool take)
{
	struct packet *copy = take ? p : worker_copy(r->w, p, 0);
	struct run inner = {
		.w = r->w,
		.key = r->key,
		.edits = last_edit(nested, size),
		.depth = r->depth,
		.looks = r->looks,
	};

	r->n_copies += !take;
	if (copy) {
		run_whole(&inner, copy, nested, size);
	}
	return take ? FATE_TAKEN : FATE_LEFT;
}

static enum fate
verdict(struct run *r, struct packet *p, int result)
{
	r->key = NULL;
	if (result == EDIT_OK) {
		return FATE_LEFT;
	}
	worker_drop(r->w, p, (enum drop_reason)result);
	return FATE_TAKEN;
}

static enum fate
dec_ttl(struct run *r, struct packet *p, const struct dp_action_hdr *a)
{
	int result = a->type == DP_ACTION_DEC_TTL ? packet_dec_ttl(p) : packet_dec_mpls_ttl(p);
	struct frame f = {.up = r->frame, .depth = r->depth, .last = true, .expired = true};

	if (result != EDIT_EXPIRED) {
		return verdict(r, p, result);
	}
	f.actions = dp_action_nested(a, 0, &f.size);
	f.at = dp_action_first(f.actions, f.size);
	if (run_from(r, p, &f) == FATE_LEFT) {
		worker_drop(r->w, p, DROP_INVALID_TTL);
	}
	return FATE_TAKEN;
}

uint32_t
action_tuple_hash(const struct run *r, struct packet *p, uint32_t basis)
{
	uint8_t blocks = p->key_blocks;
	struct flow_key key;
	uint32_t hash = 0;

	if (r->key) {
		return key_hash_tuple(r->key, blocks, basis);
	}
	if (packet_parse(p, &key, PARSE_L4)) {
		hash = key_hash_tuple(&key, p->key_blocks, basis);
	}
	p->key_blocks = blocks;
	return hash;
}

static void
set_hash(const struct run *r, struct packet *p, const struct dp_action_hash *a)
{
	uint8_t blocks = p->key_blocks;
	struct flow_mask mask;
	struct flow_key key;

	if (!a->n_fields) {
		p->hash = action_tuple_hash(r, p, a->basis);
		return;
	}
	if (packet_parse(p, &key, PARSE_L4)) {
		memset(&mask, 0, sizeof mask);
		for (uint32_t i = 0; i < a->n_fields; i++) {
			const struct field *f = field_get(a->fields[i]);
			union field_value ones;

			field_value_ones(f, &ones);
			field_store(f, &mask.bits, &ones);
		}
		p->hash = flow_key_hash(&key, p->key_blocks, &mask, a->basis);
	}
	p->key_blocks = blocks;
}

static void
credit(struct run *r, const struct object_body *body, uint32_t part, const struct packet *p)
{
	struct worker *w = r->w;

	stats_record_credit(stats_region_record(w->stats, w->id, body->parts[part].slot), 1, p->len,
		w->now_ms, 0);
}

/* The object that an action asks for. NULL: the packet was dropped. */
static const struct object_body *
enter(struct run *r, struct packet *p, const struct dp_action_object *a)
{
	const struct object_body *body = object_find(a->object);

	if (!body) {
		worker_drop(r->w, p, DROP_OBJECT_GONE);
	} else if (r->depth == DP_OBJECT_MAX_DEPTH || !*r->looks) {
		worker_drop(r->w, p, DROP_ACTION_LIMIT);
		body = NULL;
	} else {
		--*r->looks;
	}
	return body;
}

/* Runs the actions of a bucket on the packet. */
static enum fate
run_bucket(struct run *r, struct packet *p, const struct dp_action_object *a, bool take)
{
	const struct object_body *body = enter(r, p, a);
	const uint8_t *edits = r->edits;
	const struct dp_bucket *bucket;
	uint32_t part, hash = 0;
	enum fate fate;
	size_t size;

	if (!body) {
		return FATE_TAKEN;
	}
	if (body->kind == DP_OBJECT_SELECT) {
		hash = p->hash ? p->hash : action_tuple_hash(r, p, 0);
	}
	bucket = object_choose(body, hash, &part, r->looks);
	if (!bucket) {
		worker_drop(r->w, p, DROP_NO_BUCKET);
		return FATE_TAKEN;
	}
	credit(r, body, part, p);
	size = bucket->size - sizeof *bucket;
	/* What is behind this action in the list may write to the packet: nothing is shared. */
	r->edits = take ? last_edit(bucket->actions, size) : (const uint8_t *)UINTPTR_MAX;
	r->depth++;
	fate = run_list(r, p, bucket->actions, size, take);
	r->depth--;
	r->edits = edits;
	return fate;
}

/* Raises the drop precedence of an IP packet. */
static void
remark(struct packet *p, uint32_t by)
{
	uint16_t type = packet_l3_type(p);
	const uint8_t *ip = p->data + p->l3_off;
	uint8_t was, dscp, mask = 0x3f;

	if ((type != TYPE_IPV4 && type != TYPE_IPV6) || p->head_len - p->l3_off < 2) {
		return;
	}
	was = (uint8_t)(type == TYPE_IPV4 ? ip[1] >> 2 : get_be16(ip) >> 6 & 0x3f);
	dscp = meter_raise_dscp(was, by);
	if (dscp != was) {
		/* A bad header is refused and stays as it is. */
		packet_set_field(p, FIELD_IP_DSCP, &dscp, &mask);
	}
}

static enum fate
run_meter(struct run *r, struct packet *p, const struct dp_action_object *a)
{
	const struct object_body *body = enter(r, p, a);
	const struct meter_band *band;

	if (!body) {
		return FATE_TAKEN;
	}
	credit(r, body, 0, p);
	/* Not the burst's time: a bucket may be shallower than what flows into it in a burst. */
	band = meter_charge(body->meter, p->len, rte_rdtsc());
	if (!band) {
		return FATE_LEFT;
	}
	credit(r, body, band->index + 1, p);
	if (band->kind == DP_BAND_DROP) {
		worker_drop(r->w, p, DROP_METER);
		return FATE_TAKEN;
	}
	remark(p, band->prec_level);
	return FATE_LEFT;
}

static enum fate
run_action(struct run *r, struct packet *p, const struct dp_action_hdr *a, bool take)
{
	const void *body = a, *nested;
	size_t size;

	switch ((enum dp_action_type)a->type) {
	case DP_ACTION_OUTPUT:
		return output(r, p, body, take);
	case DP_ACTION_DROP:
		worker_drop(r->w, p, (enum drop_reason)((const struct dp_action_u32 *)body)->v);
		return FATE_TAKEN;
	case DP_ACTION_TO_AGENT:
		return to_agent(r, p, body, take);
	case DP_ACTION_PUSH_VLAN: {
		const struct dp_action_push_vlan *push = body;

		return verdict(r, p, packet_push_vlan(p, push->tpid, push->tci));
	}
	case DP_ACTION_POP_VLAN:
		return verdict(r, p, packet_pop_vlan(p));
	case DP_ACTION_SET_FIELD: {
		const struct dp_action_set_field *set = body;
		const struct flow_key *key =
			edit_is_tunnel_field((enum field_id)set->field) ? r->key : NULL;
		enum fate fate = verdict(r, p,
			packet_set_field(
				p, (enum field_id)set->field, set->data, set->data + set->n_bytes));

		r->key = key; /* that of its headers still holds */
		return fate;
	}
	case DP_ACTION_DEC_TTL:
	case DP_ACTION_DEC_MPLS_TTL:
		return dec_ttl(r, p, a);
	case DP_ACTION_PUSH_MPLS: {
		const struct dp_action_push_mpls *push = body;

		return verdict(r, p, packet_push_mpls(p, push->eth_type, push->lse));
	}
	case DP_ACTION_POP_MPLS:
		return verdict(r, p,
			packet_pop_mpls(p, (uint16_t)((const struct dp_action_u32 *)body)->v));
	case DP_ACTION_COPY_TTL_OUT:
	case DP_ACTION_COPY_TTL_IN:
		return verdict(r, p, packet_copy_ttl(p, a->type == DP_ACTION_COPY_TTL_OUT));
	case DP_ACTION_PUSH_PBB:
		return verdict(r, p,
			packet_push_pbb(p, (uint16_t)((const struct dp_action_u32 *)body)->v));
	case DP_ACTION_POP_PBB:
		return verdict(r, p, packet_pop_pbb(p));
	case DP_ACTION_HASH:
		set_hash(r, p, body);
		return FATE_LEFT;
	case DP_ACTION_SELECT:
	case DP_ACTION_FIRST_LIVE:
		return run_bucket(r, p, body, take);
	case DP_ACTION_METER:
		return run_meter(r, p, body);
	case DP_ACTION_SAMPLE:
		nested = dp_action_nested(a, 0, &size);
		if ((uint32_t)rte_rand() <= ((const struct dp_action_u32 *)body)->v) {
			return run_copy(r, p, nested, size, take);
		}
		return FATE_LEFT;
	case DP_ACTION_CLONE:
		nested = dp_action_nested(a, 0, &size);
		return run_copy(r, p, nested, size, take);
	case DP_ACTION_CHECK_LEN:
		nested = dp_action_nested(
			a, p->len <= ((const struct dp_action_check_len *)body)->max_len, &size);
		return run_list(r, p, nested, size, take);
	case DP_ACTION_RECIRC:
		worker_recirculate(r->w, &p, 1, ((const struct dp_action_u32 *)body)->v);
		return FATE_TAKEN;
	case DP_ACTION_ENCAP: {
		const struct object_body *object = enter(r, p, body);

		return object ? action_encap(r, p, object->encap) : FATE_TAKEN;
	}
	case DP_ACTION_DECAP:
		action_decap(r->w, &p, 1, body);
		return FATE_TAKEN;
	default:
		/* dp_actions_validate() lets no other in. */
		worker_drop(r->w, p, DROP_ACTION_LIMIT);
		return FATE_TAKEN;
	}
}

/* Runs the rest of a list, from the frame's action on. */
static enum fate
run_from(struct run *r, struct packet *p, struct frame *f)
{
	enum fate fate = FATE_LEFT;

	r->frame = f;
	for (; f->at && fate == FATE_LEFT; f->at = dp_action_next(f->at, f->actions, f->size)) {
		fate = run_action(r, p, f->at, is_last(f->at, f->actions, f->size, f->last));
	}
	r->frame = f->up;
	return fate;
}

/* @last: nothing behind this list needs the packet. */
static enum fate
run_list(struct run *r, struct packet *p, const void *actions, size_t size, bool last)
{
	struct frame f = {.actions = actions,
		.size = size,
		.at = dp_action_first(actions, size),
		.up = r->frame,
		.depth = r->depth,
		.last = last};

	return run_from(r, p, &f);
}

/* Ends a packet that all actions have left alone. */
static void
end_left(struct run *r, struct packet *p)
{
	if (r->n_copies) {
		/* All that it had to do was done by copies: the original is one too many, not a loss. */
		worker_uncount_copied(r->w, p);
		worker_free(p);
	} else {
		worker_drop(r->w, p, DROP_EXPLICIT);
	}
}

/* Runs a list and consumes the packet. */
static void
run_whole(struct run *r, struct packet *p, const void *actions, size_t size)
{
	if (run_list(r, p, actions, size, true) == FATE_LEFT) {
		end_left(r, p);
	}
}

void
action_run_rest(const struct run *r, struct packet *piece)
{
	/* Other pieces may share its bytes. */
	struct run rest = {.w = r->w,
		.n_copies = r->n_copies,
		.edits = (const uint8_t *)UINTPTR_MAX,
		.looks = r->looks};

	for (const struct frame *from = r->frame; from; from = from->up) {
		struct frame f = *from;

		f.at = dp_action_next(f.at, f.actions, f.size);
		rest.depth = f.depth;
		if (run_from(&rest, piece, &f) == FATE_TAKEN) {
			return;
		}
		if (f.expired) {
			worker_drop(r->w, piece, DROP_INVALID_TTL);
			return;
		}
	}
	end_left(&rest, piece);
}

/* Runs the list of an ordinary program. */
static void
run_program(struct worker *w, struct packet *p, const struct flow_key *key,
	const struct action_program *program)
{
	unsigned looks = OBJECT_MAX_LOOKS;
	struct run r = {.w = w,
		.key = key,
		.edits = program->actions + program->last_edit,
		.looks = &looks};

	run_whole(&r, p, program->actions, program->size);
}

void
action_program_run(struct worker *w, struct packet **pkts, const struct flow_key *keys, unsigned n,
	const struct action_program *program)
{
	switch ((enum action_shape)program->shape) {
	case SHAPE_DECAP:
		action_decap(w, pkts, n, (const void *)program->actions);
		return;
	case SHAPE_ENCAP:
		for (unsigned i = 0; i < n; i++) {
			if (!action_encap_output(
				    w, pkts[i], &keys[i], program->actions, program->size)) {
				run_program(w, pkts[i], &keys[i], program);
			}
		}
		return;
	case SHAPE_ANY:
		for (unsigned i = 0; i < n; i++) {
			run_program(w, pkts[i], &keys[i], program);
		}
		return;
	}
}

void
actions_run(struct worker *w, struct packet *p, const struct flow_key *key, const void *actions,
	size_t size)
{
	unsigned looks = OBJECT_MAX_LOOKS;
	struct run r = {.w = w, .key = key, .edits = last_edit(actions, size), .looks = &looks};

	run_whole(&r, p, actions, size);
}
