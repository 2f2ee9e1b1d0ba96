/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors of OpenFlow 1.3: each type and code that can arise is provoked by a message, and the answer is looked at byte
 * by byte. Whatever is refused changes nothing. At the end all codes of the specification have been seen, but those
 * of which docs/openflow.md says why they cannot be.
 */
#include "tests/unit/controller-agent/of_state.h"

#include "controller-agent/channel.h"
#include "tests/unit/controller-agent/of_error_cases.h"
#include "tests/unit/ofproto/full_table.h"

#define XID 0x11223344u
#define N_TYPES 14u
#define N_CODES 16u
#define MESSAGE_MAX 65535u

/* Which have been seen. */
static bool seen[N_TYPES][N_CODES];

static struct state_world t;

/* --- one error ----------------------------------------------------------------------------------- */

/* The whole answer to @request is this error, with its xid and all of it. */
static void
expect_error(int fd, uint16_t type, uint16_t code, const uint8_t *request, size_t len)
{
	static uint8_t wanted[MESSAGE_MAX], onf[16];
	size_t quoted = WEFT_MIN(len, (size_t)CHANNEL_ERROR_DATA), head = 12;
	struct strbuf reply;

	wanted[0] = 4;
	wanted[1] = 1;
	memcpy(wanted + 4, request + 4, 4);
	put_be16(wanted + 8, type);
	put_be16(wanted + 10, code);
	if (type == OFPET_BAD_INSTRUCTION && code == OFPBIC_DUP_INST) {
		/* Not in 1.3: the ONF's extension 260. */
		head = from_hex("00000000 00000000 ffff 0a28 4f4e4600", onf, sizeof(onf));
		memcpy(wanted + 8, onf + 8, head - 8);
	}
	put_be16(wanted + 2, (uint16_t)(head + quoted));
	memcpy(wanted + head, request, quoted);
	strbuf_init(&reply);
	state_read(&t, fd, &reply);
	if (reply.len != head + quoted || memcmp(reply.data, wanted, reply.len) != 0) {
		const uint8_t *got = (const uint8_t *)reply.data;

		fprintf(stderr, "wanted %s, got %zu bytes", of_error_name(type, code), reply.len);
		if (reply.len >= 12 && got[1] == 1) {
			fprintf(stderr, ", %s",
				of_error_name(get_be16(got + 8), get_be16(got + 10)));
		}
		fprintf(stderr, "\n");
		fail();
	}
	strbuf_uninit(&reply);
	seen[type][code] = true;
}

/* @before: as state_note() left it. */
static void
expect_state(const struct strbuf *before)
{
	struct strbuf now;

	strbuf_init(&now);
	state_note(&t, &now);
	assert_int_equal(now.len, before->len);
	assert_memory_equal(now.data, before->data, now.len);
	strbuf_uninit(&now);
}

static void
provoke(int fd, uint16_t type, uint16_t code, const uint8_t *request, size_t len)
{
	state_send(&t, fd, request, len);
	expect_error(fd, type, code, request, len);
}

/* The same in hexadecimal digits; its header must tell its length. */
static void
provoke_hex(int fd, uint16_t type, uint16_t code, const char *text)
{
	static uint8_t request[4096];
	size_t len = from_hex(text, request, sizeof(request));

	if (get_be16(request + 2) != len || get_be32(request + 4) != XID) {
		fprintf(stderr, "%zu bytes: %s\n", len, text);
		fail();
	}
	provoke(fd, type, code, request, len);
}

/* --- the table ----------------------------------------------------------------------------------- */

static void
test_errors_are_exact(void **state)
{
	(void)state;
	state_open(&t);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(error_cases); i++) {
		provoke_hex(t.fd, error_cases[i].type, error_cases[i].code, error_cases[i].request);
		expect_state(&t.state);
	}
	assert_int_equal(
		of_service_counters(t.w.service)->errors_sent, WEFT_ARRAY_SIZE(error_cases));
	expect_nothing(t.fd);
	state_close(&t);
}

