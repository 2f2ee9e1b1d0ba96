/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart requests in several messages; tables and their features.
 */
#include "tests/unit/controller-agent/of_world.h"

#include "ofproto/oxm.h"

#define BODY_MAX 65536

/* Multipart headers: first or middle message, last message. */
#define MORE(LEN, XID, PART) "0412" LEN XID PART "0001 00000000"
#define LAST(LEN, XID, PART) "0412" LEN XID PART "0000 00000000"
/* The two halves of a FLOW request for all flows, 8 and 32 bytes. */
#define FLOW_HEAD "ff000000 ffffffff"
#define FLOW_TAIL "ffffffff 00000000 0000000000000000 0000000000000000 0001000400000000"

struct test {
	struct world w;
	int fd;
	uint8_t reply[BODY_MAX];
	size_t len;
};

static struct test t;

static void
begin(void)
{
	world_open(&t.w);
	t.fd = world_client(&t.w);
}

static void
end(void)
{
	expect_nothing(t.fd);
	close(t.fd);
	world_run(&t.w);
	world_close(&t.w);
}

static void
exchange(const char *sent, const char *wanted)
{
	send_hex(t.fd, sent);
	world_run(&t.w);
	expect_hex(t.fd, wanted);
}

/* The reply to what was sent, a message of any length. */
static void
receive(void)
{
	world_run(&t.w);
	t.len = recv_message(t.fd, t.reply, sizeof(t.reply));
}

static void
expect_error(uint16_t type, uint16_t code, uint32_t xid)
{
	receive();
	assert_int_equal(t.reply[1], 1);
	assert_int_equal(get_be32(t.reply + 4), xid);
	assert_int_equal(get_be16(t.reply + 8), type);
	assert_int_equal(get_be16(t.reply + 10), code);
}

/* A whole message of @len bytes, in pieces that the socket takes. */
static void
send_long(const uint8_t *msg, size_t len)
{
	for (size_t at = 0; at < len; at += 8192) {
		raw_send(t.fd, msg + at, WEFT_MIN(len - at, (size_t)8192));
		world_run(&t.w);
	}
}

/* --- requests in several messages ---------------------------------------------------------------- */

static void
test_multipart_requests_interleave(void **state)
{
	(void)state;
	begin();
	send_hex(t.fd, MORE("0018", "00000009", "0001") FLOW_HEAD);
	send_hex(t.fd, MORE("0018", "0000000a", "0002") FLOW_HEAD);
	/* One without a body on its way is not disturbed, nor is one that is whole. */
	send_hex(t.fd, MORE("0010", "0000000b", "0001"));
	exchange(LAST("0010", "0000000c", "0007"), "04130010 0000000c 0007000000000000");
	exchange(LAST("0030", "0000000a", "0002") FLOW_TAIL,
		"04130028 0000000a 0002000000000000 0000000000000000 0000000000000000 00000000 00000000");
	exchange(LAST("0030", "00000009", "0001") FLOW_TAIL, "04130010 00000009 0001000000000000");
	exchange(LAST("0038", "0000000b", "0001") FLOW_HEAD FLOW_TAIL,
		"04130010 0000000b 0001000000000000");
	/* Each is forgotten with its answer. */
	send_hex(t.fd, LAST("0030", "00000009", "0001") FLOW_TAIL);
	expect_error(OFPET_BAD_REQUEST, OFPBRC_BAD_LEN, 9);
	end();
}

static void
test_multipart_xid_is_used_anew(void **state)
{
	(void)state;
	begin();
	send_hex(t.fd, MORE("0018", "00000009", "0001") FLOW_HEAD);
	exchange(LAST("0010", "00000009", "0007"), "04130010 00000009 0007000000000000");
	send_hex(t.fd, LAST("0030", "00000009", "0001") FLOW_TAIL);
	expect_error(OFPET_BAD_REQUEST, OFPBRC_BAD_LEN, 9);
	end();
}

/* The ninth takes the place of the one that was left alone for longest. */
static void
test_multipart_forgets_what_was_left_alone(void **state)
{
	(void)state;
	begin();
	for (unsigned xid = 1; xid <= 9; xid++) {
		char text[128];

		snprintf(text, sizeof(text), "04120018 %08x 0001 0001 00000000 ff000000 ffffffff",
			xid);
		send_hex(t.fd, text);
		if (xid == 8) {
			/* The first is not the oldest any more. */
			send_hex(t.fd, MORE("0010", "00000001", "0001"));
		}
	}
	exchange(LAST("0030", "00000001", "0001") FLOW_TAIL, "04130010 00000001 0001000000000000");
	send_hex(t.fd, LAST("0030", "00000002", "0001") FLOW_TAIL);
	expect_error(OFPET_BAD_REQUEST, OFPBRC_BAD_LEN, 2);
	exchange(LAST("0030", "00000003", "0001") FLOW_TAIL, "04130010 00000003 0001000000000000");
	exchange(LAST("0030", "00000009", "0001") FLOW_TAIL, "04130010 00000009 0001000000000000");
	end();
}

