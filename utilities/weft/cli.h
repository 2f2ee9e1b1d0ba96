/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line tool: a table of commands, each a method of a daemon's socket.
 *
 * How: arguments become the parameters of one JSON-RPC call as the command's row says; the result is
 *      printed as a table of the row's columns, or as JSON. To add a command: a row in commands.c,
 *      a line in docs/rpc.md and weft(8), a test.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct weft_error;

enum cli_socket {
	CLI_AGENT,
	CLI_DATAPATH,
};

/* How a result is shown to people. */
enum cli_show {
	CLI_SHOW_NOTHING, /* success is silent */
	CLI_SHOW_TABLE,   /* an array of objects in columns */
	CLI_SHOW_RECORD,  /* one object, a line each member */
	CLI_SHOW_TEXT,    /* an object, or an array of them: the member "text" of each, a line */
};

struct cli_column {
	const char *title;
	const char *member; /* or "LIST.MEMBER", of each object of a list */
	bool right;         /* numbers */
};

/* Parameters, in the order of the arguments. */
enum cli_arg_kind {
	CLI_ARG_END,
	CLI_ARG_NAME,            /* one word */
	CLI_ARG_OPTIONAL,        /* one word, if it is there */
	CLI_ARG_SETTINGS,        /* all that follow: KEY=VALUE, into an object */
	CLI_ARG_SETTINGS_NEEDED, /* at least one */
	CLI_ARG_TEXT,            /* all that follow, joined by spaces, if there are any */
	CLI_ARG_TEXTS,           /* the same, as an array of one; or the lines of -f FILE */
	CLI_ARG_TEXTS_NEEDED,
	CLI_ARG_FLAG,  /* --PARAM anywhere: true */
	CLI_ARG_VALUE, /* --PARAM WORD anywhere */
};

struct cli_arg {
	enum cli_arg_kind kind;
	const char *param;
};

#define CLI_MAX_ARGS 4
#define CLI_MAX_COLUMNS 16

struct cli_command {
	const char *object;
	const char *verb; /* NULL: the object is the command */
	const char *usage;
	const char *help;
	enum cli_socket socket;
	const char *method;
	const char *fixed; /* a parameter and its value, "NAME=VALUE", or NULL */
	enum cli_show show;
	struct cli_arg args[CLI_MAX_ARGS];
	struct cli_column columns[CLI_MAX_COLUMNS];
	bool takes_bundle, takes_strict, takes_file;
	const char *pages; /* the result is an object with pages of an array in this member */
};

extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

struct cli_options {
	const char *rundir;
	bool json;
};

/* What an invocation asks for. */
struct cli_request {
	const struct cli_command *command;
	json_t *params;
	bool json;
};

/* Makes a request of the words behind the global options. @in: for -f -. On failure @err is filled
 * and nothing needs freeing. "json" in @request is set when --json stands at the end. */
bool cli_parse(
	int argc, char *const *argv, FILE *in, struct cli_request *request, struct weft_error *err);

/* Whether a command begins with that word. */
bool cli_is_object(const char *name);

/* Prints an array of objects; @columns end with one without a title, or with CLI_MAX_COLUMNS. */
void cli_print_table(const struct cli_column *columns, const json_t *rows, FILE *out);
/* Prints a result. */
void cli_print(const struct cli_command *command, const json_t *result, bool json, FILE *out);

/* weft capture, which is no single call: @argv behind the word. Returns the exit status. */
#define CLI_CAPTURE_USAGE "PORT [-w FILE|-] [-c N] [-s SNAPLEN] [-Q in|out|inout] [FILTER]"
int cli_capture(const struct cli_options *o, int argc, char *const *argv, FILE *out, FILE *err_out);

/* weft top, which is many calls: @argv behind the word. Returns the exit status. */
#define CLI_TOP_USAGE "[--once] [-d SECONDS] [-n COUNT]"
int cli_top(const struct cli_options *o, int argc, char *const *argv, FILE *out, FILE *err_out);

/* The whole program but the process's exit. Returns the exit status. */
int cli_main(int argc, char **argv, FILE *in, FILE *out, FILE *err_out);
