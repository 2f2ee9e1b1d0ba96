/* SPDX-License-Identifier: Apache-2.0
 *
 * Switches: from configuration to ofproto/ and the OpenFlow service; ports as controllers see them.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "controller-agent/agent_internal.h"
#include "controller-agent/config_mirror.h"
#include "lib/alloc.h"
#include "lib/log.h"

WEFT_LOG_MODULE(switch);

/* OFPPF_* of OpenFlow 1.3.5 s.A.2.1: full duplex. */
static const struct {
	uint32_t mbps;
	uint32_t feature;
} speeds[] = {
	{10, 1u << 1},
	{100, 1u << 3},
	{1000, 1u << 5},
	{10000, 1u << 6},
	{40000, 1u << 7},
	{100000, 1u << 8},
	{1000000, 1u << 9},
};
#define FEATURE_OTHER (1u << 10)
#define FEATURE_COPPER (1u << 11)
#define FEATURE_FIBER (1u << 12)

static bool attach_service(struct agent_switch *sw, bool keep_going, struct weft_error *err);
static void restore_settings(struct agent_switch *sw, const struct state_switch *known);
static void apply_settings(struct agent_switch *sw, const struct config_switch *config);
static bool update_controllers(struct agent_switch *sw, const struct config_switch *config,
	bool keep_going, struct weft_error *err);
static struct config_switch *clone_settings(const struct config_switch *config);
static void free_settings(struct config_switch *config);

/* --- life --------------------------------------------------------------------------------------- */

/* A datapath id: locally administered, random. */
static uint64_t
make_dpid(void)
{
	uint64_t n = 0;

	while (n == 0) {
		if (getrandom(&n, sizeof(n), 0) != sizeof(n)) {
			n = agent_now_ns() * 0x9e3779b97f4a7c15u;
		}
		n &= UINT64_C(0xfcffffffffff);
	}
	return n | UINT64_C(0x020000000000);
}

void
agent_switch_store(struct agent_switch *sw)
{
	struct state_switch entry = {
		.dpid = ofproto_dpid(sw->ofproto), .id = ofproto_id(sw->ofproto)};
	struct of_settings settings;

	ofproto_get_settings(sw->ofproto, &settings);
	entry.drop_fragments = settings.drop_fragments;
	snprintf(entry.name, sizeof(entry.name), "%s", sw->config->name);
	state_set_switch(sw->agent->state, &entry);
}

struct agent_switch *
agent_switch_create(struct agent *a, const struct config_switch *config, bool keep_going,
	struct weft_error *err)
{
	const struct state_switch *known = state_switch_find(a->state, config->name);
	uint64_t dpid = config->has_dpid ? config->dpid : known ? known->dpid : make_dpid();
	struct agent_switch *sw;
	struct ofproto *p = ofproto_create(a->model, config->name, dpid, err);

	if (!p) {
		return NULL;
	}
	sw = xcalloc(1, sizeof(*sw));
	sw->agent = a;
	sw->ofproto = p;
	list_init(&sw->ports);
	sw->config = clone_settings(config);
	config_controllers_free(sw->config); /* none applied yet */
	config_mirrors_free(sw->config);
	list_push_back(&a->switches, &sw->link);
	restore_settings(sw, known);
	apply_settings(sw, config);
	if (!attach_service(sw, keep_going, err) ||
		!update_controllers(sw, config, keep_going, err)) {
		agent_switch_destroy(sw, false);
		return NULL;
	}
	if (!persist_restore_switch(a->persist, p) && config->fail_mode == CONFIG_STANDALONE) {
		ofproto_add_standalone_rule(p, agent_now_ms());
	}
	agent_switch_store(sw);
	if (a->is_released && sw->of) {
		sw->is_ready = true;
		of_switch_set_ready(sw->of);
	}
	agent_touch(a);
	return sw;
}

void
agent_switch_destroy(struct agent_switch *sw, bool forget)
{
	struct agent *a = sw->agent;

	if (sw->of) {
		of_switch_detach(sw->of);
	}
	if (forget) {
		state_forget_switch(a->state, sw->config->name);
	}
	persist_forget_switch(a->persist, sw->ofproto);
	ofproto_destroy(sw->ofproto);
	list_remove(&sw->link);
	agent_switch_free(sw);
	agent_touch(a);
}

