/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation that does not fail.
 */
#include "lib/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
check(void *p, size_t size)
{
	if (!p && size) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
xmalloc(size_t size)
{
	return check(malloc(size ? size : 1), 1);
}

void *
xcalloc(size_t n, size_t size)
{
	return check(calloc(n ? n : 1, size ? size : 1), 1);
}

void *
xrealloc(void *p, size_t size)
{
	return check(realloc(p, size ? size : 1), 1);
}

void *
xaligned(size_t alignment, size_t size)
{
	size_t rounded = (size + alignment - 1) & ~(alignment - 1);
	void *p = check(aligned_alloc(alignment, rounded ? rounded : alignment), 1);

	memset(p, 0, rounded);
	return p;
}

char *
xstrdup(const char *text)
{
	return check(strdup(text), 1);
}

char *
xstrndup(const char *text, size_t len)
{
	return check(strndup(text, len), 1);
}

void *
xmemdup(const void *data, size_t size)
{
	void *p = xmalloc(size);

	if (size) {
		memcpy(p, data, size);
	}
	return p;
}

char *
xasprintf(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0) {
		check(NULL, 1);
	}
	return text;
}
