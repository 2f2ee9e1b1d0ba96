/* SPDX-License-Identifier: Apache-2.0
 *
 * What both daemons do alike.
 */
#include "lib/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/log.h"
#include "lib/unix_socket.h"

const char daemon_options_help[] =
	"  --rundir DIR                 sockets and state (/run/weft, or WEFT_RUNDIR)\n"
	"  --group G                    group of the sockets\n"
	"  --log-level [MODULE:]LEVEL   off, err, warn, info or dbg; repeatable (info)\n"
	"  --log-file F                 append to F rather than standard error\n"
	"  --pidfile F                  hold F, locked, with the process id\n"
	"  --detach                     go to the background; return when ready\n"
	"  --version\n"
	"  --help\n";

void
daemon_init(struct daemon *d, const char *program)
{
	const char *rundir = getenv("WEFT_RUNDIR");

	*d = (struct daemon){
		.program = program,
		.rundir = rundir && *rundir ? rundir : DAEMON_DEFAULT_RUNDIR,
		.ready_fd = -1,
		.pidfile_fd = -1,
	};
}

bool
daemon_option(struct daemon *d, int value, const char *argument, const char *help)
{
	struct weft_error err = WEFT_ERROR_INIT;

	switch (value) {
	case DAEMON_OPT_RUNDIR:
		d->rundir = argument;
		break;
	case DAEMON_OPT_GROUP:
		d->group = argument;
		break;
	case DAEMON_OPT_LOG_LEVEL:
		if (!log_set_level(argument, &err)) {
			daemon_usage_error(d, "%s", err.text);
		}
		break;
	case DAEMON_OPT_LOG_FILE:
		d->log_file = argument;
		break;
	case DAEMON_OPT_PIDFILE:
		d->pidfile = argument;
		break;
	case DAEMON_OPT_DETACH:
		d->detach = true;
		break;
	case DAEMON_OPT_VERSION:
		printf("%s %s\n", d->program, WEFT_VERSION);
		exit(EXIT_SUCCESS);
	case DAEMON_OPT_HELP:
		printf("%s%s", help, daemon_options_help);
		exit(EXIT_SUCCESS);
	default:
		return false;
	}
	return true;
}

void
daemon_usage_error(const struct daemon *d, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", d->program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see %s --help\n", d->program);
	exit(EXIT_FAILURE);
}

static bool
lock_pidfile(struct daemon *d, struct weft_error *err)
{
	d->pidfile_fd = open(d->pidfile, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (d->pidfile_fd < 0) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno, "cannot write pid file %s: %s",
			d->pidfile, strerror(errno));
	}
	/* A lock of the open file, so that the child keeps it when the parent ends. */
	if (flock(d->pidfile_fd, LOCK_EX | LOCK_NB) < 0) {
		close(d->pidfile_fd);
		d->pidfile_fd = -1; /* another's: not to be removed by us */
		return weft_error_set(err, WEFT_ERR_CONFLICT, EEXIST,
			"%s runs already: pid file %s is locked; stop it first", d->program,
			d->pidfile);
	}
	return true;
}

/* The parent of --detach: waits for the child's word, and ends. */
static void
await_child(int ready_fd, pid_t child)
{
	char word;
	ssize_t n;

	do {
		n = read(ready_fd, &word, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1) {
		_exit(EXIT_SUCCESS);
	}
	waitpid(child, NULL, 0);
	_exit(EXIT_FAILURE);
}

static bool
detach(struct daemon *d, struct weft_error *err)
{
	int ends[2], null;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0 || (child = fork()) < 0) {
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
			"cannot go to the background: %s", strerror(errno));
	}
	if (child > 0) {
		close(ends[1]);
		await_child(ends[0], child);
	}
	close(ends[0]);
	d->ready_fd = ends[1];
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
	}
	return true;
}

bool
daemon_start(struct daemon *d, struct weft_error *err)
{
	return make_directories(d->rundir, err) &&
	       (!d->log_file || log_set_file(d->log_file, err)) &&
	       (!d->pidfile || lock_pidfile(d, err)) && (!d->detach || detach(d, err));
}

void
daemon_ready(struct daemon *d)
{
	if (d->pidfile_fd >= 0) {
		char text[32];
		int len = snprintf(text, sizeof text, "%d\n", (int)getpid());

		if (ftruncate(d->pidfile_fd, 0) < 0 ||
			pwrite(d->pidfile_fd, text, (size_t)len, 0) != len) {
			fprintf(stderr, "%s: cannot write pid file %s: %s\n", d->program,
				d->pidfile, strerror(errno));
		}
	}
	if (d->ready_fd >= 0) {
		/* From here on messages go to the log file, or nowhere. */
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (write(d->ready_fd, "r", 1) != 1) {
			/* The parent is gone; nobody waits. */
		}
		close(d->ready_fd);
		d->ready_fd = -1;
		if (null >= 0) {
			dup2(null, STDERR_FILENO);
			close(null);
		}
	}
	daemon_notify("READY=1");
}

void
daemon_end(struct daemon *d)
{
	daemon_notify("STOPPING=1");
	if (d->pidfile_fd >= 0) {
		unlink(d->pidfile);
		close(d->pidfile_fd);
		d->pidfile_fd = -1;
	}
}

void
daemon_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof address.sun_path) {
		return;
	}
	memcpy(address.sun_path, path, len);
	if (path[0] == '@') {
		address.sun_path[0] = '\0';
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
		close(fd);
	}
}
