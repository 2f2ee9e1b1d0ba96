/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: properties, checks, file and back, and what is refused in which words.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller-agent/config.h"
#include "controller-agent/config_mirror.h"
#include "lib/error.h"
#include "ofproto/of_allow.h"

static const char full[] = "{\n"
			   "  \"version\": 1,\n"
			   "  \"switches\": {\n"
			   "    \"br0\": {\n"
			   "      \"dpid\": \"000000000000abcd\",\n"
			   "      \"fail-mode\": \"secure\",\n"
			   "      \"protocols\": \"1.3\",\n"
			   "      \"mac-ageing\": 20,\n"
			   "      \"mac-table-size\": 50000,\n"
			   "      \"controllers\": {\n"
			   "        \"tls:10.0.0.1:6653\": {\n"
			   "          \"key\": \"/k\",\n"
			   "          \"cert\": \"/c\",\n"
			   "          \"ca\": \"/a\",\n"
			   "          \"rate-limit\": 1000,\n"
			   "          \"burst\": 50,\n"
			   "          \"inactivity-probe\": 0\n"
			   "        }\n"
			   "      },\n"
			   "      \"ports\": {\n"
			   "        \"vm1\": {\n"
			   "          \"type\": \"vhost-user\",\n"
			   "          \"of-port\": 7,\n"
			   "          \"tag\": 10,\n"
			   "          \"trunks\": \"1,5,10-20,4095\",\n"
			   "          \"vlan-mode\": \"native-tagged\",\n"
			   "          \"admin\": \"down\",\n"
			   "          \"underlay\": \"yes\",\n"
			   "          \"allow\": \"02:00:00:00:00:01/10.0.0.1\",\n"
			   "          \"options\": {\n"
			   "            \"mtu\": \"9000\",\n"
			   "            \"path\": \"/run/x.sock\"\n"
			   "          }\n"
			   "        }\n"
			   "      }\n"
			   "    }\n"
			   "  }\n"
			   "}\n";

static struct config *
parse(const char *text)
{
	struct weft_error err = {0};
	struct config *c = config_parse(text, strlen(text), &err);

	if (!c) {
		print_message("%s\n", err.text);
	}
	assert_non_null(c);
	return c;
}

static void
test_config_file_and_back(void **state)
{
	struct config *c = parse(full), *copy;
	struct config_port *p;
	char *text;

	(void)state;
	text = config_format(c);
	assert_string_equal(text, full);
	free(text);
	copy = config_clone(c);
	config_destroy(c);
	text = config_format(copy);
	assert_string_equal(text, full);
	free(text);
	p = config_port_find(copy, "vm1", NULL);
	assert_non_null(p);
	assert_int_equal(p->of_port, 7);
	assert_int_equal(p->tag, 10);
	assert_true(p->admin_down && p->underlay && p->has_trunks);
	assert_int_equal(p->trunks[0], 1u << 1 | 1u << 5 | 0x7ffu << 10);
	assert_string_equal(config_port_option(p, "path"), "/run/x.sock");
	assert_null(config_port_option(p, "mode"));
	config_destroy(copy);
}

static void
test_config_takes_other_kinds_of_values(void **state)
{
	struct config *c = parse(
		"{\"switches\": {\"s\": {\"protocols\": [\"1.3\"], "
		"\"ports\": {\"p\": {\"type\": \"null\", \"underlay\": true, \"trunks\": [3, 4], "
		"\"options\": {\"queues\": 4}}}}}}");
	struct config_port *p = config_port_find(c, "p", NULL);

	(void)state;
	assert_int_equal(c->switches[0]->protocols, CONFIG_OF13);
	assert_true(p->underlay);
	assert_int_equal(p->trunks[0], 0x18);
	assert_string_equal(config_port_option(p, "queues"), "4");
	config_destroy(c);
}

