/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet addresses as text: there and back, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/eth_addr.h"

static void
test_eth_addr_there_and_back(void **state)
{
	static const uint8_t addr[6] = {0x02, 0x00, 0x5e, 0xab, 0xc0, 0xff};
	char text[ETH_ADDR_TEXT_SIZE];
	uint8_t back[6];

	(void)state;
	assert_ptr_equal(eth_addr_text(addr, text), text);
	assert_string_equal(text, "02:00:5e:ab:c0:ff");
	assert_true(eth_addr_parse(text, back));
	assert_memory_equal(back, addr, sizeof(addr));
	assert_true(eth_addr_parse("02:00:5E:AB:C0:FF", back));
	assert_memory_equal(back, addr, sizeof(addr));
}

static void
test_eth_addr_none(void **state)
{
	static const char *const none[] = {"", "02", "02:", "02:00:00:00:00",
		"02:00:00:00:00:", "02:00:00:00:00:0", "02:00:00:00:00:01:", "02:00:00:00:00:01 ",
		" 02:00:00:00:00:01", "02:00:00:00:00:01:02", "2:0:0:0:0:1", "02-00-00-00-00-01",
		"-1:00:00:00:00:01", "+1:00:00:00:00:01", " 2:00:00:00:00:01", "0x:00:00:00:00:01",
		"02:00:00:00:00:0g", "002:00:00:00:00:01"};
	uint8_t addr[6];

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_false(eth_addr_parse(none[i], addr));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eth_addr_there_and_back),
		cmocka_unit_test(test_eth_addr_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
