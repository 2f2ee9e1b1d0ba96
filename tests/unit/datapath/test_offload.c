/* SPDX-License-Identifier: Apache-2.0
 *
 * Offloads in software, to the byte: a frame is built and cut by naive code here, and compared.
 */
#include <errno.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datapath/offload.h"
#include "lib/compiler.h"
#include "vhost/packet_mbuf.h"

#define BUFFER 2048u
#define N_BUFFERS 1023u

static struct rte_mempool *pool;
static char directory[] = "/tmp/weft-unit-XXXXXX";

static int
start(void **state)
{
	char *args[] = {(char *)"unit", (char *)"--no-huge", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"--no-telemetry", (char *)"-m", (char *)"64",
		(char *)"--log-level=lib.eal:error", NULL};

	(void)state;
	if (!mkdtemp(directory) || setenv("RUNTIME_DIRECTORY", directory, 1) ||
		rte_eal_init((int)WEFT_ARRAY_SIZE(args) - 1, args) < 0) {
		return -1;
	}
	pool = rte_pktmbuf_pool_create("test", N_BUFFERS, 0, PACKET_MBUF_PRIV,
		RTE_PKTMBUF_HEADROOM + BUFFER, SOCKET_ID_ANY);
	return pool ? 0 : -1;
}

static int
finish(void **state)
{
	char command[64];

	(void)state;
	rte_mempool_free(pool);
	rte_eal_cleanup();
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static int
all_buffers_are_back(void **state)
{
	(void)state;
	return rte_mempool_in_use_count(pool) ? -1 : 0;
}

/* --- naive frames ---------------------------------------------------------------------------------- */

struct frame {
	uint8_t bytes[70000];
	uint32_t len, l3, l4, payload;
	bool v6, udp;
};

static void
put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void
put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

/* RFC 1071, a byte at a time. */
static uint32_t
sum(const uint8_t *bytes, uint32_t n, uint32_t acc)
{
	for (uint32_t i = 0; i < n; i++) {
		acc += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
		acc = (acc & 0xffff) + (acc >> 16);
	}
	return acc;
}

static uint32_t
pseudo_header(const struct frame *f)
{
	uint32_t acc = f->len - f->l4 + (f->udp ? 17 : 6);

	return f->v6 ? sum(f->bytes + f->l3 + 8, 32, acc) : sum(f->bytes + f->l3 + 12, 8, acc);
}

/* Lengths and complete checksums. */
static void
complete(struct frame *f)
{
	uint8_t *csum = f->bytes + f->l4 + (f->udp ? 6 : 16);

	if (f->v6) {
		put16(f->bytes + f->l3 + 4, f->len - f->l4);
	} else {
		put16(f->bytes + f->l3 + 2, f->len - f->l3);
		put16(f->bytes + f->l3 + 10, 0);
		put16(f->bytes + f->l3 + 10, ~sum(f->bytes + f->l3, 20, 0) & 0xffff);
	}
	if (f->udp) {
		put16(f->bytes + f->l4 + 4, f->len - f->l4);
	}
	put16(csum, 0);
	put16(csum, ~sum(f->bytes + f->l4, f->len - f->l4, pseudo_header(f)) & 0xffff);
	if (!csum[0] && !csum[1]) {
		put16(csum, 0xffff);
	}
}

static void
build(struct frame *f, bool v6, bool udp, unsigned n_tags, uint32_t payload)
{
	static const uint8_t macs[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	uint8_t *at = f->bytes;

	memset(f, 0, sizeof *f);
	f->v6 = v6;
	f->udp = udp;
	memcpy(at, macs, sizeof macs);
	at += sizeof macs;
	for (unsigned i = 0; i < n_tags; i++, at += 4) {
		put16(at, n_tags == 2 && !i ? 0x88a8 : 0x8100);
		put16(at + 2, 0x2005 + i);
	}
	put16(at, v6 ? 0x86dd : 0x0800);
	f->l3 = (uint32_t)(at + 2 - f->bytes);
	f->l4 = f->l3 + (v6 ? 40 : 20);
	f->payload = f->l4 + (udp ? 8 : 32);
	f->len = f->payload + payload;
	at += 2;
	if (v6) {
		at[0] = 0x60;
		at[6] = udp ? 17 : 6;
		at[7] = 64;
		for (unsigned i = 8; i < 40; i++) {
			at[i] = (uint8_t)(i * 7);
		}
	} else {
		put16(at, 0x4500);
		put16(at + 4, 0xfffe); /* its identification passes 0xffff */
		put16(at + 6, 0x4000);
		put16(at + 8, 0x4000 | (udp ? 17 : 6));
		put32(at + 12, 0x0a000001);
		put32(at + 16, 0x0a000002);
	}
	put32(f->bytes + f->l4, 0x30391389);
	if (!udp) {
		put32(f->bytes + f->l4 + 4, 0xfffffa00); /* the sequence number wraps */
		put32(f->bytes + f->l4 + 8, 0x01020304);
		f->bytes[f->l4 + 12] = 0x80;
		f->bytes[f->l4 + 13] = 0x99; /* CWR ACK PSH FIN */
		put16(f->bytes + f->l4 + 14, 0xffff);
		memcpy(f->bytes + f->l4 + 20, "\1\1\10\12abcdefgh", 12);
	}
	for (uint32_t i = 0; i < payload; i++) {
		f->bytes[f->payload + i] = (uint8_t)(i * 31 + (i >> 8));
	}
	complete(f);
}

/* What segment @index, @n bytes from @from of the payload, must be. */
static void
expect(const struct frame *f, unsigned index, uint32_t from, uint32_t n, bool last, struct frame *s)
{
	*s = *f;
	memmove(s->bytes + s->payload, f->bytes + f->payload + from, n);
	s->len = s->payload + n;
	if (!f->v6) {
		put16(s->bytes + s->l3 + 4, 0xfffe + index);
	}
	if (!f->udp) {
		put32(s->bytes + s->l4 + 4, 0xfffffa00 + from);
		s->bytes[s->l4 + 13] = (uint8_t)(0x10 | (index ? 0 : 0x80) | (last ? 0x09 : 0));
	}
	complete(s);
}

/* --- packets --------------------------------------------------------------------------------------- */

/* The frame in a chain of buffers of @room bytes each, as its sender leaves it: only the pseudo
 * header's sum stands in the checksum. */
static struct packet *
make_packet(const struct frame *f, uint32_t room, uint16_t gso_size)
{
	struct rte_mbuf *head = NULL, *last = NULL;
	uint8_t partial[2];
	struct packet *p;

	put16(partial, pseudo_header(f));
	for (uint32_t off = 0; off < f->len;) {
		uint32_t n = WEFT_MIN(room, f->len - off);
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), f->bytes + off, n);
		if (!head) {
			head = m;
		} else {
			last->next = m;
			head->nb_segs++;
			head->pkt_len += n;
		}
		last = m;
		off += n;
	}
	p = packet_of_mbuf(head);
	packet_init_from_mbuf(p, head, 7, 0);
	p->csum_start = (uint16_t)f->l4;
	p->csum_offset = f->udp ? 6 : 16;
	p->gso_size = gso_size;
	p->flags = PACKET_CSUM_PARTIAL;
	if (gso_size) {
		p->flags |= f->udp ? PACKET_GSO_UDP : f->v6 ? PACKET_GSO_TCP6 : PACKET_GSO_TCP4;
	}
	if (p->csum_start + p->csum_offset + 2u <= p->head_len) {
		memcpy(p->data + p->csum_start + p->csum_offset, partial, 2);
	}
	return p;
}

