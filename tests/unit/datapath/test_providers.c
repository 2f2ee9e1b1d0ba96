/* SPDX-License-Identifier: Apache-2.0
 *
 * Port types and their options: what is refused, and with which words.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "datapath/netdev.h"
#include "datapath/providers.h"
#include "lib/compiler.h"
#include "lib/error.h"

static const struct port_option_spec specs[] = {
	{"path", PORT_OPT_TEXT, 0, 0, NULL, true, false, "where it stands"},
	{"queues", PORT_OPT_UINT, 1, 16, NULL, false, false, "how many"},
	{"mtu", PORT_OPT_UINT, 68, 65535, NULL, false, true, "of the device"},
	{"quiet", PORT_OPT_BOOL, 0, 0, NULL, false, true, "says nothing"},
	{"mode", PORT_OPT_CHOICE, 0, 0, "server,client", false, false, "who listens"},
	{NULL, PORT_OPT_TEXT, 0, 0, NULL, false, false, NULL},
};

static const struct port_provider provider = {.type = "thing", .help = "a thing", .options = specs};

#define CHECK(SET, ERR, ...)                                                                       \
	provider_check_options(&provider, (const struct port_option[]){__VA_ARGS__},               \
		sizeof((const struct port_option[]){__VA_ARGS__}) / sizeof(struct port_option),    \
		SET, ERR)

static void
test_providers_finds_each_type(void **state)
{
	static const char *const types[] = {"vhost-user", "veth", "internal", "tap", "af-packet",
		"ethdev", "af-xdp", "pcap", "memif", "null", "bond", "vxlan", "geneve", "gre",
		"erspan"};
	struct weft_error err = WEFT_ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(types); i++) {
		const struct port_provider *found = provider_find(types[i], &err);

		assert_non_null(found);
		assert_string_equal(found->type, types[i]);
		assert_non_null(found->options);
	}
	assert_false(weft_error_is_set(&err));
}

static void
test_providers_unknown_type_names_the_known_ones(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)state;
	assert_null(provider_find("vhost", &err));
	assert_int_equal(err.domain, WEFT_ERR_INVALID);
	assert_string_equal(err.text,
		"unknown port type \"vhost\"; there are vhost-user, veth, internal, tap, "
		"af-packet, ethdev, af-xdp, pcap, memif, null, bond, vxlan, geneve, gre, erspan");
}

static void
test_providers_takes_right_options(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)state;
	assert_true(CHECK(false, &err, {"path", "/a"}));
	assert_true(CHECK(false, &err, {"mode", "client"}, {"queues", "16"}, {"path", "/a"},
		{"mtu", "68"}, {"quiet", "no"}));
	assert_true(CHECK(false, &err, {"path", "/a"}, {"queues", "1"}, {"mode", "server"}));
	assert_true(CHECK(true, &err, {"mtu", "65535"}, {"quiet", "yes"}));
	assert_false(weft_error_is_set(&err));
}

static void
refuse(bool set, const char *key, const char *value, int code, const char *text)
{
	struct weft_error err = WEFT_ERROR_INIT;

	if (set) {
		assert_false(CHECK(true, &err, {key, value}));
	} else {
		assert_false(CHECK(false, &err, {"path", "/a"}, {key, value}));
	}
	assert_int_equal(err.domain, WEFT_ERR_INVALID);
	assert_int_equal(err.code, code);
	assert_string_equal(err.text, text);
}

static void
test_providers_refuses_wrong_options(void **state)
{
	(void)state;
	refuse(false, "pth", "x", EINVAL,
		"port type thing has no option \"pth\"; it has path, queues, mtu, quiet, mode");
	refuse(false, "queues", "0", ERANGE, "queues takes a number from 1 to 16, not \"0\"");
	refuse(false, "queues", "17", ERANGE, "queues takes a number from 1 to 16, not \"17\"");
	refuse(false, "queues", "-1", ERANGE, "queues takes a number from 1 to 16, not \"-1\"");
	refuse(false, "queues", " 2", ERANGE, "queues takes a number from 1 to 16, not \" 2\"");
	refuse(false, "queues", "2x", ERANGE, "queues takes a number from 1 to 16, not \"2x\"");
	refuse(false, "queues", "", ERANGE, "queues takes a number from 1 to 16, not \"\"");
	refuse(false, "queues", "18446744073709551617", ERANGE,
		"queues takes a number from 1 to 16, not \"18446744073709551617\"");
	refuse(false, "quiet", "true", EINVAL, "quiet is yes or no, not \"true\"");
	refuse(false, "mode", "serv", EINVAL, "mode is one of server,client, not \"serv\"");
	refuse(false, "mode", "server,client", EINVAL,
		"mode is one of server,client, not \"server,client\"");
	refuse(false, "mode", "", EINVAL, "mode is one of server,client, not \"\"");
	refuse(true, "queues", "2", EBUSY,
		"queues cannot change while the port is there; remove the port and add it anew");
	refuse(true, "mtu", "67", ERANGE, "mtu takes a number from 68 to 65535, not \"67\"");
}

static void
test_providers_wants_required_options(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;

	(void)state;
	assert_false(CHECK(false, &err, {"mode", "client"}));
	assert_string_equal(err.text, "port type thing needs path=: where it stands");
	weft_error_init(&err);
	assert_false(CHECK(false, &err, {"path", ""}));
	assert_string_equal(err.text, "path needs a value");
}

static void
test_netdev_checks_addresses(void **state)
{
	static const char *const right[] = {"10.0.0.1/24", "0.0.0.0/0", "1.2.3.4/32", "fe80::1/64",
		"::/0", "2001:db8::1/128", "10.0.0.1/24,fd00::1/64,10.0.0.2/32"};
	static const char *const wrong[] = {"", "10.0.0.1", "10.0.0.1/", "10.0.0.1/33",
		"10.0.0.1/-1", "10.0.0.1/ 8", "10.0.0.1/8x", "10.0.0/8", "10.0.0.256/8",
		"fe80::1/129", "fe80::g/64", "/8", ",10.0.0.1/8", "10.0.0.1/8,,10.0.0.2/8",
		"10.0.0.1/8;", "name/8",
		"0000000000000000000000000000000000000000000000000000000000000000000001.2.3.4/8"};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(right); i++) {
		assert_true(netdev_check_addresses(right[i], NULL));
	}
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(wrong); i++) {
		struct weft_error err = WEFT_ERROR_INIT;

		assert_false(netdev_check_addresses(wrong[i], &err));
		assert_int_equal(err.code, EINVAL);
		assert_non_null(strstr(err.text, "ip takes ADDRESS/PREFIX[,..]"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_providers_finds_each_type),
		cmocka_unit_test(test_providers_unknown_type_names_the_known_ones),
		cmocka_unit_test(test_providers_takes_right_options),
		cmocka_unit_test(test_providers_refuses_wrong_options),
		cmocka_unit_test(test_providers_wants_required_options),
		cmocka_unit_test(test_netdev_checks_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
