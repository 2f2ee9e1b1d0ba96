/* SPDX-License-Identifier: Apache-2.0
 *
 * Listings.
 *
 * Threads: the ports thread, online as a reader while it looks at flows.
 */
#include "datapath/listing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "datapath/flow_table.h"
#include "datapath/object.h"
#include "datapath/port.h"
#include "datapath/ports_thread.h"
#include "datapath/rcu.h"
#include "datapath/tables.h"
#include "datapath/worker.h"
#include "lib/error.h"
#include "lib/eth_addr.h"
#include "lib/log.h"
#include "lib/strbuf.h"

#define FLOWS_A_PAGE 1000u

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
set(json_t *object, const char *key, uint64_t n)
{
	json_object_set_new(object, key, json_integer((json_int_t)n));
}

static void
set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

struct port *
listing_find_port(const char *name, struct weft_error *err)
{
	for (uint32_t n = 0; n <= DP_PORT_MAX; n++) {
		struct port *port = port_find(n);

		if (port && !strcmp(port->name, name)) {
			return port;
		}
	}
	weft_error_set(err, WEFT_ERR_CONFLICT, ENOENT,
		"no port %.63s in the datapath; see weft dp ports", name);
	return NULL;
}

json_t *
listing_port(const struct port *port, json_t *options)
{
	struct port_status status = {0};
	struct port_dev_stats dev = {0};
	struct port_sums sums;
	json_t *o = json_object();
	char mac[ETH_ADDR_TEXT_SIZE];

	port->provider->status(port->dev, &status);
	if (port->provider->stats) {
		port->provider->stats(port->dev, &dev);
	}
	port_read_counters(port, &sums);
	set(o, "port", port->number);
	set_text(o, "name", port->name);
	set_text(o, "type", port->provider->type);
	set_text(o, "link", status.link_up ? "up" : "down");
	set_text(o, "admin", port->admin_up ? "up" : "down");
	set_text(o, "mac", eth_addr_text(status.mac, mac));
	set(o, "mtu", status.mtu);
	set(o, "speed_mbps", status.speed_mbps);
	if (status.is_copper || status.is_fibre) {
		set_text(o, "medium", status.is_copper ? "copper" : "fibre");
	}
	set(o, "n_rxq", status.n_rxq);
	set(o, "n_txq", status.n_txq);
	set(o, "ifindex", status.ifindex);
	set_text(o, "peer", status.peer);
	if (port->bond) {
		set_text(o, "bond", port->bond->name);
	}
	if (port->provider->details) {
		json_t *details = port->provider->details(port->dev);

		json_object_update(o, details);
		json_decref(details);
	}
	json_object_set_new(o, "options", options ? json_deep_copy(options) : json_object());
	set(o, "rx_packets", sums.rx_packets + sums.tunnel_rx_packets);
	set(o, "rx_bytes", sums.rx_bytes + sums.tunnel_rx_bytes);
	set(o, "tx_packets", sums.tx_packets + sums.tunnel_tx_packets);
	set(o, "tx_bytes", sums.tx_bytes + sums.tunnel_tx_bytes);
	set(o, "rx_errors", dev.rx_errors + dev.rx_crc + dev.rx_frame + dev.rx_over);
	set(o, "tx_errors", dev.tx_errors);
	set(o, "rx_missed", dev.rx_missed);
	set(o, "rx_crc", dev.rx_crc);
	set(o, "rx_frame", dev.rx_frame);
	set(o, "rx_over", dev.rx_over);
	set(o, "collisions", dev.collisions);
	/* Reasons from port-gone on are counted where a packet should have left. */
	uint64_t tx_dropped = 0;

	for (unsigned r = DROP_TX_DOWN; r <= DROP_TX_ERROR; r++) {
		tx_dropped += sums.drops[r];
	}
	set(o, "rx_dropped", sums.dropped - tx_dropped);
	/* Of them, those that were wanted: nothing of the port's was lost. */
	set(o, "rx_dropped_by_rule",
		sums.drops[DROP_EXPLICIT] + sums.drops[DROP_METER] + sums.drops[DROP_FRAGMENT]);
	set(o, "tx_dropped", tx_dropped + dev.tx_dropped);
	set(o, "upcalls", sums.upcalls);
	return o;
}