static void
assert_frame(const struct packet *p, const struct frame *f)
{
	static uint8_t copy[sizeof f->bytes];
	const uint8_t *bytes;

	assert_int_equal(p->len, f->len);
	assert_int_equal(rte_pktmbuf_pkt_len(packet_mbuf(p)), f->len);
	assert_int_equal(p->flags & (PACKET_CSUM_PARTIAL | PACKET_GSO_MASK), 0);
	bytes = rte_pktmbuf_read(packet_mbuf(p), 0, p->len, copy);
	assert_non_null(bytes);
	assert_memory_equal(bytes, f->bytes, f->len);
}

static void
test_offload_completes_checksums(void **state)
{
	static const uint32_t payloads[] = {0, 1, 2, 3, 100, 999, 1400, 1401};
	static struct frame f;

	(void)state;
	for (unsigned kind = 0; kind < 12; kind++) {
		for (size_t i = 0; i < WEFT_ARRAY_SIZE(payloads); i++) {
			/* In one buffer, and in pieces of which the first ends at an odd place. */
			for (uint32_t room = 301; room <= BUFFER; room += BUFFER - 301) {
				struct packet *p;

				build(&f, kind & 1, kind & 2, kind / 4, payloads[i]);
				p = make_packet(&f, room, 0);
				assert_int_equal(offload_complete_csum(p), 0);
				assert_frame(p, &f);
				rte_pktmbuf_free(packet_mbuf(p));
			}
		}
	}
}

static void
test_offload_refuses_a_checksum_outside_the_packet(void **state)
{
	static struct frame f;
	struct packet *p;

	(void)state;
	build(&f, false, false, 0, 10);
	p = make_packet(&f, BUFFER, 0);
	p->csum_offset = (uint16_t)(p->len - p->csum_start - 1);
	assert_int_equal(offload_complete_csum(p), -EINVAL);
	p->csum_start = 0xffff;
	p->csum_offset = 0xffff;
	assert_int_equal(offload_complete_csum(p), -EINVAL);
	assert_true(p->flags & PACKET_CSUM_PARTIAL);
	rte_pktmbuf_free(packet_mbuf(p));
}

