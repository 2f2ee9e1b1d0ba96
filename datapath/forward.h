/* SPDX-License-Identifier: Apache-2.0
 *
 * Forwarding: parse, cache, classify, act.
 *
 * Again: what actions recirculate or decapsulate passes through once more, in rounds, before the burst is
 *        over; DP_RECIRC_MAX bounds how often.
 */
#pragma once

#include "datapath/worker.h"

/* Consumes @n packets, 1..WORKER_BURST, that @port has received. */
void forward_burst(struct worker *w, struct port *port, struct port_worker *pw,
	struct packet **pkts, unsigned n) WEFT_REQUIRES(weft_worker);

/* Sends what an action list outside of a burst has recirculated on its way. */
void forward_recirculated(struct worker *w) WEFT_REQUIRES(weft_worker);
