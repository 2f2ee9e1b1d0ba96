/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: lib. Text of datapath actions: what is accepted is valid, and printed and read back as the
 * same bytes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lib/dp_action.h"
#include "lib/error.h"
#include "lib/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct dp_actions list, again;
	struct strbuf s = STRBUF_INIT;

	dp_actions_init(&list);
	dp_actions_init(&again);
	if (dp_actions_parse((const char *)data, len, &list, &err)) {
		dp_actions_format(list.data, list.size, &s);
		if (!dp_actions_validate(list.data, list.size, NULL) ||
			!dp_actions_parse(s.data, s.len, &again, NULL) ||
			!dp_actions_equal(list.data, list.size, again.data, again.size)) {
			abort();
		}
	} else if (!weft_error_is_set(&err)) {
		abort();
	}
	strbuf_uninit(&s);
	dp_actions_uninit(&list);
	dp_actions_uninit(&again);
	return 0;
}
