/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines and messages of JSON-RPC, shared by the peers on libevent, the blocking client and tests.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct weft_error;

/* Input that is taken apart at newlines. */
struct rpc_line_buffer {
	char *data;
	size_t start, scanned, size, capacity; /* size: bytes from start on */
};

void rpc_line_buffer_uninit(struct rpc_line_buffer *b);
/* Room for @n bytes behind what is there, and what was put there. */
char *rpc_line_buffer_room(struct rpc_line_buffer *b, size_t n);
void rpc_line_buffer_added(struct rpc_line_buffer *b, size_t n);
/* The next whole line without its newline, or NULL. Valid until the next room(). */
const char *rpc_line_buffer_next(struct rpc_line_buffer *b, size_t *len);

struct rpc_message {
	json_t *root;
	const char *method; /* of a request or notification; NULL: a response */
	json_t *params;     /* an object, or NULL */
	json_t *id;         /* NULL: notification */
	json_t *result;
	bool error;
	int error_code;
	const char *error_text;
};

/* Parts are borrowed from root. On failure @err has a JSON-RPC code. */
bool rpc_message_parse(const char *line, size_t len, struct rpc_message *m, struct weft_error *err);
void rpc_message_uninit(struct rpc_message *m);
