/* SPDX-License-Identifier: Apache-2.0
 *
 * The agent: life, wiring, the turn of the loop, takeover.
 *
 * Turn:     whatever changes something touches the agent; at the end of that turn of the loop the
 *           handlers are told of the new version, the journal is handed to the kernel, and ofproto/
 *           does its own work, all in slices.
 * Takeover: rules are complete when the state was loaded, or a controller of each switch has sent a
 *           barrier and then no flow-mod for a while, or restore-wait has passed. Then, and when the
 *           session's ports are there, inherited flows are translated again, and standalone may begin.
 */
#include "controller-agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "controller-agent/agent_internal.h"
#include "lib/alloc.h"
#include "lib/jsonrpc.h"
#include "lib/log.h"
#include "ofproto/of_context.h"
#include "ofproto/translate.h"

WEFT_LOG_MODULE(agent);

#define TICK_MS 100
#define MODEL_BUDGET 256

static bool make_parts(struct agent *a, struct weft_error *err);
static void restore(struct agent *a);
static void forget_strays(struct agent *a);
static void run_turn(int fd, short what, void *arg);
static void run_tick(int fd, short what, void *arg);
static void started(void *user, const struct weft_error *err);
static void release(struct agent *a);

static const struct of_model_events model_events;
static const struct of_service_ops service_ops;
static const struct handlers_ops handlers_ops;
static const struct dp_client_ops client_ops;

/* --- time --------------------------------------------------------------------------------------- */

uint64_t
agent_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t
agent_now_ms(void)
{
	return agent_now_ns() / 1000000;
}

uint64_t
agent_boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
arm(struct event *timer, uint64_t ms)
{
	struct timeval delay = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	evtimer_add(timer, &delay);
}

/* --- life --------------------------------------------------------------------------------------- */

struct agent *
agent_create(struct event_base *base, const struct agent_options *options, struct weft_error *err)
{
	struct agent *a = xcalloc(1, sizeof(*a));

	a->base = base;
	a->options = *options;
	a->rundir = xstrdup(options->rundir);
	a->config_path = xstrdup(options->config_path);
	a->state_dir = xstrdup(options->state_dir);
	a->group = options->group ? xstrdup(options->group) : NULL;
	a->started_ms = agent_now_ms();
	if (getrandom(&a->epoch, sizeof(a->epoch), 0) != sizeof(a->epoch) || a->epoch == 0) {
		a->epoch = agent_now_ns();
	}
	list_init(&a->switches);
	list_init(&a->changes);
	list_init(&a->jobs);
	list_init(&a->object_jobs);
	if (!make_parts(a, err)) {
		agent_destroy(a);
		return NULL;
	}
	restore(a);
	return a;
}

static bool
make_parts(struct agent *a, struct weft_error *err)
{
	struct of_model_events events = model_events;
	struct of_service_ops service = service_ops;
	char *path;

	events.user = service.user = a;
	a->turn = evtimer_new(a->base, run_turn, a);
	a->tick = event_new(a->base, -1, EV_PERSIST, run_tick, a);
	a->config = config_load(a->config_path, err);
	if (!a->config) {
		return false;
	}
	a->persist = persist_create(a);
	a->state = state_open(a->state_dir, &persist_state_ops, a->persist, err);
	if (!a->state) {
		return false;
	}
	agent_meters_create(a);
	a->model = of_model_create(&events);
	a->reader = of_reader_create(a->model);
	agent_tunnels_create(a);
	a->traces = agent_traces_create(a);
	a->service = of_service_create(a->base, &service);
	a->handlers =
		handlers_create(a->base, a->model, a->options.n_handlers, &handlers_ops, a, err);
	if (!a->handlers) {
		return false;
	}
	a->rpc = agent_rpc_create(a, err);
	if (!a->rpc) {
		return false;
	}
	path = xasprintf("%s/datapath.sock", a->rundir);
	a->client =
		dp_client_create(a->base, path, a->epoch, a->options.n_handlers, &client_ops, a);
	free(path);
	return true;
}

