/* SPDX-License-Identifier: Apache-2.0
 *
 * State: the small tables, and the journal under them.
 *
 * Form:   small records are JSON; what is unknown in them is ignored.
 */
#include "controller-agent/state.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/config.h"
#include "controller-agent/journal.h"
#include "lib/alloc.h"
#include "lib/error.h"

#define OF_CONFIG_MAX 0x7f /* all of OFPPC_* */

/* A number that was given up. */
struct resting_port {
	uint32_t number;
	uint64_t since_ms;
};

struct state {
	struct journal *journal;
	const struct state_ops *ops;
	void *user;
	uint64_t instance;
	struct state_switch *switches;
	size_t n_switches;
	struct state_port *ports;
	size_t n_ports;
	struct resting_port *resting; /* oldest first */
	size_t n_resting;
	uint32_t next_dp_port; /* where to look first */
	bool slice_is_first;
	uint32_t snapshot_ticks; /* calls until a failed one is tried again */
};

static bool replay(void *user, uint32_t kind, const void *data, size_t len, struct weft_error *err);
static void put_switch(struct state *s, const struct state_switch *sw);
static void put_port(struct state *s, const struct state_port *port);
static void drop_switch(struct state *s, const char *name);
static bool drop_port(struct state *s, const char *name, uint64_t now_ms);
static void append_json(struct state *s, bool to_snapshot, enum state_kind kind, json_t *object);
static json_t *switch_json(const struct state_switch *sw);
static json_t *port_json(const struct state_port *p);
static json_t *instance_json(const struct state *s);

struct state *
state_open(const char *directory, const struct state_ops *ops, void *user, struct weft_error *err)
{
	struct state *s = xcalloc(1, sizeof(*s));

	s->ops = ops;
	s->user = user;
	s->journal = journal_open(directory, replay, s, err);
	if (!s->journal) {
		state_close(s);
		return NULL;
	}
	return s;
}

void
state_close(struct state *s)
{
	if (!s) {
		return;
	}
	journal_close(s->journal);
	free(s->switches);
	free(s->ports);
	free(s->resting);
	free(s);
}

bool
state_is_new(const struct state *s)
{
	struct journal_stats stats;

	journal_get_stats(s->journal, &stats);
	return stats.n_replayed == 0;
}

/* --- tables ------------------------------------------------------------------------------------- */

uint64_t
state_instance(const struct state *s)
{
	return s->instance;
}

void
state_set_instance(struct state *s, uint64_t instance)
{
	if (s->instance != instance) {
		s->instance = instance;
		append_json(s, false, STATE_INSTANCE, instance_json(s));
	}
}

const struct state_switch *
state_switch_find(const struct state *s, const char *name)
{
	for (size_t i = 0; i < s->n_switches; i++) {
		if (strcmp(s->switches[i].name, name) == 0) {
			return &s->switches[i];
		}
	}
	return NULL;
}

const struct state_switch *
state_switch_at(const struct state *s, size_t i)
{
	return i < s->n_switches ? &s->switches[i] : NULL;
}

void
state_set_switch(struct state *s, const struct state_switch *sw)
{
	put_switch(s, sw);
	append_json(s, false, STATE_SWITCH, switch_json(sw));
}

void
state_forget_switch(struct state *s, const char *name)
{
	drop_switch(s, name);
	append_json(s, false, STATE_SWITCH_GONE, json_pack("{s:s}", "name", name));
}

const struct state_port *
state_port_find(const struct state *s, const char *name)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		if (strcmp(s->ports[i].name, name) == 0) {
			return &s->ports[i];
		}
	}
	return NULL;
}

const struct state_port *
state_port_at(const struct state *s, size_t i)
{
	return i < s->n_ports ? &s->ports[i] : NULL;
}

void
state_set_port(struct state *s, const struct state_port *port)
{
	put_port(s, port);
	append_json(s, false, STATE_PORT, port_json(port));
}

void
state_forget_port(struct state *s, const char *name, uint64_t now_ms)
{
	if (drop_port(s, name, now_ms)) {
		append_json(s, false, STATE_PORT_GONE,
			json_pack("{s:s, s:I}", "name", name, "at", (json_int_t)now_ms));
	}
}

uint16_t
state_choose_of_port(const struct state *s, const char *sw)
{
	uint64_t used[(CONFIG_OF_PORT_MAX + 64) / 64] = {1}; /* 0 is no number */

	for (size_t i = 0; i < s->n_ports; i++) {
		if (strcmp(s->ports[i].sw, sw) == 0 && s->ports[i].of_port <= CONFIG_OF_PORT_MAX) {
			used[s->ports[i].of_port / 64] |= UINT64_C(1) << (s->ports[i].of_port % 64);
		}
	}
	for (uint32_t n = 1; n <= CONFIG_OF_PORT_MAX; n++) {
		if (!(used[n / 64] >> (n % 64) & 1)) {
			return (uint16_t)n;
		}
	}
	return 0;
}