static void
test_config_refuses_bad_files(void **state)
{
	static const struct {
		const char *text;
		const char *words;
	} cases[] = {
		{"", "line 1"},
		{"{", "line 1"},
		{"[]", "not a configuration"},
		{"{\"version\": 2}", "version 1"},
		{"{\"switches\": []}", "switches: must be an object"},
		{"{\"switches\": {\"s\": 1}}", "switch s: s: must be an object"},
		{"{\"switches\": {\"s\": {\"ports\": 1}}}", "ports: must be an object"},
		{"{\"switches\": {\"s\": {\"controllers\": []}}}",
			"controllers: must be an object"},
		{"{\"switches\": {\"s\": {\"colour\": 1}}}",
			"switch s: a switch has no property colour"},
		{"{\"switches\": {\"s\": {\"protocols\": \"1.0,1.3\"}}}",
			"this release does not speak OpenFlow 1.0"},
		{"{\"switches\": {\"s\": {\"protocols\": [\"1.3\", \"1.5\"]}}}",
			"this release does not speak OpenFlow 1.5"},
		{"{\"switches\": {\"s\": {}, \"s\": {}}}", "duplicate"},
		{"{\"switches\": {\"0\": {}}}", "'0' cannot be a switch's name"},
		{"{\"switches\": {\"s\": {\"dpid\": \"xyz\"}}}", "dpid=xyz"},
		{"{\"switches\": {\"s\": {\"dpid\": null}}}", "dpid: must be"},
		{"{\"switches\": {\"s\": {\"ports\": {\"p\": {}}}}}", "type= is missing"},
		{"{\"switches\": {\"s\": {\"ports\": {\"p\": []}}}}", "must be an object"},
		{"{\"switches\": {\"s\": {\"ports\": {\"local\": {}}}}}", "reserved word"},
		{"{\"switches\": {\"s\": {\"ports\": {\"p\": {\"type\": \"x\", \"options\": 1}}}}}",
			"options: must be an object"},
		{"{\"switches\": {\"s\": {\"ports\": {\"p\": {\"type\": \"x\", \"tag\": 4096}}}}}",
			"switch s: port p: tag=4096: must be a number from 0 to 4095"},
		{"{\"switches\": {\"s\": {\"ports\": {\"p\": {\"type\": \"x\"}}}, "
		 "\"t\": {\"ports\": {\"p\": {\"type\": \"x\"}}}}}",
			"exists already, on switch s"},
		{"{\"switches\": {\"s\": {\"ports\": {\"p\": {\"type\": \"x\", \"of-port\": 1}, "
		 "\"q\": {\"type\": \"x\", \"of-port\": 1}}}}}",
			"of-port=1 is port p's"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_error err = {0};

		assert_null(config_parse(cases[i].text, strlen(cases[i].text), &err));
		if (!strstr(err.text, cases[i].words)) {
			print_message("case %u: %s\n", i, err.text);
		}
		assert_non_null(strstr(err.text, cases[i].words));
	}
}

static void
test_config_sets_and_takes_back_port_properties(void **state)
{
	static const char *const bad[][2] = {
		{"of-port", "0"},
		{"of-port", "65280"},
		{"of-port", "-1"},
		{"of-port", "1x"},
		{"tag", "4096"},
		{"tag", "x"},
		{"trunks", "1,,2"},
		{"trunks", "5-4"},
		{"trunks", "4096"},
		{"vlan-mode", "hybrid"},
		{"admin", "yes"},
		{"underlay", "up"},
		{"mtu", "67"},
		{"mtu", "65536"},
		{"Key", "1"},
		{"", "1"},
	};
	struct weft_error err = {0};
	struct config *c = config_create();
	struct config_switch *sw = config_switch_add(c, "s", &err);
	struct config_port *p = config_port_add(c, sw, "p", &err);

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		assert_false(config_port_set(p, bad[i][0], bad[i][1], &err));
		assert_true(err.text[0] != '\0');
	}
	assert_int_equal(p->n_options, 0);
	assert_true(config_port_set(p, "tag", "0", &err));
	assert_int_equal(p->tag, 0);
	assert_int_equal(config_port_vlan_mode(p), CONFIG_VLAN_ACCESS);
	assert_true(config_port_set(p, "tag", "", &err));
	assert_int_equal(p->tag, -1);
	assert_int_equal(config_port_vlan_mode(p), CONFIG_VLAN_TRUNK);
	assert_true(config_port_set(p, "b", "2", &err));
	assert_true(config_port_set(p, "a", "1", &err));
	assert_true(config_port_set(p, "c", "3", &err));
	assert_true(config_port_set(p, "b", "", &err));
	assert_true(config_port_set(p, "c", "4", &err));
	assert_int_equal(p->n_options, 2);
	assert_string_equal(p->options[0].key, "a");
	assert_string_equal(p->options[1].value, "4");
	config_destroy(c);
}