/* Brings back what configuration and state say. Switches at once, so that their rules are there
 * before the datapath is; ports as it answers. */
static void
restore(struct agent *a)
{
	struct timeval tick = {0, TICK_MS * 1000};

	a->state_was_loaded = !state_is_new(a->state);
	for (size_t i = 0; i < a->config->n_switches; i++) {
		struct weft_error err = WEFT_ERROR_INIT;

		if (!agent_switch_create(a, a->config->switches[i], true, &err)) {
			LOG_ERR("switch %s: %s", a->config->switches[i]->name, err.text);
		}
	}
	forget_strays(a);
	persist_begin(a->persist);
	agent_apply(a, NULL, started, a);
	event_add(a->tick, &tick);
	agent_touch(a);
}

/* What the state knows of switches and ports that the configuration no longer has. */
static void
forget_strays(struct agent *a)
{
	const struct state_switch *sw;
	const struct state_port *p;

	for (size_t i = 0; (sw = state_switch_at(a->state, i)) != NULL;) {
		char *name = xstrdup(sw->name);

		if (config_switch_find(a->config, name)) {
			i++;
		} else {
			state_forget_switch(a->state, name);
		}
		free(name);
	}
	for (size_t i = 0; (p = state_port_at(a->state, i)) != NULL;) {
		char *name = xstrdup(p->name);

		if (config_port_find(a->config, name, NULL)) {
			i++;
		} else {
			state_forget_port(a->state, name, agent_boot_ms());
		}
		free(name);
	}
}

static void
started(void *user, const struct weft_error *err)
{
	(void)user;
	if (err) {
		LOG_ERR("%s", err->text);
	}
}

void
agent_destroy(struct agent *a)
{
	if (!a) {
		return;
	}
	a->ending = true;
	if (a->client) {
		handlers_stop(a->handlers); /* from here on nothing is credited */
		state_checkpoint(a->state);
	}
	rpc_server_destroy(a->rpc);
	dp_client_destroy(a->client);
	agent_apply_destroy(a);
	agent_rpc_flow_destroy(a);
	agent_rpc_object_destroy(a);
	agent_traces_destroy(a->traces);
	while (!list_is_empty(&a->switches)) {
		struct agent_switch *sw = LIST_ENTRY(a->switches.next, struct agent_switch, link);

		if (sw->of) {
			of_switch_detach(sw->of);
			sw->of = NULL;
		}
		list_remove(&sw->link);
		agent_switch_free(sw);
	}
	if (a->service) {
		of_service_destroy(a->service);
	}
	handlers_destroy(a->handlers);
	agent_tunnels_destroy(a);
	persist_destroy(a->persist);
	agent_meters_destroy(a);
	if (a->model) {
		struct ofproto *p;

		while ((p = ofproto_next(a->model, NULL)) != NULL) {
			ofproto_destroy(p);
		}
		of_reader_destroy(a->reader);
		of_model_destroy(a->model);
	}
	state_close(a->state);
	config_destroy(a->config);
	event_free(a->turn);
	event_free(a->tick);
	free(a->rundir);
	free(a->config_path);
	free(a->state_dir);
	free(a->group);
	free(a);
}

/* --- the turn ----------------------------------------------------------------------------------- */

void
agent_touch(struct agent *a)
{
	if (!a->turn_is_pending && a->turn && !a->ending) {
		a->turn_is_pending = true;
		arm(a->turn, 0);
	}
}

static void
run_turn(int fd, short what, void *arg)
{
	struct agent *a = arg;
	uint64_t next;
	bool more;

	(void)fd;
	(void)what;
	a->turn_is_pending = false;
	handlers_kick(a->handlers);
	more = of_model_run(a->model, agent_now_ms(), MODEL_BUDGET);
	more = state_run(a->state) || more;
	handlers_kick(a->handlers);
	if (more) {
		agent_touch(a);
		return;
	}
	next = of_model_next_ms(a->model);
	if (next != UINT64_MAX) {
		uint64_t now = agent_now_ms();

		arm(a->turn, next > now ? WEFT_MIN(next - now, (uint64_t)TICK_MS) : 1);
	}
}

