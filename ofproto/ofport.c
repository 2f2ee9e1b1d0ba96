/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports of switches: immutable snapshots, replaced as they change.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "ofproto/fdb.h"
#include "ofproto/mdb.h"
#include "ofproto/of_counter.h"
#include "ofproto/ofproto_internal.h"

static struct ofport_set *ports_of(const struct ofproto *p);
static size_t position(const struct ofport_set *set, uint32_t number);
static bool check_tunnel(const struct ofproto *p, const struct of_port_info *info,
	const struct ofport *old, struct weft_error *err);
static void publish(struct ofproto *p, struct of_port number, struct ofport *port);
static void set_dp(struct of_model *m, struct dp_port dp, const struct ofport *port);
static void free_port(struct grace_item *item);
static void free_set(struct grace_item *item);

bool
ofproto_port_set(struct ofproto *p, const struct of_port_info *info, struct weft_error *err)
{
	const struct ofport *other;
	const struct of_port_info *named = ofproto_port_by_name(p, info->name);
	struct ofport *port;

	if (!info->number.v || (info->number.v >= OFPP_MAX && info->number.v != OFPP_LOCAL)) {
		return weft_error_set(err, WEFT_ERR_INVALID, ERANGE,
			"port %s: OpenFlow number %u is not one that a port can have", info->name,
			info->number.v);
	}
	if (named && named->number.v != info->number.v) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
			"port %s: switch %s has one of that name", info->name, p->name);
	}
	other = info->dp_port.v <= DP_PORT_MAX ? ofport_by_dp(p->model, info->dp_port) : NULL;
	if (other && (other->ofproto != p || other->info.number.v != info->number.v)) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
			"port %s: datapath port %u is that of port %s", info->name, info->dp_port.v,
			other->info.name);
	}
	other = ofport_find(p, info->number);
	if (info->kind == OF_PORT_TUNNEL && !check_tunnel(p, info, other, err)) {
		return false;
	}
	port = xcalloc(1, sizeof(*port));
	port->ofproto = p;
	port->info = *info;
	if (info->allow) {
		port->info.allow = xmemdup(info->allow,
			sizeof(*info->allow) + info->allow->n * sizeof(info->allow->entries[0]));
	}
	if (info->flood) {
		port->info.flood = xmemdup(info->flood,
			sizeof(*info->flood) + info->flood->n * sizeof(info->flood->remotes[0]));
	}
	if (info->kind != OF_PORT_PLAIN) {
		port->rx = other && other->rx ? of_counter_ref(other->rx) : of_counter_create(0, 0);
		port->tx = other && other->tx ? of_counter_ref(other->tx) : of_counter_create(0, 0);
	}
	publish(p, info->number, port);
	return true;
}

void
ofproto_port_del(struct ofproto *p, struct of_port number)
{
	if (ofport_find(p, number)) {
		fdb_flush_port(p->fdb, number);
		mdb_flush_port(p->mdb, number);
		publish(p, number, NULL);
	}
}

const struct of_port_info *
ofproto_port_find(const struct ofproto *p, struct of_port number)
{
	const struct ofport *port = ofport_find(p, number);

	return port ? &port->info : NULL;
}

const struct of_port_info *
ofproto_port_by_name(const struct ofproto *p, const char *name)
{
	const struct ofport_set *set = ports_of(p);

	for (size_t i = 0; i < set->n; i++) {
		if (!strcmp(set->ports[i]->info.name, name)) {
			return &set->ports[i]->info;
		}
	}
	return NULL;
}

const struct of_port_info *
of_model_port_by_dp(const struct of_model *m, struct dp_port port, struct ofproto **p)
{
	const struct ofport *found = ofport_by_dp(m, port);

	if (p) {
		*p = found ? found->ofproto : NULL;
	}
	return found ? &found->info : NULL;
}

const struct of_port_info *
ofproto_port_next(const struct ofproto *p, struct of_port after)
{
	const struct ofport_set *set = ports_of(p);
	size_t i = position(set, after.v + 1);

	return after.v != UINT32_MAX && i < set->n ? &set->ports[i]->info : NULL;
}

size_t
ofproto_n_ports(const struct ofproto *p)
{
	return ports_of(p)->n;
}

bool
ofproto_port_traffic(
	const struct ofproto *p, struct of_port number, struct of_port_traffic *traffic)
{
	const struct ofport *port = ofport_find(p, number);

	if (!port || !port->rx) {
		return false;
	}
	traffic->rx_packets = atomic_load_explicit(&port->rx->packets, memory_order_relaxed);
	traffic->rx_bytes = atomic_load_explicit(&port->rx->bytes, memory_order_relaxed);
	traffic->tx_packets = atomic_load_explicit(&port->tx->packets, memory_order_relaxed);
	traffic->tx_bytes = atomic_load_explicit(&port->tx->bytes, memory_order_relaxed);
	return true;
}

struct of_port
ofproto_port_free_number(const struct ofproto *p)
{
	const struct ofport_set *set = ports_of(p);
	uint32_t number = 1;

	for (size_t i = 0; i < set->n && set->ports[i]->info.number.v == number; i++) {
		number++;
	}
	return number <= OF_PORT_AUTO_MAX ? OF_PORT(number) : OF_PORT_NONE;
}

const struct ofport *
ofport_find(const struct ofproto *p, struct of_port number)
{
	const struct ofport_set *set = ports_of(p);
	size_t i = position(set, number.v);

	return i < set->n && set->ports[i]->info.number.v == number.v ? set->ports[i] : NULL;
}

