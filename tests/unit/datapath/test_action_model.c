/* SPDX-License-Identifier: Apache-2.0
 *
 * Random action lists on random packets, by a real worker, against a naive packet (naive.h): the same frames at the
 * same ports, the same drops. WEFT_ACTION_LISTS=N tries so many lists.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/edit.h"
#include "lib/byteorder.h"
#include "tests/unit/datapath/naive.h"
#include "tests/unit/datapath/rig.h"

#define IN 1u
#define OUTS 3u /* ports 2, 3, 4 */
#define LISTS 400u
#define PACKETS 8u
#define MAX_ACTIONS 6u
#define MAX_FRAMES 64u
#define TEXT 16384u

enum kind {
	OUTPUT,
	CUT, /* output with a longest length */
	PUSH_VLAN,
	POP_VLAN,
	PUSH_MPLS,
	POP_MPLS,
	SET,
	DEC_TTL,
	DEC_MPLS_TTL,
	COPY_TTL,
	CLONE,
	SAMPLE,
	CHECK_LEN,
	KINDS,
};

struct action;

struct list {
	unsigned n;
	struct action *actions;
};

struct action {
	enum kind kind;
	uint32_t number; /* port, tag, label, probability, length */
	uint32_t more;   /* longest length */
	enum field_id field;
	uint8_t value[6];
	struct list a, b;
};

/* --- lists -------------------------------------------------------------------------------------------------- */

static struct list
make_list(unsigned depth, unsigned *pushes)
{
	static const enum field_id fields[] = {FIELD_ETH_DST, FIELD_ETH_SRC, FIELD_IPV4_SRC,
		FIELD_IPV4_DST, FIELD_IP_TTL, FIELD_UDP_DST, FIELD_TCP_SRC, FIELD_MPLS_TTL};
	struct list l = {.n = 1 + lab_below(MAX_ACTIONS)};

	l.actions = calloc(l.n, sizeof l.actions[0]);
	for (unsigned i = 0; i < l.n; i++) {
		struct action *a = &l.actions[i];

		a->kind = lab_below(3) ? (enum kind)lab_below(KINDS) : lab_below(4) ? OUTPUT : CUT;
		if ((a->kind == PUSH_VLAN || a->kind == PUSH_MPLS) && ++*pushes > 4) {
			a->kind = OUTPUT; /* there is headroom for so many */
		}
		if (a->kind >= CLONE && depth == 2) {
			a->kind = OUTPUT;
		}
		a->number = a->kind <= CUT      ? 2 + lab_below(OUTS)
			    : a->kind == SAMPLE ? (lab_below(2) ? UINT32_MAX : 0)
						: 1 + lab_below(1000);
		a->more = 20 + lab_below(200);
		a->field = fields[lab_below(sizeof fields / sizeof fields[0])];
		for (unsigned b = 0; b < sizeof a->value; b++) {
			a->value[b] = (uint8_t)lab_random();
		}
		if (a->kind >= CLONE) {
			a->a = make_list(depth + 1, pushes);
		}
		if (a->kind == CHECK_LEN) {
			a->b = make_list(depth + 1, pushes);
		}
	}
	return l;
}

static void
free_list(struct list *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		free_list(&l->actions[i].a);
		free_list(&l->actions[i].b);
	}
	free(l->actions);
}

static void write_list(const struct list *l, char *text);

static void add(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
add(char *text, const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, TEXT - used, format, args);
	va_end(args);
}

static void
write_set(const struct action *a, char *text)
{
	const struct field *f = field_get(a->field);
	const uint8_t *v = a->value;

	add(text, "set(%s=", f->name);
	if (f->n_bytes == 6) {
		add(text, "%02x:%02x:%02x:%02x:%02x:%02x)", v[0], v[1], v[2], v[3], v[4], v[5]);
	} else if (f->format == FIELD_FMT_IPV4) {
		add(text, "%u.%u.%u.%u)", v[0], v[1], v[2], v[3]);
	} else {
		add(text, "%u)", f->width == 16 ? get_be16(v) : v[0]);
	}
}

