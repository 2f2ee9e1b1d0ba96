/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing of objects for people: rows, pages, refusals (rig.h).
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/listing.h"
#include "datapath/ports_thread.h"
#include "lib/error.h"
#include "tests/unit/datapath/rig_object.h"

static struct rig_agent agent;
static const struct ports_thread_config config = {.stats = &rig_stats};

static json_t *
page_from(uint32_t slot)
{
	json_t *params = json_pack("{s:i}", "from", (int)slot), *page;
	struct weft_error err = WEFT_ERROR_INIT;

	page = listing_objects(&config, params, &err);
	assert_non_null(page);
	json_decref(params);
	return page;
}

static void
assert_row(const json_t *page, size_t i, const char *want)
{
	char *text = json_dumps(
		json_array_get(json_object_get(page, "objects"), i), JSON_SORT_KEYS | JSON_COMPACT);

	assert_string_equal(text, want);
	free(text);
}

static void
test_listing_object_rows(void **state)
{
	struct dp_handle select = RIG_NONE, first = RIG_NONE, meter = RIG_NONE, none = RIG_NONE;
	struct rig_body body;
	struct port *in;
	struct lab_frame f;
	json_t *page;

	(void)state;
	rig_start(1);
	in = rig_port_add(1, NULL);
	rig_agent_open(&agent, 1);
	page = page_from(0);
	assert_int_equal(json_array_size(json_object_get(page, "objects")), 0);
	assert_true(json_is_null(json_object_get(page, "next")));
	json_decref(page);
	rig_meter(&body, DP_METER_PKTPS | DP_METER_BURST);
	rig_band(&body, DP_BAND_DROP, 1000, 50, 0);
	rig_band(&body, DP_BAND_DSCP_REMARK, 500, 0, 2);
	assert_int_equal(rig_object_put(&agent, &body, &meter), 0);
	rig_body_uninit(&body);
	rig_body_init(&body, DP_OBJECT_SELECT);
	rig_bucket(&body, 7, 3, 1, RIG_NONE, "meter(0.1),output(1)");
	rig_bucket(&body, 9, 0, 60000, RIG_NONE, "");
	assert_int_equal(rig_object_put(&agent, &body, &select), 0);
	rig_body_uninit(&body);
	rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
	rig_bucket(&body, 0, 4, UINT32_MAX, select, "output(2)");
	assert_int_equal(rig_object_put(&agent, &body, &first), 0);
	rig_body_uninit(&body);
	rig_body_init(&body, DP_OBJECT_FIRST_LIVE);
	assert_int_equal(rig_object_put(&agent, &body, &none), 0);
	rig_body_uninit(&body);
	rig_wire(&agent, 1, rig_on("select", select));
	lab_frame(&f, LAB_UDP4, 0, 18);
	rig_send(in, f.bytes, f.len);
	rig_wait(rig_n_waiting(in));
	page = page_from(0);
	assert_true(json_is_null(json_object_get(page, "next")));
	assert_int_equal(json_array_size(json_object_get(page, "objects")), 7);
	assert_row(page, 0,
		"{\"bytes\":60,\"handle\":\"0.1\",\"kind\":\"meter\",\"live\":null,\"packets\":1,"
		"\"part\":0,\"refs\":1,\"unit\":\"pktps\",\"what\":\"all packets, pktps\"}");
	assert_row(page, 1,
		"{\"band\":\"drop\",\"burst\":50,\"bytes\":0,\"handle\":\"0.1\",\"kind\":\"meter\","
		"\"live\":null,\"packets\":0,\"part\":1,\"rate\":1000,\"refs\":1,"
		"\"what\":\"drop rate=1000 burst=50\"}");
	assert_row(page, 2,
		"{\"band\":\"dscp-remark\",\"bytes\":0,\"handle\":\"0.1\",\"kind\":\"meter\","
		"\"live\":null,\"packets\":0,\"part\":2,\"prec_level\":2,\"rate\":500,\"refs\":1,"
		"\"what\":\"dscp-remark rate=500 prec_level=2\"}");
	assert_row(page, 3,
		"{\"actions\":\"meter(0.1),output(1)\",\"bytes\":60,\"handle\":\"1.1\","
		"\"kind\":\"select\",\"live\":\"yes\",\"packets\":1,\"part\":7,\"refs\":2,"
		"\"watch_port\":1,\"weight\":3,"
		"\"what\":\"weight=3 watch_port=1 actions=meter(0.1),output(1)\"}");
	assert_row(page, 4,
		"{\"actions\":\"drop\",\"bytes\":0,\"handle\":\"1.1\",\"kind\":\"select\","
		"\"live\":\"no\",\"packets\":0,\"part\":9,\"refs\":2,\"watch_port\":60000,"
		"\"weight\":0,\"what\":\"weight=0 watch_port=60000 actions=drop\"}");
	assert_row(page, 5,
		"{\"actions\":\"output(2)\",\"bytes\":0,\"handle\":\"2.1\",\"kind\":\"first-live\","
		"\"live\":\"yes\",\"packets\":0,\"part\":0,\"refs\":0,\"watch_object\":\"1.1\","
		"\"what\":\"watch_object=1.1 actions=output(2)\"}");
	assert_row(page, 6,
		"{\"bytes\":0,\"handle\":\"3.1\",\"kind\":\"first-live\",\"live\":\"no\","
		"\"packets\":0,\"part\":null,\"refs\":0,\"what\":\"no buckets\"}");
	json_decref(page);
	rig_agent_close(&agent, true);
	rig_stop();
}

