/* SPDX-License-Identifier: Apache-2.0
 *
 * Bundles over the wire, as the ONF's extension 230 has them for OpenFlow 1.3.
 */
#include "tests/unit/controller-agent/of_world.h"

#include "controller-agent/channel.h"
#include "lib/byteorder.h"

/* Eight digits, or four for a type or flags. */
#define CONTROL(XID, ID, TYPE, FLAGS) "0404 0018" XID "4f4e4600 000008fc" ID TYPE FLAGS
#define ADD(SIZE, XID, ID, FLAGS, MESSAGE)                                                         \
	"0404" SIZE XID "4f4e4600 000008fd" ID "0000" FLAGS MESSAGE
/* @SIZE: of @REQUEST and the 16 bytes before it. */
#define BUNDLE_ERROR(SIZE, XID, CODE, REQUEST) "0401" SIZE XID "ffff" CODE "4f4e4600" REQUEST
#define PLAIN_ERROR(SIZE, XID, TYPE, CODE, REQUEST) "0401" SIZE XID TYPE CODE REQUEST

/* A rule of that priority (four digits), without instructions. */
#define RULE(XID, PRIORITY)                                                                        \
	"040e0038" XID "0000000000000000 0000000000000000 0000 0000 0000" PRIORITY                 \
	"ffffffff ffffffff ffffffff 0000 0000 0001 0004 00000000"
/* One that leads to group 7. */
#define GROUP_RULE(XID, PRIORITY)                                                                  \
	"040e0048" XID "0000000000000000 0000000000000000 0000 0000 0000" PRIORITY                 \
	"ffffffff ffffffff ffffffff 0000 0000 0001 0004 00000000"                                  \
	"0004 0010 00000000 0016 0008 00000007"
#define GROUP(XID, NUMBER) "040f0010" XID "0000 00 00" NUMBER
#define METER(XID, NUMBER) "041d0010" XID "0000 0001" NUMBER
#define PORT_DOWN(XID, PORT, MAC)                                                                  \
	"04100028" XID PORT "00000000" MAC "0000 00000001 00000001 00000000 00000000"
#define ROLE(XID) "04180018" XID "00000000 00000000 0000000000000000"

#define ADD_RULE(XID, ID, FLAGS, PRIORITY) ADD("0050", XID, ID, FLAGS, RULE(XID, PRIORITY))

#define X1 "00000051"
#define X2 "00000052"
#define X3 "00000053"
#define B7 "00000007"

struct test {
	struct world w;
	int fd;
};

static void
begin(struct test *t)
{
	world_open(&t->w);
	t->fd = world_client(&t->w);
}

static void
end(struct test *t)
{
	close(t->fd);
	world_run(&t->w);
	world_close(&t->w);
}

static void
exchange(struct test *t, const char *sent, const char *wanted_text)
{
	uint8_t wanted[4096], got[4096];
	size_t n = from_hex(wanted_text, wanted, sizeof(wanted));
	ssize_t n_got;

	send_hex(t->fd, sent);
	for (unsigned i = 0; i < 20; i++) {
		world_advance(&t->w, 1);
	}
	n_got = raw_recv(t->fd, got, sizeof(got));
	if (n_got != (n ? (ssize_t)n : -1) || memcmp(got, wanted, n) != 0) {
		fprintf(stderr, "sent %s\nwanted %s\ngot %zd bytes:", sent, wanted_text, n_got);
		for (ssize_t i = 0; i < n_got; i++) {
			fprintf(stderr, "%s%02x", i % 4 ? "" : " ", got[i]);
		}
		fprintf(stderr, "\n");
		fail();
	}
}

static size_t
n_rules(const struct test *t)
{
	return ofproto_n_rules(t->w.ofproto);
}

