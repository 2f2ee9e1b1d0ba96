/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: what went wrong with something that came from outside.
 *
 * Use:   bool f(..., struct weft_error *err) returns false and fills @err, which may be NULL. The
 *        first error wins: a later weft_error_set() on a filled one changes nothing, so that
 *        unwinding needs no care. The text is one line without full stop: what failed, why, what
 *        to do.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

enum weft_error_domain {
	WEFT_ERR_NONE,
	WEFT_ERR_SYSTEM, /* code: a positive errno */
	WEFT_ERR_INVALID, /* input that cannot be right; code: 0, or an errno such as EINVAL, ERANGE */
	WEFT_ERR_CONFLICT, /* right, but not now: exists, busy, missing; code: an errno */
	WEFT_ERR_OPENFLOW, /* code: error type, subcode: error code of the OpenFlow specification */
	WEFT_ERR_RPC,      /* code: JSON-RPC 2.0 error code */
};

#define WEFT_ERROR_TEXT 400

struct weft_error {
	enum weft_error_domain domain; /* WEFT_ERR_NONE: nothing has gone wrong */
	int32_t code;
	int32_t subcode;
	size_t offset; /* of the offending byte in the input, if that is known */
	char text[WEFT_ERROR_TEXT];
};

#define WEFT_ERROR_INIT                                                                            \
	{                                                                                          \
		.domain = WEFT_ERR_NONE                                                            \
	}

static inline void
weft_error_init(struct weft_error *err)
{
	err->domain = WEFT_ERR_NONE;
	err->code = err->subcode = 0;
	err->offset = 0;
	err->text[0] = '\0';
}

static inline bool
weft_error_is_set(const struct weft_error *err)
{
	return err && err->domain != WEFT_ERR_NONE;
}

/* Fills @err (NULL: nothing) unless it is filled already. Always returns false, so that a function
 * can `return weft_error_set(...)`. */
bool weft_error_set(struct weft_error *err, enum weft_error_domain domain, int32_t code,
	const char *format, ...) WEFT_PRINTF(4, 5);

/* The same with a second code and the offset of the offending byte. */
bool weft_error_set_at(struct weft_error *err, enum weft_error_domain domain, int32_t code,
	int32_t subcode, size_t offset, const char *format, ...) WEFT_PRINTF(6, 7);

/* Puts "FORMAT: " before the text of a filled error. */
void weft_error_prefix(struct weft_error *err, const char *format, ...) WEFT_PRINTF(2, 3);

/* Copies a filled error over an empty one. */
void weft_error_move(struct weft_error *to, const struct weft_error *from);
