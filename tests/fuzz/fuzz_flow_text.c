/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: lib. Flow text: what is accepted is printed and read back as the same match.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/field.h"
#include "lib/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A match on fragments may have a shorter equal: "not a fragment" is said by one bit or by both. */
static void
forget_fragments(struct flow_key *key, struct flow_mask *mask)
{
	key->ip_frag &= (uint8_t)~FLOW_FRAG_MASK;
	mask->bits.ip_frag &= (uint8_t)~FLOW_FRAG_MASK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct flow_key key, again;
	struct flow_mask mask, again_mask;
	struct strbuf s = STRBUF_INIT;

	if (!flow_text_parse((const char *)data, len, &key, &mask, &err)) {
		if (!weft_error_is_set(&err) || err.offset > len) {
			abort(); /* a refusal says why, and where */
		}
		return 0;
	}
	flow_text_format(&key, &mask, &s);
	if (!flow_text_parse(s.data, s.len, &again, &again_mask, NULL)) {
		abort();
	}
	forget_fragments(&key, &mask);
	forget_fragments(&again, &again_mask);
	if (memcmp(&key, &again, sizeof key) || memcmp(&mask, &again_mask, sizeof mask)) {
		abort();
	}
	strbuf_uninit(&s);
	return 0;
}
