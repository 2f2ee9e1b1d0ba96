/* SPDX-License-Identifier: Apache-2.0
 *
 * pcapng: captured packets as a stream of blocks, written and taken apart.
 *
 * What:  one section, one Ethernet interface, times in nanoseconds. Written by the datapath's capture
 *        threads into a buffer, read by the tool that gets their stream.
 * Why:   rte_pcapng of DPDK 22.11 writes interfaces that are ethdev ports; ours mostly are none.
 * Spec:  draft-ietf-opsawg-pcapng, in the byte order of the machine.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct strbuf;

#define PCAPNG_MAX_BLOCK (1u << 20) /* that the reader takes */
#define PCAPNG_TEXT 512             /* of an option that the reader keeps, with NUL */

enum pcapng_type {
	PCAPNG_INTERFACE = 1,
	PCAPNG_STATISTICS = 5,
	PCAPNG_PACKET = 6,
	PCAPNG_SECTION = 0x0a0d0d0a,
};

/* Of a packet; as the low bits of epb_flags. */
enum pcapng_direction {
	PCAPNG_UNKNOWN,
	PCAPNG_IN,
	PCAPNG_OUT,
};

/* Texts may be NULL: then the option is left out. */
struct pcapng_interface {
	const char *name;
	const char *description;
	const char *filter;
	uint32_t snaplen; /* 0: no limit */
};

struct pcapng_packet {
	uint64_t time_ns; /* since 1970 */
	uint32_t len;     /* on the wire */
	uint32_t caplen;  /* of @data */
	uint32_t queue;
	uint32_t direction; /* enum pcapng_direction */
	uint64_t lost;      /* packets between this one and the one before */
	const char *comment;
	const uint8_t *data;
};

struct pcapng_statistics {
	uint64_t start_ns, end_ns;
	uint64_t received;  /* packets that the filter was asked about */
	uint64_t accepted;  /* that it accepted */
	uint64_t lost;      /* accepted, but not written */
	uint64_t delivered; /* written */
	const char *comment;
};

/* Each appends one block. */
void pcapng_put_section(struct strbuf *out, const char *application);
void pcapng_put_interface(struct strbuf *out, const struct pcapng_interface *interface);
void pcapng_put_packet(struct strbuf *out, const struct pcapng_packet *packet);
void pcapng_put_statistics(struct strbuf *out, const struct pcapng_statistics *statistics);

/* A block that was read. Texts stand in @comment; data is borrowed from the bytes. */
struct pcapng_block {
	uint32_t type; /* enum pcapng_type, or another one to be skipped */
	size_t size;   /* of the whole block */
	struct pcapng_packet packet;
	struct pcapng_statistics statistics;
	char comment[PCAPNG_TEXT]; /* "" if there is none */
};

/* Takes the block apart that begins at @data. 1: it is whole and filled into @block; 0: more bytes are
 * needed; -EPROTO: that is no pcapng of this machine's byte order. */
int pcapng_get(const uint8_t *data, size_t size, struct pcapng_block *block) WEFT_MUST_CHECK;
