/* SPDX-License-Identifier: Apache-2.0
 *
 * pcapng blocks.
 *
 * Spec: draft-ietf-opsawg-pcapng s.3.1 (blocks), s.3.5 (options), s.4.1 to 4.6.
 */
#include "lib/pcapng.h"

#include <errno.h>
#include <string.h>

#include "lib/strbuf.h"

#define MAGIC 0x1a2b3c4du
#define LINKTYPE_ETHERNET 1u
#define TSRESOL_NS 9u

#define BLOCK_HEADER 8u
#define BLOCK_MIN 12u
#define PACKET_HEADER 20u
#define STATISTICS_HEADER 12u

enum option {
	OPT_END = 0,
	OPT_COMMENT = 1,
	SHB_APPLICATION = 4,
	IF_NAME = 2,
	IF_DESCRIPTION = 3,
	IF_TSRESOL = 9,
	IF_FILTER = 11,
	EPB_FLAGS = 2,
	EPB_DROPCOUNT = 4,
	EPB_QUEUE = 6,
	ISB_STARTTIME = 2,
	ISB_ENDTIME = 3,
	ISB_IFRECV = 4,
	ISB_IFDROP = 5,
	ISB_FILTERACCEPT = 6,
	ISB_USRDELIV = 8,
};

static void
put32(struct strbuf *out, uint32_t v)
{
	strbuf_put_bytes(out, &v, sizeof v);
}

static void
put16(struct strbuf *out, uint16_t v)
{
	strbuf_put_bytes(out, &v, sizeof v);
}

static void
pad(struct strbuf *out, size_t n)
{
	static const uint8_t zero[3];

	strbuf_put_bytes(out, zero, -n & 3);
}

static void
put_option(struct strbuf *out, uint16_t code, const void *value, size_t n)
{
	uint16_t len = (uint16_t)WEFT_MIN(n, (size_t)UINT16_MAX);

	put16(out, code);
	put16(out, len);
	strbuf_put_bytes(out, value, len);
	pad(out, len);
}

static void
put_text(struct strbuf *out, uint16_t code, const char *text)
{
	if (text && *text) {
		put_option(out, code, text, strlen(text));
	}
}

static void
put_count(struct strbuf *out, uint16_t code, uint64_t n)
{
	put_option(out, code, &n, sizeof n);
}

/* A time as s.4.3 has it: upper half first. */
static void
put_time(struct strbuf *out, uint64_t ns)
{
	put32(out, (uint32_t)(ns >> 32));
	put32(out, (uint32_t)ns);
}

static void
put_time_option(struct strbuf *out, uint16_t code, uint64_t ns)
{
	uint32_t halves[2] = {(uint32_t)(ns >> 32), (uint32_t)ns};

	put_option(out, code, halves, sizeof halves);
}

/* Begins a block; returns where it begins. */
static size_t
begin(struct strbuf *out, uint32_t type)
{
	size_t at = out->len;

	put32(out, type);
	put32(out, 0);
	return at;
}

/* Ends options and block. */
static void
end(struct strbuf *out, size_t at)
{
	uint32_t size;

	put32(out, OPT_END);
	size = (uint32_t)(out->len - at) + 4;
	put32(out, size);
	memcpy(out->data + at + 4, &size, sizeof size);
}

void
pcapng_put_section(struct strbuf *out, const char *application)
{
	size_t at = begin(out, PCAPNG_SECTION);
	uint64_t unknown = UINT64_MAX;

	put32(out, MAGIC);
	put16(out, 1);
	put16(out, 0);
	strbuf_put_bytes(out, &unknown, sizeof unknown);
	put_text(out, SHB_APPLICATION, application);
	end(out, at);
}

void
pcapng_put_interface(struct strbuf *out, const struct pcapng_interface *interface)
{
	size_t at = begin(out, PCAPNG_INTERFACE), filter;
	uint8_t resolution = TSRESOL_NS;

	put16(out, LINKTYPE_ETHERNET);
	put16(out, 0);
	put32(out, interface->snaplen);
	put_text(out, IF_NAME, interface->name);
	put_text(out, IF_DESCRIPTION, interface->description);
	put_option(out, IF_TSRESOL, &resolution, 1);
	if (interface->filter && *interface->filter) {
		/* One byte says that it is libpcap's language. */
		filter = WEFT_MIN(strlen(interface->filter), (size_t)UINT16_MAX - 1);
		put16(out, IF_FILTER);
		put16(out, (uint16_t)(filter + 1));
		strbuf_put_bytes(out, "", 1);
		strbuf_put_bytes(out, interface->filter, filter);
		pad(out, filter + 1);
	}
	end(out, at);
}

void
pcapng_put_packet(struct strbuf *out, const struct pcapng_packet *packet)
{
	size_t at = begin(out, PCAPNG_PACKET);

	put32(out, 0); /* the interface */
	put_time(out, packet->time_ns);
	put32(out, packet->caplen);
	put32(out, packet->len);
	strbuf_put_bytes(out, packet->data, packet->caplen);
	pad(out, packet->caplen);
	put_option(out, EPB_FLAGS, &packet->direction, sizeof packet->direction);
	if (packet->lost) {
		put_count(out, EPB_DROPCOUNT, packet->lost);
	}
	if (packet->queue) {
		put_option(out, EPB_QUEUE, &packet->queue, sizeof packet->queue);
	}
	put_text(out, OPT_COMMENT, packet->comment);
	end(out, at);
}

