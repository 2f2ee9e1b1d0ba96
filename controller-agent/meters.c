/* SPDX-License-Identifier: Apache-2.0
 *
 * Meters in the datapath: put, changed, deleted as ofproto/ has them.
 *
 * One command about a meter is under way at a time; what changed meanwhile is sent when it has been
 * answered. A meter whose rules are gone may be busy in the datapath for a moment: its deletion is
 * tried again. Handles are known to the state, so that the next agent finds the meters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent_internal.h"
#include "lib/alloc.h"
#include "lib/hash.h"
#include "lib/hmap.h"
#include "lib/log.h"
#include "ofproto/of_meter.h"

WEFT_LOG_MODULE(meters);

#define MAX_PARTS (1 + OF_MAX_BANDS)

struct agent_meter {
	struct hmap_node node; /* by switch and number */
	struct hmap_node by_token;
	struct list link;
	uint64_t token;
	uint32_t ofproto_id;
	uint32_t id;
	struct dp_handle handle; /* none: not in the datapath */
	struct dp_handle parts[MAX_PARTS];
	uint32_t n_parts;
	struct flow_stats last[MAX_PARTS];   /* when the last session ended */
	struct flow_stats before[MAX_PARTS]; /* counted by datapaths that are gone */
	bool is_gone;                        /* deleted in ofproto/ */
	bool is_dirty;                       /* the datapath does not have it as it is */
	bool is_busy;                        /* a command is unanswered */
	bool is_refused;                     /* the datapath does not want it as it is */
};

/* A barrier that waits for puts. */
struct waiting {
	struct list link;
	void (*done)(void *user);
	void *user;
};

struct agent_meters {
	struct hmap meters;
	struct hmap by_token;
	struct list all;
	struct list barriers;
	uint64_t next_token;
};

static struct agent_meter *find(struct agent *a, uint32_t ofproto_id, uint32_t id);
static struct agent_meter *make(struct agent *a, uint32_t ofproto_id, uint32_t id);
static void forget(struct agent *a, struct agent_meter *m);
static void run(struct agent *a, struct agent_meter *m);
static void set_handle(struct agent *a, struct agent_meter *m, struct dp_handle handle);
static void answer_barriers(struct agent *a);

void
agent_meters_create(struct agent *a)
{
	a->meters = xcalloc(1, sizeof(*a->meters));
	hmap_init(&a->meters->meters);
	hmap_init(&a->meters->by_token);
	list_init(&a->meters->all);
	list_init(&a->meters->barriers);
}

void
agent_meters_destroy(struct agent *a)
{
	if (!a->meters) {
		return;
	}
	while (!list_is_empty(&a->meters->all)) {
		forget(a, LIST_ENTRY(a->meters->all.next, struct agent_meter, link));
	}
	while (!list_is_empty(&a->meters->barriers)) {
		free(LIST_ENTRY(list_pop_front(&a->meters->barriers), struct waiting, link));
	}
	hmap_uninit(&a->meters->meters);
	hmap_uninit(&a->meters->by_token);
	free(a->meters);
	a->meters = NULL;
}

/* --- from ofproto/ ------------------------------------------------------------------------------- */

static void
is_there(const struct of_meter_view *view, void *meter)
{
	struct agent_meter *m = meter;

	(void)view;
	m->is_gone = false;
}

void
agent_meter_changed(struct agent *a, struct ofproto *p, uint32_t id)
{
	struct agent_meter *m;

	if (a->ending) {
		return;
	}
	m = find(a, ofproto_id(p), id);
	if (!m) {
		m = make(a, ofproto_id(p), id);
	}
	m->is_gone = true;
	m->is_dirty = true;
	m->is_refused = false;
	ofproto_meter_visit(p, id, false, 0, is_there, m);
	run(a, m);
	agent_touch(a);
}

/* --- to the datapath ----------------------------------------------------------------------------- */

struct body {
	struct dp_meter meter;
	struct dp_meter_band bands[OF_MAX_BANDS];
};

struct sending {
	struct agent *agent;
	struct agent_meter *meter;
};