struct dp_port
state_choose_dp_port(struct state *s, uint64_t now_ms)
{
	uint64_t used[DP_PORT_MAX / 64 + 1] = {0};
	size_t rested = 0;

	while (rested < s->n_resting &&
		s->resting[rested].since_ms + STATE_PORT_REST_MS <= now_ms) {
		rested++;
	}
	if (rested) {
		s->n_resting -= rested;
		memmove(s->resting, s->resting + rested, s->n_resting * sizeof(*s->resting));
	}
	for (size_t i = 0; i < s->n_resting; i++) {
		used[s->resting[i].number / 64] |= UINT64_C(1) << (s->resting[i].number % 64);
	}
	for (size_t i = 0; i < s->n_ports; i++) {
		used[s->ports[i].dp_port.v / 64] |= UINT64_C(1) << (s->ports[i].dp_port.v % 64);
	}
	for (uint32_t i = 0; i <= DP_PORT_MAX; i++) {
		uint32_t n = (s->next_dp_port + i) % (DP_PORT_MAX + 1);

		if (!(used[n / 64] >> (n % 64) & 1)) {
			s->next_dp_port = n + 1;
			return (struct dp_port){n};
		}
	}
	return DP_PORT_NONE;
}

static void
put_switch(struct state *s, const struct state_switch *sw)
{
	struct state_switch *old = (struct state_switch *)state_switch_find(s, sw->name);

	if (old) {
		*old = *sw;
		return;
	}
	s->switches = xrealloc(s->switches, (s->n_switches + 1) * sizeof(*s->switches));
	s->switches[s->n_switches++] = *sw;
}

static void
drop_switch(struct state *s, const char *name)
{
	struct state_switch *old = (struct state_switch *)state_switch_find(s, name);

	if (old) {
		*old = s->switches[--s->n_switches];
	}
}

static void
put_port(struct state *s, const struct state_port *port)
{
	struct state_port *old = (struct state_port *)state_port_find(s, port->name);

	if (old) {
		*old = *port;
	} else {
		s->ports = xrealloc(s->ports, (s->n_ports + 1) * sizeof(*s->ports));
		s->ports[s->n_ports++] = *port;
	}
	s->next_dp_port = port->dp_port.v + 1;
}

static bool
drop_port(struct state *s, const char *name, uint64_t now_ms)
{
	struct state_port *port = (struct state_port *)state_port_find(s, name);

	if (!port) {
		return false;
	}
	s->resting = xrealloc(s->resting, (s->n_resting + 1) * sizeof(*s->resting));
	s->resting[s->n_resting].number = port->dp_port.v;
	s->resting[s->n_resting++].since_ms = now_ms;
	*port = s->ports[--s->n_ports];
	return true;
}

/* --- records ------------------------------------------------------------------------------------ */

void
state_append(struct state *s, enum state_kind kind, const void *data, size_t len)
{
	journal_append(s->journal, kind, data, len);
}

void
state_snapshot_put(struct state *s, enum state_kind kind, const void *data, size_t len)
{
	journal_snapshot_put(s->journal, kind, data, len);
}

static void
append_json(struct state *s, bool to_snapshot, enum state_kind kind, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	if (!text) {
		abort();
	}
	if (to_snapshot) {
		journal_snapshot_put(s->journal, kind, text, strlen(text));
	} else {
		journal_append(s->journal, kind, text, strlen(text));
	}
	free(text);
	json_decref(object);
}

static json_t *
switch_json(const struct state_switch *sw)
{
	char dpid[20];

	snprintf(dpid, sizeof(dpid), "%016llx", (unsigned long long)sw->dpid);
	return json_pack("{s:s, s:s, s:I, s:b}", "name", sw->name, "dpid", dpid, "id",
		(json_int_t)sw->id, "drop-fragments", sw->drop_fragments);
}

static json_t *
port_json(const struct state_port *p)
{
	return json_pack("{s:s, s:s, s:i, s:i, s:i}", "name", p->name, "switch", p->sw, "of-port",
		(int)p->of_port, "dp-port", (int)p->dp_port.v, "of-config", (int)p->of_config);
}

static json_t *
instance_json(const struct state *s)
{
	char text[20];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)s->instance);
	return json_pack("{s:s, s:i}", "instance", text, "next-dp-port", (int)s->next_dp_port);
}

static bool
bad_record(struct weft_error *err)
{
	weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "the record is malformed");
	return false;
}

