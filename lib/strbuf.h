/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing text.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "lib/compiler.h"

struct strbuf {
	char *data; /* ends with NUL; NULL while nothing was put */
	size_t len; /* without the NUL */
	size_t capacity;
};

#define STRBUF_INIT                                                                                \
	{                                                                                          \
		.data = NULL                                                                       \
	}

void strbuf_init(struct strbuf *s);
void strbuf_uninit(struct strbuf *s);
void strbuf_clear(struct strbuf *s);
void strbuf_put(struct strbuf *s, const char *text);
void strbuf_put_char(struct strbuf *s, char c);
void strbuf_put_bytes(struct strbuf *s, const void *data, size_t size);
void strbuf_printf(struct strbuf *s, const char *format, ...) WEFT_PRINTF(2, 3);
void strbuf_vprintf(struct strbuf *s, const char *format, va_list args) WEFT_PRINTF(2, 0);
/* Shortens to @len characters. */
void strbuf_truncate(struct strbuf *s, size_t len);
/* Takes off @suffix if the text ends with it. */
void strbuf_chomp(struct strbuf *s, const char *suffix);
/* The text, never NULL; borrowed until the next change. */
const char *strbuf_text(const struct strbuf *s);
/* The text as the caller's own (free() it); the buffer is empty then. */
char *strbuf_take(struct strbuf *s);