static void
send_put(const struct of_meter_view *view, void *sending)
{
	struct sending *s = sending;
	struct body body = {.meter.id = 0};

	if (dp_handle_is_none(s->meter->handle)) {
		s->meter->handle = view->handle; /* of an earlier agent */
	}
	body.meter.flags = (view->flags & OF_METER_PKTPS ? DP_METER_PKTPS : 0) |
			   (view->flags & OF_METER_BURST ? DP_METER_BURST : 0) |
			   (view->flags & OF_METER_STATS ? DP_METER_STATS : 0);
	for (uint32_t i = 0; i < view->n_bands; i++) {
		body.bands[i] = (struct dp_meter_band){
			.id = i + 1,
			.kind = view->bands[i].type == OF_BAND_DROP ? DP_BAND_DROP
								    : DP_BAND_DSCP_REMARK,
			.rate = view->bands[i].rate,
			.burst = view->flags & OF_METER_BURST ? view->bands[i].burst : 0,
			.prec_level = view->bands[i].prec_level,
		};
	}
	s->meter->is_busy = true;
	s->meter->is_dirty = false;
	handlers_object_put(s->agent->handlers, s->meter->handle, DP_OBJECT_METER,
		1 + view->n_bands, &body,
		sizeof(body.meter) + view->n_bands * sizeof(body.bands[0]), s->meter->token);
}

static void
run(struct agent *a, struct agent_meter *m)
{
	struct ofproto *p = ofproto_by_id(a->model, m->ofproto_id);
	struct sending sending = {a, m};

	if (m->is_busy || !m->is_dirty || m->is_refused || !dp_client_session(a->client)) {
		return;
	}
	if (!m->is_gone && p) {
		ofproto_meter_visit(p, m->id, false, 0, send_put, &sending);
	} else if (dp_handle_is_none(m->handle)) {
		forget(a, m);
	} else {
		m->is_busy = true;
		handlers_object_del(a->handlers, m->handle, m->token);
	}
}

static void
put_answered(struct agent *a, struct agent_meter *m, const struct handler_object_reply *reply)
{
	if (reply->status == -ENOTCONN) {
		m->is_dirty = true;
		return; /* sent again in the next session */
	}
	if (reply->status == -ESTALE) {
		m->is_dirty = true;
		set_handle(a, m, (struct dp_handle){0, 0});
		run(a, m);
		return;
	}
	if (reply->status) {
		LOG_WARN_RL("meter %u cannot be put into the datapath: %s", m->id,
			strerror(-reply->status));
		m->is_dirty = true;
		m->is_refused = true;
		return;
	}
	m->n_parts = WEFT_MIN(reply->n_parts, MAX_PARTS);
	memcpy(m->parts, reply->parts, m->n_parts * sizeof(m->parts[0]));
	set_handle(a, m, reply->object);
	run(a, m);
}

void
agent_meter_replied(struct agent *a, uint64_t token, const struct handler_object_reply *reply)
{
	struct agent_meter *m;

	HMAP_FOREACH_WITH_HASH (m, by_token, hash_u64(token, 0), &a->meters->by_token) {
		if (m->token == token) {
			break;
		}
	}
	if (m) {
		m->is_busy = false;
		if (!reply->is_del) {
			put_answered(a, m, reply);
		} else if (reply->status != -EBUSY && reply->status != -ENOTCONN) {
			m->handle = (struct dp_handle){0, 0};
			run(a, m); /* forgotten, or put anew if it came back meanwhile */
		}                  /* else it is tried again with the next tick */
	}
	answer_barriers(a);
	agent_touch(a);
}

/* Nobody here knows it: an agent before us did not live to remember it. */
void
agent_meter_listed(struct agent *a, struct dp_handle object)
{
	struct agent_meter *m;

	LIST_FOREACH (m, link, &a->meters->all) {
		if (m->handle.slot == object.slot && m->handle.gen == object.gen) {
			return;
		}
	}
	m = make(a, 0, 0);
	m->handle = object;
	m->is_gone = true;
	m->is_dirty = true;
}

static void
set_handle(struct agent *a, struct agent_meter *m, struct dp_handle handle)
{
	struct ofproto *p = ofproto_by_id(a->model, m->ofproto_id);
	bool changed = m->handle.slot != handle.slot || m->handle.gen != handle.gen;

	m->handle = handle;
	if (p && !m->is_gone) {
		ofproto_meter_set_handle(p, m->id, handle);
		if (changed) {
			persist_meter_handle(a->persist, p, m->id);
		}
	}
}

/* --- sessions ------------------------------------------------------------------------------------ */

