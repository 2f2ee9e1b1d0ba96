/* SPDX-License-Identifier: Apache-2.0
 *
 * The semantic check of action lists: OpenFlow 1.3.5 s.6.4 and s.A.4.4.
 *
 * The match is followed through the list: an action sees what those before it made of the packet
 * (a pushed tag satisfies a later set-field of its VLAN id).
 */
#include <string.h>

#include "lib/byteorder.h"
#include "ofproto/of_action_internal.h"
#include "ofproto/of_error.h"
#include "ofproto/of_match.h"

struct walk {
	const struct of_check *check;
	struct of_match now; /* what is known of the packet here */
	bool knows;          /* there is a match to judge by */
	unsigned depth;
	struct weft_error *err;
};

static bool check_list(struct walk *w, const void *data, size_t size);
static bool check_one(struct walk *w, const struct of_action_hdr *a);
static bool check_order(struct walk *w, const struct of_action_hdr *a, enum of_action_type *last);
static bool check_output(struct walk *w, uint32_t port);
static bool check_set_field(struct walk *w, const struct of_action_set_field *a);
static bool check_copy_field(struct walk *w, const struct of_action_copy_field *a);
static bool check_set(struct walk *w, const void *actions, size_t size);
static bool check_nested(struct walk *w, const struct of_action_hdr *a);
static bool check_push_pop(struct walk *w, const struct of_action_hdr *a, uint32_t v);
static bool check_ttl(struct walk *w, const struct of_action_hdr *a, uint32_t v);
static bool need(struct walk *w, enum field_prereq prereq, const char *what);
static bool is_tagged(const struct walk *w);
static void become(struct walk *w, uint16_t eth_type);
static bool is_mpls_type(uint32_t v);

bool
of_actions_check(
	const void *data, size_t size, const struct of_check *check, struct weft_error *err)
{
	struct walk w = {.check = check, .knows = check->match != NULL, .err = err};

	if (check->match) {
		w.now = *check->match;
	}
	if (size > OF_ACTIONS_MAX_SIZE) {
		return of_error_set(err, OFPET_BAD_ACTION, OFPBAC_TOO_MANY, "too many actions");
	}
	return check_list(&w, data, size);
}

static bool
check_list(struct walk *w, const void *data, size_t size)
{
	const struct of_action_hdr *a;
	enum of_action_type last = 0;

	if (w->depth > OF_ACTIONS_MAX_DEPTH) {
		return of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_TOO_MANY,
			"actions nest deeper than %u", OF_ACTIONS_MAX_DEPTH);
	}
	for (a = of_action_first(data, size); a; a = of_action_next(a, data, size)) {
		if (!check_order(w, a, &last) || !check_one(w, a)) {
			return false;
		}
	}
	return true;
}

/* Instructions stand behind the actions, each once, in order. */
static bool
check_order(struct walk *w, const struct of_action_hdr *a, enum of_action_type *last)
{
	if (of_action_is_instruction(a->type)) {
		if (w->check->is_actions || w->depth) {
			return of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_BAD_TYPE,
				"%s is an instruction, not an action",
				of_action_rows[a->type].name);
		}
		if ((enum of_action_type)a->type == *last) {
			return of_error_set(w->err, OFPET_BAD_INSTRUCTION, OFPBIC_DUP_INST,
				"%s stands twice", of_action_rows[a->type].name);
		}
		if ((enum of_action_type)a->type < *last) {
			return of_error_set(w->err, OFPET_BAD_INSTRUCTION, OFPBIC_UNSUP_INST,
				"%s must stand before %s", of_action_rows[a->type].name,
				of_action_rows[*last].name);
		}
		*last = a->type;
	} else if (*last) {
		return of_error_set(w->err, OFPET_BAD_INSTRUCTION, OFPBIC_UNSUP_INST,
			"%s must stand before %s", of_action_rows[a->type].name,
			of_action_rows[*last].name);
	}
	return true;
}

