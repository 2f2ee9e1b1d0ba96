/* SPDX-License-Identifier: Apache-2.0
 *
 * A switch's TLV table: which options its tun_metadata fields stand for, and where they have their places.
 *
 * Places: the first that are free in every switch; an option that another switch maps has its place already.
 */
#include <limits.h>
#include <string.h>

#include "lib/dp_protocol.h"
#include "ofproto/of_error.h"
#include "ofproto/of_tlv.h"
#include "ofproto/ofproto_internal.h"

#define TYPE_CRITICAL 0x80u /* RFC 8926 s.3.5 */

/* A table under change. */
struct draft {
	struct ofproto *p;
	struct of_tlv fields[OF_TLV_FIELDS];
};

static bool add(struct draft *d, const struct of_tlv_entry *e, struct weft_error *err);
static bool del(struct draft *d, uint64_t gone, struct weft_error *err);
static bool find_place(const struct draft *d, struct of_tlv *tlv, struct weft_error *err);
static void load(struct draft *d, struct ofproto *p);
static void publish(const struct draft *d);
static uint64_t used_slots(struct ofproto *p);

const struct of_tlv_map *
ofproto_tlvs(const struct ofproto *p)
{
	return &p->tlvs;
}

static bool
check(unsigned command, const struct of_tlv_entry *entries, size_t n, struct weft_error *err)
{
	if (command >= OF_TLV_N) {
		return of_error_set(err, OFPET_NICIRA, NXTTMFC_BAD_COMMAND,
			"command %u for the TLV table is unknown", command);
	}
	for (size_t i = 0; i < n; i++) {
		if (entries[i].len % 4 || entries[i].len > OF_TLV_LEN_MAX) {
			return of_error_set(err, OFPET_NICIRA, NXTTMFC_BAD_OPT_LEN,
				"an option of %u bytes: lengths are multiples of 4 up to %u",
				entries[i].len, OF_TLV_LEN_MAX);
		}
		if (entries[i].index >= OF_TLV_FIELDS) {
			return of_error_set(err, OFPET_NICIRA, NXTTMFC_BAD_FIELD_IDX,
				"tun_metadata%u: the last one is tun_metadata%u", entries[i].index,
				OF_TLV_FIELDS - 1);
		}
	}
	return true;
}

bool
ofproto_tlv_mod(struct ofproto *p, unsigned command, const struct of_tlv_entry *entries, size_t n,
	struct weft_error *err)
{
	uint64_t gone = 0;
	struct draft d;

	if (!check(command, entries, n, err)) {
		return false;
	}
	load(&d, p);
	if (command == OF_TLV_ADD) {
		for (size_t i = 0; i < n; i++) {
			if (!add(&d, &entries[i], err)) {
				return false;
			}
		}
	} else {
		for (size_t i = 0; command == OF_TLV_DELETE && i < n; i++) {
			gone |= UINT64_C(1) << entries[i].index;
		}
		if (!del(&d, command == OF_TLV_CLEAR ? UINT64_MAX : gone, err)) {
			return false;
		}
	}
	publish(&d);
	return true;
}

bool
ofproto_tlv_import(struct ofproto *p, unsigned index, const struct of_tlv *tlv)
{
	struct of_tlv_entry e = {tlv->opt_class, tlv->type, tlv->len, (uint16_t)index};
	struct of_tlv place = *tlv;
	struct draft d;

	if (!check(OF_TLV_ADD, &e, 1, NULL) || tlv->offset % 4 ||
		(unsigned)tlv->offset + tlv->len > OF_TLV_SPACE || tlv->slot >= OF_TLV_FIELDS) {
		return false;
	}
	load(&d, p);
	place.is_mapped = 1;
	place.zero = 0;
	if (!add(&d, &e, NULL)) {
		return false;
	}
	/* Where it was, if that is free; it is, unless somebody else wrote the file. */
	d.fields[index].is_mapped = 0;
	if (!find_place(&d, &place, NULL)) {
		return false;
	}
	d.fields[index] = place;
	publish(&d);
	return true;
}

size_t
of_model_tlvs(const struct of_model *m, struct dp_tun_opt *opts)
{
	const struct ofproto *p;
	uint64_t slots = 0;
	size_t n = 0;

	LIST_FOREACH (p, by_model, &m->switches) {
		struct of_tlv tlv;

		for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
			if (!of_tlv_get(&p->tlvs, i, &tlv) || slots >> tlv.slot & 1) {
				continue;
			}
			slots |= UINT64_C(1) << tlv.slot;
			opts[n++] = (struct dp_tun_opt){
				.opt_class = tlv.opt_class,
				.type = tlv.type,
				.len = tlv.len,
				.offset = tlv.offset,
				.slot = tlv.slot,
			};
		}
	}
	return n;
}