static void
test_config_checks_vlan_properties_together(void **state)
{
	static const struct {
		const char *tag, *trunks, *mode;
		bool good;
	} cases[] = {
		{"", "", "", true},
		{"1", "", "", true},
		{"", "1,2", "", true},
		{"1", "1,2", "", false},
		{"1", "", "access", true},
		{"", "", "access", false},
		{"1", "1", "access", false},
		{"", "", "trunk", true},
		{"1", "", "trunk", false},
		{"1", "1,2", "native-tagged", true},
		{"", "1,2", "native-tagged", false},
		{"1", "", "native-untagged", true},
		{"1", "", "dot1q-tunnel", true},
		{"", "", "dot1q-tunnel", false},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_error err = {0};
		struct config *c = config_create();
		struct config_switch *sw = config_switch_add(c, "s", &err);
		struct config_port *p = config_port_add(c, sw, "p", &err);

		assert_true(config_port_set(p, "type", "null", &err));
		assert_true(config_port_set(p, "tag", cases[i].tag, &err));
		assert_true(config_port_set(p, "trunks", cases[i].trunks, &err));
		assert_true(config_port_set(p, "vlan-mode", cases[i].mode, &err));
		assert_int_equal(config_port_check(sw, p, &err), cases[i].good);
		config_destroy(c);
	}
}

