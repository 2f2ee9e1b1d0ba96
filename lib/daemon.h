/* SPDX-License-Identifier: Apache-2.0
 *
 * What both daemons do alike: common options, going to the background, pid file, readiness.
 *
 * Options: --rundir DIR --group G --log-level [MODULE:]LEVEL --log-file F --pidfile F --detach
 *          --version --help. A daemon puts DAEMON_OPTIONS into its getopt_long() table and hands
 *          what getopt returns to daemon_option().
 * Order:   daemon_start() before threads are made (it forks with --detach), daemon_ready() when
 *          the sockets serve: the waiting parent exits with 0 and systemd is told; when the child
 *          ends before, the parent exits with 1.
 */
#pragma once

#include <getopt.h>
#include <stdbool.h>

#include "lib/compiler.h"

struct weft_error;

#define DAEMON_DEFAULT_RUNDIR "/run/weft"

struct daemon {
	const char *program; /* "weft-agent" */
	const char *rundir;  /* WEFT_RUNDIR or /run/weft unless --rundir */
	const char *group;   /* of sockets; NULL: leave */
	const char *log_file;
	const char *pidfile;
	bool detach;
	/* private */
	int ready_fd; /* -1: nobody waits */
	int pidfile_fd;
};

/* Values of getopt_long() for the common options; beyond any character. */
enum daemon_option_value {
	DAEMON_OPT_RUNDIR = 0x1000,
	DAEMON_OPT_GROUP,
	DAEMON_OPT_LOG_LEVEL,
	DAEMON_OPT_LOG_FILE,
	DAEMON_OPT_PIDFILE,
	DAEMON_OPT_DETACH,
	DAEMON_OPT_VERSION,
	DAEMON_OPT_HELP,
};

#define DAEMON_OPTIONS                                                                             \
	{"rundir", required_argument, NULL, DAEMON_OPT_RUNDIR},                                    \
		{"group", required_argument, NULL, DAEMON_OPT_GROUP},                              \
		{"log-level", required_argument, NULL, DAEMON_OPT_LOG_LEVEL},                      \
		{"log-file", required_argument, NULL, DAEMON_OPT_LOG_FILE},                        \
		{"pidfile", required_argument, NULL, DAEMON_OPT_PIDFILE},                          \
		{"detach", no_argument, NULL, DAEMON_OPT_DETACH},                                  \
		{"version", no_argument, NULL, DAEMON_OPT_VERSION},                                \
	{                                                                                          \
		"help", no_argument, NULL, DAEMON_OPT_HELP                                         \
	}

/* Help text of the common options. */
extern const char daemon_options_help[];

void daemon_init(struct daemon *d, const char *program);

/* Handles one value of getopt_long(): false when it is no common option. --version and --help
 * (@help: the daemon's own text, printed before the common options) exit with 0, bad values with 1. */
bool daemon_option(struct daemon *d, int value, const char *argument, const char *help);

/* Prints "PROGRAM: TEXT; see PROGRAM --help" and exits with 1. */
void daemon_usage_error(const struct daemon *d, const char *format, ...)
	WEFT_PRINTF(2, 3) WEFT_NORETURN;

/* Makes the run directory, opens the log file, locks the pid file, goes to the background. */
bool daemon_start(struct daemon *d, struct weft_error *err) WEFT_MUST_CHECK;

/* Serving now: writes the pid file, lets the parent of --detach end, tells systemd READY=1. */
void daemon_ready(struct daemon *d);

/* Tells systemd STOPPING=1 and removes the pid file. Also after a start that failed. */
void daemon_end(struct daemon *d);

/* Sends @state to the socket in NOTIFY_SOCKET, if there is one (sd_notify(3)). */
void daemon_notify(const char *state);
