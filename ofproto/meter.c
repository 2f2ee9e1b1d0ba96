/* SPDX-License-Identifier: Apache-2.0
 *
 * Meters: meter-mods as steps of a transaction, listing, handles.
 */
#include "ofproto/of_meter.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "ofproto/of_error.h"
#include "ofproto/ofproto_internal.h"

static bool check(const struct of_meter_mod *mm, struct weft_error *err);
static bool check_band(const struct of_meter_band *b, struct weft_error *err);
static void delete_meters(struct of_txn *t, struct ofproto *p, uint32_t meter);
static struct meter *create(
	const struct of_meter_mod *mm, const struct meter *old, uint64_t now_ms);
static void destroy(struct versioned *v);
static void view_of(const struct meter *m, uint64_t now_ms, struct of_meter_view *view);

bool
ofproto_meter_mod(
	struct ofproto *p, const struct of_meter_mod *mm, uint64_t now_ms, struct weft_error *err)
{
	struct of_txn *t = txn_begin(p->model, 1);

	if (!of_txn_meter_mod(t, p, mm, now_ms, err)) {
		of_txn_abort(t);
		return false;
	}
	of_txn_commit(t, now_ms);
	return true;
}

bool
of_txn_meter_mod(struct of_txn *t, struct ofproto *p, const struct of_meter_mod *mm,
	uint64_t now_ms, struct weft_error *err)
{
	bool is_number = mm->meter >= 1 && mm->meter <= OFPM_MAX;
	struct meter *old;

	if (mm->command > OF_MOD_DELETE) {
		return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_BAD_COMMAND,
			"unknown meter-mod command");
	}
	if (!is_number && !(mm->command == OF_MOD_DELETE && mm->meter == OFPM_ALL)) {
		return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_INVALID_METER,
			"0x%x is not the number of a meter", mm->meter);
	}
	if (mm->command == OF_MOD_DELETE) {
		delete_meters(t, p, mm->meter);
		return true;
	}
	old = meter_of(versioned_find(&p->meters, mm->meter, txn_version(t)));
	if (mm->command == OF_MOD_ADD && old) {
		return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_METER_EXISTS,
			"meter %u exists already", mm->meter);
	}
	if (mm->command == OF_MOD_MODIFY && !old) {
		return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN_METER,
			"meter %u does not exist", mm->meter);
	}
	if (!check(mm, err)) {
		return false;
	}
	if (!old && p->meters.n_next >= OF_MAX_METERS) {
		return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_OUT_OF_METERS,
			"there are %u meters already", OF_MAX_METERS);
	}
	if (old) {
		txn_remove_item(t, p, OF_ITEM_METER, &old->v);
	}
	txn_add_item(t, p, OF_ITEM_METER, &create(mm, old, now_ms)->v, destroy);
	return true;
}

bool
ofproto_import_meter(struct ofproto *p, const struct of_meter_view *view, uint64_t now_ms,
	struct weft_error *err)
{
	struct of_meter_mod mm = {
		.command = OF_MOD_ADD,
		.flags = view->flags,
		.meter = view->id,
		.n_bands = view->n_bands,
	};

	(void)now_ms;
	memcpy(mm.bands, view->bands, view->n_bands * sizeof(mm.bands[0]));
	if (!ofproto_meter_mod(p, &mm, view->created_ms, err)) {
		return false;
	}
	ofproto_meter_set_handle(p, view->id, view->handle);
	return true;
}

static bool
check(const struct of_meter_mod *mm, struct weft_error *err)
{
	if (mm->flags & ~OF_METER_FLAGS_ALL ||
		(mm->flags & OF_METER_KBPS && mm->flags & OF_METER_PKTPS)) {
		return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_BAD_FLAGS,
			"meter flags 0x%x", mm->flags);
	}
	for (uint32_t i = 0; i < mm->n_bands; i++) {
		if (!check_band(&mm->bands[i], err)) {
			return false;
		}
	}
	return true;
}

static bool
check_band(const struct of_meter_band *b, struct weft_error *err)
{
	if (b->type != OF_BAND_DROP && b->type != OF_BAND_DSCP_REMARK) {
		return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_BAD_BAND,
			"unknown type %u of band", b->type);
	}
	if (!b->rate) {
		return of_error_set(
			err, OFPET_METER_MOD_FAILED, OFPMMFC_BAD_RATE, "a band of rate 0");
	}
	if (b->type == OF_BAND_DSCP_REMARK && b->prec_level > OF_MAX_PREC_LEVEL) {
		return of_error_set(err, OFPET_METER_MOD_FAILED, OFPMMFC_BAD_BAND_VALUE,
			"a drop precedence cannot rise by %u", b->prec_level);
	}
	return true;
}