static void
run_tick(int fd, short what, void *arg)
{
	struct agent *a = arg;

	(void)fd;
	(void)what;
	agent_ports_tick(a);
	agent_meters_tick(a);
	agent_apply_resume(a); /* one may wait for a datapath that did not come */
	agent_check_takeover(a);
	persist_tick(a->persist, agent_now_ms());
	agent_touch(a);
}

/* --- takeover ----------------------------------------------------------------------------------- */

/* Whether a controller of the switch has said all that it wants, as far as one can tell. */
static bool
is_quiet(const struct agent *a, const struct agent_switch *sw)
{
	uint64_t now = agent_now_ms(), wait = a->options.quiet_ms;
	struct of_switch_status s;

	if (!sw->of) {
		return false;
	}
	of_switch_status(sw->of, &s);
	return s.last_barrier_ms && now >= s.last_barrier_ms + wait &&
	       now >= s.last_flow_mod_ms + wait;
}

static bool
rules_are_complete(const struct agent *a)
{
	const struct agent_switch *sw;

	if (a->state_was_loaded || !a->may_have_inherited ||
		agent_now_ms() >= a->takeover_ms + a->options.restore_wait_ms) {
		return true;
	}
	LIST_FOREACH (sw, link, &a->switches) {
		if (!is_quiet(a, sw)) {
			return false;
		}
	}
	return !list_is_empty(&a->switches);
}

static bool
ports_are_settled(const struct agent *a)
{
	const struct agent_switch *sw;
	const struct agent_port *p;

	if (!a->ports_are_synced) {
		return false;
	}
	LIST_FOREACH (sw, link, &a->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (p->state == PORT_ADDING || p->state == PORT_ABSENT) {
				return false;
			}
		}
	}
	return true;
}

void
agent_check_takeover(struct agent *a)
{
	if (!a->is_released && a->flows_are_adopted && ports_are_settled(a) &&
		rules_are_complete(a)) {
		release(a);
	}
}

static void
idle_times_known(void *user)
{
	struct agent *a = user;

	if (a->is_released) {
		of_reader_stats_pulled(a->reader, UINT64_MAX);
	}
}

static void
flows_have_owners(void *user)
{
	struct agent *a = user;

	handlers_pull(a->handlers, idle_times_known, a);
}

/* Idle rules are not judged before inherited flows have told of their use: the loop's own reader,
 * which credits nothing, holds that back. */
static void
release(struct agent *a)
{
	struct agent_switch *sw;

	a->is_released = true;
	handlers_release(a->handlers);
	handlers_barrier(a->handlers, flows_have_owners, a);
	LIST_FOREACH (sw, link, &a->switches) {
		if (sw->of && !sw->is_ready) {
			sw->is_ready = true;
			of_switch_set_ready(sw->of);
		}
	}
	if (a->may_have_inherited) {
		LOG_INFO("the rules are complete: inherited flows are brought in line with them");
	}
}

static void
session_up(void *user, const struct dp_session *session)
{
	struct agent *a = user;
	struct weft_error err = WEFT_ERROR_INIT;
	bool is_new;

	/* A datapath that never had an agent has nothing to adopt. */
	a->may_have_inherited = session->last_epoch != 0;
	is_new = session->instance != state_instance(a->state);
	if (is_new) {
		state_set_instance(a->state, session->instance);
	}
	a->flows_are_adopted = !a->may_have_inherited;
	a->is_released = false;
	a->takeover_ms = agent_now_ms();
	if (!a->had_session) {
		of_model_set_next_context(a->model, session->next_context);
		a->had_session = true;
	} else {
		a->state_was_loaded = true; /* the rules are in our memory */
	}
	if (!handlers_attach(a->handlers, session, a->may_have_inherited, &err)) {
		dp_client_restart(a->client, err.text);
		dp_client_released(a->client);
		return;
	}
	agent_tlvs_session_up(a);
	agent_ports_session_up(a);
	agent_meters_session_up(a, is_new);
	agent_touch(a);
}

