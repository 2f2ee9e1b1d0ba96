/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: lib. JSON-RPC: bytes in pieces, taken apart at newlines, each line checked. The first byte
 * says how long the pieces are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/jsonrpc.h"
#include "lib/jsonrpc_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_line(const char *line, size_t len)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct rpc_message m;

	if (!rpc_message_parse(line, len, &m, &err)) {
		if (err.domain != WEFT_ERR_RPC || !err.text[0]) {
			abort(); /* a refusal has a code and says why */
		}
		return;
	}
	if (!m.method && !m.error && !m.result) {
		abort();
	}
	rpc_message_uninit(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rpc_line_buffer b = {0};
	size_t piece = len ? 1u + data[0] : 1, at = 1, line_len;
	const char *line;

	while (at < len) {
		size_t n = piece < len - at ? piece : len - at;

		memcpy(rpc_line_buffer_room(&b, n), data + at, n);
		rpc_line_buffer_added(&b, n);
		at += n;
		while ((line = rpc_line_buffer_next(&b, &line_len))) {
			check_line(line, line_len);
		}
	}
	rpc_line_buffer_uninit(&b);
	return 0;
}
