/* SPDX-License-Identifier: Apache-2.0
 *
 * IGMP and MLD snooping: what multicast listeners and routers say, heard by NORMAL.
 *
 * What:     with it on, NORMAL sends multicast packets of IP to the ports that have asked for the group and to
 *           those behind which there is a router; those of a group that nobody has asked for are flooded, or go to
 *           the routers alone (flood_unregistered). Always flooded: 224.0.0.0/24 and ff02::/16 (what hosts need to
 *           find each other must not hang on a table), and what is not IP.
 * Hearing:  a packet of IGMP or MLD comes to the agent by its flow (OF_CONTEXT_SNOOP) while it is
 *           forwarded: reports to routers alone, the rest to everybody. A port is a router's when a query came
 *           in by it, from an address, or when it is set up so.
 * Leaving:  a router is asked; its queries for the group give the members two more response times. Where no router
 *           is known, a port that leaves is taken out at once.
 * Limits:   those of mdb.h. What is malformed or has a wrong checksum is not believed.
 * Threads:  the loop.
 * Spec:     RFC 4541; RFC 2236, RFC 3376 (IGMP); RFC 2710, RFC 3810 (MLD).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ofproto/of_port.h"

struct mdb;
struct ofproto;

#define OF_MULTICAST_AGEING_S 300
#define OF_MULTICAST_MAX_LEN 2048u /* bytes of a packet that are looked at */

/* Takes notice of a packet (of @len bytes that are there, from the Ethernet header on) that came in by @port and is in
 * @vlan. */
void ofproto_multicast_packet(struct ofproto *p, uint16_t vlan, struct of_port port,
	const uint8_t *data, size_t len, uint64_t now_ms);
/* mdb.h. */
const struct mdb *ofproto_mdb(const struct ofproto *p);
