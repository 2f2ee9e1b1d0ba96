/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing text.
 */
#include "lib/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

/* Makes room for @more characters and the NUL. */
static void
reserve(struct strbuf *s, size_t more)
{
	size_t need = s->len + more + 1;

	if (need > s->capacity) {
		s->capacity = need > 2 * s->capacity ? need : 2 * s->capacity;
		s->capacity = s->capacity < 64 ? 64 : s->capacity;
		s->data = xrealloc(s->data, s->capacity);
	}
}

void
strbuf_init(struct strbuf *s)
{
	*s = (struct strbuf)STRBUF_INIT;
}

void
strbuf_uninit(struct strbuf *s)
{
	free(s->data);
	strbuf_init(s);
}

void
strbuf_clear(struct strbuf *s)
{
	strbuf_truncate(s, 0);
}

void
strbuf_put(struct strbuf *s, const char *text)
{
	strbuf_put_bytes(s, text, strlen(text));
}

void
strbuf_put_char(struct strbuf *s, char c)
{
	strbuf_put_bytes(s, &c, 1);
}

void
strbuf_put_bytes(struct strbuf *s, const void *data, size_t size)
{
	reserve(s, size);
	if (size) {
		memcpy(s->data + s->len, data, size);
	}
	s->len += size;
	s->data[s->len] = '\0';
}

void
strbuf_printf(struct strbuf *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	strbuf_vprintf(s, format, args);
	va_end(args);
}

void
strbuf_vprintf(struct strbuf *s, const char *format, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	if (len > 0) {
		reserve(s, (size_t)len);
		vsnprintf(s->data + s->len, (size_t)len + 1, format, again);
		s->len += (size_t)len;
	}
	va_end(again);
}

void
strbuf_truncate(struct strbuf *s, size_t len)
{
	if (s->data && len <= s->len) {
		s->len = len;
		s->data[len] = '\0';
	}
}

void
strbuf_chomp(struct strbuf *s, const char *suffix)
{
	size_t len = strlen(suffix);

	if (len && s->len >= len && !memcmp(s->data + s->len - len, suffix, len)) {
		strbuf_truncate(s, s->len - len);
	}
}

const char *
strbuf_text(const struct strbuf *s)
{
	return s->data ? s->data : "";
}

char *
strbuf_take(struct strbuf *s)
{
	char *text = s->data ? s->data : xstrdup("");

	strbuf_init(s);
	return text;
}
