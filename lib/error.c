/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: filling them.
 */
#include "lib/error.h"

#include <stdio.h>
#include <string.h>

static void
fill(struct weft_error *err, enum weft_error_domain domain, int32_t code, int32_t subcode,
	size_t offset, const char *format, va_list args)
{
	if (!err || err->domain != WEFT_ERR_NONE) {
		return;
	}
	err->domain = domain;
	err->code = code;
	err->subcode = subcode;
	err->offset = offset;
	vsnprintf(err->text, sizeof err->text, format, args);
}

bool
weft_error_set(struct weft_error *err, enum weft_error_domain domain, int32_t code,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(err, domain, code, 0, 0, format, args);
	va_end(args);
	return false;
}

bool
weft_error_set_at(struct weft_error *err, enum weft_error_domain domain, int32_t code,
	int32_t subcode, size_t offset, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(err, domain, code, subcode, offset, format, args);
	va_end(args);
	return false;
}

void
weft_error_prefix(struct weft_error *err, const char *format, ...)
{
	char text[2 * WEFT_ERROR_TEXT + 2];
	va_list args;
	size_t len;

	if (!weft_error_is_set(err)) {
		return;
	}
	va_start(args, format);
	vsnprintf(text, WEFT_ERROR_TEXT, format, args);
	va_end(args);
	len = strlen(text);
	snprintf(text + len, sizeof text - len, ": %s", err->text);
	snprintf(err->text, sizeof err->text, "%.*s", (int)sizeof err->text - 1, text);
}

void
weft_error_move(struct weft_error *to, const struct weft_error *from)
{
	if (to && to->domain == WEFT_ERR_NONE) {
		*to = *from;
	}
}
