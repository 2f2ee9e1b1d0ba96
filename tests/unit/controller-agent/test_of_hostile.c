/* SPDX-License-Identifier: Apache-2.0
 *
 * Hostile bodies: messages with a header that is right and a body that is random, or that of another message after
 * some changes. What is answered by an error has changed nothing but the counter of errors; echo requests behind it
 * are answered. What is answered otherwise, or not, was valid by chance: then the world begins anew.
 *
 * WEFT_SECONDS=N goes on for so long (2), WEFT_SEED=N repeats a run.
 */
#include <inttypes.h>
#include <time.h>

#include "tests/unit/controller-agent/of_state.h"

#include "controller-agent/channel.h"
#include "tests/unit/controller-agent/of_error_cases.h"

#define MESSAGE_MAX 65535u
#define HEADER 8u
#define LAST_TYPE 29u /* METER_MOD */
#define XID 0x51525354u

/* Requests without fault, of each type that has a body. */
static const char *const valid[] = {
	"04040018 00000000 4f4e4600 000008fc 00000001 0000 0003",
	"04040050 00000000 4f4e4600 000008fd 00000001 0000 0003"
	"040e0038 00000000 0000000000000000 0000000000000000 0000 0000 0000 0001 ffffffff ffffffff"
	"ffffffff 0000 0000 0001 0004 00000000",
	"0409000c 00000000 0001 ffff",
	"040d0038 00000000 ffffffff fffffffd 0010 000000000000 0000 0010 fffffffb 0000 000000000000"
	"ffffffffffff 020000000001 0800 4142",
	"040d0038 00000000 ffffffff 00000001 0008 000000000000 0016 0008 00000064"
	"ffffffffffff 020000000001 0800 0000000000000000000000",
	/* Each instruction, tags, set-field, a group. */
	"040e00d8 00000000 000000000000112200000000000000000300000a00140064ffffffff00000000"
	"000000000011000000010043800000040000000180000510000000000000001000000000000000f0"
	"80000a02080080000c0210648000140106800017080a000000ff00000080001c0200500000000000"
	"00040020000000000012000800000000001900108000060602000000000900000005000800000000"
	"00030018000000000000001000000003000000000000000000020018000000000000000000000005"
	"000000000000000f0001000809000000",
	"040e0058 00000000 0000000000000007 0000000000000000 03 01 0000 0000 0001 ffffffff ffffffff"
	"ffffffff 0002 0000 0001 000c 80000004 00000001 00000000"
	"0006 0008 00000064 0004 0010 00000000 0016 0008 00000065",
	"040e0038 00000000 0000000000000000 0000000000000000 ff03 0000 0000 0001 ffffffff ffffffff"
	"ffffffff 0000 0000 0001 0004 00000000",
	"040f0050 00000000 0000 01 00 00000007"
	"0020 0001 00000001 ffffffff 00000000 0000 0010 00000002 0000 000000000000"
	"0020 0002 ffffffff 00000064 00000000 0019 0010 80000606 020000000009 0000",
	"040f0030 00000000 0001 00 00 00000064 0020 0000 ffffffff ffffffff 00000000"
	"0000 0010 00000001 0000 000000000000",
	"040f0010 00000000 0002 00 00 00000065",
	"04100028 00000000 00000001 00000000 020000000101 0000 00000001 00000001 00000000 00000000",
	"04110010 00000000 ff000000 00000003",
	"04120038 00000000 0001 0000 00000000 ff000000 ffffffff ffffffff 00000000 0000000000000000"
	"0000000000000000 0001 0004 00000000",
	"04120038 00000000 0002 0000 00000000 03000000 00000001 00000065 00000000 0000000000000007"
	"00000000000000ff 0001 000c 80000004 00000001 00000000",
	"04120018 00000000 0004 0000 00000000 ffffffff 00000000",
	"04120018 00000000 0005 0000 00000000 00000001 ffffffff",
	"04120018 00000000 0006 0000 00000000 00000064 00000000",
	"04120018 00000000 0009 0000 00000000 00000064 00000000",
	"04120018 00000000 000a 0000 00000000 ffffffff 00000000",
	FEATURES("0090", TABLE("0080", "00") EIGHT),
	FEATURES("00a0", TABLE("0090", "00") EIGHT "0001 000c 0001 0004 0004 0004 00000000"),
	"04120018 00000000 ffff 0000 00000000 00002320 00000001",
	"04160010 00000000 00000001 00000000",
	"04180018 00000000 00000002 00000000 0000000000000007",
	"041c0020 00000000 00000003 00000000 00000007 00000007 0000000f 00000000",
	"041d0030 00000000 0000 0005 00000007 0001 0010 00000064 0000000a 00000000"
	"0002 0010 00000032 0000000a 01000000",
	"04040020 00000000 00002320 00000018 0000 000000000000 0102 80 04 0001 0000",
	"04040020 00000000 00002320 00000018 0001 000000000000 0102 80 04 0001 0000",
	"04040010 00000000 00002320 00000019",
};