static bool
replay_small(struct state *s, enum state_kind kind, json_t *object, struct weft_error *err)
{
	const char *name = NULL, *sw = NULL, *hex = NULL;
	json_int_t at = 0;
	int of_port = 0, dp_port = 0, next = 0, of_config = 0, drop_fragments = 0;

	if (kind == STATE_INSTANCE) {
		if (json_unpack(object, "{s:s}", "instance", &hex) < 0) {
			return bad_record(err);
		}
		s->instance = strtoull(hex, NULL, 16);
		json_unpack(object, "{s?i}", "next-dp-port", &next);
		s->next_dp_port = next >= 0 ? (uint32_t)next % (DP_PORT_MAX + 1) : 0;
		return true;
	}
	if (json_unpack(object, "{s:s}", "name", &name) < 0 ||
		!config_name_check("switch", name, err)) {
		return bad_record(err);
	}
	if (kind == STATE_SWITCH) {
		struct state_switch entry = {.dpid = 0};

		if (json_unpack(object, "{s:s, s:I, s?b}", "dpid", &hex, "id", &at,
			    "drop-fragments", &drop_fragments) < 0 ||
			at < 0 || at > UINT32_MAX) {
			return bad_record(err);
		}
		snprintf(entry.name, sizeof(entry.name), "%s", name);
		entry.dpid = strtoull(hex, NULL, 16);
		entry.id = (uint32_t)at;
		entry.drop_fragments = drop_fragments;
		put_switch(s, &entry);
	} else if (kind == STATE_SWITCH_GONE) {
		const struct state_switch *gone = state_switch_find(s, name);

		if (gone) {
			s->ops->switch_gone(s->user, gone->id);
			drop_switch(s, name);
		}
	} else if (kind == STATE_PORT) {
		struct state_port port = {.of_port = 0};

		if (json_unpack(object, "{s:s, s:i, s:i, s?i}", "switch", &sw, "of-port", &of_port,
			    "dp-port", &dp_port, "of-config", &of_config) < 0 ||
			!config_name_check("switch", sw, err) || of_port < 1 || of_port > 0xfffe ||
			dp_port < 0 || dp_port > (int)DP_PORT_MAX || of_config < 0 ||
			of_config > OF_CONFIG_MAX) {
			return bad_record(err);
		}
		snprintf(port.name, sizeof(port.name), "%s", name);
		snprintf(port.sw, sizeof(port.sw), "%s", sw);
		port.of_port = (uint16_t)of_port;
		port.dp_port.v = (uint32_t)dp_port;
		port.of_config = (uint32_t)of_config;
		put_port(s, &port);
	} else {
		json_unpack(object, "{s?I}", "at", &at);
		drop_port(s, name, at > 0 ? (uint64_t)at : 0);
	}
	return true;
}

static bool
replay(void *user, uint32_t kind, const void *data, size_t len, struct weft_error *err)
{
	struct state *s = user;
	json_t *object;
	bool ok;

	if (kind >= STATE_RULE) {
		return s->ops->replay(s->user, (enum state_kind)kind, data, len, err);
	}
	object = kind >= STATE_SWITCH && kind <= STATE_INSTANCE ? json_loadb(data, len, 0, NULL)
								: NULL;
	ok = object ? replay_small(s, (enum state_kind)kind, object, err) : bad_record(err);
	json_decref(object);
	return ok;
}

/* --- snapshots ---------------------------------------------------------------------------------- */

static void
put_tables(struct state *s)
{
	for (size_t i = 0; i < s->n_switches; i++) {
		append_json(s, true, STATE_SWITCH, switch_json(&s->switches[i]));
	}
	for (size_t i = 0; i < s->n_ports; i++) {
		append_json(s, true, STATE_PORT, port_json(&s->ports[i]));
	}
	append_json(s, true, STATE_INSTANCE, instance_json(s));
}

static bool
begin_snapshot(struct state *s)
{
	if (journal_snapshot_begin(s->journal) < 0) {
		return false;
	}
	put_tables(s);
	s->slice_is_first = true;
	return true;
}

/* A slice. True: the snapshot is taken (or has failed). */
static bool
run_slice(struct state *s)
{
	bool first = s->slice_is_first;

	s->slice_is_first = false;
	if (!s->ops->snapshot(s->user, s, first)) {
		return false;
	}
	if (journal_snapshot_end(s->journal) < 0) {
		s->snapshot_ticks = 100;
	}
	return true;
}

bool
state_run(struct state *s)
{
	if (s->snapshot_ticks) {
		s->snapshot_ticks--;
	} else if (journal_wants_snapshot(s->journal) && !begin_snapshot(s)) {
		s->snapshot_ticks = 100;
	}
	if (journal_snapshot_running(s->journal)) {
		run_slice(s);
	}
	journal_flush(s->journal);
	return journal_snapshot_running(s->journal);
}

void
state_checkpoint(struct state *s)
{
	if (!journal_snapshot_running(s->journal) && !begin_snapshot(s)) {
		return;
	}
	while (!run_slice(s)) {
	}
	journal_flush(s->journal);
}
