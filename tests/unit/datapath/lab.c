/* SPDX-License-Identifier: Apache-2.0
 *
 * What the datapath's tests share.
 */
#include "tests/unit/datapath/lab.h"

#include <errno.h>
#include <inttypes.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "vhost/packet_mbuf.h"

#define N_BUFFERS 8191u

struct rte_mempool *lab_pool;
static char directory[] = "/tmp/weft-unit-XXXXXX";
static uint64_t random_state = 1;

static void
remove_directory(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", directory);
	if (system(command)) {
		perror(directory);
	}
}

/* One lcore that may run wherever the process may, and so may the threads that tests start. */
static char *
lcore_map(void)
{
	static char text[4096];
	cpu_set_t cpus;
	size_t n = 0;

	sched_getaffinity(0, sizeof cpus, &cpus);
	n += (size_t)snprintf(text, sizeof text, "0@(");
	for (unsigned i = 0; i < CPU_SETSIZE && n < sizeof text - 16; i++) {
		if (CPU_ISSET(i, &cpus)) {
			n += (size_t)snprintf(text + n, sizeof text - n, "%u,", i);
		}
	}
	text[n - 1] = ')';
	return text;
}

int
lab_start(void **state)
{
	char *args[] = {(char *)"unit", (char *)"--no-huge", (char *)"--no-shconf",
		(char *)"--no-pci", (char *)"--no-telemetry", (char *)"-m", (char *)"128",
		(char *)"--lcores", lcore_map(), (char *)"--log-level=lib.eal:error", NULL};

	int rc;

	(void)state;
	if (lab_pool) {
		return 0;
	}
	/* Behind a failed test threads go on: the next one would fail for that alone, or hang. */
	setenv("CMOCKA_TEST_ABORT", "1", 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* DPDK makes a directory of its own below this one. */
	if (!mkdtemp(directory) || setenv("RUNTIME_DIRECTORY", directory, 1) ||
		setenv("XDG_RUNTIME_DIR", directory, 1)) {
		return -1;
	}
	rc = rte_eal_init((int)WEFT_ARRAY_SIZE(args) - 1, args);
	/* Nothing in it is needed any more, and a test that fails aborts. */
	remove_directory();
	if (rc < 0) {
		fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
		return -1;
	}
	lab_pool = rte_pktmbuf_pool_create(
		"lab", N_BUFFERS, 0, PACKET_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return lab_pool ? 0 : -1;
}

unsigned
lab_n_buffers(void)
{
	return rte_mempool_in_use_count(lab_pool);
}

void
lab_seed(const char *test)
{
	const char *seed = getenv("WEFT_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random_state =
		seed ? strtoull(seed, NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30;
	printf("%s: WEFT_SEED=%" PRIu64 "\n", test, random_state);
}

/* splitmix64 */
uint64_t
lab_random(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t
lab_below(uint32_t n)
{
	return (uint32_t)(lab_random() % n);
}

size_t
lab_hex(uint8_t *frame, size_t capacity, const char *hex)
{
	size_t n = 0;
	unsigned byte;

	while (*hex) {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(n < capacity && sscanf(hex, "%2x", &byte) == 1);
		frame[n++] = (uint8_t)byte;
		hex += 2;
	}
	return n;
}

struct packet *
lab_packet(const uint8_t *frame, size_t len, uint16_t in_port, size_t first)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(lab_pool), *last = m;
	struct packet *p;
	size_t off = 0;

	assert_non_null(m);
	while (off < len) {
		size_t room = rte_pktmbuf_tailroom(last), n = WEFT_MIN(room, len - off);

		if (last == m && first) {
			n = WEFT_MIN(n, first);
		}
		memcpy(rte_pktmbuf_mtod(last, uint8_t *), frame + off, n);
		last->data_len = (uint16_t)n;
		m->pkt_len += (uint32_t)n;
		off += n;
		if (off < len) {
			last->next = rte_pktmbuf_alloc(lab_pool);
			assert_non_null(last->next);
			last = last->next;
			m->nb_segs++;
		}
	}
	p = packet_of_mbuf(m);
	packet_init_from_mbuf(p, m, in_port, 0);
	return p;
}

void
lab_free(struct packet *p)
{
	rte_pktmbuf_free(packet_mbuf(p));
}

size_t
lab_bytes(const struct packet *p, uint8_t *bytes, size_t capacity)
{
	struct rte_mbuf *m = packet_mbuf(p);
	const uint8_t *data;

	rte_mbuf_sanity_check(m, 1);
	assert_ptr_equal(p->data, rte_pktmbuf_mtod(m, uint8_t *));
	assert_int_equal(p->len, m->pkt_len);
	assert_int_equal(p->head_len, m->data_len);
	assert_int_equal(p->headroom, rte_pktmbuf_headroom(m));
	assert_true(p->len <= capacity);
	data = rte_pktmbuf_read(m, 0, p->len, bytes);
	assert_non_null(data);
	if (data != bytes) {
		memcpy(bytes, data, p->len);
	}
	return p->len;
}

uint16_t
lab_csum(const uint8_t *bytes, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++) {
		sum += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
	}
	while (sum >> 16) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

/* --- frames -------------------------------------------------------------------------------------------- */

static const struct {
	uint8_t proto;
	uint8_t l4_len;
	uint8_t csum_at; /* in the L4 header */
	bool v6;
} kinds[LAB_KINDS] = {
	[LAB_TCP4] = {6, 20, 16, false},
	[LAB_UDP4] = {17, 8, 6, false},
	[LAB_ICMP4] = {1, 8, 2, false},
	[LAB_SCTP4] = {132, 12, 8, false},
	[LAB_TCP6] = {6, 20, 16, true},
	[LAB_UDP6] = {17, 8, 6, true},
	[LAB_ICMP6] = {58, 8, 2, true},
};

static void
random_fill(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bytes[i] = (uint8_t)lab_random();
	}
}

void
lab_frame(struct lab_frame *f, enum lab_kind kind, unsigned n_tags, size_t payload)
{
	size_t l3_len = kind == LAB_ARP ? 28 : kinds[kind].v6 ? 40 : 20;
	uint8_t *at = f->bytes;

	random_fill(f->bytes, sizeof f->bytes);
	at[0] &= 0xfe;
	at += 12;
	for (unsigned i = 0; i < n_tags; i++, at += 4) {
		put_be16(at, i + 1 < n_tags ? 0x88a8 : 0x8100);
	}
	put_be16(at, kind == LAB_ARP ? 0x0806 : kinds[kind].v6 ? 0x86dd : 0x0800);
	at += 2;
	f->l3 = (size_t)(at - f->bytes);
	f->l4 = f->l3 + l3_len;
	if (kind == LAB_ARP) {
		put_be16(at, 1);
		put_be16(at + 2, 0x0800);
		at[4] = 6;
		at[5] = 4;
		put_be16(at + 6, (uint16_t)(1 + lab_below(2)));
		f->len = f->l4;
		return;
	}
	f->len = f->l4 + kinds[kind].l4_len + payload;
	if (kinds[kind].v6) {
		put_be32(at, 0x60000000u | (uint32_t)(lab_random() & 0x0fffffff));
		put_be16(at + 4, (uint16_t)(f->len - f->l4));
		at[6] = kinds[kind].proto;
		at[7] = (uint8_t)(2 + lab_below(250));
	} else {
		at[0] = 0x45;
		put_be16(at + 2, (uint16_t)(f->len - f->l3));
		put_be16(at + 6, 0x4000);
		at[8] = (uint8_t)(2 + lab_below(250));
		at[9] = kinds[kind].proto;
	}
	at = f->bytes + f->l4;
	switch (kinds[kind].proto) {
	case 6:
		put_be16(at + 12, (uint16_t)(0x5000 | (lab_random() & 0xfff)));
		break;
	case 17:
		put_be16(at + 4, (uint16_t)(f->len - f->l4));
		break;
	case 58:
		at[0] = 128;
		break;
	default:
		break;
	}
	lab_frame_csums(f, false);
}

/* Table-free CRC32c (Castagnoli), as RFC 9260 appendix A has it. */
static uint32_t
crc32c(const uint8_t *bytes, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++) {
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
		}
	}
	return ~crc;
}

void
lab_frame_csums(struct lab_frame *f, bool zero_udp)
{
	uint8_t *ip = f->bytes + f->l3, *l4 = f->bytes + f->l4;
	bool v6 = ip[0] >> 4 == 6;
	uint8_t proto = v6 ? ip[6] : ip[9];
	size_t l4_len = v6 ? get_be16(ip + 4) : get_be16(ip + 2) - 20u;
	uint32_t pseudo;
	uint16_t sum;

	if (get_be16(f->bytes + f->l3 - 2) == 0x0806) {
		return;
	}
	if (!v6) {
		put_be16(ip + 10, 0);
		put_be16(ip + 10, (uint16_t)~lab_csum(ip, 20, 0));
	}
	pseudo = lab_csum(ip + (v6 ? 8 : 12), v6 ? 32 : 8, proto + (uint32_t)l4_len);
	switch (proto) {
	case 1:
		put_be16(l4 + 2, 0);
		put_be16(l4 + 2, (uint16_t)~lab_csum(l4, l4_len, 0));
		break;
	case 6:
		put_be16(l4 + 16, 0);
		put_be16(l4 + 16, (uint16_t)~lab_csum(l4, l4_len, pseudo));
		break;
	case 17:
		put_be16(l4 + 6, 0);
		sum = (uint16_t)~lab_csum(l4, l4_len, pseudo);
		put_be16(l4 + 6, zero_udp ? 0 : sum ? sum : 0xffff);
		break;
	case 58:
		put_be16(l4 + 2, 0);
		put_be16(l4 + 2, (uint16_t)~lab_csum(l4, l4_len, pseudo));
		break;
	case 132: {
		uint32_t crc;

		memset(l4 + 8, 0, 4);
		crc = crc32c(l4, l4_len);
		for (unsigned i = 0; i < 4; i++) {
			l4[8 + i] = (uint8_t)(crc >> 8 * i);
		}
		break;
	}
	default:
		break;
	}
}