static void
session_down(void *user)
{
	struct agent *a = user;

	a->flows_are_adopted = false;
	a->is_released = false;
	of_reader_stats_pulled(a->reader, agent_now_ms());
	if (!a->ending) {
		agent_meters_session_down(a);
		handlers_detach(a->handlers);
	}
	agent_ports_session_down(a);
}

static void
port_changed(void *user, const struct dp_port_info *info)
{
	agent_port_changed(user, info);
}

static const struct dp_client_ops client_ops = {session_up, session_down, port_changed};

/* --- handlers ----------------------------------------------------------------------------------- */

static void
packet_in(void *user, const struct handler_packet_in *packet)
{
	agent_packet_in(user, packet);
}

/* A context of an earlier run names its switch by the number of that run. */
static void
context(void *user, uint32_t id, const void *bytes, size_t size)
{
	_Alignas(8) uint8_t mine[DP_CONTEXT_MAX_SIZE];
	struct weft_error err = WEFT_ERROR_INIT;
	struct agent *a = user;
	struct of_context c;
	size_t mine_size;

	if (of_context_find(a->model, id, &mine_size)) {
		return; /* of this run */
	}
	if (!of_context_decode(bytes, size, &c, &err)) {
		LOG_WARN_RL("datapath: context %u: %s", id, err.text);
		return;
	}
	c.ofproto_id = persist_new_id(a->persist, c.ofproto_id);
	mine_size = c.ofproto_id ? of_context_encode(&c, mine) : 0;
	if (mine_size) {
		of_context_adopt(a->model, id, mine, mine_size);
	}
}

static void
adopted(void *user, size_t n_flows)
{
	struct agent *a = user;

	if (n_flows) {
		LOG_INFO("datapath: %zu flows of an earlier agent adopted", n_flows);
	}
	persist_forget_flows(a->persist);
	a->flows_are_adopted = true;
	agent_check_takeover(a);
}

static void
detached(void *user)
{
	struct agent *a = user;

	dp_client_released(a->client);
}

static bool
credited(void *user, struct dp_handle flow, struct flow_stats *sum)
{
	const struct agent *a = user;

	return persist_credited(a->persist, flow, sum);
}

static void
object_replied(void *user, uint64_t token, const struct handler_object_reply *reply)
{
	agent_meter_replied(user, token, reply);
}

static void
meter_listed(void *user, struct dp_handle object)
{
	agent_meter_listed(user, object);
}

static void
broken(void *user, const char *why)
{
	struct agent *a = user;

	dp_client_restart(a->client, why);
}

static const struct handlers_ops handlers_ops = {
	.packet_in = packet_in,
	.learned = agent_learned,
	.learn = agent_learn,
	.limit = agent_limit,
	.context = context,
	.adopted = adopted,
	.detached = detached,
	.credited = credited,
	.object_replied = object_replied,
	.meter_listed = meter_listed,
	.broken = broken,
};

/* --- ofproto/ ----------------------------------------------------------------------------------- */

static void
flow_removed(void *user, struct ofproto *p, const struct of_flow_view *flow,
	enum of_removed_reason reason)
{
	struct agent *a = user;

	if (!a->ending) {
		of_service_flow_removed(a->service, p, flow, reason);
	}
}

static void
context_gone(void *user, uint32_t id)
{
	struct agent *a = user;

	if (!a->ending) {
		handlers_context_del(a->handlers, id);
	}
}

static void
meter_changed(void *user, struct ofproto *p, uint32_t meter)
{
	agent_meter_changed(user, p, meter);
}

