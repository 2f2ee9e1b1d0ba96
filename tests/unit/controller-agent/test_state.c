/* SPDX-License-Identifier: Apache-2.0
 *
 * State: numbers and ids over a restart, the rest of port numbers, snapshots, malformed records.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller-agent/config.h"
#include "controller-agent/journal.h"
#include "controller-agent/state.h"
#include "lib/error.h"

/* A user whose rules are numbers. */
struct user {
	bool rules[64];
	unsigned n_gone;
	unsigned cursor; /* of the snapshot */
};

static char directory[64];
static struct user user;

static bool
replay(void *arg, enum state_kind kind, const void *data, size_t len, struct weft_error *err)
{
	struct user *u = arg;
	uint8_t n = len == 1 ? *(const uint8_t *)data : 255;

	if (n >= 64) {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL, "no such rule");
	}
	u->rules[n] = kind == STATE_RULE;
	return true;
}

static void
switch_gone(void *arg, uint32_t id)
{
	struct user *u = arg;

	assert_int_equal(id, 7);
	u->n_gone++;
}

static bool
snapshot(void *arg, struct state *state, bool first)
{
	struct user *u = arg;
	uint8_t n;

	u->cursor = first ? 0 : u->cursor;
	n = (uint8_t)u->cursor++;
	if (u->rules[n]) {
		state_snapshot_put(state, STATE_RULE, &n, 1);
	}
	return u->cursor == 64;
}

static const struct state_ops ops = {replay, switch_gone, snapshot};

static void
put_rule(struct state *s, uint8_t n, bool there)
{
	user.rules[n] = there;
	state_append(s, there ? STATE_RULE : STATE_RULE_GONE, &n, 1);
}

static struct state *
open_state(void)
{
	struct weft_error err = {0};
	struct state *s;

	memset(&user, 0, sizeof(user));
	s = state_open(directory, &ops, &user, &err);
	assert_non_null(s);
	return s;
}

static struct state_port
port(const char *name, const char *sw, uint16_t of_port, uint32_t dp_port)
{
	struct state_port p = {.of_port = of_port, .dp_port = {dp_port}};

	snprintf(p.name, sizeof(p.name), "%s", name);
	snprintf(p.sw, sizeof(p.sw), "%s", sw);
	return p;
}

static void
set_switch(struct state *s, const char *name, uint64_t dpid, uint32_t id)
{
	struct state_switch sw = {.dpid = dpid, .id = id, .drop_fragments = id % 2 == 0};

	snprintf(sw.name, sizeof(sw.name), "%s", name);
	state_set_switch(s, &sw);
}

static int
setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/weft-state-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int
teardown(void **state)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	(void)state;
	while (dir && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.') {
			unlinkat(dirfd(dir), entry->d_name, 0);
		}
	}
	closedir(dir);
	return rmdir(directory);
}

static void
fill(struct state *s)
{
	struct state_port a = port("a", "s", 1, 10), b = port("b", "s", 2, 11),
			  c = port("c", "t", 1, 12);

	c.of_config = 0x65;
	state_set_instance(s, 0xfedcba9876543210u);
	set_switch(s, "s", 0xffffffffffffff01u, 6);
	set_switch(s, "t", 2, 7);
	state_set_port(s, &a);
	state_set_port(s, &b);
	state_set_port(s, &c);
	put_rule(s, 3, true);
	put_rule(s, 4, true);
	put_rule(s, 5, true);
	put_rule(s, 4, false);
	state_forget_port(s, "b", 1000);
	state_forget_switch(s, "t");
}

static void
check(const struct state *s)
{
	assert_false(state_is_new(s));
	assert_true(state_instance(s) == 0xfedcba9876543210u);
	assert_true(state_switch_find(s, "s")->dpid == 0xffffffffffffff01u);
	assert_int_equal(state_switch_find(s, "s")->id, 6);
	assert_true(state_switch_find(s, "s")->drop_fragments);
	assert_ptr_equal(state_switch_at(s, 0), state_switch_find(s, "s"));
	assert_null(state_switch_at(s, 1));
	assert_null(state_switch_find(s, "t"));
	assert_int_equal(state_port_find(s, "a")->of_port, 1);
	assert_int_equal(state_port_find(s, "a")->dp_port.v, 10);
	assert_string_equal(state_port_find(s, "c")->sw, "t");
	assert_int_equal(state_port_find(s, "a")->of_config, 0);
	assert_int_equal(state_port_find(s, "c")->of_config, 0x65);
	assert_null(state_port_find(s, "b"));
}

static void
test_state_survives_a_restart(void **arg)
{
	struct state *s = open_state();

	(void)arg;
	assert_true(state_is_new(s));
	set_switch(s, "t", 1, 7);
	state_forget_switch(s, "t");
	state_forget_switch(s, "t");
	state_close(s);
	s = open_state();
	assert_int_equal(user.n_gone, 1);
	state_close(s);
}

static void
test_state_tables_and_records_come_back(void **arg)
{
	struct state *s;

	(void)arg;
	s = open_state();
	fill(s);
	state_append(s, STATE_RULE, "\xff", 1); /* means nothing */
	state_close(s);
	s = open_state();
	check(s);
	assert_true(user.rules[3] && !user.rules[4] && user.rules[5]);
	assert_int_equal(user.n_gone, 1);
	state_close(s);
}