void
agent_switch_free(struct agent_switch *sw)
{
	while (!list_is_empty(&sw->ports)) {
		struct agent_port *p = LIST_ENTRY(sw->ports.next, struct agent_port, link);

		list_remove(&p->link);
		agent_port_free(p);
	}
	free_settings(sw->config);
	free(sw);
}

static bool
attach_service(struct agent_switch *sw, bool keep_going, struct weft_error *err)
{
	struct agent *a = sw->agent;
	char *path = xasprintf("%s/%s.mgmt", a->rundir, sw->config->name);
	struct of_switch_setup setup = {
		.ofproto = sw->ofproto,
		.mgmt_path = path,
		.group = a->group,
		.protocols = sw->config->protocols,
		.manufacturer = "Weft",
		.hardware = "weft-datapath",
		.software = WEFT_VERSION,
		.serial = "None",
		.description = sw->config->name,
	};
	struct weft_error why = WEFT_ERROR_INIT;

	sw->of = of_switch_attach(a->service, &setup, &why);
	if (!sw->of && keep_going) {
		LOG_ERR("switch %s: %s", sw->config->name, why.text);
		setup.mgmt_path = NULL;
		sw->of = of_switch_attach(a->service, &setup, NULL);
	} else if (!sw->of) {
		weft_error_move(err, &why);
	}
	free(path);
	return sw->of != NULL || keep_going;
}

static struct config_switch *
clone_settings(const struct config_switch *config)
{
	struct config_switch *list[1] = {(struct config_switch *)config};
	struct config whole = {.switches = list, .n_switches = 1};
	struct config *copy = config_clone(&whole);
	struct config_switch *sw = copy->switches[0];

	copy->n_switches = 0;
	config_destroy(copy);
	return sw;
}

static void
free_settings(struct config_switch *config)
{
	struct config *whole = config_create();

	whole->switches = xmalloc(sizeof(config));
	whole->switches[0] = config;
	whole->n_switches = 1;
	config_destroy(whole);
}

/* --- settings ----------------------------------------------------------------------------------- */

/* Whether all controllers of @a are in @b. */
static bool
has_controllers(const struct config_switch *a, const struct config_switch *b)
{
	for (size_t i = 0; i < a->n_controllers; i++) {
		const struct config_controller *ctl = a->controllers[i];
		const struct config_controller *other = config_controller_find(b, ctl->target);

		if (!other || !config_controller_same_files(ctl, other) ||
			!config_controller_same_limits(ctl, other)) {
			return false;
		}
	}
	return true;
}

bool
agent_switch_differs(const struct agent_switch *sw, const struct config_switch *config)
{
	const struct config_switch *old = sw->config;

	return old->has_dpid != config->has_dpid ||
	       (config->has_dpid && old->dpid != config->dpid) ||
	       old->fail_mode != config->fail_mode || old->protocols != config->protocols ||
	       old->mac_ageing_s != config->mac_ageing_s ||
	       old->mac_table_size != config->mac_table_size ||
	       old->mcast_snooping != config->mcast_snooping ||
	       old->mcast_no_flood != config->mcast_no_flood ||
	       old->mcast_ageing != config->mcast_ageing || !has_controllers(old, config) ||
	       !has_controllers(config, old);
}

bool
agent_switch_update(struct agent_switch *sw, const struct config_switch *config, bool keep_going,
	struct weft_error *err)
{
	bool new_dpid = config->has_dpid && config->dpid != ofproto_dpid(sw->ofproto);
	bool ok;

	apply_settings(sw, config);
	if (sw->of) {
		of_switch_settings_changed(sw->of);
	}
	if (sw->of && config->protocols != sw->config->protocols) {
		of_switch_set_protocols(sw->of, config->protocols);
	}
	if (new_dpid) {
		ofproto_set_dpid(sw->ofproto, config->dpid);
		agent_switch_store(sw);
	}
	if (new_dpid && sw->of) {
		of_switch_reconnect(sw->of);
	}
	sw->config->has_dpid = config->has_dpid;
	sw->config->dpid = config->dpid;
	sw->config->fail_mode = config->fail_mode;
	sw->config->protocols = config->protocols;
	sw->config->mac_ageing_s = config->mac_ageing_s;
	sw->config->mac_table_size = config->mac_table_size;
	sw->config->mcast_snooping = config->mcast_snooping;
	sw->config->mcast_no_flood = config->mcast_no_flood;
	sw->config->mcast_ageing = config->mcast_ageing;
	ok = update_controllers(sw, config, keep_going, err);
	agent_touch(sw->agent);
	return ok;
}

