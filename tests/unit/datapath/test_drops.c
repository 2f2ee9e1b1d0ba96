/* SPDX-License-Identifier: Apache-2.0
 *
 * Drops that nothing outside of the datapath can provoke: no buffers, offloads that cannot be right.
 */
#include <errno.h>
#include <rte_mbuf.h>
#include <stdlib.h>

#include "datapath/providers.h"
#include "datapath/worker.h"
#include "lib/error.h"
#include "tests/unit/datapath/rig.h"

#define MAX_BUFFERS 65536u

static struct rig_agent agent;
static struct rte_mbuf *hoard[MAX_BUFFERS];
static unsigned n_hoard;
static uint8_t bytes[2048];

/* Takes all buffers but @left. */
static void
take_buffers(unsigned left)
{
	n_hoard = 0;
	while (n_hoard < MAX_BUFFERS && (hoard[n_hoard] = rte_pktmbuf_alloc(lab_pool))) {
		n_hoard++;
	}
	assert_true(n_hoard < MAX_BUFFERS && n_hoard > left);
	while (left--) {
		rte_pktmbuf_free(hoard[--n_hoard]);
	}
}

static void
give_buffers(void)
{
	while (n_hoard) {
		rte_pktmbuf_free(hoard[--n_hoard]);
	}
}

static uint64_t
n_drops(const struct port *port, enum drop_reason reason)
{
	struct port_sums sums;

	port_read_counters(port, &sums);
	assert_int_equal(sums.dropped, sums.drops[reason]);
	return sums.drops[reason];
}

static void
start(void)
{
	rig_start(1);
	rig_agent_open(&agent, 1);
}

static void
stop(void)
{
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_drops_no_buffer_for_what_the_agent_sends(void **state)
{
	struct port *p1;

	(void)state;
	start();
	p1 = rig_port_add(1, NULL);
	take_buffers(0);
	assert_int_equal(rig_execute_bytes(&agent, 1, "output(1)", bytes, 60), -ENOMEM);
	give_buffers();
	assert_int_equal(n_drops(p1, DROP_RX_NO_BUFFER), 1);
	stop();
}

static void
test_drops_no_buffer_for_a_copy(void **state)
{
	struct port *p1, *p2, *p3;
	struct lab_frame f;

	(void)state;
	start();
	p1 = rig_port_add(1, NULL);
	p2 = rig_port_add(2, NULL);
	p3 = rig_port_add(3, NULL);
	rig_wire(&agent, 1, "output(2),output(3)");
	lab_frame(&f, LAB_UDP4, 0, 20);
	take_buffers(1);
	rig_send(p1, f.bytes, f.len);
	assert_int_equal(rig_receive(p3, bytes, sizeof bytes), f.len);
	assert_int_equal(rig_n_waiting(p2), 0);
	give_buffers();
	assert_int_equal(n_drops(p1, DROP_NO_COPY), 1);
	/* A packet too long to be copied is referred to, which takes a buffer too. */
	lab_frame(&f, LAB_UDP4, 0, 1000);
	take_buffers(1);
	rig_send(p1, f.bytes, f.len);
	assert_int_equal(rig_receive(p3, bytes, sizeof bytes), f.len);
	give_buffers();
	assert_int_equal(n_drops(p1, DROP_NO_COPY), 2);
	stop();
}

static void
test_drops_offload_that_cannot_be_right(void **state) WEFT_NO_ANALYSIS
{
	struct weft_error err = WEFT_ERROR_INIT;
	const struct port_provider *provider = provider_find("ethdev", &err);
	const struct port_option option = {"devargs", "net_null0"};
	struct port_config config = {
		.type = "ethdev",
		.name = "null",
		.number = 1,
		.socket_id = -1,
		.pool = lab_pool,
		.options = &option,
		.n_options = 1,
	};
	struct port_dev *dev;
	struct lab_frame f;
	struct packet *p;

	(void)state;
	start();
	config.port = rig_port_add(1, NULL);
	dev = provider->open(&config, &err);
	assert_non_null(dev);
	lab_frame(&f, LAB_UDP4, 0, 20);
	p = lab_packet(f.bytes, f.len, 1, 0);
	p->flags = PACKET_CSUM_PARTIAL;
	p->csum_start = 5000;
	/* It came from somewhere. */
	counter_add(&config.port->per_worker[port_n_slots - 1].counters.made, 1);
	assert_int_equal(provider->tx(dev, 0, &p, 1), 1);
	assert_int_equal(n_drops(config.port, DROP_TX_OFFLOAD), 1);
	provider->close(dev);
	stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drops_no_buffer_for_what_the_agent_sends),
		cmocka_unit_test(test_drops_no_buffer_for_a_copy),
		cmocka_unit_test(test_drops_offload_that_cannot_be_right),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
