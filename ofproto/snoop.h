/* SPDX-License-Identifier: Apache-2.0
 *
 * IGMP and MLD: kinds of messages and groups, for those who hear them and those who forward them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum snoop_kind {
	SNOOP_OTHER,
	SNOOP_QUERY,
	SNOOP_REPORT,
	SNOOP_LEAVE,
	SNOOP_RECORDS, /* IGMPv3, MLDv2 */
};

enum snoop_kind snoop_kind_of(bool is_mld, uint8_t type);
/* Whether everybody gets this group's packets (@addr: IPv4 as ::ffff:a.b.c.d). */
bool snoop_is_flooded(const uint8_t addr[16]);
