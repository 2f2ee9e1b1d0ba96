/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz: packets that controllers send, and contexts that come back from the datapath. Room: ofproto
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dp_protocol.h"
#include "lib/flow_key.h"
#include "lib/packet_key.h"
#include "ofproto/of_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t copy[DP_CONTEXT_MAX_SIZE / 8], back[DP_CONTEXT_MAX_SIZE / 8];
	struct of_context c;
	struct flow_key key;

	packet_key_parse(data, size, &key);
	if (size <= sizeof(copy)) {
		memcpy(copy, data, size);
		if (of_context_decode(copy, size, &c, NULL) &&
			of_context_encode(&c, back) != size) {
			abort();
		}
	}
	return 0;
}