static void
test_listing_object_encap(void **state)
{
	static const struct dp_encap encaps[] = {
		{.kind = DP_TUNNEL_VXLAN, .l3_off = 14, .l4_off = 34, .port = UINT32_MAX},
		{.kind = DP_TUNNEL_GRE,
			.flags = 0x80b | DP_ENCAP_SRC_FROM_KEY,
			.l3_off = 14,
			.l4_off = 54,
			.mtu = 1500,
			.too_long = DP_ENCAP_TO_AGENT,
			.port = 7},
	};
	static const struct {
		const char *header, *want;
	} rows[] = {
		{"020000000002020000000001 0800 4500000000004000 40110000 c0000201 c0000202"
		 "0000 12b5 0000 0000 0800000000007b00",
			"{\"bytes\":0,\"handle\":\"0.1\",\"kind\":\"encap\",\"live\":null,"
			"\"packets\":0,\"part\":null,\"refs\":0,\"what\":\"vxlan src=192.0.2.1 "
			"dst=192.0.2.2 id=123 via=02:00:00:00:00:02\"}"},
		{"020000000003020000000001 86dd 6000000000002f40"
		 "20010db8000000000000000000000001 20010db8000000000000000000000002"
		 "20000000 00000000",
			"{\"bytes\":0,\"handle\":\"1.1\",\"kind\":\"encap\",\"live\":null,"
			"\"packets\":0,\"part\":null,\"port\":7,\"refs\":0,\"what\":\"gre "
			"src=2001:db8::1|tun_src dst=tun_dst id=tun_id via=02:00:00:00:00:03 "
			"mtu=1500 too-long=to-agent ttl=inherit l3\"}"},
	};
	json_t *page;

	(void)state;
	rig_start(1);
	rig_agent_open(&agent, 1);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		struct dp_encap e = encaps[i];
		struct dp_handle handle = RIG_NONE;
		uint8_t header[80] = {0};
		struct rig_body body;

		e.size = (uint16_t)lab_hex(header, sizeof header, rows[i].header);
		rig_body_init(&body, DP_OBJECT_ENCAP);
		dp_actions_append(&body.bytes, &e, sizeof e);
		dp_actions_append(&body.bytes, header, WEFT_ROUND_UP(e.size, 8));
		assert_int_equal(rig_object_put(&agent, &body, &handle), 0);
		rig_body_uninit(&body);
	}
	page = page_from(0);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		assert_row(page, i, rows[i].want);
	}
	json_decref(page);
	rig_agent_close(&agent, true);
	rig_stop();
}

/* A page ends behind the object that fills it, and names the next one. */
static void
test_listing_object_pages(void **state)
{
	static const char *const wrong[] = {"{\"from\":-1}", "{\"from\":\"1\"}"};
	struct weft_error err = WEFT_ERROR_INIT;
	uint32_t from = 0;
	unsigned n = 0, n_pages = 0;

	(void)state;
	rig_start(1);
	rig_agent_open(&agent, 1);
	for (unsigned i = 0; i < 700; i++) {
		rig_buckets(&agent, DP_OBJECT_SELECT, "output(1)|output(2)|output(3)");
	}
	while (from != UINT32_MAX) {
		json_t *page = page_from(from), *next = json_object_get(page, "next");
		size_t rows = json_array_size(json_object_get(page, "objects"));

		n += (unsigned)rows;
		n_pages++;
		assert_int_equal(rows, n_pages < 3 ? 1002 : 96);
		from = json_is_null(next) ? UINT32_MAX : (uint32_t)json_integer_value(next);
		json_decref(page);
	}
	assert_int_equal(n, 2100);
	for (unsigned i = 0; i < 2; i++) {
		json_t *params = json_loads(wrong[i], 0, NULL);

		assert_null(listing_objects(&config, params, &err));
		assert_string_equal(err.text, "from is no slot number");
		json_decref(params);
	}
	rig_agent_close(&agent, true);
	rig_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listing_object_rows),
		cmocka_unit_test(test_listing_object_encap),
		cmocka_unit_test(test_listing_object_pages),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
