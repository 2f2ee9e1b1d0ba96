/* SPDX-License-Identifier: Apache-2.0
 *
 * Datapath actions: bytes, walking, what validation refuses, text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dp_action.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "tests/unit/lib/random.h"
#include "tests/unit/lib/random_actions.h"

#define ROUNDS 5000

/* Every action, printed as typed. */
static const char *const texts[] = {
	"drop",
	"drop(explicit)",
	"drop(upcall-timeout)",
	"output(3),push_vlan(tpid=0x8100,vid=10,pcp=0)",
	"output(65534,max_len=100),to_agent(context=5,max_len=65535,reason=1)",
	"push_vlan(tpid=0x88a8,vid=4095,pcp=7,dei=1),pop_vlan",
	"set(eth_dst=00:00:00:00:00:01),set(nw_tos=16/0xfc),set(tun_id=0x5),set(ip_src=10.0.0.0/8)",
	"dec_ttl(),dec_ttl(drop(invalid-ttl)),dec_mpls_ttl(to_agent(context=0,max_len=0,reason=2))",
	"push_mpls(eth_type=0x8847,label=5,tc=1,ttl=64),pop_mpls(0x800),copy_ttl_out,copy_ttl_in",
	"push_mpls(eth_type=0x8848,label=1048575,tc=7,ttl=255,bos=1)",
	"push_pbb(0x88e7),pop_pbb,select(3.4),first_live(3.4),meter(1.1),encap(0.1)",
	"sample(probability=5,(output(1),output(2))),clone(pop_vlan,output(1)),clone(),recirc(0x5)",
	"decap(kind=vxlan,port=4)",
	"decap(kind=vxlan-gpe,port=4,recirc_id=0x5)",
	"check_len(max_len=1500,(to_agent(context=1,max_len=0,reason=0)),()),hash(basis=3)",
	"check_len(max_len=1500,(),(clone(output(1)),output(2))),hash(basis=3,eth_src,nw_proto)",
};

static const struct {
	const char *text, *error;
} bad_texts[] = {
	{"output(65535)", "datapath actions: '65535': not the number of a datapath port"},
	{"output", "datapath actions: 'output': arguments are missing"},
	{"output(1),", "datapath actions: 'output(1),': parentheses or commas are wrong"},
	{"output(1)x", "datapath actions: 'output(1)x': something behind the closing parenthesis"},
	{"output(1)(2)", "datapath actions: '1)(2': not the number of a datapath port"},
	{"fly", "datapath actions: 'fly': no datapath action"},
	{",", "datapath actions: ',': parentheses or commas are wrong"},
	{"pop_vlan(3)", "datapath actions: 'pop_vlan(3)': takes no arguments"},
	{"clone(output(1)", "datapath actions: 'clone(output(1)': parentheses or commas are wrong"},
	{"drop(foo)", "datapath actions: 'foo': no drop reason"},
	{"drop(explicit),output(1)", "datapath actions: an action behind one that ends the list"},
	{"recirc(0)", "datapath actions: recirculation id 0"},
	{"set(in_port=5)", "datapath actions: the field cannot be set"},
	{"set(foo=5)", "datapath actions: 'foo': no such field"},
	{"set(nw_ttl=256)",
		"nw_ttl=256: not a value of 8 bits; write a decimal number, or 0x and a hexadecimal one"},
	{"push_vlan(tpid=0x8100,vid=4096,pcp=0)",
		"datapath actions: 'vid=4096': write vid=NUMBER, up to 4095"},
	{"push_vlan(tpid=0x9100,vid=1,pcp=0)",
		"datapath actions: TPID is neither 0x8100 nor 0x88a8"},
	{"select(5)", "datapath actions: '5': write a handle as SLOT.GENERATION"},
	{"select(5.0)", "datapath actions: no object"},
	{"decap(kind=ip,port=1)",
		"datapath actions: 'kind=ip': write kind=vxlan, vxlan-gpe, geneve, gre, erspan or gre-or-erspan"},
	{"sample(probability=1,output(1))",
		"datapath actions: 'output(1)': a list in parentheses is missing"},
	{"clone(clone(clone(clone(clone(clone(clone(clone(clone())))))))))",
		"datapath actions: 'clone(clone(clone(clone(clone(clone(clone(clone(clone())))))...': "
		"parentheses or commas are wrong"},
	{"clone(clone(clone(clone(clone(clone(clone(clone(clone()))))))))",
		"datapath actions: '': nested too deep"},
};

