/* SPDX-License-Identifier: Apache-2.0
 *
 * The model: switches, readers, versions, and what time brings.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "ofproto/fdb.h"
#include "ofproto/mdb.h"
#include "ofproto/mirror_internal.h"
#include "ofproto/of_context.h"
#include "ofproto/of_learned_internal.h"
#include "ofproto/of_multicast.h"
#include "ofproto/ofproto_internal.h"
#include "ofproto/txn.h"

#define TRIM_EVERY 16 /* appended batches */
/* How soon run() wants to look again for what waits for readers. */
#define GRACE_POLL_MS 10

static void publish_switches(struct of_model *m);
static void free_set(struct grace_item *item);
static void release_switch(struct grace_item *item);
static void free_switch(struct ofproto *p);
static uint64_t ageing_ms(const struct ofproto *p);
static void address_changed(void *ofproto, uint64_t key);
static void listeners_changed(void *ofproto, uint64_t dep);

struct of_model *
of_model_create(const struct of_model_events *events)
{
	struct of_model *m = xaligned(_Alignof(struct of_model), sizeof(*m));

	/* The first version is 1: an object with added 0 is visible in all. */
	atomic_init(&m->version, 1);
	grace_init(&m->grace);
	change_log_init(&m->changes, &m->grace);
	m->events = *events;
	list_init(&m->switches);
	list_init(&m->dying);
	list_init(&m->unlearned);
	list_init(&m->to_learn);
	hmap_init(&m->learners);
	m->contexts = context_table_create();
	m->tunnels = tunnel_map_create();
	m->next_ofproto_id = 1;
	m->next_rule_id = 1;
	return m;
}

void
of_model_destroy(struct of_model *m)
{
	if (!m) {
		return;
	}
	assert(list_is_empty(&m->switches) && !m->txn);
	do {
		grace_uninit(&m->grace);
	} while (rule_run_dying(m, m->now_ms, UINT32_MAX) && m->grace.head);
	grace_uninit(&m->grace);
	for (unsigned i = 0; i < OF_DP_PAGES; i++) {
		free(atomic_load_explicit(&m->dp_ports[i], memory_order_relaxed));
	}
	free(atomic_load_explicit(&m->by_id, memory_order_relaxed));
	context_table_destroy(m->contexts);
	change_log_uninit(&m->changes);
	change_batch_destroy(m->noted);
	tunnel_map_destroy(m->tunnels);
	free(m->heap);
	free(m->heap_due);
	model_forget_learned(m);
	free(m);
}

uint64_t
of_model_version(const struct of_model *m)
{
	return atomic_load_explicit(&m->version, memory_order_acquire);
}

void
model_changed(struct of_model *m, uint64_t dep)
{
	change_note(&m->noted, dep);
}

void
model_changed_all(struct of_model *m)
{
	change_note_all(&m->noted);
}

void
model_append_changes(struct of_model *m, struct change_batch *noted, uint64_t version)
{
	uint64_t read = UINT64_MAX;

	change_log_append(&m->changes, noted, version);
	if (change_log_end(&m->changes) % TRIM_EVERY) {
		return;
	}
	for (unsigned i = 0; i < GRACE_MAX_READERS; i++) {
		const struct of_reader *r =
			atomic_load_explicit(&m->readers[i], memory_order_acquire);

		if (r) {
			uint64_t by_this =
				atomic_load_explicit(&r->changes_read, memory_order_seq_cst);

			read = WEFT_MIN(read, by_this);
		}
	}
	/* One stays for whoever begins to read (flow_registry.c). */
	change_log_trim(&m->changes, WEFT_MIN(read, change_log_end(&m->changes) - 1));
}

void
model_publish_noted(struct of_model *m)
{
	if (m->noted) {
		model_publish(m);
	}
}

void
model_publish(struct of_model *m)
{
	uint64_t version = atomic_load_explicit(&m->version, memory_order_relaxed) + 1;

	model_append_changes(m, m->noted, version);
	m->noted = NULL;
	atomic_store_explicit(&m->version, version, memory_order_release);
}