static void
test_config_allow_lists(void **state)
{
	static const struct {
		const char *text;
		struct of_allow_entry entry; /* the last */
	} good[] = {
		{"02:00:00:00:00:01", {{2, 0, 0, 0, 0, 1}, OF_ALLOW_ANY, 0, {0}}},
		{"02:00:00:00:00:01/10.0.0.1",
			{{2, 0, 0, 0, 0, 1}, OF_ALLOW_IPV4, 32, {10, 0, 0, 1}}},
		{"02:aB:00:00:00:ff/10.0.0.0/8",
			{{2, 0xab, 0, 0, 0, 0xff}, OF_ALLOW_IPV4, 8, {10}}},
		{"02:00:00:00:00:01/0.0.0.0/0", {{2, 0, 0, 0, 0, 1}, OF_ALLOW_IPV4, 0, {0}}},
		{"02:00:00:00:00:02,02:00:00:00:00:01/fd00::1",
			{{2, 0, 0, 0, 0, 1}, OF_ALLOW_IPV6, 128, {0xfd, [15] = 1}}},
		{"02:00:00:00:00:01/fe80::/10",
			{{2, 0, 0, 0, 0, 1}, OF_ALLOW_IPV6, 10, {0xfe, 0x80}}},
	};
	static const struct {
		const char *text, *words;
	} bad[] = {
		{",", "must be MAC"},
		{"2:0:0:0:0:1", "must be MAC"},
		{"02:00:00:00:00:01:02", "must be MAC"},
		{"02:00:00:00:00:0g", "must be MAC"},
		{"02:00:00:00:00:01 ", "must be MAC"},
		{"02:00:00:00:00:01,/10.0.0.1", "'/10.0.0.1'"},
		{"00:00:00:00:00:00", "not one that can send"},
		{"03:00:00:00:00:01", "not one that can send"},
		{"02:00:00:00:00:01/", "no IPv4 or IPv6 address"},
		{"02:00:00:00:00:01/10.0.0.1.1", "no IPv4 or IPv6 address"},
		{"02:00:00:00:00:01/10.0.0.1/", "from 0 to 32"},
		{"02:00:00:00:00:01/10.0.0.1/+8", "from 0 to 32"},
		{"02:00:00:00:00:01/10.0.0.1/032/1", "from 0 to 32"},
		{"02:00:00:00:00:01/10.0.0.0/33", "from 0 to 32"},
		{"02:00:00:00:00:01/::1/129", "from 0 to 128"},
		{"02:00:00:00:00:01/10.0.0.1/31", "bits beyond its length"},
		{"02:00:00:00:00:01/fd00::1/127", "bits beyond its length"},
		{"02:00:00:00:00:01/0.0.0.0", "nobody's address"},
		{"02:00:00:00:00:01/::", "nobody's address"},
		{"02:00:00:00:00:01/239.0.0.0/8", "multicast"},
		{"02:00:00:00:00:01/ff02::1", "multicast"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct weft_error err = {0};
		struct of_allow *list = config_allow_parse(good[i].text, &err);

		if (!list) {
			fail_msg("%s: %s", good[i].text, err.text);
		}
		assert_int_equal(list->n, strchr(good[i].text, ',') ? 2 : 1);
		assert_memory_equal(
			&list->entries[list->n - 1], &good[i].entry, sizeof(good[i].entry));
		free(list);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct weft_error err = {0};
		struct config *c = config_create();
		struct config_port *p =
			config_port_add(c, config_switch_add(c, "s", &err), "p", &err);

		if (config_port_set(p, "allow", bad[i].text, &err) ||
			!strstr(err.text, bad[i].words)) {
			fail_msg("%s: %s", bad[i].text, err.text);
		}
		assert_null(p->allow);
		config_destroy(c);
	}
}

static void
test_config_keeps_mirrors(void **state)
{
	static const char text[] =
		"{\"switches\": {\"s\": {\"ports\": {\"a\": {\"type\": \"null\"}, "
		"\"b\": {\"type\": \"null\"}}, \"mirrors\": {\"m\": {\"select-src-port\": \"a\", "
		"\"select-vlan\": [1, \"3-5\"], \"filter\": \"udp\", \"output-port\": \"b\", "
		"\"snap-len\": 64}, \"n\": {\"select-all\": true, \"output-vlan\": 9}}}}}";
	struct config *c = parse(text), *copy;
	struct config_switch *sw = c->switches[0];
	struct weft_error err = {0};
	char *first, *second;

	(void)state;
	assert_int_equal(sw->n_mirrors, 2);
	assert_string_equal(sw->mirrors[0]->src_ports, "a");
	assert_int_equal(sw->mirrors[0]->vlans[0], 0x3a);
	assert_string_equal(sw->mirrors[0]->filter, "udp");
	assert_int_equal(sw->mirrors[0]->snap_len, 64);
	assert_true(sw->mirrors[1]->select_all);
	assert_int_equal(sw->mirrors[1]->output_vlan, 9);
	assert_ptr_equal(config_mirror_of_port(sw, "b"), sw->mirrors[0]);
	assert_null(config_mirror_of_port(sw, "c"));
	copy = config_clone(c);
	assert_true(config_mirrors_equal(sw, copy->switches[0]));
	first = config_format(c);
	config_destroy(c);
	c = parse(first);
	second = config_format(c);
	assert_string_equal(first, second);
	assert_true(config_mirrors_equal(c->switches[0], copy->switches[0]));
	/* Each property counts. */
	for (unsigned i = 0; i < 6; i++) {
		static const char *const changes[][2] = {{"select-src-port", "b"},
			{"select-vlan", "1"}, {"filter", "tcp"}, {"output-port", "a"},
			{"snap-len", ""}, {"output-vlan", "8"}};
		struct config *other = config_clone(copy);

		assert_true(config_mirror_set(
			other->switches[0]->mirrors[i == 5], changes[i][0], changes[i][1], &err));
		assert_false(config_mirrors_equal(other->switches[0], copy->switches[0]));
		config_destroy(other);
	}
	config_mirror_del(c->switches[0], c->switches[0]->mirrors[0]);
	assert_false(config_mirrors_equal(c->switches[0], copy->switches[0]));
	assert_null(config_mirror_find(c->switches[0], "m"));
	assert_non_null(config_mirror_find(c->switches[0], "n"));
	free(first);
	free(second);
	config_destroy(c);
	config_destroy(copy);
}

static void
test_config_names(void **state)
{
	static const char *const good[] = {"a", "br-int", "vm.1_2", "A0"};
	static const char *const bad[] = {"", "1a", "-a", "a b", "a/b", "ANY", "Local", "in_port",
		"a23456789012345678901234567890123456789012345678901234567890abcd"};
	struct weft_error err = {0};
	struct config *c = config_create();
	struct config_switch *sw;
	struct config_port *p;

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(config_name_check("port", good[i], &err));
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		assert_false(config_name_check("port", bad[i], &err));
	}
	/* 15 characters for devices of the kernel. */
	sw = config_switch_add(c, "s", &err);
	p = config_port_add(c, sw, "a123456789012345", &err);
	assert_true(config_port_set(p, "type", "vhost-user", &err));
	assert_true(config_port_check(sw, p, &err));
	assert_true(config_port_set(p, "type", "tap", &err));
	memset(&err, 0, sizeof(err));
	assert_false(config_port_check(sw, p, &err));
	config_destroy(c);
}

