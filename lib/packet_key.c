/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of packets outside of the fast path.
 */
#include "lib/packet_key.h"

#include <stdbool.h>
#include <string.h>

#include "lib/field.h"
#include "lib/flow_key.h"
#include "lib/packet_parse.h"
#include "lib/strbuf.h"

bool
packet_key_parse(const uint8_t *data, size_t len, struct flow_key *key)
{
	/* The parser reads alone. */
	struct packet p = {.data = (uint8_t *)(uintptr_t)data,
		.len = (uint32_t)len,
		.head_len = (uint32_t)len};

	if (packet_parse(&p, key, PARSE_L4)) {
		flow_key_clear_absent(key, p.key_blocks);
		return true;
	}
	memset(key, 0, sizeof *key);
	return false;
}

/* Registers taken together: each stands for itself. */
static bool
overlaps(enum field_id id)
{
	return id >= FIELD_XREG0 && id < FIELD_METADATA;
}

void
packet_key_fields(const struct flow_key *key, struct flow_mask *mask)
{
	static const union field_value none;

	memset(mask, 0, sizeof *mask);
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *f = field_get((enum field_id)id);
		union field_value value;

		field_load(f, key, &value);
		if (!overlaps((enum field_id)id) &&
			field_prereq_holds((enum field_prereq)f->prereq, key) &&
			(memcmp(&value, &none, sizeof value) || id == FIELD_ICMPV4_TYPE ||
				id == FIELD_ICMPV6_TYPE)) {
			field_mask_exact(f, mask);
		}
	}
}

void
packet_key_format(const struct flow_key *key, struct strbuf *out)
{
	struct flow_mask mask;

	packet_key_fields(key, &mask);
	flow_text_format_match(key, &mask, NULL, out);
}
