/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files.
 */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"

char *
file_read(const char *path, size_t max, size_t *size, struct weft_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t capacity = 4096, len = 0;
	char *data;
	ssize_t n;

	if (fd < 0) {
		weft_error_set(
			err, WEFT_ERR_SYSTEM, errno, "cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	data = xmalloc(capacity + 1);
	while ((n = read(fd, data + len, capacity - len)) != 0) {
		if (n < 0 && errno != EINTR) {
			weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot read %s: %s", path,
				strerror(errno));
			break;
		}
		len += n > 0 ? (size_t)n : 0;
		if (len > max) {
			weft_error_set(err, WEFT_ERR_INVALID, EFBIG, "%s is longer than %zu bytes",
				path, max);
			n = -1;
			break;
		}
		if (len == capacity) {
			capacity *= 2;
			data = xrealloc(data, capacity + 1);
		}
	}
	close(fd);
	if (n < 0) {
		free(data);
		return NULL;
	}
	data[len] = '\0';
	*size = len;
	return data;
}

static int
sync_directory_of(const char *path)
{
	char *copy = xstrdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	free(copy);
	if (fd < 0 || fsync(fd) < 0) {
		rc = -errno;
	}
	if (fd >= 0) {
		close(fd);
	}
	return rc;
}

static int
write_all(int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		data += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

bool
file_write_atomically(const char *path, const void *data, size_t size, struct weft_error *err)
{
	char *temporary = xasprintf("%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC), rc;
	struct stat status;

	if (fd < 0) {
		rc = -errno;
		goto fail;
	}
	if (stat(path, &status) == 0) {
		rc = fchmod(fd, status.st_mode & 07777) < 0 ? -errno : 0;
		if (!rc && fchown(fd, status.st_uid, status.st_gid) < 0 && errno != EPERM) {
			rc = -errno;
		}
	} else {
		rc = fchmod(fd, 0640) < 0 ? -errno : 0;
	}
	rc = rc ? rc : write_all(fd, data, size);
	if (!rc && fsync(fd) < 0) {
		rc = -errno;
	}
	close(fd);
	if (!rc && rename(temporary, path) < 0) {
		rc = -errno;
	}
	if (rc) {
		unlink(temporary);
		goto fail;
	}
	rc = sync_directory_of(path);
	if (rc) {
		goto fail;
	}
	free(temporary);
	return true;

fail:
	free(temporary);
	return weft_error_set(
		err, WEFT_ERR_SYSTEM, -rc, "cannot write %s: %s", path, strerror(-rc));
}
