/* SPDX-License-Identifier: Apache-2.0
 *
 * The tool's way: global options, one call, its result.
 */
#include "utilities/weft/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/daemon.h"
#include "lib/error.h"
#include "lib/jsonrpc.h"

#define TIMEOUT_MS 120000

static void
print_help(const char *object, FILE *out)
{
	if (!object) {
		fputs("Usage: weft [--rundir DIR] [--json] OBJECT VERB [ARGUMENT..]\n"
		      "Talks to the Weft that runs in DIR (/run/weft, or WEFT_RUNDIR).\n\n"
		      "  --rundir DIR  run directory of the daemons\n"
		      "  --json        print for programs; also at the end\n"
		      "  --version\n"
		      "  --help        also behind an object\n\nCommands:\n",
			out);
	}
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];

		if (!object || !strcmp(object, c->object)) {
			fprintf(out, "  weft %s%s%s %s\n        %s\n", c->object, c->verb ? " " : "",
				c->verb ? c->verb : "", c->usage, c->help);
		}
	}
}

/* Whether help is asked for, and of what. */
static bool
wants_help(int argc, char *const *argv, const char **object)
{
	*object = NULL;
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") || (!i && !strcmp(argv[i], "help"))) {
			*object = i && argv[0][0] != '-' ? argv[0] : NULL;
			return true;
		}
	}
	return false;
}

/* Options before the object. Returns how many words they are, or -1. */
static int
take_global(int argc, char *const *argv, struct cli_options *o, FILE *out, struct weft_error *err)
{
	int i;

	for (i = 0; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--json")) {
			o->json = true;
		} else if (!strcmp(argv[i], "--version")) {
			fprintf(out, "weft %s\n", WEFT_VERSION);
			return 0;
		} else if (!strcmp(argv[i], "--rundir") && i + 1 < argc) {
			o->rundir = argv[++i];
		} else if (!strncmp(argv[i], "--rundir=", 9)) {
			o->rundir = argv[i] + 9;
		} else {
			weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "unknown option %s; see weft --help",
				argv[i]);
			return -1;
		}
	}
	return i;
}

/* All pages of a listing, as one array. */
static json_t *
call_pages(struct rpc_client *client, const struct cli_request *request, struct weft_error *err)
{
	json_t *all = json_array(), *next = NULL;

	do {
		json_t *params = json_deep_copy(request->params), *page;

		if (next) {
			json_object_set_new(params, "from", next);
		}
		page = rpc_client_call(client, request->command->method, params, TIMEOUT_MS, err);
		if (!page) {
			json_decref(all);
			return NULL;
		}
		json_array_extend(all, json_object_get(page, request->command->pages));
		next = json_incref(json_object_get(page, "next"));
		json_decref(page);
	} while (next && !json_is_null(next));
	json_decref(next);
	return all;
}

static json_t *
call(const struct cli_options *o, const struct cli_request *request, struct weft_error *err)
{
	bool agent = request->command->socket == CLI_AGENT;
	char *path = xasprintf("%s/%s", o->rundir, agent ? "agent.sock" : "datapath.sock");
	struct rpc_client *client = rpc_client_open(path, agent ? "weft-agent" : "weft-datapath", err);
	json_t *result = NULL;

	free(path);
	if (client) {
		result = request->command->pages
			? call_pages(client, request, err)
			: rpc_client_call(client, request->command->method, json_incref(request->params),
				  TIMEOUT_MS, err);
		rpc_client_close(client);
	}
	return result;
}

int
cli_main(int argc, char **argv, FILE *in, FILE *out, FILE *err_out)
{
	const char *rundir = getenv("WEFT_RUNDIR"), *object;
	struct cli_options o = {.rundir = rundir && *rundir ? rundir : DAEMON_DEFAULT_RUNDIR};
	struct weft_error err = WEFT_ERROR_INIT;
	struct cli_request request = {0};
	json_t *result = NULL;
	int n;

	argc--;
	argv++;
	if (wants_help(argc, argv, &object)) {
		print_help(object, out);
		return EXIT_SUCCESS;
	}
	n = take_global(argc, argv, &o, out, &err);
	if (n == 0 && argc > 0 && !strcmp(argv[0], "--version")) {
		return EXIT_SUCCESS;
	}
	if (n >= 0 && cli_parse(argc - n, argv + n, in, &request, &err)) {
		result = call(&o, &request, &err);
		json_decref(request.params);
	}
	if (!result) {
		fprintf(err_out, "weft: %s\n", err.text);
		return EXIT_FAILURE;
	}
	cli_print(request.command, result, o.json || request.json, out);
	json_decref(result);
	if (fflush(out) || ferror(out)) {
		fprintf(err_out, "weft: cannot write the result: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
