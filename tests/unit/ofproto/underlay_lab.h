/* SPDX-License-Identifier: Apache-2.0
 *
 * An overlay and an underlay switch, for tests of tunnels; routes and objects as the test says.
 *
 *	1..8 (11..18) [s1] 20.. tunnel ports (40..)
 *
 *	1 up, underlay=yes (31) [u] 9 internal, 02:00:00:00:00:01 (39)
 *	2 guest (32)
 */
#pragma once

#include "ofproto/underlay_provider.h"
#include "tests/unit/ofproto/world.h"

#define LAB_MAX_OBJECTS 32

struct underlay_lab {
	struct world w; /* its switch is s1 */
	struct ofproto *s1;
	struct ofproto *u;
	/* By the last byte of the remote: 192.0.2.N, 2001:db8::N. */
	struct of_underlay_route *routes[256];
	unsigned n_lookups;
	struct of_underlay_key asked; /* last */
	/* Objects that were asked for, by slot - 1. */
	struct {
		size_t size;
		_Alignas(8) uint8_t body[512];
	} objects[LAB_MAX_OBJECTS];
	unsigned n_objects;
	/* Choices, as text, by slot - 100: "select [WEIGHT:WATCHED:OBJECT ACTIONS COUNTERS/RULES] .."; there are some
	 * if it may choose. */
	bool may_choose;
	uint32_t seed; /* the last one's */
	char choices[8][1024];
	unsigned n_choices;
	enum translate_object_state object_state; /* of all */
	bool no_objects;                          /* as for packet-outs */
};

int underlay_lab_begin(void **state);
int underlay_lab_end(void **state);

struct of_underlay_addr lab_addr(const char *text);
/* All defaults: VXLAN, VNI 5. @remote NULL: flow. */
struct of_tunnel lab_tunnel(const char *remote);
/* Tunnel port @number of s1, datapath port @number + 20. False: refused. */
bool lab_set_tunnel(struct underlay_lab *t, unsigned number, const struct of_tunnel *tunnel,
	uint32_t config, struct weft_error *err);
void lab_tunnel_port(struct underlay_lab *t, unsigned number, const struct of_tunnel *tunnel);

/* A route of @n usable paths, from 192.0.2.1 or 2001:db8::1, next hop 02:00:00:00:00:<mac + i>, MTU 1500. */
void lab_route(struct underlay_lab *t, unsigned remote, unsigned n, unsigned mac);
void lab_no_route(struct underlay_lab *t, unsigned remote, enum of_underlay_state state);
/* Tells who depends on the route that it is another one. */
void lab_route_changed(struct underlay_lab *t, const char *remote);

void lab_flow(struct underlay_lab *t, struct ofproto *p, const char *text);
const char *lab_translate(struct underlay_lab *t, const char *packet);
const char *lab_translate_key(struct underlay_lab *t, const struct flow_key *key);
/* For translate_in.object, flow_registry_ops. */
enum translate_object_state lab_object(
	void *lab, const struct translate_object *o, struct dp_handle *handle);
/* An object's body: "kind flags too_long mtu port l3 l4 header", in hex. */
const char *lab_encap(struct underlay_lab *t, unsigned slot);