static void
test_bundle_comes_into_force_whole(void **state)
{
	struct test t;

	(void)state;
	begin(&t);
	exchange(&t, CONTROL(X1, B7, "0000", "0003"), CONTROL(X1, B7, "0001", "0003"));
	exchange(&t, ADD_RULE(X1, B7, "0003", "0001"), "");
	exchange(&t, ADD_RULE(X2, B7, "0003", "0002"), "");
	/* Within a bundle each message sees those before it. */
	exchange(&t, ADD("0028", X1, B7, "0003", GROUP(X1, "00000007")), "");
	exchange(&t, ADD("0060", X2, B7, "0003", GROUP_RULE(X2, "0003")), "");
	exchange(&t, ADD("0028", X2, B7, "0003", METER(X2, "00000009")), "");
	assert_int_equal(n_rules(&t), 0);
	exchange(&t, CONTROL(X2, B7, "0002", "0003"), CONTROL(X2, B7, "0003", "0003"));
	assert_int_equal(n_rules(&t), 0);
	exchange(&t, CONTROL(X3, B7, "0004", "0003"), CONTROL(X3, B7, "0005", "0003"));
	assert_int_equal(n_rules(&t), 3);
	assert_int_equal(t.w.n_barriers, 1);
	/* It is gone with that. */
	exchange(&t, CONTROL(X3, B7, "0004", "0003"),
		BUNDLE_ERROR("0028", X3, "08fe", CONTROL(X3, B7, "0004", "0003")));
	/* Opened by its first message, closed by the commit. */
	exchange(&t, ADD_RULE(X1, B7, "0000", "0004"), "");
	exchange(&t, CONTROL(X3, B7, "0004", "0000"), CONTROL(X3, B7, "0005", "0000"));
	assert_int_equal(n_rules(&t), 4);
	end(&t);
}

static void
test_bundle_fails_whole(void **state)
{
	struct test t;

	(void)state;
	begin(&t);
	exchange(&t, ADD_RULE(X1, B7, "0003", "0001"), "");
	/* The group does not exist, which only its turn can tell. */
	exchange(&t, ADD("0060", X2, B7, "0003", GROUP_RULE(X2, "0002")), "");
	exchange(&t, ADD_RULE(X1, B7, "0003", "0003"), "");
	exchange(&t, CONTROL(X3, B7, "0004", "0003"),
		PLAIN_ERROR("0054", X2, "0002", "0009", GROUP_RULE(X2, "0002"))
			BUNDLE_ERROR("0028", X3, "0909", CONTROL(X3, B7, "0004", "0003")));
	assert_int_equal(n_rules(&t), 0);
	assert_false(of_model_in_txn(t.w.model));
	exchange(&t, CONTROL(X3, B7, "0002", "0003"),
		BUNDLE_ERROR("0028", X3, "08fe", CONTROL(X3, B7, "0002", "0003")));
	/* Discarded. */
	exchange(&t, ADD_RULE(X1, B7, "0003", "0001"), "");
	exchange(&t, CONTROL(X3, B7, "0006", "0003"), CONTROL(X3, B7, "0007", "0003"));
	exchange(&t, CONTROL(X3, B7, "0004", "0003"),
		BUNDLE_ERROR("0028", X3, "08fe", CONTROL(X3, B7, "0004", "0003")));
	assert_int_equal(n_rules(&t), 0);
	/* Gone with its connection. */
	exchange(&t, ADD_RULE(X1, B7, "0003", "0001"), "");
	close(t.fd);
	t.fd = world_client(&t.w);
	exchange(&t, CONTROL(X3, B7, "0004", "0003"),
		BUNDLE_ERROR("0028", X3, "08fe", CONTROL(X3, B7, "0004", "0003")));
	end(&t);
}

