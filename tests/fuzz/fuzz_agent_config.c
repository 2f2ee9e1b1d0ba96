/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: controller-agent. Configuration file: whatever is accepted is written and read back as the
 * same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/config.h"
#include "lib/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct weft_error err = {0};
	struct config *c = config_parse((const char *)data, len, &err), *again;
	char *text, *same;

	if (!c) {
		if (!err.text[0]) {
			abort(); /* a refusal says why */
		}
		return 0;
	}
	text = config_format(c);
	again = config_parse(text, strlen(text), &err);
	if (!again) {
		abort();
	}
	same = config_format(again);
	if (strcmp(text, same) != 0) {
		abort();
	}
	free(text);
	free(same);
	config_destroy(again);
	config_destroy(c);
	return 0;
}