static const struct of_model_events model_events = {
	.flow_removed = flow_removed,
	.context_gone = context_gone,
	.meter_changed = meter_changed,
	.tlvs_changed = agent_tlvs_changed,
};

/* --- the OpenFlow service ----------------------------------------------------------------------- */

static uint64_t
op_now_ms(void *user)
{
	(void)user;
	return agent_now_ms();
}

static void
op_barrier(void *user, struct ofproto *p, of_done_fn *done, void *arg)
{
	struct agent *a = user;

	(void)p;
	agent_meters_barrier(a, done, arg);
	agent_touch(a);
}

static void
op_refresh(void *user, struct ofproto *p, enum of_refresh what, of_done_fn *done, void *arg)
{
	struct agent *a = user;

	(void)p;
	if (what == OF_REFRESH_PORTS) {
		agent_ports_refresh(a, done, arg);
	} else {
		handlers_pull(a->handlers, done, arg);
	}
}

static void
op_port_stats(void *user, struct ofproto *p, struct of_port port, struct of_port_stats *stats)
{
	agent_switch_port_stats(user, p, port, stats);
}

static void
op_meter_stats(void *user, struct ofproto *p, uint32_t meter, struct of_meter_stats *stats)
{
	agent_meter_stats(user, p, meter, stats);
}

static bool
op_packet_out(void *user, struct ofproto *p, const struct of_packet_out *po, struct weft_error *err)
{
	return agent_packet_out(user, p, po, err);
}

static bool
op_port_mod(void *user, struct ofproto *p, struct of_port port, uint32_t config, uint32_t mask,
	struct weft_error *err)
{
	return agent_switch_port_mod(user, p, port, config, mask, err);
}

static void
op_config_changed(void *user, struct ofproto *p)
{
	struct agent_switch *sw = agent_switch_of(user, p);

	if (sw) {
		agent_switch_store(sw);
		agent_touch(user);
	}
}

static void
op_standalone(void *user, struct ofproto *p, bool now)
{
	struct agent *a = user;

	LOG_INFO("switch %s: %s", ofproto_name(p),
		now ? "its controllers are silent: every packet is treated as NORMAL"
		    : "a controller has answered: the rules decide again");
	agent_touch(a);
}

static const struct of_service_ops service_ops = {
	.now_ms = op_now_ms,
	.barrier = op_barrier,
	.refresh = op_refresh,
	.port_stats = op_port_stats,
	.meter_stats = op_meter_stats,
	.packet_out = op_packet_out,
	.port_mod = op_port_mod,
	.config_changed = op_config_changed,
	.standalone = op_standalone,
	.latency_path = "/dev/cpu_dma_latency",
};

/* --- finding ------------------------------------------------------------------------------------ */

struct agent_switch *
agent_switch_find(const struct agent *a, const char *name)
{
	struct agent_switch *sw;

	LIST_FOREACH (sw, link, &a->switches) {
		if (strcmp(sw->config->name, name) == 0) {
			return sw;
		}
	}
	return NULL;
}

struct agent_switch *
agent_switch_of(const struct agent *a, const struct ofproto *p)
{
	struct agent_switch *sw;

	LIST_FOREACH (sw, link, &a->switches) {
		if (sw->ofproto == p) {
			return sw;
		}
	}
	return NULL;
}

struct agent_port *
agent_port_find(const struct agent *a, const char *name)
{
	struct agent_switch *sw;
	struct agent_port *p;

	LIST_FOREACH (sw, link, &a->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (strcmp(p->config->name, name) == 0) {
				return p;
			}
		}
	}
	return NULL;
}

struct agent_port *
agent_port_by_dp(const struct agent *a, struct dp_port port)
{
	struct agent_switch *sw;
	struct agent_port *p;

	LIST_FOREACH (sw, link, &a->switches) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (p->dp_port.v == port.v) {
				return p;
			}
		}
	}
	return NULL;
}
