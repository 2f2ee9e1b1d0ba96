/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files: read with a limit, written atomically.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/compiler.h"

struct weft_error;

/* Reads all of @path, at most @max bytes, with a NUL behind. The caller frees it. NULL: see @err;
 * its code is ENOENT when there is no such file. */
char *file_read(const char *path, size_t max, size_t *size, struct weft_error *err);

/* Writes @path so that a reader, or a crash, sees the old content or the new, never a part: a
 * temporary file beside it, fsync, rename, fsync of the directory. Mode 0640 unless it exists. */
bool file_write_atomically(
	const char *path, const void *data, size_t size, struct weft_error *err) WEFT_MUST_CHECK;