/* What writes, though it be without fault. */
static void
test_errors_refuse_slaves(void **state)
{
	static const char *const writes[] = {
		"040d002611223344ffffffff00000001 0000000000000000 ffffffffffff 020000000001 0800",
		EMPTY_FLOW_MOD,
		"040f0010112233440000 00 00 00000001",
		"0410002811223344 00000001 00000000 020000000101 0000 00000001 00000001 00000000 00000000",
		"0411001011223344 00000000 00000000",
		"041d001011223344 0000 0001 00000001",
		FEATURES("0090", TABLE("0080", "00") EIGHT),
		"04040018112233444f4e4600000008fc0000000100000003",
	};

	(void)state;
	state_open(&t);
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(writes); i++) {
		provoke_hex(t.slave, OFPET_BAD_REQUEST, OFPBRC_IS_SLAVE, writes[i]);
		expect_state(&t.state);
	}
	/* It may set its own configuration; that of the switch stays. */
	send_hex(t.slave, "0409000c11223344 0001 0080 0407000811223344");
	world_run(&t.w);
	expect_hex(t.slave, "0408000c11223344 0000 0080");
	expect_state(&t.state);
	/* Nothing is wrong with them but the role. */
	for (size_t i = 0; i + 2 < WEFT_ARRAY_SIZE(writes); i++) {
		send_hex(t.fd, writes[i]);
		world_run(&t.w);
		expect_nothing(t.fd);
	}
	expect_nothing(t.fd);
	state_close(&t);
}

/* --- limits -------------------------------------------------------------------------------------- */

/* Messages so long that they are not quoted whole. */
static void
test_errors_of_long_messages(void **state)
{
	static uint8_t msg[MESSAGE_MAX];
	size_t len = 0;

	(void)state;
	state_open(&t);
	/* A flow-mod whose 8000 actions are more than the switch keeps of a rule. */
	len = from_hex(EMPTY_FLOW_MOD, msg, sizeof(msg));
	put_be16(msg + len, 4);
	put_be16(msg + len + 2, 8 + 8000 * 8);
	len += 8;
	for (unsigned i = 0; i < 8000; i++, len += 8) {
		put_be16(msg + len, 0x15);
		put_be16(msg + len + 2, 8);
	}
	put_be16(msg + 2, (uint16_t)len);
	provoke(t.fd, OFPET_BAD_ACTION, OFPBAC_TOO_MANY, msg, len);
	expect_state(&t.state);
	/* A group of 1025 buckets. */
	memset(msg, 0, sizeof(msg));
	len = from_hex("040f0010112233440000 01 00 00000001", msg, sizeof(msg));
	for (unsigned i = 0; i < 1025; i++) {
		len += from_hex("0010 0001 ffffffff ffffffff 00000000", msg + len, 16);
	}
	put_be16(msg + 2, (uint16_t)len);
	provoke(t.fd, OFPET_GROUP_MOD_FAILED, OFPGMFC_OUT_OF_BUCKETS, msg, len);
	expect_state(&t.state);
	/* A meter of 17 bands. */
	len = from_hex("041d0010112233440000 0001 00000001", msg, sizeof(msg));
	for (unsigned i = 0; i < 17; i++) {
		len += from_hex("0001 0010 00000064 0000000a 00000000", msg + len, 16);
	}
	put_be16(msg + 2, (uint16_t)len);
	provoke(t.fd, OFPET_METER_MOD_FAILED, OFPMMFC_OUT_OF_BANDS, msg, len);
	expect_state(&t.state);
	/* 17 parts of a request, of which 16 are what a request may have. */
	memset(msg, 0, sizeof(msg));
	from_hex("0412fff8112233440001 0001", msg, sizeof(msg));
	for (unsigned i = 0; i < 16; i++) {
		state_send(&t, t.fd, msg, 65528);
		expect_nothing(t.fd);
	}
	provoke(t.fd, OFPET_BAD_REQUEST, OFPBRC_MULTIPART_BUFFER_OVERFLOW, msg, 65528);
	expect_state(&t.state);
	expect_nothing(t.fd);
	state_close(&t);
}