static bool
check_one(struct walk *w, const struct of_action_hdr *a)
{
	const struct of_action_u32 *u = (const void *)a;
	const struct of_action_resubmit *resubmit = (const void *)a;
	const struct of_action_controller *controller = (const void *)a;
	uint32_t v = a->len >= sizeof(*u) ? u->v : 0;

	switch ((enum of_action_type)a->type) {
	case OF_ACTION_OUTPUT:
		return check_output(w, ((const struct of_action_output *)(const void *)a)->port);
	case OF_ACTION_ENQUEUE:
		return check_output(w, ((const struct of_action_enqueue *)(const void *)a)->port);
	case OF_ACTION_CONTROLLER:
		return !controller->meter ||
		       (w->check->meter_exists &&
			       w->check->meter_exists(w->check->user, controller->meter)) ||
		       of_error_set(w->err, OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER,
			       "meter %u does not exist", controller->meter);
	case OF_ACTION_GROUP:
		return (v <= OFPG_MAX && w->check->group_exists &&
			       w->check->group_exists(w->check->user, v)) ||
		       of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_BAD_OUT_GROUP,
			       "group %u does not exist", v);
	case OF_ACTION_METER:
		return (w->check->meter_exists && w->check->meter_exists(w->check->user, v)) ||
		       of_error_set(w->err, OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER,
			       "meter %u does not exist", v);
	case OF_ACTION_SET_QUEUE:
	case OF_ACTION_CLEAR_ACTIONS:
	case OF_ACTION_WRITE_METADATA:
		return true;
	case OF_ACTION_PUSH_VLAN:
	case OF_ACTION_POP_VLAN:
	case OF_ACTION_SET_VLAN_VID:
	case OF_ACTION_SET_VLAN_PCP:
	case OF_ACTION_PUSH_MPLS:
	case OF_ACTION_POP_MPLS:
	case OF_ACTION_PUSH_PBB:
	case OF_ACTION_POP_PBB:
		return check_push_pop(w, a, v);
	case OF_ACTION_SET_NW_TTL:
	case OF_ACTION_DEC_NW_TTL:
	case OF_ACTION_SET_MPLS_TTL:
	case OF_ACTION_DEC_MPLS_TTL:
	case OF_ACTION_COPY_TTL_OUT:
	case OF_ACTION_COPY_TTL_IN:
		return check_ttl(w, a, v);
	case OF_ACTION_SET_FIELD:
		return check_set_field(w, (const void *)a);
	case OF_ACTION_COPY_FIELD:
		return check_copy_field(w, (const void *)a);
	case OF_ACTION_RESUBMIT:
		return resubmit->in_port != OFPP_ANY ||
		       of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT,
			       "resubmit with a port that cannot be an input port");
	case OF_ACTION_LEARN:
		return of_learn_check((const void *)a, w->knows ? &w->now : NULL, w->err);
	case OF_ACTION_FIN_TIMEOUT:
		return need(w, FIELD_PRE_TCP, of_action_rows[a->type].name);
	case OF_ACTION_CLONE:
	case OF_ACTION_WRITE_ACTIONS:
		return check_nested(w, a);
	case OF_ACTION_GOTO_TABLE:
		return (v > w->check->table && v < OF_N_TABLES) ||
		       of_error_set(w->err, OFPET_BAD_INSTRUCTION, OFPBIC_BAD_TABLE_ID,
			       "goto_table:%u from table %u does not lead forward", v,
			       w->check->table);
	case OF_ACTION_N:
		break;
	}
	return of_error_set(
		w->err, OFPET_BAD_ACTION, OFPBAC_BAD_TYPE, "unknown action %u", a->type);
}

static bool
check_output(struct walk *w, uint32_t port)
{
	bool ok = port != 0;

	if (port >= OFPP_MAX) {
		switch (port) {
		case OFPP_TABLE:
			ok = w->check->is_packet_out;
			break;
		case OFPP_IN_PORT:
		case OFPP_NORMAL:
		case OFPP_FLOOD:
		case OFPP_ALL:
		case OFPP_CONTROLLER:
		case OFPP_LOCAL:
			break;
		default:
			ok = false;
		}
	}
	return ok || of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_BAD_OUT_PORT,
			     "port %u (0x%x) cannot be output to here", port, port);
}