void
pcapng_put_statistics(struct strbuf *out, const struct pcapng_statistics *s)
{
	size_t at = begin(out, PCAPNG_STATISTICS);

	put32(out, 0); /* the interface */
	put_time(out, s->end_ns);
	put_time_option(out, ISB_STARTTIME, s->start_ns);
	put_time_option(out, ISB_ENDTIME, s->end_ns);
	put_count(out, ISB_IFRECV, s->received);
	put_count(out, ISB_IFDROP, s->lost);
	put_count(out, ISB_FILTERACCEPT, s->accepted);
	put_count(out, ISB_USRDELIV, s->delivered);
	put_text(out, OPT_COMMENT, s->comment);
	end(out, at);
}

/* --- reading ------------------------------------------------------------------------------------------------ */

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint16_t
get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t
get_time(const uint8_t *p)
{
	return (uint64_t)get32(p) << 32 | get32(p + 4);
}

static uint64_t
get_count(const uint8_t *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof n);
	return n;
}

static void
take_option(struct pcapng_block *b, uint16_t code, const uint8_t *value, size_t len)
{
	if (code == OPT_COMMENT) {
		len = WEFT_MIN(len, sizeof b->comment - 1);
		memcpy(b->comment, value, len);
		b->comment[len] = '\0';
	} else if (b->type == PCAPNG_PACKET && len == 4 && code == EPB_FLAGS) {
		b->packet.direction = get32(value) & 3;
	} else if (b->type == PCAPNG_PACKET && len == 4 && code == EPB_QUEUE) {
		b->packet.queue = get32(value);
	} else if (b->type == PCAPNG_PACKET && len == 8 && code == EPB_DROPCOUNT) {
		b->packet.lost = get_count(value);
	} else if (b->type == PCAPNG_STATISTICS && len == 8) {
		switch (code) {
		case ISB_STARTTIME:
			b->statistics.start_ns = get_time(value);
			break;
		case ISB_ENDTIME:
			b->statistics.end_ns = get_time(value);
			break;
		case ISB_IFRECV:
			b->statistics.received = get_count(value);
			break;
		case ISB_IFDROP:
			b->statistics.lost = get_count(value);
			break;
		case ISB_FILTERACCEPT:
			b->statistics.accepted = get_count(value);
			break;
		case ISB_USRDELIV:
			b->statistics.delivered = get_count(value);
			break;
		default:
			break;
		}
	}
}

static int
take_options(struct pcapng_block *b, const uint8_t *at, size_t left)
{
	while (left >= 4) {
		uint16_t code = get16(at);
		size_t len = get16(at + 2), whole = 4 + WEFT_ROUND_UP(len, (size_t)4);

		if (whole > left) {
			return -EPROTO;
		}
		if (code == OPT_END) {
			return 0;
		}
		take_option(b, code, at + 4, len);
		at += whole;
		left -= whole;
	}
	return left ? -EPROTO : 0;
}

/* @body: what stands between the two sizes. */
static int
take_body(struct pcapng_block *b, const uint8_t *body, size_t n)
{
	size_t padded;

	switch (b->type) {
	case PCAPNG_PACKET:
		if (n < PACKET_HEADER) {
			return -EPROTO;
		}
		b->packet.time_ns = get_time(body + 4);
		b->packet.caplen = get32(body + 12);
		b->packet.len = get32(body + 16);
		b->packet.data = body + PACKET_HEADER;
		padded = WEFT_ROUND_UP((size_t)b->packet.caplen, (size_t)4);
		if (padded > n - PACKET_HEADER) {
			return -EPROTO;
		}
		return take_options(b, body + PACKET_HEADER + padded, n - PACKET_HEADER - padded);
	case PCAPNG_STATISTICS:
		if (n < STATISTICS_HEADER) {
			return -EPROTO;
		}
		return take_options(b, body + STATISTICS_HEADER, n - STATISTICS_HEADER);
	case PCAPNG_SECTION:
		return n < 16 || get32(body) != MAGIC ? -EPROTO : 0;
	default:
		return 0;
	}
}

int
pcapng_get(const uint8_t *data, size_t size, struct pcapng_block *b)
{
	uint32_t whole;
	int rc;

	memset(b, 0, sizeof *b);
	if (size < BLOCK_HEADER) {
		return 0;
	}
	b->type = get32(data);
	whole = get32(data + 4);
	if (whole < BLOCK_MIN || whole % 4 || whole > PCAPNG_MAX_BLOCK) {
		return -EPROTO;
	}
	if (size < whole) {
		return 0;
	}
	b->size = whole;
	if (get32(data + whole - 4) != whole) {
		return -EPROTO;
	}
	rc = take_body(b, data + BLOCK_HEADER, whole - BLOCK_MIN);
	if (rc) {
		return rc;
	}
	b->packet.comment = b->statistics.comment = b->comment;
	return 1;
}