/* What controllers had set in an earlier run; @known: NULL if there was none. */
static void
restore_settings(struct agent_switch *sw, const struct state_switch *known)
{
	struct of_settings s;

	ofproto_get_settings(sw->ofproto, &s);
	s.drop_fragments = known && known->drop_fragments;
	ofproto_set_settings(sw->ofproto, &s);
}

static void
apply_settings(struct agent_switch *sw, const struct config_switch *config)
{
	struct of_settings s;

	ofproto_get_settings(sw->ofproto, &s);
	s.fail_mode = config->fail_mode == CONFIG_SECURE ? OF_FAIL_SECURE : OF_FAIL_STANDALONE;
	s.fdb_ageing_s = config->mac_ageing_s ? config->mac_ageing_s : OF_FDB_AGEING_S;
	s.fdb_max = config->mac_table_size ? config->mac_table_size : OF_FDB_MAX;
	agent_multicast_settings(config, &s);
	ofproto_set_settings(sw->ofproto, &s);
}

void
agent_controller_setup(const struct config_controller *ctl, struct of_controller_setup *setup)
{
	*setup = (struct of_controller_setup){
		.target = ctl->target,
		.key = ctl->key,
		.cert = ctl->cert,
		.ca = ctl->ca,
		.rate_limit = ctl->rate_limit,
		.burst = ctl->burst,
		.probe_ms = ctl->probe_ms == CONFIG_NO_PROBE ? OF_NO_PROBE : ctl->probe_ms,
	};
}

static bool
add_controller(struct agent_switch *sw, const struct config_controller *ctl, struct weft_error *err)
{
	struct of_controller_setup setup;

	agent_controller_setup(ctl, &setup);
	if (!of_switch_add_controller(sw->of, &setup, err)) {
		return false;
	}
	config_controller_copy(config_controller_add(sw->config, ctl->target, err), ctl);
	return true;
}

/* Whether the controller was accepted before: a change of something else does not fail by it. */
static bool
is_in_force(const struct agent_switch *sw, const char *target)
{
	const struct config_switch *config =
		config_switch_find(sw->agent->config, sw->config->name);

	return config && config_controller_find(config, target);
}

static bool
update_controllers(struct agent_switch *sw, const struct config_switch *config, bool keep_going,
	struct weft_error *err)
{
	for (size_t i = sw->config->n_controllers; sw->of && i-- > 0;) {
		struct config_controller *old = sw->config->controllers[i];
		const struct config_controller *ctl = config_controller_find(config, old->target);

		if (!ctl || !config_controller_same_files(old, ctl)) {
			of_switch_del_controller(sw->of, old->target);
			config_controller_del(sw->config, old);
		} else if (!config_controller_same_limits(old, ctl)) {
			struct of_controller_setup setup;

			agent_controller_setup(ctl, &setup);
			of_switch_limit_controller(sw->of, &setup);
			config_controller_copy(old, ctl);
		}
	}
	for (size_t i = 0; sw->of && i < config->n_controllers; i++) {
		const struct config_controller *ctl = config->controllers[i];
		struct weft_error why = WEFT_ERROR_INIT;

		if (config_controller_find(sw->config, ctl->target) ||
			add_controller(sw, ctl, &why)) {
			continue;
		}
		if (!keep_going && !is_in_force(sw, ctl->target)) {
			weft_error_move(err, &why);
			return false;
		}
		LOG_ERR("switch %s: controller %s: %s", config->name, ctl->target, why.text);
	}
	return true;
}

/* --- ports -------------------------------------------------------------------------------------- */

static uint32_t
speed_feature(uint32_t mbps)
{
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(speeds); i++) {
		if (speeds[i].mbps == mbps) {
			return speeds[i].feature;
		}
	}
	return mbps ? FEATURE_OTHER : 0;
}