/* What is wrong with a request, in the extension's numbers. */
static void
test_bundle_refuses(void **state)
{
	static const struct {
		const char *before, *answered, *sent, *wanted;
	} rows[] = {
		/* BUNDLE_EXIST */
		{CONTROL(X1, B7, "0000", "0001"), CONTROL(X1, B7, "0001", "0001"),
			CONTROL(X2, B7, "0000", "0001"),
			BUNDLE_ERROR("0028", X2, "08ff", CONTROL(X2, B7, "0000", "0001"))},
		/* BUNDLE_CLOSED */
		{CONTROL(X1, B7, "0000", "0001") CONTROL(X1, B7, "0002", "0001"),
			CONTROL(X1, B7, "0001", "0001") CONTROL(X1, B7, "0003", "0001"),
			CONTROL(X2, B7, "0002", "0001"),
			BUNDLE_ERROR("0028", X2, "0900", CONTROL(X2, B7, "0002", "0001"))},
		{CONTROL(X1, B7, "0000", "0001") CONTROL(X1, B7, "0002", "0001"),
			CONTROL(X1, B7, "0001", "0001") CONTROL(X1, B7, "0003", "0001"),
			ADD_RULE(X2, B7, "0001", "0001"),
			BUNDLE_ERROR("0060", X2, "0900", ADD_RULE(X2, B7, "0001", "0001"))},
		/* BAD_TYPE: a reply, a number that is not known */
		{"", "", CONTROL(X2, B7, "0001", "0001"),
			BUNDLE_ERROR("0028", X2, "0902", CONTROL(X2, B7, "0001", "0001"))},
		{"", "", CONTROL(X2, B7, "0008", "0001"),
			BUNDLE_ERROR("0028", X2, "0902", CONTROL(X2, B7, "0008", "0001"))},
		/* BAD_FLAGS: unknown, other than at first */
		{"", "", CONTROL(X2, B7, "0000", "0004"),
			BUNDLE_ERROR("0028", X2, "0903", CONTROL(X2, B7, "0000", "0004"))},
		{CONTROL(X1, B7, "0000", "0001"), CONTROL(X1, B7, "0001", "0001"),
			ADD_RULE(X2, B7, "0002", "0001"),
			BUNDLE_ERROR("0060", X2, "0903", ADD_RULE(X2, B7, "0002", "0001"))},
		{CONTROL(X1, B7, "0000", "0001"), CONTROL(X1, B7, "0001", "0001"),
			CONTROL(X2, B7, "0004", "0003"),
			BUNDLE_ERROR("0028", X2, "0903", CONTROL(X2, B7, "0004", "0003"))},
		/* MSG_BAD_LEN: no header, more than there is, not what the type needs */
		{"", "", ADD("0018", X2, B7, "0001", ""),
			BUNDLE_ERROR("0028", X2, "0904", ADD("0018", X2, B7, "0001", ""))},
		{"", "", ADD("0020", X2, B7, "0001", "040e0009" X2),
			BUNDLE_ERROR(
				"0030", X2, "0904", ADD("0020", X2, B7, "0001", "040e0009" X2))},
		{"", "", ADD("0020", X2, B7, "0001", "040e0007" X2),
			BUNDLE_ERROR(
				"0030", X2, "0904", ADD("0020", X2, B7, "0001", "040e0007" X2))},
		{"", "", ADD("0020", X2, B7, "0001", "040e0008" X2),
			BUNDLE_ERROR(
				"0030", X2, "0904", ADD("0020", X2, B7, "0001", "040e0008" X2))},
		/* MSG_BAD_XID */
		{"", "", ADD("0050", X2, B7, "0001", RULE(X1, "0001")),
			BUNDLE_ERROR(
				"0060", X2, "0905", ADD("0050", X2, B7, "0001", RULE(X1, "0001")))},
		/* MSG_UNSUP: no change of rules; unknown; a port in an atomic bundle */
		{"", "", ADD("0030", X2, B7, "0001", ROLE(X2)),
			BUNDLE_ERROR("0040", X2, "0906", ADD("0030", X2, B7, "0001", ROLE(X2)))},
		{"", "", ADD("0020", X2, B7, "0001", "04630008" X2),
			BUNDLE_ERROR(
				"0030", X2, "0906", ADD("0020", X2, B7, "0001", "04630008" X2))},
		{"", "", ADD("0040", X2, B7, "0001", PORT_DOWN(X2, "00000001", "020000000101")),
			BUNDLE_ERROR("0050", X2, "0906",
				ADD("0040", X2, B7, "0001",
					PORT_DOWN(X2, "00000001", "020000000101")))},
		/* A message of another version; one that cannot be read (BAD_TABLE_ID for an add to
		 * all tables comes with the commit, a bad group type at once). */
		{"", "", ADD("0020", X2, B7, "0001", "010e0008" X2),
			PLAIN_ERROR("002c", X2, "0001", "0000",
				ADD("0020", X2, B7, "0001", "010e0008" X2))},
		{"", "", ADD("0040", X2, B7, "0000", PORT_DOWN(X2, "00000009", "020000000101")),
			PLAIN_ERROR("004c", X2, "0007", "0000",
				ADD("0040", X2, B7, "0000",
					PORT_DOWN(X2, "00000009", "020000000101")))},
		/* Properties: cut off, unknown, an experimenter's. */
		{"", "", "0404 001c" X2 "4f4e4600 000008fc" B7 "0000 0000 00000000",
			PLAIN_ERROR("0028", X2, "0001", "0006",
				"0404 001c" X2 "4f4e4600 000008fc" B7 "0000 0000 00000000")},
		{"", "", "0404 0020" X2 "4f4e4600 000008fc" B7 "0000 0000 00010008 00000000",
			PLAIN_ERROR("002c", X2, "0001", "0001",
				"0404 0020" X2 "4f4e4600 000008fc" B7
				"0000 0000 00010008 00000000")},
		{"", "", "0404 0020" X2 "4f4e4600 000008fc" B7 "0000 0000 ffff0008 00000000",
			PLAIN_ERROR("002c", X2, "0001", "0003",
				"0404 0020" X2 "4f4e4600 000008fc" B7
				"0000 0000 ffff0008 00000000")},
		/* BAD_EXP_TYPE, BAD_EXPERIMENTER, BAD_LEN */
		{"", "", "0404 0018" X2 "4f4e4600 000008fe 00000000 00000000",
			PLAIN_ERROR("0024", X2, "0001", "0004",
				"0404 0018" X2 "4f4e4600 000008fe 00000000 00000000")},
		{"", "", "0404 0018" X2 "4f4e4601 000008fc 00000000 00000000",
			PLAIN_ERROR("0024", X2, "0001", "0003",
				"0404 0018" X2 "4f4e4601 000008fc 00000000 00000000")},
		{"", "", "0404 0014" X2 "4f4e4600 000008fc 00000000",
			PLAIN_ERROR("0020", X2, "0001", "0006",
				"0404 0014" X2 "4f4e4600 000008fc 00000000")},
	};
	struct test t;

	(void)state;
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(rows); i++) {
		begin(&t);
		exchange(&t, rows[i].before, rows[i].answered);
		exchange(&t, rows[i].sent, rows[i].wanted);
		assert_int_equal(n_rules(&t), 0);
		end(&t);
	}
}

