/* SPDX-License-Identifier: Apache-2.0
 *
 * Channel: hello, versions, echo, probes, back pressure, garbage; exact bytes, on a virtual clock.
 */
#include "tests/unit/controller-agent/of_lab.h"

#include "controller-agent/channel.h"
#include "controller-agent/timers.h"

#define V13 (1u << 4)

/* Our hello when only 1.3 is allowed. */
#define OUR_HELLO "04 00 0010 00000001 0001 0008 00000010"

struct fixture {
	struct lab lab;
	struct timers *timers;
	struct channel *ch;
	int fd;
	int peer;
	unsigned n_opened, n_messages, n_drained, n_closed;
	enum channel_end end;
	char why[256];
	uint8_t last_type;
	size_t last_len;
	bool pause_on_message;
	size_t answer_size; /* each message is answered by so many bytes */
};

static void
opened(void *user)
{
	((struct fixture *)user)->n_opened++;
}

static void
message(void *user, const uint8_t *msg, size_t len)
{
	struct fixture *f = user;

	f->n_messages++;
	f->last_type = msg[1];
	f->last_len = len;
	if (f->pause_on_message) {
		channel_pause(f->ch);
	}
	if (f->answer_size) {
		uint8_t *answer = calloc(1, f->answer_size);

		channel_send(f->ch, answer, f->answer_size);
		free(answer);
	}
}

static void
drained(void *user)
{
	((struct fixture *)user)->n_drained++;
}

static void
closed(void *user, enum channel_end end, const char *why)
{
	struct fixture *f = user;

	f->n_closed++;
	f->end = end;
	snprintf(f->why, sizeof(f->why), "%s", why);
	channel_destroy(f->ch);
	f->ch = NULL;
}

static const struct channel_ops ops = {opened, message, drained, closed};

static void
begin(struct fixture *f, uint32_t versions)
{
	struct channel_setup setup = {.versions = versions, .probe_ms = 5000, .hello_ms = 3000};
	int fds[2];

	memset(f, 0, sizeof(*f));
	lab_open(&f->lab);
	f->timers = timers_create(f->lab.base, lab_now, &f->lab);
	lab_pair(fds);
	f->peer = fds[0];
	setup.fd = f->fd = fds[1];
	f->ch = channel_create(f->lab.base, f->timers, &setup, &ops, f);
	lab_run(&f->lab);
}

static void
end(struct fixture *f)
{
	channel_destroy(f->ch);
	timers_destroy(f->timers);
	close(f->peer);
	lab_close(&f->lab);
}

/* Both hellos are through. */
static void
begin_open(struct fixture *f)
{
	begin(f, V13);
	expect_hex(f->peer, OUR_HELLO);
	send_hex(f->peer, "04 00 0008 00000007");
	lab_run(&f->lab);
	assert_int_equal(f->n_opened, 1);
}

static void
advance(struct fixture *f, uint64_t ms)
{
	f->lab.now_ms += ms;
	timers_run(f->timers);
	lab_run(&f->lab);
}

static void
test_channel_agrees_on_version(void **state)
{
	static const struct {
		uint32_t ours;
		const char *theirs;
		uint8_t agreed; /* 0: none */
	} cases[] = {
		{V13, "04 00 0008 00000001", 4},
		{V13, "06 00 0008 00000001", 4}, /* the lower one of both headers */
		{V13, "01 00 0008 00000001", 0},
		{V13, "03 00 0008 00000001", 0},
		{V13 | 1u << 1, "02 00 0008 00000001", 0},
		{V13 | 1u << 1, "01 00 0008 00000001", 1},
		{V13 | 1u << 6, "06 00 0008 00000001", 6},
		/* With bitmaps the highest common bit counts, whatever the header says. */
		{V13, "06 00 0010 00000001 0001 0008 00000072", 4},
		{V13 | 1u << 6, "05 00 0010 00000001 0001 0008 00000072", 6},
		{V13, "05 00 0010 00000001 0001 0008 00000062", 0},
		{V13 | 1u << 5, "06 00 0010 00000001 0001 0008 00000042", 0},
		/* An element that is not known stands before; a long bitmap. */
		{V13, "06 00 0018 00000001 0077 0008 aabbccdd 0001 0008 00000012", 4},
		{V13, "06 00 0018 00000001 0001 000c 00000012 00000001 00000000", 4},
		/* A body that is no element is passed over. */
		{V13, "04 00 000b 00000001 0001ff", 4},
		{V13, "04 00 000c 00000001 00010001", 4},
		{V13, "04 00 000c 00000001 00010008", 4},
	};

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(cases); i++) {
		struct fixture f;
		uint8_t hello[16];

		begin(&f, cases[i].ours);
		assert_int_equal(recv_message(f.peer, hello, sizeof(hello)), 16);
		assert_int_equal(get_be32(hello + 12), cases[i].ours);
		send_hex(f.peer, cases[i].theirs);
		lab_run(&f.lab);
		assert_int_equal(f.n_opened, cases[i].agreed != 0);
		if (cases[i].agreed) {
			assert_int_equal(channel_version(f.ch), cases[i].agreed);
			assert_int_equal(f.n_closed, 0);
		} else {
			assert_int_equal(f.n_closed, 1);
			assert_int_equal(f.end, CHANNEL_END_VERSION);
		}
		end(&f);
	}
}