static void
check_segments(const struct frame *f, uint32_t room, uint16_t size)
{
	struct packet *segments[OFFLOAD_MAX_SEGMENTS], *p = make_packet(f, room, size);
	uint32_t payload = f->len - f->payload, from = 0;
	static struct frame wanted;
	int n = offload_segment(p, pool, segments);

	assert_int_equal(n, (payload + size - 1) / size);
	for (int i = 0; i < n; i++, from += size) {
		uint32_t part = WEFT_MIN((uint32_t)size, payload - from);

		expect(f, (unsigned)i, from, part, i == n - 1, &wanted);
		assert_frame(segments[i], &wanted);
		assert_int_equal(segments[i]->in_port, 7);
		rte_pktmbuf_free(packet_mbuf(segments[i]));
	}
	rte_pktmbuf_free(packet_mbuf(p));
}

static void
test_offload_cuts_segments(void **state)
{
	static const uint32_t payloads[] = {1, 1447, 1448, 1449, 2896, 30001, 65400};
	static struct frame f;

	(void)state;
	for (unsigned kind = 0; kind < 12; kind++) {
		for (size_t i = 0; i < WEFT_ARRAY_SIZE(payloads); i++) {
			build(&f, kind & 1, kind & 2, kind / 4, payloads[i]);
			check_segments(&f, BUFFER, 1448);
			check_segments(&f, BUFFER, 1399);
			check_segments(&f, 301, 1448);
		}
	}
}

static void
refuse(struct packet *p, int code)
{
	struct packet *segments[OFFLOAD_MAX_SEGMENTS];
	unsigned before = rte_mempool_in_use_count(pool);

	assert_int_equal(offload_segment(p, pool, segments), code);
	assert_int_equal(rte_mempool_in_use_count(pool), before);
}

static void
test_offload_refuses_what_is_not_so(void **state)
{
	static struct frame f;
	struct packet *p;
	uint16_t l4;

	(void)state;
	build(&f, false, false, 0, 5000);
	p = make_packet(&f, BUFFER, 1448);
	l4 = p->csum_start;
	p->gso_size = 0;
	refuse(p, -EINVAL);
	p->gso_size = BUFFER;
	refuse(p, -EINVAL);
	p->gso_size = 20;
	refuse(p, -EMSGSIZE);
	p->gso_size = 1448;
	p->flags &= (uint16_t)~PACKET_CSUM_PARTIAL;
	refuse(p, -EINVAL);
	p->flags |= PACKET_CSUM_PARTIAL;
	/* L4 in the IP header, beyond the first buffer, at the very end. */
	p->csum_start = (uint16_t)(l4 - 1);
	refuse(p, -EINVAL);
	p->csum_start = 0;
	refuse(p, -EINVAL);
	p->csum_start = BUFFER - 19;
	refuse(p, -EINVAL);
	p->csum_start = 0xffff;
	refuse(p, -EINVAL);
	p->csum_start = l4;
	p->data[l4 + 12] = 0x40; /* a TCP header of 16 bytes */
	refuse(p, -EINVAL);
	p->data[l4 + 12] = 0x80;
	p->data[12] = 0x90; /* no IP */
	refuse(p, -EINVAL);
	p->data[12] = 0x08;
	rte_pktmbuf_free(packet_mbuf(p));
	check_segments(&f, BUFFER, 1448);
}

/* What a kernel tells of a tunnel packet whose inner TCP is to be cut. */
static void
test_offload_refuses_to_cut_inside_a_tunnel(void **state)
{
	static struct frame f;
	struct packet *p;

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		uint8_t *proto, tcp = 6;

		build(&f, v6, false, 0, 5000);
		p = make_packet(&f, BUFFER, 1448);
		proto = p->data + p->csum_start - (v6 ? 40 - 6 : 20 - 9);
		assert_int_equal(*proto, tcp);
		*proto = 17; /* as VXLAN */
		refuse(p, -EINVAL);
		*proto = 47; /* as GRE */
		refuse(p, -EINVAL);
		*proto = v6 ? 41 : 4; /* as IP in IP */
		refuse(p, -EINVAL);
		*proto = tcp;
		/* The right protocol, but not where this header ends. */
		p->csum_start += 20;
		refuse(p, -EINVAL);
		p->csum_start -= 20;
		rte_pktmbuf_free(packet_mbuf(p));
		check_segments(&f, BUFFER, 1448);
	}
}

static void
test_offload_without_buffers_leaves_nothing(void **state)
{
	static struct rte_mbuf *taken[N_BUFFERS];
	static struct frame f;
	struct packet *p;
	unsigned n = 0;

	(void)state;
	build(&f, false, false, 0, 14480);
	p = make_packet(&f, BUFFER, 1448);
	while (rte_mempool_avail_count(pool) > 9) {
		taken[n] = rte_pktmbuf_alloc(pool);
		assert_non_null(taken[n]);
		n++;
	}
	refuse(p, -ENOMEM);
	rte_pktmbuf_free_bulk(taken, n);
	rte_pktmbuf_free(packet_mbuf(p));
}

#define TEST(F) cmocka_unit_test_teardown(F, all_buffers_are_back)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_offload_completes_checksums),
		TEST(test_offload_refuses_a_checksum_outside_the_packet),
		TEST(test_offload_cuts_segments),
		TEST(test_offload_refuses_what_is_not_so),
		TEST(test_offload_refuses_to_cut_inside_a_tunnel),
		TEST(test_offload_without_buffers_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, start, finish);
}