static enum of_vlan_mode
vlan_mode(const struct config_port *c)
{
	switch (config_port_vlan_mode(c)) {
	case CONFIG_VLAN_ACCESS:
		return OF_VLAN_ACCESS;
	case CONFIG_VLAN_NATIVE_TAGGED:
		return OF_VLAN_NATIVE_TAGGED;
	case CONFIG_VLAN_NATIVE_UNTAGGED:
		return OF_VLAN_NATIVE_UNTAGGED;
	case CONFIG_VLAN_DOT1Q_TUNNEL:
		return OF_VLAN_DOT1Q_TUNNEL;
	case CONFIG_VLAN_UNSET:
	case CONFIG_VLAN_TRUNK:
		break;
	}
	return OF_VLAN_TRUNK;
}

/* An address for a port whose device has none of its own. */
static void
make_mac(const struct agent_port *p, uint8_t mac[6])
{
	uint64_t dpid = ofproto_dpid(p->sw->ofproto);

	mac[0] = 0x02;
	mac[1] = (uint8_t)(dpid >> 16);
	mac[2] = (uint8_t)(dpid >> 8);
	mac[3] = (uint8_t)dpid;
	mac[4] = (uint8_t)(p->of_port.v >> 8);
	mac[5] = (uint8_t)p->of_port.v;
}

/* @info->allow and flood are the caller's to free. */
static void
describe(const struct agent_port *p, struct of_port_info *info)
{
	struct weft_error err = WEFT_ERROR_INIT;
	static const uint8_t none[6];
	const struct config_port *c = p->config;
	bool present = p->state == PORT_PRESENT || p->state == PORT_SETTING;
	bool up = present && p->info.link_up;

	memset(info, 0, sizeof(*info));
	info->number = p->of_port;
	snprintf(info->name, sizeof(info->name), "%s", c->name);
	info->dp_port = present ? p->dp_port : DP_PORT_NONE;
	memcpy(info->mac, p->info.mac, 6);
	if (memcmp(info->mac, none, 6) == 0) {
		make_mac(p, info->mac);
	}
	info->config = p->of_config;
	info->is_path_down = up && p->info.path_down;
	info->state = !up ? OF_PORT_LINK_DOWN : info->is_path_down ? 0 : OF_PORT_LIVE;
	info->curr = speed_feature(p->info.speed_mbps);
	info->curr |= p->info.is_copper ? FEATURE_COPPER : p->info.is_fibre ? FEATURE_FIBER : 0;
	info->curr_speed = p->info.speed_mbps * 1000;
	info->mtu = p->info.mtu;
	info->is_underlay = c->underlay;
	info->is_multicast_router = c->mcast_router;
	info->is_internal = strcmp(c->type, "internal") == 0 && !config_port_option(c, "netns");
	info->vlan_mode = vlan_mode(c);
	info->tag = c->tag >= 0 ? (uint16_t)c->tag : 0;
	info->has_trunks = c->has_trunks;
	memcpy(info->trunks, c->trunks, sizeof(info->trunks));
	info->allow = c->allow ? config_allow_parse(c->allow, &err) : NULL;
	assert(info->allow || !c->allow); /* it was looked at when it was set */
	if (config_port_is_patch(c)) {
		agent_patch_describe(p, info);
	} else if (config_port_is_tunnel(c)) {
		agent_tunnel_describe(p, info);
	}
	if (info->config & OF_PORT_DOWN) {
		/* No more live (OpenFlow 1.3.5 s.6.5); and as kernel devices have it. Applications that look
		 * at the state alone (Ryu's spanning tree, Faucet) take "not down" for up. */
		info->state = OF_PORT_LINK_DOWN;
	}
}

/* Whether controllers can see the difference. */
static bool
looks_same(const struct of_port_info *a, const struct of_port_info *b)
{
	return memcmp(a->mac, b->mac, 6) == 0 && a->config == b->config && a->state == b->state &&
	       a->curr == b->curr && a->curr_speed == b->curr_speed;
}