bool
of_model_run(struct of_model *m, uint64_t now_ms, unsigned budget)
{
	struct ofproto *p;
	bool more = false;

	m->now_ms = now_ms;
	if (!m->txn) {
		more = expiry_run(m, now_ms, budget);
		more |= model_run_learned(m, now_ms, budget);
	}
	LIST_FOREACH (p, by_model, &m->switches) {
		if (fdb_expire(p->fdb, now_ms, ageing_ms(p), budget)) {
			model_publish(m);
		}
		more |= fdb_next_ms(p->fdb, ageing_ms(p)) <= now_ms;
		if (mdb_expire(p->mdb, now_ms)) {
			model_publish(m);
		}
	}
	if (!txn_holds_memory(m)) {
		grace_run(&m->grace, budget);
	}
	rule_run_dying(m, now_ms, budget);
	context_table_run(m, now_ms, budget);
	return more;
}

uint64_t
of_model_next_ms(const struct of_model *m)
{
	uint64_t next = m->n_heap ? m->heap_due[0] : UINT64_MAX;
	const struct ofproto *p;

	if (m->grace.head || !list_is_empty(&m->dying)) {
		next = WEFT_MIN(next, m->now_ms + GRACE_POLL_MS);
	}
	if (m->n_to_learn) {
		next = WEFT_MIN(next, m->now_ms + GRACE_POLL_MS);
	}
	LIST_FOREACH (p, by_model, &m->switches) {
		next = WEFT_MIN(next, fdb_next_ms(p->fdb, ageing_ms(p)));
		next = WEFT_MIN(next, mdb_next_ms(p->mdb));
	}
	return next;
}

void
of_model_set_journal(struct of_model *m, const struct of_journal_ops *ops)
{
	m->journal = ops ? *ops : (struct of_journal_ops){0};
}

/* --- readers ------------------------------------------------------------------------------------- */

struct of_reader *
of_reader_create(struct of_model *m)
{
	struct grace_reader *grace = grace_reader_register(&m->grace);
	struct of_reader *r;

	if (!grace) {
		return NULL;
	}
	r = xcalloc(1, sizeof(*r));
	r->model = m;
	r->grace = grace;
	atomic_init(&r->stats_ms, 0);
	atomic_init(&r->changes_read, UINT64_MAX);
	atomic_store_explicit(&m->readers[grace - m->grace.readers], r, memory_order_release);
	return r;
}

void
of_reader_destroy(struct of_reader *r)
{
	if (r) {
		atomic_store_explicit(&r->model->readers[r->grace - r->model->grace.readers], NULL,
			memory_order_release);
		grace_reader_unregister(r->grace);
		free(r);
	}
}

void
of_reader_enter(struct of_reader *r)
{
	grace_enter(&r->model->grace, r->grace);
}

void
of_reader_leave(struct of_reader *r)
{
	grace_leave(r->grace);
}

struct of_model *
of_reader_model(const struct of_reader *r)
{
	return r->model;
}

void
of_reader_stats_pulled(struct of_reader *r, uint64_t now_ms)
{
	atomic_store_explicit(&r->stats_ms, now_ms, memory_order_release);
}

/* --- switches ------------------------------------------------------------------------------------ */

struct ofproto *
ofproto_create(struct of_model *m, const char *name, uint64_t dpid, struct weft_error *err)
{
	struct ofproto *p;

	if (ofproto_find(m, name)) {
		weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST, "switch %s: exists already", name);
		return NULL;
	}
	p = xcalloc(1, sizeof(*p));
	p->model = m;
	p->name = xstrdup(name);
	p->dpid = dpid;
	p->id = m->next_ofproto_id++;
	atomic_init(&p->refs, 1);
	p->settings = (struct of_settings){
		.miss_send_len = 128,
		.fdb_ageing_s = OF_FDB_AGEING_S,
		.fdb_max = OF_FDB_MAX,
		.multicast_flood = true,
		.multicast_ageing_s = OF_MULTICAST_AGEING_S,
	};
	atomic_init(&p->ports, xcalloc(1, sizeof(struct ofport_set)));
	p->fdb = fdb_create(&m->grace, OF_FDB_MAX, address_changed, p);
	p->mdb = mdb_create(&m->grace, listeners_changed, p);
	atomic_init(&p->multicast_flood, true);
	versioned_table_init(&p->groups, &m->grace);
	versioned_table_init(&p->meters, &m->grace);
	list_init(&p->object_rules);
	for (unsigned i = 0; i < OF_N_TABLES; i++) {
		classifier_init(&p->tables[i].cls, &m->grace);
		list_init(&p->tables[i].rules);
		p->tables[i].miss = rule_create_miss(p, (uint8_t)i);
	}
	list_push_back(&m->switches, &p->by_model);
	publish_switches(m);
	return p;
}