static void
delete_meters(struct of_txn *t, struct ofproto *p, uint32_t meter)
{
	struct meter *m;

	txn_remove_users(t, p, OF_ITEM_METER, meter, meter == OFPM_ALL);
	LIST_FOREACH (m, v.by_table, &p->meters.items) {
		if ((meter == OFPM_ALL || m->v.id == meter) &&
			versioned_is_visible(&m->v, txn_version(t))) {
			txn_remove_item(t, p, OF_ITEM_METER, &m->v);
		}
	}
}

/* --- life ---------------------------------------------------------------------------------------- */

/* @old: whose place in the datapath and age go on; NULL: none. */
static struct meter *
create(const struct of_meter_mod *mm, const struct meter *old, uint64_t now_ms)
{
	struct meter *m = xcalloc(1, sizeof(*m) + mm->n_bands * sizeof(mm->bands[0]));

	m->v.id = mm->meter;
	m->flags = mm->flags;
	m->created_ms = old ? old->created_ms : now_ms;
	if (old) {
		m->object = old->object;
		atomic_fetch_add_explicit(&m->object->refs, 1, memory_order_relaxed);
	} else {
		m->object = xcalloc(1, sizeof(*m->object));
		atomic_init(&m->object->refs, 1);
	}
	m->n_bands = mm->n_bands;
	memcpy(m->bands, mm->bands, mm->n_bands * sizeof(mm->bands[0]));
	return m;
}

static void
destroy(struct versioned *v)
{
	struct meter *m = meter_of(v);

	if (atomic_fetch_sub_explicit(&m->object->refs, 1, memory_order_acq_rel) == 1) {
		free(m->object);
	}
	free(m);
}

void
ofproto_meter_set_handle(struct ofproto *p, uint32_t meter, struct dp_handle handle)
{
	struct meter *m = meter_of(versioned_find(&p->meters, meter, of_model_version(p->model)));
	uint64_t packed = (uint64_t)handle.slot << 32 | handle.gen;

	if (m && atomic_exchange_explicit(&m->object->handle, packed, memory_order_acq_rel) !=
			 packed) {
		model_changed(p->model, of_dep(OF_DEP_METER, p->id, meter));
		model_publish(p->model);
	}
}

/* --- listing ------------------------------------------------------------------------------------- */

bool
ofproto_meter_visit(struct ofproto *p, uint32_t meter, bool with_refs, uint64_t now_ms,
	void (*visit)(const struct of_meter_view *view, void *user), void *user)
{
	uint64_t version = of_model_version(p->model);
	struct versioned **items;
	struct of_meter_view view;
	size_t n;

	if (with_refs) {
		of_count_refs(p, version);
	}
	items = versioned_collect(&p->meters, meter, meter == OFPM_ALL, version, &n);
	for (size_t i = 0; i < n; i++) {
		view_of(meter_of(items[i]), now_ms, &view);
		visit(&view, user);
	}
	free(items);
	return n > 0;
}

size_t
ofproto_n_meters(const struct ofproto *p)
{
	return p->meters.n;
}

void
meter_journal(struct ofproto *p, uint32_t id, uint64_t version, uint64_t now_ms)
{
	const struct of_journal_ops *j = &p->model->journal;
	const struct meter *m = meter_of(versioned_find(&p->meters, id, version));
	struct of_meter_view view;

	if (j->meter && !m) {
		j->meter(j->user, p, id, NULL);
	} else if (j->meter) {
		view_of(m, now_ms, &view);
		j->meter(j->user, p, id, &view);
	}
	if (p->model->events.meter_changed) {
		p->model->events.meter_changed(p->model->events.user, p, id);
	}
}

static void
view_of(const struct meter *m, uint64_t now_ms, struct of_meter_view *view)
{
	*view = (struct of_meter_view){
		.id = m->v.id,
		.flags = m->flags,
		.n_flows = m->n_refs,
		.created_ms = m->created_ms,
		.now_ms = now_ms,
		.handle = meter_handle(m),
		.n_bands = m->n_bands,
		.bands = m->bands,
	};
}
