/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line tool: words to parameters, results to tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/error.h"
#include "utilities/weft/cli.h"

#define MAX_WORDS 16

/* Parses a line of words; returns the parameters as text, or the error's. */
static char *
parse(const char *line, const char *input, const char **method, bool *json)
{
	char *copy = strdup(line), *words[MAX_WORDS], *save = NULL, *text;
	struct weft_error err = WEFT_ERROR_INIT;
	struct cli_request request;
	FILE *in = fmemopen((char *)input, strlen(input), "r");
	int n = 0;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		words[n++] = w;
	}
	if (cli_parse(n, words, in, &request, &err)) {
		text = json_dumps(request.params, JSON_COMPACT | JSON_SORT_KEYS);
		*method = request.command->method;
		*json = request.json;
		json_decref(request.params);
	} else {
		text = strdup(err.text);
		*method = NULL;
	}
	fclose(in);
	free(copy);
	return text;
}

static void
test_cli_makes_parameters(void **state)
{
	static const struct {
		const char *line, *method, *params;
	} cases[] = {
		{"switch add br0 dpid=1 fail-mode=secure", "switch.add",
			"{\"name\":\"br0\",\"settings\":{\"dpid\":\"1\",\"fail-mode\":\"secure\"}}"},
		{"switch add br0", "switch.add", "{\"name\":\"br0\",\"settings\":{}}"},
		{"port list", "port.list", "{}"},
		{"port list br0", "port.list", "{\"switch\":\"br0\"}"},
		{"port add br0 p1 type=ethdev devargs=net_pcap0,rx_pcap=a", "port.add",
			"{\"name\":\"p1\",\"settings\":{\"devargs\":\"net_pcap0,rx_pcap=a\",\"type\":\"ethdev\"},"
			"\"switch\":\"br0\"}"},
		{"controller add br0 tcp:127.0.0.1:6653", "controller.add",
			"{\"settings\":{},\"switch\":\"br0\",\"target\":\"tcp:127.0.0.1:6653\"}"},
		{"controller set br0 unix:/x rate-limit=5 burst=", "controller.set",
			"{\"settings\":{\"burst\":\"\",\"rate-limit\":\"5\"},\"switch\":\"br0\","
			"\"target\":\"unix:/x\"}"},
		{"flow add br0 in_port=1, actions=output:2", "flow.add",
			"{\"bundle\":false,\"flows\":[\"in_port=1, actions=output:2\"],\"switch\":\"br0\"}"},
		{"flow add br0 -f - --bundle", "flow.add",
			"{\"bundle\":true,\"file\":true,\"flows\":[\"a\",\"b c\"],"
			"\"switch\":\"br0\"}"},
		{"flow del br0", "flow.del",
			"{\"bundle\":false,\"flows\":[],\"strict\":false,\"switch\":\"br0\"}"},
		{"flow del br0 --strict in_port=1", "flow.del",
			"{\"bundle\":false,\"flows\":[\"in_port=1\"],\"strict\":true,\"switch\":\"br0\"}"},
		{"flow list br0 table=1", "flow.list", "{\"flow\":\"table=1\",\"switch\":\"br0\"}"},
		{"group add br0 group_id=1,type=all", "group.add",
			"{\"specs\":[\"group_id=1,type=all\"],\"switch\":\"br0\"}"},
		{"meter mod br0 -f -", "meter.mod",
			"{\"file\":true,\"specs\":[\"a\",\"b c\"],\"switch\":\"br0\"}"},
		{"group del br0", "group.del", "{\"specs\":[],\"switch\":\"br0\"}"},
		{"group stats br0", "group.list", "{\"switch\":\"br0\"}"},
		{"drops p1", "drop.list", "{\"port\":\"p1\"}"},
		{"trace br0 in_port=1, tcp", "trace.run",
			"{\"flow\":\"in_port=1, tcp\",\"switch\":\"br0\"}"},
		{"trace --packet 00:01 br0 in_port=1", "trace.run",
			"{\"flow\":\"in_port=1\",\"packet\":\"00:01\",\"switch\":\"br0\"}"},
		{"dp flows", "flow.list", "{}"},
		{"dp objects", "object.list", "{}"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *method;
		bool json = false;
		char *text =
			parse(cases[i].line, "# comment\na # another\n\n  b c\n", &method, &json);

		assert_string_equal(text, cases[i].params);
		assert_string_equal(method, cases[i].method);
		assert_false(json);
		free(text);
	}
}

static void
test_cli_json_at_the_end(void **state)
{
	const char *method;
	bool json = false;

	(void)state;
	free(parse("port list --json", "", &method, &json));
	assert_true(json);
}

static void
test_cli_refuses(void **state)
{
	static const struct {
		const char *line, *named;
	} cases[] = {
		{"", "a command is missing; there are switch, port"},
		{"swich list", "unknown object \"swich\""},
		{"switch", "a verb is missing behind \"switch\""},
		{"switch lst",
			"unknown command \"switch lst\"; there are add, del, list, show, set"},
		{"switch add", "name is missing; usage: weft switch add NAME"},
		{"switch add a b", "\"b\" is not KEY=VALUE"},
		{"switch add a x=1 x=2", "\"x\" is given twice"},
		{"switch del a b", "\"b\" is one word too many"},
		{"stats x", "\"x\" is one word too many; usage: weft stats"},
		{"switch list --strict", "unknown option --strict"},
		{"flow add br0", "FLOW is missing"},
		{"group add br0", "SPEC is missing; usage: weft group add SWITCH SPEC | -f FILE"},
		{"flow add br0 -f", "FILE behind -f is missing"},
		{"trace", "switch is missing; usage: weft trace SWITCH FLOW [--packet HEX]"},
		{"trace br0 in_port=1 --packet", "--packet needs a value; usage: weft trace "},
		{"flow add br0 x -f -", "both as words and by -f"},
		{"flow add br0 -f /nowhere/at/all", "cannot read /nowhere/at/all"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *method;
		bool json;
		char *text = parse(cases[i].line, "", &method, &json);

		assert_null(method);
		assert_non_null(strstr(text, cases[i].named));
		free(text);
	}
}

/* What is printed of a result of command @line. */
static char *
print(const char *line, const char *result, bool json)
{
	struct weft_error err = WEFT_ERROR_INIT;
	char *copy = strdup(line), *words[MAX_WORDS], *save = NULL, *text = NULL;
	struct cli_request request;
	json_t *value = json_loads(result, JSON_DECODE_ANY, NULL);
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int n = 0;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		words[n++] = w;
	}
	assert_true(cli_parse(n, words, stdin, &request, &err));
	cli_print(request.command, value, json, out);
	fclose(out);
	json_decref(request.params);
	json_decref(value);
	free(copy);
	return text;
}

static void
test_cli_prints_aligned_tables(void **state)
{
	char *text = print("fdb list",
		"[{\"switch\":\"br0\",\"port\":\"p1\",\"vlan\":0,\"mac\":\"02:00:00:00:00:01\",\"age_s\":7,\"expires_s\":293},"
		"{\"switch\":\"longname\",\"port\":\"q\",\"vlan\":100,\"mac\":null,\"age_s\":12345}]",
		false);

	(void)state;
	assert_string_equal(text,
		"SWITCH    PORT  VLAN  MAC                REMOTE  AGE S  EXPIRES S\n"
		"br0       p1       0  02:00:00:00:00:01  -           7        293\n"
		"longname  q      100  -                  -       12345          -\n");
	free(text);
	text = print("group stats br0",
		"[{\"group\":1,\"type\":\"all\",\"duration_s\":1.5,\"refs\":0,\"packets\":3,\"bytes\":180,"
		"\"buckets\":[{\"packets\":2},{\"packets\":1}]},"
		"{\"group\":20,\"type\":\"select\",\"buckets\":[]}]",
		false);
	assert_string_equal(text, "GROUP  TYPE    AGE S  REFS  PACKETS  BYTES  PACKETS OF BUCKETS\n"
				  "    1  all     1.500     0        3    180  2,1\n"
				  "   20  select      -     -        -      -  -\n");
	free(text);
	text = print("fdb list", "[]", false);
	assert_string_equal(text, "SWITCH  PORT  VLAN  MAC  REMOTE  AGE S  EXPIRES S\n");
	free(text);
}

static void
test_cli_prints_records_texts_and_json(void **state)
{
	char *text = print("stats", "{\"a\":1,\"long\":{\"x\":true,\"y\":[1,2]}}", false);

	(void)state;
	assert_string_equal(text, "a     1\nlong:\n  x  yes\n  y  1,2\n");
	free(text);
	text = print("flow list br0", "[{\"text\":\"priority=1\"},{\"text\":\"b\"}]", false);
	assert_string_equal(text, "priority=1\nb\n");
	free(text);
	text = print("trace br0 in_port=1", "{\"text\":\"packet: a\\n  b\",\"passes\":[]}", false);
	assert_string_equal(text, "packet: a\n  b\n");
	free(text);
	text = print("flow list br0", "[]", true);
	assert_string_equal(text, "[]\n");
	free(text);
	text = print("switch del x", "{}", false);
	assert_string_equal(text, "");
	free(text);
}

static void
test_cli_every_command_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *c = &cli_commands[i];

		assert_non_null(c->method);
		assert_true(strlen(c->help) > 5);
		assert_true((c->show == CLI_SHOW_TABLE) == (c->columns[0].title != NULL));
		for (size_t j = 0; j < i; j++) {
			assert_true(strcmp(c->object, cli_commands[j].object) || !c->verb ||
				    strcmp(c->verb, cli_commands[j].verb));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cli_makes_parameters),
		cmocka_unit_test(test_cli_json_at_the_end),
		cmocka_unit_test(test_cli_refuses),
		cmocka_unit_test(test_cli_prints_aligned_tables),
		cmocka_unit_test(test_cli_prints_records_texts_and_json),
		cmocka_unit_test(test_cli_every_command_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