static void
test_state_snapshot_keeps_everything(void **arg)
{
	struct state *s = open_state();
	struct state_port d = port("d", "s", 9, 99);
	static uint8_t filler[1 << 20];
	unsigned slices = 0;

	(void)arg;
	fill(s);
	put_rule(s, 40, true);
	/* Grow the journal until it pays; what changes while the snapshot is taken counts too. */
	state_append(s, STATE_RULE, filler, sizeof(filler));
	while (state_run(s)) {
		if (slices++ == 10) {
			put_rule(s, 3, false);
			put_rule(s, 50, true);
			state_set_port(s, &d);
			state_forget_port(s, "d", 5);
		}
	}
	assert_int_equal(slices, 63);
	state_close(s);
	s = open_state();
	check(s);
	assert_false(user.rules[3] || user.rules[4]);
	assert_true(user.rules[5] && user.rules[40] && user.rules[50]);
	assert_null(state_port_find(s, "d"));
	state_checkpoint(s);
	state_close(s);
	s = open_state();
	check(s);
	assert_true(user.rules[5] && user.rules[40] && user.rules[50]);
	state_close(s);
}

static void
test_state_of_ports_are_the_lowest_free(void **arg)
{
	struct state *s = open_state();
	struct state_port p;

	(void)arg;
	assert_int_equal(state_choose_of_port(s, "s"), 1);
	p = port("a", "s", 1, 0);
	state_set_port(s, &p);
	p = port("b", "s", 3, 1);
	state_set_port(s, &p);
	p = port("l", "s", 0xfffe, 2);
	state_set_port(s, &p);
	assert_int_equal(state_choose_of_port(s, "s"), 2);
	assert_int_equal(state_choose_of_port(s, "t"), 1);
	state_close(s);
}

static void
test_state_dp_ports_rest(void **arg)
{
	struct state *s = open_state();
	struct dp_port n;
	char name[16];

	(void)arg;
	for (uint32_t i = 0; i <= DP_PORT_MAX;
		i += 64) { /* not all: the tables are searched in line */
		struct state_port p;

		snprintf(name, sizeof(name), "p%u", i);
		p = port(name, "s", 1, i);
		state_set_port(s, &p);
	}
	n = state_choose_dp_port(s, 0);
	assert_int_equal(n.v, 65473);
	state_forget_port(s, "p128", 1000);
	/* Round the end, over the ones in use, not yet the one that rests. */
	for (uint32_t i = n.v + 1; i <= DP_PORT_MAX; i++) {
		assert_int_equal(state_choose_dp_port(s, 1000).v, i);
	}
	for (uint32_t i = 1; i < 192; i++) {
		if (i % 64) {
			assert_int_equal(
				state_choose_dp_port(s, 1000 + STATE_PORT_REST_MS - 1).v, i);
		}
	}
	state_close(s);
	/* Nor after a restart, before its time is over. */
	s = open_state();
	for (uint32_t i = 0; i < 65536 - 1024; i++) {
		n = state_choose_dp_port(s, 1000 + STATE_PORT_REST_MS - 1);
		assert_int_not_equal(n.v, 128);
		if (n.v == 127) {
			break;
		}
	}
	assert_int_equal(n.v, 127);
	assert_int_equal(state_choose_dp_port(s, 1000 + STATE_PORT_REST_MS).v, 128);
	state_close(s);
}

static void
test_state_leaves_out_malformed_records(void **arg)
{
	static const struct {
		uint32_t kind;
		const char *text;
	} bad[] = {
		{0, "{}"},
		{9, "{}"},
		{STATE_SWITCH, ""},
		{STATE_SWITCH, "[]"},
		{STATE_SWITCH, "{}"},
		{STATE_SWITCH, "{\"name\":\"s\"}"},
		{STATE_SWITCH, "{\"name\":\"..\",\"dpid\":\"1\"}"},
		{STATE_PORT, "{\"name\":\"p\"}"},
		{STATE_PORT, "{\"name\":\"p\",\"switch\":\"s\",\"of-port\":0,\"dp-port\":1}"},
		{STATE_PORT, "{\"name\":\"p\",\"switch\":\"s\",\"of-port\":1,\"dp-port\":65536}"},
		{STATE_PORT, "{\"name\":\"p\",\"switch\":\"s\",\"of-port\":1,\"dp-port\":-1}"},
		{STATE_PORT_GONE, "{\"name\":7}"},
		{STATE_INSTANCE, "{}"},
		{STATE_RULE, ""},
		{STATE_RULE, "xx"},
		{77, "zz"},
	};
	struct state *s = open_state();

	(void)arg;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		state_append(s, (enum state_kind)bad[i].kind, bad[i].text, strlen(bad[i].text));
	}
	fill(s);
	state_close(s);
	s = open_state();
	check(s);
	state_close(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_state_survives_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_state_tables_and_records_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_state_snapshot_keeps_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_state_of_ports_are_the_lowest_free, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_dp_ports_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_state_leaves_out_malformed_records, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
