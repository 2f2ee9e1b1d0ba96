/* SPDX-License-Identifier: Apache-2.0
 *
 * Tunnel ports: ports without a device, to which nothing is output.
 */
#include "datapath/providers.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "tests/unit/datapath/rig.h"

static struct rig_agent agent;

static struct port *
add(uint16_t number, const char *type) WEFT_NO_ANALYSIS
{
	struct port_config config = {.socket_id = -1};
	const struct port_provider *provider = provider_find(type, NULL);
	struct port *port;

	assert_non_null(provider);
	assert_true(provider_check_options(provider, NULL, 0, false, NULL));
	port = port_create(number, type, provider, &config, NULL);
	assert_non_null(port);
	port_publish(port);
	return port;
}

static uint64_t
n_refused(const struct port *port)
{
	struct port_sums s;

	port_read_counters(port, &s);
	return s.drops[DROP_TX_ERROR];
}

/* Guest 1 -- p1 == datapath == three tunnel ports */
static void
test_tunnel_port_is_live_and_takes_no_output(void **state)
{
	static const char *const types[] = {"vxlan", "geneve", "gre"};
	struct port *p1, *tunnels[3];
	struct port_sums s;
	struct lab_frame f;

	(void)state;
	rig_start(1);
	p1 = rig_port_add(1, NULL);
	for (unsigned i = 0; i < 3; i++) {
		tunnels[i] = add((uint16_t)(2 + i), types[i]);
		assert_true(port_is_live(2 + i));
	}
	rig_agent_open(&agent, 1);
	rig_wire(&agent, 1, "output(2),output(3),output(4)");
	lab_frame(&f, LAB_UDP4, 0, 40);
	for (unsigned i = 0; i < 100; i++) {
		rig_send(p1, f.bytes, f.len);
	}
	for (unsigned i = 0; i < 3; i++) {
		rig_wait(n_refused(tunnels[i]) == 100);
		port_read_counters(tunnels[i], &s);
		assert_int_equal(s.dropped, 100);
		assert_int_equal(s.tx_packets, 0);
	}
	rig_agent_close(&agent, true);
	rig_stop(); /* looks at the books, and whether buffers came back */
}

static void
test_tunnel_port_has_no_options(void **state)
{
	struct weft_error err = WEFT_ERROR_INIT;
	struct port_option option = {"vni", "5"};

	(void)state;
	assert_false(provider_check_options(provider_find("vxlan", NULL), &option, 1, false, &err));
	assert_string_equal(err.text, "port type vxlan has no option \"vni\"; it has none");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnel_port_is_live_and_takes_no_output),
		cmocka_unit_test(test_tunnel_port_has_no_options),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