/* --- drafts -------------------------------------------------------------------------------------- */

static void
load(struct draft *d, struct ofproto *p)
{
	d->p = p;
	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		if (!of_tlv_get(&p->tlvs, i, &d->fields[i])) {
			memset(&d->fields[i], 0, sizeof(d->fields[i]));
		}
	}
}

static void
publish(const struct draft *d)
{
	struct of_model *m = d->p->model;
	uint64_t word;

	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		memcpy(&word, &d->fields[i], sizeof(word));
		atomic_store_explicit(&d->p->tlvs.fields[i], word, memory_order_relaxed);
	}
	tlvs_changed(m);
	if (m->journal.tlvs) {
		m->journal.tlvs(m->journal.user, d->p);
	}
	model_changed_all(m);
	model_publish(m);
}

void
tlvs_changed(struct of_model *m)
{
	struct dp_tun_opt opts[OF_TLV_FIELDS];
	size_t n = of_model_tlvs(m, opts);
	uint64_t slots = 0, critical = 0;

	for (size_t i = 0; i < n; i++) {
		slots |= UINT64_C(1) << opts[i].slot;
		critical |= opts[i].type & TYPE_CRITICAL ? UINT64_C(1) << opts[i].slot : 0;
	}
	atomic_store_explicit(&m->tlv_slots, slots, memory_order_relaxed);
	atomic_store_explicit(&m->tlv_critical, critical, memory_order_relaxed);
	if (m->events.tlvs_changed) {
		m->events.tlvs_changed(m->events.user);
	}
}

static bool
add(struct draft *d, const struct of_tlv_entry *e, struct weft_error *err)
{
	struct of_tlv tlv = {
		.opt_class = e->opt_class, .type = e->type, .len = e->len, .is_mapped = 1};

	if (d->fields[e->index].is_mapped) {
		return of_error_set(err, OFPET_NICIRA, NXTTMFC_ALREADY_MAPPED,
			"tun_metadata%u stands for an option already", e->index);
	}
	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		if (d->fields[i].is_mapped && d->fields[i].opt_class == e->opt_class &&
			d->fields[i].type == e->type) {
			return of_error_set(err, OFPET_NICIRA, NXTTMFC_DUP_ENTRY,
				"tun_metadata%u stands for the option of class 0x%x and type 0x%x "
				"already",
				i, e->opt_class, e->type);
		}
	}
	/* Nowhere so far. */
	tlv.offset = OF_TLV_SPACE;
	tlv.slot = OF_TLV_FIELDS;
	if (!find_place(d, &tlv, err)) {
		return false;
	}
	d->fields[e->index] = tlv;
	return true;
}

static bool
del(struct draft *d, uint64_t gone, struct weft_error *err)
{
	uint64_t used = 0;
	bool has_looked = false;

	for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
		if (!(gone >> i & 1) || !d->fields[i].is_mapped) {
			continue;
		}
		if (!has_looked) {
			used = used_slots(d->p);
			has_looked = true;
		}
		if (used >> d->fields[i].slot & 1) {
			return of_error_set(err, OFPET_NICIRA, NXTTMFC_INVALID_TLV_DEL,
				"rules or groups use tun_metadata%u", i);
		}
		memset(&d->fields[i], 0, sizeof(d->fields[i]));
	}
	return true;
}

/* --- places -------------------------------------------------------------------------------------- */

/* What is taken. */
struct taken {
	uint64_t words; /* of tun_opts, of 4 bytes each */
	uint64_t slots;
};

static uint64_t
words_of(const struct of_tlv *tlv)
{
	return ((UINT64_C(1) << tlv->len / 4) - 1) << tlv->offset / 4;
}

/* False: the option is known with another length. True: @taken has grown, or @tlv has its place. */
static bool
look_at(const struct of_tlv *known, struct of_tlv *tlv, struct taken *taken, bool *found,
	struct weft_error *err)
{
	if (known->opt_class == tlv->opt_class && known->type == tlv->type) {
		if (known->len != tlv->len) {
			return of_error_set(err, OFPET_NICIRA, NXTTMFC_DUP_ENTRY,
				"another switch has the option of class 0x%x and type 0x%x with %u "
				"bytes",
				tlv->opt_class, tlv->type, known->len);
		}
		*found = true;
		tlv->offset = known->offset;
		tlv->slot = known->slot;
	}
	taken->words |= words_of(known);
	taken->slots |= UINT64_C(1) << known->slot;
	return true;
}

