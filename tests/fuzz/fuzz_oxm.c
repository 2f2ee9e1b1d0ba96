/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz: OXM matches. What decodes is encoded, and decodes again to the same. Room: ofproto
 */
#include <stdint.h>
#include <stdlib.h>

#include "lib/strbuf.h"
#include "ofproto/of_match.h"
#include "ofproto/oxm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct of_match match, again;
	struct strbuf out = STRBUF_INIT;
	size_t used;

	if (size && oxm_decode_match(data + 1, size - 1, data[0] & 2, &match, NULL)) {
		if (!of_match_check(&match, NULL)) {
			abort();
		}
		oxm_encode_match(&out, &match, 6);
		if (!oxm_decode_match((const uint8_t *)out.data, out.len, 0, &again, NULL) ||
			!of_match_equal(&match, &again)) {
			abort();
		}
	}
	(void)!oxm_pull_match(data, size, OXM_ANY_PREREQ, &match, &used, NULL);
	strbuf_uninit(&out);
	return 0;
}