static void
test_dp_action_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct dp_actions list;
		struct strbuf s = STRBUF_INIT;

		dp_actions_init(&list);
		if (!dp_actions_parse(texts[i], strlen(texts[i]), &list, &err)) {
			fail_msg("%s: %s", texts[i], err.text);
		}
		dp_actions_format(list.data, list.size, &s);
		assert_string_equal(strbuf_text(&s), texts[i]);
		strbuf_uninit(&s);
		dp_actions_uninit(&list);
	}
}

static void
test_dp_action_text_refused(void **state)
{
	struct dp_actions list;

	(void)state;
	dp_actions_init(&list);
	dp_actions_put_output(&list, (struct dp_port){1}, 0);
	for (size_t i = 0; i < sizeof bad_texts / sizeof bad_texts[0]; i++) {
		struct weft_error err = WEFT_ERROR_INIT;

		assert_false(dp_actions_parse(
			bad_texts[i].text, strlen(bad_texts[i].text), &list, &err));
		assert_string_equal(err.text, bad_texts[i].error);
		assert_int_equal(list.size, 16);
	}
	dp_actions_uninit(&list);
}

static void
test_dp_action_bytes(void **state)
{
	static const uint8_t want[] = {
		1, 0, 0, 0, 16, 0, 0, 0, 3, 0, 0, 0, 100, 0, 0, 0, /* output(3,max_len=100) */
		19, 0, 0, 0, 16, 0, 0, 0,                          /* clone */
		5, 0, 0, 0, 8, 0, 0, 0,                            /* pop_vlan in it */
		4, 0, 0, 0, 16, 0, 0, 0, 0x81, 0, 0xa0, 10, 0, 0, 0,
		0,                                               /* push_vlan(vid=10,pcp=5) */
		2, 0, 0, 0, 16, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, /* drop(invalid-ttl) */
	};
	struct dp_actions list;
	size_t at;

	(void)state;
	dp_actions_init(&list);
	dp_actions_put_output(&list, (struct dp_port){3}, 100);
	at = dp_actions_begin(&list, DP_ACTION_CLONE, 0);
	dp_actions_put_flag(&list, DP_ACTION_POP_VLAN);
	dp_actions_end(&list, at);
	dp_actions_put_push_vlan(&list, be16_from(0x8100), be16_from(0xa00a));
	dp_actions_put_drop(&list, DROP_INVALID_TTL);
	assert_int_equal(list.size, sizeof want);
	assert_memory_equal(list.data, want, sizeof want);
	assert_true(dp_actions_equal(list.data, list.size, want, sizeof want));
	assert_false(dp_actions_equal(list.data, list.size, want, sizeof want - 8));
	dp_actions_clear(&list);
	assert_true(dp_actions_equal(list.data, list.size, NULL, 0));
	assert_true(dp_actions_validate(NULL, 0, NULL));
	dp_actions_uninit(&list);
}

static void
test_dp_action_walk(void **state)
{
	struct dp_actions longer, shorter, list;
	const struct dp_action_hdr *a, *nested;
	size_t size;

	(void)state;
	dp_actions_init(&longer);
	dp_actions_init(&shorter);
	dp_actions_init(&list);
	dp_actions_put_flag(&longer, DP_ACTION_POP_VLAN);
	dp_actions_put_output(&shorter, (struct dp_port){1}, 0);
	dp_actions_put_check_len(&list, 1500, &longer, &shorter);
	dp_actions_put_flag(&list, DP_ACTION_POP_PBB);

	a = dp_action_first(list.data, list.size);
	assert_int_equal(a->type, DP_ACTION_CHECK_LEN);
	nested = dp_action_nested(a, 0, &size);
	assert_int_equal(nested->type, DP_ACTION_POP_VLAN);
	assert_int_equal(size, 8);
	nested = dp_action_nested(a, 1, &size);
	assert_int_equal(nested->type, DP_ACTION_OUTPUT);
	assert_int_equal(size, 16);
	assert_null(dp_action_nested(a, 2, &size));
	a = dp_action_next(a, list.data, list.size);
	assert_int_equal(a->type, DP_ACTION_POP_PBB);
	assert_null(dp_action_nested(a, 0, &size));
	assert_int_equal(size, 0);
	assert_null(dp_action_next(a, list.data, list.size));
	assert_null(dp_action_first(list.data, 0));
	dp_actions_uninit(&longer);
	dp_actions_uninit(&shorter);
	dp_actions_uninit(&list);
}