static void
test_channel_refuses_version_in_words(void **state)
{
	struct fixture f;
	uint8_t msg[256];
	size_t len;

	(void)state;
	begin(&f, V13);
	expect_hex(f.peer, OUR_HELLO);
	send_hex(f.peer, "01 00 0008 000000aa");
	lab_run(&f.lab);
	len = recv_message(f.peer, msg, sizeof(msg));
	/* In the peer's version, with its xid: HELLO_FAILED, INCOMPATIBLE, text. */
	assert_int_equal(msg[0], 1);
	assert_int_equal(msg[1], OFPT_ERROR);
	assert_int_equal(get_be32(msg + 4), 0xaa);
	assert_int_equal(get_be32(msg + 8), 0x00000000);
	assert_true(len > 20 && memcmp(msg + 12, "none of your versions", 21) == 0);
	expect_end(f.peer);
	end(&f);
}

/* A hello without a bitmap lets us hope: its sender may turn out to know no version but its own. */
static void
test_channel_takes_a_refusal(void **state)
{
	static const char *const refusals[] = {
		"05 01 000c 00000009 0000 0000", "04 01 000e 00000009 0000 0001 6869"};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(refusals); i++) {
		begin(&f, V13);
		expect_hex(f.peer, OUR_HELLO);
		send_hex(f.peer, "05 00 0008 000000aa");
		send_hex(f.peer, refusals[i]);
		lab_run(&f.lab);
		expect_end(f.peer);
		assert_int_equal(f.end, CHANNEL_END_VERSION);
		assert_string_equal(f.why, i ? "the peer, of version 0x04, refused our hello"
					     : "the peer, of version 0x05, refused our hello");
		end(&f);
	}
}

/* A hello that has come in time, but that we were too late to look at: the timer comes first. */
static void
test_channel_does_not_blame_the_peer_for_our_lateness(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, V13);
	send_hex(f.peer, "04 00 0008 00000001");
	advance(&f, 60000);
	assert_int_equal(f.n_closed, 0);
	send_hex(f.peer, "04 02 0008 00000009");
	lab_run(&f.lab);
	assert_int_equal(f.n_closed, 0);
	end(&f);

	begin(&f, V13);
	advance(&f, 3000);
	assert_int_equal(f.n_closed, 1);
	assert_string_equal(f.why, "the peer sent no hello");
	end(&f);
}

static void
test_channel_wants_hello_first(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, V13);
	send_hex(f.peer, "04 05 0008 00000001");
	lab_run(&f.lab);
	assert_int_equal(f.end, CHANNEL_END_GARBAGE);
	assert_string_equal(f.why, "the first message is of type 5, not a hello");
	end(&f);

	begin(&f, V13);
	raw_send(f.peer, "GET / HTTP/1.1\r\n", 16);
	lab_run(&f.lab);
	assert_int_equal(f.end, CHANNEL_END_GARBAGE);
	end(&f);

	begin(&f, V13);
	advance(&f, 2999);
	assert_int_equal(f.n_closed, 0);
	advance(&f, 1);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.end, CHANNEL_END_SILENT);
	end(&f);
}

