/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow port numbers: 32 bits, reserved ones from 0xffffff00 on (OpenFlow 1.3.5 s.A.2.1,
 * enum ofp_port_no). OpenFlow 1.0's 16-bit numbers are widened by its codec.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

struct of_port {
	uint32_t v;
};

#define OFPP_MAX 0xffffff00u /* ordinary numbers are 1 .. OFPP_MAX */
#define OFPP_UNSET 0xfffffff7u
#define OFPP_IN_PORT 0xfffffff8u
#define OFPP_TABLE 0xfffffff9u
#define OFPP_NORMAL 0xfffffffau
#define OFPP_FLOOD 0xfffffffbu
#define OFPP_ALL 0xfffffffcu
#define OFPP_CONTROLLER 0xfffffffdu
#define OFPP_LOCAL 0xfffffffeu
#define OFPP_ANY 0xffffffffu

#define OFPG_MAX 0xffffff00u
#define OFPG_ALL 0xfffffffcu
#define OFPG_ANY 0xffffffffu

/* Numbers that the switch gives to ports by itself. */
#define OF_PORT_AUTO_MAX 0xfeffu

#define OF_PORT(N) ((struct of_port){(N)})
#define OF_PORT_NONE OF_PORT(OFPP_ANY)

static inline bool
of_port_is(struct of_port port, uint32_t number)
{
	return port.v == number;
}

/* "LOCAL", "IN_PORT", ..; NULL for an ordinary number. */
const char *of_port_reserved_name(struct of_port port);

/* A reserved name, in any case, or a number. */
bool of_port_parse(const char *text, size_t len, struct of_port *port);
void of_port_format(struct of_port port, struct strbuf *out);