static bool
check_set_field(struct walk *w, const struct of_action_set_field *a)
{
	const struct field *f = field_get(a->field);
	union field_value value, mask, ones;
	bool is_exact;

	of_action_set_field_get(a, &value, &mask);
	field_value_ones(f, &ones);
	is_exact = !memcmp(mask.b, ones.b, f->n_bytes);
	if (!(f->flags & FIELD_WRITABLE)) {
		return of_error_set(
			w->err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_TYPE, "%s cannot be set", f->name);
	}
	if (!field_value_fits(f, &mask) || !field_value_fits(f, &value) ||
		(a->field == FIELD_VLAN_VID && is_exact && !(value.b[0] & 0x10))) {
		return of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_ARGUMENT,
			"value is out of range for %s", f->name);
	}
	if (w->knows && ((f->prereq != FIELD_PRE_NONE &&
				 !field_prereq_matched(f->prereq, &w->now.value, &w->now.mask)) ||
				(a->field == FIELD_VLAN_VID && !is_tagged(w)))) {
		return of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT,
			"set_field of %s on packets that need not have it", f->name);
	}
	if (w->knows && a->field == FIELD_ETH_TYPE) {
		become(w, (uint16_t)field_value_u64(f, &value));
	} else if (w->knows) {
		field_store_masked(f, &w->now.value, &value, &mask);
		if (a->field == FIELD_VLAN_TCI) {
			/* It makes and takes away tags. */
			field_store_masked(f, &w->now.mask.bits, &mask, &mask);
		}
	}
	return true;
}

static bool
check_copy_field(struct walk *w, const struct of_action_copy_field *a)
{
	const struct field *src = field_get(a->src), *dst = field_get(a->dst);

	if (!(dst->flags & FIELD_WRITABLE)) {
		return of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_TYPE,
			"%s cannot be set", dst->name);
	}
	if (!a->n_bits || (unsigned)a->src_ofs + a->n_bits > src->width ||
		(unsigned)a->dst_ofs + a->n_bits > dst->width) {
		return of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_BAD_SET_LEN,
			"%u bits do not fit in %s or %s", a->n_bits, src->name, dst->name);
	}
	if (w->knows && (!field_prereq_matched(src->prereq, &w->now.value, &w->now.mask) ||
				!field_prereq_matched(dst->prereq, &w->now.value, &w->now.mask))) {
		return of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT,
			"move from %s to %s on packets that need not have them", src->name,
			dst->name);
	}
	return true;
}

/* Extensions that have no place in the order of a set. */
static bool
check_set(struct walk *w, const void *actions, size_t size)
{
	const struct of_action_hdr *a;

	for (a = of_action_first(actions, size); a; a = of_action_next(a, actions, size)) {
		if (a->type == OF_ACTION_CONTROLLER || a->type == OF_ACTION_CLONE ||
			a->type == OF_ACTION_ENQUEUE || a->type == OF_ACTION_LEARN ||
			a->type == OF_ACTION_FIN_TIMEOUT) {
			return of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_BAD_TYPE,
				"%s cannot stand in an action set", of_action_rows[a->type].name);
		}
	}
	return true;
}

static bool
check_nested(struct walk *w, const struct of_action_hdr *a)
{
	struct of_match saved = w->now;
	const void *nested;
	size_t size;
	bool ok;

	nested = of_action_nested(a, &size);
	w->depth++;
	/* The action set runs when other tables have changed the packet: prerequisites are judged
	 * by what is known here all the same, as the specification has it. */
	ok = (a->type != OF_ACTION_WRITE_ACTIONS || check_set(w, nested, size)) &&
	     check_list(w, nested, size);
	w->depth--;
	w->now = saved;
	return ok;
}

