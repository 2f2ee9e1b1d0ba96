/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines and messages of JSON-RPC 2.0 (jsonrpc.org/specification).
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/jsonrpc.h"
#include "lib/jsonrpc_internal.h"

void
rpc_line_buffer_uninit(struct rpc_line_buffer *b)
{
	free(b->data);
	*b = (struct rpc_line_buffer){0};
}

char *
rpc_line_buffer_room(struct rpc_line_buffer *b, size_t n)
{
	if (b->start + b->size + n > b->capacity) {
		if (b->start) {
			memmove(b->data, b->data + b->start, b->size);
			b->start = 0;
		}
		if (b->size + n > b->capacity) {
			b->capacity = b->size + n > 2 * b->capacity ? b->size + n : 2 * b->capacity;
			b->data = xrealloc(b->data, b->capacity);
		}
	}
	return b->data + b->start + b->size;
}

void
rpc_line_buffer_added(struct rpc_line_buffer *b, size_t n)
{
	b->size += n;
}

const char *
rpc_line_buffer_next(struct rpc_line_buffer *b, size_t *len)
{
	char *line, *end;

	if (b->scanned >= b->size) {
		return NULL;
	}
	line = b->data + b->start;
	end = memchr(line + b->scanned, '\n', b->size - b->scanned);
	if (!end) {
		b->scanned = b->size;
		return NULL;
	}
	*len = (size_t)(end - line);
	b->start += *len + 1;
	b->size -= *len + 1;
	b->scanned = 0;
	return line;
}

static bool
take_error(struct rpc_message *m, json_t *error, struct weft_error *err)
{
	json_t *code = json_object_get(error, "code");

	m->error = true;
	m->error_text = json_string_value(json_object_get(error, "message"));
	if (!json_is_integer(code) || !m->error_text) {
		return weft_error_set(err, WEFT_ERR_RPC, RPC_INVALID_REQUEST,
			"an error without code and message");
	}
	m->error_code = (int)json_integer_value(code);
	return true;
}

bool
rpc_message_parse(const char *line, size_t len, struct rpc_message *m, struct weft_error *err)
{
	json_error_t where;
	json_t *method, *error;

	*m = (struct rpc_message){0};
	m->root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	if (!m->root) {
		return weft_error_set_at(err, WEFT_ERR_RPC, RPC_PARSE_ERROR, 0,
			where.position > 0 ? (size_t)where.position : 0, "not a line of JSON: %s",
			where.text);
	}
	if (!json_is_object(m->root)) {
		weft_error_set(err, WEFT_ERR_RPC, RPC_INVALID_REQUEST, "not a JSON-RPC object");
		goto refuse;
	}
	m->id = json_object_get(m->root, "id");
	if (m->id && !json_is_integer(m->id) && !json_is_string(m->id) && !json_is_null(m->id)) {
		weft_error_set(err, WEFT_ERR_RPC, RPC_INVALID_REQUEST, "id is no number or string");
		goto refuse;
	}
	method = json_object_get(m->root, "method");
	m->params = json_object_get(m->root, "params");
	m->result = json_object_get(m->root, "result");
	error = json_object_get(m->root, "error");
	if (method) {
		m->method = json_string_value(method);
		if (!m->method || (m->params && !json_is_object(m->params))) {
			weft_error_set(err, WEFT_ERR_RPC, RPC_INVALID_REQUEST,
				"method must be a string and params an object");
			goto refuse;
		}
	} else if (error && !json_is_null(error)) {
		if (!take_error(m, error, err)) {
			goto refuse;
		}
	} else if (!m->result || !m->id) {
		weft_error_set(
			err, WEFT_ERR_RPC, RPC_INVALID_REQUEST, "neither a request nor a response");
		goto refuse;
	}
	return true;

refuse:
	rpc_message_uninit(m);
	return false;
}

void
rpc_message_uninit(struct rpc_message *m)
{
	json_decref(m->root);
	*m = (struct rpc_message){0};
}

bool
rpc_message_check(const char *line, size_t len, struct weft_error *err)
{
	struct rpc_message m;

	if (!rpc_message_parse(line, len, &m, err)) {
		return false;
	}
	rpc_message_uninit(&m);
	return true;
}
