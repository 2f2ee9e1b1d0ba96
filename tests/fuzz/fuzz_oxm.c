/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz: OXM matches. What decodes is encoded, and decodes again to the same. Room: ofproto
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/strbuf.h"
#include "ofproto/of_match.h"
#include "ofproto/of_tlv.h"
#include "ofproto/oxm.h"

/* tun_metadata0 and 1 of 4 and 52 bytes, 2 without data. */
static struct of_tlv_map *
tlvs(void)
{
	static const struct of_tlv fields[] = {
		{0x102, 1, 4, 0, 0, 1, 0},
		{0x102, 2, 52, 4, 1, 1, 0},
		{0x102, 3, 0, 0, 2, 1, 0},
	};
	static struct of_tlv_map map;

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		uint64_t word;

		memcpy(&word, &fields[i], sizeof word);
		atomic_store(&map.fields[i], word);
	}
	return &map;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct of_match match, again;
	struct strbuf out = STRBUF_INIT;
	size_t used;

	if (size && oxm_decode_match(data + 1, size - 1, data[0] & 2, tlvs(), &match, NULL)) {
		if (!of_match_check(&match, NULL)) {
			abort();
		}
		oxm_encode_match(&out, &match, 6, tlvs());
		if (!oxm_decode_match(
			    (const uint8_t *)out.data, out.len, 0, tlvs(), &again, NULL) ||
			!of_match_equal(&match, &again)) {
			abort();
		}
	}
	(void)!oxm_pull_match(data, size, OXM_ANY_PREREQ, tlvs(), &match, &used, NULL);
	strbuf_uninit(&out);
	return 0;
}