/* Behind a message that could not be added the rest must not come into force. */
static void
test_bundle_is_spoilt_by_what_was_refused(void **state)
{
	struct test t;

	(void)state;
	begin(&t);
	exchange(&t, ADD_RULE(X1, B7, "0003", "0001"), "");
	exchange(&t, ADD("0020", X2, B7, "0003", "04630008" X2),
		BUNDLE_ERROR("0030", X2, "0906", ADD("0020", X2, B7, "0003", "04630008" X2)));
	exchange(&t, CONTROL(X3, B7, "0004", "0003"),
		BUNDLE_ERROR("0028", X3, "0909", CONTROL(X3, B7, "0004", "0003")));
	assert_int_equal(n_rules(&t), 0);
	end(&t);
}

/* Ports are changed at the end, when nothing can fail any more. */
static void
test_bundle_changes_ports(void **state)
{
	struct test t;

	(void)state;
	begin(&t);
	exchange(&t,
		ADD("0040", X1, B7, "0000", PORT_DOWN(X1, "00000001", "020000000101")) ADD("0060",
			X2, B7, "0000", GROUP_RULE(X2, "0002")) CONTROL(X3, B7, "0004", "0000"),
		PLAIN_ERROR("0054", X2, "0002", "0009", GROUP_RULE(X2, "0002"))
			BUNDLE_ERROR("0028", X3, "0909", CONTROL(X3, B7, "0004", "0000")));
	assert_int_equal(t.w.n_port_mods, 0);
	exchange(&t,
		ADD("0040", X1, B7, "0000", PORT_DOWN(X1, "00000001", "020000000101"))
			CONTROL(X3, B7, "0004", "0000"),
		CONTROL(X3, B7, "0005", "0000"));
	assert_int_equal(t.w.n_port_mods, 1);
	assert_int_equal(t.w.port_mod_config, OF_PORT_DOWN);
	end(&t);
}

