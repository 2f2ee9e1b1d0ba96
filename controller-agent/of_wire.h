/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes of OpenFlow messages: appending numbers in network order, whole messages, padding.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/byteorder.h"
#include "lib/strbuf.h"

#define OF_MESSAGE_MAX 65535u

static inline void
wire_put_u8(struct strbuf *out, uint8_t v)
{
	strbuf_put_bytes(out, &v, 1);
}

static inline void
wire_put_u16(struct strbuf *out, uint16_t v)
{
	be16_t b = be16_from(v);

	strbuf_put_bytes(out, &b, sizeof(b));
}

static inline void
wire_put_u32(struct strbuf *out, uint32_t v)
{
	be32_t b = be32_from(v);

	strbuf_put_bytes(out, &b, sizeof(b));
}

static inline void
wire_put_u64(struct strbuf *out, uint64_t v)
{
	be64_t b = be64_from(v);

	strbuf_put_bytes(out, &b, sizeof(b));
}

static inline void
wire_put_zeros(struct strbuf *out, size_t n)
{
	static const uint8_t zeros[64];

	for (; n > sizeof(zeros); n -= sizeof(zeros)) {
		strbuf_put_bytes(out, zeros, sizeof(zeros));
	}
	strbuf_put_bytes(out, zeros, n);
}

/* Zeroes until what began at @start is a multiple of 8 long. */
static inline void
wire_pad8(struct strbuf *out, size_t start)
{
	wire_put_zeros(out, -(out->len - start) & 7);
}

/* A name or text in a field of @size bytes, cut if need be; the last byte is always zero. */
static inline void
wire_put_text(struct strbuf *out, const char *text, size_t size)
{
	size_t len = text ? strnlen(text, size - 1) : 0;

	strbuf_put_bytes(out, text, len);
	wire_put_zeros(out, size - len);
}

/* Overwrites 16 bits. */
static inline void
wire_set_u16(struct strbuf *out, size_t at, uint16_t v)
{
	put_be16(out->data + at, v);
}

/* Begins a message; where it begins. Its length is filled in at the end. */
static inline size_t
wire_begin(struct strbuf *out, uint8_t version, uint8_t type, uint32_t xid)
{
	size_t start = out->len;

	wire_put_u8(out, version);
	wire_put_u8(out, type);
	wire_put_u16(out, 0);
	wire_put_u32(out, xid);
	return start;
}

static inline void
wire_end(struct strbuf *out, size_t start)
{
	wire_set_u16(out, start + 2, (uint16_t)(out->len - start));
}