static bool
check_push_pop(struct walk *w, const struct of_action_hdr *a, uint32_t v)
{
	const char *name = of_action_rows[a->type].name;

	switch ((enum of_action_type)a->type) {
	case OF_ACTION_PUSH_VLAN:
		if (v != 0x8100 && v != 0x88a8) {
			break;
		}
		of_match_set_u64(&w->now, FIELD_VLAN_TCI, FLOW_VLAN_PRESENT);
		return true;
	case OF_ACTION_POP_VLAN:
		if (w->knows && !is_tagged(w)) {
			return need(w, FIELD_PRE_VLAN, name);
		}
		of_match_set_u64_masked(&w->now, FIELD_VLAN_TCI, 0, 0);
		return true;
	case OF_ACTION_SET_VLAN_VID:
	case OF_ACTION_SET_VLAN_PCP:
		if (v > (a->type == OF_ACTION_SET_VLAN_VID ? 0xfffu : 7u)) {
			break;
		}
		if (!is_tagged(w)) {
			of_match_set_u64(&w->now, FIELD_VLAN_TCI, FLOW_VLAN_PRESENT);
		}
		return true;
	case OF_ACTION_PUSH_MPLS:
		if (!is_mpls_type(v)) {
			break;
		}
		become(w, (uint16_t)v);
		return true;
	case OF_ACTION_POP_MPLS:
		if (!need(w, FIELD_PRE_MPLS, name)) {
			return false;
		}
		if (v > 0xffff) {
			break;
		}
		become(w, (uint16_t)v);
		return true;
	case OF_ACTION_PUSH_PBB:
		if (v != 0x88e7) {
			break;
		}
		become(w, (uint16_t)v);
		return true;
	case OF_ACTION_POP_PBB:
		if (!need(w, FIELD_PRE_PBB, name)) {
			return false;
		}
		of_match_init(&w->now);
		w->knows = false; /* whatever the inner frame is */
		return true;
	default:
		break;
	}
	return of_error_set(
		w->err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT, "%s: bad argument 0x%x", name, v);
}

static bool
check_ttl(struct walk *w, const struct of_action_hdr *a, uint32_t v)
{
	const char *name = of_action_rows[a->type].name;

	if (v > 255) {
		return of_error_set(
			w->err, OFPET_BAD_ACTION, OFPBAC_BAD_ARGUMENT, "%s: TTL %u", name, v);
	}
	switch ((enum of_action_type)a->type) {
	case OF_ACTION_SET_NW_TTL:
	case OF_ACTION_DEC_NW_TTL:
		return need(w, FIELD_PRE_IP, name);
	case OF_ACTION_COPY_TTL_OUT:
	case OF_ACTION_COPY_TTL_IN:
		return !w->knows ||
		       field_prereq_matched(FIELD_PRE_IP, &w->now.value, &w->now.mask) ||
		       need(w, FIELD_PRE_MPLS, name);
	default:
		return need(w, FIELD_PRE_MPLS, name);
	}
}

static bool
need(struct walk *w, enum field_prereq prereq, const char *what)
{
	return !w->knows || field_prereq_matched(prereq, &w->now.value, &w->now.mask) ||
	       of_error_set(w->err, OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT,
		       "%s on packets that need not have the header", what);
}

static bool
is_tagged(const struct walk *w)
{
	return field_prereq_matched(FIELD_PRE_VLAN, &w->now.value, &w->now.mask);
}

/* The packet has that Ethernet type now, and nothing is known of what is in it. */
static void
become(struct walk *w, uint16_t eth_type)
{
	struct of_match was = w->now;

	of_match_init(&w->now);
	w->now.value.vlan_tci = was.value.vlan_tci;
	w->now.mask.bits.vlan_tci = was.mask.bits.vlan_tci;
	of_match_set_u64(&w->now, FIELD_ETH_TYPE, eth_type);
}

static bool
is_mpls_type(uint32_t v)
{
	return v == 0x8847 || v == 0x8848;
}
