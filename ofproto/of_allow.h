/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources that a port lets in: MAC addresses, each with the IP addresses that it may use.
 *
 * Rule:   a packet's source address must be listed; of IPv4 and IPv6 packets the IP source, of ARP the sender,
 *         of neighbour discovery what it says of link-layer addresses and, where it claims one, the target.
 *         A MAC that is listed without an IP address may use any. Whatever is listed: DHCP before there is
 *         an address, the probe for an address that the MAC may use (RFC 5227, RFC 4862), and the link-local
 *         IPv6 address that is made of the MAC (RFC 4291 appendix A).
 *         IP packets whose headers cannot be read to the end are not let in.
 * Threads: immutable.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum of_allow_family {
	OF_ALLOW_ANY, /* every IP address */
	OF_ALLOW_IPV4,
	OF_ALLOW_IPV6,
};

struct of_allow_entry {
	uint8_t mac[6];
	uint8_t family; /* enum of_allow_family */
	uint8_t prefix; /* bits of @addr that count; the others are 0 */
	uint8_t addr[16];
};

struct of_allow {
	size_t n;
	struct of_allow_entry entries[];
};
