/* SPDX-License-Identifier: Apache-2.0
 *
 * weft-bench: a traffic generator with virtio-user ports, and its own measure.
 *
 * Place:   stands where guests would; what it drives is a vhost-user switch of any make.
 * Threads: everything runs on one core, the generator's (--core), so that on a machine with two
 *          cores the other is the switch's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BENCH_BURST 32
#define BENCH_MAX_FRAME 1518
#define BENCH_MAX_PORTS 4
#define BENCH_MIN_FRAME 64 /* with FCS, as wires count: 60 bytes are sent */

struct bench_options {
	const char *socket[BENCH_MAX_PORTS]; /* vhost-user sockets, of the first port on */
	unsigned n_ports;
	unsigned core;
	unsigned size;    /* of a frame, with FCS */
	unsigned n_flows; /* that the frames cycle through */
	double seconds;   /* measured, after warm-up */
	double warm_up_s;
	double rate_pps;      /* 0: as fast as it goes */
	unsigned count;       /* latency: packets; flood: at most so many new flows */
	unsigned interval_us; /* latency: between packets; flood: between new flows */
	bool both_ways;       /* traffic also from the second port to the first */
	bool vxlan_in;        /* traffic: frames go in as VXLAN packets to vxlan_mac */
	bool vxlan_out;       /* they come out as such */
	uint8_t vxlan_mac[6];
	bool json;
	bool no_huge;
	unsigned memory_mb;
	char **eal_args; /* more of them */
	int n_eal_args;
};

/* Starts DPDK on the core of @o with a virtio-user port for each socket. Exits on failure with a
 * message. @port_ids: DPDK port numbers. */
void bench_open_ports(const struct bench_options *o, uint16_t *port_ids);

/* DPDK without ports, for the reflector. */
void bench_open_eal(const struct bench_options *o);

/* Removes what bench_open_eal() left in the file system. */
void bench_close(void);

/* Set by SIGINT and SIGTERM; loops look at it. */
extern volatile bool bench_stop;

/* The commands. Each returns an exit status. */
int bench_traffic(const struct bench_options *o);
int bench_latency(const struct bench_options *o);
int bench_flood(const struct bench_options *o);
int bench_reflect(const struct bench_options *o);

/* Frames: writes flow @flow's headers to @frame (at least 60 bytes), without FCS. @tag: a number
 * that bench_frame_tag() finds again. @way: 0 from the first port to the second, 1 back. */
void bench_frame_write(uint8_t *frame, uint32_t flow, unsigned way, uint32_t tag, unsigned len);
/* Writes the BENCH_VXLAN_LEN bytes that make a frame of @len bytes behind them a VXLAN packet: VNI 5, from 192.0.2.2
 * to 192.0.2.1, which has @mac. */
#define BENCH_VXLAN_LEN 50u
void bench_vxlan_write(uint8_t *outer, const uint8_t mac[6], uint32_t flow, unsigned len);
/* The tag of a frame of ours, or false for a foreign one. */
bool bench_frame_tag(const uint8_t *frame, unsigned len, uint32_t *tag);
