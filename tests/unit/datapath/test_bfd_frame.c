/* SPDX-License-Identifier: Apache-2.0
 *
 * BFD: frames. The bytes are scapy's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datapath/bfd_frame.h"

static const char packet_text[] = "20c8031801020304"
				  "0a0b0c0d"
				  "00002710"
				  "00004e20"
				  "00000000";
/* Ether(dst="00:00:5e:00:52:02", src="02:00:01:02:03:04") / IP(src="169.254.1.1", dst="127.0.0.1", ttl=255,
 * tos=0xc0, flags="DF", id=0) / UDP(sport=50000, dport=3784) / packet */
static const char frame_text[] = "00005e005202020001020304080045c0003400004000ff1150f8a9fe01017f00"
				 "0001c3500ec80020506620c80318010203040a0b0c0d0000271000004e200000"
				 "0000";
/* The same with IPv6(src="fe80::1", dst="::1", hlim=255). */
static const char frame6_text[] = "00005e00520202000102030486dd60000000002011fffe800000000000000000"
				  "00000000000100000000000000000000000000000001c3500ec800207be420c8"
				  "0318010203040a0b0c0d0000271000004e2000000000";

static uint32_t
bytes_of(const char *text, uint8_t *bytes)
{
	uint32_t n = (uint32_t)strlen(text) / 2;

	for (uint32_t i = 0; i < n; i++) {
		char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};

		bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

static void
test_bfd_frame_write(void **state)
{
	static const struct bfd_frame_ends ends = {
		.src_mac = {0x02, 0, 1, 2, 3, 4},
		.dst_mac = {0, 0, 0x5e, 0, 0x52, 2},
		.src_ip = {169, 254, 1, 1},
		.dst_ip = {127, 0, 0, 1},
		.src_port = 50000,
	};
	uint8_t packet[64], wanted[128], frame[BFD_FRAME_LEN];

	(void)state;
	assert_int_equal(bytes_of(packet_text, packet), BFD_PACKET_LEN);
	assert_int_equal(bytes_of(frame_text, wanted), BFD_FRAME_LEN);
	bfd_frame_write(&ends, packet, frame);
	assert_memory_equal(frame, wanted, BFD_FRAME_LEN);
}

static void
test_bfd_frame_parse(void **state)
{
	static const char *const texts[] = {frame_text, frame6_text};
	struct bfd_packet p;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t frame[128] = {0};
		uint32_t n = bytes_of(texts[i], frame);

		memset(&p, 0, sizeof(p));
		assert_true(bfd_frame_parse(frame, n, &p));
		assert_int_equal(p.my_discr, 0x01020304);
		assert_int_equal(p.your_discr, 0x0a0b0c0d);
		assert_int_equal(p.diag, 0);
		assert_int_equal(p.state, BFD_UP);
		assert_int_equal(p.min_rx_us, 20000);
		/* Padding behind it; each byte that is missing. */
		assert_true(bfd_frame_parse(frame, n + 7, &p));
		for (uint32_t len = 0; len < n; len++) {
			uint8_t *exact = malloc(len + 1);

			memcpy(exact, frame, len);
			assert_false(bfd_frame_parse(exact, len, &p));
			free(exact);
		}
		/* Any byte of addresses, lengths and contents that is another: a checksum is wrong, if
		 * nothing else. */
		for (uint32_t at = 12; at < n; at++) {
			frame[at] ^= 0x40;
			if (i == 0 || at < 15 || at > 17) { /* but IPv6's flow label */
				assert_false(bfd_frame_parse(frame, n, &p));
			}
			frame[at] ^= 0x40;
		}
		/* No UDP checksum. */
		memset(frame + n - BFD_PACKET_LEN - 2, 0, 2);
		assert_true(bfd_frame_parse(frame, n, &p));
	}
}

/* With the checksums that hide nothing: UDP's is 0, IPv4's is made right. */
static bool
parse_changed(const char *text, uint32_t at, uint8_t value)
{
	uint8_t frame[128] = {0};
	uint32_t n = bytes_of(text, frame), sum = 0;
	struct bfd_packet p;

	memset(frame + n - BFD_PACKET_LEN - 2, 0, 2);
	frame[at] = value;
	if (text == frame_text) {
		frame[24] = frame[25] = 0;
		for (unsigned i = 14; i < 34; i += 2) {
			sum += (uint32_t)frame[i] << 8 | frame[i + 1];
		}
		sum = (sum & 0xffff) + (sum >> 16);
		sum = (sum & 0xffff) + (sum >> 16);
		frame[24] = (uint8_t)(~sum >> 8);
		frame[25] = (uint8_t)~sum;
	}
	return bfd_frame_parse(frame, n, &p);
}

static void
test_bfd_frame_refuses(void **state)
{
	(void)state;
	/* RFC 5881 s.5: from afar. */
	assert_true(parse_changed(frame_text, 22, 255));
	assert_false(parse_changed(frame_text, 22, 254));
	assert_false(parse_changed(frame6_text, 21, 254));
	/* Fragments; options of IPv4 are none of our business, but their length is. */
	assert_false(parse_changed(frame_text, 20, 0x20));
	assert_false(parse_changed(frame_text, 21, 1));
	assert_false(parse_changed(frame_text, 14, 0x46));
	assert_false(parse_changed(frame_text, 14, 0x44));
	assert_false(parse_changed(frame_text, 14, 0x55));
	assert_false(parse_changed(frame6_text, 14, 0x50));
	/* Lengths. */
	assert_false(parse_changed(frame_text, 17, 0x33));
	assert_false(parse_changed(frame_text, 17, 0x35));
	assert_false(parse_changed(frame_text, 17, 27));
	assert_false(parse_changed(frame6_text, 19, 0x1f));
	assert_false(parse_changed(frame6_text, 19, 0x21));
	assert_false(parse_changed(frame6_text, 19, 7));
	assert_false(parse_changed(frame_text, 39, 0x1f));
	assert_false(parse_changed(frame_text, 39, 0x21));
	assert_false(parse_changed(frame_text, 39, 7));
	/* Not UDP, another port. */
	assert_false(parse_changed(frame_text, 23, 6));
	assert_false(parse_changed(frame6_text, 20, 6));
	assert_false(parse_changed(frame_text, 37, 0xc9));
	assert_false(parse_changed(frame_text, 12, 0x81));
	/* What is wrong with the packet itself. */
	assert_false(parse_changed(frame_text, 42, 0x40));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bfd_frame_write),
		cmocka_unit_test(test_bfd_frame_parse),
		cmocka_unit_test(test_bfd_frame_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