static void
test_errors_of_full_tables(void **state)
{
	struct of_group_mod gm;
	struct of_meter_mod mm = {.command = OF_MOD_ADD, .flags = OF_METER_KBPS};

	(void)state;
	state_open(&t);
	of_group_mod_init(&gm);
	gm.command = OF_MOD_ADD;
	for (gm.group = 1000; gm.group < 1000 + OF_MAX_GROUPS - 2; gm.group++) {
		assert_true(ofproto_group_mod(t.w.ofproto, &gm, t.w.lab.now_ms, NULL));
	}
	of_group_mod_uninit(&gm);
	provoke_hex(t.fd, OFPET_GROUP_MOD_FAILED, OFPGMFC_OUT_OF_GROUPS,
		"040f0010112233440000 00 00 00000001");
	for (mm.meter = 1000; mm.meter < 1000 + OF_MAX_METERS - 1; mm.meter++) {
		assert_true(ofproto_meter_mod(t.w.ofproto, &mm, t.w.lab.now_ms, NULL));
	}
	provoke_hex(t.fd, OFPET_METER_MOD_FAILED, OFPMMFC_OUT_OF_METERS,
		"041d001011223344 0000 0001 00000001");
	full_table_pretend(t.w.ofproto, 7, OF_MAX_RULES_PER_TABLE);
	provoke_hex(t.fd, OFPET_FLOW_MOD_FAILED, OFPFMFC_TABLE_FULL,
		"040e003811223344 0000000000000000 0000000000000000 07 00 0000 0000 8000 ffffffff"
		"ffffffff ffffffff 0000 0000 0001 0004 00000000");
	full_table_pretend(t.w.ofproto, 7, -(long)OF_MAX_RULES_PER_TABLE);
	/* One more is one too many: those that are there can still be changed. */
	send_hex(t.fd, "040f0010112233440001 00 00 000003e8 041d001011223344 0001 0001 000003e8");
	world_run(&t.w);
	expect_nothing(t.fd);
	state_close(&t);
}

/* --- connections --------------------------------------------------------------------------------- */

/* What is no OpenFlow 1.3 gets its error, and the connection ends. */
static void
test_errors_end_connections(void **state)
{
	static const uint8_t version_1[] = {1, 5, 0, 8, 0x11, 0x22, 0x33, 0x44};
	static const uint8_t too_short[] = {4, 5, 0, 7, 0x11, 0x22, 0x33, 0x44};
	static const uint8_t hello_1[] = {1, 0, 0, 8, 0x11, 0x22, 0x33, 0x44};
	uint8_t reply[256];
	size_t len;
	int fd;

	(void)state;
	state_open(&t);
	fd = world_client(&t.w);
	raw_send(fd, version_1, sizeof(version_1));
	world_run(&t.w);
	expect_hex(fd, "04010014 11223344 0001 0000 0105000811223344");
	expect_end(fd);
	close(fd);
	seen[OFPET_BAD_REQUEST][OFPBRC_BAD_VERSION] = true;
	fd = world_client(&t.w);
	raw_send(fd, too_short, sizeof(too_short));
	world_run(&t.w);
	expect_hex(fd, "04010014 11223344 0001 0006 0405000711223344");
	expect_end(fd);
	close(fd);
	fd = world_connect(&t.w);
	world_run(&t.w);
	expect_hex(fd, "04 00 0010 00000001 0001 0008 00000010");
	raw_send(fd, hello_1, sizeof(hello_1));
	world_run(&t.w);
	/* In the highest version that both can read; data is text for people. */
	len = recv_message(fd, reply, sizeof(reply));
	assert_int_equal(reply[1], 1);
	assert_int_equal(get_be32(reply + 4), XID);
	assert_int_equal(get_be32(reply + 8), OFPET_HELLO_FAILED << 16 | OFPHFC_INCOMPATIBLE);
	assert_true(len > 12);
	expect_end(fd);
	close(fd);
	seen[OFPET_HELLO_FAILED][OFPHFC_INCOMPATIBLE] = true;
	expect_state(&t.state);
	expect_nothing(t.fd);
	state_close(&t);
}

/* --- all of them --------------------------------------------------------------------------------- */

