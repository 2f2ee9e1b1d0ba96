/* SPDX-License-Identifier: Apache-2.0
 *
 * From words to the parameters of a call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "utilities/weft/cli.h"

struct words {
	int argc;
	char *const *argv;
	int at;
};

bool
cli_is_object(const char *name)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		if (!strcmp(cli_commands[i].object, name)) {
			return true;
		}
	}
	return false;
}

static void
list_choices(const char *object, struct strbuf *out)
{
	const char *last = NULL;

	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];
		const char *word = object ? c->verb : c->object;

		if ((object && (strcmp(c->object, object) || !word)) ||
			(last && !strcmp(last, word))) {
			continue;
		}
		/* An object's rows may stand apart. */
		if (!object) {
			size_t before = 0;

			while (strcmp(cli_commands[before].object, word)) {
				before++;
			}
			if (before != i) {
				continue;
			}
		}
		strbuf_printf(out, "%s%s", out->len ? ", " : "", word);
		last = word;
	}
}

static const struct cli_command *
find_command(struct words *w, struct weft_error *err)
{
	const char *object = w->at < w->argc ? w->argv[w->at++] : NULL, *verb;
	struct strbuf choices = STRBUF_INIT;

	if (!object || !cli_is_object(object)) {
		list_choices(NULL, &choices);
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s%s%s; there are %s",
			object ? "unknown object \"" : "a command is missing", object ? object : "",
			object ? "\"" : "", strbuf_text(&choices));
		strbuf_uninit(&choices);
		return NULL;
	}
	verb = w->at < w->argc ? w->argv[w->at] : NULL;
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];

		if (strcmp(c->object, object)) {
			continue;
		}
		if (!c->verb) {
			return c;
		}
		if (verb && !strcmp(c->verb, verb)) {
			w->at++;
			return c;
		}
	}
	list_choices(object, &choices);
	weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s \"%s%s%s\"; there are %s",
		verb ? "unknown command" : "a verb is missing behind", object, verb ? " " : "",
		verb ? verb : "", strbuf_text(&choices));
	strbuf_uninit(&choices);
	return NULL;
}

static bool
parse_settings(struct words *w, json_t *settings, struct weft_error *err)
{
	for (; w->at < w->argc; w->at++) {
		const char *word = w->argv[w->at], *equals = strchr(word, '=');
		json_t *value;
		char *key;

		if (!equals || equals == word) {
			return weft_error_set(
				err, WEFT_ERR_INVALID, EINVAL, "\"%s\" is not KEY=VALUE", word);
		}
		value = json_string(equals + 1);
		key = xstrndup(word, (size_t)(equals - word));
		if (!value || json_object_get(settings, key)) {
			weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				value ? "\"%s\" is given twice" : "value of \"%s\" is not UTF-8",
				key);
			json_decref(value);
			free(key);
			return false;
		}
		json_object_set_new(settings, key, value);
		free(key);
	}
	return true;
}

/* All words that are left, joined by spaces. */
static char *
join(struct words *w)
{
	struct strbuf text = STRBUF_INIT;

	for (; w->at < w->argc; w->at++) {
		strbuf_printf(&text, "%s%s", text.len ? " " : "", w->argv[w->at]);
	}
	return strbuf_take(&text);
}

static bool
read_lines(FILE *f, const char *name, json_t *lines, struct weft_error *err)
{
	char *line = NULL;
	size_t capacity = 0;
	bool ok = true;

	while (ok && getline(&line, &capacity, f) >= 0) {
		char *start = line + strspn(line, " \t");

		size_t len = strcspn(start, "#\r\n");

		while (len && strchr(" \t", start[len - 1])) {
			len--;
		}
		start[len] = '\0';
		if (*start) {
			ok = json_array_append_new(lines, json_string(start)) == 0;
		}
	}
	if (!ok || ferror(f)) {
		ok = weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "cannot read %s: %s", name,
			ok ? strerror(errno) : "not UTF-8");
	}
	free(line);
	return ok;
}

static bool
read_file(const char *path, FILE *in, json_t *lines, struct weft_error *err)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : in;
	bool ok;

	if (!f) {
		return weft_error_set(
			err, WEFT_ERR_SYSTEM, errno, "cannot read %s: %s", path, strerror(errno));
	}
	ok = read_lines(f, path, lines, err);
	if (f != in) {
		fclose(f);
	}
	return ok;
}

/* What is wrong with @word, and how it is said right. */
static bool
misuse(const struct cli_command *c, const char *before, const char *word, const char *behind,
	struct weft_error *err)
{
	return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "%s%s%s; usage: weft %s%s%s%s%s",
		before, word, behind, c->object, c->verb ? " " : "", c->verb ? c->verb : "",
		*c->usage ? " " : "", c->usage);
}

static bool
missing(const struct cli_command *c, const char *what, struct weft_error *err)
{
	return misuse(c, "", what, " is missing", err);
}

