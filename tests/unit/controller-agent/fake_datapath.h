/* SPDX-License-Identifier: Apache-2.0
 *
 * Fake datapath: the other end of lib/dp_protocol.h for tests, in a thread of the test.
 *
 * What:     listens on RUNDIR/datapath.sock, opens sessions, keeps ports, flows, objects, contexts
 *           and parked packets, runs flows on packets that the test injects. Of the actions it does
 *           output (which it records), drop, to-agent and recirculation; others are skipped.
 * Threads:  one thread serves socket and command rings; test functions lock and may be called from
 *           any thread.
 * Limits:   those below; beyond them it answers -ENOSPC or fails an assertion.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dp_protocol.h"

#define FAKE_MAX_FLOWS 4096
#define FAKE_MAX_PARKED 1024
#define FAKE_MAX_OUTPUTS 4096
#define FAKE_MAX_PORTS 256
#define FAKE_DATA_MAX 2048

struct fake_datapath;

struct fake_output {
	uint32_t port;
	uint32_t len;
	uint8_t data[FAKE_DATA_MAX];
};

struct fake_counts {
	unsigned n_sessions; /* opened so far */
	unsigned n_refused;  /* handshakes */
	unsigned n_flows;
	unsigned n_contexts;
	unsigned n_objects;
	unsigned n_ports;
	unsigned n_upcalls; /* misses sent */
	unsigned n_outputs;
	unsigned n_dropped;  /* packets that ended without an output */
	unsigned n_no_agent; /* misses without a session, or with a full ring */
	unsigned n_commands[DP_COMMAND_N];
	unsigned n_bad; /* commands that did not decode: always a fault */
};

/* Starts one. @instance: its identity; the same again is the same datapath. Its flows do not
 * survive it: see fake_datapath_drop_session() for that. */
struct fake_datapath *fake_datapath_start(
	const char *rundir, unsigned n_workers, uint64_t instance);
void fake_datapath_stop(struct fake_datapath *dp);

/* Closes the agent's connection; everything else stays. */
void fake_datapath_drop_session(struct fake_datapath *dp);
/* Speaks another protocol version from the next handshake on. */
void fake_datapath_set_version(struct fake_datapath *dp, unsigned version);
/* Refuses the next port.add of that name with @text; NULL: no more. */
void fake_datapath_refuse_port(struct fake_datapath *dp, const char *name, const char *text);
/* Commands stay in their rings while held. */
void fake_datapath_hold(struct fake_datapath *dp, bool hold);

/* A packet of @port, on @worker: runs the flow that matches, or asks the agent. The key is parsed
 * from Ethernet, VLAN, ARP, IPv4, TCP and UDP. */
void fake_datapath_receive(
	struct fake_datapath *dp, unsigned worker, uint32_t port, const void *data, size_t len);
/* Changes a port's link, as port.changed. */
void fake_datapath_set_link(struct fake_datapath *dp, uint32_t port, bool up);

/* So often it answers options of Geneve that they were set too often; and those that it was told of last. */
void fake_datapath_refuse_options(struct fake_datapath *dp, unsigned times);
struct dp_tun_opt;
unsigned fake_datapath_options(struct fake_datapath *dp, struct dp_tun_opt *opts);
void fake_datapath_counts(struct fake_datapath *dp, struct fake_counts *counts);
/* Waits until @condition holds for the counts, up to @timeout_ms; returns whether it did. */
bool fake_datapath_wait(struct fake_datapath *dp,
	bool (*condition)(const struct fake_counts *c, unsigned n), unsigned n,
	unsigned timeout_ms);
/* Common conditions. */
bool fake_has_flows(const struct fake_counts *c, unsigned n);    /* exactly n */
bool fake_has_outputs(const struct fake_counts *c, unsigned n);  /* at least n */
bool fake_has_sessions(const struct fake_counts *c, unsigned n); /* at least n */
bool fake_has_ports(const struct fake_counts *c, unsigned n);    /* exactly n */
bool fake_has_upcalls(const struct fake_counts *c, unsigned n);  /* at least n */
bool fake_has_drops(const struct fake_counts *c, unsigned n);    /* at least n */

/* The @i-th output since the start; false: there is none. */
bool fake_datapath_output(struct fake_datapath *dp, unsigned i, struct fake_output *output);
/* The number of the port of that name, or -1. */
int fake_datapath_port(struct fake_datapath *dp, const char *name);
/* Match and actions of the @i-th flow in text ("MATCH ACTIONS packets=N"), which the caller frees;
 * NULL: there is none. */
char *fake_datapath_flow_text(struct fake_datapath *dp, unsigned i);
/* Kinds of the commands since the last call, as "put,execute,barrier", which the caller frees. */
char *fake_datapath_history(struct fake_datapath *dp);

/* A frame to inject: Ethernet with @vlan (0: none), IPv4, UDP. Returns its length. */
size_t fake_udp_frame(uint8_t *frame, uint64_t dst, uint64_t src, uint16_t vlan, uint32_t ip_src,
	uint32_t ip_dst, uint16_t udp_src, uint16_t udp_dst);
