/* SPDX-License-Identifier: Apache-2.0
 *
 * Capture, quick refusals: the program is run once more, by hand, and what each of its decisions hung on is
 * written down.
 *
 * A number in the program is known, or bits of the packet. A decision on bits that are equal to a constant becomes
 * part of the comparison, one on bits that differ goes on the list of those; anything else that is done with bits
 * makes them known, by comparing them all. Where a verdict hangs on the packet's length nothing is learned.
 */
#include "datapath/capture_quick.h"

#include <pcap/pcap.h>

#define FIRST_PATIENCE 1u
#define MOST_PATIENCE 65536u

struct number {
	bool is_known;
	uint32_t value;          /* as it is now */
	uint32_t at, size, mask; /* of the packet's number, if it is not known */
};

struct run {
	const uint8_t *data;
	uint32_t len; /* to be looked at */
	struct capture_quick_path path;
	bool failed;
};

void
capture_quick_init(struct capture_quick *q)
{
	memset(q, 0, sizeof *q);
	for (unsigned i = 0; i < CAPTURE_QUICK_PATHS; i++) {
		q->paths[i].need = UINT32_MAX;
	}
	q->patience = FIRST_PATIENCE;
}

/* The bits of @mask in the packet's number must be as they are. */
static void
must_equal(struct run *r, uint32_t at, uint32_t size, uint32_t mask)
{
	for (uint32_t i = 0; i < size; i++) {
		uint8_t bits = (uint8_t)(mask >> 8 * (size - 1 - i));
		uint32_t place = at + i - CAPTURE_QUICK_FROM;

		if (!bits) {
			continue;
		}
		if (at + i < CAPTURE_QUICK_FROM || place >= 8 * CAPTURE_QUICK_WORDS) {
			r->failed = true;
			return;
		}
		((uint8_t *)r->path.mask)[place] |= bits;
		((uint8_t *)r->path.value)[place] |= r->data[at + i] & bits;
	}
}

static void
must_differ(struct run *r, const struct number *n, uint32_t mask, uint32_t value)
{
	struct capture_quick_path *path = &r->path;

	if (path->n_different == CAPTURE_QUICK_DIFFERENT) {
		must_equal(r, n->at, n->size, n->mask);
		return;
	}
	path->different[path->n_different++] = (struct capture_quick_different){
		.at = (uint16_t)n->at, .size = (uint16_t)n->size, .mask = mask, .value = value};
}

static void
know(struct run *r, struct number *n)
{
	if (!n->is_known) {
		must_equal(r, n->at, n->size, n->mask);
		n->is_known = true;
	}
}

static struct number
load(struct run *r, uint32_t at, uint32_t size)
{
	struct number n = {
		.at = at, .size = size, .mask = size == 4 ? UINT32_MAX : (1u << 8 * size) - 1};

	if (at > r->len || r->len - at < size || at > UINT16_MAX) {
		r->failed = true; /* another one may be longer */
		return n;
	}
	r->path.need = r->path.need < at + size ? at + size : r->path.need;
	n.value = capture_quick_load(r->data, at, size);
	return n;
}

static struct number
known(uint32_t value)
{
	return (struct number){.is_known = true, .value = value};
}

static uint32_t
compute(struct run *r, uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	default:
		r->failed = true;
		return 0;
	}
}

/* Whether the jump is taken. */
static bool
decide(struct run *r, uint16_t op, struct number *a, uint32_t k)
{
	uint32_t value = a->value;
	bool yes = op == BPF_JEQ   ? value == k
		   : op == BPF_JGT ? value > k
		   : op == BPF_JGE ? value >= k
				   : (value & k) != 0;

	if (a->is_known) {
		return yes;
	}
	if (op == BPF_JEQ && !yes) {
		must_differ(r, a, a->mask, k);
	} else if (op == BPF_JSET && yes) {
		must_differ(r, a, a->mask & k, 0);
	} else if (op == BPF_JSET) {
		must_equal(r, a->at, a->size, a->mask & k);
	} else {
		must_equal(r, a->at, a->size, a->mask);
	}
	return yes;
}

