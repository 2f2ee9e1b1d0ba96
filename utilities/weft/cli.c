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
			fprintf(out, "  weft %s%s%s%s%s\n        %s\n", c->object,
				c->verb ? " " : "", c->verb ? c->verb : "", *c->usage ? " " : "",
				c->usage, c->help);
		}
	}
}

/* What the options before the object ask for. */
enum global {
	GLOBAL_CALL, /* a command follows */
	GLOBAL_HELP,
	GLOBAL_VERSION,
	GLOBAL_WRONG, /* see the error */
};

/* Takes the options before the object; @at: where the object stands then. */
static enum global
take_global(int argc, char *const *argv, int *at, struct cli_options *o, struct weft_error *err)
{
	for (; *at < argc && argv[*at][0] == '-'; ++*at) {
		const char *word = argv[*at];

		if (!strcmp(word, "--json")) {
			o->json = true;
		} else if (!strcmp(word, "--version")) {
			return GLOBAL_VERSION;
		} else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			return GLOBAL_HELP;
		} else if (!strncmp(word, "--rundir=", 9)) {
			o->rundir = word + 9;
		} else if (!strcmp(word, "--rundir")) {
			if (++*at == argc) {
				weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
					"--rundir needs a directory");
				return GLOBAL_WRONG;
			}
			o->rundir = argv[*at];
		} else {
			weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"unknown option %s; see weft --help", word);
			return GLOBAL_WRONG;
		}
	}
	if (*at < argc && !strcmp(argv[*at], "help")) {
		return GLOBAL_HELP;
	}
	for (int i = *at; i < argc; i++) {
		if (!strcmp(argv[i], "--help")) {
			return GLOBAL_HELP;
		}
	}
	return GLOBAL_CALL;
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
	struct rpc_client *client =
		rpc_client_open(path, agent ? "weft-agent" : "weft-datapath", err);
	json_t *result = NULL;

	free(path);
	if (client) {
		result = request->command->pages
				 ? call_pages(client, request, err)
				 : rpc_client_call(client, request->command->method,
					   json_incref(request->params), TIMEOUT_MS, err);
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
	int at = 1;

	switch (take_global(argc, argv, &at, &o, &err)) {
	case GLOBAL_VERSION:
		fprintf(out, "weft %s\n", WEFT_VERSION);
		return EXIT_SUCCESS;
	case GLOBAL_HELP:
		object = at < argc && argv[at][0] != '-' ? argv[at] : NULL;
		print_help(object && cli_is_object(object) ? object : NULL, out);
		return EXIT_SUCCESS;
	case GLOBAL_CALL:
		if (at < argc && !strcmp(argv[at], "capture")) {
			return cli_capture(&o, argc - at - 1, argv + at + 1, out, err_out);
		}
		if (at < argc && !strcmp(argv[at], "top")) {
			return cli_top(&o, argc - at - 1, argv + at + 1, out, err_out);
		}
		if (cli_parse(argc - at, argv + at, in, &request, &err)) {
			result = call(&o, &request, &err);
			json_decref(request.params);
		}
		break;
	case GLOBAL_WRONG:
		break;
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
