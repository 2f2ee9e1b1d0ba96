/* SPDX-License-Identifier: Apache-2.0
 *
 * Room: datapath. BFD: frames of any bytes are refused or understood, and no control packet brings a session into a
 * state of its own making: it says when it is due, sends what it must and no more. The input is a list of steps: a
 * byte of length and, in milliseconds, of time that passes, then the payload of a UDP datagram.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/bfd_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct bfd_config config = {.min_tx_us = 10000, .min_rx_us = 10000, .mult = 3};

/* Of the exact size, so that the sanitizer sees a byte too many. */
static bool
parse(const uint8_t *bytes, size_t len, bool whole_frame, struct bfd_packet *p)
{
	uint8_t *copy = malloc(len ? len : 1);
	bool ok;

	memcpy(copy, bytes, len);
	ok = whole_frame ? bfd_frame_parse(copy, (uint32_t)len, p)
			 : bfd_packet_parse(copy, (uint32_t)len, p);
	free(copy);
	return ok;
}

static void
run(struct bfd *b, uint64_t now)
{
	uint8_t bytes[BFD_PACKET_LEN];
	struct bfd_packet p;
	unsigned n = 0;

	while (bfd_run(b, now)) {
		bfd_packet_write(b, bytes);
		bfd_sent(b, now);
		/* What we send we would take; an answer, a poll, and no third. */
		if (!bfd_packet_parse(bytes, BFD_PACKET_LEN, &p) || (p.poll && p.final) ||
			++n > 2) {
			abort();
		}
	}
	if (bfd_due(b) <= now) {
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bfd_packet p;
	uint64_t now = 0;
	struct bfd b;

	(void)parse(data, len, true, &p);
	bfd_init(&b, 1, &config, now);
	run(&b, now);
	while (len >= 2) {
		size_t n = data[0] < len - 2 ? data[0] : len - 2;

		now += (uint64_t)data[1] * 1000;
		run(&b, now);
		if (parse(data + 2, n, false, &p)) {
			(void)bfd_receive(&b, &p, now);
			run(&b, now);
		}
		data += 2 + n;
		len -= 2 + n;
	}
	return 0;
}