/* The place that @tlv has or, beyond the end, the first that is free. */
static bool
find_place(const struct draft *d, struct of_tlv *tlv, struct weft_error *err)
{
	struct taken taken = {0, 0};
	const struct ofproto *p;
	struct of_tlv known;
	bool found = false;

	LIST_FOREACH (p, by_model, &d->p->model->switches) {
		for (unsigned i = 0; i < OF_TLV_FIELDS; i++) {
			if (p == d->p) {
				known = d->fields[i];
			} else if (!of_tlv_get(&p->tlvs, i, &known)) {
				continue;
			}
			if (known.is_mapped && !look_at(&known, tlv, &taken, &found, err)) {
				return false;
			}
		}
	}
	if (found) {
		return true;
	}
	if (tlv->slot < OF_TLV_FIELDS) {
		return !(taken.words & words_of(tlv)) && !(taken.slots >> tlv->slot & 1);
	}
	tlv->offset = 0;
	while ((unsigned)tlv->offset + tlv->len <= OF_TLV_SPACE && taken.words & words_of(tlv)) {
		tlv->offset = (uint8_t)(tlv->offset + 4);
	}
	tlv->slot = 0;
	while (tlv->slot < OF_TLV_FIELDS && taken.slots >> tlv->slot & 1) {
		tlv->slot++;
	}
	return ((unsigned)tlv->offset + tlv->len <= OF_TLV_SPACE && tlv->slot < OF_TLV_FIELDS) ||
	       of_error_set(err, OFPET_NICIRA, NXTTMFC_TABLE_FULL,
		       "no %u bytes in a row are free: the options of all switches have %u bytes "
		       "together",
		       tlv->len, OF_TLV_SPACE);
}

/* --- use ----------------------------------------------------------------------------------------- */

struct use {
	const struct of_tlv_map *map;
	uint64_t slots;
};

static void
use_field(struct use *u, unsigned index, const struct of_tlv *tlv)
{
	u->slots |= index < OF_TLV_FIELDS ? UINT64_C(1) << tlv->slot : 0;
}

static void
use_set(struct use *u, const struct of_action_set_field *a)
{
	union field_value value, mask;
	struct of_tlv tlv;

	of_action_set_field_get(a, &value, &mask);
	if (a->field == FIELD_TUN_OPTS) {
		use_field(u, of_tlv_of_mask(u->map, &mask, &tlv), &tlv);
	} else if (a->field == FIELD_TUN_OPTS_PRESENT) {
		u->slots |= field_value_u64(field_get(FIELD_TUN_OPTS_PRESENT), &mask);
	}
}

static void
use_actions(struct use *u, const void *data, size_t size)
{
	const struct of_action_hdr *a;

	for (a = of_action_first(data, size); a; a = of_action_next(a, data, size)) {
		const struct of_action_copy_field *copy = (const void *)a;
		struct of_tlv tlv;
		size_t nested_size;
		const void *nested = of_action_nested(a, &nested_size);

		if (a->type == OF_ACTION_SET_FIELD) {
			use_set(u, (const void *)a);
		} else if (a->type == OF_ACTION_COPY_FIELD) {
			if (copy->src == FIELD_TUN_OPTS) {
				use_field(u, of_tlv_of_bit(u->map, copy->src_ofs, &tlv), &tlv);
			}
			if (copy->dst == FIELD_TUN_OPTS) {
				use_field(u, of_tlv_of_bit(u->map, copy->dst_ofs, &tlv), &tlv);
			}
		} else if (nested_size) {
			use_actions(u, nested, nested_size);
		}
	}
}

static bool
use_rule(const struct of_flow_view *flow, void *use)
{
	struct use *u = use;

	u->slots |= be64_to(flow->match.mask.bits.tun_opts_present);
	use_actions(u, flow->actions, flow->actions_size);
	return true;
}

static void
use_group(const struct of_group_view *group, void *use)
{
	for (uint32_t i = 0; i < group->n_buckets; i++) {
		use_actions(use, group->buckets[i].actions, group->buckets[i].actions_size);
	}
}

/* Of the options that rules and groups look at or set. A walk over all of them: the table rarely changes. */
static uint64_t
used_slots(struct ofproto *p)
{
	struct use u = {&p->tlvs, 0};
	struct of_flow_cursor *cursor;
	struct of_flow_query query;

	of_flow_query_init(&query);
	cursor = ofproto_query_begin(p, &query);
	while (ofproto_query_step(cursor, UINT_MAX, p->model->now_ms, use_rule, &u)) {
	}
	ofproto_query_end(cursor);
	ofproto_group_visit(p, OFPG_ALL, false, p->model->now_ms, use_group, &u);
	return u.slots;
}
