/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: lib. Datapath actions as bytes: what validation accepts can be printed, and is read back as
 * the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dp_action.h"
#include "lib/error.h"
#include "lib/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	uint8_t *copy = aligned_alloc(8, (len + 8) / 8 * 8);
	struct strbuf s = STRBUF_INIT;
	struct dp_actions again;

	dp_actions_init(&again);
	memcpy(copy, data, len);
	if (dp_actions_validate(copy, len, &err)) {
		dp_actions_format(copy, len, &s);
		if (!dp_actions_parse(s.data, s.len, &again, NULL) ||
			!dp_actions_equal(copy, len, again.data, again.size)) {
			abort();
		}
	} else if (!weft_error_is_set(&err)) {
		abort();
	}
	strbuf_uninit(&s);
	dp_actions_uninit(&again);
	free(copy);
	return 0;
}