static void
write_action(const struct action *a, char *text)
{
	switch (a->kind) {
	case OUTPUT:
		add(text, "output(%u)", a->number);
		break;
	case CUT:
		add(text, "output(%u,max_len=%u)", a->number, a->more);
		break;
	case PUSH_VLAN:
		add(text, "push_vlan(tpid=0x%x,vid=%u,pcp=3)", a->more & 1 ? 0x8100 : 0x88a8,
			a->number);
		break;
	case POP_VLAN:
		add(text, "pop_vlan");
		break;
	case PUSH_MPLS:
		add(text, "push_mpls(eth_type=0x8847,label=%u,tc=2,ttl=%u)", a->number,
			a->more & 255);
		break;
	case POP_MPLS:
		add(text, "pop_mpls(0x%x)", a->more & 1 ? 0x800 : 0x8847);
		break;
	case SET:
		write_set(a, text);
		break;
	case DEC_TTL:
		add(text, "dec_ttl(drop(invalid-ttl))");
		break;
	case DEC_MPLS_TTL:
		add(text, "dec_mpls_ttl(drop(invalid-ttl))");
		break;
	case COPY_TTL:
		add(text, a->more & 1 ? "copy_ttl_out" : "copy_ttl_in");
		break;
	case CLONE:
		add(text, "clone(");
		write_list(&a->a, text);
		add(text, ")");
		break;
	case SAMPLE:
		add(text, "sample(probability=%u,(", a->number);
		write_list(&a->a, text);
		add(text, "))");
		break;
	default:
		add(text, "check_len(max_len=%u,(", a->number);
		write_list(&a->a, text);
		add(text, "),(");
		write_list(&a->b, text);
		add(text, "))");
	}
}

static void
write_list(const struct list *l, char *text)
{
	for (unsigned i = 0; i < l->n; i++) {
		add(text, "%s", i ? "," : "");
		write_action(&l->actions[i], text);
	}
}

/* --- what should come of it ---------------------------------------------------------------------------------- */

static struct {
	unsigned n;
	struct {
		unsigned port;
		size_t len;
		uint8_t bytes[2048];
	} frames[MAX_FRAMES];
	uint64_t drops[DROP_N];
	bool too_many;
} want;

static void
want_frame(const struct naive *n, unsigned port, size_t most)
{
	if (want.n == MAX_FRAMES) {
		want.too_many = true;
		return;
	}
	want.frames[want.n].port = port;
	want.frames[want.n].len = n->len < most ? n->len : most;
	memcpy(want.frames[want.n].bytes, n->bytes, want.frames[want.n].len);
	want.n++;
}

static int
set(struct naive *n, const struct action *a)
{
	const struct field *f = field_get(a->field);
	uint8_t value[6] = {0}, mask[6] = {0};
	unsigned from = f->n_bytes - (f->width + 7u) / 8;

	memcpy(value + from, a->value, f->n_bytes - from);
	memset(mask + from, 0xff, f->n_bytes - from);
	return naive_set(n, a->field, value, mask);
}

static bool run_list(struct naive *n, const struct list *l);

/* On a copy; what becomes of it is nobody else's. */
static void
run_copy(const struct naive *n, const struct list *l)
{
	struct naive *copy = malloc(sizeof *copy);

	memcpy(copy, n, sizeof *n);
	(void)run_list(copy, l);
	free(copy);
}

/* EDIT_OK: the list goes on; else why the packet drops. */
static int
run_action(struct naive *n, const struct action *a)
{
	int result = EDIT_OK;

	switch (a->kind) {
	case OUTPUT:
	case CUT:
		want_frame(n, a->number, a->kind == CUT ? a->more : SIZE_MAX);
		break;
	case PUSH_VLAN:
		return naive_push_vlan(
			n, a->more & 1 ? 0x8100 : 0x88a8, (uint16_t)(a->number | 3u << 13));
	case POP_VLAN:
		return naive_pop_vlan(n);
	case PUSH_MPLS:
		return naive_push_mpls(n, 0x8847, a->number << 12 | 2u << 9 | (a->more & 255));
	case POP_MPLS:
		return naive_pop_mpls(n, a->more & 1 ? 0x800 : 0x8847);
	case SET:
		return set(n, a);
	case DEC_TTL:
		result = naive_dec_ttl(n);
		return result == EDIT_EXPIRED ? DROP_INVALID_TTL : result;
	case DEC_MPLS_TTL:
		result = naive_dec_mpls_ttl(n);
		return result == EDIT_EXPIRED ? DROP_INVALID_TTL : result;
	case COPY_TTL:
		return naive_copy_ttl(n, a->more & 1);
	case SAMPLE:
		if (!a->number) {
			break;
		}
		/* fallthrough */
	case CLONE:
		run_copy(n, &a->a);
		break;
	default:
		if (!run_list(n, n->len > a->number ? &a->a : &a->b)) {
			return DROP_N; /* counted there */
		}
	}
	return result;
}