static bool
parse_arg(const struct cli_command *c, const struct cli_arg *arg, struct words *w, const char *file,
	FILE *in, json_t *params, struct weft_error *err)
{
	bool there = w->at < w->argc;
	json_t *value = NULL;
	char *text;

	switch (arg->kind) {
	case CLI_ARG_NAME:
		if (!there) {
			return missing(c, arg->param, err);
		}
		value = json_string(w->argv[w->at++]);
		break;
	case CLI_ARG_OPTIONAL:
		if (!there) {
			return true;
		}
		value = json_string(w->argv[w->at++]);
		break;
	case CLI_ARG_SETTINGS:
	case CLI_ARG_SETTINGS_NEEDED:
		if (!there && arg->kind == CLI_ARG_SETTINGS_NEEDED) {
			return missing(c, "KEY=VALUE", err);
		}
		value = json_object();
		if (!parse_settings(w, value, err)) {
			json_decref(value);
			return false;
		}
		break;
	case CLI_ARG_TEXT:
		if (!there) {
			return true;
		}
		text = join(w);
		value = json_string(text);
		free(text);
		break;
	case CLI_ARG_TEXTS:
	case CLI_ARG_TEXTS_NEEDED:
		if (there && file) {
			return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
				"%s are given both as words and by -f", arg->param);
		}
		if (!there && !file && arg->kind == CLI_ARG_TEXTS_NEEDED) {
			return missing(c, strcmp(arg->param, "flows") ? "SPEC" : "FLOW", err);
		}
		value = json_array();
		if (file ? !read_file(file, in, value, err) : false) {
			json_decref(value);
			return false;
		}
		if (there) {
			text = join(w);
			json_array_append_new(value, json_string(text));
			free(text);
		}
		break;
	case CLI_ARG_FLAG: /* take_flags() has these */
	case CLI_ARG_VALUE:
	case CLI_ARG_END:
		return true;
	}
	if (!value) {
		return weft_error_set(err, WEFT_ERR_INVALID, EILSEQ, "%s is not UTF-8", arg->param);
	}
	json_object_set_new(params, arg->param, value);
	return true;
}

/* Takes the options that may stand anywhere out of the words. */
struct flags {
	bool json, bundle, strict;
	bool given[CLI_MAX_ARGS];         /* CLI_ARG_FLAG */
	const char *values[CLI_MAX_ARGS]; /* CLI_ARG_VALUE */
	const char *file;
};

/* The place of the command's option --PARAM, or CLI_MAX_ARGS. */
static unsigned
find_option(const struct cli_command *c, const char *word, enum cli_arg_kind kind)
{
	unsigned i = 0;

	while (i < CLI_MAX_ARGS && (c->args[i].kind != kind || strncmp(word, "--", 2) ||
					   strcmp(c->args[i].param, word + 2))) {
		i++;
	}
	return i;
}

static bool
take_flags(struct words *w, char **rest, const struct cli_command *c, struct flags *flags,
	struct weft_error *err)
{
	int n = 0;

	for (int i = w->at; i < w->argc; i++) {
		const char *word = w->argv[i];

		if (!strcmp(word, "--json")) {
			flags->json = true;
		} else if (!strcmp(word, "--bundle") && c->takes_bundle) {
			flags->bundle = true;
		} else if (!strcmp(word, "--strict") && c->takes_strict) {
			flags->strict = true;
		} else if (!strcmp(word, "-f") && c->takes_file) {
			if (++i == w->argc) {
				return missing(c, "FILE behind -f", err);
			}
			flags->file = w->argv[i];
		} else if (find_option(c, word, CLI_ARG_FLAG) < CLI_MAX_ARGS) {
			flags->given[find_option(c, word, CLI_ARG_FLAG)] = true;
		} else if (find_option(c, word, CLI_ARG_VALUE) < CLI_MAX_ARGS) {
			if (++i == w->argc) {
				return misuse(c, "", word, " needs a value", err);
			}
			flags->values[find_option(c, word, CLI_ARG_VALUE)] = w->argv[i];
		} else if (word[0] == '-' && word[1] == '-') {
			return misuse(c, "unknown option ", word, "", err);
		} else {
			rest[n++] = w->argv[i];
		}
	}
	*w = (struct words){n, rest, 0};
	return true;
}

bool
cli_parse(
	int argc, char *const *argv, FILE *in, struct cli_request *request, struct weft_error *err)
{
	struct words w = {argc, argv, 0};
	char **rest = xcalloc((size_t)argc + 1, sizeof *rest);
	const struct cli_command *c = find_command(&w, err);
	struct flags flags = {0};
	bool ok = c && take_flags(&w, rest, c, &flags, err);

	*request = (struct cli_request){.command = c, .params = json_object(), .json = flags.json};
	for (unsigned i = 0; ok && i < CLI_MAX_ARGS; i++) {
		ok = parse_arg(c, &c->args[i], &w, flags.file, in, request->params, err);
		if (ok && flags.given[i]) {
			json_object_set_new(request->params, c->args[i].param, json_true());
		}
		if (ok && flags.values[i]) {
			ok = !json_object_set_new(request->params, c->args[i].param,
				     json_string(flags.values[i])) ||
			     weft_error_set(err, WEFT_ERR_INVALID, EILSEQ, "%s is not UTF-8",
				     c->args[i].param);
		}
	}
	if (ok && w.at < w.argc) {
		ok = misuse(c, "\"", w.argv[w.at], "\" is one word too many", err);
	}
	if (ok && c->takes_bundle) {
		json_object_set_new(request->params, "bundle", json_boolean(flags.bundle));
	}
	if (ok && c->takes_strict) {
		json_object_set_new(request->params, "strict", json_boolean(flags.strict));
	}
	if (ok && flags.file) {
		json_object_set_new(request->params, "file", json_true());
	}
	free(rest);
	if (!ok) {
		json_decref(request->params);
		request->params = NULL;
	}
	return ok;
}