static struct state_world t;
static uint64_t random_state;
static struct {
	uint64_t sent, refused, accepted;
} n;

/* --- chance -------------------------------------------------------------------------------------- */

static uint32_t
below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % limit;
}

/* Numbers at which something begins or ends. */
static uint32_t
interesting(void)
{
	static const uint32_t numbers[] = {0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 32, 64, 100, 101,
		127, 128, 254, 255, 256, 0x7fff, 0x8000, 0xfff0, 0xffff, 0x10000, 0x7fffffff,
		0x80000000, 0x80000004, 0x8000ff08, 0x00002320, 0x4f4e4600, 0xffffff00, 0xfffffff8,
		0xfffffff9, 0xfffffffa, 0xfffffffb, 0xfffffffc, 0xfffffffd, 0xfffffffe, 0xffffffff};

	return numbers[below(WEFT_ARRAY_SIZE(numbers))];
}

static size_t
pick_seed(uint8_t *msg, size_t size)
{
	unsigned i = below(WEFT_ARRAY_SIZE(valid) + WEFT_ARRAY_SIZE(error_cases));

	return from_hex(i < WEFT_ARRAY_SIZE(valid)
				? valid[i]
				: error_cases[i - WEFT_ARRAY_SIZE(valid)].request,
		msg, size);
}

/* Changes the body in one way; its new length. The smallest is 0. */
static size_t
mutate(uint8_t *body, size_t len)
{
	static uint8_t other[4096];
	size_t at = len ? below((uint32_t)len) : 0, size;

	switch (below(8)) {
	case 0:
		if (len) {
			body[at] ^= (uint8_t)(1u << below(8));
		}
		return len;
	case 1:
		if (len) {
			body[at] = (uint8_t)interesting();
		}
		return len;
	case 2:
		at &= ~(size_t)1;
		if (at + 2 <= len) {
			put_be16(body + at, (uint16_t)interesting());
		}
		return len;
	case 3:
		at &= ~(size_t)3;
		if (at + 4 <= len) {
			put_be32(body + at, interesting());
		}
		return len;
	case 4: /* a length, say, a little off */
		if (len) {
			body[at] = (uint8_t)(body[at] + below(17) - 8);
		}
		return len;
	case 5:
		return at;
	case 6: /* taken out */
		size = WEFT_MIN(8 * (size_t)(1 + below(4)), len - at);
		memmove(body + at, body + at + size, len - at - size);
		return len - size;
	default: /* put in from another */
		size = pick_seed(other, sizeof(other));
		size = WEFT_MIN(8 * (size_t)(1 + below(8)), size);
		if (len + size > 4096) {
			return len;
		}
		memmove(body + at + size, body + at, len - at);
		memcpy(body + at, other, size);
		return len + size;
	}
}

static size_t
make_message(uint8_t *msg)
{
	size_t len;

	if (below(8) == 0) { /* random from the first byte to the last */
		len = HEADER + (below(32) ? below(256) : below(MESSAGE_MAX - HEADER + 1));
		for (size_t i = HEADER; i < len; i++) {
			msg[i] = (uint8_t)below(256);
		}
		msg[0] = 4;
		msg[1] = (uint8_t)below(LAST_TYPE + 1);
	} else {
		len = pick_seed(msg, 4096) - HEADER;
		for (unsigned i = 1 + below(4); i; i--) {
			len = mutate(msg + HEADER, len);
		}
		len += HEADER;
		if (below(16) == 0) {
			msg[1] = (uint8_t)below(LAST_TYPE + 3);
		}
	}
	if (msg[1] == 1 && len >= HEADER + 2 && !get_be16(msg + HEADER)) {
		msg[HEADER] = 1; /* a HELLO_FAILED ends the connection, as it should */
	}
	put_be16(msg + 2, (uint16_t)len);
	put_be32(msg + 4, XID);
	return len;
}

