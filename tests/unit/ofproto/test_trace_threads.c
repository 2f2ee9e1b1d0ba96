/* SPDX-License-Identifier: Apache-2.0
 *
 * Traces in a thread of their own, while the loop changes everything that they look at: rules, groups, ports,
 * addresses, contexts. Also under the thread sanitizer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "ofproto/of_trace.h"
#include "tests/unit/ofproto/world.h"

#define N_CHANGES 400

struct tracer {
	struct world *w;
	struct of_reader *reader;
	_Atomic bool stop;
	_Atomic unsigned n_traced;
	unsigned n_wrong;
};

static void *
trace_on(void *arg)
{
	struct tracer *t = arg;

	while (!atomic_load(&t->stop)) {
		const struct of_trace_in in = {.reader = t->reader,
			.ofproto = t->w->p,
			.key = &(struct flow_key){.in_port = be32_from(1),
				.eth_type = be16_from(0x8847),
				.mpls_lse = {be32_from(0x740)}},
			.now_ms = 1};
		struct strbuf text = STRBUF_INIT;
		struct of_trace *trace;

		of_reader_enter(t->reader);
		trace = of_trace_create(&in, NULL);
		of_reader_leave(t->reader);
		if (trace) {
			/* Port 1 is always there. */
			of_trace_format(trace, &text);
			t->n_wrong +=
				strncmp(strbuf_text(&text), "packet: mpls,in_port=p1", 23) != 0;
			of_trace_destroy(trace);
		} else {
			t->n_wrong++;
		}
		strbuf_uninit(&text);
		atomic_fetch_add(&t->n_traced, 1);
	}
	return NULL;
}

static void
change(struct world *w, unsigned i)
{
	const uint8_t mac[6] = {0, 0, 0, 0, 0, (uint8_t)(i % 3)};
	struct of_group_mod gm = {.command = OF_MOD_DELETE, .group = 1};
	char text[128];

	/* Contexts come, and go as time passes. */
	snprintf(text, sizeof(text),
		"add mpls,actions=set_field:%u->reg1,pop_mpls:0x0800,resubmit(,1),output:2",
		i / 30);
	world_flow(w, text);
	world_translate(w, "in_port=1,mpls,mpls_label=0,mpls_bos=1");
	world_run(w, 500);
	world_flow(w, "add table=1,priority=2,actions=NORMAL,controller");
	if (i % 4 == 0) {
		world_group(w, "group_id=1,type=select,bucket=weight:1,actions=output:2,"
			       "bucket=weight:2,actions=output:3");
		world_flow(w, "add table=1,priority=5,actions=group:1,NORMAL");
	} else if (i % 4 == 2) {
		assert_true(ofproto_group_mod(w->p, &gm, w->now_ms, NULL));
	}
	world_port(w, 4, i % 2 ? OF_VLAN_ACCESS : OF_VLAN_TRUNK, (uint16_t)(i % 2), NULL);
	ofproto_fdb_learn(w->p, 0, mac, OF_PORT(2 + i % 5), w->now_ms);
	if (i % 5 == 0) {
		ofproto_port_del(w->p, OF_PORT(8));
		world_flow(w, "delete table=1");
	} else if (i % 5 == 1) {
		world_port(w, 8, OF_VLAN_TRUNK, 0, NULL);
	}
}

static void
test_trace_beside_the_loop(void **state)
{
	struct tracer t = {.n_wrong = 0};
	struct world w;
	pthread_t thread;

	(void)state;
	world_init(&w);
	t.w = &w;
	t.reader = of_reader_create(w.model);
	of_reader_stats_pulled(t.reader, UINT64_MAX);
	assert_int_equal(pthread_create(&thread, NULL, trace_on, &t), 0);
	for (unsigned i = 0; i < N_CHANGES || atomic_load(&t.n_traced) < N_CHANGES; i++) {
		change(&w, i);
	}
	atomic_store(&t.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(t.n_wrong, 0);
	assert_true(w.n_contexts_gone > 0);
	of_reader_destroy(t.reader);
	world_uninit(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_beside_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
