/* SPDX-License-Identifier: Apache-2.0
 *
 * A flow registry over a datapath that takes commands at once and answers when it is told to; with or without the
 * switch of world.h.
 */
#pragma once

#include "ofproto/flow_registry.h"
#include "tests/unit/ofproto/world.h"

#define MAX_FLOWS 4096
#define MAX_REPLIES 512

struct registry_fake_flow {
	bool used;
	struct dp_handle handle;
	struct flow_key key;
	struct flow_mask mask;
	struct dp_actions actions;
	struct flow_stats stats;
};

/* Commands are executed at once; their answers wait in a queue. */
struct registry_fake {
	struct flow_registry *r;
	struct registry_fake_flow flows[MAX_FLOWS];
	unsigned n_flows;
	uint32_t next_gen;
	struct {
		struct dp_message msg;
		union {
			struct dp_reply reply;
			struct dp_flow_put_reply put;
			struct dp_flow_del_reply del;
		};
	} replies[MAX_REPLIES];
	unsigned n_replies;
	int refuse_put; /* -EDQUOT (unless narrow), -ENOSPC; 0: take it */
	bool ring_is_full;
	unsigned n_puts;
	uint16_t last_flags;
	char executed[1024];
	unsigned n_contexts;
	unsigned n_learns; /* posted */
	unsigned n_limits;
	struct world *w;                         /* NULL: learned addresses are not written */
	void (*in_put)(struct registry_fake *f); /* runs in the middle of a put */
};

struct registry_lab {
	struct world w;
	struct registry_fake f;
};

/* @f is the caller's; its registry reads @reader. */
void registry_fake_init(struct registry_fake *f, struct of_reader *reader);
void registry_fake_uninit(struct registry_fake *f);
/* What the registry calls, with @f. */
struct flow_registry_ops registry_fake_ops(struct registry_fake *f);

/* Hands over the answers, and whatever they bring about. */
void lab_answer(struct registry_fake *f, uint64_t now_ms);
/* A packet of 100 bytes missed, parked as 7. */
void lab_upcall_key(struct registry_fake *f, const struct flow_key *key, uint64_t now_ms);

/* For cmocka: *state is a struct registry_lab. */
int registry_lab_begin(void **state);
int registry_lab_end(void **state);
/* A miss of a packet in the syntax of world_key(). */
void lab_upcall(struct registry_lab *s, const char *packet);
/* The clock goes on by @ms, and the registry runs until it has nothing to do. */
void lab_run(struct registry_lab *s, uint64_t ms);
/* What is installed: "in_port(N) match actions=..", a line a flow. Valid until the next call or translation. */
const char *lab_installed(struct registry_lab *s);
/* @packets of 100 bytes take the flow in @slot. */
void lab_traffic(struct registry_lab *s, unsigned slot, uint64_t packets);
/* How many packets the rules have counted. */
uint64_t lab_counted(struct registry_lab *s);
struct flow_registry_counters lab_counters(struct registry_lab *s);
