/* SPDX-License-Identifier: Apache-2.0
 *
 * Geneve options that are agreed on anew while a worker puts packets into tunnels; also under the thread sanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "datapath/rcu.h"
#include "datapath/tunnel.h"
#include "datapath/tunnel_options.h"
#include "datapath/worker.h"
#include "lib/byteorder.h"
#include "lib/compiler.h"
#include "tests/unit/datapath/lab.h"
#include "vhost/packet_mbuf.h"

#define N_PACKETS 20000u
#define READER 0u
#define OUTER (14u + 20u + 8u)

static _Atomic bool stop;
static _Atomic unsigned n_tables;

/* Tables of one option each, with which headers need 4, 12 and 60 bytes more. */
static const struct dp_tun_opt tables[3] = {
	{0x0102, 1, 0, 0, 0, {0, 0}},
	{0x0102, 2, 8, 0, 0, {0, 0}},
	{0x0102, 3, 56, 0, 0, {0, 0}},
};

static void *
replace(void *arg)
{
	while (!atomic_load(&stop)) {
		n_tables += tunnel_options_put(&tables[n_tables % 3], 1) == 0;
		sched_yield();
	}
	return arg;
}

/* As a worker does for each packet: the header has the length that it says, and is one table's. */
static void
test_tunnel_options_threads(void **state)
{
	static const uint8_t header[OUTER + 8] = {[12] = 8,
		[14] = 0x45,
		[20] = 0x40,
		[22] = 64,
		[23] = 17,
		[36] = 0x17,
		[37] = 0xc1,
		[44] = 0x65,
		[45] = 0x58};
	_Alignas(8) uint8_t bytes[WEFT_ROUND_UP(sizeof(struct dp_encap) + sizeof header, 8)] = {0};
	struct dp_encap *body = (void *)bytes;
	static struct worker worker;
	struct tunnel_encap *e;
	struct lab_frame f;
	pthread_t thread;

	(void)state;
	*body = (struct dp_encap){.kind = DP_TUNNEL_GENEVE,
		.flags = DP_ENCAP_OPTS_FROM_KEY,
		.size = sizeof header,
		.l3_off = 14,
		.l4_off = 34,
		.port = UINT32_MAX};
	memcpy(body->header, header, sizeof header);
	assert_true(dp_object_validate(DP_OBJECT_ENCAP, body, sizeof bytes, 0, NULL));
	worker.pool = lab_pool;
	assert_int_equal(rcu_init(), 0);
	rcu_register(READER);
	rcu_online(READER);
	e = tunnel_encap_create(body);
	lab_frame(&f, LAB_UDP4, 0, 100);
	assert_int_equal(tunnel_options_put(&tables[0], 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, replace, NULL), 0);
	for (unsigned i = 0; i < N_PACKETS || n_tables < 100; i++) {
		struct packet *p = lab_packet(f.bytes, f.len, 1, 0);
		struct packet_tunnel *t = packet_tunnel_open(p);
		uint8_t outer[512];
		size_t options;

		t->has_opts = true;
		t->opts_present = be64_from(1);
		memset(t->opts, 0xee, sizeof t->opts);
		assert_int_equal(tunnel_encap(&worker, p, e, 0), EDIT_OK);
		assert_true(lab_bytes(p, outer, sizeof outer) == p->len);
		options = (outer[OUTER] & 0x3fu) * 4u;
		assert_int_equal(p->len, OUTER + 8 + options + f.len);
		assert_int_equal(options, outer[OUTER + 8 + 2] == 1   ? 4
					  : outer[OUTER + 8 + 2] == 2 ? 12
								      : 60);
		assert_memory_equal(outer + OUTER + 8 + options, f.bytes, f.len);
		lab_free(p);
		rcu_quiescent(READER);
	}
	atomic_store(&stop, true);
	rcu_offline(READER);
	pthread_join(thread, NULL);
	rcu_unregister(READER);
	tunnel_encap_destroy(e);
	tunnel_options_uninit();
	assert_int_equal(lab_n_buffers(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_options_threads),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