/* All requests of a connection together have 1 MiB. What follows of one that had too much is refused too. */
static void
test_multipart_is_limited(void **state)
{
	static uint8_t part[65528] = {4, 18, 0xff, 0xf8, 0, 0, 0, 0, 0, 12, 0, 1};
	uint8_t last[16] = {4, 18, 0, 16, 0, 0, 0, 9, 0, 12, 0, 0};

	(void)state;
	begin();
	for (unsigned i = 0; i < 16; i++) {
		part[7] = i % 2 ? 8 : 9;
		send_long(part, sizeof(part));
		expect_nothing(t.fd);
	}
	part[7] = 9;
	send_long(part, sizeof(part));
	expect_error(OFPET_BAD_REQUEST, OFPBRC_MULTIPART_BUFFER_OVERFLOW, 9);
	assert_int_equal(t.len, 12 + sizeof(part) - 9);
	assert_memory_equal(t.reply + 12, part, t.len - 12);
	send_long(part, sizeof(part));
	expect_error(OFPET_BAD_REQUEST, OFPBRC_MULTIPART_BUFFER_OVERFLOW, 9);
	raw_send(t.fd, last, sizeof(last));
	expect_error(OFPET_BAD_REQUEST, OFPBRC_MULTIPART_BUFFER_OVERFLOW, 9);
	/* Its bytes are free again, and so is its xid. */
	part[7] = 8;
	send_long(part, sizeof(part));
	expect_nothing(t.fd);
	exchange("04120010 00000009 0007 0000 00000000", "04130010 00000009 0007000000000000");
	end();
}

/* --- tables -------------------------------------------------------------------------------------- */

static void
test_multipart_tells_table_statistics(void **state)
{
	(void)state;
	begin();
	send_hex(t.fd, EMPTY_FLOW_MOD "04120010 11223344 0003 0000 00000000");
	receive();
	assert_int_equal(t.len, 16 + 255 * 24);
	for (unsigned table = 0; table < 255; table++) {
		const uint8_t *entry = t.reply + 16 + table * 24;

		assert_int_equal(entry[0], table);
		assert_int_equal(get_be32(entry + 4), table == 0);
	}
	end();
}

#define ASK_FEATURES "04120010 11223344 000c 0000 00000000"

/* Where the table's property @type begins; its length without the padding. */
static const uint8_t *
find_property(const uint8_t *table, uint16_t type, size_t *len)
{
	for (size_t at = 64; at < get_be16(table); at += WEFT_ROUND_UP(*len, 8)) {
		*len = get_be16(table + at + 2);
		if (get_be16(table + at) == type) {
			return table + at;
		}
	}
	fail();
	return NULL;
}

/* How many entries of @step bytes, and whether @wanted (a type, or the header of a field) is one. */
static unsigned
count_entries(uint16_t type, size_t step, uint32_t wanted, bool *found)
{
	size_t len = 0;
	const uint8_t *p = find_property(t.reply + 16, type, &len);

	*found = false;
	assert_int_equal((len - 4) % step, 0);
	for (size_t at = 4; at < len; at += step) {
		*found |= (step == 1 ? p[at] : get_be32(p + at)) == wanted;
	}
	return (unsigned)((len - 4) / step);
}

static void
test_multipart_tells_table_features(void **state)
{
	static const uint16_t types[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15};
	const uint8_t *table = t.reply + 16;
	size_t at = 64;
	bool found;

	(void)state;
	begin();
	send_hex(t.fd, ASK_FEATURES);
	receive();
	assert_int_equal(get_be16(t.reply + 10), 0);
	assert_int_equal(get_be16(table), t.len - 16);
	assert_int_equal(table[2], 0);
	for (size_t i = 8; i < 40; i++) {
		assert_int_equal(table[i], 0);
	}
	assert_true(get_be64(table + 40) == UINT64_MAX);
	assert_true(get_be64(table + 48) == UINT64_MAX);
	assert_int_equal(get_be32(table + 56), 0);
	assert_int_equal(get_be32(table + 60), OF_MAX_RULES_PER_TABLE);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(types); i++) {
		size_t len = get_be16(table + at + 2);

		assert_int_equal(get_be16(table + at), types[i]);
		if (types[i] % 2) { /* of table-miss: the same */
			size_t ordinary_len = 0;
			const uint8_t *ordinary = find_property(table, types[i] - 1, &ordinary_len);

			assert_int_equal(len, ordinary_len);
			assert_memory_equal(table + at + 4, ordinary + 4, len - 4);
		}
		at += WEFT_ROUND_UP(len, 8);
	}
	assert_int_equal(at, t.len - 16);
	/* Instructions 1 to 6; tables 1 to 254; 16 actions, group and set-field among them. */
	assert_int_equal(count_entries(0, 4, 0x00010004, &found), 6);
	assert_true(found);
	assert_int_equal(count_entries(2, 1, 254, &found), 254);
	assert_true(found);
	for (uint16_t type = 4; type <= 6; type += 2) {
		assert_int_equal(count_entries(type, 4, 0x00160004, &found), 16);
		assert_true(found);
		count_entries(type, 4, 0x00190004, &found);
		assert_true(found);
	}
	/* Matching: Ethernet addresses under masks, ports whole. Setting: no mask, and no port. */
	assert_true(count_entries(8, 4, 0x8000070c, &found) >= 40);
	assert_true(found);
	count_entries(8, 4, 0x80000004, &found);
	assert_true(found);
	count_entries(10, 4, 0x80000606, &found);
	assert_true(found);
	for (uint16_t type = 12; type <= 14; type += 2) {
		assert_true(count_entries(type, 4, 0x80000606, &found) >= 35);
		assert_true(found);
		count_entries(type, 4, 0x80000004, &found);
		assert_false(found);
	}
	end();
}

