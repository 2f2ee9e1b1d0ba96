/* SPDX-License-Identifier: Apache-2.0
 *
 * Handlers between a real switch model and the fake datapath, with all that an agent would do for them, for their tests.
 * Ports 1 to 4 are the datapath's 11 to 14.
 */
#pragma once

#include <event2/event.h>

#include "controller-agent/dp_client.h"
#include "controller-agent/handler.h"
#include "ofproto/of_context.h"
#include "ofproto/ofproto.h"
#include "tests/unit/controller-agent/fake_datapath.h"

#define HANDLER_LAB_WAIT_MS 10000

/* What the handlers have told. */
struct handler_seen {
	unsigned n_packet_in;
	unsigned n_packet_in_of[16]; /* by the datapath's port */
	unsigned n_learned;
	unsigned n_adopted; /* calls */
	unsigned n_adopted_flows;
	unsigned n_contexts;
	unsigned n_detached;
	unsigned n_broken;
	unsigned n_barriers;
	unsigned n_up;
	struct of_context context; /* of the last packet-in */
	uint32_t packet_len;
	uint32_t data_len;
	uint8_t data[FAKE_DATA_MAX];
	uint32_t in_port;
};

struct handler_lab {
	struct event_base *base;
	struct of_model *model;
	struct ofproto *sw;
	struct handlers *handlers;
	struct dp_client *client;
	struct fake_datapath *dp;
	struct handler_seen seen;
	/* To be set before the start. */
	bool adopt;
	bool kick; /* the handlers are told of each change at once */
	unsigned n_handlers;
};

extern struct handler_lab lab;

/* For cmocka: a datapath, without an agent. At the end no command may have been wrong. */
int handler_lab_setup(void **state);
int handler_lab_teardown(void **state);
/* Starts an agent, and waits for its session. */
void handler_lab_start(void);
/* Ends it; the datapath sees the end of the connection and nothing else. */
void handler_lab_stop(void);

/* Runs the loop for @ms. */
void handler_lab_turn(unsigned ms);
/* Runs it until *@counter is @n or more; whether it came to be so in time. */
bool handler_lab_wait(const unsigned *counter, unsigned n);
/* Like fake_datapath_wait(), with the loop running. */
bool handler_lab_wait_dp(bool (*condition)(const struct fake_counts *c, unsigned n), unsigned n);
/* Adds "in_port=@in_port actions=output:@out" (0: any; 0: drop) with that priority. */
void handler_lab_rule(uint16_t priority, unsigned in_port, uint32_t out, uint16_t max_len);
/* A packet of dp port @port; @flow makes it one of its own. */
void handler_lab_receive(unsigned worker, unsigned port, unsigned flow);
/* Whether some flow's text has @words; waits for it. */
bool handler_lab_has_flow(const char *words);
bool handler_lab_wait_flow(const char *words);
/* For handlers_barrier(): counts. */
void handler_lab_on_barrier(void *user);