static uint32_t
size_of(uint16_t code)
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* Follows the program to its end. The verdict; 0 also where it failed. */
static uint32_t
follow(struct run *r, const struct bpf_insn *insns, uint32_t n_insns)
{
	struct number a = known(0), x = known(0);

	for (uint32_t pc = 0; pc < n_insns && !r->failed; pc++) {
		const struct bpf_insn *in = &insns[pc];
		uint32_t k = in->k;

		switch (BPF_CLASS(in->code)) {
		case BPF_RET:
			if (BPF_RVAL(in->code) == BPF_A) {
				know(r, &a);
				return a.value;
			}
			return k;
		case BPF_LD:
			if (BPF_MODE(in->code) == BPF_IMM) {
				a = known(k);
			} else if (BPF_MODE(in->code) == BPF_ABS) {
				a = load(r, k, size_of(in->code));
			} else if (BPF_MODE(in->code) == BPF_IND) {
				know(r, &x);
				a = load(r, x.value + k, size_of(in->code));
			} else {
				r->failed = true; /* the length, memory */
			}
			break;
		case BPF_LDX:
			if (BPF_MODE(in->code) == BPF_IMM) {
				x = known(k);
			} else if (BPF_MODE(in->code) == BPF_MSH) {
				x = load(r, k, 1);
				x.mask = 0xf;
				know(r, &x);
				x.value = (x.value & 0xf) * 4;
			} else {
				r->failed = true;
			}
			break;
		case BPF_ALU:
			if (BPF_SRC(in->code) == BPF_X) {
				know(r, &x);
				k = x.value;
			}
			if (BPF_OP(in->code) == BPF_NEG) {
				know(r, &a);
				a.value = -a.value;
			} else if (BPF_OP(in->code) == BPF_AND && !a.is_known) {
				a.mask &= k;
				a.value &= k;
			} else {
				know(r, &a);
				a.value = compute(r, BPF_OP(in->code), a.value, k);
			}
			break;
		case BPF_JMP:
			if (BPF_OP(in->code) == BPF_JA) {
				pc += k;
				break;
			}
			if (BPF_SRC(in->code) == BPF_X) {
				know(r, &x);
				k = x.value;
			}
			pc += decide(r, BPF_OP(in->code), &a, k) ? in->jt : in->jf;
			break;
		case BPF_MISC:
			if (BPF_MISCOP(in->code) == BPF_TAX) {
				x = a;
			} else {
				a = x;
			}
			break;
		default:
			r->failed = true; /* memory */
		}
	}
	r->failed = true;
	return 0;
}

/* Whether the comparison says that it differs anyway. */
static bool
is_settled(const struct capture_quick_path *path, const struct capture_quick_different *d)
{
	for (uint32_t i = 0; i < d->size; i++) {
		uint8_t bits = (uint8_t)(d->mask >> 8 * (d->size - 1 - i));
		uint32_t place = d->at + i - CAPTURE_QUICK_FROM;

		if (bits && (d->at + i < CAPTURE_QUICK_FROM || place >= 8 * CAPTURE_QUICK_WORDS ||
				    bits & ~((const uint8_t *)path->mask)[place])) {
			return false;
		}
	}
	return true;
}

static void
drop_settled(struct capture_quick_path *path)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < path->n_different; i++) {
		if (!is_settled(path, &path->different[i])) {
			path->different[n++] = path->different[i];
		}
	}
	path->n_different = n;
}

void
capture_quick_learn(struct capture_quick *q, const struct bpf_insn *insns, uint32_t n_insns,
	const struct packet *p)
{
	struct run r = {.data = p->data, .len = p->head_len, .path.need = CAPTURE_QUICK_LEN};

	if (++q->n_tries < q->patience) {
		return;
	}
	q->n_tries = 0;
	/* Each time a little rarer, so that traffic of ever other kinds does not have its filters run twice. */
	q->patience = q->patience < MOST_PATIENCE ? q->patience * 2 : MOST_PATIENCE;
	if (p->head_len < CAPTURE_QUICK_LEN || follow(&r, insns, n_insns) || r.failed) {
		return;
	}
	drop_settled(&r.path);
	q->paths[q->next] = r.path;
	q->next = (q->next + 1) % CAPTURE_QUICK_PATHS;
}