static json_t *
flow_json(const struct ports_thread_config *config, const struct flow_info *info, uint64_t now)
{
	struct strbuf text = STRBUF_INIT;
	const struct port *port = port_find(info->in_port);
	struct flow_stats stats;
	json_t *o = json_object();

	stats_region_read(config->stats, info->flow.slot, info->flow.gen, &stats);
	strbuf_printf(&text, "%u.%u", info->flow.slot, info->flow.gen);
	set_text(o, "handle", strbuf_text(&text));
	set(o, "in_port", info->in_port);
	set_text(o, "port", port ? port->name : "");
	strbuf_clear(&text);
	flow_text_format(&info->key, &info->mask, &text);
	set_text(o, "match", strbuf_text(&text));
	strbuf_clear(&text);
	dp_actions_format(info->program->actions, info->program->size, &text);
	set_text(o, "actions", strbuf_text(&text));
	set(o, "packets", stats.packets);
	set(o, "bytes", stats.bytes);
	json_object_set_new(o, "used_ms",
		stats.used_ms ? json_integer((json_int_t)(now - stats.used_ms)) : json_null());
	set(o, "age_ms", now - info->created_ms);
	set(o, "tcp_flags", stats.tcp_flags);
	strbuf_uninit(&text);
	return o;
}

bool
listing_from(const json_t *params, uint32_t *slot, struct weft_error *err)
{
	const json_t *from = json_object_get(params, "from");

	if (from && (!json_is_integer(from) || json_integer_value(from) < 0 ||
			    json_integer_value(from) > UINT32_MAX)) {
		return weft_error_set(err, WEFT_ERR_INVALID, ERANGE, "from is no slot number");
	}
	*slot = from ? (uint32_t)json_integer_value(from) : 0;
	return true;
}

json_t *
listing_flows(
	const struct ports_thread_config *config, const json_t *params, struct weft_error *err)
{
	const char *name = json_string_value(json_object_get(params, "port"));
	const struct port *port = name ? listing_find_port(name, err) : NULL;
	json_t *flows, *page;
	uint64_t now = now_ms();
	struct flow_info info;
	uint32_t slot = 0, next = 0;

	if ((name && !port) || !listing_from(params, &slot, err)) {
		return NULL;
	}
	flows = json_array();
	page = json_object();
	json_object_set_new(page, "next", json_null());
	rcu_online(RCU_READER_PORTS);
	while (flow_table_list(config->table, slot, &info, &next)) {
		if (json_array_size(flows) == FLOWS_A_PAGE) {
			json_object_set_new(page, "next", json_integer((json_int_t)info.flow.slot));
			break;
		}
		if (!port || info.in_port == port->number) {
			json_array_append_new(flows, flow_json(config, &info, now));
		}
		rcu_quiescent(RCU_READER_PORTS);
		slot = next;
	}
	rcu_offline(RCU_READER_PORTS);
	json_object_set_new(page, "flows", flows);
	return page;
}

json_t *
listing_stats(const struct ports_thread_config *config)
{
	struct flow_table_counters table;
	struct tables_counters commands;
	struct port_sums sums;
	json_t *o = json_object();
	char instance[24];

	port_read_all(&sums);
	flow_table_read_counters(config->table, &table);
	tables_read_counters(&commands);
	snprintf(instance, sizeof instance, "%llu", (unsigned long long)config->instance);
	set_text(o, "instance", instance);
	set_text(o, "agent", commands.connected ? "connected" : "none");
	set(o, "workers", workers.n);
	set(o, "flows", table.n_flows);
	set(o, "max_flows", table.max_flows);
	set(o, "masks", table.n_masks);
	set(o, "objects", objects_count());
	set(o, "contexts", commands.n_contexts);
	set(o, "rx_packets", sums.rx_packets);
	set(o, "rx_bytes", sums.rx_bytes);
	set(o, "tx_packets", sums.tx_packets);
	set(o, "tx_bytes", sums.tx_bytes);
	set(o, "made", sums.made);
	set(o, "copied", sums.copied);
	set(o, "to_agent", sums.to_agent);
	set(o, "dropped", sums.dropped);
	set(o, "parked", sums.parked);
	set(o, "upcalls", sums.upcalls);
	set(o, "upcalls_joined", sums.upcalls_joined);
	set(o, "cache_hits", sums.cache_hits);
	set(o, "table_hits", sums.table_hits);
	set(o, "misses", sums.misses);
	set(o, "flow_puts", table.puts);
	set(o, "flow_dels", table.dels);
	set(o, "flows_narrowed", table.narrowed);
	set(o, "flows_refused", table.refused);
	set(o, "commands", commands.commands);
	set(o, "executes", commands.executes);
	set(o, "sessions", commands.sessions);
	set(o, "bad_messages", commands.bad_messages);
	return o;
}

