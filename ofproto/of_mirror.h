/* SPDX-License-Identifier: Apache-2.0
 *
 * Mirrors: copies of a switch's packets, for somebody who watches.
 *
 * Selection: packets that come in by a source port, as they came in (once the port has let them in), and those
 *            that go out by a destination port, as they go out; of those the ones in a VLAN of the list, and
 *            that match the filter. Packets are in the VLAN that they would have for NORMAL on that port.
 *            A mirror copies a packet once, however many reasons there are; copies are not mirrored again.
 * Output:    to a port (SPAN), as it is; or into a VLAN (RSPAN), by all ports that carry it, tagged or not as
 *            those want it, a tag that was there replaced. Packets to 01:80:c2:00:00:0x do not go there, nor do
 *            those of the VLAN itself.
 * NORMAL:    takes nothing that comes in by an output port, and floods nothing there; in an output VLAN it
 *            learns no addresses.
 * Limits:    OF_MIRRORS_MAX a switch. What rules have laid bare below labels or put into a tunnel, a filter does not see.
 *            Which bucket of a select group runs is the datapath's choice: what a mirror
 *            copied in one of them it does not copy again behind the group, whichever ran.
 * Threads:   the loop.
 * Spec:      the semantics of Open vSwitch's table Mirror.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "ofproto/of_match.h"
#include "ofproto/of_port.h"

struct ofproto;
struct weft_error;

#define OF_MIRRORS_MAX 32

struct of_mirror {
	const char *name;
	bool select_all; /* every port, both ways */
	const struct of_port *src;
	size_t n_src;
	const struct of_port *dst;
	size_t n_dst;
	const uint64_t *vlans;         /* bitmap, [64]; NULL: all */
	const struct of_match *filter; /* NULL: everything */
	struct of_port output_port;    /* OF_PORT_NONE: into the VLAN */
	uint16_t output_vlan;          /* 1..4094 */
	uint16_t max_len;              /* bytes of a packet that a port gets; 0: all */
};

struct of_mirror_traffic {
	uint64_t packets;
	uint64_t bytes;
};

/* These are the switch's mirrors from now on; they are copied. Counters go on for those whose name was there
 * before. At most OF_MIRRORS_MAX, names differ. */
void ofproto_set_mirrors(struct ofproto *p, const struct of_mirror *list, size_t n);
/* As far as statistics were read (handlers). False: there is none of that name. */
bool ofproto_mirror_traffic(
	const struct ofproto *p, const char *name, struct of_mirror_traffic *traffic);