static void
test_bundle_limits(void **state)
{
	struct test t;
	char sent[256], wanted[256];

	(void)state;
	begin(&t);
	for (unsigned i = 0; i < 33; i++) {
		snprintf(sent, sizeof(sent), CONTROL(X1, "%08x", "0000", "0000"), i);
		snprintf(wanted, sizeof(wanted),
			i < 32 ? CONTROL(X1, "%08x", "0001", "0000")
			       : BUNDLE_ERROR(
					 "0028", X1, "0901", CONTROL(X1, "%08x", "0000", "0000")),
			i);
		exchange(&t, sent, wanted);
	}
	for (unsigned i = 1; i < 32; i++) {
		snprintf(sent, sizeof(sent), CONTROL(X1, "%08x", "0006", "0000"), i);
		snprintf(wanted, sizeof(wanted), CONTROL(X1, "%08x", "0007", "0000"), i);
		exchange(&t, sent, wanted);
	}
	/* A minute without a word. */
	world_advance(&t.w, 57000);
	expect_nothing(t.fd);
	exchange(&t, CONTROL(X2, B7, "0000", "0000"), CONTROL(X2, B7, "0001", "0000"));
	world_advance(&t.w, 3000);
	expect_hex(t.fd, "0401 0010" X1 "ffff 090a 4f4e4600");
	exchange(&t, CONTROL(X2, B7, "0004", "0000"), CONTROL(X2, B7, "0005", "0000"));
	world_advance(&t.w, 120000);
	expect_nothing(t.fd);
	end(&t);
}

/* The bytes of a connection's bundles are bounded. */
static void
test_bundle_holds_so_many_messages(void **state)
{
	/* A bundle-add, a rule, apply-actions, outputs to port 1. */
	enum { N_ACTIONS = 4000, SIZE = 24 + 56 + 8 + 16 * N_ACTIONS };
	static uint8_t msg[SIZE], reply[16 + SIZE];
	uint8_t *at = msg + from_hex(ADD_RULE(X1, B7, "0000", "0001"), msg, sizeof(msg));
	unsigned n = 0;
	struct test t;

	(void)state;
	begin(&t);
	put_be16(msg + 2, SIZE);
	put_be16(msg + 24 + 2, SIZE - 24);
	at += from_hex("0004 0000 00000000", at, 8);
	put_be16(at - 6, 8 + 16 * N_ACTIONS);
	for (unsigned i = 0; i < N_ACTIONS; i++) {
		at += from_hex("0000 0010 00000001 ffff 000000000000", at, 16);
	}
	while (of_service_counters(t.w.service)->errors_sent == 0 && n < 2000) {
		for (size_t sent = 0; sent < SIZE;) {
			ssize_t k = send(t.fd, msg + sent, SIZE - sent, MSG_DONTWAIT);

			sent += k > 0 ? (size_t)k : 0;
			world_run(&t.w);
		}
		n++;
	}
	assert_int_equal(n, (64u << 20) / (SIZE - 24) + 1);
	n = (unsigned)recv_message(t.fd, reply, sizeof(reply));
	assert_int_equal(n, sizeof(reply));
	assert_int_equal(get_be32(reply + 8), 0xffff0908);
	assert_memory_equal(reply + 16, msg, SIZE);
	exchange(&t, CONTROL(X3, B7, "0004", "0000"),
		BUNDLE_ERROR("0028", X3, "0909", CONTROL(X3, B7, "0004", "0000")));
	end(&t);
}