const struct ofport *
ofport_by_dp(const struct of_model *m, struct dp_port port)
{
	const struct dp_page *page;

	if (port.v > DP_PORT_MAX) {
		return NULL;
	}
	page = atomic_load_explicit(&m->dp_ports[port.v / OF_DP_PAGE], memory_order_acquire);
	return page ? atomic_load_explicit(&page->ports[port.v % OF_DP_PAGE], memory_order_acquire)
		    : NULL;
}

const struct ofport *
ofport_peer(const struct ofport *port)
{
	const struct of_port_info *info = &port->info;
	const struct ofproto *p;
	const struct ofport *peer;

	if (info->kind != OF_PORT_PATCH) {
		return NULL;
	}
	p = ofproto_by_id(port->ofproto->model, info->patch.ofproto_id);
	peer = p ? ofport_find(p, info->patch.port) : NULL;
	if (!peer || peer->info.kind != OF_PORT_PATCH ||
		peer->info.patch.ofproto_id != port->ofproto->id ||
		peer->info.patch.port.v != info->number.v) {
		return NULL;
	}
	return peer;
}

void
ofport_del_all(struct ofproto *p)
{
	while (ports_of(p)->n) {
		publish(p, ports_of(p)->ports[ports_of(p)->n - 1]->info.number, NULL);
	}
}

static bool
check_tunnel(const struct ofproto *p, const struct of_port_info *info, const struct ofport *old,
	struct weft_error *err)
{
	const struct ofport *rival;
	struct weft_error what = WEFT_ERROR_INIT;
	const char *why;

	if (!of_tunnel_check(&info->tunnel, &what)) {
		return weft_error_set(
			err, WEFT_ERR_INVALID, EINVAL, "port %s: %s", info->name, what.text);
	}
	rival = tunnel_rival(p->model, &info->tunnel, old, &why);
	return !rival ||
	       weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST, "port %s: port %s of switch %s %s",
		       info->name, rival->info.name, rival->ofproto->name, why);
}

static struct ofport_set *
ports_of(const struct ofproto *p)
{
	return atomic_load_explicit(&p->ports, memory_order_acquire);
}

/* Of the first port with @number or more. */
static size_t
position(const struct ofport_set *set, uint32_t number)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (set->ports[middle]->info.number.v < number) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/* Byte by byte, so that no member can be forgotten: padding may make them differ, and then more is translated again than
 * need be. */
static bool
differs_by_link_alone(const struct of_port_info *a, const struct of_port_info *b)
{
	struct of_port_info x;

	memcpy(&x, a, sizeof(x));
	x.state = b->state;
	x.is_path_down = b->is_path_down;
	x.curr = b->curr;
	x.curr_speed = b->curr_speed;
	return !x.allow && !x.flood && !memcmp((const uint8_t *)&x, (const uint8_t *)b, sizeof(x));
}

/* Puts @port (NULL: nothing) in the place of the one with that number, if there is one, and moves the
 * version. */
static void
publish(struct ofproto *p, struct of_port number, struct ofport *port)
{
	const struct ofport *old = ofport_find(p, number);
	struct ofport_set *before = ports_of(p), *set;
	size_t at = position(before, number.v);
	size_t rest = before->n - at - !!old;

	set = xmalloc(sizeof(*set) + (before->n + 1) * sizeof(set->ports[0]));
	set->n = before->n + !!port - !!old;
	memcpy(set->ports, before->ports, at * sizeof(set->ports[0]));
	if (port) {
		set->ports[at] = port;
	}
	memcpy(&set->ports[at + !!port], &before->ports[at + !!old], rest * sizeof(set->ports[0]));
	if (old && (!port || old->info.dp_port.v != port->info.dp_port.v)) {
		set_dp(p->model, old->info.dp_port, NULL);
	}
	if (port) {
		set_dp(p->model, port->info.dp_port, port);
	}
	tunnel_replace(p->model, old, port);
	atomic_store_explicit(&p->ports, set, memory_order_release);
	model_changed(p->model, of_dep(OF_DEP_LINK, p->id, number.v));
	if (!old || !port || !differs_by_link_alone(&old->info, &port->info)) {
		model_changed(p->model, of_dep(OF_DEP_PORT, p->id, number.v));
		model_changed(p->model, of_dep(OF_DEP_PORTS, p->id, 0));
	}
	model_publish(p->model);
	grace_retire(&p->model->grace, &before->retired, free_set);
	if (old) {
		grace_retire(&p->model->grace, &((struct ofport *)old)->retired, free_port);
	}
}

static void
set_dp(struct of_model *m, struct dp_port dp, const struct ofport *port)
{
	_Atomic(struct dp_page *) *slot;
	struct dp_page *page;

	if (dp.v > DP_PORT_MAX) {
		return;
	}
	slot = &m->dp_ports[dp.v / OF_DP_PAGE];
	page = atomic_load_explicit(slot, memory_order_relaxed);
	if (!page) {
		page = xcalloc(1, sizeof(*page));
		atomic_store_explicit(slot, page, memory_order_release);
	}
	atomic_store_explicit(&page->ports[dp.v % OF_DP_PAGE], port, memory_order_release);
}

static void
free_port(struct grace_item *item)
{
	struct ofport *port = WEFT_CONTAINER_OF(item, struct ofport, retired);

	if (port->rx) {
		of_counter_unref(port->rx);
		of_counter_unref(port->tx);
	}
	free((void *)port->info.allow);
	free((void *)port->info.flood);
	free(port);
}

static void
free_set(struct grace_item *item)
{
	free(WEFT_CONTAINER_OF(item, struct ofport_set, retired));
}