static void
test_config_deletes_what_was_added(void **state)
{
	struct weft_error err = {0};
	struct config *c = config_create();
	struct config_switch *a = config_switch_add(c, "a", &err),
			     *b = config_switch_add(c, "b", &err);
	struct config_controller *ctl = config_controller_add(a, "tcp:1.2.3.4:6653", &err);
	struct config_switch *of = NULL;

	(void)state;
	assert_non_null(config_port_add(c, b, "p", &err));
	assert_null(config_port_add(c, a, "p", &err));
	assert_null(config_controller_add(a, "tcp:1.2.3.4:6653", &err));
	assert_ptr_equal(config_controller_find(a, "tcp:1.2.3.4:6653"), ctl);
	assert_true(config_controller_set(ctl, "rate-limit", "1000000", &err));
	assert_int_equal(ctl->rate_limit, 1000000);
	assert_true(config_controller_set(ctl, "rate-limit", "", &err));
	assert_int_equal(ctl->rate_limit, 0);
	weft_error_init(&err);
	assert_false(config_controller_set(ctl, "rate-limit", "1000001", &err));
	assert_string_equal(err.text, "rate-limit=1000001: must be a number from 0 to 1000000");
	assert_false(config_controller_set(ctl, "burst", "-1", &(struct weft_error){0}));
	assert_false(config_controller_set(ctl, "inactivity-probe", "99", &(struct weft_error){0}));
	assert_int_equal(ctl->probe_ms, 0);
	assert_true(config_controller_set(ctl, "inactivity-probe", "100", &err));
	assert_int_equal(ctl->probe_ms, 100);
	assert_true(config_controller_set(ctl, "inactivity-probe", "0", &err));
	assert_int_equal(ctl->probe_ms, CONFIG_NO_PROBE);
	assert_true(config_controller_set(ctl, "inactivity-probe", "", &err));
	assert_int_equal(ctl->probe_ms, 0);
	assert_false(config_controller_set(ctl, "rate", "1", &(struct weft_error){0}));
	config_controller_del(a, ctl);
	assert_int_equal(a->n_controllers, 0);
	config_switch_del(c, a);
	assert_null(config_switch_find(c, "a"));
	assert_non_null(config_port_find(c, "p", &of));
	assert_ptr_equal(of, b);
	config_port_del(b, config_port_find(c, "p", NULL));
	assert_null(config_port_find(c, "p", NULL));
	config_destroy(c);
}

static void
test_config_save_replaces_the_file(void **state)
{
	char directory[] = "/tmp/weft-config-XXXXXX", path[64], other[80];
	struct weft_error err = {0};
	struct config *c;
	char *text;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/etc/weft.json", directory);
	c = config_load(path, &err); /* does not exist: empty */
	assert_non_null(c);
	assert_int_equal(c->n_switches, 0);
	assert_true(config_save(c, path, &err)); /* makes the folder */
	config_destroy(c);
	c = parse(full);
	assert_true(config_save(c, path, &err));
	config_destroy(c);
	c = config_load(path, &err);
	assert_non_null(c);
	text = config_format(c);
	assert_string_equal(text, full);
	free(text);
	/* Where it cannot be written: a file in place of a folder. */
	snprintf(other, sizeof(other), "%s/x.json", path);
	assert_false(config_save(c, other, &err));
	assert_non_null(strstr(err.text, "cannot be saved"));
	config_destroy(c);
	/* A directory in its place. */
	unlink(path);
	mkdir(path, 0700);
	memset(&err, 0, sizeof(err));
	assert_null(config_load(path, &err));
	assert_non_null(strstr(err.text, path));
	rmdir(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_file_and_back),
		cmocka_unit_test(test_config_takes_other_kinds_of_values),
		cmocka_unit_test(test_config_refuses_bad_files),
		cmocka_unit_test(test_config_sets_and_takes_back_port_properties),
		cmocka_unit_test(test_config_checks_vlan_properties_together),
		cmocka_unit_test(test_config_allow_lists),
		cmocka_unit_test(test_config_keeps_mirrors),
		cmocka_unit_test(test_config_names),
		cmocka_unit_test(test_config_deletes_what_was_added),
		cmocka_unit_test(test_config_save_replaces_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
