/* SPDX-License-Identifier: Apache-2.0
 *
 * Each field that set-field can write in each kind of packet: the bytes that change, or the reason why not.
 */
#include "tests/unit/datapath/lab.h"

#include <stdlib.h>
#include <string.h>

#include "datapath/edit.h"
#include "lib/compiler.h"
#include "lib/packet_parse.h"

#define FRAME_MAX 256

static const struct frame {
	const char *name, *bytes;
} frames[] = {
#define FRAME(NAME, BYTES) {#NAME, BYTES},
#define SET(...)
#include "tests/unit/datapath/edit_rows.h"
#undef FRAME
#undef SET
};

static const struct row {
	enum field_id field;
	const char *frame, *value, *changes;
} rows[] = {
#define FRAME(...)
#define SET(FIELD, NAME, VALUE, CHANGES) {FIELD_##FIELD, #NAME, VALUE, CHANGES},
#include "tests/unit/datapath/edit_rows.h"
#undef FRAME
#undef SET
};

static void
change(uint8_t *bytes, size_t len, const char *changes)
{
	while (*changes) {
		char hex[2 * FRAME_MAX + 1], *end;
		size_t at = strtoul(changes, &end, 10), n = strcspn(end + 1, " ");

		assert_int_equal(*end, '=');
		assert_true(n < sizeof hex);
		memcpy(hex, end + 1, n);
		hex[n] = '\0';
		assert_true(at < len);
		assert_int_equal(lab_hex(bytes + at, len - at, hex), n / 2);
		changes = end + 1 + n + strspn(end + 1 + n, " ");
	}
}

static bool
is_of(enum field_id id, const char *names)
{
	const char *at = strstr(names, field_get(id)->name);

	return at && at[strlen(field_get(id)->name)] == ' ';
}

/* Why the frame has no such field. */
static int
reason_of(const struct frame *f, enum field_id id)
{
	bool is_v4 = strchr(f->name, '4') || !strcmp(f->name, "tagged");
	bool is_v6 = strchr(f->name, '6') || !strcmp(f->name, "qinq");

	if (is_of(id, "vlan_tci vlan_vid vlan_pcp ")) {
		return DROP_NO_VLAN;
	}
	if (is_of(id, "mpls_label mpls_tc mpls_bos mpls_ttl ")) {
		return DROP_NO_MPLS;
	}
	if (is_of(id, "pbb_isid pbb_uca ")) {
		return DROP_NO_PBB;
	}
	if (((is_v4 || is_v6) &&
		    is_of(id,
			    "tcp_src tcp_dst udp_src udp_dst sctp_src sctp_dst tp_src tp_dst ")) ||
		(is_v4 && is_of(id, "icmp_type icmp_code ")) ||
		(is_v6 && is_of(id, "icmpv6_type icmpv6_code nd_target nd_sll nd_tll "
				    "nd_reserved nd_options_type "))) {
		return DROP_NO_L4;
	}
	return DROP_NO_L3;
}

static const struct row *
row_of(const struct frame *f, enum field_id id)
{
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		if (rows[i].field == id && !strcmp(rows[i].frame, f->name)) {
			return &rows[i];
		}
	}
	return NULL;
}

static void
check(const struct frame *f, enum field_id id)
{
	const struct row *row = row_of(f, id);
	uint8_t want[FRAME_MAX], got[FRAME_MAX], value[16] = {0}, ones[16];
	size_t len = lab_hex(want, sizeof want, f->bytes), n_value = field_get(id)->n_bytes;
	struct packet *p = lab_packet(want, len, 1, 0);
	int wanted = row ? EDIT_OK : reason_of(f, id), result;
	struct flow_key key;

	for (unsigned i = 0; i < n_value; i++) {
		unsigned below = 8 * (unsigned)(n_value - 1 - i), width = field_get(id)->width;

		ones[i] = width >= below + 8 ? 0xff
			  : width > below    ? 0xff >> (8 - (width - below))
					     : 0;
	}
	assert_true(packet_parse(p, &key, PARSE_L4));
	if (row) {
		assert_int_equal(lab_hex(value, sizeof value, row->value), n_value);
		change(want, len, row->changes);
	}
	result = packet_set_field(p, id, value, ones);
	assert_int_equal(lab_bytes(p, got, sizeof got), len);
	if (result != wanted || memcmp(got, want, len) != 0) {
		for (size_t i = 0; i < len; i++) {
			if (got[i] != want[i]) {
				print_error("byte %zu: %02x, not %02x\n", i, got[i], want[i]);
			}
		}
		fail_msg("%s in %s: result %d, not %d", field_get(id)->name, f->name, result,
			wanted);
	}
	lab_free(p);
}

static void
test_fields_in_all_kinds_of_packets(void **state)
{
	unsigned n_set = 0;

	(void)state;
	for (unsigned id = 0; id < FIELD_N; id++) {
		const struct field *field = field_get((enum field_id)id);

		/* Tunnels' fields and registers are of the packet's metadata. */
		if (!(field->flags & FIELD_WRITABLE) || field->flags & FIELD_PIPELINE ||
			!strncmp(field->name, "tun_", 4)) {
			continue;
		}
		for (unsigned i = 0; i < WEFT_ARRAY_SIZE(frames); i++) {
			check(&frames[i], (enum field_id)id);
			n_set += row_of(&frames[i], (enum field_id)id) != NULL;
		}
	}
	assert_int_equal(n_set, WEFT_ARRAY_SIZE(rows));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_in_all_kinds_of_packets),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
