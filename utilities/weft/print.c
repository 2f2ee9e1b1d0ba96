/* SPDX-License-Identifier: Apache-2.0
 *
 * Results: JSON for programs, aligned tables for people.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/compiler.h"
#include "lib/strbuf.h"
#include "utilities/weft/cli.h"

/* A value as text; "-" for what is not there. */
static void
format_value(const json_t *value, struct strbuf *out)
{
	const json_t *item;
	size_t i;

	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		strbuf_put(out, json_string_length(value) ? json_string_value(value) : "-");
		break;
	case JSON_INTEGER:
		strbuf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		strbuf_printf(out, "%.3f", json_real_value(value));
		break;
	case JSON_TRUE:
		strbuf_put(out, "yes");
		break;
	case JSON_FALSE:
		strbuf_put(out, "no");
		break;
	case JSON_ARRAY:
		json_array_foreach (value, i, item) {
			strbuf_put(out, i ? "," : "");
			format_value(item, out);
		}
		strbuf_put(out, json_array_size(value) ? "" : "-");
		break;
	default:
		strbuf_put(out, "-");
		break;
	}
}

static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		n += ((unsigned char)*text & 0xc0) != 0x80; /* characters, not bytes of UTF-8 */
	}
	return n;
}

static void
print_cell(const char *text, size_t width, bool right, bool last, FILE *out)
{
	int pad = (int)(width - width_of(text));

	if (right) {
		fprintf(out, "%*s%s", pad, "", text);
	} else {
		fprintf(out, "%s%*s", text, last ? 0 : pad, "");
	}
	fputs(last ? "\n" : "  ", out);
}

/* The member of a row; "LIST.NAME": that member of each object in a list. */
static void
format_member(const json_t *row, const char *member, struct strbuf *out)
{
	const char *dot = strchr(member, '.');
	const json_t *item;
	char *name;
	size_t i;

	if (!dot) {
		format_value(json_object_get(row, member), out);
		return;
	}
	name = xstrndup(member, (size_t)(dot - member));
	json_array_foreach (json_object_get(row, name), i, item) {
		strbuf_put(out, i ? "," : "");
		format_value(json_object_get(item, dot + 1), out);
	}
	strbuf_put(out, out->len ? "" : "-");
	free(name);
}

void
cli_print_table(const struct cli_column *columns, const json_t *rows, FILE *out)
{
	size_t n_rows = json_array_size(rows), n_columns = 0;
	size_t width[CLI_MAX_COLUMNS];
	char **cells;

	while (n_columns < CLI_MAX_COLUMNS && columns[n_columns].title) {
		width[n_columns] = width_of(columns[n_columns].title);
		n_columns++;
	}
	cells = xcalloc(n_rows * n_columns + 1, sizeof *cells);
	for (size_t r = 0; r < n_rows; r++) {
		for (size_t i = 0; i < n_columns; i++) {
			struct strbuf text = STRBUF_INIT;

			format_member(json_array_get(rows, r), columns[i].member, &text);
			cells[r * n_columns + i] = strbuf_take(&text);
			width[i] = WEFT_MAX(width[i], width_of(cells[r * n_columns + i]));
		}
	}
	for (size_t i = 0; i < n_columns; i++) {
		print_cell(columns[i].title, width[i], columns[i].right, i + 1 == n_columns, out);
	}
	for (size_t r = 0; r < n_rows; r++) {
		for (size_t i = 0; i < n_columns; i++) {
			char *cell = cells[r * n_columns + i];

			print_cell(cell, width[i], columns[i].right, i + 1 == n_columns, out);
			free(cell);
		}
	}
	free(cells);
}

/* One member a line; objects inside are indented. */
static void
print_record(const json_t *record, int indent, FILE *out)
{
	size_t width = 0, i;
	const char *key;
	const json_t *value, *item;

	json_object_foreach ((json_t *)record, key, value) {
		width = WEFT_MAX(width, width_of(key));
	}
	json_object_foreach ((json_t *)record, key, value) {
		if (json_is_object(value)) {
			fprintf(out, "%*s%s:\n", indent, "", key);
			print_record(value, indent + 2, out);
		} else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
			fprintf(out, "%*s%s:\n", indent, "", key);
			json_array_foreach (value, i, item) {
				print_record(item, indent + 2, out);
				fputs(i + 1 < json_array_size(value) ? "\n" : "", out);
			}
		} else {
			struct strbuf text = STRBUF_INIT;

			format_value(value, &text);
			fprintf(out, "%*s%-*s  %s\n", indent, "", (int)width, key,
				strbuf_text(&text));
			strbuf_uninit(&text);
		}
	}
}

static void
print_text(const json_t *object, FILE *out)
{
	const char *text = json_string_value(json_object_get(object, "text"));

	fprintf(out, "%s\n", text ? text : "");
}

void
cli_print(const struct cli_command *c, const json_t *result, bool json, FILE *out)
{
	const json_t *row;
	size_t i;

	if (json) {
		json_dumpf(result, out, JSON_INDENT(2) | JSON_ENCODE_ANY);
		fputc('\n', out);
		return;
	}
	switch (c->show) {
	case CLI_SHOW_TABLE:
		cli_print_table(c->columns, result, out);
		break;
	case CLI_SHOW_RECORD:
		print_record(result, 0, out);
		break;
	case CLI_SHOW_TEXT:
		if (json_is_object(result)) {
			print_text(result, out);
		}
		json_array_foreach (result, i, row) {
			print_text(row, out);
		}
		break;
	case CLI_SHOW_NOTHING:
		break;
	}
}
