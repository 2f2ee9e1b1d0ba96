/* SPDX-License-Identifier: Apache-2.0
 *
 * weft-agent: command line, signals, the loop.
 */
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller-agent/agent.h"
#include "lib/alloc.h"
#include "lib/daemon.h"
#include "lib/error.h"
#include "lib/log.h"

WEFT_LOG_MODULE(main);

#define DEFAULT_CONFIG "/etc/weft/weft.json"

static const char help[] =
	"Usage: weft-agent [OPTION]..\n"
	"Speaks OpenFlow to controllers and turns their rules into fast-path flows of weft-datapath.\n"
	"\n"
	"      --config FILE     configuration (" DEFAULT_CONFIG "); made at the first change\n"
	"      --state DIR       what survives a restart (RUNDIR/state)\n";

enum {
	OPT_CONFIG = 1,
	OPT_STATE,
};

static const struct option options[] = {
	{"config", required_argument, NULL, OPT_CONFIG},
	{"state", required_argument, NULL, OPT_STATE},
	DAEMON_OPTIONS,
	{NULL, 0, NULL, 0},
};

static void
stop(evutil_socket_t signal_number, short what, void *base)
{
	(void)what;
	LOG_INFO("signal %d: the agent ends, the datapath forwards on", (int)signal_number);
	event_base_loopbreak(base);
}

static void
reopen_log(evutil_socket_t signal_number, short what, void *daemon)
{
	struct weft_error err = WEFT_ERROR_INIT;
	const struct daemon *d = daemon;

	(void)signal_number;
	(void)what;
	if (d->log_file && !log_set_file(d->log_file, &err)) {
		LOG_ERR("%s", err.text);
	}
}

static int
fail(const struct daemon *d, const struct weft_error *err)
{
	fprintf(stderr, "%s: %s\n", d->program, err->text);
	return EXIT_FAILURE;
}

/* Runs until a signal ends it. */
static int
run(struct daemon *d, const struct agent_options *how)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct event_base *base = event_base_new();
	struct event *term = evsignal_new(base, SIGTERM, stop, base);
	struct event *intr = evsignal_new(base, SIGINT, stop, base);
	struct event *hup = evsignal_new(base, SIGHUP, reopen_log, d);
	struct agent *agent;

	/* Before there are sockets that answer: who sees one may end us. */
	event_add(term, NULL);
	event_add(intr, NULL);
	event_add(hup, NULL);
	agent = agent_create(base, how, &err);
	if (agent) {
		daemon_ready(d);
		event_base_dispatch(base);
		daemon_end(d);
		agent_destroy(agent);
	}
	event_free(term);
	event_free(intr);
	event_free(hup);
	event_base_free(base);
	return agent ? EXIT_SUCCESS : fail(d, &err);
}

int
main(int argc, char **argv)
{
	struct agent_options how = {
		.config_path = DEFAULT_CONFIG,
		.n_handlers = 1,
		.restore_wait_ms = AGENT_RESTORE_WAIT_MS,
		.quiet_ms = AGENT_QUIET_MS,
	};
	struct weft_error err = WEFT_ERROR_INIT;
	char *state_dir = NULL;
	struct daemon d;
	int option, status;

	daemon_init(&d, "weft-agent");
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == OPT_CONFIG) {
			how.config_path = optarg;
		} else if (option == OPT_STATE) {
			how.state_dir = optarg;
		} else if (!daemon_option(&d, option, optarg, help)) {
			return EXIT_FAILURE; /* getopt has said why */
		}
	}
	if (optind < argc) {
		daemon_usage_error(&d, "'%s' is one argument too many", argv[optind]);
	}
	signal(SIGPIPE, SIG_IGN);
	if (!daemon_start(&d, &err)) {
		daemon_end(&d);
		return fail(&d, &err);
	}
	how.rundir = d.rundir;
	how.group = d.group;
	if (!how.state_dir) {
		state_dir = xasprintf("%s/state", d.rundir);
		how.state_dir = state_dir;
	}
	status = run(&d, &how);
	daemon_end(&d);
	free(state_dir);
	return status;
}
