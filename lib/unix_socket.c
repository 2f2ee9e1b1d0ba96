/* SPDX-License-Identifier: Apache-2.0
 *
 * Unix stream sockets.
 */
#include "lib/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/error.h"

static bool
fill_address(const char *path, struct sockaddr_un *address, struct weft_error *err)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address->sun_path) {
		return weft_error_set(err, WEFT_ERR_INVALID, ENAMETOOLONG,
			"socket path %s is longer than %zu characters; choose a shorter directory",
			path, sizeof address->sun_path - 1);
	}
	strcpy(address->sun_path, path);
	return true;
}

bool
unix_take_over(const char *path, struct weft_error *err)
{
	struct sockaddr_un address;
	struct stat status;
	int fd, rc;

	if (!fill_address(path, &address, err)) {
		return false;
	}
	if (lstat(path, &status) < 0) {
		if (errno == ENOENT) {
			return true;
		}
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot look at %s: %s", path,
			strerror(errno));
	}
	if (!S_ISSOCK(status.st_mode)) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
			"%s is there and is not a socket; remove it or choose another path", path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return weft_error_set(
			err, WEFT_ERR_SYSTEM, errno, "cannot make a socket: %s", strerror(errno));
	}
	rc = connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? errno : 0;
	close(fd);
	if (rc == EACCES || rc == EPERM) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, rc,
			"no permission for socket %s, which is there already; use another path, user or group",
			path);
	}
	if (rc != ECONNREFUSED && rc != ENOENT) {
		return weft_error_set(err, WEFT_ERR_CONFLICT, EADDRINUSE,
			"somebody listens on %s; stop it or choose another path", path);
	}
	if (rc == ECONNREFUSED && unlink(path) < 0 && errno != ENOENT) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
			"cannot remove the stale socket %s: %s", path, strerror(errno));
	}
	return true;
}

static bool
find_user(const char *name, uid_t *uid, struct weft_error *err)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	struct passwd *entry = getpwnam(name);

	if (entry) {
		*uid = entry->pw_uid;
	} else if (end != name && !*end) {
		*uid = (uid_t)number;
	} else {
		return weft_error_set(
			err, WEFT_ERR_INVALID, ENOENT, "no user \"%s\" on this machine", name);
	}
	return true;
}

static bool
find_group(const char *name, gid_t *gid, struct weft_error *err)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	struct group *entry = getgrnam(name);

	if (entry) {
		*gid = entry->gr_gid;
	} else if (end != name && !*end) {
		*gid = (gid_t)number;
	} else {
		return weft_error_set(
			err, WEFT_ERR_INVALID, ENOENT, "no group \"%s\" on this machine", name);
	}
	return true;
}

bool
unix_set_access(
	const char *path, const char *owner, const char *group, int mode, struct weft_error *err)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if ((owner && !find_user(owner, &uid, err)) || (group && !find_group(group, &gid, err))) {
		return false;
	}
	if ((owner || group) && chown(path, uid, gid) < 0) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot give %s to %s:%s: %s",
			path, owner ? owner : "", group ? group : "", strerror(errno));
	}
	if (mode >= 0 && chmod(path, (mode_t)mode) < 0) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot set mode %03o on %s: %s",
			(unsigned)mode, path, strerror(errno));
	}
	return true;
}

int
unix_listen(const char *path, const char *group, struct weft_error *err)
{
	struct sockaddr_un address;
	int fd;

	if (!fill_address(path, &address, err) || !unix_take_over(path, err)) {
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot make socket %s: %s", path,
			strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return -1;
	}
	if (!unix_set_access(path, NULL, group, 0660, err)) {
		goto unlink_path;
	}
	if (listen(fd, 64) < 0) {
		weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot listen on %s: %s", path,
			strerror(errno));
		goto unlink_path;
	}
	return fd;

unlink_path:
	unlink(path);
	close(fd);
	return -1;
}

int
unix_connect(const char *path, const char *what, struct weft_error *err)
{
	struct sockaddr_un address;
	int fd, rc;

	if (!fill_address(path, &address, err)) {
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		weft_error_set(
			err, WEFT_ERR_SYSTEM, errno, "cannot make a socket: %s", strerror(errno));
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
		return fd;
	}
	rc = errno;
	close(fd);
	if (rc == ENOENT || rc == ECONNREFUSED) {
		weft_error_set(err, WEFT_ERR_SYSTEM, rc,
			"%s does not run: nobody listens on %s; start it, "
			"or name its run directory with --rundir",
			what, path);
	} else {
		weft_error_set(err, WEFT_ERR_SYSTEM, rc, "cannot reach %s on %s: %s", what, path,
			strerror(rc));
	}
	return -1;
}

pid_t
unix_peer_pid(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? 0 : peer.pid;
}

ssize_t
unix_send_fds(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(UNIX_MAX_FDS * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (n_fds > UNIX_MAX_FDS) {
		errno = EINVAL;
		return -1;
	}
	if (n_fds) {
		struct cmsghdr *header = &control.align;

		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		memset(&control, 0, message.msg_controllen);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(header), fds, n_fds * sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

ssize_t
unix_recv_fds(int fd, void *data, size_t size, int *fds, size_t *n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(UNIX_MAX_FDS * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = data, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	size_t room = *n_fds;
	ssize_t n;

	*n_fds = 0;
	n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (n < 0) {
		return n;
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int received;

			memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof received);
			if (*n_fds < room) {
				fds[(*n_fds)++] = received;
			} else {
				close(received);
			}
		}
	}
	return n;
}

bool
make_directories(const char *path, struct weft_error *err)
{
	char partial[4096];
	size_t len = strlen(path);

	if (len >= sizeof partial) {
		return weft_error_set(
			err, WEFT_ERR_INVALID, ENAMETOOLONG, "path %s is too long", path);
	}
	memcpy(partial, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (partial[i] != '/' && partial[i] != '\0') {
			continue;
		}
		partial[i] = '\0';
		if (mkdir(partial, 0755) < 0 && errno != EEXIST) {
			return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
				"cannot make directory %s: %s", partial, strerror(errno));
		}
		partial[i] = path[i];
	}
	return true;
}