void
ofproto_destroy(struct ofproto *p)
{
	struct of_model *m;
	struct of_txn *t;

	if (!p) {
		return;
	}
	m = p->model;
	ofport_del_all(p);
	t = txn_begin(m, 1);
	for (unsigned i = 0; i < OF_N_TABLES; i++) {
		struct list *l, *next;

		for (l = p->tables[i].rules.next; l != &p->tables[i].rules; l = next) {
			struct rule *r = LIST_ENTRY(l, struct rule, by_table);

			next = l->next;
			if (r->is_miss) { /* the marker of a query */
				list_remove(l);
				continue;
			}
			r->flags &= (uint16_t)~OF_FLAG_SEND_FLOW_REM;
			txn_remove(t, r, OF_REMOVED_DELETE);
		}
	}
	txn_remove_items(t, p);
	of_txn_commit(t, m->now_ms);
	list_remove(&p->by_model);
	tlvs_changed(m);
	publish_switches(m);
	for (unsigned i = 0; i < OF_N_TABLES; i++) {
		rule_retire(p->tables[i].miss);
	}
	/* Behind the rules: they leave their classifiers first. */
	grace_retire(&m->grace, &p->retired, release_switch);
}

struct ofproto *
ofproto_find(const struct of_model *m, const char *name)
{
	struct ofproto *p;

	LIST_FOREACH (p, by_model, &m->switches) {
		if (!strcmp(p->name, name)) {
			return p;
		}
	}
	return NULL;
}

struct ofproto *
ofproto_next(const struct of_model *m, const struct ofproto *after)
{
	const struct list *next = after ? after->by_model.next : m->switches.next;

	return next == &m->switches ? NULL : LIST_ENTRY(next, struct ofproto, by_model);
}

const char *
ofproto_name(const struct ofproto *p)
{
	return p->name;
}

uint64_t
ofproto_dpid(const struct ofproto *p)
{
	return p->dpid;
}

void
ofproto_set_dpid(struct ofproto *p, uint64_t dpid)
{
	p->dpid = dpid;
}

uint32_t
ofproto_id(const struct ofproto *p)
{
	return p->id;
}

struct ofproto *
ofproto_by_id(const struct of_model *m, uint32_t id)
{
	const struct ofproto_set *set = atomic_load_explicit(&m->by_id, memory_order_acquire);

	return set && id < set->n ? set->by_id[id] : NULL;
}

struct of_model *
ofproto_model(const struct ofproto *p)
{
	return p->model;
}

void
ofproto_get_settings(const struct ofproto *p, struct of_settings *s)
{
	*s = p->settings;
}

void
ofproto_set_settings(struct ofproto *p, const struct of_settings *s)
{
	bool changed = p->settings.standalone_now != s->standalone_now ||
		       p->settings.invalid_ttl_to_agent != s->invalid_ttl_to_agent ||
		       p->settings.drop_fragments != s->drop_fragments ||
		       p->settings.multicast_snooping != s->multicast_snooping ||
		       p->settings.multicast_flood != s->multicast_flood;

	p->settings = *s;
	atomic_store_explicit(&p->standalone_now, s->standalone_now, memory_order_relaxed);
	atomic_store_explicit(
		&p->invalid_ttl_to_agent, s->invalid_ttl_to_agent, memory_order_relaxed);
	atomic_store_explicit(&p->drop_fragments, s->drop_fragments, memory_order_relaxed);
	atomic_store_explicit(&p->multicast_flood, s->multicast_flood, memory_order_relaxed);
	atomic_store_explicit(&p->multicast_snooping, s->multicast_snooping, memory_order_relaxed);
	if (!s->multicast_snooping) {
		changed |= mdb_flush(p->mdb);
	}
	if (s->fdb_max < fdb_count(p->fdb)) {
		changed = true;
	}
	fdb_set_max(p->fdb, s->fdb_max);
	if (changed) {
		model_changed_all(p->model);
		model_publish(p->model);
	}
}