void
agent_meters_session_up(struct agent *a, bool is_new_instance)
{
	struct agent_meter *m, *next;

	LIST_FOREACH_SAFE (m, next, link, &a->meters->all) {
		m->is_dirty = true;
		m->is_refused = false;
		for (uint32_t i = 0; i < MAX_PARTS; i++) {
			m->before[i].packets += is_new_instance ? m->last[i].packets : 0;
			m->before[i].bytes += is_new_instance ? m->last[i].bytes : 0;
		}
		memset(m->last, 0, sizeof(m->last));
		if (is_new_instance) {
			set_handle(a, m, (struct dp_handle){0, 0});
		}
		run(a, m);
	}
}

void
agent_meters_session_down(struct agent *a)
{
	struct agent_meter *m;

	LIST_FOREACH (m, link, &a->meters->all) {
		for (uint32_t i = 0; i < m->n_parts; i++) {
			handlers_read_stats(a->handlers, m->parts[i], &m->last[i]);
		}
		m->n_parts = 0;
	}
	answer_barriers(a);
}

void
agent_meters_tick(struct agent *a)
{
	struct agent_meter *m, *next;

	LIST_FOREACH_SAFE (m, next, link, &a->meters->all) {
		run(a, m);
	}
}

/* --- questions ----------------------------------------------------------------------------------- */

void
agent_meter_stats(struct agent *a, struct ofproto *p, uint32_t id, struct of_meter_stats *stats)
{
	const struct agent_meter *m = find(a, ofproto_id(p), id);

	memset(stats, 0, sizeof(*stats));
	for (uint32_t i = 0; m && i < MAX_PARTS; i++) {
		struct flow_stats sum = m->last[i];

		if (i < m->n_parts) {
			handlers_read_stats(a->handlers, m->parts[i], &sum);
		}
		sum.packets += m->before[i].packets;
		sum.bytes += m->before[i].bytes;
		if (i == 0) {
			stats->packets = sum.packets;
			stats->bytes = sum.bytes;
		} else {
			stats->bands[i - 1].packets = sum.packets;
			stats->bands[i - 1].bytes = sum.bytes;
		}
	}
}

static bool
puts_are_pending(const struct agent *a)
{
	const struct agent_meter *m;

	if (!dp_client_session(a->client)) {
		return false;
	}
	LIST_FOREACH (m, link, &a->meters->all) {
		if (!m->is_gone && (m->is_busy || (m->is_dirty && !m->is_refused))) {
			return true;
		}
	}
	return false;
}

void
agent_meters_barrier(struct agent *a, void (*done)(void *user), void *user)
{
	struct waiting *w;

	if (!puts_are_pending(a)) {
		handlers_barrier(a->handlers, done, user);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->done = done;
	w->user = user;
	list_push_back(&a->meters->barriers, &w->link);
}

static void
answer_barriers(struct agent *a)
{
	while (!list_is_empty(&a->meters->barriers) && !puts_are_pending(a)) {
		struct waiting *w =
			LIST_ENTRY(list_pop_front(&a->meters->barriers), struct waiting, link);

		handlers_barrier(a->handlers, w->done, w->user);
		free(w);
	}
}

/* ------------------------------------------------------------------------------------------------- */

static uint32_t
hash_of(uint32_t ofproto_id, uint32_t id)
{
	return hash_u64((uint64_t)ofproto_id << 32 | id, 0);
}

static struct agent_meter *
find(struct agent *a, uint32_t ofproto_id, uint32_t id)
{
	struct agent_meter *m;

	HMAP_FOREACH_WITH_HASH (m, node, hash_of(ofproto_id, id), &a->meters->meters) {
		if (m->ofproto_id == ofproto_id && m->id == id) {
			break;
		}
	}
	return m;
}

static struct agent_meter *
make(struct agent *a, uint32_t ofproto_id, uint32_t id)
{
	struct agent_meter *m = xcalloc(1, sizeof(*m));

	m->token = ++a->meters->next_token;
	m->ofproto_id = ofproto_id;
	m->id = id;
	hmap_insert(&a->meters->meters, &m->node, hash_of(ofproto_id, id));
	hmap_insert(&a->meters->by_token, &m->by_token, hash_u64(m->token, 0));
	list_push_back(&a->meters->all, &m->link);
	return m;
}

static void
forget(struct agent *a, struct agent_meter *m)
{
	hmap_remove(&a->meters->meters, &m->node);
	hmap_remove(&a->meters->by_token, &m->by_token);
	list_remove(&m->link);
	free(m);
}
