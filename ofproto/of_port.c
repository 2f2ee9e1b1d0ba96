/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenFlow port numbers: names of the reserved ones.
 */
#include "ofproto/of_port.h"

#include <string.h>
#include <strings.h>

#include "lib/compiler.h"
#include "lib/strbuf.h"

static const struct {
	const char *name;
	uint32_t number;
} reserved[] = {
	{"UNSET", OFPP_UNSET}, {"IN_PORT", OFPP_IN_PORT}, {"TABLE", OFPP_TABLE},
	{"NORMAL", OFPP_NORMAL}, {"FLOOD", OFPP_FLOOD}, {"ALL", OFPP_ALL},
	{"CONTROLLER", OFPP_CONTROLLER}, {"LOCAL", OFPP_LOCAL}, {"ANY", OFPP_ANY},
	{"NONE", OFPP_ANY}, /* OpenFlow 1.0's name */
};

const char *
of_port_reserved_name(struct of_port port)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(reserved); i++) {
		if (reserved[i].number == port.v) {
			return reserved[i].name;
		}
	}
	return NULL;
}

bool
of_port_parse(const char *text, size_t len, struct of_port *port)
{
	uint64_t v = 0;
	size_t i = 0;
	unsigned base = 10;

	for (size_t n = 0; n < WEFT_ARRAY_SIZE(reserved); n++) {
		if (strlen(reserved[n].name) == len && !strncasecmp(reserved[n].name, text, len)) {
			port->v = reserved[n].number;
			return true;
		}
	}
	if (len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		i = 2;
	}
	if (i == len) {
		return false;
	}
	for (; i < len; i++) {
		unsigned digit = (unsigned char)text[i];

		digit = digit - '0' < 10           ? digit - '0'
			: (digit | 0x20) - 'a' < 6 ? (digit | 0x20) - 'a' + 10
						   : 99;
		v = v * base + digit;
		if (digit >= base || v > UINT32_MAX) {
			return false;
		}
	}
	port->v = (uint32_t)v;
	return true;
}

void
of_port_format(struct of_port port, struct strbuf *out)
{
	const char *name = of_port_reserved_name(port);

	if (name) {
		strbuf_put(out, name);
	} else {
		strbuf_printf(out, "%u", port.v);
	}
}