static void
test_channel_cuts_messages(void **state)
{
	static const uint8_t three[] = {
		4, 5, 0, 8, 0, 0, 0, 1, 4, 99, 0, 10, 0, 0, 0, 2, 7, 7, 4, 20, 0, 8, 0, 0, 0, 3};
	struct fixture f;

	(void)state;
	/* In one piece, and byte by byte. */
	begin_open(&f);
	raw_send(f.peer, three, sizeof(three));
	lab_run(&f.lab);
	assert_int_equal(f.n_messages, 3);
	assert_int_equal(f.last_type, 20);
	for (size_t i = 0; i < sizeof(three); i++) {
		raw_send(f.peer, three + i, 1);
		lab_run(&f.lab);
		assert_int_equal(f.n_messages, 3 + (i >= 7) + (i >= 17) + (i >= 25));
	}
	/* The longest. */
	{
		static uint8_t longest[65535] = {4, 14, 0xff, 0xff};

		for (size_t at = 0; at < sizeof(longest); at += 13107) {
			raw_send(f.peer, longest + at, 13107);
			lab_run(&f.lab);
		}
		assert_int_equal(f.n_messages, 7);
		assert_int_equal(f.last_len, 65535);
	}
	end(&f);
}

static void
test_channel_ends_on_bad_header(void **state)
{
	struct fixture f;

	(void)state;
	begin_open(&f);
	send_hex(f.peer, "04 05 0007 00000009");
	lab_run(&f.lab);
	/* BAD_REQUEST, BAD_LEN. */
	expect_hex(f.peer, "04 01 0014 00000009 0001 0006 0405000700000009");
	expect_end(f.peer);
	assert_int_equal(f.end, CHANNEL_END_GARBAGE);
	end(&f);

	begin_open(&f);
	send_hex(f.peer, "01 05 0008 00000009");
	lab_run(&f.lab);
	/* BAD_REQUEST, BAD_VERSION. */
	expect_hex(f.peer, "04 01 0014 00000009 0001 0000 0105000800000009");
	expect_end(f.peer);
	assert_int_equal(f.end, CHANNEL_END_GARBAGE);
	end(&f);
}

static void
test_channel_answers_echo(void **state)
{
	struct fixture f;

	(void)state;
	begin_open(&f);
	send_hex(f.peer, "04 02 000b 00000055 616263 04 02 0008 00000056");
	lab_run(&f.lab);
	expect_hex(f.peer, "04 03 000b 00000055 616263 04 03 0008 00000056");
	assert_int_equal(f.n_messages, 0);
	end(&f);
}

static void
test_channel_probes_silent_peer(void **state)
{
	struct fixture f;

	(void)state;
	begin_open(&f);
	advance(&f, 4999);
	expect_nothing(f.peer);
	advance(&f, 1);
	expect_hex(f.peer, "04 02 0008 00000002");
	/* Any word will do. */
	advance(&f, 4999);
	send_hex(f.peer, "04 03 0008 00000002");
	lab_run(&f.lab);
	advance(&f, 4999);
	expect_nothing(f.peer);
	assert_int_equal(f.n_closed, 0);
	advance(&f, 1);
	expect_hex(f.peer, "04 02 0008 00000003");
	advance(&f, 4999);
	assert_int_equal(f.n_closed, 0);
	advance(&f, 1);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.end, CHANNEL_END_SILENT);
	assert_string_equal(f.why, "no answer to an echo request within 5000 ms");
	expect_end(f.peer);
	end(&f);
}

static void
test_channel_does_not_judge_while_paused(void **state)
{
	struct fixture f;

	(void)state;
	begin_open(&f);
	channel_pause(f.ch);
	for (int i = 0; i < 10; i++) {
		advance(&f, 5000);
	}
	assert_int_equal(f.n_closed, 0);
	expect_nothing(f.peer);
	send_hex(f.peer, "04 05 0008 00000001");
	lab_run(&f.lab);
	assert_int_equal(f.n_messages, 0);
	channel_resume(f.ch);
	lab_run(&f.lab);
	assert_int_equal(f.n_messages, 1);
	end(&f);
}

static void
test_channel_pauses_between_messages(void **state)
{
	struct fixture f;

	(void)state;
	begin_open(&f);
	f.pause_on_message = true;
	send_hex(f.peer, "04 05 0008 00000001 04 06 0008 00000002");
	lab_run(&f.lab);
	assert_int_equal(f.n_messages, 1);
	channel_resume(f.ch);
	lab_run(&f.lab);
	assert_int_equal(f.n_messages, 2);
	end(&f);
}

