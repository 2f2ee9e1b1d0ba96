/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation of control structures: never NULL, aborts when memory is exhausted.
 *
 * Not for what a peer can enlarge without limit, and not for workers.
 */
#pragma once

#include <stddef.h>

#include "lib/compiler.h"

void *xmalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((alloc_size(2)));
/* Of @size bytes at a multiple of @alignment (a power of two); free() it. Zeroed. */
void *xaligned(size_t alignment, size_t size) __attribute__((malloc, alloc_size(2)));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t len) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *data, size_t size) __attribute__((malloc));
char *xasprintf(const char *format, ...) WEFT_PRINTF(1, 2);
