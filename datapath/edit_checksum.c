/* SPDX-License-Identifier: Apache-2.0
 *
 * Packet edits: checksums.
 */
#include <rte_mbuf.h>
#include <string.h>

#include "datapath/edit.h"
#include "datapath/edit_internal.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "vhost/packet_mbuf.h"

/* --- the Internet checksum (RFC 1071) ------------------------------------------------------------------ */

static uint16_t
fold(uint64_t sum)
{
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* One's complement sum of @n bytes as 16-bit words; an odd last byte is padded. */
static uint64_t
sum_bytes(const uint8_t *bytes, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2) {
		sum += get_be16(bytes + i);
	}
	return n & 1 ? sum + ((uint32_t)bytes[n - 1] << 8) : sum;
}

void
edit_adjust_csum(
	uint8_t *csum, const uint8_t *was, const uint8_t *now, size_t n, bool partial, bool no_zero)
{
	uint16_t old = get_be16(csum), sum;
	uint64_t difference = sum_bytes(now, n);

	for (size_t i = 0; i < n; i += 2) {
		difference += (uint16_t) ~(((uint32_t)was[i] << 8) | (i + 1 < n ? was[i + 1] : 0));
	}
	if (partial) {
		put_be16(csum, fold(old + difference));
		return;
	}
	sum = (uint16_t)~fold((uint16_t)~old + difference);
	put_be16(csum, no_zero && !sum ? 0xffff : sum);
}

void
packet_complete_csum(const struct packet *p, uint8_t *data, uint32_t len)
{
	uint32_t start = p->csum_start, at = start + p->csum_offset;
	uint64_t sum = 0;
	uint16_t csum;

	if (!(p->flags & PACKET_CSUM_PARTIAL) || len < at + 2) {
		return;
	}
	/* The bytes that are not in @data are summed where they are. */
	sum = sum_bytes(data + start, len - start);
	for (uint32_t i = len; i < p->len;) {
		uint8_t chunk[256];
		uint32_t n = WEFT_MIN(p->len - i, (uint32_t)sizeof chunk);
		const uint8_t *more = rte_pktmbuf_read(packet_mbuf(p), i, n, chunk);

		for (uint32_t j = 0; more && j < n; j++) {
			sum += (i + j - start) & 1 ? more[j] : (uint32_t)more[j] << 8;
		}
		i += n;
	}
	/* An odd end of @data was padded as if it were the last byte: it was its high byte all the same. */
	csum = (uint16_t)~fold(sum);
	put_be16(data + at, csum ? csum : 0xffff);
}

/* --- CRC32c (RFC 9260 appendix A) ---------------------------------------------------------------------- */

#define CRC_POLYNOMIAL 0x82f63b78u /* bit 31 is the coefficient of x^0 */
#define CRC_ONE 0x80000000u
#define CRC_X8 0x00800000u

/* The product of two polynomials, reduced. */
static uint32_t
crc_multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (; a; a <<= 1) {
		product ^= a & CRC_ONE ? b : 0;
		b = b & 1 ? b >> 1 ^ CRC_POLYNOMIAL : b >> 1;
	}
	return product;
}

void
edit_adjust_crc(uint8_t *crc, const uint8_t *was, const uint8_t *now, size_t n, uint32_t behind)
{
	uint32_t difference = 0, power = CRC_X8;

	for (size_t i = 0; i < n; i++) {
		difference ^= (uint32_t)(was[i] ^ now[i]);
		for (unsigned bit = 0; bit < 8; bit++) {
			difference =
				difference & 1 ? difference >> 1 ^ CRC_POLYNOMIAL : difference >> 1;
		}
	}
	/* Each byte behind multiplies by x^8: squares of that make any number of them in a few steps. */
	for (; difference && behind; behind >>= 1) {
		if (behind & 1) {
			difference = crc_multiply(difference, power);
		}
		power = crc_multiply(power, power);
	}
	for (unsigned i = 0; i < 4; i++) { /* least significant byte first */
		crc[i] ^= (uint8_t)(difference >> 8 * i);
	}
}