/* What it can do, a controller may wish for: in one message, and in two. */
static void
test_multipart_grants_its_own_features(void **state)
{
	static uint8_t first[BODY_MAX];
	uint8_t head[16] = {4, 18, 0, 0, 0x11, 0x22, 0x33, 0x44, 0, 12};
	size_t len, half = 1000;

	(void)state;
	begin();
	/* Tables 0 and 7 are in use. */
	send_hex(t.fd,
		"040e003811223344 0000000000000000 0000000000000000 07 00 0000 0000 0001 ffffffff"
		"ffffffff ffffffff 0000 0000 0001 0004 00000000" ASK_FEATURES);
	receive();
	memcpy(first, t.reply, t.len);
	len = t.len;
	assert_int_equal(first[16 + get_be16(first + 16) + 2], 7);
	first[1] = 18;
	send_long(first, len);
	receive();
	assert_int_equal(t.len, len);
	first[1] = 19;
	assert_memory_equal(t.reply, first, len);
	/* Cut in two, not where a table ends. */
	put_be16(head + 2, (uint16_t)(16 + half));
	head[11] = 1;
	raw_send(t.fd, head, sizeof(head));
	send_long(first + 16, half);
	expect_nothing(t.fd);
	put_be16(head + 2, (uint16_t)(len - half));
	head[11] = 0;
	raw_send(t.fd, head, sizeof(head));
	send_long(first + 16 + half, len - 16 - half);
	receive();
	assert_int_equal(t.len, len);
	assert_memory_equal(t.reply, first, len);
	end();
}

#define EMPTY_PROPERTY(TYPE) TYPE "0004 00000000"
#define MODEST_WISH(TABLE)                                                                         \
	"0090" TABLE "00 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000"  \
	"00000000" /* metadata: some bits */                                                       \
	"00000000000000ff 0000000000000000 00000003 00000001"                                      \
	"0000 0008 0004 0004" EMPTY_PROPERTY("0002") "0004 0008 0000 0004" EMPTY_PROPERTY(         \
		"0006") "0008 0008 80000606" EMPTY_PROPERTY("000a") EMPTY_PROPERTY("000c")         \
		EMPTY_PROPERTY("000e") "000f 0008 80000606" EMPTY_PROPERTY("0001")

/* Who wishes for less has it: the reply names the tables of the wish, with all that they can do. */
static void
test_multipart_grants_less(void **state)
{
	(void)state;
	begin();
	send_hex(t.fd, "04120130 11223344 000c 0000 00000000" MODEST_WISH("09") MODEST_WISH("00"));
	receive();
	assert_int_equal(t.reply[1], 19);
	assert_int_equal(t.reply[16 + 2], 9);
	assert_int_equal(get_be32(t.reply + 16 + 60), OF_MAX_RULES_PER_TABLE);
	assert_int_equal(t.reply[16 + get_be16(t.reply + 16) + 2], 0);
	assert_int_equal(
		16 + get_be16(t.reply + 16) + get_be16(t.reply + 16 + get_be16(t.reply + 16)),
		t.len);
	/* A table with rules cannot be wished away. */
	send_hex(t.fd, EMPTY_FLOW_MOD);
	world_run(&t.w);
	send_hex(t.fd, "041200a0 11223344 000c 0000 00000000" MODEST_WISH("09"));
	expect_error(OFPET_TABLE_FEATURES_FAILED, OFPTFFC_EPERM, 0x11223344);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_multipart_requests_interleave),
		cmocka_unit_test(test_multipart_xid_is_used_anew),
		cmocka_unit_test(test_multipart_forgets_what_was_left_alone),
		cmocka_unit_test(test_multipart_is_limited),
		cmocka_unit_test(test_multipart_tells_table_statistics),
		cmocka_unit_test(test_multipart_tells_table_features),
		cmocka_unit_test(test_multipart_grants_its_own_features),
		cmocka_unit_test(test_multipart_grants_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
