/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions, inside: what action.c (lists) has of action_tunnel.c (ENCAP, DECAP).
 *
 * Pieces: an action may turn its packet into several, segments or fragments. Each of them then runs what is
 *         behind that action: the frames say what that is, list by list outwards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dp_action.h"
#include "lib/packet.h"

struct flow_key;
struct tunnel_encap;
struct worker;

/* A list that is being run. */
struct frame {
	const struct dp_action_hdr *at; /* the action that is; NULL: none is left */
	const void *actions;
	size_t size;
	const struct frame *up; /* the list that it is nested in; NULL: none */
	unsigned depth;         /* objects that it is in */
	bool last;              /* nothing behind this list needs the packet */
	bool expired;           /* what it leaves drops as invalid-ttl */
};

/* What happens to one packet. */
struct run {
	struct worker *w;
	const struct flow_key
		*key;         /* the packet's, of its headers as they are; NULL: to be parsed */
	unsigned n_copies;    /* made of the packet */
	const uint8_t *edits; /* behind this place of the list nothing writes to the packet */
	unsigned depth;       /* objects that it is in */
	unsigned *looks; /* at objects and buckets, that are left to the packet and its copies */
	const struct frame *frame;
};

/* What became of the packet that a list ran on. */
enum fate {
	FATE_LEFT,  /* still ours */
	FATE_TAKEN, /* gone: sent, dropped, recirculated */
};

/* Runs all that is behind the action that is being run on a piece of its packet, and consumes the piece. */
void action_run_rest(const struct run *r, struct packet *piece);

/* The hash of a packet's 5-tuple, as it is now. */
uint32_t action_tuple_hash(const struct run *r, struct packet *p, uint32_t basis);

enum fate action_encap(struct run *r, struct packet *p, struct tunnel_encap *e);
/* Consumes the packets. */
void action_decap(
	struct worker *w, struct packet **pkts, unsigned n, const struct dp_action_decap *a);

/* Runs a list that is tunnel fields, an ENCAP and an OUTPUT, and consumes the packet. False: it needs more
 * than that (pieces, the agent), nothing has been done that may not be done again. */
bool action_encap_output(struct worker *w, struct packet *p, const struct flow_key *key,
	const void *actions, size_t size);