/* False: the packet has dropped. */
static bool
run_list(struct naive *n, const struct list *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		int result = run_action(n, &l->actions[i]);

		if (result != EDIT_OK) {
			if (result < DROP_N) {
				want.drops[result]++;
			}
			return false;
		}
	}
	return true;
}

/* --- tests --------------------------------------------------------------------------------------------------- */

static struct rig_agent agent;
static struct port *ports[1 + OUTS];

static uint64_t
n_drops(enum drop_reason reason)
{
	struct port_sums sums;

	port_read_counters(ports[0], &sums);
	return sums.drops[reason];
}

static bool
is_done(uint64_t n_received)
{
	struct port_sums s;

	rig_sums(&s);
	return s.rx_packets == n_received && !port_books_missing(&s);
}

static void
run_packet(const struct list *l, const char *text, uint64_t n_received)
{
	struct naive *n = calloc(1, sizeof *n);
	uint64_t before[DROP_N];
	struct lab_frame f;

	lab_frame(&f, (enum lab_kind)lab_below(LAB_KINDS), lab_below(3),
		lab_below(2) ? lab_below(60) : lab_below(1300));
	if (f.l4 == f.l3 + 20 && !lab_below(4)) {
		f.bytes[f.l3 + 8] = (uint8_t)lab_below(3); /* TTL */
		lab_frame_csums(&f, false);
	}
	memcpy(n->bytes, f.bytes, f.len);
	n->len = n->head = f.len;
	n->headroom = 1000;
	memset(&want, 0, sizeof want);
	assert_int_equal(naive_parse(n), EDIT_OK);
	(void)run_list(n, l);
	for (unsigned r = 0; r < DROP_N; r++) {
		before[r] = n_drops((enum drop_reason)r);
	}
	rig_send(ports[0], f.bytes, f.len);
	rig_wait(is_done(n_received));
	for (unsigned i = 0; i < want.n && !want.too_many; i++) {
		struct port *port = ports[want.frames[i].port - 1];
		uint8_t bytes[2048];

		if (!rig_n_waiting(port)) {
			fail_msg("%s: nothing at port %u", text, want.frames[i].port);
		}
		if (rig_receive(port, bytes, sizeof bytes) != want.frames[i].len ||
			memcmp(bytes, want.frames[i].bytes, want.frames[i].len)) {
			fail_msg("%s: frame %u at port %u differs", text, i, want.frames[i].port);
		}
	}
	for (unsigned i = 1; i <= OUTS; i++) {
		uint8_t bytes[2048];

		assert_true(want.too_many || !rig_n_waiting(ports[i]));
		while (rig_n_waiting(ports[i])) {
			rig_receive(ports[i], bytes, sizeof bytes);
		}
	}
	for (unsigned r = 0; r < DROP_N; r++) {
		uint64_t now = n_drops((enum drop_reason)r) - before[r];

		/* A list that comes to its end without an output drops too, as explicit. */
		if (r != DROP_EXPLICIT && now != want.drops[r]) {
			fail_msg("%s: %llu drops of reason %u, wanted %llu", text,
				(unsigned long long)now, r, (unsigned long long)want.drops[r]);
		}
	}
	free(n);
}

static void
test_actions_of_random_lists_against_a_naive_packet(void **state)
{
	char *text = calloc(1, TEXT);
	uint64_t n_received = 0;
	const char *lists = getenv("WEFT_ACTION_LISTS");
	unsigned n_lists = lists ? (unsigned)strtoul(lists, NULL, 10) : LISTS;

	(void)state;
	lab_seed("action model");
	rig_start(1);
	rig_agent_open(&agent, 1);
	for (unsigned i = 0; i <= OUTS; i++) {
		ports[i] = rig_port_add((uint16_t)(i + 1), NULL);
	}
	for (unsigned i = 0; i < n_lists; i++) {
		unsigned pushes = 0;
		struct list l = make_list(0, &pushes);

		text[0] = '\0';
		write_list(&l, text);
		rig_wire(&agent, IN, text);
		for (unsigned k = 0; k < PACKETS; k++) {
			run_packet(&l, text, ++n_received);
		}
		free_list(&l);
	}
	rig_agent_close(&agent, true);
	rig_stop();
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_actions_of_random_lists_against_a_naive_packet),
	};

	return cmocka_run_group_tests(tests, lab_start, NULL);
}
