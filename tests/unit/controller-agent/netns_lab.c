/* SPDX-License-Identifier: Apache-2.0
 *
 * A network namespace of the test's own.
 */
#include "tests/unit/controller-agent/netns_lab.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0) {
		close(fd);
	}
	return ok;
}

static bool
unshare_as_user(void)
{
	char map[2][64];

	snprintf(map[0], sizeof(map[0]), "0 %u 1", getuid());
	snprintf(map[1], sizeof(map[1]), "0 %u 1", getgid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
	       write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", map[0]) && write_file("/proc/self/gid_map", map[1]);
}

bool
netns_enter(void)
{
	if (unshare(CLONE_NEWNET) && !unshare_as_user()) {
		return false;
	}
	netns_run("ip link set lo up");
	return true;
}

static void
run(const char *format, va_list args)
{
	char text[4096];

	vsnprintf(text, sizeof(text), format, args);
	if (system(text) != 0) {
		fail_msg("%s", text);
	}
}

void
netns_run(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	run(format, args);
	va_end(args);
}

pid_t
netns_peer(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "", 1) == 1) {
			pause();
		}
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	netns_run_in(pid, "ip link set lo up");
	return pid;
}

void
netns_run_in(pid_t peer, const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	netns_run("nsenter -t %d -n sh -c '%s'", (int)peer, text);
}

void
netns_peer_end(pid_t peer)
{
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
}
