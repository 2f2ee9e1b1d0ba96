/* SPDX-License-Identifier: Apache-2.0
 *
 * Translation, at random: whatever packet agrees with another one in the bits of its flow's mask gets
 * the same actions; and the rule that is hit is one that a naive search finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/byteorder.h"
#include "lib/strbuf.h"
#include "tests/unit/ofproto/world.h"

#define N_ROUNDS 300
#define N_RULES 40
#define N_PACKETS 40
#define N_VARIANTS 8

static uint64_t rnd;

static unsigned
upto(unsigned n)
{
	return (unsigned)(world_random(&rnd) % n);
}

/* Few values, so that rules and packets meet. */
static void
random_match(char *text, size_t size)
{
	static const char *const parts[] = {
		"in_port=1",
		"in_port=2",
		"dl_dst=00:00:00:00:00:01",
		"dl_dst=00:00:00:00:00:02",
		"dl_src=00:00:00:00:00:01",
		"dl_dst=01:00:00:00:00:00/01:00:00:00:00:00",
		"dl_vlan=1",
		"dl_vlan=2",
		"vlan_tci=0x1000/0x1000",
		"vlan_tci=0/0x1fff",
		"dl_vlan=1,dl_vlan_pcp=2",
		"ip",
		"ip,nw_dst=10.0.0.0/8",
		"ip,nw_dst=10.0.0.1",
		"ip,nw_src=10.0.0.1",
		"ip,nw_ttl=2",
		"ip,nw_ttl=1",
		"ip,nw_ttl=3",
		"inner_tci=0x1001",
		"ip,nw_tos=32",
		"tcp,tp_dst=1",
		"tcp,tp_dst=0/0x1",
		"udp,tp_src=1",
		"ipv6",
		"ipv6,ipv6_dst=fe80::/64",
		"arp",
		"arp,arp_op=1",
		"reg0=1",
		"metadata=1/3",
		"icmp,icmp_type=8",
		"tcp,nw_dst=10.0.0.2,tp_dst=2",
		"reg1=0x1/0x1",
	};

	snprintf(text, size, "%s", upto(8) ? parts[upto(WEFT_ARRAY_SIZE(parts))] : "");
}

static void
random_actions(char *text, size_t size, unsigned table)
{
	static const char *const plain[] = {
		"output:1",
		"output:2",
		"output:3",
		"in_port",
		"all",
		"normal",
		"drop?",
		"set_field:00:00:00:00:00:01->eth_dst",
		"set_field:00:00:00:00:00:02->eth_dst",
		"set_field:1->reg0",
		"set_field:0x1/0x1->reg1",
		"push_vlan:0x8100",
		"mod_vlan_vid:1",
		"mod_vlan_pcp:2",
		"move:NXM_OF_ETH_SRC[0..3]->NXM_NX_REG0[0..3]",
		"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
		"move:NXM_NX_REG0[0..7]->NXM_OF_ETH_DST[0..7]",
		"clone(set_field:00:00:00:00:00:09->eth_src,output:3)",
		"controller:100",
	};
	struct strbuf s = STRBUF_INIT;
	unsigned n = upto(4);

	while (n--) {
		unsigned i = upto(WEFT_ARRAY_SIZE(plain) + 2);

		if (i >= WEFT_ARRAY_SIZE(plain)) {
			strbuf_printf(&s, "resubmit(,%u),", upto(4));
		} else if (i != 6) {
			strbuf_printf(&s, "%s,", plain[i]);
		}
	}
	if (!upto(4)) {
		strbuf_printf(&s, "write_actions(output:%u,set_field:00:00:00:00:00:0%u->eth_src),",
			1 + upto(3), upto(3));
	}
	if (!upto(4)) {
		strbuf_printf(&s, "write_metadata:%u/3,", upto(4));
	}
	if (table < 3 && upto(3)) {
		strbuf_printf(&s, "goto_table:%u,", table + 1);
	}
	strbuf_chomp(&s, ",");
	snprintf(text, size, "%s", s.len ? strbuf_text(&s) : "drop");
	strbuf_uninit(&s);
}

/* @first before the other actions, which are some then. */
static void
prepend(char *actions, size_t size, const char *first)
{
	struct strbuf s = STRBUF_INIT;

	strbuf_printf(&s, "%s,%s", first, strcmp(actions, "drop") ? actions : "output:2");
	snprintf(actions, size, "%s", strbuf_text(&s));
	strbuf_uninit(&s);
}

static void
add_random_rule(struct world *w)
{
	char match[256], actions[2048], flow[4096];
	unsigned table = upto(4);
	bool is_ip;

	random_match(match, sizeof(match));
	random_actions(actions, sizeof(actions), table);
	is_ip = strstr(match, "ip,") == match || strstr(match, "tcp") == match;
	if (is_ip && !upto(3)) {
		static const char *const on_ip[] = {"dec_ttl", "set_field:10.0.0.1->ip_dst",
			"set_field:10.0.0.2->ip_src", "mod_nw_ttl:3", "set_field:1->nw_ecn",
			"move:NXM_OF_IP_SRC[0..7]->NXM_OF_IP_DST[0..7]"};

		prepend(actions, sizeof(actions), on_ip[upto(WEFT_ARRAY_SIZE(on_ip))]);
	}
	if (!strncmp(match, "dl_vlan", 7) && !upto(2)) {
		prepend(actions, sizeof(actions),
			upto(2) ? "pop_vlan" : "set_field:4098->vlan_vid");
	}
	snprintf(flow, sizeof(flow), "add table=%u,priority=%u,%s actions=%s", table, 1 + upto(6),
		match, actions);
	world_flow(w, flow);
}