/* A long commit: others are answered meanwhile, and see nothing or all; what would change rules waits. */
static void
test_bundle_shares_the_loop(void **state)
{
	enum { N = 5000 };
	struct test t;
	char sent[512];
	int other;

	(void)state;
	begin(&t);
	other = world_client(&t.w);
	for (unsigned i = 1; i <= N; i++) {
		snprintf(sent, sizeof(sent), ADD_RULE(X1, B7, "0003", "%04x"), i);
		send_hex(t.fd, sent);
		if (i % 100 == 0) {
			world_run(&t.w);
		}
	}
	t.w.hold = true;
	send_hex(t.fd, CONTROL(X3, B7, "0004", "0003"));
	event_base_loop(t.w.lab.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	of_service_run(t.w.service);
	assert_true(of_model_in_txn(t.w.model));
	send_hex(other, RULE(X2, "0000") "04020008" X2);
	for (unsigned i = 0; i < 5; i++) {
		event_base_loop(t.w.lab.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		of_service_run(t.w.service);
	}
	assert_true(of_model_in_txn(t.w.model));
	assert_int_equal(n_rules(&t), 0);
	while (of_model_in_txn(t.w.model)) {
		world_advance(&t.w, 1);
	}
	/* In force, but the datapath has not said so; the waiting flow-mod has its turn, the echo behind it too. */
	world_advance(&t.w, 2);
	expect_hex(other, "04030008" X2);
	assert_int_equal(n_rules(&t), N + 1);
	expect_nothing(t.fd);
	world_release(&t.w);
	world_advance(&t.w, 1);
	expect_hex(t.fd, CONTROL(X3, B7, "0005", "0003"));
	/* One whose connection goes in the middle is taken back. */
	for (unsigned i = 1; i <= N; i++) {
		snprintf(sent, sizeof(sent), ADD_RULE(X1, B7, "0003", "%04x"), i + N);
		send_hex(t.fd, sent);
		if (i % 100 == 0) {
			world_run(&t.w);
		}
	}
	send_hex(t.fd, CONTROL(X3, B7, "0004", "0003"));
	event_base_loop(t.w.lab.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	of_service_run(t.w.service);
	assert_true(of_model_in_txn(t.w.model));
	close(t.fd);
	world_run(&t.w);
	assert_false(of_model_in_txn(t.w.model));
	assert_int_equal(n_rules(&t), N + 1);
	t.fd = other;
	end(&t);
}

/* What cannot wait takes the transaction away from a commit, which begins anew. */
static void
test_bundle_begins_anew(void **state)
{
	enum { N = 500 };
	struct ofproto *another;
	struct test t;
	char sent[512];

	(void)state;
	begin(&t);
	another = ofproto_create(t.w.model, "another", 5, NULL);
	for (unsigned i = 1; i <= N; i++) {
		snprintf(sent, sizeof(sent), ADD_RULE(X1, B7, "0003", "%04x"), i);
		send_hex(t.fd, sent);
		world_run(&t.w);
	}
	send_hex(t.fd, CONTROL(X3, B7, "0004", "0003"));
	event_base_loop(t.w.lab.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	of_service_run(t.w.service);
	assert_true(of_model_in_txn(t.w.model));
	ofproto_destroy(another);
	assert_false(of_model_in_txn(t.w.model));
	for (unsigned i = 0; i < 100; i++) {
		world_advance(&t.w, 1);
	}
	expect_hex(t.fd, CONTROL(X3, B7, "0005", "0003"));
	assert_int_equal(n_rules(&t), N);
	end(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bundle_comes_into_force_whole),
		cmocka_unit_test(test_bundle_fails_whole),
		cmocka_unit_test(test_bundle_refuses),
		cmocka_unit_test(test_bundle_is_spoilt_by_what_was_refused),
		cmocka_unit_test(test_bundle_changes_ports),
		cmocka_unit_test(test_bundle_limits),
		cmocka_unit_test(test_bundle_holds_so_many_messages),
		cmocka_unit_test(test_bundle_shares_the_loop),
		cmocka_unit_test(test_bundle_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