/* Those that cannot arise; docs/openflow.md gives the reasons. */
static const struct {
	uint16_t type, code;
} impossible[] = {
	{OFPET_HELLO_FAILED, OFPHFC_EPERM},
	{OFPET_BAD_REQUEST, OFPBRC_BUFFER_EMPTY},
	{OFPET_BAD_REQUEST, OFPBRC_BAD_TABLE_ID},
	{OFPET_BAD_ACTION, OFPBAC_EPERM},
	{OFPET_BAD_ACTION, OFPBAC_BAD_QUEUE},
	{OFPET_BAD_ACTION, OFPBAC_UNSUPPORTED_ORDER},
	{OFPET_BAD_ACTION, OFPBAC_BAD_TAG},
	{OFPET_BAD_INSTRUCTION, OFPBIC_UNSUP_INST},
	{OFPET_BAD_INSTRUCTION, OFPBIC_UNSUP_METADATA},
	{OFPET_BAD_INSTRUCTION, OFPBIC_UNSUP_METADATA_MASK},
	{OFPET_BAD_INSTRUCTION, OFPBIC_BAD_EXP_TYPE},
	{OFPET_BAD_INSTRUCTION, OFPBIC_EPERM},
	{OFPET_BAD_MATCH, OFPBMC_BAD_TAG},
	{OFPET_BAD_MATCH, OFPBMC_BAD_DL_ADDR_MASK},
	{OFPET_BAD_MATCH, OFPBMC_BAD_NW_ADDR_MASK},
	{OFPET_BAD_MATCH, OFPBMC_EPERM},
	{OFPET_FLOW_MOD_FAILED, OFPFMFC_UNKNOWN},
	{OFPET_FLOW_MOD_FAILED, OFPFMFC_EPERM},
	{OFPET_FLOW_MOD_FAILED, OFPFMFC_BAD_TIMEOUT},
	{OFPET_GROUP_MOD_FAILED, OFPGMFC_WEIGHT_UNSUPPORTED},
	{OFPET_GROUP_MOD_FAILED, OFPGMFC_CHAINING_UNSUPPORTED},
	{OFPET_GROUP_MOD_FAILED, OFPGMFC_EPERM},
	{OFPET_PORT_MOD_FAILED, OFPPMFC_EPERM},
	{OFPET_TABLE_MOD_FAILED, OFPTMFC_BAD_TABLE},
	{OFPET_TABLE_MOD_FAILED, OFPTMFC_EPERM},
	{OFPET_QUEUE_OP_FAILED, OFPQOFC_EPERM},
	{OFPET_SWITCH_CONFIG_FAILED, OFPSCFC_BAD_LEN},
	{OFPET_SWITCH_CONFIG_FAILED, OFPSCFC_EPERM},
	{OFPET_ROLE_REQUEST_FAILED, OFPRRFC_UNSUP},
	{OFPET_METER_MOD_FAILED, OFPMMFC_UNKNOWN},
	{OFPET_METER_MOD_FAILED, OFPMMFC_BAD_BURST},
	{OFPET_TABLE_FEATURES_FAILED, OFPTFFC_BAD_METADATA},
};

/* Runs last. */
static void
test_errors_are_all_provoked(void **state)
{
	bool excused[N_TYPES][N_CODES] = {{false}};
	unsigned n_wrong = 0;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(impossible); i++) {
		excused[impossible[i].type][impossible[i].code] = true;
	}
	for (uint16_t type = 0; type < N_TYPES; type++) {
		for (uint16_t code = 0; code < N_CODES; code++) {
			const char *name = of_error_name(type, code);
			bool exists = strcmp(name, "unknown") != 0;

			if (exists ? seen[type][code] == excused[type][code] : seen[type][code]) {
				fprintf(stderr, "%s: %s\n", name,
					seen[type][code] ? "not impossible" : "never provoked");
				n_wrong++;
			}
		}
	}
	assert_int_equal(n_wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_are_exact),
		cmocka_unit_test(test_errors_refuse_slaves),
		cmocka_unit_test(test_errors_of_long_messages),
		cmocka_unit_test(test_errors_of_full_tables),
		cmocka_unit_test(test_errors_end_connections),
		cmocka_unit_test(test_errors_are_all_provoked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