void
ofproto_ref(struct ofproto *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void
ofproto_unref(struct ofproto *p)
{
	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1) {
		free_switch(p);
	}
}

/* --- learned addresses --------------------------------------------------------------------------- */

struct fdb *
ofproto_fdb(const struct ofproto *p)
{
	return p->fdb;
}

void
ofproto_fdb_learn(struct ofproto *p, uint16_t vlan, const uint8_t mac[6], struct of_port port,
	uint64_t now_ms)
{
	ofproto_fdb_learn_at(p, vlan, mac, &(struct fdb_place){.port = port}, now_ms);
}

void
ofproto_fdb_learn_at(struct ofproto *p, uint16_t vlan, const uint8_t mac[6],
	const struct fdb_place *place, uint64_t now_ms)
{
	if (ofport_find(p, place->port) && fdb_learn(p->fdb, vlan, mac, place, now_ms)) {
		model_publish(p->model);
	}
}

bool
ofproto_fdb_add_static(struct ofproto *p, uint16_t vlan, const uint8_t mac[6], struct of_port port,
	struct weft_error *err)
{
	if (!ofport_find(p, port)) {
		return weft_error_set(
			err, WEFT_ERR_CONFLICT, ENOENT, "switch %s: no port %u", p->name, port.v);
	}
	if (mac[0] & 1 || vlan > 4095) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"a multicast address or a VLAN beyond 4095 cannot be learned");
	}
	if (fdb_add_static(p->fdb, vlan, mac, port)) {
		model_publish(p->model);
	}
	return true;
}

bool
ofproto_fdb_del(struct ofproto *p, uint16_t vlan, const uint8_t mac[6])
{
	bool changed = fdb_del(p->fdb, vlan, mac);

	if (changed) {
		model_publish(p->model);
	}
	return changed;
}

void
ofproto_fdb_flush(struct ofproto *p)
{
	if (fdb_flush(p->fdb)) {
		model_publish(p->model);
	}
}

static void
address_changed(void *ofproto, uint64_t key)
{
	struct ofproto *p = ofproto;

	model_changed(p->model, of_dep(OF_DEP_ADDRESS, p->id, key));
}

static void
listeners_changed(void *ofproto, uint64_t dep)
{
	const struct ofproto *p = ofproto;

	model_changed(p->model, of_dep(OF_DEP_OTHER, p->id, dep));
}

/* ------------------------------------------------------------------------------------------------- */

static uint64_t
ageing_ms(const struct ofproto *p)
{
	return (uint64_t)p->settings.fdb_ageing_s * 1000;
}

static void
publish_switches(struct of_model *m)
{
	struct ofproto_set *old = atomic_load_explicit(&m->by_id, memory_order_relaxed), *set;
	struct ofproto *p;

	set = xcalloc(1, sizeof(*set) + m->next_ofproto_id * sizeof(set->by_id[0]));
	set->n = m->next_ofproto_id;
	LIST_FOREACH (p, by_model, &m->switches) {
		set->by_id[p->id] = p;
	}
	atomic_store_explicit(&m->by_id, set, memory_order_release);
	model_publish(m);
	if (old) {
		grace_retire(&m->grace, &old->retired, free_set);
	}
}

static void
free_set(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct ofproto_set, retired));
}

/* No reader finds the switch any more. Its rules may still be in the classifiers: they were retired
 * before, so that they leave them before this reference is given back by the second round. */
static void
give_back_switch(struct grace_item *item)
{
	ofproto_unref(WEFT_CONTAINER_OF(item, struct ofproto, retired));
}

static void
release_switch(struct grace_item *item)
{
	struct ofproto *p = WEFT_CONTAINER_OF(item, struct ofproto, retired);

	grace_retire(&p->model->grace, &p->retired, give_back_switch);
}

static void
free_switch(struct ofproto *p)
{
	for (unsigned i = 0; i < OF_N_TABLES; i++) {
		classifier_uninit(&p->tables[i].cls);
	}
	free(atomic_load_explicit(&p->ports, memory_order_relaxed));
	mirror_set_destroy(atomic_load_explicit(&p->mirrors, memory_order_relaxed));
	fdb_destroy(p->fdb);
	mdb_destroy(p->mdb);
	versioned_table_uninit(&p->groups);
	versioned_table_uninit(&p->meters);
	free(p->name);
	free(p);
}