/* More than a turn's messages are all handed out, in several turns. */
static void
test_channel_shares_the_loop(void **state)
{
	uint8_t msg[8] = {4, 5, 0, 8};
	struct fixture f;

	(void)state;
	begin_open(&f);
	for (unsigned i = 0; i < CHANNEL_TURN + 5; i++) {
		raw_send(f.peer, msg, sizeof(msg));
	}
	event_base_loop(f.lab.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	assert_int_equal(f.n_messages, CHANNEL_TURN);
	lab_run(&f.lab);
	assert_int_equal(f.n_messages, CHANNEL_TURN + 5);
	end(&f);
}

/* A peer that never reads is not served beyond its limit, and goes on when it reads. */
static void
test_channel_waits_for_slow_reader(void **state)
{
	uint8_t msg[8] = {4, 5, 0, 8};
	static uint8_t sink[1 << 20];
	unsigned served;
	struct fixture f;

	(void)state;
	begin_open(&f);
	f.answer_size = 60000;
	for (unsigned i = 0; i < 100; i++) {
		raw_send(f.peer, msg, sizeof(msg));
	}
	lab_run(&f.lab);
	served = f.n_messages;
	assert_true(served < 50);
	assert_true(channel_is_full(f.ch));
	assert_true(channel_backlog(f.ch) < CHANNEL_REPLY_HIGH + 60000);
	lab_run(&f.lab);
	assert_int_equal(f.n_messages, served);
	for (int i = 0; i < 1000 && f.n_messages < 100; i++) {
		while (recv(f.peer, sink, sizeof(sink), MSG_DONTWAIT) > 0) {
		}
		lab_run(&f.lab);
	}
	assert_int_equal(f.n_messages, 100);
	assert_true(f.n_drained > 0);
	assert_int_equal(f.n_closed, 0);
	end(&f);
}

/* What makes a channel full may all go to the kernel at the end of the turn. */
static void
test_channel_goes_on_when_the_kernel_takes_all(void **state)
{
	/* Doubled by Linux, which counts its own bookkeeping too. */
	int size = 2 * CHANNEL_REPLY_HIGH;
	uint8_t msg[8] = {4, 5, 0, 8};
	struct fixture f;

	(void)state;
	begin_open(&f);
	if (setsockopt(f.fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0) {
		print_message("only root may have so large a socket buffer\n");
		end(&f);
		skip();
	}
	f.answer_size = CHANNEL_REPLY_HIGH + 1;
	raw_send(f.peer, msg, sizeof(msg));
	lab_run(&f.lab);
	assert_int_equal(f.n_messages, 1);
	assert_int_equal(channel_backlog(f.ch), 0);
	assert_false(channel_is_full(f.ch));
	assert_int_equal(f.n_drained, 1);
	end(&f);
}

static void
test_channel_drops_peer_that_stalls(void **state)
{
	static uint8_t news[65000];
	struct fixture f;

	(void)state;
	begin_open(&f);
	for (unsigned i = 0; i < CHANNEL_OUT_MAX / sizeof(news) + 20; i++) {
		channel_send(f.ch, news, sizeof(news));
	}
	assert_int_equal(f.n_closed, 0);
	lab_run(&f.lab);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.end, CHANNEL_END_STALLED);
	end(&f);
}

static void
test_channel_tells_when_the_peer_goes(void **state)
{
	struct fixture f;

	(void)state;
	begin_open(&f);
	shutdown(f.peer, SHUT_RDWR);
	lab_run(&f.lab);
	assert_int_equal(f.n_closed, 1);
	assert_int_equal(f.end, CHANNEL_END_PEER);
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channel_agrees_on_version),
		cmocka_unit_test(test_channel_refuses_version_in_words),
		cmocka_unit_test(test_channel_takes_a_refusal),
		cmocka_unit_test(test_channel_does_not_blame_the_peer_for_our_lateness),
		cmocka_unit_test(test_channel_wants_hello_first),
		cmocka_unit_test(test_channel_cuts_messages),
		cmocka_unit_test(test_channel_ends_on_bad_header),
		cmocka_unit_test(test_channel_answers_echo),
		cmocka_unit_test(test_channel_probes_silent_peer),
		cmocka_unit_test(test_channel_does_not_judge_while_paused),
		cmocka_unit_test(test_channel_pauses_between_messages),
		cmocka_unit_test(test_channel_shares_the_loop),
		cmocka_unit_test(test_channel_waits_for_slow_reader),
		cmocka_unit_test(test_channel_goes_on_when_the_kernel_takes_all),
		cmocka_unit_test(test_channel_drops_peer_that_stalls),
		cmocka_unit_test(test_channel_tells_when_the_peer_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
