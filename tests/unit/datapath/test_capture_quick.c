/* SPDX-License-Identifier: Apache-2.0
 *
 * Quick refusals of captures: never of a packet that the filter takes, and of nearly all others.
 */
#include "tests/unit/datapath/lab.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/capture_quick.h"
#include "lib/compiler.h"

static const char *const filters[] = {
	"udp src port 1024",
	"tcp dst port 80",
	"src host 10.0.0.1",
	"net 10.0.0.0/8 and not udp",
	"vlan 5 and ip",
	"arp",
	"ip6 and tcp",
	"ether[0] & 1 != 0",
	"ip[8] < 5",
	"ip[2:2] > 600",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"portrange 1000-2000",
	"greater 500",
	"mpls",
	"icmp6 and ip6[40] == 135",
	"ether host 02:00:00:00:00:01",
	"udp[4:2] == ip[2:2] - 20",
	"tcp[13] = 18 or udp[0:2] & 0xff = 3",
	"not ip",
	"ip[0] & 0xf != 5",
	"ether proto 0x9000",
};

static struct bpf_program
compile(const char *text)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 65535);
	struct bpf_program program;

	assert_non_null(p);
	assert_int_equal(pcap_compile(p, &program, text, 1, PCAP_NETMASK_UNKNOWN), 0);
	pcap_close(p);
	return program;
}

/* One of few ports and addresses, some bytes at random. */
static void
random_frame(struct lab_frame *f)
{
	lab_frame(f, (enum lab_kind)lab_below(LAB_KINDS), lab_below(8) ? 0 : lab_below(3),
		lab_below(100));
	if (f->l4 && lab_below(2)) {
		f->bytes[f->l4] = 4;
		f->bytes[f->l4 + 1] = (uint8_t)lab_below(3);
	}
	if (f->l4 == f->l3 + 20 && !lab_below(4)) {
		f->bytes[f->l3] = (uint8_t)(0x45 + lab_below(3)); /* which moves the ports */
	}
	for (unsigned n = lab_below(3); n > 0; n--) {
		f->bytes[lab_below((uint32_t)f->len)] = (uint8_t)lab_random();
	}
	if (!lab_below(10)) {
		f->len = 14 + lab_below((uint32_t)f->len - 13);
	}
}

static struct packet
packet_of(struct lab_frame *f)
{
	return (struct packet){
		.data = f->bytes, .len = (uint32_t)f->len, .head_len = (uint32_t)f->len};
}

static void
test_quick_refusals_are_the_filters(void **state)
{
	(void)state;
	lab_seed("quick");
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(filters); i++) {
		struct bpf_program program = compile(filters[i]);
		struct capture_quick q;
		unsigned n_refused = 0, n_quick = 0;

		capture_quick_init(&q);
		for (unsigned round = 0; round < 20000; round++) {
			struct lab_frame f;
			struct packet p;
			bool wanted;

			random_frame(&f);
			p = packet_of(&f);
			wanted = bpf_filter(program.bf_insns, f.bytes, p.len, p.len);
			if (capture_quick_refuses(&q, &p)) {
				if (wanted) {
					fail_msg("%s refused what it takes", filters[i]);
				}
				n_quick++;
			} else if (!wanted) {
				q.patience = 1 + lab_below(3); /* learn all the time */
				capture_quick_learn(&q, program.bf_insns, program.bf_len, &p);
			}
			n_refused += !wanted;
		}
		print_message("%-40s %5u of %5u\n", filters[i], n_quick, n_refused);
		pcap_freecode(&program);
	}
}

/* Steady traffic, one packet in a hundred wanted: the program runs for hardly any other. */
static void
test_quick_refusals_are_nearly_all(void **state)
{
	struct bpf_program program = compile("udp src port 1024");
	struct capture_quick q;
	unsigned n_run = 0;

	(void)state;
	lab_seed("steady");
	capture_quick_init(&q);
	for (unsigned round = 0; round < 10000; round++) {
		struct lab_frame f;
		struct packet p;

		lab_frame(&f, round % 3 ? LAB_UDP4 : round % 2 ? LAB_TCP4 : LAB_UDP6, 0, 30);
		f.bytes[f.l4] = 4;
		f.bytes[f.l4 + 1] = (uint8_t)(round % 100);
		p = packet_of(&f);
		if (capture_quick_refuses(&q, &p)) {
			assert_false(bpf_filter(program.bf_insns, f.bytes, p.len, p.len));
		} else {
			n_run++;
			if (!bpf_filter(program.bf_insns, f.bytes, p.len, p.len)) {
				capture_quick_learn(&q, program.bf_insns, program.bf_len, &p);
			}
		}
	}
	/* One in a hundred of the UDP ones is wanted: at most a hundredth. */
	assert_in_range(n_run, 30, 200);
	pcap_freecode(&program);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quick_refusals_are_the_filters),
		cmocka_unit_test(test_quick_refusals_are_nearly_all),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