json_t *
listing_workers(void)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < workers.n; i++) {
		const struct worker *w = workers.list[i];
		const char *because = atomic_load(&w->awake_because);
		json_t *o = json_object(), *queues = json_array();
		char text[128];

		for (uint32_t n = 0; n <= DP_PORT_MAX; n++) {
			struct port *port = port_find(n);

			for (uint16_t q = 0; port && q < port->n_rxq; q++) {
				if (port->rxq_worker[q] == w->id) {
					snprintf(text, sizeof text, "%s:%u", port->name, q);
					json_array_append_new(queues, json_string(text));
				}
			}
		}
		set(o, "worker", w->id);
		set(o, "core", w->core);
		set_text(o, "state", w->asleep ? "asleep" : "running");
		if (w->busy_poll) {
			set_text(o, "awake_because", "--busy-poll");
		} else if (because) {
			struct port *port = port_find(w->awake_port);

			snprintf(text, sizeof text, "%s (%s)", because, port ? port->name : "gone");
			set_text(o, "awake_because", text);
		} else {
			json_object_set_new(o, "awake_because", json_null());
		}
		json_object_set_new(o, "queues", queues);
		set(o, "busy_cycles", w->busy_cycles);
		set(o, "idle_cycles", w->idle_cycles);
		set(o, "packets", w->n_packets);
		set(o, "bursts", w->n_bursts);
		set(o, "sleeps", w->n_sleeps);
		json_array_append_new(list, o);
	}
	return list;
}

json_t *
listing_caches(const struct ports_thread_config *config)
{
	json_t *list = json_array();

	for (uint32_t n = 0; n <= DP_PORT_MAX; n++) {
		struct port *port = port_find(n);
		struct strbuf text = STRBUF_INIT;
		struct flow_mask live;
		uint32_t n_masks, n_flows;
		bool has_flows;

		if (!port) {
			continue;
		}
		rcu_online(RCU_READER_PORTS);
		has_flows =
			flow_table_port_info(config->table, (uint16_t)n, &n_masks, &n_flows, &live);
		rcu_offline(RCU_READER_PORTS);
		if (!has_flows) {
			n_masks = n_flows = 0;
			memset(&live, 0, sizeof live);
		}
		flow_text_format(&live.bits, &live, &text);
		for (unsigned i = 0; i < workers.n; i++) {
			const struct port_counters *c = &port->per_worker[i].counters;
			uint64_t hits = c->cache_hits, misses = c->table_hits + c->misses;
			json_t *o = json_object();

			set(o, "worker", i);
			set_text(o, "port", port->name);
			set(o, "flows", n_flows);
			set(o, "masks", n_masks);
			set(o, "hits", hits);
			set(o, "misses", misses);
			json_object_set_new(o, "hit_ratio",
				json_real(hits + misses ? (double)hits / (double)(hits + misses)
							: 0));
			set_text(o, "live_mask", strbuf_text(&text));
			json_array_append_new(list, o);
		}
		strbuf_uninit(&text);
	}
	return list;
}

static void
append_drops(json_t *list, const char *name, const struct port_sums *sums, bool all)
{
	for (unsigned r = 0; r < DROP_N; r++) {
		if (sums->drops[r] || all) {
			json_t *o = json_object();

			set_text(o, "port", name);
			set_text(o, "reason", drop_reason_name((enum drop_reason)r));
			set(o, "packets", sums->drops[r]);
			set_text(o, "text", drop_reason_text((enum drop_reason)r));
			json_array_append_new(list, o);
		}
	}
}

json_t *
listing_drops(const json_t *params, struct weft_error *err)
{
	const char *name = json_string_value(json_object_get(params, "port"));
	bool all = json_is_true(json_object_get(params, "all"));
	json_t *list = json_array();
	struct port_sums sums;
	bool found = !name;

	for (uint32_t n = 0; n <= DP_PORT_MADE; n++) {
		struct port *port = port_find(n);

		if (port && (!name || !strcmp(port->name, name))) {
			found = true;
			port_read_counters(port, &sums);
			append_drops(list, port->name, &sums, all);
		}
	}
	if (!name) {
		port_read_removed(&sums);
		append_drops(list, "(removed)", &sums, all);
	}
	if (!found) {
		weft_error_set(
			err, WEFT_ERR_CONFLICT, ENOENT, "no port %s; see weft port list", name);
		json_decref(list);
		return NULL;
	}
	return list;
}

json_t *
listing_set_log(const json_t *params, struct weft_error *err)
{
	const char *level = json_string_value(json_object_get(params, "level"));

	if (!level) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "log.set needs level");
		return NULL;
	}
	return log_set_level(level, err) ? json_object() : NULL;
}