static void
random_packet(struct flow_key *key)
{
	static const char *const kinds[] = {"", "ip", "tcp", "udp", "icmp", "ipv6", "arp", "tcp6"};
	char text[512];
	size_t len;
	unsigned kind = upto(WEFT_ARRAY_SIZE(kinds));

	len = (size_t)snprintf(text, sizeof(text),
		"in_port=%u,dl_src=00:00:00:00:00:%02x,dl_dst=%02x:00:00:00:00:%02x,%s",
		1 + upto(3), upto(4), upto(2), upto(4), kinds[kind]);
	if (!upto(2)) {
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			",dl_vlan=%u,dl_vlan_pcp=%u", upto(3), upto(4));
		if (!upto(3)) {
			len += (size_t)snprintf(text + len, sizeof(text) - len,
				",inner_tci=0x100%u,inner_tpid=0x8100", upto(3));
		}
	}
	if (kind >= 1 && kind <= 4) {
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			",nw_src=10.0.0.%u,nw_dst=10.0.0.%u,nw_ttl=%u,nw_tos=%u", upto(3), upto(3),
			upto(5), upto(2) * 32);
	}
	if (kind == 2 || kind == 3) {
		snprintf(text + len, sizeof(text) - len, ",tp_src=%u,tp_dst=%u", upto(3), upto(3));
	}
	world_key(text, key);
}

/* Flips bits that the mask has not; shape (types, presence of tags) changes with them. */
static void
vary(struct flow_key *key, const struct flow_mask *mask)
{
	struct flow_key other;

	random_packet(&other);
	for (unsigned i = 0; i < OF_N_WORDS - 16; i++) {
		uint64_t free_bits = ~mask->bits.words[i];

		key->words[i] = (key->words[i] & ~free_bits) | (other.words[i] & free_bits);
	}
}

/* The rule of table 0 that must have been hit first. */
static void
check_first_rule(struct world *w, const struct flow_key *dp_key)
{
	struct flow_key key = *dp_key;
	const struct rule *hit = w->t.rules[0];
	int best = -1;
	struct list *l;

	key.in_port = be32_from(be32_to(key.in_port) - 10);
	for (l = w->p->tables[0].rules.next; l != &w->p->tables[0].rules; l = l->next) {
		struct rule *r = LIST_ENTRY(l, struct rule, by_table);
		struct of_match m;

		cls_rule_match(&r->cls, &m);
		if (r->cls.priority > best && flow_key_matches(&key, 0xff, &m.value, &m.mask)) {
			best = r->cls.priority;
		}
	}
	if (best < 0) {
		assert_true(hit->is_miss);
	} else {
		struct of_match m;

		assert_false(hit->is_miss);
		assert_int_equal(hit->cls.priority, best);
		cls_rule_match(&hit->cls, &m);
		assert_true(flow_key_matches(&key, 0xff, &m.value, &m.mask));
	}
}

static void
test_translate_mask_covers_what_was_read(void **state)
{
	(void)state;
	rnd = world_seed();
	for (unsigned round = 0; round < N_ROUNDS; round++) {
		struct world w;

		world_init(&w);
		if (!(round % 3)) {
			static const int trunks[] = {1, 2, -1};

			world_port(&w, 1, OF_VLAN_ACCESS, 1, NULL);
			world_port(&w, 2, OF_VLAN_TRUNK, 0, trunks);
			world_port(&w, 3, OF_VLAN_NATIVE_UNTAGGED, 2, NULL);
			world_port(&w, 4, OF_VLAN_DOT1Q_TUNNEL, 1, NULL);
		}
		for (unsigned i = 0; i < N_RULES; i++) {
			add_random_rule(&w);
		}
		for (unsigned i = 0; i < 4; i++) {
			uint8_t mac[6] = {0, 0, 0, 0, 0, (uint8_t)i};

			ofproto_fdb_learn(
				w.p, (uint16_t)upto(3), mac, OF_PORT(1 + upto(4)), w.now_ms);
		}
		for (unsigned i = 0; i < N_PACKETS; i++) {
			struct flow_key key, variant;
			struct flow_mask mask;
			char actions[sizeof(w.text)];

			random_packet(&key);
			strcpy(actions, world_translate_key(&w, &key));
			check_first_rule(&w, &key);
			mask = w.t.mask;
			for (unsigned n = 0; n < N_VARIANTS; n++) {
				variant = key;
				vary(&variant, &mask);
				world_translate_key(&w, &variant);
				if (strcmp(w.text, actions)) {
					struct strbuf a = STRBUF_INIT;
					struct flow_mask all;

					memset(&all, 0xff, sizeof(all));
					print_message("%s", world_dump(&w));
					flow_text_format(&key, &all, &a);
					strbuf_put(&a, "\n");
					flow_text_format(&variant, &all, &a);
					strbuf_put(&a, "\nmask ");
					w.t.mask = mask;
					strbuf_put(&a, world_mask(&w));
					world_translate_key(&w, &variant);
					fail_msg("%s\n%s\nand\n%s", strbuf_text(&a), actions,
						w.text);
				}
			}
		}
		world_uninit(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_translate_mask_covers_what_was_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
