/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet addresses as text.
 */
#include "lib/eth_addr.h"

#include <ctype.h>
#include <stdio.h>

const char *
eth_addr_text(const uint8_t addr[6], char text[ETH_ADDR_TEXT_SIZE])
{
	snprintf(text, ETH_ADDR_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", addr[0], addr[1],
		addr[2], addr[3], addr[4], addr[5]);
	return text;
}

bool
eth_addr_parse(const char *text, uint8_t addr[6])
{
	for (unsigned i = 0; i < 6; i++, text += 3) {
		/* What scanf takes by itself, such as signs and spaces, is no part of an address. */
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
			text[2] != (i < 5 ? ':' : '\0') || sscanf(text, "%2hhx", &addr[i]) != 1) {
			return false;
		}
	}
	return true;
}