/* Each 32-bit word of a list that is wrong when it has that value. */
static const struct {
	const char *text;
	unsigned word;
	uint32_t value;
	const char *error;
} broken[] = {
	{"output(1)", 0, 0, "unknown type"}, {"output(1)", 0, DP_ACTION_N, "unknown type"},
	{"output(1)", 0, 1u << 16 | DP_ACTION_OUTPUT, "wrong length"},
	{"output(1)", 1, 8, "wrong length for its type"}, {"output(1)", 1, 12, "wrong length"},
	{"output(1)", 1, 0, "wrong length"}, {"output(1)", 1, 24, "wrong length"},
	{"output(1)", 1, 0xfffffff8, "wrong length"},
	{"output(1),pop_vlan", 1, 24, "wrong length for its type"},
	{"output(1)", 2, 65535, "port number out of range"},
	{"drop(explicit)", 2, DROP_N, "unknown drop reason"},
	{"drop(explicit)", 3, 1, "unknown drop reason"},
	{"push_vlan(tpid=0x8100,vid=1,pcp=0)", 2, 0x0081 + 1, "TPID is neither 0x8100 nor 0x88a8"},
	{"push_vlan(tpid=0x8100,vid=1,pcp=0)", 3, 1, "TPID is neither 0x8100 nor 0x88a8"},
	{"set(nw_ttl=5)", 2, 1u << 16 | FIELD_BAD_L3, "the field cannot be set"},
	{"set(nw_ttl=5)", 2, 4u << 16 | FIELD_REG0, "the field cannot be set"},
	{"set(nw_ttl=5)", 2, 1u << 16 | FIELD_N, "unknown field"},
	{"set(nw_ttl=5)", 2, 2u << 16 | FIELD_IP_TTL, "wrong size of a field"},
	{"set(nw_ttl=5)", 3, 1, "wrong size of a field"},
	{"set(nw_ttl=5)", 4, 0x1ff05, "padding is not zero"},
	{"set(nw_ttl=5)", 4, 0x0f05 | 0x10, "value bits outside the mask"},
	{"set(ip_dscp=5)", 4, 0x7f05, "bits beyond the field's width"},
	{"push_mpls(eth_type=0x8847,label=1,tc=0,ttl=1)", 2, 0x0008,
		"Ethernet type is none of MPLS"},
	{"pop_mpls(0x800)", 2, 65536, "no Ethernet type"},
	{"recirc(0x5)", 2, 0, "recirculation id 0"}, {"meter(1.1)", 3, 0, "no object"},
	{"sample(probability=5,(output(1)))", 3, 1, "reserved bytes are not zero"},
	{"sample(probability=5,(output(1)))", 5, 8, "wrong length for its type"},
	{"decap(kind=gre,port=1)", 2, 0, "bad tunnel kind or port"},
	{"decap(kind=gre,port=1)", 2, DP_TUNNEL_KIND_N, "bad tunnel kind or port"},
	{"decap(kind=gre,port=1)", 3, 65535, "bad tunnel kind or port"},
	{"decap(kind=gre,port=1)", 5, 1, "bad tunnel kind or port"},
	{"check_len(max_len=5,(output(1)),(output(2)))", 3, 40, "wrong length of a nested list"},
	{"check_len(max_len=5,(output(1)),(output(2)))", 3, 4, "wrong length of a nested list"},
	{"check_len(max_len=5,(output(1)),(output(2)))", 3, 8, "wrong length"},
	{"hash(basis=1,nw_ttl)", 3, 5, "wrong number of hash fields"},
	{"hash(basis=1,nw_ttl)", 3, 0xffffffff, "wrong number of hash fields"},
	{"hash(basis=1,nw_ttl)", 4, 1u << 16 | FIELD_IP_TTL, "padding is not zero"},
	{"hash(basis=1,nw_ttl)", 4, FIELD_N, "the field cannot be hashed"},
	{"hash(basis=1,nw_ttl)", 4, FIELD_METADATA, "the field cannot be hashed"},
	{"recirc(0x5)", 0, DP_ACTION_OUTPUT, NULL}, /* fine */
};

