/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames in hexadecimal, a line each, on standard input; for each a line with the fields that the parser
 * finds, name=hexadecimal, without those that are zero.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/field.h"
#include "lib/flow_key.h"
#include "lib/packet_key.h"

#define MAX_FRAME 65600u

/* One name for each place of the key: those that share one show the other's bytes. */
static const enum field_id fields[] = {FIELD_ETH_DST, FIELD_ETH_SRC, FIELD_ETH_TYPE, FIELD_VLAN_TCI,
	FIELD_VLAN_TPID, FIELD_INNER_TCI, FIELD_INNER_TPID, FIELD_TCP_FLAGS, FIELD_IPV4_SRC,
	FIELD_IPV4_DST, FIELD_ARP_OP, FIELD_IP_TTL, FIELD_IP_FRAG, FIELD_BAD_L3, FIELD_BAD_L4,
	FIELD_L4_SRC, FIELD_L4_DST, FIELD_IPV6_SRC, FIELD_IPV6_DST, FIELD_IPV6_FLABEL,
	FIELD_IPV6_EXTHDR, FIELD_ND_TARGET, FIELD_ARP_SHA, FIELD_ARP_THA, FIELD_MPLS_LABEL,
	FIELD_MPLS_TC, FIELD_MPLS_BOS, FIELD_MPLS_TTL, FIELD_MPLS_LSE1, FIELD_MPLS_LSE2,
	FIELD_PBB_ISID, FIELD_PBB_UCA, FIELD_ND_RESERVED};

static void
print_key(const struct flow_key *key)
{
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		const struct field *f = field_get(fields[i]);
		union field_value value;
		bool zero = true;

		field_load(f, key, &value);
		for (unsigned b = 0; b < f->n_bytes; b++) {
			zero &= !value.b[b];
		}
		if (zero) {
			continue;
		}
		printf("%s=", f->name);
		for (unsigned b = 0; b < f->n_bytes; b++) {
			printf("%02x", value.b[b]);
		}
		putchar(' ');
	}
}

int
main(void)
{
	static char line[2 * MAX_FRAME + 2];
	static uint8_t frame[MAX_FRAME];

	while (fgets(line, sizeof line, stdin)) {
		size_t len = strcspn(line, "\n") / 2;
		struct flow_key key;
		unsigned byte;

		for (size_t i = 0; i < len; i++) {
			if (sscanf(line + 2 * i, "%2x", &byte) != 1) {
				fprintf(stderr, "print_keys: not hexadecimal: %.20s\n", line);
				return EXIT_FAILURE;
			}
			frame[i] = (uint8_t)byte;
		}
		packet_key_parse(frame, len, &key);
		print_key(&key);
		putchar('\n');
		fflush(stdout);
	}
	return EXIT_SUCCESS;
}
