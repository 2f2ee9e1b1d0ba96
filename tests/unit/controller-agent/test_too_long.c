/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers to packets that are too long: bytes as scapy makes them, and packets that get none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller-agent/too_long.h"
#include "lib/compiler.h"

#define TO "020000000002020000000001"
#define BACK "020000000001020000000002"

/* TCP, don't fragment, VLAN 5 with priority 3; an echo request. */
static const char tcp4[] = TO "8100600508004500002b00074000400626c40a0000010a0000020001000200000000"
			      "0000000050022000875f00007a7a7a";
static const char echo6[] = TO "86dd60000000000b3a40fd000000000000000000000000000001"
			       "fd0000000000000000000000000000028000b24e000100016f6464";

static size_t
bytes_of(const char *hex, uint8_t *bytes)
{
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		bytes[i] = (uint8_t)byte;
	}
	return len;
}

static void
expect(const uint8_t *answer, size_t len, const char *hex)
{
	uint8_t bytes[2048];

	assert_int_equal(bytes_of(hex, bytes), len);
	assert_memory_equal(answer, bytes, len);
}

static void
test_too_long_tells_the_sender(void **state)
{
	uint8_t frame[2048], answer[TOO_LONG_MAX_ANSWER];
	size_t len = bytes_of(tcp4, frame);

	(void)state;
	expect(answer, too_long_answer(frame, len, 72, answer),
		BACK
		"8100600508004"
		"5c0004700004000400125f40a0000020a000001030410d800000044"
		"4500002b00074000400626c40a0000010a00000200010002000000000000000050022000875f0000"
		"7a7a7a");
	len = bytes_of(echo6, frame);
	expect(answer, too_long_answer(frame, len, 1280, answer),
		BACK
		"86dd60000000003b3a40fd000000000000000000000000000002fd000000000000000000000000"
		"0000010200647f0000050060000000000b3a40fd000000000000000000000000000001fd0000000"
		"000000000000000000000028000b24e000100016f6464");
}

/* As much of the packet as the answer may be long. */
static void
test_too_long_quotes_what_fits(void **state)
{
	uint8_t frame[2048], answer[TOO_LONG_MAX_ANSWER], head[256];
	size_t len =
		bytes_of(TO "0800450002d8000740004011240c0a0000010a0000020001000202c4d24c", frame);

	(void)state;
	memset(frame + len, 'y', 700);
	assert_int_equal(too_long_answer(frame, len + 700, 1450, answer), 14 + 576);
	len = bytes_of(BACK "080045c0024000004000400123fb0a0000020a0000010304c2de000005aa", head);
	assert_memory_equal(answer, head, len);
	assert_memory_equal(answer + len, frame + 14, 576 - 28);
	len = bytes_of(TO
		"86dd6000000005e41140fd000000000000000000000000000001fd00000000000000000000"
		"0000000002"
		"0001000205e4fa1e",
		frame);
	memset(frame + len, 'w', 1500);
	assert_int_equal(too_long_answer(frame, len + 1500, 1430, answer), 14 + 1280);
	len = bytes_of(BACK
		"86dd6000000004d83a40fd000000000000000000000000000002fd000000000000000000"
		"000000000001020043df00000596",
		head);
	assert_memory_equal(answer, head, len);
	assert_memory_equal(answer + len, frame + 14, 1280 - 48);
}

static void
test_too_long_is_silent_where_it_must(void **state)
{
	/* A byte of the frame that is another one. */
	static const struct {
		const char *frame;
		uint16_t at;
		uint8_t value;
		uint32_t mtu;
	} rows[] = {
		{tcp4, 18, 0x45, 71},   /* less than IPv4 allows */
		{tcp4, 24, 0x00, 1000}, /* it may be fragmented */
		{tcp4, 24, 0x60, 1000}, /* a first fragment */
		{tcp4, 25, 0x05, 1000}, /* a later one */
		{tcp4, 0, 0x03, 1000},  /* to many */
		{tcp4, 6, 0x03, 1000},  /* from many */
		{tcp4, 30, 0xe0, 1000}, /* from, to what is no host's */
		{tcp4, 30, 0x00, 1000},
		{tcp4, 30, 0x7f, 1000},
		{tcp4, 34, 0xef, 1000},
		{tcp4, 34, 0xff, 1000},
		{tcp4, 16, 0x88, 1000},  /* not IP */
		{tcp4, 18, 0x44, 1000},  /* malformed */
		{echo6, 14, 0x60, 1279}, /* less than IPv6 allows */
		{echo6, 22, 0xff, 1400}, /* addresses */
		{echo6, 38, 0xff, 1400},
		{echo6, 54, 1, 1400}, /* errors */
		{echo6, 54, 127, 1400},
		{echo6, 54, 137, 1400},
	};
	uint8_t frame[2048], answer[TOO_LONG_MAX_ANSWER];
	size_t len;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		len = bytes_of(rows[i].frame, frame);
		assert_true(too_long_answer(frame, len, 1400, answer));
		frame[rows[i].at] = rows[i].value;
		if (too_long_answer(frame, len, rows[i].mtu, answer)) {
			fail_msg("row %zu is answered", i);
		}
	}
	/* ICMP: errors get none, requests do. */
	for (unsigned type = 0; type < 20; type++) {
		bool is_error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;

		len = bytes_of(tcp4, frame);
		frame[27] = 1;
		frame[38] = (uint8_t)type;
		assert_int_equal(too_long_answer(frame, len, 1000, answer) == 0, is_error);
	}
	/* The unspecified address and the loopback. */
	for (uint8_t last = 0; last < 3; last++) {
		len = bytes_of(echo6, frame);
		memset(frame + 22, 0, 16);
		frame[37] = last;
		assert_int_equal(too_long_answer(frame, len, 1400, answer) == 0, last < 2);
	}
	/* Cut at every length. */
	len = bytes_of(tcp4, frame);
	for (size_t n = 0; n < 18 + 20; n++) {
		assert_int_equal(too_long_answer(frame, n, 1000, answer), 0);
	}
	len = bytes_of(echo6, frame);
	for (size_t n = 0; n < 14 + 40; n++) {
		assert_int_equal(too_long_answer(frame, n, 1400, answer), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_long_tells_the_sender),
		cmocka_unit_test(test_too_long_quotes_what_fits),
		cmocka_unit_test(test_too_long_is_silent_where_it_must),
	};

	return cmocka_run_group_tests_name("too_long", tests, NULL, NULL);
}