static void
test_dp_action_validate_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct dp_actions list;

		dp_actions_init(&list);
		assert_true(dp_actions_parse(broken[i].text, strlen(broken[i].text), &list, NULL));
		memcpy(list.data + 4 * broken[i].word, &broken[i].value, 4);
		assert_int_equal(dp_actions_validate(list.data, list.size, &err), !broken[i].error);
		if (broken[i].error &&
			strcmp(err.text + strlen("datapath actions: "), broken[i].error)) {
			fail_msg("%s, word %u: %s", broken[i].text, broken[i].word, err.text);
		}
		dp_actions_uninit(&list);
	}
}

static void
test_dp_action_validate_sizes(void **state)
{
	struct dp_actions list;

	(void)state;
	dp_actions_init(&list);
	for (unsigned i = 0; i < DP_ACTIONS_MAX_SIZE / 16; i++) {
		dp_actions_put_output(&list, (struct dp_port){1}, 0);
	}
	assert_true(dp_actions_validate(list.data, list.size, NULL));
	dp_actions_put_flag(&list, DP_ACTION_POP_VLAN);
	assert_false(dp_actions_validate(list.data, list.size, NULL));
	assert_false(dp_actions_validate(list.data, 12, NULL));
	assert_false(dp_actions_validate(list.data, 8, NULL));
	dp_actions_uninit(&list);
}

static void
test_dp_action_validate_depth(void **state)
{
	size_t at[DP_ACTIONS_MAX_DEPTH + 1];

	(void)state;
	for (unsigned depth = DP_ACTIONS_MAX_DEPTH; depth <= DP_ACTIONS_MAX_DEPTH + 1; depth++) {
		struct dp_actions list;

		dp_actions_init(&list);
		for (unsigned i = 0; i < depth; i++) {
			at[i] = dp_actions_begin(&list, DP_ACTION_CLONE, 0);
		}
		for (unsigned i = depth; i-- > 0;) {
			dp_actions_end(&list, at[i]);
		}
		assert_int_equal(dp_actions_validate(list.data, list.size, NULL),
			depth <= DP_ACTIONS_MAX_DEPTH);
		dp_actions_uninit(&list);
	}
}

/* Touches everything that a valid list holds. */
static unsigned
count(const void *data, size_t size)
{
	unsigned n = 0;

	for (const struct dp_action_hdr *a = dp_action_first(data, size); a;
		a = dp_action_next(a, data, size)) {
		n++;
		for (unsigned which = 0; which < 2; which++) {
			size_t nested_size;
			const void *nested = dp_action_nested(a, which, &nested_size);

			n += count(nested, nested_size);
		}
	}
	return n;
}

static void
test_dp_action_random(void **state)
{
	(void)state;
	random_begin("dp_action");
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct weft_error err = WEFT_ERROR_INIT;
		struct dp_actions list, again;
		struct strbuf s = STRBUF_INIT;

		dp_actions_init(&list);
		dp_actions_init(&again);
		random_actions(&list, DP_ACTIONS_MAX_DEPTH);
		if (!dp_actions_validate(list.data, list.size, &err)) {
			fail_msg("%s", err.text);
		}
		dp_actions_format(list.data, list.size, &s);
		if (!dp_actions_parse(s.data, s.len, &again, &err)) {
			fail_msg("%s: %s", s.data, err.text);
		}
		assert_true(dp_actions_equal(list.data, list.size, again.data, again.size));

		/* Scribbled: refused, or still safe to walk and print. */
		for (unsigned n = 0; list.size && n < 8; n++) {
			list.data[random_below((uint32_t)list.size)] = (uint8_t)random_u64();
			if (dp_actions_validate(list.data, list.size, NULL)) {
				count(list.data, list.size);
				strbuf_clear(&s);
				dp_actions_format(list.data, list.size, &s);
			}
		}
		strbuf_uninit(&s);
		dp_actions_uninit(&list);
		dp_actions_uninit(&again);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dp_action_text),
		cmocka_unit_test(test_dp_action_text_refused),
		cmocka_unit_test(test_dp_action_bytes),
		cmocka_unit_test(test_dp_action_walk),
		cmocka_unit_test(test_dp_action_validate_refuses),
		cmocka_unit_test(test_dp_action_validate_sizes),
		cmocka_unit_test(test_dp_action_validate_depth),
		cmocka_unit_test(test_dp_action_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