bool
agent_switch_show_port(struct agent_port *p, struct weft_error *err)
{
	struct ofproto *ofproto = p->sw->ofproto;
	const struct of_port_info *known = ofproto_port_find(ofproto, p->of_port);
	struct of_port_info info, old;
	bool is_new = !known, ok;

	if (agent_port_bond(p)) {
		agent_switch_hide_port(p);
		return true;
	}
	if (known) {
		old = *known;
	}
	describe(p, &info);
	ok = ofproto_port_set(ofproto, &info, err);
	free((void *)info.allow);
	free((void *)info.flood);
	info.allow = NULL;
	info.flood = NULL;
	if (!ok) {
		return false;
	}
	if (is_new) {
		persist_restore_port(p->agent->persist, ofproto, p->of_port);
	}
	if (is_new || !looks_same(&old, &info)) {
		of_service_port_status(p->agent->service, ofproto,
			is_new ? OF_PORT_ADDED : OF_PORT_MODIFIED, &info);
	}
	agent_tunnels_port_changed(p);
	agent_touch(p->agent);
	return true;
}

void
agent_switch_hide_port(struct agent_port *p)
{
	struct ofproto *ofproto = p->sw->ofproto;
	const struct of_port_info *known = ofproto_port_find(ofproto, p->of_port);
	struct of_port_info info;

	if (known) {
		info = *known;
		ofproto_port_del(ofproto, p->of_port);
		of_service_port_status(p->agent->service, ofproto, OF_PORT_DELETED, &info);
		agent_tunnels_port_changed(p);
		agent_touch(p->agent);
	}
}

static struct agent_port *
find_port(struct agent *a, struct ofproto *ofproto, struct of_port number)
{
	struct agent_switch *sw = agent_switch_of(a, ofproto);
	struct agent_port *p;

	if (sw) {
		LIST_FOREACH (p, link, &sw->ports) {
			if (p->of_port.v == number.v) {
				return p;
			}
		}
	}
	return NULL;
}

static void
admin_done(void *user, const struct dp_port_info *info, const struct weft_error *err)
{
	(void)user;
	(void)info;
	if (err) {
		LOG_WARN_RL("port-mod: %s", err->text);
	}
}

bool
agent_switch_port_mod(struct agent *a, struct ofproto *ofproto, struct of_port port,
	uint32_t config, uint32_t mask, struct weft_error *err)
{
	struct agent_port *p = find_port(a, ofproto, port);
	uint32_t old;

	if (!p || agent_port_bond(p)) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT, "no port %u", port.v);
	}
	old = p->of_config;
	p->of_config = (old & ~mask) | (config & mask);
	if ((p->of_config ^ old) & OF_PORT_DOWN && !config_port_is_virtual(p->config)) {
		dp_client_port_set(a->client, p->dp_port,
			json_pack("{s:s}", "admin", p->of_config & OF_PORT_DOWN ? "down" : "up"),
			admin_done, NULL);
	}
	agent_port_store_config(p);
	if (!agent_switch_show_port(p, err)) {
		return false;
	}
	agent_patch_changed(a, p->config);
	return true;
}

static uint64_t
counter(const struct agent_port *p, const char *key)
{
	json_t *value = json_object_get(p->entry, key);

	return json_is_integer(value) ? (uint64_t)json_integer_value(value) : UINT64_MAX;
}

void
agent_switch_port_stats(
	struct agent *a, struct ofproto *ofproto, struct of_port port, struct of_port_stats *stats)
{
	struct agent_port *p = find_port(a, ofproto, port);
	uint64_t by_rule;

	memset(stats, 0xff, sizeof(*stats));
	if (!p) {
		return;
	}
	by_rule = counter(p, "rx_dropped_by_rule");
	stats->rx_packets = counter(p, "rx_packets");
	stats->tx_packets = counter(p, "tx_packets");
	stats->rx_bytes = counter(p, "rx_bytes");
	stats->tx_bytes = counter(p, "tx_bytes");
	stats->rx_dropped = counter(p, "rx_dropped");
	if (stats->rx_dropped != UINT64_MAX) {
		/* What rules dropped is no loss of the port's. */
		stats->rx_dropped -= by_rule == UINT64_MAX ? 0 : by_rule;
	}
	stats->tx_dropped = counter(p, "tx_dropped");
	stats->rx_errors = counter(p, "rx_errors");
	stats->tx_errors = counter(p, "tx_errors");
	stats->rx_frame_err = counter(p, "rx_frame");
	stats->rx_over_err = counter(p, "rx_over");
	stats->rx_crc_err = counter(p, "rx_crc");
	stats->collisions = counter(p, "collisions");
	stats->duration_ms = p->made_ms ? agent_now_ms() - p->made_ms : 0;
}