/* --- the answer ---------------------------------------------------------------------------------- */

/* Sends an echo request and takes all that comes before its reply. False: there is none yet. */
static bool
ask_echo(struct strbuf *before)
{
	static const uint8_t echo[8] = {4, 3, 0, 8, 0xec, 0, 0, 1};

	state_read(&t, t.fd, before);
	if (before->len < sizeof(echo) ||
		memcmp(before->data + before->len - sizeof(echo), echo, sizeof(echo)) != 0) {
		return false;
	}
	strbuf_truncate(before, before->len - sizeof(echo));
	return true;
}

/* Whether the answer is an error, which must then be the only one and quote the request. */
static bool
is_refused(const struct strbuf *answer, const uint8_t *msg, size_t len)
{
	const uint8_t *got = (const uint8_t *)answer->data;
	size_t quoted = WEFT_MIN(len, (size_t)CHANNEL_ERROR_DATA);
	size_t head = 12;

	if (!answer->len || got[1] != 1) {
		return false;
	}
	/* Bundles' errors have the number of the experimenter; one of a message inside may come first. */
	if (get_be16(got + 8) == OFPET_EXPERIMENTER) {
		head = 16;
	}
	assert_int_equal(get_be32(got + 4), XID);
	if (head == 12) {
		assert_string_not_equal(
			of_error_name(get_be16(got + 8), get_be16(got + 10)), "unknown");
	}
	assert_int_equal(get_be16(got + 2), answer->len);
	/* Of a message inside a bundle, that message. */
	if (answer->len == head + quoted) {
		assert_memory_equal(got + head, msg, quoted);
	} else {
		assert_int_equal(msg[1], 4);
	}
	return true;
}

static void
expect_unchanged(void)
{
	struct strbuf now;

	strbuf_init(&now);
	state_note(&t, &now);
	assert_int_equal(now.len, t.state.len);
	assert_memory_equal(now.data, t.state.data, now.len);
	strbuf_uninit(&now);
}

static void
send_one(const uint8_t *msg, size_t len)
{
	uint64_t errors = of_service_counters(t.w.service)->errors_sent;
	struct strbuf answer;
	bool waited = false, refused;

	strbuf_init(&answer);
	state_send(&t, t.fd, msg, len);
	send_hex(t.fd, "04020008 ec000001");
	for (unsigned i = 0; !ask_echo(&answer); i++) {
		/* A commit goes on when others have had their turn. */
		assert_true(i < 100);
		world_advance(&t.w, 1);
		waited = true;
	}
	n.sent++;
	refused = is_refused(&answer, msg, len);
	strbuf_uninit(&answer);
	if (refused) {
		n.refused++;
		assert_int_equal(of_service_counters(t.w.service)->errors_sent, errors + 1);
		if (!waited) {
			expect_unchanged();
			return;
		}
	} else {
		n.accepted++;
		assert_int_equal(of_service_counters(t.w.service)->errors_sent, errors);
	}
	state_close(&t);
	state_open(&t);
}

static uint64_t
monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void
test_hostile_bodies_change_nothing(void **state)
{
	const char *seconds = getenv("WEFT_SECONDS"), *seed = getenv("WEFT_SEED");
	uint64_t end = monotonic_ms() + 1000 * (seconds ? strtoull(seconds, NULL, 10) : 2);
	static uint8_t msg[MESSAGE_MAX];

	(void)state;
	random_state = seed ? strtoull(seed, NULL, 10) : monotonic_ms() * 2654435761u + 1;
	printf("hostile: WEFT_SEED=%" PRIu64 "\n", random_state);
	state_open(&t);
	while (monotonic_ms() < end) {
		size_t len = make_message(msg);

		send_one(msg, len);
	}
	printf("%" PRIu64 " messages, %" PRIu64 " refused, %" PRIu64 " valid\n", n.sent, n.refused,
		n.accepted);
	assert_true(n.refused > 0);
	expect_unchanged();
	state_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile_bodies_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
